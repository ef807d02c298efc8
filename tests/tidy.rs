//! Holds the house's order in `src/`: floors, a first sentence in every file, short files, unsafe Rust in the
//! bridge alone, no `unwrap` outside tests, no circles of files. ARCHITECTURE.md tells why.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/floors.rs"]
mod floors;

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may stand on: a file imports only from lower floors, and from its own module.
const FLOORS: [(&str, i32); 41] = [
    ("main", 11),
    ("program", 10),
    ("cli", 9),
    ("commands", 8),
    ("config", 7),
    ("search", 6),
    ("train", 6),
    ("eval", 5),
    ("step", 5),
    ("model", 4),
    ("cell", 3),
    ("report", 3),
    ("benchmark", 3),
    ("space", 3),
    ("task", 2),
    ("data", 2),
    ("optim", 2),
    ("checkpoint", 2),
    ("genotype", 2),
    ("dist", 1),
    ("ops", 1),
    ("decision", 1),
    ("batch", 1),
    ("registry", 1),
    ("memory", 1),
    ("topology", 0),
    ("tensor", 0),
    ("panics", 0),
    // The ground: the only modules that the others of floor 0 may name.
    ("error", -1),
    ("restart", -1),
    ("threads", 0),
    ("bounds", 0),
    ("files", 0),
    ("fingerprint", 0),
    ("nearest", 0),
    ("pickle", 0),
    ("python", 0),
    ("reading", 0),
    ("statistics", 0),
    ("visible", 0),
    ("lib", 12),
];

const LONGEST_FILE: usize = 500;

/// One source file: its path from `src/` and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// `src/search/step.rs` belongs to `search`, `src/cell.rs` to `cell`.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().expect("a path has a first part");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn floor(&self) -> Option<i32> {
        floor_of(self.module())
    }

    /// Lines with their numbers, without comments, up to the unit tests that end a file; none of `tests.rs`, a file
    /// of unit tests.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let text = if self.path.ends_with("/tests.rs") { "" } else { &self.text };
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .map(|(number, line)| (number, without_comment(line)))
    }
}

fn floor_of(module: &str) -> Option<i32> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Cuts `//` and what follows; an address in a string (`://`) is none.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(found.len() > 3, "src/ was not found");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The modules that `text` names as `crate::module`, also within `use crate::{a, b::c}`; inside the program
/// (`main.rs`) the library is called `sgas`.
fn imported_modules(text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for prefix in ["crate::", "sgas::"] {
        for (at, _) in text.match_indices(prefix) {
            let longer_word = text[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
            if !longer_word {
                modules.extend(heads(&text[at + prefix.len()..]));
            }
        }
    }
    modules
}

/// The first words of what follows `crate::`: one, or those of a braced list at its outer level.
fn heads(rest: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    let Some(list) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let mut depth = 0;
    let mut names = vec![word(list.trim_start())];
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(word(list[at + 1..].trim_start())),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Fails with all offences at once.
fn assert_none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn imports_go_down() {
    let mut offences = Vec::new();
    for source in sources() {
        let Some(floor) = source.floor() else { continue };
        let code: String = source.code_lines().map(|(_, line)| format!("{line}\n")).collect();
        for imported in imported_modules(&code) {
            let Some(other) = floor_of(&imported) else { continue };
            if imported != source.module() && other >= floor {
                offences.push(format!("{} (floor {floor}) imports {imported} (floor {other})", source.path));
            }
        }
    }
    assert_none(&offences, "a file imports only from lower floors and from its own module");
}

#[test]
fn every_module_has_a_floor() {
    let homeless: Vec<String> =
        sources().iter().filter(|source| source.floor().is_none()).map(|source| source.path.clone()).collect();
    assert_none(&homeless, "each module of src/ has a floor in tests/tidy.rs and in ARCHITECTURE.md");
}

/// The floors of ARCHITECTURE.md's table: `| floor | `module`, ... | ... |`.
fn floors_in_architecture() -> Vec<(String, i32)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.split('|').skip(1);
        let floor: i32 = cells.next()?.trim().parse().ok()?;
        Some((floor, cells.next()?.to_owned()))
    });
    let names = |names: &str| -> Vec<String> {
        let quoted = names.split('`').skip(1).step_by(2);
        quoted.map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned()).collect()
    };
    rows.flat_map(|(floor, cell)| names(&cell).into_iter().map(move |name| (name, floor))).collect()
}

#[test]
fn architecture_shows_the_same_floors() {
    let shown = floors_in_architecture();
    let modules: Vec<String> = sources().iter().map(|source| source.module().to_owned()).collect();
    let built = FLOORS.iter().filter(|(name, _)| *name != "lib" && modules.iter().any(|module| module == name));
    let missing: Vec<String> = built
        .filter(|(name, floor)| !shown.contains(&((*name).to_owned(), *floor)))
        .map(|(name, floor)| format!("{name} (floor {floor})"))
        .collect();
    assert_none(&missing, "ARCHITECTURE.md shows every module with its floor");
    let surplus = shown.iter().filter(|(name, floor)| floor_of(name) != Some(*floor));
    let surplus: Vec<String> = surplus.map(|(name, floor)| format!("{name} (floor {floor})")).collect();
    assert_none(&surplus, "ARCHITECTURE.md shows no other floors");
}

#[test]
fn every_file_says_what_it_holds() {
    let silent: Vec<String> =
        sources().iter().filter(|source| !source.text.starts_with("//! ")).map(|source| source.path.clone()).collect();
    assert_none(&silent, "a file begins with `//! ` and what it holds");
}

#[test]
fn files_are_short() {
    let lengths = sources().into_iter().map(|source| (source.text.lines().count(), source.path));
    let long: Vec<String> = lengths
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert_none(&long, "no file is longer than 500 lines");
}

#[test]
fn unsafe_rust_stays_in_the_bridge() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| !source.path.starts_with("tensor/bridge/")) {
        for (number, line) in source.text.lines().enumerate() {
            let code = without_comment(line);
            if ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe_code"]
                .iter()
                .any(|word| code.contains(word))
            {
                offences.push(format!("{}:{}", source.path, number + 1));
            }
        }
    }
    assert_none(&offences, "unsafe Rust stands in src/tensor/bridge/ alone");
}

#[test]
fn no_unwrap_outside_tests() {
    let mut offences = Vec::new();
    for source in sources() {
        for (number, line) in source.code_lines().filter(|(_, line)| line.contains(".unwrap()")) {
            offences.push(format!("{}:{number}: {}", source.path, line.trim()));
        }
    }
    assert_none(&offences, "`expect(\"why it cannot fail\")` or an error instead of `unwrap()`");
}

/// Files that read otherwise than by `reading`, and why.
const READ_OTHERWISE: [(&str, &str); 14] = [
    ("reading.rs", "it is the reader"),
    ("files/folder.rs", "opens folders to lock them"),
    ("files/output.rs", "looks at what stands in an output's place"),
    ("commands/signals.rs", "asks /proc"),
    ("commands/bench/trace.rs", "reads what libtorch wrote for it"),
    ("memory/control_group.rs", "asks /proc and /sys"),
    ("memory/killed.rs", "asks /proc"),
    ("memory/room.rs", "asks /proc"),
    ("commands/lock.rs", "opens the lock of a run"),
    ("files.rs", "opens folders to sync them"),
    ("report/memory.rs", "asks /proc"),
    ("commands/bench/table.rs", "asks /proc"),
    ("commands/doctor/machine.rs", "asks /proc"),
    ("report/append.rs", "opens logs to write them"),
];

#[test]
fn users_files_are_read_in_one_place() {
    let words = ["fs::read(", "fs::read_to_string(", "File::open(", "Hdf5File::open(", "OpenOptions::new()"];
    let is_known = |path: &str| READ_OTHERWISE.iter().any(|(known, _)| *known == path);
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| !is_known(&source.path)) {
        let lines = source.code_lines().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        offences.extend(lines.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    assert_none(&offences, "a user's file is read by `crate::reading`, which refuses what is no regular file");
}

/// Which kernels or operators of libtorch compute an operator is its own matter: callers say the operator, and no more.
#[test]
fn callers_do_not_ask_how_an_operator_is_computed() {
    let words = ["is_fused(", "native::serves", "native::steps("];
    let makes_operators = |path: &str| path.starts_with("tensor/") || path.starts_with("optim/");
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| !makes_operators(&source.path)) {
        let lines = source.code_lines().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        offences.extend(lines.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    assert_none(&offences, "only `tensor` and `optim` choose between kernels and libtorch's operators");
}

#[test]
fn the_same_error_comes_at_every_run() {
    let mut offences = Vec::new();
    for source in sources() {
        let code: String = source.code_lines().map(|(_, line)| line.trim()).collect::<Vec<_>>().join(" ");
        let statements = code.split(';').filter(|statement| statement.contains("par_"));
        let collects = statements.filter(|statement| statement.contains("collect::<Result<"));
        offences.extend(collects.map(|statement| format!("{}: {}", source.path, statement.trim())));
    }
    assert_none(&offences, "parallel readers go through `data::checks::each`, which gives the first error in order");
}

#[test]
fn the_reader_of_imports_sees_all_forms() {
    assert_eq!(imported_modules("use crate::error::Result;"), ["error"]);
    assert_eq!(imported_modules("use crate::{error::{Error, Result}, topology};"), ["error", "topology"]);
    assert_eq!(imported_modules("let x = crate::cell::build(); sgas::cli::run()"), ["cell", "cli"]);
    assert_eq!(imported_modules("pub(crate) use my_crate::x;"), Vec::<String>::new());
    assert_eq!(without_comment("let a = \"https://x\"; // crate::b"), "let a = \"https://x\"; ");
}

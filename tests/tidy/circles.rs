//! Holds that no circle of files is left: a file that names another can be read and changed before it.
//!
//! What counts is which names a file takes out of which other: in `use` and in paths such as `log::events`. A name is
//! followed through re-exports (`pub use`) to the file that defines it, so that re-exports are no names of their own.
//! A file may take names from the files of the modules that it lies in (`ops/mod.rs` is that of `ops/skip.rs`): a
//! module is its file and the files below, and shares with them what it defines. Methods are called without naming
//! a file and are not seen.

use super::{Source, assert_none, sources};
use std::collections::{BTreeMap, BTreeSet};

/// A path of names: `["crate", "report", "log"]`.
type Path = Vec<String>;

/// What a file says of others.
#[derive(Default)]
struct Names {
    /// Each with the name that it gets here; absolute.
    imports: Vec<(Path, String)>,
    /// The same of `pub use`.
    exports: Vec<(Path, String)>,
    /// Those in the code; absolute.
    paths: Vec<Path>,
}

/// The files as modules.
pub struct Modules {
    files: BTreeMap<Path, (String, Names)>,
}

/// `src/ops/skip.rs` is the module ops::skip, `src/ops/mod.rs` ops.
fn module_of(file: &str) -> Path {
    let mut parts: Path = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    parts.retain(|part| part != "mod" && part != "lib");
    parts
}

/// Words, `::` and single signs; no strings.
fn tokens(code: &str) -> Vec<String> {
    let letters: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let rest = &letters[at..];
        let is_word = |letter: &char| letter.is_alphanumeric() || *letter == '_';
        let length = match rest {
            ['\'', '"', '\'', ..] => 3,
            ['\'', '\\', _, '\'', ..] => 4,
            ['"', ..] => string_length(rest),
            [':', ':', ..] => 2,
            [first, ..] if is_word(first) => rest.iter().take_while(|letter| is_word(letter)).count(),
            _ => 1,
        };
        if !rest[0].is_whitespace() && !matches!(rest[0], '"' | '\'') {
            found.push(rest[..length].iter().collect());
        }
        at += length;
    }
    found
}

/// The letters of a string with its two quotes.
fn string_length(letters: &[char]) -> usize {
    let mut at = 1;
    while at < letters.len() && letters[at] != '"' {
        at += if letters[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(letters.len())
}

/// The leaves of `a::{b, c::d as e}`: path and the name here; says how many tokens it took.
fn import_leaves(tokens: &[String], above: &[String], leaves: &mut Vec<(Path, String)>) -> usize {
    let mut path = above.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at += import_leaves(&tokens[at..], &path, leaves);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            "as" => {
                leaves.push((path, tokens[at + 1].clone()));
                return at + 2;
            }
            "," | "}" | ";" => break,
            name => {
                path.push(name.to_owned());
                at += 1;
            }
        }
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(name) = path.last().cloned() {
        leaves.push((path, name));
    }
    at
}

impl Modules {
    pub fn read(sources: &[Source]) -> Self {
        let code = |source: &Source| source.code_lines().map(|(_, line)| format!("{line}\n")).collect::<String>();
        let files =
            sources.iter().map(|source| (module_of(&source.path), (source.path.clone(), tokens(&code(source)))));
        let files: BTreeMap<Path, (String, Vec<String>)> = files.collect();
        let known: BTreeSet<Path> = files.keys().cloned().collect();
        let named = |module: &Path, tokens: &[String]| names(module, tokens, &known);
        let files =
            files.iter().map(|(module, (file, tokens))| (module.clone(), (file.clone(), named(module, tokens))));
        Self { files: files.collect() }
    }

    /// The module whose file defines what the absolute path names.
    fn definer(&self, path: &[String]) -> Path {
        let longest = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]));
        let length = longest.unwrap_or(0);
        let exported = path.get(length).and_then(|name| {
            let (_, names) = self.files.get(&path[..length])?;
            names.exports.iter().find(|(_, here)| here == name)
        });
        match exported {
            Some((target, _)) => self.definer(&[target, &path[length + 1..]].concat()),
            None => path[..length].to_vec(),
        }
    }

    /// Which files each file takes names from, with one of the names.
    pub fn uses(&self) -> BTreeMap<&str, BTreeMap<&str, String>> {
        let mut uses: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for (module, (file, names)) in &self.files {
            let imports = names.imports.iter().map(|(path, _)| path);
            // A module alone is no name: what is taken through it is a path in the code.
            let paths = imports.chain(&names.paths).filter(|path| !self.files.contains_key(*path));
            for path in paths {
                let other = self.definer(path);
                let Some((used, _)) = self.files.get(&other).filter(|_| !module.starts_with(&other)) else { continue };
                uses.entry(file).or_default().entry(used).or_insert_with(|| path.join("::"));
            }
        }
        uses
    }

    /// A line for every file in a circle: what it names of the others in it.
    fn circles(&self) -> Vec<String> {
        let uses = self.uses();
        let reached = |from: &str| {
            let mut reached = BTreeSet::new();
            let mut next: Vec<&str> = uses.get(from).into_iter().flat_map(|used| used.keys().copied()).collect();
            while let Some(file) = next.pop() {
                if reached.insert(file) {
                    next.extend(uses.get(file).into_iter().flat_map(|used| used.keys().copied()));
                }
            }
            reached
        };
        let reached: BTreeMap<&str, BTreeSet<&str>> = uses.keys().map(|file| (*file, reached(file))).collect();
        let together = |one: &str, other: &str| {
            let leads = |from: &str, to: &str| reached.get(from).is_some_and(|reached| reached.contains(to));
            leads(one, other) && leads(other, one)
        };
        let links = uses.iter().flat_map(|(file, used)| used.iter().map(move |(other, name)| (*file, *other, name)));
        let links = links.filter(|(file, other, _)| together(file, other));
        links.map(|(file, other, name)| format!("{file} names {other} ({name})")).collect()
    }
}

/// What the code of a module says of the crate.
fn names(module: &Path, tokens: &[String], known: &BTreeSet<Path>) -> Names {
    let mut names = Names::default();
    let mut code: Vec<Path> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = |back: usize| at.checked_sub(back).map_or("", |at| tokens[at].as_str());
        if tokens[at] == "use" && tokens.get(at + 1).is_some_and(|token| token != "<") {
            let is_public = before(1) == "pub" || before(1) == ")";
            let leaves = if is_public { &mut names.exports } else { &mut names.imports };
            at += 1 + import_leaves(&tokens[at + 1..], &[], leaves);
        } else if is_name(&tokens[at]) && before(1) != "::" {
            let mut path = vec![tokens[at].clone()];
            at += 1;
            while at + 1 < tokens.len() && tokens[at] == "::" && is_name(&tokens[at + 1]) {
                path.push(tokens[at + 1].clone());
                at += 2;
            }
            code.extend(Some(path).filter(|path| path.len() > 1));
        } else {
            at += 1;
        }
    }
    let from_root = |leaves: Vec<(Path, String)>| -> Vec<(Path, String)> {
        leaves.into_iter().filter_map(|(path, name)| Some((absolute(module, &path, known)?, name))).collect()
    };
    (names.imports, names.exports) = (from_root(names.imports), from_root(names.exports));
    let imported: BTreeMap<&str, &Path> = names.imports.iter().map(|(path, name)| (name.as_str(), path)).collect();
    let in_code = |path: Path| match imported.get(path[0].as_str()) {
        Some(start) => Some([&start[..], &path[1..]].concat()),
        None => absolute(module, &path, known),
    };
    names.paths = code.into_iter().filter_map(in_code).collect();
    names
}

fn is_name(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// From the crate's root; none for paths into other crates.
fn absolute(module: &[String], path: &[String], known: &BTreeSet<Path>) -> Option<Path> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let from = |module: &[String], rest: &[String]| Some([module, rest].concat());
    match path[0].as_str() {
        "crate" | "sgas" => Some(path[1..].to_vec()),
        "self" => from(module, &path[1..]),
        "super" => from(&module[..module.len().checked_sub(ups)?], &path[ups..]),
        child => known.contains(&[module, &[child.to_owned()]].concat()).then(|| [module, path].concat()),
    }
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    let circles = Modules::read(&sources()).circles();
    assert_none(&circles, "no file names one that, perhaps by others, names it");
}

/// The circles among made-up files.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let source = |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
    Modules::read(&files.iter().map(source).collect::<Vec<_>>()).circles()
}

#[test]
fn circles_are_found_in_all_forms_of_naming() {
    let by =
        |text: &str| circles_of(&[("a.rs", text), ("b.rs", "use crate::c::C;"), ("c.rs", "use crate::a::A;")]).len();
    let forms = [
        "use crate::b::B;",
        "use crate::{x, b::{self, B as Other}};",
        "fn f() { crate::b::g() }",
        "use crate::b;\nfn f() -> b::B { todo!() }",
        "use super::b::B;",
        "pub fn f(b: &super::b::B) {}",
    ];
    for form in forms {
        assert_eq!(by(form), 3, "{form}");
    }
    let none = ["", "// use crate::b::B;", "const TEXT: &str = \"crate::b::B\";", "use crate::b;", "use other::b::B;"];
    for form in none {
        assert_eq!(by(form), 0, "{form}");
    }
    assert_eq!(by("#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n"), 0);
}

#[test]
fn names_are_followed_through_exports_and_may_come_from_the_modules_around() {
    // m/mod.rs only passes on what stands in m/a.rs.
    let passed_on = |a: &str| {
        [("m/mod.rs", "mod a;\nmod b;\npub use a::A;"), ("m/a.rs", a), ("m/b.rs", "use super::A;")]
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
    };
    let circles = |files: &[(String, String)]| {
        circles_of(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>())
    };
    assert_eq!(circles(&passed_on("struct A;")), Vec::<String>::new());
    assert_eq!(circles(&passed_on("use super::b::B;")).len(), 2);
    // A module shares with the files below it what it defines, and calls them.
    assert_eq!(
        circles_of(&[("m.rs", "mod a;\npub fn f() { a::g() }"), ("m/a.rs", "use super::f;")]),
        Vec::<String>::new()
    );
    // A file elsewhere that does so is in a circle with it.
    assert_eq!(circles_of(&[("m.rs", "use crate::n::g;"), ("n.rs", "use crate::m::f;")]).len(), 2);
}

//! README.md, ARCHITECTURE.md, the pages of docs/ and the Makefile's demo are true to the program: their commands parse, the
//! configurations, keys and published cells that these name exist, and so do files, tests and `make` targets, and the
//! sections of docs/method.md that comments name. `guides` runs the commands.

use sgas::cli;
use sgas::commands::{Command, EvalOptions, PredictOptions, bench};
use sgas::config::RunConfig;
use sgas::genotype::zoo;
use sgas::model::NetworkKind;
use std::path::{Path, PathBuf};

/// Commands of the user's own shell that README may show.
const FOREIGN: [&str; 3] = ["export", "pip", "xargs"];

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub(crate) fn text(name: &str) -> String {
    std::fs::read_to_string(project(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files of the example in docs/own-data.md whose first one is `first`, as they stand there: `NAME: line | line | ...`.
pub(crate) fn example(first: &str) -> Vec<(String, String)> {
    let text = text("docs/own-data.md");
    let begin = format!("{first}:");
    let block = text.split("```text\n").find(|block| block.starts_with(&begin)).unwrap();
    let file = |line: &str| {
        let (name, content) = line.split_once(':').unwrap();
        let lines: Vec<&str> = content.split('|').map(str::trim).collect();
        (name.to_owned(), lines.join("\n") + "\n")
    };
    block.split("```").next().unwrap().lines().map(file).collect()
}

/// The lines of the `sh` blocks of a text, without comments.
pub(crate) fn shell_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => lines.push(line.split('#').next().unwrap_or_default().trim().to_owned()),
            _ => {}
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The words of a command, without the variables that stand before it, the quotes around a word, and where its output goes.
fn words(line: &str) -> Vec<&str> {
    let line = line.split(" > ").next().unwrap_or_default();
    let words = line.split_whitespace().map(|word| word.trim_matches('\''));
    words.skip_while(|word| word.split_once('=').is_some_and(|(name, _)| is_variable(name))).collect()
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_' || letter.is_numeric())
}

/// What is wrong with a command of the program, if anything is.
fn fault(words: &[&str]) -> Option<String> {
    let command = match cli::parse_from(words.iter().copied()) {
        Ok(parsed) => parsed?.1,
        Err(answer) => return Some(answer.to_string()),
    };
    let resolved = match &command {
        // A file of the reader's own.
        Command::Train(options) if options.run.config.as_deref().is_some_and(|config| config.contains('/')) => Ok(()),
        Command::Search(options) if !options.run.resume => options.resolve(None, None).map(drop),
        Command::Train(options) if !options.run.resume => options
            .resolve(Some("modelnet40"), None, None, None, None)
            .and_then(|run| match (options.genotype.as_deref(), run.network_kind()) {
                (None, NetworkKind::HandDesigned(_)) => Ok(()),
                (None, _) if options.baseline || options.model.is_some() || options.init.is_some() => Ok(()),
                (cell, _) => is_a_cell(cell.unwrap_or_default()),
            }),
        Command::Eval(EvalOptions { trained, .. }) | Command::Predict(PredictOptions { trained, .. })
            if trained.task.is_some() || trained.config.is_some() =>
        {
            trained.resolve(None, None).map(drop)
        }
        Command::Show(options) => is_a_cell(&options.genotype),
        Command::Bench(options) if !options.all => bench::asked_for(options).map(drop),
        _ => Ok(()),
    };
    resolved.err().map(|error| format!("{error} ({})", error.hint().unwrap_or_default()))
}

/// A path, which a reader makes, or a published name.
fn is_a_cell(typed: &str) -> sgas::error::Result<()> {
    if typed.contains(['/', '.']) { Ok(()) } else { zoo::find(typed).map(drop) }
}

fn make_targets() -> Vec<String> {
    let makefile = text("Makefile");
    let targets =
        makefile.lines().filter(|line| !line.starts_with(['\t', '#', '.'])).filter_map(|line| line.split_once(": "));
    targets.map(|(name, _)| name.to_owned()).collect()
}

/// README.md and the pages of docs/.
pub(crate) fn guides() -> Vec<String> {
    let pages = std::fs::read_dir(project("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages = pages.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".md"));
    let mut all: Vec<String> = pages.map(|name| format!("docs/{name}")).collect();
    all.sort();
    all.insert(0, "README.md".to_owned());
    all
}

#[test]
fn the_readme_is_a_guide_of_two_hundred_lines_at_most() {
    let text = text("README.md");
    assert!(text.lines().count() <= 200, "what is long belongs into docs/");
    for page in &guides()[1..] {
        assert!(text.contains(&format!("({page})")), "README.md does not name {page}");
    }
}

#[test]
fn every_command_of_the_guides_is_real() {
    let lines: Vec<String> = guides().iter().flat_map(|page| shell_lines(&text(page))).collect();
    assert!(lines.len() > 60, "{}", lines.len());
    let targets = make_targets();
    for line in &lines {
        let words = words(line);
        match words.first().copied() {
            Some("sgas") => assert_eq!(fault(&words), None, "{line}"),
            Some("make") => {
                let unknown = words[1..].iter().find(|word| !targets.iter().any(|target| target == *word));
                assert_eq!(unknown, None, "{line}: the Makefile has {targets:?}");
            }
            Some(script) if script.contains('/') => assert!(project(script).is_file(), "{line}"),
            Some(other) => assert!(FOREIGN.contains(&other), "{line}: what is {other}?"),
            None => {}
        }
    }
    for wanted in [
        "make demo",
        "make test",
        "sgas search --task modelnet40",
        "sgas train --genotype cell.json --amp",
        "sgas eval",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(wanted)), "README.md does not show `{wanted}`");
    }
}

#[test]
fn a_command_that_is_not_real_would_be_noticed() {
    let wrong = [
        "sgas serch --task modelnet40",
        "sgas train --genotype cell.json --apm",
        "sgas train --genotype Cri2_ModelNet_Bst",
        "sgas search --config modelnet40-cup",
        "sgas search --task modelnet40 --set data.pionts=3",
        "sgas eval --weights w.safetensors --task modelnet04",
        "sgas predict --run runs/my-training",
    ];
    for line in wrong {
        assert!(fault(&words(line)).is_some(), "{line}");
    }
    assert_eq!(fault(&words("SGAS_RUNS=/tmp sgas search --task modelnet40")), None);
    assert_eq!(shell_lines("```sh\nmake demo  # now\n\n```\nsgas x\n```\nsgas y\n```"), ["make demo"]);
}

/// What a text names in links and as code.
fn names(text: &str) -> Vec<&str> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let code = text.split('`').skip(1).step_by(2);
    let plain = |name: &&str| !name.contains("://") && !name.contains(char::is_whitespace) && !name.contains('*');
    links.chain(code).filter(plain).collect()
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    let folders = ["configs/", "benches/", "src/", "tests/", "scripts/"];
    let pages = guides().into_iter().map(|page| (page, 0));
    for (document, least) in pages.chain([("ARCHITECTURE.md".to_owned(), 6), ("docs/method.md".to_owned(), 5)]) {
        let text = text(&document);
        let beside = project(&document).parent().unwrap().to_owned();
        let is_ours = |name: &&str| {
            folders.iter().any(|folder| name.starts_with(folder)) || name.ends_with(".md") || name.ends_with(".rs")
        };
        let files: Vec<&str> = names(&text).into_iter().filter(is_ours).collect();
        assert!(files.len() >= least, "{document}: {files:?}");
        let places = [project(""), project("src"), beside];
        let missing: Vec<&&str> =
            files.iter().filter(|name| !places.iter().any(|place| place.join(name).exists())).collect();
        assert!(missing.is_empty(), "{document} names {missing:?}");
    }
}

#[test]
fn every_test_that_the_architecture_names_is_there() {
    let text = text("ARCHITECTURE.md");
    let is_test =
        |name: &&str| name.matches('_').count() > 3 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let tests: Vec<&str> = names(&text).into_iter().filter(is_test).collect();
    assert!(tests.len() > 3, "{tests:?}");
    let mut code = String::new();
    for folder in ["src", "tests"] {
        add_code(&project(folder), &mut code);
    }
    let missing: Vec<&&str> = tests.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names {missing:?}");
}

/// The sections of docs/method.md that comments of `code` name: `docs/method.md, "One" and "Another"`, also across lines.
fn cited_sections(code: &str) -> Vec<String> {
    let lines = code.lines().map(|line| line.trim_start().trim_start_matches(['/', '!']).trim());
    let text = lines.collect::<Vec<_>>().join(" ");
    let mut sections = Vec::new();
    for mut rest in text.split("docs/method.md, \"").skip(1) {
        while let Some((section, after)) = rest.split_once('"') {
            sections.push(section.to_owned());
            let Some(next) = after.strip_prefix(" and \"") else { break };
            rest = next;
        }
    }
    sections
}

#[test]
fn every_section_that_comments_cite_is_there() {
    let method = text("docs/method.md");
    let titles: Vec<&str> = method.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut code = String::new();
    for folder in ["src", "benches"] {
        add_code(&project(folder), &mut code);
    }
    let cited = cited_sections(&code);
    assert!(cited.len() > 30, "{cited:?}");
    let missing: Vec<&String> = cited.iter().filter(|section| !titles.contains(&section.as_str())).collect();
    assert!(missing.is_empty(), "docs/method.md has no {missing:?}; it has {titles:?}");
    let text =
        "/// As X does (docs/method.md, \"One\").\n//! By docs/method.md, \"Two\n//! words\" and\n//! \"Three\": so.";
    assert_eq!(cited_sections(text), ["One", "Two words", "Three"]);
}

/// Adds the text of every Rust file below `folder`.
fn add_code(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_code(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_commands_of_the_demo_are_real() {
    let makefile = text("Makefile");
    let variables: Vec<(String, &str)> = makefile
        .lines()
        .filter_map(|line| line.split_once(" := "))
        .map(|(name, value)| (format!("$({name})"), value))
        .collect();
    let mut commands = 0;
    for line in makefile.lines().filter_map(|line| line.trim_start_matches(['\t', '@']).strip_prefix("$(SGAS) ")) {
        let line = variables.iter().fold(format!("sgas {line}"), |line, (name, value)| line.replace(name, value));
        assert_eq!(fault(&words(&line)), None, "{line}");
        commands += 1;
    }
    assert!(commands >= 4, "the demo searches, trains, shows and evaluates");
}

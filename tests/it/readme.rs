//! README.md and the Makefile's demo are true to the program: their commands parse, the configurations, keys and
//! published cells that these name exist, and so do the files and `make` targets. Nothing is run.

use sgas::cli;
use sgas::commands::Command;
use sgas::genotype::zoo;
use std::path::{Path, PathBuf};

/// Commands of the user's own shell that README may show.
const FOREIGN: [&str; 3] = ["export", "git", "cd"];

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(project(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The lines of the `sh` blocks of a text, without comments.
fn shell_lines(text: &str) -> Vec<String> {
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

/// The words of a command, without the variables that stand before it.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().skip_while(|word| word.split_once('=').is_some_and(|(name, _)| is_variable(name))).collect()
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
        Command::Search(options) if !options.run.resume => options.resolve().map(drop),
        Command::Train(options) if !options.run.resume => {
            let cell = options.genotype.as_deref().unwrap_or_default();
            options.resolve("modelnet40").and_then(|_| is_a_cell(cell))
        }
        Command::Eval(options) if options.weights.is_some() => options.resolve(None).map(drop),
        Command::Show(options) => is_a_cell(&options.genotype),
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

#[test]
fn every_command_of_the_readme_is_real() {
    let lines = shell_lines(&text("README.md"));
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
        "sgas eval --weights w.safetensors",
    ];
    for line in wrong {
        assert!(fault(&words(line)).is_some(), "{line}");
    }
    assert_eq!(fault(&words("SGAS_RUNS=/tmp sgas search --task modelnet40")), None);
    assert_eq!(shell_lines("```sh\nmake demo  # now\n\n```\nsgas x\n```\nsgas y\n```"), ["make demo"]);
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let readme = text("README.md");
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let code = readme.split('`').skip(1).step_by(2);
    let folders = ["configs/", "benches/", "src/", "tests/", "scripts/"];
    let ours = |name: &&str| folders.iter().any(|folder| name.starts_with(folder)) || name.ends_with(".md");
    let of_project = |name: &&str| !name.contains("://") && !name.contains(char::is_whitespace);
    let named: Vec<&str> = links.filter(of_project).chain(code.filter(of_project).filter(ours)).collect();
    assert!(named.contains(&"ARCHITECTURE.md"), "{named:?}");
    let missing: Vec<&&str> = named.iter().filter(|name| !project(name).exists()).collect();
    assert!(missing.is_empty(), "README.md names {missing:?}");
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

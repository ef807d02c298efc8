//! The command line: help, names, tables and JSON. What goes wrong stands in `errors`.

use assert_cmd::Command;
use predicates::str::contains;
use serde_json::Value;
use sgas::commands::{ShowOptions, show};
use sgas::genotype::{SpaceName, zoo};
use std::path::Path;

/// The program in `folder`, without the user's own settings.
pub fn sgas(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("sgas").expect("the binary is built with the tests");
    command.current_dir(folder).env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0");
    for name in ["SGAS_RUNS", "SGAS_DATA"] {
        command.env_remove(name);
    }
    command
}

/// What a command prints that succeeds.
pub fn run(folder: &Path, arguments: &str) -> String {
    let assert = sgas(folder).args(arguments.split_whitespace()).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

pub fn run_json(folder: &Path, arguments: &str) -> Value {
    serde_json::from_str(&run(folder, arguments)).unwrap()
}

/// What a command prints that ends with code 2, and its one error, which mentions all `words`.
pub fn refused(folder: &Path, arguments: &str, words: &[&str]) -> String {
    let assert = sgas(folder).args(arguments.split_whitespace()).assert().code(2);
    let [out, text] = [&assert.get_output().stdout, &assert.get_output().stderr]
        .map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    assert!(text.matches("error: ").count() == 1 && !text.contains("panicked"), "{text}");
    for word in words {
        assert!(text.contains(word), "{arguments}: '{word}' is not in: {text}");
    }
    out
}

fn json(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let output = sgas(folder.path()).args(arguments).assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

#[test]
fn every_command_has_help_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        "search",
        "train",
        "launch",
        "eval",
        "import",
        "predict",
        "export",
        "report",
        "watch",
        "show",
        "estimate",
        "regret",
        "config",
        "runs",
        "man",
        "init",
        "study",
        "correlate",
        "zoo",
        "data",
        "bench",
        "doctor",
        "completions",
    ] {
        sgas(folder.path()).args([command, "--help"]).assert().success().stdout(contains(format!("  sgas {command} ")));
    }
    for command in ["info", "synth"] {
        let help = sgas(folder.path()).args(["data", command, "--help"]).assert().success();
        help.stdout(contains(format!("  sgas data {command} shapes")));
    }
    sgas(folder.path()).arg("--help").assert().success().stdout(contains("sgas train --genotype cell.json --amp"));
    sgas(folder.path()).assert().code(2).stdout("").stderr(contains("Usage: sgas"));
    sgas(folder.path()).arg("--version").assert().success().stdout(contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_know_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        sgas(folder.path()).args(["completions", shell]).assert().success().stdout(contains("genotype"));
    }
}

#[test]
fn the_zoo_lists_every_published_cell() {
    let zoo = json(&["zoo", "--json"]);
    let cells = zoo["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 82);
    let named = |name: &str| cells.iter().find(|cell| cell["name"] == name).unwrap();
    assert_eq!(named("Cri1_CIFAR_1")["published"]["cifar10_test_error"], 2.44);
    assert_eq!(named("Cri1_CIFAR_1")["published"]["imagenet_top1_error"], 24.47);
    assert_eq!(named("Cri1_CIFAR_1")["published"]["published_params_m"], 3.75);
    assert_eq!(named("Cri1_CIFAR_1")["published"]["imagenet_published_params_m"], 5.25);
    assert_eq!(named("Cri2_ModelNet_4")["aliases"], serde_json::json!(["Cri2_ModelNet_Best"]));
    let folder = tempfile::tempdir().unwrap();
    let text = sgas(folder.path()).arg("zoo").assert().success().get_output().stdout.clone();
    let text = String::from_utf8(text).unwrap();
    assert!(cells.iter().all(|cell| text.contains(cell["name"].as_str().unwrap())));
}

/// In this process: starting the program for every cell would take most of the time.
#[test]
fn parameters_of_all_published_cells_are_exact() {
    for (space, cells) in [(SpaceName::POINT, 30), (SpaceName::IMAGE, 22), (SpaceName::GRAPH, 30)] {
        let cells_of_space: Vec<_> = zoo::cells().iter().filter(|cell| cell.space() == space).collect();
        assert_eq!(cells_of_space.len(), cells);
        for cell in cells_of_space {
            let shown = shown(&cell.name, None);
            assert_eq!(shown["parameters"], serde_json::to_value(&cell.params).unwrap(), "{}", cell.name);
        }
    }
}

/// What `sgas show` tells of a published cell, in this process.
fn shown(cell: &str, task: Option<&str>) -> Value {
    let options =
        ShowOptions { genotype: cell.to_owned(), task: task.map(str::to_owned), json: true, ..ShowOptions::default() };
    let mut output = Vec::new();
    show::run(&options, &mut output).unwrap();
    serde_json::from_slice(&output).unwrap()
}

#[test]
fn multiply_adds_on_imagenet_are_the_published_ones_within_a_million() {
    let published = &zoo::zoo().imagenet_results;
    assert_eq!(published.len(), 6);
    for (alias, numbers) in published {
        let shown = shown(alias, Some("imagenet"));
        let count = shown["multiply_adds_as_published"]["imagenet_C48_L14"].as_f64().unwrap() / 1e6;
        let expected = numbers["published_mult_adds_m"];
        assert!((count - expected).abs() <= 1.0, "{alias}: {count} for {expected}");
    }
    // Of a network whose every layer was counted apart, with hooks on the published code's.
    assert_eq!(shown("Cri2_CIFAR_4", Some("imagenet"))["multiply_adds"]["imagenet_C48_L14"], 606_355_008 + 768_000);
    assert_eq!(shown("Cri1_CIFAR_Best", Some("cifar100"))["parameters"].as_object().unwrap().len(), 1);
}

#[test]
fn show_draws_one_picture_per_kind_of_cell() {
    let folder = tempfile::tempdir().unwrap();
    sgas(folder.path()).args(["show", "Cri2_ModelNet_Best", "--svg", "point.svg"]).assert().success();
    sgas(folder.path()).args(["show", "Cri1_CIFAR_1", "--svg", "image.svg"]).assert().success();
    for name in ["point.svg", "image-normal.svg", "image-reduce.svg"] {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.contains("<svg"), "{name}");
    }
}

#[test]
fn show_draws_in_the_format_that_the_name_says() {
    let folder = tempfile::tempdir().unwrap();
    for (name, begin) in
        [("cell.PNG", &b"\x89PNG"[..]), ("cell.pdf", b"%PDF"), ("cell.dot", b"//"), ("cell.svg", b"<svg")]
    {
        let command = format!("show Cri2_ModelNet_Best --draw {name}");
        run(folder.path(), &command);
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        assert!(bytes.starts_with(begin), "{name}");
        run(folder.path(), &command);
        std::fs::write(folder.path().join(name), [begin, b" of another program"].concat()).unwrap();
        refused(folder.path(), &command, &["expected a drawing", "--force"]);
    }
    run(folder.path(), "show Cri1_CIFAR_1 --draw two.png");
    assert!(folder.path().join("two-normal.png").is_file() && folder.path().join("two-reduce.png").is_file());
    refused(
        folder.path(),
        "show Cri2_ModelNet_Best --draw cell.jpg",
        &["--draw: expected a name that ends in .svg, .png"],
    );
}

#[test]
fn show_takes_a_file_and_a_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    let cell = json(&["show", "Cri2_ModelNet_Best", "--json"])["genotype"].to_string();
    std::fs::write(folder.path().join("cell.json"), &cell).unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join("genotype.json"), &cell).unwrap();
    let about = r#"{"command": "search", "task": "points", "version": "0", "data": "synthetic"}"#;
    std::fs::write(run.join("run.json"), about).unwrap();
    for (typed, name, task) in [("cell.json", "cell", Value::Null), ("run", "run", "points".into())] {
        let output = sgas(folder.path()).args(["show", typed, "--json"]).assert().success().get_output().stdout.clone();
        let shown: Value = serde_json::from_slice(&output).unwrap();
        assert_eq!((&shown["name"], &shown["task"]), (&name.into(), &task));
        assert_eq!(shown["parameters"]["modelnet40_C128_9cells"], 8_491_432);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let program = assert_cmd::cargo::cargo_bin("sgas");
    let mut child = std::process::Command::new(program)
        .args(["zoo", "--json"])
        .env("GOMP_SPINCOUNT", "0")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

//! Configurations as people meet them: every key is described, and the page in docs/ is what the program says.

use crate::cli::{refused, run, run_json, sgas};
use std::path::Path;

#[test]
fn the_page_of_keys_is_what_the_program_says() {
    let folder = tempfile::tempdir().unwrap();
    let told = run(folder.path(), "config --keys --markdown");
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let differs = told.lines().zip(page.lines()).find(|(told, page)| told != page);
    assert!(told == page, "`sgas config --keys --markdown > docs/configuration.md` makes it anew: {differs:?}");
}

#[test]
fn keys_are_found_by_how_they_begin_and_by_the_kind_of_run() {
    let folder = tempfile::tempdir().unwrap();
    let text = run(folder.path(), "config --keys search.candidates");
    assert!(text.contains("search.candidates.epochs  (search)") && !text.contains("search.batch  "), "{text}");
    let of_training = run_json(folder.path(), "config --keys --of train --json");
    let names: Vec<&str> = of_training.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"train.patience") && !names.contains(&"search.batch"), "{names:?}");
    refused(
        folder.path(),
        "config --keys serach.batch",
        &["no key begins with 'serach.batch'", "did you mean search.batch?"],
    );
    assert!(run(folder.path(), "config modelnet40-cpu --of train").starts_with("# Retraining on ModelNet40"));
    refused(folder.path(), "config modelnet40-cup --of train", &["did you mean modelnet40-cpu?"]);
}

/// What `init` writes is taken, and says the same as the task's own configuration.
#[test]
fn a_configuration_to_begin_with_is_that_of_the_task() {
    let folder = tempfile::tempdir().unwrap();
    for (of, task) in
        [("search", "modelnet40"), ("train", "modelnet40"), ("search", "cifar10"), ("train", "ppi"), ("train", "s3dis")]
    {
        let name = format!("{of}-{task}.toml");
        let told = run(folder.path(), &format!("init --task {task} --of {of} --output {name}"));
        assert!(told.contains(&format!("sgas {of} --config {name}")), "{told}");
        let text = std::fs::read_to_string(folder.path().join(&name)).unwrap();
        let written: toml::Table = text.parse().unwrap();
        let own = match of {
            "search" => {
                sgas::config::parse::<sgas::config::SearchRun>(&name, &text, &[]).unwrap()
                    == sgas::config::embedded_run(task).unwrap()
            }
            _ => {
                sgas::config::parse::<sgas::config::TrainRun>(&name, &text, &[]).unwrap()
                    == sgas::config::embedded_run(task).unwrap()
            }
        };
        assert!(own, "{name} says something else: {written:?}");
        refused(folder.path(), &format!("init --task {task} --of {of} --output {name}"), &["--output"]);
    }
    // Every key stands in it, set or not.
    let text = std::fs::read_to_string(folder.path().join("search-cifar10.toml")).unwrap();
    for line in ["# steps = ...", "[search.candidates]", "criterion = 1"] {
        assert!(text.lines().any(|known| known.starts_with(line)), "{line} in {text}");
    }
    sgas(folder.path()).args(["init", "--task", "cifar11"]).assert().code(2);
}

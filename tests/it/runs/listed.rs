//! Runs as a list, beside each other, and without what they no longer need.

use super::{output, search, train};
use crate::cli::{refused, run, run_json};

#[test]
fn runs_are_listed_compared_and_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    output(&mut search(folder, "--out runs/deep/one --set search.epochs=1"));
    output(&mut train(folder, "--out runs/two --set train.epochs=2 --set data.validation=0.25"));
    // One that was stopped: its last events are gone.
    output(&mut train(folder, "--out runs/cut --set train.epochs=1 --seed 9"));
    let events = folder.join("runs/cut/events.jsonl");
    let text = std::fs::read_to_string(&events).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("\"finished\"")).collect();
    std::fs::write(&events, kept.join("\n") + "\n").unwrap();

    let listed = run_json(folder, "runs --sort name --json");
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|run| run["path"].as_str().unwrap()).collect();
    assert_eq!(names, ["runs/cut", "runs/deep/one", "runs/two"]);
    assert_eq!((&listed[0]["state"], &listed[1]["method"]), (&"unfinished".into(), &"sgas 1".into()));
    assert_eq!((&listed[2]["epochs_done"], &listed[2]["validated"]), (&2.into(), &true.into()));
    let told = run(folder, "runs --of train --state finished");
    assert!(told.contains("runs/two") && !told.contains("runs/cut") && !told.contains("deep"), "{told}");
    assert!(run(folder, "runs --task ppi").contains("no such runs under runs"));

    let told = run(folder, "runs --compare runs/two runs/cut --sort name");
    let seeds = told.lines().find(|line| line.trim_start().starts_with("seed ")).unwrap();
    assert!(seeds.contains("9  |  ") && told.contains("data.validation"), "{told}");
    refused(folder, "runs --compare runs/two", &["two runs or more, and there are 1"]);
    refused(folder, "runs nowhere", &["nowhere: there is no such folder"]);

    let told = run(folder, "runs --prune checkpoints");
    assert!(told.contains("would remove runs/two/checkpoint") && told.contains("2 in all"), "{told}");
    assert!(folder.join("runs/two/checkpoint").is_dir());
    run(folder, "runs --prune checkpoints --yes");
    run(folder, "runs --prune unfinished --yes");
    assert!(!folder.join("runs/two/checkpoint").exists() && !folder.join("runs/cut").exists());
    assert!(run_json(folder, "eval --run runs/two --json")["overall_accuracy"].is_number());
    output(&mut train(folder, "--genotype runs/deep/one --set train.epochs=1 --out again"));
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let told = run(folder.path(), "man pages");
    let page = std::fs::read_to_string(folder.path().join("pages/sgas-search.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("criterion"), "{told}: {page}");
    assert!(folder.path().join("pages/sgas.1").is_file() && folder.path().join("pages/sgas-data-info.1").is_file());
}

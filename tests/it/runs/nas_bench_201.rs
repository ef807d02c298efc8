//! Whole runs on cells of NAS-Bench-201: searched, cut and resumed, trained, evaluated.

use super::images::smoke;
use super::resume::{Name, Stop, kill_at};
use super::{assert_equal_runs, decisions, output};
use crate::cli::sgas;

#[test]
fn a_cell_is_searched_resumed_trained_and_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let task = "cifar10-nas-bench-201";
    let text = output(&mut smoke(folder.path(), "search", task, "--out found --save cell.json"));
    assert!(text.contains("normal cell") && !text.contains("reduce cell"), "{text}");
    let found = folder.path().join("found");
    assert_eq!(decisions(&found).len(), 6);
    kill_at(&smoke(folder.path(), "search", task, "--out cut"), Stop::Logged(Name::Decision, 3));
    output(sgas(folder.path()).args(["search", "--out", "cut", "--resume", "--threads", "1", "--device", "cpu"]));
    assert_equal_runs(&found, &folder.path().join("cut"));
    output(&mut smoke(folder.path(), "train", task, "--genotype cell.json --out trained --set train.epochs=2"));
    let config = std::fs::read_to_string(folder.path().join("trained/config.toml")).unwrap();
    assert!(config.contains("network = \"nas-bench-201\""), "{config}");
    output(sgas(folder.path()).args(["eval", "--run", "trained"]));
    output(&mut smoke(folder.path(), "search", task, "--out darts --set search.strategy=darts --set search.epochs=1"));
    assert!(output(sgas(folder.path()).args(["show", "darts"])).contains("as NAS-Bench-201 writes it: |"));
}

/// A task's own configuration has other sizes, so a space chosen by its name brings its own.
#[test]
fn the_space_brings_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let set = ["--set", "data.synthetic.train=40", "--set", "data.synthetic.test=20", "--set", "data.images.size=8"];
    let tiny = [
        "--set",
        "model.cells=3",
        "--set",
        "model.channels=4",
        "--threads",
        "1",
        "--device",
        "cpu",
        "--data",
        "synthetic",
    ];
    let search =
        ["search", "--task", "cifar10", "--space", "nas-bench-201", "--out", "found", "--set", "search.epochs=1"];
    let batch = ["--set", "search.batch=10", "--set", "search.strategy=darts"];
    output(sgas(folder.path()).args(search).args(set).args(tiny).args(batch));
    let train =
        ["train", "--genotype", "found", "--out", "trained", "--set", "train.epochs=1", "--set", "train.batch=20"];
    output(sgas(folder.path()).args(train).args(set).args(tiny));
    let config = |run: &str| std::fs::read_to_string(folder.path().join(run).join("config.toml")).unwrap();
    assert!(config("found").contains("weight_decay = 0.0005") && config("trained").contains("weight_decay = 0.0005"));
}

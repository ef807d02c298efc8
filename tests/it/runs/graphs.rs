//! Own graphs, from their files to scores and predictions.

use super::output;
use crate::cli::sgas;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Runs a command of one line on the CPU with one thread.
fn run(folder: &Path, line: &str) -> String {
    let place: &[&str] = if line.starts_with("data") { &[] } else { &["--threads", "1", "--device", "cpu"] };
    output(sgas(folder).args(line.split_whitespace()).args(place))
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Writes a graph as files, then searches, trains, evaluates and predicts; the folder holds all that came of it.
fn whole_way(data: &str) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &format!("data synth g --kind graphs --train 200 --test 100 {data}"));
    run(folder.path(), "search --config smoke/search-graphs --data g --out found --save cell.json");
    // One graph is one step an epoch.
    let train = "train --genotype cell.json --config smoke/train-graphs --data g --out trained --set train.epochs=60";
    run(folder.path(), train);
    let report = serde_json::from_str(&run(folder.path(), "eval --run trained --json")).unwrap();
    run(folder.path(), "predict --run trained --input g --output nodes.csv");
    (folder, report)
}

/// The rows of the predictions by column.
fn predicted(folder: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(folder.join("nodes.csv")).unwrap().deserialize().map(Result::unwrap).collect()
}

#[test]
fn every_node_of_a_graph_is_predicted_as_evaluation_scores_it() {
    let (folder, report) = whole_way("--layout one");
    let rows = predicted(folder.path());
    let labels = lines(&folder.path().join("g/labels.csv"));
    let classes = &labels[labels.len() - rows.len()..];
    assert_eq!(rows.len(), 400);
    let test: Vec<usize> =
        lines(&folder.path().join("g/test.txt")).iter().filter_map(|node| node.parse().ok()).collect();
    let right = test.iter().filter(|node| rows[**node]["class"] == classes[**node]).count();
    assert_eq!(report["samples"], test.len());
    assert_eq!(report["overall_accuracy"].as_f64().unwrap(), right as f64 / test.len() as f64);
    // Five classes: chance is a fifth.
    assert!(right * 2 > test.len(), "{right} of {}", test.len());
}

#[test]
fn several_labels_are_scored_and_predicted() {
    let (folder, report) = whole_way("--layout one --multi-label");
    let score = |name: &str| report[name].as_f64().unwrap();
    assert!(score("micro_f1") > 0.0 && score("macro_f1") > 0.0);
    assert!((score("micro_f1") - score("graph_mean_micro_f1")).abs() < 1e-12, "one graph is its own mean");
    let rows = predicted(folder.path());
    let names: Vec<&str> =
        report["per_label"].as_array().unwrap().iter().map(|label| label["label"].as_str().unwrap()).collect();
    for row in &rows {
        let held: Vec<&str> = names.iter().copied().filter(|name| row[*name].parse::<f64>().unwrap() > 0.5).collect();
        assert_eq!(row["labels"], held.join("; "));
    }
    assert_eq!(rows.len(), 400);
}

/// A graph of which few nodes train and whose links join equal classes, as files.
fn of_few_labels(folder: &Path) {
    run(folder, "data synth g --kind graphs --train 20 --test 10");
    let nodes = lines(&folder.join("g/labels.csv")).len() - 1;
    let list = |from: usize, to: usize| (from..to).map(|node| format!("{node}\n")).collect::<String>();
    for (name, from, to) in [("train", 0, nodes / 8), ("valid", nodes / 8, nodes / 2), ("test", nodes / 2, nodes)] {
        std::fs::write(folder.join(format!("g/{name}.txt")), list(from, to)).unwrap();
    }
}

#[test]
fn few_labels_take_their_own_recipe_unless_another_is_named() {
    let folder = tempfile::tempdir().unwrap();
    of_few_labels(folder.path());
    let short =
        "--strategy sgas --set search.epochs=1 --set search.steps=1 --set decision.warmup=0 --set graph.teleport=0.25";
    let search = |more: &str| run(folder.path(), &format!("search --task graphs --data g {short} {more}"));
    search("--out found");
    // Unless another strategy is named, cells are trained alone.
    let alone = "--strategy predictor --set search.steps=1 --set search.candidates.cells=2 --set search.candidates.epochs=1 --out alone";
    run(folder.path(), &format!("search --task graphs --data g {alone}"));
    assert!(folder.path().join("alone/candidates.json").is_file());
    let config = |run: &str| std::fs::read_to_string(folder.path().join(run).join("config.toml")).unwrap();
    let found = config("found");
    for line in ["norm = \"none\"", "propagation = 10", "teleport = 0.25"] {
        assert!(found.contains(line), "{line} in {found}");
    }
    search("--out usual --config graphs");
    assert!(config("usual").contains("norm = \"batch\"") && config("usual").contains("propagation = 0"));
    // Cells of another space know nothing of it.
    search("--space nas-bench-graph --out other");
    assert!(config("other").contains("propagation = 0"));
    // The same command finds the run that it began.
    search("");
    search("--resume");
    assert_eq!(std::fs::read_dir(folder.path().join("runs")).unwrap().count(), 1);
    run(folder.path(), "train --genotype found --task graphs --data g --out trained --set train.epochs=2");
    assert!(config("trained").contains("norm = \"none\""));
    let score = run(folder.path(), "eval --run trained --json");
    assert!(serde_json::from_str::<Value>(&score).unwrap()["overall_accuracy"].is_number());
}

#[test]
fn cells_of_nas_bench_graph_are_searched_trained_and_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let of = "--data synthetic";
    run(folder.path(), &format!("search --config smoke/search-graphs --space nas-bench-graph --out found {of}"));
    let text = std::fs::read_to_string(folder.path().join("found/genotype.json")).unwrap();
    assert!(text.contains("\"space\": \"nas-bench-graph\""), "{text}");
    // With raw features in the cell, and with a layer before it.
    for layers in [0, 1] {
        let set = format!("--set nas_bench_graph.layers_before={layers} --set train.epochs=2");
        run(folder.path(), &format!("train --config smoke/train-graphs --genotype found --out t{layers} {set} {of}"));
        let printed = run(folder.path(), &format!("eval --run t{layers}"));
        assert!(printed.contains("overall accuracy"), "{printed}");
    }
}

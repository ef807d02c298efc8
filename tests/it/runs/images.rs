//! Whole runs on pictures: the same loops, commands and promises as for points.

use super::{failure, output};
use crate::cli::sgas;
use assert_cmd::Command;
use sgas::report::Event;
use sgas::report::log::events;
use sgas::topology::CellKind;
use std::path::Path;

/// A run of a size that takes seconds; `more` are further arguments.
pub(super) fn smoke(folder: &Path, command: &str, task: &str, more: &str) -> Command {
    let mut sgas = sgas(folder);
    sgas.args([command, "--config", &format!("smoke/{command}-{task}"), "--data", "synthetic"]);
    sgas.args(["--threads", "1", "--device", "cpu"]);
    sgas.args(["--set", "data.synthetic.train=80", "--set", "data.synthetic.test=40"]);
    sgas.args(more.split_whitespace());
    sgas
}

/// A search of both kinds of cell, its training with the published loss, its evaluation.
#[test]
fn pictures_are_searched_trained_and_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let text = output(&mut smoke(folder.path(), "search", "cifar10", "--out found --save cell.json"));
    assert!(text.contains("normal cell") && text.contains("reduce cell"), "{text}");
    let found = events(&folder.path().join("found")).unwrap();
    for kind in [CellKind::Normal, CellKind::Reduce] {
        let of_kind = |event: &&Event| matches!(event, Event::Decision(decision) if decision.kind == kind);
        assert_eq!(found.iter().filter(of_kind).count(), 8, "{kind}");
        assert!(folder.path().join(format!("found/cell-{kind}.svg")).is_file());
    }
    // Eight decisions of either kind in the same epochs: the batch grows once in each.
    let batches: Vec<usize> = found.iter().filter_map(|event| Some(epoch(event)?.batch_size)).collect();
    assert_eq!((batches[0], *batches.last().unwrap()), (32, 64));
    let text = output(&mut smoke(
        folder.path(),
        "train",
        "cifar10",
        "--genotype cell.json --out trained --set image.auxiliary=true --set train.label_smoothing=0.1 \
         --set data.images.size=32 --set train.drop_path=0.2 --set train.epochs=2 --set train.batch=32",
    ));
    assert!(text.contains("best on validation"), "{text}");
    let text = output(sgas(folder.path()).args(["eval", "--run", "trained"]));
    for wanted in ["synthetic", "overall accuracy:", "(error ", "top-5 accuracy:", "most often taken for"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let report = std::fs::read_to_string(folder.path().join("trained/eval-test.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let score = |name: &str| report[name].as_f64().unwrap();
    assert!(score("top5_accuracy") >= score("overall_accuracy"));
    assert_eq!(report["samples"], 40);
}

fn epoch(event: &Event) -> Option<&sgas::report::EpochReport> {
    if let Event::Epoch(report) = event { Some(report) } else { None }
}

/// The stem of large images, and crops that every picture draws for itself.
#[test]
fn the_recipe_of_imagenet_runs() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut smoke(
        folder.path(),
        "search",
        "imagenet",
        "--out found --set search.strategy=darts --set search.epochs=1",
    ));
    let schedule = "--set weights.schedule=linear --set weights.warmup_epochs=2 --set train.label_smoothing=0.1";
    let more = format!("--genotype found --out trained --set train.epochs=2 --set train.batch=32 {schedule}");
    output(&mut smoke(folder.path(), "train", "imagenet", &more));
    let rates: Vec<f64> = events(&folder.path().join("trained"))
        .unwrap()
        .iter()
        .filter_map(|event| Some(epoch(event)?.learning_rate))
        .collect();
    assert_eq!(rates, [0.025, 0.025], "half of 0.05 by the warm-up, then half by the line");
}

/// Cells of other methods: more nodes, a source twice in a node, primitives that only retraining knows.
#[test]
fn freer_published_cells_train() {
    let folder = tempfile::tempdir().unwrap();
    for cell in ["NASNet", "AmoebaNet"] {
        let more = format!(
            "--genotype {cell} --out {cell} --set train.epochs=1 --set train.batch=32 --set model.channels=4 \
             --set image.auxiliary=true --set data.images.size=32"
        );
        let text = output(&mut smoke(folder.path(), "train", "cifar10", &more));
        assert!(text.contains("last epoch: training accuracy"), "{text}");
        assert!(folder.path().join(cell).join("weights-last.safetensors").is_file());
    }
}

#[test]
fn a_cell_of_shapes_does_not_train_on_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let text = failure(
        sgas(folder.path()).args([
            "train",
            "--genotype",
            "Cri2_ModelNet_Best",
            "--task",
            "cifar10",
            "--data",
            "synthetic",
        ]),
        2,
    );
    assert!(text.contains("image") && text.contains("point"), "{text}");
    assert!(!folder.path().join("runs").exists());
}

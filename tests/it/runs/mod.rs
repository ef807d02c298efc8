//! Whole runs of the program on tiny synthetic data: what they leave, whether they repeat, whether they go on.

mod areas;
mod baselines;
mod beside;
mod candidates;
mod export;
mod extend;
mod facts;
mod faults;
mod graphs;
mod honest;
mod hostile_weights;
mod images;
mod kills;
mod listed;
mod nas_bench_201;
mod not_finite;
mod old;
mod parts;
mod predict;
mod refusals;
mod reports;
mod resume;
mod scenes;
mod search;
mod shared;
mod signals;
mod study;
mod train;
mod weights;

use crate::cli::sgas;
use assert_cmd::Command;
use sgas::report::log::events;
use sgas::report::{AlphaReport, DecisionReport, EpochReport, Event, Learner, PeakMemory, Phases};
use std::collections::BTreeMap;
use std::path::Path;

/// Sizes with which an epoch takes a fraction of a second.
const SIZES: [&str; 5] =
    ["data.points=48", "model.channels=4", "point.embedding=16", "data.synthetic.train=40", "data.synthetic.test=20"];

/// A valid cell, so that a training needs no search before it.
const CELL: &str = r#"{"space": "point", "normal": [["mr_conv", 0], ["sage", 1], ["gat", 1], ["conv_1x1", 2],
    ["skip_connect", 0], ["semi_gcn", 3]], "normal_concat": [1, 2, 3, 4], "task": "points"}"#;

fn sized(folder: &Path, command: &str, more: &str) -> Command {
    let mut sgas = sgas(folder);
    sgas.args([command, "--data", "synthetic", "--config", &format!("smoke/{command}-points")]);
    sgas.args(["--threads", "1", "--device", "cpu", "--set", &format!("{command}.batch=8")]);
    sgas.args(SIZES.iter().flat_map(|size| ["--set", size]));
    sgas.args(more.split_whitespace());
    sgas
}

/// A search in `folder` with six decisions in eleven epochs; `more` are further arguments.
fn search(folder: &Path, more: &str) -> Command {
    sized(folder, "search", more)
}

/// A training of [`CELL`] in `folder`; `more` are further arguments, and may name another genotype.
fn train(folder: &Path, more: &str) -> Command {
    let mut command = sized(folder, "train", more);
    if !more.contains("--genotype") {
        std::fs::write(folder.join("cell.json"), CELL).unwrap();
        command.args(["--genotype", "cell.json"]);
    }
    command
}

/// What stands on standard output of a command that succeeds.
fn output(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

/// What stands on standard error of a command that ends with `code`: one error, no panic.
fn failure(command: &mut Command, code: i32) -> String {
    let text = String::from_utf8(command.assert().code(code).get_output().stderr.clone()).unwrap();
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
    for word in ["panicked", "backtrace", "internal error", "RUST_"] {
        assert!(!text.contains(word), "{text}");
    }
    text
}

/// The epochs of a run, in order.
fn epochs(run: &Path) -> Vec<EpochReport> {
    let epoch = |event| if let Event::Epoch(report) = event { Some(report) } else { None };
    events(run).unwrap().into_iter().filter_map(epoch).collect()
}

/// Norms of the gradients of all that learned in an epoch, and phases that fit into its time.
fn check_costs(epoch: &EpochReport, learners: &[Learner]) {
    let of: Vec<Learner> = epoch.gradients.iter().map(|gradients| gradients.of).collect();
    assert_eq!(of, learners, "{epoch:?}");
    assert!(epoch.gradients.iter().all(|norms| norms.mean > 0.0 && norms.mean <= norms.greatest), "{epoch:?}");
    let Phases { data, alphas, weights, validation } = epoch.phases;
    assert!(alphas > 0.0 || !learners.contains(&Learner::Alphas), "{epoch:?}");
    assert!(data > 0.0 && weights > 0.0 && validation > 0.0, "{epoch:?}");
    assert!(data + alphas + weights + validation <= epoch.seconds, "{epoch:?}");
    let PeakMemory { resident_bytes, device_bytes, device_reserved_bytes } = epoch.memory;
    assert!(resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{epoch:?}");
    assert_eq!([device_bytes, device_reserved_bytes], [None; 2]);
}

/// The decisions of a run, in order.
fn decisions(run: &Path) -> Vec<DecisionReport> {
    let decision = |event| if let Event::Decision(report) = event { Some(report) } else { None };
    events(run).unwrap().into_iter().filter_map(decision).collect()
}

/// The tables of alphas of a run, in order.
fn alphas(run: &Path) -> Vec<AlphaReport> {
    let alphas = |event| if let Event::Alphas(report) = event { Some(report) } else { None };
    events(run).unwrap().into_iter().filter_map(alphas).collect()
}

/// All that a run told, without times and memory: a resumed run begins more than once, and takes another time.
fn told(run: &Path) -> Vec<Event> {
    let timeless = |event| match event {
        Event::Started { .. } | Event::Stopped { .. } => None,
        Event::Epoch(report) => Some(Event::Epoch(report.without_costs())),
        Event::Finished { .. } => Some(Event::Finished { seconds: 0.0 }),
        other => Some(other),
    };
    events(run).unwrap().into_iter().filter_map(timeless).collect()
}

/// The rows of `metrics.csv` without the columns of seconds and bytes.
fn table(run: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    let rows: Vec<Vec<String>> = text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
    let is_cost = |name: &str| name.ends_with("seconds") || name.ends_with("bytes");
    let kept: Vec<usize> = (0..rows[0].len()).filter(|column| !is_cost(&rows[0][*column])).collect();
    rows.iter().map(|row| kept.iter().map(|column| row[*column].clone()).collect()).collect()
}

/// The files of a run that hold neither clock nor lengths of logs, with their bytes.
fn results(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let named = std::fs::read_dir(run).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), path)
    });
    let logs = ["events.jsonl", "metrics.csv", "log.txt", "events.out.tfevents.sgas", "checkpoint"];
    let kept = named.filter(|(name, _)| !logs.contains(&name.as_str()));
    kept.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

/// Asserts that two runs came to the same, to the bit.
fn assert_equal_runs(one: &Path, other: &Path) {
    assert_eq!(told(one), told(other));
    assert_eq!(table(one), table(other));
    let (one, other) = (results(one), results(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(*bytes == other[name], "{name} differs");
    }
}

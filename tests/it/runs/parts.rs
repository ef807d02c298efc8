//! Searches with parts beside the strategy: in every space from the command line, killed and gone on with, refused.

use super::resume::{Name, Stop, kill_at};
use super::{assert_equal_runs, decisions, epochs, events, failure, output, search};
use crate::cli::sgas;
use sgas::report::Event;
use std::path::Path;

/// A search by the smoke configuration of this name.
pub(super) fn smoke(folder: &Path, name: &str, more: &str) -> assert_cmd::Command {
    let mut command = sgas(folder);
    command.args(["search", "--data", "synthetic", "--threads", "1", "--device", "cpu"]);
    command.args(["--config", &format!("smoke/search-{name}"), "--set", "data.synthetic.train=20"]);
    command.args(["--set", "data.synthetic.test=10"]).args(more.split_whitespace());
    command
}

/// Searches every space with these words behind `name`'s own, and shows each run, its number of decisions checked.
fn search_every_space(line: impl Fn(&str, &str) -> String, check: impl Fn(&str, &Path)) {
    for (name, space, count) in SPACES {
        let folder = tempfile::tempdir().unwrap();
        let mut command = smoke(folder.path(), name, &format!("{space} {} --out run", line(name, space)));
        let told = command.assert().success().get_output().stderr.clone();
        let run = folder.path().join("run");
        assert_eq!(decisions(&run).len(), count, "{name}: {}", String::from_utf8_lossy(&told));
        check(name, &run);
    }
}

/// Whether the found cell says this of its search.
fn is_told(run: &Path, words: &str) -> bool {
    std::fs::read_to_string(run.join("genotype.json")).unwrap().contains(words)
}

const PARTS: &str = "--selection perturbation --regularizer beta";

/// Smoke configurations with their space where it is not the task's own, and the decisions of a search.
pub(super) const SPACES: [(&str, &str, usize); 5] = [
    ("points", "", 6),
    ("images", "", 16),
    ("graphs", "", 6),
    ("graphs", "--space nas-bench-graph", 4),
    ("cifar10-nas-bench-201", "", 6),
];

#[test]
fn every_space_is_searched_by_greedy_decisions_with_parts() {
    search_every_space(
        |_, _| format!("--strategy sgas {PARTS}"),
        |_, run| {
            for decision in decisions(run) {
                assert!(decision.score.get("score").is_some() && decision.score.get("validation_without").is_some());
            }
        },
    );
}

#[test]
fn every_space_is_searched_by_perturbation_after_training() {
    search_every_space(
        |_, _| format!("--strategy darts {PARTS} --set search.perturbation.epochs=1"),
        |_, run| {
            let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
            for key in ["selection = \"perturbation\"", "regularizer = \"beta\"", "[search.perturbation]\nepochs = 1"] {
                assert!(config.contains(key), "{config}");
            }
            assert!(is_told(run, "\"selection\": \"perturbation\""));
        },
    );
}

#[test]
fn every_space_is_searched_by_single_paths() {
    search_every_space(
        |_, _| "--strategy one-shot --set search.one_shot.cells=5 --set search.epochs=2".to_owned(),
        |_, run| {
            let candidates = events(run).unwrap().into_iter().filter(|event| matches!(event, Event::Candidate(_)));
            assert_eq!(candidates.count(), 5);
        },
    );
}

#[test]
fn every_space_is_searched_by_drawn_shares() {
    search_every_space(
        |_, _| "--strategy sgas --criterion 2 --mixture dirichlet".to_owned(),
        |_, run| assert!(is_told(run, "\"mixture\": \"dirichlet\"")),
    );
}

#[test]
fn every_space_is_searched_through_a_part_of_the_channels() {
    let chooses = |name: &str, space: &str| !space.contains("nas-bench") && !name.contains("nas-bench");
    search_every_space(
        |name, space| {
            let weights = if chooses(name, space) { "--edge-weights" } else { "" };
            // Attention of nas-bench-graph has four heads.
            let channels = if space.is_empty() { "" } else { "--set model.channels=8" };
            format!("{channels} --partial-channels 2 {weights}")
        },
        |name, run| {
            assert!(is_told(run, "\"partial_channels\": 2"));
            let space = std::fs::read_to_string(run.join("config.toml")).unwrap();
            let space = if space.contains("space = \"nas-bench") { "nas-bench" } else { "" };
            assert_eq!(is_told(run, "\"edge_weights\": true"), chooses(name, space));
        },
    );
}

#[test]
fn every_space_is_searched_with_operations_that_freeze() {
    search_every_space(
        |_, _| "--freezing similarity --set search.similarity.window=1".to_owned(),
        |name, run| {
            let told = std::fs::read_to_string(run.join("log.txt")).unwrap();
            assert!(told.contains("operations with weights are frozen"), "{name}: {told}");
            assert!(is_told(run, "\"freezing\": \"similarity\""));
        },
    );
}

#[test]
fn a_killed_search_with_parts_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    for (name, strategy) in [
        ("sgas", format!("sgas --criterion 2 {PARTS}")),
        ("darts", format!("darts --set search.perturbation.epochs=1 --set search.epochs=12 {PARTS}")),
        ("frozen", "sgas --freezing similarity --set search.similarity.window=2".to_owned()),
        ("part", "sgas --partial-channels 2 --edge-weights".to_owned()),
        ("drawn", "sgas --criterion 2 --mixture dirichlet --order 2".to_owned()),
        ("paths", "one-shot --set search.one_shot.cells=3 --set search.epochs=4".to_owned()),
    ] {
        let line = format!("--strategy {strategy} --out");
        output(&mut search(folder.path(), &format!("{line} {name}-whole")));
        let stop = if name == "paths" { Stop::Logged(Name::Epoch, 2) } else { Stop::Logged(Name::Decision, 2) };
        kill_at(&search(folder.path(), &format!("{line} {name}-cut")), stop);
        let go_on = ["search", "--out", &format!("{name}-cut"), "--resume", "--threads", "1", "--device", "cpu"];
        output(sgas(folder.path()).args(go_on));
        assert_equal_runs(&folder.path().join(format!("{name}-whole")), &folder.path().join(format!("{name}-cut")));
    }
}

#[test]
fn what_does_not_go_together_is_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (parts, words) in [
        ("--strategy random --selection perturbation", "--selection: expected the strategy sgas or darts"),
        ("--strategy random --mixture dirichlet", "--mixture: expected a strategy that trains alphas"),
        (
            "--regularizer beta --mixture dirichlet",
            "--mixture: expected dirichlet with no other rule for shares beside it, found the regularizer beta",
        ),
        ("--partial-channels 3", "--partial-channels: expected a divisor of model.channels, which is"),
        ("--partial-channels 1", "--partial-channels: expected 2 to 1024 parts of the channels, found 1"),
        ("--strategy random --partial-channels 2", "--partial-channels: expected a strategy that trains alphas"),
        ("--strategy random --edge-weights", "--edge-weights: expected a strategy that trains alphas"),
        ("--strategy random --freezing similarity", "--freezing: expected a strategy that trains alphas"),
        ("--set search.similarity.threshold=2", "search.similarity.threshold: expected -1 to 1, found 2"),
        ("--set search.dirichlet.divergence=-1", "search.dirichlet.divergence: expected 0 to 1000000, found -1"),
        ("--strategy random --regularizer beta", "--regularizer: expected a strategy that trains alphas"),
        (
            "--strategy darts --selection perturbation --set search.epochs=50",
            "search.epochs: expected more than the 50",
        ),
        ("--selection perturbance", "--selection: expected \"perturbation\", found \"perturbance\""),
        ("--strategy one-shot --regularizer beta", "--regularizer: expected a strategy that trains alphas"),
        ("--strategy one-shot --partial-channels 2", "--partial-channels: expected a strategy that trains alphas"),
        ("--strategy one-shot --freezing similarity", "--freezing: expected a strategy that trains alphas"),
        ("--strategy one-shot --selection perturbation", "--selection: expected the strategy sgas or darts"),
        ("--set search.one_shot.cells=0", "search.one_shot.cells: expected 1 to 100000 cells, found 0"),
        ("--set search.beta.scale=-1", "search.beta.scale: expected 0 to 1000000, found -1"),
        ("--set search.perturbation.epochs=0", "search.perturbation.epochs: expected 1 to 1000000 epochs, found 0"),
    ] {
        let text = failure(&mut search(folder.path(), &format!("{parts} --out run")), 2);
        assert!(text.contains(words), "{text}");
        assert!(!folder.path().join("run").exists());
    }
}

#[test]
fn a_bound_holds_for_the_network_that_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let at = |config: &str| format!("--set search.limits.config=smoke/train-{config}");
    let mut sizes = Vec::new();
    for most in ["999999999", "0"] {
        // The least that there is stands in the error.
        let most = if most == "0" {
            let text =
                failure(&mut smoke(folder.path(), "images", &format!("--max-params 1 {} --out no", at("images"))), 2);
            let least = text.split("at least ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
            assert!(text.contains("--max-params: expected at least") && !folder.path().join("no").exists(), "{text}");
            least
        } else {
            most.to_owned()
        };
        let run = format!("run-{most}");
        let line = format!("--max-params {most} --max-macs 999999999 {} --out {run}", at("images"));
        output(&mut smoke(folder.path(), "images", &line));
        let mut train = sgas(folder.path());
        train.args([
            "train",
            "--data",
            "synthetic",
            "--config",
            "smoke/train-images",
            "--threads",
            "1",
            "--device",
            "cpu",
        ]);
        train.args(["--genotype", &run, "--set", "image.auxiliary=false", "--set", "train.epochs=1"]);
        output(train.args(["--out", &format!("trained-{most}")]));
        let trained = epochs(&folder.path().join(format!("trained-{most}")))[0].parameters;
        assert!(trained <= most.parse().unwrap(), "{trained} of {most}");
        sizes.push(trained);
    }
    assert!(sizes[1] < sizes[0], "{sizes:?}");
    for (line, words) in [
        ("--strategy darts --max-params 1000000", "expected the strategy sgas, one-shot"),
        ("--strategy random --max-params 1000000", "expected the strategy sgas, one-shot"),
        ("--max-macs 1000000", "--max-macs: expected a space of pictures"),
        ("--set search.limits.config=points", "search.limits: expected params or macs beside config"),
        ("--max-params 0", "--max-params: expected 1 to"),
        ("--max-params 9999999 --set search.limits.config=cifar10-cpu", "search.limits.config: "),
        ("--max-params 9999999 --set search.limits.config=nothing", "no configuration file or embedded configuration"),
    ] {
        let text = failure(&mut search(folder.path(), &format!("{line} --out none")), 2);
        assert!(text.contains(words) && !folder.path().join("none").exists(), "{line}: {text}");
    }
}

//! Searches among random cells from the command line: in every space, killed and gone on with, refused.

use super::parts::{SPACES, smoke};
use super::resume::{Name, Stop, kill_at};
use super::{assert_equal_runs, epochs, failure, output, search};
use crate::cli::sgas;
use serde_json::Value;
use std::path::Path;

fn candidates(run: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(run.join("candidates.json")).unwrap()).unwrap()
}

#[test]
fn cells_of_every_space_are_trained_and_the_best_is_found() {
    for (name, space, _) in SPACES {
        let folder = tempfile::tempdir().unwrap();
        let set = "--set search.candidates.cells=2 --set search.candidates.epochs=1";
        for strategy in ["random", "predictor"] {
            output(&mut smoke(folder.path(), name, &format!("{space} --strategy {strategy} {set} --out {strategy}")));
            let run = folder.path().join(strategy);
            assert_eq!(epochs(&run).len(), 2, "{name}");
            let found = candidates(&run);
            let score = |index: usize| found["candidates"][index]["trainings"][0]["score"].as_f64().unwrap();
            let chosen = found["chosen"].as_u64().unwrap() as usize;
            assert!(score(chosen) >= score(1 - chosen), "{found}");
            let cell = std::fs::read_to_string(run.join("genotype.json")).unwrap();
            let cell: Value = serde_json::from_str(&cell).unwrap();
            assert_eq!(cell["normal"], found["candidates"][chosen]["cell"]["normal"], "{name}");
        }
    }
}

#[test]
fn the_cell_of_the_most_weights_needs_no_data() {
    for (name, space, _) in SPACES {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("{space} --strategy most-params --set search.candidates.cells=5 --data nowhere --out run");
        let mut command = sgas(folder.path());
        command.args(["search", "--threads", "1", "--device", "cpu", "--config", &format!("smoke/search-{name}")]);
        output(command.args(line.split_whitespace()));
        let found = candidates(&folder.path().join("run"));
        let counts: Vec<u64> =
            found["candidates"].as_array().unwrap().iter().map(|one| one["parameters"].as_u64().unwrap()).collect();
        let chosen = found["chosen"].as_u64().unwrap() as usize;
        assert_eq!((counts.len(), counts.iter().max()), (5, Some(&counts[chosen])), "{name}");
    }
}

#[test]
fn a_killed_search_among_random_cells_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let line = "--strategy successive-halving --set search.candidates.cells=4 --set search.candidates.epochs=1 \
                --set search.class_weights=balanced --out";
    output(&mut search(folder.path(), &format!("{line} whole")));
    assert_eq!(epochs(&folder.path().join("whole")).len(), 8);
    kill_at(&search(folder.path(), &format!("{line} cut")), Stop::Logged(Name::Epoch, 5));
    output(sgas(folder.path()).args(["search", "--out", "cut", "--resume", "--threads", "1", "--device", "cpu"]));
    assert_equal_runs(&folder.path().join("whole"), &folder.path().join("cut"));
    let [one, other] = ["whole", "cut"].map(|run| candidates(&folder.path().join(run)));
    assert_eq!(one, other);
}

#[test]
fn sizes_that_no_strategy_knows_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (line, words) in [
        (
            "--set search.candidates.cells=3",
            "search.candidates: expected the strategy random, most-params, successive-halving or",
        ),
        (
            "--set search.class_weights=balanced --strategy random",
            "search.class_weights: expected a strategy that trains",
        ),
        ("--strategy random --set search.candidates.cells=0", "search.candidates.cells: expected 1 to 100000 cells"),
        ("--strategy successive-halving --set search.candidates.eta=1", "search.candidates.eta: expected 2 to 1000"),
        ("--strategy successive-halving --selection perturbation", "--selection: expected the strategy sgas or darts"),
    ] {
        let text = failure(&mut search(folder.path(), &format!("{line} --out run")), 2);
        assert!(text.contains(words), "{text}");
        assert!(!folder.path().join("run").exists());
    }
}

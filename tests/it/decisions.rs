//! Whole searches of the published code, replayed epoch by epoch: the same edges fixed to the same primitives in
//! the same order, the same edges pruned, the same cell at the end.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use sgas::decision::{Choice, Criterion, DecisionConfig, EdgeState, GreedyDecision, read_off};
use sgas::topology::{CellKind, Topology};

use crate::golden::golden_dir;

const FILE: &str = "decisions.json.xz";

/// One search as the file has it.
#[derive(Deserialize)]
struct GoldenSearch {
    steps: usize,
    ops: usize,
    kinds: Vec<CellKind>,
    criterion: Criterion,
    history_size: usize,
    warmup_epochs: usize,
    decision_interval: usize,
    epochs: Vec<GoldenEpoch>,
    genotype: BTreeMap<CellKind, Vec<(usize, usize)>>,
}

#[derive(Deserialize)]
struct GoldenEpoch {
    epoch: usize,
    #[serde(flatten)]
    kinds: BTreeMap<CellKind, GoldenTable>,
}

#[derive(Deserialize)]
struct GoldenTable {
    alphas: Vec<Vec<f64>>,
    decided: bool,
    /// -1 open, 0 pruned, else the primitive.
    selected: Vec<i64>,
}

#[test]
fn golden_decisions() {
    let (folder, from_variable) = golden_dir();
    let path = folder.join(FILE);
    if from_variable && !path.exists() {
        println!("skipped: {} has no {FILE}", folder.display());
        return;
    }
    let searches = read(&path);
    assert!(!searches.is_empty(), "{} holds no search", path.display());
    for (number, search) in searches.iter().enumerate() {
        replay(number, search);
    }
    println!("golden_decisions: compared {} searches of {}", searches.len(), path.display());
}

fn read(path: &Path) -> Vec<GoldenSearch> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    xz2::read::XzDecoder::new(file).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn replay(number: usize, search: &GoldenSearch) {
    let topology = Topology::new(search.steps);
    let config = DecisionConfig {
        criterion: search.criterion,
        warmup: search.warmup_epochs,
        interval: search.decision_interval,
        history: search.history_size,
    };
    assert_eq!(config.epochs(topology), search.epochs.len(), "search {number}: epochs");
    let mut greedy = GreedyDecision::new(topology, &search.kinds, config);
    for epoch in &search.epochs {
        for &kind in &search.kinds {
            let golden = &epoch.kinds[&kind];
            assert!(golden.alphas.iter().all(|row| row.len() == search.ops));
            let place = format!("search {number}, epoch {}, {kind} cell", epoch.epoch);
            let observation = greedy.observe(epoch.epoch, kind, &golden.alphas).unwrap();
            assert_eq!(observation.decision.is_some(), golden.decided, "{place}: decided");
            assert_eq!(codes(greedy.states(kind)), golden.selected, "{place}: selected");
        }
    }
    assert!(search.kinds.iter().all(|&kind| !greedy.states(kind).contains(&EdgeState::Open)));
    check_cells(number, search, &greedy);
}

/// The cell at the end, read off with the last alphas, is the published code's.
fn check_cells(number: usize, search: &GoldenSearch, greedy: &GreedyDecision) {
    let last = search.epochs.last().unwrap();
    assert_eq!(search.genotype.len(), search.kinds.len());
    for (kind, expected) in &search.genotype {
        let read = read_off(Topology::new(search.steps), &last.kinds[kind].alphas, greedy.states(*kind));
        let expected: Vec<Choice> = expected.iter().map(|&(primitive, source)| Choice { primitive, source }).collect();
        assert_eq!(read, expected, "search {number}: {kind} cell");
    }
}

fn codes(states: &[EdgeState]) -> Vec<i64> {
    let code = |state: &EdgeState| match *state {
        EdgeState::Open => -1,
        EdgeState::Pruned => 0,
        EdgeState::Fixed(primitive) => i64::try_from(primitive).unwrap(),
    };
    states.iter().map(code).collect()
}

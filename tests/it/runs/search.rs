//! Searches: the run folder, the decisions in it, repeatability, the other strategies.

use super::{alphas, assert_equal_runs, check_costs, decisions, epochs, output, results, search, told};
use crate::cli::sgas;
use sgas::config::{self, SearchRun};
use sgas::decision::{EdgeState, softmax};
use sgas::genotype::{Genotype, SpaceName};
use sgas::report::log::events;
use sgas::report::{DecisionReport, Event, Learner};
use sgas::topology::{CellKind, Topology};
use std::path::Path;

/// Two edges into every one of three nodes.
const DECISIONS: usize = 6;
/// From the decision in epoch 0 to five epochs after the last in epoch 5.
const EPOCHS: usize = 11;

fn searched(more: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    output(&mut search(folder.path(), &format!("--out run {more}")));
    let run = folder.path().join("run");
    (folder, run)
}

#[test]
fn a_search_leaves_a_whole_run_folder() {
    let (folder, run) = searched("--seed 7");
    let files: Vec<String> = results(&run).into_keys().collect();
    let decided = (0..DECISIONS).map(|epoch| format!("cell-normal-epoch-{epoch}.svg"));
    let others = ["cell-normal.svg", "config.toml", "genotype.json", "run.json"].map(str::to_owned);
    assert_eq!(files, decided.chain(others).collect::<Vec<_>>());

    let read: SearchRun = config::read(&run.join("config.toml")).unwrap();
    assert_eq!((read.seed, read.model.channels, read.data.points, read.search.batch), (7, 4, 48, 8));
    assert_eq!(read.data.source.as_deref(), Some("synthetic"));
    let about: serde_json::Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!((about["command"].as_str(), about["task"].as_str()), (Some("search"), Some("points")));

    let genotype = Genotype::load(run.join("genotype.json")).unwrap();
    assert_eq!((genotype.space, genotype.task.as_deref()), (SpaceName::POINT, Some("points")));
    assert_eq!((genotype.normal.edges.len(), &genotype.normal.concat[..]), (DECISIONS, &[1, 2, 3, 4][..]));
    assert_eq!(genotype.extra["search"]["seed"], 7);
    for decision in decisions(&run) {
        let of_node = &genotype.normal.edges[2 * decision.node..2 * decision.node + 2];
        assert!(of_node.contains(&(decision.primitive.clone(), decision.source)), "{decision:?}");
    }

    let log = std::fs::read_to_string(run.join("log.txt")).unwrap();
    assert!(log.contains("20 training, 20 validation, 20 test samples"), "{log}");
    assert_eq!(log.matches(" becomes ").count(), DECISIONS, "{log}");
    let drawing = std::fs::read_to_string(run.join("cell-normal.svg")).unwrap();
    assert!(drawing.contains("<svg") && genotype.normal.edges.iter().all(|(name, _)| drawing.contains(name)));
    sgas(folder.path()).args(["show", "run"]).assert().success();
}

#[test]
fn metrics_shrink_and_batches_grow_with_every_decision() {
    let (_folder, run) = searched("");
    let epochs = epochs(&run);
    assert_eq!(epochs.len(), EPOCHS);
    assert_eq!(std::fs::read_to_string(run.join("metrics.csv")).unwrap().lines().count(), EPOCHS + 1);
    let open: Vec<usize> = epochs.iter().map(|epoch| epoch.open_edges.unwrap()).collect();
    for (number, epoch) in epochs.iter().enumerate() {
        assert_eq!((epoch.epoch, epoch.epochs, epoch.skipped_steps), (number, EPOCHS, 0));
        assert_eq!(epoch.batch_size, 8 + 4 * number.min(DECISIONS), "the epoch after a decision is the first to grow");
        assert!(epoch.train.loss.is_finite() && epoch.validation.as_ref().unwrap().loss.is_finite());
        let learners =
            if open[..number].contains(&0) { &[Learner::Weights][..] } else { &[Learner::Alphas, Learner::Weights] };
        check_costs(epoch, learners);
    }
    let Event::Started { parameters, .. } = events(&run).unwrap()[0] else { panic!("a run begins with `started`") };
    let sizes: Vec<usize> = std::iter::once(parameters).chain(epochs.iter().map(|epoch| epoch.parameters)).collect();
    assert!(sizes[..=DECISIONS].windows(2).all(|pair| pair[1] < pair[0]), "{sizes:?}");
    assert!(sizes[DECISIONS..].windows(2).all(|pair| pair[1] == pair[0]), "{sizes:?}");
    assert!(open.windows(2).all(|pair| pair[1] <= pair[0]) && open[DECISIONS - 1] == 0, "{open:?}");
}

/// One edge per decision; the runner-up was open and no better; a node with two fixed edges loses the others.
fn check_decisions(run: &Path) {
    let topology = Topology::new(3);
    let primitives = SpaceName::POINT.primitives();
    let decided = decisions(run);
    assert_eq!(decided.iter().map(|decision| decision.epoch).collect::<Vec<_>>(), (0..DECISIONS).collect::<Vec<_>>());
    let mut states = vec![EdgeState::Open; topology.edge_count()];
    for (decision, told) in decided.iter().zip(alphas(run)) {
        check_scores(decision, &told.alphas, &states);
        let place = primitives.iter().position(|name| *name == decision.primitive).unwrap();
        states[decision.edge] = EdgeState::Fixed(place);
        let edge = topology.edge(decision.edge);
        assert_eq!((edge.node, edge.source), (decision.node, decision.source));
        let of_node = || topology.edges_into(decision.node);
        let is_full = of_node().filter(|&edge| matches!(states[edge], EdgeState::Fixed(_))).count() == 2;
        let open: Vec<usize> = of_node().filter(|&edge| is_full && states[edge] == EdgeState::Open).collect();
        assert_eq!(decision.pruned, open);
        open.into_iter().for_each(|edge| states[edge] = EdgeState::Pruned);
        assert_eq!(told.states, states, "epoch {}", decision.epoch);
    }
    assert!(states.iter().all(|state| *state != EdgeState::Open));
}

fn check_scores(decision: &DecisionReport, alphas: &[Vec<f64>], before: &[EdgeState]) {
    assert_eq!((decision.kind, before[decision.edge]), (CellKind::Normal, EdgeState::Open));
    let others = before.iter().filter(|state| **state == EdgeState::Open).count() - 1;
    assert_eq!(decision.runner_up.is_some(), others > 0);
    if let Some((edge, score)) = decision.runner_up {
        assert!(
            before[edge] == EdgeState::Open && edge != decision.edge && score <= decision.score.get("score").unwrap()
        );
    }
    let row = softmax(&alphas[decision.edge]);
    let best = (1..row.len()).reduce(|best, next| if row[next] > row[best] { next } else { best }).unwrap();
    assert_eq!(SpaceName::POINT.primitives()[best], decision.primitive);
    assert!((decision.score.get("importance").unwrap() - row[1..].iter().sum::<f64>()).abs() < 1e-12);
}

/// A cell that is read off at the end has as much noise as one that is decided edge by edge.
#[test]
fn the_last_words_of_a_search_without_decisions_count_the_sure_edges_of_its_cell() {
    let (_folder, run) = searched("--strategy darts");
    assert!(decisions(&run).is_empty());
    let log = std::fs::read_to_string(run.join("log.txt")).unwrap();
    let words = format!("of {DECISIONS} edges of the cell are the same in 95 % of the replicas");
    assert!(log.contains(&words), "{log}");
    let (_folder, drawn) = searched("--strategy darts --mixture dirichlet");
    assert!(!std::fs::read_to_string(drawn.join("log.txt")).unwrap().contains("edges of the cell are"));
}

#[test]
fn decisions_are_consistent_under_both_criteria_and_alphas_of_decided_edges_rest() {
    for criterion in [1, 2] {
        let (_folder, run) = searched(&format!("--criterion {criterion}"));
        check_decisions(&run);
        let told = alphas(&run);
        for decision in decisions(&run) {
            let resting = decision.pruned.iter().chain([&decision.edge]);
            let (at, last) = (&told[decision.epoch].alphas, &told[EPOCHS - 1].alphas);
            resting.for_each(|&edge| assert_eq!(at[edge], last[edge], "edge {edge} moved"));
        }
        // The first decisions see too few epochs to say how sure they are; the log's last words count the others.
        let sure: Vec<_> = decisions(&run).into_iter().filter_map(|decision| decision.confidence).collect();
        let shares = sure.iter().flat_map(|sure| [sure.edge, sure.primitive.unwrap()]);
        assert!(!sure.is_empty() && sure.len() < DECISIONS && shares.clone().all(|share| (0.0..=1.0).contains(&share)));
        let last_words = format!("of {} decisions are the same in 95 % of the replicas", sure.len());
        assert!(std::fs::read_to_string(run.join("log.txt")).unwrap().contains(&last_words));
        assert_ne!(told[0].alphas[decisions(&run)[5].edge], told[5].alphas[decisions(&run)[5].edge]);
        let first = events(&run).unwrap();
        assert!(matches!(first.first(), Some(Event::Started { .. })));
        assert!(matches!(first.last(), Some(Event::Finished { .. })));
    }
}

#[test]
fn equal_seeds_give_equal_runs_and_another_seed_another() {
    let (_one, first) = searched("--seed 5");
    let (_two, second) = searched("--seed 5 --set data.workers=3");
    assert_eq!(told(&first), told(&second));
    assert_eq!(results(&first)["genotype.json"], results(&second)["genotype.json"]);
    let (_three, third) = searched("--seed 5");
    assert_equal_runs(&first, &third);
    let (_four, other) = searched("--seed 6");
    assert_ne!(alphas(&first)[0].alphas, alphas(&other)[0].alphas);
    assert_ne!(results(&first)["genotype.json"], results(&other)["genotype.json"]);
}

#[test]
fn darts_decides_nothing_and_reads_the_cell_off() {
    let (_folder, run) = searched("--strategy darts --set decision.warmup=0 --set search.epochs=2");
    assert!(decisions(&run).is_empty());
    let epochs = epochs(&run);
    assert_eq!(epochs.iter().map(|epoch| (epoch.batch_size, epoch.open_edges)).collect::<Vec<_>>(), [(8, Some(9)); 2]);
    assert_eq!(epochs[0].parameters, epochs[1].parameters);
    let genotype = Genotype::load(run.join("genotype.json")).unwrap();
    assert_eq!(genotype.normal.edges.len(), DECISIONS);
    assert_eq!(genotype.extra["search"]["strategy"], "darts");
}

#[test]
fn a_random_search_needs_no_data_and_follows_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    let found = |name: &str, seed: &str| {
        let arguments = ["search", "--task", "modelnet10", "--strategy", "random", "--seed", seed];
        let path = folder.path().join(name);
        sgas(folder.path()).args(arguments).args(["--save", name, "--out", &format!("run-{name}")]).assert().success();
        let saved = std::fs::read(&path).unwrap();
        assert_eq!(saved, std::fs::read(folder.path().join(format!("run-{name}/genotype.json"))).unwrap());
        assert!(epochs(&folder.path().join(format!("run-{name}"))).is_empty());
        Genotype::load(path).unwrap()
    };
    let (first, again, other) = (found("a.json", "1"), found("b.json", "1"), found("c.json", "2"));
    assert_eq!(first, again);
    assert_ne!(first.normal, other.normal);
    assert_eq!(first.task.as_deref(), Some("modelnet10"));
}

#[test]
fn a_search_ends_with_the_next_command_which_works() {
    let folder = tempfile::tempdir().unwrap();
    let text = output(&mut search(folder.path(), "--out run --save cell.json --set search.epochs=1"));
    assert!(text.contains("next:       sgas train --genotype run --data synthetic"), "{text}");
    let saved = std::fs::read(folder.path().join("cell.json")).unwrap();
    assert_eq!(saved, results(&folder.path().join("run"))["genotype.json"]);
    output(&mut super::train(folder.path(), "--genotype run --out trained --set train.epochs=1"));
    let cell = Genotype::load(folder.path().join("trained/genotype.json")).unwrap();
    assert_eq!(cell.normal, Genotype::load(folder.path().join("cell.json")).unwrap().normal);
}

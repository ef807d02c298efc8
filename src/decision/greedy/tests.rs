//! What must hold for any alphas; whole searches of the published code are compared in `tests/it/decisions.rs`.

use proptest::prelude::*;

use super::*;
use crate::decision::reading::read_off;
use crate::decision::{Criterion, NONE};
use crate::topology::{Keeps, NoneRule};

/// A search with alphas of its own for every epoch and kind.
#[derive(Debug, Clone)]
struct Search {
    topology: Topology,
    kinds: Vec<CellKind>,
    config: DecisionConfig,
    /// Epoch, kind, edge, primitive.
    alphas: Vec<Vec<Vec<Vec<f64>>>>,
}

fn any_search() -> impl Strategy<Value = Search> {
    (1_usize..5, 1_usize..3, 3_usize..7, 0_usize..3, 1_usize..3, 1_usize..4, any::<bool>()).prop_flat_map(
        |(steps, kinds, primitives, warmup, interval, history, stable)| {
            let criterion = if stable { Criterion::Two } else { Criterion::One };
            let config = DecisionConfig { criterion, warmup, interval, history };
            let topology = Topology::new(steps);
            let kinds = vec![CellKind::Normal, CellKind::Reduce][..kinds].to_vec();
            let table = prop::collection::vec(prop::collection::vec(any_alpha(), primitives), topology.edge_count());
            let epoch = prop::collection::vec(table, kinds.len());
            prop::collection::vec(epoch, config.epochs(topology)).prop_map(move |alphas| Search {
                topology,
                kinds: kinds.clone(),
                config: config.clone(),
                alphas,
            })
        },
    )
}

/// Usual values, ties, and the extremes that a double can hold.
fn any_alpha() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -3.0..3.0_f64, 2 => Just(0.0), 1 => prop::num::f64::NORMAL]
}

fn fixed_into(topology: Topology, states: &[EdgeState], node: usize) -> usize {
    states[topology.edges_into(node)].iter().filter(|state| matches!(state, EdgeState::Fixed(_))).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn one_edge_per_kind_and_deciding_epoch_until_every_node_has_two(search in any_search()) {
        let topology = search.topology;
        let mut greedy = GreedyDecision::new(topology, &search.kinds, search.config.clone());
        for (epoch, tables) in search.alphas.iter().enumerate() {
            for (&kind, alphas) in search.kinds.iter().zip(tables) {
                let before = greedy.states(kind).to_vec();
                let observation = greedy.observe(epoch, kind, alphas).unwrap();
                let due = search.config.is_due(epoch) && before.contains(&EdgeState::Open);
                prop_assert_eq!(observation.decision.is_some(), due);
                prop_assert!(observation.scores.iter().all(|score| (0.0..=1.0).contains(&score.score)));
                check_step(topology, &before, greedy.states(kind), observation.decision.as_ref())?;
            }
        }
        for (index, &kind) in search.kinds.iter().enumerate() {
            for node in 0..topology.steps() {
                prop_assert_eq!(fixed_into(topology, greedy.states(kind), node), topology.kept(node));
            }
            prop_assert!(!greedy.states(kind).contains(&EdgeState::Open));
            let read = read_off(topology, &search.alphas[0][index], greedy.states(kind));
            prop_assert_eq!(read.len(), topology.decision_count());
        }
    }

    #[test]
    fn a_reading_at_any_epoch_has_two_ascending_sources_per_node_and_keeps_the_fixed(search in any_search()) {
        let topology = search.topology;
        let mut greedy = GreedyDecision::new(topology, &search.kinds, search.config.clone());
        for (epoch, tables) in search.alphas.iter().enumerate() {
            for (&kind, alphas) in search.kinds.iter().zip(tables) {
                greedy.observe(epoch, kind, alphas).unwrap();
                let read = read_off(topology, alphas, greedy.states(kind));
                prop_assert_eq!(read.len(), topology.decision_count());
                for (node, pair) in read.chunks(2).enumerate() {
                    prop_assert!(pair[0].source < pair[1].source && pair[1].source < 2 + node);
                    prop_assert!(pair.iter().all(|choice| choice.primitive != NONE));
                    for (source, edge) in topology.edges_into(node).enumerate() {
                        let chosen = pair.iter().find(|choice| choice.source == source);
                        match greedy.states(kind)[edge] {
                            EdgeState::Fixed(primitive) => prop_assert_eq!(chosen.unwrap().primitive, primitive),
                            EdgeState::Pruned => prop_assert!(chosen.is_none()),
                            EdgeState::Open => {}
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_search_continues_from_its_saved_state(search in any_search(), cut in 0_usize..10) {
        let mut whole = GreedyDecision::new(search.topology, &search.kinds, search.config.clone());
        let mut saved = whole.clone();
        for (epoch, tables) in search.alphas.iter().enumerate() {
            if epoch == cut {
                let text = serde_json::to_string(saved.progress()).unwrap();
                saved = GreedyDecision::new(search.topology, &search.kinds, DecisionConfig::default());
                saved.resume(serde_json::from_str(&text).unwrap()).unwrap();
            }
            for (&kind, alphas) in search.kinds.iter().zip(tables) {
                prop_assert_eq!(whole.observe(epoch, kind, alphas).unwrap(), saved.observe(epoch, kind, alphas).unwrap());
            }
        }
        prop_assert_eq!(whole, saved);
    }

    #[test]
    fn what_is_not_finite_is_refused_by_epoch_and_edge(
        search in any_search(),
        edge in any::<prop::sample::Index>(),
        primitive in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ) {
        let mut greedy = GreedyDecision::new(search.topology, &search.kinds, search.config.clone());
        let before = greedy.clone();
        let mut alphas = search.alphas[0][0].clone();
        let edge = edge.index(alphas.len());
        let primitive = primitive.index(alphas[edge].len());
        alphas[edge][primitive] = value;
        let error = greedy.observe(17, CellKind::Normal, &alphas).unwrap_err();
        let text = error.to_string();
        prop_assert!(text.contains("epoch 17") && text.contains(&format!("on edge {edge} of the normal cell")), "{text}");
        prop_assert_eq!(error.exit_code(), 1);
        prop_assert_eq!(greedy, before);
    }
}

/// One edge becomes fixed, its node's rest is pruned when it was the second, and nothing else changes.
fn check_step(
    topology: Topology,
    before: &[EdgeState],
    after: &[EdgeState],
    decision: Option<&Decision>,
) -> std::result::Result<(), TestCaseError> {
    let mut expected = before.to_vec();
    if let Some(decision) = decision {
        prop_assert_eq!(before[decision.edge.index], EdgeState::Open);
        prop_assert_ne!(decision.primitive, NONE);
        expected[decision.edge.index] = EdgeState::Fixed(decision.primitive);
        let complete = fixed_into(topology, &expected, decision.edge.node) == topology.kept(decision.edge.node);
        for edge in topology.edges_into(decision.edge.node) {
            let goes = complete && expected[edge] == EdgeState::Open;
            prop_assert_eq!(decision.pruned.contains(&edge), goes);
            if goes {
                expected[edge] = EdgeState::Pruned;
            }
        }
    }
    prop_assert_eq!(after, &expected[..]);
    Ok(())
}

#[test]
fn ties_go_to_the_lowest_edge_and_the_runner_up_is_the_next() {
    let topology = Topology::new(2);
    let config = DecisionConfig { warmup: 0, interval: 1, ..DecisionConfig::default() };
    let mut greedy = GreedyDecision::new(topology, &[CellKind::Normal], config);
    let observation = greedy.observe(0, CellKind::Normal, &vec![vec![0.0; 4]; topology.edge_count()]).unwrap();
    let decision = observation.decision.unwrap();
    assert_eq!((decision.edge.index, decision.primitive), (0, 1));
    assert_eq!(decision.runner_up, Some((1, 0.0)));
}

#[test]
fn the_history_grows_before_the_warm_up_ends_and_stays_short() {
    let topology = Topology::new(1);
    let config = DecisionConfig { history: 2, warmup: 9, ..DecisionConfig::default() };
    let mut greedy = GreedyDecision::new(topology, &[CellKind::Normal], config);
    let mut observe = |epoch, alphas: [f64; 3]| {
        let table = vec![alphas.to_vec(), vec![0.0, 1.0, 0.0]];
        greedy.observe(epoch, CellKind::Normal, &table).unwrap().scores[0].stability
    };
    assert_eq!(observe(0, [0.0, 50.0, 0.0]), 0.0, "no history yet");
    assert!((observe(1, [0.0, 50.0, 0.0]) - 1.0).abs() < 1e-9);
    assert!(observe(2, [0.0, 0.0, 50.0]) < 1e-9);
    assert!((observe(3, [0.0, 0.0, 50.0]) - 0.5).abs() < 1e-9, "epoch 0 is forgotten");
    assert!((observe(4, [0.0, 0.0, 50.0]) - 1.0).abs() < 1e-9);
}

#[test]
fn a_table_of_another_cell_is_refused() {
    let mut greedy = GreedyDecision::new(Topology::new(3), &[CellKind::Normal], DecisionConfig::default());
    let error = greedy.observe(4, CellKind::Normal, &vec![vec![0.0; 8]; 14]).unwrap_err();
    assert!(error.to_string().contains("must be 9 rows"), "{error}");
}

#[test]
fn decisions_of_another_shape_are_not_gone_on_from() {
    let greedy = |steps| GreedyDecision::new(Topology::new(steps), &[CellKind::Normal], DecisionConfig::default());
    let error = greedy(3).resume(greedy(4).progress().clone()).unwrap_err();
    assert_eq!(error.to_string(), "decisions: expected 9 edges (normal), found 14 edges (normal)");
}

#[test]
fn shapes_decide_as_many_edges_as_they_keep_and_none_where_it_may_be_chosen() {
    let topology = Topology::new(3).with_inputs(1).keeping(Keeps::Edges(1)).with_none(NoneRule::Choosable);
    let config = DecisionConfig { warmup: 0, interval: 1, ..DecisionConfig::default() };
    let mut greedy = GreedyDecision::new(topology, &[CellKind::Normal], config.clone());
    let mut alphas = vec![vec![0.0, 0.0, 1.0]; topology.edge_count()];
    alphas[4] = vec![9.0, 0.0, 0.0];
    let mut decided = Vec::new();
    for epoch in 0..config.epochs(topology) {
        decided.extend(greedy.observe(epoch, CellKind::Normal, &alphas).unwrap().decision);
    }
    assert_eq!(decided.len(), 3);
    assert_eq!((decided[0].edge.index, decided[0].primitive, &decided[0].pruned[..]), (4, NONE, &[3, 5][..]));
    assert!(!greedy.states(CellKind::Normal).contains(&EdgeState::Open));
}

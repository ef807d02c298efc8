//! Reading a cell off a table of alphas: as many edges into every node as the shape says, each with one primitive that
//! may be chosen.

use serde::{Deserialize, Serialize};

use super::best_primitive;
use super::score::{importance, softmax};
use crate::topology::{Edge, Topology};

/// What a search has decided about an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeState {
    /// Carries the mixture of all primitives.
    Open,
    /// Carries this primitive alone.
    Fixed(usize),
    /// Carries nothing: its node has its edges.
    Pruned,
}

/// One edge of a derived cell: what it computes and which state it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Index in the space's list of primitives.
    pub primitive: usize,
    /// The state that the edge reads.
    pub source: usize,
}

/// The cell as it stands, at any epoch: fixed edges as they are, then per node the open edges of the greatest
/// importance until it has what it keeps, each with its best primitive. Node by node in ascending order of sources.
pub fn read_off(topology: Topology, alphas: &[Vec<f64>], states: &[EdgeState]) -> Vec<Choice> {
    let rank = |edge: &Edge| match states[edge.index] {
        EdgeState::Fixed(_) => f64::INFINITY,
        EdgeState::Open => importance(topology, &alphas[edge.index]),
        EdgeState::Pruned => f64::NEG_INFINITY,
    };
    let primitive = |edge: &Edge| match states[edge.index] {
        EdgeState::Fixed(primitive) => primitive,
        EdgeState::Open | EdgeState::Pruned => best_primitive(topology, &alphas[edge.index]),
    };
    let mut choices = Vec::with_capacity(topology.decision_count());
    for mut edges in strongest_edges(topology, rank) {
        edges.sort_by_key(|edge| edge.source);
        choices.extend(edges.iter().map(|edge| Choice { primitive: primitive(edge), source: edge.source }));
    }
    choices
}

/// What each edge of the whole cell carries in a derived one: its primitive, or nothing. The choices stand node by node.
pub fn primitives_of_edges(topology: Topology, choices: &[Choice]) -> Vec<Option<usize>> {
    let chosen = |edge: Edge| {
        let of_node = topology.nodes_of_kept().zip(choices).filter(|(node, _)| *node == edge.node);
        of_node.map(|(_, choice)| choice).find(|choice| choice.source == edge.source).map(|choice| choice.primitive)
    };
    topology.edges().map(chosen).collect()
}

/// The reading of DARTS and of the paper's random cells: per node the edges with the greatest single share of a
/// primitive that may be chosen, the stronger first, as those cells are published.
pub fn read_off_best_primitive(topology: Topology, alphas: &[Vec<f64>]) -> Vec<Choice> {
    let share =
        |edge: &Edge| softmax(&alphas[edge.index])[topology.first_choosable()..].iter().copied().fold(0.0, f64::max);
    let choice = |edge: Edge| Choice { primitive: best_primitive(topology, &alphas[edge.index]), source: edge.source };
    strongest_edges(topology, share).flatten().map(choice).collect()
}

/// Per node its edges of the greatest rank, the greater first, the earlier source first among equals.
fn strongest_edges(topology: Topology, rank: impl Fn(&Edge) -> f64) -> impl Iterator<Item = Vec<Edge>> {
    (0..topology.steps()).map(move |node| {
        let mut edges: Vec<Edge> = topology.edges().filter(|edge| edge.node == node).collect();
        edges.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        edges.truncate(topology.kept(node));
        edges
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::NONE;
    use crate::topology::{Keeps, NoneRule};
    use proptest::prelude::*;

    fn choice(primitive: usize, source: usize) -> Choice {
        Choice { primitive, source }
    }

    #[test]
    fn fixed_edges_stay_and_the_most_important_open_ones_fill_up() {
        let topology = Topology::new(2);
        let alphas = vec![
            vec![0.0, 1.0, 2.0],
            vec![0.0, 2.0, 1.0],
            vec![0.0, 3.0, 0.0],
            vec![0.0, 0.0, 1.0],
            vec![0.0, 0.5, 0.0],
        ];
        let states = [EdgeState::Open, EdgeState::Open, EdgeState::Open, EdgeState::Open, EdgeState::Fixed(2)];
        let read = read_off(topology, &alphas, &states);
        assert_eq!(read, [choice(2, 0), choice(1, 1), choice(1, 0), choice(2, 2)]);
    }

    #[test]
    fn importance_and_the_single_best_primitive_read_differently() {
        let topology = Topology::new(1);
        // Edge 0 spreads its weight over two primitives; both readings keep both edges but in another order.
        let alphas = vec![vec![0.0, 1.0, 1.0], vec![0.0, -3.0, 1.4]];
        assert_eq!(read_off(topology, &alphas, &[EdgeState::Open; 2]), [choice(1, 0), choice(2, 1)]);
        assert_eq!(read_off_best_primitive(topology, &alphas), [choice(2, 1), choice(1, 0)]);
    }

    #[test]
    fn where_none_may_be_chosen_it_is_read_like_any_other() {
        let topology = Topology::new(2).keeping(Keeps::Edges(1)).with_none(NoneRule::Choosable);
        let alphas = vec![vec![3.0, 0.0], vec![0.0, 2.0], vec![0.0, 0.1], vec![0.2, 0.0], vec![0.5, 0.0]];
        assert_eq!(read_off_best_primitive(topology, &alphas), [choice(NONE, 0), choice(NONE, 2)]);
        let states = [EdgeState::Pruned, EdgeState::Fixed(1), EdgeState::Open, EdgeState::Open, EdgeState::Open];
        assert_eq!(read_off(topology, &alphas, &states), [choice(1, 1), choice(1, 0)], "all are equally important");
    }

    proptest! {
        #[test]
        fn two_edges_per_node_and_never_none(steps in 1_usize..6, seed in proptest::collection::vec(-30.0..30.0_f64, 27 * 4)) {
            let topology = Topology::new(steps);
            let alphas: Vec<Vec<f64>> =
                seed.chunks(4).cycle().take(topology.edge_count()).map(<[f64]>::to_vec).collect();
            let forced = read_off(topology, &alphas, &vec![EdgeState::Open; topology.edge_count()]);
            let best = read_off_best_primitive(topology, &alphas);
            for (node, pair) in forced.chunks(2).enumerate() {
                prop_assert!(pair[0].source < pair[1].source && pair[1].source < 2 + node);
            }
            for (node, pair) in best.chunks(2).enumerate() {
                prop_assert!(pair[0].source != pair[1].source && pair.iter().all(|choice| choice.source < 2 + node));
            }
            prop_assert_eq!((forced.len(), best.len()), (2 * steps, 2 * steps));
            prop_assert!(forced.iter().chain(&best).all(|choice| choice.primitive != NONE));
        }
    }
}

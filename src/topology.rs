//! The shape of a cell: which edges lead into which node, in which order.
//!
//! A cell has two inputs (states 0 and 1) and `steps` inner nodes (states 2, 3, ...). Node i has one edge
//! from every earlier state, 2 + i in all; edges are numbered node by node, source by source
//! (REFERENCE section 1). Nothing here knows what an edge computes.

use serde::{Deserialize, Serialize};

/// The number of fixed edges that every node of a derived cell keeps.
pub const EDGES_PER_NODE: usize = 2;

/// The number of inputs of a cell: the outputs of the two cells before it.
pub const CELL_INPUTS: usize = 2;

/// The kind of a cell; all cells of a kind share one table of alphas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellKind {
    /// Keeps the resolution; the only kind of the point and graph spaces.
    Normal,
    /// Halves the resolution (image space).
    Reduce,
}

impl CellKind {
    /// The kind's name in genotypes, checkpoints and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Reduce => "reduce",
        }
    }
}

impl std::fmt::Display for CellKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One edge of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Position in the cell's table of alphas.
    pub index: usize,
    /// The inner node it leads into, from 0.
    pub node: usize,
    /// The state it reads: 0 and 1 are the cell's inputs, 2 + i is node i.
    pub source: usize,
}

/// The edges of a cell with `steps` inner nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    steps: usize,
}

impl Topology {
    /// A cell with `steps` inner nodes.
    pub fn new(steps: usize) -> Self {
        Self { steps }
    }

    /// The number of inner nodes.
    pub fn steps(self) -> usize {
        self.steps
    }

    /// The number of edges: 14 for 4 steps, 9 for 3.
    pub fn edge_count(self) -> usize {
        self.first_edge(self.steps)
    }

    /// The number of decisions that a search makes: two per node.
    pub fn decision_count(self) -> usize {
        EDGES_PER_NODE * self.steps
    }

    /// The indices of the edges that lead into `node`.
    pub fn edges_into(self, node: usize) -> std::ops::Range<usize> {
        self.first_edge(node)..self.first_edge(node + 1)
    }

    /// All edges in order.
    pub fn edges(self) -> impl Iterator<Item = Edge> {
        (0..self.steps).flat_map(move |node| {
            self.edges_into(node).enumerate().map(move |(source, index)| Edge { index, node, source })
        })
    }

    /// The edge with this index; panics when it is not below [`Self::edge_count`].
    pub fn edge(self, index: usize) -> Edge {
        self.edges().nth(index).expect("edge indices are below edge_count")
    }

    /// Node i is preceded by the edges of the nodes before it: sum of (2 + j) for j < i.
    fn first_edge(self, node: usize) -> usize {
        CELL_INPUTS * node + node * node.saturating_sub(1) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_sizes() {
        assert_eq!(Topology::new(4).edge_count(), 14);
        assert_eq!(Topology::new(3).edge_count(), 9);
        assert_eq!(Topology::new(3).edges_into(2), 5..9);
    }

    proptest! {
        #[test]
        fn edges_are_numbered_node_by_node_and_source_by_source(steps in 1_usize..9) {
            let topology = Topology::new(steps);
            let edges: Vec<Edge> = topology.edges().collect();
            prop_assert_eq!(edges.len(), topology.edge_count());
            for (position, edge) in edges.iter().enumerate() {
                prop_assert_eq!(edge.index, position);
                prop_assert!(edge.source < CELL_INPUTS + edge.node);
                prop_assert!(topology.edges_into(edge.node).contains(&edge.index));
                prop_assert_eq!(topology.edge(position), *edge);
            }
            for pair in edges.windows(2) {
                prop_assert!((pair[0].node, pair[0].source) < (pair[1].node, pair[1].source));
            }
        }
    }
}

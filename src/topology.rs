//! The shape of a cell: its inputs, which edges lead into which node, how many of them a node keeps, whether an edge
//! may be decided for `none`, and which states are the cell's output.
//!
//! States are numbered from the inputs on: with two inputs these are states 0 and 1, node i is state 2 + i. Edges are
//! numbered node by node, source by source (docs/method.md, "The cell"). Nothing here knows what an edge computes.

use serde::{Deserialize, Serialize};

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
    /// The state it reads: first the cell's inputs, then its nodes.
    pub source: usize,
}

/// From which states edges lead into a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    /// Every earlier one.
    Earlier,
    /// These, ascending, node by node.
    Listed(&'static [&'static [usize]]),
}

/// How many edges a node of a derived cell keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// So many, or all where it has fewer.
    Edges(usize),
    /// All.
    All,
}

/// What `none` is in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoneRule {
    /// There is no such primitive.
    Absent,
    /// The first primitive, which is mixed while a search runs; edges are never decided for it. It says how little an
    /// edge matters.
    Mixed,
    /// The first primitive, which an edge may be decided for like any other.
    Choosable,
}

/// Which states are joined to a cell's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellOutput {
    /// The last so many.
    LastStates(usize),
    /// The last node alone.
    LastNode,
    /// The nodes that no edge of the derived cell reads. In a supernet every node has its slice, which is zero once an
    /// edge that reads the node is decided.
    Leaves,
}

/// The shape of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topology {
    inputs: usize,
    steps: usize,
    sources: Sources,
    keeps: Keeps,
    none: NoneRule,
    output: CellOutput,
}

impl Topology {
    /// A cell of DARTS and SGAS with `steps` inner nodes: two inputs, an edge from every earlier state, of which a node
    /// keeps two, none of them decided for `none`; the last four states are the output.
    pub const fn new(steps: usize) -> Self {
        Self {
            inputs: 2,
            steps,
            sources: Sources::Earlier,
            keeps: Keeps::Edges(2),
            none: NoneRule::Mixed,
            output: CellOutput::LastStates(4),
        }
    }

    /// The same with so many inputs: the outputs of as many cells before it.
    #[must_use]
    pub const fn with_inputs(self, inputs: usize) -> Self {
        Self { inputs, ..self }
    }

    /// The same with edges from these states.
    #[must_use]
    pub const fn reading(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// The same with nodes that keep so many edges.
    #[must_use]
    pub const fn keeping(self, keeps: Keeps) -> Self {
        Self { keeps, ..self }
    }

    /// The same with `none` as this rule has it.
    #[must_use]
    pub const fn with_none(self, none: NoneRule) -> Self {
        Self { none, ..self }
    }

    /// The same with another output.
    #[must_use]
    pub const fn putting_out(self, output: CellOutput) -> Self {
        Self { output, ..self }
    }

    /// The same with another number of inner nodes, as cells of other methods have it.
    #[must_use]
    pub const fn of_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// The number of inputs: the outputs of the cells before it.
    pub fn inputs(self) -> usize {
        self.inputs
    }

    /// The number of inner nodes.
    pub fn steps(self) -> usize {
        self.steps
    }

    /// The number of states: inputs and inner nodes.
    pub fn states(self) -> usize {
        self.inputs + self.steps
    }

    /// The state that an inner node is.
    pub fn state_of(self, node: usize) -> usize {
        self.inputs + node
    }

    /// What a state is called: `input 0`, `node 0`.
    pub fn state_name(self, state: usize) -> String {
        match state.checked_sub(self.inputs) {
            Some(node) => format!("node {node}"),
            None => format!("input {state}"),
        }
    }

    /// The states from which edges lead into `node`, ascending.
    pub fn sources(self, node: usize) -> Vec<usize> {
        match self.sources {
            Sources::Earlier => (0..self.state_of(node)).collect(),
            Sources::Listed(sources) => sources[node].to_vec(),
        }
    }

    /// The number of edges: 14 for 4 steps of the published cells, 9 for 3.
    pub fn edge_count(self) -> usize {
        self.first_edge(self.steps)
    }

    /// How many edges `node` of a derived cell has.
    pub fn kept(self, node: usize) -> usize {
        let all = self.source_count(node);
        match self.keeps {
            Keeps::Edges(kept) => kept.min(all),
            Keeps::All => all,
        }
    }

    /// Whether a node keeps all its edges.
    pub fn keeps_all(self) -> bool {
        self.keeps == Keeps::All
    }

    /// How many edges a node keeps, for messages: `two edges for every node`.
    pub fn kept_in_words(self) -> String {
        match self.keeps {
            Keeps::Edges(1) => "one edge for every node".to_owned(),
            Keeps::Edges(2) => "two edges for every node".to_owned(),
            Keeps::Edges(kept) => format!("{kept} edges for every node"),
            Keeps::All => "every edge of every node".to_owned(),
        }
    }

    /// The number of decisions that a search makes: one for every edge of the derived cell.
    pub fn decision_count(self) -> usize {
        (0..self.steps).map(|node| self.kept(node)).sum()
    }

    /// The same shape with as many inner nodes as a derived cell of `edges` edges has; absent where no number fits.
    pub fn of_edges(self, edges: usize) -> Option<Self> {
        let most = match self.sources {
            Sources::Earlier => edges,
            Sources::Listed(sources) => sources.len(),
        };
        (1..=most).map(|steps| self.of_steps(steps)).find(|shape| shape.decision_count() == edges)
    }

    /// The nodes of the edges of a derived cell, which stand node by node.
    pub fn nodes_of_kept(self) -> impl Iterator<Item = usize> {
        (0..self.steps).flat_map(move |node| std::iter::repeat_n(node, self.kept(node)))
    }

    /// The first primitive that an edge may be decided for.
    pub fn first_choosable(self) -> usize {
        usize::from(self.none == NoneRule::Mixed)
    }

    /// Whether an edge may be decided for this primitive of the table and then carry nothing.
    pub fn chooses_none(self) -> bool {
        self.none == NoneRule::Choosable
    }

    /// Whether the first primitive of the table is `none`.
    pub fn has_none(self) -> bool {
        self.none != NoneRule::Absent
    }

    /// Whether the nodes that nothing reads are the output.
    pub fn puts_out_leaves(self) -> bool {
        self.output == CellOutput::Leaves
    }

    /// The states that a cell in search puts out.
    pub fn output_states(self) -> std::ops::Range<usize> {
        let states = self.states();
        match self.output {
            CellOutput::LastStates(count) => states.saturating_sub(count)..states,
            CellOutput::LastNode => states - 1..states,
            CellOutput::Leaves => self.inputs..states,
        }
    }

    /// The states that a derived cell puts out, whose edges, but those of `none`, read these states.
    pub fn derived_output(self, read: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let read: Vec<usize> = read.into_iter().collect();
        self.output_states().filter(|state| !self.puts_out_leaves() || !read.contains(state)).collect()
    }

    /// Whether a state is an input of the cell.
    pub fn reads_input(self, state: usize) -> bool {
        state < self.inputs
    }

    /// The indices of the edges that lead into `node`.
    pub fn edges_into(self, node: usize) -> std::ops::Range<usize> {
        self.first_edge(node)..self.first_edge(node + 1)
    }

    /// All edges in order.
    pub fn edges(self) -> impl Iterator<Item = Edge> {
        let pairs =
            (0..self.steps).flat_map(move |node| self.sources(node).into_iter().map(move |source| (node, source)));
        pairs.enumerate().map(|(index, (node, source))| Edge { index, node, source })
    }

    /// The edge with this index; panics when it is not below [`Self::edge_count`].
    pub fn edge(self, index: usize) -> Edge {
        self.edges().nth(index).expect("edge indices are below edge_count")
    }

    fn source_count(self, node: usize) -> usize {
        match self.sources {
            Sources::Earlier => self.state_of(node),
            Sources::Listed(sources) => sources[node].len(),
        }
    }

    /// Node i is preceded by the edges of the nodes before it.
    fn first_edge(self, node: usize) -> usize {
        (0..node).map(|before| self.source_count(before)).sum()
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
        assert_eq!((Topology::new(4).decision_count(), Topology::new(4).output_states()), (8, 2..6));
        assert_eq!((Topology::new(3).decision_count(), Topology::new(3).output_states()), (6, 1..5));
    }

    #[test]
    fn a_node_without_enough_sources_keeps_what_it_has() {
        let one_input = Topology::new(3).with_inputs(1);
        assert_eq!((one_input.edge_count(), one_input.decision_count()), (6, 5));
        assert_eq!(one_input.nodes_of_kept().collect::<Vec<_>>(), [0, 1, 1, 2, 2]);
        assert_eq!(one_input.keeping(Keeps::All).decision_count(), 6);
        assert_eq!(one_input.keeping(Keeps::Edges(1)).decision_count(), 3);
    }

    #[test]
    fn listed_sources_make_the_edges() {
        let chain = Topology::new(3).with_inputs(1).reading(Sources::Listed(&[&[0], &[0, 1], &[2]]));
        let edges: Vec<(usize, usize)> = chain.edges().map(|edge| (edge.node, edge.source)).collect();
        assert_eq!(edges, [(0, 0), (1, 0), (1, 1), (2, 2)]);
        assert_eq!((chain.edges_into(1), chain.edges_into(2)), (1..3, 3..4));
    }

    #[test]
    fn the_output_is_the_last_node_or_what_nothing_reads() {
        let cell = Topology::new(3).with_inputs(1);
        assert_eq!(cell.putting_out(CellOutput::LastNode).output_states(), 3..4);
        let leaves = cell.putting_out(CellOutput::Leaves);
        assert_eq!(leaves.output_states(), 1..4);
        assert_eq!(leaves.derived_output([0, 1, 0]), [2, 3]);
        assert_eq!(cell.derived_output([0, 1, 2]), [0, 1, 2, 3]);
    }

    #[test]
    fn the_nodes_of_a_derived_cell_follow_from_its_edges() {
        let steps = |shape: Topology, edges| shape.of_edges(edges).map(Topology::steps);
        assert_eq!((steps(Topology::new(4), 10), steps(Topology::new(4), 7)), (Some(5), None));
        let all = Topology::new(3).with_inputs(1).keeping(Keeps::All);
        assert_eq!((steps(all, 6), steps(all, 5)), (Some(3), None));
    }

    proptest! {
        #[test]
        fn edges_are_numbered_node_by_node_and_source_by_source(steps in 1_usize..9, inputs in 1_usize..4) {
            let topology = Topology::new(steps).with_inputs(inputs);
            let edges: Vec<Edge> = topology.edges().collect();
            prop_assert_eq!(edges.len(), topology.edge_count());
            for (position, edge) in edges.iter().enumerate() {
                prop_assert_eq!(edge.index, position);
                prop_assert!(edge.source < topology.state_of(edge.node));
                prop_assert!(topology.edges_into(edge.node).contains(&edge.index));
                prop_assert_eq!(topology.edge(position), *edge);
            }
            for pair in edges.windows(2) {
                prop_assert!((pair[0].node, pair[0].source) < (pair[1].node, pair[1].source));
            }
        }
    }
}

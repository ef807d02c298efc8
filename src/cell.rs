//! A cell: preprocessed inputs, inner nodes that sum their edges, and a concatenation of states.
//!
//! One type serves the supernet, where an edge mixes all primitives, and the derived network, where it has one;
//! a supernet's edge becomes the other when it is decided (docs/method.md, "The cell").

mod partial;

pub use partial::PartialChannels;

use crate::ops::{Mode, Operation, Shared, State};
use crate::tensor::layers::makes_maps_together;
use crate::tensor::mixture::{Mixture, NodeSum, Part, goes_edge_by_edge, mix};
use crate::tensor::watch;
use tch::{Device, Kind, Tensor};

/// What an edge computes.
pub enum Content<C> {
    /// All primitives, mixed; `none` has no operation and contributes nothing, and neither has one that was dropped.
    Mixed(Vec<Option<Box<dyn Operation<C>>>>),
    /// The primitive it was fixed to.
    Fixed(Box<dyn Operation<C>>),
    /// Nothing.
    Pruned,
}

/// An edge into a node of the cell.
pub struct CellEdge<C> {
    /// The state it reads.
    pub source: usize,
    /// What it computes.
    content: Content<C>,
    /// The primitive, or nothing, that is computed alone for now, where it mixes several.
    narrowed: Option<Option<usize>>,
}

/// What an edge computes for now.
enum Active<'a, C> {
    Nothing,
    One(&'a dyn Operation<C>),
    Mixed(&'a [Option<Box<dyn Operation<C>>>]),
}

/// A cell over the context `C`.
pub struct Cell<C> {
    preprocess: Vec<Box<dyn Operation<C>>>,
    nodes: Vec<Vec<CellEdge<C>>>,
    output: JoinedStates,
    /// Of a supernet whose edges work on a part of the channels.
    partial: Option<PartialChannels>,
}

/// The states that form a cell's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedStates {
    /// Which, in order.
    pub states: Vec<usize>,
    /// Whether those that a fixed edge reads put out zeros instead.
    pub leaves_alone: bool,
}

impl<C> Cell<C> {
    /// A cell of what brings each input to its channels, and nodes with their edges, in order.
    pub fn new(preprocess: Vec<Box<dyn Operation<C>>>, nodes: Vec<Vec<CellEdge<C>>>, output: JoinedStates) -> Self {
        Self { preprocess, nodes, output, partial: None }
    }

    /// The same whose operations work on a part of the channels, where there is one.
    #[must_use]
    pub fn through(self, partial: Option<PartialChannels>) -> Self {
        Self { partial, ..self }
    }

    /// The output of the cell for the outputs of those before it. `mixture` has the weights of all edges, those that
    /// are not open included, where any is open; `masks` is what drop path leaves of every edge (see [`DropPath`]).
    pub fn forward(
        &self,
        inputs: &[&State<'_>],
        context: &C,
        mixture: Option<&Mixture>,
        masks: &mut DropPath,
        mode: Mode,
    ) -> Tensor {
        // What edges read, and the features in full.
        let mut states: Vec<State> = Vec::with_capacity(inputs.len() + self.nodes.len());
        let mut whole: Vec<Tensor> = Vec::with_capacity(inputs.len() + self.nodes.len());
        for (operation, input) in self.preprocess.iter().zip(inputs.iter().copied()) {
            let features = operation.forward(input, context, mode);
            watch::look(|| format!("input {} brought to its channels", states.len()), &features);
            states.push(self.state(states.len(), &features, mixture.is_some()));
            whole.push(features);
        }
        let mut first_edge = 0;
        for (position, node) in self.nodes.iter().enumerate() {
            let sum = if let Some(partial) = self.partial {
                let read = Read { partial, states: &states, whole: &whole };
                by_partial_edges(node, &read, context, mixture.map(|mixture| (mixture, position, first_edge)), mode)
            } else if goes_edge_by_edge(&states[0].features) {
                by_edges(node, &states, context, mixture.map(|mixture| (mixture, first_edge)), masks, mode)
            } else {
                at_once(node, &states, context, mixture.map(|mixture| (mixture, position)), masks, mode)
            };
            watch::look(|| format!("node {position}"), &sum);
            first_edge += node.len();
            states.push(self.state(states.len(), &sum, mixture.is_some()));
            whole.push(sum);
        }
        let JoinedStates { states: joined, leaves_alone } = &self.output;
        let output = |&state: &usize| {
            let features = &whole[state];
            if *leaves_alone && self.is_read(state) { features.zeros_like() } else { features.shallow_clone() }
        };
        let outputs: Vec<Tensor> = joined.iter().map(output).collect();
        Tensor::cat(&outputs, 1)
    }

    /// Whether an edge that is decided reads this state.
    fn is_read(&self, state: usize) -> bool {
        let mut edges = self.nodes.iter().flatten();
        edges.any(|edge| edge.source == state && matches!(edge.active(), Active::One(_)))
    }

    /// Its edges, pruned ones included.
    pub fn edges(&self) -> usize {
        self.nodes.iter().map(Vec::len).sum()
    }

    /// A state with what the operations on the edges from it will ask it for, whose outputs are mixed or not.
    fn state(&self, source: usize, features: &Tensor, is_mixed: bool) -> State<'_> {
        let features = self.partial.map_or_else(|| features.shallow_clone(), |partial| partial.seen(features));
        let edges = self.nodes.iter().flatten().filter(|edge| edge.source == source);
        let operations: Vec<&dyn Operation<C>> = edges.flat_map(CellEdge::operations).collect();
        let mut shares: Vec<Shared> = Vec::new();
        for share in operations.iter().flat_map(|operation| operation.shares()) {
            if !shares.contains(share) {
                shares.push(*share);
            }
        }
        let together = makes_maps_together(&features);
        let maps = operations.iter().filter(|_| together).flat_map(|operation| operation.maps()).collect();
        let leaves_ends = is_mixed && Part::may_be_unfinished(&features);
        let state = State::expecting(features, operations.len(), shares, maps);
        if leaves_ends { state.leaving_ends() } else { state }
    }

    /// Keeps one primitive of a mixed edge and drops the others; nothing is left of an edge that is fixed to `none`.
    pub fn fix(&mut self, edge: usize, primitive: usize) {
        let content = &mut self.edge_mut(edge).content;
        if let Content::Mixed(operations) = content {
            *content = operations.swap_remove(primitive).map_or(Content::Pruned, Content::Fixed);
        }
    }

    /// Takes one primitive out of a mixed edge.
    pub fn drop_primitive(&mut self, edge: usize, primitive: usize) {
        if let Content::Mixed(operations) = &mut self.edge_mut(edge).content {
            operations[primitive] = None;
        }
    }

    /// Computes one primitive of some open edges, as if they were fixed to it, and nothing of the others, until it is
    /// told anything else; `primitives` has an entry per edge. Without it all is computed.
    pub fn narrow(&mut self, primitives: Option<&[Option<usize>]>) {
        for (index, edge) in self.nodes.iter_mut().flatten().enumerate() {
            edge.narrowed = primitives.map(|primitives| primitives[index]);
        }
    }

    /// Drops all primitives of an edge.
    pub fn prune(&mut self, edge: usize) {
        self.edge_mut(edge).content = Content::Pruned;
    }

    fn edge_mut(&mut self, index: usize) -> &mut CellEdge<C> {
        self.nodes.iter_mut().flatten().nth(index).expect("edge indices are below the topology's count")
    }
}

impl<C> CellEdge<C> {
    /// An edge from a state.
    pub fn new(source: usize, content: Content<C>) -> Self {
        Self { source, content, narrowed: None }
    }

    fn active(&self) -> Active<'_, C> {
        match (&self.content, self.narrowed) {
            (Content::Mixed(operations), None) if operations.iter().all(Option::is_none) => Active::Nothing,
            (Content::Mixed(operations), None) => Active::Mixed(operations),
            (Content::Mixed(operations), Some(alone)) => {
                alone.and_then(|primitive| operations[primitive].as_deref()).map_or(Active::Nothing, Active::One)
            }
            (Content::Fixed(operation), _) => Active::One(&**operation),
            (Content::Pruned, _) => Active::Nothing,
        }
    }

    /// The primitives that are computed.
    fn operations(&self) -> impl Iterator<Item = &dyn Operation<C>> {
        let (mixed, one) = match self.active() {
            Active::Mixed(operations) => (operations, None),
            Active::One(operation) => (&[][..], Some(operation)),
            Active::Nothing => (&[][..], None),
        };
        mixed.iter().flatten().map(|operation| &**operation).chain(one)
    }
}

/// What primitives give, in their order; `None` for `none`.
fn parts<'a, C>(
    operations: &'a [Option<Box<dyn Operation<C>>>],
    state: &State,
    context: &C,
    mode: Mode,
) -> impl Iterator<Item = Option<Part<'a>>> {
    operations.iter().map(move |operation| operation.as_ref().map(|operation| operation.part(state, context, mode)))
}

/// The sum of a node's edges, one edge after the other, with the kernels of a CPU; the mixture comes with the number of
/// the node's first edge.
fn by_edges<C>(
    node: &[CellEdge<C>],
    states: &[State],
    context: &C,
    mixture: Option<(&Mixture, usize)>,
    masks: &mut DropPath,
    mode: Mode,
) -> Tensor {
    let outputs = node.iter().enumerate().filter_map(|(index, edge)| {
        let state = &states[edge.source];
        match edge.active() {
            Active::Nothing => None,
            Active::One(operation) => {
                let output = operation.forward(state, context, mode);
                Some(if operation.is_identity() { output } else { masks.dropped(output) })
            }
            Active::Mixed(operations) => {
                let (mixture, first) = mixture.expect("an open edge has a mixture");
                Some(mix(mixture, first + index, parts(operations, state, context, mode)))
            }
        }
    });
    outputs.reduce(|sum, output| sum + output).unwrap_or_else(|| nothing(states))
}

/// The states that partial edges read: their channels that operations see, and all of them.
struct Read<'a> {
    partial: PartialChannels,
    states: &'a [State<'a>],
    whole: &'a [Tensor],
}

/// The sum of a node's edges that work on a part of the channels; the mixture comes with the number of the node and of
/// its first edge.
fn by_partial_edges<C>(
    node: &[CellEdge<C>],
    read: &Read<'_>,
    context: &C,
    mixture: Option<(&Mixture, usize, usize)>,
    mode: Mode,
) -> Tensor {
    let outputs = node.iter().enumerate().filter_map(|(index, edge)| {
        let (state, whole) = (&read.states[edge.source], &read.whole[edge.source]);
        match edge.active() {
            Active::Nothing => None,
            Active::One(operation) => Some(read.partial.joined(&operation.forward(state, context, mode), whole, None)),
            Active::Mixed(operations) => {
                let (mixture, position, first) = mixture.expect("an open edge has a mixture");
                let parts = parts(operations, state, context, mode);
                let mixed = if goes_edge_by_edge(&state.features) {
                    mix(mixture, first + index, parts)
                } else {
                    let mut sum = NodeSum::default();
                    sum.add_mixed(index, operations.len(), parts);
                    sum.finish(Some(mixture), position, |_, _| unreachable!("no edge is masked"))
                };
                Some(read.partial.joined(&mixed, whole, mixture.edge_weight(first + index)))
            }
        }
    });
    outputs.reduce(|sum, output| sum + output).unwrap_or_else(|| read.whole[0].zeros_like())
}

/// What a node gives whose edges carry nothing. Cells with such nodes keep the resolution of their inputs.
fn nothing(states: &[State]) -> Tensor {
    states[0].features.zeros_like()
}

/// The same of all edges at once, which takes fewer operators; the mixture comes with the number of the node.
fn at_once<C>(
    node: &[CellEdge<C>],
    states: &[State],
    context: &C,
    mixture: Option<(&Mixture, usize)>,
    masks: &mut DropPath,
    mode: Mode,
) -> Tensor {
    let mut sum = NodeSum::default();
    for (index, edge) in node.iter().enumerate() {
        let state = &states[edge.source];
        match edge.active() {
            Active::Nothing => {}
            Active::One(operation) if operation.is_identity() || masks.keeps_all() => {
                sum.add(operation.part(state, context, mode));
            }
            Active::One(operation) => sum.add_masked(operation.forward(state, context, mode)),
            Active::Mixed(operations) => {
                sum.add_mixed(index, operations.len(), parts(operations, state, context, mode));
            }
        }
    }
    if sum.is_empty() {
        return nothing(states);
    }
    let (mixture, position) = mixture.map_or((None, 0), |(mixture, position)| (Some(mixture), position));
    sum.finish(mixture, position, |count, kind| masks.next(count, kind))
}

/// Drop path: zeroes each unit of an edge's output with some probability and divides the kept ones by the keep rate. A
/// unit is a part of the first dimension: an image, the rows of a cloud, a row.
pub struct DropPath {
    probability: f64,
    units: i64,
    device: Device,
    /// Edges of the pass.
    edges: usize,
    /// Where they are used several at a time, the masks of all edges, (edges, units) in the type that was asked for last,
    /// and how many were used.
    drawn: Option<(Tensor, usize)>,
}

impl DropPath {
    /// Of a pass through `edges` edges.
    pub fn new(probability: f64, units: i64, edges: usize, device: Device) -> Self {
        Self { probability, units, edges, device, drawn: None }
    }

    fn keeps_all(&self) -> bool {
        self.probability == 0.0
    }

    /// fp32: 0, or 1 / the keep rate.
    fn draw(&self, shape: &[i64]) -> Tensor {
        let keep = 1.0 - self.probability;
        Tensor::empty(shape, (Kind::Float, self.device)).bernoulli_float_(keep) / keep
    }

    /// The masks of the next `count` edges, (count, units); all are drawn at the first call.
    fn next(&mut self, count: usize, kind: Kind) -> Tensor {
        let (masks, used) = self.drawn.take().unwrap_or_else(|| (self.draw(&[self.edges as i64, self.units]), 0));
        let masks = masks.to_kind(kind);
        let next = masks.narrow(0, used as i64, count as i64);
        self.drawn = Some((masks, used + count));
        next
    }

    /// What is left of an edge's output.
    fn dropped(&self, x: Tensor) -> Tensor {
        if self.keeps_all() {
            return x;
        }
        let mask = self.draw(&[self.units]);
        // A unit's rows side by side, then all that belongs to each.
        let size = x.size();
        let apart: Vec<i64> = [self.units, -1].into_iter().chain(size[1..].iter().copied()).collect();
        let mut shape = vec![1; apart.len()];
        shape[0] = self.units;
        let mask = mask.view(shape.as_slice()).to_kind(x.kind());
        if size[0] == self.units {
            x * mask.squeeze_dim(1)
        } else {
            (x.view(apart.as_slice()) * mask).view(size.as_slice())
        }
    }
}

//! A cell: two preprocessed inputs, inner nodes that sum their edges, and a concatenation of states.
//!
//! One type serves the supernet, where an edge mixes all primitives, and the derived network, where it has one;
//! a supernet's edge becomes the other when it is decided (REFERENCE section 1).

use crate::ops::{Mode, Operation, Shared, State};
use crate::tensor::mixture::mix;
use crate::topology::CELL_INPUTS;
use tch::{Kind, Tensor};

/// The weights softmax(alpha) of one edge's primitives, fp32 (primitives).
pub type EdgeMixture = Tensor;

/// What an edge computes.
pub enum Content<C> {
    /// All primitives, mixed; at index 0 stands `none`, which has no operation and contributes nothing.
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
    pub content: Content<C>,
}

/// A cell over the context `C`.
pub struct Cell<C> {
    preprocess: [Box<dyn Operation<C>>; CELL_INPUTS],
    nodes: Vec<Vec<CellEdge<C>>>,
    concat: Vec<usize>,
}

impl<C> Cell<C> {
    /// A cell of nodes with their edges, in order; `concat` lists the states that form its output.
    pub fn new(
        preprocess: [Box<dyn Operation<C>>; CELL_INPUTS],
        nodes: Vec<Vec<CellEdge<C>>>,
        concat: Vec<usize>,
    ) -> Self {
        Self { preprocess, nodes, concat }
    }

    /// The output of the cell for the outputs of the two before it. `mixture` holds one entry per edge in the
    /// order of the topology (entries of edges that are not open are not read); `units` is the number of parts
    /// that drop path keeps or drops each on its own (samples, or nodes of a graph).
    pub fn forward(
        &self,
        inputs: &[Tensor; 2],
        context: &C,
        mixture: &[EdgeMixture],
        units: i64,
        mode: Mode,
    ) -> Tensor {
        let mut states: Vec<State> = Vec::with_capacity(CELL_INPUTS + self.nodes.len());
        for (operation, input) in self.preprocess.iter().zip(inputs) {
            let features = operation.forward(&State::new(input.shallow_clone()), context, mode);
            states.push(State::expecting(features, self.shares(states.len())));
        }
        let mut index = 0;
        for node in &self.nodes {
            let mut sum: Option<Tensor> = None;
            for edge in node {
                let weights = mixture.get(index);
                index += 1;
                let Some(output) = edge.forward(&states[edge.source], context, weights, units, mode) else { continue };
                sum = Some(match sum {
                    Some(sum) => sum + output,
                    None => output,
                });
            }
            states.push(State::expecting(sum.expect("a node keeps two edges"), self.shares(states.len())));
        }
        let outputs: Vec<&Tensor> = self.concat.iter().map(|&state| &states[state].features).collect();
        Tensor::cat(&outputs, 1)
    }

    /// What the operations on the edges from a state will ask it for.
    fn shares(&self, source: usize) -> Vec<Shared> {
        let mut shares = Vec::new();
        for edge in self.nodes.iter().flatten().filter(|edge| edge.source == source) {
            for share in edge.operations().flat_map(Operation::shares) {
                if !shares.contains(share) {
                    shares.push(*share);
                }
            }
        }
        shares
    }

    /// Keeps one primitive of a mixed edge and drops the others.
    pub fn fix(&mut self, edge: usize, primitive: usize) {
        let content = &mut self.edge_mut(edge).content;
        if let Content::Mixed(operations) = content {
            let kept = operations.swap_remove(primitive);
            *content = Content::Fixed(kept.expect("a decision never takes none"));
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
    /// Its primitives.
    fn operations(&self) -> impl Iterator<Item = &dyn Operation<C>> {
        let (mixed, fixed) = match &self.content {
            Content::Mixed(operations) => (operations.as_slice(), None),
            Content::Fixed(operation) => (&[][..], Some(&**operation)),
            Content::Pruned => (&[][..], None),
        };
        mixed.iter().flatten().map(|operation| &**operation).chain(fixed)
    }

    fn forward(
        &self,
        state: &State,
        context: &C,
        weights: Option<&EdgeMixture>,
        units: i64,
        mode: Mode,
    ) -> Option<Tensor> {
        match &self.content {
            Content::Pruned => None,
            Content::Fixed(operation) => {
                let output = operation.forward(state, context, mode);
                let spared = mode.drop_path() == 0.0 || operation.is_identity();
                Some(if spared { output } else { drop_path(&output, mode.drop_path(), units) })
            }
            Content::Mixed(operations) => {
                let parts = operations
                    .iter()
                    .map(|operation| operation.as_ref().map(|operation| operation.part(state, context, mode)));
                Some(mix(weights.expect("an open edge has a mixture"), parts))
            }
        }
    }
}

/// Zeroes each unit with this probability and divides the kept ones by the keep rate. A unit is a part of the first
/// dimension: an image, the rows of a cloud, a row.
fn drop_path(x: &Tensor, probability: f64, units: i64) -> Tensor {
    let keep = 1.0 - probability;
    let mask = Tensor::empty([units], (Kind::Float, x.device())).bernoulli_float_(keep) / keep;
    let mut shape = vec![1; x.dim()];
    shape[0] = x.size()[0];
    let rows = mask.unsqueeze(1).expand([units, shape[0] / units], false).reshape(shape);
    x * rows.to_kind(x.kind())
}

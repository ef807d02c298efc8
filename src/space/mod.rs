//! Spaces: which primitives there are, how cells are stacked, and what stands before, between and after them.

pub mod graph;
pub mod image;
pub mod nas_bench_graph;
pub mod point;

use crate::batch::Batch;
use crate::genotype::{Genotype, SpaceName};
use crate::ops::{Mode, Operation};
use crate::tensor::parameters::{Norms, Path};
use crate::topology::{CellKind, Edge, Topology};
use std::ops::Deref;
use tch::Tensor;

/// One cell of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellPlan {
    /// Which table of alphas, or which half of a genotype, it follows.
    pub kind: CellKind,
    /// Channels of its nodes.
    pub channels: i64,
    /// Channels of its inputs, the oldest first.
    pub inputs: Vec<i64>,
    /// Channels of its output.
    pub outputs: i64,
    /// Position in the stack, from 0.
    pub position: usize,
    /// Whether the step before it halved the resolution, so that its first input is twice as large as its second.
    pub reduced_before: bool,
}

/// What a network puts out.
pub struct Output {
    /// Scores of the classes (B, classes).
    pub logits: Tensor,
    /// The auxiliary head's, where the network has one and trains.
    pub auxiliary: Option<Tensor>,
}

/// What stands before the cells.
pub trait Stem {
    /// The inputs of the first cell, as many as cells have; the last of them is the stem's output.
    fn forward(&self, batch: &Batch, mode: Mode) -> Vec<Tensor>;
}

/// What stands after the cells.
pub trait Head {
    /// From the stem's and every cell's output.
    fn forward(&self, outputs: &[Tensor], batch: &Batch, mode: Mode) -> Output;
}

/// What the operations of a cell read besides features.
pub enum CellContext<'a, C> {
    /// Made for this cell.
    Own(C),
    /// Made with the batch, for all cells.
    OfBatch(&'a C),
}

impl<C> Deref for CellContext<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        match self {
            Self::Own(context) => context,
            Self::OfBatch(context) => context,
        }
    }
}

/// What a network is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A supernet.
    Search,
    /// A derived network.
    Retraining,
}

/// A space of architectures.
pub trait Space {
    /// The name of the last layer's bias, which has a value per class or label.
    const OUTPUT_BIAS: &'static str;

    /// The name of the first layer's weight, whose second dimension is the numbers per input point or node; absent
    /// where all inputs have as many.
    const INPUT_WEIGHT: Option<&'static str>;

    /// What operations read besides features.
    type Context: 'static;

    /// The name in genotypes.
    fn name(&self) -> SpaceName;

    /// The same for the network of a derived cell, where the cell decides more than its edges: the widths of its states.
    #[must_use]
    fn of_cell(self, _genotype: &Genotype) -> Self
    where
        Self: Sized,
    {
        self
    }

    /// By what the norms of its networks normalise.
    fn norms(&self) -> Norms {
        Norms::Batch
    }

    /// Stem of a network whose first cell has `channels` channels, at the root of the names.
    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem>;

    /// The stack of `cells` cells; `states` tells how many states a kind of cell puts out.
    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan>;

    /// The operation that brings input `input` of a cell to its channels.
    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> Box<dyn Operation<Self::Context>>;

    /// Where the weights of that operation lie, from the root of the names.
    fn preprocess_name(&self, plan: &CellPlan, input: usize) -> String {
        format!("cells.{}.preprocess{input}", plan.position)
    }

    /// Where the primitives of a supernet's edge lie in a cell, below which each has its number.
    fn mixed_edge_name(&self, edge: Edge) -> String {
        format!("_ops.{}._ops", edge.index)
    }

    /// Where the primitive of a derived cell's edge lies in the cell; edges are numbered in the genotype's order.
    fn derived_edge_name(&self, index: usize) -> String {
        format!("_ops.{index}")
    }

    /// A primitive on an edge from state `source`; absent for `none`.
    fn operation(
        &self,
        path: &Path,
        primitive: &str,
        plan: &CellPlan,
        source: usize,
    ) -> Option<Box<dyn Operation<Self::Context>>>;

    /// What a cell's operations read, from its unprocessed first input or from the batch.
    fn context<'a>(&self, plan: &CellPlan, first_input: &Tensor, batch: &'a Batch) -> CellContext<'a, Self::Context>;

    /// The number of parts that drop path treats each on its own.
    fn drop_path_units(&self, batch: &Batch) -> i64;

    /// What follows the stack, at the root of the names.
    fn head(&self, root: &Path, channels: i64, plan: &[CellPlan]) -> Box<dyn Head>;
}

/// A stack of normal cells of this shape and of one width upon a stem of `stem` channels, as points and graphs have it.
pub fn stacked_on_stem(
    topology: Topology,
    stem: i64,
    channels: i64,
    cells: usize,
    states: &dyn Fn(CellKind) -> usize,
) -> Vec<CellPlan> {
    let outputs = channels * states(CellKind::Normal) as i64;
    let before = |distance: usize, position: usize| if position < distance { stem } else { outputs };
    let plan = |position| CellPlan {
        kind: CellKind::Normal,
        channels,
        inputs: (1..=topology.inputs()).rev().map(|distance| before(distance, position)).collect(),
        outputs,
        position,
        reduced_before: false,
    };
    (0..cells).map(plan).collect()
}

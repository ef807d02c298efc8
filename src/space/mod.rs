//! Spaces: which primitives there are, how cells are stacked, and what stands before, between and after them.

pub mod graph;
pub mod image;
pub mod point;

use crate::batch::Batch;
use crate::genotype::SpaceName;
use crate::ops::{Mode, Operation};
use crate::tensor::parameters::Path;
use crate::topology::{CELL_INPUTS, CellKind};
use std::ops::Deref;
use tch::Tensor;

/// One cell of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellPlan {
    /// Which table of alphas, or which half of a genotype, it follows.
    pub kind: CellKind,
    /// Channels of its nodes.
    pub channels: i64,
    /// Channels of its two inputs.
    pub inputs: [i64; CELL_INPUTS],
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
    /// The two inputs of the first cell.
    fn forward(&self, batch: &Batch, mode: Mode) -> [Tensor; CELL_INPUTS];
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

/// A space of architectures.
pub trait Space {
    /// What operations read besides features.
    type Context;

    /// The name in genotypes.
    fn name(&self) -> SpaceName;

    /// Stem of a network whose first cell has `channels` channels, at the root of the names.
    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem>;

    /// The stack of `cells` cells; `states` tells how many states a kind of cell puts out.
    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan>;

    /// The operation that brings input `input` of a cell to its channels.
    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> Box<dyn Operation<Self::Context>>;

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

/// A stack of normal cells of one width upon a stem of `stem` channels, as points and graphs have it.
fn stacked_on_stem(stem: i64, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
    let outputs = channels * states(CellKind::Normal) as i64;
    let before = |distance: usize, position: usize| if position < distance { stem } else { outputs };
    let plan = |position| CellPlan {
        kind: CellKind::Normal,
        channels,
        inputs: [before(2, position), before(1, position)],
        outputs,
        position,
        reduced_before: false,
    };
    (0..cells).map(plan).collect()
}

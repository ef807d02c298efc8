//! Operations: what an edge of a cell computes. One primitive per file, one folder per space, whose table names them.

mod block;
pub mod graph;
pub mod image;
pub mod nas_bench_graph;
pub mod point;
mod primitive;
mod skip;
mod state;
mod wrapping;

pub use block::RowBlock;
pub use primitive::{Primitive, build, names};
pub use skip::Skip;
pub use state::{Input, Map, State};
pub use wrapping::{Wrapping, wrapped};

use crate::tensor::links::Aggregate;
use crate::tensor::mixture::Part;
use tch::Tensor;

/// Training or evaluation, as layers see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// Batch statistics, dropout, and drop path with this probability.
    Training {
        /// Probability with which an edge of a derived cell is dropped.
        drop_path: f64,
    },
    /// Batch statistics, and nothing is dropped: for a network whose running statistics are of another.
    BatchStatistics,
    /// Running statistics; nothing is dropped.
    Evaluation,
}

impl Mode {
    /// Training without drop path.
    pub const TRAINING: Self = Self::Training { drop_path: 0.0 };

    /// Whether values are dropped, as in training alone.
    pub fn is_training(self) -> bool {
        matches!(self, Self::Training { .. })
    }

    /// Whether norms take the statistics of the batch, and move the running ones by them.
    pub fn by_batch_statistics(self) -> bool {
        self != Self::Evaluation
    }

    /// The probability with which an edge is dropped.
    pub fn drop_path(self) -> f64 {
        match self {
            Self::Training { drop_path } => drop_path,
            Self::BatchStatistics | Self::Evaluation => 0.0,
        }
    }
}

/// What operations reading the same state may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Maximum over the neighbours without the point itself, less the point.
    RelativeMaximum,
    /// Mean over the links into a node, less the node.
    RelativeMean,
    /// Sum over the neighbours without the point itself.
    NeighbourSum,
    /// max(x, 0), with which all convolutions on images begin.
    Relu,
    /// Maximum over the 3×3 pixels around each (all edges from a state have the same stride).
    MaximumPool,
    /// Mean over the 3×3 pixels around each.
    MeanPool,
    /// What the sources of a node's links have.
    Linked(Aggregate),
}

/// A primitive with its weights. `C` is what it reads besides features: the space's context.
pub trait Operation<C> {
    /// The new features of a node's edge.
    fn forward(&self, state: &State, context: &C, mode: Mode) -> Tensor;

    /// The same for a sum of several operations, to which a batch norm at the end may be left.
    fn part(&self, state: &State, context: &C, mode: Mode) -> Part<'_> {
        Part::plain(self.forward(state, context, mode))
    }

    /// What it will ask its state for, where that is cheaper to compute together with what others ask for.
    fn shares(&self) -> &'static [Shared] {
        &[]
    }

    /// The linear maps of its state that it makes through the state, so that they can be made with those of others.
    fn maps(&self) -> Vec<Map<'_>> {
        Vec::new()
    }

    /// True for the identity, which drop path spares.
    fn is_identity(&self) -> bool {
        false
    }
}

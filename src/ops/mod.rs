//! Operations: what an edge of a cell computes. One primitive per file, one folder per space.

mod block;
pub mod graph;
pub mod image;
pub mod point;
mod skip;

pub use block::RowBlock;

use crate::tensor::links::Aggregate;
use crate::tensor::mixture::Part;
use std::cell::RefCell;
use tch::Tensor;

/// Training or evaluation, as layers see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// Batch statistics, dropout, and drop path with this probability.
    Training {
        /// Probability with which an edge of a derived cell is dropped.
        drop_path: f64,
    },
    /// Running statistics; nothing is dropped.
    Evaluation,
}

impl Mode {
    /// Training without drop path.
    pub const TRAINING: Self = Self::Training { drop_path: 0.0 };

    /// True in training.
    pub fn is_training(self) -> bool {
        matches!(self, Self::Training { .. })
    }

    /// The probability with which an edge is dropped.
    pub fn drop_path(self) -> f64 {
        match self {
            Self::Training { drop_path } => drop_path,
            Self::Evaluation => 0.0,
        }
    }
}

/// What operations reading the same state may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Maximum over the neighbours without the point itself, less the point.
    RelativeMaximum,
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

/// A state of a cell: its features, and what several operations compute of them, computed once.
pub struct State {
    /// The features, as the space lays them out (points and graphs: rows (R, C); images: (B, C, H, W), channels-last).
    pub features: Tensor,
    expected: Vec<Shared>,
    shared: RefCell<Vec<(Shared, Tensor)>>,
}

impl State {
    /// A state with nothing computed yet.
    pub fn new(features: Tensor) -> Self {
        Self::expecting(features, Vec::new())
    }

    /// The same, whose operations will ask for what is `expected`.
    pub fn expecting(features: Tensor, expected: Vec<Shared>) -> Self {
        Self { features, expected, shared: RefCell::default() }
    }

    /// What `compute` gives, from the first operation that asked for it.
    pub fn shared(&self, what: Shared, compute: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        self.shared_together(what, |features, _| vec![(what, compute(features))])
    }

    /// The same of what is cheaper to compute together: `compute` is told what the state's operations ask for, `what`
    /// included, and gives that at least.
    pub fn shared_together(
        &self,
        what: Shared,
        compute: impl FnOnce(&Tensor, &[Shared]) -> Vec<(Shared, Tensor)>,
    ) -> Tensor {
        if let Some(tensor) = self.known(what) {
            return tensor;
        }
        let mut wanted = self.expected.clone();
        if !wanted.contains(&what) {
            wanted.push(what);
        }
        let computed = compute(&self.features, &wanted);
        self.shared.borrow_mut().extend(computed);
        self.known(what).expect("what was asked for was computed")
    }

    fn known(&self, what: Shared) -> Option<Tensor> {
        let shared = self.shared.borrow();
        shared.iter().find(|(known, _)| *known == what).map(|(_, tensor)| tensor.shallow_clone())
    }
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

    /// True for the identity, which drop path spares.
    fn is_identity(&self) -> bool {
        false
    }
}

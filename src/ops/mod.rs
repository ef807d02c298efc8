//! Operations: what an edge of a cell computes. One primitive per file, one folder per space.

pub mod point;

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
}

/// A state of a cell: its features, and what several operations compute of them, computed once.
pub struct State {
    /// The features, as the space lays them out (points and graphs: rows (R, C)).
    pub features: Tensor,
    shared: RefCell<Vec<(Shared, Tensor)>>,
}

impl State {
    /// A state with nothing computed yet.
    pub fn new(features: Tensor) -> Self {
        Self { features, shared: RefCell::default() }
    }

    /// What `compute` gives, from the first operation that asked for it.
    pub fn shared(&self, what: Shared, compute: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        if let Some((_, tensor)) = self.shared.borrow().iter().find(|(known, _)| *known == what) {
            return tensor.shallow_clone();
        }
        let tensor = compute(&self.features);
        self.shared.borrow_mut().push((what, tensor.shallow_clone()));
        tensor
    }
}

/// A primitive with its weights. `C` is what it reads besides features: the space's context.
pub trait Operation<C> {
    /// The new features of a node's edge.
    fn forward(&self, state: &State, context: &C, mode: Mode) -> Tensor;

    /// True for the identity, which drop path spares.
    fn is_identity(&self) -> bool {
        false
    }
}

//! What operators read, and those that read no links: `fc` and `skip`.

use super::{Operator, Shared, State};
use crate::tensor::layers::Linear;
use crate::tensor::links::Links;
use crate::tensor::parameters::Path;
use crate::tensor::sparse;
use tch::Tensor;

/// Rows (N, C). A matrix that is nearly all zeros, as words of documents are, is also kept without them.
pub struct Rows {
    dense: Tensor,
    sparse: Option<Tensor>,
}

impl Rows {
    /// Rows as they are.
    pub fn dense(dense: Tensor) -> Self {
        Self { dense, sparse: None }
    }

    /// The raw features; what all operations on them share is computed once.
    pub fn raw(state: &State) -> Self {
        let sparse = sparse::is_worth_it(&state.features).then(|| state.shared(Shared::Sparse, sparse::without_zeros));
        Self { dense: state.features.shallow_clone(), sparse }
    }

    /// The map of the rows, (N, C_out).
    pub fn map(&self, linear: &Linear) -> Tensor {
        match &self.sparse {
            Some(sparse) => sparse::linear(sparse, &linear.weight(), linear.bias().as_ref()),
            None => linear.forward(&self.dense),
        }
    }

    /// The rows themselves.
    pub fn whole(&self) -> Tensor {
        self.dense.shallow_clone()
    }
}

/// `fc`: y_i = W x_i + b.
pub struct FullyConnected(Linear);

impl FullyConnected {
    /// At `path` (`weight`, `bias`).
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        Self(Linear::matrix(path, inputs, outputs, true))
    }
}

impl Operator for FullyConnected {
    fn forward(&self, rows: &Rows, _: &Links) -> Tensor {
        rows.map(&self.0)
    }
}

/// `skip`: y_i = x_i.
pub struct Identity;

impl Operator for Identity {
    fn forward(&self, rows: &Rows, _: &Links) -> Tensor {
        rows.whole()
    }
}

//! What operators read, and those that read no links: `fc` and `skip`.

use super::Operator;
use crate::tensor::layers::Linear;
use crate::tensor::links::Links;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// Rows (N, C); raw features may be a sparse matrix.
pub struct Rows(Tensor);

impl Rows {
    /// Rows as they are.
    pub fn new(rows: Tensor) -> Self {
        Self(rows)
    }

    /// The map of the rows, (N, C_out).
    pub fn map(&self, linear: &Linear) -> Tensor {
        linear.forward(&self.0)
    }

    /// The rows themselves.
    pub fn whole(&self) -> Tensor {
        self.0.shallow_clone()
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

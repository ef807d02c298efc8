//! `sage` (Hamilton et al. 2017; PyTorch Geometric's `SAGEConv`).

use super::pair::Pair;
use super::{Operator, Rows, mean};
use crate::tensor::links::Links;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = U x_i + V·(mean of x_j) + b, the mean 0 without links.
pub struct Sage(Pair);

impl Sage {
    /// At `path` (`lin_r.weight` of the node itself, `lin_l.weight` and `lin_l.bias`).
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        Self(Pair::uniform(path, inputs, outputs, "lin_r", "lin_l"))
    }
}

impl Operator for Sage {
    fn forward(&self, rows: &Rows, links: &Links) -> Tensor {
        self.0.forward(rows, |mapped| mean(&mapped, links))
    }
}

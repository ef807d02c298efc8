//! `graph` (Morris et al. 2019; PyTorch Geometric's `GraphConv`).

use super::pair::Pair;
use super::{Operator, Rows, neighbour_sum};
use crate::tensor::links::Links;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = U x_i + V·Σ_j x_j + b.
pub struct NeighbourSum(Pair);

impl NeighbourSum {
    /// At `path` (`lin_root.weight`, `lin_rel.weight`, `lin_rel.bias`).
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        Self(Pair::uniform(path, inputs, outputs, "lin_root", "lin_rel"))
    }
}

impl Operator for NeighbourSum {
    fn forward(&self, rows: &Rows, links: &Links) -> Tensor {
        self.0.forward(rows, |mapped| neighbour_sum(&mapped, links))
    }
}

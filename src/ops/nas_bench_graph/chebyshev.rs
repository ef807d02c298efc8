//! `cheb` (Defferrard et al. 2016; PyTorch Geometric's `ChebConv` of order 2).

use super::pair::Pair;
use super::{Loops, Operator, Rows, normalized_sum};
use crate::tensor::links::Links;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = U x_i - V·Σ_j x_j / √(d_i d_j) + b over the other nodes j; d counts the links from others into a node. The sum
/// with its sign is the Laplacian scaled for a greatest eigenvalue of 2.
pub struct Chebyshev(Pair);

impl Chebyshev {
    /// At `path` (`lins.0.weight`, `lins.1.weight`, `bias`).
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        Self(Pair::glorot(path, inputs, outputs, "lins.0", "lins.1"))
    }
}

impl Operator for Chebyshev {
    fn forward(&self, rows: &Rows, links: &Links) -> Tensor {
        self.0.forward(rows, |mapped| -normalized_sum(&mapped, links, Loops::LeftOut))
    }
}

//! `arma` (Bianchi et al. 2021; PyTorch Geometric's `ARMAConv` of one stack and one layer).

use super::pair::Pair;
use super::{Loops, Operator, Rows, normalized_sum};
use crate::tensor::links::Links;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = ReLU(U x_i + V·Σ_j x_j / √(d_i d_j) + b) over the links as they are stored; d counts them.
///
/// The library also holds a matrix (C_out, C_out) for further layers, which one layer never reads: published counts of
/// parameters have it, this network does not.
pub struct Arma(Pair);

impl Arma {
    /// At `path` (`root_weight.weight`, `init_weight.weight`, `bias`).
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        Self(Pair::glorot(path, inputs, outputs, "root_weight", "init_weight"))
    }
}

impl Operator for Arma {
    fn forward(&self, rows: &Rows, links: &Links) -> Tensor {
        self.0.forward(rows, |mapped| normalized_sum(&mapped, links, Loops::AsStored)).relu()
    }
}

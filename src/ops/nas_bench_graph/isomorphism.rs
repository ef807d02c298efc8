//! `gin` (Xu et al. 2019; PyTorch Geometric's `GINConv` around one linear layer).

use super::{Operator, Rows, neighbour_sum, with_bias};
use crate::tensor::init::Init;
use crate::tensor::layers::Linear;
use crate::tensor::links::Links;
use crate::tensor::parameters::{Factor, Path};
use tch::Tensor;

/// y_i = W (x_i + Σ_j x_j) + b: epsilon is a constant 0.
pub struct Isomorphism {
    map: Linear,
    bias: Factor,
}

impl Isomorphism {
    /// At `path` (`nn.weight`, `nn.bias`).
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        let path = path.sub("nn");
        let map = Linear::matrix(&path, inputs, outputs, false);
        Self { map, bias: path.factor("bias", &[outputs], Init::fan_in(inputs)) }
    }
}

impl Operator for Isomorphism {
    fn forward(&self, rows: &Rows, links: &Links) -> Tensor {
        let mapped = rows.map(&self.map);
        with_bias(neighbour_sum(&mapped, links) + mapped, &self.bias)
    }
}

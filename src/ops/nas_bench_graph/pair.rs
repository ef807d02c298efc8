//! What several operators are made of: a map of the node itself, one of its neighbours, and a bias.

use super::{Rows, with_bias};
use crate::tensor::init::Init;
use crate::tensor::layers::Linear;
use crate::tensor::parameters::{Factor, Path};
use tch::Tensor;

/// y = x U + aggregate(x V) + b.
pub struct Pair {
    own: Linear,
    neighbours: Linear,
    bias: Factor,
}

impl Pair {
    /// Starts as PyTorch's linear layers do, with the bias beside the map of the neighbours, at these names of it, of the
    /// node's map and of the neighbours'.
    pub fn uniform(path: &Path, inputs: i64, outputs: i64, own: &str, neighbours: &str) -> Self {
        let beside = path.sub(neighbours);
        Self {
            neighbours: Linear::matrix(&beside, inputs, outputs, false),
            bias: beside.factor("bias", &[outputs], Init::fan_in(inputs)),
            own: Linear::matrix(&path.sub(own), inputs, outputs, false),
        }
    }

    /// Starts from Glorot's distribution, with a bias of zeros (`bias`).
    pub fn glorot(path: &Path, inputs: i64, outputs: i64, own: &str, neighbours: &str) -> Self {
        Self {
            own: Linear::glorot(&path.sub(own), inputs, outputs),
            neighbours: Linear::glorot(&path.sub(neighbours), inputs, outputs),
            bias: path.factor("bias", &[outputs], Init::Zeros),
        }
    }

    /// (N, C_in) → (N, C_out).
    pub fn forward(&self, rows: &Rows, aggregate: impl FnOnce(Tensor) -> Tensor) -> Tensor {
        let sum = aggregate(rows.map(&self.neighbours)) + rows.map(&self.own);
        with_bias(sum, &self.bias)
    }
}

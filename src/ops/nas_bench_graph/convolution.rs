//! `gcn` (Kipf and Welling 2017; PyTorch Geometric's `GCNConv`).

use super::{Operator, Rows, bias, with_bias};
use crate::tensor::layers::Linear;
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::parameters::{Factor, Path};
use tch::Tensor;

/// y_i = Σ_j W x_j / √(d_i d_j) + b, the node itself included once; d counts the links into a node.
pub struct Convolution {
    map: Linear,
    bias: Factor,
}

impl Convolution {
    /// At `path` (`lin.weight`, `bias`).
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        Self { map: Linear::glorot(&path.sub("lin"), inputs, outputs), bias: bias(path, outputs) }
    }
}

impl Operator for Convolution {
    fn forward(&self, rows: &Rows, links: &Links) -> Tensor {
        let sums = links.aggregates(&rows.map(&self.map), &[Aggregate::NormalizedSum]);
        let sum = sums.into_iter().flatten().next().expect("a sum was asked for");
        with_bias(sum, &self.bias)
    }
}

//! The preprocessing of a cell's input: ReLU, a map of each pixel's channels, batch norm.

use crate::ops::image::relu;
use crate::ops::{Mode, Operation, State};
use crate::tensor::convolution::Convolution;
use crate::tensor::layers::BatchNorm;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// ReLU → pointwise convolution → batch norm.
pub struct ReluConvolution {
    map: Convolution,
    norm: BatchNorm,
}

impl ReluConvolution {
    /// At `path` (`op.1`, `op.2`).
    pub fn new(path: &Path, inputs: i64, outputs: i64, affine: bool) -> Self {
        let path = path.sub("op");
        Self {
            map: Convolution::pointwise(&path.sub(1), inputs, outputs, 1),
            norm: BatchNorm::with(&path.sub(2), outputs, affine),
        }
    }
}

impl Operation<()> for ReluConvolution {
    fn forward(&self, state: &State, (): &(), mode: Mode) -> Tensor {
        self.norm.forward(&self.map.forward(&relu(state)), mode.is_training())
    }
}

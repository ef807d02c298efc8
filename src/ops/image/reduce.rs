//! Factorised reduction: `skip_connect` where an edge halves the resolution, and the preprocessing of an input that
//! is twice as large as the other.

use crate::ops::image::relu;
use crate::ops::{Mode, Operation, State};
use crate::tensor::convolution::Convolution;
use crate::tensor::layers::BatchNorm;
use crate::tensor::mixture::Part;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// Half of the output channels from every second pixel, half from those one down and right; ReLU before, batch norm
/// after.
pub struct FactorizedReduction {
    even: Convolution,
    odd: Convolution,
    norm: BatchNorm,
}

impl FactorizedReduction {
    /// At `path` (`conv_1`, `conv_2`, `bn`).
    pub fn new(path: &Path, inputs: i64, outputs: i64, affine: bool) -> Self {
        Self {
            even: Convolution::pointwise(&path.sub("conv_1"), inputs, outputs - outputs / 2, 2),
            odd: Convolution::pointwise(&path.sub("conv_2"), inputs, outputs / 2, 2),
            norm: BatchNorm::with(&path.sub("bn"), outputs, affine),
        }
    }
}

impl Operation<()> for FactorizedReduction {
    fn forward(&self, state: &State, (): &(), mode: Mode) -> Tensor {
        self.part(state, &(), mode).finish()
    }

    fn part(&self, state: &State, (): &(), mode: Mode) -> Part<'_> {
        let x = relu(state);
        let shifted = x.slice(2, 1, None, 1).slice(3, 1, None, 1);
        let joined = Tensor::cat(&[self.even.forward(&x), self.odd.forward(&shifted)], 1);
        Part::normed(joined, &self.norm, mode.by_batch_statistics())
    }
}

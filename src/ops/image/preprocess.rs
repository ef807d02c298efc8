//! ReLU, a convolution, batch norm: the preprocessing of a cell's input, and `nor_conv_KxK`.

use crate::ops::image::relu;
use crate::ops::{Mode, Operation, State};
use crate::tensor::convolution::{Convolution, Window};
use crate::tensor::layers::BatchNorm;
use crate::tensor::mixture::Part;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// ReLU → convolution over all channels → batch norm.
pub struct ReluConvolution {
    map: Convolution,
    norm: BatchNorm,
}

impl ReluConvolution {
    /// With one map per pixel, at `path` (`op.1`, `op.2`).
    pub fn new(path: &Path, inputs: i64, outputs: i64, affine: bool) -> Self {
        Self::square(path, 1, inputs, outputs, 1, affine)
    }

    /// With a square kernel, at the same names.
    pub fn square(path: &Path, kernel: i64, inputs: i64, outputs: i64, stride: i64, affine: bool) -> Self {
        let path = path.sub("op");
        Self {
            map: Convolution::new(&path.sub(1), inputs, outputs, Window::square(kernel, stride, 1)),
            norm: BatchNorm::with(&path.sub(2), outputs, affine),
        }
    }
}

impl Operation<()> for ReluConvolution {
    fn forward(&self, state: &State, (): &(), mode: Mode) -> Tensor {
        self.part(state, &(), mode).finish()
    }

    fn part(&self, state: &State, (): &(), mode: Mode) -> Part<'_> {
        Part::normed(self.map.forward(&relu(state)), &self.norm, mode.by_batch_statistics())
    }
}

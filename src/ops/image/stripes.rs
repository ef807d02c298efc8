//! `conv_7x1_1x7` (of NASNet's and AmoebaNet's cells; retraining alone knows it).

use crate::ops::image::{Build, relu};
use crate::ops::{Mode, Operation, State};
use crate::tensor::convolution::{Convolution, Window};
use crate::tensor::layers::BatchNorm;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// A row of seven pixels, then a column of seven, over all channels; ReLU before, batch norm after.
pub struct Stripes {
    row: Convolution,
    column: Convolution,
    norm: BatchNorm,
}

impl Stripes {
    /// At `path` (`1`, `2`, `3`).
    pub fn new(path: &Path, build: Build) -> Self {
        let (channels, stride) = (build.channels, build.stride);
        let row = Window { kernel: [1, 7], stride: [1, stride], padding: [0, 3], dilation: 1 };
        let column = Window { kernel: [7, 1], stride: [stride, 1], padding: [3, 0], dilation: 1 };
        Self {
            row: Convolution::new(&path.sub(1), channels, channels, row),
            column: Convolution::new(&path.sub(2), channels, channels, column),
            norm: BatchNorm::with(&path.sub(3), channels, build.affine),
        }
    }
}

impl Operation<()> for Stripes {
    fn forward(&self, state: &State, (): &(), mode: Mode) -> Tensor {
        let mapped = self.column.forward(&self.row.forward(&relu(state)));
        self.norm.forward(&mapped, mode.by_batch_statistics())
    }
}

//! `sep_conv_KxK` and `dil_conv_KxK`: depthwise separable convolutions.

use crate::ops::image::{Build, relu};
use crate::ops::{Mode, Operation, State};
use crate::tensor::convolution::{Convolution, Window};
use crate::tensor::layers::BatchNorm;
use crate::tensor::mixture::Part;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// Depthwise convolution → pointwise convolution → batch norm, of what a ReLU gave.
struct Block {
    depthwise: Convolution,
    pointwise: Convolution,
    norm: BatchNorm,
}

impl Block {
    /// At `path` (`first`, `first + 1`, `first + 2`).
    fn new(path: &Path, first: usize, window: Window, build: Build) -> Self {
        Self {
            depthwise: Convolution::depthwise(&path.sub(first), build.channels, window),
            pointwise: Convolution::pointwise(&path.sub(first + 1), build.channels, build.channels, 1),
            norm: BatchNorm::with(&path.sub(first + 2), build.channels, build.affine),
        }
    }

    /// What is left to the norm, of a depthwise convolution's output.
    fn part(&self, convolved: &Tensor, mode: Mode) -> Part<'_> {
        Part::normed(self.pointwise.forward(convolved), &self.norm, mode.by_batch_statistics())
    }
}

/// One block or two in a row, a ReLU before each.
pub struct Separable {
    first: Block,
    second: Option<Block>,
}

impl Separable {
    /// `sep_conv`: two blocks, of which the first has the stride, at `path` (`op.1` to `op.7`).
    pub fn twice(path: &Path, kernel: i64, build: Build) -> Self {
        let path = path.sub("op");
        let first = Block::new(&path, 1, Window::square(kernel, build.stride, 1), build);
        Self { first, second: Some(Block::new(&path, 5, Window::square(kernel, 1, 1), build)) }
    }

    /// `dil_conv`: one block that reads every other pixel, at `path` (`op.1` to `op.3`).
    pub fn dilated(path: &Path, kernel: i64, build: Build) -> Self {
        let window = Window::square(kernel, build.stride, 2);
        Self { first: Block::new(&path.sub("op"), 1, window, build), second: None }
    }
}

impl Operation<()> for Separable {
    fn forward(&self, state: &State, (): &(), mode: Mode) -> Tensor {
        self.part(state, &(), mode).finish()
    }

    fn part(&self, state: &State, (): &(), mode: Mode) -> Part<'_> {
        let once = self.first.part(&self.first.depthwise.forward(&relu(state)), mode);
        match &self.second {
            Some(second) => second.part(&second.depthwise.forward_rectified(&once.finish()), mode),
            None => once,
        }
    }
}

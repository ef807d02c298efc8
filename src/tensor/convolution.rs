//! Convolutions on images (B, C, H, W), which lie channels-last in memory from a network's stem to its head.

use crate::tensor::init::Init;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// The shape of a convolution: height and width, where they can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Size of the kernel.
    pub kernel: [i64; 2],
    /// Distance between neighbouring outputs.
    pub stride: [i64; 2],
    /// Rows and columns of zeros around the image.
    pub padding: [i64; 2],
    /// Distance between neighbouring taps.
    pub dilation: i64,
}

impl Window {
    /// A square kernel of odd size whose output, at stride 1, has the size of its input.
    pub fn square(kernel: i64, stride: i64, dilation: i64) -> Self {
        let padding = dilation * (kernel - 1) / 2;
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2], dilation }
    }
}

/// A convolution without bias.
pub struct Convolution {
    weight: Tensor,
    window: Window,
    groups: i64,
}

impl Convolution {
    /// From `inputs` to `outputs` channels at `path` (`weight`).
    pub fn new(path: &Path, inputs: i64, outputs: i64, window: Window) -> Self {
        Self::grouped(path, [inputs, outputs], window, 1)
    }

    /// One kernel per channel.
    pub fn depthwise(path: &Path, channels: i64, window: Window) -> Self {
        Self::grouped(path, [channels; 2], window, channels)
    }

    /// One map per pixel.
    pub fn pointwise(path: &Path, inputs: i64, outputs: i64, stride: i64) -> Self {
        Self::new(path, inputs, outputs, Window::square(1, stride, 1))
    }

    fn grouped(path: &Path, [inputs, outputs]: [i64; 2], window: Window, groups: i64) -> Self {
        let [height, width] = window.kernel;
        let shape = [outputs, inputs / groups, height, width];
        let weight = path.weight("weight", &shape, Init::fan_in(shape[1..].iter().product()));
        Self { weight, window, groups }
    }

    /// (B, C_in, H, W) → (B, C_out, H', W').
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let Window { stride, padding, dilation, .. } = self.window;
        x.conv2d(&self.weight, None::<&Tensor>, stride, padding, [dilation; 2], self.groups)
    }
}

/// The same images with the channels of a pixel side by side in memory.
pub fn channels_last(images: &Tensor) -> Tensor {
    images.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

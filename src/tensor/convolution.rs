//! Convolutions on images (B, C, H, W), which keep one layout in memory from a network's stem to its head.

use crate::tensor::bridge::composed;
use crate::tensor::bridge::depthwise::{Steps, depthwise};
use crate::tensor::fused::{done, is_fused};
use crate::tensor::init::Init;
use crate::tensor::layers::linear;
use crate::tensor::multiply_adds::counted;
use crate::tensor::parameters::{Factor, Path};
use std::sync::atomic::{AtomicBool, Ordering};
use tch::{Device, Tensor};

/// How images on a GPU lie in memory; a process has one layout.
static CUDA_PLANES: AtomicBool = AtomicBool::new(false);

/// How the numbers of an image lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The channels of a pixel side by side.
    ChannelsLast,
    /// The pixels of a channel side by side (NCHW).
    Planes,
}

impl Layout {
    /// Of a search on CUDA. Steps are as fast as channels-last and take less memory, and cuDNN, which plans its
    /// convolutions anew whenever the batch grows, plans fewer (`benches/results/gpu-h100.md`).
    pub const SEARCH: Self = Self::Planes;
    /// Of a training on CUDA, whose steps are faster so.
    pub const TRAINING: Self = Self::ChannelsLast;
    /// Both.
    pub const ALL: [Self; 2] = [Self::ChannelsLast, Self::Planes];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChannelsLast => "channels-last",
            Self::Planes => "nchw",
        }
    }
}

/// Chooses the layout of the images of this process's networks on CUDA. On a CPU they lie channels-last, because the
/// kernels there take them as rows.
pub fn set_cuda_layout(layout: Layout) {
    CUDA_PLANES.store(layout == Layout::Planes, Ordering::Relaxed);
}

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
    weight: Factor,
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
        let weight = path.factor("weight", &shape, Init::fan_in(shape[1..].iter().product()));
        Self { weight, window, groups }
    }

    /// (B, C_in, H, W) → (B, C_out, H', W').
    pub fn forward(&self, x: &Tensor) -> Tensor {
        counted(self.convolve(x), self.multiply_adds())
    }

    fn convolve(&self, x: &Tensor) -> Tensor {
        let Window { kernel, stride, padding, dilation } = self.window;
        if self.groups == 1 && kernel == [1, 1] && is_fused(x) {
            return pointwise(&every(x, stride[0]), &self.weight.tensor());
        }
        if self.groups > 1 && is_fused(x) {
            return done(depthwise(x, &self.weight.tensor(), self.steps(), false));
        }
        // libtorch 2.11's gradient of such a convolution with a stride writes outside its memory on CPUs without AVX-512:
        // https://github.com/uxlfoundation/oneDNN/issues/6035
        let (x, stride) =
            if kernel == [1, 1] && x.device() == Device::Cpu { (&every(x, stride[0]), [1, 1]) } else { (x, stride) };
        x.conv2d(&self.weight.tensor(), None::<&Tensor>, stride, padding, [dilation; 2], self.groups)
    }

    /// The same of max(x, 0), which the kernels need not store.
    pub fn forward_rectified(&self, x: &Tensor) -> Tensor {
        if self.groups > 1 && is_fused(x) {
            return counted(done(depthwise(x, &self.weight.tensor(), self.steps(), true)), self.multiply_adds());
        }
        self.forward(&x.relu())
    }

    /// For every number of the output: one per weight of its channel.
    fn multiply_adds(&self) -> i64 {
        self.weight.size()[1..].iter().product()
    }

    /// A window of a depthwise convolution is square.
    fn steps(&self) -> Steps {
        let Window { stride, padding, dilation, .. } = self.window;
        Steps { stride: stride[0], padding: padding[0], dilation }
    }
}

/// Every `stride`-th pixel in height and width.
fn every(x: &Tensor, stride: i64) -> Tensor {
    if stride == 1 { x.shallow_clone() } else { x.slice(2, 0, None, stride).slice(3, 0, None, stride) }
}

/// A map of the channels of every pixel: on a CPU as a product of matrices, because pixels that lie channels-last are
/// rows.
fn pointwise(x: &Tensor, weight: &Tensor) -> Tensor {
    let pixels = x.permute([0, 2, 3, 1]);
    linear(&pixels, &weight.flatten(1, -1), None).permute([0, 3, 1, 2])
}

/// The same images in the layout that networks take: the channels of a pixel side by side in memory, unless
/// [`set_cuda_layout`] said otherwise for CUDA.
pub fn laid_out(images: &Tensor) -> Tensor {
    if images.device().is_cuda() && CUDA_PLANES.load(Ordering::Relaxed) {
        return images.contiguous();
    }
    images.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// The mean over 3×3 pixels, of those inside the image, at every `stride`-th: (B, C, H, W).
pub fn mean_pool(x: &Tensor, stride: i64) -> Tensor {
    if x.device().is_cuda() {
        return done(composed::mean_pool(x, stride));
    }
    x.avg_pool2d([3, 3], [stride; 2], [1, 1], false, false, None)
}

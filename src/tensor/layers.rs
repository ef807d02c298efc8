//! The layers that point and graph networks are made of, on rows: features (R, C) with one row per point.
//!
//! Weights keep the reference's shapes and names: a 1×1 convolution is (C_out, C_in, 1, 1), and blocks are
//! convolution → activation → batch norm, in that order, numbered as in the reference's `BasicConv`.

use crate::tensor::bridge::operators::leaky_relu;
use crate::tensor::bridge::{norm, unit_length};
use crate::tensor::fused::{done, is_fused};
use crate::tensor::init::Init;
use crate::tensor::parameters::Path;
use tch::{Kind, Tensor};

/// Slope of LeakyReLU for negative values, everywhere in the reference.
pub const LEAKY_SLOPE: f64 = 0.2;
/// Smallest length that is divided by, as in PyTorch's `normalize`.
const SMALLEST_LENGTH: f64 = 1e-12;
const MOMENTUM: f64 = 0.1;
const EPSILON: f64 = 1e-5;

/// A 1×1 convolution seen as a linear map of rows.
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// A map from `inputs` to `outputs` channels at `path` (`weight`, `bias`).
    pub fn new(path: &Path, inputs: i64, outputs: i64, bias: bool) -> Self {
        let init = Init::fan_in(inputs);
        let weight = path.weight("weight", &[outputs, inputs, 1, 1], init);
        Self { weight, bias: bias.then(|| path.weight("bias", &[outputs], init)) }
    }

    /// The matrix (C_out, C_in).
    pub fn matrix(&self) -> Tensor {
        self.weight.flatten(1, -1)
    }

    /// The matrix's shares of the first and the second half of its inputs, (C_out, C_in / 2) each.
    pub fn halves(&self) -> [Tensor; 2] {
        let halves = self.matrix().chunk(2, 1);
        <[Tensor; 2]>::try_from(halves).expect("two chunks of an even number of inputs")
    }

    /// The map of two inputs side by side, (R, C_in / 2) each, which are not joined for it.
    pub fn forward_pair(&self, first: &Tensor, second: &Tensor) -> Tensor {
        debug_assert!(self.bias.is_none(), "maps of pairs have no bias");
        let [left, right] = self.halves();
        first.linear(&left, None::<&Tensor>).addmm(second, &right.transpose(0, 1))
    }

    /// (R, C_in) → (R, C_out).
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.matrix(), self.bias.as_ref())
    }
}

/// Maximum over the points of each cloud: (B, N, C) → (B, C).
///
/// On a CPU it is the pooling of channels-last images, which libtorch vectorises over the channels; its maximum
/// over a dimension before the last goes element by element (25 ms instead of 1 for (4, 1024, 1024)).
pub fn maximum_over_points(x: &Tensor) -> Tensor {
    if !is_fused(x) {
        return x.max_dim(1, false).0;
    }
    let image = x.unsqueeze(2).permute([0, 3, 1, 2]);
    image.adaptive_max_pool2d([1, 1]).0.flatten(1, -1)
}

/// ReLU(x) with every row (R, C) divided by its Euclidean length, which is computed in fp32 and taken for
/// [`SMALLEST_LENGTH`] where it is less.
pub fn relu_unit_length(x: &Tensor) -> Tensor {
    if is_fused(x) {
        return done(unit_length::relu_unit_length(x, SMALLEST_LENGTH));
    }
    let x = x.relu();
    let length = x.norm_scalaropt_dim_dtype(2, [1_i64].as_slice(), true, Kind::Float);
    // The derivative of a product takes two passes less than that of a quotient.
    &x * length.clamp_min(SMALLEST_LENGTH).reciprocal().to_kind(x.kind())
}

/// Batch norm over rows, with affine parameters.
pub struct BatchNorm {
    /// Scale (C).
    pub weight: Tensor,
    /// Shift (C).
    pub bias: Tensor,
    /// Running mean (C).
    pub running_mean: Tensor,
    /// Running variance (C).
    pub running_var: Tensor,
}

impl BatchNorm {
    /// Over `channels` channels at `path`.
    pub fn new(path: &Path, channels: i64) -> Self {
        let options = (Kind::Float, path.device());
        Self {
            weight: path.weight("weight", &[channels], Init::Ones),
            bias: path.weight("bias", &[channels], Init::Zeros),
            running_mean: path.buffer("running_mean", Tensor::zeros([channels], options)),
            running_var: path.buffer("running_var", Tensor::ones([channels], options)),
        }
    }

    /// The same layer as the bridge's kernels take it.
    pub fn in_bridge(&self, training: bool) -> norm::BatchNorm<'_> {
        norm::BatchNorm {
            weight: &self.weight,
            bias: &self.bias,
            running_mean: &self.running_mean,
            running_var: &self.running_var,
            training,
            momentum: MOMENTUM,
            epsilon: EPSILON,
        }
    }

    /// Normalises (R, C) by the batch in training, by the running statistics otherwise.
    pub fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        x.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            training,
            MOMENTUM,
            EPSILON,
            false,
        )
    }
}

/// What stands between a block's linear map and its batch norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing, not even a place in the numbering.
    None,
    /// max(x, 0).
    Relu,
    /// x where positive, else 0.2·x.
    LeakyRelu,
}

impl Activation {
    /// Elementwise.
    pub fn forward(self, x: Tensor) -> Tensor {
        match self {
            Self::None => x,
            Self::Relu => x.relu(),
            Self::LeakyRelu => leaky_relu(&x, LEAKY_SLOPE),
        }
    }

    /// Its slope below zero, where it is one of those that are the identity above.
    fn slope(self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Relu => Some(0.0),
            Self::LeakyRelu => Some(LEAKY_SLOPE),
        }
    }
}

/// Linear map → activation → batch norm.
pub struct Block {
    /// The linear map.
    pub linear: Linear,
    /// Applied before the norm.
    pub activation: Activation,
    /// The norm.
    pub norm: BatchNorm,
}

impl Block {
    /// At `path` (`body.0`, `body.1` without and `body.2` with an activation).
    pub fn new(path: &Path, inputs: i64, outputs: i64, activation: Activation, bias: bool) -> Self {
        let body = path.sub("body");
        let linear = Linear::new(&body.sub(0), inputs, outputs, bias);
        let place = if activation == Activation::None { 1 } else { 2 };
        Self { linear, activation, norm: BatchNorm::new(&body.sub(place), outputs) }
    }

    /// (R, C_in) → (R, C_out).
    pub fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        self.finish(self.linear.forward(x), training)
    }

    /// Two inputs side by side, (R, C_in / 2) each → (R, C_out).
    pub fn forward_pair(&self, first: &Tensor, second: &Tensor, training: bool) -> Tensor {
        self.finish(self.linear.forward_pair(first, second), training)
    }

    fn finish(&self, mapped: Tensor, training: bool) -> Tensor {
        match self.activation.slope() {
            Some(slope) if is_fused(&mapped) => done(norm::relu_norm(&mapped, slope, &self.norm.in_bridge(training))),
            _ => self.norm.forward(&self.activation.forward(mapped), training),
        }
    }
}

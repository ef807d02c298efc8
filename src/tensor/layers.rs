//! The layers that point and graph networks are made of, on rows: features (R, C) with one row per point; the batch
//! norm also takes images.
//!
//! Weights keep the reference's shapes and names: a 1×1 convolution is (C_out, C_in, 1, 1), and blocks are
//! convolution → activation → batch norm, in that order, numbered as in the reference's `BasicConv`.

pub use crate::tensor::bridge::composed::PreparedPair;
use crate::tensor::bridge::norm_mix::norm_mix;
use crate::tensor::bridge::operators::leaky_relu;
use crate::tensor::bridge::{self, composed, norm};
use crate::tensor::fused::{done, is_fused};
use crate::tensor::init::Init;
use crate::tensor::multiply_adds::counted;
use crate::tensor::native::{self, Family};
use crate::tensor::parameters::{Factor, Norms, Path};
use crate::tensor::precision::at_least_single;
use crate::tensor::{sparse, synchronised};
use std::cell::Cell;
use std::rc::Rc;
use tch::{Device, Kind, Tensor};

/// Slope of LeakyReLU for negative values, everywhere in the reference.
pub const LEAKY_SLOPE: f64 = 0.2;
/// Smallest length that is divided by, as in PyTorch's `normalize`.
const SMALLEST_LENGTH: f64 = 1e-12;
const MOMENTUM: f64 = 0.1;
const EPSILON: f64 = 1e-5;

/// x·Wᵀ + b: (..., C_in) and (C_out, C_in) → (..., C_out); rows may be a sparse matrix.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    match bias {
        bias if x.is_sparse() => sparse::linear(x, weight, bias),
        None if is_fused(x) => done(bridge::linear::linear(x, weight)),
        bias => x.linear(weight, bias),
    }
}

/// A linear map of rows, often a 1×1 convolution of the reference.
pub struct Linear {
    weight: Factor,
    bias: Option<Factor>,
}

impl Linear {
    /// A 1×1 convolution from `inputs` to `outputs` channels at `path` (`weight`, `bias`).
    pub fn new(path: &Path, inputs: i64, outputs: i64, bias: bool) -> Self {
        Self::shaped(path, &[outputs, inputs, 1, 1], bias)
    }

    /// A linear layer whose weight is a matrix.
    pub fn matrix(path: &Path, inputs: i64, outputs: i64, bias: bool) -> Self {
        Self::shaped(path, &[outputs, inputs], bias)
    }

    /// A linear layer without bias whose weight is a matrix that starts from Glorot's distribution.
    pub fn glorot(path: &Path, inputs: i64, outputs: i64) -> Self {
        Self { weight: path.factor("weight", &[outputs, inputs], Init::glorot(inputs, outputs)), bias: None }
    }

    /// A 1×1 convolution whose weight and, where it has one, bias start from these distributions.
    pub fn starting(path: &Path, inputs: i64, outputs: i64, weight: Init, bias: Option<Init>) -> Self {
        let weight = path.factor("weight", &[outputs, inputs, 1, 1], weight);
        Self { weight, bias: bias.map(|init| path.factor("bias", &[outputs], init)) }
    }

    fn shaped(path: &Path, shape: &[i64], bias: bool) -> Self {
        let init = Init::fan_in(shape[1]);
        let weight = path.factor("weight", shape, init);
        Self { weight, bias: bias.then(|| path.factor("bias", &shape[..1], init)) }
    }

    /// The weight as a matrix (C_out, C_in).
    pub fn weight(&self) -> Tensor {
        self.weight.tensor().flatten(1, -1)
    }

    /// The matrix's shares of the first and the second half of its inputs, (C_out, C_in / 2) each.
    fn halves(&self) -> [Tensor; 2] {
        let halves = self.weight().chunk(2, 1);
        <[Tensor; 2]>::try_from(halves).expect("two chunks of an even number of inputs")
    }

    /// Of pairs [x_i, x_j - x_i], the shares of x_i and of x_j in the map W = [U, V]: (U - V)·x and V·x of every row, with
    /// the bias on one of them, (R, C_in / 2) → (R, C_out) each; and x for what else reads it, which spares the sum of two
    /// gradients. `prepared` is this map's, where it has one (see [`prepare_pairs`]).
    pub fn forward_edges(&self, x: &Tensor, prepared: Option<&PreparedPair>) -> [Tensor; 3] {
        if let Some(prepared) = prepared {
            return done(composed::prepared_pair_maps(x, prepared));
        }
        if !is_fused(x) {
            return done(composed::pair_maps(x, &self.weight(), self.bias().as_ref()));
        }
        let [own, other] = self.halves();
        [linear(x, &(own - &other), self.bias().as_ref()), linear(x, &other, None), x.shallow_clone()]
    }

    /// What is added to every output, (C_out).
    pub fn bias(&self) -> Option<Tensor> {
        self.bias.as_ref().map(Factor::tensor)
    }

    /// The map of two inputs side by side, of which the first is the same for all points of a cloud: (B, C_1) and
    /// (R, C_2) → (R, C_out), without joining them.
    pub fn forward_repeated(&self, of_cloud: &Tensor, rows: &Tensor) -> Tensor {
        let weight = self.weight();
        let (clouds, channels) = of_cloud.size2().expect("features of clouds are (B, C)");
        let repeated = linear(of_cloud, &weight.narrow(1, 0, channels), self.bias().as_ref());
        let own = linear(rows, &weight.narrow(1, channels, weight.size()[1] - channels), None);
        let (points, outputs) = own.size2().expect("rows are (R, C)");
        (own.view([clouds, points / clouds, outputs]) + repeated.unsqueeze(1)).view([points, outputs])
    }

    /// The map of two inputs side by side, (R, C_in / 2) each; on a CPU they are not joined for it, elsewhere one product
    /// is started sooner than two.
    pub fn forward_pair(&self, first: &Tensor, second: &Tensor) -> Tensor {
        debug_assert!(self.bias.is_none(), "maps of pairs have no bias");
        if !is_fused(first) {
            return self.forward(&Tensor::cat(&[first, second], 1));
        }
        let [left, right] = self.halves();
        first.linear(&left, None::<&Tensor>).addmm(second, &right.transpose(0, 1))
    }

    /// (R, C_in) → (R, C_out).
    pub fn forward(&self, x: &Tensor) -> Tensor {
        counted(linear(x, &self.weight(), self.bias().as_ref()), self.weight.size()[1])
    }
}

/// Whether linear maps of the same rows like these are best made as one product; kernels of a CPU make them one by one.
pub fn makes_maps_together(rows: &Tensor) -> bool {
    !is_fused(rows)
}

/// What linear maps without bias give of the same rows (R, C_in), each with or without a ReLU behind it, as one product:
/// (R, C_out) each. All have the same number of inputs and of outputs.
pub fn map_together(rows: &Tensor, maps: &[(&Linear, bool)]) -> Vec<Tensor> {
    debug_assert!(maps.iter().all(|(linear, _)| linear.bias.is_none()), "maps that are made together have no bias");
    let mut order: Vec<usize> = (0..maps.len()).collect();
    order.sort_by_key(|&map| !maps[map].1);
    let weights: Vec<Tensor> = order.iter().map(|&map| maps[map].0.weight()).collect();
    let rectified = maps.iter().filter(|(_, rectified)| *rectified).count();
    let mapped = done(composed::row_maps(rows, &weights.iter().collect::<Vec<_>>(), rectified));
    let mut mapped: Vec<_> = order.into_iter().zip(mapped).collect();
    mapped.sort_by_key(|(map, _)| *map);
    mapped.into_iter().map(|(_, tensor)| tensor).collect()
}

/// Prepares maps of pairs, all of one size and with a bias, for rows like `x`: together, where that takes fewer operators
/// than one by one. Empty where it does not.
pub fn prepare_pairs(x: &Tensor, maps: &[&Linear]) -> Vec<PreparedPair> {
    if is_fused(x) || maps.is_empty() {
        return Vec::new();
    }
    let weights: Vec<Tensor> = maps.iter().map(|map| map.weight()).collect();
    let biases: Vec<Tensor> = maps.iter().map(|map| map.bias().expect("prepared maps have a bias")).collect();
    let [weights, biases] = [&weights, &biases].map(|tensors| tensors.iter().collect::<Vec<_>>());
    done(composed::prepare_pairs(x, &weights, &biases))
}

/// What two vectors, (2, C), give of every row, (R, C): (R) each, in fp32 at least, which the exponents of attention need. They
/// are made side by side; one by one, each would have a gradient of the rows' size.
pub fn scores(rows: &Tensor, vectors: &Tensor) -> [Tensor; 2] {
    let scores = vectors.matmul(&rows.transpose(0, 1)).to_kind(at_least_single(rows.kind()));
    <[Tensor; 2]>::try_from(scores.unbind(0)).expect("two vectors")
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

/// x with every row (R, C) divided by its Euclidean length, which is computed in fp32 and taken for
/// [`SMALLEST_LENGTH`] where it is less.
pub fn unit_length(x: &Tensor) -> Tensor {
    if native::serves(Family::Rows, x) {
        return done(bridge::native::unit_length(x, 1.0, SMALLEST_LENGTH));
    }
    done(composed::unit_length(x, SMALLEST_LENGTH))
}

/// ReLU(x) with every row (R, C) divided by its Euclidean length, which is computed in fp32 and taken for
/// [`SMALLEST_LENGTH`] where it is less.
pub fn relu_unit_length(x: &Tensor) -> Tensor {
    if is_fused(x) {
        return done(bridge::unit_length::relu_unit_length(x, SMALLEST_LENGTH));
    }
    if native::serves(Family::Rows, x) {
        return done(bridge::native::unit_length(x, 0.0, SMALLEST_LENGTH));
    }
    unit_length(&x.relu())
}

/// Batch norm over the channels of rows (R, C) or images (B, C, H, W).
pub struct BatchNorm {
    /// Scale and shift (C); a supernet's norms on images have none.
    affine: Option<[Tensor; 2]>,
    running_mean: Tensor,
    running_var: Tensor,
    /// By the batch it never normalises, and its running statistics stay as they are.
    fixed: Rc<Cell<bool>>,
}

impl BatchNorm {
    /// Over `channels` channels at `path`, with affine parameters.
    pub fn new(path: &Path, channels: i64) -> Self {
        Self::with(path, channels, true)
    }

    /// With affine parameters (`weight`, `bias`) or without.
    pub fn with(path: &Path, channels: i64, affine: bool) -> Self {
        let options = (Kind::Float, path.device());
        let parameters =
            || [path.weight("weight", &[channels], Init::Ones), path.weight("bias", &[channels], Init::Zeros)];
        let fixed = Rc::new(Cell::new(path.norms() == Norms::None));
        Self {
            affine: affine.then(parameters),
            running_mean: path.statistics("running_mean", Tensor::zeros([channels], options), &fixed),
            running_var: path.statistics("running_var", Tensor::ones([channels], options), &fixed),
            fixed,
        }
    }

    /// Whether it has neither scale nor shift.
    pub fn is_plain(&self) -> bool {
        self.affine.is_none()
    }

    /// The same layer as the bridge's kernels take it.
    pub fn in_bridge(&self, training: bool) -> norm::BatchNorm<'_> {
        let [weight, bias] = self.affine();
        norm::BatchNorm {
            weight,
            bias,
            running_mean: &self.running_mean,
            running_var: &self.running_var,
            training: training && !self.fixed.get(),
            momentum: MOMENTUM,
            epsilon: EPSILON,
        }
    }

    /// Whether it takes the statistics of other processes' batches too, which only [`Self::forward`] does.
    pub fn is_synchronised(&self, training: bool) -> bool {
        training && !self.fixed.get() && synchronised::is_on()
    }

    /// Normalises by the batch in training, by the running statistics otherwise; a fixed one by nothing.
    pub fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        if self.is_synchronised(training) {
            return synchronised::norm(x, &self.in_bridge(training));
        }
        if x.dim() == 4 && is_fused(x) {
            return done(norm_mix(None, &[(x, Some(self.in_bridge(training)))]));
        }
        let [weight, bias] = self.affine();
        exact_layout(x).batch_norm(
            weight,
            bias,
            Some(&self.running_mean),
            Some(&self.running_var),
            training && !self.fixed.get(),
            MOMENTUM,
            EPSILON,
            false,
        )
    }

    fn affine(&self) -> [Option<&Tensor>; 2] {
        [0, 1].map(|which| self.affine.as_ref().map(|affine| &affine[which]))
    }
}

/// On a CPU libtorch sums images that lie channels-last in fp32, pixel after pixel, with thirteen times the error that
/// it makes on others (measured on (2, 4, 32, 32)). Its other devices are not concerned.
fn exact_layout(x: &Tensor) -> Tensor {
    if x.dim() == 4 && x.device() == Device::Cpu { x.contiguous() } else { x.shallow_clone() }
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
    pub fn slope(self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Relu => Some(0.0),
            Self::LeakyRelu => Some(LEAKY_SLOPE),
        }
    }
}

/// Activation → batch norm.
pub struct ActivatedNorm {
    activation: Activation,
    /// The norm.
    pub norm: BatchNorm,
}

impl ActivatedNorm {
    /// The norm's weights lie at `path`.
    pub fn new(path: &Path, channels: i64, activation: Activation) -> Self {
        Self { activation, norm: BatchNorm::new(path, channels) }
    }

    /// What stands before the norm.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Whether the activation is ReLU.
    pub fn is_rectified(&self) -> bool {
        self.activation == Activation::Relu
    }

    /// (R, C) → (R, C).
    pub fn forward(&self, x: Tensor, training: bool) -> Tensor {
        match self.activation.slope() {
            Some(slope) if is_fused(&x) && !self.norm.is_synchronised(training) => {
                done(norm::relu_norm(&x, slope, &self.norm.in_bridge(training)))
            }
            _ => self.norm.forward(&self.activation.forward(x), training),
        }
    }
}

/// Linear map → activation → batch norm.
pub struct Block {
    /// The linear map.
    pub linear: Linear,
    /// What follows it.
    pub tail: ActivatedNorm,
}

impl Block {
    /// With a 1×1 convolution, at `path` (`body.0`, `body.1` without and `body.2` with an activation).
    pub fn new(path: &Path, inputs: i64, outputs: i64, activation: Activation, bias: bool) -> Self {
        Self::of(path, Linear::new(&path.sub("body").sub(0), inputs, outputs, bias), outputs, activation)
    }

    /// With a linear layer without bias, at the same names.
    pub fn matrix(path: &Path, inputs: i64, outputs: i64, activation: Activation) -> Self {
        Self::of(path, Linear::matrix(&path.sub("body").sub(0), inputs, outputs, false), outputs, activation)
    }

    fn of(path: &Path, linear: Linear, outputs: i64, activation: Activation) -> Self {
        Self::at(&path.sub("body"), linear, outputs, activation)
    }

    /// With this map, which is the first of a sequence at `path`; the norm is its second, or after an activation its
    /// third.
    pub fn at(path: &Path, linear: Linear, outputs: i64, activation: Activation) -> Self {
        let place = if activation == Activation::None { 1 } else { 2 };
        Self { linear, tail: ActivatedNorm::new(&path.sub(place), outputs, activation) }
    }

    /// (R, C_in) → (R, C_out).
    pub fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        if self.tail.is_rectified() && self.linear.bias.is_none() && !is_fused(x) {
            let mapped = map_together(x, &[(&self.linear, true)]).swap_remove(0);
            return self.finish(mapped, training);
        }
        self.tail.forward(self.linear.forward(x), training)
    }

    /// What follows the map, where a map that is rectified was made with its ReLU.
    pub fn finish(&self, mapped: Tensor, training: bool) -> Tensor {
        if self.tail.is_rectified() {
            self.tail.norm.forward(&mapped, training)
        } else {
            self.tail.forward(mapped, training)
        }
    }

    /// Two inputs side by side, the first the same for all points of a cloud: (B, C_1) and (R, C_2) → (R, C_out).
    pub fn forward_repeated(&self, of_cloud: &Tensor, rows: &Tensor, training: bool) -> Tensor {
        self.tail.forward(self.linear.forward_repeated(of_cloud, rows), training)
    }

    /// Two inputs side by side, (R, C_in / 2) each → (R, C_out).
    pub fn forward_pair(&self, first: &Tensor, second: &Tensor, training: bool) -> Tensor {
        if !is_fused(first) {
            return self.forward(&Tensor::cat(&[first, second], 1), training);
        }
        self.tail.forward(self.linear.forward_pair(first, second), training)
    }
}

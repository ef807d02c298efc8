//! The optimizer of the weights, whichever the configuration names, with clipping before its step.

use crate::optim::{Adam, AdamConfig, OptimizerKind, Sgd, Skip, WeightConfig};
use crate::tensor::bridge::native::optimizers as native_steps;
use crate::tensor::fused::done;
use crate::tensor::native;
use crate::tensor::parameters::Kept;
use crate::tensor::precision::at_least_single;
use tch::{Kind, Tensor};

/// SGD or Adam on the flat weights.
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam.
    Adam(Adam),
}

impl Optimizer {
    /// As the section `[weights]` says, for a flat tensor like `flat`.
    pub fn new(config: &WeightConfig, flat: &Tensor) -> Self {
        match config.optimizer {
            OptimizerKind::Sgd => Self::Sgd(Sgd::new(flat, config.momentum, config.weight_decay)),
            OptimizerKind::Adam => {
                let adam = AdamConfig { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: config.weight_decay };
                Self::Adam(Adam::new(flat, adam))
            }
        }
    }

    /// Moves `flat` in place against `gradient`, or nothing where `skip` says so.
    pub fn step(&mut self, flat: &Tensor, gradient: Tensor, learning_rate: f64, skip: Option<&Skip>) {
        match self {
            Self::Sgd(sgd) => sgd.step(flat, gradient, learning_rate, skip),
            Self::Adam(adam) => adam.step(flat, gradient, learning_rate, skip),
        }
    }

    /// Moves `flat` by the virtual step of second order, and keeps the state as it is. For Adam it is plain gradient
    /// descent, as in the published code, whose formula knows no other step.
    pub fn look_ahead(&self, flat: &Tensor, gradient: Tensor, learning_rate: f64) {
        match self {
            Self::Sgd(sgd) => sgd.look_ahead(flat, gradient, learning_rate),
            Self::Adam(adam) => Sgd::new(flat, 0.0, adam.weight_decay()).look_ahead(flat, gradient, learning_rate),
        }
    }

    /// Follows the weights when some of them leave.
    pub fn retain(&mut self, kept: &Kept) {
        match self {
            Self::Sgd(sgd) => sgd.retain(kept),
            Self::Adam(adam) => adam.retain(kept),
        }
    }

    /// The flat state tensors by name.
    pub fn state(&self) -> Vec<(&'static str, &Tensor)> {
        match self {
            Self::Sgd(sgd) => sgd.state(),
            Self::Adam(adam) => adam.state(),
        }
    }

    /// Steps taken, where the arithmetic depends on it.
    pub fn steps(&self) -> i64 {
        match self {
            Self::Sgd(_) => 0,
            Self::Adam(adam) => adam.steps(),
        }
    }

    /// Sets the number of steps taken (from a checkpoint).
    pub fn set_steps(&mut self, steps: i64) {
        if let Self::Adam(adam) = self {
            adam.set_steps(steps);
        }
    }
}

/// Scales a flat gradient in place so that its norm is at most `greatest`, as PyTorch's `clip_grad_norm_`
/// does; 0 turns clipping off. Gives the norm before, fp32, 0-dimensional, on the device.
pub fn clip(gradient: &mut Tensor, greatest: f64) -> Tensor {
    if native::steps(gradient, gradient) {
        return done(native_steps::clip(gradient, greatest));
    }
    let kind = at_least_single(gradient.kind());
    let norm = gradient.norm_scalaropt_dtype(2, kind);
    if greatest > 0.0 {
        let divisor = norm.to_kind(Kind::Double) + 1e-6;
        let factor = divisor.full_like(greatest) / divisor;
        *gradient *= factor.clamp_max(1.0).to_kind(kind);
    }
    norm
}

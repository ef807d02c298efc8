//! Stochastic gradient descent with momentum and decay, as PyTorch's, on one flat tensor.

use crate::optim::Skip;
use crate::tensor::bridge::native::optimizers as native_steps;
use crate::tensor::fused::done;
use crate::tensor::native;
use crate::tensor::parameters::Kept;
use tch::{Tensor, no_grad};

/// buffer ← momentum·buffer + (gradient + decay·w); w ← w - rate·buffer. The buffer starts as the first
/// gradient, which equals starting at zero.
pub struct Sgd {
    momentum: f64,
    weight_decay: f64,
    buffer: Tensor,
}

impl Sgd {
    /// For a flat tensor like `flat`.
    pub fn new(flat: &Tensor, momentum: f64, weight_decay: f64) -> Self {
        Self { momentum, weight_decay, buffer: flat.zeros_like() }
    }

    /// Moves `flat` in place against `gradient`, which it uses up, or nothing where `skip` says so.
    pub fn step(&mut self, flat: &Tensor, gradient: Tensor, learning_rate: f64, skip: Option<&Skip>) {
        if native::steps(flat, &gradient) {
            let Self { momentum, weight_decay, ref buffer } = *self;
            let sgd = native_steps::Sgd { rate: learning_rate, momentum, weight_decay };
            return done(sgd.step(flat, buffer, &gradient, skip.map(|skip| &skip.flag)));
        }
        let Some(skip) = skip else { return self.moved(flat, gradient, learning_rate) };
        let buffer = self.buffer.shallow_clone();
        skip.around(&[flat, &buffer], || self.moved(flat, gradient, learning_rate));
    }

    fn moved(&mut self, flat: &Tensor, mut gradient: Tensor, learning_rate: f64) {
        no_grad(|| {
            if self.weight_decay != 0.0 {
                gradient += flat * self.weight_decay;
            }
            self.buffer *= self.momentum;
            self.buffer += gradient;
            let mut flat = flat.shallow_clone();
            flat -= &self.buffer * learning_rate;
        });
    }

    /// Moves `flat` as [`Self::step`] would, and keeps the buffer as it is.
    pub fn look_ahead(&self, flat: &Tensor, gradient: Tensor, learning_rate: f64) {
        let buffer = &self.buffer * self.momentum;
        Self { buffer, momentum: 1.0, weight_decay: self.weight_decay }.moved(flat, gradient, learning_rate);
    }

    /// Follows the weights when some of them leave.
    pub fn retain(&mut self, kept: &Kept) {
        self.buffer = kept.apply(&self.buffer);
    }

    /// The state by name, flat.
    pub fn state(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("momentum", &self.buffer)]
    }
}

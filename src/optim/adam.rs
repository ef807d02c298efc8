//! Adam with decay in the gradient, as PyTorch's, on one flat tensor.

use crate::optim::{AdamConfig, Skip};
use crate::tensor::bridge::native::optimizers as native_steps;
use crate::tensor::fused::done;
use crate::tensor::native;
use crate::tensor::parameters::Kept;
use crate::tensor::precision::at_least_single;
use tch::{Kind, Tensor, no_grad};

/// Kingma and Ba 2015; bias correction by the number of steps that were taken.
pub struct Adam {
    config: AdamConfig,
    /// Steps, skipped ones included.
    steps: i64,
    /// Of those, the skipped ones: fp64, 0-dimensional; absent before a step could be skipped.
    skipped: Option<Tensor>,
    mean: Tensor,
    square: Tensor,
}

impl Adam {
    /// For a flat tensor like `flat`.
    pub fn new(flat: &Tensor, config: AdamConfig) -> Self {
        Self { config, steps: 0, skipped: None, mean: flat.zeros_like(), square: flat.zeros_like() }
    }

    /// Moves `flat` in place against `gradient`, which it uses up, or nothing where `skip` says so; a skipped step does
    /// not count.
    pub fn step(&mut self, flat: &Tensor, gradient: Tensor, learning_rate: f64, skip: Option<&Skip>) {
        self.steps += 1;
        if let Some(skip) = skip.filter(|skip| skip.goes_on) {
            let none = || Tensor::zeros([0_i64; 0], (Kind::Double, flat.device()));
            *self.skipped.get_or_insert_with(none) += &skip.flag;
        }
        if native::steps(flat, &gradient) {
            let AdamConfig { betas, epsilon, weight_decay } = self.config;
            let (rate, steps, skipped) = (learning_rate, self.steps, self.skipped.as_ref());
            let adam = native_steps::Adam { rate, betas, epsilon, weight_decay, steps, skipped };
            let means = [&self.mean, &self.square];
            return done(adam.step(flat, means, &gradient, skip.map(|skip| &skip.flag)));
        }
        let Some(skip) = skip else { return self.moved(flat, gradient, learning_rate) };
        let (mean, square) = (self.mean.shallow_clone(), self.square.shallow_clone());
        skip.around(&[flat, &mean, &square], || self.moved(flat, gradient, learning_rate));
    }

    fn moved(&mut self, flat: &Tensor, mut gradient: Tensor, learning_rate: f64) {
        let (beta1, beta2) = self.config.betas;
        no_grad(|| {
            if self.config.weight_decay != 0.0 {
                gradient += flat * self.config.weight_decay;
            }
            self.mean *= beta1;
            self.mean += &gradient * (1.0 - beta1);
            self.square *= beta2;
            self.square += gradient.square() * (1.0 - beta2);
            let mut flat = flat.shallow_clone();
            match &self.skipped {
                None => {
                    let correction = |beta: f64| 1.0 - beta.powf(self.steps as f64);
                    let denominator = (&self.square / correction(beta2)).sqrt() + self.config.epsilon;
                    flat -= &self.mean / denominator * (learning_rate / correction(beta1));
                }
                // The same, with a number of steps that is known on the device alone.
                Some(skipped) => {
                    let steps = (skipped.neg() + self.steps as f64).clamp_min(1.0);
                    let correction = |beta: f64| 1.0 - Tensor::pow_scalar(beta, &steps);
                    let kind = at_least_single(flat.kind());
                    let single = |number: Tensor| number.to_kind(kind);
                    let denominator = (&self.square / single(correction(beta2))).sqrt() + self.config.epsilon;
                    flat -= &self.mean / denominator * single(learning_rate / correction(beta1));
                }
            }
        });
    }

    /// Follows the values when some of them leave.
    pub fn retain(&mut self, kept: &Kept) {
        self.mean = kept.apply(&self.mean);
        self.square = kept.apply(&self.square);
    }

    /// The state by name, flat.
    pub fn state(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("mean", &self.mean), ("square", &self.square)]
    }

    /// What is added to the gradient times the value.
    pub fn weight_decay(&self) -> f64 {
        self.config.weight_decay
    }

    /// Steps taken; waits for the device where one may have been skipped.
    pub fn steps(&self) -> i64 {
        self.steps - self.skipped.as_ref().map_or(0, |skipped| skipped.double_value(&[]) as i64)
    }

    /// Sets the number of steps taken (from a checkpoint).
    pub fn set_steps(&mut self, steps: i64) {
        (self.steps, self.skipped) = (steps, None);
    }
}

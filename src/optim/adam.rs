//! Adam with decay in the gradient, as PyTorch's, on one flat tensor.

use crate::optim::AdamConfig;
use crate::tensor::parameters::Kept;
use tch::{Tensor, no_grad};

/// Kingma and Ba 2015; bias correction by the number of steps.
pub struct Adam {
    config: AdamConfig,
    steps: i64,
    mean: Tensor,
    square: Tensor,
}

impl Adam {
    /// For a flat tensor like `flat`.
    pub fn new(flat: &Tensor, config: AdamConfig) -> Self {
        Self { config, steps: 0, mean: flat.zeros_like(), square: flat.zeros_like() }
    }

    /// Moves `flat` in place against `gradient`, which it uses up.
    pub fn step(&mut self, flat: &Tensor, mut gradient: Tensor, learning_rate: f64) {
        let (beta1, beta2) = self.config.betas;
        self.steps += 1;
        let correction1 = 1.0 - beta1.powf(self.steps as f64);
        let correction2 = 1.0 - beta2.powf(self.steps as f64);
        no_grad(|| {
            if self.config.weight_decay != 0.0 {
                gradient += flat * self.config.weight_decay;
            }
            self.mean *= beta1;
            self.mean += &gradient * (1.0 - beta1);
            self.square *= beta2;
            self.square += gradient.square() * (1.0 - beta2);
            let denominator = (&self.square / correction2).sqrt() + self.config.epsilon;
            let mut flat = flat.shallow_clone();
            flat -= &self.mean / denominator * (learning_rate / correction1);
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

    /// Steps taken.
    pub fn steps(&self) -> i64 {
        self.steps
    }

    /// Sets the number of steps taken (from a checkpoint).
    pub fn set_steps(&mut self, steps: i64) {
        self.steps = steps;
    }
}

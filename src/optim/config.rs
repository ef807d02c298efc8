//! The sections `[weights]` and `[alphas]` of a configuration.

use crate::bounds;
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which optimizer moves the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam.
    Adam,
}

/// How the learning rate falls over the epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Along half a cosine, to `minimum_learning_rate`.
    Cosine,
    /// Along a line to a share of 1/(epochs − 5) after all but five epochs, and from there to 0: the published
    /// schedule on ImageNet.
    Linear,
    /// Multiplied by `gamma` after every `step_size` epochs (PyTorch's StepLR).
    Step,
}

/// `[weights]`: optimizer and schedule of the weights (docs/method.md, "Recipes of the search" and "Recipes of the
/// training").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WeightConfig {
    /// `sgd` or `adam`.
    pub optimizer: OptimizerKind,
    /// Learning rate of the first epoch.
    pub learning_rate: f64,
    /// `cosine`, `linear` or `step`.
    pub schedule: Schedule,
    /// Where the cosine ends.
    pub minimum_learning_rate: f64,
    /// Epochs by which the cosine runs ahead: 0 for points and graphs, 1 for images.
    pub schedule_offset: usize,
    /// Epochs between two steps of the schedule `step`.
    pub step_size: usize,
    /// The factor of such a step.
    pub gamma: f64,
    /// The first epochs, whose rate rises along a line to that of the schedule.
    pub warmup_epochs: usize,
    /// Momentum of SGD.
    pub momentum: f64,
    /// Added to the gradient times the weight.
    pub weight_decay: f64,
    /// Greatest norm of the gradient; 0 turns clipping off.
    pub clip: f64,
}

impl Default for WeightConfig {
    fn default() -> Self {
        Self {
            optimizer: OptimizerKind::Sgd,
            learning_rate: 0.005,
            minimum_learning_rate: 1e-4,
            schedule: Schedule::Cosine,
            schedule_offset: 0,
            step_size: 20,
            gamma: 0.5,
            warmup_epochs: 0,
            momentum: 0.9,
            weight_decay: 3e-4,
            clip: 5.0,
        }
    }
}

/// Adam's constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamConfig {
    /// Decay of the mean and of the square.
    pub betas: (f64, f64),
    /// Added to the denominator.
    pub epsilon: f64,
    /// Added to the gradient times the value.
    pub weight_decay: f64,
}

/// `[alphas]`: Adam on the alphas (docs/method.md, "Recipes of the search").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlphaConfig {
    /// Learning rate, constant.
    pub learning_rate: f64,
    /// Adam's decay of mean and square.
    pub betas: (f64, f64),
    /// Added to the gradient times the alpha.
    pub weight_decay: f64,
    /// Alphas start at this times N(0, 1).
    pub initial_scale: f64,
}

impl Default for AlphaConfig {
    fn default() -> Self {
        Self { learning_rate: 3e-4, betas: (0.5, 0.999), weight_decay: 1e-3, initial_scale: 1e-3 }
    }
}

impl WeightConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        non_negative("weights.learning_rate", self.learning_rate)?;
        non_negative("weights.minimum_learning_rate", self.minimum_learning_rate)?;
        non_negative("weights.weight_decay", self.weight_decay)?;
        non_negative("weights.clip", self.clip)?;
        non_negative("weights.gamma", self.gamma)?;
        bounds::check("weights.schedule_offset", &self.schedule_offset, &bounds::SOME_EPOCHS, "epochs")?;
        bounds::check("weights.step_size", &self.step_size, &bounds::EPOCHS, "epochs")?;
        bounds::check("weights.warmup_epochs", &self.warmup_epochs, &bounds::SOME_EPOCHS, "epochs")?;
        below_one("weights.momentum", self.momentum)
    }
}

impl AlphaConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        non_negative("alphas.learning_rate", self.learning_rate)?;
        non_negative("alphas.weight_decay", self.weight_decay)?;
        non_negative("alphas.initial_scale", self.initial_scale)?;
        below_one("alphas.betas.0", self.betas.0)?;
        below_one("alphas.betas.1", self.betas.1)
    }

    /// Adam's constants.
    pub fn adam(&self) -> AdamConfig {
        AdamConfig { betas: self.betas, epsilon: 1e-8, weight_decay: self.weight_decay }
    }
}

fn non_negative(key: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::invalid(key, "a number of at least 0", value.to_string()))
}

fn below_one(key: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(key, "a number from 0 to less than 1", value.to_string()))
}

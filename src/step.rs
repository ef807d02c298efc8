//! One step of the weights, the same in search and retraining: forward, loss, scaled backward, unscale, clip,
//! optimizer.

mod scaling;

pub use scaling::ScaleWatch;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::model::{self, Model};
use crate::ops::Mode;
use crate::optim::{NonFinite, Optimizer, Scaler, Verdict, WeightConfig, clip};
use crate::task::{Metrics, Task};
use crate::tensor::precision::Precision;
use tch::Tensor;

/// Below this the loss scale is taken for lost: the gradients overflow whatever it is.
const SMALLEST_SCALE: f64 = 1e-4;

/// How the loss of a step is made of the task's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LossConfig {
    /// Weight of the auxiliary head's loss.
    pub auxiliary_weight: f64,
    /// Share of every target that is spread evenly over all classes.
    pub label_smoothing: f64,
}

/// What a step needs besides the batch.
pub struct WeightStep {
    /// The optimizer of the weights.
    pub optimizer: Optimizer,
    /// The loss scaler.
    pub scaler: Scaler,
    /// Precision of the pass.
    pub precision: Precision,
    /// How its loss is made.
    pub loss: LossConfig,
    clip: f64,
}

/// What came of a step.
pub struct StepOutcome {
    /// Loss of the batch.
    pub loss: f64,
    /// Norm of the gradient before clipping; of a skipped step, why there is none.
    pub gradient_norm: std::result::Result<f64, NonFinite>,
    /// Scores of the batch, without gradient.
    pub logits: Tensor,
}

impl WeightStep {
    /// As the section `[weights]` says.
    pub fn new(model: &dyn Model, config: &WeightConfig, precision: Precision, loss: LossConfig) -> Self {
        Self {
            optimizer: Optimizer::new(config, model.weights().parameters.flat()),
            scaler: Scaler::new(precision),
            precision,
            loss,
            clip: config.clip,
        }
    }

    /// Trains the weights on one batch.
    ///
    /// # Errors
    /// A loss or gradient that is not a number; with loss scaling such a step is skipped instead, unless the
    /// scale is lost.
    pub fn run(
        &mut self,
        model: &dyn Model,
        task: Task,
        batch: &Batch,
        mode: Mode,
        learning_rate: f64,
    ) -> Result<StepOutcome> {
        let output = model::forward(model, batch, mode, self.precision)?;
        let LossConfig { auxiliary_weight, label_smoothing } = self.loss;
        let mut loss = task.training_loss(&output.logits, batch.target(), label_smoothing);
        if let Some(auxiliary) = &output.auxiliary {
            loss += task.training_loss(auxiliary, batch.target(), label_smoothing) * auxiliary_weight;
        }
        let parameters = &model.weights().parameters;
        let mut gradient = parameters.gradient(&self.scaler.scaled(&loss));
        let gradient_norm = match self.scaler.unscale(&mut gradient) {
            Verdict::Skip(cause) => require_scale(&self.scaler).map(|()| Err(cause))?,
            Verdict::Finite => {
                let norm = finite("gradient's norm", clip(&mut gradient, self.clip))?;
                self.optimizer.step(parameters.flat(), gradient, learning_rate);
                Ok(norm)
            }
        };
        let loss = loss.double_value(&[]);
        if gradient_norm.is_ok() {
            finite("loss", loss)?;
        }
        Ok(StepOutcome { loss, gradient_norm, logits: output.logits.detach() })
    }
}

/// # Errors
/// A scale that skipped steps have brought to nothing.
pub fn require_scale(scaler: &Scaler) -> Result<()> {
    if scaler.scale() >= SMALLEST_SCALE {
        return Ok(());
    }
    Err(Error::run("the loss scale fell to nothing: every gradient overflows in half precision")
        .with_hint("lower weights.learning_rate, or use --amp bf16 or no --amp"))
}

/// # Errors
/// Where `value` is inf or NaN; the loops add epoch and step.
pub fn finite(what: &str, value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::run(format!("the {what} is {value}"))
        .with_hint("lower weights.learning_rate with --set, or set weights.clip; --resume goes on from the last epoch"))
}

/// The scores of a pass without gradients.
///
/// # Errors
/// A loss that is inf or NaN, with the epoch: the weights are lost.
pub fn finite_pass(metrics: Metrics, pass: &str, epoch: usize) -> Result<Metrics> {
    match finite(&format!("{pass} loss"), metrics.loss) {
        Ok(_) => Ok(metrics),
        Err(Error::Run { message, hint }) => Err(Error::Run { message: format!("epoch {epoch}: {message}"), hint }),
        Err(other) => Err(other),
    }
}

/// Says where a run failed.
pub fn at_step(error: Error, epoch: usize, step: usize) -> Error {
    match error {
        Error::Run { message, hint } => Error::Run { message: format!("epoch {epoch}, step {step}: {message}"), hint },
        other => other,
    }
}

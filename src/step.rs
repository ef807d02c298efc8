//! One step of the weights, the same in search and retraining: forward, loss, scaled backward, unscale, clip,
//! optimizer. Nothing in it waits for the device; what it came to is read later ([`Ledger`]).

mod ledger;
mod outcome;
mod recorded;
mod scaling;

pub use ledger::Ledger;
pub use outcome::{Checked, Numbers, Outcome};
pub use recorded::{Pass, Recorder, never_record};
pub use scaling::ScaleWatch;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::model::{self, Model};
use crate::ops::Mode;
use crate::optim::{Optimizer, Scaler, WeightConfig, clip};
use crate::task::{Metrics, Task};
use crate::tensor::precision::Precision;
use tch::Tensor;

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
    recorder: Recorder,
}

/// What a step of the weights came to.
pub struct StepOutcome {
    /// Loss and gradient.
    pub outcome: Outcome,
    /// Logits of the batch, without gradient.
    pub logits: Tensor,
    /// Loss of the batch, 0-dimensional, without gradient.
    pub loss: Tensor,
}

impl WeightStep {
    /// As the section `[weights]` says.
    pub fn new(model: &dyn Model, config: &WeightConfig, precision: Precision, loss: LossConfig) -> Self {
        let flat = model.weights().parameters.flat();
        Self {
            optimizer: Optimizer::new(config, flat),
            scaler: Scaler::new(precision, flat.device()),
            precision,
            loss,
            clip: config.clip,
            recorder: Recorder::default(),
        }
    }

    /// Trains the weights on one batch. A gradient that is not finite moves nothing: with loss scaling such a step is
    /// skipped, without it [`Numbers::check`] makes it an error.
    ///
    /// # Errors
    /// Where the device does not have the precision.
    pub fn run(
        &mut self,
        model: &dyn Model,
        task: Task,
        batch: &Batch,
        mode: Mode,
        learning_rate: f64,
    ) -> Result<StepOutcome> {
        let parameters = &model.weights().parameters;
        let Self { scaler, precision, loss, recorder, .. } = self;
        let LossConfig { auxiliary_weight, label_smoothing } = *loss;
        let pass = |batch: &Batch| {
            let output = model::forward(model, batch, mode, *precision)?;
            let mut loss = task.training_loss(&output.logits, batch.target(), label_smoothing);
            if let Some(auxiliary) = &output.auxiliary {
                loss += task.training_loss(auxiliary, batch.target(), label_smoothing) * auxiliary_weight;
            }
            let gradient = parameters.gradient(&scaler.scaled(&loss));
            Ok(Pass { logits: output.logits.detach(), loss: loss.detach(), gradient })
        };
        let Pass { logits, loss, mut gradient } = recorder.run(model, parameters.flat(), batch, mode, pass)?;
        let checked = Checked::new(&mut self.scaler, &mut gradient, |gradient| clip(gradient, self.clip));
        self.optimizer.step(parameters.flat(), gradient, learning_rate, Some(&checked.skip));
        Ok(StepOutcome { outcome: Outcome::new(&loss, checked), logits, loss })
    }
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

/// The metrics of a pass without gradients.
///
/// # Errors
/// A loss that is inf or NaN, with the epoch: the weights are lost.
pub fn finite_pass(metrics: Metrics, pass: &str, epoch: usize) -> Result<Metrics> {
    finite(&format!("{pass} loss"), metrics.loss).map_err(|error| error.at(format!("epoch {epoch}")))?;
    Ok(metrics)
}

/// Says where a run failed.
pub fn at_step(error: Error, epoch: usize, step: usize) -> Error {
    error.at(format!("epoch {epoch}, step {step}"))
}

/// Keeps what it is told.
#[cfg(test)]
struct Ear(Vec<crate::report::Event>);

#[cfg(test)]
impl crate::report::Observer for Ear {
    fn observe(&mut self, event: &crate::report::Event) -> Result<()> {
        self.0.push(event.clone());
        Ok(())
    }
}

//! One step of the weights, the same in search and retraining: forward, loss, scaled backward, unscale, clip,
//! optimizer. Nothing in it waits for the device; what it came to is read later ([`Ledger`]). And the loop over steps
//! and epochs ([`run`]).

mod ledger;
mod outcome;
mod position;
mod recorded;
mod run_loop;
mod scaling;
mod trial;

pub use ledger::{GradientSums, Ledger, Watches};
pub use outcome::{Checked, Numbers, Outcome};
pub use position::{Begun, Position};
pub use recorded::{Pass, Recorder, never_record, records};
pub use run_loop::{AfterSteps, Ended, Frame, Learning, StepBatch, StepBatches, Terms, run};
pub use scaling::ScaleWatch;
pub use trial::try_step;

use crate::batch::Batch;
use crate::dist::Processes;
use crate::error::{Error, Result};
use crate::model::{self, Model};
use crate::ops::Mode;
use crate::optim::{Optimizer, Scaler, WeightConfig, clip};
use crate::task::{Metrics, ObjectiveName, Task};
use crate::tensor::precision::{Precision, at_least_single};
use tch::Tensor;

/// How the loss of a step is made of the task's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LossConfig {
    /// Weight of the auxiliary head's loss.
    pub auxiliary_weight: f64,
    /// Share of every target that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// What is descended instead of the task's own loss.
    pub objective: Option<ObjectiveName>,
}

impl LossConfig {
    /// The loss of scores against `target`, 0-dimensional, in fp32: call it outside autocast.
    pub fn loss(&self, task: Task, logits: &Tensor, target: &Tensor) -> Tensor {
        match self.objective {
            Some(objective) => {
                (objective.loss)(&logits.to_kind(at_least_single(logits.kind())), target, self.label_smoothing)
            }
            None => task.training_loss(logits, target, self.label_smoothing),
        }
    }
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
    /// Who shares the step: its gradient is the mean of theirs.
    pub processes: Processes,
    clip: f64,
    /// Of its passes.
    pub recorder: Recorder,
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
            processes: Processes::alone(),
            clip: config.clip,
            recorder: Recorder::default(),
        }
    }

    /// Trains the weights on one batch. A gradient that is not finite moves nothing: with loss scaling such a step is
    /// skipped, without it [`Numbers::check`] makes it an error.
    ///
    /// # Errors
    /// Where the device does not have the precision; a process that can't be reached.
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
        let (auxiliary_weight, loss_of) = (loss.auxiliary_weight, *loss);
        let pass = |batch: &Batch| {
            let output = model::forward(model, batch, mode, *precision)?;
            let mut loss = loss_of.loss(task, &output.logits, batch.target());
            if let Some(auxiliary) = &output.auxiliary {
                loss += loss_of.loss(task, auxiliary, batch.target()) * auxiliary_weight;
            }
            let gradient = parameters.gradient(&scaler.scaled(&loss));
            Ok(Pass { logits: output.logits.detach(), loss: loss.detach(), gradient })
        };
        let Pass { logits, loss, mut gradient } = recorder.run(model, parameters.flat(), batch, mode, pass)?;
        self.processes.mean(&mut gradient)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::PointBatch;
    use crate::dist::{Share, threads};
    use crate::model::{Architecture, NetworkSpec, ResGcnConfig, network};
    use tch::{Device, Kind, no_grad};

    /// Two clouds of 8 points with 9 columns, others for every rank.
    fn batch(rank: usize) -> Batch {
        let index = Tensor::arange(2 * 8 * 9, (Kind::Float, Device::Cpu)) + 1000.0 * rank as f64;
        let labels = Tensor::arange(16, (Kind::Int64, Device::Cpu)).remainder(2);
        Batch::Points(PointBatch { points: index.sin().view([2, 8, 9]), labels })
    }

    /// The weights after a step on the rank's batch.
    fn stepped(rank: usize, processes: &Processes) -> Vec<f64> {
        let resgcn =
            ResGcnConfig { blocks: 1, channels: 4, k: 3, stochastic: 0.0, fusion: 4, prediction: [4, 4], dropout: 0.0 };
        let spec = NetworkSpec { resgcn, in_channels: 9, ..NetworkSpec::default() };
        let model = network(&Architecture::ResGcn, &spec, 1, Device::Cpu);
        let flat = model.weights().parameters.flat().shallow_clone();
        // The same in every process, whatever other tests draw from libtorch's generator.
        no_grad(|| flat.shallow_clone().copy_(&Tensor::arange(flat.numel() as i64, (Kind::Float, Device::Cpu)).cos()));
        let config = WeightConfig { clip: 0.0, weight_decay: 0.0, ..WeightConfig::default() };
        let mut step = WeightStep::new(&*model, &config, Precision::Fp32, LossConfig::default());
        step.processes = processes.clone();
        let mode = Mode::Training { drop_path: 0.0 };
        step.run(&*model, Task::Segment { classes: 2 }, &batch(rank), mode, 0.1).unwrap();
        Vec::try_from(flat.to_kind(Kind::Double)).unwrap()
    }

    #[test]
    fn processes_step_by_the_mean_of_their_gradients() {
        let together = threads::run(2, |processes| {
            let Share { rank, .. } = processes.share();
            stepped(rank, processes)
        });
        assert_eq!(together[0], together[1]);
        let alone = [0, 1].map(|rank| stepped(rank, &Processes::alone()));
        assert_ne!(alone[0], alone[1]);
        for (weight, (one, other)) in together[0].iter().zip(alone[0].iter().zip(&alone[1])) {
            assert!((weight - 0.5 * (one + other)).abs() < 1e-6, "{weight}, {one}, {other}");
        }
    }
}

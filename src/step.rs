//! One step of the weights, the same in search and retraining: forward, loss, scaled backward, unscale, clip,
//! optimizer. Nothing in it waits for the device; what it came to is read later ([`Ledger`]). And the loop over steps
//! and epochs ([`run`]).

mod agreement;
pub mod class_weights;
mod faults;
mod ledger;
mod outcome;
mod position;
mod recorded;
mod run_loop;
mod scaling;
mod trial;

pub use faults::{MOST_ROLLBACKS, MOST_SKIPPED, OnNan};
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
use crate::tensor::watch;
use tch::{Device, Kind, Tensor, no_grad};

/// How the loss of a step is made of the task's.
#[derive(Debug, Default)]
pub struct LossConfig {
    /// Weight of the auxiliary head's loss.
    pub auxiliary_weight: f64,
    /// Share of every target that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// What is descended instead of the task's own loss.
    pub objective: Option<ObjectiveName>,
    /// How much each class counts in the task's own loss, fp32 (classes); absent: alike.
    pub class_weights: Option<Tensor>,
}

impl LossConfig {
    /// The task's own loss, or another, with so much weight for each class.
    pub fn of(objective: Option<ObjectiveName>, class_weights: Option<&[f64]>, device: Device) -> Self {
        let on_device = |weights| Tensor::from_slice(weights).to_kind(Kind::Float).to_device(device);
        Self { objective, class_weights: class_weights.map(on_device), ..Self::default() }
    }

    /// Logits and loss of a batch, the auxiliary head's with it.
    fn forward(
        &self,
        model: &dyn Model,
        task: Task,
        batch: &Batch,
        mode: Mode,
        precision: Precision,
    ) -> Result<(Tensor, Tensor)> {
        let output = model::forward(model, batch, mode, precision)?;
        let mut loss = self.loss(task, &output.logits, batch.target());
        if let Some(auxiliary) = &output.auxiliary {
            loss += self.loss(task, auxiliary, batch.target()) * self.auxiliary_weight;
        }
        Ok((output.logits, loss))
    }

    /// What the loss of a batch is a mean over, 0-dimensional.
    pub fn counted(&self, task: Task, batch: &Batch) -> Tensor {
        match self.objective {
            Some(_) => Tensor::full([], batch.target().size()[0], (Kind::Float, batch.target().device())),
            None => task.counted(batch.target(), self.class_weights.as_ref()),
        }
    }

    /// The loss of scores against `target`, 0-dimensional, in fp32: call it outside autocast.
    pub fn loss(&self, task: Task, logits: &Tensor, target: &Tensor) -> Tensor {
        match self.objective {
            Some(objective) => {
                (objective.loss)(&logits.to_kind(at_least_single(logits.kind())), target, self.label_smoothing)
            }
            None => task.training_loss(logits, target, self.label_smoothing, self.class_weights.as_ref()),
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
    /// Who shares the step: loss and gradient are those of their batches joined.
    pub processes: Processes,
    /// What becomes of a step that is not finite.
    pub on_nan: OnNan,
    /// The flat weights that steps leave as they are, true there.
    pub frozen: Option<Tensor>,
    /// Whether steps tell their gradient.
    pub tells_gradient: bool,
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
    /// Where it was asked for, the flat gradient of the loss, times the loss scale.
    pub gradient: Option<Tensor>,
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
            on_nan: OnNan::default(),
            frozen: None,
            tells_gradient: false,
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
        let before = Statistics::before(model, self.on_nan);
        let share = self.processes.weight_of(|| self.loss.counted(task, batch))?;
        let Self { scaler, precision, loss: loss_of, recorder, processes, .. } = self;
        let pass = |batch: &Batch| {
            let (logits, loss) = loss_of.forward(model, task, batch, mode, *precision)?;
            let loss = shared(loss, share.as_ref());
            let (gradient, loss) = processes.mean_gradient(parameters, &scaler.scaled(&loss), loss.detach())?;
            Ok(Pass { logits: logits.detach(), loss, gradient })
        };
        let Pass { logits, loss, mut gradient } = recorder.run(model, parameters.flat(), batch, mode, pass)?;
        let told = self.tells_gradient.then(|| gradient.copy());
        let frozen = self.frozen.as_ref().map(|mask| (mask, no_grad(|| parameters.flat().copy())));
        if let Some((mask, _)) = &frozen {
            let _ = gradient.masked_fill_(mask, 0.0);
        }
        let mut checked = Checked::new(&mut self.scaler, &mut gradient, |gradient| clip(gradient, self.clip));
        before.undo_where_skipped(model, &loss, &mut checked);
        self.optimizer.step(parameters.flat(), gradient, learning_rate, Some(&checked.skip));
        if let Some((mask, kept)) = frozen {
            // Neither decay nor momentum moves them.
            no_grad(|| parameters.flat().shallow_clone().copy_(&kept.where_self(mask, parameters.flat())));
        }
        Ok(StepOutcome { outcome: Outcome::new(&loss, checked), logits, loss, gradient: told })
    }
}

/// The loss of a process's batch as its part of the mean over all processes ([`Processes::weight_of`]).
pub fn shared(loss: Tensor, share: Option<&Tensor>) -> Tensor {
    match share {
        Some(share) => loss * share,
        None => loss,
    }
}

/// Samples that a probe looks at.
const PROBED: i64 = 2;

/// The loss of a batch, or of its first samples, in evaluation mode and single precision.
///
/// # Errors
/// Where the device does not have the precision.
pub fn probe(model: &dyn Model, task: Task, batch: &Batch) -> Result<f64> {
    let few = batch.first(PROBED);
    let batch = few.as_ref().unwrap_or(batch);
    no_grad(|| {
        let logits = model::forward(model, batch, Mode::Evaluation, Precision::Fp32)?.logits;
        Ok(task.loss(&logits, batch.target()).double_value(&[]))
    })
}

/// The running statistics of a network before a step, where a step that is not finite is to leave them as they were.
pub struct Statistics(Option<Vec<Tensor>>);

impl Statistics {
    /// Copies them where steps are skipped.
    pub fn before(model: &dyn Model, on_nan: OnNan) -> Self {
        Self((on_nan == OnNan::Skip).then(|| model.weights().buffers.copies()))
    }

    /// Makes a step with a loss or gradient that is not finite one that is skipped, and takes its statistics back.
    pub fn undo_where_skipped(self, model: &dyn Model, loss: &Tensor, checked: &mut Checked) {
        let Some(before) = self.0 else { return };
        checked.skip_where_broken(loss);
        let buffers: Vec<&Tensor> = model.weights().buffers.iter().map(|(_, tensor)| tensor).collect();
        checked.skip.undo(&before, &buffers);
    }
}

impl WeightStep {
    /// The first that is not finite, in words: the input, a module's output, the loss, or the gradient of a weight.
    ///
    /// # Errors
    /// Where the device does not have the precision.
    pub fn culprit(&self, model: &dyn Model, task: Task, batch: &Batch, mode: Mode) -> Result<Option<String>> {
        if !watch::is_finite(batch.input()) {
            return Ok(Some("the batch's input".to_owned()));
        }
        // Other processes need not come here.
        let _own = Processes::alone().synchronise_norms();
        // Running statistics are not looked at: the pass that went wrong moved them, and a training pass reads none.
        let weights = &model.weights().parameters;
        if let Some((name, _)) = weights.iter().find(|(_, tensor)| !watch::is_finite(tensor)) {
            return Ok(Some(format!("the weight {name}")));
        }
        let (passed, seen) = watch::first(|| self.loss.forward(model, task, batch, mode, self.precision));
        let (_, loss) = passed?;
        if let Some(module) = seen {
            return Ok(Some(module));
        }
        if !watch::is_finite(&loss) {
            return Ok(Some("the loss".to_owned()));
        }
        let gradient = weights.gradient(&self.scaler.scaled(&loss));
        // A backward pass comes to the last weights first.
        let broken = weights.split(&gradient).filter(|(_, gradient)| !watch::is_finite(gradient)).last();
        Ok(broken.map(|(name, _)| format!("the gradient of {name}")))
    }
}

/// # Errors
/// Where `value` is inf or NaN; the loops add epoch, step and module.
pub fn finite(what: &str, value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::not_finite(format!("the {what} is {value}"))
        .with_hint("lower weights.learning_rate with --set, or set weights.clip"))
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
    use crate::model::{Architecture, HandDesigned, NetworkSpec, ResGcnConfig, network};
    use tch::{Device, Kind};

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
        let model = network(&Architecture::HandDesigned(HandDesigned::ResGcn), &spec, 1, Device::Cpu);
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

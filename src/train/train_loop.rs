//! Retraining, one for every space (docs/method.md, "Recipes of the training"), as the loop ([`step::run`]) drives it:
//! epochs of weight steps with growing drop path, a pass over the validation share where there is one, and the state
//! kept after every epoch.

use crate::batch::Batch;
use crate::checkpoint::{Checkpoint, Cursor, Keeper, WhichWeights};
use crate::data::{EpochPlan, Loader};
use crate::dist::Processes;
use crate::error::{Error, Result};
use crate::eval::evaluate_while;
use crate::model::Model;
use crate::ops::Mode;
use crate::optim::{Scaler, ScalerState, WeightConfig, learning_rate};
use crate::report::{EpochReport, Learner, Observer, Phases, timed};
use crate::step::{
    self, AfterSteps, Ended, Frame, Learning, LossConfig, OnNan, Position, StepBatches, StepOutcome, Terms, WeightStep,
    finite_pass,
};
use crate::task::{Metrics, ObjectiveName, Task};
use crate::tensor::parameters::Weights;
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use crate::train::TrainConfig;
use crate::train::average::Average;
use crate::train::best::Best;
use crate::train::frozen;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tch::Device;

/// What a network trains on, and what chooses its best weights.
pub struct TrainData {
    /// The training samples.
    pub train: Loader,
    /// The share held out of training; absent where all data trains.
    pub validation: Option<Loader>,
    /// The test samples, where the reference's protocol looks at them after every epoch.
    pub test: Option<Loader>,
}

/// Everything a training needs to be told.
pub struct TrainSettings {
    /// Name of the task, for events.
    pub task_name: String,
    /// What the network learns.
    pub task: Task,
    /// What is descended instead of the task's own loss.
    pub objective: Option<ObjectiveName>,
    /// How much each class counts in the task's own loss; absent: every sample alike.
    pub class_weights: Option<Vec<f64>>,
    /// Seed of everything random.
    pub seed: u64,
    /// `[train]`
    pub train: TrainConfig,
    /// `[weights]`
    pub weights: WeightConfig,
    /// Arithmetic.
    pub precision: Precision,
    /// Where to compute.
    pub device: Device,
    /// Who shares the run.
    pub processes: Processes,
    /// Whether batch norms take the statistics of all processes' batches.
    pub sync_batch_norm: bool,
    /// What becomes of it where a loss or gradient is not finite.
    pub on_nan: OnNan,
}

/// What is not a tensor in a checkpoint.
#[derive(Serialize, Deserialize)]
struct Counters {
    best_score: Best,
    /// Epochs since the best one.
    #[serde(default)]
    epochs_since_best: usize,
    optimizer_steps: i64,
    scaler: ScalerState,
}

/// A training under way.
pub struct Training<'a> {
    settings: &'a TrainSettings,
    model: &'a mut dyn Model,
    step: WeightStep,
    position: Position,
    best: Best,
    epochs_since_best: usize,
    average: Option<Average>,
}

impl<'a> Training<'a> {
    /// A training that has not begun.
    pub fn new(settings: &'a TrainSettings, model: &'a mut dyn Model) -> Self {
        let TrainConfig { auxiliary_weight, label_smoothing, .. } = settings.train;
        let own = LossConfig::of(settings.objective, settings.class_weights.as_deref(), settings.device);
        let loss = LossConfig { auxiliary_weight, label_smoothing, ..own };
        let mut step = WeightStep::new(model, &settings.weights, settings.precision, loss);
        step.processes = settings.processes.clone();
        step.on_nan = settings.on_nan;
        let TrainConfig { average, .. } = settings.train;
        let average = (average > 0.0).then(|| Average::new(average, &model.weights().parameters));
        Self {
            settings,
            model,
            step,
            position: Position::default(),
            best: Best::default(),
            epochs_since_best: 0,
            average,
        }
    }

    /// Freezes the weights that `train.freeze` names; says which, where there are any.
    ///
    /// # Errors
    /// A pattern that names nothing, or patterns that leave nothing to learn.
    pub fn freeze(&mut self) -> Result<Option<String>> {
        let frozen = frozen::freeze(self.model.weights(), &self.settings.train.freeze)?;
        let (mask, told) = frozen.map(|frozen| (frozen.mask, frozen.told)).unzip();
        self.step.frozen = mask;
        Ok(told)
    }

    /// Brings a training that has not begun to the state of a checkpoint.
    ///
    /// # Errors
    /// A checkpoint of another training, with `origin` (the file) as its place.
    pub fn restore(&mut self, checkpoint: &Checkpoint, origin: &str) -> Result<()> {
        let counters: Counters = serde_json::from_value(checkpoint.state.clone())
            .map_err(|error| Error::invalid(origin, "the state of a training", error.to_string()))?;
        let position = Position::kept_in(checkpoint, self.settings.task, origin)?;
        self.model.weights_mut().load(&checkpoint.below("weights."), origin)?;
        checkpoint.copy_into(&self.step.optimizer.state(), "optimizer.", origin)?;
        let average = self.average.iter().flat_map(Average::state).collect::<Vec<_>>();
        checkpoint.copy_into(&average, "average.", origin)?;
        self.step.optimizer.set_steps(counters.optimizer_steps);
        self.step.scaler = Scaler::from_state(&counters.scaler, self.settings.device);
        self.position = position;
        self.best = counters.best_score;
        self.epochs_since_best = counters.epochs_since_best;
        Ok(())
    }

    /// Runs the epochs that are left.
    ///
    /// # Errors
    /// A loss that is not a number, data that can't be read, results that can't be written.
    pub fn run(&mut self, data: &TrainData, observer: &mut dyn Observer, keeper: &mut dyn Keeper) -> Result<Ended> {
        step::run(self, Some(data), observer, keeper)
    }

    /// What `act` does with the network of the averaged weights, where there is an average.
    fn averaged<T>(&mut self, act: impl FnOnce(&Self) -> T) -> T {
        let exchange = |training: &mut Self| {
            if let Some(average) = &mut training.average {
                average.exchange(&training.model.weights().parameters);
            }
        };
        exchange(self);
        let done = act(self);
        exchange(self);
        done
    }

    fn evaluate(
        &self,
        epoch: usize,
        pass: &str,
        loader: &Loader,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Metrics>> {
        let TrainSettings { task, train, precision, device, processes, .. } = self.settings;
        let plan = EpochPlan::evaluation(self.key(epoch), train.batch).shared(processes.share());
        let meter = evaluate_while(self.model, *task, loader.epoch(&plan), *device, *precision, goes_on)?;
        let Some(mut meter) = meter else { return Ok(None) };
        meter.all_reduce(processes)?;
        finite_pass(meter.metrics(), pass, epoch).map(Some)
    }

    /// The key of what this process draws in a step.
    fn key_of_step(&self, at: Cursor) -> Key {
        let turn = self.settings.processes.share().turn(at.step);
        Key::new(self.settings.seed, Purpose::WeightStep).at(at.epoch as u64, turn as u64)
    }

    /// How often an epoch goes through the training samples.
    fn passes(&self, data: &TrainData) -> usize {
        let TrainSettings { train, processes, .. } = self.settings;
        let once = EpochPlan::training(self.key(0), train.batch, train.drop_last).shared(processes.share());
        data.train.passes(&once, train.epochs, train.steps)
    }

    fn mode(&self, epoch: usize) -> Mode {
        let TrainConfig { drop_path, epochs, .. } = self.settings.train;
        Mode::Training { drop_path: drop_path * epoch as f64 / epochs as f64 }
    }

    /// The key of an epoch's order.
    fn key(&self, epoch: usize) -> Key {
        Key::new(self.settings.seed, Purpose::Order).at(epoch as u64, 0)
    }
}

impl Learning for Training<'_> {
    type Data = TrainData;

    fn frame(&self) -> Frame {
        let TrainSettings { task_name, task, train, device, processes, sync_batch_norm, on_nan, .. } = self.settings;
        Frame {
            command: "train",
            task_name: task_name.clone(),
            task: *task,
            epochs: train.epochs,
            device: *device,
            processes: processes.clone(),
            sync_batch_norm: *sync_batch_norm,
            on_nan: *on_nan,
        }
    }

    fn position(&mut self) -> &mut Position {
        &mut self.position
    }

    fn weights(&self) -> &Weights {
        self.model.weights()
    }

    fn terms(&self, epoch: usize) -> Terms {
        let TrainSettings { train, weights, .. } = self.settings;
        Terms { learning_rate: learning_rate(weights, epoch, train.epochs), batch_size: train.batch }
    }

    fn scalers(&self) -> Vec<(Learner, &Scaler)> {
        vec![(Learner::Weights, &self.step.scaler)]
    }

    fn batches(&self, at: Cursor, terms: Terms, data: &TrainData) -> StepBatches {
        let TrainSettings { train, processes, .. } = self.settings;
        let plan = EpochPlan::training(self.key(at.epoch), terms.batch_size, train.drop_last);
        let plan = plan.shared(processes.share()).from_step(at.step).reordered(self.position.reorders(at.epoch));
        let plan = plan.repeated(self.passes(data));
        StepBatches { weights: data.train.epoch(&plan), alphas: None }
    }

    fn step_weights(&mut self, at: Cursor, terms: Terms, batch: &Batch) -> Result<StepOutcome> {
        self.key_of_step(at).seed_torch();
        let outcome = self.step.run(self.model, self.settings.task, batch, self.mode(at.epoch), terms.learning_rate)?;
        if let Some(average) = &mut self.average {
            average.follow(&self.model.weights().parameters, self.step.optimizer.steps());
        }
        Ok(outcome)
    }

    fn after_steps(
        &mut self,
        epoch: usize,
        _: Terms,
        data: &TrainData,
        phases: &mut Phases,
        _: &mut dyn Observer,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<AfterSteps>> {
        self.averaged(|training| {
            let mut after = AfterSteps::default();
            let passes =
                [("validation", &data.validation, &mut after.validation), ("test", &data.test, &mut after.test)];
            for (name, data, scores) in passes {
                let Some(data) = data else { continue };
                *scores = timed(&mut phases.validation, || training.evaluate(epoch, name, data, goes_on))?;
                if scores.is_none() {
                    return Ok(None);
                }
            }
            Ok(Some(after))
        })
    }

    fn is_over(&self) -> bool {
        self.settings.train.patience.is_some_and(|patience| self.epochs_since_best >= patience)
    }

    fn probe(&self, batch: &Batch) -> Result<f64> {
        step::probe(self.model, self.settings.task, batch)
    }

    fn culprit(&mut self, at: Cursor, _: Learner, batch: &Batch) -> Result<Option<String>> {
        self.key_of_step(at).seed_torch();
        self.step.culprit(self.model, self.settings.task, batch, self.mode(at.epoch))
    }

    /// The last ones, and the best ones where validation chose them; averaged where there is an average.
    fn keep_weights(&mut self, report: &EpochReport, keeper: &mut dyn Keeper) -> Result<()> {
        let score = report.validation.as_ref().map(|metrics| metrics.score);
        let is_best = score.is_some_and(|score| self.best.is_beaten_by(score));
        self.epochs_since_best = if is_best { 0 } else { self.epochs_since_best + 1 };
        self.averaged(|training| {
            if is_best {
                keeper.keep_weights(WhichWeights::Best, training.model.weights())?;
            }
            keeper.keep_weights(WhichWeights::Last, training.model.weights())
        })
    }

    fn save(&self) -> Checkpoint {
        let counters = Counters {
            best_score: self.best,
            epochs_since_best: self.epochs_since_best,
            optimizer_steps: self.step.optimizer.steps(),
            scaler: self.step.scaler.state(),
        };
        let state = serde_json::to_value(counters).expect("counters are plain data");
        let mut checkpoint = Checkpoint { tensors: BTreeMap::new(), state };
        checkpoint.add("weights.", self.model.weights().iter());
        checkpoint.add("optimizer.", self.step.optimizer.state());
        checkpoint.add("average.", self.average.iter().flat_map(|average| average.state()));
        self.position.keep_in(&mut checkpoint);
        checkpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Architecture, HandDesigned, NetworkSpec, ResGcnConfig, network};
    use tch::Tensor;

    #[test]
    fn the_loss_scale_and_its_clean_steps_are_kept() {
        let resgcn = ResGcnConfig { blocks: 1, channels: 4, fusion: 4, prediction: [4, 4], ..ResGcnConfig::default() };
        let spec = NetworkSpec { resgcn, in_channels: 9, ..NetworkSpec::default() };
        let settings = TrainSettings {
            task_name: "s3dis".to_owned(),
            task: Task::Segment { classes: 2 },
            objective: None,
            class_weights: None,
            seed: 1,
            train: TrainConfig::default(),
            weights: WeightConfig::default(),
            precision: Precision::Fp16,
            device: Device::Cpu,
            processes: Processes::alone(),
            sync_batch_norm: false,
            on_nan: OnNan::Stop,
        };
        let model = || network(&Architecture::HandDesigned(HandDesigned::ResGcn), &spec, 1, Device::Cpu);
        let mut one = model();
        let mut training = Training::new(&settings, &mut *one);
        for value in [f32::INFINITY, 1.0, 1.0] {
            training.step.scaler.unscale(&mut Tensor::from_slice(&[value]));
        }
        let checkpoint = training.save();
        let mut other = model();
        let mut resumed = Training::new(&settings, &mut *other);
        resumed.restore(&checkpoint, "checkpoint").unwrap();
        let ScalerState { scale, clean_steps, .. } = resumed.step.scaler.state();
        assert_eq!((scale, clean_steps), (32768.0, 2));
    }
}

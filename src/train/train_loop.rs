//! The retraining loop, one for every space (REFERENCE section 4): epochs of weight steps with growing drop
//! path, a pass over the validation share where there is one, and the state kept after every epoch.

use crate::checkpoint::{Checkpoint, Keeper, WhichWeights};
use crate::data::{EpochPlan, Loader};
use crate::error::{Error, Result};
use crate::eval::evaluate;
use crate::model::Model;
use crate::ops::Mode;
use crate::optim::{Scaler, ScalerState, WeightConfig, learning_rate};
use crate::report::{EpochReport, Event, Learner, Observer, timed};
use crate::step::{Ledger, LossConfig, StepOutcome, WeightStep, at_step, finite_pass};
use crate::task::{Metrics, Task};
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use crate::train::TrainConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;
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
}

/// What is not a tensor in a checkpoint.
#[derive(Serialize, Deserialize)]
struct Counters {
    next_epoch: usize,
    best_score: Option<f64>,
    optimizer_steps: i64,
    scaler: ScalerState,
}

/// A training under way.
pub struct Training<'a> {
    settings: &'a TrainSettings,
    model: &'a mut dyn Model,
    step: WeightStep,
    next_epoch: usize,
    best_score: Option<f64>,
}

impl<'a> Training<'a> {
    /// A training that has not begun.
    pub fn new(settings: &'a TrainSettings, model: &'a mut dyn Model) -> Self {
        let TrainConfig { auxiliary_weight, label_smoothing, .. } = settings.train;
        let loss = LossConfig { auxiliary_weight, label_smoothing };
        let step = WeightStep::new(model, &settings.weights, settings.precision, loss);
        Self { settings, model, step, next_epoch: 0, best_score: None }
    }

    /// Brings a training that has not begun to the state of a checkpoint.
    ///
    /// # Errors
    /// A checkpoint of another training, with `origin` (the file) as its place.
    pub fn restore(&mut self, checkpoint: &Checkpoint, origin: &str) -> Result<()> {
        let counters: Counters = serde_json::from_value(checkpoint.state.clone())
            .map_err(|error| Error::invalid(origin, "the state of a training", error.to_string()))?;
        self.model.weights_mut().load(&checkpoint.below("weights."), origin)?;
        checkpoint.copy_into(&self.step.optimizer.state(), "optimizer.", origin)?;
        self.step.optimizer.set_steps(counters.optimizer_steps);
        self.step.scaler = Scaler::from_state(&counters.scaler, self.settings.device);
        self.next_epoch = counters.next_epoch;
        self.best_score = counters.best_score;
        Ok(())
    }

    /// Runs the epochs that are left.
    ///
    /// # Errors
    /// A loss that is not a number, data that can't be read, results that can't be written.
    pub fn run(mut self, data: &TrainData, observer: &mut dyn Observer, keeper: &mut dyn Keeper) -> Result<()> {
        observer.observe(&self.started())?;
        for epoch in self.next_epoch..self.settings.train.epochs {
            let report = self.epoch(epoch, data, observer)?;
            observer.observe(&Event::Epoch(report.clone()))?;
            self.next_epoch = epoch + 1;
            self.keep(&report, keeper)?;
        }
        Ok(())
    }

    fn started(&self) -> Event {
        Event::Started {
            command: "train".to_owned(),
            task: self.settings.task_name.clone(),
            epoch: self.next_epoch,
            epochs: self.settings.train.epochs,
            parameters: self.model.weights().parameters.count(),
        }
    }

    fn epoch(&mut self, epoch: usize, data: &TrainData, observer: &mut dyn Observer) -> Result<EpochReport> {
        let begun = Instant::now();
        let settings = self.settings;
        let rate = learning_rate(&settings.weights, epoch, settings.train.epochs);
        let (train, mut ledger) = self.train(epoch, rate, data, observer)?;
        let mut pass = |name, data: &Option<Loader>| {
            let run = |data| timed(&mut ledger.phases.validation, || self.evaluate(epoch, name, data));
            data.as_ref().map(run).transpose()
        };
        let (validation, test) = (pass("validation", &data.validation)?, pass("test", &data.test)?);
        let phases = ledger.phases;
        let (scaling, gradients) = ledger.into_reports();
        Ok(EpochReport {
            epoch,
            epochs: settings.train.epochs,
            learning_rate: rate,
            batch_size: settings.train.batch,
            train,
            validation,
            test,
            open_edges: None,
            parameters: self.model.weights().parameters.count(),
            skipped_steps: scaling.skipped_steps(),
            scaling: scaling.into_reports(),
            gradients,
            seconds: begun.elapsed().as_secs_f64(),
            phases,
        })
    }

    fn train(
        &mut self,
        epoch: usize,
        rate: f64,
        data: &TrainData,
        observer: &mut dyn Observer,
    ) -> Result<(Metrics, Ledger)> {
        let settings = self.settings;
        let drop_path = settings.train.drop_path * epoch as f64 / settings.train.epochs as f64;
        let mut tally = settings.task.tally(settings.device);
        let plan = EpochPlan::training(self.key(epoch), settings.train.batch, settings.train.drop_last);
        let batches = data.train.epoch(&plan);
        let steps = batches.len();
        let mut ledger = Ledger::new(epoch, steps, &[(Learner::Weights, &self.step.scaler)], settings.device);
        let mut batches = batches.enumerate();
        while let Some((step, batch)) = timed(&mut ledger.phases.data, || batches.next()) {
            let begun = Instant::now();
            let batch = batch?.to_device(settings.device);
            Key::new(settings.seed, Purpose::WeightStep).at(epoch as u64, step as u64).seed_torch();
            let StepOutcome { outcome, logits, loss } = self
                .step
                .run(self.model, settings.task, &batch, Mode::Training { drop_path }, rate)
                .map_err(|error| at_step(error, epoch, step))?;
            tally.add_finite(&logits, &batch, &loss);
            ledger.note(step, Learner::Weights, outcome);
            ledger.end_step(step, observer)?;
            ledger.phases.weights += begun.elapsed().as_secs_f64();
        }
        let metrics = timed(&mut ledger.phases.weights, || tally.read().metrics());
        Ok((metrics, ledger))
    }

    fn evaluate(&self, epoch: usize, pass: &str, loader: &Loader) -> Result<Metrics> {
        let settings = self.settings;
        let batches = loader.epoch(&EpochPlan::evaluation(self.key(epoch), settings.train.batch));
        let meter = evaluate(self.model, settings.task, batches, settings.device, settings.precision)?;
        finite_pass(meter.metrics(), pass, epoch)
    }

    /// Keeps the last weights, the best ones where validation chose them, and the state.
    fn keep(&mut self, report: &EpochReport, keeper: &mut dyn Keeper) -> Result<()> {
        if let Some(score) = report.validation.as_ref().map(|metrics| metrics.score)
            && self.best_score.is_none_or(|best| score > best)
        {
            self.best_score = Some(score);
            keeper.keep_weights(WhichWeights::Best, self.model.weights())?;
        }
        keeper.keep_weights(WhichWeights::Last, self.model.weights())?;
        keeper.keep_checkpoint(self.save())
    }

    fn save(&self) -> Checkpoint {
        let counters = Counters {
            next_epoch: self.next_epoch,
            best_score: self.best_score,
            optimizer_steps: self.step.optimizer.steps(),
            scaler: self.step.scaler.state(),
        };
        let state = serde_json::to_value(counters).expect("counters are plain data");
        let mut checkpoint = Checkpoint { tensors: BTreeMap::new(), state };
        checkpoint.add("weights.", self.model.weights().iter());
        checkpoint.add("optimizer.", self.step.optimizer.state());
        checkpoint
    }

    fn key(&self, epoch: usize) -> Key {
        Key::new(self.settings.seed, Purpose::Order).at(epoch as u64, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Architecture, NetworkSpec, ResGcnConfig, network};
    use tch::Tensor;

    #[test]
    fn the_loss_scale_and_its_clean_steps_are_kept() {
        let resgcn = ResGcnConfig { blocks: 1, channels: 4, fusion: 4, prediction: [4, 4], ..ResGcnConfig::default() };
        let spec = NetworkSpec { resgcn, in_channels: 9, ..NetworkSpec::default() };
        let settings = TrainSettings {
            task_name: "s3dis".to_owned(),
            task: Task::Segment { classes: 2 },
            seed: 1,
            train: TrainConfig::default(),
            weights: WeightConfig::default(),
            precision: Precision::Fp16,
            device: Device::Cpu,
        };
        let model = || network(&Architecture::ResGcn, &spec, 1, Device::Cpu);
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

//! Searches without a supernet: cells that are drawn or proposed, each trained alone for a while and chosen by validation,
//! or by their number of weights (docs/method.md, "Random cells"). The loop ([`step::run`]) drives it like any other run: its epochs
//! are those of one candidate after the other.

mod cells;
mod plan;
mod predictor;
mod sample;

pub use cells::{Cells, genotype};
pub use plan::{CandidateConfig, Plan, Rung};
pub use predictor::Predictor;
pub(in crate::search) use sample::draw;
pub use sample::sample;

use crate::batch::Batch;
use crate::checkpoint::{Checkpoint, Cursor};
use crate::data::EpochPlan;
use crate::error::{Error, Result};
use crate::eval::evaluate_while;
use crate::genotype::SpaceName;
use crate::model::{self, Architecture, Model, NetworkSpec};
use crate::ops::Mode;
use crate::optim::{Scaler, ScalerState, learning_rate};
use crate::report::{CandidateReport, Event, Learner, Observer, Phases, timed};
use crate::search::{SearchData, SearchSettings};
use crate::step::{
    self, AfterSteps, Frame, Learning, LossConfig, Position, StepBatches, StepOutcome, Terms, WeightStep, finite_pass,
};
use crate::task::Metrics;
use crate::tensor::parameters::Weights;
use crate::tensor::random::{Key, Purpose};
use plan::Slot;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What a training of a candidate came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// The candidate, in the order of the draws.
    pub candidate: usize,
    /// Epochs that it trained.
    pub epochs: usize,
    /// Validation score after the last of them.
    pub score: f64,
    /// Validation loss after the last of them.
    pub loss: f64,
}

impl Trained {
    /// The better first: the greater score, then the smaller loss, then the earlier draw.
    fn compare(&self, other: &Self) -> Ordering {
        let better = other.score.total_cmp(&self.score).then(self.loss.total_cmp(&other.loss));
        better.then(self.candidate.cmp(&other.candidate))
    }
}

/// What is not a tensor in a checkpoint.
#[derive(Serialize, Deserialize)]
struct Counters {
    /// The training whose network the tensors are of.
    slot: usize,
    trained: Vec<Trained>,
    optimizer_steps: i64,
    scaler: ScalerState,
}

/// A search among cells that are trained alone, under way.
pub struct Candidates<'a> {
    settings: &'a SearchSettings,
    spec: &'a NetworkSpec,
    space: SpaceName,
    plan: Plan,
    cells: Vec<Cells>,
    trained: Vec<Trained>,
    slot: usize,
    model: Box<dyn Model>,
    step: WeightStep,
    position: Position,
}

impl<'a> Candidates<'a> {
    /// A search of cells of this space that has not begun.
    ///
    /// # Errors
    /// Limits that hardly any cell meets.
    pub fn new(settings: &'a SearchSettings, space: SpaceName, spec: &'a NetworkSpec, plan: Plan) -> Result<Self> {
        let predictor = Predictor { space, seed: settings.seed, limits: settings.limits.as_ref() };
        let cells = match plan.predicts() {
            true => predictor.first(plan.candidates())?,
            false => sample(space, settings.seed, plan.candidates(), settings.limits.as_ref())?,
        };
        let model = network(settings, space, spec, &cells[0]);
        let step = weight_step(settings, &*model);
        let (trained, slot, position) = (Vec::new(), 0, Position::default());
        Ok(Self { settings, spec, space, plan, cells, trained, slot, model, step, position })
    }

    /// Brings a search that has not begun to the state of a checkpoint.
    ///
    /// # Errors
    /// A checkpoint of another search, with `origin` (the file) as its place.
    pub fn restore(&mut self, checkpoint: &Checkpoint, origin: &str) -> Result<()> {
        let counters: Counters = serde_json::from_value(checkpoint.state.clone())
            .map_err(|error| Error::invalid(origin, "the state of a search among random cells", error.to_string()))?;
        let position = Position::kept_in(checkpoint, self.settings.task, origin)?;
        self.trained = counters.trained;
        self.begin(counters.slot)?;
        self.model.weights_mut().load(&checkpoint.below("weights."), origin)?;
        checkpoint.copy_into(&self.step.optimizer.state(), "optimizer.", origin)?;
        self.step.optimizer.set_steps(counters.optimizer_steps);
        self.step.scaler = Scaler::from_state(&counters.scaler, self.settings.device);
        self.position = position;
        Ok(())
    }

    /// All cells that were drawn or proposed so far.
    pub fn cells(&self) -> &[Cells] {
        &self.cells
    }

    /// The trainings that ended, in order.
    pub fn trained(&self) -> &[Trained] {
        &self.trained
    }

    /// The weights of each candidate's network, in the order of the draws.
    pub fn parameters_of_all(&self) -> Vec<usize> {
        let count = |cells| model::parameter_count(&architecture(self.space, cells), self.spec);
        self.cells.iter().map(count).collect()
    }

    /// The candidate that is chosen: of the last rung the best on validation, or without any training the one of the most
    /// weights; the first of equals.
    pub fn chosen(&self) -> usize {
        let last = self.plan.rungs.len().checked_sub(1).map(|rung| self.results(rung));
        match last.and_then(|results| results.first().copied()) {
            Some(best) => best.candidate,
            None => {
                let counts = self.parameters_of_all();
                let most = counts.iter().copied().max().unwrap_or_default();
                counts.iter().position(|count| *count == most).unwrap_or_default()
            }
        }
    }

    /// The results of a rung, the best first.
    fn results(&self, rung: usize) -> Vec<Trained> {
        let slots = self.plan.slots_of(rung);
        let mut results = self.trained.get(slots.start..slots.end.min(self.trained.len())).unwrap_or_default().to_vec();
        results.sort_by(Trained::compare);
        results
    }

    /// The candidate that is trained in a slot: in the first rung the next one, then the best of the rung before.
    fn candidate(&self, slot: Slot) -> usize {
        match slot.rung.checked_sub(1) {
            None => slot.place,
            Some(before) => self.results(before)[slot.place].candidate,
        }
    }

    /// A fresh network for the training of this number.
    ///
    /// # Errors
    /// What proposing a cell reports.
    fn begin(&mut self, index: usize) -> Result<()> {
        let candidate = self.candidate(self.plan.slot(index));
        while self.cells.len() <= candidate {
            self.propose()?;
        }
        self.slot = index;
        self.model = network(self.settings, self.space, self.spec, &self.cells[candidate]);
        self.step = weight_step(self.settings, &*self.model);
        Ok(())
    }

    /// Adds the cell that the trainings of the cells before it speak for.
    fn propose(&mut self) -> Result<()> {
        let mut trained = self.trained[..self.cells.len()].to_vec();
        trained.sort_by(Trained::compare);
        let order: Vec<usize> = trained.iter().map(|trained| trained.candidate).collect();
        let SearchSettings { seed, limits, .. } = self.settings;
        let predictor = Predictor { space: self.space, seed: *seed, limits: limits.as_ref() };
        self.cells.push(predictor.next(&self.cells, &order)?);
        Ok(())
    }

    /// The training that an epoch of the run belongs to, and the epoch within it.
    fn place(&self, epoch: usize) -> (Slot, usize) {
        let slot = self.plan.slot_of_epoch(epoch);
        (slot, epoch - slot.first_epoch)
    }

    /// The key of what is drawn in an epoch of a training; the same for all candidates, so that luck is no part of the
    /// comparison.
    fn key(&self, purpose: Purpose, epoch: usize, step: usize) -> Key {
        Key::new(self.settings.seed, purpose).at(self.place(epoch).1 as u64, step as u64)
    }
}

fn architecture(space: SpaceName, cells: &Cells) -> Architecture {
    Architecture::Cell(Box::new(genotype(space, cells)))
}

fn network(settings: &SearchSettings, space: SpaceName, spec: &NetworkSpec, cells: &Cells) -> Box<dyn Model> {
    model::network(&architecture(space, cells), spec, settings.seed, settings.device)
}

fn weight_step(settings: &SearchSettings, model: &dyn Model) -> WeightStep {
    let loss = LossConfig::of(settings.objective, settings.class_weights.as_deref(), settings.device);
    let mut step = WeightStep::new(model, &settings.weights, settings.precision, loss);
    step.processes = settings.processes.clone();
    step.on_nan = settings.on_nan;
    step
}

impl Learning for Candidates<'_> {
    type Data = SearchData;

    fn frame(&self) -> Frame {
        let SearchSettings { task_name, task, device, processes, sync_batch_norm, on_nan, .. } = self.settings;
        Frame {
            command: "search",
            task_name: task_name.clone(),
            task: *task,
            epochs: self.plan.epochs(),
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
        let (slot, epoch) = self.place(epoch);
        let SearchSettings { search, weights, .. } = self.settings;
        Terms { learning_rate: learning_rate(weights, epoch, slot.epochs), batch_size: search.batch }
    }

    fn scalers(&self) -> Vec<(Learner, &Scaler)> {
        vec![(Learner::Weights, &self.step.scaler)]
    }

    fn enter_epoch(&mut self, epoch: usize) -> Result<()> {
        let (slot, _) = self.place(epoch);
        if slot.index != self.slot { self.begin(slot.index) } else { Ok(()) }
    }

    fn batches(&self, at: Cursor, terms: Terms, data: &SearchData) -> StepBatches {
        let plan = EpochPlan::training(self.key(Purpose::Order, at.epoch, 0), terms.batch_size, false);
        let plan = plan.shared(self.settings.processes.share()).from_step(at.step);
        StepBatches { weights: data.train.epoch(&plan.reordered(self.position.reorders(at.epoch))), alphas: None }
    }

    fn step_weights(&mut self, at: Cursor, terms: Terms, batch: &Batch) -> Result<StepOutcome> {
        let turn = self.settings.processes.share().turn(at.step);
        self.key(Purpose::WeightStep, at.epoch, turn).seed_torch();
        self.step.run(&*self.model, self.settings.task, batch, Mode::TRAINING, terms.learning_rate)
    }

    fn after_steps(
        &mut self,
        epoch: usize,
        terms: Terms,
        data: &SearchData,
        phases: &mut Phases,
        observer: &mut dyn Observer,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<AfterSteps>> {
        let (slot, within) = self.place(epoch);
        // The scores before the last choose nothing.
        if within + 1 < slot.epochs {
            return Ok(Some(AfterSteps::default()));
        }
        let SearchSettings { task, precision, device, processes, .. } = self.settings;
        let plan =
            EpochPlan::evaluation(self.key(Purpose::Order, epoch, 0), terms.batch_size).shared(processes.share());
        let pass = || evaluate_while(&*self.model, *task, data.alphas.epoch(&plan), *device, *precision, goes_on);
        let Some(mut meter) = timed(&mut phases.validation, pass)? else { return Ok(None) };
        meter.all_reduce(processes)?;
        let validation = finite_pass(meter.metrics(), "validation", epoch)?;
        observer.observe(&Event::Candidate(self.end(epoch, slot, &validation)))?;
        Ok(Some(AfterSteps { validation: Some(validation), ..AfterSteps::default() }))
    }

    fn probe(&self, batch: &Batch) -> Result<f64> {
        step::probe(&*self.model, self.settings.task, batch)
    }

    fn culprit(&mut self, at: Cursor, _: Learner, batch: &Batch) -> Result<Option<String>> {
        let turn = self.settings.processes.share().turn(at.step);
        self.key(Purpose::WeightStep, at.epoch, turn).seed_torch();
        self.step.culprit(&*self.model, self.settings.task, batch, Mode::TRAINING)
    }

    fn save(&self) -> Checkpoint {
        let counters = Counters {
            slot: self.slot,
            trained: self.trained.clone(),
            optimizer_steps: self.step.optimizer.steps(),
            scaler: self.step.scaler.state(),
        };
        let state = serde_json::to_value(counters).expect("counters are plain data");
        let mut checkpoint = Checkpoint { tensors: BTreeMap::new(), state };
        checkpoint.add("weights.", self.model.weights().iter());
        checkpoint.add("optimizer.", self.step.optimizer.state());
        self.position.keep_in(&mut checkpoint);
        checkpoint
    }
}

impl Candidates<'_> {
    /// Keeps what the training of a slot came to.
    fn end(&mut self, epoch: usize, slot: Slot, validation: &Metrics) -> CandidateReport {
        let candidate = self.candidate(slot);
        let Metrics { score, loss, .. } = *validation;
        let (cells, trainings) = (self.plan.candidates(), self.plan.trainings());
        tracing::info!(
            "candidate {candidate} of {cells} (training {} of {trainings}): {score:.4} on validation after {} epochs",
            slot.index + 1,
            slot.epochs
        );
        self.trained.push(Trained { candidate, epochs: slot.epochs, score, loss });
        let genotype = genotype(self.space, &self.cells[candidate]);
        CandidateReport { epoch, trained: slot.epochs, genotype, score, loss }
    }
}

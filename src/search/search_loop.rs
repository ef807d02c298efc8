//! The search, one for every space and strategy (docs/method.md, "The decision" and "The search"), as the loop
//! ([`step::run`]) drives it.
//!
//! An epoch is: one bilevel step per training batch, a pass over the alphas' data in evaluation mode, then the
//! strategy looks at the alphas and perhaps decides; what it decided leaves the supernet at once.

mod changes;
pub mod state;
mod steps;

use crate::batch::Batch;
use crate::checkpoint::{Checkpoint, Cursor, Keeper};
use crate::data::{EpochPlan, Loader};
use crate::decision::{Choice, EdgeState, grown_batch};
use crate::dist::Processes;
use crate::error::Result;
use crate::eval::evaluate_while;
use crate::model::{Learn, SearchModel};
use crate::ops::Mode;
use crate::optim::{AlphaConfig, Scaler, WeightConfig, learning_rate};
use crate::report::{AlphaReport, DecisionReport, Event, Learner, NamedScores, Observer, Phases, timed};
use crate::search::bilevel::Bilevel;
use crate::search::candidates::Cells;
use crate::search::freezing::Freezing;
use crate::search::limits::Limits;
use crate::search::second_order::Ahead;
use crate::search::strategy::{Answer, Probe, Strategy, Stretch};
use crate::search::{AlphaBatch, SearchConfig};
use crate::step::{
    self, AfterSteps, Ended, Frame, Learning, LossConfig, OnNan, Outcome, Position, StepBatches, StepOutcome, Terms,
    finite_pass, never_record,
};
use crate::task::{Metrics, ObjectiveName, Task};
use crate::tensor::parameters::Weights;
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use crate::topology::CellKind;
use changes::Done;
use std::collections::BTreeMap;
use tch::Device;

/// What the weights and what the alphas learn from.
pub struct SearchData {
    /// The weights' samples.
    pub train: Loader,
    /// The alphas' samples; the supernet is scored on them.
    pub alphas: Loader,
}

/// Everything a search needs to be told.
pub struct SearchSettings {
    /// Name of the task, for events.
    pub task_name: String,
    /// What the network learns.
    pub task: Task,
    /// What is descended instead of the task's own loss.
    pub objective: Option<ObjectiveName>,
    /// How much each class counts in the task's own loss; absent: alike.
    pub class_weights: Option<Vec<f64>>,
    /// Seed of everything random.
    pub seed: u64,
    /// `[search]`
    pub search: SearchConfig,
    /// What bounds the cell that is found.
    pub limits: Option<Limits>,
    /// `[weights]`
    pub weights: WeightConfig,
    /// `[alphas]`
    pub alphas: AlphaConfig,
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

/// What came of an answer.
struct Answered {
    decisions: Vec<DecisionReport>,
    /// One per edge, for the log.
    scores: BTreeMap<CellKind, Vec<NamedScores>>,
}

/// A search under way.
pub struct Search<'a> {
    pub(super) settings: &'a SearchSettings,
    pub(super) model: &'a mut dyn SearchModel,
    pub(super) strategy: &'a mut dyn Strategy,
    pub(super) bilevel: Bilevel,
    pub(super) position: Position,
    pub(super) decided: Decided,
}

/// What was decided so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decided {
    /// The states of every kind's edges.
    pub states: BTreeMap<CellKind, Vec<EdgeState>>,
    /// The epochs in which an edge was fixed: what batches grow by.
    pub epochs: Vec<usize>,
    /// Steps to train before the strategy is shown one again.
    pub wait: usize,
    /// How often a batch was taken back to what it was before it grew, because memory ran out.
    pub growths_taken_back: usize,
}

impl<'a> Search<'a> {
    /// A search that has not begun.
    pub fn new(settings: &'a SearchSettings, model: &'a mut dyn SearchModel, strategy: &'a mut dyn Strategy) -> Self {
        let mut bilevel = Bilevel::new(model, settings.task, &settings.weights, &settings.alphas, settings.precision)
            .of_order(settings.search.order)
            .descending(LossConfig::of(settings.objective, settings.class_weights.as_deref(), settings.device))
            .freezing(settings.search.freezing.map(|_| Freezing::new(settings.search.similarity.clone())));
        bilevel.weights.processes = settings.processes.clone();
        bilevel.weights.on_nan = settings.on_nan;
        // Also of a search that goes on at its very end, where no epoch is entered.
        strategy.mixture(0).into_iter().for_each(|rule| model.alphas_mut().set_rule(rule));
        let open = vec![EdgeState::Open; model.topology().edge_count()];
        let states = model.alphas().kinds().into_iter().map(|kind| (kind, open.clone())).collect();
        let decided = Decided { states, epochs: Vec::new(), wait: 0, growths_taken_back: 0 };
        Self { settings, model, strategy, bilevel, position: Position::default(), decided }
    }

    /// Runs the epochs that are left; a search without any needs no data.
    ///
    /// # Errors
    /// A loss or alphas that are not numbers, data that can't be read, results that can't be written.
    pub fn run(
        &mut self,
        data: Option<&SearchData>,
        observer: &mut dyn Observer,
        keeper: &mut dyn Keeper,
    ) -> Result<Ended> {
        step::run(self, data, observer, keeper)
    }

    /// The cell as it is read off now, for each kind of cell.
    pub fn cells(&self) -> Vec<(CellKind, Vec<Choice>)> {
        let kinds = self.model.alphas().kinds();
        let space = self.model.space();
        let read = |kind| {
            let alphas = self.model.alphas().logits(kind);
            (kind, self.strategy.read(space, &alphas, &self.decided.states[&kind]))
        };
        kinds.into_iter().map(read).collect()
    }

    /// The epochs in all.
    fn epochs(&self) -> usize {
        self.settings.search.epochs.unwrap_or_else(|| self.strategy.epochs())
    }

    /// Epochs before this one in which an edge was fixed.
    fn deciding_epochs(&self, epoch: usize) -> usize {
        self.decided.epochs.iter().filter(|decided| **decided < epoch).count()
    }

    /// How often the batch of an epoch has grown.
    fn growths(&self, epoch: usize) -> usize {
        self.deciding_epochs(epoch).saturating_sub(self.decided.growths_taken_back)
    }

    fn open_edges(&self) -> usize {
        self.decided.states.values().flatten().filter(|state| **state == EdgeState::Open).count()
    }

    fn validate(
        &self,
        epoch: usize,
        batch_size: usize,
        data: &SearchData,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Metrics>> {
        let SearchSettings { task, precision, device, processes, .. } = self.settings;
        let plan = EpochPlan::evaluation(self.key(epoch), batch_size).shared(processes.share());
        let batches = data.alphas.epoch(&plan);
        let meter = evaluate_while(self.model, *task, batches, *device, *precision, goes_on)?;
        let Some(mut meter) = meter else { return Ok(None) };
        meter.all_reduce(processes)?;
        finite_pass(meter.metrics(), "validation", epoch).map(Some)
    }

    /// Shows the strategy the search and does what it answers; gives the decisions.
    fn ask(
        &mut self,
        at: Cursor,
        batch_size: usize,
        data: Option<&SearchData>,
        observer: &mut dyn Observer,
        ask: impl FnOnce(&mut dyn Strategy, &mut Probe<'_>) -> Result<Answer>,
    ) -> Result<Answered> {
        let Self { settings, model, strategy, decided, .. } = self;
        let SearchSettings { task, seed, precision, device, ref processes, .. } = **settings;
        let mut probe = Probe {
            model: &mut **model,
            states: &decided.states,
            data: data.map(|data| &data.alphas),
            batch_size,
            task,
            seed,
            precision,
            device,
            processes,
            limits: settings.limits.as_ref(),
            at,
            draws: 0,
        };
        let Answer { changes, scores, candidates, wait } = ask(&mut **strategy, &mut probe)?;
        candidates.into_iter().try_for_each(|candidate| observer.observe(&Event::Candidate(candidate)))?;
        decided.wait = decided.wait.max(wait);
        let mut decisions = Vec::new();
        for change in changes {
            match self.apply(at.epoch, change)? {
                Done::Decided(decision) => decisions.push(decision),
                Done::Removed(removal) => observer.observe(&Event::Removal(removal))?,
            }
        }
        Ok(Answered { decisions, scores })
    }

    /// At the end of an epoch: what was decided, after everybody was told the alphas and their scores.
    fn decide(
        &mut self,
        epoch: usize,
        terms: Terms,
        data: &SearchData,
        observer: &mut dyn Observer,
    ) -> Result<Vec<DecisionReport>> {
        let at = Cursor { epoch, step: 0 };
        let ask = |strategy: &mut dyn Strategy, probe: &mut Probe<'_>| strategy.after_epoch(epoch, probe);
        let Answered { decisions, mut scores } = self.ask(at, terms.batch_size, Some(data), observer, ask)?;
        for kind in self.model.alphas().kinds() {
            let (alphas, states) = (self.model.alphas().values(kind), self.decided.states[&kind].clone());
            let scores = scores.remove(&kind).unwrap_or_default();
            observer.observe(&Event::Alphas(AlphaReport { epoch, kind, alphas, scores, states }))?;
        }
        Ok(decisions)
    }

    /// The key of an epoch's order.
    fn key(&self, epoch: usize) -> Key {
        Key::new(self.settings.seed, Purpose::Order).at(epoch as u64, 0)
    }

    /// The cell that the strategy wants trained, or scored, alone at this point.
    fn path(&self, at: Cursor) -> Option<Cells> {
        // The same in all processes, which share the step. Draws of the probe begin at 1; see its keys.
        let key = Key::new(self.settings.seed, Purpose::Strategy).at(at.epoch as u64, (at.step as u64) << 32);
        self.strategy.path(self.model.space(), key)
    }

    /// The key of what this process draws in a step.
    fn key_of_step(&self, purpose: Purpose, at: Cursor) -> Key {
        let turn = self.settings.processes.share().turn(at.step);
        Key::new(self.settings.seed, purpose).at(at.epoch as u64, turn as u64)
    }
}

impl Learning for Search<'_> {
    type Data = SearchData;

    fn frame(&self) -> Frame {
        let SearchSettings { task_name, task, device, processes, sync_batch_norm, on_nan, .. } = self.settings;
        Frame {
            command: "search",
            task_name: task_name.clone(),
            task: *task,
            epochs: self.epochs(),
            device: *device,
            processes: processes.clone(),
            sync_batch_norm: *sync_batch_norm,
            on_nan: *on_nan,
        }
    }

    fn decided(&self) -> Option<String> {
        Some(format!("{:?}", self.decided))
    }

    fn position(&mut self) -> &mut Position {
        &mut self.position
    }

    fn weights(&self) -> &Weights {
        self.model.weights()
    }

    fn terms(&self, epoch: usize) -> Terms {
        let SearchSettings { search, weights, .. } = self.settings;
        let Stretch { first, epochs, rate } = self.strategy.stretch(epoch, self.epochs());
        let mut weights = weights.clone();
        if first > 0 {
            weights.learning_rate *= rate;
            weights.minimum_learning_rate = weights.minimum_learning_rate.min(weights.learning_rate);
            weights.warmup_epochs = 0;
        }
        Terms {
            learning_rate: learning_rate(&weights, epoch - first, epochs),
            batch_size: grown_batch(search.batch, search.batch_growth, self.growths(epoch)),
        }
    }

    fn take_back_growth(&mut self, epoch: usize) -> bool {
        if self.settings.search.batch_growth == 0 || self.growths(epoch) == 0 {
            return false;
        }
        self.decided.growths_taken_back += 1;
        self.bilevel.forget_passes();
        true
    }

    fn scalers(&self) -> Vec<(Learner, &Scaler)> {
        self.bilevel.scalers()
    }

    fn before_training(&mut self, data: Option<&SearchData>, observer: &mut dyn Observer) -> Result<()> {
        if let Some(data) = data.filter(|_| self.strategy.learns_alphas()) {
            self.warn_of_few_steps(data);
        }
        let (at, terms) = (Cursor::default(), self.terms(0));
        let ask = |strategy: &mut dyn Strategy, probe: &mut Probe<'_>| strategy.before_training(probe);
        let Answered { decisions, .. } = self.ask(at, terms.batch_size, data, observer, ask)?;
        decisions.into_iter().try_for_each(|decision| observer.observe(&Event::Decision(decision)))
    }

    /// Lets the strategy shape the epoch's mixture and loss of alphas.
    fn enter_epoch(&mut self, epoch: usize) -> Result<()> {
        if let Some(rule) = self.strategy.mixture(epoch) {
            self.model.alphas_mut().set_rule(rule);
            if !self.model.alphas().is_repeatable() {
                never_record();
            }
            self.bilevel.forget_passes();
        }
        if !self.strategy.learns_alphas() {
            never_record();
        }
        self.bilevel.set_penalty(self.strategy.penalty(epoch));
        Ok(())
    }

    fn after_step(&mut self, next: Cursor, terms: Terms, data: &SearchData, observer: &mut dyn Observer) -> Result<()> {
        if self.decided.wait > 0 {
            self.decided.wait -= 1;
            return Ok(());
        }
        let ask = |strategy: &mut dyn Strategy, probe: &mut Probe<'_>| strategy.after_step(next, probe);
        let Answered { decisions, .. } = self.ask(next, terms.batch_size, Some(data), observer, ask)?;
        decisions.into_iter().try_for_each(|decision| observer.observe(&Event::Decision(decision)))
    }

    fn batches(&self, at: Cursor, terms: Terms, data: &SearchData) -> StepBatches {
        let (key, share) = (self.key(at.epoch), self.settings.processes.share());
        let reorders = self.position.reorders(at.epoch);
        let times = reorders.len();
        let plan = EpochPlan::training(key, terms.batch_size, false).shared(share).from_step(at.step);
        let plan = plan.reordered(reorders).repeated(self.passes(data));
        let weights = data.train.epoch(&plan);
        let size = match self.settings.search.alpha_batch {
            AlphaBatch::Random => terms.batch_size,
            AlphaBatch::Whole => data.alphas.samples().len(),
        };
        let steps = at.step..at.step + weights.len();
        let random = || data.alphas.random_batches(key.after_rollbacks(times), size, share, steps);
        StepBatches { weights, alphas: self.strategy.learns_alphas().then(random) }
    }

    fn step_alphas(&mut self, at: Cursor, terms: Terms, batch: &Batch, ahead: &Batch) -> Result<Option<Outcome>> {
        if at.epoch < self.settings.search.alpha_start {
            return Ok(None);
        }
        let key = self.key_of_step(Purpose::AlphaStep, at);
        let ahead = Ahead { batch: ahead, learning_rate: terms.learning_rate, key };
        self.drawing(Purpose::AlphaMixture, at, |search| search.bilevel.step_alphas(search.model, batch, &ahead))
    }

    fn step_weights(&mut self, at: Cursor, terms: Terms, batch: &Batch) -> Result<StepOutcome> {
        let path = self.path(at);
        self.model.narrow(path.as_deref());
        self.key_of_step(Purpose::WeightStep, at).seed_torch();
        let rate = terms.learning_rate;
        let step = |search: &mut Self| search.bilevel.step_weights(search.model, batch, rate);
        let outcome = self.drawing(Purpose::WeightMixture, at, step);
        self.model.narrow(None);
        outcome
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
        let path = self.path(Cursor { epoch, step: 0 });
        self.model.narrow(path.as_deref());
        let validation = timed(&mut phases.validation, || self.validate(epoch, terms.batch_size, data, goes_on));
        self.model.narrow(None);
        let validation = validation?;
        if validation.is_none() {
            return Ok(None);
        }
        let decisions = self.decide(epoch, terms, data, observer)?;
        Ok(Some(AfterSteps { validation, test: None, open_edges: Some(self.open_edges()), decisions }))
    }

    fn probe(&self, batch: &Batch) -> Result<f64> {
        step::probe(self.model, self.settings.task, batch)
    }

    fn culprit(&mut self, at: Cursor, learner: Learner, batch: &Batch) -> Result<Option<String>> {
        let (purpose, mixture) = match learner {
            Learner::Weights => (Purpose::WeightStep, Purpose::WeightMixture),
            Learner::Alphas => (Purpose::AlphaStep, Purpose::AlphaMixture),
        };
        self.key_of_step(purpose, at).seed_torch();
        self.model.learn(Learn::Weights);
        let task = self.settings.task;
        self.drawing(mixture, at, |search| search.bilevel.weights.culprit(search.model, task, batch, Mode::TRAINING))
    }

    fn save(&self) -> Checkpoint {
        state::save(self)
    }
}

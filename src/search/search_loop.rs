//! The search, one for every space and strategy (REFERENCE sections 2 and 3), as the loop ([`step::run`]) drives it.
//!
//! An epoch is: one bilevel step per training batch, a pass over the alphas' data in evaluation mode, then the
//! strategy looks at the alphas and perhaps decides; what it decided leaves the supernet at once.

pub mod state;

use crate::batch::Batch;
use crate::checkpoint::{Checkpoint, Cursor, Keeper};
use crate::data::{EpochPlan, Loader};
use crate::decision::{Choice, EdgeState, grown_batch};
use crate::dist::Processes;
use crate::error::Result;
use crate::eval::evaluate;
use crate::model::SearchModel;
use crate::optim::{AlphaConfig, Scaler, WeightConfig, learning_rate};
use crate::report::{AlphaReport, DecisionReport, Event, Learner, Observer, Phases, timed};
use crate::search::bilevel::Bilevel;
use crate::search::second_order::Ahead;
use crate::search::strategy::{Observed, Strategy};
use crate::search::{AlphaBatch, SearchConfig};
use crate::step::{
    self, AfterSteps, Ended, Frame, Learning, Outcome, Position, StepBatches, StepOutcome, Terms, finite_pass,
};
use crate::task::{Metrics, Task};
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use crate::topology::CellKind;
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
    /// Seed of everything random.
    pub seed: u64,
    /// `[search]`
    pub search: SearchConfig,
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
}

/// A search under way.
pub struct Search<'a> {
    pub(super) settings: &'a SearchSettings,
    pub(super) model: &'a mut dyn SearchModel,
    pub(super) strategy: &'a mut dyn Strategy,
    pub(super) bilevel: Bilevel,
    pub(super) position: Position,
}

impl<'a> Search<'a> {
    /// A search that has not begun.
    pub fn new(settings: &'a SearchSettings, model: &'a mut dyn SearchModel, strategy: &'a mut dyn Strategy) -> Self {
        let mut bilevel = Bilevel::new(model, settings.task, &settings.weights, &settings.alphas, settings.precision)
            .of_order(settings.search.order);
        bilevel.weights.processes = settings.processes.clone();
        Self { settings, model, strategy, bilevel, position: Position::default() }
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

    /// The cell as it is read off now: two choices per node, for each kind of cell.
    pub fn cells(&self) -> Vec<(CellKind, Vec<Choice>)> {
        let kinds = self.model.alphas().kinds();
        let read = |kind| (kind, self.strategy.read(kind, &self.model.alphas().values(kind)));
        kinds.into_iter().map(read).collect()
    }

    /// The epochs in all.
    fn epochs(&self) -> usize {
        self.settings.search.epochs.unwrap_or_else(|| self.strategy.epochs())
    }

    fn open_edges(&self) -> usize {
        let kinds = self.model.alphas().kinds();
        let open =
            |kind: &CellKind| self.strategy.states(*kind).iter().filter(|state| **state == EdgeState::Open).count();
        kinds.iter().map(open).sum()
    }

    fn validate(&self, epoch: usize, batch_size: usize, data: &SearchData) -> Result<Metrics> {
        let SearchSettings { task, precision, device, processes, .. } = self.settings;
        let plan = EpochPlan::evaluation(self.key(epoch), batch_size).shared(processes.share());
        let mut meter = evaluate(self.model, *task, data.alphas.epoch(&plan), *device, *precision)?;
        meter.all_reduce(processes)?;
        finite_pass(meter.metrics(), "validation", epoch)
    }

    /// Lets the strategy look at every kind's alphas and takes out of the supernet what it decided.
    fn decide(&mut self, epoch: usize, observer: &mut dyn Observer) -> Result<Vec<DecisionReport>> {
        let mut decisions = Vec::new();
        for kind in self.model.alphas().kinds() {
            let alphas = self.model.alphas().values(kind);
            let Observed { scores, decision } = self.strategy.observe(epoch, kind, &alphas)?;
            if let Some(decision) = decision {
                self.apply(kind, decision.edge.index, decision.primitive, &decision.pruned);
                let primitive = self.model.space().primitives()[decision.primitive].to_owned();
                decisions.push(DecisionReport {
                    epoch,
                    kind,
                    edge: decision.edge.index,
                    node: decision.edge.node,
                    source: decision.edge.source,
                    primitive,
                    score: decision.score,
                    runner_up: decision.runner_up,
                    pruned: decision.pruned,
                });
            }
            let states = self.strategy.states(kind);
            observer.observe(&Event::Alphas(AlphaReport { epoch, kind, alphas, scores, states }))?;
        }
        Ok(decisions)
    }

    fn apply(&mut self, kind: CellKind, edge: usize, primitive: usize, pruned: &[usize]) {
        let shrunk = self.model.fix(kind, edge, primitive);
        self.bilevel.shrink(&shrunk);
        for &edge in pruned {
            let shrunk = self.model.prune(kind, edge);
            self.bilevel.shrink(&shrunk);
        }
    }

    /// The key of an epoch's order.
    fn key(&self, epoch: usize) -> Key {
        Key::new(self.settings.seed, Purpose::Order).at(epoch as u64, 0)
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
        let SearchSettings { task_name, task, device, processes, .. } = self.settings;
        Frame {
            command: "search",
            task_name: task_name.clone(),
            task: *task,
            epochs: self.epochs(),
            device: *device,
            processes: processes.clone(),
        }
    }

    fn position(&mut self) -> &mut Position {
        &mut self.position
    }

    fn parameters(&self) -> usize {
        self.model.weights().parameters.count()
    }

    fn terms(&self, epoch: usize) -> Terms {
        let SearchSettings { search, weights, .. } = self.settings;
        Terms {
            learning_rate: learning_rate(weights, epoch, self.epochs()),
            batch_size: grown_batch(search.batch, search.batch_growth, self.strategy.deciding_epochs()),
        }
    }

    fn scalers(&self) -> Vec<(Learner, &Scaler)> {
        self.bilevel.scalers()
    }

    fn batches(&self, at: Cursor, terms: Terms, data: &SearchData) -> StepBatches {
        let (key, share) = (self.key(at.epoch), self.settings.processes.share());
        let plan = EpochPlan::training(key, terms.batch_size, false).shared(share).from_step(at.step);
        let weights = data.train.epoch(&plan);
        let size = match self.settings.search.alpha_batch {
            AlphaBatch::Random => terms.batch_size,
            AlphaBatch::Whole => data.alphas.samples().len(),
        };
        let turns = (at.step..at.step + weights.len()).map(|step| share.turn(step));
        let alphas = Some(data.alphas.random_batches(key, size, turns));
        StepBatches { weights, alphas }
    }

    fn step_alphas(&mut self, at: Cursor, terms: Terms, batch: &Batch, ahead: &Batch) -> Result<Option<Outcome>> {
        let key = self.key_of_step(Purpose::AlphaStep, at);
        let ahead = Ahead { batch: ahead, learning_rate: terms.learning_rate, key };
        self.bilevel.step_alphas(self.model, batch, &ahead)
    }

    fn step_weights(&mut self, at: Cursor, terms: Terms, batch: &Batch) -> Result<StepOutcome> {
        self.key_of_step(Purpose::WeightStep, at).seed_torch();
        self.bilevel.step_weights(self.model, batch, terms.learning_rate)
    }

    fn after_steps(
        &mut self,
        epoch: usize,
        terms: Terms,
        data: &SearchData,
        phases: &mut Phases,
        observer: &mut dyn Observer,
    ) -> Result<AfterSteps> {
        let validation = timed(&mut phases.validation, || self.validate(epoch, terms.batch_size, data))?;
        let decisions = self.decide(epoch, observer)?;
        let open_edges = Some(self.open_edges());
        Ok(AfterSteps { validation: Some(validation), test: None, open_edges, decisions })
    }

    fn save(&self) -> Checkpoint {
        state::save(self)
    }
}

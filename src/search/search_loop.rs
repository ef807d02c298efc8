//! The search loop, one for every space and strategy (REFERENCE sections 2 and 3).
//!
//! An epoch is: one bilevel step per training batch, a pass over the alphas' data in evaluation mode, then the
//! strategy looks at the alphas and perhaps decides; what it decided leaves the supernet at once. The loop
//! speaks to the outside through an observer and a keeper only.

pub mod state;

use crate::checkpoint::Keeper;
use crate::data::{Batches, EpochPlan, Loader};
use crate::decision::{Choice, EdgeState, grown_batch};
use crate::error::{Error, Result};
use crate::eval::evaluate;
use crate::model::SearchModel;
use crate::optim::{AlphaConfig, WeightConfig, learning_rate};
use crate::report::{AlphaReport, DecisionReport, EpochReport, Event, Learner, Observer, timed};
use crate::search::bilevel::Bilevel;
use crate::search::second_order::Ahead;
use crate::search::strategy::{Observed, Strategy};
use crate::search::{AlphaBatch, SearchConfig};
use crate::step::{Ledger, StepOutcome, at_step, finite_pass};
use crate::task::{Metrics, Task};
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use crate::topology::CellKind;
use std::time::Instant;
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
}

/// A search under way.
pub struct Search<'a> {
    pub(super) settings: &'a SearchSettings,
    pub(super) model: &'a mut dyn SearchModel,
    pub(super) strategy: &'a mut dyn Strategy,
    pub(super) bilevel: Bilevel,
    pub(super) next_epoch: usize,
}

impl<'a> Search<'a> {
    /// A search that has not begun.
    pub fn new(settings: &'a SearchSettings, model: &'a mut dyn SearchModel, strategy: &'a mut dyn Strategy) -> Self {
        let bilevel = Bilevel::new(model, settings.task, &settings.weights, &settings.alphas, settings.precision)
            .of_order(settings.search.order);
        Self { settings, model, strategy, bilevel, next_epoch: 0 }
    }

    /// The epochs in all.
    pub fn epochs(&self) -> usize {
        self.settings.search.epochs.unwrap_or_else(|| self.strategy.epochs())
    }

    /// The epoch that comes next.
    pub fn next_epoch(&self) -> usize {
        self.next_epoch
    }

    /// Runs the epochs that are left and reads the cell off: two choices per node, for each kind of cell.
    ///
    /// # Errors
    /// A loss or alphas that are not numbers, data that can't be read, results that can't be written.
    pub fn run(
        mut self,
        data: Option<&SearchData>,
        observer: &mut dyn Observer,
        keeper: &mut dyn Keeper,
    ) -> Result<Vec<(CellKind, Vec<Choice>)>> {
        observer.observe(&self.started())?;
        for epoch in self.next_epoch..self.epochs() {
            let data = data.ok_or_else(|| Error::usage("a search that trains needs data"))?;
            self.epoch(epoch, data, observer)?;
            self.next_epoch = epoch + 1;
            keeper.keep_checkpoint(state::save(&self))?;
        }
        let kinds = self.model.alphas().kinds();
        let read = |kind| (kind, self.strategy.read(kind, &self.model.alphas().values(kind)));
        Ok(kinds.into_iter().map(read).collect())
    }

    fn started(&self) -> Event {
        Event::Started {
            command: "search".to_owned(),
            task: self.settings.task_name.clone(),
            epoch: self.next_epoch,
            epochs: self.epochs(),
            parameters: self.model.weights().parameters.count(),
        }
    }

    fn epoch(&mut self, epoch: usize, data: &SearchData, observer: &mut dyn Observer) -> Result<()> {
        let begun = Instant::now();
        let batch_size = self.batch_size();
        let rate = learning_rate(&self.settings.weights, epoch, self.epochs());
        let (train, mut ledger) = self.train(epoch, batch_size, rate, data, observer)?;
        let validation = timed(&mut ledger.phases.validation, || self.validate(epoch, batch_size, data))?;
        let phases = ledger.phases;
        let (scaling, gradients) = ledger.into_reports();
        let decided = self.decide(epoch, observer)?;
        observer.observe(&Event::Epoch(EpochReport {
            epoch,
            epochs: self.epochs(),
            learning_rate: rate,
            batch_size,
            train,
            validation: Some(validation),
            test: None,
            open_edges: Some(self.open_edges()),
            parameters: self.model.weights().parameters.count(),
            skipped_steps: scaling.skipped_steps(),
            scaling: scaling.into_reports(),
            gradients,
            seconds: begun.elapsed().as_secs_f64(),
            phases,
        }))?;
        decided.iter().try_for_each(|decision| observer.observe(&Event::Decision(decision.clone())))
    }

    fn batch_size(&self) -> usize {
        let search = &self.settings.search;
        grown_batch(search.batch, search.batch_growth, self.strategy.deciding_epochs())
    }

    fn open_edges(&self) -> usize {
        let kinds = self.model.alphas().kinds();
        let open =
            |kind: &CellKind| self.strategy.states(*kind).iter().filter(|state| **state == EdgeState::Open).count();
        kinds.iter().map(open).sum()
    }

    fn train(
        &mut self,
        epoch: usize,
        batch_size: usize,
        rate: f64,
        data: &SearchData,
        observer: &mut dyn Observer,
    ) -> Result<(Metrics, Ledger)> {
        let &SearchSettings { task, seed, device, .. } = self.settings;
        let mut tally = task.tally(device);
        let batches = data.train.epoch(&EpochPlan::training(self.key(epoch), batch_size, false));
        let steps = batches.len();
        let mut ledger = Ledger::new(epoch, steps, &self.bilevel.scalers(), device);
        let mut batches = batches.zip(self.alpha_batches(epoch, batch_size, steps, data)).enumerate();
        while let Some((step, (batch, alpha_batch))) = timed(&mut ledger.phases.data, || batches.next()) {
            let at = |error| at_step(error, epoch, step);
            let (batch, alpha_batch) = (batch?.to_device(device), alpha_batch?.to_device(device));
            let key = |purpose| Key::new(seed, purpose).at(epoch as u64, step as u64);
            let ahead = Ahead { batch: &batch, learning_rate: rate, key: key(Purpose::AlphaStep) };
            let alphas =
                timed(&mut ledger.phases.alphas, || self.bilevel.step_alphas(self.model, &alpha_batch, &ahead));
            if let Some(outcome) = alphas.map_err(at)? {
                ledger.note(step, Learner::Alphas, outcome);
            }
            let begun = Instant::now();
            key(Purpose::WeightStep).seed_torch();
            let StepOutcome { outcome, logits, loss } =
                self.bilevel.step_weights(self.model, &batch, rate).map_err(at)?;
            tally.add_finite(&logits, &batch, &loss);
            ledger.note(step, Learner::Weights, outcome);
            ledger.end_step(step, observer)?;
            ledger.phases.weights += begun.elapsed().as_secs_f64();
        }
        let metrics = timed(&mut ledger.phases.weights, || tally.read().metrics());
        Ok((metrics, ledger))
    }

    fn alpha_batches(&self, epoch: usize, batch_size: usize, steps: usize, data: &SearchData) -> Batches {
        let size = match self.settings.search.alpha_batch {
            AlphaBatch::Random => batch_size,
            AlphaBatch::Whole => data.alphas.samples().len(),
        };
        data.alphas.random_batches(self.key(epoch), size, steps)
    }

    fn validate(&self, epoch: usize, batch_size: usize, data: &SearchData) -> Result<Metrics> {
        let batches = data.alphas.epoch(&EpochPlan::evaluation(self.key(epoch), batch_size));
        let settings = self.settings;
        let meter = evaluate(self.model, settings.task, batches, settings.device, settings.precision)?;
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

    fn key(&self, epoch: usize) -> Key {
        Key::new(self.settings.seed, Purpose::Order).at(epoch as u64, 0)
    }
}

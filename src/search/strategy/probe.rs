//! What a strategy may ask of a search, without changing it.

use crate::batch::Batch;
use crate::checkpoint::Cursor;
use crate::data::{EpochPlan, Loader};
use crate::decision::EdgeState;
use crate::dist::{Processes, Share};
use crate::error::{Error, Result};
use crate::eval::evaluate_in;
use crate::genotype::SpaceName;
use crate::model::{Learn, Mask, SearchModel};
use crate::ops::Mode;
use crate::search::candidates::{Cells, sample};
use crate::search::limits::{Limits, States};
use crate::task::{Metrics, Task};
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use crate::topology::CellKind;
use std::collections::BTreeMap;
use tch::{Device, Kind, no_grad};

/// A look at a search under way.
pub struct Probe<'a> {
    pub(in crate::search) model: &'a mut dyn SearchModel,
    pub(in crate::search) states: &'a BTreeMap<CellKind, Vec<EdgeState>>,
    /// The alphas' samples.
    pub(in crate::search) data: Option<&'a Loader>,
    pub(in crate::search) batch_size: usize,
    pub(in crate::search) task: Task,
    pub(in crate::search) seed: u64,
    pub(in crate::search) precision: Precision,
    pub(in crate::search) device: Device,
    pub(in crate::search) processes: &'a Processes,
    pub(in crate::search) limits: Option<&'a Limits>,
    pub(in crate::search) at: Cursor,
    /// Fresh batches drawn so far.
    pub(in crate::search) draws: usize,
}

impl<'a> Probe<'a> {
    /// The space that is searched.
    pub fn space(&self) -> SpaceName {
        self.model.space()
    }

    /// The kinds of cell.
    pub fn kinds(&self) -> Vec<CellKind> {
        self.model.alphas().kinds()
    }

    /// The alphas of a kind, edges × primitives, closed rows too; those of dropped primitives are below all others. Where
    /// shares are no softmax of alphas, numbers of which they are ([`crate::model::Alphas::logits`]).
    pub fn alphas(&self, kind: CellKind) -> Vec<Vec<f64>> {
        self.model.alphas().logits(kind)
    }

    /// The states of a kind's edges. Panics for a kind that the space has not.
    pub fn states(&self, kind: CellKind) -> &[EdgeState] {
        &self.states[&kind]
    }

    /// The primitives that an edge still mixes; none on an edge that is not open.
    pub fn mixed(&self, kind: CellKind, edge: usize) -> Vec<usize> {
        if self.states(kind)[edge] != EdgeState::Open {
            return Vec::new();
        }
        let dropped = self.model.alphas().dropped(kind);
        (0..self.space().primitives().len()).filter(|primitive| !dropped.contains(&(edge, *primitive))).collect()
    }

    /// The scores of the supernet on the alphas' data without these primitives or open edges: their weights are 0, the
    /// others as they are. Drawn as the validation passes of the search.
    ///
    /// # Errors
    /// A search without data; data that can't be read.
    pub fn validate(&mut self, without: &[Mask]) -> Result<Metrics> {
        self.validate_in(Mode::Evaluation, without)
    }

    /// The same with the statistics of every batch in its norms, as in training, because what is left out changes what
    /// later norms see; a last batch that is too small for that is left out. Nothing is dropped, and the running statistics
    /// stay.
    ///
    /// # Errors
    /// A search without data; data that can't be read.
    pub fn validate_by_batch_statistics(&mut self, without: &[Mask]) -> Result<Metrics> {
        let statistics = self.model.weights().buffers.copies();
        let metrics = self.validate_in(Mode::BatchStatistics, without);
        self.model.weights().buffers.restore(&statistics);
        metrics
    }

    /// The scores of one cell on the alphas' data by the weights of the supernet, with the statistics of every batch in
    /// its norms.
    ///
    /// # Errors
    /// A search without data; data that can't be read.
    pub fn validate_cell(&mut self, cells: &Cells) -> Result<Metrics> {
        self.model.narrow(Some(cells));
        let metrics = self.validate_by_batch_statistics(&[]);
        self.model.narrow(None);
        metrics
    }

    /// So many random cells within the bounds, the same in a search that is repeated.
    ///
    /// # Errors
    /// Bounds that hardly any cell meets.
    pub fn sample(&self, count: usize) -> Result<Vec<Cells>> {
        sample(self.space(), self.seed, count, self.limits)
    }

    /// Whether a cell with these states that has this edge fixed to this primitive can meet the bounds.
    ///
    /// # Errors
    /// Networks that can't be counted.
    pub fn allows(&self, states: &States, kind: CellKind, edge: usize, primitive: usize) -> Result<bool> {
        self.limits.map_or(Ok(true), |limits| limits.allow(states, kind, edge, primitive))
    }

    fn validate_in(&mut self, mode: Mode, without: &[Mask]) -> Result<Metrics> {
        let data = self.data()?;
        // Processes make unequally many batches of such a pass.
        let _own = Processes::alone().synchronise_norms();
        let Self { task, precision, device, seed, processes, .. } = *self;
        let key = Key::new(seed, Purpose::Order).at(self.at.epoch as u64, 0);
        let plan = EpochPlan::evaluation(key, self.batch_size).shared(processes.share());
        self.model.alphas_mut().set_masks(without);
        let plan = if mode.by_batch_statistics() { plan.by_batch_statistics() } else { plan };
        let meter = evaluate_in(mode, &*self.model, task, data.epoch(&plan), device, precision);
        self.model.alphas_mut().set_masks(&[]);
        let mut meter = meter?;
        meter.all_reduce(processes)?;
        Ok(meter.metrics())
    }

    /// A fresh batch of the alphas' data, another at every call and the same in a search that is repeated and in all
    /// processes.
    ///
    /// # Errors
    /// A search without data; data that can't be read.
    pub fn batch(&mut self) -> Result<Batch> {
        let key = self.key();
        let mut batches = self.data()?.random_batches(key, self.batch_size, Share::WHOLE, [key.step as usize]);
        let batch = batches.next().ok_or_else(|| Error::run("the alphas have no data"))??;
        Ok(batch.to_device(self.device))
    }

    /// How strongly the loss of a batch depends on the weights of every primitive: for each edge and primitive of a kind
    /// the norm of their gradient over all cells, 0 where there are no weights. In fp32, and nothing of the search moves.
    pub fn gradients(&mut self, kind: CellKind, batch: &Batch) -> Vec<Vec<f64>> {
        // Every process does the same.
        let _own = Processes::alone().synchronise_norms();
        let statistics = self.model.weights().buffers.copies();
        self.model.learn(Learn::Weights);
        self.key().seed_torch();
        let parameters = &self.model.weights().parameters;
        let output = self.model.forward(batch, Mode::TRAINING);
        let gradient = parameters.gradient(&self.task.loss(&output.logits, batch.target()));
        let mut squares = vec![vec![0.0; self.space().primitives().len()]; self.space().topology().edge_count()];
        for (name, part) in parameters.split(&gradient) {
            let place = |edge| Some((edge, self.model.primitive_of(name, kind, edge)?));
            if let Some((edge, primitive)) = (0..squares.len()).find_map(place) {
                squares[edge][primitive] += no_grad(|| part.square().sum(Kind::Double).double_value(&[]));
            }
        }
        self.model.weights().buffers.restore(&statistics);
        squares.into_iter().map(|row| row.into_iter().map(f64::sqrt).collect()).collect()
    }

    /// A key for random numbers, another at every call and the same in a search that is repeated.
    pub fn key(&mut self) -> Key {
        self.draws += 1;
        let Cursor { epoch, step } = self.at;
        // Steps and draws side by side: a search has fewer than 2^32 of either in an epoch.
        let place = ((step as u64) << 32) + self.draws as u64;
        Key::new(self.seed, Purpose::Strategy).at(epoch as u64, place)
    }

    /// The supernet, for all that is not asked here.
    pub fn model(&self) -> &dyn SearchModel {
        &*self.model
    }

    fn data(&self) -> Result<&'a Loader> {
        self.data.ok_or_else(|| Error::run("this strategy looks at data, and the search has none"))
    }
}

//! The tables of alphas: one row per edge, one column per primitive, one table per kind of cell; and how they become
//! the weights of the primitives.
//!
//! Open rows are trained and lie in one flat tensor; decided and pruned rows stay where they were, because the
//! criteria normalise over all edges (docs/method.md, "The decision").

use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::mixture::Mixture;
use crate::tensor::parameters::{Kept, Parameters};
use crate::tensor::precision::at_least_single;
use crate::tensor::random::{Key, Purpose};
use crate::topology::{CellKind, Topology};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tch::{Device, Kind, Tensor, no_grad};

/// The value that is told of a dropped primitive's alpha: its share is 0, and it is the best of no edge.
const DROPPED: f64 = -1e30;

/// How a table of alphas becomes the weights of primitives.
pub trait MixtureRule {
    /// Alphas (edges, primitives), fp32 where nobody asks for more, with -inf for a dropped primitive, to weights of that
    /// shape and type.
    fn weights(&self, alphas: &Tensor) -> Tensor;

    /// The same in a step of the weights or of the alphas. A rule that draws takes its numbers from `generator` alone, which
    /// begins anew in every pass of a step, and gives in [`Self::weights`] what it draws in the mean.
    fn drawn(&self, alphas: &Tensor, _generator: ChaCha8Rng) -> Tensor {
        self.weights(alphas)
    }

    /// Numbers of which the softmax over a row are its weights, by an alpha: what decisions are made of. By default the
    /// alpha itself, also where weights are others.
    fn logit(&self, alpha: f64) -> f64 {
        alpha
    }

    /// Whether it gives the same for the same alphas. Passes with a rule that draws are not recorded as CUDA graphs.
    fn is_repeatable(&self) -> bool {
        true
    }
}

/// The published rule: softmax over each row.
pub struct Softmax;

impl MixtureRule for Softmax {
    fn weights(&self, alphas: &Tensor) -> Tensor {
        alphas.softmax(-1, at_least_single(alphas.kind()))
    }
}

/// What is left out of a supernet while it is looked at: the weight of a primitive, or of all on an open edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    /// The kind of cell.
    pub kind: CellKind,
    /// The edge.
    pub edge: usize,
    /// The primitive; absent for all of them.
    pub primitive: Option<usize>,
}

/// All alphas of a supernet.
pub struct Alphas {
    tables: Vec<(CellKind, Vec<Tensor>)>,
    /// Of every edge, (1) each; empty where edges have no weights.
    edge_weights: Vec<(CellKind, Vec<Tensor>)>,
    open: Parameters,
    topology: Topology,
    primitives: usize,
    rule: Rc<dyn MixtureRule>,
    /// By which the rule draws, while a step is made.
    draws: Option<Key>,
    /// Primitives that open edges have lost, by kind and edge.
    dropped: BTreeSet<(CellKind, usize, usize)>,
    /// The same as tables of bools, on the device.
    dropped_places: BTreeMap<CellKind, Tensor>,
    /// Where masks lie, likewise.
    masked_places: BTreeMap<CellKind, Tensor>,
    /// What edges that are masked as a whole are multiplied by, (edges).
    masked_edges: BTreeMap<CellKind, Tensor>,
}

impl Alphas {
    /// Alphas drawn from `scale`·N(0, 1).
    pub fn new(
        kinds: &[CellKind],
        topology: Topology,
        primitives: usize,
        scale: f64,
        seed: u64,
        device: Device,
    ) -> Self {
        Key::new(seed, Purpose::Alphas).seed_torch();
        let row = || {
            let drawn = Tensor::randn([primitives as i64], (Kind::Float, Device::Cpu)) * scale;
            drawn.to_device(device).set_requires_grad(true)
        };
        let tables: Vec<(CellKind, Vec<Tensor>)> =
            kinds.iter().map(|&kind| (kind, (0..topology.edge_count()).map(|_| row()).collect())).collect();
        let leaves = tables.iter().flat_map(|(kind, rows)| {
            rows.iter().enumerate().map(|(edge, row)| (row_name(*kind, edge), row.shallow_clone()))
        });
        let open = Parameters::new(leaves.collect(), device);
        let rule: Rc<dyn MixtureRule> = Rc::new(Softmax);
        Self {
            tables,
            edge_weights: Vec::new(),
            open,
            topology,
            primitives,
            rule,
            draws: None,
            dropped: BTreeSet::new(),
            dropped_places: BTreeMap::new(),
            masked_places: BTreeMap::new(),
            masked_edges: BTreeMap::new(),
        }
    }

    /// The same with a trained weight for every edge, drawn from `scale`·N(0, 1).
    #[must_use]
    pub fn with_edge_weights(mut self, scale: f64, seed: u64) -> Self {
        let device = self.open.flat().device();
        let mut generator = Key::new(seed, Purpose::EdgeWeights).generator();
        let mut weight = || {
            let drawn: f64 = StandardNormal.sample(&mut generator);
            Tensor::from_slice(&[(scale * drawn) as f32]).to_device(device).set_requires_grad(true)
        };
        let edges = self.topology.edge_count();
        self.edge_weights =
            self.kinds().into_iter().map(|kind| (kind, (0..edges).map(|_| weight()).collect())).collect();
        let named = |tables: &[(CellKind, Vec<Tensor>)], name: fn(CellKind, usize) -> String| {
            let rows = tables.iter().flat_map(|(kind, rows)| rows.iter().enumerate().map(|row| (*kind, row)));
            rows.map(|(kind, (edge, row))| (name(kind, edge), row.shallow_clone())).collect::<Vec<_>>()
        };
        let weights = named(&self.edge_weights, weight_name);
        self.open = Parameters::new(named(&self.tables, row_name).into_iter().chain(weights).collect(), device);
        self
    }

    /// The trained rows.
    pub fn open(&self) -> &Parameters {
        &self.open
    }

    /// The kinds of cell.
    pub fn kinds(&self) -> Vec<CellKind> {
        self.tables.iter().map(|(kind, _)| *kind).collect()
    }

    /// The rows of a kind: edges × primitives.
    pub fn rows(&self, kind: CellKind) -> &[Tensor] {
        let table = self.tables.iter().find(|(known, _)| *known == kind);
        &table.expect("a supernet has alphas for each of its kinds").1
    }

    /// The values of a kind's rows; of dropped primitives one that makes their share 0.
    pub fn values(&self, kind: CellKind) -> Vec<Vec<f64>> {
        let table = no_grad(|| Tensor::stack(self.rows(kind), 0).to_kind(Kind::Double).to_device(Device::Cpu));
        let flat = Vec::<f64>::try_from(table.flatten(0, 1)).expect("a table of alphas is fp64 here");
        let mut rows: Vec<Vec<f64>> = flat.chunks(self.primitives).map(<[f64]>::to_vec).collect();
        for (_, edge, primitive) in self.dropped.iter().filter(|(of, ..)| *of == kind) {
            rows[*edge][*primitive] = DROPPED;
        }
        rows
    }

    /// The trained weights of a kind's edges, (1) each, before the softmax; none where edges have none.
    pub fn edge_weights(&self, kind: CellKind) -> Option<&[Tensor]> {
        self.edge_weights.iter().find(|(known, _)| *known == kind).map(|(_, weights)| weights.as_slice())
    }

    /// Overwrites them, open or not (from a checkpoint, or a test).
    pub fn set_edge_weights(&mut self, kind: CellKind, values: &[f64]) {
        no_grad(|| {
            for (weight, value) in self.edge_weights(kind).unwrap_or_default().iter().zip(values) {
                weight.shallow_clone().copy_(&Tensor::from_slice(&[*value]));
            }
        });
    }

    /// What whole edges are multiplied by, fp32 (edges): of edges with weights their softmax over those of a node, and 0
    /// for masked ones.
    fn factors(&self, kind: CellKind) -> Option<Tensor> {
        let of_node =
            |weights: &[Tensor], node| Tensor::cat(&weights[self.topology.edges_into(node)], 0).softmax(0, Kind::Float);
        let weights = self.edge_weights(kind).map(|weights| {
            let nodes: Vec<Tensor> = (0..self.topology.steps()).map(|node| of_node(weights, node)).collect();
            Tensor::cat(&nodes, 0)
        });
        match (weights, self.masked_edges.get(&kind)) {
            (Some(weights), Some(masked)) => Some(weights * masked),
            (weights, masked) => weights.or_else(|| masked.map(Tensor::shallow_clone)),
        }
    }

    /// What decisions about a kind are made of: by the rule, numbers of which the softmax over a row are its shares. Where
    /// edges have weights, the share of all primitives but `none` is multiplied by the edge's weight, divided by the
    /// greatest of its node, and `none` has the rest.
    pub fn logits(&self, kind: CellKind) -> Vec<Vec<f64>> {
        let logit = |alpha: f64| self.rule.logit(alpha);
        let mut rows: Vec<Vec<f64>> =
            self.values(kind).into_iter().map(|row| row.into_iter().map(logit).collect()).collect();
        let Some(weights) = self.edge_weights(kind) else { return rows };
        let weights: Vec<f64> = weights.iter().map(|weight| weight.double_value(&[0])).collect();
        for node in 0..self.topology.steps() {
            let edges = self.topology.edges_into(node);
            let greatest = weights[edges.clone()].iter().copied().fold(f64::NEG_INFINITY, f64::max);
            edges.for_each(|edge| lessen(&mut rows[edge], (weights[edge] - greatest).exp()));
        }
        rows
    }

    /// Overwrites the values of a kind's rows, open or not (from a checkpoint, or a test).
    pub fn set_values(&mut self, kind: CellKind, values: &[Vec<f64>]) {
        no_grad(|| {
            for (row, value) in self.rows(kind).iter().zip(values) {
                row.shallow_clone().copy_(&Tensor::from_slice(value));
            }
        });
    }

    /// The alphas of a kind, (edges, primitives), -inf for dropped primitives.
    pub fn table(&self, kind: CellKind) -> Tensor {
        let table = Tensor::stack(self.rows(kind), 0);
        match self.dropped_places.get(&kind) {
            Some(dropped) => table.masked_fill(dropped, f64::NEG_INFINITY),
            None => table,
        }
    }

    /// The weights of all primitives, by the rule, in fp32.
    pub fn mixture(&self, kind: CellKind) -> Mixture {
        let _fp32 = Autocast::disabled(self.rows(kind)[0].device()).expect("CPU and CUDA have autocast");
        let table = self.table(kind);
        let mut table = match self.draws {
            Some(key) => self.rule.drawn(&table, self.generator(key, kind)),
            None => self.rule.weights(&table),
        };
        if let Some(masked) = self.masked_places.get(&kind) {
            table = table.masked_fill(masked, 0.0);
        }
        let factors = self.factors(kind);
        let table = match &factors {
            Some(factors) => table * factors.unsqueeze(1),
            None => table,
        };
        let edges = |node| self.topology.edges_into(node).len() as i64;
        let mixture = Mixture::new(&table, &(0..self.topology.steps()).map(edges).collect::<Vec<_>>());
        match factors {
            Some(factors) => mixture.with_edge_weights(&factors),
            None => mixture,
        }
    }

    /// A table of bools of a kind's alphas that is true at these places, on their device.
    fn places(&self, places: impl Iterator<Item = (usize, usize)>) -> Tensor {
        let mut table = vec![false; self.topology.edge_count() * self.primitives];
        for (edge, primitive) in places {
            table[edge * self.primitives + primitive] = true;
        }
        let shape = [self.topology.edge_count() as i64, self.primitives as i64];
        Tensor::from_slice(&table).view(shape).to_device(self.open.flat().device())
    }

    /// Another rule by which alphas become weights.
    pub fn set_rule(&mut self, rule: Rc<dyn MixtureRule>) {
        self.rule = rule;
    }

    /// Lets a rule that draws do so by this key, until another or none is given: then the mixture is what it draws in the
    /// mean.
    pub fn draw_by(&mut self, key: Option<Key>) {
        self.draws = key;
    }

    /// A stream of its own for every kind.
    fn generator(&self, key: Key, kind: CellKind) -> ChaCha8Rng {
        let mut generator = key.generator();
        let place = self.tables.iter().position(|(known, _)| *known == kind);
        generator.set_stream(place.unwrap_or(0) as u64);
        generator
    }

    /// Whether the same alphas give the same weights.
    pub fn is_repeatable(&self) -> bool {
        self.rule.is_repeatable()
    }

    /// Leaves these out until others are given.
    pub fn set_masks(&mut self, masks: &[Mask]) {
        let of_kind = |kind: CellKind| {
            masks.iter().filter(move |mask| mask.kind == kind).flat_map(|mask| {
                let primitives = mask.primitive.map_or(0..self.primitives, |primitive| primitive..primitive + 1);
                primitives.map(|primitive| (mask.edge, primitive))
            })
        };
        let kinds: BTreeSet<CellKind> = masks.iter().map(|mask| mask.kind).collect();
        self.masked_places = kinds.into_iter().map(|kind| (kind, self.places(of_kind(kind)))).collect();
        let whole = masks.iter().filter(|mask| mask.primitive.is_none());
        let mut edges: BTreeMap<CellKind, Vec<f32>> = BTreeMap::new();
        for mask in whole {
            edges.entry(mask.kind).or_insert_with(|| vec![1.0; self.topology.edge_count()])[mask.edge] = 0.0;
        }
        let on_device = |factors: Vec<f32>| Tensor::from_slice(&factors).to_device(self.open.flat().device());
        self.masked_edges = edges.into_iter().map(|(kind, factors)| (kind, on_device(factors))).collect();
    }

    /// The primitives that a kind's open edges have lost, as (edge, primitive).
    pub fn dropped(&self, kind: CellKind) -> Vec<(usize, usize)> {
        let of_kind = self.dropped.iter().filter(|(of, ..)| *of == kind);
        of_kind.map(|&(_, edge, primitive)| (edge, primitive)).collect()
    }

    /// Takes a primitive out of an open edge's mixture: the rule sees -inf, and its alpha is not told any more.
    pub fn drop_primitive(&mut self, kind: CellKind, edge: usize, primitive: usize) -> Kept {
        self.dropped.insert((kind, edge, primitive));
        self.dropped_places.insert(kind, self.places(self.dropped(kind).into_iter()));
        self.open.retain(|_| true)
    }

    /// Turns gradients of the open rows on or off.
    pub fn set_trainable(&mut self, trainable: bool) {
        self.open.set_trainable(trainable);
    }

    /// Stops training a row; its value stays.
    pub fn close(&mut self, kind: CellKind, edge: usize) -> Kept {
        let name = row_name(kind, edge);
        let table = self.tables.iter_mut().find(|(known, _)| *known == kind);
        let row = &mut table.expect("a supernet has alphas for each of its kinds").1[edge];
        *row = row.detach().copy();
        if let Some((_, weights)) = self.edge_weights.iter_mut().find(|(known, _)| *known == kind) {
            weights[edge] = weights[edge].detach().copy();
        }
        let weight = weight_name(kind, edge);
        self.open.retain(|known| known != name && known != weight)
    }
}

/// Multiplies the shares of all but `none` in a row by `factor`, of 0 to 1, and leaves the rest to `none`.
fn lessen(row: &mut [f64], factor: f64) {
    let [none, others @ ..] = row else { return };
    if factor >= 1.0 {
        return;
    }
    let greatest = others.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = others.iter().map(|logit| (logit - greatest).exp()).sum();
    let logarithm = greatest + sum.ln();
    // 1 - factor·importance over factor·importance.
    let odds_of_none = (*none - logarithm).exp();
    let rest = (odds_of_none + 1.0 - factor) / factor;
    *none = (logarithm + rest.ln()).min(-DROPPED);
}

fn weight_name(kind: CellKind, edge: usize) -> String {
    format!("{kind}.{edge}.weight")
}

fn row_name(kind: CellKind, edge: usize) -> String {
    format!("{kind}.{edge}")
}

//! Selection by perturbation (DARTS-PT; Wang, Cheng, Chen, Tang and Hsieh, "Rethinking Architecture Selection in
//! Differentiable NAS", ICLR 2021, arXiv:2108.04392): an edge gets the primitive whose removal lowers the supernet's
//! validation score most, whatever its alpha (docs/method.md, "Parts of strategies").

use super::{Answer, Change, Probe, Strategy, Stretch, check_alphas};
use crate::bounds;
use crate::decision::EdgeState;
use crate::error::{Error, Result};
use crate::model::Mask;
use crate::report::NamedScores;
use crate::search::limits::States;
use crate::task::Metrics;
use crate::topology::{CellKind, Topology};
use rand::seq::IndexedRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The weights' learning rate while the supernet is tuned between decisions, as a share of the search's (published code).
const TUNING_RATE: f64 = 0.1;

/// `[search.perturbation]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PerturbationConfig {
    /// Epochs of tuning between two decisions with `search.strategy = "darts"`; SGAS has `decision.interval`.
    pub epochs: usize,
}

impl Default for PerturbationConfig {
    /// The published value for NAS-Bench-201.
    fn default() -> Self {
        Self { epochs: 5 }
    }
}

impl PerturbationConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        bounds::check("search.perturbation.epochs", &self.epochs, &bounds::EPOCHS, "epochs")
    }

    /// Epochs from the first to the last decision in cells of this shape.
    pub fn tuning(&self, topology: Topology) -> usize {
        let nodes = (0..topology.steps()).filter(|node| !keeps_all(topology, *node)).count();
        self.epochs.saturating_mul((topology.edge_count() + nodes).saturating_sub(1))
    }
}

/// Whether a node keeps every edge, so that none is chosen among them.
fn keeps_all(topology: Topology, node: usize) -> bool {
    topology.kept(node) == topology.edges_into(node).len()
}

/// What is chosen, and the supernet's validation without it.
pub(super) struct Chosen {
    /// A primitive or an edge.
    pub index: usize,
    /// The score of validation without it.
    pub score: f64,
    /// The loss of validation without it.
    pub loss: f64,
}

impl Chosen {
    /// For the log.
    pub fn named(&self) -> Vec<(String, f64)> {
        [("validation_without", self.score), ("loss_without", self.loss)]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }
}

/// How much worse the first result is than the second: by the score, then by the loss.
fn compare_damage(one: &Chosen, other: &Chosen) -> Ordering {
    other.score.total_cmp(&one.score).then(one.loss.total_cmp(&other.loss))
}

/// The result whose removal does the most damage, the first of equals.
fn most_missed(results: Vec<Chosen>) -> Option<Chosen> {
    results.into_iter().reduce(|most, next| if compare_damage(&next, &most).is_gt() { next } else { most })
}

/// The result whose removal does the least damage, the first of equals.
fn least_missed(results: Vec<Chosen>) -> Option<Chosen> {
    results.into_iter().reduce(|least, next| if compare_damage(&next, &least).is_lt() { next } else { least })
}

/// Validation without these, and `index` for what they stand for.
fn without(probe: &mut Probe<'_>, masks: &[Mask], index: usize) -> Result<Chosen> {
    let Metrics { score, loss, .. } = probe.validate_by_batch_statistics(masks)?;
    if score.is_finite() && loss.is_finite() {
        return Ok(Chosen { index, score, loss });
    }
    let message = format!("validation without {masks:?} has the loss {loss} and the score {score}");
    Err(Error::run(message).with_hint("the search diverged: lower the learning rates, or search in fp32"))
}

/// The primitive of an open edge that validation misses most, of those that may follow these states.
///
/// # Errors
/// What the probe reports; scores that are not finite.
pub(super) fn best_primitive(probe: &mut Probe<'_>, before: &States, kind: CellKind, edge: usize) -> Result<Chosen> {
    let first = probe.space().topology().first_choosable();
    let mut candidates = Vec::new();
    for primitive in probe.mixed(kind, edge).into_iter().filter(|primitive| *primitive >= first) {
        if probe.allows(before, kind, edge, primitive)? {
            candidates.push(primitive);
        }
    }
    let results = candidates
        .into_iter()
        .map(|primitive| without(probe, &[Mask { kind, edge, primitive: Some(primitive) }], primitive))
        .collect::<Result<Vec<_>>>()?;
    most_missed(results).ok_or_else(|| Error::run(format!("edge {edge} of the {kind} cell has no primitive to choose")))
}

/// DARTS, then decisions by perturbation: first the primitive of every edge, then the edges that every node keeps.
pub(super) struct AfterTraining {
    /// Epochs before the first decision.
    trained: usize,
    config: PerturbationConfig,
    tuning: usize,
}

impl AfterTraining {
    /// After so many epochs of training.
    pub(super) fn new(topology: Topology, trained: usize, config: PerturbationConfig) -> Self {
        let tuning = config.tuning(topology);
        Self { trained, config, tuning }
    }

    fn is_due(&self, epoch: usize) -> bool {
        (epoch + 1).checked_sub(self.trained).is_some_and(|tuned| tuned.is_multiple_of(self.config.epochs))
    }
}

impl Strategy for AfterTraining {
    fn epochs(&self) -> usize {
        self.trained + self.tuning
    }

    fn stretch(&self, epoch: usize, epochs: usize) -> Stretch {
        let trained = self.trained.min(epochs);
        if epoch < trained {
            Stretch { first: 0, epochs: trained, rate: 1.0 }
        } else {
            Stretch { first: trained, epochs: epochs - trained, rate: TUNING_RATE }
        }
    }

    fn after_epoch(&mut self, epoch: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        check_alphas(epoch, probe)?;
        let mut answer = Answer::default();
        if self.is_due(epoch) {
            for kind in probe.kinds() {
                answer.changes.extend(decide(probe, kind)?);
            }
        }
        Ok(answer)
    }
}

/// The next decision about a kind of cell: a random edge's primitive while any edge has several, then a random node's
/// edges.
fn decide(probe: &mut Probe<'_>, kind: CellKind) -> Result<Vec<Change>> {
    let topology = probe.space().topology();
    let mut generator = probe.key().generator();
    let edges: Vec<usize> = (0..topology.edge_count()).filter(|edge| probe.mixed(kind, *edge).len() > 1).collect();
    if let Some(edge) = edges.choose(&mut generator) {
        return decide_primitive(probe, kind, *edge);
    }
    let is_open = |node: &usize| topology.edges_into(*node).any(|edge| probe.states(kind)[edge] == EdgeState::Open);
    let nodes: Vec<usize> = (0..topology.steps()).filter(is_open).collect();
    match nodes.choose(&mut generator) {
        Some(node) => decide_edges(probe, kind, *node),
        None => Ok(Vec::new()),
    }
}

/// Where its node keeps every edge, the edge is fixed; elsewhere it loses the other primitives and stays open.
fn decide_primitive(probe: &mut Probe<'_>, kind: CellKind, edge: usize) -> Result<Vec<Change>> {
    let topology = probe.space().topology();
    let before = probe.states.clone();
    let chosen = best_primitive(probe, &before, kind, edge)?;
    let primitive = chosen.index;
    if keeps_all(topology, topology.edge(edge).node) {
        return Ok(vec![fix(kind, edge, primitive, NamedScores(chosen.named()))]);
    }
    let others = probe.mixed(kind, edge).into_iter().filter(|other| *other != primitive);
    Ok(others.map(|primitive| Change::Drop { kind, edge, primitive }).collect())
}

/// Leaves out the edge that is missed least until there are as many as the node keeps, and fixes these.
fn decide_edges(probe: &mut Probe<'_>, kind: CellKind, node: usize) -> Result<Vec<Change>> {
    let topology = probe.space().topology();
    let mut kept: Vec<usize> =
        topology.edges_into(node).filter(|edge| probe.states(kind)[*edge] == EdgeState::Open).collect();
    while kept.len() > topology.kept(node) {
        let edges = kept.iter().map(|&edge| without(probe, &[Mask { kind, edge, primitive: None }], edge));
        let least = least_missed(edges.collect::<Result<_>>()?).expect("a node that keeps fewer edges has one");
        kept.retain(|edge| *edge != least.index);
    }
    let fixed = |&edge: &usize| probe.mixed(kind, edge).first().map(|&primitive| (edge, primitive));
    let fixed =
        kept.iter().filter_map(fixed).map(|(edge, primitive)| fix(kind, edge, primitive, NamedScores::default()));
    Ok(fixed.collect())
}

fn fix(kind: CellKind, edge: usize, primitive: usize, scores: NamedScores) -> Change {
    Change::Fix { kind, edge, primitive, scores, runner_up: None, confidence: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::SpaceName;

    fn result(index: usize, score: f64, loss: f64) -> Chosen {
        Chosen { index, score, loss }
    }

    #[test]
    fn the_lowest_score_is_missed_most_and_the_loss_breaks_ties() {
        let results = || vec![result(0, 0.5, 9.0), result(1, 0.4, 1.0), result(2, 0.4, 2.0), result(3, 0.4, 2.0)];
        assert_eq!(most_missed(results()).unwrap().index, 2);
        assert_eq!(least_missed(results()).unwrap().index, 0);
        let equal = || vec![result(7, 0.4, 1.0), result(8, 0.4, 1.0)];
        assert_eq!((most_missed(equal()).unwrap().index, least_missed(equal()).unwrap().index), (7, 7));
    }

    #[test]
    fn a_decision_for_every_edge_and_for_every_node_that_drops_edges() {
        let config = PerturbationConfig { epochs: 10 };
        // 14 edges and 3 nodes of more than two edges; the published code counts the node of two edges as well.
        assert_eq!(config.tuning(Topology::new(4)), 160);
        assert_eq!(config.tuning(SpaceName::NAS_BENCH_201.topology()), 50);
        let strategy = AfterTraining::new(Topology::new(4), 50, config);
        assert_eq!(strategy.epochs(), 210);
        let due: Vec<usize> = (0..strategy.epochs()).filter(|epoch| strategy.is_due(*epoch)).collect();
        assert_eq!((due.len(), due[0], due[16]), (17, 49, 209));
    }

    #[test]
    fn tuning_begins_at_a_tenth_of_the_rate() {
        let strategy = AfterTraining::new(Topology::new(4), 3, PerturbationConfig { epochs: 1 });
        assert_eq!(strategy.stretch(2, 19), Stretch { first: 0, epochs: 3, rate: 1.0 });
        assert_eq!(strategy.stretch(3, 19), Stretch { first: 3, epochs: 16, rate: 0.1 });
    }
}

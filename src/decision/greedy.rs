//! The decisions of a whole search, epoch after epoch (algorithm 1 of the paper): score, fix the best open edge
//! of each kind of cell, prune what its node no longer needs. All state can go into a checkpoint.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::confidence::{Confidence, Decided, Table, confidence};
use super::config::DecisionConfig;
use super::first_greatest;
use super::reading::EdgeState;
use super::score::{Distributions, EdgeScore, distributions, score_edges};
use crate::error::{Error, Result};
use crate::topology::{CellKind, Edge, Topology};

/// Whether an edge may be fixed to a primitive.
pub type Allowed<'a> = &'a mut dyn FnMut(usize, usize) -> Result<bool>;

/// One edge decided at the end of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The epoch, from 0.
    pub epoch: usize,
    /// The kind of cell that the edge belongs to.
    pub kind: CellKind,
    /// The edge that is fixed.
    pub edge: Edge,
    /// The primitive that it is fixed to.
    pub primitive: usize,
    /// What won.
    pub score: EdgeScore,
    /// Index and score of the second best open edge; `None` when no other was open.
    pub runner_up: Option<(usize, f64)>,
    /// Indices of the edges pruned because their node now has what it keeps.
    pub pruned: Vec<usize>,
    /// How sure it is; absent where that can't be said.
    pub confidence: Option<Confidence>,
}

/// What an epoch showed about one kind of cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The scores of all edges, decided and pruned ones too.
    pub scores: Vec<EdgeScore>,
    /// The decision, where one was due and an edge was open.
    pub decision: Option<Decision>,
}

/// The decisions of a search of cells of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct GreedyDecision {
    topology: Topology,
    progress: Progress,
}

/// What a checkpoint must hold of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    config: DecisionConfig,
    kinds: Vec<KindState>,
}

/// What is known about one kind of cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KindState {
    kind: CellKind,
    states: Vec<EdgeState>,
    /// The distributions of the last epochs, the newest last.
    history: VecDeque<Distributions>,
    /// The alphas before training, then at the end of every epoch while edges are open; empty where the first are unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    past: Vec<Table>,
}

impl GreedyDecision {
    /// All edges of all `kinds` open, no history.
    pub fn new(topology: Topology, kinds: &[CellKind], config: DecisionConfig) -> Self {
        let open = |&kind| KindState {
            kind,
            states: vec![EdgeState::Open; topology.edge_count()],
            history: VecDeque::new(),
            past: Vec::new(),
        };
        let kinds = kinds.iter().map(open).collect();
        Self { topology, progress: Progress { config, kinds } }
    }

    /// Takes the alphas of a kind before the first epoch; without them no decision says how sure it is.
    ///
    /// # Panics
    /// For a kind that was not named in [`Self::new`].
    pub fn begin(&mut self, kind: CellKind, alphas: Vec<Vec<f64>>) {
        self.kind_mut(kind).past = vec![alphas];
    }

    /// Takes the alphas (edges × primitives) of a kind at the end of `epoch`: scores every edge, decides where
    /// that is due, prunes, then remembers the epoch. To be called once per epoch and kind, also when nothing is
    /// open any more. Alphas that are not finite are an error that names epoch, kind and edge and change nothing.
    ///
    /// # Panics
    /// For a kind that was not named in [`Self::new`].
    pub fn observe(&mut self, epoch: usize, kind: CellKind, alphas: &[Vec<f64>]) -> Result<Observation> {
        self.observe_where(epoch, kind, alphas, &mut |_, _| Ok(true))
    }

    /// The same, where a decision takes the first edge by score, and of that the first primitive by its share, that
    /// `allowed` has nothing against.
    ///
    /// # Errors
    /// The same, those of `allowed`, and where it allows nothing.
    ///
    /// # Panics
    /// For a kind that was not named in [`Self::new`].
    pub fn observe_where(
        &mut self,
        epoch: usize,
        kind: CellKind,
        alphas: &[Vec<f64>],
        allowed: Allowed<'_>,
    ) -> Result<Observation> {
        check_table(self.topology, epoch, kind, alphas)?;
        let (topology, config) = (self.topology, self.progress.config.clone());
        let current = distributions(topology, alphas);
        let state = self.kind_mut(kind);
        let scores = score_edges(topology, alphas, &current, state.history.iter(), config.criterion);
        if !state.past.is_empty() {
            state.past.push(alphas.to_vec());
        }
        let decision = match config.is_due(epoch) && state.best_open(&scores).is_some() {
            true => Some(state.decide(topology, epoch, alphas, &scores, &config, allowed)?),
            false => None,
        };
        state.remember(current, config.history);
        Ok(Observation { scores, decision })
    }

    /// Another primitive than the most probable one for an edge that was fixed.
    ///
    /// # Panics
    /// For a kind that was not named in [`Self::new`], or an edge that it has not.
    pub fn choose(&mut self, kind: CellKind, edge: usize, primitive: usize) {
        self.kind_mut(kind).states[edge] = EdgeState::Fixed(primitive);
    }

    /// The states of a kind's edges.
    ///
    /// # Panics
    /// For a kind that was not named in [`Self::new`].
    pub fn states(&self, kind: CellKind) -> &[EdgeState] {
        let state = self.progress.kinds.iter().find(|state| state.kind == kind);
        &state.expect("the kinds of a search's cells are named when it begins").states
    }

    /// What [`Self::resume`] goes on from.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Goes on from what [`Self::progress`] gave.
    ///
    /// # Errors
    /// Decisions about cells of another shape.
    pub fn resume(&mut self, progress: Progress) -> Result<()> {
        let shape = |progress: &Progress| -> Vec<(CellKind, usize)> {
            progress.kinds.iter().map(|state| (state.kind, state.states.len())).collect()
        };
        let (expected, found) = (shape(&self.progress), shape(&progress));
        if expected != found {
            let words = |cells: Vec<(CellKind, usize)>| {
                let words: Vec<String> = cells.iter().map(|(kind, edges)| format!("{edges} edges ({kind})")).collect();
                words.join(" and ")
            };
            return Err(Error::invalid("decisions", words(expected), words(found))
                .with_hint("this is the checkpoint of a search in another space"));
        }
        self.progress = progress;
        Ok(())
    }

    fn kind_mut(&mut self, kind: CellKind) -> &mut KindState {
        let state = self.progress.kinds.iter_mut().find(|state| state.kind == kind);
        state.expect("the kinds of a search's cells are named when it begins")
    }
}

impl KindState {
    /// Fixes the open edge of the greatest score, as far as that is allowed.
    fn decide(
        &mut self,
        topology: Topology,
        epoch: usize,
        alphas: &[Vec<f64>],
        scores: &[EdgeScore],
        config: &DecisionConfig,
        allowed: Allowed<'_>,
    ) -> Result<Decision> {
        let before = self.states.clone();
        let (index, primitive, is_free) = self.first_allowed(topology, epoch, alphas, scores, allowed)?;
        let edge = topology.edge(index);
        self.states[index] = EdgeState::Fixed(primitive);
        let runner_up = self.best_open(scores);
        let pruned = self.prune(topology, edge.node);
        let (kind, score) = (self.kind, scores[index]);
        let margin = runner_up.map(|(_, second)| score.score - second);
        let decided = Decided { epoch, edge: index, primitive, margin };
        // Replicas know of nothing that is not allowed.
        let sure = || confidence(topology, config, &self.past, &before, decided);
        let confidence = if is_free { sure() } else { None };
        Ok(Decision { epoch, kind, edge, primitive, score, runner_up, pruned, confidence })
    }

    /// The first allowed edge by score and primitive by share, and whether that is the first of all.
    fn first_allowed(
        &self,
        topology: Topology,
        epoch: usize,
        alphas: &[Vec<f64>],
        scores: &[EdgeScore],
        allowed: Allowed<'_>,
    ) -> Result<(usize, usize, bool)> {
        let mut edges: Vec<usize> = (0..scores.len()).filter(|edge| self.states[*edge] == EdgeState::Open).collect();
        edges.sort_by(|one, other| scores[*other].score.total_cmp(&scores[*one].score));
        let mut is_free = true;
        for edge in edges {
            let row = &alphas[edge];
            let mut primitives: Vec<usize> = (topology.first_choosable()..row.len()).collect();
            primitives.sort_by(|one, other| row[*other].total_cmp(&row[*one]));
            for primitive in primitives {
                if allowed(edge, primitive)? {
                    return Ok((edge, primitive, is_free));
                }
                is_free = false;
            }
        }
        Err(Error::run(format!("epoch {epoch}: no choice of the {} cell is allowed", self.kind)))
    }

    fn best_open(&self, scores: &[EdgeScore]) -> Option<(usize, f64)> {
        let open = |&(edge, _): &(usize, f64)| self.states[edge] == EdgeState::Open;
        first_greatest(scores.iter().map(|score| score.score).enumerate().filter(open))
    }

    /// Once as many edges of `node` are fixed as it keeps, its others go; gives their indices.
    fn prune(&mut self, topology: Topology, node: usize) -> Vec<usize> {
        let superfluous = superfluous_edges(topology, &self.states, node);
        for &edge in &superfluous {
            self.states[edge] = EdgeState::Pruned;
        }
        superfluous
    }

    fn remember(&mut self, current: Distributions, capacity: usize) {
        self.history.push_back(current);
        while self.history.len() > capacity {
            self.history.pop_front();
        }
        if !self.states.contains(&EdgeState::Open) {
            self.past.clear();
        }
    }
}

/// The open edges of a node that has all that it keeps.
pub fn superfluous_edges(topology: Topology, states: &[EdgeState], node: usize) -> Vec<usize> {
    let edges = topology.edges_into(node);
    let fixed = edges.clone().filter(|&edge| matches!(states[edge], EdgeState::Fixed(_))).count();
    if fixed < topology.kept(node) {
        Vec::new()
    } else {
        edges.filter(|&edge| states[edge] == EdgeState::Open).collect()
    }
}

/// Refuses a table that has not one row per edge, rows of different lengths, or values that are not finite.
fn check_table(topology: Topology, epoch: usize, kind: CellKind, alphas: &[Vec<f64>]) -> Result<()> {
    let primitives = alphas.first().map_or(0, Vec::len);
    // Without two primitives to choose from there is nothing to be certain about.
    let fewest = topology.first_choosable() + 2;
    if alphas.len() != topology.edge_count() || primitives < fewest || alphas.iter().any(|row| row.len() != primitives)
    {
        return Err(Error::run(format!(
            "epoch {epoch}: the alphas of the {kind} cell must be {} rows of equal length, {fewest} or more; there are {} rows",
            topology.edge_count(),
            alphas.len(),
        )));
    }
    for edge in topology.edges() {
        if let Some((primitive, value)) = alphas[edge.index].iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(Error::run(format!(
                "epoch {epoch}: alpha of primitive {primitive} on edge {} of the {kind} cell (node {}, from state {}) \
                 is {value}",
                edge.index, edge.node, edge.source,
            ))
            .with_hint("the search diverged: lower the learning rates, or search in fp32"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

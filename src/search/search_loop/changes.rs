//! What a strategy changes in the supernet, checked and done.

use super::Search;
use crate::decision::{EdgeState, superfluous_edges};
use crate::error::{Error, Result};
use crate::report::{DecisionReport, RemovalReport};
use crate::search::strategy::Change;
use crate::topology::{CellKind, Edge};

/// What came of a change.
pub(super) enum Done {
    /// An edge was fixed.
    Decided(DecisionReport),
    /// An edge or a primitive went.
    Removed(RemovalReport),
}

impl Search<'_> {
    /// Takes out of the supernet what a change takes.
    ///
    /// # Errors
    /// An edge that is not open, or a primitive that it can't become or lose: a fault of the strategy.
    pub(super) fn apply(&mut self, epoch: usize, change: Change) -> Result<Done> {
        let topology = self.model.topology();
        match change {
            Change::Fix { kind, edge, primitive, scores: score, runner_up, confidence } => {
                self.require(kind, edge, Some(primitive), topology.first_choosable())?;
                let pruned = self.fix(epoch, kind, edge, primitive);
                let primitive = self.model.space().primitives()[primitive].to_owned();
                let Edge { node, source, .. } = topology.edge(edge);
                Ok(Done::Decided(DecisionReport {
                    epoch,
                    kind,
                    edge,
                    node,
                    source,
                    primitive,
                    score,
                    runner_up,
                    pruned,
                    confidence,
                }))
            }
            Change::Prune { kind, edge } => {
                self.require(kind, edge, None, 0)?;
                self.prune(kind, edge);
                Ok(Done::Removed(RemovalReport { epoch, kind, edge, primitive: None }))
            }
            Change::Drop { kind, edge, primitive } => {
                self.require(kind, edge, Some(primitive), 0)?;
                self.require_another(kind, edge)?;
                let shrunk = self.model.drop_primitive(kind, edge, primitive);
                self.bilevel.shrink(&shrunk);
                let primitive = Some(self.model.space().primitives()[primitive].to_owned());
                Ok(Done::Removed(RemovalReport { epoch, kind, edge, primitive }))
            }
        }
    }

    /// Refuses an edge that is not open, and a primitive that it does not mix, or that stands before `first`.
    fn require(&self, kind: CellKind, edge: usize, primitive: Option<usize>, first: usize) -> Result<()> {
        let state = self.decided.states.get(&kind).and_then(|states| states.get(edge));
        if state != Some(&EdgeState::Open) {
            return Err(Error::run(format!("the strategy changes edge {edge} of the {kind} cell, which is not open")));
        }
        let Some(primitive) = primitive else { return Ok(()) };
        let known = first..self.model.space().primitives().len();
        if known.contains(&primitive) && !self.model.alphas().dropped(kind).contains(&(edge, primitive)) {
            return Ok(());
        }
        Err(Error::run(format!(
            "the strategy takes primitive {primitive} of edge {edge} of the {kind} cell, which has no such choice"
        )))
    }

    /// Refuses to take the last primitive of an edge.
    fn require_another(&self, kind: CellKind, edge: usize) -> Result<()> {
        let lost = self.model.alphas().dropped(kind).iter().filter(|(of, _)| *of == edge).count();
        if lost + 1 < self.model.space().primitives().len() {
            return Ok(());
        }
        Err(Error::run(format!("the strategy drops the last primitive of edge {edge} of the {kind} cell; prune it")))
    }

    /// Fixes an edge, and prunes the open ones of its node where that has all that it keeps; gives their indices.
    fn fix(&mut self, epoch: usize, kind: CellKind, edge: usize, primitive: usize) -> Vec<usize> {
        let topology = self.model.topology();
        let shrunk = self.model.fix(kind, edge, primitive);
        self.bilevel.shrink(&shrunk);
        if self.decided.epochs.last() != Some(&epoch) {
            self.decided.epochs.push(epoch);
        }
        let states = self.decided.states.get_mut(&kind).expect("the edge was open");
        states[edge] = EdgeState::Fixed(primitive);
        let open = superfluous_edges(topology, states, topology.edge(edge).node);
        open.iter().for_each(|&edge| self.prune(kind, edge));
        open
    }

    fn prune(&mut self, kind: CellKind, edge: usize) {
        let shrunk = self.model.prune(kind, edge);
        self.bilevel.shrink(&shrunk);
        self.decided.states.get_mut(&kind).expect("the edge was open")[edge] = EdgeState::Pruned;
    }
}

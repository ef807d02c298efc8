//! How edges are chosen: SGAS, DARTS, or at random, behind one trait that the loop knows.

use crate::decision::{
    Choice, Decision, DecisionConfig, EdgeScore, EdgeState, GreedyDecision, read_off, read_off_best_primitive,
};
use crate::error::{Error, Result};
use crate::search::StrategyKind;
use crate::topology::{CellKind, Topology};
use serde_json::Value;

/// What a strategy made of the alphas at the end of an epoch.
#[derive(Debug, Default)]
pub struct Observed {
    /// One score per edge; empty where a strategy scores nothing.
    pub scores: Vec<EdgeScore>,
    /// The edge that it decided.
    pub decision: Option<Decision>,
}

/// A way to choose edges.
pub trait Strategy {
    /// The epochs that it needs; a configuration may ask for others.
    fn epochs(&self) -> usize;

    /// Looks at the alphas (edges × primitives) of a kind at the end of an epoch.
    ///
    /// # Errors
    /// Alphas that are not finite, with epoch and edge.
    fn observe(&mut self, epoch: usize, kind: CellKind, alphas: &[Vec<f64>]) -> Result<Observed>;

    /// The states of a kind's edges.
    fn states(&self, kind: CellKind) -> Vec<EdgeState>;

    /// Epochs in which something was decided: what batches grow by.
    fn deciding_epochs(&self) -> usize;

    /// Reads a kind's cell off its alphas, decided or not.
    fn read(&self, kind: CellKind, alphas: &[Vec<f64>]) -> Vec<Choice>;

    /// What a checkpoint must hold of it.
    fn state(&self) -> Value;

    /// Takes back what [`Self::state`] gave.
    ///
    /// # Errors
    /// A state of another strategy.
    fn restore(&mut self, state: Value) -> Result<()>;
}

/// The strategy of a kind, for cells of this shape.
pub fn strategy(
    kind: StrategyKind,
    topology: Topology,
    kinds: &[CellKind],
    decision: DecisionConfig,
) -> Box<dyn Strategy> {
    match kind {
        StrategyKind::Sgas => {
            let greedy = GreedyDecision::new(topology, kinds, decision.clone());
            Box::new(Sgas { topology, config: decision, greedy })
        }
        StrategyKind::Darts => Box::new(Undecided { topology, epochs: decision.epochs(topology) }),
        // Its alphas are drawn from N(0, 1) and nothing is trained.
        StrategyKind::Random => Box::new(Undecided { topology, epochs: 0 }),
    }
}

/// Greedy decisions, one after the other.
struct Sgas {
    topology: Topology,
    config: DecisionConfig,
    greedy: GreedyDecision,
}

impl Strategy for Sgas {
    fn epochs(&self) -> usize {
        self.config.epochs(self.topology)
    }

    fn observe(&mut self, epoch: usize, kind: CellKind, alphas: &[Vec<f64>]) -> Result<Observed> {
        let observation = self.greedy.observe(epoch, kind, alphas)?;
        Ok(Observed { scores: observation.scores, decision: observation.decision })
    }

    fn states(&self, kind: CellKind) -> Vec<EdgeState> {
        self.greedy.states(kind).to_vec()
    }

    fn deciding_epochs(&self) -> usize {
        self.greedy.deciding_epochs()
    }

    fn read(&self, kind: CellKind, alphas: &[Vec<f64>]) -> Vec<Choice> {
        read_off(self.topology, alphas, self.greedy.states(kind))
    }

    fn state(&self) -> Value {
        serde_json::to_value(self.greedy.progress()).expect("decisions are plain data")
    }

    fn restore(&mut self, state: Value) -> Result<()> {
        let progress = serde_json::from_value(state)
            .map_err(|error| Error::invalid("checkpoint", "the decisions of a search", error.to_string()))?;
        self.greedy.resume(progress)
    }
}

/// No decisions; the cell is read off at the end (DARTS, and the random baseline).
struct Undecided {
    topology: Topology,
    epochs: usize,
}

impl Strategy for Undecided {
    fn epochs(&self) -> usize {
        self.epochs
    }

    fn observe(&mut self, epoch: usize, kind: CellKind, alphas: &[Vec<f64>]) -> Result<Observed> {
        let broken = alphas.iter().position(|row| row.iter().any(|alpha| !alpha.is_finite()));
        match broken {
            Some(edge) => Err(Error::run(format!("epoch {epoch}: the alphas of edge {edge} ({kind}) are not finite"))),
            None => Ok(Observed::default()),
        }
    }

    fn states(&self, _: CellKind) -> Vec<EdgeState> {
        vec![EdgeState::Open; self.topology.edge_count()]
    }

    fn deciding_epochs(&self) -> usize {
        0
    }

    fn read(&self, _: CellKind, alphas: &[Vec<f64>]) -> Vec<Choice> {
        read_off_best_primitive(self.topology, alphas)
    }

    fn state(&self) -> Value {
        Value::Null
    }

    fn restore(&mut self, _: Value) -> Result<()> {
        Ok(())
    }
}

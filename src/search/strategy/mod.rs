//! How edges are chosen: one trait that the loop knows, the strategies by name, and what they may ask of a search.
//!
//! A strategy is shown the search through a [`Probe`] before training, after every step and at every epoch's end, and
//! answers with changes. It may also say how alphas become weights of primitives, add a term to the alphas' loss, and
//! put something around the primitives when the supernet is built.

mod beta;
mod composed;
mod dirichlet;
mod one_shot;
mod perturbation;
mod probe;
mod sgas;
mod undecided;

pub use beta::{BetaConfig, beta_decay};
pub use composed::Composed;
pub use dirichlet::{Dirichlet, DirichletConfig, divergence_from_uniform};
pub use one_shot::OneShotConfig;
pub use perturbation::PerturbationConfig;
pub use probe::Probe;

use crate::checkpoint::Cursor;
use crate::decision::{self, Confidence, DecisionConfig, EdgeState, read_off};
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::model::{Alphas, MixtureRule};
use crate::ops::Wrapping;
use crate::registry::{Choice, Registered, Registry};
use crate::report::{CandidateReport, NamedScores};
use crate::search::candidates::Cells;
use crate::tensor::random::Key;
use crate::topology::{CellKind, Topology};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;
use tch::Tensor;

/// What a strategy wants done to the supernet.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An open edge becomes one primitive; when its node has all edges that it keeps, the others are pruned.
    Fix {
        /// Kind of cell.
        kind: CellKind,
        /// Index of the edge.
        edge: usize,
        /// Index of the primitive.
        primitive: usize,
        /// Why, for the log.
        scores: NamedScores,
        /// Index and score of the second best edge.
        runner_up: Option<(usize, f64)>,
        /// How sure the choice is, where the strategy can say it.
        confidence: Option<Confidence>,
    },
    /// An open edge goes.
    Prune {
        /// Kind of cell.
        kind: CellKind,
        /// Index of the edge.
        edge: usize,
    },
    /// An open edge loses a primitive.
    Drop {
        /// Kind of cell.
        kind: CellKind,
        /// Index of the edge.
        edge: usize,
        /// Index of the primitive.
        primitive: usize,
    },
}

/// What a strategy says when it was shown the search.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// What is done at once, in order.
    pub changes: Vec<Change>,
    /// Scores of a kind's edges, one an edge, for the log; none where a strategy scores nothing.
    pub scores: BTreeMap<CellKind, Vec<NamedScores>>,
    /// Cells that it scored, for the log.
    pub candidates: Vec<CandidateReport>,
    /// Steps to train before it is shown another step; 0 for none.
    pub wait: usize,
}

/// A term of the alphas' loss, 0-dimensional, of the alphas alone.
pub type Penalty = Rc<dyn Fn(&Alphas) -> Tensor>;

/// The alphas' loss with what a strategy adds to it.
pub(super) fn penalised(loss: Tensor, penalty: Option<&Penalty>, alphas: &Alphas) -> Tensor {
    match penalty {
        Some(penalty) => loss + penalty(alphas),
        None => loss,
    }
}

/// A stretch of epochs with a schedule of the weights' learning rate of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Its first epoch.
    pub first: usize,
    /// How many epochs it has.
    pub epochs: usize,
    /// What the learning rates of `[weights]` are multiplied by; the least of them stays.
    pub rate: f64,
}

/// A way to choose edges. All but the epochs and the state has a default: a strategy that does nothing.
pub trait Strategy {
    /// The epochs that it needs; a configuration may ask for others. Without any nothing is trained.
    fn epochs(&self) -> usize;

    /// Is shown the search before its first step; not when a search is resumed.
    ///
    /// # Errors
    /// What the probe reports.
    fn before_training(&mut self, _probe: &mut Probe<'_>) -> Result<Answer> {
        Ok(Answer::default())
    }

    /// Is shown the search after a step; `next` is the one that comes then.
    ///
    /// # Errors
    /// What the probe reports.
    fn after_step(&mut self, _next: Cursor, _probe: &mut Probe<'_>) -> Result<Answer> {
        Ok(Answer::default())
    }

    /// Is shown the search at the end of an epoch, after the validation pass.
    ///
    /// # Errors
    /// Alphas that are not finite, with epoch and edge; what the probe reports.
    fn after_epoch(&mut self, _epoch: usize, _probe: &mut Probe<'_>) -> Result<Answer> {
        Ok(Answer::default())
    }

    /// Reads a kind's cell off its alphas, decided or not: as many choices per node as the shape keeps.
    fn read(&self, space: SpaceName, alphas: &[Vec<f64>], states: &[EdgeState]) -> Vec<decision::Choice> {
        read_off(space.topology(), alphas, states)
    }

    /// How alphas become weights of primitives in this epoch; absent for softmax. A rule that draws numbers says so, and
    /// steps are no more recorded as CUDA graphs then.
    fn mixture(&self, _epoch: usize) -> Option<Rc<dyn MixtureRule>> {
        None
    }

    /// Whether alphas learn.
    fn learns_alphas(&self) -> bool {
        true
    }

    /// The cell that a step trains alone, drawn by its key; by default all primitives train at once.
    fn path(&self, _space: SpaceName, _key: Key) -> Option<Cells> {
        None
    }

    /// The stretch that an epoch of a search of so many epochs lies in; by default there is one.
    fn stretch(&self, _epoch: usize, epochs: usize) -> Stretch {
        Stretch { first: 0, epochs, rate: 1.0 }
    }

    /// What is added to the alphas' loss in this epoch.
    fn penalty(&self, _epoch: usize) -> Option<Penalty> {
        None
    }

    /// What is put around the primitives of the supernet.
    fn wrapping(&self) -> Option<Rc<dyn Wrapping>> {
        None
    }

    /// What a checkpoint must hold of it, besides the states of edges and dropped primitives, which the search keeps.
    fn state(&self) -> Value {
        Value::Null
    }

    /// Takes back what [`Self::state`] gave.
    ///
    /// # Errors
    /// A state of another strategy.
    fn restore(&mut self, _state: Value) -> Result<()> {
        Ok(())
    }
}

/// What chooses the primitives of edges, where it is not the strategy's own rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// The primitive whose removal lowers the supernet's validation score most (DARTS-PT).
    Perturbation,
}

/// A term of the alphas' loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Regularizer {
    /// Beta decay (β-DARTS).
    Beta,
}

impl Selection {
    /// As configurations name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Perturbation => "perturbation",
        }
    }
}

impl Regularizer {
    /// As configurations name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Beta => "beta",
        }
    }
}

/// How alphas become shares of primitives, where it is not softmax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MixtureName {
    /// Drawn from Dirichlet distributions (DrNAS).
    Dirichlet,
}

impl MixtureName {
    /// As configurations name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dirichlet => "dirichlet",
        }
    }
}

/// SGAS, whose edges are fixed to the primitive that validation misses most.
pub(super) fn sgas_by_perturbation(space: SpaceName, decision: DecisionConfig) -> Box<dyn Strategy> {
    Box::new(sgas::Sgas::new(&Setting { space, decision }).by_perturbation())
}

/// DARTS, and decisions by perturbation after `trained` epochs.
pub(super) fn darts_by_perturbation(
    topology: Topology,
    trained: usize,
    config: PerturbationConfig,
) -> Box<dyn Strategy> {
    Box::new(perturbation::AfterTraining::new(topology, trained, config))
}

/// A supernet of single paths in a search of so many epochs.
pub(super) fn one_shot(epochs: usize, config: &OneShotConfig) -> Box<dyn Strategy> {
    Box::new(one_shot::OneShot::new(epochs, config))
}

/// Dirichlet shares in a search of so many epochs.
pub(super) fn dirichlet_part(config: &DirichletConfig, epochs: usize) -> Box<dyn Strategy> {
    Box::new(dirichlet::Drawing::new(config, epochs))
}

/// Beta decay in a search of so many epochs.
pub(super) fn beta_decay_part(config: &BetaConfig, epochs: usize) -> Box<dyn Strategy> {
    Box::new(beta::Beta::new(config, epochs))
}

/// Refuses alphas that are not finite.
fn check_alphas(epoch: usize, probe: &Probe<'_>) -> Result<()> {
    for kind in probe.kinds() {
        let alphas = probe.alphas(kind);
        let broken = alphas.iter().position(|row| row.iter().any(|alpha| !alpha.is_finite()));
        if let Some(edge) = broken {
            return Err(Error::run(format!("epoch {epoch}: the alphas of edge {edge} ({kind}) are not finite")));
        }
    }
    Ok(())
}

/// What a strategy is made for.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The space that is searched.
    pub space: SpaceName,
    /// `[decision]`
    pub decision: DecisionConfig,
}

/// A strategy by name.
pub struct StrategyDescription {
    /// The name in configurations and on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Whether anything is trained, and so data needed.
    pub trains: bool,
    /// Standard deviation of the first alphas; absent: that of `[alphas]`.
    pub initial_scale: Option<f64>,
    /// Makes it.
    pub make: fn(&Setting) -> Box<dyn Strategy>,
}

/// The name of a strategy.
pub type StrategyName = Choice<StrategyDescription>;

static SGAS: StrategyDescription = StrategyDescription {
    name: "sgas",
    about: "Greedy decisions by the criterion",
    trains: true,
    initial_scale: None,
    make: sgas::make,
};

static DARTS: StrategyDescription = StrategyDescription {
    name: "darts",
    about: "No decisions; read off at the end",
    trains: true,
    initial_scale: None,
    make: undecided::darts,
};

static RANDOM: StrategyDescription = StrategyDescription {
    name: "random",
    about: "A random cell without training, or the best of several trained ones",
    trains: false,
    initial_scale: Some(1.0),
    make: undecided::random,
};

static MOST_PARAMS: StrategyDescription = StrategyDescription {
    name: "most-params",
    about: "Of random cells the one with the most weights; no training",
    trains: false,
    initial_scale: None,
    make: undecided::random,
};

static SUCCESSIVE_HALVING: StrategyDescription = StrategyDescription {
    name: "successive-halving",
    about: "Random cells trained alone, the better ones longer",
    trains: true,
    initial_scale: None,
    make: undecided::random,
};

static PREDICTOR: StrategyDescription = StrategyDescription {
    name: "predictor",
    about: "Cells trained alone, proposed by a linear model of the scores so far",
    trains: true,
    initial_scale: None,
    make: undecided::random,
};

static ONE_SHOT: StrategyDescription = StrategyDescription {
    name: "one-shot",
    about: "A supernet trained a random cell at a time, whose weights score random cells",
    trains: true,
    initial_scale: None,
    make: one_shot::make,
};

impl Registered for StrategyDescription {
    const WHAT: &'static str = "strategy";

    fn registry() -> &'static Registry<Self> {
        static STRATEGIES: Registry<StrategyDescription> =
            Registry::new(&[&SGAS, &DARTS, &ONE_SHOT, &RANDOM, &MOST_PARAMS, &SUCCESSIVE_HALVING, &PREDICTOR]);
        &STRATEGIES
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

impl StrategyName {
    /// Sequential greedy decisions by criterion 1 or 2.
    pub const SGAS: Self = Self::of(&SGAS);
    /// No decisions; the cell is read off at the end (DARTS).
    pub const DARTS: Self = Self::of(&DARTS);
    /// No training; the cell is read off random alphas (the paper's baseline).
    pub const RANDOM: Self = Self::of(&RANDOM);

    /// Random cells, scored by the weights of a supernet that was trained one of them at a time.
    pub const ONE_SHOT: Self = Self::of(&ONE_SHOT);
    /// Of random cells the one with the most weights.
    pub const MOST_PARAMS: Self = Self::of(&MOST_PARAMS);
    /// Random cells, each trained alone, of which the better ones go on (Jamieson and Talwalkar 2016).
    pub const SUCCESSIVE_HALVING: Self = Self::of(&SUCCESSIVE_HALVING);
    /// Cells trained alone, one of each primitive and then those that a model of their scores proposes.
    pub const PREDICTOR: Self = Self::of(&PREDICTOR);

    /// A fresh strategy of this name.
    pub fn strategy(self, space: SpaceName, decision: DecisionConfig) -> Box<dyn Strategy> {
        (self.make)(&Setting { space, decision })
    }
}

/// Makes a strategy of another crate known by its name.
///
/// # Errors
/// A name that another has.
pub fn register(description: &'static StrategyDescription) -> Result<StrategyName> {
    StrategyDescription::registry().add(description)
}

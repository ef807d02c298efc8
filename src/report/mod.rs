//! What the loops tell the world: events, and the observers that turn them into a bar, a log, tables and drawings.
//!
//! The loops know nothing of terminals and files; they call [`Observer::observe`].

pub mod append;
pub mod csv;
pub mod drawing;
pub mod history;
pub mod log;
mod memory;
pub mod page;
pub mod progress;
pub mod rendered;
pub mod scatter;
pub mod svg;
pub mod tensorboard;
pub mod terminal;

use crate::decision::{Confidence, EdgeScore};
use crate::error::Result;
use crate::genotype::Genotype;
use crate::optim::NonFinite;
pub use crate::task::Metrics;
use crate::topology::CellKind;
pub use memory::{PeakMemory, peak_process_memory, process_memory};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Instant;

/// A share as people read it.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// One whole epoch of a search or a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Epoch from 0.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Learning rate of the weights in this epoch.
    pub learning_rate: f64,
    /// Samples per batch in this epoch.
    pub batch_size: usize,
    /// The training pass, in training mode.
    pub train: Metrics,
    /// The validation pass, in evaluation mode; absent where the run has no validation share.
    pub validation: Option<Metrics>,
    /// A pass over the test split, where the reference's protocol looks at it after every epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Metrics>,
    /// Edges still open, over all kinds of cell; absent in retraining.
    pub open_edges: Option<usize>,
    /// Weights of the network at the epoch's end.
    pub parameters: usize,
    /// Steps of weights and alphas that loss scaling skipped in this epoch.
    pub skipped_steps: usize,
    /// What loss scaling did in this epoch, for each that it scales; empty where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<ScalingReport>,
    /// The gradients of this epoch's steps, of each that learns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gradients: Vec<GradientReport>,
    /// Wall time of the epoch, validation included, in seconds.
    pub seconds: f64,
    /// Where that time went.
    #[serde(default)]
    pub phases: Phases,
    /// The most memory that the process held until then.
    #[serde(default)]
    pub memory: PeakMemory,
}

impl EpochReport {
    /// Without times and memory: equal runs give equal ones.
    #[must_use]
    pub fn without_costs(self) -> Self {
        Self { seconds: 0.0, phases: Phases::default(), memory: PeakMemory::default(), ..self }
    }
}

/// Wall time of an epoch's phases in seconds, as the program sees it: on a GPU a step takes as long as it is handed over,
/// and every 64 steps until they are done. What is missing of the whole is bookkeeping.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Phases {
    /// Waiting for batches.
    pub data: f64,
    /// Steps of the alphas; 0 in retraining.
    pub alphas: f64,
    /// Steps of the weights, and reading what steps came to.
    pub weights: f64,
    /// Passes without gradient over validation and test samples.
    pub validation: f64,
}

/// Runs it, and adds its wall time to `seconds`.
pub fn timed<T>(seconds: &mut f64, run: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = run();
    *seconds += begun.elapsed().as_secs_f64();
    result
}

/// The norms of an epoch's gradients, before clipping; steps that loss scaling skipped have none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GradientReport {
    /// Of what.
    pub of: Learner,
    /// Mean over the steps.
    pub mean: f64,
    /// The greatest of a step.
    pub greatest: f64,
}

/// What a step trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learner {
    /// The weights.
    Weights,
    /// The alphas of a search.
    Alphas,
}

impl Learner {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Alphas => "alphas",
        }
    }
}

/// What loss scaling did in an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingReport {
    /// Whose loss was scaled.
    pub of: Learner,
    /// The scale at the epoch's end.
    pub scale: f64,
    /// Steps skipped for an infinite gradient.
    pub skipped_inf: usize,
    /// Steps skipped for a gradient with NaN.
    pub skipped_nan: usize,
}

impl ScalingReport {
    /// Adds what it did in later steps.
    pub fn join(&mut self, later: &Self) {
        self.scale = later.scale;
        self.skipped_inf += later.skipped_inf;
        self.skipped_nan += later.skipped_nan;
    }
}

/// What a strategy measured, by name, in its own order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedScores(pub Vec<(String, f64)>);

impl NamedScores {
    /// The score of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, score)| *score)
    }
}

impl From<EdgeScore> for NamedScores {
    fn from(measured: EdgeScore) -> Self {
        let EdgeScore { importance, certainty, stability, score } = measured;
        let named = [("importance", importance), ("certainty", certainty), ("stability", stability), ("score", score)];
        Self(named.map(|(name, score)| (name.to_owned(), score)).into())
    }
}

impl Serialize for NamedScores {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, score)| (name, score)))
    }
}

impl<'de> Deserialize<'de> for NamedScores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let map = serde_json::Map::deserialize(deserializer)?;
        let score = |(name, value): (String, serde_json::Value)| {
            value.as_f64().map(|score| (name, score)).ok_or_else(|| serde::de::Error::custom("a score is a number"))
        };
        map.into_iter().map(score).collect::<std::result::Result<_, _>>().map(Self)
    }
}

/// What a strategy took out of the supernet without deciding an edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemovalReport {
    /// Epoch in which it went.
    pub epoch: usize,
    /// Kind of cell.
    pub kind: CellKind,
    /// Index of the edge.
    pub edge: usize,
    /// Name of the primitive that the edge lost; absent where the edge went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primitive: Option<String>,
}

/// A cell that was scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateReport {
    /// Epoch at whose end it was scored.
    pub epoch: usize,
    /// Epochs that it was trained alone; 0 where a supernet's weights scored it.
    pub trained: usize,
    /// The cell.
    pub genotype: Genotype,
    /// Validation score.
    pub score: f64,
    /// Validation loss.
    pub loss: f64,
}

/// One decision in the user's words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionReport {
    /// Epoch at whose end it was made.
    pub epoch: usize,
    /// Kind of cell.
    pub kind: CellKind,
    /// Index of the edge.
    pub edge: usize,
    /// The inner node the edge leads into, from 0.
    pub node: usize,
    /// The state the edge reads.
    pub source: usize,
    /// Name of the primitive it was fixed to.
    pub primitive: String,
    /// Why.
    pub score: NamedScores,
    /// The open edge that came second, with its score.
    pub runner_up: Option<(usize, f64)>,
    /// Edges pruned because their node has what it keeps.
    pub pruned: Vec<usize>,
    /// How sure it is, where that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
}

/// The alphas of one kind of cell at the end of an epoch, and what the criterion made of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlphaReport {
    /// Epoch from 0.
    pub epoch: usize,
    /// Kind of cell.
    pub kind: CellKind,
    /// Edges × primitives.
    pub alphas: Vec<Vec<f64>>,
    /// One per edge; empty for strategies without scores.
    pub scores: Vec<NamedScores>,
    /// State of every edge after this epoch.
    pub states: Vec<crate::decision::EdgeState>,
}

/// A key of a run that went on with another value than it began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Epoch that was gone on with.
    pub epoch: usize,
    /// Steps of that epoch that were done.
    pub step: usize,
    /// The dotted key, or `data`.
    pub key: String,
    /// What it was.
    pub was: String,
    /// What it is from there on.
    pub now: String,
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins or goes on.
    Started {
        /// `search` or `train`.
        command: String,
        /// Task of the run.
        task: String,
        /// First epoch to run: 0, or where a resumed run goes on.
        epoch: usize,
        /// Its first step to run: 0, or where a resumed run goes on.
        #[serde(default)]
        step: usize,
        /// Epochs in all.
        epochs: usize,
        /// Weights of the network.
        parameters: usize,
    },
    /// One step of an epoch is done. For bars only: not kept in the event log.
    Step {
        /// Epoch from 0.
        epoch: usize,
        /// Steps done in this epoch.
        step: usize,
        /// Steps of this epoch.
        steps: usize,
        /// Training loss of the step.
        loss: f64,
        /// The scale of the weights' loss, where it is scaled.
        loss_scale: Option<f64>,
    },
    /// Loss scaling skipped a step, or the scale grew.
    LossScale {
        /// Epoch from 0.
        epoch: usize,
        /// Step of the epoch, from 1.
        step: usize,
        /// Whose loss is scaled.
        of: Learner,
        /// Why the step was skipped; absent where the scale grew after clean steps.
        skipped: Option<NonFinite>,
        /// The scale from now on.
        scale: f64,
    },
    /// A step ran out of memory after the batch had grown; the epoch goes on with the batch before.
    BatchTakenBack {
        /// Epoch from 0.
        epoch: usize,
        /// Step of the epoch, from 0.
        step: usize,
        /// Samples of the batch that was too large.
        from: usize,
        /// Samples of the batches from then on.
        to: usize,
        /// What ran out.
        reason: String,
    },
    /// An epoch is done.
    Epoch(EpochReport),
    /// Alphas and scores of a kind of cell at an epoch's end.
    Alphas(AlphaReport),
    /// An edge was decided.
    Decision(DecisionReport),
    /// A candidate was scored.
    Candidate(CandidateReport),
    /// An open edge went, or lost a primitive.
    Removal(RemovalReport),
    /// A key that is not what it was when the run began; `--resume-anyway` let it pass.
    Change(Change),
    /// A step whose loss or gradient was inf or NaN was left out.
    Skipped {
        /// Epoch from 0.
        epoch: usize,
        /// Step of the epoch, from 1.
        step: usize,
        /// What is not finite.
        what: String,
    },
    /// The run went back to its last checkpoint, to go on with the epoch's other batches in another order.
    Rollback {
        /// Epoch of the checkpoint.
        epoch: usize,
        /// Steps of that epoch that the checkpoint holds.
        step: usize,
        /// What was not finite, and where.
        what: String,
    },
    /// The run was asked to stop, and its state kept.
    Stopped {
        /// Epoch from 0.
        epoch: usize,
        /// Steps of that epoch that are done.
        step: usize,
    },
    /// The run is done.
    Finished {
        /// Wall time of this process in seconds.
        seconds: f64,
    },
}

/// Someone who wants to know what happens in a run.
pub trait Observer {
    /// Takes note of one event.
    ///
    /// # Errors
    /// Where a log or drawing can't be written.
    fn observe(&mut self, event: &Event) -> Result<()>;
}

/// Hands every event to several observers in order.
#[derive(Default)]
pub struct Observers(pub Vec<Box<dyn Observer>>);

impl Observer for Observers {
    fn observe(&mut self, event: &Event) -> Result<()> {
        self.0.iter_mut().try_for_each(|observer| observer.observe(event))
    }
}

#[cfg(test)]
mod tests {
    //! Events that the observers' tests share.

    use super::*;

    pub(super) fn epoch(epoch: usize) -> EpochReport {
        EpochReport {
            epoch,
            epochs: 2,
            learning_rate: 0.005,
            batch_size: 28,
            train: Metrics { loss: 1.5, score: 0.5, others: vec![("mean_class_accuracy".to_owned(), 0.25)] },
            validation: None,
            test: None,
            open_edges: Some(9),
            parameters: 100,
            skipped_steps: 0,
            scaling: Vec::new(),
            gradients: Vec::new(),
            seconds: 2.0,
            phases: Phases::default(),
            memory: PeakMemory::default(),
        }
    }

    pub(super) fn decision(epoch: usize) -> DecisionReport {
        DecisionReport {
            epoch,
            kind: CellKind::Normal,
            edge: 1,
            node: 0,
            source: 1,
            primitive: "edge_conv".to_owned(),
            score: EdgeScore { importance: 0.75, certainty: 0.25, stability: 0.0, score: 0.5 }.into(),
            runner_up: Some((4, 0.25)),
            confidence: None,
            pruned: vec![0, 2],
        }
    }
}

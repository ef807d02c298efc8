//! SGAS: greedy decisions, one after the other (docs/method.md). The primitive of the edge that is decided is the one of
//! the greatest alpha, or chosen by perturbation.

use super::perturbation::best_primitive;
use super::{Answer, Change, Probe, Setting, Strategy};
use crate::decision::{Decision, GreedyDecision};
use crate::error::{Error, Result};
use crate::report::NamedScores;
use crate::search::limits::States;
use serde_json::Value;

pub(super) struct Sgas {
    epochs: usize,
    greedy: GreedyDecision,
    /// Whether perturbation chooses the primitives.
    by_perturbation: bool,
}

/// The strategy for cells of this shape.
pub(super) fn make(setting: &Setting) -> Box<dyn Strategy> {
    Box::new(Sgas::new(setting))
}

impl Sgas {
    pub(super) fn new(setting: &Setting) -> Self {
        let (space, config) = (setting.space, setting.decision.clone());
        let epochs = config.epochs(space.topology());
        let greedy = GreedyDecision::new(space.topology(), space.kinds(), config);
        Self { epochs, greedy, by_perturbation: false }
    }

    /// The same with primitives that are chosen by perturbation (SGAS+PT).
    pub(super) fn by_perturbation(self) -> Self {
        Self { by_perturbation: true, ..self }
    }

    /// The states of all kinds' edges, what was decided in this epoch included.
    fn states(&self, probe: &Probe<'_>) -> States {
        probe.kinds().into_iter().map(|kind| (kind, self.greedy.states(kind).to_vec())).collect()
    }

    /// `before` are the states before the decision.
    fn change(&mut self, decision: Decision, before: &States, probe: &mut Probe<'_>) -> Result<Change> {
        let Decision { kind, edge, primitive, score, runner_up, mut confidence, .. } = decision;
        let (mut primitive, mut scores) = (primitive, NamedScores::from(score));
        if self.by_perturbation {
            let chosen = best_primitive(probe, before, kind, edge.index)?;
            scores.0.extend(chosen.named());
            primitive = chosen.index;
            self.greedy.choose(kind, edge.index, primitive);
            confidence.iter_mut().for_each(|confidence| confidence.primitive = None);
        }
        Ok(Change::Fix { kind, edge: edge.index, primitive, scores, runner_up, confidence })
    }
}

impl Strategy for Sgas {
    fn epochs(&self) -> usize {
        self.epochs
    }

    fn before_training(&mut self, probe: &mut Probe<'_>) -> Result<Answer> {
        probe.kinds().into_iter().for_each(|kind| self.greedy.begin(kind, probe.alphas(kind)));
        Ok(Answer::default())
    }

    fn after_epoch(&mut self, epoch: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        let mut answer = Answer::default();
        for kind in probe.kinds() {
            let before = self.states(probe);
            let mut allowed = |edge, primitive| probe.allows(&before, kind, edge, primitive);
            let observation = self.greedy.observe_where(epoch, kind, &probe.alphas(kind), &mut allowed)?;
            answer.scores.insert(kind, observation.scores.into_iter().map(Into::into).collect());
            if let Some(decision) = observation.decision {
                answer.changes.push(self.change(decision, &before, probe)?);
            }
        }
        Ok(answer)
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

//! SGAS: greedy decisions, one after the other (docs/method.md).

use super::{Answer, Change, Probe, Setting, Strategy};
use crate::decision::GreedyDecision;
use crate::error::{Error, Result};
use serde_json::Value;

struct Sgas {
    epochs: usize,
    greedy: GreedyDecision,
}

/// The strategy for cells of this shape.
pub(super) fn make(setting: &Setting) -> Box<dyn Strategy> {
    let (space, config) = (setting.space, setting.decision.clone());
    let epochs = config.epochs(space.topology());
    Box::new(Sgas { epochs, greedy: GreedyDecision::new(space.topology(), space.kinds(), config) })
}

impl Strategy for Sgas {
    fn epochs(&self) -> usize {
        self.epochs
    }

    fn after_epoch(&mut self, epoch: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        let mut answer = Answer::default();
        for kind in probe.kinds() {
            let observation = self.greedy.observe(epoch, kind, &probe.alphas(kind))?;
            answer.scores.insert(kind, observation.scores.into_iter().map(Into::into).collect());
            answer.changes.extend(observation.decision.map(|decision| Change::Fix {
                kind,
                edge: decision.edge.index,
                primitive: decision.primitive,
                scores: decision.score.into(),
                runner_up: decision.runner_up,
            }));
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

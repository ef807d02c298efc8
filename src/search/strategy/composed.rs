//! Several strategies as one: each acts in turn, the first decides how long a search is, its stretches, and how a cell is
//! read off.

use super::{Answer, Penalty, Probe, Strategy, Stretch};
use crate::checkpoint::Cursor;
use crate::decision::{Choice, EdgeState};
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::model::{Alphas, MixtureRule};
use crate::ops::{Mode, Wrapping};
use crate::search::candidates::Cells;
use crate::tensor::random::Key;
use serde_json::Value;
use std::rc::Rc;
use tch::Tensor;

/// Strategies that act one after the other. Their changes follow each other, penalties add up, wrappings nest, and of
/// the rules of mixture the first counts.
pub struct Composed(Vec<Box<dyn Strategy>>);

impl Composed {
    /// Of these, at least one. Panics without any.
    pub fn new(parts: Vec<Box<dyn Strategy>>) -> Self {
        assert!(!parts.is_empty(), "a composed strategy has parts");
        Self(parts)
    }

    /// These as one; a single one as it is. Panics without any.
    pub fn of(mut parts: Vec<Box<dyn Strategy>>) -> Box<dyn Strategy> {
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => Box::new(Self::new(parts.into_iter().chain(last).collect())),
        }
    }

    fn first(&self) -> &dyn Strategy {
        &*self.0[0]
    }

    fn join(&mut self, mut ask: impl FnMut(&mut dyn Strategy) -> Result<Answer>) -> Result<Answer> {
        let mut joined = Answer::default();
        for part in &mut self.0 {
            let answer = ask(&mut **part)?;
            joined.changes.extend(answer.changes);
            for (kind, scores) in answer.scores {
                joined.scores.entry(kind).or_insert(scores);
            }
            joined.candidates.extend(answer.candidates);
            joined.wait = joined.wait.max(answer.wait);
        }
        Ok(joined)
    }
}

impl Strategy for Composed {
    fn epochs(&self) -> usize {
        self.first().epochs()
    }

    fn before_training(&mut self, probe: &mut Probe<'_>) -> Result<Answer> {
        self.join(|part| part.before_training(probe))
    }

    fn after_step(&mut self, next: Cursor, probe: &mut Probe<'_>) -> Result<Answer> {
        self.join(|part| part.after_step(next, probe))
    }

    fn after_epoch(&mut self, epoch: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        self.join(|part| part.after_epoch(epoch, probe))
    }

    fn read(&self, space: SpaceName, alphas: &[Vec<f64>], states: &[EdgeState]) -> Vec<Choice> {
        self.first().read(space, alphas, states)
    }

    fn mixture(&self, epoch: usize) -> Option<Rc<dyn MixtureRule>> {
        self.0.iter().find_map(|part| part.mixture(epoch))
    }

    fn learns_alphas(&self) -> bool {
        self.first().learns_alphas()
    }

    fn path(&self, space: SpaceName, key: Key) -> Option<Cells> {
        self.first().path(space, key)
    }

    fn stretch(&self, epoch: usize, epochs: usize) -> Stretch {
        self.first().stretch(epoch, epochs)
    }

    fn penalty(&self, epoch: usize) -> Option<Penalty> {
        let parts: Vec<Penalty> = self.0.iter().filter_map(|part| part.penalty(epoch)).collect();
        let sum = move |alphas: &Alphas| -> Tensor { parts.iter().map(|part| part(alphas)).sum() };
        self.0.iter().any(|part| part.penalty(epoch).is_some()).then(|| Rc::new(sum) as Penalty)
    }

    fn wrapping(&self) -> Option<Rc<dyn Wrapping>> {
        let parts: Vec<Rc<dyn Wrapping>> = self.0.iter().filter_map(|part| part.wrapping()).collect();
        (!parts.is_empty()).then(|| Rc::new(Nested(parts)) as Rc<dyn Wrapping>)
    }

    fn state(&self) -> Value {
        self.0.iter().map(|part| part.state()).collect()
    }

    fn restore(&mut self, state: Value) -> Result<()> {
        let states: Vec<Value> = serde_json::from_value(state)
            .map_err(|error| Error::invalid("checkpoint", "the states of several strategies", error.to_string()))?;
        if states.len() != self.0.len() {
            let expected = format!("the states of {} strategies", self.0.len());
            return Err(Error::invalid("checkpoint", expected, states.len().to_string()));
        }
        self.0.iter_mut().zip(states).try_for_each(|(part, state)| part.restore(state))
    }
}

/// Wrappings around each other, the first innermost.
struct Nested(Vec<Rc<dyn Wrapping>>);

impl Wrapping for Nested {
    fn around(&self, primitive: &str, input: &Tensor, output: Tensor, mode: Mode) -> Tensor {
        self.0.iter().fold(output, |output, part| part.around(primitive, input, output, mode))
    }
}

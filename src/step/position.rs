//! Where a run stands, as checkpoints keep it.

use super::{MOST_ROLLBACKS, Watches};
use crate::checkpoint::{Checkpoint, Cursor};
use crate::error::{Error, Result};
use crate::task::{Meter, Task};
use serde::{Deserialize, Serialize};

/// The tensor with the meter of an epoch that stopped.
const METER: &str = "meter";

/// Where a run stands, and what it has of the epoch that it stopped in.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// The step that comes next.
    pub cursor: Cursor,
    /// What the steps of its epoch came to; none where none was made.
    pub begun: Option<Begun>,
    /// The places that the run went back to: from each on, the samples that were left of its epoch have another order.
    pub rollbacks: Vec<Cursor>,
    /// How many processes share the run, whose steps these are.
    pub world: usize,
}

impl Default for Position {
    fn default() -> Self {
        Self { cursor: Cursor::default(), begun: None, rollbacks: Vec::new(), world: 1 }
    }
}

/// What some first steps of an epoch came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// Losses and predictions.
    pub meter: Meter,
    /// Gradients, loss scaling, phases.
    pub watches: Watches,
    /// Their wall time in seconds.
    pub seconds: f64,
}

/// What is not a tensor, among the counters of a run. After a whole epoch it is `next_epoch` alone.
#[derive(Serialize, Deserialize)]
struct Counters {
    next_epoch: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<BegunCounters>,
    /// As (epoch, step).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rollbacks: Vec<(usize, usize)>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    world: usize,
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_one(world: &usize) -> bool {
    *world == 1
}

#[derive(Serialize, Deserialize)]
struct BegunCounters {
    next_step: usize,
    watches: Watches,
    seconds: f64,
}

impl Position {
    /// Adds itself to a checkpoint, whose state is an object.
    pub fn keep_in(&self, checkpoint: &mut Checkpoint) {
        let begun = self.begun.as_ref().map(|Begun { watches, seconds, .. }| BegunCounters {
            next_step: self.cursor.step,
            watches: watches.clone(),
            seconds: *seconds,
        });
        let rollbacks = self.rollbacks.iter().map(|at| (at.epoch, at.step)).collect();
        let counters = Counters { next_epoch: self.cursor.epoch, begun, rollbacks, world: self.world };
        let counters = serde_json::to_value(counters).expect("counters are plain data");
        let state = checkpoint.state.as_object_mut().expect("the state of a run is an object");
        state.extend(counters.as_object().expect("a struct is an object").clone());
        if let Some(begun) = &self.begun {
            checkpoint.tensors.insert(METER.to_owned(), begun.meter.numbers());
        }
    }

    /// What [`Self::keep_in`] added to the checkpoint of a run of this task.
    ///
    /// # Errors
    /// A checkpoint without it, or of another task, with `origin` (the file) as its place.
    pub fn kept_in(checkpoint: &Checkpoint, task: Task, origin: &str) -> Result<Self> {
        let Counters { next_epoch, begun, rollbacks, world } = serde_json::from_value(checkpoint.state.clone())
            .map_err(|error| Error::invalid(origin, "the state of a run", error.to_string()))?;
        let rollbacks = rollbacks.into_iter().map(|(epoch, step)| Cursor { epoch, step }).collect();
        let Some(BegunCounters { next_step, watches, seconds }) = begun else {
            return Ok(Self { cursor: Cursor { epoch: next_epoch, step: 0 }, begun: None, rollbacks, world });
        };
        let numbers = checkpoint.tensor(METER, origin)?;
        let meter = Meter::from_numbers(task, numbers).ok_or_else(|| {
            let found = format!("{:?} numbers", numbers.size());
            Error::invalid(format!("{origin}: {METER}"), "what the run's task counts", found)
        })?;
        let cursor = Cursor { epoch: next_epoch, step: next_step };
        Ok(Self { cursor, begun: Some(Begun { meter, watches, seconds }), rollbacks, world })
    }

    /// The same place for so many processes: within an epoch, at the step of theirs before which most samples have been
    /// seen. Fewer than a step's samples come twice.
    pub fn shared_by(&mut self, world: usize) {
        let was = std::mem::replace(&mut self.world, world);
        let moved = |at: &mut Cursor| at.step = at.step * was / world;
        moved(&mut self.cursor);
        self.rollbacks.iter_mut().for_each(moved);
    }

    /// Goes on here with the epoch's other samples in another order.
    ///
    /// # Errors
    /// An epoch that was gone back to too often.
    pub fn roll_back(&mut self) -> Result<()> {
        if self.reorders(self.cursor.epoch).len() >= MOST_ROLLBACKS {
            return Err(Error::run(format!("the run went back {MOST_ROLLBACKS} times in epoch {}", self.cursor.epoch))
                .with_hint("lower weights.learning_rate, set weights.clip, or compute without --amp"));
        }
        self.rollbacks.push(self.cursor);
        Ok(())
    }

    /// The steps of an epoch from which on its samples have another order.
    pub fn reorders(&self, epoch: usize) -> Vec<usize> {
        self.rollbacks.iter().filter(|at| at.epoch == epoch).map(|at| at.step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn what_earlier_versions_kept_is_read() {
        let state = json!({ "next_epoch": 7, "best_score": 0.5 });
        let checkpoint = Checkpoint { tensors: BTreeMap::new(), state };
        let position = Position::kept_in(&checkpoint, Task::Classify { classes: 2 }, "checkpoint").unwrap();
        assert_eq!(position, Position { cursor: Cursor { epoch: 7, step: 0 }, ..Position::default() });
        let mut kept = Checkpoint { tensors: BTreeMap::new(), state: json!({ "best_score": 0.5 }) };
        position.keep_in(&mut kept);
        assert_eq!(kept.state, checkpoint.state);
    }
}

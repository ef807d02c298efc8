//! How many random cells are trained, for how long, and how many of them go on: the section `[search.candidates]`.

use crate::bounds;
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// `[search.candidates]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CandidateConfig {
    /// Cells; absent: 1 for `random`, which then trains nothing, 100 for `most-params`, 16 for `successive-halving`, 20
    /// for `predictor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<usize>,
    /// Epochs of each training of `random` and `predictor`, and of the first rung of `successive-halving`.
    pub epochs: usize,
    /// A rung of `successive-halving` has this share of the cells of the one before, and so many times its epochs.
    pub eta: usize,
}

impl Default for CandidateConfig {
    fn default() -> Self {
        Self { cells: None, epochs: 5, eta: 2 }
    }
}

impl CandidateConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        if let Some(cells) = &self.cells {
            bounds::check("search.candidates.cells", cells, &bounds::CANDIDATES, "cells")?;
        }
        bounds::check("search.candidates.epochs", &self.epochs, &bounds::EPOCHS, "epochs")?;
        bounds::check("search.candidates.eta", &self.eta, &(2..=1000), "")
    }
}

/// Candidates that are trained for equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// How many.
    pub cells: usize,
    /// Epochs of each.
    pub epochs: usize,
}

/// The trainings of a search, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    candidates: usize,
    /// The rungs; none where nothing is trained.
    pub rungs: Vec<Rung>,
    /// Whether the cells are proposed by what those before them came to, and not drawn at once.
    predicts: bool,
}

/// One training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its number among all trainings.
    pub index: usize,
    /// Its rung.
    pub rung: usize,
    /// Its number within the rung.
    pub place: usize,
    /// The epoch of the run that is its first.
    pub first_epoch: usize,
    /// Its epochs.
    pub epochs: usize,
}

impl Plan {
    /// Candidates without a training.
    pub fn untrained(candidates: usize) -> Self {
        Self { candidates, rungs: Vec::new(), predicts: false }
    }

    /// Each candidate for so many epochs.
    pub fn each(candidates: usize, epochs: usize) -> Self {
        Self { candidates, rungs: vec![Rung { cells: candidates, epochs }], predicts: false }
    }

    /// The same, where a model of the scores so far proposes the next candidate.
    pub fn predicted(candidates: usize, epochs: usize) -> Self {
        Self { predicts: true, ..Self::each(candidates, epochs) }
    }

    /// Successive halving (Jamieson and Talwalkar 2016): of every rung one in `eta` goes on to the next, which trains
    /// `eta` times as long, until one is left.
    ///
    /// # Errors
    /// A plan of more epochs than a run may have.
    pub fn halving(candidates: usize, epochs: usize, eta: usize) -> Result<Self> {
        let mut rungs = vec![Rung { cells: candidates, epochs }];
        while let Some(Rung { cells, epochs }) = rungs.last().copied().filter(|rung| rung.cells > 1) {
            rungs.push(Rung { cells: (cells / eta).max(1), epochs: epochs.saturating_mul(eta) });
        }
        // The last cell needs no comparison.
        if rungs.len() > 1 {
            rungs.pop();
        }
        let plan = Self { candidates, rungs, predicts: false };
        plan.check()?;
        Ok(plan)
    }

    /// Refuses more epochs than a run may have.
    ///
    /// # Errors
    /// Their number.
    pub fn check(&self) -> Result<()> {
        let epochs =
            self.rungs.iter().map(|rung| rung.cells.saturating_mul(rung.epochs)).fold(0_usize, usize::saturating_add);
        match self.rungs.is_empty() || bounds::EPOCHS.contains(&epochs) {
            true => Ok(()),
            false => Err(Error::invalid(
                "search.candidates",
                format!("at most {} epochs of all cells", bounds::EPOCHS.end()),
                epochs.to_string(),
            )
            .with_hint("lower search.candidates.cells or search.candidates.epochs")),
        }
    }

    /// Cells in all.
    pub fn candidates(&self) -> usize {
        self.candidates
    }

    /// Whether a model of the scores so far proposes cells.
    pub fn predicts(&self) -> bool {
        self.predicts
    }

    /// Epochs of all trainings.
    pub fn epochs(&self) -> usize {
        self.rungs.iter().map(|rung| rung.cells * rung.epochs).sum()
    }

    /// How many trainings there are.
    pub fn trainings(&self) -> usize {
        self.rungs.iter().map(|rung| rung.cells).sum()
    }

    /// The trainings of a rung.
    pub(super) fn slots_of(&self, rung: usize) -> Range<usize> {
        let first = self.rungs[..rung].iter().map(|rung| rung.cells).sum();
        first..first + self.rungs[rung].cells
    }

    /// A training by its number. Without any there is one of no epochs, of the first candidate.
    pub(super) fn slot(&self, index: usize) -> Slot {
        self.find(|slot| slot.index + 1 > index)
    }

    /// The training that an epoch of the run belongs to; the last one for epochs after it.
    pub(super) fn slot_of_epoch(&self, epoch: usize) -> Slot {
        self.find(|slot| slot.first_epoch + slot.epochs > epoch)
    }

    fn find(&self, wanted: impl Fn(&Slot) -> bool) -> Slot {
        let mut slot = Slot { index: 0, rung: 0, place: 0, first_epoch: 0, epochs: 0 };
        for (rung, Rung { cells, epochs }) in self.rungs.iter().enumerate() {
            for place in 0..*cells {
                let index = self.slots_of(rung).start + place;
                slot = Slot {
                    index,
                    rung,
                    place,
                    first_epoch: if index == 0 { 0 } else { slot.first_epoch + slot.epochs },
                    epochs: *epochs,
                };
                if wanted(&slot) {
                    return slot;
                }
            }
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(plan: &Plan) -> Vec<(usize, usize)> {
        plan.rungs.iter().map(|rung| (rung.cells, rung.epochs)).collect()
    }

    #[test]
    fn every_rung_of_halving_costs_the_same_until_one_is_left() {
        let plan = Plan::halving(16, 5, 2).unwrap();
        assert_eq!(rungs(&plan), [(16, 5), (8, 10), (4, 20), (2, 40)]);
        assert_eq!((plan.epochs(), plan.trainings()), (4 * 80, 30));
        assert_eq!(rungs(&Plan::halving(10, 1, 3).unwrap()), [(10, 1), (3, 3)]);
        assert_eq!(rungs(&Plan::halving(1, 3, 2).unwrap()), [(1, 3)]);
        assert!(Plan::halving(100_000, 1_000, 2).is_err());
    }

    #[test]
    fn epochs_belong_to_one_training_after_the_other() {
        let plan = Plan::halving(4, 2, 2).unwrap();
        assert_eq!(rungs(&plan), [(4, 2), (2, 4)]);
        let of = |epoch| {
            let Slot { index, rung, place, first_epoch, epochs } = plan.slot_of_epoch(epoch);
            (index, rung, place, first_epoch, epochs)
        };
        assert_eq!((of(0), of(1), of(2)), ((0, 0, 0, 0, 2), (0, 0, 0, 0, 2), (1, 0, 1, 2, 2)));
        assert_eq!((of(8), of(12), of(15)), ((4, 1, 0, 8, 4), (5, 1, 1, 12, 4), (5, 1, 1, 12, 4)));
        for index in 0..plan.trainings() {
            assert_eq!(plan.slot(index).index, index);
        }
        assert_eq!(plan.slots_of(1), 4..6);
    }
}

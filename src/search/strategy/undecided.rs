//! No decisions: the cell is read off at the end (DARTS, and the random baseline).

use super::{Answer, Probe, Setting, Strategy, check_alphas};
use crate::decision::{Choice, EdgeState, read_off_best_primitive};
use crate::error::Result;
use crate::genotype::SpaceName;

struct Undecided {
    epochs: usize,
}

/// As long a search as one by SGAS.
pub(super) fn darts(setting: &Setting) -> Box<dyn Strategy> {
    Box::new(Undecided { epochs: setting.decision.epochs(setting.space.topology()) })
}

/// Nothing is trained.
pub(super) fn random(_: &Setting) -> Box<dyn Strategy> {
    Box::new(Undecided { epochs: 0 })
}

impl Strategy for Undecided {
    fn epochs(&self) -> usize {
        self.epochs
    }

    fn after_epoch(&mut self, epoch: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        check_alphas(epoch, probe)?;
        Ok(Answer::default())
    }

    fn read(&self, space: SpaceName, alphas: &[Vec<f64>], _: &[EdgeState]) -> Vec<Choice> {
        read_off_best_primitive(space.topology(), alphas)
    }
}

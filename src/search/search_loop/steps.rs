//! How many steps a search takes, and what its steps draw their shares by.

use super::{Search, SearchData, SearchSettings};
use crate::checkpoint::Cursor;
use crate::data::EpochPlan;
use crate::tensor::random::{Key, Purpose};

/// The least distance that alphas must be able to go: then the shares of two primitives can differ by a fifth.
const LEAST_DISTANCE: f64 = 0.1;

impl Search<'_> {
    /// An epoch that goes once through the training samples, before batches grow.
    fn one_pass(&self) -> EpochPlan {
        let SearchSettings { search, processes, .. } = self.settings;
        EpochPlan::training(self.key(0), search.batch, false).shared(processes.share())
    }

    /// How often an epoch goes through the training samples.
    pub(super) fn passes(&self, data: &SearchData) -> usize {
        data.train.passes(&self.one_pass(), self.epochs(), self.settings.search.steps)
    }

    /// Warns where no alpha can move far enough to matter: a step of Adam is about the learning rate at most.
    pub(super) fn warn_of_few_steps(&self, data: &SearchData) {
        let steps = self.epochs() * data.train.steps(&self.one_pass().repeated(self.passes(data))).max(1);
        let rate = self.settings.alphas.learning_rate;
        let distance = steps as f64 * rate;
        if distance < LEAST_DISTANCE {
            let enough = (LEAST_DISTANCE / rate).ceil();
            tracing::warn!(
                "the search takes {steps} steps, in which no alpha moves further than about {distance:.2} at \
                 alphas.learning_rate = {rate}: decisions rest on little more than the initial draw. Take more steps: \
                 --set search.steps={enough}"
            );
        }
    }

    /// What a step gives whose mixture is drawn by the key of this purpose, where the rule draws: the same in all
    /// processes, which share the step.
    pub(super) fn drawing<R>(&mut self, purpose: Purpose, at: Cursor, step: impl FnOnce(&mut Self) -> R) -> R {
        let key = Key::new(self.settings.seed, purpose).at(at.epoch as u64, at.step as u64);
        self.model.alphas_mut().draw_by(Some(key));
        let outcome = step(self);
        self.model.alphas_mut().draw_by(None);
        outcome
    }
}

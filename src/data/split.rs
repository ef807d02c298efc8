//! Splits of a data set, and the validation share that is held out of the training data.

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tensor::random::{Key, Purpose};

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What weights are trained on.
    Train,
    /// What was held out of the training data.
    Validation,
    /// The set's own test data.
    Test,
}

impl Split {
    /// All, in the order in which they are used.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The split's name in commands and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Which training samples are held out for validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// A random share of every class.
    #[default]
    Stratified,
    /// The last ones in the order of the files.
    Last,
}

/// The shares by which a set is divided where it does not say itself what is for what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shares {
    /// What is used of the samples for training.
    pub training: f64,
    /// What of that is held out for validation.
    pub validation: f64,
    /// What is for testing.
    pub test: f64,
    /// Seed of the set's own division, which is not the run's.
    pub seed: u64,
}

impl Shares {
    /// The positions of the training samples that are used.
    pub fn used(&self, labels: &[usize]) -> Vec<usize> {
        used(labels, self.training, Key::new(self.seed, Purpose::Subset))
    }

    /// Marks the samples for testing.
    pub fn tested(&self, labels: &[usize]) -> Vec<bool> {
        hold_out(labels, self.test, Key::new(self.seed, Purpose::TestSplit))
    }

    /// How these came about, `of` being what there was to choose from.
    pub fn tested_in_words(&self, of: &str) -> String {
        format!("test_share {} of {of}, split_seed {}", self.test, self.seed)
    }

    /// Marks the samples of a run of this seed that are held out for validation.
    pub fn held_out(&self, labels: &[usize], seed: u64) -> Vec<bool> {
        hold_out(labels, self.validation, Key::new(seed, Purpose::Split))
    }
}

/// The positions of a random `share` of every class, in their order; all for a share of 1.
pub fn used(labels: &[usize], share: f64, key: Key) -> Vec<usize> {
    let left_out = hold_out(labels, 1.0 - share, key);
    (0..labels.len()).filter(|index| !left_out[*index]).collect()
}

/// Marks a random `share` of every class, rounded, and of a class with several samples at least one and never
/// all, so that both parts know all classes.
pub fn hold_out(labels: &[usize], share: f64, key: Key) -> Vec<bool> {
    let mut marks = vec![false; labels.len()];
    let classes = labels.iter().max().map_or(0, |most| most + 1);
    for class in 0..classes {
        let mut members: Vec<usize> = (0..labels.len()).filter(|index| labels[*index] == class).collect();
        members.shuffle(&mut key.at(0, class as u64).generator());
        for index in members.iter().take(held_out_count(members.len(), share)) {
            marks[*index] = true;
        }
    }
    marks
}

/// Marks the last `share` of the samples, rounded, at least one and never all.
pub fn hold_out_last(samples: usize, share: f64) -> Vec<bool> {
    let kept = samples - held_out_count(samples, share);
    (0..samples).map(|index| index >= kept).collect()
}

fn held_out_count(members: usize, share: f64) -> usize {
    if share == 0.0 || members < 2 {
        return 0;
    }
    ((members as f64 * share).round() as usize).clamp(1, members - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::random::Purpose;

    #[test]
    fn the_held_out_share_is_stratified_and_seeded() {
        let labels: Vec<usize> = (0..100).map(|i| usize::from(i >= 20)).collect();
        let key = |seed| Key::new(seed, Purpose::Split);
        let marks = hold_out(&labels, 0.1, key(1));
        let held = |class| (0..100).filter(|i| marks[*i] && labels[*i] == class).count();
        assert_eq!((held(0), held(1)), (2, 8));
        assert_eq!(marks, hold_out(&labels, 0.1, key(1)));
        assert_ne!(marks, hold_out(&labels, 0.1, key(2)));
        assert!(!hold_out(&labels, 0.0, key(1)).contains(&true));
    }

    #[test]
    fn a_share_is_used_of_every_class_in_the_order_of_the_samples() {
        let labels: Vec<usize> = (0..100).map(|i| i % 5).collect();
        let key = Key::new(1, Purpose::Subset);
        let kept = used(&labels, 0.2, key);
        assert!(kept.is_sorted() && kept == used(&labels, 0.2, key));
        assert!((0..5).all(|class| kept.iter().filter(|i| labels[**i] == class).count() == 4));
        assert_eq!(used(&labels, 1.0, key), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_samples_are_held_out_in_order() {
        assert_eq!(hold_out_last(5, 0.4), [false, false, false, true, true]);
        assert_eq!(hold_out_last(3, 0.99), [false, true, true]);
        assert_eq!(hold_out_last(2, 0.0), [false, false]);
    }

    #[test]
    fn no_class_is_lost_on_either_side() {
        assert_eq!(held_out_count(2, 0.01), 1);
        assert_eq!(held_out_count(2, 0.99), 1);
        assert_eq!(held_out_count(1, 0.5), 0);
        assert_eq!(held_out_count(9, 0.5), 5);
    }
}

//! A set of labelled samples, whatever they are, with its splits.

use std::sync::Arc;

use super::loader::Samples;
use super::split::Split;

/// A set with its splits, as commands see it.
pub struct Dataset {
    /// What weights are trained on.
    pub train: Arc<dyn Samples>,
    /// What was held out of the training data, where a share was asked for.
    pub validation: Option<Arc<dyn Samples>>,
    /// The set's own test data, or what was held out as such.
    pub test: Arc<dyn Samples>,
    /// Names of the classes, or of the labels where there are several, in their order.
    pub classes: Vec<String>,
    /// Several labels, each of which holds or not, instead of one of several classes.
    pub multi_label: bool,
    /// What has a class or labels: `samples`, or the `nodes` of graphs.
    pub unit: &'static str,
    /// Numbers per point, pixel or node that the network takes.
    pub channels: i64,
    /// Where the samples come from, and what was done to them, in words.
    pub origin: String,
}

impl Dataset {
    /// The split, where there is one.
    pub fn split(&self, split: Split) -> Option<&Arc<dyn Samples>> {
        match split {
            Split::Train => Some(&self.train),
            Split::Validation => self.validation.as_ref(),
            Split::Test => Some(&self.test),
        }
    }

    /// One line: where the samples come from and how many there are; synthetic data says that it is.
    pub fn description(&self) -> String {
        let held_out = self.validation.as_ref().map_or(0, |samples| samples.targets());
        let (classes, train, test) = (self.classes.len(), self.train.targets(), self.test.targets());
        let (what, unit) = (if self.multi_label { "labels" } else { "classes" }, self.unit);
        format!("{}: {classes} {what}, {train} training, {held_out} validation, {test} test {unit}", self.origin)
    }
}

//! A set of labelled samples, whatever they are, with its splits.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::loader::Samples;
use super::split::Split;

/// What the samples of a set are labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Targets {
    /// One of several classes each, a sample or a node.
    #[default]
    Classes,
    /// Several labels, each of which holds or not.
    Labels,
    /// One of several classes for every point.
    PointClasses,
}

impl Targets {
    /// True for one of several classes of whole samples, what `run.json` leaves unsaid.
    pub fn are_classes(&self) -> bool {
        *self == Self::Classes
    }

    /// What the names stand for, in the plural.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Classes | Self::PointClasses => "classes",
            Self::Labels => "labels",
        }
    }
}

/// What recipes for graphs with few labels are called.
pub const FEW_LABELS: &str = "few-labels";

/// What recipes for small sets of shapes or pictures are called.
pub const SMALL: &str = "small";

/// The names of all variants of recipes.
pub const VARIANTS: [&str; 2] = [FEW_LABELS, SMALL];

/// A recipe that suits a set better than the usual one of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// What configurations of it are called, after the task and a hyphen.
    pub name: &'static str,
    /// What it follows from, in words.
    pub why: String,
}

impl Variant {
    /// The recipe for small sets, where `samples` that are not for testing are fewer than `enough`: half of those that the
    /// usual recipe was published for. `plural` names them.
    pub(super) fn small(samples: usize, enough: usize, plural: &str) -> Option<Self> {
        let why = || format!("{samples} {plural} for training and validation, fewer than {enough}");
        (samples < enough).then(|| Self { name: SMALL, why: why() })
    }

    /// As it is told of a set that is looked at.
    pub(super) fn told(&self) -> String {
        format!("{}: {}", self.name, self.why)
    }
}

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
    /// What its samples are labelled with.
    pub targets: Targets,
    /// What has a class or labels: `samples`, the `nodes` of graphs, or the `points` of clouds.
    pub unit: &'static str,
    /// Numbers per point, pixel or node that the network takes.
    pub channels: i64,
    /// Where the samples come from, and what was done to them, in words.
    pub origin: String,
    /// The recipe that suits it better than the usual one, where there is one.
    pub variant: Option<Variant>,
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
        let (what, unit) = (self.targets.plural(), self.unit);
        format!("{}: {classes} {what}, {train} training, {held_out} validation, {test} test {unit}", self.origin)
    }
}

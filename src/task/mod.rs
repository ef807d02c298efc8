//! Tasks: which loss a network learns by and how its output is scored. What differs between tasks in the loops
//! stands here and in the configuration, not in the loops.

mod classify;
mod meter;
mod multilabel;
pub mod objective;
mod segment;
mod tally;

pub use classify::Confusion;
pub use meter::{Meter, Scores, TOP_ACCURACY};
pub use multilabel::{LabelCounts, LabelScores};
pub use objective::ObjectiveName;
pub use segment::Overlap;
pub use tally::Tally;

pub use crate::batch::IGNORED;

use crate::tensor::precision::at_least_single;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Reduction, Tensor};

/// Loss and scores of one pass over a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean loss per sample.
    pub loss: f64,
    /// The task's score by which weights are chosen, a fraction in 0..=1 where greater is better
    /// (classification: overall accuracy; several labels: micro-F1 of all nodes and labels pooled; segmentation: mean
    /// intersection over union).
    pub score: f64,
    /// Further named scores, fractions (classification: `mean_class_accuracy`, and `top5_accuracy` where there are
    /// more than five classes; several labels: `macro_f1`, and the published code's `graph_mean_micro_f1`;
    /// segmentation: `overall_accuracy`, `mean_class_accuracy`, and the published code's `published_mean_iou`).
    pub others: Vec<(String, f64)>,
}

/// What a network is trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// One of several classes per sample.
    Classify {
        /// The number of classes.
        classes: usize,
    },
    /// Several labels per node, each of which holds or not.
    MultiLabel {
        /// The number of labels.
        labels: usize,
    },
    /// One of several classes for every point of a cloud.
    Segment {
        /// The number of classes.
        classes: usize,
    },
}

impl Task {
    /// The loss of scores (B, classes), of points (B·N, classes), against `target`, 0-dimensional, in fp32: call it outside autocast.
    pub fn loss(self, logits: &Tensor, target: &Tensor) -> Tensor {
        self.training_loss(logits, target, 0.0, None)
    }

    /// The loss that a training step descends: the same, with a share `smoothing` of every target spread evenly over
    /// all classes (Szegedy et al. 2016), or, of a label that holds or not, over both. With `weights`, fp32 (classes), it
    /// is the mean weighted by those of the targets' classes; of labels that of those that hold is multiplied by them.
    pub fn training_loss(self, logits: &Tensor, target: &Tensor, smoothing: f64, weights: Option<&Tensor>) -> Tensor {
        let logits = logits.to_kind(at_least_single(logits.kind()));
        let weight = weights.map(|weights| weights.to_kind(logits.kind()));
        match self {
            Self::Classify { .. } if smoothing > 0.0 || weight.is_some() => {
                logits.cross_entropy_loss(target, weight.as_ref(), Reduction::Mean, IGNORED, smoothing)
            }
            Self::Classify { .. } => logits.cross_entropy_for_logits(target),
            // The mean over what counts; of a batch in which nothing does, 0.
            Self::Segment { .. } => {
                let sum = logits.cross_entropy_loss(target, weight.as_ref(), Reduction::Sum, IGNORED, smoothing);
                let counted = target.not_equal(IGNORED);
                match &weight {
                    None => sum / counted.sum(Kind::Float).clamp_min(1.0),
                    Some(weight) => {
                        let of_targets = weight.index_select(0, &target.clamp_min(0)) * counted;
                        sum / of_targets.sum(logits.kind()).clamp_min(f64::from(f32::MIN_POSITIVE))
                    }
                }
            }
            Self::MultiLabel { .. } if smoothing > 0.0 => {
                let target = target * (1.0 - smoothing) + 0.5 * smoothing;
                logits.binary_cross_entropy_with_logits(&target, None::<&Tensor>, weight.as_ref(), Reduction::Mean)
            }
            Self::MultiLabel { .. } => {
                logits.binary_cross_entropy_with_logits(target, None::<&Tensor>, weight.as_ref(), Reduction::Mean)
            }
        }
    }

    /// What [`Self::training_loss`] is a mean over, 0-dimensional: samples, points that count, or their weights.
    pub fn counted(self, target: &Tensor, weights: Option<&Tensor>) -> Tensor {
        let all = || Tensor::full([], target.size()[0], (Kind::Float, target.device()));
        let of_targets = |weights: &Tensor| weights.index_select(0, &target.clamp_min(0));
        match (self, weights) {
            (Self::MultiLabel { .. }, _) | (Self::Classify { .. }, None) => all(),
            (Self::Classify { .. }, Some(weights)) => of_targets(weights).sum(Kind::Float),
            (Self::Segment { .. }, None) => target.not_equal(IGNORED).sum(Kind::Float),
            (Self::Segment { .. }, Some(weights)) => (of_targets(weights) * target.not_equal(IGNORED)).sum(Kind::Float),
        }
    }

    /// Probabilities of the classes or labels (B, classes) in fp64, from scores of that shape.
    pub fn probabilities(self, logits: &Tensor) -> Tensor {
        match self {
            Self::Classify { .. } | Self::Segment { .. } => logits.softmax(-1, Kind::Double),
            Self::MultiLabel { .. } => logits.to_kind(Kind::Double).sigmoid(),
        }
    }

    /// The score by which weights are chosen, in the user's words.
    pub fn score_name(self) -> &'static str {
        match self {
            Self::Classify { .. } => "accuracy",
            Self::MultiLabel { .. } => "micro-F1",
            Self::Segment { .. } => "mean IoU",
        }
    }

    /// An empty tally of batches on `device`.
    pub fn tally(self, device: Device) -> Tally {
        Tally::new(self, device)
    }
}

//! Tasks: which loss a network learns by and how its output is scored. What differs between tasks in the loops
//! stands here and in the configuration, not in the loops.

mod classify;

pub use classify::Confusion;

use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

/// A class that no target has: libtorch leaves such samples out of the loss.
const IGNORED: i64 = -100;

/// The guesses of which one must be right for the second score of many classes.
const TOP: usize = 5;

/// The name of that score.
pub const TOP_ACCURACY: &str = "top5_accuracy";

/// Loss and scores of one pass over a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean loss per sample.
    pub loss: f64,
    /// The task's score by which weights are chosen, a fraction in 0..=1 where greater is better
    /// (classification: overall accuracy).
    pub score: f64,
    /// Further named scores, fractions (classification: `mean_class_accuracy`, and
    /// `top5_accuracy` where there are more than five classes).
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
}

impl Task {
    /// The loss of scores (B, classes) against `target`, 0-dimensional, in fp32: call it outside autocast.
    pub fn loss(self, logits: &Tensor, target: &Tensor) -> Tensor {
        match self {
            Self::Classify { .. } => logits.to_kind(Kind::Float).cross_entropy_for_logits(target),
        }
    }

    /// The loss that a training step descends: the same, with a share `smoothing` of every target spread evenly over
    /// all classes (Szegedy et al. 2016).
    pub fn training_loss(self, logits: &Tensor, target: &Tensor, smoothing: f64) -> Tensor {
        match self {
            Self::Classify { .. } if smoothing > 0.0 => {
                let weight = None::<&Tensor>;
                logits.to_kind(Kind::Float).cross_entropy_loss(target, weight, Reduction::Mean, IGNORED, smoothing)
            }
            Self::Classify { .. } => self.loss(logits, target),
        }
    }

    /// Probabilities of the classes (B, classes) in fp64, from scores of that shape.
    pub fn probabilities(self, logits: &Tensor) -> Tensor {
        match self {
            Self::Classify { .. } => logits.softmax(-1, Kind::Double),
        }
    }

    /// An empty meter.
    pub fn meter(self) -> Meter {
        match self {
            Self::Classify { classes } => {
                let top = (classes > TOP).then_some(0);
                Meter { confusion: Confusion::new(classes), top, loss_sum: 0.0, samples: 0 }
            }
        }
    }
}

/// Collects losses and predictions over a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    confusion: Confusion,
    /// Samples whose class is among the five best; of fewer classes that says nothing.
    top: Option<usize>,
    loss_sum: f64,
    samples: usize,
}

impl Meter {
    /// Adds a batch with its mean loss.
    pub fn add(&mut self, logits: &Tensor, target: &Tensor, loss: f64) {
        let predicted = indices(&logits.argmax(-1, false));
        let actual = indices(target);
        self.loss_sum += loss * actual.len() as f64;
        self.samples += actual.len();
        if let Some(top) = &mut self.top {
            *top += among_the_best(logits, target);
        }
        for (&actual, &predicted) in actual.iter().zip(&predicted) {
            self.confusion.add(actual, predicted);
        }
    }

    /// Who was taken for whom.
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }

    /// The scores so far.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            loss: self.loss_sum / self.samples.max(1) as f64,
            score: self.confusion.overall_accuracy(),
            others: [
                ("mean_class_accuracy", Some(self.confusion.mean_class_accuracy())),
                (TOP_ACCURACY, self.top_accuracy()),
            ]
            .into_iter()
            .filter_map(|(name, score)| Some((name.to_owned(), score?)))
            .collect(),
        }
    }

    /// The share of samples whose class is among the five with the greatest scores, where there are more classes.
    pub fn top_accuracy(&self) -> Option<f64> {
        self.top.map(|top| top as f64 / self.samples.max(1) as f64)
    }
}

/// The samples whose class is among the five with the greatest scores.
fn among_the_best(logits: &Tensor, target: &Tensor) -> usize {
    let (_, best) = logits.topk(TOP as i64, -1, true, false);
    let hits = best.eq_tensor(&target.unsqueeze(-1)).sum(Kind::Int64).int64_value(&[]);
    usize::try_from(hits).expect("a count")
}

fn indices(tensor: &Tensor) -> Vec<usize> {
    let values = Vec::<i64>::try_from(tensor).expect("classes are int64 (B)");
    values.into_iter().map(|class| usize::try_from(class).expect("loaders check classes")).collect()
}

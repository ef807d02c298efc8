//! Tasks: which loss a network learns by and how its output is scored. What differs between tasks in the loops
//! stands here and in the configuration, not in the loops.

mod classify;

pub use classify::Confusion;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Loss and scores of one pass over a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean loss per sample.
    pub loss: f64,
    /// The task's score by which weights are chosen, a fraction in 0..=1 where greater is better
    /// (classification: overall accuracy).
    pub score: f64,
    /// Further named scores, fractions (classification: `mean_class_accuracy`).
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

    /// Probabilities of the classes (B, classes) in fp64, from scores of that shape.
    pub fn probabilities(self, logits: &Tensor) -> Tensor {
        match self {
            Self::Classify { .. } => logits.softmax(-1, Kind::Double),
        }
    }

    /// An empty meter.
    pub fn meter(self) -> Meter {
        match self {
            Self::Classify { classes } => Meter { confusion: Confusion::new(classes), loss_sum: 0.0, samples: 0 },
        }
    }
}

/// Collects losses and predictions over a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    confusion: Confusion,
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
            others: vec![("mean_class_accuracy".to_owned(), self.confusion.mean_class_accuracy())],
        }
    }
}

fn indices(tensor: &Tensor) -> Vec<usize> {
    let values = Vec::<i64>::try_from(tensor).expect("classes are int64 (B)");
    values.into_iter().map(|class| usize::try_from(class).expect("loaders check classes")).collect()
}

//! Loss and metrics of a pass, of what a [`Tally`](super::Tally) counted.

use crate::task::{Confusion, LabelScores, Metrics, Overlap};

/// The name of that score.
pub const TOP_ACCURACY: &str = "top5_accuracy";

/// Loss and predictions of a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    scores: Scores,
    loss_sum: f64,
    samples: usize,
}

/// What is counted for a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Scores {
    /// Of classes.
    Classes {
        /// Who was taken for whom.
        confusion: Confusion,
        /// Samples whose class is among the five best; of fewer classes that says nothing.
        top: Option<usize>,
    },
    /// Of labels that hold or not.
    Labels(LabelScores),
    /// Of classes of points.
    Points(Overlap),
}

impl Meter {
    pub(super) fn new(scores: Scores, loss_sum: f64, samples: usize) -> Self {
        Self { scores, loss_sum, samples }
    }

    /// What was counted.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// The samples: clouds, images, nodes, points that count.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The metrics.
    pub fn metrics(&self) -> Metrics {
        let (score, others) = match &self.scores {
            Scores::Classes { confusion, .. } => {
                let top = self.top_accuracy().map(|accuracy| (TOP_ACCURACY, accuracy));
                let others = [("mean_class_accuracy", confusion.mean_class_accuracy())].into_iter().chain(top);
                (confusion.overall_accuracy(), others.collect::<Vec<_>>())
            }
            Scores::Labels(labels) => {
                let others =
                    vec![("macro_f1", labels.macro_f1()), ("graph_mean_micro_f1", labels.graph_mean_micro_f1())];
                (labels.micro_f1(), others)
            }
            Scores::Points(overlap) => {
                let confusion = overlap.confusion();
                let others = vec![
                    ("overall_accuracy", confusion.overall_accuracy()),
                    ("mean_class_accuracy", confusion.mean_class_accuracy()),
                    ("published_mean_iou", overlap.published_mean_iou()),
                ];
                (overlap.mean_iou(), others)
            }
        };
        Metrics {
            loss: self.loss_sum / self.samples.max(1) as f64,
            score,
            others: others.into_iter().map(|(name, score)| (name.to_owned(), score)).collect(),
        }
    }

    /// The share of samples whose class is among the five with the greatest scores, where there are more classes.
    pub fn top_accuracy(&self) -> Option<f64> {
        match &self.scores {
            Scores::Classes { top, .. } => top.map(|top| top as f64 / self.samples.max(1) as f64),
            Scores::Labels(_) | Scores::Points(_) => None,
        }
    }
}

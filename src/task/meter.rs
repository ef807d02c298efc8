//! Loss and metrics of a pass, of what a [`Tally`](super::Tally) counted. All of it is sums, so that meters of parts
//! join to that of the whole, and a checkpoint can keep the meter of a pass that stopped.

use crate::dist::{Processes, Share};
use crate::error::Result;
use crate::task::{Confusion, LabelScores, Metrics, Overlap, Task};
use tch::Tensor;

/// The guesses of which one must be right for the second metric of classes, where there are more.
pub(super) const TOP: usize = 5;

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

    /// Nothing counted yet.
    fn empty(task: Task) -> Self {
        let scores = match task {
            Task::Classify { classes } => Scores::classes(classes),
            Task::MultiLabel { labels } => Scores::Labels(LabelScores::new(labels)),
            Task::Segment { classes } => Scores::Points(Overlap::new(classes)),
        };
        Self::new(scores, 0.0, 0)
    }

    /// All sums in one row, fp64 (n): counts below 2^53 are exact in it.
    pub fn numbers(&self) -> Tensor {
        let counts: Vec<f64> = match &self.scores {
            Scores::Classes { confusion, top } => {
                let top = top.iter().map(|top| *top as f64);
                top.chain(numbers(confusion)).collect()
            }
            Scores::Labels(labels) => labels.numbers(),
            Scores::Points(overlap) => numbers(overlap.confusion()).collect(),
        };
        Tensor::from_slice(&[&[self.loss_sum, self.samples as f64], &counts[..]].concat())
    }

    /// The meter that gave these [`Self::numbers`]; none where a task has others.
    pub fn from_numbers(task: Task, numbers: &Tensor) -> Option<Self> {
        let empty = Self::empty(task);
        let row = Vec::<f64>::try_from(numbers).ok()?;
        (empty.numbers().size() == numbers.size()).then(|| empty.with(&row))
    }

    /// One of the same task with these sums.
    fn with(&self, row: &[f64]) -> Self {
        let (loss_sum, samples, counts) = (row[0], row[1] as usize, &row[2..]);
        let scores = match &self.scores {
            Scores::Classes { confusion, top } => {
                let (best, pairs) = counts.split_at(usize::from(top.is_some()));
                let confusion = confusion_of(confusion.counts().len(), pairs);
                Scores::Classes { confusion, top: best.first().map(|count| *count as usize) }
            }
            Scores::Labels(_) => Scores::Labels(LabelScores::from_numbers(counts)),
            Scores::Points(overlap) => {
                let classes = overlap.confusion().counts().len();
                let mut overlap = Overlap::new(classes);
                overlap.add(confusion_of(classes, counts).counts());
                Scores::Points(overlap)
            }
        };
        Self::new(scores, loss_sum, samples)
    }

    /// Adds what another meter of the same task counted.
    pub fn join(&mut self, other: &Self) {
        self.set(&(self.numbers() + other.numbers()));
    }

    /// Joins the meters of all processes; of one alone it stays as it is.
    ///
    /// # Errors
    /// A process that can't be reached.
    pub fn all_reduce(&mut self, processes: &Processes) -> Result<()> {
        if processes.share() == Share::WHOLE {
            return Ok(());
        }
        let mut sums = self.numbers();
        processes.all_reduce(&mut sums)?;
        self.set(&sums);
        Ok(())
    }

    fn set(&mut self, numbers: &Tensor) {
        *self = self.with(&Vec::try_from(numbers).expect("numbers are fp64"));
    }

    /// What was counted.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// Σ over batches of mean loss · samples.
    pub(super) fn loss_sum(&self) -> f64 {
        self.loss_sum
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

impl Scores {
    /// Of so many classes, without samples.
    fn classes(classes: usize) -> Self {
        Self::Classes { confusion: Confusion::new(classes), top: (classes > TOP).then_some(0) }
    }
}

fn numbers(confusion: &Confusion) -> impl Iterator<Item = f64> {
    confusion.counts().iter().flatten().map(|count| *count as f64)
}

fn confusion_of(classes: usize, numbers: &[f64]) -> Confusion {
    let row = |row: &[f64]| row.iter().map(|count| *count as u64).collect();
    let mut confusion = Confusion::new(classes);
    confusion.add_counts(&numbers.chunks_exact(classes).map(row).collect::<Vec<_>>());
    confusion
}

//! Collects losses and predictions over a pass.

use crate::batch::Batch;
use crate::task::{Confusion, IGNORED, LabelCounts, LabelScores, Metrics, Overlap, Task};
use tch::{Device, Kind, Tensor};

/// The guesses of which one must be right for the second score of many classes.
const TOP: usize = 5;

/// The name of that score.
pub const TOP_ACCURACY: &str = "top5_accuracy";

/// Loss and predictions so far.
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
    pub(super) fn new(task: Task) -> Self {
        let scores = match task {
            Task::Classify { classes } => {
                Scores::Classes { confusion: Confusion::new(classes), top: (classes > TOP).then_some(0) }
            }
            Task::MultiLabel { labels } => Scores::Labels(LabelScores::new(labels)),
            Task::Segment { classes } => Scores::Points(Overlap::new(classes)),
        };
        Self { scores, loss_sum: 0.0, samples: 0 }
    }

    /// Adds a batch with its scores (B, classes) and mean loss.
    pub fn add(&mut self, logits: &Tensor, batch: &Batch, loss: f64) {
        let before = self.samples;
        self.samples += match &mut self.scores {
            Scores::Classes { confusion, top } => {
                if let Some(top) = top {
                    *top += among_the_best(logits, batch.target());
                }
                for (actual, predicted) in indices(batch.target()).into_iter().zip(indices(&logits.argmax(-1, false))) {
                    confusion.add(actual, predicted);
                }
                batch.len()
            }
            Scores::Labels(scores) => {
                add_labels(scores, logits, batch);
                batch.len()
            }
            Scores::Points(overlap) => add_points(overlap, logits, batch.target()),
        };
        self.loss_sum += loss * (self.samples - before) as f64;
    }

    /// What was counted.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// The samples so far: clouds, images, nodes, points that count.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The scores so far.
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

/// Counted where the target says that a point counts; gives the number of those.
fn add_points(overlap: &mut Overlap, logits: &Tensor, target: &Tensor) -> usize {
    let classes = logits.size()[1];
    let counts = target.not_equal(IGNORED);
    let pairs = (target * classes + logits.argmax(-1, false)).masked_select(&counts);
    let pairs = pairs.bincount(None::<&Tensor>, classes * classes).view([classes, classes]).to_device(Device::Cpu);
    let counts = Vec::<Vec<i64>>::try_from(pairs).expect("counts (classes, classes)");
    let count = |count| u64::try_from(count).expect("a count");
    let counts: Vec<Vec<u64>> = counts.into_iter().map(|row| row.into_iter().map(count).collect()).collect();
    overlap.add(&counts);
    usize::try_from(counts.iter().flatten().sum::<u64>()).expect("a count of points")
}

/// A label is predicted where its score is positive. Counted graph by graph.
fn add_labels(scores: &mut LabelScores, logits: &Tensor, batch: &Batch) {
    let (predicted, actual) = (logits.gt(0.0), batch.target().gt(0.5));
    let mut start = 0;
    for &nodes in &batch.graphs().sizes {
        let of_graph = |rows: &Tensor| rows.narrow(0, start, nodes as i64);
        let (predicted, actual) = (of_graph(&predicted), of_graph(&actual));
        start += nodes as i64;
        let right = column_sums(&predicted.logical_and(&actual));
        let (guessed, held) = (column_sums(&predicted), column_sums(&actual));
        let counts = right.iter().zip(guessed).zip(held).map(|((&right, guessed), held)| LabelCounts {
            true_positives: right,
            false_positives: guessed - right,
            false_negatives: held - right,
        });
        scores.add_graph(nodes, &counts.collect::<Vec<_>>());
    }
}

fn column_sums(marks: &Tensor) -> Vec<u64> {
    let sums = marks.sum_dim_intlist([0_i64].as_slice(), false, Kind::Int64).to_device(Device::Cpu);
    let sums = Vec::<i64>::try_from(sums).expect("a count per label");
    sums.into_iter().map(|sum| u64::try_from(sum).expect("a count")).collect()
}

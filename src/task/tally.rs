//! Counts losses and predictions over a pass on the device where they are, so that no step waits for them.

use crate::batch::Batch;
use crate::task::{Confusion, IGNORED, LabelCounts, LabelScores, Meter, Overlap, Scores, Task};
use tch::{Device, Kind, Tensor, no_grad};

/// The guesses of which one must be right for the second metric of many classes.
const TOP: usize = 5;

/// What was counted so far, on the device.
#[derive(Debug)]
pub struct Tally {
    counts: Counts,
    /// Σ over batches of mean loss · samples, fp64, 0-dimensional: added up as on a host, to the bit.
    loss_sum: Tensor,
    /// int64, 0-dimensional.
    samples: Tensor,
    /// 1, int64, 0-dimensional.
    one: Tensor,
}

#[derive(Debug)]
enum Counts {
    /// Samples by (actual, predicted) class, int64 (classes²), and those whose class is among the five best, int64,
    /// 0-dimensional; of fewer classes that says nothing.
    Classes { classes: usize, pairs: Tensor, top: Option<Tensor> },
    /// Of every graph with so many scored nodes: int64 (4, labels), whose rows are true positives, predicted, actual,
    /// and whether it counts.
    Labels { labels: usize, graphs: Vec<(usize, Tensor)> },
    /// Points by (actual, predicted) class, and at last those that do not count: int64 (classes² + 1).
    Points { classes: usize, pairs: Tensor },
}

impl Tally {
    pub(super) fn new(task: Task, device: Device) -> Self {
        let zeros = |count: usize| Tensor::zeros([count as i64], (Kind::Int64, device));
        let counts = match task {
            Task::Classify { classes } => {
                let top = (classes > TOP).then(|| zeros(1).squeeze());
                Counts::Classes { classes, pairs: zeros(classes * classes), top }
            }
            Task::MultiLabel { labels } => Counts::Labels { labels, graphs: Vec::new() },
            Task::Segment { classes } => Counts::Points { classes, pairs: zeros(classes * classes + 1) },
        };
        Self {
            counts,
            loss_sum: Tensor::zeros([0_i64; 0], (Kind::Double, device)),
            samples: zeros(1).squeeze(),
            one: Tensor::ones([0_i64; 0], (Kind::Int64, device)),
        }
    }

    /// Adds a batch with its logits (B, classes) and mean loss, 0-dimensional.
    pub fn add(&mut self, logits: &Tensor, batch: &Batch, loss: &Tensor) {
        let one = self.one.shallow_clone();
        no_grad(|| self.add_counting(logits, batch, &loss.to_kind(Kind::Double), &one));
    }

    /// The same, but nothing of a batch whose loss is not finite: a step that loss scaling skipped may have no metrics.
    pub fn add_finite(&mut self, logits: &Tensor, batch: &Batch, loss: &Tensor) {
        no_grad(|| {
            let loss = loss.to_kind(Kind::Double);
            let counts = loss.isfinite();
            let loss = loss.masked_fill(&counts.logical_not(), 0.0);
            self.add_counting(logits, batch, &loss, &counts.to_kind(Kind::Int64));
        });
    }

    /// `counts` is 1 where the batch counts, else 0: int64, 0-dimensional.
    fn add_counting(&mut self, logits: &Tensor, batch: &Batch, loss: &Tensor, counts: &Tensor) {
        let target = batch.target();
        let samples = match &mut self.counts {
            Counts::Classes { classes, pairs, top } => {
                if let Some(top) = top {
                    *top += among_the_best(logits, target) * counts;
                }
                let places = target * *classes as i64 + logits.argmax(-1, false);
                add_at(pairs, &places, counts);
                counts * batch.len() as i64
            }
            Counts::Labels { graphs, .. } => {
                add_graphs(graphs, logits, batch, counts);
                counts * batch.len() as i64
            }
            Counts::Points { classes, pairs } => {
                let ignored = target.eq(IGNORED);
                let places = target * *classes as i64 + logits.argmax(-1, false);
                add_at(pairs, &places.masked_fill(&ignored, (*classes * *classes) as f64), counts);
                (ignored.logical_not().sum(Kind::Int64)) * counts
            }
        };
        self.loss_sum += loss * &samples;
        self.samples += samples;
    }

    /// What was counted, in host memory; waits for the device.
    pub fn read(&self) -> Meter {
        let samples = usize::try_from(self.samples.int64_value(&[])).expect("a count");
        let scores = match &self.counts {
            Counts::Classes { classes, pairs, top } => {
                let mut confusion = Confusion::new(*classes);
                confusion.add_counts(&rows(*classes, pairs));
                let top = top.as_ref().map(|top| usize::try_from(top.int64_value(&[])).expect("a count"));
                Scores::Classes { confusion, top }
            }
            Counts::Labels { labels, graphs } => Scores::Labels(label_scores(*labels, graphs)),
            Counts::Points { classes, pairs } => {
                let mut overlap = Overlap::new(*classes);
                overlap.add(&rows(*classes, pairs));
                Scores::Points(overlap)
            }
        };
        Meter::new(scores, self.loss_sum.double_value(&[]), samples)
    }
}

/// Adds `counts` at these places. Whole numbers: in whatever order they are added, the sums are the same.
fn add_at(sums: &mut Tensor, places: &Tensor, counts: &Tensor) {
    let _ = sums.index_add_(0, places, &counts.expand(places.size(), false));
}

/// The samples whose class is among the five with the greatest logits: int64, 0-dimensional.
fn among_the_best(logits: &Tensor, target: &Tensor) -> Tensor {
    let (_, best) = logits.topk(TOP as i64, -1, true, false);
    best.eq_tensor(&target.unsqueeze(-1)).sum(Kind::Int64)
}

/// A label is predicted where its logit is positive. Counted graph by graph.
fn add_graphs(graphs: &mut Vec<(usize, Tensor)>, logits: &Tensor, batch: &Batch, counts: &Tensor) {
    let (predicted, actual) = (logits.gt(0.0), batch.target().gt(0.5));
    let marks = Tensor::stack(&[predicted.logical_and(&actual), predicted, actual], 0);
    let labels = logits.size()[1];
    let mut start = 0;
    for &nodes in &batch.graphs().sizes {
        let sums = marks.narrow(1, start, nodes as i64).sum_dim_intlist([1_i64].as_slice(), false, Kind::Int64);
        graphs.push((nodes, Tensor::cat(&[sums, counts.expand([1, labels], false)], 0)));
        start += nodes as i64;
    }
}

fn label_scores(labels: usize, graphs: &[(usize, Tensor)]) -> LabelScores {
    let mut scores = LabelScores::new(labels);
    let tables: Vec<&Tensor> = graphs.iter().map(|(_, table)| table).collect();
    let all = if tables.is_empty() { Vec::new() } else { numbers(&Tensor::cat(&tables, 0).flatten(0, 1)) };
    for ((nodes, _), table) in graphs.iter().zip(all.chunks(4 * labels)) {
        let rows: Vec<&[u64]> = table.chunks(labels).collect();
        let [right, predicted, actual, counts] = rows[..] else { unreachable!("a table has four rows") };
        if counts[0] == 0 {
            continue;
        }
        let of_label = |label: usize| LabelCounts {
            true_positives: right[label],
            false_positives: predicted[label] - right[label],
            false_negatives: actual[label] - right[label],
        };
        scores.add_graph(*nodes, &(0..labels).map(of_label).collect::<Vec<_>>());
    }
    scores
}

/// Counts by (actual, predicted) class, row by row.
fn rows(classes: usize, pairs: &Tensor) -> Vec<Vec<u64>> {
    numbers(pairs).chunks_exact(classes).take(classes).map(<[u64]>::to_vec).collect()
}

/// Counts (n), in host memory.
fn numbers(counts: &Tensor) -> Vec<u64> {
    let numbers = Vec::<i64>::try_from(counts.to_device(Device::Cpu)).expect("int64 counts");
    numbers.into_iter().map(|number| u64::try_from(number).expect("a count")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::PointBatch;

    fn batch(labels: &[i64]) -> Batch {
        Batch::Points(PointBatch {
            points: Tensor::zeros([1], tch::kind::FLOAT_CPU),
            labels: Tensor::from_slice(labels),
        })
    }

    /// Logits that predict these classes of six.
    fn logits(predicted: &[i64]) -> Tensor {
        Tensor::from_slice(predicted).one_hot(6).to_kind(Kind::Float)
    }

    #[test]
    fn a_batch_without_a_finite_loss_counts_in_evaluation_alone() {
        let task = Task::Classify { classes: 6 };
        let (mut all, mut finite) = (task.tally(Device::Cpu), task.tally(Device::Cpu));
        for (labels, predicted, loss) in [([0, 1], [0, 2], 2.0), ([3, 3], [3, 3], f64::NAN)] {
            all.add(&logits(&predicted), &batch(&labels), &Tensor::from(loss));
            finite.add_finite(&logits(&predicted), &batch(&labels), &Tensor::from(loss));
        }
        assert!(all.read().metrics().loss.is_nan());
        assert_eq!((all.read().samples(), all.read().metrics().score), (4, 0.75));
        assert_eq!((finite.read().samples(), finite.read().metrics().score), (2, 0.5));
        assert_eq!(finite.read().metrics().loss, 2.0);
    }

    #[test]
    fn points_that_do_not_count_are_in_no_metric() {
        let mut tally = Task::Segment { classes: 6 }.tally(Device::Cpu);
        tally.add(&logits(&[0, 1, 5, 2]), &batch(&[0, 2, IGNORED, IGNORED]), &Tensor::from(1.5));
        let meter = tally.read();
        let Scores::Points(overlap) = meter.scores() else { panic!("points are scored") };
        assert_eq!((meter.samples(), overlap.confusion().total(), overlap.intersection(0)), (2, 2, 1));
        assert_eq!(meter.metrics().loss, 1.5);
    }
}

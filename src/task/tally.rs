//! Counts losses and predictions over a pass on the device where they are, so that no step waits for them.

use crate::batch::Batch;
use crate::task::meter::TOP;
use crate::task::{Confusion, IGNORED, LabelCounts, LabelScores, Meter, Overlap, Scores, Task};
use tch::{Device, Kind, Tensor, no_grad};

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
    /// and whether it counts; and the scores of those before.
    Labels { before: LabelScores, graphs: Vec<(usize, Tensor)> },
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
            Task::MultiLabel { labels } => Counts::Labels { before: LabelScores::new(labels), graphs: Vec::new() },
            Task::Segment { classes } => Counts::Points { classes, pairs: zeros(classes * classes + 1) },
        };
        Self {
            counts,
            loss_sum: Tensor::zeros([0_i64; 0], (Kind::Double, device)),
            samples: zeros(1).squeeze(),
            one: Tensor::ones([0_i64; 0], (Kind::Int64, device)),
        }
    }

    /// Goes on, from nothing, with what a meter of the same task counted: what is added from now on gives the same bits
    /// as if it had been added to the tally that was read.
    pub fn restore(&mut self, meter: &Meter) {
        let set = |sums: &mut Tensor, counts: &[u64]| {
            let counts: Vec<i64> = counts.iter().map(|count| *count as i64).collect();
            no_grad(|| sums.copy_(&Tensor::from_slice(&counts).view_as(sums)));
        };
        let pairs_of = |confusion: &Confusion| confusion.counts().concat();
        match (&mut self.counts, meter.scores()) {
            (Counts::Classes { pairs, top, .. }, Scores::Classes { confusion, top: best }) => {
                set(pairs, &pairs_of(confusion));
                if let (Some(top), Some(best)) = (top, best) {
                    set(top, &[*best as u64]);
                }
            }
            (Counts::Labels { before, .. }, Scores::Labels(scores)) => *before = scores.clone(),
            // Points that do not count are in no metric.
            (Counts::Points { pairs, .. }, Scores::Points(overlap)) => {
                set(pairs, &[&pairs_of(overlap.confusion())[..], &[0]].concat());
            }
            _ => unreachable!("tally and meter are of one task"),
        }
        set(&mut self.samples, &[meter.samples() as u64]);
        no_grad(|| self.loss_sum.copy_(&Tensor::from(meter.loss_sum())));
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
            Counts::Labels { before, graphs } => Scores::Labels(label_scores(before.clone(), graphs)),
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

fn label_scores(mut scores: LabelScores, graphs: &[(usize, Tensor)]) -> LabelScores {
    let labels = scores.counts().len();
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
    use crate::batch::{GraphBatch, PointBatch};
    use crate::dist::{Share, threads};
    use crate::task::Metrics;
    use crate::tensor::adjacency::Adjacency;
    use crate::tensor::links::Links;

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

    const TASKS: [Task; 3] =
        [Task::Classify { classes: 6 }, Task::MultiLabel { labels: 6 }, Task::Segment { classes: 6 }];

    /// Four batches of a task with logits and losses that no two orders of sums give the same bits for.
    fn batches(task: Task) -> Vec<(Tensor, Batch, Tensor)> {
        let targets = [[0, 1, 2, 5], [3, 3, 0, 1], [4, 5, 5, 5], [0, 0, 2, 1]];
        let logits = |number: i64| {
            let index = Tensor::arange(24, (Kind::Int64, Device::Cpu)) + 24 * number;
            ((&index * 7919 + &index * &index * 31).remainder(97).to_kind(Kind::Float) / 48.5 - 1.0).view([4, 6])
        };
        let batch_of = |number: i64, target: &[i64]| match task {
            Task::MultiLabel { .. } => graphs(&[1, 3], logits(number + 9).gt(0.0).to_kind(Kind::Float)),
            _ => batch(target),
        };
        let numbered = targets.iter().zip(0..);
        numbered.map(|(target, n)| (logits(n), batch_of(n, target), Tensor::from(0.1 + f64::from(n as i32)))).collect()
    }

    fn graphs(sizes: &[usize], labels: Tensor) -> Batch {
        let nodes = sizes.iter().sum::<usize>() as i64;
        Batch::Graphs(GraphBatch {
            features: Tensor::zeros([nodes, 1], tch::kind::FLOAT_CPU),
            links: Links::new(&Adjacency::new(nodes as usize, &[])),
            labels,
            scored: None,
            sizes: sizes.to_vec(),
        })
    }

    fn counted(tally: &mut Tally, batches: &[(Tensor, Batch, Tensor)]) -> Meter {
        batches.iter().for_each(|(logits, batch, loss)| tally.add_finite(logits, batch, loss));
        tally.read()
    }

    #[test]
    fn a_pass_that_stopped_and_went_on_counts_to_the_bit_what_the_uncut_one_does() {
        for task in TASKS {
            let batches = batches(task);
            let whole = counted(&mut task.tally(Device::Cpu), &batches);
            for at in 0..=batches.len() {
                let half = counted(&mut task.tally(Device::Cpu), &batches[..at]);
                let kept = Meter::from_numbers(task, &half.numbers()).unwrap();
                assert_eq!(kept, half);
                let mut rest = task.tally(Device::Cpu);
                rest.restore(&kept);
                assert_eq!(counted(&mut rest, &batches[at..]), whole, "{task:?} from batch {at}");
            }
            assert!(Meter::from_numbers(task, &Tensor::from_slice(&[1.0])).is_none());
        }
    }

    /// What a process counts, with losses whose sums are exact, so that their order is nothing.
    fn of_share(task: Task, share: Share) -> Meter {
        let mut tally = task.tally(Device::Cpu);
        let batches = batches(task);
        for (logits, batch, loss) in batches.iter().skip(share.rank).step_by(share.world) {
            tally.add_finite(logits, batch, &loss.round());
        }
        tally.read()
    }

    #[test]
    fn meters_of_shares_join_to_that_of_the_whole() {
        for task in TASKS {
            let whole = of_share(task, Share::WHOLE).metrics();
            let of = |rank| of_share(task, Share { rank, world: 2 });
            let mut joined = of(0);
            joined.join(&of(1));
            let reduced = threads::run(2, |processes| {
                let mut meter = of_share(task, processes.share());
                meter.all_reduce(processes).unwrap();
                meter
            });
            assert_eq!(reduced, [joined.clone(), joined.clone()]);
            let Metrics { loss, score, others } = joined.metrics();
            assert_eq!((loss, score), (whole.loss, whole.score), "{task:?}");
            for ((name, own), (_, other)) in others.iter().zip(&whole.others) {
                // Of graphs the mean is a sum of fractions, in another order.
                assert!((own - other).abs() < 1e-15, "{name} of {task:?}");
            }
        }
    }
}

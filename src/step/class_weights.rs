//! Weights of classes in the loss, for sets whose classes are of unequal size (King and Zeng, "Logistic Regression in Rare
//! Events Data", 2001; scikit-learn's `balanced`).

use crate::batch::IGNORED;
use crate::data::{EpochPlan, Loader};
use crate::error::Result;
use crate::task::Task;
use crate::tensor::random::{Key, Purpose};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Samples of a batch that is counted.
const COUNTED_AT_ONCE: usize = 64;

/// How much each class counts in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// As often as it comes.
    #[serde(rename = "none")]
    AsItComes,
    /// Each class as much as any other, whatever its size.
    Balanced,
    /// So where samples have one of several classes, of which the largest is more than five times as large as the smallest;
    /// else as often as it comes.
    Auto,
}

/// How many times as large as the smallest class the largest may be in a set that is called even.
const EVEN: f64 = 5.0;

/// The weights of the classes that `chosen` asks for, where they are not to count as often as they come; `has_own_loss` of a
/// run that descends something else than the task's own loss, beside which there are none.
///
/// # Errors
/// Samples that can't be read.
pub fn of(chosen: Option<ClassWeights>, has_own_loss: bool, task: Task, train: &Loader) -> Result<Option<Vec<f64>>> {
    match (chosen, task) {
        (Some(ClassWeights::Balanced), _) => balanced(task, train).map(Some),
        (Some(ClassWeights::Auto), Task::Classify { .. }) if !has_own_loss => {
            let counts = counts(task, train)?.targets;
            let present = || counts.iter().copied().filter(|count| *count > 0.0);
            let (least, most) = (present().fold(f64::INFINITY, f64::min), present().fold(0.0, f64::max));
            if most <= EVEN * least {
                return Ok(None);
            }
            tracing::info!(
                "classes have {least} to {most} training samples, so all count alike in the loss, unless \
                 class_weights = \"none\" is set"
            );
            balanced(task, train).map(Some)
        }
        _ => Ok(None),
    }
}

/// The weights by which the classes of the training samples count alike: n / (K · n_c) for class c of n_c of the n
/// targets, K classes having any; 0 for a class without targets. Of labels that hold or not, what those that hold count
/// beside those that don't: (n - n_l) / n_l, and 1 for a label that none has.
///
/// # Errors
/// Samples that can't be read.
pub fn balanced(task: Task, train: &Loader) -> Result<Vec<f64>> {
    let counts = counts(task, train)?;
    let all: f64 = counts.targets.iter().sum();
    let present = counts.targets.iter().filter(|count| **count > 0.0).count() as f64;
    let weight = |&count: &f64| match task {
        Task::MultiLabel { .. } if count > 0.0 => (counts.rows - count) / count,
        Task::MultiLabel { .. } => 1.0,
        Task::Classify { .. } | Task::Segment { .. } if count > 0.0 => all / (present * count),
        Task::Classify { .. } | Task::Segment { .. } => 0.0,
    };
    Ok(counts.targets.iter().map(weight).collect())
}

/// How often each class or label comes.
struct Counts {
    targets: Vec<f64>,
    /// Targets in all, of labels one a row.
    rows: f64,
}

fn counts(task: Task, train: &Loader) -> Result<Counts> {
    let classes = match task {
        Task::Classify { classes } | Task::Segment { classes } => classes,
        Task::MultiLabel { labels } => labels,
    };
    let samples = train.samples();
    let labels: Option<Vec<usize>> = (0..samples.len()).map(|index| samples.label(index)).collect();
    let mut counts = Counts { targets: vec![0.0; classes], rows: 0.0 };
    if let (Some(labels), Task::Classify { .. }) = (labels, task) {
        labels.iter().for_each(|label| counts.targets[*label] += 1.0);
        counts.rows = labels.len() as f64;
        return Ok(counts);
    }
    let plan = EpochPlan::evaluation(Key::new(0, Purpose::Evaluation), COUNTED_AT_ONCE);
    for batch in train.epoch(&plan) {
        let target = batch?.target().to_device(Device::Cpu);
        let (of_batch, rows) = match task {
            Task::MultiLabel { .. } => {
                (target.sum_dim_intlist([0_i64].as_slice(), false, Kind::Double), target.size()[0])
            }
            Task::Classify { .. } | Task::Segment { .. } => {
                let known = target.masked_select(&target.not_equal(IGNORED));
                (known.bincount(None::<&Tensor>, classes as i64).to_kind(Kind::Double), known.size()[0])
            }
        };
        let of_batch: Vec<f64> = Vec::try_from(&of_batch)?;
        counts.targets.iter_mut().zip(of_batch).for_each(|(count, more)| *count += more);
        counts.rows += rows as f64;
    }
    Ok(counts)
}

//! What training descends, by name: the tasks' own losses, and those that other crates add.

use super::Task;
use crate::error::{Error, Result};
use crate::registry::{Choice, Registered, Registry};
use tch::Tensor;

/// A loss by name. Passes without gradients are told by the task's own loss whatever is descended.
pub struct ObjectiveDescription {
    /// The name in configurations and on the command line.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Whether it is for a task.
    pub fits: fn(Task) -> bool,
    /// From scores (B, classes), of points (B·N, classes), in fp32, targets as [`crate::batch::Batch::target`] has them
    /// ([`IGNORED`](super::IGNORED) where a point does not count), and the share by which targets are smoothed, to the loss, 0-dimensional.
    pub loss: fn(&Tensor, &Tensor, f64) -> Tensor,
}

/// The name of an objective.
pub type ObjectiveName = Choice<ObjectiveDescription>;

static CROSS_ENTROPY: ObjectiveDescription = ObjectiveDescription {
    name: "cross_entropy",
    about: "Cross-entropy of one class per sample or point",
    fits: |task| !matches!(task, Task::MultiLabel { .. }),
    loss: |logits, target, smoothing| Task::Segment { classes: 0 }.training_loss(logits, target, smoothing, None),
};

static BINARY_CROSS_ENTROPY: ObjectiveDescription = ObjectiveDescription {
    name: "binary_cross_entropy",
    about: "Cross-entropy of every label, which holds or not",
    fits: |task| matches!(task, Task::MultiLabel { .. }),
    loss: |logits, target, smoothing| Task::MultiLabel { labels: 0 }.training_loss(logits, target, smoothing, None),
};

impl Registered for ObjectiveDescription {
    const WHAT: &'static str = "objective";

    fn registry() -> &'static Registry<Self> {
        static OBJECTIVES: Registry<ObjectiveDescription> = Registry::new(&[&CROSS_ENTROPY, &BINARY_CROSS_ENTROPY]);
        &OBJECTIVES
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

impl ObjectiveName {
    /// Refuses it for a task that it is not for.
    ///
    /// # Errors
    /// Such a task.
    pub fn require(self, task: Task) -> Result<()> {
        if (self.fits)(task) {
            return Ok(());
        }
        let fitting: Vec<&str> = Self::all().into_iter().filter(|one| (one.fits)(task)).map(Self::name).collect();
        Err(Error::invalid("objective", format!("one for this data: {}", fitting.join(", ")), self.name()))
    }
}

/// Makes an objective of another crate known by its name.
///
/// # Errors
/// A name that another has.
pub fn register(description: &'static ObjectiveDescription) -> Result<ObjectiveName> {
    ObjectiveDescription::registry().add(description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::IGNORED;
    use tch::{Device, Kind};

    #[test]
    fn the_tasks_own_losses_have_names() {
        let logits = Tensor::arange(12, (Kind::Float, Device::Cpu)).sin().view([4, 3]);
        let classes = Tensor::from_slice(&[0_i64, 2, IGNORED, 1]);
        let labels = logits.gt(0.2).to_kind(Kind::Float);
        for (name, task, target) in [
            ("cross_entropy", Task::Segment { classes: 3 }, &classes),
            ("binary_cross_entropy", Task::MultiLabel { labels: 3 }, &labels),
        ] {
            let objective: ObjectiveName = name.parse().unwrap();
            objective.require(task).unwrap();
            for smoothing in [0.0, 0.1] {
                let own = task.training_loss(&logits, target, smoothing, None);
                assert!((objective.loss)(&logits, target, smoothing).equal(&own));
            }
        }
        let error = "cross_entropy".parse::<ObjectiveName>().unwrap().require(Task::MultiLabel { labels: 3 });
        assert!(error.unwrap_err().to_string().contains("one for this data: binary_cross_entropy"));
    }
}

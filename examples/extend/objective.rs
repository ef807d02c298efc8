//! The focal loss (Lin et al. 2017): cross-entropy in which samples that are classified well count little.

use sgas::task::Task;
use sgas::task::objective::ObjectiveDescription;
use tch::{Kind, Tensor};

/// What makes it known.
pub static DESCRIPTION: ObjectiveDescription = ObjectiveDescription {
    name: "focal",
    about: "Cross-entropy that looks at what is hard",
    fits: |task| matches!(task, Task::Classify { .. }),
    // Targets are taken as they are: nothing is smoothed.
    loss: |logits, target, _| focal(logits, target),
};

/// The mean of -(1 - p)²·log p over the samples, p being the probability of the right class.
fn focal(logits: &Tensor, target: &Tensor) -> Tensor {
    let right = logits.log_softmax(-1, logits.kind()).gather(1, &target.unsqueeze(1), false);
    let hard = (right.exp() - 1.0).square();
    -(hard * right).mean(None::<Kind>)
}

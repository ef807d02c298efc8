//! One step that is thrown away, to see what it takes.

use super::{Learning, StepBatch};
use crate::checkpoint::Cursor;
use crate::error::Result;
use crate::tensor::bridge::device::synchronize;

/// Makes the first step of a run that was made for nothing else: weights, alphas and running statistics are another's
/// afterwards. Nothing is reported and nothing is kept; whether losses are numbers does not matter.
///
/// # Errors
/// Those of the step.
pub fn try_step<L: Learning>(learning: &mut L, batch: &StepBatch) -> Result<()> {
    let (at, device) = (Cursor::default(), learning.frame().device);
    learning.enter_epoch(at.epoch)?;
    let terms = learning.terms(at.epoch);
    let weights = batch.weights.to_device(device);
    if let Some(alphas) = &batch.alphas {
        let alphas = alphas.to_device(device);
        learning.step_alphas(at, terms, &alphas, &weights)?;
    }
    learning.step_weights(at, terms, &weights)?;
    synchronize(device)
}

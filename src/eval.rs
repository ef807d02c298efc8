//! A pass over samples without gradients: loss and scores of a split, or the probabilities of every sample.

use crate::batch::Batch;
use crate::error::Result;
use crate::model::{self, Model};
use crate::ops::Mode;
use crate::task::{Meter, Task};
use crate::tensor::precision::Precision;
use tch::{Device, no_grad};

/// Runs the model in evaluation mode over all batches.
///
/// # Errors
/// A batch that can't be made.
pub fn evaluate(
    model: &dyn Model,
    task: Task,
    batches: impl IntoIterator<Item = Result<Batch>>,
    device: Device,
    precision: Precision,
) -> Result<Meter> {
    evaluate_in(Mode::Evaluation, model, task, batches, device, precision)
}

/// The same in any mode. By the statistics of batches norms use and move theirs.
///
/// # Errors
/// A batch that can't be made.
pub fn evaluate_in(
    mode: Mode,
    model: &dyn Model,
    task: Task,
    batches: impl IntoIterator<Item = Result<Batch>>,
    device: Device,
    precision: Precision,
) -> Result<Meter> {
    let mut tally = task.tally(device);
    no_grad(|| {
        for batch in batches {
            let batch = batch?.to_device(device);
            let logits = model::forward(model, &batch, mode, precision)?.logits;
            tally.add(&logits, &batch, &task.loss(&logits, batch.target()));
        }
        Ok(tally.read())
    })
}

/// The same, until `goes_on` says no between two batches: then nothing is given.
///
/// # Errors
/// A batch that can't be made.
pub fn evaluate_while(
    model: &dyn Model,
    task: Task,
    batches: impl IntoIterator<Item = Result<Batch>>,
    device: Device,
    precision: Precision,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Meter>> {
    let mut stopped = false;
    let batches = batches.into_iter().take_while(|_| {
        stopped = !goes_on();
        !stopped
    });
    let meter = evaluate(model, task, batches, device, precision)?;
    Ok((!stopped).then_some(meter))
}

/// The probabilities of every class, one row per sample in the order of the batches.
///
/// # Errors
/// A batch that can't be made.
pub fn predict(
    model: &dyn Model,
    task: Task,
    batches: impl IntoIterator<Item = Result<Batch>>,
    device: Device,
    precision: Precision,
) -> Result<Vec<Vec<f64>>> {
    let mut rows = Vec::new();
    no_grad(|| {
        for batch in batches {
            let batch = batch?.to_device(device);
            let logits = model::forward(model, &batch, Mode::Evaluation, precision)?.logits;
            let probabilities = task.probabilities(&logits).to_device(Device::Cpu);
            rows.extend(Vec::<Vec<f64>>::try_from(probabilities)?);
        }
        Ok(rows)
    })
}

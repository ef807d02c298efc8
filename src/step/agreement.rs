//! That the processes of a run are of one mind: about decisions, weights and running statistics.

use crate::checkpoint::Turn;
use crate::dist::Processes;
use crate::error::Result;
use crate::tensor::parameters::Weights;
use tch::{Device, Kind, Tensor};

/// Stops where processes have decided otherwise.
///
/// # Errors
/// The ranks that did; a process that can't be reached.
pub(super) fn agree(processes: &Processes, decided: impl FnOnce() -> Option<String>) -> Result<()> {
    let Some(decided) = processes.are_several().then(decided).flatten() else { return Ok(()) };
    processes.agree("decisions", || blake3::hash(decided.as_bytes()))
}

/// What the keeper of any process says.
///
/// # Errors
/// A process that can't be reached.
pub(super) fn turn_of_all(processes: &Processes, own: Turn) -> Result<Turn> {
    Ok(match (processes.any(own != Turn::GoOn)?, own) {
        (false, _) => Turn::GoOn,
        (true, own) if processes.any(own == Turn::Stop)? => Turn::Stop,
        (true, _) => Turn::Keep,
    })
}

/// The mean of losses that every process has of its own batch: where one computes no numbers, all know.
///
/// # Errors
/// A process that can't be reached.
pub(super) fn loss_of_all(processes: &Processes, own: f64) -> Result<f64> {
    let mut loss = Tensor::from(own);
    processes.mean(&mut loss)?;
    Ok(loss.double_value(&[]))
}

/// Brings all processes to the same state, before it is scored or kept: each has moved its running statistics by its own
/// batches, of which the mean is taken. The weights must be the same.
///
/// # Errors
/// The ranks whose weights are others; a process that can't be reached.
pub(super) fn settle(processes: &Processes, weights: &Weights) -> Result<()> {
    if !processes.are_several() {
        return Ok(());
    }
    let Weights { parameters, buffers } = weights;
    processes.agree("the weights of the network", || digest(parameters.flat()))?;
    let own = buffers.copies();
    if own.is_empty() {
        return Ok(());
    }
    // In fp64 the mean of equal numbers is the same number.
    let rows: Vec<Tensor> = own.iter().map(|buffer| buffer.to_kind(Kind::Double).view([-1])).collect();
    let mut flat = Tensor::cat(&rows, 0);
    processes.mean(&mut flat)?;
    let sizes: Vec<i64> = rows.iter().map(|row| row.numel() as i64).collect();
    let means = flat.split_with_sizes(&sizes, 0).into_iter().zip(&own);
    let means: Vec<Tensor> = means.map(|(mean, buffer)| mean.view_as(buffer).to_kind(buffer.kind())).collect();
    buffers.restore(&means);
    Ok(())
}

/// The digest of a tensor's bytes.
fn digest(tensor: &Tensor) -> blake3::Hash {
    let bytes = tensor.detach().to_device(Device::Cpu).contiguous().view([-1]).view_dtype(Kind::Uint8);
    blake3::hash(&Vec::<u8>::try_from(bytes).expect("bytes"))
}

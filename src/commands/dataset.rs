//! Which data set a task reads.

use crate::data::{self, DataConfig, Dataset, EpochPlan, SetName, Source};
use crate::error::{Error, Result};
use crate::tensor::random::{Key, Purpose};

/// Finds and loads the data of `task`, and writes into `config` where it lies and how it was normalised, so that
/// the run folder says so. `minimum_points` is what the network needs of a cloud.
///
/// # Errors
/// Data that is found nowhere or won't do: see [`data::find`] and [`data::load`].
pub fn open(task: &str, config: &mut DataConfig, seed: u64, minimum_points: usize) -> Result<Dataset> {
    let source = data::find(set_name(task), config.source.as_deref())?;
    config.source = Some(source.to_string());
    data::load(&source, config, seed, minimum_points)
}

/// Where the data of `task` lies when no folder is named.
///
/// # Errors
/// Data that is found nowhere: see [`data::find`].
pub fn find(task: &str) -> Result<Source> {
    data::find(set_name(task), None)
}

/// Refuses a batch size of which the training samples do not fill one batch; `key` names it.
///
/// # Errors
/// Such a size.
pub fn require_batches(key: &str, dataset: &Dataset, batch: usize, drop_last: bool) -> Result<()> {
    let samples = dataset.train.len();
    if EpochPlan::training(Key::new(0, Purpose::Order), batch, drop_last).batch_count(samples) > 0 {
        return Ok(());
    }
    Err(Error::invalid(key, format!("a batch that the {samples} training samples fill"), batch.to_string())
        .with_hint("lower it with --batch N, or hold out less with data.validation; one sample alone can't train"))
}

fn set_name(task: &str) -> SetName {
    match task {
        "modelnet40" => SetName::ModelNet40,
        "modelnet10" => SetName::ModelNet10,
        _ => SetName::Points,
    }
}

//! Which data set a task reads.

use crate::data::{DataConfig, EpochPlan, PointDataset, PointSet, Samples, Source, find};
use crate::error::{Error, Result};
use crate::tensor::random::{Key, Purpose};

/// Finds the data of `task` and writes the place into `config`, so that the run folder names it.
///
/// # Errors
/// Data that is found nowhere: see [`find`].
pub fn locate(task: &str, config: &mut DataConfig) -> Result<Source> {
    let source = find(point_set(task), config.source.as_deref())?;
    config.source = Some(source.to_string());
    Ok(source)
}

/// Refuses a batch size of which the training clouds do not fill one batch; `key` names it.
///
/// # Errors
/// Such a size.
pub fn require_batches(key: &str, dataset: &PointDataset, batch: usize, drop_last: bool) -> Result<()> {
    let samples = dataset.train.len();
    if EpochPlan::training(Key::new(0, Purpose::Order), batch, drop_last).batch_count(samples) > 0 {
        return Ok(());
    }
    Err(Error::invalid(key, format!("a batch that the {samples} training clouds fill"), batch.to_string())
        .with_hint("lower it with --batch N, or hold out less with data.validation; one cloud alone can't train"))
}

fn point_set(task: &str) -> PointSet {
    match task {
        "modelnet40" => PointSet::ModelNet40,
        "modelnet10" => PointSet::ModelNet10,
        _ => PointSet::Own,
    }
}

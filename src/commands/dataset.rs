//! Which data set a task reads.

use crate::data::{DataConfig, PointSet, Source, find};
use crate::error::Result;

/// Finds the data of `task` and writes the place into `config`, so that the run folder names it.
///
/// # Errors
/// Data that is found nowhere: see [`find`].
pub fn locate(task: &str, config: &mut DataConfig) -> Result<Source> {
    let source = find(point_set(task), config.source.as_deref())?;
    config.source = Some(source.to_string());
    Ok(source)
}

fn point_set(task: &str) -> PointSet {
    match task {
        "modelnet40" => PointSet::ModelNet40,
        "modelnet10" => PointSet::ModelNet10,
        _ => PointSet::Own,
    }
}

//! Clouds with a class for every point: read, checked, split, and made into batches of points.

pub mod config;
pub(super) mod layout;

use std::path::PathBuf;

use super::config::DataConfig;
use super::dataset::Dataset;
use super::inputs::{InputNeeds, Inputs};
use super::source::{SetName, Source};
use crate::error::{Error, Result};

/// Reads, checks and splits a set.
///
/// # Errors
/// Not written yet.
pub fn load(
    _source: &Source,
    _config: &mut DataConfig,
    _set: SetName,
    _seed: u64,
    _minimum_points: usize,
) -> Result<Dataset> {
    Err(Error::usage("labelled clouds can't be read yet"))
}

/// Reads clouds without classes, for prediction.
///
/// # Errors
/// Not written yet.
pub(super) fn read_inputs(_files: &[PathBuf], _config: &mut DataConfig, _needs: InputNeeds) -> Result<Inputs> {
    Err(Error::usage("labelled clouds can't be read yet"))
}

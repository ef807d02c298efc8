//! Shapes without classes: files and folders as the user names them, for prediction.
//!
//! Every file draws its points from the same streams. So the points of a shape follow from its file, the
//! configuration and the run's seed alone, not from the other files or their order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::augmentation::{Normalization, PointOrder};
use super::class_folder::{known_extensions, summary};
use super::features::Features;
use super::format::{self, Format};
use super::shape::{Reading, Shape};
use super::{PointClouds, Preparation, Sample, check_points, warn_of_repeated_points};
use crate::batch::Batch;
use crate::data::checks::keep_good;
use crate::data::config::DataConfig;
use crate::data::folders::entries;
use crate::data::loader::{Access, Samples};
use crate::error::{Error, Result};

/// The greatest absolute coordinate of published sets that come normalised; they are rounded.
const UNIT: f32 = 1.001;

/// Files that were named, and the clouds of the good ones.
pub struct Inputs {
    /// Every file, in the order named.
    pub files: Vec<InputFile>,
    /// The clouds of the files without an error, in the same order: `draws` samples in a row per file.
    pub samples: Arc<dyn Samples>,
}

/// A file that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Its path, as named or found.
    pub name: String,
    /// Why it was skipped.
    pub error: Option<String>,
}

/// What reading shapes without classes takes besides the configuration of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputNeeds {
    /// The fewest points that the network takes (k · dilation).
    pub minimum_points: usize,
    /// Samples per shape, at least 1; where there are several, each is a random subset of the points.
    pub draws: usize,
    /// Go on without files that can't be used.
    pub skip_bad: bool,
}

/// The files that `named` means: a file itself, of a folder all visible files of known formats in it and below,
/// in alphabetical order.
///
/// # Errors
/// A path that is not there, a folder that can't be read or holds no such file.
pub fn find_inputs(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        match std::fs::metadata(path) {
            Err(error) => return Err(Error::read(path, error)),
            Ok(data) if !data.is_dir() => files.push(path.clone()),
            Ok(_) => {
                let before = files.len();
                add_below(path, &mut BTreeSet::new(), &mut files)?;
                if files.len() == before {
                    let place = path.display().to_string();
                    return Err(Error::invalid(place, "files of a known format, in it or below", "none")
                        .with_hint(format!("known formats: {}", known_extensions())));
                }
            }
        }
    }
    Ok(files)
}

/// `seen` keeps links between folders from leading around in circles.
fn add_below(folder: &Path, seen: &mut BTreeSet<PathBuf>, files: &mut Vec<PathBuf>) -> Result<()> {
    if !seen.insert(folder.canonicalize().map_err(|error| Error::read(folder, error))?) {
        return Ok(());
    }
    let mut others = Vec::new();
    for path in entries(folder)? {
        match (path.is_dir(), Format::of(&path)) {
            (true, _) => add_below(&path, seen, files)?,
            (false, Some(_)) => files.push(path),
            (false, None) => others.push(path),
        }
    }
    if !others.is_empty() {
        tracing::warn!("{}: ignored {}", folder.display(), summary(&others));
    }
    Ok(())
}

/// Reads, checks and normalises files without classes, as [`super::load`] does those of a set; writes into `config`
/// what its `normalize = "auto"` came to.
///
/// # Errors
/// Unless they may be skipped, the first file that can't be read or isn't what it should be; fewer points than
/// the network needs.
pub fn read_inputs(files: &[PathBuf], config: &mut DataConfig, needs: InputNeeds) -> Result<Inputs> {
    check_points(config, needs.minimum_points)?;
    if config.normalize == Normalization::Auto {
        config.normalize = Normalization::Cube;
    }
    let features = Features::parse(&config.features)?;
    let reading = Reading { features, normalization: config.normalize, minimum_points: needs.minimum_points };
    let read: Vec<Result<Sample>> = files.par_iter().map(|path| read_one(path, &reading)).collect();
    let errors = read.iter().map(|read| read.as_ref().err().map(Error::to_string));
    let named = files.iter().zip(errors).map(|(path, error)| InputFile { name: path.display().to_string(), error });
    let named: Vec<InputFile> = named.collect();
    let (samples, _) = keep_good(read, needs.skip_bad)?;
    warn_of_repeated_points(samples.iter(), config.points);
    if config.normalize == Normalization::None {
        warn_of_other_sizes(&samples);
    }
    let order = if needs.draws > 1 { PointOrder::Random } else { config.order };
    let preparation = Preparation { order, ..Preparation::new(config, &reading.features) };
    let draws = Draws { clouds: PointClouds { samples, preparation }, draws: needs.draws };
    Ok(Inputs { files: named, samples: Arc::new(draws) })
}

/// Nobody reads the label.
fn read_one(path: &Path, reading: &Reading) -> Result<Sample> {
    let name = path.display().to_string();
    let shape = format::read(path).and_then(|raw| Shape::new(raw, &name, reading))?;
    Ok(Sample { name, label: 0, shape })
}

/// A network that learned from clouds of unit size takes a cloud in millimetres for nothing it knows.
fn warn_of_other_sizes(samples: &[Sample]) {
    let beyond = samples.iter().filter(|sample| sample.shape.reach() > UNIT);
    let count = beyond.clone().count();
    if let Some(furthest) = beyond.max_by(|one, other| one.shape.reach().total_cmp(&other.shape.reach())) {
        tracing::warn!(
            "{count} of {} shapes reach beyond coordinates of 1 (the furthest, {}, {}) and are taken as stored, as the \
             run's were (data.normalize = none); if those were of unit size, as the HDF5 sets are, add \
             --set data.normalize=cube",
            samples.len(),
            furthest.name,
            furthest.shape.reach()
        );
    }
}

/// Clouds, each several times with points of its own.
#[derive(Debug)]
struct Draws {
    clouds: PointClouds,
    draws: usize,
}

impl Samples for Draws {
    fn len(&self) -> usize {
        self.clouds.len() * self.draws
    }

    fn name(&self, index: usize) -> &str {
        self.clouds.name(index / self.draws)
    }

    fn label(&self, index: usize) -> usize {
        self.clouds.label(index / self.draws)
    }

    /// The stream is that of the draw, the same for every cloud.
    fn batch(&self, indices: &[usize], access: Access) -> Result<Batch> {
        let picks = indices.iter().map(|index| (index / self.draws, (index % self.draws) as u64));
        self.clouds.gather(&picks.collect::<Vec<_>>(), access)
    }
}

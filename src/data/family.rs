//! What a family of data is: shapes, pictures, graphs, labelled clouds. Each stands in a folder of its own, which describes
//! it here: its words, its sets, and what reads, tells and predicts its samples.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tch::Device;

use super::config::DataConfig;
use super::dataset::{Dataset, Targets};
use super::inputs::{InputNeeds, Inputs};
use super::source::Source;
use super::survey::Survey;
use super::synthesis::{Making, Synthesis};
use crate::batch::BatchKind;
use crate::error::{Error, Result};
use crate::registry::Choice;

/// What a sample is: one of the families.
pub type SampleKind = Choice<FamilyDescription>;

/// A data set, as tasks name them.
pub type SetName = &'static KnownSet;

/// A family, as all of them are listed.
pub struct FamilyDescription {
    /// As `--kind` takes it.
    pub name: &'static str,
    /// What samples are called.
    pub plural: &'static str,
    /// What one is called, with its article.
    pub singular: &'static str,
    /// What has a class or labels: the samples themselves, the nodes of graphs, the points of labelled clouds.
    pub targets: &'static str,
    /// What batches hold.
    pub batch: BatchKind,
    /// Every point of a sample has a class.
    pub labels_points: bool,
    /// A sample is other points of a file at every draw, so that several draws can be voted over.
    pub draws: bool,
    /// The fewest samples of a training batch: batch norm needs two rows, and a graph has one per node, a labelled cloud
    /// one per point.
    pub smallest_training_batch: usize,
    /// How samples take less memory, for messages; ends with a comma.
    pub smaller: &'static str,
    /// What networks compute with, and what to do where that gives no finite scores.
    pub numbers: [&'static str; 2],
    /// What to do about samples that can't be used.
    pub mend: &'static str,
    /// What its built-in set can be written as.
    pub making: Making,
    /// The user's own samples.
    pub own: SetName,
    /// The sets that are published.
    pub published: &'static [SetName],
    /// What is done with its samples.
    pub family: &'static dyn Family,
}

/// A data set that is published, or a user's own.
#[derive(Debug)]
pub struct KnownSet {
    /// Its name in tables of sizes.
    pub name: &'static str,
    /// What a sample is.
    pub kind: SampleKind,
    /// The usual names of its folder, in the order looked for; own data has none.
    pub folders: &'static [&'static str],
    /// Where it is published, for messages; empty for own data.
    pub published: &'static str,
    /// Classes, and numbers per point, pixel or node; of own data an example.
    pub sizes: (usize, i64),
    /// What its samples are labelled with.
    pub targets: Targets,
}

impl KnownSet {
    /// The user's own samples of a kind; their sizes are an example.
    pub const fn own(name: &'static str, kind: SampleKind, targets: Targets) -> Self {
        Self { name, kind, folders: &[], published: "", sizes: (10, 3), targets }
    }

    /// See [`Family::load`].
    ///
    /// # Errors
    /// Those of the family.
    pub fn load(&'static self, source: &Source, config: &DataConfig, needs: &LoadNeeds) -> Result<Loaded> {
        self.kind.family.load(source, self, config, needs)
    }
}

impl PartialEq for KnownSet {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for KnownSet {}

/// What loading takes besides the configuration of the data.
#[derive(Debug, Clone, Copy)]
pub struct LoadNeeds {
    /// The run's seed: which samples are held out for validation.
    pub seed: u64,
    /// The fewest points of a cloud that the network takes (k · dilation).
    pub minimum_points: usize,
    /// Where small sets of pictures lie.
    pub device: Device,
}

/// A set that was loaded.
pub struct Loaded {
    /// The set.
    pub dataset: Dataset,
    /// The configuration with what was left open in it, as the set itself decided it.
    pub config: DataConfig,
}

/// What is done with the samples of a family. Finding and loading is what a family needs; without the rest it is searched,
/// trained and scored alone.
pub trait Family: Sync {
    /// What a folder of a set may look like, for messages.
    fn layouts(&self) -> String;

    /// The extensions of its files, for messages; of sets that are folders the folders.
    fn known_extensions(&self) -> String {
        self.layouts()
    }

    /// True for a file that has one of these extensions, and alone is a sample.
    fn knows(&self, _path: &Path) -> bool {
        false
    }

    /// True where `folder` may hold the set, judged by names alone.
    fn may_hold(&self, folder: &Path, set: SetName) -> bool;

    /// True where `folder` can hold nothing but this family, though its files are those of another.
    fn is_sure_of(&self, _folder: &Path) -> bool {
        false
    }

    /// What else is in `folder`, which holds no samples that can be read, for messages.
    fn instead(&self, _folder: &Path) -> Option<&'static str> {
        None
    }

    /// Reads or lists, checks, prepares and splits a set.
    ///
    /// # Errors
    /// Files that can't be read or aren't what they should be, classes without samples: with file and place.
    fn load(&self, source: &Source, set: SetName, config: &DataConfig, needs: &LoadNeeds) -> Result<Loaded>;

    /// Looks at every sample of a set as a run with this configuration would. `minimum_points` is what a network needs of
    /// a cloud (k · dilation).
    ///
    /// # Errors
    /// A set that can't be opened at all.
    fn survey(&self, _source: &Source, _config: &DataConfig, _minimum_points: usize) -> Result<Survey> {
        Err(not_made("sgas data info looks at none"))
    }

    /// The files, or folders of graphs, that a user's paths to predict mean.
    ///
    /// # Errors
    /// A path that is not there, or holds no samples.
    fn find_inputs(&self, named: &[PathBuf]) -> Result<Vec<PathBuf>> {
        Ok(named.to_vec())
    }

    /// Reads and checks samples without classes as those of a set.
    ///
    /// # Errors
    /// Unless they may be skipped, the first file that can't be read or isn't what it should be; fewer points than the
    /// network needs.
    fn read_inputs(&self, _files: &[PathBuf], _config: &DataConfig, _needs: InputNeeds) -> Result<Inputs> {
        Err(not_made("sgas predict reads none"))
    }

    /// Writes the built-in set into a new folder.
    ///
    /// # Errors
    /// Too small a size; a folder that holds something already; files that can't be written. Nothing is left half-written.
    fn synthesise(&self, _wanted: &Synthesis, _folder: &Path) -> Result<()> {
        Err(not_made("sgas data synth writes none"))
    }

    /// How samples are prepared by this configuration, by name, for the provenance of predictions.
    fn preparation(&self, _config: &DataConfig) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// The rows of a sample, points or pixels; none where samples differ.
    fn rows(&self, _config: &DataConfig) -> Option<u64> {
        None
    }

    /// Refuses a configuration whose samples are too small for a network that takes `minimum_points`.
    ///
    /// # Errors
    /// Such a configuration.
    fn check_size(&self, _config: &DataConfig, _minimum_points: usize) -> Result<()> {
        Ok(())
    }
}

/// The error of a command that a family does without.
fn not_made(what: &str) -> Error {
    Error::usage(format!("{what} of this kind of data")).with_hint("search, train and eval take it by --data")
}

impl SampleKind {
    /// Refuses a file whose name says that it is of another kind.
    ///
    /// # Errors
    /// Such a file.
    pub(super) fn require(self, path: &Path) -> Result<()> {
        match Self::all().into_iter().find(|other| *other != self && other.family.knows(path)) {
            Some(other) if !self.family.knows(path) => {
                let expected = format!("{} ({})", self.singular, self.family.known_extensions());
                Err(Error::invalid(path, expected, other.singular)
                    .with_hint(format!("the network was trained on {}", self.plural)))
            }
            _ => Ok(()),
        }
    }
}

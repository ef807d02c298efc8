//! Samples without classes: files and folders as the user names them, for prediction.
//!
//! How they are found and read is in `named.rs`, what becomes of their content with their family.

use std::sync::Arc;

use tch::Device;

use super::config::DataConfig;
use super::loader::Samples;

/// Files that were named, and the samples of the good ones.
pub struct Inputs {
    /// Every file, in the order named; of graphs every node.
    pub files: Vec<InputFile>,
    /// The samples of the files without an error, in the same order: `draws` in a row per file. A graph is one sample
    /// with a row for each of its nodes.
    pub samples: Arc<dyn Samples>,
    /// Numbers per point, pixel or node that the network takes.
    pub channels: i64,
    /// Of labelled clouds where the points of the samples are.
    pub points: Option<InputPoints>,
    /// The configuration with what was left open in it.
    pub config: DataConfig,
}

/// What a family reads of the files that were named.
pub(super) struct Read {
    pub files: Vec<InputFile>,
    pub samples: Arc<dyn Samples>,
    pub channels: i64,
    pub points: Option<InputPoints>,
}

impl Read {
    /// The same with the configuration by which it was read.
    pub fn with(self, config: DataConfig) -> Inputs {
        let Self { files, samples, channels, points } = self;
        Inputs { files, samples, channels, points, config }
    }
}

/// The points that samples are made of.
pub struct InputPoints {
    /// The positions of the points as each file without an error stores them, in the same order.
    pub positions: Vec<Vec<[f64; 3]>>,
    /// Of every sample the good file that it is of, and where in the file its points are, in the order of the batch; the
    /// sample's further points are repeated ones.
    pub rows: Vec<(usize, Vec<u32>)>,
}

/// What gets a prediction: a file that was named, or a node of a graph in a folder that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Its path, as named or found, and the number of a node.
    pub name: String,
    /// Why it was skipped.
    pub error: Option<String>,
}

/// What reading samples without classes takes besides the configuration of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputNeeds {
    /// The fewest points that the network takes (k · dilation); for shapes.
    pub minimum_points: usize,
    /// Samples per file, at least 1; where there are several, each is a random subset of a shape's points.
    /// A picture is one sample.
    pub draws: usize,
    /// Where pictures are put together.
    pub device: Device,
    /// Go on without files that can't be used.
    pub skip_bad: bool,
}

//! Samples without classes: files and folders as the user names them, for prediction.
//!
//! What becomes of a file's content stands with its kind, in `points/inputs.rs`, `images/inputs.rs` and
//! `graphs/inputs.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use tch::Device;

use super::checks::keep_good;
use super::config::DataConfig;
use super::folders::{entries, summary};
use super::kind::SampleKind;
use super::loader::Samples;
use super::{graphs, images, points};
use crate::error::{Error, Result};

/// Files that were named, and the samples of the good ones.
pub struct Inputs {
    /// Every file, in the order named; of graphs every node.
    pub files: Vec<InputFile>,
    /// The samples of the files without an error, in the same order: `draws` in a row per file. A graph is one sample
    /// with a row for each of its nodes.
    pub samples: Arc<dyn Samples>,
    /// Numbers per point, pixel or node that the network takes.
    pub channels: i64,
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

/// The files that `named` means: a file itself, of a folder all visible files of this kind in it and below, in
/// alphabetical order. Graphs are folders, in which nothing is looked for: see `graphs/inputs.rs`.
///
/// # Errors
/// A path that is not there, a folder that can't be read or holds no such file.
pub fn find_inputs(kind: SampleKind, named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if kind == SampleKind::Graphs {
        return graphs::find_inputs(named);
    }
    let mut files = Vec::new();
    for path in named {
        match std::fs::metadata(path) {
            Err(error) => return Err(Error::read(path, error)),
            Ok(data) if !data.is_dir() => files.push(path.clone()),
            Ok(_) => {
                let before = files.len();
                let others = add_below(kind, path, &mut BTreeSet::new(), &mut files)?;
                if files.len() == before {
                    return Err(none_below(kind, path, &others));
                }
            }
        }
    }
    Ok(files)
}

/// `seen` keeps links between folders from leading around in circles. Gives the files that were passed over.
fn add_below(
    kind: SampleKind,
    folder: &Path,
    seen: &mut BTreeSet<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<Vec<PathBuf>> {
    if !seen.insert(folder.canonicalize().map_err(|error| Error::read(folder, error))?) {
        return Ok(Vec::new());
    }
    let (mut others, mut below) = (Vec::new(), Vec::new());
    for path in entries(folder)? {
        match (path.is_dir(), kind.knows(&path)) {
            (true, _) => below.append(&mut add_below(kind, &path, seen, files)?),
            (false, true) => files.push(path),
            (false, false) => others.push(path),
        }
    }
    if !others.is_empty() {
        tracing::warn!("{}: ignored {}", folder.display(), summary(&others));
    }
    others.append(&mut below);
    Ok(others)
}

fn none_below(kind: SampleKind, folder: &Path, others: &[PathBuf]) -> Error {
    let other = SampleKind::ALL.into_iter().find(|other| others.iter().any(|path| other.knows(path)));
    let found = other.map_or("none".to_owned(), |other| format!("{} alone", other.plural()));
    let hint = format!("the network was trained on {}; known formats: {}", kind.plural(), kind.known_extensions());
    Error::invalid(folder.display().to_string(), "files of a known format, in it or below", found).with_hint(hint)
}

/// Reads and checks files without classes as those of a set, but for labelled clouds, whose points get classes: see
/// [`super::scenes::read_scenes`]; writes into `config` what its `normalize = "auto"` came
/// to.
///
/// # Errors
/// Unless they may be skipped, the first file that can't be read or isn't what it should be; fewer points than
/// the network needs.
pub fn read_inputs(kind: SampleKind, files: &[PathBuf], config: &mut DataConfig, needs: InputNeeds) -> Result<Inputs> {
    match kind {
        SampleKind::Shapes => points::read_inputs(files, config, needs),
        SampleKind::Pictures => images::read_inputs(files, config, needs),
        SampleKind::Graphs => graphs::read_inputs(files, config, needs),
        SampleKind::Scenes => unreachable!("labelled clouds are read by scenes::read_scenes"),
    }
}

/// Reads every file, side by side: all of them with their errors, and what the good ones gave.
///
/// # Errors
/// Unless they may be skipped, the first file that won't do.
pub(super) fn read_each<T: Send>(
    kind: SampleKind,
    files: &[PathBuf],
    skip_bad: bool,
    read: impl Fn(&Path) -> Result<T> + Sync,
) -> Result<(Vec<InputFile>, Vec<T>)> {
    let read: Vec<Result<T>> = files.par_iter().map(|path| kind.require(path).and_then(|()| read(path))).collect();
    let errors = read.iter().map(|read| read.as_ref().err().map(Error::to_string));
    let named = files.iter().zip(errors).map(|(path, error)| InputFile { name: path.display().to_string(), error });
    let named: Vec<InputFile> = named.collect();
    let (good, _) = keep_good(read, skip_bad)?;
    Ok((named, good))
}

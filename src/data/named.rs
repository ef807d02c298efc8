//! Files without classes as the user names them, for prediction: found, and read side by side.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::checks::keep_good;
use super::family::SampleKind;
use super::folders::{entries, summary};
use super::inputs::InputFile;
use crate::error::{Error, Result};

/// The files that `named` means: a file itself, of a folder all visible files of this kind in it and below, in
/// alphabetical order.
///
/// # Errors
/// A path that is not there, a folder that can't be read or holds no such file.
pub(super) fn find_files(kind: SampleKind, named: &[PathBuf]) -> Result<Vec<PathBuf>> {
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
        match (path.is_dir(), kind.family.knows(&path)) {
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
    let other = SampleKind::all().into_iter().find(|other| others.iter().any(|path| other.family.knows(path)));
    let found = other.map_or("none".to_owned(), |other| format!("{} alone", other.plural));
    let hint = format!("the network was trained on {}; known formats: {}", kind.plural, kind.family.known_extensions());
    Error::invalid(folder, "files of a known format, in it or below", found).with_hint(hint)
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

//! Folders of classes with a picture per file: `{train,val}/<class>/FILE`, or `test` for `val`; classes and files in
//! alphabetical order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::decode::{check, is_picture, known_extensions};
use super::pictures::{Part, PictureSet, Pictures};
use crate::data::checks::keep_good;
use crate::data::folders::{entries, file_name, folders, require_same_classes};
use crate::error::{Error, Result};

/// A picture with its class.
type Found = (usize, PathBuf);

/// The files of a folder by their names; nothing is known of what they hold.
pub(super) struct Listing {
    pub classes: Vec<String>,
    pub train: Vec<Found>,
    pub test: Vec<Found>,
    /// The folder of the test pictures, `val` or `test`.
    pub held: &'static str,
    /// `test` is there beside `val`, and passed over.
    pub unread: bool,
}

/// Lists the pictures of all classes and looks at every header.
///
/// # Errors
/// As [`find`]; files that are no pictures (these are left out and counted where `skip_bad` says so).
pub(super) fn list(folder: &Path, skip_bad: bool) -> Result<PictureSet> {
    let Listing { classes, train, test, unread, .. } = find(folder)?;
    let (train, bad) = good_pictures(train, skip_bad)?;
    let (test, more_bad) = good_pictures(test, skip_bad)?;
    let skipped = bad + more_bad;
    let skipped = if skipped > 0 { format!(", {skipped} bad files skipped") } else { String::new() };
    let unread = if unread { " (val is the test split, test is not read)" } else { "" };
    Ok(PictureSet { classes, origin: format!("{}{unread}{skipped}", folder.display()), train, test })
}

/// Finds the files of all classes.
///
/// # Errors
/// A part or a class without pictures, a class that only one part has.
pub(super) fn find(folder: &Path) -> Result<Listing> {
    let held = held_part(folder)?;
    let train = classes_in(&folder.join("train"))?;
    let test = classes_in(&folder.join(held))?;
    require_same_classes(folder, ["train", held], [names(&train), names(&test)])?;
    let unread = held == "val" && folder.join("test").is_dir();
    let (train_files, test) = (files_of(&train)?, files_of(&test)?);
    let classes = train.into_iter().map(|(name, _)| name).collect();
    Ok(Listing { classes, train: train_files, test, held, unread })
}

/// The folder that is not for training.
fn held_part(folder: &Path) -> Result<&'static str> {
    ["val", "test"].into_iter().find(|part| folder.join(part).is_dir()).ok_or_else(|| {
        Error::invalid(folder.display().to_string(), "the folders train and val", "no val, and no test in its place")
    })
}

/// The classes of a part with their folders.
fn classes_in(part: &Path) -> Result<Vec<(String, PathBuf)>> {
    let classes: Vec<_> = folders(part)?.into_iter().map(|path| (file_name(&path), path)).collect();
    if classes.is_empty() {
        return Err(Error::invalid(part.display().to_string(), "a folder per class", "none"));
    }
    Ok(classes)
}

fn names(classes: &[(String, PathBuf)]) -> BTreeSet<&str> {
    classes.iter().map(|(name, _)| name.as_str()).collect()
}

/// The files of a part.
fn files_of(classes: &[(String, PathBuf)]) -> Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    for (label, (_, folder)) in classes.iter().enumerate() {
        found.extend(pictures_of(folder)?.into_iter().map(|path| (label, path)));
    }
    Ok(found)
}

/// The pictures among these files whose headers are good, and the number of the others.
fn good_pictures(found: Vec<Found>, skip_bad: bool) -> Result<(Part, usize)> {
    let checked = found.into_par_iter().map(|(label, path)| check(&path).map(|()| (label, path))).collect();
    let (good, bad) = keep_good(checked, skip_bad)?;
    let (labels, paths) = good.into_iter().unzip();
    Ok((Part { labels, pictures: Pictures::Files(paths) }, bad))
}

/// The pictures of a class; what else lies there is told and passed over.
fn pictures_of(class: &Path) -> Result<Vec<PathBuf>> {
    let (pictures, others): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(class)?.into_iter().partition(|path| is_picture(path) && !path.is_dir());
    if pictures.is_empty() {
        let expected = format!("pictures ({})", known_extensions());
        return Err(Error::invalid(class.display().to_string(), expected, "none")
            .with_hint("add pictures of this class, or remove its folder from both parts"));
    }
    if !others.is_empty() {
        tracing::warn!("{}: ignored {} entries, such as {}", class.display(), others.len(), file_name(&others[0]));
    }
    Ok(pictures)
}

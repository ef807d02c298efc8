//! Folders of classes, whatever their files are: what lies in them, and whether both parts have every class.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};
use crate::reading::is_readable;

/// Folders whose other entries were told: a folder is listed several times.
static TOLD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// What systems leave in folders that they show, in lower case.
const LEFT_BEHIND: [&str; 3] = ["thumbs.db", "desktop.ini", "__macosx"];

/// The visible files and folders of a folder, sorted, links among them followed. Pipes, sockets and devices are told and
/// passed over.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = std::fs::read_dir(folder).map_err(|error| Error::read(folder, error))?;
    let paths = list.map(|entry| entry.map(|entry| entry.path()).map_err(|error| Error::read(folder, error)));
    let mut paths = paths.collect::<Result<Vec<PathBuf>>>()?;
    paths.retain(|path| {
        let name = file_name(path);
        !name.starts_with('.') && !LEFT_BEHIND.contains(&&*name.to_lowercase())
    });
    paths.sort_unstable();
    let (paths, others): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| is_readable(path));
    if let Some(first) = others.first() {
        tell_once(folder, others.len(), &file_name(first));
    }
    Ok(paths)
}

fn tell_once(folder: &Path, others: usize, first: &str) {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(whole) {
        tracing::warn!(
            "{}: ignored {others} entries that are neither files nor folders, such as {first}",
            folder.display()
        );
    }
}

/// The visible folders in a folder, sorted.
pub(super) fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// The extension of a file, in lower case.
pub(super) fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A name in Unicode's composed form: some systems store `é` as one letter and some as two.
pub(super) fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// The name of a class's folder, composed.
pub(super) fn class_name(path: &Path) -> String {
    composed(&file_name(path))
}

/// How many files of which extension, in lower case.
pub(super) fn count_extensions<'a>(files: impl Iterator<Item = &'a PathBuf>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for file in files {
        *counts.entry(extension(file)).or_default() += 1;
    }
    counts
}

/// The same in words.
pub(super) fn summary(files: &[PathBuf]) -> String {
    let counts = count_extensions(files.iter());
    let parts: Vec<String> = counts.iter().map(|(extension, count)| format!("{count} .{extension}")).collect();
    format!("{} files", parts.join(", "))
}

/// Both parts of a set must have every class; `names` are those of the parts, `classes` what each has.
pub(super) fn require_same_classes(folder: &Path, names: [&str; 2], classes: [BTreeSet<&str>; 2]) -> Result<()> {
    let [first, second] = &classes;
    if first == second {
        return Ok(());
    }
    let found = format!("{}{}", only_in(first, second, names[0]), only_in(second, first, names[1]));
    let expected = format!("the same classes in {} and {}", names[0], names[1]);
    Err(Error::invalid(folder, expected, found.trim_end_matches("; "))
        .with_hint("give every class samples in both, or remove the class"))
}

fn only_in(these: &BTreeSet<&str>, those: &BTreeSet<&str>, part: &str) -> String {
    let names: Vec<&str> = these.difference(those).copied().collect();
    if names.is_empty() { String::new() } else { format!("{} only in {part}; ", names.join(", ")) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes a file, and the folders that it lies in.
    pub(in crate::data) fn write(folder: &Path, name: &str, content: &[u8]) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A folder of empty files.
    pub(in crate::data) fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| write(folder.path(), name, b""));
        folder
    }
}

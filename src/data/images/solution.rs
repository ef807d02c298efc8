//! ImageNet's validation pictures as Kaggle has them: all in one folder, with a list of their classes beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::reading;

/// The list: a picture per line, its name without extension, a comma, its class, and boxes that are not read.
pub(super) const NAME: &str = "LOC_val_solution.csv";

/// The list of all classes, one per line, a blank, its names in English.
const CLASSES: &str = "LOC_synset_mapping.txt";

/// Folders above the pictures' in which the lists are looked for: `ILSVRC/Data/CLS-LOC`.
const ABOVE: usize = 3;

/// Classes and files, and errors of what is not there.
pub(super) type Solved = (Vec<(String, PathBuf)>, Vec<Error>);

/// The list of classes of the pictures in a folder.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().take(ABOVE + 1).map(|above| above.join(NAME)).find(|path| reading::is_there(path))
}

/// The class and file of every picture, and an error for each that the list names and the folder has not.
///
/// # Errors
/// A list that can't be read, a picture that it does not name, a class that the list of classes has not.
pub(super) fn classes(list: &Path, folder: &Path, pictures: Vec<PathBuf>) -> Result<Solved> {
    let text = reading::text(list, reading::LIST)?;
    let known = known_classes(&list.with_file_name(CLASSES))?;
    let mut by_name: BTreeMap<String, PathBuf> = pictures.into_iter().map(|path| (name_of(&path), path)).collect();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).skip(1) {
        let invalid = |expected: &str, found: &str| {
            Error::invalid(format!("{}, line {}", list.display(), number + 1), expected, found)
        };
        let (name, rest) = line.split_once(',').unwrap_or((line, ""));
        let class = rest.split_whitespace().next().ok_or_else(|| invalid("a picture, a comma and a class", line))?;
        if known.as_ref().is_some_and(|known| !known.contains(class)) {
            return Err(invalid(&format!("a class of {CLASSES}"), class));
        }
        match by_name.remove(name.trim()) {
            Some(path) => found.push((class.to_owned(), path)),
            None => missing.push(invalid(&format!("a picture of {}", folder.display()), name)),
        }
    }
    match by_name.into_values().next() {
        Some(path) => Err(Error::invalid(path, format!("a picture that {NAME} names"), "another")
            .with_hint("remove it, or add its class to the list")),
        None => Ok((found, missing)),
    }
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The classes of the list of these, where it is there.
fn known_classes(list: &Path) -> Result<Option<BTreeSet<String>>> {
    if !reading::is_there(list) {
        return Ok(None);
    }
    let text = reading::text(list, reading::LIST)?;
    Ok(Some(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()))
}

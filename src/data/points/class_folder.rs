//! Folders of classes with a file per shape, of any known format and mixed as they like; classes and files in
//! alphabetical order.
//!
//! Three layouts: `<class>/{train,test}/FILE`, `{train,test}/<class>/FILE`, and `<class>/FILE`, where lists of
//! files say which are for testing, or else a share of every class is held out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::format::Format;
use super::set::Item;
use crate::data::config::DataConfig;
use crate::data::division;
use crate::data::folders::{class_name, entries, folders, require_same_classes, summary};
use crate::data::split::Split;
use crate::error::{Error, Result};

/// What a folder of shapes may look like, for messages.
pub(in crate::data) const LAYOUTS: &str = "ply_data_train*.h5, ply_data_test*.h5 and shape_names.txt, or folders of classes: \
     <class>/{train,test}/FILE, {train,test}/<class>/FILE or <class>/FILE";

/// The folders that say which part a shape belongs to, and whether that is the test part.
const PARTS: [(&str, bool); 2] = [("train", false), ("test", true)];

/// The files of a folder.
#[derive(Debug)]
pub(super) struct Listing {
    pub classes: Vec<String>,
    pub files: Vec<(Item, PathBuf)>,
    /// Where a shape's class and part stand in its path.
    pub layout: &'static str,
    /// How the test part came about, where the folders don't say it.
    pub note: Option<String>,
}

/// A file with its class, and its part where the folders say it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    class: String,
    path: PathBuf,
    /// True for test.
    in_test: Option<bool>,
}

/// Lists the shapes of all classes, train and test.
///
/// # Errors
/// A class that only train or only test has, a class without shapes, lists that name what is not there.
pub(super) fn list(folder: &Path, config: &DataConfig) -> Result<Listing> {
    let found = find(folder)?;
    if found.is_empty() {
        return Err(Error::invalid(folder.display().to_string(), LAYOUTS, "no file of a known format")
            .with_hint(format!("known formats: {}", known_extensions())));
    }
    let layout = layout(folder, &found);
    let by_folder = found.iter().any(|file| file.in_test == Some(true));
    let (found, note) = if by_folder { (found, None) } else { divide(folder, found, config)? };
    require_same_classes(folder, ["train", "test"], [false, true].map(|in_test| classes_of(&found, in_test)))?;
    let names: BTreeSet<String> = found.iter().map(|file| file.class.clone()).collect();
    let classes: Vec<String> = names.into_iter().collect();
    let item = |Found { class, path, in_test }| {
        let label = classes.binary_search(&class).expect("the classes are those of the files");
        let split = if in_test == Some(true) { Split::Test } else { Split::Train };
        (Item { name: path.display().to_string(), label, split }, path)
    };
    Ok(Listing { files: found.into_iter().map(item).collect(), classes, layout, note })
}

/// The layout of the files as `find` gives them.
fn layout(folder: &Path, found: &[Found]) -> &'static str {
    match found.iter().any(|file| file.in_test.is_some()) {
        true if has_parts(folder) => "{train,test}/<class>/FILE",
        true => "<class>/{train,test}/FILE",
        false => "<class>/FILE",
    }
}

fn has_parts(folder: &Path) -> bool {
    PARTS.iter().any(|(part, _)| folder.join(part).is_dir())
}

/// Decides which files are for testing where no folder says it, and tells how in words.
fn divide(folder: &Path, mut found: Vec<Found>, config: &DataConfig) -> Result<(Vec<Found>, Option<String>)> {
    let files: Vec<(&str, &Path)> = found.iter().map(|file| (file.class.as_str(), file.path.as_path())).collect();
    let (parts, note) = division::divide(folder, &files, config)?;
    for (file, part) in found.iter_mut().zip(parts) {
        file.in_test = part;
    }
    found.retain(|file| file.in_test.is_some());
    Ok((found, Some(note)))
}

/// True where `list` would find a file; reads no more folders than that needs.
pub(in crate::data) fn is_one(folder: &Path) -> bool {
    find(folder).is_ok_and(|files| !files.is_empty())
}

/// All files of a known format, in the order of class and name.
fn find(folder: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    if has_parts(folder) {
        for (part, in_test) in PARTS.iter().filter(|(part, _)| folder.join(part).is_dir()) {
            for class in folders(&folder.join(part))? {
                add_files(&class, &class_name(&class), Some(*in_test), &mut found)?;
            }
        }
    } else {
        for class in folders(folder)? {
            let (name, start) = (class_name(&class), found.len());
            for (part, in_test) in PARTS.iter().filter(|(part, _)| class.join(part).is_dir()) {
                add_files(&class.join(part), &name, Some(*in_test), &mut found)?;
            }
            if found.len() == start {
                add_files(&class, &name, None, &mut found)?;
            }
        }
    }
    found.sort();
    Ok(found)
}

fn add_files(folder: &Path, class: &str, in_test: Option<bool>, found: &mut Vec<Found>) -> Result<()> {
    let (files, others): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(folder)?.into_iter().filter(|path| !path.is_dir()).partition(|path| Format::of(path).is_some());
    if !others.is_empty() {
        tracing::warn!("{}: ignored {}: known formats are {}", folder.display(), summary(&others), known_extensions());
    }
    found.extend(files.into_iter().map(|path| Found { class: class.to_owned(), path, in_test }));
    Ok(())
}

fn classes_of(found: &[Found], in_test: bool) -> BTreeSet<&str> {
    let part = found.iter().filter(|file| (file.in_test == Some(true)) == in_test);
    part.map(|file| file.class.as_str()).collect()
}

/// The extensions of all formats, for messages.
pub(in crate::data) fn known_extensions() -> String {
    let extensions = Format::ALL.iter().flat_map(|format| format.extensions());
    extensions.map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(" ")
}

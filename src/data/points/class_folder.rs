//! Folders of classes with a file per shape, of any known format and mixed as they like; classes and files in
//! alphabetical order.
//!
//! Layouts: `<class>/{train,test}/FILE`, `{train,test}/<class>/FILE`, and `<class>/FILE` or `<class>/<shape>/FILE`, where
//! lists of files say which are for testing, or else a share of every class is held out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::format::{Format, Raw, known_extensions};
use super::item::Item;
use super::taxonomy;
use crate::data::division::{self, Lists, part_folders, without_test};
use crate::data::folders::{class_name, entries, file_name, folders, require_same_classes, summary};
use crate::data::scan::show_names;
use crate::data::split::Split;
use crate::error::{Error, Result};

/// What the shape is called in a folder that is its own and has other files too, the surest first: in ShapeNetCore's, and
/// where clouds were drawn of its meshes.
const MODELS: [&str; 3] = ["model_normalized", "model", "pointcloud"];

/// The files of a folder.
#[derive(Debug)]
pub(super) struct Listing {
    pub classes: Vec<String>,
    pub files: Vec<(Item, PathBuf)>,
    /// Where a shape's class and part stand in its path.
    pub layout: &'static str,
    /// How the parts came about, where it is not by folders train and test.
    pub note: Option<String>,
}

/// A file with its class, and its part where the folders say it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    class: String,
    path: PathBuf,
    split: Option<Split>,
}

/// Lists the shapes of all classes, train and test.
///
/// # Errors
/// A class that only train or only test has, a class without shapes, lists that name what is not there.
pub(super) fn list(folder: &Path, lists: &Lists<'_>) -> Result<Listing> {
    let found = find(folder, true)?;
    if found.is_empty() {
        let expected = "a file of a known format in every class";
        return Err(
            Error::invalid(folder, expected, "none").with_hint(format!("known formats: {}", known_extensions()))
        );
    }
    let layout = layout(folder, &found);
    let (mut found, mut note) =
        match found.iter().any(|file| matches!(file.split, Some(split) if split != Split::Train)) {
            true => (found, None),
            false => divide(folder, found, lists)?,
        };
    let mut marks: Vec<Option<Split>> = found.iter().map(|file| file.split).collect();
    let without = without_test(&mut marks);
    found.iter_mut().zip(marks).for_each(|(file, mark)| file.split = mark);
    found.retain(|file| file.split.is_some());
    if note.is_none() && (!without.is_empty() || found.iter().any(|file| file.split == Some(Split::Validation))) {
        note = Some(format!("folders say which part a shape is for{without}"));
    }
    require_same_classes(
        folder,
        ["train", "test"],
        [Split::Train, Split::Test].map(|split| classes_of(&found, split)),
    )?;
    let names: BTreeSet<String> = found.iter().map(|file| file.class.clone()).collect();
    let classes: Vec<String> = names.into_iter().collect();
    let item = |Found { class, path, split }| {
        let label = classes.binary_search(&class).expect("the classes are those of the files");
        let split = split.expect("files of no part are left out");
        (Item { name: path.display().to_string(), label, split }, path)
    };
    let files = found.into_iter().map(item).collect();
    Ok(Listing { files, classes: taxonomy::named(folder, classes), layout, note })
}

/// The layout of the files as `find` gives them.
fn layout(folder: &Path, found: &[Found]) -> &'static str {
    match found.iter().any(|file| file.split.is_some()) {
        true if part_folders(folder).is_ok_and(|parts| !parts.is_empty()) => "{train,test}/<class>/FILE",
        true => "<class>/{train,test}/FILE",
        false if found.iter().all(|file| file.path.parent().and_then(Path::parent) != Some(folder)) => {
            "<class>/<shape>/FILE"
        }
        false => "<class>/FILE",
    }
}

/// Decides which files are for what where no folder says it, and tells how in words.
fn divide(folder: &Path, mut found: Vec<Found>, lists: &Lists<'_>) -> Result<(Vec<Found>, Option<String>)> {
    let files: Vec<(&str, &Path)> = found.iter().map(|file| (file.class.as_str(), file.path.as_path())).collect();
    let (marks, note) = division::divide(folder, &files, lists)?;
    found.iter_mut().zip(marks).for_each(|(file, mark)| file.split = mark);
    Ok((found, Some(note)))
}

/// True where `list` would find a file; reads no more folders than that needs.
pub(in crate::data) fn is_one(folder: &Path) -> bool {
    find(folder, false).is_ok_and(|files| !files.is_empty())
}

/// All files of a known format, in the order of class and name; `tell` of others.
fn find(folder: &Path, tell: bool) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let parts_of_all = part_folders(folder).unwrap_or_default();
    for (split, part) in &parts_of_all {
        for class in folders(part)? {
            add_class(&class, &class_name(&class), Some(*split), tell, &mut found)?;
        }
    }
    for class in folders(folder)?.iter().filter(|_| parts_of_all.is_empty()) {
        let (name, start) = (class_name(class), found.len());
        for (split, part) in part_folders(class).unwrap_or_default() {
            add_class(&part, &name, Some(split), tell, &mut found)?;
        }
        if found.len() == start {
            add_class(class, &name, None, tell, &mut found)?;
        }
    }
    let part = |split: Option<Split>| split.map_or(0, |split| split as u8);
    found.sort_by(|one, two| (&one.class, &one.path, part(one.split)).cmp(&(&two.class, &two.path, part(two.split))));
    Ok(found)
}

/// The shapes of a class in a folder: its files, or else one for each folder in it.
fn add_class(folder: &Path, class: &str, split: Option<Split>, tell: bool, found: &mut Vec<Found>) -> Result<()> {
    let (files, others): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(folder)?.into_iter().filter(|path| !path.is_dir()).partition(|path| Format::of(path).is_some());
    if tell && !others.is_empty() {
        tracing::warn!("{}: ignored {}: known formats are {}", folder.display(), summary(&others), known_extensions());
    }
    let shapes = if files.is_empty() { own_folders(folder, tell)? } else { files };
    found.extend(shapes.into_iter().map(|path| Found { class: class.to_owned(), path, split }));
    Ok(())
}

/// The shapes of a class that have a folder each, as ShapeNetCore's: `<shape>/FILE` or `<shape>/models/FILE`. Where it is
/// not clear which file is the shape, the folder stands for it, and is refused when it is read.
fn own_folders(class: &Path, tell: bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for shape in folders(class)? {
        let models = shape.join("models");
        let files = entries(if models.is_dir() { &models } else { &shape })?;
        let files: Vec<PathBuf> = files.into_iter().filter(|path| Format::of(path).is_some()).collect();
        // Tables and arrays alone may be anything.
        let may_be_other = |path: &PathBuf| matches!(Format::of(path), Some(Format::Text | Format::Numpy));
        match &files[..] {
            [] => {}
            [file] => found.push(file.clone()),
            several if !tell && several.iter().all(may_be_other) => {}
            several => found.push(the_model(several).unwrap_or(shape)),
        }
    }
    Ok(found)
}

/// The only one of these files that is called as models are.
fn the_model(files: &[PathBuf]) -> Option<PathBuf> {
    let called = |model: &str| {
        let mut named =
            files.iter().filter(|path| path.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(model)));
        named.next().filter(|_| named.next().is_none()).cloned()
    };
    MODELS.into_iter().find_map(called)
}

/// Why the folder of a shape can't be read.
///
/// # Errors
/// Always, but for a folder that can't be listed with another error.
pub(super) fn refuse(folder: &Path) -> Result<Raw> {
    let models = folder.join("models");
    let files = entries(if models.is_dir() { &models } else { folder })?;
    let names: Vec<String> =
        files.iter().filter(|path| Format::of(path).is_some()).map(|path| file_name(path)).collect();
    let found = show_names(names.iter().map(String::as_str));
    let expected = format!("one file, as the folder is one shape's, or one called {}", MODELS.join(", "));
    Err(Error::invalid(folder, expected, found)
        .with_hint("move the others away; files of several shapes lie in the folder of their class"))
}

fn classes_of(found: &[Found], split: Split) -> BTreeSet<&str> {
    found.iter().filter(|file| file.split == Some(split)).map(|file| file.class.as_str()).collect()
}

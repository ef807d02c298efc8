//! The user's own labelled clouds: files of any known format, `{train,val,test}/FILE`, perhaps in folders, or `FILE` with lists of the files
//! for training, validation and testing, or else a share of all for testing.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::cloud::Reading;
use super::config::SceneDataConfig;
use super::gathered::Gathered;
use super::item::{Item, Opened};
use super::labels::{ClassList, IGNORED, Labelling, names};
use crate::data::division::{self, Lists, find_lists, part_folders, without_test};
use crate::data::folders::{count_extensions, entries, file_name, folders, summary};
use crate::data::points::features::ROOM;
use crate::data::points::format::{self, Raw};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading;

/// Files beside clouds that are none, whatever their extension.
const OTHERS: [&str; 4] = ["classes.txt", "train.txt", "test.txt", "shape_names.txt"];

/// Reads the clouds of a folder.
///
/// # Errors
/// A part without clouds, lists that name what is not there, names of classes that won't do. What is wrong with a cloud
/// is an error of its item.
pub(super) fn open(folder: &Path, settings: &SceneDataConfig, lists: &Lists<'_>, reading: &Reading) -> Result<Opened> {
    let (files, division) = list(folder, &settings.classes, lists)?;
    let read = |path: &Path| reading.intake.read(path);
    let labelling = labelling(folder, settings, &[])?.with_words(folder, &files, &read)?;
    Ok(read_all(&files, division, &labelling, &read, reading))
}

/// Reads the clouds of a folder in a layout of the table.
///
/// # Errors
/// As [`open`].
pub(super) fn open_gathered(
    layout: &Gathered,
    folder: &Path,
    settings: &SceneDataConfig,
    reading: &Reading,
) -> Result<Opened> {
    let (files, mut marks): (Vec<PathBuf>, Vec<Option<Split>>) =
        layout.list(folder, settings.area)?.into_iter().unzip();
    let note = without_test(&mut marks);
    require_parts(folder, &marks)?;
    let files: Vec<(PathBuf, Split)> = with_parts(files, marks);
    let labelling = labelling(folder, settings, layout.classes)?;
    Ok(read_all(&files, format!("{}{note}", layout.division), &labelling, &layout.read, reading))
}

/// How labels become classes: by the list of the folder, or else these names.
fn labelling(folder: &Path, settings: &SceneDataConfig, names: &[&str]) -> Result<Labelling> {
    let classes = folder.join(&settings.classes);
    let list = match reading::is_there(&classes) {
        true => Some(ClassList::read(&classes)?),
        false if names.is_empty() => None,
        false => Some(ClassList::parse(&names.join("\n"), &classes)?),
    };
    Ok(Labelling { column: settings.label.clone(), unlabelled: settings.unlabelled, list })
}

impl Labelling {
    /// The same with the classes that the files name, where nothing else says them and the first good file has names.
    fn with_words(
        mut self,
        folder: &Path,
        files: &[(PathBuf, Split)],
        read: &(dyn Fn(&Path) -> Result<Raw> + Sync),
    ) -> Result<Self> {
        let words = |(path, _): &(PathBuf, Split)| Some(self.words(&read(path).ok()?, ""));
        let has_words = || files.iter().find_map(words).is_some_and(|words| !words.is_empty());
        if self.list.is_none() && has_words() {
            let all: BTreeSet<String> = files.par_iter().filter_map(words).flatten().collect();
            self.list = Some(ClassList::of_words(all, folder)?);
        }
        Ok(self)
    }
}

/// Reads these clouds side by side.
fn read_all(
    files: &[(PathBuf, Split)],
    division: String,
    labelling: &Labelling,
    read: &(dyn Fn(&Path) -> Result<Raw> + Sync),
    reading: &Reading,
) -> Opened {
    let item = |(path, split): &(PathBuf, Split)| {
        let name = path.display().to_string();
        let clouds = read(path).and_then(|raw| {
            let (label, classes) = labelling.classes(&raw, &name)?;
            let columns = raw.columns.iter().map(|(name, _)| name).filter(|name| **name != label).cloned();
            let columns: Vec<String> = columns.collect();
            let mut clouds = reading.cut(raw, &classes, &name)?.clouds;
            clouds.retain(|cloud| cloud.labelled() > 0);
            Ok((columns, clouds))
        });
        let (columns, clouds) = match clouds {
            Ok((columns, clouds)) => (Some(columns), Ok(clouds)),
            Err(error) => (None, Err(error)),
        };
        (Item { group: name.clone(), name, split: *split, clouds }, columns)
    };
    let (items, columns): (Vec<Item>, Vec<Option<Vec<String>>>) = files.par_iter().map(item).unzip();
    let common = |one: Vec<String>, two: Vec<String>| {
        let two: HashSet<String> = two.into_iter().collect();
        one.into_iter().filter(|name| two.contains(name)).collect()
    };
    let mut columns = columns.into_iter().flatten().reduce(common).unwrap_or_default();
    for room in ROOM {
        if !columns.iter().any(|name| name == room) {
            columns.push(room.to_owned());
        }
    }
    let good = items.iter().filter_map(|item| item.clouds.as_ref().ok()).flatten();
    let greatest = good.flat_map(|cloud| cloud.classes()).copied().filter(|class| *class != IGNORED).max();
    let files = count_extensions(files.iter().map(|(path, _)| path).filter(|path| path.extension().is_some()));
    Opened { items, classes: names(labelling.list.as_ref(), greatest), division, columns, files }
}

/// The files of the folder with their splits, and how these were decided, in words.
fn list(folder: &Path, classes: &str, lists: &Lists<'_>) -> Result<(Vec<(PathBuf, Split)>, String)> {
    let parts = parts(folder)?;
    let (files, mut marks, mut note) = if parts.is_empty() {
        let listed: Vec<PathBuf> = find_lists(folder, lists)?.into_iter().map(|(_, path)| path).collect();
        let mut found = clouds(folder, true)?;
        found.retain(|path| !listed.contains(path) && file_name(path) != classes);
        let files: Vec<(&str, &Path)> = found.iter().map(|path| ("", path.as_path())).collect();
        let (marks, note) = division::divide(folder, &files, lists)?;
        (found, marks, note)
    } else {
        let (mut files, mut marks) = (Vec::new(), Vec::new());
        for (split, part) in &parts {
            let found = clouds_below(part, true)?;
            if found.is_empty() {
                return Err(Error::invalid(part, "at least one labelled cloud", "none"));
            }
            marks.extend(vec![Some(*split); found.len()]);
            files.extend(found);
        }
        let names: Vec<String> = parts.iter().map(|(_, part)| file_name(part)).collect();
        (files, marks, format!("folders {}", names.join(", ")))
    };
    note += without_test(&mut marks);
    require_parts(folder, &marks)?;
    Ok((with_parts(files, marks), note))
}

fn with_parts(files: Vec<PathBuf>, marks: Vec<Option<Split>>) -> Vec<(PathBuf, Split)> {
    files.into_iter().zip(marks).filter_map(|(path, part)| Some((path, part?))).collect()
}

fn require_parts(folder: &Path, marks: &[Option<Split>]) -> Result<()> {
    let Some(split) = [Split::Train, Split::Test].into_iter().find(|split| !marks.contains(&Some(*split))) else {
        return Ok(());
    };
    let place = format!("{}: {} split", folder.display(), split.name());
    Err(Error::invalid(place, "at least one labelled cloud", "none").with_hint(
        "clouds lie in train and test, and perhaps val, or all in one folder: data.test_share then holds out a share of \
         several, and lists name files; of S3DIS data.scenes.area is for testing",
    ))
}

/// The folders for training, validation and testing.
fn parts(folder: &Path) -> Result<Vec<(Split, PathBuf)>> {
    let mut parts = part_folders(folder)?;
    parts.sort_by_key(|(split, _)| *split as u8);
    Ok(parts)
}

/// True for a file with the extension of a cloud, but for lists that usually lie beside clouds.
pub(in crate::data) fn is_cloud(path: &Path) -> bool {
    format::is_shape(path) && !is_other(path)
}

fn is_other(path: &Path) -> bool {
    OTHERS.contains(&file_name(path).as_str())
}

/// True for a folder with clouds in it, or in its folders for training, validation and testing.
pub(super) fn is_one(folder: &Path) -> bool {
    let has = |folder: &Path| clouds_below(folder, false).is_ok_and(|files| !files.is_empty());
    clouds(folder, false).is_ok_and(|files| !files.is_empty())
        || parts(folder).is_ok_and(|parts| parts.iter().any(|(_, part)| has(part)))
}

/// The clouds in a folder and in the folders in it.
fn clouds_below(folder: &Path, tell: bool) -> Result<Vec<PathBuf>> {
    let mut found = clouds(folder, tell)?;
    for inner in folders(folder)? {
        found.extend(clouds(&inner, tell)?);
    }
    Ok(found)
}

/// The clouds in a folder, not below it, in alphabetical order.
fn clouds(folder: &Path, tell: bool) -> Result<Vec<PathBuf>> {
    let files = entries(folder)?.into_iter().filter(|path| !path.is_dir());
    let files = files.filter(|path| !is_other(path));
    let (clouds, others): (Vec<PathBuf>, Vec<PathBuf>) = files.partition(|path| format::is_shape(path));
    if tell && !others.is_empty() {
        tracing::warn!("{}: ignored {}", folder.display(), summary(&others));
    }
    Ok(clouds)
}

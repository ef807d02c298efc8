//! The user's own labelled clouds: files of any known format, `{train,test}/FILE`, or `FILE` with lists of the files for
//! training and testing, or else a share of all for testing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::cloud::Reading;
use super::labels::{ClassList, IGNORED, Labelling, names};
use super::set::{Item, Opened};
use crate::data::config::DataConfig;
use crate::data::folders::{count_extensions, entries, file_name, summary};
use crate::data::points::division;
use crate::data::points::features::ROOM;
use crate::data::points::format;
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading;

/// The folders that say which part a cloud belongs to.
const PARTS: [(&str, Split); 2] = [("train", Split::Train), ("test", Split::Test)];

/// Files beside clouds that are none, whatever their extension.
const OTHERS: [&str; 4] = ["classes.txt", "train.txt", "test.txt", "shape_names.txt"];

/// Reads the clouds of a folder.
///
/// # Errors
/// A part without clouds, lists that name what is not there, names of classes that won't do. What is wrong with a cloud
/// is an error of its item.
pub(super) fn open(folder: &Path, config: &DataConfig, reading: &Reading) -> Result<Opened> {
    let (files, division) = list(folder, config)?;
    let classes = folder.join(&config.scenes.classes);
    let list = if reading::is_there(&classes) { Some(ClassList::read(&classes)?) } else { None };
    let settings = &config.scenes;
    let labelling = Labelling { column: settings.label.clone(), unlabelled: settings.unlabelled, list };
    let item = |(path, split): &(PathBuf, Split)| {
        let name = path.display().to_string();
        let clouds = reading.intake.read(path).and_then(|raw| {
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
    columns.extend(
        ROOM.iter()
            .filter(|room| !columns.iter().any(|name| name == *room))
            .map(|room| (*room).to_owned())
            .collect::<Vec<_>>(),
    );
    let good = items.iter().filter_map(|item| item.clouds.as_ref().ok()).flatten();
    let greatest = good.flat_map(|cloud| cloud.classes()).copied().filter(|class| *class != IGNORED).max();
    let files = count_extensions(files.iter().map(|(path, _)| path));
    Ok(Opened { items, classes: names(labelling.list.as_ref(), greatest), division, columns, files })
}

/// The files of the folder with their splits, and how these were decided, in words.
fn list(folder: &Path, config: &DataConfig) -> Result<(Vec<(PathBuf, Split)>, String)> {
    if PARTS.iter().any(|(part, _)| folder.join(part).is_dir()) {
        let mut files = Vec::new();
        for (part, split) in PARTS {
            let inside = folder.join(part);
            let found = if inside.is_dir() { clouds(&inside, true)? } else { Vec::new() };
            if found.is_empty() {
                let place = inside.display().to_string();
                return Err(Error::invalid(place, "at least one labelled cloud", "none")
                    .with_hint("clouds lie in train and test, or all in one folder"));
            }
            files.extend(found.into_iter().map(|path| (path, split)));
        }
        return Ok((files, "folders train and test".to_owned()));
    }
    let mut found = clouds(folder, true)?;
    let lists = [&config.train_list, &config.test_list, &config.scenes.classes];
    found.retain(|path| !lists.iter().any(|list| file_name(path) == **list));
    let files: Vec<(&str, &Path)> = found.iter().map(|path| ("", path.as_path())).collect();
    let (parts, note) = division::divide(folder, &files, config)?;
    let split = |is_test: bool| if is_test { Split::Test } else { Split::Train };
    let divided =
        found.iter().zip(parts).filter_map(|(path, part)| Some((path.clone(), split(part?)))).collect::<Vec<_>>();
    for (name, split) in PARTS {
        if !divided.iter().any(|(_, of)| *of == split) {
            let place = format!("{}: {name} split", folder.display());
            return Err(Error::invalid(place, "at least one labelled cloud", "none").with_hint(
                "data.test_share holds out a share of several clouds; data.train_list and data.test_list name files",
            ));
        }
    }
    Ok((divided, note))
}

/// True for a file with the extension of a cloud, but for lists that usually lie beside clouds.
pub(in crate::data) fn is_cloud(path: &Path) -> bool {
    format::is_shape(path) && !is_other(path)
}

fn is_other(path: &Path) -> bool {
    OTHERS.contains(&file_name(path).as_str())
}

/// True for a folder with clouds in it, or in its folders train and test.
pub(super) fn is_one(folder: &Path) -> bool {
    let has = |folder: &Path| clouds(folder, false).is_ok_and(|files| !files.is_empty());
    has(folder) || PARTS.iter().any(|(part, _)| has(&folder.join(part)))
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

//! Shapes in HDF5 files, many in each: ModelNet40's `ply_data_{train,test}*.h5`, ScanObjectNN's
//! `training_objectdataset.h5`, and whatever else names its part. Datasets, by the names that `[data.hdf5]` gives: points
//! (n, points, 3), or 6 with normals, of any type of numbers, perhaps normals of the same shape, and labels (n, 1) or (n) of
//! integers. `shape_names.txt` has a class per line; without it, classes are called by their labels.

use std::path::{Path, PathBuf};

use hdf5_reader::Hdf5File;

use super::augmentation::CHANNELS;
use super::config::Hdf5DataConfig;
use super::features::{AXES, NORMALS};
use super::format::Raw;
use super::item::{Item, Loaded};
use crate::data::checks::each;
use crate::data::division::{part_of, without_test};
use crate::data::folders::{composed, entries, file_name, summary};
use crate::data::hdf5::{dataset, names, open, read_labels, values, wrong_shape};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading;

const NAMES: &str = "shape_names.txt";

/// Labels beyond which a set without names of classes has something else in their place.
const MOST_CLASSES: usize = 1024;

/// What the files of ScanObjectNN's 15 classes are called, beside their part and variant.
const SCAN_OBJECT_NN: &str = "objectdataset";

/// Its classes, in the order of the labels.
const SCAN_OBJECT_NN_CLASSES: [&str; 15] = [
    "bag", "bin", "box", "cabinet", "chair", "desk", "display", "door", "shelf", "table", "bed", "pillow", "sink",
    "sofa", "toilet",
];

/// The files of a folder, train before validation before test, each part by number, so that 2 comes before 10.
#[derive(Debug)]
pub(super) struct Files {
    /// What they are called without part and number.
    name: String,
    files: Vec<(Split, PathBuf)>,
    /// How the parts came about, where it is not by train and test alone.
    pub note: &'static str,
}

impl Files {
    /// # Errors
    /// A folder without files for training and testing; one with several sets of which `config` chooses none.
    pub fn find(folder: &Path, config: &Hdf5DataConfig) -> Result<Self> {
        let (mut found, mut others) = (Vec::new(), Vec::new());
        for path in entries(folder)?.into_iter().filter(|path| is_hdf5(path)) {
            match named(&path) {
                Some(named) => found.push((named, path)),
                None => others.push(path),
            }
        }
        let mut sets: Vec<String> = found.iter().map(|(named, _)| named.set.clone()).collect();
        sets.sort_unstable();
        sets.dedup();
        let place = || folder.display().to_string();
        let name = match (&config.files, &sets[..]) {
            (Some(wanted), _) => wanted.clone(),
            (None, [only]) => only.clone(),
            (None, []) => String::new(),
            (None, several) => {
                return Err(Error::invalid(place(), "HDF5 files of one set", format!("of {}", several.join(", ")))
                    .with_hint(format!("choose one: --set data.hdf5.files={}", several[0])));
            }
        };
        found.retain(|(named, _)| named.set == name);
        found.sort_by_key(|(named, _)| (named.part as u8, named.number));
        let mut parts: Vec<Option<Split>> = found.iter().map(|(named, _)| Some(named.part)).collect();
        let note = without_test(&mut parts);
        for (part, words) in [(Split::Train, "training"), (Split::Test, "testing")] {
            if !parts.contains(&Some(part)) {
                let prefix = if name.is_empty() { name } else { format!("{name}_") };
                let expected = format!("HDF5 files for {words}, such as {prefix}{}*.h5", part.name());
                let found = if others.is_empty() { "none".to_owned() } else { format!("{} alone", summary(&others)) };
                return Err(Error::invalid(place(), expected, found));
            }
        }
        if !others.is_empty() {
            tracing::warn!("{}: ignored {}: no name tells the part", place(), summary(&others));
        }
        let files = parts.into_iter().flatten().zip(found).map(|(part, (_, path))| (part, path)).collect();
        Ok(Self { name, files, note })
    }

    /// Where they lie.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().map(|(_, path)| path)
    }

    /// Whether every file has normals; no cloud is read.
    ///
    /// # Errors
    /// A file that isn't HDF5.
    pub fn have_normals(&self, config: &Hdf5DataConfig) -> Result<bool> {
        let has_normals = |path: &PathBuf| {
            let file = open(path)?;
            let names = names(&file, path)?;
            let is_wide = || Ok(dataset(&file, path, &config.data, &datasets(config))?.shape().last() == Some(&6));
            if names.contains(&config.normal) { Ok(true) } else { is_wide() }
        };
        let normals: Vec<bool> = self.files.iter().map(|(_, path)| has_normals(path)).collect::<Result<_>>()?;
        Ok(normals.into_iter().all(|has| has))
    }

    /// Reads them all, normals only where they are wanted: the names of the classes, and the clouds.
    ///
    /// # Errors
    /// Files that are no such HDF5 files.
    pub fn read(&self, folder: &Path, config: &Hdf5DataConfig, normals: bool) -> Result<(Vec<String>, Loaded)> {
        let path = folder.join(NAMES);
        let mut names = if reading::is_there(&path) { Some(read_names(&path)?) } else { None };
        if names.is_none() && self.name.starts_with(SCAN_OBJECT_NN) {
            names = Some(SCAN_OBJECT_NN_CLASSES.map(str::to_owned).to_vec());
        }
        let classes = names.as_ref().map(Vec::len);
        let read = |(split, path): &(Split, PathBuf)| {
            read_open(&open(path)?, path, Wanted { split: *split, classes, normals, config })
        };
        let clouds: Loaded = each(&self.files, read)?.into_iter().flatten().collect();
        let names = names.unwrap_or_else(|| {
            let count = clouds.iter().map(|(item, _)| item.label + 1).max().unwrap_or(0);
            tracing::warn!(
                "{}: no {NAMES}, in which a line names a class: the {count} classes are called by their labels, from 0",
                folder.display()
            );
            (0..count).map(|label| format!("class {label}")).collect()
        });
        Ok((names, clouds))
    }
}

/// Whether a folder has HDF5 files, and whether one of them names its part.
pub(super) fn is_one(folder: &Path) -> (bool, bool) {
    let files: Vec<PathBuf> = entries(folder).unwrap_or_default().into_iter().filter(|path| is_hdf5(path)).collect();
    (!files.is_empty(), files.iter().any(|path| named(path).is_some()))
}

fn is_hdf5(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["h5", "hdf5"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// What the name of a file says.
struct Named {
    part: Split,
    number: u64,
    /// The rest of it.
    set: String,
}

/// `ply_data_train10.h5`: the part of training, the 10th, of `ply_data`. Nothing where no word is a part.
fn named(path: &Path) -> Option<Named> {
    let name = file_name(&path.with_extension(""));
    let mut words: Vec<&str> = name.split(['_', '-', '.', ' ']).collect();
    let numbered = |word: &'_ str| word.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    let at = words.iter().rposition(|word| part_of(&word[..numbered(word)]).is_some())?;
    let word = words.remove(at);
    let (part, mut number) = word.split_at(numbered(word));
    // The number may also be the last word.
    if let Some(last) = words[at..].last().filter(|last| !last.is_empty() && numbered(last) == 0) {
        number = last;
        words.pop();
    }
    Some(Named { part: part_of(part)?, number: number.parse().unwrap_or(0), set: words.join("_") })
}

/// The datasets that every file has.
fn datasets(config: &Hdf5DataConfig) -> String {
    format!("datasets {} and {}", config.data, config.label)
}

fn read_names(path: &Path) -> Result<Vec<String>> {
    names_of(&reading::text(path, reading::LIST)?, path)
}

/// The same of a file's text.
pub(super) fn names_of(text: &str, path: &Path) -> Result<Vec<String>> {
    let names: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(composed).collect();
    if names.is_empty() {
        return Err(Error::invalid(path, "a class name per line", "an empty file"));
    }
    Ok(names)
}

/// What is wanted of a file.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub split: Split,
    /// How many have names.
    pub classes: Option<usize>,
    pub normals: bool,
    pub config: &'a Hdf5DataConfig,
}

/// The clouds of an open file.
pub(super) fn read_open(file: &Hdf5File, path: &Path, wanted: Wanted<'_>) -> Result<Loaded> {
    let Wanted { split, classes, normals, config } = wanted;
    let place = path.display().to_string();
    let named = |name: &str| {
        dataset(file, path, name, &datasets(config)).map_err(|error| match *config == Hdf5DataConfig::default() {
            true => error.with_hint("datasets of other names: --set data.hdf5.data=NAME --set data.hdf5.label=NAME"),
            false => error,
        })
    };
    let data = named(&config.data)?;
    let &[count, points, width @ (3 | 6)] = data.shape() else {
        return Err(wrong_shape(&place, &data, "(n, points, 3) or, with normals, (n, points, 6)"));
    };
    if points == 0 {
        return Err(wrong_shape(&place, &data, "(n, points above 0, 3)"));
    }
    let label = named(&config.label)?;
    if !(label.shape() == [count] || label.shape() == [count, 1]) {
        return Err(wrong_shape(&place, &label, &format!("({count}, 1), one per cloud")));
    }
    let stored = values(&data, path)?;
    let beside = match (normals, width) {
        (true, 3) => Some(read_normals(file, path, &config.normal, data.shape())?),
        _ => None,
    };
    // Each with the values of a point, the first of its own, and their names.
    let mut parts = vec![(&stored, width as usize, 0, AXES)];
    match &beside {
        Some(beside) => parts.push((beside, CHANNELS, 0, NORMALS)),
        None if normals => parts.push((&stored, width as usize, CHANNELS, NORMALS)),
        None => {}
    }
    let points = points as usize;
    let cloud = |(index, label): (usize, i64)| {
        let name = format!("{place}: cloud {index}");
        let columns = parts.iter().flat_map(|(values, width, first, names)| {
            let of_cloud = &values[index * points * width..][..points * width];
            let column =
                |axis| of_cloud.iter().skip(first + axis).step_by(*width).map(|value| f64::from(*value)).collect();
            std::array::from_fn::<_, CHANNELS, _>(|axis| (names[axis].to_owned(), column(axis)))
        });
        let raw = Raw { columns: columns.collect(), ..Raw::default() };
        Ok((Item { label: checked_label(label, classes, &name)?, name, split }, raw))
    };
    read_labels(&label, path)?.into_iter().enumerate().map(cloud).collect()
}

fn read_normals(file: &Hdf5File, path: &Path, name: &str, shape: &[u64]) -> Result<Vec<f32>> {
    let normal = dataset(file, path, name, &format!("a dataset {name}"))?;
    if normal.shape() != shape {
        return Err(wrong_shape(&path.display().to_string(), &normal, "that of the points"));
    }
    values(&normal, path)
}

/// The label, which is below the number of named classes.
fn checked_label(label: i64, classes: Option<usize>, name: &str) -> Result<usize> {
    match usize::try_from(label) {
        Ok(label) if label < classes.unwrap_or(MOST_CLASSES) => Ok(label),
        _ => {
            let Some(classes) = classes else {
                let expected = format!("a label from 0 to {}", MOST_CLASSES - 1);
                return Err(Error::invalid(name, expected, label.to_string()));
            };
            let expected = format!("a label from 0 to {} ({classes} classes have names)", classes - 1);
            Err(Error::invalid(name, expected, label.to_string()))
        }
    }
}

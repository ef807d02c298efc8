//! The usual HDF5 form of ModelNet40: `ply_data_{train,test}*.h5` with datasets `data` (n, points, 3) of any
//! type of numbers, perhaps `normal` of the same shape, and `label` (n, 1) or (n) of integers, and `shape_names.txt` with a
//! class per line; without it, classes are called by their labels.

use std::path::{Path, PathBuf};

use hdf5_reader::Hdf5File;
use rayon::prelude::*;

use super::augmentation::CHANNELS;
use super::features::{AXES, NORMALS};
use super::format::Raw;
use super::item::{Item, Loaded};
use crate::data::hdf5::{dataset, names, open, read_labels, values, wrong_shape};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading;

const NAMES: &str = "shape_names.txt";

/// Labels beyond which a set without names of classes has something else in their place.
const MOST_CLASSES: usize = 1024;

/// The datasets that every file has.
const DATASETS: &str = "datasets data and label";

/// The dataset that not every file has.
const NORMAL: &str = "normal";

/// Reads all files of the folder, train and test, normals only where they are wanted: the names of the classes,
/// and the clouds.
pub(super) fn read(folder: &Path, normals: bool) -> Result<(Vec<String>, Loaded)> {
    let path = folder.join(NAMES);
    let names = if reading::is_there(&path) { Some(read_names(&path)?) } else { None };
    let classes = names.as_ref().map(Vec::len);
    let mut clouds = read_split(folder, Split::Train, classes, normals)?;
    clouds.extend(read_split(folder, Split::Test, classes, normals)?);
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

/// What the files of a folder hold, without reading their clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contents {
    pub files: usize,
    /// Whether every file has normals.
    pub normals: bool,
}

/// # Errors
/// A folder without files of both splits, a file that isn't HDF5.
pub(super) fn contents(folder: &Path) -> Result<Contents> {
    let mut files = numbered_files(folder, &prefix(Split::Train))?;
    files.extend(numbered_files(folder, &prefix(Split::Test))?);
    let has_normals = |path: &PathBuf| Ok(names(&open(path)?, path)?.iter().any(|name| name == NORMAL));
    let normals: Vec<bool> = files.iter().map(has_normals).collect::<Result<_>>()?;
    Ok(Contents { files: files.len(), normals: normals.into_iter().all(|has| has) })
}

fn prefix(split: Split) -> String {
    format!("ply_data_{}", split.name())
}

fn read_names(path: &Path) -> Result<Vec<String>> {
    names_of(&reading::text(path, reading::LIST)?, path)
}

/// The same of a file's text.
pub(super) fn names_of(text: &str, path: &Path) -> Result<Vec<String>> {
    let names: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Error::invalid(path.display().to_string(), "a class name per line", "an empty file"));
    }
    Ok(names)
}

fn read_split(folder: &Path, split: Split, classes: Option<usize>, normals: bool) -> Result<Loaded> {
    let files = numbered_files(folder, &prefix(split))?;
    let read = |file: &PathBuf| read_file(file, split, classes, normals);
    let clouds: Vec<Loaded> = files.par_iter().map(read).collect::<Result<_>>()?;
    Ok(clouds.into_iter().flatten().collect())
}

/// The files `<prefix><number>.h5` by their number, so that 2 comes before 10.
fn numbered_files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::read(folder, error))?;
    let mut files: Vec<(usize, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix(prefix)?.strip_suffix(".h5")?;
            Some((if number.is_empty() { 0 } else { number.parse().ok()? }, entry.path()))
        })
        .collect();
    if files.is_empty() {
        return Err(Error::invalid(folder.display().to_string(), format!("files {prefix}*.h5"), "none"));
    }
    files.sort_unstable();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

fn read_file(path: &Path, split: Split, classes: Option<usize>, normals: bool) -> Result<Loaded> {
    read_open(&open(path)?, path, split, classes, normals)
}

/// The clouds of an open file.
pub(super) fn read_open(
    file: &Hdf5File,
    path: &Path,
    split: Split,
    classes: Option<usize>,
    normals: bool,
) -> Result<Loaded> {
    let place = path.display().to_string();
    let data = dataset(file, path, "data", DATASETS)?;
    let &[count, points, 3] = data.shape() else {
        return Err(wrong_shape(&place, &data, "(n, points, 3)"));
    };
    if points == 0 {
        return Err(wrong_shape(&place, &data, "(n, points above 0, 3)"));
    }
    let label = dataset(file, path, "label", DATASETS)?;
    if !(label.shape() == [count] || label.shape() == [count, 1]) {
        return Err(wrong_shape(&place, &label, &format!("({count}, 1), one per cloud")));
    }
    let mut parts = vec![(AXES, values(&data, path)?)];
    if normals {
        parts.push((NORMALS, read_normals(file, path, data.shape())?));
    }
    let size = points as usize * CHANNELS;
    let cloud = |(index, label): (usize, i64)| {
        let name = format!("{place}: cloud {index}");
        let columns = parts.iter().flat_map(|(names, values)| columns(*names, &values[index * size..][..size]));
        let raw = Raw { columns: columns.collect(), ..Raw::default() };
        Ok((Item { label: checked_label(label, classes, &name)?, name, split }, raw))
    };
    read_labels(&label, path)?.into_iter().enumerate().map(cloud).collect()
}

fn read_normals(file: &Hdf5File, path: &Path, shape: &[u64]) -> Result<Vec<f32>> {
    let normal = dataset(file, path, NORMAL, "a dataset normal")?;
    if normal.shape() != shape {
        return Err(wrong_shape(&path.display().to_string(), &normal, "that of data"));
    }
    values(&normal, path)
}

fn columns(names: [&str; CHANNELS], values: &[f32]) -> [(String, Vec<f64>); CHANNELS] {
    let column = |axis: usize| values.iter().skip(axis).step_by(CHANNELS).map(|value| f64::from(*value)).collect();
    std::array::from_fn(|axis| (names[axis].to_owned(), column(axis)))
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
            let expected = format!("a label from 0 to {} ({classes} classes in {NAMES})", classes - 1);
            Err(Error::invalid(name, expected, label.to_string()))
        }
    }
}

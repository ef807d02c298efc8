//! A folder of classes: `<class>/train/*.pcd` and `<class>/test/*.pcd`, classes and files in alphabetical order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::format;
use super::{Cloud, Stored};
use crate::data::split::Split;
use crate::error::{Error, Result};

/// Reads the clouds of all classes, train and test.
pub(super) fn read(folder: &Path) -> Result<Stored> {
    let classes = class_names(folder)?;
    let train = read_split(folder, &classes, Split::Train)?;
    let test = read_split(folder, &classes, Split::Test)?;
    Ok(Stored { classes, train, test })
}

/// The folders that have the splits; both splits must have the same.
fn class_names(folder: &Path) -> Result<Vec<String>> {
    let folders: BTreeSet<String> = entries(folder)?.into_iter().filter(|path| path.is_dir()).map(file_name).collect();
    let having = |split: Split| -> BTreeSet<String> {
        folders.iter().filter(|class| folder.join(class).join(split.name()).is_dir()).cloned().collect()
    };
    let (train, test) = (having(Split::Train), having(Split::Test));
    if train != test {
        let found = format!("{}{}", only_in(&train, &test, "train"), only_in(&test, &train, "test"));
        let place = folder.display().to_string();
        return Err(Error::invalid(place, "the same classes in train and test", found.trim_end_matches("; "))
            .with_hint("give every class both folders, or remove the class"));
    }
    let others: Vec<String> = folders.difference(&train).cloned().collect();
    if !others.is_empty() {
        tracing::warn!("{}: no train and test folders in {}: ignored", folder.display(), others.join(", "));
    }
    Ok(train.into_iter().collect())
}

fn only_in(these: &BTreeSet<String>, those: &BTreeSet<String>, split: &str) -> String {
    let names: Vec<&str> = these.difference(those).map(String::as_str).collect();
    if names.is_empty() { String::new() } else { format!("{} only in {split}; ", names.join(", ")) }
}

fn read_split(folder: &Path, classes: &[String], split: Split) -> Result<Vec<Cloud>> {
    let mut files: Vec<(usize, PathBuf)> = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        files.extend(cloud_files(&folder.join(class).join(split.name()))?.into_iter().map(|file| (label, file)));
    }
    let read = |(label, path): &(usize, PathBuf)| -> Result<Cloud> {
        let raw = format::read(path)?;
        let points = raw.columns[0].1.len();
        let coordinates = (0..points).flat_map(|point| raw.columns.iter().map(move |column| column.1[point] as f32));
        Ok(Cloud { coordinates: coordinates.collect(), label: *label, name: path.display().to_string() })
    };
    files.par_iter().map(read).collect()
}

/// The clouds of one class and split.
fn cloud_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (clouds, others): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(folder)?.into_iter().partition(|path| extension(path) == "pcd");
    if clouds.is_empty() {
        return Err(Error::invalid(folder.display().to_string(), "PCD files", summary(&others))
            .with_hint("clouds are read from PCD files (ascii or binary); convert meshes and other formats"));
    }
    Ok(clouds)
}

fn summary(files: &[PathBuf]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for file in files {
        *counts.entry(extension(file)).or_default() += 1;
    }
    if counts.is_empty() {
        return "an empty folder".to_owned();
    }
    let parts: Vec<String> = counts.iter().map(|(extension, count)| format!("{count} .{extension}")).collect();
    format!("{} files", parts.join(", "))
}

/// The visible entries of a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = std::fs::read_dir(folder).map_err(|error| Error::read(folder, error))?;
    let paths = list.map(|entry| entry.map(|entry| entry.path()).map_err(|error| Error::read(folder, error)));
    let mut paths = paths.collect::<Result<Vec<PathBuf>>>()?;
    paths.retain(|path| !file_name(path.clone()).starts_with('.'));
    paths.sort_unstable();
    Ok(paths)
}

fn file_name(path: PathBuf) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

//! Labelled clouds as they are published in files of their own kind: a table of layouts, each with where a cloud lies,
//! which part it is for, and how it is read. All else is as for the user's own clouds.

use std::path::{Path, PathBuf};

use super::s3dis::{self, CLASSES};
use super::semantic_kitti;
use crate::data::division::part_of;
use crate::data::folders::{entries, file_name, folders};
use crate::data::points::format::columns::rename;
use crate::data::points::format::{self, Raw};
use crate::data::split::Split;
use crate::error::{Error, Result};

/// A layout.
#[derive(Debug)]
pub(super) struct Gathered {
    /// In words.
    pub name: &'static str,
    /// What a folder looks like, for messages.
    pub files: &'static str,
    /// Rooms of S3DIS, which are made as its blocks are.
    pub is_s3dis: bool,
    /// Names of the classes, where the layout has some.
    pub classes: &'static [&'static str],
    /// What decides the parts, in words.
    pub division: &'static str,
    /// The places of its clouds, each with what it is for where it is not for training.
    places: fn(&Path) -> Result<Vec<PathBuf>>,
    part: fn(&Path, u8) -> Option<Split>,
    /// A cloud with a column `label`, NaN where a point has no class.
    pub read: fn(&Path) -> Result<Raw>,
}

/// Those that are read.
pub(super) static LAYOUTS: [Gathered; 4] = [
    Gathered {
        name: "S3DIS (annotations)",
        files: "Area_<n>/<room>/Annotations/<class>_<n>.txt",
        is_s3dis: true,
        classes: &CLASSES,
        division: "areas",
        places: |folder| below(folder, &|path| is_area(path), &|room| room.join("Annotations").is_dir()),
        part: |room, area| Some(of_area(&parent_name(room), area)),
        read: annotated_room,
    },
    Gathered {
        name: "S3DIS (arrays)",
        files: "Area_<n>_<room>.npy of 7 columns",
        is_s3dis: true,
        classes: &CLASSES,
        division: "areas",
        places: |folder| {
            let is_room =
                |path: &PathBuf| is_area(path) && path.extension().is_some_and(|extension| extension == "npy");
            Ok(entries(folder)?.into_iter().filter(is_room).collect())
        },
        part: |room, area| Some(of_area(&file_name(room), area)),
        read: |path| named(format::read(path)?.by_number(), 7, &["red", "green", "blue", "label"], path),
    },
    Gathered {
        name: "arrays of a scene (Pointcept)",
        files: "{train,val,test}/<scene>/coord.npy, color.npy, segment.npy",
        is_s3dis: false,
        classes: &[],
        division: "folders train, val and test, or areas",
        places: |folder| {
            below(folder, &|path| part_of(&file_name(path)).is_some() || is_area(path), &|scene| {
                scene.join("coord.npy").is_file()
            })
        },
        part: |scene, area| {
            let name = parent_name(scene);
            part_of(&name).or_else(|| Some(of_area(&name, area)))
        },
        read: format::read_folder,
    },
    Gathered {
        name: "SemanticKITTI",
        files: "sequences/<n>/velodyne/FILE.bin and sequences/<n>/labels/FILE.label",
        is_s3dis: false,
        classes: &semantic_kitti::CLASSES,
        division: "sequences: 8 is for validation, 11 to 21 have no labels",
        places: |folder| {
            let mut scans = Vec::new();
            for sequence in folders(&folder.join("sequences"))?.iter().filter(|path| path.join("labels").is_dir()) {
                let is_scan = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "bin");
                scans.extend(entries(&sequence.join("velodyne"))?.into_iter().filter(is_scan));
            }
            Ok(scans)
        },
        part: |scan, _| {
            let sequence = scan.parent().map(parent_name).unwrap_or_default();
            Some(if sequence == "08" { Split::Validation } else { Split::Train })
        },
        read: semantic_kitti::read,
    },
];

impl PartialEq for Gathered {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Gathered {}

impl Gathered {
    /// The layout of a folder, where it has one of these.
    pub fn detect(folder: &Path) -> Option<&'static Self> {
        LAYOUTS.iter().find(|layout| (layout.places)(folder).is_ok_and(|places| !places.is_empty()))
    }

    /// Every cloud with its part.
    pub fn list(&self, folder: &Path, area: u8) -> Result<Vec<(PathBuf, Option<Split>)>> {
        Ok((self.places)(folder)?.into_iter().map(|place| (place.clone(), (self.part)(&place, area))).collect())
    }
}

/// Folders that hold a cloud, in those folders that are wanted.
fn below(folder: &Path, is_wanted: &dyn Fn(&Path) -> bool, is_cloud: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for part in folders(folder)?.into_iter().filter(|part| is_wanted(part)) {
        found.extend(folders(&part)?.into_iter().filter(|inner| is_cloud(inner)));
    }
    Ok(found)
}

fn parent_name(path: &Path) -> String {
    path.parent().map(file_name).unwrap_or_default()
}

fn is_area(path: &Path) -> bool {
    let name = file_name(path);
    let number = name.strip_prefix("Area_").and_then(|rest| rest.chars().next());
    number.is_some_and(|number| number.is_ascii_digit())
}

fn of_area(name: &str, area: u8) -> Split {
    if name.contains(&s3dis::tag(area)) { Split::Test } else { Split::Train }
}

/// Names the columns behind x, y and z of a table without names.
fn named(mut raw: Raw, width: usize, names: &[&'static str], path: &Path) -> Result<Raw> {
    if raw.columns.len() != width {
        let found = format!("{} columns", raw.columns.len());
        return Err(Error::invalid(path, format!("{width} columns: x y z {}", names.join(" ")), found));
    }
    rename(&mut raw, (3..).zip(names.iter().copied()));
    Ok(raw)
}

/// A room of S3DIS as it was released: a file for every object, whose name begins with its class. What is no class is
/// clutter, as in the published code.
fn annotated_room(room: &Path) -> Result<Raw> {
    let mut whole: Option<Raw> = None;
    let mut labels = Vec::new();
    for path in entries(&room.join("Annotations"))? {
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let name = file_name(&path);
        let class = name.split('_').next().unwrap_or_default();
        let class = CLASSES.iter().position(|known| *known == class).unwrap_or(CLASSES.len() - 1);
        let object = named(format::read(&path)?.by_number(), 6, &["red", "green", "blue"], &path)?;
        labels.resize(labels.len() + object.columns[0].1.len(), class as f64);
        match &mut whole {
            None => whole = Some(object),
            Some(whole) => {
                let columns = whole.columns.iter_mut().zip(object.columns);
                columns.for_each(|((_, values), (_, more))| values.extend(more));
            }
        }
    }
    let mut whole = whole.ok_or_else(|| {
        Error::invalid(room.join("Annotations").display().to_string(), "a file <class>_<n>.txt per object", "none")
    })?;
    whole.columns.push(("label".to_owned(), labels));
    Ok(whole)
}

#[cfg(test)]
mod tests;

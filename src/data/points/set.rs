//! A set of shapes as it lies somewhere: its classes, which shapes there are, and their reading side by side.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::augmentation::Normalization;
use super::clouds::Clouds;
use super::config::Hdf5DataConfig;
use super::format::Raw;
use super::hdf5_set::Files;
use super::intake::Intake;
use super::item::{Item, Loaded};
use super::layout::{LAYOUTS, Layout};
use super::{class_folder, synthetic};
use crate::data::config::Section;
use crate::data::division::Lists;
use crate::data::source::Source;
use crate::error::{Error, Result};

/// A set that was found.
#[derive(Debug)]
pub(super) struct ShapeSet {
    /// Names of the classes, in the order of the labels.
    pub classes: Vec<String>,
    /// What `auto` means for it.
    pub usual: Normalization,
    /// Where it comes from, in words, and how its test part came about where that is not plain.
    pub origin: String,
    /// How it is stored, in words.
    pub layout: &'static str,
    /// What says which shapes are for testing, in words.
    pub division: String,
    pub shapes: Shapes,
}

/// The shapes of a set.
#[derive(Debug)]
pub(super) enum Shapes {
    /// A file each.
    Files(Vec<(Item, PathBuf)>),
    /// Already in memory: many in one file, or made up.
    InMemory(Loaded),
}

impl ShapeSet {
    /// Opens the set; of files each on its own, nothing is read yet.
    ///
    /// # Errors
    /// A folder of no known layout, classes that differ between train and test, HDF5 files that won't do.
    pub fn open(source: &Source, section: &Section<'_, Clouds>, hdf5: &Hdf5DataConfig) -> Result<Self> {
        match source {
            Source::Synthetic => {
                section.synthetic.check_whole("data.points", section.own.points)?;
                let (classes, shapes) = synthetic::generate(section.synthetic, section.own.points);
                let origin = "synthetic solids (built in, not real data)".to_owned();
                let (usual, shapes) = (Normalization::Cube, Shapes::InMemory(shapes));
                Ok(Self { classes, usual, origin, layout: "none", division: "made apart".to_owned(), shapes })
            }
            Source::Folder(folder) => {
                Self::open_folder(folder, &section.lists, hdf5, section.own.features.normals().is_some())
            }
        }
    }

    fn open_folder(folder: &Path, lists: &Lists<'_>, hdf5: &Hdf5DataConfig, normals: bool) -> Result<Self> {
        let origin = folder.display().to_string();
        match Layout::detect(folder) {
            Some(Layout::Hdf5) => {
                let files = Files::find(folder, hdf5)?;
                let (classes, shapes) = files.read(folder, hdf5, normals)?;
                let division = format!("names of the files{}", files.note);
                let (usual, shapes) = (Normalization::None, Shapes::InMemory(shapes));
                Ok(Self { classes, usual, origin, layout: "HDF5", division, shapes })
            }
            Some(Layout::ClassFolders) => {
                let listing = class_folder::list(folder, lists)?;
                let origin = listing.note.as_ref().map_or(origin.clone(), |note| format!("{origin} ({note})"));
                let division = listing.note.unwrap_or_else(|| "folders train and test".to_owned());
                let (classes, usual, layout) = (listing.classes, Normalization::Cube, listing.layout);
                Ok(Self { classes, usual, origin, layout, division, shapes: Shapes::Files(listing.files) })
            }
            None => Err(Error::invalid(origin, LAYOUTS, "none of these")),
        }
    }
}

impl Shapes {
    /// Reads every shape, side by side, and gives what `each` makes of it, in the set's order.
    pub fn map<T: Send>(self, intake: &Intake, each: impl Fn(Item, Result<Raw>) -> T + Sync) -> Vec<T> {
        match self {
            Self::Files(files) => {
                let read = |(item, path): (Item, PathBuf)| {
                    let raw = if path.is_dir() { class_folder::refuse(&path) } else { intake.read(&path) };
                    each(item, raw)
                };
                files.into_par_iter().map(read).collect()
            }
            Self::InMemory(shapes) => shapes.into_par_iter().map(|(item, raw)| each(item, Ok(raw))).collect(),
        }
    }
}

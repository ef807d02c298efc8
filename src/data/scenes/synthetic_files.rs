//! The built-in labelled clouds as files: rooms in the formats that people have, or blocks in S3DIS's layout.

use std::path::Path;

use hdf5_writer::{DatasetBuilder, Hdf5Builder, WriteOptions};
use rayon::prelude::*;

use super::labels::Class;
use super::layout::{FILES, ROOMS};
use super::s3dis::{CHANNELS, File};
use super::synthetic::{self, Place};
use crate::data::points::format;
use crate::data::points::synthetic::SyntheticConfig;
use crate::error::{Error, Result};
use crate::files::{write_atomically, write_folder_atomically};

/// Blocks of a file, as published.
const FILE_BLOCKS: usize = 1000;

/// What a synthetic room is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SceneFormat {
    /// A PLY cloud.
    Ply,
    /// A PCD cloud.
    Pcd,
    /// A table with header.
    Csv,
}

impl SceneFormat {
    /// The format's name on the command line, and the extension of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ply => "ply",
            Self::Pcd => "pcd",
            Self::Csv => "csv",
        }
    }
}

/// How synthetic rooms are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SceneLayout {
    /// `{train,test}/FILE` and `classes.txt`; formats are taken in turn, at least one.
    Clouds(Vec<SceneFormat>),
    /// S3DIS's HDF5 files; rooms for testing are in its fifth area.
    S3dis,
}

/// The synthetic rooms as a folder of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticScenes {
    /// How many rooms, or blocks, and which.
    pub size: SyntheticConfig,
    /// Points per room, or per block.
    pub points: usize,
    /// Where they lie.
    pub layout: SceneLayout,
}

impl SyntheticScenes {
    /// Writes the set into a new folder, which also gets a `README.txt` that says what it is.
    ///
    /// # Errors
    /// Too small a size; a folder that holds something already; files that can't be written. Nothing is left
    /// half-written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.size.validate()?;
        write_folder_atomically(folder, |folder| {
            match &self.layout {
                SceneLayout::Clouds(formats) => self.write_rooms(folder, formats)?,
                SceneLayout::S3dis => self.write_blocks(folder)?,
            }
            write_atomically(&folder.join("README.txt"), self.about().as_bytes())
        })
    }

    fn write_rooms(&self, folder: &Path, formats: &[SceneFormat]) -> Result<()> {
        for part in ["train", "test"] {
            let part = folder.join(part);
            std::fs::create_dir(&part).map_err(|error| Error::write(&part, error))?;
        }
        let write = |place: Place| {
            let room = place.room(self.points);
            let labels = room.classes.iter().map(|class| f64::from(*class)).collect();
            let mut raw = room.into_raw();
            raw.columns.push(("label".to_owned(), labels));
            let extension = formats[place.index % formats.len()].name();
            format::write(&folder.join(place.split.name()).join(format!("{}.{extension}", place.name())), &raw)
        };
        synthetic::places(&self.size).into_par_iter().try_for_each(write)?;
        write_atomically(&folder.join("classes.txt"), (synthetic::classes().join("\n") + "\n").as_bytes())
    }

    fn write_blocks(&self, folder: &Path) -> Result<()> {
        let (blocks, rooms) = synthetic::blocks("--points", &self.size, self.points)?;
        let mut names = String::new();
        let per_file = FILE_BLOCKS * self.points;
        let parts = blocks.values.chunks(per_file * CHANNELS).zip(blocks.classes.chunks(per_file));
        for (number, (values, labels)) in parts.enumerate() {
            let name = format!("ply_data_all_{number}.h5");
            let path = folder.join(&name);
            let bytes = hdf5(values, labels, &blocks)
                .map_err(|error| Error::run(format!("cannot write {}: {error}", path.display())))?;
            write_atomically(&path, &bytes)?;
            names += &format!("indoor3d_sem_seg_hdf5_data/{name}\n");
        }
        write_atomically(&folder.join(FILES), names.as_bytes())?;
        write_atomically(&folder.join(ROOMS), (rooms.join("\n") + "\n").as_bytes())
    }

    fn about(&self) -> String {
        let SyntheticConfig { train, test, seed } = self.size;
        let (points, version) = (self.points, env!("CARGO_PKG_VERSION"));
        let (what, layout) = match &self.layout {
            SceneLayout::S3dis => {
                ("Blocks of rooms in the layout of S3DIS; the rooms of Area_5 are for testing.", "s3dis".to_owned())
            }
            SceneLayout::Clouds(formats) => {
                let formats: Vec<&str> = formats.iter().map(|format| format.name()).collect();
                (
                    "Rooms with a label for every point; classes.txt has their names.",
                    format!("split --format {}", formats.join(",")),
                )
            }
        };
        format!(
            "Synthetic rooms, made by sgas {version}. They are not real data: scores on them tell nothing about\n\
             published ones.\n\n\
             {what} {train} for training and {test} for testing, with {points} points each.\n\n\
             Made by: sgas data synth DIR --kind scenes --layout {layout} --train {train} --test {test} --points {points} \
             --seed {seed}\n"
        )
    }
}

/// The datasets `data` (blocks, points, 9) and `label` (blocks, points).
fn hdf5(values: &[f32], labels: &[Class], blocks: &File) -> std::result::Result<Vec<u8>, String> {
    let (points, count) = (blocks.points as u64, (labels.len() / blocks.points) as u64);
    let labels: Vec<u8> = labels.iter().map(|label| *label as u8).collect();
    let text = |error: hdf5_writer::Error| error.to_string();
    let data = DatasetBuilder::typed_data("data", vec![count, points, CHANNELS as u64], values).map_err(text)?;
    let label = DatasetBuilder::typed_data("label", vec![count, points], &labels).map_err(text)?;
    let plan = Hdf5Builder::new().dataset(data).dataset(label).into_plan().map_err(text)?;
    plan.encode(WriteOptions::default()).map_err(text)
}

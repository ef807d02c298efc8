//! The built-in labelled clouds as files: rooms, or blocks in S3DIS's layout.

use std::path::Path;

use hdf5_writer::{DatasetBuilder, Hdf5Builder, WriteOptions};
use rayon::prelude::*;

use super::labels::Class;
use super::s3dis::{CHANNELS, FILES, File, ROOMS};
use super::synthetic::{self, Place};
use crate::data::points::format;
use crate::data::synthesis::{MadeLayout, Making, Synthesis};
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// Blocks of a file, as published.
const FILE_BLOCKS: usize = 1000;

/// What rooms are written as.
pub(super) const MAKING: Making = Making {
    layouts: &[
        MadeLayout { name: "split", written: "rooms", formats: &["ply", "pcd", "csv"], points: 2048 },
        MadeLayout { name: BLOCKS, written: "blocks of rooms", formats: &["h5"], points: 4096 },
    ],
    one_format: false,
    several_labels: false,
    remark: "labelled clouds have a class for every point",
};

/// S3DIS's HDF5 files; rooms for testing are in its fifth area.
const BLOCKS: &str = "s3dis";

/// Writes the set into a new folder, which also gets a `README.txt` that says what it is: `{train,test}/FILE` and
/// `classes.txt`, or blocks of rooms.
///
/// # Errors
/// Too small a size; a folder that holds something already; files that can't be written. Nothing is left half-written.
pub(super) fn write(set: &Synthesis, folder: &Path) -> Result<()> {
    let files = if set.layout == BLOCKS { write_blocks } else { write_rooms };
    set.write(folder, &about(set), |folder| files(set, folder))
}

fn write_rooms(set: &Synthesis, folder: &Path) -> Result<()> {
    for part in ["train", "test"] {
        let part = folder.join(part);
        std::fs::create_dir(&part).map_err(|error| Error::write(&part, error))?;
    }
    let write = |place: Place| {
        let room = place.room(set.points);
        let labels = room.classes.iter().map(|class| f64::from(*class)).collect();
        let mut raw = room.into_raw();
        raw.columns.push(("label".to_owned(), labels));
        let extension = set.format(0, place.index);
        format::write(&folder.join(place.split.name()).join(format!("{}.{extension}", place.name())), &raw)
    };
    synthetic::places(&set.size).into_par_iter().try_for_each(write)?;
    write_atomically(&folder.join("classes.txt"), (synthetic::classes().join("\n") + "\n").as_bytes())
}

fn write_blocks(set: &Synthesis, folder: &Path) -> Result<()> {
    let (blocks, rooms) = synthetic::blocks("--points", &set.size, set.points)?;
    let mut names = String::new();
    let per_file = FILE_BLOCKS * set.points;
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

fn about(set: &Synthesis) -> Vec<u8> {
    let (what, formats) = match set.layout {
        BLOCKS => ("Blocks of rooms in the layout of S3DIS; the rooms of Area_5 are for testing.", String::new()),
        _ => (
            "Rooms with a label for every point; classes.txt has their names.",
            format!(" --format {}", set.format_names()),
        ),
    };
    set.readme("rooms", what, &format!("--kind scenes --layout {}{formats}", set.layout), "")
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

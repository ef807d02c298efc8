//! S3DIS as people download it (`indoor3d_sem_seg_hdf5_data`): rooms cut into blocks of so many points.
//!
//! `all_files.txt` names the files `ply_data_all_*.h5`, each with `data` (blocks, points, 9) of any type of numbers and
//! `label` (blocks, points) of integers; `room_filelist.txt` has the room of every block, in the order of the files. The
//! nine channels are position, colour, and position in the room. A block is for testing if its room's name contains
//! `Area_k` (docs/method.md, "ResGCN").

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hdf5_reader::Hdf5File;
use rayon::prelude::*;

use super::cloud::{Cloud, Reading, Store};
use super::item::{Item, Opened};
use super::labels::Class;
use super::lists::{last_part, lines};
use crate::data::checks::each;
use crate::data::hdf5::{self, dataset, read_labels, values, wrong_shape};
use crate::data::points::features::{AXES, COLORS, Features, ROOM};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading;

/// The classes, in the order of their labels.
pub(super) const CLASSES: [&str; 13] = [
    "ceiling", "floor", "wall", "beam", "column", "window", "door", "table", "chair", "sofa", "bookcase", "board",
    "clutter",
];

/// Channels per point as stored.
pub(super) const CHANNELS: usize = 9;

/// What `data.features` names where all channels are taken.
pub(super) const FEATURES: [&str; 2] = ["colors", "room"];

/// The side of the blocks in metres, as they were cut.
pub(super) const BLOCK: f64 = 1.0;

/// The list of the blocks' rooms.
pub(super) const ROOMS: &str = "room_filelist.txt";

/// The list of the files with blocks.
pub(super) const FILES: &str = "all_files.txt";

const DATASETS: &str = "datasets data and label";

/// Reads all blocks of the folder, normalised, with their rooms and splits.
///
/// # Errors
/// Files that are missing or not as they must be, another number of rooms than of blocks, no block of the area, or
/// none of another. What is wrong with one block is an error of its item.
pub(super) fn open(folder: &Path, area: u8, reading: &Reading) -> Result<Opened> {
    let files = lines(&folder.join(FILES), "a file of blocks per line")?;
    let files: Vec<PathBuf> = files.iter().map(|file| folder.join(last_part(file))).collect();
    if !reading::is_there(&folder.join(ROOMS)) {
        let place = folder.display().to_string();
        return Err(Error::invalid(place, format!("the list {ROOMS} beside {FILES}"), "no such file").with_hint(
            "unpack the published archive again; its lines are the rooms of the blocks, such as Area_1_conferenceRoom_1",
        ));
    }
    let rooms = lines(&folder.join(ROOMS), "the room of a block per line")?;
    let read = each(&files, |path| File::read(path))?;
    opened(&folder.join(ROOMS).display().to_string(), read, &rooms, area, reading)
}

/// The blocks of these files; `place` names the list of rooms.
///
/// # Errors
/// As [`open`].
pub(super) fn opened(place: &str, read: Vec<File>, rooms: &[String], area: u8, reading: &Reading) -> Result<Opened> {
    let channels = channels(&reading.features)?;
    check_rooms(place, rooms, read.iter().map(File::blocks).sum(), area)?;
    let (mut start, mut items) = (0, Vec::with_capacity(rooms.len()));
    let files = [("h5".to_owned(), read.len())].into();
    for file in read {
        let rooms = &rooms[start..start + file.blocks()];
        start += rooms.len();
        items.extend(file.into_items(rooms, area, &channels, reading));
    }
    let classes = CLASSES.map(str::to_owned).to_vec();
    Ok(Opened { items, classes, division: format!("rooms of {}", tag(area)), columns: columns(), files })
}

/// Names of the channels as stored.
fn columns() -> Vec<String> {
    AXES.into_iter().chain(COLORS).chain(ROOM).map(str::to_owned).collect()
}

/// Where the channels that are asked for stand.
pub(super) fn channels(features: &Features) -> Result<Vec<usize>> {
    let stored = columns();
    let position = |wanted: &str| {
        stored.iter().position(|name| *name == wanted).ok_or_else(|| {
            Error::invalid("data.features", format!("columns of S3DIS: {}", stored.join(", ")), format!("'{wanted}'"))
                .with_hint("leave data.features out: all nine channels are taken then")
        })
    };
    features.columns().into_iter().map(position).collect()
}

pub(super) fn tag(area: u8) -> String {
    format!("Area_{area}")
}

/// As many rooms as blocks, and some in the area for testing and some in others; `place` names their list.
fn check_rooms(place: &str, rooms: &[String], blocks: usize, area: u8) -> Result<()> {
    if rooms.len() != blocks {
        let expected = format!("{blocks} lines, the room of every block of the files in {FILES}");
        return Err(Error::invalid(place, expected, rooms.len().to_string())
            .with_hint("the folder may be incomplete: unpack the published archive again"));
    }
    let tests = rooms.iter().filter(|room| room.contains(&tag(area))).count();
    if tests > 0 && tests < blocks {
        return Ok(());
    }
    let mut areas: Vec<String> = (1..=6).map(tag).filter(|tag| rooms.iter().any(|room| room.contains(tag))).collect();
    if areas.is_empty() {
        areas.push("no Area_1 to Area_6 in any name".to_owned());
    }
    let expected = format!("rooms of {}, and of others", tag(area));
    Err(Error::invalid(place, expected, areas.join(", ")).with_hint("data.scenes.area is the area for testing"))
}

/// One file of blocks.
pub(super) struct File {
    place: String,
    /// Channel by channel of each point.
    pub values: Vec<f32>,
    /// Of each point; checked block by block later.
    pub classes: Vec<Class>,
    /// Points of each block.
    pub points: usize,
}

impl File {
    /// Without blocks yet.
    pub fn empty(place: &str, points: usize) -> Self {
        Self { place: place.to_owned(), values: Vec::new(), classes: Vec::new(), points }
    }

    /// Adds a block.
    pub fn push(&mut self, values: &[f32], classes: &[u8]) {
        self.values.extend_from_slice(values);
        self.classes.extend(classes.iter().map(|class| Class::from(*class)));
    }

    fn read(path: &Path) -> Result<Self> {
        Self::read_open(&hdf5::open(path)?, path)
    }

    /// The blocks of an open file.
    pub(super) fn read_open(file: &Hdf5File, path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let data = dataset(file, path, "data", DATASETS)?;
        let label = dataset(file, path, "label", DATASETS)?;
        let &[count, points, channels] = data.shape() else {
            return Err(wrong_shape(&place, &data, "(blocks, points, 9)"));
        };
        if points == 0 || channels != CHANNELS as u64 {
            return Err(wrong_shape(&place, &data, "(blocks, points, 9): position, colour, position in the room"));
        }
        if label.shape() != [count, points] {
            return Err(wrong_shape(&place, &label, &format!("({count}, {points}), one per point")));
        }
        // What does not fit is no class either.
        let narrow = |label: i64| Class::try_from(label).unwrap_or(Class::MAX);
        let (values, labels) = (values(&data, path)?, read_labels(&label, path)?);
        let classes = labels.into_iter().map(narrow).collect();
        Ok(Self { place, values, classes, points: points as usize })
    }

    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.classes.len() / self.points
    }

    /// The blocks, checked and normalised where they lie.
    pub fn into_items(mut self, rooms: &[String], area: u8, channels: &[usize], reading: &Reading) -> Vec<Item> {
        let (points, place) = (self.points, self.place);
        let names: Vec<String> =
            rooms.iter().enumerate().map(|(number, room)| format!("{place}: block {number} ({room})")).collect();
        let blocks = self.values.par_chunks_mut(points * CHANNELS).zip(self.classes.par_chunks(points)).zip(&names);
        let checked: Vec<Result<()>> =
            blocks.map(|((values, labels), name)| prepare(values, labels, name, reading)).collect();
        let (values, classes, channels) = (chosen(self.values, channels), self.classes, channels.len());
        let store = Arc::new(Store { values, classes, channels, ..Store::default() });
        let item = |(number, (name, checked)): (usize, (String, Result<()>))| {
            let room = rooms[number].clone();
            let split = if room.contains(&tag(area)) { Split::Test } else { Split::Train };
            let rows = number * points..(number + 1) * points;
            let cloud = Cloud { name: name.clone(), store: Arc::clone(&store), rows };
            Item { name, split, group: room, clouds: checked.map(|()| vec![cloud]) }
        };
        names.into_iter().zip(checked).enumerate().map(item).collect()
    }
}

/// Checks a block and normalises its positions.
fn prepare(values: &mut [f32], labels: &[Class], name: &str, reading: &Reading) -> Result<()> {
    if let Some(wrong) = values.iter().position(|value| !value.is_finite()) {
        let place = format!("{name}, point {}, channel {}", wrong / CHANNELS, wrong % CHANNELS);
        return Err(Error::invalid(place, "finite numbers", values[wrong].to_string()));
    }
    if let Some(point) = labels.iter().position(|label| !(0..CLASSES.len() as Class).contains(label)) {
        let expected = format!("a label from 0 to {}", CLASSES.len() - 1);
        return Err(Error::invalid(format!("{name}, point {point}"), expected, labels[point].to_string()));
    }
    let mut positions: Vec<[f64; 3]> =
        values.chunks_exact(CHANNELS).map(|point| [0, 1, 2].map(|axis| f64::from(point[axis]))).collect();
    if !reading.normalize(&mut positions) {
        return Err(Error::invalid(name, "a block with some extent", "points that all coincide"));
    }
    for (point, position) in values.chunks_exact_mut(CHANNELS).zip(positions) {
        (0..3).for_each(|axis| point[axis] = position[axis] as f32);
    }
    Ok(())
}

/// These channels of every point, without a copy where they are all.
fn chosen(values: Vec<f32>, channels: &[usize]) -> Vec<f32> {
    if channels.iter().copied().eq(0..CHANNELS) {
        return values;
    }
    values.chunks_exact(CHANNELS).flat_map(|point| channels.iter().map(|channel| point[*channel])).collect()
}

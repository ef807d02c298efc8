//! Clouds in memory: points with their channels and classes, cut into blocks where the configuration says so, and
//! normalised.
//!
//! Normalisation is that of the published blocks (docs/method.md, "ResGCN"): each minus its mean, scaled so that the
//! greatest absolute coordinate is 0.999999.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::labels::{Class, IGNORED};
use crate::data::checks::each;
use crate::data::points::augmentation::{CHANNELS, Normalization, fit_into_cube};
use crate::data::points::colours::{ColorRange, Noticed, Undivided};
use crate::data::points::features::{AXES, Features, ROOM};
use crate::data::points::format::Raw;
use crate::data::points::intake::Intake;
use crate::data::points::intake::check_finite;
use crate::data::points::shape::select;
use crate::error::{Error, Result};

/// Points in a row: those of a file, or of many blocks.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// Channel by channel of each point, position first.
    pub values: Vec<f32>,
    /// The class of each point.
    pub classes: Vec<Class>,
    /// Channels per point.
    pub channels: usize,
    /// What was noticed in its file.
    pub noticed: Noticed,
    /// The colours that are not from 0 to 1 yet.
    pub undivided: Undivided,
}

/// A cloud, or a block of one: some of a store's points.
#[derive(Debug, Clone)]
pub(super) struct Cloud {
    /// Its file, and its place in the file.
    pub name: String,
    pub store: Arc<Store>,
    /// Its points.
    pub rows: Range<usize>,
}

impl Cloud {
    /// The number of its points.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The classes of its points.
    pub fn classes(&self) -> &[Class] {
        &self.store.classes[self.rows.clone()]
    }

    /// The number of points that have a class.
    pub fn labelled(&self) -> usize {
        self.classes().iter().filter(|class| **class != IGNORED).count()
    }

    /// Appends these points; only the first `counted` of them keep their classes.
    pub fn copy(&self, points: &[u32], counted: usize, values: &mut Vec<f32>, classes: &mut Vec<i64>) {
        let channels = self.store.channels;
        for (position, point) in points.iter().enumerate() {
            let row = self.rows.start + *point as usize;
            values.extend_from_slice(&self.store.values[row * channels..][..channels]);
            classes.push(if position < counted { self.store.classes[row].into() } else { IGNORED.into() });
        }
    }
}

/// How files become clouds.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// What a point has besides its position.
    pub features: Features,
    /// Position and size of clouds or blocks; decided, not `auto`.
    pub normalization: Normalization,
    /// Side of blocks; 0: none.
    pub block: f64,
    /// What the configuration says of the columns.
    pub intake: Intake,
}

/// The clouds of a file: one, or its blocks.
#[derive(Debug)]
pub(super) struct Cut {
    pub clouds: Vec<Cloud>,
    /// Where in the file each point of the store is.
    pub rows: Vec<u32>,
}

impl Reading {
    /// Checks, cuts and normalises what a file holds. Points with numbers that are not finite are left out.
    ///
    /// # Errors
    /// Columns that are not there, numbers that are not finite, a cloud without points or extent.
    pub fn cut(&self, mut raw: Raw, classes: &[Class], place: &str) -> Result<Cut> {
        // Vertices of a mesh are points here.
        raw.triangles.clear();
        let stored = raw.points();
        let kept = self.intake.drop_invalid(&mut raw, &self.features, place)?;
        let noticed = Noticed::of(&raw, kept.as_ref().map_or(0, |kept| stored - kept.len()), place);
        let undivided = Undivided::of(&raw, &self.features);
        add_room(&mut raw, &self.features);
        let columns = select(&raw, &self.features, place)?;
        drop(raw);
        check_finite(&columns, place)?;
        let points = columns[0].len();
        if points == 0 || u32::try_from(points).is_err() {
            return Err(Error::invalid(place, "a cloud of 1 to 4 thousand million points", points.to_string()));
        }
        let blocks = blocks([&columns[0], &columns[1]], self.block);
        let is_whole = blocks.len() == 1;
        let parts = each(&blocks, |rows| self.block(&columns, rows, is_whole, place))?;
        let mut rows: Vec<u32> = blocks.concat();
        if let Some(kept) = kept {
            rows.iter_mut().for_each(|row| *row = kept[*row as usize]);
        }
        let values = if is_whole { parts.into_iter().next().unwrap_or_default() } else { parts.concat() };
        let classes = rows.iter().map(|row| classes[*row as usize]).collect();
        let store = Arc::new(Store { values, classes, channels: columns.len(), noticed, undivided });
        let mut start = 0;
        let cloud = |(number, rows): (usize, &Vec<u32>)| {
            let name = if is_whole { place.to_owned() } else { format!("{place}: block {number}") };
            let range = start..start + rows.len();
            start = range.end;
            Cloud { name, store: Arc::clone(&store), rows: range }
        };
        let clouds = blocks.iter().enumerate().map(cloud).collect();
        Ok(Cut { clouds, rows })
    }

    /// The values of a block, normalised by itself.
    fn block(&self, columns: &[Vec<f64>], rows: &[u32], is_whole: bool, place: &str) -> Result<Vec<f32>> {
        let position = |row: &u32| [0, 1, 2].map(|axis| columns[axis][*row as usize]);
        let mut positions: Vec<[f64; CHANNELS]> = rows.iter().map(position).collect();
        if !self.normalize(&mut positions) && is_whole {
            return Err(Error::invalid(place, "a cloud with some extent", "points that all coincide"));
        }
        let mut values = Vec::with_capacity(rows.len() * columns.len());
        for (position, row) in positions.iter().zip(rows) {
            values.extend(position.iter().map(|value| *value as f32));
            values.extend(columns[CHANNELS..].iter().map(|column| column[*row as usize] as f32));
        }
        Ok(values)
    }

    /// False where all points coincide; they are then put where the mean is.
    pub fn normalize(&self, positions: &mut [[f64; CHANNELS]]) -> bool {
        if self.normalization != Normalization::Cube || fit_into_cube(positions) {
            return true;
        }
        positions.fill([0.0; CHANNELS]);
        false
    }
}

/// Brings the colours of all clouds to 0..1, and says what was noticed in their files; gives what the colours' range came
/// to. Every slice holds the clouds of one file.
pub(super) fn divide_colours(
    files: &mut [&mut [Cloud]],
    configured: ColorRange,
    features: &Features,
    origin: &str,
) -> Result<(ColorRange, Noticed)> {
    let stores = files.iter().filter_map(|clouds| clouds.first()).map(|cloud| &cloud.store.noticed);
    let noticed = Noticed::sum(stores);
    let range = if features.have_colours() { noticed.settle(configured, origin)? } else { configured };
    let division = noticed.division(range);
    for clouds in files.iter_mut().filter(|clouds| clouds.first().is_some_and(|cloud| cloud.store.undivided.are_some()))
    {
        // Of all clouds, so that none shares it while it changes.
        let mut stores: Vec<Arc<Store>> = clouds.iter_mut().map(|cloud| std::mem::take(&mut cloud.store)).collect();
        let mut store = stores.swap_remove(0);
        drop(stores);
        if let Some(Store { values, undivided, channels, noticed, .. }) = Arc::get_mut(&mut store) {
            std::mem::take(undivided).divide(values, *channels, division, noticed);
        }
        clouds.iter_mut().for_each(|cloud| cloud.store = Arc::clone(&store));
    }
    Ok((range, noticed))
}

/// The position and these columns, and what every cloud gets that has it not: the position in the whole of it.
pub(super) fn columns(more: &[[&str; 3]]) -> Vec<String> {
    [AXES].iter().chain(more).chain([&ROOM]).flatten().map(|name| (*name).to_owned()).collect()
}

/// The position in the whole cloud, from 0 to 1 along each axis, where it is asked for and not stored.
fn add_room(raw: &mut Raw, features: &Features) {
    let wanted = features.columns();
    for (axis, room) in AXES.iter().zip(ROOM) {
        let (true, None, Some(values)) = (wanted.contains(&room), raw.column(room), raw.column(axis)) else { continue };
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let side = if most > least { most - least } else { 1.0 };
        let values = values.iter().map(|value| (value - least) / side).collect();
        raw.columns.push((room.to_owned(), values));
    }
}

/// The points of every column of this side that has any, column by column, in the file's order within each; of all
/// where the side is 0.
fn blocks([x, y]: [&[f64]; 2], side: f64) -> Vec<Vec<u32>> {
    if side == 0.0 {
        return vec![(0..x.len() as u32).collect()];
    }
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let starts = [least(x), least(y)];
    let mut blocks: BTreeMap<[i64; 2], Vec<u32>> = BTreeMap::new();
    for (row, position) in x.iter().zip(y).map(|(x, y)| [*x, *y]).enumerate() {
        let key = [0, 1].map(|axis| ((position[axis] - starts[axis]) / side).floor() as i64);
        blocks.entry(key).or_default().push(row as u32);
    }
    blocks.into_values().collect()
}

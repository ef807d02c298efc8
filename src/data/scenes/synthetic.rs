//! The built-in labelled clouds: rooms of boxes with S3DIS's classes and channels, for trying and testing without any
//! download.
//!
//! Rooms have floor, ceiling and walls, and at random the other ten classes. Boards and windows hang at the same height,
//! and door, table and bookcase may have the floor's colour, so neither position nor colour alone tells the classes
//! apart. Not real data; scores on it say nothing about published ones.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;

use super::cloud::{self, Reading};
use super::item::{Item, Opened};
use super::labels::Class;
use super::s3dis::{self, CLASSES, File};
use crate::bounds;
use crate::data::points::features::{AXES, COLORS};
use crate::data::points::format::Raw;
use crate::data::split::Split;
use crate::data::synthetic::SyntheticConfig;
use crate::error::Result;
use crate::tensor::random::{Key, Purpose};

/// Points stored per cloud, unless more are asked for.
pub(super) const STORED_POINTS: usize = 2048;

/// Points of a block, published with 4096: a room of some fifty blocks is made at once.
const MOST_BLOCK_POINTS: usize = 100_000;

/// Points of a room for every one that its blocks store: blocks without walls have fewer.
const DENSITY: usize = 2;

/// Standard deviation of the noise of positions in metres, and of colours.
const NOISE: f64 = 0.008;
const COLOUR_NOISE: f64 = 0.05;

/// How much denser furniture is sampled than floor, walls and ceiling, which have most of the area.
const FURNITURE: f64 = 2.0;

/// How probable each class is in a room.
const PRESENT: f64 = 0.7;

const BROWN: [f64; 3] = [0.5, 0.35, 0.2];
const WHITE: [f64; 3] = [0.9, 0.9, 0.87];
const GREY: [f64; 3] = [0.55, 0.55, 0.55];
const DARK: [f64; 3] = [0.15, 0.18, 0.3];

/// A room with points, or what of it was sampled.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// x, y and z in metres, red, green and blue from 0 to 1.
    pub points: Vec<[f32; 6]>,
    pub classes: Vec<u8>,
    /// Along each axis, from 0.
    pub size: [f64; 3],
}

/// Names of the classes; they say that they are synthetic.
pub(super) fn classes() -> Vec<String> {
    CLASSES.map(|class| format!("synthetic_{class}")).to_vec()
}

/// The built-in set: blocks of rooms of so many points where an area is for testing, or whole rooms of at least as many.
pub(super) fn open(config: &SyntheticConfig, points: usize, area: Option<u8>, reading: &Reading) -> Result<Opened> {
    config.check_whole("data.points", points)?;
    if let Some(area) = area {
        let (file, rooms) = blocks("data.points", config, points)?;
        let opened = s3dis::opened("synthetic rooms", vec![file], &rooms, area, reading)?;
        return Ok(Opened { classes: classes(), files: [].into(), ..opened });
    }
    let points = points.max(STORED_POINTS);
    let item = |place: Place| {
        let (name, room) = (place.name(), place.room(points));
        let classes: Vec<Class> = room.classes.iter().map(|class| (*class).into()).collect();
        let clouds = reading.cut(room.into_raw(), &classes, &name).map(|cut| cut.clouds);
        Item { group: name.clone(), name, split: place.split, clouds }
    };
    Ok(Opened {
        items: places(config).into_par_iter().map(item).collect(),
        classes: classes(),
        division: "made apart".to_owned(),
        columns: cloud::columns(&[COLORS]),
        files: [].into(),
    })
}

/// A room of the set, before it is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub split: Split,
    pub index: usize,
    seed: u64,
}

/// So many rooms for training and for testing.
pub(super) fn places(size: &SyntheticConfig) -> Vec<Place> {
    let of = |split, count| (0..count).map(move |index| Place { split, index, seed: size.seed });
    of(Split::Train, size.train).chain(of(Split::Test, size.test)).collect()
}

impl Place {
    pub fn name(self) -> String {
        format!("synthetic_room_{}_{:04}", self.split.name(), self.index + 1)
    }

    /// The room's name in S3DIS: rooms for testing are in its fifth area.
    fn room_name(self) -> String {
        let area = if self.split == Split::Test { 5 } else { [1, 2, 3, 4, 6][self.index % 5] };
        format!("Area_{area}_synthetic_{}", self.index + 1)
    }

    /// The room, the same for the same place. The first of each split has all classes.
    pub fn room(self, points: usize) -> Room {
        let mut generator = self.generator();
        Plan::new(self.index == 0, &mut generator).sample(points, &mut generator)
    }

    fn generator(self) -> impl Rng {
        Key::new(self.seed, Purpose::Synthetic).at(self.split as u64, self.index as u64).generator()
    }
}

impl Room {
    /// Named columns, as files of points have them.
    pub fn into_raw(self) -> Raw {
        let names = AXES.into_iter().chain(COLORS);
        let column = |(channel, name): (usize, &str)| {
            (name.to_owned(), self.points.iter().map(|point| f64::from(point[channel])).collect())
        };
        Raw { columns: names.enumerate().map(column).collect(), ..Raw::default() }
    }
}

/// So many blocks for training and for testing, as S3DIS's files have them, and the room of each; `key` says what asks
/// for the points.
///
/// # Errors
/// More points than fit into memory.
pub(super) fn blocks(key: &str, size: &SyntheticConfig, points: usize) -> Result<(File, Vec<String>)> {
    size.check_whole(key, points)?;
    bounds::check(key, &points, &(1..=MOST_BLOCK_POINTS), "points of a block")?;
    let (mut file, mut rooms) = (File::empty("synthetic rooms", points), Vec::new());
    for (split, wanted) in [(Split::Train, size.train), (Split::Test, size.test)] {
        let place = |index| Place { split, index, seed: size.seed };
        // A room has at least nine.
        let made: Vec<_> =
            (0..wanted.div_ceil(9)).into_par_iter().map(|index| (place(index), place(index).blocks(points))).collect();
        let blocks = made.into_iter().flat_map(|(place, blocks)| blocks.into_iter().map(move |block| (place, block)));
        for (place, (values, classes)) in blocks.take(wanted) {
            rooms.push(place.room_name());
            file.push(&values, &classes);
        }
    }
    Ok((file, rooms))
}

impl Place {
    /// The room in columns of one metre, each with so many points of nine channels and their classes.
    fn blocks(self, points: usize) -> Vec<(Vec<f32>, Vec<u8>)> {
        let mut generator = self.generator();
        let plan = Plan::new(self.index == 0, &mut generator);
        let [width, depth] = [plan.size[0] as usize, plan.size[1] as usize];
        let room = plan.sample(width * depth * points * DENSITY, &mut generator);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); width * depth];
        for (index, point) in room.points.iter().enumerate() {
            members[point[0] as usize * depth + point[1] as usize].push(index);
        }
        let block = |members: &Vec<usize>| {
            let chosen: Vec<usize> = members.iter().copied().cycle().take(points).collect();
            let values = chosen.iter().flat_map(|index| {
                let point = room.points[*index];
                let place = [0, 1, 2].map(|axis| (f64::from(point[axis]) / room.size[axis]) as f32);
                point.into_iter().chain(place)
            });
            (values.collect(), chosen.iter().map(|index| room.classes[*index]).collect())
        };
        members.iter().filter(|members| !members.is_empty()).map(block).collect()
    }
}

/// A parallelogram of one class.
#[derive(Debug, Clone, Copy)]
struct Surface {
    class: usize,
    colour: [f64; 3],
    corner: [f64; 3],
    /// Two sides, each along an axis.
    sides: [(usize, f64); 2],
}

impl Surface {
    fn area(&self) -> f64 {
        let weight = if self.class < 3 { 1.0 } else { FURNITURE };
        self.sides[0].1 * self.sides[1].1 * weight
    }
}

/// What stands where in a room.
struct Plan {
    size: [f64; 3],
    surfaces: Vec<Surface>,
}

impl Plan {
    /// A room of 3 or 4 by 3 or 4 metres; the complete one is the smallest.
    fn new(is_complete: bool, generator: &mut impl Rng) -> Self {
        let mut side = || if is_complete { 3.0 } else { f64::from(generator.random_range(3..=4)) };
        let size = [side(), side(), generator.random_range(2.5..3.0)];
        let mut plan = Self { size, surfaces: Vec::new() };
        plan.shell(generator);
        for class in 3..CLASSES.len() {
            if is_complete || generator.random_bool(PRESENT) {
                plan.furnish(class, generator);
            }
        }
        plan
    }

    /// Ceiling, floor and walls.
    fn shell(&mut self, generator: &mut impl Rng) {
        let [width, depth, height] = self.size;
        let (floor, wall) = (pick(&[BROWN, GREY], generator), pick(&[WHITE, WHITE, GREY], generator));
        self.surface(0, WHITE, [0.0, 0.0, height], [(0, width), (1, depth)]);
        self.surface(1, floor, [0.0; 3], [(0, width), (1, depth)]);
        for at in [0.0, depth] {
            self.surface(2, wall, [0.0, at, 0.0], [(0, width), (2, height)]);
        }
        for at in [0.0, width] {
            self.surface(2, wall, [at, 0.0, 0.0], [(1, depth), (2, height)]);
        }
    }

    /// Something of this class.
    fn furnish(&mut self, class: usize, generator: &mut impl Rng) {
        let [width, depth, height] = self.size;
        match CLASSES[class] {
            "beam" => {
                let (at, colour) = (generator.random_range(0.3..depth - 0.6), pick(&[WHITE, GREY], generator));
                self.cuboid(class, colour, [0.0, at, height - 0.3], [width, 0.3, 0.3]);
            }
            "column" => {
                let (x, y) = self.spot([0.35, 0.35], true, generator);
                let colour = pick(&[WHITE, GREY], generator);
                self.cuboid(class, colour, [x, y, 0.0], [0.35, 0.35, height]);
            }
            "window" => self.panel(class, [0.6, 0.75, 0.9], [0.9, 2.0], generator),
            "door" => self.panel(class, pick(&[BROWN, GREY], generator), [0.0, 2.0], generator),
            "board" => self.panel(class, pick(&[[0.1, 0.3, 0.2], DARK], generator), [0.9, 2.0], generator),
            "table" => {
                let ((x, y), colour) = (self.spot([1.2, 0.7], false, generator), pick(&[BROWN, WHITE], generator));
                self.standing(class, colour, [x, y], [1.2, 0.7], 0.72);
            }
            "chair" => {
                let ((x, y), colour) = (self.spot([0.5, 0.5], false, generator), pick(&[DARK, BROWN], generator));
                self.standing(class, colour, [x, y], [0.5, 0.5], 0.42);
                self.cuboid(class, colour, [x, y, 0.46], [0.5, 0.04, 0.45]);
            }
            "sofa" => {
                let ((x, y), colour) =
                    (self.spot([1.4, 0.8], true, generator), pick(&[[0.5, 0.1, 0.1], DARK], generator));
                self.cuboid(class, colour, [x, y, 0.0], [1.4, 0.8, 0.4]);
                self.cuboid(class, colour, [x, y, 0.4], [1.4, 0.25, 0.4]);
            }
            "bookcase" => {
                let ((x, y), colour) = (self.spot([0.9, 0.35], true, generator), pick(&[BROWN, GREY], generator));
                (0..5).for_each(|shelf| self.cuboid(class, colour, [x, y, 0.4 * f64::from(shelf)], [0.9, 0.35, 0.05]));
                self.cuboid(class, colour, [x, y, 0.0], [0.05, 0.35, 1.65]);
                self.cuboid(class, colour, [x + 0.85, y, 0.0], [0.05, 0.35, 1.65]);
            }
            _ => {
                for _ in 0..3 {
                    let (side, tall) = (generator.random_range(0.15..0.4), generator.random_range(0.1..0.5));
                    let colour = [0, 1, 2].map(|_| generator.random_range(0.0..1.0));
                    let (x, y) = self.spot([side, side], false, generator);
                    self.cuboid(class, colour, [x, y, 0.0], [side, side, tall]);
                }
            }
        }
    }

    /// A place on the floor for something of this size, at a wall or anywhere.
    fn spot(&self, size: [f64; 2], at_wall: bool, generator: &mut impl Rng) -> (f64, f64) {
        let [x, y] = [0, 1].map(|axis| generator.random_range(0.05..self.size[axis] - size[axis] - 0.05));
        match at_wall.then(|| generator.random_range(0..4)) {
            Some(0) => (0.02, y),
            Some(1) => (self.size[0] - size[0] - 0.02, y),
            Some(2) => (x, 0.02),
            Some(_) => (x, self.size[1] - size[1] - 0.02),
            None => (x, y),
        }
    }

    /// Something flat on a wall, between two heights.
    fn panel(&mut self, class: usize, colour: [f64; 3], [low, high]: [f64; 2], generator: &mut impl Rng) {
        let (along, across) = if generator.random_bool(0.5) { (0, 1) } else { (1, 0) };
        let (width, is_far) = (generator.random_range(0.9..1.4), generator.random_bool(0.5));
        let mut corner = [0.0, 0.0, low];
        corner[along] = generator.random_range(0.1..self.size[along] - width - 0.1);
        corner[across] = if is_far { self.size[across] - 0.03 } else { 0.03 };
        self.surface(class, colour, corner, [(along, width), (2, high - low)]);
    }

    /// A plate on four legs.
    fn standing(&mut self, class: usize, colour: [f64; 3], [x, y]: [f64; 2], [width, depth]: [f64; 2], height: f64) {
        self.cuboid(class, colour, [x, y, height], [width, depth, 0.04]);
        for (right, back) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            let corner = [x + right * (width - 0.05), y + back * (depth - 0.05), 0.0];
            self.cuboid(class, colour, corner, [0.05, 0.05, height]);
        }
    }

    fn cuboid(&mut self, class: usize, colour: [f64; 3], corner: [f64; 3], size: [f64; 3]) {
        for (across, sides) in [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])] {
            for far in [0.0, size[across]] {
                let mut corner = corner;
                corner[across] += far;
                self.surface(class, colour, corner, sides.map(|axis| (axis, size[axis])));
            }
        }
    }

    fn surface(&mut self, class: usize, colour: [f64; 3], corner: [f64; 3], sides: [(usize, f64); 2]) {
        self.surfaces.push(Surface { class, colour, corner, sides });
    }

    /// Points spread over all surfaces.
    fn sample(&self, points: usize, generator: &mut impl Rng) -> Room {
        let ends: Vec<f64> = self
            .surfaces
            .iter()
            .scan(0.0, |sum, surface| {
                *sum += surface.area();
                Some(*sum)
            })
            .collect();
        let light = generator.random_range(0.75..1.1);
        let normal = |deviation| Normal::new(0.0, deviation).expect("a deviation that is finite");
        let (noise, colour_noise) = (normal(NOISE), normal(COLOUR_NOISE));
        let mut room =
            Room { points: Vec::with_capacity(points), classes: Vec::with_capacity(points), size: self.size };
        for _ in 0..points {
            let target = generator.random_range(0.0..*ends.last().expect("a room has walls"));
            let surface = &self.surfaces[ends.partition_point(|end| *end <= target).min(ends.len() - 1)];
            let mut position = surface.corner;
            surface.sides.iter().for_each(|(axis, side)| position[*axis] += side * generator.random_range(0.0..1.0));
            let inside = |axis: usize, value: f64| value.clamp(0.0, self.size[axis] - 1e-4) as f32;
            let [x, y, z] = [0, 1, 2].map(|axis| inside(axis, position[axis] + noise.sample(generator)));
            let [red, green, blue] =
                surface.colour.map(|value| (value * light + colour_noise.sample(generator)).clamp(0.0, 1.0) as f32);
            room.points.push([x, y, z, red, green, blue]);
            room.classes.push(surface.class as u8);
        }
        room
    }
}

fn pick(colours: &[[f64; 3]], generator: &mut impl Rng) -> [f64; 3] {
    colours[generator.random_range(0..colours.len())]
}

#[cfg(test)]
mod tests;

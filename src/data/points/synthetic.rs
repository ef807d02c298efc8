//! The built-in data: ten kinds of parametric solids, for trying and testing without any download.
//!
//! Every solid is a triangle mesh with random proportions, sampled by area, then stretched, turned, cut by a
//! random plane and blurred, so that kinds overlap: chance is 10 %, and a trained network is well above it
//! without being perfect. The same solids are there as meshes, whole and smooth. Not real data; scores on it say
//! nothing about published ones.

use std::collections::HashMap;
use std::f64::consts::{PI, TAU};

use rand::{Rng, RngExt, seq::SliceRandom};
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;

use super::features::AXES;
use super::format::Raw;
use super::item::{Item, Loaded};
use super::surface::{Surface, Vector, dot, length};
use crate::data::split::Split;
use crate::data::synthetic::{KINDS, SyntheticConfig};
use crate::tensor::random::{Key, Purpose};

/// Points stored per cloud, unless more are asked for: twice the usual 1024, so that random subsets differ.
const STORED_POINTS: usize = 2048;

/// Sides of a circle, segments of a curve.
const SEGMENTS: usize = 24;

/// Standard deviation of the noise, beside solids of about unit radius.
const NOISE: f64 = 0.02;

/// The greatest share of points behind the plane that cuts a solid.
const MOST_CUT: f64 = 0.25;

/// The greatest angle by which the vertical axis is tilted.
const MOST_TILT: f64 = PI / 6.0;

/// Range of the stretch of each axis.
const STRETCH: std::ops::Range<f64> = 0.75..1.35;

type Triangle = [Vector; 3];

/// A mesh of about unit radius, by its height, its inner radius, and the number of its turns, which is drawn when it is
/// asked for.
type Solid = fn(f64, f64, &mut dyn FnMut() -> f64) -> Vec<Triangle>;

/// The classes of the built-in set in the order of their labels.
const SOLIDS: [(&str, Solid); KINDS] = [
    ("ellipsoid", |_, _, _| loft(&circle(), &arc(0.0, PI, 0.0))),
    ("box", |height, _, _| loft(&square(), &prism(height))),
    ("cylinder", |height, _, _| loft(&circle(), &prism(height))),
    ("cone", |height, _, _| loft(&circle(), &[[0.0, -height], [1.0, -height], [0.0, height]])),
    ("torus", |_, inner, _| tube(1.0, 0.0, inner)),
    ("pyramid", |height, _, _| loft(&square(), &[[0.0, -height], [1.0, -height], [0.0, height]])),
    ("capsule", |height, _, _| loft(&circle(), &[arc(0.0, PI / 2.0, -height), arc(PI / 2.0, PI, height)].concat())),
    ("bowl", |_, _, _| loft(&circle(), &arc(0.0, PI / 2.0, 0.0))),
    ("helix", |height, inner, turns| tube(turns(), height, inner * 0.6)),
    ("cross", |height, inner, _| loft(&plus(inner), &prism(height))),
];

/// A mesh of this class with random proportions.
fn mesh(label: usize, generator: &mut impl Rng) -> Vec<Triangle> {
    let height = generator.random_range(0.6..1.4);
    let inner = generator.random_range(0.2..0.4);
    SOLIDS[label].1(height, inner, &mut || generator.random_range(1.5..3.0))
}

/// The set of this configuration, the same for the same configuration and number of points: the names of the
/// classes, and the clouds.
pub(super) fn generate(config: &SyntheticConfig, points: usize) -> (Vec<String>, Loaded) {
    let stored_points = points.max(STORED_POINTS);
    let make = |place: &Place| {
        let name = format!("synthetic {} cloud {}", place.split.name(), place.index);
        (Item { name, label: place.label(), split: place.split }, place.cloud(stored_points))
    };
    (classes(), places(config).par_iter().map(make).collect())
}

/// The names of the classes.
pub(super) fn classes() -> Vec<String> {
    SOLIDS.map(|(name, _)| format!("synthetic_{name}")).to_vec()
}

/// All places of the set, those for training first.
pub(super) fn places(config: &SyntheticConfig) -> Vec<Place> {
    let part = |split, size| (0..size).map(move |index| Place { seed: config.seed, split, index });
    part(Split::Train, config.train).chain(part(Split::Test, config.test)).collect()
}

/// A solid of the set, by its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    seed: u64,
    pub split: Split,
    /// Among all of its split.
    pub index: usize,
}

impl Place {
    /// The kinds take turns.
    pub fn label(self) -> usize {
        self.index % SOLIDS.len()
    }

    /// Position among those of its class and split.
    pub fn number(self) -> usize {
        self.index / SOLIDS.len()
    }

    fn generator(self) -> impl Rng {
        let part = u64::from(self.split == Split::Test);
        Key::new(self.seed, Purpose::Synthetic).at(part, self.index as u64).generator()
    }

    /// The solid as a cloud: stretched, turned, cut and blurred.
    pub fn cloud(self, points: usize) -> Raw {
        let cloud = sample_solid(self.label(), points, &mut self.generator());
        Raw { columns: columns(&cloud), ..Raw::default() }
    }

    /// The solid as a mesh: stretched and turned, but uncut and without noise.
    pub fn mesh(self) -> Raw {
        let mut generator = self.generator();
        let mut mesh = stretched(self.label(), &mut generator);
        let turns = random_turns(&mut generator);
        mesh.iter_mut().flatten().for_each(|corner| turn(corner, &turns));
        indexed(&mesh)
    }
}

fn columns(positions: &[Vector]) -> Vec<(String, Vec<f64>)> {
    let column = |axis: usize| positions.iter().map(|position| position[axis]).collect();
    AXES.iter().enumerate().map(|(axis, name)| ((*name).to_owned(), column(axis))).collect()
}

/// Corners that coincide become one vertex, of 32 bits as in real files; triangles that are lines go.
fn indexed(mesh: &[Triangle]) -> Raw {
    let (mut vertices, mut known) = (Vec::new(), HashMap::new());
    let mut vertex = |corner: &Vector| {
        // Adding 0 turns -0 into 0.
        let rounded = corner.map(|value| f64::from(value as f32) + 0.0);
        *known.entry(rounded.map(f64::to_bits)).or_insert_with(|| {
            vertices.push(rounded);
            vertices.len() as u64 - 1
        })
    };
    let mut triangles: Vec<[u64; 3]> = mesh.iter().map(|corners| corners.each_ref().map(&mut vertex)).collect();
    triangles.retain(|[a, b, c]| a != b && b != c && c != a);
    Raw { columns: columns(&vertices), triangles, ..Raw::default() }
}

/// A random solid of this class: `points` positions in random order.
fn sample_solid(label: usize, points: usize, generator: &mut impl Rng) -> Vec<Vector> {
    let mesh = stretched(label, generator);
    let cut = generator.random_range(0.0..MOST_CUT);
    let sampled = (points as f64 / (1.0 - cut)).ceil() as usize;
    let direction = unit_vector(generator);
    let mut ranked: Vec<(f64, Vector)> =
        sample_by_area(&mesh, sampled, generator).into_iter().map(|point| (dot(point, direction), point)).collect();
    ranked.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut cloud: Vec<Vector> = ranked.into_iter().take(points).map(|(_, point)| point).collect();
    cloud.shuffle(generator);
    turn_and_blur(&mut cloud, generator);
    cloud
}

fn stretched(label: usize, generator: &mut impl Rng) -> Vec<Triangle> {
    let stretch: Vector = std::array::from_fn(|_| generator.random_range(STRETCH));
    let mut mesh = mesh(label, generator);
    for corner in mesh.iter_mut().flatten() {
        *corner = std::array::from_fn(|axis| corner[axis] * stretch[axis]);
    }
    mesh
}

/// Points spread evenly over the surface.
fn sample_by_area(mesh: &[Triangle], count: usize, generator: &mut impl Rng) -> Vec<Vector> {
    let surface = Surface::new(mesh.iter().copied());
    let draw = |_| {
        let (triangle, weights) = surface.draw(generator);
        std::array::from_fn(|axis| mesh[triangle].iter().zip(weights).map(|(corner, w)| corner[axis] * w).sum())
    };
    (0..count).map(draw).collect()
}

/// From the first axis to the second, by an angle.
type Turn = (usize, usize, f64);

/// About the vertical axis, then a tilt towards a random side.
fn random_turns(generator: &mut impl Rng) -> [Turn; 3] {
    [(0, 1, 0.0..TAU), (1, 2, -MOST_TILT..MOST_TILT), (0, 1, 0.0..TAU)]
        .map(|(first, second, angles)| (first, second, generator.random_range(angles)))
}

fn turn(point: &mut Vector, turns: &[Turn]) {
    for &(first, second, angle) in turns {
        let (sine, cosine) = f64::sin_cos(angle);
        let (a, b) = (point[first], point[second]);
        (point[first], point[second]) = (a * cosine - b * sine, a * sine + b * cosine);
    }
}

fn turn_and_blur(cloud: &mut [Vector], generator: &mut impl Rng) {
    let turns = random_turns(generator);
    let noise = Normal::new(0.0, NOISE).expect("the deviation is positive");
    for point in cloud {
        turn(point, &turns);
        for value in point {
            *value += noise.sample(generator);
        }
    }
}

/// The outline, scaled and lifted along a profile of (scale, height).
fn loft(outline: &[[f64; 2]], profile: &[[f64; 2]]) -> Vec<Triangle> {
    let ring = |[scale, height]: [f64; 2]| outline.iter().map(|[x, y]| [x * scale, y * scale, height]).collect();
    let rings: Vec<Vec<Vector>> = profile.iter().copied().map(ring).collect();
    bridge(&rings)
}

/// The profile of a body with equal ends.
fn prism(height: f64) -> [[f64; 2]; 4] {
    [[0.0, -height], [1.0, -height], [1.0, height], [0.0, height]]
}

/// A tube of `radius` around a circle of radius 1 that rises by `height` to both sides within its turns.
fn tube(turns: f64, height: f64, radius: f64) -> Vec<Triangle> {
    let steps = (SEGMENTS as f64 * turns).ceil() as usize;
    let ring = |step: usize| {
        let share = step as f64 / steps as f64;
        let (sine, cosine) = f64::sin_cos(TAU * turns * share);
        let lift = height * (2.0 * share - 1.0);
        let place =
            |[out, up]: [f64; 2]| [(1.0 + radius * out) * cosine, (1.0 + radius * out) * sine, lift + radius * up];
        circle().into_iter().map(place).collect()
    };
    let rings: Vec<Vec<Vector>> = (0..=steps).map(ring).collect();
    bridge(&rings)
}

/// Joins consecutive rings by triangles; each ring is closed.
fn bridge(rings: &[Vec<Vector>]) -> Vec<Triangle> {
    let mut mesh = Vec::new();
    for pair in rings.windows(2) {
        for i in 0..pair[0].len() {
            let next = (i + 1) % pair[0].len();
            mesh.push([pair[0][i], pair[0][next], pair[1][i]]);
            mesh.push([pair[1][i], pair[0][next], pair[1][next]]);
        }
    }
    mesh
}

fn circle() -> Vec<[f64; 2]> {
    (0..SEGMENTS).map(|i| f64::sin_cos(TAU * i as f64 / SEGMENTS as f64).into()).collect()
}

fn square() -> Vec<[f64; 2]> {
    vec![[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]
}

/// The outline of a plus sign with arms of half-width `arm`.
fn plus(arm: f64) -> Vec<[f64; 2]> {
    let quarter = [[1.0, -arm], [1.0, arm], [arm, arm]];
    let mut outline = Vec::new();
    let mut turned = quarter;
    for _ in 0..4 {
        outline.extend(turned);
        turned = turned.map(|[x, y]| [-y, x]);
    }
    outline
}

/// The profile of a piece of the unit sphere between two angles from its lower pole, lifted.
fn arc(from: f64, to: f64, lift: f64) -> Vec<[f64; 2]> {
    let steps = SEGMENTS / 2;
    let point = |i: usize| {
        let (sine, cosine) = f64::sin_cos(from + (to - from) * i as f64 / steps as f64);
        [sine, lift - cosine]
    };
    (0..=steps).map(point).collect()
}

fn unit_vector(generator: &mut impl Rng) -> Vector {
    let normal = Normal::new(0.0, 1.0).expect("the deviation is positive");
    let vector: Vector = std::array::from_fn(|_| normal.sample(generator));
    let length = length(vector);
    vector.map(|value| value / length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::points::surface::area;

    fn surface(name: &str) -> f64 {
        let label = SOLIDS.iter().position(|(known, _)| *known == name).unwrap();
        mesh(label, &mut Key::new(0, Purpose::Synthetic).generator()).iter().map(area).sum()
    }

    #[test]
    fn meshes_have_the_surfaces_of_their_solids() {
        // A 24-gon for a circle takes up to 3 % from curved surfaces.
        let sphere = surface("ellipsoid");
        assert!((sphere / (2.0 * TAU) - 1.0).abs() < 0.03, "{sphere}");
        let bowl = surface("bowl");
        assert!((bowl / TAU - 1.0).abs() < 0.03, "{bowl}");
        let square_prism: f64 =
            loft(&square(), &[[0.0, 0.0], [1.0, 0.0], [1.0, 3.0], [0.0, 3.0]]).iter().map(area).sum();
        assert!((square_prism - 32.0).abs() < 1e-9);
        let torus: f64 = tube(1.0, 0.0, 0.3).iter().map(area).sum();
        assert!((torus / (TAU * TAU * 0.3) - 1.0).abs() < 0.03, "{torus}");
        let plus_prism: f64 =
            loft(&plus(0.25), &[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).iter().map(area).sum();
        // Two faces of 0.5 · 0.5 + 4 · (0.5 · 0.75) = 1.75 each, and an outline 8 long.
        assert!((plus_prism - (2.0 * 1.75 + 8.0)).abs() < 1e-9, "{plus_prism}");
    }

    #[test]
    fn meshes_are_whole_and_share_their_vertices() {
        let config = SyntheticConfig { train: 10, test: 10, seed: 4 };
        let meshes: Vec<Raw> = places(&config).into_iter().map(Place::mesh).collect();
        assert_ne!(meshes[0], meshes[10], "train and test differ");
        for (index, Raw { columns, triangles, .. }) in meshes[..10].iter().enumerate() {
            let vertices = columns[0].1.len();
            let mut seen = vec![0; vertices];
            triangles.iter().flatten().for_each(|corner| seen[*corner as usize] += 1);
            assert!(seen.iter().all(|faces| *faces >= 2), "kind {index}: {vertices} vertices, {seen:?}");
            assert!(columns.iter().flat_map(|(_, values)| values).all(|value| f64::from(*value as f32) == *value));
        }
        // A box: eight corners, and one vertex in the middle of either end.
        assert_eq!((meshes[1].columns[0].1.len(), meshes[1].triangles.len()), (10, 16));
    }

    #[test]
    fn the_set_is_balanced_and_follows_its_seed() {
        let config = SyntheticConfig { train: 20, test: 10, seed: 4 };
        let (classes, clouds) = generate(&config, 64);
        assert_eq!((classes.len(), classes[0].as_str()), (10, "synthetic_ellipsoid"));
        assert!(
            clouds[..20].iter().enumerate().all(|(i, (item, _))| item.label == i % 10 && item.split == Split::Train)
        );
        assert!(
            clouds[20..].iter().all(|(item, raw)| item.split == Split::Test && raw.columns[2].1.len() == STORED_POINTS)
        );
        assert_eq!(clouds, generate(&config, 64).1);
        assert_ne!(clouds[0].1, generate(&SyntheticConfig { seed: 5, ..config }, 64).1[0].1);
        assert_ne!(clouds[0].1, clouds[20].1);
    }
}

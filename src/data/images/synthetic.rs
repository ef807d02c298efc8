//! The built-in pictures: ten kinds of shapes and textures, for trying and testing without any download.
//!
//! Every picture has a random background, place, size and angle, a slope of light and noise. What is drawn on it is
//! near a hue of its kind's own, from which it strays far enough that kinds overlap. Colour makes the set easy, so
//! that a small network is far above chance (10 %) within a minute. Not real data; scores on it say nothing about
//! published ones.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;

use super::pictures::{Loaded, Part, PictureSet};
use crate::data::split::Split;
use crate::data::synthetic::SyntheticConfig;
use crate::tensor::random::{Key, Purpose};

/// Height and width of the pictures.
pub(super) const SIDE: usize = 32;

/// What the set is, in words.
pub(super) const ORIGIN: &str = "synthetic pictures (built in, not real data)";

/// Samples of a pixel each way, of which the mean is taken.
const SAMPLES: usize = 3;

/// The least difference of the two colours, summed over red, green and blue of 1.
const CONTRAST: f64 = 0.5;

/// Kinds are a tenth of the circle of hues apart; a picture's hue strays from its kind's by this standard deviation.
const HUE_SPREAD: f64 = 0.03;

/// Standard deviation of the noise, of 1.
const NOISE: f64 = 0.08;

/// The greatest slope of light from one side to the other, of 1.
const LIGHT: f64 = 0.3;

/// A class of the built-in set.
struct Kind {
    name: &'static str,
    is_texture: bool,
    /// True where the picture has its second colour. Shapes are about 1 in radius, textures repeat with 1.
    covers: fn([f64; 2]) -> bool,
}

/// The classes in the order of their labels.
const KINDS: [Kind; 10] = [
    Kind { name: "disc", is_texture: false, covers: |[x, y]| length(x, y) < 1.0 },
    Kind { name: "ring", is_texture: false, covers: |[x, y]| (0.55..1.0).contains(&length(x, y)) },
    Kind { name: "square", is_texture: false, covers: |[x, y]| x.abs().max(y.abs()) < 0.85 },
    Kind { name: "triangle", is_texture: false, covers: |[x, y]| y > -0.6 && y < 1.1 - 1.7 * x.abs() },
    Kind {
        name: "cross",
        is_texture: false,
        covers: |[x, y]| x.abs().min(y.abs()) < 0.3 && x.abs().max(y.abs()) < 1.0,
    },
    Kind { name: "stripes", is_texture: true, covers: |[x, _]| even(x) },
    Kind { name: "checkers", is_texture: true, covers: |[x, y]| even(x) != even(y) },
    Kind {
        name: "dots",
        is_texture: true,
        covers: |[x, y]| length(x.rem_euclid(1.0) - 0.5, y.rem_euclid(1.0) - 0.5) < 0.33,
    },
    Kind { name: "waves", is_texture: true, covers: |[x, y]| even(x + 0.25 * (TAU * 0.5 * y).sin()) },
    Kind { name: "bricks", is_texture: true, covers: is_brick },
];

fn even(value: f64) -> bool {
    value.rem_euclid(1.0) < 0.5
}

fn is_brick([x, y]: [f64; 2]) -> bool {
    let shift = if even(y / 2.0) { 0.5 } else { 0.0 };
    y.rem_euclid(1.0) > 0.2 && (x / 2.0 + shift).rem_euclid(1.0) > 0.1
}

/// Of a vector near 1. The system's `hypot`, which also serves the longest, would ask for glibc 2.35.
fn length(x: f64, y: f64) -> f64 {
    (x * x + y * y).sqrt()
}

/// How one picture differs from others of its kind.
struct View {
    kind: usize,
    /// Of what is at the middle of the drawing, in pixels.
    middle: [f64; 2],
    /// Pixels of the drawing's unit.
    unit: f64,
    angle: f64,
    colours: [[f64; 3]; 2],
    light: [f64; 2],
}

/// The set of this configuration, the same for the same configuration.
pub(super) fn generate(config: &SyntheticConfig) -> PictureSet {
    let part = |split: Split, size: usize| -> Part<Loaded> {
        let pictures: Vec<Vec<u8>> =
            (0..size).into_par_iter().map(|index| picture(config.seed, split, index)).collect();
        let names = (0..size).map(|index| format!("synthetic {} picture {index}", split.name())).collect();
        Part {
            labels: (0..size).map(label).collect(),
            pictures: Loaded { names, side: SIDE, bytes: pictures.concat() },
        }
    };
    let (train, test) = (part(Split::Train, config.train), part(Split::Test, config.test));
    PictureSet::loaded(classes(), ORIGIN.to_owned(), train, test)
}

/// Names of the classes, in the order of the labels.
pub(super) fn classes() -> Vec<String> {
    KINDS.iter().map(|kind| format!("synthetic_{}", kind.name)).collect()
}

/// The class of the picture of this number in its split.
pub(super) fn label(index: usize) -> usize {
    index % KINDS.len()
}

/// The picture of this number in the split, as bytes (SIDE, SIDE, 3).
pub(super) fn picture(seed: u64, split: Split, index: usize) -> Vec<u8> {
    let key = Key::new(seed, Purpose::Synthetic).at(u64::from(split == Split::Test), index as u64);
    draw(label(index), &mut key.generator())
}

/// A random picture of this kind, as bytes (SIDE, SIDE, 3).
fn draw(kind: usize, generator: &mut impl Rng) -> Vec<u8> {
    let view = View::draw(kind, generator);
    let noise = Normal::new(0.0, NOISE).expect("the deviation is positive");
    let mut bytes = Vec::with_capacity(SIDE * SIDE * 3);
    for pixel in 0..SIDE * SIDE {
        for value in view.colour([pixel % SIDE, pixel / SIDE]) {
            bytes.push(((value + noise.sample(generator)) * 255.0).round() as u8);
        }
    }
    bytes
}

impl View {
    fn draw(kind: usize, generator: &mut impl Rng) -> Self {
        let side = SIDE as f64;
        let unit = if KINDS[kind].is_texture { 0.15..0.35 } else { 0.18..0.42 };
        Self {
            kind,
            middle: std::array::from_fn(|_| side * generator.random_range(0.35..0.65)),
            unit: side * generator.random_range(unit),
            angle: generator.random_range(0.0..TAU),
            colours: two_colours(kind, generator),
            light: std::array::from_fn(|_| generator.random_range(-LIGHT / 2.0..LIGHT / 2.0)),
        }
    }

    /// Red, green and blue of a pixel, of 1.
    fn colour(&self, pixel: [usize; 2]) -> [f64; 3] {
        let step = |number: usize| (number as f64 + 0.5) / SAMPLES as f64;
        let samples = (0..SAMPLES * SAMPLES)
            .map(|number| [pixel[0] as f64 + step(number % SAMPLES), pixel[1] as f64 + step(number / SAMPLES)]);
        let covered = samples.filter(|place| (KINDS[self.kind].covers)(self.drawn(*place))).count();
        let share = covered as f64 / (SAMPLES * SAMPLES) as f64;
        let light: f64 = (0..2).map(|axis| self.light[axis] * (pixel[axis] as f64 / SIDE as f64 * 2.0 - 1.0)).sum();
        std::array::from_fn(|channel| {
            self.colours[0][channel] * (1.0 - share) + self.colours[1][channel] * share + light
        })
    }

    /// Where a place of the picture lies in the drawing.
    fn drawn(&self, place: [f64; 2]) -> [f64; 2] {
        let [x, y] = std::array::from_fn(|axis| (place[axis] - self.middle[axis]) / self.unit);
        let (sine, cosine) = self.angle.sin_cos();
        [x * cosine - y * sine, x * sine + y * cosine]
    }
}

/// A background and a colour of this kind that can be told from it.
fn two_colours(kind: usize, generator: &mut impl Rng) -> [[f64; 3]; 2] {
    let spread = Normal::new(0.0, HUE_SPREAD).expect("the deviation is positive");
    let hue = kind as f64 / KINDS.len() as f64 + spread.sample(generator);
    let second = colour(hue, generator.random_range(0.5..0.9), generator.random_range(0.6..0.9));
    loop {
        let first: [f64; 3] = std::array::from_fn(|_| generator.random_range(0.1..0.9));
        let difference: f64 = first.iter().zip(second).map(|(one, other)| (one - other).abs()).sum();
        if difference >= CONTRAST {
            return [first, second];
        }
    }
}

/// Red, green and blue of a hue (1 is the whole circle, 0 is red), a saturation and a value.
fn colour(hue: f64, saturation: f64, value: f64) -> [f64; 3] {
    [0.0, 4.0, 2.0].map(|turn| {
        let pure = (((hue * 6.0 + turn).rem_euclid(6.0) - 3.0).abs() - 1.0).clamp(0.0, 1.0);
        value * (1.0 - saturation * (1.0 - pure))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(part: &Part) -> &Loaded {
        match &part.pictures {
            super::super::Pictures::Loaded(loaded) => loaded,
            others => unreachable!("generated in memory: {others:?}"),
        }
    }

    #[test]
    fn shapes_and_textures_cover_what_they_should() {
        let share = |kind: &Kind| {
            let places =
                (0..200 * 200).map(|i| [f64::from(i % 200), f64::from(i / 200)].map(|step| (step + 0.5) / 50.0 - 2.0));
            places.filter(|place| (kind.covers)(*place)).count() as f64 / (200.0 * 200.0)
        };
        // Areas of the shapes within a square of 4, shares of the textures.
        let expected = [
            ("disc", TAU / 2.0 / 16.0),
            ("ring", TAU / 2.0 * (1.0 - 0.55 * 0.55) / 16.0),
            ("square", 1.7 * 1.7 / 16.0),
            ("triangle", 1.7 * 1.0 / 16.0),
            ("cross", (2.0 * 1.2 - 0.36) / 16.0),
            ("stripes", 0.5),
            ("checkers", 0.5),
            ("dots", TAU / 2.0 * 0.33 * 0.33),
            ("waves", 0.5),
            ("bricks", 0.8 * 0.9),
        ];
        for (kind, (name, wanted)) in KINDS.iter().zip(expected) {
            assert!((share(kind) - wanted).abs() < 0.01, "{name}: {} instead of {wanted}", share(kind));
            assert_eq!(kind.name, name);
        }
    }

    #[test]
    fn hues_go_round_from_red() {
        let pure = [0.0, 1.0 / 6.0, 1.0 / 3.0, 0.5, 2.0 / 3.0, -1.0 / 6.0].map(|hue| colour(hue, 1.0, 1.0));
        let expected = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]];
        for (found, wanted) in pure.iter().zip(expected) {
            assert!(found.iter().zip(wanted).all(|(one, other)| (one - f64::from(other)).abs() < 1e-12), "{found:?}");
        }
        assert_eq!(colour(0.3, 0.0, 0.5), [0.5; 3]);
        assert_eq!(colour(0.0, 0.5, 0.8), [0.8, 0.4, 0.4]);
    }

    #[test]
    fn the_set_is_balanced_and_follows_its_seed() {
        let config = SyntheticConfig { train: 20, test: 10, seed: 4 };
        let set = generate(&config);
        let classes: Vec<usize> = (0..20).map(|i| i % 10).collect();
        assert_eq!((set.train.labels, set.classes[0].as_str()), (classes, "synthetic_disc"));
        let pictures = |config: &SyntheticConfig| loaded(&generate(config).train).bytes.clone();
        let first = pictures(&config);
        assert_eq!(first.len(), 20 * SIDE * SIDE * 3);
        assert_eq!(first, pictures(&config));
        assert_ne!(first, pictures(&SyntheticConfig { seed: 5, ..config.clone() }));
        assert_ne!(first[..SIDE * SIDE * 3], loaded(&set.test).bytes[..SIDE * SIDE * 3]);
    }
}

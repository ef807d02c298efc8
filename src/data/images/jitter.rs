//! Changes of colour: brightness, contrast, saturation and hue, in random order.
//!
//! The formulas are those of torchvision on Pillow's pictures, to the byte: each change gives bytes again, cut off
//! towards 0.

use image::{Rgb, RgbImage};
use rand::{Rng, RngExt, seq::SliceRandom};

/// Brightness, contrast and saturation are multiplied by 1 - 0.4 to 1 + 0.4.
const STRENGTH: f32 = 0.4;

/// Hue is turned by up to this share of the circle, either way.
const MOST_HUE: f64 = 0.2;

/// One change of colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    /// Towards black, or away from it.
    Brightness(f32),
    /// Towards the mean of the grey picture, or away from it.
    Contrast(f32),
    /// Towards the grey picture, or away from it.
    Saturation(f32),
    /// Turned by this share of the circle.
    Hue(f64),
}

/// The changes of one picture, in their order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jitter([Change; 4]);

impl Jitter {
    /// Draws the strength of all changes, and their order.
    pub fn draw(generator: &mut impl Rng) -> Self {
        let range = 1.0 - STRENGTH..=1.0 + STRENGTH;
        let mut changes = [
            Change::Brightness(generator.random_range(range.clone())),
            Change::Contrast(generator.random_range(range.clone())),
            Change::Saturation(generator.random_range(range)),
            Change::Hue(generator.random_range(-MOST_HUE..=MOST_HUE)),
        ];
        changes.shuffle(generator);
        Self(changes)
    }

    /// Makes the changes.
    pub fn apply(self, picture: &mut RgbImage) {
        for change in self.0 {
            change.apply(picture);
        }
    }
}

impl Change {
    /// Makes the change.
    pub fn apply(self, picture: &mut RgbImage) {
        match self {
            Self::Brightness(factor) => map_bytes(picture, |byte| blend(0, byte, factor)),
            Self::Contrast(factor) => {
                let mean = mean_grey(picture);
                map_bytes(picture, |byte| blend(mean, byte, factor));
            }
            Self::Saturation(factor) => {
                for Rgb(colour) in picture.pixels_mut() {
                    let grey = grey(*colour);
                    *colour = colour.map(|byte| blend(grey, byte, factor));
                }
            }
            Self::Hue(turn) => {
                // A byte of hue goes round the circle: 256 steps, of which the share is taken of 255.
                let steps = (turn * 255.0) as i32 as u8;
                for Rgb(colour) in picture.pixels_mut() {
                    let [hue, saturation, value] = to_hsv(*colour);
                    *colour = to_rgb([hue.wrapping_add(steps), saturation, value]);
                }
            }
        }
    }
}

/// Applies a function of one byte by a table of its values.
fn map_bytes(picture: &mut RgbImage, change: impl Fn(u8) -> u8) {
    let table: [u8; 256] = std::array::from_fn(|byte| change(byte as u8));
    for byte in picture.iter_mut() {
        *byte = table[usize::from(*byte)];
    }
}

/// From `start` through `byte` and beyond, in single precision; what is left of a whole number is cut off.
fn blend(start: u8, byte: u8, factor: f32) -> u8 {
    let [start, byte] = [start, byte].map(f32::from);
    // A cast to a byte cuts off and stays within the range.
    (start + factor * (byte - start)) as u8
}

/// Rounded luma of ITU-R 601 in 16-bit fixed point.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

/// The rounded mean of the grey picture.
fn mean_grey(picture: &RgbImage) -> u8 {
    let sum: u64 = picture.pixels().map(|Rgb(colour)| u64::from(grey(*colour))).sum();
    let count = f64::from(picture.width()) * f64::from(picture.height());
    (sum as f64 / count + 0.5) as u8
}

/// Hue, saturation and value as bytes.
fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let (least, greatest) = (red.min(green).min(blue), red.max(green).max(blue));
    if least == greatest {
        return [0, 0, greatest];
    }
    let range = f32::from(greatest - least);
    let away = |colour: u8| f64::from(f32::from(greatest - colour) / range);
    let sector = if red == greatest {
        away(blue) - away(green)
    } else if green == greatest {
        2.0 + away(red) - away(blue)
    } else {
        4.0 + away(green) - away(red)
    };
    // Single precision in between, as there.
    let hue = (f64::from(sector as f32) / 6.0 + 1.0).fract() as f32;
    let saturation = range / f32::from(greatest);
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, greatest]
}

fn to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let place = f64::from(hue) * 6.0 / 255.0;
    let sector = place.floor();
    let within = place - sector;
    let saturation = f64::from(saturation) / 255.0;
    let shade = |darkness: f64| (f64::from(value) * (1.0 - darkness)).round() as u8;
    let (low, falling, rising) = (shade(saturation), shade(saturation * within), shade(saturation * (1.0 - within)));
    match sector as u8 % 6 {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    }
}

#[cfg(test)]
mod tests;

//! What happens to a picture before it is an image of the wanted size: crops, resizing, flip, colour jitter.
//!
//! Follows the published recipes (docs/method.md, "Recipes of the search" and "Recipes of the training"), which are
//! torchvision's transforms of Pillow's pictures. What is the same for all images of a batch, down to cutout, is done
//! by the batch (`assembly.rs`).

use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use image::imageops::{crop_imm, flip_horizontal_in_place};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::jitter::Jitter;
use super::placement::{PADDING, Placement};

/// Share of the area of a picture that a random crop takes.
const SCALE: std::ops::RangeInclusive<f64> = 0.08..=1.0;

/// Least and greatest ratio of width to height of a random crop.
const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

/// Random crops that are tried before the middle of the picture is taken.
const TRIES: usize = 10;

/// In evaluation the short side is 256 where the image is 224.
const MARGIN: [usize; 2] = [256, 224];

/// Random changes of training images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageAugmentation {
    /// The short side resized to the image's, and the middle taken, where the picture has another size.
    None,
    /// That, then 4 black pixels around it, a random crop of the old size, and a random flip.
    CropFlip,
    /// A random part of 0.08 to 1 of the area, of ratio 3:4 to 4:3, resized; a random flip; brightness, contrast,
    /// saturation (0.4 each) and hue (0.2) changed in random order. In evaluation the short side is resized to 256
    /// (for images of 224) and the middle taken.
    #[default]
    RandomResizedCrop,
}

/// A rectangle of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// A picture as an image of `size`, before the batch's part; `augmented` draws from `generator`.
pub(super) fn to_size(
    picture: RgbImage,
    size: usize,
    augmentation: ImageAugmentation,
    augmented: bool,
    generator: &mut impl Rng,
) -> RgbImage {
    let side = side(size);
    match augmentation {
        ImageAugmentation::RandomResizedCrop if augmented => random_resized_crop(&picture, side, generator),
        ImageAugmentation::RandomResizedCrop => centre(&picture, self::side(size * MARGIN[0] / MARGIN[1]), side),
        _ if picture.dimensions() == (side, side) => picture,
        _ => centre(&picture, side, side),
    }
}

/// Where an image goes within its batch: moved, flipped and cut where the augmentation says so.
pub(super) fn placement(
    picture: usize,
    size: usize,
    augmentation: ImageAugmentation,
    cutout: bool,
    generator: &mut impl Rng,
) -> Placement {
    let mut placement = Placement::unchanged(picture);
    if augmentation == ImageAugmentation::CropFlip {
        placement.top = generator.random_range(0..=2 * PADDING);
        placement.left = generator.random_range(0..=2 * PADDING);
        placement.flip = generator.random_bool(0.5);
    }
    if cutout {
        let size = size as i64;
        placement.cut = Some([generator.random_range(0..size), generator.random_range(0..size)]);
    }
    placement
}

fn random_resized_crop(picture: &RgbImage, side: u32, generator: &mut impl Rng) -> RgbImage {
    let area = random_area(picture.dimensions(), generator);
    let mut image = resize(picture, area, (side, side));
    if generator.random_bool(0.5) {
        flip_horizontal_in_place(&mut image);
    }
    Jitter::draw(generator).apply(&mut image);
    image
}

/// The part that a random resized crop takes of a picture (width, height).
fn random_area((width, height): (u32, u32), generator: &mut impl Rng) -> Area {
    let whole = f64::from(width) * f64::from(height);
    let [least, greatest] = RATIO.map(f64::ln);
    for _ in 0..TRIES {
        let wanted = whole * generator.random_range(SCALE);
        let ratio = generator.random_range(least..=greatest).exp();
        let crop = ((wanted * ratio).sqrt().round_ties_even(), (wanted / ratio).sqrt().round_ties_even());
        let (crop_width, crop_height) = (crop.0 as u32, crop.1 as u32);
        if (1..=width).contains(&crop_width) && (1..=height).contains(&crop_height) {
            let top = generator.random_range(0..=height - crop_height);
            let left = generator.random_range(0..=width - crop_width);
            return Area { left, top, width: crop_width, height: crop_height };
        }
    }
    middle_area((width, height))
}

/// The middle of a picture, as large as the ratios allow.
fn middle_area((width, height): (u32, u32)) -> Area {
    let ratio = f64::from(width) / f64::from(height);
    let (crop_width, crop_height) = if ratio < RATIO[0] {
        (width, (f64::from(width) / RATIO[0]).round_ties_even() as u32)
    } else if ratio > RATIO[1] {
        ((f64::from(height) * RATIO[1]).round_ties_even() as u32, height)
    } else {
        (width, height)
    };
    Area { left: (width - crop_width) / 2, top: (height - crop_height) / 2, width: crop_width, height: crop_height }
}

/// The middle of a picture whose short side was resized to `short`.
pub(super) fn centre(picture: &RgbImage, short: u32, side: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let long = |long: u32, of: u32| (u64::from(short) * u64::from(long) / u64::from(of)) as u32;
    let size = if width <= height { (short, long(height, width)) } else { (long(width, height), short) };
    let resized = resize(picture, Area { left: 0, top: 0, width, height }, size);
    let offset = |length: u32| (f64::from(length - side) / 2.0).round_ties_even() as u32;
    crop_imm(&resized, offset(size.0), offset(size.1), side, side).to_image()
}

/// A part of a picture in a new size (width, height): bilinear with antialiasing, as Pillow resizes. Pixels outside
/// the part have no influence.
pub(super) fn resize(picture: &RgbImage, area: Area, size: (u32, u32)) -> RgbImage {
    let (width, height) = picture.dimensions();
    let source = ImageRef::new(width, height, picture.as_raw(), PixelType::U8x3).expect("three bytes per pixel");
    let part = CroppedImage::new(&source, area.left, area.top, area.width, area.height)
        .expect("the part lies within the picture");
    let mut resized = Image::new(size.0, size.1, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&part, &mut resized, &options).expect("both have the same kind of pixels");
    RgbImage::from_raw(size.0, size.1, resized.into_vec()).expect("three bytes per pixel")
}

pub(super) fn side(size: usize) -> u32 {
    u32::try_from(size).expect("sizes were checked against their range")
}

#[cfg(test)]
mod tests;

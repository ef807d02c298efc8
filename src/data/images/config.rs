//! The section `[data.images]`: the size of pictures, what happens to them, and what is held out of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::augmentation::ImageAugmentation;
use crate::bounds;
use crate::data::split::HeldOut;
use crate::error::{Error, Result};

/// Sides of images that networks can take.
const SIZES: std::ops::RangeInclusive<usize> = 8..=1024;

/// `[data.images]`: how pictures become images of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageDataConfig {
    /// Height and width of the images that the network takes.
    pub size: usize,
    /// Random changes of training images.
    pub augmentation: ImageAugmentation,
    /// Side of the square that is cut out of training images; 0: none.
    pub cutout: usize,
    /// Mean of red, green and blue, of 1; subtracted.
    pub mean: [f64; 3],
    /// Standard deviation of red, green and blue; divided by.
    pub deviation: [f64; 3],
    /// Which training images are held out for validation; `data.validation` is their share.
    pub held_out: HeldOut,
    /// Augment what was held out too, also where it is only scored, with the same draws at every pass.
    pub augment_validation: bool,
}

impl Default for ImageDataConfig {
    /// The published recipe of ImageNet (docs/method.md, "Recipes of the training").
    fn default() -> Self {
        Self {
            size: 224,
            augmentation: ImageAugmentation::RandomResizedCrop,
            cutout: 0,
            mean: [0.485, 0.456, 0.406],
            deviation: [0.229, 0.224, 0.225],
            held_out: HeldOut::Stratified,
            augment_validation: false,
        }
    }
}

impl ImageDataConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        bounds::check("data.images.size", &self.size, &SIZES, "")?;
        if self.cutout > self.size {
            let expected = format!("at most data.images.size, {}", self.size);
            return Err(Error::invalid("data.images.cutout", expected, self.cutout.to_string()));
        }
        if !self.mean.iter().all(|value| (0.0..=1.0).contains(value)) {
            return Err(Error::invalid("data.images.mean", "three numbers from 0 to 1", format!("{:?}", self.mean)));
        }
        if !self.deviation.iter().all(|value| *value > 0.0 && *value <= 1.0) {
            let found = format!("{:?}", self.deviation);
            return Err(Error::invalid("data.images.deviation", "three numbers above 0, at most 1", found));
        }
        Ok(())
    }
}

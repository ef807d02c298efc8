//! The section `[image]` of a configuration: what only the image space has.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What stands before the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageStem {
    /// One convolution that keeps the resolution (32×32 pixels).
    Cifar,
    /// Three convolutions that each halve it (224×224 pixels).
    Imagenet,
}

/// `[image]`: stem and auxiliary head of image networks (REFERENCE section 5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageConfig {
    /// `cifar` or `imagenet`.
    pub stem: ImageStem,
    /// Channels of the `cifar` stem per channel of a node.
    pub stem_multiplier: i64,
    /// Whether a second head learns from the cell at two thirds of the stack; only training knows it.
    pub auxiliary: bool,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self { stem: ImageStem::Cifar, stem_multiplier: 3, auxiliary: false }
    }
}

impl ImageConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        if !(1..=64).contains(&self.stem_multiplier) {
            return Err(Error::invalid("image.stem_multiplier", "1 to 64", self.stem_multiplier.to_string()));
        }
        Ok(())
    }
}

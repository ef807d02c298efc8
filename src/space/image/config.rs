//! The section `[image]` of a configuration: what only the image space has.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stands before the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageStem {
    /// One convolution that keeps the resolution (32×32 pixels).
    Cifar,
    /// Three convolutions that each halve it (224×224 pixels).
    Imagenet,
}

impl ImageStem {
    /// The name of the first convolution's weight, and its stride.
    pub fn first_convolution(self) -> (&'static str, i64) {
        match self {
            Self::Cifar => ("stem.0.weight", 1),
            Self::Imagenet => ("stem0.0.weight", 2),
        }
    }
}

/// `[image]`: stem and auxiliary head of image networks (docs/method.md, "Networks").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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

    /// Whether networks take images of this height and width: every halving must come out even, and enough pixels
    /// must reach the auxiliary head.
    ///
    /// # Errors
    /// A side that won't do, by the key `data.images.size`.
    pub fn check_side(&self, side: usize) -> Result<()> {
        let (factor, least) = match self.stem {
            ImageStem::Cifar => (4, 32),
            ImageStem::Imagenet => (32, 224),
        };
        let refuse = |expected: String| Err(Error::invalid("data.images.size", expected, side.to_string()));
        if !side.is_multiple_of(factor) {
            return refuse(format!("a multiple of {factor}, which the stem and the reduction cells halve"));
        }
        if self.auxiliary && side < least {
            let told = refuse(format!("at least {least}, for the auxiliary head"));
            return told.map_err(|error| error.with_hint("enlarge the images, or set image.auxiliary = false"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_that_do_not_halve_evenly_or_starve_the_auxiliary_head_are_refused() {
        let config = |stem, auxiliary| ImageConfig { stem, auxiliary, ..ImageConfig::default() };
        for (stem, auxiliary, good, bad) in [
            (ImageStem::Cifar, false, 12, 14),
            (ImageStem::Cifar, true, 32, 28),
            (ImageStem::Imagenet, false, 96, 100),
            (ImageStem::Imagenet, true, 224, 192),
        ] {
            config(stem, auxiliary).check_side(good).unwrap();
            let message = config(stem, auxiliary).check_side(bad).unwrap_err().to_string();
            assert!(message.starts_with("data.images.size: expected ") && message.ends_with(&bad.to_string()));
        }
    }
}

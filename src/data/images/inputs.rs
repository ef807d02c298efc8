//! Pictures without classes, as the user names them, for prediction.
//!
//! Every picture is decoded once before anything is computed, so that bad ones are told at once, and again for its
//! batch, so that no more than the batches ahead lie in memory. It becomes an image as in evaluation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::ImageDataConfig;
use super::pictures::Pictures;
use super::{CHANNELS, Images, Preparation, decode};
use crate::data::family::SampleKind;
use crate::data::inputs::{InputNeeds, Read};
use crate::data::named::read_each;
use crate::error::Result;

/// Checks the pictures.
pub(super) fn read_inputs(
    kind: SampleKind,
    files: &[PathBuf],
    images: &ImageDataConfig,
    needs: InputNeeds,
) -> Result<Read> {
    let check = |path: &Path| decode::read(path).map(|_| path.to_owned());
    let (files, good) = read_each(kind, files, needs.skip_bad, check)?;
    // Nobody reads the label.
    let samples = (0..good.len()).map(|picture| (picture, 0)).collect();
    // One that turned bad since would be left out of its batch, and the others be taken for one another.
    let preparation = Preparation::new(images, false, needs.device);
    let pictures = Arc::new(Pictures::Files(good));
    let samples = Arc::new(Images { pictures, samples, preparation, always_augmented: false });
    Ok(Read { files, samples, channels: CHANNELS, points: None })
}

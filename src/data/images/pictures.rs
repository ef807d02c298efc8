//! The pictures of a set before they are images of one size: in memory, on the device, or a file each.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use image::RgbImage;
use rayon::prelude::*;
use tch::{Device, Tensor};

use super::augmentation::{centre, side};
use super::decode;
use crate::data::identity::add_files;
use crate::error::Result;
use crate::fingerprint::Fingerprint;

/// A set that was found and read, or listed.
#[derive(Debug)]
pub(super) struct PictureSet {
    /// Names of the classes, in the order of the labels.
    pub classes: Vec<String>,
    /// Where it comes from, in words.
    pub origin: String,
    pub train: Part,
    /// What chooses, where the set has a part for it.
    pub validation: Option<Part>,
    pub test: Part,
}

/// The training or the test pictures of a set.
#[derive(Debug)]
pub(super) struct Part<P = Pictures> {
    /// Class of every picture.
    pub labels: Vec<usize>,
    pub pictures: P,
}

/// Pictures in memory, all of one size.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Where each comes from.
    pub names: Vec<String>,
    /// Height and width.
    pub side: usize,
    /// Red, green and blue of every pixel, row by row (N, side, side, 3).
    pub bytes: Vec<u8>,
}

/// Where pictures are.
#[derive(Debug)]
pub(super) enum Pictures {
    /// In memory, and changed there one by one.
    Loaded(Loaded),
    /// On the device as bytes (N, side, side, 3), and changed there by the batch.
    Stored {
        /// Where each comes from.
        names: Vec<String>,
        /// A tensor may be sent between threads, but not shared.
        bytes: Mutex<Tensor>,
    },
    /// A file each, read at every access.
    Files(Vec<PathBuf>),
}

impl PictureSet {
    /// A set in memory.
    pub fn loaded(classes: Vec<String>, origin: String, train: Part<Loaded>, test: Part<Loaded>) -> Self {
        let wrap = |part: Part<Loaded>| Part { labels: part.labels, pictures: Pictures::Loaded(part.pictures) };
        Self { classes, origin, train: wrap(train), validation: None, test: wrap(test) }
    }
}

impl Loaded {
    /// The same pictures with this height and width.
    fn resized(self, size: usize) -> Self {
        if size == self.side {
            return self;
        }
        let resize = |index| centre(&self.picture(index), side(size), side(size)).into_raw();
        let bytes: Vec<Vec<u8>> = (0..self.names.len()).into_par_iter().map(resize).collect();
        Self { names: self.names, side: size, bytes: bytes.concat() }
    }

    fn picture(&self, index: usize) -> RgbImage {
        let length = self.side * self.side * 3;
        let picture = self.bytes[index * length..][..length].to_vec();
        RgbImage::from_raw(side(self.side), side(self.side), picture).expect("the bytes are those of the size")
    }
}

impl Pictures {
    /// Moves pictures in memory to the device, once resized to the wanted height and width.
    pub fn store(self, size: usize, device: Device) -> Result<Self> {
        match self {
            Self::Loaded(loaded) => {
                let Loaded { names, side, bytes } = loaded.resized(size);
                let shape = [names.len(), side, side, 3].map(|size| size as i64);
                let bytes = Tensor::f_from_slice(&bytes)?.f_view(shape)?.f_to_device(device)?;
                Ok(Self::Stored { names, bytes: Mutex::new(bytes) })
            }
            others => Ok(others),
        }
    }

    /// Where a picture comes from.
    pub fn name(&self, index: usize) -> &str {
        match self {
            Self::Loaded(Loaded { names, .. }) | Self::Stored { names, .. } => &names[index],
            Self::Files(paths) => paths[index].to_str().unwrap_or("a file whose name is not Unicode"),
        }
    }

    /// Takes in these pictures: their bytes, or of files what [`add_files`] takes.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn fingerprint(
        &self,
        indices: impl Iterator<Item = usize> + Clone,
        fingerprint: &mut Fingerprint,
    ) -> Result<()> {
        let stored;
        let (bytes, count) = match self {
            Self::Files(paths) => return add_files(fingerprint, indices.map(|index| paths[index].as_path())),
            Self::Loaded(Loaded { bytes, names, .. }) => (bytes, names.len()),
            Self::Stored { names, bytes } => {
                let bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner).to_device(Device::Cpu);
                stored = Vec::<u8>::try_from(bytes.flatten(0, -1))?;
                (&stored, names.len())
            }
        };
        let length = bytes.len() / count.max(1);
        indices.for_each(|index| fingerprint.bytes(&bytes[index * length..][..length]));
        Ok(())
    }

    /// All pictures as bytes (N, side, side, 3), where they are stored on the device.
    pub fn stored(&self) -> Option<Tensor> {
        match self {
            Self::Stored { bytes, .. } => Some(bytes.lock().unwrap_or_else(PoisonError::into_inner).shallow_clone()),
            Self::Loaded(_) | Self::Files(_) => None,
        }
    }

    /// One picture, of its own size; panics for those that are stored on the device.
    ///
    /// # Errors
    /// A file that can't be read or decoded.
    pub fn picture(&self, index: usize) -> Result<RgbImage> {
        match self {
            Self::Loaded(loaded) => Ok(loaded.picture(index)),
            Self::Files(paths) => decode::read(&paths[index]),
            Self::Stored { .. } => unreachable!("stored pictures are taken by the batch"),
        }
    }
}

//! Sets of pictures with a class each: found, read or listed, split, and made into batches of images of one size.
//!
//! Pictures in memory that have the wanted size already lie on the device as bytes and are changed there by the batch
//! (`assembly.rs`); all others are read, cut out and resized one by one on the processor (`augmentation.rs`), side by
//! side within a batch, and then take the same way. Splits and recipes: docs/method.md, "Recipes of the search" and
//! "Recipes of the training".

mod assembly;
pub mod augmentation;
mod cifar;
pub mod config;
mod decode;
mod family;
mod folder;
mod idx;
mod inputs;
mod jitter;
mod layout;
mod packed;
pub(super) mod parsers;
mod pictures;
mod placement;
mod solution;
mod survey;
mod synthetic;
mod synthetic_files;

use std::sync::Arc;

use image::RgbImage;
use rayon::prelude::*;
use tch::{Device, Tensor};

use assembly::{Finish, assemble};
use augmentation::{ImageAugmentation, placement, to_size};
use config::ImageDataConfig;
use layout::{LAYOUTS, Stored};
use pictures::{Part, PictureSet, Pictures};
use placement::Placement;

use super::checks::{check_classes, keep_good};
use super::config::Section;
use super::dataset::{Dataset, Targets, Variant};
use super::division::Lists;
use super::family::LoadNeeds;
use super::loader::{Access, Samples};
use super::source::Source;
use super::split::{HeldOut, Shares, Split, hold_out_last};
use super::synthetic::SyntheticConfig;
use crate::batch::{Batch, ImageBatch};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::tensor::bridge::device::upload;

pub use family::{CIFAR10, CIFAR100, FAMILY, IMAGENET, IMAGES};

/// Colours of a pixel.
const CHANNELS: i64 = 3;
/// Pictures below which a set is small: half of CIFAR-10's for training, which the usual recipe was published for.
const ENOUGH: usize = 25_000;

/// How pictures are looked at.
#[derive(Debug, Clone)]
struct Preparation {
    size: usize,
    augmentation: ImageAugmentation,
    cutout: bool,
    finish: Finish,
    device: Device,
    skip_bad: bool,
}

impl Preparation {
    fn new(images: &ImageDataConfig, skip_bad: bool, device: Device) -> Self {
        Self {
            size: images.size,
            augmentation: images.augmentation,
            cutout: images.cutout > 0,
            finish: Finish::from(images),
            device,
            skip_bad,
        }
    }
}

/// One split of a set of pictures, which gives images of one size.
#[derive(Debug)]
pub struct Images {
    pictures: Arc<Pictures>,
    /// Position among the pictures, and class, of every sample.
    samples: Vec<(usize, usize)>,
    preparation: Preparation,
    /// Augmented at every access, not in training alone.
    always_augmented: bool,
}

impl Images {
    fn is_augmented(&self, access: Access) -> bool {
        access.training || self.always_augmented
    }

    /// Out of the bytes (N, S, S, 3) that lie on the device.
    fn stored_batch(&self, bytes: &Tensor, indices: &[usize], access: Access) -> Result<Batch> {
        let place = |index: &usize| {
            let (picture, _) = self.samples[*index];
            self.place(picture, access, &mut access.key.at(access.key.epoch, *index as u64).generator())
        };
        let placements: Vec<Placement> = indices.iter().map(place).collect();
        self.finish(bytes, &placements, indices.iter().map(|index| self.samples[*index].1))
    }

    /// One by one, side by side; pictures that turn out to be bad are left out where the configuration says so.
    fn single_batch(&self, indices: &[usize], access: Access) -> Result<Batch> {
        let read = indices.par_iter().map(|index| Ok((self.image(*index, access)?, self.samples[*index].1)));
        let (images, _) = keep_good(read.collect(), self.preparation.skip_bad)?;
        if images.is_empty() {
            let first = indices.first().map_or("none", |index| self.name(*index));
            return Err(Error::run(format!("a batch of bad pictures alone, the first of them {first}")));
        }
        let size = self.preparation.size as i64;
        let bytes: Vec<&[u8]> = images.iter().map(|((image, _), _)| image.as_raw().as_slice()).collect();
        let bytes = Tensor::f_from_slice(&bytes.concat())?.f_view([-1, size, size, CHANNELS])?;
        let place = |(position, ((_, placement), _)): (usize, &((RgbImage, Placement), usize))| Placement {
            picture: position,
            ..*placement
        };
        let placements: Vec<Placement> = images.iter().enumerate().map(place).collect();
        let bytes = upload(&bytes, self.preparation.device);
        self.finish(&bytes, &placements, images.iter().map(|(_, label)| *label))
    }

    /// One image of the wanted size, and the batch's part in its augmentation.
    fn image(&self, index: usize, access: Access) -> Result<(RgbImage, Placement)> {
        let Preparation { size, augmentation, .. } = self.preparation;
        let mut generator = access.key.at(access.key.epoch, index as u64).generator();
        let (picture, _) = self.samples[index];
        let pixels = self.pictures.picture(picture)?;
        let image = to_size(pixels, size, augmentation, self.is_augmented(access), &mut generator);
        Ok((image, self.place(picture, access, &mut generator)))
    }

    fn place(&self, picture: usize, access: Access, generator: &mut impl rand::Rng) -> Placement {
        let Preparation { size, augmentation, cutout, .. } = self.preparation;
        if self.is_augmented(access) {
            placement(picture, size, augmentation, cutout, generator)
        } else {
            Placement::unchanged(picture)
        }
    }

    fn finish(&self, bytes: &Tensor, placements: &[Placement], labels: impl Iterator<Item = usize>) -> Result<Batch> {
        let labels: Vec<i64> = labels.map(|label| label as i64).collect();
        let images = assemble(bytes, placements, &self.preparation.finish)?;
        let labels = upload(&Tensor::f_from_slice(&labels)?, self.preparation.device);
        Ok(Batch::Images(ImageBatch { images, labels }))
    }
}

impl Samples for Images {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn name(&self, index: usize) -> &str {
        self.pictures.name(self.samples[index].0)
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(self.samples[index].1)
    }

    fn fingerprint(&self, fingerprint: &mut Fingerprint) -> Result<()> {
        self.pictures.fingerprint(self.samples.iter().map(|(picture, _)| *picture), fingerprint)
    }

    fn batch(&self, indices: &[usize], access: Access) -> Result<Batch> {
        match self.pictures.stored() {
            Some(bytes) => self.stored_batch(&bytes, indices, access),
            None => self.single_batch(indices, access),
        }
    }
}

/// Reads or lists, checks and splits a set. Of single files the headers are read; pixels are at every access.
fn load(source: &Source, section: Section<'_, &ImageDataConfig>, needs: &LoadNeeds) -> Result<Dataset> {
    let set = open(source, section.synthetic, &section.lists)?;
    let of = |split: Split, labels: &[usize]| labels.iter().map(move |label| (split, *label)).collect::<Vec<_>>();
    let all = [of(Split::Train, &set.train.labels), of(Split::Test, &set.test.labels)].concat();
    check_classes(all.into_iter(), &set.classes, &set.origin)?;
    divide(set, section.own, &section.lists, needs)
}

fn open(source: &Source, synthetic: &SyntheticConfig, lists: &Lists<'_>) -> Result<PictureSet> {
    let folder = match source {
        Source::Synthetic => return Ok(synthetic::generate(synthetic)),
        Source::Folder(folder) => folder,
    };
    match layout::find(folder) {
        Some((Stored::Cifar(format), path)) => cifar::read(&path, format),
        Some((Stored::Idx, path)) => idx::read(&path),
        Some((Stored::ClassFolders, path)) => folder::list(&path, lists),
        None => Err(Error::invalid(folder, LAYOUTS, "none of these")),
    }
}

fn divide(set: PictureSet, images: &ImageDataConfig, lists: &Lists<'_>, needs: &LoadNeeds) -> Result<Dataset> {
    let (shares, device) = (lists.shares, needs.device);
    let preparation = Preparation::new(images, lists.skip_bad, device);
    let prepare = |pictures: Pictures| -> Result<Arc<Pictures>> {
        // What draws a part of every picture anew can't be done by the batch.
        let one_by_one = images.augmentation == ImageAugmentation::RandomResizedCrop;
        Ok(Arc::new(if one_by_one { pictures } else { pictures.store(images.size, device)? }))
    };
    let in_order = matches!(set.train.pictures, Pictures::Loaded(_));
    let used = shares.used(&set.train.labels).into_iter();
    let samples: Vec<(usize, usize)> = used.map(|picture| (picture, set.train.labels[picture])).collect();
    let mut marks = match &set.validation {
        // The set's own part replaces a share.
        Some(_) => vec![false; samples.len()],
        None => held_out(&samples, in_order, images.held_out, shares, needs.seed)?,
    }
    .into_iter();
    let part = |pictures: &Arc<Pictures>, samples: Vec<(usize, usize)>, always_augmented| -> Arc<dyn Samples> {
        Arc::new(Images { pictures: Arc::clone(pictures), samples, preparation: preparation.clone(), always_augmented })
    };
    let (held, train): (Vec<_>, Vec<_>) = samples.into_iter().partition(|_| marks.next().expect("one mark per sample"));
    let pictures = prepare(set.train.pictures)?;
    let whole = |part_of: Part, always_augmented| -> Result<Arc<dyn Samples>> {
        let samples = part_of.labels.into_iter().enumerate().collect();
        Ok(part(&prepare(part_of.pictures)?, samples, always_augmented))
    };
    let validation = match set.validation {
        Some(own) => Some(whole(own, images.augment_validation)?),
        None => (!held.is_empty()).then(|| part(&pictures, held, images.augment_validation)),
    };
    let variant = variant(train.len() + validation.as_ref().map_or(0, |samples| samples.len()));
    Ok(Dataset {
        train: part(&pictures, train, false),
        validation,
        test: whole(set.test, false)?,
        classes: set.classes,
        targets: Targets::Classes,
        unit: "samples",
        channels: CHANNELS,
        origin: set.origin,
        variant,
    })
}

/// The recipe that suits so many pictures for training and validation better than the usual one, if any does.
fn variant(pictures: usize) -> Option<Variant> {
    Variant::small(pictures, ENOUGH, FAMILY.plural)
}

/// Which of the training samples are held out for validation; `in_order` where their order is not that of classes.
fn held_out(samples: &[(usize, usize)], in_order: bool, how: HeldOut, shares: Shares, seed: u64) -> Result<Vec<bool>> {
    let labels: Vec<usize> = samples.iter().map(|(_, label)| *label).collect();
    match how {
        HeldOut::Last if !in_order && shares.validation > 0.0 => {
            let expected = "stratified, for files in the order of their classes";
            Err(Error::invalid("data.images.held_out", expected, "last"))
        }
        HeldOut::Last => Ok(hold_out_last(labels.len(), shares.validation)),
        HeldOut::Stratified => Ok(shares.held_out(&labels, seed)),
    }
}

//! Sets of shapes, clouds and meshes, with a class each: read, checked, split, and made into batches of points.
//!
//! Formats, layouts and the sampling of one shape have files of their own. Splits: docs/method.md, "Recipes of the search".

pub mod augmentation;
mod class_folder;
pub(super) mod clouds;
pub(super) mod colours;
pub(super) mod config;
mod family;
pub(super) mod features;
pub(super) mod format;
mod hdf5_set;
mod inputs;
pub(super) mod intake;
mod item;
mod layout;
pub(super) mod parsers;
mod set;
pub(super) mod shape;
mod surface;
mod survey;
pub mod synthetic;
mod synthetic_files;
mod taxonomy;

use std::sync::Arc;

use tch::Tensor;

use augmentation::augment;
use clouds::{Clouds, Preparation};
use colours::{ColorRange, Noticed};
use config::Hdf5DataConfig;
use set::ShapeSet;
use shape::{Reading, Shape};

use super::checks::{check_classes, keep_good};
use super::config::Section;
use super::dataset::{Dataset, Targets, Variant};
use super::family::LoadNeeds;
use super::loader::{Access, Samples};
use super::source::Source;
use super::split::{Shares, Split};
use crate::batch::{Batch, PointBatch};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;

pub(super) use format::known_extensions;
pub(crate) use format::unpack_where_asked;

pub use family::{FAMILY, MODELNET10, MODELNET40, POINTS};

/// Shapes below which a set is small: about half of ModelNet40's for training, which the usual recipe was published for.
const ENOUGH: usize = 5_000;

/// A shape with its file and class.
#[derive(Debug)]
struct Sample {
    name: String,
    label: usize,
    shape: Shape,
}

/// One split of a set of shapes, which gives clouds of one size.
#[derive(Debug)]
pub struct PointClouds {
    samples: Vec<Sample>,
    preparation: Preparation,
}

impl PointClouds {
    /// Appends the points of a shape, chosen and augmented for this access by the stream of this number.
    fn prepare(&self, index: usize, stream: u64, access: Access, out: &mut Vec<f32>) {
        let Preparation { points, channels, normals, order, augmentation } = self.preparation;
        let mut generator = access.key.at(access.key.epoch, stream).generator();
        let start = out.len();
        self.samples[index].shape.sample(points, order, &mut generator, out);
        if access.training {
            augment(&mut out[start..], channels, normals, augmentation, &mut generator);
        }
    }

    /// The batch of these samples, each with the number of its stream.
    fn gather(&self, picks: &[(usize, u64)], access: Access) -> Result<Batch> {
        let Preparation { points, channels, .. } = self.preparation;
        let mut values = Vec::with_capacity(picks.len() * points * channels);
        for (index, stream) in picks {
            self.prepare(*index, *stream, access, &mut values);
        }
        let labels: Vec<i64> = picks.iter().map(|(index, _)| self.samples[*index].label as i64).collect();
        let shape = [picks.len(), points, channels].map(|size| size as i64);
        let points = Tensor::f_from_slice(&values)?.f_view(shape)?;
        Ok(Batch::Points(PointBatch { points, labels: Tensor::f_from_slice(&labels)? }))
    }
}

impl Samples for PointClouds {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.samples[index].name
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(self.samples[index].label)
    }

    fn fingerprint(&self, fingerprint: &mut Fingerprint) -> Result<()> {
        self.samples.iter().for_each(|sample| sample.shape.fingerprint(fingerprint));
        Ok(())
    }

    fn batch(&self, indices: &[usize], access: Access) -> Result<Batch> {
        let picks: Vec<(usize, u64)> = indices.iter().map(|index| (*index, *index as u64)).collect();
        self.gather(&picks, access)
    }
}

/// Reads, checks, normalises and splits a set.
fn load(
    source: &Source,
    section: Section<'_, Clouds>,
    hdf5: &Hdf5DataConfig,
    needs: &LoadNeeds,
) -> Result<(Dataset, Clouds)> {
    check_points(section.own.points, needs.minimum_points)?;
    let set = ShapeSet::open(source, &section, hdf5)?;
    let mut clouds = section.own.normalized(set.usual);
    let reading = Reading::of(&clouds, needs.minimum_points);
    let read = set.shapes.map(&reading.intake, |item, raw| {
        let shape = raw.and_then(|raw| Shape::new(raw, &item.name, &reading))?;
        Ok((item.split, Sample { name: item.name, label: item.label, shape }))
    });
    let (mut samples, skipped) = keep_good(read, section.lists.skip_bad)?;
    let shapes = samples.iter_mut().map(|(_, sample)| &mut sample.shape);
    clouds.color_range = divide_colours(shapes.collect(), &clouds, &set.origin)?;
    let origin = if skipped > 0 { format!("{}, {skipped} bad files skipped", set.origin) } else { set.origin };
    warn_of_repeated_points(samples.iter().map(|(_, sample)| sample), clouds.points);
    check_classes(samples.iter().map(|(split, sample)| (*split, sample.label)), &set.classes, &origin)?;
    let dataset = divide(samples, set.classes, origin, clouds.preparation(), section.lists.shares, needs.seed);
    Ok((dataset, clouds))
}

/// Brings the colours of all shapes to 0..1, and says what was noticed in their files; gives what the colours' range
/// came to.
fn divide_colours(mut shapes: Vec<&mut Shape>, clouds: &Clouds, origin: &str) -> Result<ColorRange> {
    let (configured, features) = (clouds.color_range, &clouds.features);
    let noticed = Noticed::sum(shapes.iter().map(|shape| &shape.noticed));
    let range = if features.have_colours() { noticed.settle(configured, origin)? } else { configured };
    noticed.log(range, features);
    let division = noticed.division(range);
    shapes.iter_mut().for_each(|shape| shape.divide_colours(division));
    Ok(range)
}

/// Whether a network takes the clouds of this configuration.
///
/// # Errors
/// Fewer points per cloud than the network takes.
pub(super) fn check_points(points: usize, minimum_points: usize) -> Result<()> {
    if points >= minimum_points {
        return Ok(());
    }
    let expected = format!("at least {minimum_points}, the k · dilation of the network");
    Err(Error::invalid("data.points", expected, points.to_string()))
}

fn warn_of_repeated_points<'a>(samples: impl ExactSizeIterator<Item = &'a Sample>, points: usize) {
    let all = samples.len();
    let stored = samples.filter_map(|sample| Some((sample.shape.points()?, &sample.name)));
    let small: Vec<(usize, &String)> = stored.filter(|(stored, _)| *stored < points).collect();
    if let Some((least, smallest)) = small.iter().min() {
        let count = small.len();
        tracing::warn!(
            "{count} of {all} clouds have fewer than data.points = {points} points (the smallest, {smallest}, {least}): \
             their points are repeated"
        );
    }
}

/// The recipe that suits so many shapes for training and validation better than the usual one, if any does.
fn variant(shapes: usize) -> Option<Variant> {
    Variant::small(shapes, ENOUGH, FAMILY.plural)
}

fn divide(
    samples: Vec<(Split, Sample)>,
    classes: Vec<String>,
    origin: String,
    preparation: Preparation,
    shares: Shares,
    seed: u64,
) -> Dataset {
    let mut parts: [Vec<Sample>; 3] = Default::default();
    samples.into_iter().for_each(|(split, sample)| parts[split as usize].push(sample));
    let [train, mut held_out, test] = parts;
    let labels = |train: &[Sample]| train.iter().map(|sample| sample.label).collect::<Vec<_>>();
    let mut used = shares.used(&labels(&train)).into_iter().peekable();
    let train = train.into_iter().enumerate().filter(|(index, _)| used.next_if_eq(index).is_some());
    let mut train: Vec<Sample> = train.map(|(_, sample)| sample).collect();
    if held_out.is_empty() {
        let mut marks = shares.held_out(&labels(&train), seed).into_iter();
        (held_out, train) = train.into_iter().partition(|_| marks.next().expect("one mark per shape"));
    }
    let wrap = |samples: Vec<Sample>| -> Arc<dyn Samples> { Arc::new(PointClouds { samples, preparation }) };
    let variant = variant(train.len() + held_out.len());
    Dataset {
        train: wrap(train),
        validation: (!held_out.is_empty()).then(|| wrap(held_out)),
        test: wrap(test),
        classes,
        targets: Targets::Classes,
        unit: "samples",
        channels: preparation.channels as i64,
        origin,
        variant,
    }
}

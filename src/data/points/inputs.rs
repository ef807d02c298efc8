//! Shapes without classes, as the user names them, for prediction.
//!
//! Every file draws its points from the same streams. So the points of a shape follow from its file, the
//! configuration and the run's seed alone, not from the other files or their order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::augmentation::{Normalization, PointOrder};
use super::clouds::{Clouds, Preparation};
use super::shape::{Reading, Shape};
use super::{PointClouds, Sample, check_points, divide_colours, warn_of_repeated_points};
use crate::batch::Batch;
use crate::data::family::SampleKind;
use crate::data::inputs::{InputNeeds, Read};
use crate::data::loader::{Access, Samples};
use crate::data::named::read_each;
use crate::error::Result;
use crate::fingerprint::Fingerprint;

/// The greatest absolute coordinate of published sets that come normalised; they are rounded.
const UNIT: f32 = 1.001;

/// Reads, checks and normalises the shapes.
pub(super) fn read_inputs(
    kind: SampleKind,
    files: &[PathBuf],
    clouds: Clouds,
    needs: InputNeeds,
) -> Result<(Read, Clouds)> {
    check_points(clouds.points, needs.minimum_points)?;
    let mut clouds = clouds.normalized(Normalization::Cube);
    let reading = Reading::of(&clouds, needs.minimum_points);
    let (files, mut samples) = read_each(kind, files, needs.skip_bad, |path| read_one(path, &reading))?;
    let shapes = samples.iter_mut().map(|sample| &mut sample.shape).collect();
    clouds.color_range = divide_colours(shapes, &clouds, "the files")?;
    warn_of_repeated_points(samples.iter(), clouds.points);
    if clouds.normalize == Normalization::None {
        warn_of_other_sizes(&samples);
    }
    let order = if needs.draws > 1 { PointOrder::Random } else { clouds.order };
    let preparation = Preparation { order, ..clouds.preparation() };
    let draws = Draws { clouds: PointClouds { samples, preparation }, draws: needs.draws };
    let channels = preparation.channels as i64;
    Ok((Read { files, samples: Arc::new(draws), channels, points: None }, clouds))
}

/// Nobody reads the label.
fn read_one(path: &Path, reading: &Reading) -> Result<Sample> {
    let name = path.display().to_string();
    let shape = reading.intake.read(path).and_then(|raw| Shape::new(raw, &name, reading))?;
    Ok(Sample { name, label: 0, shape })
}

/// A network that learned from clouds of unit size takes a cloud in millimetres for nothing it knows.
fn warn_of_other_sizes(samples: &[Sample]) {
    let beyond = samples.iter().filter(|sample| sample.shape.reach() > UNIT);
    let count = beyond.clone().count();
    if let Some(furthest) = beyond.max_by(|one, other| one.shape.reach().total_cmp(&other.shape.reach())) {
        tracing::warn!(
            "{count} of {} shapes reach beyond coordinates of 1 (the furthest, {}, {}) and are taken as stored, as the \
             run's were (data.normalize = none); if those were of unit size, as the HDF5 sets are, add \
             --set data.normalize=cube",
            samples.len(),
            furthest.name,
            furthest.shape.reach()
        );
    }
}

/// Clouds, each several times with points of its own.
#[derive(Debug)]
struct Draws {
    clouds: PointClouds,
    draws: usize,
}

impl Samples for Draws {
    fn len(&self) -> usize {
        self.clouds.len() * self.draws
    }

    fn name(&self, index: usize) -> &str {
        self.clouds.name(index / self.draws)
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.clouds.label(index / self.draws)
    }

    fn fingerprint(&self, fingerprint: &mut Fingerprint) -> Result<()> {
        self.clouds.fingerprint(fingerprint)
    }

    /// The stream is that of the draw, the same for every cloud.
    fn batch(&self, indices: &[usize], access: Access) -> Result<Batch> {
        let picks = indices.iter().map(|index| (index / self.draws, (index % self.draws) as u64));
        self.clouds.gather(&picks.collect::<Vec<_>>(), access)
    }
}

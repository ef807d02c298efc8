//! Point clouds in memory: checked, normalised, split, and made into batches.
//!
//! Formats are read elsewhere; here stands what all of them must satisfy. Normalisation and splits are
//! REFERENCE sections 3 and 4.

pub mod augmentation;
mod class_folder;
mod format;
mod modelnet_hdf5;
pub mod synthetic;

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use tch::Tensor;

use super::config::DataConfig;
use super::loader::{Access, Samples};
use super::source::{Layout, Source};
use super::split::{Split, hold_out};
use crate::batch::{Batch, PointBatch};
use crate::error::{Error, Result};
use crate::tensor::random::{Key, Purpose};
use augmentation::{Augmentation, CHANNELS, Normalization, PointOrder, augment, choose_points, fit_into_cube};

/// One cloud as its file stores it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cloud {
    /// Coordinates, three per point.
    pub coordinates: Vec<f32>,
    /// Position of its class in the list of classes.
    pub label: usize,
    /// File, and position in the file, for messages.
    pub name: String,
}

impl Cloud {
    fn len(&self) -> usize {
        self.coordinates.len() / CHANNELS
    }
}

/// What a reader of a format gives.
#[derive(Debug)]
pub(super) struct Stored {
    pub classes: Vec<String>,
    pub train: Vec<Cloud>,
    pub test: Vec<Cloud>,
}

/// How clouds are looked at.
#[derive(Debug, Clone, Copy)]
struct Preparation {
    points: usize,
    order: PointOrder,
    augmentation: Augmentation,
}

/// One split of a set of point clouds.
#[derive(Debug)]
pub struct PointClouds {
    classes: Vec<String>,
    clouds: Vec<Cloud>,
    preparation: Preparation,
}

impl PointClouds {
    /// Class of every cloud, as positions in [`Samples::classes`].
    pub fn labels(&self) -> impl ExactSizeIterator<Item = usize> {
        self.clouds.iter().map(|cloud| cloud.label)
    }

    /// The file that holds cloud `index`, and where in it.
    pub fn name(&self, index: usize) -> &str {
        &self.clouds[index].name
    }

    /// Appends the cloud's points, chosen and augmented for this access.
    fn prepare(&self, index: usize, access: Access, coordinates: &mut Vec<f32>) {
        let stored = &self.clouds[index].coordinates.as_chunks::<CHANNELS>().0;
        let mut generator = access.key.at(access.key.epoch, index as u64).generator();
        let Preparation { points, order, augmentation } = self.preparation;
        let start = coordinates.len();
        let chosen = choose_points(stored.len(), points, order, &mut generator);
        coordinates.extend(chosen.iter().flat_map(|point| stored[*point]));
        if access.training {
            augment(&mut coordinates[start..], augmentation, &mut generator);
        }
    }
}

impl Samples for PointClouds {
    fn len(&self) -> usize {
        self.clouds.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn batch(&self, indices: &[usize], access: Access) -> Result<Batch> {
        let points = self.preparation.points;
        let mut coordinates = Vec::with_capacity(indices.len() * points * CHANNELS);
        for index in indices {
            self.prepare(*index, access, &mut coordinates);
        }
        let labels: Vec<i64> = indices.iter().map(|index| self.clouds[*index].label as i64).collect();
        let shape = [indices.len(), points, CHANNELS].map(|size| size as i64);
        let points = Tensor::f_from_slice(&coordinates)?.f_view(shape)?;
        Ok(Batch::Points(PointBatch { points, labels: Tensor::f_from_slice(&labels)? }))
    }
}

/// A set of point clouds with its splits.
#[derive(Debug)]
pub struct PointDataset {
    /// What weights are trained on.
    pub train: Arc<PointClouds>,
    /// What was held out of the training data, where a share was asked for.
    pub validation: Option<Arc<PointClouds>>,
    /// The set's own test data.
    pub test: Arc<PointClouds>,
    /// `none` or `cube`: what was applied, to be kept with the run.
    pub normalization: Normalization,
    origin: String,
}

impl PointDataset {
    /// The split, where there is one.
    pub fn split(&self, split: Split) -> Option<&Arc<PointClouds>> {
        match split {
            Split::Train => Some(&self.train),
            Split::Validation => self.validation.as_ref(),
            Split::Test => Some(&self.test),
        }
    }

    /// The names of the classes, in the order of the labels.
    pub fn classes(&self) -> &[String] {
        self.train.classes()
    }

    /// One line: where the clouds come from and how many there are; synthetic data says that it is.
    pub fn description(&self) -> String {
        let held_out = self.validation.as_ref().map_or(0, |clouds| clouds.len());
        let (classes, train, test) = (self.classes().len(), self.train.len(), self.test.len());
        format!("{}: {classes} classes, {train} training, {held_out} validation, {test} test clouds", self.origin)
    }
}

/// Reads, checks, normalises and splits a set. `seed` decides which clouds are held out; `minimum_points` is
/// what the network needs of a cloud (k · dilation).
///
/// # Errors
/// Files that can't be read or aren't what they should be, coordinates that aren't finite, clouds of fewer than
/// `minimum_points` points, classes without clouds: with file and point.
pub fn load(source: &Source, config: &DataConfig, seed: u64, minimum_points: usize) -> Result<PointDataset> {
    if config.points < minimum_points {
        let expected = format!("at least {minimum_points}, the k · dilation of the network");
        return Err(Error::invalid("data.points", expected, config.points.to_string()));
    }
    let (mut stored, normalization, origin) = read(source, config)?;
    check_classes(&stored, &origin)?;
    for cloud in stored.train.iter().chain(&stored.test) {
        check_cloud(cloud, minimum_points)?;
    }
    if normalization == Normalization::Cube {
        stored.train.par_iter_mut().chain(&mut stored.test).try_for_each(normalize)?;
    }
    warn_of_repeated_points(&stored, config.points);
    Ok(divide(stored, config, seed, normalization, origin))
}

fn read(source: &Source, config: &DataConfig) -> Result<(Stored, Normalization, String)> {
    let (stored, usual) = match source {
        Source::Synthetic => (synthetic::generate(&config.synthetic, config.points), Normalization::Cube),
        Source::Folder(folder) => read_folder(folder)?,
    };
    let normalization = if config.normalize == Normalization::Auto { usual } else { config.normalize };
    let origin = match source {
        Source::Synthetic => "synthetic solids (built in, not real data)".to_owned(),
        Source::Folder(folder) => folder.display().to_string(),
    };
    Ok((stored, normalization, origin))
}

fn read_folder(folder: &Path) -> Result<(Stored, Normalization)> {
    match Layout::detect(folder) {
        Some(Layout::ModelNetHdf5) => Ok((modelnet_hdf5::read(folder)?, Normalization::None)),
        Some(Layout::ClassFolders) => Ok((class_folder::read(folder)?, Normalization::Cube)),
        None => Err(Error::invalid(
            folder.display().to_string(),
            "ply_data_train*.h5 files or folders <class>/{train,test}",
            "neither",
        )),
    }
}

fn check_classes(stored: &Stored, origin: &str) -> Result<()> {
    for (split, clouds) in [(Split::Train, &stored.train), (Split::Test, &stored.test)] {
        let mut counts = vec![0_usize; stored.classes.len()];
        for cloud in clouds {
            counts[cloud.label] += 1;
        }
        if let Some(empty) = counts.iter().position(|count| *count == 0) {
            let place = format!("{origin}: {} split of class {}", split.name(), stored.classes[empty]);
            return Err(Error::invalid(place, "at least one cloud", "none")
                .with_hint("add clouds of this class, or remove the class from both splits"));
        }
    }
    Ok(())
}

fn check_cloud(cloud: &Cloud, minimum_points: usize) -> Result<()> {
    let minimum = minimum_points.max(1);
    if cloud.len() < minimum {
        let found = format!("{} points", cloud.len());
        return Err(Error::invalid(&cloud.name, format!("at least {minimum} points (k · dilation)"), found)
            .with_hint("leave this cloud out, sample it more densely, or lower k or the number of cells"));
    }
    if let Some(position) = cloud.coordinates.iter().position(|value| !value.is_finite()) {
        let place = format!("{}, point {}", cloud.name, position / CHANNELS);
        return Err(Error::invalid(place, "finite coordinates", cloud.coordinates[position].to_string())
            .with_hint("points are counted from 0; remove this point from the file"));
    }
    Ok(())
}

fn normalize(cloud: &mut Cloud) -> Result<()> {
    if fit_into_cube(&mut cloud.coordinates) {
        return Ok(());
    }
    Err(Error::invalid(&cloud.name, "a cloud with some extent", "points that all coincide"))
}

fn warn_of_repeated_points(stored: &Stored, points: usize) {
    let clouds = || stored.train.iter().chain(&stored.test);
    let small = clouds().filter(|cloud| cloud.len() < points);
    if let Some(smallest) = small.clone().min_by_key(|cloud| cloud.len()) {
        let (count, all, least) = (small.count(), clouds().count(), smallest.len());
        tracing::warn!(
            "{count} of {all} clouds have fewer than data.points = {points} points (the smallest, {}, {least}): \
             their points are repeated",
            smallest.name
        );
    }
}

fn divide(
    stored: Stored,
    config: &DataConfig,
    seed: u64,
    normalization: Normalization,
    origin: String,
) -> PointDataset {
    let preparation = Preparation { points: config.points, order: config.order, augmentation: config.augmentation };
    let classes = stored.classes;
    let wrap = |clouds| Arc::new(PointClouds { classes: classes.clone(), clouds, preparation });
    let labels: Vec<usize> = stored.train.iter().map(|cloud| cloud.label).collect();
    let mut is_held_out = hold_out(&labels, config.validation, Key::new(seed, Purpose::Split)).into_iter();
    let (held_out, train): (Vec<_>, Vec<_>) =
        stored.train.into_iter().partition(|_| is_held_out.next().expect("one mark per cloud"));
    PointDataset {
        train: wrap(train),
        validation: (!held_out.is_empty()).then(|| wrap(held_out)),
        test: wrap(stored.test),
        normalization,
        origin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(coordinates: &[f32]) -> Cloud {
        Cloud { coordinates: coordinates.to_vec(), label: 0, name: "a.pcd".into() }
    }

    #[test]
    fn a_coordinate_that_is_not_finite_is_named_by_file_and_point() {
        let error = check_cloud(&cloud(&[0.0, 0.0, 0.0, 1.0, f32::NAN, 1.0]), 1).unwrap_err();
        assert_eq!(error.to_string(), "a.pcd, point 1: expected finite coordinates, found NaN");
        let error = check_cloud(&cloud(&[f32::INFINITY, 0.0, 0.0]), 1).unwrap_err();
        assert_eq!(error.to_string(), "a.pcd, point 0: expected finite coordinates, found inf");
    }

    #[test]
    fn clouds_below_the_networks_need_are_refused() {
        let error = check_cloud(&cloud(&[0.0; 6]), 3).unwrap_err();
        assert_eq!(error.to_string(), "a.pcd: expected at least 3 points (k · dilation), found 2 points");
        assert!(check_cloud(&cloud(&[]), 0).is_err());
    }

    #[test]
    fn a_class_without_clouds_is_named() {
        let stored = Stored {
            classes: vec!["bed".into(), "chair".into()],
            train: vec![cloud(&[0.0; 3])],
            test: vec![cloud(&[0.0; 3])],
        };
        let message = check_classes(&stored, "set").unwrap_err().to_string();
        assert_eq!(message, "set: train split of class chair: expected at least one cloud, found none");
    }
}

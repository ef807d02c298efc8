//! Clouds without classes, as the user names them, for prediction: every point of every file gets a class.
//!
//! Which points make a group follows from a cloud's size and the configuration alone, not from the other files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cloud::{Cloud, Cut, divide_colours};
use super::labels::IGNORED;
use super::set::reading;
use super::shapenet::name_normals;
use super::{Preparation, Scenes};
use crate::data::config::DataConfig;
use crate::data::inputs::{InputFile, InputNeeds, read_each};
use crate::data::kind::SampleKind;
use crate::data::loader::Samples;
use crate::data::points::augmentation::Normalization;
use crate::data::points::check_points;
use crate::data::points::features::AXES;
use crate::error::Result;

/// Files that were named, and the groups of points of the good ones.
pub struct SceneInputs {
    /// Every file, in the order named.
    pub files: Vec<InputFile>,
    /// The positions of the points as each file without an error stores them, in the same order; those that are left out
    /// because a number of theirs is not finite are among them, and in no sample.
    pub positions: Vec<Vec<[f64; 3]>>,
    /// Numbers per point that the network takes.
    pub channels: i64,
    samples: Arc<Scenes>,
    /// Of every cloud the good file that it is of, and where in the file its points are.
    places: Vec<(usize, Vec<u32>)>,
}

impl SceneInputs {
    /// Groups of points; a cloud of more than `data.points` has several.
    pub fn samples(&self) -> Arc<dyn Samples> {
        Arc::clone(&self.samples) as Arc<dyn Samples>
    }

    /// The good file that a sample is of, and where in the file its points are, in the order of the batch. The sample's
    /// further points are repeated ones.
    pub fn rows(&self, sample: usize) -> (usize, Vec<u32>) {
        let (file, rows) = &self.places[self.samples.groups[sample].0];
        let (points, counted) = self.samples.group(sample);
        (*file, points[..counted].iter().map(|point| rows[*point as usize]).collect())
    }
}

/// Reads, checks, cuts and normalises the clouds as those of a set; labels that are there too are passed over. Writes into
/// `config` what its `normalize = "auto"` came to.
///
/// # Errors
/// Unless they may be skipped, the first file that can't be read or isn't what it should be; fewer points per sample than
/// the network needs.
pub fn read_scenes(files: &[PathBuf], config: &mut DataConfig, needs: InputNeeds) -> Result<SceneInputs> {
    check_points(config, needs.minimum_points)?;
    if config.normalize == Normalization::Auto {
        config.normalize = Normalization::Cube;
    }
    let reading = reading(config)?;
    let read = |path: &Path| {
        let place = path.display().to_string();
        let mut raw = reading.intake.read(path)?;
        if reading.features.normals().is_some() {
            name_normals(&mut raw);
        }
        let column = |axis: &str| raw.columns.iter().find(|(name, _)| name == axis).map(|(_, values)| values.clone());
        let [x, y, z] = AXES.map(|axis| column(axis).unwrap_or_default());
        let positions: Vec<[f64; 3]> = x.into_iter().zip(y).zip(z).map(|((x, y), z)| [x, y, z]).collect();
        let unlabelled = vec![IGNORED; raw.columns.first().map_or(0, |(_, values)| values.len())];
        Ok((positions, reading.cut(raw, &unlabelled, &place)?))
    };
    let (files, mut read) = read_each(SampleKind::Scenes, files, needs.skip_bad, read)?;
    let mut cut: Vec<&mut [Cloud]> = read.iter_mut().map(|(_, cut)| cut.clouds.as_mut_slice()).collect();
    let (range, noticed) = divide_colours(&mut cut, config.color_range, &reading.features, "the files")?;
    noticed.log(range, &reading.features);
    config.color_range = range;
    let (mut all, mut clouds, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (file, (positions, Cut { clouds: cut, rows })) in read.into_iter().enumerate() {
        places.extend(cut.iter().map(|cloud: &Cloud| (file, rows[cloud.rows.clone()].to_vec())));
        clouds.extend(cut);
        all.push(positions);
    }
    let channels = reading.features.channels() as i64;
    let samples = Arc::new(Scenes::new(clouds, Preparation::new(config, &reading.features)));
    Ok(SceneInputs { files, positions: all, channels, samples, places })
}

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
use crate::data::family::SampleKind;
use crate::data::inputs::{InputNeeds, InputPoints, Inputs};
use crate::data::loader::Samples;
use crate::data::named::read_each;
use crate::data::points::augmentation::Normalization;
use crate::data::points::check_points;
use crate::data::points::features::AXES;
use crate::error::Result;

/// Reads, checks, cuts and normalises the clouds as those of a set; labels that are there too are passed over.
pub(super) fn read_inputs(
    kind: SampleKind,
    files: &[PathBuf],
    config: &DataConfig,
    needs: InputNeeds,
) -> Result<Inputs> {
    check_points(config.points, needs.minimum_points)?;
    let config = DataConfig { normalize: config.normalize.or(Normalization::Cube), ..config.clone() };
    let reading = reading(&config)?;
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
    let (files, mut read) = read_each(kind, files, needs.skip_bad, read)?;
    let mut cut: Vec<&mut [Cloud]> = read.iter_mut().map(|(_, cut)| cut.clouds.as_mut_slice()).collect();
    let (color_range, noticed) = divide_colours(&mut cut, config.color_range, &reading.features, "the files")?;
    noticed.log(color_range, &reading.features);
    let config = DataConfig { color_range, ..config };
    let (mut all, mut clouds, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (file, (positions, Cut { clouds: cut, rows })) in read.into_iter().enumerate() {
        places.extend(cut.iter().map(|cloud: &Cloud| (file, rows[cloud.rows.clone()].to_vec())));
        clouds.extend(cut);
        all.push(positions);
    }
    let channels = reading.features.channels() as i64;
    let samples = Scenes::new(clouds, Preparation::new(&config, &reading.features));
    // Points that fill up a group are no points of the file.
    let rows = |sample: usize| {
        let (file, rows) = &places[samples.groups[sample].0];
        let (points, counted) = samples.group(sample);
        (*file, points[..counted].iter().map(|point| rows[*point as usize]).collect())
    };
    let points = Some(InputPoints { positions: all, rows: (0..samples.len()).map(rows).collect() });
    Ok(Inputs { files, samples: Arc::new(samples), channels, points, config })
}

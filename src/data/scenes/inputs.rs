//! Clouds without classes, as the user names them, for prediction: every point of every file gets a class.
//!
//! Which points make a group follows from a cloud's size and the configuration alone, not from the other files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Scenes;
use super::cloud::{Cloud, Cut, divide_colours};
use super::labels::IGNORED;
use super::set::Resolved;
use super::shapenet::name_normals;
use crate::data::family::SampleKind;
use crate::data::inputs::{InputNeeds, InputPoints, Read};
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
    mut resolved: Resolved,
    seed: u64,
    needs: InputNeeds,
) -> Result<(Read, Resolved)> {
    check_points(resolved.clouds.points, needs.minimum_points)?;
    resolved.clouds = resolved.clouds.normalized(Normalization::Cube);
    let reading = resolved.reading();
    let read = |path: &Path| {
        let place = path.display().to_string();
        let mut raw = reading.intake.read(path)?;
        if reading.features.normals().is_some() {
            name_normals(&mut raw);
        }
        let [x, y, z] = AXES.map(|axis| raw.column(axis).unwrap_or_default());
        let positions: Vec<[f64; 3]> = x.iter().zip(y).zip(z).map(|((x, y), z)| [*x, *y, *z]).collect();
        let unlabelled = vec![IGNORED; raw.points()];
        Ok((positions, reading.cut(raw, &unlabelled, &place)?))
    };
    let (files, mut read) = read_each(kind, files, needs.skip_bad, read)?;
    let mut cut: Vec<&mut [Cloud]> = read.iter_mut().map(|(_, cut)| cut.clouds.as_mut_slice()).collect();
    let (range, noticed) = divide_colours(&mut cut, resolved.clouds.color_range, &reading.features, "the files")?;
    noticed.log(range, &reading.features);
    resolved.clouds.color_range = range;
    let (mut all, mut clouds, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (file, (positions, Cut { clouds: cut, rows })) in read.into_iter().enumerate() {
        places.extend(cut.iter().map(|cloud: &Cloud| (file, rows[cloud.rows.clone()].to_vec())));
        clouds.extend(cut);
        all.push(positions);
    }
    let channels = reading.features.channels() as i64;
    let samples = Scenes::new(clouds, resolved.clouds.preparation(), seed);
    // Points that fill up a group are no points of the file.
    let rows = |sample: usize| {
        let (file, rows) = &places[samples.groups[sample].0];
        let (points, counted) = samples.group(sample);
        (*file, points[..counted].iter().map(|point| rows[*point as usize]).collect())
    };
    let points = Some(InputPoints { positions: all, rows: (0..samples.len()).map(rows).collect() });
    Ok((Read { files, samples: Arc::new(samples), channels, points }, resolved))
}

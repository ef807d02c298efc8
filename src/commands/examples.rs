//! Predictions to look at: `sgas eval --examples` leaves some in the run's folder, and `sgas report` shows them.

use super::trained::Trained;
use super::{dataset, outputs::keep_beside};
use crate::batch::{Batch, BatchKind, IGNORED};
use crate::data::{Access, Dataset, EpochPlan, Loader, Samples, Split};
use crate::error::{Error, Result};
use crate::model::{self, Model};
use crate::ops::Mode;
use crate::report::page::{EXTENT, Example, Examples, Picture, PointCloud};
use crate::task::Task;
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use std::sync::Arc;
use tch::{Device, Kind, Tensor, no_grad};

/// Points of a shape that are kept; a picture on a page shows no more.
const SHAPE_POINTS: i64 = 1024;
/// Points of a labelled cloud.
const CLOUD_POINTS: i64 = 4096;

/// Refuses what has no examples, before the work.
///
/// # Errors
/// Weights outside a run; graphs.
pub(super) fn check(trained: &Trained) -> Result<()> {
    if trained.folder.is_none() {
        return Err(Error::usage(
            "--examples: they are left in the folder of a run, and these weights are outside of one",
        )
        .with_hint("name a training with --run, or leave --examples out"));
    }
    if trained.kind().batch == BatchKind::Graphs {
        return Err(Error::usage("--examples: shapes, pictures and labelled clouds can be shown; graphs can't")
            .with_hint("leave --examples out"));
    }
    Ok(())
}

/// What the examples are taken from.
pub(super) struct Source<'a> {
    pub trained: &'a Trained,
    pub dataset: &'a Dataset,
    pub split: Split,
}

impl Source<'_> {
    /// Leaves so many examples in the run's folder.
    ///
    /// # Errors
    /// A split or a batch that can't be read.
    pub fn keep(&self, most: usize) -> Result<()> {
        let Some(folder) = &self.trained.folder else { return Ok(()) };
        let Some(samples) = self.dataset.split(self.split) else { return Ok(()) };
        let model = self.trained.network(self.dataset.classes.len(), self.dataset.channels)?;
        let task = dataset::task(self.dataset.classes.len(), self.dataset.targets);
        let (chosen, examples) = match task {
            Task::Segment { .. } => (
                "Clouds from evenly spread places of the split.".to_owned(),
                self.of_clouds(&*model, task, samples, most)?,
            ),
            _ => self.of_samples(&*model, task, samples, most)?,
        };
        let kept = Examples {
            sgas: env!("CARGO_PKG_VERSION").to_owned(),
            split: self.split.name().to_owned(),
            weights: self.trained.weights.display().to_string(),
            chosen,
            classes: self.dataset.classes.clone(),
            examples,
        };
        let text = serde_json::to_string(&kept).expect("plain data");
        let path = folder.file(&format!("examples-{}.json", self.split.name()));
        keep_beside(&path, format!("{text}\n").as_bytes());
        Ok(())
    }

    fn key(&self) -> Key {
        Key::new(self.trained.run.seed, Purpose::Evaluation)
    }

    /// The most confident errors; of shapes half of them at least, and then those that were least surely right.
    fn of_samples(
        &self,
        model: &dyn Model,
        task: Task,
        samples: &Arc<dyn Samples>,
        most: usize,
    ) -> Result<(String, Vec<Example>)> {
        let run = &self.trained.run;
        let plan = EpochPlan::evaluation(self.key(), run.train.batch);
        let (mut wrong, mut right) = (Ranked::new(most), Ranked::new(most));
        let mut first = 0;
        for batch in Loader::new(samples.clone(), run.data.loader()).epoch(&plan) {
            let batch = batch?;
            let rows = probabilities(model, task, &batch, self.trained.device())?;
            for (index, row) in rows.iter().enumerate() {
                let (predicted, probability) = best(row);
                let Some(actual) = samples.label(first + index) else { continue };
                let (list, rank) =
                    if actual == predicted { (&mut right, 1.0 - probability) } else { (&mut wrong, probability) };
                if !list.takes(rank) {
                    continue;
                }
                let (actual, predicted) = (Some(actual), Some(predicted));
                let name = samples.name(first + index).to_owned();
                let mut example = Example { name, actual, predicted, probability, picture: None, cloud: None };
                self.depict(&mut example, &batch, index)?;
                list.add(rank, example);
            }
            first += rows.len();
        }
        let are_pictures = self.trained.kind().batch == BatchKind::Images;
        let wanted = if are_pictures { most } else { most.div_ceil(2).max(most - right.0.len()) };
        let errors: Vec<Example> = wrong.into_examples().take(wanted).collect();
        if are_pictures {
            return Ok((format!("The {} most confident errors.", errors.len()), errors));
        }
        let left = most - errors.len();
        let chosen = format!("The {} most confident errors, then those that were least surely right.", errors.len());
        Ok((chosen, errors.into_iter().chain(right.into_examples().take(left)).collect()))
    }

    fn depict(&self, example: &mut Example, batch: &Batch, index: usize) -> Result<()> {
        match batch {
            Batch::Images(images) => {
                example.picture = Some(self.picture(&images.images.get(index as i64))?);
            }
            Batch::Points(points) => {
                let points = thinned(&points.points.get(index as i64), SHAPE_POINTS);
                example.cloud = Some(PointCloud { positions: positions(&points)?, actual: vec![], predicted: vec![] });
            }
            Batch::Graphs(_) => {}
        }
        Ok(())
    }

    /// The image (3, H, W) with its colours brought back.
    fn picture(&self, image: &Tensor) -> Result<Picture> {
        let images = &self.trained.run.data.images;
        let row = |numbers: &[f64; 3]| Tensor::from_slice(numbers).view([3, 1, 1]);
        let image = image.to_device(Device::Cpu).to_kind(Kind::Double);
        let colours = (image * row(&images.deviation) + row(&images.mean)) * 255.0;
        let bytes = colours.round().clamp(0.0, 255.0).to_kind(Kind::Uint8).permute([1, 2, 0]).contiguous();
        let size = bytes.size();
        let side = |axis: usize| u32::try_from(size[axis]).expect("images are small");
        let (height, width) = (side(0), side(1));
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&Vec::<u8>::try_from(bytes.flatten(0, -1))?, width, height, ExtendedColorType::Rgb8)
            .map_err(|error| Error::run(format!("a picture can't be packed: {error}")))?;
        Ok(Picture { width, height, png: STANDARD.encode(png) })
    }

    /// Clouds whose points have classes, from evenly spread places.
    fn of_clouds(
        &self,
        model: &dyn Model,
        task: Task,
        samples: &Arc<dyn Samples>,
        most: usize,
    ) -> Result<Vec<Example>> {
        let count = most.min(samples.len());
        let access = Access { training: false, key: self.key() };
        let cloud = |number: usize| {
            let index = number * samples.len() / count;
            let batch = samples.batch(&[index], access)?;
            let rows = probabilities(model, task, &batch, self.trained.device())?;
            let Batch::Points(points) = &batch else { unreachable!("labelled clouds are points") };
            let target = Vec::<i64>::try_from(points.labels.to_device(Device::Cpu))?;
            let actual = target.iter().map(|class| if *class == IGNORED { -1 } else { *class as i32 });
            let actual: Vec<i32> = actual.collect();
            let predicted: Vec<i32> = rows.iter().map(|row| best(row).0 as i32).collect();
            let counted = actual.iter().filter(|class| **class >= 0).count();
            let right = actual.iter().zip(&predicted).filter(|(actual, predicted)| actual == predicted).count();
            let every = step(points.points.size()[1], CLOUD_POINTS) as usize;
            let thin = |classes: Vec<i32>| classes.into_iter().step_by(every).collect();
            let cloud = PointCloud {
                positions: positions(&thinned(&points.points.get(0), CLOUD_POINTS))?,
                actual: thin(actual),
                predicted: thin(predicted),
            };
            Ok(Example {
                name: samples.name(index).to_owned(),
                actual: None,
                predicted: None,
                probability: right as f64 / counted.max(1) as f64,
                picture: None,
                cloud: Some(cloud),
            })
        };
        (0..count).map(cloud).collect()
    }
}

fn probabilities(model: &dyn Model, task: Task, batch: &Batch, device: Device) -> Result<Vec<Vec<f64>>> {
    no_grad(|| {
        let logits = model::forward(model, &batch.to_device(device), Mode::Evaluation, Precision::Fp32)?.logits;
        Ok(Vec::<Vec<f64>>::try_from(task.probabilities(&logits).to_device(Device::Cpu))?)
    })
}

/// The most probable class, the first of equals.
fn best(row: &[f64]) -> (usize, f64) {
    let all = row.iter().copied().enumerate();
    all.reduce(|best, next| if next.1 > best.1 { next } else { best }).unwrap_or_default()
}

/// Evenly spread rows of (N, C), at most so many.
fn thinned(points: &Tensor, most: i64) -> Tensor {
    let count = points.size()[0];
    points.slice(0, 0, count, step(count, most))
}

/// The step by which of so many at most `most` are left.
fn step(count: i64, most: i64) -> i64 {
    ((count + most - 1) / most).max(1)
}

/// The positions of points (N, C) in a cube around their middle.
fn positions(points: &Tensor) -> Result<Vec<i32>> {
    let points = points.narrow(1, 0, 3).to_device(Device::Cpu).to_kind(Kind::Double);
    let (least, most) = (points.amin([0], true), points.amax([0], true));
    let half = f64::try_from((&most - &least).max())? / 2.0;
    let scaled = (points - (least + most) / 2.0) * (f64::from(EXTENT) / half.max(f64::MIN_POSITIVE));
    let extent = f64::from(EXTENT);
    Ok(Vec::<f64>::try_from(scaled.flatten(0, -1))?
        .iter()
        .map(|value| value.round().clamp(-extent, extent) as i32)
        .collect())
}

/// Examples in the order of their ranks, the greatest first; no more than so many.
struct Ranked(Vec<(f64, Example)>, usize);

impl Ranked {
    fn new(most: usize) -> Self {
        Self(Vec::new(), most)
    }

    fn takes(&self, rank: f64) -> bool {
        self.0.len() < self.1 || self.0.last().is_some_and(|(least, _)| rank > *least)
    }

    fn add(&mut self, rank: f64, example: Example) {
        let place = self.0.partition_point(|(other, _)| *other >= rank);
        self.0.insert(place, (rank, example));
        self.0.truncate(self.1);
    }

    fn into_examples(self) -> impl Iterator<Item = Example> {
        self.0.into_iter().map(|(_, example)| example)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_ranks_stay() {
        let example = |name: &str| Example {
            name: name.to_owned(),
            actual: None,
            predicted: None,
            probability: 0.0,
            picture: None,
            cloud: None,
        };
        let mut ranked = Ranked::new(2);
        for (rank, name) in [(0.5, "b"), (0.9, "a"), (0.1, "d"), (0.7, "c")] {
            if ranked.takes(rank) {
                ranked.add(rank, example(name));
            }
        }
        let names: Vec<String> = ranked.into_examples().map(|example| example.name).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn positions_fill_a_cube_around_their_middle() {
        let points = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 9.0, 3.0, 4.0, 5.0, 9.0]).view([2, 4]);
        assert_eq!(positions(&points).unwrap(), [-999, -999, -999, 999, 999, 999]);
        let flat = Tensor::ones([3, 3], (Kind::Float, Device::Cpu));
        assert_eq!(positions(&flat).unwrap(), [0; 9]);
        assert_eq!(thinned(&Tensor::zeros([10, 3], (Kind::Float, Device::Cpu)), 4).size(), [4, 3]);
    }
}

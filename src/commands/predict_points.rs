//! `sgas predict` for networks that were trained on labelled clouds: the class of every point of new clouds, as coloured
//! PLY files, and what share of each file every class has.

use super::outputs::{LABELLED, print_then_write};
use super::predictions::{Format, refuse_inputs, require_finite};
use super::trained::Trained;
use super::{PredictOptions, dataset, percent};
use crate::data::scenes::labelled_ply;
use crate::data::{EpochPlan, InputFile, InputNeeds, Loader, SampleKind, SceneInputs, read_scenes};
use crate::error::{Error, Result};
use crate::eval;
use crate::files::Output;
use crate::model::Model;
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

const KIND: SampleKind = SampleKind::Scenes;

/// Predicts every point of the files, writes what was asked for, and prints a table or JSON.
///
/// # Errors
/// Names that are not those of the network's classes, files that won't do, places that can't be written.
pub(super) fn run(
    options: &PredictOptions,
    mut trained: Trained,
    files: &[PathBuf],
    out: &mut dyn Write,
) -> Result<()> {
    let output = options.output.as_deref().map(|path| Written::of(path, files, options)).transpose()?;
    let classes = trained.class_names(options.classes.as_deref())?;
    let skip_bad = options.trained.skip_bad;
    let (minimum_points, device) = (trained.minimum_points(), trained.device());
    let needs = InputNeeds { minimum_points, draws: 1, device, skip_bad };
    let inputs = read_scenes(files, &mut trained.run.data, needs)?;
    let model = trained.network(classes.len(), inputs.channels)?;
    let mut clouds = predict(&trained, &*model, classes.len(), &inputs)?.into_iter();
    let mut report = Report { provenance: trained.provenance(&classes, 1), classes, files: Vec::new() };
    for InputFile { name, error } in inputs.files.iter().cloned() {
        let outcome = match error {
            Some(error) => Err(error),
            None => {
                let cloud = clouds.next().expect("a cloud for every good file");
                match require_finite(KIND, &name, &[cloud.confidence]) {
                    Err(error) if skip_bad => Err(error.to_string()),
                    checked => checked.map(|()| Ok(cloud))?,
                }
            }
        };
        report.files.push(Predicted { name, outcome });
    }
    let write = || output.map_or(Ok(()), |output| report.write(&output));
    match options.json {
        true => print_then_write(out, &report.to_json(), write, ""),
        false => print_then_write(out, &as_text(&trained, &report, options), write, &options.written()),
    }
}

/// The predicted points of a file, in its order.
struct PointClasses<'a> {
    /// As the file stores them.
    positions: &'a [[f64; 3]],
    /// None of points that were left out, because a number of theirs is not finite.
    classes: Vec<Option<usize>>,
    /// The mean probability of the predicted classes.
    confidence: f64,
}

impl PointClasses<'_> {
    /// The number of points that have a class.
    fn predicted(&self) -> usize {
        self.classes.iter().flatten().count()
    }
}

/// Every point of every good file.
fn predict<'a>(
    trained: &Trained,
    model: &dyn Model,
    classes: usize,
    inputs: &'a SceneInputs,
) -> Result<Vec<PointClasses<'a>>> {
    let run = &trained.run;
    let plan = EpochPlan::evaluation(Key::new(run.seed, Purpose::Evaluation), run.train.batch);
    let task = dataset::task(classes, trained.targets);
    let empty = |positions: &'a Vec<[f64; 3]>| PointClasses {
        positions,
        classes: vec![None; positions.len()],
        confidence: 0.0,
    };
    let mut clouds: Vec<PointClasses<'_>> = inputs.positions.iter().map(empty).collect();
    let mut sample = 0;
    for batch in Loader::new(inputs.samples(), run.data.loader()).epoch(&plan) {
        // Batch by batch: the probabilities of a large scan's points need much more memory than their classes.
        let rows = eval::predict(model, task, [batch], trained.device(), Precision::Fp32)?;
        for group in rows.chunks(run.data.points) {
            let (file, points) = inputs.rows(sample);
            let cloud = &mut clouds[file];
            for (point, row) in points.into_iter().zip(group) {
                let (class, probability) = best(row);
                cloud.classes[point as usize] = Some(class);
                cloud.confidence += probability;
            }
            sample += 1;
        }
    }
    clouds.iter_mut().for_each(|cloud| cloud.confidence /= cloud.predicted() as f64);
    Ok(clouds)
}

/// The most probable class, the first of equals; NaN where the network gave it.
fn best(probabilities: &[f64]) -> (usize, f64) {
    let all = probabilities.iter().copied().enumerate();
    all.reduce(|best, next| if next.1 > best.1 || next.1.is_nan() { next } else { best }).unwrap_or((0, f64::NAN))
}

/// Where predictions go besides standard output.
enum Written {
    /// A PLY file for each file.
    Ply(Vec<Output>),
    /// What is printed, in a file.
    Summary(Output, Format),
}

impl Written {
    /// Told now, not when the work is done: several files for one PLY or of one name, a place that can't be written, one
    /// of the files to predict.
    fn of(path: &Path, files: &[PathBuf], options: &PredictOptions) -> Result<Self> {
        let place = || format!("--output {}", path.display());
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if path.is_dir() || extension.is_empty() {
            if path.is_file() {
                return Err(Error::invalid(place(), "a folder, or a file named *.ply, *.csv or *.json", "a file"));
            }
            let names = names(path, files)?;
            return Ok(Self::Ply(Output::in_folder("--output", path, &names, LABELLED, options.force)?));
        }
        refuse_inputs(KIND, path, files)?;
        if extension != "ply" {
            let format = Format::of(path)?;
            return Ok(Self::Summary(options.output_place(path, format)?, format));
        }
        match files {
            [_] => Ok(Self::Ply(vec![Output::new("--output", path, LABELLED, options.force)?])),
            _ => Err(Error::invalid(place(), "a folder, for a PLY file each", format!("one file for {}", files.len()))),
        }
    }
}

/// `<name>.ply` for each file; none of these in `folder` is one of the files.
fn names(folder: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let name = |file: &PathBuf| format!("{}.ply", file.file_stem().unwrap_or_default().to_string_lossy());
    let names: Vec<String> = files.iter().map(name).collect();
    names.iter().try_for_each(|ply| refuse_inputs(KIND, &folder.join(ply), files))?;
    let mut taken: HashMap<&String, &PathBuf> = HashMap::new();
    for (name, file) in names.iter().zip(files) {
        if let Some(other) = taken.insert(name, file) {
            let found = format!("{} and {}", other.display(), file.display());
            let place = format!("--output {}", folder.display());
            return Err(Error::invalid(place, "files with names of their own", found)
                .with_hint("predict them one after the other"));
        }
    }
    Ok(names)
}

/// What was predicted, of what, and by what.
struct Report<'a> {
    provenance: Map<String, Value>,
    classes: Vec<String>,
    /// Every file, in the order named.
    files: Vec<Predicted<'a>>,
}

/// A file.
struct Predicted<'a> {
    name: String,
    /// Its points, or why it was skipped.
    outcome: std::result::Result<PointClasses<'a>, String>,
}

impl Report<'_> {
    fn write(&self, output: &Written) -> Result<()> {
        let places = match output {
            Written::Summary(place, Format::Csv) => return place.write(&self.to_csv()),
            Written::Summary(place, Format::Json) => return place.write(self.to_json().as_bytes()),
            Written::Ply(places) => places,
        };
        for (place, file) in places.iter().zip(&self.files) {
            if let Ok(cloud) = &file.outcome {
                place.write(&labelled_ply::bytes(cloud.positions, &cloud.classes, &self.classes))?;
            }
        }
        Ok(())
    }

    /// The share of every class.
    fn shares(&self, cloud: &PointClasses<'_>) -> Vec<f64> {
        let mut counts = vec![0_usize; self.classes.len()];
        cloud.classes.iter().flatten().for_each(|class| counts[*class] += 1);
        counts.into_iter().map(|count| count as f64 / cloud.predicted() as f64).collect()
    }

    fn skipped(&self) -> usize {
        self.files.iter().filter(|file| file.outcome.is_err()).count()
    }

    /// Columns: file, points, confidence, the share of every class, error.
    fn to_csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |row: Vec<String>| writer.write_record(row).expect("rows of one length, in memory");
        let told = ["file", "points", "confidence"].map(str::to_owned);
        write([&told[..], &self.classes, &["error".to_owned()]].concat());
        for Predicted { name: file, outcome } in &self.files {
            let (mut row, mut why) = (vec![file.clone()], String::new());
            match outcome {
                Ok(cloud) => {
                    row.extend([cloud.classes.len().to_string(), cloud.confidence.to_string()]);
                    row.extend(self.shares(cloud).iter().map(f64::to_string));
                }
                Err(error) => {
                    row.resize(3 + self.classes.len(), String::new());
                    why.clone_from(error);
                }
            }
            row.push(why);
            write(row);
        }
        writer.into_inner().expect("memory takes every byte")
    }

    fn to_json(&self) -> String {
        let told = |Predicted { name: file, outcome }: &Predicted<'_>| match outcome {
            Ok(cloud) => {
                let shares = self.classes.iter().cloned().zip(self.shares(cloud).into_iter().map(Value::from));
                let shares: Map<String, Value> = shares.collect();
                let (points, confidence) = (cloud.classes.len(), cloud.confidence);
                let mut object = json!({ "file": file, "points": points, "confidence": confidence, "shares": shares });
                if cloud.predicted() < points {
                    object["without_class"] = (points - cloud.predicted()).into();
                }
                object
            }
            Err(error) => json!({ "file": file, "error": error }),
        };
        let mut object = self.provenance.clone();
        object.insert("clouds".to_owned(), self.files.len().into());
        object.insert("skipped".to_owned(), self.skipped().into());
        object.insert("predictions".to_owned(), self.files.iter().map(told).collect());
        format!("{:#}\n", Value::from(object))
    }

    /// A line per file with its `top` most frequent classes.
    fn to_table(&self, top: usize) -> String {
        let width = self.files.iter().map(|file| file.name.chars().count()).max().unwrap_or(0).max("file".len());
        let mut text = format!("{:<width$}  {:>9}  confidence  share of the points\n", "file", "points");
        for Predicted { name: file, outcome } in &self.files {
            text += &match outcome {
                Ok(cloud) => {
                    let mut shares: Vec<(usize, f64)> = self.shares(cloud).into_iter().enumerate().collect();
                    shares.sort_by(|one, other| other.1.total_cmp(&one.1));
                    let told = shares.iter().take(top).filter(|(_, share)| *share > 0.0);
                    let told = told.map(|(class, share)| format!("{} {}", self.classes[*class], percent(*share)));
                    let told = told.collect::<Vec<_>>().join(", ");
                    let (points, confidence) = (cloud.classes.len(), percent(cloud.confidence));
                    format!("{file:<width$}  {points:>9}  {confidence:>10}  {told}\n")
                }
                Err(why) => format!("{file:<width$}  {:>9}  {:>10}  skipped: {why}\n", "-", "-"),
            };
        }
        text
    }
}

fn as_text(trained: &Trained, report: &Report<'_>, options: &PredictOptions) -> String {
    let mut text = format!("weights: {}\n", trained.weights.display());
    if let Some(data) = &trained.trained_on {
        text += &format!("trained on: {data}\n");
    }
    text += &format!("\n{}\n", report.to_table(options.top));
    let (all, skipped) = (report.files.len(), report.skipped());
    let points: usize = report.files.iter().filter_map(|file| Some(file.outcome.as_ref().ok()?.predicted())).sum();
    text + &format!("{points} points of {} clouds predicted, {skipped} skipped\n", all - skipped)
}

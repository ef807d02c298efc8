//! `sgas predict`: the classes of new shapes or pictures, the classes or labels of the nodes of new graphs. The classes of
//! the points of new clouds stand in `predict_points`.

use super::predictions::{Format, Prediction, Predictions};
use super::trained::Trained;
use super::{GlobalOptions, PredictOptions, dataset, device, predict_points, print};
use crate::data::{EpochPlan, InputFile, InputNeeds, Inputs, Loader, SampleKind, Targets, find_inputs, read_inputs};
use crate::error::{Error, Result};
use crate::eval;
use crate::files::{check_place, write_atomically};
use crate::model::Model;
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Predicts and prints a table or JSON; writes the file that was asked for.
///
/// # Errors
/// No run, weights of another network, names that are not those of its classes, files that won't do.
pub fn run(options: &PredictOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let device = device::prepare(global)?;
    let mut trained = Trained::open(&options.trained, None, device)?;
    let kind = trained.kind();
    check_votes(kind, options.votes)?;
    let files = find_inputs(kind, &options.input)?;
    if kind == SampleKind::Scenes {
        return predict_points::run(options, trained, &files, out);
    }
    let format = options.output.as_deref().map(|path| check_output(kind, path, &files)).transpose()?;
    let classes = class_names(&trained, options.classes.as_deref())?;
    let skip_bad = options.trained.skip_bad;
    let needs = InputNeeds { minimum_points: trained.minimum_points(), draws: options.votes, device, skip_bad };
    let inputs = read_inputs(kind, &files, &mut trained.run.data, needs)?;
    let model = trained.network(classes.len(), inputs.channels)?;
    let rows = probabilities(&trained, &*model, classes.len(), &inputs)?;
    let samples = samples(kind, inputs.files, &rows, options.votes, skip_bad)?;
    let predictions = Predictions {
        kind,
        multi_label: trained.targets == Targets::Labels,
        provenance: provenance(&trained, &classes, options.votes),
        classes,
        samples,
    };
    if let (Some(path), Some(format)) = (&options.output, format) {
        write_atomically(path, &predictions.to_format(format))?;
    }
    let text = if options.json { predictions.to_json() } else { as_text(&trained, &predictions, options) };
    print(out, &text)
}

/// Of a shape other points can be drawn; an evaluated picture is always the same image.
fn check_votes(kind: SampleKind, votes: usize) -> Result<()> {
    if kind != SampleKind::Shapes && votes > 1 {
        let kind = kind.plural();
        let message =
            format!("--votes {votes}: only the points of shapes are drawn, and this network was trained on {kind}");
        return Err(Error::usage(message).with_hint("leave --votes out"));
    }
    Ok(())
}

/// Told now, not when the work is done: a file of no known format, one that can't be written, one of the samples.
fn check_output(kind: SampleKind, path: &Path, files: &[PathBuf]) -> Result<Format> {
    let format = Format::of(path)?;
    check_place("--output", path)?;
    refuse_inputs(kind, path, files)?;
    Ok(format)
}

/// # Errors
/// An output that is one of the samples.
pub(super) fn refuse_inputs(kind: SampleKind, path: &Path, files: &[PathBuf]) -> Result<()> {
    let there = path.canonicalize();
    if there.is_ok_and(|there| files.iter().any(|file| file.canonicalize().is_ok_and(|file| file == there))) {
        return Err(Error::invalid(
            format!("--output {}", path.display()),
            format!("a file that is not among the {}", kind.plural()),
            "one of the files to predict",
        )
        .with_hint("write the predictions outside of the folders that --input names"));
    }
    Ok(())
}

/// The run's names, those of the file, or else numbers.
pub(super) fn class_names(trained: &Trained, file: Option<&Path>) -> Result<Vec<String>> {
    let count = trained.class_count()?;
    match file {
        Some(path) => read_names(path, count),
        None if trained.classes.is_empty() => Ok((0..count).map(|class| format!("class {class}")).collect()),
        None => Ok(trained.classes.clone()),
    }
}

/// A name per line, each once, as many as there are classes.
fn read_names(path: &Path, count: usize) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::read(path, error))?;
    let names: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    let place = path.display().to_string();
    if names.len() != count {
        let expected = format!("{count} names, one per line: the weights tell {count} classes apart");
        return Err(Error::invalid(place, expected, format!("{} lines", names.len())));
    }
    let mut seen = BTreeSet::new();
    match names.iter().position(|name| name.is_empty() || !seen.insert(name)) {
        Some(line) => Err(Error::invalid(
            format!("{place}, line {}", line + 1),
            "names that differ",
            format!("'{}'", names[line]),
        )),
        None => Ok(names),
    }
}

/// One row per draw, the draws of a file in a row.
fn probabilities(trained: &Trained, model: &dyn Model, classes: usize, inputs: &Inputs) -> Result<Vec<Vec<f64>>> {
    let run = &trained.run;
    let plan = EpochPlan::evaluation(Key::new(run.seed, Purpose::Evaluation), run.train.batch);
    let batches = Loader::new(inputs.samples.clone(), run.data.loader()).epoch(&plan);
    eval::predict(model, dataset::task(classes, trained.targets), batches, trained.device(), Precision::Fp32)
}

/// Every file with the mean of its draws, or why it was skipped.
fn samples(
    kind: SampleKind,
    files: Vec<InputFile>,
    rows: &[Vec<f64>],
    draws: usize,
    skip_bad: bool,
) -> Result<Vec<Prediction>> {
    let mut rows = rows.chunks(draws);
    let sample = |file: InputFile| {
        let outcome = match file.error {
            Some(error) => Err(error),
            None => {
                let mean = mean(rows.next().expect("draws for every good file"));
                match require_finite(kind, &file.name, &mean) {
                    Err(error) if skip_bad => Err(error.to_string()),
                    checked => checked.map(|()| Ok(mean))?,
                }
            }
        };
        Ok(Prediction { file: file.name, outcome })
    };
    files.into_iter().map(sample).collect()
}

fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    let classes = 0..rows[0].len();
    classes.map(|class| rows.iter().map(|row| row[class]).sum::<f64>() / rows.len() as f64).collect()
}

pub(super) fn require_finite(kind: SampleKind, file: &str, probabilities: &[f64]) -> Result<()> {
    if probabilities.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    let (content, hint) = match kind {
        SampleKind::Shapes | SampleKind::Scenes => (
            "coordinates",
            "its coordinates are too large as stored: --set data.normalize=cube; or the weights are not finite",
        ),
        SampleKind::Pictures => ("pixels", "the weights are not finite, or overflow: take those of another epoch"),
        SampleKind::Graphs => ("features", "are they scaled as the training's? Or the weights are not finite"),
    };
    let expected = format!("{content} that the network gives finite scores for");
    Err(Error::invalid(file, expected, "scores that are not a number").with_hint(hint))
}

pub(super) fn provenance(trained: &Trained, classes: &[String], votes: usize) -> Map<String, Value> {
    let (run, data) = (&trained.run, &trained.run.data);
    // JSON holds text: a path that is none would be a panic.
    let folder = trained.folder.as_ref().map(|folder| folder.path().display().to_string());
    let preparation = match trained.kind() {
        SampleKind::Scenes => vec![
            ("points", json!(data.points)),
            ("features", json!(data.features)),
            ("normalize", json!(data.normalize)),
            ("block", json!(data.scenes.block)),
        ],
        SampleKind::Shapes => vec![
            ("points", json!(data.points)),
            ("features", json!(data.features)),
            ("normalize", json!(data.normalize)),
            ("votes", json!(votes)),
        ],
        SampleKind::Pictures => vec![
            ("size", json!(data.images.size)),
            ("augmentation", json!(data.images.augmentation)),
            ("mean", json!(data.images.mean)),
            ("deviation", json!(data.images.deviation)),
        ],
        SampleKind::Graphs => vec![("graphs", json!(data.graphs))],
    };
    let origin = vec![
        ("sgas", json!(env!("CARGO_PKG_VERSION"))),
        ("run", json!(folder)),
        ("weights", json!(trained.weights.display().to_string())),
        ("trained_on", json!(trained.trained_on)),
        ("task", json!(run.task)),
    ];
    let named = [origin, preparation, vec![("seed", json!(run.seed)), ("classes", json!(classes))]].concat();
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn as_text(trained: &Trained, predictions: &Predictions, options: &PredictOptions) -> String {
    let mut text = format!("weights: {}\n", trained.weights.display());
    if let Some(data) = &trained.trained_on {
        text += &format!("trained on: {data}\n");
    }
    text += &format!("\n{}\n", predictions.to_table(options.top));
    let (all, skipped) = (predictions.samples.len(), predictions.skipped());
    text += &format!("{} {} predicted, {skipped} skipped\n", all - skipped, predictions.kind.targets());
    options.output.as_ref().map_or(text.clone(), |path| format!("{text}written: {}\n", path.display()))
}

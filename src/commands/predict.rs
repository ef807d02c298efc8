//! `sgas predict`: the classes of new shapes or pictures, the classes or labels of the nodes of new graphs. The classes of
//! the points of new clouds stand in `predict_points`.

use super::outputs::print_then_write;
use super::predictions::{Format, Prediction, Predictions, refuse_inputs, require_finite};
use super::trained::Trained;
use super::{GlobalOptions, PredictOptions, dataset, device, predict_points};
use crate::data::{EpochPlan, InputFile, InputNeeds, Inputs, Loader, SampleKind, Targets};
use crate::error::{Error, Result};
use crate::eval;
use crate::files::Output;
use crate::model::Model;
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
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
    let files = kind.family.find_inputs(&options.input)?;
    if kind.labels_points {
        return predict_points::run(options, trained, &files, out);
    }
    let output = options.output.as_deref().map(|path| check_output(kind, path, &files, options)).transpose()?;
    let classes = trained.class_names(options.classes.as_deref())?;
    let skip_bad = options.trained.skip_bad;
    let needs = InputNeeds { minimum_points: trained.minimum_points(), draws: options.votes, device, skip_bad };
    let inputs = kind.family.read_inputs(&files, &trained.run.data, needs)?;
    trained.run.data = inputs.config.clone();
    let model = trained.network(classes.len(), inputs.channels)?;
    let rows = probabilities(&trained, &*model, classes.len(), &inputs)?;
    let samples = samples(kind, inputs.files, &rows, options.votes, skip_bad)?;
    let predictions = Predictions {
        kind,
        multi_label: trained.targets == Targets::Labels,
        provenance: trained.provenance(&classes, options.votes),
        classes,
        samples,
    };
    let write = || output.map_or(Ok(()), |(place, format)| place.write(&predictions.to_format(format)));
    match options.json {
        true => print_then_write(out, &predictions.to_json(), write, ""),
        false => print_then_write(out, &as_text(&trained, &predictions, options), write, &options.written()),
    }
}

/// Of a shape other points can be drawn; an evaluated picture is always the same image.
fn check_votes(kind: SampleKind, votes: usize) -> Result<()> {
    if !kind.draws && votes > 1 {
        let kind = kind.plural;
        let message =
            format!("--votes {votes}: only the points of shapes are drawn, and this network was trained on {kind}");
        return Err(Error::usage(message).with_hint("leave --votes out"));
    }
    Ok(())
}

/// Told now, not when the work is done: a file of no known format, one that can't be written, one of the samples.
fn check_output(
    kind: SampleKind,
    path: &Path,
    files: &[PathBuf],
    options: &PredictOptions,
) -> Result<(Output, Format)> {
    let format = Format::of(path)?;
    refuse_inputs(kind, path, files)?;
    Ok((options.output_place(path, format)?, format))
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

fn as_text(trained: &Trained, predictions: &Predictions, options: &PredictOptions) -> String {
    let mut text = format!("weights: {}\n", trained.weights.display());
    if let Some(data) = &trained.trained_on {
        text += &format!("trained on: {data}\n");
    }
    text += &format!("\n{}\n", predictions.to_table(options.top));
    let (all, skipped) = (predictions.samples.len(), predictions.skipped());
    text + &format!("{} {} predicted, {skipped} skipped\n", all - skipped, predictions.kind.targets)
}

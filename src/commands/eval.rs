//! `sgas eval`: scores trained weights on a split.

use super::cell;
use super::run_folder::{self, RunFolder};
use super::{EvalOptions, GlobalOptions, dataset, device, percent, print};
use crate::checkpoint::Checkpoint;
use crate::config::TrainRun;
use crate::data::{Dataset, EpochPlan, Loader};
use crate::error::{Error, Result};
use crate::eval::evaluate;
use crate::files::write_atomically;
use crate::genotype::{Genotype, SpaceName};
use crate::model;
use crate::task::{Meter, Task};
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use tch::Device;

/// What is to be evaluated.
struct Subject {
    run: TrainRun,
    genotype: Genotype,
    weights: PathBuf,
    folder: Option<RunFolder>,
}

/// Evaluates and prints overall and mean class accuracy, every class, and the confusion; leaves
/// `eval-<split>.json` in the run.
///
/// # Errors
/// No run, weights of another network, data that won't do.
pub fn run(options: &EvalOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let mut subject = subject(options)?;
    let device = device::prepare(global)?;
    let run = &mut subject.run;
    let minimum_points = run.point.minimum_points(run.model.cells);
    let dataset = dataset::open(&run.task, &mut run.data, run.seed, minimum_points)?;
    require_classes(&subject, &dataset)?;
    let meter = score(&subject, &dataset, options, device)?;
    let report = report(&subject, &dataset, options, &meter);
    if let Some(folder) = &subject.folder {
        let path = folder.file(&format!("eval-{}.json", options.split.name()));
        write_atomically(&path, format!("{report:#}\n").as_bytes())?;
    }
    let text = if options.json { format!("{report:#}\n") } else { as_text(&report, &dataset, &meter) };
    print(out, &text)
}

fn subject(options: &EvalOptions) -> Result<Subject> {
    match &options.weights {
        Some(weights) => loose(options, weights.clone()),
        None => of_run(options),
    }
}

/// A training run: its best weights where it has a validation share, else its last.
fn of_run(options: &EvalOptions) -> Result<Subject> {
    let folder = match &options.run {
        Some(path) => RunFolder::open(path)?,
        None => run_folder::newest_training()?,
    };
    if folder.about()?.command != "train" {
        let path = folder.path().display();
        return Err(Error::usage(format!("{path} is a search: it has no trained network"))
            .with_hint(format!("train what it found: sgas train --genotype {path}")));
    }
    let (best, last) = (folder.best_weights(), folder.last_weights());
    let weights = if best.is_file() { best } else { last };
    if !weights.is_file() {
        let path = folder.path().display();
        return Err(Error::usage(format!("{path}: no epoch of this training is done yet"))
            .with_hint(format!("go on with it: sgas train --out {path} --resume")));
    }
    let run = options.resolve(Some(&folder.config()))?;
    Ok(Subject { run, genotype: Genotype::load(folder.genotype())?, weights, folder: Some(folder) })
}

/// Weights outside a run, with the cell they belong to.
fn loose(options: &EvalOptions, weights: PathBuf) -> Result<Subject> {
    let Some(typed) = &options.genotype else {
        return Err(Error::usage("--weights needs --genotype: the cell that they belong to"));
    };
    let cell = cell::load(typed)?;
    cell.genotype.require_space(SpaceName::Point, &cell.origin)?;
    let run = options.resolve(None)?;
    Ok(Subject { run, genotype: cell.genotype, weights, folder: None })
}

/// The data must have the classes that the network was trained on, in their order.
fn require_classes(subject: &Subject, dataset: &Dataset) -> Result<()> {
    let Some(folder) = &subject.folder else { return Ok(()) };
    let trained = folder.about()?.classes;
    if trained.is_empty() || trained == dataset.classes {
        return Ok(());
    }
    let (expected, found) = (format!("the run's classes: {}", trained.join(", ")), dataset.classes.join(", "));
    Err(Error::invalid(&dataset.origin, expected, found)
        .with_hint("evaluate on data with the same classes; `sgas predict` takes shapes without classes"))
}

fn score(subject: &Subject, dataset: &Dataset, options: &EvalOptions, device: Device) -> Result<Meter> {
    let run = &subject.run;
    let classes = dataset.classes.len();
    let spec = run.network(classes, dataset.channels);
    let mut model = model::derived(&subject.genotype, &spec, run.seed, device)?;
    let origin = subject.weights.display().to_string();
    model.weights_mut().load(&Checkpoint::load(&subject.weights)?.tensors, &origin)?;
    let samples = dataset.split(options.split).ok_or_else(|| {
        Error::usage(format!("there is no {} split: data.validation is 0", options.split.name()))
            .with_hint("evaluate --split test, or train with --set data.validation=0.1")
    })?;
    let plan = EpochPlan::evaluation(Key::new(run.seed, Purpose::Evaluation), run.train.batch);
    let batches = Loader::new(samples.clone(), run.data.loader()).epoch(&plan);
    evaluate(&*model, Task::Classify { classes }, batches, device, Precision::Fp32)
}

fn report(subject: &Subject, dataset: &Dataset, options: &EvalOptions, meter: &Meter) -> Value {
    let (metrics, confusion) = (meter.metrics(), meter.confusion());
    let classes = dataset.classes.iter().enumerate();
    let per_class = classes.map(|(index, name)| {
        json!({ "class": name, "samples": confusion.support(index), "accuracy": confusion.class_accuracy(index) })
    });
    json!({
        "task": subject.run.task,
        "split": options.split.name(),
        "data": dataset.description(),
        "weights": subject.weights,
        "samples": confusion.total(),
        "loss": metrics.loss,
        "overall_accuracy": confusion.overall_accuracy(),
        "mean_class_accuracy": confusion.mean_class_accuracy(),
        "per_class": per_class.collect::<Vec<_>>(),
        "confusion": confusion.counts(),
    })
}

fn as_text(report: &Value, dataset: &Dataset, meter: &Meter) -> String {
    let confusion = meter.confusion();
    let mut text = format!("{}\nweights: {}\n\n", dataset.description(), report["weights"].as_str().unwrap_or(""));
    text += &format!("{:<20} {:>8} {:>10}  most often taken for\n", "class", "samples", "accuracy");
    for (index, name) in dataset.classes.iter().enumerate() {
        let accuracy = confusion.class_accuracy(index).map_or("-".to_owned(), percent);
        let mistake = most_frequent_mistake(&confusion.counts()[index], index)
            .map_or(String::new(), |(class, count)| format!("{} ({count})", dataset.classes[class]));
        text += &format!("{name:<20} {:>8} {accuracy:>10}  {mistake}\n", confusion.support(index));
    }
    let split = report["split"].as_str().unwrap_or("");
    text += &format!("\n{split} samples:       {}\n", confusion.total());
    text += &format!("overall accuracy:    {}\n", percent(confusion.overall_accuracy()));
    text + &format!("mean class accuracy: {}\n", percent(confusion.mean_class_accuracy()))
}

/// The wrong class that a class was taken for most often, and how often.
fn most_frequent_mistake(row: &[u64], class: usize) -> Option<(usize, u64)> {
    let wrong = row.iter().copied().enumerate().filter(|(other, count)| *other != class && *count > 0);
    wrong.reduce(|most, next| if next.1 > most.1 { next } else { most })
}

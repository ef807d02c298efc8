//! `sgas eval`: scores trained weights on a split.

use super::trained::Trained;
use super::{EvalOptions, GlobalOptions, dataset, device, percent, print};
use crate::data::{Dataset, EpochPlan, Loader};
use crate::error::{Error, Result};
use crate::eval::evaluate;
use crate::files::write_atomically;
use crate::task::{Meter, Task};
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use serde_json::{Value, json};
use std::io::Write;

/// Evaluates and prints overall and mean class accuracy, every class, and the confusion; leaves
/// `eval-<split>.json` in the run.
///
/// # Errors
/// No run, weights of another network, data that won't do.
pub fn run(options: &EvalOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let device = device::prepare(global)?;
    let mut trained = Trained::open(&options.trained, options.data.as_deref(), device)?;
    let dataset = dataset::open(&mut trained.run, device)?;
    require_classes(&trained, &dataset)?;
    let meter = score(&trained, &dataset, options)?;
    let report = report(&trained, &dataset, options, &meter);
    if let Some(folder) = &trained.folder {
        let path = folder.file(&format!("eval-{}.json", options.split.name()));
        write_atomically(&path, format!("{report:#}\n").as_bytes())?;
    }
    let text =
        if options.json { format!("{report:#}\n") } else { as_text(&report, &dataset, &meter) + &next(&trained) };
    print(out, &text)
}

/// The data must have the classes that the network was trained on, in their order.
fn require_classes(trained: &Trained, dataset: &Dataset) -> Result<()> {
    let classes = &trained.classes;
    if classes.is_empty() || *classes == dataset.classes {
        return Ok(());
    }
    let (expected, found) = (format!("the run's classes: {}", classes.join(", ")), dataset.classes.join(", "));
    let kind = trained.kind().plural();
    Err(Error::invalid(&dataset.origin, expected, found)
        .with_hint(format!("evaluate on data with the same classes; `sgas predict` takes {kind} without classes")))
}

fn score(trained: &Trained, dataset: &Dataset, options: &EvalOptions) -> Result<Meter> {
    let (run, classes) = (&trained.run, dataset.classes.len());
    let model = trained.network(classes, dataset.channels)?;
    let samples = dataset.split(options.split).ok_or_else(|| {
        Error::usage(format!("there is no {} split: data.validation is 0", options.split.name()))
            .with_hint("evaluate --split test, or train with --set data.validation=0.1")
    })?;
    let plan = EpochPlan::evaluation(Key::new(run.seed, Purpose::Evaluation), run.train.batch);
    let batches = Loader::new(samples.clone(), run.data.loader()).epoch(&plan);
    evaluate(&*model, Task::Classify { classes }, batches, trained.device(), Precision::Fp32)
}

/// The command that comes next, where there is a run.
fn next(trained: &Trained) -> String {
    let new = format!("new {}:", trained.kind().plural());
    let command = |path: std::path::Display<'_>| format!("\n{new:<20} sgas predict --run {path} --input DIR\n");
    trained.folder.as_ref().map_or(String::new(), |folder| command(folder.path().display()))
}

fn report(trained: &Trained, dataset: &Dataset, options: &EvalOptions, meter: &Meter) -> Value {
    let (metrics, confusion) = (meter.metrics(), meter.confusion());
    let classes = dataset.classes.iter().enumerate();
    let per_class = classes.map(|(index, name)| {
        json!({ "class": name, "samples": confusion.support(index), "accuracy": confusion.class_accuracy(index) })
    });
    json!({
        "task": trained.run.task,
        "split": options.split.name(),
        "data": dataset.description(),
        "weights": trained.weights.display().to_string(),
        "samples": confusion.total(),
        "loss": metrics.loss,
        "overall_accuracy": confusion.overall_accuracy(),
        "top5_accuracy": meter.top_accuracy(),
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
    let with_error = |accuracy: f64| format!("{} (error {})", percent(accuracy), percent(1.0 - accuracy));
    text += &format!("overall accuracy:    {}\n", with_error(confusion.overall_accuracy()));
    if let Some(accuracy) = meter.top_accuracy() {
        text += &format!("top-5 accuracy:      {}\n", with_error(accuracy));
    }
    text + &format!("mean class accuracy: {}\n", percent(confusion.mean_class_accuracy()))
}

/// The wrong class that a class was taken for most often, and how often.
fn most_frequent_mistake(row: &[u64], class: usize) -> Option<(usize, u64)> {
    let wrong = row.iter().copied().enumerate().filter(|(other, count)| *other != class && *count > 0);
    wrong.reduce(|most, next| if next.1 > most.1 { next } else { most })
}

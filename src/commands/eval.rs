//! `sgas eval`: scores trained weights on a split.

use super::examples::{self, Source};
use super::outputs::keep_beside;
use super::run_folder::RunFolder;
use super::trained::Trained;
use super::{EvalOptions, GlobalOptions, SMALLER_BATCH, dataset, device, print, scores};
use crate::data::{Dataset, EpochPlan, Loader, Split};
use crate::error::{Error, Result};
use crate::eval::evaluate;
use crate::memory;
use crate::task::Meter;
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use serde_json::{Map, Value, json};
use std::io::Write;
use tch::Device;

/// Evaluates and prints the scores of the task and of every class or label; leaves `eval-<split>.json` in the run.
///
/// # Errors
/// No run, weights of another network, data that won't do.
pub fn run(options: &EvalOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let device = device::prepare(global)?;
    let evaluated = evaluated(options, device)?;
    let Evaluated { trained, dataset, meter, report } = &evaluated;
    let text =
        if options.json { format!("{report:#}\n") } else { as_text(trained, dataset, options, meter) + &next(trained) };
    let printed = print(out, &text);
    evaluated.keep(options.split);
    if let Some(most) = options.examples {
        Source { trained, dataset, split: options.split }.keep(most)?;
    }
    printed
}

/// What an evaluation found, and of what.
pub(super) struct Evaluated {
    /// The network.
    pub trained: Trained,
    /// The data.
    pub dataset: Dataset,
    /// The scores.
    pub meter: Meter,
    report: Value,
}

impl Evaluated {
    /// Leaves `eval-<split>.json` in the run, where there is one that can be written.
    pub fn keep(&self, split: Split) {
        if let Some(folder) = &self.trained.folder {
            let path = folder.file(&format!("eval-{}.json", split.name()));
            keep_beside(&path, format!("{:#}\n", self.report).as_bytes());
        }
    }
}

/// Evaluates.
pub(super) fn evaluated(options: &EvalOptions, device: Device) -> Result<Evaluated> {
    let mut trained = Trained::open(&options.trained, options.data.as_deref(), device)?;
    options.examples.map_or(Ok(()), |_| examples::check(&trained))?;
    let dataset = dataset::open(&mut trained.run, device)?;
    memory::advise(SMALLER_BATCH);
    require_classes(&trained, &dataset)?;
    let meter = score(&trained, &dataset, options)?;
    let report = report(&trained, &dataset, options, &meter);
    Ok(Evaluated { trained, dataset, meter, report })
}

/// The data must have the classes that the network was trained on, in their order.
fn require_classes(trained: &Trained, dataset: &Dataset) -> Result<()> {
    let classes = &trained.classes;
    if classes.is_empty() || *classes == dataset.classes {
        return Ok(());
    }
    let (expected, found) = (format!("the run's classes: {}", classes.join(", ")), dataset.classes.join(", "));
    let kind = trained.kind().plural;
    Err(Error::invalid(&dataset.origin, expected, found)
        .with_hint(format!("evaluate on data with the same classes; `sgas predict` takes {kind} without classes")))
}

fn score(trained: &Trained, dataset: &Dataset, options: &EvalOptions) -> Result<Meter> {
    let run = &trained.run;
    let model = trained.network(dataset.classes.len(), dataset.channels)?;
    let samples = dataset.split(options.split).ok_or_else(|| {
        Error::usage(format!("there is no {} split: data.validation is 0", options.split.name()))
            .with_hint("evaluate --split test, or train with --set data.validation=0.1")
    })?;
    let plan = EpochPlan::evaluation(Key::new(run.seed, Purpose::Evaluation), run.train.batch);
    let batches = Loader::new(samples.clone(), run.data.loader()).epoch(&plan);
    let task = dataset::task(dataset.classes.len(), dataset.targets);
    let meter = evaluate(&*model, task, batches, trained.device(), Precision::Fp32)?;
    let loss = meter.metrics().loss;
    if loss.is_finite() {
        return Ok(meter);
    }
    let message = format!("{}: the loss of the {} split is {loss}", trained.weights.display(), options.split.name());
    Err(Error::not_finite(message).with_hint("these weights compute no numbers: take those of an earlier epoch"))
}

/// The command that comes next, where there is a run.
fn next(trained: &Trained) -> String {
    let new = format!("new {}:", trained.kind().plural);
    let command = |folder: &RunFolder| format!("\n{new:<20} sgas predict --run {} --input DIR\n", folder.typed());
    trained.folder.as_ref().map_or(String::new(), command)
}

fn report(trained: &Trained, dataset: &Dataset, options: &EvalOptions, meter: &Meter) -> Value {
    let mut report = Map::new();
    report.insert("task".to_owned(), json!(trained.run.task));
    report.insert("split".to_owned(), json!(options.split.name()));
    report.insert("data".to_owned(), json!(dataset.description()));
    report.insert("weights".to_owned(), json!(trained.weights.display().to_string()));
    report.extend(scores::to_json(meter, &dataset.classes));
    Value::Object(report)
}

fn as_text(trained: &Trained, dataset: &Dataset, options: &EvalOptions, meter: &Meter) -> String {
    let head = format!("{}\nweights: {}\n\n", dataset.description(), trained.weights.display());
    head + &scores::to_text(meter, &dataset.classes, options.split.name())
}

//! `sgas train`: trains the network of a found or published cell.

use super::cell::{self, NamedCell};
use super::estimate::{self, StepData, Words};
use super::facts::Facts;
use super::observers::Watched;
use super::resolve::by_some_recipe;
use super::run_folder::{About, RunFolder};
use super::session::{self, GoingOn, Parts, Session, Stage};
use super::weights::{self, Start};
use super::{GlobalOptions, RunOptions, TrainOptions, dataset, device, percent, print, processes};
use crate::config::{RunConfig, TrainRun, tasks};
use crate::data::{Dataset, Loader, Split};
use crate::dist::Processes;
use crate::error::{Error, Result};
use crate::model::{self, Architecture, HandDesigned, NetworkKind};
use crate::panics;
use crate::report::{EpochReport, Event, Observer, log};
use crate::step::class_weights;
use crate::step::{self, Learning, StepBatch};
use crate::task::Task;
use crate::train::{TrainData, TrainSettings, Training};
use std::io::Write;
use std::time::Instant;
use tch::Device;

/// Trains and leaves the run folder; prints the scores and the next command.
///
/// # Errors
/// Options, a genotype, data or a run folder that won't do; a training that fails, or that a signal stopped.
pub fn run(options: &TrainOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let begun = Instant::now();
    let said = said_by_init(options)?;
    let said = said.as_ref();
    let typed = |variant: Option<&str>| resolve(options, None, variant, said);
    let (typed, refused) = (!options.run.resume).then(|| by_some_recipe(typed)).transpose()?.unzip();
    let device = device::prepare(global)?;
    let settled = |(mut run, architecture): (TrainRun, Architecture)| {
        run.precision = device::precision_of_run(run.precision, options.run.amp, device)?;
        Ok((run, architecture))
    };
    let processes = processes::meet(device)?;
    let mut going_on = None;
    let (mut run, architecture, stage): (TrainRun, Architecture, Stage) = processes.from_first(|| {
        going_on = session::find(&options.run, |variant| {
            resolve(options, None, variant, said).and_then(settled).map(|(run, _)| run)
        })?;
        let (run, architecture) = settled(typed.map_or_else(|| resolve(options, going_on.as_ref(), None, said), Ok)?)?;
        let Some(going_on) = &going_on else { return Ok((run, architecture, Stage::New)) };
        going_on.check(&run, architecture.genotype(), &options.run.resume_anyway)?;
        let stage = going_on.stage(&run);
        Ok((run, architecture, stage))
    })?;
    if stage == Stage::Finished {
        let Some(GoingOn { folder, .. }) = going_on else { return Ok(()) };
        tracing::info!("{} is finished", folder.path().display());
        return print(out, &summary(&run, &folder)?);
    }
    let by_variant = |variant: &str| resolve(options, None, Some(variant), said).and_then(settled).map(|(run, _)| run);
    let fixed = stage == Stage::GoesOn || options.run.config.is_some();
    let opened = dataset::open_by_variant(&mut run, device, (!fixed).then_some(by_variant), refused.flatten());
    let opened = opened.and_then(|dataset| {
        let (batch, drop_last) = (run.train.batch, run.train.drop_last);
        dataset::require_batches("train.batch", &dataset, batch, drop_last, processes.share()).map(|()| dataset)
    });
    let dataset = processes.together(opened)?;
    run.train.batch =
        processes.from_first(|| batch(&run, &architecture, &dataset, device, options, stage == Stage::GoesOn))?;
    let trained = || train(&run, &architecture, &dataset, device, options, global, &processes, going_on, begun);
    let folder = panics::as_errors(trained).map_err(|error| error.with_memory_hint(|| estimate::advice(&run, None)))?;
    folder.map_or(Ok(()), |folder| print(out, &summary(&run, &folder)?))
}

/// What the file of `--init` says of its network, where it is a file that does.
fn said_by_init(options: &TrainOptions) -> Result<Option<Facts>> {
    let file = options.init.as_deref().filter(|path| path.is_file());
    match file.map(weights::read) {
        // A run that goes on does not need it any more.
        Some(Err(_)) if options.run.resume => Ok(None),
        read => Ok(read.transpose()?.and_then(|read| read.facts)),
    }
}

/// The training that is asked for, and of which network: of a cell, or of one that the task or `--model` names; of a run
/// that goes on, its own, where no other is named; else that of weights to start from, as `said` by their file.
fn resolve(
    options: &TrainOptions,
    going_on: Option<&GoingOn<TrainRun>>,
    variant: Option<&str>,
    said: Option<&Facts>,
) -> Result<(TrainRun, Architecture)> {
    let said = said.filter(|_| going_on.is_none());
    let origin = options.init.as_ref().map_or(String::new(), |path| path.display().to_string());
    let cell = named_cell(options, going_on, said, &origin)?;
    let task_of_init = said.map(|said| said.task.as_str());
    let fallback = match (&cell, options.model) {
        (Some(cell), _) => {
            Some(cell.task.as_deref().or(task_of_init).unwrap_or(tasks::of_network(cell.network()).name))
        }
        (None, Some(model)) => Some(tasks::of_network(NetworkKind::HandDesigned(model)).name),
        (None, None) if options.area.is_some() => {
            Some(tasks::of_network(NetworkKind::HandDesigned(HandDesigned::ResGcn)).name)
        }
        (None, None) => task_of_init,
    };
    let space = cell.as_ref().map(|cell| cell.genotype.space.name());
    let RunOptions { task, config, .. } = &options.run;
    if fallback.is_none() && task.is_none() && config.is_none() && going_on.is_none() {
        return Err(which_cell());
    }
    let sizes = said.map(|said| (format!("{origin}: its configuration"), said.sizes()));
    let sizes = sizes.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let mut run = options.resolve(fallback, space, going_on.map(|going_on| &going_on.begun), variant, sizes)?;
    let architecture = match (cell, options.model) {
        (Some(cell), _) => {
            run.set_network(cell.network(), &format!("{}: space", cell.origin))?;
            Architecture::Cell(Box::new(cell.genotype))
        }
        (None, Some(model)) => {
            run.set_network(NetworkKind::HandDesigned(model), &format!("--model {}", model.name()))?;
            Architecture::HandDesigned(model)
        }
        (None, None) if options.baseline => {
            let baseline = tasks::find(&run.task)?.baseline();
            run.set_network(NetworkKind::HandDesigned(baseline), "--baseline")?;
            Architecture::HandDesigned(baseline)
        }
        (None, None) => match said.and_then(Facts::kind).unwrap_or_else(|| run.network_kind()) {
            kind @ NetworkKind::HandDesigned(network) => {
                said.map_or(Ok(()), |_| run.set_network(kind, &origin))?;
                Architecture::HandDesigned(network)
            }
            NetworkKind::Cells(_) => return Err(which_cell()),
        },
    };
    Ok((run, architecture))
}

fn which_cell() -> Error {
    Error::usage("which cell? train needs --genotype").with_hint(
        "a file, a published name, or the folder of a run; or a hand-designed network: --task NAME --baseline, \
         --model resgcn --task s3dis",
    )
}

/// The cell: of the option, of the run to go on with, or of what it is to start from.
fn named_cell(
    options: &TrainOptions,
    going_on: Option<&GoingOn<TrainRun>>,
    said: Option<&Facts>,
    origin: &str,
) -> Result<Option<NamedCell>> {
    // A training to start from says which cell it is of.
    let is_open = options.model.is_none() && !options.baseline && going_on.is_none();
    let of_init = options.init.as_deref().filter(|path| is_open && path.join("genotype.json").is_file());
    let of_init = of_init.map(|path| path.display().to_string());
    match (options.genotype.as_deref().or(of_init.as_deref()), going_on) {
        (Some(typed), _) => {
            let cell = cell::load(typed, options.run.task.as_deref())?;
            said.map_or(Ok(()), |said| said.require_cell(typed, &cell.genotype, origin))?;
            Ok(Some(cell))
        }
        (None, Some(GoingOn { begun, folder, .. })) if matches!(begun.run.network_kind(), NetworkKind::Cells(_)) => {
            cell::load(&folder.genotype().display().to_string(), None).map(Some)
        }
        (None, _) => {
            let genotype = said.filter(|_| is_open).and_then(|said| said.genotype.clone());
            let task = said.map(|said| said.task.clone());
            Ok(genotype.map(|genotype| NamedCell::of_file(origin, genotype, task)))
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one run, each made once by the caller")]
fn train(
    run: &TrainRun,
    architecture: &Architecture,
    dataset: &Dataset,
    device: Device,
    options: &TrainOptions,
    global: &GlobalOptions,
    processes: &Processes,
    going_on: Option<GoingOn<TrainRun>>,
    begun: Instant,
) -> Result<Option<RunFolder>> {
    let classes = dataset.classes.len();
    let spec = run.network(classes, dataset.channels);
    let task = dataset::task(classes, dataset.targets);
    run.objective.map_or(Ok(()), |objective| objective.require(task))?;
    if run.train.patience.is_some() && dataset.validation.is_none() {
        let found = run.data.validation.to_string();
        return Err(Error::invalid("data.validation", "a share above 0, whose score train.patience waits for", found)
            .with_hint("set data.validation = 0.1, or leave train.patience out"));
    }
    let data = train_data(run, dataset);
    let class_weights = class_weights::of(run.train.class_weights, run.objective.is_some(), task, &data.train)?;
    let settings = TrainSettings { class_weights, processes: processes.clone(), ..settings(run, task, device) };
    let kind = architecture.kind();
    let start = match (&run.train.init, &going_on) {
        // The others get the first one's weights.
        (Some(named), None) if processes.leads() => Some(Start::read(named)?),
        _ => None,
    };
    let mut about = About::new("train", &run.task, dataset.description(), &dataset.classes, dataset.targets);
    about.init = match (&start, &going_on) {
        // Weights of another network are an error before there is a run.
        (Some(start), _) => {
            let mut model = model::network(architecture, &spec, run.seed, device);
            let init = start.give(&mut *model, kind, &dataset.classes)?;
            tracing::info!("starts from {}", init.weights);
            init.changes.iter().for_each(|change| tracing::info!("{change}"));
            Some(init)
        }
        (None, Some(going_on)) => going_on.folder.about()?.init,
        (None, None) => None,
    };
    let parts = Parts {
        run,
        options: &options.run,
        global,
        processes,
        about,
        genotype: architecture.genotype(),
        data: Some(dataset::identity(dataset, run)?),
        save: None,
        watched: Watched {
            command: "train",
            task: &run.task,
            score_name: task.score_name(),
            device,
            drawn: None,
            tensorboard: options.run.tensorboard,
        },
    };
    let mut session = Session::open(parts, going_on)?;
    tracing::info!("data: {}", dataset.description());
    session.run(|session| {
        let mut model = model::network(architecture, &spec, run.seed, device);
        if let Some(start) = &start {
            start.give(&mut *model, kind, &dataset.classes)?;
        }
        let mut training = Training::new(&settings, &mut *model);
        if let Some(told) = training.freeze()? {
            tracing::info!("{told}");
        }
        let mut observers = session.go(&mut training, Some(&data), Training::restore)?;
        if training.is_over() {
            let patience = run.train.patience.unwrap_or_default();
            let epochs = if patience == 1 { "epoch" } else { "epochs" };
            tracing::info!("ended early: {patience} {epochs} without a better validation score (train.patience)");
        }
        observers.observe(&Event::Finished { seconds: begun.elapsed().as_secs_f64() })
    })?;
    Ok(session.folder().cloned())
}

/// The batch of the training; tells what a step of it needs of memory.
fn batch(
    run: &TrainRun,
    architecture: &Architecture,
    dataset: &Dataset,
    device: Device,
    options: &TrainOptions,
    goes_on: bool,
) -> Result<usize> {
    let task = dataset::task(dataset.classes.len(), dataset.targets);
    let kind = tasks::find(&run.task)?.set.kind;
    let data = StepData { device, task, seed: run.seed, kind, train: &*dataset.train, alphas: None };
    let settings = settings(run, task, device);
    let spec = run.network(dataset.classes.len(), dataset.channels);
    let step = |batch: &StepBatch| {
        let mut model = model::network(architecture, &spec, run.seed, device);
        step::try_step(&mut Training::new(&settings, &mut *model), batch)
    };
    let words = Words { first: "an estimate", later: &|_| String::new(), learning_rate: run.weights.learning_rate };
    estimate::batch_of_run(&data, run, &options.run, goes_on, &words, &step)
}

fn settings(run: &TrainRun, task: Task, device: Device) -> TrainSettings {
    TrainSettings {
        task_name: run.task.clone(),
        task,
        objective: run.objective,
        class_weights: None,
        seed: run.seed,
        train: run.train.clone(),
        weights: run.weights.clone(),
        precision: run.precision,
        device,
        processes: Processes::alone(),
        sync_batch_norm: run.sync_batch_norm,
        on_nan: run.on_nan,
    }
}

fn train_data(run: &TrainRun, dataset: &Dataset) -> TrainData {
    let loader = |split| Some(Loader::new(dataset.split(split)?.clone(), run.data.loader()));
    TrainData {
        train: loader(Split::Train).expect("every set has training samples"),
        validation: loader(Split::Validation),
        test: loader(Split::Test).filter(|_| run.train.test_every_epoch),
    }
}

/// What came out, each score under its own name.
fn summary(run: &TrainRun, folder: &RunFolder) -> Result<String> {
    let About { classes, targets, .. } = folder.about()?;
    let score = dataset::task(classes.len(), targets).score_name();
    let epoch = |event| if let Event::Epoch(report) = event { Some(report) } else { None };
    let epochs: Vec<EpochReport> = log::readable_events(folder.path())?.into_iter().filter_map(epoch).collect();
    let last = epochs.last().ok_or_else(|| Error::run("the run has no epoch"))?;
    let mut text = format!("last epoch: training {score} {}\n", percent(last.train.score));
    if let Some(validation) = &last.validation {
        text += &format!("last epoch: validation {score} {}\n", percent(validation.score));
    }
    let best = |score: fn(&EpochReport) -> Option<f64>| {
        let scored = epochs.iter().filter_map(|epoch| Some((epoch.epoch, score(epoch)?)));
        scored.reduce(|best, next| if next.1 > best.1 { next } else { best })
    };
    if let Some((epoch, score)) = best(|epoch| Some(epoch.validation.as_ref()?.score)) {
        text += &format!("best on validation: {} in epoch {epoch}\n", percent(score));
    }
    if let Some(test) = &last.test {
        text += &format!("last epoch: test {score} {}\n", percent(test.score));
    }
    if let Some((epoch, score)) = best(|epoch| Some(epoch.test.as_ref()?.score)) {
        text += &format!("best on test (reference protocol): {} in epoch {epoch}\n", percent(score));
    }
    let path = folder.path().display();
    let data = if run.data.source.as_deref() == Some("synthetic") { ", synthetic data" } else { "" };
    Ok(text + &format!("run folder: {path} ({}{data})\nnext:       sgas eval --run {}\n", run.task, folder.typed()))
}

//! `sgas search`: finds a cell.

use super::estimate::{self, StepData, Words};
use super::keeper::RunKeeper;
use super::observers::{self, Watched};
use super::run_folder::{About, RunFolder};
use super::{GlobalOptions, SearchOptions, dataset, device, logging, print, show};
use crate::config::{RunConfig, SearchRun, tasks};
use crate::data::{Dataset, Loader, Split, Targets};
use crate::decision::Choice;
use crate::dist::Processes;
use crate::error::{Error, Result};
use crate::files::check_place;
use crate::genotype::{Genotype, SpaceName};
use crate::model;
use crate::panics;
use crate::report::{Event, Observer, drawing};
use crate::search::{AlphaData, Search, SearchData, SearchSettings, state};
use crate::step::{self, StepBatch};
use crate::task::Task;
use crate::topology::CellKind;
use serde_json::json;
use std::io::Write;
use std::time::Instant;
use tch::Device;

/// Searches a cell and leaves the run folder; prints the cell and the next command.
///
/// # Errors
/// Options, data or a run folder that won't do; a search that fails.
pub fn run(options: &SearchOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let begun = Instant::now();
    let mut run = options.resolve()?;
    if let Some(path) = &options.save {
        check_place("--save", path)?;
    }
    let device = device::prepare(global)?;
    run.precision = device::precision_of_run(run.precision, options.run.amp, device)?;
    let dataset = load_data(&mut run, device)?;
    if let Some(dataset) = &dataset {
        run.search.batch = batch(&run, dataset, device, options)?;
    }
    let folder = match (&options.run.out, options.run.resume) {
        (Some(path), true) => RunFolder::begun(path, "search")?,
        (path, _) => RunFolder::create("search", &run.task, run.seed, path.as_deref())?,
    };
    let searched = || search(&run, dataset.as_ref(), &folder, device, options, global, begun);
    let genotype =
        panics::as_errors(searched).map_err(|error| error.with_memory_hint(|| estimate::advice(&run, None)))?;
    print(out, &show::cells_text(&genotype))?;
    print(out, &next_command(&run, &folder))
}

/// The data of a search that trains; a random search needs none.
fn load_data(run: &mut SearchRun, device: Device) -> Result<Option<Dataset>> {
    if !run.search.strategy.trains {
        // Nothing is trained, whatever the configuration says.
        run.search.epochs = None;
        return Ok(None);
    }
    let dataset = dataset::open(run, device)?;
    check_alpha_data(run, &dataset)?;
    dataset::require_batches("search.batch", &dataset, run.search.batch, false)?;
    Ok(Some(dataset))
}

/// The alphas' data is a part of the set itself, or a share that the configuration holds out.
fn check_alpha_data(run: &SearchRun, dataset: &Dataset) -> Result<()> {
    if run.search.alpha_data == AlphaData::Validation && dataset.validation.is_none() {
        let found = run.data.validation.to_string();
        return Err(Error::invalid("data.validation", "a share above 0 for the alphas to learn from", found)
            .with_hint("set data.validation = 0.5, or search.alpha_data = \"test\" for the published protocol"));
    }
    Ok(())
}

fn search(
    run: &SearchRun,
    dataset: Option<&Dataset>,
    folder: &RunFolder,
    device: Device,
    options: &SearchOptions,
    global: &GlobalOptions,
    begun: Instant,
) -> Result<Genotype> {
    let space = run.space();
    let (classes, channels) = dataset.map_or((2, 3), |dataset| (dataset.classes.len(), dataset.channels));
    let spec = run.network(classes, channels);
    let mut strategy = run.search.strategy.strategy(space, run.decision.clone());
    let scale = run.search.strategy.initial_scale.unwrap_or(run.alphas.initial_scale);
    let mut model = model::wrapped_supernet(space, &spec, scale, run.seed, device, strategy.wrapping().as_ref());
    let targets = dataset.map_or(Targets::Classes, |dataset| dataset.targets);
    let task = dataset::task(classes, targets);
    run.objective.map_or(Ok(()), |objective| objective.require(task))?;
    let settings = settings(run, task, device);
    let mut search = Search::new(&settings, &mut *model, &mut *strategy);
    let mut keeper = RunKeeper::new(folder);
    if options.run.resume {
        keeper.resume(|checkpoint, origin| state::restore(&mut search, checkpoint, origin))?;
    }
    let data = dataset.map_or_else(|| "none".to_owned(), Dataset::description);
    let classes = dataset.map_or(&[][..], |dataset| &dataset.classes);
    folder.describe(&About::new("search", &run.task, data, classes, targets), &run.to_toml())?;
    logging::follow(&folder.log())?;
    tell(run, dataset);
    let score_name = task.score_name();
    let watched = Watched { command: "search", task: &run.task, score_name, device, drawn: Some(space) };
    let mut observers = observers::of_run(folder, &watched, global)?;
    let data = dataset.map(|dataset| search_data(run, dataset));
    search.run(data.as_ref(), &mut observers, &mut keeper)?;
    let genotype = genotype(run, space, &search.cells());
    save(&genotype, folder, options)?;
    observers.observe(&Event::Finished { seconds: begun.elapsed().as_secs_f64() })?;
    Ok(genotype)
}

/// The batch that the search begins with; tells what a step of it needs of memory.
fn batch(run: &SearchRun, dataset: &Dataset, device: Device, options: &SearchOptions) -> Result<usize> {
    let space = run.space();
    let task = dataset::task(dataset.classes.len(), dataset.targets);
    let alphas = dataset.split(alpha_split(run)).map(|samples| (&**samples, run.search.alpha_batch));
    let kind = tasks::find(&run.task)?.set.kind();
    let data = StepData { device, task, seed: run.seed, kind, train: &*dataset.train, alphas };
    let settings = settings(run, task, device);
    let spec = run.network(dataset.classes.len(), dataset.channels);
    let step = |batch: &StepBatch| {
        let mut strategy = run.search.strategy.strategy(space, run.decision.clone());
        let scale = run.search.strategy.initial_scale.unwrap_or(run.alphas.initial_scale);
        let mut model = model::wrapped_supernet(space, &spec, scale, run.seed, device, strategy.wrapping().as_ref());
        step::try_step(&mut Search::new(&settings, &mut *model, &mut *strategy), batch)
    };
    let later = |batch| match run.search.batch_growth {
        0 => String::new(),
        growth => {
            let most = batch + growth * space.topology().decision_count();
            format!("; batches grow by {growth} after every deciding epoch, to {most} at most, while edges leave")
        }
    };
    let first = "an estimate for the first epoch, with all edges open";
    let words = Words { first, later: &later, learning_rate: run.weights.learning_rate };
    estimate::batch_of_run(&data, run, &options.run, &words, &step)
}

/// What the alphas learn from.
fn alpha_split(run: &SearchRun) -> Split {
    match run.search.alpha_data {
        AlphaData::Validation => Split::Validation,
        AlphaData::Test => Split::Test,
    }
}

fn settings(run: &SearchRun, task: Task, device: Device) -> SearchSettings {
    SearchSettings {
        task_name: run.task.clone(),
        task,
        objective: run.objective,
        seed: run.seed,
        search: run.search.clone(),
        weights: run.weights.clone(),
        alphas: run.alphas.clone(),
        precision: run.precision,
        device,
        processes: Processes::alone(),
    }
}

fn search_data(run: &SearchRun, dataset: &Dataset) -> SearchData {
    let split = alpha_split(run);
    let loader = |split| {
        let samples = dataset.split(split).expect("a share for the alphas was asked for");
        Loader::new(samples.clone(), run.data.loader())
    };
    SearchData { train: loader(Split::Train), alphas: loader(split) }
}

/// What a reader of the log must know.
fn tell(run: &SearchRun, dataset: Option<&Dataset>) {
    if let Some(dataset) = dataset {
        tracing::info!("data: {}", dataset.description());
    }
    if let Some(remark) = tasks::find(&run.task).ok().and_then(|task| task.remark) {
        tracing::info!("{remark}");
    }
    if run.search.alpha_data == AlphaData::Test {
        tracing::warn!("published protocol: the alphas learn from the test split, so its scores tell nothing");
    }
}

fn genotype(run: &SearchRun, space: SpaceName, choices: &[(CellKind, Vec<Choice>)]) -> Genotype {
    let cell = |wanted: CellKind| choices.iter().find(|(kind, _)| *kind == wanted).map(|(_, cell)| &cell[..]);
    let normal = cell(CellKind::Normal).expect("every space has normal cells");
    let mut genotype = Genotype::from_choices(space, normal, cell(CellKind::Reduce));
    genotype.task = Some(run.task.clone());
    let provenance = json!({
        "strategy": run.search.strategy,
        "criterion": run.decision.criterion,
        "seed": run.seed,
        "version": env!("CARGO_PKG_VERSION"),
    });
    genotype.extra.insert("search".to_owned(), provenance);
    genotype
}

fn save(genotype: &Genotype, folder: &RunFolder, options: &SearchOptions) -> Result<()> {
    genotype.save(folder.genotype())?;
    if let Some(path) = &options.save {
        genotype.save(path)?;
    }
    for kind in genotype.space.kinds() {
        let cell = genotype.cell(*kind).expect("searches read every kind off");
        drawing::write_cell(&folder.file(&format!("cell-{kind}.svg")), &format!("{kind} cell"), cell)?;
    }
    Ok(())
}

/// The command that comes next, with the data where it is not the task's own. What is searched on ModelNet10 the
/// paper retrains on ModelNet40.
fn next_command(run: &SearchRun, folder: &RunFolder) -> String {
    let is_own = tasks::find(&run.task).is_ok_and(|task| task.set.folders().is_empty());
    let data = match run.data.source.as_deref() {
        Some("synthetic") => " --data synthetic".to_owned(),
        Some(folder) if is_own => format!(" --data {folder}"),
        _ => String::new(),
    };
    let path = folder.path().display();
    let trained_on = tasks::find(&run.task).ok().and_then(|task| task.trained_on);
    let task = trained_on.map_or(String::new(), |task| format!(" --task {task}"));
    format!("run folder: {path}\ndrawings:   {path}/cell-*.svg\nnext:       sgas train --genotype {path}{task}{data}\n")
}

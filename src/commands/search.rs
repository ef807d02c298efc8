//! `sgas search`: finds a cell.

use super::estimate::{self, StepData, Words};
use super::observers::Watched;
use super::outputs::{GENOTYPE, print_then_write};
use super::resolve::by_some_recipe;
use super::run_folder::{About, RunFolder};
use super::session::{self, GoingOn, Parts, Session, Stage};
use super::{GlobalOptions, SearchOptions, candidates, dataset, device, processes, show};
use crate::config::{self, RunConfig, SearchRun, Sources, TrainRun, tasks};
use crate::data::{Dataset, Loader, Split, Targets};
use crate::decision::{Choice, Table, shares_of_reading};
use crate::dist::Processes;
use crate::error::{Error, Result};
use crate::files::Output;
use crate::genotype::{Genotype, SpaceName};
use crate::model::{self, Architecture, ModelConfig, NetworkKind, NetworkSpec, SearchModel};
use crate::panics;
use crate::report::history::History;
use crate::report::{AlphaReport, Change, Event, Observer, drawing};
use crate::search::candidates::Candidates;
use crate::search::limits::{Bound, LimitConfig, Limits};
use crate::search::{AlphaData, Search, SearchData, SearchSettings, Strategy, state};
use crate::step::class_weights;
use crate::step::{self, StepBatch};
use crate::task::Task;
use crate::tensor::convolution::{Layout, set_cuda_layout};
use crate::topology::CellKind;
use crate::visible::for_shell;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;
use tch::Device;

/// The share of replicas that must decide alike for a decision to count as sure.
const SURE: f64 = 0.95;

/// Searches a cell and leaves the run folder; prints the cell and the next command.
///
/// # Errors
/// Options, data or a run folder that won't do; a search that fails, or that a signal stopped.
pub fn run(options: &SearchOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let begun = Instant::now();
    let typed = |variant: Option<&str>| options.resolve(None, variant);
    let (typed, refused) = (!options.run.resume).then(|| by_some_recipe(typed)).transpose()?.unzip();
    let saved = options.save_place()?;
    let device = device::prepare(global)?;
    set_cuda_layout(Layout::SEARCH);
    let settled = |mut run: SearchRun| {
        run.precision = device::precision_of_run(run.precision, options.run.amp, device)?;
        // Without a supernet the plan of the trainings says, whatever the configuration says.
        run.search.epochs = run.search.epochs.filter(|_| run.search.has_supernet());
        Ok(run)
    };
    let processes = processes::meet(device)?;
    let mut going_on = None;
    let (mut run, stage): (SearchRun, Stage) = processes.from_first(|| {
        going_on = session::find(&options.run, |variant| options.resolve(None, variant).and_then(settled))?;
        let begun_with = going_on.as_ref().map(|going_on| &going_on.begun);
        let run = settled(typed.map_or_else(|| options.resolve(begun_with, None), Ok)?)?;
        let Some(going_on) = &going_on else { return Ok((run, Stage::New)) };
        going_on.check(&run, None, &options.run.resume_anyway)?;
        let stage = going_on.stage(&run);
        Ok((run, stage))
    })?;
    let place = || saved.map_or_else(|| begun_place(going_on.as_ref(), options), |place| Ok(Some(place)));
    let saved = if processes.leads() { place()? } else { None };
    if stage == Stage::Finished {
        let Some(GoingOn { folder, .. }) = going_on else { return Ok(()) };
        tracing::info!("{} is finished", folder.path().display());
        return finish(&Genotype::load(folder.genotype())?, &run, &folder, saved.as_ref(), out);
    }
    let by_variant = |variant: &str| options.resolve(None, Some(variant)).and_then(settled);
    let fixed = stage == Stage::GoesOn || options.run.config.is_some();
    let dataset = load_data(&mut run, device, &processes, (!fixed).then_some(by_variant), refused.flatten());
    let dataset = processes.together(dataset)?;
    if let Some(dataset) = &dataset {
        run.search.batch = processes.from_first(|| batch(&run, dataset, device, options, stage == Stage::GoesOn))?;
    }
    let searched = || search(&run, dataset.as_ref(), device, options, global, &processes, going_on, begun);
    let (genotype, folder) =
        panics::as_errors(searched).map_err(|error| error.with_memory_hint(|| estimate::advice(&run, None)))?;
    folder.map_or(Ok(()), |folder| finish(&genotype, &run, &folder, saved.as_ref(), out))
}

/// Where the cell is written as well, as a run that goes on began.
fn begun_place(going_on: Option<&GoingOn<SearchRun>>, options: &SearchOptions) -> Result<Option<Output>> {
    let path = going_on.and_then(GoingOn::save);
    path.map(|path| Output::new("--save", &path, GENOTYPE, options.force)).transpose()
}

fn finish(
    genotype: &Genotype,
    run: &SearchRun,
    folder: &RunFolder,
    saved: Option<&Output>,
    out: &mut dyn Write,
) -> Result<()> {
    let save = || saved.map_or(Ok(()), |place| place.write(genotype.to_json().as_bytes()));
    print_then_write(out, &show::cells_text(genotype), save, &next_command(run, folder))
}

/// The data of a search that trains; a random search needs none.
fn load_data(
    run: &mut SearchRun,
    device: Device,
    processes: &Processes,
    by_variant: Option<impl FnOnce(&str) -> Result<SearchRun>>,
    refused: Option<Error>,
) -> Result<Option<Dataset>> {
    if !run.search.needs_data() {
        return Ok(None);
    }
    let dataset = dataset::open_by_variant(run, device, by_variant, refused)?;
    check_alpha_data(run, &dataset)?;
    dataset::require_batches("search.batch", &dataset, run.search.batch, false, processes.share())?;
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

/// Gives the cell, and the folder where this process has it.
#[expect(clippy::too_many_arguments, reason = "the parts of one run, each made once by the caller")]
fn search(
    run: &SearchRun,
    dataset: Option<&Dataset>,
    device: Device,
    options: &SearchOptions,
    global: &GlobalOptions,
    processes: &Processes,
    going_on: Option<GoingOn<SearchRun>>,
    begun: Instant,
) -> Result<(Genotype, Option<RunFolder>)> {
    let space = run.space();
    let (classes, channels) = dataset.map_or((2, 3), |dataset| (dataset.classes.len(), dataset.channels));
    let spec = run.network(classes, channels);
    let targets = dataset.map_or(Targets::Classes, |dataset| dataset.targets);
    let task = dataset::task(classes, targets);
    run.objective.map_or(Ok(()), |objective| objective.require(task))?;
    let limits = limits(run, dataset)?;
    let data = dataset.map(|dataset| search_data(run, dataset));
    let weigh =
        |data: &SearchData| class_weights::of(run.search.class_weights, run.objective.is_some(), task, &data.train);
    let class_weights = data.as_ref().map(weigh).transpose()?.flatten();
    let settings =
        SearchSettings { limits, class_weights, processes: processes.clone(), ..settings(run, task, device) };
    let description = dataset.map_or_else(|| "none".to_owned(), Dataset::description);
    let names = dataset.map_or(&[][..], |dataset| &dataset.classes);
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let saved = going_on.as_ref().and_then(GoingOn::save);
    let watched = Watched {
        command: "search",
        task: &run.task,
        score_name: task.score_name(),
        device,
        drawn: Some(space),
        tensorboard: options.run.tensorboard,
    };
    let parts = Parts {
        run,
        options: &options.run,
        global,
        processes,
        about: About::new("search", &run.task, description, names, targets),
        genotype: None,
        data: dataset.map(|dataset| dataset::identity(dataset, run)).transpose()?,
        save: options.save.as_ref().map(absolute).or(saved),
        watched,
    };
    let mut session = Session::open(parts, going_on)?;
    tell(run, dataset);
    let genotype = session.run(|session| {
        let (mut observers, genotype) = match run.search.plan()? {
            None => {
                let (mut strategy, mut model) = fresh(run, &spec, device)?;
                let mut search = Search::new(&settings, &mut *model, &mut *strategy);
                let observers = session.go(&mut search, data.as_ref(), state::restore)?;
                let cells = search.cells();
                if let Some(folder) = session.folder() {
                    tell_confidence(space, &*strategy, &History::read(folder.path())?);
                }
                (observers, genotype(run, space, &cells, session.changes_so_far()))
            }
            Some(plan) => {
                let mut search = Candidates::new(&settings, space, &spec, plan)?;
                let observers = session.go(&mut search, data.as_ref(), Candidates::restore)?;
                if let Some(folder) = session.folder() {
                    candidates::write(&search, space, &folder.file(candidates::FILE))?;
                }
                let chosen = &search.cells()[search.chosen()];
                (observers, genotype(run, space, chosen, session.changes_so_far()))
            }
        };
        session.folder().map_or(Ok(()), |folder| write(&genotype, folder))?;
        observers.observe(&Event::Finished { seconds: begun.elapsed().as_secs_f64() })?;
        Ok(genotype)
    })?;
    Ok((genotype, session.folder().cloned()))
}

/// The strategy and the supernet of a search that has not begun.
fn fresh(run: &SearchRun, spec: &NetworkSpec, device: Device) -> Result<(Box<dyn Strategy>, Box<dyn SearchModel>)> {
    let (space, chosen) = (run.space(), &run.search.strategy);
    let strategy = run.search.compose(space, &run.decision)?;
    let scale = chosen.initial_scale.unwrap_or(run.alphas.initial_scale);
    let mut parts = run.search.supernet_parts(space, spec.model.channels)?;
    parts.wrapping = strategy.wrapping();
    let model = model::composed_supernet(space, spec, scale, run.seed, device, &parts);
    Ok((strategy, model))
}

/// What bounds the found cell, counted in networks of the training.
///
/// # Errors
/// A configuration that is none of a training of such cells; bounds that no cell meets.
fn limits(run: &SearchRun, dataset: Option<&Dataset>) -> Result<Option<Limits>> {
    let LimitConfig { params, macs, ref config } = run.search.limits;
    if !run.search.limits.is_set() {
        return Ok(None);
    }
    let space = run.space();
    let suited = dataset.map(|dataset| dataset::variant(dataset, &run.task, Some(NetworkKind::Cells(space))));
    let variant = suited.transpose()?.flatten().map(|variant| variant.name);
    let named = match config {
        Some(config) => Sources { config: Some(config), ..Sources::default() },
        None => Sources { task: Some(&run.task), space: Some(space.name()), variant, ..Sources::default() },
    };
    let mut training: TrainRun = config::resolve(&named)?;
    training.set_network(NetworkKind::Cells(space), "search.limits.config")?;
    let (classes, channels) = dataset.map_or((2, 3), |dataset| (dataset.classes.len(), dataset.channels));
    let mut spec = training.network(classes, channels);
    spec.image.auxiliary = false;
    let side = training.data.images.size as i64;
    let bounds = [
        params.map(|most| Bound { flag: "--max-params", what: "weights", most }),
        macs.map(|most| Bound { flag: "--max-macs", what: "multiply-adds", most }),
    ];
    let bounds: Vec<Bound> = bounds.into_iter().flatten().collect();
    let count = move |genotype: &Genotype| {
        let params = params.map(|_| {
            let architecture = Architecture::Cell(Box::new(genotype.clone()));
            Ok(model::parameter_count(&architecture, &spec) as u64)
        });
        let macs = macs.map(|_| model::multiply_adds(genotype, &spec, side).map(|count| count.all));
        params.into_iter().chain(macs).collect()
    };
    let ModelConfig { cells, channels } = training.model;
    let limits = Limits::new(space, bounds, Rc::new(count))?;
    tracing::info!("the cell found has {} in a network of {cells} cells and {channels} channels", limits.words());
    Ok(Some(limits))
}

/// The batch that the search begins with; tells what a step of it needs of memory.
fn batch(run: &SearchRun, dataset: &Dataset, device: Device, options: &SearchOptions, goes_on: bool) -> Result<usize> {
    let space = run.space();
    let task = dataset::task(dataset.classes.len(), dataset.targets);
    let alphas = dataset.split(alpha_split(run)).map(|samples| (&**samples, run.search.alpha_batch));
    let kind = tasks::find(&run.task)?.set.kind;
    let data = StepData { device, task, seed: run.seed, kind, train: &*dataset.train, alphas };
    let settings = settings(run, task, device);
    let spec = run.network(dataset.classes.len(), dataset.channels);
    let plan = run.search.plan()?;
    let step = |batch: &StepBatch| {
        if let Some(plan) = &plan {
            return step::try_step(&mut Candidates::new(&settings, space, &spec, plan.clone())?, batch);
        }
        let (mut strategy, mut model) = fresh(run, &spec, device)?;
        step::try_step(&mut Search::new(&settings, &mut *model, &mut *strategy), batch)
    };
    let later = |batch| match run.search.batch_growth {
        _ if !run.search.has_supernet() => String::new(),
        0 => String::new(),
        growth => {
            let most = batch + growth * space.topology().decision_count();
            format!("; batches grow by {growth} after every deciding epoch, to {most} at most, while edges leave")
        }
    };
    let first = match run.search.has_supernet() {
        true => "an estimate for the first epoch, with all edges open",
        false => "an estimate for the first cell",
    };
    let words = Words { first, later: &later, learning_rate: run.weights.learning_rate };
    estimate::batch_of_run(&data, run, &options.run, goes_on, &words, &step)
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
        class_weights: None,
        seed: run.seed,
        search: run.search.clone(),
        limits: None,
        weights: run.weights.clone(),
        alphas: run.alphas.clone(),
        precision: run.precision,
        device,
        processes: Processes::alone(),
        sync_batch_norm: run.sync_batch_norm,
        on_nan: run.on_nan,
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

/// How many decisions, or edges of a cell that was read off, would have been the same, had the noise of the search fallen
/// otherwise; what was before a resume counts.
fn tell_confidence(space: SpaceName, strategy: &dyn Strategy, history: &History) {
    let decided = history.decisions.iter().filter_map(|decision| decision.confidence);
    let mut sure: Vec<bool> = decided.map(|confidence| confidence.reaches(SURE)).collect();
    let mut what = "decisions";
    // Where shares are drawn, alphas are no logits of theirs.
    if history.decisions.is_empty() && strategy.mixture(0).is_none() {
        what = "edges of the cell";
        sure = reading(space, strategy, history).into_iter().map(|share| share >= SURE).collect();
    }
    if sure.is_empty() {
        return;
    }
    let (same, of, percent) = (sure.iter().filter(|sure| **sure).count(), sure.len(), 100.0 * SURE);
    let line = format!("{same} of {of} {what} are the same in {percent} % of the replicas of this search's noise");
    if same == of {
        tracing::info!("{line}");
    } else {
        tracing::warn!(
            "{line}; for the others another --seed may find otherwise. Search with several seeds and train what each \
             finds, or let the alphas learn longer (search.steps, decision.warmup, decision.interval)"
        );
    }
}

/// In what share of replicas each edge of a cell that is read off at the end is the same; of all kinds of cells.
fn reading(space: SpaceName, strategy: &dyn Strategy, history: &History) -> Vec<f64> {
    let shares = space.kinds().iter().filter_map(|kind| {
        let reports: Vec<&AlphaReport> = history.alphas.iter().filter(|report| report.kind == *kind).collect();
        let states = &reports.last()?.states;
        let past: Vec<Table> = reports.iter().map(|report| report.alphas.clone()).collect();
        shares_of_reading(space.topology(), &past, |alphas| strategy.read(space, alphas, states))
    });
    shares.flatten().collect()
}

fn genotype(run: &SearchRun, space: SpaceName, choices: &[(CellKind, Vec<Choice>)], changes: &[Change]) -> Genotype {
    let cell = |wanted: CellKind| choices.iter().find(|(kind, _)| *kind == wanted).map(|(_, cell)| &cell[..]);
    let normal = cell(CellKind::Normal).expect("every space has normal cells");
    let mut genotype = Genotype::from_choices(space, normal, cell(CellKind::Reduce));
    genotype.task = Some(run.task.clone());
    let mut provenance = json!({
        "strategy": run.search.strategy,
        "criterion": run.decision.criterion,
        "seed": run.seed,
        "version": env!("CARGO_PKG_VERSION"),
    });
    if let Some(selection) = run.search.selection {
        provenance["selection"] = json!(selection);
    }
    if let Some(mixture) = run.search.mixture {
        provenance["mixture"] = json!(mixture);
    }
    if let Some(parts) = run.search.partial_channels {
        provenance["partial_channels"] = json!(parts);
    }
    if run.search.edge_weights {
        provenance["edge_weights"] = json!(true);
    }
    if let Some(freezing) = run.search.freezing {
        provenance["freezing"] = json!(freezing);
    }
    if let Some(regularizer) = run.search.regularizer {
        provenance["regularizer"] = json!(regularizer);
    }
    if !changes.is_empty() {
        provenance["changes"] = json!(changes);
    }
    genotype.extra.insert("search".to_owned(), provenance);
    genotype
}

fn write(genotype: &Genotype, folder: &RunFolder) -> Result<()> {
    genotype.save(folder.genotype())?;
    for kind in genotype.space.kinds() {
        let cell = genotype.cell(*kind).expect("searches read every kind off");
        drawing::write_cell(&folder.file(&format!("cell-{kind}.svg")), &format!("{kind} cell"), cell)?;
    }
    Ok(())
}

/// The command that comes next, with the data where it is not the task's own. What is searched on ModelNet10 the
/// paper retrains on ModelNet40.
fn next_command(run: &SearchRun, folder: &RunFolder) -> String {
    let is_own = tasks::find(&run.task).is_ok_and(|task| task.set.folders.is_empty());
    let data = match run.data.source.as_deref() {
        Some("synthetic") => " --data synthetic".to_owned(),
        Some(folder) if is_own => format!(" --data {}", for_shell(folder)),
        _ => String::new(),
    };
    let path = folder.path().display();
    let trained_on = tasks::find(&run.task).ok().and_then(|task| task.trained_on);
    let task = trained_on.map_or(String::new(), |task| format!(" --task {task}"));
    let genotype = folder.typed();
    format!(
        "run folder: {path}\ndrawings:   {path}/cell-*.svg\nnext:       sgas train --genotype {genotype}{task}{data}\n"
    )
}

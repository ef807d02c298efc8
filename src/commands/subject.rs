//! What the page tells of a run, gathered from its folder. What is damaged or missing is said on the page.

use crate::batch::BatchKind;
use crate::commands::run_folder::RunFolder;
use crate::commands::{dataset, keeper, lock};
use crate::config::{self, RunConfig, SearchRun, TrainRun, tasks};
use crate::error::Result;
use crate::genotype::{Genotype, SpaceName};
use crate::model::NetworkKind;
use crate::reading;
use crate::report::Phases;
use crate::report::append::EVENTS_FILE;
use crate::report::history::{History, Standing};
use crate::report::page::{Examples, Subject};
use crate::visible::for_shell;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;

/// Splits that may have been evaluated, those that matter most first.
const SPLITS: [&str; 3] = ["test", "validation", "train"];

/// What a configuration says of a run.
#[derive(Default)]
struct Settings {
    method: Option<String>,
    space: Option<SpaceName>,
    seed: Option<u64>,
}

/// What could not be read so far.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn kept<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error.to_string())).ok()
    }
}

/// All that the folder holds.
///
/// # Errors
/// A run that does not say what it is.
pub fn of(folder: &RunFolder) -> Result<Subject> {
    let about = folder.about()?;
    let is_search = about.command == "search";
    let mut problems = Problems::default();
    let config = problems.kept(reading::text(&folder.config(), reading::CONFIGURATION)).unwrap_or_default();
    let settings = match is_search {
        true => config::read(&folder.config()).map(|run: SearchRun| of_search(&run)),
        false => config::read(&folder.config()).map(|run: TrainRun| of_training(&run)),
    };
    let settings = problems.kept(settings).unwrap_or_default();
    let genotype = folder.genotype();
    let genotype = genotype.is_file().then(|| Genotype::load(&genotype)).and_then(|cell| problems.kept(cell));
    let space = settings.space.or(genotype.as_ref().map(|cell| cell.space));
    let history = problems.kept(History::read(folder.path())).unwrap_or_default();
    let history = match space {
        Some(space) => history.fitting(space),
        None => history,
    };
    let machine = keeper::identity(folder).map(|identity| identity.machine).unwrap_or_default();
    let mut subject = Subject {
        name: folder.name(),
        score: dataset::task(about.classes.len(), about.targets).score_name().to_owned(),
        command: about.command,
        task: about.task,
        version: about.version,
        data: about.data,
        method: settings.method,
        space,
        seed: settings.seed,
        changed: std::fs::metadata(folder.file(EVENTS_FILE)).and_then(|file| file.modified()).ok(),
        is_worked_on: lock::is_held(&folder.checkpoint().join(lock::FILE)),
        commands: commands(folder, is_search, genotype.is_some(), &machine, history.standing),
        evaluations: SPLITS.iter().filter_map(|split| read(folder, "eval", split, &mut problems)).collect(),
        examples: SPLITS
            .iter()
            .filter_map(|split| read::<Examples>(folder, "examples", split, &mut problems))
            .collect(),
        machine: machine.into_iter().filter(|(name, _)| name != "sgas").collect(),
        history,
        genotype,
        config,
        missing: Vec::new(),
        problems: Vec::new(),
    };
    subject.missing = missing(folder, &subject, is_search);
    subject.problems = problems.0;
    Ok(subject)
}

fn of_search(run: &SearchRun) -> Settings {
    Settings { method: Some(run.method()), space: Some(run.space()), seed: Some(run.seed) }
}

fn of_training(run: &TrainRun) -> Settings {
    let (method, space) = match run.network_kind() {
        NetworkKind::Cells(space) => (format!("cell of the {space} space"), Some(space)),
        NetworkKind::HandDesigned(network) => (network.name().to_owned(), None),
    };
    Settings { method: Some(method), space, seed: Some(run.seed) }
}

/// `<what>-<split>.json`, where it is there.
fn read<T: DeserializeOwned>(folder: &RunFolder, what: &str, split: &str, problems: &mut Problems) -> Option<T> {
    let path = folder.file(&format!("{what}-{split}.json"));
    if !path.is_file() {
        return None;
    }
    let text = problems.kept(reading::text(&path, reading::DESCRIPTION))?;
    let read = serde_json::from_str(&text);
    problems.kept(read.map_err(|error| crate::error::Error::invalid(&path, "what sgas eval writes", error.to_string())))
}

/// The commands that do the same again, each with what it does.
fn commands(
    folder: &RunFolder,
    is_search: bool,
    has_cell: bool,
    machine: &BTreeMap<String, String>,
    standing: Standing,
) -> Vec<(String, String)> {
    let typed = |path: &Path| for_shell(path.display().to_string());
    let name = if is_search { "search" } else { "train" };
    let cell = match !is_search && has_cell {
        true => format!(" --genotype {}", typed(&folder.genotype())),
        false => String::new(),
    };
    let on = |name: &str| machine.get(name).map(String::as_str);
    let device =
        on("device").map_or("", |device| if device == "processor" { " --device cpu" } else { " --device cuda" });
    let threads = on("threads").filter(|count| count.parse::<usize>().is_ok());
    let threads = threads.map_or_else(String::new, |count| format!(" --threads {count}"));
    let deterministic = if on("deterministic") == Some("true") { " --deterministic" } else { "" };
    let again = folder.path().with_file_name(format!("{}-again", folder.name()));
    let config = typed(&folder.config());
    let repeat = format!("sgas {name} --config {config}{cell}{device}{threads}{deterministic} --out {}", typed(&again));
    let resume = format!("sgas {name} --out {} --resume", folder.typed());
    let mut commands = vec![("The same run again, in another folder:".to_owned(), repeat)];
    if !matches!(standing, Standing::Finished { .. }) {
        commands.push(("Go on with this one, where nobody does:".to_owned(), resume));
    }
    commands
}

/// What the page could show, and the command that adds it.
fn missing(folder: &RunFolder, subject: &Subject, is_search: bool) -> Vec<(String, String)> {
    let mut missing = Vec::new();
    let epochs = &subject.history.epochs;
    let has_weights = !is_search && folder.chosen_weights().is_ok();
    if has_weights && subject.evaluations.is_empty() {
        let what = "The confusion and the scores of every class: no evaluation stands in the run's folder.";
        missing.push((what.to_owned(), format!("sgas eval --run {}", folder.typed())));
    }
    let has_examples = tasks::find(&subject.task).is_ok_and(|task| task.set.kind.batch != BatchKind::Graphs);
    if has_weights && has_examples && subject.examples.is_empty() {
        let what = "Examples of predictions to look at: none stand in the run's folder.";
        missing.push((what.to_owned(), format!("sgas eval --run {} --examples 12", folder.typed())));
    }
    if !epochs.is_empty() && epochs.iter().all(|epoch| epoch.phases == Phases::default() && epoch.gradients.is_empty())
    {
        let what =
            "Norms of gradients, memory, and where the time went: the version that made this run did not record them.";
        missing.push((what.to_owned(), String::new()));
    }
    missing
}

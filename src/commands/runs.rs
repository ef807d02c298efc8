//! `sgas runs`: which runs there are, how they differ, and what of them may go.

use super::lock::{self, RunLock};
use super::options::{Prune, RunKind, RunOrder, RunState, RunsOptions};
use super::run_folder::{self, RunFolder};
use super::{print, text};
use crate::config::{self, RunConfig, SearchRun, TrainRun};
use crate::error::{Error, Result};
use crate::report::history::History;
use crate::report::progress;
use crate::visible::for_shell;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders within folders that are looked into: a study's runs stand three below it.
const DEPTH: usize = 5;

/// What is told of a run.
#[derive(Debug, Clone, Serialize)]
struct Listed {
    path: PathBuf,
    command: String,
    task: String,
    /// How a search chooses, or what kind of network is trained.
    method: String,
    seed: Option<u64>,
    state: RunState,
    epochs_done: usize,
    epochs: usize,
    /// The last score on validation, else on the training samples, in per cent.
    score: Option<f64>,
    /// Whether that was validation.
    validated: bool,
    seconds: f64,
    bytes: u64,
    #[serde(skip)]
    changed: Option<SystemTime>,
    #[serde(skip)]
    config: toml::Table,
}

/// Lists, compares or prunes.
///
/// # Errors
/// Places without runs; files that can't be removed.
pub fn run(options: &RunsOptions, out: &mut dyn Write) -> Result<()> {
    let named = !options.places.is_empty();
    let places = if named { options.places.clone() } else { vec![run_folder::root()] };
    let mut folders = Vec::new();
    for place in &places {
        if named && !place.is_dir() {
            return Err(Error::usage(format!("{}: there is no such folder", place.display())));
        }
        find(place, DEPTH, &mut folders);
    }
    let mut runs: Vec<Listed> = folders.iter().filter_map(|folder| told(folder, options)).collect();
    runs.retain(|run| is_asked(run, options));
    match options.sort {
        RunOrder::Newest => runs.sort_by_key(|run| std::cmp::Reverse((run.changed, run.path.clone()))),
        RunOrder::Name => runs.sort_by(|one, other| one.path.cmp(&other.path)),
        RunOrder::Score => runs.sort_by(|one, other| other.score.unwrap_or(-1.0).total_cmp(&one.score.unwrap_or(-1.0))),
    }
    if let Some(what) = options.prune {
        return prune(&runs, what, options.yes, out);
    }
    let text = match (options.json, options.compare) {
        (true, false) => format!("{:#}\n", json!(runs)),
        (_, true) => compare(&runs, options.json)?,
        (false, false) if runs.is_empty() => {
            let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            format!("no such runs under {}\n", places.join(", "))
        }
        (false, false) => table(&runs),
    };
    print(out, &text)
}

/// The runs below a folder, or the one that it is.
fn find(place: &Path, depth: usize, found: &mut Vec<RunFolder>) {
    if let Ok(run) = RunFolder::open(place) {
        found.push(run);
        return;
    }
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    // Links are not followed: they may lead round.
    let mut folders: Vec<PathBuf> =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect();
    folders.sort();
    if depth > 0 {
        folders.iter().for_each(|folder| find(folder, depth - 1, found));
    }
}

/// What a run says of itself; one whose description is damaged is left out with a warning.
fn told(folder: &RunFolder, options: &RunsOptions) -> Option<Listed> {
    let about = folder.about().inspect_err(|error| tracing::warn!("left out: {error}")).ok()?;
    let history = History::read(folder.path()).unwrap_or_default();
    let last = history.epochs.last();
    let text = config::read_text(&folder.config()).unwrap_or_default();
    let (method, seed) = match about.command.as_str() {
        "search" => config::parse::<SearchRun>("", &text, &[]).map(|run| (run.method(), run.seed)),
        _ => config::parse::<TrainRun>("", &text, &[]).map(|run| (run.network_kind().name().to_owned(), run.seed)),
    }
    .map_or_else(|_| (String::new(), None), |(method, seed)| (method, Some(seed)));
    let state = state(folder);
    let score = last.map(|report| report.validation.as_ref().unwrap_or(&report.train).score);
    Some(Listed {
        command: about.command,
        task: about.task,
        method,
        seed,
        state,
        epochs_done: last.map_or(0, |report| report.epoch + 1),
        epochs: last.map_or(0, |report| report.epochs),
        score: score.map(|score| 100.0 * score),
        validated: last.is_some_and(|report| report.validation.is_some()),
        seconds: history.seconds(),
        bytes: bytes(folder.path()),
        changed: std::fs::metadata(folder.path().join("events.jsonl")).and_then(|data| data.modified()).ok(),
        config: if options.compare { text.parse().unwrap_or_default() } else { toml::Table::new() },
        path: folder.path().to_owned(),
    })
}

/// One is at work whose lock's process is; of other machines that can't be told.
fn state(folder: &RunFolder) -> RunState {
    if folder.is_finished() {
        return RunState::Finished;
    }
    match lock::is_held(&folder.checkpoint().join("lock")) {
        Some(true) => RunState::Running,
        _ => RunState::Unfinished,
    }
}

/// What its files take.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

fn is_asked(run: &Listed, options: &RunsOptions) -> bool {
    let kind = match options.of {
        Some(RunKind::Search) => run.command == "search",
        Some(RunKind::Train) => run.command == "train",
        None => true,
    };
    let is_of_task = options.task.as_ref().is_none_or(|task| *task == run.task);
    kind && is_of_task && options.state.is_none_or(|state| state == run.state)
}

/// A score with a star where it is not of validation.
fn score(run: &Listed) -> String {
    let star = if run.validated { "" } else { "*" };
    run.score.map_or("-".to_owned(), |score| format!("{score:.2}{star}"))
}

fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Finished => "finished",
        RunState::Running => "running",
        RunState::Unfinished => "unfinished",
    }
}

fn table(runs: &[Listed]) -> String {
    let head = ["run", "command", "task", "method", "seed", "state", "epochs", "score, %", "time", "MB"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(runs.iter().map(|run| {
        [
            run.path.display().to_string(),
            run.command.clone(),
            run.task.clone(),
            run.method.clone(),
            run.seed.map_or("-".to_owned(), |seed| seed.to_string()),
            state_name(run.state).to_owned(),
            format!("{}/{}", run.epochs_done, run.epochs),
            score(run),
            progress::words(progress::seconds(run.seconds)),
            format!("{:.1}", run.bytes as f64 / 1e6),
        ]
    }));
    let mut text = text::columns(&rows);
    if runs.iter().any(|run| run.score.is_some() && !run.validated) {
        text += "\n* of the training samples: the run has no part for validation\n";
    }
    text
}

/// The keys in which runs differ, and what they came to.
fn compare(runs: &[Listed], as_json: bool) -> Result<String> {
    if runs.len() < 2 {
        let message = format!("--compare is of two runs or more, and there are {}", runs.len());
        return Err(Error::usage(message).with_hint("name run folders, or a folder with several runs"));
    }
    let flat: Vec<Vec<(String, String)>> = runs.iter().map(|run| flatten(&run.config, "")).collect();
    let keys: BTreeSet<&String> = flat.iter().flatten().map(|(key, _)| key).collect();
    let value = |run: usize, key: &str| {
        let found = flat[run].iter().find(|(known, _)| known == key);
        found.map_or("-".to_owned(), |(_, value)| value.clone())
    };
    let differing: Vec<(&String, Vec<String>)> = keys
        .into_iter()
        .map(|key| (key, (0..runs.len()).map(|run| value(run, key)).collect::<Vec<_>>()))
        .filter(|(_, values)| values.iter().any(|value| *value != values[0]))
        .collect();
    if as_json {
        let differing: serde_json::Map<String, serde_json::Value> =
            differing.iter().map(|(key, values)| ((*key).clone(), json!(values))).collect();
        return Ok(format!("{:#}\n", json!({ "runs": runs, "differing": differing })));
    }
    let mut text = table(runs);
    text += "\nkeys that differ, in the order of the runs above (- is not set)\n";
    if differing.is_empty() {
        text += "  none\n";
    }
    let width = differing.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (key, values) in differing {
        text += &format!("  {key:<width$}  {}\n", values.join("  |  "));
    }
    Ok(text)
}

fn flatten(table: &toml::Table, prefix: &str) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for (name, value) in table {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(table) => keys.extend(flatten(table, &name)),
            other => keys.push((name, other.to_string())),
        }
    }
    keys
}

/// Removes, or says what would go.
fn prune(runs: &[Listed], what: Prune, really: bool, out: &mut dyn Write) -> Result<()> {
    let (mut count, mut freed) = (0, 0);
    for run in runs {
        let folder = RunFolder::open(&run.path)?;
        let (path, size) = match (what, run.state) {
            (Prune::Checkpoints, RunState::Finished) => (folder.checkpoint(), bytes(&folder.checkpoint())),
            (Prune::Unfinished, RunState::Unfinished) => (run.path.clone(), run.bytes),
            _ => continue,
        };
        if !path.is_dir() {
            continue;
        }
        // Whoever goes on with it meanwhile keeps it.
        let lock = folder.checkpoint().join("lock");
        let held = if lock.is_file() { RunLock::take_if_free(&lock, "")?.is_none() } else { false };
        if held {
            continue;
        }
        if really {
            std::fs::remove_dir_all(&path).map_err(|error| Error::write(&path, error))?;
        }
        count += 1;
        freed += size;
        let word = if really { "removed" } else { "would remove" };
        print(out, &format!("{word} {} ({:.1} MB)\n", for_shell(path.display().to_string()), size as f64 / 1e6))?;
    }
    let next = if really || count == 0 { "" } else { "; --yes does it" };
    print(out, &format!("{count} in all, {:.1} MB{next}\n", freed as f64 / 1e6))
}

//! The configuration of a run: the sections that the owners define, composed.
//!
//! Layers, the later over the earlier: defaults, file, environment (`SGAS_SECTION__KEY`), `--set`, flags.
//! One mechanism reads both kinds of run; nothing is listed key by key. What a key means and which values it
//! takes stands with its owner.

pub mod embedded;
pub mod keys;
mod layers;
mod run;
pub mod tasks;
mod value;

pub use run::{Common, RunConfig, SearchRun, TrainRun};

use crate::error::{Error, Result};
use crate::reading;
use layers::{Layers, SET};
use std::path::Path;

/// A key that a flag of its own sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// As typed, for errors: `--batch`.
    pub name: &'static str,
    /// Dotted: `search.batch`.
    pub key: String,
    /// What was given.
    pub value: toml::Value,
}

impl Flag {
    /// The flag `name` sets `key` to `value`.
    pub fn new(name: &'static str, key: impl Into<String>, value: impl Into<toml::Value>) -> Self {
        Self { name, key: key.into(), value: value.into() }
    }
}

/// Where the keys of a run come from.
#[derive(Debug, Clone, Default)]
pub struct Sources<'a> {
    /// The resolved configuration of a run that was begun, its name and text: the lowest layer, and the environment
    /// changes it no more.
    pub begun: Option<(&'a str, &'a str)>,
    /// A path or an embedded name; absent: the begun run's, or the task's own.
    pub config: Option<&'a str>,
    /// The task, where it is known before the file is read.
    pub task: Option<&'a str>,
    /// Sizes that stand over the task's own configuration, the name and text of what says them; not over a file.
    pub sizes: Option<(&'a str, &'a str)>,
    /// `section.key=value`, in the order typed.
    pub set: &'a [String],
    /// The space of the cells, where one is named: for it a task may have a configuration of its own.
    pub space: Option<&'a str>,
    /// The variant of the task's own configuration that suits the data, where it has one.
    pub variant: Option<&'a str>,
    /// What other flags set; over everything else.
    pub flags: &'a [Flag],
}

/// Puts a run together from the layers, the environment of the process among them.
///
/// # Errors
/// No task and no file; an unknown task, configuration or key (with the nearest known one); a value of the
/// wrong type or out of its range: each with file or flag, and key.
pub fn resolve<R: RunConfig>(sources: &Sources<'_>) -> Result<R> {
    resolve_with(sources, std::env::vars())
}

fn resolve_with<R: RunConfig>(sources: &Sources<'_>, environment: impl Iterator<Item = (String, String)>) -> Result<R> {
    let mut layers = Layers::default();
    if let Some((name, text)) = sources.begun {
        layers.add_text(name, text)?;
    }
    if sources.begun.is_none() || sources.config.is_some() {
        let (file, text) = base::<R>(sources)?;
        layers.add_text(&file, &text)?;
    }
    if let Some((name, text)) = sources.sizes.filter(|_| sources.begun.is_none() && sources.config.is_none()) {
        layers.add_text(name, text)?;
    }
    for (name, key, text) in environment_keys::<R>(environment.filter(|_| sources.begun.is_none())) {
        layers.add_assignment(&name, &format!("{key}={text}"))?;
    }
    for assignment in sources.set {
        layers.add_assignment(SET, assignment)?;
    }
    if let Some(task) = sources.task {
        layers.add("--task", "task", task.into());
    }
    for flag in sources.flags {
        layers.add(flag.name, &flag.key, flag.value.clone());
    }
    layers.read()
}

/// Reads the `config.toml` of a run folder, with no other layers.
///
/// # Errors
/// A file that is not there or not a configuration of this kind of run.
pub fn read<R: RunConfig>(path: &Path) -> Result<R> {
    parse(&path.display().to_string(), &read_text(path)?, &[])
}

/// The configuration in a text that messages call `place`, with `section.key=value` as typed laid over it.
///
/// # Errors
/// As [`resolve`].
pub fn parse<R: RunConfig>(place: &str, text: &str, set: &[String]) -> Result<R> {
    let mut layers = Layers::default();
    layers.add_text(place, text)?;
    for assignment in set {
        layers.add_assignment(SET, assignment)?;
    }
    layers.read()
}

/// The embedded configuration of this name in the command's folder, with no other layers.
///
/// # Errors
/// A name that is not embedded.
pub fn embedded_run<R: RunConfig>(name: &str) -> Result<R> {
    let (name, text) = embedded::find(R::COMMAND, name)?;
    let mut layers = Layers::default();
    layers.add_text(&name, text)?;
    layers.read()
}

/// The lowest layer: its name and text.
fn base<R: RunConfig>(sources: &Sources<'_>) -> Result<(String, String)> {
    let embedded = |typed: &str| {
        let (name, text) = embedded::find(R::COMMAND, typed)?;
        Ok((format!("embedded config {name}"), text.to_owned()))
    };
    match (sources.config, sources.task) {
        (Some(config), _) if reading::is_there(Path::new(config)) => {
            Ok((config.to_owned(), read_text(Path::new(config))?))
        }
        (Some(config), _) => embedded(config),
        (None, Some(task)) => {
            let known = tasks::find(task).map_err(|error| error.placed(|_| "--task".to_owned()))?;
            // A family of another crate has none, and takes that of the data that is like its own.
            let own = embedded::named(&format!("{}/{task}", R::COMMAND)).is_some();
            let task = if own { task } else { tasks::of_space(known.space).name };
            let of = |part: Option<&str>| part.and_then(|part| embedded::special::<R>(task, part));
            embedded(&of(sources.space).or_else(|| of(sources.variant)).unwrap_or_else(|| task.to_owned()))
        }
        (None, None) => Err(Error::usage(format!("which task? {} needs --task or --config", R::COMMAND))
            .with_hint(format!("for example --task {}; known: {}", tasks::names()[0], tasks::names().join(", ")))),
    }
}

/// The text of a configuration.
///
/// # Errors
/// A file that can't be read.
pub fn read_text(path: &Path) -> Result<String> {
    reading::text(path, reading::CONFIGURATION)
}

/// `SGAS_SECTION__KEY` as (variable, `section.key`, text), ordered by name; `__` also parts a section within one. What is
/// meant for another kind of run (a training's section, during a search) is left out; sections that no run has stay, to be
/// refused.
fn environment_keys<R: RunConfig>(
    environment: impl Iterator<Item = (String, String)>,
) -> Vec<(String, String, String)> {
    let own = sections::<R>();
    let elsewhere = [sections::<SearchRun>(), sections::<TrainRun>()].concat();
    let mut keys: Vec<_> = environment
        .filter_map(|(name, text)| {
            let (section, key) = name.strip_prefix("SGAS_")?.split_once("__")?;
            let (section, key) = (section.to_lowercase(), key.to_lowercase());
            let meant = own.contains(&section) || !elsewhere.contains(&section);
            meant.then(|| (name.clone(), format!("{section}.{}", key.replace("__", ".")), text))
        })
        .collect();
    keys.sort();
    keys
}

/// The names of the sections of a kind of run.
fn sections<R: RunConfig>() -> Vec<String> {
    let table = toml::Table::try_from(R::default()).expect("configurations are plain tables");
    table.into_iter().filter(|(_, value)| value.is_table()).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests;

//! The folder of a study: its plan, a folder for each unit, and who works on it.

use super::plan::{Plan, Unit};
use crate::commands::lock::RunLock;
use crate::commands::run_folder::RunFolder;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::reading;
use crate::visible::for_shell;
use std::path::{Path, PathBuf};

/// The plan, as the study was begun or last gone on with.
pub const PLAN_FILE: &str = "plan.toml";
/// What `sgas eval --json` said of a training.
const SCORES_FILE: &str = "scores.json";
/// Why a unit can't be done.
const FAILURE_FILE: &str = "failed.txt";
/// Who works on a unit.
const CLAIM_FILE: &str = "claim";
/// What its runs said.
const LOG_FILE: &str = "log.txt";

/// A study's folder.
#[derive(Debug, Clone)]
pub struct StudyFolder {
    path: PathBuf,
}

/// How far a unit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Something is left to do.
    Open,
    /// Everything is done.
    Done,
    /// A run of it failed, and why.
    Failed(String),
}

/// What is to be done next for a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its search.
    Search,
    /// Its training.
    Train,
    /// The scores of its trained network.
    Evaluate,
}

impl Step {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Train => "train",
            Self::Evaluate => "eval",
        }
    }
}

impl StudyFolder {
    /// The folder of a study that was begun.
    ///
    /// # Errors
    /// A folder without a plan.
    pub fn begun(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned() };
        match folder.plan_file().is_file() {
            true => Ok(folder),
            false => Err(Error::usage(format!("{}: there is no study: it has no {PLAN_FILE}", path.display()))
                .with_hint("sgas study PLAN --out DIR begins one")),
        }
    }

    /// The folder at `path`, begun by this plan or gone on with. Where the plan is another now, what was run must stand in
    /// it as it was run.
    ///
    /// # Errors
    /// A folder that holds something else, or can't be written; a plan that asks for other flags of what was run.
    pub fn with_plan(path: &Path, plan: &Plan, text: &str) -> Result<Self> {
        let folder = Self { path: path.to_owned() };
        if folder.plan_file().is_file() {
            let old = folder.plan_text()?;
            if old != text {
                folder.check_change(&Plan::parse(&folder.plan_file().display().to_string(), &old)?, plan)?;
                write_atomically(&folder.plan_file(), text.as_bytes())?;
            }
            return Ok(folder);
        }
        // Another process may begin it too, with a plan of the same name.
        let is_ours =
            |name: &std::ffi::OsStr| name == PLAN_FILE || name.to_string_lossy().starts_with(".sgas-partial-");
        let is_free = match std::fs::read_dir(path) {
            Ok(entries) => entries.flatten().all(|entry| is_ours(&entry.file_name())),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if !is_free {
            return Err(Error::usage(format!("--out {}: the folder is not empty, and holds no study", path.display()))
                .with_hint("name a new folder, or that of a study"));
        }
        std::fs::create_dir_all(path).map_err(|error| Error::write(path, error))?;
        write_atomically(&folder.plan_file(), text.as_bytes())?;
        Ok(folder)
    }

    fn check_change(&self, old: &Plan, new: &Plan) -> Result<()> {
        for unit in new.units.iter().filter(|unit| self.of(unit).is_dir()) {
            let other = old.units.iter().find(|other| other.name == unit.name).filter(|other| {
                let same = (&other.search, &other.train) == (&unit.search, &unit.train);
                !same && (self.search(unit).is_some() || self.training(unit).is_some())
            });
            if let Some(other) = other {
                let words = |unit: &Unit| {
                    let parts = [("search", &unit.search), ("train", &unit.train)];
                    let parts = parts
                        .into_iter()
                        .filter_map(|(name, words)| Some(format!("{name} {}", words.as_ref()?.join(" "))));
                    parts.collect::<Vec<_>>().join("; ")
                };
                let message = format!(
                    "{}: {} was run with other flags: {}, and the plan says {} now",
                    self.path.display(),
                    unit.name,
                    words(other),
                    words(unit)
                );
                return Err(Error::usage(message).with_hint(
                    "give the method another name, or the study another folder: methods and seeds may be added",
                ));
            }
        }
        Ok(())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder as it is typed in a command.
    pub fn typed(&self) -> String {
        for_shell(self.path.display().to_string())
    }

    fn plan_file(&self) -> PathBuf {
        self.path.join(PLAN_FILE)
    }

    /// The text of its plan.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn plan_text(&self) -> Result<String> {
        reading::text(&self.plan_file(), reading::CONFIGURATION)
    }

    /// The folder of a unit.
    pub fn of(&self, unit: &Unit) -> PathBuf {
        self.path.join(&unit.name)
    }

    /// Where the run of a step stands.
    pub fn run(&self, unit: &Unit, step: Step) -> PathBuf {
        match step {
            Step::Search => self.of(unit).join("search"),
            Step::Train | Step::Evaluate => self.of(unit).join("train"),
        }
    }

    /// Its search, where it was begun.
    pub fn search(&self, unit: &Unit) -> Option<RunFolder> {
        RunFolder::open(self.run(unit, Step::Search)).ok()
    }

    /// Its training, where it was begun.
    pub fn training(&self, unit: &Unit) -> Option<RunFolder> {
        RunFolder::open(self.run(unit, Step::Train)).ok()
    }

    /// Where the scores of its training stand.
    pub fn scores(&self, unit: &Unit) -> PathBuf {
        self.of(unit).join(SCORES_FILE)
    }

    /// What its runs say goes there.
    pub fn log(&self, unit: &Unit) -> PathBuf {
        self.of(unit).join(LOG_FILE)
    }

    /// What is to be done next; nothing for a unit that is done.
    pub fn next(&self, unit: &Unit) -> Option<Step> {
        let is_open = |run: Option<RunFolder>| !run.is_some_and(|run| run.is_finished());
        if unit.search.is_some() && is_open(self.search(unit)) {
            return Some(Step::Search);
        }
        if unit.train.is_some() && is_open(self.training(unit)) {
            return Some(Step::Train);
        }
        (unit.train.is_some() && !self.scores(unit).is_file()).then_some(Step::Evaluate)
    }

    /// How far it is.
    pub fn state(&self, unit: &Unit) -> State {
        let failure = self.of(unit).join(FAILURE_FILE);
        match self.next(unit) {
            None => State::Done,
            Some(_) if failure.is_file() => {
                let why = reading::text(&failure, reading::DESCRIPTION);
                State::Failed(why.unwrap_or_else(|error| error.to_string()).trim().to_owned())
            }
            Some(_) => State::Open,
        }
    }

    /// Takes a unit for this process; nothing where another has it.
    ///
    /// # Errors
    /// A folder that can't be written.
    pub fn claim(&self, unit: &Unit) -> Result<Option<RunLock>> {
        let folder = self.of(unit);
        std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
        RunLock::take_if_free(&folder.join(CLAIM_FILE), &folder.display().to_string())
    }

    /// Notes that it can't be done.
    ///
    /// # Errors
    /// A folder that can't be written.
    pub fn fail(&self, unit: &Unit, why: &str) -> Result<()> {
        write_atomically(&self.of(unit).join(FAILURE_FILE), format!("{why}\n").as_bytes())
    }

    /// Forgets that it failed.
    ///
    /// # Errors
    /// A file that can't be removed.
    pub fn forgive(&self, unit: &Unit) -> Result<()> {
        let path = self.of(unit).join(FAILURE_FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::write(&path, error)),
            _ => Ok(()),
        }
    }
}

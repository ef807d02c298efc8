//! The folder of a run: where it stands, what it holds, which runs there are.

use crate::data::Targets;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::report::append::{EVENTS_FILE, TEXT_FILE};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The variable with the folder of all runs.
const ROOT_VARIABLE: &str = "SGAS_RUNS";
/// Says what a run is.
const ABOUT_FILE: &str = "run.json";

/// What a run is: no clock, no host, so that equal runs are equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// `search` or `train`.
    pub command: String,
    /// Name of the task.
    pub task: String,
    /// Version of this program.
    pub version: String,
    /// The data in words: source, samples per split, number of classes.
    pub data: String,
    /// Names of the classes or labels, in the order of the network's outputs; none in runs of version 0.1.0.
    #[serde(default)]
    pub classes: Vec<String>,
    /// What its samples are labelled with.
    #[serde(default, skip_serializing_if = "Targets::are_classes")]
    pub targets: Targets,
}

impl About {
    /// A run of this version.
    pub fn new(command: &str, task: &str, data: impl Into<String>, classes: &[String], targets: Targets) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (command, task) = (command.to_owned(), task.to_owned());
        Self { command, task, version, data: data.into(), classes: classes.to_vec(), targets }
    }
}

/// A run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// A new folder: `out`, which must be empty or not there, or `<command>-<task>-<UTC>-s<seed>` under the root.
    ///
    /// # Errors
    /// A folder that holds something, or that can't be made.
    pub fn create(command: &str, task: &str, seed: u64, out: Option<&Path>) -> Result<Self> {
        match out {
            Some(path) => Self::create_at(path),
            None => Self::create_under(&root(), &format!("{command}-{task}-{}-s{seed}", now())),
        }
    }

    /// The folder of a run that was begun.
    ///
    /// # Errors
    /// A folder without a run.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let run = Self { path: path.into() };
        if run.file(ABOUT_FILE).is_file() {
            return Ok(run);
        }
        let message = format!("{} is not the folder of a run: there is no {ABOUT_FILE} in it", run.path.display());
        Err(Error::usage(message).with_hint(format!("runs stand under {}", root().display())))
    }

    /// The folder of a run of `command` to go on with.
    ///
    /// # Errors
    /// A folder without a run, or with one of another command.
    pub fn begun(path: &Path, command: &str) -> Result<Self> {
        let run = Self { path: path.to_owned() };
        if !run.file(ABOUT_FILE).is_file() {
            let message = format!("{} holds no run to resume: there is no {ABOUT_FILE}", path.display());
            return Err(Error::usage(message).with_hint("leave --resume out to begin a run there"));
        }
        let about = run.about()?;
        if about.command == command {
            return Ok(run);
        }
        let message = format!("{} is a run of `sgas {}`, not of `sgas {command}`", path.display(), about.command);
        Err(Error::usage(message).with_hint(format!("sgas {} --out {} --resume", about.command, path.display())))
    }

    fn create_at(path: &Path) -> Result<Self> {
        let holds_something = match std::fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(unusable(&format!("--out {}", path.display()), &error)),
        };
        if holds_something {
            return Err(Error::usage(format!("--out {}: the folder is not empty", path.display()))
                .with_hint("add --resume to go on with the run in it, or name another folder"));
        }
        std::fs::create_dir_all(path).map_err(|error| unusable(&format!("--out {}", path.display()), &error))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Two runs that begin in the same second get folders of their own.
    fn create_under(root: &Path, name: &str) -> Result<Self> {
        let unusable = |error| unusable(&format!("the folder of all runs, {}", root.display()), &error);
        std::fs::create_dir_all(root).map_err(unusable)?;
        let names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}-{number}")));
        for name in names {
            let path = root.join(name);
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(unusable(error)),
            }
        }
        unreachable!("the names never end")
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder's own name.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.file("config.toml")
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.file(TEXT_FILE)
    }

    /// The cell: what a search found, or a training used.
    pub fn genotype(&self) -> PathBuf {
        self.file("genotype.json")
    }

    /// The weights of the last epoch.
    pub fn last_weights(&self) -> PathBuf {
        self.file("weights-last.safetensors")
    }

    /// The weights of the best epoch on the validation share.
    pub fn best_weights(&self) -> PathBuf {
        self.file("weights-best.safetensors")
    }

    /// The folder with what resuming needs.
    pub fn checkpoint(&self) -> PathBuf {
        self.file("checkpoint")
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes what the run is and its resolved configuration.
    ///
    /// # Errors
    /// Files that can't be written.
    pub fn describe(&self, about: &About, config: &str) -> Result<()> {
        write_atomically(&self.config(), config.as_bytes())?;
        let json = serde_json::to_string_pretty(about).expect("texts only");
        write_atomically(&self.file(ABOUT_FILE), format!("{json}\n").as_bytes())
    }

    /// What the run is.
    ///
    /// # Errors
    /// A file that is cut or not there.
    pub fn about(&self) -> Result<About> {
        let path = self.file(ABOUT_FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| Error::read(&path, error))?;
        serde_json::from_str(&text).map_err(|error| {
            Error::invalid(path.display().to_string(), "command, task, version and data", error.to_string())
        })
    }

    /// Whether the run came to its end: its last event says so.
    pub fn is_finished(&self) -> bool {
        let events = std::fs::read_to_string(self.file(EVENTS_FILE)).unwrap_or_default();
        let last = events.lines().last().and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        last.is_some_and(|event| event["event"] == "finished")
    }

    /// When the last event was written.
    fn changed(&self) -> Option<SystemTime> {
        std::fs::metadata(self.file(EVENTS_FILE)).and_then(|data| data.modified()).ok()
    }
}

/// A place for a run that the system refuses.
fn unusable(place: &str, error: &std::io::Error) -> Error {
    Error::usage(format!("{place}: no run can be put there: {error}"))
        .with_hint(format!("name an empty folder that can be written with --out, or set {ROOT_VARIABLE}"))
}

/// The folder of all runs: `$SGAS_RUNS`, or `runs` in the working folder.
pub fn root() -> PathBuf {
    std::env::var_os(ROOT_VARIABLE).map_or_else(|| PathBuf::from("runs"), PathBuf::from)
}

/// The finished runs of `command` under `root`, the newest first.
pub fn finished(root: &Path, command: &str) -> Vec<RunFolder> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let runs = entries.filter_map(|entry| RunFolder::open(entry.path()).ok());
    let of_command = |run: &RunFolder| run.about().is_ok_and(|about| about.command == command);
    let mut found: Vec<RunFolder> = runs.filter(|run| of_command(run) && run.is_finished()).collect();
    found.sort_by_key(|run| std::cmp::Reverse((run.changed(), run.name())));
    found
}

/// The finished training under the root that ended last.
///
/// # Errors
/// No finished training, with the command that makes one.
pub fn newest_training() -> Result<RunFolder> {
    let root = root();
    finished(&root, "train").into_iter().next().ok_or_else(|| {
        let searches = finished(&root, "search");
        let begin = searches.first().map_or_else(
            || "search a cell with `sgas search --task modelnet40`, then train it".to_owned(),
            |search| format!("train what was found: sgas train --genotype {}", search.path().display()),
        );
        Error::usage(format!("no finished training under {}", root.display())).with_hint(begin)
    })
}

/// Now, as it stands in names: `20260102T030405Z`.
pub(super) fn now() -> String {
    name_of(SystemTime::now())
}

/// A clock that is set beyond the year 9999 gives the seconds since 1970.
fn name_of(time: SystemTime) -> String {
    let seconds = || time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    jiff::Timestamp::try_from(time)
        .map_or_else(|_| format!("{}s", seconds()), |time| time.strftime("%Y%m%dT%H%M%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(root: &Path, name: &str, command: &str, events: &str) -> RunFolder {
        let run = RunFolder::create_under(root, name).unwrap();
        run.describe(&About::new(command, "points", "synthetic", &[], Targets::Classes), "task = 'points'\n").unwrap();
        std::fs::write(run.file(EVENTS_FILE), events).unwrap();
        run
    }

    #[test]
    fn a_folder_that_holds_something_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        assert_eq!(RunFolder::create("train", "points", 1, Some(&path)).unwrap().path(), path);
        RunFolder::create("train", "points", 1, Some(&path)).unwrap();
        std::fs::write(path.join("x"), "").unwrap();
        let error = RunFolder::create("train", "points", 1, Some(&path)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.hint().unwrap().contains("--resume"));
    }

    #[test]
    fn runs_of_the_same_second_get_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> =
            (0..3).map(|_| RunFolder::create_under(folder.path(), "train-points").unwrap().name()).collect();
        assert_eq!(names, ["train-points", "train-points-2", "train-points-3"]);
        let now = now();
        assert_eq!((now.len(), &now[8..9], &now[15..]), (16, "T", "Z"));
        let far = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(300_000_000_000);
        assert_eq!(name_of(far), "300000000000s", "a clock past the year 9999");
    }

    #[test]
    fn only_finished_runs_of_the_command_count_and_the_newest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let finished_events = "{\"event\":\"epoch\"}\n{\"event\":\"finished\",\"seconds\":1.0}\n";
        run(folder.path(), "search", "search", finished_events);
        run(folder.path(), "cut", "train", "{\"event\":\"finished\"}\n{\"event\":\"epo");
        let older = run(folder.path(), "older", "train", finished_events);
        let newer = run(folder.path(), "newer", "train", finished_events);
        let past = SystemTime::now() - std::time::Duration::from_secs(60);
        std::fs::File::options().append(true).open(older.file(EVENTS_FILE)).unwrap().set_modified(past).unwrap();
        assert_eq!(finished(folder.path(), "train"), [newer.clone(), older]);
        assert_eq!(newer.about().unwrap().task, "points");
    }

    #[test]
    fn a_folder_without_a_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(RunFolder::open(folder.path()).unwrap_err().exit_code(), 2);
    }
}

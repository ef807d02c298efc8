//! The folder of a run: where it stands, what it holds, which runs there are.

use super::lock::{self, RunLock};
use crate::data::Targets;
use crate::error::{Error, Result};
use crate::files::{write_atomically, write_folder_atomically};
use crate::reading;
use crate::report::append::{EVENTS_FILE, TEXT_FILE};
use crate::visible::for_shell;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The variable with the folder of all runs.
const ROOT_VARIABLE: &str = "SGAS_RUNS";
/// Says what a run is.
const ABOUT_FILE: &str = "run.json";
/// Stands in a folder that was there before, while a run begins in it.
const BEGIN_MARK: &str = ".sgas-begins";

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
    /// What its weights started from, where they did not start fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
}

/// The weights that a training started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    /// The file.
    pub weights: String,
    /// BLAKE3 of the file, hexadecimal.
    pub blake3: String,
    /// What of the network started fresh all the same, and what of the file was left out, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

impl About {
    /// A run of this version.
    pub fn new(command: &str, task: &str, data: impl Into<String>, classes: &[String], targets: Targets) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (command, task) = (command.to_owned(), task.to_owned());
        Self { command, task, version, data: data.into(), classes: classes.to_vec(), targets, init: None }
    }
}

/// A run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// A new folder that `fill` fills: `out`, which must be empty or not there, or `<command>-<task>-<UTC>-s<seed>` under
    /// the root. It appears whole or not at all; where `out` is there already, its [`ABOUT_FILE`] comes last, and what a
    /// process that was killed before left in it is removed.
    ///
    /// # Errors
    /// A folder that holds something, or that can't be made; what `fill` reports.
    pub fn create(
        command: &str,
        task: &str,
        seed: u64,
        out: Option<&Path>,
        fill: impl Fn(&Self) -> Result<()>,
    ) -> Result<Self> {
        match out {
            Some(path) => Self::create_at(path, fill),
            None => Self::create_under(&root(), &format!("{command}-{task}-{}-s{seed}", now()), fill),
        }
    }

    /// Whether a run stands there.
    pub fn holds_run(path: &Path) -> bool {
        path.join(ABOUT_FILE).is_file()
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
        let run = Self::open(path)?;
        let about = run.about()?;
        if about.command == command {
            return Ok(run);
        }
        let message = format!("{} is a run of `sgas {}`, not of `sgas {command}`", path.display(), about.command);
        Err(Error::usage(message).with_hint(format!(
            "sgas {} --out {} --resume",
            about.command,
            for_shell(path.display().to_string())
        )))
    }

    /// Refuses a place for a new run that holds something; called before the work that would be lost.
    ///
    /// # Errors
    /// A folder that is neither empty nor one in which a run was killed while it began; a file.
    pub fn check_free(out: &Path) -> Result<()> {
        let is_empty = match std::fs::read_dir(out) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(unusable(&format!("--out {}", out.display()), &error)),
        };
        if is_empty || (out.join(BEGIN_MARK).exists() && !Self::holds_run(out)) {
            return Ok(());
        }
        Err(Error::usage(format!("--out {}: the folder is not empty", out.display()))
            .with_hint("add --resume to go on with the run in it, or name another folder"))
    }

    fn create_at(path: &Path, fill: impl Fn(&Self) -> Result<()>) -> Result<Self> {
        let unusable = |error: &std::io::Error| unusable(&format!("--out {}", path.display()), error);
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(path);
                std::fs::create_dir_all(parent).map_err(|error| unusable(&error))?;
                write_folder_atomically(path, |partial| fill(&Self { path: partial.to_owned() }))?;
                return Ok(Self { path: path.to_owned() });
            }
            Err(error) => return Err(unusable(&error)),
        };
        Self::check_free(path)?;
        let mark = path.join(BEGIN_MARK);
        let names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
        let _lock = RunLock::take(&mark, &path.display().to_string())?;
        for name in names.iter().filter(|name| *name != BEGIN_MARK) {
            remove(&path.join(name)).map_err(|error| unusable(&error))?;
        }
        let run = Self { path: path.to_owned() };
        fill(&run)?;
        std::fs::remove_file(&mark).map_err(|error| Error::write(&mark, error))?;
        Ok(run)
    }

    /// Two runs that begin in the same second get folders of their own.
    fn create_under(root: &Path, name: &str, fill: impl Fn(&Self) -> Result<()>) -> Result<Self> {
        let unusable = |error| unusable(&format!("the folder of all runs, {}", root.display()), &error);
        std::fs::create_dir_all(root).map_err(unusable)?;
        let names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}-{number}")));
        for name in names {
            let path = root.join(name);
            if path.exists() {
                continue;
            }
            match write_folder_atomically(&path, |partial| fill(&Self { path: partial.to_owned() })) {
                Ok(()) => return Ok(Self { path }),
                // Another run took the name meanwhile.
                Err(_) if path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the names never end")
    }

    /// The folder as it is typed in a command.
    pub fn typed(&self) -> String {
        for_shell(self.path.display().to_string())
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

    /// The weights of a training that count: the best ones where it has a validation share, else the last.
    ///
    /// # Errors
    /// A training without a whole epoch.
    pub fn chosen_weights(&self) -> Result<PathBuf> {
        let found = [self.best_weights(), self.last_weights()].into_iter().find(|path| path.is_file());
        found.ok_or_else(|| {
            Error::usage(format!("{}: no epoch of this training is done yet", self.path.display()))
                .with_hint(format!("go on with it: sgas train --out {} --resume", self.typed()))
        })
    }

    /// The folder with what resuming needs.
    pub fn checkpoint(&self) -> PathBuf {
        self.file("checkpoint")
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes its resolved configuration and, last, what the run is.
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
        let text = reading::text(&path, reading::DESCRIPTION)?;
        serde_json::from_str(&text).map_err(|error| {
            Error::invalid(path.display().to_string(), "command, task, version and data", error.to_string())
        })
    }

    /// Whether the run came to its end: its last event says so.
    pub fn is_finished(&self) -> bool {
        self.last_event() == "finished"
    }

    /// The name of the last event in the log; empty where there is none.
    fn last_event(&self) -> String {
        let events = reading::bytes(&self.file(EVENTS_FILE)).unwrap_or_default();
        let last = events.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let last: serde_json::Value = serde_json::from_slice(last).unwrap_or_default();
        last["event"].as_str().unwrap_or_default().to_owned()
    }

    /// Takes the run for this process, until the lock is dropped.
    ///
    /// # Errors
    /// A run that another process works on; a folder that can't be written.
    pub fn lock(&self) -> Result<RunLock> {
        // A process that was killed when all else was done has left it; one that lives still holds it.
        let mark = self.file(BEGIN_MARK);
        if mark.exists() && RunLock::take_if_free(&mark, &self.path.display().to_string())?.is_some() {
            std::fs::remove_file(&mark).map_err(|error| Error::write(&mark, error))?;
        }
        RunLock::take(&self.checkpoint().join(lock::FILE), &self.path.display().to_string())
    }

    /// Whether its last process left no event of its end.
    pub fn ended_without_a_word(&self) -> bool {
        !["stopped", "finished"].contains(&self.last_event().as_str())
    }

    /// When the last event was written.
    fn changed(&self) -> Option<SystemTime> {
        std::fs::metadata(self.file(EVENTS_FILE)).and_then(|data| data.modified()).ok()
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
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
    all(root, command).into_iter().filter(RunFolder::is_finished).collect()
}

/// All runs of `command` under `root`, the newest first.
pub fn all(root: &Path, command: &str) -> Vec<RunFolder> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let runs = entries.filter_map(|entry| RunFolder::open(entry.path()).ok());
    let mut found: Vec<RunFolder> =
        runs.filter(|run| run.about().is_ok_and(|about| about.command == command)).collect();
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
            |search| format!("train what was found: sgas train --genotype {}", search.typed()),
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
        let about = About::new(command, "points", "synthetic", &[], Targets::Classes);
        let run = RunFolder::create_under(root, name, |run| run.describe(&about, "task = 'points'\n")).unwrap();
        std::fs::write(run.file(EVENTS_FILE), events).unwrap();
        run
    }

    #[test]
    fn a_folder_that_holds_something_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let create = |fill: fn(&RunFolder) -> Result<()>| RunFolder::create("train", "points", 1, Some(&path), fill);
        assert_eq!(create(|_| Ok(())).unwrap().path(), path);
        create(|_| Ok(())).unwrap();
        std::fs::write(path.join("x"), "").unwrap();
        let error = create(|_| Ok(())).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.hint().unwrap().contains("--resume"));
    }

    /// In a folder that is made, and in one that was there.
    #[test]
    fn what_a_killed_beginning_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        for is_there in [false, true] {
            let path = folder.path().join(format!("run-{is_there}"));
            if is_there {
                std::fs::create_dir(&path).unwrap();
            }
            let create =
                |fill: fn(&RunFolder) -> Result<()>| RunFolder::create("train", "points", 1, Some(&path), fill);
            // As far as a kill, which unwinds nothing, would leave it.
            let killed = create(|run| {
                std::fs::write(run.config(), "half").unwrap();
                Err(Error::run("killed"))
            });
            killed.unwrap_err();
            let run =
                create(|run| run.describe(&About::new("train", "points", "", &[], Targets::Classes), "")).unwrap();
            assert_eq!(std::fs::read(run.config()).unwrap(), b"");
            assert!(RunFolder::holds_run(&path));
            assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2);
        }
    }

    /// A kill between a beginning's last file and the end of its mark.
    #[test]
    fn a_mark_that_was_left_goes_when_the_run_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let left = run(folder.path(), "left", "train", "");
        std::fs::create_dir(left.checkpoint()).unwrap();
        let mark = left.file(BEGIN_MARK);
        let beginning = RunLock::take(&mark, "left").unwrap();
        drop(left.lock().unwrap());
        assert!(mark.exists(), "its process lives");
        drop(beginning);
        drop(left.lock().unwrap());
        assert!(!mark.exists());
    }

    #[test]
    fn runs_of_the_same_second_get_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let create = |_| RunFolder::create_under(folder.path(), "train-points", |_| Ok(())).unwrap().name();
        let names: Vec<String> = (0..3).map(create).collect();
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

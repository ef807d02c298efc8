//! `sgas report`: a page of HTML about runs.

use super::outputs::REPORT;
use super::run_folder::RunFolder;
use super::{ReportOptions, print, study, subject};
use crate::error::{Error, Result};
use crate::files::{self, Output};
use crate::reading;
use crate::report::history::Standing;
use crate::report::page::{self, Subject};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The page beside a run, and of several runs.
const FILE: &str = "report.html";

/// Writes the page; with `--watch` until all runs are finished.
///
/// # Errors
/// Folders without a run, a place that can't be written or that something else has.
pub fn run(options: &ReportOptions, out: &mut dyn Write) -> Result<()> {
    let source = Source::of(&options.runs)?;
    let place = Place::of(options, &source)?;
    let mut is_told = false;
    loop {
        let (page, goes_on) = source.page(options.watch.then_some(options.every as u64))?;
        place.write(page.as_bytes())?;
        if !std::mem::replace(&mut is_told, true) {
            print(out, &format!("report: {}\n", place.path().display()))?;
        }
        if !options.watch || !goes_on {
            return Ok(());
        }
        thread::sleep(Duration::from_secs(options.every as u64));
    }
}

/// What the page is about.
enum Source {
    Runs(Vec<RunFolder>),
    /// The folder of a study.
    Study(PathBuf),
}

impl Source {
    fn of(folders: &[PathBuf]) -> Result<Self> {
        let is_study = |folder: &&PathBuf| study::is_study(folder);
        match (folders.iter().find(is_study), folders) {
            (Some(study), [_]) => Ok(Self::Study(study.clone())),
            (Some(study), _) => {
                let message = format!("{}: a study has a page of its own", study.display());
                Err(Error::usage(message).with_hint("name it alone, or runs alone: those of a study are STUDY/*/*/*"))
            }
            (None, folders) => Ok(Self::Runs(folders.iter().map(RunFolder::open).collect::<Result<_>>()?)),
        }
    }

    /// The page as of now, and whether something of it goes on; then it is loaded again after so many seconds.
    fn page(&self, refresh: Option<u64>) -> Result<(String, bool)> {
        match self {
            Self::Study(folder) => study::page_of(folder, refresh),
            Self::Runs(folders) => {
                let subjects: Vec<Subject> = folders.iter().map(subject::of).collect::<Result<_>>()?;
                let goes_on = subjects.iter().any(|subject| !is_finished(subject));
                Ok((page::html(&subjects, refresh.filter(|_| goes_on))?, goes_on))
            }
        }
    }
}

fn is_finished(subject: &Subject) -> bool {
    matches!(subject.history.standing, Standing::Finished { .. })
}

/// Where the page goes.
enum Place {
    /// Where the user says.
    Named(Output),
    /// In the folder that it is of.
    Beside(PathBuf),
}

impl Place {
    /// Looked at before the work.
    fn of(options: &ReportOptions, source: &Source) -> Result<Self> {
        let beside = match (&options.output, source) {
            (None, Source::Runs(folders)) if folders.len() == 1 => folders[0].file(FILE),
            (None, Source::Study(folder)) => folder.join(study::PAGE_FILE),
            (output, _) => {
                let path = output.as_deref().unwrap_or(Path::new(FILE));
                return Ok(Self::Named(Output::new("--output", path, REPORT, options.force)?));
            }
        };
        check_beside(&beside, options.force)?;
        Ok(Self::Beside(beside))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Named(output) => output.path(),
            Self::Beside(path) => path,
        }
    }

    fn write(&self, page: &[u8]) -> Result<()> {
        match self {
            Self::Named(output) => output.write(page),
            Self::Beside(path) => files::replace(path, page).map_err(|error| error.with_hint(ELSEWHERE)),
        }
    }
}

const ELSEWHERE: &str = "name another place with --output";

/// Refuses to replace a file in the run's folder that is no report.
fn check_beside(path: &Path, force: bool) -> Result<()> {
    if force || !path.exists() || page::is_ours(&reading::start(path, 4096)?) {
        return Ok(());
    }
    let expected = "a report as sgas writes them, or a new file";
    Err(Error::invalid(path, expected, "a file of other content").with_hint(ELSEWHERE))
}

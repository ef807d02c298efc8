//! `sgas report`: a page of HTML about runs.

mod gather;

use super::outputs::REPORT;
use super::run_folder::RunFolder;
use super::{ReportOptions, print};
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
    let folders: Vec<RunFolder> = options.runs.iter().map(RunFolder::open).collect::<Result<_>>()?;
    let place = Place::of(options, &folders)?;
    let mut is_told = false;
    loop {
        let subjects: Vec<Subject> = folders.iter().map(gather::subject).collect::<Result<_>>()?;
        let goes_on = options.watch && subjects.iter().any(|subject| !is_finished(subject));
        let refresh = goes_on.then_some(options.every as u64);
        place.write(page::html(&subjects, refresh)?.as_bytes())?;
        if !std::mem::replace(&mut is_told, true) {
            print(out, &format!("report: {}\n", place.path().display()))?;
        }
        if !goes_on {
            return Ok(());
        }
        thread::sleep(Duration::from_secs(options.every as u64));
    }
}

fn is_finished(subject: &Subject) -> bool {
    matches!(subject.history.standing, Standing::Finished { .. })
}

/// Where the page goes.
enum Place {
    /// Where the user says.
    Named(Output),
    /// Beside the run that it is of.
    Beside(PathBuf),
}

impl Place {
    /// Looked at before the work.
    fn of(options: &ReportOptions, folders: &[RunFolder]) -> Result<Self> {
        match (&options.output, folders) {
            (Some(path), _) => Ok(Self::Named(Output::new("--output", path, REPORT, options.force)?)),
            (None, [run]) => {
                let path = run.file(FILE);
                check_beside(&path, options.force)?;
                Ok(Self::Beside(path))
            }
            (None, _) => Ok(Self::Named(Output::new("--output", Path::new(FILE), REPORT, options.force)?)),
        }
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

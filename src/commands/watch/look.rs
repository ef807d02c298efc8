//! What was seen of a run at the last look.

use crate::commands::run_folder::RunFolder;
use crate::commands::{dataset, lock};
use crate::error::Result;
use crate::reading;
use crate::report::append::EVENTS_FILE;
use crate::report::history::{History, Standing};
use crate::report::page::curves::{self, Chart};
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, SystemTime};

/// Bytes of the log's end that are read.
const TAIL: u64 = 16 << 10;
/// Epochs by whose time the rest is estimated.
const LATELY: usize = 5;

/// A run as it was seen.
pub(super) struct Look {
    folder: RunFolder,
    /// `search on points`.
    pub about: String,
    /// The score in the user's words.
    pub score: String,
    /// Its events.
    pub history: History,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// Whether its process runs, where that can be told.
    pub is_worked_on: Option<bool>,
    /// What went wrong at the last look.
    pub trouble: Option<String>,
    /// Length and time of the events that were read.
    stamp: Option<(u64, SystemTime)>,
    charts: Vec<Chart>,
}

impl Look {
    /// The first look.
    ///
    /// # Errors
    /// A run that does not say what it is, or whose log can't be read.
    pub fn new(folder: &RunFolder) -> Result<Self> {
        let about = folder.about()?;
        let score = dataset::task(about.classes.len(), about.targets).score_name().to_owned();
        let mut look = Self {
            folder: folder.clone(),
            about: format!("{} on {}", about.command, about.task),
            score,
            history: History::default(),
            log: Vec::new(),
            is_worked_on: None,
            trouble: None,
            stamp: None,
            charts: Vec::new(),
        };
        look.read()?;
        Ok(look)
    }

    /// Looks again; what can't be read for a moment, as on a disk of another machine, is said and tried again.
    pub fn again(&mut self) {
        self.trouble = self.read().err().map(|error| error.to_string());
    }

    fn read(&mut self) -> Result<()> {
        self.is_worked_on = lock::is_held(&self.folder.checkpoint().join(lock::FILE));
        self.log = self.end_of_log();
        let stamp =
            std::fs::metadata(self.folder.file(EVENTS_FILE)).and_then(|file| Ok((file.len(), file.modified()?))).ok();
        if stamp.is_some() && stamp == self.stamp {
            return Ok(());
        }
        self.history = History::read(self.folder.path())?;
        self.charts = curves::charts(&self.history.epochs, &self.score);
        self.stamp = stamp;
        Ok(())
    }

    fn end_of_log(&self) -> Vec<String> {
        let read = || -> Option<Vec<u8>> {
            let mut file = reading::open(&self.folder.log()).ok()?;
            let length = file.metadata().ok()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
            let mut text = Vec::new();
            file.take(TAIL).read_to_end(&mut text).ok()?;
            Some(text)
        };
        let text = read().unwrap_or_default();
        let is_cut = text.len() as u64 == TAIL;
        let text = String::from_utf8_lossy(&text);
        text.lines().skip(usize::from(is_cut)).map(without_date).collect()
    }

    /// The name of the folder.
    pub fn name(&self) -> String {
        self.folder.name()
    }

    /// What can be drawn.
    pub fn charts(&self) -> &[Chart] {
        &self.charts
    }

    /// Where the run stands, in a word or two.
    pub fn standing(&self) -> &'static str {
        match (self.history.standing, self.is_worked_on) {
            (Standing::Finished { .. }, _) => "finished",
            (_, Some(true)) => "running",
            (Standing::Stopped, _) => "stopped",
            (Standing::Open, Some(false)) => "cut",
            (Standing::Open, None) => "running or cut",
            (Standing::Unheard, _) => "nothing done yet",
        }
    }

    /// Whole epochs.
    pub fn done(&self) -> usize {
        self.history.epochs.last().map_or(0, |epoch| epoch.epoch + 1)
    }

    /// How long the rest takes, by the last epochs.
    pub fn left(&self) -> Option<Duration> {
        let epochs = &self.history.epochs;
        let lately = &epochs[epochs.len().saturating_sub(LATELY)..];
        let is_over = matches!(self.history.standing, Standing::Finished { .. });
        if lately.is_empty() || is_over {
            return None;
        }
        let mean = lately.iter().map(|epoch| epoch.seconds).sum::<f64>() / lately.len() as f64;
        Duration::try_from_secs_f64(mean * self.history.planned.saturating_sub(self.done()) as f64).ok()
    }

    /// How long ago the last event was written.
    pub fn silent_for(&self) -> Option<Duration> {
        SystemTime::now().duration_since(self.stamp?.1).ok()
    }
}

/// The time without the day, as a terminal is narrow: `17:23:38  INFO ...`.
fn without_date(line: &str) -> String {
    let time = line.get(..27).filter(|start| start.ends_with('Z') && start.as_bytes()[10] == b'T');
    time.map_or_else(|| line.to_owned(), |time| format!("{}{}", &time[11..19], &line[27..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log_lose_their_day() {
        let line = "2026-11-26T17:23:38.806945Z  INFO data: synthetic";
        assert_eq!(without_date(line), "17:23:38  INFO data: synthetic");
        assert_eq!(without_date("no time"), "no time");
        assert_eq!(without_date("ééééééééééééééééééééééé"), "ééééééééééééééééééééééé");
    }
}

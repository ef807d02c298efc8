//! `events.jsonl`: one JSON object per event, for programs that read along.

use super::{Event, Observer, append};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The log's name in the run folder.
pub const EVENTS_FILE: &str = "events.jsonl";

/// Writes every event but [`Event::Step`], each as one line at once.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
}

impl EventLog {
    /// The log of the run in `folder`; goes on after what it holds.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(EVENTS_FILE);
        Ok(Self { file: append::open(&path)?, path })
    }
}

impl Observer for EventLog {
    fn observe(&mut self, event: &Event) -> Result<()> {
        if matches!(event, Event::Step { .. }) {
            return Ok(());
        }
        let line = serde_json::to_string(event).expect("events are plain data");
        writeln!(self.file, "{line}").map_err(|error| Error::write(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_but_steps_is_a_line_that_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let finished = Event::Finished { seconds: 1.5 };
        for _ in 0..2 {
            let mut log = EventLog::open(folder.path()).unwrap();
            log.observe(&Event::Step { epoch: 0, step: 1, steps: 2, loss: 0.5 }).unwrap();
            log.observe(&finished).unwrap();
        }
        let text = std::fs::read_to_string(folder.path().join(EVENTS_FILE)).unwrap();
        let events: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events, [finished.clone(), finished]);
    }
}

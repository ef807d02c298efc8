//! `events.jsonl`: one JSON object per event, for programs that read along.

use super::append::{self, EVENTS_FILE};
use super::{Event, Observer};
use crate::error::{Error, Result};
use crate::reading;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes every event but [`Event::Step`], each as one line at once.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
}

/// The target of the same lines in `tracing`, at its lowest level, which the program shows nowhere: who runs commands
/// in a process of his own sees events by a subscriber, each when it stands in the log.
pub const EVENTS_TARGET: &str = "sgas::events";

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
        writeln!(self.file, "{line}").map_err(|error| Error::write(&self.path, error))?;
        tracing::trace!(target: EVENTS_TARGET, "{line}");
        Ok(())
    }
}

/// The events of the run in `folder`, in order.
///
/// # Errors
/// A log that is not there or has a line that is no event.
pub fn events(folder: &Path) -> Result<Vec<Event>> {
    let path = folder.join(EVENTS_FILE);
    let text = reading::text(&path, reading::EVENTS)?;
    let event = |(line, text): (usize, &str)| {
        let place = || format!("{}: line {}", path.display(), line + 1);
        serde_json::from_str(text).map_err(|error| Error::invalid(place(), "an event", error.to_string()))
    };
    text.lines().enumerate().map(event).collect()
}

/// The events of the run in `folder` that can be read, in order; lines that can't are counted in the log.
///
/// # Errors
/// A log that is not there.
pub fn readable_events(folder: &Path) -> Result<Vec<Event>> {
    let (events, others) = events_so_far(folder)?;
    if others > 0 {
        tracing::warn!("{}: {others} lines are no events, and left out", folder.join(EVENTS_FILE).display());
    }
    Ok(events)
}

/// The events that stand in the log by now, of a run that may be going on: the end of the last line may be missing, and is
/// left for the next look. Also the number of whole lines that are no events.
///
/// # Errors
/// A log that is not there.
pub fn events_so_far(folder: &Path) -> Result<(Vec<Event>, usize)> {
    let text = reading::bytes(&folder.join(EVENTS_FILE))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let (mut events, mut others) = (Vec::new(), 0);
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(event) => events.push(event),
            Err(_) => others += 1,
        }
    }
    Ok((events, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_half_written_is_left_for_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let finished = Event::Finished { seconds: 1.5 };
        let line = serde_json::to_string(&finished).unwrap();
        let write = |text: &str| std::fs::write(folder.path().join(EVENTS_FILE), text).unwrap();
        write(&format!("{line}\nno event\n{}", &line[..20]));
        assert_eq!(events_so_far(folder.path()).unwrap(), (vec![finished.clone()], 1));
        write(&format!("{line}\n{line}\n"));
        assert_eq!(events_so_far(folder.path()).unwrap(), (vec![finished.clone(), finished], 0));
    }

    #[test]
    fn every_event_but_steps_is_a_line_that_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let finished = Event::Finished { seconds: 1.5 };
        for _ in 0..2 {
            let mut log = EventLog::open(folder.path()).unwrap();
            log.observe(&Event::Step { epoch: 0, step: 1, steps: 2, loss: 0.5, loss_scale: None }).unwrap();
            log.observe(&finished).unwrap();
        }
        assert_eq!(events(folder.path()).unwrap(), [finished.clone(), finished]);
    }
}

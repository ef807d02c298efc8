//! Logs that only grow, and how a resumed run cuts them back to where its checkpoint was made.

use crate::error::{Error, Result};
use crate::reading;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// One event per line, for programs.
pub const EVENTS_FILE: &str = "events.jsonl";
/// One epoch per row.
pub const METRICS_FILE: &str = "metrics.csv";
/// What was printed, for people.
pub const TEXT_FILE: &str = "log.txt";
/// What TensorBoard reads, where a run was asked for it; it looks for `tfevents` in names.
pub const TENSORBOARD_FILE: &str = "events.out.tfevents.sgas";
/// The files of a run folder that only grow.
pub const LOGS: [&str; 4] = [EVENTS_FILE, METRICS_FILE, TEXT_FILE, TENSORBOARD_FILE];

/// Bytes of a TFRecord before its content: its length and a checksum of that.
pub(super) const HEAD: usize = 12;
/// Bytes behind it: its checksum.
pub(super) const TAIL: usize = 4;

/// More than the heading of a table takes.
const LONGEST_HEADING: u64 = 1 << 16;

/// Bytes of each log when a checkpoint was made, by file name.
pub type Lengths = BTreeMap<String, u64>;

/// Brings the logs in `folder` to the disk and says how long they are; observers write every event through.
///
/// # Errors
/// A log that can't be written out; one that is not there has no length.
pub fn lengths(folder: &Path) -> Result<Lengths> {
    let mut lengths = Lengths::new();
    for name in LOGS {
        let path = folder.join(name);
        match synced_length(&path) {
            Ok(length) => drop(lengths.insert(name.to_owned(), length)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::write(path, error)),
        }
    }
    Ok(lengths)
}

fn synced_length(path: &Path) -> std::io::Result<u64> {
    // Some systems sync through a handle that may write only.
    let file = File::options().append(true).open(path)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// Cuts the logs in `folder` to `lengths`; what was written after the checkpoint happens again. A log without a
/// length is emptied; of one that is shorter, which something else cut, that is told, and the part of a line at its end
/// goes.
///
/// # Errors
/// A log that can't be cut.
pub fn cut(folder: &Path, lengths: &Lengths) -> Result<()> {
    for name in LOGS {
        let path = folder.join(name);
        let length = lengths.get(name).copied().unwrap_or(0);
        let end = if name == TENSORBOARD_FILE { end_of_records } else { end_of_lines };
        let missing = cut_file(&path, length, end).map_err(|error| Error::write(&path, error))?;
        if missing > 0 {
            tracing::warn!("{}: the last {missing} bytes from before the checkpoint are gone", path.display());
        }
    }
    Ok(())
}

/// The end of the last whole line.
fn end_of_lines(text: &[u8]) -> usize {
    text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// The end of the last whole record of a TFRecord file: length, checksum, content, checksum.
fn end_of_records(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(head) = bytes.get(end..end + HEAD) {
        let length: [u8; 8] = head[..8].try_into().expect("eight bytes");
        let next = usize::try_from(u64::from_le_bytes(length)).ok();
        let next = next.and_then(|length| (end + HEAD + TAIL).checked_add(length));
        match next {
            Some(next) if next <= bytes.len() => end = next,
            _ => break,
        }
    }
    end
}

/// Cuts a file to `length`, or one that is shorter to where `end` finds the end of what is whole; gives the bytes that it
/// had too few.
fn cut_file(path: &Path, length: u64, end: fn(&[u8]) -> usize) -> std::io::Result<u64> {
    let mut file = match File::options().read(true).write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(length),
        opened => opened?,
    };
    let found = file.metadata()?.len();
    if found >= length {
        file.set_len(length)?;
        return Ok(0);
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = end(&text);
    file.set_len(whole as u64)?;
    Ok(length - whole as u64)
}

/// Opens a log to write at its end.
pub(super) fn open(path: &Path) -> Result<File> {
    File::options().create(true).append(true).open(path).map_err(|error| Error::write(path, error))
}

/// The first line of a log, where it has a whole one.
///
/// # Errors
/// A log that can't be read.
pub(super) fn first_line(path: &Path) -> Result<Option<String>> {
    let start = reading::start(path, LONGEST_HEADING)?;
    let line = start.iter().position(|byte| *byte == b'\n').map(|end| &start[..end]);
    Ok(line.map(|line| String::from_utf8_lossy(line).trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn cutting_takes_back_what_came_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOGS[0]);
        let mut log = open(&path).unwrap();
        log.write_all(b"one\n").unwrap();
        let lengths = lengths(folder.path()).unwrap();
        assert_eq!(lengths, Lengths::from([(LOGS[0].to_owned(), 4)]));
        log.write_all(b"two\n").unwrap();
        std::fs::write(folder.path().join(LOGS[1]), "late").unwrap();
        cut(folder.path(), &lengths).unwrap();
        log.write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nthree\n");
        assert_eq!(std::fs::read_to_string(folder.path().join(LOGS[1])).unwrap(), "");
    }

    #[test]
    fn a_log_that_lost_its_end_goes_on_with_a_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOGS[0]);
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        cut(folder.path(), &Lengths::from([(LOGS[0].to_owned(), 14)])).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn the_end_of_the_last_whole_record_is_found() {
        let record = |content: &[u8]| [&(content.len() as u64).to_le_bytes()[..], &[1; 4], content, &[2; 4]].concat();
        let (one, two) = (record(b"one"), record(b"two and more"));
        let both = [&one[..], &two].concat();
        for cut in one.len()..both.len() {
            assert_eq!(end_of_records(&both[..cut]), one.len());
        }
        assert_eq!(end_of_records(&both), both.len());
        assert_eq!((end_of_records(&[]), end_of_records(&[255; 40])), (0, 0));
    }
}

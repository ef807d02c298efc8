//! Reading what the user names: regular files alone, and of each kind no more than it can honestly hold.
//!
//! A pipe, a socket or a device would block, never end, or do something when it is opened, so none is read. A link to
//! a regular file is that file. Every reader of users' files stands on this module; `tests/tidy.rs` holds it.

use std::fs::{File, FileType, OpenOptions};
use std::io::Read;
use std::path::Path;

use crate::error::memory::expecting_to_run_out;
use crate::error::{Error, Result};

/// The most bytes of a text that is read whole before it is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    bytes: u64,
    what: &'static str,
}

/// A configuration has some hundred keys, a few KiB with comments.
pub const CONFIGURATION: Limit = Limit { bytes: 1 << 20, what: "a configuration" };

/// A cell of the largest size that is read takes 64 KiB; the rest is for keys of other programs, which are kept.
pub const GENOTYPE: Limit = Limit { bytes: 1 << 20, what: "a genotype" };

/// What a run says of itself: names of classes and labels.
pub const DESCRIPTION: Limit = Limit { bytes: 64 << 20, what: "the description of a run" };

/// The events of a run: a few KiB an epoch.
pub const EVENTS: Limit = Limit { bytes: 4 << 30, what: "the events of a run" };

/// A list of names: the 1.3 million files of ImageNet take 60 MiB.
pub const LIST: Limit = Limit { bytes: 256 << 20, what: "a list of names" };

/// A table of scores: a line for each run.
pub const TABLE: Limit = Limit { bytes: 64 << 20, what: "a table of scores" };

/// A published table of cells, or a surrogate of one: 2.5 MiB with 15,625 cells, or half a million weights.
pub const BENCHMARK: Limit = Limit { bytes: 256 << 20, what: "a benchmark" };

/// Times that compression may shrink a file. Measured points and colours shrink to a half or a third; deflate makes of
/// equal bytes a thousandth.
const GREATEST_RATIO: u64 = 100;

/// Times that compression may shrink a table of text: of a bag of words nearly every cell is a zero.
const GREATEST_RATIO_OF_TEXT: u64 = 400;

/// What any compressed file may unpack to, however small it is: some columns are constant.
const LEAST_UNPACKED: u64 = 16 << 20;

/// What no compressed file may exceed: 178 million points of three coordinates in fp32.
const MOST_UNPACKED: u64 = 2 << 30;

/// The most bytes that the content of a file of `packed` bytes may take: its own size where nothing is compressed.
pub fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(GREATEST_RATIO).clamp(LEAST_UNPACKED, MOST_UNPACKED).max(packed)
}

/// The same of a table of text in a file of `packed` bytes.
pub fn most_unpacked_text(packed: u64) -> u64 {
    packed.saturating_mul(GREATEST_RATIO_OF_TEXT).clamp(LEAST_UNPACKED, MOST_UNPACKED).max(packed)
}

/// Opens a regular file; a folder is opened too, which fails when it is read.
///
/// # Errors
/// [`Error::Read`] from the system; a pipe, a socket or a device.
pub fn open(path: &Path) -> Result<File> {
    // Some devices act when they are opened, so what is there is asked first. It may be replaced before it is opened:
    // the file itself is asked again, and was opened without waiting for a writer.
    let found = std::fs::metadata(path).map_err(|error| Error::read(path, error))?;
    require_regular(path, found.file_type())?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path).map_err(|error| Error::read(path, error))?;
    let opened = file.metadata().map_err(|error| Error::read(path, error))?;
    require_regular(path, opened.file_type())?;
    Ok(file)
}

/// The content of a regular file.
///
/// # Errors
/// As [`open`]; a file that can't be read.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut file = open(path)?;
    expecting_to_run_out(|| file.read_to_end(&mut content)).map_err(|error| Error::read(path, error))?;
    Ok(content)
}

/// The same of a file of at most as many bytes as `limit`.
///
/// # Errors
/// As [`bytes`]; a file of more.
pub fn limited_bytes(path: &Path, limit: Limit) -> Result<Vec<u8>> {
    let content = start(path, limit.bytes + 1)?;
    if content.len() as u64 > limit.bytes {
        return Err(too_long(&path.display().to_string(), content.len() as u64, limit));
    }
    Ok(content)
}

/// The first bytes of a regular file, at most so many.
///
/// # Errors
/// As [`bytes`].
pub fn start(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.take(most).read_to_end(&mut content).map_err(|error| Error::read(path, error))?;
    Ok(content)
}

/// The content of a regular file of text in UTF-8, with the line ends of today.
///
/// # Errors
/// As [`bytes`]; other text; a file of more bytes than `limit`.
pub fn text(path: &Path, limit: Limit) -> Result<String> {
    let mut content = String::new();
    let file = open(path)?;
    let size = file.metadata().map_or(0, |data| data.len());
    if size <= limit.bytes {
        // It may have grown since.
        file.take(limit.bytes + 1).read_to_string(&mut content).map_err(|error| Error::read(path, error))?;
    }
    if size.max(content.len() as u64) > limit.bytes {
        return Err(too_long(&path.display().to_string(), size.max(content.len() as u64), limit));
    }
    Ok(with_line_ends(content))
}

/// The text with a line feed for every carriage return that none follows: the line ends of old Macs.
fn with_line_ends(text: String) -> String {
    let is_alone = |(at, _): &(usize, &str)| text.as_bytes().get(at + 1) != Some(&b'\n');
    match text.match_indices('\r').any(|found| is_alone(&found)) {
        true => text.replace("\r\n", "\n").replace('\r', "\n"),
        false => text,
    }
}

/// Refuses a text that is longer than `limit`; `place` names it.
///
/// # Errors
/// Such a text.
pub fn check_length(place: &str, text: &str, limit: Limit) -> Result<()> {
    if text.len() as u64 > limit.bytes { Err(too_long(place, text.len() as u64, limit)) } else { Ok(()) }
}

fn too_long(place: &str, found: u64, Limit { bytes, what }: Limit) -> Error {
    Error::invalid(place, format!("{what} of at most {} MiB", bytes >> 20), format!("{found} bytes"))
        .with_hint("is this the file that is meant? If so, leave out what the program does not need")
}

/// True where something is that is no folder. What it is, reading says: a pipe in the place of a list must not be taken for
/// no list.
pub fn is_there(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|data| !data.is_dir())
}

/// True for what can be read as a file or listed as a folder, links followed; true too for what can't be asked, whose
/// error is the reader's.
pub fn is_readable(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |data| data.is_file() || data.is_dir())
}

fn require_regular(path: &Path, kind: FileType) -> Result<()> {
    if kind.is_file() || kind.is_dir() {
        return Ok(());
    }
    Err(Error::invalid(path.display().to_string(), "a regular file", name_of(kind))
        .with_hint("save the content to a file, and name that"))
}

#[cfg(unix)]
fn name_of(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn name_of(_: FileType) -> &'static str {
    "something else"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_file_and_a_link_to_it_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "text").unwrap();
        assert_eq!((bytes(&path).unwrap().as_slice(), text(&path, LIST).unwrap().as_str()), (&b"text"[..], "text"));
        assert_eq!(start(&path, 2).unwrap(), b"te");
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert_eq!(bytes(&link).unwrap(), b"text");
        }
        assert!(matches!(bytes(folder.path()), Err(Error::Read { .. })), "a folder");
        assert!(matches!(bytes(&folder.path().join("no")), Err(Error::Read { .. })));
    }

    #[test]
    fn old_line_ends_are_those_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for (stored, expected) in [("a\rb\r", "a\nb\n"), ("a\r\nb\rc", "a\nb\nc"), ("a\r\nb\r\n", "a\r\nb\r\n")] {
            std::fs::write(&path, stored).unwrap();
            assert_eq!(text(&path, LIST).unwrap(), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_device_and_a_socket_are_refused_by_name() {
        let error = bytes(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "/dev/zero: expected a regular file, found a device");
        assert_eq!((error.exit_code(), error.hint().is_some()), (2, true));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(text(&path, LIST).unwrap_err().to_string().ends_with("expected a regular file, found a socket"));
        assert!(!is_readable(&path) && is_readable(folder.path()));
    }

    #[test]
    fn a_text_beyond_its_limit_is_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.toml");
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = text(&path, CONFIGURATION).unwrap_err().to_string();
        assert!(error.ends_with("expected a configuration of at most 1 MiB, found 1099511627776 bytes"), "{error}");
        std::fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
        assert_eq!(text(&path, CONFIGURATION).unwrap().len(), 1 << 20);
    }

    #[test]
    fn unpacked_sizes_are_bounded_by_ratio_and_by_size() {
        assert_eq!(most_unpacked(1), LEAST_UNPACKED);
        assert_eq!(most_unpacked(1 << 20), 100 << 20);
        assert_eq!(most_unpacked(1 << 30), MOST_UNPACKED);
        assert_eq!(most_unpacked(9 << 30), 9 << 30, "what is not compressed is as long as its file");
    }
}

//! Files that the user names to be written: what may stand there before, and how it is replaced.
//!
//! A regular file is replaced whole; where a link leads to it, the link stays. Devices, pipes and the program's own
//! streams are written into and never replaced. A file of other content, or of a run, is replaced only where the user
//! says `--force`. All of it is checked before the work, whose result would be lost, and again when it is written.

use super::write_atomically;
use crate::error::{Error, Result};
use rustix::fs::OFlags;
use std::cell::Cell;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file by which a folder is known as that of a run.
const RUN_FILE: &str = "run.json";

/// Bytes at the beginning of a file by which its content is told.
const HEAD: u64 = 1 << 20;

/// Links that lead to links; the system follows no more either.
const MOST_LINKS: usize = 40;

/// What the program writes into a file.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// With its article: `a genotype`.
    pub name: &'static str,
    /// Whether the beginning of a file (at most a MiB, and all of a shorter file) is such content.
    pub is_ours: fn(&[u8]) -> bool,
}

/// A place that was found fit to be written.
#[derive(Debug)]
pub struct Output {
    /// As typed, for errors: `--save cell.json`.
    place: String,
    path: PathBuf,
    content: Content,
    force: bool,
    target: Target,
    /// Whether what stands there is of this very process.
    written: Cell<bool>,
}

/// Where the bytes go.
#[derive(Debug)]
enum Target {
    /// A regular file, or none yet; links are resolved.
    File(PathBuf),
    /// A device or a pipe, opened.
    Stream(File),
    /// What the process has as its standard output.
    StandardOutput,
    /// What the process has as its standard error.
    StandardError,
}

impl Output {
    /// Looks at the place before the work; `flag` named it, and `force` allows to replace any regular file.
    ///
    /// # Errors
    /// A usage error for a folder, a socket, a disk, a pipe that nobody reads, a name in a folder that is not there or
    /// can't be written, a link that leads in a circle; without `force` for a file of other content or of a run.
    pub fn new(flag: &str, path: &Path, content: Content, force: bool) -> Result<Self> {
        let output = Self::at(flag, path, content, force)?;
        if let Target::File(target) = &output.target {
            check_folder(&output.place, parent(target))?;
        }
        Ok(output)
    }

    /// The same for files of these names in a folder, which is made when the first is written where it is not there.
    ///
    /// # Errors
    /// As of [`Output::new`], and of a folder that can't be made.
    pub fn in_folder(flag: &str, folder: &Path, names: &[String], content: Content, force: bool) -> Result<Vec<Self>> {
        check_folder(&format!("{flag} {}", folder.display()), nearest_there(folder))?;
        names.iter().map(|name| Self::at(flag, &folder.join(name), content, force)).collect()
    }

    fn at(flag: &str, path: &Path, content: Content, force: bool) -> Result<Self> {
        let place = format!("{flag} {}", path.display());
        let target = target(path).map_err(|found| not_a_file(&place, found))?;
        let path = path.to_owned();
        let output = Self { place, path, content, force, target, written: Cell::new(false) };
        output.check_replaced()?;
        Ok(output)
    }

    /// As it was typed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is written is added to what was written before, instead of replacing it.
    pub fn is_stream(&self) -> bool {
        !matches!(self.target, Target::File(_))
    }

    /// Writes the whole content. A file is replaced at once, and stays as it was where that fails.
    ///
    /// # Errors
    /// [`Error::Write`]; a usage error where another file has come there since the check.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.check_replaced()?;
        self.put(bytes)?;
        self.written.set(true);
        Ok(())
    }

    fn put(&self, bytes: &[u8]) -> Result<()> {
        let all = |stream: &mut dyn Write| stream.write_all(bytes).and_then(|()| stream.flush());
        let written = match &self.target {
            Target::File(target) => {
                fs::create_dir_all(parent(target)).map_err(|error| Error::write(parent(target), error))?;
                return write_atomically(target, bytes);
            }
            Target::Stream(file) => all(&mut &*file),
            Target::StandardOutput => all(&mut io::stdout()),
            Target::StandardError => all(&mut io::stderr()),
        };
        written.map_err(|error| Error::write(&self.path, error))
    }

    /// Refuses to replace what is not this program's own, or a run's.
    fn check_replaced(&self) -> Result<()> {
        let Target::File(target) = &self.target else { return Ok(()) };
        let file = match fs::symlink_metadata(target) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(not_a_file(&self.place, error.to_string())),
        };
        if !file.is_file() {
            return Err(not_a_file(&self.place, kind(file.file_type()).to_owned()));
        }
        if self.force || self.written.get() {
            return Ok(());
        }
        let Content { name, is_ours } = self.content;
        let foreign = |expected: String, found: String| {
            Error::invalid(&self.place, expected, found)
                .with_hint("name another file, or add --force to replace this one")
        };
        if let Some(run) = run_around(target) {
            let found = format!("a file of the run in {}", run.display());
            return Err(foreign("a file that no run needs".to_owned(), found));
        }
        let head = head(target).map_err(|error| foreign(format!("{name} that can be read"), error.to_string()))?;
        if head.is_empty() || is_ours(&head) {
            return Ok(());
        }
        Err(foreign(format!("{name} as sgas writes them, or a new file"), "a file of other content".to_owned()))
    }
}

/// Replaces the regular file that `path` is, or leads to; for what the program names itself.
///
/// # Errors
/// [`Error::Write`], also for what is no regular file; the old file is then as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let refused = |found: String| Error::write(path, io::Error::other(format!("it is {found}")));
    match target(path).map_err(refused)? {
        Target::File(target) => write_atomically(&target, bytes),
        _ => Err(refused("a device or a pipe".to_owned())),
    }
}

fn not_a_file(place: &str, found: String) -> Error {
    Error::invalid(place, "the name of a file", found)
        .with_hint("make the folder first, or name a file in one that is there")
}

/// Finds what a name leads to, or says what is wrong with it.
fn target(path: &Path) -> std::result::Result<Target, String> {
    if path.file_name().is_none() || path.as_os_str().as_bytes().ends_with(b"/") {
        return Err("a folder".to_owned());
    }
    let there = match fs::metadata(path) {
        Ok(there) => there,
        Err(error) if is_absent(&error) => return end_of_links(path).map(Target::File),
        Err(error) => return Err(error.to_string()),
    };
    if is_same(&there, io::stdout().as_fd()) {
        return Ok(Target::StandardOutput);
    }
    if is_same(&there, io::stderr().as_fd()) {
        return Ok(Target::StandardError);
    }
    let type_there = there.file_type();
    if type_there.is_file() {
        return fs::canonicalize(path).map(Target::File).map_err(|error| error.to_string());
    }
    if type_there.is_char_device() || type_there.is_fifo() {
        return open_stream(path).map(Target::Stream).map_err(|error| unopened(type_there, &error));
    }
    Err(kind(type_there).to_owned())
}

/// Where a link leads that leads to nothing.
pub(super) fn end_of_links(path: &Path) -> std::result::Result<PathBuf, String> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = parent(&path).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err("a link that leads in a circle".to_owned())
}

/// Without waiting for a reader of a pipe: where there is none, that is an error.
fn open_stream(path: &Path) -> io::Result<File> {
    let at_once = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).expect("flags are a C int");
    let file = File::options().write(true).custom_flags(at_once).open(path)?;
    // From here on a reader that is slow is waited for.
    rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    Ok(file)
}

fn unopened(file: FileType, error: &io::Error) -> String {
    match error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) && file.is_fifo() {
        true => "a pipe that nobody reads".to_owned(),
        false => format!("{} that can't be opened: {error}", kind(file)),
    }
}

/// Whether a file is what the descriptor writes to.
fn is_same(file: &Metadata, descriptor: std::os::fd::BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(descriptor).is_ok_and(|stream| (stream.st_dev, stream.st_ino) == (file.dev(), file.ino()))
}

fn kind(file: FileType) -> &'static str {
    if file.is_dir() {
        "a folder"
    } else if file.is_socket() {
        "a socket"
    } else if file.is_block_device() {
        "a disk"
    } else if file.is_fifo() {
        "a pipe"
    } else if file.is_char_device() {
        "a device"
    } else {
        "no regular file"
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The folder that a name is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The folder itself, or the nearest above it that is there.
fn nearest_there(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."))
}

/// Tries whether files can be made in `folder`.
fn check_folder(place: &str, folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Err(not_a_file(place, "a file in a folder that is not there".to_owned()));
    }
    match tempfile::Builder::new().prefix(super::PARTIAL_PREFIX).tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(error) => {
            let reason = error.to_string();
            // The name of the file that was tried tells nobody anything.
            let reason = reason.split(" at path").next().unwrap_or_default();
            Err(Error::invalid(place, "a file in a folder that can be written", reason)
                .with_hint("name a file elsewhere, or make the folder writable"))
        }
    }
}

/// The run whose folder, or whose checkpoints' folder, holds a file.
fn run_around(file: &Path) -> Option<&Path> {
    file.ancestors().skip(1).take(2).find(|folder| folder.join(RUN_FILE).is_file())
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests;

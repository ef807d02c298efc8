//! Compressed files and archives of them, read in memory and no further than their size allows.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::Archive;

use crate::data::folders::file_name;
use crate::error::{Error, Result};
use crate::reading::{self, most_unpacked};

/// How archives of published sets are named.
const ARCHIVES: [&str; 3] = [".tar.gz", ".tgz", ".tar"];

/// The first bytes of what gzip compressed.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// True for the name of an archive.
pub(super) fn is_archive(path: &Path) -> bool {
    ARCHIVES.iter().any(|ending| file_name(path).to_lowercase().ends_with(ending)) && reading::is_there(path)
}

/// Reads at most so many bytes; more are an error.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it unpacks to more than its size allows"))?;
        Ok(count)
    }
}

fn damaged(place: &str, error: &io::Error) -> Error {
    Error::invalid(place, "a whole compressed file", error.to_string())
        .with_hint("the file is cut or damaged: download it again, or name the folder that it unpacks to")
}

/// Goes through the files of an archive, by the last part of their names, until `take` has what it wants.
fn each_file(
    content: impl Read,
    packed: u64,
    place: &str,
    mut take: impl FnMut(&str, &mut dyn Read) -> io::Result<bool>,
) -> Result<()> {
    let mut content = BufReader::new(content);
    let is_gzip = io::BufRead::fill_buf(&mut content).is_ok_and(|bytes| bytes.starts_with(&GZIP));
    let plain: Box<dyn Read + '_> = if is_gzip { Box::new(MultiGzDecoder::new(content)) } else { Box::new(content) };
    let mut archive = Archive::new(Bounded { inner: plain, left: most_unpacked(packed) });
    let mut go = || -> io::Result<()> {
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = entry.path()?.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if entry.header().entry_type().is_file() && take(&name, &mut entry)? {
                break;
            }
        }
        Ok(())
    };
    go().map_err(|error| damaged(place, &error))
}

/// The first file of an archive whose name says something.
pub(super) fn first_known<T>(path: &Path, known: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
    let (file, mut found) = (reading::open(path)?, None);
    let packed = file.metadata().map_or(0, |data| data.len());
    each_file(file, packed, &path.display().to_string(), |name, _| {
        found = known(name);
        Ok(found.is_some())
    })?;
    Ok(found)
}

/// The files with these names in an archive.
///
/// # Errors
/// A damaged archive, one that unpacks to more than its size allows.
pub(super) fn read_archive(content: &[u8], place: &str, wanted: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
    let packed = content.len() as u64;
    let mut contents = BTreeMap::new();
    // A file with gaps may be longer than what is stored of it.
    let mut left = most_unpacked(packed);
    each_file(content, packed, place, |name, entry| {
        if wanted.contains(&name) && !contents.contains_key(name) {
            let mut bytes = Vec::new();
            Bounded { inner: entry, left }.read_to_end(&mut bytes)?;
            left -= bytes.len() as u64;
            contents.insert(name.to_owned(), bytes);
        }
        Ok(contents.len() == wanted.len())
    })?;
    Ok(contents)
}

/// The files of a set: in a folder, or in memory out of an archive.
pub(super) struct Files {
    path: PathBuf,
    /// Of an archive.
    contents: Option<BTreeMap<String, Vec<u8>>>,
}

impl Files {
    /// Those of a folder, or of an archive the ones with these names.
    ///
    /// # Errors
    /// An archive that can't be read, is damaged, or unpacks to more than its size allows.
    pub(super) fn open(path: &Path, wanted: &[&str]) -> Result<Self> {
        let contents = if path.is_dir() {
            None
        } else {
            Some(read_archive(&reading::bytes(path)?, &path.display().to_string(), wanted)?)
        };
        Ok(Self { path: path.to_owned(), contents })
    }

    /// True for an archive.
    pub(super) fn are_packed(&self) -> bool {
        self.contents.is_some()
    }

    /// True where the file is there.
    pub(super) fn has(&self, name: &str) -> bool {
        match &self.contents {
            None => reading::is_there(&self.path.join(name)),
            Some(contents) => contents.contains_key(name),
        }
    }

    /// How the file is called, for messages.
    pub(super) fn place(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// Its content; that of an archive can be taken once.
    ///
    /// # Errors
    /// A file that can't be read.
    pub(super) fn take(&mut self, name: &str) -> Result<Vec<u8>> {
        match &mut self.contents {
            None => reading::bytes(&self.path.join(name)),
            Some(contents) => Ok(contents.remove(name).unwrap_or_default()),
        }
    }
}

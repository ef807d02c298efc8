//! Archives of NumPy arrays (`.npz`), unpacked by the crate `zip` within a bound for all of them together.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::error::{Error, Result};
use crate::reading::most_unpacked;

/// How a ZIP archive begins, an empty one too.
const STARTS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// An archive, whose arrays are asked for one by one.
pub(in crate::data) struct Archive<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that its arrays may still unpack to.
    left: u64,
    place: &'a str,
}

/// True for the content of an archive.
pub(in crate::data) fn is_archive(bytes: &[u8]) -> bool {
    STARTS.iter().any(|start| bytes.starts_with(start))
}

impl<'a> Archive<'a> {
    /// The archive with this content; `place` names it.
    ///
    /// # Errors
    /// What is none, or cut.
    pub fn open(bytes: &'a [u8], place: &'a str) -> Result<Self> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(place, error.to_string()))?;
        Ok(Self { archive, left: most_unpacked(bytes.len() as u64), place })
    }

    /// The names of its arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let names = self.archive.file_names().filter_map(|name| name.strip_suffix(".npy"));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    /// The bytes of an array.
    ///
    /// # Errors
    /// One that is not there, damaged, or larger than what the archive may unpack to.
    pub fn array(&mut self, name: &str) -> Result<Vec<u8>> {
        let refuse = |error: String| damaged(self.place, format!("array {name}: {error}"));
        let file = self.archive.by_name(&format!("{name}.npy")).map_err(|error| refuse(error.to_string()))?;
        let mut array = Vec::new();
        // What the archive says of the size may be a lie in both directions.
        if file.size() <= self.left {
            file.take(self.left + 1).read_to_end(&mut array).map_err(|error| refuse(error.to_string()))?;
            if let Some(left) = self.left.checked_sub(array.len() as u64) {
                self.left = left;
                return Ok(array);
            }
        }
        let expected =
            format!("an array that unpacks to at most {} MiB, as the archive's size allows", self.left >> 20);
        Err(Error::invalid(format!("{}, array {name}", self.place), expected, "a larger one")
            .with_hint("if it is meant so, save it uncompressed, by numpy.save or numpy.savez"))
    }
}

fn damaged(place: &str, error: String) -> Error {
    Error::invalid(place, "a whole .npz archive", error)
}

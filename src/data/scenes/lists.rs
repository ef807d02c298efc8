//! Lists of names, one per line, as published sets of labelled clouds have them.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::reading;

/// Lines that hold something, trimmed, of a list of names.
///
/// # Errors
/// A list that can't be read, or is empty; `expected` says what a line should be.
pub(super) fn lines(path: &Path, expected: &str) -> Result<Vec<String>> {
    lines_of(&reading::text(path, reading::LIST)?, path, expected)
}

/// The same of a file's text.
///
/// # Errors
/// An empty text.
pub(super) fn lines_of(text: &str, path: &Path, expected: &str) -> Result<Vec<String>> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    if lines.is_empty() {
        return Err(Error::invalid(path, expected, "an empty file"));
    }
    Ok(lines)
}

/// The part of a path behind its last slash, whichever system wrote it.
pub(super) fn last_part(path: &str) -> PathBuf {
    PathBuf::from(path.rsplit(['/', '\\']).next().unwrap_or(path))
}

//! Where the golden files are: numbers that the published code gave, to be compared with ours.

use std::path::PathBuf;

/// The folder with golden files, and whether `SGAS_GOLDEN_DIR` named it.
///
/// A folder that the variable names may lack files of a kind; the project's own fixtures may not.
pub fn golden_dir() -> (PathBuf, bool) {
    match std::env::var_os("SGAS_GOLDEN_DIR") {
        Some(folder) => (folder.into(), true),
        None => (PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden"), false),
    }
}

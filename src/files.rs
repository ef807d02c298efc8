//! Files that are whole or not there, also after a power cut.

mod folder;
mod output;

pub use folder::write_folder_atomically;
pub use output::{Content, Output, replace};

use crate::error::{Error, Result};
use std::io::Write;
use std::path::Path;

/// How files begin that are not whole yet; a process that was killed leaves them.
const PARTIAL_PREFIX: &str = ".sgas-partial-";

/// Writes beside `path` and moves the whole file there, over an old one.
///
/// # Errors
/// [`Error::Write`]; the old file is then as it was.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes).map_err(|error| Error::write(path, error))
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_PREFIX);
    // Temporary files are private by default; a result has the permissions that the user's umask leaves.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    // Without it the name may reach the disk before the content does.
    file.as_file().sync_all()?;
    // By the C library, as all else here: tests let every one of its calls fail.
    let partial = file.into_temp_path();
    std::fs::rename(&partial, path)?;
    // It is not there any more.
    let _moved = partial.keep();
    sync_folder(folder)
}

/// Brings the names in `folder` to the disk.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Elsewhere a folder can't be opened.
#[cfg(not(unix))]
pub fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Removes what a killed process left half-written in `folder`; a folder that is not there has nothing.
///
/// # Errors
/// [`Error::Write`] for a file that can't be removed.
pub fn remove_partial(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()));
    for entry in files.filter(|entry| entry.file_name().to_string_lossy().starts_with(PARTIAL_PREFIX)) {
        std::fs::remove_file(entry.path()).map_err(|error| Error::write(entry.path(), error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.json");
        write_atomically(&path, b"old and longer").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(write_atomically(&folder.path().join("no/cell.json"), b"x").unwrap_err().exit_code(), 1);
    }

    #[test]
    fn what_was_left_half_written_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        write_atomically(&folder.path().join("cell.json"), b"whole").unwrap();
        std::fs::write(folder.path().join(format!("{PARTIAL_PREFIX}x")), "half").unwrap();
        remove_partial(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        remove_partial(&folder.path().join("nowhere")).unwrap();
    }
}

//! Files that are whole or not there, also after a power cut.

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

/// Tells that a file can't be put where the user wants it, before the work that would be lost; `flag` named it.
///
/// # Errors
/// A folder, or a file in a folder that is not there.
pub fn check_place(flag: &str, path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() && !path.is_dir() {
        return Ok(());
    }
    let found = if path.is_dir() { "a folder" } else { "a file in a folder that is not there" };
    Err(Error::invalid(format!("{flag} {}", path.display()), "the name of a file", found)
        .with_hint("make the folder first, or name a file in one that is there"))
}

/// Makes the folder `path` of what `fill` puts into a folder beside it, and moves the whole there. Folders above it
/// are made as well.
///
/// # Errors
/// A usage error where there is a file, or a folder that holds something; [`Error::Write`]; what `fill` reports.
pub fn write_folder_atomically(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let occupied = match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.exists(),
    };
    if occupied {
        return Err(Error::usage(format!("{} holds something already", path.display())).with_hint("name a new folder"));
    }
    let whole = std::path::absolute(path).map_err(|error| Error::write(path, error))?;
    let parent = whole.parent().unwrap_or(&whole);
    std::fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))?;
    let folder = new_folder(parent).map_err(|error| Error::write(parent, error))?;
    fill(folder.path())?;
    std::fs::rename(folder.path(), path).map_err(|error| Error::write(path, error))?;
    // It is not there any more.
    let _moved = folder.keep();
    Ok(())
}

fn new_folder(parent: &Path) -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder.tempdir_in(parent)
}

/// Removes what a killed process left half-written in `folder`; a folder that is not there has nothing.
///
/// # Errors
/// [`Error::Write`] for a file that can't be removed.
pub fn remove_partial(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PARTIAL_PREFIX)) {
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
    fn a_folder_is_whole_or_not_there_and_never_over_another() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new/shapes");
        let fill = |folder: &Path| write_atomically(&folder.join("a.txt"), b"a");
        let error = write_folder_atomically(&path, |folder| fill(folder).and(Err(Error::run("full")))).unwrap_err();
        assert_eq!(error.to_string(), "full");
        assert_eq!(std::fs::read_dir(parent.path().join("new")).unwrap().count(), 0);
        std::fs::create_dir(&path).unwrap();
        write_folder_atomically(&path, fill).unwrap();
        assert_eq!(std::fs::read(path.join("a.txt")).unwrap(), b"a");
        for occupied in [&path, &path.join("a.txt")] {
            assert_eq!(write_folder_atomically(occupied, fill).unwrap_err().exit_code(), 2);
        }
        assert_eq!(std::fs::read_dir(parent.path().join("new")).unwrap().count(), 1);
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

//! Folders that are whole or not there.
//!
//! A folder is filled beside its place and moved there. While it is filled it is locked; a lock ends with its process,
//! so a folder without one was left by a process that was killed, and goes.

use super::PARTIAL_PREFIX;
use super::output::end_of_links;
use crate::error::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Makes the folder `path`, or where it leads as a link, of what `fill` puts into a folder beside it, and moves the
/// whole there. Folders above it are made as well, and what killed processes left beside it is removed.
///
/// # Errors
/// A usage error where there is a file, a folder that holds something, or one that can't be replaced (the working
/// folder, a mounted disk); [`Error::Write`]; what `fill` reports.
pub fn write_folder_atomically(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let target = target(path)?;
    let parent = target.parent().unwrap_or(&target);
    fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))?;
    remove_abandoned(parent);
    let folder = Partial::new(parent).map_err(|error| Error::write(parent, error))?;
    fill(folder.path.path())?;
    fs::rename(folder.path.path(), &target).map_err(|error| Error::write(path, error))?;
    // It is not there any more.
    let _moved = folder.path.keep();
    Ok(())
}

/// Where the folder goes: a place with nothing, or an empty folder.
fn target(path: &Path) -> Result<PathBuf> {
    let refused = |why: &str| Err(Error::usage(format!("{} {why}", path.display())).with_hint("name a new folder"));
    let occupied = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.exists(),
    };
    if occupied {
        return refused("holds something already");
    }
    let unusable = |error| Error::write(path, error);
    if !path.exists() {
        // A name with a slash at its end would be read as that of what a link leads to.
        let whole: PathBuf = std::path::absolute(path).map_err(unusable)?.components().collect();
        return end_of_links(&whole).map_err(|why| Error::usage(format!("{}: {why}", path.display())));
    }
    let there = fs::canonicalize(path).map_err(unusable)?;
    if std::env::current_dir().and_then(fs::canonicalize).is_ok_and(|here| here == there) {
        return refused("is the folder that you are in, which can't be replaced by a new one");
    }
    let device = |folder: &Path| fs::metadata(folder).map(|folder| folder.dev()).ok();
    if there.parent().is_none_or(|parent| device(parent) != device(&there)) {
        return refused("is a disk of its own, which can't be replaced by a new folder");
    }
    Ok(there)
}

/// A folder that is being filled; removed where it is not kept.
struct Partial {
    path: TempDir,
    /// Locked as long as it is open; none on systems that lock no folders.
    _lock: Option<File>,
}

impl Partial {
    fn new(parent: &Path) -> io::Result<Self> {
        loop {
            let mut builder = tempfile::Builder::new();
            builder.prefix(PARTIAL_PREFIX).permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
            let path = builder.tempdir_in(parent)?;
            match lock(path.path()) {
                Lock::Held(file) => return Ok(Self { path, _lock: Some(file) }),
                Lock::Impossible => return Ok(Self { path, _lock: None }),
                // Another process took it for abandoned in the moment before.
                Lock::Taken => {}
            }
        }
    }
}

enum Lock {
    /// Until the file is closed.
    Held(File),
    /// Another process has it, or had it and removed the folder.
    Taken,
    /// The system can't lock it.
    Impossible,
}

fn lock(folder: &Path) -> Lock {
    let Ok(file) = File::open(folder) else { return Lock::Impossible };
    match file.try_lock() {
        Ok(()) if is_still_there(&file, folder) => Lock::Held(file),
        Ok(()) | Err(TryLockError::WouldBlock) => Lock::Taken,
        Err(TryLockError::Error(_)) => Lock::Impossible,
    }
}

fn is_still_there(file: &File, folder: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let [opened, named] = [file.metadata(), fs::symlink_metadata(folder)].map(|found| found.map(identity).ok());
    opened.is_some() && opened == named
}

/// Removes the folders in `parent` that nobody fills any more; where one can't be removed, it stays.
fn remove_abandoned(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for folder in folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(PARTIAL_PREFIX)) {
        if let Lock::Held(_locked) = lock(&folder.path()) {
            match fs::remove_dir_all(folder.path()) {
                Ok(()) => tracing::info!("removed {}, which a killed process left", folder.path().display()),
                Err(error) => tracing::debug!("{} can't be removed: {error}", folder.path().display()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::write_atomically;
    use super::*;

    fn fill(folder: &Path) -> Result<()> {
        write_atomically(&folder.join("a.txt"), b"a")
    }

    #[test]
    fn a_folder_is_whole_or_not_there_and_never_over_another() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new/shapes");
        let error = write_folder_atomically(&path, |folder| fill(folder).and(Err(Error::run("full")))).unwrap_err();
        assert_eq!(error.to_string(), "full");
        assert_eq!(fs::read_dir(parent.path().join("new")).unwrap().count(), 0);
        fs::create_dir(&path).unwrap();
        write_folder_atomically(&path, fill).unwrap();
        assert_eq!(fs::read(path.join("a.txt")).unwrap(), b"a");
        for occupied in [&path, &path.join("a.txt")] {
            assert_eq!(write_folder_atomically(occupied, fill).unwrap_err().exit_code(), 2);
        }
        assert_eq!(fs::read_dir(parent.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn abandoned_folders_go_and_one_that_is_filled_stays_with_all_else() {
        let parent = tempfile::tempdir().unwrap();
        let named = |name: &str| parent.path().join(name);
        fs::create_dir_all(named(".sgas-partial-dead/train/chair")).unwrap();
        fs::create_dir(named("other")).unwrap();
        fs::write(named(".sgas-partial-file"), "half").unwrap();
        std::os::unix::fs::symlink("other", named(".sgas-partial-link")).unwrap();
        let alive = Partial::new(parent.path()).unwrap();
        write_folder_atomically(&named("new"), fill).unwrap();
        assert!(!named(".sgas-partial-dead").exists());
        for name in ["other", ".sgas-partial-file", ".sgas-partial-link", "new/a.txt"] {
            assert!(named(name).exists(), "{name}");
        }
        assert!(alive.path.path().exists());
    }

    #[test]
    fn a_circle_of_links_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let circle = parent.path().join("circle");
        std::os::unix::fs::symlink("circle", &circle).unwrap();
        assert_eq!(write_folder_atomically(&circle, fill).unwrap_err().exit_code(), 2);
    }
}

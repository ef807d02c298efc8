//! One process at a time works on a run: a lock that dies with the process that has it.

use crate::error::{Error, Result};
use crate::memory::Killed;
use crate::reading;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The lock of a run, in the folder of its checkpoints.
pub const FILE: &str = "lock";

/// Bytes that are read of what stands in a lock.
const LONGEST: u64 = 1024;

/// A lock that is held until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct RunLock {
    /// The lock is the open file's; absent where the file system has none.
    file: Option<File>,
    /// Processes that this system ended for want of memory since another took the lock before.
    pub killed_since: u64,
}

impl RunLock {
    /// Takes the lock that is the file `path`; `what` is locked, for errors. Where the file system has no locks, that is
    /// told, and nothing is locked.
    ///
    /// # Errors
    /// A lock that another process has, with who that is; a file that can't be made.
    pub fn take(path: &Path, what: &str) -> Result<Self> {
        Self::attempt(path, what)?.map_err(|holder| {
            Error::usage(format!("{what} is being worked on by {holder}"))
                .with_hint("wait until it ends, or stop it; two would spoil each other's files")
        })
    }

    /// The same; nothing where another process has it.
    ///
    /// # Errors
    /// A file that can't be made.
    pub fn take_if_free(path: &Path, what: &str) -> Result<Option<Self>> {
        Self::attempt(path, what).map(std::result::Result::ok)
    }

    /// The lock, or who has it.
    fn attempt(path: &Path, what: &str) -> Result<std::result::Result<Self, String>> {
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(|error| Error::write(path, error))?;
        let locked = file.try_lock();
        // Its text helps people, and a run is no worse without.
        let mut text = String::new();
        if file.metadata().is_ok_and(|found| found.is_file()) {
            let _ = Read::by_ref(&mut file).take(LONGEST).read_to_string(&mut text);
        }
        let mut lines = text.lines();
        let (holder, earlier) = (lines.next(), lines.next().and_then(Killed::from_word));
        Ok(match locked {
            Ok(()) => {
                let now = Killed::so_far();
                let killed_since = now.as_ref().zip(earlier).map_or(0, |(now, earlier)| now.since(&earlier));
                let text = format!("{}\n{}\n", own_name(), now.map_or_else(String::new, |now| now.to_word()));
                let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
                Ok(Self { file: Some(file), killed_since })
            }
            Err(TryLockError::WouldBlock) => Err(holder.unwrap_or("another process").to_owned()),
            Err(TryLockError::Error(error)) => {
                tracing::warn!("{what} can't be locked ({error}): see to it that no other process works on it");
                Ok(Self { file: None, killed_since: 0 })
            }
        })
    }

    /// The lock for processes that are begun while the result lives: it is free when they have ended too.
    #[cfg(unix)]
    pub fn inherited(&self) -> Option<std::os::fd::OwnedFd> {
        // Unlike every other file of this process, the copy stays open in another program.
        self.file.as_ref().and_then(|file| rustix::io::dup(file).ok())
    }

    /// Elsewhere files are not passed on.
    #[cfg(not(unix))]
    pub fn inherited(&self) -> Option<()> {
        None
    }
}

/// Whether the process that took a lock last still runs; the lock itself is not touched. `None` where that can't be told,
/// as of a process on another machine.
pub fn is_held(path: &Path) -> Option<bool> {
    let text = reading::start(path, LONGEST).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (process, host) = text.lines().next()?.strip_prefix("process ")?.split_once(" on ")?;
    let process: u32 = process.parse().ok()?;
    (host == own_host() && Path::new("/proc/self").exists()).then(|| Path::new(&format!("/proc/{process}")).exists())
}

fn own_name() -> String {
    format!("process {} on {}", std::process::id(), own_host())
}

fn own_host() -> String {
    sysinfo::System::host_name().unwrap_or_else(|| "an unknown host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_and_the_next_gets_it_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = RunLock::take(&path, "runs/x").unwrap();
        let error = RunLock::take(&path, "runs/x").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let expected = format!("runs/x is being worked on by process {} on ", std::process::id());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(is_held(&path), Some(true));
        drop(lock);
        RunLock::take(&path, "runs/x").unwrap();
    }

    #[test]
    fn a_lock_of_a_process_that_ended_is_held_by_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(is_held(&path), None);
        // No process has this number. (One that is started here would have the locks of tests beside this one for a moment.)
        std::fs::write(&path, format!("process {} on {}\n", u32::MAX, own_host())).unwrap();
        assert_eq!(is_held(&path), Some(false));
        std::fs::write(&path, "process 1 on elsewhere.example\n").unwrap();
        assert_eq!(is_held(&path), None);
    }
}

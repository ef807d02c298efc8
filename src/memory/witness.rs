//! A shell beside this process, which says so where the system ends this one for want of memory; a process that is ended
//! so can't say it itself.

use super::Killed;
use super::killed::EVENTS;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Small, and there on every system; another process of ours would load libtorch.
const SHELL: &str = "/bin/sh";
const SCRIPT: &str = include_str!("witness.sh");

static WITNESS: Mutex<Option<Child>> = Mutex::new(None);

/// Until this is dropped the process has a witness.
#[derive(Debug)]
#[must_use]
pub struct Witnessed(());

/// Starts the witness, who will give `hint` as what to do. Where there is none to be had, the system's own word has to do.
pub fn witness(hint: &str) -> Witnessed {
    if let Some(killed) = Killed::so_far() {
        let shell = start(&killed, Path::new(EVENTS), Stdio::inherit());
        *WITNESS.lock().unwrap_or_else(PoisonError::into_inner) = shell.ok();
        advise(hint);
    }
    Witnessed(())
}

/// What to do from now on where memory runs out.
pub fn advise(hint: &str) {
    if let Some(shell) = &mut *WITNESS.lock().unwrap_or_else(PoisonError::into_inner) {
        tell(shell, hint);
    }
}

impl Drop for Witnessed {
    fn drop(&mut self) {
        if let Some(mut shell) = WITNESS.lock().unwrap_or_else(PoisonError::into_inner).take() {
            tell(&mut shell, "");
            // Its standard input is closed first.
            let _ = shell.wait();
        }
    }
}

fn start(killed: &Killed, events: &Path, errors: Stdio) -> std::io::Result<Child> {
    // Without the environment: what a user has it do to this process is not for the shell.
    let mut shell = Command::new(SHELL);
    shell.env_clear().args(["-c", SCRIPT, "sgas-witness"]).arg(killed.count().to_string()).arg(events);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors).spawn()
}

/// A line for the shell. One that is gone is not missed.
fn tell(shell: &mut Child, line: &str) {
    if let Some(input) = &mut shell.stdin {
        let _ = input.write_all(format!("{}\n", line.replace('\n', " ")).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What the witness says of a process that told it these lines, where so many processes were ended before and after.
    fn said(lines: &[&str], before: u64, after: u64) -> String {
        let folder = tempfile::tempdir().unwrap();
        let events = folder.path().join("vmstat");
        fs::write(&events, format!("nr_free_pages 12\noom_kill {after}\noom_kill_other 99\n")).unwrap();
        let mut shell = start(&Killed::from_word(&format!("a:{before}")).unwrap(), &events, Stdio::piped()).unwrap();
        lines.iter().for_each(|line| tell(&mut shell, line));
        String::from_utf8(shell.wait_with_output().unwrap().stderr).unwrap()
    }

    #[test]
    fn a_process_that_is_gone_without_a_word_is_told_where_the_system_ended_one() {
        assert_eq!(
            said(&["take less", "take --batch 4 or\n less: %s"], 3, 4),
            "error: out of memory: the system ended this process to have its memory back\n\
             hint: take --batch 4 or  less: %s\n"
        );
        assert_eq!(said(&["take less"], 4, 4), "");
        assert_eq!(said(&["take less", ""], 3, 4), "");
    }
}

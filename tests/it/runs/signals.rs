//! Signals: a run that is asked to stop ends its step, keeps its state and says how to go on.

use super::honest::{epochs_so_far, spawn};
use super::{assert_equal_runs, output, search, train};
use crate::cli::sgas;
use sgas::report::Event;
use sgas::report::log::events;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn wait_for(run: &Path, epochs: usize) {
    while epochs_so_far(run) < epochs {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What the process said on standard error, and its exit code.
fn ended(mut process: Child) -> (String, Option<i32>) {
    let mut text = String::new();
    process.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (text, process.wait().unwrap().code())
}

#[test]
fn a_signal_stops_a_run_which_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let whole = "--set data.validation=0.25 --set train.epochs=40";
    output(&mut train(folder.path(), &format!("{whole} --out whole")));
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let run = folder.path().join(name);
        let process = spawn(&mut train(folder.path(), &format!("{whole} --out {name}")));
        wait_for(&run, 1);
        signal(&process, name);
        let (text, found) = ended(process);
        assert_eq!(found, Some(code), "{text}");
        assert!(text.contains(&format!("stopped by SIG{name} in epoch ")), "{text}");
        assert!(text.contains(&format!("hint: go on: sgas train --out {name} --resume")), "{text}");
        assert!(!text.contains("error"), "{text}");
        let stopped = events(&run).unwrap();
        assert!(matches!(stopped.last(), Some(Event::Stopped { .. })), "{:?}", stopped.last());
        output(sgas(folder.path()).args(["train", "--out", name, "--resume", "--threads", "1", "--device", "cpu"]));
        assert_equal_runs(&folder.path().join("whole"), &run);
    }
}

#[test]
fn usr1_keeps_the_state_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut process =
        spawn(&mut search(folder.path(), "--out run --set search.epochs=5000 --set decision.warmup=4000"));
    let run = folder.path().join("run");
    wait_for(&run, 1);
    signal(&process, "USR1");
    // Kept within an epoch: nothing else does that here.
    let state = run.join("checkpoint/state.safetensors");
    let is_within = || {
        let Ok(checkpoint) = sgas::checkpoint::Checkpoint::load(&state) else { return false };
        !checkpoint.state["run"]["begun"].is_null()
    };
    let mut tries = 0;
    while !is_within() && tries < 400 {
        tries += 1;
        // The next epoch's end may take its place before it is looked at.
        signal(&process, "USR1");
    }
    assert!(tries < 400);
    assert!(process.try_wait().unwrap().is_none());
    signal(&process, "TERM");
    assert_eq!(ended(process).1, Some(143));
}

#[test]
fn what_was_ignored_when_the_program_began_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let mut inner = train(folder.path(), "--out run --set train.epochs=6");
    let _ = &mut inner;
    let words: Vec<String> = inner.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
    let program = inner.get_program().to_str().unwrap().to_owned();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh", &program]).args(words).current_dir(folder.path());
    shell.env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0");
    let process = shell.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for(&folder.path().join("run"), 1);
    signal(&process, "HUP");
    let (text, code) = ended(process);
    assert_eq!(code, Some(0), "{text}");
}

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

/// The script of docs/clusters.md, with a search and training of seconds, and programs of its own in the place of
/// Slurm's.
#[test]
fn the_batch_script_for_slurm_stops_before_its_time_is_up_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let readme = crate::readme::text("docs/clusters.md");
    let begin = readme.find("#!/bin/bash\n#SBATCH").expect("docs/clusters.md shows a script for Slurm");
    let script = &readme[begin..begin + readme[begin..].find("```").unwrap()];
    let small = "--device cpu --data synthetic --threads 1 --set data.points=48 --set model.channels=4 \
                 --set data.synthetic.train=40 --set data.synthetic.test=20";
    let replaced = [
        ("sgas=$HOME/sgas-0.1.0-linux-x86_64/bin/sgas", "sgas=$PROGRAM".to_owned()),
        ("--device cuda", "--device cpu".to_owned()),
        ("--task modelnet40 --amp", format!("--config smoke/search-points --set search.epochs=60 {small}")),
        (
            "--genotype \"$runs/search\" --amp",
            format!("--genotype \"$runs/search\" --config smoke/train-points {small}"),
        ),
        ("export LD_LIBRARY_PATH=", "export UNUSED=".to_owned()),
    ];
    let script = replaced.iter().fold(script.to_owned(), |script, (from, to)| {
        assert!(script.contains(from), "the guide's script has no `{from}`");
        script.replace(from, to)
    });
    std::fs::write(path.join("job.sh"), script).unwrap();
    let job = |home: &str| {
        std::fs::create_dir_all(path.join(home).join("bin")).unwrap();
        let scontrol = path.join(home).join("bin/scontrol");
        std::fs::write(&scontrol, "#!/bin/sh\necho \"$@\" >>\"$HOME/requeued\"\n").unwrap();
        assert!(Command::new("chmod").arg("+x").arg(&scontrol).status().unwrap().success());
        let mut bash = Command::new("bash");
        bash.arg("job.sh").current_dir(path).env("HOME", path.join(home)).env("SLURM_JOB_ID", "42");
        let search_path = std::env::var("PATH").unwrap();
        bash.env("PATH", format!("{}:{search_path}", path.join(home).join("bin").display()));
        bash.env("PROGRAM", sgas(path).get_program()).env("GOMP_SPINCOUNT", "0").env_remove("RUST_BACKTRACE");
        bash.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
        bash.spawn().unwrap()
    };
    let (text, code) = ended(job("whole"));
    assert_eq!(code, Some(0), "{text}");
    let search = path.join("cut/runs/modelnet40/search");
    let cut = job("cut");
    wait_for(&search, 2);
    signal(&cut, "USR1");
    let (text, code) = ended(cut);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(std::fs::read_to_string(path.join("cut/requeued")).unwrap(), "requeue 42\n");
    assert!(text.contains("stopped by SIGTERM"), "{text}");
    // As from the queue.
    let (text, code) = ended(job("cut"));
    assert_eq!(code, Some(0), "{text}");
    for run in ["search", "train"] {
        let [whole, cut] = ["whole", "cut"].map(|home| path.join(home).join("runs/modelnet40").join(run));
        assert_eq!(super::told(&whole), super::told(&cut), "{run}");
        assert_eq!(super::results(&whole)["genotype.json"], super::results(&cut)["genotype.json"]);
        let weights = |run: &Path| std::fs::read(run.join("weights-last.safetensors")).ok();
        assert_eq!(weights(&whole), weights(&cut));
    }
}

#[test]
fn a_second_signal_ends_a_run_at_once_and_it_goes_on_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "--set data.validation=0.25 --set train.epochs=120";
    output(&mut train(folder.path(), &format!("{settings} --out whole")));
    let run = folder.path().join("run");
    let resume = || {
        let mut again = sgas(folder.path());
        again.args(["train", "--out", "run", "--resume", "--threads", "1", "--device", "cpu"]);
        again
    };
    let mut command = train(folder.path(), &format!("{settings} --out run"));
    for epochs in (1..).step_by(20) {
        assert!(epochs < 100, "no run was ended at once");
        let process = spawn(&mut command);
        wait_for(&run, epochs);
        // Both wait until the process goes on, so no step ends between them.
        let sent = ["STOP", "INT", "TERM", "CONT"].map(|name| format!("kill -{name} {}", process.id())).join(" && ");
        assert!(Command::new("sh").args(["-c", &sent]).status().unwrap().success());
        let (text, code) = ended(process);
        assert!(matches!(code, Some(130 | 143)), "{code:?}: {text}");
        // Where two threads take one each at the same moment, neither is the second.
        if !text.contains("stopped by") {
            break;
        }
        command = resume();
    }
    output(&mut resume());
    assert_equal_runs(&folder.path().join("whole"), &run);
}

//! Runs that are killed and go on: to the bit what the uncut run gives.
//!
//! Where a run is killed is exact. Its process is this test binary once more ([`the_process_that_is_killed`]), which runs
//! the command through the library. A subscriber of `tracing` sees the events of the run in the thread of its loop; at
//! the event that was asked for it says so on standard output and never returns. So nothing more happens in the run,
//! however late the test reads that line and kills the process.

use super::images::smoke;
use super::{assert_equal_runs, epochs, failure, output, results, search, train};
use crate::cli::sgas;
use assert_cmd::Command;
use sgas::genotype::Genotype;
use sgas::report::Event;
use sgas::report::log::{EVENTS_TARGET, events};
use sgas::report::progress::EPOCH_TARGET;
use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Where a run is killed.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub enum Stop {
    /// After this event stood in the log so many times. Tables, drawings and the checkpoint of its epoch are still to
    /// come, so the log is ahead of the checkpoint.
    Logged(Name, usize),
    /// In so many epochs' last moment, before any log knows of it: all that is there belongs to a checkpoint.
    Before(usize),
}

#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
/// An event of the log.
#[serde(rename_all = "snake_case")]
pub enum Name {
    Epoch,
    Decision,
}

/// The words of the command, and the [`Stop`], for the process that is killed.
const COMMAND: &str = "SGAS_TEST_KILLED";
/// What that process says when it stands still.
const STOPPED: &str = "stopped where it was to stop";

/// Not a test by itself: what [`kill_at`] starts.
#[test]
fn the_process_that_is_killed() {
    let Ok(asked) = std::env::var(COMMAND) else { return };
    let (words, stop): (Vec<String>, Stop) = serde_json::from_str(&asked).unwrap();
    super::extend::register();
    tracing_subscriber::registry().with(StopLayer { stop, seen: AtomicUsize::new(0) }).init();
    let (global, command) = sgas::cli::parse_from(words).unwrap().unwrap();
    println!("the run ended: {:?}", sgas::commands::run(&command, &global, &mut std::io::sink()));
}

/// Stands still at the event.
struct StopLayer {
    stop: Stop,
    seen: AtomicUsize,
}

impl<S: tracing::Subscriber> Layer<S> for StopLayer {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        let (is_one, count) = match self.stop {
            Stop::Before(count) => (target == EPOCH_TARGET, count),
            Stop::Logged(name, count) => (target == EVENTS_TARGET && is_named(event, name), count),
        };
        if is_one && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == count {
            println!("\n{STOPPED}");
            loop {
                std::thread::park();
            }
        }
    }
}

/// Whether a line of the log is an event of this name.
fn is_named(event: &tracing::Event<'_>, name: Name) -> bool {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    let event: Event = serde_json::from_str(&message.0).unwrap();
    matches!((name, event), (Name::Epoch, Event::Epoch(_)) | (Name::Decision, Event::Decision(_)))
}

/// Runs the command until it stands still there, and kills it.
pub fn kill_at(command: &Command, stop: Stop) {
    let words = command.get_args().map(|word| word.to_str().unwrap());
    let words: Vec<&str> = std::iter::once("sgas").chain(words).collect();
    let module = module_path!().split_once("::").unwrap().1;
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    process.args([&format!("{module}::the_process_that_is_killed"), "--exact", "--nocapture"]);
    process.env(COMMAND, serde_json::to_string(&(words, stop)).unwrap());
    process.current_dir(command.get_current_dir().unwrap());
    process.env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").env_remove("SGAS_DATA").env_remove("SGAS_RUNS");
    let mut child = process.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut told = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        told.push(line.unwrap());
        if told.last().unwrap() == STOPPED {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(told.iter().any(|line| line == STOPPED) && status.code().is_none(), "{stop:?}: {status}, {told:#?}");
}

fn go_on(folder: &Path, command: &str, run: &str) {
    output(sgas(folder).args([command, "--out", run, "--resume", "--threads", "1", "--device", "cpu"]));
}

#[test]
fn a_killed_search_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "--criterion 2 --set decision.warmup=1 --set decision.interval=2";
    output(&mut search(folder.path(), &format!("{settings} --out whole")));
    // Before there is a checkpoint, with a decision that is in none, between two decisions, and right behind one.
    let stops = [
        (Stop::Logged(Name::Epoch, 1), 1),
        (Stop::Logged(Name::Decision, 1), 2),
        (Stop::Logged(Name::Epoch, 6), 2),
        (Stop::Before(4), 2),
    ];
    for (number, (stop, begins)) in stops.into_iter().enumerate() {
        let (name, run) = (format!("cut{number}"), folder.path().join(format!("cut{number}")));
        kill_at(&search(folder.path(), &format!("{settings} --out {name}")), stop);
        go_on(folder.path(), "search", &name);
        assert_equal_runs(&folder.path().join("whole"), &run);
        let begun = events(&run).unwrap().iter().filter(|event| matches!(event, Event::Started { .. })).count();
        assert_eq!(begun, begins, "{stop:?}");
    }
}

/// Both kinds of cell are decided, and drop path draws per picture.
#[test]
fn killed_runs_on_pictures_go_on_to_the_bit() {
    killed_runs_go_on_to_the_bit("images", "");
}

/// Drop path draws per node, and an average of the weights is what is scored.
#[test]
fn killed_runs_on_graphs_go_on_to_the_bit() {
    killed_runs_go_on_to_the_bit("graphs", "--set train.average=0.9");
}

fn killed_runs_go_on_to_the_bit(task: &str, training: &str) {
    let folder = tempfile::tempdir().unwrap();
    output(&mut smoke(folder.path(), "search", task, "--out found"));
    let settings = &format!("--genotype found --set train.drop_path=0.4 --set train.epochs=6 {training}");
    output(&mut smoke(folder.path(), "train", task, &format!("{settings} --out trained")));
    for (command, whole, more) in [("search", "found", ""), ("train", "trained", settings.as_str())] {
        let (name, run) = (format!("cut-{command}"), folder.path().join(format!("cut-{command}")));
        kill_at(&smoke(folder.path(), command, task, &format!("{more} --out {name}")), Stop::Logged(Name::Epoch, 2));
        go_on(folder.path(), command, &name);
        assert_equal_runs(&folder.path().join(whole), &run);
    }
}

#[test]
fn a_killed_training_goes_on_to_the_bit() {
    let variants =
        ["--set train.drop_path=0.4", "--set weights.optimizer=adam --set weights.learning_rate=0.01 --amp bf16"];
    for variant in variants {
        let folder = tempfile::tempdir().unwrap();
        let settings = format!("{variant} --set train.epochs=9 --set data.validation=0.25");
        output(&mut train(folder.path(), &format!("{settings} --out whole")));
        for (number, stop) in
            [Stop::Logged(Name::Epoch, 1), Stop::Logged(Name::Epoch, 3), Stop::Before(3)].into_iter().enumerate()
        {
            let (name, run) = (format!("cut{number}"), folder.path().join(format!("cut{number}")));
            kill_at(&train(folder.path(), &format!("{settings} --out {name}")), stop);
            go_on(folder.path(), "train", &name);
            assert_equal_runs(&folder.path().join("whole"), &run);
        }
    }
}

/// As if the system had ended one process more for want of memory since the run began.
#[test]
fn a_run_that_the_system_may_have_ended_for_its_memory_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    for (run, more) in [("other", 0), ("cut", 1)] {
        kill_at(&train(folder.path(), &format!("--set train.epochs=3 --out {run}")), Stop::Logged(Name::Epoch, 1));
        let lock = folder.path().join(run).join("checkpoint/lock");
        let text = std::fs::read_to_string(&lock).unwrap();
        let Some((start, count)) = text.trim_end().rsplit_once(':') else {
            println!("skipped: this system does not count the processes that it ends for want of memory: {text}");
            return;
        };
        std::fs::write(&lock, format!("{start}:{}\n", count.parse::<i64>().unwrap() - more)).unwrap();
        let mut resume = sgas(folder.path());
        resume.args(["train", "--out", run, "--resume", "--threads", "1", "--device", "cpu"]);
        let told = String::from_utf8(resume.assert().success().get_output().stderr.clone()).unwrap();
        let expected =
            format!("{run} ended without a word, and since it began this system ended a process for want of memory");
        assert_eq!(told.contains(&expected), more == 1, "{told}");
        assert!(more == 0 || told.contains("take a smaller --batch (it is 8)"), "{told}");
    }
}

/// Most blocks draw their neighbours, and half precision keeps its master weights.
#[test]
fn a_killed_training_on_labelled_clouds_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "--model resgcn --set resgcn.stochastic=0.8 --set train.epochs=8 --amp bf16";
    output(&mut smoke(folder.path(), "train", "s3dis", &format!("{settings} --out whole")));
    let command = smoke(folder.path(), "train", "s3dis", &format!("{settings} --out cut"));
    kill_at(&command, Stop::Logged(Name::Epoch, 3));
    go_on(folder.path(), "train", "cut");
    assert_equal_runs(&folder.path().join("whole"), &folder.path().join("cut"));
}

#[test]
fn a_log_begins_before_its_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    let log = || std::fs::read_to_string(folder.path().join("run/log.txt")).unwrap();
    output(&mut train(folder.path(), "--out run --amp --set train.epochs=1"));
    let first = log();
    assert!(first.lines().next().unwrap().contains("--amp: bf16"), "{first}");
    let resumed = ["train", "--out", "run", "--resume", "--amp", "--set", "train.epochs=2", "--device", "cpu"];
    output(sgas(folder.path()).args(resumed).args(["--resume-anyway", "train.epochs"]));
    let second = log();
    // The cut comes first, and takes nothing of what the resumed process had told by then.
    let lines: Vec<&str> = second.lines().filter(|line| line.contains("--amp: bf16")).collect();
    assert_eq!(lines.len(), 2, "{second}");
    let epochs = |text: &str| text.matches("epoch ").count();
    assert!(epochs(second.split_once(lines[1]).unwrap().0) >= 1, "{second}");
    assert_eq!(second.lines().next(), first.lines().next());
}

#[test]
fn a_search_that_failed_goes_on_with_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        failure(&mut search(folder.path(), "--out run --set weights.learning_rate=1e30 --set weights.clip=0"), 1);
    assert!(text.contains("--resume"), "{text}");
    let resumed = ["search", "--out", "run", "--resume", "--set", "weights.learning_rate=0.005"];
    let clip = ["--set", "weights.clip=5", "--device", "cpu"];
    let anyway = ["--resume-anyway", "weights.learning_rate", "--resume-anyway", "weights.clip"];
    output(sgas(folder.path()).args(resumed).args(clip).args(anyway));
    output(&mut search(folder.path(), "--out fresh"));
    let (run, fresh) = (folder.path().join("run"), folder.path().join("fresh"));
    let cell = |run: &Path| Genotype::load(run.join("genotype.json")).unwrap();
    assert_eq!(cell(&run).normal, cell(&fresh).normal);
    // It says that it did not begin so.
    assert_eq!(cell(&run).extra["search"]["changes"].as_array().unwrap().len(), 2);
    assert_eq!(epochs(&run).len(), epochs(&fresh).len());
}

#[test]
fn a_refused_resume_leaves_the_run_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut search(folder.path(), "--out search --set search.epochs=2"));
    output(&mut train(folder.path(), "--out train --set train.epochs=1"));
    for command in ["search", "train"] {
        let run = folder.path().join(command);
        let logs = || ["events.jsonl", "metrics.csv", "log.txt"].map(|name| std::fs::read(run.join(name)).unwrap());
        let before = (results(&run), logs());
        let other_size = ["--out", command, "--resume", "--set", "model.channels=8"];
        let text = failure(sgas(folder.path()).arg(command).args(other_size), 2);
        assert!(text.contains(&format!("{command} began otherwise: model.channels (4, now 8)")), "{text}");
        let other = if command == "search" { "train" } else { "search" };
        let text = failure(sgas(folder.path()).args([other, "--out", command, "--resume"]), 2);
        assert!(text.contains(&format!("{command} is a run of `sgas {command}`, not of `sgas {other}`")), "{text}");
        assert!((results(&run), logs()) == before, "{command}: the refused run changed");
    }
}

#[test]
fn a_killed_search_of_several_passes_an_epoch_goes_on_to_the_bit() {
    // Epochs of 5 batches, each taken twice.
    killed_runs_of_several_passes_go_on_to_the_bit("search", search, "search.epochs=11", 110);
}

#[test]
fn a_killed_training_of_several_passes_an_epoch_goes_on_to_the_bit() {
    killed_runs_of_several_passes_go_on_to_the_bit("train", train, "train.epochs=4", 24);
}

/// Each pass has an order of its own, also where it goes on in the middle of an epoch.
fn killed_runs_of_several_passes_go_on_to_the_bit(
    command: &str,
    start: fn(&Path, &str) -> Command,
    epochs_of: &str,
    steps: usize,
) {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str| folder.path().join(name);
    let words = |name: &str, more: &str| format!("--set {epochs_of} {more} --out {name}");
    let settings = format!("--set {command}.steps={steps} --set checkpoint.steps=3");
    output(&mut start(folder.path(), &words("whole", &settings)));
    // Fewer steps than there are anyway change nothing.
    for (name, steps) in [("once", String::new()), ("fewer", format!("--set {command}.steps=4"))] {
        output(&mut start(folder.path(), &words(name, &steps)));
    }
    let losses = |name: &str| -> Vec<f64> { epochs(&run(name)).iter().map(|epoch| epoch.train.loss).collect() };
    let once = losses("once");
    assert_eq!(once, losses("fewer"));
    assert!(losses("whole").iter().zip(&once).all(|(twice, once)| twice != once));
    kill_at(&start(folder.path(), &words("cut", &settings)), Stop::Logged(Name::Epoch, 3));
    go_on(folder.path(), command, "cut");
    assert_equal_runs(&run("whole"), &run("cut"));
}

#[test]
fn a_search_of_few_steps_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let said = |more: &str| {
        let settings = "--set search.epochs=1 --set decision.warmup=0 --set alphas.learning_rate=0.01";
        let mut command = search(folder.path(), &format!("{settings} {more}"));
        String::from_utf8(command.assert().success().get_output().stderr.clone()).unwrap()
    };
    let few = said("--out few");
    assert!(few.contains("steps, in which no alpha moves further than about 0.03 at alphas.learning_rate"), "{few}");
    assert!(few.contains("--set search.steps=10"), "{few}");
    let enough = said("--out enough --set search.steps=10");
    assert!(!enough.contains("no alpha moves"), "{enough}");
    let faster = said("--out faster --set alphas.learning_rate=0.1");
    assert!(!faster.contains("no alpha moves"), "{faster}");
}

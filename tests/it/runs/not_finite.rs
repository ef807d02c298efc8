//! A loss that is NaN once: what the run says, leaves out, or goes back from.
//!
//! The loss is an objective of this test's, so the run is a process that is this test binary once more
//! ([`the_process_whose_loss_breaks`]).

use super::faults::{Fault, inject};
use super::shared::{free_port, start};
use super::{assert_equal_runs, epochs, results, train};
use sgas::checkpoint::Checkpoint;
use sgas::report::Event;
use sgas::report::log::events;
use sgas::task::Task;
use sgas::task::objective::{ObjectiveDescription, register};
use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The words of the command, for that process.
const COMMAND: &str = "SGAS_TEST_BREAKS";
/// The losses that are NaN, from 1: that of the second step of the second epoch, and of the look at it that follows.
const BROKEN: [usize; 2] = [5, 6];
/// Those of this process.
static BROKEN_HERE: OnceLock<Vec<usize>> = OnceLock::new();

static BREAKING: ObjectiveDescription = ObjectiveDescription {
    name: "breaking",
    about: "Cross-entropy that is NaN once",
    fits: |task| matches!(task, Task::Classify { .. }),
    loss: |logits, target, _| {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let loss = logits.cross_entropy_for_logits(target);
        let call = CALLS.fetch_add(1, Ordering::SeqCst) + 1;
        if BROKEN_HERE.get().is_some_and(|broken| broken.contains(&call)) { loss * f64::NAN } else { loss }
    },
};

/// Not a test by itself: what [`breaking`] starts.
#[test]
fn the_process_whose_loss_breaks() {
    let Ok(asked) = std::env::var(COMMAND) else { return };
    let (words, broken): (Vec<String>, Vec<usize>) = serde_json::from_str(&asked).unwrap();
    BROKEN_HERE.set(broken).unwrap();
    register(&BREAKING).unwrap();
    let (global, command) = sgas::cli::parse_from(words).unwrap().unwrap();
    if let Err(error) = sgas::commands::run(&command, &global, &mut std::io::sink()) {
        eprintln!("error: {error}");
        std::process::exit(i32::from(error.exit_code()));
    }
}

/// A training whose loss breaks once.
fn breaking(folder: &Path, more: &str) -> Output {
    process(folder, more, &BROKEN, None)
}

/// The same, killed at a rename of a checkpoint.
fn process(folder: &Path, more: &str, broken: &[usize], killed: Option<usize>) -> Output {
    let mut process = prepared(folder, more, broken);
    if let Some(at) = killed {
        inject(&mut process, "run/checkpoint/state", "rename", at, Fault::Kill);
    }
    process.output().unwrap()
}

/// A training of three epochs of three steps each, whose state is kept after every step and whose losses break at these
/// calls.
fn prepared(folder: &Path, more: &str, broken: &[usize]) -> assert_cmd::Command {
    let settings = "--set train.epochs=3 --set checkpoint.steps=1 --set weights.clip=1 --objective breaking --out run";
    let command = train(folder, &format!("{settings} {more}"));
    let words: Vec<&str> =
        std::iter::once("sgas").chain(command.get_args().map(|word| word.to_str().unwrap())).collect();
    let module = module_path!().split_once("::").unwrap().1;
    let mut process = assert_cmd::Command::new(std::env::current_exe().unwrap());
    process.args([&format!("{module}::the_process_whose_loss_breaks"), "--exact", "--nocapture"]);
    process.env(COMMAND, serde_json::to_string(&(words, broken)).unwrap()).current_dir(folder);
    process.env("OMP_NUM_THREADS", "1").env_remove("SGAS_DATA").env_remove("SGAS_RUNS");
    process
}

/// Two processes of a training, of which the second one's loss breaks.
fn shared(folder: &Path, more: &str) -> [Output; 2] {
    let port = free_port();
    let started = [0, 1].map(|rank: usize| {
        let mut process = prepared(folder, more, if rank == 1 { &BROKEN } else { &[] });
        process.env("RANK", rank.to_string()).env("WORLD_SIZE", "2");
        process.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        start(process)
    });
    started.map(|process| process.wait_with_output().unwrap())
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_run_ends_with_epoch_step_and_place_and_its_state_is_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let output = breaking(folder.path(), "");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("error: epoch 1, step 1: the gradient's norm is NaN; first in the loss"), "{text}");
    let state = Checkpoint::load(&folder.path().join("run/checkpoint/state.safetensors")).unwrap().state;
    assert_eq!((&state["run"]["next_epoch"], &state["run"]["begun"]["next_step"]), (&1.into(), &1.into()));
}

#[test]
fn a_step_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let output = breaking(folder.path(), "--on-nan skip");
    assert!(output.status.success(), "{}", text(&output));
    let run = folder.path().join("run");
    // Nobody looks at a step that is left out, so two are.
    let skipped: Vec<Event> =
        events(&run).unwrap().into_iter().filter(|event| matches!(event, Event::Skipped { .. })).collect();
    let [first, second] = &skipped[..] else { panic!("{skipped:?}") };
    let told = |step| Event::Skipped { epoch: 1, step, what: "the gradient's norm is NaN".to_owned() };
    assert_eq!((first, second), (&told(2), &told(3)));
    assert_eq!(epochs(&run).iter().map(|epoch| epoch.skipped_steps).collect::<Vec<_>>(), [0, 2, 0]);
    // All of it is finite, running statistics too, or it could not be read.
    Checkpoint::load(&run.join("weights-last.safetensors")).unwrap();
}

#[test]
fn a_run_goes_back_and_on_in_another_order() {
    let folder = tempfile::tempdir().unwrap();
    let output = breaking(folder.path(), "--on-nan rollback");
    assert!(output.status.success(), "{}", text(&output));
    let run = folder.path().join("run");
    let back: Vec<Event> =
        events(&run).unwrap().into_iter().filter(|event| matches!(event, Event::Rollback { .. })).collect();
    let [Event::Rollback { epoch: 1, step: 1, what }] = &back[..] else { panic!("{back:?}") };
    assert!(what.contains("first in the loss"), "{what}");
    assert_eq!(epochs(&run).len(), 3);
    let weights = results(&run)["weights-last.safetensors"].clone();
    // Without the fault the order is the usual one.
    let whole = folder.path().join("whole");
    let usual = "--set train.epochs=3 --set checkpoint.steps=1 --set weights.clip=1 --out whole";
    super::output(&mut train(folder.path(), usual));
    assert!(results(&whole)["weights-last.safetensors"] != weights);
}

/// That it went back is in the state at once: a run that is killed afterwards comes to the same.
#[test]
fn a_run_that_went_back_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(breaking(path, "--on-nan rollback").status.success());
    std::fs::rename(path.join("run"), path.join("whole")).unwrap();
    // Three renames for each of the states of an epoch, of a step and of going back, and then some.
    let killed = process(path, "--on-nan rollback", &BROKEN, Some(3 * (4 + 1 + 1) + 4));
    assert_eq!(killed.status.code(), None, "{}", text(&killed));
    let rollbacks = |run: &str| {
        let events = events(&path.join(run)).unwrap();
        events.iter().filter(|event| matches!(event, Event::Rollback { .. })).count()
    };
    assert_eq!(rollbacks("run"), 1);
    let output = process(path, "--on-nan rollback --resume", &[], None);
    assert!(output.status.success(), "{}", text(&output));
    assert_equal_runs(&path.join("whole"), &path.join("run"));
}

/// A loss that is NaN in one process is so for all: the joined gradient is. They leave out the same steps, or go back
/// alike; that their weights are the same is looked at after every epoch.
#[test]
fn processes_answer_alike_to_a_loss_of_one_of_them() {
    // Batches of half the size make as many steps as one process has.
    let small = "--batch 2 --set train.epochs=3";
    let root = tempfile::tempdir().unwrap();
    let is_back = |event: &Event| matches!(event, Event::Rollback { .. });
    let is_skipped = |event: &Event| matches!(event, Event::Skipped { .. });
    for (policy, is_answer) in [("skip", &is_skipped as &dyn Fn(&Event) -> bool), ("rollback", &is_back)] {
        let folder = root.path().join(policy);
        std::fs::create_dir(&folder).unwrap();
        for ended in shared(&folder, &format!("{small} --on-nan {policy}")) {
            assert!(ended.status.success(), "{policy}: {}", text(&ended));
        }
        let run = folder.join("run");
        assert!(events(&run).unwrap().iter().any(is_answer), "{policy}: {:?}", events(&run).unwrap());
        assert_eq!(epochs(&run).len(), 3);
        Checkpoint::load(&run.join("weights-last.safetensors")).unwrap();
    }
    let folder = root.path().join("stop");
    std::fs::create_dir(&folder).unwrap();
    let [first, second] = shared(&folder, &format!("{small} --on-nan stop"));
    assert!([&first, &second].iter().all(|ended| ended.status.code() == Some(1)), "{first:?} {second:?}");
    assert!(text(&first).contains("the gradient's norm is NaN"), "{}", text(&first));
    assert!(text(&second).contains("first in the loss"), "{}", text(&second));
}

//! What a run folder says is true, whatever was done to it: damage is seen, differences are named, nothing that was done
//! is thrown away.

use super::images::smoke;
use super::{CELL, assert_equal_runs, epochs, failure, output, results, search, told, train};
use crate::cli::sgas;
use sgas::checkpoint::Checkpoint;
use sgas::report::Event;
use sgas::report::log::events;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use tch::Tensor;

/// The newest checkpoint, and the one before it.
const STATES: [&str; 2] = ["checkpoint/state.safetensors", "checkpoint/state-before.safetensors"];

/// A training of three epochs in `run`, and what it left.
fn trained(folder: &Path) {
    output(&mut train(folder, "--out run --set train.epochs=3"));
}

/// All files of a run with their bytes, checkpoints too.
fn files(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for folder in [run.to_owned(), run.join("checkpoint")] {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.ends_with("lock") {
                all.insert(path.strip_prefix(run).unwrap().display().to_string(), std::fs::read(path).unwrap());
            }
        }
    }
    all
}

/// Asserts that a command is refused with these words, and leaves the run as it was.
fn refused(folder: &Path, run: &str, command: &mut assert_cmd::Command, words: &[&str]) {
    let before = files(&folder.join(run));
    let text = failure(command, 2);
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
    assert!(files(&folder.join(run)) == before, "the refused command changed the run: {text}");
}

fn resume(folder: &Path, command: &str, more: &str) -> assert_cmd::Command {
    let mut sgas = sgas(folder);
    sgas.args([command, "--out", "run", "--resume", "--threads", "1", "--device", "cpu"]).args(more.split_whitespace());
    sgas
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_run_without_its_checkpoint_is_not_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    std::fs::remove_dir_all(folder.path().join("run/checkpoint")).unwrap();
    refused(folder.path(), "run", &mut resume(folder.path(), "train", ""), &["run: its checkpoint is gone", "folder"]);
    assert!(!folder.path().join("run/checkpoint").exists());
}

#[test]
fn resume_begins_where_nothing_was_begun_and_prints_the_result_of_what_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let command = || train(folder.path(), "--out run --resume --set train.epochs=2");
    let first = output(&mut command());
    let whole = files(&folder.path().join("run"));
    assert_eq!(output(&mut command()), first);
    assert!(files(&folder.path().join("run")) == whole);
    // Of no cell that is known: nothing to begin with.
    let text = failure(sgas(folder.path()).args(["train", "--out", "nothing", "--resume"]), 2);
    assert!(text.contains("which cell?"), "{text}");
    assert!(!folder.path().join("nothing").exists());
}

#[test]
fn without_a_folder_the_newest_unfinished_run_of_the_same_configuration_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut ended = search(folder.path(), "--set search.epochs=2");
    output(&mut ended);
    let runs = || {
        let mut names: Vec<String> = std::fs::read_dir(folder.path().join("runs"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    // Two that are stopped, of which one has another seed.
    for more in ["--seed 5", "--seed 6"] {
        let mut stopped = search(folder.path(), &format!("{more} --set search.epochs=3"));
        super::resume::kill_at(&stopped, super::resume::Stop::Before(2));
        let _ = &mut stopped;
    }
    let before = runs();
    assert_eq!(before.len(), 3);
    let text = output(&mut search(folder.path(), "--seed 5 --set search.epochs=3 --resume"));
    assert_eq!(runs(), before);
    let run = before.iter().find(|name| text.contains(name.as_str())).unwrap();
    assert!(run.contains("-s5"), "{text}");
    assert_eq!(epochs(&folder.path().join("runs").join(run)).len(), 3);
    // Of this configuration nothing was begun.
    output(&mut search(folder.path(), "--seed 7 --set search.epochs=1 --resume"));
    assert_eq!(runs().len(), 4);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_taken() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let run = folder.path().join("run");
    let whole = folder.path().join("whole");
    std::fs::rename(&run, &whole).unwrap();
    output(&mut train(folder.path(), "--out run --set train.epochs=3"));
    // Within the tensors, where nothing but a checksum sees it.
    let length = std::fs::metadata(run.join(STATES[0])).unwrap().len() as usize;
    flip(&run.join(STATES[0]), length - 1000);
    // What was finished is not begun again for it; a run that goes on is.
    std::fs::write(run.join("events.jsonl"), without_end(&run)).unwrap();
    let text = String::from_utf8(resume(folder.path(), "train", "").assert().success().get_output().stderr.clone());
    let text = text.unwrap();
    assert!(text.contains("state.safetensors: expected content with the checksum "), "{text}");
    assert!(text.contains("going on from run/checkpoint/state-before.safetensors"), "{text}");
    assert_equal_runs(&whole, &run);
    for state in STATES {
        flip(&run.join(state), 4000);
    }
    std::fs::write(run.join("events.jsonl"), without_end(&run)).unwrap();
    refused(folder.path(), "run", &mut resume(folder.path(), "train", ""), &["no checkpoint of this run is whole"]);
}

/// The log as it was before the run ended.
fn without_end(run: &Path) -> String {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    lines[..lines.len() - 1].iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn damaged_weights_and_weights_that_are_no_numbers_are_not_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let weights = folder.path().join("run/weights-best.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    for at in [whole.len() - 1, whole.len() / 2, whole.len() * 3 / 4] {
        flip(&weights, at);
        for command in ["eval", "predict"] {
            let mut sgas = sgas(folder.path());
            sgas.args([command, "--run", "run"]);
            if command == "predict" {
                sgas.args(["--input", "cell.json", "--output", "p.csv"]);
            }
            let text = failure(&mut sgas, 2);
            assert!(text.contains("weights-best.safetensors: expected "), "{at}: {text}");
        }
        std::fs::write(&weights, &whole).unwrap();
    }
    let Checkpoint { mut tensors, state } = Checkpoint::load(&weights).unwrap();
    assert!(state.is_null());
    let name = tensors.keys().next().unwrap().clone();
    let spoilt = tensors[&name].copy();
    let _ = spoilt.view([-1]).get(0).fill_(f64::NAN);
    tensors.insert(name.clone(), spoilt);
    let named: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    Tensor::write_safetensors(&named, &weights).unwrap();
    let text = failure(sgas(folder.path()).args(["eval", "--run", "run"]), 2);
    assert!(text.contains(&format!("{name}: expected finite numbers, found NaN (1 of ")), "{text}");
}

#[test]
fn flags_that_would_change_a_begun_run_are_refused_key_by_key() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut search(folder.path(), "--out run --set search.epochs=2"));
    let criterion = "decision.criterion (1, now 2)";
    let cases = [
        ("--criterion 2", criterion, "can't change within a run"),
        ("--criterion 2 --resume-anyway decision.criterion", criterion, "can't change within a run"),
        ("--strategy random", "search.strategy (sgas, now random)", "can't change within a run"),
        ("--selection perturbation", "search.selection (absent, now perturbation)", "can't change within a run"),
        ("--regularizer beta", "search.regularizer (absent, now beta)", "can't change within a run"),
        ("--seed 77", "seed (", "can't change within a run"),
        ("--amp", "precision (fp32, now bf16)", "--resume-anyway precision"),
        ("--batch 4", "search.batch (8, now 4)", "--resume-anyway search.batch"),
        ("--config smoke/search-modelnet40", "run began otherwise: ", "hint: "),
        ("--order 2", "search.order (", "--resume-anyway search.order"),
        ("--resume-anyway search.epoch", "--resume-anyway search.epoch: the run has no such key", "search.epochs?"),
    ];
    for (flags, found, hint) in cases {
        refused(folder.path(), "run", &mut resume(folder.path(), "search", flags), &[found, hint]);
    }
    // The same command again changes nothing.
    output(&mut search(folder.path(), "--out run --resume --set search.epochs=2"));
    output(&mut train(folder.path(), "--out trained --set train.epochs=1"));
    let other = CELL.replace("\"gat\", 1", "\"sage\", 1");
    std::fs::write(folder.path().join("other.json"), other).unwrap();
    let text =
        failure(sgas(folder.path()).args(["train", "--out", "trained", "--resume", "--genotype", "other.json"]), 2);
    assert!(text.contains("trained began otherwise: genotype ("), "{text}");
    output(sgas(folder.path()).args(["train", "--out", "trained", "--resume", "--genotype", "cell.json"]));
}

#[test]
fn what_may_change_goes_on_by_name_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut search(folder.path(), "--out run --set search.epochs=2 --set search.strategy=darts --save cell.json"));
    std::fs::remove_file(folder.path().join("cell.json")).unwrap();
    output(&mut resume(folder.path(), "search", "--set search.epochs=3 --resume-anyway search.epochs"));
    let run = folder.path().join("run");
    assert_eq!(epochs(&run).len(), 3);
    let changes = |event: Event| if let Event::Change(change) = event { Some(change) } else { None };
    let changes: Vec<_> = events(&run).unwrap().into_iter().filter_map(changes).collect();
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((change.key.as_str(), change.was.as_str(), change.now.as_str()), ("search.epochs", "2", "3"));
    assert_eq!((change.epoch, change.step), (2, 0));
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("\nepochs = 3\n"), "{config}");
    // The cell says that it was searched with more than one configuration, and goes where it was to go.
    let cell: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("cell.json")).unwrap()).unwrap();
    assert_eq!(cell["search"]["changes"][0]["key"], "search.epochs");
    // It began so, and so it goes on.
    output(&mut resume(folder.path(), "search", ""));
}

#[test]
fn data_that_is_not_what_it_was_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    output(sgas(path).args(["data", "synth", "shapes", "--train", "24", "--test", "12", "--format", "xyz"]));
    let settings = "--config smoke/train-points --genotype cell.json --data shapes --out run --device cpu --threads 1 \
                    --set data.points=48 --set model.channels=4 --set train.batch=8";
    std::fs::write(path.join("cell.json"), CELL).unwrap();
    output(sgas(path).arg("train").args(settings.split_whitespace()).args(["--set", "train.epochs=1"]));
    let classes: Vec<_> = std::fs::read_dir(path.join("shapes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [one, two] = [&classes[0], &classes[1]];
    let swap = || {
        std::fs::rename(one, path.join("aside")).unwrap();
        std::fs::rename(two, one).unwrap();
        std::fs::rename(path.join("aside"), two).unwrap();
    };
    let more = "--set train.epochs=2 --resume-anyway train.epochs";
    let check = |words: &[&str]| refused(path, "run", &mut resume(path, "train", more), words);
    swap();
    check(&["run began otherwise: data (", "the content of the training samples", "--resume-anyway data"]);
    swap();
    let renamed = path.join("shapes/zebra");
    std::fs::rename(one, &renamed).unwrap();
    check(&["data (the class ", " is gone"]);
    std::fs::rename(&renamed, one).unwrap();
    let file = std::fs::read_dir(one.join("train")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    check(&["samples: ", ", now "]);
    let reversed: Vec<&str> = text.lines().rev().collect();
    std::fs::write(&file, reversed.join("\n")).unwrap();
    check(&["the content of the "]);
    output(&mut resume(path, "train", &format!("{more} --resume-anyway data")));
    let run = path.join("run");
    assert_eq!(events(&run).unwrap().iter().filter(|event| matches!(event, Event::Change(_))).count(), 2);
}

#[test]
fn a_changed_configuration_or_cell_of_a_run_is_refused_and_one_that_is_gone_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let run = folder.path().join("run");
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    let write = |text: &str| std::fs::write(run.join("config.toml"), text).unwrap();
    let check = |words: &[&str]| {
        refused(folder.path(), "run", &mut resume(folder.path(), "train", ""), words);
        // What is evaluated is the network that was trained.
        let words: Vec<&str> = words.iter().copied().filter(|word| !word.contains("began otherwise")).collect();
        refused(folder.path(), "run", sgas(folder.path()).args(["eval", "--run", "run"]), &words);
    };
    write(&config.replace("epochs = 3", "epochs = 400"));
    check(&["config.toml: train.epochs: expected 3, as the run began, found 400", "put it back"]);
    write(&config[..config.len() / 3]);
    check(&["config.toml", "hint: "]);
    write("");
    check(&["config.toml", "hint: "]);
    std::fs::remove_file(run.join("config.toml")).unwrap();
    let more = "--set train.epochs=4 --resume-anyway train.epochs";
    output(&mut resume(folder.path(), "train", more));
    assert!(std::fs::read_to_string(run.join("config.toml")).unwrap().contains("epochs = 4"));
    let cell = std::fs::read_to_string(run.join("genotype.json")).unwrap();
    std::fs::write(run.join("genotype.json"), cell.replacen("\"mr_conv\"", "\"sage\"", 1)).unwrap();
    check(&["run began otherwise: genotype ("]);
}

#[test]
fn one_process_at_a_time_works_on_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = search(folder.path(), "--out run --set search.epochs=2000");
    let mut process = spawn(&mut first);
    let run = folder.path().join("run");
    while epochs_so_far(&run) < 1 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let text = failure(&mut resume(folder.path(), "search", ""), 2);
    assert!(text.contains(&format!("run is being worked on by process {} on ", process.id())), "{text}");
    process.kill().unwrap();
    process.wait().unwrap();
    // The lock died with it.
    let cut = "--set search.epochs=1 --resume-anyway search.epochs";
    output(&mut resume(folder.path(), "search", cut));
}

/// Starts a command in the background, by which signals are not ignored, whatever ignores them here.
pub fn spawn(command: &mut assert_cmd::Command) -> std::process::Child {
    let mut process = std::process::Command::new("env");
    process.arg("--default-signal=HUP,INT,TERM,USR1").arg(command.get_program());
    process.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    process.env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").env_remove("SGAS_DATA").env_remove("SGAS_RUNS");
    process.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The whole epochs in the log of a run that may not be there yet.
pub fn epochs_so_far(run: &Path) -> usize {
    std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default().matches("\"event\":\"epoch\"").count()
}

#[test]
fn a_cut_log_costs_what_it_lost_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let run = folder.path().join("run");
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    // Within the line of the second epoch.
    let second = text.match_indices("\"event\":\"epoch\"").nth(1).unwrap().0;
    std::fs::write(run.join("events.jsonl"), &text[..second + 40]).unwrap();
    let more = "--set train.epochs=4 --resume-anyway train.epochs";
    let told = resume(folder.path(), "train", more).assert().success().get_output().clone();
    let warned = String::from_utf8(told.stderr).unwrap();
    assert!(warned.contains("bytes from before the checkpoint are gone"), "{warned}");
    assert!(String::from_utf8(told.stdout).unwrap().contains("last epoch: training accuracy"));
    assert_eq!(epochs(&run).iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [0, 3]);
}

#[test]
fn another_number_of_threads_is_told() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut search(folder.path(), "--out run --set search.epochs=1 --set search.strategy=darts"));
    let more = "--set search.epochs=2 --resume-anyway search.epochs";
    let told = |threads: &str| {
        let mut sgas = sgas(folder.path());
        sgas.args(["search", "--out", "run", "--resume", "--threads", threads, "--device", "cpu"]);
        let output = sgas.args(more.split_whitespace()).assert().success().get_output().stderr.clone();
        String::from_utf8(output).unwrap()
    };
    let text = told("2");
    assert!(text.contains("the run began elsewhere") && text.contains("threads (1, now 2)"), "{text}");
}

/// A beginning that is killed leaves nothing, or what the plain command takes.
#[test]
fn a_beginning_that_is_killed_is_no_obstacle() {
    use super::faults::{CALLS, Fault, count, inject};
    let folder = tempfile::tempdir().unwrap();
    for is_there in [false, true] {
        let name = format!("run-{is_there}");
        let make = || {
            if is_there {
                std::fs::create_dir_all(folder.path().join(&name)).unwrap();
            }
        };
        let command = |out: &str| train(folder.path(), &format!("--set train.epochs=1 --out {out}"));
        output(&mut command(&format!("whole-{is_there}")));
        let calls = 30.min(count(&mut command(&format!("counted-{is_there}")), folder.path().to_str().unwrap(), CALLS));
        for at in (1..calls).step_by(if std::env::var_os("SGAS_TEST_ALL").is_some() { 1 } else { 6 }) {
            make();
            let mut killed = command(&name);
            inject(&mut killed, folder.path().to_str().unwrap(), CALLS, at, Fault::Kill);
            killed.output().unwrap();
            // As a script does that is started again.
            output(&mut command(&format!("{name} --resume")));
            assert_equal_runs(&folder.path().join(format!("whole-{is_there}")), &folder.path().join(&name));
            std::fs::remove_dir_all(folder.path().join(&name)).unwrap();
        }
    }
}

#[test]
fn a_run_that_blew_up_keeps_its_last_good_state_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    // The last step of the one epoch makes weights that give no numbers any more.
    let blown = "--out run --set train.epochs=1 --set train.batch=40 --set data.validation=0 --set weights.learning_rate=1e30 --set weights.clip=0";
    let text = failure(&mut train(folder.path(), blown), 1);
    assert!(text.contains("epoch 0"), "{text}");
    assert!(!folder.path().join("run/weights-last.safetensors").exists());
    let more = "--set weights.learning_rate=0.01 --resume-anyway weights.learning_rate";
    output(&mut resume(folder.path(), "train", more));
    assert!(results(&folder.path().join("run")).contains_key("weights-last.safetensors"));
    let text = failure(
        &mut smoke(folder.path(), "search", "images", "--out s --set weights.learning_rate=1e30 --set weights.clip=0"),
        1,
    );
    assert!(text.contains("; first in ") && text.contains("--on-nan rollback"), "{text}");
}

#[test]
fn a_run_goes_back_or_skips_where_it_is_asked_to_and_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let blown = "--set weights.learning_rate=1e30 --set weights.clip=0 --set train.epochs=2";
    let text = failure(&mut train(folder.path(), &format!("--out back --on-nan rollback {blown}")), 1);
    assert!(text.contains("the run went back 3 times in epoch 0"), "{text}");
    let told_by = told(&folder.path().join("back"));
    assert!(told_by.iter().any(|event| matches!(event, Event::Rollback { epoch: 0, .. })), "{told_by:?}");
    let text = failure(&mut train(folder.path(), &format!("--out skip --on-nan skip {blown}")), 1);
    assert!(text.contains("epoch "), "{text}");
    failure(&mut train(folder.path(), "--out x --on-nan never"), 2);
}

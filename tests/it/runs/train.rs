//! Trainings and their evaluation.

use super::{assert_equal_runs, check_costs, epochs, failure, output, results, search, train};
use crate::cli::sgas;
use serde_json::Value;
use sgas::checkpoint::Checkpoint;
use sgas::genotype::Genotype;
use sgas::report::log::events;
use sgas::report::{Event, Learner};
use std::path::Path;
use tch::Kind;

fn evaluated(folder: &Path, arguments: &[&str]) -> Value {
    let text = output(sgas(folder).arg("eval").args(arguments).args(["--json", "--device", "cpu", "--threads", "1"]));
    serde_json::from_str(&text).unwrap()
}

/// The numbers of a confusion and the scores beside it must be of one piece.
fn check_scores(report: &Value) {
    let rows: Vec<Vec<u64>> = serde_json::from_value(report["confusion"].clone()).unwrap();
    let classes = report["per_class"].as_array().unwrap();
    assert_eq!((rows.len(), classes.len()), (10, 10));
    let (mut right, mut mean) = (0, 0.0);
    for (index, (row, class)) in rows.iter().zip(classes).enumerate() {
        let samples: u64 = row.iter().sum();
        assert_eq!(class["samples"], samples);
        let accuracy = row[index] as f64 / samples as f64;
        assert_eq!(class["accuracy"], accuracy, "{}", class["class"]);
        right += row[index];
        mean += accuracy / 10.0;
    }
    let total: u64 = rows.iter().flatten().sum();
    assert_eq!(report["samples"], total);
    assert_eq!(report["overall_accuracy"], right as f64 / total as f64);
    assert!((report["mean_class_accuracy"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(report["loss"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_training_leaves_weights_and_scores_and_is_evaluated_by_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = output(&mut train(folder.path(), "--out run --set data.validation=0.25"));
    assert!(text.contains("best on validation: ") && text.contains("next:       sgas eval --run run"), "{text}");
    let run = folder.path().join("run");
    let files: Vec<String> = results(&run).into_keys().collect();
    let expected = ["config.toml", "genotype.json", "run.json", "weights-best.safetensors", "weights-last.safetensors"];
    assert_eq!(files, expected);
    let told = epochs(&run);
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|epoch| epoch.validation.is_some() && epoch.test.is_none() && epoch.open_edges.is_none()));
    told.iter().for_each(|epoch| check_costs(epoch, &[Learner::Weights]));
    assert!(matches!(events(&run).unwrap().last(), Some(Event::Finished { .. })));
    let weights = Checkpoint::load(&run.join("weights-last.safetensors")).unwrap();
    let trained = weights.tensors.iter().filter(|(name, _)| !name.contains("running_"));
    assert_eq!(trained.map(|(_, tensor)| tensor.numel()).sum::<usize>(), told[0].parameters);
    assert!(weights.tensors.values().all(|tensor| tensor.kind() == Kind::Float));

    let report = evaluated(folder.path(), &["--run", "run"]);
    check_scores(&report);
    assert_eq!((&report["samples"], &report["weights"]), (&20.into(), &"run/weights-best.safetensors".into()));
    let kept: Value = serde_json::from_slice(&std::fs::read(run.join("eval-test.json")).unwrap()).unwrap();
    assert_eq!(kept, report);
    // The best epoch's validation score is what evaluating the best weights on that share gives.
    let validation = evaluated(folder.path(), &["--run", "run", "--split", "validation"]);
    let best = told.iter().map(|epoch| epoch.validation.as_ref().unwrap().score).fold(0.0, f64::max);
    assert_eq!(validation["overall_accuracy"], best);
}

#[test]
fn eval_without_arguments_takes_the_newest_finished_training() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("all");
    let eval = |code: i32| {
        let outcome = sgas(folder.path()).args(["eval", "--json", "--device", "cpu"]).env("SGAS_RUNS", &runs).assert();
        outcome.code(code).get_output().clone()
    };
    let text = String::from_utf8(eval(2).stderr).unwrap();
    assert!(text.contains("no finished training under") && text.contains("sgas search --task"), "{text}");
    output(search(folder.path(), "--set search.epochs=1").env("SGAS_RUNS", &runs));
    let text = String::from_utf8(eval(2).stderr).unwrap();
    assert!(text.contains("hint: train what was found: sgas train --genotype "), "{text}");
    output(train(folder.path(), "--set train.epochs=1 --seed 8").env("SGAS_RUNS", &runs));
    output(train(folder.path(), "--set train.epochs=1 --seed 9 --set data.validation=0").env("SGAS_RUNS", &runs));
    let report: Value = serde_json::from_slice(&eval(0).stdout).unwrap();
    check_scores(&report);
    let weights = report["weights"].as_str().unwrap();
    assert!(weights.contains("/train-points-") && weights.ends_with("-s9/weights-last.safetensors"), "{weights}");
    assert!(Path::new(weights).with_file_name("eval-test.json").is_file());
}

#[test]
fn weights_outside_a_run_are_evaluated_with_their_cell() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut train(folder.path(), "--out run --set train.epochs=2 --set data.validation=0"));
    let from_run = evaluated(folder.path(), &["--run", "run"]);
    std::fs::copy(folder.path().join("run/weights-last.safetensors"), folder.path().join("w.safetensors")).unwrap();
    let arguments = ["--weights", "w.safetensors", "--genotype", "cell.json", "--config", "run/config.toml"];
    let loose = evaluated(folder.path(), &arguments);
    for key in ["loss", "confusion", "overall_accuracy", "per_class"] {
        assert_eq!(loose[key], from_run[key], "{key}");
    }
    assert!(!folder.path().join("eval-test.json").exists());
    let other = folder.path().join("other.json");
    std::fs::write(&other, super::CELL.replace("mr_conv", "gat")).unwrap();
    let wrong = ["eval", "--weights", "w.safetensors", "--genotype", "other.json", "--config", "run/config.toml"];
    let text = super::failure(sgas(folder.path()).args(wrong), 2);
    assert!(text.contains("w.safetensors: ") && text.contains("weights of another network"), "{text}");
}

#[test]
fn a_published_cell_trains_by_its_name_and_bf16_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = "--genotype Cri2_ModelNet_Best --out run --amp --set train.epochs=2";
    let assert = train(folder.path(), arguments).assert().success();
    let told = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(told.contains("--amp: bf16 without loss scaling"), "{told}");
    let run = folder.path().join("run");
    let published = sgas::genotype::zoo::find("Cri2_ModelNet_Best").unwrap();
    assert_eq!(Genotype::load(run.join("genotype.json")).unwrap().normal, published.genotype.normal);
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("precision = \"bf16\""), "{config}");
    let epochs = epochs(&run);
    assert!(epochs.iter().all(|epoch| epoch.train.loss.is_finite() && epoch.skipped_steps == 0));
    check_scores(&evaluated(folder.path(), &["--run", "run"]));
    // The arithmetic is another one than fp32's.
    output(&mut train(folder.path(), &arguments.replace("--amp", "").replace("run", "full")));
    assert_ne!(super::epochs(&folder.path().join("full"))[1].train.loss, epochs[1].train.loss);
}

#[test]
fn the_reference_s_protocol_is_reported_under_its_name_only() {
    let folder = tempfile::tempdir().unwrap();
    let with_test = "--out run --set data.validation=0 --set train.test_every_epoch=true";
    let text = output(&mut train(folder.path(), with_test));
    assert!(text.contains("best on test (reference protocol): ") && !text.contains("validation"), "{text}");
    let run = folder.path().join("run");
    assert!(!run.join("weights-best.safetensors").exists());
    let last = epochs(&run).pop().unwrap();
    let report = evaluated(folder.path(), &["--run", "run"]);
    assert_eq!(report["overall_accuracy"], last.test.unwrap().score);
}

#[test]
fn equal_seeds_train_equal_weights() {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed) in [("one", 3), ("two", 3), ("three", 4)] {
        let arguments = format!("--out {name} --seed {seed} --set train.drop_path=0.3 --set train.epochs=2");
        output(&mut train(folder.path(), &arguments));
    }
    let [one, two, three] = ["one", "two", "three"].map(|name| folder.path().join(name));
    super::assert_equal_runs(&one, &two);
    assert_ne!(results(&one)["weights-last.safetensors"], results(&three)["weights-last.safetensors"]);
}

#[test]
fn deterministic_changes_nothing_on_a_processor() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut train(folder.path(), "--out usual --set train.epochs=2"));
    output(&mut train(folder.path(), "--out asked --set train.epochs=2 --deterministic"));
    assert_equal_runs(&folder.path().join("usual"), &folder.path().join("asked"));
}

/// Of pictures counted by their lists, of points and labels by their batches.
#[test]
fn uneven_classes_count_alike_and_a_training_ends_early_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let more = "--set train.class_weights=balanced --set train.patience=1 --set train.epochs=30 --out";
    for name in ["points", "segmentation", "ppi"] {
        let mut command = sgas(folder.path());
        command.args(["train", "--data", "synthetic", "--threads", "1", "--device", "cpu", "--config"]);
        command.args([&format!("smoke/train-{name}"), "--baseline", "--set", "data.validation=0.25"]);
        output(command.args(more.split(' ')).arg(name));
        let run = folder.path().join(name);
        let count = epochs(&run).len();
        assert!(count < 30, "{name} had a better score {count} times");
        let log = std::fs::read_to_string(run.join("log.txt")).unwrap();
        assert!(log.contains("ended early: 1 epoch without a better validation score"), "{log}");
    }
    for (keys, words) in [
        ("--set train.patience=3 --set data.validation=0", "data.validation: expected a share above 0"),
        (
            "--set train.class_weights=balanced --objective cross_entropy",
            "train.class_weights: expected the task's own loss",
        ),
        (
            "--set train.class_weights=even",
            "train.class_weights: expected \"none\" or \"balanced\" or \"auto\", found \"even\"",
        ),
        ("--set train.patience=0", "train.patience: expected 1 to"),
    ] {
        let text = failure(&mut train(folder.path(), &format!("{keys} --out no")), 2);
        assert!(text.contains(words) && !folder.path().join("no").exists(), "{text}");
    }
}

#[test]
fn small_sets_take_their_own_recipe_unless_another_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let few = "--data synthetic --set data.synthetic.train=20 --set data.synthetic.test=10 --set data.points=48";
    let tiny =
        "--set train.epochs=1 --set train.steps=1 --set model.channels=8 --set point.embedding=16 --set train.batch=4";
    let begin = |task: &str, more: &str| {
        let typed = format!("train --baseline --task {task} {few} {tiny} --threads 1 --device cpu {more}");
        output(sgas(path).args(typed.split_whitespace()));
    };
    let config = |run: &str| std::fs::read_to_string(path.join(run).join("config.toml")).unwrap();
    let tiny_blocks = "--set resgcn.blocks=2 --set resgcn.channels=8 --set resgcn.fusion=16 --set resgcn.k=4";
    for (task, more, small, usual) in [
        ("points", "", "label_smoothing = 0.2\n", "label_smoothing = 0.0\n"),
        ("images", "", "label_smoothing = 0.1\n", "label_smoothing = 0.0\n"),
        ("segmentation", tiny_blocks, "step_size = 40\n", "step_size = 20\n"),
    ] {
        begin(task, &format!("{more} --out {task}"));
        assert!(config(task).contains(small), "{}", config(task));
        begin(task, &format!("{more} --config {task} --out {task}-usual"));
        assert!(config(&format!("{task}-usual")).contains(usual));
    }
    // What is set stands over it, and the same command finds the run that it began.
    begin("points", "--set train.label_smoothing=0.3");
    begin("points", "--set train.label_smoothing=0.3 --resume");
    let runs: Vec<_> = std::fs::read_dir(path.join("runs")).unwrap().collect();
    assert_eq!(runs.len(), 1);
    output(sgas(path).args("data synth d --kind shapes --train 20 --test 10".split_whitespace()));
    let told = output(sgas(path).args("data info d".split_whitespace()));
    assert!(told.contains("recipe:     small: 20 shapes for training and validation, fewer than 5000"), "{told}");
    output(sgas(path).args("data synth p --kind scenes --train 20 --test 10".split_whitespace()));
    let told = output(sgas(path).args("data info p".split_whitespace()));
    assert!(
        told.contains("recipe:     small: 20 groups of points for training and validation, fewer than 7000"),
        "{told}"
    );
}

/// The usual recipe for pictures has an auxiliary head, which takes none of less than 32 pixels; that for small sets has none.
#[test]
fn what_the_usual_recipe_does_not_take_a_small_set_may() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let begin = |pictures: usize, more: &str| {
        let size = "--set data.images.size=16 --set model.channels=4 --set model.cells=3 --threads 1 --device cpu";
        let few = format!("--data synthetic --set data.synthetic.train={pictures} --set data.synthetic.test=10");
        let tiny = "--set train.epochs=1 --set train.steps=1 --set train.batch=4";
        let mut command = sgas(path);
        let typed = format!("train --genotype Cri1_CIFAR_Best --task images {size} {few} {tiny} {more}");
        command.args(typed.split_whitespace());
        command
    };
    output(&mut begin(12, ""));
    output(&mut begin(12, "--resume"));
    assert_eq!(std::fs::read_dir(path.join("runs")).unwrap().count(), 1);
    for (pictures, more) in [(12, "--config images"), (25_000, "--out large")] {
        let told = failure(&mut begin(pictures, more), 2);
        assert!(told.contains("data.images.size: expected at least 32"), "{told}");
    }
    assert!(!path.join("large").exists());
}

#[test]
fn classes_count_alike_where_own_samples_are_uneven() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    output(sgas(path).args("data synth d --kind pictures --train 60 --test 10".split_whitespace()));
    let train = |more: &str| {
        let tiny = "--set train.epochs=1 --set train.steps=1 --set train.batch=10 --set model.channels=4 --set data.validation=0";
        let typed = format!("train --baseline --task images --data d {tiny} --threads 1 --device cpu {more}");
        output(sgas(path).args(typed.split_whitespace()));
    };
    let losses = |run: &str| epochs(&path.join(run))[0].train.loss;
    let is_told =
        |run: &str| std::fs::read_to_string(path.join(run).join("log.txt")).unwrap().contains("all count alike");
    train("--out even");
    assert!(!is_told("even"));
    // Six of each class; then one of the first.
    let first = std::fs::read_dir(path.join("d/train")).unwrap().map(|class| class.unwrap().path()).min().unwrap();
    let mut files: Vec<_> = std::fs::read_dir(first).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().skip(1).for_each(|file| std::fs::remove_file(file).unwrap());
    train("--out uneven");
    train("--out balanced --set train.class_weights=balanced");
    train("--out plain --set train.class_weights=none");
    assert_eq!([is_told("uneven"), is_told("balanced"), is_told("plain")], [true, false, false]);
    assert!(losses("uneven") == losses("balanced") && losses("uneven") != losses("plain"));
}

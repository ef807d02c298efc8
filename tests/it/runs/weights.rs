//! Weights from elsewhere: files of PyTorch evaluated and imported, trainings that start from weights and leave some of
//! them as they are.

use super::images::smoke;
use super::resume::{Name, Stop, kill_at};
use super::{SIZES, assert_equal_runs, failure, output, train};
use crate::cli::sgas;
use crate::pytorch::{Format, file};
use assert_cmd::Command;
use serde_json::Value;
use sgas::checkpoint::Checkpoint;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Kind, Tensor};

fn evaluated(folder: &Path, arguments: &str) -> Value {
    let words = arguments.split_whitespace();
    let text = output(sgas(folder).arg("eval").args(words).args(["--json", "--device", "cpu", "--threads", "1"]));
    serde_json::from_str(&text).unwrap()
}

fn weights(path: impl AsRef<Path>) -> BTreeMap<String, Tensor> {
    Checkpoint::load(path.as_ref()).unwrap().tensors
}

/// The weights of a run under other names.
fn renamed(run: &Path, name: impl Fn(&str) -> String) -> Vec<(String, Tensor)> {
    weights(run.join("weights-last.safetensors")).into_iter().map(|(own, tensor)| (name(&own), tensor)).collect()
}

fn assert_same_scores(one: &Value, other: &Value) {
    for key in ["loss", "confusion", "overall_accuracy", "per_class"] {
        assert_eq!(one[key], other[key], "{key}");
    }
}

#[test]
fn files_of_pytorch_are_evaluated_and_imported() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    output(&mut train(folder.path(), "--out run --set train.epochs=2 --set data.validation=0"));
    let expected = evaluated(folder.path(), "--run run");
    let network = "--genotype cell.json --config run/config.toml";
    let counters = || {
        let norms =
            renamed(&place("run"), str::to_owned).into_iter().filter(|(name, _)| name.ends_with("running_mean"));
        norms.map(|(name, _)| (name.replace("running_mean", "num_batches_tracked"), Tensor::from(4.0_f32)))
    };
    let wrapped: Vec<_> = renamed(&place("run"), |name| format!("module.{name}"))
        .into_iter()
        .chain(counters().map(|(name, tensor)| (format!("module.{name}"), tensor)))
        .collect();
    std::fs::write(place("a.pt"), file(&renamed(&place("run"), str::to_owned), None, Format::Zip)).unwrap();
    std::fs::write(place("b.pth.tar"), file(&wrapped, Some("state_dict"), Format::Row)).unwrap();
    std::fs::write(place("c.pth"), file(&wrapped, Some("model_state_dict"), Format::Zip)).unwrap();
    for name in ["a.pt", "b.pth.tar", "c.pth"] {
        assert_same_scores(&evaluated(folder.path(), &format!("--weights {name} {network}")), &expected);
    }
    let import = |more: &str| {
        let mut command = sgas(folder.path());
        command.arg("import").args(more.split_whitespace());
        command
    };
    let text = output(&mut import(&format!("b.pth.tar --output w.safetensors {network}")));
    for words in [
        "PyTorch (before 1.6), under state_dict\n",
        "left out: epoch, args\n",
        "changed: module. before every name\n",
        "network: a cell of the point space, 10 outputs, 3 channels of input, ",
        "written: w.safetensors\n",
        "sgas eval --weights w.safetensors\n",
    ] {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
    let [own, imported] = ["run/weights-last.safetensors", "w.safetensors"].map(|name| weights(place(name)));
    assert_eq!(own, imported);
    let state = Checkpoint::load_state(&place("w.safetensors")).unwrap();
    let digest = blake3::hash(&std::fs::read(place("b.pth.tar")).unwrap()).to_hex().to_string();
    assert_eq!((&state["imported"]["file"], &state["imported"]["blake3"]), (&"b.pth.tar".into(), &digest.into()));
    assert_eq!((&state["task"], &state["network"], &state["outputs"]), (&"points".into(), &"point".into(), &10.into()));
    for network in [network, "--data synthetic", "--task points --genotype cell.json --data synthetic"] {
        assert_same_scores(&evaluated(folder.path(), &format!("--weights w.safetensors {network}")), &expected);
    }
    // It replaces its own, and nothing else.
    output(&mut import(&format!("a.pt --output w.safetensors {network}")));
    let text = failure(&mut import(&format!("a.pt --output b.pth.tar {network}")), 2);
    assert!(text.contains("--output b.pth.tar") && text.contains("--force"), "{text}");
    // Names that are missing and left over are told.
    let other = renamed(&place("run"), |name| name.replace("classifier", "head"));
    std::fs::write(place("d.pt"), file(&other, None, Format::Zip)).unwrap();
    let text = failure(&mut import(&format!("d.pt --output d.safetensors {network}")), 2);
    assert!(text.contains("d.pt: classifier.") && text.contains("another network"), "{text}");
    let most = renamed(&place("run"), |name| name.replace("cells.0.", "layers.0."));
    std::fs::write(place("e.pt"), file(&most, None, Format::Zip)).unwrap();
    let text = failure(&mut import(&format!("e.pt --output d.safetensors {network}")), 2);
    assert!(text.contains(" are missing: cells.0.") && text.contains("; left over: layers.0."), "{text}");
    // A hostile file does nothing.
    std::fs::write(place("f.pt"), [&b"PK\x03\x04"[..], b"not an archive"].concat()).unwrap();
    failure(&mut import(&format!("f.pt --output d.safetensors {network}")), 2);
    let evil = b"\x80\x02cposix\nsystem\nX\x0d\0\0\0touch evil.txt\x85R.";
    let content = file(&[], None, Format::Row);
    let begin = content.windows(12).position(|window| window == b"ccollections").unwrap() - 2;
    std::fs::write(place("f.pt"), [&content[..begin], evil].concat()).unwrap();
    let text = failure(&mut import(&format!("f.pt --output d.safetensors {network}")), 2);
    assert!(text.contains("found a use of posix.system"), "{text}");
    assert!(!place("evil.txt").exists() && !place("d.safetensors").exists());
}

/// Gives the weights of a network on graphs the names of PyTorch Geometric 1.4, and sage the bias that it had.
fn of_geometric_1_4(own: BTreeMap<String, Tensor>) -> Vec<(String, Tensor)> {
    let mut old: BTreeMap<String, Tensor> = BTreeMap::new();
    for (name, tensor) in &own {
        if let Some(module) = name.strip_suffix(".lin.weight").filter(|_| name.contains("gconv.gconv")) {
            old.insert(format!("{module}.weight"), tensor.transpose(0, 1).contiguous());
        } else if let Some(module) = name.strip_suffix(".att_src") {
            let halves = [&own[&format!("{module}.att_dst")], tensor];
            old.insert(format!("{module}.att"), Tensor::cat(&halves, 2));
        } else if !name.ends_with(".att_dst") {
            old.insert(name.clone(), tensor.shallow_clone());
        }
    }
    let sages: Vec<String> =
        own.keys().filter_map(|name| name.strip_suffix(".gconv.weight")).map(str::to_owned).collect();
    for module in sages {
        let shift = format!("{module}.gconv.nn.body.2.bias");
        let shifted = &old[&shift] - 0.25;
        old.insert(format!("{module}.gconv.bias"), old[&shift].full_like(0.25));
        old.insert(shift, shifted);
    }
    old.into_iter().collect()
}

#[test]
fn weights_of_geometric_1_4_are_those_of_today() {
    const CELL: &str = r#"{"space": "graph", "normal": [["gat", 0], ["sage", 1], ["semi_gcn", 1], ["rel_sage", 2],
        ["gin", 0], ["edge_conv", 3]], "normal_concat": [1, 2, 3, 4], "task": "graphs"}"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cell.json"), CELL).unwrap();
    let more = "--genotype cell.json --out run --set train.epochs=2 --set data.validation=0";
    output(&mut smoke(folder.path(), "train", "graphs", more));
    let old = of_geometric_1_4(weights(folder.path().join("run/weights-last.safetensors")));
    for (name, count) in [("gconv.gconv.att", 2), ("gconv.bias", 4), ("gconv.gconv.weight", 4)] {
        assert_eq!(old.iter().filter(|(own, _)| own.ends_with(name)).count(), count, "{name}");
    }
    std::fs::write(folder.path().join("best_weights.pt"), file(&old, None, Format::Row)).unwrap();
    let import = "import best_weights.pt --output w.safetensors --genotype cell.json --config run/config.toml";
    let text = output(sgas(folder.path()).args(import.split_whitespace()));
    let changed = "changed: 6 names of PyTorch Geometric 1.4, 4 biases behind a norm, added to its shift\n";
    assert!(text.contains(changed), "{text}");
    let [own, imported] =
        ["run/weights-last.safetensors", "w.safetensors"].map(|name| weights(folder.path().join(name)));
    assert_eq!(own.keys().collect::<Vec<_>>(), imported.keys().collect::<Vec<_>>());
    for (name, tensor) in &own {
        // The shift was rounded twice.
        let difference = (tensor - &imported[name]).abs().max().double_value(&[]);
        assert!(difference <= if name.ends_with("body.2.bias") { 1e-7 } else { 0.0 }, "{name}: {difference}");
    }
}

#[test]
fn auxiliary_heads_may_be_there_or_not() {
    const CELL: &str = r#"{"space": "image", "normal": [["skip_connect", 0], ["sep_conv_3x3", 1]], "normal_concat": [2],
        "reduce": [["max_pool_3x3", 0], ["skip_connect", 1]], "reduce_concat": [2]}"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cell.json"), CELL).unwrap();
    let sizes = "--genotype cell.json --set model.channels=4 --set data.images.size=32 --set train.epochs=1";
    let with = format!("{sizes} --set image.auxiliary=true --set data.validation=0 --out run");
    output(&mut smoke(folder.path(), "train", "images", &with));
    let run = folder.path().join("run");
    let expected = evaluated(folder.path(), "--run run");
    let whole = renamed(&run, |name| format!("module.{name}"));
    let without: Vec<_> = whole
        .iter()
        .filter(|(name, _)| !name.contains("auxiliary"))
        .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
        .collect();
    assert!(without.len() < whole.len());
    for (name, weights) in [("whole.pth.tar", &whole), ("without.pth.tar", &without)] {
        std::fs::write(folder.path().join(name), file(weights, Some("state_dict"), Format::Row)).unwrap();
        for auxiliary in [true, false] {
            let network = format!("--genotype cell.json --config run/config.toml --set image.auxiliary={auxiliary}");
            assert_same_scores(&evaluated(folder.path(), &format!("--weights {name} {network}")), &expected);
        }
    }
    // A training takes what fits: its head starts fresh, or the file's is left out.
    for (name, auxiliary, words) in [
        ("whole.pth.tar", false, "the auxiliary head is left out: this network has none"),
        ("without.pth.tar", true, "the auxiliary head starts fresh: the file has none"),
    ] {
        let out = format!("{auxiliary}");
        let more = format!("{sizes} --set image.auxiliary={auxiliary} --init {name} --out {out}");
        output(&mut smoke(folder.path(), "train", "images", &more));
        let about: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join(&out).join("run.json")).unwrap()).unwrap();
        assert_eq!(about["init"]["changes"], serde_json::json!([words]));
    }
}

/// Clouds of four classes.
fn four_classes(folder: &Path) {
    output(sgas(folder).args("data synth clouds --train 40 --test 20 --points 64".split_whitespace()));
    let mut classes: Vec<_> = std::fs::read_dir(folder.join("clouds"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    classes.sort();
    assert_eq!(classes.len(), 10);
    classes[4..].iter().for_each(|class| std::fs::remove_dir_all(class).unwrap());
}

/// A training as of [`train`], on them.
fn train_on_clouds(folder: &Path, more: &str) -> Command {
    let mut command = sgas(folder);
    command.args(["train", "--data", "clouds", "--genotype", "cell.json", "--config", "smoke/train-points"]);
    command.args(["--threads", "1", "--device", "cpu", "--set", "train.batch=8"]);
    command.args(SIZES.iter().flat_map(|size| ["--set", size])).args(more.split_whitespace());
    command
}

fn is_of_classifier(name: &str) -> bool {
    name.starts_with("classifier.4.")
}

#[test]
fn frozen_weights_and_statistics_stay_to_the_bit_and_the_classifier_of_other_classes_starts_fresh() {
    let folder = tempfile::tempdir().unwrap();
    four_classes(folder.path());
    output(&mut train(folder.path(), "--out first --set train.epochs=2 --set data.validation=0"));
    let first = weights(folder.path().join("first/weights-last.safetensors"));
    let of = |name: &str| weights(folder.path().join(name).join("weights-last.safetensors"));
    std::fs::write(
        folder.path().join("w.pt"),
        file(&renamed(&folder.path().join("first"), str::to_owned), Some("state_dict"), Format::Zip),
    )
    .unwrap();
    let decaying = "--set weights.weight_decay=0.1 --set train.average=0.9 --set train.epochs=3 --set data.validation=0 \
                    --set weights.momentum=0.9 --set train.drop_path=0.3";
    for (number, (init, freeze, optimizer)) in [
        ("first", "--freeze cells* --freeze fusion_conv --freeze classifier.[0-3]", "sgd"),
        ("w.pt", "--freeze cells.0", "adam"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("tuned{number}");
        let more =
            format!("--init {init} --freeze stem {freeze} --out {out} {decaying} --set weights.optimizer={optimizer}");
        let freezes_all_but_last = number == 0;
        let assert = train_on_clouds(folder.path(), &more).assert().success();
        let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        let told =
            ["the classifier starts fresh: 4 classes, 10 in ", "frozen: ", "batch norms, which go by their running"];
        told.iter().for_each(|words| assert!(text.contains(words), "{words} is not in: {text}"));
        let tuned = of(&out);
        let is_frozen = |name: &str| match freezes_all_but_last {
            true => !is_of_classifier(name),
            false => name.starts_with("stem.") || name.starts_with("cells.0."),
        };
        let (frozen, free): (Vec<_>, Vec<_>) = first.iter().partition(|(name, _)| is_frozen(name));
        assert!(frozen.iter().any(|(name, _)| name.ends_with("running_var")), "{frozen:?}");
        for (name, tensor) in frozen {
            assert_eq!(tensor, &tuned[name], "{name}");
        }
        for (name, tensor) in free {
            assert!(tensor.size() != tuned[name].size() || tensor != &tuned[name], "{name} learned nothing");
        }
        assert_eq!(tuned["classifier.4.body.0.bias"].size(), [4]);
        let about: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join(&out).join("run.json")).unwrap()).unwrap();
        let source = folder.path().join(if init == "first" { "first/weights-last.safetensors" } else { init });
        let digest = blake3::hash(&std::fs::read(source).unwrap()).to_hex().to_string();
        assert_eq!(about["init"]["blake3"], digest);
        let report = evaluated(folder.path(), &format!("--run {out}"));
        assert_eq!(report["per_class"].as_array().unwrap().len(), 4);
    }
}

#[test]
fn a_training_that_starts_from_weights_goes_on_to_the_bit_without_them() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut train(folder.path(), "--out first --set train.epochs=1"));
    let settings =
        "--init first --freeze cells.0 --set train.drop_path=0.4 --set train.average=0.9 --set train.epochs=4";
    output(&mut train(folder.path(), &format!("{settings} --out whole")));
    kill_at(&train(folder.path(), &format!("{settings} --out cut")), Stop::Logged(Name::Epoch, 2));
    // What it started from is not needed any more.
    std::fs::rename(folder.path().join("first"), folder.path().join("gone")).unwrap();
    let go_on = |more: &str| {
        let mut command = sgas(folder.path());
        command.args(["train", "--out", "cut", "--resume", "--threads", "1", "--device", "cpu"]);
        command.args(more.split_whitespace());
        command
    };
    for (more, key) in [("--init gone", "train.init"), ("--freeze cells.1", "train.freeze")] {
        let text = failure(&mut go_on(more), 2);
        assert!(text.contains("cut began otherwise: ") && text.contains(&format!("{key} can't change")), "{text}");
    }
    output(&mut go_on(""));
    assert_equal_runs(&folder.path().join("whole"), &folder.path().join("cut"));
}

#[test]
fn what_a_training_can_t_start_from_or_freeze_is_told_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut train(folder.path(), "--out first --set train.epochs=1"));
    for (more, words) in [
        ("--init first --set model.channels=8", "weights of another network: take the cell and sizes"),
        ("--init first --set model.channels=8", "--config "),
        ("--init nowhere.pt", "cannot read "),
        ("--init .", "is not the folder of a run"),
        ("--freeze stm", "train.freeze: expected patterns of this network's weights, found 'stm'"),
        ("--freeze cells.[", "--freeze: expected names of weights"),
        ("--freeze *", "expected weights that still learn"),
    ] {
        let text = failure(&mut train(folder.path(), &format!("{more} --out never")), 2);
        assert!(text.contains(words), "{words} is not in: {text}");
        assert!(!folder.path().join("never").exists(), "{more}");
    }
    // A run says which cell its weights are of.
    let text = output(
        sgas(folder.path())
            .args("train --init first --config first/config.toml --out second --device cpu --threads 1".split(' ')),
    );
    assert!(text.contains("run folder: second"), "{text}");
    let [first, second] = ["first", "second"].map(|run| {
        let tensors = weights(folder.path().join(run).join("weights-last.safetensors"));
        tensors.into_values().map(|tensor| tensor.sum(Kind::Double).double_value(&[])).sum::<f64>()
    });
    assert_ne!(first, second);
}

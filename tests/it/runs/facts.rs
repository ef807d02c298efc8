//! Files of weights that say what they are: exported and imported ones need no cell, task or sizes, and contradictions are
//! told.

use super::images::smoke;
use super::{CELL, failure, output, train};
use crate::cli::{run, run_json, sgas};
use serde_json::Value;
use sgas::checkpoint::Checkpoint;
use std::fs;
use std::path::Path;

fn evaluated(folder: &Path, arguments: &str) -> Value {
    run_json(folder, &format!("eval {arguments} --json --device cpu --threads 1"))
}

/// A training of points, and its weights exported and imported.
fn begun() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    output(&mut train(folder.path(), "--out first --set train.epochs=1 --set data.validation=0"));
    run(folder.path(), "export --run first --format safetensors --output out.safetensors --no-card");
    run(folder.path(), "import out.safetensors --output in.safetensors");
    folder
}

#[test]
fn files_of_ours_are_evaluated_predicted_and_started_from_by_themselves() {
    let folder = begun();
    let expected = evaluated(folder.path(), "--run first");
    run(folder.path(), "data synth shapes --train 10 --test 10 --points 64");
    for file in ["out.safetensors", "in.safetensors"] {
        let found = evaluated(folder.path(), &format!("--weights {file} --data synthetic"));
        for key in ["loss", "confusion", "overall_accuracy", "per_class"] {
            assert_eq!(found[key], expected[key], "{file}: {key}");
        }
        let told = run_json(folder.path(), &format!("predict --weights {file} --input shapes --json --top 1"));
        let names: Vec<String> = serde_json::from_value(told["classes"].clone()).unwrap();
        assert!(names.len() == 10 && names.iter().all(|name| !name.starts_with("class ")), "{names:?}");
        // The cell, the task, the sizes and the number of points are the file's.
        let train = "--data synthetic --set train.epochs=1 --set train.batch=8 --set data.synthetic.train=16 \
                     --set data.synthetic.test=10 --device cpu --threads 1";
        let out = format!("tuned-{file}");
        let words = format!("train --init {file} {train} --out {out}");
        output(sgas(folder.path()).args(words.split_whitespace()));
        let config = fs::read_to_string(folder.path().join(&out).join("config.toml")).unwrap();
        for line in ["task = \"points\"", "channels = 4", "embedding = 16", "points = 48"] {
            assert!(config.contains(line), "{line} is not in: {config}");
        }
        let cells = ["first", out.as_str()]
            .map(|run| fs::read_to_string(folder.path().join(run).join("genotype.json")).unwrap());
        assert_eq!(cells[0], cells[1]);
    }
    // What it came from is another file, what it says the same.
    let [exported, imported] =
        ["out", "in"].map(|name| Checkpoint::load_state(&folder.path().join(format!("{name}.safetensors"))).unwrap());
    for key in ["task", "network", "genotype", "classes", "config", "targets"] {
        assert_eq!(exported[key], imported[key], "{key}");
        assert!(!exported[key].is_null(), "{key}");
    }
    assert_eq!(imported["imported"]["file"], "out.safetensors");
}

#[test]
fn hand_designed_networks_are_known_by_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let more = "--model gcn --out run --set train.epochs=1 --set data.validation=0";
    output(&mut smoke(folder.path(), "train", "graphs", more));
    run(folder.path(), "export --run run --format safetensors --output gcn.safetensors --no-card");
    let expected = evaluated(folder.path(), "--run run");
    assert_eq!(evaluated(folder.path(), "--weights gcn.safetensors --data synthetic")["loss"], expected["loss"]);
    let words = "train --init gcn.safetensors --data synthetic --set train.epochs=1 --out tuned --device cpu";
    output(sgas(folder.path()).args(words.split_whitespace()));
    let config = fs::read_to_string(folder.path().join("tuned/config.toml")).unwrap();
    assert!(config.contains("network = \"gcn\"") && config.contains("task = \"graphs\""), "{config}");
    let text =
        failure(sgas(folder.path()).args("eval --weights gcn.safetensors --genotype Cri1_PPI_Best".split(' ')), 2);
    assert!(text.contains("gcn.safetensors are of a hand-designed network, gcn"), "{text}");
}

#[test]
fn what_contradicts_a_file_is_told_before_anything_is_done() {
    let folder = begun();
    fs::write(folder.path().join("other.json"), CELL.replace("[\"gat\", 1]", "[\"gat\", 2]")).unwrap();
    for (more, words) in [
        ("--genotype other.json", "--genotype other.json: the weights in out.safetensors are of another cell"),
        ("--genotype Cri2_ModelNet_Best", "are of another cell"),
        (
            "--task modelnet40",
            "--task modelnet40: the task is modelnet40, and the weights in out.safetensors were trained for points",
        ),
        ("--config smoke/train-graphs", "--config smoke/train-graphs: the task is "),
    ] {
        for command in
            ["eval --weights out.safetensors --data synthetic", "import out.safetensors --output new.safetensors"]
        {
            let text = failure(sgas(folder.path()).args(format!("{command} {more}").split_whitespace()), 2);
            assert!(text.contains(words) && text.contains("\nhint: "), "{command} {more}: {text}");
        }
    }
    assert!(!folder.path().join("new.safetensors").exists());
    let words = "train --init out.safetensors --data synthetic --out never --genotype other.json";
    let text = failure(sgas(folder.path()).args(words.split(' ')), 2);
    assert!(text.contains("are of another cell") && !folder.path().join("never").exists(), "{text}");
    // The sizes are the file's, and may be contradicted: then the weights do not fit.
    let words = "eval --weights out.safetensors --data synthetic --set model.channels=8";
    let text = failure(sgas(folder.path()).args(words.split(' ')), 2);
    assert!(text.contains("another network"), "{text}");
}

//! `--baseline` and `--model`: hand-designed networks under the recipes of cells.

use super::resume::{Name, Stop, kill_at};
use super::{failure, output};
use crate::cli::sgas;

#[test]
fn a_baseline_is_trained_resumed_evaluated_and_used_like_a_cell() {
    for (task, sizes, name) in [
        ("points", "data.points=48 point.embedding=16 data.synthetic.train=40 data.synthetic.test=20", "dgcnn"),
        ("images", "model.channels=4 data.synthetic.train=40 data.synthetic.test=20", "resnet"),
        ("graphs", "model.channels=16", "gcn"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let train = |more: &str| {
            let mut command = sgas(path);
            let config = format!("smoke/train-{task}");
            command.args(["train", "--task", task, "--data", "synthetic", "--config", &config, "--threads", "1"]);
            command.args(sizes.split_whitespace().flat_map(|size| ["--set", size]));
            command.args(["--device", "cpu"]).args(more.split_whitespace());
            command
        };
        output(&mut train("--baseline --out whole --set train.epochs=3"));
        let config = std::fs::read_to_string(path.join("whole/config.toml")).unwrap();
        assert!(config.contains(&format!("network = \"{name}\"")), "{config}");
        assert!(!path.join("whole/genotype.json").exists());

        kill_at(&train(&format!("--model {name} --out cut --set train.epochs=3")), Stop::Logged(Name::Epoch, 2));
        output(sgas(path).args(["train", "--out", "cut", "--resume", "--threads", "1", "--device", "cpu"]));
        let weights = |run: &str| std::fs::read(path.join(run).join("weights-last.safetensors")).unwrap();
        assert_eq!(weights("whole"), weights("cut"), "{task}");

        let text = output(sgas(path).args(["eval", "--run", "whole", "--json"]));
        assert!(text.contains("\"accuracy\""), "{text}");
        let text = failure(sgas(path).args(["show", "whole"]), 2);
        assert!(text.contains("whole: this run trains a hand-designed network, which has no cell"), "{text}");
    }
}

#[test]
fn networks_for_other_data_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (words, expected) in [
        (
            "train --task points --model gcn",
            "--model gcn: expected a task for gcn, such as ppi, found points, which reads",
        ),
        ("train --task images --model dgcnn", "the usual network for pictures is resnet: --baseline"),
        ("train --task s3dis --model dgcnn", "found s3dis, which reads labelled clouds"),
        ("train --baseline", "which cell?"),
    ] {
        let text = failure(sgas(path).args(words.split_whitespace()).args(["--data", "synthetic"]), 2);
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
}

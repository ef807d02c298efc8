//! Runs that are refused or fail: the exit code, what is said, and that nothing half is left.

use super::{CELL, failure, search, train};
use crate::cli::sgas;
use assert_cmd::Command;
use serde_json::json;
use sgas::checkpoint::Checkpoint;
use std::path::Path;

/// The command must be refused with these words, and make no folder `run`.
fn refused(folder: &Path, command: &mut Command, words: &[&str]) {
    let text = failure(command, 2);
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
    assert!(text.contains("hint: ") || text.contains("cannot read"), "{text}");
    assert!(!folder.join("run").exists(), "a run folder was left: {text}");
}

#[test]
fn values_that_do_not_fit_the_data_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let words = ["train.batch: expected a batch that the 30 training samples fill, found 37", "--batch N"];
    refused(path, &mut train(path, "--out run --batch 37"), &words);
    let half = "--out run --amp fp16";
    refused(path, &mut train(path, half), &["--amp fp16: half precision needs a CUDA device"]);
    refused(path, &mut search(path, half), &["--amp fp16: half precision needs a CUDA device"]);
    let none_left = "--out run --set data.validation=0";
    refused(path, &mut search(path, none_left), &["data.validation: expected a share above 0"]);
}

#[test]
fn cells_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let cases: [(&str, String, &[&str]); 3] = [
        ("cut.json", CELL[..60].to_owned(), &["cut.json"]),
        ("unknown.json", CELL.replace("sage", "sagee"), &["unknown.json", "sagee", "did you mean sage"]),
        ("later.json", CELL.replace(r#"["conv_1x1", 2]"#, r#"["conv_1x1", 3]"#), &["later.json", "3"]),
    ];
    for (name, text, words) in cases {
        std::fs::write(path.join(name), text).unwrap();
        let text = failure(&mut train(path, &format!("--genotype {name} --out run")), 2);
        assert!(words.iter().all(|word| text.contains(word)), "{name}: {text}");
        assert!(!path.join("run").exists());
    }
    let image = ["Cri1_CIFAR_1", "expected a cell of the point space, found one of the image space"];
    refused(path, &mut train(path, "--genotype Cri1_CIFAR_1 --out run"), &image);
    let misspelt = ["\"Cri2_ModelNet_Bst\"", "did you mean Cri2_ModelNet_Best?"];
    refused(path, &mut train(path, "--genotype Cri2_ModelNet_Bst --out run"), &misspelt);
}

#[test]
fn places_that_cannot_be_written_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("file"), "mine").unwrap();
    for out in ["file", "file/below", "/proc/none/below"] {
        let text = failure(&mut search(path, &format!("--out {out}")), 2);
        assert!(text.contains(&format!("--out {out}: no run can be put there")) && text.contains("hint: "), "{text}");
    }
    assert_eq!(std::fs::read(path.join("file")).unwrap(), b"mine");
    let text = failure(search(path, "").env("SGAS_RUNS", path.join("file")), 2);
    assert!(text.contains("no run can be put there") && text.contains("SGAS_RUNS"), "{text}");
    std::fs::create_dir(path.join("full")).unwrap();
    std::fs::write(path.join("full/mine"), "mine").unwrap();
    let text = failure(&mut train(path, "--out full"), 2);
    assert!(text.contains("--out full: the folder is not empty") && text.contains("--resume"), "{text}");
    assert_eq!(std::fs::read_dir(path.join("full")).unwrap().count(), 1);
    for save in ["nowhere/cell.json", "full"] {
        let words = [&*format!("--save {save}: expected the name of a file"), "folder"];
        refused(path, &mut search(path, &format!("--out run --save {save}")), &words);
    }
}

#[test]
fn a_loss_that_is_not_a_number_ends_the_run_with_epoch_and_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let wild = "--set weights.learning_rate=1e30 --set weights.clip=0";
    let text = failure(&mut search(path, &format!("{wild} --out search")), 1);
    assert!(text.contains("error: epoch 0, step 1: the ") && text.contains("hint: lower weights.learning_rate"));
    let text = failure(&mut train(path, &format!("{wild} --out train")), 1);
    assert!(text.contains("error: epoch 0, step 1: the gradient's norm is "), "{text}");
    // One step per epoch: only the pass over the validation share sees what the step did.
    let text = failure(&mut train(path, &format!("{wild} --batch 30 --set data.validation=0.25 --out late")), 1);
    assert!(text.contains("error: epoch 0: the validation loss is "), "{text}");
    for run in ["search", "train", "late"] {
        assert!(super::epochs(&path.join(run)).is_empty());
        // What is kept is the beginning.
        let state = Checkpoint::load(&path.join(run).join("checkpoint/state.safetensors")).unwrap().state;
        assert_eq!((&state["run"]["next_epoch"], &state["run"]["begun"]), (&json!(0), &json!(null)));
        assert!(!path.join(run).join("weights-last.safetensors").exists());
    }
}

#[test]
fn eval_refuses_what_has_no_trained_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    super::output(&mut search(path, "--out found --set search.epochs=1"));
    let words = ["found is a search: it has no trained network", "sgas train --genotype found"];
    refused(path, sgas(path).args(["eval", "--run", "found"]), &words);
    refused(path, sgas(path).args(["eval", "--run", "nowhere"]), &["nowhere is not the folder of a run"]);
    std::fs::write(path.join("cut.safetensors"), [9; 40]).unwrap();
    let loose = ["eval", "--data", "synthetic", "--task", "points", "--genotype", "found", "--weights"];
    refused(
        path,
        sgas(path).args(loose).arg("cut.safetensors"),
        &["cut.safetensors: expected a whole safetensors file"],
    );
    refused(path, sgas(path).args(loose).arg("none.safetensors"), &["cannot read none.safetensors"]);
    assert!(!path.join("found/eval-test.json").exists());
}

#[test]
fn clouds_that_will_not_do_are_named_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    crate::data::pcd_folder_with_a_nan(&path.join("clouds"));
    let of_clouds = ["search", "--task", "points", "--data", "clouds", "--out", "run"];
    let small = ["--set", "point.k=2", "--set", "model.cells=1"];
    refused(path, sgas(path).args(of_clouds).args(small), &["a/train/0.pcd, point 1: expected finite numbers, found"]);
    refused(path, sgas(path).args(of_clouds), &["expected at least 18 points (k · dilation), found 8 points"]);
    crate::data::hdf5_folder_without_labels(&path.join("h5"));
    let of_h5 = ["train", "--genotype", "Cri2_ModelNet_Best", "--data", "h5", "--out", "run"];
    let text = failure(sgas(path).args(of_h5), 2);
    assert!(text.contains("ply_data_train0.h5: expected datasets data and label, found data"), "{text}");
    assert!(!path.join("run").exists());
}

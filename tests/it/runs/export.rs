//! Networks that leave the program: exported weights are evaluated alike, cards stay their author's, and what Python is
//! needed for is told where it is missing. What Python writes is tested in python/tests.

use super::old::copied;
use crate::cli::{refused, run, run_json, sgas};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const SAFETENSORS: &str = "export --run train --format safetensors --output net/weights.safetensors";
const ONNX: &str = "export --run train --format onnx --output net.onnx";

/// A folder with a training, and one to export to.
fn begun() -> tempfile::TempDir {
    let folder = copied("train");
    fs::create_dir(folder.path().join("net")).unwrap();
    folder
}

/// A program that stands for Python.
fn python(folder: &Path, script: &str) -> String {
    let path = folder.join("python");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn exported(folder: &Path, python: &str) -> (i32, String, String) {
    let output = sgas(folder).args(ONNX.split_whitespace()).env("SGAS_PYTHON", python).output().unwrap();
    let [out, errors] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    (output.status.code().unwrap(), out, errors)
}

#[test]
fn exported_weights_are_the_runs_with_what_belongs_to_them() {
    let folder = begun();
    let scores = run_json(folder.path(), "eval --run train --json");
    assert!(run(folder.path(), SAFETENSORS).contains("written: net/weights.safetensors"));
    let bytes = fs::read(folder.path().join("net/weights.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let seal: Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["sgas"]).unwrap();
    let facts = &seal["state"];
    assert_eq!((&facts["task"], &facts["network"]), (&json!("graphs"), &json!("graph")));
    assert_eq!(facts["classes"].as_array().unwrap().len(), 5);
    assert_eq!(facts["scores"]["test"]["overall_accuracy"], scores["overall_accuracy"]);
    assert_eq!(facts["preparation"]["graphs"]["links"], "both");
    fs::write(folder.path().join("cell.json"), facts["genotype"].as_str().unwrap()).unwrap();
    let file = "eval --weights net/weights.safetensors --json --data synthetic";
    for more in ["", " --genotype cell.json --task graphs", " --genotype cell.json --config train/config.toml"] {
        let found = run_json(folder.path(), &format!("{file}{more}"));
        assert_eq!((&found["loss"], &found["per_class"]), (&scores["loss"], &scores["per_class"]), "{more}");
    }
    assert!(!String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).contains(folder.path().to_str().unwrap()));
}

#[test]
fn a_card_says_what_is_known_and_is_never_replaced_once_edited() {
    let folder = begun();
    let card = folder.path().join("net/README.md");
    run(folder.path(), SAFETENSORS);
    let text = fs::read_to_string(&card).unwrap();
    assert!(text.starts_with("---\nlibrary_name: sgas\nlicense: unknown # fill in") && text.contains("Not evaluated"));
    run(folder.path(), "eval --run train");
    run(folder.path(), SAFETENSORS);
    let text = fs::read_to_string(&card).unwrap();
    for part in ["- type: accuracy\n", "| test | overall_accuracy |", "(nodes, 5)", "`synthetic_class_0`", "## Cell"] {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
    let edited = text.replace("license: unknown", "license: mit");
    fs::write(&card, &edited).unwrap();
    for force in ["", " --force"] {
        refused(folder.path(), &format!("{SAFETENSORS}{force}"), &["the model card net/README.md", "--no-card"]);
    }
    run(folder.path(), &format!("{SAFETENSORS} --no-card"));
    assert_eq!(fs::read_to_string(&card).unwrap(), edited);
    fs::write(folder.path().join("net/weights.safetensors"), "dear diary").unwrap();
    refused(folder.path(), &format!("{SAFETENSORS} --no-card"), &["expected an exported network", "--force"]);
}

#[test]
fn what_python_lacks_is_one_error_and_nothing_is_written() {
    let folder = begun();
    let missing = python(folder.path(), "echo \"ModuleNotFoundError: No module named 'onnx'\" >&2; exit 1");
    let before = fs::read_dir(folder.path()).unwrap().count();
    for (python, told) in [(&missing[..], "needs Python's onnx"), ("/no/python", "can't be started")] {
        let (code, out, errors) = exported(folder.path(), python);
        assert_eq!((code, &out[..]), (2, ""), "{errors}");
        assert!(errors.contains(told) && errors.contains("hint: ") && errors.contains("SGAS_PYTHON"), "{errors}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
}

#[test]
fn what_python_wrote_is_put_in_its_place_whole() {
    let folder = begun();
    // The file is named last.
    let script = "for last; do :; done; printf '\\010\\012\\022\\004sgas' > \"$last\"; echo '{\"torch\": \"2.11.0\", \"opset\": 18}'";
    let python = python(folder.path(), script);
    let (code, out, errors) = exported(folder.path(), &python);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("torch 2.11.0, opset 18"), "{out}");
    assert_eq!(fs::read(folder.path().join("net.onnx")).unwrap(), b"\x08\x0a\x12\x04sgas");
    assert!(fs::read_to_string(folder.path().join("README.md")).unwrap().contains("opset 18"));
    assert_eq!(exported(folder.path(), &python).0, 0, "it is known again");
}

//! Bad input: one clear error with place, expectation, finding and what to do; exit code 2; no panic, no file.

use crate::cli::sgas;
use std::path::Path;

/// Runs the program in `folder`; it must fail as input errors do. Returns what stands on standard error.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let before = entries(folder);
    let assert = sgas(folder).args(arguments).assert().code(2).stdout("");
    let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert_eq!(text.matches("error: ").count(), 1, "{arguments:?}: {text}");
    assert!(!text.contains("panicked") && !text.contains("backtrace"), "{arguments:?}: {text}");
    assert_eq!(entries(folder), before, "{arguments:?} left something behind");
    text
}

fn entries(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// Every text must stand in the error of these arguments.
fn check(folder: &Path, arguments: &[&str], texts: &[&str]) {
    let error = refused(folder, arguments);
    for text in texts {
        assert!(error.contains(text), "{arguments:?}: '{text}' is not in: {error}");
    }
}

#[test]
fn names_that_do_not_exist_suggest_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 8] = [
        (&["search", "--task", "modelnt40"], &["--task", "'modelnt40'", "hint: did you mean modelnet40?"]),
        (&["train", "--genotype", "Cri2_ModelNet_Best", "--task", "shapes"], &["--task", "known: modelnet40, "]),
        (&["search", "--config", "modelnet40-cup"], &["'modelnet40-cup'", "did you mean modelnet40-cpu?"]),
        (&["search"], &["--task", "hint: "]),
        (&["show", "Cri2_ModelNet_Bst"], &["\"Cri2_ModelNet_Bst\"", "did you mean Cri2_ModelNet_Best?"]),
        (&["show", "Cri2_ModelNet_Best", "--task", "modelnet4"], &["modelnet40"]),
        (&["serch"], &["unrecognized subcommand 'serch'", "search"]),
        (&["search", "--tsk", "points"], &["unexpected argument '--tsk'", "--task"]),
    ];
    for (arguments, texts) in cases {
        check(folder.path(), arguments, texts);
    }
}

#[test]
fn wrong_flags_say_what_they_take() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 8] = [
        (&["search", "--task", "points", "--criterion", "3"], &["--criterion: expected 1 or 2, found 3"]),
        (&["search", "--task", "points", "--criterion", "-1"], &["--criterion: expected 1 or 2, found -1"]),
        (&["search", "--task", "points", "--batch", "1"], &["--batch: expected at least 2", "found 1"]),
        (&["search", "--task", "points", "--strategy", "dart"], &["possible values: sgas, darts, one-shot, random"]),
        (&["search", "--task", "points", "--device", "gpu"], &["auto, cpu, cuda or cuda:N"]),
        (&["search", "--task", "points", "--seed", "-1"], &["--seed"]),
        (&["train"], &["--genotype"]),
        (&["eval", "--weights", "w.safetensors"], &["--genotype"]),
    ];
    // One tensor, and no word of the network that it is of.
    let head = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let weights = [&(head.len() as u64).to_le_bytes()[..], head, &[0; 4]].concat();
    std::fs::write(folder.path().join("w.safetensors"), weights).unwrap();
    for (arguments, texts) in cases {
        check(folder.path(), arguments, texts);
    }
}

#[test]
fn networks_and_tasks_must_fit_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 9] = [
        (
            &["search", "--task", "points", "--space", "image"],
            &["space: expected a cell of the point space, found one of the image space", "points reads shapes"],
        ),
        (
            &["search", "--task", "points", "--space", "mesh"],
            &["--space: ", "expected image, point, graph, nas-bench-201 or nas-bench-graph", "mesh"],
        ),
        (
            &["train", "--model", "resgcn", "--task", "ppi"],
            &["--model resgcn: expected a task for resgcn, such as s3dis", "ppi"],
        ),
        (
            &["train", "--genotype", "Cri2_PPI_Best", "--task", "s3dis"],
            &["Cri2_PPI_Best: space: expected a cell of the point space, found one of the graph space"],
        ),
        (&["train", "--task", "points"], &["which cell?", "--model resgcn --task s3dis"]),
        (&["train", "--model", "resgcn", "--genotype", "x"], &["cannot be used with"]),
        (&["train", "--area", "7"], &["expected 1, 2, 3, 4, 5, 6 or all"]),
        (&["train", "--area", "2", "--task", "segmentation"], &["--area is for the areas of S3DIS"]),
        (&["show", "resgcn", "--task", "ppi"], &["--task: expected a task of labelled clouds"]),
    ];
    for (arguments, texts) in cases {
        check(folder.path(), arguments, texts);
    }
    let sizes = ["train", "--model", "resgcn", "--data", "synthetic", "--set"];
    let cases: [(&str, &[&str]); 3] = [
        ("resgcn.k=1", &["resgcn.k: expected 2 to 255, found 1"]),
        ("resgcn.stochastic=1.5", &["resgcn.stochastic: expected a probability"]),
        ("data.points=400", &["data.points: expected at least 432, the k · dilation of the network, found 400"]),
    ];
    for (set, texts) in cases {
        check(folder.path(), &[&sizes[..], &[set]].concat(), texts);
    }
}

#[test]
fn a_configuration_is_told_by_file_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[&str]); 6] = [
        ("[model]\nchanels = 8", &["a.toml: model.chanels: ", "channels, cells", "did you mean model.channels?"]),
        ("[modle]\nchannels = 8", &["a.toml: modle: ", "did you mean model?"]),
        ("[model]\nchannels = 'x'", &["a.toml: model.channels: expected a whole number, found \"x\""]),
        ("[model]\nchannels = 0", &["a.toml: model.channels: expected 1 to 4096, found 0"]),
        ("[data]\nvalidation = 1.5", &["a.toml: data.validation: ", "found 1.5"]),
        ("[model\n", &["a.toml: line ", "expected TOML"]),
    ];
    for (text, texts) in cases {
        std::fs::write(folder.path().join("a.toml"), format!("task = 'points'\n{text}")).unwrap();
        check(folder.path(), &["search", "--config", "a.toml"], texts);
        check(folder.path(), &["train", "--genotype", "Cri2_ModelNet_Best", "--config", "a.toml"], texts);
    }
    let set = ["search", "--task", "points", "--set"];
    check(folder.path(), &[&set[..], &["model.channels"]].concat(), &["--set: expected section.key=value"]);
    check(folder.path(), &[&set[..], &["model.k=3"]].concat(), &["--set: model.k: ", "did you mean point.k?"]);
    let environment = sgas(folder.path()).args(["search", "--task", "points"]).env("SGAS_MODEL__CELLS", "x").assert();
    let text = String::from_utf8(environment.code(2).get_output().stderr.clone()).unwrap();
    assert!(text.contains("SGAS_MODEL__CELLS: model.cells: expected a whole number"), "{text}");
}

#[test]
fn a_genotype_that_is_wrong_is_told_by_file_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"{"space": "point", "normal": [["edge_conv", 0], ["mr_conv", 1], ["gat", 0], ["gat", 1],
        ["gat", 0], ["gat", 1]], "normal_concat": [1, 2, 3, 4]}"#;
    let cases: [(&str, String, &[&str]); 4] = [
        ("cut", good[..40].to_owned(), &["cell.json"]),
        ("unknown primitive", good.replace("edge_conv", "edge_con"), &["cell.json", "edge_con", "edge_conv"]),
        ("later node", good.replace("[\"mr_conv\", 1]", "[\"mr_conv\", 3]"), &["cell.json", "3"]),
        ("unknown space", good.replace("\"point\"", "\"pint\""), &["cell.json", "pint"]),
    ];
    std::fs::write(folder.path().join("cell.json"), good).unwrap();
    sgas(folder.path()).args(["show", "cell.json"]).assert().success();
    for (what, text, texts) in cases {
        std::fs::write(folder.path().join("cell.json"), text).unwrap();
        let error = refused(folder.path(), &["show", "cell.json"]);
        assert!(texts.iter().all(|text| error.contains(text)), "{what}: {error}");
    }
    check(folder.path(), &["show", "nowhere.json"], &["cannot read nowhere.json"]);
    check(folder.path(), &["show", "Cri1_CIFAR_1", "--task", "modelnet40"], &["point space", "image space"]);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    check(folder.path(), &["show", "empty"], &["empty is not the folder of a run"]);
}

#[test]
fn resuming_needs_a_run() {
    let folder = tempfile::tempdir().unwrap();
    // Where nothing was begun the run begins, and here it has no data.
    let none = "no data folder was named";
    let words = ["nothing was begun in runs, of this configuration, so the run begins", none];
    check(folder.path(), &["search", "--task", "points", "--resume"], &words);
    let arguments = ["search", "--task", "points", "--out", "nothing", "--resume"];
    check(folder.path(), &arguments, &["nothing was begun in nothing so the run begins", none]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn data_that_is_not_there_names_the_places_tried_and_a_way_to_try() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let cases: [(&[&str], &[&str]); 4] = [
        (&["search", "--task", "modelnet40"], &["data/modelnet40_ply_hdf5_2048 (not there)", "--data synthetic"]),
        (
            &["search", "--task", "modelnet10", "--data", "nowhere"],
            &["nowhere (not there)", "<class>/{train,test}/FILE"],
        ),
        (&["train", "--genotype", "Cri2_ModelNet_Best", "--data", "empty"], &["empty (empty)", "SGAS_DATA"]),
        (&["search", "--task", "points"], &["no data folder was named", "--data DIR"]),
    ];
    for (arguments, texts) in cases {
        check(folder.path(), arguments, texts);
    }
}

#[test]
fn a_device_that_is_not_there_and_a_precision_that_it_lacks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let search = ["search", "--task", "points", "--data", "synthetic"];
    check(folder.path(), &[&search[..], &["--device", "cuda:99"]].concat(), &["--device cuda:99: ", "--device cpu"]);
    let half = ["--device", "cpu", "--amp", "fp16"];
    check(folder.path(), &[&search[..], &half].concat(), &["--amp fp16: half precision needs a CUDA device"]);
}

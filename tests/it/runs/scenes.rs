//! Labelled clouds the whole way: a cell is searched, trained, evaluated, and tells the class of every point.

use super::{decisions, epochs, output};
use crate::cli::sgas;
use serde_json::Value;
use std::path::Path;

fn run(folder: &Path, line: &str) -> String {
    let place: &[&str] = if line.starts_with("data") { &[] } else { &["--threads", "1", "--device", "cpu"] };
    output(sgas(folder).args(line.split_whitespace()).args(place))
}

#[test]
fn a_cell_is_searched_trained_evaluated_and_predicts_every_point() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "data synth own --kind scenes --train 40 --test 10 --points 128");
    let found = run(folder.path(), "search --config smoke/search-segmentation --data own --out found --save cell.json");
    assert!(found.contains("normal cell") && found.contains("next:       sgas train --genotype"), "{found}");
    assert_eq!(decisions(&folder.path().join("found")).len(), 6);
    let score = epochs(&folder.path().join("found")).last().unwrap().validation.as_ref().unwrap().score;
    assert!(score > 0.0 && score <= 1.0, "{score}");

    let sizes = "--config smoke/train-segmentation --data own --set train.epochs=6";
    run(folder.path(), &format!("train --genotype cell.json {sizes} --out whole"));
    let config = std::fs::read_to_string(folder.path().join("whole/config.toml")).unwrap();
    assert!(config.contains("network = \"point\""), "{config}");
    // Without a cell it is the ResGCN that the task trains, as ever.
    run(folder.path(), &format!("train {sizes} --out resgcn --set train.epochs=1"));
    assert!(!std::fs::read_to_string(folder.path().join("resgcn/config.toml")).unwrap().contains("network ="));
    assert!(!folder.path().join("resgcn/genotype.json").exists());

    let report: Value = serde_json::from_str(&run(folder.path(), "eval --run whole --json")).unwrap();
    assert!(report["mean_iou"].as_f64().unwrap() > 0.0, "{report}");
    let predicted = run(folder.path(), "predict --run whole --input own/test --output labelled --json");
    let predicted: Value = serde_json::from_str(&predicted).unwrap();
    let files = std::fs::read_dir(folder.path().join("own/test")).unwrap().count();
    assert_eq!(std::fs::read_dir(folder.path().join("labelled")).unwrap().count(), files, "{predicted}");
    // Loose weights know their cell by --genotype, and that the task is one of labelled clouds.
    let loose = "eval --weights whole/weights-last.safetensors --genotype cell.json --task segmentation --config \
                 smoke/train-segmentation --data own --json";
    let loose: Value = serde_json::from_str(&run(folder.path(), loose)).unwrap();
    assert!(loose["mean_iou"].is_number());
}

#[test]
fn a_cell_that_was_found_on_shapes_is_trained_on_labelled_clouds() {
    let folder = tempfile::tempdir().unwrap();
    let line = "train --genotype Cri2_ModelNet_Best --config smoke/train-s3dis --data synthetic --out run \
                --set train.epochs=1";
    assert!(run(folder.path(), line).contains("mean IoU"));
    assert!(run(folder.path(), "eval --run run").contains("synthetic_wall"));
}

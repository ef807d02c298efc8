//! Predictions for shapes without classes, by a tiny training on three kinds of clouds in files.

use super::{CELL, SIZES, failure, output};
use crate::cli::sgas;
use crate::data::{pcd, write};
use assert_cmd::Command;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const CLASSES: [&str; 3] = ["ball", "rod", "sheet"];

/// Points of a training's cloud.
const POINTS: usize = 48;

/// What the order of a matrix product's terms can change in a probability: batches of other sizes are summed
/// otherwise, and fp32 rounds at 6e-8 through some thirty layers.
const ROUNDING: f64 = 1e-5;

/// A cloud of a class; `number` turns and stretches it.
fn shape(class: &str, points: usize, number: usize) -> Vec<[f32; 3]> {
    let stretch = 1.0 + 0.1 * number as f32;
    let point = |index: usize| {
        let share = (index as f32 + 0.5) / points as f32;
        let angle = 2.4 * index as f32 + number as f32;
        let height = 1.0 - 2.0 * share;
        match class {
            "ball" => {
                let radius = (1.0 - height * height).sqrt();
                [radius * angle.cos(), stretch * radius * angle.sin(), height]
            }
            "rod" => [0.05 * angle.cos(), 0.05 * angle.sin(), stretch * height],
            _ => [share.sqrt() * angle.cos(), stretch * share.sqrt() * angle.sin(), 0.05 * (3.0 * angle).cos()],
        }
    };
    (0..points).map(point).collect()
}

fn write_shape(path: &Path, class: &str, points: usize, number: usize) {
    write(path, &pcd(&shape(class, points, number), number.is_multiple_of(2)));
}

/// The program in `folder` on one thread.
fn run(folder: &Path, command: &str, more: &str) -> Command {
    let mut sgas = sgas(folder);
    sgas.arg(command).args(more.split_whitespace()).args(["--device", "cpu", "--threads", "1"]);
    sgas
}

/// A folder with `shapes/CLASS/{train,test}`, and the folder `run` of a training on them, which takes the first
/// points of a cloud.
fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in CLASSES {
        for number in 0..12 {
            let part = if number < 8 { "train" } else { "test" };
            write_shape(&folder.path().join(format!("shapes/{class}/{part}/{number}.pcd")), class, POINTS, number);
        }
    }
    std::fs::write(folder.path().join("cell.json"), CELL).unwrap();
    let sizes: String = SIZES.iter().map(|size| format!(" --set {size}")).collect();
    let more = "--genotype cell.json --config smoke/train-points --data shapes --out run --batch 8 \
                --set data.order=first --set data.validation=0 --set train.epochs=12";
    output(&mut run(folder.path(), "train", &format!("{more}{sizes}")));
    folder
}

/// Larger clouds, one per class, of which the network takes a part.
fn write_scans(folder: &Path) {
    for (number, class) in CLASSES.iter().enumerate() {
        write_shape(&folder.join(format!("scans/{class}.pcd")), class, 5 * POINTS, number);
    }
}

fn predicted(folder: &Path, more: &str) -> Value {
    serde_json::from_str(&output(&mut run(folder, "predict", &format!("--run run --json {more}")))).unwrap()
}

/// Probabilities by file name.
fn by_file(report: &Value) -> BTreeMap<String, Vec<f64>> {
    let of_shape = |shape: &Value| {
        let probabilities = shape["probabilities"].as_object().unwrap().values();
        (shape["file"].as_str().unwrap().to_owned(), probabilities.map(|value| value.as_f64().unwrap()).collect())
    };
    report["predictions"].as_array().unwrap().iter().map(of_shape).collect()
}

/// The greatest difference between probabilities of the same files.
fn difference(one: &Value, other: &Value) -> f64 {
    let (one, other) = (by_file(one), by_file(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    let pairs = one.values().flatten().zip(other.values().flatten());
    pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
}

#[test]
fn files_are_predicted_as_evaluation_scores_them() {
    let folder = trained();
    let evaluated = output(&mut run(folder.path(), "eval", "--run run --json"));
    let evaluated: Value = serde_json::from_str(&evaluated).unwrap();
    let mut confusion: Vec<[usize; 3]> = Vec::new();
    for actual in CLASSES {
        let report = predicted(folder.path(), &format!("--input shapes/{actual}/test"));
        let shapes = report["predictions"].as_array().unwrap();
        let count = |class: &str| shapes.iter().filter(|shape| shape["class"] == class).count();
        confusion.push(CLASSES.map(count));
    }
    let told_apart = (0..CLASSES.len()).filter(|&class| confusion.iter().any(|row| row[class] > 0)).count();
    assert!(told_apart > 1, "the network says the same of everything: {confusion:?}");
    assert_eq!(serde_json::to_value(&confusion).unwrap(), evaluated["confusion"]);
    let right: usize = (0..CLASSES.len()).map(|class| confusion[class][class]).sum();
    assert_eq!(evaluated["overall_accuracy"], right as f64 / 12.0);
    let next = output(&mut run(folder.path(), "eval", "--run run"));
    assert!(next.contains("sgas predict --run run --input DIR"), "{next}");
}

#[test]
fn tables_and_json_hold_the_same_and_probabilities_sum_to_one() {
    let folder = trained();
    let path = folder.path();
    write_scans(path);
    let printed = predicted(path, "--input scans --output p.json");
    let written: Value = serde_json::from_slice(&std::fs::read(path.join("p.json")).unwrap()).unwrap();
    assert_eq!(printed, written);
    for (key, value) in [("run", "run"), ("weights", "run/weights-last.safetensors"), ("normalize", "cube")] {
        assert_eq!(written[key], value);
    }
    for (key, value) in [("points", POINTS), ("seed", 4), ("votes", 1), ("shapes", 3), ("skipped", 0)] {
        assert_eq!(written[key], value);
    }
    assert_eq!(written["sgas"], env!("CARGO_PKG_VERSION"));
    assert_eq!(written["classes"], serde_json::json!(CLASSES));
    assert!(written["trained_on"].as_str().unwrap().contains("24 training"), "{written}");

    let table = output(&mut run(path, "predict", "--run run --input scans --output p.csv --top 2"));
    assert!(table.contains("3 shapes predicted, 0 skipped\nwritten: p.csv\n"), "{table}");
    let mut reader = csv::Reader::from_path(path.join("p.csv")).unwrap();
    let header = ["file", "class", "probability", "ball", "rod", "sheet", "error"];
    assert_eq!(reader.headers().unwrap(), header.as_slice());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 3);
    let shapes = written["predictions"].as_array().unwrap();
    for ((row, shape), class) in rows.iter().zip(shapes).zip(CLASSES) {
        let probabilities: Vec<f64> = (3..6).map(|column| row[column].parse().unwrap()).collect();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{row:?}");
        let best = (0..3).max_by(|&one, &other| probabilities[one].total_cmp(&probabilities[other])).unwrap();
        assert_eq!((&row[0], &row[1]), (&*format!("scans/{class}.pcd"), CLASSES[best]));
        assert_eq!(row[2].parse::<f64>().unwrap(), probabilities[best]);
        assert_eq!((&shape["file"], &shape["class"]), (&row[0].into(), &row[1].into()));
        assert_eq!(by_file(&written)[&row[0]], probabilities);
        let line = table.lines().find(|line| line.starts_with(&row[0])).unwrap();
        assert!(line.contains(&row[1]) && line.matches('%').count() == 2, "{line}");
    }
}

#[test]
fn a_prediction_does_not_depend_on_other_files_or_their_order() {
    let folder = trained();
    let path = folder.path();
    write_scans(path);
    // A random part of the points, so that another draw would be seen.
    let predicted = |more: &str| predicted(path, &format!("--set data.order=random {more}"));
    let together = predicted("--input scans");
    let reversed = predicted("--input scans/sheet.pcd scans/rod.pcd scans/ball.pcd --batch 2");
    assert_eq!(reversed["predictions"][0]["file"], "scans/sheet.pcd");
    assert!(difference(&together, &reversed) < ROUNDING);
    let mut alone = together.clone();
    let shapes = CLASSES.map(|class| predicted(&format!("--input scans/{class}.pcd"))["predictions"][0].clone());
    alone["predictions"] = shapes.to_vec().into();
    assert!(difference(&together, &alone) < ROUNDING);
}

#[test]
fn votes_average_over_random_parts_of_the_points() {
    let folder = trained();
    let path = folder.path();
    write_scans(path);
    let one = predicted(path, "--input scans");
    let random = predicted(path, "--input scans --set data.order=random");
    let [few, many] = [2, 16].map(|votes| predicted(path, &format!("--input scans --votes {votes} --batch 5")));
    assert_eq!((&few["votes"], by_file(&few).len()), (&2.into(), 3));
    for (other, what) in [(&one, "the first points"), (&random, "the first draw alone"), (&many, "more draws")] {
        assert!(difference(&few, other) > 10.0 * ROUNDING, "{what}");
    }
    let alone = predicted(path, "--input scans/rod.pcd --votes 2");
    assert!((by_file(&alone)["scans/rod.pcd"][0] - by_file(&few)["scans/rod.pcd"][0]).abs() < ROUNDING);
}

#[test]
fn bad_files_end_it_or_are_listed_as_skipped() {
    let folder = trained();
    let path = folder.path();
    write_scans(path);
    let mut broken = shape("rod", POINTS, 0);
    // More than may be left out.
    broken[7..].iter_mut().for_each(|point| point[2] = f32::NAN);
    write(path.join("scans/broken.pcd"), &pcd(&broken, false));
    let text = failure(&mut run(path, "predict", "--run run --input scans --output p.csv"), 2);
    assert!(text.contains("scans/broken.pcd, point 7: expected finite numbers, found NaN"), "{text}");
    assert!(!path.join("p.csv").exists());

    let report = predicted(path, "--input scans scans/ball.pcd --skip-bad --output p.csv");
    assert_eq!((&report["shapes"], &report["skipped"]), (&5.into(), &1.into()));
    let skipped = report["predictions"][1].as_object().unwrap();
    assert_eq!(skipped.keys().collect::<Vec<_>>(), ["file", "error"]);
    assert!(skipped["error"].as_str().unwrap().contains("point 7"), "{skipped:?}");
    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_path(path.join("p.csv")).unwrap().records().map(|row| row.unwrap()).collect();
    assert_eq!((&rows[1][0], &rows[1][1], &rows[1][3]), ("scans/broken.pcd", "", ""));
    assert_eq!(rows[1][6], *skipped["error"].as_str().unwrap());
    assert_eq!(rows.iter().filter(|row| row[6].is_empty() && !row[1].is_empty()).count(), 4);
    let table = output(&mut run(path, "predict", "--run run --input scans --skip-bad"));
    assert!(table.contains("skipped: scans/broken.pcd") && table.contains("3 shapes predicted, 1 skipped"), "{table}");
}

#[test]
fn loose_weights_name_their_classes_by_a_file_or_number() {
    let folder = trained();
    let path = folder.path();
    write_scans(path);
    std::fs::copy(path.join("run/weights-last.safetensors"), path.join("w.safetensors")).unwrap();
    let weights = "--weights w.safetensors --genotype cell.json --config run/config.toml --input scans";
    let loose = |more: &str| -> Value {
        serde_json::from_str(&output(&mut run(path, "predict", &format!("{weights} --json {more}")))).unwrap()
    };
    let of_run = predicted(path, "--input scans");
    let numbered = loose("");
    assert_eq!(by_file(&numbered), by_file(&of_run));
    assert_eq!(numbered["classes"], serde_json::json!(["class 0", "class 1", "class 2"]));
    assert!(numbered["run"].is_null() && numbered["trained_on"].is_null());
    write(path.join("names.txt"), b"globe\nstick\nleaf\n");
    assert_eq!(loose("--classes names.txt")["classes"], serde_json::json!(["globe", "stick", "leaf"]));

    let refused = |more: &str, words: &[&str]| {
        let text = failure(&mut run(path, "predict", &format!("{weights} {more}")), 2);
        assert!(words.iter().all(|word| text.contains(word)), "{more}: {text}");
    };
    write(path.join("two.txt"), b"globe\nstick\n");
    refused("--classes two.txt", &["two.txt: expected 3 names, one per line", "found 2 lines"]);
    write(path.join("twice.txt"), b"globe\nstick\nglobe\n");
    refused("--classes twice.txt", &["twice.txt, line 3: expected names that differ, found 'globe'"]);
    refused("--classes nowhere.txt", &["cannot read nowhere.txt"]);
    std::fs::write(path.join("cell.json"), CELL.replace("mr_conv", "gat")).unwrap();
    refused("", &["w.safetensors: ", "weights of another network"]);
    for of_loose_weights in ["--classes names.txt", "--config run/config.toml", "--task points"] {
        let text = failure(&mut run(path, "predict", &format!("--run run {of_loose_weights} --input scans")), 2);
        assert!(text.contains("cannot be used with") && text.contains("--run"), "{text}");
    }
}

#[test]
fn what_cannot_be_predicted_is_refused_before_anything_is_written() {
    let folder = trained();
    let path = folder.path();
    write_scans(path);
    std::fs::create_dir(path.join("empty")).unwrap();
    write(path.join("scans.glb"), b"glTF");
    write(path.join("scans/mine.csv"), b"0,0,0\n");
    output(&mut run(path, "search", "--task modelnet10 --strategy random --out found"));
    write(path.join("chair.png"), b"a picture");
    let cases: [(&str, &[&str]); 10] = [
        (
            "--run run --input chair.png",
            &["chair.png: expected a shape (.off ", "found a picture", "trained on shapes"],
        ),
        ("--run run --input empty", &["empty: expected files of a known format", "found none", "known formats: "]),
        ("--run run --input scans nowhere.pcd", &["cannot read nowhere.pcd"]),
        ("--run run --input scans.glb", &["scans.glb: expected a file named *."]),
        ("--run run --input scans --output p.txt", &["--output p.txt: expected a file named *.csv or *.json"]),
        ("--run run --input scans --output nowhere/p.csv", &["--output nowhere/p.csv", "a folder that is not there"]),
        ("--run run --input scans --output scans/mine.csv", &["scans/mine.csv", "a file that is not among the shapes"]),
        ("--run found --input scans", &["found is a search", "sgas train --genotype found"]),
        ("--run empty --input scans", &["empty is not the folder of a run"]),
        ("--run run --input scans --set data.points=3", &["data.points: expected at least"]),
    ];
    for (arguments, words) in cases {
        let place = if arguments.contains("--output") { "" } else { " --output p.csv" };
        let text = failure(&mut run(path, "predict", &format!("{arguments}{place}")), 2);
        assert!(words.iter().all(|word| text.contains(word)), "{arguments}: {text}");
        assert!(!path.join("p.csv").exists() && !path.join("p.txt").exists());
    }
    assert_eq!(std::fs::read(path.join("scans/mine.csv")).unwrap(), b"0,0,0\n");
    let text = failure(run(path, "predict", "--input scans").env("SGAS_RUNS", path.join("empty")), 2);
    assert!(text.contains("no finished training under"), "{text}");
}

#[test]
fn clouds_of_another_size_than_the_run_s_are_warned_of() {
    let folder = trained();
    let path = folder.path();
    let large: Vec<[f32; 3]> = shape("rod", POINTS, 1).iter().map(|point| point.map(|value| 900.0 * value)).collect();
    write(path.join("scans/large.pcd"), &pcd(&large, true));
    write_scans(path);
    let told = |more: &str| {
        let arguments = format!("--run run --input scans/large.pcd scans/ball.pcd {more}");
        let assert = run(path, "predict", &arguments).assert().success();
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    };
    assert_eq!(told(""), "");
    let text = told("--set data.normalize=none");
    assert!(text.contains("1 of 2 shapes reach beyond coordinates of 1 (the furthest, scans/large.pcd, "), "{text}");
}

#[test]
fn evaluation_refuses_data_of_other_classes() {
    let folder = trained();
    let path = folder.path();
    std::fs::rename(path.join("shapes/rod"), path.join("shapes/stick")).unwrap();
    let text = failure(&mut run(path, "eval", "--run run --data shapes"), 2);
    let words = ["expected the run's classes: ball, rod, sheet, found ball, sheet, stick", "hint: ", "`sgas predict`"];
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(!path.join("run/eval-test.json").exists());
    // Fewer classes as well: the network's outputs would mean something else.
    std::fs::remove_dir_all(path.join("shapes/stick")).unwrap();
    let text = failure(&mut run(path, "eval", "--run run --data shapes"), 2);
    assert!(text.contains("found ball, sheet"), "{text}");
}

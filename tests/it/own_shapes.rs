//! Folders of shapes as users have them: each format from file to accuracy, the guide's way from a folder to a score,
//! and what `sgas data` tells and writes.

use crate::cli::sgas;
use crate::cloud_files::{VARIANTS, Variant};
use crate::readme;
use hdf5_writer::{DatasetBuilder, Hdf5Builder, WriteOptions};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};
use sgas::data::{Source, find};
use std::path::{Path, PathBuf};

/// A valid cell, so that a training needs no search before it.
const CELL: &str = r#"{"space": "point", "normal": [["mr_conv", 0], ["edge_conv", 1], ["gat", 1], ["conv_1x1", 2],
    ["skip_connect", 0], ["edge_conv", 3]], "normal_concat": [1, 2, 3, 4], "task": "points"}"#;

const CLOUDS: [&str; 5] = ["ply", "pcd", "npy", "xyz", "csv"];
const MESHES: [&str; 3] = ["off", "obj", "ply-mesh"];

/// Runs a command that succeeds; what it prints.
fn run(folder: &Path, arguments: &str) -> String {
    let assert = sgas(folder).args(arguments.split_whitespace()).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn run_json(folder: &Path, arguments: &str) -> Value {
    serde_json::from_str(&run(folder, arguments)).unwrap()
}

/// The same set of 10 training and 50 test shapes in a folder named by its format; checks what `data info` says.
fn synth(folder: &Path, format: &str) {
    run(folder, &format!("data synth {format} --format {format} --train 10 --test 50 --points 256 --seed 1"));
    let info = run_json(folder, &format!("data info {format} --json"));
    let is_mesh = MESHES.contains(&format);
    let extension = if format == "ply-mesh" { "ply" } else { format };
    assert_eq!(info["files"], json!({ extension: 60 }), "{info}");
    let kinds = if is_mesh { (0, 60) } else { (60, 0) };
    assert_eq!((info["clouds"].as_u64().unwrap(), info["meshes"].as_u64().unwrap()), kinds, "{format}");
    if !is_mesh {
        assert_eq!(info["points"], json!({ "min": 256, "median": 256, "max": 256 }), "{format}");
    }
    assert_eq!(info["problems"], json!([]), "{info}");
}

/// The clouds of a folder of tables as an HDF5 set, in the same order; normals that are none.
fn hdf5_from_tables(tables: &Path, folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let classes = entries(tables).into_iter().filter(|path| path.is_dir()).collect::<Vec<_>>();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned() + "\n";
    std::fs::write(folder.join("shape_names.txt"), classes.iter().map(name).collect::<String>()).unwrap();
    for part in ["train", "test"] {
        let (mut values, mut labels) = (Vec::<f32>::new(), Vec::<u8>::new());
        for (label, class) in classes.iter().enumerate() {
            for file in entries(&class.join(part)) {
                let text = std::fs::read_to_string(file).unwrap();
                values.extend(text.split_whitespace().map(|number| number.parse::<f32>().unwrap()));
                labels.push(label as u8);
            }
        }
        let (count, points) = (labels.len() as u64, (values.len() / labels.len() / 3) as u64);
        let file = Hdf5Builder::new()
            .dataset(DatasetBuilder::typed_data("data", vec![count, points, 3], &values).unwrap())
            .dataset(DatasetBuilder::typed_data("normal", vec![count, points, 3], &values).unwrap())
            .dataset(DatasetBuilder::typed_data("label", vec![count, 1], &labels).unwrap());
        let bytes = file.into_plan().unwrap().encode(WriteOptions::default()).unwrap();
        std::fs::write(folder.join(format!("ply_data_{part}0.h5")), bytes).unwrap();
    }
}

/// The points of a table without header.
fn points(table: &Path) -> Vec<[f32; 3]> {
    let text = std::fs::read_to_string(table).unwrap();
    let row = |line: &str| line.split_whitespace().map(|number| number.parse().unwrap()).collect::<Vec<f32>>();
    text.lines().map(|line| row(line).try_into().unwrap()).collect()
}

/// The clouds of a folder of tables in this variant of a format, in a folder of its name.
fn variant_from_tables(folder: &Path, tables: &str, variant: &Variant) {
    for class in entries(&folder.join(tables)).into_iter().filter(|path| path.is_dir()) {
        for table in ["train", "test"].into_iter().flat_map(|part| entries(&class.join(part))) {
            let within = table.strip_prefix(folder.join(tables)).unwrap().with_extension(variant.extension);
            let path = folder.join(variant.name).join(within);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, (variant.bytes)(&points(&table))).unwrap();
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// A network trained on all formats mixed scores the same shapes of each format; clouds of every format are the
/// same clouds, and meshes the same meshes, so they must be taken for the same classes.
#[test]
fn every_format_goes_from_file_to_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("cell.json"), CELL).unwrap();
    let formats = [&CLOUDS[..], &MESHES[..]].concat().join(",");
    run(folder, &format!("data synth mixed --format {formats} --train 400 --test 10 --points 256"));
    run(
        folder,
        "train --genotype cell.json --config smoke/train-points --data mixed --out run --threads 1 --device cpu \
         --set train.epochs=3",
    );
    let score = |data: &str| {
        let report = run_json(folder, &format!("eval --run run --data {data} --threads 1 --device cpu --json"));
        assert_eq!(report["samples"], 50);
        // Chance is 10 %, four deviations of 50 draws above it 27 %.
        let accuracy = report["overall_accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.27, "{data}: {accuracy}");
        report["confusion"].clone()
    };
    for same in [&CLOUDS[..], &MESHES[..]] {
        same.iter().for_each(|format| synth(folder, format));
        let scores: Vec<Value> = same.iter().map(|format| score(format)).collect();
        for (format, confusion) in same.iter().zip(&scores) {
            assert_eq!(*confusion, scores[0], "{format} is not scored as {}", same[0]);
        }
    }
    // In fp32, which some of the variants store; a table holds more digits.
    let range = |data: &str| -> Vec<f32> {
        let info = run_json(folder, &format!("data info {data} --json"));
        let bound = |bound: &str| info["range"][bound].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32);
        let values: Vec<f32> = ["min", "max"].into_iter().flat_map(|side| bound(side).collect::<Vec<_>>()).collect();
        assert_eq!(values.len(), 6);
        values
    };
    let (tables, scored) = (range("xyz"), score("xyz"));
    for variant in &VARIANTS {
        variant_from_tables(folder, "xyz", variant);
        assert_eq!(range(variant.name), tables, "{}", variant.name);
        assert_eq!(score(variant.name), scored, "{} is not scored as xyz", variant.name);
    }
    hdf5_from_tables(&folder.join("xyz"), &folder.join("hdf5"));
    assert_eq!(score("hdf5"), scored);
    let info = run_json(folder, "data info hdf5 --json");
    assert_eq!((&info["layout"], &info["files"]), (&json!("HDF5"), &json!({ "h5": 2 })));
    assert_eq!(info["features"], json!(["normals"]), "told where they are stored, though nobody asked for them");
}

/// The commands of docs/own-data.md on an own folder, as they stand there; the environment makes the networks small.
#[test]
fn an_own_folder_of_mixed_formats_goes_through_by_the_commands_of_the_guide() {
    let folder = tempfile::tempdir().unwrap();
    let lines = readme::shell_lines(&readme::text("docs/own-data.md"));
    let start = lines.iter().position(|line| line.starts_with("sgas data synth shapes")).unwrap();
    let end = start + lines[start..].iter().position(|line| line.starts_with("sgas predict")).unwrap();
    let sizes = [
        ("DATA__POINTS", "48"),
        ("MODEL__CHANNELS", "4"),
        ("POINT__EMBEDDING", "16"),
        ("POINT__K", "3"),
        ("DECISION__WARMUP", "0"),
        ("DECISION__INTERVAL", "1"),
        ("SEARCH__STEPS", "1"),
        ("TRAIN__EPOCHS", "2"),
    ];
    let mut printed = Vec::new();
    for line in &lines[start..=end] {
        let mut command = sgas(folder.path());
        command.envs(sizes.map(|(name, value)| (format!("SGAS_{name}"), value)));
        let assert = command.args(line.split_whitespace().skip(1)).assert().success();
        printed.push(String::from_utf8(assert.get_output().stdout.clone()).unwrap());
    }
    assert!(printed.len() >= 6, "{lines:?}");
    assert!(
        printed[1].contains(".off") && printed[1].contains(".xyz") && printed[1].contains("meshes:"),
        "{printed:?}"
    );
    assert!(printed[printed.len() - 2].contains("overall accuracy:"), "{printed:?}");
    let predicted = std::fs::read_to_string(folder.path().join("shapes.csv")).unwrap();
    assert_eq!(predicted.lines().count(), 1 + 300, "a line for every shape, none for README.txt: {predicted}");
    let about = std::fs::read_to_string(folder.path().join("shapes/README.txt")).unwrap();
    assert!(
        about.contains("not real data") && about.contains(lines[start].trim_start_matches("sgas data synth shapes"))
    );
}

/// Points with normals, drawn from meshes, from search to prediction; the network keeps to what it was trained on.
#[test]
fn features_of_points_go_from_search_to_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, "data synth meshes --format off,obj --train 40 --test 20");
    let common = "--data meshes --threads 1 --device cpu --set data.points=48 --set model.channels=4 \
                  --set point.embedding=16 --set data.features=[\"normals\"]";
    run(folder, &format!("search --config smoke/search-points --out search {common} --set search.batch=8"));
    run(folder, &format!("train --genotype search --config smoke/train-points --out run {common} --batch 8"));
    let weights = sgas::checkpoint::Checkpoint::load(&folder.join("run/weights-last.safetensors")).unwrap().tensors;
    let stem = weights.iter().find(|(name, value)| name.starts_with("stem.") && value.dim() >= 2).unwrap();
    assert_eq!(stem.1.size()[1], 6, "{}", stem.0);
    let eval = "eval --run run --data meshes --threads 1 --device cpu --json";
    assert_eq!(run_json(folder, eval)["samples"], 20);
    let input = "predict --run run --input meshes --threads 1 --device cpu --json";
    let predicted = run(folder, input);
    assert!(predicted.contains("probabilit"), "{predicted}");
    let other = sgas(folder).args(eval.split(' ')).args(["--set", "data.features=[]"]).assert().code(2);
    let told = "data.features: expected the 6 numbers per point that the network was trained on, found 3";
    other.stdout("").stderr(contains(told).and(contains("hint: give data.features as in training")));
}

#[test]
fn synthetic_files_are_those_of_the_built_in_set_and_never_overwrite() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, "data synth new/shapes --train 20 --test 10 --layout flat");
    let flat = run_json(folder, "data info new/shapes --json");
    assert_eq!((&flat["layout"], &flat["test_part"]), (&json!("<class>/FILE"), &json!("split by test.txt")));
    let set = "--set data.synthetic.train=20 --set data.synthetic.test=10";
    let built_in = run_json(folder, &format!("data info synthetic --json {set}"));
    let corners = |info: &Value| -> Vec<f64> {
        let range = &info["range"];
        let corner = |end: &str| range[end].as_array().unwrap().clone();
        [corner("min"), corner("max")].concat().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    for (file, own) in corners(&flat).iter().zip(corners(&built_in)) {
        assert_eq!(*file, f64::from(own as f32));
    }
    let before = entries(&folder.join("new"));
    let again = sgas(folder).args(["data", "synth", "new/shapes", "--train", "20"]).assert().code(2);
    again.stdout("").stderr(contains("new/shapes holds something already").and(contains("hint: ")));
    assert_eq!(entries(&folder.join("new")), before);
    for (arguments, expected) in [("--train 9", "--train"), ("--format ply,stl", "'stl'"), ("--layout tree", "'tree'")]
    {
        let words = ["data", "synth", "other"].into_iter().chain(arguments.split(' '));
        sgas(folder).args(words).assert().code(2).stderr(contains(expected));
    }
    assert!(!folder.join("other").exists());
}

/// A square of two triangles, the corners in this order.
fn off(corners: [usize; 3]) -> String {
    let [a, b, c] = corners;
    format!("OFF\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 {a} {b} {c}\n3 {a} {a} {a}\n")
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// `points` distinct points with a column `heat`.
fn table(points: usize, scale: f64) -> String {
    let row = |i: usize| format!("{},{},{},{}\n", scale * i as f64, scale * (i * i % 7) as f64, 0.0, i % 3);
    String::from("x,y,z,heat\n") + &(0..points).map(row).collect::<String>()
}

#[test]
fn info_tells_every_file_that_a_run_would_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let shapes = folder.path().join("shapes");
    for class in ["ant", "bee"] {
        for part in ["train", "test"] {
            write(&shapes, &format!("{class}/{part}/good.csv"), &table(30, 1.0));
        }
    }
    let bad = [
        ("ant/train/cut.off", "OFF\n4 2 0\n0 0 0\n1 0 0\n".to_owned(), "cut.off"),
        ("ant/train/vertex.off", off([0, 1, 4]), "expected faces of the 4 vertices"),
        ("ant/test/area.off", off([0, 1, 1]), "expected faces with some area"),
        (
            "bee/train/nan.csv",
            table(10, 1.0) + &"nan,0,0,0\n".repeat(20),
            "point 10: expected finite numbers, found NaN",
        ),
        ("bee/train/one.csv", "x,y,z,heat\n1,2,3,0\n1,2,3,0\n".to_owned(), "points that all coincide"),
        ("bee/test/empty.csv", String::new(), "empty.csv"),
    ];
    for (name, text, _) in &bad {
        write(&shapes, name, text);
    }
    write(&shapes, "bee/train/few.csv", &table(20, 1e-4));
    write(&shapes, "bee/train/README.txt", "not a shape");
    let assert = sgas(folder.path()).args(["data", "info", "shapes"]).assert().code(2);
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    let error = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(error.contains("error: 6 of 11 shapes can't be used\nhint: ") && error.contains("--skip-bad"), "{error}");
    for (name, _, problem) in &bad {
        let told = |line: &str| line.starts_with("problem: ") && line.contains(name) && line.contains(problem);
        assert!(text.lines().any(told), "{name}: {problem} is not in {text}");
    }
    let hint = "hint: the file is damaged, or counts its vertices otherwise\n";
    assert!(text.contains(&format!("found a face with vertex 4\n{hint}")) && text.matches(hint).count() == 1, "{text}");
    let notes = "note: 1 clouds (the smallest, ";
    assert!(text.contains(notes) && text.contains("few.csv, 20) have fewer than 27 points"), "{text}");
    assert!(text.contains("more than 1000 times as large"), "{text}");
    let row = text.lines().find(|line| line.starts_with("bee ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["bee", "2", "1", "3"], "{text}");
    let told = [
        "columns:    x, y, z, heat\n",
        "data.features can name heat\n",
        "clouds:     5; points each: 20 to 30, median 30",
    ];
    told.iter().for_each(|told| assert!(text.contains(told), "{told} is not in {text}"));
    std::fs::remove_file(shapes.join("ant/test/good.csv")).unwrap();
    let error = sgas(folder.path()).args(["data", "info", "shapes", "--json"]).assert().code(2);
    error.stderr(contains("and without them").and(contains("test split of class ant")));
}

#[test]
fn shapes_with_a_folder_each_are_read_with_the_table_of_their_parts() {
    let folder = tempfile::tempdir().unwrap();
    for (class, shapes) in [("02691156", ["10aa", "11bb", "12cc"]), ("03001627", ["20aa", "21bb", "22cc"])] {
        for shape in shapes {
            let models = format!("core/{class}/{shape}/models");
            write(folder.path(), &format!("{models}/model_normalized.off"), &off([0, 1, 2]));
            write(folder.path(), &format!("{models}/model_normalized.json"), "{}");
        }
    }
    let info = run_json(folder.path(), "data info core --json");
    assert_eq!(info["layout"], "<class>/<shape>/FILE");
    let rows = ["10aa,train", "11bb,val", "12cc,test", "20aa,train", "21bb,val", "22cc,test"];
    let rows: Vec<String> = rows.iter().enumerate().map(|(row, rest)| format!("{row},x,{rest}")).collect();
    write(folder.path(), "core/all.csv", &format!("id,synsetId,modelId,split\n{}\n", rows.join("\n")));
    let info = run_json(folder.path(), "data info core --json");
    let class = json!({ "class": "02691156", "train": 1, "validation": 1, "test": 1, "bad": 0 });
    assert_eq!(info["classes"][0], class, "{info}");
    assert!(info.to_string().contains("split by all.csv"), "{info}");
    let taxonomy =
        r#"[{"synsetId": "02691156", "name": "airplane,aeroplane"}, {"synsetId": "03001627", "name": "chair"}]"#;
    write(folder.path(), "core/taxonomy.json", taxonomy);
    let classes = &run_json(folder.path(), "data info core --json")["classes"];
    assert_eq!((&classes[0]["class"], &classes[1]["class"]), (&json!("airplane"), &json!("chair")));
}

/// A folder of a shape with several files: the model is taken where it can be told from the others, else the folder alone
/// is refused, and its files are named.
#[test]
fn of_several_files_in_a_shapes_folder_the_model_is_taken_or_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (shape, part) in [("s1", "train"), ("s2", "train"), ("s3", "test"), ("s4", "test")] {
        for class in ["cup", "jar"] {
            write(folder.path(), &format!("{part}/{class}/{shape}/model.off"), &off([0, 1, 2]));
            write(folder.path(), &format!("{part}/{class}/{shape}/remesh.obj"), "v 0 0 0\n");
            write(folder.path(), &format!("{part}/{class}/{shape}/points.csv"), "0.5\n");
        }
    }
    let info = run_json(folder.path(), "data info . --json");
    assert_eq!((&info["meshes"], &info["problems"], &info["files"]), (&json!(8), &json!([]), &json!({ "off": 8 })));
    write(folder.path(), "train/jar/s2/model.ply", "ply\n");
    let failed = sgas(folder.path()).args(["data", "info", "."]).assert().code(2);
    let text = String::from_utf8(failed.get_output().stdout.clone()).unwrap();
    let expected = "train/jar/s2: expected one file, as the folder is one shape's, or one called model_normalized, model, \
                    pointcloud, found model.off, model.ply, points.csv, remesh.obj\n";
    assert!(text.contains(expected), "{text}");
    failed.stderr(contains("error: 1 of 8 shapes can't be used"));
    // A set of such folders alone is a set of shapes too.
    for (class, shape) in [("cup", "s1"), ("cup", "s2"), ("jar", "s1"), ("jar", "s2")] {
        write(folder.path(), &format!("odd/{class}/{shape}/a.off"), &off([0, 1, 2]));
        write(folder.path(), &format!("odd/{class}/{shape}/b.off"), &off([0, 1, 2]));
    }
    let failed = sgas(folder.path()).args(["data", "info", "odd"]).assert().code(2);
    failed.stdout(contains("odd/cup/s1: expected one file").and(contains("found a.off, b.off")));
}

#[test]
fn princetons_folders_are_found_and_read_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    for (part, file) in [("train", "chair_0001"), ("test", "chair_0890")] {
        write(folder.path(), &format!("ModelNet40/chair/{part}/{file}.off"), &off([0, 1, 2]).replace("OFF\n", "OFF"));
    }
    write(folder.path(), "ModelNet40/README.txt", "ModelNet40");
    write(folder.path(), "ModelNet40/chair/.DS_Store", "x");
    let found = find(&sgas::data::points::MODELNET40, folder.path().to_str()).unwrap();
    assert_eq!(found, Source::Folder(folder.path().canonicalize().unwrap().join("ModelNet40")));
    let info = run_json(folder.path(), "data info ModelNet40 --json");
    assert_eq!(info["classes"], json!([{ "class": "chair", "train": 1, "test": 1, "bad": 0 }]));
}

#[test]
fn many_problems_are_counted_and_all_told_as_json() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["ant", "bee"] {
        for i in 0..15 {
            write(folder.path(), &format!("shapes/{class}/{i}.off"), &off([0, 1, if i < 12 { 9 } else { 2 }]));
        }
    }
    let info = |more: &[&str]| {
        let assert = sgas(folder.path()).args(["data", "info", "shapes"]).args(more).assert().code(2);
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let text = info(&[]);
    assert_eq!(text.matches("\nproblem: ").count(), 20);
    assert!(text.ends_with("and 4 more problems: --json has them all\n"), "{text}");
    assert!(text.contains("test part:  test_share 0.2 of every class, split_seed 0"), "{text}");
    let json: Value = serde_json::from_str(&info(&["--json", "--set", "data.test_share=0.4"])).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 24);
    assert_eq!(json["test_part"], "test_share 0.4 of every class, split_seed 0");
    assert_eq!(json["features"], json!(["normals"]), "meshes have those of their faces");
}

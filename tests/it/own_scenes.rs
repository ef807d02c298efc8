//! Labelled clouds as users have them: formats, names of classes, what `sgas data` tells and writes, what is refused,
//! and the way from files to a class for every point of new ones.

use crate::cli::{refused, run, run_json, sgas};
use crate::data::write;
use crate::graphs::npy;
use crate::readme;
use serde_json::{Value, json};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

#[test]
fn the_folder_of_the_readme_is_read_as_it_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let files = readme::example("classes.txt");
    assert!(files.len() >= 4, "{files:?}");
    files.iter().for_each(|(name, text)| write(folder.path().join("own").join(name), text.as_bytes()));
    let info = run_json(folder.path(), "data info own --json");
    assert_eq!(
        (&info["kind"], &info["problems"], &info["layout"]),
        (&json!("scenes"), &json!([]), &json!("labelled clouds"))
    );
    let counts = |class: usize| {
        [&info["classes"][class]["class"], &info["classes"][class]["train"], &info["classes"][class]["test"]]
    };
    assert_eq!(counts(0), [&json!("desk"), &json!(5), &json!(3)]);
    assert_eq!(counts(1), [&json!("cup"), &json!(2), &json!(1)]);
    assert_eq!((&info["unlabelled"], &info["features"]), (&json!(1), &json!(["room"])), "test has no colours");
    assert_eq!(info["splits"], json!({ "test": 1, "train": 2 }));
}

#[test]
fn lists_and_tables_beside_other_kinds_are_no_labelled_clouds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for class in ["ant", "bee"] {
        (0..2).for_each(|number| write(path.join(format!("shapes/{class}/{class}{number}.xyz")), rows(" ").as_bytes()));
    }
    write(path.join("shapes/val.txt"), b"ant0\nbee0\n");
    write(path.join("graph/edges.csv"), b"0,1\n1,2\n2,3\n3,0\n");
    write(path.join("graph/features.csv"), b"1\n2\n3\n4\n");
    write(path.join("graph/labels.csv"), b"0\n1\n0\n1\n");
    for (name, kind, more) in [("shapes", "shapes", "--set data.test_list=val.txt"), ("graph", "graphs", "")] {
        let arguments = format!("data info {name} --json {more}");
        let assert = sgas(path).args(arguments.split_whitespace()).assert().success().stderr("");
        let info: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
        assert_eq!(info["kind"], kind);
    }
}

/// Points of a cloud with a label each, multiples of a half, so that every format holds them exactly.
const CLOUD: [[f32; 4]; 6] = [
    [0.0, 0.5, 1.0, 0.0],
    [1.5, 0.0, 0.0, 2.0],
    [2.0, 2.0, 0.5, 1.0],
    [0.5, 3.0, 1.0, 1.0],
    [3.0, 1.0, 0.0, 2.0],
    [1.0, 1.0, 2.0, 0.0],
];

fn rows(separator: &str) -> String {
    CLOUD.map(|row| row.map(|value| value.to_string()).join(separator) + "\n").concat()
}

fn npz() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let positions: Vec<u8> = CLOUD.iter().flat_map(|row| &row[..3]).flat_map(|value| value.to_le_bytes()).collect();
    let labels: Vec<u8> = CLOUD.iter().flat_map(|row| (row[3] as i32).to_le_bytes()).collect();
    for (name, bytes) in [("pos", npy("<f4", 6, Some(3), &positions)), ("label", npy("<i4", 6, None, &labels))] {
        archive.start_file(format!("{name}.npy"), zip::write::FileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn labels_are_the_same_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let header = "ply\nformat ascii 1.0\nelement vertex 6\nproperty float x\nproperty float y\nproperty float z\n";
    let pcd = "VERSION 0.7\nFIELDS x y z label\nSIZE 4 4 4 4\nTYPE F F F U\nCOUNT 1 1 1 1\nWIDTH 6\nHEIGHT 1\n\
               VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 6\nDATA ascii\n";
    let values: Vec<u8> = CLOUD.as_flattened().iter().flat_map(|value| value.to_le_bytes()).collect();
    let files: [(&str, Vec<u8>, &str); 9] = [
        ("csv", format!("x,y,z,Class\n{}", rows(",")).into_bytes(), ""),
        ("ply", format!("{header}property uchar label\nend_header\n{}", rows(" ")).into_bytes(), ""),
        (
            "cloudcompare/ply",
            format!("{header}property float scalar_Label\nend_header\n{}", rows(" ")).into_bytes(),
            "",
        ),
        ("pcd", format!("{pcd}{}", rows(" ")).into_bytes(), ""),
        ("npz", npz(), ""),
        ("asc", format!("//X Y Z Label\n{}", rows(" ")).into_bytes(), ""),
        ("npy", npy("<f4", 6, Some(4), &values), "--set data.scenes.label=last"),
        ("txt", rows(" ").into_bytes(), "--set data.scenes.label=3"),
        (
            "kind/csv",
            format!("kind,x,y,z,w\n{}", CLOUD.map(|[x, y, z, label]| format!("{label},{x},{y},{z},9\n")).concat())
                .into_bytes(),
            "--set data.scenes.label=Kind",
        ),
    ];
    let mut told: Option<Value> = None;
    for (name, bytes, more) in files {
        let extension = name.rsplit('/').next().unwrap();
        ["train/a", "train/b", "test/c"]
            .iter()
            .for_each(|file| write(folder.path().join(name).join(file).with_extension(extension), &bytes));
        let info = run_json(folder.path(), &format!("data info {name} --kind scenes --json {more}"));
        let counts = json!([info["classes"], info["points"], info["splits"], info["unlabelled"]]);
        assert_eq!(info["classes"][1], json!({ "class": "class 1", "train": 4, "test": 2, "bad": 0 }), "{name}");
        assert_eq!(told.get_or_insert(counts.clone()), &counts, "{name}");
    }
}

#[test]
fn clouds_in_one_folder_are_divided_by_lists_or_a_share_and_cut_into_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("x,y,z,label\n{}", rows(","));
    (0..5).for_each(|number| write(folder.path().join(format!("own/{number}.csv")), text.as_bytes()));
    write(folder.path().join("own/classes.txt"), b"floor\nwall\ndoor\nroof\n");
    let info = run_json(folder.path(), "data info own --json");
    assert_eq!(
        (&info["splits"], &info["test_part"]),
        (&json!({ "test": 1, "train": 4 }), &json!("test_share 0.2 of all, split_seed 0"))
    );
    assert!(info["notes"][0].as_str().unwrap().starts_with("1 classes, such as roof, have no train point"), "{info}");
    write(folder.path().join("own/test.txt"), b"3.csv\n0\n");
    let info = run_json(folder.path(), "data info own --json --set data.scenes.block=2");
    assert_eq!(
        (&info["splits"], &info["test_part"]),
        (&json!({ "test": 8, "train": 12 }), &json!("split by test.txt"))
    );
    assert_eq!((&info["items"], &info["clouds"], &info["all_points"]), (&json!(5), &json!(20), &json!(30)));
    write(folder.path().join("own/test.txt"), b"9.csv\n");
    refused(folder.path(), "data info own", &["test.txt, line 1: expected a file of this folder, found '9.csv'"]);
    write(folder.path().join("own/test.txt"), b"0.csv\n1.csv\n2.csv\n3.csv\n4.csv\n");
    refused(folder.path(), "data info own", &["own: train split: expected at least one labelled cloud"]);
}

/// Labels that are names, in texts and in arrays: classes in the order of the alphabet, or of `classes.txt`.
#[test]
fn a_label_that_usually_means_no_class_is_pointed_out() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        write(
            folder.path().join("set").join(part).join("a.txt"),
            b"x y z label\n0 0 1 0\n1 2 0 1\n2 0 0 255\n3 1 1 255\n",
        );
    }
    let note = "label 255 is a class of its own: if it means none, set data.scenes.unlabelled = 255";
    assert!(run(folder.path(), "data info set").contains(note));
    let info = run_json(folder.path(), "data info set --json --set data.scenes.unlabelled=255");
    assert_eq!((info["classes"].as_array().unwrap().len(), &info["unlabelled"]), (2, &json!(4)));
}

#[test]
fn names_are_labels_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let named = |names: [&str; 3], separator: &str| -> String {
        let row =
            |[x, y, z, label]: [f32; 4]| [x.to_string(), y.to_string(), z.to_string(), names[label as usize].into()];
        CLOUD.into_iter().map(|point| row(point).join(separator) + "\n").collect()
    };
    let names = ["wall", "door", "chair, red"];
    let texts: Vec<u8> =
        CLOUD.iter().flat_map(|point| format!("{:\0<10}", names[point[3] as usize]).into_bytes()).collect();
    let points: Vec<u8> =
        CLOUD.iter().flat_map(|[x, y, z, _]| [x, y, z].map(|value| value.to_le_bytes()).concat()).collect();
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("coord", npy("<f4", 6, Some(3), &points)), ("segment", npy("|S10", 6, None, &texts))] {
        archive.start_file(format!("{name}.npy"), zip::write::FileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    write(path.join("own/train/a.csv"), format!("x;y;z;Label\n{}", named(names, ";")).as_bytes());
    write(path.join("own/train/b.xyz"), named(["wall", "door", "wall"], " ").as_bytes());
    write(path.join("own/test/c.npz"), &archive.finish().unwrap().into_inner());
    let info = run_json(path, "data info own --kind scenes --json --set data.scenes.label=last");
    assert_eq!(info["problems"].as_array().unwrap().len(), 0, "{info}");
    let count = |class: usize| {
        [&info["classes"][class]["class"], &info["classes"][class]["train"], &info["classes"][class]["test"]]
    };
    assert_eq!(count(0), [&json!("chair, red"), &json!(2), &json!(2)]);
    assert_eq!(count(1), [&json!("door"), &json!(4), &json!(2)]);
    assert_eq!(count(2), [&json!("wall"), &json!(6), &json!(2)]);
    write(path.join("own/classes.txt"), b"wall\ndoor\nchair, red\n");
    let info = run_json(path, "data info own --kind scenes --json --set data.scenes.label=last");
    assert_eq!((&info["classes"][0]["class"], &info["classes"][0]["train"]), (&json!("wall"), &json!(6)));
    write(path.join("own/classes.txt"), b"wall\ndoor\n");
    refused(
        path,
        "data info own --kind scenes --set data.scenes.label=last",
        &["2 of 3 labelled clouds can't be used"],
    );
    std::fs::remove_file(path.join("own/classes.txt")).unwrap();
    write(path.join("own/train/b.xyz"), rows(" ").as_bytes());
    let out = refused(path, "data info own --kind scenes --set data.scenes.label=last", &["1 of 3 labelled clouds"]);
    assert!(out.contains("b.xyz, point 0: 3: expected a label of the 3 classes in "), "{out}");
}

#[test]
fn what_a_run_would_refuse_is_told_and_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let csv = |name: &str, text: &str| write(path.join("own").join(name), text.as_bytes());
    for name in ["train/a.csv", "train/b.csv", "test/c.csv"] {
        csv(name, &format!("x,y,z,label\n{}", rows(",")));
    }
    csv("train/bad.csv", "x,y,z,label\n0,0,0,1\n1,1,1,7\n");
    csv("train/cut.csv", "x,y,z,label\n0,0,0\n");
    csv("test/none.csv", "x,y,z\n0,0,0\n");
    csv("classes.txt", "0 floor\n1 wall\n2 door\n");
    let out = refused(path, "data info own", &["3 of 6 labelled clouds can't be used", "--skip-bad"]);
    let out = out.replace(&format!("{}/", path.canonicalize().unwrap().display()), "");
    for told in [
        "problem: own/train/bad.csv, point 1: label: expected a label of the 3 classes in own/classes.txt, found 7\n",
        "problem: own/train/cut.csv, line 2: expected 4 values",
        "problem: own/test/none.csv: expected a column label (or class), found x, y, z\n",
    ] {
        assert!(out.contains(told), "{told} is not in {out}");
    }
    let train = "train --task segmentation --config smoke/train-segmentation --data own --device cpu --set train.epochs=1 \
                 --set data.points=32 --out run";
    refused(path, train, &["bad.csv, point 1", "2 more files are bad"]);
    assert!(!path.join("run").exists());
    let told = run(path, &format!("{train} --skip-bad"));
    assert!(told.contains("run folder: run"), "{told}");
    let about = std::fs::read_to_string(path.join("run/run.json")).unwrap();
    assert!(about.contains("3 bad clouds skipped") && about.contains("\"door\""), "{about}");
    std::fs::remove_dir_all(path.join("run")).unwrap();
    for (arguments, words) in [
        ("data.scenes.area=7", &["data.scenes.area: expected an area of S3DIS, 1 to 6, found 7"][..]),
        ("data.scenes.block=-1", &["data.scenes.block: expected a side above 0", "found -1"]),
        ("data.scenes.label=9", &["expected a column 9, as data.scenes.label says"]),
        ("data.scenes.lable=9", &["lable"]),
    ] {
        refused(path, &format!("{train} --set {arguments}"), words);
    }
    std::fs::remove_dir_all(path.join("own/test")).unwrap();
    refused(
        path,
        "data info own --kind scenes",
        &["own: test split: expected at least one labelled cloud, found none"],
    );
}

#[test]
fn synthetic_rooms_are_written_in_three_formats_and_as_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let told = |name: &str, more: &str| {
        let text = run(folder.path(), &format!("data synth {name} --kind scenes --train 10 --test 10 {more}"));
        assert!(text.contains("synthetic ones") && text.contains(&format!("next: sgas data info {name}")), "{text}");
        run_json(folder.path(), &format!("data info {name} --json"))
    };
    let ply = told("ply", "");
    assert_eq!(
        (&ply["files"], &ply["clouds"], &ply["features"]),
        (&json!({ "ply": 20 }), &json!(20), &json!(["colors", "room"]))
    );
    assert_eq!((&ply["classes"][12]["class"], &ply["problems"]), (&json!("synthetic_clutter"), &json!([])));
    let mixed = told("mixed", "--format csv,pcd,ply");
    assert_eq!(mixed["files"], json!({ "csv": 8, "pcd": 6, "ply": 6 }));
    assert_eq!(mixed["classes"], ply["classes"], "the same points");
    let blocks = told("blocks", "--layout s3dis --points 128");
    assert_eq!(
        (&blocks["layout"], &blocks["files"], &blocks["channels"]),
        (&json!("S3DIS (HDF5)"), &json!({ "h5": 1 }), &json!(9))
    );
    assert_eq!((&blocks["rooms"]["areas"]["Area_5"], &blocks["all_points"]), (&json!(10), &json!(20 * 128)));
    for (arguments, words) in [
        ("--kind scenes --format off", "--format off: labelled clouds have other formats"),
        ("--kind scenes --layout s3dis --format ply", "--format ply: the layout s3dis has other formats"),
        ("--kind scenes --layout one", "--layout: labelled clouds have other layouts"),
        ("--kind scenes --multi-label", "--multi-label is for graphs, not for --kind scenes"),
        ("--layout s3dis", "--layout: shapes have other layouts"),
    ] {
        refused(folder.path(), &format!("data synth new {arguments}"), &[words, "hint: "]);
        assert!(!folder.path().join("new").exists());
    }
}

/// A PLY that `sgas predict` wrote with 32-bit positions.
struct Labelled {
    header: String,
    positions: Vec<[f32; 3]>,
    colours: Vec<[u8; 3]>,
    labels: Vec<u16>,
}

fn read_ply(path: &Path) -> Labelled {
    let bytes = std::fs::read(path).unwrap();
    let end = bytes.windows(11).position(|window| window == b"end_header\n").unwrap() + 11;
    let position = |row: &[u8]| [0, 4, 8].map(|at| f32::from_le_bytes(row[at..at + 4].try_into().unwrap()));
    let rows = bytes[end..].chunks_exact(17);
    assert!(rows.remainder().is_empty());
    Labelled {
        header: String::from_utf8(bytes[..end].to_vec()).unwrap(),
        positions: rows.clone().map(position).collect(),
        colours: rows.clone().map(|row| row[12..15].try_into().unwrap()).collect(),
        labels: rows.map(|row| u16::from_le_bytes([row[15], row[16]])).collect(),
    }
}

/// Rooms and a training on blocks of others.
fn trained(folder: &Path, size: &str) {
    run(folder, "data synth rooms --kind scenes --train 10 --test 10 --points 500 --format csv --seed 4");
    let train = "train --task s3dis --config smoke/train-s3dis --data synthetic --device cpu --threads 1 --out run";
    run(folder, &format!("{train} {size}"));
}

#[test]
fn every_point_of_a_file_is_predicted_once_and_written_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    trained(path, "--set train.epochs=2 --set data.points=64");
    let input = "rooms/test/synthetic_room_test_0001.csv";
    let told = run_json(path, &format!("predict --run run --input {input} --output one.ply --json --device cpu"));
    let Labelled { header, positions, colours, labels } = read_ply(&path.join("one.ply"));
    let text = std::fs::read_to_string(path.join(input)).unwrap();
    let stored: Vec<[f32; 3]> = text
        .lines()
        .skip(1)
        .map(|line| {
            let values: Vec<f32> = line.split(',').map(|value| value.parse().unwrap()).collect();
            [values[0], values[1], values[2]]
        })
        .collect();
    assert_eq!(positions, stored, "own coordinates in their order");
    assert!(header.contains("comment class 3 synthetic_beam 255 255 0\n"), "{header}");
    let told = &told["predictions"][0];
    assert_eq!(told["points"], json!(500));
    let names: Vec<&String> = told["shares"].as_object().unwrap().keys().collect();
    for (class, name) in names.iter().enumerate() {
        let count = labels.iter().filter(|label| usize::from(**label) == class).count();
        assert_eq!(told["shares"][*name], json!(count as f64 / 500.0), "{name}");
    }
    let ceiling: Vec<bool> = colours.iter().map(|colour| *colour == [0, 255, 0]).collect();
    assert_eq!(ceiling, labels.iter().map(|label| *label == 0).collect::<Vec<_>>());
    // Read back by our own reader, the labels are those that were told.
    for part in ["train", "test"] {
        std::fs::create_dir_all(path.join("back").join(part)).unwrap();
        std::fs::copy(path.join("one.ply"), path.join("back").join(part).join("one.ply")).unwrap();
    }
    let names: String = names.iter().map(|name| format!("{name}\n")).collect();
    write(path.join("back/classes.txt"), names.as_bytes());
    let back = run_json(path, "data info back --json");
    for (class, count) in back["classes"].as_array().unwrap().iter().enumerate() {
        let stored = labels.iter().filter(|label| usize::from(**label) == class).count();
        assert_eq!(count["test"], json!(stored), "{count}");
    }
}

#[test]
fn a_folder_of_clouds_gets_a_folder_of_predictions_that_do_not_depend_on_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    trained(path, "--set train.epochs=1 --set data.points=64");
    let text = run(path, "predict --run run --input rooms/test --output all --device cpu");
    assert!(text.contains("5000 points of 10 clouds predicted, 0 skipped") && text.contains("written: all"), "{text}");
    run(
        path,
        "predict --run run --input rooms/test/synthetic_room_test_0007.csv --output alone.ply --device cpu --batch 4",
    );
    let labels = |file: &str| read_ply(&path.join(file)).labels;
    assert_eq!(labels("alone.ply"), labels("all/synthetic_room_test_0007.ply"));
    run(path, "predict --run run --input rooms/test --output all.csv --device cpu");
    let table = std::fs::read_to_string(path.join("all.csv")).unwrap();
    assert!(table.starts_with("file,points,confidence,synthetic_ceiling,") && table.lines().count() == 11, "{table}");
    write(path.join("scans/a.ply"), b"ply\n");
    write(path.join("scans/b.xyz"), b"0 0 0\n");
    std::fs::copy(path.join("rooms/test/synthetic_room_test_0001.csv"), path.join("scans/c.csv")).unwrap();
    let predict = "predict --run run --device cpu --input";
    refused(path, &format!("{predict} scans --output new"), &["scans/a.ply", "1 more files are bad"]);
    assert!(!path.join("new").exists());
    let text = run(path, &format!("{predict} scans --output new --skip-bad"));
    assert!(text.contains("500 points of 1 clouds predicted, 2 skipped"), "{text}");
    let written: Vec<PathBuf> =
        std::fs::read_dir(path.join("new")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(written, [path.join("new/c.ply")]);
    std::fs::copy(path.join("all/synthetic_room_test_0001.ply"), path.join("scans/c.ply")).unwrap();
    for (arguments, words) in [
        ("scans --output scans", &["one of the files to predict"][..]),
        (
            "scans/c.csv scans/c.ply --output new",
            &["--output new: expected files with names of their own", "scans/c.csv and scans/c.ply"],
        ),
        ("scans --output one.ply", &["one.ply: expected a folder, for a PLY file each, found one file for 4"]),
        ("scans --output table.txt", &["a file named *.csv or *.json"]),
        ("scans --votes 3", &["only the points of shapes are drawn"]),
        ("scans/b.xyz", &["b.xyz: expected columns x, y, z, red", "found x, y, z"]),
    ] {
        refused(path, &format!("{predict} {arguments}"), words);
    }
}

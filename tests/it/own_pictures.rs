//! Folders of pictures as users have them: from the written folder to search, training, score and prediction, what
//! `sgas data` tells and writes, and what is refused.

use crate::cli::sgas;
use assert_cmd::Command;
use image::{DynamicImage, RgbImage};
use serde_json::{Value, json};
use std::path::Path;

/// A valid cell with few weights, so that a training needs no search before it.
const CELL: &str = r#"{"space": "image",
    "normal": [["skip_connect", 0], ["sep_conv_3x3", 1], ["skip_connect", 0], ["skip_connect", 1],
        ["skip_connect", 0], ["max_pool_3x3", 1], ["skip_connect", 0], ["skip_connect", 2]],
    "normal_concat": [2, 3, 4, 5],
    "reduce": [["max_pool_3x3", 0], ["skip_connect", 1], ["max_pool_3x3", 0], ["skip_connect", 2],
        ["max_pool_3x3", 0], ["skip_connect", 2], ["max_pool_3x3", 0], ["skip_connect", 2]],
    "reduce_concat": [2, 3, 4, 5]}"#;

const TRAIN: &str = "train --genotype cell.json --config smoke/train-images --out run --set train.epochs=2";

/// The program in `folder` on one thread.
fn command(folder: &Path, arguments: &str) -> Command {
    let mut sgas = sgas(folder);
    sgas.args(arguments.split_whitespace());
    if !arguments.starts_with("data ") {
        sgas.args(["--device", "cpu", "--threads", "1"]);
    }
    sgas
}

/// What a command prints that succeeds.
fn run(folder: &Path, arguments: &str) -> String {
    let assert = command(folder, arguments).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn run_json(folder: &Path, arguments: &str) -> Value {
    serde_json::from_str(&run(folder, arguments)).unwrap()
}

/// What a command prints that ends with code 2, and its one error, which mentions all `words`.
fn refused(folder: &Path, arguments: &str, words: &[&str]) -> String {
    let assert = command(folder, arguments).assert().code(2);
    let [out, text] = [&assert.get_output().stdout, &assert.get_output().stderr]
        .map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    assert!(text.matches("error: ").count() == 1 && !text.contains("panicked"), "{text}");
    for word in words {
        assert!(text.contains(word), "{arguments}: '{word}' is not in: {text}");
    }
    out
}

/// A folder with a cell and 100 training and 40 test pictures in `pictures`.
fn pictures(formats: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cell.json"), CELL).unwrap();
    let text =
        run(folder.path(), &format!("data synth pictures --kind pictures --format {formats} --train 100 --test 40"));
    assert!(text.contains("wrote 100 training and 40 test pictures, synthetic ones, into pictures"), "{text}");
    folder
}

/// A CIFAR-10 folder `cifar` of two classes, `records` of the test file; the first ones are those of training too.
fn write_cifar(folder: &Path, records: &[Vec<u8>]) {
    let cifar = folder.join("cifar");
    std::fs::create_dir(&cifar).unwrap();
    for number in 1..=5 {
        std::fs::write(cifar.join(format!("data_batch_{number}.bin")), records[..8].concat()).unwrap();
    }
    std::fs::write(cifar.join("test_batch.bin"), records.concat()).unwrap();
    std::fs::write(cifar.join("batches.meta.txt"), "ant\nbee\n").unwrap();
}

/// A record that no other equals: class 0 is dark, class 1 bright.
fn record(number: usize) -> Vec<u8> {
    let class = number % 2;
    let value = |index: usize| ((index * (number + 3) + index / 7) % 97 + class * 120) as u8;
    std::iter::once(class as u8).chain((0..3 * 1024).map(value)).collect()
}

/// The picture of a record, as three bytes per pixel.
fn picture(record: &[u8]) -> RgbImage {
    let bytes = (0..1024).flat_map(|pixel| [0, 1, 2].map(|plane| record[1 + plane * 1024 + pixel])).collect();
    RgbImage::from_raw(32, 32, bytes).unwrap()
}

#[test]
fn a_written_folder_goes_through_search_training_evaluation_and_prediction() {
    let folder = pictures("png,jpg,webp");
    let path = folder.path();
    let about = std::fs::read_to_string(path.join("pictures/README.txt")).unwrap();
    assert!(about.contains("not real data") && about.contains("--kind pictures --format png,jpg,webp"), "{about}");
    let info = run_json(path, "data info pictures --json");
    assert_eq!((&info["kind"], &info["layout"]), (&json!("pictures"), &json!("{train,val}/<class>/FILE")));
    assert_eq!(
        (&info["colours"], &info["width"]),
        (&json!({ "RGB": 140 }), &json!({ "min": 32, "median": 32, "max": 32 }))
    );
    run(
        path,
        "search --config smoke/search-images --data pictures --save found.json --set search.epochs=1 \
               --set decision.warmup=0 --set search.strategy=darts --set model.channels=4",
    );
    run(path, &format!("{TRAIN} --data pictures"));
    let evaluated = run_json(path, "eval --run run --json");
    let next = run(path, "eval --run run");
    assert!(next.contains("\nnew pictures:        sgas predict --run run --input DIR\n"), "{next}");
    let predicted = run_json(path, "predict --run run --input pictures/val --json --output p.csv");
    assert_eq!((&predicted["pictures"], &predicted["skipped"]), (&json!(40), &json!(0)));
    assert_eq!((&predicted["size"], &predicted["augmentation"]), (&json!(16), &json!("crop_flip")));
    assert!(predicted["points"].is_null() && predicted["votes"].is_null() && predicted["mean"].is_array());
    assert_eq!(right(&predicted) as f64 / 40.0, evaluated["overall_accuracy"].as_f64().unwrap());
    assert_eq!(std::fs::read_to_string(path.join("p.csv")).unwrap().lines().count(), 41);
    let table = run(path, "predict --run run --input pictures/val/synthetic_disc --top 2");
    assert!(table.contains("4 pictures predicted, 0 skipped\n"), "{table}");
    assert!(table.lines().filter(|line| line.matches('%').count() == 2).count() == 4, "{table}");
}

/// Predictions that name the folder that the file lies in.
fn right(report: &Value) -> usize {
    let predictions = report["predictions"].as_array().unwrap();
    let of_class = |one: &&Value| {
        let file = Path::new(one["file"].as_str().unwrap());
        file.parent().unwrap().file_name().unwrap().to_str() == one["class"].as_str()
    };
    predictions.iter().filter(of_class).count()
}

#[test]
fn a_cifar_picture_written_as_png_is_predicted_as_its_record_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("cell.json"), CELL).unwrap();
    let records: Vec<Vec<u8>> = (0..20).map(record).collect();
    write_cifar(path, &records);
    run(path, &format!("{TRAIN} --data cifar --batch 8"));
    let evaluated = run_json(path, "eval --run run --json");
    for (number, record) in records.iter().enumerate() {
        let class = path.join("new").join(["ant", "bee"][number % 2]);
        std::fs::create_dir_all(&class).unwrap();
        picture(record).save(class.join(format!("{number:02}.png"))).unwrap();
    }
    let report = run_json(path, "predict --run run --input new --json");
    assert_eq!(right(&report) as f64 / 20.0, evaluated["overall_accuracy"].as_f64().unwrap());
    let [ant, bee] = ["ant", "bee"].map(|class| {
        let report = run_json(path, &format!("predict --run run --input new/{class} --json"));
        let predictions = report["predictions"].as_array().unwrap().clone();
        ["ant", "bee"].map(|other| predictions.iter().filter(|one| one["class"] == other).count())
    });
    assert_eq!(evaluated["confusion"], json!([ant, bee]));
}

#[test]
fn pictures_that_will_not_do_end_a_prediction_or_are_skipped() {
    let folder = pictures("png");
    let path = folder.path();
    run(path, &format!("{TRAIN} --data pictures --set train.epochs=1"));
    std::fs::create_dir(path.join("new")).unwrap();
    std::fs::copy(path.join("pictures/val/synthetic_disc/0011.png"), path.join("new/b.png")).unwrap();
    let whole = std::fs::read(path.join("new/b.png")).unwrap();
    std::fs::write(path.join("new/a.png"), "text").unwrap();
    std::fs::write(path.join("new/c.png"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(path.join("chair.off"), "OFF\n").unwrap();
    std::fs::create_dir(path.join("shapes")).unwrap();
    std::fs::copy(path.join("chair.off"), path.join("shapes/chair.off")).unwrap();
    let predict = "predict --run run --output p.csv --input";
    let cases: [(&str, &[&str]); 5] = [
        (
            "new",
            &["new/a.png: expected a JPEG, PNG, WebP, BMP, TIFF or GIF picture", "1 more files are bad", "--skip-bad"],
        ),
        ("new/c.png", &["new/c.png: expected a JPEG, PNG, WebP, BMP, TIFF or GIF picture"]),
        (
            "chair.off",
            &[
                "chair.off: expected a picture (.jpg .jpeg .png .webp .bmp .tif .tiff .gif), found a shape",
                "trained on pictures",
            ],
        ),
        ("shapes", &["shapes: expected files of a known format", "found shapes alone", ".webp"]),
        ("new/b.png --votes 2", &["--votes 2: only the points of shapes are drawn"]),
    ];
    for (arguments, words) in cases {
        assert_eq!(refused(path, &format!("{predict} {arguments}"), words), "");
        assert!(!path.join("p.csv").exists());
    }
    let report = run_json(path, "predict --run run --input new chair.off --skip-bad --json");
    assert_eq!((&report["pictures"], &report["skipped"]), (&json!(4), &json!(3)));
    let alone = run_json(path, "predict --run run --input new/b.png --json");
    assert_eq!(report["predictions"][1], alone["predictions"][0], "the good one among the bad");
    assert!(report["predictions"][2]["error"].as_str().unwrap().starts_with("new/c.png: "), "{report}");
}

#[test]
fn info_tells_sizes_colours_and_every_picture_that_a_run_would_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let save = |name: &str, picture: DynamicImage| {
        std::fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
        picture.save(path.join(name)).unwrap();
    };
    let colours = || DynamicImage::from(picture(&record(4)));
    for class in ["ant", "bee"] {
        save(&format!("set/train/{class}/0.png"), colours());
        save(&format!("set/val/{class}/0.jpg"), colours());
    }
    save("set/train/ant/grey.png", colours().to_luma8().into());
    save("set/train/ant/deep.png", colours().to_rgba16().into());
    save("set/train/bee/wide.webp", colours().resize_exact(60, 20, image::imageops::FilterType::Nearest));
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures/cmyk.jpg");
    std::fs::copy(fixture, path.join("set/val/bee/inks.jpg")).unwrap();
    let text = run(path, "data info set");
    for line in [
        "layout:     {train,val}/<class>/FILE\n",
        "test part:  folders train (learned) and val (scored)\n",
        "files:      3 .jpg, 4 .png, 1 .webp\n",
        "pictures:   8\n",
        "colours:    1 16-bit RGB with alpha, 1 CMYK, 5 RGB, 1 grey\n",
        "note: 2 pictures (the smallest, ",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(text.contains("width:      24 to 60, median 32\n"), "{text}");
    std::fs::write(path.join("set/train/ant/text.png"), "no picture").unwrap();
    let whole = std::fs::read(path.join("set/train/bee/0.png")).unwrap();
    std::fs::write(path.join("set/val/bee/cut.png"), &whole[..whole.len() / 2]).unwrap();
    let text = refused(path, "data info set", &["error: 2 of 10 pictures can't be used", "--skip-bad"]);
    for name in ["text.png", "cut.png"] {
        assert!(text.lines().any(|line| line.starts_with("problem: ") && line.contains(name)), "{text}");
    }
    let row = text.lines().find(|line| line.starts_with("bee ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["bee", "2", "2", "1"], "{text}");
    refused(
        path,
        "data info nowhere",
        &["nowhere (not there)", "{train,val}/<class>/FILE", "{train,test}/<class>/FILE"],
    );
    assert_eq!(run_json(path, "data info synthetic --kind pictures --json")["height"]["max"], 32);
}

#[test]
fn info_tells_the_records_of_cifar() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_cifar(path, &(0..20).map(record).collect::<Vec<_>>());
    let info = run_json(path, "data info cifar --json");
    let classes = json!([{ "class": "ant", "train": 20, "test": 10, "bad": 0 },
        { "class": "bee", "train": 20, "test": 10, "bad": 0 }]);
    assert_eq!((&info["layout"], &info["classes"], &info["files"]), (&json!("CIFAR"), &classes, &json!({ "bin": 6 })));
    let file = path.join("cifar/data_batch_2.bin");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[3073] = 2;
    std::fs::write(&file, &bytes).unwrap();
    std::fs::write(path.join("cifar/data_batch_3.bin"), &bytes[..5000]).unwrap();
    let text = refused(path, "data info cifar", &["2 of 53 pictures can't be used", "archive"]);
    for problem in ["data_batch_2.bin: record 1: expected a label from 0 to 1, found 2", "data_batch_3.bin: expected"] {
        assert!(text.contains(problem), "{text}");
    }
}

#[test]
fn synthetic_pictures_take_no_options_of_shapes() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        ("--kind pictures --format png,ply", "--format ply: pictures have other formats"),
        ("--format png", "--format png: shapes have other formats"),
        ("--kind pictures --points 9", "--points is for shapes"),
        (
            "--kind pictures --layout flat",
            "--layout is for shapes, graphs and labelled clouds, not for --kind pictures",
        ),
    ] {
        refused(folder.path(), &format!("data synth new {arguments}"), &[words, "hint: "]);
        assert!(!folder.path().join("new").exists());
    }
}

#[test]
fn bad_sets_of_pictures_and_cells_are_named_and_leave_no_run() {
    let folder = pictures("png");
    let path = folder.path();
    let search = "search --config smoke/search-images --out run --data pictures";
    let refuses = |words: &[&str]| {
        for arguments in [search, &format!("{TRAIN} --data pictures")] {
            assert_eq!(refused(path, arguments, words), "");
            assert!(!path.join("run").exists(), "{arguments}");
        }
    };
    std::fs::write(path.join("pictures/train/synthetic_disc/0000.png"), "no picture").unwrap();
    refuses(&["train/synthetic_disc/0000.png: expected a JPEG, PNG, WebP, BMP, TIFF or GIF picture", "--skip-bad"]);
    std::fs::remove_file(path.join("pictures/train/synthetic_disc/0000.png")).unwrap();
    std::fs::create_dir(path.join("pictures/train/more")).unwrap();
    refuses(&["pictures: expected the same classes in train and val, found more only in train"]);
    std::fs::create_dir(path.join("pictures/val/more")).unwrap();
    refuses(&[
        "train/more: expected pictures (.jpg .jpeg .png .webp .bmp .tif .tiff .gif), found none",
        "remove its folder",
    ]);

    write_cifar(path, &(0..20).map(record).collect::<Vec<_>>());
    let cifar = format!("{TRAIN} --data cifar --batch 8");
    let file = path.join("cifar/data_batch_2.bin");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, &good[..5000]).unwrap();
    refused(path, &cifar, &["data_batch_2.bin: expected records of 3073 bytes", "the file was cut"]);
    let mut bytes = good.clone();
    bytes[3073] = 9;
    std::fs::write(&file, bytes).unwrap();
    refused(path, &cifar, &["data_batch_2.bin: record 1: expected a label from 0 to 1, found 9", "damaged"]);
    std::fs::write(&file, good).unwrap();
    let normal_alone = CELL.split("\"reduce\"").next().unwrap().trim_end().trim_end_matches(',').to_owned() + "}";
    std::fs::write(path.join("cell.json"), normal_alone).unwrap();
    refused(path, &cifar, &["cell.json", "reduce"]);
    assert!(!path.join("run").exists());
}

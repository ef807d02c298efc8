//! Labelled clouds from files in every layout: what is read, how it is divided, and what is refused.

use crate::data::{NEEDS, assert_mentions, hdf5, load_set, write};
use hdf5_writer::DatasetBuilder;
use sgas::batch::Batch;
use sgas::data::{
    Access, DataConfig, Dataset, LoadNeeds, PointOrder, Samples, SceneDataConfig, SetName, Source, scenes,
};
use sgas::error::{Error, Result};
use sgas::tensor::random::{Key, Purpose};
use std::path::{Path, PathBuf};

/// Points per block of these tests.
const POINTS: usize = 8;

fn config() -> DataConfig {
    DataConfig { points: POINTS, ..DataConfig::default() }
}

/// As the run of seed 0.
const LOAD_NEEDS: LoadNeeds = LoadNeeds { seed: 0, ..NEEDS };

fn load(folder: &Path, config: &DataConfig) -> Result<Dataset> {
    let source = Source::Folder(folder.to_owned());
    load_set(&scenes::SEGMENTATION, &source, &mut config.clone(), &LOAD_NEEDS)
}

fn load_synthetic(set: SetName, config: &DataConfig) -> Dataset {
    load_set(set, &Source::Synthetic, &mut config.clone(), &LOAD_NEEDS).unwrap()
}

fn refusal(folder: &Path, config: &DataConfig) -> Error {
    let error = load(folder, config).err().expect("it must be refused");
    assert_eq!(error.exit_code(), 2, "{error}");
    error
}

/// All points and labels of a split as evaluation sees them.
fn evaluated(samples: &dyn Samples) -> (Vec<f32>, Vec<i64>) {
    let indices: Vec<usize> = (0..samples.len()).collect();
    let access = Access { training: false, key: Key::new(0, Purpose::Evaluation) };
    let Batch::Points(batch) = samples.batch(&indices, access).unwrap() else { panic!("points") };
    let points = Vec::<f32>::try_from(batch.points.reshape([-1])).unwrap();
    (points, Vec::<i64>::try_from(&batch.labels).unwrap())
}

/// Block `number`: positions far from the origin, colours and places that tell block and point.
fn block(number: usize) -> Vec<f32> {
    let point = |point: usize| {
        let (n, p) = (number as f32, point as f32);
        [10.0 + n + p, 20.0 - p * p, 3.0 + (p % 3.0), n / 10.0, p / 10.0, 0.5, n / 20.0, p / 20.0, 0.25]
    };
    (0..POINTS).flat_map(point).collect()
}

fn labels(number: usize) -> Vec<u8> {
    (0..POINTS).map(|point| ((number + point) % 13) as u8).collect()
}

/// A file of these blocks.
fn blocks(numbers: std::ops::Range<usize>) -> Vec<u8> {
    let count = numbers.len() as u64;
    let values: Vec<f32> = numbers.clone().flat_map(block).collect();
    let classes: Vec<u8> = numbers.flat_map(labels).collect();
    hdf5(vec![
        DatasetBuilder::typed_data("data", vec![count, POINTS as u64, 9], &values).unwrap(),
        DatasetBuilder::typed_data("label", vec![count, POINTS as u64], &classes).unwrap(),
    ])
}

/// Five blocks in two files; blocks 1 and 4 are of area 5.
fn s3dis() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path.join("ply_data_all_0.h5"), &blocks(0..3));
    write(path.join("ply_data_all_1.h5"), &blocks(3..5));
    let files = "indoor3d_sem_seg_hdf5_data/ply_data_all_0.h5\nindoor3d_sem_seg_hdf5_data/ply_data_all_1.h5\n";
    write(path.join("all_files.txt"), files.as_bytes());
    let rooms = "Area_1_office_1\nArea_5_office_1\nArea_1_office_1\nArea_6_WC_1\nArea_5_hallway_2\n";
    write(path.join("room_filelist.txt"), rooms.as_bytes());
    folder
}

/// As the published code does: minus the mean, divided by the greatest absolute coordinate, times 0.999999.
fn normalised(mut points: Vec<f32>) -> Vec<f32> {
    for axis in 0..3 {
        let mean = points.iter().skip(axis).step_by(9).sum::<f32>() / POINTS as f32;
        points.iter_mut().skip(axis).step_by(9).for_each(|value| *value -= mean);
    }
    let most = points.chunks(9).flat_map(|point| &point[..3]).fold(0.0_f32, |most, value| most.max(value.abs()));
    points.chunks_mut(9).for_each(|point| point[..3].iter_mut().for_each(|value| *value *= 0.999_999 / most));
    points
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let furthest = found.iter().zip(expected).map(|(one, two)| (one - two).abs()).fold(0.0, f32::max);
    assert!(furthest < 1e-5, "{furthest}");
}

#[test]
fn blocks_of_s3dis_are_divided_by_area_and_normalised_one_by_one() {
    let folder = s3dis();
    for (area, train, test) in [(5, vec![0, 2, 3], vec![1, 4]), (6, vec![0, 1, 2, 4], vec![3])] {
        let config = DataConfig { scenes: SceneDataConfig { area, ..SceneDataConfig::default() }, ..config() };
        let set = load(folder.path(), &config).unwrap();
        assert_eq!((set.channels, set.unit, set.classes.len()), (9, "points", 13));
        assert_eq!((set.classes[0].as_str(), set.classes[12].as_str()), ("ceiling", "clutter"));
        assert!(set.origin.ends_with(&format!("(rooms of Area_{area})")), "{}", set.origin);
        for (samples, numbers) in [(&set.train, train), (&set.test, test)] {
            let (points, classes) = evaluated(&**samples);
            let expected: Vec<f32> = numbers.iter().flat_map(|number| normalised(block(*number))).collect();
            assert_close(&points, &expected);
            let expected: Vec<i64> = numbers.iter().flat_map(|number| labels(*number)).map(i64::from).collect();
            assert_eq!(classes, expected);
            assert_eq!(samples.targets(), numbers.len() * POINTS);
        }
    }
    let held = DataConfig { validation: 0.5, ..config() };
    let set = load(folder.path(), &held).unwrap();
    let sizes = (set.train.len(), set.validation.unwrap().len());
    assert!(sizes == (1, 2) || sizes == (2, 1), "whole rooms are held out, not {sizes:?}");
    assert!(
        load(folder.path(), &config()).unwrap().test.name(1).contains("ply_data_all_1.h5: block 1 (Area_5_hallway_2)")
    );
}

#[test]
fn a_run_on_s3dis_keeps_its_features_and_the_side_of_its_blocks() {
    let folder = s3dis();
    let source = Source::Folder(folder.path().to_owned());
    let mut kept = config();
    load_set(&scenes::S3DIS, &source, &mut kept, &LOAD_NEEDS).unwrap();
    assert_eq!((kept.features, kept.scenes.block), (vec!["colors".to_owned(), "room".to_owned()], 1.0));
    let colours = DataConfig { features: vec!["colors".to_owned()], ..config() };
    let set = load(folder.path(), &colours).unwrap();
    let (points, _) = evaluated(&*set.test);
    assert_eq!((set.channels, &points[3..6]), (6, &block(1)[3..6]));
    let other = DataConfig { features: vec!["normals".to_owned()], ..config() };
    assert_mentions(&refusal(folder.path(), &other), &["data.features", "columns of S3DIS", "'nx'"]);
}

#[test]
fn what_is_wrong_with_s3dis_is_told_by_file_and_block() {
    let check = |spoil: &dyn Fn(&Path), words: &[&str]| {
        let folder = s3dis();
        spoil(folder.path());
        assert_mentions(&refusal(folder.path(), &config()), words);
    };
    let rooms = |text: &'static str| move |path: &Path| write(path.join("room_filelist.txt"), text.as_bytes());
    check(&rooms("Area_1_a\nArea_5_a\n"), &["room_filelist.txt: expected 5 lines", "found 2"]);
    check(&rooms("Area_1\nArea_1\nArea_1\nArea_2\nArea_2\n"), &["rooms of Area_5, and of others", "Area_1, Area_2"]);
    check(&rooms("a\na\na\na\na\n"), &["found no Area_1 to Area_6 in any name"]);
    let spoilt = |dims: Vec<u64>, values: Vec<f32>, label_dims: Vec<u64>, classes: Vec<i32>| {
        move |path: &Path| {
            let data = DatasetBuilder::typed_data("data", dims.clone(), &values).unwrap();
            let label = DatasetBuilder::typed_data("label", label_dims.clone(), &classes).unwrap();
            write(path.join("ply_data_all_1.h5"), &hdf5(vec![data, label]));
        }
    };
    let (two, both): (Vec<f32>, Vec<u64>) = ((3..5).flat_map(block).collect(), vec![2, 8, 9]);
    let (flat, fine) = (vec![2, 8], vec![0; 16]);
    check(
        &spoilt(vec![2, 12, 6], two.clone(), flat.clone(), fine.clone()),
        &["dataset data", "(blocks, points, 9)", "(2, 12, 6)"],
    );
    check(&spoilt(both.clone(), two.clone(), vec![16], fine.clone()), &["dataset label", "(2, 8)", "(16)"]);
    let mut wrong = fine.clone();
    wrong[13] = 13;
    check(
        &spoilt(both.clone(), two.clone(), flat.clone(), wrong),
        &["ply_data_all_1.h5: block 1 (Area_5_hallway_2), point 5", "a label from 0 to 12", "found 13"],
    );
    let mut wrong = two.clone();
    wrong[9 + 4] = f32::INFINITY;
    check(
        &spoilt(both.clone(), wrong, flat.clone(), fine.clone()),
        &["ply_data_all_1.h5: block 0 (Area_6_WC_1), point 1, channel 4", "finite", "inf"],
    );
    check(&spoilt(both, vec![0.5; 144], flat, fine), &["a block with some extent", "points that all coincide"]);
    check(&|path| write(path.join("ply_data_all_1.h5"), b"no HDF5"), &["ply_data_all_1.h5: expected an HDF5 file"]);
    check(&|path| write(path.join("all_files.txt"), b""), &["all_files.txt: expected a file of blocks per line"]);
    let folder = s3dis();
    std::fs::remove_file(folder.path().join("ply_data_all_1.h5")).unwrap();
    assert_mentions(&load(folder.path(), &config()).err().unwrap(), &["cannot read", "ply_data_all_1.h5"]);
    std::fs::remove_file(folder.path().join("all_files.txt")).unwrap();
    assert_mentions(&load(folder.path(), &config()).err().unwrap(), &["cannot read", "all_files.txt"]);
}

#[test]
fn a_bad_block_can_be_left_out() {
    let folder = s3dis();
    let mut values: Vec<f32> = (3..5).flat_map(block).collect();
    values[0] = f32::NAN;
    let data = DatasetBuilder::typed_data("data", vec![2, 8, 9], &values).unwrap();
    let label = DatasetBuilder::typed_data("label", vec![2, 8], &[1_u8; 16]).unwrap();
    write(folder.path().join("ply_data_all_1.h5"), &hdf5(vec![data, label]));
    refusal(folder.path(), &config());
    let set = load(folder.path(), &DataConfig { skip_bad: true, ..config() }).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (2, 2));
    assert!(set.origin.ends_with("1 bad clouds skipped"), "{}", set.origin);
}

/// Rows of a text.
fn table(rows: &[Vec<f64>]) -> String {
    let line = |row: &Vec<f64>| row.iter().map(f64::to_string).collect::<Vec<_>>().join(" ") + "\n";
    rows.iter().map(line).collect()
}

/// A cap and a mug, two shapes each, in the layout with normals, or in the older one.
pub(crate) fn shapenet(with_normals: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path.join("synsetoffset2category.txt"), b"Cap\t02954340\nMug\t03797390\nLamp\t03636649\n");
    for (number, first) in [("02954340", 6.0), ("03797390", 36.0)] {
        for shape in 0..2 {
            let position = |point: usize| vec![point as f64, (point * shape) as f64, 0.5];
            let part = |point: usize| (point % 2) as f64;
            if with_normals {
                let row = |point| [position(point), vec![0.0, 0.0, 1.0, first + part(point)]].concat();
                let text = table(&(0..POINTS).map(row).collect::<Vec<_>>());
                write(path.join(format!("{number}/shape{shape}.txt")), text.as_bytes());
            } else {
                let (points, parts): (Vec<_>, Vec<_>) =
                    (0..POINTS).map(|point| (position(point), vec![1.0 + part(point)])).unzip();
                write(path.join(format!("{number}/points/shape{shape}.pts")), table(&points).as_bytes());
                write(path.join(format!("{number}/points_label/shape{shape}.seg")), table(&parts).as_bytes());
            }
        }
    }
    folder
}

fn list(folder: &Path, part: &str, shapes: &[&str]) {
    let names: Vec<String> = shapes.iter().map(|shape| format!("\"shape_data/{shape}\"")).collect();
    let path = folder.join(format!("train_test_split/shuffled_{part}_file_list.json"));
    write(path, format!("[{}]", names.join(", ")).as_bytes());
}

#[test]
fn both_layouts_of_shapenet_give_the_same_parts() {
    for with_normals in [true, false] {
        let folder = shapenet(with_normals);
        list(folder.path(), "train", &["02954340/shape0", "03797390/shape0"]);
        list(folder.path(), "test", &["02954340/shape1", "03797390/shape1"]);
        let set = load(folder.path(), &config()).unwrap();
        assert_eq!(set.classes, ["Cap part 1", "Cap part 2", "Mug part 1", "Mug part 2"], "of what is there");
        for samples in [&set.train, &set.test] {
            let (_, classes) = evaluated(&**samples);
            assert_eq!(classes, [[0, 1].repeat(4), [2, 3].repeat(4)].concat());
        }
        assert!(set.test.name(0).contains("shape1"));
        let mug = DataConfig {
            scenes: SceneDataConfig { category: Some("mug".into()), ..SceneDataConfig::default() },
            ..config()
        };
        let set = load(folder.path(), &mug).unwrap();
        assert_eq!((set.classes, set.train.len()), (vec!["Mug part 1".to_owned(), "Mug part 2".to_owned()], 1));
        let normals = DataConfig { features: vec!["normals".to_owned()], ..config() };
        match load(folder.path(), &normals) {
            Ok(set) => assert!(with_normals && evaluated(&*set.train).0[3..6] == [0.0, 0.0, 1.0]),
            Err(error) => assert!(!with_normals && error.to_string().contains("nx"), "{error}"),
        }
    }
}

#[test]
fn lists_of_shapenet_divide_and_a_share_stands_in_for_them() {
    let folder = shapenet(true);
    let sizes = |folder: &Path| {
        let set = load(folder, &config()).unwrap();
        [set.train.len(), set.validation.map_or(0, |samples| samples.len()), set.test.len()]
    };
    let seeded = DataConfig { test_share: 0.5, ..config() };
    let set = load(folder.path(), &seeded).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (2, 2));
    assert!(set.origin.contains("test_share 0.5 of all, split_seed 0"), "{}", set.origin);
    list(folder.path(), "test", &["02954340/shape1"]);
    assert_eq!(sizes(folder.path()), [3, 0, 1], "what no list names is for training");
    list(folder.path(), "val", &["02954340/shape0", "03797390/shape1", "03797390/shape0"]);
    assert_eq!(sizes(folder.path()), [3, 0, 1], "without any training shape those for validation are");
    list(folder.path(), "train", &["03797390/shape0"]);
    list(folder.path(), "val", &["02954340/shape0"]);
    assert_eq!(sizes(folder.path()), [1, 1, 1], "and what no list of all three names is left out");
    write(folder.path().join("train_test_split/shuffled_test_file_list.json"), b"{}");
    assert_mentions(&refusal(folder.path(), &config()), &["shuffled_test_file_list.json", "a list of names in JSON"]);
}

#[test]
fn what_is_wrong_with_shapenet_is_told_by_file_and_point() {
    let check = |with_normals: bool, file: &str, text: &str, words: &[&str]| {
        let folder = shapenet(with_normals);
        write(folder.path().join(file), text.as_bytes());
        assert_mentions(&refusal(folder.path(), &config()), words);
    };
    let cap = "02954340/shape0.txt";
    check(true, cap, "1 2 3 0 0 1 36\n", &["shape0.txt, point 0", "a part of Cap, 6 to 7", "found 36"]);
    check(true, cap, "1 2 3 6\n", &["7 columns: x y z nx ny nz and the part", "found 4"]);
    let seg = "02954340/points_label/shape0.seg";
    check(false, seg, "1\n2\n", &["shape0.seg: expected 8 labels, one per point of", "found 2"]);
    check(false, seg, "1\n2\n3\n1\n1\n1\n1\n1\n", &["shape0.seg, point 2", "a part of Cap, 1 to 2", "found 3"]);
    check(false, seg, "1\nx\n", &["shape0.seg, line 2: expected a part, a whole number, found x"]);
    check(true, "synsetoffset2category.txt", "Hat 02954340\n", &["the categories of ShapeNet's parts", "'Hat'"]);
    check(true, "synsetoffset2category.txt", "Cap\n", &["a category and its number per line", "'Cap'"]);
    check(true, "synsetoffset2category.txt", "Lamp 1\n", &["shapes of any category", "found none"]);
    let folder = shapenet(true);
    let other = DataConfig {
        scenes: SceneDataConfig { category: Some("Mag".into()), ..SceneDataConfig::default() },
        ..config()
    };
    let error = refusal(folder.path(), &other);
    assert_mentions(&error, &["data.scenes.category", "'Mag'"]);
    assert_eq!(error.hint(), Some("did you mean Mug?"));
}

#[test]
fn real_parts_are_read_in_both_layouts() {
    let Some(folder) = std::env::var_os("SGAS_TEST_DATA").map(|root| PathBuf::from(root).join("shapenetpart")) else {
        println!("skipped: SGAS_TEST_DATA names no folder with real data");
        return;
    };
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let config = DataConfig { points: 1024, order: PointOrder::Random, ..DataConfig::default() };
    let caps = load(&folder.join("shapenetpart-caps"), &config).unwrap();
    assert_eq!(
        (caps.classes.as_slice(), caps.channels),
        (["Cap part 1", "Cap part 2"].map(str::to_owned).as_slice(), 3)
    );
    assert_eq!((caps.train.targets(), caps.test.targets()), (13259, 27812), "every point of 5 and 11 caps");
    assert_eq!(caps.test.len(), 33, "three groups of each cap");
    let (points, classes) = evaluated(&*caps.test);
    let most = points.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!((most - 0.999_999).abs() < 1e-6);
    let count = |class: i64| classes.iter().filter(|label| **label == class).count();
    assert_eq!((count(0), count(1), count(-100)), (20235, 7577, 33 * 1024 - 27812));
    let all = load(&folder.join("shapenet-sample"), &config).unwrap();
    assert_eq!((all.classes.len(), all.train.targets() + all.test.targets()), (50, 41668));
}

#[test]
fn synthetic_rooms_say_that_they_are_and_are_those_of_their_files() {
    let size = sgas::data::SyntheticConfig { train: 10, test: 10, seed: 3 };
    let config = DataConfig { points: 64, synthetic: size.clone(), ..DataConfig::default() };
    let (formats, layout) = (vec!["ply"], "s3dis");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks");
    let wanted = sgas::data::Synthesis { size, points: 64, formats, layout, multi_label: false };
    scenes::FAMILY.family.synthesise(&wanted, &path).unwrap();
    let (built_in, read) = (load_synthetic(&scenes::S3DIS, &config), load(&path, &config).unwrap());
    assert!(built_in.origin.contains("synthetic") && built_in.classes[0] == "synthetic_ceiling");
    assert_eq!((read.channels, read.classes[0].as_str()), (9, "ceiling"));
    for (one, other) in [(&built_in.train, &read.train), (&built_in.test, &read.test)] {
        assert_eq!(evaluated(&**one), evaluated(&**other));
        assert_eq!(one.len(), 10);
    }
    let rooms = load_synthetic(&scenes::SEGMENTATION, &config);
    assert_eq!((rooms.channels, rooms.train.targets()), (3, 10 * 2048));
    let about = std::fs::read_to_string(path.join("README.txt")).unwrap();
    assert!(about.contains("not real data") && about.contains("--kind scenes --layout s3dis --train 10"), "{about}");
}

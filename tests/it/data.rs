//! Point clouds from files, made by the tests in their formats, and from the real sets where they are there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use hdf5_writer::{DatasetBuilder, Hdf5Builder, WriteOptions};
use sgas::batch::{Batch, PointBatch};
use sgas::data::{
    Access, DataConfig, Dataset, LoadNeeds, Normalization, PointOrder, Samples, SetName, Source, SyntheticConfig, find,
    points::{MODELNET10, MODELNET40, POINTS},
};
use sgas::error::{Error, Result};
use sgas::tensor::random::{Key, Purpose};
use tch::{Device, Kind, Tensor};

/// The set; what it decides is written into the configuration.
pub(crate) fn load_set(set: SetName, source: &Source, config: &mut DataConfig, needs: &LoadNeeds) -> Result<Dataset> {
    let loaded = set.load(source, config, needs)?;
    *config = loaded.config;
    Ok(loaded.dataset)
}

/// For networks that take clouds of any size.
pub(crate) const NEEDS: LoadNeeds = LoadNeeds { seed: 1, minimum_points: 1, device: Device::Cpu };

fn load(source: &Source, config: &mut DataConfig, seed: u64, minimum_points: usize) -> Result<Dataset> {
    load_set(&POINTS, source, config, &LoadNeeds { seed, minimum_points, ..NEEDS })
}

pub(crate) fn write(path: impl AsRef<Path>, bytes: &[u8]) {
    std::fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

pub(crate) fn pcd(points: &[[f32; 3]], binary: bool) -> Vec<u8> {
    let (count, kind) = (points.len(), if binary { "binary" } else { "ascii" });
    let mut bytes = format!(
        "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {count}\nHEIGHT 1\n\
         VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA {kind}\n"
    )
    .into_bytes();
    for [x, y, z] in points {
        if binary {
            bytes.extend([x, y, z].into_iter().flat_map(|value| value.to_le_bytes()));
        } else {
            bytes.extend(format!("{x} {y} {z}\n").bytes());
        }
    }
    bytes
}

/// Distinct points of a cloud, none at the mean.
pub(crate) fn cloud(points: usize, seed: f32) -> Vec<[f32; 3]> {
    (0..points).map(|i| [i as f32 + seed, (i * i % 7) as f32, -(i as f32) * 0.5]).collect()
}

/// Classes a and b, two training clouds and one test cloud each, one of them ascii.
fn class_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in ["b", "a"] {
        for (split, count) in [("train", 2), ("test", 1)] {
            for i in 0..count {
                let path = folder.path().join(class).join(split).join(format!("{class}_{i}.pcd"));
                write(path, &pcd(&cloud(8, i as f32), i == 0));
            }
        }
    }
    folder
}

/// One class `a`; its training cloud has a NaN at every point but the first.
pub(crate) fn pcd_folder_with_a_nan(folder: &Path) {
    let mut points = cloud(8, 0.0);
    write(folder.join("a/test/0.pcd"), &pcd(&points, false));
    points[1..].iter_mut().for_each(|point| point[2] = f32::NAN);
    write(folder.join("a/train/0.pcd"), &pcd(&points, false));
}

/// HDF5 files with clouds but without labels.
pub(crate) fn hdf5_folder_without_labels(folder: &Path) {
    let data = || DatasetBuilder::typed_data("data", vec![1, 4, 3], &[0.5_f32; 12]).unwrap();
    write(folder.join("shape_names.txt"), b"ant\n");
    write(folder.join("ply_data_train0.h5"), &hdf5(vec![data()]));
    write(folder.join("ply_data_test0.h5"), &hdf5(vec![data()]));
}

pub(crate) fn hdf5(datasets: Vec<DatasetBuilder>) -> Vec<u8> {
    let builder = datasets.into_iter().fold(Hdf5Builder::new(), Hdf5Builder::dataset);
    builder.into_plan().unwrap().encode(WriteOptions::default()).unwrap()
}

/// `labels.len()` clouds of 4 points; coordinate i of the file is `first + i`.
fn hdf5_clouds(first: f32, labels: &[u8]) -> Vec<u8> {
    let count = labels.len() as u64;
    let values: Vec<f32> = (0..count * 12).map(|i| first + i as f32).collect();
    hdf5(vec![
        DatasetBuilder::typed_data("data", vec![count, 4, 3], &values).unwrap(),
        DatasetBuilder::typed_data("label", vec![count, 1], labels).unwrap(),
    ])
}

/// Two classes; eleven training files, so that their order by number and by name differ.
fn hdf5_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("shape_names.txt"), b"zebra\nant\n");
    for i in 0..11 {
        write(folder.path().join(format!("ply_data_train{i}.h5")), &hdf5_clouds(1000.0 * i as f32, &[i % 2]));
    }
    write(folder.path().join("ply_data_test0.h5"), &hdf5_clouds(0.5, &[0, 1]));
    folder
}

fn config(points: usize) -> DataConfig {
    DataConfig { points, ..DataConfig::default() }
}

fn load_folder(folder: &Path, config: &DataConfig) -> Result<Dataset> {
    load(&Source::Folder(folder.to_owned()), &mut config.clone(), 1, 1)
}

pub(crate) fn labels(samples: &dyn Samples) -> Vec<usize> {
    (0..samples.len()).map(|index| samples.label(index).unwrap()).collect()
}

fn refusal(folder: &Path) -> Error {
    let error = load_folder(folder, &config(4)).err().unwrap();
    assert_eq!(error.exit_code(), 2, "{error}");
    error
}

pub(crate) fn assert_mentions(error: &Error, words: &[&str]) {
    let text = format!("{error} {}", error.hint().unwrap_or_default());
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

pub(crate) fn points_of(batch: Batch) -> PointBatch {
    match batch {
        Batch::Points(batch) => batch,
        _ => unreachable!("a set of points gives points"),
    }
}

fn evaluated(samples: &dyn Samples, indices: &[usize]) -> PointBatch {
    let key = Key::new(1, Purpose::Evaluation);
    points_of(samples.batch(indices, Access { training: false, key }).unwrap())
}

pub(crate) fn numbers(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.flatten(0, -1)).unwrap()
}

#[test]
fn a_folder_of_classes_is_read_in_alphabetical_order_and_normalised() {
    let folder = class_folder();
    let mut config = config(8);
    let data = load(&Source::Folder(folder.path().to_owned()), &mut config, 1, 1).unwrap();
    assert_eq!(data.classes, ["a", "b"]);
    assert_eq!(config.normalize, Normalization::Cube);
    assert_eq!(labels(&*data.train), [0, 0, 1, 1]);
    let batch = evaluated(&*data.train, &[0, 1]);
    assert_eq!(batch.points.size(), [2, 8, 3]);
    assert_eq!((batch.points.kind(), batch.labels.kind()), (Kind::Float, Kind::Int64));
    // Clouds 0 (binary) and 1 (ascii) differ by a shift alone, which the cube takes away.
    let difference = (batch.points.get(0) - batch.points.get(1)).abs().max().double_value(&[]);
    assert!(difference < 1e-6, "{difference}");
    assert!((batch.points.abs().max().double_value(&[]) - 0.999_999).abs() < 1e-6);
    assert!(batch.points.mean_dim(1, false, Kind::Float).abs().max().double_value(&[]) < 1e-6);
}

#[test]
fn clouds_stay_as_stored_where_no_normalisation_is_asked_for() {
    let folder = class_folder();
    let raw = DataConfig { normalize: Normalization::None, ..config(8) };
    let data = load_folder(folder.path(), &raw).unwrap();
    assert_eq!(numbers(&evaluated(&*data.train, &[1]).points), cloud(8, 1.0).concat());
}

#[test]
fn hdf5_files_are_read_by_number_as_stored() {
    let folder = hdf5_folder();
    let mut config = config(3);
    let data = load(&Source::Folder(folder.path().to_owned()), &mut config, 1, 1).unwrap();
    assert_eq!(data.classes, ["zebra", "ant"]);
    assert_eq!(config.normalize, Normalization::None);
    assert_eq!(labels(&*data.train), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
    let first_of_ten = numbers(&evaluated(&*data.train, &[10]).points);
    assert_eq!(first_of_ten, (0..9).map(|i| 10_000.0 + i as f32).collect::<Vec<_>>());
    assert!(data.train.name(10).ends_with("ply_data_train10.h5: cloud 0"));
    assert_eq!(numbers(&evaluated(&*data.test, &[1]).points)[0], 12.5);
}

#[test]
fn hdf5_labels_may_be_wide_and_flat() {
    let folder = hdf5_folder();
    let values = vec![0.0_f32; 24];
    let file = hdf5(vec![
        DatasetBuilder::typed_data("data", vec![2, 4, 3], &values).unwrap(),
        DatasetBuilder::typed_data("label", vec![2], &[1_i64, 0]).unwrap(),
    ]);
    write(folder.path().join("ply_data_test0.h5"), &file);
    let data = load_folder(folder.path(), &config(4)).unwrap();
    assert_eq!(labels(&*data.test), [1, 0]);
}

#[test]
fn an_hdf5_file_without_the_datasets_names_what_it_has() {
    let folder = hdf5_folder();
    let file = hdf5(vec![DatasetBuilder::typed_data("points", vec![3], &[0.0_f32; 3]).unwrap()]);
    write(folder.path().join("ply_data_train3.h5"), &file);
    let error = refusal(folder.path());
    assert_mentions(&error, &["ply_data_train3.h5", "expected datasets data and label", "found points"]);
}

#[test]
fn hdf5_files_of_another_form_are_refused() {
    let write_test = |datasets| {
        let folder = hdf5_folder();
        write(folder.path().join("ply_data_test0.h5"), &hdf5(datasets));
        refusal(folder.path())
    };
    let label = |values: &[u8]| DatasetBuilder::typed_data("label", vec![values.len() as u64, 1], values).unwrap();
    let flat = DatasetBuilder::typed_data("data", vec![2, 12], &[0.0_f32; 24]).unwrap();
    assert_mentions(&write_test(vec![flat, label(&[0, 1])]), &["dataset data", "(n, points, 3)", "(2, 12)"]);
    let data = || DatasetBuilder::typed_data("data", vec![2, 4, 3], &[0.0_f32; 24]).unwrap();
    assert_mentions(&write_test(vec![data(), label(&[0])]), &["dataset label", "(2, 1)", "found (1, 1)"]);
    assert_mentions(&write_test(vec![data(), label(&[0, 2])]), &["test0.h5: cloud 1", "0 to 1", "found 2"]);
    let transposed = DatasetBuilder::typed_data("data", vec![2, 3, 40], &[0.0_f32; 240]).unwrap();
    let error = write_test(vec![transposed, label(&[0, 1])]);
    assert_mentions(&error, &["(n, points, 3)", "(2, 3, 40), which looks transposed"]);
    let labels = DatasetBuilder::typed_data("label", vec![2], &[0.0_f64, 0.5]).unwrap();
    assert_mentions(&write_test(vec![data(), labels]), &["dataset label", "integers", "found 0.5"]);
}

#[test]
fn hdf5_files_of_any_type_of_numbers_are_read() {
    let clouds = |data: DatasetBuilder, labels: DatasetBuilder| {
        let folder = hdf5_folder();
        write(folder.path().join("ply_data_test0.h5"), &hdf5(vec![data, labels]));
        let config = DataConfig { points: 4, ..DataConfig::default() };
        let data = load(&Source::Folder(folder.path().to_owned()), &mut config.clone(), 0, 1).unwrap();
        let access = Access { key: Key::new(0, Purpose::Evaluation), training: false };
        match data.test.batch(&[0, 1], access).unwrap() {
            Batch::Points(PointBatch { points, labels }) => (points, labels),
            _ => unreachable!("points"),
        }
    };
    macro_rules! data {
        ($kind:ty) => {{
            let values: Vec<$kind> = (0..24_u8).map(|value| value as $kind).collect();
            DatasetBuilder::typed_data("data", vec![2, 4, 3], &values).unwrap()
        }};
    }
    macro_rules! label {
        ($kind:ty) => {
            DatasetBuilder::typed_data("label", vec![2, 1], &[0 as $kind, 1 as $kind]).unwrap()
        };
    }
    let expected = clouds(data!(f32), label!(u8));
    for (data, label) in
        [(data!(f64), label!(i64)), (data!(i16), label!(f32)), (data!(u8), label!(f64)), (data!(i64), label!(u16))]
    {
        assert_eq!(clouds(data, label), expected);
    }
}

/// `count` clouds of 4 points of `width` numbers each, labels 0, 1, 0, ...
fn hdf5_set(count: u64, width: u64, names: [&str; 2]) -> Vec<u8> {
    let values: Vec<f32> = (0..count * 4 * width).map(|i| i as f32).collect();
    let labels: Vec<i32> = (0..count as i32).map(|cloud| cloud % 2).collect();
    hdf5(vec![
        DatasetBuilder::typed_data(names[0], vec![count, 4, width], &values).unwrap(),
        DatasetBuilder::typed_data(names[1], vec![count], &labels).unwrap(),
    ])
}

#[test]
fn files_of_scan_object_nn_are_chosen_by_name_and_their_classes_known() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, count| write(folder.path().join(name), &hdf5_set(count, 3, ["data", "label"]));
    for (variant, count) in [("", 30), ("_augmentedrot_scale75", 32)] {
        file(&format!("training_objectdataset{variant}.h5"), count);
        file(&format!("test_objectdataset{variant}.h5"), 30);
    }
    let expected = ["HDF5 files of one set", "objectdataset, objectdataset_augmentedrot_scale75"];
    assert_mentions(&refusal(folder.path()), &expected);
    let mut config = DataConfig { points: 4, ..DataConfig::default() };
    config.hdf5.files = Some("objectdataset_augmentedrot_scale75".to_owned());
    // Two of the fifteen classes have clouds here.
    let error = load_folder(folder.path(), &config).err().unwrap();
    assert_mentions(&error, &["train split of class box", "found none"]);
    write(folder.path().join("shape_names.txt"), b"bag\nbin\n");
    assert_eq!(load_folder(folder.path(), &config).unwrap().train.len(), 32);
    config.hdf5.files = Some("objectdataset_augmentedrot".to_owned());
    let error = load_folder(folder.path(), &config).err().unwrap();
    assert_mentions(&error, &["HDF5 files for training, such as objectdataset_augmentedrot_train*.h5", "none"]);
}

#[test]
fn hdf5_files_for_validation_are_for_validation_and_scored_where_there_is_no_test() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, count| write(folder.path().join(name), &hdf5_set(count, 3, ["data", "label"]));
    let config = DataConfig { points: 4, ..DataConfig::default() };
    for (name, count) in [("train_1.hdf5", 2), ("train_0.hdf5", 4), ("val.hdf5", 6)] {
        file(name, count);
    }
    let data = load_folder(folder.path(), &config).unwrap();
    assert_eq!((data.train.len(), data.validation.is_none(), data.test.len()), (6, true, 6));
    assert!(data.train.name(0).ends_with("train_0.hdf5: cloud 0"), "{}", data.train.name(0));
    file("test.hdf5", 8);
    file("whole.hdf5", 8);
    let data = load_folder(folder.path(), &config).unwrap();
    assert_eq!((data.train.len(), data.validation.unwrap().len(), data.test.len()), (6, 6, 8));
}

#[test]
fn datasets_of_other_names_and_normals_beside_the_points_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        write(folder.path().join(format!("{part}.h5")), &hdf5_set(2, 6, ["xyz", "category"]));
    }
    let mut config = DataConfig { points: 4, features: vec!["normals".to_owned()], ..DataConfig::default() };
    let error = load_folder(folder.path(), &config).err().unwrap();
    assert_mentions(&error, &["expected datasets data and label", "found xyz, category"]);
    assert!(error.hint().unwrap().contains("data.hdf5.data=NAME"));
    (config.hdf5.data, config.hdf5.label) = ("xyz".to_owned(), "category".to_owned());
    let data = load_folder(folder.path(), &config).unwrap();
    let points = numbers(&evaluated(&*data.test, &[1]).points);
    assert_eq!(points[..6], [24.0, 25.0, 26.0, 27.0, 28.0, 29.0]);
    config.features = Vec::new();
    let data = load_folder(folder.path(), &config).unwrap();
    let points = numbers(&evaluated(&*data.test, &[1]).points);
    assert_eq!(points[..6], [24.0, 25.0, 26.0, 30.0, 31.0, 32.0]);
}

#[test]
fn cut_and_foreign_hdf5_files_are_errors() {
    let folder = hdf5_folder();
    let whole = hdf5_clouds(0.0, &[0, 1]);
    for length in [0, 7, 60, whole.len() / 2, whole.len() - 8] {
        write(folder.path().join("ply_data_test0.h5"), &whole[..length]);
        assert_mentions(&refusal(folder.path()), &["ply_data_test0.h5"]);
    }
    write(folder.path().join("ply_data_test0.h5"), b"<html>not found</html>");
    assert_mentions(&refusal(folder.path()), &["ply_data_test0.h5", "an HDF5 file"]);
}

#[test]
fn an_hdf5_folder_without_names_counts_its_classes_but_needs_both_splits() {
    let folder = hdf5_folder();
    std::fs::remove_file(folder.path().join("shape_names.txt")).unwrap();
    let mut config = DataConfig { points: 4, ..DataConfig::default() };
    let data = load(&Source::Folder(folder.path().to_owned()), &mut config, 0, 1).unwrap();
    assert_eq!(data.classes, ["class 0", "class 1"]);
    std::fs::remove_file(folder.path().join("ply_data_test0.h5")).unwrap();
    assert_mentions(&refusal(folder.path()), &["ply_data_test*.h5", "none"]);
}

#[test]
fn a_class_without_clouds_is_an_error_in_both_formats() {
    let folder = hdf5_folder();
    write(folder.path().join("shape_names.txt"), b"zebra\nant\nbee\n");
    assert_mentions(&refusal(folder.path()), &["train split of class bee", "found none"]);
    let folder = class_folder();
    for file in ["b_0.pcd", "b_1.pcd"] {
        std::fs::rename(
            folder.path().join("b/train").join(file),
            folder.path().join("b/train").join(file).with_extension("step"),
        )
        .unwrap();
    }
    assert_mentions(&refusal(folder.path()), &["the same classes in train and test", "b only in test"]);
}

#[test]
fn train_and_test_must_have_the_same_classes() {
    let folder = class_folder();
    write(folder.path().join("c/train/c_0.pcd"), &pcd(&cloud(8, 0.0), true));
    assert_mentions(&refusal(folder.path()), &["the same classes in train and test", "c only in train"]);
}

#[test]
fn a_cloud_with_nan_in_most_points_is_named_by_file_and_point() {
    let folder = class_folder();
    let mut points = cloud(8, 0.0);
    points[3..].iter_mut().for_each(|point| point[1] = f32::NAN);
    for binary in [true, false] {
        write(folder.path().join("a/test/a_0.pcd"), &pcd(&points, binary));
        let error = refusal(folder.path());
        assert_mentions(&error, &["a/test/a_0.pcd, point 3", "finite numbers", "NaN"]);
        assert!(
            error.hint().unwrap().contains("5 of 8 points") && error.hint().unwrap().contains("data.invalid_points")
        );
    }
}

#[test]
fn a_cut_pcd_is_named() {
    let folder = class_folder();
    let whole = pcd(&cloud(8, 0.0), true);
    write(folder.path().join("b/train/b_1.pcd"), &whole[..whole.len() - 1]);
    assert_mentions(&refusal(folder.path()), &["b/train/b_1.pcd", "8 points", "7: the file is cut"]);
}

#[test]
fn bad_files_are_counted_and_skipped_where_that_is_asked_for() {
    let folder = class_folder();
    let whole = pcd(&cloud(8, 0.0), true);
    write(folder.path().join("b/train/b_1.pcd"), &whole[..whole.len() - 1]);
    write(folder.path().join("a/train/a_9.pcd"), b"");
    assert_mentions(&refusal(folder.path()), &["a/train/a_9.pcd", "1 more files are bad", "--skip-bad"]);
    let skipping = DataConfig { skip_bad: true, ..config(4) };
    let data = load_folder(folder.path(), &skipping).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (3, 2));
    assert!(data.description().contains("2 bad files skipped"), "{}", data.description());
    write(folder.path().join("b/train/b_0.pcd"), b"");
    let error = load_folder(folder.path(), &skipping).err().unwrap();
    assert_mentions(&error, &["train split of class b", "at least one sample"]);
}

/// Classes a and b of four clouds each, without train and test.
fn undivided_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        for i in 0..4 {
            write(folder.path().join(class).join(format!("{class}{i}.pcd")), &pcd(&cloud(8, i as f32), true));
        }
    }
    folder
}

fn file_names(samples: &dyn Samples) -> Vec<String> {
    let name = |index| Path::new(samples.name(index)).file_stem().unwrap().to_str().unwrap().to_owned();
    (0..samples.len()).map(name).collect()
}

#[test]
fn a_folder_without_test_holds_out_a_share_that_no_seed_of_a_run_changes() {
    let folder = undivided_folder();
    let source = Source::Folder(folder.path().to_owned());
    let load = |seed, config: DataConfig| load(&source, &mut config.clone(), seed, 1).unwrap();
    let quarter = |split_seed| DataConfig { test_share: 0.25, split_seed, ..config(4) };
    let data = load(1, quarter(0));
    assert_eq!((data.train.len(), labels(&*data.test)), (6, vec![0, 1]));
    assert!(data.description().contains("test_share 0.25 of every class, split_seed 0"), "{}", data.description());
    assert_eq!(file_names(&*data.test), file_names(&*load(2, quarter(0)).test));
    let others = (1..9).map(|seed| file_names(&*load(1, quarter(seed)).test));
    assert!(others.into_iter().any(|names| names != file_names(&*data.test)));
}

#[test]
fn lists_and_folders_of_parts_divide_too() {
    let folder = undivided_folder();
    write(folder.path().join("test.txt"), b"a/a1.pcd\nb3\n");
    let data = load_folder(folder.path(), &config(4)).unwrap();
    assert_eq!((file_names(&*data.test), data.train.len()), (vec!["a1".to_owned(), "b3".to_owned()], 6));
    write(folder.path().join("few.txt"), b"a0\nb0\n");
    let listed = DataConfig { train_list: "few.txt".into(), ..config(4) };
    assert_eq!(file_names(&*load_folder(folder.path(), &listed).unwrap().train), ["a0", "b0"]);
    write(folder.path().join("test.txt"), b"a/a1.pcd\n");
    assert_mentions(&refusal(folder.path()), &["the same classes in train and test", "b only in train"]);

    let parts = tempfile::tempdir().unwrap();
    for (part, class) in [("train", "x"), ("train", "y"), ("test", "x"), ("test", "y")] {
        write(parts.path().join(part).join(class).join("0.pcd"), &pcd(&cloud(8, 0.0), false));
    }
    let data = load_folder(parts.path(), &config(4)).unwrap();
    assert_eq!((data.classes, data.train.len(), data.test.len()), (vec!["x".to_owned(), "y".to_owned()], 2, 2));
}

#[test]
fn few_points_are_repeated_but_not_below_the_networks_need() {
    let folder = class_folder();
    let source = Source::Folder(folder.path().to_owned());
    let data = load(&source, &mut config(20), 1, 8).unwrap();
    let points = numbers(&evaluated(&*data.train, &[0]).points);
    assert_eq!(points[..24], points[24..48]);
    let error = load(&source, &mut config(20), 1, 9).err().unwrap();
    assert_mentions(&error, &["a_0.pcd", "at least 9 points", "found 8 points"]);
    let error = load(&source, &mut config(8), 1, 9).err().unwrap();
    assert_mentions(&error, &["data.points: expected at least 9"]);
}

#[test]
fn data_is_found_by_its_folder_or_the_parent_and_missing_data_says_what_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let inner = parent.path().join("ModelNet10");
    std::fs::rename(class_folder().keep(), &inner).unwrap();
    let expected = Source::Folder(inner.canonicalize().unwrap());
    assert_eq!(find(&MODELNET10, Some(inner.to_str().unwrap())).unwrap(), expected);
    assert_eq!(find(&MODELNET10, Some(parent.path().to_str().unwrap())).unwrap(), expected);

    let empty = tempfile::tempdir().unwrap();
    let error = find(&MODELNET40, Some(empty.path().to_str().unwrap())).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let words = [
        "(empty)",
        "(not there)",
        "shape_names.txt",
        "<class>/{train,test}/FILE",
        "published",
        "--data synthetic",
        "SGAS_DATA",
    ];
    assert_mentions(&error, &words);
}

pub(crate) fn synthetic(overrides: DataConfig) -> Dataset {
    let size = SyntheticConfig { train: 40, test: 10, seed: 0 };
    load(&Source::Synthetic, &mut DataConfig { synthetic: size, ..overrides }, 1, 1).unwrap()
}

#[test]
fn synthetic_data_says_that_it_is() {
    let data = synthetic(DataConfig { validation: 0.25, ..config(32) });
    assert_eq!(
        data.description(),
        "synthetic solids (built in, not real data): 10 classes, 30 training, 10 validation, 10 test samples"
    );
    let names = |samples: &dyn Samples| (0..samples.len()).map(|i| samples.name(i).to_owned()).collect();
    let (train, held_out): (HashSet<String>, HashSet<String>) =
        (names(&*data.train), names(&**data.validation.as_ref().unwrap()));
    assert!(train.is_disjoint(&held_out));
    assert_eq!(train.len() + held_out.len(), 40);
}

/// The folder of the real sets, or a word on why the test is skipped.
pub(crate) fn real_set(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SGAS_TEST_DATA").map(|root| Path::new(&root).join(name));
    let folder = folder.filter(|folder| folder.is_dir());
    if folder.is_none() {
        eprintln!("skipped: SGAS_TEST_DATA names no folder with {name}");
    }
    folder
}

#[test]
fn the_real_modelnet40_has_its_published_sizes() {
    let Some(folder) = real_set("modelnet40_ply_hdf5_2048") else { return };
    let data = load_folder(&folder, &config(1024)).unwrap();
    assert_eq!((data.classes.len(), data.train.len(), data.test.len()), (40, 9843, 2468));
    assert_eq!((data.classes[0].as_str(), data.classes[39].as_str()), ("airplane", "xbox"));
    let batch = evaluated(&*data.test, &[0, 2467]);
    // Published clouds lie within the unit sphere; the stored copy is rounded to 1/4096.
    let radius = batch.points.square().sum_dim_intlist(2, false, Kind::Float).sqrt().max().double_value(&[]);
    assert!((0.5..1.001).contains(&radius), "{radius}");
}

#[test]
fn the_real_modelnet10_has_its_published_sizes() {
    let Some(folder) = real_set("ModelNet10") else { return };
    let data =
        load_folder(&folder, &DataConfig { validation: 0.5, order: PointOrder::Random, ..config(1024) }).unwrap();
    let held_out = data.validation.as_ref().unwrap().len();
    assert_eq!((data.classes.len(), data.train.len() + held_out, data.test.len()), (10, 3991, 908));
    assert!(held_out.abs_diff(1996) <= 5, "half of every class, rounded: {held_out}");
}

//! Where folders say, and where they don't, which pictures are for what.

use std::collections::BTreeMap;

use image::{Rgb, RgbImage};

use super::*;

/// Writes a picture at each of these paths; its colour tells the position.
fn folder(paths: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, path) in paths.iter().enumerate() {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(8, 8, Rgb([number as u8 * 5, 0, 9])).save(path).unwrap();
    }
    folder
}

fn config_of_files() -> DataConfig {
    config(8, ImageAugmentation::CropFlip)
}

fn names(samples: &dyn Samples, folder: &Path) -> Vec<String> {
    let name = |index| Path::new(samples.name(index)).strip_prefix(folder).unwrap().display().to_string();
    (0..samples.len()).map(name).collect()
}

fn load_named(folder: &Path) -> Dataset {
    assert!(find(&images::IMAGES, Some(folder.to_str().unwrap())).is_ok(), "it is found");
    load(folder, &config_of_files()).unwrap()
}

#[test]
fn a_folder_for_validation_chooses_where_there_is_one_for_testing() {
    for (train, validation, test) in
        [("train", "val", "test"), ("Train", "Valid", "TEST"), ("training", "validation", "testing")]
    {
        let paths = [train, validation, test].map(|part| ["a", "b"].map(|class| format!("{part}/{class}/1.png")));
        let paths: Vec<&str> = paths.as_flattened().iter().map(String::as_str).collect();
        let folder = folder(&paths);
        let data = load_named(folder.path());
        assert_eq!(names(&*data.train, folder.path()), paths[..2]);
        assert_eq!(names(&**data.validation.as_ref().unwrap(), folder.path()), paths[2..4]);
        assert_eq!(names(&*data.test, folder.path()), paths[4..]);
        let words =
            format!("{train} (learned), {validation} (chooses, in place of data.validation) and {test} (scored)");
        assert!(data.description().contains(&words), "{}", data.description());
        // A share is held out only where there is no such folder.
        let sharing = DataConfig { validation: 0.5, ..config_of_files() };
        assert_eq!(load(folder.path(), &sharing).unwrap().train.len(), 2);
        std::fs::remove_dir_all(folder.path().join(test)).unwrap();
        let data = load_named(folder.path());
        assert!(data.validation.is_none());
        assert_eq!(names(&*data.test, folder.path()), paths[2..4]);
        assert!(data.description().contains(&format!("{train} (learned) and {validation} (scored)")));
    }
}

#[test]
fn two_folders_for_one_part_and_test_pictures_without_classes_are_told() {
    let twice = folder(&["train/a/1.png", "train/b/1.png", "val/a/1.png", "valid/a/1.png"]);
    assert_mentions(&refusal(twice.path()), &["one folder for validation, found val and valid"]);
    let unlabelled = folder(&["train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png", "test/1.png"]);
    let data = load_named(unlabelled.path());
    assert!(data.validation.is_none() && data.test.len() == 2);
    assert!(data.description().contains("test has no classes and is not read"), "{}", data.description());
}

#[test]
fn classes_without_parts_are_divided_by_lists_or_by_a_share() {
    let paths: Vec<String> =
        ["a", "b"].iter().flat_map(|class| (0..5).map(move |number| format!("{class}/{number}.png"))).collect();
    let folder = folder(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let data = load_named(folder.path());
    assert_eq!((data.train.len(), data.test.len()), (8, 2));
    assert!(data.description().contains("test_share 0.2 of every class, split_seed 0"), "{}", data.description());
    let seeded = |split_seed| {
        let data = load(folder.path(), &DataConfig { split_seed, test_share: 0.4, ..config_of_files() }).unwrap();
        (names(&*data.test, folder.path()), data.train.len())
    };
    assert_eq!((seeded(3).1, seeded(3)), (6, seeded(3)));
    assert!((0..9).any(|seed| seeded(seed) != seeded(3)));
    std::fs::write(folder.path().join("test.txt"), "a/3\nb/1.png\n").unwrap();
    let data = load_named(folder.path());
    assert_eq!(names(&*data.test, folder.path()), ["a/3.png", "b/1.png"]);
    std::fs::write(folder.path().join("test.txt"), "a/7\n").unwrap();
    assert_mentions(&load(folder.path(), &config_of_files()).err().unwrap(), &["test.txt, line 1", "a/7"]);
}

#[test]
fn parts_within_classes_and_one_folder_within_a_class_are_read() {
    let folder = folder(&["a/train/1.png", "a/test/2.png", "b/train/images/1.png", "b/test/2.png"]);
    let data = load_named(folder.path());
    assert_eq!(names(&*data.train, folder.path()), ["a/train/1.png", "b/train/images/1.png"]);
    assert_eq!(names(&*data.test, folder.path()), ["a/test/2.png", "b/test/2.png"]);
}

#[test]
fn classes_within_classes_are_refused_with_the_way_to_go_on() {
    let folder = folder(&["train/x/cat/1.png", "train/x/dog/1.png", "train/y/1.png", "val/y/1.png", "val/x/1.png"]);
    assert!(find(&images::IMAGES, Some(folder.path().to_str().unwrap())).is_ok());
    assert_mentions(
        &refusal(folder.path()),
        &["train/x", "none, but the folders cat, dog", "move the inner folders up"],
    );
}

#[test]
fn class_names_are_the_same_in_both_forms_of_unicode() {
    // é as one letter, and as e with an accent.
    let folder = folder(&["train/caf\u{e9}/1.png", "train/x/1.png", "val/cafe\u{301}/1.png", "val/x/1.png"]);
    let data = load_named(folder.path());
    assert_eq!(data.classes, ["caf\u{e9}", "x"]);
    assert_eq!((labels(&*data.train), labels(&*data.test)), (vec![0, 1], vec![0, 1]));
}

#[test]
fn what_systems_leave_behind_is_no_content() {
    let folder = folder(&["train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"]);
    for name in ["train/a/Thumbs.db", "train/desktop.ini", "val/b/.DS_Store"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    std::fs::create_dir_all(folder.path().join("train/__MACOSX")).unwrap();
    assert_eq!(load_named(folder.path()).train.len(), 2);
}

/// Kaggle's ImageNet: the folder of pictures, with both lists above it.
fn kaggle() -> tempfile::TempDir {
    let pictures = "ILSVRC/Data/CLS-LOC";
    let paths = ["train/n01/n01_1.png", "train/n02/n02_1.png", "val/v1.png", "val/v2.png", "val/v3.png", "test/t1.png"];
    let paths = paths.map(|path| format!("{pictures}/{path}"));
    let folder = folder(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let list = "ImageId,PredictionString\nv3,n01 1 2 3 4 n01 5 6 7 8\nv1,n02 1 2 3 4\nv2,n01 1 2 3 4\n";
    std::fs::write(folder.path().join("LOC_val_solution.csv"), list).unwrap();
    std::fs::write(folder.path().join("LOC_synset_mapping.txt"), "n01 tench, Tinca tinca\nn02 goldfish\n").unwrap();
    folder
}

#[test]
fn imagenet_as_kaggle_has_it_takes_its_classes_from_the_list() {
    let folder = kaggle();
    let inner = folder.path().join("ILSVRC/Data/CLS-LOC");
    for named in [folder.path(), &folder.path().join("ILSVRC"), &inner] {
        assert!(find(&images::IMAGENET, Some(named.to_str().unwrap())).is_ok(), "{}", named.display());
        let data = load(named, &config_of_files()).unwrap();
        let found: BTreeMap<String, usize> = names(&*data.test, &inner).into_iter().zip(labels(&*data.test)).collect();
        let expected = [("val/v1.png", 1), ("val/v2.png", 0), ("val/v3.png", 0)];
        assert_eq!(found, expected.map(|(name, label)| (name.to_owned(), label)).into());
        assert!(data.description().contains("test has no classes and is not read"));
    }
    let list = folder.path().join("LOC_val_solution.csv");
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, format!("{text}v4,n01 1 2 3 4\nv5,n02 1 2 3 4\n")).unwrap();
    assert_mentions(&refusal(folder.path()), &["LOC_val_solution.csv, line 5", "found v4", "1 more files are bad"]);
    let skipping = DataConfig { skip_bad: true, ..config_of_files() };
    assert!(load(folder.path(), &skipping).unwrap().description().contains("2 bad files skipped"));
    std::fs::write(&list, text.replace("v1,n02", "v1,n09")).unwrap();
    assert_mentions(
        &refusal(folder.path()),
        &["LOC_val_solution.csv, line 3", "a class of LOC_synset_mapping.txt, found n09"],
    );
    std::fs::write(&list, text.replace("v2,n01 1 2 3 4\n", "")).unwrap();
    assert_mentions(&refusal(folder.path()), &["val/v2.png", "a picture that LOC_val_solution.csv names"]);
    std::fs::remove_file(&list).unwrap();
    assert_mentions(
        &refusal(folder.path()),
        &["val: expected a folder per class", "3 pictures without classes", "valprep.sh"],
    );
}

#[test]
fn bmp_tiff_and_gif_give_the_pixels_of_png() {
    let picture = RgbImage::from_fn(16, 16, |x, y| Rgb([if x < 8 { 255 } else { 0 }, if y < 8 { 0 } else { 255 }, 51]));
    let of = |extension: &str| {
        let folder = folder(&["train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"]);
        std::fs::remove_file(folder.path().join("train/a/1.png")).unwrap();
        picture.save(folder.path().join("train/a/1").with_extension(extension)).unwrap();
        numbers(&evaluated(&*load(folder.path(), &raw(16)).unwrap().train, &[0]).images)
    };
    let expected = of("png");
    for extension in ["bmp", "tif", "tiff", "gif", "GIF"] {
        assert_eq!(of(extension), expected, "{extension}");
    }
}

//! CIFAR in binary files.

use super::*;

/// Record `number`: its label bytes, then a picture whose pixels tell number and colour.
fn record(labels: &[u8], number: usize) -> Vec<u8> {
    let plane = |colour: usize| (0..1024).map(move |pixel| ((number * 7 + colour * 50 + pixel) % 256) as u8);
    labels.iter().copied().chain((0..3).flat_map(plane)).collect()
}

/// Three classes, two records in each of the files for training, three for testing.
fn cifar10() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let names = (1..=5).map(|number| format!("data_batch_{number}.bin")).chain(["test_batch.bin".to_owned()]);
    for (file, name) in names.enumerate() {
        let numbers = 2 * file..if file < 5 { 2 * file + 2 } else { 13 };
        let records: Vec<u8> = numbers.flat_map(|number| record(&[(number % 3) as u8], number)).collect();
        std::fs::write(folder.path().join(name), records).unwrap();
    }
    std::fs::write(folder.path().join("batches.meta.txt"), "plane\ncar\nbird\n\n").unwrap();
    folder
}

fn cifar100() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["train.bin", "test.bin"] {
        let records: Vec<u8> = (0..4).flat_map(|number| record(&[9, (number % 2) as u8], number)).collect();
        std::fs::write(folder.path().join(name), records).unwrap();
    }
    std::fs::write(folder.path().join("fine_label_names.txt"), "apple\nbee\n").unwrap();
    folder
}

#[test]
fn records_are_read_in_the_order_of_the_files() {
    let folder = cifar10();
    let data = load(folder.path(), &raw(32)).unwrap();
    assert_eq!(data.classes, ["plane", "car", "bird"]);
    assert_eq!((labels(&*data.train), labels(&*data.test)), (vec![0, 1, 2, 0, 1, 2, 0, 1, 2, 0], vec![1, 2, 0]));
    assert!(data.train.name(5).ends_with("data_batch_3.bin: record 1"), "{}", data.train.name(5));
    let batch = evaluated(&*data.train, &[9, 3]);
    for (position, number) in [(0, 9), (1, 3)] {
        let expected: Vec<f32> = record(&[], number).into_iter().map(|byte| f32::from(byte) / 255.0).collect();
        assert_eq!(numbers(&batch.images.get(position)), expected, "record {number}");
    }
    assert_eq!(Vec::<i64>::try_from(&batch.labels).unwrap(), [0, 0]);
}

#[test]
fn the_search_takes_the_first_half_for_weights_and_the_rest_for_alphas() {
    let folder = cifar10();
    let mut config = DataConfig { validation: 0.5, ..config(32, ImageAugmentation::CropFlip) };
    config.images.held_out = HeldOut::Last;
    let data = load(folder.path(), &config).unwrap();
    let held_out = data.validation.unwrap();
    assert_eq!((data.train.len(), held_out.len(), data.test.len()), (5, 5, 3));
    assert!(data.train.name(4).ends_with("data_batch_3.bin: record 0"));
    assert!(held_out.name(0).ends_with("data_batch_3.bin: record 1"));
}

#[test]
fn cifar_100_counts_its_fine_labels() {
    let folder = cifar100();
    let data = load(folder.path(), &raw(32)).unwrap();
    assert_eq!((data.classes.join(" "), labels(&*data.train)), ("apple bee".to_owned(), vec![0, 1, 0, 1]));
    assert_eq!(numbers(&evaluated(&*data.test, &[2]).images)[0], 14.0 / 255.0);
}

#[test]
fn files_that_are_cut_empty_or_missing_are_named() {
    let folder = cifar10();
    let path = |name: &str| folder.path().join(name);
    let good = std::fs::read(path("data_batch_2.bin")).unwrap();
    std::fs::write(path("data_batch_2.bin"), &good[..4000]).unwrap();
    assert_mentions(&refusal(folder.path()), &["data_batch_2.bin", "records of 3073 bytes", "927 bytes in record 1"]);
    std::fs::write(path("data_batch_2.bin"), b"").unwrap();
    assert_mentions(&refusal(folder.path()), &["data_batch_2.bin", "an empty file"]);
    std::fs::remove_file(path("data_batch_2.bin")).unwrap();
    assert_mentions(&refusal(folder.path()), &["test_batch.bin", "found no data_batch_2.bin", "archive"]);
    std::fs::write(path("data_batch_2.bin"), good).unwrap();
    std::fs::write(path("batches.meta.txt"), "\n").unwrap();
    assert_mentions(&refusal(folder.path()), &["batches.meta.txt", "the name of a class per line"]);
}

#[test]
fn a_label_out_of_range_is_named_by_file_and_record() {
    let folder = cifar10();
    let path = folder.path().join("data_batch_4.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3073] = 3;
    std::fs::write(path, bytes).unwrap();
    assert_mentions(&refusal(folder.path()), &["data_batch_4.bin: record 1", "a label from 0 to 2", "found 3"]);
}

#[test]
fn the_two_sets_are_not_taken_for_each_other() {
    let folder = cifar100();
    let named = folder.path().to_str().unwrap();
    assert!(find(&images::CIFAR100, Some(named)).is_ok() && find(&images::IMAGES, Some(named)).is_ok());
    let error = find(&images::CIFAR10, Some(named)).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert_mentions(&error, &["no pictures in a known layout", "cifar-10-binary.tar.gz", "--data synthetic"]);
}

#[test]
fn the_real_cifar_10_has_its_published_sizes_and_statistics() {
    let Some(folder) = real_set("cifar10/cifar-10-batches-bin") else { return };
    let data = load(&folder, &raw(32)).unwrap();
    assert_eq!((data.train.len(), data.test.len(), data.classes.len()), (50_000, 10_000, 10));
    assert_eq!((data.classes[0].as_str(), data.classes[9].as_str()), ("airplane", "truck"));
    let [mean, deviation] = statistics(&evaluated(&*data.train, &(0..50_000).step_by(10).collect::<Vec<_>>()).images);
    // The published statistics; a tenth of the pictures, from a JPEG copy.
    for (found, published) in mean.iter().zip([0.4914, 0.4822, 0.4465]) {
        assert!((found - published).abs() < 0.01, "{mean:?}");
    }
    for (found, published) in deviation.iter().zip([0.2470, 0.2435, 0.2616]) {
        assert!((found - published).abs() < 0.01, "{deviation:?}");
    }
}

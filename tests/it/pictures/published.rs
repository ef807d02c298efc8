//! The same pictures as CIFAR publishes them in binary and for Python, unpacked and in archives; and MNIST's files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// A file's name and its content.
type Files = BTreeMap<String, Vec<u8>>;

/// Labels of a file's records, and the bytes of their pictures.
type Records = (Vec<u8>, Vec<u8>);

/// The records of a file, which no other file has.
fn records(file: usize, count: usize) -> Records {
    let labels = (0..count).map(|number| ((file + number) % 3) as u8).collect();
    let pictures = (0..count * 3072).map(|index| ((index * (file + 3) + index / 11) % 251) as u8).collect();
    (labels, pictures)
}

/// As Python 2 pickles an array of NumPy, which is how CIFAR is published, or as Python 3 does.
fn pickled_array(bytes: &[u8], is_old: bool) -> Vec<u8> {
    let rows = (bytes.len() / 3072) as u8;
    let module: &[u8] = if is_old { b"cnumpy.core.multiarray" } else { b"cnumpy._core.multiarray" };
    let length = (bytes.len() as u32).to_le_bytes();
    let start: &[u8] = if is_old { b"T" } else { b"B" };
    [
        module,
        b"\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01K",
        &[rows],
        b"M\0\x0c\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89",
        start,
        &length,
        bytes,
        b"tb",
    ]
    .concat()
}

/// A text as both write it.
fn pickled_text(text: &str, is_old: bool) -> Vec<u8> {
    let length = text.len() as u8;
    let start = if is_old { vec![b'U', length] } else { vec![b'X', length, 0, 0, 0] };
    [start, text.as_bytes().to_vec()].concat()
}

fn pickled(entries: &[(&str, Vec<u8>)], is_old: bool) -> Vec<u8> {
    let entries = entries.iter().flat_map(|(key, value)| [pickled_text(key, is_old), value.clone()].concat());
    [b"\x80\x02}(".to_vec(), entries.collect(), b"u.".to_vec()].concat()
}

fn pickled_list(items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    [b"](".to_vec(), items.flatten().collect(), b"e".to_vec()].concat()
}

const CLASSES: [&str; 3] = ["plane", "car", "bird"];

/// CIFAR-10, or CIFAR-100 with one training file, in binary.
fn binary(is_ten: bool) -> Files {
    let (names, files, classes) = names(is_ten, ".bin");
    let file = |(number, name): (usize, String)| {
        let (labels, pictures) = records(number, 4);
        let record = |(label, picture): (&u8, &[u8])| {
            let coarse: &[u8] = if is_ten { &[] } else { &[7] };
            [coarse, &[*label], picture].concat()
        };
        (name, labels.iter().zip(pictures.chunks(3072)).flat_map(record).collect())
    };
    let mut all: Files = names.into_iter().enumerate().map(file).collect();
    assert_eq!(all.len(), files);
    all.insert(if is_ten { "batches.meta.txt".to_owned() } else { classes }, CLASSES.join("\n").into_bytes());
    all
}

fn names(is_ten: bool, ending: &str) -> (Vec<String>, usize, String) {
    let ten = (1..=5).map(|number| format!("data_batch_{number}{ending}")).chain([format!("test_batch{ending}")]);
    let hundred = vec![format!("train{ending}"), format!("test{ending}")];
    if is_ten { (ten.collect(), 6, String::new()) } else { (hundred, 2, "fine_label_names.txt".to_owned()) }
}

/// The same for Python.
fn for_python(is_ten: bool, is_old: bool) -> Files {
    let (files, count, _) = names(is_ten, "");
    let (labels_key, names_key, names) = match is_ten {
        true => ("labels", "label_names", "batches.meta"),
        false => ("fine_labels", "fine_label_names", "meta"),
    };
    let file = |(number, name): (usize, String)| {
        let (labels, pictures) = records(number, 4);
        let labels = pickled_list(labels.into_iter().map(|label| vec![b'K', label]));
        let coarse = pickled_list((0..4).map(|_| b"K\x07".to_vec()));
        let entries = [("data", pickled_array(&pictures, is_old)), (labels_key, labels), ("coarse_labels", coarse)];
        (name, pickled(&entries, is_old))
    };
    let mut all: Files = files.into_iter().enumerate().map(file).collect();
    assert_eq!(all.len(), count);
    let classes = pickled_list(CLASSES.iter().map(|class| pickled_text(class, is_old)));
    all.insert(names.to_owned(), pickled(&[(names_key, classes)], is_old));
    all
}

fn write(folder: PathBuf, files: &Files) -> PathBuf {
    std::fs::create_dir_all(&folder).unwrap();
    files.iter().for_each(|(name, content)| std::fs::write(folder.join(name), content).unwrap());
    folder
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// An archive with the files in a folder, in another order than that of their names.
fn archived(files: &Files) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files.iter().rev() {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, Path::new("cifar").join(name), content.as_slice()).unwrap();
    }
    gzipped(&archive.into_inner().unwrap())
}

/// Classes, labels and all pictures of both parts.
fn content(path: &Path) -> (Vec<String>, Vec<usize>, Vec<usize>, Vec<f32>) {
    let data = load(path, &raw(32)).unwrap();
    let all = |samples: &dyn Samples| numbers(&evaluated(samples, &(0..samples.len()).collect::<Vec<_>>()).images);
    let pictures = [all(&*data.train), all(&*data.test)].concat();
    (data.classes.clone(), labels(&*data.train), labels(&*data.test), pictures)
}

#[test]
fn cifar_is_the_same_in_binary_for_python_and_in_archives() {
    for (is_ten, set) in [(true, &images::CIFAR10), (false, &images::CIFAR100)] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let expected = content(&write(path("bin"), &binary(is_ten)));
        assert_eq!(expected.1.len(), if is_ten { 20 } else { 4 });
        let mut places = vec![];
        for is_old in [true, false] {
            let files = for_python(is_ten, is_old);
            places.push(write(path(&format!("python-{is_old}")), &files));
            std::fs::write(path(&format!("python-{is_old}.tar.gz")), archived(&files)).unwrap();
            places.push(path(&format!("python-{is_old}.tar.gz")));
        }
        std::fs::write(path("binary.tgz"), archived(&binary(is_ten))).unwrap();
        places.push(path("binary.tgz"));
        for place in places {
            assert!(content(&place) == expected, "{}", place.display());
            let named = place.to_str().unwrap();
            assert!(find(set, Some(named)).is_ok() && find(&images::IMAGES, Some(named)).is_ok(), "{named}");
            let other = if is_ten { &images::CIFAR100 } else { &images::CIFAR10 };
            assert!(find(other, Some(named)).is_err(), "{named}");
        }
    }
}

#[test]
fn an_archive_is_found_in_the_folder_that_it_was_downloaded_to() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("cifar-10-python.tar.gz"), archived(&for_python(true, true))).unwrap();
    for set in [&images::CIFAR10, &images::IMAGES] {
        let Source::Folder(found) = find(set, Some(named)).unwrap() else { panic!() };
        assert_eq!(labels(&*load(&found, &raw(32)).unwrap().train).len(), 20);
    }
    // With two sets one must be named.
    write(folder.path().join("cifar-100-python"), &for_python(false, true));
    assert!(find(&images::IMAGES, Some(named)).is_err());
    assert!(find(&images::CIFAR100, Some(named)).is_ok() && find(&images::CIFAR10, Some(named)).is_ok());
}

#[test]
fn damaged_pickles_and_archives_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = for_python(true, false);
    let with = |name: &str, content: Vec<u8>| {
        let mut files = files.clone();
        files.insert(name.to_owned(), content);
        refusal(&write(folder.path().join("set"), &files))
    };
    let batch = &files["data_batch_2"];
    assert_mentions(&with("data_batch_2", batch[..5000].to_vec()), &["data_batch_2, byte ", "the file is cut"]);
    let code = b"cposix\nsystem\nX\x02\0\0\0ls\x85R.".to_vec();
    assert_mentions(
        &with("data_batch_2", code),
        &["data_batch_2, byte ", "posix.system", "nothing in a pickle is executed"],
    );
    assert_mentions(&with("data_batch_2", b"}.".to_vec()), &["data_batch_2: expected an array data", "without data"]);
    let fewer = [("data", pickled_array(&records(1, 4).1, true)), ("labels", b"](K\x01e".to_vec())];
    assert_mentions(
        &with("data_batch_2", pickled(&fewer, true)),
        &["data_batch_2: expected 4 integers labels", "a list of 1"],
    );
    let class = [("data", pickled_array(&records(1, 1).1, true)), ("labels", b"](K\x03e".to_vec())];
    let error = with("data_batch_2", pickled(&class, true));
    assert_mentions(&error, &["data_batch_2: record 0: expected a label from 0 to 2, found 3"]);
    assert_mentions(&with("batches.meta", b"].".to_vec()), &["batches.meta: expected the names of the classes"]);

    let path = folder.path().join("cifar-10-python.tar.gz");
    let whole = archived(&files);
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_mentions(
        &refusal(&path),
        &["cifar-10-python.tar.gz: expected a whole compressed file", "download it again"],
    );
    let mut fewer = files.clone();
    fewer.remove("data_batch_3");
    std::fs::write(&path, archived(&fewer)).unwrap();
    assert_mentions(&refusal(&path), &["cifar-10-python.tar.gz: expected the files", "no data_batch_3", "archive"]);
    // A gibibyte of zeros packs to a thousandth.
    let mut bomb = files.clone();
    bomb.insert("data_batch_1".to_owned(), vec![0; 64 << 20]);
    std::fs::write(&path, archived(&bomb)).unwrap();
    assert_mentions(&refusal(&path), &["it unpacks to more than its size allows"]);
}

/// MNIST's files: pictures of 4 by 4 pixels.
fn idx(count: u8) -> [Vec<u8>; 2] {
    let sizes = [4_u32, 4].map(u32::to_be_bytes).concat();
    let count_bytes = u32::from(count).to_be_bytes().to_vec();
    let pictures = (0..usize::from(count) * 16).map(|index| (index * 7 % 256) as u8).collect();
    [
        [vec![0, 0, 8, 3], count_bytes.clone(), sizes, pictures].concat(),
        [vec![0, 0, 8, 1], count_bytes, (0..count).map(|label| label % 3).collect()].concat(),
    ]
}

#[test]
fn grey_pictures_of_mnist_are_read_packed_and_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join("MNIST/raw").join(name);
    std::fs::create_dir_all(path("")).unwrap();
    let ([train, train_labels], [test, test_labels]) = (idx(6), idx(3));
    std::fs::write(path("train-images-idx3-ubyte.gz"), gzipped(&train)).unwrap();
    std::fs::write(path("train-labels.idx1-ubyte"), &train_labels).unwrap();
    std::fs::write(path("t10k-images-idx3-ubyte"), &test).unwrap();
    std::fs::write(path("t10k-labels-idx1-ubyte.gz"), gzipped(&test_labels)).unwrap();
    for named in [folder.path(), &folder.path().join("MNIST/raw")] {
        assert!(find(&images::IMAGES, Some(named.to_str().unwrap())).is_ok());
        let mut config = raw(8);
        config.images.size = 8;
        let data = load(named, &config).unwrap();
        assert_eq!((data.classes.join(" "), labels(&*data.test)), ("0 1 2".to_owned(), vec![0, 1, 2]));
        assert_eq!(labels(&*data.train), [0, 1, 2, 0, 1, 2]);
        let image = evaluated(&*data.train, &[1]).images;
        let colours: Vec<Tensor> = (0..3).map(|colour| image.select(1, colour)).collect();
        assert!(colours[0] == colours[1] && colours[1] == colours[2], "grey");
    }
    std::fs::write(path("t10k-images-idx3-ubyte"), &test[..test.len() - 1]).unwrap();
    assert_mentions(
        &refusal(folder.path()),
        &["t10k-images-idx3-ubyte: expected the elements of an array", "found 47"],
    );
    std::fs::write(path("t10k-images-idx3-ubyte"), &idx(2)[0]).unwrap();
    assert_mentions(
        &refusal(folder.path()),
        &["t10k-labels-idx1-ubyte.gz: expected 2 labels, one per picture, found 3"],
    );
    std::fs::remove_file(path("t10k-images-idx3-ubyte")).unwrap();
    assert_mentions(&refusal(folder.path()), &["no images-idx3-ubyte for test", "t10k"]);
}

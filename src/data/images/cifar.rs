//! CIFAR-10 and CIFAR-100 as published: in binary, records of one byte per label and 3·32·32 bytes of picture, the red
//! plane first, row by row; or for Python, a pickle per file with the same bytes in an array and the labels in a list.
//! Both lie in a folder or in the archive that is downloaded. Records stay in the order of the files.

use std::path::Path;

use super::packed::Files;
use super::pictures::{Loaded, Part, PictureSet};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::pickle::{self, Value};

/// Height and width of the pictures.
pub(super) const SIDE: usize = 32;

/// Pixels of a picture.
const PLANE: usize = SIDE * SIDE;

/// Bytes of a picture.
const PICTURE: usize = 3 * PLANE;

/// How one of the two sets is stored.
pub(super) struct Format {
    train: &'static [&'static str],
    test: &'static str,
    /// The file with the names of the classes.
    names: &'static str,
    coding: Coding,
    /// Records of a published training file and of the test file.
    published: [usize; 2],
}

/// What is in a file.
#[derive(Clone, Copy)]
enum Coding {
    /// So many labels before each picture, of which the last counts: CIFAR-100's coarse label comes first.
    Binary(usize),
    /// A dictionary with the labels under this key; names of classes are under the other.
    Pickle(&'static str, &'static str),
}

/// CIFAR-10.
const TEN: Format = Format {
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    names: "batches.meta.txt",
    coding: Coding::Binary(1),
    published: [10_000, 10_000],
};

/// CIFAR-100.
const HUNDRED: Format = Format {
    train: &["train.bin"],
    test: "test.bin",
    names: "fine_label_names.txt",
    coding: Coding::Binary(2),
    published: [50_000, 10_000],
};

/// CIFAR-10 for Python.
const TEN_PICKLED: Format = Format {
    train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
    test: "test_batch",
    names: "batches.meta",
    coding: Coding::Pickle("labels", "label_names"),
    published: TEN.published,
};

/// CIFAR-100 for Python.
const HUNDRED_PICKLED: Format = Format {
    train: &["train"],
    test: "test",
    names: "meta",
    coding: Coding::Pickle("fine_labels", "fine_label_names"),
    published: HUNDRED.published,
};

/// All.
pub(super) static FORMATS: [Format; 4] = [TEN, HUNDRED, TEN_PICKLED, HUNDRED_PICKLED];

impl Format {
    /// True for the name of a file with records.
    pub(super) fn has_records(&self, name: &str) -> bool {
        self.train.contains(&name) || self.test == name
    }

    /// True where these files are some of the set's. `train` and `test` alone might be anything, so CIFAR-100 for Python
    /// must have its names beside them.
    pub(super) fn is_among(&self, is_there: impl Fn(&str) -> bool) -> bool {
        let names = self.test != HUNDRED_PICKLED.test || is_there(self.names);
        names && self.train.iter().chain([&self.test]).any(|name| is_there(name))
    }

    /// True for CIFAR-100.
    pub(super) fn has_hundred_classes(&self) -> bool {
        self.train.len() == 1
    }

    fn files(&self) -> Vec<&'static str> {
        self.train.iter().copied().chain([self.test, self.names]).collect()
    }

    /// The files with records, their part, and how many records the published one has.
    fn parts(&self) -> impl Iterator<Item = (&'static str, Split, usize)> {
        let train = self.train.iter().map(|file| (*file, Split::Train, self.published[0]));
        train.chain([(self.test, Split::Test, self.published[1])])
    }

    /// What the extensions of the files are called, and how many files these are.
    fn counted(&self, files: &Files) -> (String, usize) {
        match self.coding {
            _ if files.are_packed() => ("tar.gz".to_owned(), 1),
            Coding::Binary(_) => ("bin".to_owned(), self.train.len() + 1),
            Coding::Pickle(..) => ("pickle".to_owned(), self.train.len() + 1),
        }
    }
}

/// The records of a file: labels, and where the picture of each begins.
struct Records {
    place: String,
    labels: Vec<i64>,
    bytes: Box<dyn AsRef<[u8]>>,
    /// Bytes before the first picture, and from one to the next.
    first: usize,
    step: usize,
}

impl Records {
    /// Name, class, and red, green and blue one after the other.
    fn each(&self, classes: usize) -> impl Iterator<Item = (String, Result<usize>, &[u8])> {
        let bytes = (*self.bytes).as_ref();
        self.labels.iter().enumerate().map(move |(number, label)| {
            let name = format!("{}: record {number}", self.place);
            let class = check_label(*label, classes, &name);
            (name, class, &bytes[self.first + number * self.step..][..PICTURE])
        })
    }
}

/// Reads the set.
///
/// # Errors
/// A file that is not there, that ends within a record, or holds a label that has no name: with file and record.
pub(super) fn read(path: &Path, format: &Format) -> Result<PictureSet> {
    let (mut files, classes) = open(path, format)?;
    let none = || Part { labels: Vec::new(), pictures: Loaded { names: Vec::new(), side: SIDE, bytes: Vec::new() } };
    let (mut train, mut test) = (none(), none());
    for (file, split, published) in format.parts() {
        let part = if split == Split::Test { &mut test } else { &mut train };
        for (name, class, picture) in records(&mut files, file, format, published)?.each(classes.len()) {
            part.labels.push(class?);
            part.pictures.names.push(name);
            append_picture(picture, &mut part.pictures.bytes);
        }
    }
    Ok(PictureSet::loaded(classes, path.display().to_string(), train, test))
}

/// Where a record stands, its part of the set, and its class or what is wrong with it.
pub(super) type Outcome = (String, Split, Result<usize>);

/// What a set is: its classes, its files by extension, and of every record its name, its part and its label, or why it
/// won't do; a file that is cut stands for its records.
pub(super) struct Look {
    pub classes: Vec<String>,
    pub files: (String, usize),
    pub records: Vec<Outcome>,
}

/// Looks at every record.
///
/// # Errors
/// A file that is not there, or no names.
pub(super) fn look(path: &Path, format: &Format) -> Result<Look> {
    let (mut files, classes) = open(path, format)?;
    let mut looked = Vec::new();
    for (file, split, published) in format.parts() {
        match records(&mut files, file, format, published) {
            Err(error) => looked.push((files.place(file), split, Err(error))),
            Ok(records) => looked.extend(records.each(classes.len()).map(|(name, class, _)| (name, split, class))),
        }
    }
    Ok(Look { files: format.counted(&files), classes, records: looked })
}

/// The files of the set, all of which are there, and the names of its classes.
fn open(path: &Path, format: &Format) -> Result<(Files, Vec<String>)> {
    let wanted = format.files();
    let mut files = Files::open(path, &wanted)?;
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !files.has(name)).collect();
    if !missing.is_empty() {
        let found = format!("no {}", missing.join(", no "));
        return Err(Error::invalid(path, format!("the files {}", wanted.join(", ")), found)
            .with_hint("download the published archive again, and unpack it or name it as it is"));
    }
    let (content, place) = (files.take(format.names)?, files.place(format.names));
    let classes = match format.coding {
        Coding::Binary(_) => names_of(&String::from_utf8_lossy(&content), &place)?,
        Coding::Pickle(_, key) => pickled_names(&content, key, &place)?,
    };
    Ok((files, classes))
}

/// The names of a text, one per line.
pub(super) fn names_of(text: &str, place: &str) -> Result<Vec<String>> {
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if names.is_empty() {
        return Err(Error::invalid(place, "the name of a class per line", "none"));
    }
    Ok(names)
}

fn pickled_names(content: &[u8], key: &str, place: &str) -> Result<Vec<String>> {
    let value = unpickled(content, place)?;
    let names = value.get(key).and_then(Value::items);
    let names = names.and_then(|names| names.iter().map(Value::text).collect::<Option<Vec<&str>>>());
    match names {
        Some(names) => names_of(&names.join("\n"), place),
        _ => Err(Error::invalid(place, format!("the names of the classes, a list {key}"), found(&value, key))),
    }
}

fn unpickled(content: &[u8], place: &str) -> Result<Value> {
    pickle::read(content, place, &[]).map_err(|error| match error.hint() {
        Some(_) => error,
        None => error.with_hint("the file is damaged, or no part of the set: unpack the published archive again"),
    })
}

fn found(value: &Value, key: &str) -> String {
    value.get(key).map_or_else(|| format!("{} without {key}", value.name()), Value::name)
}

/// Reads a file with this content as one of a set of so many classes: the number of its pictures.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(content: &[u8], format: &Format, classes: usize) -> Result<usize> {
    let records = decoded(content.to_vec(), "a batch".to_owned(), format)?;
    let mut bytes = Vec::new();
    for (_, class, picture) in records.each(classes) {
        class?;
        append_picture(picture, &mut bytes);
    }
    Ok(records.labels.len())
}

/// The records of a file; a warning where the published one has another number of them.
fn records(files: &mut Files, file: &str, format: &Format, published: usize) -> Result<Records> {
    let records = decoded(files.take(file)?, files.place(file), format)?;
    if records.labels.len() != published {
        let (place, found) = (&records.place, records.labels.len());
        tracing::warn!("{place}: {found} records, where the published file has {published}");
    }
    Ok(records)
}

fn decoded(content: Vec<u8>, place: String, format: &Format) -> Result<Records> {
    match format.coding {
        Coding::Binary(labels) => binary(content, place, labels),
        Coding::Pickle(key, _) => pickled(&content, place, key),
    }
}

fn binary(content: Vec<u8>, place: String, labels: usize) -> Result<Records> {
    let length = labels + PICTURE;
    let records = content.chunks_exact(length);
    let rest = records.remainder().len();
    if rest > 0 || content.is_empty() {
        let found = match records.len() {
            0 if rest == 0 => "an empty file".to_owned(),
            whole => format!("{rest} bytes in record {whole}, the last one"),
        };
        return Err(Error::invalid(place, format!("records of {length} bytes"), found)
            .with_hint("the file was cut: get it again, in the binary version of the set"));
    }
    let label = |record: &[u8]| record[labels - 1].into();
    Ok(Records { place, labels: records.map(label).collect(), bytes: Box::new(content), first: labels, step: length })
}

fn pickled(content: &[u8], place: String, key: &str) -> Result<Records> {
    let value = unpickled(content, &place)?;
    let data = match value.get("data") {
        Some(Value::Array(array))
            if &*array.kind == "|u1" && !array.is_fortran && matches!(array.shape[..], [_, 3072] | [_, 3, 32, 32]) =>
        {
            array
        }
        _ => {
            let expected = "an array data of pictures, of type uint8 and shape (N, 3072)";
            return Err(Error::invalid(place, expected, found(&value, "data")));
        }
    };
    let labels = value.get(key).and_then(Value::integers).filter(|labels| labels.len() as u64 == data.shape[0]);
    let Some(labels) = labels else {
        let expected = format!("{} integers {key}, one per picture", data.shape[0]);
        return Err(Error::invalid(place, expected, found(&value, key)));
    };
    Ok(Records { place, labels, bytes: Box::new(std::sync::Arc::clone(&data.data)), first: 0, step: PICTURE })
}

fn check_label(label: i64, classes: usize, place: &str) -> Result<usize> {
    match usize::try_from(label) {
        Ok(label) if label < classes => Ok(label),
        _ => Err(Error::invalid(place, format!("a label from 0 to {}", classes - 1), label.to_string())
            .with_hint("the file is damaged, or belongs to another set")),
    }
}

/// Three planes become three bytes per pixel.
fn append_picture(planes: &[u8], bytes: &mut Vec<u8>) {
    let (red, others) = planes.split_at(PLANE);
    let (green, blue) = others.split_at(PLANE);
    for ((red, green), blue) in red.iter().zip(green).zip(blue) {
        bytes.extend([*red, *green, *blue]);
    }
}

//! CIFAR-10 and CIFAR-100 as published in binary: records of one byte per label and 3·32·32 bytes of picture, the
//! red plane first, row by row. Records stay in the order of the files.

use std::path::Path;

use super::pictures::{Loaded, Part, PictureSet};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading;

/// Height and width of the pictures.
pub(super) const SIDE: usize = 32;

/// Pixels of a picture.
const PLANE: usize = SIDE * SIDE;

/// How one of the two sets is stored.
pub(super) struct Format {
    train: &'static [&'static str],
    test: &'static str,
    /// The file with the name of a class per line.
    names: &'static str,
    /// Labels before each picture, of which the last counts: CIFAR-100's coarse label comes first.
    labels: usize,
    /// Records of a published training file and of the test file.
    published: [usize; 2],
}

impl Format {
    /// Bytes of a record.
    fn record(&self) -> usize {
        self.labels + 3 * PLANE
    }

    /// The number of its files with records.
    pub fn files(&self) -> usize {
        self.train.len() + 1
    }
}

/// CIFAR-10.
pub(super) const TEN: Format = Format {
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    names: "batches.meta.txt",
    labels: 1,
    published: [10_000, 10_000],
};

/// CIFAR-100.
pub(super) const HUNDRED: Format = Format {
    train: &["train.bin"],
    test: "test.bin",
    names: "fine_label_names.txt",
    labels: 2,
    published: [50_000, 10_000],
};

/// Reads the set.
///
/// # Errors
/// A file that is not there, that ends within a record, or holds a label that has no name: with file and record.
pub(super) fn read(folder: &Path, format: &Format) -> Result<PictureSet> {
    require_files(folder, format)?;
    let classes = read_names(&folder.join(format.names))?;
    let part = |files: &[&str], published: usize| -> Result<Part<Loaded>> {
        let mut part =
            Part { labels: Vec::new(), pictures: Loaded { names: Vec::new(), side: SIDE, bytes: Vec::new() } };
        for file in files {
            read_file(&folder.join(file), format, classes.len(), published, &mut part)?;
        }
        Ok(part)
    };
    let (train, test) = (part(format.train, format.published[0])?, part(&[format.test], format.published[1])?);
    Ok(PictureSet::loaded(classes, folder.display().to_string(), train, test))
}

fn require_files(folder: &Path, format: &Format) -> Result<()> {
    let wanted: Vec<&str> = format.train.iter().copied().chain([format.test, format.names]).collect();
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !reading::is_there(&folder.join(name))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let found = format!("no {}", missing.join(", no "));
    Err(Error::invalid(folder.display().to_string(), format!("the files {}", wanted.join(", ")), found)
        .with_hint("unpack the published archive again"))
}

fn read_names(path: &Path) -> Result<Vec<String>> {
    names_of(&reading::text(path, reading::LIST)?, path)
}

/// The same of a file's text.
pub(super) fn names_of(text: &str, path: &Path) -> Result<Vec<String>> {
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if names.is_empty() {
        return Err(Error::invalid(path.display().to_string(), "the name of a class per line", "none"));
    }
    Ok(names)
}

/// Where a record stands, its part of the set, and its class or what is wrong with it.
pub(super) type Outcome = (String, Split, Result<usize>);

/// The classes of the set, and of every record its name, its part and its label, or why it won't do; a file that is
/// cut stands for its records.
///
/// # Errors
/// A file that is not there, or no names.
pub(super) fn look(folder: &Path, format: &Format) -> Result<(Vec<String>, Vec<Outcome>)> {
    require_files(folder, format)?;
    let classes = read_names(&folder.join(format.names))?;
    let train = format.train.iter().map(|file| (*file, Split::Train, format.published[0]));
    let mut looked = Vec::new();
    for (file, split, published) in train.chain([(format.test, Split::Test, format.published[1])]) {
        let path = folder.join(file);
        match read_content(&path, format, published) {
            Err(error) => looked.push((path.display().to_string(), split, Err(error))),
            Ok(content) => looked.extend(records(&path, &content, format, classes.len()).map(|record| {
                let Record { name, label, .. } = record;
                (name, split, label)
            })),
        }
    }
    Ok((classes, looked))
}

/// Reads a file with this content as one of a set of so many classes: the number of its pictures.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(content: &[u8], path: &Path, format: &Format, classes: usize) -> Result<usize> {
    let mut part = Part { labels: Vec::new(), pictures: Loaded { names: Vec::new(), side: SIDE, bytes: Vec::new() } };
    check_content(content, path, format, content.len() / format.record())?;
    add_records(content, path, format, classes, &mut part)?;
    Ok(part.labels.len())
}

/// One record of a file.
struct Record<'a> {
    name: String,
    label: Result<usize>,
    /// Red, green and blue one after the other.
    picture: &'a [u8],
}

/// Appends the records of a file.
fn read_file(path: &Path, format: &Format, classes: usize, published: usize, part: &mut Part<Loaded>) -> Result<()> {
    add_records(&read_content(path, format, published)?, path, format, classes, part)
}

/// Appends the records of a file with this content.
fn add_records(content: &[u8], path: &Path, format: &Format, classes: usize, part: &mut Part<Loaded>) -> Result<()> {
    for Record { name, label, picture } in records(path, content, format, classes) {
        part.labels.push(label?);
        part.pictures.names.push(name);
        append_picture(picture, &mut part.pictures.bytes);
    }
    Ok(())
}

/// The bytes of a file, whole records.
fn read_content(path: &Path, format: &Format, published: usize) -> Result<Vec<u8>> {
    let content = reading::bytes(path)?;
    check_content(&content, path, format, published)?;
    Ok(content)
}

/// Refuses a content that is not of whole records.
fn check_content(content: &[u8], path: &Path, format: &Format, published: usize) -> Result<()> {
    let place = path.display().to_string();
    let length = format.record();
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
    if records.len() != published {
        tracing::warn!("{place}: {} records, where the published file has {published}", records.len());
    }
    Ok(())
}

/// The records of a file of these bytes.
fn records<'a>(path: &Path, content: &'a [u8], format: &Format, classes: usize) -> impl Iterator<Item = Record<'a>> {
    let place = path.display().to_string();
    content.chunks_exact(format.record()).enumerate().map(move |(number, record)| {
        let name = format!("{place}: record {number}");
        let (labels, picture) = record.split_at(format.labels);
        Record { label: check_label(labels[format.labels - 1], classes, &name), name, picture }
    })
}

fn check_label(label: u8, classes: usize, place: &str) -> Result<usize> {
    let label = usize::from(label);
    if label < classes {
        return Ok(label);
    }
    Err(Error::invalid(place, format!("a label from 0 to {}", classes - 1), label.to_string())
        .with_hint("the file is damaged, or belongs to another set"))
}

/// Three planes become three bytes per pixel.
fn append_picture(planes: &[u8], bytes: &mut Vec<u8>) {
    let (red, others) = planes.split_at(PLANE);
    let (green, blue) = others.split_at(PLANE);
    for ((red, green), blue) in red.iter().zip(green).zip(blue) {
        bytes.extend([*red, *green, *blue]);
    }
}

//! The readers of pictures by what they read, from bytes; see [`crate::data::parsers`].

use std::path::Path;

use super::{cifar, decode, idx, packed};
use crate::data::gzip;
use crate::error::Result;

/// Reads records of CIFAR-10, or of CIFAR-100 where `hundred` says so.
///
/// # Errors
/// What is not of whole records, or has labels of no class.
pub fn cifar(content: &[u8], hundred: bool) -> Result<()> {
    cifar_of(content, false, hundred)
}

/// The same of a file for Python.
///
/// # Errors
/// As [`cifar`].
pub fn pickled_cifar(content: &[u8], hundred: bool) -> Result<()> {
    cifar_of(content, true, hundred)
}

fn cifar_of(content: &[u8], is_pickled: bool, hundred: bool) -> Result<()> {
    let format = &cifar::FORMATS[2 * usize::from(is_pickled) + usize::from(hundred)];
    cifar::parse(content, format, if hundred { 100 } else { 10 }).map(|_| ())
}

/// Reads an array of pictures as MNIST stores it, and the labels that `content` has as its last bytes.
///
/// # Errors
/// What is none, is cut, or has another number of labels.
pub fn idx(content: &[u8]) -> Result<()> {
    let content = gzip::unpacked(content.to_vec(), "pictures.gz")?;
    let at = content.windows(4).rposition(|bytes| bytes == [0, 0, 8, 1]).unwrap_or(content.len());
    idx::parse(&content[..at], &content[at..]).map(|_| ())
}

/// Goes through an archive of a set.
///
/// # Errors
/// A damaged archive, one that unpacks to more than its size allows.
pub fn archive(content: &[u8]) -> Result<()> {
    packed::read_archive(content, "set.tar.gz", &["data_batch_1.bin", "test_batch.bin"]).map(|_| ())
}

/// Reads the names of CIFAR's classes, one per line.
///
/// # Errors
/// A list without any.
pub fn cifar_names(text: &str) -> Result<()> {
    cifar::names_of(text, "batches.meta.txt").map(|_| ())
}

/// Reads a picture of any format.
///
/// # Errors
/// What is none, or too large.
pub fn picture(content: &[u8]) -> Result<()> {
    decode::parse(content, Path::new("picture")).map(|_| ())
}

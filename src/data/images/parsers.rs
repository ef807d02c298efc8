//! The readers of pictures by what they read, from bytes; see [`crate::data::parsers`].

use std::path::Path;

use super::{cifar, decode};
use crate::error::Result;

/// Reads records of CIFAR-10, or of CIFAR-100 where `hundred` says so.
///
/// # Errors
/// What is not of whole records, or has labels of no class.
pub fn cifar(content: &[u8], hundred: bool) -> Result<()> {
    let (format, classes) = if hundred { (&cifar::HUNDRED, 100) } else { (&cifar::TEN, 10) };
    cifar::parse(content, Path::new("data_batch_1.bin"), format, classes).map(|_| ())
}

/// Reads the names of CIFAR's classes, one per line.
///
/// # Errors
/// A list without any.
pub fn cifar_names(text: &str) -> Result<()> {
    cifar::names_of(text, Path::new("batches.meta.txt")).map(|_| ())
}

/// Reads a JPEG, PNG or WebP picture.
///
/// # Errors
/// What is none, or too large.
pub fn picture(content: &[u8]) -> Result<()> {
    decode::parse(content, Path::new("picture")).map(|_| ())
}

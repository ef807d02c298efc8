//! The readers of shapes by what they read, from bytes; see [`crate::data::parsers`].

use std::path::Path;

use super::augmentation::{Normalization, PointOrder};
use super::config::Hdf5DataConfig;
use super::format::Format;
use super::hdf5_set::{self, Wanted};
use super::shape::{Reading, Shape};
use super::taxonomy;
use crate::data::division::{by_table, listed};
use crate::data::hdf5;
use crate::data::split::Split;
use crate::error::Result;
use crate::tensor::random::{Key, Purpose};

/// Points that are drawn of every shape that is read.
const DRAWN: usize = 16;

/// Reads a shape of the format with this extension, checks it, and draws points of it. Panics for an unknown extension.
///
/// # Errors
/// What is not of its format, or no shape.
pub fn shape(extension: &str, content: &[u8]) -> Result<()> {
    let name = format!("shape.{extension}");
    let format = Format::of(Path::new(&name)).expect("the caller knows the extensions");
    let raw = format.parse(content, &name)?;
    let reading = Reading { normalization: Normalization::Cube, minimum_points: 1, ..Reading::default() };
    let shape = Shape::new(raw, &name, &reading)?;
    let mut generator = Key::new(0, Purpose::Evaluation).generator();
    shape.sample(DRAWN, PointOrder::Random, &mut generator, &mut Vec::new());
    Ok(())
}

/// Reads the clouds, normals and labels of an HDF5 file as ModelNet40's are; ten classes.
///
/// # Errors
/// What is no such file.
pub fn modelnet_hdf5(content: Vec<u8>) -> Result<()> {
    let path = Path::new("ply_data_train0.h5");
    let file = hdf5::from_bytes(content, path)?;
    let config = Hdf5DataConfig::default();
    let wanted = Wanted { split: Split::Train, classes: Some(10), normals: false, config: &config };
    hdf5_set::read_open(&file, path, wanted)?;
    hdf5_set::read_open(&file, path, Wanted { normals: true, ..wanted }).map(|_| ())
}

/// Reads the names of classes, one per line.
///
/// # Errors
/// A list without any.
pub fn shape_names(text: &str) -> Result<()> {
    hdf5_set::names_of(text, Path::new("shape_names.txt")).map(|_| ())
}

/// Reads ShapeNet's names of synsets.
///
/// # Errors
/// What is no such list.
pub fn taxonomy(text: &str) -> Result<()> {
    taxonomy::names(text, Path::new("taxonomy.json")).map(|_| ())
}

/// Reads a list of the files `chair/a.off`, `chair/b.off` and `sofa/a.off`.
///
/// # Errors
/// A list that names others, or none.
pub fn file_list(text: &str) -> Result<()> {
    listed(Path::new(""), &files(), text, Path::new("train.txt")).map(|_| ())
}

/// Reads a table of the same files and their parts.
///
/// # Errors
/// A table without these columns, or of other files.
pub fn parts_table(text: &str) -> Result<()> {
    by_table(Path::new(""), &files(), text, Path::new("all.csv")).map(|_| ())
}

fn files() -> [(&'static str, &'static Path); 3] {
    let files = [("chair", "chair/a.off"), ("chair", "chair/b.off"), ("sofa", "sofa/a.off")];
    files.map(|(class, path)| (class, Path::new(path)))
}

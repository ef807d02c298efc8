//! The readers of labelled clouds by what they read, from bytes; see [`crate::data::parsers`].

use std::path::Path;

use super::cloud::Reading;
use super::labels::{ClassList, Labelling};
use super::{s3dis, semantic_kitti, shapenet};
use crate::data::hdf5;
use crate::data::points::augmentation::Normalization;
use crate::data::points::features::Features;
use crate::data::points::format::{Format, Raw};
use crate::data::points::intake::Intake;
use crate::error::Result;

/// Reads a cloud with a column of labels, of the format with this extension, and cuts it into blocks. Panics for an unknown
/// extension.
///
/// # Errors
/// What is not of its format, or no labelled cloud.
pub fn labelled_cloud(extension: &str, content: &[u8]) -> Result<()> {
    let name = format!("cloud.{extension}");
    let format = Format::of(Path::new(&name)).expect("the caller knows the extensions");
    let raw = format.parse(content, &name)?;
    cut(raw, "last", &name)
}

/// Reads a scan of SemanticKITTI and its labels, and cuts it into blocks.
///
/// # Errors
/// What is no such scan, or labels of other points.
pub fn semantic_kitti(points: &[u8], labels: &[u8]) -> Result<()> {
    let [scan, beside] = ["a.bin", "a.label"].map(Path::new);
    cut(semantic_kitti::parse((points, scan), (labels, beside))?, "label", "a.bin")
}

/// Takes a column's labels and cuts the cloud into blocks.
fn cut(raw: Raw, column: &str, name: &str) -> Result<()> {
    let labelling = Labelling { column: Some(column.to_owned()), unlabelled: -1, list: None };
    let (_, classes) = labelling.classes(&raw, name)?;
    let reading = Reading {
        features: Features::default(),
        normalization: Normalization::Cube,
        block: 1.0,
        intake: Intake::default(),
    };
    reading.cut(raw, &classes, name).map(|_| ())
}

/// Reads the names of classes, with or without numbers.
///
/// # Errors
/// A list that is none.
pub fn class_list(text: &str) -> Result<()> {
    ClassList::parse(text, Path::new("classes.txt")).map(|_| ())
}

/// Reads a file of blocks of S3DIS.
///
/// # Errors
/// What is no such file.
pub fn s3dis_hdf5(content: Vec<u8>) -> Result<()> {
    let path = Path::new("ply_data_all_0.h5");
    let file = hdf5::from_bytes(content, path)?;
    let blocks = s3dis::File::read_open(&file, path)?;
    let rooms = vec!["Area_1_hall_1".to_owned(); blocks.blocks()];
    let features = Features::parse(&s3dis::FEATURES.map(str::to_owned))?;
    let channels = s3dis::channels(&features)?;
    let reading =
        Reading { features, normalization: Normalization::Cube, block: s3dis::BLOCK, intake: Intake::default() };
    blocks.into_items(&rooms, 1, &channels, &reading).into_iter().try_for_each(|item| item.clouds.map(|_| ()))
}

/// Reads the categories of ShapeNet's parts and their numbers.
///
/// # Errors
/// A list that is none.
pub fn shapenet_categories(text: &str) -> Result<()> {
    shapenet::count_categories(text, Path::new("synsetoffset2category.txt")).map(|_| ())
}

/// Reads a part per point, as `.seg` files of ShapeNet's parts have them.
///
/// # Errors
/// A line without a whole number.
pub fn shapenet_labels(content: &[u8]) -> Result<()> {
    shapenet::labels_of(content, "a.seg").map(|_| ())
}

/// Reads a list of shapes in JSON, as ShapeNet's parts have them.
///
/// # Errors
/// What is no such list.
pub fn shapenet_list(text: &str) -> Result<()> {
    shapenet::list_of(text, Path::new("shuffled_train_file_list.json")).map(|_| ())
}

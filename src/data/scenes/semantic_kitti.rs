//! Scans of SemanticKITTI: `sequences/<n>/velodyne/FILE.bin` with `sequences/<n>/labels/FILE.label`.

use std::path::{Path, PathBuf};

use crate::data::folders::file_name;
use crate::data::points::format::Raw;
use crate::error::{Error, Result};
use crate::reading;

/// The classes of SemanticKITTI.
pub(super) const CLASSES: [&str; 19] = [
    "car",
    "bicycle",
    "motorcycle",
    "truck",
    "other-vehicle",
    "person",
    "bicyclist",
    "motorcyclist",
    "road",
    "parking",
    "sidewalk",
    "other-ground",
    "building",
    "fence",
    "vegetation",
    "trunk",
    "terrain",
    "pole",
    "traffic-sign",
];

/// Its labels, those of moving things too, by the classes that they are of; all others are of none.
const LABELS: [(u32, usize); 30] = [
    (10, 0),
    (11, 1),
    (13, 4),
    (15, 2),
    (16, 4),
    (18, 3),
    (20, 4),
    (30, 5),
    (31, 6),
    (32, 7),
    (40, 8),
    (44, 9),
    (48, 10),
    (49, 11),
    (50, 12),
    (51, 13),
    (60, 8),
    (70, 14),
    (71, 15),
    (72, 16),
    (80, 17),
    (81, 18),
    (252, 0),
    (253, 6),
    (254, 5),
    (255, 7),
    (256, 4),
    (257, 4),
    (258, 3),
    (259, 4),
];

/// A scan, with the labels of the file of the same name in `labels`, beside the folder of scans.
pub(super) fn read(scan: &Path) -> Result<Raw> {
    let name = PathBuf::from(file_name(scan)).with_extension("label");
    let labels = scan.parent().and_then(Path::parent).unwrap_or(scan).join("labels").join(name);
    parse((&reading::bytes(scan)?, scan), (&reading::bytes(&labels)?, &labels))
}

/// Four numbers of 32 bits per point, and for each a label of 32 bits, of which the lower half is the class.
pub(super) fn parse((points, scan): (&[u8], &Path), (labels, beside): (&[u8], &Path)) -> Result<Raw> {
    let refused = |path: &Path, expected: String, found: &[u8]| {
        Error::invalid(path.display().to_string(), expected, format!("{} bytes", found.len()))
    };
    let (rows, rest) = points.as_chunks::<16>();
    if !rest.is_empty() || rows.is_empty() {
        let expected = "points of 16 bytes: x, y, z and remission in 32 bits each";
        return Err(refused(scan, expected.to_owned(), points));
    }
    if labels.len() != 4 * rows.len() {
        return Err(refused(beside, format!("a label of 4 bytes for each of {} points", rows.len()), labels));
    }
    let number = |row: &[u8; 16], at: usize| f64::from(f32::from_le_bytes(row.as_chunks().0[at]));
    let column = |at| rows.iter().map(|row| number(row, at)).collect();
    let names = ["x", "y", "z", "remission"].into_iter().enumerate();
    let mut columns: Vec<(String, Vec<f64>)> = names.map(|(at, name)| (name.to_owned(), column(at))).collect();
    let class = |label: &[u8; 4]| {
        let label = u32::from_le_bytes(*label) & 0xffff;
        let known = LABELS.iter().find(|(known, _)| *known == label);
        known.map_or(f64::NAN, |(_, class)| *class as f64)
    };
    columns.push(("label".to_owned(), labels.as_chunks().0.iter().map(class).collect()));
    Ok(Raw { columns, ..Raw::default() })
}

//! Scans of SemanticKITTI: `sequences/<n>/velodyne/FILE.bin` with `sequences/<n>/labels/FILE.label`.

use std::path::{Path, PathBuf};

use crate::data::folders::file_name;
use crate::data::points::format::Raw;
use crate::error::{Error, Result};
use crate::reading;

/// The classes of SemanticKITTI, each with its labels, those of moving things too; all other labels are of none.
const LABELS: [(&str, &[u32]); 19] = [
    ("car", &[10, 252]),
    ("bicycle", &[11]),
    ("motorcycle", &[15]),
    ("truck", &[18, 258]),
    ("other-vehicle", &[13, 16, 20, 256, 257, 259]),
    ("person", &[30, 254]),
    ("bicyclist", &[31, 253]),
    ("motorcyclist", &[32, 255]),
    ("road", &[40, 60]),
    ("parking", &[44]),
    ("sidewalk", &[48]),
    ("other-ground", &[49]),
    ("building", &[50]),
    ("fence", &[51]),
    ("vegetation", &[70]),
    ("trunk", &[71]),
    ("terrain", &[72]),
    ("pole", &[80]),
    ("traffic-sign", &[81]),
];

/// The names of the classes.
pub(super) const CLASSES: [&str; LABELS.len()] = {
    let mut names = [""; LABELS.len()];
    let mut class = 0;
    while class < names.len() {
        names[class] = LABELS[class].0;
        class += 1;
    }
    names
};

/// A scan, with the labels of the file of the same name in `labels`, beside the folder of scans.
pub(super) fn read(scan: &Path) -> Result<Raw> {
    let name = PathBuf::from(file_name(scan)).with_extension("label");
    let labels = scan.parent().and_then(Path::parent).unwrap_or(scan).join("labels").join(name);
    parse((&reading::bytes(scan)?, scan), (&reading::bytes(&labels)?, &labels))
}

/// Four numbers of 32 bits per point, and for each a label of 32 bits, of which the lower half is the class.
pub(super) fn parse((points, scan): (&[u8], &Path), (labels, beside): (&[u8], &Path)) -> Result<Raw> {
    let refused =
        |path: &Path, expected: String, found: &[u8]| Error::invalid(path, expected, format!("{} bytes", found.len()));
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
        LABELS.iter().position(|(_, labels)| labels.contains(&label)).map_or(f64::NAN, |class| class as f64)
    };
    columns.push(("label".to_owned(), labels.as_chunks().0.iter().map(class).collect()));
    Ok(Raw { columns, ..Raw::default() })
}

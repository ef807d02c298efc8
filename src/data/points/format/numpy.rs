//! NumPy arrays: `.npy`, and `.npz` with one array of points.
//!
//! An array of shape (points, columns) of any integer or float type, in C or Fortran order, or a structured array
//! of shape (points,) with named fields. Archives are unpacked by the crate `zip`.
//!
//! The header is read here: the crate `npyz` (0.9) multiplies a lying shape until it panics, recurses as deep as
//! the header has brackets, and reads structured arrays into structures that must be known when it is compiled.

mod header;

use std::io::{Cursor, Read};

use half::f16;
use zip::ZipArchive;

use super::Raw;
use super::columns::{self, Column};
use super::scan::cut;
use crate::error::{Error, Result};
use header::{Element, Field, Header};

/// The arrays of an archive that may hold its points, the best name first.
const POINTS: [&str; 4] = ["points", "pos", "xyz", "arr_0"];

/// How a ZIP archive begins, an empty one too.
const ARCHIVES: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// The columns of a `.npy` or `.npz` file; which of them it is, its first bytes say.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    if ARCHIVES.iter().any(|start| bytes.starts_with(start)) {
        let (name, array) = unpack(bytes, place)?;
        return parse_array(&array, &format!("{place}, array {name}"));
    }
    parse_array(bytes, place)
}

/// The array of points in an archive: its name and its bytes.
fn unpack(bytes: &[u8], place: &str) -> Result<(String, Vec<u8>)> {
    let refuse = |error: String| Error::invalid(place, "a whole .npz archive", error);
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| refuse(error.to_string()))?;
    let names: Vec<String> =
        archive.file_names().filter_map(|name| name.strip_suffix(".npy")).map(str::to_owned).collect();
    let preferred = POINTS.into_iter().find(|points| names.iter().any(|name| name == points));
    let name = match (names.as_slice(), preferred) {
        ([only], _) => only.clone(),
        (_, Some(points)) => points.to_owned(),
        _ => return Err(choice_error(names, place)),
    };
    let mut array = Vec::new();
    let mut file = archive.by_name(&format!("{name}.npy")).map_err(|error| refuse(error.to_string()))?;
    file.read_to_end(&mut array).map_err(|error| refuse(format!("array {name}: {error}")))?;
    Ok((name, array))
}

fn choice_error(mut names: Vec<String>, place: &str) -> Error {
    names.sort_unstable();
    let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Error::invalid(place, format!("one array, or one named {}", POINTS.join(", ")), found)
}

fn parse_array(bytes: &[u8], place: &str) -> Result<Raw> {
    let (header, data) = header::read(bytes, place)?;
    let fields = header.fields();
    if fields.is_empty() {
        return columns::finish(plain_columns(&header, data, place)?, Vec::new(), place);
    }
    columns::finish(structured_columns(&header, fields, data, place)?, Vec::new(), place)
}

/// A structured array: one row of bytes per point.
fn structured_columns(header: &Header, fields: &[Field], data: &[u8], place: &str) -> Result<Vec<Column>> {
    let [points] = header.shape[..] else { return Err(shape_error(header, "(points)", place)) };
    if points == 0 {
        return Err(shape_error(header, "some points", place));
    }
    let size = header.size().max(1);
    let rows = data.chunks_exact(size).take(whole_points(data, points, size, place)?);
    let mut columns = Vec::new();
    for field in fields.iter().filter(|field| !field.is_padding()) {
        for part in 0..field.count {
            let start = field.offset + part * field.element.size;
            let values = rows.clone().map(|row| value(&row[start..], field.element)).collect();
            let name = if field.count == 1 { field.name.clone() } else { format!("{}_{part}", field.name) };
            columns.push(Column { name, values, is_byte: field.element.is_byte() });
        }
    }
    Ok(columns)
}

/// A table of shape (points, columns).
fn plain_columns(header: &Header, data: &[u8], place: &str) -> Result<Vec<Column>> {
    let [points, width] = header.shape[..] else { return Err(shape_error(header, "(points, columns)", place)) };
    let element = header.element;
    if points == 0 || width == 0 {
        return Err(shape_error(header, "some points and columns", place));
    }
    let size = usize::try_from(width).ok().and_then(|width| width.checked_mul(element.size)).unwrap_or(usize::MAX);
    let points = whole_points(data, points, size, place)?;
    let width = size / element.size;
    let (per_point, per_column) = if header.is_fortran { (1, points) } else { (width, 1) };
    let column = |column: usize| {
        let at = |point: usize| &data[(point * per_point + column * per_column) * element.size..];
        let values = (0..points).map(|point| value(at(point), element)).collect();
        Column { values, ..Column::numbered(column) }
    };
    Ok((0..width).map(column).collect())
}

/// The number of points, each of `size` bytes, if all are there.
fn whole_points(data: &[u8], points: u64, size: usize, place: &str) -> Result<usize> {
    let available = data.len() / size.max(1);
    match usize::try_from(points) {
        Ok(points) if points <= available => Ok(points),
        _ => Err(cut(place, points, "points", available as u64)),
    }
}

fn shape_error(header: &Header, expected: &str, place: &str) -> Error {
    let sizes: Vec<String> = header.shape.iter().map(ToString::to_string).collect();
    Error::invalid(place, format!("an array of shape {expected}"), format!("shape ({})", sizes.join(", ")))
}

/// The number at the start of `bytes`, which are at least as many as the type has.
fn value(bytes: &[u8], element: Element) -> f64 {
    macro_rules! read {
        ($kind:ty) => {{
            let mut array = [0; size_of::<$kind>()];
            array.copy_from_slice(&bytes[..size_of::<$kind>()]);
            if element.is_big_endian { <$kind>::from_be_bytes(array) } else { <$kind>::from_le_bytes(array) }
        }};
    }
    match (element.kind, element.size) {
        (b'f', 2) => read!(f16).into(),
        (b'f', 4) => read!(f32).into(),
        (b'f', _) => read!(f64),
        (b'i', 1) => read!(i8).into(),
        (b'i', 2) => read!(i16).into(),
        (b'i', 4) => read!(i32).into(),
        (b'i', _) => read!(i64) as f64,
        (_, 1) => read!(u8).into(),
        (_, 2) => read!(u16).into(),
        (_, 4) => read!(u32).into(),
        (_, _) => read!(u64) as f64,
    }
}

//! Positions from a PCD file (Point Cloud Data, version 0.5 to 0.7), ascii or binary; other fields are skipped.
//!
//! The header is read by the crate `pcd-rs`. The points are read here, because only x, y and z are wanted and a
//! cut file must be named with the point at which it ends.

use pcd_rs::{DataKind, PcdMeta, ValueKind};

use super::Raw;
use crate::data::points::augmentation::CHANNELS;
use crate::error::{Error, Result};

const AXES: [&str; CHANNELS] = ["x", "y", "z"];

/// Where an axis stands in a point.
#[derive(Debug, Clone, Copy)]
struct Column {
    /// Number of values before it.
    token: usize,
    /// Number of bytes before it.
    byte: usize,
    /// 8 bytes instead of 4.
    is_double: bool,
}

/// The columns of the file's points.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let coordinates = coordinates(bytes, place)?;
    let column = |axis: usize| coordinates.iter().skip(axis).step_by(CHANNELS).map(|value| f64::from(*value)).collect();
    let columns = (0..CHANNELS).map(|axis| (AXES[axis].to_owned(), column(axis))).collect();
    Ok(Raw { columns, triangles: Vec::new() })
}

fn coordinates(bytes: &[u8], place: &str) -> Result<Vec<f32>> {
    let mut body = bytes;
    let header = PcdMeta::from_reader(&mut body).map_err(|error| {
        Error::invalid(
            place,
            "a PCD header with VERSION, FIELDS, SIZE, TYPE, WIDTH, HEIGHT, POINTS and DATA",
            error.to_string(),
        )
    })?;
    let columns = columns(&header, place)?;
    match header.data {
        DataKind::Ascii => read_ascii(body, &header, columns, place),
        DataKind::Binary => read_binary(body, &header, columns, place),
        DataKind::BinaryCompressed => {
            Err(Error::invalid(place, "DATA ascii or binary", "binary_compressed, not yet read")
                .with_hint("convert the file, for example with pcl_convert_pcd_ascii_binary"))
        }
    }
}

fn columns(header: &PcdMeta, place: &str) -> Result<[Column; CHANNELS]> {
    let mut found = [None; CHANNELS];
    let (mut token, mut byte) = (0_usize, 0_usize);
    for field in header.field_defs.iter() {
        let is_double = field.kind == ValueKind::F64;
        if let Some(axis) = AXES.iter().position(|axis| *axis == field.name) {
            if field.count != 1 || !(is_double || field.kind == ValueKind::F32) {
                let found = format!("{} values of type {:?}", field.count, field.kind);
                return Err(Error::invalid(format!("{place}: field {}", field.name), "one float (TYPE F)", found));
            }
            found[axis] = Some(Column { token, byte, is_double });
        }
        let count = usize::try_from(field.count).unwrap_or(usize::MAX);
        token = token.saturating_add(count);
        byte = byte.saturating_add(count.saturating_mul(field.kind.byte_size()));
    }
    let [Some(x), Some(y), Some(z)] = found else {
        let names: Vec<&str> = header.field_defs.iter().map(|field| field.name.as_str()).collect();
        return Err(Error::invalid(place, "fields x, y and z", names.join(" ")));
    };
    Ok([x, y, z])
}

fn read_binary(body: &[u8], header: &PcdMeta, columns: [Column; CHANNELS], place: &str) -> Result<Vec<f32>> {
    let size = |count: u64, kind: ValueKind| count.saturating_mul(kind.byte_size() as u64);
    let stride = header.field_defs.iter().fold(0, |sum: u64, field| sum.saturating_add(size(field.count, field.kind)));
    let available = body.len() as u64 / stride;
    if available < header.num_points {
        return Err(cut(place, header.num_points, available));
    }
    // Both fit: the body, which is in memory, holds at least this much.
    let points = body.chunks_exact(stride as usize).take(header.num_points as usize);
    Ok(points.flat_map(|point| columns.map(|column| number(&point[column.byte..], column.is_double))).collect())
}

fn number(bytes: &[u8], is_double: bool) -> f32 {
    if is_double {
        let (value, _) = bytes.split_first_chunk().expect("the stride covers every column");
        f64::from_le_bytes(*value) as f32
    } else {
        let (value, _) = bytes.split_first_chunk().expect("the stride covers every column");
        f32::from_le_bytes(*value)
    }
}

fn read_ascii(body: &[u8], header: &PcdMeta, columns: [Column; CHANNELS], place: &str) -> Result<Vec<f32>> {
    let text =
        std::str::from_utf8(body).map_err(|error| Error::invalid(place, "text after DATA ascii", error.to_string()))?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut coordinates = Vec::new();
    for index in 0..header.num_points {
        let line = lines.next().ok_or_else(|| cut(place, header.num_points, index))?;
        let tokens: Vec<&str> = line.split_ascii_whitespace().collect();
        for (column, axis) in columns.iter().zip(AXES) {
            let token = tokens.get(column.token).copied().unwrap_or("nothing");
            let value = token.parse::<f32>().map_err(|_| {
                Error::invalid(format!("{place}, point {index}"), format!("a number for {axis}"), token)
            })?;
            coordinates.push(value);
        }
    }
    Ok(coordinates)
}

fn cut(place: &str, expected: u64, found: u64) -> Error {
    Error::invalid(place, format!("{expected} points, as the header says"), format!("{found}: the file is cut"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(fields: &str, sizes: &str, types: &str, points: usize, data: &str) -> Vec<u8> {
        format!(
            "# .PCD v0.7\nVERSION 0.7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {types}\n\
             WIDTH {points}\nHEIGHT 1\nPOINTS {points}\nDATA {data}\n"
        )
        .into_bytes()
    }

    fn message(bytes: &[u8]) -> String {
        coordinates(bytes, "a.pcd").unwrap_err().to_string()
    }

    #[test]
    fn ascii_and_binary_hold_the_same_points() {
        let points = [1.5_f32, -2.25, 3.0, 0.1, 1e-7, -4e8];
        let mut binary = header("x y z", "4 4 4", "F F F", 2, "binary");
        binary.extend(points.iter().flat_map(|value| value.to_le_bytes()));
        let mut ascii = header("x y z", "4 4 4", "F F F", 2, "ascii");
        ascii.extend(
            format!("{} {} {}\n{} {} {}\n", points[0], points[1], points[2], points[3], points[4], points[5]).bytes(),
        );
        assert_eq!(coordinates(&binary, "b").unwrap(), points);
        assert_eq!(coordinates(&ascii, "a").unwrap(), points);
    }

    #[test]
    fn other_fields_and_doubles_are_passed_over() {
        let mut binary = header("rgb z y x", "4 8 4 4", "U F F F", 1, "binary");
        binary.extend(7_u32.to_le_bytes());
        binary.extend(3.0_f64.to_le_bytes());
        binary.extend(2.0_f32.to_le_bytes());
        binary.extend(1.0_f32.to_le_bytes());
        assert_eq!(coordinates(&binary, "b").unwrap(), [1.0, 2.0, 3.0]);
        let mut ascii = header("rgb z y x", "4 8 4 4", "U F F F", 1, "ascii");
        ascii.extend(b"7 3 2 1\n");
        assert_eq!(coordinates(&ascii, "a").unwrap(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_cut_file_says_how_many_points_are_left() {
        let mut binary = header("x y z", "4 4 4", "F F F", 3, "binary");
        binary.extend([0_u8; 30]);
        assert_eq!(message(&binary), "a.pcd: expected 3 points, as the header says, found 2: the file is cut");
        let mut ascii = header("x y z", "4 4 4", "F F F", 3, "ascii");
        ascii.extend(b"1 2 3\n");
        assert_eq!(message(&ascii), "a.pcd: expected 3 points, as the header says, found 1: the file is cut");
        assert!(message(&binary[..40]).contains("expected a PCD header"));
    }

    #[test]
    fn headers_that_lie_about_sizes_are_refused_without_reserving_memory() {
        let mut huge = header("x y z", "4 4 4", "F F F", 0, "binary");
        let text = String::from_utf8(huge).unwrap().replace("POINTS 0", &format!("POINTS {}", u64::MAX));
        huge = text.into_bytes();
        assert!(message(&huge).contains("the file is cut"));
        let ascii = String::from_utf8(huge).unwrap().replace("DATA binary", "DATA ascii");
        assert!(message(ascii.as_bytes()).contains("the file is cut"));
        let wide = ascii.replace("TYPE F F F", &format!("TYPE F F F\nCOUNT 1 1 {}", u64::MAX));
        assert!(message(wide.as_bytes()).contains("one float"));
    }

    #[test]
    fn what_is_not_read_is_named() {
        assert!(message(&header("x y z", "4 4 4", "F F F", 1, "binary_compressed")).contains("not yet"));
        assert!(message(&header("x y i", "4 4 4", "F F F", 1, "ascii")).contains("fields x, y and z, found x y i"));
        assert!(message(&header("x y z", "4 4 4", "F F U", 1, "ascii")).contains("a.pcd: field z"));
        let mut words = header("x y z", "4 4 4", "F F F", 1, "ascii");
        words.extend(b"1 two 3\n");
        assert_eq!(message(&words), "a.pcd, point 0: expected a number for y, found two");
    }
}

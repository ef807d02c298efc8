//! LAS clouds (ASPRS, versions 1.0 to 1.4) of all point formats: position, intensity, classification, colours; also
//! compressed ones (LAZ).
//!
//! Colours have 16 bits, but many programs store values of 8 bits in them, so their range is that of the set.
//!
//! Read by ourselves, because the crate `las` (0.11) reserves memory by counts of the header.

use std::borrow::Cow;

use super::Raw;
use super::columns::{self, Column, Number};
use super::laz::{self, HEADER, at, header_size, points_start, u16_at, u32_at};
use crate::data::scan::{cut, show};
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"LASF";
/// The bits of a point format that say that points are compressed.
const COMPRESSED: u8 = 0xC0;

/// Of each point format the fewest bytes of a point, and where its colours begin.
pub(super) const FORMATS: [(usize, Option<usize>); 11] = [
    (20, None),
    (28, None),
    (26, Some(20)),
    (34, Some(28)),
    (57, None),
    (63, Some(28)),
    (30, None),
    (36, Some(30)),
    (38, Some(30)),
    (59, None),
    (67, Some(30)),
];

/// The first point format whose classification has a byte of its own.
const NEW: usize = 6;

/// The columns of a LAS file.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    if !bytes.starts_with(MAGIC) {
        let found = if bytes.is_empty() { "an empty file".to_owned() } else { show(&bytes[..bytes.len().min(4)]) };
        return Err(Error::invalid(place, "a LAS file, which begins with LASF", found));
    }
    if bytes.len() < HEADER {
        let found = format!("{} bytes: the file is cut", bytes.len());
        return Err(Error::invalid(place, format!("a header of {HEADER} bytes"), found));
    }
    let (kind, is_compressed) = (usize::from(bytes[104] & !COMPRESSED), bytes[104] & COMPRESSED != 0);
    let &(least, colours) = FORMATS.get(kind).ok_or_else(|| {
        Error::invalid(place, format!("a point format from 0 to {}", FORMATS.len() - 1), kind.to_string())
    })?;
    let (size, count) = header_size(bytes);
    if size < least {
        let expected = format!("points of at least {least} bytes, as point format {kind} has them");
        return Err(Error::invalid(place, expected, size.to_string()));
    }
    if count == 0 {
        return Err(Error::invalid(place, "points", "none"));
    }
    let body = match is_compressed {
        true => Cow::from(laz::unpacked(bytes, size, count, place)?),
        false => Cow::from(bytes.get(points_start(bytes)..).unwrap_or_default()),
    };
    let available = body.len() / size;
    let whole = usize::try_from(count).ok().filter(|count| *count <= available);
    let count = whole.ok_or_else(|| cut(place, count, "points", available as u64))?;
    let points = || body.chunks_exact(size).take(count);
    let axis = |axis: usize| {
        let (scale, offset) = (f64_at(bytes, 131 + 8 * axis), f64_at(bytes, 155 + 8 * axis));
        points().map(|point| f64::from(u32_at(point, 4 * axis).cast_signed()) * scale + offset).collect()
    };
    let word = |at: usize| points().map(|point| f64::from(u16_at(point, at))).collect();
    let class = |point: &[u8]| f64::from(if kind < NEW { point[15] & 0x1F } else { point[16] });
    let mut columns: Vec<(&str, Vec<f64>)> = vec![("x", axis(0)), ("y", axis(1)), ("z", axis(2))];
    columns.extend([("intensity", word(12)), ("classification", points().map(class).collect())]);
    if let Some(at) = colours {
        columns.extend([("red", word(at)), ("green", word(at + 2)), ("blue", word(at + 4))]);
    }
    let column = |(name, values): (&str, Vec<f64>)| Column { values, number: Number::Whole, ..Column::new(name) };
    columns::finish(columns.into_iter().map(column).collect(), Vec::new(), place)
}

fn f64_at(bytes: &[u8], start: usize) -> f64 {
    f64::from_le_bytes(at(bytes, start))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Format::Las;
    use super::super::Scale;
    use super::super::laz::HEADER_1_4;
    use super::super::tests::assert_refused;
    use super::*;

    /// A file of so many equal points of 70 bytes at (1.5, -2, 3), intensity 300, class 5, colours 257, 514 and 771.
    pub(in super::super) fn las(kind: u8, minor: u8, count: u64) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_1_4 + 120];
        bytes[..4].copy_from_slice(MAGIC);
        (bytes[24], bytes[25], bytes[104], bytes[105]) = (1, minor, kind, 70);
        let start = bytes.len() as u32;
        bytes[94..96].copy_from_slice(&(HEADER_1_4 as u16).to_le_bytes());
        bytes[96..100].copy_from_slice(&start.to_le_bytes());
        bytes[107..111].copy_from_slice(&(count as u32).to_le_bytes());
        bytes[247..255].copy_from_slice(&count.to_le_bytes());
        for (axis, offset) in [1.0_f64, 0.0, 3.0].into_iter().enumerate() {
            bytes[131 + 8 * axis..][..8].copy_from_slice(&0.25_f64.to_le_bytes());
            bytes[155 + 8 * axis..][..8].copy_from_slice(&offset.to_le_bytes());
        }
        let mut point = [0; 70];
        for (axis, value) in [2_i32, -8, 0].into_iter().enumerate() {
            point[4 * axis..][..4].copy_from_slice(&value.to_le_bytes());
        }
        point[12..14].copy_from_slice(&300_u16.to_le_bytes());
        // Flags stand beside the class of old formats.
        (point[15], point[16]) = if kind < 6 { (0xE5, 0) } else { (0xFF, 5) };
        if let Some(at) = FORMATS.get(usize::from(kind)).and_then(|(_, colours)| *colours) {
            point[at..at + 6].copy_from_slice(&[1, 1, 2, 2, 3, 3]);
        }
        (0..2).for_each(|_| bytes.extend(point));
        bytes
    }

    #[test]
    fn every_point_format_is_read() {
        for kind in 0..11 {
            for minor in [2, 4] {
                let raw = parse(&las(kind, minor, 2), "a").unwrap();
                let expected = [
                    ("x", 1.5),
                    ("y", -2.0),
                    ("z", 3.0),
                    ("intensity", 300.0),
                    ("classification", 5.0),
                    ("red", 257.0),
                    ("green", 514.0),
                    ("blue", 771.0),
                ];
                let count = if FORMATS[usize::from(kind)].1.is_some() { 8 } else { 5 };
                let expected = expected[..count].iter().map(|(name, value)| ((*name).to_owned(), vec![*value; 2]));
                assert_eq!(raw.columns, expected.collect::<Vec<_>>(), "format {kind}");
                let by_the_set = |(_, scale): &(String, Scale)| *scale == Scale::Whole;
                assert!(raw.scales.iter().all(by_the_set), "the set says the range of the colours");
            }
        }
    }

    #[test]
    fn what_is_cut_lies_or_is_compressed_is_named() {
        let cut = |count: u64| format!("a: expected {count} points, as the header says, found 2: the file is cut");
        let [mut narrow, mut far] = [las(3, 2, 2), las(3, 2, 2)];
        narrow[105] = 33;
        far[96..100].fill(0xFF);
        let cases: [(&[u8], &str); 10] = [
            (&las(3, 2, 3), &cut(3)),
            (&las(6, 4, u64::MAX), &cut(u64::MAX)),
            (&las(3, 2, 2)[..100], "...100 bytes: the file is cut"),
            (&las(3, 2, 0), "a: expected points, found none"),
            (&las(11, 4, 2), "a: expected a point format from 0 to 10, found 11"),
            (&las(0x83, 2, 2), "...found a compressed one (LAZ)..."),
            (&narrow, "...points of at least 34 bytes..."),
            (&far, "...found 0: the file is cut"),
            (b"", "...an empty file"),
            (b"PLY", "...found PLY"),
        ];
        assert_refused(Las, cases);
    }
}

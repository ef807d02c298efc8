//! Compressed LAS points (LAZ), unpacked by the crate `laz` to those of a LAS file.
//!
//! The crate reserves memory by counts and sizes of the file, so what these promise is compared with the bytes that are
//! there first, and the source can't be sought in: the table of chunks, which only seeking needs, is then left alone.

use std::io::{self, Read, Seek, SeekFrom};

use laz::record::{LayeredPointRecordDecompressor, RecordDecompressor};
use laz::{DecompressionSelection, LasZipDecompressor, LasZipError, LazItem, LazItemType, LazVlr};

use crate::error::{Error, Result};
use crate::panics;
use crate::reading::most_unpacked;
use crate::visible::visible_word;

/// How points are compressed, as the record says it first: in chunks one by one, or in chunks of layers.
const CHUNKS: u16 = 2;
const LAYERS: u16 = 3;
/// The first version of a point's parts that lies in layers.
const LAYERED: u16 = 3;

/// Bytes of a variable-length record before its content, and of the offset of the table of chunks.
const RECORD: usize = 54;
const OFFSET: usize = 8;

/// How many points were unpacked.
type Unpacked = std::result::Result<usize, LasZipError>;

/// The points of a file, `count` of `size` bytes each, that begin at `start`; fewer where the file is cut.
///
/// # Errors
/// A file that is damaged, of another kind of compression, or that unpacks to more than its size allows.
pub(super) fn unpacked(bytes: &[u8], start: usize, size: usize, count: u64, place: &str) -> Result<Vec<u8>> {
    let refuse = |found: String| Error::invalid(place, "a whole LAZ file", found);
    let content = record(bytes).ok_or_else(|| refuse("no record of how it is compressed".to_owned()))?;
    let record = LazVlr::from_buffer(content).map_err(|error| refuse(visible_word(&error.to_string())))?;
    let kind = u16_at(content, 0);
    let parts: usize = record.items().iter().map(|part| usize::from(part.size())).sum();
    // The crate reads a part by its type, whatever size the record says.
    let is_other =
        |part: &LazItem| (part.version() >= LAYERED) != (kind == LAYERS) || part.size() != bytes_of(part.item_type());
    if parts != size || record.items().iter().any(is_other) {
        return Err(refuse(format!("points of {size} bytes whose parts are others")));
    }
    // The crate's reader of such times calls itself as often as the file says, until the stack is at its end, which ends
    // the program.
    if record.items().iter().any(|part| matches!(part.item_type(), LazItemType::GpsTime)) {
        return Err(Error::invalid(place, "LAZ of LAS 1.4, or without GPS times", "GPS times in an old kind of LAZ")
            .with_hint("unpack it: `pdal translate a.laz a.las`"));
    }
    let most = most_unpacked(bytes.len() as u64);
    let all = count.saturating_mul(size as u64);
    if all > most {
        let expected = format!("points of at most {} MiB, as the file's size allows", most >> 20);
        return Err(Error::invalid(place, expected, format!("{count} points of {size} bytes"))
            .with_hint("if it is meant so, unpack it: `pdal translate a.laz a.las`"));
    }
    if kind == CHUNKS && record.uses_variable_size_chunks() {
        return Err(Error::invalid(place, "chunks of one size", "chunks of different sizes in an old kind of LAZ")
            .with_hint("unpack it: `pdal translate a.laz a.las`"));
    }
    let body = bytes.get(start..).unwrap_or_default();
    let mut points = vec![0; all as usize];
    let unpacked = panics::caught(|| match kind {
        LAYERS => from_layers(body, &record, size, &mut points),
        _ => one_by_one(body, record, size, &mut points),
    });
    match unpacked {
        Ok(Ok(done)) => {
            points.truncate(done * size);
            Ok(points)
        }
        Ok(Err(error)) => Err(refuse(visible_word(&error.to_string()))),
        Err(_) => Err(refuse("one that is damaged".to_owned())),
    }
}

/// The content of the record that says how the points are compressed.
fn record(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(usize::from(u16_at(bytes, 94))..)?;
    for _ in 0..u32_at(bytes, 100) {
        let head = rest.get(..RECORD)?;
        let content = rest.get(RECORD..RECORD + usize::from(u16_at(head, 20)))?;
        if head[2..18].starts_with(LazVlr::USER_ID.as_bytes()) && u16_at(head, 18) == LazVlr::RECORD_ID {
            return Some(content);
        }
        rest = &rest[RECORD + content.len()..];
    }
    None
}

/// Unpacks points that are packed one by one; gives how many there were.
fn one_by_one(body: &[u8], record: LazVlr, size: usize, points: &mut [u8]) -> Unpacked {
    let mut reader = match LasZipDecompressor::new(Forward(body), record) {
        Err(LasZipError::IoError(_)) => return Ok(0),
        reader => reader?,
    };
    // An error behind the start of the points is one of the end of the file.
    Ok(points.chunks_exact_mut(size).map_while(|point| reader.decompress_one(point).ok()).count())
}

/// Unpacks the chunks of points in layers; gives how many points there were.
fn from_layers(body: &[u8], record: &LazVlr, size: usize, points: &mut [u8]) -> Unpacked {
    let layers: usize = record.items().iter().map(|item| layers(item.item_type())).sum();
    let (mut rest, mut done, all) = (body.get(OFFSET..).unwrap_or_default(), 0, points.len() / size);
    while done < all {
        let Some((length, own)) = chunk(rest, size, layers) else { break };
        let mut reader = LayeredPointRecordDecompressor::new(Forward(&rest[..length]));
        reader.set_fields_from(record.items())?;
        reader.set_selection(DecompressionSelection::all());
        let held = if record.uses_variable_size_chunks() { own } else { record.chunk_size() };
        let wanted = (held as usize).min(all - done);
        let chunk = points[done * size..].chunks_exact_mut(size).take(wanted);
        let found = chunk.map_while(|point| reader.decompress_next(point).ok()).count();
        done += found;
        if found < wanted {
            break;
        }
        rest = &rest[length..];
    }
    Ok(done)
}

/// The length of a chunk of points in layers, and how many it says that it holds: the first point, their number, the size
/// of every layer, and the layers. None where these sizes are not those of bytes that are there.
fn chunk(rest: &[u8], size: usize, layers: usize) -> Option<(usize, u32)> {
    let sizes = size + 4;
    let content = sizes.checked_add(4 * layers).filter(|content| *content <= rest.len())?;
    let length = (0..layers).fold(0_u64, |sum, layer| sum + u64::from(u32_at(rest, sizes + 4 * layer)));
    let length = content.checked_add(usize::try_from(length).ok()?).filter(|length| *length <= rest.len())?;
    Some((length, u32_at(rest, size)))
}

/// What a part of a point takes.
fn bytes_of(part: LazItemType) -> u16 {
    match part {
        LazItemType::Byte(count) | LazItemType::Byte14(count) => count,
        LazItemType::Point10 => 20,
        LazItemType::Point14 => 30,
        LazItemType::GpsTime | LazItemType::RGBNIR14 => 8,
        LazItemType::RGB12 | LazItemType::RGB14 => 6,
        LazItemType::WavePacket13 | LazItemType::WavePacket14 => 29,
    }
}

/// The layers of a part of a point.
fn layers(part: LazItemType) -> usize {
    match part {
        LazItemType::Point14 => 9,
        LazItemType::RGBNIR14 => 2,
        LazItemType::Byte14(count) => count.into(),
        _ => 1,
    }
}

/// The bytes at a place that is known to be there.
pub(super) fn at<const SIZE: usize>(bytes: &[u8], start: usize) -> [u8; SIZE] {
    std::array::from_fn(|byte| bytes[start + byte])
}

pub(super) fn u16_at(bytes: &[u8], start: usize) -> u16 {
    u16::from_le_bytes(at(bytes, start))
}

pub(super) fn u32_at(bytes: &[u8], start: usize) -> u32 {
    u32::from_le_bytes(at(bytes, start))
}

/// Bytes that are read from the first to the last.
struct Forward<'a>(&'a [u8]);

impl Read for Forward<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Forward<'_> {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use laz::{LasZipCompressor, LazItemRecordBuilder, LazVlrBuilder};

    use super::super::{Raw, las};
    use super::*;

    /// Where the points of the file begin, and what they take.
    const START: usize = 375;
    const SIZE: usize = 70;

    /// The same file with its points compressed, so many in a chunk, and with another count of them.
    fn compressed(file: &[u8], chunk: u32, count: u64) -> Vec<u8> {
        let (kind, minor) = (file[104], file[25]);
        let extra = [50, 42, 44, 36, 13, 7, 40, 34, 32, 11, 3][usize::from(kind)];
        let items = LazItemRecordBuilder::default_for_point_format_id(kind, extra).unwrap();
        let record = LazVlrBuilder::new(items).with_fixed_chunk_size(chunk).build();
        let mut content = Vec::new();
        record.write_to(&mut content).unwrap();
        let mut bytes = file[..255].to_vec();
        (bytes[94], bytes[100], bytes[104]) = (255, 2, kind | 0x80);
        bytes[107..111].copy_from_slice(&(count as u32).to_le_bytes());
        bytes[247..255].copy_from_slice(&if minor >= 4 { count } else { 0 }.to_le_bytes());
        for (user, number, content) in [("other", 1, &b"abc"[..]), (LazVlr::USER_ID, LazVlr::RECORD_ID, &content)] {
            let mut head = [0; RECORD];
            head[2..2 + user.len()].copy_from_slice(user.as_bytes());
            head[18..20].copy_from_slice(&number.to_le_bytes());
            head[20..22].copy_from_slice(&(content.len() as u16).to_le_bytes());
            bytes.extend([&head[..], content].concat());
        }
        let start = bytes.len() as u32;
        bytes[96..100].copy_from_slice(&start.to_le_bytes());
        let mut writer = Cursor::new(bytes);
        writer.set_position(start.into());
        let mut compressor = LasZipCompressor::new(&mut writer, record).unwrap();
        compressor.compress_many(&file[START..]).unwrap();
        compressor.done().unwrap();
        drop(compressor);
        writer.into_inner()
    }

    fn message(bytes: &[u8]) -> String {
        las::parse(bytes, "a.laz").unwrap_err().to_string()
    }

    #[test]
    fn points_are_unpacked_from_one_chunk_and_from_several_but_for_old_gps_times() {
        for kind in 0..11 {
            let file = las::tests::las(kind, 4, 2);
            let expected: Raw = las::parse(&file, "a.las").unwrap();
            if [1, 3, 4, 5].contains(&kind) {
                let error = las::parse(&compressed(&file, 2, 2), "a.laz").unwrap_err();
                assert!(error.to_string().contains("GPS times") && error.hint().unwrap().contains("pdal"), "{error}");
                continue;
            }
            for chunk in [1, 2, 50_000] {
                assert_eq!(las::parse(&compressed(&file, chunk, 2), "a.laz").unwrap(), expected, "format {kind}");
            }
        }
    }

    #[test]
    fn what_is_cut_or_lies_is_named_and_reserves_nothing() {
        let file = las::tests::las(7, 4, 2);
        let whole = compressed(&file, 50_000, 2);
        let cut = "a.laz: expected 3 points, as the header says, found 2: the file is cut";
        assert_eq!(message(&compressed(&file, 50_000, 3)), cut);
        let expected =
            "points of at most 16 MiB, as the file's size allows, found 18446744073709551615 points of 70 bytes";
        assert!(message(&compressed(&file, 50_000, u64::MAX)).contains(expected));
        // The size of the first layer, behind the offset, the first point and the count.
        let start = u32_at(&whole, 96) as usize;
        let mut lying = whole.clone();
        lying[start + OFFSET + SIZE + 4..][..4].fill(0xFF);
        assert!(message(&lying).ends_with("expected 2 points, as the header says, found 0: the file is cut"));
        let mut other = whole.clone();
        other[105] = 71;
        assert!(message(&other).contains("found points of 71 bytes whose parts are others"));
        // Types and sizes of the parts stand behind 34 bytes of the record: 30 for the point and 6 for its colour.
        let record = whole.windows(14).position(|bytes| bytes == LazVlr::USER_ID.as_bytes()).unwrap() - 2 + RECORD;
        let mut shifted = whole.clone();
        assert_eq!((u16_at(&shifted, record + 36), u16_at(&shifted, record + 42)), (30, 6));
        (shifted[record + 36], shifted[record + 42]) = (29, 7);
        assert!(message(&shifted).contains("whose parts are others"));
        let mut none = whole.clone();
        none[100] = 1;
        assert!(message(&none).ends_with("found no record of how it is compressed"));
        assert!(message(&whole[..start]).ends_with("found 0: the file is cut"));
        for end in start..whole.len() {
            let _ = las::parse(&whole[..end], "a.laz");
        }
    }

    #[test]
    fn chunks_of_different_sizes_are_read_where_each_says_its_own() {
        for (kind, is_read) in [(7, true), (2, false)] {
            let file = las::tests::las(kind, 4, 2);
            // The size of the chunks stands behind two numbers, the version and the options.
            let mut variable = compressed(&file, 1, 2);
            let record = variable.windows(14).position(|bytes| bytes == LazVlr::USER_ID.as_bytes()).unwrap() - 2;
            variable[record + RECORD + 12..][..4].fill(0xFF);
            match las::parse(&variable, "a.laz") {
                Ok(raw) => assert!(is_read && raw == las::parse(&file, "a.las").unwrap()),
                Err(error) => assert!(!is_read && error.hint().unwrap().contains("pdal"), "{error}"),
            }
        }
    }
}

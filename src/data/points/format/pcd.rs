//! PCD clouds (Point Cloud Data of the Point Cloud Library, version 0.5 to 0.7): ascii, binary, binary_compressed.
//!
//! Every field becomes a column, one with several values a column each, a packed `rgb` or `rgba` three. The crate
//! `pcd-rs` reads header and points; it trusts the header, so what the header promises is compared with the bytes
//! that are there before it reserves memory or multiplies sizes. It takes a field of COUNT 0 for one value, where the
//! drivers of laser scanners that write such fields mean none: it gets the header without them.

#[cfg(test)]
mod tests;

use std::io::Read as _;

use pcd_rs::{DataKind, DynReader, DynRecord, Field, FieldDef, PcdDeserialize, PcdMeta, ValueKind};

use super::Raw;
use super::columns::{self, Column, Number};
use crate::data::scan::{Line, Lines, cut, number, show, split_line, without_mark};
use crate::error::{Error, Result, first_line};
use crate::visible::visible_word;

/// Bytes of the two sizes before compressed points.
const SIZES: usize = 8;
/// LZF's best: a copy of 264 bytes in 3.
const BEST_COMPRESSION: u64 = 88;

/// The columns of a PCD file.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let bytes = without_mark(bytes);
    let Head { text, lines, body } = Head::of(bytes);
    let header = PcdMeta::from_reader(&mut text.as_bytes()).map_err(|error| {
        let expected = "a PCD header with VERSION, FIELDS, SIZE, TYPE, WIDTH, HEIGHT, POINTS and DATA";
        let found = if bytes.is_empty() { "an empty file".to_owned() } else { visible_word(&error.to_string()) };
        Error::invalid(place, expected, found)
    })?;
    let mut points = Points { place, header: &header, columns: Vec::new() };
    match header.data {
        DataKind::Ascii => points.read_ascii(body, lines)?,
        DataKind::Binary => points.read_binary(body)?,
        DataKind::BinaryCompressed => points.read_compressed(body, &text)?,
    }
    columns::finish(points.columns, Vec::new(), place)
}

/// The header as the crate shall read it, and what follows it.
struct Head<'a> {
    /// Its lines without the fields that have no values; in UTF-8, whatever its comments are in.
    text: String,
    lines: usize,
    body: &'a [u8],
}

impl<'a> Head<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let mut head = Self { text: String::new(), lines: 0, body: bytes };
        // What binary points begin with may look like the second half of a line's end, so this is that of the first.
        let old = split_line(bytes).1 == b"\r";
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut is_whole = false;
        while !head.body.is_empty() && !is_whole {
            let at = head.body.iter().position(|byte| *byte == if old { b'\r' } else { b'\n' });
            let (line, rest) = at.map_or((head.body, &[][..]), |at| (&head.body[..at], &head.body[at + 1..]));
            (head.body, head.lines) = (rest, head.lines + 1);
            let line = String::from_utf8_lossy(line);
            let words = line.split('#').next().unwrap_or_default().split_whitespace();
            let words: Vec<String> = words.map(str::to_owned).collect();
            is_whole = words.first().is_some_and(|key| key.eq_ignore_ascii_case("DATA"));
            rows.push(words);
        }
        let is =
            |row: &[String], keys: &[&str]| row.first().is_some_and(|key| keys.contains(&key.to_uppercase().as_str()));
        let counts = rows.iter().rfind(|row| is(row, &["COUNT"])).cloned().unwrap_or_default();
        let has_values = |at: usize| counts.get(at).is_none_or(|count| count.parse() != Ok(0_u64));
        for row in rows {
            let is_list = is(&row, &["FIELDS", "COLUMNS", "SIZE", "TYPE", "COUNT"]);
            let kept =
                row.iter().enumerate().filter(|(at, _)| !is_list || has_values(*at)).map(|(_, word)| word.as_str());
            head.text += &kept.collect::<Vec<_>>().join(" ");
            head.text.push('\n');
        }
        if !is_whole {
            head.text.pop();
        }
        head
    }
}

/// The points of a file, read one by one into columns.
struct Points<'a> {
    place: &'a str,
    header: &'a PcdMeta,
    columns: Vec<Column>,
}

impl Points<'_> {
    /// Values and bytes of one point.
    fn size(&self) -> (u64, u64) {
        let fields = self.header.field_defs.iter();
        fields.fold((0, 0), |(values, bytes): (u64, u64), field| {
            let size = field.count.saturating_mul(field.kind.byte_size() as u64);
            (values.saturating_add(field.count), bytes.saturating_add(size))
        })
    }

    /// Makes the columns, once it is known that the file holds every point: their number is then no lie.
    fn begin(&mut self, available: u64) -> Result<()> {
        let expected = self.header.num_points;
        if available < expected {
            return Err(cut(self.place, expected, "points", available));
        }
        if expected == 0 {
            return Err(Error::invalid(self.place, "points", "POINTS 0"));
        }
        columns::check_width(self.size().0, self.place)?;
        self.columns = self.header.field_defs.iter().flat_map(columns_of).collect();
        Ok(())
    }

    fn read_ascii(&mut self, body: &[u8], header: usize) -> Result<()> {
        let mut lines = Lines::after(body, header);
        let (values, _) = self.size();
        let available = lines.clone().count() as u64;
        // A value takes a letter at least; a header with more of them in a point lies.
        self.begin(if values > body.len() as u64 { 0 } else { available })?;
        for point in 0..self.header.num_points {
            let line = lines.next().ok_or_else(|| cut(self.place, self.header.num_points, "points", point))?;
            let record = DynRecord::read_line(&mut &*line.text, &self.header.field_defs);
            let record = record.map_err(|error| self.line_error(line, values, &error.to_string()))?;
            self.push(&record);
        }
        match lines.next() {
            Some(line) => Err(line.invalid(self.place, "the end of the file after its points", show(line.text))),
            None => Ok(()),
        }
    }

    fn line_error(&self, line: Line<'_>, values: u64, error: &str) -> Error {
        let found = line.words().count();
        if found as u64 != values {
            return line.invalid(self.place, format!("{values} values, as FIELDS and COUNT say"), found.to_string());
        }
        let fields = self.header.field_defs.iter().flat_map(|field| (0..field.count).map(move |_| field));
        match line.words().zip(fields).find(|(word, _)| number(word).is_none()) {
            Some((word, field)) => {
                line.invalid(self.place, format!("a number for {}", show(field.name.as_bytes())), show(word))
            }
            None => line.invalid(self.place, "numbers of the types in TYPE and SIZE", first_line(error)),
        }
    }

    fn read_binary(&mut self, mut body: &[u8]) -> Result<()> {
        let (_, size) = self.size();
        self.begin(body.len() as u64 / size.max(1))?;
        for point in 0..self.header.num_points {
            let record = DynRecord::read_chunk(&mut body, &self.header.field_defs);
            let record = record.map_err(|error| {
                Error::invalid(format!("{}, point {point}", self.place), "what the header says", error.to_string())
            })?;
            self.push(&record);
        }
        Ok(())
    }

    fn read_compressed(&mut self, body: &[u8], header: &str) -> Result<()> {
        let place = self.place;
        let invalid = |expected: String, found: String| Err(Error::invalid(place, expected, found));
        let Some((sizes, data)) = body.split_first_chunk::<SIZES>() else {
            return invalid(
                "the sizes of the compressed points".into(),
                format!("{} bytes: the file is cut", body.len()),
            );
        };
        let size = |at: usize| u64::from(u32::from_le_bytes([sizes[at], sizes[at + 1], sizes[at + 2], sizes[at + 3]]));
        let (packed, whole) = (size(0), size(4));
        if packed > data.len() as u64 {
            return invalid(format!("{packed} compressed bytes"), format!("{}: the file is cut", data.len()));
        }
        let expected = self.header.num_points.saturating_mul(self.size().1);
        if whole != expected {
            return invalid(
                format!("{expected} bytes of points, as the header says"),
                format!("{whole} before compression"),
            );
        }
        if whole > packed.saturating_mul(BEST_COMPRESSION) {
            return invalid(format!("compressed points of {whole} bytes"), format!("{packed} bytes, too few for them"));
        }
        self.begin(self.header.num_points)?;
        let broken = |error: pcd_rs::Error| Error::invalid(place, "compressed points", first_line(&error.to_string()));
        for record in DynReader::from_reader(header.as_bytes().chain(body)).map_err(broken)? {
            self.push(&record.map_err(broken)?);
        }
        Ok(())
    }

    fn push(&mut self, record: &DynRecord) {
        let mut columns = self.columns.iter_mut();
        for field in &record.0 {
            for (value, column) in values(field).into_iter().zip(&mut columns) {
                column.values.push(value);
            }
        }
    }
}

/// The columns that a field becomes, without values yet.
fn columns_of(field: &FieldDef) -> Vec<Column> {
    let number = match field.kind {
        ValueKind::U8 => Number::Byte,
        ValueKind::U16 => Number::Word,
        ValueKind::F32 => Number::Single,
        ValueKind::F64 => Number::Other,
        _ => Number::Whole,
    };
    let column = |name: String| Column { number, ..Column::new(name) };
    match field.count {
        _ if field.is_padding() => Vec::new(),
        1 => vec![column(field.name.clone())],
        count => (0..count).map(|part| column(format!("{}_{part}", field.name))).collect(),
    }
}

fn values(field: &Field) -> Vec<f64> {
    match field {
        Field::I8(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Field::I16(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Field::I32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Field::I64(values) => values.iter().map(|value| *value as f64).collect(),
        Field::U8(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Field::U16(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Field::U32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Field::U64(values) => values.iter().map(|value| *value as f64).collect(),
        Field::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Field::F64(values) => values.clone(),
    }
}

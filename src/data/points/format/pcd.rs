//! PCD clouds (Point Cloud Data of the Point Cloud Library, version 0.5 to 0.7): ascii, binary, binary_compressed.
//!
//! Every field becomes a column, one with several values a column each, a packed `rgb` or `rgba` three. The crate
//! `pcd-rs` reads header and points; it trusts the header, so what the header promises is compared with the bytes
//! that are there before it reserves memory or multiplies sizes.

#[cfg(test)]
mod tests;

use pcd_rs::{DataKind, DynReader, DynRecord, Field, FieldDef, PcdDeserialize, PcdMeta, ValueKind};

use super::Raw;
use super::columns::{self, Column};
use crate::data::scan::{Line, Lines, cut, number, show, without_mark};
use crate::error::{Error, Result, first_line};

/// Bytes of the two sizes before compressed points.
const SIZES: usize = 8;
/// LZF's best: a copy of 264 bytes in 3.
const BEST_COMPRESSION: u64 = 88;

/// The columns of a PCD file.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let bytes = without_mark(bytes);
    let mut body = bytes;
    let header = PcdMeta::from_reader(&mut body).map_err(|error| {
        let expected = "a PCD header with VERSION, FIELDS, SIZE, TYPE, WIDTH, HEIGHT, POINTS and DATA";
        Error::invalid(place, expected, if bytes.is_empty() { "an empty file".to_owned() } else { error.to_string() })
    })?;
    let mut points = Points { place, header: &header, columns: Vec::new() };
    match header.data {
        DataKind::Ascii => points.read_ascii(body, bytes)?,
        DataKind::Binary => points.read_binary(body)?,
        DataKind::BinaryCompressed => points.read_compressed(body, bytes)?,
    }
    columns::finish(points.columns, Vec::new(), place)
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

    fn read_ascii(&mut self, body: &[u8], bytes: &[u8]) -> Result<()> {
        let header = &bytes[..bytes.len() - body.len()];
        let mut lines = Lines::after(body, header.iter().filter(|byte| **byte == b'\n').count());
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
            Some((word, field)) => line.invalid(self.place, format!("a number for {}", field.name), show(word)),
            None => line.invalid(self.place, "numbers of the types in TYPE and SIZE", first_line(error)),
        }
    }

    fn read_binary(&mut self, mut body: &[u8]) -> Result<()> {
        let (_, size) = self.size();
        self.begin(body.len() as u64 / size)?;
        for point in 0..self.header.num_points {
            let record = DynRecord::read_chunk(&mut body, &self.header.field_defs);
            let record = record.map_err(|error| {
                Error::invalid(format!("{}, point {point}", self.place), "what the header says", error.to_string())
            })?;
            self.push(&record);
        }
        Ok(())
    }

    fn read_compressed(&mut self, body: &[u8], bytes: &[u8]) -> Result<()> {
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
        for record in DynReader::from_bytes(bytes).map_err(broken)? {
            self.push(&record.map_err(broken)?);
        }
        Ok(())
    }

    fn push(&mut self, record: &DynRecord) {
        let mut columns = self.columns.iter_mut();
        let fields = self.header.field_defs.iter().filter(|definition| !definition.is_padding());
        for (definition, field) in fields.zip(&record.0) {
            let values = if is_packed(definition) { unpacked(field) } else { values(field) };
            for (value, column) in values.into_iter().zip(&mut columns) {
                column.values.push(value);
            }
        }
    }
}

/// The columns that a field becomes, without values yet.
fn columns_of(field: &FieldDef) -> Vec<Column> {
    let column = |name: String| Column { is_byte: field.kind == ValueKind::U8, ..Column::new(name) };
    match field.count {
        _ if field.is_padding() => Vec::new(),
        _ if is_packed(field) => ["red", "green", "blue"].map(Column::new).into(),
        1 => vec![column(field.name.clone())],
        count => (0..count).map(|part| column(format!("{}_{part}", field.name))).collect(),
    }
}

/// Whether a field holds a colour as 0xAARRGGBB; the float among the types is one in name alone.
fn is_packed(field: &FieldDef) -> bool {
    let has_four_bytes = matches!(field.kind, ValueKind::F32 | ValueKind::U32 | ValueKind::I32);
    field.count == 1 && has_four_bytes && ["rgb", "rgba"].contains(&field.name.to_lowercase().as_str())
}

/// Red, green and blue from 0 to 1; how opaque it is, is left out.
fn unpacked(field: &Field) -> Vec<f64> {
    let bits = match field {
        Field::F32(values) => values.first().map(|value| value.to_bits()),
        Field::I32(values) => values.first().map(|value| value.cast_unsigned()),
        Field::U32(values) => values.first().copied(),
        _ => None,
    };
    let [_, colour @ ..] = bits.expect("a packed field has one value of four bytes").to_be_bytes();
    colour.map(|value| f64::from(value) / f64::from(u8::MAX)).into()
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

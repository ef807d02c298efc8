//! PLY clouds and meshes (Stanford's polygon format), ascii and binary of both byte orders.
//!
//! Every scalar property of the element `vertex` becomes a column; the lists `vertex_indices` (or `vertex_index`)
//! of the element `face` become triangles; other elements and lists are passed over, tristrips are refused.
//!
//! The format is read by ourselves: the crate `ply-rs-bw` (4.0) knows no integers of 64 bits, in ascii files neither
//! `nan`, which scanners write for normals they lack, nor `1.`, and does not name the word that is wrong.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::Raw;
use super::columns::{self, Column, Number};
use crate::data::numpy::header::Element as Type;
use crate::data::numpy::value;
use crate::data::scan::{Line, Lines, cut, fan, show, split_line, whole, without_mark};
use crate::error::{Error, Result};

/// The lists that hold the corners of a face.
const CORNERS: [&str; 2] = ["vertex_indices", "vertex_index"];

/// The last line of the header.
const END: &[u8] = b"end_header";

/// The columns and triangles of a PLY file.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let (header, body) = Header::read(bytes, place)?;
    let mut shape = Shape::new(&header, place)?;
    let trailing = match header.is_big_endian {
        None => read_ascii(body, &header, &mut shape, place)?,
        Some(_) => read_binary(body, &header, &mut shape, place)?,
    };
    let raw = columns::finish(shape.columns, shape.triangles, place)?;
    Ok(Raw { trailing, ..raw })
}

/// What the file holds, in its order.
struct Header {
    elements: Vec<Element>,
    /// The byte order of a binary file.
    is_big_endian: Option<bool>,
    lines: usize,
    /// Names of the elements, and of the properties of the last one.
    names: [HashSet<String>; 2],
}

/// So many things of one kind.
struct Element {
    name: String,
    count: u64,
    properties: Vec<Property>,
}

/// A number of an element, or a list of them.
struct Property {
    name: String,
    kind: Type,
    /// The type of a list's length.
    length: Option<Type>,
}

impl Header {
    /// The header, and what follows it.
    fn read<'a>(bytes: &'a [u8], place: &str) -> Result<(Self, &'a [u8])> {
        let text = without_mark(bytes);
        if !text.starts_with(b"ply") {
            let first = Lines::new(text).next();
            let found = first.map_or_else(|| "an empty file".to_owned(), |line| show(line.text));
            return Err(Error::invalid(place, "a PLY header, from ply to end_header", found));
        }
        if !text.windows(END.len()).any(|part| part == END) {
            let found = "no end_header: the file is cut";
            return Err(Error::invalid(place, "a PLY header, from ply to end_header", found));
        }
        // What a binary file begins with may look like the second half of a line's end, so this is that of the first.
        let end = if split_line(text).1 == b"\r" { b'\r' } else { b'\n' };
        let (mut rest, mut format) = (text, None);
        let mut header = Self { elements: Vec::new(), is_big_endian: None, lines: 0, names: Default::default() };
        while !rest.is_empty() {
            let at = rest.iter().position(|byte| *byte == end).unwrap_or(rest.len());
            let line = rest[..at].trim_ascii();
            rest = rest.get(at + 1..).unwrap_or_default();
            header.lines += 1;
            if line == END {
                break;
            }
            // Comments may be in any encoding.
            let line = String::from_utf8_lossy(line);
            let here = format!("{place}, line {}", header.lines);
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["format", name, _] if header.lines > 1 => format = Some((*name).to_owned()),
                _ if header.lines == 1 => {}
                _ => match header.add(&words) {
                    Some(true) => {}
                    Some(false) => return Err(Error::invalid(here, "a new name", show(line.as_bytes()))),
                    None => return Err(Error::invalid(here, "a line of a PLY header", show(line.as_bytes()))),
                },
            }
        }
        header.is_big_endian = match format.as_deref() {
            Some("ascii") => None,
            Some("binary_little_endian") => Some(false),
            Some("binary_big_endian") => Some(true),
            other => {
                let found = other.map_or("none".to_owned(), |other| show(other.as_bytes()));
                let expected = "a PLY header with a line format: ascii, binary_little_endian or binary_big_endian";
                return Err(Error::invalid(place, expected, found));
            }
        };
        for property in header.elements.iter_mut().flat_map(|element| &mut element.properties) {
            let is_big_endian = header.is_big_endian == Some(true);
            property.kind.is_big_endian = is_big_endian;
            property.length.iter_mut().for_each(|length| length.is_big_endian = is_big_endian);
        }
        Ok((header, rest))
    }

    /// Takes in a line, and says whether its name is new; nothing for what is no line of a header.
    fn add(&mut self, words: &[&str]) -> Option<bool> {
        match *words {
            [] | ["comment" | "obj_info", ..] => Some(true),
            ["element", name, count] => {
                let is_new = self.names[0].insert(name.to_owned());
                self.names[1].clear();
                let properties = Vec::new();
                self.elements.push(Element { name: name.to_owned(), count: count.parse().ok()?, properties });
                Some(is_new)
            }
            ["property", "list", length, kind, name] => self.add_property(name, kind, Some(length)),
            ["property", kind, name] => self.add_property(name, kind, None),
            _ => None,
        }
    }

    fn add_property(&mut self, name: &str, kind: &str, length: Option<&str>) -> Option<bool> {
        let length = if let Some(length) = length { Some(type_of(length)?) } else { None };
        let properties = &mut self.elements.last_mut()?.properties;
        let is_new = self.names[1].insert(name.to_owned());
        properties.push(Property { name: name.to_owned(), kind: type_of(kind)?, length });
        Some(is_new)
    }
}

/// The type with this name, in either spelling.
fn type_of(name: &str) -> Option<Type> {
    let (kind, size) = match name {
        "char" | "int8" => (b'i', 1),
        "uchar" | "uint8" => (b'u', 1),
        "short" | "int16" => (b'i', 2),
        "ushort" | "uint16" => (b'u', 2),
        "int" | "int32" => (b'i', 4),
        "uint" | "uint32" => (b'u', 4),
        "long" | "int64" => (b'i', 8),
        "ulong" | "uint64" => (b'u', 8),
        "float" | "float32" => (b'f', 4),
        "double" | "float64" => (b'f', 8),
        _ => return None,
    };
    Some(Type { kind, size, is_big_endian: false })
}

/// What is taken from the file's elements.
struct Shape {
    columns: Vec<Column>,
    triangles: Vec<[u64; 3]>,
}

impl Shape {
    fn new(header: &Header, place: &str) -> Result<Self> {
        let find = |name: &str| header.elements.iter().find(|element| element.name == name);
        if let Some(strips) = find("tristrips") {
            return Err(Error::invalid(place, "faces", format!("{} tristrips", strips.count))
                .with_hint("save the mesh with faces instead of triangle strips, as most programs do"));
        }
        let Some(vertex) = find("vertex") else {
            let names: Vec<String> = header.elements.iter().map(|element| show(element.name.as_bytes())).collect();
            return Err(Error::invalid(place, "an element vertex", names.join(", ")));
        };
        columns::check_width(vertex.properties.len() as u64, place)?;
        let scalars = vertex.properties.iter().filter(|property| property.length.is_none());
        let column =
            |property: &Property| Column { number: Number::of(property.kind), ..Column::new(property.name.as_str()) };
        Ok(Self { columns: scalars.map(column).collect(), triangles: Vec::new() })
    }

    /// Takes over what is of use in an element; the corners of a face must be whole and not negative.
    fn take(&mut self, element: &Element, values: &Values) -> std::result::Result<(), f64> {
        if element.name == "vertex" {
            for (column, value) in self.columns.iter_mut().zip(&values.scalars) {
                column.values.push(*value);
            }
        } else if element.name == "face" {
            let corner =
                |value: &f64| if *value >= 0.0 && value.fract() == 0.0 { Ok(*value as u64) } else { Err(*value) };
            let corners: Vec<u64> = values.corners.iter().map(corner).collect::<std::result::Result<_, _>>()?;
            fan(&corners, &mut self.triangles);
        }
        Ok(())
    }
}

/// What one element holds: its scalars in the order of the header, and the list of corners.
#[derive(Debug, Default)]
struct Values {
    scalars: Vec<f64>,
    corners: Vec<f64>,
}

impl Values {
    fn clear(&mut self) {
        self.scalars.clear();
        self.corners.clear();
    }
}

impl Element {
    /// What they are called in messages.
    fn plural(&self) -> String {
        match self.name.as_str() {
            "vertex" => "vertices".to_owned(),
            "face" => "faces".to_owned(),
            other => format!("elements {}", show(other.as_bytes())),
        }
    }

    /// Reads one from the start of `body`, which is moved behind it; nothing where the file ends before it does.
    ///
    /// # Errors
    /// A list whose length is no length.
    fn read(&self, body: &mut &[u8], values: &mut Values) -> std::result::Result<Option<()>, f64> {
        values.clear();
        for property in &self.properties {
            let Some(first) = next(body, property.length.unwrap_or(property.kind)) else { return Ok(None) };
            if property.length.is_none() {
                values.scalars.push(first);
                continue;
            }
            if first < 0.0 || first.fract() != 0.0 {
                return Err(first);
            }
            let bytes = (first as usize).saturating_mul(property.kind.size);
            let Some((list, rest)) = body.split_at_checked(bytes) else { return Ok(None) };
            *body = rest;
            if CORNERS.contains(&property.name.as_str()) {
                values.corners.extend(list.chunks_exact(property.kind.size).map(|bytes| value(bytes, property.kind)));
            }
        }
        Ok(Some(()))
    }

    /// Reads one from a line.
    fn read_line(&self, line: Line<'_>, values: &mut Values, place: &str) -> Result<()> {
        values.clear();
        let mut words = line.words();
        for property in &self.properties {
            let word = words.next();
            if property.length.is_none() {
                let value = line.value(word, &property.name, place)?;
                // A float of 32 bits is the same number in a text as in bytes.
                let is_single = (property.kind.kind, property.kind.size) == (b'f', 4);
                values.scalars.push(if is_single { f64::from(value as f32) } else { value });
                continue;
            }
            for _ in 0..word.and_then(whole).ok_or_else(|| line.no_number(word, &property.name, place))? {
                let value = line.value(words.next(), &property.name, place)?;
                if CORNERS.contains(&property.name.as_str()) {
                    values.corners.push(value);
                }
            }
        }
        match words.next() {
            Some(word) => {
                let expected = format!("the values of one {}", show(self.name.as_bytes()));
                Err(line.invalid(place, expected, format!("{} after them", show(word))))
            }
            None => Ok(()),
        }
    }
}

fn next(body: &mut &[u8], kind: Type) -> Option<f64> {
    let (bytes, rest) = body.split_at_checked(kind.size)?;
    *body = rest;
    Some(value(bytes, kind))
}

fn corner_error(place: String, found: f64) -> Error {
    Error::invalid(place, "positions of vertices in a face", found.to_string())
}

/// Elements that hold nothing take no room in the file, whatever their count.
fn elements(header: &Header) -> impl Iterator<Item = &Element> {
    header.elements.iter().filter(|element| !element.properties.is_empty())
}

/// Gives the bytes after the last element.
fn read_binary(mut body: &[u8], header: &Header, shape: &mut Shape, place: &str) -> Result<usize> {
    let mut values = Values::default();
    for element in elements(header) {
        for index in 0..element.count {
            let here = || format!("{place}, {} {index}", show(element.name.as_bytes()));
            let wrong =
                |length: f64| Error::invalid(here(), "what the header says: the length of a list", length.to_string());
            let read = element.read(&mut body, &mut values).map_err(wrong)?;
            read.ok_or_else(|| cut(place, element.count, &element.plural(), index))?;
            shape.take(element, &values).map_err(|found| corner_error(here(), found))?;
        }
    }
    Ok(body.trim_ascii().len())
}

/// The same of a text.
fn read_ascii(body: &[u8], header: &Header, shape: &mut Shape, place: &str) -> Result<usize> {
    let mut lines = Lines::after(body, header.lines);
    let mut values = Values::default();
    for element in elements(header) {
        for index in 0..element.count {
            let line = lines.next().ok_or_else(|| cut(place, element.count, &element.plural(), index))?;
            element.read_line(line, &mut values, place)?;
            let here = || format!("{place}, line {}", line.number);
            shape.take(element, &values).map_err(|found| corner_error(here(), found))?;
        }
    }
    Ok(lines.map(|line| line.text.len()).sum())
}

//! PLY clouds and meshes (Stanford's polygon format), ascii and binary of both byte orders.
//!
//! Every scalar property of the element `vertex` becomes a column; the lists `vertex_indices` (or `vertex_index`)
//! of the element `face` become triangles; other elements and lists are passed over, tristrips are refused.
//!
//! The header and the elements of binary files are read by the crate `ply-rs-bw`, element by element, so that no
//! count of the header reserves memory. Lines of ascii files are read here: the crate's grammar knows neither `nan`,
//! which scanners write for normals they lack, nor `1.`, and does not name the word that is wrong.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use ply_rs_bw::parser::{ParseError, Parser, Reader};
use ply_rs_bw::ply::{
    ElementDef, Encoding, Header, Property, PropertyAccess, PropertyAccessResult, PropertyType, ScalarType,
};

use super::Raw;
use super::columns::{self, Column};
use crate::data::scan::{Line, Lines, cut, fan, number, show, whole, without_mark};
use crate::error::{Error, Result};

/// The lists that hold the corners of a face.
const CORNERS: [&str; 2] = ["vertex_indices", "vertex_index"];

/// The columns and triangles of a PLY file.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let (header, body) = read_header(bytes, place)?;
    let mut shape = Shape::new(&header, place)?;
    match header.encoding {
        Encoding::Ascii => read_ascii(body, &header, &mut shape, place)?,
        Encoding::BinaryLittleEndian | Encoding::BinaryBigEndian => read_binary(body.rest, &header, &mut shape, place)?,
    }
    columns::finish(shape.columns, shape.triangles, place)
}

/// What follows the header.
struct Body<'a> {
    rest: &'a [u8],
    /// Lines of the header.
    lines: usize,
}

fn read_header<'a>(bytes: &'a [u8], place: &str) -> Result<(Header, Body<'a>)> {
    let text = without_mark(bytes);
    let mut body = Body { rest: text, lines: 0 };
    let mut is_whole = false;
    while !body.rest.is_empty() && !is_whole {
        let end = body.rest.iter().position(|byte| *byte == b'\n').map_or(body.rest.len(), |end| end + 1);
        is_whole = body.rest[..end].trim_ascii() == b"end_header";
        body = Body { rest: &body.rest[end..], lines: body.lines + 1 };
    }
    if !is_whole || !text.starts_with(b"ply") {
        let found = if text.starts_with(b"ply") { "no end_header: the file is cut".to_owned() } else { start(text) };
        return Err(Error::invalid(place, "a PLY header, from ply to end_header", found));
    }
    // Comments may be in any encoding.
    let head = String::from_utf8_lossy(&text[..text.len() - body.rest.len()]);
    check_names(&head, place)?;
    let header = Parser::<Element>::new().read_header(&mut Reader::new(head.as_bytes()));
    header.map(|header| (header, body)).map_err(|error| header_error(&error, &head, place))
}

fn start(text: &[u8]) -> String {
    Lines::new(text).next().map_or_else(|| "an empty file".to_owned(), |line| show(line.text))
}

/// The crate's reader keeps the last of two elements or properties of one name, and would read everything after
/// them from the wrong place.
fn check_names(head: &str, place: &str) -> Result<()> {
    let (mut elements, mut properties) = (HashSet::new(), HashSet::new());
    for (index, line) in head.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_new = match words[..] {
            ["element", name, ..] => {
                properties.clear();
                elements.insert(name)
            }
            ["property", .., name] => properties.insert(name),
            _ => true,
        };
        if !is_new {
            return Err(Error::invalid(format!("{place}, line {}", index + 1), "a new name", line.trim()));
        }
    }
    Ok(())
}

fn header_error(error: &ParseError, head: &str, place: &str) -> Error {
    let Some(number) = error.line() else {
        return Error::invalid(place, "a PLY header with a line format", crate::error::first_line(&error.to_string()));
    };
    let line = head.lines().nth(number.saturating_sub(1)).unwrap_or_default();
    Error::invalid(format!("{place}, line {number}"), "a line of a PLY header", show(line.trim().as_bytes()))
}

/// What is taken from the file's elements.
struct Shape {
    columns: Vec<Column>,
    triangles: Vec<[u64; 3]>,
}

impl Shape {
    fn new(header: &Header, place: &str) -> Result<Self> {
        if let Some(strips) = header.elements.get("tristrips") {
            return Err(Error::invalid(place, "faces", format!("{} tristrips", strips.count))
                .with_hint("save the mesh with faces instead of triangle strips, as most programs do"));
        }
        let Some(vertex) = header.elements.get("vertex") else {
            let names: Vec<&str> = header.elements.keys().map(String::as_str).collect();
            return Err(Error::invalid(place, "an element vertex", names.join(", ")));
        };
        let scalars = vertex.properties.values().filter_map(|property| match &property.data_type {
            PropertyType::Scalar(kind) => Some((&property.name, kind)),
            PropertyType::List(..) => None,
        });
        columns::check_width(vertex.properties.len() as u64, place)?;
        let column = |(name, kind): (&String, &ScalarType)| Column {
            is_byte: *kind == ScalarType::UChar,
            ..Column::new(name.as_str())
        };
        Ok(Self { columns: scalars.map(column).collect(), triangles: Vec::new() })
    }

    /// Takes over what is of use in an element; the corners of a face must be whole and not negative.
    fn take(&mut self, definition: &ElementDef, element: &Element) -> std::result::Result<(), f64> {
        if definition.name == "vertex" {
            for (column, value) in self.columns.iter_mut().zip(&element.scalars) {
                column.values.push(*value);
            }
        } else if definition.name == "face" {
            let corner =
                |value: &f64| if *value >= 0.0 && value.fract() == 0.0 { Ok(*value as u64) } else { Err(*value) };
            let corners: Vec<u64> = element.corners.iter().map(corner).collect::<std::result::Result<_, _>>()?;
            fan(&corners, &mut self.triangles);
        }
        Ok(())
    }
}

/// One element: its scalars in the order of the header, and the list of corners.
#[derive(Debug, Default)]
struct Element {
    scalars: Vec<f64>,
    corners: Vec<f64>,
}

impl Element {
    fn set_list(&mut self, name: &str, values: impl Iterator<Item = f64>) {
        if CORNERS.contains(&name) {
            self.corners = values.collect();
        }
    }
}

impl PropertyAccess for Element {
    fn new() -> Self {
        Self::default()
    }

    fn set_property(&mut self, name: &str, property: Property) -> PropertyAccessResult {
        match property {
            Property::Char(value) => self.scalars.push(value.into()),
            Property::UChar(value) => self.scalars.push(value.into()),
            Property::Short(value) => self.scalars.push(value.into()),
            Property::UShort(value) => self.scalars.push(value.into()),
            Property::Int(value) => self.scalars.push(value.into()),
            Property::UInt(value) => self.scalars.push(value.into()),
            Property::Float(value) => self.scalars.push(value.into()),
            Property::Double(value) => self.scalars.push(value),
            Property::ListChar(list) => self.set_list(name, list.into_iter().map(f64::from)),
            Property::ListUChar(list) => self.set_list(name, list.into_iter().map(f64::from)),
            Property::ListShort(list) => self.set_list(name, list.into_iter().map(f64::from)),
            Property::ListUShort(list) => self.set_list(name, list.into_iter().map(f64::from)),
            Property::ListInt(list) => self.set_list(name, list.into_iter().map(f64::from)),
            Property::ListUInt(list) => self.set_list(name, list.into_iter().map(f64::from)),
            Property::ListFloat(list) => self.set_list(name, list.into_iter().map(f64::from)),
            Property::ListDouble(list) => self.set_list(name, list.into_iter()),
        }
        PropertyAccessResult::Set
    }
}

/// Elements that hold nothing take no room in the file, whatever their count.
fn elements(header: &Header) -> impl Iterator<Item = &ElementDef> {
    header.elements.values().filter(|definition| !definition.properties.is_empty())
}

/// What the elements are called in messages.
fn plural(definition: &ElementDef) -> String {
    match definition.name.as_str() {
        "vertex" => "vertices".to_owned(),
        "face" => "faces".to_owned(),
        other => format!("elements {other}"),
    }
}

fn corner_error(place: String, found: f64) -> Error {
    Error::invalid(place, "positions of vertices in a face", found.to_string())
}

fn read_binary(mut body: &[u8], header: &Header, shape: &mut Shape, place: &str) -> Result<()> {
    let parser = Parser::<Element>::new();
    for definition in elements(header) {
        for index in 0..definition.count {
            let element = match header.encoding {
                Encoding::BinaryBigEndian => parser.read_big_endian_element(&mut body, definition),
                Encoding::BinaryLittleEndian | Encoding::Ascii => {
                    parser.read_little_endian_element(&mut body, definition)
                }
            };
            let here = || format!("{place}, {} {index}", definition.name);
            let element = element.map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    cut(place, definition.count as u64, &plural(definition), index as u64)
                }
                _ => Error::invalid(here(), "what the header says", crate::error::first_line(&error.to_string())),
            })?;
            shape.take(definition, &element).map_err(|found| corner_error(here(), found))?;
        }
    }
    let rest = body.trim_ascii();
    if rest.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(place, "the end of the file after its elements", format!("{} more bytes", rest.len())))
}

fn read_ascii(body: Body<'_>, header: &Header, shape: &mut Shape, place: &str) -> Result<()> {
    let mut lines = Lines::after(body.rest, body.lines);
    for definition in elements(header) {
        for index in 0..definition.count {
            let line =
                lines.next().ok_or_else(|| cut(place, definition.count as u64, &plural(definition), index as u64))?;
            let element = ascii_element(line, definition, place)?;
            let here = || format!("{place}, line {}", line.number);
            shape.take(definition, &element).map_err(|found| corner_error(here(), found))?;
        }
    }
    match lines.next() {
        Some(line) => Err(line.invalid(place, "the end of the file after its elements", show(line.text))),
        None => Ok(()),
    }
}

fn ascii_element(line: Line<'_>, definition: &ElementDef, place: &str) -> Result<Element> {
    let mut element = Element::default();
    let mut words = line.words();
    for property in definition.properties.values() {
        let wrong = |word: Option<&[u8]>| {
            let found = word.map_or_else(|| "the line's end".to_owned(), show);
            line.invalid(place, format!("a number for {}", property.name), found)
        };
        match property.data_type {
            PropertyType::Scalar(_) => {
                let word = words.next();
                element.scalars.push(word.and_then(number).ok_or_else(|| wrong(word))?);
            }
            PropertyType::List(..) => {
                let word = words.next();
                let mut values = Vec::new();
                for _ in 0..word.and_then(whole).ok_or_else(|| wrong(word))? {
                    let word = words.next();
                    values.push(word.and_then(number).ok_or_else(|| wrong(word))?);
                }
                element.set_list(&property.name, values.into_iter());
            }
        }
    }
    match words.next() {
        Some(word) => Err(line.invalid(
            place,
            format!("the values of one {}", definition.name),
            format!("{} after them", show(word)),
        )),
        None => Ok(element),
    }
}

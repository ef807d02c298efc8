//! STL meshes (stereolithography), binary and ascii: triangles without shared vertices.
//!
//! Corners at the same place become one vertex. The normals of the file are passed over, because those of the faces say
//! the same; so are names and the two bytes of attributes behind a binary triangle.
//!
//! The crate `stl_io` (0.8) reads triangles by the count of the header and does not name the line of what is wrong.

use std::collections::HashMap;

use super::Raw;
use super::columns::{self, Column};
use crate::data::scan::{Lines, cut, show, without_mark};
use crate::error::{Error, Result};

/// Bytes before the count of triangles.
const TITLE: usize = 80;
/// Bytes of a triangle: a normal and three corners of three floats each, and an attribute.
const TRIANGLE: usize = 50;
/// Bytes of a corner.
const CORNER: usize = 12;

/// The columns and triangles of an STL file.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let mut mesh = Mesh::default();
    let count = bytes.get(TITLE..TITLE + 4).map(|count| u32::from_le_bytes([count[0], count[1], count[2], count[3]]));
    let trailing = match count {
        // Some programs begin binary files with `solid` too.
        Some(count) if !is_text(bytes) || holds(bytes, count) => mesh.read_binary(&bytes[TITLE + 4..], count, place)?,
        _ => {
            mesh.read_text(bytes, place)?;
            0
        }
    };
    let axis = |axis: usize| Column {
        values: mesh.vertices.iter().map(|vertex| f64::from(vertex[axis])).collect(),
        ..Column::numbered(axis)
    };
    let raw = columns::finish([0, 1, 2].map(axis).into(), mesh.triangles, place)?;
    Ok(Raw { trailing, ..raw })
}

fn is_text(bytes: &[u8]) -> bool {
    without_mark(bytes).trim_ascii_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"solid"))
}

/// Whether the file is as long as a binary one with so many triangles.
fn holds(bytes: &[u8], count: u32) -> bool {
    bytes.len() as u64 == (TITLE + 4) as u64 + TRIANGLE as u64 * u64::from(count)
}

#[derive(Default)]
struct Mesh {
    vertices: Vec<[f32; 3]>,
    /// The vertex at a place, by the bits of its coordinates.
    known: HashMap<[u32; 3], u64>,
    triangles: Vec<[u64; 3]>,
}

impl Mesh {
    fn push(&mut self, corners: [[f32; 3]; 3]) {
        let triangle = corners.map(|corner| {
            // -0 is 0.
            let corner = corner.map(|value| value + 0.0);
            *self.known.entry(corner.map(f32::to_bits)).or_insert_with(|| {
                self.vertices.push(corner);
                self.vertices.len() as u64 - 1
            })
        });
        self.triangles.push(triangle);
    }

    /// Gives the number of bytes after the last triangle.
    fn read_binary(&mut self, body: &[u8], count: u32, place: &str) -> Result<usize> {
        let available = body.len() / TRIANGLE;
        if available < count as usize {
            return Err(cut(place, count.into(), "triangles", available as u64));
        }
        if count == 0 {
            return Err(Error::invalid(place, "triangles", "none"));
        }
        for triangle in body.chunks_exact(TRIANGLE).take(count as usize) {
            let value = |at: usize| f32::from_le_bytes([0, 1, 2, 3].map(|byte| triangle[at + byte]));
            self.push([1, 2, 3].map(|corner| [0, 4, 8].map(|axis| value(corner * CORNER + axis))));
        }
        Ok(body[count as usize * TRIANGLE..].trim_ascii().len())
    }

    fn read_text(&mut self, bytes: &[u8], place: &str) -> Result<()> {
        let mut corners: Vec<[f32; 3]> = Vec::new();
        let mut is_begun = false;
        let mut last: &[u8] = b"";
        for line in Lines::new(bytes) {
            let mut words = line.words();
            let word = words.next().unwrap_or_default().to_ascii_lowercase();
            match word.as_slice() {
                b"vertex" => {
                    let mut corner = [0.0; 3];
                    for (value, axis) in corner.iter_mut().zip(["x", "y", "z"]) {
                        *value = line.value(words.next(), axis, place)? as f32;
                    }
                    corners.push(corner);
                }
                b"endfacet" => {
                    let [one, two, three] = corners[..] else {
                        let found = format!("{} vertices", corners.len());
                        return Err(line.invalid(place, "three vertices in a facet", found));
                    };
                    self.push([one, two, three]);
                    corners.clear();
                }
                b"solid" => is_begun = true,
                b"facet" | b"outer" | b"endloop" | b"endsolid" if is_begun => {}
                _ => return Err(line.invalid(place, "an STL file", show(line.text))),
            }
            last = line.text;
        }
        if !last.get(..8).is_some_and(|last| last.eq_ignore_ascii_case(b"endsolid")) {
            let found = if bytes.is_empty() { "an empty file" } else { "another end: the file is cut" };
            return Err(Error::invalid(place, "an STL file, to endsolid", found));
        }
        match self.triangles.is_empty() {
            true => Err(Error::invalid(place, "triangles", "none")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format::Stl;
    use super::super::tests::assert_refused;
    use super::*;

    const SQUARE: [[[f32; 3]; 3]; 2] =
        [[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.5]], [[-0.0, 0.0, 0.0], [1.0, 1.0, 0.5], [0.0, 1.0, 0.0]]];

    fn binary(title: &str, count: u32) -> Vec<u8> {
        let mut bytes = title.as_bytes().to_vec();
        bytes.resize(TITLE, b' ');
        bytes.extend(count.to_le_bytes());
        for triangle in SQUARE {
            bytes.extend([[9.0; 3]].iter().chain(&triangle).flatten().flat_map(|value: &f32| value.to_le_bytes()));
            bytes.extend([7, 7]);
        }
        bytes
    }

    fn ascii() -> String {
        let corner = |[x, y, z]: [f32; 3]| format!("      vertex {x} {y:e} {z}\n");
        let facet = |corners: [[f32; 3]; 3]| {
            let corners: String = corners.into_iter().map(corner).collect();
            format!("  facet normal 0 0 1\n    outer loop\n{corners}    endloop\n  endfacet\n")
        };
        format!("solid a b\n{}endsolid a b\n", SQUARE.map(facet).concat())
    }

    #[test]
    fn both_kinds_hold_the_same_mesh() {
        let raw = parse(&binary("by hand", 2), "a").unwrap();
        assert_eq!(raw.columns[0], ("x".to_owned(), vec![0.0, 1.0, 1.0, 0.0]));
        assert_eq!(raw.columns[2], ("z".to_owned(), vec![0.0, 0.0, 0.5, 0.0]));
        assert_eq!(raw.triangles, [[0, 1, 2], [0, 2, 3]]);
        for bytes in [
            binary("solid of a program that begins so", 2),
            ascii().into_bytes(),
            ascii().to_uppercase().replace('\n', "\r\n").into_bytes(),
            ascii().replace('\n', "\r").into_bytes(),
        ] {
            assert_eq!(parse(&bytes, "a").unwrap(), raw);
        }
        let more = [binary("x", 2), b"more".to_vec()].concat();
        assert_eq!(parse(&more, "a").unwrap(), Raw { trailing: 4, ..raw });
    }

    #[test]
    fn what_is_cut_lies_or_is_wrong_is_named() {
        let whole = binary("x", 2);
        let begun: String = ascii().lines().take(8).map(|line| format!("{line}\n")).collect();
        let wrong = ascii().replacen("vertex 1 ", "vertex one ", 1);
        let two = ascii().replacen("      vertex 0 0e0 0\n", "", 1);
        let cases: [(&[u8], &str); 9] = [
            (&whole[..whole.len() - 1], "a: expected 2 triangles, as the header says, found 1: the file is cut"),
            (&binary("x", u32::MAX), "...found 2: the file is cut"),
            (&binary("x", 0), "a: expected triangles, found none"),
            (b"", "a: expected an STL file, to endsolid, found an empty file"),
            (begun.as_bytes(), "...the file is cut"),
            (b"solid\nendsolid\n", "a: expected triangles, found none"),
            (b"OFF\n1 0 0\n", "a, line 1: expected an STL file, found OFF"),
            (wrong.as_bytes(), "a, line 5: expected a number for x, found one"),
            (two.as_bytes(), "a, line 7: expected three vertices in a facet, found 2 vertices"),
        ];
        assert_refused(Stl, cases);
    }
}

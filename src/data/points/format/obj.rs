//! OBJ meshes (Wavefront), and OBJ files of vertices alone, which are clouds.
//!
//! Read: vertices with colours (`v x y z r g b`), normals, polygons of any size (fanned), positions counted from the
//! end; all objects and groups of the file are one shape. Materials, texture coordinates, lines, points, curves and
//! smoothing are passed over.
//!
//! The crate `tobj` (4.0) gives nothing for a file of vertices alone, has no line numbers in its errors, shifts the
//! colours when a vertex lacks one, and overflows on positions before the first texture coordinate or normal.

use std::collections::HashMap;

use super::Raw;
use super::columns::{self, Column};
use crate::data::scan::{Line, Lines, number, show};
use crate::error::{Error, Result};

const VERTEX: [&str; 6] = ["x", "y", "z", "red", "green", "blue"];
const NORMAL: [&str; 3] = ["nx", "ny", "nz"];

/// A corner of a face: positions of its vertex and, perhaps, of its normal, from 0.
type Corner = (u64, Option<u64>);

/// What stands in the file.
#[derive(Debug, Default)]
struct Content {
    vertices: Vec<[f64; 3]>,
    /// Of the vertices that have one.
    colours: Vec<[f64; 3]>,
    normals: Vec<[f64; 3]>,
    /// Three per triangle.
    corners: Vec<Corner>,
}

/// The columns and triangles of an OBJ file.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let mut content = Content::default();
    let mut face = Vec::new();
    for line in Lines::without_comments(bytes, b'#') {
        let mut words = line.words();
        match words.next() {
            Some(b"v") => content.push_vertex(line, place)?,
            Some(b"vn") => content.normals.push(numbers(line, words.take(3), NORMAL, place)?),
            Some(b"f") => {
                face.clear();
                for word in words {
                    face.push(content.corner(word).ok_or_else(|| corner_error(line, word, place))?);
                }
                content.push_face(&face);
            }
            _ => {}
        }
    }
    if content.vertices.is_empty() {
        return Err(Error::invalid(place, "vertices (v x y z)", "none"));
    }
    content.finish(place)
}

impl Content {
    /// Three coordinates; then nothing, a weight (of curves alone), or a colour, perhaps with an opacity.
    fn push_vertex(&mut self, line: Line<'_>, place: &str) -> Result<()> {
        let words = || line.words().skip(1);
        self.vertices.push(numbers(line, words().take(3), [VERTEX[0], VERTEX[1], VERTEX[2]], place)?);
        match words().count() {
            3 | 4 => Ok(()),
            6 | 7 => {
                let names = [VERTEX[3], VERTEX[4], VERTEX[5]];
                self.colours.push(numbers(line, words().skip(3).take(3), names, place)?);
                Ok(())
            }
            found => Err(line.invalid(place, "x y z, perhaps with red green blue", format!("{found} values"))),
        }
    }

    /// `v`, `v/vt`, `v//vn` or `v/vt/vn`.
    fn corner(&self, word: &[u8]) -> Option<Corner> {
        let mut parts = word.split(|byte| *byte == b'/');
        let vertex = position(parts.next()?, self.vertices.len())?;
        let normal = match parts.nth(1) {
            Some(part) if !part.is_empty() => Some(position(part, self.normals.len())?),
            _ => None,
        };
        parts.next().is_none().then_some((vertex, normal))
    }

    /// Fewer than three corners have no area.
    fn push_face(&mut self, face: &[Corner]) {
        if let Some((first, others)) = face.split_first() {
            self.corners.extend(others.windows(2).flat_map(|pair| [*first, pair[0], pair[1]]));
        }
    }

    fn finish(mut self, place: &str) -> Result<Raw> {
        let has_normals = self.corners.iter().all(|corner| corner.1.is_some());
        let triangles = if has_normals && !self.corners.is_empty() {
            self.split(place)?
        } else {
            self.corners.as_chunks().0.iter().map(|corners: &[Corner; 3]| corners.map(|corner| corner.0)).collect()
        };
        let [axes, colours] = [&VERTEX[..3], &VERTEX[3..]];
        let mut columns = columns_of(axes, &self.vertices);
        // In a cloud no face says which normal is whose: as many as vertices stand in their order.
        if has_normals && self.normals.len() == self.vertices.len() {
            columns.extend(columns_of(&NORMAL, &self.normals));
        }
        if self.colours.len() == self.vertices.len() {
            columns.extend(columns_of(colours, &self.colours));
        }
        columns::mark_byte_colours(&mut columns);
        columns::finish(columns, triangles, place)
    }

    /// Makes a vertex of every pair of position and normal that a corner names, in the order of their first use, and
    /// gives the triangles of these: at an edge one position has two normals, and becomes two vertices.
    fn split(&mut self, place: &str) -> Result<Vec<[u64; 3]>> {
        let mut used: Vec<Corner> = Vec::new();
        let mut seen: HashMap<Corner, u64> = HashMap::new();
        let mut new_position = |corner: Corner| {
            *seen.entry(corner).or_insert_with(|| {
                used.push(corner);
                used.len() as u64 - 1
            })
        };
        let corners = self.corners.as_chunks().0.iter();
        let triangles = corners.map(|corners: &[Corner; 3]| corners.map(&mut new_position)).collect();
        let vertices = || used.iter().map(|corner| corner.0);
        if self.colours.len() == self.vertices.len() {
            self.colours = chosen(&self.colours, vertices(), "colours", place)?;
        }
        self.vertices = chosen(&self.vertices, vertices(), "vertices", place)?;
        self.normals = chosen(&self.normals, used.iter().filter_map(|corner| corner.1), "normals", place)?;
        Ok(triangles)
    }
}

fn chosen(rows: &[[f64; 3]], positions: impl Iterator<Item = u64>, what: &str, place: &str) -> Result<Vec<[f64; 3]>> {
    let row = |position: u64| usize::try_from(position).ok().and_then(|position| rows.get(position)).copied();
    let missing = |position: u64| format!("a face that names number {}", position.saturating_add(1));
    let expected = || format!("faces over {} {what}", rows.len());
    positions.map(|at| row(at).ok_or_else(|| Error::invalid(place, expected(), missing(at)))).collect()
}

/// A position from 0. The file counts from 1, or from -1 back from the last that was read.
fn position(word: &[u8], read: usize) -> Option<u64> {
    let number: i64 = std::str::from_utf8(word).ok()?.parse().ok()?;
    match number {
        0 => None,
        1.. => Some(number.unsigned_abs() - 1),
        _ => (read as u64).checked_sub(number.unsigned_abs()),
    }
}

fn corner_error(line: Line<'_>, word: &[u8], place: &str) -> Error {
    let expected = "corners v, v/vt, v//vn or v/vt/vn, counted from 1, or from -1 backwards";
    line.invalid(place, expected, show(word))
}

/// Three numbers, which messages call by the names of their columns.
fn numbers<'a>(
    line: Line<'_>,
    mut words: impl Iterator<Item = &'a [u8]>,
    names: [&str; 3],
    place: &str,
) -> Result<[f64; 3]> {
    let mut values = [0.0; 3];
    for (value, name) in values.iter_mut().zip(names) {
        let word = words.next();
        let found = || word.map_or_else(|| "the line's end".to_owned(), show);
        let wrong = || line.invalid(place, format!("a number for {name}"), found());
        *value = word.and_then(number).ok_or_else(wrong)?;
    }
    Ok(values)
}

fn columns_of(names: &[&str], rows: &[[f64; 3]]) -> Vec<Column> {
    let column = |(axis, name): (usize, &&str)| Column {
        values: rows.iter().map(|row| row[axis]).collect(),
        ..Column::new(*name)
    };
    names.iter().enumerate().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Raw {
        parse(text.as_bytes(), "a.obj").unwrap()
    }

    fn message(text: &str) -> String {
        parse(text.as_bytes(), "a.obj").unwrap_err().to_string()
    }

    fn column<'a>(raw: &'a Raw, name: &str) -> &'a [f64] {
        &raw.columns.iter().find(|column| column.0 == name).unwrap().1
    }

    fn names(raw: &Raw) -> Vec<&str> {
        raw.columns.iter().map(|column| column.0.as_str()).collect()
    }

    const SQUARE: &str = "v 0 0 0\nv 1 0 0\nv 1 1 0.5\nv 0 1 0\n";

    #[test]
    fn faces_are_fanned_and_objects_joined() {
        let raw = read(&format!("mtllib nowhere.mtl\no one\n{SQUARE}usemtl red\nf 1 2 3 4\no two\nv 5 5 5\nf 1 2 5\n"));
        assert_eq!(raw.triangles, [[0, 1, 2], [0, 2, 3], [0, 1, 4]]);
        assert_eq!(column(&raw, "z"), [0.0, 0.0, 0.5, 0.0, 5.0]);
        assert_eq!(names(&raw), ["x", "y", "z"]);
        let backwards = read(&format!("# made\r\n{SQUARE}f -4/1/1 -3/2 -2/3 -1/4\r\nl 1 2\np 1\ns off\nf 1 2\n"));
        assert_eq!(backwards.triangles, [[0, 1, 2], [0, 2, 3]]);
        assert_eq!(read(&format!("\u{feff}{SQUARE}")).columns, backwards.columns);
    }

    #[test]
    fn normals_are_columns_and_split_a_vertex_that_has_two() {
        let raw = read(&format!("{SQUARE}vn 0 0 1\nvn 1 0 0\nf 1//1 2//1 3//1\nf 1//1 3/9/2 4//2\n"));
        assert_eq!(raw.triangles, [[0, 1, 2], [0, 3, 4]]);
        assert_eq!(column(&raw, "z"), [0.0, 0.0, 0.5, 0.5, 0.0]);
        assert_eq!(column(&raw, "nz"), [1.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(column(&raw, "nx"), [0.0, 0.0, 0.0, 1.0, 1.0]);
        let without = read(&format!("{SQUARE}vn 0 0 1\nf 1//1 2//1 3//1\nf 1 3 4\n"));
        assert_eq!(names(&without), ["x", "y", "z"]);
    }

    #[test]
    fn vertices_alone_are_a_cloud_with_normals_and_colours() {
        let raw = read("v 1 2 3 1 0.5 0\nvn 0 0 1\nv 4 5 6 0 0 1\nvn 0 1 0\n");
        assert_eq!(names(&raw), ["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue"]);
        assert_eq!((column(&raw, "y"), column(&raw, "ny")), (&[2.0, 5.0][..], &[0.0, 1.0][..]));
        assert_eq!((column(&raw, "green"), column(&raw, "blue")), (&[0.5, 0.0][..], &[0.0, 1.0][..]));
        assert!(raw.triangles.is_empty());
        assert_eq!(names(&read("v 1 2 3 1 0.5 0\nv 4 5 6\n")), ["x", "y", "z"]);
        assert_eq!(names(&read("v 1 2 3 1.0\nv 4 5 6 1.0\n")), ["x", "y", "z"]);
        let coloured =
            read(&format!("v 9 9 9 1 1 1\n{}vn 0 0 1\nf 2//1 3//1 4//1\n", SQUARE.replace('\n', " 0 1 0\n")));
        assert_eq!(column(&coloured, "red"), [0.0; 3]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(message(""), "a.obj: expected vertices (v x y z), found none");
        assert_eq!(message("v 1 2"), "a.obj, line 1: expected a number for z, found the line's end");
        assert_eq!(message("v 1 2 3\nvn 0 zero 0\n"), "a.obj, line 2: expected a number for ny, found zero");
        assert_eq!(
            message("v 1 2 3 4 5\n"),
            "a.obj, line 1: expected x y z, perhaps with red green blue, found 5 values"
        );
        assert_eq!(message("v 1 2 3 4 5 six\n"), "a.obj, line 1: expected a number for blue, found six");
        for word in ["0", "-2", "a", "1/2/3/4", "1//-1", "1//x", "/1", "9999999999999999999999"] {
            assert!(
                message(&format!("v 1 2 3\nf {word} 1 1\n")).starts_with("a.obj, line 2: expected corners"),
                "{word}"
            );
        }
        assert_eq!(
            message(&format!("{SQUARE}vn 0 0 1\nf 1//1 2//1 3//7\n")),
            "a.obj: expected faces over 1 normals, found a face that names number 7"
        );
        let far = format!("{SQUARE}vn 0 0 1\nf 1//1 2//1 {}//1\n", i64::MAX);
        assert!(message(&far).contains("faces over 4 vertices"));
        assert_eq!(read(&format!("{SQUARE}f 1 2 9\n")).triangles, [[0, 1, 8]]);
    }
}

//! OBJ meshes (Wavefront), and OBJ files of vertices alone, which are clouds.
//!
//! Read: vertices with colours (`v x y z r g b`), normals, polygons of any size (fanned), positions counted from the
//! end, lines that a backslash continues; all objects and groups of the file are one shape. Materials, texture coordinates, lines, points, curves and
//! smoothing are passed over.
//!
//! The crate `tobj` (4.0) gives nothing for a file of vertices alone, has no line numbers in its errors, shifts the
//! colours when a vertex lacks one, and overflows on positions before the first texture coordinate or normal.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Raw;
use super::columns::{self, Column};
use crate::data::scan::{Line, Lines, show, split_line};
use crate::error::{Error, Result};

const VERTEX: [&str; 6] = ["x", "y", "z", "red", "green", "blue"];
const NORMAL: [&str; 3] = ["nx", "ny", "nz"];

/// A corner of a face: positions of its vertex and of its normal, from 0. A file has more of them than of anything, and
/// writes one in two bytes.
type Corner = [u32; 2];

/// In the place of a normal's position.
const NO_NORMAL: u32 = u32::MAX;

/// What is beyond is nowhere: no shape has so many vertices.
const FURTHEST: u32 = u32::MAX - 1;

/// What stands in the file.
#[derive(Debug, Default)]
struct Content {
    vertices: Vec<[f64; 3]>,
    /// Of the vertices that have one.
    colours: Vec<[f64; 3]>,
    normals: Vec<[f64; 3]>,
    /// Face by face.
    corners: Vec<Corner>,
    /// How many each face has, at least three.
    faces: Vec<usize>,
}

/// The columns and triangles of an OBJ file.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let mut content = Content::default();
    for line in Lines::without_comments(&joined(bytes), b'#') {
        let mut words = line.words();
        match words.next() {
            Some(b"v") => content.push_vertex(line, place)?,
            Some(b"vn") => content.normals.push(numbers(line, words.take(3), NORMAL, place)?),
            Some(b"f") => {
                let start = content.corners.len();
                for word in words {
                    let corner = content.corner(word).ok_or_else(|| corner_error(line, word, place))?;
                    content.corners.push(corner);
                }
                content.end_face(start);
            }
            _ => {}
        }
    }
    if content.vertices.is_empty() {
        return Err(Error::invalid(place, "vertices (v x y z)", "none"));
    }
    content.finish(place)
}

/// The text with the lines joined that end in a backslash; as many empty lines follow, so that numbers stay right.
fn joined(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_continued = |pair: &[u8]| pair[0] == b'\\' && matches!(pair[1], b'\n' | b'\r');
    if !bytes.windows(2).any(is_continued) {
        return Cow::Borrowed(bytes);
    }
    let (mut text, mut rest, mut owed) = (Vec::with_capacity(bytes.len()), bytes, 0);
    while !rest.is_empty() {
        let (line, end, next) = split_line(rest);
        rest = next;
        match line.strip_suffix(b"\\") {
            Some(start) if !end.is_empty() => {
                text.extend_from_slice(start);
                text.push(b' ');
                owed += 1;
            }
            _ => {
                text.extend_from_slice(line);
                text.extend_from_slice(end);
                (0..std::mem::take(&mut owed)).for_each(|_| text.extend_from_slice(end));
            }
        }
    }
    Cow::Owned(text)
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
            Some(part) if !part.is_empty() => position(part, self.normals.len())?,
            _ => NO_NORMAL,
        };
        parts.next().is_none().then_some([vertex, normal])
    }

    /// Makes a face of the corners from `start` on. Fewer than three have no area.
    fn end_face(&mut self, start: usize) {
        match self.corners.len() - start {
            0..3 => self.corners.truncate(start),
            size => self.faces.push(size),
        }
    }

    fn finish(mut self, place: &str) -> Result<Raw> {
        let has_normals = self.corners.iter().all(|[_, normal]| *normal != NO_NORMAL);
        if has_normals && !self.corners.is_empty() {
            self.split(place)?;
        }
        let triangles = self.fanned();
        let [axes, colours] = [&VERTEX[..3], &VERTEX[3..]];
        let mut columns = columns_of(axes, &self.vertices);
        // In a cloud no face says which normal is whose: as many as vertices stand in their order.
        if has_normals && self.normals.len() == self.vertices.len() {
            columns.extend(columns_of(&NORMAL, &self.normals));
        }
        if self.colours.len() == self.vertices.len() {
            columns.extend(columns_of(colours, &self.colours));
        }
        columns::finish(columns, triangles, place)
    }

    /// The triangles of all faces, each from its first corner.
    fn fanned(&self) -> Vec<[u64; 3]> {
        let mut triangles = Vec::with_capacity(self.corners.len() - 2 * self.faces.len());
        let mut rest = self.corners.as_slice();
        for size in &self.faces {
            let (face, others) = rest.split_at(*size);
            let triangle = |pair: &[Corner]| [face[0], pair[0], pair[1]].map(|[vertex, _]| u64::from(vertex));
            triangles.extend(face[1..].windows(2).map(triangle));
            rest = others;
        }
        triangles
    }

    /// Makes a vertex of every pair of position and normal that a corner names, in the order of their first use, and
    /// lets the corners name these: at an edge one position has two normals, and becomes two vertices.
    fn split(&mut self, place: &str) -> Result<()> {
        let mut used: Vec<Corner> = Vec::new();
        let mut seen: HashMap<Corner, u32> = HashMap::new();
        for corner in &mut self.corners {
            let named = *corner;
            corner[0] = *seen.entry(named).or_insert_with(|| {
                used.push(named);
                used.len() as u32 - 1
            });
        }
        let vertices = || used.iter().map(|[vertex, _]| *vertex);
        if self.colours.len() == self.vertices.len() {
            self.colours = chosen(&self.colours, vertices(), "colours", place)?;
        }
        self.vertices = chosen(&self.vertices, vertices(), "vertices", place)?;
        self.normals = chosen(&self.normals, used.iter().map(|[_, normal]| *normal), "normals", place)?;
        Ok(())
    }
}

fn chosen(rows: &[[f64; 3]], positions: impl Iterator<Item = u32>, what: &str, place: &str) -> Result<Vec<[f64; 3]>> {
    let row = |position: u32| rows.get(position as usize).copied();
    let missing = |position: u32| format!("a face that names number {}", u64::from(position) + 1);
    let expected = || format!("faces over {} {what}", rows.len());
    positions.map(|at| row(at).ok_or_else(|| Error::invalid(place, expected(), missing(at)))).collect()
}

/// A position from 0. The file counts from 1, or from -1 back from the last that was read.
fn position(word: &[u8], read: usize) -> Option<u32> {
    let number: i64 = std::str::from_utf8(word).ok()?.parse().ok()?;
    let position = match number {
        0 => None,
        1.. => Some(number.unsigned_abs() - 1),
        _ => (read as u64).checked_sub(number.unsigned_abs()),
    };
    position.map(|position| position.min(FURTHEST.into()) as u32)
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
        *value = line.value(words.next(), name, place)?;
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
    use super::super::Format::Obj;
    use super::super::tests::assert_refused;
    use super::*;

    fn read(text: &str) -> Raw {
        parse(text.as_bytes(), "a.obj").unwrap()
    }

    fn column<'a>(raw: &'a Raw, name: &str) -> &'a [f64] {
        raw.column(name).unwrap()
    }

    const SQUARE: &str = "v 0 0 0\nv 1 0 0\nv 1 1 0.5\nv 0 1 0\n";

    #[test]
    fn faces_are_fanned_and_objects_joined() {
        let raw = read(&format!("mtllib nowhere.mtl\no one\n{SQUARE}usemtl red\nf 1 2 3 4\no two\nv 5 5 5\nf 1 2 5\n"));
        assert_eq!(raw.triangles, [[0, 1, 2], [0, 2, 3], [0, 1, 4]]);
        assert_eq!(column(&raw, "z"), [0.0, 0.0, 0.5, 0.0, 5.0]);
        assert_eq!(raw.names(), "x, y, z");
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
        assert_eq!(without.names(), "x, y, z");
    }

    #[test]
    fn vertices_alone_are_a_cloud_with_normals_and_colours() {
        let raw = read("v 1 2 3 1 0.5 0\nvn 0 0 1\nv 4 5 6 0 0 1\nvn 0 1 0\n");
        assert_eq!(raw.names(), "x, y, z, nx, ny, nz, red, green, blue");
        assert_eq!((column(&raw, "y"), column(&raw, "ny")), (&[2.0, 5.0][..], &[0.0, 1.0][..]));
        assert_eq!((column(&raw, "green"), column(&raw, "blue")), (&[0.5, 0.0][..], &[0.0, 1.0][..]));
        assert!(raw.triangles.is_empty());
        assert_eq!(read("v 1 2 3 1 0.5 0\nv 4 5 6\n").names(), "x, y, z");
        assert_eq!(read("v 1 2 3 1.0\nv 4 5 6 1.0\n").names(), "x, y, z");
        let coloured =
            read(&format!("v 9 9 9 1 1 1\n{}vn 0 0 1\nf 2//1 3//1 4//1\n", SQUARE.replace('\n', " 0 1 0\n")));
        assert_eq!(column(&coloured, "red"), [0.0; 3]);
    }

    #[test]
    fn a_line_that_a_backslash_ends_goes_on_in_the_next() {
        for end in ["\n", "\r\n", "\r"] {
            let text =
                format!("# one\\\ntwo\n{SQUARE}f 1 \\\n 2 3 \\\n4\nv 7 7\\\n 7\nv 1 2 wrong\n").replace('\n', end);
            assert_refused(Obj, [(&text, "a, line 12: expected a number for z, found wrong")]);
            let raw = read(&text.replace("wrong", "3 \\"));
            assert_eq!((raw.triangles.as_slice(), column(&raw, "z")[4]), (&[[0, 1, 2], [0, 2, 3]][..], 7.0));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("", "a: expected vertices (v x y z), found none"),
            ("v 1 2", "a, line 1: expected a number for z, found the line's end"),
            ("v 1 2 3\nvn 0 zero 0\n", "a, line 2: expected a number for ny, found zero"),
            ("v 1 2 3 4 5\n", "a, line 1: expected x y z, perhaps with red green blue, found 5 values"),
            ("v 1 2 3 4 5 six\n", "a, line 1: expected a number for blue, found six"),
        ];
        assert_refused(Obj, cases);
        let words = ["0", "-2", "a", "1/2/3/4", "1//-1", "1//x", "/1", "9999999999999999999999"];
        let of_word = |word| (format!("v 1 2 3\nf {word} 1 1\n"), "a, line 2: expected corners...");
        assert_refused(Obj, words.map(of_word));
        let normal = format!("{SQUARE}vn 0 0 1\nf 1//1 2//1");
        let far = [
            (format!("{normal} 3//7\n"), "a: expected faces over 1 normals, found a face that names number 7"),
            (format!("{normal} {}//1\n", i64::MAX), "...faces over 4 vertices..."),
        ];
        assert_refused(Obj, far);
        assert_eq!(read(&format!("{SQUARE}f 1 2 9\n")).triangles, [[0, 1, 8]]);
    }
}

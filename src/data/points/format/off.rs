//! OFF meshes (Object File Format), as Princeton's ModelNet has them and as Geomview defines them.
//!
//! Read: the header on its own line or glued to the counts (`OFF490 518 0`), comments, polygons of any size
//! (fanned), normals (`NOFF`) and colours (`COFF`) of vertices, clouds (no faces). Colours of faces and texture
//! coordinates are passed over; four-dimensional and binary files are refused.
//!
//! The crate `off-rs` (2.0) does not read the glued header, `COFF` and `NOFF`, needs to be told how colours are
//! written, holds coordinates as f32, and allocates for every line; ModelNet40 is 10 GB of such lines.

use super::Raw;
use super::columns::{self, Column, Number};
use crate::data::scan::{Line, Lines, cut, fan, number, show, whole};
use crate::error::{Error, Result};

/// Fewest bytes of a vertex (`0 0 0` and a line end) and of a face (`0` and a line end).
const SHORTEST_VERTEX: usize = 6;
const SHORTEST_FACE: usize = 2;

/// What the letters before `OFF` say about a vertex.
#[derive(Debug, Clone, Copy, Default)]
struct Layout {
    normals: bool,
    colours: bool,
    texture: bool,
}

/// The columns and triangles of an OFF file.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let mut lines = Lines::without_comments(bytes, b'#');
    let (layout, counts) = header(&mut lines, place)?;
    let [vertices, faces] = read_counts(counts, place)?;
    let columns = read_vertices(&mut lines, layout, vertices, place)?;
    let triangles = read_faces(&mut lines, faces, place)?;
    if let Some(line) = lines.next() {
        let expected = format!("the end of the file after {vertices} vertices and {faces} faces, as the header says");
        return Err(line.invalid(place, expected, show(line.text)));
    }
    columns::finish(columns, triangles, place)
}

/// The layout of vertices, and the line with the counts.
fn header<'a>(lines: &mut Lines<'a>, place: &str) -> Result<(Layout, Line<'a>)> {
    let Some(first) = lines.next() else { return Err(Error::invalid(place, "an OFF file", "an empty file")) };
    let refuse = || first.invalid(place, "OFF, COFF or NOFF, a text with three coordinates", show(first.text));
    let at = first.text.windows(3).position(|word| word.eq_ignore_ascii_case(b"OFF")).ok_or_else(refuse)?;
    let layout = layout(&first.text[..at].to_ascii_uppercase()).ok_or_else(refuse)?;
    let rest = first.text[at + 3..].trim_ascii();
    if rest.is_empty() {
        let counts = lines.next();
        return counts.map(|line| (layout, line)).ok_or_else(|| Error::invalid(place, "counts after OFF", "the end"));
    }
    if rest.starts_with(b"BINARY") {
        return Err(refuse());
    }
    Ok((layout, Line { text: rest, ..first }))
}

fn layout(mut letters: &[u8]) -> Option<Layout> {
    let mut layout = Layout::default();
    while !letters.is_empty() {
        letters = if let Some(rest) = letters.strip_prefix(b"ST") {
            layout.texture = true;
            rest
        } else if let Some(rest) = letters.strip_prefix(b"C") {
            layout.colours = true;
            rest
        } else {
            layout.normals = true;
            letters.strip_prefix(b"N")?
        };
    }
    Some(layout)
}

/// Vertices and faces; the number of edges may be missing and is of no use.
fn read_counts(line: Line<'_>, place: &str) -> Result<[u64; 2]> {
    let expected = "the numbers of vertices, faces and edges";
    let mut words = line.words();
    let counts = [line.count(words.next(), expected, place)?, line.count(words.next(), expected, place)?];
    if let Some(edges) = words.next() {
        line.count(Some(edges), expected, place)?;
    }
    match words.next() {
        Some(word) => Err(line.invalid(place, expected, format!("{} after them", show(word)))),
        None => Ok(counts),
    }
}

fn read_vertices(lines: &mut Lines<'_>, layout: Layout, count: u64, place: &str) -> Result<Vec<Column>> {
    let first = lines.clone().next().filter(|_| count > 0);
    let mut columns = match first {
        Some(line) => vertex_columns(layout, line, place)?,
        None => (0..3).map(Column::numbered).collect(),
    };
    let capacity = (lines.remaining() / SHORTEST_VERTEX + 1).min(usize::try_from(count).unwrap_or(usize::MAX));
    for column in &mut columns {
        column.number = Number::Whole;
        column.values.reserve_exact(capacity);
    }
    for vertex in 0..count {
        let line = lines.next().ok_or_else(|| cut(place, count, "vertices", vertex))?;
        read_vertex(line, &mut columns, place)?;
    }
    columns.retain(|column| !column.name.starts_with("texture"));
    Ok(columns)
}

/// The columns that the header's letters and the first vertex speak of: colours have three or four values.
fn vertex_columns(layout: Layout, first: Line<'_>, place: &str) -> Result<Vec<Column>> {
    let parts: [(bool, &[&str]); 4] = [
        (true, &["x", "y", "z"]),
        (layout.normals, &["nx", "ny", "nz"]),
        (layout.colours, &["red", "green", "blue", "alpha"]),
        (layout.texture, &["texture_s", "texture_t"]),
    ];
    let present = parts.iter().filter(|(present, _)| *present);
    let mut names: Vec<&str> = present.flat_map(|(_, names)| names.iter().copied()).collect();
    let found = first.words().count();
    if layout.colours && found + 1 == names.len() {
        names.retain(|name| *name != "alpha");
    }
    if found == names.len() {
        return Ok(names.into_iter().map(Column::new).collect());
    }
    let error = first.invalid(place, format!("{} numbers: {}", names.len(), names.join(" ")), found.to_string());
    Err(error.with_hint("the header's letters before OFF say what a vertex has: N normals, C colours, ST texture"))
}

fn read_vertex(line: Line<'_>, columns: &mut [Column], place: &str) -> Result<()> {
    let width = columns.len();
    let mut words = line.words();
    for column in columns {
        let word = words.next().ok_or_else(|| {
            line.invalid(place, format!("{width} numbers"), format!("{} values", line.words().count()))
        })?;
        let value =
            number(word).ok_or_else(|| line.invalid(place, format!("a number for {}", column.name), show(word)))?;
        column.push(value, word);
    }
    match words.next() {
        Some(_) => Err(line.invalid(place, format!("{width} numbers"), format!("{} values", line.words().count()))),
        None => Ok(()),
    }
}

fn read_faces(lines: &mut Lines<'_>, count: u64, place: &str) -> Result<Vec<[u64; 3]>> {
    let most = lines.remaining() / SHORTEST_FACE + 1;
    let mut triangles = Vec::with_capacity(most.min(usize::try_from(count).unwrap_or(usize::MAX)));
    let mut corners = Vec::new();
    for face in 0..count {
        let line = lines.next().ok_or_else(|| cut(place, count, "faces", face))?;
        let mut words = line.words();
        let size = line.count(words.next(), "the number of corners of a face", place)?;
        corners.clear();
        for _ in 0..size {
            let corner = words.next().and_then(whole);
            corners.push(corner.ok_or_else(|| {
                line.invalid(place, format!("{size} corners, positions of vertices"), show(line.text))
            })?);
        }
        fan(&corners, &mut triangles);
    }
    Ok(triangles)
}

#[cfg(test)]
mod tests {
    use super::super::Format::Off;
    use super::super::tests::assert_refused;
    use super::*;

    fn column<'a>(raw: &'a Raw, name: &str) -> &'a [f64] {
        raw.column(name).unwrap()
    }

    const SQUARE: &str = "4 2 0\n0 0 0\n1 0 0\n1 1 0.5\n0 1 0\n3 0 1 2\n4 0 1 2 3\n";

    #[test]
    fn headers_on_their_own_line_and_glued_are_the_same() {
        let plain = parse(format!("OFF\n{SQUARE}").as_bytes(), "a").unwrap();
        assert_eq!(column(&plain, "x"), [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(column(&plain, "z"), [0.0, 0.0, 0.5, 0.0]);
        assert_eq!(plain.triangles, [[0, 1, 2], [0, 1, 2], [0, 2, 3]]);
        let spellings = [
            format!("OFF{SQUARE}"),
            format!("OFF {SQUARE}"),
            format!("off\n{SQUARE}"),
            format!("Off{SQUARE}"),
            format!("OFF\n{SQUARE}").replace('\n', "\r"),
            format!("\u{feff}# by hand\n\nOFF # mesh\n# counts\n{}", SQUARE.replace("4 2 0", "4 2")),
            format!("OFF\n{SQUARE}").replace('\n', "\r\n"),
            format!("OFF\n{}", SQUARE.replace('\n', "\n\n").replace("0 1 2 3", "0 1 2 3 255 0 0 0.5")),
            format!("OFF\n{}", SQUARE.trim_end()),
        ];
        for text in spellings {
            assert_eq!(parse(text.as_bytes(), "a").unwrap(), plain, "{text}");
        }
    }

    #[test]
    fn vertices_may_have_normals_and_colours_as_stored() {
        let raw = parse(b"CNOFF\n1 0 0\n1 2 3 0 0 1 255 51 0 255\n", "a").unwrap();
        assert_eq!((column(&raw, "nz"), column(&raw, "red")), (&[1.0][..], &[255.0][..]));
        assert_eq!((column(&raw, "green"), column(&raw, "alpha")), (&[51.0][..], &[255.0][..]));
        assert_eq!(column(&parse(b"cnoff\n1 0 0\n1 2 3 0 0 1 0.5 0 0\n", "a").unwrap(), "red"), [0.5]);
        let raw = parse(b"STCOFF\n1 0 0\n1 2 3 1 0.25 0 9 9\n", "a").unwrap();
        assert_eq!(raw.names(), "x, y, z, red, green, blue");
        assert_eq!((column(&raw, "red"), column(&raw, "green")), (&[1.0][..], &[0.25][..]));
    }

    #[test]
    fn a_cloud_has_no_faces_and_small_faces_have_no_triangles() {
        assert_eq!(parse(b"OFF\n2 0 0\n1 2 3\n4 5 6\n", "a").unwrap().triangles, [[0_u64; 3]; 0]);
        assert_eq!(parse(b"OFF\n2 2 0\n1 2 3\n4 5 6\n2 0 1\n1 0\n", "a").unwrap().triangles, [[0_u64; 3]; 0]);
        let empty = parse(b"OFF\n0 0 0\n", "a").unwrap();
        assert_eq!(empty.columns.len(), 3);
        assert!(empty.columns.iter().all(|column| column.1.is_empty()));
    }

    #[test]
    fn what_is_cut_or_not_off_is_named_with_its_line() {
        let cases = [
            ("", "a: expected an OFF file, found an empty file"),
            ("OFF\n", "a: expected counts after OFF, found the end"),
            ("OFF\n3 1 0\n0 0 0\n1 0 0\n", "a: expected 3 vertices, as the header says, found 2: the file is cut"),
            ("OFF\n1 2 0\n0 0 0\n3 0 0 0\n", "a: expected 2 faces, as the header says, found 1: the file is cut"),
            ("OFF\n2 0 0\n0 0 0\n1 0", "a, line 4: expected 3 numbers, found 2 values"),
            ("OFF\n1 1 0\n0 0 0\n3 0 0", "a, line 4: expected 3 corners, positions of vertices, found 3 0 0"),
            (
                "OFF\n1 0 0\n0 0 0\n1 1 1\n",
                "a, line 4: expected the end of the file after 1 vertices and 0 faces, as the header says, found 1 1 1",
            ),
            ("ply\nformat ascii 1.0\n", "a, line 1: expected OFF, COFF or NOFF..."),
            ("4OFF\n1 0 0\n", "...found 4OFF"),
            ("OFF BINARY\n", "...found OFF BINARY"),
            ("OFF\n1 -1 0\n", "...line 2: expected the numbers of vertices, faces and edges, found -1"),
            ("OFF\n1 0 0 0\n", "...found 0 after them"),
            ("OFF\n1 0 0\n0 zero 0\n", "a, line 3: expected a number for y, found zero"),
            ("OFF\n1 0 0\n0 0 0 1\n", "a, line 3: expected 3 numbers: x y z, found 4"),
            ("OFF\n1 1 0\n0 0 0\n3 0 -1 0\n", "...line 4..."),
        ];
        assert_refused(Off, cases);
    }

    #[test]
    fn headers_that_lie_are_refused_without_reserving_memory() {
        let huge = u64::MAX;
        let cases = [
            (format!("OFF\n{huge} {huge} 0\n0 0 0\n"), "...found 1: the file is cut".to_owned()),
            (format!("OFF\n1 {huge} 0\n0 0 0\n"), "...found 0: the file is cut".to_owned()),
            (format!("OFF\n1 1 0\n0 0 0\n{huge} 0 0\n"), format!("a, line 4: expected {huge} corners...")),
        ];
        assert_refused(Off, cases);
    }
}

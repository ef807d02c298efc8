//! NumPy arrays: `.npy`, and `.npz` with one array of points, and perhaps others of their normals, colours and labels.
//!
//! An array of shape (points, columns) of any integer or float type, in C or Fortran order, or a structured array
//! of shape (points,) with named fields.
//!
//! The header is read by ourselves (`data/numpy/header.rs`): the crate `npyz` (0.9) panics where it multiplies a lying
//! shape (when overflow is checked), and reads structured arrays only into structures that are known when it is
//! compiled.

use std::path::Path;

use super::Raw;
use super::columns::{self, Column, LABELS, Number};
use crate::data::numpy::archive::{Archive, is_archive};
use crate::data::numpy::{Grid, header, shape_error};
use crate::data::scan::show;
use crate::error::{Error, Result};
use crate::reading;

/// The arrays of an archive that may hold its points, the best name first.
const POINTS: [&str; 6] = ["points", "pos", "xyz", "coord", "coords", "arr_0"];

/// The arrays of an archive that may hold three values per point, or four, and the columns that these are.
const BESIDE: [(&[&str], &[&str]); 2] = [
    (&["normal", "normals"], &["nx", "ny", "nz"]),
    (&["color", "colors", "colour", "colours", "rgb"], &["red", "green", "blue", "alpha"]),
];

/// The columns of a `.npy` or `.npz` file; which of them it is, its first bytes say.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    if is_archive(bytes) {
        let mut archive = Archive::open(bytes, place)?;
        let name = chosen(&archive.names(), place)?;
        let array = archive.array(&name)?;
        return joined(&array, &format!("{place}, array {name}"), &mut |name| archive.array(name).ok());
    }
    finish(columns_of(bytes, place)?, place)
}

fn finish(mut columns: Vec<Column>, place: &str) -> Result<Raw> {
    let have_names = columns.iter().enumerate().any(|(at, column)| column.name != Column::numbered(at).name);
    let counts_points = !have_names && columns::set_index_apart(&mut columns);
    Ok(Raw { counts_points, ..columns::finish(columns, Vec::new(), place)? })
}

/// The columns of a folder with arrays as an archive has them, such as `coord.npy`, `color.npy` and `segment.npy`.
///
/// # Errors
/// As for an archive.
pub(super) fn read_folder(folder: &Path) -> Result<Raw> {
    let file = |name: &str| folder.join(format!("{name}.npy"));
    let points = POINTS
        .iter()
        .map(|name| file(name))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::invalid(folder, format!("one of the arrays {}", POINTS.join(", ")), "none"))?;
    joined(&reading::bytes(&points)?, &points.display().to_string(), &mut |name| reading::bytes(&file(name)).ok())
}

/// The columns of an array of points, and those of others of so many rows, by their names; whatever else is called so is
/// something else.
fn joined(array: &[u8], place: &str, beside: &mut dyn FnMut(&str) -> Option<Vec<u8>>) -> Result<Raw> {
    let mut columns = columns_of(array, place)?;
    let points = columns.first().map_or(0, |column| column.values.len());
    let labels = LABELS.iter().map(|name| (name, std::slice::from_ref(name)));
    let others = BESIDE.iter().flat_map(|(names, columns)| names.iter().map(|name| (name, *columns)));
    for (name, parts) in labels.chain(others) {
        let Some(array) = beside(name) else { continue };
        let Some(grid) = beside_points(&array, name) else { continue };
        let is_width = grid.columns == parts.len() || parts.len() == 4 && grid.columns == 3;
        let is_new = !columns.iter().any(|column| parts.contains(&column.name.to_lowercase().as_str()));
        if grid.rows == points && is_width && is_new {
            let parts = parts.iter().take(grid.columns).enumerate();
            columns.extend(parts.filter_map(|(part, name)| values(&grid, part, Column::new(*name), name).ok()));
        }
    }
    columns::finish(columns, Vec::new(), place)
}

/// An array without names of columns that is whole.
fn beside_points<'a>(array: &'a [u8], name: &str) -> Option<Grid<'a>> {
    let (header, data) = header::read(array, name).ok()?;
    Grid::new(&header, data, "rows", name).ok().filter(|grid| grid.named().is_empty())
}

/// Which of these arrays of an archive has its points.
fn chosen(names: &[String], place: &str) -> Result<String> {
    let preferred = POINTS.into_iter().find(|points| names.iter().any(|name| name == points));
    let is_beside = |name: &str| LABELS.contains(&name) || BESIDE.iter().any(|(beside, _)| beside.contains(&name));
    let others: Vec<&String> = names.iter().filter(|name| !is_beside(name)).collect();
    match (names, preferred, others.as_slice()) {
        ([only], ..) => Ok(only.clone()),
        (_, Some(points), _) => Ok(points.to_owned()),
        (_, _, [only]) => Ok((*only).clone()),
        _ => {
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Err(Error::invalid(place, format!("one array, or one named {}", POINTS.join(", ")), found))
        }
    }
}

/// The columns of a table of shape (points, columns), or of a structured array of points.
fn columns_of(bytes: &[u8], place: &str) -> Result<Vec<Column>> {
    let (header, data) = header::read(bytes, place)?;
    if header.fields().is_empty() && header.shape.len() == 1 {
        return Err(shape_error(&header, "(points, columns)", place));
    }
    let grid = Grid::new(&header, data, "points", place)?;
    columns::check_width(grid.columns as u64, place)?;
    let name = |column: usize| grid.named().get(column).map(|named| named.name.clone());
    if grid.named().is_empty() {
        columns::check_orientation(grid.rows, grid.columns, place)?;
    }
    let numbered = |column| name(column).map_or_else(|| Column::numbered(column), Column::new);
    (0..grid.columns).map(|column| values(&grid, column, numbered(column), place)).collect()
}

/// Gives a column its values of a table; texts are names of classes where the column is called so.
fn values(grid: &Grid<'_>, at: usize, column: Column, place: &str) -> Result<Column> {
    let element = grid.element(at);
    if !element.is_text() {
        let values = (0..grid.rows).map(|row| grid.at(row, at)).collect();
        return Ok(Column { values, number: Number::of(element), ..column });
    }
    let field = format!("{element} in field {}", show(column.name.as_bytes()));
    let refused = if grid.named().is_empty() { element.to_string() } else { field };
    let is_label = LABELS.contains(&column.name.to_lowercase().as_str());
    let named = if is_label { names(grid, at, column) } else { None };
    named.ok_or_else(|| header::no_numbers(&refused, place))
}

/// Gives a column the names in a table.
fn names(grid: &Grid<'_>, at: usize, mut column: Column) -> Option<Column> {
    for row in 0..grid.rows {
        let text = grid.text(row, at)?;
        match text.is_empty() {
            true => column.values.push(f64::NAN),
            false if column.push_word(text.as_bytes()) => {}
            false => return None,
        }
    }
    Some(column)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use half::f16;

    use super::super::Scale;
    use super::*;
    use crate::data::numpy::tests::array;

    fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in arrays {
            archive.start_file(*name, zip::write::FileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn columns(bytes: &[u8]) -> Vec<(String, Vec<f64>)> {
        parse(bytes, "a.npy").unwrap().columns
    }

    fn values(bytes: &[u8]) -> Vec<Vec<f64>> {
        columns(bytes).into_iter().map(|column| column.1).collect()
    }

    fn message(bytes: &[u8]) -> String {
        parse(bytes, "a.npy").unwrap_err().to_string()
    }

    #[test]
    fn every_type_order_and_byte_order_is_read() {
        let expected = [vec![1.0, 4.0], vec![2.0, 5.0], vec![3.0, 6.0]];
        let rows = [1_i8, 2, 3, 4, 5, 6];
        macro_rules! check {
            ($descr:expr, $to_bytes:expr) => {
                let data: Vec<u8> = rows.iter().flat_map(|value| $to_bytes(*value)).collect();
                assert_eq!(values(&array($descr, false, "(2, 3)", &data)), expected, "{}", $descr);
                let columns = [1_i8, 4, 2, 5, 3, 6];
                let data: Vec<u8> = columns.iter().flat_map(|value| $to_bytes(*value)).collect();
                assert_eq!(values(&array($descr, true, "(2, 3)", &data)), expected, "{}", $descr);
            };
        }
        check!("'|i1'", |value: i8| value.to_le_bytes());
        check!("'|u1'", |value: i8| (value as u8).to_le_bytes());
        check!("'<i2'", |value: i8| i16::from(value).to_le_bytes());
        check!("'>u2'", |value: i8| (value as u16).to_be_bytes());
        check!("'<i4'", |value: i8| i32::from(value).to_le_bytes());
        check!("'>u4'", |value: i8| (value as u32).to_be_bytes());
        check!("'>i8'", |value: i8| i64::from(value).to_be_bytes());
        check!("'<u8'", |value: i8| (value as u64).to_le_bytes());
        check!("'<f2'", |value: i8| f16::from_f32(value.into()).to_le_bytes());
        check!("'>f4'", |value: i8| f32::from(value).to_be_bytes());
        check!("'<f8'", |value: i8| f64::from(value).to_le_bytes());
        assert_eq!(values(&array("'<i2'", false, "(1, 1)", &(-7_i16).to_le_bytes())), [[-7.0]]);
        assert_eq!(values(&array("'|b1'", false, "(2, 1)", &[0, 1])), [[0.0, 1.0]]);
        let raw = parse(&array("'|u1'", false, "(1, 5)", &[9; 5]), "a.npy").unwrap();
        assert_eq!(raw.names(), "x, y, z, 3, 4");
    }

    #[test]
    fn structured_arrays_have_named_columns() {
        let descr = "[('Label', '>i2'), (('a title', 'p'), '<f4', (2,)), ('', '|V3'), ('r', '|u1')]";
        let row = |label: i16, red: u8| {
            let floats = [1.5_f32, -2.5].map(f32::to_le_bytes).concat();
            [&label.to_be_bytes()[..], &floats, &[9; 3], &[red]].concat()
        };
        let raw = columns(&array(descr, false, "(2,)", &[row(-1, 51), row(7, 255)].concat()));
        let expected: [(&str, [f64; 2]); 4] =
            [("label", [-1.0, 7.0]), ("p_0", [1.5, 1.5]), ("p_1", [-2.5, -2.5]), ("red", [0.2, 1.0])];
        for (column, (name, values)) in raw.iter().zip(expected) {
            assert_eq!((column.0.as_str(), column.1.as_slice()), (name, &values[..]));
        }
        assert_eq!(raw.len(), 4);
        let wide = |text: &str| text.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect::<Vec<u8>>();
        let rows = [[&[1, 2, 3], &wide("tree")[..]].concat(), [&[4, 5, 6], &wide("é\0\0\0")[..]].concat()].concat();
        let descr = "[('x', '|u1'), ('y', '|u1'), ('z', '|u1'), ('Class', '<U4')]";
        let raw = parse(&array(descr, false, "(2,)", &rows), "a.npy").unwrap();
        assert_eq!(raw.words("class").unwrap(), ["tree", "é"]);
    }

    #[test]
    fn an_array_of_one_label_per_point_stands_beside_the_points() {
        let points = array("'|u1'", false, "(2, 3)", &[1, 2, 3, 4, 5, 6]);
        let labels = array("'|u1'", false, "(2,)", &[7, 9]);
        for (of_points, of_labels) in [("cloud.npy", "labels.npy"), ("pos.npy", "class.npy")] {
            let found = columns(&npz(&[(of_labels, labels.clone()), (of_points, points.clone())]));
            assert_eq!(found.len(), 4);
            assert_eq!(found[3], (of_labels.trim_end_matches(".npy").to_owned(), vec![7.0, 9.0]));
        }
        let of_shapes = array("'|u1'", false, "(1,)", &[7]);
        assert_eq!(columns(&npz(&[("label.npy", of_shapes), ("pos.npy", points)])).len(), 3, "not one per point");
    }

    #[test]
    fn normals_and_colours_stand_beside_the_points_and_colours_follow_their_type() {
        let points = array("'<f4'", false, "(2, 3)", &[0; 24]);
        let normals = array("'|i1'", false, "(2, 3)", &[0, 0, 1, 0, 1, 0]);
        let rgba = array("'|u1'", true, "(2, 4)", &[255, 51, 0, 0, 0, 102, 255, 255]);
        let words = array("'<u2'", false, "(2, 3)", &[0xFF; 12]);
        let all = [("coord.npy", points), ("normals.npy", normals), ("color.npy", rgba), ("colors.npy", words)];
        let raw = parse(&npz(&all), "a.npz").unwrap();
        assert_eq!(raw.names(), "x, y, z, nx, ny, nz, red, green, blue, alpha");
        assert_eq!((&raw.columns[5].1, &raw.columns[6].1), (&vec![1.0, 0.0], &vec![1.0, 0.2]));
        let raw = parse(&npz(&[all[0].clone(), all[3].clone()]), "a.npz").unwrap();
        assert_eq!((raw.columns[3].1[0], raw.scales[0].clone()), (65535.0, ("red".to_owned(), Scale::Word)));
    }

    #[test]
    fn rows_and_columns_that_look_exchanged_are_refused() {
        let expected =
            "a.npy: expected an array of shape (points, columns), found shape (3, 500), which looks transposed";
        assert_eq!(message(&array("'|u1'", false, "(3, 500)", &[0; 1500])), expected);
        let inside = message(&npz(&[("points.npy", array("'|u1'", true, "(6, 40)", &[0; 240]))]));
        assert!(inside.starts_with("a.npy, array points: ") && inside.ends_with("looks transposed"), "{inside}");
        assert_eq!(columns(&array("'|u1'", false, "(3, 7)", &[0; 21])).len(), 7);
        assert_eq!(columns(&array("'|u1'", false, "(12, 500)", &[0; 6000])).len(), 500);
    }

    #[test]
    fn archives_give_their_only_array_or_the_one_called_points() {
        let one = array("'|u1'", false, "(1, 3)", &[1, 2, 3]);
        let two = array("'|u1'", false, "(1, 3)", &[4, 5, 6]);
        assert_eq!(values(&npz(&[("cloud.npy", one.clone())])), [[1.0], [2.0], [3.0]]);
        assert_eq!(values(&npz(&[("label.npy", one.clone()), ("pos.npy", two.clone())])), [[4.0], [5.0], [6.0]]);
        let both = npz(&[("b.npy", one.clone()), ("a.npy", two)]);
        assert_eq!(
            message(&both),
            "a.npy: expected one array, or one named points, pos, xyz, coord, coords, arr_0, found a, b"
        );
        assert!(message(&npz(&[("readme.txt", vec![1])])).ends_with("found none"));
        let cut = npz(&[("cloud.npy", one[..one.len() - 1].to_vec())]);
        assert_eq!(
            message(&cut),
            "a.npy, array cloud: expected 1 points, as the header says, found 0: the file is cut"
        );
        assert!(message(&both[..both.len() / 2]).contains("expected a whole .npz archive"));
        let mut broken = npz(&[("cloud.npy", one)]);
        broken[45] ^= 0xFF;
        assert!(message(&broken).contains("expected a whole .npz archive"));
    }

    #[test]
    fn cut_files_and_lying_shapes_are_refused_without_reserving_memory() {
        let whole = array("'<f4'", false, "(3, 3)", &[0; 36]);
        assert_eq!(
            message(&whole[..whole.len() - 1]),
            "a.npy: expected 3 points, as the header says, found 2: the file is cut"
        );
        assert!(message(&whole[..40]).contains("30: the file is cut"));
        assert!(message(&whole[..7]).contains("the end: the file is cut"));
        assert_eq!(message(b""), "a.npy: expected a NumPy array, which begins with \\x93NUMPY, found an empty file");
        let huge = u64::MAX;
        for shape in [format!("({huge}, 3)"), format!("(3, {huge})"), format!("({huge}, {huge})"), "(1, 9999)".into()] {
            assert!(message(&array("'<f8'", false, &shape, &[0; 64])).contains("the file is cut"), "{shape}");
        }
        for (descr, points) in [(format!("[('x', '<f8', ({huge},))]"), 1), ("[('x', '<f4', (1048576,))]".into(), 0)] {
            message(&array(&descr, false, &format!("({points},)"), &[0; 64]));
        }
        assert!(message(&array("'<f4'", false, "(0, 1099511627776)", &[])).contains("found shape (0, 1099511627776)"));
    }

    #[test]
    fn other_arrays_are_named() {
        let shape = |shape: &str| message(&array("'<f4'", false, shape, &[0; 64]));
        assert_eq!(shape("(4,)"), "a.npy: expected an array of shape (points, columns), found shape (4)");
        assert!(shape("(2, 2, 2)").ends_with("found shape (2, 2, 2)"));
        assert!(shape("()").ends_with("found shape ()"));
        assert!(message(&array("[('x', '<f4')]", false, "(2, 2)", &[0; 64])).contains("shape (points)"));
        for kind in ["<c8", "|O", "<U3", "|S4", "<f16", "<M8[s]", "|V8"] {
            let error = parse(&array(&format!("'{kind}'"), false, "(1, 1)", &[0; 64]), "a.npy").unwrap_err();
            assert!(error.to_string().ends_with(&format!("at most 64 bits, found {kind}")), "{error}");
            assert!(error.hint().is_some());
        }
        assert!(
            message(&array("[('x', '<f4'), ('name', '<U3')]", false, "(1,)", &[0; 16])).contains("<U3 in field name")
        );
        assert!(message(&array("[('x', [('y', '<f4')])]", false, "(1,)", &[])).contains("fields in field x"));
    }
}

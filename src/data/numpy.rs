//! NumPy arrays as `.npy` files have them: tables of numbers of any integer or float type in C or Fortran order,
//! structured arrays, whose columns have names, and texts of fixed length.
//!
//! Which array of an archive is what stands with the files of points (`points/format/numpy.rs`) and of graphs.

pub(in crate::data) mod archive;
pub(in crate::data) mod header;

use half::f16;

use super::scan::cut;
use crate::error::{Error, Result};
use header::{Element, Header};

/// A table as its file stores it, all of it there.
pub(in crate::data) struct Grid<'a> {
    data: &'a [u8],
    /// The type of its numbers; of a structured array, of its first column.
    pub element: Element,
    pub rows: usize,
    pub columns: usize,
    /// Bytes from a row to the next, and from a column to the next.
    per_row: usize,
    per_column: usize,
    /// The columns of a structured array.
    named: Vec<Column>,
}

/// A column of a structured array.
pub(in crate::data) struct Column {
    pub name: String,
    element: Element,
    /// Bytes before it in a row.
    offset: usize,
}

impl<'a> Grid<'a> {
    /// The table after a header: of a structured array, one of any type, or a list (rows) of one column; `what` its rows
    /// are called.
    ///
    /// # Errors
    /// Another shape, no rows or columns, or fewer rows than the header says.
    pub fn new(header: &Header, data: &'a [u8], what: &str, place: &str) -> Result<Self> {
        let (rows, columns) = match (&header.shape[..], header.fields()) {
            ([rows], []) => (*rows, 1),
            ([rows, columns], []) => (*rows, *columns),
            ([rows], fields) => (*rows, fields.iter().map(|field| field.columns() as u64).sum()),
            (_, []) => return Err(shape_error(header, &format!("({what}) or ({what}, columns)"), place)),
            _ => return Err(shape_error(header, &format!("({what})"), place)),
        };
        if rows == 0 || columns == 0 {
            return Err(shape_error(header, &format!("some {what} and columns"), place));
        }
        let element = header.element;
        let size = match header.fields() {
            [] => usize::try_from(columns).ok().and_then(|columns| columns.checked_mul(element.size)),
            _ => Some(header.size()),
        };
        let size = size.unwrap_or(usize::MAX).max(1);
        let rows = whole_rows(data, rows, size, what, place)?;
        let (per_row, per_column) =
            if header.is_fortran { (element.size, rows * element.size) } else { (size, element.size) };
        let mut grid = Self { data, element, rows, columns: columns as usize, per_row, per_column, named: Vec::new() };
        if !header.fields().is_empty() {
            grid.per_row = size;
            grid.named = named(header, place)?;
        }
        Ok(grid)
    }

    /// True for true and false.
    pub fn is_boolean(&self) -> bool {
        self.element.kind == b'b'
    }

    /// The columns of a structured array; none of another one.
    pub fn named(&self) -> &[Column] {
        &self.named
    }

    /// True of names or texts, which a plain table of numbers has not.
    pub fn has_words(&self) -> bool {
        !self.named.is_empty() || self.element.is_text()
    }

    /// The type of a column.
    pub fn element(&self, column: usize) -> Element {
        self.named.get(column).map_or(self.element, |column| column.element)
    }

    /// The number in this row and column.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        value(self.cell(row, column), self.element(column))
    }

    /// The text in this row and column, without what fills it up; none where it is no valid one.
    pub fn text(&self, row: usize, column: usize) -> Option<String> {
        text(self.cell(row, column), self.element(column))
    }

    fn cell(&self, row: usize, column: usize) -> &'a [u8] {
        let within = self.named.get(column).map_or_else(|| column * self.per_column, |column| column.offset);
        &self.data[row * self.per_row + within..]
    }
}

/// The columns of a structured array; a field of several numbers has as many.
///
/// # Errors
/// Far more of them than a row may have.
fn named(header: &Header, place: &str) -> Result<Vec<Column>> {
    /// The header itself bounds the fields, but not their numbers.
    const MOST_NAMED: usize = 1 << 16;
    let count = header.fields().iter().fold(0_usize, |sum, field| sum.saturating_add(field.columns()));
    if count > MOST_NAMED {
        return Err(Error::invalid(place, format!("at most {MOST_NAMED} columns with names"), count.to_string()));
    }
    let parts = |field: &'_ header::Field| {
        let (name, element, offset, count) = (field.name.clone(), field.element, field.offset, field.columns());
        (0..count).map(move |part| Column {
            name: if count == 1 { name.clone() } else { format!("{name}_{part}") },
            element,
            offset: offset + part * element.size,
        })
    };
    Ok(header.fields().iter().flat_map(parts).collect())
}

/// The number of rows, each of `size` bytes, if all are there; `what` they are called.
pub(in crate::data) fn whole_rows(data: &[u8], rows: u64, size: usize, what: &str, place: &str) -> Result<usize> {
    let available = data.len() / size.max(1);
    match usize::try_from(rows) {
        Ok(rows) if rows <= available => Ok(rows),
        _ => Err(cut(place, rows, what, available as u64)),
    }
}

/// The error of an array of another shape.
pub(in crate::data) fn shape_error(header: &Header, expected: &str, place: &str) -> Error {
    let sizes: Vec<String> = header.shape.iter().map(ToString::to_string).collect();
    Error::invalid(place, format!("an array of shape {expected}"), format!("shape ({})", sizes.join(", ")))
}

/// The number at the start of `bytes`, which are at least as many as the type has.
pub(in crate::data) fn value(bytes: &[u8], element: Element) -> f64 {
    macro_rules! read {
        ($kind:ty) => {{
            let mut array = [0; size_of::<$kind>()];
            array.copy_from_slice(&bytes[..size_of::<$kind>()]);
            if element.is_big_endian { <$kind>::from_be_bytes(array) } else { <$kind>::from_le_bytes(array) }
        }};
    }
    match (element.kind, element.size) {
        (b'f', 2) => read!(f16).into(),
        (b'f', 4) => read!(f32).into(),
        (b'f', _) => read!(f64),
        (b'i', 1) => read!(i8).into(),
        (b'i', 2) => read!(i16).into(),
        (b'i', 4) => read!(i32).into(),
        (b'i', _) => read!(i64) as f64,
        (_, 1) => read!(u8).into(),
        (_, 2) => read!(u16).into(),
        (_, 4) => read!(u32).into(),
        (_, _) => read!(u64) as f64,
    }
}

/// The text at the start of `bytes`, which are at least as many as the type has.
fn text(bytes: &[u8], element: Element) -> Option<String> {
    let cell = &bytes[..element.size];
    let letter = |bytes: &[u8]| {
        let bytes: [u8; 4] = bytes.try_into().ok()?;
        char::from_u32(if element.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    let text = match element.kind {
        b'U' => cell.chunks_exact(4).map(letter).collect::<Option<String>>(),
        _ => String::from_utf8(cell.to_vec()).ok(),
    };
    text.map(|text| text.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
pub(in crate::data) mod tests {
    use super::*;

    /// An array with this type, order and shape in its header.
    pub(in crate::data) fn array(descr: &str, is_fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if is_fortran { "True" } else { "False" };
        let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8]) -> Result<Grid<'_>> {
        header::read(bytes, "a.npy").and_then(|(header, data)| Grid::new(&header, data, "rows", "a.npy"))
    }

    fn rows(bytes: &[u8]) -> Vec<Vec<f64>> {
        let grid = read(bytes).unwrap();
        let row = |row| (0..grid.columns).map(|column| grid.at(row, column)).collect();
        (0..grid.rows).map(row).collect()
    }

    #[test]
    fn lists_and_tables_of_both_orders_are_read() {
        assert_eq!(rows(&array("'|u1'", false, "(3,)", &[5, 6, 7])), [[5.0], [6.0], [7.0]]);
        assert_eq!(rows(&array("'|u1'", false, "(2, 2)", &[1, 2, 3, 4])), [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(rows(&array("'|u1'", true, "(2, 2)", &[1, 2, 3, 4])), [[1.0, 3.0], [2.0, 4.0]]);
    }

    #[test]
    fn other_shapes_and_cut_files_are_refused() {
        let message = |bytes: &[u8]| read(bytes).err().unwrap().to_string();
        let expected = "a.npy: expected an array of shape (rows) or (rows, columns), found shape ";
        assert_eq!(message(&array("'|u1'", false, "(2, 2, 2)", &[0; 8])), format!("{expected}(2, 2, 2)"));
        let structured = message(&array("[('x', '|u1')]", false, "(2, 1)", &[0; 8]));
        assert_eq!(structured, "a.npy: expected an array of shape (rows), found shape (2, 1)");
        assert!(message(&array("'|u1'", false, "(0, 2)", &[])).contains("some rows and columns"));
        let cut = "a.npy: expected 4 rows, as the header says, found 3: the file is cut";
        assert_eq!(message(&array("'<f4'", false, "(4,)", &[0; 15])), cut);
    }

    #[test]
    fn texts_of_both_kinds_are_read() {
        let texts = |kind: &str, data: &[u8]| {
            let bytes = array(&format!("'{kind}'"), false, "(2,)", data);
            let grid = read(&bytes).unwrap();
            (0..2).map(|row| grid.text(row, 0)).collect::<Option<Vec<_>>>()
        };
        let expected = Some(vec!["é".to_owned(), "tree".to_owned()]);
        let wide = |letter: char| u32::from(letter);
        let little: Vec<u8> = "é\0\0\0tree".chars().flat_map(|letter| wide(letter).to_le_bytes()).collect();
        let big: Vec<u8> = "é\0\0\0tree".chars().flat_map(|letter| wide(letter).to_be_bytes()).collect();
        assert_eq!(texts("<U4", &little), expected);
        assert_eq!(texts(">U4", &big), expected);
        assert_eq!(texts("|S5", "é\0\0\0tree\0".as_bytes()), expected);
        assert_eq!(texts("<U1", &[0xFF; 8]), None, "no letters");
    }
}

//! NumPy arrays as `.npy` files have them: plain tables of numbers of any integer or float type, in C or Fortran order.
//!
//! Archives and structured arrays, which only files of points are, stand with those (`points/format/numpy.rs`).

pub(in crate::data) mod header;

use half::f16;

use super::scan::cut;
use crate::error::{Error, Result};
use header::{Element, Header};

/// A plain table as its file stores it, all of it there.
pub(in crate::data) struct Grid<'a> {
    data: &'a [u8],
    /// The type of its numbers.
    pub element: Element,
    pub rows: usize,
    pub columns: usize,
    per_row: usize,
    per_column: usize,
}

impl<'a> Grid<'a> {
    /// The table (rows, columns) of a file without archive, or a list (rows) as a table of one column.
    ///
    /// # Errors
    /// Bytes that are no array, an array of another shape, or without rows, or that is cut; `place` names the file.
    pub fn read(bytes: &'a [u8], place: &str) -> Result<Self> {
        let (header, data) = header::read(bytes, place)?;
        match header.shape[..] {
            [rows] if header.fields().is_empty() => Self::new(&header, data, [rows, 1], "rows", place),
            [rows, columns] if header.fields().is_empty() => Self::new(&header, data, [rows, columns], "rows", place),
            _ => Err(shape_error(&header, "(rows) or (rows, columns)", place)),
        }
    }

    /// The table of this size after a header; `what` its rows are called.
    ///
    /// # Errors
    /// No rows or columns, or fewer rows than the header says.
    pub fn new(header: &Header, data: &'a [u8], size: [u64; 2], what: &str, place: &str) -> Result<Self> {
        let ([rows, columns], element) = (size, header.element);
        if rows == 0 || columns == 0 {
            return Err(shape_error(header, &format!("some {what} and columns"), place));
        }
        let bytes = usize::try_from(columns).ok().and_then(|columns| columns.checked_mul(element.size));
        let bytes = bytes.unwrap_or(usize::MAX);
        let rows = whole_rows(data, rows, bytes, what, place)?;
        let columns = bytes / element.size;
        let (per_row, per_column) = if header.is_fortran { (1, rows) } else { (columns, 1) };
        Ok(Self { data, element, rows, columns, per_row, per_column })
    }

    /// True for true and false.
    pub fn is_boolean(&self) -> bool {
        self.element.kind == b'b'
    }

    /// The number in this row and column.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        value(&self.data[(row * self.per_row + column * self.per_column) * self.element.size..], self.element)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn array(descr: &str, is_fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if is_fortran { "True" } else { "False" };
        let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), data].concat()
    }

    fn rows(bytes: &[u8]) -> Vec<Vec<f64>> {
        let grid = Grid::read(bytes, "a.npy").unwrap();
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
        let message = |bytes: &[u8]| Grid::read(bytes, "a.npy").err().unwrap().to_string();
        let expected = "a.npy: expected an array of shape (rows) or (rows, columns), found shape ";
        assert_eq!(message(&array("'|u1'", false, "(2, 2, 2)", &[0; 8])), format!("{expected}(2, 2, 2)"));
        assert_eq!(message(&array("[('x', '|u1')]", false, "(2,)", &[0; 8])), format!("{expected}(2)"));
        assert!(message(&array("'|u1'", false, "(0, 2)", &[])).contains("some rows and columns"));
        let cut = "a.npy: expected 4 rows, as the header says, found 3: the file is cut";
        assert_eq!(message(&array("'<f4'", false, "(4,)", &[0; 15])), cut);
    }
}

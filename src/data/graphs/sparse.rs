//! Sparse matrices as SciPy's `save_npz` writes them: an archive of the arrays `data`, `indices`, `indptr` (CSR, CSC)
//! or `row`, `col` (COO), `shape` and `format`.

use super::nodes::Matrix;
use super::tables::{MOST_COLUMNS, Table};
use crate::data::numpy::archive::Archive;
use crate::data::numpy::{Grid, header};
use crate::error::{Error, Result};

/// Numbers that a matrix may always have.
const LEAST_CELLS: u64 = 4 << 20;

/// Numbers per stored one: abstracts of papers have some dozen of ten thousand words.
const MOST_PER_ENTRY: u64 = 1 << 10;

/// What no matrix may exceed: 2 GiB in single precision.
const MOST_CELLS: u64 = 512 << 20;

/// Reads the matrix with its zeros.
///
/// # Errors
/// An archive that is cut or holds something else, entries outside the shape, values that are not finite, a shape of
/// far more numbers than entries.
pub(super) fn read(table: &Table) -> Result<Matrix> {
    let place = table.path.display().to_string();
    let mut archive = Parts { archive: Archive::open(table.bytes(), &place)?, place: &place };
    let shape = archive.numbers("shape")?;
    let format = archive.format()?;
    let &[rows, columns] = &shape[..] else {
        return Err(invalid(&place, "a shape of rows and columns", format!("{shape:?}")));
    };
    let values = archive.numbers("data")?;
    let [rows, columns] = check_size([rows, columns].map(size), values.len(), &place)?;
    let [row_of, column_of] = match &*format {
        "csr" => {
            let [ends, places] = [archive.numbers("indptr")?, archive.numbers("indices")?];
            [lines(&ends, rows, values.len(), &place)?, places]
        }
        "csc" => {
            let [ends, places] = [archive.numbers("indptr")?, archive.numbers("indices")?];
            [places, lines(&ends, columns, values.len(), &place)?]
        }
        "coo" => [archive.numbers("row")?, archive.numbers("col")?],
        other => return Err(invalid(&place, "a matrix of format csr, csc or coo", other.to_owned())),
    };
    fill([rows, columns], [&row_of, &column_of], &values, &place)
}

/// The arrays of a matrix in the format CSR: where each row ends, the column of every entry, and its value.
#[derive(Debug)]
pub(super) struct Compressed {
    pub ends: Vec<f64>,
    pub places: Vec<f64>,
    pub values: Vec<f64>,
}

/// The matrix of this shape with its zeros.
///
/// # Errors
/// As [`read`].
pub(super) fn of_csr(shape: &[f64], compressed: &Compressed, place: &str) -> Result<Matrix> {
    let &[rows, columns] = shape else {
        return Err(invalid(place, "a shape of rows and columns", format!("{shape:?}")));
    };
    let Compressed { ends, places, values } = compressed;
    let [rows, columns] = check_size([rows, columns].map(size), values.len(), place)?;
    fill([rows, columns], [&lines(ends, rows, values.len(), place)?, places], values, place)
}

fn invalid(place: &str, expected: &str, found: String) -> Error {
    Error::invalid(place, expected, found).with_hint("write it by scipy.sparse.save_npz, as a CSR matrix")
}

fn size(count: f64) -> usize {
    if count >= 1.0 { count as usize } else { 0 }
}

/// Refuses a matrix of far more numbers than entries.
///
/// # Errors
/// Such a shape, and one without rows or columns.
pub(super) fn check_size([rows, columns]: [usize; 2], entries: usize, place: &str) -> Result<[usize; 2]> {
    let most = (entries as u64).saturating_mul(MOST_PER_ENTRY).clamp(LEAST_CELLS, MOST_CELLS);
    let cells = (rows as u64).checked_mul(columns as u64);
    if rows == 0 || columns == 0 || columns > MOST_COLUMNS || cells.is_none_or(|cells| cells > most) {
        let expected = format!("a matrix of at most {most} numbers, zeros included, for its {entries} entries");
        return Err(invalid(place, &expected, format!("shape ({rows}, {columns})")));
    }
    Ok([rows, columns])
}

/// The line (row of CSR, column of CSC) of every entry, of so many lines and entries.
fn lines(ends: &[f64], lines: usize, entries: usize, place: &str) -> Result<Vec<f64>> {
    let rises = ends.windows(2).all(|pair| pair[0] <= pair[1]);
    let is_whole = ends.len() == lines + 1 && ends[0] == 0.0 && ends[lines] == entries as f64 && rises;
    if !is_whole {
        let expected = format!("{} rising numbers from 0 to {entries}", lines + 1);
        let found = format!("{} of them, up to {}", ends.len(), ends.last().copied().unwrap_or_default());
        return Err(invalid(&format!("{place}, array indptr"), &expected, found));
    }
    let mut line_of = Vec::with_capacity(entries);
    for (line, pair) in ends.windows(2).enumerate() {
        line_of.extend(std::iter::repeat_n(line as f64, (pair[1] - pair[0]) as usize));
    }
    Ok(line_of)
}

/// The matrix with these entries and zeros elsewhere.
fn fill([rows, columns]: [usize; 2], [row_of, column_of]: [&[f64]; 2], values: &[f64], place: &str) -> Result<Matrix> {
    let mut matrix = Matrix { columns, values: vec![0.0; rows * columns] };
    if row_of.len() != values.len() || column_of.len() != values.len() {
        let found = format!("{} of {}", row_of.len().min(column_of.len()), values.len());
        return Err(invalid(place, "a row and a column of every entry", found));
    }
    for ((row, column), value) in row_of.iter().zip(column_of).zip(values) {
        let is_inside = (0.0..rows as f64).contains(row) && (0.0..columns as f64).contains(column);
        let value = *value as f32;
        if !is_inside || !value.is_finite() {
            let found = format!("{value} in row {row}, column {column}");
            return Err(invalid(place, &format!("finite numbers within the shape ({rows}, {columns})"), found));
        }
        // Entries that come twice are added, as SciPy does.
        matrix.values[*row as usize * columns + *column as usize] += value;
    }
    Ok(matrix)
}

/// The arrays of a matrix.
struct Parts<'a> {
    archive: Archive<'a>,
    place: &'a str,
}

impl Parts<'_> {
    fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        let names = self.archive.names();
        if !names.iter().any(|found| found == name) {
            let expected = format!("an array {name}, as a sparse matrix has it");
            return Err(Error::invalid(self.place, expected, names.join(", "))
                .with_hint("write it by scipy.sparse.save_npz; of a plain array take .npy"));
        }
        self.archive.array(name)
    }

    /// An array of one dimension.
    fn numbers(&mut self, name: &str) -> Result<Vec<f64>> {
        let content = self.bytes(name)?;
        let place = format!("{}, array {name}", self.place);
        let (header, data) = header::read(&content, &place)?;
        if header.shape.contains(&0) && header.shape.len() == 1 {
            return Ok(Vec::new());
        }
        if header.shape.len() != 1 {
            return Err(Error::invalid(place, "an array of one dimension", format!("{}", header.shape.len())));
        }
        let grid = Grid::new(&header, data, "numbers", &place)?;
        if grid.has_words() {
            return Err(header::no_numbers(&grid.element.to_string(), &place));
        }
        Ok((0..grid.rows).map(|row| grid.at(row, 0)).collect())
    }

    /// The format's name, a text of bytes or of UTF-32.
    fn format(&mut self) -> Result<String> {
        let content = self.bytes("format")?;
        let text: Vec<u8> = content.into_iter().filter(u8::is_ascii_lowercase).collect();
        Ok(String::from_utf8_lossy(&text[text.len().saturating_sub(3)..]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};
    use std::path::Path;

    use super::super::tables::Blanks;
    use super::*;
    use crate::data::numpy;

    /// An array of one dimension.
    fn array(kind: &str, values: &[u8], size: usize) -> Vec<u8> {
        numpy::tests::array(&format!("'{kind}'"), false, &format!("({},)", values.len() / size), values)
    }

    fn wholes(values: &[i32]) -> Vec<u8> {
        array("<i4", &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>(), 4)
    }

    fn reals(values: &[f32]) -> Vec<u8> {
        array("<f4", &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>(), 4)
    }

    fn table(format: &str, arrays: &[(&str, Vec<u8>)]) -> Table {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let format = [b"\x93NUMPY\x01\x00\x02\x00{}", format.as_bytes()].concat();
        for (name, bytes) in arrays.iter().map(|(name, bytes)| (*name, bytes)).chain([("format", &format)]) {
            archive.start_file(format!("{name}.npy"), zip::write::FileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        Table::of(Path::new("features.npz"), archive.finish().unwrap().into_inner(), Blanks::Columns)
    }

    fn message(format: &str, arrays: &[(&str, Vec<u8>)]) -> String {
        read(&table(format, arrays)).unwrap_err().to_string()
    }

    #[test]
    fn every_format_of_a_matrix_is_the_same_matrix() {
        let expected = Matrix { columns: 3, values: vec![0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 3.0] };
        let (data, shape) = (("data", reals(&[0.5, 2.0, 3.0])), ("shape", wholes(&[3, 3])));
        let csr = [data.clone(), shape.clone(), ("indptr", wholes(&[0, 1, 1, 3])), ("indices", wholes(&[1, 0, 2]))];
        assert_eq!(read(&table("csr", &csr)).unwrap(), expected);
        let coo = [data, shape.clone(), ("row", wholes(&[0, 2, 2])), ("col", wholes(&[1, 0, 2]))];
        assert_eq!(read(&table("coo", &coo)).unwrap(), expected);
        let data = ("data", reals(&[2.0, 0.5, 3.0]));
        let csc = [data, shape, ("indptr", wholes(&[0, 1, 2, 3])), ("indices", wholes(&[2, 0, 2]))];
        assert_eq!(read(&table("csc", &csc)).unwrap(), expected);
    }

    #[test]
    fn archives_that_lie_are_refused_before_memory_is_taken() {
        let with = |shape: &[i32], ends: &[i32], places: &[i32], data: &[f32]| {
            let arrays = [
                ("data", reals(data)),
                ("shape", wholes(shape)),
                ("indptr", wholes(ends)),
                ("indices", wholes(places)),
            ];
            message("csr", &arrays)
        };
        assert!(with(&[1_000_000, 1_000_000], &[0, 1], &[0], &[1.0]).contains("zeros included, for its 1 entries"));
        assert!(with(&[2, 2_000_000], &[0, 1, 1], &[0], &[1.0]).contains("found shape (2, 2000000)"));
        assert!(with(&[2, 2], &[0, 1], &[0], &[1.0]).contains("3 rising numbers from 0 to 1"));
        assert!(with(&[2, 2], &[0, 5, 1], &[0], &[1.0]).contains("rising"));
        assert!(with(&[2, 2], &[0, 1, 1], &[2], &[1.0]).contains("found 1 in row 0, column 2"));
        assert!(with(&[2, 2], &[0, 1, 1], &[], &[1.0]).contains("a row and a column of every entry"));
        assert!(with(&[2, 2], &[0, 1, 1], &[0], &[f32::NAN]).contains("finite numbers"));
        assert!(with(&[-1, 2], &[0, 1, 1], &[0], &[1.0]).contains("shape (0, 2)"));
        assert!(
            message("bsr", &[("data", reals(&[1.0])), ("shape", wholes(&[1, 1]))])
                .contains("csr, csc or coo, found bsr")
        );
        assert!(message("csr", &[("arr_0", reals(&[1.0]))]).contains("an array shape, as a sparse matrix has it"));
    }
}

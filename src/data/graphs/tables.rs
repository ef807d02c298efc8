//! The tables of a folder of graphs, row by row: CSV with or without a header line, or arrays of NumPy.
//!
//! Columns stand between commas, semicolons or tabs, as the first line says; blank lines and those that begin with `#`
//! are passed over.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::layout::EXTENSIONS;
use crate::data::numpy::Grid;
use crate::data::scan::{number, show, whole, without_mark};
use crate::error::{Error, Result};
use crate::reading;

/// Problems of one table that are looked for; the rest is not read any more.
const MOST: usize = 100;

/// The most columns of a table: the words of a large vocabulary are some hundred thousand.
const MOST_COLUMNS: usize = 1 << 20;

/// A hint where nothing better is known.
pub(super) const WHERE_TO_READ: &str = "README.md says what a folder of graphs holds: \"Your own graphs\"";

/// What was read, or everything that was wrong with it.
pub(super) type Checked<T> = std::result::Result<T, Vec<Error>>;

/// Everything that was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems(pub Vec<Error>);

impl Problems {
    /// What was read, if it was; else its problems are kept.
    pub fn keep<T>(&mut self, read: Checked<T>) -> Option<T> {
        read.map_err(|problems| self.0.extend(problems)).ok()
    }

    /// The same where a problem ends the reading.
    pub fn keep_one<T>(&mut self, read: Result<T>) -> Option<T> {
        read.map_err(|problem| self.0.push(problem)).ok()
    }
}

/// A table as its file holds it.
pub(super) struct Table {
    pub path: PathBuf,
    bytes: Vec<u8>,
}

/// One row of a table.
pub(super) struct Row<'a> {
    cells: Cells<'a>,
    path: &'a Path,
    /// The line of a text, from 1; the row of an array, from 0.
    pub number: u64,
}

enum Cells<'a> {
    Text(&'a ByteRecord),
    Numbers(&'a [f64]),
}

impl Table {
    /// The table `stem.csv` or `stem.npy` of a folder.
    ///
    /// # Errors
    /// Both of them, or a file that can't be read.
    pub fn find(folder: &Path, stem: &str) -> Result<Option<Self>> {
        let paths = EXTENSIONS.map(|extension| folder.join(format!("{stem}.{extension}")));
        match paths.into_iter().filter(|path| reading::is_there(path)).collect::<Vec<_>>().as_slice() {
            [] => Ok(None),
            [path] => Self::open(path).map(Some),
            _ => {
                let place = folder.display().to_string();
                Err(Error::invalid(place, format!("{stem}.csv or {stem}.npy"), "both")
                    .with_hint("remove the one that is not meant"))
            }
        }
    }

    /// The same of a table that must be there.
    ///
    /// # Errors
    /// None or both, or a file that can't be read.
    pub fn require(folder: &Path, stem: &str) -> Result<Self> {
        Self::find(folder, stem)?.ok_or_else(|| missing(folder, &format!("{stem}.csv or {stem}.npy")))
    }

    /// The table in this file.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::of(path, reading::bytes(path)?))
    }

    /// The table in a file with this content.
    pub fn of(path: &Path, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), bytes }
    }

    /// Shows every row but the header, which it gives; `is_header` looks at the first line of a text.
    ///
    /// # Errors
    /// What `each` reports, and an array that is none or is cut.
    pub fn read(
        &self,
        is_header: impl Fn(&Row<'_>) -> bool,
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Checked<Option<Vec<String>>> {
        let (mut header, mut problems) = (None, Vec::new());
        let mut row = |row: &Row<'_>, is_first: bool| {
            if is_first && is_header(row) {
                header = Some((0..row.len()).map(|column| row.text(column).into_owned()).collect());
            } else if let Err(error) = each(row) {
                problems.push(error);
            }
            problems.len() < MOST
        };
        let read = if is_array(&self.path) { self.read_array(&mut row) } else { self.read_text(&mut row) };
        problems.extend(read.err());
        if problems.is_empty() { Ok(header) } else { Err(problems) }
    }

    fn read_array(&self, each: &mut impl FnMut(&Row<'_>, bool) -> bool) -> Result<()> {
        let grid = Grid::read(&self.bytes, &self.path.display().to_string()).map_err(|error| match error.hint() {
            Some(_) => error,
            None => error.with_hint("write it by numpy.save, an array of numbers; copy a cut file again"),
        })?;
        check_width(grid.columns, &self.path)?;
        let mut numbers = vec![0.0; grid.columns];
        for row in 0..grid.rows {
            numbers.iter_mut().enumerate().for_each(|(column, number)| *number = grid.at(row, column));
            if !each(&Row { cells: Cells::Numbers(&numbers), path: &self.path, number: row as u64 }, false) {
                break;
            }
        }
        Ok(())
    }

    fn read_text(&self, each: &mut impl FnMut(&Row<'_>, bool) -> bool) -> Result<()> {
        let text = without_mark(&self.bytes);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .comment(Some(b'#'))
            .delimiter(delimiter(text))
            .from_reader(text);
        let (mut record, mut is_first) = (ByteRecord::new(), true);
        let failed = |error: csv::Error| Error::invalid(self.path.display().to_string(), "a table", error.to_string());
        while reader.read_byte_record(&mut record).map_err(failed)? {
            let Some(at) = record.position() else { continue };
            if record.len() == 1 && record[0].is_empty() {
                continue;
            }
            check_width(record.len(), &self.path)?;
            let number = at.line() + passed_over(&text[usize::try_from(at.byte()).unwrap_or(text.len())..]);
            if !each(&Row { cells: Cells::Text(&record), path: &self.path, number }, is_first) {
                break;
            }
            is_first = false;
        }
        Ok(())
    }

    /// A row's place, by [`Row::number`].
    pub fn place(&self, number: u64) -> String {
        place(&self.path, number)
    }

    /// Checks the number of rows, which is that of the nodes.
    ///
    /// # Errors
    /// Another one.
    pub fn require_rows(&self, rows: usize, nodes: usize) -> Checked<()> {
        if rows == nodes {
            return Ok(());
        }
        let expected = format!("{nodes} rows, one per node, as there are rows of features");
        Err(vec![
            Error::invalid(self.path.display().to_string(), expected, rows.to_string())
                .with_hint("row i belongs to node i, from 0; a header line does not count, nor do blank lines"),
        ])
    }
}

/// Refuses more columns than a node has.
fn check_width(columns: usize, path: &Path) -> Result<()> {
    if columns <= MOST_COLUMNS {
        return Ok(());
    }
    let expected = format!("at most {MOST_COLUMNS} columns");
    Err(Error::invalid(path.display().to_string(), expected, columns.to_string())
        .with_hint("a node is a row: are rows and columns exchanged, or line ends missing?"))
}

fn is_array(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "npy")
}

/// File and line, or row.
fn place(path: &Path, number: u64) -> String {
    let unit = if is_array(path) { "row" } else { "line" };
    format!("{}, {unit} {number}", path.display())
}

/// The error of a file that is not there.
pub(super) fn missing(folder: &Path, file: &str) -> Error {
    Error::invalid(folder.display().to_string(), format!("the file {file}"), "no such file").with_hint(WHERE_TO_READ)
}

/// The letter between columns, by the first line that has one.
fn delimiter(text: &[u8]) -> u8 {
    let mut lines =
        text.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#") && !line.trim_ascii().is_empty());
    let first = lines.next().unwrap_or_default();
    [b',', b';', b'\t'].into_iter().find(|letter| first.contains(letter)).unwrap_or(b',')
}

/// Blank lines and comments before a record, which the reader counts to it.
fn passed_over(text: &[u8]) -> u64 {
    let is_none = |line: &&[u8]| line.is_empty() || line.starts_with(b"#") || *line == b"\r";
    text.split(|byte| *byte == b'\n').take_while(is_none).count() as u64
}

/// True for a first line without any number.
fn has_no_number(row: &Row<'_>) -> bool {
    (0..row.len()).all(|column| row.value(column).is_none())
}

/// True for a first line of which no cell begins as a number does.
pub(super) fn has_no_digit(row: &Row<'_>) -> bool {
    has_no_number(row)
        && !(0..row.len()).any(|column| row.text(column).starts_with(|letter: char| letter.is_ascii_digit()))
}

/// True for a first line without any number, and for one that counts the columns from 0, as pandas writes a table without names.
pub(super) fn names_columns(row: &Row<'_>) -> bool {
    let counts = |column: usize| row.value(column) == Some(column as f64);
    has_no_number(row) || row.len() > 2 && (0..row.len()).all(counts)
}

impl Row<'_> {
    /// The number of cells.
    pub fn len(&self) -> usize {
        match self.cells {
            Cells::Text(record) => record.len(),
            Cells::Numbers(numbers) => numbers.len(),
        }
    }

    /// File and line, or row.
    pub fn place(&self) -> String {
        place(self.path, self.number)
    }

    /// The cell as it stands there.
    pub fn text(&self, column: usize) -> Cow<'_, str> {
        match self.cells {
            Cells::Text(record) => String::from_utf8_lossy(&record[column]),
            Cells::Numbers(numbers) => numbers[column].to_string().into(),
        }
    }

    /// The number in a cell, if it is one.
    pub fn value(&self, column: usize) -> Option<f64> {
        match self.cells {
            Cells::Text(record) => number(&record[column]),
            Cells::Numbers(numbers) => Some(numbers[column]),
        }
    }

    /// The error of a cell of which something else was expected.
    pub fn invalid(&self, column: usize, expected: impl Into<String>) -> Error {
        let found = match self.cells {
            Cells::Text(record) => show(&record[column]),
            Cells::Numbers(numbers) => numbers[column].to_string(),
        };
        Error::invalid(self.place(), expected, found)
    }

    /// The finite number in a cell, in single precision.
    ///
    /// # Errors
    /// None, or one that is not finite.
    pub fn finite(&self, column: usize) -> Result<f32> {
        let value = self.value(column).ok_or_else(|| {
            self.invalid(column, format!("a number in column {column}"))
                .with_hint("columns are counted from 0; tables hold no row numbers and no names of nodes")
        })?;
        let value = value as f32;
        if value.is_finite() {
            return Ok(value);
        }
        Err(self
            .invalid(column, format!("finite numbers in single precision, in column {column} too"))
            .with_hint("replace what is missing, for example by 0 or the column's mean"))
    }

    /// The whole number in a cell that is not negative.
    pub fn whole(&self, column: usize) -> Option<u64> {
        if let Cells::Text(record) = self.cells
            && let Some(value) = whole(&record[column])
        {
            return Some(value);
        }
        // What NumPy and pandas write of whole numbers among others: 3.0.
        self.value(column)
            .filter(|value| value.fract() == 0.0 && (0.0..=2e15).contains(value))
            .map(|value| value as u64)
    }

    /// The node that a cell names, of so many.
    ///
    /// # Errors
    /// No number, or one beyond the last node.
    pub fn node(&self, column: usize, what: &str, nodes: usize) -> Result<u32> {
        let found = self.whole(column);
        found.filter(|node| *node < nodes as u64).map(|node| node as u32).ok_or_else(|| {
            let error = self.invalid(column, format!("a {what} node from 0 to {}", nodes.saturating_sub(1)));
            error.with_hint(node_hint(found, nodes))
        })
    }
}

/// What to do about a node that is not there.
pub(super) fn node_hint(found: Option<u64>, nodes: usize) -> String {
    let numbering = "nodes are numbered from 0, as the rows of features are";
    match found {
        Some(found) if found == nodes as u64 => format!("{numbering}; do yours begin at 1? Then subtract 1 everywhere"),
        _ => numbering.to_owned(),
    }
}

#[cfg(test)]
mod tests;

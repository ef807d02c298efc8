//! The tables of a folder of graphs, row by row: texts, or arrays of NumPy, packed by gzip or not.
//!
//! Columns stand between commas, semicolons, tabs or blanks, as the first line says; blank lines and those that begin
//! with `#` are passed over. What a first line is, says `headings.rs`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, Trim};

pub(super) use super::problems::{Checked, Problems};
use crate::data::gzip;
use crate::data::numpy::archive::is_archive;
use crate::data::numpy::{Grid, header};
use crate::data::scan::{number, show, whole, without_mark};
use crate::error::{Error, Result};
use crate::reading;

/// Problems of one table that are looked for; the rest is not read any more.
const MOST: usize = 100;

/// The most columns of a table: the words of a large vocabulary are some hundred thousand.
pub(super) const MOST_COLUMNS: usize = 1 << 20;

/// How an array of NumPy begins.
const ARRAY: &[u8] = b"\x93NUMPY";

/// A hint where nothing better is known.
pub(super) const WHERE_TO_READ: &str = "docs/own-data.md says what a folder of graphs holds: \"Your own graphs\"";

/// What stands between blanks in a text without commas, semicolons and tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blanks {
    /// Columns.
    Columns,
    /// Columns where every line has as many words and begins with a number or a word of its own, else words of one name.
    NumberedNames,
}

/// A table as its file holds it.
pub(super) struct Table {
    pub path: PathBuf,
    bytes: Vec<u8>,
    /// Between columns of a text; absent of an array.
    delimiter: Option<u8>,
}

/// One row of a table.
pub(super) struct Row<'a> {
    cells: Cells<'a>,
    path: &'a Path,
    /// The line of a text, from 1; the row of an array, from 0.
    pub number: u64,
}

enum Cells<'a> {
    /// With what stands between them.
    Text(&'a ByteRecord, u8),
    Numbers(&'a [f64]),
}

impl Table {
    /// The table in this file, which gzip may have packed.
    ///
    /// # Errors
    /// A file that can't be read or unpacked.
    pub fn open(path: &Path, blanks: Blanks) -> Result<Self> {
        let bytes = gzip::unpacked(reading::bytes(path)?, &path.display().to_string())?;
        Ok(Self::of(path, bytes, blanks))
    }

    /// The table in a file with this content.
    pub fn of(path: &Path, bytes: Vec<u8>, blanks: Blanks) -> Self {
        let is_array = bytes.starts_with(ARRAY) || has_extension(path, "npy");
        let delimiter = (!is_array).then(|| delimiter(without_mark(&bytes), blanks));
        Self { path: path.to_owned(), bytes, delimiter }
    }

    /// Shows the rows one by one.
    ///
    /// # Errors
    /// What `each` reports, and an array that is none or is cut.
    pub fn read(&self, mut each: impl FnMut(&Row<'_>) -> Result<()>) -> Checked<()> {
        let mut problems = Problems::default();
        let mut row = |row: &Row<'_>| {
            problems.keep(each(row));
            problems.0.len() < MOST
        };
        let read = match self.delimiter {
            Some(delimiter) => self.read_text(delimiter, &mut row),
            None => self.read_array(&mut row),
        };
        problems.keep(read);
        problems.or(())
    }

    /// The same without a first row that is a header.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_after(&self, mut has_header: bool, mut each: impl FnMut(&Row<'_>) -> Result<()>) -> Checked<()> {
        self.read(|row| if std::mem::take(&mut has_header) { Ok(()) } else { each(row) })
    }

    /// The first rows, at most so many, cell by cell; none of an array of numbers, which has no header.
    ///
    /// # Errors
    /// What is no table.
    pub fn start(&self, most: usize) -> Result<Vec<Vec<String>>> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut each = |row: &Row<'_>| {
            rows.push((0..row.len()).map(|column| row.text(column).into_owned()).collect());
            rows.len() < most
        };
        match self.delimiter {
            Some(delimiter) => self.read_text(delimiter, &mut each)?,
            None if self.grid()?.has_words() => self.read_array(&mut each)?,
            None => {}
        }
        Ok(rows)
    }

    /// True of a structured array, whose columns have names.
    pub fn has_names(&self) -> bool {
        self.delimiter.is_none() && self.grid().is_ok_and(|grid| !grid.named().is_empty())
    }

    /// True of an archive of NumPy.
    pub fn is_archive(&self) -> bool {
        is_archive(&self.bytes)
    }

    /// The content of the file, unpacked.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many rows there are, with a header, as far as they can be read.
    pub fn rows(&self) -> usize {
        let mut rows = 0;
        let read = self.read(|_| {
            rows += 1;
            Ok(())
        });
        read.map_or(0, |()| rows)
    }

    /// The columns of the first row.
    ///
    /// # Errors
    /// What is no table.
    pub fn width(&self) -> Result<usize> {
        Ok(match self.shape()? {
            Some([_, columns]) => columns,
            None => self.start(1)?.first().map_or(0, Vec::len),
        })
    }

    /// Rows and columns of an array of numbers without names.
    ///
    /// # Errors
    /// An array that is none or is cut.
    pub fn shape(&self) -> Result<Option<[usize; 2]>> {
        if self.delimiter.is_some() {
            return Ok(None);
        }
        let grid = self.grid()?;
        Ok((!grid.has_words()).then_some([grid.rows, grid.columns]))
    }

    /// The array.
    ///
    /// # Errors
    /// One that is none or is cut.
    pub fn grid(&self) -> Result<Grid<'_>> {
        let place = self.path.display().to_string();
        let grid =
            header::read(&self.bytes, &place).and_then(|(header, data)| Grid::new(&header, data, "rows", &place));
        grid.map_err(|error| match error.hint() {
            Some(_) => error,
            None => error.with_hint("write it by numpy.save, an array of numbers; copy a cut file again"),
        })
    }

    /// A structured array is shown as a text with a header is: its names first, then its rows, cell by cell.
    fn read_array(&self, each: &mut impl FnMut(&Row<'_>) -> bool) -> Result<()> {
        let grid = self.grid()?;
        check_width(grid.columns, &self.path)?;
        if grid.has_words() {
            let mut show = |cells: ByteRecord, number| {
                each(&Row { cells: Cells::Text(&cells, b','), path: &self.path, number: number as u64 })
            };
            let names: ByteRecord = grid.named().iter().map(|column| column.name.as_bytes()).collect();
            if !names.is_empty() && !show(names, 0) {
                return Ok(());
            }
            let cell = |row, column| match grid.element(column).is_text() {
                true => grid.text(row, column).unwrap_or_default(),
                false => grid.at(row, column).to_string(),
            };
            let cells = |row| (0..grid.columns).map(|column| cell(row, column).into_bytes()).collect();
            let _ = (0..grid.rows).all(|row| show(cells(row), row));
            return Ok(());
        }
        let mut numbers = vec![0.0; grid.columns];
        for row in 0..grid.rows {
            numbers.iter_mut().enumerate().for_each(|(column, number)| *number = grid.at(row, column));
            if !each(&Row { cells: Cells::Numbers(&numbers), path: &self.path, number: row as u64 }) {
                break;
            }
        }
        Ok(())
    }

    fn read_text(&self, delimiter: u8, each: &mut impl FnMut(&Row<'_>) -> bool) -> Result<()> {
        let text = without_mark(&self.bytes);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .comment(Some(b'#'))
            .delimiter(delimiter)
            .from_reader(text);
        let mut record = ByteRecord::new();
        let failed = |error: csv::Error| Error::invalid(&self.path, "a table", error.to_string());
        while reader.read_byte_record(&mut record).map_err(failed)? {
            let Some(at) = record.position() else { continue };
            let here = &text[usize::try_from(at.byte()).unwrap_or(text.len())..];
            let number = at.line() + passed_over(here);
            if delimiter == b' ' {
                record = record.iter().filter(|cell| !cell.is_empty()).collect();
            }
            // An empty cell is a row of its own where it is quoted, as pandas writes it.
            if record.iter().all(<[u8]>::is_empty) && record.len() < 2 && !is_quoted(here) {
                continue;
            }
            check_width(record.len(), &self.path)?;
            if !each(&Row { cells: Cells::Text(&record, delimiter), path: &self.path, number }) {
                break;
            }
        }
        Ok(())
    }

    /// A row's place, by [`Row::number`].
    pub fn place(&self, number: u64) -> String {
        place(&self.path, number)
    }

    /// Checks the number of rows, which is that of the nodes; `columns` are those of the first.
    ///
    /// # Errors
    /// Another one.
    pub fn require_rows(&self, rows: usize, columns: usize, nodes: usize) -> Checked<()> {
        if rows == nodes {
            return Ok(());
        }
        if columns == nodes && nodes > 1 {
            return Err(transposed(&self.path, [nodes, rows], [rows, columns]).into());
        }
        let expected = format!("{nodes} rows, one per node, as there are rows of features");
        let error = Error::invalid(&self.path, expected, rows.to_string());
        Err(error.with_hint("row i belongs to node i, from 0; a header line does not count, nor do blank lines").into())
    }
}

/// The error of a table whose rows and columns are exchanged.
pub(super) fn transposed(place: &Path, expected: [usize; 2], found: [usize; 2]) -> Error {
    let words = |[rows, columns]: [usize; 2]| format!("shape ({rows}, {columns})");
    Error::invalid(place, format!("{}, a row per node", words(expected)), words(found))
        .with_hint("rows and columns look exchanged: write the table transposed (`.T` in NumPy and pandas)")
}

/// Refuses more columns than a node has.
fn check_width(columns: usize, path: &Path) -> Result<()> {
    if columns <= MOST_COLUMNS {
        return Ok(());
    }
    let expected = format!("at most {MOST_COLUMNS} columns");
    Err(Error::invalid(path, expected, columns.to_string())
        .with_hint("a node is a row: are rows and columns exchanged, or line ends missing?"))
}

/// True where a path ends so, also where gzip packed the file.
pub(super) fn has_extension(path: &Path, extension: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').is_some_and(|(_, found)| found == extension)
}

/// File and line, or row.
fn place(path: &Path, number: u64) -> String {
    let unit = if has_extension(path, "npy") { "row" } else { "line" };
    format!("{}, {unit} {number}", path.display())
}

/// The error of a file that is not there.
pub(super) fn missing(folder: &Path, file: &str) -> Error {
    Error::invalid(folder, format!("the file {file}"), "no such file").with_hint(WHERE_TO_READ)
}

/// The letter between columns, by the first line; blanks where there is none.
fn delimiter(text: &[u8], blanks: Blanks) -> u8 {
    let is_end = |byte: &u8| *byte == b'\n' || *byte == b'\r';
    let lines = text.split(is_end);
    let is_row = |line: &&[u8]| !line.starts_with(b"#") && !line.trim_ascii().is_empty();
    let mut lines = lines.filter(is_row).peekable();
    // A tab before the first name stands after an empty one.
    let first = lines.peek().copied().unwrap_or_default();
    let is_between = |letter: &u8| {
        let ends_otherwise = |cell: &[u8]| matches!(cell.trim_ascii().last(), Some(b',' | b';'));
        first.contains(letter) && !first.split(|byte| byte == letter).any(ends_otherwise)
    };
    if let Some(letter) = [b'\t', b';', b','].into_iter().find(is_between) {
        return letter;
    }
    let words = |line: &[u8]| line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
    let first_word =
        |line: &[u8]| line.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default().to_owned();
    let are_columns = blanks == Blanks::Columns || {
        let (count, others) = (words(first), lines.skip(1));
        let (mut seen, mut same, mut numbers) = (HashSet::new(), count > 1, true);
        let mut rows = 0;
        for line in others {
            rows += 1;
            same &= words(line) == count;
            let word = first_word(line);
            numbers &= number(&word).is_some_and(f64::is_finite);
            seen.insert(word);
        }
        same && rows > 0 && (numbers || rows > 1 && seen.len() == rows)
    };
    if are_columns && first.trim_ascii().contains(&b' ') { b' ' } else { b',' }
}

/// Blank lines and comments before a record, which the reader counts to it.
fn passed_over(text: &[u8]) -> u64 {
    let is_none = |line: &&[u8]| line.is_empty() || line.starts_with(b"#") || *line == b"\r";
    text.split(|byte| *byte == b'\n').take_while(is_none).count() as u64
}

/// True where the record after such lines begins with a quotation mark.
fn is_quoted(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find(|line| !line.is_empty() && !line.starts_with(b"#")).is_some_and(|line| line.starts_with(b"\""))
}

impl Row<'_> {
    /// The number of cells.
    pub fn len(&self) -> usize {
        match self.cells {
            Cells::Text(record, _) => record.len(),
            Cells::Numbers(numbers) => numbers.len(),
        }
    }

    /// The number of cells, which is that of the rows before.
    ///
    /// # Errors
    /// Another one than theirs.
    pub fn require_len(&self, before: &mut Option<usize>) -> Result<usize> {
        let columns = *before.get_or_insert(self.len());
        if self.len() == columns {
            return Ok(columns);
        }
        let expected = format!("{columns} columns, as in the first row");
        Err(Error::invalid(self.place(), expected, self.len().to_string()))
    }

    /// File and line, or row.
    pub fn place(&self) -> String {
        place(self.path, self.number)
    }

    /// The cell as it stands there.
    pub fn text(&self, column: usize) -> Cow<'_, str> {
        match self.cells {
            Cells::Text(record, _) => String::from_utf8_lossy(cell(record, column)),
            Cells::Numbers(numbers) => numbers[column].to_string().into(),
        }
    }

    /// The number in a cell, if it is one.
    pub fn value(&self, column: usize) -> Option<f64> {
        match self.cells {
            Cells::Text(record, b',') => number(cell(record, column)),
            Cells::Text(record, _) => number(cell(record, column)).or_else(|| with_decimal_comma(cell(record, column))),
            Cells::Numbers(numbers) => Some(numbers[column]),
        }
    }

    /// The error of a cell of which something else was expected.
    pub fn invalid(&self, column: usize, expected: impl Into<String>) -> Error {
        let found = match self.cells {
            Cells::Text(record, _) => show(cell(record, column)),
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
                .with_hint("columns are counted from 0; a column with the names of the nodes is called `id` or `node` in the header")
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
        if let Cells::Text(record, _) = self.cells
            && let Some(value) = whole(cell(record, column))
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

/// A cell, empty where the row is shorter.
fn cell(record: &ByteRecord, column: usize) -> &[u8] {
    record.get(column).unwrap_or_default()
}

/// A number as `0,5`, where commas are not between columns.
fn with_decimal_comma(cell: &[u8]) -> Option<f64> {
    let at = cell.iter().position(|byte| *byte == b',')?;
    let mut spelled = cell.to_vec();
    spelled[at] = b'.';
    number(&spelled)
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

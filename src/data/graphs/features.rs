//! The features of nodes: a table of numbers, or a sparse matrix as SciPy saves it.

use super::beside::{Beside, Values};
use super::headings::Heading;
use super::nodes::Matrix;
use super::sparse;
use super::tables::{Checked, Table};
use crate::data::scan::show_names;
use crate::error::{Error, Result};

/// Columns of a header that are told.
const MOST_TOLD: usize = 3;

/// Features as a file has them.
#[derive(Debug)]
pub(super) struct Features {
    pub matrix: Matrix,
    pub beside: Beside,
    /// The file has a header that counts its columns from 0.
    pub counts_columns: bool,
}

/// What a first line of one or two columns, 0 and 1, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubtful {
    Header,
    Row,
}

impl Features {
    /// Reads the features of nodes; `doubtful` is what becomes of a first line that may be a header as well as a row.
    ///
    /// # Errors
    /// No rows, rows of different length, values that are not finite.
    pub fn read(table: &Table, doubtful: Doubtful) -> Checked<Self> {
        if table.is_archive() {
            return Ok(Self { matrix: sparse::read(table)?, beside: Beside::nothing(), counts_columns: false });
        }
        let (names, counts_columns) = match Heading::of(table)? {
            Heading::Names(names) | Heading::PerhapsNames(names) => (Some(names), false),
            Heading::Counts(names) => (Some(names), true),
            Heading::PerhapsCounts(names) if doubtful == Doubtful::Header => (Some(names), true),
            _ => (None, false),
        };
        let mut beside = Beside::of(table, names.as_deref(), Values::Numbers)?;
        if let Some(names) = names.as_ref().filter(|_| counts_columns) {
            let names = show_names(names.iter().take(MOST_TOLD).map(|name| &**name));
            beside
                .told
                .push(format!("{}: the first line, {names}, counts the columns and is a header", table.path.display()));
        }
        let (mut columns, mut values) = (names.as_ref().map(Vec::len), Vec::new());
        let (mut counts, mut rows) = (true, 0);
        table.read_after(names.is_some(), |row| {
            let columns = row.require_len(&mut columns)?;
            beside.take(row)?;
            let start = values.len();
            for column in beside.columns(columns) {
                values.push(row.finite(column)?);
            }
            counts &= values.get(start) == Some(&(rows as f32));
            rows += 1;
            Ok(())
        })?;
        let columns = beside.columns(columns.unwrap_or_default()).len();
        if rows == 0 || columns == 0 {
            let expected = if rows == 0 { "a row per node" } else { "a column of numbers besides the nodes' names" };
            return Err(Error::invalid(&table.path, expected, "none").into());
        }
        if counts && rows > 2 && columns > 1 {
            beside.told.push(format!(
                "{}: the first feature counts the rows; if it is no feature, remove it or call it `id` in a header",
                table.path.display()
            ));
        }
        let counts_columns = counts_columns && names.is_some_and(|names| names[0] == "0");
        Ok(Self { matrix: Matrix { columns, values }, beside, counts_columns })
    }
}

/// What the first line of features is, if it may be a header or a row: a header where `others`, rows of other tables
/// that have one per node, are one less, or where beside every other number of its column a 0 or 1 without decimals
/// stands out.
///
/// # Errors
/// A text that is no table.
pub(super) fn doubtful(table: &Table, others: Option<usize>) -> Result<Doubtful> {
    if !matches!(Heading::of(table)?, Heading::PerhapsCounts(_)) {
        return Ok(Doubtful::Row);
    }
    let (mut rows, mut is_whole, mut problems) = (0_usize, vec![false; 2], 0);
    let read = table.read(|row| {
        if rows > 0 {
            for (column, is_whole) in is_whole.iter_mut().enumerate().take(row.len()) {
                *is_whole |= !row.text(column).contains(['.', 'e', 'E', 'n', 'N']);
            }
            problems += usize::from(row.len() > 2);
        }
        rows += 1;
        Ok(())
    });
    let width = table.start(1)?.first().map_or(0, Vec::len);
    let stands_out = rows > 1 && is_whole.iter().take(width).any(|is_whole| !is_whole);
    let is_header = match others {
        Some(others) if others == rows => false,
        Some(others) if others + 1 == rows => true,
        _ => stands_out,
    };
    Ok(if is_header && read.is_ok() && problems == 0 { Doubtful::Header } else { Doubtful::Row })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tables::Blanks;
    use super::*;

    fn table(text: &str) -> Table {
        Table::of(Path::new("t.csv"), text.into(), Blanks::Columns)
    }

    fn read(text: &str) -> Checked<Features> {
        let table = table(text);
        Features::read(&table, doubtful(&table, None).unwrap())
    }

    fn message(text: &str) -> String {
        read(text).unwrap_err().first().to_string()
    }

    #[test]
    fn features_are_finite_rows_of_one_length_with_or_without_header_and_names_of_nodes() {
        let expected = Matrix { columns: 2, values: vec![0.5, 2.0, 3.0, 4.0, 7.0, 8.0] };
        for text in [
            "a,b\n0.5,2\n3.0,4\n7.0,8\n",
            "0,1\n0.5,2\n3.0,4\n7.0,8\n",
            ",a,b\n0,0.5,2\n1,3,4\n2,7,8\n",
            ",0,1\n0,0.5,2\n1,3,4\n2,7,8\n",
            "Unnamed: 0,node_id,a,b\n0,x,0.5,2\n1,y,3,4\n2,z,7,8\n",
            "a,b,node\n0.5,2,0\n3,4,1\n7,8,2\n",
            "person,a,b\nann,0.5,2\nbea,3,4\ncem,7,8\n",
            "ann 0.5 2\nbea 3 4\ncem 7 8\n",
        ] {
            assert_eq!(read(text).unwrap().matrix, expected, "{text}");
        }
        assert_eq!(read("0,1\n1,2\n").unwrap().matrix.rows(), 2, "two columns may well be 0 and 1");
        assert_eq!(message("1,2\n3\n"), "t.csv, line 2: expected 2 columns, as in the first row, found 1");
        assert_eq!(message("a,b\n"), "t.csv: expected a row per node, found none");
        assert!(message("1,inf\n").contains("line 1: expected finite numbers"));
        assert!(message("id,name\n1,ann\n").contains("expected a number in column 1"));
    }

    #[test]
    fn other_tables_tell_whether_a_first_line_is_a_header() {
        let of = |others| doubtful(&table("0,1\n1,2\n5,6\n"), others).unwrap();
        assert_eq!(
            [Some(3), Some(2), Some(7), None].map(of),
            [Doubtful::Row, Doubtful::Header, Doubtful::Row, Doubtful::Row]
        );
        assert_eq!(doubtful(&table("0,1\n0.5,2\n0.25,6\n"), None).unwrap(), Doubtful::Header);
        assert_eq!(doubtful(&table("0,1\n0.5,2\n0.25,6\n"), Some(3)).unwrap(), Doubtful::Row);
    }

    #[test]
    fn masks_beside_the_features_are_none() {
        let features = read("a,train_mask,split\n5,1,train\n6,0,\n7,0,test\n").unwrap();
        assert_eq!(features.matrix, Matrix { columns: 1, values: vec![5.0, 6.0, 7.0] });
        let names: Vec<&str> = features.beside.splits.iter().map(|split| split.name.as_str()).collect();
        assert_eq!(names, ["t.csv, column train_mask", "t.csv, column split"]);
    }
}

//! `NAME.content` of the first Cora and Citeseer: a paper per line, its name, its words as 0 and 1, its class.

use super::beside::Beside;
use super::features::Features;
use super::labels::Labelled;
use super::nodes::Matrix;
use super::tables::{Checked, Table};
use crate::error::{Error, Result};

/// Reads the file of nodes: features with the names of the nodes, and the class of each.
///
/// # Errors
/// Lines of different length or of fewer than three columns, words that are no numbers, fewer than two classes.
pub(super) fn read(table: &Table, unlabelled: Option<&str>) -> Checked<(Features, Labelled)> {
    let mut beside = Beside::named_by(table, 0);
    let (mut columns, mut values, mut classes) = (0, Vec::new(), Vec::new());
    table.read(|row| {
        columns = if classes.is_empty() { row.len() } else { columns };
        if row.len() != columns || columns < 3 {
            let expected = match columns {
                0..3 => "a name, numbers and a class".to_owned(),
                _ => format!("{columns} columns, as in the first row"),
            };
            return Err(Error::invalid(row.place(), expected, row.len().to_string()));
        }
        beside.take(row)?;
        let numbers = (1..columns - 1).map(|column| row.finite(column)).collect::<Result<Vec<f32>>>()?;
        values.extend(numbers);
        classes.push((row.text(columns - 1).into_owned(), row.number));
        Ok(())
    })?;
    if classes.is_empty() {
        return Err(Error::invalid(&table.path, "a row per node", "none").into());
    }
    let place = table.path.display();
    beside.told.push(format!("{place}: the first column names the nodes, the last is their class"));
    let labelled = Labelled::of_classes(table, classes, unlabelled)?;
    let matrix = Matrix { columns: columns - 2, values };
    Ok((Features { matrix, beside, counts_columns: false }, labelled))
}

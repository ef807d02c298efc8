//! What stands in a table with a row per node beside its values: names or numbers of the nodes, and their splits.

use std::collections::HashSet;

use super::headings::{id_rank, is_index, is_label, is_split_column, split_of, split_word};
use super::numbering::{Ids, canonical};
use super::tables::{Row, Table};
use crate::data::folders::file_name;
use crate::data::scan::{number, show};
use crate::data::split::Split;
use crate::error::{Error, Result};

/// Rows that are looked at where no header says what a column is.
const LOOKED_AT: usize = 50;

/// Columns beyond which a table without names of columns is not searched for names of nodes.
const MOST_LOOKED_AT: usize = 1 << 14;

/// What the values of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// Numbers, any.
    Numbers,
    /// A class in one column, or 0 or 1 in several.
    Labels,
}

/// The columns beside the values, and which columns are values.
#[derive(Debug)]
pub(super) struct Beside {
    /// The columns of the values; absent for all.
    values: Option<Vec<usize>>,
    id: Option<usize>,
    pub ids: Option<Ids>,
    pub splits: Vec<SplitColumn>,
    /// What was left out and why, in words.
    pub told: Vec<String>,
}

/// A column that says which nodes are in which split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SplitColumn {
    /// File and column.
    pub name: String,
    column: usize,
    /// The split of a mask; absent of a column of words.
    of: Option<Split>,
    pub marks: Vec<Option<Split>>,
}

impl SplitColumn {
    /// What a file says of every node.
    pub fn of_file(name: String, of: Option<Split>, marks: Vec<Option<Split>>) -> Self {
        Self { name, column: 0, of, marks }
    }

    /// The same where a node is this row.
    pub fn of_rows(mut self, rows: Option<&[u32]>) -> Self {
        if let Some(rows) = rows {
            self.marks = rows.iter().map(|row| self.marks[*row as usize]).collect();
        }
        self
    }
}

impl Beside {
    /// Nothing but values.
    pub fn nothing() -> Self {
        Self { values: None, id: None, ids: None, splits: Vec::new(), told: Vec::new() }
    }

    /// Nothing but values and, in this column, the names of the nodes.
    pub fn named_by(table: &Table, column: usize) -> Self {
        Self { id: Some(column), ..Self::nothing() }.with_ids(table, None)
    }

    /// Looks at a table, which has these names of columns or none.
    ///
    /// # Errors
    /// A text that is no table.
    pub fn of(table: &Table, names: Option<&[String]>, values: Values) -> Result<Self> {
        let width = table.width()?;
        let rows = table.start(if width <= MOST_LOOKED_AT { LOOKED_AT } else { 2 })?;
        let rows = &rows[usize::from(names.is_some()).min(rows.len())..];
        let mut found = Self::nothing();
        let ranked = |(column, name): (usize, &String)| Some((id_rank(name)?, column));
        let named = names.and_then(|names| names.iter().enumerate().filter_map(ranked).min());
        found.id = named.map(|(_, column)| column).filter(|_| width > 1);
        let begins_with_label = names.is_some_and(|names| names.first().is_some_and(|name| is_label(name)));
        if found.id.is_none() && !begins_with_label && names_nodes(rows, values) {
            found.id = Some(0);
        }
        let Some(names) = names.filter(|_| width > 1) else {
            found.values = found.id.map(|id| (0..width).filter(|column| *column != id).collect());
            return Ok(found.with_ids(table, None));
        };
        let mut left = Vec::new();
        for (column, name) in names.iter().enumerate() {
            let first = rows.first().and_then(|row| row.get(column)).map_or("", String::as_str);
            let of = split_of(name).filter(|_| says_mask(name) && mask(first).is_some());
            if found.id == Some(column) {
            } else if of.is_some() || is_split_column(name) && split_word(first).is_some() {
                let name = format!("{}, column {}", file_name(&table.path), show(name.as_bytes()));
                found.splits.push(SplitColumn { name, column, of, marks: Vec::new() });
            } else if is_index(name) {
                found.told.push(format!(
                    "{}: column {column} has no name and is left out, as the index of pandas is",
                    table.path.display()
                ));
            } else {
                left.push(column);
                continue;
            }
        }
        found.values = (left.len() < names.len()).then_some(left);
        Ok(found.with_ids(table, Some(names)))
    }

    fn with_ids(mut self, table: &Table, names: Option<&[String]>) -> Self {
        self.ids = self.id.map(|column| {
            let name = names.and_then(|names| names.get(column)).map_or("", String::as_str);
            let column =
                if name.is_empty() { format!("column {column}") } else { format!("column {}", show(name.as_bytes())) };
            Ids { place: table.path.display().to_string(), column, names: Vec::new() }
        });
        self
    }

    /// The columns of values of a row of so many cells.
    pub fn columns(&self, width: usize) -> impl ExactSizeIterator<Item = usize> + Clone {
        let some = self.values.as_deref();
        (0..some.map_or(width, <[usize]>::len)).map(move |place| some.map_or(place, |columns| columns[place]))
    }

    /// Takes what stands beside the values of a row.
    ///
    /// # Errors
    /// What says of no split that the node is in it.
    pub fn take(&mut self, row: &Row<'_>) -> Result<()> {
        let text = |column: usize| if column < row.len() { row.text(column) } else { "".into() };
        if let (Some(column), Some(ids)) = (self.id, &mut self.ids) {
            ids.names.push(canonical(&text(column)));
        }
        for split in &mut self.splits {
            let text = text(split.column);
            let mark = match split.of {
                Some(of) => mask(&text).map(|is_in| is_in.then_some(of)),
                None => word(&text),
            };
            let expected = if split.of.is_some() { "0 or 1" } else { "train, valid or test" };
            let error = || Error::invalid(row.place(), format!("{expected} in {}", split.name), show(text.as_bytes()));
            split.marks.push(mark.ok_or_else(error)?);
        }
        Ok(())
    }
}

/// True for a name that says more than a split: a column `test` may hold anything.
fn says_mask(name: &str) -> bool {
    let name = name.to_lowercase();
    ["mask", "split", "idx", "is_", "is "].iter().any(|word| name.contains(word))
}

/// What a cell of a mask says.
pub(super) fn mask(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "t" | "yes" => Some(true),
        "false" | "f" | "no" => Some(false),
        text => match number(text.as_bytes()) {
            Some(1.0) => Some(true),
            Some(0.0) => Some(false),
            _ => None,
        },
    }
}

/// What a cell of a column of splits says: a split, none, or nothing known.
pub(super) fn word(text: &str) -> Option<Option<Split>> {
    let is_none = ["", "none", "nan", "-", "unused", "unlabelled", "unlabeled"].contains(&&*text.to_lowercase());
    if is_none { Some(None) } else { split_word(text).map(Some) }
}

/// Whether the first column names nodes, though no header says so: texts before numbers, or before labels what is
/// none itself.
fn names_nodes(rows: &[Vec<String>], values: Values) -> bool {
    let is_number = |cell: &String| number(cell.as_bytes()).is_some();
    let mut seen = HashSet::new();
    if rows.is_empty() || !rows.iter().all(|row| row.len() > 1 && !row[0].is_empty() && seen.insert(&row[0])) {
        return false;
    }
    match values {
        Values::Numbers => rows.iter().all(|row| !is_number(&row[0]) && row[1..].iter().any(is_number)),
        Values::Labels => {
            let is_label = |cell: &String| ["", "-1", "nan"].contains(&&**cell) || mask(cell).is_some();
            rows.iter().any(|row| !is_label(&row[0]))
                && (rows.iter().all(|row| row.len() == 2) || rows.iter().all(|row| row[1..].iter().all(is_label)))
        }
    }
}

//! The labels of nodes: one of several classes each, or several labels of which each holds or not.
//!
//! One column is classes, whole numbers or names; several columns are labels, 0 or 1 in each.

use std::collections::{BTreeMap, HashSet};

use super::tables::{Checked, Row, Table, names_columns};
use crate::error::{Error, Result};

/// What a single column is called where it has a name; a first line with one of these is a header.
const COLUMN_NAMES: [&str; 6] = ["label", "labels", "class", "classes", "target", "y"];

/// The labels of the nodes of a graph or a set.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Labels {
    /// One class per node, by its position in the list of classes.
    Classes(Vec<i64>),
    /// Of every node a number per label, 1 where it holds and 0 elsewhere: (nodes, labels).
    Several(Vec<f32>),
}

/// Labels with their names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Labelled {
    /// Of the classes, or of the labels.
    pub names: Vec<String>,
    pub labels: Labels,
}

impl Labelled {
    /// Reads the labels of so many nodes.
    ///
    /// # Errors
    /// Another number of rows, rows of different length, values that are no labels, fewer than two classes.
    pub fn read(table: &Table, nodes: usize) -> Checked<Self> {
        let (mut columns, mut rows) = (0, 0);
        let (mut texts, mut values) = (Vec::new(), Vec::new());
        let header = table.read(
            |row| row.len() > 1 && (names_columns(row)),
            |row| {
                columns = if rows == 0 { row.len() } else { columns };
                rows += 1;
                if row.len() != columns {
                    let expected = format!("{columns} columns, as in the first row");
                    return Err(Error::invalid(row.place(), expected, row.len().to_string()));
                }
                if columns == 1 {
                    texts.push((row.text(0).into_owned(), row.number));
                    return Ok(());
                }
                for column in 0..columns {
                    values.push(zero_or_one(row, column)?);
                }
                Ok(())
            },
        )?;
        if columns < 2 {
            return of_one_column(table, texts, nodes);
        }
        table.require_rows(rows, nodes)?;
        let names = header.unwrap_or_else(|| (0..columns).map(|column| format!("label {column}")).collect());
        match twice(&names) {
            Some(name) => {
                let place = table.path.display().to_string();
                Err(vec![Error::invalid(place, "labels of different names", format!("{name} twice"))])
            }
            None => Ok(Self { names, labels: Labels::Several(values) }),
        }
    }
}

fn zero_or_one(row: &Row<'_>, column: usize) -> Result<f32> {
    match row.value(column) {
        Some(value) if value == 0.0 || value == 1.0 => Ok(value as f32),
        _ => Err(row.invalid(column, format!("0 or 1 in column {column}, one of several labels")).with_hint(
            "several columns say of each label whether it holds; where a node has one class, give it in one column",
        )),
    }
}

fn twice(names: &[String]) -> Option<&String> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

/// Texts with the numbers of their rows, a class each, but for a header.
fn of_one_column(table: &Table, mut texts: Vec<(String, u64)>, nodes: usize) -> Checked<Labelled> {
    if is_header(&texts, nodes) {
        texts.remove(0);
    }
    table.require_rows(texts.len(), nodes)?;
    let classes = if texts.iter().all(|(text, _)| number(text).is_some()) {
        whole_numbers(table, &texts).map_err(|error| vec![error])?
    } else {
        let mut names: Vec<&String> = texts.iter().map(|(text, _)| text).collect();
        names.sort_unstable();
        names.dedup();
        let position = |text: &String| names.binary_search(&text).expect("every name is among them") as i64;
        let labels = texts.iter().map(|(text, _)| position(text)).collect();
        Labelled { names: names.into_iter().cloned().collect(), labels: Labels::Classes(labels) }
    };
    if classes.names.len() < 2 {
        let place = table.path.display().to_string();
        return Err(vec![Error::invalid(place, "at least two classes", format!("{} alone", classes.names.join(", ")))]);
    }
    Ok(classes)
}

/// Classes that are numbers are in the order of the numbers.
fn whole_numbers(table: &Table, texts: &[(String, u64)]) -> Result<Labelled> {
    let whole = |(text, row): &(String, u64)| {
        let value = number(text).filter(|value| value.fract() == 0.0 && value.abs() < 2e15);
        value.map(|value| value as i64).ok_or_else(|| {
            Error::invalid(table.place(*row), "a whole number or the name of a class", text)
                .with_hint("classes are no measurements")
        })
    };
    let values = texts.iter().map(whole).collect::<Result<Vec<i64>>>()?;
    let mut classes: BTreeMap<i64, i64> = values.iter().map(|value| (*value, 0)).collect();
    classes.values_mut().zip(0..).for_each(|(position, next)| *position = next);
    let labels = values.iter().map(|value| classes[value]).collect();
    Ok(Labelled { names: classes.keys().map(i64::to_string).collect(), labels: Labels::Classes(labels) })
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Whether the first text is a header: names of classes are no numbers either, so their count decides.
fn is_header(texts: &[(String, u64)], nodes: usize) -> bool {
    let Some(((first, _), others)) = texts.split_first() else { return false };
    let is_one_more = others.len() == nodes && (number(first).is_none() || first == "0");
    let is_usual = COLUMN_NAMES.contains(&first.to_lowercase().as_str());
    let among_numbers =
        number(first).is_none() && !others.is_empty() && others.iter().all(|(text, _)| number(text).is_some());
    is_one_more || among_numbers || is_usual && others.iter().all(|(text, _)| text != first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, nodes: usize) -> Checked<Labelled> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, text).unwrap();
        Labelled::read(&Table::open(&path).unwrap(), nodes)
    }

    fn classes(text: &str, nodes: usize) -> (Vec<String>, Vec<i64>) {
        let Labelled { names, labels: Labels::Classes(labels) } = read(text, nodes).unwrap() else { panic!("{text}") };
        (names, labels)
    }

    fn message(text: &str, nodes: usize) -> String {
        let message = read(text, nodes).unwrap_err()[0].to_string();
        message.split_once("labels.csv").unwrap().1.to_owned()
    }

    #[test]
    fn one_column_is_a_class_each_by_number_or_name_with_or_without_a_header() {
        let numbers = (["2", "10"].map(str::to_owned).to_vec(), vec![1, 0, 1]);
        for text in ["10\n2\n10\n", "class\n10\n2\n10\n", "kind\n10.0\n2.0\n10.0\n"] {
            assert_eq!(classes(text, 3), numbers, "{text}");
        }
        let names = (["ant", "bee"].map(str::to_owned).to_vec(), vec![1, 0, 1]);
        for text in ["bee\nant\nbee\n", "insect\nbee\nant\nbee\n", "# named\nbee\nant\n\nbee"] {
            assert_eq!(classes(text, 3), names, "{text}");
        }
        assert_eq!(classes("0\n1\n0\n1\n", 3).1, [1, 0, 1], "a header as pandas writes it");
    }

    #[test]
    fn several_columns_are_a_label_each() {
        let labels = Labels::Several(vec![1.0, 0.0, 1.0, 1.0]);
        let named = Labelled { names: ["a", "b"].map(str::to_owned).to_vec(), labels: labels.clone() };
        assert_eq!(read("a,b\n1,0\n1,1\n", 2).unwrap(), named);
        let numbered = Labelled { names: ["label 0", "label 1"].map(str::to_owned).to_vec(), labels };
        assert_eq!(read("1,0\n1.0,1.0\n", 2).unwrap(), numbered);
    }

    #[test]
    fn what_is_no_label_is_told() {
        let rows = ": expected 3 rows, one per node, as there are rows of features, found 2";
        assert_eq!(message("1\n2\n", 3), rows);
        assert_eq!(message("label\nant\nbee\n", 3), rows, "a header is no label");
        assert_eq!(message("1,0\n1,1\n", 3), rows);
        assert_eq!(message("1\n1.5\n", 2), ", line 2: expected a whole number or the name of a class, found 1.5");
        assert_eq!(message("1,0\n0,2\n", 2), ", line 2: expected 0 or 1 in column 1, one of several labels, found 2");
        assert_eq!(message("1,0\n0\n", 2), ", line 2: expected 2 columns, as in the first row, found 1");
        assert_eq!(message("3\n3\n", 2), ": expected at least two classes, found 3 alone");
        assert_eq!(message("a,a\n0,1\n", 1), ": expected labels of different names, found a twice");
    }
}

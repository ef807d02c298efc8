//! The labels of nodes: one of several classes each, or several labels of which each holds or not.
//!
//! One column is classes, whole numbers or names; several columns are labels, 0 or 1 in each.

use std::collections::{BTreeMap, HashSet};

use super::beside::{Beside, Values};
use super::headings::{Heading, is_label};
use super::numbering::{Ids, Order};
use super::tables::{Checked, Row, Table};
use crate::batch::IGNORED;
use crate::data::folders::composed;
use crate::data::scan::{show, show_names};
use crate::error::{Error, Result};

/// What often stands for no class among classes from 0 on.
const LIKELY_NONE: i64 = 255;

/// The key for nodes without a label.
const KEY: &str = "data.graphs.unlabelled";

/// The labels of the nodes of a graph or a set.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Labels {
    /// One class per node, by its position in the list of classes.
    Classes(Vec<i64>),
    /// Of every node a number per label, 1 where it holds and 0 elsewhere: (nodes, labels).
    Several(Vec<f32>),
}

/// Labels with their names.
#[derive(Debug)]
pub(super) struct Labelled {
    /// Of the classes, or of the labels.
    pub names: Vec<String>,
    /// [`IGNORED`], or zeros, of a node without one.
    pub labels: Labels,
    /// The nodes without one; empty where all have one.
    pub lacking: Vec<bool>,
    pub beside: Beside,
}

/// What the cells of a table of labels say.
struct Cells<'a> {
    table: &'a Table,
    nodes: usize,
    /// The label of nodes that have none.
    unlabelled: Option<&'a str>,
}

impl Labelled {
    /// Reads the labels of so many nodes; `unlabelled` is that of nodes without one.
    ///
    /// # Errors
    /// Another number of rows, rows of different length, values that are no labels, fewer than two classes, nodes without
    /// a label where `unlabelled` does not say so.
    pub fn read(table: &Table, nodes: usize, unlabelled: Option<&str>) -> Checked<Self> {
        let width = table.width()?;
        if width == nodes && nodes > 1 && ![nodes, nodes + 1].contains(&table.rows()) {
            table.require_rows(table.rows(), width, nodes)?;
        }
        let is_header = |names: &Vec<String>| names.len() > 1 && table.rows() != nodes;
        let names = match Heading::of(table)? {
            Heading::Names(names) | Heading::Counts(names) => Some(names).filter(|names| names.len() > 1),
            Heading::PerhapsNames(names) | Heading::PerhapsCounts(names) => Some(names).filter(is_header),
            Heading::Row => None,
        };
        let mut beside = Beside::of(table, names.as_deref(), Values::Labels)?;
        let chosen = chosen(table, names.as_deref(), &beside)?;
        let (mut width, mut rows) = (names.as_ref().map(Vec::len), 0);
        let cells = Cells { table, nodes, unlabelled };
        let (mut texts, mut values, mut lacking) = (Vec::new(), Vec::new(), Vec::new());
        table.read_after(names.is_some(), |row| {
            rows += 1;
            let width = row.require_len(&mut width)?;
            beside.take(row)?;
            let columns = beside.columns(width);
            match chosen.or_else(|| columns.clone().next().filter(|_| columns.len() == 1)) {
                Some(column) => texts.push((row.text(column).into_owned(), row.number)),
                None => lacking.push(cells.several(row, columns, &mut values)?),
            }
            Ok(())
        })?;
        let width = width.unwrap_or_default();
        let of_values: Vec<usize> = beside.columns(width).collect();
        if chosen.is_some() || of_values.len() < 2 {
            if let (Some(column), Some(names)) = (chosen, &names) {
                let others = of_values.into_iter().filter(|other| *other != column);
                let others = show_names(others.map(|other| &*names[other]));
                let told = format!("classes are in column {}; not read are {others}", show(names[column].as_bytes()));
                beside.told.push(format!("{}: {told}", table.path.display()));
            }
            return cells.classes(texts, names.is_some(), width, beside);
        }
        table.require_rows(rows, width, nodes)?;
        let name = |column: usize| {
            let named = names.as_ref().and_then(|names| names.get(column).cloned());
            named.unwrap_or_else(|| format!("label {column}"))
        };
        let names: Vec<String> = of_values.into_iter().map(name).collect();
        match twice(&names) {
            Some(name) => Err(Error::invalid(&table.path, "labels of different names", format!("{name} twice")).into()),
            None => Ok(Self { names, labels: Labels::Several(values), lacking: some(lacking), beside }),
        }
    }
}

/// How many rows of labels there are, where it is clear whether the first line is a header.
///
/// # Errors
/// A text that is no table.
pub(super) fn rows(table: &Table) -> Result<Option<usize>> {
    let rows = table.rows();
    Ok(match Heading::of(table)? {
        Heading::Names(_) | Heading::Counts(_) => Some(rows.saturating_sub(1)),
        Heading::PerhapsNames(names) => names.iter().any(|name| is_label(name)).then_some(rows.saturating_sub(1)),
        Heading::PerhapsCounts(_) => None,
        Heading::Row => Some(rows),
    })
}

/// The column of labels that names so many nodes, where there is one; what the labels are does not matter.
pub(super) fn names_of_nodes(table: &Table, nodes: usize) -> Option<Ids> {
    let names = match Heading::of(table).ok()? {
        Heading::Names(names) | Heading::Counts(names) => Some(names),
        Heading::PerhapsNames(names) => Some(names).filter(|_| table.rows() != nodes),
        _ => None,
    };
    let mut beside = Beside::of(table, names.as_deref(), Values::Labels).ok()?;
    let read = table.read_after(names.is_some(), |row| beside.take(row));
    let ids = beside.ids.filter(|ids| read.is_ok() && ids.names.len() == nodes);
    ids.filter(|ids| ids.order().is_ok_and(|order| order == Order::Names))
}

impl Labelled {
    /// A class for each of these texts, which stand in these rows.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of_classes(table: &Table, texts: Vec<(String, u64)>, unlabelled: Option<&str>) -> Checked<Self> {
        let nodes = texts.len();
        Cells { table, nodes, unlabelled }.classes(texts, true, 0, Beside::nothing())
    }
}

/// The marks, if any is set.
fn some(marks: Vec<bool>) -> Vec<bool> {
    if marks.contains(&true) { marks } else { Vec::new() }
}

/// The column of classes among several that are no labels of 0 and 1, by its name.
fn chosen(table: &Table, names: Option<&[String]>, beside: &Beside) -> Result<Option<usize>> {
    let Some(names) = names else { return Ok(None) };
    let columns = beside.columns(names.len());
    let named: Vec<usize> = columns.clone().filter(|column| is_label(&names[*column])).collect();
    let &[label] = &named[..] else { return Ok(None) };
    if columns.len() < 2 {
        return Ok(None);
    }
    let is_flag = |cell: &String| ["", "0", "1", "0.0", "1.0", "-1", "nan"].contains(&&**cell);
    let rows = table.start(50)?;
    let all = rows[1..].iter().all(|row| columns.clone().all(|column| row.get(column).is_some_and(is_flag)));
    Ok((!all).then_some(label))
}

impl Cells<'_> {
    /// Whether a cell says that the node has no label.
    fn is_lacking(&self, text: &str) -> bool {
        let Some(none) = self.unlabelled else { return false };
        let is_empty = |text: &str| text.is_empty() || text.eq_ignore_ascii_case("nan");
        text == none || is_empty(text) && is_empty(none) || number(text).is_some() && number(text) == number(none)
    }

    /// Adds the labels of a row; true where it says that the node has none.
    fn several(
        &self,
        row: &Row<'_>,
        columns: impl Iterator<Item = usize> + Clone,
        values: &mut Vec<f32>,
    ) -> Result<bool> {
        if columns.clone().all(|column| self.is_lacking(&row.text(column))) {
            values.extend(columns.map(|_| 0.0));
            return Ok(true);
        }
        for column in columns {
            values.push(zero_or_one(row, column)?);
        }
        Ok(false)
    }

    /// Texts with the numbers of their rows, a class each, but for a header.
    fn classes(
        &self,
        mut texts: Vec<(String, u64)>,
        has_header: bool,
        width: usize,
        mut beside: Beside,
    ) -> Checked<Labelled> {
        texts.iter_mut().filter(|(text, _)| !text.is_ascii()).for_each(|(text, _)| *text = composed(text));
        if !has_header && is_header(&texts, self.nodes) {
            texts.remove(0);
        }
        self.table.require_rows(texts.len(), width, self.nodes)?;
        let lacking: Vec<bool> = texts.iter().map(|(text, _)| self.is_lacking(text)).collect();
        let has_class = || texts.iter().zip(&lacking).filter(|(_, lacking)| !**lacking).map(|(text, _)| text);
        let empty = has_class().find(|(text, _)| text.is_empty() || text.eq_ignore_ascii_case("nan"));
        if let Some((text, row)) = empty {
            return Err(self.no_class(*row, text, "nan").into());
        }
        let (names, positions) = if has_class().all(|(text, _)| number(text).is_some()) {
            self.whole_numbers(has_class().collect())?
        } else {
            let mut names: Vec<String> = has_class().map(|(text, _)| text.clone()).collect();
            names.sort_unstable();
            names.dedup();
            let position =
                |(text, _): &(String, u64)| names.binary_search(text).expect("every name is among them") as i64;
            let positions: Vec<i64> = has_class().map(position).collect();
            (names, positions)
        };
        let mut positions = positions.into_iter();
        let mut next = || positions.next().expect("a position for each that has a class");
        let labels = lacking.iter().map(|lacking| if *lacking { IGNORED } else { next() }).collect();
        let place = self.table.path.display();
        if self.unlabelled.is_none()
            && names.len() > 2
            && names.last().is_some_and(|name| *name == LIKELY_NONE.to_string())
            && names.len() < LIKELY_NONE as usize
        {
            beside.told.push(format!(
                "{place}: {LIKELY_NONE} is a class here; if it means that a node has none: --set {KEY}={LIKELY_NONE}"
            ));
        }
        if names.len() < 2 {
            let found = if names.is_empty() { "none".to_owned() } else { format!("{} alone", names.join(", ")) };
            return Err(Error::invalid(&self.table.path, "at least two classes", found).into());
        }
        Ok(Labelled { names, labels: Labels::Classes(labels), lacking: some(lacking), beside })
    }

    /// Classes that are numbers are in the order of the numbers.
    fn whole_numbers(&self, texts: Vec<&(String, u64)>) -> Result<(Vec<String>, Vec<i64>)> {
        let whole = |(text, row): &&(String, u64)| {
            let value = number(text).filter(|value| value.fract() == 0.0 && value.abs() < 2e15);
            value.map(|value| value as i64).ok_or_else(|| {
                Error::invalid(self.table.place(*row), "a whole number or the name of a class", show(text.as_bytes()))
                    .with_hint("classes are no measurements")
            })
        };
        let values = texts.iter().map(whole).collect::<Result<Vec<i64>>>()?;
        let mut classes: BTreeMap<i64, i64> = values.iter().map(|value| (*value, 0)).collect();
        classes.values_mut().zip(0..).for_each(|(position, next)| *position = next);
        // The labels 1 and -1 are two classes.
        let is_likely_none = classes.keys().next() == Some(&-1) && !classes.keys().eq(&[-1, 1]);
        if let Some(position) = values.iter().position(|value| *value == -1).filter(|_| is_likely_none)
            && self.unlabelled.is_none()
        {
            return Err(self.no_class(texts[position].1, "-1", "-1"));
        }
        let labels = values.iter().map(|value| classes[value]).collect();
        Ok((classes.keys().map(i64::to_string).collect(), labels))
    }

    /// The error of a node without a class, where none may be.
    fn no_class(&self, row: u64, found: &str, key: &str) -> Error {
        let hint = format!("nodes without a label are left out of all splits by --set {KEY}={key}");
        let hint = if key == "-1" { format!("{hint}; if -1 is a class: --set {KEY}=none") } else { hint };
        Error::invalid(self.table.place(row), "the class of a node", show(found.as_bytes())).with_hint(hint)
    }
}

fn zero_or_one(row: &Row<'_>, column: usize) -> Result<f32> {
    match row.value(column) {
        Some(value) if value == 0.0 || value == 1.0 => Ok(value as f32),
        _ => Err(row.invalid(column, format!("0 or 1 in column {column}, one of several labels")).with_hint(format!(
            "several columns say of each label whether it holds; where a node has one class, give it in one column; nodes \
             without labels are left out by --set {KEY}=nan (or -1)"
        ))),
    }
}

fn twice(names: &[String]) -> Option<&String> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Whether the first text is a header: names of classes are no numbers either, so their count decides.
fn is_header(texts: &[(String, u64)], nodes: usize) -> bool {
    let Some(((first, _), others)) = texts.split_first() else { return false };
    let is_one_more = others.len() == nodes && (number(first).is_none() || first == "0");
    let is_usual = is_label(first);
    let among_numbers = number(first).is_none()
        && !first.is_empty()
        && !others.is_empty()
        && others.iter().all(|(text, _)| number(text).is_some());
    is_one_more || among_numbers || is_usual && others.iter().all(|(text, _)| text != first)
}

#[cfg(test)]
mod tests {
    use super::super::tables::Blanks;
    use super::*;

    fn read(text: &str, nodes: usize) -> Checked<Labelled> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, text).unwrap();
        Labelled::read(&Table::open(&path, Blanks::NumberedNames).unwrap(), nodes, None)
    }

    fn classes(text: &str, nodes: usize) -> (Vec<String>, Vec<i64>) {
        let Labelled { names, labels: Labels::Classes(labels), .. } = read(text, nodes).unwrap() else {
            panic!("{text}")
        };
        (names, labels)
    }

    fn message(text: &str, nodes: usize) -> String {
        let message = read(text, nodes).unwrap_err().first().to_string();
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
        let (names, labels) = classes("caf\u{e9}\ntea\ncafe\u{301}\n", 3);
        assert_eq!((names[0].as_str(), labels), ("caf\u{e9}", vec![0, 1, 0]), "letters of one or of two signs");
    }

    #[test]
    fn several_columns_are_a_label_each() {
        let expected = Labels::Several(vec![1.0, 0.0, 1.0, 1.0]);
        let several = |text: &str| {
            let Labelled { names, labels, .. } = read(text, 2).unwrap();
            assert_eq!(labels, expected, "{text}");
            names.join(",")
        };
        assert_eq!(several("a,b\n1,0\n1,1\n"), "a,b");
        assert_eq!(several("1,0\n1.0,1.0\n"), "label 0,label 1");
        assert_eq!(several(",a,b\n0,1,0\n1,1,1\n"), "a,b");
        assert_eq!(several("node,0,1\n7,1,0\n9,1,1\n"), "0,1");
    }

    #[test]
    fn classes_stand_in_the_column_that_the_header_names() {
        let expected = (["chess", "choir"].map(str::to_owned).to_vec(), vec![0, 1, 0]);
        for text in [
            ",club\n0,chess\n1,choir\n2,chess\n",
            "id,label\n7,chess\n8,choir\n9,chess\n",
            "person,club\nann,chess\nbea,choir\ncem,chess\n",
            "ann,chess\nbea,choir\ncem,chess\n",
            "0,chess\n1,choir\n2,chess\n",
            "0 chess\n1 choir\n2 chess\n",
            "label,age,train_mask\nchess,4,1\nchoir,5,0\nchess,6,1\n",
        ] {
            assert_eq!(classes(text, 3), expected, "{text}");
        }
        assert_eq!(classes(",label\n0,0\n1,0\n2,1\n", 3).1, [0, 0, 1]);
        assert_eq!(classes("0,4\n1,5\n2,5\n", 3).1, [0, 1, 1]);
    }

    #[test]
    fn nodes_without_a_label_are_marked_where_the_key_says_so() {
        let with = |text: &str, unlabelled| {
            let table = Table::of(std::path::Path::new("labels.csv"), text.into(), Blanks::NumberedNames);
            Labelled::read(&table, 4, unlabelled)
        };
        for (text, key) in [
            ("1\n-1\n0\n-1\n", "-1"),
            ("1.0\nnan\n0.0\nNaN\n", "nan"),
            ("1\n\"\"\n0\n\"\"\n", "nan"),
            ("id,y\n0,b\n1,\n2,a\n3,\n", ""),
            ("1\n255\n0\n255\n", "255"),
            ("b\n?\na\n?\n", "?"),
        ] {
            let read = with(text, Some(key)).unwrap();
            assert_eq!(read.labels, Labels::Classes(vec![1, IGNORED, 0, IGNORED]), "{text}");
            assert_eq!((read.lacking, read.names.len()), (vec![false, true, false, true], 2), "{text}");
        }
        for text in ["1\n-1\n0\n-1\n", "1.0\nnan\n0.0\nNaN\n", "b\n\"\"\na\nb\n"] {
            let error = with(text, None).unwrap_err().first();
            assert!(error.to_string().contains("line 2: expected the class of a node"), "{text}: {error}");
            assert!(error.hint().unwrap().contains("data.graphs.unlabelled="), "{error:?}");
        }
        assert_eq!(with("1\n-1\n1\n-1\n", None).unwrap().names, ["-1", "1"]);
        assert_eq!(with("1\n-1\n0\n-1\n", Some("none")).unwrap().names, ["-1", "0", "1"]);
        assert!(with("1\n255\n0\n255\n", None).unwrap().beside.told[0].contains("unlabelled=255"));
        let several = with("a,b\n1,0\n,\n0,1\n1,1\n", Some("nan")).unwrap();
        assert_eq!(several.lacking, [false, true, false, false]);
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

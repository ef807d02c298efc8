//! Which nodes are for what: a list or a mask per split, a table with a column of splits, or columns beside the labels.
//!
//! A list names its nodes, one per row. A mask has a row per node, with 0 and 1 or true and false: rows of nothing but
//! these are a mask where they are as many as the nodes, if these are more than two. Files are known by their names
//! (`layout.rs`); what follows `#`, and a first line without a number, is passed over.

use std::path::{Path, PathBuf};

use super::beside::{SplitColumn, mask, word};
use super::headings::{id_rank, is_index, is_split_column, split_of};
use super::numbering::Numbering;
use super::tables::{Blanks, Checked, Problems, Table};
use crate::data::folders::file_name;
use crate::data::scan::{show, show_names};
use crate::data::split::Split;
use crate::error::{Error, Result};

/// Nodes of which a mask may be taken for a list of nodes 0 and 1.
const FEW: usize = 2;

/// What lists, masks and columns say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lists {
    /// The split of every listed node.
    pub marks: Vec<Option<Split>>,
    /// What is there, by name and split.
    pub present: Vec<(String, Split)>,
    /// What was taken for what, in words.
    pub told: Vec<String>,
    /// Where each node was listed: which of `places`, and the line.
    seen: Vec<Option<(u32, u64)>>,
    /// Files and what a place in them is called.
    places: Vec<(String, &'static str)>,
}

/// A file that says which nodes are in which split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListFile {
    pub path: PathBuf,
    /// The split that its name means; absent of a table of splits.
    pub split: Option<Split>,
}

/// The rows of a list, but for its header.
struct Listed {
    /// A text, whether it stands in a mask by itself, and its row.
    values: Vec<(String, u64)>,
    /// Of a mask that has a column of nodes.
    nodes: Option<Vec<String>>,
    is_boolean: bool,
    has_header: bool,
}

impl Lists {
    /// Reads files and columns about these nodes.
    ///
    /// # Errors
    /// A list without nodes, nodes that are not there, a node that is listed twice, two lists of one split.
    pub fn read(files: &[ListFile], columns: Vec<SplitColumn>, nodes: &Numbering) -> Checked<Self> {
        let mut lists = Self::none(nodes.nodes());
        let mut problems = Problems::default();
        for file in files {
            let table = Table::open(&file.path, Blanks::Columns);
            problems.keep(table.and_then(|table| lists.add(&table, file.split, nodes)));
        }
        for column in columns {
            problems.keep(lists.add_column(column));
        }
        problems.or(lists)
    }

    /// Nothing about so many nodes.
    pub fn none(nodes: usize) -> Self {
        Self {
            marks: vec![None; nodes],
            present: Vec::new(),
            told: Vec::new(),
            seen: vec![None; nodes],
            places: Vec::new(),
        }
    }

    /// A published split of all nodes, by the name that `present` gives it.
    pub fn published(marks: Vec<Option<Split>>, name: &str) -> Self {
        let splits = Split::ALL.into_iter();
        let present = splits.filter(|split| marks.contains(&Some(*split))).map(|split| (name.to_owned(), split));
        let (present, nodes) = (present.collect(), marks.len());
        Self { marks, present, ..Self::none(nodes) }
    }

    /// The list of the training nodes among so many with this content.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(bytes: &[u8], path: &Path, nodes: usize) -> Result<Self> {
        let mut lists = Self::none(nodes);
        let table = Table::of(path, bytes.to_owned(), Blanks::Columns);
        lists.add(&table, Some(Split::Train), &Numbering::counted(nodes))?;
        Ok(lists)
    }

    /// True where a list says which nodes the split has.
    pub fn has(&self, split: Split) -> bool {
        self.present.iter().any(|(_, of)| *of == split)
    }

    fn add(&mut self, table: &Table, split: Option<Split>, nodes: &Numbering) -> Result<()> {
        let name = file_name(&table.path);
        let Some(split) = split else { return self.add_table(table, nodes) };
        self.require_one(&name, split)?;
        self.present.push((name.clone(), split));
        let listed = Listed::read(table, nodes)?;
        let unit = if table.shape()?.is_some() { "row" } else { "line" };
        self.places.push((name.clone(), unit));
        let is_mask = listed.is_mask(nodes.nodes());
        if listed.is_boolean && !is_mask && listed.nodes.is_none() {
            let expected = format!("a mask with a row for each of {} nodes", nodes.nodes());
            return Err(Error::invalid(&table.path, expected, format!("{} rows", listed.values.len()))
                .with_hint("a mask has a row per node; a list names its nodes, one per row"));
        }
        if is_mask || listed.nodes.is_some() {
            self.told.push(format!("{}: read as a mask, a row per node", table.path.display()));
        }
        let mut is_empty = true;
        for (position, (text, row)) in listed.values.iter().enumerate() {
            if is_mask || listed.nodes.is_some() {
                let is_in = mask(text).ok_or_else(|| {
                    Error::invalid(table.place(*row), "0 or 1, as in a mask", show(text.as_bytes()))
                        .with_hint("a mask has a row per node; a list names its nodes, one per row")
                })?;
                if !is_in {
                    continue;
                }
            }
            let called = match &listed.nodes {
                Some(called) => &called[position],
                None if is_mask => {
                    self.mark(position as u32, split, *row, table)?;
                    is_empty = false;
                    continue;
                }
                None => text,
            };
            let node = nodes.find(called).ok_or_else(|| {
                let error = nodes.unknown(table.place(*row), "", called);
                let hint = error.hint().unwrap_or_default().to_owned();
                error.with_hint(format!("one per line; {hint}"))
            })?;
            self.mark(node, split, *row, table)?;
            is_empty = false;
        }
        if is_empty {
            return Err(Error::invalid(&table.path, "at least one node", "none")
                .with_hint("list its nodes, or remove the file: a share is then chosen by a seed"));
        }
        Ok(())
    }

    fn mark(&mut self, node: u32, split: Split, row: u64, table: &Table) -> Result<()> {
        let here = (self.places.len() as u32 - 1, row);
        if let Some((file, line)) = self.seen[node as usize].replace(here) {
            let (before, unit) = &self.places[file as usize];
            let at = if *unit == "column" { String::new() } else { format!(", {unit} {line}") };
            let found = format!("{node}, which {before}{at}, lists too");
            let hint = "a node is for training, for validation or for testing: splits must not overlap; a mask of 0 and 1 has \
                        a row for every node";
            let header =
                if node == 0 { "; is a first line 0 the header that pandas wrote? Then remove it" } else { "" };
            return Err(Error::invalid(table.place(row), "a node that is listed once", found)
                .with_hint(format!("{hint}{header}")));
        }
        self.marks[node as usize] = Some(split);
        Ok(())
    }

    /// Two lists of one split may say different things.
    fn require_one(&self, name: &str, split: Split) -> Result<()> {
        match self.present.iter().find(|(_, of)| *of == split) {
            None => Ok(()),
            Some((other, _)) => {
                let expected = format!("one list of the {} nodes", split.name());
                Err(Error::invalid("splits", expected, format!("{other} and {name}"))
                    .with_hint("remove the one that is not meant"))
            }
        }
    }

    /// A column beside features or labels.
    fn add_column(&mut self, column: SplitColumn) -> Result<()> {
        let splits: Vec<Split> = Split::ALL.into_iter().filter(|split| column.marks.contains(&Some(*split))).collect();
        for split in &splits {
            self.require_one(&column.name, *split)?;
        }
        self.present.extend(splits.into_iter().map(|split| (column.name.clone(), split)));
        self.places.push((column.name.clone(), "column"));
        let here = self.places.len() as u32 - 1;
        for (node, mark) in column.marks.iter().enumerate().filter(|(_, mark)| mark.is_some()) {
            if let Some((file, _)) = self.seen[node].replace((here, 0)) {
                let (before, _) = &self.places[file as usize];
                let found = format!("node {node} in {before} and {}", column.name);
                return Err(Error::invalid("splits", "a node that is listed once", found)
                    .with_hint("a node is for training, for validation or for testing: splits must not overlap"));
            }
            self.marks[node] = *mark;
        }
        Ok(())
    }

    /// A table with a row per node: a column of words, or a mask per split.
    fn add_table(&mut self, table: &Table, nodes: &Numbering) -> Result<()> {
        let start = table.start(2)?;
        let first = start.first().cloned().unwrap_or_default();
        let is_row = |cells: &[String]| cells.iter().any(|cell| word(cell).is_some_and(|split| split.is_some()));
        let has_header = first.len() > 1 && !is_row(&first)
            || first.iter().any(|name| split_of(name).is_some())
                && start.get(1).is_some_and(|row| row.iter().any(|cell| mask(cell).is_some()))
            || first.first().is_some_and(|name| is_split_column(name));
        let (names, rows) = (first, table.rows() - usize::from(has_header));
        let id = if names.len() > 1 && has_header {
            names.iter().enumerate().filter_map(|(column, name)| Some((id_rank(name)?, column))).min()
        } else {
            None
        };
        let masks: Vec<(usize, Split)> =
            names.iter().enumerate().filter_map(|(column, name)| Some((column, split_of(name)?))).collect();
        let of_words: Vec<usize> = (0..names.len())
            .filter(|column| id.is_none_or(|(_, id)| id != *column) && !is_index(&names[*column]))
            .collect();
        let unclear = || {
            let found = show_names(names.iter().map(|name| &**name));
            Error::invalid(&table.path, "a column with train, valid or test for each node", found)
                .with_hint("or a mask of 0 and 1 per split, in columns train, valid and test; or lists train.txt, ...")
        };
        let columns: Vec<(usize, Option<Split>)> = match (&of_words[..], has_header && !masks.is_empty()) {
            (_, true) => masks.into_iter().map(|(column, split)| (column, Some(split))).collect(),
            ([only], false) => vec![(*only, None)],
            _ => return Err(unclear()),
        };
        if rows != nodes.nodes() && id.is_none() {
            let expected = format!("{} rows, one per node", nodes.nodes());
            return Err(Error::invalid(&table.path, expected, rows.to_string()).with_hint("a row is a node"));
        }
        let mut found: Vec<Vec<Option<Split>>> = vec![vec![None; nodes.nodes()]; columns.len()];
        let mut position = 0_u32;
        let read = table.read_after(has_header, |row| {
            if row.len() != names.len() {
                return Err(Error::invalid(row.place(), format!("{} columns", names.len()), row.len().to_string()));
            }
            let node = match id {
                Some((_, column)) => nodes.node(row, column, "")?,
                None => position,
            };
            position += 1;
            for ((column, split), marks) in columns.iter().zip(&mut found) {
                let text = row.text(*column);
                let mark = match split {
                    Some(split) => mask(&text).map(|is_in| is_in.then_some(*split)),
                    None => word(&text),
                };
                let mark = mark.ok_or_else(|| {
                    let expected = if split.is_some() { "0 or 1, as in a mask" } else { "train, valid or test" };
                    row.invalid(*column, expected).with_hint("write words: numbers of splits mean different things")
                })?;
                let slot = marks.get_mut(node as usize).ok_or_else(unclear)?;
                *slot = mark;
            }
            Ok(())
        });
        read.map_err(Problems::first)?;
        let name = file_name(&table.path);
        for ((_, of), marks) in columns.into_iter().zip(found) {
            self.add_column(SplitColumn::of_file(name.clone(), of, marks))?;
        }
        Ok(())
    }
}

impl Listed {
    fn read(table: &Table, nodes: &Numbering) -> Result<Self> {
        let start = table.start(2)?;
        let first: Vec<&str> = start.first().into_iter().flatten().map(String::as_str).map(before_comment).collect();
        let has_digit = |cell: &&str| cell.contains(|letter: char| letter.is_ascii_digit());
        let is_word = |cell: &&str| mask(cell).is_some() || nodes.has_names() && nodes.find(cell).is_some();
        let begins_empty = first.len() > 1 && first[0].is_empty();
        let has_header = !first.is_empty()
            && (begins_empty || !first.iter().any(|cell| has_digit(cell) || is_word(cell)))
            || table.has_names();
        let mut columns: Vec<usize> = (0..first.len().max(1)).collect();
        let (mut column_of_nodes, mut is_mask) = (None, false);
        if has_header && first.len() > 1 {
            columns.retain(|column| !is_index(first[*column]));
            let named = columns.iter().copied().filter(|column| id_rank(first[*column]).is_some()).collect::<Vec<_>>();
            if let &[id] = &named[..] {
                let others: Vec<usize> = columns.iter().copied().filter(|column| *column != id).collect();
                let of_mask = others.iter().copied().find(|column| {
                    let name = first[*column];
                    split_of(name).is_some() || name.to_lowercase().contains("mask")
                });
                match of_mask {
                    Some(mask) => (columns, column_of_nodes) = (vec![mask], Some(id)),
                    None => columns = vec![id],
                }
            }
        }
        if let (true, &[only]) = (has_header, &columns[..]) {
            is_mask = first.get(only).is_some_and(|name| name.to_lowercase().contains("mask"));
        }
        let is_boolean = table.shape()?.is_some() && table.grid()?.is_boolean() || is_mask && column_of_nodes.is_none();
        let mut listed =
            Self { values: Vec::new(), nodes: column_of_nodes.map(|_| Vec::new()), is_boolean, has_header };
        let is_array = table.shape()?.is_some();
        let read = table.read_after(has_header, |row| {
            let cells: Vec<String> = (0..row.len()).map(|column| row.text(column).into_owned()).collect();
            let end = cells.iter().position(|cell| cell.starts_with('#')).unwrap_or(cells.len());
            if end == 0 {
                return Ok(());
            }
            let cells = &cells[..end];
            let one = if has_header && first.len() > 1 { columns.clone() } else { (0..cells.len()).collect() };
            let &[column] = &one[..] else {
                let found = if is_array { format!("{} columns", row.len()) } else { show(cells.join(" ").as_bytes()) };
                let expected = format!("a node from 0 to {}", nodes.nodes().saturating_sub(1));
                return Err(Error::invalid(row.place(), expected, found)
                    .with_hint("one node per line, or a mask: 0 or 1 per line for every node"));
            };
            let text = |column: usize| cells.get(column).map_or("", |cell| before_comment(cell)).to_owned();
            listed.values.push((text(column), row.number));
            if let (Some(id), Some(nodes)) = (column_of_nodes, &mut listed.nodes) {
                nodes.push(text(id));
            }
            Ok(())
        });
        read.map_err(Problems::first)?;
        listed.without_counting_header(table, nodes.nodes());
        let is_number = |text: &str| text.parse::<f64>().is_ok();
        listed.is_boolean |= !listed.values.is_empty()
            && listed.values.iter().all(|(text, _)| mask(text).is_some() && !is_number(text))
            && !(nodes.has_names() && listed.values.iter().all(|(text, _)| nodes.find(text).is_some()));
        Ok(listed)
    }

    /// Leaves out a first 0 that pandas wrote for a column without a name: the mask has one row more than there are nodes,
    /// or the list has 0 again.
    fn without_counting_header(&mut self, table: &Table, nodes: usize) {
        let begins_so = self.values.first().is_some_and(|(text, _)| text == "0");
        if self.has_header || !begins_so || table.shape().is_ok_and(|shape| shape.is_some()) {
            return;
        }
        let others = &self.values[1..];
        let is_mask = others.len() == nodes && nodes > FEW && others.iter().all(|(text, _)| mask(text).is_some());
        let has_others = self.values.len() != nodes || others.iter().any(|(text, _)| mask(text).is_none());
        let is_list = has_others && others.iter().filter(|(text, _)| text == "0").count() == 1;
        if is_mask || is_list {
            self.values.remove(0);
        }
    }

    fn is_mask(&self, nodes: usize) -> bool {
        let all = || self.values.iter().all(|(text, _)| mask(text).is_some());
        self.nodes.is_none() && self.values.len() == nodes && (self.is_boolean || nodes > FEW && all())
    }
}

/// The text before `#`.
fn before_comment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::super::layout;
    use super::*;

    const TRAIN: Option<Split> = Some(Split::Train);
    const VALID: Option<Split> = Some(Split::Validation);
    const TEST: Option<Split> = Some(Split::Test);

    fn read(files: &[(&str, &str)]) -> Checked<Lists> {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
        let files = layout::lists(folder.path(), ["train.txt", "test.txt"])?;
        Lists::read(&files, Vec::new(), &Numbering::counted(5))
    }

    fn message(files: &[(&str, &str)]) -> String {
        let message = read(files).unwrap_err().first().to_string();
        message.rsplit_once('/').map_or(message.clone(), |(_, message)| message.to_owned())
    }

    #[test]
    fn lists_mark_nodes() {
        let lists = read(&[("train.txt", "node\n4\n0\n"), ("test.txt", "# held out\n2 # why\n\n")]).unwrap();
        assert_eq!(lists.marks, [TRAIN, None, TEST, None, TRAIN]);
        assert!(lists.has(Split::Train) && lists.has(Split::Test) && !lists.has(Split::Validation));
        assert_eq!(read(&[]).unwrap().present, []);
    }

    #[test]
    fn lists_and_masks_of_every_spelling_say_the_same() {
        let expected = [TRAIN, TRAIN, VALID, TEST, TEST];
        for files in [
            &[("train.txt", "0\n1\n"), ("val.txt", "2\n"), ("test.txt", "3\n4\n")][..],
            &[("train.csv", ",node\n0,1\n1,0\n"), ("dev.csv", "2\n"), ("test.tsv", "id\n3\n4\n")],
            &[("train.csv", "0\n0\n1\n"), ("valid.csv", "2\n"), ("test.csv", ",0\n0,3\n1,4\n")],
            &[("train_mask.csv", "0\n1\n1\n0\n0\n0\n"), ("val_mask.txt", "0\n0\n1\n0\n0\n"), ("test.txt", "3\n4\n")],
            &[
                ("train.txt", "True\nTrue\nFalse\nFalse\nFalse\n"),
                ("valid.txt", "false\nfalse\ntrue\nfalse\nfalse"),
                ("test.txt", "0.0\n0.0\n0.0\n1.0\n1.0\n"),
            ],
            &[("split.csv", "train\ntrain\nval\ntest\ntest\n")],
            &[("splits.csv", "id,split\n4,test\n3,test\n2,valid\n1,train\n0,train\n")],
            &[("masks.csv", "train_mask,val_mask,test_mask\n1,0,0\n1,0,0\n0,1,0\n0,0,1\n0,0,1\n")],
            &[("train.csv", "node,train_mask\n1,1\n0,1\n2,0\n"), ("val.csv", "2"), ("test.csv", "3\n4")],
        ] {
            assert_eq!(read(files).unwrap().marks, expected, "{files:?}");
        }
        let few = Lists::parse(b"0\n1\n", Path::new("train.txt"), 2).unwrap();
        assert_eq!(few.marks, [TRAIN, TRAIN], "a list, not a mask");
    }

    #[test]
    fn what_is_no_list_is_told_by_its_line() {
        assert_eq!(message(&[("train.txt", "1\n5\n")]), "train.txt, line 2: expected a node from 0 to 4, found 5");
        assert_eq!(message(&[("train.txt", "1\n1.5\n")]), "train.txt, line 2: expected a node from 0 to 4, found 1.5");
        assert_eq!(message(&[("train.txt", "0 1\n")]), "train.txt, line 1: expected a node from 0 to 4, found 0 1");
        assert_eq!(message(&[("valid.txt", "node\n")]), "valid.txt: expected at least one node, found none");
        let twice =
            "test.txt, line 2: expected a node that is listed once, found 3, which train.txt, line 1, lists too";
        assert_eq!(message(&[("train.txt", "3\n"), ("test.txt", "2\n3\n")]), twice);
        let both = [("train.txt", "9\n"), ("test.txt", "9\n")];
        assert_eq!(read(&both).unwrap_err().0.len(), 2);
        let short = "train.txt: expected a mask with a row for each of 5 nodes, found 2 rows";
        assert_eq!(message(&[("train.txt", "True\nFalse\n")]), short);
        let two = "splits: expected one list of the validation nodes, found val.txt and valid.txt";
        assert_eq!(message(&[("val.txt", "1\n"), ("valid.txt", "1\n")]), two);
        assert!(message(&[("split.csv", "0\n0\n1\n2\n2\n")]).contains("expected train, valid or test"));
    }
}

//! Which nodes are for what: lists of their numbers, one per line.
//!
//! Blank lines, what follows `#`, and a first line without a number are passed over.

use std::collections::HashMap;
use std::path::Path;

use super::tables::{Checked, node_hint};
use crate::data::config::DataConfig;
use crate::data::folders::file_name;
use crate::data::scan::{Lines, show, whole};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading;

/// The list of the nodes for validation.
const VALIDATION: &str = "valid.txt";

/// What the lists of a folder say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lists {
    /// The split of every listed node.
    pub marks: Vec<Option<Split>>,
    /// The lists that are there, by file and split.
    pub present: Vec<(String, Split)>,
}

impl Lists {
    /// Reads the lists of so many nodes.
    ///
    /// # Errors
    /// A list without nodes, nodes that are not there, a node that is listed twice.
    pub fn read(folder: &Path, config: &DataConfig, nodes: usize) -> Checked<Self> {
        let names = [&*config.train_list, VALIDATION, &*config.test_list];
        let mut lists = Self { marks: vec![None; nodes], present: Vec::new() };
        let mut seen: HashMap<u64, String> = HashMap::new();
        let mut problems = Vec::new();
        for (name, split) in names.into_iter().zip([Split::Train, Split::Validation, Split::Test]) {
            let path = folder.join(name);
            if reading::is_there(&path) {
                lists.present.push((name.to_owned(), split));
                problems.extend(lists.add(&path, split, &mut seen).err());
            }
        }
        if problems.is_empty() { Ok(lists) } else { Err(problems) }
    }

    /// The list of the training nodes among so many with this content.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(bytes: &[u8], path: &Path, nodes: usize) -> Result<Self> {
        let mut lists = Self { marks: vec![None; nodes], present: Vec::new() };
        lists.add_text(bytes, path, Split::Train, &mut HashMap::new())?;
        Ok(lists)
    }

    /// True where a list says which nodes the split has.
    pub fn has(&self, split: Split) -> bool {
        self.present.iter().any(|(_, of)| *of == split)
    }

    fn add(&mut self, path: &Path, split: Split, seen: &mut HashMap<u64, String>) -> Result<()> {
        self.add_text(&reading::bytes(path)?, path, split, seen)
    }

    /// Takes over the nodes of a list with this content.
    fn add_text(&mut self, bytes: &[u8], path: &Path, split: Split, seen: &mut HashMap<u64, String>) -> Result<()> {
        let place = path.display().to_string();
        let mut is_empty = true;
        for (position, line) in Lines::without_comments(bytes, b'#').enumerate() {
            let node = whole(line.text);
            if position == 0 && node.is_none() && !line.text.iter().any(u8::is_ascii_digit) {
                continue;
            }
            let Some(mark) = node.and_then(|node| self.marks.get_mut(usize::try_from(node).ok()?)) else {
                let expected = format!("a node from 0 to {}", self.marks.len().saturating_sub(1));
                let hint = format!("one per line; {}", node_hint(node, self.marks.len()));
                return Err(line.invalid(&place, expected, show(line.text)).with_hint(hint));
            };
            let node = node.expect("it marks one");
            let here = format!("{}, line {}", file_name(path), line.number);
            if let Some(before) = seen.insert(node, here) {
                let found = format!("{node}, which {before}, lists too");
                return Err(line
                    .invalid(&place, "a node that is listed once", found)
                    .with_hint("a node is for training, for validation or for testing: splits must not overlap"));
            }
            *mark = Some(split);
            is_empty = false;
        }
        if is_empty {
            return Err(Error::invalid(place, "at least one node", "none")
                .with_hint("list its nodes, or remove the file: a share is then chosen by a seed"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Checked<Lists> {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
        Lists::read(folder.path(), &DataConfig::default(), 5)
    }

    fn message(files: &[(&str, &str)]) -> String {
        let message = read(files).unwrap_err()[0].to_string();
        message.rsplit_once('/').unwrap().1.to_owned()
    }

    #[test]
    fn lists_mark_nodes() {
        let lists = read(&[("train.txt", "node\n4\n0\n"), ("test.txt", "# held out\n2 # why\n\n")]).unwrap();
        let (train, test) = (Some(Split::Train), Some(Split::Test));
        assert_eq!(lists.marks, [train, None, test, None, train]);
        assert!(lists.has(Split::Train) && lists.has(Split::Test) && !lists.has(Split::Validation));
        assert_eq!(read(&[]).unwrap().present, []);
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
        assert_eq!(read(&both).unwrap_err().len(), 2);
    }
}

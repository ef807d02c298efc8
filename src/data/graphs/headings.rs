//! What the first line of a table is, and what the names of its columns say.
//!
//! A header is names, or the numbers 0, 1, 2, ... that pandas writes where columns have no names. A column without a
//! name is pandas' index. Names are compared by their letters and digits alone, in lower case.

use super::tables::Table;
use crate::data::division::{PARTS, part_of};
use crate::data::scan::number;
use crate::data::split::Split;
use crate::error::Result;

/// Names of a column with the names or numbers of the nodes, the surest first; at last none.
const IDS: &str = "nodeid node nodeids nodes nodename nodeidx nodeindex vertexid vertex id ids name index idx level0 \
                   unnamed0 ";

/// Names of the columns of links: sources and targets, in pairs.
const ENDS: [[&str; 2]; 17] = [
    ["source", "target"],
    ["src", "dst"],
    ["from", "to"],
    ["source", "destination"],
    ["src", "dest"],
    ["src", "tgt"],
    ["node1", "node2"],
    ["node0", "node1"],
    ["nodea", "nodeb"],
    ["id1", "id2"],
    ["n1", "n2"],
    ["u", "v"],
    ["i", "j"],
    ["x", "y"],
    ["head", "tail"],
    ["start", "end"],
    ["citing", "cited"],
];

/// Names of columns of edges that are no ends.
const NO_ENDS: &str =
    "edgeid edgeids edge eid linkid link weight weights w value type relation time timestamp year label";

/// What may stand before or after a name of an end: `source_id`, `from_node`.
const OF_ENDS: [&str; 9] = ["nodeid", "nodeidx", "node", "vertex", "index", "idx", "name", "id", "paper"];

/// Names of a column of classes.
const LABELS: [&str; 8] = ["label", "labels", "class", "classes", "target", "targets", "y", "category"];

/// Words that may stand beside one of a split, in the name of a column or of a file.
const BESIDE_SPLITS: [&str; 13] =
    ["masks", "mask", "indices", "indexes", "index", "idx", "nodes", "node", "ids", "id", "list", "split", "is"];

/// Names of a column that says which split a node is in.
const SPLIT_COLUMNS: [&str; 6] = ["split", "splits", "set", "subset", "partition", "part"];

/// Columns from which on a first line that counts up from any number is a header.
const MANY: usize = 8;

/// Columns whose names are looked up to see whether a line is a header.
const MOST_KNOWN: usize = 1 << 10;

/// What the first line of a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heading {
    /// A header.
    Names(Vec<String>),
    /// A header that counts the columns.
    Counts(Vec<String>),
    /// It counts the columns, but these are so few that it may as well be a row.
    PerhapsCounts(Vec<String>),
    /// It has no number, but may be a row of names all the same.
    PerhapsNames(Vec<String>),
    /// The first row.
    Row,
}

impl Heading {
    /// Looks at a table; its first two lines say the most.
    ///
    /// # Errors
    /// A text that is no table.
    pub fn of(table: &Table) -> Result<Self> {
        let mut rows = table.start(2)?.into_iter();
        let Some(first) = rows.next() else { return Ok(Self::Row) };
        if table.has_names() {
            return Ok(Self::Names(first));
        }
        let second = rows.next().unwrap_or_default();
        let value = |cell: &String| number(cell.as_bytes());
        let numbers: Vec<f64> = first.iter().filter_map(value).collect();
        let rises = |by_columns: bool| {
            let from = if by_columns { 0.0 } else { numbers.first().copied().unwrap_or_default() };
            numbers.iter().zip(0..).all(|(number, place)| *number == from + f64::from(place))
        };
        if first.len() > 1 && first[0].is_empty() && (rises(true) || second.first().is_some_and(|cell| cell == "0")) {
            return Ok(Self::Names(first));
        }
        if numbers.is_empty() {
            let is_known = |name: &String| is_known(name);
            let has_numbers = second.iter().any(|cell| value(cell).is_some());
            let is_header = has_numbers || second.is_empty() || first.iter().take(MOST_KNOWN).any(is_known);
            return Ok(if is_header { Self::Names(first) } else { Self::PerhapsNames(first) });
        }
        if numbers.len() < first.len() {
            let knows = first.iter().take(MOST_KNOWN).any(|name| value(name).is_none() && is_known(name));
            return Ok(if rises(true) && (knows || numbers.len() > MANY) { Self::Names(first) } else { Self::Row });
        }
        Ok(match first.len() {
            _ if first.iter().any(|cell| cell.contains(['.', 'e', 'E', '-', '+'])) => Self::Row,
            1 | 2 if rises(true) => Self::PerhapsCounts(first),
            3.. if rises(true) => Self::Counts(first),
            MANY.. if rises(false) => Self::Counts(first),
            _ => Self::Row,
        })
    }
}

/// Letters and digits, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// True for a name that is one of a column with a known meaning.
fn is_known(name: &str) -> bool {
    id_rank(name).is_some() || is_label(name) || split_of(name).is_some() || is_end(name)
}

/// True for the index that pandas writes without a name.
pub(super) fn is_index(name: &str) -> bool {
    matches!(&*plain(name), "" | "unnamed0" | "unnamed01" | "level0")
}

/// How surely a name is that of a column with the nodes' own names or numbers: 0 is the surest.
pub(super) fn id_rank(name: &str) -> Option<usize> {
    let plain = plain(name);
    IDS.split(' ').position(|known| known == plain)
}

/// True for the name of a column of classes.
pub(super) fn is_label(name: &str) -> bool {
    LABELS.contains(&&*plain(name))
}

/// True for the name of a column that says which split a node is in.
pub(super) fn is_split_column(name: &str) -> bool {
    SPLIT_COLUMNS.contains(&&*plain(name))
}

/// True for the name of a column of edges that is no end.
pub(super) fn is_no_end(name: &str) -> bool {
    id_rank(name).is_some() || NO_ENDS.split(' ').any(|known| known == plain(name))
}

/// A name without what may stand before or after one of an end: none, or one of several words.
fn bare(plain: &str) -> impl Iterator<Item = &str> {
    let without = move |part: &&'static str| plain.strip_suffix(*part).or_else(|| plain.strip_prefix(*part));
    std::iter::once(plain).chain(OF_ENDS.iter().filter_map(without))
}

/// True for the name of a column of sources or targets.
fn is_end(name: &str) -> bool {
    bare(&plain(name)).any(|bare| ENDS.iter().flatten().any(|word| *word == bare))
}

/// The columns of source and target by their names: those of the same pair, the better known first.
pub(super) fn ends(names: &[String]) -> [Option<usize>; 2] {
    let plain: Vec<String> = names.iter().map(|name| plain(name)).collect();
    let column = |word: &str| plain.iter().position(|name| bare(name).any(|bare| bare == word));
    let found: Vec<[Option<usize>; 2]> = ENDS.iter().map(|pair| pair.map(column)).collect();
    let whole = found.iter().find(|pair| matches!(pair, [Some(source), Some(target)] if source != target));
    let half = || found.iter().find(|pair| pair.iter().filter(|end| end.is_some()).count() == 1);
    whole.or_else(half).copied().unwrap_or_default()
}

/// The split that the name of a file or a column means, such as `val`, `train_mask` or `testIdx`.
pub(super) fn split_of(name: &str) -> Option<Split> {
    /// Letters of the longest name that is looked at.
    const LONGEST: usize = 64;
    /// Whether a name is the word of a split once and others of those that may stand beside one.
    fn rest_of(name: &str, found: Option<Split>) -> Option<Split> {
        if name.is_empty() {
            return found;
        }
        let part = |(word, split): &(&str, Split)| rest_of(name.strip_prefix(word)?, Some(*split));
        let beside = |word: &&str| rest_of(name.strip_prefix(*word)?, found);
        let as_part = if found.is_none() { PARTS.iter().find_map(part) } else { None };
        as_part.or_else(|| BESIDE_SPLITS.iter().find_map(beside))
    }
    Some(plain(name)).filter(|name| name.len() <= LONGEST).and_then(|name| rest_of(&name, None))
}

/// The split that a word in a column of splits means.
pub(super) fn split_word(word: &str) -> Option<Split> {
    part_of(&plain(word))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tables::Blanks;
    use super::*;

    fn heading(text: &str) -> Heading {
        Heading::of(&Table::of(Path::new("a.csv"), text.into(), Blanks::Columns)).unwrap()
    }

    #[test]
    fn a_first_line_is_a_header_by_names_or_by_counting() {
        for text in ["a,b\n1,2\n", ",0,1\n0,5,6\n", ",2019,2020\n0,5,6\n", "id,0,1\n7,5,6\n", "label\nx\n"] {
            assert!(matches!(heading(text), Heading::Names(_)), "{text}");
        }
        for text in ["0,1,2\n5,6,7\n", "1,2,3,4,5,6,7,8\n0,0,0,0,0,0,0,1\n"] {
            assert!(matches!(heading(text), Heading::Counts(_)), "{text}");
        }
        for text in ["0,1\n1,2\n", "0\n1\n"] {
            assert!(matches!(heading(text), Heading::PerhapsCounts(_)), "{text}");
        }
        for text in ["1,2\n3,4\n", "0.0,1.0,2.0\n3,4,5\n", "1,2,3\n4,5,6\n", "ann,0.5\nbea,1\n", ",3\n1,4\n", ""] {
            assert_eq!(heading(text), Heading::Row, "{text}");
        }
        assert!(matches!(heading("ann,bea\nbea,cem\n"), Heading::PerhapsNames(_)));
    }

    #[test]
    fn the_ends_of_links_are_known_by_many_names_in_any_case_and_place() {
        let of = |names: &str| ends(&names.split(',').map(str::to_owned).collect::<Vec<_>>());
        for names in ["source,target", "Src,DST", "from,to", "node1,node2", "Node 1,Node 2", "u,v", "head,tail"] {
            assert_eq!(of(names), [Some(0), Some(1)], "{names}");
        }
        for names in ["w,target_id,source_id", "weight,to_node,from_node", "v,dst,src", "t,SourceX,Source"] {
            let expected = if names.starts_with("t,") { [Some(2), None] } else { [Some(2), Some(1)] };
            assert_eq!(of(names), expected, "{names}");
        }
        assert_eq!(of("a,b"), [None, None]);
    }

    #[test]
    fn names_of_splits_may_have_known_words_beside() {
        for (name, split) in [
            ("train", Split::Train),
            ("Train_Mask", Split::Train),
            ("trainIdx", Split::Train),
            ("idx_val", Split::Validation),
            ("validation", Split::Validation),
            ("dev", Split::Validation),
            ("test-nodes", Split::Test),
            ("val_ids", Split::Validation),
        ] {
            assert_eq!(split_of(name), Some(split), "{name}");
        }
        for name in ["trained", "train_test", "mask", "test_scores", "latest", ""] {
            assert_eq!(split_of(name), None, "{name}");
        }
    }
}

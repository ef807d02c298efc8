//! Which node a cell means: its number, or its name where a column of the features or labels names the nodes.

use std::collections::HashMap;

use super::tables::{Checked, Row, node_hint};
use crate::data::folders::composed;
use crate::data::scan::{number, show, whole};
use crate::error::{Error, Result};

/// A column that says which node each row of a table is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ids {
    /// The file.
    pub place: String,
    /// The column in words.
    pub column: String,
    /// Row by row.
    pub names: Vec<String>,
}

/// What such a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// 0, 1, 2, ...: the numbers that the rows have anyway.
    Counting,
    /// The same numbers in another order; the row of every node.
    Moved(Vec<u32>),
    /// Names, or other numbers.
    Names,
}

/// How edges and lists call the nodes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbering {
    nodes: usize,
    named: Option<Named>,
}

#[derive(Debug, Clone, PartialEq)]
struct Named {
    names: Vec<String>,
    positions: HashMap<String, u32>,
    /// The column that names them, in words.
    column: String,
}

/// One spelling of a name: 3.0, which pandas makes of 3 where a value is missing, is 3; letters are composed.
pub(super) fn canonical(text: &str) -> String {
    let text = text.trim();
    let real = || number(text.as_bytes()).filter(|value| value.fract() == 0.0 && (0.0..=2e15).contains(value));
    match whole(text.as_bytes()).or_else(|| real().map(|value| value as u64)) {
        Some(number) => number.to_string(),
        None if text.is_ascii() => text.to_owned(),
        None => composed(text),
    }
}

impl Ids {
    /// What the column holds.
    ///
    /// # Errors
    /// A row without a name, a name that comes twice.
    pub fn order(&self) -> Result<Order> {
        let rows = self.names.len();
        let number = |name: &String| whole(name.as_bytes()).filter(|number| *number < rows as u64);
        if self.names.iter().zip(0..).all(|(name, row)| number(name) == Some(row)) {
            return Ok(Order::Counting);
        }
        self.positions()?;
        let mut row_of = vec![0; rows];
        for (row, name) in self.names.iter().enumerate() {
            let Some(number) = number(name) else { return Ok(Order::Names) };
            row_of[number as usize] = row as u32;
        }
        Ok(Order::Moved(row_of))
    }

    /// The row of each of these nodes.
    ///
    /// # Errors
    /// A node without a row, a row of another node or of none, two rows of one.
    pub fn rows(&self, nodes: &Numbering) -> Checked<Vec<u32>> {
        let positions = self.positions()?;
        if let Some(stranger) = self.names.iter().find(|name| nodes.find(name).is_none()) {
            return Err(nodes.unknown(format!("{}, {}", self.place, self.column), "", stranger).into());
        }
        let row = |node: u32| positions.get(&nodes.name(node)).copied();
        let rows: Option<Vec<u32>> = (0..nodes.nodes as u32).map(row).collect();
        rows.ok_or_else(|| {
            let lacking = (0..nodes.nodes as u32).find(|node| row(*node).is_none()).unwrap_or_default();
            let place = format!("{}, {}", self.place, self.column);
            let expected = format!("a row of every node, {} too", show(nodes.name(lacking).as_bytes()));
            Error::invalid(place, expected, "none").with_hint("features and labels have a row per node").into()
        })
    }

    fn positions(&self) -> Result<HashMap<String, u32>> {
        let mut positions = HashMap::with_capacity(self.names.len());
        for (name, row) in self.names.iter().zip(0..) {
            let place = || format!("{}, {}", self.place, self.column);
            if name.is_empty() {
                return Err(Error::invalid(place(), "the name of a node in every row", format!("none in row {row}"))
                    .with_hint("rows are counted from 0, without a header"));
            }
            if positions.insert(name.clone(), row).is_some() {
                let found = format!("{} twice", show(name.as_bytes()));
                return Err(Error::invalid(place(), "a name or number of its own for every node", found).with_hint(
                    "a row is a node; if the column is something else, give it another name in the header",
                ));
            }
        }
        Ok(positions)
    }
}

impl Numbering {
    /// So many nodes, which have no names.
    pub fn counted(nodes: usize) -> Self {
        Self { nodes, named: None }
    }

    /// Nodes that are called so, in this order.
    ///
    /// # Errors
    /// As [`Ids::order`].
    pub fn named(ids: &Ids) -> Result<Self> {
        let positions = ids.positions()?;
        let column = format!("{} of {}", ids.column, ids.place);
        Ok(Self { nodes: ids.names.len(), named: Some(Named { names: ids.names.clone(), positions, column }) })
    }

    /// How many there are.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// True where nodes have names instead of numbers.
    pub fn has_names(&self) -> bool {
        self.named.is_some()
    }

    /// What a node is called.
    pub fn name(&self, node: u32) -> String {
        self.named.as_ref().map_or_else(|| node.to_string(), |named| named.names[node as usize].clone())
    }

    /// The node that is called so.
    pub fn find(&self, text: &str) -> Option<u32> {
        match &self.named {
            Some(named) => named.positions.get(text).or_else(|| named.positions.get(&canonical(text))).copied(),
            None => canonical(text).parse().ok().filter(|node| (*node as usize) < self.nodes),
        }
    }

    /// The node that a cell means, the `what` of an edge.
    ///
    /// # Errors
    /// No node.
    pub fn node(&self, row: &Row<'_>, column: usize, what: &str) -> Result<u32> {
        if !self.has_names() {
            return row.node(column, what, self.nodes);
        }
        self.find(&row.text(column)).ok_or_else(|| self.unknown(row.place(), what, &row.text(column)))
    }

    /// The error of a text that means no node.
    pub fn unknown(&self, place: String, what: &str, text: &str) -> Error {
        let what = if what.is_empty() { String::new() } else { format!("{what} ") };
        let found = show(text.as_bytes());
        match &self.named {
            Some(named) => Error::invalid(place, format!("a {what}node that is named in the {}", named.column), found)
                .with_hint("edges and lists call the nodes as this column does; leave it out where they count rows"),
            None => {
                let expected = format!("a {what}node from 0 to {}", self.nodes.saturating_sub(1));
                Error::invalid(place, expected, found).with_hint(node_hint(canonical(text).parse().ok(), self.nodes))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Ids {
        let names = names.iter().map(|name| canonical(name)).collect();
        Ids { place: "a.csv".into(), column: "column id".into(), names }
    }

    #[test]
    fn a_column_counts_the_rows_orders_them_or_names_them() {
        assert_eq!(ids(&["0", "1.0", "2"]).order().unwrap(), Order::Counting);
        assert_eq!(ids(&["2", "0", "1"]).order().unwrap(), Order::Moved(vec![1, 2, 0]));
        for names in [["1", "2", "3"], ["b", "a", "c"], ["7", "0", "1"]] {
            assert_eq!(ids(&names).order().unwrap(), Order::Names);
        }
        let message = |names: &[&str]| ids(names).order().unwrap_err().to_string();
        assert_eq!(
            message(&["1", "1.0"]),
            "a.csv, column id: expected a name or number of its own for every node, found 1 twice"
        );
        assert!(message(&["a", ""]).ends_with("expected the name of a node in every row, found none in row 1"));
    }

    #[test]
    fn rows_of_another_table_are_found_by_name() {
        let nodes = Numbering::named(&ids(&["x", "7", "y"])).unwrap();
        assert_eq!((nodes.find("7.0"), nodes.find("0"), nodes.name(2)), (Some(1), None, "y".to_owned()));
        assert_eq!(ids(&["y", "x", "7"]).rows(&nodes).unwrap(), [1, 2, 0]);
        let message = |names: &[&str]| ids(names).rows(&nodes).unwrap_err().first().to_string();
        assert!(message(&["y", "x"]).ends_with("expected a row of every node, 7 too, found none"));
        assert!(message(&["y", "x", "z"]).ends_with("found z"));
        assert_eq!(Numbering::counted(3).find("2.0"), Some(2));
        assert_eq!(Numbering::counted(3).find("3"), None);
    }
}

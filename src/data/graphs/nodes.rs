//! Nodes and links as files number them, through all graphs, and the graphs that they are taken apart into.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::config::GraphDataConfig;
use super::labels::Labels;
use super::links::{StoredLinks, prepare};
use super::tables::{Checked, Table, has_no_digit, names_columns};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::tensor::adjacency::{Adjacency, Link};
use crate::tensor::links::Links;

/// Numbers of nodes, row by row: (nodes, columns).
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Matrix {
    pub columns: usize,
    pub values: Vec<f32>,
}

/// The nodes and links of one or several graphs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nodes {
    pub features: Matrix,
    /// The number of each node's graph; absent where there is one.
    pub graphs: Option<Vec<u64>>,
    /// Links as stored.
    pub links: Vec<Link>,
    /// Absent of new graphs.
    pub labels: Option<Labels>,
}

/// One graph.
#[derive(Debug)]
pub(super) struct Graph {
    /// File, and number in the file, for messages.
    pub name: String,
    /// The numbers that its nodes have in the files.
    pub nodes: Vec<u32>,
    /// (nodes, columns)
    pub features: Matrix,
    pub labels: Option<Labels>,
    pub links: Adjacency,
    /// What is peculiar about the links that it comes from.
    pub stored: StoredLinks,
    /// The links as operations take them, from the first batch on.
    shared: Mutex<Option<Links>>,
}

impl Matrix {
    /// Reads the features of nodes.
    ///
    /// # Errors
    /// No rows, rows of different length, values that are not finite.
    pub fn read(table: &Table) -> Checked<Self> {
        let (mut columns, mut values) = (0, Vec::new());
        table.read(names_columns, |row| {
            columns = if values.is_empty() { row.len() } else { columns };
            if row.len() != columns {
                let expected = format!("{columns} columns, as in the first row");
                return Err(Error::invalid(row.place(), expected, row.len().to_string()));
            }
            let row = (0..columns).map(|column| row.finite(column)).collect::<Result<Vec<f32>>>()?;
            values.extend(row);
            Ok(())
        })?;
        if values.is_empty() {
            return Err(vec![Error::invalid(table.path.display().to_string(), "a row per node", "none")]);
        }
        Ok(Self { columns, values })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }
}

/// Reads the graph number of each of so many nodes.
///
/// # Errors
/// Another number of rows, values that are no whole numbers.
pub(super) fn read_graph_numbers(table: &Table, nodes: usize) -> Checked<Vec<u64>> {
    let mut numbers = Vec::new();
    table.read(has_no_digit, |row| {
        if row.len() != 1 {
            return Err(Error::invalid(
                row.place(),
                "one column, the number of the node's graph",
                row.len().to_string(),
            ));
        }
        numbers.push(row.whole(0).ok_or_else(|| row.invalid(0, "the number of the node's graph"))?);
        Ok(())
    })?;
    table.require_rows(numbers.len(), nodes)?;
    Ok(numbers)
}

/// Links of the nodes of these graphs, and whether there were columns besides source and target.
///
/// # Errors
/// Rows of one column, nodes that are not there, links between graphs.
pub(super) fn read_links(table: &Table, nodes: usize, graphs: Option<&[u64]>) -> Checked<(Vec<Link>, bool)> {
    let (mut links, mut has_more) = (Vec::new(), false);
    table.read(has_no_digit, |row| {
        if row.len() < 2 {
            let expected = "two columns, source and target";
            let found = if row.len() == 1 { format!("one, {}", row.text(0)) } else { "none".to_owned() };
            return Err(Error::invalid(row.place(), expected, found)
                .with_hint("columns stand between commas, semicolons or tabs, the same in the whole file"));
        }
        has_more |= row.len() > 2;
        let link = [row.node(0, "source", nodes)?, row.node(1, "target", nodes)?];
        require_one_graph(link, graphs, || row.place())?;
        links.push(link);
        Ok(())
    })?;
    Ok((links, has_more))
}

/// Refuses a link that leads from one graph to another.
///
/// # Errors
/// Such a link.
pub(super) fn require_one_graph(link: Link, graphs: Option<&[u64]>, place: impl Fn() -> String) -> Result<()> {
    let Some(graphs) = graphs else { return Ok(()) };
    let [source, target] = link;
    let [from, to] = link.map(|node| graphs[node as usize]);
    if from == to {
        return Ok(());
    }
    let found = format!("node {source} of graph {from} and node {target} of graph {to}");
    Err(Error::invalid(place(), "a link between nodes of one graph", found)
        .with_hint("remove the link, or give both nodes the same graph number"))
}

impl Nodes {
    /// Takes the graphs apart, in the order of their numbers; `name` is what messages call one.
    ///
    /// # Errors
    /// More links than can be numbered.
    pub fn into_graphs(self, config: &GraphDataConfig, name: impl Fn(Option<u64>) -> String) -> Result<Vec<Graph>> {
        let Some(numbers) = self.graphs else {
            let nodes = (0..self.features.rows() as u32).collect();
            return Ok(vec![Graph::new(name(None), nodes, self.features, self.labels, self.links, config)?]);
        };
        let mut members: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        let mut local = vec![0; numbers.len()];
        for (node, number) in numbers.iter().enumerate() {
            let nodes = members.entry(*number).or_default();
            local[node] = nodes.len() as u32;
            nodes.push(node as u32);
        }
        let mut links: BTreeMap<u64, Vec<Link>> = BTreeMap::new();
        for link in self.links {
            let number = numbers[link[0] as usize];
            links.entry(number).or_default().push(link.map(|node| local[node as usize]));
        }
        let graph = |(number, nodes): (u64, Vec<u32>)| {
            let values = nodes.iter().flat_map(|node| self.features.row(*node as usize)).copied().collect();
            let features = Matrix { columns: self.features.columns, values };
            let labels = self.labels.as_ref().map(|labels| labels.of(&nodes, numbers.len()));
            Graph::new(name(Some(number)), nodes, features, labels, links.remove(&number).unwrap_or_default(), config)
        };
        members.into_iter().map(graph).collect()
    }
}

impl Labels {
    /// Those of some of so many nodes.
    pub fn of(&self, chosen: &[u32], nodes: usize) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(chosen.iter().map(|node| classes[*node as usize]).collect()),
            Self::Several(values) => {
                let columns = values.len() / nodes;
                let row = |node: &u32| &values[*node as usize * columns..(*node as usize + 1) * columns];
                Self::Several(chosen.iter().flat_map(row).copied().collect())
            }
        }
    }
}

impl Graph {
    /// Takes in its features, labels and links.
    pub fn fingerprint(&self, fingerprint: &mut Fingerprint) {
        fingerprint.numbers(&self.features.values);
        match &self.labels {
            Some(Labels::Classes(classes)) => fingerprint.numbers(classes),
            Some(Labels::Several(labels)) => fingerprint.numbers(labels),
            None => {}
        }
        fingerprint.numbers(self.links.incoming());
        fingerprint.numbers(self.links.sources());
    }

    fn new(
        name: String,
        nodes: Vec<u32>,
        features: Matrix,
        labels: Option<Labels>,
        stored: Vec<Link>,
        config: &GraphDataConfig,
    ) -> Result<Self> {
        let counts = StoredLinks::count(&stored);
        let links = prepare(stored, config);
        if i32::try_from(links.len().max(nodes.len())).is_err() {
            let found = format!("{} nodes and {} links", nodes.len(), links.len());
            return Err(Error::invalid(name, "a graph of less than 2^31 nodes and links", found));
        }
        let links = Adjacency::new(nodes.len(), &links);
        Ok(Self { name, links, nodes, features, labels, stored: counts, shared: Mutex::new(None) })
    }

    /// The links as operations take them, made once and kept.
    pub fn shared_links(&self) -> Links {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.get_or_insert_with(|| Links::new(&self.links).named()).share()
    }

    /// Nodes.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(folder: &tempfile::TempDir, text: &str) -> Table {
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        Table::open(&path).unwrap()
    }

    fn first<T: std::fmt::Debug>(checked: Checked<T>) -> String {
        let message = checked.unwrap_err()[0].to_string();
        message.split_once("t.csv").unwrap().1.to_owned()
    }

    #[test]
    fn nodes_are_taken_apart_by_graph_whatever_their_order() {
        let nodes = Nodes {
            features: Matrix { columns: 2, values: (0..10).map(|value| value as f32).collect() },
            graphs: Some(vec![7, 3, 7, 3, 5]),
            links: vec![[0, 2], [3, 1], [2, 2]],
            labels: Some(Labels::Classes(vec![0, 1, 2, 3, 4])),
        };
        let graphs =
            nodes.into_graphs(&GraphDataConfig::default(), |number| format!("graph {}", number.unwrap())).unwrap();
        let names: Vec<&str> = graphs.iter().map(|graph| graph.name.as_str()).collect();
        assert_eq!(names, ["graph 3", "graph 5", "graph 7"]);
        assert_eq!(
            (graphs[0].nodes.as_slice(), graphs[0].features.values.as_slice()),
            (&[1, 3][..], &[2.0, 3.0, 6.0, 7.0][..])
        );
        assert_eq!(graphs[2].labels, Some(Labels::Classes(vec![0, 2])));
        assert_eq!(graphs[0].links, Adjacency::new(2, &[[0, 1], [1, 0]]));
        assert_eq!((graphs[1].links.links(), graphs[2].stored.self_loops), (0, 1));
        let several = Labels::Several((0..6).map(|value| value as f32).collect());
        assert_eq!(several.of(&[2, 0], 3), Labels::Several(vec![4.0, 5.0, 0.0, 1.0]));
    }

    #[test]
    fn links_must_have_two_nodes_of_one_graph() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str, graphs: Option<&[u64]>| read_links(&table(&folder, text), 3, graphs);
        assert_eq!(read("source,target\n0,1\n2,2\n", None).unwrap(), (vec![[0, 1], [2, 2]], false));
        assert_eq!(read("0\t1\t0.5\n", None).unwrap(), (vec![[0, 1]], true));
        assert_eq!(read("", None).unwrap(), (vec![], false));
        assert_eq!(first(read("0,1\n2\n", None)), ", line 2: expected two columns, source and target, found one, 2");
        assert_eq!(first(read("0 1\n", None)), ", line 1: expected two columns, source and target, found one, 0 1");
        assert_eq!(first(read("0,3\n", None)), ", line 1: expected a target node from 0 to 2, found 3");
        let between =
            ", line 2: expected a link between nodes of one graph, found node 1 of graph 4 and node 2 of graph 9";
        assert_eq!(first(read("0,1\n1,2\n", Some(&[4, 4, 9]))), between);
    }

    #[test]
    fn features_are_finite_rows_of_one_length() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| Matrix::read(&table(&folder, text));
        assert_eq!(read("a,b\n1,2\n3,4\n").unwrap(), Matrix { columns: 2, values: vec![1.0, 2.0, 3.0, 4.0] });
        assert_eq!(first(read("1,2\n3\n")), ", line 2: expected 2 columns, as in the first row, found 1");
        assert_eq!(first(read("a,b\n")), ": expected a row per node, found none");
        assert!(first(read("1,inf\n")).contains("line 1: expected finite numbers"));
        assert!(first(read_graph_numbers(&table(&folder, "0\n1\n"), 3)).contains("expected 3 rows, one per node"));
        assert!(first(read_graph_numbers(&table(&folder, "0\n-1\n"), 2)).contains("line 2: expected the number of"));
    }
}

//! Nodes and links as files number them, through all graphs, and the graphs that they are taken apart into.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::config::{FeatureScale, GraphDataConfig};
use super::labels::Labels;
use super::links::{StoredLinks, prepare};
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
    /// Their names, where files call them by names and predictions are to do so.
    pub called: Option<Vec<String>>,
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
    /// Rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// The same numbers on this scale.
    fn scaled(mut self, scale: FeatureScale) -> Self {
        if scale == FeatureScale::UnitSum {
            for row in self.values.chunks_exact_mut(self.columns.max(1)) {
                let sum: f64 = row.iter().map(|value| f64::from(value.abs())).sum();
                if sum > 0.0 {
                    row.iter_mut().for_each(|value| *value = (f64::from(*value) / sum) as f32);
                }
            }
        }
        self
    }

    /// These rows in this order.
    pub fn of(&self, rows: &[u32]) -> Self {
        let values = rows.iter().flat_map(|row| self.row(*row as usize)).copied().collect();
        Self { columns: self.columns, values }
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }
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
            let features = self.features.of(&nodes);
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
        let features = features.scaled(config.features);
        Ok(Self { name, links, nodes, called: None, features, labels, stored: counts, shared: Mutex::new(None) })
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
    fn features_may_be_brought_to_a_sum_of_one() {
        let features = Matrix { columns: 3, values: vec![1.0, 0.0, 3.0, 0.0, 0.0, 0.0, -1.0, 1.0, 2.0] };
        assert_eq!(features.clone().scaled(FeatureScale::Stored), features);
        let scaled = features.scaled(FeatureScale::UnitSum);
        assert_eq!(scaled.values, [0.25, 0.0, 0.75, 0.0, 0.0, 0.0, -0.25, 0.25, 0.5]);
    }
}

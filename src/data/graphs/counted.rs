//! Graphs as OGB counts them: so many nodes and so many edges each, and edges that number the nodes of every graph from 0.

use std::path::Path;

use super::edges::{Edges, read_edges};
use super::layout::{self, Kind};
use super::numbering::Numbering;
use super::tables::{Blanks, Checked, Table};
use crate::error::Error;

/// Several graphs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counted {
    nodes: Vec<u64>,
    edges: Vec<u64>,
}

impl Counted {
    /// The counts of a folder with so many nodes; none of a single graph.
    ///
    /// # Errors
    /// Counts of more or fewer nodes, or of which one file has more than the other.
    pub fn read(folder: &Path, nodes: usize) -> Checked<Option<Self>> {
        let Some(path) = layout::find(folder, Kind::NodeCounts)? else { return Ok(None) };
        let of_nodes = counts(&path)?;
        let total = of_nodes.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        if total != nodes as u64 {
            let expected = format!("{nodes} nodes of all graphs, as there are rows of features");
            return Err(Error::invalid(path, expected, total.to_string()).into());
        }
        if of_nodes.len() < 2 {
            return Ok(None);
        }
        let path = layout::require(folder, Kind::EdgeCounts)?;
        let edges = counts(&path)?;
        if edges.len() != of_nodes.len() {
            let expected = format!("{} graphs, as the counts of nodes have", of_nodes.len());
            return Err(Error::invalid(path, expected, edges.len().to_string()).into());
        }
        Ok(Some(Self { nodes: of_nodes, edges }))
    }

    /// The number of each node's graph.
    pub fn graph_numbers(&self) -> Vec<u64> {
        let of = |(graph, count): (u64, &u64)| std::iter::repeat_n(graph, *count as usize);
        (0..).zip(&self.nodes).flat_map(of).collect()
    }

    /// The links of all graphs, with their nodes numbered through.
    ///
    /// # Errors
    /// Another number of edges, nodes that a graph does not have.
    pub fn edges(&self, table: &Table) -> Checked<Edges> {
        let most = self.nodes.iter().max().copied().unwrap_or_default();
        let mut edges = read_edges(table, &Numbering::counted(most as usize), None, false)?;
        let total = self.edges.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        if total != edges.links.len() as u64 {
            let expected = format!("{total} edges, as the counts of edges say");
            return Err(Error::invalid(&table.path, expected, edges.links.len().to_string()).into());
        }
        let (mut links, mut before) = (edges.links.iter_mut(), 0_u64);
        for (graph, (nodes, count)) in self.nodes.iter().zip(&self.edges).enumerate() {
            for link in links.by_ref().take(*count as usize) {
                if let Some(node) = link.iter().find(|node| u64::from(**node) >= *nodes) {
                    let expected = format!("nodes 0 to {} of graph {graph}", nodes.saturating_sub(1));
                    return Err(Error::invalid(&table.path, expected, node.to_string()).into());
                }
                *link = link.map(|node| (u64::from(node) + before) as u32);
            }
            before += nodes;
        }
        Ok(edges)
    }
}

fn counts(path: &Path) -> Checked<Vec<u64>> {
    let mut counts = Vec::new();
    Table::open(path, Blanks::Columns)?.read(|row| {
        counts.push(row.whole(0).ok_or_else(|| row.invalid(0, "a count of one graph"))?);
        Ok(())
    })?;
    Ok(counts)
}

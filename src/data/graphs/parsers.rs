//! The readers of graphs by what they read, from bytes; see [`crate::data::parsers`].

use std::path::Path;

use super::config::GraphDataConfig;
use super::edges::read_edges;
use super::features::{Doubtful, Features};
use super::folder::read_graph_numbers;
use super::labels::Labelled;
use super::lists::Lists;
use super::nodes::{Matrix, Nodes};
use super::numbering::Numbering;
use super::planetoid;
use super::ppi::parse_links;
use super::tables::{Blanks, Table};
use crate::error::Result;
use crate::tensor::adjacency::Link;

/// Reads the features of nodes from a table with this extension, `csv` or `npy`.
///
/// # Errors
/// What is no such table.
pub fn features(extension: &str, content: Vec<u8>) -> Result<()> {
    Features::read(&table("features", extension, content), Doubtful::Row)?;
    Ok(())
}

/// Reads the labels of so many nodes from such a table.
///
/// # Errors
/// What is no such table.
pub fn labels(extension: &str, content: Vec<u8>, nodes: usize) -> Result<()> {
    Labelled::read(&table("labels", extension, content), nodes, None)?;
    Ok(())
}

/// Reads the graph of each of so many nodes from such a table.
///
/// # Errors
/// What is no such table.
pub fn graph_numbers(extension: &str, content: Vec<u8>, nodes: usize) -> Result<()> {
    read_graph_numbers(&table("graphs", extension, content), nodes)?;
    Ok(())
}

/// Reads the links between so many nodes of two graphs from such a table, and makes the graphs.
///
/// # Errors
/// What is no such table.
pub fn links(extension: &str, content: Vec<u8>, nodes: usize) -> Result<()> {
    let graphs: Vec<u64> = (0..nodes).map(|node| (node % 2) as u64).collect();
    let table = table("edges", extension, content);
    let edges = read_edges(&table, &Numbering::counted(nodes), Some(&graphs), false)?;
    make_graphs(edges.links, graphs)
}

/// Reads the node-link JSON of PPI for so many nodes of two graphs, and makes the graphs.
///
/// # Errors
/// What is no such file.
pub fn ppi(content: Vec<u8>, nodes: usize) -> Result<()> {
    let graphs: Vec<u64> = (0..nodes).map(|node| (node % 2) as u64).collect();
    make_graphs(parse_links(content, "train_graph.json", nodes, Some(&graphs))?, graphs)
}

/// Reads a list of some of so many nodes.
///
/// # Errors
/// What is no such list.
pub fn node_list(content: &[u8], nodes: usize) -> Result<()> {
    Lists::parse(content, Path::new("train.txt"), nodes).map(|_| ())
}

/// Reads Planetoid's seven files, each behind its length in two bytes.
///
/// # Errors
/// What are no such files.
pub fn planetoid(content: &[u8]) -> Result<()> {
    let mut rest = content;
    let parts = std::array::from_fn(|_| {
        let (length, behind) = rest.split_first_chunk().unwrap_or((&[0; 2], &[]));
        let part;
        (part, rest) = behind.split_at(behind.len().min(usize::from(u16::from_le_bytes(*length))));
        part
    });
    planetoid::parse(parts, &|part| format!("part {part}")).map(|_| ())
}

fn table(name: &str, extension: &str, content: Vec<u8>) -> Table {
    Table::of(&Path::new(name).with_extension(extension), content, Blanks::Columns)
}

fn make_graphs(links: Vec<Link>, graphs: Vec<u64>) -> Result<()> {
    let features = Matrix { columns: 1, values: vec![0.0; graphs.len()] };
    let nodes = Nodes { features, graphs: Some(graphs), links, labels: None };
    nodes.into_graphs(&GraphDataConfig::default(), |_| "graph".to_owned()).map(|_| ())
}

//! PPI as it is published: `{train,valid,test}_{graph.json,feats.npy,labels.npy,graph_id.npy}`.
//!
//! The JSON is networkx's node-link form, of which ids of nodes and ends of links are read; a node's id is its row in
//! the arrays. Every part has graphs of its own, and their nodes are numbered through.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::config::GraphDataConfig;
use super::features::{Doubtful, Features};
use super::folder::read_graph_numbers;
use super::labels::{Labelled, Labels};
use super::nodes::{Graph, Nodes, require_one_graph};
use super::set::{GraphSet, count, graph_name, with_training_share};
use super::tables::{Blanks, Checked, Problems, Table, missing, node_hint};
use crate::data::folders::file_name;
use crate::data::split::{Shares, Split};
use crate::error::{Error, Result};
use crate::reading;
use crate::tensor::adjacency::Link;

/// The parts as the files call them.
const PARTS: [(&str, Split); 3] = [("train", Split::Train), ("valid", Split::Validation), ("test", Split::Test)];

/// Problems of one file that are told.
const MOST: usize = 100;

/// A graph in networkx's node-link form; everything else is passed over.
#[derive(Debug, Deserialize)]
struct NodeLink {
    nodes: Vec<Node>,
    #[serde(alias = "edges")]
    links: Vec<Ends>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: u64,
}

#[derive(Debug, Deserialize)]
struct Ends {
    source: u64,
    target: u64,
}

/// A part as read.
struct Part {
    graphs: Vec<Graph>,
    names: Vec<String>,
    columns: usize,
    multi_label: bool,
}

/// Reads the set; its own validation part is that of runs, whatever `data.validation` says.
///
/// # Errors
/// Files that are not there or won't do, and parts that don't belong together: all problems.
pub(super) fn open(folder: &Path, config: &GraphDataConfig, shares: Shares) -> Checked<GraphSet> {
    let (mut parts, mut problems) = (Vec::new(), Problems::default());
    for (part, split) in PARTS {
        parts.extend(problems.keep(read(folder, part, true, config)).map(|part| (split, part)));
    }
    let ([(_, train), others @ ..], true) = (&parts[..], problems.0.is_empty()) else { return Err(problems) };
    for (split, part) in others {
        require_same(folder, *split, "feats", train.columns, part.columns)?;
        require_same(folder, *split, "labels", train.names.len(), part.names.len())?;
    }
    let (names, multi_label) = (train.names.clone(), train.multi_label);
    let marks = parts.iter().flat_map(|(split, part)| part.graphs.iter().map(|graph| vec![Some(*split); graph.size()]));
    let marks = marks.collect();
    let graphs: Vec<Graph> = parts.into_iter().flat_map(|(_, part)| part.graphs).collect();
    Ok(GraphSet {
        origin: format!("{} ({})", folder.display(), count(graphs.len())),
        marks: with_training_share(&graphs, marks, shares),
        graphs,
        names,
        multi_label,
        layout: "PPI",
        division: "names of the files".to_owned(),
        files: [("json".to_owned(), PARTS.len()), ("npy".to_owned(), 3 * PARTS.len())].into(),
        told: Vec::new(),
    })
}

fn require_same(folder: &Path, split: Split, file: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let part = PARTS.into_iter().find(|(_, of)| *of == split).map_or("", |(part, _)| part);
    let place = folder.join(format!("{part}_{file}.npy"));
    let what = if file == "feats" { "columns" } else { "labels" };
    Err(Error::invalid(place, format!("{expected} {what}, as in train_{file}.npy"), found.to_string()))
}

/// Reads a part; `labelled` where its labels matter.
fn read(folder: &Path, part: &str, labelled: bool, config: &GraphDataConfig) -> Checked<Part> {
    let path = |file: &str| folder.join(format!("{part}_{file}"));
    let table = |file: &str| there(folder, path(file)).and_then(|path| Table::open(&path, Blanks::Columns));
    let mut problems = Problems::default();
    let tables = ["feats.npy", "graph_id.npy"].map(|file| problems.keep(table(file)));
    let labels = if labelled { problems.keep(table("labels.npy")) } else { None };
    let json = problems.keep(there(folder, path("graph.json")));
    let [features, graphs] = tables;
    let features = features.and_then(|table| problems.keep(Features::read(&table, Doubtful::Row)));
    let Some(Features { matrix: features, .. }) = features else { return Err(problems) };
    let nodes = features.rows();
    let graphs = graphs.and_then(|table| problems.keep(read_graph_numbers(&table, nodes))).map(|(numbers, _)| numbers);
    let labels = labels.and_then(|table| problems.keep(Labelled::read(&table, nodes, None)));
    let links = json.and_then(|path| problems.keep(read_links(&path, nodes, graphs.as_deref())));
    let Some(links) = links.filter(|_| problems.0.is_empty()) else { return Err(problems) };
    let columns = features.columns;
    let (names, labels) = labels.map_or((Vec::new(), None), |Labelled { names, labels, .. }| (names, Some(labels)));
    let multi_label = matches!(labels, Some(Labels::Several(_)));
    let place = path("graph.json").display().to_string();
    let nodes = Nodes { features, graphs, links, labels };
    let graphs = nodes.into_graphs(config, |number| graph_name(&place, number))?;
    Ok(Part { graphs, names, columns, multi_label })
}

/// All graphs of the parts that are there, without labels.
///
/// # Errors
/// Files that are not there or won't do: all problems.
pub(super) fn read_inputs(folder: &Path, config: &GraphDataConfig) -> Checked<Vec<Graph>> {
    let is_there = |part: &&str| reading::is_there(&folder.join(format!("{part}_graph.json")));
    let parts = PARTS.iter().map(|(part, _)| *part).filter(is_there);
    let mut graphs = Vec::new();
    for part in parts {
        graphs.extend(read(folder, part, false, config)?.graphs);
    }
    Ok(graphs)
}

/// The path, where there is a file.
fn there(folder: &Path, path: PathBuf) -> Result<PathBuf> {
    if reading::is_there(&path) { Ok(path) } else { Err(missing(folder, &file_name(&path))) }
}

/// The links of so many nodes.
fn read_links(path: &Path, nodes: usize, graphs: Option<&[u64]>) -> Checked<Vec<Link>> {
    parse_links(reading::bytes(path)?, &path.display().to_string(), nodes, graphs)
}

/// The same of a file with this content, which messages call `place`.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn parse_links(bytes: Vec<u8>, place: &str, nodes: usize, graphs: Option<&[u64]>) -> Checked<Vec<Link>> {
    let read = serde_json::from_slice::<NodeLink>(&bytes).map_err(|error| {
        let expected = "networkx's node-link JSON: nodes with an id, links with source and target";
        Error::invalid(place, expected, error.to_string())
    })?;
    drop(bytes);
    require_rows(&read.nodes, nodes, place)?;
    let (mut links, mut problems) = (Vec::with_capacity(read.links.len()), Problems::default());
    for (position, ends) in read.links.into_iter().enumerate() {
        match link(&ends, nodes, graphs, place, position) {
            Ok(link) => links.push(link),
            Err(error) if problems.0.len() < MOST => problems.0.push(error),
            Err(_) => break,
        }
    }
    problems.or(links)
}

fn link(ends: &Ends, nodes: usize, graphs: Option<&[u64]>, place: &str, position: usize) -> Result<Link> {
    let place = || format!("{place}, link {position}");
    let node = |what: &str, id: u64| {
        u32::try_from(id).ok().filter(|id| (*id as usize) < nodes).ok_or_else(|| {
            let expected = format!("a {what} node from 0 to {}", nodes.saturating_sub(1));
            Error::invalid(place(), expected, id.to_string()).with_hint(node_hint(Some(id), nodes))
        })
    };
    let link = [node("source", ends.source)?, node("target", ends.target)?];
    require_one_graph(link, graphs, place)?;
    Ok(link)
}

/// The ids must be the rows of the arrays.
fn require_rows(read: &[Node], nodes: usize, place: &str) -> Result<()> {
    let mut seen = vec![false; nodes];
    for (position, node) in read.iter().enumerate() {
        match seen.get_mut(usize::try_from(node.id).unwrap_or(usize::MAX)) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                let expected = format!("an id from 0 to {} that comes once", nodes.saturating_sub(1));
                return Err(Error::invalid(format!("{place}, node {position}"), expected, node.id.to_string())
                    .with_hint("a node's id is its row in the arrays"));
            }
        }
    }
    if read.len() != nodes {
        let expected = format!("{nodes} nodes, as the arrays have rows");
        return Err(Error::invalid(place, expected, read.len().to_string()));
    }
    Ok(())
}

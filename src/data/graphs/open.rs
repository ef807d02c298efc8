//! Sets of graphs opened from whichever layout.

use std::collections::BTreeMap;
use std::path::Path;

use super::division::{Division, divide};
use super::labels::{Labelled, Labels};
use super::layout::{EXTENSIONS, LAYOUTS, Layout};
use super::lists::Lists;
use super::nodes::{Matrix, Nodes, read_graph_numbers, read_links};
use super::set::{GraphSet, count as in_words, graph_name};
use super::tables::{Checked, Problems, Table, WHERE_TO_READ};
use super::{ppi, synthetic};
use crate::data::config::DataConfig;
use crate::data::source::Source;
use crate::error::Error;
use crate::tensor::adjacency::Link;

/// What the tables of a folder hold but for labels; what won't do is left out.
#[derive(Debug)]
pub(super) struct Tables {
    features: Matrix,
    graphs: Option<Vec<u64>>,
    links: Vec<Link>,
    /// Links have columns besides source and target, which nobody reads.
    has_more: bool,
}

/// Opens the set; nodes of the built-in one have several labels where `several` says so.
///
/// # Errors
/// Everything that a run would refuse, the first problem first.
pub(super) fn open(source: &Source, config: &DataConfig, several: bool) -> Checked<GraphSet> {
    let folder = match source {
        Source::Synthetic => return synthetic::open(config, several).map_err(|error| vec![error]),
        Source::Folder(folder) => folder,
    };
    let opened = match Layout::detect(folder) {
        Some(Layout::Ppi) => ppi::open(folder, config),
        Some(Layout::Tables) => open_tables(folder, config),
        None => Err(vec![Error::invalid(folder.display().to_string(), LAYOUTS, "none of these")]),
    };
    opened.map_err(|problems| problems.into_iter().map(with_some_hint).collect())
}

fn open_tables(folder: &Path, config: &DataConfig) -> Checked<GraphSet> {
    let mut problems = Problems::default();
    let Some(tables) = read_tables(folder, &mut problems) else { return Err(problems.0) };
    let count = tables.features.rows();
    let labels = problems.keep_one(Table::require(folder, "labels"));
    let labelled = labels.and_then(|table| problems.keep(Labelled::read(&table, count)));
    let lists = problems.keep(Lists::read(folder, config, count));
    let (Some(Labelled { names, labels }), Some(lists)) = (labelled, lists) else { return Err(problems.0) };
    let multi_label = matches!(labels, Labels::Several(_));
    let nodes = tables.into_nodes(folder, problems, Some(labels))?;
    let place = folder.display().to_string();
    let graphs = nodes.into_graphs(&config.graphs, |number| graph_name(&place, number)).map_err(|error| vec![error])?;
    let Division { marks, description } = divide(&graphs, &lists, config, &place).map_err(|error| vec![error])?;
    Ok(GraphSet {
        origin: format!("{place} ({})", in_words(graphs.len())),
        graphs,
        marks,
        names,
        multi_label,
        layout: "edges, features, labels",
        division: description,
        files: files(folder, &lists),
    })
}

/// The error with the general hint where it has none of its own.
fn with_some_hint(error: Error) -> Error {
    if error.hint().is_some() { error } else { error.with_hint(WHERE_TO_READ) }
}

fn files(folder: &Path, lists: &Lists) -> BTreeMap<String, usize> {
    let mut files = BTreeMap::new();
    for table in ["edges", "features", "labels", "graphs"] {
        for extension in EXTENSIONS.iter().filter(|extension| folder.join(format!("{table}.{extension}")).is_file()) {
            *files.entry((*extension).to_owned()).or_default() += 1;
        }
    }
    if !lists.present.is_empty() {
        files.insert("txt".to_owned(), lists.present.len());
    }
    files
}

/// Reads features, graph numbers and links of a folder; none without features, as these number the nodes.
pub(super) fn read_tables(folder: &Path, problems: &mut Problems) -> Option<Tables> {
    let features = problems.keep_one(Table::require(folder, "features"));
    let edges = problems.keep_one(Table::require(folder, "edges"));
    let features = features.and_then(|table| problems.keep(Matrix::read(&table)))?;
    let nodes = features.rows();
    let graphs = problems.keep_one(Table::find(folder, "graphs")).flatten();
    let graphs = graphs.and_then(|table| problems.keep(read_graph_numbers(&table, nodes)));
    let links = edges.and_then(|table| problems.keep(read_links(&table, nodes, graphs.as_deref())));
    let (links, has_more) = links.unwrap_or_default();
    Some(Tables { features, graphs, links, has_more })
}

impl Tables {
    /// The nodes, if nothing was wrong with any table.
    ///
    /// # Errors
    /// Everything that was.
    pub fn into_nodes(self, folder: &Path, problems: Problems, labels: Option<Labels>) -> Checked<Nodes> {
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        if self.has_more {
            let place = folder.display();
            tracing::warn!("{place}: edges have more columns than source and target; those are not read");
        }
        Ok(Nodes { features: self.features, graphs: self.graphs, links: self.links, labels })
    }
}

//! A set of graphs as opened from whichever layout: its graphs, what their nodes are labelled with, and the split of
//! every node.

use std::collections::BTreeMap;
use std::path::Path;

use super::division::{Marks, divide, shorten};
use super::folder::{self, Folder, Wanted};
use super::labels::Labels;
use super::layout::{LAYOUTS, Layout};
use super::nodes::Graph;
use super::tables::{Checked, WHERE_TO_READ};
use super::{ppi, synthetic};
use crate::data::config::DataConfig;
use crate::data::source::{SetName, Source};
use crate::error::Error;

/// A set that was found and read.
#[derive(Debug)]
pub(super) struct GraphSet {
    pub graphs: Vec<Graph>,
    /// The split of every node, graph by graph.
    pub marks: Marks,
    /// Of the classes, or of the labels.
    pub names: Vec<String>,
    /// Nodes have several labels, each of which holds or not.
    pub multi_label: bool,
    /// Where it comes from, in words.
    pub origin: String,
    /// How it is stored, in words.
    pub layout: &'static str,
    /// What says which nodes are for testing, in words.
    pub division: String,
    /// Files by extension.
    pub files: BTreeMap<String, usize>,
    /// What was taken for what, in words.
    pub told: Vec<String>,
}

impl GraphSet {
    /// Opens the set.
    ///
    /// # Errors
    /// Everything that a run would refuse, the first problem first.
    pub fn open(source: &Source, config: &DataConfig, set: SetName) -> Checked<Self> {
        let folder = match source {
            Source::Synthetic => return synthetic::open(config, set).map_err(|error| vec![error]),
            Source::Folder(folder) => folder,
        };
        let opened = match Layout::detect(folder) {
            Some(Layout::Ppi) => ppi::open(folder, config),
            Some(layout @ (Layout::Tables | Layout::Ogb | Layout::Content)) => open_tables(folder, layout, config),
            Some(Layout::Pickled) => Err(vec![pickled(folder)]),
            None => Err(vec![Error::invalid(folder.display().to_string(), LAYOUTS, "none of these")]),
        };
        opened.map_err(|problems| problems.into_iter().map(with_some_hint).collect())
    }

    /// Numbers per node.
    pub fn channels(&self) -> usize {
        self.graphs.first().map_or(0, |graph| graph.features.columns)
    }
}

fn open_tables(folder: &Path, layout: Layout, config: &DataConfig) -> Checked<GraphSet> {
    let lists = [&*config.train_list, &*config.test_list];
    let read = folder::read(folder, layout, Wanted { labelled: true, lists, config: &config.graphs })?;
    let Folder { nodes, names, lacking, lists, told, files, .. } = read;
    let multi_label = matches!(nodes.labels, Some(Labels::Several(_)));
    let place = folder.display().to_string();
    let graphs = nodes.into_graphs(&config.graphs, |number| graph_name(&place, number)).map_err(|error| vec![error])?;
    let divided = divide(&graphs, &lists, &lacking, config, &place).map_err(|error| vec![error])?;
    Ok(GraphSet {
        origin: format!("{place} ({})", self::count(graphs.len())),
        graphs,
        marks: divided.marks,
        names,
        multi_label,
        layout: layout.words(),
        division: divided.description,
        files,
        told,
    })
}

/// The error of files that are not read.
pub(super) fn pickled(folder: &Path) -> Error {
    let expected = "edges, features and labels as tables";
    Error::invalid(
        folder.display().to_string(),
        expected,
        "Planetoid's files as Python pickled them, ind.NAME.x and others",
    )
    .with_hint(
        "write them as edges.csv, features.npy, labels.csv, train.txt, valid.txt and test.txt: PyTorch Geometric's \
             Planetoid reads them (edge_index, x, y, train_mask, val_mask, test_mask)",
    )
}

/// The error with the general hint where it has none of its own.
fn with_some_hint(error: Error) -> Error {
    if error.hint().is_some() { error } else { error.with_hint(WHERE_TO_READ) }
}

/// What messages call a graph of a folder.
pub(super) fn graph_name(place: &str, number: Option<u64>) -> String {
    number.map_or_else(|| place.to_owned(), |number| format!("{place}, graph {number}"))
}

/// So many graphs in words.
pub(super) fn count(graphs: usize) -> String {
    if graphs == 1 { "one graph".to_owned() } else { format!("{graphs} graphs") }
}

/// The first of many errors, with a word about the others.
pub(super) fn first(problems: Vec<Error>) -> Error {
    let others = problems.len().saturating_sub(1);
    let Some(first) = problems.into_iter().next() else { return Error::run("a set of graphs can't be read") };
    if others == 0 {
        return first;
    }
    let own = first.hint().map_or(String::new(), |own| format!("{own}; "));
    first.with_hint(format!("{own}{others} more problems: `sgas data info DIR` lists them"))
}

/// Makes a set's marks those of a run that uses a share of the training nodes.
pub(super) fn with_training_share(graphs: &[Graph], mut marks: Marks, config: &DataConfig) -> Marks {
    shorten(graphs, &mut marks, config);
    marks
}

//! Sets of graphs opened from whichever layout.

use std::path::Path;

use super::config::GraphDataConfig;
use super::division::divide;
use super::folder::{self, Folder, Wanted};
use super::labels::Labels;
use super::layout::{LAYOUTS, Layout};
use super::set::{GraphSet, count as in_words, graph_name};
use super::tables::{Checked, Problems, WHERE_TO_READ};
use super::{ppi, synthetic};
use crate::data::config::Section;
use crate::data::source::Source;
use crate::error::Error;

/// Opens the set; nodes of the built-in one have several labels where `several` says so.
///
/// # Errors
/// Everything that a run would refuse, the first problem first.
pub(super) fn open(source: &Source, section: Section<'_, &GraphDataConfig>, several: bool) -> Checked<GraphSet> {
    let folder = match source {
        Source::Synthetic => return Ok(synthetic::open(section, several)?),
        Source::Folder(folder) => folder,
    };
    let opened = match Layout::detect(folder) {
        Some(Layout::Ppi) => ppi::open(folder, section.own, section.lists.shares),
        Some(layout) => open_tables(folder, layout, section),
        None => Err(Error::invalid(folder, LAYOUTS, "none of these").into()),
    };
    opened.map_err(|problems| Problems(problems.0.into_iter().map(with_some_hint).collect()))
}

fn open_tables(folder: &Path, layout: Layout, section: Section<'_, &GraphDataConfig>) -> Checked<GraphSet> {
    let Section { own: config, lists: given, .. } = section;
    let read = folder::read(folder, layout, Wanted { labelled: true, lists: [given.train, given.test], config })?;
    let Folder { nodes, names, lacking, lists, told, files, .. } = read;
    let multi_label = matches!(nodes.labels, Some(Labels::Several(_)));
    let place = folder.display().to_string();
    let graphs = nodes.into_graphs(config, |number| graph_name(&place, number))?;
    let divided = divide(&graphs, &lists, &lacking, given.shares, &place)?;
    Ok(GraphSet {
        origin: format!("{place} ({})", in_words(graphs.len())),
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

/// The error with the general hint where it has none of its own.
fn with_some_hint(error: Error) -> Error {
    if error.hint().is_some() { error } else { error.with_hint(WHERE_TO_READ) }
}

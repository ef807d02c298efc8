//! Graphs without labels, as the user names them, for prediction: every node gets a row.
//!
//! A folder of edges and features, or one in the layout of PPI; labels and lists of nodes that lie there too are
//! passed over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Graphs;
use super::config::GraphDataConfig;
use super::folder::{self, Wanted};
use super::layout::{LAYOUTS, Layout};
use super::nodes::Graph;
use super::ppi;
use super::set::graph_name;
use super::tables::Checked;
use crate::data::config::Section;
use crate::data::folders::folders;
use crate::data::inputs::{InputFile, InputNeeds, Read};
use crate::error::{Error, Result};

/// The folders of graphs that `named` means: a folder itself, or the folders of graphs in it.
///
/// # Errors
/// A path that is not there, is no folder, or holds no graphs.
pub(super) fn find_inputs(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in named {
        let expected = format!("a folder of graphs: {LAYOUTS}");
        match std::fs::metadata(path) {
            Err(error) => return Err(Error::read(path, error)),
            Ok(data) if !data.is_dir() => return Err(Error::invalid(path, expected, "a file")),
            Ok(_) if Layout::detect(path).is_some() => found.push(path.clone()),
            Ok(_) => {
                let before = found.len();
                found.extend(folders(path)?.into_iter().filter(|folder| Layout::detect(folder).is_some()));
                if found.len() == before {
                    return Err(Error::invalid(path, expected, "none, nor in the folders in it")
                        .with_hint("the network was trained on graphs; labels and lists may be left out"));
                }
            }
        }
    }
    Ok(found)
}

/// Reads the graphs. What is called a file is a node here, in the order of the graphs.
pub(super) fn read_inputs(
    named: &[PathBuf],
    section: Section<'_, &GraphDataConfig>,
    needs: InputNeeds,
) -> Result<Read> {
    let (mut files, mut graphs): (Vec<InputFile>, Vec<Graph>) = (Vec::new(), Vec::new());
    for folder in named {
        match read_one(folder, section, graphs.first().map(|graph| graph.features.columns)) {
            Ok(mut read) => {
                files.extend(read.iter().flat_map(nodes));
                graphs.append(&mut read);
            }
            Err(error) if needs.skip_bad => {
                tracing::warn!("skipped: {error}");
                files.push(InputFile { name: folder.display().to_string(), error: Some(error.to_string()) });
            }
            Err(error) => return Err(error),
        }
    }
    let channels = graphs.first().map_or(0, |graph| graph.features.columns as i64);
    let samples = Arc::new(Graphs::whole(graphs));
    Ok(Read { files, samples, channels, points: None })
}

fn read_one(folder: &Path, section: Section<'_, &GraphDataConfig>, columns: Option<usize>) -> Result<Vec<Graph>> {
    let graphs = match Layout::detect(folder) {
        Some(Layout::Ppi) => ppi::read_inputs(folder, section.own),
        layout => read_folder(folder, layout.unwrap_or(Layout::Tables), section),
    };
    let graphs = graphs?;
    let found = graphs.first().map(|graph| graph.features.columns);
    match (columns, found) {
        (Some(expected), Some(found)) if expected != found => {
            let place = format!("{}: features", folder.display());
            Err(Error::invalid(place, format!("{expected} columns, as the folder before"), found.to_string()))
        }
        _ => Ok(graphs),
    }
}

fn read_folder(folder: &Path, layout: Layout, section: Section<'_, &GraphDataConfig>) -> Checked<Vec<Graph>> {
    let Section { own: config, lists, .. } = section;
    let wanted = Wanted { labelled: false, lists: [lists.train, lists.test], config };
    let read = folder::read(folder, layout, wanted)?;
    read.told.iter().for_each(|told| tracing::info!("{told}"));
    let place = folder.display().to_string();
    let mut graphs = read.nodes.into_graphs(config, |number| graph_name(&place, number))?;
    if read.numbering.has_names() {
        for graph in &mut graphs {
            graph.called = Some(graph.nodes.iter().map(|node| read.numbering.name(*node)).collect());
        }
    }
    Ok(graphs)
}

fn nodes(graph: &Graph) -> impl Iterator<Item = InputFile> {
    let name =
        |node: usize| graph.called.as_ref().map_or_else(|| graph.nodes[node].to_string(), |names| names[node].clone());
    let file = move |node: usize| InputFile { name: format!("{}, node {}", graph.name, name(node)), error: None };
    (0..graph.size()).map(file)
}

//! Sets of graphs whose nodes have labels: read, divided into splits, and joined into batches.
//!
//! A sample is a graph that has nodes to score in its split. Where one graph has nodes in several splits, these share
//! it and differ in the nodes that loss and scores look at; messages flow through all of them.

mod beside;
pub mod config;
mod content;
mod counted;
mod division;
mod edges;
mod family;
mod features;
mod few_labels;
mod folder;
mod headings;
mod inputs;
mod labels;
mod layout;
mod links;
mod lists;
mod nodes;
mod numbering;
mod open;
pub(super) mod parsers;
mod planetoid;
mod ppi;
mod problems;
mod set;
mod sparse;
mod survey;
mod synthetic;
mod synthetic_files;
mod tables;

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use config::GraphDataConfig;
use labels::Labels;
use nodes::Graph;

use super::config::Section;
use super::dataset::{Dataset, Targets};
use super::loader::{Access, Samples};
use super::source::Source;
use super::split::Split;
use crate::batch::{Batch, GraphBatch};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::tensor::adjacency::Adjacency;
use crate::tensor::links::Links;

pub use family::{FAMILY, GRAPHS, PPI};

/// One split of a set of graphs.
#[derive(Debug)]
pub struct Graphs {
    graphs: Arc<Vec<Graph>>,
    samples: Vec<Sample>,
}

/// A graph of a split.
#[derive(Debug)]
struct Sample {
    /// Position among the graphs.
    graph: usize,
    /// Its nodes that are scored, ascending; absent where all are.
    scored: Option<Vec<u32>>,
}

impl Graphs {
    /// The graphs that have nodes in this split.
    fn of_split(graphs: &Arc<Vec<Graph>>, marks: &[Vec<Option<Split>>], split: Split) -> Self {
        let sample = |(graph, marks): (usize, &Vec<Option<Split>>)| {
            let is_in = |node: &u32| marks[*node as usize] == Some(split);
            let scored: Vec<u32> = (0..marks.len() as u32).filter(is_in).collect();
            let all = scored.len() == marks.len();
            (!scored.is_empty()).then_some(Sample { graph, scored: (!all).then_some(scored) })
        };
        Self { graphs: Arc::clone(graphs), samples: marks.iter().enumerate().filter_map(sample).collect() }
    }

    /// All nodes of all graphs.
    fn whole(graphs: Vec<Graph>) -> Self {
        let samples = (0..graphs.len()).map(|graph| Sample { graph, scored: None }).collect();
        Self { graphs: Arc::new(graphs), samples }
    }

    fn size(&self, sample: &Sample) -> usize {
        sample.scored.as_ref().map_or_else(|| self.graphs[sample.graph].size(), Vec::len)
    }
}

impl Samples for Graphs {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.graphs[self.samples[index].graph].name
    }

    fn label(&self, _: usize) -> Option<usize> {
        None
    }

    fn fingerprint(&self, fingerprint: &mut Fingerprint) -> Result<()> {
        for Sample { graph, scored } in &self.samples {
            self.graphs[*graph].fingerprint(fingerprint);
            fingerprint.numbers(scored.as_deref().unwrap_or_default());
        }
        Ok(())
    }

    fn smallest_training_batch(&self) -> usize {
        FAMILY.smallest_training_batch
    }

    /// Those of the most nodes.
    fn largest(&self, count: usize) -> Vec<usize> {
        let mut samples: Vec<usize> = (0..self.samples.len()).collect();
        samples.sort_by_key(|sample| std::cmp::Reverse(self.graphs[self.samples[*sample].graph].size()));
        samples.truncate(count);
        samples
    }

    fn targets(&self) -> usize {
        self.samples.iter().map(|sample| self.size(sample)).sum()
    }

    /// The graphs side by side; nothing is random. Labels of new graphs are class 0, for nobody to read.
    fn batch(&self, indices: &[usize], _: Access) -> Result<Batch> {
        let samples: Vec<&Sample> = indices.iter().map(|index| &self.samples[*index]).collect();
        let graphs: Vec<&Graph> = samples.iter().map(|sample| &self.graphs[sample.graph]).collect();
        let sizes = samples.iter().map(|sample| self.size(sample)).collect();
        Ok(Batch::Graphs(GraphBatch {
            features: features(&graphs)?,
            links: joined(&graphs),
            labels: labels(&graphs, &samples)?,
            scored: scored(&graphs, &samples)?,
            sizes,
        }))
    }
}

/// fp32 (N, C)
fn features(graphs: &[&Graph]) -> Result<Tensor> {
    let of = |graph: &&Graph| -> Result<Tensor> {
        let features = &graph.features;
        Ok(Tensor::f_from_slice(&features.values)?.f_view([-1, features.columns as i64])?)
    };
    below(graphs.iter().map(of).collect::<Result<Vec<Tensor>>>()?)
}

/// Rows below each other.
fn below(mut parts: Vec<Tensor>) -> Result<Tensor> {
    match parts.pop() {
        Some(only) if parts.is_empty() => Ok(only),
        last => Ok(Tensor::f_cat(&parts.into_iter().chain(last).collect::<Vec<_>>(), 0)?),
    }
}

fn joined(graphs: &[&Graph]) -> Links {
    match graphs {
        [only] => only.shared_links(),
        _ => Links::new(&Adjacency::join(&graphs.iter().map(|graph| &graph.links).collect::<Vec<_>>())),
    }
}

/// Of the scored nodes: int64 (S) of classes, fp32 (S, labels) of several labels.
fn labels(graphs: &[&Graph], samples: &[&Sample]) -> Result<Tensor> {
    let of = |(graph, sample): (&&Graph, &&Sample)| -> Result<Tensor> {
        match (&graph.labels, &sample.scored) {
            (Some(labels), Some(scored)) => labels.of(scored, graph.size()).to_tensor(scored.len()),
            (Some(labels), None) => labels.to_tensor(graph.size()),
            (None, _) => Ok(Tensor::f_zeros([graph.size() as i64], (Kind::Int64, Device::Cpu))?),
        }
    };
    below(graphs.iter().zip(samples).map(of).collect::<Result<Vec<Tensor>>>()?)
}

impl Labels {
    /// Those of so many nodes.
    fn to_tensor(&self, nodes: usize) -> Result<Tensor> {
        Ok(match self {
            Self::Classes(classes) => Tensor::f_from_slice(classes)?,
            Self::Several(values) => Tensor::f_from_slice(values)?.f_view([nodes as i64, -1])?,
        })
    }
}

/// The rows of the scored nodes, int64 (S); none where all are.
fn scored(graphs: &[&Graph], samples: &[&Sample]) -> Result<Option<Tensor>> {
    if samples.iter().all(|sample| sample.scored.is_none()) {
        return Ok(None);
    }
    let (mut rows, mut before) = (Vec::new(), 0);
    for (graph, sample) in graphs.iter().zip(samples) {
        match &sample.scored {
            Some(scored) => rows.extend(scored.iter().map(|node| before + i64::from(*node))),
            None => rows.extend((0..graph.size() as i64).map(|node| before + node)),
        }
        before += graph.size() as i64;
    }
    Ok(Some(Tensor::f_from_slice(&rows)?))
}

/// Reads, checks and divides a set. Which nodes are held out, where no list and no part says it, follows from
/// `data.split_seed`; nodes of the built-in set have several labels where `several` says so.
fn load(source: &Source, section: Section<'_, &GraphDataConfig>, several: bool) -> Result<Dataset> {
    let set = open::open(source, section, several)?;
    set.told.iter().for_each(|told| tracing::info!("{told}"));
    let channels = set.channels() as i64;
    let variant = few_labels::variant(&set.graphs, &set.marks);
    let graphs = Arc::new(set.graphs);
    let part = |split: Split| Graphs::of_split(&graphs, &set.marks, split);
    let [train, validation, test] = Split::ALL.map(part);
    if let Some((empty, _)) = [("train", &train), ("test", &test)].into_iter().find(|(_, part)| part.is_empty()) {
        return Err(Error::invalid(format!("{}: {empty} split", set.origin), "at least one node", "none"));
    }
    Ok(Dataset {
        train: Arc::new(train),
        validation: (!validation.is_empty()).then(|| Arc::new(validation) as Arc<dyn Samples>),
        test: Arc::new(test),
        classes: set.names,
        targets: if set.multi_label { Targets::Labels } else { Targets::Classes },
        unit: "nodes",
        channels,
        origin: set.origin,
        variant,
    })
}

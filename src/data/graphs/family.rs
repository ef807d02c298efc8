//! Graphs as one of the families.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::inputs::{find_inputs, read_inputs};
use super::layout::{LAYOUTS, Layout};
use super::survey::survey;
use super::{load, synthetic_files};
use crate::batch::BatchKind;
use crate::data::config::DataConfig;
use crate::data::dataset::Targets;
use crate::data::family::{Family, FamilyDescription, KnownSet, LoadNeeds, Loaded, SampleKind, SetName};
use crate::data::inputs::{InputNeeds, Inputs};
use crate::data::source::Source;
use crate::data::survey::Survey;
use crate::data::synthesis::Synthesis;
use crate::error::Result;

/// Graphs whose nodes have a class or labels.
pub static FAMILY: FamilyDescription = FamilyDescription {
    name: "graphs",
    plural: "graphs",
    singular: "a graph",
    targets: "nodes",
    batch: BatchKind::Graphs,
    labels_points: false,
    draws: false,
    smallest_training_batch: 1,
    smaller: "",
    numbers: ["features", "are they scaled as the training's? Or the weights are not finite"],
    mend: "mend them: runs take all nodes and links or none",
    making: synthetic_files::MAKING,
    own: &GRAPHS,
    published: &[&PPI],
    family: &Graphs,
};

/// PPI: graphs of proteins that interact.
pub static PPI: KnownSet = KnownSet {
    name: "PPI",
    kind: SampleKind::of(&FAMILY),
    folders: &["ppi"],
    published: "\nPPI is published as https://data.dgl.ai/dataset/ppi.zip",
    sizes: (121, 50),
    targets: Targets::Labels,
};

/// The user's own graphs, in any layout of graphs.
pub static GRAPHS: KnownSet = KnownSet::own("graphs", SampleKind::of(&FAMILY), Targets::Classes);

struct Graphs;

impl Family for Graphs {
    fn layouts(&self) -> String {
        LAYOUTS.to_owned()
    }

    fn may_hold(&self, folder: &Path, set: SetName) -> bool {
        match Layout::detect(folder) {
            None => false,
            Some(Layout::Ppi) => true,
            Some(_) => set == &GRAPHS,
        }
    }

    fn is_sure_of(&self, folder: &Path) -> bool {
        Layout::is_whole(folder)
    }

    fn load(&self, source: &Source, set: SetName, config: &DataConfig, _: &LoadNeeds) -> Result<Loaded> {
        Ok(Loaded {
            dataset: load(source, config.section(&config.graphs), set.targets == Targets::Labels)?,
            config: config.clone(),
        })
    }

    fn survey(&self, source: &Source, config: &DataConfig, _: usize) -> Result<Survey> {
        Ok(survey(source, config.section(&config.graphs)))
    }

    fn find_inputs(&self, named: &[PathBuf]) -> Result<Vec<PathBuf>> {
        find_inputs(named)
    }

    fn read_inputs(&self, files: &[PathBuf], config: &DataConfig, needs: InputNeeds) -> Result<Inputs> {
        Ok(read_inputs(files, config.section(&config.graphs), needs)?.with(config.clone()))
    }

    fn synthesise(&self, wanted: &Synthesis, folder: &Path) -> Result<()> {
        synthetic_files::write(wanted, folder)
    }

    fn preparation(&self, config: &DataConfig) -> Vec<(&'static str, Value)> {
        vec![("graphs", json!(config.graphs))]
    }
}

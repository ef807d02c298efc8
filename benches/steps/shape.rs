//! The named shapes of a step (`benches/shapes.json`, which `compare.py` and `reference/time_published.py` read too),
//! and flags that change their sizes.

use std::collections::BTreeMap;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Deserialize;
use sgas::model::{ModelConfig, NetworkSpec};
use sgas::space::point::PointConfig;

const SHAPES: &str = include_str!("../shapes.json");

/// Which step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Alpha step (first order) and weight step of the supernet in turn.
    Search,
    /// A step of the published network Cri2_ModelNet_Best, without drop path as in its first epoch.
    Train,
}

impl What {
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Train => "train",
        }
    }
}

/// Sizes of a step.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    pub what: What,
    /// Clouds.
    pub batch: i64,
    /// Points of a cloud.
    pub points: i64,
    /// Neighbours of a point, itself included.
    pub k: i64,
    pub cells: usize,
    /// Channels of a node.
    pub channels: i64,
    pub classes: usize,
}

impl Shape {
    pub fn network(&self) -> NetworkSpec {
        NetworkSpec {
            model: ModelConfig { channels: self.channels, cells: self.cells },
            point: PointConfig { k: self.k, ..PointConfig::default() },
            classes: self.classes,
            in_channels: 3,
        }
    }
}

/// A shape by name, with sizes of the command line in place of its own.
#[derive(Args)]
pub struct ShapeOptions {
    /// The shape.
    #[arg(default_value = "modelnet10-search", value_parser = PossibleValuesParser::new(shapes().into_keys()))]
    pub shape: String,
    /// Clouds per step.
    #[arg(long)]
    batch: Option<i64>,
    /// Points of a cloud.
    #[arg(long)]
    points: Option<i64>,
    /// Neighbours of a point, itself included.
    #[arg(long)]
    k: Option<i64>,
    /// Cells of the stack.
    #[arg(long)]
    cells: Option<usize>,
    /// Channels of a node.
    #[arg(long)]
    channels: Option<i64>,
    /// Classes.
    #[arg(long)]
    classes: Option<usize>,
}

impl ShapeOptions {
    pub fn resolve(&self) -> Shape {
        let named = shapes()[self.shape.as_str()];
        Shape {
            what: named.what,
            batch: self.batch.unwrap_or(named.batch),
            points: self.points.unwrap_or(named.points),
            k: self.k.unwrap_or(named.k),
            cells: self.cells.unwrap_or(named.cells),
            channels: self.channels.unwrap_or(named.channels),
            classes: self.classes.unwrap_or(named.classes),
        }
    }
}

fn shapes() -> BTreeMap<&'static str, Shape> {
    serde_json::from_str(SHAPES).expect("benches/shapes.json is read at every start")
}

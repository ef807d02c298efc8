//! The named shapes of a step (`benches/shapes.json`, which `compare.py` and `reference/time_published.py` read too),
//! and flags that change their sizes.

use std::collections::BTreeMap;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sgas::error::{Error, Result};
use sgas::genotype::SpaceName;
use sgas::model::{ModelConfig, NetworkSpec, ResGcnConfig};
use sgas::space::image::ImageConfig;
use sgas::space::point::PointConfig;

/// Position, colour, position in the room.
pub const S3DIS_CHANNELS: i64 = 9;
const SHAPES: &str = include_str!("../shapes.json");

/// A shape as the file has it, with the names of its sizes.
pub type Named = Map<String, Value>;

/// Which step.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum What {
    /// Alpha step (first order) and weight step of the supernet in turn.
    Search,
    /// A step of the network of a published cell, or of a ResGCN.
    Train {
        #[serde(default)]
        cell: Option<String>,
        /// Probability; the published networks begin with 0 and end just below 0.2.
        #[serde(default)]
        drop_path: f64,
        /// Of the auxiliary head's loss; 0 where there is no such head.
        #[serde(default)]
        auxiliary_weight: f64,
    },
}

/// What a batch holds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(tag = "space", rename_all = "lowercase")]
pub enum Samples {
    /// Clouds of so many points, each with `k` neighbours, itself included.
    Point { points: i64, k: i64 },
    /// Images of this height and width.
    Image { pixels: i64 },
    /// Graphs of so many nodes with this many features each, and links, half of them the others turned round.
    Graph { nodes: usize, links: usize, features: i64 },
    /// Clouds of so many points with S3DIS's nine numbers and a class each, for a ResGCN.
    ResGcn { points: i64, k: i64, blocks: usize },
}

/// Sizes of a step.
#[derive(Debug, Clone, Deserialize)]
pub struct Shape {
    #[serde(flatten)]
    pub what: What,
    #[serde(flatten)]
    pub samples: Samples,
    /// Samples.
    pub batch: i64,
    #[serde(default)]
    pub cells: usize,
    /// Channels of a node.
    pub channels: i64,
    /// Or labels, where a node may have several.
    pub classes: usize,
}

impl Shape {
    /// The space of its cells; a ResGCN has none.
    pub fn space(&self) -> SpaceName {
        match self.samples {
            Samples::Point { .. } => SpaceName::POINT,
            Samples::Image { .. } => SpaceName::IMAGE,
            Samples::Graph { .. } => SpaceName::GRAPH,
            Samples::ResGcn { .. } => unreachable!("a ResGCN is not searched"),
        }
    }

    pub fn network(&self) -> NetworkSpec {
        let point = match self.samples {
            Samples::Point { k, .. } => PointConfig { k, ..PointConfig::default() },
            _ => PointConfig::default(),
        };
        let resgcn = match self.samples {
            Samples::ResGcn { k, blocks, .. } => {
                ResGcnConfig { k, blocks, channels: self.channels, ..ResGcnConfig::default() }
            }
            _ => ResGcnConfig::default(),
        };
        let auxiliary = matches!(self.what, What::Train { auxiliary_weight, .. } if auxiliary_weight > 0.0);
        NetworkSpec {
            model: ModelConfig { channels: self.channels, cells: self.cells },
            point,
            image: ImageConfig { auxiliary, ..ImageConfig::default() },
            resgcn,
            classes: self.classes,
            in_channels: match self.samples {
                Samples::Graph { features, .. } => features,
                Samples::ResGcn { .. } => S3DIS_CHANNELS,
                Samples::Point { .. } | Samples::Image { .. } => 3,
            },
            ..NetworkSpec::default()
        }
    }
}

/// A shape by name, with sizes of the command line in place of its own.
#[derive(Args, Serialize)]
pub struct ShapeOptions {
    /// The shape.
    #[arg(default_value = "modelnet10-search", value_parser = PossibleValuesParser::new(shapes().into_keys()))]
    #[serde(skip)]
    pub shape: String,
    /// Clouds, images or graphs per step.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<i64>,
    /// Points of a cloud.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<i64>,
    /// Neighbours of a point, itself included.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<i64>,
    /// Height and width of an image.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pixels: Option<i64>,
    /// Nodes of a graph.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<usize>,
    /// Links of a graph.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<usize>,
    /// Numbers per node.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<i64>,
    /// Blocks of a ResGCN.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<usize>,
    /// Cells of the stack.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cells: Option<usize>,
    /// Channels of a node.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<i64>,
    /// Classes, or labels.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
}

impl ShapeOptions {
    /// The shape in the file's names, and what they mean.
    ///
    /// # Errors
    /// A size that the shape does not have.
    pub fn resolve(&self) -> Result<(Named, Shape)> {
        let mut named = shapes().remove(self.shape.as_str()).expect("clap takes the names of the file alone");
        let Ok(Value::Object(given)) = serde_json::to_value(self) else { unreachable!("options are plain data") };
        for (name, value) in given {
            let Some(size) = named.get_mut(&name) else {
                let sizes: Vec<&str> = named.keys().map(String::as_str).collect();
                return Err(Error::invalid(&self.shape, sizes.join(", "), name));
            };
            *size = value;
        }
        let shape = serde_json::from_value(Value::Object(named.clone()));
        Ok((named, shape.expect("benches/shapes.json is read at every start")))
    }
}

fn shapes() -> BTreeMap<&'static str, Named> {
    serde_json::from_str(SHAPES).expect("benches/shapes.json is read at every start")
}

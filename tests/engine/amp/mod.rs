//! Mixed precision, proved without a GPU: what half precision loses and loss scaling and fp32 weights keep, in which
//! types numbers really arrive, and how far half precision learns from fp32.

mod learning;
mod losses;
mod types;

use super::turn;
use sgas::batch::{Batch, GraphBatch, ImageBatch, PointBatch};
use sgas::genotype::{SpaceName, zoo};
use sgas::model::{self, Model, ModelConfig, NetworkSpec, SearchModel};
use sgas::space::image::ImageConfig;
use sgas::space::point::PointConfig;
use sgas::task::Task;
use sgas::tensor::adjacency::{Adjacency, Link};
use sgas::tensor::convolution::channels_last;
use sgas::tensor::links::Links;
use sgas::tensor::random::{Key, Purpose};
use tch::{Device, Kind, Tensor};

const SEED: u64 = 1;
const CLASSES: i64 = 5;
const FEATURES: i64 = 8;
const NODES: i64 = 40;
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// A space with what its small networks need.
struct Case {
    space: SpaceName,
    task: Task,
    cell: &'static str,
}

fn cases() -> [Case; 3] {
    let (classes, labels) = (CLASSES as usize, CLASSES as usize);
    [
        Case { space: SpaceName::Point, task: Task::Classify { classes }, cell: "Cri2_ModelNet_Best" },
        Case { space: SpaceName::Image, task: Task::Classify { classes }, cell: "Cri1_CIFAR_Best" },
        Case { space: SpaceName::Graph, task: Task::MultiLabel { labels }, cell: "Cri2_PPI_Best" },
    ]
}

impl Case {
    fn spec(&self) -> NetworkSpec {
        NetworkSpec {
            model: ModelConfig { channels: 8, cells: 3 },
            point: PointConfig { k: 4, embedding: 32, ..PointConfig::default() },
            image: ImageConfig::default(),
            classes: CLASSES as usize,
            in_channels: if self.space == SpaceName::Graph { FEATURES } else { 3 },
        }
    }

    fn supernet(&self) -> Box<dyn SearchModel> {
        model::supernet(self.space, &self.spec(), 1e-3, SEED, Device::Cpu)
    }

    fn derived(&self) -> Box<dyn Model> {
        model::derived(&zoo::find(self.cell).unwrap().genotype, &self.spec(), SEED, Device::Cpu)
    }

    /// The batch of this number, of samples whose classes or labels can be learned.
    fn batch(&self, number: u64) -> Batch {
        Key::new(SEED, Purpose::Synthetic).at(0, number).seed_torch();
        match self.space {
            SpaceName::Point => points(),
            SpaceName::Image => images(),
            SpaceName::Graph => graph(),
        }
    }
}

/// Clouds that are the flatter the smaller their class.
fn points() -> Batch {
    let labels = Tensor::randint(CLASSES, [10], (Kind::Int64, Device::Cpu));
    let width = (&labels + 1_i64).to_kind(Kind::Float).view([10, 1]) / CLASSES as f64;
    let widths = Tensor::stack(&[width.ones_like(), width.ones_like() * 0.5, width], 2);
    Batch::Points(PointBatch { points: Tensor::randn([10, 48, 3], FLOAT) * widths, labels })
}

/// Noise around a colour of the class.
fn images() -> Batch {
    let labels = Tensor::randint(CLASSES, [10], (Kind::Int64, Device::Cpu));
    let hue = labels.to_kind(Kind::Float).view([10, 1]) * (2.0 * std::f64::consts::PI / CLASSES as f64);
    let colours = Tensor::stack(&[hue.cos(), hue.sin(), (&hue * 2.0).cos()], 1).view([10, 3, 1, 1]);
    let images = channels_last(&(Tensor::randn([10, 3, 16, 16], FLOAT) * 0.5 + colours));
    Batch::Images(ImageBatch { images, labels })
}

/// Labels that are signs of linear maps of the node's features, the same in every batch.
fn graph() -> Batch {
    let features = Tensor::randn([NODES, FEATURES], FLOAT);
    let map = (Tensor::arange(FEATURES * CLASSES, FLOAT) * 1.7).sin().view([FEATURES, CLASSES]);
    let ring = (0..NODES as u32).flat_map(|node| [1, 3, 7].map(|step| [node, (node + step) % NODES as u32]));
    let links: Vec<Link> = ring.flat_map(|[source, target]| [[source, target], [target, source]]).collect();
    Batch::Graphs(GraphBatch {
        labels: features.matmul(&map).gt(0.0).to_kind(Kind::Float),
        features,
        links: Links::new(&Adjacency::new(NODES as usize, &links)),
        scored: None,
        sizes: vec![NODES as usize],
    })
}

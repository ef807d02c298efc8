//! Mixed precision, proved without a GPU: what half precision loses and loss scaling and fp32 weights keep, in which
//! types numbers really arrive, and how far half precision learns from fp32.

mod learning;
mod losses;
mod states;
mod types;

use super::turn;
use sgas::batch::{Batch, BatchKind, GraphBatch, ImageBatch, PointBatch};
use sgas::genotype::{SpaceName, zoo};
use sgas::model::{
    self, Architecture, HandDesigned, Model, ModelConfig, NetworkKind, NetworkSpec, ResGcnConfig, SearchModel,
};
use sgas::space::point::PointConfig;
use sgas::task::Task;
use sgas::tensor::adjacency::{Adjacency, Link};
use sgas::tensor::convolution::laid_out;
use sgas::tensor::links::Links;
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use tch::{Device, Kind, Tensor};

const SEED: u64 = 1;
const CLASSES: i64 = 5;
const FEATURES: i64 = 8;
const NODES: i64 = 40;
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// The device that `SGAS_TEST_DEVICE` names, else the CPU.
pub(super) fn device() -> Device {
    match std::env::var("SGAS_TEST_DEVICE").as_deref() {
        Err(_) | Ok("cpu" | "") => Device::Cpu,
        Ok("cuda") => {
            sgas::tensor::bridge::device::load_cuda().expect("SGAS_TEST_DEVICE=cuda needs libtorch_cuda");
            Device::Cuda(0)
        }
        Ok(other) => panic!("SGAS_TEST_DEVICE is cpu or cuda, not {other}"),
    }
}

/// The mixed precisions that the program computes in there.
fn mixed() -> Vec<Precision> {
    if device().is_cuda() { vec![Precision::Bf16, Precision::Fp16] } else { vec![Precision::Bf16] }
}

/// Every kind of network in each of them.
fn mixed_cases() -> Vec<(Case, Precision)> {
    mixed().into_iter().flat_map(|precision| cases().map(|case| (case, precision))).collect()
}

/// A kind of network, what it learns, and how it is trained.
struct Case {
    kind: NetworkKind,
    task: Task,
    architecture: Architecture,
    rate: f64,
}

fn of_cells(space: SpaceName, task: Task, cell: &str, rate: f64) -> Case {
    let architecture = Architecture::Cell(Box::new(zoo::find(cell).unwrap().genotype.clone()));
    Case { kind: NetworkKind::Cells(space), task, architecture, rate }
}

fn points() -> Case {
    of_cells(SpaceName::POINT, Task::Classify { classes: CLASSES as usize }, "Cri2_ModelNet_Best", 0.005)
}

fn images() -> Case {
    of_cells(SpaceName::IMAGE, Task::Classify { classes: CLASSES as usize }, "Cri1_CIFAR_Best", 0.01)
}

fn graphs() -> Case {
    of_cells(SpaceName::GRAPH, Task::MultiLabel { labels: CLASSES as usize }, "Cri2_PPI_Best", 0.05)
}

fn resgcn() -> Case {
    let task = Task::Segment { classes: CLASSES as usize };
    Case {
        kind: NetworkKind::HandDesigned(HandDesigned::ResGcn),
        task,
        architecture: Architecture::HandDesigned(HandDesigned::ResGcn),
        rate: 0.02,
    }
}

fn cases() -> [Case; 4] {
    [points(), images(), graphs(), resgcn()]
}

impl Case {
    /// Of its cells.
    fn space(&self) -> Option<SpaceName> {
        match self.kind {
            NetworkKind::Cells(space) => Some(space),
            NetworkKind::HandDesigned(_) => None,
        }
    }

    fn spec(&self) -> NetworkSpec {
        NetworkSpec {
            // Of three cells of images two reduce.
            model: ModelConfig { channels: 8, cells: if self.space() == Some(SpaceName::IMAGE) { 3 } else { 2 } },
            // Without dropout: libtorch draws other numbers for half types.
            point: PointConfig { k: 4, embedding: 32, dropout: 0.0, ..PointConfig::default() },
            resgcn: ResGcnConfig {
                blocks: 4,
                channels: 8,
                k: 4,
                fusion: 32,
                prediction: [32, 16],
                dropout: 0.0,
                ..ResGcnConfig::default()
            },
            classes: CLASSES as usize,
            in_channels: if self.space() == Some(SpaceName::GRAPH) { FEATURES } else { 3 },
            ..NetworkSpec::default()
        }
    }

    /// Where cells are searched.
    fn supernet(&self) -> Option<Box<dyn SearchModel>> {
        Some(model::supernet(self.space()?, &self.spec(), 1e-3, SEED, device()))
    }

    fn network(&self) -> Box<dyn Model> {
        model::network(&self.architecture, &self.spec(), SEED, device())
    }

    /// The batch of this number, of samples whose classes or labels can be learned.
    fn batch(&self, number: u64) -> Batch {
        Key::new(SEED, Purpose::Synthetic).at(0, number).seed_torch();
        let batch = match self.space().map(SpaceName::takes) {
            Some(BatchKind::Points) => clouds(),
            Some(BatchKind::Images) => pictures(),
            Some(BatchKind::Graphs) => graph(),
            None => scenes(),
        };
        batch.to_device(device())
    }

    /// A batch that overflows in fp16, and not in fp32.
    fn overflowing(&self) -> Batch {
        let factor = 1e5;
        match self.batch(0) {
            Batch::Points(PointBatch { points, labels }) => {
                Batch::Points(PointBatch { points: points * factor, labels })
            }
            Batch::Images(ImageBatch { images, labels }) => {
                Batch::Images(ImageBatch { images: images * factor, labels })
            }
            Batch::Graphs(GraphBatch { features, links, labels, scored, sizes }) => {
                Batch::Graphs(GraphBatch { features: features * factor, links, labels, scored, sizes })
            }
        }
    }
}

/// Clouds whose points have the class of the slice that they lie in; some have none.
fn scenes() -> Batch {
    let points = Tensor::rand([6, 48, 3], FLOAT) * 2.0 - 1.0;
    let slice = ((points.select(2, 2) + 1.0) * (0.5 * CLASSES as f64)).to_kind(Kind::Int64).clamp(0, CLASSES - 1);
    let labels = slice.where_scalarother(&points.select(2, 0).lt(0.9), -100).flatten(0, 1);
    Batch::Points(PointBatch { points, labels })
}

/// Clouds around a place of the class; enough of them that one batch's loss is near the next one's.
fn clouds() -> Batch {
    let labels = Tensor::randint(CLASSES, [24], (Kind::Int64, Device::Cpu));
    let turn = angle(&labels);
    let places = Tensor::stack(&[turn.cos(), turn.sin(), (&turn * 2.0).cos()], 1).view([24, 1, 3]) * 0.5;
    Batch::Points(PointBatch { points: Tensor::randn([24, 24, 3], FLOAT) * 0.5 + places, labels })
}

/// Classes as angles.
fn angle(labels: &Tensor) -> Tensor {
    labels.to_kind(Kind::Float) * (2.0 * std::f64::consts::PI / CLASSES as f64)
}

/// Noise around a colour of the class.
fn pictures() -> Batch {
    let labels = Tensor::randint(CLASSES, [16], (Kind::Int64, Device::Cpu));
    let hue = angle(&labels);
    let colours = Tensor::stack(&[hue.cos(), hue.sin(), (&hue * 2.0).cos()], 1).view([16, 3, 1, 1]);
    let images = laid_out(&(Tensor::randn([16, 3, 8, 8], FLOAT) * 2.0 + colours));
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

//! Random batches: a step costs the same for any numbers, so no data and no loader takes part.

use crate::batch::{Batch, GraphBatch, ImageBatch, PointBatch};
use crate::task::Task;
use crate::tensor::adjacency::{Adjacency, Link};
use crate::tensor::convolution::laid_out;
use crate::tensor::links::Links;
use crate::tensor::random::{Key, Purpose};
use rand::RngExt;
use tch::{Device, Kind, Tensor};

/// What a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// Clouds of so many points with this many numbers each.
    Clouds {
        /// Of a cloud.
        points: i64,
        /// Of a point.
        channels: i64,
    },
    /// Square images.
    Images {
        /// Height and width.
        side: i64,
    },
    /// Graphs of so many nodes with this many numbers each, and links, half of them the others turned round.
    Graphs {
        /// Of a graph.
        nodes: usize,
        /// Of a graph.
        links: usize,
        /// Of a node.
        features: i64,
    },
}

impl Samples {
    /// Several of them in the user's words.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Clouds { .. } => "clouds",
            Self::Images { .. } => "images",
            Self::Graphs { .. } => "graphs",
        }
    }

    /// Their sizes in the user's words.
    pub fn sizes(self) -> String {
        match self {
            Self::Clouds { points, .. } => format!("{points} points"),
            Self::Images { side } => format!("{side} x {side} pixels"),
            Self::Graphs { nodes, links, .. } => format!("{nodes} nodes and {links} links each"),
        }
    }

    /// A batch of so many samples with targets for `task`, drawn from `seed`.
    pub fn batch(self, count: usize, task: Task, seed: u64, device: Device) -> Batch {
        Key::new(seed, Purpose::Synthetic).seed_torch();
        let (rows, float) = (count as i64, (Kind::Float, Device::Cpu));
        let batch = match self {
            Self::Clouds { points, channels } => Batch::Points(PointBatch {
                points: Tensor::rand([rows, points, channels], float) * 2.0 - 1.0,
                labels: targets(task, if let Task::Segment { .. } = task { rows * points } else { rows }),
            }),
            Self::Images { side } => Batch::Images(ImageBatch {
                images: laid_out(&Tensor::randn([rows, 3, side, side], float)),
                labels: targets(task, rows),
            }),
            Self::Graphs { nodes, links, features } => {
                let graphs: Vec<Adjacency> =
                    (0..count).map(|number| random_graph(nodes, links, seed, number)).collect();
                let rows = rows * nodes as i64;
                Batch::Graphs(GraphBatch {
                    features: Tensor::randn([rows, features], float),
                    links: Links::new(&Adjacency::join(&graphs.iter().collect::<Vec<_>>())),
                    labels: targets(task, rows),
                    scored: None,
                    sizes: vec![nodes; graphs.len()],
                })
            }
        };
        batch.to_device(device)
    }
}

fn targets(task: Task, count: i64) -> Tensor {
    match task {
        Task::Classify { classes } | Task::Segment { classes } => {
            Tensor::randint(classes as i64, [count], (Kind::Int64, Device::Cpu))
        }
        Task::MultiLabel { labels } => Tensor::randint(2, [count, labels as i64], (Kind::Float, Device::Cpu)),
    }
}

/// Links between any two nodes, in both directions, and none from a node to itself.
fn random_graph(nodes: usize, links: usize, seed: u64, number: usize) -> Adjacency {
    let mut generator = Key::new(seed, Purpose::Synthetic).at(0, number as u64).generator();
    let nodes = nodes as u32;
    let mut link = || -> Link {
        let source = generator.random_range(0..nodes);
        [source, (source + generator.random_range(1..nodes)) % nodes]
    };
    let one_way: Vec<Link> = (0..links / 2).map(|_| link()).collect();
    let other_way = one_way.iter().map(|[source, target]| [*target, *source]);
    Adjacency::new(nodes as usize, &one_way.iter().copied().chain(other_way).collect::<Vec<_>>())
}

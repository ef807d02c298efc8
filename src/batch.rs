//! What loaders make and spaces take: a few samples as tensors.

use crate::tensor::bridge::device::upload;
use crate::tensor::links::Links;
use tch::{Device, Tensor};

/// The target of what does not count: libtorch leaves it out of the loss, and scores do.
pub const IGNORED: i64 = -100;

/// Point clouds of one size, with a class each or a class for every point.
#[derive(Debug)]
pub struct PointBatch {
    /// Features of the points, fp32 (B, N, C); the first three channels are the position.
    pub points: Tensor,
    /// Class of every cloud, int64 (B), or of every point, int64 (B·N); [`IGNORED`] for a point that does
    /// not count.
    pub labels: Tensor,
}

/// Images of one size, with a class each.
#[derive(Debug)]
pub struct ImageBatch {
    /// Normalised colours, fp32 (B, 3, H, W), in any memory format.
    pub images: Tensor,
    /// Class of every image, int64 (B).
    pub labels: Tensor,
}

/// Graphs side by side, with a class or several labels for each of the nodes that count.
#[derive(Debug)]
pub struct GraphBatch {
    /// Features of the nodes, fp32 (N, C).
    pub features: Tensor,
    /// The links between them.
    pub links: Links,
    /// What the scored nodes are: classes, int64 (S), or labels of which each holds or not, fp32 (S, labels).
    pub labels: Tensor,
    /// The nodes that loss and scores look at, int64 (S), ascending; absent where all do.
    pub scored: Option<Tensor>,
    /// How many of those each graph has, in their order; graphs without any are left out.
    pub sizes: Vec<usize>,
}

impl GraphBatch {
    /// The rows of the nodes that loss and scores look at: (N, C) → (S, C).
    pub fn of_scored(&self, rows: &Tensor) -> Tensor {
        self.scored.as_ref().map_or_else(|| rows.shallow_clone(), |scored| rows.index_select(0, scored))
    }
}

/// What a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    /// Point clouds.
    Points,
    /// Images.
    Images,
    /// Graphs.
    Graphs,
}

/// A batch of any task, as the loops see it.
#[derive(Debug)]
pub enum Batch {
    /// Point clouds with a class each, or a class for every point.
    Points(PointBatch),
    /// Images with a class each.
    Images(ImageBatch),
    /// Graphs with labels of their nodes.
    Graphs(GraphBatch),
}

impl Batch {
    /// The number of things that have a target: clouds, images, nodes, or points.
    pub fn len(&self) -> usize {
        usize::try_from(self.target().size()[0]).expect("sizes are not negative")
    }

    /// True for a batch without samples; loaders never make one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the loss compares with: classes, int64 (B), or labels that hold or not, fp32 (B, labels).
    pub fn target(&self) -> &Tensor {
        match self {
            Self::Points(batch) => &batch.labels,
            Self::Images(batch) => &batch.labels,
            Self::Graphs(batch) => &batch.labels,
        }
    }

    /// What the network reads: coordinates, colours, features.
    pub fn input(&self) -> &Tensor {
        match self {
            Self::Points(batch) => &batch.points,
            Self::Images(batch) => &batch.images,
            Self::Graphs(batch) => &batch.features,
        }
    }

    /// Its first samples, at most so many; `None` of graphs, whose links are not taken apart.
    pub fn first(&self, samples: i64) -> Option<Self> {
        let count = samples.min(self.input().size()[0]);
        let part = |tensor: &Tensor, per_sample: i64| tensor.narrow(0, 0, count * per_sample);
        match self {
            Self::Points(PointBatch { points, labels }) => {
                let per_sample = labels.size()[0] / points.size()[0].max(1);
                Some(Self::Points(PointBatch { points: part(points, 1), labels: part(labels, per_sample) }))
            }
            Self::Images(ImageBatch { images, labels }) => {
                Some(Self::Images(ImageBatch { images: part(images, 1), labels: part(labels, 1) }))
            }
            Self::Graphs(_) => None,
        }
    }

    /// All its tensors, where it has nothing else.
    pub fn tensors(&self) -> Option<[&Tensor; 2]> {
        match self {
            Self::Points(batch) => Some([&batch.points, &batch.labels]),
            Self::Images(batch) => Some([&batch.images, &batch.labels]),
            Self::Graphs(_) => None,
        }
    }

    /// The same batch in memory of its own, where it has tensors alone.
    pub fn copied(&self) -> Option<Self> {
        match self {
            Self::Points(batch) => {
                Some(Self::Points(PointBatch { points: batch.points.copy(), labels: batch.labels.copy() }))
            }
            Self::Images(batch) => {
                Some(Self::Images(ImageBatch { images: batch.images.copy(), labels: batch.labels.copy() }))
            }
            Self::Graphs(_) => None,
        }
    }

    /// The same batch on `device`; nothing waits for it to get there.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        match self {
            Self::Points(batch) => Self::Points(PointBatch {
                points: upload(&batch.points, device),
                labels: upload(&batch.labels, device),
            }),
            Self::Images(batch) => Self::Images(ImageBatch {
                images: upload(&batch.images, device),
                labels: upload(&batch.labels, device),
            }),
            Self::Graphs(batch) => Self::Graphs(GraphBatch {
                features: upload(&batch.features, device),
                links: batch.links.to_device(device),
                labels: upload(&batch.labels, device),
                scored: batch.scored.as_ref().map(|rows| upload(rows, device)),
                sizes: batch.sizes.clone(),
            }),
        }
    }

    /// The clouds of a task of the point space; panics on another's.
    pub fn points(&self) -> &PointBatch {
        match self {
            Self::Points(batch) => batch,
            _ => unreachable!("point networks are given points"),
        }
    }

    /// The images of a task of the image space; panics on another's.
    pub fn images(&self) -> &ImageBatch {
        match self {
            Self::Images(batch) => batch,
            _ => unreachable!("image networks are given images"),
        }
    }

    /// The graphs of a task of the graph space; panics on another's.
    pub fn graphs(&self) -> &GraphBatch {
        match self {
            Self::Graphs(batch) => batch,
            _ => unreachable!("graph networks are given graphs"),
        }
    }
}

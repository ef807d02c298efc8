//! Networks that are designed by hand instead of searched: ResGCN, and the baselines that a searched cell is held
//! against.

use crate::batch::BatchKind;
use crate::model::baseline::{graph, image, point};
use crate::model::{Model, NetworkSpec, ResGcn, resgcn};
use serde::{Deserialize, Serialize};
use tch::Device;

/// A hand-designed network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HandDesigned {
    /// ResGCN (Li et al. 2019): scores for every point of a cloud.
    ResGcn,
    /// Graph convolutions (Kipf and Welling 2017).
    Gcn,
    /// Graph attention (Veličković et al. 2018).
    Gat,
    /// Dynamic edge convolutions (Wang et al. 2019).
    Dgcnn,
    /// Residual convolutions (He et al. 2016).
    ResNet,
}

impl HandDesigned {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::ResGcn, Self::Gcn, Self::Gat, Self::Dgcnn, Self::ResNet];

    /// The name in configurations and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResGcn => "resgcn",
            Self::Gcn => "gcn",
            Self::Gat => "gat",
            Self::Dgcnn => "dgcnn",
            Self::ResNet => "resnet",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What it takes.
    pub fn takes(self) -> BatchKind {
        match self {
            Self::ResGcn | Self::Dgcnn => BatchKind::Points,
            Self::Gcn | Self::Gat => BatchKind::Graphs,
            Self::ResNet => BatchKind::Images,
        }
    }

    /// Whether it says something of every point of a cloud.
    pub fn labels_points(self) -> bool {
        self == Self::ResGcn
    }

    /// The usual one for such data.
    pub fn usual(takes: BatchKind, labels_points: bool) -> Self {
        match takes {
            BatchKind::Graphs => Self::Gcn,
            BatchKind::Images => Self::ResNet,
            BatchKind::Points if labels_points => Self::ResGcn,
            BatchKind::Points => Self::Dgcnn,
        }
    }

    /// The fewest points that a cloud may have.
    pub fn minimum_points(self, spec: &NetworkSpec) -> usize {
        match self {
            Self::ResGcn => spec.resgcn.minimum_points(),
            _ => spec.point.minimum_points(1),
        }
    }

    /// The channels of all its layers together, and the key that sets them.
    pub fn width(self, spec: &NetworkSpec) -> (u64, &'static str) {
        let channels = spec.model.channels.unsigned_abs();
        match self {
            Self::ResGcn => (spec.resgcn.channels.unsigned_abs() * spec.resgcn.blocks as u64, "resgcn.channels"),
            Self::Gcn | Self::Gat => (channels, "model.channels"),
            Self::Dgcnn => (point::WIDTHS.iter().sum::<i64>().unsigned_abs(), "point.embedding"),
            Self::ResNet => (channels * image::BLOCKS as u64, "model.channels"),
        }
    }

    /// A fresh network, its weights drawn from libtorch's generator.
    pub(super) fn network(self, spec: &NetworkSpec, device: Device) -> Box<dyn Model> {
        let classes = spec.classes as i64;
        match self {
            Self::ResGcn => Box::new(ResGcn::new(&spec.resgcn, spec.in_channels, classes, device)),
            Self::Gcn => Box::new(graph::gcn(spec, device)),
            Self::Gat => Box::new(graph::gat(spec, device)),
            Self::Dgcnn => Box::new(point::Dgcnn::new(spec, device)),
            Self::ResNet => Box::new(image::ResNet::new(spec, device)),
        }
    }

    /// The name of the last layer's bias, which has a value per class or label.
    pub(super) fn output_bias(self) -> &'static str {
        match self {
            Self::ResGcn => resgcn::OUTPUT_BIAS,
            Self::Gcn | Self::Gat => graph::OUTPUT_BIAS,
            Self::Dgcnn => point::OUTPUT_BIAS,
            Self::ResNet => image::OUTPUT_BIAS,
        }
    }

    /// The name of a weight whose second dimension is this many times the numbers per point or node; absent for images,
    /// which all have three.
    pub(super) fn input_weight(self) -> Option<(&'static str, i64)> {
        match self {
            Self::ResGcn => Some((resgcn::INPUT_WEIGHT, 2)),
            Self::Gcn | Self::Gat => Some((graph::INPUT_WEIGHT, 1)),
            Self::Dgcnn => Some((point::INPUT_WEIGHT, 2)),
            Self::ResNet => None,
        }
    }
}

//! What loaders make and spaces take: a few samples as tensors.

use tch::{Device, Tensor};

/// Point clouds of one size, with a class each.
#[derive(Debug)]
pub struct PointBatch {
    /// Features of the points, fp32 (B, N, C); the first three channels are the position.
    pub points: Tensor,
    /// Class of every cloud, int64 (B).
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

/// A batch of any task, as the loops see it.
#[derive(Debug)]
pub enum Batch {
    /// Point clouds with a class each.
    Points(PointBatch),
    /// Images with a class each.
    Images(ImageBatch),
}

impl Batch {
    /// The number of samples B.
    pub fn len(&self) -> usize {
        usize::try_from(self.target().size()[0]).expect("sizes are not negative")
    }

    /// True for a batch without samples; loaders never make one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the loss compares with: classes, int64 (B).
    pub fn target(&self) -> &Tensor {
        match self {
            Self::Points(batch) => &batch.labels,
            Self::Images(batch) => &batch.labels,
        }
    }

    /// The same batch on `device`.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        match self {
            Self::Points(batch) => Self::Points(PointBatch {
                points: batch.points.to_device(device),
                labels: batch.labels.to_device(device),
            }),
            Self::Images(batch) => Self::Images(ImageBatch {
                images: batch.images.to_device(device),
                labels: batch.labels.to_device(device),
            }),
        }
    }

    /// The clouds of a task of the point space; panics on another's.
    pub fn points(&self) -> &PointBatch {
        match self {
            Self::Points(batch) => batch,
            Self::Images(_) => unreachable!("point networks are given points"),
        }
    }

    /// The images of a task of the image space; panics on another's.
    pub fn images(&self) -> &ImageBatch {
        match self {
            Self::Images(batch) => batch,
            Self::Points(_) => unreachable!("image networks are given images"),
        }
    }
}

//! What follows the cells of an image network: the mean over all pixels and a linear classifier, and in training,
//! where it is asked for, an auxiliary head on the cell at two thirds of the stack.

use crate::batch::Batch;
use crate::ops::Mode;
use crate::space::image::{ImageStem, auxiliary_position};
use crate::space::{CellPlan, Head, Output};
use crate::tensor::convolution::{Convolution, Window};
use crate::tensor::layers::{BatchNorm, Linear};
use crate::tensor::parameters::Path;
use tch::Tensor;

/// The weight with one value per class.
pub const OUTPUT_BIAS: &str = "classifier.bias";

/// The weight of the classifier.
pub const OUTPUT_WEIGHT: &str = "classifier.weight";

/// Classifier and auxiliary head.
pub struct ImageHead {
    classifier: Linear,
    auxiliary: Option<AuxiliaryHead>,
}

impl ImageHead {
    /// At the root of the names, without auxiliary head.
    pub fn new(root: &Path, plan: &[CellPlan], classes: i64) -> Self {
        let last = plan.last().expect("a network has a cell");
        Self { classifier: Linear::matrix(&root.sub("classifier"), last.outputs, classes, true), auxiliary: None }
    }

    /// The same with an auxiliary head, whose pool depends on the kind of stem.
    #[must_use]
    pub fn with_auxiliary(mut self, root: &Path, plan: &[CellPlan], classes: i64, stem: ImageStem) -> Self {
        self.auxiliary = Some(AuxiliaryHead::new(&root.sub("auxiliary_head"), plan, classes, stem));
        self
    }
}

impl Head for ImageHead {
    fn forward(&self, outputs: &[Tensor], _: &Batch, mode: Mode) -> Output {
        let last = outputs.last().expect("stem and cells have outputs");
        let auxiliary = self.auxiliary.as_ref().filter(|_| mode.is_training());
        Output {
            logits: self.classifier.forward(&mean_over_pixels(last)),
            auxiliary: auxiliary.map(|head| head.forward(outputs)),
        }
    }
}

/// (B, C, H, W) → (B, C).
pub(super) fn mean_over_pixels(x: &Tensor) -> Tensor {
    x.mean_dim([2_i64, 3].as_slice(), false, None)
}

/// Channels between the two convolutions, and of what is classified.
const WIDTHS: [i64; 2] = [128, 768];

/// Learns from a cell in the middle, so that the gradient reaches the cells before it on a short way.
struct AuxiliaryHead {
    position: usize,
    pool_stride: i64,
    narrow: (Convolution, BatchNorm),
    wide: (Convolution, BatchNorm),
    classifier: Linear,
}

impl AuxiliaryHead {
    /// At `path` (`features.2` to `features.6`, `classifier`).
    fn new(path: &Path, plan: &[CellPlan], classes: i64, stem: ImageStem) -> Self {
        let features = path.sub("features");
        let position = auxiliary_position(plan.len());
        let corner = Window { kernel: [2, 2], stride: [1, 1], padding: [0, 0], dilation: 1 };
        let norm = |place, channels| BatchNorm::new(&features.sub(place), channels);
        Self {
            position,
            // From 8×8 pixels (CIFAR) and from 7×7 (ImageNet) to 2×2.
            pool_stride: match stem {
                ImageStem::Cifar => 3,
                ImageStem::Imagenet => 2,
            },
            narrow: (
                Convolution::pointwise(&features.sub(2), plan[position].outputs, WIDTHS[0], 1),
                norm(3, WIDTHS[0]),
            ),
            wide: (Convolution::new(&features.sub(5), WIDTHS[0], WIDTHS[1], corner), norm(6, WIDTHS[1])),
            classifier: Linear::matrix(&path.sub("classifier"), WIDTHS[1], classes, true),
        }
    }

    /// Scores from the outputs of stem and cells; the stem's stands first.
    fn forward(&self, outputs: &[Tensor]) -> Tensor {
        let x = outputs[self.position + 1].relu();
        let mut x = x.avg_pool2d([5, 5], [self.pool_stride; 2], [0, 0], false, false, None);
        for (convolution, norm) in [&self.narrow, &self.wide] {
            x = norm.forward(&convolution.forward(&x), true).relu();
        }
        // One pixel is left of images of the published sizes.
        self.classifier.forward(&mean_over_pixels(&x))
    }
}

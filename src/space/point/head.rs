//! What follows the cells of a point network: fusion of stem and all cells, pooling over all points, and a classifier
//! of three layers, of the cloud or of every point.

use crate::batch::Batch;
use crate::ops::Mode;
use crate::space::point::{PointConfig, clouds};
use crate::space::{Head, Output};
use crate::tensor::layers::{Activation, Block, Linear, maximum_over_points};
use crate::tensor::parameters::Path;
use tch::Tensor;

const HIDDEN: [i64; 2] = [512, 256];

/// The name of the last layer's bias, which has a value per class.
pub const OUTPUT_BIAS: &str = "classifier.4.body.0.bias";

/// Stem and cells, (R, channels) side by side, and their fusion (clouds, points, embedding).
struct Fusion(Block);

impl Fusion {
    fn new(root: &Path, inputs: i64, config: &PointConfig) -> Self {
        Self(Block::new(&root.sub("fusion_conv"), inputs, config.embedding, Activation::LeakyRelu, false))
    }

    fn forward(&self, outputs: &[Tensor], batch: &Batch, mode: Mode) -> [Tensor; 2] {
        let joined = Tensor::cat(outputs, 1);
        let fused = self.0.forward(&joined, mode.by_batch_statistics());
        let fused = fused.view([clouds(batch), -1, fused.size()[1]]);
        [joined, fused]
    }
}

/// Two hidden layers with dropout and the scores.
struct Classifier {
    hidden: [Block; 2],
    output: Linear,
    dropout: f64,
}

impl Classifier {
    fn new(root: &Path, inputs: i64, config: &PointConfig, classes: i64) -> Self {
        let path = root.sub("classifier");
        let leaky = Activation::LeakyRelu;
        Self {
            hidden: [
                Block::new(&path.sub(0), inputs, HIDDEN[0], leaky, true),
                Block::new(&path.sub(2), HIDDEN[0], HIDDEN[1], leaky, true),
            ],
            output: Linear::new(&path.sub(4).sub("body").sub(0), HIDDEN[1], classes, true),
            dropout: config.dropout,
        }
    }

    /// From the first hidden layer's output.
    fn finish(&self, first: Tensor, mode: Mode) -> Output {
        let dropped = first.dropout(self.dropout, mode.is_training());
        let second = self.hidden[1].forward(&dropped, mode.by_batch_statistics());
        let second = second.dropout(self.dropout, mode.is_training());
        Output { logits: self.output.forward(&second), auxiliary: None }
    }
}

/// One class per cloud: from maximum and mean over its points, side by side.
pub struct CloudHead {
    fusion: Fusion,
    classifier: Classifier,
}

impl CloudHead {
    /// At the root of the names; `inputs` are the channels of stem and cells together.
    pub fn new(root: &Path, inputs: i64, config: &PointConfig, classes: i64) -> Self {
        let fusion = Fusion::new(root, inputs, config);
        Self { fusion, classifier: Classifier::new(root, 2 * config.embedding, config, classes) }
    }
}

impl Head for CloudHead {
    fn forward(&self, outputs: &[Tensor], batch: &Batch, mode: Mode) -> Output {
        let [_, fused] = self.fusion.forward(outputs, batch, mode);
        let mean = fused.mean_dim([1_i64].as_slice(), false, None);
        let pooled = Tensor::cat(&[maximum_over_points(&fused), mean], 1);
        self.classifier.finish(self.classifier.hidden[0].forward(&pooled, mode.by_batch_statistics()), mode)
    }
}

/// One class per point: from the maximum over the cloud beside the point's own features of stem and all cells, as
/// ResGCN has it.
pub struct SegmentationHead {
    fusion: Fusion,
    classifier: Classifier,
}

impl SegmentationHead {
    /// At the root of the names; `inputs` are the channels of stem and cells together.
    pub fn new(root: &Path, inputs: i64, config: &PointConfig, classes: i64) -> Self {
        let fusion = Fusion::new(root, inputs, config);
        Self { fusion, classifier: Classifier::new(root, config.embedding + inputs, config, classes) }
    }
}

impl Head for SegmentationHead {
    fn forward(&self, outputs: &[Tensor], batch: &Batch, mode: Mode) -> Output {
        let [joined, fused] = self.fusion.forward(outputs, batch, mode);
        let of_cloud = maximum_over_points(&fused);
        let first = self.classifier.hidden[0].forward_repeated(&of_cloud, &joined, mode.by_batch_statistics());
        self.classifier.finish(first, mode)
    }
}

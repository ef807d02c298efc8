//! What follows the cells of a point network: fusion of stem and all cells, maximum and mean over all points
//! side by side, and a classifier of three layers.

use crate::batch::Batch;
use crate::ops::Mode;
use crate::space::point::PointConfig;
use crate::space::{Head, Output};
use crate::tensor::layers::{Activation, Block, Linear, maximum_over_points};
use crate::tensor::parameters::Path;
use tch::Tensor;

const HIDDEN: [i64; 2] = [512, 256];

/// The name of the last layer's bias, which has a value per class.
pub const OUTPUT_BIAS: &str = "classifier.4.body.0.bias";

/// Fusion, pooling and classifier.
pub struct PointHead {
    fusion: Block,
    hidden: [Block; 2],
    output: Linear,
    dropout: f64,
}

impl PointHead {
    /// At the root of the names; `inputs` are the channels of stem and cells together.
    pub fn new(root: &Path, inputs: i64, config: &PointConfig, classes: i64) -> Self {
        let classifier = root.sub("classifier");
        let leaky = Activation::LeakyRelu;
        Self {
            fusion: Block::new(&root.sub("fusion_conv"), inputs, config.embedding, leaky, false),
            hidden: [
                Block::new(&classifier.sub(0), 2 * config.embedding, HIDDEN[0], leaky, true),
                Block::new(&classifier.sub(2), HIDDEN[0], HIDDEN[1], leaky, true),
            ],
            output: Linear::new(&classifier.sub(4).sub("body").sub(0), HIDDEN[1], classes, true),
            dropout: config.dropout,
        }
    }
}

impl Head for PointHead {
    fn forward(&self, outputs: &[Tensor], batch: &Batch, mode: Mode) -> Output {
        let training = mode.is_training();
        let fused = self.fusion.forward(&Tensor::cat(outputs, 1), training);
        let fused = fused.view([batch.len() as i64, -1, fused.size()[1]]);
        let mean = fused.mean_dim([1_i64].as_slice(), false, None);
        let mut x = Tensor::cat(&[maximum_over_points(&fused), mean], 1);
        for block in &self.hidden {
            x = block.forward(&x, training).dropout(self.dropout, training);
        }
        Output { logits: self.output.forward(&x), auxiliary: None }
    }
}

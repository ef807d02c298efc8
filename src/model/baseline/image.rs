//! The baseline on pictures: a residual network (He et al., Deep Residual Learning for Image Recognition, 2016) of
//! three stages, as the paper has it for CIFAR-10, upon the stem that `image.stem` names.

use crate::batch::Batch;
use crate::model::{Model, NetworkSpec};
use crate::ops::Mode;
use crate::space::image::{CifarStem, ImageStem, ImagenetStem};
use crate::space::{Output, Stem};
use crate::tensor::convolution::{Convolution, Window};
use crate::tensor::layers::{BatchNorm, Linear};
use crate::tensor::parameters::{Path, Store, Weights};
use crate::tensor::watch;
use tch::{Device, Tensor};

/// The name of the last layer's bias.
pub const OUTPUT_BIAS: &str = "classifier.bias";

/// Each halves the resolution and doubles the channels, but the first.
const STAGES: usize = 3;
/// As in ResNet-20.
const BLOCKS_PER_STAGE: usize = 3;
/// Blocks in all.
pub const BLOCKS: usize = STAGES * BLOCKS_PER_STAGE;

/// Convolution → norm → ReLU → convolution → norm, beside the identity, or where the shape changes a 1×1 convolution
/// with a norm; then ReLU.
struct BasicBlock {
    convolutions: [Convolution; 2],
    norms: [BatchNorm; 2],
    shortcut: Option<(Convolution, BatchNorm)>,
}

impl BasicBlock {
    fn new(path: &Path, inputs: i64, outputs: i64, stride: i64) -> Self {
        let convolution =
            |name, inputs, stride| Convolution::new(&path.sub(name), inputs, outputs, Window::square(3, stride, 1));
        let shortcut = (stride > 1 || inputs != outputs).then(|| {
            let path = path.sub("downsample");
            (Convolution::pointwise(&path.sub(0), inputs, outputs, stride), BatchNorm::new(&path.sub(1), outputs))
        });
        Self {
            convolutions: [convolution("conv1", inputs, stride), convolution("conv2", outputs, 1)],
            norms: [BatchNorm::new(&path.sub("bn1"), outputs), BatchNorm::new(&path.sub("bn2"), outputs)],
            shortcut,
        }
    }

    /// (B, C_in, H, W) → (B, C_out, H / stride, W / stride)
    fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let [first, second] = &self.convolutions;
        let inner = self.norms[0].forward(&first.forward(x), training).relu();
        let inner = self.norms[1].forward(&second.forward(&inner), training);
        let beside = match &self.shortcut {
            Some((convolution, norm)) => norm.forward(&convolution.forward(x), training),
            None => x.shallow_clone(),
        };
        (inner + beside).relu()
    }
}

/// Nine basic blocks of `model.channels`, twice and four times as many channels; the mean over all pixels; a classifier.
pub struct ResNet {
    stem: Box<dyn Stem>,
    blocks: Vec<BasicBlock>,
    classifier: Linear,
    weights: Weights,
}

impl ResNet {
    /// With the stem of `[image]`.
    pub fn new(spec: &NetworkSpec, device: Device) -> Self {
        let store = Store::new(device);
        let root = store.root();
        let mut channels = spec.model.channels;
        let stem: Box<dyn Stem> = match spec.image.stem {
            ImageStem::Cifar => Box::new(CifarStem::new(&root, channels)),
            ImageStem::Imagenet => Box::new(ImagenetStem::new(&root, channels)),
        };
        let mut blocks = Vec::with_capacity(BLOCKS);
        for stage in 0..STAGES {
            for position in 0..BLOCKS_PER_STAGE {
                let path = root.sub(format!("layer{}", stage + 1)).sub(position);
                let widens = stage > 0 && position == 0;
                let (outputs, stride) = if widens { (2 * channels, 2) } else { (channels, 1) };
                blocks.push(BasicBlock::new(&path, channels, outputs, stride));
                channels = outputs;
            }
        }
        let classifier = Linear::matrix(&root.sub("classifier"), channels, spec.classes as i64, true);
        let (parameters, buffers) = store.finish();
        Self { stem, blocks, classifier, weights: Weights { parameters, buffers } }
    }
}

impl Model for ResNet {
    fn forward(&self, batch: &Batch, mode: Mode) -> Output {
        let mut x = self.stem.forward(batch, mode).pop().expect("a stem has an output").relu();
        watch::look(|| "the stem".to_owned(), &x);
        for (position, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x, mode.by_batch_statistics());
            watch::look(|| format!("block {position}"), &x);
        }
        let pooled = x.mean_dim([2_i64, 3].as_slice(), false, None);
        Output { logits: self.classifier.forward(&pooled), auxiliary: None }
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }
}

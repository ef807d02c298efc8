//! What precedes the cells of an image network, one type per kind of stem.

use crate::batch::Batch;
use crate::ops::Mode;
use crate::space::Stem;
use crate::tensor::convolution::{Convolution, Window, laid_out};
use crate::tensor::layers::BatchNorm;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// Red, green and blue.
const COLOURS: i64 = 3;

/// 3×3 convolution → batch norm.
pub(super) struct Block {
    convolution: Convolution,
    norm: BatchNorm,
}

impl Block {
    /// Of three colours, which keeps the resolution, at `path` (`0`, `1`).
    pub(super) fn colours(path: &Path, outputs: i64) -> Self {
        Self::new(path, 0, COLOURS, outputs, 1)
    }

    /// At `path` (`first`, `first + 1`).
    fn new(path: &Path, first: usize, inputs: i64, outputs: i64, stride: i64) -> Self {
        let window = Window::square(3, stride, 1);
        Self {
            convolution: Convolution::new(&path.sub(first), inputs, outputs, window),
            norm: BatchNorm::new(&path.sub(first + 1), outputs),
        }
    }

    /// (B, C, H, W) to as many pixels over its stride.
    pub(super) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.norm.forward(&self.convolution.forward(x), mode.by_batch_statistics())
    }
}

/// Keeps the resolution; both inputs of the first cell are its output.
pub struct CifarStem(Block);

impl CifarStem {
    /// At `root` (`stem.0`, `stem.1`).
    pub fn new(root: &Path, outputs: i64) -> Self {
        Self(Block::colours(&root.sub("stem"), outputs))
    }
}

impl Stem for CifarStem {
    fn forward(&self, batch: &Batch, mode: Mode) -> Vec<Tensor> {
        let output = self.0.forward(&laid_out(&batch.images().images), mode);
        vec![output.shallow_clone(), output]
    }
}

/// A quarter of the resolution for the first input of the first cell, an eighth for the second.
pub struct ImagenetStem {
    quarter: [Block; 2],
    eighth: Block,
}

impl ImagenetStem {
    /// At `root` (`stem0.0` to `stem0.4`, `stem1.1` and `stem1.2`).
    pub fn new(root: &Path, outputs: i64) -> Self {
        let (first, second) = (root.sub("stem0"), root.sub("stem1"));
        Self {
            quarter: [Block::new(&first, 0, COLOURS, outputs / 2, 2), Block::new(&first, 3, outputs / 2, outputs, 2)],
            eighth: Block::new(&second, 1, outputs, outputs, 2),
        }
    }
}

impl Stem for ImagenetStem {
    fn forward(&self, batch: &Batch, mode: Mode) -> Vec<Tensor> {
        let [half, quarter] = &self.quarter;
        let half = half.forward(&laid_out(&batch.images().images), mode);
        let quarter = quarter.forward(&half.relu(), mode);
        let eighth = self.eighth.forward(&quarter.relu(), mode);
        vec![quarter, eighth]
    }
}

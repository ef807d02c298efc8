//! The baseline on shapes: a DGCNN (Wang et al., Dynamic Graph CNN for Learning on Point Clouds, 2019), with the order
//! of convolution, activation and norm, and with the head, of this program's point networks.

use crate::batch::Batch;
use crate::model::{Model, NetworkSpec};
use crate::ops::Mode;
use crate::ops::point::edge::EdgeConvolution;
use crate::space::point::CloudHead;
use crate::space::{Head, Output};
use crate::tensor::bridge::gather::OwnPoint;
use crate::tensor::layers::{Activation, Block};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::{Store, Weights};
use crate::tensor::precision::at_least_single;
use crate::tensor::watch;
use tch::Device;

pub use crate::space::point::OUTPUT_BIAS;

/// Channels of the edge convolutions.
pub const WIDTHS: [i64; 4] = [64, 64, 128, 256];
/// The name of a weight whose second dimension is twice the numbers per point.
pub const INPUT_WEIGHT: &str = "convolutions.0.body.0.weight";
/// Coordinates of a position: the first channels of a point.
const POSITION: i64 = 3;

/// Edge convolutions, each over the `point.k` nearest in its own input (the first: in the positions), the point itself
/// among them; then fusion, pooling and classifier.
pub struct Dgcnn {
    convolutions: Vec<EdgeConvolution>,
    head: CloudHead,
    k: i64,
    weights: Weights,
}

impl Dgcnn {
    /// With the widths of the paper, and what `[point]` says of neighbours and head.
    pub fn new(spec: &NetworkSpec, device: Device) -> Self {
        let store = Store::new(device);
        let root = store.root();
        let mut inputs = spec.in_channels;
        let mut convolutions = Vec::with_capacity(WIDTHS.len());
        for (position, width) in WIDTHS.into_iter().enumerate() {
            let path = root.sub("convolutions").sub(position);
            let block = Block::new(&path, 2 * inputs, width, Activation::Relu, false);
            convolutions.push(EdgeConvolution::between(block, OwnPoint::Kept));
            inputs = width;
        }
        let head = CloudHead::new(&root, WIDTHS.iter().sum(), &spec.point, spec.classes as i64);
        let (parameters, buffers) = store.finish();
        Self { convolutions, head, k: spec.point.k, weights: Weights { parameters, buffers } }
    }
}

impl Model for Dgcnn {
    fn forward(&self, batch: &Batch, mode: Mode) -> Output {
        let points = &batch.points().points;
        let (clouds, _, channels) = points.size3().expect("points are (B, N, C)");
        let mut x = points.view([-1, channels]);
        let mut searched = x.narrow(1, 0, POSITION).contiguous();
        let mut outputs = Vec::with_capacity(WIDTHS.len());
        for (position, convolution) in self.convolutions.iter().enumerate() {
            let neighbours = Neighbours::nearest(&searched, clouds, self.k, 1);
            let [output, _] = convolution.forward_rows(&x, None, &neighbours, mode.by_batch_statistics());
            watch::look(|| format!("convolution {position}"), &output);
            // The next one looks for neighbours in it: fp32 whatever the convolutions compute in.
            x = output.to_kind(at_least_single(output.kind()));
            searched = x.shallow_clone();
            outputs.push(x.shallow_clone());
        }
        let output = self.head.forward(&outputs, batch, mode);
        watch::look(|| "the head".to_owned(), &output.logits);
        output
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }
}

//! ResGCN (Li et al., DeepGCNs, 2019; docs/method.md, "ResGCN"): residual edge convolutions over neighbours that every
//! block looks for anew in its own features, a fusion of all blocks pooled over the cloud, and scores of every point.

mod config;

pub use config::ResGcnConfig;

use crate::batch::Batch;
use crate::model::Model;
use crate::ops::Mode;
use crate::ops::point::edge::EdgeConvolution;
use crate::space::Output;
use crate::tensor::bridge::gather::OwnPoint;
use crate::tensor::init::Init;
use crate::tensor::layers::{Activation, Block, Linear, maximum_over_points, prepare_pairs};
use crate::tensor::nearest::every;
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::{Path, Store, Weights};
use crate::tensor::precision::at_least_single;
use crate::tensor::watch;
use tch::{Device, Kind, Tensor};

/// Coordinates of a position: the first channels of a point.
const POSITION: i64 = 3;
/// The name of a weight whose second dimension is twice the numbers per point.
pub const INPUT_WEIGHT: &str = "head.gconv.nn.0.weight";
/// The name of a bias with a value per class.
pub const OUTPUT_BIAS: &str = "prediction.3.0.bias";

/// A ResGCN with its weights, whose names are those of the published code.
pub struct ResGcn {
    config: ResGcnConfig,
    /// The head, then the residual ones.
    convolutions: Vec<EdgeConvolution>,
    fusion: Block,
    prediction: [Block; 2],
    output: Linear,
    weights: Weights,
}

impl ResGcn {
    /// A fresh network from `in_channels` numbers per point to `classes` scores, its weights drawn from libtorch's
    /// generator.
    pub fn new(config: &ResGcnConfig, in_channels: i64, classes: i64, device: Device) -> Self {
        let store = Store::new(device);
        let root = store.root();
        let ResGcnConfig { blocks, channels, fusion, prediction: [wide, narrow], .. } = *config;
        let convolution = |path: &Path, inputs| {
            let block = block(&path.sub("gconv").sub("nn"), 2 * inputs, channels);
            EdgeConvolution::between(block, OwnPoint::Kept)
        };
        let residual = (1..blocks).map(|position| root.sub("backbone").sub(position - 1).sub("body"));
        let joined = channels * i64::try_from(blocks).expect("validated to be small");
        let head = convolution(&root.sub("head"), in_channels);
        let convolutions =
            std::iter::once(head).chain(residual.map(|path| convolution(&path, channels))).collect::<Vec<_>>();
        let fusion_block = block(&root.sub("fusion_block"), joined, fusion);
        let path = root.sub("prediction");
        let prediction = [block(&path.sub(0), joined + fusion, wide), block(&path.sub(1), wide, narrow)];
        let output = linear(&path.sub(3).sub(0), narrow, classes);
        let (parameters, buffers) = store.finish();
        let weights = Weights { parameters, buffers };
        Self { config: config.clone(), convolutions, fusion: fusion_block, prediction, output, weights }
    }

    /// Features of the points (R, C_in) to those of every block, (R, blocks · channels).
    fn features(&self, rows: &Tensor, clouds: i64, mode: Mode) -> Tensor {
        let position = rows.narrow(1, 0, POSITION).contiguous();
        let residual: Vec<&Linear> = self.convolutions[1..].iter().map(EdgeConvolution::map).collect();
        let prepared = prepare_pairs(rows, &residual);
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.convolutions.len());
        for (block, convolution) in self.convolutions.iter().enumerate() {
            let (input, searched) = outputs.last().map_or((rows, &position), |last| (last, last));
            let neighbours = Neighbours::at_ranks(searched, clouds, &self.ranks(block, mode.is_training()));
            let prepared = block.checked_sub(1).and_then(|residual| prepared.get(residual));
            let [output, input] = convolution.forward_rows(input, prepared, &neighbours, mode.by_batch_statistics());
            // Sums over many blocks, in which the next one looks for neighbours: fp32 whatever the blocks compute in.
            let output = output.to_kind(at_least_single(output.kind()));
            let output = if block == 0 { output } else { output + &input };
            watch::look(|| format!("block {block}"), &output);
            if let Some(last) = outputs.last_mut() {
                *last = input;
            }
            outputs.push(output);
        }
        Tensor::cat(&outputs, 1)
    }

    /// Which of a point's nearest are its neighbours, by their rank, 0 being the point itself: every dilation-th, or
    /// in training, with the configured probability, k of the k · dilation nearest; the same for all points.
    fn ranks(&self, block: usize, training: bool) -> Vec<i64> {
        let ResGcnConfig { k, stochastic, .. } = self.config;
        let dilation = self.config.dilation(block);
        if training && stochastic > 0.0 {
            // The generator of the CPU, which is seeded for every step whatever the device.
            let coin = Tensor::rand([1], (Kind::Float, Device::Cpu)).double_value(&[0]);
            if coin < stochastic {
                let drawn = Tensor::randperm(k * dilation, (Kind::Int64, Device::Cpu)).narrow(0, 0, k);
                return Vec::<i64>::try_from(drawn).expect("ranks are int64 (k)");
            }
        }
        every(k, dilation)
    }
}

impl Model for ResGcn {
    fn forward(&self, batch: &Batch, mode: Mode) -> Output {
        let points = &batch.points().points;
        let (clouds, _, channels) = points.size3().expect("points are (B, N, C)");
        let by_batch = mode.by_batch_statistics();
        let features = self.features(&points.view([-1, channels]), clouds, mode);
        let fused = self.fusion.forward(&features, by_batch);
        let pooled = maximum_over_points(&fused.view([clouds, -1, self.config.fusion]));
        let [wide, narrow] = &self.prediction;
        let x = wide.forward_repeated(&pooled, &features, by_batch);
        let x = narrow.forward(&x, by_batch).dropout(self.config.dropout, mode.is_training());
        let logits = self.output.forward(&x);
        watch::look(|| "the prediction".to_owned(), &logits);
        Output { logits, auxiliary: None }
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }
}

/// All linear maps start as N(0, 2 / fan-in), with biases of 0.
fn linear(path: &Path, inputs: i64, outputs: i64) -> Linear {
    Linear::starting(path, inputs, outputs, Init::kaiming(inputs), Some(Init::Zeros))
}

fn block(path: &Path, inputs: i64, outputs: i64) -> Block {
    Block::at(path, linear(&path.sub(0), inputs, outputs), outputs, Activation::Relu)
}

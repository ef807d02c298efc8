//! Baselines on graphs: two layers of graph convolutions (Kipf and Welling 2017), or of graph attention (Veličković et
//! al. 2018). Weights are called as in PyTorch Geometric's examples.

use crate::batch::Batch;
use crate::model::{Model, NetworkSpec};
use crate::ops::Mode;
use crate::space::Output;
use crate::space::graph::{GraphConfig, dropped, scored};
use crate::tensor::init::Init;
use crate::tensor::layers::{LEAKY_SLOPE, Linear, scores};
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::parameters::{Factor, Path, Store, Weights};
use crate::tensor::sparse;
use crate::tensor::watch;
use tch::{Device, Tensor};

/// The name of the last layer's bias.
pub const OUTPUT_BIAS: &str = "conv2.bias";
/// The name of the first layer's weight.
pub const INPUT_WEIGHT: &str = "conv1.lin.weight";

/// Heads of the hidden layer of graph attention, at most.
const HEADS: i64 = 8;

/// A layer along the links: (N, C_in) → (N, C_out).
trait Layer {
    fn forward(&self, x: &Tensor, links: &Links) -> Tensor;
}

/// Two layers with an activation between; `graph.feature_dropout` stands before the first, `graph.dropout` before the
/// second.
struct TwoLayers<L> {
    layers: [L; 2],
    activation: fn(&Tensor) -> Tensor,
    config: GraphConfig,
    weights: Weights,
}

impl<L: Layer> Model for TwoLayers<L> {
    fn forward(&self, batch: &Batch, mode: Mode) -> Output {
        let graph = batch.graphs();
        let [first, second] = &self.layers;
        let x = sparse::dropped_for_products(&graph.features, self.config.feature_dropout, mode.is_training());
        let x = (self.activation)(&first.forward(&x, &graph.links));
        watch::look(|| "conv1".to_owned(), &x);
        let logits = second.forward(&dropped(&x, self.config.dropout, mode), &graph.links);
        watch::look(|| "conv2".to_owned(), &logits);
        let logits = scored(&logits, graph, &self.config, Tensor::shallow_clone);
        Output { logits, auxiliary: None }
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }
}

/// A network of the two layers that `make` makes at the root of the names.
fn two_layers<L>(
    spec: &NetworkSpec,
    device: Device,
    activation: fn(&Tensor) -> Tensor,
    make: impl FnOnce(&Path) -> [L; 2],
) -> TwoLayers<L> {
    let store = Store::new(device);
    let layers = make(&store.root());
    let (parameters, buffers) = store.finish();
    TwoLayers { layers, activation, config: spec.graph.clone(), weights: Weights { parameters, buffers } }
}

/// y_i = b + Σ over j of V x_j / sqrt(d_i d_j), the node itself included once; d counts the links into a node.
struct Convolution {
    map: Linear,
    bias: Tensor,
}

impl Convolution {
    fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        Self {
            map: Linear::glorot(&path.sub("lin"), inputs, outputs),
            bias: path.weight("bias", &[outputs], Init::Zeros),
        }
    }
}

impl Layer for Convolution {
    fn forward(&self, x: &Tensor, links: &Links) -> Tensor {
        let sums = links.aggregates(&self.map.forward(x), &[Aggregate::NormalizedSum]);
        sums.into_iter().flatten().next().expect("what was asked for") + &self.bias
    }
}

/// Graph convolutions with ReLU between and `model.channels` hidden channels.
pub fn gcn(spec: &NetworkSpec, device: Device) -> impl Model + 'static {
    let (hidden, classes) = (spec.model.channels, spec.classes as i64);
    two_layers(spec, device, Tensor::relu, |root| {
        let first = Convolution::new(&root.sub("conv1"), spec.in_channels, hidden);
        [first, Convolution::new(&root.sub("conv2"), hidden, classes)]
    })
}

/// Heads side by side, each y_i = Σ over j of w_ij·V x_j, w_i = softmax over j of LeakyReLU(a_dst·V x_i + a_src·V x_j), the
/// node itself included once; and b.
struct Attention {
    map: Linear,
    target: Factor,
    source: Factor,
    bias: Tensor,
    heads: i64,
}

impl Attention {
    fn new(path: &Path, inputs: i64, heads: i64, channels: i64) -> Self {
        let vector = |name| path.factor(name, &[1, heads, channels], Init::glorot(heads, channels));
        Self {
            source: vector("att_src"),
            target: vector("att_dst"),
            map: Linear::glorot(&path.sub("lin"), inputs, heads * channels),
            bias: path.weight("bias", &[heads * channels], Init::Zeros),
            heads,
        }
    }
}

impl Layer for Attention {
    /// (N, C_in) → (N, heads · channels)
    fn forward(&self, x: &Tensor, links: &Links) -> Tensor {
        let mapped = self.map.forward(x).chunk(self.heads, 1);
        let head = |(head, hidden): (usize, &Tensor)| {
            let hidden = hidden.contiguous();
            let vector = |factor: &Factor| factor.tensor().select(1, head as i64);
            let vectors = Tensor::cat(&[vector(&self.target), vector(&self.source)], 0);
            let [target, source] = scores(&hidden, &vectors);
            links.attention(&hidden, &target, &source, LEAKY_SLOPE)
        };
        Tensor::cat(&mapped.iter().enumerate().map(head).collect::<Vec<_>>(), 1) + &self.bias
    }
}

/// Graph attention with ELU between: eight heads of `model.channels` / 8 channels (of fewer than eight channels as many
/// heads), then one. The published dropout of attention weights is left out.
pub fn gat(spec: &NetworkSpec, device: Device) -> impl Model + 'static {
    let heads = HEADS.min(spec.model.channels);
    let channels = spec.model.channels / heads;
    two_layers(spec, device, Tensor::elu, |root| {
        let first = Attention::new(&root.sub("conv1"), spec.in_channels, heads, channels);
        [first, Attention::new(&root.sub("conv2"), heads * channels, 1, spec.classes as i64)]
    })
}

//! The space of NAS-Bench-201 in whole networks: sizes and names as published, what a network computes, decisions.

use super::turn;
use sgas::batch::{Batch, ImageBatch};
use sgas::genotype::{Genotype, SpaceName};
use sgas::model::{self, Architecture, Model, ModelConfig, NetworkSpec};
use sgas::ops::Mode;
use sgas::tensor::random::{Key, Purpose};
use sgas::topology::CellKind;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor, no_grad};

/// The cell of index 9930, whose printed record says `FLOP=184.73 M, Params=1.289 MB` for CIFAR-10, 1.294 for CIFAR-100
/// and 1.296 for ImageNet16-120, whose 120 classes it has (comments of a file of cells by users of the published API).
const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";

/// One of all primitives.
const MIXED: &str = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|";

fn genotype(cell: &str) -> Genotype {
    Genotype::from_text(cell, "the cell", None).unwrap()
}

fn spec(channels: i64, cells: usize, classes: usize) -> NetworkSpec {
    NetworkSpec { model: ModelConfig { channels, cells }, classes, ..NetworkSpec::default() }
}

fn batch() -> Batch {
    Key::new(4, Purpose::Synthetic).seed_torch();
    let images = Tensor::randn([4, 3, 8, 8], (Kind::Float, Device::Cpu));
    Batch::Images(ImageBatch { images, labels: Tensor::from_slice(&[0_i64, 1, 2, 3]) })
}

fn state(model: &dyn Model) -> BTreeMap<String, Tensor> {
    model.weights().iter().map(|(name, value)| (name.to_owned(), value.shallow_clone())).collect()
}

#[test]
fn networks_have_as_many_weights_and_multiply_adds_as_published() {
    let _turn = turn();
    for (classes, millions) in [(10, "1.289"), (100, "1.294"), (120, "1.296")] {
        let architecture = Architecture::Cell(Box::new(genotype(CELL)));
        let count = model::parameter_count(&architecture, &spec(16, 15, classes));
        assert_eq!(format!("{:.3}", count as f64 / 1e6), millions);
    }
    let counted = model::multiply_adds(&genotype(CELL), &spec(16, 15, 10), 32).unwrap();
    assert_eq!(format!("{:.2}", counted.all as f64 / 1e6), "184.73");
}

#[test]
fn weights_are_named_as_published() {
    let _turn = turn();
    let derived = model::derived(&genotype(MIXED), &spec(4, 6, 10), 1, Device::Cpu);
    let names = state(&*derived);
    for (name, shape) in [
        ("stem.0.weight", &[4, 3, 3, 3][..]),
        ("stem.1.running_mean", &[4]),
        ("cells.0.layers.0.op.1.weight", &[4, 4, 3, 3]),
        ("cells.1.layers.4.op.1.weight", &[4, 4, 1, 1]),
        ("cells.2.conv_a.op.1.weight", &[8, 4, 3, 3]),
        ("cells.2.conv_b.op.2.bias", &[8]),
        ("cells.2.downsample.1.weight", &[8, 4, 1, 1]),
        ("cells.3.layers.5.op.2.weight", &[8]),
        ("cells.5.conv_a.op.1.weight", &[16, 8, 3, 3]),
        ("cells.7.layers.5.op.1.weight", &[16, 16, 3, 3]),
        ("lastact.0.weight", &[16]),
        ("classifier.bias", &[10]),
    ] {
        assert_eq!(names.get(name).unwrap_or_else(|| panic!("no {name}")).size(), shape, "{name}");
    }
    assert!(!names.keys().any(|name| name.starts_with("cells.0.layers.1") || name.starts_with("cells.8")));
    let searched = model::supernet(SpaceName::NAS_BENCH_201, &spec(4, 3, 10), 1e-3, 1, Device::Cpu);
    let names = state(&*searched);
    assert_eq!(names["cells.0.edges.3<-1.2.op.1.weight"].size(), [4, 4, 1, 1]);
    // Primitives of a search have norms without scale and shift, with running statistics.
    assert!(!names.contains_key("cells.0.edges.3<-1.2.op.2.weight"));
    assert!(names.contains_key("cells.0.edges.3<-1.2.op.2.running_mean"));
    assert!(names.contains_key("cells.1.conv_a.op.2.weight") && names.contains_key("stem.1.weight"));
}

/// What the published code computes in evaluation, operator by operator, with the network's own weights.
struct Composed(BTreeMap<String, Tensor>);

impl Composed {
    fn convolution(&self, x: &Tensor, name: &str, stride: i64) -> Tensor {
        let weight = &self.0[&format!("{name}.weight")];
        let padding = weight.size()[2] / 2;
        x.conv2d(weight, None::<&Tensor>, [stride; 2], [padding; 2], [1, 1], 1)
    }

    fn norm(&self, x: &Tensor, name: &str) -> Tensor {
        let of = |part: &str| self.0.get(&format!("{name}.{part}"));
        x.batch_norm(of("weight"), of("bias"), of("running_mean"), of("running_var"), false, 0.1, 1e-5, false)
    }

    fn relu_convolution_norm(&self, x: &Tensor, name: &str, stride: i64) -> Tensor {
        self.norm(&self.convolution(&x.relu(), &format!("{name}.op.1"), stride), &format!("{name}.op.2"))
    }

    /// The cell of [`MIXED`].
    fn cell(&self, x: &Tensor, position: usize) -> Tensor {
        let layer = |x: &Tensor, index| self.relu_convolution_norm(x, &format!("cells.{position}.layers.{index}"), 1);
        let first = layer(x, 0);
        let second = first.avg_pool2d([3, 3], [1, 1], [1, 1], false, false, None);
        x + layer(&first, 4) + layer(&second, 5)
    }

    fn residual(&self, x: &Tensor, position: usize) -> Tensor {
        let name = format!("cells.{position}");
        let half = self.relu_convolution_norm(x, &format!("{name}.conv_a"), 2);
        let mean = x.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None);
        self.relu_convolution_norm(&half, &format!("{name}.conv_b"), 1)
            + self.convolution(&mean, &format!("{name}.downsample.1"), 1)
    }

    fn logits(&self, images: &Tensor) -> Tensor {
        let x = self.norm(&self.convolution(images, "stem.0", 1), "stem.1");
        let x = self.residual(&self.cell(&x, 0), 1);
        let x = self.residual(&self.cell(&x, 2), 3);
        let x = self.norm(&self.cell(&x, 4), "lastact.0").relu();
        x.mean_dim([2_i64, 3].as_slice(), false, None)
            .linear(&self.0["classifier.weight"], Some(&self.0["classifier.bias"]))
    }
}

#[test]
fn a_network_computes_what_its_description_says() {
    let _turn = turn();
    let model = model::derived(&genotype(MIXED), &spec(4, 3, 10), 1, Device::Cpu);
    // A pass in training moves the running statistics away from 0 and 1.
    let batch = batch();
    no_grad(|| model.forward(&batch, Mode::TRAINING));
    let ours = no_grad(|| model.forward(&batch, Mode::Evaluation)).logits;
    let Batch::Images(images) = &batch else { unreachable!() };
    let theirs = no_grad(|| Composed(state(&*model)).logits(&images.images));
    let (difference, size) = ((&ours - &theirs).abs().max().double_value(&[]), theirs.abs().max().double_value(&[]));
    // Sums in fp32 in another order.
    assert!(difference < 1e-5 * size.max(1.0), "{difference} of {size}");
}

#[test]
fn none_is_decided_like_any_other_and_weights_leave() {
    let _turn = turn();
    let mut model = model::supernet(SpaceName::NAS_BENCH_201, &spec(4, 3, 10), 1e-3, 1, Device::Cpu);
    let left = |model: &dyn Model, edge: &str| {
        let inside = |name: &str| name.starts_with("cells.2.") && name.contains(&format!("edges.{edge}."));
        model.weights().iter().filter(|(name, _)| inside(name)).count()
    };
    assert_eq!(left(&*model, "1<-0"), left(&*model, "3<-2"));
    // Both edges into the second node carry nothing, so it is zero.
    for (edge, primitive) in [(0, 3), (1, 0), (2, 0), (3, 1), (4, 4), (5, 2)] {
        model.fix(CellKind::Normal, edge, primitive);
    }
    assert!(left(&*model, "1<-0") > 0 && left(&*model, "3<-2") > 0);
    assert_eq!(["2<-0", "2<-1", "3<-0", "3<-1"].map(|edge| left(&*model, edge)), [0; 4]);
    let logits = model.forward(&batch(), Mode::TRAINING).logits;
    assert_eq!(logits.size(), [4, 10]);
    assert!(logits.isfinite().all().int64_value(&[]) == 1);
}

//! The types of features on their way through a network: half precision stays half from operator to operator, on the
//! CPU's kernels, on plain tensor operations, and under CUDA's autocast, whose lists are not the CPU's (sums, norms and
//! powers give fp32 there, which would promote all that follows).

use super::types::is_half;
use super::{CLASSES, Case, FLOAT, SEED, cases, device, graph, mixed, turn};
use sgas::batch::Batch;
use sgas::genotype::SpaceName;
use sgas::ops::image::Build;
use sgas::ops::{self, Mode, Operation, State};
use sgas::step::{LossConfig, WeightStep};
use sgas::optim::WeightConfig;
use sgas::tensor::bridge::autocast::Autocast;
use sgas::tensor::bridge::types::recorded;
use sgas::tensor::convolution::channels_last;
use sgas::tensor::fused::TensorPath;
use sgas::tensor::neighbours::Neighbours;
use sgas::tensor::parameters::{Path, Store};
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use tch::{Kind, Tensor};

const CHANNELS: i64 = 8;

/// The types of what an operation makes of features of this type, and of their gradient.
fn types<C>(operation: &dyn Operation<C>, x: &Tensor, context: &C, half: Kind) -> [Kind; 2] {
    let x = x.to_device(device()).to_kind(half).set_requires_grad(true);
    let y = {
        let _guard = Autocast::enter(device(), half).unwrap();
        operation.forward(&State::new(x.shallow_clone()), context, Mode::TRAINING)
    };
    let gradients = Tensor::run_backward(&[y.to_kind(Kind::Float).sum(Kind::Float)], &[&x], false, false);
    [y.kind(), gradients[0].kind()]
}

/// Every primitive of a space by name, with what it makes.
fn each<C>(
    space: SpaceName,
    build: impl Fn(&Path, &str) -> Option<Box<dyn Operation<C>>>,
    x: &Tensor,
    context: &C,
    half: Kind,
) -> Vec<(&'static str, [Kind; 2])> {
    let found = space.primitives().iter().filter_map(|primitive| {
        let store = Store::new(device());
        let operation = build(&store.root(), primitive)?;
        Some((*primitive, types(&*operation, x, context, half)))
    });
    found.collect()
}

fn primitives(space: SpaceName, half: Kind) -> Vec<(&'static str, [Kind; 2])> {
    Key::new(SEED, Purpose::Synthetic).seed_torch();
    match space {
        SpaceName::Point => {
            let positions = Tensor::randn([2 * 32, 3], FLOAT).to_device(device());
            let neighbours = Neighbours::nearest(&positions, 2, 4, 1);
            let x = Tensor::randn([2 * 32, CHANNELS], FLOAT);
            each(space, |path, primitive| ops::point::operation(path, primitive, CHANNELS), &x, &neighbours, half)
        }
        SpaceName::Image => {
            let x = channels_last(&Tensor::randn([4, CHANNELS, 8, 8], FLOAT));
            let build = |path: &Path, primitive: &str| {
                let build = Build { channels: CHANNELS, stride: 1, affine: true, normed_pools: true };
                ops::image::operation(path, primitive, build)
            };
            each(space, build, &x, &(), half)
        }
        SpaceName::Graph => {
            let Batch::Graphs(batch) = graph().to_device(device()) else { unreachable!("made so") };
            let x = Tensor::randn([batch.features.size()[0], CHANNELS], FLOAT);
            each(space, |path, primitive| ops::graph::operation(path, primitive, CHANNELS), &x, &batch.links, half)
        }
    }
}

#[test]
fn every_primitive_keeps_half_precision() {
    let _turn = turn();
    for (space, half) in [SpaceName::Point, SpaceName::Image, SpaceName::Graph]
        .into_iter()
        .flat_map(|space| [Kind::BFloat16, Kind::Half].map(|half| (space, half)))
    {
        for kernels in [true, false] {
            let _path = (!kernels).then(TensorPath::enter);
            let found = primitives(space, half);
            assert!(found.len() + 1 >= space.primitives().len(), "all but none");
            let other: Vec<_> = found.iter().filter(|(_, types)| *types != [half; 2]).collect();
            assert!(other.is_empty(), "{space}, {half:?}, kernels {kernels}: {other:?}");
        }
    }
}

#[test]
fn explore() {
    let _turn = turn();
    for case in cases() {
        let model = case.network();
        let mut step = WeightStep::new(&*model, &WeightConfig::default(), Precision::Bf16, LossConfig::default());
        let batch = case.batch(0);
        let _path = TensorPath::enter();
        let (_, arrivals) = recorded(|| step.run(&*model, case.task, &batch, Mode::TRAINING, 0.01).map(drop)).unwrap();
        let matrices = model.weights().parameters.iter().filter(|(_, leaf)| leaf.dim() >= 2).count();
        println!("=== {:?}: {matrices} matrices", case.kind);
        for arrival in arrivals {
            let mixed = arrival.inputs.iter().any(is_half) != arrival.inputs.iter().all(is_half);
            let cast = arrival.inputs.first().map(is_half) != arrival.outputs.first().map(is_half);
            println!("{} {} {} {:?} -> {:?}{}{}", if arrival.backward {"b"} else {"f"}, arrival.calls, arrival.name, arrival.inputs, arrival.outputs, if mixed {" MIXED"} else {""}, if cast {" CAST"} else {""});
        }
    }
    let _ = (CLASSES, mixed());
    let _: Option<Case> = None;
}

//! The types of features on their way through a network: half precision stays half from operator to operator, on the
//! CPU's kernels, on plain tensor operations, and under CUDA's autocast, whose lists are not the CPU's (sums, norms and
//! powers give fp32 there, which would promote all that follows).

use super::types::{is_half, search, train};
use super::{FLOAT, SEED, device, graph, mixed_cases, turn};
use sgas::batch::{Batch, BatchKind};
use sgas::genotype::SpaceName;
use sgas::ops::image::Build;
use sgas::ops::{self, Mode, Operation, State};
use sgas::tensor::bridge::autocast::Autocast;
use sgas::tensor::bridge::types::{Arrival, recorded};
use sgas::tensor::convolution::laid_out;
use sgas::tensor::fused::TensorPath;
use sgas::tensor::neighbours::Neighbours;
use sgas::tensor::parameters::{Path, Store};
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
    match space.takes() {
        BatchKind::Points => {
            let positions = Tensor::randn([2 * 32, 3], FLOAT).to_device(device());
            let neighbours = Neighbours::nearest(&positions, 2, 4, 1);
            let x = Tensor::randn([2 * 32, CHANNELS], FLOAT);
            each(space, |path, primitive| ops::point::operation(path, primitive, CHANNELS), &x, &neighbours, half)
        }
        BatchKind::Images => {
            let x = laid_out(&Tensor::randn([4, CHANNELS, 8, 8], FLOAT));
            let build = |path: &Path, primitive: &str| {
                let build = Build { channels: CHANNELS, stride: 1, affine: true, normed_pools: true };
                ops::image::operation(path, primitive, build)
            };
            each(space, build, &x, &(), half)
        }
        BatchKind::Graphs => {
            let Batch::Graphs(batch) = graph().to_device(device()) else { unreachable!("made so") };
            let x = Tensor::randn([batch.features.size()[0], CHANNELS], FLOAT);
            each(space, |path, primitive| ops::graph::operation(path, primitive, CHANNELS), &x, &batch.links, half)
        }
    }
}

#[test]
fn every_primitive_keeps_half_precision() {
    let _turn = turn();
    for (space, half) in [SpaceName::POINT, SpaceName::IMAGE, SpaceName::GRAPH]
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

/// Takes half precision and fp32, and gives fp32: what follows would be computed in fp32 too.
fn promotes(arrival: &Arrival) -> bool {
    // Norms take fp32 statistics beside half features, copies cast, and sums and comparisons are given the place of their
    // result.
    let mixes = !["batch_norm", "copy", "sum", "::eq"].iter().any(|word| arrival.name.contains(word));
    let has = |kinds: &[Kind], wanted: fn(&Kind) -> bool| kinds.iter().any(wanted);
    mixes
        && arrival.within.is_none()
        && has(&arrival.inputs, is_half)
        && has(&arrival.inputs, |kind| !is_half(kind))
        && has(&arrival.outputs, |kind| !is_half(kind))
}

/// Where one edge of a node, one part of a mixture or one state of a cell came as fp32, their sum or their join would
/// be fp32.
#[test]
fn no_operator_of_a_step_turns_half_precision_into_fp32() {
    let _turn = turn();
    for (case, precision) in &mixed_cases() {
        for kernels in [true, false] {
            let _path = (!kernels).then(TensorPath::enter);
            let arrivals = [Some(train(case, *precision)), search(case, *precision)].into_iter().flatten().flatten();
            let found: Vec<String> = arrivals.filter(promotes).map(|arrival| format!("{arrival:?}")).collect();
            let what = format!("{:?} in {}, kernels {kernels}", case.kind, precision.name());
            assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
        }
    }
}

/// A search for promotions that finds none would prove nothing.
#[test]
fn a_sum_of_half_precision_and_fp32_is_seen() {
    let _turn = turn();
    let sum = |kind| {
        let of = |kind| Tensor::ones([2, 2], (kind, device()));
        recorded(|| drop(of(Kind::Half) + of(kind))).unwrap().1.iter().any(promotes)
    };
    assert!(sum(Kind::Float) && !sum(Kind::Half));
}

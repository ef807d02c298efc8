//! What the point primitives keep and take: on the kernel path nothing of the size of all pairs (point, neighbour) of
//! features, neither saved for the backward pass nor for a moment.

use sgas::genotype::SpaceName;
use sgas::ops::{Mode, State, point};
use sgas::tensor::bridge::memory::{TensorBytes, metered};
use sgas::tensor::fused::TensorPath;
use sgas::tensor::neighbours::Neighbours;
use sgas::tensor::parameters::Store;
use tch::{Device, Kind, Tensor};

const CLOUDS: i64 = 2;
const POINTS: i64 = 256;
const CHANNELS: i64 = 64;
const FLOAT: i64 = 4;
/// Bytes of the features.
const ROWS: i64 = CLOUDS * POINTS * CHANNELS * FLOAT;

/// Bytes held between a primitive's forward and backward pass, its result included, and all that it took.
fn pass(primitive: &str, k: i64) -> Option<(i64, TensorBytes)> {
    let store = Store::new(Device::Cpu);
    let operation = point::operation(&store.root(), primitive, CHANNELS)?;
    let (parameters, _) = store.finish();
    let positions = Tensor::rand([CLOUDS * POINTS, 3], (Kind::Float, Device::Cpu));
    let neighbours = Neighbours::nearest(&positions, CLOUDS, k, 1);
    let x = Tensor::randn([CLOUDS * POINTS, CHANNELS], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let mut leaves: Vec<&Tensor> = parameters.iter().map(|(_, leaf)| leaf).collect();
    leaves.push(&x);
    let run = |meter: &sgas::tensor::bridge::memory::Meter| {
        let state = State::new(x.shallow_clone());
        let y = operation.forward(&state, &neighbours, Mode::TRAINING);
        drop(state);
        let held = meter.read().held;
        let _gradients = Tensor::run_backward(&[y.sum(Kind::Float)], &leaves, false, false);
        held
    };
    Some(metered(run).unwrap())
}

fn primitives() -> impl Iterator<Item = &'static str> {
    SpaceName::POINT.primitives().iter().copied()
}

#[test]
fn kernels_keep_no_features_of_pairs() {
    let mut seen = 0;
    for primitive in primitives() {
        let Some(((few, _), (many, bytes))) = pass(primitive, 9).zip(pass(primitive, 25)) else { continue };
        // Attention keeps a number per pair; 16 pairs of a point more are 1024 numbers of features more.
        let numbers = CLOUDS * POINTS * (25 - 9) * FLOAT;
        assert!(many - few <= numbers, "{primitive} keeps {} bytes more for 25 than for 9 neighbours", many - few);
        assert!(bytes.largest <= ROWS, "{primitive} takes a tensor of {} bytes, rows are {ROWS}", bytes.largest);
        seen += 1;
    }
    assert_eq!(seen, 9, "all primitives but none");
}

/// The measure sees the pairs where they are: the same primitives by plain tensor operations.
#[test]
fn plain_operations_take_the_pairs() {
    let _plain = TensorPath::enter();
    let local = ["skip_connect", "conv_1x1"];
    for primitive in primitives().filter(|name| !local.contains(name)) {
        let Some((_, bytes)) = pass(primitive, 25) else { continue };
        assert!(bytes.largest >= 24 * ROWS, "{primitive} takes {} bytes at most", bytes.largest);
    }
}

#[test]
fn a_meter_counts_what_is_taken_and_given_back() {
    let before = Tensor::zeros([1000], (Kind::Float, Device::Cpu));
    let ((), bytes) = metered(|meter| {
        drop(before);
        let kept = Tensor::zeros([256], (Kind::Float, Device::Cpu));
        drop(Tensor::zeros([512], (Kind::Float, Device::Cpu)));
        assert_eq!(meter.read().held, 1024);
        drop(kept);
    })
    .unwrap();
    assert_eq!(bytes, TensorBytes { held: 0, peak: 3072, largest: 2048 });
}

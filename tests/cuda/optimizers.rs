//! The kernels for optimizers, beside libtorch's operators.

use crate::kernels::{CUDA, close, has_kernels, numbers};
use sgas::optim::{Adam, AdamConfig, Sgd, Skip, clip};
use sgas::tensor::fused::TensorPath;
use tch::{Kind, Tensor};

/// Flat numbers: one, as many as a block sums, and one more.
const SIZES: [i64; 4] = [1, 300, 4096, 4097];

fn flag(value: f64, goes_on: bool) -> Skip {
    Skip { flag: Tensor::full([0_i64; 0], value, (Kind::Float, CUDA)), goes_on }
}

/// What `run` leaves by the kernels and by operators.
fn both(run: impl Fn() -> Vec<Tensor>) -> [Vec<Tensor>; 2] {
    let found = tch::no_grad(&run);
    let _plain = TensorPath::enter();
    [found, tch::no_grad(&run)]
}

fn agree(run: impl Fn() -> Vec<Tensor>, what: &str) {
    let [found, expected] = both(run);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        close(found, expected, Kind::Float, what);
    }
}

#[test]
fn gradients_are_measured_and_clipped_as_by_operators() {
    if !has_kernels() {
        return;
    }
    for size in SIZES {
        for greatest in [0.0, 0.5, 1e6] {
            let clipped = || {
                let mut gradient = numbers(&[size], 1);
                vec![clip(&mut gradient, greatest), gradient]
            };
            agree(clipped, &format!("{size} numbers clipped to {greatest}"));
        }
    }
    for broken in [f64::INFINITY, f64::NAN] {
        let mut gradient = numbers(&[5000], 1);
        drop(gradient.get(4990).fill_(broken));
        let norm = clip(&mut gradient, 5.0).double_value(&[]);
        assert_eq!((norm.is_nan(), norm.is_infinite()), (broken.is_nan(), broken.is_infinite()));
    }
}

/// Some steps are skipped, and weights that are no numbers stay away from them.
#[test]
fn steps_end_where_those_of_operators_end() {
    if !has_kernels() {
        return;
    }
    for size in SIZES {
        for goes_on in [false, true] {
            let skips = || [0.0, 1.0, 0.0, 0.0].map(|value| flag(value, goes_on));
            let gradient = |step: u64, skip: &Skip| {
                let gradient = numbers(&[size], step + 2);
                if skip.flag.double_value(&[]) == 0.0 { gradient } else { gradient * f64::NAN }
            };
            let sgd = || {
                let weights = numbers(&[size], 1);
                let mut sgd = Sgd::new(&weights, 0.9, 0.02);
                (0..).zip(skips()).for_each(|(step, skip)| sgd.step(&weights, gradient(step, &skip), 0.1, Some(&skip)));
                sgd.step(&weights, numbers(&[size], 9), 0.1, None);
                let momentum = sgd.state()[0].1.copy();
                vec![weights, momentum]
            };
            agree(sgd, &format!("SGD on {size} numbers, goes on: {goes_on}"));
            let adam = || {
                let weights = numbers(&[size], 1);
                let config = AdamConfig { betas: (0.5, 0.999), epsilon: 1e-8, weight_decay: 0.001 };
                let mut adam = Adam::new(&weights, config);
                (0..)
                    .zip(skips())
                    .for_each(|(step, skip)| adam.step(&weights, gradient(step, &skip), 0.01, Some(&skip)));
                adam.step(&weights, numbers(&[size], 9), 0.01, None);
                let state = adam.state();
                let steps = Tensor::from(adam.steps()).to_device(CUDA);
                vec![weights, state[0].1.copy(), state[1].1.copy(), steps]
            };
            agree(adam, &format!("Adam on {size} numbers, goes on: {goes_on}"));
        }
    }
}

//! The kernels for rows, beside libtorch's operators.

use crate::kernels::{KINDS, close, evaluated, has_kernels, numbers};
use sgas::tensor::fused::TensorPath;
use sgas::tensor::layers::{relu_unit_length, unit_length};
use sgas::tensor::native::readers_of;
use tch::{Kind, Tensor};

/// More channels than a warp has threads, fewer, and one.
#[test]
fn rows_of_unit_length_equal_libtorchs_operators() {
    if !has_kernels() {
        return;
    }
    for (rows, channels) in [(300, 1), (7, 33), (65, 5), (1, 130)] {
        // No row is zero, also behind a ReLU.
        let x = numbers(&[rows, channels], 1) + 0.07;
        tch::no_grad(|| drop(x.narrow(1, 0, 1).abs_()));
        let probe = numbers(&[rows, channels], 2);
        for kind in KINDS {
            for f in [unit_length, relu_unit_length] {
                let (x, probe) = (x.to_kind(kind), probe.to_kind(kind));
                let found = evaluated(&x, &probe, f);
                let _plain = TensorPath::enter();
                let expected = evaluated(&x.to_kind(Kind::Float), &probe.to_kind(Kind::Float), f);
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found.kind(), kind);
                    close(found, expected, kind, &format!("{rows} rows of {channels}, {kind:?}"));
                }
            }
        }
    }
}

/// A row of zeros has a length that is taken for a small one, and is a constant.
#[test]
fn rows_of_zeros_stay_zeros() {
    if !has_kernels() {
        return;
    }
    let (x, probe) = (numbers(&[2, 40], 1), numbers(&[2, 40], 2));
    for f in [unit_length, relu_unit_length] {
        tch::no_grad(|| drop(x.get(0).fill_(0.0)));
        let both = || evaluated(&x, &probe, f).map(|tensor| tensor.get(0));
        let found = both();
        let _plain = TensorPath::enter();
        let expected = both();
        assert!(found[0].equal(&expected[0]) && found[0].abs().max().double_value(&[]) == 0.0);
        assert!(found[1].allclose(&expected[1], 1e-6, 0.0, false), "{:?} {:?}", found[1], expected[1]);
    }
}

/// Gradients that lie side by side in wider rows, that are missing, and that one number stands for.
#[test]
fn gradients_of_many_readers_are_added_up() {
    if !has_kernels() {
        return;
    }
    let (rows, channels) = (37, 5);
    let probe = numbers(&[rows, 3 * channels], 3);
    // Multiples of a half, so that sums are exact in every type.
    let x = numbers(&[rows, channels], 4).round();
    for kind in KINDS {
        let probe = probe.round().to_kind(kind);
        let of = |readers: &[Tensor; 4]| {
            let joined = Tensor::cat(&readers[..3], 1) * &probe;
            joined.sum(Kind::Float) + readers[3].sum(Kind::Float)
        };
        let gradient = |split: bool| {
            let leaf = x.to_kind(kind).copy().set_requires_grad(true);
            let names = readers_of(&leaf, 9);
            assert_eq!(names.len(), 9);
            let readers: [Tensor; 4] =
                std::array::from_fn(|name| if split { names[2 * name].shallow_clone() } else { leaf.shallow_clone() });
            Tensor::run_backward(&[of(&readers)], &[&leaf], false, false).swap_remove(0)
        };
        assert!(gradient(true).equal(&gradient(false)), "{kind:?}");
    }
    assert!(readers_of(&x, 9).is_empty(), "nobody adds up");
}

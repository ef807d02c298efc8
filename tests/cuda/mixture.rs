//! The kernels for the sum of a node's weighed parts, beside libtorch's operators.

use crate::kernels::{CUDA, KINDS, close, has_kernels, numbers};
use sgas::tensor::fused::TensorPath;
use sgas::tensor::layers::{ActivatedNorm, Activation, BatchNorm};
use sgas::tensor::mixture::{Mixture, NodeSum, Part};
use sgas::tensor::parameters::Store;
use tch::{Kind, Tensor};

/// What stands between a part and its weight.
enum Before {
    Nothing,
    Norm(BatchNorm),
    Tail(ActivatedNorm),
}

impl Before {
    fn norm(&self) -> Option<&BatchNorm> {
        match self {
            Self::Nothing => None,
            Self::Norm(norm) => Some(norm),
            Self::Tail(tail) => Some(&tail.norm),
        }
    }
}

/// The sum, the gradients of weights, parts, scales and shifts, and the norms' running statistics.
fn summed(parts: &[Tensor], table: &Tensor, probe: &Tensor, training: bool) -> Vec<Tensor> {
    let (store, channels) = (Store::new(CUDA), parts[0].size()[1]);
    let path = |index: usize| store.root().sub(index);
    let tail = |index, activation| Before::Tail(ActivatedNorm::new(&path(index), channels, activation));
    let before = [
        Before::Norm(BatchNorm::with(&path(0), channels, false)),
        Before::Nothing,
        tail(2, Activation::Relu),
        Before::Nothing,
        tail(4, Activation::LeakyRelu),
        tail(5, Activation::None),
    ];
    let norms = || before.iter().filter_map(Before::norm).map(|norm| norm.in_bridge(training));
    let affine: Vec<&Tensor> = norms().flat_map(|norm| [norm.weight, norm.bias]).flatten().collect();
    for (seed, tensor) in (20..).zip(&affine) {
        tch::no_grad(|| tensor.shallow_clone().copy_(&(numbers(&[channels], seed) + 0.2)));
    }
    let table = table.copy().set_requires_grad(true);
    let leaves: Vec<Tensor> = parts.iter().map(|part| part.detach().set_requires_grad(true)).collect();
    let mut sum = NodeSum::default();
    let given = leaves.iter().zip(&before).map(|(leaf, before)| {
        let leaf = leaf.shallow_clone();
        Some(match before {
            Before::Nothing => Part::plain(leaf),
            Before::Norm(norm) => Part::normed(leaf, norm, training),
            Before::Tail(tail) => Part::unfinished(leaf, tail, training),
        })
    });
    sum.add_mixed(0, parts.len(), given);
    let mixture = Mixture::new(&table, &[1]);
    let y = sum.finish(Some(&mixture), 0, |_, _| unreachable!("no edge is masked"));
    let loss = (&y * probe.to_kind(y.kind())).sum(Kind::Float);
    let wanted: Vec<&Tensor> = std::iter::once(&table).chain(&leaves).chain(affine).collect();
    let gradients = Tensor::run_backward(&[loss], &wanted, false, false);
    let moved = norms().flat_map(|norm| [norm.running_mean, norm.running_var].map(Tensor::copy));
    std::iter::once(y.detach()).chain(gradients).chain(moved).collect()
}

#[test]
fn sums_of_nodes_equal_libtorchs_operators() {
    if !has_kernels() {
        return;
    }
    // More numbers of a channel than one block sums, more channels than it has threads; rows, and images of both layouts.
    for (shape, is_last) in [
        (vec![9000, 3], false),
        (vec![40, 300], false),
        (vec![9, 2, 32, 30], false),
        (vec![3, 5, 8, 6], true),
        (vec![2, 1, 1, 1], false),
    ] {
        let stored = if is_last { vec![shape[0], shape[2], shape[3], shape[1]] } else { shape.clone() };
        let laid = |x: Tensor| if is_last { x.permute([0, 3, 1, 2]) } else { x };
        let parts: Vec<Tensor> = (0..6).map(|seed| laid(numbers(&stored, seed))).collect();
        let probe = laid(numbers(&stored, 9));
        let table = numbers(&[1, 6], 10) + 0.3;
        for (kind, training) in KINDS.into_iter().map(|kind| (kind, true)).chain([(Kind::Float, false)]) {
            let typed: Vec<Tensor> = parts.iter().map(|part| part.to_kind(kind)).collect();
            let found = summed(&typed, &table, &probe, training);
            let expected = {
                let _plain = TensorPath::enter();
                summed(&parts, &table, &probe, training)
            };
            assert_eq!(found.len(), expected.len());
            for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
                close(found, expected, kind, &format!("{number} of {shape:?} {kind:?}, training {training}"));
            }
        }
    }
}

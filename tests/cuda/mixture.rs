//! The kernels for the sum of a node's weighed parts, beside libtorch's operators.

use crate::kernels::{CUDA, KINDS, close, has_kernels, numbers};
use sgas::tensor::fused::TensorPath;
use sgas::tensor::layers::BatchNorm;
use sgas::tensor::mixture::{Mixture, NodeSum, Part};
use sgas::tensor::parameters::Store;
use tch::{Kind, Tensor};

/// What the parts have: a norm and a weight, a weight alone.
#[derive(Clone, Copy)]
enum Of {
    Norm,
    Weight,
}

/// The sum, the gradients of weights and parts, and the norms' running statistics.
fn summed(parts: &[Tensor], of: &[Of], table: &Tensor, probe: &Tensor, training: bool) -> Vec<Tensor> {
    let store = Store::new(CUDA);
    let norm = |index: usize| BatchNorm::with(&store.root().sub(index), parts[0].size()[1], false);
    let norms: Vec<BatchNorm> = (0..parts.len()).map(norm).collect();
    let table = table.copy().set_requires_grad(true);
    let leaves: Vec<Tensor> = parts.iter().map(|part| part.detach().set_requires_grad(true)).collect();
    let mut sum = NodeSum::default();
    let given = leaves.iter().zip(&norms).zip(of).map(|((leaf, norm), of)| match of {
        Of::Norm => Some(Part::normed(leaf.shallow_clone(), norm, training)),
        Of::Weight => Some(Part::plain(leaf.shallow_clone())),
    });
    sum.add_mixed(0, parts.len(), given);
    let mixture = Mixture::new(&table, &[1]);
    let y = sum.finish(Some(&mixture), 0, |_, _| unreachable!("no edge is masked"));
    let loss = (&y * probe.to_kind(y.kind())).sum(Kind::Float);
    let wanted: Vec<&Tensor> = std::iter::once(&table).chain(&leaves).collect();
    let gradients = Tensor::run_backward(&[loss], &wanted, false, false);
    let moved = norms
        .iter()
        .map(|norm| norm.in_bridge(training))
        .flat_map(|norm| [norm.running_mean, norm.running_var].map(Tensor::copy));
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
        let of = [Of::Norm, Of::Weight, Of::Norm, Of::Weight, Of::Norm];
        let stored = if is_last { vec![shape[0], shape[2], shape[3], shape[1]] } else { shape.clone() };
        let laid = |x: Tensor| if is_last { x.permute([0, 3, 1, 2]) } else { x };
        let parts: Vec<Tensor> = (0..5).map(|seed| laid(numbers(&stored, seed))).collect();
        let probe = laid(numbers(&stored, 9));
        let table = numbers(&[1, 5], 10) + 0.3;
        for (kind, training) in KINDS.into_iter().map(|kind| (kind, true)).chain([(Kind::Float, false)]) {
            let typed: Vec<Tensor> = parts.iter().map(|part| part.to_kind(kind)).collect();
            let found = summed(&typed, &of, &table, &probe, training);
            let expected = {
                let _plain = TensorPath::enter();
                summed(&parts, &of, &table, &probe, training)
            };
            assert_eq!(found.len(), expected.len());
            for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
                close(found, expected, kind, &format!("{number} of {shape:?} {kind:?}, training {training}"));
            }
        }
    }
}

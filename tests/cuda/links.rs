//! Kernels of ours for CUDA along the links of a graph, beside libtorch's operators.

use crate::kernels::{CUDA, KINDS, close, evaluated, has_kernels, numbers};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sgas::tensor::adjacency::Adjacency;
use sgas::tensor::fused::{TensorPath, is_plain};
use sgas::tensor::layers::BatchNorm;
use sgas::tensor::links::{Aggregate, Links};
use sgas::tensor::parameters::Store;
use tch::{Kind, Tensor};

/// Links with nodes that none leads into or out of, several of a node to itself, repeated ones, and a node that all others
/// lead to and from.
fn graph(nodes: u32, seed: u64) -> Links {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut links = vec![[1, 1], [1, 1], [0, 1], [0, 1]];
    links.extend((0..nodes - 3).flat_map(|node| [[node, 2], [2, node]]));
    links.extend((0..4 * nodes).map(|_| [generator.random_range(0..nodes - 3), generator.random_range(0..nodes - 5)]));
    Links::new(&Adjacency::new(nodes as usize, &links)).to_device(CUDA)
}

/// (N, C) for 131 nodes at most, no two of a channel alike in any type, so that of no two links the greater is a matter of
/// rounding, and operators share no gradient among equal ones.
fn different(nodes: i64, channels: i64) -> Tensor {
    let of = |count: i64, factor: i64| Tensor::arange(count, (Kind::Int64, CUDA)) * factor;
    let mixed = of(nodes, 7).unsqueeze(1) + of(channels, 13);
    (mixed.remainder(131) - 65).to_kind(Kind::Float) / 8.0
}

/// A norm whose scales have either sign.
fn norm(channels: i64) -> BatchNorm {
    let store = Store::new(CUDA);
    let norm = BatchNorm::new(&store.root(), channels);
    let (weights, _) = store.finish();
    let signs = numbers(&[weights.flat().size()[0]], 14) + 0.3;
    tch::no_grad(|| weights.flat().shallow_clone().copy_(&signs));
    norm
}

/// Value and gradient by the kernels in a type, and by operators in fp32.
fn both(x: &Tensor, probe: &Tensor, kind: Kind, f: impl Fn(&Tensor) -> Tensor) -> [[Tensor; 2]; 2] {
    let found = evaluated(&x.to_kind(kind), &probe.to_kind(kind), &f);
    let _plain = TensorPath::enter();
    // Of the numbers that the type can hold.
    [found, evaluated(&x.to_kind(kind).to_kind(Kind::Float), &probe.to_kind(kind).to_kind(Kind::Float), &f)]
}

#[test]
fn aggregates_along_links_equal_libtorchs_operators() {
    if !has_kernels() {
        return;
    }
    for (nodes, channels) in [(9, 1), (40, 5), (130, 33)] {
        let links = graph(nodes, 1);
        let x = different(i64::from(nodes), channels);
        for kind in KINDS {
            let all: Vec<Vec<Aggregate>> =
                Aggregate::ALL.iter().map(|one| vec![*one]).chain([Aggregate::ALL.to_vec()]).collect();
            for wanted in &all {
                let factors = [1.0, -0.7, 0.4, 1.3];
                let sum = |x: &Tensor| {
                    let found = links.aggregates(x, wanted);
                    assert_eq!(found.iter().flatten().count(), wanted.len());
                    let parts = found
                        .iter()
                        .zip(factors)
                        .filter_map(|(part, factor)| Some(part.as_ref()?.to_kind(Kind::Float) * factor));
                    parts.reduce(|sum, part| sum + part).unwrap()
                };
                let probe = numbers(&x.size(), 3);
                let [found, expected] = both(&x, &probe, kind, sum);
                let case = format!("{wanted:?} of {nodes} nodes, {channels} channels, {kind:?}");
                close(&found[0], &expected[0], kind, &case);
                close(&found[1], &expected[1], kind, &format!("gradient of {case}"));
            }
        }
    }
}

#[test]
fn attention_and_edges_along_links_equal_libtorchs_operators() {
    if !has_kernels() {
        return;
    }
    for (nodes, channels) in [(9, 1), (40, 5), (90, 33)] {
        let links = graph(nodes, 4);
        let nodes = i64::from(nodes);
        let other = different(nodes, channels);
        let x = numbers(&[nodes, channels], 5) * 0.7;
        let scores = numbers(&[2, nodes], 6);
        let probe = numbers(&[nodes, channels], 7);
        let (target, source) = (scores.get(0), scores.get(1));
        for kind in KINDS {
            let case = format!("{nodes} nodes, {channels} channels, {kind:?}");
            let check = |name: &str, found: &[[Tensor; 2]; 2]| {
                close(&found[0][0], &found[1][0], kind, &format!("{name} of {case}"));
                close(&found[0][1], &found[1][1], kind, &format!("gradient of {name} of {case}"));
            };
            check("attention", &both(&x, &probe, kind, |x| links.attention(x, &target, &source, 0.2)));
            let kept = x.to_kind(kind);
            let of_scores = |scores: &Tensor| {
                let kept = kept.to_kind(if is_plain() { Kind::Float } else { kind });
                links.attention(&kept, &scores.get(0), &scores.get(1), 0.2).to_kind(Kind::Float)
            };
            check("scores", &both(&scores, &probe, Kind::Float, of_scores));
            if kind != Kind::Float {
                continue;
            }
            let norm = norm(channels);
            for training in [true, false] {
                check(
                    "edges of targets",
                    &both(&x, &probe, kind, |x| links.normed_edge_maximum(x, &other, &norm, training)),
                );
                check(
                    "edges of sources",
                    &both(&other, &probe, kind, |other| links.normed_edge_maximum(&x, other, &norm, training)),
                );
            }
        }
    }
}

/// Where the composed operators share the gradient of equal ones, kernels give it to the first.
#[test]
fn the_gradient_of_equal_maxima_goes_to_the_first() {
    if !has_kernels() {
        return;
    }
    let links = Links::new(&Adjacency::new(3, &[[0, 2], [1, 2]])).to_device(CUDA);
    let x = Tensor::from_slice(&[1.0_f32, 1.0, 0.0]).view([3, 1]).to_device(CUDA);
    let probe = Tensor::ones([3, 1], (Kind::Float, CUDA));
    let maximum = |x: &Tensor| links.aggregates(x, &[Aggregate::RelativeMaximum])[3].as_ref().unwrap().shallow_clone();
    let [value, gradient] = evaluated(&x, &probe, maximum);
    assert_eq!(Vec::<f32>::try_from(value.view([-1])).unwrap(), [0.0, 0.0, 1.0]);
    assert_eq!(Vec::<f32>::try_from(gradient.view([-1])).unwrap(), [1.0, 0.0, -1.0]);
}

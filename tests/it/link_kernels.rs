//! Aggregation along links: against definitions written out link by link, and the kernels against plain tensor
//! operations in values and all gradients, per type; their promises on threads and memory. The graphs have isolated
//! nodes, links from a node to itself, links that come twice, and links in one direction alone.

use crate::kernels::{BFLOAT, DOUBLE, HALF, SINGLE, close, evaluated, random};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sgas::genotype::SpaceName;
use sgas::ops::{Mode, State, graph};
use sgas::panics::as_errors;
use sgas::tensor::adjacency::{Adjacency, Link};
use sgas::tensor::bridge::memory::{TensorBytes, metered};
use sgas::tensor::fused::TensorPath;
use sgas::tensor::layers::BatchNorm;
use sgas::tensor::links::{Aggregate, Links};
use sgas::tensor::parameters::{Parameters, Store};
use tch::{Device, IndexOp, Kind, Tensor};

const SLOPE: f64 = 0.2;
const KINDS: [(Kind, f64); 4] =
    [(Kind::Float, SINGLE), (Kind::Double, DOUBLE), (Kind::BFloat16, BFLOAT), (Kind::Half, HALF)];

/// Random links, in which node 0 has none, node 1 only sends, node 2 links to itself twice and node 3 gets a link
/// twice.
fn links_of(nodes: u32, count: usize, seed: u64) -> Vec<Link> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut links: Vec<Link> =
        (0..count).map(|_| [generator.random_range(1..nodes), generator.random_range(2..nodes)]).collect();
    links.extend([[2, 2], [2, 2], [1, 3], [1, 3]]);
    links
}

/// (nodes, links, channels): off every vector's width, and on one.
fn graphs() -> [(i64, Vec<Link>, i64); 3] {
    [(9, links_of(9, 20, 1), 3), (40, links_of(40, 300, 2), 37), (250, links_of(250, 900, 3), 32)]
}

fn adjacent(nodes: i64, links: &[Link]) -> Links {
    Links::new(&Adjacency::new(nodes as usize, links))
}

fn rows(x: &Tensor) -> Vec<Vec<f64>> {
    Vec::try_from(x.to_kind(Kind::Double)).unwrap()
}

/// Numbers of which no two of a channel are equal, also in half types: of equal values the kernel's maximum takes the
/// first, and libtorch shares the gradient among them.
fn distinct(nodes: i64, channels: i64) -> Tensor {
    let value = |node: i64, channel: i64| ((node * (2 * channel + 3) + channel) % 257 - 128) as f64 / 32.0;
    let values: Vec<f64> = (0..nodes * channels).map(|place| value(place / channels, place % channels)).collect();
    Tensor::from_slice(&values).view([nodes, channels])
}

/// By plain tensor operations.
fn plainly<T>(compute: impl FnOnce() -> T) -> T {
    let _plain = TensorPath::enter();
    compute()
}

/// The sources of every node: as stored, and with exactly one link to itself.
fn sources(nodes: i64, links: &[Link]) -> [Vec<Vec<usize>>; 2] {
    let nodes = nodes as usize;
    let mut stored = vec![Vec::new(); nodes];
    let mut looped: Vec<Vec<usize>> = (0..nodes).map(|node| vec![node]).collect();
    for &[source, target] in links {
        stored[target as usize].push(source as usize);
        if source != target {
            looped[target as usize].push(source as usize);
        }
    }
    [stored, looped]
}

/// Link by link, in plain numbers.
fn defined(which: Aggregate, x: &[Vec<f64>], [stored, looped]: &[Vec<Vec<usize>>; 2]) -> Vec<Vec<f64>> {
    let degree = |node: usize| looped[node].len() as f64;
    let value = |node: usize, channel: usize| -> f64 {
        let of = |list: &[Vec<usize>], weight: &dyn Fn(usize) -> f64| -> f64 {
            list[node].iter().map(|&source| weight(source) * x[source][channel]).sum()
        };
        match which {
            Aggregate::Sum => of(stored, &|_| 1.0),
            Aggregate::Mean => of(looped, &|_| 1.0 / degree(node)),
            Aggregate::NormalizedSum => of(looped, &|source| 1.0 / (degree(node) * degree(source)).sqrt()),
            Aggregate::RelativeMaximum => {
                let relative = stored[node].iter().map(|&source| x[source][channel] - x[node][channel]);
                relative.reduce(f64::max).unwrap_or(0.0)
            }
        }
    };
    (0..x.len()).map(|node| (0..x[0].len()).map(|channel| value(node, channel)).collect()).collect()
}

fn aggregate(links: &Links, x: &Tensor, which: Aggregate) -> Tensor {
    let place = Aggregate::ALL.iter().position(|known| *known == which).unwrap();
    let [first, second, third, fourth] = links.aggregates(x, &[which]);
    [first, second, third, fourth].into_iter().nth(place).unwrap().unwrap()
}

#[test]
fn aggregates_are_what_they_are_defined_to_be() {
    for (nodes, list, channels) in graphs() {
        let (links, x) = (adjacent(nodes, &list), random(&[nodes, channels], 5));
        let sources = sources(nodes, &list);
        for which in Aggregate::ALL {
            let expected = defined(which, &rows(&x), &sources);
            let expected = Tensor::from_slice2(&expected);
            close(&aggregate(&links, &x, which), &expected, DOUBLE, &format!("{which:?} by the kernel"));
            close(&plainly(|| aggregate(&links, &x, which)), &expected, DOUBLE, &format!("{which:?} plainly"));
        }
    }
}

#[test]
fn attention_is_what_it_is_defined_to_be() {
    for (nodes, list, channels) in graphs() {
        let (links, h) = (adjacent(nodes, &list), random(&[nodes, channels], 5));
        let [target, source] = [6, 7].map(|seed| random(&[nodes], seed));
        let [t, s] = [&target, &source].map(|scores| Vec::<f64>::try_from(scores).unwrap());
        let [_, looped] = sources(nodes, &list);
        let features = rows(&h);
        let expected: Vec<Vec<f64>> = (0..nodes as usize)
            .map(|node| {
                let score = |j: usize| if t[node] + s[j] > 0.0 { t[node] + s[j] } else { SLOPE * (t[node] + s[j]) };
                let weights: Vec<f64> = looped[node].iter().map(|&j| score(j).exp()).collect();
                let total: f64 = weights.iter().sum();
                let sum =
                    |channel: usize| looped[node].iter().zip(&weights).map(|(&j, w)| w * features[j][channel]).sum();
                (0..channels as usize)
                    .map(|channel| {
                        let sum: f64 = sum(channel);
                        sum / total
                    })
                    .collect()
            })
            .collect();
        let expected = Tensor::from_slice2(&expected);
        close(&links.attention(&h, &target, &source, SLOPE), &expected, DOUBLE, "attention by the kernel");
        close(&plainly(|| links.attention(&h, &target, &source, SLOPE)), &expected, DOUBLE, "attention plainly");
    }
}

/// Kernel and plain operations on the very same numbers, the plain ones in fp32 at least.
fn agree(name: &str, kind: Kind, tolerance: f64, inputs: &[Tensor], compute: &dyn Fn(&[Tensor]) -> Tensor) {
    let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
    let exact: Vec<Tensor> = inputs.iter().map(|input| input.to_kind(wide)).collect();
    let probe = random(&compute(&exact).size(), 99).to_kind(kind).to_kind(wide);
    let found = evaluated(inputs, &probe, compute);
    let expected = plainly(|| evaluated(&exact, &probe, compute));
    assert_eq!(found[0].kind(), kind, "{name}: the result has the inputs' type");
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        close(found, expected, tolerance, &format!("{name} {kind:?}, output or gradient {place}"));
    }
}

#[test]
fn kernels_of_aggregates_equal_plain_operations() {
    for (nodes, list, channels) in graphs() {
        let links = adjacent(nodes, &list);
        for (kind, tolerance) in KINDS {
            for which in Aggregate::ALL {
                let x = match which {
                    Aggregate::RelativeMaximum => distinct(nodes, channels),
                    _ => random(&[nodes, channels], 5),
                };
                let compute = |x: &[Tensor]| aggregate(&links, &x[0], which);
                agree(&format!("{which:?}"), kind, tolerance, &[x.to_kind(kind)], &compute);
            }
        }
        // All in one pass, one of them without a gradient.
        let x = random(&[nodes, channels], 5);
        agree("all aggregates", Kind::Double, DOUBLE, &[x], &|x| {
            let [sum, mean, normalized, maximum] = links.aggregates(&x[0], &Aggregate::ALL).map(Option::unwrap);
            sum * 0.5 + mean * 2.0 - normalized + maximum.detach()
        });
    }
}

#[test]
fn the_kernel_of_attention_equals_plain_operations() {
    for (nodes, list, channels) in graphs() {
        let links = adjacent(nodes, &list);
        for (kind, tolerance) in KINDS {
            let scores = if kind == Kind::Double { Kind::Double } else { Kind::Float };
            let inputs = [
                random(&[nodes, channels], 5).to_kind(kind),
                random(&[nodes], 6).to_kind(scores),
                random(&[nodes], 7).to_kind(scores),
            ];
            agree("attention", kind, tolerance, &inputs, &|x| links.attention(&x[0], &x[1], &x[2], SLOPE));
        }
    }
}

/// A batch norm with these weights; it has positive and negative ones.
fn norm(channels: i64) -> (BatchNorm, Parameters) {
    let store = Store::new(Device::Cpu);
    let norm = BatchNorm::new(&store.root(), channels);
    let (parameters, buffers) = store.finish();
    tch::no_grad(|| {
        for (seed, (name, value)) in (50..).zip(parameters.iter()) {
            let drawn = random(&[channels], seed).to_kind(Kind::Float);
            if name == "weight" {
                let _ = drawn.i(0).fill_(-1.5);
            }
            value.shallow_clone().copy_(&drawn);
        }
        for (seed, (_, value)) in (60..).zip(buffers.iter()) {
            value.shallow_clone().copy_(&(random(&[channels], seed).abs() + 0.5));
        }
    });
    (norm, parameters)
}

#[test]
fn the_kernel_of_edge_conv_equals_plain_operations() {
    for (nodes, list, channels) in graphs() {
        let links = adjacent(nodes, &list);
        for training in [true, false] {
            for (kind, tolerance) in [(Kind::Float, 2e-5), (Kind::BFloat16, BFLOAT)] {
                let inputs = [random(&[nodes, channels], 5), distinct(nodes, channels)].map(|x| x.to_kind(kind));
                let name = format!("edge_conv, training {training}");
                agree(&name, kind, tolerance, &inputs, &|x| {
                    let (norm, _) = norm(channels);
                    links.normed_edge_maximum(&x[0], &x[1], &norm, training)
                });
                if kind == Kind::Float {
                    norms_agree(&links, &inputs, channels, training);
                }
            }
        }
    }
}

/// The gradients of the norm's own weights, and its running statistics.
fn norms_agree(links: &Links, inputs: &[Tensor; 2], channels: i64, training: bool) {
    let run = || {
        let (norm, parameters) = norm(channels);
        let y = links.normed_edge_maximum(&inputs[0], &inputs[1], &norm, training);
        let loss = (&y * random(&y.size(), 99).to_kind(Kind::Float)).sum(Kind::Float);
        let again = links.normed_edge_maximum(&inputs[0], &inputs[1], &norm, false);
        (parameters.gradient(&loss), again.detach())
    };
    let (found, expected) = (run(), plainly(run));
    close(&found.0, &expected.0, 2e-5, "gradients of the norm");
    close(&found.1, &expected.1, 2e-5, "running statistics");
}

/// Everything that the kernels compute, values and gradients, under a number of threads.
fn everything(threads: i32) -> Vec<Tensor> {
    let before = tch::get_num_threads();
    tch::set_num_threads(threads);
    let (nodes, channels) = (3000, 40);
    let links = adjacent(nodes, &links_of(nodes as u32, 40_000, 4));
    let inputs = [5, 6].map(|seed| random(&[nodes, channels], seed).to_kind(Kind::Float));
    let probe = random(&[nodes, channels], 7).to_kind(Kind::Float);
    let all = evaluated(&inputs, &probe, &|x| {
        let (norm, _) = norm(channels);
        let [sum, mean, normalized, maximum] = links.aggregates(&x[0], &Aggregate::ALL).map(Option::unwrap);
        let scores = x[1].mean_dim(1, false, None::<Kind>);
        let attended = links.attention(&x[0], &scores, &scores, SLOPE);
        sum + mean + normalized + maximum + attended + links.normed_edge_maximum(&x[0], &x[1], &norm, true)
    });
    tch::set_num_threads(before);
    all
}

#[test]
fn one_and_two_threads_agree_in_every_bit() {
    for (place, (one, two)) in everything(1).iter().zip(&everything(2)).enumerate() {
        assert!(one.equal(two), "output or gradient {place}");
    }
}

#[test]
fn not_a_number_is_passed_on() {
    let links = adjacent(9, &links_of(9, 20, 1));
    let x = random(&[9, 16], 5);
    let _ = x.i((2, 3)).fill_(f64::NAN);
    for which in Aggregate::ALL {
        let found = aggregate(&links, &x, which);
        assert!(found.double_value(&[2, 3]).is_nan() && found.double_value(&[2, 4]).is_finite(), "{which:?}");
    }
}

/// In training the norm's statistics hand it on to all nodes.
#[test]
fn not_a_number_is_passed_on_in_evaluation_whichever_link_brings_it() {
    let list = links_of(9, 30, 1);
    let (links, sources) = (adjacent(9, &list), sources(9, &list));
    let store = Store::new(Device::Cpu);
    let norm = BatchNorm::new(&store.root(), 16);
    let x = random(&[9, 16], 5).to_kind(Kind::Float);
    let _ = x.i((2, ..)).fill_(f64::NAN);
    let own = x.full_like(0.5);
    let [stored, _] = &sources;
    let mut places = Vec::new();
    for found in [
        links.normed_edge_maximum(&own, &x, &norm, false),
        plainly(|| links.normed_edge_maximum(&own, &x, &norm, false)),
    ] {
        for (node, mut from) in stored.clone().into_iter().enumerate() {
            from.sort_unstable();
            let place = from.iter().position(|source| *source == 2);
            places.extend(place);
            let number = |channel| found.double_value(&[node as i64, channel]);
            assert!((0..16).all(|channel| number(channel).is_nan() == place.is_some()), "node {node}: {from:?}");
        }
    }
    assert!(places.contains(&0) && places.iter().any(|place| *place > 0), "{places:?}");
}

#[test]
fn features_of_other_nodes_are_refused() {
    let links = adjacent(9, &links_of(9, 20, 1));
    let refused = as_errors(|| Ok(links.aggregates(&random(&[8, 4], 5), &[Aggregate::Sum])));
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("expected features of 9 nodes, found 8"), "{text}");
}

const NODES: i64 = 256;
const CHANNELS: i64 = 64;
/// Bytes of the features.
const ROWS: i64 = NODES * CHANNELS * 4;

/// Bytes held between a primitive's forward and backward pass, its result included, and all that it took.
fn pass(primitive: &str, count: usize) -> Option<(i64, TensorBytes)> {
    let store = Store::new(Device::Cpu);
    let operation = graph::operation(&store.root(), primitive, CHANNELS)?;
    let (parameters, _) = store.finish();
    let links = adjacent(NODES, &links_of(NODES as u32, count, 4));
    let x = random(&[NODES, CHANNELS], 5).to_kind(Kind::Float).set_requires_grad(true);
    let mut leaves: Vec<&Tensor> = parameters.iter().map(|(_, leaf)| leaf).collect();
    leaves.push(&x);
    let run = |meter: &sgas::tensor::bridge::memory::Meter| {
        let state = State::new(x.shallow_clone());
        let y = operation.forward(&state, &links, Mode::TRAINING);
        drop(state);
        let held = meter.read().held;
        let _gradients = Tensor::run_backward(&[y.sum(Kind::Float)], &leaves, false, false);
        held
    };
    Some(metered(run).unwrap())
}

#[test]
fn kernels_keep_no_features_of_links() {
    let (few, many) = (1000, 9000);
    let mut seen = 0;
    for primitive in SpaceName::GRAPH.primitives() {
        let Some(((less, _), (more, bytes))) = pass(primitive, few).zip(pass(primitive, many)) else { continue };
        // Attention keeps a number per link.
        let numbers = (many - few) as i64 * 4;
        assert!(more - less <= numbers, "{primitive} keeps {} bytes more for {many} links than for {few}", more - less);
        assert!(bytes.largest <= ROWS, "{primitive} takes a tensor of {} bytes, rows are {ROWS}", bytes.largest);
        seen += 1;
    }
    assert_eq!(seen, 9, "all primitives but none");
}

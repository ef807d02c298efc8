//! Kernels of ours for CUDA beside libtorch's operators. On the stand-in the same source runs on the processor, a fiber
//! per thread (`stand_in/executor.h`).

use crate::has_cuda;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sgas::tensor::bridge::device::load_cuda;
use sgas::tensor::bridge::gather::OwnPoint;
use sgas::tensor::bridge::native::{selects, source};
use sgas::tensor::fused::TensorPath;
use sgas::tensor::layers::BatchNorm;
use sgas::tensor::native::{self, Family};
use sgas::tensor::nearest::{every, nearest_in_blocks};
use sgas::tensor::neighbours::Neighbours;
use sgas::tensor::parameters::Store;
use tch::{Device, Kind, Tensor};

pub const CUDA: Device = Device::Cuda(0);
pub const KINDS: [Kind; 3] = [Kind::Float, Kind::Half, Kind::BFloat16];

/// Whether the tests run; kernels that do not serve fail them.
pub fn has_kernels() -> bool {
    if !has_cuda() {
        return false;
    }
    load_cuda().expect("SGAS_TEST_DEVICE=cuda needs libtorch_cuda.so on the LD_LIBRARY_PATH");
    Family::ALL.into_iter().for_each(|family| native::state(family, 0).clone().expect("kernels serve"));
    true
}

/// Multiples of 1/8 within 2, so that sums and distances are exact in fp32 and many are equal.
pub fn numbers(size: &[i64], seed: u64) -> Tensor {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let count = size.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|_| f32::from(generator.random_range(-16..=16_i8)) / 8.0).collect();
    Tensor::from_slice(&values).view(size).to_device(CUDA)
}

/// Rows of the same cloud, of which the first third names one row again and again.
fn picked(clouds: i64, points: i64, k: i64, seed: u64) -> Neighbours {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let of_point = |point: i64| (0..k).map(move |place| (point, place));
    let local: Vec<i64> = (0..clouds * points)
        .flat_map(of_point)
        .map(|(point, place)| match (place, point % points) {
            (0, point) => point,
            (_, point) if 3 * point < points => points / 2,
            _ => generator.random_range(0..points),
        })
        .collect();
    Neighbours::from_local(&Tensor::from_slice(&local).view([clouds, points, k]).to_device(CUDA))
}

/// Value and gradient.
pub fn evaluated(x: &Tensor, probe: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> [Tensor; 2] {
    let leaf = x.copy().set_requires_grad(true);
    let y = f(&leaf);
    let gradient = Tensor::run_backward(&[(&y * probe).sum(Kind::Float)], &[&leaf], false, false);
    [y.detach(), gradient[0].shallow_clone()]
}

#[test]
fn gathers_give_what_libtorch_gives() {
    if !has_kernels() {
        return;
    }
    for (clouds, points, k, channels) in
        [(1, 1, 1, 3), (2, 37, 5, 1), (3, 50, 9, 32), (1, 64, 16, 6), (2, 300, 4, 8), (1, 520, 9, 4)]
    {
        let graph = picked(clouds, points, k, 3);
        for kind in KINDS {
            for itself in [OwnPoint::Kept, OwnPoint::Skipped] {
                let x = numbers(&[clouds * points, channels], 4).to_kind(kind);
                let gather = |x: &Tensor| graph.gather(x, itself);
                let probe = numbers(&gather(&x).size(), 5).to_kind(kind);
                let found = evaluated(&x, &probe, gather);
                let first = i64::from(itself == OwnPoint::Skipped);
                let rows = graph.rows.narrow(1, first, k - first).flatten(0, 1);
                let case = format!("{clouds} clouds of {points}, k {k}, {channels} channels, {kind:?}, {itself:?}");
                assert!(found[0].equal(&x.index_select(0, &rows).view_as(&found[0])), "{case}: value");
                // Sums of such numbers are exact in fp32, and rounded once.
                let sums = Tensor::zeros(x.size(), (Kind::Float, CUDA));
                let sums = sums.index_add(0, &rows, &probe.flatten(0, 1).to_kind(Kind::Float));
                assert!(found[1].equal(&sums.to_kind(kind)), "{case}: gradient");
            }
        }
    }
}

/// Sums of some numbers, each rounded to the type.
pub fn close(found: &Tensor, expected: &Tensor, kind: Kind, what: &str) {
    let scale = expected.abs().max().to_kind(Kind::Double).double_value(&[]).max(1.0);
    let difference = (found.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs().max().double_value(&[]);
    let tolerance = if kind == Kind::Float { 1e-4 } else { 2e-2 };
    assert!(difference <= tolerance * scale, "{what}: {difference:e} at a scale of {scale}");
}

/// Of rows that some rows name often and others never, with equal values among neighbours, which share no gradient.
#[test]
fn what_is_made_of_neighbours_equals_libtorchs_operators() {
    if !has_kernels() {
        return;
    }
    for (clouds, points, k, channels) in [(2, 37, 5, 3), (3, 50, 9, 32), (1, 140, 16, 65)] {
        let graph = picked(clouds, points, k, 13);
        let rows = clouds * points;
        let store = Store::new(CUDA);
        let norm = BatchNorm::new(&store.root(), channels);
        let (weights, _) = store.finish();
        let signs = (numbers(&[weights.flat().size()[0]], 14) + 0.3).abs().clamp_min(0.1);
        tch::no_grad(|| weights.flat().shallow_clone().copy_(&signs));
        for kind in KINDS {
            let values = numbers(&[2, rows, channels], 15) * if kind == Kind::Float { 1.37 } else { 1.0 };
            let [x, other] = [values.get(0), values.get(1)].map(|share| share.to_kind(kind));
            let scores = numbers(&[2, rows], 16);
            let probe = numbers(&[rows, channels], 17).to_kind(kind);
            let of = |name: &str, itself: OwnPoint, leaf: &Tensor| match name {
                "sum" => graph.sum(leaf, itself),
                "mean" => graph.mean(leaf),
                "maximum" => graph.maximum(leaf, itself),
                "attention" => graph.attention(leaf, &scores.get(0), &scores.get(1), 0.2),
                "edges of the point" => graph.normed_edge_maximum(leaf, &other, itself, &norm, true),
                _ => graph.normed_edge_maximum(&other, leaf, itself, &norm, true),
            };
            for name in ["sum", "mean", "maximum", "attention", "edges of the point", "edges of neighbours"] {
                // Where values are equal the gradient goes to one of them, which one is not said.
                let (is_tied, is_edge) = (name == "maximum" || name.starts_with("edges"), name.starts_with("edges"));
                if is_edge && kind != Kind::Float {
                    continue;
                }
                for itself in [OwnPoint::Kept, OwnPoint::Skipped] {
                    let case =
                        format!("{name} of {clouds} clouds of {points}, k {k}, {channels}, {kind:?}, {itself:?}");
                    let found = evaluated(&x, &probe, |leaf| of(name, itself, leaf));
                    let plain = {
                        let _plain = TensorPath::enter();
                        let [x, probe] = [&x, &probe].map(|half| half.to_kind(Kind::Float));
                        evaluated(&x, &probe, |leaf| of(name, itself, leaf))
                    };
                    close(&found[0], &plain[0], kind, &case);
                    if is_tied {
                        let sums = [&found[1], &plain[1]]
                            .map(|gradient| gradient.sum_dim_intlist([0_i64].as_slice(), false, Kind::Float));
                        close(&sums[0], &sums[1], kind, &format!("gradients of {case}"));
                    } else {
                        close(&found[1], &plain[1], kind, &format!("gradient of {case}"));
                    }
                }
            }
        }
    }
}

/// A view that begins within a row of the table has other alignment than the table.
#[test]
fn gathers_take_rows_that_begin_anywhere() {
    if has_kernels() {
        let graph = picked(1, 20, 4, 6);
        for kind in KINDS {
            let table = numbers(&[21 * 8], 7).to_kind(kind);
            for offset in [1, 2, 4] {
                let x = table.narrow(0, offset, 160).view([20, 8]);
                let expected = x.index_select(0, &graph.rows.flatten(0, 1)).view([20, 4, 8]);
                assert!(graph.gather(&x, OwnPoint::Kept).equal(&expected), "{kind:?} from {offset} on");
            }
        }
    }
}

#[test]
fn nearest_points_are_those_of_the_search_by_operators() {
    if !has_kernels() {
        return;
    }
    let irregular = vec![0, 2, 3, 17, 18];
    for (clouds, points, channels, ranks) in [
        (2, 64, 3, every(9, 1)),
        (3, 77, 5, every(4, 6)),
        (1, 300, 2, every(16, 12)),
        (2, 40, 3, irregular),
        (2, 33, 1, every(1, 1)),
        (1, 20, 3, every(20, 1)),
        (1, 1, 3, every(1, 1)),
    ] {
        assert!(selects(points, &ranks));
        let x = numbers(&[clouds, points, channels], 8);
        let first = Tensor::arange(clouds, (Kind::Int64, CUDA)).view([clouds, 1, 1]) * points;
        for block in [points, 7] {
            let found = native::nearest(&x, &ranks, block).unwrap().view([clouds, points, -1]);
            assert!(
                found.ge_tensor(&first).all().is_nonzero() && found.lt_tensor(&(&first + points)).all().is_nonzero()
            );
            let distances = |local: &Tensor| {
                let pairs = x.unsqueeze(1) - x.unsqueeze(2);
                pairs.square().sum_dim_intlist([3_i64].as_slice(), false, None).gather(2, local, false)
            };
            let found = found - &first;
            let expected = nearest_in_blocks(&x, &ranks, block);
            let case = format!("{clouds} clouds of {points}, ranks {ranks:?}, blocks of {block}");
            assert!(found.select(2, 0).equal(&expected.select(2, 0)), "{case}: the point itself");
            assert!(distances(&found).equal(&distances(&expected)), "{case}: distances");
        }
    }
}

/// All points in one place: the point itself, then the others in their order.
#[test]
fn of_equal_distances_the_lower_row_comes_first() {
    if has_kernels() {
        let (points, k) = (300, 70);
        for ranks in [every(9, 1), every(k / 10, 10)] {
            let found = native::nearest(&Tensor::ones([1, points, 3], (Kind::Float, CUDA)), &ranks, points).unwrap();
            for own in [0, 1, 150, points - 1] {
                let others = (0..points).filter(|point| *point != own);
                let order: Vec<i64> = std::iter::once(own).chain(others).collect();
                let expected: Vec<i64> = ranks.iter().map(|rank| order[usize::try_from(*rank).unwrap()]).collect();
                assert_eq!(Vec::<i64>::try_from(found.get(own)).unwrap(), expected, "of point {own}");
            }
        }
    }
}

/// What is not a number is far from everything, and the search ends.
#[test]
fn points_that_are_no_numbers_come_last() {
    if has_kernels() {
        let x = numbers(&[1, 40, 3], 9);
        let _ = x.narrow(1, 10, 5).fill_(f64::NAN);
        let found = native::nearest(&x, &every(30, 1), 40).unwrap();
        let is_lost = found.ge(10).logical_and(&found.lt(15));
        let lost: i64 = is_lost.sum(Kind::Int64).int64_value(&[]);
        // Their own first column names them; they have no neighbours that are nearer than others.
        let own: i64 = is_lost.narrow(0, 10, 5).sum(Kind::Int64).int64_value(&[]);
        assert_eq!(lost, own);
    }
}

#[test]
fn what_does_not_fit_is_left_to_operators() {
    assert!(selects(4096, &every(16, 28)) && selects(1024, &every(64, 1)));
    for (points, ranks) in [(20_000, every(9, 1)), (4096, every(65, 1)), (4096, every(2, 1000))] {
        assert!(!selects(points, &ranks), "{points} points, ranks {ranks:?}");
    }
}

/// NVRTC reads no header, and the executor offers no more than what stands in its own.
#[test]
fn the_source_stands_alone() {
    assert!(!source().contains("#include"));
}

//! Every kernel of the bridge against the same thing written with plain tensor operations: values and all
//! gradients, per type; and its promises on threads, duplicates and bad arguments.

use std::cell::Cell;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sgas::tensor::bridge::gather::{
    AttentionScores, Neighbourhood, OwnPoint, attention, gather_max, gather_mean, gather_sum,
};
use sgas::tensor::bridge::machine::instructions;
use sgas::tensor::bridge::mix::mix;
use sgas::tensor::bridge::nearest::nearest_neighbours;
use sgas::tensor::bridge::norm::{BatchNorm, edge_max_norm, relu_norm};
use sgas::tensor::bridge::operators::leaky_relu;
use sgas::tensor::bridge::unit_length::relu_unit_length;
use sgas::tensor::nearest::every;
use tch::{Device, IndexOp, Kind, Tensor};

const CPU: Device = Device::Cpu;
/// fp32 sums in another order than libtorch's.
pub(crate) const SINGLE: f64 = 1e-5;
/// fp64 leaves no rounding to speak of: what is left would be another formula.
pub(crate) const DOUBLE: f64 = 1e-9;
/// Inputs are exact in both; the result and each gradient are rounded once to 8 and 11 bits (half of the last
/// place), of numbers up to the greatest, and then multiplied in the caller's casts.
pub(crate) const BFLOAT: f64 = 1.0 / 256.0;
pub(crate) const HALF: f64 = 1.0 / 2048.0;

/// About normal, fp64, always the same: libtorch's generator is shared with the tests running beside.
pub(crate) fn random(size: &[i64], seed: u64) -> Tensor {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let count = size.iter().product::<i64>();
    let values: Vec<f64> = (0..count).map(|_| (0..4).map(|_| generator.random_range(-0.866..0.866)).sum()).collect();
    Tensor::from_slice(&values).view(size)
}

/// A batch with duplicates of points, a repeated neighbour, and numbers of channels off every vector's width.
struct Case {
    neighbours: Tensor,
    clouds: i64,
    channels: i64,
    kind: Kind,
    drawn: Cell<u64>,
}

impl Case {
    fn new(clouds: i64, points: i64, k: i64, channels: i64, kind: Kind) -> Self {
        let positions = random(&[clouds, points, 3], 7).to_kind(Kind::Float);
        positions.i((.., 1, ..)).copy_(&positions.i((.., 0, ..)));
        let neighbours = nearest_neighbours(&positions, &every(k, 1)).unwrap();
        neighbours.i((2, k - 1)).copy_(&neighbours.i((2, 1)));
        Self { neighbours, clouds, channels, kind, drawn: Cell::new(100) }
    }

    /// Other numbers at every call, in the case's type.
    fn random(&self, size: &[i64]) -> Tensor {
        self.drawn.set(self.drawn.get() + 1);
        random(size, self.drawn.get()).to_kind(self.kind)
    }

    fn graph(&self) -> Neighbourhood<'_> {
        Neighbourhood { neighbours: &self.neighbours, clouds: self.clouds }
    }

    fn rows(&self) -> i64 {
        self.neighbours.size()[0]
    }

    fn k(&self) -> i64 {
        self.neighbours.size()[1]
    }

    /// Features in which the duplicated point is a duplicate too.
    fn features(&self) -> Tensor {
        let x = self.random(&[self.rows(), self.channels]);
        x.i(1).copy_(&x.i(0));
        x
    }

    fn per_row(&self) -> Tensor {
        self.random(&[self.rows()])
    }

    /// Parameters of a batch norm, one weight of which is negative; fp32 beside half types.
    fn per_channel(&self) -> Tensor {
        let kind = if self.kind == Kind::Double { Kind::Double } else { Kind::Float };
        self.random(&[self.channels]).to_kind(kind)
    }
}

fn cases() -> Vec<(Case, f64)> {
    [(Kind::Float, SINGLE), (Kind::Double, DOUBLE), (Kind::BFloat16, BFLOAT), (Kind::Half, HALF)]
        .into_iter()
        .flat_map(|(kind, tolerance)| {
            [(3, 20, 5, 37), (1, 9, 2, 3), (2, 70, 9, 32)]
                .map(|(clouds, points, k, channels)| (Case::new(clouds, points, k, channels, kind), tolerance))
        })
        .collect()
}

/// (R, k or k - 1, C) of the neighbours' rows, as the tensor path has it.
fn gathered(x: &Tensor, neighbours: &Tensor, own: OwnPoint) -> Tensor {
    let skipped = i64::from(own == OwnPoint::Skipped);
    let (rows, k) = neighbours.size2().unwrap();
    let kept = neighbours.narrow(1, skipped, k - skipped).reshape([-1]);
    x.index_select(0, &kept).view([rows, k - skipped, x.size()[1]])
}

pub(crate) fn close(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let (found, expected) = (found.to_kind(Kind::Double), expected.to_kind(Kind::Double));
    let scale = expected.abs().max().double_value(&[]).max(1.0);
    let difference = (&found - &expected).abs().max().double_value(&[]);
    assert!(difference <= tolerance * scale, "{what}: differs by {difference:e} at a scale of {scale}");
}

/// Value and gradients of Σ probe · f(inputs).
pub(crate) fn evaluated(inputs: &[Tensor], probe: &Tensor, f: &dyn Fn(&[Tensor]) -> Tensor) -> Vec<Tensor> {
    let leaves: Vec<Tensor> = inputs.iter().map(|input| input.copy().set_requires_grad(true)).collect();
    let y = f(&leaves);
    let loss = (y.to_kind(probe.kind()) * probe).sum(probe.kind());
    let mut all = vec![y.detach()];
    all.extend(Tensor::run_backward(&[loss], &leaves, false, false));
    all
}

/// The kernel in the case's type against the oracle in fp32 (fp64 for fp64) on the very same numbers.
fn agree(
    name: &str,
    (case, tolerance): &(Case, f64),
    inputs: &[Tensor],
    kernel: &dyn Fn(&[Tensor]) -> Tensor,
    oracle: &dyn Fn(&[Tensor]) -> Tensor,
) {
    let wide = if case.kind == Kind::Double { Kind::Double } else { Kind::Float };
    let exact: Vec<Tensor> = inputs.iter().map(|input| input.to_kind(wide)).collect();
    let probe = case.random(&oracle(&exact).size()).to_kind(wide);
    let found = evaluated(inputs, &probe, kernel);
    let expected = evaluated(&exact, &probe, oracle);
    assert_eq!(found[0].kind(), case.kind, "{name}: the result has the inputs' type");
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let what = format!("{name} {:?} {:?}, output or gradient {place}", case.kind, case.neighbours.size());
        close(found, expected, *tolerance, &what);
    }
}

#[test]
fn gather_max_equals_select_and_max() {
    for case in cases() {
        for own in [OwnPoint::Kept, OwnPoint::Skipped] {
            let (graph, neighbours) = (case.0.graph(), &case.0.neighbours);
            let kernel = |x: &[Tensor]| gather_max(&x[0], &graph, own).unwrap();
            let oracle = |x: &[Tensor]| gathered(&x[0], neighbours, own).max_dim(1, false).0;
            agree("gather_max", &case, &[case.0.features()], &kernel, &oracle);
        }
    }
}

#[test]
fn gather_sum_equals_select_and_sum() {
    for case in cases() {
        for own in [OwnPoint::Kept, OwnPoint::Skipped] {
            let (graph, neighbours) = (case.0.graph(), &case.0.neighbours);
            let kernel = |x: &[Tensor]| gather_sum(&x[0], &graph, own).unwrap();
            let oracle = |x: &[Tensor]| gathered(&x[0], neighbours, own).sum_dim_intlist(1, false, None::<Kind>);
            agree("gather_sum", &case, &[case.0.features()], &kernel, &oracle);
        }
    }
}

#[test]
fn gather_mean_equals_select_and_mean() {
    for case in cases() {
        let (graph, neighbours) = (case.0.graph(), &case.0.neighbours);
        let kernel = |x: &[Tensor]| gather_mean(&x[0], &graph).unwrap();
        let oracle = |x: &[Tensor]| gathered(&x[0], neighbours, OwnPoint::Kept).mean_dim(1, false, None::<Kind>);
        agree("gather_mean", &case, &[case.0.features()], &kernel, &oracle);
    }
}

#[test]
fn relu_unit_length_equals_relu_and_division() {
    for case in cases() {
        let kernel = |x: &[Tensor]| relu_unit_length(&x[0], 0.5).unwrap();
        let oracle = |x: &[Tensor]| {
            let positive = x[0].relu();
            &positive / positive.square().sum_dim_intlist(1, true, None::<Kind>).sqrt().clamp_min(0.5)
        };
        let x = case.0.features();
        // A row shorter than the smallest length; with nothing positive in it, the oracle's gradient would be NaN.
        let _ = x.i(2).fill_(-1.0);
        let _ = x.i((2, 1)).fill_(0.25);
        agree("relu_unit_length", &case, &[x], &kernel, &oracle);
    }
    let nothing = Tensor::full([2, 5], -1.0, (Kind::Float, CPU)).set_requires_grad(true);
    let y = relu_unit_length(&nothing, 1e-12).unwrap();
    let gradient = Tensor::run_backward(&[y.sum(Kind::Float)], &[&nothing], false, false);
    assert!(y.abs().max().double_value(&[]) == 0.0 && gradient[0].abs().max().double_value(&[]) == 0.0);
}

fn weighted(h: &Tensor, weights: &Tensor, neighbours: &Tensor) -> Tensor {
    (gathered(h, neighbours, OwnPoint::Kept) * weights.unsqueeze(2)).sum_dim_intlist(1, false, None::<Kind>)
}

#[test]
fn attention_equals_softmax_of_leaky_relu() {
    for case in cases() {
        let (graph, neighbours) = (case.0.graph(), &case.0.neighbours);
        let kernel =
            |x: &[Tensor]| attention(&x[0], &AttentionScores { target: &x[1], source: &x[2] }, &graph, 0.2).unwrap();
        let oracle = |x: &[Tensor]| {
            let scores = x[1].unsqueeze(1) + x[2].index_select(0, &neighbours.reshape([-1])).view([-1, case.0.k()]);
            let leaky = scores.where_self(&scores.gt(0), &(&scores * 0.2));
            weighted(&x[0], &leaky.softmax(1, None::<Kind>), neighbours)
        };
        let inputs = [case.0.features(), case.0.per_row(), case.0.per_row()];
        agree("attention", &case, &inputs, &kernel, &oracle);
    }
}

/// Fresh running statistics, as both paths move them.
fn running(like: &Tensor) -> (Tensor, Tensor) {
    (like.full_like(0.25), like.full_like(1.5))
}

fn batch_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, running: &(Tensor, Tensor), training: bool) -> Tensor {
    let (weight, bias) = (Some(weight), Some(bias));
    x.batch_norm(weight, bias, Some(&running.0), Some(&running.1), training, 0.1, 1e-5, false)
}

fn norm<'a>(weight: &'a Tensor, bias: &'a Tensor, running: &'a (Tensor, Tensor), training: bool) -> BatchNorm<'a> {
    let (running_mean, running_var) = (&running.0, &running.1);
    BatchNorm {
        weight: Some(weight),
        bias: Some(bias),
        running_mean,
        running_var,
        training,
        momentum: 0.1,
        epsilon: 1e-5,
    }
}

#[test]
fn relu_norm_equals_relu_and_batch_norm() {
    for case in cases() {
        for (training, leak) in [(true, 0.0), (false, 0.0), (true, 0.2), (false, 0.2)] {
            let parameters = case.0.per_channel();
            let (ours, theirs) = (running(&parameters), running(&parameters));
            let kernel = |x: &[Tensor]| relu_norm(&x[0], leak, &norm(&x[1], &x[2], &ours, training)).unwrap();
            let oracle = |x: &[Tensor]| batch_norm(&leaky_relu(&x[0], leak), &x[1], &x[2], &theirs, training);
            let inputs = [case.0.features(), parameters.copy(), case.0.per_channel()];
            agree("relu_norm", &case, &inputs, &kernel, &oracle);
            // The oracle ran once more, for the shape of its result.
            let _ = kernel(&inputs);
            close(&ours.0, &theirs.0, case.1.min(SINGLE), "running mean");
            close(&ours.1, &theirs.1, case.1.min(SINGLE), "running variance");
        }
    }
}

fn edge_oracle(x: &[Tensor], neighbours: &Tensor, own: OwnPoint, running: &(Tensor, Tensor), training: bool) -> Tensor {
    let pairs = (x[0].unsqueeze(1) + gathered(&x[1], neighbours, own)).relu();
    let (rows, k, channels) = pairs.size3().unwrap();
    let flat = batch_norm(&pairs.view([rows * k, channels]), &x[2], &x[3], running, training);
    flat.view([rows, k, channels]).max_dim(1, false).0
}

#[test]
fn edge_max_norm_equals_pairs_norm_and_max() {
    for case in cases() {
        for (training, own) in [(true, OwnPoint::Skipped), (true, OwnPoint::Kept), (false, OwnPoint::Skipped)] {
            let (graph, neighbours) = (case.0.graph(), &case.0.neighbours);
            let parameters = case.0.per_channel();
            let (ours, theirs) = (running(&parameters), running(&parameters));
            let kernel =
                |x: &[Tensor]| edge_max_norm(&x[0], &x[1], &graph, own, &norm(&x[2], &x[3], &ours, training)).unwrap();
            let oracle = |x: &[Tensor]| edge_oracle(x, neighbours, own, &theirs, training);
            let inputs = [case.0.features(), case.0.features(), parameters.copy(), case.0.per_channel()];
            agree("edge_max_norm", &case, &inputs, &kernel, &oracle);
            // The oracle ran once more, for the shape of its result.
            let _ = kernel(&inputs);
            close(&ours.0, &theirs.0, case.1.min(SINGLE), "running mean");
            close(&ours.1, &theirs.1, case.1.min(SINGLE), "running variance");
        }
    }
}

#[test]
fn statistics_survive_a_mean_far_from_zero() {
    let case = Case::new(2, 200, 9, 16, Kind::Float);
    let (a, b) = (case.features() + 3000.0, case.features());
    let (weight, bias) = (Tensor::ones([16], (Kind::Float, CPU)), Tensor::zeros([16], (Kind::Float, CPU)));
    let found = {
        let running = running(&weight);
        edge_max_norm(&a, &b, &case.graph(), OwnPoint::Skipped, &norm(&weight, &bias, &running, true)).unwrap()
    };
    let exact = [a, b, weight, bias].map(|tensor| tensor.to_kind(Kind::Double));
    let expected = edge_oracle(&exact, &case.neighbours, OwnPoint::Skipped, &running(&exact[2]), true);
    // A sum of 3000 and a unit normal in fp32 keeps 1.2e-4 of the latter.
    close(&found, &expected, 3e-4, "values around 3000 with deviation 1.4");
}

#[test]
fn mix_equals_a_chain_of_products() {
    for case in cases() {
        let parts: Vec<Tensor> = (0..4).map(|_| case.0.features()).collect();
        let mut inputs = vec![case.0.random(&[4])];
        inputs.extend(parts);
        let kernel = |x: &[Tensor]| mix(&x[0], &x[1..].iter().collect::<Vec<_>>()).unwrap();
        let oracle = |x: &[Tensor]| (1..5).map(|part| x[0].i(part - 1) * &x[usize::try_from(part).unwrap()]).sum();
        agree("mix", &case, &inputs, &kernel, &oracle);
    }
}

#[test]
fn only_what_asks_for_a_gradient_gets_one() {
    let case = Case::new(2, 20, 5, 16, Kind::Float);
    let weights = Tensor::from_slice(&[0.25_f32, 0.75]);
    let (asks, rests) = (case.features().set_requires_grad(true), case.features());
    let y = mix(&weights, &[&asks, &rests]).unwrap();
    let gradient = Tensor::run_backward(&[y.sum(Kind::Float)], &[&asks], false, false);
    close(&gradient[0], &asks.full_like(0.25), 0.0, "gradient of the part that asks");
    assert!(!mix(&weights, &[&rests, &rests]).unwrap().requires_grad());
    assert!(!tch::no_grad(|| gather_max(&asks, &case.graph(), OwnPoint::Kept).unwrap()).requires_grad());
}

/// Everything that the kernels compute, values and gradients, under a number of threads.
fn everything(threads: i32) -> Vec<Tensor> {
    let before = tch::get_num_threads();
    tch::set_num_threads(threads);
    let case = Case::new(4, 256, 9, 40, Kind::Float);
    let graph = case.graph();
    let inputs = [case.features(), case.features(), case.per_channel(), case.per_channel(), case.per_row()];
    let probe = case.features();
    let kernel = |x: &[Tensor]| {
        let statistics = running(&x[2]);
        let norm = norm(&x[2], &x[3], &statistics, true);
        let parts = [
            gather_max(&x[0], &graph, OwnPoint::Skipped).unwrap(),
            gather_sum(&x[0], &graph, OwnPoint::Skipped).unwrap(),
            attention(&x[0], &AttentionScores { target: &x[4], source: &x[4] }, &graph, 0.2).unwrap(),
            relu_norm(&x[1], 0.2, &norm).unwrap(),
            edge_max_norm(&x[0], &x[1], &graph, OwnPoint::Skipped, &norm).unwrap(),
            relu_unit_length(&x[1], 1e-12).unwrap(),
        ];
        mix(&x[4].narrow(0, 0, 6), &parts.iter().collect::<Vec<_>>()).unwrap()
    };
    let mut all = evaluated(&inputs, &probe, &kernel);
    all.push(nearest_neighbours(&probe.view([4, 256, 40]), &every(9, 3)).unwrap());
    tch::set_num_threads(before);
    all
}

#[test]
fn one_and_two_threads_agree_in_every_bit() {
    for (place, (one, two)) in everything(1).iter().zip(&everything(2)).enumerate() {
        assert!(one.equal(two), "output or gradient {place}");
    }
}

/// In a process whose kernels, and libtorch's, are kept to narrower vectors.
#[test]
fn kernels_agree_on_processors_with_narrower_vectors() {
    const ASKED: &str = "SGAS_TEST_INSTRUCTIONS";
    let used = instructions().unwrap();
    if let Ok(asked) = std::env::var(ASKED) {
        assert_eq!(used, asked);
        return;
    }
    for (name, instructions) in [("avx2", "AVX2"), ("default", "DEFAULT")] {
        if used == instructions || used == "DEFAULT" {
            println!("skipped: kernels by {instructions}: they run by {used} here");
            continue;
        }
        let mut tests = std::process::Command::new(std::env::current_exe().unwrap());
        tests.args(["kernels::", "linear_kernel::", "neighbours::", "--test-threads", "1"]);
        let told = tests.env("ATEN_CPU_CAPABILITY", name).env(ASKED, instructions).output().unwrap();
        let text = String::from_utf8_lossy(&told.stdout);
        assert!(told.status.success(), "{instructions}:\n{text}");
        for module in
            ["kernels::kernels_agree_on", "image_kernels::", "link_kernels::", "linear_kernel::", "neighbours::"]
        {
            assert!(text.contains(module), "{module} has no test any more");
        }
    }
}

#[test]
fn not_a_number_is_passed_on() {
    let case = Case::new(1, 20, 5, 16, Kind::Float);
    let x = case.features();
    let _ = x.i((3, 2)).fill_(f64::NAN);
    let parameters = case.per_channel();
    let statistics = running(&parameters);
    let norm = norm(&parameters, &parameters, &statistics, true);
    let found = gather_max(&x, &case.graph(), OwnPoint::Kept).unwrap();
    assert!(found.double_value(&[3, 2]).is_nan());
    let found = edge_max_norm(&x, &x, &case.graph(), OwnPoint::Skipped, &norm).unwrap();
    assert!(found.double_value(&[0, 2]).is_nan() && found.double_value(&[0, 1]).is_finite());
}

/// In training the norm's statistics hand it on to all points.
#[test]
fn not_a_number_is_passed_on_in_evaluation_whichever_neighbour_it_is() {
    let case = Case::new(1, 70, 5, 16, Kind::Float);
    let x = case.features();
    let is_broken = |row: i64| row % 7 == 3;
    (0..70).filter(|row| is_broken(*row)).for_each(|row| drop(x.i((row, ..)).fill_(f64::NAN)));
    // Positive, negative and zero weights.
    let weight = Tensor::arange(16, (Kind::Float, CPU)) - 7.0;
    let statistics = running(&weight);
    let norm = norm(&weight, &weight, &statistics, false);
    let own = x.full_like(0.5);
    let found = edge_max_norm(&own, &x, &case.graph(), OwnPoint::Skipped, &norm).unwrap();
    let neighbours = Vec::<Vec<i64>>::try_from(&case.neighbours).unwrap();
    let broken = |row: &Vec<i64>| (0..4).filter(|place| is_broken(row[place + 1])).collect::<Vec<_>>();
    let places: Vec<Vec<usize>> = neighbours.iter().map(broken).collect();
    assert!((0..4).all(|place| places.contains(&vec![place])), "{places:?}");
    for (point, places) in places.iter().enumerate() {
        let number = |channel| found.double_value(&[point as i64, channel]);
        assert!((0..16).all(|channel| number(channel).is_nan() != places.is_empty()), "point {point}: {places:?}");
    }
}

#[test]
fn wrong_arguments_come_back_as_errors() {
    let case = Case::new(2, 20, 5, 16, Kind::Float);
    let x = case.features();
    let fails = |x: &Tensor, neighbours: &Tensor, clouds: i64, part: &str| {
        let error = gather_sum(x, &Neighbourhood { neighbours, clouds }, OwnPoint::Kept).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let outside = case.neighbours.copy();
    let _ = outside.i((0, 1)).fill_(20);
    fails(&x, &outside, 2, "outside its rows 0 to 19");
    let _ = outside.i((0, 1)).fill_(-1);
    fails(&x, &outside, 2, "outside its rows");
    fails(&x, &case.neighbours, 3, "clouds of equal size");
    fails(&x, &case.neighbours, 0, "clouds of equal size");
    fails(&x, &case.neighbours.narrow(0, 0, 10), 2, "one row of neighbours per point");
    fails(&x, &case.neighbours.to_kind(Kind::Int), 2, "int64");
    fails(&x.i(0), &case.neighbours, 2, "rows (R, C)");
    fails(&x.to_kind(Kind::Int64), &case.neighbours, 2, "fp32");
    fails(&x.to_sparse(None, None::<i64>, None), &case.neighbours, 2, "on the CPU");
    let alone = case.neighbours.narrow(1, 0, 1).contiguous();
    let graph = Neighbourhood { neighbours: &alone, clouds: 2 };
    assert!(gather_max(&x, &graph, OwnPoint::Skipped).is_err(), "a point without any neighbour");
    assert!(mix(&x.i((0, ..2)), &[&x]).is_err(), "more weights than tensors");
    assert!(mix(&x.i((0, ..0)), &[]).is_err(), "nothing to mix");
    let parameters = Tensor::ones([3], (Kind::Float, CPU));
    let statistics = running(&parameters);
    assert!(relu_norm(&x, 0.0, &norm(&parameters, &parameters, &statistics, true)).is_err(), "too few channels");
}

#[test]
fn a_second_derivative_is_an_error() {
    let case = Case::new(1, 20, 5, 16, Kind::Float);
    let x = case.features().set_requires_grad(true);
    let y = gather_sum(&x, &case.graph(), OwnPoint::Kept).unwrap().square().sum(Kind::Float);
    assert!(Tensor::f_run_backward(&[y], &[&x], true, true).is_err());
}

/// Sorts all pairs, in fp64: what the search must find wherever fp32 separates the distances.
fn nearest_oracle(x: &Tensor, k: i64, dilation: i64) -> Tensor {
    let (clouds, points, _) = x.size3().unwrap();
    let x = x.to_kind(Kind::Double);
    let distances = (x.unsqueeze(2) - x.unsqueeze(1)).square().sum_dim_intlist(-1, false, Kind::Double);
    let distances = distances - Tensor::eye(points, (Kind::Double, CPU));
    let order = distances.argsort_stable(true, -1, false).narrow(2, 0, k * dilation);
    let first = Tensor::arange(clouds, (Kind::Int64, CPU)).view([clouds, 1, 1]) * points;
    (order.slice(2, 0, None, dilation) + first).reshape([-1, k])
}

#[test]
fn nearest_neighbours_equal_a_full_sort() {
    for (clouds, points, channels, k, dilation) in [
        (2, 200, 3, 9, 1),
        (3, 130, 3, 5, 4),
        (1, 36, 2, 9, 4),
        (2, 150, 40, 9, 2),
        (1, 300, 9, 16, 12),
        (1, 1, 3, 1, 1),
    ] {
        let x = random(&[clouds, points, channels], 3).to_kind(Kind::Float) + 5.0;
        let found = nearest_neighbours(&x, &every(k, dilation)).unwrap();
        let expected = nearest_oracle(&x, k, dilation);
        let equal = found.eq_tensor(&expected).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        assert!(equal == 1.0, "{points} points, {channels} channels: only {equal} of the neighbours are right");
    }
}

#[test]
fn neighbours_at_any_ranks_are_those_of_a_full_sort() {
    let x = random(&[2, 180, 12], 4).to_kind(Kind::Float);
    let all = nearest_oracle(&x, 180, 1);
    for ranks in [&[7_i64, 0, 101, 30, 29, 179][..], &[5], &[0, 1, 2, 3], &[90, 12, 60, 2]] {
        let expected = all.index_select(1, &Tensor::from_slice(ranks));
        assert!(nearest_neighbours(&x, ranks).unwrap().equal(&expected), "{ranks:?}");
    }
}

#[test]
fn a_point_comes_first_among_its_duplicates() {
    let x = Tensor::ones([2, 100, 3], (Kind::Float, CPU));
    let found = nearest_neighbours(&x, &every(4, 2)).unwrap();
    assert!(found.select(1, 0).equal(&Tensor::arange(200, (Kind::Int64, CPU))));
    assert_eq!(Vec::<i64>::try_from(found.i(150)).unwrap(), [150, 101, 103, 105]);
    // At many ranks too, which are found another way.
    let found = nearest_neighbours(&x, &every(4, 20)).unwrap();
    assert!(found.select(1, 0).equal(&Tensor::arange(200, (Kind::Int64, CPU))));
    assert_eq!(Vec::<i64>::try_from(found.i(150)).unwrap(), [150, 119, 139, 160]);
}

#[test]
fn a_search_that_cannot_be_is_an_error_or_stays_inside() {
    let x = random(&[1, 20, 3], 3).to_kind(Kind::Float);
    assert!(nearest_neighbours(&x, &every(9, 3)).is_err(), "the 25th of 20 points");
    assert!(nearest_neighbours(&x, &[]).is_err());
    assert!(nearest_neighbours(&x, &[0, -1]).is_err());
    assert!(nearest_neighbours(&x, &[3, 1, 3]).is_err(), "one rank twice");
    assert!(nearest_neighbours(&x.to_kind(Kind::BFloat16), &every(4, 1)).is_err(), "half precision");
    let inside = |found: Tensor, points| found.max().int64_value(&[]) < points && found.min().int64_value(&[]) >= 0;
    let nothing = nearest_neighbours(&x.full_like(f64::NAN), &every(9, 2));
    assert!(nothing.is_ok_and(|found| inside(found, 20)));
    let many = random(&[1, 500, 12], 3).to_kind(Kind::Float);
    let _ = many.i((0, 7, 3)).fill_(f64::NAN);
    assert!(nearest_neighbours(&many, &every(16, 25)).is_ok_and(|found| inside(found, 500)));
    assert!(nearest_neighbours(&many.full_like(f64::NAN), &every(16, 25)).is_ok_and(|found| inside(found, 500)));
}

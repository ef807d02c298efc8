//! Every kernel of the bridge against the same thing in plain tensor operations: forward without gradients, and
//! forward with backward. Prints median (least to most) of the runs in milliseconds, and the ratio of medians.
//!
//! `cargo bench --profile dev --bench kernels`: libtorch and the kernels are optimised in every profile.

use std::hint::black_box;
use std::time::Instant;

use sgas::error::Result;
use sgas::report::peak_process_memory;
use sgas::tensor::bridge::gather::{AttentionScores, Neighbourhood, OwnPoint, attention, gather_max, gather_sum};
use sgas::tensor::bridge::linear::linear;
use sgas::tensor::bridge::mix::mix;
use sgas::tensor::bridge::nearest::nearest_neighbours;
use sgas::tensor::bridge::norm::{BatchNorm, edge_max_norm, relu_norm};
use sgas::tensor::bridge::unit_length::relu_unit_length;
use sgas::tensor::fused::TensorPath;
use sgas::tensor::nearest::every;
use sgas::tensor::neighbours::Neighbours;
use tch::{Device, Kind, Tensor};

const WARM_UP: usize = 3;
const RUNS: usize = 21;
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn main() -> Result<()> {
    println!("CPU, {} threads; median (min to max) of {RUNS} runs in ms", tch::get_num_threads());
    // First, because nothing brings a process's peak down.
    large_cloud()?;
    for (clouds, points, k, channels) in [(4, 1024, 9, 32), (8, 1024, 9, 128)] {
        println!("\nB = {clouds}, N = {points}, k = {k}, C = {channels}");
        gathers(clouds, points, k, channels)?;
    }
    for (rows, channels) in [(4096, 32), (28672, 32), (8192, 128)] {
        println!("\nrows = {rows}, C = {channels}");
        norms(rows, channels);
        unit_lengths(rows, channels);
    }
    for (rows, channels) in [(16384, 8), (65536, 16), (16384, 32), (4096, 64)] {
        println!("\nrows = {rows}, C = {channels}");
        let inputs = [Tensor::randn([rows, channels], FLOAT), Tensor::randn([channels, channels], FLOAT)];
        let libtorch = |x: &[Tensor]| x[0].linear(&x[1], None::<&Tensor>);
        compare("linear", &inputs, |x| linear(&x[0], &x[1]).expect("a map"), libtorch);
    }
    for (clouds, points, channels, k, dilation) in [(4, 1024, 3, 9, 1), (4, 1024, 96, 9, 2), (1, 4096, 64, 16, 27)] {
        println!("\nB = {clouds}, N = {points}, C = {channels}, k = {k}, dilation = {dilation}");
        let x = Tensor::randn([clouds, points, channels], FLOAT);
        let ours = time(|| black_box(nearest_neighbours(&x, &every(k, dilation)).expect("a search")));
        let theirs = time(|| black_box(top_k(&x, k, dilation)));
        report("nearest", "", &ours, &theirs);
    }
    Ok(())
}

/// A cloud of which all distances would take 40 GB: seconds, and by how much the process has grown at most so far.
fn large_cloud() -> Result<()> {
    let x = Tensor::rand([1, 100_000, 3], FLOAT);
    println!("\nB = 1, N = 100000, C = 3, k = 9, dilation = 2; once");
    let ways: [(&str, &dyn Fn() -> Tensor); 2] = [
        ("kernel", &|| nearest_neighbours(&x, &every(9, 2)).expect("a search")),
        ("tensors", &|| Neighbours::nearest(&x.view([-1, 3]), 1, 9, 2).rows),
    ];
    let before = peak_process_memory()?;
    for (name, run) in ways {
        let _plain = (name == "tensors").then(TensorPath::enter);
        let start = Instant::now();
        drop(black_box(run()));
        let (seconds, grown) = (start.elapsed().as_secs_f64(), peak_process_memory()? - before);
        println!("nearest {name:8} {seconds:6.2} s, peak of the process + {:.0} MiB", grown as f64 / 1_048_576.0);
    }
    Ok(())
}

fn gathers(clouds: i64, points: i64, k: i64, channels: i64) -> Result<()> {
    let neighbours = nearest_neighbours(&Tensor::randn([clouds, points, 3], FLOAT), &every(k, 1))?;
    let graph = Neighbourhood { neighbours: &neighbours, clouds };
    let rows = clouds * points;
    let features = || Tensor::randn([rows, channels], FLOAT);
    let own = OwnPoint::Skipped;
    let select = |x: &Tensor, first: i64| {
        let kept = neighbours.narrow(1, first, k - first).reshape([-1]);
        x.index_select(0, &kept).view([rows, k - first, channels])
    };
    let sum = |x: Tensor| x.sum_dim_intlist(1, false, None::<Kind>);

    compare(
        "gather_max",
        &[features()],
        |x| gather_max(&x[0], &graph, own).expect("a maximum"),
        |x| select(&x[0], 1).max_dim(1, false).0,
    );
    compare("gather_sum", &[features()], |x| gather_sum(&x[0], &graph, own).expect("a sum"), |x| sum(select(&x[0], 1)));
    compare(
        "attention",
        &[features(), Tensor::randn([rows], FLOAT), Tensor::randn([rows], FLOAT)],
        |x| attention(&x[0], &AttentionScores { target: &x[1], source: &x[2] }, &graph, 0.2).expect("attention"),
        |x| {
            let scores = x[1].unsqueeze(1) + x[2].index_select(0, &neighbours.reshape([-1])).view([rows, k]);
            let leaky = scores.maximum(&(&scores * 0.2));
            sum(select(&x[0], 0) * leaky.softmax(1, None::<Kind>).unsqueeze(2))
        },
    );
    let statistics = [Tensor::zeros([channels], FLOAT), Tensor::ones([channels], FLOAT)];
    compare(
        "edge_max_norm",
        &[features(), features(), Tensor::ones([channels], FLOAT), Tensor::zeros([channels], FLOAT)],
        |x| edge_max_norm(&x[0], &x[1], &graph, own, &norm(x, 2, &statistics)).expect("a norm"),
        |x| {
            let pairs = (x[0].unsqueeze(1) + select(&x[1], 1)).relu().view([-1, channels]);
            batch_norm(&pairs, x, 2, &statistics).view([rows, k - 1, channels]).max_dim(1, false).0
        },
    );
    let mut inputs = vec![Tensor::full([9], 1.0 / 9.0, FLOAT)];
    inputs.extend((0..9).map(|_| features()));
    compare(
        "mix of 9",
        &inputs,
        |x| mix(&x[0], &x[1..].iter().collect::<Vec<_>>()).expect("a mix"),
        |x| x[1..].iter().zip(0..).map(|(part, at)| x[0].select(0, at) * part).sum(),
    );
    Ok(())
}

fn norms(rows: i64, channels: i64) {
    let statistics = [Tensor::zeros([channels], FLOAT), Tensor::ones([channels], FLOAT)];
    compare(
        "relu_norm",
        &[Tensor::randn([rows, channels], FLOAT), Tensor::ones([channels], FLOAT), Tensor::zeros([channels], FLOAT)],
        |x| relu_norm(&x[0], 0.0, &norm(x, 1, &statistics)).expect("a norm"),
        |x| batch_norm(&x[0].relu(), x, 1, &statistics),
    );
}

fn unit_lengths(rows: i64, channels: i64) {
    compare(
        "relu_unit_length",
        &[Tensor::randn([rows, channels], FLOAT)],
        |x| relu_unit_length(&x[0], 1e-12).expect("unit vectors"),
        |x| {
            let positive = x[0].relu();
            &positive / positive.norm_scalaropt_dim(2, 1, true).clamp_min(1e-12)
        },
    );
}

fn norm<'a>(inputs: &'a [Tensor], at: usize, statistics: &'a [Tensor; 2]) -> BatchNorm<'a> {
    let [running_mean, running_var] = statistics;
    let (weight, bias) = (&inputs[at], &inputs[at + 1]);
    BatchNorm {
        weight: Some(weight),
        bias: Some(bias),
        running_mean,
        running_var,
        training: true,
        momentum: 0.1,
        epsilon: 1e-5,
    }
}

fn batch_norm(x: &Tensor, inputs: &[Tensor], at: usize, statistics: &[Tensor; 2]) -> Tensor {
    let (weight, bias) = (Some(&inputs[at]), Some(&inputs[at + 1]));
    x.batch_norm(weight, bias, Some(&statistics[0]), Some(&statistics[1]), true, 0.1, 1e-5, false)
}

/// The published way: all distances, then the k · dilation greatest of their negatives.
fn top_k(x: &Tensor, k: i64, dilation: i64) -> Tensor {
    let squares = (x * x).sum_dim_intlist(-1, true, None::<Kind>);
    let products: Tensor = x.matmul(&x.transpose(1, 2)) * 2;
    (products - &squares - squares.transpose(1, 2)).topk(k * dilation, -1, true, true).1.slice(2, 0, None, dilation)
}

fn compare(name: &str, inputs: &[Tensor], kernel: impl Fn(&[Tensor]) -> Tensor, tensors: impl Fn(&[Tensor]) -> Tensor) {
    let forward = |f: &dyn Fn(&[Tensor]) -> Tensor| time(|| tch::no_grad(|| black_box(f(inputs))));
    report(name, "forward", &forward(&kernel), &forward(&tensors));
    let leaves: Vec<Tensor> = inputs.iter().map(|input| input.copy().set_requires_grad(true)).collect();
    let both = |f: &dyn Fn(&[Tensor]) -> Tensor| {
        time(|| black_box(Tensor::run_backward(&[f(&leaves).sum(Kind::Float)], &leaves, false, false)))
    };
    report(name, "and backward", &both(&kernel), &both(&tensors));
}

/// Milliseconds of every run, ascending.
fn time<T>(run: impl Fn() -> T) -> Vec<f64> {
    let once = || {
        let start = Instant::now();
        let result = run();
        let elapsed = start.elapsed().as_secs_f64() * 1e3;
        drop(result);
        elapsed
    };
    let _: f64 = (0..WARM_UP).map(|_| once()).sum();
    let mut times: Vec<f64> = (0..RUNS).map(|_| once()).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn report(name: &str, part: &str, kernel: &[f64], tensors: &[f64]) {
    let text = |times: &[f64]| format!("{:8.3} ({:.3} to {:.3})", times[RUNS / 2], times[0], times[RUNS - 1]);
    let ratio = tensors[RUNS / 2] / kernel[RUNS / 2];
    println!("{name:20} {part:13} kernel {:28} tensors {:28} {ratio:5.1} x", text(kernel), text(tensors));
}

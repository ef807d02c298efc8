//! What the primitives on graphs, one at a time, and a derived network of one cell cost on random graphs of growing
//! size: seconds and peak bytes per link of a forward and backward pass, as a Markdown table.
//!
//! `cargo bench --profile dev --bench scaling`. Every row is a process of its own, because nothing else brings a
//! process's peak down for good. The bytes are those of the resident set (VmHWM) beyond what the process held before
//! the pass, its warm-up pass included, with weights, features and lists of links already there.

use std::fs;
use std::process::Command;
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sgas::batch::{Batch, GraphBatch};
use sgas::error::{Error, Result};
use sgas::genotype::{SpaceName, zoo};
use sgas::model::{self, ModelConfig, NetworkSpec};
use sgas::ops::{Mode, State, graph};
use sgas::report::peak_process_memory;
use sgas::tensor::adjacency::{Adjacency, Link};
use sgas::tensor::bridge::memory;
use sgas::tensor::links::Links;
use sgas::tensor::parameters::{Parameters, Store};
use sgas::threads;
use tch::{Device, Kind, Tensor};

/// Nodes and links.
const SIZES: [(usize, usize); 5] =
    [(10_000, 100_000), (10_000, 1_000_000), (100_000, 1_000_000), (100_000, 5_000_000), (200_000, 10_000_000)];
const CHANNELS: i64 = 32;
/// Of the network.
const CELL: &str = "Cri2_PPI_Best";
const FEATURES: i64 = 50;
const CLASSES: usize = 121;
/// Rows besides the primitives.
const LISTS: &str = "sorting the links";
const NETWORK: &str = "network of one cell";
/// Passes of which the median is told.
const RUNS: usize = 3;
/// Bytes of a page of memory on Linux x86-64.
const PAGE: u64 = 4096;
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// What a process measured.
struct Row {
    seconds: f64,
    bytes: u64,
    peak: u64,
}

fn main() -> Result<()> {
    // As the program does.
    threads::set_thread_defaults();
    memory::keep_freed_memory();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match &words[..] {
        [] => table(),
        [what, nodes, links] => {
            let row = measure(what, number(nodes)?, number(links)?)?;
            println!("{} {} {}", row.seconds, row.bytes, row.peak);
            Ok(())
        }
        _ => Err(Error::usage("no words, or those of one row: WHAT NODES LINKS")),
    }
}

fn number(word: &str) -> Result<usize> {
    word.parse().map_err(|_| Error::invalid("scaling", "a whole number", word))
}

fn table() -> Result<()> {
    println!("{CHANNELS} channels, {} threads, median of {RUNS} passes\n", tch::get_num_threads());
    println!("| what | nodes | links | seconds | ns per link | bytes per link | peak of the process, MiB |");
    println!("|---|---|---|---|---|---|---|");
    let primitives = SpaceName::GRAPH.primitives().iter().copied().filter(|name| *name != "none");
    for what in [LISTS].into_iter().chain(primitives).chain([NETWORK]) {
        for (nodes, links) in SIZES {
            let Row { seconds, bytes, peak } = in_a_process(what, nodes, links)?;
            let (time, memory) = (seconds * 1e9 / links as f64, bytes as f64 / links as f64);
            println!("| {what} | {nodes} | {links} | {seconds:.3} | {time:.1} | {memory:.1} | {} |", peak >> 20);
        }
    }
    Ok(())
}

/// One row by a process of this program.
fn in_a_process(what: &str, nodes: usize, links: usize) -> Result<Row> {
    let place = || format!("{what} on {links} links");
    let own = std::env::current_exe().map_err(|error| Error::read("the bench", error))?;
    let done = Command::new(own).args([what, &nodes.to_string(), &links.to_string()]).output();
    let done = done.map_err(|error| Error::read(place(), error))?;
    let text = String::from_utf8_lossy(&done.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    let row = || {
        let [seconds, bytes, peak] = words[..] else { return None };
        Some(Row { seconds: seconds.parse().ok()?, bytes: bytes.parse().ok()?, peak: peak.parse().ok()? })
    };
    row().ok_or_else(|| Error::invalid(place(), "three numbers", String::from_utf8_lossy(&done.stderr)))
}

fn measure(what: &str, nodes: usize, links: usize) -> Result<Row> {
    let list = random_links(nodes, links);
    let (before, start) = (held()?, Instant::now());
    let adjacency = Adjacency::new(nodes, &list);
    let batch = Links::new(&adjacency);
    let seconds = start.elapsed().as_secs_f64();
    let sorted = peak_process_memory()?;
    if what == LISTS {
        return Ok(Row { seconds, bytes: sorted - before, peak: sorted });
    }
    drop((list, adjacency));
    let mut pass = if what == NETWORK { network(nodes, batch)? } else { primitive(what, nodes, batch) };
    forget_peak()?;
    let before = held()?;
    pass();
    let mut times: Vec<f64> = (0..RUNS).map(|_| timed(&mut pass)).collect();
    times.sort_by(f64::total_cmp);
    let peak = peak_process_memory()?;
    Ok(Row { seconds: times[RUNS / 2], bytes: peak - before, peak: peak.max(sorted) })
}

/// Bytes that the process holds now, as the system counts its pages.
fn held() -> Result<u64> {
    let place = "/proc/self/statm";
    let text = fs::read_to_string(place).map_err(|error| Error::read(place, error))?;
    let pages = text.split(' ').nth(1).and_then(|word| word.parse::<u64>().ok());
    pages.map(|pages| pages * PAGE).ok_or_else(|| Error::invalid(place, "a number of pages", text))
}

/// Makes what the process holds now the most that it held so far.
fn forget_peak() -> Result<()> {
    let place = "/proc/self/clear_refs";
    fs::write(place, "5").map_err(|error| Error::write(place, error))
}

fn timed(pass: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    pass();
    start.elapsed().as_secs_f64()
}

/// Between any two nodes, in one direction each, none from a node to itself.
fn random_links(nodes: usize, links: usize) -> Vec<Link> {
    let (mut generator, nodes) = (ChaCha8Rng::seed_from_u64(1), nodes as u32);
    let mut link = || {
        let source = generator.random_range(0..nodes);
        [source, (source + generator.random_range(1..nodes)) % nodes]
    };
    (0..links).map(|_| link()).collect()
}

fn primitive(name: &str, nodes: usize, links: Links) -> Box<dyn FnMut()> {
    let store = Store::new(Device::Cpu);
    let operation = graph::operation(&store.root(), name, CHANNELS).expect("a primitive that computes");
    let (parameters, _) = store.finish();
    let x = Tensor::randn([nodes as i64, CHANNELS], FLOAT).set_requires_grad(true);
    Box::new(move || {
        let y = operation.forward(&State::new(x.shallow_clone()), &links, Mode::TRAINING);
        backward(&y, &parameters, Some(&x));
    })
}

fn network(nodes: usize, links: Links) -> Result<Box<dyn FnMut()>> {
    let spec = NetworkSpec {
        model: ModelConfig { channels: CHANNELS, cells: 1 },
        classes: CLASSES,
        in_channels: FEATURES,
        ..NetworkSpec::default()
    };
    let model = model::derived(&zoo::find(CELL)?.genotype, &spec, 1, Device::Cpu);
    let batch = Batch::Graphs(GraphBatch {
        features: Tensor::randn([nodes as i64, FEATURES], FLOAT),
        links,
        labels: Tensor::zeros([nodes as i64, 1], FLOAT),
        scored: None,
        sizes: vec![nodes],
    });
    Ok(Box::new(move || backward(&model.forward(&batch, Mode::TRAINING).logits, &model.weights().parameters, None)))
}

fn backward(y: &Tensor, parameters: &Parameters, input: Option<&Tensor>) {
    let leaves: Vec<&Tensor> = parameters.iter().map(|(_, leaf)| leaf).chain(input).collect();
    drop(Tensor::run_backward(&[y.sum(Kind::Float)], &leaves, false, false));
}

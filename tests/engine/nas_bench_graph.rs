//! The space of NAS-Bench-Graph: operators against their formulas in fp64, counts of weights against the published
//! table, and networks in search and derived.

use super::turn;
use sgas::batch::{Batch, GraphBatch};
use sgas::benchmark::{Benchmark, NasBenchGraph, Quantity};
use sgas::decision::Choice;
use sgas::genotype::{Genotype, SpaceName};
use sgas::model::{self, Architecture, ModelConfig, NetworkSpec};
use sgas::ops::nas_bench_graph::{Reading, operation};
use sgas::ops::{Mode, State};
use sgas::space::nas_bench_graph::NasBenchGraphConfig;
use sgas::tensor::adjacency::{Adjacency, Link};
use sgas::tensor::links::Links;
use sgas::tensor::parameters::Store;
use sgas::tensor::random::{Key, Purpose};
use sgas::topology::CellKind;
use tch::{Device, Kind, Tensor};

const SPACE: SpaceName = SpaceName::NAS_BENCH_GRAPH;
const NODES: usize = 8;
const INPUTS: usize = 5;
const OUTPUTS: usize = 8;

type Matrix = Vec<Vec<f64>>;

/// Node 4 has no link, 5 and 6 only each other, and one link leads one way to 7.
fn links() -> Vec<Link> {
    let both = [[0, 1], [1, 2], [2, 3], [0, 3], [1, 3], [5, 6]];
    both.into_iter().flat_map(|[a, b]| [[a, b], [b, a]]).chain([[2, 7]]).collect()
}

fn zeros(rows: usize, columns: usize) -> Matrix {
    vec![vec![0.0; columns]; rows]
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let dot = |row: &Vec<f64>, column: usize| row.iter().zip(b).map(|(x, y)| x * y[column]).sum();
    a.iter().map(|row| (0..b[0].len()).map(|column| dot(row, column)).collect()).collect()
}

fn map(x: &Matrix, change: impl Fn(usize, usize, f64) -> f64) -> Matrix {
    let row = |(i, row): (usize, &Vec<f64>)| row.iter().enumerate().map(|(j, x)| change(i, j, *x)).collect();
    x.iter().enumerate().map(row).collect()
}

fn sum(a: &Matrix, b: &Matrix) -> Matrix {
    map(a, |i, j, x| x + b[i][j])
}

fn matrix(tensor: &Tensor) -> Matrix {
    let columns = *tensor.size().last().unwrap();
    let wide = tensor.to_kind(Kind::Double).reshape([-1, columns]);
    Vec::<Vec<f64>>::try_from(&wide).unwrap()
}

/// A(i, j): how many links lead from j to i.
fn dense(links: &[Link]) -> Matrix {
    let mut dense = zeros(NODES, NODES);
    for [source, target] in links {
        dense[*target as usize][*source as usize] += 1.0;
    }
    dense
}

/// A with every entry over the roots of both in-degrees, 0 where one is 0.
fn normalized(a: &Matrix) -> Matrix {
    let degrees: Vec<f64> = a.iter().map(|row| row.iter().sum()).collect();
    let root = |node: usize| if degrees[node] > 0.0 { degrees[node].powf(-0.5) } else { 0.0 };
    map(a, |i, j, x| x * root(i) * root(j))
}

fn loops(a: &Matrix, count: f64) -> Matrix {
    map(a, |i, j, x| if i == j { count } else { x })
}

/// An operator as its paper has it, from its weights by name.
fn formula(name: &str, x: &Matrix, a: &Matrix, weight: &dyn Fn(&str) -> Matrix) -> Matrix {
    let mapped = |weights: &str| {
        let w = weight(weights);
        product(x, &(0..w[0].len()).map(|i| w.iter().map(|row| row[i]).collect()).collect())
    };
    let with = |y: Matrix, bias: &str| {
        let bias = weight(bias);
        map(&y, |_, j, y| y + bias[0][j])
    };
    match name {
        "gat" => {
            let (hidden, looped) = (mapped("lin.weight"), loops(a, 1.0));
            let (source, target) = (weight("att_src"), weight("att_dst"));
            let share = OUTPUTS / 4;
            let mut y = zeros(NODES, OUTPUTS);
            for head in 0..4 {
                let score = |node: usize, vectors: &Matrix| -> f64 {
                    (0..share).map(|c| hidden[node][head * share + c] * vectors[head][c]).sum()
                };
                for i in 0..NODES {
                    let leaky = |x: f64| if x > 0.0 { x } else { 0.2 * x };
                    let power = |j: usize| looped[i][j] * leaky(score(i, &target) + score(j, &source)).exp();
                    let all: f64 = (0..NODES).map(power).sum();
                    for c in head * share..(head + 1) * share {
                        y[i][c] = (0..NODES).map(|j| power(j) / all * hidden[j][c]).sum();
                    }
                }
            }
            with(y, "bias")
        }
        "gcn" => with(product(&normalized(&loops(a, 1.0)), &mapped("lin.weight")), "bias"),
        "gin" => {
            let mapped = mapped("nn.weight");
            with(sum(&mapped, &product(a, &mapped)), "nn.bias")
        }
        "cheb" => {
            let neighbours = product(&normalized(&loops(a, 0.0)), &mapped("lins.1.weight"));
            with(sum(&mapped("lins.0.weight"), &map(&neighbours, |_, _, y| -y)), "bias")
        }
        "sage" => {
            let shares = map(a, |i, _, x| x / a[i].iter().sum::<f64>().max(1.0));
            with(sum(&product(&shares, &mapped("lin_l.weight")), &mapped("lin_r.weight")), "lin_l.bias")
        }
        "arma" => {
            let neighbours = product(&normalized(a), &mapped("init_weight.weight"));
            map(&with(sum(&neighbours, &mapped("root_weight.weight")), "bias"), |_, _, y| y.max(0.0))
        }
        "graph" => {
            let neighbours = product(a, &mapped("lin_rel.weight"));
            with(sum(&neighbours, &mapped("lin_root.weight")), "lin_rel.bias")
        }
        "fc" => with(mapped("weight"), "bias"),
        "skip" => x.clone(),
        _ => unreachable!("{name}"),
    }
}

#[test]
fn operators_are_their_formulas() {
    let _turn = turn();
    // With isolated nodes; then also with links from nodes to themselves and links that come twice.
    let more: Vec<Link> = links().into_iter().chain([[1, 1], [4, 4], [0, 1]]).collect();
    for stored in [links(), more.clone()] {
        for name in SPACE.primitives() {
            // The library takes repeated links into its softmax and loops one by one; the kernels are held by their own tests.
            let stored: Vec<Link> = if *name == "gat" || *name == "gcn" { links() } else { stored.clone() };
            for raw in [true, false] {
                Key::new(7, Purpose::Weights).seed_torch();
                let x = Tensor::randn([NODES as i64, INPUTS as i64], (Kind::Float, Device::Cpu));
                let store = Store::new(Device::Cpu);
                let (inputs, outputs) = (INPUTS as i64, OUTPUTS as i64);
                let operation = operation(&store.root(), name, Reading { inputs, outputs, raw, dropout: 0.0 }).unwrap();
                let (parameters, _buffers) = store.finish();
                // Biases that start at zero would hide a bias in the wrong place.
                let nudge = Tensor::randn(parameters.flat().size(), (Kind::Float, Device::Cpu)) * 0.3;
                tch::no_grad(|| drop(parameters.flat().shallow_clone().g_add_(&nudge)));
                let weight = |wanted: &str| {
                    let wanted = format!("operator.{wanted}");
                    matrix(parameters.iter().find(|(known, _)| *known == wanted).unwrap().1)
                };
                let norm = |wanted: &str| {
                    let wanted = format!("norm.{wanted}");
                    matrix(parameters.iter().find(|(known, _)| *known == wanted).unwrap().1).remove(0)
                };
                let mut read = matrix(&x);
                if !raw {
                    let mean = |c: usize| read.iter().map(|row| row[c]).sum::<f64>() / NODES as f64;
                    let means: Vec<f64> = (0..INPUTS).map(mean).collect();
                    let variance =
                        |c: usize| read.iter().map(|row| (row[c] - means[c]).powi(2)).sum::<f64>() / NODES as f64;
                    let variances: Vec<f64> = (0..INPUTS).map(variance).collect();
                    let (scale, shift) = (norm("weight"), norm("bias"));
                    read = map(&read, |_, c, x| {
                        ((x - means[c]) / (variances[c] + 1e-5).sqrt() * scale[c] + shift[c]).max(0.0)
                    });
                }
                let expected = formula(name, &read, &dense(&stored), &weight);
                let links = Links::new(&Adjacency::new(NODES, &stored));
                let found = matrix(&operation.forward(&State::new(x), &links, Mode::TRAINING));
                for (node, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    for (found, expected) in found.iter().zip(expected) {
                        // fp32 sums of at most a dozen terms around 1.
                        assert!((found - expected).abs() < 2e-5, "{name}, raw {raw}, node {node}: {found} {expected}");
                    }
                }
                assert_eq!(found.len(), expected.len());
            }
        }
    }
}

/// A set's name, numbers per node, classes, layers before and after the cell, width.
const SETS: [(&str, i64, usize, usize, usize, i64); 8] = [
    ("cora", 1433, 7, 0, 1, 256),
    ("citeseer", 3703, 6, 0, 1, 256),
    ("pubmed", 500, 3, 0, 0, 128),
    ("cs", 6805, 15, 1, 0, 128),
    ("physics", 8415, 5, 1, 0, 256),
    ("photo", 745, 8, 0, 0, 128),
    ("computers", 767, 10, 1, 1, 64),
    ("arxiv", 128, 40, 0, 1, 128),
];

fn set(name: &str) -> NetworkSpec {
    let (_, in_channels, classes, layers_before, layers_after, channels) =
        SETS.into_iter().find(|(known, ..)| *known == name).unwrap();
    NetworkSpec {
        model: ModelConfig { channels, cells: 1 },
        nas_bench_graph: NasBenchGraphConfig { layers_before, layers_after, dropout: 0.5 },
        classes,
        in_channels,
        ..NetworkSpec::default()
    }
}

/// The weights of a cell's network, and those that the published count has besides: the norm of a node that reads raw
/// features, and a matrix in every `arma`, neither of which is ever used.
fn weights(genotype: &Genotype, spec: &NetworkSpec) -> (usize, usize) {
    let (c, f, k) = (spec.model.channels as usize, spec.in_channels as usize, spec.classes);
    let NasBenchGraphConfig { layers_before, layers_after, .. } = spec.nas_bench_graph;
    let (mut used, mut unused) = (if layers_before == 1 { f * c + c } else { 0 }, 0);
    let mut raw = vec![layers_before == 0];
    for (operation, source) in &genotype.normal.edges {
        let inputs = if raw[*source] { f } else { c };
        used += match operation.as_str() {
            "gat" => inputs * c + 3 * c,
            "gcn" | "gin" | "fc" => inputs * c + c,
            "skip" => 0,
            _ => 2 * inputs * c + c,
        };
        *(if raw[*source] { &mut unused } else { &mut used }) += 2 * c;
        unused += if operation == "arma" { c * c } else { 0 };
        raw.push(raw[*source] && operation == "skip");
    }
    let leaves: usize = genotype.normal.concat.iter().map(|state| if raw[*state] { f } else { c }).sum();
    used += if layers_after == 1 { leaves * c + c + c * k + k } else { leaves * k + k };
    (used, unused)
}

fn cell(sources: [usize; 4], operations: [&str; 4]) -> Genotype {
    let primitive = |name| SPACE.primitives().iter().position(|known| *known == name).unwrap();
    let choices: Vec<Choice> = operations
        .into_iter()
        .zip(sources)
        .map(|(name, source)| Choice { primitive: primitive(name), source })
        .collect();
    Genotype::from_choices(SPACE, &choices, None)
}

/// Cells that have every operation on raw features and behind others, every shape, and raw leaves.
fn cells() -> Vec<Genotype> {
    let names = SPACE.primitives();
    let shapes = [[0, 0, 0, 0], [0, 0, 1, 2], [0, 1, 1, 3], [0, 1, 2, 3], [0, 0, 2, 0]];
    let shifted = |shift: usize| {
        let sources = shapes[shift % shapes.len()];
        cell(sources, [0, 1, 4, 7].map(|place| names[(place + shift) % names.len()]))
    };
    (0..18).map(shifted).collect()
}

#[test]
fn counts_of_weights_are_those_of_built_networks() {
    let _turn = turn();
    for name in ["pubmed", "computers", "arxiv"] {
        let spec = set(name);
        for genotype in cells() {
            let built = model::parameter_count(&Architecture::Cell(Box::new(genotype.clone())), &spec);
            assert_eq!(built, weights(&genotype, &spec).0, "{name}: {:?}", genotype.normal);
        }
    }
}

/// The published table, where it lies.
fn table() -> Option<NasBenchGraph> {
    let path = std::env::var_os("SGAS_TEST_DATA")
        .map(|root| std::path::Path::new(&root).join("nas-bench-graph").join("nas-bench-graph.csv"))
        .filter(|path| path.is_file());
    if path.is_none() {
        eprintln!("skipped: SGAS_TEST_DATA names no folder with nas-bench-graph");
    }
    Some(NasBenchGraph::load(path?).unwrap())
}

/// 4! ways to read times 9⁴ operations.
#[test]
fn every_cell_but_four_skips_has_a_row_and_every_row_a_cell() {
    let Some(table) = table() else { return };
    assert_eq!(table.cells(), 26_206);
    let count = SPACE.primitives().len();
    let mut found = vec![0_u32; table.cells()];
    let mut without = 0;
    for code in 0..24 * count.pow(4) {
        let (reads, operations) = (code % 24, code / 24);
        let sources = [0, reads % 2, reads / 2 % 3, reads / 6];
        let choices: Vec<Choice> = (0..4)
            .map(|node| Choice { primitive: operations / count.pow(node as u32) % count, source: sources[node] })
            .collect();
        match table.row(&Genotype::from_choices(SPACE, &choices, None)) {
            Ok(row) => found[row] += 1,
            Err(_) => {
                assert!(choices.iter().all(|choice| SPACE.primitives()[choice.primitive] == "skip"), "{choices:?}");
                without += 1;
            }
        }
    }
    assert_eq!((found.iter().sum::<u32>(), without), (157_440, 24));
    assert!(found.iter().all(|count| *count > 0));
    assert!((0..table.cells()).step_by(97).all(|row| table.row(&table.cell(row).unwrap()).unwrap() == row));
}

#[test]
fn published_counts_of_parameters_are_met() {
    let Some(table) = table() else { return };
    let specs = SETS.map(|(name, ..)| (name, set(name)));
    // Of Physics some rows are the mean of two runs of its sizes and one of PubMed's and Photo's.
    let narrow = NasBenchGraphConfig { layers_before: 0, layers_after: 0, dropout: 0.5 };
    let narrow =
        NetworkSpec { model: ModelConfig { channels: 128, cells: 1 }, nas_bench_graph: narrow, ..set("physics") };
    let millions = |genotype: &Genotype, spec: &NetworkSpec| {
        let (used, unused) = weights(genotype, spec);
        (used + unused) as f64 / 1e6
    };
    // Printed to five decimals of a million.
    let close = |count: f64, printed: f64| (count - printed).abs() < 5.001e-6;
    let (mut met, mut mean, mut other) = (0, 0, 0);
    for row in 0..table.cells() {
        let genotype = table.cell(row).unwrap();
        let scores = table.scores(&genotype).unwrap();
        for score in scores.iter().filter(|score| score.quantity == Quantity::Parameters) {
            let (name, spec) = specs.iter().find(|(name, _)| *name == score.set).unwrap();
            let count = millions(&genotype, spec);
            if close(count, score.value) {
                met += 1;
                continue;
            }
            assert_eq!(*name, "physics", "{:?}: {count}, not {}", genotype.normal, score.value);
            let mixed = close((2.0 * count + millions(&genotype, &narrow)) / 3.0, score.value);
            *(if mixed { &mut mean } else { &mut other }) += 1;
        }
    }
    // 89 rows of Physics have counts of neither.
    assert_eq!((met, mean, other), (8 * 26_206 - 1478 - 89, 1478, 89));
}

fn batch() -> Batch {
    let features = Tensor::randn([NODES as i64, INPUTS as i64], (Kind::Float, Device::Cpu));
    Batch::Graphs(GraphBatch {
        features,
        links: Links::new(&Adjacency::new(NODES, &links())),
        labels: Tensor::from_slice(&[0_i64, 1, 2]),
        scored: Some(Tensor::from_slice(&[0_i64, 4, 7])),
        sizes: vec![3],
    })
}

#[test]
fn networks_give_logits_of_the_scored_nodes_in_search_and_derived() {
    let _turn = turn();
    for (layers_before, layers_after, cells_in_stack) in [(0, 1, 1), (1, 0, 1), (0, 0, 2)] {
        let spec = NetworkSpec {
            model: ModelConfig { channels: 8, cells: cells_in_stack },
            nas_bench_graph: NasBenchGraphConfig { layers_before, layers_after, dropout: 0.3 },
            classes: 3,
            in_channels: INPUTS as i64,
            ..NetworkSpec::default()
        };
        let mut supernet = model::supernet(SPACE, &spec, 1e-3, 1, Device::Cpu);
        let logits = |output: Tensor| {
            assert_eq!(output.size(), [3, 3]);
            assert!(bool::try_from(output.isfinite().all()).unwrap());
        };
        logits(supernet.forward(&batch(), Mode::TRAINING).logits);
        supernet.fix(CellKind::Normal, 0, 8);
        supernet.prune(CellKind::Normal, 1);
        logits(supernet.forward(&batch(), Mode::Evaluation).logits);
        for genotype in cells().into_iter().chain([cell([0, 1, 1, 0], ["skip"; 4])]) {
            assert_eq!(Genotype::from_json(&genotype.to_json(), "again").unwrap(), genotype);
            let derived = model::derived(&genotype, &spec, 1, Device::Cpu);
            for mode in [Mode::TRAINING, Mode::Evaluation] {
                let output = derived.forward(&batch(), mode).logits;
                let weights = &derived.weights().parameters;
                // Every weight of a derived network is used, so every one has a gradient.
                let leaves: Vec<&Tensor> = weights.iter().map(|(_, leaf)| leaf).collect();
                let gradients = Tensor::run_backward(&[output.sum(Kind::Float)], &leaves, false, false);
                assert!(gradients.iter().all(Tensor::defined), "{:?}", genotype.normal);
                logits(output);
            }
        }
    }
}

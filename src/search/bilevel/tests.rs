//! A step that processes share is the step of one of them on their batches joined: weights and the alphas' gradient, in
//! every space and for ResGCN. Dropout is off, of which each process draws its own.

use super::*;
use crate::batch::{GraphBatch, ImageBatch, PointBatch};
use crate::dist::{Processes, Share, threads};
use crate::genotype::{SpaceName, zoo};
use crate::model::{Architecture, HandDesigned, Model, ModelConfig, NetworkSpec, ResGcnConfig, network, supernet};
use crate::optim::OptimizerKind;
use crate::tensor::adjacency::Adjacency;
use crate::tensor::links::Links;
use crate::tensor::random::Purpose;
use tch::{Device, Kind, no_grad};

/// Samples of the joined batch.
const SAMPLES: i64 = 4;
const RATE: f64 = 0.1;

/// What all processes' batches are, and a process's part of it.
#[derive(Clone, Copy)]
enum Data {
    Points,
    /// With a class for every point.
    Labelled,
    Images,
    /// Of several sizes, with labels or with a class for every node.
    Graphs,
    Classes,
}

/// Numbers without a pattern.
fn numbers(shape: &[i64], start: f64) -> Tensor {
    let count: i64 = shape.iter().product();
    ((Tensor::arange(count, (Kind::Double, Device::Cpu)) + start) * 12.9898).sin().to_kind(Kind::Float).view(shape)
}

impl Data {
    fn task(self) -> Task {
        match self {
            Self::Points | Self::Images | Self::Classes => Task::Classify { classes: 3 },
            Self::Labelled => Task::Segment { classes: 3 },
            Self::Graphs => Task::MultiLabel { labels: 3 },
        }
    }

    /// How far rounding may part steps, of the greatest number: where points take maxima over their neighbours, one that is
    /// decided otherwise moves a gradient to another point, as between kernels and plain operators of one process.
    fn rounding(self) -> f64 {
        match self {
            Self::Points | Self::Labelled => 5e-3,
            Self::Images | Self::Graphs | Self::Classes => 1e-4,
        }
    }

    fn batch(self, share: Share) -> Batch {
        let own = share.part_of(SAMPLES as usize);
        let (first, count) = (own.start as i64, own.len() as i64);
        let labels = |count: i64| Tensor::arange(count, (Kind::Int64, Device::Cpu)).remainder(3);
        match self {
            Self::Points => Batch::Points(PointBatch {
                points: numbers(&[SAMPLES, 24, 3], 0.0).narrow(0, first, count),
                labels: labels(SAMPLES).narrow(0, first, count),
            }),
            Self::Labelled => Batch::Points(PointBatch {
                points: numbers(&[SAMPLES, 24, 9], 0.0).narrow(0, first, count),
                labels: labels(SAMPLES * 24).narrow(0, first * 24, count * 24),
            }),
            Self::Images => Batch::Images(ImageBatch {
                images: numbers(&[SAMPLES, 3, 8, 8], 0.0).narrow(0, first, count),
                labels: labels(SAMPLES).narrow(0, first, count),
            }),
            Self::Graphs | Self::Classes => {
                let nodes = |graph: usize| 5 + 2 * graph;
                let chain = |graph: usize| {
                    let links = (1..nodes(graph) as u32).flat_map(|node| [[node - 1, node], [node, node / 2]]);
                    Adjacency::new(nodes(graph), &links.collect::<Vec<_>>())
                };
                let graphs: Vec<Adjacency> = own.clone().map(chain).collect();
                let sizes: Vec<usize> = own.clone().map(nodes).collect();
                let features = own.clone().map(|graph| numbers(&[nodes(graph) as i64, 5], 100.0 * graph as f64));
                let features = Tensor::cat(&features.collect::<Vec<_>>(), 0);
                let classes = Tensor::cat(&sizes.iter().map(|&size| labels(size as i64)).collect::<Vec<_>>(), 0);
                let labels = match self {
                    Self::Graphs => classes.one_hot(3).to_kind(Kind::Float),
                    _ => classes,
                };
                let links = Links::new(&Adjacency::join(&graphs.iter().collect::<Vec<_>>()));
                Batch::Graphs(GraphBatch { features, links, labels, scored: None, sizes })
            }
        }
    }
}

fn spec(data: Data) -> NetworkSpec {
    let mut spec = NetworkSpec { model: ModelConfig { cells: 3, channels: 8 }, classes: 3, ..NetworkSpec::default() };
    spec.point.k = 4;
    spec.point.dropout = 0.0;
    spec.nas_bench_graph.dropout = 0.0;
    spec.resgcn = ResGcnConfig { blocks: 2, channels: 8, k: 4, stochastic: 0.0, dropout: 0.0, ..spec.resgcn };
    spec.in_channels = match data {
        Data::Points | Data::Images => 3,
        Data::Labelled => 9,
        Data::Graphs | Data::Classes => 5,
    };
    spec.per_point = matches!(data, Data::Labelled);
    spec
}

fn step_of(model: &dyn Model, processes: &Processes) -> WeightStep {
    let config =
        WeightConfig { optimizer: OptimizerKind::Sgd, clip: 0.0, weight_decay: 0.0, ..WeightConfig::default() };
    let mut step = WeightStep::new(model, &config, Precision::Fp32, LossConfig::default());
    step.processes = processes.clone();
    step
}

/// Weights for a network and all like it, of the size that fits its layers: other tests draw from libtorch's generator
/// meanwhile, so that what is drawn is another at every run.
fn drawn(model: &dyn Model) -> Vec<f64> {
    let parameters = &model.weights().parameters;
    // Between the leaves there may be room.
    let mut all = vec![0.0; parameters.flat().numel()];
    for (place, ((name, tensor), (_, start, length))) in parameters.iter().zip(parameters.ranges()).enumerate() {
        let shape = tensor.size();
        let values = numbers(&shape, 1000.0 * place as f64);
        let inputs: i64 = shape.iter().skip(1).product();
        let values = flat(&match shape.len() {
            1 if name.ends_with("weight") => values * 0.1 + 1.0,
            1 => values * 0.1,
            _ => values * (1.0 / inputs as f64).sqrt(),
        });
        all[start as usize..(start + length) as usize].copy_from_slice(&values);
    }
    all
}

/// Overwrites a flat tensor.
fn set(flat: &Tensor, values: &[f64]) {
    no_grad(|| flat.shallow_clone().copy_(&Tensor::from_slice(values)));
}

/// The numbers of a flat tensor.
fn flat(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_kind(Kind::Double).contiguous().view([-1])).unwrap()
}

/// What a step moves the weights by, the loss, and all buffers after it.
fn moved(model: &dyn Model, data: Data, processes: &Processes) -> Vec<Vec<f64>> {
    let weights = model.weights().parameters.flat();
    let before = no_grad(|| weights.copy());
    let batch = data.batch(processes.share());
    let mode = Mode::Training { drop_path: 0.0 };
    let outcome = step_of(model, processes).run(model, data.task(), &batch, mode, RATE).unwrap();
    let buffers: Vec<Tensor> = model.weights().buffers.iter().map(|(_, buffer)| buffer.view([-1])).collect();
    let buffers = if buffers.is_empty() { Vec::new() } else { flat(&Tensor::cat(&buffers, 0)) };
    vec![flat(&(weights - before)), vec![outcome.loss.double_value(&[])], buffers]
}

/// The greatest differences, as parts of the greatest numbers.
fn apart(found: &[Vec<f64>], expected: &[Vec<f64>]) -> Vec<f64> {
    let of = |(found, expected): (&Vec<f64>, &Vec<f64>)| {
        assert_eq!(found.len(), expected.len());
        let greatest = expected.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
        differences.fold(0.0, f64::max) / greatest.max(f64::MIN_POSITIVE)
    };
    found.iter().zip(expected).map(of).collect()
}

/// That all processes come to the same bits, and to what one comes to but for rounding: kernels and plain operators of one
/// process are as far apart, and without synchronised norms it is several percent.
fn assert_shared(what: &str, world: usize, rounding: f64, run: impl Fn(&Processes) -> Vec<Vec<f64>> + Sync) {
    let alone = run(&Processes::alone());
    let together = threads::run(world, |processes| {
        let _synchronised = processes.synchronise_norms();
        run(processes)
    });
    for (rank, own) in together.iter().enumerate() {
        assert!(own == &together[0], "{what}: rank {rank} of {world} differs from rank 0");
    }
    for (place, apart) in apart(&together[0], &alone).into_iter().enumerate() {
        assert!(apart <= rounding, "{what}, {world} processes: result {place} differs by {apart:e}");
    }
}

/// Of how many processes steps are compared; more where all tests are asked for.
fn worlds() -> &'static [usize] {
    if std::env::var_os("SGAS_TEST_ALL").is_some() { &[2, 4] } else { &[2] }
}

/// A step of one network, from the same weights whoever makes it.
fn step_of_resnet() -> impl Fn(&Processes) -> Vec<Vec<f64>> + Sync {
    let fresh = || {
        let architecture = Architecture::HandDesigned(HandDesigned::ResNet);
        network(&architecture, &spec(Data::Images), 1, Device::Cpu)
    };
    let weights = drawn(&*fresh());
    move |processes| {
        let model = fresh();
        set(model.weights().parameters.flat(), &weights);
        moved(&*model, Data::Images, processes)
    }
}

#[test]
fn without_synchronised_norms_a_shared_step_is_another() {
    let step = step_of_resnet();
    let together = threads::run(2, &step);
    assert!(together[0][..2] == together[1][..2], "weights and loss are the same in both");
    assert!(together[0][2] != together[1][2], "running statistics are each process's own");
    assert!(apart(&together[0], &step(&Processes::alone()))[0] > 1e-2);
}

#[test]
fn a_gradient_that_is_summed_in_parts_moves_weights_to_the_same() {
    let step = step_of_resnet();
    let whole = threads::run(2, &step);
    // A few weights each, and a few parts.
    for bytes in [64, 4096] {
        assert!(threads::run(2, |processes| step(&processes.in_buckets_of(bytes))) == whole, "{bytes}");
    }
}

#[test]
fn a_shared_step_of_every_supernet_is_that_of_the_joined_batch() {
    for (space, data) in [
        (SpaceName::POINT, Data::Points),
        (SpaceName::POINT, Data::Labelled),
        (SpaceName::IMAGE, Data::Images),
        (SpaceName::GRAPH, Data::Graphs),
        (SpaceName::GRAPH, Data::Classes),
        (SpaceName::NAS_BENCH_201, Data::Images),
        (SpaceName::NAS_BENCH_GRAPH, Data::Classes),
    ] {
        let first = supernet(space, &spec(data), 1e-3, 1, Device::Cpu);
        let (weights, alphas) = (drawn(&*first), flat(&(numbers(&first.alphas().open().flat().size(), 0.0) * 1e-3)));
        let fresh = || {
            let model = supernet(space, &spec(data), 1e-3, 1, Device::Cpu);
            set(model.weights().parameters.flat(), &weights);
            set(model.alphas().open().flat(), &alphas);
            model
        };
        for &world in worlds() {
            assert_shared(&format!("weights of {space:?}"), world, data.rounding(), |processes| {
                moved(&*fresh(), data, processes)
            });
        }
        assert_shared(&format!("alphas of {space:?}"), 2, data.rounding(), |processes| {
            let mut model = fresh();
            let batch = data.batch(processes.share());
            let mut bilevel = bilevel(&*model, data, processes);
            let (loss, gradient) = bilevel.first_order(&mut *model, &batch, key()).unwrap();
            let (gradient, loss) = processes.mean_of_step(gradient, loss).unwrap();
            vec![flat(&gradient), vec![loss.double_value(&[])]]
        });
        // The difference of two gradients is mostly rounding where operations take maxima.
        if [SpaceName::NAS_BENCH_201, SpaceName::NAS_BENCH_GRAPH].contains(&space) {
            assert_shared(&format!("alphas of {space:?} by the second order"), 2, data.rounding(), |processes| {
                let mut model = fresh();
                let batch = data.batch(processes.share());
                let weights = bilevel(&*model, data, processes).weights;
                let ahead = Ahead { batch: &batch, learning_rate: RATE, key: key() };
                let found = second_order::gradient(&mut *model, data.task(), None, &weights, &batch, &ahead);
                let (loss, gradient, direction) = found.unwrap();
                vec![flat(&gradient), vec![loss.double_value(&[])], flat(&direction)]
            });
        }
    }
}

fn key() -> Key {
    Key::new(1, Purpose::AlphaStep)
}

fn bilevel(model: &dyn SearchModel, data: Data, processes: &Processes) -> Bilevel {
    let config = WeightConfig { optimizer: OptimizerKind::Sgd, ..WeightConfig::default() };
    let mut bilevel = Bilevel::new(model, data.task(), &config, &AlphaConfig::default(), Precision::Fp32);
    bilevel.weights.processes = processes.clone();
    bilevel
}

#[test]
fn a_shared_step_of_every_trained_network_is_that_of_the_joined_batch() {
    let cell = |name: &str| Architecture::Cell(Box::new(zoo::find(name).unwrap().genotype.clone()));
    for (what, architecture, data) in [
        ("points", cell("Cri2_ModelNet_1"), Data::Points),
        ("images", cell("Cri1_CIFAR_1"), Data::Images),
        ("graphs", cell("Cri2_PPI_2"), Data::Graphs),
        ("ResGCN", Architecture::HandDesigned(HandDesigned::ResGcn), Data::Labelled),
        ("GCN", Architecture::HandDesigned(HandDesigned::Gcn), Data::Classes),
        ("DGCNN", Architecture::HandDesigned(HandDesigned::Dgcnn), Data::Points),
        ("ResNet", Architecture::HandDesigned(HandDesigned::ResNet), Data::Images),
    ] {
        let fresh = || network(&architecture, &spec(data), 1, Device::Cpu);
        let weights = drawn(&*fresh());
        for &world in worlds() {
            assert_shared(what, world, data.rounding(), |processes| {
                let model = fresh();
                set(model.weights().parameters.flat(), &weights);
                moved(&*model, data, processes)
            });
        }
    }
}

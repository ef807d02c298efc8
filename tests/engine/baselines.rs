//! The hand-designed networks that cells are held against: what they compute, and their sizes.

use super::turn;
use sgas::batch::{Batch, BatchKind, GraphBatch, ImageBatch, PointBatch};
use sgas::genotype::Genotype;
use sgas::model::{self, Architecture, HandDesigned, Model, ModelConfig, NetworkSpec};
use sgas::ops::Mode;
use sgas::space::graph::GraphConfig;
use sgas::space::image::{ImageConfig, ImageStem};
use sgas::space::point::PointConfig;
use sgas::tensor::adjacency::{Adjacency, Link};
use sgas::tensor::links::Links;
use sgas::tensor::parameters::Norms;
use sgas::tensor::random::{Key, Purpose};
use tch::{Device, Kind, Tensor, no_grad};

const NODES: i64 = 7;

/// Links of a small graph in one direction; node 6 has none.
const LINKS: [Link; 8] = [[0, 1], [1, 0], [1, 2], [3, 2], [4, 2], [2, 4], [5, 0], [0, 5]];

/// A cell of all kinds of primitives that norms stand in.
const CELL: &str = r#"{"space": "graph", "normal": [["semi_gcn", 0], ["gat", 1], ["edge_conv", 0], ["sage", 2],
    ["mr_conv", 2], ["gin", 3]], "normal_concat": [1, 2, 3, 4]}"#;

/// Whose scores are looked at.
#[derive(Clone, Copy)]
enum Network<'a> {
    HandDesigned(HandDesigned),
    Cell(&'a Genotype),
}

fn network(which: HandDesigned, spec: &NetworkSpec) -> Box<dyn Model> {
    model::network(&Architecture::HandDesigned(which), spec, 1, Device::Cpu)
}

fn graph_spec() -> NetworkSpec {
    let model = ModelConfig { channels: 16, cells: 1 };
    NetworkSpec { model, classes: 3, in_channels: 5, ..NetworkSpec::default() }
}

fn graph_batch(scored: &[i64]) -> Batch {
    Key::new(3, Purpose::Synthetic).seed_torch();
    Batch::Graphs(GraphBatch {
        features: Tensor::randn([NODES, 5], (Kind::Float, Device::Cpu)),
        links: Links::new(&Adjacency::new(NODES as usize, &LINKS)),
        labels: Tensor::zeros([scored.len() as i64], (Kind::Int64, Device::Cpu)),
        scored: Some(Tensor::from_slice(scored)),
        sizes: vec![scored.len()],
    })
}

/// A weight in fp64.
fn weight(model: &dyn Model, wanted: &str) -> Tensor {
    let found =
        model.weights().iter().find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("no weight {wanted}"));
    found.1.to_kind(Kind::Double)
}

/// Biases start at 0, which would hide one that is missing.
fn with_random_biases(model: &dyn Model) {
    Key::new(5, Purpose::Synthetic).seed_torch();
    for (_, tensor) in model.weights().iter().filter(|(name, _)| name.ends_with(".bias")) {
        no_grad(|| drop(tensor.shallow_clone().uniform_(-1.0, 1.0)));
    }
}

/// 1 where a link leads from the column's node into the row's, or where they are the same, fp64.
fn adjacency_with_itself() -> Tensor {
    let dense = Tensor::eye(NODES, (Kind::Double, Device::Cpu));
    for [source, target] in LINKS {
        let _ = dense.get(i64::from(target)).get(i64::from(source)).fill_(1.0);
    }
    dense
}

fn assert_close(found: &Tensor, expected: &Tensor) {
    assert_eq!(found.size(), expected.size());
    let difference = (found.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "differs by {difference}");
}

#[test]
fn gcn_is_two_normalized_sums_as_dense_matrices_have_them() {
    let _turn = turn();
    let model = network(HandDesigned::Gcn, &graph_spec());
    with_random_biases(&*model);
    let batch = graph_batch(&[0, 2, 6]);
    let dense = adjacency_with_itself();
    let degrees = dense.sum_dim_intlist([1_i64].as_slice(), true, Kind::Double).pow_tensor_scalar(-0.5);
    let normalized = &degrees * dense * degrees.transpose(0, 1);
    let layer = |x: &Tensor, name: &str| {
        let map = weight(&*model, &format!("{name}.lin.weight")).transpose(0, 1);
        normalized.matmul(&x.matmul(&map)) + weight(&*model, &format!("{name}.bias"))
    };
    let x = batch.graphs().features.to_kind(Kind::Double);
    let expected = layer(&layer(&x, "conv1").relu(), "conv2").index_select(0, &Tensor::from_slice(&[0_i64, 2, 6]));
    assert_close(&model.forward(&batch, Mode::Evaluation).logits, &expected);
}

#[test]
fn propagated_scores_are_personalized_pagerank_of_dense_matrices() {
    let _turn = turn();
    let graph = GraphConfig { propagation: 3, teleport: 0.2, ..GraphConfig::default() };
    let batch = graph_batch(&[0, 2, 6]);
    let scores = |which: Network<'_>, graph: &GraphConfig, batch: &Batch| {
        let spec = NetworkSpec { graph: graph.clone(), ..graph_spec() };
        let architecture = match which {
            Network::HandDesigned(which) => Architecture::HandDesigned(which),
            Network::Cell(cell) => Architecture::Cell(Box::new(cell.clone())),
        };
        model::network(&architecture, &spec, 1, Device::Cpu).forward(batch, Mode::Evaluation).logits
    };
    let cell = Genotype::from_json(CELL, "a cell").unwrap();
    let dense = adjacency_with_itself();
    let degrees = dense.sum_dim_intlist([1_i64].as_slice(), true, Kind::Double).pow_tensor_scalar(-0.5);
    let normalized = &degrees * dense * degrees.transpose(0, 1);
    for which in [Network::HandDesigned(HandDesigned::Gcn), Network::Cell(&cell)] {
        let all: Vec<i64> = (0..NODES).collect();
        let own = scores(which, &GraphConfig::default(), &graph_batch(&all)).to_kind(Kind::Double);
        let mut expected = own.shallow_clone();
        for _ in 0..3 {
            expected = normalized.matmul(&expected) * 0.8 + &own * 0.2;
        }
        let found = scores(which, &graph, &batch);
        assert_close(&found, &expected.index_select(0, &Tensor::from_slice(&[0_i64, 2, 6])));
    }
}

#[test]
fn norms_of_nothing_keep_their_statistics_and_compute_the_same_in_training() {
    let _turn = turn();
    let cell = Genotype::from_json(CELL, "a cell").unwrap();
    let graph = GraphConfig { norm: Norms::None, ..GraphConfig::default() };
    let spec = NetworkSpec { graph, ..graph_spec() };
    let model = model::network(&Architecture::Cell(Box::new(cell)), &spec, 1, Device::Cpu);
    let batch = graph_batch(&[0, 2, 6]);
    let before = model.weights().buffers.copies();
    let training = model.forward(&batch, Mode::TRAINING).logits;
    assert!(before.len() > 10);
    for (before, (name, after)) in before.iter().zip(model.weights().buffers.iter()) {
        assert!(before.equal(after), "{name}");
    }
    let evaluation = model.forward(&batch, Mode::Evaluation).logits;
    assert!((training - evaluation).abs().max().double_value(&[]) < 1e-6);
}

#[test]
fn gat_is_a_softmax_over_the_links_as_dense_matrices_have_it() {
    let _turn = turn();
    let model = network(HandDesigned::Gat, &graph_spec());
    with_random_biases(&*model);
    let batch = graph_batch(&[1, 2, 6]);
    let absent = adjacency_with_itself().eq(0.0);
    let layer = |x: &Tensor, name: &str, heads: i64| {
        let of = |part: &str| weight(&*model, &format!("{name}.{part}"));
        let mapped = x.matmul(&of("lin.weight").transpose(0, 1)).chunk(heads, 1);
        let head = |head: i64| {
            let hidden = &mapped[head as usize];
            let score = |part: &str| hidden.matmul(&of(part).select(1, head).transpose(0, 1));
            let scores = score("att_dst") + score("att_src").transpose(0, 1);
            let scores = scores.maximum(&(&scores * 0.2)).masked_fill(&absent, f64::NEG_INFINITY);
            scores.softmax(1, Kind::Double).matmul(hidden)
        };
        Tensor::cat(&(0..heads).map(head).collect::<Vec<_>>(), 1) + of("bias")
    };
    let x = batch.graphs().features.to_kind(Kind::Double);
    let expected = layer(&layer(&x, "conv1", 8).elu(), "conv2", 1).index_select(0, &Tensor::from_slice(&[1_i64, 2, 6]));
    assert_close(&model.forward(&batch, Mode::Evaluation).logits, &expected);
}

#[test]
fn dropout_of_graphs_is_where_the_keys_say() {
    let _turn = turn();
    let outputs = |feature_dropout, dropout, mode| {
        let spec =
            NetworkSpec { graph: GraphConfig { feature_dropout, dropout, ..GraphConfig::default() }, ..graph_spec() };
        let cell = r#"{"space": "graph", "normal": [["gin", 0], ["semi_gcn", 1], ["sage", 0], ["gat", 2], ["edge_conv", 3],
            ["skip_connect", 1]], "normal_concat": [1, 2, 3, 4]}"#;
        let cell = Architecture::Cell(Box::new(Genotype::from_json(cell, "cell").unwrap()));
        let given = [HandDesigned::Gcn, HandDesigned::Gat].map(Architecture::HandDesigned);
        [cell]
            .into_iter()
            .chain(given)
            .map(|architecture| {
                let model = model::network(&architecture, &spec, 1, Device::Cpu);
                let batch = graph_batch(&[0, 1, 2]);
                Key::new(9, Purpose::WeightStep).seed_torch();
                model.forward(&batch, mode).logits
            })
            .collect::<Vec<_>>()
    };
    let plain = outputs(0.0, 0.0, Mode::TRAINING);
    let undisturbed = outputs(0.0, 0.0, Mode::Evaluation);
    for (feature_dropout, dropout) in [(0.5, 0.0), (0.0, 0.5)] {
        let trained = outputs(feature_dropout, dropout, Mode::TRAINING);
        let evaluated = outputs(feature_dropout, dropout, Mode::Evaluation);
        assert!(plain.iter().zip(&trained).all(|(plain, trained)| !plain.allclose(trained, 1e-3, 1e-3, false)));
        assert_eq!(undisturbed, evaluated);
    }
}

#[test]
fn resnet_20_has_as_many_weights_as_it_must() {
    let _turn = turn();
    let model = ModelConfig { channels: 16, cells: 1 };
    let spec = NetworkSpec { model, classes: 10, ..NetworkSpec::default() };
    // He et al. (2016) give 0.27 M for identities at the two places where the shape changes; a 1×1 convolution with a norm
    // at each adds 16·32 + 64 and 32·64 + 128.
    let stem = 3 * 16 * 9 + 32;
    let blocks = |inputs: usize, outputs: usize| {
        let block = |inputs: usize| 9 * inputs * outputs + 9 * outputs * outputs + 4 * outputs;
        block(inputs) + 2 * block(outputs)
    };
    let shortcuts = 16 * 32 + 64 + 32 * 64 + 128;
    let expected = stem + blocks(16, 16) + blocks(16, 32) + blocks(32, 64) + shortcuts + 64 * 10 + 10;
    assert_eq!(expected - shortcuts, 269_722);
    assert_eq!(model::parameter_count(&Architecture::HandDesigned(HandDesigned::ResNet), &spec), expected);
}

#[test]
fn resnet_halves_the_resolution_after_each_stem() {
    let _turn = turn();
    for (stem, side) in [(ImageStem::Cifar, 8), (ImageStem::Imagenet, 64)] {
        let model = ModelConfig { channels: 4, cells: 1 };
        let image = ImageConfig { stem, ..ImageConfig::default() };
        let spec = NetworkSpec { model, image, classes: 5, ..NetworkSpec::default() };
        let images = Tensor::randn([2, 3, side, side], (Kind::Float, Device::Cpu));
        let batch = Batch::Images(ImageBatch { images, labels: Tensor::zeros([2], (Kind::Int64, Device::Cpu)) });
        let model = network(HandDesigned::ResNet, &spec);
        for mode in [Mode::TRAINING, Mode::Evaluation] {
            let logits = model.forward(&batch, mode).logits;
            assert_eq!(logits.size(), [2, 5]);
            assert!(logits.isfinite().all().int64_value(&[]) == 1);
        }
    }
}

#[test]
fn dgcnn_does_not_see_the_order_of_the_points() {
    let _turn = turn();
    let point = PointConfig { k: 5, embedding: 32, dropout: 0.0, ..PointConfig::default() };
    let spec = NetworkSpec { point, classes: 4, in_channels: 6, ..NetworkSpec::default() };
    let model = network(HandDesigned::Dgcnn, &spec);
    Key::new(4, Purpose::Synthetic).seed_torch();
    let points = Tensor::randn([2, 30, 6], (Kind::Float, Device::Cpu));
    let scores = |points: &Tensor| {
        let labels = Tensor::zeros([2], (Kind::Int64, Device::Cpu));
        model.forward(&Batch::Points(PointBatch { points: points.shallow_clone(), labels }), Mode::Evaluation).logits
    };
    let order = Tensor::randperm(30, (Kind::Int64, Device::Cpu));
    let (plain, shuffled) = (scores(&points), scores(&points.index_select(1, &order)));
    assert_eq!(plain.size(), [2, 4]);
    assert!(plain.allclose(&shuffled, 1e-4, 1e-5, false));
    assert!(!plain.allclose(&scores(&(points * 1.5)), 1e-3, 1e-3, false));
}

#[test]
fn every_kind_of_data_has_its_usual_network() {
    for takes in [BatchKind::Points, BatchKind::Images, BatchKind::Graphs] {
        for labels_points in [false, takes == BatchKind::Points] {
            let usual = HandDesigned::usual(takes, labels_points);
            assert_eq!((usual.takes(), usual.labels_points()), (takes, labels_points));
        }
    }
    assert!(HandDesigned::ALL.iter().all(|network| HandDesigned::named(network.name()) == Some(*network)));
}

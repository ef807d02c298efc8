//! Partial channels and weights of edges: what a supernet mixes and what decisions are made of.

use super::stops::{self, Stops};
use super::{batch, numbers, spec, turn};
use sgas::batch::{Batch, ImageBatch};
use sgas::cell::PartialChannels;
use sgas::checkpoint::Cursor;
use sgas::decision::{EdgeState, read_off, read_off_best_primitive, softmax};
use sgas::genotype::SpaceName;
use sgas::model::{self, Learn, Mask, ModelConfig, NetworkSpec, SearchModel, SupernetParts};
use sgas::ops::Mode;
use sgas::report::Event;
use sgas::tensor::bridge::memory::metered_on;
use sgas::topology::CellKind;
use tch::{Device, Kind, Tensor};

const KIND: CellKind = CellKind::Normal;

fn parts(partial: Option<i64>, edge_weights: bool) -> SupernetParts {
    let partial_channels = partial.map(|parts| PartialChannels { parts });
    SupernetParts { partial_channels, edge_weights, ..SupernetParts::default() }
}

fn points(partial: Option<i64>, edge_weights: bool) -> Box<dyn SearchModel> {
    model::composed_supernet(SpaceName::POINT, &spec(), 1e-3, 1, Device::Cpu, &parts(partial, edge_weights))
}

/// Alphas and weights that differ at every edge.
fn with_values(mut model: Box<dyn SearchModel>) -> (Box<dyn SearchModel>, Vec<Vec<f64>>, Vec<f64>) {
    let rows: Vec<Vec<f64>> =
        (0..9).map(|edge| (0..10).map(|primitive| (f64::from(3 * edge + primitive) * 0.7).sin()).collect()).collect();
    let weights: Vec<f64> = (0..9).map(|edge| (f64::from(edge) * 1.3).cos()).collect();
    model.alphas_mut().set_values(KIND, &rows);
    model.alphas_mut().set_edge_weights(KIND, &weights);
    (model, rows, weights)
}

/// The weights of the edges of points' nodes, two, three and four of them.
fn by_node(weights: &[f64]) -> Vec<f64> {
    [&weights[..2], &weights[2..5], &weights[5..]].into_iter().flat_map(softmax).collect()
}

#[test]
fn weights_of_edges_are_a_softmax_over_those_of_a_node() {
    let _turn = turn();
    for partial in [None, Some(2)] {
        let (mut model, rows, weights) = with_values(points(partial, true));
        let expected = by_node(&weights);
        let mixture = model.alphas().mixture(KIND);
        for edge in 0..9 {
            let shares = softmax(&rows[edge]);
            for (k, found) in numbers(&mixture.edges()[edge]).into_iter().enumerate() {
                assert!((f64::from(found) - expected[edge] * shares[k]).abs() < 1e-6);
            }
            assert!((mixture.edge_weight(edge).unwrap().double_value(&[]) - expected[edge]).abs() < 1e-6);
        }
        // They learn with the alphas, and stop with them.
        assert_eq!(model.alphas().open().count(), 9 * 11);
        model.learn(Learn::Alphas);
        let loss = model.forward(&batch(), Mode::TRAINING).logits.square().mean(Kind::Float);
        let gradient = model.alphas().open().gradient(&loss);
        let of_weights = |name: &str| name.ends_with(".weight");
        let moved = model.alphas().open().split(&gradient).filter(|(name, _)| of_weights(name));
        assert_eq!(moved.filter(|(_, part)| part.abs().max().double_value(&[]) > 0.0).count(), 9);
        model.fix(KIND, 3, 4);
        assert_eq!(model.alphas().open().count(), 8 * 11);
        assert_eq!(model.alphas().edge_weights(KIND).unwrap()[3].double_value(&[0]) as f32, weights[3] as f32);
    }
    assert!(points(Some(2), false).alphas().mixture(KIND).edge_weight(0).is_none());
}

#[test]
fn decisions_multiply_importance_by_the_weight_of_the_edge() {
    let _turn = turn();
    let (model, rows, weights) = with_values(points(None, true));
    let by_node = by_node(&weights);
    let greatest = |edges: std::ops::Range<usize>| by_node[edges].iter().copied().fold(0.0, f64::max);
    let most = [vec![greatest(0..2); 2], vec![greatest(2..5); 3], vec![greatest(5..9); 4]].concat();
    let logits = model.alphas().logits(KIND);
    for edge in 0..9 {
        let (shares, found) = (softmax(&rows[edge]), softmax(&logits[edge]));
        let factor = by_node[edge] / most[edge];
        for k in 1..10 {
            assert!((found[k] - factor * shares[k]).abs() < 1e-6, "fp32 keeps seven digits of an alpha");
        }
        let importance: f64 = found[1..].iter().sum();
        assert!((importance - factor * (1.0 - shares[0])).abs() < 1e-6);
    }
    // The cells that are read off are those of the weighted shares.
    let topology = SpaceName::POINT.topology();
    let of_node = |edges: std::ops::Range<usize>, rank: &dyn Fn(usize) -> f64| {
        let mut ranked: Vec<usize> = edges.collect();
        ranked.sort_by(|one, other| rank(*other).total_cmp(&rank(*one)));
        ranked.truncate(2);
        ranked.iter().map(|edge| topology.edge(*edge).source).collect::<Vec<_>>()
    };
    let share = |edge: usize| by_node[edge] * softmax(&rows[edge])[1..].iter().copied().fold(0.0, f64::max);
    let best: Vec<usize> = read_off_best_primitive(topology, &logits).iter().map(|choice| choice.source).collect();
    assert_eq!(best, [of_node(0..2, &share), of_node(2..5, &share), of_node(5..9, &share)].concat());
    let importance = |edge: usize| by_node[edge] * (1.0 - softmax(&rows[edge])[0]);
    let mut sorted = of_node(5..9, &importance);
    sorted.sort_unstable();
    let greedy = read_off(topology, &logits, &[EdgeState::Open; 9]);
    assert_eq!(greedy[4..].iter().map(|choice| choice.source).collect::<Vec<_>>(), sorted);
}

#[test]
fn an_extreme_weight_leaves_numbers() {
    let _turn = turn();
    let mut model = points(None, true);
    let weights: Vec<f64> = (0..9).map(|edge| if edge % 2 == 0 { -1000.0 } else { 1000.0 }).collect();
    model.alphas_mut().set_edge_weights(KIND, &weights);
    assert!(model.alphas().logits(KIND).iter().flatten().all(|logit| logit.is_finite()));
    assert!(numbers(&model.forward(&batch(), Mode::TRAINING).logits).iter().all(|value| value.is_finite()));
}

#[test]
fn operations_are_narrower_and_a_masked_edge_carries_nothing() {
    let _turn = turn();
    let (whole, mut half) = (points(None, false), points(Some(2), false));
    let inner = |model: &dyn SearchModel| {
        model.weights().parameters.iter().filter(|(name, _)| name.contains("._ops.")).map(|(_, w)| w.numel()).sum()
    };
    let [all, of_half]: [usize; 2] = [inner(&*whole), inner(&*half)];
    assert!(of_half * 3 < all, "a map of half the channels has a quarter of the weights: {of_half} of {all}");
    let logits = |model: &dyn SearchModel| numbers(&model.forward(&batch(), Mode::Evaluation).logits);
    let open = logits(&*half);
    // Without any edge nothing of the inputs reaches the inner nodes, so the bypass must be gone as well.
    let masks: Vec<Mask> = (0..9).map(|edge| Mask { kind: KIND, edge, primitive: None }).collect();
    half.alphas_mut().set_masks(&masks);
    let masked = logits(&*half);
    assert_ne!(open, masked);
    (0..9).for_each(|edge| drop(half.prune(KIND, edge)));
    half.alphas_mut().set_masks(&[]);
    assert_eq!(masked, logits(&*half), "masked and pruned edges are the same");
}

fn images(count: i64) -> Batch {
    let images = Tensor::arange(count * 3 * 16 * 16, (Kind::Float, Device::Cpu)).sin().view([count, 3, 16, 16]);
    Batch::Images(ImageBatch { images, labels: Tensor::zeros([count], (Kind::Int64, Device::Cpu)) })
}

/// The most that forward and backward pass of a supernet of images hold at once.
fn peak(partial: Option<i64>) -> u64 {
    let spec = NetworkSpec { model: ModelConfig { channels: 8, cells: 3 }, ..spec() };
    let mut model = model::composed_supernet(SpaceName::IMAGE, &spec, 1e-3, 1, Device::Cpu, &parts(partial, true));
    let batch = images(8);
    model.learn(Learn::Weights);
    let (curve, _) = metered_on(Device::Cpu, |meter| {
        let loss = model.forward(&batch, Mode::TRAINING).logits.square().mean(Kind::Float);
        drop(model.weights().parameters.gradient(&loss));
        meter.curve()
    })
    .unwrap();
    sgas::memory::Trial::new(8, &curve).peak()
}

#[test]
fn partial_channels_take_less_memory() {
    let _turn = turn();
    let [whole, part] = [peak(None), peak(Some(4))];
    println!("a step of images holds {whole} bytes, with a quarter of the channels {part}");
    assert!(part * 2 < whole, "{part} of {whole}");
}

const GREEDY: &str = "partial_channels = 2\nedge_weights = true";
const DARTS: &str = "strategy = 'darts'\nselection = 'perturbation'\nepochs = 12\npartial_channels = 2\n\
                     edge_weights = true\nmixture = 'dirichlet'\nalpha_start = 1\n[perturbation]\nepochs = 1";

#[test]
fn a_search_through_a_part_of_the_channels_goes_on_from_any_step_to_the_bit() {
    let _turn = turn();
    for text in [GREEDY, DARTS] {
        let search = |stops| stops::search_by_section(stops, text);
        let whole = search(Stops::Never).0;
        let decided = whole.events.iter().filter(|event| matches!(event, Event::Decision(_))).count();
        assert_eq!(decided, 6, "{text}");
        let weights = whole.checkpoint().unwrap().tensors["edge_weights.normal"].abs().max().double_value(&[]);
        assert!(weights > 1e-3, "weights of edges learn: {weights}");
        search(Stops::At(Cursor { epoch: 2, step: 1 })).0.assert_equals(&whole);
        let (cut, stopped) = search(Stops::AfterEveryStep);
        assert!(stopped > 10, "{stopped}");
        cut.assert_equals(&whole);
    }
}

#[test]
fn alphas_wait_for_their_first_epoch() {
    let _turn = turn();
    let epochs = |text: &str| {
        let (kept, _) = stops::search_by_section(Stops::Never, text);
        kept.events
            .iter()
            .filter_map(|event| if let Event::Alphas(report) = event { Some(report.alphas.clone()) } else { None })
            .collect::<Vec<_>>()
    };
    let late = epochs("strategy = 'darts'\nepochs = 4\nalpha_start = 2");
    assert_eq!(late[0], late[1]);
    assert!(late[1] != late[2] && late[2] != late[3]);
    let early = epochs("strategy = 'darts'\nepochs = 2");
    assert!(early[0] != late[0] && early[0] != early[1]);
}

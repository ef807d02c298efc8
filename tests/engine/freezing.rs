//! Operations that freeze where their gradients on the two batches of a step have little in common.

use super::stops::{self, Stops};
use super::{assert_equal, numbers, spec, turn};
use sgas::batch::{Batch, PointBatch};
use sgas::checkpoint::Cursor;
use sgas::genotype::SpaceName;
use sgas::model::{self, Learn, SearchModel};
use sgas::ops::Mode;
use sgas::optim::{AlphaConfig, WeightConfig};
use sgas::search::AlphaOrder;
use sgas::search::bilevel::Bilevel;
use sgas::search::freezing::{Freezing, OperationPlace, SimilarityConfig};
use sgas::search::second_order::Ahead;
use sgas::task::Task;
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use sgas::topology::CellKind;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

const KIND: CellKind = CellKind::Normal;
const TASK: Task = Task::Classify { classes: 5 };

fn supernet() -> Box<dyn SearchModel> {
    model::supernet(SpaceName::POINT, &spec(), 1e-3, 1, Device::Cpu)
}

fn clouds(seed: f64) -> Batch {
    let points = ((Tensor::arange(6 * 32 * 3, (Kind::Float, Device::Cpu)) + seed) * 1.7).sin().view([6, 32, 3]);
    Batch::Points(PointBatch { points, labels: Tensor::from_slice(&[0_i64, 1, 2, 3, 4, 0]) })
}

fn key(purpose: Purpose) -> Key {
    Key::new(3, purpose)
}

/// The weights' gradient of the loss of a batch, by weight.
fn gradients(model: &mut dyn SearchModel, batch: &Batch, purpose: Purpose) -> BTreeMap<String, Vec<f32>> {
    model.learn(Learn::Weights);
    key(purpose).seed_torch();
    let loss = TASK.loss(&model.forward(batch, Mode::TRAINING).logits, batch.target());
    let gradient = model.weights().parameters.gradient(&loss);
    model.weights().parameters.split(&gradient).map(|(name, part)| (name.to_owned(), numbers(&part))).collect()
}

/// The operation of a weight of points, by the published names.
fn operation(name: &str) -> Option<OperationPlace> {
    let parts: Vec<&str> = name.split('.').collect();
    let [_, cell, "_ops", edge, "_ops", primitive, ..] = parts[..] else { return None };
    let [cell, edge, primitive] = [cell, edge, primitive].map(|part| part.parse().unwrap());
    Some(OperationPlace { cell, edge, primitive })
}

fn bilevel(model: &dyn SearchModel, order: AlphaOrder, config: Option<SimilarityConfig>) -> Bilevel {
    let weights = WeightConfig { learning_rate: 0.05, ..WeightConfig::default() };
    Bilevel::new(model, TASK, &weights, &AlphaConfig::default(), Precision::Fp32)
        .of_order(order)
        .freezing(config.map(Freezing::new))
}

fn step(bilevel: &mut Bilevel, model: &mut dyn SearchModel) {
    let (training, validation) = (clouds(0.0), clouds(50.0));
    let ahead = Ahead { batch: &training, learning_rate: 0.05, key: key(Purpose::AlphaStep) };
    bilevel.step_alphas(model, &validation, &ahead).unwrap().unwrap();
    key(Purpose::WeightStep).seed_torch();
    bilevel.step_weights(model, &training, 0.05).unwrap();
}

#[test]
fn the_similarity_is_the_cosine_of_an_operations_gradients() {
    let _turn = turn();
    let config = SimilarityConfig { window: 100, threshold: 0.0 };
    let (mut model, mut other) = (supernet(), supernet());
    let mut watched = bilevel(&*model, AlphaOrder::First, Some(config));
    step(&mut watched, &mut *model);
    let found = watched.frozen().unwrap().similarities();
    // By hand on a twin: the alphas' batch first, then, after the same step of the alphas, the weights'.
    let validation = gradients(&mut *other, &clouds(50.0), Purpose::AlphaStep);
    other.alphas_mut().set_values(KIND, &model.alphas().values(KIND));
    let training = gradients(&mut *other, &clouds(0.0), Purpose::WeightStep);
    let mut sums: BTreeMap<OperationPlace, [f64; 3]> = BTreeMap::new();
    for (name, one) in &training {
        let Some(place) = operation(name) else { continue };
        let [both, ones, others] = sums.entry(place).or_default();
        for (one, other) in one.iter().zip(&validation[name]).map(|(a, b)| (f64::from(*a), f64::from(*b))) {
            *both += one * other;
            *ones += one * one;
            *others += other * other;
        }
    }
    assert_eq!(found.len(), sums.len());
    // Two cells of nine edges with eight primitives that have weights.
    assert_eq!(found.len(), 2 * 9 * 8);
    for (place, [both, ones, others]) in sums {
        let expected = both / (ones.sqrt() * others.sqrt());
        let (sum, count) = found[&place];
        assert!((sum - expected).abs() < 1e-5 && count == 1.0, "{place:?}: {sum} {expected}");
    }
}

#[test]
fn a_window_ends_with_freezing_what_is_below_the_threshold() {
    let _turn = turn();
    for order in [AlphaOrder::First, AlphaOrder::Second] {
        // Half of the operations lie below the middle similarity.
        let watched = {
            let mut model = supernet();
            let mut bilevel = bilevel(&*model, order, Some(SimilarityConfig { window: 100, threshold: 0.0 }));
            step(&mut bilevel, &mut *model);
            bilevel.frozen().unwrap().similarities()
        };
        let mut sorted: Vec<f64> = watched.values().map(|(sum, _)| *sum).collect();
        sorted.sort_by(f64::total_cmp);
        let threshold = f64::midpoint(sorted[71], sorted[72]);
        let mut model = supernet();
        let mut freezing = bilevel(&*model, order, Some(SimilarityConfig { window: 1, threshold }));
        step(&mut freezing, &mut *model);
        let frozen = freezing.frozen().unwrap().frozen().clone();
        let below: Vec<OperationPlace> =
            watched.iter().filter(|(_, (sum, _))| *sum < threshold).map(|(place, _)| *place).collect();
        assert_eq!(frozen.iter().copied().collect::<Vec<_>>(), below);
        let before: Vec<(String, Tensor)> =
            model.weights().parameters.iter().map(|(name, w)| (name.to_owned(), w.detach().copy())).collect();
        step(&mut freezing, &mut *model);
        for ((name, before), (_, after)) in before.iter().zip(model.weights().parameters.iter()) {
            let is_frozen = operation(name).is_some_and(|place| frozen.contains(&place));
            assert_eq!(before.equal(&after.detach()), is_frozen, "{name}: neither decay nor momentum moves it");
        }
    }
}

#[test]
fn where_nothing_freezes_a_step_is_the_usual_one() {
    let _turn = turn();
    let (mut model, mut usual) = (supernet(), supernet());
    let mut watched = bilevel(&*model, AlphaOrder::First, Some(SimilarityConfig { window: 1, threshold: -1.0 }));
    let mut plain = bilevel(&*usual, AlphaOrder::First, None);
    for _ in 0..2 {
        step(&mut watched, &mut *model);
        step(&mut plain, &mut *usual);
    }
    assert!(watched.frozen().unwrap().frozen().is_empty());
    assert_equal(model.weights().parameters.flat(), usual.weights().parameters.flat());
    assert_equal(model.alphas().open().flat(), usual.alphas().open().flat());
}

const GREEDY: &str = "freezing = 'similarity'\n[similarity]\nwindow = 2\nthreshold = 0.2";
const ALL: &str = "strategy = 'darts'\nselection = 'perturbation'\nepochs = 12\npartial_channels = 2\nedge_weights = true\n\
                   mixture = 'dirichlet'\nfreezing = 'similarity'\n[perturbation]\nepochs = 1\n[similarity]\nwindow = 3\n\
                   threshold = 0.2";

#[test]
fn a_search_with_frozen_operations_goes_on_from_any_step_to_the_bit() {
    let _turn = turn();
    for text in [GREEDY, ALL] {
        let search = |stops| stops::search_by_section(stops, text);
        let whole = search(Stops::Never).0;
        let frozen = whole.checkpoint().unwrap().state["freezing"]["frozen"].as_array().unwrap().len();
        assert!(frozen > 0, "{text}");
        search(Stops::At(Cursor { epoch: 2, step: 1 })).0.assert_equals(&whole);
        let (cut, stopped) = search(Stops::AfterEveryStep);
        assert!(stopped > 10, "{stopped}");
        cut.assert_equals(&whole);
    }
}

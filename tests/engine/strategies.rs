//! What a strategy can ask of a search and do to it, and shapes of cells other than the published one.

use super::stops::{self, Kept, Stops};
use super::{assert_equal, batch, numbers, spec, turn};
use sgas::checkpoint::Cursor;
use sgas::decision::EdgeState;
use sgas::error::Result;
use sgas::genotype::SpaceName;
use sgas::model::{self, Alphas, Learn, Mask, MixtureRule, ModelConfig, NetworkSpec, SearchModel};
use sgas::ops::{Mode, Wrapping};
use sgas::report::{Event, NamedScores};
use sgas::search::strategy::{Answer, Change, Composed, Penalty, Probe, Strategy};
use sgas::topology::CellKind;
use std::cell::RefCell;
use std::rc::Rc;
use tch::{Device, Kind, Tensor};

const KIND: CellKind = CellKind::Normal;

fn supernet() -> Box<dyn SearchModel> {
    model::supernet(SpaceName::POINT, &spec(), 1e-3, 1, Device::Cpu)
}

fn logits(model: &dyn SearchModel) -> Tensor {
    model.forward(&batch(), Mode::Evaluation).logits
}

#[test]
fn a_mask_takes_a_weight_and_leaves_the_others() {
    let _turn = turn();
    let mut model = supernet();
    let before = (numbers(&model.alphas().mixture(KIND).edges()[2]), logits(&*model));
    model.alphas_mut().set_masks(&[Mask { kind: KIND, edge: 2, primitive: Some(3) }]);
    let mut expected = before.0.clone();
    expected[3] = 0.0;
    assert_eq!(numbers(&model.alphas().mixture(KIND).edges()[2]), expected);
    assert!(!logits(&*model).equal(&before.1));
    model.alphas_mut().set_masks(&[Mask { kind: KIND, edge: 2, primitive: None }]);
    assert!(numbers(&model.alphas().mixture(KIND).edges()[2]).iter().all(|weight| *weight == 0.0));
    model.alphas_mut().set_masks(&[]);
    assert_equal(&logits(&*model), &before.1);
}

#[test]
fn a_dropped_primitive_has_no_weights_no_share_and_is_never_the_best() {
    let _turn = turn();
    let mut model = supernet();
    let parameters = model.weights().parameters.count();
    model.drop_primitive(KIND, 2, 3);
    model.drop_primitive(KIND, 2, 1);
    assert!(model.weights().parameters.count() < parameters);
    assert!(!model.weights().iter().any(|(name, _)| name.contains("._ops.2._ops.3.")));
    let shares = numbers(&model.alphas().mixture(KIND).edges()[2]);
    assert_eq!((shares[3], shares[1]), (0.0, 0.0));
    assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    let row = &model.alphas().values(KIND)[2];
    assert!(row[3] < row[0] && row[1].is_finite() && model.alphas().dropped(KIND) == [(2, 1), (2, 3)]);
    assert!(numbers(&logits(&*model)).iter().all(|value| value.is_finite()));
    // An edge that mixes `none` alone contributes nothing, and its alphas get a gradient of 0.
    for primitive in 1..SpaceName::POINT.primitives().len() {
        model.drop_primitive(KIND, 0, primitive);
    }
    model.learn(Learn::Alphas);
    let loss = model.forward(&batch(), Mode::TRAINING).logits.square().mean(Kind::Float);
    let gradient = model.alphas().open().gradient(&loss);
    let rows: Vec<(String, Vec<f32>)> =
        model.alphas().open().split(&gradient).map(|(name, part)| (name.to_owned(), numbers(&part))).collect();
    let row = |wanted: &str| &rows.iter().find(|(name, _)| name == wanted).unwrap().1;
    assert!(row("normal.0").iter().all(|value| *value == 0.0) && row("normal.1").iter().any(|value| *value != 0.0));
}

/// Does one thing after every step but the first ones: by the script, (epoch, step) and change.
struct Scripted {
    script: Vec<(Cursor, Change)>,
    asked: Rc<RefCell<Vec<Cursor>>>,
    wait: usize,
}

impl Strategy for Scripted {
    fn epochs(&self) -> usize {
        3
    }

    fn before_training(&mut self, probe: &mut Probe<'_>) -> Result<Answer> {
        assert!(probe.states(KIND).iter().all(|state| *state == EdgeState::Open));
        let edge = 8;
        assert_eq!(probe.mixed(KIND, edge).len(), 10);
        Ok(Answer { changes: vec![Change::Drop { kind: KIND, edge, primitive: 5 }], ..Answer::default() })
    }

    fn after_step(&mut self, next: Cursor, probe: &mut Probe<'_>) -> Result<Answer> {
        assert_eq!(probe.mixed(KIND, 8).len(), 9, "what was dropped before training stays dropped");
        self.asked.borrow_mut().push(next);
        let changes: Vec<Change> =
            self.script.iter().filter(|(at, _)| *at == next).map(|(_, change)| change.clone()).collect();
        Ok(Answer { changes, wait: self.wait, ..Answer::default() })
    }
}

fn fix(edge: usize, primitive: usize) -> Change {
    Change::Fix { kind: KIND, edge, primitive, scores: NamedScores::default(), runner_up: None, confidence: None }
}

#[test]
fn what_a_strategy_does_within_an_epoch_outlasts_every_stop() {
    let _turn = turn();
    let at = |epoch, step| Cursor { epoch, step };
    let script = || {
        vec![
            (at(0, 1), fix(0, 4)),
            (at(0, 2), Change::Drop { kind: KIND, edge: 3, primitive: 2 }),
            (at(1, 1), Change::Prune { kind: KIND, edge: 4 }),
            (at(1, 2), fix(1, 1)),
        ]
    };
    let search =
        |stops| stops::search(stops, || Box::new(Scripted { script: script(), asked: Rc::default(), wait: 0 }));
    let whole: Kept = search(Stops::Never).0;
    let removed = whole.events.iter().filter(|event| matches!(event, Event::Removal(_))).count();
    let decided = whole.events.iter().filter(|event| matches!(event, Event::Decision(_))).count();
    assert_eq!((removed, decided), (3, 2));
    let (cut, stopped) = search(Stops::AfterEveryStep);
    assert!(stopped > 4, "{stopped}");
    cut.assert_equals(&whole);
}

#[test]
fn a_strategy_that_waits_is_asked_less_often() {
    let _turn = turn();
    let asked: Rc<RefCell<Vec<Cursor>>> = Rc::default();
    let strategy =
        || -> Box<dyn Strategy> { Box::new(Scripted { script: Vec::new(), asked: Rc::clone(&asked), wait: 1 }) };
    stops::search(Stops::Never, strategy);
    let often = asked.borrow().len();
    asked.borrow_mut().clear();
    stops::search(Stops::Never, || Box::new(Scripted { script: Vec::new(), asked: Rc::clone(&asked), wait: 0 }));
    assert_eq!(often, asked.borrow().len().div_ceil(2));
}

/// Weights by a sharper softmax; alphas drawn to 0; noise of one's own around primitives.
struct Shaping;

struct Sharp;

impl MixtureRule for Sharp {
    fn weights(&self, alphas: &Tensor) -> Tensor {
        (alphas * 100.0).softmax(-1, Kind::Float)
    }
}

struct Silence;

impl Wrapping for Silence {
    fn around(&self, primitive: &str, input: &Tensor, output: Tensor, _: Mode) -> Tensor {
        assert_eq!(input.size(), output.size());
        if primitive == "skip_connect" { output } else { output * 0.0 }
    }
}

impl Strategy for Shaping {
    fn epochs(&self) -> usize {
        1
    }

    fn mixture(&self, _: usize) -> Option<Rc<dyn MixtureRule>> {
        Some(Rc::new(Sharp))
    }

    fn penalty(&self, _: usize) -> Option<Penalty> {
        Some(Rc::new(|alphas: &Alphas| {
            alphas.rows(KIND).iter().map(|row| row.square().sum(Kind::Float)).sum::<Tensor>() * 1e6
        }))
    }

    fn wrapping(&self) -> Option<Rc<dyn Wrapping>> {
        Some(Rc::new(Silence))
    }
}

/// What a look at the search showed.
struct Seen {
    gradients: Vec<Vec<f64>>,
    loss: f64,
    loss_without_an_edge: f64,
}

/// Looks at the search, and keeps what it saw.
struct Watching(Rc<RefCell<Vec<Seen>>>);

impl Strategy for Watching {
    fn epochs(&self) -> usize {
        2
    }

    fn after_epoch(&mut self, _: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        let loss = probe.validate(&[])?.loss;
        let loss_without_an_edge = probe.validate(&[Mask { kind: KIND, edge: 0, primitive: None }])?.loss;
        let (one, other) = (probe.batch()?, probe.batch()?);
        assert!(!one.points().points.equal(&other.points().points), "fresh batches differ");
        let weights = probe.model().weights().parameters.flat().copy();
        let gradients = probe.gradients(KIND, &one);
        self.0.borrow_mut().push(Seen { gradients, loss, loss_without_an_edge });
        assert_equal(probe.model().weights().parameters.flat(), &weights);
        Ok(Answer::default())
    }
}

#[test]
fn parts_compose_and_a_look_changes_nothing() {
    let _turn = turn();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let composed = || -> Box<dyn Strategy> {
        Box::new(Composed::new(vec![Box::new(Watching(Rc::clone(&seen))), Box::new(Shaping)]))
    };
    let (looked, _) = stops::search(Stops::Never, composed);
    let seen = seen.borrow();
    assert_eq!(seen.len(), 2, "the first part says how many epochs there are");
    let Seen { gradients, loss, loss_without_an_edge } = &seen[0];
    // `none` and the identity have no weights; what is silenced gets no gradient either.
    assert_eq!((gradients.len(), gradients[0].len()), (9, 10));
    assert!(gradients.iter().flatten().all(|norm| *norm == 0.0));
    assert!(loss.is_finite() && loss_without_an_edge.is_finite() && loss != loss_without_an_edge);
    // Alphas are drawn to 0 by the penalty: without it a step of Adam moves them by the learning rate.
    let checkpoint = looked.checkpoint().unwrap();
    let alphas = checkpoint.tensors["alphas.normal"].abs().max().double_value(&[]);
    assert!(alphas < 2e-3, "{alphas}");

    let (plain, _) = stops::search(Stops::Never, || Box::new(Looking(false)));
    let (looked, _) = stops::search(Stops::Never, || Box::new(Looking(true)));
    looked.assert_equals(&plain);
}

/// Does nothing, after a look or without.
struct Looking(bool);

impl Strategy for Looking {
    fn epochs(&self) -> usize {
        2
    }

    fn after_step(&mut self, _: Cursor, probe: &mut Probe<'_>) -> Result<Answer> {
        if self.0 {
            probe.validate(&[Mask { kind: KIND, edge: 0, primitive: Some(1) }])?;
            probe.validate_by_batch_statistics(&[Mask { kind: KIND, edge: 1, primitive: None }])?;
            let batch = probe.batch()?;
            assert!(probe.gradients(KIND, &batch).iter().flatten().any(|norm| *norm > 0.0));
        }
        Ok(Answer::default())
    }
}

#[test]
fn every_weight_of_a_primitive_is_told_by_its_name_in_every_space() {
    let _turn = turn();
    for space in
        [SpaceName::POINT, SpaceName::IMAGE, SpaceName::GRAPH, SpaceName::NAS_BENCH_201, SpaceName::NAS_BENCH_GRAPH]
    {
        // Three cells are of all kinds.
        let spec = NetworkSpec { model: ModelConfig { cells: 3, ..spec().model }, ..spec() };
        let model = model::supernet(space, &spec, 1e-3, 1, Device::Cpu);
        let mut edges = std::collections::BTreeSet::new();
        for (name, _) in model.weights().parameters.iter() {
            let places = model.alphas().kinds().into_iter().flat_map(|kind| {
                let edges = 0..space.topology().edge_count();
                edges.map(move |edge| (kind, edge))
            });
            let of: Vec<_> = places
                .filter_map(|(kind, edge)| {
                    model.primitive_of(name, kind, edge).map(|primitive| (kind, edge, primitive))
                })
                .collect();
            assert!(of.len() <= 1, "{name} of {space}: {of:?}");
            edges.extend(of.into_iter().map(|(kind, edge, _)| (kind, edge)));
        }
        assert_eq!(edges.len(), space.kinds().len() * space.topology().edge_count(), "{space}");
    }
}

#[test]
fn a_change_that_can_t_be_made_is_an_error() {
    let _turn = turn();
    let (first, second) = (Cursor { epoch: 0, step: 1 }, Cursor { epoch: 0, step: 2 });
    let drop = |edge, primitive| Change::Drop { kind: KIND, edge, primitive };
    for (script, words) in [
        (vec![(first, fix(0, 4)), (second, fix(0, 4))], "edge 0 of the normal cell, which is not open"),
        (vec![(first, drop(1, 4)), (second, fix(1, 4))], "primitive 4 of edge 1 of the normal cell"),
        ((0..10).map(|primitive| (first, drop(1, primitive))).collect(), "the last primitive of edge 1"),
        (vec![(first, fix(1, 0))], "primitive 0 of edge 1"),
        (vec![(first, drop(1, 10))], "primitive 10 of edge 1"),
        (vec![(first, Change::Prune { kind: KIND, edge: 9 })], "edge 9 of the normal cell, which is not open"),
    ] {
        let strategy =
            || -> Box<dyn Strategy> { Box::new(Scripted { script: script.clone(), asked: Rc::default(), wait: 0 }) };
        let error = stops::search_fails(strategy);
        assert!(error.to_string().contains(words), "{error}");
    }
}

//! Searches by single paths: what a narrowed supernet computes and trains, what is found, and exact resumption.

use super::stops::{self, Stops};
use super::{batch, numbers, spec, turn};
use sgas::checkpoint::Cursor;
use sgas::decision::{DecisionConfig, EdgeState};
use sgas::genotype::SpaceName;
use sgas::model::{self, Learn, SearchModel};
use sgas::ops::Mode;
use sgas::report::{CandidateReport, Event};
use sgas::search::SearchConfig;
use sgas::search::candidates::{Cells, sample};
use sgas::search::strategy::Strategy;
use sgas::task::Task;
use sgas::topology::CellKind;
use tch::Device;

const SPACE: SpaceName = SpaceName::POINT;
const KIND: CellKind = CellKind::Normal;

fn supernet() -> Box<dyn SearchModel> {
    model::supernet(SPACE, &spec(), 1e-3, 1, Device::Cpu)
}

/// Decides every edge as the cell has it, in order.
fn decide(model: &mut dyn SearchModel, cells: &Cells) {
    let topology = SPACE.topology();
    for node in 0..topology.steps() {
        let chosen: Vec<_> = topology.nodes_of_kept().zip(&cells[0].1).filter(|(of, _)| *of == node).collect();
        for edge in topology.edges_into(node) {
            match chosen.iter().find(|(_, choice)| choice.source == topology.edge(edge).source) {
                Some((_, choice)) => drop(model.fix(KIND, edge, choice.primitive)),
                None => drop(model.prune(KIND, edge)),
            }
        }
    }
}

#[test]
fn a_narrowed_supernet_computes_what_the_decided_one_does_until_it_is_whole_again() {
    let _turn = turn();
    for cells in sample(SPACE, 3, 4, None).unwrap() {
        for mode in [Mode::Evaluation, Mode::BatchStatistics] {
            let (mut narrowed, mut decided) = (supernet(), supernet());
            narrowed.narrow(Some(&cells));
            decide(&mut *decided, &cells);
            let logits = |model: &dyn SearchModel| numbers(&model.forward(&batch(), mode).logits);
            assert_eq!(logits(&*narrowed), logits(&*decided));
            narrowed.narrow(None);
            let whole = supernet();
            if mode == Mode::Evaluation {
                assert_eq!(logits(&*narrowed), logits(&*whole));
                assert_ne!(logits(&*decided), logits(&*whole));
            }
        }
    }
}

#[test]
fn a_step_of_a_path_reaches_its_primitives_alone() {
    let _turn = turn();
    let mut model = supernet();
    let cells = &sample(SPACE, 5, 1, None).unwrap()[0];
    model.narrow(Some(cells));
    model.learn(Learn::Weights);
    let loss = Task::Classify { classes: 5 }.loss(&model.forward(&batch(), Mode::TRAINING).logits, batch().target());
    let gradient = model.weights().parameters.gradient(&loss);
    let on_path = |edge: usize, primitive: usize| {
        let found = SPACE.topology().edge(edge);
        let mut kept = SPACE.topology().nodes_of_kept().zip(&cells[0].1);
        kept.any(|(node, choice)| (node, choice.source, choice.primitive) == (found.node, found.source, primitive))
    };
    let mut reached = 0;
    for (name, part) in model.weights().parameters.split(&gradient) {
        let place = (0..9).find_map(|edge| Some((edge, model.primitive_of(name, KIND, edge)?)));
        let Some((edge, primitive)) = place else { continue };
        let is_zero = numbers(&part).iter().all(|value| *value == 0.0);
        assert!(is_zero || on_path(edge, primitive), "{name}");
        reached += usize::from(!is_zero);
    }
    assert!(reached > 0);
}

#[test]
fn batch_statistics_drop_nothing() {
    let _turn = turn();
    let model = supernet();
    let logits = |mode| numbers(&model.forward(&batch(), mode).logits);
    assert_eq!(logits(Mode::BatchStatistics), logits(Mode::BatchStatistics));
    assert_ne!(logits(Mode::TRAINING), logits(Mode::TRAINING), "dropout");
    assert_ne!(logits(Mode::BatchStatistics), logits(Mode::Evaluation));
}

fn strategy() -> Box<dyn Strategy> {
    let config: SearchConfig = toml::from_str("strategy = 'one-shot'\nepochs = 3\n[one_shot]\ncells = 7").unwrap();
    config.validate().unwrap();
    config.compose(SPACE, &DecisionConfig::default()).unwrap()
}

#[test]
fn the_best_of_the_scored_cells_is_found() {
    let _turn = turn();
    let (kept, _) = stops::search(Stops::Never, strategy);
    let candidate = |event: &Event| if let Event::Candidate(report) = event { Some(report.clone()) } else { None };
    let candidates: Vec<CandidateReport> = kept.events.iter().filter_map(candidate).collect();
    assert_eq!(candidates.len(), 7);
    assert!(candidates.iter().all(|report| report.epoch == 2 && report.trained == 0));
    let best = candidates.iter().max_by(|a, b| (a.score, -a.loss).partial_cmp(&(b.score, -b.loss)).unwrap()).unwrap();
    let decided =
        kept.events.iter().filter_map(|event| if let Event::Decision(report) = event { Some(report) } else { None });
    let found: Vec<(String, usize)> = decided.map(|report| (report.primitive.clone(), report.source)).collect();
    assert_eq!(found, best.genotype.normal.edges);
    let Some(Event::Alphas(last)) = kept.events.iter().rfind(|event| matches!(event, Event::Alphas(_))) else {
        panic!("alphas are told");
    };
    assert!(last.states.iter().all(|state| *state != EdgeState::Open));
    let Some(Event::Alphas(first)) = kept.events.iter().find(|event| matches!(event, Event::Alphas(_))) else {
        panic!("alphas are told");
    };
    assert_eq!(first.alphas, last.alphas, "no alphas are learned");
}

#[test]
fn it_goes_on_from_any_step_to_the_bit() {
    let _turn = turn();
    let search = |stops| stops::search(stops, strategy);
    let whole = search(Stops::Never).0;
    search(Stops::At(Cursor { epoch: 1, step: 1 })).0.assert_equals(&whole);
    let (cut, stopped) = search(Stops::AfterEveryStep);
    assert!(stopped > 3, "{stopped}");
    cut.assert_equals(&whole);
}

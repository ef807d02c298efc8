//! Searches whose cell is bounded.

use super::stops::{Kept, Stops, clouds, loader, search_settings, spec_of};
use super::turn;
use sgas::decision::{Criterion, DecisionConfig};
use sgas::genotype::{Genotype, SpaceName};
use sgas::model::{self, Architecture};
use sgas::report::Event;
use sgas::search::candidates::{genotype, sample};
use sgas::search::limits::{Bound, Limits};
use sgas::search::{Search, SearchConfig, SearchData, SearchSettings, state};
use sgas::task::Task;
use std::rc::Rc;
use tch::Device;

const SPACE: SpaceName = SpaceName::POINT;

fn parameters(genotype: &Genotype) -> u64 {
    model::parameter_count(&Architecture::Cell(Box::new(genotype.clone())), &super::spec()) as u64
}

fn limits(most: u64) -> Limits {
    let bound = Bound { flag: "--max-params", what: "weights", most };
    Limits::new(SPACE, vec![bound], Rc::new(|genotype: &Genotype| Ok(vec![parameters(genotype)]))).unwrap()
}

/// The weights of random cells' networks, in ascending order.
fn sizes() -> Vec<u64> {
    let cells = sample(SPACE, 1, 60, None).unwrap();
    let mut sizes: Vec<u64> = cells.iter().map(|cells| parameters(&genotype(SPACE, cells))).collect();
    sizes.sort_unstable();
    sizes
}

/// The cell of a search of six decisions, and what was told.
fn found(limits: Option<Limits>, text: &str, stops: Stops) -> (Genotype, Kept) {
    let dataset = clouds();
    let data = SearchData { train: loader(&dataset.train), alphas: loader(dataset.validation.as_ref().unwrap()) };
    let config: SearchConfig = toml::from_str(text).unwrap();
    let decision = DecisionConfig { criterion: Criterion::One, warmup: 0, interval: 1, history: 2 };
    let task = Task::Classify { classes: dataset.classes.len() };
    let search = SearchConfig { batch: 11, ..config };
    let settings = SearchSettings { search, limits, ..search_settings(task) };
    let mut kept = Kept::new(stops);
    let cell = std::cell::RefCell::new(None);
    kept.run(|checkpoint, observer, keeper| {
        let mut model = model::supernet(SPACE, &spec_of(&dataset), 1.0, 1, Device::Cpu);
        let mut strategy = settings.search.compose(SPACE, &decision).unwrap();
        let mut search = Search::new(&settings, &mut *model, &mut *strategy);
        if let Some(checkpoint) = checkpoint {
            state::restore(&mut search, &checkpoint, "checkpoint").unwrap();
        }
        let ended = search.run(Some(&data), observer, keeper).unwrap();
        cell.replace(Some(Genotype::from_choices(SPACE, &search.cells()[0].1, None)));
        ended
    });
    (cell.into_inner().unwrap(), kept)
}

#[test]
fn what_is_found_keeps_to_the_bound_and_the_bound_changes_it() {
    let _turn = turn();
    for text in ["", "selection = 'perturbation'", "strategy = 'one-shot'\nepochs = 2\n[one_shot]\ncells = 5"] {
        let free = found(None, text, Stops::Never).0;
        // What is found without a bound is too large by one; random cells come in few sizes.
        let most = if text.contains("one-shot") { sizes()[20] } else { parameters(&free) - 1 };
        let bounded = found(Some(limits(most)), text, Stops::Never).0;
        assert!(parameters(&bounded) <= most, "{} for {most}", parameters(&bounded));
        // Bounds that everything meets change nothing.
        assert_eq!(found(Some(limits(u64::MAX / 2)), text, Stops::Never).0, free);
    }
}

#[test]
fn random_cells_keep_to_the_bound_and_bounds_that_hardly_any_meets_are_an_error() {
    let _turn = turn();
    let most = sizes()[20];
    for cells in sample(SPACE, 2, 10, Some(&limits(most))).unwrap() {
        assert!(parameters(&genotype(SPACE, &cells)) <= most);
    }
}

#[test]
fn a_bounded_search_goes_on_from_any_step_to_the_bit() {
    let _turn = turn();
    let bounded = |stops: Stops| found(Some(limits(sizes()[6])), "", stops);
    let (cell, whole) = bounded(Stops::Never);
    let (other, cut) = bounded(Stops::AfterEveryStep);
    assert_eq!(cell, other);
    cut.assert_equals(&whole);
    let forced =
        whole.events.iter().filter(|event| matches!(event, Event::Decision(report) if report.confidence.is_none()));
    assert!(forced.count() > 0);
}

//! Searches among random cells: what is trained, for how long, what is chosen, and that they go on from any stop.

use super::amp::device;
use super::stops::{Kept, Stops, clouds, loader, search_settings, spec_of};
use super::turn;
use sgas::checkpoint::Cursor;
use sgas::genotype::SpaceName;
use sgas::model::{self, Architecture};
use sgas::optim::WeightConfig;
use sgas::report::Event;
use sgas::search::candidates::{Candidates, Plan, Trained, genotype};
use sgas::search::{SearchConfig, SearchData, SearchSettings};
use sgas::task::Task;

/// What a search by this plan keeps, its trainings, the candidate that was chosen, and how often it was stopped.
fn search(plan: &Plan, stops: Stops) -> (Kept, Vec<Trained>, usize, usize) {
    let dataset = clouds();
    let spec = spec_of(&dataset);
    let data = SearchData { train: loader(&dataset.train), alphas: loader(dataset.validation.as_ref().unwrap()) };
    let settings = SearchSettings {
        search: SearchConfig { batch: 11, ..SearchConfig::default() },
        weights: WeightConfig { learning_rate: 0.01, ..WeightConfig::default() },
        ..search_settings(Task::Classify { classes: dataset.classes.len() })
    };
    let mut kept = Kept::new(stops);
    let outcome = std::cell::RefCell::new(None);
    let stopped = kept.run(|checkpoint, observer, keeper| {
        let mut search = Candidates::new(&settings, SpaceName::POINT, &spec, plan.clone()).unwrap();
        if let Some(checkpoint) = checkpoint {
            search.restore(&checkpoint, "checkpoint").unwrap();
        }
        let ended = sgas::step::run(&mut search, Some(&data), observer, keeper).unwrap();
        *outcome.borrow_mut() = Some((search.trained().to_vec(), search.chosen()));
        ended
    });
    let (trained, chosen) = outcome.into_inner().unwrap();
    (kept, trained, chosen, stopped)
}

/// The greater score, then the smaller loss.
fn better(one: &Trained, other: &Trained) -> bool {
    one.score > other.score || (one.score == other.score && one.loss < other.loss)
}

#[test]
fn halving_goes_on_with_the_better_half_and_chooses_the_best_of_the_last_rung() {
    let _turn = turn();
    let plan = Plan::halving(4, 1, 2).unwrap();
    let (kept, trained, chosen, _) = search(&plan, Stops::Never);
    assert_eq!(trained.iter().map(|trained| trained.epochs).collect::<Vec<_>>(), [1, 1, 1, 1, 2, 2]);
    let (first, last) = trained.split_at(4);
    for survivor in last {
        let before = &first[survivor.candidate];
        let beaten_by = first.iter().filter(|other| better(other, before)).count();
        assert!(beaten_by < 2, "{survivor:?} of {first:?}");
    }
    assert_eq!(chosen, if better(&last[1], &last[0]) { last[1].candidate } else { last[0].candidate });
    // What is kept of a training is what the log says of its last epoch.
    let scores: Vec<f64> = kept
        .events
        .iter()
        .filter_map(|event| if let Event::Epoch(report) = event { report.validation.as_ref() } else { None })
        .map(|metrics| metrics.score)
        .collect();
    assert_eq!(scores, trained.iter().map(|one| one.score).collect::<Vec<_>>());
}

#[test]
fn a_predictor_trains_cells_of_one_primitive_and_then_what_they_speak_for() {
    let _turn = turn();
    // Nine primitives alone, and two cells more.
    let plan = Plan::predicted(11, 1);
    let (kept, trained, chosen, _) = search(&plan, Stops::Never);
    let best = trained.iter().reduce(|best, one| if better(one, best) { one } else { best }).unwrap();
    assert_eq!((trained.len(), chosen), (11, best.candidate));
    let cells: Vec<_> = kept
        .events
        .iter()
        .filter_map(|event| if let Event::Candidate(report) = event { Some(report.genotype.to_json()) } else { None })
        .collect();
    assert_eq!(cells.iter().collect::<std::collections::HashSet<_>>().len(), 11);
    // A cell that was proposed is proposed again after a stop, from the same scores.
    for stops in [Stops::At(Cursor { epoch: 10, step: 1 }), Stops::AfterEveryStep, Stops::NeverButKeeps] {
        let (cut, same_trained, same, _) = search(&plan, stops);
        cut.assert_equals(&kept);
        assert_eq!((same_trained, same), (trained.clone(), chosen));
    }
}

#[test]
fn every_candidate_begins_and_trains_alike() {
    let _turn = turn();
    // The same candidate alone and among others; and the rate falls anew for each.
    let (alone, of_one, ..) = search(&Plan::each(1, 2), Stops::Never);
    let (among, of_three, ..) = search(&Plan::each(3, 2), Stops::Never);
    assert_eq!(of_one[0], of_three[0]);
    let rates = |kept: &Kept| -> Vec<f64> {
        let rate = |event: &Event| if let Event::Epoch(report) = event { Some(report.learning_rate) } else { None };
        kept.events.iter().filter_map(rate).collect()
    };
    assert_eq!(rates(&among), rates(&alone).repeat(3));
}

#[test]
fn a_search_among_random_cells_goes_on_from_any_step_to_the_bit() {
    let _turn = turn();
    let plan = Plan::halving(4, 1, 2).unwrap();
    let (whole, trained, chosen, _) = search(&plan, Stops::Never);
    for stops in [Stops::At(Cursor { epoch: 5, step: 1 }), Stops::AfterEveryStep, Stops::NeverButKeeps] {
        let (cut, same_trained, same, _) = search(&plan, stops);
        cut.assert_equals(&whole);
        assert_eq!((same_trained, same), (trained.clone(), chosen));
    }
}

#[test]
fn without_training_the_cell_of_the_most_weights_is_chosen() {
    let _turn = turn();
    let (_, trained, chosen, _) = search(&Plan::untrained(12), Stops::Never);
    assert!(trained.is_empty());
    let spec = spec_of(&clouds());
    let cells = sgas::search::candidates::sample(SpaceName::POINT, 3, 12, None).unwrap();
    let count = |cells| {
        let architecture = Architecture::Cell(Box::new(genotype(SpaceName::POINT, cells)));
        model::network(&architecture, &spec, 1, device()).weights().parameters.count()
    };
    let counts: Vec<usize> = cells.iter().map(count).collect();
    assert!(counts.iter().all(|count| *count <= counts[chosen]), "{counts:?}, {chosen}");
    assert!(counts.iter().any(|count| *count < counts[chosen]));
}

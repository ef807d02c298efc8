//! Sets of uneven classes, and trainings that end early.

use super::amp::device;
use super::stops::{Stops, clouds, loader, search_settings, spec_of, train, train_settings};
use super::{cell, turn};
use sgas::checkpoint::Cursor;
use sgas::data::EpochPlan;
use sgas::decision::DecisionConfig;
use sgas::genotype::SpaceName;
use sgas::model;
use sgas::optim::WeightConfig;
use sgas::report::Event;
use sgas::search::{Search, SearchData, SearchSettings};
use sgas::step::class_weights::balanced;
use sgas::step::{self, StepBatch};
use sgas::task::Task;
use sgas::tensor::random::{Key, Purpose};
use sgas::train::{TrainConfig, TrainSettings};
use tch::{Kind, Tensor};

const IGNORED: i64 = sgas::task::IGNORED;

/// -log softmax(row)[class]
fn loss_of(row: &[f64], class: usize) -> f64 {
    row.iter().map(|score| score.exp()).sum::<f64>().ln() - row[class]
}

#[test]
fn weighted_losses_are_means_by_the_weights_of_the_targets() {
    let rows = [[0.5, -1.0, 2.0], [0.0, 0.3, -0.2], [1.0, 1.5, 0.0], [2.0, 0.0, 0.0]];
    let logits = Tensor::from_slice(&rows.concat()).view([4, 3]);
    let weights = [0.5, 2.0, 3.0];
    let tensor = Tensor::from_slice(&weights);
    let expected = |targets: &[i64]| {
        let known = targets.iter().zip(rows).filter(|(target, _)| **target != IGNORED);
        let (mut sum, mut all) = (0.0, 0.0);
        for (target, row) in known {
            sum += weights[*target as usize] * loss_of(&row, *target as usize);
            all += weights[*target as usize];
        }
        sum / all
    };
    let close = |found: &Tensor, expected: f64| {
        let found = found.double_value(&[]);
        assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
    };
    let targets = [2, 0, 1, 0];
    let loss = Task::Classify { classes: 3 }.training_loss(&logits, &Tensor::from_slice(&targets), 0.0, Some(&tensor));
    close(&loss, expected(&targets));
    let targets = [2, IGNORED, 1, 0];
    let task = Task::Segment { classes: 3 };
    close(&task.training_loss(&logits, &Tensor::from_slice(&targets), 0.0, Some(&tensor)), expected(&targets));
    // A batch in which nothing counts has no loss.
    let nothing = Tensor::from_slice(&[IGNORED; 4]);
    close(&task.training_loss(&logits, &nothing, 0.0, Some(&tensor)), 0.0);
    // Of labels what holds is multiplied.
    let target = Tensor::from_slice(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0]).view([4, 3]);
    let softplus = |x: f64| x.exp().ln_1p();
    let holds: Vec<f64> = Vec::try_from(target.flatten(0, 1)).unwrap();
    let of_place = |place: usize| {
        let x = rows[place / 3][place % 3];
        weights[place % 3] * holds[place] * softplus(-x) + (1.0 - holds[place]) * softplus(x)
    };
    let mean = (0..12).map(of_place).sum::<f64>() / 12.0;
    close(&Task::MultiLabel { labels: 3 }.training_loss(&logits, &target, 0.0, Some(&tensor)), mean);
}

#[test]
fn balanced_weights_make_all_classes_count_alike() {
    let _turn = turn();
    let dataset = clouds();
    let classes = dataset.classes.len();
    let train = loader(&dataset.train);
    let weights = balanced(Task::Classify { classes }, &train).unwrap();
    let mut counts = vec![0.0; classes];
    (0..dataset.train.len()).for_each(|index| counts[dataset.train.label(index).unwrap()] += 1.0);
    let shares: Vec<f64> = weights.iter().zip(&counts).map(|(weight, count)| weight * count).collect();
    let all = dataset.train.len() as f64;
    assert!(shares.iter().all(|share| (share - all / classes as f64).abs() < 1e-9), "{shares:?}");
}

fn settings(train: TrainConfig, classes: usize) -> TrainSettings {
    let train = TrainConfig { batch: 7, drop_last: false, ..train };
    let weights = WeightConfig { learning_rate: 0.01, ..WeightConfig::default() };
    TrainSettings { train, weights, ..train_settings(Task::Classify { classes }) }
}

#[test]
fn a_training_ends_after_so_many_epochs_without_a_better_score_and_resumes_to_the_bit() {
    let _turn = turn();
    let dataset = clouds();
    let config = TrainConfig { epochs: 40, patience: Some(2), ..TrainConfig::default() };
    let settings = settings(config, dataset.classes.len());
    let (whole, _) = train(&dataset, &cell(), &settings, Stops::Never);
    let score =
        |event: &Event| if let Event::Epoch(report) = event { Some(report.validation.as_ref()?.score) } else { None };
    let scores: Vec<f64> = whole.events.iter().filter_map(score).collect();
    assert!(scores.len() < 40, "a score of few samples can't rise {} times", scores.len());
    let best = scores.iter().copied().fold(f64::MIN, f64::max);
    let first = scores.iter().position(|score| *score == best).unwrap();
    assert_eq!(scores.len(), first + 1 + 2, "{scores:?}");
    let last = scores.len() - 1;
    train(&dataset, &cell(), &settings, Stops::At(Cursor { epoch: last, step: 1 })).0.assert_equals(&whole);
}

#[test]
fn weights_of_classes_change_what_is_learned_and_equal_ones_do_not() {
    let _turn = turn();
    let dataset = clouds();
    let classes = dataset.classes.len();
    let trained = |class_weights: Option<Vec<f64>>| {
        let config = TrainConfig { epochs: 1, ..TrainConfig::default() };
        let settings = TrainSettings { class_weights, ..settings(config, classes) };
        let (kept, _) = train(&dataset, &cell(), &settings, Stops::Never);
        let weights: Vec<f64> = kept.last().iter().map(|tensor| tensor.sum(Kind::Double).double_value(&[])).collect();
        weights
    };
    let distance = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let plain = trained(None);
    // By another kernel, and so rounded otherwise.
    assert!(distance(&plain, &trained(Some(vec![1.0; classes]))) < 1e-2);
    let mut uneven = vec![1.0; classes];
    uneven[0] = 50.0;
    assert!(distance(&plain, &trained(Some(uneven))) > 1e-2);
}

#[test]
fn a_search_weighs_classes_in_both_losses() {
    let _turn = turn();
    let dataset = clouds();
    let classes = dataset.classes.len();
    let data = SearchData { train: loader(&dataset.train), alphas: loader(dataset.validation.as_ref().unwrap()) };
    let searched = |class_weights: Option<Vec<f64>>| {
        let settings = SearchSettings { class_weights, ..search_settings(Task::Classify { classes }) };
        let mut strategy = settings.search.strategy.strategy(SpaceName::POINT, DecisionConfig::default());
        let mut model = model::supernet(SpaceName::POINT, &spec_of(&dataset), 1e-3, 1, device());
        let mut bilevel = Search::new(&settings, &mut *model, &mut *strategy);
        let plan = EpochPlan::evaluation(Key::new(0, Purpose::Evaluation), 8);
        let mut batches = [&data.train, &data.alphas].map(|loader| loader.epoch(&plan).next().unwrap().unwrap());
        let [weights, alphas] = batches.each_mut().map(|batch| batch.to_device(device()));
        step::try_step(&mut bilevel, &StepBatch { weights, alphas: Some(alphas) }).unwrap();
        let sum =
            |tensors: Vec<Tensor>| -> f64 { tensors.iter().map(|one| one.sum(Kind::Double).double_value(&[])).sum() };
        [
            sum(vec![model.weights().parameters.flat().shallow_clone()]),
            sum(vec![model.alphas().open().flat().shallow_clone()]),
        ]
    };
    let plain = searched(None);
    assert_eq!(plain, searched(Some(vec![1.0; classes])));
    let mut uneven = vec![1.0; classes];
    uneven[0] = 9.0;
    let weighted = searched(Some(uneven));
    assert!(plain[0] != weighted[0] && plain[1] != weighted[1], "{plain:?} {weighted:?}");
}

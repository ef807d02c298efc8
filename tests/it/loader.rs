//! The loader over real threads: order, repeatability, and what happens when something stops.

use std::sync::Arc;

use sgas::batch::{Batch, PointBatch};
use sgas::data::{
    Access, Augmentation, Batches, DataConfig, Dataset, EpochPlan, Loader, LoaderConfig, PointOrder, Samples,
};
use sgas::dist::Share;
use sgas::error::{Error, Result};
use sgas::fingerprint::Fingerprint;
use sgas::tensor::random::{Key, Purpose};
use tch::{Kind, Tensor};

use crate::data::{labels, numbers, points_of, synthetic};

fn contents(batches: Batches) -> Vec<(Vec<f32>, Vec<i64>)> {
    let content = |batch: PointBatch| (numbers(&batch.points), Vec::try_from(&batch.labels).unwrap());
    batches.map(|batch| content(points_of(batch.unwrap()))).collect()
}

fn loader(data: &Dataset, workers: usize) -> Loader {
    Loader::new(Arc::clone(&data.train), LoaderConfig { workers, batches_ahead: 2 })
}

fn augmented() -> Dataset {
    synthetic(DataConfig {
        augmentation: Augmentation::ScaleTranslate,
        order: PointOrder::Random,
        points: 32,
        ..DataConfig::default()
    })
}

#[test]
fn batches_follow_the_seed_and_not_the_number_of_threads() {
    let data = augmented();
    let epoch = |workers, seed, epoch| {
        let plan = EpochPlan::training(Key::new(seed, Purpose::Order).at(epoch, 0), 7, false);
        contents(loader(&data, workers).epoch(&plan))
    };
    let first = epoch(1, 3, 0);
    assert_eq!(first.iter().map(|(_, labels)| labels.len()).collect::<Vec<_>>(), [7, 7, 7, 7, 7, 5]);
    assert_eq!(first, epoch(3, 3, 0));
    assert_ne!(first, epoch(1, 3, 1));
    assert_ne!(first, epoch(1, 4, 0));
}

#[test]
fn alpha_batches_are_fresh_at_every_step_and_repeatable() {
    let data = augmented();
    let key = Key::new(3, Purpose::AlphaBatch).at(2, 0);
    let ahead = contents(loader(&data, 3).random_batches(key, 40, Share::WHOLE, 0..4));
    assert_eq!(ahead, contents(loader(&data, 1).random_batches(key, 40, Share::WHOLE, 0..4)));
    for (i, (points, labels)) in ahead.iter().enumerate() {
        let mut sorted = labels.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).flat_map(|label| [label; 4]).collect::<Vec<_>>(), "a sample twice in one batch");
        let (alone, _) = contents(loader(&data, 1).random_batches(key, 40, Share::WHOLE, [i])).swap_remove(0);
        assert_eq!(points, &alone, "step {i} made alone");
        assert!(ahead[..i].iter().all(|(earlier, _)| earlier != points), "step {i} repeats another");
    }
}

#[test]
fn a_pass_can_begin_at_any_step_and_be_shared() {
    let data = augmented();
    let plan = EpochPlan::training(Key::new(3, Purpose::Order).at(1, 0), 7, false);
    let pass = |plan: EpochPlan, workers| contents(loader(&data, workers).epoch(&plan));
    let whole = pass(plan.clone(), 2);
    for step in [0, 1, 4, 6, 9] {
        assert_eq!(pass(plan.clone().from_step(step), 2), whole[step.min(6)..]);
    }
    // Augmentation is the samples' own, whichever process makes the batch.
    let shares: Vec<_> =
        [0, 1].into_iter().map(|rank| pass(plan.clone().shared(Share { rank, world: 2 }), 1)).collect();
    let dealt: Vec<_> = (0..6).map(|turn| shares[turn % 2][turn / 2].clone()).collect();
    assert_eq!(dealt, whole);
}

#[test]
fn evaluation_repeats_itself_and_training_does_not() {
    let data = augmented();
    let pass = |plan: &EpochPlan| contents(loader(&data, 2).epoch(plan));
    let key = |epoch| Key::new(3, Purpose::Order).at(epoch, 0);
    let evaluated = pass(&EpochPlan::evaluation(key(0), 16));
    assert_eq!(evaluated, pass(&EpochPlan::evaluation(key(5), 16)));
    let in_order: Vec<i64> = labels(&*data.train).into_iter().map(|label| label as i64).collect();
    assert_eq!(evaluated.iter().flat_map(|(_, labels)| labels.clone()).collect::<Vec<_>>(), in_order);
    let unshuffled = |epoch| pass(&EpochPlan { shuffle: false, ..EpochPlan::training(key(epoch), 16, false) });
    assert_ne!(unshuffled(0), unshuffled(1), "augmentation is drawn anew in every epoch");
}

#[test]
fn an_iterator_that_is_dropped_early_stops_its_threads() {
    let data = augmented();
    let mut batches = loader(&data, 3).epoch(&EpochPlan::training(Key::new(3, Purpose::Order), 2, false));
    assert_eq!(batches.len(), 20);
    assert!(batches.next().unwrap().is_ok());
    drop(batches);
    // Only this function still holds the clouds: threads that lived on would too.
    assert_eq!(Arc::strong_count(&data.train), 1);
}

/// Samples of which one can't be made.
struct Broken {
    panics: bool,
}

impl Samples for Broken {
    fn len(&self) -> usize {
        6
    }

    fn name(&self, _: usize) -> &str {
        "broken"
    }

    fn label(&self, _: usize) -> Option<usize> {
        Some(0)
    }

    fn fingerprint(&self, _: &mut Fingerprint) -> Result<()> {
        Ok(())
    }

    fn batch(&self, indices: &[usize], _: Access) -> Result<Batch> {
        if indices.contains(&3) {
            assert!(!self.panics, "a panic in a thread");
            return Err(Error::run("broken sample"));
        }
        let labels = Tensor::from_slice(&[indices[0] as i64]);
        Ok(Batch::Points(PointBatch { points: Tensor::zeros([1, 1, 3], (Kind::Float, tch::Device::Cpu)), labels }))
    }
}

#[test]
fn an_error_arrives_at_its_place_and_a_panic_ends_the_pass_with_an_error() {
    let pass = |panics| -> Vec<Result<Batch>> {
        let config = LoaderConfig { workers: 2, batches_ahead: 2 };
        let plan = EpochPlan::evaluation(Key::new(0, Purpose::Order), 1);
        Loader::new(Arc::new(Broken { panics }), config).epoch(&plan).collect()
    };
    let is_ok = |results: &[Result<Batch>]| results.iter().map(Result::is_ok).collect::<Vec<_>>();
    assert_eq!(is_ok(&pass(false)), [true, true, true, false, true, true]);
    assert_eq!(is_ok(&pass(true)), [true, true, true, false]);
}

#[test]
fn a_panic_in_a_thread_keeps_its_message_and_its_place() {
    sgas::panics::watch();
    let loader = Loader::new(Arc::new(Broken { panics: true }), LoaderConfig { workers: 2, batches_ahead: 2 });
    let plan = EpochPlan::evaluation(Key::new(0, Purpose::Order), 1);
    let error = loader.epoch(&plan).find_map(std::result::Result::err).unwrap();
    let text = error.to_string();
    for part in ["internal error at ", "loader.rs:", "in the thread 'loader 1'", ": a panic in a thread"] {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
    assert_eq!(error.exit_code(), 1);
}

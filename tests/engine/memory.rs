//! What a step takes at a batch, by trials of two small ones, beside what it really takes.

use super::amp::device;
use super::stops::{clouds, graphs, search_settings, spec_of, train_settings};
use super::{cell, turn};
use sgas::batch::{Batch, PointBatch};
use sgas::data::{Access, Dataset, Samples};
use sgas::decision::DecisionConfig;
use sgas::error::Result;
use sgas::genotype::SpaceName;
use sgas::memory::{Need, Trial};
use sgas::model::{self, Architecture, HandDesigned, NetworkSpec, ResGcnConfig};
use sgas::search::{Search, StrategyName};
use sgas::step::{StepBatch, try_step};
use sgas::task::Task;
use sgas::tensor::bridge::memory::metered_on;
use sgas::tensor::random::{Key, Purpose};
use sgas::train::Training;
use tch::{Kind, Tensor};

/// A step of a batch and its size.
type Sized = (u64, StepBatch);

/// How often trials are made anew at most on CUDA. There the thread of autograd may let go of a buffer as large as all
/// gradients only after the step has gone on, where other programs keep it waiting; some trials hold it then, and some
/// do not.
const ATTEMPTS: usize = 24;

fn trial((size, batch): &Sized, step: &dyn Fn(&StepBatch) -> Result<()>) -> Trial {
    let (held, _) = metered_on(device(), |meter| {
        step(batch).unwrap();
        meter.curve()
    })
    .unwrap();
    Trial::new(*size, &held)
}

/// The first of these batches and the second foretell the third.
fn assert_foretold(batches: [Sized; 3], step: &dyn Fn(&StepBatch) -> Result<()>) {
    // What is made once and kept, before anything is measured.
    step(&batches[0].1).unwrap();
    let size = batches[2].0;
    let attempts = if device().is_cuda() { ATTEMPTS } else { 1 };
    let mut tried = (0..attempts).map(|_| {
        let [small, large, real] = batches.each_ref().map(|batch| trial(batch, step));
        let need = Need::between(&small, &large);
        ([1, size].map(|size| need.at(size) as f64), real.peak() as f64)
    });
    let mut last = ([0.0; 2], 0.0);
    let found = tried.any(|tried| {
        last = tried;
        let ([one, estimate], taken) = tried;
        estimate > one && (0.95..1.2).contains(&(estimate / taken))
    });
    let ([_, estimate], taken) = last;
    assert!(found, "{estimate} bytes were foretold for {size}, {taken} were taken");
}

fn samples(samples: &dyn Samples, count: usize) -> Batch {
    let access = Access { training: true, key: Key::new(1, Purpose::Augmentation) };
    samples.batch(&samples.largest(count), access).unwrap()
}

fn check_search(dataset: &Dataset, space: SpaceName, task: Task, counts: [usize; 3]) {
    let spec = spec_of(dataset);
    let settings = search_settings(task);
    let step = |batch: &StepBatch| {
        let mut model = model::supernet(space, &spec, 1e-3, 1, device());
        let mut strategy = StrategyName::SGAS.strategy(space, DecisionConfig::default());
        try_step(&mut Search::new(&settings, &mut *model, &mut *strategy), batch)
    };
    let batches = counts.map(|count| {
        let [weights, alphas] = [&*dataset.train, &**dataset.validation.as_ref().unwrap()].map(|of| samples(of, count));
        let size = match &weights {
            Batch::Graphs(graphs) => graphs.links.nodes().unsigned_abs(),
            _ => count as u64,
        };
        (size, StepBatch { weights, alphas: Some(alphas) })
    });
    assert_foretold(batches, &step);
}

#[test]
fn trials_foretell_what_a_step_takes() {
    let _turn = turn();
    let (clouds, graphs) = (clouds(), graphs());
    let task = Task::Classify { classes: clouds.classes.len() };
    check_search(&clouds, SpaceName::POINT, task, [2, 4, 16]);
    check_search(&graphs, SpaceName::GRAPH, Task::MultiLabel { labels: graphs.classes.len() }, [1, 2, 4]);

    let (spec, settings, cell) = (spec_of(&clouds), train_settings(task), cell());
    let step = |batch: &StepBatch| {
        let mut model = model::derived(&cell, &spec, 1, device());
        try_step(&mut Training::new(&settings, &mut *model), batch)
    };
    let batch = |count| (count as u64, StepBatch { weights: samples(&*clouds.train, count), alphas: None });
    assert_foretold([2, 4, 24].map(batch), &step);
}

#[test]
fn trials_foretell_what_a_step_of_resgcn_takes() {
    let _turn = turn();
    let resgcn =
        ResGcnConfig { blocks: 3, channels: 8, k: 4, fusion: 16, prediction: [8, 8], ..ResGcnConfig::default() };
    let spec = NetworkSpec { resgcn, in_channels: 9, ..NetworkSpec::default() };
    let settings = train_settings(Task::Segment { classes: 2 });
    let step = |batch: &StepBatch| {
        let mut model = model::network(&Architecture::HandDesigned(HandDesigned::ResGcn), &spec, 1, device());
        try_step(&mut Training::new(&settings, &mut *model), batch)
    };
    let batch = |count: i64| {
        let points = Tensor::rand([count, 64, 9], (Kind::Float, tch::Device::Cpu));
        let labels = Tensor::zeros([count * 64], (Kind::Int64, tch::Device::Cpu));
        (count.unsigned_abs(), StepBatch { weights: Batch::Points(PointBatch { points, labels }), alphas: None })
    };
    assert_foretold([1, 2, 12].map(batch), &step);
}

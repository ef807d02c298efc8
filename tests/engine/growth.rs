//! A search whose batch grew beyond what fits into memory: the growth is taken back and the search goes on.

use super::stops::{Kept, Stops, clouds, loader, search_settings, spec_of};
use super::turn;
use sgas::batch::Batch;
use sgas::checkpoint::Cursor;
use sgas::decision::{Choice, Criterion, DecisionConfig};
use sgas::error::{Error, Result};
use sgas::genotype::SpaceName;
use sgas::model::{self, Alphas, Learn, Model, SearchModel, Shrunk};
use sgas::ops::Mode;
use sgas::optim::WeightConfig;
use sgas::report::Event;
use sgas::search::{Search, SearchConfig, SearchData, SearchSettings, StrategyName, state};
use sgas::space::Output;
use sgas::step::Ended;
use sgas::task::Task;
use sgas::tensor::parameters::Weights;
use sgas::tensor::precision::Precision;
use sgas::topology::{CellKind, Topology};
use std::cell::Cell;
use tch::Device;

/// What libtorch says on a processor.
const RAN_OUT: &str = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried \
                       to allocate 3221225472 bytes. Error code 12 (Cannot allocate memory)";

/// A supernet that runs out of memory in training on more samples than `most`, but not in the first `spared` such passes.
struct Limited {
    inner: Box<dyn SearchModel>,
    most: usize,
    spared: Cell<usize>,
}

impl Model for Limited {
    fn forward(&self, batch: &Batch, mode: Mode) -> Output {
        if batch.len() > self.most && matches!(mode, Mode::Training { .. }) {
            match self.spared.get() {
                0 => Error::torch(RAN_OUT).raise(),
                spared => self.spared.set(spared - 1),
            }
        }
        self.inner.forward(batch, mode)
    }

    fn weights(&self) -> &Weights {
        self.inner.weights()
    }

    fn weights_mut(&mut self) -> &mut Weights {
        self.inner.weights_mut()
    }
}

impl SearchModel for Limited {
    fn alphas(&self) -> &Alphas {
        self.inner.alphas()
    }

    fn alphas_mut(&mut self) -> &mut Alphas {
        self.inner.alphas_mut()
    }

    fn topology(&self) -> Topology {
        self.inner.topology()
    }

    fn space(&self) -> SpaceName {
        self.inner.space()
    }

    fn primitive_of(&self, weight: &str, kind: CellKind, edge: usize) -> Option<usize> {
        self.inner.primitive_of(weight, kind, edge)
    }

    fn learn(&mut self, what: Learn) {
        self.inner.learn(what);
    }

    fn fix(&mut self, kind: CellKind, edge: usize, primitive: usize) -> Shrunk {
        self.inner.fix(kind, edge, primitive)
    }

    fn drop_primitive(&mut self, kind: CellKind, edge: usize, primitive: usize) -> Shrunk {
        self.inner.drop_primitive(kind, edge, primitive)
    }

    fn prune(&mut self, kind: CellKind, edge: usize) -> Shrunk {
        self.inner.prune(kind, edge)
    }

    fn narrow(&mut self, cells: Option<&[(CellKind, Vec<Choice>)]>) {
        self.inner.narrow(cells);
    }
}

/// A search of three epochs with a decision each, on 30 samples for the weights, with batches of 11, 15 and 19.
fn search(stops: Stops, most: usize, spared: usize) -> Result<Kept> {
    let dataset = clouds();
    let (space, spec) = (SpaceName::POINT, spec_of(&dataset));
    let decision = DecisionConfig { criterion: Criterion::One, warmup: 0, interval: 1, history: 2 };
    let data = SearchData { train: loader(&dataset.train), alphas: loader(dataset.validation.as_ref().unwrap()) };
    let settings = SearchSettings {
        search: SearchConfig { epochs: Some(3), batch: 11, batch_growth: 4, ..SearchConfig::default() },
        weights: WeightConfig { learning_rate: 0.01, ..WeightConfig::default() },
        precision: Precision::Fp32,
        device: Device::Cpu,
        ..search_settings(Task::Classify { classes: dataset.classes.len() })
    };
    let mut kept = Kept::new(stops);
    let failed = Cell::new(None);
    kept.run(|checkpoint, observer, keeper| {
        let inner = model::supernet(space, &spec, 1e-3, 1, Device::Cpu);
        let mut model = Limited { inner, most, spared: Cell::new(spared) };
        let mut strategy = StrategyName::SGAS.strategy(space, decision.clone());
        let mut search = Search::new(&settings, &mut model, &mut *strategy);
        if let Some(checkpoint) = checkpoint {
            state::restore(&mut search, &checkpoint, "checkpoint").unwrap();
        }
        search.run(Some(&data), observer, keeper).unwrap_or_else(|error| {
            failed.set(Some(error));
            Ended::Whole
        })
    });
    failed.take().map_or(Ok(kept), Err)
}

/// The batch of every epoch.
fn batches(kept: &Kept) -> Vec<usize> {
    let batch = |event: &Event| if let Event::Epoch(report) = event { Some(report.batch_size) } else { None };
    kept.events.iter().filter_map(batch).collect()
}

/// (epoch, step, from, to) of every growth that was taken back.
fn taken_back(kept: &Kept) -> Vec<(usize, usize, usize, usize)> {
    let taken = |event: &Event| match event {
        Event::BatchTakenBack { epoch, step, from, to, reason } => {
            assert!(reason.ends_with("out of memory: libtorch asked for 3.0 GiB"), "{reason}");
            Some((*epoch, *step, *from, *to))
        }
        _ => None,
    };
    kept.events.iter().filter_map(taken).collect()
}

#[test]
fn a_growth_that_does_not_fit_is_taken_back_and_the_search_goes_on() {
    let _turn = turn();
    let plain = search(Stops::Never, usize::MAX, 0).unwrap();
    assert_eq!((batches(&plain), taken_back(&plain)), (vec![11, 15, 19], vec![]));
    // Fewer edges need less, so the next decision lets the batch grow again: here once more than fits.
    let tight = search(Stops::Never, 14, 0).unwrap();
    assert_eq!((batches(&tight), taken_back(&tight)), (vec![11, 11, 11], vec![(1, 0, 15, 11), (2, 0, 15, 11)]));
    let loose = search(Stops::Never, 18, 0).unwrap();
    assert_eq!((batches(&loose), taken_back(&loose)), (vec![11, 15, 15], vec![(2, 0, 19, 15)]));
    let decisions = loose.events.iter().filter(|event| matches!(event, Event::Decision(_))).count();
    assert_eq!(decisions, 3);
}

/// Alphas and weights of the first step fit; of the second step neither does.
#[test]
fn an_epoch_goes_on_from_the_samples_that_it_has_not_seen() {
    let _turn = turn();
    let kept = search(Stops::Never, 15, 2).unwrap();
    assert_eq!((batches(&kept), taken_back(&kept)), (vec![11, 15, 15], vec![(2, 1, 19, 15)]));
    let step = |event: &Event| match event {
        Event::Step { epoch: 2, step, steps, .. } => Some((*step, *steps)),
        _ => None,
    };
    assert_eq!(kept.events.iter().filter_map(step).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
}

#[test]
fn a_search_that_was_cut_takes_the_same_growth_back() {
    let _turn = turn();
    let whole = search(Stops::Never, 18, 0).unwrap();
    for stops in [Stops::At(Cursor { epoch: 2, step: 1 }), Stops::AfterEveryStep] {
        search(stops, 18, 0).unwrap().assert_equals(&whole);
    }
}

#[test]
fn a_first_batch_that_does_not_fit_is_an_error() {
    let _turn = turn();
    let error = search(Stops::Never, 10, 0).err().unwrap();
    assert!(error.is_out_of_memory(), "{error}");
    assert_eq!(error.to_string(), "epoch 0, step 0: out of memory: libtorch asked for 3.0 GiB");
}

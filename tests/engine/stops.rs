//! Runs that stop within an epoch and go on from their cursor: to the bit what the uncut run gives. On CUDA, where
//! numbers of several steps wait on the device, in fp16 with loss scaling, and as `--deterministic` has it.

use super::amp::device;
use super::{assert_equal, cell, spec, turn};
use sgas::checkpoint::{Checkpoint, Cursor, Keeper, Turn, WhichWeights};
use sgas::data::{
    self, Augmentation, DataConfig, Dataset, LoadNeeds, Loader, PointOrder, SetName, Source, SyntheticConfig,
};
use sgas::decision::{Criterion, DecisionConfig};
use sgas::dist::Processes;
use sgas::error::{Error, Result};
use sgas::genotype::{Genotype, SpaceName, zoo};
use sgas::model::{self, NetworkSpec};
use sgas::optim::{AlphaConfig, OptimizerKind, WeightConfig};
use sgas::report::{Event, Observer};
use sgas::search::{AlphaOrder, Search, SearchConfig, SearchData, SearchSettings, Strategy, StrategyName, state};
use sgas::step::{Ended, OnNan};
use sgas::task::Task;
use sgas::tensor::bridge::device::make_deterministic;
use sgas::tensor::parameters::Weights;
use sgas::tensor::precision::Precision;
use sgas::train::{TrainConfig, TrainData, TrainSettings, Training};
use std::cell::RefCell;
use tch::Tensor;

/// When the keeper of a run stops it.
#[derive(Clone, Copy)]
pub enum Stops {
    Never,
    /// Where it stands then.
    At(Cursor),
    AfterEveryStep,
    /// It goes on, and its state is kept after every step.
    NeverButKeeps,
}

/// A run folder in memory.
pub struct Kept {
    stops: Stops,
    folder: tempfile::TempDir,
    last: Vec<Tensor>,
    best: Vec<Tensor>,
    /// What was told.
    pub events: Vec<Event>,
}

impl Kept {
    pub fn new(stops: Stops) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { stops, folder, last: Vec::new(), best: Vec::new(), events: Vec::new() }
    }

    /// The weights that were kept last.
    pub fn last(&self) -> &[Tensor] {
        &self.last
    }

    /// What was kept last.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let path = self.folder.path().join("state.safetensors");
        path.exists().then(|| Checkpoint::load(&path).unwrap())
    }

    /// Goes on, each time with an object made anew by `run`, until the end; gives how often it stopped.
    pub fn run(&mut self, run: impl Fn(Option<Checkpoint>, &mut dyn Observer, &mut dyn Keeper) -> Ended) -> usize {
        let mut stops = 0;
        loop {
            let mut events = Events(Vec::new());
            let ended = run(self.checkpoint(), &mut events, self);
            let of_processes = |event: &Event| matches!(event, Event::Started { .. } | Event::Stopped { .. });
            self.events.extend(events.0.into_iter().filter(|event| !of_processes(event)));
            match ended {
                Ended::Whole => return stops,
                Ended::Stopped(next) => {
                    assert!(next.step > 0);
                    stops += 1;
                    if let Stops::At(_) = self.stops {
                        self.stops = Stops::Never;
                    }
                }
            }
        }
    }

    /// The same results, to the bit.
    pub fn assert_equals(&self, other: &Self) {
        let timeless = |event: &Event| match event {
            Event::Epoch(report) => Event::Epoch(report.clone().without_costs()),
            other => other.clone(),
        };
        let events = |run: &Self| run.events.iter().map(timeless).collect::<Vec<_>>();
        assert_eq!(events(self), events(other));
        let (one, two) = (self.checkpoint().unwrap(), other.checkpoint().unwrap());
        assert_eq!(one.state, two.state);
        assert_eq!(one.tensors.keys().collect::<Vec<_>>(), two.tensors.keys().collect::<Vec<_>>());
        one.tensors.iter().for_each(|(name, tensor)| assert_equal(tensor, &two.tensors[name]));
        for (one, two) in [(&self.last, &other.last), (&self.best, &other.best)] {
            assert_eq!(one.len(), two.len());
            one.iter().zip(two).for_each(|(one, two)| assert_equal(one, two));
        }
    }
}

impl Keeper for Kept {
    fn keep_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        checkpoint.save(&self.folder.path().join("state.safetensors"))
    }

    fn keep_weights(&mut self, which: WhichWeights, weights: &Weights) -> Result<()> {
        let copies = weights.iter().map(|(_, tensor)| tensor.detach().copy()).collect();
        match which {
            WhichWeights::Last => self.last = copies,
            WhichWeights::Best => self.best = copies,
        }
        Ok(())
    }

    fn turn(&mut self, next: Cursor) -> Turn {
        match self.stops {
            Stops::At(cursor) if next == cursor => Turn::Stop,
            Stops::Never | Stops::At(_) => Turn::GoOn,
            Stops::AfterEveryStep => Turn::Stop,
            Stops::NeverButKeeps => Turn::Keep,
        }
    }
}

struct Events(Vec<Event>);

impl Observer for Events {
    fn observe(&mut self, event: &Event) -> Result<()> {
        self.0.push(event.clone());
        Ok(())
    }
}

pub fn clouds() -> Dataset {
    let config = DataConfig {
        points: 24,
        augmentation: Augmentation::ScaleTranslate,
        order: PointOrder::Random,
        validation: 0.4,
        synthetic: SyntheticConfig { train: 50, test: 10, seed: 0 },
        ..DataConfig::default()
    };
    load(&data::points::POINTS, &config)
}

pub fn graphs() -> Dataset {
    let synthetic = SyntheticConfig { train: 10, test: 4, seed: 0 };
    let config = DataConfig { validation: 0.4, synthetic, ..DataConfig::default() };
    load(&data::graphs::PPI, &config)
}

pub fn spec_of(dataset: &Dataset) -> NetworkSpec {
    NetworkSpec { classes: dataset.classes.len(), in_channels: dataset.channels, ..spec() }
}

/// A GPU repeats its sums only where it is told to.
fn make_repeatable() {
    if device().is_cuda() {
        make_deterministic().unwrap();
    }
}

pub fn precision() -> Precision {
    if device().is_cuda() { Precision::Fp16 } else { Precision::Fp32 }
}

fn load(set: SetName, config: &DataConfig) -> Dataset {
    let needs = LoadNeeds { seed: 1, minimum_points: 1, device: tch::Device::Cpu };
    set.load(&Source::Synthetic, config, &needs).unwrap().dataset
}

pub fn loader(samples: &std::sync::Arc<dyn data::Samples>) -> Loader {
    Loader::new(samples.clone(), DataConfig::default().loader())
}

pub fn train(dataset: &Dataset, cell: &Genotype, settings: &TrainSettings, stops: Stops) -> (Kept, usize) {
    let validation = dataset.validation.as_ref().map(loader);
    let data = TrainData { train: loader(&dataset.train), validation, test: None };
    let mut kept = Kept::new(stops);
    let stopped = kept.run(|checkpoint, observer, keeper| {
        let mut model = model::derived(cell, &spec_of(dataset), 1, device());
        let mut training = Training::new(settings, &mut *model);
        if let Some(checkpoint) = checkpoint {
            training.restore(&checkpoint, "checkpoint").unwrap();
        }
        training.run(&data, observer, keeper).unwrap()
    });
    (kept, stopped)
}

fn check_training(dataset: &Dataset, cell: &Genotype, task: Task, steps: usize, optimizer: OptimizerKind) {
    let settings = TrainSettings {
        train: TrainConfig { epochs: 3, batch: 7, drop_last: false, drop_path: 0.4, ..TrainConfig::default() },
        weights: WeightConfig { optimizer, learning_rate: 0.01, ..WeightConfig::default() },
        ..train_settings(task)
    };
    let (whole, stopped) = train(dataset, cell, &settings, Stops::Never);
    assert_eq!(stopped, 0);
    let (cut, stopped) = train(dataset, cell, &settings, Stops::AfterEveryStep);
    assert_eq!(stopped, 3 * steps);
    cut.assert_equals(&whole);
    if device().is_cuda() {
        // The stand-in is slow, and one run that stops everywhere has all that a device could keep from going on.
        return;
    }
    // Within an epoch, and behind its last step, where the scores are yet to come.
    for step in [1, steps] {
        let (cut, stopped) = train(dataset, cell, &settings, Stops::At(Cursor { epoch: 1, step }));
        assert_eq!(stopped, 1);
        cut.assert_equals(&whole);
    }
    train(dataset, cell, &settings, Stops::NeverButKeeps).0.assert_equals(&whole);
}

#[test]
fn a_training_goes_on_from_any_step_to_the_bit() {
    let _turn = turn();
    make_repeatable();
    let (clouds, cell) = (clouds(), cell());
    check_training(&clouds, &cell, Task::Classify { classes: clouds.classes.len() }, 5, OptimizerKind::Sgd);
    let graphs = graphs();
    let cell = zoo::find("Cri2_PPI_1").unwrap().genotype.clone();
    check_training(&graphs, &cell, Task::MultiLabel { labels: graphs.classes.len() }, 2, OptimizerKind::Adam);
}

/// Over decisions, after which batches grow and the supernet has shrunk.
#[test]
fn a_search_goes_on_from_any_step_to_the_bit() {
    let _turn = turn();
    make_repeatable();
    let dataset = clouds();
    let decision = DecisionConfig { criterion: Criterion::Two, warmup: 0, interval: 1, history: 2 };
    let (space, spec) = (SpaceName::POINT, spec_of(&dataset));
    let data = SearchData { train: loader(&dataset.train), alphas: loader(dataset.validation.as_ref().unwrap()) };
    // The gradient of second order is computed in fp32 everywhere, and on the stand-in for CUDA it is slow.
    let orders = if device().is_cuda() { 1 } else { 2 };
    for order in [AlphaOrder::First, AlphaOrder::Second].into_iter().take(orders) {
        let settings = SearchSettings {
            search: SearchConfig { order, epochs: Some(3), batch: 11, batch_growth: 4, ..SearchConfig::default() },
            weights: WeightConfig { learning_rate: 0.01, ..WeightConfig::default() },
            ..search_settings(Task::Classify { classes: dataset.classes.len() })
        };
        let search = |stops| {
            let mut kept = Kept::new(stops);
            let stopped = kept.run(|checkpoint, observer, keeper| {
                let mut model = model::supernet(space, &spec, 1e-3, 1, device());
                let mut strategy = StrategyName::SGAS.strategy(space, decision.clone());
                let mut search = Search::new(&settings, &mut *model, &mut *strategy);
                if let Some(checkpoint) = checkpoint {
                    state::restore(&mut search, &checkpoint, "checkpoint").unwrap();
                }
                search.run(Some(&data), observer, keeper).unwrap()
            });
            (kept, stopped)
        };
        let (whole, _) = search(Stops::Never);
        assert_eq!(whole.events.iter().filter(|event| matches!(event, Event::Decision(_))).count(), 3);
        let (cut, stopped) = search(Stops::AfterEveryStep);
        assert!(stopped > 5, "{stopped}");
        cut.assert_equals(&whole);
        if device().is_cuda() {
            continue;
        }
        let (cut, stopped) = search(Stops::At(Cursor { epoch: 2, step: 1 }));
        assert_eq!(stopped, 1);
        cut.assert_equals(&whole);
        search(Stops::NeverButKeeps).0.assert_equals(&whole);
    }
}

/// A short search on this device, as the sections have it where nothing is said.
pub fn search_settings(task: Task) -> SearchSettings {
    SearchSettings {
        task_name: "test".to_owned(),
        task,
        objective: None,
        class_weights: None,
        seed: 3,
        limits: None,
        search: SearchConfig::default(),
        weights: WeightConfig::default(),
        alphas: AlphaConfig::default(),
        precision: precision(),
        device: device(),
        processes: Processes::alone(),
        sync_batch_norm: false,
        on_nan: OnNan::Stop,
    }
}

/// The same of a training.
pub fn train_settings(task: Task) -> TrainSettings {
    TrainSettings {
        task_name: "test".to_owned(),
        task,
        objective: None,
        class_weights: None,
        seed: 3,
        train: TrainConfig::default(),
        weights: WeightConfig::default(),
        precision: precision(),
        device: device(),
        processes: Processes::alone(),
        sync_batch_norm: false,
        on_nan: OnNan::Stop,
    }
}

/// A short search by a strategy on clouds, with a step of the alphas in every step.
fn search_by(
    kept: &mut Kept,
    config: &SearchConfig,
    strategy: impl Fn() -> Box<dyn Strategy>,
    ended: impl Fn(Result<Ended>) -> Ended,
) -> usize {
    let dataset = clouds();
    let (space, spec) = (SpaceName::POINT, spec_of(&dataset));
    let data = SearchData { train: loader(&dataset.train), alphas: loader(dataset.validation.as_ref().unwrap()) };
    let settings = SearchSettings {
        search: SearchConfig { batch: 11, batch_growth: 4, ..config.clone() },
        weights: WeightConfig { learning_rate: 0.01, ..WeightConfig::default() },
        ..search_settings(Task::Classify { classes: dataset.classes.len() })
    };
    let parts = config.supernet_parts(space, spec.model.channels).unwrap();
    kept.run(|checkpoint, observer, keeper| {
        let mut strategy = strategy();
        let parts = model::SupernetParts { wrapping: strategy.wrapping(), ..parts.clone() };
        let mut model = model::composed_supernet(space, &spec, 1e-3, 1, device(), &parts);
        let mut search = Search::new(&settings, &mut *model, &mut *strategy);
        if let Some(checkpoint) = checkpoint {
            state::restore(&mut search, &checkpoint, "checkpoint").unwrap();
        }
        ended(search.run(Some(&data), observer, keeper))
    })
}

/// What a search by this strategy keeps, and how often it was stopped.
pub fn search(stops: Stops, strategy: impl Fn() -> Box<dyn Strategy>) -> (Kept, usize) {
    let mut kept = Kept::new(stops);
    let stopped = search_by(&mut kept, &SearchConfig::default(), strategy, Result::unwrap);
    (kept, stopped)
}

/// The same by a section `[search]`, which decides in every epoch from the first on.
pub fn search_by_section(stops: Stops, section: &str) -> (Kept, usize) {
    let config: SearchConfig = toml::from_str(section).unwrap();
    config.validate().unwrap();
    let decision = DecisionConfig { warmup: 0, interval: 1, ..DecisionConfig::default() };
    let strategy = || config.compose(SpaceName::POINT, &decision).unwrap();
    let mut kept = Kept::new(stops);
    let stopped = search_by(&mut kept, &config, strategy, Result::unwrap);
    (kept, stopped)
}

/// The error of a search by this strategy.
pub fn search_fails(strategy: impl Fn() -> Box<dyn Strategy>) -> Error {
    let failed = RefCell::new(None);
    search_by(&mut Kept::new(Stops::Never), &SearchConfig::default(), strategy, |ended| {
        *failed.borrow_mut() = ended.err();
        Ended::Whole
    });
    failed.into_inner().expect("the search fails")
}

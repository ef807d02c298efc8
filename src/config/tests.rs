//! The layers, the embedded configurations and their published values.

use super::*;
use crate::data::{HeldOut, ImageAugmentation};
use crate::genotype::SpaceName;
use crate::model::{HandDesigned, NetworkKind, ResGcnConfig};
use crate::optim::{AlphaConfig, OptimizerKind, Schedule};

fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect::<Vec<_>>().into_iter()
}

#[test]
fn every_embedded_configuration_is_whole_and_valid() {
    for (name, text) in embedded::CONFIGS.iter().filter(|(name, _)| !name.starts_with("study/")) {
        let config = Sources { config: Some(name), ..Sources::default() };
        let task = match name.starts_with("search/") || name.starts_with("smoke/search-") {
            true => resolve_with::<SearchRun>(&config, variables(&[]))
                .map(|run| (run.task, run.space.map(|space| space.name().to_owned()))),
            false => resolve_with::<TrainRun>(&config, variables(&[]))
                .map(|run| (run.task, run.network.map(|network| network.name().to_owned()))),
        };
        let (task, other) = task.unwrap_or_else(|error| panic!("{name}: {error}"));
        // By its task, or by a space or network that is not the task's own.
        let subject = other.unwrap_or(task);
        assert!(name.contains(&subject), "{name} is for {subject}");
        for word in ["Command:", "Hardware:", "Time:", "Expected:", "Source:"] {
            assert!(text.starts_with("# ") && text.contains(word), "{name} does not say {word}");
        }
    }
}

#[test]
fn published_values_of_the_search() {
    let run: SearchRun =
        resolve_with(&Sources { task: Some("modelnet10"), ..Sources::default() }, variables(&[])).unwrap();
    assert_eq!((run.seed, run.point.k, run.model.cells, run.model.channels), (2, 9, 2, 32));
    assert_eq!((run.search.batch, run.search.batch_growth, run.search.epochs), (28, 4, None));
    assert_eq!((run.decision.warmup, run.decision.interval, run.decision.history), (9, 7, 4));
    assert_eq!((run.weights.learning_rate, run.weights.minimum_learning_rate), (0.005, 1e-4));
    assert_eq!((run.weights.momentum, run.weights.weight_decay, run.weights.clip), (0.9, 3e-4, 5.0));
    assert_eq!(run.alphas, AlphaConfig::default());
    assert_eq!((run.data.points, run.data.validation, run.point.embedding), (1024, 0.5, 1024));
}

#[test]
fn published_values_of_the_training() {
    let run: TrainRun =
        resolve_with(&Sources { task: Some("modelnet40"), ..Sources::default() }, variables(&[])).unwrap();
    assert_eq!((run.seed, run.point.k, run.model.cells, run.model.channels), (4, 20, 9, 128));
    assert_eq!((run.train.epochs, run.train.batch, run.train.drop_last, run.train.drop_path), (400, 32, true, 0.2));
    assert_eq!((run.weights.learning_rate, run.weights.minimum_learning_rate), (0.1, 0.001));
    assert_eq!((run.weights.momentum, run.weights.weight_decay, run.weights.clip), (0.9, 1e-4, 5.0));
    assert_eq!((run.data.points, run.data.validation), (1024, 0.0));
}

#[test]
fn published_values_of_the_search_on_images() {
    let run: SearchRun =
        resolve_with(&Sources { task: Some("cifar10"), ..Sources::default() }, variables(&[])).unwrap();
    assert_eq!((run.seed, run.space(), run.model.cells, run.model.channels), (2, SpaceName::IMAGE, 8, 16));
    assert_eq!((run.search.batch, run.search.batch_growth, run.search.epochs), (64, 8, None));
    assert_eq!((run.decision.warmup, run.decision.interval, run.decision.history), (9, 5, 4));
    assert_eq!((run.weights.learning_rate, run.weights.minimum_learning_rate), (0.025, 0.001));
    assert_eq!((run.weights.schedule_offset, run.weights.weight_decay, run.weights.clip), (1, 3e-4, 5.0));
    assert_eq!(run.alphas, AlphaConfig::default());
    let images = &run.data.images;
    assert_eq!((run.data.validation, images.held_out, images.augment_validation), (0.5, HeldOut::Last, true));
    assert_eq!((images.size, images.augmentation, images.cutout), (32, ImageAugmentation::CropFlip, 0));
    assert_eq!((images.mean[0], images.deviation[2]), (0.491_399_68, 0.261_587_68));
}

#[test]
fn published_values_of_the_trainings_on_images() {
    let resolve = |config| -> TrainRun {
        resolve_with(&Sources { config: Some(config), ..Sources::default() }, variables(&[])).unwrap()
    };
    let run = resolve("cifar10");
    assert_eq!((run.seed, run.model.cells, run.model.channels), (0, 20, 36));
    assert_eq!((run.train.epochs, run.train.batch, run.train.drop_last, run.train.drop_path), (600, 96, false, 0.2));
    assert_eq!((run.image.auxiliary, run.train.auxiliary_weight, run.train.label_smoothing), (true, 0.4, 0.0));
    assert_eq!((run.weights.learning_rate, run.weights.minimum_learning_rate), (0.025, 0.0));
    assert_eq!((run.weights.schedule_offset, run.weights.weight_decay, run.data.images.cutout), (1, 3e-4, 16));
    let run = resolve("imagenet-paper");
    assert_eq!((run.model.cells, run.model.channels, run.data.images.size), (14, 48, 224));
    assert_eq!((run.train.epochs, run.train.batch, run.train.drop_path), (250, 1024, 0.0));
    assert_eq!((run.image.auxiliary, run.train.auxiliary_weight, run.train.label_smoothing), (true, 0.4, 0.1));
    assert_eq!(
        (run.weights.schedule, run.weights.learning_rate, run.weights.warmup_epochs),
        (Schedule::Linear, 0.5, 5)
    );
    assert_eq!((run.weights.weight_decay, run.weights.clip), (3e-5, 5.0));
    assert_eq!(run.data.images.augmentation, ImageAugmentation::RandomResizedCrop);
    let run = resolve("imagenet");
    assert_eq!((run.train.batch, run.weights.learning_rate, run.weights.warmup_epochs), (256, 0.1, 0));
}

#[test]
fn published_values_of_the_training_on_labelled_clouds() {
    let run: TrainRun = resolve_with(&Sources { task: Some("s3dis"), ..Sources::default() }, variables(&[])).unwrap();
    assert_eq!(
        (run.network_kind(), &run.resgcn),
        (NetworkKind::HandDesigned(HandDesigned::ResGcn), &ResGcnConfig::default())
    );
    assert_eq!((run.resgcn.blocks, run.resgcn.channels, run.resgcn.k, run.resgcn.stochastic), (28, 64, 16, 0.2));
    assert_eq!((run.train.epochs, run.train.batch, run.train.drop_path), (101, 16, 0.0));
    let weights = &run.weights;
    assert_eq!((weights.optimizer, weights.schedule), (OptimizerKind::Adam, Schedule::Step));
    assert_eq!((weights.learning_rate, weights.step_size, weights.gamma), (1e-3, 20, 0.5));
    assert_eq!((weights.weight_decay, weights.clip, run.data.points, run.data.scenes.area), (0.0, 0.0, 4096, 5));
    assert_eq!(run.minimum_points(), 16 * 27);
}

#[test]
fn labelled_clouds_are_searched_in_the_point_space_and_trained_as_cells_where_one_is_named() {
    let sources = Sources { task: Some("s3dis"), ..Sources::default() };
    let search: SearchRun = resolve_with(&sources, variables(&[])).unwrap();
    assert_eq!((search.space(), search.network(13, 9).per_point), (SpaceName::POINT, true));
    let mut train: TrainRun = resolve_with(&sources, variables(&[])).unwrap();
    train.set_network(NetworkKind::Cells(SpaceName::POINT), "cell.json").unwrap();
    assert_eq!(train.minimum_points(), 9 * 4);
    let mut again = Layers::default();
    again.add_text("config.toml", &train.to_toml()).unwrap();
    let again: TrainRun = again.read().unwrap();
    assert_eq!(again.network_kind(), NetworkKind::Cells(SpaceName::POINT));
    train.set_network(NetworkKind::HandDesigned(HandDesigned::ResGcn), "--model").unwrap();
    assert!(!train.to_toml().contains("network ="), "the task's own is not written");
}

#[test]
fn a_network_must_take_the_task_s_data() {
    let sources = |set| Sources { task: Some("cifar10"), set, ..Sources::default() };
    let set = ["space=\"graph\"".to_owned()];
    let search = resolve_with::<SearchRun>(&sources(&set), variables(&[])).unwrap_err();
    assert!(search.to_string().contains("expected a cell of the image space, found one of the graph space"));
    let set = ["network=\"resgcn\"".to_owned()];
    let train = resolve_with::<TrainRun>(&sources(&set), variables(&[])).unwrap_err();
    assert!(train.to_string().contains("expected a task for resgcn, such as s3dis"), "{train}");
}

#[test]
fn an_image_s_side_must_fit_the_stem() {
    let set = ["data.images.size=30".to_owned()];
    let sources = Sources { task: Some("cifar10"), set: &set, ..Sources::default() };
    let message = resolve_with::<SearchRun>(&sources, variables(&[])).unwrap_err().to_string();
    let expected = "data.images.size: expected a multiple of 4, which the stem and the reduction cells halve, found 30";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn the_dump_reads_back_as_the_same_run() {
    let flags = [Flag::new("--seed", "seed", 7_i64), Flag::new("--epochs", "search.epochs", 3_i64)];
    let sources = Sources { config: Some("modelnet10-cpu"), flags: &flags, ..Sources::default() };
    let run: SearchRun = resolve_with(&sources, variables(&[])).unwrap();
    assert_eq!((run.seed, run.search.epochs), (7, Some(3)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, run.to_toml()).unwrap();
    assert_eq!(read::<SearchRun>(&path).unwrap(), run);
}

#[test]
fn layers_come_in_order_file_environment_set_flag() {
    let environment = [
        ("SGAS_MODEL__CHANNELS", "12"),
        ("SGAS_MODEL__CELLS", "4"),
        ("SGAS_SEARCH__BATCH", "20"),
        ("SGAS_DATA__SYNTHETIC__TRAIN", "70"),
    ];
    let set = ["model.cells=5".to_owned(), "search.batch=21".to_owned()];
    let flags = [Flag::new("--batch", "search.batch", 22_i64)];
    let sources = Sources { task: Some("points"), set: &set, flags: &flags, ..Sources::default() };
    let run: SearchRun = resolve_with(&sources, variables(&environment)).unwrap();
    assert_eq!((run.model.channels, run.model.cells, run.search.batch), (12, 5, 22));
    assert_eq!(run.data.synthetic.train, 70, "a section within a section");
}

#[test]
fn the_environment_may_hold_the_other_command_s_sections_but_no_nonsense() {
    let sources = Sources { task: Some("points"), ..Sources::default() };
    let run = resolve_with::<TrainRun>(&sources, variables(&[("SGAS_SEARCH__BATCH", "20"), ("SGAS_RUNS", "x")]));
    assert_eq!(run.unwrap().train.batch, 32);
    let error = resolve_with::<TrainRun>(&sources, variables(&[("SGAS_MODLE__CELLS", "2")])).unwrap_err();
    assert!(error.to_string().starts_with("SGAS_MODLE__CELLS: modle: expected one of the keys task, "), "{error}");
    assert_eq!(error.hint(), Some("did you mean model?"));
}

#[test]
fn the_environment_does_not_change_a_run_that_was_begun() {
    let begun = embedded_run::<TrainRun>("modelnet40").unwrap().to_toml();
    let sources = Sources { begun: Some(("a checkpoint", &begun)), ..Sources::default() };
    let run: TrainRun = resolve_with(&sources, variables(&[("SGAS_MODEL__CELLS", "2")])).unwrap();
    assert_eq!(run.model.cells, 9);
    let set = ["train.epochs=7".to_owned()];
    let more = Sources { config: Some("modelnet40-cpu"), set: &set, ..sources };
    let run: TrainRun = resolve_with(&more, variables(&[])).unwrap();
    assert_eq!(
        (run.train.epochs, run.model.cells),
        (7, embedded_run::<TrainRun>("modelnet40-cpu").unwrap().model.cells)
    );
}

#[test]
fn an_unknown_task_names_the_nearest() {
    let error = resolve::<SearchRun>(&Sources { task: Some("modelnet4"), ..Sources::default() }).unwrap_err();
    assert_eq!(error.to_string(), "--task: expected a known task, found 'modelnet4'");
    assert!(error.hint().unwrap().contains("modelnet40"));
    assert_eq!(resolve::<SearchRun>(&Sources::default()).unwrap_err().exit_code(), 2);
}

#[test]
fn a_search_says_in_short_how_it_chooses() {
    let method = |text: &str| toml::from_str::<SearchRun>(text).unwrap().method();
    assert_eq!(method("[decision]\ncriterion = 2"), "sgas 2");
    assert_eq!(
        method("[search]\nselection = \"perturbation\"\nregularizer = \"beta\""),
        "sgas 1 + perturbation + beta"
    );
    assert_eq!(method("[search]\nmixture = \"dirichlet\""), "sgas 1 + dirichlet");
    assert_eq!(
        method("[search]\npartial_channels = 4\nedge_weights = true"),
        "sgas 1 + partial channels + edge weights"
    );
    assert_eq!(method("[search]\nstrategy = \"random\""), "random");
}

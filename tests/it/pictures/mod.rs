//! Sets of pictures from files that the tests make, and the real ones where they are there.

mod cifar;
mod folder;
mod layouts;
mod published;

use std::path::Path;
use std::sync::Arc;

use sgas::batch::{Batch, ImageBatch};
use sgas::data::{
    Access, DataConfig, Dataset, EpochPlan, HeldOut, ImageAugmentation, ImageDataConfig, Loader, LoaderConfig, Samples,
    Source, SyntheticConfig, find, images,
};
use sgas::error::{Error, Result};
use sgas::tensor::random::{Key, Purpose};
use tch::{Kind, Tensor};

use crate::data::{NEEDS, assert_mentions, labels, load_set, numbers, real_set};

fn config(size: usize, augmentation: ImageAugmentation) -> DataConfig {
    let images = ImageDataConfig { size, augmentation, ..ImageDataConfig::default() };
    DataConfig { images, ..DataConfig::default() }
}

/// Bytes of 255 as they are: nothing is subtracted.
fn raw(size: usize) -> DataConfig {
    let mut config = config(size, ImageAugmentation::None);
    (config.images.mean, config.images.deviation) = ([0.0; 3], [1.0; 3]);
    config
}

fn load(folder: &Path, config: &DataConfig) -> Result<Dataset> {
    load_set(&images::IMAGES, &Source::Folder(folder.to_owned()), &mut config.clone(), &NEEDS)
}

fn refusal(folder: &Path) -> Error {
    let error = load(folder, &config(32, ImageAugmentation::CropFlip)).err().unwrap();
    assert_eq!(error.exit_code(), 2, "{error}");
    error
}

fn images_of(batch: Batch) -> ImageBatch {
    match batch {
        Batch::Images(batch) => batch,
        _ => unreachable!("a set of pictures gives images"),
    }
}

fn evaluated(samples: &dyn Samples, indices: &[usize]) -> ImageBatch {
    let key = Key::new(1, Purpose::Evaluation);
    images_of(samples.batch(indices, Access { training: false, key }).unwrap())
}

fn trained(samples: &dyn Samples, indices: &[usize], epoch: u64) -> ImageBatch {
    let key = Key::new(1, Purpose::Augmentation).at(epoch, 0);
    images_of(samples.batch(indices, Access { training: true, key }).unwrap())
}

fn synthetic(config: &DataConfig) -> Dataset {
    let size = SyntheticConfig { train: 40, test: 10, seed: 0 };
    let mut config = DataConfig { synthetic: size, ..config.clone() };
    load_set(&images::IMAGES, &Source::Synthetic, &mut config, &NEEDS).unwrap()
}

/// The images of a whole pass, joined.
fn pass(samples: &Arc<dyn Samples>, workers: usize, batch: usize) -> Tensor {
    let loader = Loader::new(Arc::clone(samples), LoaderConfig { workers, batches_ahead: 2 });
    let plan = EpochPlan::training(Key::new(3, Purpose::Order), batch, false);
    let batches: Vec<Tensor> = loader.epoch(&plan).map(|batch| images_of(batch.unwrap()).images).collect();
    Tensor::cat(&batches, 0)
}

#[test]
fn images_do_not_depend_on_the_size_of_batches_nor_on_the_threads() {
    for augmentation in [ImageAugmentation::CropFlip, ImageAugmentation::RandomResizedCrop] {
        let mut config = config(32, augmentation);
        config.images.cutout = 16;
        let data = synthetic(&config);
        let first = pass(&data.train, 1, 8);
        assert_eq!(first.size(), [40, 3, 32, 32]);
        assert_eq!(first, pass(&data.train, 3, 8), "{augmentation:?}");
        assert_eq!(first, pass(&data.train, 1, 5), "{augmentation:?}");
    }
}

#[test]
fn epochs_differ_in_training_and_evaluation_repeats_itself() {
    let data = synthetic(&config(32, ImageAugmentation::CropFlip));
    let all: Vec<usize> = (0..40).collect();
    let train = |epoch| trained(&*data.train, &all, epoch).images;
    assert_ne!(train(0), train(1));
    assert_eq!(train(1), train(1));
    let still = evaluated(&*data.train, &all).images;
    assert_eq!(still, evaluated(&*data.train, &all).images);
    assert_ne!(still, train(0));
}

#[test]
fn what_is_held_out_is_augmented_also_when_scored_where_the_search_asks_for_it() {
    let mut config = DataConfig { validation: 0.5, ..config(32, ImageAugmentation::CropFlip) };
    config.images.held_out = HeldOut::Last;
    let all: Vec<usize> = (0..20).collect();
    let scored = |config: &DataConfig| {
        let data = synthetic(config);
        let held_out = data.validation.unwrap();
        (evaluated(&*held_out, &all).images, held_out.name(0).to_owned(), data.train.name(19).to_owned())
    };
    let (plain, first_held_out, last_trained) = scored(&config);
    assert_eq!(
        (first_held_out.as_str(), last_trained.as_str()),
        ("synthetic train picture 20", "synthetic train picture 19")
    );
    config.images.augment_validation = true;
    let (augmented, ..) = scored(&config);
    assert_ne!(plain, augmented);
    assert_eq!(augmented, scored(&config).0, "the same draws at every pass");
}

#[test]
fn cutout_leaves_zeros_after_normalisation() {
    let mut config = config(32, ImageAugmentation::CropFlip);
    config.images.cutout = 16;
    let data = synthetic(&config);
    let batch = trained(&*data.train, &(0..40).collect::<Vec<_>>(), 0).images;
    let zeros: Vec<i64> =
        Vec::try_from(batch.eq(0.0).all_dim(1, false).sum_dim_intlist([1, 2].as_slice(), false, Kind::Int64)).unwrap();
    assert!(zeros.iter().all(|count| (64..=256).contains(count)), "8 to 16 each way are within the image: {zeros:?}");
    assert!(zeros.contains(&256) && zeros.iter().any(|count| *count < 256), "{zeros:?}");
    assert_eq!(evaluated(&*data.train, &[0]).images.eq(0.0).sum(Kind::Int64).int64_value(&[]), 0);
}

#[test]
fn synthetic_pictures_say_what_they_are_and_take_any_size() {
    for (size, augmentation) in [(32, ImageAugmentation::CropFlip), (48, ImageAugmentation::RandomResizedCrop)] {
        let data = synthetic(&DataConfig { validation: 0.25, ..config(size, augmentation) });
        assert_eq!(
            data.description(),
            "synthetic pictures (built in, not real data): 10 classes, 30 training, 10 validation, 10 test samples"
        );
        let batch = trained(&*data.train, &[4, 0, 9], 0);
        assert_eq!(batch.images.size(), [3, 3, size as i64, size as i64]);
        let wanted: Vec<i64> = [4, 0, 9].map(|index| data.train.label(index).unwrap() as i64).to_vec();
        assert_eq!(Vec::<i64>::try_from(&batch.labels).unwrap(), wanted);
    }
}

/// Mean and deviation of red, green and blue of these images (B, 3, H, W).
fn statistics(images: &Tensor) -> [Vec<f32>; 2] {
    let by_channel = images.transpose(0, 1).flatten(1, -1);
    [by_channel.mean_dim(1, false, Kind::Float), by_channel.std_dim(1, true, false)].map(|values| numbers(&values))
}

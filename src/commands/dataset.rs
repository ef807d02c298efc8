//! Which data set a task reads.

use crate::config::{Common, RunConfig, tasks};
use crate::data::{
    self, DataIdentity, Dataset, EpochPlan, SampleKind, Source, Targets, graphs, images, points, scenes,
};
use crate::error::{Error, Result};
use crate::memory;
use crate::panics;
use crate::task::Task;
use crate::tensor::random::{Key, Purpose};
use tch::Device;

/// Finds and loads the data of the run's task, and writes into `[data]` where it lies and how it was normalised, so
/// that the run folder says so. Small sets of pictures are moved to `device`.
///
/// # Errors
/// Data that is found nowhere or won't do: see [`data::find`], [`points::load`], [`images::load`], [`graphs::load`]
/// and [`scenes::load`].
pub fn open(run: &mut impl RunConfig, device: Device) -> Result<Dataset> {
    let Common { task, seed, data, .. } = run.common();
    let task = tasks::find(task)?;
    let source = data::find(task.set, data.source.as_deref())?;
    run.data_mut().source = Some(source.to_string());
    let minimum_points = run.minimum_points();
    let kind = task.set.kind();
    memory::advise(&smaller_data(kind));
    let opened = panics::as_errors(|| match kind {
        SampleKind::Shapes => points::load(&source, run.data_mut(), seed, minimum_points),
        SampleKind::Pictures => images::load(&source, run.data_mut(), seed, device),
        SampleKind::Graphs => graphs::load(&source, run.data_mut(), task.set),
        SampleKind::Scenes => scenes::load(&source, run.data_mut(), task.set, seed, minimum_points),
    });
    opened.map_err(|error| error.with_memory_hint(|| smaller_data(kind)))
}

/// What to do about data that does not fit into memory.
fn smaller_data(kind: SampleKind) -> String {
    let images = "take smaller images (--set data.images.size=...), ";
    let first = if kind == SampleKind::Pictures { images } else { "" };
    format!("the data is held in memory: {first}leave files out, or take a machine with more memory")
}

/// What the data of a run is.
///
/// # Errors
/// A file that can't be read.
pub fn identity(dataset: &Dataset, run: &impl RunConfig) -> Result<DataIdentity> {
    DataIdentity::of(dataset, run.common().data.source.as_deref().unwrap_or_default())
}

/// Where the data of `task` lies when no folder is named.
///
/// # Errors
/// Data that is found nowhere: see [`data::find`].
pub fn find(task: tasks::KnownTask) -> Result<Source> {
    data::find(task.set, None)
}

/// What a network learns of a set with so many classes or labels.
pub fn task(classes: usize, targets: Targets) -> Task {
    match targets {
        Targets::Classes => Task::Classify { classes },
        Targets::Labels => Task::MultiLabel { labels: classes },
        Targets::PointClasses => Task::Segment { classes },
    }
}

/// Refuses a batch size of which the training samples do not fill one batch; `key` names it.
///
/// # Errors
/// Such a size.
pub fn require_batches(key: &str, dataset: &Dataset, batch: usize, drop_last: bool) -> Result<()> {
    let (samples, smallest) = (dataset.train.len(), dataset.train.smallest_training_batch());
    if EpochPlan::training(Key::new(0, Purpose::Order), batch, drop_last).batch_count(samples, smallest) > 0 {
        return Ok(());
    }
    Err(Error::invalid(key, format!("a batch that the {samples} training samples fill"), batch.to_string())
        .with_hint("lower it with --batch N, or hold out less with data.validation; one sample alone can't train"))
}

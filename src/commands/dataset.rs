//! Which data set a task reads.

use crate::config::{Common, RunConfig, embedded, tasks};
use crate::data::{self, DataIdentity, Dataset, EpochPlan, LoadNeeds, Loaded, SampleKind, Source, Targets, Variant};
use crate::dist::Share;
use crate::error::{Error, Result};
use crate::memory;
use crate::model::NetworkKind;
use crate::panics;
use crate::task::Task;
use crate::tensor::random::{Key, Purpose};
use tch::Device;

/// Finds and loads the data of the run's task, and writes into `[data]` where it lies and how it was normalised, so
/// that the run folder says so. Small sets of pictures are moved to `device`.
///
/// # Errors
/// Data that is found nowhere or won't do: see [`data::find`] and [`data::Family::load`].
pub fn open(run: &mut impl RunConfig, device: Device) -> Result<Dataset> {
    let needs = LoadNeeds { seed: run.common().seed, minimum_points: run.minimum_points(), device };
    let set = tasks::find(run.common().task)?.set;
    let source = data::find(set, run.common().data.source.as_deref())?;
    run.data_mut().source = Some(source.to_string());
    memory::advise(&smaller_data(set.kind));
    let loaded = panics::as_errors(|| set.load(&source, run.common().data, &needs));
    let Loaded { dataset, config } = loaded.map_err(|error| error.with_memory_hint(|| smaller_data(set.kind)))?;
    *run.data_mut() = config;
    Ok(dataset)
}

/// The same for a run that may take another variant of the task's recipe: where one suits the data, the run becomes what
/// `by_variant` gives for it. Cells of another space than the task's own have no variant. `refused` is why the usual recipe
/// does not take what was typed, where it does not.
///
/// # Errors
/// As [`open`], and `refused` where no variant suits the data.
pub fn open_by_variant<R: RunConfig>(
    run: &mut R,
    device: Device,
    by_variant: Option<impl FnOnce(&str) -> Result<R>>,
    refused: Option<Error>,
) -> Result<Dataset> {
    let dataset = open(run, device)?;
    let Common { task, network, .. } = run.common();
    let named = |variant: &Variant| embedded::special::<R>(task, variant.name);
    let found = variant(&dataset, task, network)?.and_then(|variant| Some((variant, named(variant)?)));
    let (Some((variant, name)), Some(by_variant)) = (found, by_variant) else {
        return refused.map_or(Ok(dataset), Err);
    };
    tracing::info!("recipe {name}: {}; --config {task} takes the usual one", variant.why);
    *run = by_variant(variant.name)?;
    open(run, device)
}

/// The variant of the task's recipe that suits a set and a network of this kind, where one is named.
///
/// # Errors
/// An unknown task.
pub fn variant<'a>(dataset: &'a Dataset, task: &str, network: Option<NetworkKind>) -> Result<Option<&'a Variant>> {
    let own = tasks::find(task)?.space;
    let is_of_another_space = matches!(network, Some(NetworkKind::Cells(space)) if space != own);
    Ok(dataset.variant.as_ref().filter(|_| !is_of_another_space))
}

/// What to do about data that does not fit into memory.
fn smaller_data(kind: SampleKind) -> String {
    let smaller = if kind.smaller.is_empty() { String::new() } else { format!("take {}", kind.smaller) };
    format!("the data is held in memory: {smaller}leave files out, or take a machine with more memory")
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
pub fn require_batches(key: &str, dataset: &Dataset, batch: usize, drop_last: bool, share: Share) -> Result<()> {
    let (samples, smallest) = (dataset.train.len(), dataset.train.smallest_training_batch());
    let batches = EpochPlan::training(Key::new(0, Purpose::Order), batch, drop_last).batch_count(samples, smallest);
    if share.steps(batches, true) > 0 {
        return Ok(());
    }
    if batches > 0 {
        let world = share.world;
        let expected = format!("a batch for each of {world} processes: the {samples} training samples give {batches}");
        return Err(Error::invalid(key, expected, batch.to_string())
            .with_hint("lower it with --batch N, or start fewer processes; a single graph can't be shared out"));
    }
    Err(Error::invalid(key, format!("a batch that the {samples} training samples fill"), batch.to_string())
        .with_hint("lower it with --batch N, or hold out less with data.validation; one sample alone can't train"))
}

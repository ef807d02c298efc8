//! What a step of a run needs of memory: told before the first epoch beside what is free, and the batch that
//! `--batch auto` takes.
//!
//! One or two steps of small batches are made on a network of their own and thrown away ([`step::try_step`]); the bytes of
//! tensors that they take are extrapolated to the run's batch ([`Need`]). Random numbers are drawn by key, so the run
//! draws the same as without.

use super::bench::samples::Samples as RandomSamples;
use super::{BatchChoice, RunOptions};
use crate::batch::{Batch, BatchKind, GraphBatch};
use crate::config::{RunConfig, tasks};
use crate::data::{Access, SampleKind, Samples};
use crate::error::{Error, Result, size};
use crate::memory::{self, Need, Room, Trial};
use crate::model::NetworkKind;
use crate::panics;
use crate::report::process_memory;
use crate::search::AlphaBatch;
use crate::step::{StepBatch, records};
use crate::task::Task;
use crate::tensor::bridge::memory::{empty_cache, metered_on};
use crate::tensor::random::{Key, Purpose};
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// `--batch auto` leaves the rest of what is free to others, and to what an estimate misses.
const SHARE: f64 = 0.8;
/// A run that needs so many times the whole memory can't but fail, whatever an estimate misses.
const HOPELESS: u64 = 4;
/// Host memory by bytes of tensors: the allocator can't use again all that was freed. Chosen by what processes took
/// (benches/results/memory-estimate.md).
const HOST_OVERHEAD: f64 = 1.6;
/// Beside it what libraries and threads take at first use.
const HOST_BASE: f64 = 64.0 * 1024.0 * 1024.0;
/// The same of a GPU, whose allocator keeps blocks of some sizes; not measured.
const GPU_OVERHEAD: f64 = 1.2;
/// A step is small beyond doubt below so many units, of a number of the input by a channel by a cell, ...
const SMALL: u64 = 1 << 16;
/// ... each of which takes fewer bytes than these (a search of points takes about two thousand).
const UNIT_BYTES: u64 = 1 << 14;
/// Nodes of the larger of two trials of graphs.
const TRIED_NODES: i64 = 256;

/// What the batches of a run's steps are made of.
pub(super) struct StepData<'a> {
    /// Where to compute.
    pub device: Device,
    /// What the network learns.
    pub task: Task,
    /// The run's.
    pub seed: u64,
    /// What a sample is.
    pub kind: SampleKind,
    /// What the weights learn from.
    pub train: &'a dyn Samples,
    /// In a search what the alphas learn from.
    pub alphas: Option<(&'a dyn Samples, AlphaBatch)>,
}

/// A measured need, and the unit that it is measured by.
pub(super) struct Estimate<'a> {
    data: &'a StepData<'a>,
    need: Need,
    /// Memory of no tensors, and by bytes of tensors.
    overhead: (f64, f64),
}

impl<'a> Estimate<'a> {
    /// Tries `step` on small batches. For the need of `batch` alone one trial is enough where the batch is small itself;
    /// without one, two are made.
    ///
    /// # Errors
    /// Memory that runs out already; samples that can't be read; the step's.
    pub fn new(
        data: &'a StepData<'a>,
        batch: Option<usize>,
        step: &dyn Fn(&StepBatch) -> Result<()>,
    ) -> Result<Estimate<'a>> {
        let tried = data.tried(batch)?;
        // What a GPU's first step makes and keeps, such as kernels that are proved at first use, is no part of another.
        if let (true, Some((_, batch))) = (data.device.is_cuda(), tried.first()) {
            panics::as_errors(|| step(batch))?;
        }
        let trials =
            tried.into_iter().map(|(size, batch)| data.trial(size, batch, step)).collect::<Result<Vec<_>>>()?;
        empty_cache(data.device)?;
        let need = match &trials[..] {
            [only] => Need::of(only),
            [small, large, ..] => Need::between(small, large),
            [] => return Err(Error::run("there is nothing to train on")),
        };
        Ok(Self { data, need, overhead: data.overhead() })
    }

    /// Bytes of a step of this batch.
    pub fn bytes(&self, batch: usize) -> Result<u64> {
        let (base, by_bytes) = self.overhead;
        Ok((base + by_bytes * self.need.at(self.data.size(batch)?) as f64) as u64)
    }

    /// The largest batch that fits into so many bytes, of the sizes from `smallest` to all samples.
    fn largest_within(&self, bytes: u64, smallest: usize) -> Result<Option<usize>> {
        let (mut fits, mut fails) = (smallest.saturating_sub(1), self.data.train.len() + 1);
        while fails - fits > 1 {
            let middle = fits + (fails - fits) / 2;
            if self.bytes(middle)? <= bytes { fits = middle } else { fails = middle }
        }
        Ok((fits >= smallest).then_some(fits))
    }
}

impl StepData<'_> {
    /// The largest batches of a step with so many samples.
    fn batches(&self, count: usize) -> Result<StepBatch> {
        let access = Access { training: true, key: Key::new(self.seed, Purpose::Augmentation) };
        let of = |samples: &dyn Samples, count| samples.batch(&samples.largest(count), access);
        let alphas = self.alphas.map(|(samples, drawn)| match drawn {
            AlphaBatch::Random => of(samples, count),
            AlphaBatch::Whole => of(samples, samples.len()),
        });
        Ok(StepBatch { weights: of(self.train, count)?, alphas: alphas.transpose()? })
    }

    /// The size of a batch of so many samples: of graphs the nodes of the largest ones, else the samples.
    fn size(&self, count: usize) -> Result<u64> {
        match self.kind.batch {
            BatchKind::Graphs => Ok(nodes(&self.batches(count)?).unsigned_abs()),
            _ => Ok(count as u64),
        }
    }

    /// Memory of no tensors, and by bytes of tensors. On a GPU each recorded pass keeps its own, beside that of a short
    /// last batch, which is not recorded.
    fn overhead(&self) -> (f64, f64) {
        if !self.device.is_cuda() {
            return (HOST_BASE, HOST_OVERHEAD);
        }
        let passes = if self.alphas.is_some() { 2.0 } else { 1.0 };
        let recorded = if records() && self.kind.batch != BatchKind::Graphs { passes } else { 0.0 };
        (0.0, GPU_OVERHEAD * (1.0 + recorded))
    }

    /// The batches that are tried, with their sizes, the smaller first.
    fn tried(&self, batch: Option<usize>) -> Result<Vec<(u64, StepBatch)>> {
        let smallest = self.train.smallest_training_batch().min(self.train.len());
        if self.kind.batch == BatchKind::Graphs {
            return Ok(self.tried_graphs(self.batches(batch.unwrap_or(smallest))?, batch.is_some()));
        }
        let double = (2 * smallest).min(self.train.len());
        let counts = match batch {
            Some(batch) if batch <= double => vec![batch],
            _ if double == smallest => vec![smallest],
            _ => vec![smallest, double],
        };
        counts.into_iter().map(|count| Ok((count as u64, self.batches(count)?))).collect()
    }

    /// Of graphs, random ones of two sizes that have as many links per node.
    fn tried_graphs(&self, whole: StepBatch, is_enough: bool) -> Vec<(u64, StepBatch)> {
        let all = nodes(&whole);
        if is_enough && all <= TRIED_NODES {
            return vec![(all.unsigned_abs(), whole)];
        }
        let share = (TRIED_NODES as f64 / all as f64).min(1.0);
        let part = |share| {
            let alphas = whole.alphas.as_ref().map(|batch| self.shrunk(batch.graphs(), share));
            let batch = StepBatch { weights: self.shrunk(whole.weights.graphs(), share), alphas };
            (nodes(&batch).unsigned_abs(), batch)
        };
        vec![part(share / 2.0), part(share)]
    }

    /// A random graph of a share of the nodes, links and scored nodes.
    fn shrunk(&self, whole: &GraphBatch, share: f64) -> Batch {
        let part = |count: i64| ((count as f64 * share).ceil() as i64).clamp(2.min(count), count);
        let (nodes, links) = (part(whole.links.nodes()).max(2), part(whole.links.count()));
        let random = RandomSamples::Graphs {
            nodes: nodes.unsigned_abs() as usize,
            links: links.unsigned_abs() as usize,
            features: whole.features.size()[1],
        };
        let Batch::Graphs(batch) = random.batch(1, self.task, self.seed, Device::Cpu) else {
            unreachable!("random graphs were asked for")
        };
        let Some(scored) = &whole.scored else { return Batch::Graphs(batch) };
        let scored = part(scored.size()[0]).min(nodes);
        Batch::Graphs(GraphBatch {
            labels: batch.labels.narrow(0, 0, scored),
            scored: Some(Tensor::arange(scored, (Kind::Int64, Device::Cpu))),
            sizes: vec![scored.unsigned_abs() as usize],
            ..batch
        })
    }

    fn trial(&self, number: u64, batch: StepBatch, step: &dyn Fn(&StepBatch) -> Result<()>) -> Result<Trial> {
        let begun = Instant::now();
        let measured = metered_on(self.device, |meter| {
            let outcome = panics::as_errors(|| step(&batch));
            (outcome, meter.curve())
        });
        let ((outcome, held), _) = measured?;
        outcome.map_err(|error| error.at("a first step, made to see what memory it takes"))?;
        let trial = Trial::new(number, &held);
        let seconds = begun.elapsed().as_secs_f64();
        tracing::debug!("memory: a step of size {number} took {} at most; {seconds:.2} s", size(trial.peak()));
        Ok(trial)
    }
}

/// Nodes of the larger batch of a step over graphs.
fn nodes(batch: &StepBatch) -> i64 {
    let of = |batch: &Batch| batch.graphs().links.nodes();
    of(&batch.weights).max(batch.alphas.as_ref().map_or(0, of))
}

/// The keys by which a run takes less memory, the batch first.
pub(super) fn advice(run: &impl RunConfig, batch: Option<usize>) -> String {
    let batch = match batch {
        Some(fits) => format!("--batch {fits} or less"),
        None => format!("a smaller --batch (it is {})", run.batch()),
    };
    let samples = tasks::find(run.common().task).expect("a resolved run has a known task").set.kind.smaller;
    let channels = match run.network_kind() {
        NetworkKind::Cells(_) => "model.channels",
        NetworkKind::HandDesigned(network) => network.width(&run.network(1, 1)).1,
    };
    format!(
        "take {batch}, {samples}fewer channels (--set {channels}=...), or --amp, which stores features in half the bytes"
    )
}

/// What is said of a run's memory beside the numbers.
pub(super) struct Words<'a> {
    /// Of what the estimate is.
    pub first: &'a str,
    /// What comes after it, by the batch that the run begins with.
    pub later: &'a dyn Fn(usize) -> String,
    /// The weights' learning rate, which belongs to the configuration's batch.
    pub learning_rate: f64,
}

/// The batch of a run: the configuration's, or that of `--batch auto`. Tells what a step of it needs and what is free,
/// with a warning where the one is more than the other. Of a step that is small beyond doubt nothing is tried or told.
///
/// # Errors
/// Memory that runs out in a step of the smallest batch; a need of several times the whole memory in a run that begins;
/// with `--batch auto` a machine for which no batch is small enough. Samples that can't be read.
pub(super) fn batch_of_run(
    data: &StepData<'_>,
    run: &impl RunConfig,
    options: &RunOptions,
    goes_on: bool,
    words: &Words<'_>,
    step: &dyn Fn(&StepBatch) -> Result<()>,
) -> Result<usize> {
    let usual = run.batch();
    let is_automatic = options.batch == Some(BatchChoice::Auto) && !goes_on;
    let room = memory::device(data.device)?;
    memory::advise(&advice(run, None));
    if !is_automatic && is_small(data, run, room)? {
        tracing::debug!("memory: a step is small, and {} are free{}", size(room.free), room.remark());
        return Ok(usual);
    }
    if let Ok(held) = process_memory() {
        tracing::debug!("memory: the process holds {} before", size(held));
    }
    let estimate = match Estimate::new(data, (!is_automatic).then_some(usual), step) {
        Ok(estimate) => estimate,
        Err(error) if error.is_out_of_memory() => return Err(error.with_memory_hint(|| advice(run, None))),
        Err(error) if is_automatic => return Err(error),
        Err(error) => {
            // Whatever it is, the run meets it too, and says where.
            tracing::debug!("memory: no step could be tried: {error}");
            return Ok(usual);
        }
    };
    let batch = if is_automatic { automatic_batch(&estimate, run, room)? } else { usual };
    tell(&estimate, run, batch, room, words, goes_on)?;
    if batch != usual {
        tracing::warn!(
            "--batch auto: batch {batch}; the configuration's learning rate {} belongs to its batch {usual}: \
             --set weights.learning_rate=... sets another",
            words.learning_rate
        );
    }
    Ok(batch)
}

/// Whether a step is small by its sizes alone: every number that enters it, times every channel and cell, takes a few
/// KiB at most.
fn is_small(data: &StepData<'_>, run: &impl RunConfig, room: Room) -> Result<bool> {
    let (common, samples) = (run.common(), run.batch() as u64);
    let rows = match data.kind.family.rows(common.data) {
        Some(rows) => samples.saturating_mul(rows),
        None => data.size(run.batch())?,
    };
    let width = match run.network_kind() {
        NetworkKind::Cells(_) => common.model.channels.unsigned_abs() * common.model.cells as u64,
        NetworkKind::HandDesigned(network) => network.width(&run.network(1, 1)).0,
    };
    let units = rows.saturating_mul(width);
    Ok(units < SMALL && units * UNIT_BYTES < room.free)
}

fn tell(
    estimate: &Estimate<'_>,
    run: &impl RunConfig,
    batch: usize,
    room: Room,
    words: &Words<'_>,
    is_begun: bool,
) -> Result<()> {
    let (bytes, later) = (estimate.bytes(batch)?, (words.later)(batch));
    let needs = format!("a step takes about {} at batch {batch} ({})", size(bytes), words.first);
    let (free, remark) = (size(room.free), room.remark());
    if bytes <= room.free {
        tracing::info!("memory: {needs}; {free} are free{remark}{later}");
        return Ok(());
    }
    let advice = advice(run, fitting(estimate, batch, room)?);
    if bytes / HOPELESS > room.total && !is_begun {
        let message = format!("out of memory: {needs}, and there are {} in all{remark}", size(room.total));
        return Err(Error::out_of_memory(message).with_hint(advice));
    }
    tracing::warn!("memory: {needs}, and {free} are free{remark}: {advice}{later}");
    Ok(())
}

/// A smaller batch that fits into what is free, where that can be said.
fn fitting(estimate: &Estimate<'_>, batch: usize, room: Room) -> Result<Option<usize>> {
    let smallest = estimate.data.train.smallest_training_batch();
    let fits = estimate.largest_within(share_of(room), smallest)?;
    Ok(fits.filter(|fits| *fits < batch))
}

fn share_of(room: Room) -> u64 {
    (room.free as f64 * SHARE) as u64
}

/// The largest batch that fits into four fifths of what is free.
fn automatic_batch(estimate: &Estimate<'_>, run: &impl RunConfig, room: Room) -> Result<usize> {
    let samples = estimate.data.train;
    let smallest = samples.smallest_training_batch().min(samples.len());
    let Some(largest) = estimate.largest_within(share_of(room), smallest)? else {
        let (needs, free) = (size(estimate.bytes(smallest)?), size(room.free));
        let message = format!("--batch auto: out of memory: batch {smallest} takes about {needs}, and {free} are free");
        return Err(Error::out_of_memory(message).with_hint(advice(run, None)));
    };
    Ok(rounded(largest).max(smallest))
}

/// Down to three binary digits: 28 stays 28, 37 becomes 32, 100 becomes 96.
fn rounded(batch: usize) -> usize {
    let digits = batch.max(1).ilog2() + 1;
    let unit = 1_usize << digits.saturating_sub(3);
    batch / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_rounded_down() {
        let sizes = [1, 2, 7, 8, 9, 28, 37, 100, 127, 1000];
        assert_eq!(sizes.map(rounded), [1, 2, 7, 8, 8, 28, 32, 96, 112, 896]);
    }
}

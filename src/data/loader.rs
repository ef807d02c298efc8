//! Batches ahead of the step that uses them: background threads, bounded, in order, and the same for any number
//! of threads.
//!
//! A loader knows nothing of what a sample is: whatever implements [`Samples`] can be loaded. Every batch is
//! fixed before the threads start (its indices and the key of its augmentation), so that threads decide only
//! when it is made. A final training batch of fewer samples than batch norm needs is dropped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use rand::{Rng, seq::SliceRandom, seq::index};

use crate::batch::Batch;
use crate::dist::Share;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::panics;
use crate::tensor::random::{Key, Purpose};

/// How samples are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// With augmentation and fresh random subsets, as in training.
    pub training: bool,
    /// Sample i draws from `key.at(key.epoch, i)`.
    pub key: Key,
}

/// A set of samples of which batches can be made.
pub trait Samples: Send + Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// True for a set without samples; datasets refuse to become one.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file that holds a sample, and where in it.
    fn name(&self, index: usize) -> &str;

    /// Class of a sample, as its position in the list of classes; none where its parts have labels of their own.
    fn label(&self, index: usize) -> Option<usize>;

    /// The fewest samples of a training batch; see [`super::FamilyDescription::smallest_training_batch`].
    fn smallest_training_batch(&self) -> usize {
        2
    }

    /// The samples of a batch of so many, or of all, that takes the most memory; the first ones where all are of one
    /// size.
    fn largest(&self, count: usize) -> Vec<usize> {
        (0..count.min(self.len())).collect()
    }

    /// What has a target: the samples, or the scored nodes of all graphs.
    fn targets(&self) -> usize {
        self.len()
    }

    /// Takes in what the samples are, in their order; see [`super::DataIdentity`].
    ///
    /// # Errors
    /// A file that can't be read.
    fn fingerprint(&self, fingerprint: &mut Fingerprint) -> Result<()>;

    /// Makes the batch of these samples, in this order: on the CPU, or where the samples are stored.
    fn batch(&self, indices: &[usize], access: Access) -> Result<Batch>;
}

/// How far and with how many threads a loader works ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Background threads, at least 1.
    pub workers: usize,
    /// Finished batches that may wait, at least 1 per thread.
    pub batches_ahead: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self { workers: 1, batches_ahead: 4 }
    }
}

/// One pass over all samples, or what is left of it, or a process's share.
#[derive(Debug, Clone)]
pub struct EpochPlan {
    /// Seed and epoch, the same in every process; the purposes are the loader's.
    pub key: Key,
    /// Samples per batch, at least 1.
    pub batch_size: usize,
    /// A new random order (else the stored one).
    pub shuffle: bool,
    /// Leave out a short last batch.
    pub drop_last: bool,
    /// Augment and draw afresh; else the same draws at every pass.
    pub training: bool,
    /// Norms take the statistics of a batch, as always in training, so a last one of fewer than
    /// [`Samples::smallest_training_batch`] samples is left out.
    pub by_batch_statistics: bool,
    /// The step to begin at; the batches before it are not made.
    pub first_step: usize,
    /// Which of the batches are this process's: they are dealt in turn. In training every process has equally many.
    pub share: Share,
    /// Steps from which on the samples that are left have another order, one after the other.
    pub reorders: Vec<usize>,
    /// How often an epoch goes through the samples, at least 1; each time in another order, with draws of its own.
    pub passes: usize,
}

impl EpochPlan {
    /// In training: shuffled, augmented, with the short last batch as asked.
    pub fn training(key: Key, batch_size: usize, drop_last: bool) -> Self {
        let (first_step, share, reorders) = (0, Share::WHOLE, Vec::new());
        let (shuffle, training, by_batch_statistics, passes) = (true, true, false, 1);
        Self { key, batch_size, shuffle, drop_last, training, by_batch_statistics, first_step, share, reorders, passes }
    }

    /// In evaluation: every sample once, in stored order, the same at every pass.
    pub fn evaluation(key: Key, batch_size: usize) -> Self {
        let plan = Self::training(key, batch_size, false);
        Self { shuffle: false, training: false, ..plan }
    }

    /// The same for a network whose norms take the statistics of every batch.
    #[must_use]
    pub fn by_batch_statistics(self) -> Self {
        Self { by_batch_statistics: true, ..self }
    }

    /// The same from this step on.
    #[must_use]
    pub fn from_step(self, first_step: usize) -> Self {
        Self { first_step, ..self }
    }

    /// The same for a process's share.
    #[must_use]
    pub fn shared(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// The same with another order from each of these steps on.
    #[must_use]
    pub fn reordered(self, reorders: Vec<usize>) -> Self {
        Self { reorders, ..self }
    }

    /// The same with so many passes through the samples.
    #[must_use]
    pub fn repeated(self, passes: usize) -> Self {
        Self { passes, ..self }
    }

    /// The number of batches that `samples` samples give in a whole pass, to all processes together; `smallest` is
    /// [`Samples::smallest_training_batch`].
    pub fn batch_count(&self, samples: usize, smallest: usize) -> usize {
        let rest = samples % self.batch_size;
        // Smaller batches throughout are what was asked for.
        let by_batch_statistics = self.training || self.by_batch_statistics;
        let is_too_small = by_batch_statistics && rest < smallest && self.batch_size >= smallest;
        samples / self.batch_size + usize::from(rest > 0 && !self.drop_last && !is_too_small)
    }

    fn jobs(&self, samples: usize, smallest: usize) -> Vec<Job> {
        let jobs: Vec<Job> = (0..self.passes).flat_map(|pass| self.pass(pass, samples, smallest)).collect();
        let steps = self.first_step..self.share.steps(jobs.len(), self.training);
        steps.map(|step| jobs[self.share.turn(step)].clone()).collect()
    }

    /// The batches of one pass for all processes.
    fn pass(&self, pass: usize, samples: usize, smallest: usize) -> Vec<Job> {
        let count = self.batch_count(samples, smallest);
        // Passes count like epochs, so that each has streams of its own.
        let epoch = self.key.epoch * self.passes as u64 + pass as u64;
        let mut order: Vec<usize> = (0..samples).collect();
        if self.shuffle {
            let key = Key { purpose: Purpose::Order, ..self.key.at(epoch, 0) };
            order.shuffle(&mut key.generator());
        }
        for (number, step) in (1..).zip(&self.reorders) {
            let key = Key { purpose: Purpose::Reorder, ..self.key.at(epoch, number) };
            let batches = (step * self.share.world).saturating_sub(pass * count);
            order[(batches * self.batch_size).min(samples)..].shuffle(&mut key.generator());
        }
        let access = Access { training: self.training, key: self.access_key(epoch) };
        let batches = order.chunks(self.batch_size).take(count);
        batches.map(|batch| Job { indices: batch.to_vec(), access }).collect()
    }

    /// Evaluation draws the same at every epoch.
    fn access_key(&self, epoch: u64) -> Key {
        if self.training {
            Key { purpose: Purpose::Augmentation, epoch, ..self.key }
        } else {
            Key::new(self.key.seed, Purpose::Evaluation)
        }
    }
}

/// A batch that is decided but not made.
#[derive(Debug, Clone)]
struct Job {
    indices: Vec<usize>,
    access: Access,
}

/// Makes batches of one set of samples.
#[derive(Clone)]
pub struct Loader {
    samples: Arc<dyn Samples>,
    config: LoaderConfig,
}

impl Loader {
    /// A loader over `samples`.
    pub fn new(samples: Arc<dyn Samples>, config: LoaderConfig) -> Self {
        Self { samples, config }
    }

    /// The samples that it loads.
    pub fn samples(&self) -> &Arc<dyn Samples> {
        &self.samples
    }

    /// The batches that the plan leaves of one pass, in order.
    pub fn epoch(&self, plan: &EpochPlan) -> Batches {
        self.start(plan.jobs(self.samples.len(), self.samples.smallest_training_batch()))
    }

    /// How many batches [`Self::epoch`] gives.
    pub fn steps(&self, plan: &EpochPlan) -> usize {
        plan.jobs(self.samples.len(), self.samples.smallest_training_batch()).len()
    }

    /// How often each of so many epochs has to go through the samples by this plan, for `least` steps in all; once where
    /// nothing is asked for.
    pub fn passes(&self, plan: &EpochPlan, epochs: usize, least: Option<usize>) -> usize {
        least.map_or(1, |least| least.div_ceil((epochs * self.steps(plan)).max(1)))
    }

    /// A fresh random batch for each of these steps of the key's epoch: the data of the alphas' steps. Within a batch
    /// no sample comes twice; batches are independent of each other. A batch size above the number of samples
    /// gives all of them. Of several processes each gets its share of a batch of the size of all theirs together.
    pub fn random_batches(
        &self,
        key: Key,
        batch_size: usize,
        share: Share,
        steps: impl IntoIterator<Item = usize>,
    ) -> Batches {
        let jobs = steps.into_iter().map(|step| self.random_job(key.at(key.epoch, step as u64), batch_size, share));
        self.start(jobs.collect())
    }

    /// The step's own stream gives the samples and a seed for their augmentation: a sample that comes again at
    /// another step of the epoch is augmented anew.
    fn random_job(&self, key: Key, batch_size: usize, share: Share) -> Job {
        let mut generator = Key { purpose: Purpose::AlphaBatch, ..key }.generator();
        let samples = self.samples.len();
        let together = batch_size.saturating_mul(share.world).min(samples);
        let mut indices = index::sample(&mut generator, samples, together).into_vec();
        // Too few to share out are everybody's.
        if together >= share.world {
            indices = indices[share.part_of(together)].to_vec();
        }
        let key = Key { seed: generator.next_u64(), purpose: Purpose::Augmentation, ..key };
        Job { indices, access: Access { training: true, key } }
    }

    fn start(&self, jobs: Vec<Job>) -> Batches {
        let workers = self.config.workers.clamp(1, jobs.len().max(1));
        let ahead = self.config.batches_ahead.div_ceil(workers).max(1);
        let jobs = Arc::new(jobs);
        let (queues, threads) = (0..workers)
            .map(|worker| {
                let (sender, queue) = sync_channel(ahead);
                let (samples, jobs) = (Arc::clone(&self.samples), Arc::clone(&jobs));
                let work = move || make_batches(&*samples, jobs.iter().skip(worker).step_by(workers), &sender);
                let thread = Builder::new().name(format!("loader {worker}")).spawn(work);
                (queue, thread.unwrap_or_else(|reason| Error::no_thread(reason).raise()))
            })
            .unzip();
        Batches { queues, threads, next: 0, total: jobs.len() }
    }
}

/// What a thread hands over: a batch or why there is none; or the panic that ended the thread.
type Made = Result<Result<Batch>>;

/// Runs in a thread; ends early with a panic, or when nobody takes the batches any more.
fn make_batches<'a>(samples: &dyn Samples, jobs: impl Iterator<Item = &'a Job>, sender: &SyncSender<Made>) {
    for job in jobs {
        let made = panics::caught(|| samples.batch(&job.indices, job.access));
        let is_last = made.is_err();
        if sender.send(made).is_err() || is_last {
            return;
        }
    }
}

/// Batches in order, made ahead by threads; dropping it stops them.
///
/// Thread w makes batches w, w + W, w + 2W, ... into a bounded queue of its own, so taking from the queues in
/// turn restores the order.
#[derive(Debug)]
pub struct Batches {
    queues: Vec<Receiver<Made>>,
    threads: Vec<JoinHandle<()>>,
    next: usize,
    total: usize,
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.total {
            return None;
        }
        let received = self.queues[self.next % self.queues.len()].recv();
        self.next += 1;
        let stopped = match received {
            Ok(Ok(batch)) => return Some(batch),
            Ok(Err(panic)) => panic,
            Err(_) => Error::run("a thread that prepares batches stopped unexpectedly"),
        };
        self.next = self.total;
        Some(Err(stopped))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.total - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches {}

impl Drop for Batches {
    fn drop(&mut self) {
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // What panicked in a thread was handed over as an error.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(batch_size: usize, drop_last: bool, training: bool) -> EpochPlan {
        EpochPlan {
            shuffle: training,
            training,
            ..EpochPlan::training(Key::new(3, Purpose::Order), batch_size, drop_last)
        }
    }

    #[test]
    fn counts_agree_with_the_batches() {
        for samples in 0..20 {
            for (drop_last, training) in [(false, false), (true, false), (false, true), (true, true)] {
                let plan = plan(4, drop_last, training);
                let jobs = plan.jobs(samples, 2).len();
                assert_eq!(jobs, plan.batch_count(samples, 2), "{samples} {drop_last} {training}");
            }
        }
    }

    #[test]
    fn short_last_batches() {
        assert_eq!(plan(4, false, true).batch_count(10, 2), 3);
        assert_eq!(plan(4, true, true).batch_count(10, 2), 2);
        assert_eq!(plan(4, false, true).batch_count(9, 2), 2, "one sample can't train batch norm");
        assert_eq!(plan(4, false, true).batch_count(9, 1), 3, "one graph can");
        assert_eq!(plan(4, false, false).batch_count(9, 2), 3, "evaluation sees every sample");
        assert_eq!(plan(1, false, true).batch_count(9, 2), 9, "asked for");
    }

    #[test]
    fn an_epoch_holds_every_sample_once_and_epochs_differ() {
        let order = |epoch| -> Vec<usize> {
            let plan = EpochPlan::training(Key::new(3, Purpose::Order).at(epoch, 0), 4, false);
            plan.jobs(19, 2).into_iter().flat_map(|job| job.indices).collect()
        };
        let mut sorted = order(0);
        assert_ne!(order(0), order(1));
        assert_eq!(order(1), order(1));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..19).collect::<Vec<_>>());
    }

    #[test]
    fn evaluation_draws_the_same_at_every_epoch() {
        let key = |epoch| EpochPlan::evaluation(Key::new(3, Purpose::Order).at(epoch, 0), 4).access_key(epoch);
        let first = |key: Key| key.generator().next_u64();
        assert_eq!(first(key(0)), first(key(7)));
    }

    #[test]
    fn an_epoch_of_several_passes_holds_every_sample_as_often() {
        let of_epoch =
            |epoch| EpochPlan::training(Key::new(3, Purpose::Order).at(epoch, 0), 4, false).repeated(3).jobs(19, 2);
        let jobs = [of_epoch(0), of_epoch(1)].concat();
        assert_eq!(jobs.len(), 6 * 5);
        let passes: Vec<Vec<usize>> =
            jobs.chunks(5).map(|pass| pass.iter().flat_map(|job| job.indices.clone()).collect()).collect();
        for (number, pass) in passes.iter().enumerate() {
            let mut sorted = pass.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..19).collect::<Vec<_>>());
            assert!(passes[..number].iter().all(|other| other != pass), "each has an order of its own");
        }
        let mut draws: Vec<u64> = jobs.chunks(5).map(|pass| pass[0].access.key.generator().next_u64()).collect();
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 6, "and draws of its own");
        // What is left after some steps, also in another order, is the tail of the whole.
        let whole = plan(4, false, true).repeated(2);
        let indices = |plan: EpochPlan| indices(&plan);
        for step in [0, 3, 5, 7, 10] {
            assert_eq!(indices(whole.clone().from_step(step)), indices(whole.clone())[step..]);
            let reordered = indices(whole.clone().reordered(vec![step]));
            assert_eq!(reordered[..step], indices(whole.clone())[..step]);
            assert_eq!(indices(whole.clone().reordered(vec![step]).from_step(step)), reordered[step..]);
        }
    }

    fn indices(plan: &EpochPlan) -> Vec<Vec<usize>> {
        plan.jobs(19, 2).into_iter().map(|job| job.indices).collect()
    }

    #[test]
    fn a_pass_from_a_step_on_is_the_tail_of_the_whole() {
        let whole = plan(4, false, true);
        for step in 0..=6 {
            assert_eq!(
                indices(&whole.clone().from_step(step)),
                indices(&whole).into_iter().skip(step).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn what_is_left_gets_another_order_and_what_was_done_keeps_its_own() {
        let whole = indices(&plan(4, false, true));
        let once = indices(&plan(4, false, true).reordered(vec![2]));
        let twice = indices(&plan(4, false, true).reordered(vec![2, 3]));
        assert_eq!(once[..2], whole[..2]);
        assert_eq!(twice[..3], once[..3]);
        assert!(once[2..] != whole[2..] && twice[3..] != once[3..]);
        for order in [once, twice] {
            let mut sorted = order.concat();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..19).collect::<Vec<_>>());
        }
    }

    #[test]
    fn processes_take_turns_and_none_overlaps() {
        for (training, world) in [(true, 1), (true, 2), (true, 3), (false, 2), (false, 7)] {
            let whole = plan(4, false, training);
            let of = |rank| indices(&whole.clone().shared(Share { rank, world }));
            let shares: Vec<_> = (0..world).map(of).collect();
            let rounds = shares.iter().map(Vec::len).max().unwrap();
            let dealt = (0..rounds).flat_map(|step| shares.iter().filter_map(move |share| share.get(step)));
            let dealt: Vec<_> = dealt.cloned().collect();
            let all = indices(&whole);
            // In training all have equally many steps; in evaluation every sample is seen.
            let left_out = if training { all.len() % world } else { 0 };
            assert_eq!(dealt, all[..all.len() - left_out], "training {training}, world {world}");
            assert!(!training || shares.iter().all(|share| share.len() == rounds));
            let late = indices(&whole.clone().shared(Share { rank: 0, world }).from_step(1));
            assert_eq!(late, shares[0].iter().skip(1).cloned().collect::<Vec<_>>());
        }
    }
}

//! THE loop of search and retraining: epochs of steps from wherever a cursor stands, counted, watched, told, and kept.
//!
//! What is learned in a step, and what follows an epoch's steps, are the run's own ([`Learning`]). The loop speaks to
//! the outside through an observer and a keeper only.

use super::agreement::{agree, loss_of_all, settle, turn_of_all};
use super::{Begun, Ledger, OnNan, Outcome, Position, StepOutcome, at_step, finite};
use crate::batch::Batch;
use crate::checkpoint::{Checkpoint, Cursor, Keeper, Turn};
use crate::data::Batches;
use crate::dist::{Processes, Share};
use crate::error::{Error, Result};
use crate::optim::Scaler;
use crate::panics;
use crate::report::{DecisionReport, EpochReport, Event, Learner, Observer, PeakMemory, Phases, timed};
use crate::task::{Metrics, Tally, Task};
use crate::tensor::bridge::memory::empty_cache;
use crate::tensor::parameters::Weights;
use std::time::Instant;
use tch::Device;

/// What stays the same in a run.
#[derive(Clone)]
pub struct Frame {
    /// `search` or `train`.
    pub command: &'static str,
    /// Name of the task.
    pub task_name: String,
    /// What the network learns.
    pub task: Task,
    /// Epochs in all.
    pub epochs: usize,
    /// Where to compute.
    pub device: Device,
    /// Who shares the run.
    pub processes: Processes,
    /// Whether batch norms take the statistics of all processes' batches.
    pub sync_batch_norm: bool,
    /// What becomes of it where a loss or gradient is not finite.
    pub on_nan: OnNan,
}

/// What stays the same in an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Learning rate of the weights.
    pub learning_rate: f64,
    /// Samples per batch.
    pub batch_size: usize,
}

/// The batches of an epoch's steps.
pub struct StepBatches {
    /// What the weights learn from.
    pub weights: Batches,
    /// In a search what the alphas learn from, for as many steps.
    pub alphas: Option<Batches>,
}

/// The batches of one step.
pub struct StepBatch {
    /// What the weights learn from.
    pub weights: Batch,
    /// What the alphas learn from.
    pub alphas: Option<Batch>,
}

impl Iterator for StepBatches {
    type Item = Result<StepBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let weights = self.weights.next()?;
        let alphas = match &mut self.alphas {
            Some(batches) => Some(batches.next()?),
            None => None,
        };
        Some(weights.and_then(|weights| Ok(StepBatch { weights, alphas: alphas.transpose()? })))
    }
}

/// What followed the steps of an epoch.
#[derive(Default)]
pub struct AfterSteps {
    /// The validation pass.
    pub validation: Option<Metrics>,
    /// The pass over the test split.
    pub test: Option<Metrics>,
    /// In a search the edges still open.
    pub open_edges: Option<usize>,
    /// What was decided.
    pub decisions: Vec<DecisionReport>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every epoch is done.
    Whole,
    /// The keeper stopped it; the step that comes next.
    Stopped(Cursor),
}

/// A run that the loop drives.
pub trait Learning {
    /// What it learns from.
    type Data;

    /// What stays the same.
    fn frame(&self) -> Frame;

    /// Where it stands; the loop moves it.
    fn position(&mut self) -> &mut Position;

    /// The state dict of the network.
    fn weights(&self) -> &Weights;

    /// Trainable numbers of the network.
    fn parameters(&self) -> usize {
        self.weights().parameters.count()
    }

    /// What was decided so far, in which all processes of a run must agree.
    fn decided(&self) -> Option<String> {
        None
    }

    /// Of an epoch that begins or goes on.
    fn terms(&self, epoch: usize) -> Terms;

    /// Takes the batch of an epoch back to what it was before it last grew, because a step ran out of memory; false where
    /// it has not grown.
    fn take_back_growth(&mut self, _epoch: usize) -> bool {
        false
    }

    /// The losses that may be scaled.
    fn scalers(&self) -> Vec<(Learner, &Scaler)>;

    /// The batches of an epoch from a step on.
    fn batches(&self, at: Cursor, terms: Terms, data: &Self::Data) -> StepBatches;

    /// Trains the alphas on a batch, if any learn; `ahead` is the weights' batch of the same step.
    ///
    /// # Errors
    /// Where the device does not have the precision.
    fn step_alphas(&mut self, _at: Cursor, _terms: Terms, _batch: &Batch, _ahead: &Batch) -> Result<Option<Outcome>> {
        Ok(None)
    }

    /// Trains the weights on a batch.
    ///
    /// # Errors
    /// Where the device does not have the precision.
    fn step_weights(&mut self, at: Cursor, terms: Terms, batch: &Batch) -> Result<StepOutcome>;

    /// What comes before the first step of all; nothing when a run goes on.
    ///
    /// # Errors
    /// Its own.
    fn before_training(&mut self, _data: Option<&Self::Data>, _observer: &mut dyn Observer) -> Result<()> {
        Ok(())
    }

    /// An epoch begins or goes on.
    ///
    /// # Errors
    /// Its own.
    fn enter_epoch(&mut self, _epoch: usize) -> Result<()> {
        Ok(())
    }

    /// What follows a step; `next` is the one that comes then.
    ///
    /// # Errors
    /// Its own.
    fn after_step(
        &mut self,
        _next: Cursor,
        _terms: Terms,
        _data: &Self::Data,
        _observer: &mut dyn Observer,
    ) -> Result<()> {
        Ok(())
    }

    /// What follows the steps of an epoch. Adds its wall time to the phases. `goes_on` is asked between batches; where it
    /// says no, nothing has changed and nothing is given.
    ///
    /// # Errors
    /// Scores or alphas that are not numbers; the observer's.
    fn after_steps(
        &mut self,
        epoch: usize,
        terms: Terms,
        data: &Self::Data,
        phases: &mut Phases,
        observer: &mut dyn Observer,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<AfterSteps>>;

    /// The loss of a batch, or of some of its samples, in evaluation mode and single precision: whether the
    /// network still computes numbers.
    ///
    /// # Errors
    /// Its own.
    fn probe(&self, batch: &Batch) -> Result<f64>;

    /// The first module, in words, whose output for this batch, or else whose gradient, is not finite; `None` where none
    /// is. Moves running statistics.
    ///
    /// # Errors
    /// Its own.
    fn culprit(&mut self, at: Cursor, learner: Learner, batch: &Batch) -> Result<Option<String>>;

    /// Whether it ends before its last epoch.
    fn is_over(&self) -> bool {
        false
    }

    /// Keeps the weights of an epoch, where it wants to.
    ///
    /// # Errors
    /// The keeper's.
    fn keep_weights(&mut self, _report: &EpochReport, _keeper: &mut dyn Keeper) -> Result<()> {
        Ok(())
    }

    /// The whole state, with its position.
    fn save(&self) -> Checkpoint;
}

/// Runs the epochs that are left, from the run's position on.
///
/// # Errors
/// A loss that is not a number, data that can't be read, results that can't be written.
pub fn run<L: Learning>(
    learning: &mut L,
    data: Option<&L::Data>,
    observer: &mut dyn Observer,
    keeper: &mut dyn Keeper,
) -> Result<Ended> {
    let frame = learning.frame();
    let _norms = frame.sync_batch_norm.then(|| frame.processes.synchronise_norms());
    learning.position().shared_by(frame.processes.share().world);
    let mut course = Course { learning, frame, observer, keeper };
    let started = course.started();
    course.observer.observe(&started)?;
    if course.cursor() == Cursor::default() {
        course.learning.before_training(data, course.observer)?;
    }
    while course.cursor().epoch < course.frame.epochs && !course.learning.is_over() {
        let data = data.ok_or_else(|| Error::usage(format!("a {} that trains needs data", course.frame.command)))?;
        if let Some(next) = course.epoch(data)? {
            return Ok(Ended::Stopped(next));
        }
    }
    Ok(Ended::Whole)
}

/// A run under way.
struct Course<'r, L> {
    learning: &'r mut L,
    frame: Frame,
    observer: &'r mut dyn Observer,
    keeper: &'r mut dyn Keeper,
}

/// The steps of an epoch under way.
struct Steps {
    tally: Tally,
    ledger: Ledger,
    /// Since the epoch began or went on.
    clock: Instant,
    /// Wall time of it before.
    before: f64,
    /// The batch of the last step, on the device.
    last: Option<Batch>,
}

impl<L: Learning> Course<'_, L> {
    fn started(&mut self) -> Event {
        let Cursor { epoch, step } = self.cursor();
        Event::Started {
            command: self.frame.command.to_owned(),
            task: self.frame.task_name.clone(),
            epoch,
            step,
            epochs: self.frame.epochs,
            parameters: self.learning.parameters(),
        }
    }

    fn cursor(&mut self) -> Cursor {
        self.learning.position().cursor
    }

    /// Runs what is left of the epoch; gives the place of the next step where the keeper stopped it.
    fn epoch(&mut self, data: &L::Data) -> Result<Option<Cursor>> {
        let clock = Instant::now();
        let at = self.cursor();
        self.learning.enter_epoch(at.epoch)?;
        let mut terms = self.learning.terms(at.epoch);
        let mut batches = self.learning.batches(at, terms, data);
        let mut steps = self.begin(at, batches.weights.len(), clock);
        let mut next = at;
        while let Some(batch) = timed(&mut steps.ledger.watches.phases.data, || batches.next()) {
            let batch = batch?;
            let made = panics::caught(|| self.step(next, terms, &batch, &mut steps));
            let made = made.unwrap_or_else(|panic| Err(at_step(panic, next.epoch, next.step)));
            if let Err(error) = made {
                drop(batch);
                let error = self.frame.processes.named(error);
                let error = self.explained(error, at.epoch, terms, data, &steps);
                terms = self.with_smaller_batch(error, &mut next, terms, &mut steps)?;
                batches = self.learning.batches(next, terms, data);
                steps.ledger.set_steps(next.step + batches.weights.len());
                continue;
            }
            next.step += 1;
            self.learning.after_step(next, terms, data, self.observer)?;
            agree(&self.frame.processes, || self.learning.decided())?;
            match turn_of_all(&self.frame.processes, self.keeper.turn(next))? {
                Turn::GoOn => {}
                Turn::Keep => self.keep(next, &mut steps)?,
                Turn::Stop => return self.stop(next, &mut steps).map(Some),
            }
        }
        self.end(next, terms, data, steps)
    }

    /// The terms by which an epoch goes on after a step that ran out of memory, where its batch had grown: with the batch
    /// before, from the samples on that the epoch has not seen. Up to a batch of them may come twice.
    ///
    /// # Errors
    /// The step's own, where it was another or the batch had not grown; and where several processes share the run, which
    /// would wait for this one.
    fn with_smaller_batch(
        &mut self,
        error: Error,
        next: &mut Cursor,
        terms: Terms,
        steps: &mut Steps,
    ) -> Result<Terms> {
        let is_alone = self.frame.processes.share() == Share::WHOLE;
        if !is_alone || !error.is_out_of_memory() || !self.learning.take_back_growth(next.epoch) {
            return Err(error);
        }
        steps.ledger.read(self.observer)?;
        empty_cache(self.frame.device)?;
        let smaller = self.learning.terms(next.epoch);
        let Cursor { epoch, step } = *next;
        let (from, to) = (terms.batch_size, smaller.batch_size);
        self.observer.observe(&Event::BatchTakenBack { epoch, step, from, to, reason: error.to_string() })?;
        next.step = step * from / to;
        Ok(smaller)
    }

    /// An epoch with so many steps to make, which may have made some.
    fn begin(&mut self, at: Cursor, left: usize, clock: Instant) -> Steps {
        let Frame { task, device, on_nan, .. } = self.frame;
        let begun = self.learning.position().begun.take();
        let mut tally = task.tally(device);
        let mut ledger = Ledger::new(at.epoch, at.step + left, &self.learning.scalers(), device).answering(on_nan);
        let last = None;
        let Some(Begun { meter, watches, seconds }) = begun else {
            return Steps { tally, ledger, clock, before: 0.0, last };
        };
        // It is that of all processes.
        if self.frame.processes.leads() {
            tally.restore(&meter);
        }
        ledger.watches = watches;
        Steps { tally, ledger, clock, before: seconds, last }
    }

    fn step(&mut self, at: Cursor, terms: Terms, batch: &StepBatch, steps: &mut Steps) -> Result<()> {
        let failed = |error| at_step(error, at.epoch, at.step);
        let Steps { tally, ledger, last, .. } = steps;
        let weights = batch.weights.to_device(self.frame.device);
        if let Some(alphas) = &batch.alphas {
            let alphas = alphas.to_device(self.frame.device);
            let step = || self.learning.step_alphas(at, terms, &alphas, &weights);
            if let Some(outcome) = timed(&mut ledger.watches.phases.alphas, step).map_err(failed)? {
                ledger.note(at.step, Learner::Alphas, outcome);
            }
        }
        let begun = Instant::now();
        let StepOutcome { outcome, logits, loss, .. } =
            self.learning.step_weights(at, terms, &weights).map_err(failed)?;
        tally.add_finite(&logits, &weights, &loss);
        *last = Some(weights);
        ledger.note(at.step, Learner::Weights, outcome);
        ledger.end_step(at.step, self.observer)?;
        ledger.watches.phases.weights += begun.elapsed().as_secs_f64();
        Ok(())
    }

    /// The error of a step, and where it is one of numbers, the module that they come from. The batch of the step is made
    /// again: on a GPU later steps were made before its numbers were read.
    fn explained(&mut self, error: Error, epoch: usize, terms: Terms, data: &L::Data, steps: &Steps) -> Error {
        let Some((step, learner)) = steps.ledger.failed.filter(|_| error.is_not_finite()) else { return error };
        let at = Cursor { epoch, step };
        let mut culprit = || {
            let batch = self.learning.batches(at, terms, data).next()?.ok()?;
            let batch = match learner {
                Learner::Weights => batch.weights,
                Learner::Alphas => batch.alphas?,
            };
            Some(self.learning.culprit(at, learner, &batch.to_device(self.frame.device)))
        };
        explained(error, culprit())
    }

    /// Keeps the state within an epoch, which goes on after it.
    fn keep(&mut self, next: Cursor, steps: &mut Steps) -> Result<()> {
        steps.ledger.read(self.observer)?;
        settle(&self.frame.processes, self.learning.weights())?;
        self.probe(next.epoch, steps)?;
        let seconds = steps.before + steps.clock.elapsed().as_secs_f64();
        let mut meter = steps.tally.read();
        meter.all_reduce(&self.frame.processes)?;
        let begun = Some(Begun { meter, watches: steps.ledger.watches.clone(), seconds });
        let position = self.learning.position();
        (position.cursor, position.begun) = (next, begun);
        self.keeper.keep_checkpoint(self.learning.save())?;
        self.learning.position().begun = None;
        Ok(())
    }

    /// Keeps the state and tells that the run stops.
    fn stop(&mut self, next: Cursor, steps: &mut Steps) -> Result<Cursor> {
        self.observer.observe(&Event::Stopped { epoch: next.epoch, step: next.step })?;
        self.keep(next, steps)?;
        Ok(next)
    }

    /// A network that computes no numbers any more must not take the place of one that does.
    fn probe(&mut self, epoch: usize, steps: &Steps) -> Result<()> {
        let Some(batch) = &steps.last else { return Ok(()) };
        let begun = Instant::now();
        let loss = loss_of_all(&self.frame.processes, self.learning.probe(batch)?)?;
        tracing::debug!("state probed: a loss of {loss} in {:.4} s", begun.elapsed().as_secs_f64());
        finite("loss after the last step", loss).map(drop).map_err(|error| error.at(format!("epoch {epoch}")))
    }

    /// Scores and tells the epoch, and keeps the state after it; gives its end where the keeper stopped it before.
    fn end(&mut self, next: Cursor, terms: Terms, data: &L::Data, mut steps: Steps) -> Result<Option<Cursor>> {
        let epoch = next.epoch;
        let phases = &mut steps.ledger.watches.phases;
        let mut meter = timed(&mut phases.weights, || steps.tally.read());
        meter.all_reduce(&self.frame.processes)?;
        settle(&self.frame.processes, self.learning.weights())?;
        // Processes make unequally many batches of such a pass, so none may leave it alone.
        let is_alone = self.frame.processes.share().world == 1;
        let keeper = &*self.keeper;
        let mut goes_on = || !(is_alone && keeper.is_asked_to_stop());
        let after = self.learning.after_steps(epoch, terms, data, phases, self.observer, &mut goes_on)?;
        let Some(after) = after else { return self.stop(next, &mut steps).map(Some) };
        if after.validation.is_none() && after.test.is_none() {
            self.probe(epoch, &steps)?;
        }
        let Steps { ledger, clock, before, .. } = steps;
        let phases = ledger.watches.phases;
        let skipped_steps = ledger.skipped_steps();
        let (scaling, gradients) = ledger.into_reports();
        let report = EpochReport {
            epoch,
            epochs: self.frame.epochs,
            learning_rate: terms.learning_rate,
            batch_size: terms.batch_size,
            train: meter.metrics(),
            validation: after.validation,
            test: after.test,
            open_edges: after.open_edges,
            parameters: self.learning.parameters(),
            skipped_steps,
            scaling: scaling.into_reports(),
            gradients,
            seconds: before + clock.elapsed().as_secs_f64(),
            phases,
            memory: PeakMemory::until_now(self.frame.device),
        };
        self.observer.observe(&Event::Epoch(report.clone()))?;
        after.decisions.into_iter().try_for_each(|decision| self.observer.observe(&Event::Decision(decision)))?;
        self.learning.position().cursor = Cursor { epoch: epoch + 1, step: 0 };
        agree(&self.frame.processes, || self.learning.decided())?;
        self.learning.keep_weights(&report, self.keeper)?;
        self.keeper.keep_checkpoint(self.learning.save())?;
        Ok(None)
    }
}

/// An error with the module that its numbers come from, where that was found.
fn explained(error: Error, culprit: Option<Result<Option<String>>>) -> Error {
    match culprit {
        Some(Ok(Some(module))) => error.saying(&format!("; first in {module}")),
        _ => error,
    }
}

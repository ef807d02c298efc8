//! Steps of an epoch whose numbers are still on the device: read together, told as events, checked.

use super::{MOST_SKIPPED, Numbers, OnNan, Outcome, ScaleWatch, at_step};
use crate::error::{Error, Result};
use crate::optim::Scaler;
use crate::report::{Event, GradientReport, Learner, Observer, Phases};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tch::Device;

/// On a GPU numbers are read when so many steps wait for it, or when so much time went by. Reading makes the program
/// wait until the GPU has done all that it was given, so it must be rare; a bar wants to move all the same.
const MOST_WAITING: usize = 64;
const LONGEST: Duration = Duration::from_millis(500);

/// What the steps of an epoch came to so far, in host memory, as a checkpoint keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watches {
    /// Where the epoch's time went.
    pub phases: Phases,
    /// What loss scaling did.
    pub scaling: ScaleWatch,
    /// Of each that learns, once it has made a step.
    pub gradients: Vec<GradientSums>,
    /// Steps that were left out because they were not finite.
    #[serde(default)]
    pub broken: usize,
    /// Of these, the last ones in a row.
    #[serde(default)]
    pub broken_in_row: usize,
}

/// The norms of the gradients of some steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GradientSums {
    /// Of what.
    pub of: Learner,
    /// The steps.
    pub steps: usize,
    /// The sum of their norms.
    pub sum: f64,
    /// The greatest.
    pub greatest: f64,
}

impl GradientSums {
    /// Adds those of other steps.
    pub fn join(&mut self, other: &Self) {
        self.steps += other.steps;
        self.sum += other.sum;
        self.greatest = self.greatest.max(other.greatest);
    }

    fn report(&self) -> GradientReport {
        GradientReport { of: self.of, mean: self.sum / self.steps as f64, greatest: self.greatest }
    }
}

/// What happened in the steps of an epoch.
pub struct Ledger {
    /// What was read so far.
    pub watches: Watches,
    /// The step from 0, and what learned in it, that ended the run for not being finite.
    pub failed: Option<(usize, Learner)>,
    on_nan: OnNan,
    epoch: usize,
    steps: usize,
    /// Step from 0, whose it is, its numbers.
    waiting: Vec<(usize, Learner, Outcome)>,
    read_at: Instant,
    /// Steps that may wait.
    most: usize,
}

impl Ledger {
    /// Of an epoch of so many steps, which begins with these scalers.
    pub fn new(epoch: usize, steps: usize, scalers: &[(Learner, &Scaler)], device: Device) -> Self {
        let scaling = ScaleWatch::new(scalers);
        let phases = Phases::default();
        Self {
            watches: Watches { phases, scaling, gradients: Vec::new(), broken: 0, broken_in_row: 0 },
            failed: None,
            on_nan: OnNan::default(),
            epoch,
            steps,
            waiting: Vec::new(),
            read_at: Instant::now(),
            // On a processor numbers are there as soon as they are asked for.
            most: if device.is_cuda() { MOST_WAITING } else { 1 },
        }
    }

    /// The same where this becomes of steps that are not finite.
    #[must_use]
    pub fn answering(self, on_nan: OnNan) -> Self {
        Self { on_nan, ..self }
    }

    /// Takes note of what step `step` (from 0) of `learner` came to.
    pub fn note(&mut self, step: usize, learner: Learner, outcome: Outcome) {
        self.waiting.push((step, learner, outcome));
    }

    /// Ends a step, the weights' outcome having been noted: reads what waits where it is time to, or where it was the
    /// last.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn end_step(&mut self, step: usize, observer: &mut dyn Observer) -> Result<()> {
        let of_weights = self.waiting.iter().filter(|(_, learner, _)| *learner == Learner::Weights).count();
        let is_time = of_weights >= self.most || self.read_at.elapsed() >= LONGEST;
        if is_time || step + 1 == self.steps { self.read(observer) } else { Ok(()) }
    }

    /// The epoch has so many steps from now on.
    pub fn set_steps(&mut self, steps: usize) {
        self.steps = steps;
    }

    /// Reads all that waits, in order, and tells the observer of every step.
    ///
    /// # Errors
    /// The first step with a loss or gradient that is not a number and was not skipped, or with a lost loss scale; the
    /// observer's.
    pub fn read(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let outcomes: Vec<&Outcome> = waiting.iter().map(|(_, _, outcome)| outcome).collect();
        for ((step, learner, _), numbers) in waiting.iter().zip(Outcome::read_all(&outcomes)) {
            self.tell(*step, *learner, numbers, observer)?;
        }
        self.read_at = Instant::now();
        Ok(())
    }

    fn tell(&mut self, step: usize, learner: Learner, numbers: Numbers, observer: &mut dyn Observer) -> Result<()> {
        let learned = match learner {
            Learner::Weights => "",
            Learner::Alphas => "alphas' ",
        };
        let Numbers { loss, gradient_norm, scale } = match numbers.check(learned) {
            Ok(numbers) => numbers,
            Err(error) if error.is_not_finite() && self.may_skip() => return self.skip(step, &error, observer),
            Err(error) => {
                self.failed = Some((step, learner));
                return Err(at_step(error, self.epoch, step));
            }
        };
        self.watches.broken_in_row = 0;
        self.watches.scaling.note(learner, scale, gradient_norm.err(), (self.epoch, step + 1), observer)?;
        if let Ok(norm) = gradient_norm {
            self.add_norm(learner, norm);
        }
        if learner == Learner::Alphas {
            return Ok(());
        }
        let loss_scale = self.watches.scaling.of_weights();
        observer.observe(&Event::Step { epoch: self.epoch, step: step + 1, steps: self.steps, loss, loss_scale })
    }

    fn may_skip(&self) -> bool {
        self.on_nan == OnNan::Skip && self.watches.broken_in_row < MOST_SKIPPED
    }

    fn skip(&mut self, step: usize, error: &Error, observer: &mut dyn Observer) -> Result<()> {
        self.watches.broken += 1;
        self.watches.broken_in_row += 1;
        let (epoch, what) = (self.epoch, error.to_string());
        observer.observe(&Event::Skipped { epoch, step: step + 1, what })
    }

    fn add_norm(&mut self, of: Learner, norm: f64) {
        let step = GradientSums { of, steps: 1, sum: norm, greatest: norm };
        match self.watches.gradients.iter_mut().find(|sums| sums.of == of) {
            Some(sums) => sums.join(&step),
            None => self.watches.gradients.push(step),
        }
    }

    /// Steps that moved nothing.
    pub fn skipped_steps(&self) -> usize {
        self.watches.scaling.skipped_steps() + self.watches.broken
    }

    /// What loss scaling did, and the gradients.
    pub fn into_reports(self) -> (ScaleWatch, Vec<GradientReport>) {
        let Watches { scaling, gradients, .. } = self.watches;
        (scaling, gradients.iter().map(GradientSums::report).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Skip;
    use crate::step::Checked;
    use crate::step::Ear;
    use crate::tensor::precision::Precision;
    use tch::Tensor;

    fn outcome(loss: f32, gradient: f32, scaler: &mut Scaler) -> Outcome {
        let norm = |gradient: &mut Tensor| gradient.norm_scalaropt_dtype(2, tch::Kind::Float);
        let checked = Checked::new(scaler, &mut Tensor::from_slice(&[gradient]), norm);
        Outcome::new(&Tensor::from(loss), checked)
    }

    /// As on a GPU: nothing is read before it is time, and then everything in its order.
    #[test]
    fn what_waited_is_told_step_by_step() {
        let mut scaler = Scaler::new(Precision::Fp16, Device::Cpu);
        let mut ledger = Ledger::new(3, 3, &[(Learner::Weights, &scaler)], Device::Cuda(0));
        let mut ear = Ear(Vec::new());
        for (step, (loss, gradient)) in [(4.0, 1.0), (f32::INFINITY, f32::NAN), (2.0, 1.0)].into_iter().enumerate() {
            assert_eq!(ear.0, []);
            ledger.note(step, Learner::Weights, outcome(loss, gradient, &mut scaler));
            ledger.end_step(step, &mut ear).unwrap();
        }
        let step = |step, loss, scale| Event::Step { epoch: 3, step, steps: 3, loss, loss_scale: Some(scale) };
        let skipped = Some(crate::optim::NonFinite::NotANumber);
        let scale = Event::LossScale { epoch: 3, step: 2, of: Learner::Weights, skipped, scale: 32768.0 };
        let expected = [step(1, 4.0, 65536.0), scale, step(2, f64::INFINITY, 32768.0), step(3, 2.0, 32768.0)];
        assert_eq!(ear.0, expected);
        let (scaling, gradients) = ledger.into_reports();
        assert_eq!(scaling.skipped_steps(), 1);
        // Gradients of 1 at the scales of their steps; the skipped step has none.
        let norms = [1.0 / 65536.0, 1.0 / 32768.0];
        let mean = (norms[0] + norms[1]) / 2.0;
        assert_eq!(gradients, [GradientReport { of: Learner::Weights, mean, greatest: norms[1] }]);
    }

    #[test]
    fn the_first_step_that_is_no_number_is_the_error() {
        let mut scaler = Scaler::new(Precision::Fp32, Device::Cpu);
        let mut ledger = Ledger::new(0, 9, &[], Device::Cuda(0));
        for (step, gradient) in [1.0, f32::NAN, f32::INFINITY].into_iter().enumerate() {
            ledger.note(step, Learner::Alphas, outcome(1.0, gradient, &mut scaler));
        }
        let error = ledger.read(&mut Ear(Vec::new())).unwrap_err().to_string();
        assert!(error.starts_with("epoch 0, step 1: the alphas' gradient's norm is NaN"), "{error}");
    }

    #[test]
    fn broken_steps_are_left_out_where_that_is_asked_for_up_to_a_bound() {
        let mut scaler = Scaler::new(Precision::Fp32, Device::Cpu);
        let mut ledger = Ledger::new(0, 99, &[], Device::Cpu).answering(OnNan::Skip);
        let mut ear = Ear(Vec::new());
        let mut step = |step, gradient| {
            ledger.note(step, Learner::Weights, outcome(1.0, gradient, &mut scaler));
            let ended = ledger.end_step(step, &mut ear);
            (ended, ledger.skipped_steps(), ledger.failed)
        };
        step(0, f32::NAN).0.unwrap();
        step(1, 1.0).0.unwrap();
        for number in 0..MOST_SKIPPED {
            step(2 + number, f32::INFINITY).0.unwrap();
        }
        let (ended, skipped, failed) = step(40, f32::NAN);
        assert!(ended.unwrap_err().to_string().starts_with("epoch 0, step 40: the gradient's norm is NaN"));
        assert_eq!((skipped, failed), (1 + MOST_SKIPPED, Some((40, Learner::Weights))));
        let what = "the gradient's norm is NaN".to_owned();
        assert_eq!(ear.0[0], Event::Skipped { epoch: 0, step: 1, what });
    }

    #[test]
    fn a_lost_scale_is_an_error() {
        let state = crate::optim::ScalerState { scale: 1e-4, clean_steps: 0, enabled: true };
        let mut scaler = Scaler::from_state(&state, Device::Cpu);
        let error = outcome(1.0, f32::INFINITY, &mut scaler).read().check("").unwrap_err();
        assert!(error.to_string().contains("the loss scale fell to nothing"), "{error}");
    }

    #[test]
    fn a_gradient_is_broken_where_its_norm_is_no_number() {
        let flag = |norm: f32| Skip::broken(&Tensor::from(norm)).flag.double_value(&[]);
        assert_eq!([1.0, 0.0, f32::MAX, f32::NAN, f32::INFINITY].map(flag), [0.0, 0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn an_epoch_that_stopped_and_went_on_reports_to_the_bit_what_the_uncut_one_does() {
        let steps = [(0.3, 0.1), (f32::INFINITY, f32::NAN), (0.7, 0.2), (0.9, f32::INFINITY), (0.4, 0.3)];
        let scaler_of = |state: &crate::optim::ScalerState| Scaler::from_state(state, Device::Cpu);
        let run = |ledger: &mut Ledger, scaler: &mut Scaler, range: std::ops::Range<usize>, ear: &mut Ear| {
            for step in range {
                let (loss, gradient) = steps[step];
                ledger.note(step, Learner::Weights, outcome(loss, gradient, scaler));
                ledger.end_step(step, ear).unwrap();
            }
        };
        let ledger = |scaler: &Scaler| Ledger::new(0, 5, &[(Learner::Weights, scaler)], Device::Cpu);
        let mut scaler = Scaler::new(Precision::Fp16, Device::Cpu);
        let (mut whole, mut ear) = (ledger(&scaler), Ear(Vec::new()));
        run(&mut whole, &mut scaler, 0..5, &mut ear);
        let (events, reports) = (ear.0, whole.into_reports());
        for at in 0..=5 {
            let mut scaler = Scaler::new(Precision::Fp16, Device::Cpu);
            let (mut half, mut ear) = (ledger(&scaler), Ear(Vec::new()));
            run(&mut half, &mut scaler, 0..at, &mut ear);
            let kept = serde_json::to_string(&half.watches).unwrap();
            let mut scaler = scaler_of(&scaler.state());
            let mut rest = ledger(&scaler);
            rest.watches = serde_json::from_str(&kept).unwrap();
            run(&mut rest, &mut scaler, at..5, &mut ear);
            assert_eq!(ear.0, events, "from step {at}");
            assert_eq!(rest.into_reports(), reports, "from step {at}");
        }
    }

    #[test]
    fn sums_of_parts_join() {
        let sums = |steps, sum, greatest| GradientSums { of: Learner::Alphas, steps, sum, greatest };
        let mut joined = sums(2, 0.75, 0.5);
        joined.join(&sums(3, 1.5, 0.25));
        assert_eq!(joined, sums(5, 2.25, 0.5));
    }
}

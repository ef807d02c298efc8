//! What loss scaling does in an epoch, told as events and summed up.

use crate::error::Result;
use crate::optim::{NonFinite, Scaler};
use crate::report::{Event, Learner, Observer, ScalingReport};
use serde::{Deserialize, Serialize};

/// Watches the scalers of an epoch that scale something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScaleWatch {
    reports: Vec<ScalingReport>,
}

impl ScaleWatch {
    /// Of an epoch that begins with these scalers.
    pub fn new(scalers: &[(Learner, &Scaler)]) -> Self {
        let enabled = scalers.iter().filter(|(_, scaler)| scaler.is_enabled());
        let report = |of, scaler: &Scaler| ScalingReport { of, scale: scaler.scale(), skipped_inf: 0, skipped_nan: 0 };
        Self { reports: enabled.map(|(of, scaler)| report(*of, scaler)).collect() }
    }

    /// Takes note of step `step` (from 1), after which the scale is `scale` and which was skipped where `skipped` says
    /// why, and tells the observer where the scale moved.
    ///
    /// # Errors
    /// The observer's.
    pub fn note(
        &mut self,
        of: Learner,
        scale: f64,
        skipped: Option<NonFinite>,
        (epoch, step): (usize, usize),
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let Some(report) = self.reports.iter_mut().find(|report| report.of == of) else { return Ok(()) };
        let moves = skipped.is_some() || report.scale != scale;
        report.join(&ScalingReport {
            of,
            scale,
            skipped_inf: usize::from(skipped == Some(NonFinite::Infinite)),
            skipped_nan: usize::from(skipped == Some(NonFinite::NotANumber)),
        });
        if moves { observer.observe(&Event::LossScale { epoch, step, of, skipped, scale }) } else { Ok(()) }
    }

    /// The scale of the weights' loss, where it is scaled.
    pub fn of_weights(&self) -> Option<f64> {
        self.reports.iter().find(|report| report.of == Learner::Weights).map(|report| report.scale)
    }

    /// The steps that were skipped.
    pub fn skipped_steps(&self) -> usize {
        self.reports.iter().map(|report| report.skipped_inf + report.skipped_nan).sum()
    }

    /// The epoch's sums.
    pub fn into_reports(self) -> Vec<ScalingReport> {
        self.reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Ear;
    use crate::tensor::precision::Precision;
    use tch::{Device, Tensor};

    #[test]
    fn what_moves_a_scale_is_an_event_and_a_sum() {
        let mut scalers = [(); 2].map(|()| Scaler::new(Precision::Fp16, Device::Cpu));
        let [weights, alphas] = &scalers;
        let mut watch = ScaleWatch::new(&[(Learner::Weights, weights), (Learner::Alphas, alphas)]);
        let mut ear = Ear(Vec::new());
        let series = [(0, Learner::Weights, 1.0), (0, Learner::Weights, f32::INFINITY), (1, Learner::Alphas, f32::NAN)];
        for (step, (which, of, value)) in series.into_iter().enumerate() {
            scalers[which].unscale(&mut Tensor::from_slice(&[value]));
            let skipped = (!value.is_finite()).then(|| NonFinite::of_norm(value.into()));
            watch.note(of, scalers[which].scale(), skipped, (4, step + 1), &mut ear).unwrap();
        }
        let event = |step, of, skipped| Event::LossScale { epoch: 4, step, of, skipped: Some(skipped), scale: 32768.0 };
        let expected =
            [event(2, Learner::Weights, NonFinite::Infinite), event(3, Learner::Alphas, NonFinite::NotANumber)];
        assert_eq!(ear.0, expected);
        assert_eq!((watch.of_weights(), watch.skipped_steps()), (Some(32768.0), 2));
        let report = |of, skipped_inf, skipped_nan| ScalingReport { of, scale: 32768.0, skipped_inf, skipped_nan };
        assert_eq!(watch.into_reports(), [report(Learner::Weights, 1, 0), report(Learner::Alphas, 0, 1)]);
    }

    #[test]
    fn growth_is_an_event_too() {
        let mut scaler = Scaler::new(Precision::Fp16, Device::Cpu);
        let mut watch = ScaleWatch::new(&[(Learner::Weights, &scaler)]);
        let mut ear = Ear(Vec::new());
        for step in 1..=2001 {
            scaler.unscale(&mut Tensor::from_slice(&[1.0_f32]));
            watch.note(Learner::Weights, scaler.scale(), None, (0, step), &mut ear).unwrap();
        }
        let grown = Event::LossScale { epoch: 0, step: 2000, of: Learner::Weights, skipped: None, scale: 131_072.0 };
        assert_eq!(ear.0, [grown]);
    }

    #[test]
    fn without_scaling_there_is_nothing_to_tell() {
        let scaler = Scaler::new(Precision::Bf16, Device::Cpu);
        let watch = ScaleWatch::new(&[(Learner::Weights, &scaler)]);
        assert_eq!((watch.of_weights(), watch.skipped_steps()), (None, 0));
        assert!(watch.into_reports().is_empty());
    }
}

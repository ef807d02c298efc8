//! The learning rate over epochs.

use crate::optim::WeightConfig;

/// The cosine schedule: rate of `epoch` (from 0) in a run of `epochs` epochs.
pub fn learning_rate(config: &WeightConfig, epoch: usize, epochs: usize) -> f64 {
    let progress = (epoch + config.schedule_offset) as f64 / epochs as f64;
    let cosine = (std::f64::consts::PI * progress).cos();
    let span = config.learning_rate - config.minimum_learning_rate;
    config.minimum_learning_rate + span * (1.0 + cosine) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_starts_at_the_rate_and_ends_at_the_minimum() {
        let config = WeightConfig { learning_rate: 0.1, minimum_learning_rate: 0.001, ..WeightConfig::default() };
        assert_eq!(learning_rate(&config, 0, 400), 0.1);
        assert!((learning_rate(&config, 200, 400) - 0.0505).abs() < 1e-12);
        assert!((learning_rate(&config, 400, 400) - 0.001).abs() < 1e-12);
    }

    #[test]
    fn an_offset_of_one_epoch_ends_the_last_epoch_at_the_minimum() {
        let config = WeightConfig { schedule_offset: 1, minimum_learning_rate: 0.0, ..WeightConfig::default() };
        assert!(learning_rate(&config, 599, 600).abs() < 1e-12);
    }
}

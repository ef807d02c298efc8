//! The learning rate over epochs.

use crate::optim::{Schedule, WeightConfig};

/// Epochs at the end of the linear schedule with the gentler slope.
const TAIL: usize = 5;

/// The rate of `epoch` (from 0) in a run of `epochs` epochs (docs/method.md, "Recipes of the training").
pub fn learning_rate(config: &WeightConfig, epoch: usize, epochs: usize) -> f64 {
    let rate = match config.schedule {
        Schedule::Cosine => cosine(config, epoch, epochs),
        Schedule::Linear => config.learning_rate * linear(epoch, epochs),
        Schedule::Step => config.learning_rate * config.gamma.powf((epoch / config.step_size) as f64),
    };
    if epoch < config.warmup_epochs { rate * (epoch + 1) as f64 / config.warmup_epochs as f64 } else { rate }
}

fn cosine(config: &WeightConfig, epoch: usize, epochs: usize) -> f64 {
    let progress = (epoch + config.schedule_offset) as f64 / epochs as f64;
    let cosine = (std::f64::consts::PI * progress).cos();
    let span = config.learning_rate - config.minimum_learning_rate;
    config.minimum_learning_rate + span * (1.0 + cosine) / 2.0
}

/// The share of the first rate; a run too short for a tail has none.
fn linear(epoch: usize, epochs: usize) -> f64 {
    let tail = if epochs > 2 * TAIL { TAIL } else { 0 };
    let steep = epochs - tail;
    if epoch < steep { (steep - epoch) as f64 / steep as f64 } else { (epochs - epoch) as f64 / (steep * tail) as f64 }
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

    #[test]
    fn the_line_is_that_of_the_published_script() {
        let config = WeightConfig { schedule: Schedule::Linear, learning_rate: 0.5, ..WeightConfig::default() };
        let rate = |epoch| learning_rate(&config, epoch, 250);
        assert_eq!((rate(0), rate(49)), (0.5, 0.5 * 196.0 / 245.0));
        // r(245 - e)/245 until epoch 244, then r(250 - e)/1225.
        assert!((rate(244) - 0.5 / 245.0).abs() < 1e-15 && (rate(245) - 0.5 * 5.0 / 1225.0).abs() < 1e-15);
        assert!((rate(249) - 0.5 / 1225.0).abs() < 1e-15);
        // A short run falls evenly and never to 0.
        let short: Vec<f64> = (0..4).map(|epoch| learning_rate(&config, epoch, 4)).collect();
        assert_eq!(short, [0.5, 0.375, 0.25, 0.125]);
    }

    #[test]
    fn the_rate_halves_every_twenty_epochs() {
        let config = WeightConfig { schedule: Schedule::Step, learning_rate: 1e-3, ..WeightConfig::default() };
        let rates = [0, 19, 20, 40, 100].map(|epoch| learning_rate(&config, epoch, 101));
        assert_eq!(rates, [1e-3, 1e-3, 5e-4, 2.5e-4, 1e-3 / 32.0]);
    }

    #[test]
    fn the_rate_rises_over_the_first_epochs() {
        let config = WeightConfig {
            schedule: Schedule::Linear,
            learning_rate: 0.5,
            warmup_epochs: 5,
            ..WeightConfig::default()
        };
        let rate = |epoch| learning_rate(&config, epoch, 250);
        assert_eq!(rate(0), 0.5 / 5.0);
        assert!((rate(3) - 0.5 * (242.0 / 245.0) * 4.0 / 5.0).abs() < 1e-15);
        assert_eq!(rate(5), 0.5 * 240.0 / 245.0);
    }
}

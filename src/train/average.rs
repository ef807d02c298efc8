//! An average of the weights over the steps: what is scored and kept in place of the weights that the last step left
//! (docs/method.md, "Recipes of the training").

use crate::tensor::parameters::Parameters;
use tch::{Tensor, no_grad};

/// Of all weights of a network, (N), as one flat tensor: ā ← d·ā + (1 − d)·w after every step, d at most `decay`.
pub(super) struct Average {
    decay: f64,
    weights: Tensor,
}

impl Average {
    /// Of a network that has made no step.
    pub(super) fn new(decay: f64, parameters: &Parameters) -> Self {
        Self { decay, weights: no_grad(|| parameters.flat().copy()) }
    }

    /// The decay of step `step`, from 1: early on the first weights are forgotten soon.
    fn decay(&self, step: i64) -> f64 {
        let step = step as f64;
        self.decay.min((1.0 + step) / (10.0 + step))
    }

    /// Takes the weights into account that step `step`, from 1, left.
    pub(super) fn follow(&mut self, parameters: &Parameters, step: i64) {
        let share = 1.0 - self.decay(step);
        no_grad(|| {
            let _ = self.weights.lerp_(parameters.flat(), share);
        });
    }

    /// The average takes the place of the weights, and the weights that of the average.
    pub(super) fn exchange(&mut self, parameters: &Parameters) {
        no_grad(|| {
            let mut flat = parameters.flat().shallow_clone();
            let weights = flat.copy();
            flat.copy_(&self.weights);
            self.weights.copy_(&weights);
        });
    }

    /// The state by name, flat.
    pub(super) fn state(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("weights", &self.weights)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::init::Init;
    use crate::tensor::parameters::Store;
    use tch::Device;

    #[test]
    fn it_is_the_recurrence_and_changes_places_with_the_weights() {
        let store = Store::new(Device::Cpu);
        let weight = store.root().weight("weight", &[2], Init::Ones);
        let (parameters, _) = store.finish();
        let mut average = Average::new(0.5, &parameters);
        let mut expected = 1.0;
        for step in 1..20 {
            let value = f64::from(step as i32);
            no_grad(|| drop(parameters.flat().shallow_clone().fill_(value)));
            average.follow(&parameters, step);
            let decay = f64::min(0.5, (1.0 + value) / (10.0 + value));
            expected = decay * expected + (1.0 - decay) * value;
        }
        average.exchange(&parameters);
        assert!((weight.double_value(&[1]) - expected).abs() < 1e-5);
        average.exchange(&parameters);
        assert_eq!(weight.double_value(&[1]), 19.0);
    }
}

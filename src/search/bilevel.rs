//! One bilevel step of first order (REFERENCE section 3): the open alphas learn from a batch of their own data,
//! then the weights from a training batch.
//!
//! The alphas' forward pass runs in training mode, as the reference's does, so it also moves the running
//! statistics; they touch nothing but the search's validation score.

use crate::batch::Batch;
use crate::error::Result;
use crate::model::{self, Learn, SearchModel, Shrunk};
use crate::ops::Mode;
use crate::optim::{Adam, AlphaConfig, Scaler, Verdict, WeightConfig};
use crate::step::{StepOutcome, WeightStep, finite};
use crate::task::Task;
use crate::tensor::precision::Precision;

/// The two optimizers of a search.
pub struct Bilevel {
    /// Steps of the weights.
    pub weights: WeightStep,
    /// Adam on the open alphas.
    pub adam: Adam,
    /// Loss scaling of the alphas' backward pass.
    pub alpha_scaler: Scaler,
    alpha_rate: f64,
    task: Task,
}

impl Bilevel {
    /// As the sections `[weights]` and `[alphas]` say.
    pub fn new(
        model: &dyn SearchModel,
        task: Task,
        weights: &WeightConfig,
        alphas: &AlphaConfig,
        precision: Precision,
    ) -> Self {
        Self {
            weights: WeightStep::new(model, weights, precision, 0.0),
            adam: Adam::new(model.alphas().open().flat(), alphas.adam()),
            alpha_scaler: Scaler::new(precision),
            alpha_rate: alphas.learning_rate,
            task,
        }
    }

    /// Trains the open alphas on one batch; nothing happens when none is open.
    ///
    /// # Errors
    /// A gradient that is not a number.
    pub fn step_alphas(&mut self, model: &mut dyn SearchModel, batch: &Batch) -> Result<()> {
        if model.alphas().open().count() == 0 {
            return Ok(());
        }
        model.learn(Learn::Alphas);
        let output = model::forward(model, batch, Mode::TRAINING, self.weights.precision)?;
        let loss = self.task.loss(&output.logits, batch.target());
        let open = model.alphas().open();
        let mut gradient = open.gradient(&self.alpha_scaler.scaled(&loss));
        if self.alpha_scaler.unscale(&mut gradient) == Verdict::Finite {
            finite("sum of the alphas' gradient", gradient.sum(tch::Kind::Double).double_value(&[]))?;
            self.adam.step(open.flat(), gradient, self.alpha_rate);
        }
        Ok(())
    }

    /// Trains the weights on one batch.
    ///
    /// # Errors
    /// A loss that is not a number.
    pub fn step_weights(
        &mut self,
        model: &mut dyn SearchModel,
        batch: &Batch,
        learning_rate: f64,
    ) -> Result<StepOutcome> {
        model.learn(Learn::Weights);
        self.weights.run(model, self.task, batch, Mode::TRAINING, learning_rate)
    }

    /// Follows the supernet when a decision made it smaller.
    pub fn shrink(&mut self, shrunk: &Shrunk) {
        self.weights.optimizer.retain(&shrunk.weights);
        self.adam.retain(&shrunk.alphas);
    }
}

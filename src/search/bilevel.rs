//! One bilevel step (docs/method.md, "The search"): the open alphas learn from a batch of their own data, then the
//! weights from a training batch. Their gradient is that of first order, or the one in [`second_order`].
//!
//! The alphas' forward pass runs in training mode, as the reference's does, so it also moves the running
//! statistics; they touch nothing but the search's validation score.

use crate::batch::Batch;
use crate::error::Result;
use crate::model::{self, Learn, SearchModel, Shrunk};
use crate::ops::Mode;
use crate::optim::{Adam, AlphaConfig, Scaler, WeightConfig, clip};
use crate::report::Learner;
use crate::search::AlphaOrder;
use crate::search::freezing::Freezing;
use crate::search::second_order::{self, Ahead};
use crate::search::strategy::{Penalty, penalised};
use crate::step::{Checked, LossConfig, Outcome, Pass, Recorder, Statistics, StepOutcome, WeightStep, shared};
use crate::task::Task;
use crate::tensor::parameters::Parameters;
use crate::tensor::precision::Precision;
use crate::tensor::random::Key;
use tch::Tensor;

/// The two optimizers of a search.
pub struct Bilevel {
    /// Steps of the weights.
    pub weights: WeightStep,
    /// Adam on the open alphas.
    pub adam: Adam,
    /// Loss scaling of the alphas' backward pass.
    pub alpha_scaler: Scaler,
    alpha_rate: f64,
    order: AlphaOrder,
    task: Task,
    recorder: Recorder,
    penalty: Option<Penalty>,
    freezing: Option<Freezing>,
    /// The weights' flat gradient in the last step of the alphas, where operations may freeze.
    validation: Option<Tensor>,
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
            weights: WeightStep::new(model, weights, precision, LossConfig::default()),
            adam: Adam::new(model.alphas().open().flat(), alphas.adam()),
            alpha_scaler: Scaler::new(precision, model.alphas().open().flat().device()),
            alpha_rate: alphas.learning_rate,
            order: AlphaOrder::First,
            task,
            recorder: Recorder::default(),
            penalty: None,
            freezing: None,
            validation: None,
        }
    }

    /// The same with the alphas' gradient of this order.
    #[must_use]
    pub fn of_order(self, order: AlphaOrder) -> Self {
        Self { order, ..self }
    }

    /// The same that descends this loss.
    #[must_use]
    pub fn descending(mut self, loss: LossConfig) -> Self {
        self.weights.loss = loss;
        self
    }

    /// The same whose operations freeze where their gradients on the two batches of a step have little in common.
    #[must_use]
    pub fn freezing(mut self, freezing: Option<Freezing>) -> Self {
        self.weights.tells_gradient = freezing.is_some();
        Self { freezing, ..self }
    }

    /// What is frozen, where something may.
    pub fn frozen(&self) -> Option<&Freezing> {
        self.freezing.as_ref()
    }

    /// The same, to bring it to the state of a checkpoint.
    pub fn frozen_mut(&mut self) -> Option<&mut Freezing> {
        self.freezing.as_mut()
    }

    /// The losses that may be scaled; the gradient of second order is computed in fp32.
    pub fn scalers(&self) -> Vec<(Learner, &Scaler)> {
        let mut scalers = vec![(Learner::Weights, &self.weights.scaler)];
        if self.order == AlphaOrder::First {
            scalers.push((Learner::Alphas, &self.alpha_scaler));
        }
        scalers
    }

    /// Trains the open alphas on one batch; nothing happens when none is open. A gradient that is not finite moves
    /// nothing, as in a step of the weights.
    ///
    /// # Errors
    /// Where the device does not have the precision; a process that can't be reached.
    pub fn step_alphas(
        &mut self,
        model: &mut dyn SearchModel,
        batch: &Batch,
        ahead: &Ahead<'_>,
    ) -> Result<Option<Outcome>> {
        if model.alphas().open().count() == 0 {
            return Ok(None);
        }
        let measure = |gradient: &mut Tensor| clip(gradient, 0.0);
        let before = Statistics::before(model, self.weights.on_nan);
        let (loss, gradient, mut checked) = match self.order {
            AlphaOrder::First => {
                let (loss, gradient) = self.first_order(model, batch, ahead.key)?;
                let (mut gradient, loss) = self.weights.processes.mean_of_step(gradient, loss)?;
                if self.freezing.is_some() {
                    let of_alphas = model.alphas().open().flat().size()[0];
                    let of_weights = gradient.size()[0] - of_alphas;
                    self.validation = Some(gradient.narrow(0, of_alphas, of_weights).copy());
                    gradient = gradient.narrow(0, 0, of_alphas).copy();
                }
                let checked = Checked::new(&mut self.alpha_scaler, &mut gradient, measure);
                (loss, gradient, checked)
            }
            AlphaOrder::Second => {
                let (loss, mut gradient, direction) =
                    second_order::gradient(model, self.task, self.penalty.as_ref(), &self.weights, batch, ahead)?;
                let checked = Checked::unscaled(&mut gradient, measure);
                self.validation = self.freezing.is_some().then_some(direction);
                (loss, gradient, checked)
            }
        };
        before.undo_where_skipped(model, &loss, &mut checked);
        self.adam.step(model.alphas().open().flat(), gradient, self.alpha_rate, Some(&checked.skip));
        Ok(Some(Outcome::new(&loss, checked)))
    }

    /// The loss, and its flat gradient times the loss scale, at the weights as they are; where operations may freeze, the
    /// weights' gradient stands behind the alphas'.
    fn first_order(&mut self, model: &mut dyn SearchModel, batch: &Batch, key: Key) -> Result<(Tensor, Tensor)> {
        let both = self.freezing.is_some();
        model.learn(if both { Learn::Both } else { Learn::Alphas });
        key.seed_torch();
        let model = &*model;
        let share = self.weights.processes.weight_of(|| self.weights.loss.counted(self.task, batch))?;
        let Self { recorder, weights, task, alpha_scaler, penalty, .. } = self;
        let open = model.alphas().open();
        let pass = |batch: &Batch| {
            let output = model::forward(model, batch, Mode::TRAINING, weights.precision)?;
            let loss = shared(weights.loss.loss(*task, &output.logits, batch.target()), share.as_ref());
            let loss = penalised(loss, penalty.as_ref(), model.alphas());
            let scaled = alpha_scaler.scaled(&loss);
            let gradient = if both {
                // The alphas' gradient, and behind it the weights'.
                Tensor::cat(&Parameters::gradients(&scaled, [open, &model.weights().parameters]), 0)
            } else {
                open.gradient(&scaled)
            };
            Ok(Pass { logits: output.logits.detach(), loss: loss.detach(), gradient })
        };
        let Pass { loss, gradient, .. } = recorder.run(model, open.flat(), batch, Mode::TRAINING, pass)?;
        Ok((loss, gradient))
    }

    /// Trains the weights on one batch.
    ///
    /// # Errors
    /// Where the device does not have the precision.
    pub fn step_weights(
        &mut self,
        model: &mut dyn SearchModel,
        batch: &Batch,
        learning_rate: f64,
    ) -> Result<StepOutcome> {
        model.learn(Learn::Weights);
        if let Some(freezing) = &mut self.freezing {
            self.weights.frozen = freezing.mask(model);
        }
        let outcome = self.weights.run(model, self.task, batch, Mode::TRAINING, learning_rate)?;
        if let (Some(freezing), Some(validation), Some(training)) =
            (&mut self.freezing, self.validation.take(), &outcome.gradient)
        {
            freezing.observe(model, training, &validation);
        }
        Ok(outcome)
    }

    /// Follows the supernet when a decision made it smaller.
    pub fn shrink(&mut self, shrunk: &Shrunk) {
        self.weights.optimizer.retain(&shrunk.weights);
        self.adam.retain(&shrunk.alphas);
        self.forget_passes();
    }

    /// Adds this, and nothing else, to the alphas' loss from now on.
    pub fn set_penalty(&mut self, penalty: Option<Penalty>) {
        if self.penalty.is_some() || penalty.is_some() {
            self.penalty = penalty;
            self.forget_passes();
        }
    }

    /// Records passes anew, because something in them is another now.
    pub fn forget_passes(&mut self) {
        self.recorder.forget();
        self.weights.recorder.forget();
    }
}

#[cfg(test)]
mod tests;

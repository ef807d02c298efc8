//! The alphas' gradient of second order (Liu, Simonyan and Yang 2019, equations 6 to 8; docs/method.md, "The search"):
//! of the validation loss at the weights that one more step of SGD would give, whose dependence on the alphas counts.
//!
//! With w' = w − η·(momentum·buffer + ∇w L_train(w, α) + decay·w) the gradient is ∇α L_val(w', α) −
//! η·∇²αw L_train(w, α)·v, v = ∇w' L_val(w', α). The product with the second derivative is a central difference: of
//! ∇α L_train at w ± ε·v, ε = 0.01/‖v‖. All of it is computed on the one flat tensor of weights, which comes back to
//! the bit, and in fp32: the difference would be noise in half precision. Every pass draws the same dropout, or the
//! difference would be between two networks.

use crate::batch::Batch;
use crate::error::Result;
use crate::model::{Learn, SearchModel};
use crate::ops::Mode;
use crate::search::strategy::{Penalty, penalised};
use crate::step::{WeightStep, shared};
use crate::task::Task;
use crate::tensor::parameters::Parameters;
use crate::tensor::precision::at_least_single;
use crate::tensor::random::Key;
use tch::{Kind, Tensor, no_grad};

/// ε·‖v‖.
const DIFFERENCE: f64 = 0.01;

/// The step of the weights that follows the alphas' step.
#[derive(Debug, Clone, Copy)]
pub struct Ahead<'a> {
    /// Its batch.
    pub batch: &'a Batch,
    /// Its learning rate η.
    pub learning_rate: f64,
    /// Of all that is random in the alphas' step.
    pub key: Key,
}

/// The loss of `batch` at w', with what a strategy adds to it, the open alphas' flat gradient of it, and the weights' at w'. Running statistics move as in the published
/// code: by the passes over the training batch, not by the one at w'. Nothing waits for the device, but for other
/// processes where they share the step.
///
/// # Errors
/// A process that can't be reached.
pub fn gradient(
    model: &mut dyn SearchModel,
    task: Task,
    penalty: Option<&Penalty>,
    weights: &WeightStep,
    batch: &Batch,
    ahead: &Ahead<'_>,
) -> Result<(Tensor, Tensor, Tensor)> {
    let processes = &weights.processes;
    let share = |batch: &Batch| processes.weight_of(|| weights.loss.counted(task, batch));
    let (own, of_training) = (share(batch)?, share(ahead.batch)?);
    let loss = |model: &dyn SearchModel, batch: &Batch, share: Option<&Tensor>| {
        ahead.key.seed_torch();
        shared(weights.loss.loss(task, &model.forward(batch, Mode::TRAINING).logits, batch.target()), share)
    };
    let saved = model.weights().parameters.flat().copy();
    model.learn(Learn::Weights);
    let mut descent = model.weights().parameters.gradient(&loss(model, ahead.batch, of_training.as_ref()));
    processes.mean(&mut descent)?;
    weights.optimizer.look_ahead(model.weights().parameters.flat(), descent, ahead.learning_rate);
    let statistics = model.weights().buffers.copies();
    model.learn(Learn::Both);
    let tables = [&model.weights().parameters, model.alphas().open()];
    let validation = penalised(loss(model, batch, own.as_ref()), penalty, model.alphas());
    let [mut direction, gradient] = Parameters::gradients(&validation, tables);
    processes.mean(&mut direction)?;
    model.weights().buffers.restore(&statistics);
    model.learn(Learn::Alphas);
    // In fp64 as everything that a step multiplies by; 0 where there is no direction, so that nothing is NaN.
    let size = direction.norm_scalaropt_dtype(2, at_least_single(direction.kind())).to_kind(Kind::Double);
    let epsilon = (size.full_like(DIFFERENCE) / &size).masked_fill(&size.eq(0.0), 0.0);
    let beside = |step: &Tensor| {
        set(&model.weights().parameters, &saved);
        move_along(&model.weights().parameters, &direction, step);
        model.alphas().open().gradient(&loss(model, ahead.batch, of_training.as_ref()))
    };
    let factor = (size.full_like(ahead.learning_rate) / (&epsilon * 2.0)).masked_fill(&size.eq(0.0), 0.0);
    let difference = beside(&epsilon) - beside(&epsilon.neg());
    let gradient = gradient - difference * factor.to_kind(at_least_single(direction.kind()));
    set(&model.weights().parameters, &saved);
    let (gradient, validation) = processes.mean_of_step(gradient, validation)?;
    Ok((validation, gradient, direction))
}

/// Adds `step`, 0-dimensional, times `direction` to the flat weights, in place.
fn move_along(parameters: &Parameters, direction: &Tensor, step: &Tensor) {
    let step = step.to_kind(at_least_single(direction.kind()));
    let _ = no_grad(|| parameters.flat().shallow_clone().addcmul_(direction, &step));
}

/// Overwrites the flat weights.
fn set(parameters: &Parameters, values: &Tensor) {
    no_grad(|| parameters.flat().shallow_clone().copy_(values));
}

//! A search as a checkpoint, and back: weights, alphas, both optimizers, decisions, counters, and its position.

use crate::checkpoint::Checkpoint;
use crate::decision::EdgeState;
use crate::error::{Error, Result};
use crate::model::Shrunk;
use crate::optim::{Scaler, ScalerState};
use crate::search::Search;
use crate::search::freezing::Freezing;
use crate::search::search_loop::Decided;
use crate::step::Position;
use crate::topology::CellKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// What is not a tensor.
#[derive(Serialize, Deserialize)]
struct Counters {
    strategy: Value,
    states: Vec<(CellKind, Vec<EdgeState>)>,
    /// Primitives that edges lost, as (edge, primitive).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<(CellKind, Vec<(usize, usize)>)>,
    /// The epochs that decided; absent where version 0.1.0 kept their number with the strategy.
    #[serde(default)]
    deciding_epochs: Option<Vec<usize>>,
    /// Steps to train before the strategy is shown one again.
    #[serde(default)]
    wait: usize,
    /// How often a batch was taken back to what it was before it grew.
    #[serde(default, skip_serializing_if = "is_zero")]
    growths_taken_back: usize,
    /// Similarities of operations, where these may freeze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    freezing: Option<Value>,
    optimizer_steps: i64,
    adam_steps: i64,
    weight_scaler: ScalerState,
    alpha_scaler: ScalerState,
}

/// Left out of a checkpoint.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The whole state.
pub fn save(search: &Search<'_>) -> Checkpoint {
    let bilevel = &search.bilevel;
    let alphas = search.model.alphas();
    let counters = Counters {
        strategy: search.strategy.state(),
        states: search.decided.states.iter().map(|(kind, states)| (*kind, states.clone())).collect(),
        dropped: alphas
            .kinds()
            .into_iter()
            .map(|kind| (kind, alphas.dropped(kind)))
            .filter(|(_, dropped)| !dropped.is_empty())
            .collect(),
        deciding_epochs: Some(search.decided.epochs.clone()),
        wait: search.decided.wait,
        growths_taken_back: search.decided.growths_taken_back,
        freezing: bilevel.frozen().map(Freezing::state),
        optimizer_steps: bilevel.weights.optimizer.steps(),
        adam_steps: bilevel.adam.steps(),
        weight_scaler: bilevel.weights.scaler.state(),
        alpha_scaler: bilevel.alpha_scaler.state(),
    };
    let state = serde_json::to_value(counters).expect("counters are plain data");
    let mut checkpoint = Checkpoint { tensors: BTreeMap::new(), state };
    checkpoint.add("weights.", search.model.weights().iter());
    for kind in alphas.kinds() {
        checkpoint.tensors.insert(format!("alphas.{kind}"), Tensor::stack(alphas.rows(kind), 0).detach());
        if let Some(weights) = alphas.edge_weights(kind) {
            checkpoint.tensors.insert(format!("edge_weights.{kind}"), Tensor::cat(weights, 0).detach());
        }
    }
    checkpoint.add("optimizer.", bilevel.weights.optimizer.state());
    checkpoint.add("adam.", bilevel.adam.state());
    search.position.keep_in(&mut checkpoint);
    checkpoint
}

/// Brings a search that has not begun to the state of a checkpoint.
///
/// # Errors
/// A checkpoint of another search, with `origin` (the file) as its place.
pub fn restore(search: &mut Search<'_>, checkpoint: &Checkpoint, origin: &str) -> Result<()> {
    let counters: Counters = serde_json::from_value(checkpoint.state.clone())
        .map_err(|error| Error::invalid(origin, "the state of a search", error.to_string()))?;
    let position = Position::kept_in(checkpoint, search.settings.task, origin)?;
    restore_decisions(search, &counters);
    search.strategy.restore(counters.strategy)?;
    search.model.weights_mut().load(&checkpoint.below("weights."), origin)?;
    for kind in search.model.alphas().kinds() {
        let table = checkpoint.tensor(&format!("alphas.{kind}"), origin)?;
        let rows = table.to_kind(Kind::Double).unbind(0);
        let values = rows.iter().map(|row| Vec::try_from(row).expect("rows are fp64 here")).collect::<Vec<_>>();
        search.model.alphas_mut().set_values(kind, &values);
        if search.model.alphas().edge_weights(kind).is_some() {
            let weights = checkpoint.tensor(&format!("edge_weights.{kind}"), origin)?.to_kind(Kind::Double);
            let weights = Vec::<f64>::try_from(weights)
                .map_err(|error| Error::invalid(origin, "weights of edges", error.to_string()))?;
            search.model.alphas_mut().set_edge_weights(kind, &weights);
        }
    }
    let bilevel = &mut search.bilevel;
    if let (Some(freezing), Some(state)) = (bilevel.frozen_mut(), &counters.freezing) {
        freezing.restore(state, origin)?;
    }
    checkpoint.copy_into(&bilevel.weights.optimizer.state(), "optimizer.", origin)?;
    checkpoint.copy_into(&bilevel.adam.state(), "adam.", origin)?;
    bilevel.weights.optimizer.set_steps(counters.optimizer_steps);
    bilevel.adam.set_steps(counters.adam_steps);
    let scaler = |state: &ScalerState| Scaler::from_state(state, search.settings.device);
    bilevel.weights.scaler = scaler(&counters.weight_scaler);
    bilevel.alpha_scaler = scaler(&counters.alpha_scaler);
    search.position = position;
    Ok(())
}

/// Takes what was decided and removed out of a fresh supernet.
fn restore_decisions(search: &mut Search<'_>, counters: &Counters) {
    let shrink = |search: &mut Search<'_>, shrunk: Shrunk| search.bilevel.shrink(&shrunk);
    for (kind, dropped) in &counters.dropped {
        for (edge, primitive) in dropped {
            let shrunk = search.model.drop_primitive(*kind, *edge, *primitive);
            shrink(search, shrunk);
        }
    }
    for (kind, states) in &counters.states {
        for (edge, state) in states.iter().enumerate() {
            let shrunk = match *state {
                EdgeState::Open => continue,
                EdgeState::Pruned => search.model.prune(*kind, edge),
                EdgeState::Fixed(primitive) => search.model.fix(*kind, edge, primitive),
            };
            shrink(search, shrunk);
        }
    }
    let kept_with_strategy = counters.strategy["deciding_epochs"].as_u64().unwrap_or_default() as usize;
    let epochs = counters.deciding_epochs.clone().unwrap_or_else(|| (0..kept_with_strategy).collect());
    search.decided = Decided {
        states: counters.states.iter().cloned().collect(),
        epochs,
        wait: counters.wait,
        growths_taken_back: counters.growths_taken_back,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::DecisionConfig;
    use crate::dist::Processes;
    use crate::genotype::SpaceName;
    use crate::model::{self, ModelConfig, NetworkSpec};
    use crate::optim::{AlphaConfig, WeightConfig};
    use crate::search::{SearchConfig, SearchSettings};
    use crate::step::OnNan;
    use crate::task::Task;
    use crate::tensor::precision::Precision;
    use tch::Device;

    #[test]
    fn both_loss_scales_and_their_clean_steps_are_kept() {
        let spec = NetworkSpec { model: ModelConfig { channels: 4, cells: 1 }, ..NetworkSpec::default() };
        let settings = SearchSettings {
            task_name: "points".to_owned(),
            task: Task::Classify { classes: 2 },
            objective: None,
            class_weights: None,
            seed: 1,
            search: SearchConfig::default(),
            limits: None,
            weights: WeightConfig::default(),
            alphas: AlphaConfig::default(),
            precision: Precision::Fp16,
            device: Device::Cpu,
            processes: Processes::alone(),
            sync_batch_norm: false,
            on_nan: OnNan::Stop,
        };
        let space = SpaceName::POINT;
        let model = || model::supernet(space, &spec, 1e-3, 1, Device::Cpu);
        let decisions = || settings.search.strategy.strategy(space, DecisionConfig::default());
        let (mut one, mut deciding) = (model(), decisions());
        let mut search = Search::new(&settings, &mut *one, &mut *deciding);
        let step = |scaler: &mut Scaler, values: &[f32]| {
            for value in values {
                scaler.unscale(&mut Tensor::from_slice(&[*value]));
            }
        };
        step(&mut search.bilevel.weights.scaler, &[f32::INFINITY, 1.0, 1.0, 1.0]);
        step(&mut search.bilevel.alpha_scaler, &[f32::NAN, f32::NAN, 1.0]);
        let checkpoint = save(&search);
        let (mut other, mut deciding) = (model(), decisions());
        let mut resumed = Search::new(&settings, &mut *other, &mut *deciding);
        restore(&mut resumed, &checkpoint, "checkpoint").unwrap();
        let kept = |scaler: &Scaler| (scaler.state().scale, scaler.state().clean_steps);
        assert_eq!(kept(&resumed.bilevel.weights.scaler), (32768.0, 3));
        assert_eq!(kept(&resumed.bilevel.alpha_scaler), (16384.0, 1));
    }
}

//! `sage` (Hamilton et al. 2017, max aggregation) and `rel_sage`, which aggregates relative features.

use crate::ops::{Input, Map, Mode, Operation, State};
use crate::tensor::bridge::gather::OwnPoint;
use crate::tensor::layers::{Linear, relu_unit_length};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// What a neighbour sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    /// x_j (`sage`).
    Absolute,
    /// x_j - x_i (`rel_sage`).
    Relative,
}

/// y_i = relu(W·[x_i, m_i]) brought to length 1, m_i = max over j of relu(V·message), the point itself
/// included. The maximum stands before ReLU, which keeps order, and before subtracting V·x_i.
pub struct Sage {
    messages: Messages,
    message_map: Linear,
    output_map: Linear,
}

impl Sage {
    /// At `path` (`pre_nn.body.0`, `nn.body.0`).
    pub fn new(path: &Path, channels: i64, messages: Messages) -> Self {
        let output_map = Linear::new(&path.sub("nn").sub("body").sub(0), 2 * channels, channels, false);
        let message_map = Linear::new(&path.sub("pre_nn").sub("body").sub(0), channels, channels, false);
        Self { messages, message_map, output_map }
    }
}

impl Operation<Neighbours> for Sage {
    fn forward(&self, state: &State, neighbours: &Neighbours, _: Mode) -> Tensor {
        let mapped = state.map(&self.message_map, &state.read());
        let maximum = neighbours.maximum(&mapped, OwnPoint::Kept);
        let aggregated = match self.messages {
            Messages::Absolute => maximum,
            Messages::Relative => maximum - mapped,
        };
        relu_unit_length(&self.output_map.forward_pair(&state.read(), &aggregated.relu()))
    }

    fn maps(&self) -> Vec<Map<'_>> {
        vec![Map::plain(Input::Features, &self.message_map)]
    }
}

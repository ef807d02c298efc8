//! `sage` (Hamilton et al. 2017, mean aggregation) and `rel_sage`, which aggregates relative features.

use super::aggregate;
use crate::ops::{Mode, Operation, Shared, State};
use crate::tensor::init::Init;
use crate::tensor::layers::{Activation, Block, unit_length};
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::parameters::{Factor, Path};
use tch::Tensor;

/// What a source sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    /// x_j (`sage`).
    Absolute,
    /// x_j - x_i (`rel_sage`).
    Relative,
}

/// y_i = h([x_i, mean over j of message·V]) brought to length 1, the node itself included once.
pub struct Sage {
    messages: Messages,
    /// V, (C, C), inputs first.
    message_map: Factor,
    block: Block,
}

impl Sage {
    /// At `path` (`weight`, `nn.body...`).
    pub fn new(path: &Path, channels: i64, messages: Messages) -> Self {
        let message_map = path.factor("weight", &[channels, channels], Init::fan_in(channels));
        let block = Block::matrix(&path.sub("nn"), 2 * channels, channels, Activation::Relu);
        Self { messages, message_map, block }
    }
}

impl Operation<Links> for Sage {
    fn forward(&self, state: &State, links: &Links, mode: Mode) -> Tensor {
        let mean = || aggregate(state, links, Aggregate::Mean);
        let mean = match self.messages {
            Messages::Absolute => mean(),
            Messages::Relative => state.shared(Shared::RelativeMean, |x| mean() - x),
        };
        unit_length(&self.block.forward_pair(
            &state.read(),
            &mean.matmul(&self.message_map.tensor()),
            mode.by_batch_statistics(),
        ))
    }

    fn shares(&self) -> &'static [Shared] {
        &[Shared::Linked(Aggregate::Mean)]
    }
}

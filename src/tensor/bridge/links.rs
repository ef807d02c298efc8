//! Aggregation along the links of a graph in fused kernels with their own backward passes: sums, means and maxima in
//! one pass, attention, and edge_conv with its norm. Nothing of size (links, channels) is ever stored.
//!
//! Everywhere: features are rows (N, C), one per node; a link leads from its source to its target. fp32 and fp64 are
//! computed as they are, bf16 and fp16 in fp32 and rounded once. CPU only; other devices and wrong shapes are
//! [`crate::error::Error::Torch`]. Results are bit-equal for any number of threads, because each node's row is
//! written by one thread in the order of its links, forward and backward. There is no second derivative: asking for
//! one is an error, not a zero.

use tch::{Device, Kind, Tensor};

use crate::tensor::adjacency::Adjacency;

/// The links of a graph as the kernels take them. Only an [`Adjacency`] makes one, so every index is inside.
#[derive(Debug)]
pub struct LinkLists {
    /// Where the list of each target begins, int32 (N + 1).
    pub(super) incoming: Tensor,
    /// The source of every link, by target, int32 (E).
    pub(super) sources: Tensor,
    /// Where the list of each source begins, int32 (N + 1).
    pub(super) outgoing: Tensor,
    /// The target of every link, by source, int32 (E).
    pub(super) targets: Tensor,
    /// The place among `sources` of every link of `targets`, int32 (E).
    pub(super) positions: Tensor,
}

impl LinkLists {
    /// On the CPU.
    pub fn new(adjacency: &Adjacency) -> Self {
        Self {
            incoming: Tensor::from_slice(adjacency.incoming()),
            sources: Tensor::from_slice(adjacency.sources()),
            outgoing: Tensor::from_slice(adjacency.outgoing()),
            targets: Tensor::from_slice(adjacency.targets()),
            positions: Tensor::from_slice(adjacency.positions()),
        }
    }

    /// On `device`.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        self.map(|tensor| tensor.to_device(device))
    }

    /// The same lists once more.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        self.map(Tensor::shallow_clone)
    }

    /// Nodes.
    pub fn nodes(&self) -> i64 {
        self.incoming.size()[0] - 1
    }

    /// Links.
    pub fn links(&self) -> i64 {
        self.sources.size()[0]
    }

    /// Source and target of every link, by target, int64 (E) each.
    pub fn pairs(&self) -> [Tensor; 2] {
        let degrees = self.incoming.diff(1, -1, None::<&Tensor>, None::<&Tensor>);
        let nodes = Tensor::arange(self.nodes(), (Kind::Int64, self.incoming.device()));
        let targets = nodes.repeat_interleave_self_tensor(&degrees.to_kind(Kind::Int64), None, self.links());
        [self.sources.to_kind(Kind::Int64), targets]
    }

    fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            incoming: change(&self.incoming),
            sources: change(&self.sources),
            outgoing: change(&self.outgoing),
            targets: change(&self.targets),
            positions: change(&self.positions),
        }
    }
}

//! The links of a batch of graphs, and aggregation along them: what the operations on graphs read besides features
//! (REFERENCE section 5). Made once per batch.
//!
//! On a CPU the bridge's fused kernels do the work, elsewhere plain tensor operations; both are the same function,
//! which the tests of the kernels hold.

use crate::tensor::adjacency::Adjacency;
use crate::tensor::bridge::gather::AttentionScores;
pub use crate::tensor::bridge::links::Aggregate;
use crate::tensor::bridge::links::{self, LinkLists};
use crate::tensor::bridge::operators::leaky_relu;
use crate::tensor::fused::{done, is_fused};
use crate::tensor::layers::BatchNorm;
use std::cell::OnceCell;
use tch::{Device, Kind, Tensor};

/// The links of a graph, or of several side by side.
#[derive(Debug)]
pub struct Links {
    lists: LinkLists,
    /// What plain tensor operations need, from the first one that does.
    plain: OnceCell<Plain>,
}

/// Source and target of every link, int64 (E) each.
#[derive(Debug)]
struct Pairs {
    sources: Tensor,
    targets: Tensor,
}

#[derive(Debug)]
struct Plain {
    /// The links as they are stored.
    stored: Pairs,
    /// The same with exactly one link from each node to itself.
    looped: Pairs,
    /// The nodes that no link leads into: bool (N, 1).
    unreached: Tensor,
}

impl Links {
    /// On the CPU.
    pub fn new(adjacency: &Adjacency) -> Self {
        Self::from(LinkLists::new(adjacency))
    }

    fn from(lists: LinkLists) -> Self {
        Self { lists, plain: OnceCell::new() }
    }

    /// On `device`.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        Self::from(self.lists.to_device(device))
    }

    /// Nodes N.
    pub fn nodes(&self) -> i64 {
        self.lists.nodes()
    }

    /// Links E.
    pub fn count(&self) -> i64 {
        self.lists.links()
    }

    /// The wanted aggregates of `x` (N, C), in the order of [`Aggregate::ALL`]: in one pass over the links where there
    /// is a kernel.
    pub fn aggregates(&self, x: &Tensor, wanted: &[Aggregate]) -> [Option<Tensor>; 4] {
        if is_fused(x) {
            return links::aggregate(x, &self.lists, wanted).unwrap_or_else(|error| panic!("{error}"));
        }
        Aggregate::ALL.map(|which| wanted.contains(&which).then(|| self.plain_aggregate(x, which)))
    }

    fn plain_aggregate(&self, x: &Tensor, which: Aggregate) -> Tensor {
        let Plain { stored, unreached, .. } = self.plain();
        let wide = widen(x);
        let per_node = |factor: &Tensor| factor.to_kind(wide.kind()).unsqueeze(1);
        let [excess, root] = [self.lists.excess(), self.lists.root()].map(per_node);
        let aggregate = match which {
            Aggregate::Sum => stored.sum(&wide, self.nodes()),
            Aggregate::Mean => (stored.sum(&wide, self.nodes()) - &wide * excess) * root.square(),
            Aggregate::NormalizedSum => {
                let scaled = wide * &root;
                (stored.sum(&scaled, self.nodes()) - scaled * excess) * root
            }
            Aggregate::RelativeMaximum => {
                let greatest = stored.maximum(&wide.index_select(0, &stored.sources), self.nodes());
                (greatest - wide).masked_fill(unreached, 0.0)
            }
        };
        aggregate.to_kind(x.kind())
    }

    /// Σ over the links into a node, which has exactly one to itself, of w_ij·x_j, w_i = softmax over j of
    /// LeakyReLU(target_i + source_j): (N, C) features, (N) scores in fp32.
    pub fn attention(&self, x: &Tensor, target: &Tensor, source: &Tensor, slope: f64) -> Tensor {
        if is_fused(x) {
            return done(links::attention(x, &AttentionScores { target, source }, &self.lists, slope));
        }
        let Plain { looped, .. } = self.plain();
        let scores = target.index_select(0, &looped.targets) + source.index_select(0, &looped.sources);
        let scores = leaky_relu(&scores, slope).unsqueeze(1);
        let greatest = looped.maximum(&scores.detach(), self.nodes()).index_select(0, &looped.targets);
        let weights = (scores - greatest).exp();
        let zeros = Tensor::zeros([self.nodes(), 1], (weights.kind(), weights.device()));
        let sums = zeros.index_add(0, &looped.targets, &weights).index_select(0, &looped.targets);
        let messages = widen(x).index_select(0, &looped.sources) * (weights / sums);
        let zeros = Tensor::zeros([self.nodes(), x.size()[1]], (messages.kind(), x.device()));
        zeros.index_add(0, &looped.targets, &messages).to_kind(x.kind())
    }

    /// Maximum over the links into a node of norm(relu(target_i + source_j)), 0 for a node without; the norm's
    /// statistics run over all links.
    pub fn normed_edge_maximum(&self, target: &Tensor, source: &Tensor, norm: &BatchNorm, training: bool) -> Tensor {
        if is_fused(target) {
            return done(links::edge_max_norm(target, source, &self.lists, &norm.in_bridge(training)));
        }
        let Plain { stored, unreached, .. } = self.plain();
        let edges = (target.index_select(0, &stored.targets) + source.index_select(0, &stored.sources)).relu();
        stored.maximum(&norm.forward(&edges, training), self.nodes()).masked_fill(unreached, 0.0)
    }

    fn plain(&self) -> &Plain {
        self.plain.get_or_init(|| {
            let [sources, targets] = self.lists.pairs();
            let others = sources.ne_tensor(&targets).nonzero().squeeze_dim(1);
            let nodes = Tensor::arange(self.nodes(), (Kind::Int64, sources.device()));
            let looped = |ends: &Tensor| Tensor::cat(&[ends.index_select(0, &others), nodes.shallow_clone()], 0);
            Plain {
                looped: Pairs { sources: looped(&sources), targets: looped(&targets) },
                unreached: self.lists.degrees().eq(0).unsqueeze(1),
                stored: Pairs { sources, targets },
            }
        })
    }
}

/// What sums are made in: fp64 as it is, all else as fp32.
fn widen(x: &Tensor) -> Tensor {
    if x.kind() == Kind::Double { x.shallow_clone() } else { x.to_kind(Kind::Float) }
}

impl Pairs {
    /// Σ x_j over the links into each of `nodes` nodes.
    fn sum(&self, x: &Tensor, nodes: i64) -> Tensor {
        let zeros = Tensor::zeros([nodes, x.size()[1]], (x.kind(), x.device()));
        zeros.index_add(0, &self.targets, &x.index_select(0, &self.sources))
    }

    /// The greatest of the values of the links (E, C) into each of `nodes` nodes; -inf for one without.
    fn maximum(&self, values: &Tensor, nodes: i64) -> Tensor {
        let least = Tensor::full([nodes, values.size()[1]], f64::NEG_INFINITY, (values.kind(), values.device()));
        least.index_reduce(0, &self.targets, values, "amax", true)
    }
}

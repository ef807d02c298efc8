//! The links of a batch of graphs, and aggregation along them: what the operations on graphs read besides features
//! (docs/method.md, "Primitives"). Made once per batch, and kept where the batch is one graph.
//!
//! On a CPU the bridge's fused kernels do the work, elsewhere operations composed of libtorch's; both are the same
//! function, which the tests of the kernels hold.

use crate::tensor::adjacency::Adjacency;
use crate::tensor::bridge::composed;
use crate::tensor::bridge::device::upload;
use crate::tensor::bridge::gather::AttentionScores;
pub use crate::tensor::bridge::links::Aggregate;
use crate::tensor::bridge::links::{self, LinkLists, PlainLists};
use crate::tensor::bridge::native as kernels;
use crate::tensor::fused::{done, is_fused};
use crate::tensor::layers::BatchNorm;
use crate::tensor::native::{self, Family};
use crate::tensor::precision::at_least_single;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tch::{Device, Kind, Tensor};

/// The links of a graph, or of several side by side.
#[derive(Debug)]
pub struct Links {
    lists: LinkLists,
    /// What the composed operations need, from the first one that does.
    plain: OnceCell<Box<Plain>>,
    /// Names a graph that comes again and again.
    name: Option<u64>,
}

/// On a GPU the links of named graphs, from their first batch on, so that they are not copied again. A process uses one.
static ON_GPU: Mutex<BTreeMap<u64, Links>> = Mutex::new(BTreeMap::new());

/// The links for composed operations, on the device of the lists.
#[derive(Debug)]
struct Plain {
    /// The links as they are stored.
    stored: PlainLists,
    /// The same with exactly one link from each node to itself.
    looped: PlainLists,
    /// 1 / sqrt(links from others + 1), fp32 (N, 1).
    root: Tensor,
    /// 1 / (links from others + 1), fp32 (N, 1).
    share: Tensor,
}

impl Plain {
    /// On the CPU; lists that lie elsewhere are fetched.
    fn new(lists: &LinkLists) -> Self {
        let stored = lists.adjacency();
        let nodes = 0..stored.nodes();
        let from_others = |node: usize| {
            let others = stored.sources_of(node).iter().filter(move |source| **source as usize != node);
            others.map(move |&source| [source as u32, node as u32]).chain([[node as u32; 2]])
        };
        let looped = Adjacency::new(stored.nodes(), &nodes.flat_map(from_others).collect::<Vec<_>>());
        Self {
            stored: PlainLists::new(&stored),
            looped: PlainLists::new(&looped),
            root: lists.root().to_device(Device::Cpu).unsqueeze(1),
            share: lists.root().to_device(Device::Cpu).square().unsqueeze(1),
        }
    }

    fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            stored: self.stored.map(&change),
            looped: self.looped.map(&change),
            root: change(&self.root),
            share: change(&self.share),
        }
    }
}

impl Links {
    /// On the CPU.
    pub fn new(adjacency: &Adjacency) -> Self {
        Self { lists: LinkLists::new(adjacency), plain: OnceCell::new(), name: None }
    }

    /// The same, of a graph that comes again and again.
    #[must_use]
    pub fn named(self) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { name: Some(NEXT.fetch_add(1, Ordering::Relaxed)), ..self }
    }

    /// The same links; memory is shared.
    #[must_use]
    pub fn share(&self) -> Self {
        let plain = self
            .plain
            .get()
            .map_or_else(OnceCell::new, |plain| OnceCell::from(Box::new(plain.map(Tensor::shallow_clone))));
        Self { lists: self.lists.map(Tensor::shallow_clone), plain, name: self.name }
    }

    /// On `device`.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        if device == self.lists.device() {
            return self.share();
        }
        let to_device = |tensor: &Tensor| upload(tensor, device);
        let moved = || {
            // Kernels of ours do without; where they don't, lists are made here, not on the device.
            let is_wanted = !native::serves_on(Family::Links, device);
            let plain = is_wanted.then(|| Box::new(self.plain().map(to_device)));
            Self {
                lists: self.lists.map(to_device),
                plain: plain.map_or_else(OnceCell::new, OnceCell::from),
                name: self.name,
            }
        };
        let Some(name) = self.name.filter(|_| device.is_cuda()) else { return moved() };
        let mut kept = ON_GPU.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry(name).or_insert_with(moved).share()
    }

    /// Nodes N.
    pub fn nodes(&self) -> i64 {
        self.lists.nodes()
    }

    /// Links E.
    pub fn count(&self) -> i64 {
        self.lists.links()
    }

    /// How many links lead into every node, as they are stored, fp32 (N, 1).
    pub fn count_into(&self) -> Tensor {
        self.lists.count_into().unsqueeze(1)
    }

    /// How many links lead from every node to itself, fp32 (N, 1).
    pub fn count_loops(&self) -> Tensor {
        self.lists.count_loops().unsqueeze(1)
    }

    /// The wanted aggregates of `x` (N, C), in the order of [`Aggregate::ALL`]: in one pass over the links where there
    /// is a kernel.
    pub fn aggregates(&self, x: &Tensor, wanted: &[Aggregate]) -> [Option<Tensor>; 4] {
        if is_fused(x) {
            return done(links::aggregate(x, &self.lists, wanted));
        }
        if native::serves(Family::Links, x) {
            return done(kernels::link_aggregates(x, &self.lists, wanted));
        }
        Aggregate::ALL.map(|which| wanted.contains(&which).then(|| self.plain_aggregate(x, which)))
    }

    fn plain_aggregate(&self, x: &Tensor, which: Aggregate) -> Tensor {
        let Plain { stored, looped, root, share } = self.plain();
        let wide = widen(x);
        // In fp64 of the whole number that the degree is.
        let in_double = |exponent: f64| share.to_kind(Kind::Double).reciprocal().round().pow_tensor_scalar(exponent);
        let [root, share] = match wide.kind() {
            Kind::Double => [in_double(-0.5), in_double(-1.0)],
            _ => [root.shallow_clone(), share.shallow_clone()],
        };
        let sum = |x: &Tensor, links| done(composed::link_sum(x, links));
        let aggregate = match which {
            Aggregate::Sum => sum(&wide, stored),
            Aggregate::Mean => done(composed::link_mean(&wide, &share, looped)),
            Aggregate::NormalizedSum => sum(&(&wide * &root), looped) * &root,
            Aggregate::RelativeMaximum => done(composed::link_relative_maximum(&wide, stored)),
        };
        aggregate.to_kind(x.kind())
    }

    /// Σ over the links into a node, which has exactly one to itself, of w_ij·x_j, w_i = softmax over j of
    /// LeakyReLU(target_i + source_j): (N, C) features, (N) scores in fp32.
    pub fn attention(&self, x: &Tensor, target: &Tensor, source: &Tensor, slope: f64) -> Tensor {
        let scores = AttentionScores { target, source };
        if is_fused(x) {
            return done(links::attention(x, &scores, &self.lists, slope));
        }
        if native::serves(Family::Links, x) {
            return done(kernels::link_attention(x, &scores, &self.lists, slope));
        }
        let attended = composed::link_attention(&widen(x), target, source, &self.plain().looped, slope);
        done(attended).to_kind(x.kind())
    }

    /// Maximum over the links into a node of norm(relu(target_i + source_j)), 0 for a node without; the norm's
    /// statistics run over all links.
    pub fn normed_edge_maximum(&self, target: &Tensor, source: &Tensor, norm: &BatchNorm, training: bool) -> Tensor {
        if is_fused(target) && !norm.is_synchronised(training) {
            return done(links::edge_max_norm(target, source, &self.lists, &norm.in_bridge(training)));
        }
        let is_alike = target.kind() == source.kind() && !norm.is_plain() && !norm.is_synchronised(training);
        // Of one link operators say that it has no statistics.
        if is_alike && self.count() > 1 && native::serves(Family::Links, target) {
            return done(kernels::link_edge_maximum(target, source, &self.lists, &norm.in_bridge(training)));
        }
        let Plain { stored, .. } = self.plain();
        let edges = done(composed::link_pairs(target, source, stored)).relu();
        done(composed::link_maximum(&norm.forward(&edges, training), stored))
    }

    fn plain(&self) -> &Plain {
        let device = self.lists.device();
        self.plain.get_or_init(|| Box::new(Plain::new(&self.lists).map(|tensor| tensor.to_device(device))))
    }
}

/// What sums are made in: fp64 as it is, all else as fp32.
fn widen(x: &Tensor) -> Tensor {
    x.to_kind(at_least_single(x.kind()))
}

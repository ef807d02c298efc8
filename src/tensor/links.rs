//! The links of a batch of graphs, and aggregation along them: what the operations on graphs read besides features
//! (REFERENCE section 5). Made once per batch.
//!
//! On a CPU the bridge's fused kernels do the work, elsewhere plain tensor operations; both are the same function,
//! which the tests of the kernels hold.

use crate::tensor::adjacency::Adjacency;
use crate::tensor::bridge::links::LinkLists;
use tch::{Device, Tensor};

/// The links of a graph, with what its degrees give, fp32 (N, 1) each.
#[derive(Debug)]
pub struct Links {
    lists: LinkLists,
    /// The links from each node to itself, less one: what a sum over the links as they are has too many where
    /// every node should have one.
    loops_beyond_one: Tensor,
    /// 1 / (links into the node from others + 1).
    inverse_degree: Tensor,
}

impl Links {
    /// On the CPU.
    pub fn new(adjacency: &Adjacency) -> Self {
        let nodes = 0..adjacency.nodes();
        let loops: Vec<f32> = nodes.clone().map(|node| adjacency.loops_of(node) as f32).collect();
        let degrees = nodes.map(|node| adjacency.sources_of(node).len() as f32);
        let inverse: Vec<f32> = degrees.zip(&loops).map(|(degree, loops)| (degree - loops + 1.0).recip()).collect();
        Self {
            lists: LinkLists::new(adjacency),
            loops_beyond_one: (Tensor::from_slice(&loops) - 1.0).unsqueeze(1),
            inverse_degree: Tensor::from_slice(&inverse).unsqueeze(1),
        }
    }

    /// On `device`.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        Self {
            lists: self.lists.to_device(device),
            loops_beyond_one: self.loops_beyond_one.to_device(device),
            inverse_degree: self.inverse_degree.to_device(device),
        }
    }

    /// The same links once more.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self {
            lists: self.lists.shallow_clone(),
            loops_beyond_one: self.loops_beyond_one.shallow_clone(),
            inverse_degree: self.inverse_degree.shallow_clone(),
        }
    }

    /// Nodes.
    pub fn nodes(&self) -> i64 {
        self.lists.nodes()
    }

    /// Links.
    pub fn count(&self) -> i64 {
        self.lists.links()
    }
}

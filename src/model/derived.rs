//! The network of a derived cell: two fixed edges into every node, no alphas.

use crate::batch::Batch;
use crate::cell::{CellEdge, Content};
use crate::genotype::{CellGenotype, Genotype};
use crate::model::network::Network;
use crate::model::{Model, ModelConfig};
use crate::ops::Mode;
use crate::space::{CellPlan, Output, Space};
use crate::tensor::parameters::{Path, Store, Weights};
use crate::topology::{CellKind, EDGES_PER_NODE};
use tch::Device;

/// The network of one genotype over the space `S`.
pub struct Derived<S: Space> {
    network: Network<S>,
    weights: Weights,
}

impl<S: Space> Derived<S> {
    /// A fresh network, its weights drawn from libtorch's generator.
    pub fn new(space: S, config: &ModelConfig, genotype: &Genotype, device: Device) -> Self {
        let store = Store::new(device);
        let concat = |kind| cell(genotype, kind).concat.clone();
        let network = Network::new(space, &store.root(), config, concat, |space, path, plan| {
            fixed_nodes(space, path, plan, cell(genotype, plan.kind))
        });
        let (parameters, buffers) = store.finish();
        Self { network, weights: Weights { parameters, buffers } }
    }
}

fn cell(genotype: &Genotype, kind: CellKind) -> &CellGenotype {
    genotype.cell(kind).expect("a valid genotype has every kind of cell of its space")
}

/// The nodes of a cell in the genotype's order, which also numbers the weights.
fn fixed_nodes<S: Space>(
    space: &S,
    path: &Path,
    plan: &CellPlan,
    genotype: &CellGenotype,
) -> Vec<Vec<CellEdge<S::Context>>> {
    let edges = genotype.edges.iter().enumerate().map(|(index, (primitive, source))| {
        let operation = space.operation(&path.sub("_ops").sub(index), primitive, plan, *source);
        CellEdge { source: *source, content: operation.map_or(Content::Pruned, Content::Fixed) }
    });
    let mut nodes: Vec<Vec<CellEdge<S::Context>>> = Vec::new();
    for (index, edge) in edges.enumerate() {
        if index % EDGES_PER_NODE == 0 {
            nodes.push(Vec::new());
        }
        nodes.last_mut().expect("a node was begun").push(edge);
    }
    nodes
}

impl<S: Space> Model for Derived<S> {
    fn forward(&self, batch: &Batch, mode: Mode) -> Output {
        self.network.forward(batch, |_: CellKind| None, mode)
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }
}

//! The network of a derived cell: fixed edges into every node, no alphas.

use crate::batch::Batch;
use crate::cell::{CellEdge, Content, JoinedStates};
use crate::genotype::{CellGenotype, Genotype};
use crate::model::network::Network;
use crate::model::{Model, ModelConfig};
use crate::ops::Mode;
use crate::space::{CellPlan, Output, Space};
use crate::tensor::parameters::{Path, Store, Weights};
use crate::topology::CellKind;
use tch::Device;

/// The network of one genotype over the space `S`.
pub struct Derived<S: Space> {
    network: Network<S>,
    weights: Weights,
}

impl<S: Space> Derived<S> {
    /// A fresh network, its weights drawn from libtorch's generator.
    pub fn new(space: S, config: &ModelConfig, genotype: &Genotype, device: Device) -> Self {
        let store = Store::new(device).with_norms(space.norms());
        let space = space.of_cell(genotype);
        let output = |kind| JoinedStates { states: cell(genotype, kind).concat.clone(), leaves_alone: false };
        let network = Network::new(space, &store.root(), config, output, |space, path, plan| {
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
    let mut nodes: Vec<Vec<CellEdge<S::Context>>> = (0..genotype.topology.steps()).map(|_| Vec::new()).collect();
    for (index, (node, primitive, source)) in genotype.edges_with_nodes().enumerate() {
        let operation = space.operation(&path.sub(space.derived_edge_name(index)), primitive, plan, source);
        nodes[node].push(CellEdge::new(source, operation.map_or(Content::Pruned, Content::Fixed)));
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

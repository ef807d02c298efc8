//! The supernet: every edge of every cell mixes all primitives until it is decided.

use crate::batch::Batch;
use crate::cell::{CellEdge, Content, JoinedStates};
use crate::decision::{Choice, primitives_of_edges};
use crate::genotype::SpaceName;
use crate::model::network::Network;
use crate::model::{Alphas, Learn, Model, ModelConfig, SearchModel, Shrunk, SupernetParts};
use crate::ops::{Mode, wrapped};
use crate::space::{CellPlan, Output, Space};
use crate::tensor::parameters::{Kept, Path, Store, Weights};
use crate::tensor::random::{Key, Purpose};
use crate::topology::{CellKind, Topology};
use tch::Device;

/// A supernet over the space `S`.
pub struct Supernet<S: Space> {
    network: Network<S>,
    weights: Weights,
    alphas: Alphas,
    topology: Topology,
}

impl<S: Space> Supernet<S> {
    /// A fresh supernet with weights and alphas drawn from `seed`.
    pub fn new(
        space: S,
        config: &ModelConfig,
        alpha_scale: f64,
        seed: u64,
        device: Device,
        parts: &SupernetParts,
    ) -> Self {
        let name = space.name();
        let topology = name.topology();
        Key::new(seed, Purpose::Weights).seed_torch();
        let store = Store::new(device).with_norms(space.norms());
        let network = Network::new(
            space,
            &store.root(),
            config,
            |_| JoinedStates { states: topology.output_states().collect(), leaves_alone: topology.puts_out_leaves() },
            |space, path, plan| mixed_nodes(space, path, plan, parts),
        );
        let network = network.through(parts.partial_channels);
        let (parameters, buffers) = store.finish();
        let alphas = Alphas::new(name.kinds(), topology, name.primitives().len(), alpha_scale, seed, device);
        let alphas = if parts.edge_weights { alphas.with_edge_weights(alpha_scale, seed) } else { alphas };
        Self { network, weights: Weights { parameters, buffers }, alphas, topology }
    }

    /// Drops weights of an edge: of all its primitives that `stays` does not keep.
    fn shrink(&mut self, edge: usize, cells: &[usize], stays: impl Fn(usize) -> bool) -> Kept {
        let edge = self.network.space().mixed_edge_name(self.topology.edge(edge));
        let keep = |name: &str| primitive_of(name, cells, &edge).is_none_or(&stays);
        self.weights.buffers.retain(keep);
        self.weights.parameters.retain(keep)
    }
}

/// The primitive that a weight belongs to, where it is one of the edge of this name in one of these cells.
fn primitive_of(weight: &str, cells: &[usize], edge: &str) -> Option<usize> {
    let (cell, rest) = weight.strip_prefix("cells.")?.split_once('.')?;
    let primitive = rest.strip_prefix(edge)?.strip_prefix('.')?.split('.').next()?;
    if cells.contains(&cell.parse().ok()?) { primitive.parse().ok() } else { None }
}

/// The nodes of a cell with all primitives on every edge.
fn mixed_nodes<S: Space>(
    space: &S,
    path: &Path,
    plan: &CellPlan,
    parts: &SupernetParts,
) -> Vec<Vec<CellEdge<S::Context>>> {
    let topology = space.name().topology();
    let channels = parts.partial_channels.map_or(plan.channels, |partial| plan.channels / partial.parts);
    let plan = &CellPlan { channels, ..plan.clone() };
    let mut nodes: Vec<Vec<CellEdge<S::Context>>> = (0..topology.steps()).map(|_| Vec::new()).collect();
    for edge in topology.edges() {
        let path = path.sub(space.mixed_edge_name(edge));
        let primitives = space.name().primitives().iter().enumerate();
        let operations = primitives.map(|(index, primitive)| {
            let operation = space.operation(&path.sub(index), primitive, plan, edge.source)?;
            Some(match &parts.wrapping {
                Some(wrapping) => wrapped(operation, primitive, wrapping.clone()),
                None => operation,
            })
        });
        nodes[edge.node].push(CellEdge::new(edge.source, Content::Mixed(operations.collect())));
    }
    nodes
}

impl<S: Space> Model for Supernet<S> {
    fn forward(&self, batch: &Batch, mode: Mode) -> Output {
        self.network.forward(batch, |kind| Some(self.alphas.mixture(kind)), mode)
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }
}

impl<S: Space> SearchModel for Supernet<S> {
    fn alphas(&self) -> &Alphas {
        &self.alphas
    }

    fn alphas_mut(&mut self) -> &mut Alphas {
        &mut self.alphas
    }

    fn topology(&self) -> Topology {
        self.topology
    }

    fn space(&self) -> SpaceName {
        self.network.space().name()
    }

    fn primitive_of(&self, weight: &str, kind: CellKind, edge: usize) -> Option<usize> {
        let edge = self.network.space().mixed_edge_name(self.topology.edge(edge));
        primitive_of(weight, &self.network.cells(kind), &edge)
    }

    fn learn(&mut self, what: Learn) {
        self.weights.parameters.set_trainable(what != Learn::Alphas);
        self.alphas.set_trainable(what != Learn::Weights);
    }

    fn fix(&mut self, kind: CellKind, edge: usize, primitive: usize) -> Shrunk {
        let cells = self.network.change(kind, |cell| cell.fix(edge, primitive));
        Shrunk { weights: self.shrink(edge, &cells, |other| other == primitive), alphas: self.alphas.close(kind, edge) }
    }

    fn prune(&mut self, kind: CellKind, edge: usize) -> Shrunk {
        let cells = self.network.change(kind, |cell| cell.prune(edge));
        Shrunk { weights: self.shrink(edge, &cells, |_| false), alphas: self.alphas.close(kind, edge) }
    }

    fn narrow(&mut self, cells: Option<&[(CellKind, Vec<Choice>)]>) {
        for kind in self.alphas.kinds() {
            let of_kind = cells.and_then(|cells| cells.iter().find(|(of, _)| *of == kind));
            let primitives = of_kind.map(|(_, choices)| primitives_of_edges(self.topology, choices));
            self.network.change(kind, |cell| cell.narrow(primitives.as_deref()));
        }
    }

    fn drop_primitive(&mut self, kind: CellKind, edge: usize, primitive: usize) -> Shrunk {
        let cells = self.network.change(kind, |cell| cell.drop_primitive(edge, primitive));
        let weights = self.shrink(edge, &cells, |other| other != primitive);
        Shrunk { weights, alphas: self.alphas.drop_primitive(kind, edge, primitive) }
    }
}

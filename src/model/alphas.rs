//! The tables of alphas: one row per edge, one column per primitive, one table per kind of cell.
//!
//! Open rows are trained and lie in one flat tensor; decided and pruned rows stay where they were, because the
//! criteria normalise over all edges (REFERENCE section 2).

use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::mixture::Mixture;
use crate::tensor::parameters::{Kept, Parameters};
use crate::tensor::random::{Key, Purpose};
use crate::topology::{CellKind, Topology};
use tch::{Device, Kind, Tensor, no_grad};

/// All alphas of a supernet.
pub struct Alphas {
    tables: Vec<(CellKind, Vec<Tensor>)>,
    open: Parameters,
    topology: Topology,
    primitives: usize,
}

impl Alphas {
    /// Alphas drawn from `scale`·N(0, 1).
    pub fn new(
        kinds: &[CellKind],
        topology: Topology,
        primitives: usize,
        scale: f64,
        seed: u64,
        device: Device,
    ) -> Self {
        Key::new(seed, Purpose::Alphas).seed_torch();
        let row = || {
            let drawn = Tensor::randn([primitives as i64], (Kind::Float, Device::Cpu)) * scale;
            drawn.to_device(device).set_requires_grad(true)
        };
        let tables: Vec<(CellKind, Vec<Tensor>)> =
            kinds.iter().map(|&kind| (kind, (0..topology.edge_count()).map(|_| row()).collect())).collect();
        let leaves = tables.iter().flat_map(|(kind, rows)| {
            rows.iter().enumerate().map(|(edge, row)| (row_name(*kind, edge), row.shallow_clone()))
        });
        let open = Parameters::new(leaves.collect(), device);
        Self { tables, open, topology, primitives }
    }

    /// The trained rows.
    pub fn open(&self) -> &Parameters {
        &self.open
    }

    /// The kinds of cell.
    pub fn kinds(&self) -> Vec<CellKind> {
        self.tables.iter().map(|(kind, _)| *kind).collect()
    }

    /// The rows of a kind: edges × primitives.
    pub fn rows(&self, kind: CellKind) -> &[Tensor] {
        let table = self.tables.iter().find(|(known, _)| *known == kind);
        &table.expect("a supernet has alphas for each of its kinds").1
    }

    /// The values of a kind's rows.
    pub fn values(&self, kind: CellKind) -> Vec<Vec<f64>> {
        let table = no_grad(|| Tensor::stack(self.rows(kind), 0).to_kind(Kind::Double).to_device(Device::Cpu));
        let flat = Vec::<f64>::try_from(table.flatten(0, 1)).expect("a table of alphas is fp64 here");
        flat.chunks(self.primitives).map(<[f64]>::to_vec).collect()
    }

    /// Overwrites the values of a kind's rows, open or not (from a checkpoint, or a test).
    pub fn set_values(&mut self, kind: CellKind, values: &[Vec<f64>]) {
        no_grad(|| {
            for (row, value) in self.rows(kind).iter().zip(values) {
                row.shallow_clone().copy_(&Tensor::from_slice(value));
            }
        });
    }

    /// softmax over each row, in fp32.
    pub fn mixture(&self, kind: CellKind) -> Mixture {
        let rows = self.rows(kind);
        let _fp32 = Autocast::disabled(rows[0].device()).expect("CPU and CUDA have autocast");
        let table = Tensor::stack(rows, 0).softmax(-1, Kind::Float);
        let edges = |node| self.topology.edges_into(node).len() as i64;
        Mixture::new(&table, &(0..self.topology.steps()).map(edges).collect::<Vec<_>>())
    }

    /// Turns gradients of the open rows on or off.
    pub fn set_trainable(&mut self, trainable: bool) {
        self.open.set_trainable(trainable);
    }

    /// Stops training a row; its value stays.
    pub fn close(&mut self, kind: CellKind, edge: usize) -> Kept {
        let name = row_name(kind, edge);
        let table = self.tables.iter_mut().find(|(known, _)| *known == kind);
        let row = &mut table.expect("a supernet has alphas for each of its kinds").1[edge];
        *row = row.detach().copy();
        self.open.retain(|known| known != name)
    }
}

fn row_name(kind: CellKind, edge: usize) -> String {
    format!("{kind}.{edge}")
}

//! Stem, stack of cells and head, for any space: what supernet and derived network have in common.

use crate::batch::Batch;
use crate::cell::{Cell, CellEdge, DropPath};
use crate::model::ModelConfig;
use crate::ops::{Mode, State};
use crate::space::{CellPlan, Head, Output, Space, Stem};
use crate::tensor::mixture::Mixture;
use crate::tensor::parameters::Path;
use crate::topology::CellKind;

/// A network over the space `S`.
pub struct Network<S: Space> {
    space: S,
    stem: Box<dyn Stem>,
    cells: Vec<(CellPlan, Cell<S::Context>)>,
    head: Box<dyn Head>,
}

impl<S: Space> Network<S> {
    /// Builds the network at the root of the names. `concat` tells which states form the output of a kind of
    /// cell; `nodes` makes the edges of a cell.
    pub fn new(
        space: S,
        root: &Path,
        config: &ModelConfig,
        concat: impl Fn(CellKind) -> Vec<usize>,
        nodes: impl Fn(&S, &Path, &CellPlan) -> Vec<Vec<CellEdge<S::Context>>>,
    ) -> Self {
        let stem = space.stem(root, config.channels);
        let plan = space.plan(config.channels, config.cells, &|kind| concat(kind).len());
        let head = space.head(root, config.channels, &plan);
        let cells = plan
            .into_iter()
            .map(|plan| {
                let path = root.sub("cells").sub(plan.position);
                let preprocess =
                    [0, 1].map(|input| space.preprocess(&path.sub(format!("preprocess{input}")), &plan, input));
                let cell = Cell::new(preprocess, nodes(&space, &path, &plan), concat(plan.kind));
                (plan, cell)
            })
            .collect();
        Self { space, stem, cells, head }
    }

    /// Scores of a batch; `mixture` gives the weights of a kind's edges, where any is open.
    pub fn forward(&self, batch: &Batch, mixture: impl Fn(CellKind) -> Option<Mixture>, mode: Mode) -> Output {
        let mixtures: Vec<_> = self.space.name().kinds().iter().map(|&kind| (kind, mixture(kind))).collect();
        let edges = self.cells.iter().map(|(_, cell)| cell.edges()).sum();
        let units = self.space.drop_path_units(batch);
        let mut masks = DropPath::new(mode.drop_path(), units, edges, batch.target().device());
        // States, because two cells read each, and share what they make of it.
        let [mut before, mut last] = self.stem.forward(batch, mode).map(State::new);
        let mut outputs = vec![last.features.shallow_clone()];
        for (plan, cell) in &self.cells {
            let context = self.space.context(plan, &before.features, batch);
            let mixture = mixtures.iter().find(|(kind, _)| *kind == plan.kind).and_then(|(_, found)| found.as_ref());
            let output = cell.forward([&before, &last], &context, mixture, &mut masks, mode);
            outputs.push(output.shallow_clone());
            before = std::mem::replace(&mut last, State::new(output));
        }
        self.head.forward(&outputs, batch, mode)
    }

    /// The space.
    pub fn space(&self) -> &S {
        &self.space
    }

    /// Changes every cell of a kind; tells the positions of those cells.
    pub fn change(&mut self, kind: CellKind, mut change: impl FnMut(&mut Cell<S::Context>)) -> Vec<usize> {
        let cells = self.cells.iter_mut().filter(|(plan, _)| plan.kind == kind);
        cells.map(|(plan, cell)| (change(cell), plan.position).1).collect()
    }
}

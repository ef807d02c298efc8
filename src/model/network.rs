//! Stem, stack of cells and head, for any space: what supernet and derived network have in common.

use crate::batch::Batch;
use crate::cell::{Cell, CellEdge, DropPath, JoinedStates, PartialChannels};
use crate::model::ModelConfig;
use crate::ops::{Mode, State};
use crate::space::{CellPlan, Head, Output, Space, Stem};
use crate::tensor::mixture::Mixture;
use crate::tensor::parameters::Path;
use crate::tensor::watch;
use crate::topology::CellKind;
use std::collections::VecDeque;

/// A network over the space `S`.
pub struct Network<S: Space> {
    space: S,
    stem: Box<dyn Stem>,
    cells: Vec<(CellPlan, Cell<S::Context>)>,
    head: Box<dyn Head>,
}

impl<S: Space> Network<S> {
    /// Builds the network at the root of the names. `output` tells which states form the output of a kind of
    /// cell; `nodes` makes the edges of a cell.
    pub fn new(
        space: S,
        root: &Path,
        config: &ModelConfig,
        output: impl Fn(CellKind) -> JoinedStates,
        nodes: impl Fn(&S, &Path, &CellPlan) -> Vec<Vec<CellEdge<S::Context>>>,
    ) -> Self {
        let stem = space.stem(root, config.channels);
        let plan = space.plan(config.channels, config.cells, &|kind| output(kind).states.len());
        let head = space.head(root, config.channels, &plan);
        let cells = plan
            .into_iter()
            .map(|plan| {
                let path = root.sub("cells").sub(plan.position);
                let inputs = 0..plan.inputs.len();
                let preprocess =
                    inputs.map(|input| space.preprocess(&root.sub(space.preprocess_name(&plan, input)), &plan, input));
                let cell = Cell::new(preprocess.collect(), nodes(&space, &path, &plan), output(plan.kind));
                (plan, cell)
            })
            .collect();
        Self { space, stem, cells, head }
    }

    /// The same whose operations work on a part of the channels of states, where there is one.
    #[must_use]
    pub fn through(self, partial: Option<PartialChannels>) -> Self {
        let cells = self.cells.into_iter().map(|(plan, cell)| (plan, cell.through(partial))).collect();
        Self { cells, ..self }
    }

    /// Scores of a batch; `mixture` gives the weights of a kind's edges, where any is open.
    pub fn forward(&self, batch: &Batch, mixture: impl Fn(CellKind) -> Option<Mixture>, mode: Mode) -> Output {
        let mixtures: Vec<_> = self.space.name().kinds().iter().map(|&kind| (kind, mixture(kind))).collect();
        let edges = self.cells.iter().map(|(_, cell)| cell.edges()).sum();
        let units = self.space.drop_path_units(batch);
        let mut masks = DropPath::new(mode.drop_path(), units, edges, batch.target().device());
        // States, because several cells read each, and share what they make of it; the oldest comes first.
        let mut before: VecDeque<State> = self.stem.forward(batch, mode).into_iter().map(State::new).collect();
        let mut outputs = vec![before[before.len() - 1].features.shallow_clone()];
        watch::look(|| "the stem".to_owned(), &outputs[0]);
        for (plan, cell) in &self.cells {
            let context = self.space.context(plan, &before[0].features, batch);
            let mixture = mixtures.iter().find(|(kind, _)| *kind == plan.kind).and_then(|(_, found)| found.as_ref());
            let name = || format!("cell {} ({})", plan.position, plan.kind);
            let inputs = Vec::from_iter(&before);
            let output = watch::within(name, || cell.forward(&inputs, &context, mixture, &mut masks, mode));
            outputs.push(output.shallow_clone());
            before.pop_front();
            before.push_back(State::new(output));
        }
        let output = self.head.forward(&outputs, batch, mode);
        watch::look(|| "the head".to_owned(), &output.logits);
        output.auxiliary.iter().for_each(|logits| watch::look(|| "the auxiliary head".to_owned(), logits));
        output
    }

    /// The space.
    pub fn space(&self) -> &S {
        &self.space
    }

    /// The places of a kind's cells.
    pub fn cells(&self, kind: CellKind) -> Vec<usize> {
        let cells = self.cells.iter().filter(|(plan, _)| plan.kind == kind);
        cells.map(|(plan, _)| plan.position).collect()
    }

    /// Changes every cell of a kind; tells the positions of those cells.
    pub fn change(&mut self, kind: CellKind, mut change: impl FnMut(&mut Cell<S::Context>)) -> Vec<usize> {
        let cells = self.cells.iter_mut().filter(|(plan, _)| plan.kind == kind);
        cells.map(|(plan, cell)| (change(cell), plan.position).1).collect()
    }
}

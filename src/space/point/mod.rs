//! The point space (REFERENCE section 5): a stem of one linear map, cells over dilated neighbour graphs of their
//! raw first input, fusion of all outputs, pooling over all points, and a classifier.

mod config;
mod head;

pub use config::PointConfig;
pub use head::OUTPUT_BIAS;

use crate::batch::Batch;
use crate::genotype::SpaceName;
use crate::ops::point::operation;
use crate::ops::{Mode, Operation, RowBlock};
use crate::space::{CellContext, CellPlan, Head, Space, Stem, stacked_on_stem};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;
use crate::topology::{CELL_INPUTS, CellKind};
use tch::Tensor;

/// The name of the stem's weight, whose second dimension is the numbers per input point.
pub const INPUT_WEIGHT: &str = "stem.0.body.0.weight";

/// The point space for one number of classes.
#[derive(Debug, Clone)]
pub struct PointSpace {
    /// Sizes beyond those of every space.
    pub config: PointConfig,
    /// Classes of the task.
    pub classes: i64,
    /// Numbers per input point.
    pub in_channels: i64,
}

impl Space for PointSpace {
    type Context = Neighbours;

    fn name(&self) -> SpaceName {
        SpaceName::Point
    }

    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem> {
        let outputs = self.config.stem_multiplier * channels;
        let path = root.sub("stem").sub(0);
        Box::new(PointStem(Block::new(&path, self.in_channels, outputs, Activation::None, false)))
    }

    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
        stacked_on_stem(self.config.stem_multiplier * channels, channels, cells, states)
    }

    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> Box<dyn Operation<Neighbours>> {
        Box::new(RowBlock(Block::new(path, plan.inputs[input], plan.channels, Activation::Relu, false)))
    }

    fn operation(
        &self,
        path: &Path,
        primitive: &str,
        plan: &CellPlan,
        _: usize,
    ) -> Option<Box<dyn Operation<Neighbours>>> {
        operation(path, primitive, plan.channels)
    }

    /// Dilation grows with the cell's place in the stack, from 1.
    fn context<'a>(&self, plan: &CellPlan, first_input: &Tensor, batch: &'a Batch) -> CellContext<'a, Neighbours> {
        let dilation = plan.position as i64 + 1;
        CellContext::Own(Neighbours::nearest(first_input, batch.len() as i64, self.config.k, dilation))
    }

    fn drop_path_units(&self, batch: &Batch) -> i64 {
        batch.len() as i64
    }

    fn head(&self, root: &Path, channels: i64, plan: &[CellPlan]) -> Box<dyn Head> {
        let stem = self.config.stem_multiplier * channels;
        let cells: i64 = plan.iter().map(|cell| cell.outputs).sum();
        Box::new(head::PointHead::new(root, stem + cells, &self.config, self.classes))
    }
}

struct PointStem(Block);

impl Stem for PointStem {
    fn forward(&self, batch: &Batch, mode: Mode) -> [Tensor; CELL_INPUTS] {
        let rows = self.0.forward(&batch.points().points.flatten(0, 1), mode.is_training());
        [rows.shallow_clone(), rows]
    }
}

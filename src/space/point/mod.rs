//! The point space (docs/method.md, "Networks"): a stem of one linear map, cells over dilated neighbour graphs of their
//! raw first input, fusion of all outputs, pooling over all points, and a classifier of the cloud or of every point.

mod config;
mod head;

pub use config::PointConfig;
pub use head::{CloudHead, OUTPUT_BIAS};

use crate::batch::Batch;
use crate::genotype::SpaceName;
use crate::ops::point::operation;
use crate::ops::{Mode, Operation, RowBlock};
use crate::space::{CellContext, CellPlan, Head, Space, Stem, stacked_on_stem};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;
use crate::topology::CellKind;
use tch::Tensor;

/// The point space for one number of classes.
#[derive(Debug, Clone)]
pub struct PointSpace {
    /// Sizes beyond those of every space.
    pub config: PointConfig,
    /// Classes of the task.
    pub classes: i64,
    /// Numbers per input point.
    pub in_channels: i64,
    /// Whether every point has a class, or every cloud.
    pub per_point: bool,
}

/// The clouds of a batch, however many targets it has.
fn clouds(batch: &Batch) -> i64 {
    batch.points().points.size()[0]
}

impl Space for PointSpace {
    const OUTPUT_BIAS: &'static str = head::OUTPUT_BIAS;
    const INPUT_WEIGHT: Option<&'static str> = Some("stem.0.body.0.weight");

    type Context = Neighbours;

    fn name(&self) -> SpaceName {
        SpaceName::POINT
    }

    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem> {
        let outputs = self.config.stem_multiplier * channels;
        let path = root.sub("stem").sub(0);
        Box::new(PointStem(Block::new(&path, self.in_channels, outputs, Activation::None, false)))
    }

    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
        stacked_on_stem(self.name().topology(), self.config.stem_multiplier * channels, channels, cells, states)
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
        CellContext::Own(Neighbours::nearest(first_input, clouds(batch), self.config.k, dilation))
    }

    fn drop_path_units(&self, batch: &Batch) -> i64 {
        clouds(batch)
    }

    fn head(&self, root: &Path, channels: i64, plan: &[CellPlan]) -> Box<dyn Head> {
        let stem = self.config.stem_multiplier * channels;
        let cells: i64 = plan.iter().map(|cell| cell.outputs).sum();
        let (inputs, config) = (stem + cells, &self.config);
        match self.per_point {
            false => Box::new(head::CloudHead::new(root, inputs, config, self.classes)),
            true => Box::new(head::SegmentationHead::new(root, inputs, config, self.classes)),
        }
    }
}

struct PointStem(Block);

impl Stem for PointStem {
    fn forward(&self, batch: &Batch, mode: Mode) -> Vec<Tensor> {
        let rows = self.0.forward(&batch.points().points.flatten(0, 1), mode.by_batch_statistics());
        vec![rows.shallow_clone(), rows]
    }
}

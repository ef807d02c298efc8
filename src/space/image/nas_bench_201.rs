//! The space of NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326; docs/method.md, "NAS-Bench-201"): three stages of
//! cells that keep the resolution, a residual block of stride 2 between them that doubles the channels, then batch norm,
//! ReLU, the mean over all pixels and a linear classifier.
//!
//! Weights have the names of the published code, which counts the residual blocks among the cells.

use super::head::{OUTPUT_BIAS, mean_over_pixels};
use super::stem::Block;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::ops::image::{Build, ReluConvolution, nas_bench_201};
use crate::ops::{Mode, Operation, Skip, State};
use crate::space::{CellContext, CellPlan, Head, Output, Space, Stage, Stem};
use crate::tensor::convolution::{Convolution, laid_out};
use crate::tensor::layers::{BatchNorm, Linear};
use crate::tensor::parameters::Path;
use crate::topology::{CellKind, Edge};
use tch::Tensor;

/// Stages of cells of one resolution and width.
pub const STAGES: usize = 3;

/// Whether networks can have so many cells, and take images of this height and width.
///
/// # Errors
/// Cells that are not as many in every stage, a side that the residual blocks don't halve evenly: with the key.
pub fn check(cells: usize, side: usize) -> Result<()> {
    if !cells.is_multiple_of(STAGES) {
        let expected = format!("a multiple of {STAGES}, as many cells in each stage");
        return Err(Error::invalid("model.cells", expected, cells.to_string()));
    }
    if !side.is_multiple_of(4) {
        let expected = "a multiple of 4, which the residual blocks halve";
        return Err(Error::invalid("data.images.size", expected, side.to_string()));
    }
    Ok(())
}

/// The space of NAS-Bench-201 for one number of classes.
#[derive(Debug, Clone)]
pub struct NasBench201Space {
    /// Classes of the task.
    pub classes: i64,
    /// The norms of a supernet's primitives have no affine parameters; all others have, as published.
    pub stage: Stage,
}

impl Space for NasBench201Space {
    const OUTPUT_BIAS: &'static str = OUTPUT_BIAS;
    const INPUT_WEIGHT: Option<&'static str> = None;

    type Context = ();

    fn name(&self) -> SpaceName {
        SpaceName::NAS_BENCH_201
    }

    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem> {
        Box::new(OneInput(Block::colours(&root.sub("stem"), channels)))
    }

    /// Positions leave a place before the second and the third stage for the residual block.
    fn plan(&self, channels: i64, cells: usize, _: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
        let stage_of = |cell: usize| cell * STAGES / cells;
        let width = |cell: usize| channels << stage_of(cell);
        let plan = |cell: usize| CellPlan {
            kind: CellKind::Normal,
            channels: width(cell),
            inputs: vec![width(cell.saturating_sub(1))],
            outputs: width(cell),
            position: cell + stage_of(cell),
            reduced_before: stage_of(cell) > stage_of(cell.saturating_sub(1)),
        };
        (0..cells).map(plan).collect()
    }

    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> Box<dyn Operation<()>> {
        if plan.reduced_before {
            return Box::new(ResidualBlock::new(path, plan.inputs[input], plan.channels));
        }
        Box::new(Skip)
    }

    /// Only a residual block has weights, and it stands one place before its cell.
    fn preprocess_name(&self, plan: &CellPlan, _: usize) -> String {
        format!("cells.{}", plan.position.saturating_sub(1))
    }

    fn mixed_edge_name(&self, edge: Edge) -> String {
        format!("edges.{}<-{}", edge.node + 1, edge.source)
    }

    fn derived_edge_name(&self, index: usize) -> String {
        format!("layers.{index}")
    }

    fn operation(&self, path: &Path, primitive: &str, plan: &CellPlan, _: usize) -> Option<Box<dyn Operation<()>>> {
        let affine = self.stage == Stage::Retraining;
        let build = Build { channels: plan.channels, stride: 1, affine, normed_pools: false };
        nas_bench_201::operation(path, primitive, build)
    }

    fn context<'a>(&self, _: &CellPlan, _: &Tensor, _: &'a Batch) -> CellContext<'a, ()> {
        CellContext::Own(())
    }

    fn drop_path_units(&self, batch: &Batch) -> i64 {
        batch.len() as i64
    }

    fn head(&self, root: &Path, _: i64, plan: &[CellPlan]) -> Box<dyn Head> {
        let channels = plan.last().expect("a network has a cell").outputs;
        Box::new(NormedHead {
            norm: BatchNorm::new(&root.sub("lastact").sub(0), channels),
            classifier: Linear::matrix(&root.sub("classifier"), channels, self.classes, true),
        })
    }
}

/// 3×3 convolution → batch norm, at `stem.0` and `stem.1`.
struct OneInput(Block);

impl Stem for OneInput {
    fn forward(&self, batch: &Batch, mode: Mode) -> Vec<Tensor> {
        vec![self.0.forward(&laid_out(&batch.images().images), mode)]
    }
}

/// The basic block of a ResNet with stride 2: two 3×3 convolutions, each after a ReLU and before a batch norm, and beside
/// them the mean over 2×2 pixels and a map of each pixel's channels.
struct ResidualBlock {
    first: ReluConvolution,
    second: ReluConvolution,
    shortcut: Convolution,
}

impl ResidualBlock {
    /// At `path` (`conv_a`, `conv_b`, `downsample.1`).
    fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        Self {
            first: ReluConvolution::square(&path.sub("conv_a"), 3, inputs, outputs, 2, true),
            second: ReluConvolution::square(&path.sub("conv_b"), 3, outputs, outputs, 1, true),
            shortcut: Convolution::pointwise(&path.sub("downsample").sub(1), inputs, outputs, 1),
        }
    }
}

impl Operation<()> for ResidualBlock {
    fn forward(&self, state: &State, (): &(), mode: Mode) -> Tensor {
        let half = State::new(self.first.forward(state, &(), mode));
        let mean = state.features.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None);
        self.second.forward(&half, &(), mode) + self.shortcut.forward(&mean)
    }
}

/// Batch norm → ReLU → mean over all pixels → linear classifier.
struct NormedHead {
    norm: BatchNorm,
    classifier: Linear,
}

impl Head for NormedHead {
    fn forward(&self, outputs: &[Tensor], _: &Batch, mode: Mode) -> Output {
        let last = outputs.last().expect("stem and cells have outputs");
        let features = self.norm.forward(last, mode.by_batch_statistics()).relu();
        Output { logits: self.classifier.forward(&mean_over_pixels(&features)), auxiliary: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_as_many_cells_and_sides_halve_evenly() {
        check(15, 32).unwrap();
        assert!(check(8, 32).unwrap_err().to_string().starts_with("model.cells: expected a multiple of 3"));
        assert!(check(3, 30).unwrap_err().to_string().starts_with("data.images.size: expected a multiple of 4"));
    }

    #[test]
    fn stages_double_their_channels_and_residual_blocks_have_places_of_their_own() {
        let space = NasBench201Space { classes: 10, stage: Stage::Retraining };
        let plan = space.plan(16, 15, &|_| 1);
        let of = |position: usize| plan.iter().find(|cell| cell.position == position);
        assert!(of(5).is_none() && of(11).is_none() && plan.len() == 15 && plan[14].position == 16);
        let sizes = |position: usize| of(position).map(|cell| (cell.channels, cell.inputs[0], cell.reduced_before));
        assert_eq!(
            [0, 4, 6, 7].map(sizes),
            [(16, 16, false), (16, 16, false), (32, 16, true), (32, 32, false)].map(Some)
        );
        assert_eq!([12, 16].map(sizes), [(64, 32, true), (64, 64, false)].map(Some));
        assert_eq!(space.preprocess_name(of(6).unwrap(), 0), "cells.5");
    }
}

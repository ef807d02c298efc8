//! The image space of DARTS (docs/method.md, "Networks"): normal cells, and reduction cells at a third and two thirds
//! of the stack that halve the resolution and double the channels; a stem for small or for large images; a mean over
//! all pixels and a linear classifier.

mod config;
mod head;
pub mod nas_bench_201;
mod stem;

pub use config::{ImageConfig, ImageStem};
pub use head::OUTPUT_WEIGHT;
pub use nas_bench_201::NasBench201Space;
pub use stem::{CifarStem, ImagenetStem};

use crate::batch::Batch;
use crate::genotype::SpaceName;
use crate::ops::Operation;
use crate::ops::image::{Build, FactorizedReduction, ReluConvolution, operation};
use crate::space::{CellContext, CellPlan, Head, Space, Stage, Stem};
use crate::tensor::parameters::Path;
use crate::topology::CellKind;
use head::ImageHead;
use tch::Tensor;

/// The image space for one number of classes.
#[derive(Debug, Clone)]
pub struct ImageSpace {
    /// Sizes beyond those of every space.
    pub config: ImageConfig,
    /// Classes of the task.
    pub classes: i64,
    /// Norms of a supernet's cells have no affine parameters, and its pools have a norm; norms of a derived network are
    /// affine, and its pools have none, as published.
    pub stage: Stage,
}

/// Which cell of a stack the auxiliary head reads.
fn auxiliary_position(cells: usize) -> usize {
    2 * cells / 3
}

impl ImageSpace {
    /// Channels of the stem's output, for cells that begin with `channels`.
    fn stem_channels(&self, channels: i64) -> i64 {
        match self.config.stem {
            ImageStem::Cifar => self.config.stem_multiplier * channels,
            ImageStem::Imagenet => channels,
        }
    }

    fn affine(&self) -> bool {
        self.stage == Stage::Retraining
    }
}

impl Space for ImageSpace {
    const OUTPUT_BIAS: &'static str = head::OUTPUT_BIAS;
    const INPUT_WEIGHT: Option<&'static str> = None;

    type Context = ();

    fn name(&self) -> SpaceName {
        SpaceName::IMAGE
    }

    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem> {
        let outputs = self.stem_channels(channels);
        match self.config.stem {
            ImageStem::Cifar => Box::new(stem::CifarStem::new(root, outputs)),
            ImageStem::Imagenet => Box::new(stem::ImagenetStem::new(root, outputs)),
        }
    }

    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
        let mut inputs = [self.stem_channels(channels); 2];
        let mut channels = channels;
        // The second input of the first cell has passed one stem more.
        let mut reduced_before = self.config.stem == ImageStem::Imagenet;
        let plan = |position| {
            let reduces = [cells / 3, 2 * cells / 3].contains(&position);
            let kind = if reduces { CellKind::Reduce } else { CellKind::Normal };
            channels *= if reduces { 2 } else { 1 };
            let outputs = channels * states(kind) as i64;
            let plan = CellPlan { kind, channels, inputs: inputs.to_vec(), outputs, position, reduced_before };
            inputs = [inputs[1], outputs];
            reduced_before = reduces;
            plan
        };
        (0..cells).map(plan).collect()
    }

    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> Box<dyn Operation<()>> {
        let (inputs, outputs) = (plan.inputs[input], plan.channels);
        if input == 0 && plan.reduced_before {
            return Box::new(FactorizedReduction::new(path, inputs, outputs, self.affine()));
        }
        Box::new(ReluConvolution::new(path, inputs, outputs, self.affine()))
    }

    fn operation(
        &self,
        path: &Path,
        primitive: &str,
        plan: &CellPlan,
        source: usize,
    ) -> Option<Box<dyn Operation<()>>> {
        let halves = plan.kind == CellKind::Reduce && source < plan.inputs.len();
        let build = Build {
            channels: plan.channels,
            stride: if halves { 2 } else { 1 },
            affine: self.affine(),
            normed_pools: self.stage == Stage::Search,
        };
        operation(path, primitive, build)
    }

    fn context<'a>(&self, _: &CellPlan, _: &Tensor, _: &'a Batch) -> CellContext<'a, ()> {
        CellContext::Own(())
    }

    fn drop_path_units(&self, batch: &Batch) -> i64 {
        batch.len() as i64
    }

    fn head(&self, root: &Path, _: i64, plan: &[CellPlan]) -> Box<dyn Head> {
        let head = ImageHead::new(root, plan, self.classes);
        let learns_twice = self.config.auxiliary && self.stage == Stage::Retraining;
        Box::new(if learns_twice { head.with_auxiliary(root, plan, self.classes, self.config.stem) } else { head })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(stem: ImageStem, channels: i64, cells: usize) -> Vec<CellPlan> {
        let space = ImageSpace {
            config: ImageConfig { stem, ..ImageConfig::default() },
            classes: 10,
            stage: Stage::Retraining,
        };
        space.plan(channels, cells, &|kind| if kind == CellKind::Reduce { 3 } else { 4 })
    }

    #[test]
    fn cells_reduce_at_a_third_and_two_thirds_and_double_their_channels() {
        let plan = plan(ImageStem::Cifar, 36, 20);
        let reduces: Vec<usize> =
            plan.iter().filter(|cell| cell.kind == CellKind::Reduce).map(|cell| cell.position).collect();
        assert_eq!(reduces, [6, 13]);
        let channels = |position: usize| (plan[position].channels, &plan[position].inputs[..], plan[position].outputs);
        assert_eq!(channels(0), (36, &[108, 108][..], 144));
        assert_eq!(channels(6), (72, &[144, 144][..], 216));
        assert_eq!(channels(7), (72, &[144, 216][..], 288));
        assert_eq!(channels(19), (144, &[576, 576][..], 576));
        let larger: Vec<usize> = plan.iter().filter(|cell| cell.reduced_before).map(|cell| cell.position).collect();
        assert_eq!(larger, [7, 14]);
    }

    #[test]
    fn the_stem_for_large_images_reduces_between_the_inputs_of_the_first_cell() {
        let plan = plan(ImageStem::Imagenet, 48, 14);
        assert!(plan[0].reduced_before && !plan[1].reduced_before);
        assert_eq!((plan[0].channels, &plan[0].inputs[..]), (48, &[48, 48][..]));
    }
}

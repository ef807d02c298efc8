//! A space of point clouds in one file: three nodes that keep one edge each, which may be none; what nothing reads is the
//! cell's output.

use sgas::batch::{Batch, BatchKind};
use sgas::genotype::{SpaceDescription, SpaceName};
use sgas::model::NetworkSpec;
use sgas::ops::{Mode, Operation, Primitive, RowBlock, Skip, State, build, names};
use sgas::space::{CellContext, CellPlan, Head, Output, Space, Stage, Stem, stacked_on_stem};
use sgas::tensor::layers::{Activation, Block, Linear, maximum_over_points};
use sgas::tensor::parameters::Path;
use sgas::topology::{CellKind, CellOutput, Keeps, NoneRule, Topology};
use tch::Tensor;

/// What an edge may compute. A line adds another.
const PRIMITIVES: [Primitive<Clouds, i64>; 4] = [
    Primitive::none(),
    Primitive::new("skip_connect", |_, _| Box::new(Skip)),
    Primitive::new("linear", |path, channels| Box::new(RowBlock(block(path, channels, channels)))),
    Primitive::new("cloud_maximum", |path, channels| Box::new(CloudMaximum(block(path, channels, channels)))),
];

/// What makes the space known.
pub static DESCRIPTION: SpaceDescription = SpaceDescription {
    name: "toy",
    aliases: &[],
    takes: BatchKind::Points,
    labels_points: false,
    primitives: &names(&PRIMITIVES),
    retrained: &[],
    topology: Topology::new(3)
        .with_inputs(1)
        .keeping(Keeps::Edges(1))
        .with_none(NoneRule::Choosable)
        .putting_out(CellOutput::Leaves),
    kinds: &[CellKind::Normal],
};

/// What operations read besides features: into how many clouds the rows fall.
pub struct Clouds(i64);

fn block(path: &Path, inputs: i64, outputs: i64) -> Block {
    Block::new(path, inputs, outputs, Activation::Relu, false)
}

/// The maximum over the cloud of a map of its points, for each of them: rows (R, C) to rows (R, C).
struct CloudMaximum(Block);

impl Operation<Clouds> for CloudMaximum {
    fn forward(&self, state: &State, clouds: &Clouds, mode: Mode) -> Tensor {
        let rows = self.0.forward(&state.features, mode.by_batch_statistics());
        let channels = rows.size()[1];
        let apart = rows.view([clouds.0, -1, channels]);
        maximum_over_points(&apart).unsqueeze(1).expand_as(&apart).reshape([-1, channels])
    }
}

/// The space for one number of classes.
pub struct Toy {
    classes: i64,
    in_channels: i64,
}

impl Toy {
    /// Of a network's sizes.
    pub fn new(spec: &NetworkSpec, _: Stage) -> Self {
        Self { classes: spec.classes as i64, in_channels: spec.in_channels }
    }
}

impl Space for Toy {
    const OUTPUT_BIAS: &'static str = "classifier.bias";
    const INPUT_WEIGHT: Option<&'static str> = Some("stem.body.0.weight");
    type Context = Clouds;

    fn name(&self) -> SpaceName {
        SpaceName::of(&DESCRIPTION)
    }

    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem> {
        Box::new(ToyStem(block(&root.sub("stem"), self.in_channels, channels)))
    }

    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
        stacked_on_stem(DESCRIPTION.topology, channels, channels, cells, states)
    }

    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> Box<dyn Operation<Clouds>> {
        Box::new(RowBlock(block(path, plan.inputs[input], plan.channels)))
    }

    fn operation(&self, path: &Path, primitive: &str, plan: &CellPlan, _: usize) -> Option<Box<dyn Operation<Clouds>>> {
        build(&PRIMITIVES, path, primitive, plan.channels)
    }

    fn context<'a>(&self, _: &CellPlan, _: &Tensor, batch: &'a Batch) -> CellContext<'a, Clouds> {
        CellContext::Own(Clouds(batch.len() as i64))
    }

    fn drop_path_units(&self, batch: &Batch) -> i64 {
        batch.len() as i64
    }

    fn head(&self, root: &Path, _: i64, plan: &[CellPlan]) -> Box<dyn Head> {
        let inputs = plan.last().expect("a network has a cell").outputs;
        Box::new(ToyHead(Linear::new(&root.sub("classifier"), inputs, self.classes, true)))
    }
}

struct ToyStem(Block);

impl Stem for ToyStem {
    fn forward(&self, batch: &Batch, mode: Mode) -> Vec<Tensor> {
        vec![self.0.forward(&batch.points().points.flatten(0, 1), mode.by_batch_statistics())]
    }
}

/// The maximum over all points, then one linear map.
struct ToyHead(Linear);

impl Head for ToyHead {
    fn forward(&self, outputs: &[Tensor], batch: &Batch, _: Mode) -> Output {
        let last = outputs.last().expect("a network has a cell");
        let apart = last.view([batch.len() as i64, -1, last.size()[1]]);
        Output { logits: self.0.forward(&maximum_over_points(&apart)), auxiliary: None }
    }
}

//! The space of NAS-Bench-Graph (Qin et al. 2022, arXiv 2206.09166; docs/method.md, "NAS-Bench-Graph"): dropout and
//! perhaps a linear layer, one cell along the links of the batch, and a classifier of every node behind the ReLU of the
//! cell's leaves.

mod config;

pub use config::NasBenchGraphConfig;

use crate::batch::Batch;
use crate::genotype::{CellGenotype, Genotype, SpaceName};
use crate::ops::nas_bench_graph::{Reading, Rows, operation};
use crate::ops::{Mode, Operation, Skip, State};
use crate::space::{CellContext, CellPlan, Head, Output, Space, Stage, Stem, stacked_on_stem};
use crate::tensor::layers::Linear;
use crate::tensor::links::Links;
use crate::tensor::parameters::Path;
use crate::tensor::sparse;
use crate::topology::CellKind;
use tch::Tensor;

/// The primitive that hands on what it reads, raw features among it.
const SKIP: &str = "skip";

/// The space for one number of classes.
#[derive(Debug, Clone)]
pub struct NasBenchGraphSpace {
    config: NasBenchGraphConfig,
    classes: i64,
    in_channels: i64,
    /// Whether a linear layer stands before the first cell.
    narrowed: bool,
    /// The states of the first cell that are the raw features, and how many of them it puts out.
    raw: Vec<bool>,
    raw_outputs: usize,
}

impl NasBenchGraphSpace {
    /// For nodes of so many numbers. A supernet mixes `skip` with operators, so its states are all of one width.
    pub fn new(config: NasBenchGraphConfig, classes: i64, in_channels: i64, stage: Stage) -> Self {
        let narrowed = config.layers_before > 0 || stage == Stage::Search;
        Self { config, classes, in_channels, narrowed, raw: vec![!narrowed], raw_outputs: 0 }
    }

    fn is_raw(&self, plan: &CellPlan, source: usize) -> bool {
        plan.position == 0 && self.raw.get(source).copied().unwrap_or(false)
    }
}

/// The states of a cell that hand on its input through `skip` alone, the input among them.
fn handed_on(cell: &CellGenotype) -> Vec<bool> {
    let mut raw = vec![true];
    for (_, primitive, source) in cell.edges_with_nodes() {
        raw.push(primitive == SKIP && raw[source]);
    }
    raw
}

impl Space for NasBenchGraphSpace {
    const OUTPUT_BIAS: &'static str = "classifier.bias";
    const INPUT_WEIGHT: Option<&'static str> = Some("stem.weight");

    type Context = Links;

    fn name(&self) -> SpaceName {
        SpaceName::NAS_BENCH_GRAPH
    }

    fn of_cell(mut self, genotype: &Genotype) -> Self {
        if !self.narrowed {
            self.raw = handed_on(&genotype.normal);
            self.raw_outputs = genotype.normal.concat.iter().filter(|state| self.raw[**state]).count();
        }
        self
    }

    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem> {
        let map = self.narrowed.then(|| Linear::matrix(&root.sub("stem"), self.in_channels, channels, true));
        Box::new(NarrowedFeatures { dropout: self.config.dropout, map, mapped_by_all: self.raw_outputs == 0 })
    }

    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
        let width = if self.narrowed { channels } else { self.in_channels };
        let mut plans = stacked_on_stem(self.name().topology(), width, channels, cells, states);
        let wider = self.raw_outputs as i64 * (self.in_channels - channels);
        if let Some(first) = plans.first_mut() {
            first.outputs += wider;
        }
        if let Some(second) = plans.get_mut(1) {
            second.inputs[0] += wider;
        }
        plans
    }

    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> Box<dyn Operation<Links>> {
        if plan.position == 0 {
            return Box::new(Skip);
        }
        Box::new(Narrowing(Linear::matrix(path, plan.inputs[input], plan.channels, true)))
    }

    fn operation(
        &self,
        path: &Path,
        primitive: &str,
        plan: &CellPlan,
        source: usize,
    ) -> Option<Box<dyn Operation<Links>>> {
        let raw = self.is_raw(plan, source);
        let inputs = if raw { self.in_channels } else { plan.channels };
        operation(path, primitive, Reading { inputs, outputs: plan.channels, raw, dropout: self.config.dropout })
    }

    fn context<'a>(&self, _: &CellPlan, _: &Tensor, batch: &'a Batch) -> CellContext<'a, Links> {
        CellContext::OfBatch(&batch.graphs().links)
    }

    fn drop_path_units(&self, batch: &Batch) -> i64 {
        batch.graphs().links.nodes()
    }

    fn head(&self, root: &Path, channels: i64, plan: &[CellPlan]) -> Box<dyn Head> {
        let mut inputs = plan.last().expect("a network has a cell").outputs;
        let hidden = (self.config.layers_after > 0).then(|| {
            let hidden = Linear::matrix(&root.sub("hidden"), inputs, channels, true);
            inputs = channels;
            hidden
        });
        let classifier = Linear::matrix(&root.sub("classifier"), inputs, self.classes, true);
        Box::new(LeafHead { hidden, classifier })
    }
}

/// The features after dropout, or a linear map of them. Features that are nearly all zeros go on as a sparse matrix where
/// operators alone read them.
struct NarrowedFeatures {
    dropout: f64,
    map: Option<Linear>,
    mapped_by_all: bool,
}

impl Stem for NarrowedFeatures {
    fn forward(&self, batch: &Batch, mode: Mode) -> Vec<Tensor> {
        let (features, training) = (&batch.graphs().features, mode.is_training());
        // Drop path would multiply what a `skip` hands on.
        let may_be_sparse = self.map.is_some() || self.mapped_by_all && mode.drop_path() == 0.0;
        let read = if may_be_sparse {
            sparse::dropped_for_products(features, self.dropout, training)
        } else {
            features.dropout(self.dropout, training)
        };
        vec![match &self.map {
            Some(map) => Rows::new(read).map(map),
            None => read,
        }]
    }
}

/// What brings the output of a cell to the width of the next.
struct Narrowing(Linear);

impl Operation<Links> for Narrowing {
    fn forward(&self, state: &State, _: &Links, _: Mode) -> Tensor {
        self.0.forward(&state.features)
    }
}

/// One or two linear maps of the leaves behind a ReLU; of the nodes that count alone.
struct LeafHead {
    hidden: Option<Linear>,
    classifier: Linear,
}

impl Head for LeafHead {
    fn forward(&self, outputs: &[Tensor], batch: &Batch, _: Mode) -> Output {
        let leaves = outputs.last().expect("a network has a cell");
        let rows = batch.graphs().of_scored(leaves);
        let active = rows.relu();
        let hidden = self.hidden.as_ref().map_or_else(|| active.shallow_clone(), |hidden| hidden.forward(&active));
        Output { logits: self.classifier.forward(&hidden), auxiliary: None }
    }
}

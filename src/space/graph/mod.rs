//! The graph space (docs/method.md, "Networks"): a stem of one linear map, cells along the links of the batch, and a
//! linear classifier of every node.

mod config;

pub use config::GraphConfig;

use crate::batch::{Batch, GraphBatch};
use crate::genotype::SpaceName;
use crate::ops::graph::operation;
use crate::ops::{Mode, Operation, RowBlock, State};
use crate::space::{CellContext, CellPlan, Head, Output, Space, Stem, stacked_on_stem};
use crate::tensor::layers::{Activation, Block, Linear};
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::parameters::{Norms, Path};
use crate::tensor::precision::at_least_single;
use crate::tensor::sparse;
use crate::topology::CellKind;
use tch::Tensor;

/// Channels of the stem per channel of a node.
const STEM_MULTIPLIER: i64 = 3;

/// The graph space of these dropouts for one number of classes or labels.
#[derive(Debug, Clone)]
pub struct GraphSpace {
    /// `[graph]`
    pub config: GraphConfig,
    /// Classes or labels of the task.
    pub classes: i64,
    /// Numbers per node.
    pub in_channels: i64,
}

impl Space for GraphSpace {
    const OUTPUT_BIAS: &'static str = "classifier.bias";
    const INPUT_WEIGHT: Option<&'static str> = Some("stem.0.body.0.weight");

    type Context = Links;

    fn name(&self) -> SpaceName {
        SpaceName::GRAPH
    }

    fn norms(&self) -> Norms {
        self.config.norm
    }

    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem> {
        let path = root.sub("stem").sub(0);
        Box::new(GraphStem {
            block: Block::matrix(&path, self.in_channels, STEM_MULTIPLIER * channels, Activation::None),
            dropout: self.config.feature_dropout,
        })
    }

    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
        stacked_on_stem(self.name().topology(), STEM_MULTIPLIER * channels, channels, cells, states)
    }

    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> Box<dyn Operation<Links>> {
        let block = RowBlock(Block::matrix(path, plan.inputs[input], plan.channels, Activation::Relu));
        match self.config.dropout {
            0.0 => Box::new(block),
            dropout => Box::new(Dropped { block, dropout }),
        }
    }

    fn operation(&self, path: &Path, primitive: &str, plan: &CellPlan, _: usize) -> Option<Box<dyn Operation<Links>>> {
        operation(path, primitive, plan.channels)
    }

    fn context<'a>(&self, _: &CellPlan, _: &Tensor, batch: &'a Batch) -> CellContext<'a, Links> {
        CellContext::OfBatch(&batch.graphs().links)
    }

    fn drop_path_units(&self, batch: &Batch) -> i64 {
        batch.graphs().links.nodes()
    }

    fn head(&self, root: &Path, _: i64, plan: &[CellPlan]) -> Box<dyn Head> {
        let last = plan.last().expect("a network has a cell");
        Box::new(GraphHead {
            classifier: Linear::matrix(&root.sub("classifier"), last.outputs + 1, self.classes, true),
            config: self.config.clone(),
        })
    }
}

/// x with dropout, where there is any.
pub fn dropped(x: &Tensor, dropout: f64, mode: Mode) -> Tensor {
    if dropout > 0.0 { x.dropout(dropout, mode.is_training()) } else { x.shallow_clone() }
}

struct GraphStem {
    block: Block,
    dropout: f64,
}

impl Stem for GraphStem {
    fn forward(&self, batch: &Batch, mode: Mode) -> Vec<Tensor> {
        let read = sparse::dropped_for_products(&batch.graphs().features, self.dropout, mode.is_training());
        let rows = self.block.forward(&read, mode.by_batch_statistics());
        vec![rows.shallow_clone(), rows]
    }
}

/// A block of features with dropout.
struct Dropped {
    block: RowBlock,
    dropout: f64,
}

impl Operation<Links> for Dropped {
    fn forward(&self, state: &State, links: &Links, mode: Mode) -> Tensor {
        self.block.forward(&State::new(dropped(&state.features, self.dropout, mode)), links, mode)
    }
}

/// The mean of a node's features joined to them, then one linear map; of the nodes that count alone.
struct GraphHead {
    classifier: Linear,
    config: GraphConfig,
}

impl Head for GraphHead {
    fn forward(&self, outputs: &[Tensor], batch: &Batch, mode: Mode) -> Output {
        let last = outputs.last().expect("a network has a cell");
        let classify = |rows: &Tensor| {
            let mean = rows.mean_dim([1_i64].as_slice(), true, None);
            self.classifier.forward(&dropped(&Tensor::cat(&[mean, rows.shallow_clone()], 1), self.config.dropout, mode))
        };
        Output { logits: scored(last, batch.graphs(), &self.config, classify), auxiliary: None }
    }
}

/// The scores of the nodes that count: what `classify` makes of rows of features, propagated as the configuration says
/// by personalised PageRank, Z ← (1 − t) Â Z + t H (Gasteiger et al. 2019, arXiv 1810.05997).
pub fn scored(
    features: &Tensor,
    graphs: &GraphBatch,
    config: &GraphConfig,
    classify: impl FnOnce(&Tensor) -> Tensor,
) -> Tensor {
    if config.propagation == 0 {
        return classify(&graphs.of_scored(features));
    }
    let own = classify(features);
    // Every step would round half precision once more.
    let own = own.to_kind(at_least_single(own.kind()));
    let mut scores = own.shallow_clone();
    for _ in 0..config.propagation {
        let sums = graphs.links.aggregates(&scores, &[Aggregate::NormalizedSum]);
        let neighbours = sums.into_iter().flatten().next().expect("what was asked for");
        scores = neighbours * (1.0 - config.teleport) + &own * config.teleport;
    }
    graphs.of_scored(&scores)
}

//! One shot: a supernet that is trained one random cell at a time, whose shared weights then score random cells (Bender,
//! Kindermans, Zoph, Vasudevan and Le, ICML 2018; Guo and others, "Single Path One-Shot Neural Architecture Search with
//! Uniform Sampling", ECCV 2020, arXiv:1904.00420; Li and Talwalkar, "Random Search and Reproducibility for Neural
//! Architecture Search", UAI 2019, arXiv:1902.07638). No alphas are learned (docs/method.md, "One shot").

use super::{Answer, Change, Probe, Setting, Strategy};
use crate::bounds;
use crate::decision::primitives_of_edges;
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::report::{CandidateReport, NamedScores};
use crate::search::candidates::{Cells, draw, genotype};
use crate::task::Metrics;
use crate::tensor::random::Key;
use crate::topology::Topology;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[search.one_shot]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OneShotConfig {
    /// Random cells that the trained supernet scores; the best of them is found.
    pub cells: usize,
}

impl Default for OneShotConfig {
    fn default() -> Self {
        Self { cells: 100 }
    }
}

impl OneShotConfig {
    /// # Errors
    /// A number outside its range.
    pub fn validate(&self) -> Result<()> {
        bounds::check("search.one_shot.cells", &self.cells, &bounds::CANDIDATES, "cells")
    }
}

/// The strategy.
pub(super) struct OneShot {
    epochs: usize,
    cells: usize,
}

/// With its usual number of cells, as long as a search by SGAS.
pub(super) fn make(setting: &Setting) -> Box<dyn Strategy> {
    let epochs = setting.decision.epochs(setting.space.topology());
    Box::new(OneShot::new(epochs, &OneShotConfig::default()))
}

impl OneShot {
    /// A supernet trained for so many epochs.
    pub(super) fn new(epochs: usize, config: &OneShotConfig) -> Self {
        Self { epochs, cells: config.cells }
    }
}

impl Strategy for OneShot {
    fn epochs(&self) -> usize {
        self.epochs
    }

    fn learns_alphas(&self) -> bool {
        false
    }

    fn path(&self, space: SpaceName, key: Key) -> Option<Cells> {
        Some(draw(space, &mut key.generator()))
    }

    fn after_epoch(&mut self, epoch: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        if epoch + 1 < self.epochs {
            return Ok(Answer::default());
        }
        let space = probe.space();
        let mut candidates = Vec::with_capacity(self.cells);
        let mut best: Option<(Cells, Metrics)> = None;
        for cells in probe.sample(self.cells)? {
            let metrics = probe.validate_cell(&cells)?;
            let Metrics { score, loss, .. } = metrics;
            if !score.is_finite() || !loss.is_finite() {
                return Err(Error::run(format!("a cell has the loss {loss} and the score {score} by shared weights"))
                    .with_hint("the search diverged: lower the learning rate, or search in fp32"));
            }
            let genotype = genotype(space, &cells);
            candidates.push(CandidateReport { epoch, trained: 0, genotype, score, loss });
            let is_better = |(_, other): &(Cells, Metrics)| (score, -loss) > (other.score, -other.loss);
            if best.as_ref().is_none_or(is_better) {
                best = Some((cells, metrics));
            }
        }
        let (cells, metrics) = best.expect("at least one cell is scored");
        let changes = fix_all(space.topology(), &cells, metrics.score);
        Ok(Answer { changes, candidates, ..Answer::default() })
    }
}

/// Fixes the edges of these cells; the others leave with the last edge that their node keeps.
fn fix_all(topology: Topology, cells: &Cells, score: f64) -> Vec<Change> {
    let fix = |(kind, edge, primitive)| Change::Fix {
        kind,
        edge,
        primitive,
        scores: NamedScores(vec![("shared weights' score".to_owned(), score)]),
        runner_up: None,
        confidence: None,
    };
    let of_kind = cells.iter().flat_map(|(kind, cell)| {
        let edges = primitives_of_edges(topology, cell).into_iter().enumerate();
        edges.filter_map(|(edge, primitive)| primitive.map(|primitive| (*kind, edge, primitive)))
    });
    of_kind.map(fix).collect()
}

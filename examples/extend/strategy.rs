//! A strategy that looks at the validation loss without each primitive: at every epoch each open edge loses the one that
//! is missed least, until it has one; then every node keeps the edge that is missed most.

use sgas::error::Result;
use sgas::model::Mask;
use sgas::report::NamedScores;
use sgas::search::strategy::{Answer, Change, Probe, Setting, Strategy, StrategyDescription};
use sgas::topology::CellKind;

/// What makes it known.
pub static DESCRIPTION: StrategyDescription = StrategyDescription {
    name: "drop-worst",
    about: "Drops what validation misses least",
    trains: true,
    initial_scale: None,
    make,
};

/// Epochs that the decided cell trains on.
const EPOCHS_AFTER: usize = 1;

struct DropWorst {
    epochs: usize,
}

fn make(setting: &Setting) -> Box<dyn Strategy> {
    // One after which every edge has one primitive, and one that decides the edges.
    let dropping = setting.space.derived_primitives().count() - 1;
    Box::new(DropWorst { epochs: dropping + 1 + EPOCHS_AFTER })
}

impl Strategy for DropWorst {
    fn epochs(&self) -> usize {
        self.epochs
    }

    fn after_epoch(&mut self, _: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        let mut answer = Answer::default();
        for kind in probe.kinds() {
            let open: Vec<(usize, Vec<usize>)> = (0..probe.space().topology().edge_count())
                .map(|edge| (edge, probe.mixed(kind, edge)))
                .filter(|(_, primitives)| !primitives.is_empty())
                .collect();
            if open.iter().any(|(_, primitives)| primitives.len() > 1) {
                for (edge, primitives) in open.into_iter().filter(|(_, primitives)| primitives.len() > 1) {
                    let primitive = missed_least(probe, kind, edge, &primitives)?;
                    answer.changes.push(Change::Drop { kind, edge, primitive });
                }
            } else {
                answer.changes.extend(missed_most(probe, kind, &open)?);
            }
        }
        Ok(answer)
    }
}

/// The loss without a primitive, or without a whole edge.
fn loss_without(probe: &mut Probe<'_>, kind: CellKind, edge: usize, primitive: Option<usize>) -> Result<f64> {
    Ok(probe.validate(&[Mask { kind, edge, primitive }])?.loss)
}

fn missed_least(probe: &mut Probe<'_>, kind: CellKind, edge: usize, primitives: &[usize]) -> Result<usize> {
    let mut least = (primitives[0], f64::INFINITY);
    for &primitive in primitives {
        let loss = loss_without(probe, kind, edge, Some(primitive))?;
        if loss < least.1 {
            least = (primitive, loss);
        }
    }
    Ok(least.0)
}

/// A decision for every node with an open edge.
fn missed_most(probe: &mut Probe<'_>, kind: CellKind, open: &[(usize, Vec<usize>)]) -> Result<Vec<Change>> {
    let topology = probe.space().topology();
    let mut decisions = Vec::new();
    for node in 0..topology.steps() {
        let mut most: Option<(usize, usize, f64)> = None;
        for (edge, primitives) in open.iter().filter(|(edge, _)| topology.edges_into(node).contains(edge)) {
            let loss = loss_without(probe, kind, *edge, None)?;
            if most.is_none_or(|(_, _, greatest)| loss > greatest) {
                most = Some((*edge, primitives[0], loss));
            }
        }
        decisions.extend(most.map(|(edge, primitive, loss)| {
            let scores = NamedScores(vec![("loss_without".to_owned(), loss)]);
            Change::Fix { kind, edge, primitive, scores, runner_up: None, confidence: None }
        }));
    }
    Ok(decisions)
}

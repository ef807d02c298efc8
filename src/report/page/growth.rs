//! The cell as it grew: a picture for every decision with the reasons for it, all decisions in one table, and the alphas over
//! the epochs.

use super::curves::number;
use crate::decision::{EdgeState, best_primitive, softmax};
use crate::genotype::{Genotype, SpaceName};
use crate::report::history::History;
use crate::report::percent;
use crate::report::svg::{CellDrawing, draw_in_page};
use crate::report::{AlphaReport, DecisionReport, NamedScores};
use crate::topology::CellKind;
use minijinja::Value;
use serde::Serialize;
use std::collections::BTreeSet;

/// Epochs that a map of alphas shows; of more, evenly spread ones.
const MOST_EPOCHS: usize = 400;

/// The cell at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    /// When, in a few words.
    pub label: String,
    /// What was decided then.
    pub decisions: Vec<String>,
    /// One per kind of cell.
    pub drawings: Vec<Drawing>,
    /// The reasons, one table per kind of cell.
    pub reasons: Vec<Reasons>,
}

/// A drawing of a kind of cell.
#[derive(Debug, Clone, Serialize)]
pub struct Drawing {
    /// The kind.
    pub kind: &'static str,
    /// An element of SVG.
    pub svg: Value,
    /// The same in words: an edge each.
    pub words: Vec<String>,
}

/// The edges that stood to choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reasons {
    /// The kind of cell.
    pub kind: &'static str,
    /// Names of what was measured.
    pub measures: Vec<String>,
    /// An edge each.
    pub edges: Vec<Reason>,
}

/// An edge that stood to choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// Its number.
    pub edge: usize,
    /// The state that it reads.
    pub from: String,
    /// The node that it leads into.
    pub to: String,
    /// The primitive with the greatest share.
    pub leading: String,
    /// That share.
    pub share: String,
    /// A value per measure.
    pub values: Vec<String>,
    /// `chosen`, `runner-up`, `pruned`, or nothing.
    pub role: &'static str,
}

/// A decision as a row of the table of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decided {
    /// Epoch at whose end it was made.
    pub epoch: usize,
    /// The kind of cell.
    pub kind: &'static str,
    /// The edge in words.
    pub edge: String,
    /// What it became.
    pub primitive: String,
    /// A value per measure.
    pub values: Vec<String>,
    /// The edge that came second, with its score.
    pub runner_up: String,
    /// The score less that of the runner-up.
    pub margin: String,
    /// In what share of replicas the same was decided.
    pub sure: String,
    /// Edges that went with it.
    pub pruned: String,
}

/// All decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decisions {
    /// Names of what was measured.
    pub measures: Vec<String>,
    /// In order.
    pub rows: Vec<Decided>,
}

/// The alphas of a kind of cell over the epochs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heat {
    /// The kind of cell.
    pub kind: &'static str,
    /// Epochs, ascending.
    pub epochs: Vec<usize>,
    /// Names of the primitives.
    pub primitives: Vec<&'static str>,
    /// One per edge.
    pub edges: Vec<HeatEdge>,
}

/// The alphas of an edge over the epochs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeatEdge {
    /// The edge in words.
    pub name: String,
    /// What became of it.
    pub fate: String,
    /// The epoch in which it was decided or pruned.
    pub closed: Option<usize>,
    /// The place of its primitive.
    pub primitive: Option<usize>,
    /// Softmax of the alphas: a row per primitive, a column per epoch.
    pub shares: Vec<Vec<f64>>,
    /// The primitive with the greatest share at the end, and the share.
    pub leading: String,
}

/// `node 1 ← input 0`.
fn edge_words(space: SpaceName, edge: usize) -> String {
    let topology = space.topology();
    let edge = topology.edge(edge);
    let name = |state| topology.state_name(state);
    format!("{} ← {}", name(topology.state_of(edge.node)), name(edge.source))
}

/// The cell from its beginning to where it stands; of a run without alphas the cell alone.
pub fn frames(history: &History, space: Option<SpaceName>, genotype: Option<&Genotype>) -> Vec<Frame> {
    let mut frames = space.map_or_else(Vec::new, |space| of_search(history, space));
    if frames.is_empty() {
        frames.extend(genotype.map(of_cell));
    }
    frames
}

/// A cell alone.
pub fn of_cell(genotype: &Genotype) -> Frame {
    let drawing = |kind: &CellKind| {
        let cell = genotype.cell(*kind)?;
        let name = |state| cell.topology.state_name(state);
        let words = cell.edges_with_nodes().map(|(node, primitive, source)| {
            format!("{} ← {}: {primitive}", name(cell.topology.state_of(node)), name(source))
        });
        let svg = draw_in_page(&CellDrawing::from_cell(&format!("{kind} cell"), cell));
        Some(Drawing { kind: kind.name(), svg: Value::from_safe_string(svg), words: words.collect() })
    };
    let drawings = genotype.space.kinds().iter().filter_map(drawing).collect();
    Frame { label: "The cell".to_owned(), decisions: Vec::new(), drawings, reasons: Vec::new() }
}

fn of_search(history: &History, space: SpaceName) -> Vec<Frame> {
    let first: Vec<&AlphaReport> =
        space.kinds().iter().filter_map(|kind| history.alphas.iter().find(|report| report.kind == *kind)).collect();
    if first.is_empty() {
        return Vec::new();
    }
    let all_open = |report: &&AlphaReport| {
        let states = vec![EdgeState::Open; report.states.len()];
        drawing(space, &AlphaReport { states, ..(*report).clone() })
    };
    let mut frames = vec![Frame {
        label: "Before the first decision".to_owned(),
        decisions: Vec::new(),
        drawings: first.iter().map(all_open).collect(),
        reasons: Vec::new(),
    }];
    let deciding: BTreeSet<usize> = history.decisions.iter().map(|decision| decision.epoch).collect();
    frames.extend(deciding.iter().filter_map(|epoch| frame(history, space, *epoch)));
    // Once every edge is closed nothing of the cell changes any more.
    let last = history.alphas.last().map_or(0, |report| report.epoch);
    let is_open = |report: &AlphaReport| report.epoch == last && report.states.contains(&EdgeState::Open);
    if deciding.last().is_none_or(|decided| *decided < last) && history.alphas.iter().any(is_open) {
        frames.extend(frame(history, space, last));
    }
    frames
}

/// The cell at the end of an epoch, whose alphas must be known.
fn frame(history: &History, space: SpaceName, epoch: usize) -> Option<Frame> {
    let reports: Vec<&AlphaReport> = history.alphas.iter().filter(|report| report.epoch == epoch).collect();
    if reports.is_empty() {
        return None;
    }
    let decisions: Vec<&DecisionReport> = history.decisions.iter().filter(|decision| decision.epoch == epoch).collect();
    let reasons = reports.iter().filter_map(|report| reasons(space, report, &decisions));
    Some(Frame {
        label: format!("Epoch {epoch}"),
        decisions: decisions.iter().map(|decision| sentence(space, decision)).collect(),
        drawings: reports.iter().map(|report| drawing(space, report)).collect(),
        reasons: reasons.collect(),
    })
}

fn drawing(space: SpaceName, report: &AlphaReport) -> Drawing {
    let (topology, primitives) = (space.topology(), space.primitives());
    let leading: Vec<usize> = report.alphas.iter().map(|alphas| best_primitive(topology, alphas)).collect();
    let title = format!("{} cell, epoch {}", report.kind, report.epoch);
    let drawing = CellDrawing::from_states(&title, topology, &report.states, &leading, primitives);
    let words = report.states.iter().enumerate().filter_map(|(edge, state)| match state {
        EdgeState::Fixed(primitive) => Some(format!("{}: {}", edge_words(space, edge), primitives[*primitive])),
        EdgeState::Open => Some(format!("{}: open, {} leads", edge_words(space, edge), primitives[leading[edge]])),
        EdgeState::Pruned => None,
    });
    Drawing { kind: report.kind.name(), svg: Value::from_safe_string(draw_in_page(&drawing)), words: words.collect() }
}

fn sentence(space: SpaceName, decision: &DecisionReport) -> String {
    let pruned: Vec<String> = decision.pruned.iter().map(|edge| edge_words(space, *edge)).collect();
    let pruned = if pruned.is_empty() { String::new() } else { format!("; superfluous now: {}", pruned.join(", ")) };
    let edge = edge_words(space, decision.edge);
    format!("{} cell: edge {} ({edge}) becomes {}{pruned}", decision.kind, decision.edge, decision.primitive)
}

/// The edges that stood to choice in an epoch, the best first; nothing where nothing was decided.
fn reasons(space: SpaceName, report: &AlphaReport, decisions: &[&DecisionReport]) -> Option<Reasons> {
    let (topology, primitives) = (space.topology(), space.primitives());
    let of_kind: Vec<&&DecisionReport> = decisions.iter().filter(|decision| decision.kind == report.kind).collect();
    let first = of_kind.first()?;
    let measures = first.score.0.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let role = |edge: usize| {
        if of_kind.iter().any(|decision| decision.edge == edge) {
            return Some("chosen");
        }
        let is_runner_up = first.runner_up.is_some_and(|(second, _)| second == edge);
        let is_pruned = of_kind.iter().any(|decision| decision.pruned.contains(&edge));
        match report.states[edge] {
            _ if is_runner_up => Some("runner-up"),
            _ if is_pruned => Some("pruned"),
            EdgeState::Open => Some(""),
            EdgeState::Fixed(_) | EdgeState::Pruned => None,
        }
    };
    let reason = |edge: usize| {
        let role = role(edge)?;
        let decided = of_kind.iter().find(|decision| decision.edge == edge);
        let scores = decided.map(|decision| &decision.score).or_else(|| report.scores.get(edge));
        let shares = softmax(&report.alphas[edge]);
        let leading = best_primitive(topology, &report.alphas[edge]);
        let place = topology.edge(edge);
        let rank = scores.and_then(|scores| scores.get("score")).unwrap_or(f64::NEG_INFINITY);
        let reason = Reason {
            edge,
            from: topology.state_name(place.source),
            to: topology.state_name(topology.state_of(place.node)),
            leading: primitives[leading].to_owned(),
            share: percent(shares[leading]),
            values: values(scores, &measures),
            role,
        };
        Some((rank, reason))
    };
    let mut edges: Vec<(f64, Reason)> = (0..report.states.len()).filter_map(reason).collect();
    edges.sort_by(|one, other| {
        (other.1.role == "chosen").cmp(&(one.1.role == "chosen")).then(other.0.total_cmp(&one.0))
    });
    Some(Reasons { kind: report.kind.name(), measures, edges: edges.into_iter().map(|(_, reason)| reason).collect() })
}

fn values(scores: Option<&NamedScores>, measures: &[String]) -> Vec<String> {
    let value = |name: &String| scores.and_then(|scores| scores.get(name)).map_or_else(|| "–".to_owned(), measured);
    measures.iter().map(value).collect()
}

fn measured(value: f64) -> String {
    if value.abs() >= 1e-3 || value == 0.0 { format!("{value:.4}") } else { number(value) }
}

/// All decisions; nothing where there are none.
pub fn decisions(history: &History, space: Option<SpaceName>) -> Option<Decisions> {
    let mut measures: Vec<String> = Vec::new();
    for (name, _) in history.decisions.iter().flat_map(|decision| &decision.score.0) {
        if !measures.contains(name) {
            measures.push(name.clone());
        }
    }
    let words = |edge: usize| space.map_or_else(|| format!("edge {edge}"), |space| edge_words(space, edge));
    let row = |decision: &DecisionReport| {
        let margin = decision.score.get("score").zip(decision.runner_up).map(|(score, (_, second))| score - second);
        let deviation = decision.confidence.and_then(|confidence| confidence.margin_deviation);
        let margin = margin.map_or_else(String::new, measured);
        let margin = deviation.map_or(margin.clone(), |deviation| format!("{margin} ± {}", measured(deviation)));
        let sure = |confidence: crate::decision::Confidence| {
            let primitive = confidence.primitive.map_or_else(String::new, |share| format!(", {:.0} %", 100.0 * share));
            format!("{:.0} %{primitive}", 100.0 * confidence.edge)
        };
        Decided {
            epoch: decision.epoch,
            kind: decision.kind.name(),
            edge: format!("{} ({})", decision.edge, words(decision.edge)),
            primitive: decision.primitive.clone(),
            values: values(Some(&decision.score), &measures),
            runner_up: decision
                .runner_up
                .map_or_else(String::new, |(edge, score)| format!("{edge} ({})", measured(score))),
            margin,
            sure: decision.confidence.map_or_else(String::new, sure),
            pruned: decision.pruned.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    };
    let rows: Vec<Decided> = history.decisions.iter().map(row).collect();
    (!rows.is_empty()).then_some(Decisions { measures, rows })
}

/// The alphas over the epochs, per kind of cell.
pub fn heat(history: &History, space: SpaceName) -> Vec<Heat> {
    space.kinds().iter().filter_map(|kind| heat_of(history, space, *kind)).collect()
}

fn heat_of(history: &History, space: SpaceName, kind: CellKind) -> Option<Heat> {
    let all: Vec<&AlphaReport> = history.alphas.iter().filter(|report| report.kind == kind).collect();
    let last = *all.last()?;
    let step = all.len().div_ceil(MOST_EPOCHS);
    let mut shown: Vec<&AlphaReport> = all.iter().copied().step_by(step).collect();
    if shown.last().is_some_and(|report| report.epoch != last.epoch) {
        shown.push(last);
    }
    let (topology, primitives) = (space.topology(), space.primitives());
    let edge = |edge: usize| {
        let by_epoch: Vec<Vec<f64>> = shown.iter().map(|report| softmax(&report.alphas[edge])).collect();
        let rounded = |share: f64| (share * 1e5).round() / 1e5;
        let row = |primitive: usize| by_epoch.iter().map(|shares| rounded(shares[primitive])).collect();
        let closed = all.iter().find(|report| report.states[edge] != EdgeState::Open).map(|report| report.epoch);
        let at = closed.map_or_else(String::new, |epoch| format!(" in epoch {epoch}"));
        let (fate, primitive) = match last.states[edge] {
            EdgeState::Open => ("open".to_owned(), None),
            EdgeState::Fixed(primitive) => (format!("{}{at}", primitives[primitive]), Some(primitive)),
            EdgeState::Pruned => (format!("pruned{at}"), None),
        };
        let leading = best_primitive(topology, &last.alphas[edge]);
        let share = softmax(&last.alphas[edge])[leading];
        HeatEdge {
            name: format!("edge {edge}: {}", edge_words(space, edge)),
            fate,
            closed,
            primitive,
            shares: (0..primitives.len()).map(row).collect(),
            leading: format!("{} {}", primitives[leading], percent(share)),
        }
    };
    Some(Heat {
        kind: kind.name(),
        epochs: shown.iter().map(|report| report.epoch).collect(),
        primitives: primitives.to_vec(),
        edges: (0..topology.edge_count()).map(edge).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Event;
    use crate::report::tests::decision;

    fn alphas(epoch: usize, states: Vec<EdgeState>) -> AlphaReport {
        let scores = (0..9).map(|edge| NamedScores(vec![("score".to_owned(), f64::from(edge))])).collect();
        let mut alphas = vec![vec![0.0; 10]; 9];
        alphas[3][4] = 2.0;
        AlphaReport { epoch, kind: CellKind::Normal, alphas, scores, states }
    }

    fn searched() -> History {
        let mut states = vec![EdgeState::Open; 9];
        let open = states.clone();
        states[1] = EdgeState::Fixed(2);
        (states[0], states[2]) = (EdgeState::Pruned, EdgeState::Pruned);
        let events = [Event::Alphas(alphas(0, open)), Event::Alphas(alphas(1, states)), Event::Decision(decision(1))];
        History::of(events)
    }

    #[test]
    fn every_decision_is_a_frame_with_the_edges_that_stood_to_choice() {
        let frames = frames(&searched(), Some(SpaceName::POINT), None);
        let labels: Vec<&str> = frames.iter().map(|frame| &*frame.label).collect();
        assert_eq!(labels, ["Before the first decision", "Epoch 1"]);
        assert_eq!(frames[0].drawings[0].words.len(), 9);
        assert_eq!(frames[1].drawings[0].words.len(), 7, "pruned edges are gone");
        let sentence = "normal cell: edge 1 (node 0 ← input 1) becomes edge_conv; superfluous now: node 0 ← input 0, node 1 ← input 0";
        assert_eq!(frames[1].decisions, [sentence]);
        let edges: Vec<(usize, &str)> = frames[1].reasons[0].edges.iter().map(|edge| (edge.edge, edge.role)).collect();
        let expected = [
            (1, "chosen"),
            (8, ""),
            (7, ""),
            (6, ""),
            (5, ""),
            (4, "runner-up"),
            (3, ""),
            (2, "pruned"),
            (0, "pruned"),
        ];
        assert_eq!(edges, expected);
        let leading = frames[1].reasons[0].edges.iter().find(|edge| edge.edge == 3).unwrap();
        assert_eq!(leading.leading, SpaceName::POINT.primitives()[4]);
    }

    #[test]
    fn the_table_of_decisions_has_margins() {
        let table = decisions(&searched(), Some(SpaceName::POINT)).unwrap();
        assert_eq!(table.measures, ["importance", "certainty", "stability", "score"]);
        let row = &table.rows[0];
        assert_eq!((&*row.margin, &*row.runner_up, &*row.pruned), ("0.2500", "4 (0.2500)", "0, 2"));
        assert!(decisions(&History::default(), None).is_none());
    }

    #[test]
    fn maps_of_alphas_are_softmaxes_and_know_what_became_of_an_edge() {
        let heat = &heat(&searched(), SpaceName::POINT)[0];
        assert_eq!(heat.epochs, [0, 1]);
        let edge = &heat.edges[1];
        assert_eq!((&*edge.fate, edge.closed, edge.primitive), ("conv_1x1 in epoch 1", Some(1), Some(2)));
        for epoch in 0..2 {
            let sum: f64 = edge.shares.iter().map(|row| row[epoch]).sum();
            assert!((sum - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn long_runs_show_evenly_spread_epochs_and_the_last() {
        let events = (0..1001).map(|epoch| Event::Alphas(alphas(epoch, vec![EdgeState::Open; 9])));
        let heat = &heat(&History::of(events), SpaceName::POINT)[0];
        assert!(heat.epochs.len() <= MOST_EPOCHS + 1);
        assert_eq!(heat.epochs.last(), Some(&1000));
    }
}

//! Parts of strategies that `[search]` puts together: what they compute, and that they go on from any stop to the bit.

use super::stops::{self, Stops};
use super::{numbers, spec, turn};
use sgas::checkpoint::Cursor;
use sgas::decision::{DecisionConfig, EdgeState};
use sgas::error::Result;
use sgas::genotype::SpaceName;
use sgas::model::{self, Mask};
use sgas::report::Event;
use sgas::search::SearchConfig;
use sgas::search::strategy::{Answer, Change, Probe, Strategy, beta_decay, divergence_from_uniform};
use sgas::topology::CellKind;
use std::cell::Cell;
use std::rc::Rc;
use tch::Device;

const KIND: CellKind = CellKind::Normal;

/// The strategy of a section `[search]` on points, which decides every epoch from the first on.
fn compose(text: &str) -> Box<dyn Strategy> {
    let config: SearchConfig = toml::from_str(text).unwrap();
    config.validate().unwrap();
    let decision = DecisionConfig { warmup: 0, interval: 1, ..DecisionConfig::default() };
    config.compose(SpaceName::POINT, &decision).unwrap()
}

/// Two epochs before the first of eleven decisions.
const DARTS: &str =
    "strategy = 'darts'\nselection = 'perturbation'\nepochs = 12\nregularizer = 'beta'\n[perturbation]\nepochs = 1";
const SGAS: &str = "selection = 'perturbation'\nregularizer = 'beta'";
const DRAWN: &str = "mixture = 'dirichlet'";
const DRAWN_DARTS: &str =
    "strategy = 'darts'\nselection = 'perturbation'\nepochs = 12\nmixture = 'dirichlet'\n[perturbation]\nepochs = 1";

#[test]
fn beta_decay_is_the_mean_of_the_logarithms_of_sums_of_exponentials() {
    let _turn = turn();
    let mut model = model::supernet(SpaceName::POINT, &spec(), 1e-3, 1, Device::Cpu);
    let rows: Vec<Vec<f64>> = (0..9)
        .map(|edge| (0..10).map(|primitive| 0.3 * f64::from(edge) - 0.2 * f64::from(primitive)).collect())
        .collect();
    model.alphas_mut().set_values(KIND, &rows);
    let by_hand = |rows: &[Vec<f64>]| {
        let of_row = |row: &Vec<f64>| row.iter().map(|alpha| alpha.exp()).sum::<f64>().ln();
        rows.iter().map(of_row).sum::<f64>() / rows.len() as f64
    };
    let value = beta_decay(model.alphas());
    assert!((value.double_value(&[]) - by_hand(&rows)).abs() < 1e-6, "fp32 has seven digits");
    // Its gradient is the softmax of each row, divided by the number of edges.
    let gradient = model.alphas().open().gradient(&value);
    let sum = gradient.sum(tch::Kind::Double).double_value(&[]);
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    model.drop_primitive(KIND, 4, 0);
    let mut without = rows.clone();
    without[4].remove(0);
    assert!((beta_decay(model.alphas()).double_value(&[]) - by_hand(&without)).abs() < 1e-6);
    model.fix(KIND, 4, 3);
    assert!((beta_decay(model.alphas()).double_value(&[]) - by_hand(&without)).abs() < 1e-6, "decided edges count");
}

/// KL(Dirichlet(β) ‖ Dirichlet(1, ..., 1)) of a row of alphas.
fn divergence_of(row: &[f64]) -> f64 {
    use statrs::function::gamma::{digamma, ln_gamma};
    let concentrations: Vec<f64> =
        row.iter().map(|alpha| if *alpha > 0.0 { alpha + 1.0 } else { alpha.exp() }).collect();
    let total: f64 = concentrations.iter().sum();
    let densities = ln_gamma(total) - ln_gamma(row.len() as f64);
    let of_one = |one: &f64| (one - 1.0) * (digamma(*one) - digamma(total)) - ln_gamma(*one);
    densities + concentrations.iter().map(of_one).sum::<f64>()
}

#[test]
fn the_divergence_of_dirichlet_shares_is_summed_over_edges() {
    let _turn = turn();
    let mut model = model::supernet(SpaceName::POINT, &spec(), 1e-3, 1, Device::Cpu);
    assert!(divergence_from_uniform(model.alphas()).double_value(&[]).abs() < 1e-4, "alphas of about 0 are uniform");
    let rows: Vec<Vec<f64>> = (0..9)
        .map(|edge| (0..10).map(|primitive| 0.3 * f64::from(edge) - 0.2 * f64::from(primitive)).collect())
        .collect();
    model.alphas_mut().set_values(KIND, &rows);
    let value = divergence_from_uniform(model.alphas());
    let expected: f64 = rows.iter().map(|row| divergence_of(row)).sum();
    assert!((value.double_value(&[]) / expected - 1.0).abs() < 1e-5, "{value:?} {expected}");
    // Its gradient by differences.
    let gradient = model.alphas().open().gradient(&value);
    let parts: Vec<Vec<f32>> = model.alphas().open().split(&gradient).map(|(_, part)| numbers(&part)).collect();
    for (edge, primitive) in [(0, 0), (3, 9), (8, 2)] {
        let moved = |by: f64| {
            let mut row = rows[edge].clone();
            row[primitive] += by;
            divergence_of(&row)
        };
        let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        let found = f64::from(parts[edge][primitive]);
        assert!((found - difference).abs() < 1e-4 * difference.abs().max(1.0), "{found} {difference}");
    }
    model.drop_primitive(KIND, 4, 0);
    let mut without = rows.clone();
    without[4].remove(0);
    let value = divergence_from_uniform(model.alphas());
    let expected: f64 = without.iter().map(|row| divergence_of(row)).sum();
    assert!((value.double_value(&[]) / expected - 1.0).abs() < 1e-5);
    assert!(numbers(&model.alphas().open().gradient(&value)).iter().all(|number| number.is_finite()));
}

/// Looks at shares and at what decisions are made of.
struct Looked(Box<dyn Strategy>, Rc<Cell<usize>>);

impl Strategy for Looked {
    fn epochs(&self) -> usize {
        self.0.epochs()
    }

    fn mixture(&self, epoch: usize) -> Option<Rc<dyn sgas::model::MixtureRule>> {
        self.0.mixture(epoch)
    }

    fn after_epoch(&mut self, epoch: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        let alphas = probe.model().alphas();
        let mixed = alphas.mixture(KIND);
        for (edge, row) in alphas.values(KIND).iter().enumerate() {
            let weights: Vec<f64> =
                row.iter().map(|alpha| if *alpha > 0.0 { alpha + 1.0 } else { alpha.exp() }).collect();
            let total: f64 = weights.iter().sum();
            let decided = sgas::decision::softmax(&probe.alphas(KIND)[edge]);
            for (k, share) in numbers(&mixed.edges()[edge]).into_iter().enumerate() {
                assert!((f64::from(share) - weights[k] / total).abs() < 1e-6, "outside of steps shares are means");
                assert!((decided[k] - weights[k] / total).abs() < 1e-12, "decisions are made of means");
            }
            self.1.set(self.1.get() + 1);
        }
        self.0.after_epoch(epoch, probe)
    }
}

#[test]
fn decisions_and_validation_take_the_mean_of_drawn_shares() {
    let _turn = turn();
    let looks = Rc::new(Cell::new(0));
    let (kept, _) = stops::search(Stops::Never, || Box::new(Looked(compose(DRAWN), Rc::clone(&looks))));
    assert!(looks.get() >= 9 * 6);
    assert_eq!(kept.events.iter().filter(|event| matches!(event, Event::Decision(_))).count(), 6);
    let (softmax, _) = stops::search(Stops::Never, || compose(""));
    let alphas = |kept: &stops::Kept| kept.checkpoint().unwrap().tensors["alphas.normal"].copy();
    assert!(!alphas(&kept).equal(&alphas(&softmax)), "draws move the alphas otherwise");
}

/// Looks for itself what validation misses before another strategy decides, and compares.
struct Compared {
    inner: Box<dyn Strategy>,
    decisions: Rc<Cell<usize>>,
}

/// Score and loss of validation without this.
fn without(probe: &mut Probe<'_>, edge: usize, primitive: Option<usize>) -> Result<(f64, f64)> {
    let metrics = probe.validate_by_batch_statistics(&[Mask { kind: KIND, edge, primitive }])?;
    Ok((metrics.score, metrics.loss))
}

/// The primitive of the lowest score, and of the greatest loss among those.
fn missed_most(probe: &mut Probe<'_>, edge: usize) -> Result<usize> {
    let mut results = Vec::new();
    for primitive in probe.mixed(KIND, edge).into_iter().filter(|primitive| *primitive > 0) {
        let (score, loss) = without(probe, edge, Some(primitive))?;
        results.push((score, -loss, primitive));
    }
    results.sort_by(|one, other| one.partial_cmp(other).unwrap());
    Ok(results[0].2)
}

impl Strategy for Compared {
    fn epochs(&self) -> usize {
        self.inner.epochs()
    }

    fn after_epoch(&mut self, epoch: usize, probe: &mut Probe<'_>) -> Result<Answer> {
        let answer = self.inner.after_epoch(epoch, probe)?;
        let dropping = answer.changes.iter().find_map(edge_of_drop);
        let spared = dropping.map(|edge| missed_most(probe, edge)).transpose()?;
        for change in &answer.changes {
            self.decisions.set(self.decisions.get() + 1);
            match change {
                Change::Fix { edge, primitive, scores, .. } if probe.mixed(KIND, *edge).len() > 1 => {
                    assert_eq!(*primitive, missed_most(probe, *edge)?);
                    let (score, loss) = without(probe, *edge, Some(*primitive))?;
                    assert_eq!(
                        (scores.get("validation_without"), scores.get("loss_without")),
                        (Some(score), Some(loss))
                    );
                }
                Change::Drop { edge, primitive, .. } => {
                    assert_eq!(Some(*edge), dropping);
                    assert_ne!(Some(*primitive), spared);
                }
                Change::Fix { .. } | Change::Prune { .. } => {}
            }
        }
        let fixed: Vec<usize> = answer.changes.iter().filter_map(edge_of_fix).collect();
        if let [one, other] = fixed[..] {
            let node = probe.space().topology().edge(one).node;
            let open: Vec<usize> = probe.space().topology().edges_into(node).collect();
            if open.len() == 3 {
                let left_out = *open.iter().find(|edge| ![one, other].contains(edge)).unwrap();
                let damage = |(score, loss): (f64, f64)| (-score, loss);
                let least = damage(without(probe, left_out, None)?);
                for kept in [one, other] {
                    assert!(least <= damage(without(probe, kept, None)?));
                }
            }
        }
        Ok(answer)
    }

    fn stretch(&self, epoch: usize, epochs: usize) -> sgas::search::strategy::Stretch {
        self.inner.stretch(epoch, epochs)
    }

    fn state(&self) -> serde_json::Value {
        self.inner.state()
    }
}

fn edge_of_drop(change: &Change) -> Option<usize> {
    if let Change::Drop { edge, .. } = change { Some(*edge) } else { None }
}

fn edge_of_fix(change: &Change) -> Option<usize> {
    if let Change::Fix { edge, .. } = change { Some(*edge) } else { None }
}

#[test]
fn perturbation_keeps_what_validation_misses_most() {
    let _turn = turn();
    for (text, changes) in [(DARTS, 2 + 7 * 9 + 4), (SGAS, 6)] {
        let decisions = Rc::new(Cell::new(0));
        let (kept, _) = stops::search(Stops::Never, || {
            Box::new(Compared { inner: compose(text), decisions: Rc::clone(&decisions) })
        });
        assert_eq!(decisions.get(), changes, "two edges that their node keeps, nine primitives of seven others");
        let decided = kept.events.iter().filter(|event| matches!(event, Event::Decision(_))).count();
        assert_eq!(decided, 6, "two edges for every node");
        let Some(Event::Alphas(last)) = kept.events.iter().rfind(|event| matches!(event, Event::Alphas(_))) else {
            panic!("alphas are told");
        };
        assert!(last.states.iter().all(|state| *state != EdgeState::Open), "{:?}", last.states);
    }
}

#[test]
fn parts_go_on_from_any_step_to_the_bit() {
    let _turn = turn();
    for text in [DARTS, SGAS, DRAWN, DRAWN_DARTS] {
        let search = |stops| stops::search(stops, || compose(text));
        let whole = search(Stops::Never).0;
        search(Stops::At(Cursor { epoch: 2, step: 1 })).0.assert_equals(&whole);
        let (cut, stopped) = search(Stops::AfterEveryStep);
        assert!(stopped > 10, "{stopped}");
        cut.assert_equals(&whole);
    }
}

#[test]
fn the_learning_rate_begins_again_with_the_tuning() {
    let _turn = turn();
    let (kept, _) = stops::search(Stops::Never, || compose(DARTS));
    let rates: Vec<f64> = kept
        .events
        .iter()
        .filter_map(|event| if let Event::Epoch(report) = event { Some(report.learning_rate) } else { None })
        .collect();
    assert_eq!(rates.len(), 12);
    // Half a cosine over two epochs from 0.01, and one over ten from 0.001, both to 0.0001.
    assert!((rates[0] - 0.01).abs() < 1e-12 && (rates[1] - 0.00505).abs() < 1e-12, "{rates:?}");
    assert!((rates[2] - 0.001).abs() < 1e-12 && (rates[7] - 0.00055).abs() < 1e-12, "{rates:?}");
}

//! What the runs of a study came to: one line each, and each method over its seeds, beside the first one.

use super::folder::{State, StudyFolder};
use super::plan::{Plan, Published, Truth, Unit};
use crate::benchmark::{Benchmark, Quantity};
use crate::commands::cell_estimate;
use crate::commands::run_folder::RunFolder;
use crate::error::{Error, Result};
use crate::genotype::{Genotype, SpaceName};
use crate::reading;
use crate::report::history::History;
use crate::report::page::Run;
use crate::statistics::{Paired, Summary, Tau};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// The scores that a training is known by, the first that there is.
const USUAL: [&str; 3] = ["mean_iou", "micro_f1", "overall_accuracy"];

/// A method over its seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Runs that the plan asks for.
    pub asked: usize,
    /// The scores, in per cent; absent while there are none.
    pub score: Option<Summary>,
    /// The best one.
    pub best: Option<f64>,
    /// Weights of its networks.
    pub parameters: Option<Summary>,
    /// Time of a search, in days of this machine.
    pub search_days: Option<Summary>,
    /// Against the plan's first method, seed by seed, in points; of seeds that both have.
    pub paired: Option<Paired>,
    /// How far the searches' own scores of their cells order them as the trainings do.
    pub tau: Option<Tau>,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// The plan's title.
    pub title: String,
    /// The plan's remark.
    pub note: Option<String>,
    /// What is compared.
    pub score: String,
    /// Whether less is better.
    pub is_error: bool,
    /// In the plan's order.
    pub methods: Vec<Method>,
    /// What was published.
    #[serde(skip)]
    pub published: Vec<Published>,
    /// In the order in which they are worked on.
    pub runs: Vec<Run>,
}

impl Results {
    /// What stands in the folder; runs that are not done have what is there.
    ///
    /// # Errors
    /// Files of finished runs that can't be read; a score that the trainings don't have; cells that a table does not list.
    pub fn read(folder: &StudyFolder, plan: &Plan) -> Result<Self> {
        let mut truth = None;
        let mut name = plan.score.clone();
        let mut runs = Vec::new();
        for unit in &plan.units {
            runs.push(line(folder, plan, unit, &mut name, &mut truth)?);
        }
        let score = name.unwrap_or_else(|| "score".to_owned());
        let methods = plan.methods.iter().map(|name| method(name, plan, &runs)).collect();
        let is_error = score.ends_with("error");
        let Plan { title, note, published, .. } = plan.clone();
        Ok(Self { title, note, score, is_error, methods, published, runs })
    }
}

fn line(
    folder: &StudyFolder,
    plan: &Plan,
    unit: &Unit,
    name: &mut Option<String>,
    truth: &mut Option<Box<dyn Benchmark>>,
) -> Result<Run> {
    let state = match folder.state(unit) {
        State::Done => "done".to_owned(),
        State::Open => "open".to_owned(),
        State::Failed(why) => why,
    };
    let method = plan.methods[unit.method].clone();
    let mut line = Run {
        method,
        seed: unit.seed,
        state,
        search_score: None,
        search_seconds: None,
        parameters: None,
        train_seconds: None,
        score: None,
    };
    let finished = |run: Option<RunFolder>| run.filter(RunFolder::is_finished);
    if let Some(search) = finished(folder.search(unit)) {
        let history = History::read(search.path())?;
        line.search_seconds = Some(history.seconds());
        line.search_score = own_score(&history).map(|score| 100.0 * score);
        if let Some(wanted) = &plan.truth {
            let genotype = Genotype::load(search.genotype())?;
            line.score = Some(look_up(wanted, &genotype, truth)?);
            *name = Some("test_accuracy".to_owned());
        }
    }
    if let Some(training) = finished(folder.training(unit)) {
        let history = History::read(training.path())?;
        line.train_seconds = Some(history.seconds());
        line.parameters = history.epochs.last().map(|report| report.parameters);
    }
    let scores = folder.scores(unit);
    if plan.truth.is_none() && scores.is_file() {
        line.score = Some(100.0 * score(&scores, name)?);
    }
    Ok(line)
}

/// The last validation of a supernet, or the best candidate of those that were trained longest.
fn own_score(history: &History) -> Option<f64> {
    let candidates = history.candidates.iter().map(|report| (report.trained, report.score));
    let best = candidates.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let validation = || history.epochs.iter().rev().find_map(|report| Some(report.validation.as_ref()?.score));
    best.map(|(_, score)| score).or_else(validation)
}

/// The score of this name in what `sgas eval --json` said; the usual one where no name is known yet, which is then.
fn score(path: &Path, name: &mut Option<String>) -> Result<f64> {
    let text = reading::text(path, reading::DESCRIPTION)?;
    let place = || path.display().to_string();
    let scores: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| Error::invalid(place(), "what `sgas eval --json` prints", error.to_string()))?;
    let number = |name: &str| scores.get(name).and_then(Value::as_f64);
    let known = || {
        let names: Vec<&str> =
            scores.iter().filter(|(_, value)| value.is_f64()).map(|(name, _)| name.as_str()).collect();
        format!("a score: {}", names.join(", "))
    };
    let usual = || USUAL.into_iter().find(|name| number(name).is_some()).map(str::to_owned);
    let wanted = name.clone().or_else(usual).ok_or_else(|| Error::invalid(place(), known(), "none of the usual"))?;
    let found = match wanted.strip_suffix("_error") {
        // `top5_error` is what is left of `top5_accuracy`.
        Some(of) => number(&format!("{of}_accuracy")).map(|accuracy| 1.0 - accuracy),
        None => number(&wanted),
    };
    let found = found.ok_or_else(|| Error::invalid("score", known(), format!("'{wanted}'")))?;
    *name = Some(wanted);
    Ok(found)
}

/// What a table says of a cell's test accuracy, in per cent.
fn look_up(truth: &Truth, genotype: &Genotype, opened: &mut Option<Box<dyn Benchmark>>) -> Result<f64> {
    if opened.is_none() {
        let space: SpaceName = genotype.space;
        *opened = Some(cell_estimate::open(space, &truth.table, None)?);
    }
    let benchmark = opened.as_ref().expect("it was opened above");
    let scores = benchmark.scores(genotype)?;
    let test: Vec<(String, f64)> = scores
        .into_iter()
        .filter(|score| score.quantity == Quantity::TestAccuracy)
        .map(|score| (score.set, score.value))
        .collect();
    let found = match (&truth.on, &*test) {
        (Some(set), _) => test.iter().find(|(name, _)| name == set),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let names: Vec<&str> = test.iter().map(|(set, _)| set.as_str()).collect();
    let wrong = || {
        let found = truth.on.clone().unwrap_or_else(|| "nothing".to_owned());
        Error::invalid("truth.on", format!("one of {}", names.join(", ")), found)
    };
    found.map(|(_, value)| 100.0 * value).ok_or_else(wrong)
}

fn method(name: &str, plan: &Plan, runs: &[Run]) -> Method {
    let of = |name: &str| -> BTreeMap<u64, &Run> {
        runs.iter().filter(|line| line.method == name).map(|line| (line.seed, line)).collect()
    };
    let own = of(name);
    let all = |value: fn(&Run) -> Option<f64>| -> Option<Summary> {
        let values: Vec<f64> = own.values().filter_map(|line| value(line)).collect();
        (!values.is_empty()).then(|| Summary::of(&values))
    };
    let scores: Vec<f64> = own.values().filter_map(|line| line.score).collect();
    let is_error = plan.score.as_ref().is_some_and(|score| score.ends_with("error"));
    let best = scores.iter().copied().reduce(|one, other| if is_error { one.min(other) } else { one.max(other) });
    let first = of(&plan.methods[0]);
    let pairs: Vec<(f64, f64)> =
        own.iter().filter_map(|(seed, line)| Some((line.score?, first.get(seed)?.score?))).collect();
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let paired = (name != plan.methods[0] && !ours.is_empty()).then(|| Paired::of(&ours, &theirs));
    // An error falls where a score of the search rises.
    let sign = if is_error { -1.0 } else { 1.0 };
    let ordered = own.values().filter_map(|line| Some((line.search_score?, sign * line.score?)));
    let (searched, trained): (Vec<f64>, Vec<f64>) = ordered.unzip();
    Method {
        name: name.to_owned(),
        asked: own.len(),
        score: all(|line| line.score),
        best,
        parameters: all(|line| line.parameters.map(|count| count as f64)),
        search_days: all(|line| line.search_seconds.map(|seconds| seconds / DAY)),
        paired,
        tau: Tau::of(&searched, &trained),
    }
}

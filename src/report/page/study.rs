//! What a study came to: the table of its methods, every score beside the others, the best cells, and a line for each run.

use super::curves::number;
use super::growth::{self, Frame};
use crate::genotype::Genotype;
use crate::report::drawing::DrawingFormat;
use crate::report::progress::{seconds, words};
use crate::report::scatter::{self, Group};
use crate::statistics::{Summary, Tau};
use minijinja::Value;
use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use serde::Serialize;

/// At most so many lines of the scale under the scores.
const TICKS: usize = 5;

/// All that the page tells of a study.
#[derive(Debug, Clone, Default)]
pub struct Study {
    /// Its title.
    pub title: String,
    /// Its folder, as it is typed in a command.
    pub folder: String,
    /// What is compared, with its unit.
    pub score: String,
    /// Heads of the table.
    pub columns: Vec<String>,
    /// Its rows, a method or a published result each.
    pub rows: Vec<Row>,
    /// How to read it, in paragraphs.
    pub legend: Vec<String>,
    /// The methods, in the order of the plan.
    pub methods: Vec<Method>,
    /// Every run, in the order in which they are worked on.
    pub runs: Vec<Run>,
}

/// A row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// As many as there are heads.
    pub cells: Vec<String>,
    /// Whether it is not of this study.
    pub is_published: bool,
}

/// A method.
#[derive(Debug, Clone, Default)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Its scores in per cent, over the seeds that are done.
    pub score: Option<Summary>,
    /// The seed with the best score, and its cell.
    pub best: Option<(u64, Genotype)>,
    /// How far the searches' own scores order its cells as the trainings do.
    pub tau: Option<Tau>,
}

/// A method with a seed, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Run {
    /// The method's name.
    pub method: String,
    /// The seed.
    pub seed: u64,
    /// `done`, `open`, or why it failed.
    pub state: String,
    /// What the search itself thought of its cell at the end, in per cent: of the supernet on validation, or of the chosen
    /// candidate.
    pub search_score: Option<f64>,
    /// Wall time of the search's epochs, in seconds.
    pub search_seconds: Option<f64>,
    /// Weights of the trained network.
    pub parameters: Option<usize>,
    /// Wall time of the training's epochs, in seconds.
    pub train_seconds: Option<f64>,
    /// The score that is compared, in per cent.
    pub score: Option<f64>,
}

/// What the template shows of a study.
#[derive(Debug, Serialize)]
pub struct StudyView {
    /// Its title.
    pub title: String,
    folder: String,
    score: String,
    about: String,
    columns: Vec<String>,
    rows: Vec<Row>,
    legend: Vec<String>,
    spread: Option<Spread>,
    scatter: Option<Scatter>,
    cells: Vec<BestCell>,
    runs: Vec<RunLine>,
}

/// All scores on one scale.
#[derive(Debug, PartialEq, Serialize)]
struct Spread {
    lines: Vec<SpreadLine>,
    /// Places of the scale's lines in per cent of its width, and what stands there.
    ticks: Vec<(f64, String)>,
}

/// The scores of a method; places are in per cent of the scale's width.
#[derive(Debug, PartialEq, Serialize)]
struct SpreadLine {
    name: String,
    words: String,
    dots: Vec<Dot>,
    mean: Option<f64>,
    /// Where the mean's interval begins, and how wide it is.
    interval: Option<[f64; 2]>,
}

/// A score.
#[derive(Debug, PartialEq, Serialize)]
struct Dot {
    place: f64,
    words: String,
}

/// What searches thought, against what came of it.
#[derive(Debug, Serialize)]
struct Scatter {
    svg: Value,
    words: Vec<String>,
}

/// The cell with a method's best score.
#[derive(Debug, Serialize)]
struct BestCell {
    method: String,
    seed: u64,
    frame: Frame,
}

/// A run in the table of all.
#[derive(Debug, Serialize)]
struct RunLine {
    method: String,
    seed: u64,
    state: String,
    /// A word for its colour.
    look: &'static str,
    search_score: String,
    search_time: String,
    parameters: String,
    train_time: String,
    score: String,
}

impl StudyView {
    /// Of a study.
    pub fn of(study: &Study) -> Self {
        let done = study.runs.iter().filter(|run| run.state == "done").count();
        let cells = study.methods.iter().filter_map(|method| {
            let (seed, genotype) = method.best.as_ref()?;
            Some(BestCell { method: method.name.clone(), seed: *seed, frame: growth::of_cell(genotype) })
        });
        Self {
            title: study.title.clone(),
            folder: study.folder.clone(),
            score: study.score.clone(),
            about: format!("Study · {} methods · {done} of {} runs done", study.methods.len(), study.runs.len()),
            columns: study.columns.clone(),
            rows: study.rows.clone(),
            legend: study.legend.clone(),
            spread: spread(study),
            scatter: scatter(study),
            cells: cells.collect(),
            runs: study.runs.iter().map(line).collect(),
        }
    }
}

fn line(run: &Run) -> RunLine {
    let value = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
    let time = |time: Option<f64>| time.map_or_else(String::new, |time| words(seconds(time)));
    let look = match &*run.state {
        "done" => "finished",
        "open" => "running",
        _ => "stopped",
    };
    RunLine {
        method: run.method.clone(),
        seed: run.seed,
        state: run.state.clone(),
        look,
        search_score: value(run.search_score),
        search_time: time(run.search_seconds),
        parameters: run.parameters.map_or_else(String::new, |count| number(count as f64)),
        train_time: time(run.train_seconds),
        score: value(run.score),
    }
}

/// The scores of each method on the scale of all.
fn spread(study: &Study) -> Option<Spread> {
    let scores = || study.runs.iter().filter_map(|run| run.score);
    let (least, most) = (scores().fold(f64::INFINITY, f64::min), scores().fold(f64::NEG_INFINITY, f64::max));
    if !least.is_finite() || !most.is_finite() {
        return None;
    }
    let margin = if most > least { (most - least) / 25.0 } else { least.abs().max(1.0) / 25.0 };
    let (low, high) = (least - margin, most + margin);
    let place = |score: f64| (100.0 * (score - low) / (high - low)).clamp(0.0, 100.0);
    let lines = study.methods.iter().filter_map(|method| {
        let summary = method.score?;
        let runs = study.runs.iter().filter(|run| run.method == method.name);
        let dots: Vec<Dot> = runs
            .filter_map(|run| {
                let score = run.score?;
                Some(Dot { place: place(score), words: format!("seed {}: {score:.2}", run.seed) })
            })
            .collect();
        let interval = summary.interval.map(|half| [summary.mean - half, summary.mean + half]);
        let deviation = summary.deviation.map_or_else(String::new, |deviation| format!(" ± {deviation:.2}"));
        Some(SpreadLine {
            name: method.name.clone(),
            words: format!("{:.2}{deviation}, n = {}", summary.mean, summary.n),
            dots,
            mean: (summary.n > 1).then(|| place(summary.mean)),
            interval: interval.map(|[from, to]| [place(from), place(to) - place(from)]),
        })
    });
    let ticks = RangedCoordf64::from(low..high).key_points(TICKS);
    let is_exact = |digits: &usize| {
        let all = 10_f64.powi(i32::try_from(*digits).unwrap_or(0));
        ticks.iter().all(|at| (at * all - (at * all).round()).abs() < 1e-6)
    };
    let digits = (0..6).find(is_exact).unwrap_or(6);
    let ticks = ticks.iter().map(|at| (place(*at), format!("{at:.digits$}")));
    Some(Spread { ticks: ticks.collect(), lines: lines.collect() })
}

/// Where two runs at least have both scores.
fn scatter(study: &Study) -> Option<Scatter> {
    let groups: Vec<Group> = study
        .methods
        .iter()
        .filter_map(|method| {
            let runs = study.runs.iter().filter(|run| run.method == method.name);
            let points: Vec<[f64; 2]> = runs.filter_map(|run| Some([run.search_score?, run.score?])).collect();
            (!points.is_empty()).then(|| Group { name: method.name.clone(), points })
        })
        .collect();
    if groups.iter().map(|group| group.points.len()).sum::<usize>() < 2 {
        return None;
    }
    let columns = ["What the search thought of its cell (%)".to_owned(), study.score.clone()];
    let drawn = scatter::draw(DrawingFormat::Svg, &columns, &groups).ok()?;
    let told = study.methods.iter().filter_map(|method| {
        let tau = method.tau?;
        Some(format!("{}: {:.2} ({:.2} to {:.2})", method.name, tau.tau, tau.interval[0], tau.interval[1]))
    });
    Some(Scatter { svg: Value::from_safe_string(String::from_utf8(drawn).ok()?), words: told.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(method: &str, seed: u64, scores: Option<[f64; 2]>) -> Run {
        let [search_score, score] = scores.map_or([None; 2], |scores| scores.map(Some));
        let state = if score.is_some() { "done" } else { "open" }.to_owned();
        Run { method: method.to_owned(), seed, state, search_score, score, ..Run::default() }
    }

    fn study(runs: Vec<Run>) -> Study {
        let method = |name: &str| {
            let scores: Vec<f64> = runs.iter().filter(|run| run.method == name).filter_map(|run| run.score).collect();
            let score = (!scores.is_empty()).then(|| Summary::of(&scores));
            Method { name: name.to_owned(), score, ..Method::default() }
        };
        Study { methods: vec![method("a"), method("b")], runs, ..Study::default() }
    }

    #[test]
    fn scores_lie_on_one_scale() {
        let runs = vec![
            run("a", 1, Some([1.0, 50.0])),
            run("b", 1, Some([2.0, 75.0])),
            run("a", 2, Some([3.0, 70.0])),
            run("b", 2, None),
        ];
        let Spread { lines, ticks } = spread(&study(runs)).unwrap();
        // Round numbers on a scale from 49 to 76.
        let told: Vec<&str> = ticks.iter().map(|(_, text)| &**text).collect();
        assert_eq!(told, ["50", "60", "70"]);
        assert!((ticks[0].0 - 100.0 / 27.0).abs() < 1e-9);
        let places: Vec<f64> = lines[0].dots.iter().map(|dot| dot.place).collect();
        assert!((places[0] - 100.0 / 27.0).abs() < 1e-9 && (places[1] - 2100.0 / 27.0).abs() < 1e-9, "{places:?}");
        assert!((lines[0].mean.unwrap() - 1100.0 / 27.0).abs() < 1e-9);
        assert_eq!(lines[0].words, "60.00 ± 14.14, n = 2");
        // An interval that is wider than the scale ends with it.
        assert_eq!(lines[0].interval, Some([0.0, 100.0]));
        assert_eq!((lines[1].mean, lines[1].interval, lines[1].dots.len()), (None, None, 1));
    }

    #[test]
    fn without_scores_there_is_nothing_to_draw() {
        let open = study(vec![run("a", 1, None)]);
        assert!(spread(&open).is_none() && scatter(&open).is_none());
        let one = study(vec![run("a", 1, Some([1.0, 2.0]))]);
        assert!(scatter(&one).is_none() && !spread(&one).unwrap().ticks.is_empty());
    }
}

//! One page of HTML about runs, for any browser and without a network: what a run is and where it stands, the cell growing
//! decision by decision, alphas, curves, where the time went, scores of evaluations, examples of predictions, and how to
//! repeat it.
//!
//! The page is a template (`page.html`) with a style sheet and a script, all in the program. Everything that a folder holds
//! is foreign text: the template engine escapes it, and data for the script is JSON without a letter that HTML knows.
//! Curves are drawn by uPlot (`vendor/`).

pub(crate) mod curves;
mod examples;
mod growth;
mod run;
mod scores;
mod study;

pub use examples::{EXTENT, Example, Examples, Picture, PointCloud};
pub use scores::Evaluation;
pub use study::{Method, Row, Run, Study};

use super::history::History;
use super::svg;
use crate::error::{Error, Result};
use crate::genotype::{Genotype, SpaceName};
use curves::Chart;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use run::RunView;
use serde::Serialize;
use std::time::SystemTime;
use study::StudyView;

/// The end of the first line of every page, by which one is known again.
pub const MARK: &str = "<!-- a report by sgas -->";

const TEMPLATE: &str = include_str!("page.html");
const RUN_TEMPLATE: &str = include_str!("run.html");
const STUDY_TEMPLATE: &str = include_str!("study.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const CHART_STYLE: &str = include_str!("vendor/uPlot.min.css");
const CHART_SCRIPT: &str = include_str!("vendor/uPlot.iife.min.js");

/// All that the page tells of a run.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The folder's own name.
    pub name: String,
    /// `search` or `train`.
    pub command: String,
    /// Name of the task.
    pub task: String,
    /// Version of the program.
    pub version: String,
    /// The data in words.
    pub data: String,
    /// The score in the user's words: `accuracy`.
    pub score: String,
    /// Strategy and what is composed with it, or the kind of network.
    pub method: Option<String>,
    /// The space of its cells.
    pub space: Option<SpaceName>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// What it computed on, by name.
    pub machine: Vec<(String, String)>,
    /// When its log was written last.
    pub changed: Option<SystemTime>,
    /// Whether a process works on it now, where that can be told.
    pub is_worked_on: Option<bool>,
    /// Its events.
    pub history: History,
    /// The cell that was found or trained.
    pub genotype: Option<Genotype>,
    /// The resolved configuration.
    pub config: String,
    /// Commands that repeat it, each with what it does.
    pub commands: Vec<(String, String)>,
    /// What evaluations found.
    pub evaluations: Vec<Evaluation>,
    /// Predictions to look at.
    pub examples: Vec<Examples>,
    /// What is missing, and the command that adds it.
    pub missing: Vec<(String, String)>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// The page about these runs; one that goes on is loaded again after `refresh` seconds.
///
/// # Errors
/// A template that can't be filled, which is a fault of the program.
pub fn html(subjects: &[Subject], refresh: Option<u64>) -> Result<String> {
    filled(None, subjects, refresh)
}

/// The page about a study, and about some of its runs.
///
/// # Errors
/// Like [`html`].
pub fn html_of_study(study: &Study, subjects: &[Subject], refresh: Option<u64>) -> Result<String> {
    filled(Some(study), subjects, refresh)
}

fn filled(study: Option<&Study>, subjects: &[Subject], refresh: Option<u64>) -> Result<String> {
    let study = study.map(StudyView::of);
    let runs: Vec<RunView> = subjects.iter().enumerate().map(|(index, subject)| RunView::of(index, subject)).collect();
    let title = match (&study, &runs[..]) {
        (Some(study), _) => study.title.clone(),
        (None, [run]) => run.name.clone(),
        (None, runs) => format!("{} runs", runs.len()),
    };
    let comparison = (study.is_none() && runs.len() > 1).then(|| curves::comparison(subjects));
    let data = Data {
        runs: runs.iter().map(|run| &run.data).collect(),
        comparison: comparison.as_deref().unwrap_or_default(),
    };
    let mut engine = Environment::new();
    engine.set_auto_escape_callback(|_| AutoEscape::Html);
    engine.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    let filled = engine
        .add_template("run.html", RUN_TEMPLATE)
        .and_then(|()| engine.add_template("study.html", STUDY_TEMPLATE))
        .and_then(|()| engine.add_template("page.html", TEMPLATE))
        .and_then(|()| engine.get_template("page.html"))
        .and_then(|template| {
            template.render(context! {
                mark => Value::from_safe_string(MARK.to_owned()),
                title, refresh,
                study => Serde(&study),
                runs => Serde(&runs),
                comparison => Serde(&comparison),
                version => env!("CARGO_PKG_VERSION"),
                style => Value::from_safe_string(format!("{CHART_STYLE}\n{STYLE}")),
                chart_script => Value::from_safe_string(CHART_SCRIPT.to_owned()),
                script => Value::from_safe_string(SCRIPT.to_owned()),
                arrows => Value::from_safe_string(svg::arrow_heads()),
                data => Value::from_safe_string(json_in_html(&data)),
            })
        });
    filled.map_err(|error| Error::run(format!("the page can't be made: {error:#}")))
}

/// True of what [`html`] writes, by its beginning.
pub fn is_ours(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"<!doctype html>") && line.ends_with(MARK.as_bytes())
}

/// What the script draws.
#[derive(Serialize)]
struct Data<'a> {
    runs: Vec<&'a run::Drawn>,
    comparison: &'a [Chart],
}

/// JSON as it may stand in a `script` element: without letters that HTML or old JavaScript know, by JSON's own escapes.
fn json_in_html(data: &impl Serialize) -> String {
    let text = serde_json::to_string(data).expect("plain data");
    let mut safe = String::with_capacity(text.len() + text.len() / 64);
    for letter in text.chars() {
        match letter {
            '<' | '>' | '&' | '\'' | '\u{2028}' | '\u{2029}' => safe += &format!("\\u{:04x}", u32::from(letter)),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests;

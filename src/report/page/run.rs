//! What the template shows of one run.

use super::Subject;
use super::curves::{self, Chart, Part, Table, capitalised, number};
use super::examples::{DrawnCloud, Shown};
use super::growth::{self, Decisions, Frame, Heat};
use super::scores::Scored;
use crate::report::CandidateReport;
use crate::report::history::Standing;
use crate::report::percent;
use crate::report::progress::{seconds, words};
use serde::Serialize;
use std::time::SystemTime;

/// Candidates that are listed, the best first.
const LISTED: usize = 50;

/// A run as the template shows it.
#[derive(Debug, Serialize)]
pub struct RunView {
    /// In the page's identifiers.
    pub id: String,
    /// The folder's name.
    pub name: String,
    /// What it is, in a line.
    about: String,
    /// `Finished`, and a word for its colour.
    standing: (String, &'static str),
    /// When its log was written last.
    changed: String,
    /// What matters most, each with its name and a remark.
    facts: Vec<Fact>,
    /// What else is known, name by name.
    details: Vec<(String, String)>,
    frames: Vec<Frame>,
    decisions: Option<Decisions>,
    heat: Vec<Heat>,
    charts: Vec<Chart>,
    parts: Vec<Part>,
    table: Option<Table>,
    scored: Vec<Scored>,
    examples: Vec<Shown>,
    candidates: Vec<Candidate>,
    candidates_left_out: usize,
    notes: Vec<(usize, String)>,
    missing: Vec<(String, String)>,
    problems: Vec<String>,
    commands: Vec<(String, String)>,
    config: String,
    /// What the script draws.
    #[serde(skip)]
    pub data: Drawn,
}

/// A number that matters.
#[derive(Debug, Serialize)]
struct Fact {
    name: String,
    value: String,
    remark: String,
}

/// A cell that was scored.
#[derive(Debug, Serialize)]
struct Candidate {
    rank: usize,
    epoch: usize,
    trained: usize,
    score: String,
    loss: String,
    cell: String,
}

/// What the script draws of a run.
#[derive(Debug, Serialize)]
pub struct Drawn {
    id: String,
    charts: Vec<Chart>,
    heat: Vec<Heat>,
    clouds: Vec<DrawnCloud>,
}

impl RunView {
    /// Of the run with this number on the page.
    pub fn of(index: usize, subject: &Subject) -> Self {
        let history = &subject.history;
        let id = format!("run-{}", index + 1);
        let charts = curves::charts(&history.epochs, &subject.score);
        let heat = subject.space.map_or_else(Vec::new, |space| growth::heat(history, space));
        let mut clouds = Vec::new();
        let examples = subject.examples.iter().map(|examples| examples.shown(&mut clouds)).collect();
        let (candidates, candidates_left_out) = candidates(&history.candidates);
        Self {
            name: subject.name.clone(),
            about: about(subject),
            standing: standing(subject),
            changed: subject.changed.map(moment).unwrap_or_default(),
            facts: facts(subject),
            details: details(subject),
            frames: growth::frames(history, subject.space, subject.genotype.as_ref()),
            decisions: growth::decisions(history, subject.space),
            parts: curves::parts(charts.iter().find(|chart| chart.id == "time")),
            table: curves::table(&charts),
            scored: subject.evaluations.iter().map(super::Evaluation::scored).collect(),
            examples,
            candidates,
            candidates_left_out,
            notes: history.notes.clone(),
            missing: subject.missing.clone(),
            problems: subject.problems.clone(),
            commands: subject.commands.clone(),
            config: subject.config.clone(),
            data: Drawn { id: id.clone(), charts: charts.clone(), heat: heat.clone(), clouds },
            id,
            charts,
            heat,
        }
    }
}

fn about(subject: &Subject) -> String {
    let method = subject.method.iter().map(String::as_str);
    let parts = [&*subject.command, &*subject.task].into_iter().chain(method).filter(|part| !part.is_empty());
    capitalised(&parts.collect::<Vec<_>>().join(" · "))
}

fn standing(subject: &Subject) -> (String, &'static str) {
    let history = &subject.history;
    let at = match history.epochs.last() {
        Some(epoch) => format!(", {} of {} epochs done", epoch.epoch + 1, history.planned),
        None => String::new(),
    };
    match (history.standing, subject.is_worked_on) {
        (Standing::Finished { .. }, _) => ("Finished".to_owned(), "finished"),
        (Standing::Stopped, Some(true)) | (Standing::Open | Standing::Unheard, Some(true)) => {
            (format!("Running{at}"), "running")
        }
        (Standing::Stopped, _) => (format!("Stopped{at}"), "stopped"),
        (Standing::Open, Some(false)) => (format!("Cut{at}"), "stopped"),
        (Standing::Open, None) => (format!("Running or cut{at}"), "running"),
        (Standing::Unheard, _) => ("Nothing done yet".to_owned(), "stopped"),
    }
}

fn facts(subject: &Subject) -> Vec<Fact> {
    let history = &subject.history;
    let fact = |name: String, value: String, remark: String| Fact { name, value, remark };
    let mut facts = Vec::new();
    for evaluation in &subject.evaluations {
        if let Some(score) = evaluation.score() {
            let name = format!("{}, {}", capitalised(&subject.score), evaluation.split());
            facts.push(fact(name, percent(score), "evaluated".to_owned()));
        }
    }
    if let Some((epoch, score)) = history.best(|epoch| Some(epoch.validation.as_ref()?.score)) {
        let name = format!("Best validation {}", subject.score);
        facts.push(fact(name, percent(score), format!("in epoch {epoch}")));
    }
    let last = history.epochs.last();
    if let Some(test) = last.and_then(|epoch| epoch.test.as_ref()) {
        facts.push(fact(format!("Test {}", subject.score), percent(test.score), "in the last epoch".to_owned()));
    }
    if let Some(last) = last.filter(|_| facts.is_empty()) {
        facts.push(fact(
            format!("Training {}", subject.score),
            percent(last.train.score),
            format!("in epoch {}", last.epoch),
        ));
    }
    if let (Some(space), false) = (subject.space, history.decisions.is_empty()) {
        let all = space.kinds().len() * space.topology().decision_count();
        let remark = format!("of {all}, in {} epochs", deciding_epochs(subject));
        facts.push(fact("Edges decided".to_owned(), history.decisions.len().to_string(), remark));
    }
    if !history.candidates.is_empty() {
        facts.push(fact("Cells scored".to_owned(), history.candidates.len().to_string(), String::new()));
    }
    if let Some(last) = last {
        facts.push(fact("Epochs".to_owned(), history.epochs.len().to_string(), format!("of {}", history.planned)));
        let remark = match history.parameters {
            begun if begun == last.parameters || begun == 0 => String::new(),
            begun => format!("from {}", grouped(begun)),
        };
        facts.push(fact("Parameters".to_owned(), grouped(last.parameters), remark));
        let each = history.seconds() / history.epochs.len() as f64;
        facts.push(fact("Time".to_owned(), words(seconds(history.seconds())), format!("{} s an epoch", number(each))));
        let memory = last.memory.device_bytes.map(|bytes| (bytes, "on the GPU"));
        if let Some((bytes, remark)) = memory.or(last.memory.resident_bytes.map(|bytes| (bytes, "of the process"))) {
            facts.push(fact("Most memory".to_owned(), crate::error::size(bytes), remark.to_owned()));
        }
    }
    facts
}

fn deciding_epochs(subject: &Subject) -> usize {
    let epochs = subject.history.decisions.iter().map(|decision| decision.epoch);
    epochs.collect::<std::collections::BTreeSet<_>>().len()
}

fn details(subject: &Subject) -> Vec<(String, String)> {
    let named = |name: &str, value: Option<String>| Some((name.to_owned(), value.filter(|value| !value.is_empty())?));
    let starts = subject.history.starts;
    let mut details: Vec<(String, String)> = [
        named("Data", Some(subject.data.clone())),
        named("Space", subject.space.map(|space| space.name().to_owned())),
        named("Seed", subject.seed.map(|seed| seed.to_string())),
        named("Version of sgas", Some(subject.version.clone())),
        named("Times begun or gone on with", (starts > 1).then(|| starts.to_string())),
        named(
            "Lines of the log that could not be read",
            (subject.history.unread > 0).then(|| subject.history.unread.to_string()),
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    details.extend(subject.machine.iter().map(|(name, value)| (capitalised(name), value.clone())));
    details
}

fn candidates(all: &[CandidateReport]) -> (Vec<Candidate>, usize) {
    let mut order: Vec<&CandidateReport> = all.iter().collect();
    order.sort_by(|one, other| other.score.total_cmp(&one.score));
    let cell = |candidate: &CandidateReport| {
        candidate.genotype.arch_string().unwrap_or_else(|| {
            let kinds = candidate.genotype.space.kinds().iter().filter_map(|kind| candidate.genotype.cell(*kind));
            let edges = kinds.map(|cell| {
                let edges = cell.edges.iter().map(|(primitive, source)| format!("{primitive} {source}"));
                edges.collect::<Vec<_>>().join(", ")
            });
            edges.collect::<Vec<_>>().join(" | ")
        })
    };
    let listed = order.iter().take(LISTED).enumerate().map(|(rank, candidate)| Candidate {
        rank: rank + 1,
        epoch: candidate.epoch,
        trained: candidate.trained,
        score: percent(candidate.score),
        loss: number(candidate.loss),
        cell: cell(candidate),
    });
    (listed.collect(), all.len().saturating_sub(LISTED))
}

/// Digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn moment(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map_or_else(|_| String::new(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!([7, 999, 1000, 8_786_344].map(grouped), ["7", "999", "1,000", "8,786,344"]);
    }

    #[test]
    fn where_a_run_stands_is_told_by_its_events_and_by_who_works_on_it() {
        let told = |standing: Standing, is_worked_on: Option<bool>| {
            let mut subject = Subject { is_worked_on, ..Subject::default() };
            subject.history.standing = standing;
            super::standing(&subject).0
        };
        assert_eq!(told(Standing::Finished { seconds: 1.0 }, Some(false)), "Finished");
        assert_eq!(told(Standing::Open, Some(true)), "Running");
        assert_eq!(told(Standing::Open, Some(false)), "Cut");
        assert_eq!(told(Standing::Open, None), "Running or cut");
        assert_eq!(told(Standing::Stopped, Some(false)), "Stopped");
    }
}

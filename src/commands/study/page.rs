//! The page about a study: its results, and the runs of each method's best seed.

use super::folder::{State, StudyFolder};
use super::plan::{Plan, Unit};
use super::results::Results;
use super::tables;
use crate::commands::run_folder::RunFolder;
use crate::commands::subject;
use crate::error::{Error, Result};
use crate::genotype::Genotype;
use crate::report::page::{self, Method, Run, Study, Subject};
use std::path::Path;

/// Its name in the study's folder.
pub const FILE: &str = "results.html";

/// The page as the folder stands, and whether something is left to do; then it is loaded again after so many seconds.
///
/// # Errors
/// A folder without a study; files of it that can't be read.
pub fn of_folder(path: &Path, refresh: Option<u64>) -> Result<(String, bool)> {
    let folder = StudyFolder::begun(path)?;
    let plan = Plan::parse(&path.display().to_string(), &folder.plan_text()?)?;
    let goes_on = plan.units.iter().any(|unit| folder.state(unit) == State::Open);
    let results = Results::read(&folder, &plan)?;
    Ok((page(&folder, &plan, &results, refresh.filter(|_| goes_on))?, goes_on))
}

/// The page about these results; it is loaded again after `refresh` seconds.
///
/// # Errors
/// A template that can't be filled, which is a fault of the program.
pub fn page(folder: &StudyFolder, plan: &Plan, results: &Results, refresh: Option<u64>) -> Result<String> {
    let mut subjects = Vec::new();
    let mut methods = Vec::new();
    for (index, method) in results.methods.iter().enumerate() {
        let units: Vec<(&Unit, &Run)> =
            plan.units.iter().zip(&results.runs).filter(|(unit, _)| unit.method == index).collect();
        let best = units.iter().find(|(_, line)| line.score.is_some() && line.score == method.best);
        let cell = best.and_then(|(unit, _)| Some((unit.seed, cell(folder, unit)?)));
        methods.push(Method { name: method.name.clone(), score: method.score, best: cell, tau: method.tau });
        let is_begun = |unit: &Unit| folder.search(unit).is_some() || folder.training(unit).is_some();
        let shown = best.or_else(|| units.iter().find(|(unit, _)| is_begun(unit)));
        if let Some((unit, _)) = shown {
            subjects.extend(runs(folder, unit, &method.name));
        }
    }
    let study = Study {
        title: results.title.clone(),
        folder: folder.typed(),
        score: tables::score_name(results),
        columns: tables::columns(results),
        rows: tables::rows(results),
        legend: tables::legend(results).split("\n\n").map(str::to_owned).collect(),
        methods,
        runs: results.runs.clone(),
    };
    page::html_of_study(&study, &subjects, refresh)
}

/// The cell that it found, or trained.
fn cell(folder: &StudyFolder, unit: &Unit) -> Option<Genotype> {
    let run = folder.search(unit).or_else(|| folder.training(unit))?;
    Genotype::load(run.genotype()).ok()
}

/// Its search and its training, as far as they were begun, each with a name that says whose it is; of one that can't be
/// read, why.
fn runs(folder: &StudyFolder, unit: &Unit, method: &str) -> Vec<Subject> {
    let begun: [Option<RunFolder>; 2] = [folder.search(unit), folder.training(unit)];
    let named = |run: RunFolder| {
        let failed = |error: Error| Subject { problems: vec![error.to_string()], ..Subject::default() };
        let subject = subject::of(&run).unwrap_or_else(failed);
        Subject { name: format!("{method}, seed {}: {}", unit.seed, run.name()), ..subject }
    };
    begun.into_iter().flatten().map(named).collect()
}

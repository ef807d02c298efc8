//! `sgas study`: searches and trainings of several methods over several seeds, and what they come to.

mod flags;
mod folder;
mod page;
mod plan;
mod results;
mod tables;
mod worker;

use super::options::{GlobalOptions, StudyOptions};
use super::{print, run_folder};
use crate::config::embedded;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::nearest;
use crate::reading;
use crate::visible::for_shell;
use folder::{PLAN_FILE, State, StudyFolder};
pub use page::{FILE as PAGE_FILE, of_folder as page_of};
use plan::{Plan, Unit};
use results::Results;
use std::io::Write;
use std::path::{Path, PathBuf};
pub use tables::of_p;
use worker::{Outcome, Worker};

/// Every run, one a line.
const RUNS_FILE: &str = "runs.csv";
/// Folder of the built-in plans.
const BUILT_IN: &str = "study/";

/// Looks at the plan in a text that errors call `place`; nothing is run.
///
/// # Errors
/// What is no plan, or asks for what `sgas search` or `sgas train` would refuse.
pub fn check_plan(place: &str, text: &str) -> Result<()> {
    Plan::parse(place, text).map(drop)
}

/// Does what the plan asks for and is not done, or says what that is.
///
/// # Errors
/// A plan or folder that won't do; runs that failed; a signal.
pub fn run(options: &StudyOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let source = Source::of(&options.plan, options.out.as_deref())?;
    let plan = Plan::parse(&source.place, &source.text)?;
    let units = plan.chosen(&options.only)?;
    if options.list {
        return list(&source, &units, global, out);
    }
    let folder = match options.results {
        true => StudyFolder::begun(&source.folder)?,
        false => StudyFolder::with_plan(&source.folder, &plan, &source.text)?,
    };
    let outcome =
        if options.results { Outcome::default() } else { Worker::new(&folder, global)?.work(&units, options.retry)? };
    let results = Results::read(&folder, &plan)?;
    let text = if options.json { format!("{:#}\n", serde_json::json!(results)) } else { tables::for_people(&results) };
    print(out, &text)?;
    write(&folder, &plan, &results)?;
    if !options.json {
        print(out, &format!("\n{}", told(&folder, &outcome)))?;
    }
    match &*outcome.failed {
        [] => Ok(()),
        [(name, why), others @ ..] => {
            let more = if others.is_empty() { String::new() } else { format!(", and {} more", others.len()) };
            let log = for_shell(folder.path().join(name).join("log.txt").display().to_string());
            Err(Error::run(format!("{name} failed: {why}{more}"))
                .with_hint(format!("its whole story: {log}; --retry tries it again")))
        }
    }
}

/// The table of all runs of the study in this folder, where there is one.
pub fn runs_file(folder: &Path) -> Option<PathBuf> {
    folder.is_dir().then(|| folder.join(RUNS_FILE))
}

/// Whether a study was begun in this folder.
pub fn is_study(folder: &Path) -> bool {
    folder.join(PLAN_FILE).is_file()
}

/// A plan's text, where it stands, and the folder of its study.
struct Source {
    place: String,
    text: String,
    folder: PathBuf,
}

impl Source {
    /// A file, the folder of a study, or the name of a built-in plan.
    fn of(typed: &str, out: Option<&Path>) -> Result<Self> {
        let path = Path::new(typed);
        if path.is_dir() {
            if out.is_some_and(|out| out != path) {
                return Err(Error::usage(format!("--out: {typed} is the folder of a study itself"))
                    .with_hint("leave --out out, or name the plan's file"));
            }
            let folder = StudyFolder::begun(path)?;
            let place = path.join(PLAN_FILE).display().to_string();
            return Ok(Self { place, text: folder.plan_text()?, folder: path.to_owned() });
        }
        let names: Vec<&str> = embedded::CONFIGS.iter().filter_map(|(name, _)| name.strip_prefix(BUILT_IN)).collect();
        let built_in = embedded::named(&format!("{BUILT_IN}{typed}")).filter(|_| !path.exists());
        let (place, text) = match built_in {
            Some(text) => (format!("built-in plan {typed}"), text.to_owned()),
            None if !path.exists() && !typed.contains(['/', '.']) => {
                return Err(Error::usage(format!("no file and no built-in plan is named '{typed}'"))
                    .with_hint(nearest::hint(typed, &names)));
            }
            None => (typed.to_owned(), reading::text(path, reading::CONFIGURATION)?),
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = out.map_or_else(|| run_folder::root().join(format!("study-{stem}")), Path::to_owned);
        Ok(Self { place, text, folder })
    }
}

/// A command for each unit that is not done.
fn list(source: &Source, units: &[&Unit], global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let folder = StudyFolder::begun(&source.folder).ok();
    let is_open = |unit: &&&Unit| folder.as_ref().is_none_or(|folder| folder.state(unit) != State::Done);
    let plan = source.place.strip_prefix("built-in plan ").unwrap_or(&source.place).to_owned();
    let lines = units.iter().filter(is_open).map(|unit| {
        let mut words = vec!["sgas".to_owned(), "study".to_owned(), for_shell(plan.clone())];
        words.extend(["--out".to_owned(), for_shell(source.folder.display().to_string())]);
        words.extend(["--only".to_owned(), for_shell(unit.name.clone())]);
        words.extend(global.words());
        words.join(" ") + "\n"
    });
    print(out, &lines.collect::<String>())
}

fn write(folder: &StudyFolder, plan: &Plan, results: &Results) -> Result<()> {
    let files = [
        ("results.md", tables::markdown(results)),
        ("results.csv", tables::csv(results)?),
        ("results.tex", tables::latex(results)),
        (RUNS_FILE, tables::runs_csv(results)?),
        (page::FILE, page::page(folder, plan, results, None)?),
    ];
    files.iter().try_for_each(|(name, text)| write_atomically(&folder.path().join(name), text.as_bytes()))
}

fn told(folder: &StudyFolder, outcome: &Outcome) -> String {
    let elsewhere = match outcome.elsewhere.len() {
        0 => String::new(),
        count => format!("{count} runs are being worked on by other processes\n"),
    };
    format!(
        "{elsewhere}study: {}\ntables: results.md, results.csv, results.tex, runs.csv; a page of them: results.html\n",
        folder.path().display()
    )
}

//! `sgas data info`: what a folder of shapes, pictures or graphs holds, and everything that can't be used.

use super::{DataInfoOptions, print};
use crate::batch::BatchKind;
use crate::config::{self, Sources, TrainRun, tasks};
use crate::data::survey::Problem;
use crate::data::{self, SampleKind, Survey};
use crate::error::{Error, Result};
use crate::visible::visible_word;
use serde::Serialize;
use std::collections::HashSet;
use std::io::Write;

/// Problems that are told one by one; of more only the number, and all as JSON.
const TOLD: usize = 20;

/// Prints it.
///
/// # Errors
/// A folder without a set, and, after what it holds was printed, samples that can't be used.
pub fn run(options: &DataInfoOptions, out: &mut dyn Write) -> Result<()> {
    let (kind, source) = data::find_own(options.kind, &options.folder)?;
    // Looked at with the defaults of the task of own samples.
    let task = Some(tasks::of_own(kind).name);
    let sources = Sources {
        config: None,
        begun: None,
        task,
        space: None,
        variant: None,
        sizes: None,
        set: &options.set,
        flags: &[],
    };
    let run: TrainRun = config::resolve(&sources)?;
    let survey = kind.family.survey(&source, &run.data, run.point.minimum_points(run.model.cells))?;
    let told = Told { kind, survey: &survey };
    let text = match options.json {
        true => format!("{:#}\n", serde_json::to_value(&told).expect("plain numbers and names")),
        false => as_text(&told),
    };
    print(out, &text)?;
    verdict(&told)
}

/// A set with its kind.
#[derive(Serialize)]
struct Told<'a> {
    kind: SampleKind,
    #[serde(flatten)]
    survey: &'a Survey,
}

fn verdict(Told { kind, survey }: &Told<'_>) -> Result<()> {
    let (bad, all, words) = (survey.problems.len(), survey.samples(), kind.plural);
    let told = match (bad, &survey.lacking) {
        (0, None) => return Ok(()),
        (0, Some(lacking)) => return Err(Error::usage(lacking)),
        (_, None) if kind.batch == BatchKind::Graphs => format!("{words} that can't be used: {bad} problems"),
        (_, None) => format!("{bad} of {all} {words} can't be used"),
        (_, Some(lacking)) => format!("{bad} of {all} {words} can't be used, and without them {lacking}"),
    };
    Err(Error::usage(told).with_hint(match survey.layout {
        "CIFAR" => "unpack the published archive again: runs take all records or none",
        _ => kind.mend,
    }))
}

fn line(name: &str, text: &str) -> String {
    format!("{:<12}{}\n", format!("{name}:"), visible_word(text))
}

fn as_text(Told { kind, survey }: &Told<'_>) -> String {
    let mut text = line("data", &survey.data) + &line("layout", survey.layout) + &line("test part", &survey.test_part);
    if !survey.files.is_empty() {
        let files = survey.files.iter().map(|(extension, count)| format!("{count} .{extension}"));
        text += &line("files", &files.collect::<Vec<_>>().join(", "));
    }
    if !survey.classes.is_empty() {
        text += &classes(survey, !survey.problems.is_empty() && !kind.labels_points);
    }
    text += &survey.content.lines.iter().map(|(name, told)| line(name, told)).collect::<String>();
    text.extend(survey.recipe.iter().map(|recipe| line("recipe", recipe)));
    text += &survey.notes.iter().map(|note| format!("note: {note}\n")).collect::<String>();
    text + &problems(survey)
}

fn classes(survey: &Survey, has_bad: bool) -> String {
    let has_validation = survey.classes.iter().any(|class| class.validation.is_some());
    let row = |name: &str, counts: [String; 4]| {
        let [train, validation, test, bad] = counts;
        let optional = |is_shown: bool, text: String| if is_shown { format!(" {text:>8}") } else { String::new() };
        let (validation, bad) = (optional(has_validation, validation), optional(has_bad, bad));
        format!("{name:<24} {train:>8}{validation} {test:>8}{bad}\n")
    };
    let mut text =
        String::from("\n") + &row(survey.content.class, ["train", "valid", "test", "bad"].map(str::to_owned));
    let mut sums = [0; 4];
    for class in &survey.classes {
        let counts = [class.train, class.validation.unwrap_or_default(), class.test, class.bad];
        text += &row(&visible_word(&class.class), counts.map(|count| count.to_string()));
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    text + &row(&format!("all {}", survey.classes.len()), sums.map(|sum| sum.to_string())) + "\n"
}

fn problems(survey: &Survey) -> String {
    let problems = &survey.problems;
    let (mut text, mut seen) = (String::new(), HashSet::new());
    for Problem { problem, hint, .. } in problems.iter().take(TOLD) {
        text += &format!("problem: {problem}\n");
        // Once for all problems of a kind, behind the first.
        let new = hint.as_ref().filter(|hint| seen.insert(*hint));
        text.extend(new.map(|hint| format!("hint: {hint}\n")));
    }
    if problems.len() > TOLD {
        text += &format!("and {} more problems: --json has them all\n", problems.len() - TOLD);
    }
    text
}

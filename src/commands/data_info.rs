//! `sgas data info`: what a folder of shapes holds, and every file that can't be used.

use super::{DataInfoOptions, print};
use crate::config::{self, Sources, TrainRun};
use crate::data::{self, Bounds, Column, SetName, Spread, Survey};
use crate::error::{Error, Result};
use std::io::Write;

/// Whose defaults a set is looked at with.
const TASK: &str = "points";

/// Problems that are told one by one; of more only the number, and all as JSON.
const TOLD: usize = 20;

/// Prints it.
///
/// # Errors
/// A folder without a set of shapes, and, after what it holds was printed, shapes that can't be used.
pub fn run(options: &DataInfoOptions, out: &mut dyn Write) -> Result<()> {
    let sources = Sources { config: None, begun: false, task: Some(TASK), set: &options.set, flags: &[] };
    let run: TrainRun = config::resolve(&sources)?;
    let source = data::find(SetName::Points, Some(&options.folder))?;
    let survey = data::survey(&source, &run.data, run.point.minimum_points(run.model.cells))?;
    let text = match options.json {
        true => format!("{:#}\n", serde_json::to_value(&survey).expect("plain numbers and names")),
        false => as_text(&survey),
    };
    print(out, &text)?;
    verdict(&survey)
}

fn verdict(survey: &Survey) -> Result<()> {
    let (bad, all) = (survey.problems.len(), shapes(survey));
    let told = match (bad, &survey.lacking) {
        (0, None) => return Ok(()),
        (0, Some(lacking)) => return Err(Error::usage(lacking)),
        (_, None) => format!("{bad} of {all} shapes can't be used"),
        (_, Some(lacking)) => format!("{bad} of {all} shapes can't be used, and without them {lacking}"),
    };
    Err(Error::usage(told).with_hint("mend or remove them; search, train and eval go on without them by --skip-bad"))
}

fn shapes(survey: &Survey) -> usize {
    survey.classes.iter().map(|class| class.train + class.test + class.bad).sum()
}

fn as_text(survey: &Survey) -> String {
    let line = |name: &str, text: &str| format!("{:<12}{text}\n", format!("{name}:"));
    let files: Vec<String> = survey.files.iter().map(|(extension, count)| format!("{count} .{extension}")).collect();
    let mut text = line("data", &survey.data) + &line("layout", survey.layout) + &line("test part", &survey.test_part);
    if !files.is_empty() {
        text += &line("files", &files.join(", "));
    }
    text += &classes(survey);
    if let Some(points) = survey.points {
        text += &line("clouds", &format!("{}; points each: {}", survey.clouds, spread(points)));
    }
    if let (Some(vertices), Some(triangles)) = (survey.vertices, survey.triangles) {
        let (vertices, triangles) = (spread(vertices), spread(triangles));
        text += &line("meshes", &format!("{}; vertices each: {vertices}; triangles each: {triangles}", survey.meshes));
    }
    if let Some(bounds) = survey.range {
        text += &line("range", &range(bounds));
    }
    if let (Some(smallest), Some(largest)) = (&survey.smallest, &survey.largest) {
        text += &line("smallest", &format!("{} ({})", short(smallest.extent), smallest.shape));
        text += &line("largest", &format!("{} ({})", short(largest.extent), largest.shape));
    }
    text += &columns(survey);
    text += &survey.notes.iter().map(|note| format!("note: {note}\n")).collect::<String>();
    text + &problems(survey)
}

fn classes(survey: &Survey) -> String {
    let has_bad = !survey.problems.is_empty();
    let row = |name: &str, counts: [String; 3]| {
        let [train, test, bad] = counts;
        let bad = if has_bad { format!(" {bad:>8}") } else { String::new() };
        format!("{name:<24} {train:>8} {test:>8}{bad}\n")
    };
    let mut text = String::from("\n") + &row("class", ["train", "test", "bad"].map(str::to_owned));
    let mut sums = [0; 3];
    for class in &survey.classes {
        let counts = [class.train, class.test, class.bad];
        text += &row(&class.class, counts.map(|count| count.to_string()));
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    text + &row(&format!("all {}", survey.classes.len()), sums.map(|sum| sum.to_string())) + "\n"
}

fn spread(Spread { min, median, max }: Spread) -> String {
    if min == max { min.to_string() } else { format!("{min} to {max}, median {median}") }
}

fn range(Bounds { min, max }: Bounds) -> String {
    let axis = |axis: usize| format!("{} {} to {}", ["x", "y", "z"][axis], short(min[axis]), short(max[axis]));
    [0, 1, 2].map(axis).join(", ")
}

/// Four digits that count.
fn short(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    match magnitude {
        -4.0..7.0 => format!("{value:.*}", (3.0 - magnitude).max(0.0) as usize),
        _ => format!("{value:.3e}"),
    }
}

fn columns(survey: &Survey) -> String {
    let all = survey.clouds + survey.meshes;
    let (common, rare): (Vec<&Column>, Vec<&Column>) = survey.columns.iter().partition(|column| column.shapes == all);
    let names: Vec<&str> = common.iter().map(|column| column.name.as_str()).collect();
    let mut text = format!("{:<12}{}\n", "columns:", names.join(", "));
    if !rare.is_empty() {
        let rare: Vec<String> = rare.iter().map(|column| format!("{} in {}", column.name, column.shapes)).collect();
        text += &format!("{:<12}{}, of {all} shapes\n", "some have:", rare.join(", "));
    }
    if !survey.features.is_empty() {
        text += &format!("{:<12}data.features can name {}\n", "features:", survey.features.join(", "));
    }
    text
}

fn problems(survey: &Survey) -> String {
    let problems = &survey.problems;
    let mut text: String = problems.iter().take(TOLD).map(|told| format!("problem: {}\n", told.problem)).collect();
    if problems.len() > TOLD {
        text += &format!("and {} more problems: --json has them all\n", problems.len() - TOLD);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_that_count() {
        let told = [0.0, 1.0, -12.345_67, 0.001_234_5, 123_456.7, 1.5e9, 2e-7].map(short);
        assert_eq!(told, ["0.000", "1.000", "-12.35", "0.001234", "123457", "1.500e9", "2.000e-7"]);
    }
}

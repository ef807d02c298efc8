//! `sgas data info`: what a folder of shapes, pictures or graphs holds, and everything that can't be used.

use super::{DataInfoOptions, print};
use crate::config::{self, Sources, TrainRun, tasks};
use crate::data::{
    self, Bounds, Column, Content, GraphContent, PictureContent, SampleKind, SceneContent, ShapeContent, Spread, Survey,
};
use crate::error::{Error, Result};
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
    let sources = Sources { config: None, begun: None, task, set: &options.set, flags: &[] };
    let run: TrainRun = config::resolve(&sources)?;
    let survey = data::survey(kind, &source, &run.data, run.point.minimum_points(run.model.cells))?;
    let text = match options.json {
        true => format!("{:#}\n", serde_json::to_value(&survey).expect("plain numbers and names")),
        false => as_text(&survey),
    };
    print(out, &text)?;
    verdict(&survey)
}

fn verdict(survey: &Survey) -> Result<()> {
    let (bad, all, kind) = (survey.problems.len(), survey.samples(), survey.kind.plural());
    let told = match (bad, &survey.lacking) {
        (0, None) => return Ok(()),
        (0, Some(lacking)) => return Err(Error::usage(lacking)),
        (_, None) if survey.kind == SampleKind::Graphs => format!("{kind} that can't be used: {bad} problems"),
        (_, None) => format!("{bad} of {all} {kind} can't be used"),
        (_, Some(lacking)) => format!("{bad} of {all} {kind} can't be used, and without them {lacking}"),
    };
    Err(Error::usage(told).with_hint(match survey.layout {
        "CIFAR" => "unpack the published archive again: runs take all records or none",
        _ if survey.kind == SampleKind::Graphs => "mend them: runs take all nodes and links or none",
        _ => "mend or remove them; search, train and eval go on without them by --skip-bad",
    }))
}

fn line(name: &str, text: &str) -> String {
    format!("{:<12}{text}\n", format!("{name}:"))
}

fn counts(counts: impl Iterator<Item = (impl std::fmt::Display, impl std::fmt::Display)>) -> String {
    counts.map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

fn as_text(survey: &Survey) -> String {
    let mut text = line("data", &survey.data) + &line("layout", survey.layout) + &line("test part", &survey.test_part);
    if !survey.files.is_empty() {
        text += &line("files", &counts(survey.files.iter().map(|(extension, count)| (format!(".{extension}"), count))));
    }
    if !survey.classes.is_empty() {
        text += &classes(survey);
    }
    text += &match &survey.content {
        Content::Shapes(content) => shapes(content),
        Content::Pictures(content) => pictures(content),
        Content::Graphs(content) => graphs(content),
        Content::Scenes(content) => scenes(content),
        Content::None {} => String::new(),
    };
    text += &survey.notes.iter().map(|note| format!("note: {note}\n")).collect::<String>();
    text + &problems(survey)
}

fn shapes(content: &ShapeContent) -> String {
    let mut text = String::new();
    if let Some(points) = content.points {
        text += &line("clouds", &format!("{}; points each: {}", content.clouds, spread(points)));
    }
    if let (Some(vertices), Some(triangles)) = (content.vertices, content.triangles) {
        let (vertices, triangles) = (spread(vertices), spread(triangles));
        text += &line("meshes", &format!("{}; vertices each: {vertices}; triangles each: {triangles}", content.meshes));
    }
    if let Some(bounds) = content.range {
        text += &line("range", &range(bounds));
    }
    if let (Some(smallest), Some(largest)) = (&content.smallest, &content.largest) {
        text += &line("smallest", &format!("{} ({})", short(smallest.extent), smallest.shape));
        text += &line("largest", &format!("{} ({})", short(largest.extent), largest.shape));
    }
    text + &columns(content)
}

fn pictures(content: &PictureContent) -> String {
    let mut text = line("pictures", &content.pictures.to_string());
    if let (Some(width), Some(height)) = (content.width, content.height) {
        text += &line("width", &spread(width));
        text += &line("height", &spread(height));
        text += &line("colours", &counts(content.colours.iter()));
    }
    text
}

fn graphs(content: &GraphContent) -> String {
    let GraphContent { nodes, links, stored, splits, .. } = content;
    let mut text = String::new();
    if let (Some(each), Some(degrees)) = (content.nodes_per_graph, content.degrees) {
        text += &line("graphs", &format!("{}; nodes each: {}", content.graphs, spread(each)));
        text +=
            &line("nodes", &format!("{nodes}; links into each: {}; {} isolated", spread(degrees), content.isolated));
    }
    let odd = format!(
        "{} from a node to itself, {} repeated, {} in one direction alone",
        stored.self_loops, stored.duplicates, stored.one_way
    );
    text += &line("links", &format!("{links}, made of {} stored: {odd}", stored.links));
    text += &line("features", &format!("{} per node", content.features));
    let labels = match content.multi_label {
        true => "several per node, each of which holds or not",
        false => "one of several classes per node",
    };
    text += &line("labels", labels);
    let [train, validation, test] = [splits.train, splits.validation, splits.test];
    text + &line(
        "scored",
        &format!("{train} training, {validation} validation, {test} test nodes; {} never", splits.none),
    )
}

fn scenes(content: &SceneContent) -> String {
    let mut text = String::new();
    if let Some(points) = content.points {
        text += &line("clouds", &format!("{}; points each: {}", content.clouds, spread(points)));
    }
    let SceneContent { all_points, unlabelled, channels, .. } = content;
    text += &line("points", &format!("{all_points}, {unlabelled} of them without a class; {channels} channels each"));
    text += &line("parts", &counts(content.splits.iter()));
    if let Some(rooms) = &content.rooms {
        text += &line("rooms", &format!("{}; blocks: {}", rooms.rooms, counts(rooms.areas.iter())));
    }
    if !content.features.is_empty() {
        text += &line("features", &format!("data.features can name {}", content.features.join(", ")));
    }
    text
}

fn classes(survey: &Survey) -> String {
    let (has_bad, has_validation) = (
        !survey.problems.is_empty() && survey.kind != SampleKind::Scenes,
        survey.classes.iter().any(|class| class.validation.is_some()),
    );
    let row = |name: &str, counts: [String; 4]| {
        let [train, validation, test, bad] = counts;
        let optional = |is_shown: bool, text: String| if is_shown { format!(" {text:>8}") } else { String::new() };
        let (validation, bad) = (optional(has_validation, validation), optional(has_bad, bad));
        format!("{name:<24} {train:>8}{validation} {test:>8}{bad}\n")
    };
    let kind =
        if matches!(&survey.content, Content::Graphs(content) if content.multi_label) { "label" } else { "class" };
    let mut text = String::from("\n") + &row(kind, ["train", "valid", "test", "bad"].map(str::to_owned));
    let mut sums = [0; 4];
    for class in &survey.classes {
        let counts = [class.train, class.validation.unwrap_or_default(), class.test, class.bad];
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

fn columns(content: &ShapeContent) -> String {
    let all = content.clouds + content.meshes;
    let (common, rare): (Vec<&Column>, Vec<&Column>) = content.columns.iter().partition(|column| column.shapes == all);
    let names: Vec<&str> = common.iter().map(|column| column.name.as_str()).collect();
    let mut text = format!("{:<12}{}\n", "columns:", names.join(", "));
    if !rare.is_empty() {
        let rare: Vec<String> = rare.iter().map(|column| format!("{} in {}", column.name, column.shapes)).collect();
        text += &format!("{:<12}{}, of {all} shapes\n", "some have:", rare.join(", "));
    }
    if !content.features.is_empty() {
        text += &format!("{:<12}data.features can name {}\n", "features:", content.features.join(", "));
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

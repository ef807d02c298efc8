//! What a set holds, told without a network: counts, sizes, and every sample that won't do.
//!
//! What is peculiar to a kind stands in `points/survey.rs`, `images/survey.rs`, `graphs/survey.rs` and `scenes/survey.rs`. What a sample must
//! satisfy is checked where it is checked for a run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::checks::check_classes;
use super::config::DataConfig;
use super::graphs::survey::GraphContent;
use super::images::survey::PictureContent;
use super::kind::SampleKind;
use super::points::survey::ShapeContent;
use super::scenes::survey::SceneContent;
use super::source::Source;
use super::split::Split;
use super::{graphs, images, points, scenes};
use crate::error::{Error, Result};

/// What a set holds. Numbers are those of the samples that can be used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    /// What its samples are.
    pub kind: SampleKind,
    /// Where it comes from.
    pub data: String,
    /// How it is stored: `HDF5`, `CIFAR`, where class and part stand in a path, or `none`.
    pub layout: &'static str,
    /// What says which samples are for testing.
    pub test_part: String,
    /// Files by extension, those that can't be used too.
    pub files: BTreeMap<String, usize>,
    /// In the order of the labels.
    pub classes: Vec<ClassCount>,
    /// What only this kind has.
    #[serde(flatten)]
    pub content: Content,
    /// What is worth knowing and stops nothing.
    pub notes: Vec<String>,
    /// Samples that can't be used.
    pub problems: Vec<Problem>,
    /// What the set lacks where those are left out.
    pub lacking: Option<String>,
}

/// What only samples of a kind have.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// Of clouds and meshes.
    Shapes(ShapeContent),
    /// Of pictures.
    Pictures(PictureContent),
    /// Of graphs.
    Graphs(GraphContent),
    /// Of labelled clouds.
    Scenes(SceneContent),
    /// Of graphs that can't be read.
    None {},
}

/// The samples of a class; of graphs the nodes that have a label, of labelled clouds the points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Name of the class.
    pub class: String,
    /// For training, that can be used.
    pub train: usize,
    /// For validation, where the set itself says which are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// For testing, that can be used.
    pub test: usize,
    /// That can't be used.
    pub bad: usize,
}

/// How a count spreads over the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: usize,
    /// The middle one; of an even number of samples the greater of the middle two.
    pub median: usize,
    /// The greatest.
    pub max: usize,
}

/// A sample that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its file, and its place in the file.
    pub sample: String,
    /// What was expected and found, the place included.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A set that is looked at, as opened.
pub(super) struct Looked {
    /// What its samples are.
    pub kind: SampleKind,
    /// Where it comes from.
    pub origin: String,
    /// How it is stored.
    pub layout: &'static str,
    /// What says which samples are for testing.
    pub division: String,
    /// Files by extension.
    pub files: BTreeMap<String, usize>,
    /// Names of the classes.
    pub classes: Vec<String>,
}

/// A sample that was looked at.
pub(super) struct Seen<'a> {
    /// Its file, and its place in the file.
    pub name: &'a str,
    pub split: Split,
    /// Its class, where it is known; that of a good one is.
    pub label: Option<usize>,
    /// Why it can't be used.
    pub error: Option<&'a Error>,
}

/// Looks at every sample of a set as a run with this configuration would. `minimum_points` is what a network needs
/// of a cloud (k · dilation).
///
/// # Errors
/// A set that can't be opened at all: see [`points::load`] and [`images::load`]; of graphs every problem is told.
pub fn survey(kind: SampleKind, source: &Source, config: &DataConfig, minimum_points: usize) -> Result<Survey> {
    match kind {
        SampleKind::Shapes => points::survey::survey(source, config, minimum_points),
        SampleKind::Pictures => images::survey::survey(source, config),
        SampleKind::Graphs => Ok(graphs::survey::survey(source, config)),
        SampleKind::Scenes => scenes::survey::survey(source, config),
    }
}

impl Survey {
    /// What is told of sets of any kind, and what only this kind has.
    pub(super) fn new(looked: Looked, seen: &[Seen<'_>], content: Content, notes: Vec<String>) -> Self {
        let good = seen.iter().filter(|seen| seen.error.is_none());
        let good = good.filter_map(|seen| Some((seen.split, seen.label?)));
        Self {
            lacking: check_classes(good, &looked.classes, &looked.origin).err().map(|error| error.to_string()),
            classes: count_classes(seen, &looked.classes),
            kind: looked.kind,
            data: looked.origin,
            layout: looked.layout,
            test_part: looked.division,
            files: looked.files,
            content,
            notes,
            problems: seen.iter().filter_map(|seen| Some(problem(seen.name, seen.error?))).collect(),
        }
    }

    /// What is told of graphs, of which one that can't be read ends the reading of all.
    pub(super) fn of_parts(
        looked: Looked,
        classes: Vec<ClassCount>,
        content: Content,
        notes: Vec<String>,
        problems: &[Error],
    ) -> Self {
        let problems = problems.iter().map(|error| problem(&looked.origin, error)).collect();
        let Looked { kind, origin, layout, division, files, .. } = looked;
        let lacking = None;
        Self { kind, data: origin, layout, test_part: division, files, classes, content, notes, problems, lacking }
    }

    /// All samples, those that can't be used too.
    pub fn samples(&self) -> usize {
        let good = match &self.content {
            Content::Scenes(content) => content.items,
            _ => self
                .classes
                .iter()
                .map(|class| class.train + class.validation.unwrap_or_default() + class.test)
                .sum::<usize>(),
        };
        good + self.problems.len()
    }
}

impl Spread {
    pub(super) fn of(counts: impl Iterator<Item = usize>) -> Option<Self> {
        let mut counts: Vec<usize> = counts.collect();
        counts.sort_unstable();
        Some(Self { min: *counts.first()?, median: counts[counts.len() / 2], max: *counts.last()? })
    }
}

fn count_classes(seen: &[Seen<'_>], classes: &[String]) -> Vec<ClassCount> {
    let none = |class: &String| ClassCount { class: class.clone(), train: 0, validation: None, test: 0, bad: 0 };
    let mut counts: Vec<ClassCount> = classes.iter().map(none).collect();
    for seen in seen {
        let Some(label) = seen.label else { continue };
        if seen.split == Split::Validation && seen.error.is_none() {
            *counts[label].validation.get_or_insert_default() += 1;
            continue;
        }
        match (seen.error, seen.split) {
            (Some(_), _) => counts[label].bad += 1,
            (None, Split::Test) => counts[label].test += 1,
            (None, _) => counts[label].train += 1,
        }
    }
    counts
}

pub(super) fn problem(sample: &str, error: &Error) -> Problem {
    Problem { sample: sample.to_owned(), problem: error.to_string(), hint: error.hint().map(str::to_owned) }
}

//! What a set holds, told without a network: counts, sizes, and every sample that won't do.
//!
//! What is peculiar to a family stands with it. What a sample must satisfy is checked where it is checked for a run.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::checks::check_classes;
use super::dataset::{Dataset, Variant};
use super::loader::Samples;
use super::split::Split;
use crate::error::Error;

/// What a set holds. Numbers are those of the samples that can be used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
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
    /// The recipe that suits it better than the usual one of own data, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// What is worth knowing and stops nothing.
    pub notes: Vec<String>,
    /// Samples that can't be used.
    pub problems: Vec<Problem>,
    /// What the set lacks where those are left out.
    pub lacking: Option<String>,
}

/// What only a family has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Content {
    /// By name, for programs.
    #[serde(flatten)]
    pub values: Value,
    /// For people: names, and what is told of them.
    #[serde(skip)]
    pub lines: Vec<(&'static str, String)>,
    /// The samples that can be used.
    #[serde(skip)]
    pub samples: usize,
    /// What the names in the list of classes stand for.
    #[serde(skip)]
    pub class: &'static str,
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

impl Survey {
    /// What is told of sets of any kind, and what only this kind has.
    pub(super) fn new(looked: Looked, seen: &[Seen<'_>], content: Content, notes: Vec<String>) -> Self {
        let good = seen.iter().filter(|seen| seen.error.is_none());
        let good = good.filter_map(|seen| Some((seen.split, seen.label?)));
        Self {
            lacking: check_classes(good, &looked.classes, &looked.origin).err().map(|error| error.to_string()),
            classes: count_classes(seen, &looked.classes),
            problems: seen.iter().filter_map(|seen| Some(Problem::of(seen.name, seen.error?))).collect(),
            ..Self::plain(looked, content, notes)
        }
    }

    /// What a set says that was loaded, with its samples' classes.
    pub fn of(set: &Dataset, layout: &'static str) -> Self {
        let splits = Split::ALL.into_iter();
        let parts = splits.filter_map(|split| Some((split, set.split(split)?)));
        let of_part = |(split, samples): (Split, &'_ Arc<dyn Samples>)| {
            let labels: Vec<Option<usize>> = (0..samples.len()).map(|index| samples.label(index)).collect();
            labels.into_iter().map(move |label| Seen { name: "", split, label, error: None })
        };
        let seen: Vec<Seen<'_>> = parts.flat_map(of_part).collect();
        let (origin, classes) = (set.origin.clone(), set.classes.clone());
        let looked = Looked { origin, layout, division: "its own".to_owned(), files: BTreeMap::new(), classes };
        Self::new(looked, &seen, Content::new(&json!({}), seen.len(), Vec::new()), Vec::new())
    }

    /// The same without counts of classes and problems.
    pub(super) fn plain(looked: Looked, content: Content, notes: Vec<String>) -> Self {
        let Looked { origin: data, layout, division: test_part, files, .. } = looked;
        let (classes, problems, lacking, recipe) = (Vec::new(), Vec::new(), None, None);
        Self { data, layout, test_part, files, classes, content, recipe, notes, problems, lacking }
    }

    /// With the recipe that suits it.
    pub(super) fn with_recipe(self, variant: Option<Variant>) -> Self {
        Self { recipe: variant.as_ref().map(Variant::told), ..self }
    }

    /// Samples of a class that can be used and are not for testing.
    pub(super) fn learned_from(&self) -> usize {
        self.classes.iter().map(|class| class.train + class.validation.unwrap_or_default()).sum()
    }

    /// All samples, those that can't be used too.
    pub fn samples(&self) -> usize {
        self.content.samples + self.problems.len()
    }
}

impl Content {
    pub(super) fn new(values: &impl Serialize, samples: usize, lines: Vec<(&'static str, String)>) -> Self {
        let values = serde_json::to_value(values).expect("plain numbers and names");
        Self { values, lines, samples, class: "class" }
    }
}

/// So many of each, in words.
pub(super) fn counts(counts: impl Iterator<Item = (impl Display, impl Display)>) -> String {
    counts.map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// Four digits that count.
pub(super) fn short(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    match magnitude {
        -4.0..7.0 => format!("{value:.*}", (3.0 - magnitude).max(0.0) as usize),
        _ => format!("{value:.3e}"),
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { min, median, max } = self;
        if min == max { write!(f, "{min}") } else { write!(f, "{min} to {max}, median {median}") }
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
    let mut counts = ClassCount::none(classes, None);
    for seen in seen {
        match (seen.label, seen.error) {
            (Some(label), Some(_)) => counts[label].bad += 1,
            (Some(label), None) => counts[label].add(seen.split),
            (None, _) => {}
        }
    }
    counts
}

impl ClassCount {
    /// Nothing yet of all classes.
    pub(super) fn none(classes: &[String], validation: Option<usize>) -> Vec<Self> {
        let none = |class: &String| Self { class: class.clone(), train: 0, validation, test: 0, bad: 0 };
        classes.iter().map(none).collect()
    }

    /// One more that can be used.
    pub(super) fn add(&mut self, split: Split) {
        match split {
            Split::Train => self.train += 1,
            Split::Validation => *self.validation.get_or_insert_default() += 1,
            Split::Test => self.test += 1,
        }
    }

    /// Notes of classes, called `what`, that nothing has, no `unit`, in training or in testing.
    pub(super) fn lacking(classes: &[Self], what: &str, unit: &str) -> Vec<String> {
        let note = |split: Split, count: fn(&Self) -> usize| {
            let lacking: Vec<&str> = classes.iter().filter(|of| count(of) == 0).map(|of| of.class.as_str()).collect();
            let (first, part) = (lacking.first()?, split.name());
            Some(format!("{} {what}, such as {first}, have no {part} {unit}", lacking.len()))
        };
        [note(Split::Train, |of| of.train), note(Split::Test, |of| of.test)].into_iter().flatten().collect()
    }
}

impl Problem {
    pub(super) fn of(sample: &str, error: &Error) -> Self {
        Self { sample: sample.to_owned(), problem: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
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

//! What a set of labelled clouds holds: points per class, sizes, rooms, and every cloud that won't do.
//!
//! What a cloud must satisfy is checked where it is checked for a run: the set is read as for one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::cloud::Cloud;
use super::item::{Item, Opened};
use super::labels::IGNORED;
use super::set::{Resolved, SceneSet};
use super::{groups, variant};
use crate::data::config::Section;
use crate::data::points::features::Features;
use crate::data::source::Source;
use crate::data::split::Split;
use crate::data::survey::{ClassCount, Content, Looked, Problem, Spread, Survey, counts};
use crate::error::Result;

/// What only sets of labelled clouds hold. Numbers are those of the clouds that can be used.
#[derive(Serialize)]
struct SceneContent {
    /// Files, or blocks of S3DIS.
    pub items: usize,
    /// Clouds as the network gets them: whole, or their blocks.
    pub clouds: usize,
    /// Points of each of these.
    pub points: Option<Spread>,
    /// Points of all.
    pub all_points: usize,
    /// Points without a class.
    pub unlabelled: usize,
    /// Clouds for training, for validation where the set says so, and for testing.
    pub splits: BTreeMap<&'static str, usize>,
    /// Rooms of S3DIS, and blocks of each area.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Rooms>,
    /// Channels per point.
    pub channels: usize,
    /// What `data.features` can name, because all clouds have it.
    pub features: Vec<String>,
}

impl SceneContent {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let Self { all_points, unlabelled, channels, .. } = self;
        let mut lines = Vec::new();
        if let Some(points) = self.points {
            lines.push(("clouds", format!("{}; points each: {points}", self.clouds)));
        }
        lines.push(("points", format!("{all_points}, {unlabelled} of them without a class; {channels} channels each")));
        lines.push(("parts", counts(self.splits.iter())));
        if let Some(Rooms { rooms, areas }) = &self.rooms {
            lines.push(("rooms", format!("{rooms}; blocks: {}", counts(areas.iter()))));
        }
        if !self.features.is_empty() {
            lines.push(("features", format!("data.features can name {}", self.features.join(", "))));
        }
        lines
    }
}

/// The rooms of a set of blocks.
#[derive(Serialize)]
struct Rooms {
    /// All rooms.
    pub rooms: usize,
    /// Blocks of each area.
    pub areas: BTreeMap<String, usize>,
}

/// The label that many programs give to what has no class.
const LIKELY_NONE: usize = 255;

/// Looks at every cloud.
pub(super) fn survey(source: &Source, section: Section<'_, Resolved>) -> Result<Survey> {
    let set = SceneSet::open(source, section, false)?;
    let clouds = &set.resolved.clouds;
    let items = &set.opened.items;
    let good: Vec<(&Item, &Vec<Cloud>)> =
        items.iter().filter_map(|item| Some((item, item.clouds.as_ref().ok()?))).collect();
    let content = content(&set, &good);
    let classes = classes(&set.opened.classes, &good);
    let problem = |item: &Item| Some(Problem::of(&item.name, item.clouds.as_ref().err()?));
    let problems = items.iter().filter_map(problem).collect();
    let mut notes = notes(&content, &classes, &good, clouds.points);
    notes.extend(set.noticed.told(set.noticed.settle(clouds.color_range, &set.origin)?));
    let lacking = [Split::Train, Split::Test].into_iter().find(|split| !content.splits.contains_key(split.name()));
    let lacking =
        lacking.map(|split| format!("{} split: expected at least one labelled cloud, found none", split.name()));
    let learned = good.iter().filter(|(item, _)| item.split != Split::Test).flat_map(|(_, clouds)| clouds.iter());
    let recipe = variant(learned.map(|cloud| groups(cloud, clouds.points)).sum());
    let SceneSet { origin, layout, opened: Opened { division, files, classes: names, .. }, .. } = set;
    let looked = Looked { origin, layout, division, files, classes: names };
    let content = Content::new(&content, content.items, content.lines());
    Ok(Survey { classes, problems, lacking, ..Survey::plain(looked, content, notes) }.with_recipe(recipe))
}

fn content(set: &SceneSet, good: &[(&Item, &Vec<Cloud>)]) -> SceneContent {
    let clouds = || good.iter().flat_map(|(_, clouds)| clouds.iter());
    let mut splits = BTreeMap::new();
    good.iter().for_each(|(item, clouds)| *splits.entry(item.split.name()).or_default() += clouds.len());
    let all_points = clouds().map(Cloud::len).sum::<usize>();
    SceneContent {
        items: good.len(),
        clouds: clouds().count(),
        points: Spread::of(clouds().map(Cloud::len)),
        all_points,
        unlabelled: all_points - clouds().map(Cloud::labelled).sum::<usize>(),
        splits,
        rooms: rooms(good),
        channels: set.resolved.clouds.features.channels(),
        features: Features::nameable(&set.opened.columns.iter().map(String::as_str).collect::<Vec<_>>()),
    }
}

/// Where items are blocks of rooms.
fn rooms(good: &[(&Item, &Vec<Cloud>)]) -> Option<Rooms> {
    let rooms: BTreeSet<&String> = good.iter().map(|(item, _)| &item.group).collect();
    let area = |room: &str| room.split('_').take(2).collect::<Vec<_>>().join("_");
    let are_rooms = good.iter().any(|(item, _)| item.group != item.name);
    let mut areas = BTreeMap::new();
    good.iter().for_each(|(item, _)| *areas.entry(area(&item.group)).or_default() += 1);
    are_rooms.then_some(Rooms { rooms: rooms.len(), areas })
}

/// Points of each class.
fn classes(names: &[String], good: &[(&Item, &Vec<Cloud>)]) -> Vec<ClassCount> {
    let has_validation = good.iter().any(|(item, _)| item.split == Split::Validation);
    let mut counts = ClassCount::none(names, has_validation.then_some(0));
    for (item, clouds) in good {
        for class in clouds.iter().flat_map(|cloud| cloud.classes()).filter(|class| **class != IGNORED) {
            counts[*class as usize].add(item.split);
        }
    }
    counts
}

fn notes(content: &SceneContent, classes: &[ClassCount], good: &[(&Item, &Vec<Cloud>)], wanted: usize) -> Vec<String> {
    let mut notes = ClassCount::lacking(classes, "classes", "point");
    if content.unlabelled > 0 {
        let count = content.unlabelled;
        notes.push(format!("{count} points have no class: they are neither trained on nor scored"));
    }
    let has_points = |class: &ClassCount| class.train + class.test + class.validation.unwrap_or_default() > 0;
    if let [others @ .., last] = classes
        && others.len() == LIKELY_NONE
        && has_points(last)
        && others.last().is_some_and(|before| !has_points(before))
    {
        notes.push(format!(
            "label {LIKELY_NONE} is a class of its own: if it means none, set data.scenes.unlabelled = {LIKELY_NONE}"
        ));
    }
    let clouds = || good.iter().flat_map(|(_, clouds)| clouds.iter());
    let small = clouds().filter(|cloud| cloud.len() < wanted).count();
    if small > 0 {
        notes.push(format!(
            "{small} clouds have fewer points than data.points = {wanted}: points are repeated, and count once"
        ));
    }
    notes
}

//! Clouds with a class for every point, as rooms and parts of shapes have: read, checked, split, and made into batches
//! of points.
//!
//! A sample is a group of `data.points` points. A cloud of more has several groups, which together hold every point
//! once; points that fill up the last one do not count. In training, groups may be random subsets instead
//! ([`PointOrder::Random`]), as many per cloud.

mod cloud;
pub mod config;
mod family;
mod gathered;
mod inputs;
mod item;
pub mod labelled_ply;
mod labels;
mod layout;
mod lists;
mod own;
pub(super) mod parsers;
mod s3dis;
mod semantic_kitti;
mod set;
mod shapenet;
mod survey;
mod synthetic;
mod synthetic_files;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::seq::SliceRandom;
use tch::Tensor;

use cloud::Cloud;
use item::Item;
use set::{Resolved, SceneSet};

use super::checks::keep_good;
use super::config::Section;
use super::dataset::{Dataset, Targets, Variant};
use super::family::LoadNeeds;
use super::loader::{Access, Samples};
use super::points::augmentation::{Augmentation, PointOrder, choose_points, scale_translate};
use super::points::check_points;
use super::points::clouds::Preparation;
use super::source::Source;
use super::split::{Shares, Split};
use crate::batch::{Batch, PointBatch};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::tensor::random::{Key, Purpose};

pub use family::{FAMILY, S3DIS, SEGMENTATION, SHAPENET_PART};

/// So many groups of points for training and validation are no longer few: half of what ShapeNet's parts have.
const ENOUGH: usize = 7000;

/// One split of a set of labelled clouds, in groups of points.
#[derive(Debug)]
pub struct Scenes {
    clouds: Vec<Cloud>,
    /// Cloud and number of each group.
    groups: Vec<(usize, usize)>,
    /// By the number of points of clouds with several groups: the order in which these take them.
    orders: HashMap<usize, Vec<u32>>,
    labelled: usize,
    preparation: Preparation,
}

impl Scenes {
    /// The seed decides which points of a cloud make a group.
    fn new(clouds: Vec<Cloud>, preparation: Preparation, seed: u64) -> Self {
        let count = |cloud: &Cloud| groups(cloud, preparation.points);
        let groups =
            clouds.iter().enumerate().flat_map(|(index, cloud)| (0..count(cloud)).map(move |group| (index, group)));
        let groups = groups.collect();
        let mut orders = HashMap::new();
        for cloud in clouds.iter().filter(|cloud| count(cloud) > 1) {
            orders.entry(cloud.len()).or_insert_with(|| order(cloud.len(), seed));
        }
        let labelled = clouds.iter().map(Cloud::labelled).sum();
        Self { clouds, groups, orders, labelled, preparation }
    }

    /// The points of a group, as positions in its cloud, and how many of them count; each point of a cloud counts in one
    /// of its groups.
    fn group(&self, index: usize) -> (Vec<u32>, usize) {
        let (cloud, group) = self.groups[index];
        let (stored, wanted) = (self.clouds[cloud].len(), self.preparation.points);
        let start = group * wanted;
        let counted = wanted.min(stored - start);
        let points = match self.orders.get(&stored) {
            Some(order) => order[start..].iter().chain(order).copied().take(wanted).collect(),
            None => (0..stored as u32).cycle().take(wanted).collect(),
        };
        (points, counted)
    }

    /// The points of a sample for this access, and how many of them count.
    fn chosen(&self, index: usize, access: Access, generator: &mut impl rand::Rng) -> (Vec<u32>, usize) {
        let Preparation { points, order, .. } = self.preparation;
        if !access.training || order == PointOrder::First {
            return self.group(index);
        }
        let stored = self.clouds[self.groups[index].0].len();
        let chosen = choose_points(stored, points, order, generator);
        (chosen.into_iter().map(|point| point as u32).collect(), points.min(stored))
    }
}

/// How many groups of so many points a cloud has.
fn groups(cloud: &Cloud, points: usize) -> usize {
    cloud.len().div_ceil(points)
}

/// The points of a cloud in an order that follows from their number and the seed.
fn order(points: usize, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..points as u32).collect();
    order.shuffle(&mut Key::new(seed, Purpose::Evaluation).at(0, points as u64).generator());
    order
}

impl Samples for Scenes {
    fn len(&self) -> usize {
        self.groups.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.clouds[self.groups[index].0].name
    }

    fn label(&self, _: usize) -> Option<usize> {
        None
    }

    fn fingerprint(&self, fingerprint: &mut Fingerprint) -> Result<()> {
        for cloud in &self.clouds {
            let (mut values, mut classes) = (Vec::new(), Vec::new());
            let all: Vec<u32> = (0..cloud.len() as u32).collect();
            cloud.copy(&all, all.len(), &mut values, &mut classes);
            fingerprint.numbers(&values);
            fingerprint.numbers(&classes);
        }
        Ok(())
    }

    fn smallest_training_batch(&self) -> usize {
        FAMILY.smallest_training_batch
    }

    /// Points that have a class.
    fn targets(&self) -> usize {
        self.labelled
    }

    fn batch(&self, indices: &[usize], access: Access) -> Result<Batch> {
        let Preparation { points, channels, normals, augmentation, .. } = self.preparation;
        let mut values = Vec::with_capacity(indices.len() * points * channels);
        let mut classes = Vec::with_capacity(indices.len() * points);
        for index in indices {
            let mut generator = access.key.at(access.key.epoch, *index as u64).generator();
            let (chosen, counted) = self.chosen(*index, access, &mut generator);
            let start = values.len();
            self.clouds[self.groups[*index].0].copy(&chosen, counted, &mut values, &mut classes);
            if access.training && augmentation == Augmentation::ScaleTranslate {
                scale_translate(&mut values[start..], channels, normals, &mut generator);
            }
        }
        let shape = [indices.len(), points, channels].map(|size| size as i64);
        let points = Tensor::f_from_slice(&values)?.f_view(shape)?;
        Ok(Batch::Points(PointBatch { points, labels: Tensor::f_from_slice(&classes)? }))
    }
}

/// Reads, checks, normalises and splits a set; the built-in one in blocks of rooms where `in_blocks` says so. The run's
/// seed decides which clouds are held out for validation, of S3DIS whole rooms.
fn load(
    source: &Source,
    section: Section<'_, Resolved>,
    in_blocks: bool,
    needs: &LoadNeeds,
) -> Result<(Dataset, Resolved)> {
    check_points(section.own.clouds.points, needs.minimum_points)?;
    let lists = section.lists;
    let SceneSet { opened, origin, resolved, noticed, .. } = SceneSet::open(source, section, in_blocks)?;
    let clouds = &resolved.clouds;
    noticed.log(clouds.color_range, &clouds.features);
    let read = |item: Item| item.clouds.map(|clouds| Part { split: item.split, group: item.group, clouds });
    let (parts, skipped) = keep_good(opened.items.into_iter().map(read).collect(), lists.skip_bad)?;
    let origin = if skipped > 0 { format!("{origin}, {skipped} bad clouds skipped") } else { origin };
    warn_of_repeated_points(parts.iter().flat_map(|part| &part.clouds), clouds.points);
    let preparation = clouds.preparation();
    let divided = divide(parts, lists.shares, needs.seed);
    warn_of_unlearned_classes(&divided[0], &opened.classes);
    let [train, validation, test] =
        divided.map(|clouds| -> Arc<dyn Samples> { Arc::new(Scenes::new(clouds, preparation, lists.shares.seed)) });
    if let Some((empty, _)) = [("train", &train), ("test", &test)].into_iter().find(|(_, part)| part.is_empty()) {
        return Err(Error::invalid(format!("{origin}: {empty} split"), "at least one labelled cloud", "none"));
    }
    let variant = variant(train.len() + validation.len());
    let dataset = Dataset {
        train,
        validation: (!validation.is_empty()).then_some(validation),
        test,
        classes: opened.classes,
        targets: Targets::PointClasses,
        unit: "points",
        channels: preparation.channels as i64,
        origin,
        variant,
    };
    Ok((dataset, resolved))
}

/// The recipe that suits so many groups of points for training and validation better than the usual one, if any does.
fn variant(groups: usize) -> Option<Variant> {
    Variant::small(groups, ENOUGH, "groups of points")
}

/// A good item.
struct Part {
    split: Split,
    group: String,
    clouds: Vec<Cloud>,
}

/// Clouds for training, validation and testing. A share of the training groups is used at all, and of these a share is
/// held out where the set has no part for validation.
fn divide(parts: Vec<Part>, shares: Shares, seed: u64) -> [Vec<Cloud>; 3] {
    let mut seen = HashSet::new();
    let groups = parts.iter().filter(|part| part.split == Split::Train).map(|part| &part.group);
    let names: Vec<String> = groups.filter(|name| seen.insert(*name)).cloned().collect();
    let kept = shares.used(&vec![0; names.len()]);
    let has_validation = parts.iter().any(|part| part.split == Split::Validation);
    let shares = if has_validation { Shares { validation: 0.0, ..shares } } else { shares };
    let marks = shares.held_out(&vec![0; kept.len()], seed);
    let split_of: HashMap<String, usize> =
        kept.iter().zip(marks).map(|(name, is_held_out)| (names[*name].clone(), usize::from(is_held_out))).collect();
    let mut clouds: [Vec<Cloud>; 3] = Default::default();
    for part in parts {
        let place = match part.split {
            Split::Train => split_of.get(&part.group).copied(),
            Split::Validation => Some(1),
            Split::Test => Some(2),
        };
        if let Some(place) = place {
            clouds[place].extend(part.clouds);
        }
    }
    clouds
}

fn warn_of_repeated_points<'a>(clouds: impl Iterator<Item = &'a Cloud> + Clone, points: usize) {
    let small = clouds.clone().filter(|cloud| cloud.len() < points);
    if let Some(smallest) = small.clone().min_by_key(|cloud| cloud.len()) {
        let (count, all) = (small.count(), clouds.count());
        tracing::warn!(
            "{count} of {all} clouds or blocks have fewer than data.points = {points} points (the smallest, {}, {}): \
             points are repeated for the network, and count once",
            smallest.name,
            smallest.len()
        );
    }
}

fn warn_of_unlearned_classes(train: &[Cloud], classes: &[String]) {
    let mut is_there = vec![false; classes.len()];
    let all = train.iter().flat_map(Cloud::classes).filter(|class| **class != labels::IGNORED);
    all.for_each(|class| is_there[*class as usize] = true);
    let lacking: Vec<&String> =
        classes.iter().zip(is_there).filter_map(|(class, is_there)| (!is_there).then_some(class)).collect();
    if let Some(first) = lacking.first() {
        tracing::warn!("{} of {} classes, such as {first}, have no training point", lacking.len(), classes.len());
    }
}

#[cfg(test)]
mod tests;

//! What a set is, as digests: so that a run that goes on learns from what it began with.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::dataset::Dataset;
use super::loader::Samples;
use super::split::Split;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::reading;

/// Files of pictures that are read at every access have their content told as well up to so many bytes in all, beyond
/// that their sizes alone.
const SMALL: u64 = 64 << 20;

/// Takes in files: their sizes, and where they are small in all, their content.
///
/// # Errors
/// A file that can't be read.
pub(super) fn add_files<'a>(
    fingerprint: &mut Fingerprint,
    files: impl Iterator<Item = &'a Path> + Clone,
) -> Result<()> {
    let mut total = 0;
    for path in files.clone() {
        let size = std::fs::metadata(path).map_err(|error| Error::read(path, error))?.len();
        fingerprint.numbers(&[size]);
        total += size;
    }
    for path in files.filter(|_| total <= SMALL) {
        let file = reading::open(path)?;
        fingerprint.content(file).map_err(|error| Error::read(path, error))?;
    }
    Ok(())
}

/// What a split is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitIdentity {
    /// Its samples.
    pub samples: usize,
    /// What has a target: samples, scored nodes, labelled points.
    pub targets: usize,
    /// Digest of the samples' files, relative to the set's folder, in their order.
    pub names: String,
    /// Digest of the samples' classes, by name.
    pub labels: String,
    /// Digest of the samples themselves; of large pictures that are read at every access, of the sizes of their files.
    pub content: String,
}

/// What a set is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataIdentity {
    /// Names of the classes or labels.
    pub classes: Vec<String>,
    /// What weights are trained on.
    pub train: SplitIdentity,
    /// What is held out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<SplitIdentity>,
    /// What is for testing.
    pub test: SplitIdentity,
}

impl DataIdentity {
    /// Of a set that was read from the folder `source`.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn of(dataset: &Dataset, source: &str) -> Result<Self> {
        let of_split = |samples: &dyn Samples| SplitIdentity::of(samples, &dataset.classes, source);
        Ok(Self {
            classes: dataset.classes.clone(),
            train: of_split(&*dataset.train)?,
            validation: dataset.split(Split::Validation).map(|samples| of_split(&**samples)).transpose()?,
            test: of_split(&*dataset.test)?,
        })
    }

    /// What differs, in words: `training samples: 100, now 50`.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if self.classes != now.classes {
            differences.push(differing_classes(&self.classes, &now.classes));
        }
        let mut add = |split: &str, was: Option<&SplitIdentity>, now: Option<&SplitIdentity>| match (was, now) {
            (Some(was), Some(now)) => differences.extend(was.differences(now, split)),
            (None, None) => {}
            (was, _) => differences.push(format!("there was {} {split} split", if was.is_some() { "a" } else { "no" })),
        };
        add("training", Some(&self.train), Some(&now.train));
        add("validation", self.validation.as_ref(), now.validation.as_ref());
        add("test", Some(&self.test), Some(&now.test));
        differences
    }
}

fn differing_classes(was: &[String], now: &[String]) -> String {
    let [before, after]: [BTreeSet<&String>; 2] = [was.iter().collect(), now.iter().collect()];
    match (before.difference(&after).next(), after.difference(&before).next()) {
        (Some(gone), _) => format!("the class {gone} is gone"),
        (None, Some(new)) => format!("the class {new} is new"),
        (None, None) => "the classes have another order".to_owned(),
    }
}

impl SplitIdentity {
    fn of(samples: &dyn Samples, classes: &[String], source: &str) -> Result<Self> {
        let [mut names, mut labels, mut content] = [(); 3].map(|()| Fingerprint::default());
        for index in 0..samples.len() {
            let name = samples.name(index);
            names.bytes(name.strip_prefix(source).unwrap_or(name).as_bytes());
            let class = samples.label(index).and_then(|label| classes.get(label));
            labels.bytes(class.map_or(&[], |class| class.as_bytes()));
        }
        samples.fingerprint(&mut content)?;
        Ok(Self {
            samples: samples.len(),
            targets: samples.targets(),
            names: names.digest(),
            labels: labels.digest(),
            content: content.digest(),
        })
    }

    fn differences(&self, now: &Self, split: &str) -> Vec<String> {
        if self.samples != now.samples {
            return vec![format!("{split} samples: {}, now {}", self.samples, now.samples)];
        }
        if self.targets != now.targets {
            return vec![format!("{split} targets: {}, now {}", self.targets, now.targets)];
        }
        let parts = [("names", &self.names, &now.names), ("labels", &self.labels, &now.labels)];
        let content = ("content", &self.content, &now.content);
        let differing = parts.into_iter().chain([content]).filter(|(_, was, now)| was != now);
        differing.map(|(what, ..)| format!("the {what} of the {split} samples")).collect()
    }
}

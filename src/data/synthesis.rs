//! The built-in sets as folders of files, in the formats and layouts that people have: for trying the way from a folder to
//! a score. What is peculiar to a family stands with it.

use std::path::Path;

use super::split::Split;
use super::synthetic::SyntheticConfig;
use crate::error::{Error, Result};
use crate::files::{write_atomically, write_folder_atomically};

/// What a family's built-in set can be written as.
#[derive(Debug)]
pub struct Making {
    /// Where files lie; the first where none is named.
    pub layouts: &'static [MadeLayout],
    /// All files have one format.
    pub one_format: bool,
    /// Samples may have several labels.
    pub several_labels: bool,
    /// What its sets are like, for messages.
    pub remark: &'static str,
}

impl Making {
    /// Of a family without a built-in set.
    pub const NONE: Self = Self {
        layouts: &[MadeLayout { name: "", written: "samples", formats: &["none"], points: 0 }],
        one_format: true,
        several_labels: false,
        remark: "there is no built-in set of this kind",
    };
}

/// A layout of a built-in set.
#[derive(Debug)]
pub struct MadeLayout {
    /// As `--layout` takes it; empty for the only one.
    pub name: &'static str,
    /// What is written.
    pub written: &'static str,
    /// As `--format` takes them; the first where none is named.
    pub formats: &'static [&'static str],
    /// Points per sample where nobody says; 0 where samples have none.
    pub points: usize,
}

/// A set to be written; formats and layout are among those of the family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synthesis {
    /// How many samples, and which.
    pub size: SyntheticConfig,
    /// Points per sample.
    pub points: usize,
    /// Taken in turn within every class; at least one.
    pub formats: Vec<&'static str>,
    /// Where the files lie.
    pub layout: &'static str,
    /// Several labels, else one class.
    pub multi_label: bool,
}

impl Synthesis {
    /// The format of a sample of a class. Classes begin at different formats, so that a small set has them all and no format
    /// tells the class.
    pub(super) fn format(&self, label: usize, number: usize) -> &'static str {
        self.formats[(label + number) % self.formats.len()]
    }

    /// The number of a sample within the folder of its class, of so many, by its position in its split: those for testing
    /// are numbered on from those for training.
    pub(super) fn number(&self, split: Split, index: usize, classes: usize) -> usize {
        let label = index % classes;
        let before = if split == Split::Test { (self.size.train + classes - 1 - label) / classes } else { 0 };
        before + index / classes + 1
    }

    /// Writes the set into a new folder, with a `README.txt` of this text.
    ///
    /// # Errors
    /// Too small a size; a folder that holds something already; files that can't be written. Nothing is left half-written.
    pub(super) fn write(&self, folder: &Path, readme: &[u8], files: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.size.validate()?;
        write_folder_atomically(folder, |folder| {
            files(folder)?;
            write_atomically(&folder.join("README.txt"), readme)
        })
    }

    /// The text of a `README.txt` that says what the set is; `before` and `after` are options of the family's own.
    pub(super) fn readme(&self, samples: &str, what: &str, before: &str, after: &str) -> Vec<u8> {
        let SyntheticConfig { train, test, seed } = self.size;
        let version = env!("CARGO_PKG_VERSION");
        let points = if self.points > 0 { format!(" --points {}", self.points) } else { String::new() };
        let text = format!(
            "Synthetic {samples}, made by sgas {version}. They are not real data: scores on them tell nothing about\n\
             published ones.\n\n{what}\n\n\
             Made by: sgas data synth DIR {before} --train {train} --test {test}{points} --seed {seed}{after}\n"
        );
        text.into_bytes()
    }

    /// The formats as `--format` takes them.
    pub(super) fn format_names(&self) -> String {
        self.formats.join(",")
    }
}

/// Makes the folder of a file.
///
/// # Errors
/// A folder that can't be made.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().expect("every file has a class");
    std::fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))
}

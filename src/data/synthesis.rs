//! The built-in sets as folders of files, in the formats and layouts that people have: for trying the way from a folder to
//! a score. What is peculiar to a family stands with it.

use super::synthetic::SyntheticConfig;

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

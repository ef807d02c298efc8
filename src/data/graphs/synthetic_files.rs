//! The built-in graphs as files, as people have them: for trying the way from a folder to a score.

use std::path::Path;

use super::labels::Labels;
use super::synthetic::{self, Shape, Synthetic};
use crate::data::numpy::header;
use crate::data::points::synthetic::SyntheticConfig;
use crate::data::split::Split;
use crate::error::Result;
use crate::files::{write_atomically, write_folder_atomically};

/// What the tables of synthetic graphs are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Text with a header line.
    Csv,
    /// Arrays of NumPy.
    Npy,
}

impl TableFormat {
    /// The format's name on the command line, and the extension of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Npy => "npy",
        }
    }
}

/// How many graphs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphLayout {
    /// Several, for training, for validation or for testing.
    Many,
    /// One, whose nodes are.
    One,
}

/// The synthetic graphs as a folder of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticGraphs {
    /// How many graphs, or nodes of one, and which.
    pub size: SyntheticConfig,
    /// How many graphs there are.
    pub layout: GraphLayout,
    /// Several labels per node, else one class.
    pub multi_label: bool,
    /// How tables are written.
    pub format: TableFormat,
}

impl SyntheticGraphs {
    /// Writes the set into a new folder: edges, features, labels, graphs, and the lists of nodes; also a `README.txt`
    /// that says what it is.
    ///
    /// # Errors
    /// Too small a size; a folder that holds something already; files that can't be written. Nothing is left
    /// half-written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.size.validate()?;
        if self.layout == GraphLayout::Many {
            synthetic::check_count("--train", &self.size)?;
        }
        let shape = Shape { one: self.layout == GraphLayout::One, multi_label: self.multi_label };
        let set = synthetic::generate(&self.size, shape);
        write_folder_atomically(folder, |folder| {
            for (name, bytes) in self.files(&set) {
                write_atomically(&folder.join(name), &bytes)?;
            }
            Ok(())
        })
    }

    fn files(&self, set: &Synthetic) -> Vec<(String, Vec<u8>)> {
        let nodes = &set.nodes;
        let table = |name: &str, table: Table<'_>| {
            let bytes = match self.format {
                TableFormat::Csv => table.to_csv(),
                TableFormat::Npy => table.to_npy(),
            };
            (format!("{name}.{}", self.format.name()), bytes)
        };
        let of = |name: &str| vec![name.to_owned()];
        let columns = nodes.features.columns;
        let links = nodes.links.iter().flatten().map(|node| f64::from(*node)).collect();
        let mut files = vec![
            table(
                "edges",
                Table { header: ["source", "target"].map(str::to_owned).to_vec(), values: links, names: None },
            ),
            table(
                "features",
                Table {
                    header: (0..columns).map(|column| format!("feature_{column}")).collect(),
                    values: nodes.features.values.iter().map(|value| f64::from(*value)).collect(),
                    names: None,
                },
            ),
        ];
        files.push(match &nodes.labels {
            Some(Labels::Several(values)) => table(
                "labels",
                Table {
                    header: set.names.clone(),
                    values: values.iter().map(|value| f64::from(*value)).collect(),
                    names: None,
                },
            ),
            Some(Labels::Classes(classes)) => {
                let values = classes.iter().map(|class| *class as f64).collect();
                table("labels", Table { header: of("label"), values, names: Some(&set.names) })
            }
            None => unreachable!("synthetic nodes have labels"),
        });
        if let Some(numbers) = &nodes.graphs {
            let values = numbers.iter().map(|number| *number as f64).collect();
            files.push(table("graphs", Table { header: of("graph"), values, names: None }));
        }
        for (name, split) in [("train", Split::Train), ("valid", Split::Validation), ("test", Split::Test)] {
            let listed = (0..set.splits.len()).filter(|node| set.splits[*node] == split);
            files
                .push((format!("{name}.txt"), listed.map(|node| format!("{node}\n")).collect::<String>().into_bytes()));
        }
        files.push(("README.txt".to_owned(), self.about().into_bytes()));
        files
    }

    fn about(&self) -> String {
        let SyntheticConfig { train, test, seed } = self.size;
        let version = env!("CARGO_PKG_VERSION");
        let (what, layout) = match self.layout {
            GraphLayout::Many => ("graphs", "many"),
            GraphLayout::One => ("nodes of one graph", "one"),
        };
        let (labels, flag) = if self.multi_label { ("several labels", " --multi-label") } else { ("one class", "") };
        let format = self.format.name();
        format!(
            "Synthetic graphs, made by sgas {version}. They are not real data: scores on them tell nothing about\n\
             published ones.\n\n\
             Planted communities, {labels} per node: {train} {what} for training (train.txt), {test} for validation\n\
             (valid.txt) and {test} for testing (test.txt). Few nodes of a community show its labels; most are two links\n\
             away from one that does.\n\n\
             Made by: sgas data synth DIR --kind graphs --layout {layout}{flag} --format {format} --train {train} --test \
             {test} --seed {seed}\n"
        )
    }
}

/// A table to be written.
struct Table<'a> {
    header: Vec<String>,
    /// Row by row.
    values: Vec<f64>,
    /// What texts have instead of the numbers.
    names: Option<&'a [String]>,
}

impl Table<'_> {
    fn to_csv(&self) -> Vec<u8> {
        let cell = |value: &f64| match self.names {
            Some(names) => names[*value as usize].clone(),
            None if value.fract() == 0.0 => (*value as i64).to_string(),
            // The shortest digits that give the number in single precision again.
            None => (*value as f32).to_string(),
        };
        let rows = self.values.chunks(self.header.len());
        let rows = rows.map(|row| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n");
        (self.header.join(",") + "\n" + &rows.collect::<String>()).into_bytes()
    }

    fn to_npy(&self) -> Vec<u8> {
        let size = [self.values.len() / self.header.len(), self.header.len()];
        let is_whole = self.values.iter().all(|value| value.fract() == 0.0);
        let mut bytes = header::write(if is_whole { "<i8" } else { "<f4" }, size);
        for value in &self.values {
            match is_whole {
                true => bytes.extend((*value as i64).to_le_bytes()),
                false => bytes.extend((*value as f32).to_le_bytes()),
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::config::DataConfig;
    use crate::data::graphs::set::GraphSet;
    use crate::data::source::{SetName, Source};

    #[test]
    fn what_is_written_is_read_back_as_it_was_made() {
        let size = SyntheticConfig { train: 10, test: 10, seed: 1 };
        let config = DataConfig { synthetic: size.clone(), ..DataConfig::default() };
        for (multi_label, set) in [(true, SetName::Ppi), (false, SetName::Graphs)] {
            let made = GraphSet::open(&Source::Synthetic, &config, set).unwrap();
            for format in [TableFormat::Csv, TableFormat::Npy] {
                let folder = tempfile::tempdir().unwrap();
                let files = SyntheticGraphs { size: size.clone(), layout: GraphLayout::Many, multi_label, format };
                files.write(&folder.path().join("new")).unwrap();
                let source = Source::Folder(folder.path().join("new"));
                let read = GraphSet::open(&source, &config, SetName::Graphs).unwrap();
                assert_eq!((read.multi_label, &read.marks), (multi_label, &made.marks));
                assert_eq!(read.names.len(), made.names.len());
                for (one, other) in read.graphs.iter().zip(&made.graphs) {
                    assert_eq!(
                        (&one.features, &one.labels, &one.links),
                        (&other.features, &other.labels, &other.links)
                    );
                }
            }
        }
    }
}

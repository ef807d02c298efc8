//! The built-in graphs as files.

use std::path::Path;

use super::labels::Labels;
use super::synthetic::{self, Shape, Synthetic};
use crate::data::numpy::header;
use crate::data::split::Split;
use crate::data::synthesis::{MadeLayout, Making, Synthesis};
use crate::error::Result;
use crate::files::write_atomically;

/// What graphs are written as.
pub(super) const MAKING: Making = Making {
    layouts: &[
        MadeLayout { name: MANY, written: "graphs", formats: &["csv", "npy"], points: 0 },
        MadeLayout { name: ONE, written: "nodes of one graph", formats: &["csv", "npy"], points: 0 },
    ],
    one_format: true,
    several_labels: true,
    remark: "graphs are written as tables of edges, features and labels, and lists of nodes",
};

/// Several graphs, for training, for validation or for testing.
const MANY: &str = "many";

/// One graph, whose nodes are.
const ONE: &str = "one";

/// Writes the set into a new folder: edges, features, labels, graphs, and the lists of nodes; also a `README.txt` that says
/// what it is.
///
/// # Errors
/// Too small a size; a folder that holds something already; files that can't be written. Nothing is left half-written.
pub(super) fn write(wanted: &Synthesis, folder: &Path) -> Result<()> {
    wanted.size.validate()?;
    if wanted.layout == MANY {
        synthetic::check_count("--train", &wanted.size)?;
    }
    let shape = Shape { one: wanted.layout == ONE, multi_label: wanted.multi_label };
    let set = synthetic::generate(&wanted.size, shape);
    wanted.write(folder, &about(wanted), |folder| {
        files(wanted, &set).iter().try_for_each(|(name, bytes)| write_atomically(&folder.join(name), bytes))
    })
}

fn files(wanted: &Synthesis, set: &Synthetic) -> Vec<(String, Vec<u8>)> {
    let nodes = &set.nodes;
    let table = |name: &str, table: Table<'_>| {
        let format = wanted.formats[0];
        (format!("{name}.{format}"), if format == "npy" { table.to_npy() } else { table.to_csv() })
    };
    let of = |name: &str| vec![name.to_owned()];
    let columns = nodes.features.columns;
    let links = nodes.links.iter().flatten().map(|node| f64::from(*node)).collect();
    let mut files = vec![
        table("edges", Table { header: ["source", "target"].map(str::to_owned).to_vec(), values: links, names: None }),
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
        files.push((format!("{name}.txt"), listed.map(|node| format!("{node}\n")).collect::<String>().into_bytes()));
    }
    files
}

fn about(wanted: &Synthesis) -> Vec<u8> {
    let (labels, flag) = if wanted.multi_label { ("several labels", " --multi-label") } else { ("one class", "") };
    let what = format!(
        "Planted communities, {labels} per node: train.txt lists the nodes for training, valid.txt and test.txt as many\n\
         each for validation and testing. Few nodes of a community show its labels; most are two links away from one\n\
         that does."
    );
    let (layout, formats) = (wanted.layout, wanted.format_names());
    wanted.readme("graphs", &what, &format!("--kind graphs --layout {layout}{flag} --format {formats}"), "")
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
    use crate::data::graphs::config::GraphDataConfig;
    use crate::data::graphs::open;
    use crate::data::source::Source;
    use crate::data::synthetic::SyntheticConfig;

    #[test]
    fn what_is_written_is_read_back_as_it_was_made() {
        let size = SyntheticConfig { train: 10, test: 10, seed: 1 };
        let config = DataConfig { synthetic: size.clone(), ..DataConfig::default() };
        let graphs = GraphDataConfig::default();
        let section = config.section(&graphs);
        for multi_label in [true, false] {
            let made = open::open(&Source::Synthetic, section, multi_label).unwrap();
            for format in ["csv", "npy"] {
                let folder = tempfile::tempdir().unwrap();
                let formats = vec![format];
                let files = Synthesis { size: size.clone(), points: 0, formats, layout: MANY, multi_label };
                write(&files, &folder.path().join("new")).unwrap();
                let source = Source::Folder(folder.path().join("new"));
                let read = open::open(&source, section, false).unwrap();
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

//! The predictions for a list of shapes, pictures or nodes, as a table to read, as CSV and as JSON; and what is refused
//! of the predictions for any kind of sample.

use super::percent;
use crate::data::SampleKind;
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What was predicted, of what, and by what.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// What was predicted.
    pub kind: SampleKind,
    /// Several labels, each of which holds or not, instead of one of several classes.
    pub multi_label: bool,
    /// Names of the classes or labels, in the order of the probabilities.
    pub classes: Vec<String>,
    /// What the predictions come from, by name.
    pub provenance: Map<String, Value>,
    /// Every sample, in the order named.
    pub samples: Vec<Prediction>,
}

/// One shape or picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Its file.
    pub file: String,
    /// The probability of every class, or why the sample was skipped.
    pub outcome: std::result::Result<Vec<f64>, String>,
}

/// How predictions are written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A row per sample, a column per class.
    Csv,
    /// An object with the provenance and a list of samples.
    Json,
}

impl Format {
    /// The format that the file's extension names.
    ///
    /// # Errors
    /// Another extension.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => Err(Error::invalid(
                format!("--output {}", path.display()),
                "a file named *.csv or *.json",
                if extension.is_empty() { "no extension".to_owned() } else { format!(".{extension}") },
            )),
        }
    }
}

impl Prediction {
    /// The classes by their probability, the most probable first; none of a skipped sample.
    fn ranked(&self) -> Vec<(usize, f64)> {
        let mut ranked: Vec<(usize, f64)> = self.outcome.iter().flatten().copied().enumerate().collect();
        ranked.sort_by(|one, other| other.1.total_cmp(&one.1));
        ranked
    }
}

impl Predictions {
    /// The samples that were skipped.
    pub fn skipped(&self) -> usize {
        self.samples.iter().filter(|sample| sample.outcome.is_err()).count()
    }

    /// In the form of a file.
    pub fn to_format(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Csv => self.to_csv(),
            Format::Json => self.to_json().into_bytes(),
        }
    }

    /// The labels that hold: those with a probability above one half.
    fn held(&self, probabilities: &[f64]) -> Vec<&str> {
        let named = self.classes.iter().zip(probabilities);
        named.filter(|(_, probability)| **probability > 0.5).map(|(label, _)| label.as_str()).collect()
    }

    /// Columns: file, class and its probability, or the labels that hold, then one per class or label, error.
    fn to_csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |row: Vec<String>| writer.write_record(row).expect("rows of one length, in memory");
        let told: &[&str] = if self.multi_label { &["file", "labels"] } else { &["file", "class", "probability"] };
        let told: Vec<String> = told.iter().map(|name| (*name).to_owned()).collect();
        write([&told[..], &self.classes, &["error".to_owned()]].concat());
        for sample in &self.samples {
            let mut row = vec![sample.file.clone()];
            if self.multi_label {
                row.push(sample.outcome.as_ref().map_or(String::new(), |found| self.held(found).join("; ")));
            } else {
                let best = sample.ranked().first().copied();
                row.push(best.map_or(String::new(), |(class, _)| self.classes[class].clone()));
                row.push(best.map_or(String::new(), |(_, probability)| probability.to_string()));
            }
            match &sample.outcome {
                Ok(probabilities) => row.extend(probabilities.iter().map(f64::to_string)),
                Err(_) => row.resize(row.len() + self.classes.len(), String::new()),
            }
            row.push(sample.outcome.as_ref().err().cloned().unwrap_or_default());
            write(row);
        }
        writer.into_inner().expect("memory takes every byte")
    }

    /// The provenance at the top, then `predictions`.
    pub fn to_json(&self) -> String {
        let predictions = self.samples.iter().map(|sample| match (&sample.outcome, sample.ranked().first()) {
            (Ok(probabilities), Some((class, probability))) => {
                let named = self.classes.iter().cloned().zip(probabilities.iter().map(|&value| Value::from(value)));
                let named = named.collect::<Map<String, Value>>();
                if self.multi_label {
                    json!({ "file": sample.file, "labels": self.held(probabilities), "probabilities": named })
                } else {
                    json!({
                        "file": sample.file,
                        "class": self.classes[*class],
                        "probability": probability,
                        "probabilities": named,
                    })
                }
            }
            (outcome, _) => json!({ "file": sample.file, "error": outcome.as_ref().err() }),
        });
        let mut object = self.provenance.clone();
        object.insert(self.kind.targets.to_owned(), self.samples.len().into());
        object.insert("skipped".to_owned(), self.skipped().into());
        object.insert("predictions".to_owned(), predictions.collect());
        format!("{:#}\n", Value::from(object))
    }

    /// A line per sample with its `top` most probable classes or labels.
    pub fn to_table(&self, top: usize) -> String {
        let longest = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.chars().count()).max();
        let file = longest(&mut self.samples.iter().map(|sample| &sample.file)).unwrap_or(0).max("file".len());
        let what = if self.multi_label { "label" } else { "class" };
        let class = longest(&mut self.classes.iter()).unwrap_or(0).max(what.len());
        let runners = if top > 1 { "  then" } else { "" };
        let mut text = format!("{:<file$}  {:<class$}  probability{runners}\n", "file", what);
        for sample in &self.samples {
            let line = match (&sample.outcome, sample.ranked().split_first()) {
                (Ok(_), Some(((best, probability), others))) => {
                    let others = others.iter().take(top - 1);
                    let others = others.map(|(class, share)| format!("{} {}", self.classes[*class], percent(*share)));
                    let others = others.collect::<Vec<_>>().join(", ");
                    format!("{:<class$}  {:>11}  {others}", self.classes[*best], percent(*probability))
                }
                (outcome, _) => {
                    let why = outcome.as_ref().err().map_or("", String::as_str);
                    format!("{:<class$}  {:>11}  skipped: {why}", "-", "-")
                }
            };
            text += &format!("{:<file$}  {}\n", sample.file, line.trim_end());
        }
        text
    }
}

/// Refuses to write over what is predicted.
///
/// # Errors
/// An output that is one of the samples.
pub(super) fn refuse_inputs(kind: SampleKind, path: &Path, files: &[PathBuf]) -> Result<()> {
    let there = path.canonicalize();
    if there.is_ok_and(|there| files.iter().any(|file| file.canonicalize().is_ok_and(|file| file == there))) {
        return Err(Error::invalid(
            format!("--output {}", path.display()),
            format!("a file that is not among the {}", kind.plural),
            "one of the files to predict",
        )
        .with_hint("write the predictions outside of the folders that --input names"));
    }
    Ok(())
}

/// # Errors
/// Probabilities of `file` that are not numbers, with what to look at.
pub(super) fn require_finite(kind: SampleKind, file: &str, probabilities: &[f64]) -> Result<()> {
    if probabilities.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    let [content, hint] = kind.numbers;
    let expected = format!("{content} that the network gives finite scores for");
    Err(Error::invalid(file, expected, "scores that are not a number").with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Predictions {
        let shape = |file: &str, outcome| Prediction { file: file.to_owned(), outcome };
        Predictions {
            kind: SampleKind::of(&crate::data::points::FAMILY),
            multi_label: false,
            classes: ["cup, small", "bowl", "file"].map(str::to_owned).to_vec(),
            provenance: Map::from_iter([("seed".to_owned(), 4.into())]),
            samples: vec![
                shape("a.ply", Ok(vec![0.25, 0.625, 0.125])),
                shape("scans/bad.ply", Err("scans/bad.ply: expected \"x\", found none".to_owned())),
                shape("b.ply", Ok(vec![0.5, 0.5, 0.0])),
            ],
        }
    }

    #[test]
    fn a_table_of_values_has_a_row_per_shape_and_a_column_per_class() {
        let bytes = predictions().to_format(Format::Csv);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        assert_eq!(
            reader.headers().unwrap(),
            ["file", "class", "probability", "cup, small", "bowl", "file", "error"].as_slice()
        );
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(&rows[0], ["a.ply", "bowl", "0.625", "0.25", "0.625", "0.125", ""].as_slice());
        let error = "scans/bad.ply: expected \"x\", found none";
        assert_eq!(&rows[1], ["scans/bad.ply", "", "", "", "", "", error].as_slice());
        assert_eq!(rows[2][1], *"cup, small", "of equals the first");
    }

    #[test]
    fn json_has_the_provenance_and_every_probability_by_its_name() {
        let value: Value = serde_json::from_str(&predictions().to_json()).unwrap();
        assert_eq!((&value["seed"], &value["shapes"], &value["skipped"]), (&4.into(), &3.into(), &1.into()));
        let probabilities = json!({ "cup, small": 0.25, "bowl": 0.625, "file": 0.125 });
        let first = json!({ "file": "a.ply", "class": "bowl", "probability": 0.625, "probabilities": probabilities });
        assert_eq!(value["predictions"][0], first);
        let skipped = json!({ "file": "scans/bad.ply", "error": "scans/bad.ply: expected \"x\", found none" });
        assert_eq!(value["predictions"][1], skipped);
    }

    #[test]
    fn of_labels_those_above_one_half_hold() {
        let labels =
            Predictions { kind: SampleKind::of(&crate::data::graphs::FAMILY), multi_label: true, ..predictions() };
        let bytes = labels.to_format(Format::Csv);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        assert_eq!(reader.headers().unwrap(), ["file", "labels", "cup, small", "bowl", "file", "error"].as_slice());
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!((&rows[0][1], &rows[1][1], &rows[2][1]), ("bowl", "", ""));
        let value: Value = serde_json::from_str(&labels.to_json()).unwrap();
        assert_eq!((&value["nodes"], &value["predictions"][0]["labels"]), (&3.into(), &json!(["bowl"])));
        assert!(value["predictions"][0].get("class").is_none());
    }

    #[test]
    fn the_table_tells_as_many_classes_as_asked_for() {
        let lines = |top| predictions().to_table(top).lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(1)[1], "a.ply          bowl            62.50 %");
        assert_eq!(lines(2)[1], "a.ply          bowl            62.50 %  cup, small 25.00 %");
        assert_eq!(lines(9)[1], "a.ply          bowl            62.50 %  cup, small 25.00 %, file 12.50 %");
        assert!(lines(1)[2].ends_with("skipped: scans/bad.ply: expected \"x\", found none"));
    }

    #[test]
    fn the_extension_names_the_format() {
        assert_eq!(Format::of(Path::new("a/B.CSV")).unwrap(), Format::Csv);
        assert_eq!(Format::of(Path::new("p.json")).unwrap(), Format::Json);
        for (path, found) in [("p.txt", "found .txt"), ("csv", "found no extension")] {
            let error = Format::of(Path::new(path)).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().ends_with(found), "{error}");
        }
    }
}

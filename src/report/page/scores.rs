//! What `sgas eval` leaves in a run's folder, as the page shows it: scores, a row per class or label, the confusion.

use super::curves::{capitalised, number};
use crate::report::percent;
use serde::{Deserialize, Serialize};

/// Classes up to which the confusion is shown as a whole.
const MOST_CLASSES: usize = 60;
/// Confusions that are told in words.
const TOLD: usize = 10;
/// Classes or labels up to which all are listed; of more, the best and the worst.
const LISTED: usize = 200;

/// `eval-<split>.json`; what a task does not have is absent.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    split: String,
    data: String,
    weights: String,
    samples: u64,
    loss: Option<f64>,
    overall_accuracy: Option<f64>,
    mean_class_accuracy: Option<f64>,
    top5_accuracy: Option<f64>,
    mean_iou: Option<f64>,
    published_mean_iou: Option<f64>,
    micro_f1: Option<f64>,
    macro_f1: Option<f64>,
    graph_mean_micro_f1: Option<f64>,
    per_class: Vec<OfClass>,
    per_label: Vec<OfLabel>,
    confusion: Vec<Vec<u64>>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct OfClass {
    class: String,
    #[serde(alias = "points")]
    samples: u64,
    accuracy: Option<f64>,
    iou: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct OfLabel {
    label: String,
    nodes: u64,
    true_positives: u64,
    false_positives: u64,
    false_negatives: u64,
    f1: f64,
}

/// An evaluation as the page shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// `test`.
    pub split: String,
    /// The data in words.
    pub data: String,
    /// The weights.
    pub weights: String,
    /// Name and value of each score.
    pub scores: Vec<(String, String)>,
    /// Headings of the table of classes or labels.
    pub columns: Vec<&'static str>,
    /// A row per class or label, with the width of a bar, 0 to 100.
    pub rows: Vec<Row>,
    /// Rows that are left out.
    pub left_out: usize,
    /// The confusion, where there are not too many classes.
    pub confusion: Option<Confusion>,
    /// The most frequent confusions in words.
    pub mistakes: Vec<String>,
}

/// A class or label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// A text per heading after the first.
    pub cells: Vec<String>,
    /// Its score, 0 to 100.
    pub bar: String,
}

/// Who was taken for whom.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confusion {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Rows are actual classes.
    pub rows: Vec<ConfusionRow>,
}

/// An actual class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfusionRow {
    /// Its name.
    pub class: String,
    /// Count and share of the row, 0 to 1, of each predicted class.
    pub cells: Vec<(u64, String)>,
}

impl Evaluation {
    /// The split that was scored.
    pub fn split(&self) -> &str {
        &self.split
    }

    /// The score by which weights are chosen.
    pub fn score(&self) -> Option<f64> {
        self.mean_iou.or(self.micro_f1).or(self.overall_accuracy)
    }

    /// As the page shows it.
    pub fn scored(&self) -> Scored {
        let named = [
            ("mean IoU", self.mean_iou),
            ("mean IoU as published", self.published_mean_iou),
            ("micro-F1", self.micro_f1),
            ("macro-F1", self.macro_f1),
            ("mean micro-F1 over graphs", self.graph_mean_micro_f1),
            ("overall accuracy", self.overall_accuracy),
            ("top-5 accuracy", self.top5_accuracy),
            ("mean class accuracy", self.mean_class_accuracy),
        ];
        let mut scores: Vec<(String, String)> =
            named.iter().filter_map(|(name, value)| Some((capitalised(name), percent((*value)?)))).collect();
        scores.extend(self.loss.map(|loss| ("Loss".to_owned(), number(loss))));
        scores.push(("Samples".to_owned(), self.samples.to_string()));
        let (columns, rows) = if self.per_label.is_empty() { self.classes() } else { self.labels() };
        let left_out = rows.len().saturating_sub(LISTED);
        let rows = if left_out > 0 { extremes(rows) } else { rows };
        let is_square = !self.confusion.is_empty()
            && self.confusion.len() == self.per_class.len()
            && self.confusion.iter().all(|row| row.len() == self.per_class.len());
        let confusion = (is_square && self.confusion.len() <= MOST_CLASSES).then(|| self.whole_confusion());
        let mistakes = if is_square { self.mistakes() } else { Vec::new() };
        let (split, data, weights) = (self.split.clone(), self.data.clone(), self.weights.clone());
        Scored { split, data, weights, scores, columns, rows, left_out, confusion, mistakes }
    }

    fn classes(&self) -> (Vec<&'static str>, Vec<Row>) {
        let has_iou = self.per_class.iter().any(|class| class.iou.is_some());
        let columns =
            if has_iou { vec!["Class", "Points", "IoU", "Accuracy"] } else { vec!["Class", "Samples", "Accuracy"] };
        let share = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percent);
        let row = |class: &OfClass| {
            let iou = has_iou.then(|| share(class.iou));
            let cells = std::iter::once(class.samples.to_string()).chain(iou).chain([share(class.accuracy)]);
            let score = if has_iou { class.iou } else { class.accuracy };
            Row { name: class.class.clone(), cells: cells.collect(), bar: width(score.unwrap_or(0.0)) }
        };
        let mut rows: Vec<Row> = self.per_class.iter().map(row).collect();
        if rows.iter().all(|row| row.cells.iter().all(|cell| cell == "–" || cell == "0")) {
            rows.clear();
        }
        (columns, rows)
    }

    fn labels(&self) -> (Vec<&'static str>, Vec<Row>) {
        let row = |label: &OfLabel| Row {
            name: label.label.clone(),
            cells: vec![
                label.nodes.to_string(),
                label.true_positives.to_string(),
                label.false_positives.to_string(),
                label.false_negatives.to_string(),
                percent(label.f1),
            ],
            bar: width(label.f1),
        };
        let columns = vec!["Label", "Nodes", "Right", "Wrongly given", "Missed", "F1"];
        (columns, self.per_label.iter().map(row).collect())
    }

    fn whole_confusion(&self) -> Confusion {
        let row = |(class, counts): (&OfClass, &Vec<u64>)| {
            let all: u64 = counts.iter().fold(0, |sum, count| sum.saturating_add(*count));
            let cell = |count: &u64| (*count, format!("{:.3}", *count as f64 / all.max(1) as f64));
            ConfusionRow { class: class.class.clone(), cells: counts.iter().map(cell).collect() }
        };
        Confusion {
            classes: self.per_class.iter().map(|class| class.class.clone()).collect(),
            rows: self.per_class.iter().zip(&self.confusion).map(row).collect(),
        }
    }

    fn mistakes(&self) -> Vec<String> {
        let name = |class: usize| &self.per_class[class].class;
        let cells = self.confusion.iter().enumerate().flat_map(|(actual, row)| {
            row.iter().enumerate().map(move |(predicted, count)| (actual, predicted, *count))
        });
        let mut wrong: Vec<(usize, usize, u64)> =
            cells.filter(|(actual, predicted, count)| actual != predicted && *count > 0).collect();
        wrong.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        let told = |(actual, predicted, count): &(usize, usize, u64)| {
            format!("{} taken for {}: {count}", name(*actual), name(*predicted))
        };
        wrong.iter().take(TOLD).map(told).collect()
    }
}

/// The best and the worst rows.
fn extremes(mut rows: Vec<Row>) -> Vec<Row> {
    let score = |row: &Row| row.bar.parse::<f64>().unwrap_or_default();
    rows.sort_by(|one, other| score(other).total_cmp(&score(one)));
    rows.drain(LISTED / 2..rows.len() - LISTED / 2);
    rows
}

fn width(share: f64) -> String {
    format!("{:.1}", (100.0 * share).clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> Evaluation {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn classes_have_a_row_each_and_a_confusion() {
        let evaluation = read(json!({
            "task": "points", "split": "test", "samples": 6, "loss": 0.5, "overall_accuracy": 0.5,
            "per_class": [
                { "class": "cup", "samples": 4, "accuracy": 0.25 }, { "class": "bowl", "samples": 2, "accuracy": 1.0 },
            ],
            "confusion": [[1, 3], [0, 2]],
        }));
        let scored = evaluation.scored();
        assert_eq!(scored.scores[0], ("Overall accuracy".to_owned(), "50.00 %".to_owned()));
        assert_eq!(scored.rows[0].cells, ["4", "25.00 %"]);
        assert_eq!(scored.confusion.unwrap().rows[0].cells, [(1, "0.250".to_owned()), (3, "0.750".to_owned())]);
        assert_eq!(scored.mistakes, ["cup taken for bowl: 3"]);
        assert_eq!(evaluation.score(), Some(0.5));
    }

    #[test]
    fn a_confusion_that_is_not_square_is_not_shown() {
        let wrong = read(json!({ "per_class": [{ "class": "cup" }], "confusion": [[1, 3], [0]] })).scored();
        assert!(wrong.confusion.is_none() && wrong.mistakes.is_empty());
    }

    #[test]
    fn of_many_labels_the_best_and_the_worst_are_listed() {
        let label = |number: usize| json!({ "label": number.to_string(), "nodes": 1, "f1": number as f64 / 1000.0 });
        let scored = read(json!({ "micro_f1": 0.5, "per_label": (0..300).map(label).collect::<Vec<_>>() })).scored();
        assert_eq!((scored.rows.len(), scored.left_out), (LISTED, 100));
        assert_eq!((&*scored.rows[0].name, &*scored.rows[LISTED - 1].name), ("299", "0"));
    }
}

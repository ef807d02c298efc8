//! The scores of a split, as text and as JSON: of classes, of labels that hold or not, or of classes of points.

use super::percent;
use crate::task::{Confusion, LabelScores, Meter, Overlap, Scores};
use serde_json::{Map, Value, json};

/// Labels that are told one by one; of more only the best and the worst, and all as JSON.
const TOLD: usize = 20;

/// The numbers by name.
pub fn to_json(meter: &Meter, names: &[String]) -> Map<String, Value> {
    let scores = match meter.scores() {
        Scores::Classes { confusion, .. } => {
            let per_class = names.iter().enumerate().map(|(index, name)| {
                json!({ "class": name, "samples": confusion.support(index), "accuracy": confusion.class_accuracy(index) })
            });
            json!({
                "overall_accuracy": confusion.overall_accuracy(),
                "top5_accuracy": meter.top_accuracy(),
                "mean_class_accuracy": confusion.mean_class_accuracy(),
                "per_class": per_class.collect::<Vec<_>>(),
                "confusion": confusion.counts(),
            })
        }
        Scores::Labels(labels) => {
            let per_label = names.iter().zip(labels.counts()).map(|(name, counts)| {
                json!({
                    "label": name,
                    "nodes": counts.support(),
                    "true_positives": counts.true_positives,
                    "false_positives": counts.false_positives,
                    "false_negatives": counts.false_negatives,
                    "f1": counts.f1(),
                })
            });
            json!({
                "micro_f1": labels.micro_f1(),
                "macro_f1": labels.macro_f1(),
                "graph_mean_micro_f1": labels.graph_mean_micro_f1(),
                "per_label": per_label.collect::<Vec<_>>(),
            })
        }
        Scores::Points(overlap) => of_points_as_json(overlap, names),
    };
    let mut all = Map::new();
    all.insert("samples".to_owned(), meter.samples().into());
    all.insert("loss".to_owned(), meter.metrics().loss.into());
    if let Value::Object(scores) = scores {
        all.extend(scores);
    }
    all
}

/// The numbers of classes of points by name.
pub fn of_points_as_json(overlap: &Overlap, names: &[String]) -> Value {
    let confusion = overlap.confusion();
    let per_class = names.iter().enumerate().map(|(index, name)| {
        json!({
            "class": name,
            "points": confusion.support(index),
            "intersection": overlap.intersection(index),
            "union": overlap.union(index),
            "iou": overlap.iou(index),
            "accuracy": confusion.class_accuracy(index),
        })
    });
    json!({
        "mean_iou": overlap.mean_iou(),
        "published_mean_iou": overlap.published_mean_iou(),
        "overall_accuracy": confusion.overall_accuracy(),
        "mean_class_accuracy": confusion.mean_class_accuracy(),
        "per_class": per_class.collect::<Vec<_>>(),
        "confusion": confusion.counts(),
    })
}

/// A table and the scores under it; `split` names what was scored.
pub fn to_text(meter: &Meter, names: &[String], split: &str) -> String {
    match meter.scores() {
        Scores::Classes { confusion, .. } => of_classes(meter, confusion, names, split),
        Scores::Labels(labels) => of_labels(meter, labels, names, split),
        Scores::Points(overlap) => of_points(overlap, names, split),
    }
}

fn of_classes(meter: &Meter, confusion: &Confusion, names: &[String], split: &str) -> String {
    let mut text = format!("{:<20} {:>8} {:>10}  most often taken for\n", "class", "samples", "accuracy");
    for (index, name) in names.iter().enumerate() {
        let accuracy = confusion.class_accuracy(index).map_or("-".to_owned(), percent);
        let mistake = most_frequent_mistake(&confusion.counts()[index], index)
            .map_or(String::new(), |(class, count)| format!("{} ({count})", names[class]));
        text += &format!("{name:<20} {:>8} {accuracy:>10}  {mistake}\n", confusion.support(index));
    }
    text += &format!("\n{split} samples:       {}\n", confusion.total());
    let with_error = |accuracy: f64| format!("{} (error {})", percent(accuracy), percent(1.0 - accuracy));
    text += &format!("overall accuracy:    {}\n", with_error(confusion.overall_accuracy()));
    if let Some(accuracy) = meter.top_accuracy() {
        text += &format!("top-5 accuracy:      {}\n", with_error(accuracy));
    }
    text + &format!("mean class accuracy: {}\n", percent(confusion.mean_class_accuracy()))
}

/// The wrong class that a class was taken for most often, and how often.
fn most_frequent_mistake(row: &[u64], class: usize) -> Option<(usize, u64)> {
    let wrong = row.iter().copied().enumerate().filter(|(other, count)| *other != class && *count > 0);
    wrong.reduce(|most, next| if next.1 > most.1 { next } else { most })
}

/// A table of classes of points and the scores under it.
pub fn of_points(overlap: &Overlap, names: &[String], split: &str) -> String {
    let confusion = overlap.confusion();
    let share = |share: Option<f64>| share.map_or("-".to_owned(), percent);
    let mut text = format!("{:<20} {:>10} {:>8} {:>10}  most often taken for\n", "class", "points", "IoU", "accuracy");
    for (index, name) in names.iter().enumerate() {
        let mistake = most_frequent_mistake(&confusion.counts()[index], index)
            .map_or(String::new(), |(class, count)| format!("{} ({count})", names[class]));
        let (iou, accuracy) = (share(overlap.iou(index)), share(confusion.class_accuracy(index)));
        text += &format!("{name:<20} {:>10} {iou:>8} {accuracy:>10}  {mistake}\n", confusion.support(index));
    }
    text += &format!("\n{split} points:         {}\n", confusion.total());
    text += &format!("mean IoU:            {}\n", percent(overlap.mean_iou()));
    let published = percent(overlap.published_mean_iou());
    text += &format!("as published:        {published} (a class that is nowhere counts as 100)\n");
    text += &format!("overall accuracy:    {}\n", percent(confusion.overall_accuracy()));
    text + &format!("mean class accuracy: {}\n", percent(confusion.mean_class_accuracy()))
}

fn of_labels(meter: &Meter, labels: &LabelScores, names: &[String], split: &str) -> String {
    let mut rows: Vec<_> = names.iter().zip(labels.counts()).collect();
    let mut text = format!("{:<20} {:>8} {:>10}\n", "label", "nodes", "F1");
    let row = |(name, counts): &(&String, &crate::task::LabelCounts)| {
        format!("{name:<20} {:>8} {:>10}\n", counts.support(), percent(counts.f1()))
    };
    if rows.len() <= TOLD {
        text += &rows.iter().map(row).collect::<String>();
    } else {
        rows.sort_by(|one, other| other.1.f1().total_cmp(&one.1.f1()));
        let (best, worst) = (&rows[..TOLD / 2], &rows[rows.len() - TOLD / 2..]);
        text += &best.iter().map(row).collect::<String>();
        text += &format!("... {} more: --json has them all\n", rows.len() - TOLD);
        text += &worst.iter().map(row).collect::<String>();
    }
    text += &format!("\n{split} nodes:          {}\n", meter.samples());
    text += &format!("micro-F1:            {}\n", percent(labels.micro_f1()));
    text += &format!("macro-F1:            {}\n", percent(labels.macro_f1()));
    let mean = percent(labels.graph_mean_micro_f1());
    text + &format!("mean over graphs:    {mean} (their micro-F1, weighted by nodes: the published code's score)\n")
}

//! Curves over epochs: what is drawn, and the same in a sentence and as a table for who does not see them.

use super::Subject;
use crate::report::{EpochReport, Learner, Metrics, progress};
use serde::Serialize;

/// Bytes of the unit in which memory is shown.
const GIB: f64 = (1_u64 << 30) as f64;

/// One drawing with its lines, all over the same epochs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// In the page's identifiers.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// What the numbers are in; empty of plain ones.
    pub unit: &'static str,
    /// Parts of a whole, drawn one upon the other.
    pub stacked: bool,
    /// In powers of ten.
    pub logarithmic: bool,
    /// Epochs, ascending.
    pub epochs: Vec<usize>,
    /// The lines.
    pub lines: Vec<Line>,
    /// What they show, in words.
    pub summary: String,
}

/// One line; epochs without a value have a gap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// A value per epoch.
    pub values: Vec<Option<f64>>,
}

/// How a chart looks.
#[derive(Default, Clone, Copy)]
struct Look {
    unit: &'static str,
    stacked: bool,
    logarithmic: bool,
}

/// What an epoch tells of a pass.
type Pass = fn(&EpochReport) -> Option<&Metrics>;

/// The charts of a run; those without a value are left out.
pub fn charts(epochs: &[EpochReport], score: &str) -> Vec<Chart> {
    let share = Look { unit: "%", ..Look::default() };
    let passes: [(&str, Pass); 3] = [
        ("training", |epoch| Some(&epoch.train)),
        ("validation", |epoch| epoch.validation.as_ref()),
        ("test", |epoch| epoch.test.as_ref()),
    ];
    let of_passes = |value: fn(&Metrics) -> f64| -> Vec<Line> {
        passes.iter().map(|(name, pass)| line(name, epochs, |epoch| pass(epoch).map(value))).collect()
    };
    let norm = |of: Learner, value: fn(&crate::report::GradientReport) -> f64| {
        move |epoch: &EpochReport| epoch.gradients.iter().find(|gradients| gradients.of == of).map(value)
    };
    let phase = |name: &str, value: fn(&EpochReport) -> f64| line(name, epochs, |epoch| Some(value(epoch)));
    let bytes = |name: &str, value: fn(&EpochReport) -> Option<u64>| {
        line(name, epochs, |epoch| value(epoch).map(|bytes| bytes as f64 / GIB))
    };
    let scale = |of: Learner| {
        move |epoch: &EpochReport| epoch.scaling.iter().find(|scaling| scaling.of == of).map(|scaling| scaling.scale)
    };
    let logarithmic = Look { logarithmic: true, ..Look::default() };
    let seconds = Look { unit: "s", stacked: true, ..Look::default() };
    let others = |epoch: &EpochReport| {
        let phases = epoch.phases;
        (epoch.seconds - phases.data - phases.alphas - phases.weights - phases.validation).max(0.0)
    };
    let all = [
        chart("loss", "Loss", Look::default(), epochs, of_passes(|metrics| metrics.loss)),
        chart("score", &capitalised(score), share, epochs, of_passes(|metrics| 100.0 * metrics.score)),
        chart(
            "learning-rate",
            "Learning rate",
            Look::default(),
            epochs,
            vec![line("weights", epochs, |epoch| Some(epoch.learning_rate))],
        ),
        chart(
            "batch",
            "Samples per batch",
            Look::default(),
            epochs,
            vec![line("batch", epochs, |epoch| Some(epoch.batch_size as f64))],
        ),
        chart(
            "gradient",
            "Norm of the gradient, before clipping",
            logarithmic,
            epochs,
            vec![
                line("weights, mean", epochs, norm(Learner::Weights, |norms| norms.mean)),
                line("weights, greatest", epochs, norm(Learner::Weights, |norms| norms.greatest)),
                line("alphas, mean", epochs, norm(Learner::Alphas, |norms| norms.mean)),
                line("alphas, greatest", epochs, norm(Learner::Alphas, |norms| norms.greatest)),
            ],
        ),
        chart(
            "time",
            "Time per epoch",
            seconds,
            epochs,
            vec![
                phase("steps of the weights", |epoch| epoch.phases.weights),
                phase("steps of the alphas", |epoch| epoch.phases.alphas),
                phase("waiting for data", |epoch| epoch.phases.data),
                phase("validation and test", |epoch| epoch.phases.validation),
                line("everything else", epochs, |epoch| Some(others(epoch))),
            ],
        ),
        chart(
            "memory",
            "Most memory so far",
            Look { unit: "GiB", ..Look::default() },
            epochs,
            vec![
                bytes("process", |epoch| epoch.memory.resident_bytes),
                bytes("tensors on the GPU", |epoch| epoch.memory.device_bytes),
                bytes("reserved on the GPU", |epoch| epoch.memory.device_reserved_bytes),
            ],
        ),
        chart(
            "open-edges",
            "Open edges",
            Look::default(),
            epochs,
            vec![line("open edges", epochs, |epoch| epoch.open_edges.map(|open| open as f64))],
        ),
        chart(
            "parameters",
            "Parameters of the network",
            Look::default(),
            epochs,
            vec![line("parameters", epochs, |epoch| epoch.open_edges.map(|_| epoch.parameters as f64))],
        ),
        chart(
            "loss-scale",
            "Loss scale",
            logarithmic,
            epochs,
            vec![line("weights", epochs, scale(Learner::Weights)), line("alphas", epochs, scale(Learner::Alphas))],
        ),
    ];
    all.into_iter().flatten().collect()
}

/// The charts that hold several runs side by side.
pub fn comparison(subjects: &[Subject]) -> Vec<Chart> {
    let last = subjects.iter().flat_map(|subject| &subject.history.epochs).map(|epoch| epoch.epoch).max();
    let epochs: Vec<usize> = last.map_or_else(Vec::new, |last| (0..=last).collect());
    let lines = |value: fn(&EpochReport) -> Option<f64>| -> Vec<Line> {
        let of_run = |subject: &Subject| {
            let mut values = vec![None; epochs.len()];
            for report in &subject.history.epochs {
                if let Some(place) = values.get_mut(report.epoch) {
                    *place = value(report);
                }
            }
            Line { name: subject.name.clone(), values }
        };
        subjects.iter().map(of_run).filter(Line::has_values).collect()
    };
    let scores: std::collections::BTreeSet<&str> = subjects.iter().map(|subject| &*subject.score).collect();
    let score = if scores.len() == 1 { subjects[0].score.clone() } else { "score".to_owned() };
    let share = Look { unit: "%", ..Look::default() };
    let all: [(&'static str, String, Look, Vec<Line>); 4] = [
        ("all-training-loss", "Training loss".to_owned(), Look::default(), lines(|epoch| Some(epoch.train.loss))),
        (
            "all-validation-loss",
            "Validation loss".to_owned(),
            Look::default(),
            lines(|epoch| epoch.validation.as_ref().map(|metrics| metrics.loss)),
        ),
        ("all-training-score", format!("Training {score}"), share, lines(|epoch| Some(100.0 * epoch.train.score))),
        (
            "all-validation-score",
            format!("Validation {score}"),
            share,
            lines(|epoch| epoch.validation.as_ref().map(|metrics| 100.0 * metrics.score)),
        ),
    ];
    let made = |(id, title, look, lines): (&'static str, String, Look, Vec<Line>)| {
        made(id, &title, look, epochs.clone(), lines)
    };
    all.into_iter().filter_map(made).collect()
}

fn line(name: &str, epochs: &[EpochReport], value: impl Fn(&EpochReport) -> Option<f64>) -> Line {
    Line { name: name.to_owned(), values: epochs.iter().map(value).collect() }
}

impl Line {
    fn has_values(&self) -> bool {
        self.values.iter().any(Option::is_some)
    }

    fn is_zero(&self) -> bool {
        self.values.iter().flatten().all(|value| *value == 0.0)
    }
}

fn chart(id: &'static str, title: &str, look: Look, epochs: &[EpochReport], lines: Vec<Line>) -> Option<Chart> {
    made(id, title, look, epochs.iter().map(|epoch| epoch.epoch).collect(), lines)
}

/// The chart of the lines that have values; of parts of a whole, those that are more than nothing.
fn made(id: &'static str, title: &str, look: Look, epochs: Vec<usize>, lines: Vec<Line>) -> Option<Chart> {
    let Look { unit, stacked, logarithmic } = look;
    let lines: Vec<Line> = lines.into_iter().filter(|line| line.has_values() && !(stacked && line.is_zero())).collect();
    if lines.is_empty() {
        return None;
    }
    let summary = lines.iter().map(|line| summary(line, &epochs, unit)).collect::<Vec<_>>().join("; ");
    Some(Chart { id, title: title.to_owned(), unit, stacked, logarithmic, epochs, lines, summary })
}

/// A line in words: where it begins and ends, and between what it lies.
fn summary(line: &Line, epochs: &[usize], unit: &str) -> String {
    let known: Vec<(usize, f64)> =
        epochs.iter().zip(&line.values).filter_map(|(epoch, value)| Some((*epoch, (*value)?))).collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else { return String::new() };
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    let named = |(epoch, value): (usize, f64)| format!("{}{unit} in epoch {epoch}", number(value));
    if known.len() == 1 {
        return format!("{}: {}", line.name, named(*first));
    }
    let least = known.iter().copied().reduce(|least, next| if next.1 < least.1 { next } else { least });
    let most = known.iter().copied().reduce(|most, next| if next.1 > most.1 { next } else { most });
    let (least, most) = (least.unwrap_or(*first), most.unwrap_or(*first));
    if least.1 == most.1 {
        return format!("{}: {}{unit} throughout", line.name, number(first.1));
    }
    format!("{}: {}, {}; lowest {}, highest {}", line.name, named(*first), named(*last), named(least), named(most))
}

/// A number with four digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.3e}"),
        size if size >= 1000.0 => format!("{value:.0}"),
        size => {
            let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            let text = format!("{value:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
    }
}

/// With a capital letter at its beginning; names that have capitals stay.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A part of a run's time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// What the time went into.
    pub name: String,
    /// How much, in words.
    pub time: String,
    /// Of all epochs, 0 to 100.
    pub share: String,
}

/// Where the time of all epochs went, the greatest part first; nothing where no run wrote it down.
pub fn parts(chart: Option<&Chart>) -> Vec<Part> {
    let Some(chart) = chart else { return Vec::new() };
    let sums = chart.lines.iter().map(|line| (&line.name, line.values.iter().flatten().sum::<f64>()));
    let mut sums: Vec<(&String, f64)> = sums.collect();
    let all: f64 = sums.iter().map(|(_, sum)| sum).sum();
    sums.sort_by(|one, other| other.1.total_cmp(&one.1));
    let part = |(name, sum): (&String, f64)| Part {
        name: name.clone(),
        time: progress::words(progress::seconds(sum)),
        share: format!("{:.1}", 100.0 * sum / all.max(f64::MIN_POSITIVE)),
    };
    sums.into_iter().map(part).collect()
}

/// The table of all epochs: a heading per column, and a row per epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Headings; the first is that of the epochs.
    pub columns: Vec<String>,
    /// Rows, each of as many texts.
    pub rows: Vec<Vec<String>>,
}

/// All numbers of these charts in one table.
pub fn table(charts: &[Chart]) -> Option<Table> {
    let epochs = &charts.first()?.epochs;
    let heading = |chart: &Chart, line: &Line| {
        let unit = if chart.unit.is_empty() { String::new() } else { format!(" ({})", chart.unit) };
        match chart.lines.len() == 1 && !chart.title.starts_with("Learning") {
            true => format!("{}{unit}", chart.title),
            false => format!("{}: {}{unit}", chart.title, line.name),
        }
    };
    let lines: Vec<(&Chart, &Line)> =
        charts.iter().flat_map(|chart| chart.lines.iter().map(move |line| (chart, line))).collect();
    let columns = std::iter::once("Epoch".to_owned()).chain(lines.iter().map(|(chart, line)| heading(chart, line)));
    let row = |(index, epoch): (usize, &usize)| {
        let value = |(_, line): &(&Chart, &Line)| line.values[index].map_or_else(|| "–".to_owned(), number);
        std::iter::once(epoch.to_string()).chain(lines.iter().map(value)).collect()
    };
    Some(Table { columns: columns.collect(), rows: epochs.iter().enumerate().map(row).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::epoch;

    #[test]
    fn numbers_have_four_digits_that_count() {
        let shown = [0.0, 0.12345, 1.5, 93.216, 1234.5, 2e7, 5e-5, -0.25].map(number);
        assert_eq!(shown, ["0", "0.1235", "1.5", "93.22", "1234", "2.000e7", "5.000e-5", "-0.25"]);
    }

    #[test]
    fn charts_without_values_are_left_out_and_the_others_are_told_in_words() {
        let charts = charts(&[epoch(0), epoch(1)], "accuracy");
        let ids: Vec<&str> = charts.iter().map(|chart| chart.id).collect();
        assert_eq!(ids, ["loss", "score", "learning-rate", "batch", "time", "open-edges", "parameters"]);
        assert_eq!(charts[0].summary, "training: 1.5 throughout");
        assert_eq!((charts[1].title.as_str(), charts[1].lines.len()), ("Accuracy", 1));
        let table = table(&charts).unwrap();
        assert_eq!((table.columns.len(), table.rows.len()), (8, 2));
        assert_eq!(table.rows[1][..3], ["1", "1.5", "50"]);
        let falling = Line { name: "a".to_owned(), values: vec![Some(2.0), None, Some(1.0)] };
        let told = "a: 2 s in epoch 0, 1 s in epoch 2; lowest 1 s in epoch 2, highest 2 s in epoch 0";
        assert_eq!(summary(&falling, &[0, 1, 2], "s"), told);
        assert!(super::table(&[]).is_none());
    }

    #[test]
    fn the_parts_of_the_time_are_all_of_it() {
        let mut report = epoch(0);
        report.phases = crate::report::Phases { data: 0.5, alphas: 0.0, weights: 1.0, validation: 0.25 };
        let charts = charts(&[report], "accuracy");
        let parts = parts(charts.iter().find(|chart| chart.id == "time"));
        let told: Vec<(&str, &str)> = parts.iter().map(|part| (&*part.name, &*part.share)).collect();
        let expected = [
            ("steps of the weights", "50.0"),
            ("waiting for data", "25.0"),
            ("validation and test", "12.5"),
            ("everything else", "12.5"),
        ];
        assert_eq!(told, expected);
    }
}

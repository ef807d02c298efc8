//! `metrics.csv`: one row per epoch, for tables and plots. docs/reports.md lists the columns.

use super::append::{self, METRICS_FILE};
use super::{EpochReport, Event, GradientReport, Learner, Metrics, Observer};
use crate::error::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a row after every epoch, and the header before the first.
#[derive(Debug)]
pub struct MetricsTable {
    path: PathBuf,
    file: std::fs::File,
    /// The columns of a table that was begun before, by this version or another.
    columns: Option<Vec<String>>,
}

impl MetricsTable {
    /// The table of the run in `folder`; goes on after what it holds, with the columns that it has.
    ///
    /// # Errors
    /// A file that can't be read or written.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(METRICS_FILE);
        let file = append::open(&path)?;
        let columns = append::first_line(&path)?.map(|line| line.split(',').map(str::to_owned).collect());
        Ok(Self { path, file, columns })
    }

    fn write(&mut self, report: &EpochReport) -> std::io::Result<()> {
        let row = row(report);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let columns = match &self.columns {
            Some(columns) => columns,
            None => {
                let names: Vec<String> = row.iter().map(|(name, _)| name.clone()).collect();
                writer.write_record(&names)?;
                self.columns.insert(names)
            }
        };
        let value = |name: &String| row.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        writer.write_record(columns.iter().map(value))?;
        let text = writer.into_inner().map_err(|error| error.into_error())?;
        self.file.write_all(&text)
    }
}

impl Observer for MetricsTable {
    fn observe(&mut self, event: &Event) -> Result<()> {
        let Event::Epoch(report) = event else { return Ok(()) };
        self.write(report).map_err(|error| Error::write(&self.path, error))
    }
}

/// Names and values of the columns; what a run does not have stays empty. New columns are added at the end, so that who
/// counts them is not surprised.
fn row(report: &EpochReport) -> Vec<(String, String)> {
    let whole = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let seconds = |seconds: f64| format!("{seconds:.3}");
    let norm = |of: Learner, value: fn(&GradientReport) -> f64| {
        let found = report.gradients.iter().find(|gradients| gradients.of == of);
        found.map(|gradients| value(gradients).to_string()).unwrap_or_default()
    };
    let mut row = vec![
        ("epoch".to_owned(), report.epoch.to_string()),
        ("learning_rate".to_owned(), report.learning_rate.to_string()),
        ("batch_size".to_owned(), report.batch_size.to_string()),
    ];
    row.extend(columns("train", Some(&report.train), &report.train));
    row.extend(columns("validation", report.validation.as_ref(), &report.train));
    row.extend([
        ("open_edges".to_owned(), report.open_edges.map(|count| count.to_string()).unwrap_or_default()),
        ("parameters".to_owned(), report.parameters.to_string()),
        ("skipped_steps".to_owned(), report.skipped_steps.to_string()),
        ("loss_scale".to_owned(), report.scaling.first().map(|scaling| scaling.scale.to_string()).unwrap_or_default()),
        ("seconds".to_owned(), seconds(report.seconds)),
    ]);
    row.extend(columns("test", report.test.as_ref(), &report.train));
    row.extend([
        ("weight_gradient_mean".to_owned(), norm(Learner::Weights, |norms| norms.mean)),
        ("weight_gradient_greatest".to_owned(), norm(Learner::Weights, |norms| norms.greatest)),
        ("alpha_gradient_mean".to_owned(), norm(Learner::Alphas, |norms| norms.mean)),
        ("alpha_gradient_greatest".to_owned(), norm(Learner::Alphas, |norms| norms.greatest)),
        ("data_seconds".to_owned(), seconds(report.phases.data)),
        ("alpha_seconds".to_owned(), seconds(report.phases.alphas)),
        ("weight_seconds".to_owned(), seconds(report.phases.weights)),
        ("validation_seconds".to_owned(), seconds(report.phases.validation)),
        ("resident_bytes".to_owned(), whole(report.memory.resident_bytes)),
        ("device_bytes".to_owned(), whole(report.memory.device_bytes)),
        ("device_reserved_bytes".to_owned(), whole(report.memory.device_reserved_bytes)),
    ]);
    row
}

/// The columns of a pass; where an epoch has none, those of `alike` stay empty, so that all rows are of one length.
fn columns(pass: &str, metrics: Option<&Metrics>, alike: &Metrics) -> Vec<(String, String)> {
    let text = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let mut columns = vec![
        (format!("{pass}_loss"), text(metrics.map(|metrics| metrics.loss))),
        (format!("{pass}_score"), text(metrics.map(|metrics| metrics.score))),
    ];
    let others = metrics.map_or(&alike.others, |metrics| &metrics.others);
    let value = |value: &f64| metrics.map_or(String::new(), |_| value.to_string());
    columns.extend(others.iter().map(|(name, other)| (format!("{pass}_{name}"), value(other))));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::epoch;

    #[test]
    fn the_header_stands_once_even_when_a_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..2 {
            let mut table = MetricsTable::open(folder.path()).unwrap();
            table.observe(&Event::Epoch(epoch(number))).unwrap();
        }
        let text = std::fs::read_to_string(folder.path().join(METRICS_FILE)).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = reader.headers().unwrap().clone();
        let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(&rows[1][column("epoch")], "1");
        assert_eq!(&rows[1][column("train_mean_class_accuracy")], "0.25");
        assert_eq!(&rows[1][column("validation_loss")], "");
        assert_eq!(&rows[1][column("open_edges")], "9");
        assert_eq!((&rows[1][column("test_score")], &rows[1][column("data_seconds")]), ("", "0.000"));
    }

    #[test]
    fn a_table_of_an_older_version_keeps_its_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METRICS_FILE);
        std::fs::write(&path, "epoch,train_loss,forgotten,seconds\n0,1.75,x,2.000\n").unwrap();
        MetricsTable::open(folder.path()).unwrap().observe(&Event::Epoch(epoch(1))).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().nth(2), Some("1,1.5,,2.000"), "{text}");
    }

    #[test]
    fn the_columns_are_those_that_the_documentation_lists() {
        let report = EpochReport { validation: None, ..epoch(0) };
        let documented = include_str!("../../docs/reports.md");
        for (name, _) in row(&report) {
            let general = name.replace("mean_class_accuracy", "*");
            assert!(documented.contains(&format!("`{general}`")), "docs/reports.md does not tell of {name}");
        }
    }
}

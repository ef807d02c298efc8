//! `metrics.csv`: one row per epoch, for tables and plots.

use super::append::{self, METRICS_FILE};
use super::{EpochReport, Event, Metrics, Observer};
use crate::error::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a row after every epoch, and the header before the first.
#[derive(Debug)]
pub struct MetricsTable {
    path: PathBuf,
    file: std::fs::File,
}

impl MetricsTable {
    /// The table of the run in `folder`; goes on after what it holds.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(METRICS_FILE);
        Ok(Self { file: append::open(&path)?, path })
    }

    fn write(&mut self, report: &EpochReport) -> std::io::Result<()> {
        let row = row(report);
        let mut writer = csv::Writer::from_writer(Vec::new());
        if self.file.metadata()?.len() == 0 {
            writer.write_record(row.iter().map(|(name, _)| name))?;
        }
        writer.write_record(row.iter().map(|(_, value)| value))?;
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

/// Names and values of the columns; what a run does not have stays empty.
fn row(report: &EpochReport) -> Vec<(String, String)> {
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
        ("seconds".to_owned(), format!("{:.3}", report.seconds)),
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
    }
}

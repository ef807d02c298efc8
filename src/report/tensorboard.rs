//! Event files as TensorBoard reads them: records of protobuf with masked checksums (TFRecord), and in them the scalars of
//! every epoch and a text for every decision.
//!
//! The messages are `tensorflow.Event` and those below it, as far as they are written here. The file is one of the logs
//! that grow ([`append`]): a run that goes on cuts it back to its checkpoint, record by record.

use super::append::{self, EVENTS_FILE, TENSORBOARD_FILE};
use super::progress::decision_line;
use super::{EpochReport, Event, Metrics, Observer, log};
use crate::error::{Error, Result};
use prost::Message;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What the first record says.
const VERSION: &str = "brain.Event:2";
/// The number of the type of texts in tensors.
const STRING: i32 = 7;

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Texts>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

/// A tensor of texts.
#[derive(Clone, PartialEq, Message)]
struct Texts {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    string_val: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, tag = "1")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin_data: Option<Plugin>,
}

#[derive(Clone, PartialEq, Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    plugin_name: String,
}

/// Writes a record after every epoch and decision.
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: File,
}

impl TensorBoard {
    /// The event file of the run in `folder`, where it is asked for or was begun; goes on after what it holds. A new one
    /// begins with what the run's log tells so far, so that a run may ask for it late.
    ///
    /// # Errors
    /// A file that can't be written; a log that can't be read.
    pub fn open(folder: &Path, asked: bool) -> Result<Option<Self>> {
        let path = folder.join(TENSORBOARD_FILE);
        if !asked && !path.exists() {
            return Ok(None);
        }
        let file = append::open(&path)?;
        let is_new = file.metadata().map_err(|error| Error::write(&path, error))?.len() == 0;
        let mut board = Self { path, file };
        if is_new {
            let version = Record { file_version: Some(VERSION.to_owned()), ..board.record(0, Vec::new()) };
            board.write(&version)?;
            if folder.join(EVENTS_FILE).exists() {
                let (events, _) = log::events_so_far(folder)?;
                events.iter().try_for_each(|event| board.observe(event))?;
            }
        }
        Ok(Some(board))
    }

    fn record(&self, epoch: usize, value: Vec<Value>) -> Record {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let summary = (!value.is_empty()).then_some(Summary { value });
        Record { wall_time: now, step: epoch as i64, file_version: None, summary }
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        self.file.write_all(&framed(&record.encode_to_vec())).map_err(|error| Error::write(&self.path, error))
    }
}

impl Observer for TensorBoard {
    fn observe(&mut self, event: &Event) -> Result<()> {
        let record = match event {
            Event::Epoch(report) => self.record(report.epoch, scalars(report)),
            Event::Decision(report) => {
                self.record(report.epoch, vec![text(&format!("decisions/{}", report.kind), &decision_line(report))])
            }
            Event::Candidate(report) => self.record(report.epoch, vec![scalar("candidates/score", report.score)]),
            _ => return Ok(()),
        };
        self.write(&record)
    }
}

/// The scalars of an epoch; what a run does not have is left out.
fn scalars(report: &EpochReport) -> Vec<Value> {
    let passes =
        [("train", Some(&report.train)), ("validation", report.validation.as_ref()), ("test", report.test.as_ref())];
    let of_pass = |(pass, metrics): (&str, Option<&Metrics>)| -> Vec<Value> {
        let Some(metrics) = metrics else { return Vec::new() };
        let main = [("loss", metrics.loss), ("score", metrics.score)];
        let others = metrics.others.iter().map(|(name, value)| (&**name, *value));
        main.into_iter().chain(others).map(|(name, value)| scalar(&format!("{name}/{pass}"), value)).collect()
    };
    let mut values: Vec<Value> = passes.into_iter().flat_map(of_pass).collect();
    values.push(scalar("learning_rate", report.learning_rate));
    values.push(scalar("batch_size", report.batch_size as f64));
    values.extend(report.open_edges.map(|open| scalar("search/open_edges", open as f64)));
    values.push(scalar("parameters", report.parameters as f64));
    for gradients in &report.gradients {
        values.push(scalar(&format!("gradient_mean/{}", gradients.of.name()), gradients.mean));
        values.push(scalar(&format!("gradient_greatest/{}", gradients.of.name()), gradients.greatest));
    }
    for scaling in &report.scaling {
        values.push(scalar(&format!("loss_scale/{}", scaling.of.name()), scaling.scale));
    }
    let phases = report.phases;
    let seconds = [
        ("all", report.seconds),
        ("data", phases.data),
        ("alphas", phases.alphas),
        ("weights", phases.weights),
        ("validation", phases.validation),
    ];
    values.extend(seconds.map(|(name, seconds)| scalar(&format!("seconds/{name}"), seconds)));
    let memory = [("process", report.memory.resident_bytes), ("device", report.memory.device_bytes)];
    values.extend(memory.iter().filter_map(|(name, bytes)| Some(scalar(&format!("bytes/{name}"), (*bytes)? as f64))));
    values
}

fn scalar(tag: &str, value: f64) -> Value {
    Value { tag: tag.to_owned(), simple_value: Some(value as f32), tensor: None, metadata: None }
}

fn text(tag: &str, text: &str) -> Value {
    let shape = Some(Shape { dim: vec![Dimension { size: 1 }] });
    let tensor = Some(Texts { dtype: STRING, shape, string_val: vec![text.as_bytes().to_vec()] });
    let metadata = Some(Metadata { plugin_data: Some(Plugin { plugin_name: "text".to_owned() }) });
    Value { tag: tag.to_owned(), simple_value: None, tensor, metadata }
}

/// A record of a TFRecord file: length, checksum of the length, content, checksum of the content, all little-endian.
fn framed(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), content, &masked(content).to_le_bytes()].concat()
}

/// CRC-32C, turned and shifted, as TFRecord keeps it.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::append::{HEAD, TAIL};
    use crate::report::log::EventLog;
    use crate::report::tests::{decision, epoch};

    /// The records of a file, whose checksums must be right.
    fn records(folder: &Path) -> Vec<Record> {
        let mut bytes = &std::fs::read(folder.join(TENSORBOARD_FILE)).unwrap()[..];
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let (record, rest) = bytes.split_at(HEAD + length + TAIL);
            let content = &record[HEAD..HEAD + length];
            assert_eq!(framed(content), record);
            records.push(Record::decode(content).unwrap());
            bytes = rest;
        }
        records
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // RFC 3720, appendix B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked(&[0; 32]), 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    #[test]
    fn epochs_and_decisions_are_records_and_a_run_that_goes_on_adds_to_them() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..2 {
            let mut board = TensorBoard::open(folder.path(), number == 0).unwrap().unwrap();
            board.observe(&Event::Epoch(epoch(number))).unwrap();
            board.observe(&Event::Decision(decision(number))).unwrap();
        }
        let records = records(folder.path());
        assert_eq!(records.len(), 5);
        assert_eq!(records[0].file_version.as_deref(), Some(VERSION));
        let steps: Vec<i64> = records.iter().map(|record| record.step).collect();
        assert_eq!(steps, [0, 0, 0, 1, 1]);
        let values = &records[3].summary.as_ref().unwrap().value;
        let loss = values.iter().find(|value| value.tag == "loss/train").unwrap();
        assert_eq!(loss.simple_value, Some(1.5));
        assert!(!values.iter().any(|value| value.tag == "loss/validation"));
    }

    #[test]
    fn a_file_that_is_asked_for_late_begins_with_what_was() {
        let folder = tempfile::tempdir().unwrap();
        assert!(TensorBoard::open(folder.path(), false).unwrap().is_none());
        let mut log = EventLog::open(folder.path()).unwrap();
        log.observe(&Event::Epoch(epoch(0))).unwrap();
        TensorBoard::open(folder.path(), true).unwrap().unwrap().observe(&Event::Epoch(epoch(1))).unwrap();
        let steps: Vec<i64> = records(folder.path()).iter().map(|record| record.step).collect();
        assert_eq!(steps, [0, 0, 1]);
    }
}

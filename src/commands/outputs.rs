//! What the commands write where the user says, and how each is known again, so that nothing else is replaced.

use super::options::{ExportFormat, PredictOptions, SearchOptions};
use super::predictions::Format;
use super::print;
use crate::error::Result;
use crate::files::{self, Content, Output};
use crate::genotype::Genotype;
use crate::report::{drawing, page, scatter};
use std::io::Write;
use std::path::Path;

/// A cell, of `sgas search --save`.
pub const GENOTYPE: Content = Content { name: "a genotype", is_ours: is_genotype };

/// A drawing, of `sgas show --draw` and `--svg`.
pub const DRAWING: Content = Content { name: "a drawing", is_ours: drawing::is_ours };

/// A configuration, of `sgas init --output`: people change it, so none is replaced.
pub const CONFIGURATION: Content = Content { name: "a configuration", is_ours: |_| false };

/// A plot of points, of `sgas correlate --plot`.
pub const PLOT: Content = Content { name: "a plot", is_ours: scatter::is_ours };

/// Predictions as a table, of `sgas predict --output`.
pub const TABLE: Content = Content { name: "predictions", is_ours: is_table };

/// Predictions as JSON, of `sgas predict --output`.
pub const JSON: Content = Content { name: "predictions", is_ours: |head| first_key(head) == Some("sgas") };

/// Labelled points, of `sgas predict --output`.
pub const LABELLED: Content =
    Content { name: "labelled points", is_ours: |head| has(head, "\ncomment labels by sgas\n") };

/// A page, of `sgas report --output`.
pub const REPORT: Content = Content { name: "a report", is_ours: page::is_ours };

/// Weights, of `sgas import --output`.
pub const WEIGHTS: Content = Content { name: "weights", is_ours: |head| has(head, "{\"__metadata__\":{\"sgas\":") };

/// Throughput, of `sgas bench --output`.
pub const MEASUREMENTS: Content =
    Content { name: "measurements", is_ours: |head| first_key(head) == Some("machine") && has(head, "\"recipes\"") };

/// A traced step, of `sgas bench --trace`.
pub const TRACE: Content = Content { name: "a trace", is_ours: is_trace };

/// A trained network, of `sgas export --output`. Programs of `torch.export` say what they are behind their weights: a
/// large one is not known again.
pub const fn exported(format: ExportFormat) -> Content {
    let name = "an exported network";
    match format {
        ExportFormat::Safetensors => Content { name, is_ours: |head| has(head, "{\"__metadata__\":{\"sgas\":") },
        ExportFormat::Torch => Content { name, is_ours: |head| is_zip(head) && has(head, "X\u{4}\0\0\0sgas") },
        ExportFormat::TorchExport => Content { name, is_ours: |head| is_zip(head) && has(head, "/extra/sgas.json") },
        ExportFormat::Onnx => Content { name, is_ours: |head| head.get(2..8) == Some(b"\x12\x04sgas") },
    }
}

impl SearchOptions {
    /// The place of `--save`, looked at before the search.
    ///
    /// # Errors
    /// See [`Output::new`].
    pub fn save_place(&self) -> Result<Option<Output>> {
        self.save.as_deref().map(|path| Output::new("--save", path, GENOTYPE, self.force)).transpose()
    }
}

impl PredictOptions {
    /// The place of `--output`, for one file in this format, looked at before the work.
    ///
    /// # Errors
    /// See [`Output::new`].
    pub(super) fn output_place(&self, path: &Path, format: Format) -> Result<Output> {
        let content = match format {
            Format::Csv => TABLE,
            Format::Json => JSON,
        };
        Output::new("--output", path, content, self.force)
    }

    /// What is said when `--output` is written.
    pub(super) fn written(&self) -> String {
        self.output.as_ref().map_or(String::new(), |path| format!("written: {}\n", path.display()))
    }
}

/// Prints a result, writes what was asked for besides, whoever reads the result, and says so.
///
/// # Errors
/// Those of `write`, else a standard output that can't be written.
pub fn print_then_write(
    out: &mut dyn Write,
    result: &str,
    write: impl FnOnce() -> Result<()>,
    written: &str,
) -> Result<()> {
    let printed = print(out, result);
    write()?;
    printed?;
    print(out, written)
}

/// Writes a result beside the run that it is of. It was printed: a run that can't be written is worth a warning.
pub fn keep_beside(path: &Path, bytes: &[u8]) {
    if let Err(error) = files::replace(path, bytes) {
        tracing::warn!("{error}; what was printed is complete");
    }
}

fn has(head: &[u8], text: &str) -> bool {
    head.windows(text.len()).any(|window| window == text.as_bytes())
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

fn is_genotype(head: &[u8]) -> bool {
    std::str::from_utf8(head).is_ok_and(|text| Genotype::from_json(text, "").is_ok())
}

/// The first key of an object in JSON.
fn first_key(head: &[u8]) -> Option<&str> {
    let object = head.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = object.iter().position(|letter| *letter == b'"')?;
    std::str::from_utf8(&object[..end]).ok()
}

/// A table's first row names what sgas names, and in its end the errors.
fn is_table(head: &[u8]) -> bool {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(head);
    let Some(Ok(row)) = reader.records().next() else { return false };
    let row: Vec<&str> = row.iter().collect();
    let begins = [&["file", "class", "probability"][..], &["file", "labels"], &["file", "points", "confidence"]];
    begins.iter().any(|names| row.starts_with(names)) && row.last() == Some(&"error")
}

/// A trace by libtorch, whose name for itself stands in its head.
fn is_trace(head: &[u8]) -> bool {
    matches!(first_key(head), Some("schemaVersion" | "traceEvents")) && has(head, "\"traceEvents\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scenes::labelled_ply;
    use crate::genotype::zoo;
    use crate::report::drawing::DrawingFormat;

    #[test]
    fn what_is_written_is_known_again_and_nothing_else_is() {
        let cell = &zoo::cells()[0].genotype;
        let drawn = |format| (DRAWING, drawing::bytes(format, "a cell", &cell.normal).unwrap());
        let others = [DrawingFormat::Png, DrawingFormat::Pdf, DrawingFormat::Dot].map(drawn);
        assert!(others.iter().all(|(content, bytes)| (content.is_ours)(bytes)));
        let written: [(Content, Vec<u8>); 7] = [
            (REPORT, page::html(&[], None).unwrap().into_bytes()),
            (GENOTYPE, cell.to_json().into_bytes()),
            (DRAWING, drawing::text("a cell", &cell.normal).into_bytes()),
            (TABLE, b"file,class,probability,\"a, b\",c,error\n".to_vec()),
            (JSON, b"{\n  \"sgas\": \"0.1.0\"\n}\n".to_vec()),
            (LABELLED, labelled_ply::bytes(&[[0.0; 3]], &[Some(0)], &["a".to_owned()])),
            (MEASUREMENTS, b"{\n  \"machine\": {},\n  \"recipes\": []\n}\n".to_vec()),
        ];
        for (at, (content, _)) in written.iter().enumerate() {
            for (other, (_, bytes)) in written.iter().enumerate() {
                assert_eq!((content.is_ours)(bytes), at == other, "{} in {other}", content.name);
            }
            for foreign in ["{}", "a diary", "file,class\n", "<svg></svg>", "ply\nend_header\n", "{\"a\": [\"sgas\"]}"]
            {
                assert!(!(content.is_ours)(foreign.as_bytes()), "{}: {foreign}", content.name);
            }
        }
    }

    #[test]
    fn the_file_is_written_where_nobody_reads_the_result() {
        let mut closed: &mut [u8] = &mut [];
        let mut wrote = false;
        let written = print_then_write(
            &mut closed,
            "result",
            || {
                wrote = true;
                Ok(())
            },
            "",
        );
        assert!(wrote && written.is_err());
    }
}

//! `sgas export`: a trained network as a file for other programs, with a model card beside it.
//!
//! safetensors are written here; what PyTorch alone can write is written by the Python package (`python.rs`), which has
//! the networks as modules of PyTorch. Either writes into a folder of its own first, so that a file the user has is
//! replaced by a whole one or not at all.

mod card;
mod python;

use super::options::ExportFormat;
use super::outputs::{self, print_then_write};
use super::run_folder::RunFolder;
use super::trained::Trained;
use super::{ExportOptions, TrainedOptions, facts};
use crate::checkpoint::Checkpoint;
use crate::data::Split;
use crate::error::{Error, Result};
use crate::files::Output;
use crate::reading;
use card::{CARD, Card};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;
use tch::Device;

/// The card's name, as model hubs look for it.
const CARD_FILE: &str = "README.md";

/// What was written, and by which versions.
struct Written {
    bytes: Vec<u8>,
    /// In words: `torch 2.11.0, opset 18`.
    versions: String,
}

/// Writes the network, then its card.
///
/// # Errors
/// No training; a file of other content at either place; what keeps the Python package from writing.
pub fn run(options: &ExportOptions, out: &mut dyn Write) -> Result<()> {
    let chosen = TrainedOptions { run: options.run.clone(), ..TrainedOptions::default() };
    let trained = Trained::open(&chosen, None, Device::Cpu)?;
    let folder = trained.folder.clone().expect("no loose weights can be named");
    let output = Output::new("--output", &options.output, outputs::exported(options.format), options.force)?;
    let place = if options.no_card || output.is_stream() { None } else { Some(card_place(&options.output)?) };
    let facts = described(&trained, &folder)?;
    let written = match options.format {
        ExportFormat::Safetensors => safetensors(&trained, &facts)?,
        format => python::export(format, &folder)?,
    };
    let told = format!("written: {} ({})\n", options.output.display(), written.versions);
    let card_told = place.as_ref().map_or(String::new(), |place| format!("card:    {}\n", place.path().display()));
    print_then_write(
        out,
        "",
        || {
            output.write(&written.bytes)?;
            let Some(place) = &place else { return Ok(()) };
            let name = options.output.file_name().unwrap_or_default().to_string_lossy();
            let card = Card { trained: &trained, facts: &facts, format: options.format, file: &name };
            place.write(card.text(&written.versions)?.as_bytes())
        },
        &(told + &card_told),
    )
}

/// The place of the card. It is a text that its reader edits, so one that was edited is never replaced.
fn card_place(output: &Path) -> Result<Output> {
    let path = output.with_file_name(CARD_FILE);
    let is_ours = reading::bytes(&path).is_ok_and(|bytes| (CARD.is_ours)(&bytes));
    Output::new("the model card", &path, CARD, is_ours).map_err(|error| {
        error.with_hint("name an --output in a folder of its own, or leave the card out with --no-card")
    })
}

/// The state dict with its facts, in the form that `sgas eval --weights` reads.
fn safetensors(trained: &Trained, facts: &Map<String, Value>) -> Result<Written> {
    let folder = tempfile::tempdir().map_err(|error| Error::write(std::env::temp_dir(), error))?;
    let file = folder.path().join("network.safetensors");
    let mut checkpoint = Checkpoint::load(&trained.weights)?;
    checkpoint.state = Value::Object(facts.clone());
    checkpoint.save(&file)?;
    Ok(Written { bytes: reading::bytes(&file)?, versions: format!("sgas {}", env!("CARGO_PKG_VERSION")) })
}

/// What belongs to the network, by name; paths of this machine don't.
fn described(trained: &Trained, folder: &RunFolder) -> Result<Map<String, Value>> {
    let preparation: Map<String, Value> =
        trained.kind().family.preparation(&trained.run.data).into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let mut facts = facts::of_network(&trained.run, trained.genotype(), trained.network_kind(), trained.targets);
    let more = [
        ("sgas", json!(folder.about()?.version)),
        ("classes", json!(trained.classes)),
        ("trained_on", json!(trained.trained_on)),
        ("preparation", Value::Object(preparation)),
        ("scores", Value::Object(scores(folder))),
    ];
    facts.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Ok(facts)
}

/// What `sgas eval` left in the run: by split the numbers over all samples.
fn scores(folder: &RunFolder) -> Map<String, Value> {
    let splits = [Split::Train, Split::Validation, Split::Test].into_iter().map(Split::name);
    let found = splits.filter_map(|split| {
        let text = reading::text(&folder.file(&format!("eval-{split}.json")), reading::DESCRIPTION).ok()?;
        let Ok(Value::Object(report)) = serde_json::from_str(&text) else { return None };
        let numbers: Map<String, Value> = report.into_iter().filter(|(_, value)| value.is_number()).collect();
        Some((split.to_owned(), Value::Object(numbers)))
    });
    found.collect()
}

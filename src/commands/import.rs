//! `sgas import`: weights of PyTorch as a file by the names of this program.

use super::outputs::{WEIGHTS, print_then_write};
use super::trained::Trained;
use super::{ImportOptions, TrainedOptions, facts, grouped};
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::files::Output;
use crate::visible::for_shell;
use serde_json::{Value, json};
use std::io::Write;
use tch::Device;

/// Reads the file, gives its weights to the network that the options name, writes that network's, and says what was
/// found, left out and changed.
///
/// # Errors
/// A file that can't be read, weights of another network, a place that can't be written.
pub fn run(options: &ImportOptions, out: &mut dyn Write) -> Result<()> {
    let output = Output::new("--output", &options.output, WEIGHTS, options.force)?;
    let ImportOptions { file, genotype, task, config, set, .. } = options.clone();
    let named =
        TrainedOptions { weights: Some(file.clone()), genotype, task, config, set, ..TrainedOptions::default() };
    let trained = Trained::open(&named, None, Device::Cpu)?;
    let (classes, channels) = (trained.class_count()?, trained.input_channels());
    let model = trained.network(classes, channels)?;
    let source = trained.source.as_ref().expect("weights outside a run have a source");
    let mut checkpoint = Checkpoint::of_weights(model.weights());
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let mut state = facts::of_network(&trained.run, trained.genotype(), trained.network_kind(), trained.targets);
    let imported = json!({ "file": name, "blake3": source.digest, "sgas": env!("CARGO_PKG_VERSION") });
    state.insert("classes".to_owned(), json!(trained.classes));
    state.insert("trained_on".to_owned(), json!(trained.trained_on));
    state.insert("imported".to_owned(), imported);
    state.insert("outputs".to_owned(), json!(classes));
    state.insert("channels".to_owned(), json!(channels));
    checkpoint.state = Value::Object(state);
    let bytes = checkpoint.to_bytes(&options.output)?;
    let found: String = source.told().iter().map(|line| format!("{line}\n")).collect();
    let network = format!(
        "network: {}, {classes} outputs, {channels} channels of input, {} weights in {} tensors\n",
        trained.architecture_name(),
        grouped(model.weights().parameters.count() as u64),
        model.weights().parameters.iter().count()
    );
    let place = for_shell(options.output.display().to_string());
    let written = format!("written: {}\nnext:    sgas eval --weights {place}\n", options.output.display());
    print_then_write(out, &(found + &network), || output.write(&bytes), &written)
}

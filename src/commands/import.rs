//! `sgas import`: weights of PyTorch as a file by the names of this program.

use super::outputs::{WEIGHTS, print_then_write};
use super::trained::Trained;
use super::{ImportOptions, TrainedOptions, grouped};
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::files::Output;
use crate::visible::for_shell;
use serde_json::json;
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
    let cell = trained.genotype().map(serde_json::to_value).transpose().expect("a cell is plain data");
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    checkpoint.state = json!({
        "imported": { "file": name, "blake3": source.digest, "sgas": env!("CARGO_PKG_VERSION") },
        "task": trained.run.task,
        "genotype": cell,
        "classes": classes,
        "channels": channels,
    });
    let bytes = checkpoint.to_bytes(&options.output)?;
    let found: String = source.told().iter().map(|line| format!("{line}\n")).collect();
    let network = format!(
        "network: {}, {classes} outputs, {channels} channels of input, {} weights in {} tensors\n",
        trained.architecture_name(),
        grouped(model.weights().parameters.count() as u64),
        model.weights().parameters.iter().count()
    );
    let mut words = Vec::new();
    for (flag, value) in [("--genotype", &options.genotype), ("--task", &options.task), ("--config", &options.config)] {
        words.extend(value.iter().flat_map(|value| [flag.to_owned(), for_shell(value.clone())]));
    }
    words.extend(options.set.iter().flat_map(|value| ["--set".to_owned(), for_shell(value.clone())]));
    let place = for_shell(options.output.display().to_string());
    let written =
        format!("written: {}\nnext:    sgas eval --weights {place} {}\n", options.output.display(), words.join(" "));
    print_then_write(out, &(found + &network), || output.write(&bytes), &written)
}

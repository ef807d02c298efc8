//! State on disk: tensors and JSON in one safetensors file, replaced atomically; and files of weights, also PyTorch's.
//!
//! The JSON stands in the file's metadata, so that tensors and counters can never be of two different moments, beside
//! the format's number and a checksum of all that the file holds, which is compared at every load. Only numbers that are
//! finite are written or read. Nothing in a file of weights tells the clock, the path or the host: equal runs write equal
//! bytes.

mod pytorch;
mod weight_file;

pub use weight_file::WeightFile;

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::fingerprint::Fingerprint;
use crate::reading;
use crate::tensor::parameters::Weights;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use tch::{Device, Kind, Tensor, no_grad};

/// The metadata key under which [`Seal`] stands. One key alone: safetensors orders several by chance.
const SEAL_KEY: &str = "sgas";
/// The metadata key of version 0.1.0, with the JSON alone.
const STATE_KEY: &str = "state";
/// As safetensors itself bounds it.
const LONGEST_HEADER: u64 = 100_000_000;
/// The format's number; a greater one is of a later program.
const FORMAT: u32 = 2;

/// What the metadata of a file say of it.
#[derive(Serialize, Deserialize)]
struct Seal {
    format: u32,
    /// BLAKE3 over the format, names, types, shapes and bytes of all tensors, and the state; hexadecimal.
    checksum: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    state: Value,
}

/// Named tensors and JSON.
pub struct Checkpoint {
    /// By name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Counters and settings; null in a file of weights.
    pub state: Value,
}

/// Where a run stands: every epoch before `epoch` is done, and the first `step` steps of that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// Epoch from 0.
    pub epoch: usize,
    /// Step of the epoch from 0.
    pub step: usize,
}

/// Which weights of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichWeights {
    /// Of the last epoch.
    Last,
    /// Of the epoch that scored best on validation.
    Best,
}

/// What to do after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The next one.
    GoOn,
    /// Keep the state, then the next one.
    Keep,
    /// Keep the state and end.
    Stop,
}

/// `[checkpoint]`: when the state of a run is kept, besides at every epoch's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// After so many steps since the last time; 0: not by steps.
    pub steps: usize,
    /// After so many minutes since the last time; 0: not by time.
    pub minutes: f64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { steps: 0, minutes: 10.0 }
    }
}

impl CheckpointConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        if (0.0..=1e6).contains(&self.minutes) {
            return Ok(());
        }
        Err(Error::invalid("checkpoint.minutes", "minutes from 0 (never) to a million", self.minutes.to_string()))
    }
}

/// Keeps what a run must not lose. The loops call it; a run folder is one.
pub trait Keeper {
    /// Keeps the state after a whole epoch, or where a run stops within one.
    ///
    /// # Errors
    /// Where it can't be written.
    fn keep_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()>;

    /// What to do after a step; asked after every one, with the place of the next.
    fn turn(&mut self, _next: Cursor) -> Turn {
        Turn::GoOn
    }

    /// Whether the run was asked to stop; asked between the batches of a pass without gradients, which is made anew when
    /// the run goes on.
    fn is_asked_to_stop(&self) -> bool {
        false
    }

    /// Keeps weights.
    ///
    /// # Errors
    /// Where they can't be written.
    fn keep_weights(&mut self, which: WhichWeights, weights: &Weights) -> Result<()>;
}

impl Checkpoint {
    /// A network's state dict.
    pub fn of_weights(weights: &Weights) -> Self {
        let tensors = weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.detach())).collect();
        Self { tensors, state: Value::Null }
    }

    /// Adds tensors under `prefix`.
    pub fn add<'a>(&mut self, prefix: &str, tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) {
        for (name, tensor) in tensors {
            self.tensors.insert(format!("{prefix}{name}"), tensor.detach());
        }
    }

    /// The tensors under `prefix`, by the rest of their names.
    pub fn below(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let named = self.tensors.iter();
        named
            .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.shallow_clone())))
            .collect()
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// A name that is not there, with `origin` (the file) as its place.
    pub fn tensor(&self, name: &str, origin: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| Error::invalid(format!("{origin}: {name}"), "a tensor", "nothing"))
    }

    /// Overwrites named tensors (an optimizer's state) with those under `prefix`.
    ///
    /// # Errors
    /// A tensor that is not there or of another shape.
    pub fn copy_into(&self, state: &[(&str, &Tensor)], prefix: &str, origin: &str) -> Result<()> {
        for (name, own) in state {
            let name = format!("{prefix}{name}");
            let saved = self.tensor(&name, origin)?;
            if saved.size() != own.size() {
                let (expected, found) = (format!("shape {:?}", own.size()), format!("{:?}", saved.size()));
                return Err(Error::invalid(format!("{origin}: {name}"), expected, found));
            }
            no_grad(|| own.shallow_clone().copy_(saved));
        }
        Ok(())
    }

    /// Writes the file; an old one is replaced only by a whole new one.
    ///
    /// # Errors
    /// A number that is not finite, with its tensor; a folder that can't be written. The old file is then as it was.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomically(path, &self.to_bytes(path)?)
    }

    /// The content of a file; `path` names it in errors.
    ///
    /// # Errors
    /// A number that is not finite, with its tensor.
    pub fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        self.require_finite().map_err(|unfinite| Error::not_finite(format!("{}: {unfinite}", path.display())))?;
        let raw: Vec<Raw> = self.tensors.iter().map(|(name, tensor)| Raw::new(name, tensor)).collect();
        let views: Vec<(&str, TensorView)> = raw.iter().map(Raw::view).collect();
        let seal = Seal { format: FORMAT, checksum: checksum(FORMAT, &views, &self.state), state: self.state.clone() };
        let seal = serde_json::to_string(&seal).expect("a seal is plain data");
        let metadata = Some(HashMap::from([(SEAL_KEY.to_owned(), seal)]));
        Ok(safetensors::serialize(views, metadata).expect("names are unique"))
    }

    /// Reads a file of this kind, or any safetensors file. One without a checksum, of version 0.1.0 or of another
    /// program, is told of in the log.
    ///
    /// # Errors
    /// A file that is not there, is cut, is no safetensors file, holds something else than its checksum names, or a
    /// number that is not finite.
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&reading::bytes(path)?, &path.display().to_string())
    }

    /// The same of a content that was read; `place` names it.
    fn parse(content: &[u8], place: &str) -> Result<Self> {
        let wrong = |found: String| {
            Error::invalid(place, "a whole safetensors file", found).with_hint("the file is cut or of another format")
        };
        let file = SafeTensors::deserialize(content).map_err(|error| wrong(error.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(content).map_err(|error| wrong(error.to_string()))?;
        let metadata = |key| header.metadata().as_ref().and_then(|metadata| metadata.get(key));
        let seal: Option<Seal> = metadata(SEAL_KEY)
            .map(|text| serde_json::from_str(text))
            .transpose()
            .map_err(|error| wrong(format!("metadata of another form ({error})")))?;
        let state = match &seal {
            Some(seal) => check(seal, &file, place)?,
            None => {
                tracing::info!("{place}: no checksum, so damage would not be seen (of sgas 0.1.0, or not by sgas)");
                let state = metadata(STATE_KEY).map_or(Ok(Value::Null), |text| serde_json::from_str(text));
                state.map_err(|error| wrong(error.to_string()))?
            }
        };
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let tensor = from_view(&view).ok_or_else(|| wrong(format!("type {:?} of {name}", view.dtype())))?;
            tensors.insert(name, tensor);
        }
        if seal.is_none() {
            (tensors, _) = without_wrappers(tensors);
        }
        Self { tensors, state }.finite(place)
    }

    /// Refuses numbers that are not finite.
    fn finite(self, place: &str) -> Result<Self> {
        self.require_finite().map_err(|Unfinite { tensor, found }| {
            Error::invalid(format!("{place}: {tensor}"), "finite numbers", found)
                .with_hint("what these weights were trained by went wrong; take those of an earlier epoch")
        })?;
        Ok(self)
    }

    /// The state of a file of this kind, read alone: its tensors are not looked at, so damage is not seen.
    ///
    /// # Errors
    /// A file that is not there, or no safetensors file.
    pub fn load_state(path: &Path) -> Result<Value> {
        let mut file = reading::open(path)?;
        let read = move || -> std::io::Result<Vec<u8>> {
            let mut length = [0; 8];
            file.read_exact(&mut length)?;
            let header = u64::from_le_bytes(length).min(LONGEST_HEADER);
            let mut content = length.to_vec();
            file.take(header).read_to_end(&mut content)?;
            Ok(content)
        };
        let content = read().map_err(|error| Error::read(path, error))?;
        let header: Value = serde_json::from_slice(&content[8..]).unwrap_or_default();
        let seal = header["__metadata__"][SEAL_KEY].as_str().and_then(|text| serde_json::from_str::<Seal>(text).ok());
        Ok(seal.map_or(Value::Null, |seal| seal.state))
    }

    /// Finds the first tensor with a number that is not finite.
    fn require_finite(&self) -> std::result::Result<(), Unfinite> {
        for (name, tensor) in self.tensors.iter().filter(|(_, tensor)| tensor.is_floating_point()) {
            let lost = tensor.isfinite().logical_not();
            if !bool::try_from(lost.any()).expect("one boolean") {
                continue;
            }
            let (count, all) = (lost.sum(Kind::Int64).int64_value(&[]), tensor.numel());
            let first = tensor.masked_select(&lost).double_value(&[0]);
            let found = format!("{first} ({count} of {all} numbers are not finite)");
            return Err(Unfinite { tensor: name.clone(), found });
        }
        Ok(())
    }
}

/// What PyTorch puts before every name of a network that is trained on several GPUs, or compiled.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The tensors by their names in the network itself, and what was before every name.
fn without_wrappers(mut tensors: BTreeMap<String, Tensor>) -> (BTreeMap<String, Tensor>, String) {
    let is_common = |tensors: &BTreeMap<String, Tensor>, prefix: &str| {
        !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(prefix))
    };
    let mut wrapper = String::new();
    while let Some(prefix) = WRAPPERS.into_iter().find(|prefix| is_common(&tensors, prefix)) {
        tensors = tensors.into_iter().map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect();
        wrapper += prefix;
    }
    (tensors, wrapper)
}

/// A tensor with a number that is not finite.
struct Unfinite {
    tensor: String,
    found: String,
}

impl std::fmt::Display for Unfinite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tensor, found } = self;
        write!(f, "{tensor} would be kept with {found}")
    }
}

/// The state of a file that holds what its seal names.
fn check(seal: &Seal, file: &SafeTensors<'_>, place: &str) -> Result<Value> {
    if seal.format > FORMAT {
        let found = seal.format.to_string();
        return Err(Error::invalid(place, format!("a file of format {FORMAT} or before"), found)
            .with_hint("a later sgas wrote it: use that one"));
    }
    let mut named: Vec<_> = file.iter().collect();
    named.sort_by_key(|(name, _)| *name);
    let found = checksum(seal.format, &named, &seal.state);
    if found == seal.checksum {
        return Ok(seal.state.clone());
    }
    Err(Error::invalid(place, format!("content with the checksum {}", seal.checksum), found)
        .with_hint("the file was damaged or changed after it was written; take another copy of it"))
}

/// A tensor as a file holds it.
struct Raw<'a> {
    name: &'a str,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

/// Of tensors in the order of their names.
fn checksum(format: u32, tensors: &[(&str, TensorView<'_>)], state: &Value) -> String {
    let mut content = Fingerprint::default();
    content.bytes(&format.to_le_bytes());
    for (name, view) in tensors {
        content.bytes(name.as_bytes());
        content.bytes(format!("{:?} {:?}", view.dtype(), view.shape()).as_bytes());
        content.bytes(view.data());
    }
    content.bytes(state.to_string().as_bytes());
    content.digest()
}

impl<'a> Raw<'a> {
    fn new(name: &'a str, tensor: &Tensor) -> Self {
        let tensor = tensor.to_device(Device::Cpu).contiguous();
        let dtype = match tensor.kind() {
            Kind::Float => Dtype::F32,
            Kind::Double => Dtype::F64,
            Kind::Int64 => Dtype::I64,
            other => unreachable!("no state has type {other:?}"),
        };
        let mut data = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.copy_data_u8(&mut data, tensor.numel());
        Self { name, dtype, shape: tensor.size().iter().map(|&size| size as usize).collect(), data }
    }

    fn view(&self) -> (&str, TensorView<'_>) {
        let view = TensorView::new(self.dtype, self.shape.clone(), &self.data);
        (self.name, view.expect("data of the shape's size"))
    }
}

fn from_view(view: &TensorView) -> Option<Tensor> {
    let kind = match view.dtype() {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        _ => return None,
    };
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    Tensor::f_from_data_size(view.data(), &shape, kind).ok()
}

#[cfg(test)]
mod tests;

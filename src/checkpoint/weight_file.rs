//! A file of weights that the user names: safetensors, or what `torch.save` wrote.

use super::{Checkpoint, pytorch, without_wrappers};
use crate::error::Result;
use crate::reading;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tch::Tensor;

/// Weights by the names in their file, without what PyTorch puts before the names of a wrapped network.
pub struct WeightFile {
    /// By name.
    pub tensors: BTreeMap<String, Tensor>,
    /// The format in words.
    pub format: &'static str,
    /// The key that the weights stand under, where they are not the whole file.
    pub key: Option<String>,
    /// What else stands in the file, by its keys.
    pub left_out: Vec<String>,
    /// What was before every name, such as `module.`; empty where nothing was.
    pub wrapper: String,
    /// What the file says of itself, where this program or its Python package wrote it; else null.
    pub metadata: Value,
    /// BLAKE3 of the whole file, hexadecimal.
    pub digest: String,
}

impl WeightFile {
    /// Reads it. Nothing in the file is executed.
    ///
    /// # Errors
    /// A file that is not there, is cut, of another format, without weights, or with a number that is not finite.
    pub fn read(path: &Path) -> Result<Self> {
        let content = reading::bytes(path)?;
        Self::parse(&content, &path.display().to_string())
    }

    /// The same of a content that was read; `place` names it.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub fn parse(content: &[u8], place: &str) -> Result<Self> {
        let digest = blake3::hash(content).to_hex().to_string();
        if !pytorch::is_pytorch(content) {
            let Checkpoint { tensors, state: metadata } = Checkpoint::parse(content, place)?;
            let (format, wrapper) = ("safetensors", String::new());
            return Ok(Self { tensors, format, key: None, left_out: Vec::new(), wrapper, metadata, digest });
        }
        let pytorch::Saved { format, key, tensors, left_out, metadata } = pytorch::read(content, place)?;
        let (tensors, wrapper) = without_wrappers(tensors);
        let Checkpoint { tensors, .. } = Checkpoint { tensors, state: Value::Null }.finite(place)?;
        Ok(Self { tensors, format, key, left_out, wrapper, metadata, digest })
    }
}

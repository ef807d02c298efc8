//! State on disk: tensors and JSON in one safetensors file, replaced atomically.
//!
//! The JSON stands in the file's metadata, so that tensors and counters can never be of two different moments.
//! Nothing in a file tells the clock, the path or the host: equal runs write equal bytes.

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::tensor::parameters::Weights;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tch::{Device, Kind, Tensor, no_grad};

/// The metadata key under which the JSON stands.
const STATE_KEY: &str = "state";

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

/// Keeps what a run must not lose. The loops call it; a run folder is one.
pub trait Keeper {
    /// Keeps the state after a whole epoch, or where a run stops within one.
    ///
    /// # Errors
    /// Where it can't be written.
    fn keep_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()>;

    /// Whether the run goes on; asked after every step, with the place of the next. Where not, its state is kept and it
    /// ends.
    fn goes_on(&mut self, _next: Cursor) -> bool {
        true
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
    /// Where the folder can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> =
            self.tensors.iter().map(|(name, tensor)| raw(name, tensor)).collect();
        let views = bytes.iter().map(|(name, dtype, shape, data)| {
            (*name, TensorView::new(*dtype, shape.clone(), data).expect("data of the shape's size"))
        });
        let metadata = (!self.state.is_null()).then(|| HashMap::from([(STATE_KEY.to_owned(), self.state.to_string())]));
        let content = safetensors::serialize(views, metadata).expect("names are unique");
        write_atomically(path, &content)
    }

    /// Reads a file of this kind, or any safetensors file.
    ///
    /// # Errors
    /// A file that is not there, is cut, or is no safetensors file.
    pub fn load(path: &Path) -> Result<Self> {
        let content = std::fs::read(path).map_err(|error| Error::read(path, error))?;
        let wrong = |found: String| {
            Error::invalid(path.display().to_string(), "a whole safetensors file", found)
                .with_hint("the file is cut or of another format; weights of PyTorch must be saved as safetensors")
        };
        let file = SafeTensors::deserialize(&content).map_err(|error| wrong(error.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(&content).map_err(|error| wrong(error.to_string()))?;
        let text = header.metadata().as_ref().and_then(|metadata| metadata.get(STATE_KEY));
        let state = text.map_or(Ok(Value::Null), |text| serde_json::from_str(text));
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let tensor = from_view(&view).ok_or_else(|| wrong(format!("type {:?} of {name}", view.dtype())))?;
            tensors.insert(name, tensor);
        }
        Ok(Self { tensors, state: state.map_err(|error| wrong(error.to_string()))? })
    }
}

fn raw<'a>(name: &'a str, tensor: &Tensor) -> (&'a str, Dtype, Vec<usize>, Vec<u8>) {
    let tensor = tensor.to_device(Device::Cpu).contiguous();
    let dtype = match tensor.kind() {
        Kind::Float => Dtype::F32,
        Kind::Double => Dtype::F64,
        Kind::Int64 => Dtype::I64,
        other => unreachable!("no state has type {other:?}"),
    };
    let mut data = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut data, tensor.numel());
    (name, dtype, tensor.size().iter().map(|&size| size as usize).collect(), data)
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
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let tensors = BTreeMap::from([
            ("a".to_owned(), Tensor::from_slice(&[1.0_f32, -2.0, 3.5]).view([3, 1])),
            ("b.c".to_owned(), Tensor::from_slice(&[7_i64])),
        ]);
        Checkpoint { tensors, state: serde_json::json!({"epoch": 3}) }
    }

    #[test]
    fn what_was_saved_is_loaded_and_equal_states_are_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("x.safetensors"), folder.path().join("y.safetensors"));
        checkpoint().save(&first).unwrap();
        checkpoint().save(&second).unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
        let loaded = Checkpoint::load(&first).unwrap();
        assert_eq!(loaded.state["epoch"], 3);
        assert_eq!(loaded.tensors["a"], checkpoint().tensors["a"]);
        assert_eq!(loaded.below("b.")["c"], checkpoint().tensors["b.c"]);
    }

    #[test]
    fn a_cut_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.safetensors");
        checkpoint().save(&path).unwrap();
        let content = std::fs::read(&path).unwrap();
        std::fs::write(&path, &content[..content.len() - 4]).unwrap();
        let error = Checkpoint::load(&path).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("cut.safetensors"), "{error}");
    }
}

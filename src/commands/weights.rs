//! A file of weights that the user names, by the names that networks have here.

use super::facts::Facts;
use super::run_folder::{Init, RunFolder};
use crate::checkpoint::WeightFile;
use crate::error::{Error, Result, few};
use crate::model::{self, Model, NetworkKind};
use crate::visible::for_shell;
use std::collections::BTreeMap;
use std::path::Path;
use tch::Tensor;

/// The weights of a file.
pub struct Read {
    /// By the names that networks have here.
    pub tensors: BTreeMap<String, Tensor>,
    /// Where they stood.
    pub source: Source,
    /// What the file says of its network, where this program or its Python package wrote it.
    pub facts: Option<Facts>,
}

/// What was found in a file.
pub struct Source {
    format: &'static str,
    key: Option<String>,
    wrapper: String,
    left_out: Vec<String>,
    renamed: Vec<String>,
    /// BLAKE3 of the file, hexadecimal.
    pub digest: String,
}

/// Reads it.
///
/// # Errors
/// See [`WeightFile::read`], [`model::ours`] and [`Facts::read`].
pub fn read(path: &Path) -> Result<Read> {
    let WeightFile { tensors, format, key, left_out, wrapper, metadata, digest } = WeightFile::read(path)?;
    let place = path.display().to_string();
    let (tensors, renamed) = model::ours(tensors, &place)?;
    let facts = Facts::read(&metadata, &place)?;
    Ok(Read { tensors, source: Source { format, key, wrapper, left_out, renamed, digest }, facts })
}

impl Source {
    /// What was found, left out and changed, a line each.
    pub fn told(&self) -> Vec<String> {
        let Self { format, key, wrapper, left_out, renamed, .. } = self;
        let under = key.as_ref().map_or(String::new(), |key| format!(", under {key}"));
        let mut lines = vec![format!("{format}{under}")];
        if !left_out.is_empty() {
            lines.push(format!("left out: {}", few(left_out.iter().map(String::as_str))));
        }
        let wrapped = (!wrapper.is_empty()).then(|| format!("{wrapper} before every name"));
        let changed: Vec<String> = wrapped.into_iter().chain(renamed.clone()).collect();
        if !changed.is_empty() {
            lines.push(format!("changed: {}", changed.join(", ")));
        }
        lines
    }
}

/// The weights that a training is to start from.
pub struct Start {
    tensors: BTreeMap<String, Tensor>,
    origin: String,
    digest: String,
    /// Names of the classes of the run that they come from; of a file, where it has them.
    classes: Vec<String>,
    /// The configuration of that run, as it is typed.
    config: Option<String>,
}

impl Start {
    /// Reads them: a training's run folder, whose best weights count where it has a validation share, or a file.
    ///
    /// # Errors
    /// A folder without a training, or a file that can't be read.
    pub fn read(named: &str) -> Result<Self> {
        let path = Path::new(named);
        if !path.is_dir() {
            let Read { tensors, source, facts } = read(path)?;
            source.told().iter().for_each(|line| tracing::debug!("{named}: {line}"));
            return Ok(Self {
                tensors,
                origin: named.to_owned(),
                digest: source.digest,
                classes: facts.map_or(Vec::new(), |facts| facts.classes),
                config: None,
            });
        }
        let folder = RunFolder::open(path)?;
        let about = folder.about()?;
        if about.command != "train" {
            return Err(Error::usage(format!("--init {named} is a search: it has no trained network"))
                .with_hint("name a training's run folder, or a file of weights"));
        }
        let weights = folder.chosen_weights()?;
        let Read { tensors, source, .. } = read(&weights)?;
        let origin = weights.display().to_string();
        let config = Some(for_shell(folder.config().display().to_string()));
        Ok(Self { tensors, origin, digest: source.digest, classes: about.classes, config })
    }

    /// Gives them to a fresh network of so many classes; what its run says of it.
    ///
    /// # Errors
    /// Weights of another network.
    pub fn give(&self, model: &mut dyn Model, kind: NetworkKind, classes: &[String]) -> Result<Init> {
        let mut tensors = self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        let mut changes = model::to_start_from(model, kind, &mut tensors, &self.origin);
        model.weights_mut().load(&tensors, &self.origin).map_err(|error| match &self.config {
            Some(config) => error.with_hint(format!(
                "these are the weights of another network: take the cell and sizes that they were trained with, by \
                 --config {config}, and samples of as many numbers"
            )),
            None => error,
        })?;
        if self.classes.len() == classes.len() && self.classes != classes {
            changes.push(format!("the classes of {} have other names: the classifier starts from theirs", self.origin));
        }
        Ok(Init { weights: self.origin.clone(), blake3: self.digest.clone(), changes })
    }
}

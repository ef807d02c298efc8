//! The cell that a user names: a genotype file, a published name, a run folder, or a cell of NAS-Bench-201 as its authors or
//! NASLib write it.

use super::run_folder::RunFolder;
use crate::config::tasks;
use crate::error::{Error, Result};
use crate::genotype::{Genotype, SpaceName, is_arch_string, is_indices, zoo};
use crate::model::NetworkKind;
use std::path::Path;

/// A cell and where it came from.
#[derive(Debug, Clone)]
pub struct NamedCell {
    /// The published name, the file's stem or the run's name.
    pub name: String,
    /// Where it was read, for errors: the path, or the name as typed.
    pub origin: String,
    /// The cell.
    pub genotype: Genotype,
    /// The task it was searched for or trained on, where that is known.
    pub task: Option<String>,
    /// Where it is a published one.
    pub published: Option<&'static zoo::ZooCell>,
}

impl NamedCell {
    /// The cell that a file of weights says.
    pub fn of_file(path: &str, genotype: Genotype, task: Option<String>) -> Self {
        let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, origin: path.to_owned(), genotype, task, published: None }
    }

    /// The kind of its networks.
    pub fn network(&self) -> NetworkKind {
        NetworkKind::Cells(self.genotype.space)
    }
}

/// Reads the cell that `typed` names. What exists as a file or folder is that; else it is a published name. `task` says
/// the space of a file that names none.
///
/// # Errors
/// A folder without a run or genotype, a genotype that is wrong, a name that nobody published (with the nearest); a task
/// that nobody knows.
pub fn load(typed: &str, task: Option<&str>) -> Result<NamedCell> {
    // A task that nobody knows is the configuration's error, where there is one.
    let asked = || Ok::<_, Error>(task.map(tasks::find).transpose()?.map(|task| task.space));
    if is_arch_string(typed) || is_indices(typed) {
        return from_typed(typed, asked()?);
    }
    let path = Path::new(typed);
    if path.is_dir() {
        return from_run(&RunFolder::open(path)?);
    }
    if path.exists() || looks_like_a_path(typed) {
        return from_file(path, asked()?);
    }
    from_zoo(typed)
}

fn from_run(run: &RunFolder) -> Result<NamedCell> {
    let path = run.genotype();
    if !path.is_file() {
        if run.about()?.command == "train" {
            let message =
                format!("{}: this run trains a hand-designed network, which has no cell", run.path().display());
            return Err(Error::usage(message).with_hint("sgas eval and sgas predict take the run with --run"));
        }
        let message = format!("{}: this run has no genotype yet", run.path().display());
        return Err(Error::usage(message).with_hint("a search writes it when it is done: go on with --resume"));
    }
    let cell = from_file(&path, None)?;
    Ok(NamedCell { name: run.name(), task: Some(run.about()?.task), ..cell })
}

fn from_file(path: &Path, asked: Option<SpaceName>) -> Result<NamedCell> {
    let genotype = Genotype::load_as(path, asked)?;
    let task = genotype.task.clone();
    Ok(NamedCell::of_file(&path.display().to_string(), genotype, task))
}

fn from_typed(typed: &str, asked: Option<SpaceName>) -> Result<NamedCell> {
    let origin = "the cell".to_owned();
    let genotype = Genotype::from_text(typed, &origin, asked)?;
    Ok(NamedCell { name: typed.to_owned(), origin, genotype, task: None, published: None })
}

fn from_zoo(name: &str) -> Result<NamedCell> {
    let cell = zoo::find(name).map_err(|error| error.adding(", and no such file"))?;
    let genotype = cell.genotype.clone();
    Ok(NamedCell { name: cell.name.clone(), origin: name.to_owned(), genotype, task: None, published: Some(cell) })
}

/// Published names have neither a folder nor an extension.
fn looks_like_a_path(typed: &str) -> bool {
    typed.contains(std::path::MAIN_SEPARATOR) || Path::new(typed).extension().is_some()
}

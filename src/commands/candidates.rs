//! What a search among random cells leaves in its folder: every candidate with its weights and trainings.

use crate::error::Result;
use crate::files::write_atomically;
use crate::genotype::SpaceName;
use crate::search::candidates::{Candidates, genotype};
use serde_json::{Value, json};
use std::path::Path;

/// The file in the run folder.
pub(super) const FILE: &str = "candidates.json";

/// Writes the candidates in the order of the draws, and which was chosen.
///
/// # Errors
/// A file that can't be written.
pub(super) fn write(search: &Candidates<'_>, space: SpaceName, path: &Path) -> Result<()> {
    let parameters = search.parameters_of_all();
    let candidate = |(index, cells)| {
        let cell: Value = serde_json::from_str(&genotype(space, cells).to_json()).expect("a cell is written as JSON");
        let trained = search.trained().iter().filter(|trained| trained.candidate == index);
        let trainings: Vec<Value> = trained
            .map(|trained| json!({ "epochs": trained.epochs, "score": trained.score, "loss": trained.loss }))
            .collect();
        json!({ "cell": cell, "parameters": parameters[index], "trainings": trainings })
    };
    let candidates: Vec<Value> = search.cells().iter().enumerate().map(candidate).collect();
    let text = json!({ "chosen": search.chosen(), "candidates": candidates });
    let text = serde_json::to_string_pretty(&text).expect("plain data");
    write_atomically(path, format!("{text}\n").as_bytes())
}

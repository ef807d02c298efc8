//! Where data is looked for and what is there; where runs go and whether they can.

use crate::commands::{dataset, run_folder};
use crate::config::tasks::{self, KnownTask};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The data of a task.
#[derive(Debug, Serialize)]
pub(super) struct DataSet {
    pub task: &'static str,
    /// The folder that was found.
    pub folder: Option<String>,
    /// Why none was, with the places tried.
    pub reason: Option<String>,
}

/// The folder of all runs.
#[derive(Debug, Serialize)]
pub(super) struct RunRoot {
    pub folder: PathBuf,
    /// Why no run can be put there; `None` where one can.
    pub unwritable: Option<String>,
}

/// Every task's data, as a run without `--data` would find it.
pub(super) fn data() -> Vec<DataSet> {
    let look = |task: KnownTask| match dataset::find(task) {
        Ok(source) => DataSet { task: task.name, folder: Some(source.to_string()), reason: None },
        Err(error) => DataSet { task: task.name, folder: None, reason: Some(error.to_string()) },
    };
    tasks::all().into_iter().map(look).collect()
}

pub(super) fn runs() -> RunRoot {
    let folder = run_folder::root();
    let unwritable = write_below(&folder).err().map(|error| error.to_string());
    RunRoot { folder: std::path::absolute(&folder).unwrap_or(folder), unwritable }
}

/// Writes a file without a name where a run would make its folder; nothing is left.
fn write_below(folder: &Path) -> std::io::Result<()> {
    let folder = std::path::absolute(folder)?;
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(&folder);
    tempfile::tempfile_in(there).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_made_is_writable_and_a_file_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        write_below(&folder.path().join("a/b")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        std::fs::write(folder.path().join("file"), "").unwrap();
        write_below(&folder.path().join("file/runs")).unwrap_err();
    }
}

//! Who watches a run: progress, event log, table, and in a search the drawings. All are registered here; each owns its
//! files, and one that only grows stands in [`crate::report::append::LOGS`], to be cut back where a run goes on.

use super::run_folder::RunFolder;
use super::{GlobalOptions, Verbosity};
use crate::config::embedded;
use crate::error::Result;
use crate::genotype::SpaceName;
use crate::report::csv::MetricsTable;
use crate::report::drawing::CellDrawings;
use crate::report::log::EventLog;
use crate::report::progress::{Progress, ProgressOptions};
use crate::report::tensorboard::TensorBoard;
use crate::report::{Observer, Observers};
use tch::Device;

/// What the observers need to know of a run.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// `search` or `train`.
    pub command: &'a str,
    /// Name of the task.
    pub task: &'a str,
    /// The task's score in the user's words: `accuracy`.
    pub score_name: &'a str,
    /// Where it computes.
    pub device: Device,
    /// The space of the cells that a search draws; none for a training.
    pub drawn: Option<SpaceName>,
    /// Write event files of TensorBoard.
    pub tensorboard: bool,
}

/// The observers of the run in `folder`; its logs go on after what they hold.
///
/// # Errors
/// Logs that can't be written.
pub fn of_run(folder: &RunFolder, watched: &Watched<'_>, global: &GlobalOptions) -> Result<Observers> {
    let progress = Progress::new(ProgressOptions {
        score_name: watched.score_name.to_owned(),
        quiet: global.verbosity() == Verbosity::Quiet,
        if_long: smaller_size(watched),
    });
    let mut observers: Vec<Box<dyn Observer>> = vec![
        Box::new(progress),
        Box::new(EventLog::open(folder.path())?),
        Box::new(MetricsTable::open(folder.path())?),
    ];
    if let Some(board) = TensorBoard::open(folder.path(), watched.tensorboard)? {
        observers.push(Box::new(board));
    }
    if let Some(space) = watched.drawn {
        observers.push(Box::new(CellDrawings::new(folder.path(), space)));
    }
    Ok(Observers(observers))
}

/// On a processor: the configuration of a size for it, where there is one.
fn smaller_size(watched: &Watched<'_>) -> Option<String> {
    let name = format!("{}-cpu", watched.task);
    let known = watched.device == Device::Cpu && embedded::named(&format!("{}/{name}", watched.command)).is_some();
    known.then(|| format!("that is long for a processor: --config {name} is of a size for it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Event;
    use crate::report::append::LOGS;
    use std::collections::BTreeSet;

    #[test]
    fn files_that_observers_keep_open_are_cut_back_where_a_run_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create("search", "points", 1, Some(&root.path().join("run")), |_| Ok(())).unwrap();
        let files = || -> BTreeSet<String> {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let before = files();
        let watched = Watched {
            command: "search",
            task: "points",
            score_name: "accuracy",
            device: Device::Cpu,
            drawn: Some(SpaceName::POINT),
            tensorboard: true,
        };
        let global = GlobalOptions { quiet: true, ..GlobalOptions::default() };
        let mut observers = of_run(&folder, &watched, &global).unwrap();
        observers.observe(&Event::Finished { seconds: 1.0 }).unwrap();
        let written: Vec<String> = files().difference(&before).cloned().collect();
        assert_eq!(written.len(), 3, "{written:?}");
        assert!(written.iter().all(|name| LOGS.contains(&&**name)), "{written:?}");
    }

    #[test]
    fn a_smaller_size_is_named_on_a_processor_only_and_only_where_there_is_one() {
        let watched = Watched {
            command: "search",
            task: "modelnet40",
            score_name: "",
            device: Device::Cpu,
            drawn: None,
            tensorboard: false,
        };
        assert!(smaller_size(&watched).unwrap().contains("--config modelnet40-cpu"));
        assert_eq!(smaller_size(&Watched { device: Device::Cuda(0), ..watched }), None);
        assert_eq!(smaller_size(&Watched { task: "points", ..watched }), None);
    }
}

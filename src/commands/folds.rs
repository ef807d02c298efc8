//! `sgas train --area all`: S3DIS six-fold, a training for each area as test area, and the scores of all of them
//! pooled.

use super::eval::{self, Evaluated};
use super::outputs::keep_beside;
use super::run_folder::{self, RunFolder};
use super::{
    AreaChoice, EvalOptions, GlobalOptions, RunOptions, TrainOptions, TrainedOptions, device, print, processes, scores,
    train,
};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::task::{Overlap, Scores};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Areas of S3DIS.
const AREAS: std::ops::RangeInclusive<u8> = 1..=6;
/// Where the pooled scores go.
const POOLED_FILE: &str = "six-fold.json";

/// Trains on each, goes on with those that were begun, evaluates each on its area, and prints the scores of all
/// points of all areas.
///
/// # Errors
/// As of a training and of an evaluation; a folder that holds something else.
pub(super) fn run(options: &TrainOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    if processes::place()?.is_some() {
        return Err(Error::invalid("--area", "one area, where several processes share a training", "all")
            .with_hint("train area after area, or give each area a process of its own"));
    }
    let root = root(options)?;
    for area in AREAS {
        let path = folder(&root, area);
        let begun = RunFolder::open(&path).is_ok();
        tracing::info!("area {area} of {}: {}", AREAS.end(), path.display());
        train::run(&of_area(options, area, &path, begun), global, out)?;
    }
    let device = device::prepare(global)?;
    let (mut pooled, mut classes, mut single) = (None, Vec::new(), Vec::new());
    for area in AREAS {
        let evaluated = eval::evaluated(&evaluation(&folder(&root, area)), device)?;
        evaluated.keep(Split::Test);
        let Evaluated { dataset, meter, .. } = evaluated;
        let Scores::Points(overlap) = meter.scores() else { unreachable!("areas have classes of points") };
        single.push(overlap.mean_iou());
        pooled.get_or_insert_with(|| Overlap::new(dataset.classes.len())).add(overlap.confusion().counts());
        classes = dataset.classes;
    }
    let pooled = pooled.expect("there are areas");
    let report = json!({ "areas": single, "six_fold": scores::of_points_as_json(&pooled, &classes) });
    let text = format!(
        "\nsix-fold: every area tested by the network that was trained on the others\n{}run folders: {}\n",
        scores::of_points(&pooled, &classes, "all"),
        root.display()
    );
    let printed = print(out, &text);
    keep_beside(&root.join(POOLED_FILE), format!("{report:#}\n").as_bytes());
    printed
}

/// The folder of all six.
fn root(options: &TrainOptions) -> Result<PathBuf> {
    let RunOptions { out, resume, .. } = &options.run;
    let Some(path) = out else {
        return Ok(run_folder::root().join(format!("train-s3dis-six-fold-{}", run_folder::now())));
    };
    let is_empty = path.read_dir().map_or(true, |mut entries| entries.next().is_none());
    if *resume || is_empty {
        return Ok(path.clone());
    }
    Err(Error::usage(format!("--out {}: the folder is not empty", path.display()))
        .with_hint("add --resume to go on with the trainings in it, or name another folder"))
}

fn folder(root: &Path, area: u8) -> PathBuf {
    root.join(format!("area-{area}"))
}

fn of_area(options: &TrainOptions, area: u8, path: &Path, begun: bool) -> TrainOptions {
    let run = RunOptions { out: Some(path.to_owned()), resume: begun, ..options.run.clone() };
    TrainOptions { run, area: Some(AreaChoice::One(area)), ..options.clone() }
}

fn evaluation(path: &Path) -> EvalOptions {
    let trained = TrainedOptions { run: Some(path.to_owned()), ..TrainedOptions::default() };
    EvalOptions { trained, data: None, split: Split::Test, examples: None, json: false }
}

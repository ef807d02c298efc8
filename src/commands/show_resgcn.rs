//! `sgas show resgcn`: the sizes of the network of labelled clouds.

use super::{ShowOptions, grouped, print};
use crate::config::{self, RunConfig, TrainRun, tasks};
use crate::error::{Error, Result};
use crate::model::{self, Architecture, HandDesigned, NetworkKind};
use serde_json::{Value, json};
use std::io::Write;

/// What it is called as published, of its own size.
const NAME: &str = "ResGCN-28";
/// Classes of S3DIS.
const CLASSES: usize = 13;
/// Numbers per point of S3DIS: position, colour, position in the room.
const CHANNELS: i64 = 9;
/// Mean IoU on S3DIS (docs/method.md, "ResGCN").
const PUBLISHED: [(&str, f64); 3] =
    [("area 5, PyTorch code", 52.1), ("area 5, TensorFlow code", 52.5), ("six-fold, TensorFlow code", 60.0)];

/// True where this network is meant, and no cell.
pub(super) fn is_meant(typed: &str) -> bool {
    ["resgcn", NAME].iter().any(|name| typed.eq_ignore_ascii_case(name))
}

/// Shows it.
///
/// # Errors
/// A task with cells, or a drawing, of which there is none.
pub(super) fn run(options: &ShowOptions, out: &mut dyn Write) -> Result<()> {
    if let Some(task) = &options.task
        && tasks::find(task)?.network != NetworkKind::HandDesigned(HandDesigned::ResGcn)
    {
        let expected = "a task of labelled clouds, such as s3dis";
        return Err(Error::invalid("--task", expected, format!("'{task}', whose network is made of cells")));
    }
    if let Some((flag, _)) = options.drawing() {
        return Err(
            Error::usage(format!("{flag} draws cells, and a ResGCN has none")).with_hint(format!("leave {flag} out"))
        );
    }
    let run: TrainRun = config::embedded_run("s3dis")?;
    let parameters =
        model::parameter_count(&Architecture::HandDesigned(HandDesigned::ResGcn), &run.network(CLASSES, CHANNELS));
    let text = if options.json { format!("{:#}\n", as_json(&run, parameters)) } else { as_text(&run, parameters) };
    print(out, &text)
}

fn as_json(run: &TrainRun, parameters: usize) -> Value {
    let published: serde_json::Map<String, Value> =
        PUBLISHED.iter().map(|(what, score)| ((*what).to_owned(), json!(score))).collect();
    json!({
        "name": NAME,
        "sizes": run.resgcn,
        "classes": CLASSES,
        "channels": CHANNELS,
        "parameters": parameters,
        "published_mean_iou": published,
    })
}

fn as_text(run: &TrainRun, parameters: usize) -> String {
    let config = &run.resgcn;
    let (blocks, channels, k) = (config.blocks, config.channels, config.k);
    let furthest = config.dilation(blocks - 1);
    let mut text = format!(
        "{NAME} (labelled clouds)\n\n  {blocks} edge convolutions of {channels} channels, {k} neighbours each, dilation up \
         to {furthest}\n  all blocks joined and pooled into {}, then {} and {} channels\n\nparameters\n",
        config.fusion, config.prediction[0], config.prediction[1]
    );
    let parameters = u64::try_from(parameters).expect("counts fit");
    text += &format!("  {CLASSES} classes, {CHANNELS} numbers per point {:>12}\n", grouped(parameters));
    for (what, score) in PUBLISHED {
        text += &format!("published mean IoU on S3DIS, {what}: {score}\n");
    }
    text + "train it: sgas train --task s3dis --model resgcn\n"
}

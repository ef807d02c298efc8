//! `sgas estimate`: what a published table, or a surrogate of one, knows of cells.

use super::cell::{self, NamedCell};
use super::{EstimateOptions, percent, print};
use crate::benchmark::nas_bench_201::NasBench201;
use crate::benchmark::nb301::{self, Nb301};
use crate::benchmark::{Benchmark, NasBenchGraph, Quantity, Score};
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;

/// The encoding of the surrogate's inputs, beside it where no other is named.
const ENCODING: &str = "nb301-encoding.json";

/// Tells what is known of every cell.
///
/// # Errors
/// Cells that are not there, wrong, or of several spaces; a space that no benchmark is known for; a file of something
/// else.
pub fn run(options: &EstimateOptions, out: &mut dyn Write) -> Result<()> {
    let cells: Vec<NamedCell> = options.cells.iter().map(|typed| cell::load(typed, None)).collect::<Result<_>>()?;
    let space = cells.first().ok_or_else(|| Error::usage("which cell? name one"))?.genotype.space;
    for cell in &cells {
        cell.genotype.require_space(space, &cell.origin)?;
    }
    let benchmark = open(space, &options.table, options.encoding.as_deref())?;
    let scores = cells.iter().map(|cell| {
        benchmark
            .scores(&cell.genotype)
            .map_err(|error| error.placed(|place| place.replacen("the cell", &cell.origin, 1)))
    });
    let known: Vec<(NamedCell, Vec<Score>)> =
        scores.collect::<Result<Vec<_>>>().map(|scores| cells.clone().into_iter().zip(scores).collect())?;
    let text = match options.json {
        true => format!("{:#}\n", as_json(&known, space, options)),
        false => as_text(&known, space),
    };
    print(out, &text)
}

/// What reads the table, or the surrogate with its encoding, for cells of this space.
///
/// # Errors
/// A space that no benchmark is known for; a file of something else.
pub(super) fn open(space: SpaceName, table: &Path, encoding: Option<&Path>) -> Result<Box<dyn Benchmark>> {
    if space == SpaceName::NAS_BENCH_201 {
        return Ok(Box::new(NasBench201::open(table)?));
    }
    if space == SpaceName::NAS_BENCH_GRAPH {
        return Ok(Box::new(NasBenchGraph::load(table)?));
    }
    if space == SpaceName::IMAGE {
        let encoding = encoding.map_or_else(|| table.with_file_name(ENCODING), Path::to_owned);
        return Ok(Box::new(Nb301::open(table, &encoding)?));
    }
    Err(Error::usage(format!("no benchmark is known for cells of the {space} space"))
        .with_hint("cells of the nas-bench-201, nas-bench-graph and image spaces have one"))
}

/// What is said of an estimate beside it; nothing of what was measured.
fn remark(cell: &NamedCell) -> Option<String> {
    if cell.genotype.space != SpaceName::IMAGE {
        return None;
    }
    let counts: Vec<String> = nb301::skip_connects(&cell.genotype)
        .iter()
        .map(|(kind, count)| format!("{count} in the {kind} cell"))
        .collect();
    Some(format!("skip_connects: {}", counts.join(", ")))
}

fn as_text(known: &[(NamedCell, Vec<Score>)], space: SpaceName) -> String {
    let mut text = String::new();
    for (cell, scores) in known {
        text += &format!("{} ({space} space)\n", cell.name);
        for score in scores {
            text += &format!("  {:<26} {:<12} {:>10}\n", score.set, score.quantity.name(), value(score));
        }
        text += &remark(cell).map_or(String::new(), |remark| format!("  {remark}\n"));
        text += "\n";
    }
    if space == SpaceName::IMAGE {
        text += &format!("{}\n", nb301::WARNING);
    }
    text
}

fn value(score: &Score) -> String {
    match score.quantity {
        Quantity::TestAccuracy | Quantity::ValidationAccuracy => percent(score.value),
        Quantity::Parameters | Quantity::MultiplyAdds | Quantity::Latency => {
            format!("{:.4} {}", score.value, score.quantity.unit())
        }
    }
}

fn as_json(known: &[(NamedCell, Vec<Score>)], space: SpaceName, options: &EstimateOptions) -> Value {
    let score = |score: &Score| json!({"set": score.set, "quantity": score.quantity.name(), "value": score.value});
    let cell = |(cell, scores): &(NamedCell, Vec<Score>)| {
        let mut object = json!({
            "name": cell.name,
            "genotype": cell.genotype,
            "arch_string": cell.genotype.arch_string(),
            "scores": scores.iter().map(score).collect::<Vec<_>>(),
        });
        if space == SpaceName::IMAGE {
            let counts = nb301::skip_connects(&cell.genotype);
            let counts: Map<String, Value> =
                counts.iter().map(|(kind, count)| (kind.name().to_owned(), json!(count))).collect();
            object["skip_connects"] = counts.into();
        }
        object
    };
    let warning = (space == SpaceName::IMAGE).then_some(nb301::WARNING);
    json!({
        "table": options.table,
        "space": space,
        "is_estimate": warning.is_some(),
        "warning": warning,
        "cells": known.iter().map(cell).collect::<Vec<_>>(),
    })
}

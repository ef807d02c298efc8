//! `sgas zoo`: the published cells with their published scores and parameters.

use super::{ZooOptions, grouped, print};
use crate::error::Result;
use crate::genotype::zoo::{self, ZooCell};
use serde_json::{Map, Value, json};
use std::io::Write;

/// Lists the zoo.
///
/// # Errors
/// A standard output that can't be written.
pub fn run(options: &ZooOptions, out: &mut dyn Write) -> Result<()> {
    let text = match options.json {
        true => format!("{:#}\n", as_json()),
        false => as_text(),
    };
    print(out, &text)
}

fn as_json() -> Value {
    let cell = |cell: &ZooCell| {
        json!({
            "name": cell.name,
            "aliases": aliases(cell),
            "space": cell.space(),
            "genotype": cell.genotype,
            "parameters": cell.params,
            "published": published_scores(cell),
        })
    };
    let zoo = zoo::zoo();
    json!({
        "source": zoo.source,
        "cells": zoo.cells.iter().map(cell).collect::<Vec<_>>(),
        "published_results": zoo.published_results,
    })
}

fn as_text() -> String {
    let zoo = zoo::zoo();
    let mut text = format!("{}\n\n{:<24} {:<6} {:>12}  {}\n", zoo.source, "cell", "space", "parameters", "published");
    for cell in &zoo.cells {
        text += &cell_line(cell);
    }
    text += "\nThe published results:\n";
    for (what, value) in &zoo.published_results {
        text += &format!("  {value:>6}  {what}\n");
    }
    text + "\nParameters are those of the largest published network; `sgas show NAME` has the others.\n"
}

fn cell_line(cell: &ZooCell) -> String {
    let parameters = cell.params.values().max().copied().map(grouped).unwrap_or_default();
    let mut notes: Vec<String> =
        published_scores(cell).iter().map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
    let aliases = aliases(cell);
    if !aliases.is_empty() {
        notes.push(format!("also named {}", aliases.join(", ")));
    }
    format!("{:<24} {:<6} {parameters:>12}  {}\n", cell.name, cell.space().name(), notes.join("; "))
        .trim_end()
        .to_owned()
        + "\n"
}

/// What was published about a cell: its own numbers, those on ImageNet under another name, and the paper's main
/// results that name it.
pub(super) fn published_scores(cell: &ZooCell) -> Map<String, Value> {
    let zoo = zoo::zoo();
    let aliases = aliases(cell);
    let mut scores = cell.published.clone();
    for numbers in aliases.iter().filter_map(|alias| zoo.imagenet_results.get(*alias)) {
        let on_imagenet = |name: &str| format!("imagenet_{}", name.trim_start_matches("imagenet_"));
        scores.extend(numbers.iter().map(|(name, value)| (on_imagenet(name), (*value).into())));
    }
    let is_named = |what: &str| what.split([',', ' ']).any(|word| word == cell.name || aliases.contains(&word));
    scores.extend(zoo.published_results.iter().filter(|(what, _)| is_named(what)).map(|(k, v)| (k.clone(), v.clone())));
    scores
}

/// The other published names of a cell.
fn aliases(cell: &ZooCell) -> Vec<&'static str> {
    let all = zoo::zoo().aliases.iter();
    all.filter(|(_, name)| **name == cell.name).map(|(alias, _)| alias.as_str()).collect()
}

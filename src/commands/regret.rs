//! `sgas regret`: what searches found, held against a published table of their space and against random search at the
//! same cost.
//!
//! Choices are made before any test column is read: a search's stand in its run folder, and random search chooses by
//! the table's validation alone.

mod simulation;
mod truth;

use super::run_folder::RunFolder;
use super::{RegretOptions, cell_estimate, print};
use crate::benchmark::Benchmark;
use crate::config::{self, SearchRun};
use crate::error::{Error, Result};
use crate::genotype::{Genotype, SpaceName};
use crate::report::history::History;
use crate::search::strategy::StrategyName;
use crate::statistics::Summary;
use serde_json::json;
use simulation::Simulated;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use truth::{Line, Random, Tau, Truth};

/// A finished search, or the one of several that was chosen.
#[derive(Clone)]
struct Search {
    origin: String,
    method: String,
    seed: u64,
    seconds: f64,
    genotype: Genotype,
    /// Cells that the search scored by equal means, with their validation scores.
    scored: Vec<(Genotype, f64)>,
}

/// Tells it.
///
/// # Errors
/// Folders that hold no finished search, searches of several spaces, a set or a cell that the table does not list.
pub fn run(options: &RegretOptions, out: &mut dyn Write) -> Result<()> {
    let searches: Vec<Search> = options.runs.iter().map(|path| read(path)).collect::<Result<_>>()?;
    let space = space(options, &searches)?;
    let training = training_seconds(options)?;
    let benchmark = cell_estimate::open(space, &options.table, None)?;
    if benchmark.cells() == 0 {
        return Err(Error::usage(format!("{}: a surrogate lists no cells", options.table.display()))
            .with_hint("regret is against the best of a table: nas-bench-201 and nas-bench-graph have one"));
    }
    let truth = Truth::read(&*benchmark, options)?;
    let mut methods: BTreeMap<String, Vec<Search>> = BTreeMap::new();
    for search in searches {
        methods.entry(search.method.clone()).or_default().push(search);
    }
    if let Some(count) = options.best_of {
        let training = training.ok_or_else(|| {
            Error::usage("--best-of counts the trainings of the cells that it chooses from")
                .with_hint("--training RUN names finished trainings, whose time is taken")
        })?;
        for (method, searches) in &mut methods {
            *searches = best_of(method, searches, count, training, &truth, &*benchmark)?;
        }
    }
    let lines: Vec<Line> = methods
        .iter()
        .map(|(method, searches)| truth.line(method, searches, training, &*benchmark))
        .collect::<Result<_>>()?;
    let simulated = options.simulate.iter().map(|asked| Simulated::of(asked, options.seeds, &truth, &*benchmark));
    let simulated: Vec<Simulated> = simulated.collect::<Result<_>>()?;
    let text = if options.json {
        let Truth { set, test, .. } = &truth;
        let table = json!({"path": options.table, "set": set, "cells": test.len(), "best_test": truth.best()});
        let all = json!({
            "table": table, "training_seconds": training, "methods": lines, "simulated": simulated
        });
        format!("{all:#}\n")
    } else {
        as_text(&truth, &lines, training, &simulated)
    };
    print(out, &text)
}

/// The space of all searches, or the named one where there is none.
fn space(options: &RegretOptions, searches: &[Search]) -> Result<SpaceName> {
    let Some(first) = searches.first() else {
        return options.space.ok_or_else(|| {
            Error::usage("which searches? name their run folders")
                .with_hint("--simulate needs none, but --space: the space of the table's cells")
        });
    };
    if let Some(asked) = options.space {
        first.genotype.require_space(asked, &first.origin)?;
    }
    for search in searches {
        search.genotype.require_space(first.genotype.space, &search.origin)?;
        let is_alike = |other: &&Search| (&other.method, other.seed) == (&search.method, search.seed);
        if let Some(other) = searches.iter().filter(is_alike).nth(1) {
            let found = format!("{} and {}", search.origin, other.origin);
            let expected = format!("one search by {} with seed {}", search.method, search.seed);
            return Err(Error::invalid("RUN", expected, found));
        }
    }
    Ok(first.genotype.space)
}

/// Of every so many searches, in the order of their seeds, the one whose cell the table's validation prefers. It takes the
/// time of them all, and that of a training of each cell.
fn best_of(
    method: &str,
    searches: &[Search],
    count: usize,
    training: f64,
    truth: &Truth,
    benchmark: &dyn Benchmark,
) -> Result<Vec<Search>> {
    if count == 0 || !searches.len().is_multiple_of(count) {
        let expected = format!("a divisor of the {} searches by {method}", searches.len());
        return Err(Error::invalid("--best-of", expected, count.to_string()));
    }
    let mut searches = searches.to_vec();
    searches.sort_by_key(|search| search.seed);
    let chosen = |group: &[Search]| -> Result<Search> {
        let mut best: Option<(f64, &Search)> = None;
        for search in group {
            let score = truth.validation_of(&search.genotype, &search.origin, benchmark)?;
            if best.is_none_or(|(best, _)| score > best) {
                best = Some((score, search));
            }
        }
        let (_, best) = best.expect("a group has at least one search");
        let seconds = group.iter().map(|search| search.seconds + training).sum();
        Ok(Search { seed: group[0].seed, seconds, scored: Vec::new(), ..best.clone() })
    };
    searches.chunks(count).map(chosen).collect()
}

fn read(path: &Path) -> Result<Search> {
    let folder = RunFolder::begun(path, "search")?;
    let origin = path.display().to_string();
    if !folder.is_finished() {
        return Err(Error::usage(format!("{origin}: this search is not finished"))
            .with_hint(format!("sgas search --out {} --resume", folder.typed())));
    }
    let run: SearchRun = config::read(&folder.config())?;
    // Of whichever processes ran its epochs; 0 of one that trained nothing.
    let history = History::read(path)?;
    let seconds = history.seconds();
    let genotype = Genotype::load(folder.genotype())?;
    Ok(Search { method: run.method(), seed: run.seed, seconds, genotype, scored: scored(history), origin })
}

/// The candidates of a search that were scored by equal means: by shared weights, or after its shortest training.
fn scored(history: History) -> Vec<(Genotype, f64)> {
    let shortest = history.candidates.iter().map(|report| report.trained).min();
    let alike = history.candidates.into_iter().filter(|report| Some(report.trained) == shortest);
    alike.map(|report| (report.genotype, report.score)).collect()
}

/// The mean wall time of the named trainings.
fn training_seconds(options: &RegretOptions) -> Result<Option<f64>> {
    let of = |path: &PathBuf| {
        if RunFolder::begun(path, "train")?.is_finished() {
            return Ok(History::read(path)?.seconds());
        }
        Err(Error::usage(format!("{}: this training is not finished", path.display())))
    };
    let all: Vec<f64> = options.training.iter().map(of).collect::<Result<_>>()?;
    Ok((!all.is_empty()).then(|| Summary::of(&all).mean))
}

fn as_text(truth: &Truth, lines: &[Line], training: Option<f64>, simulated: &[Simulated]) -> String {
    let (set, cells, best) = (&truth.set, truth.test.len(), truth.best());
    let mut text = format!("{set}: {cells} cells, the best {best:.2} % on test\n");
    if !lines.is_empty() {
        text += &found_in_words(lines);
    }
    if let Some(training) = training.filter(|_| !lines.is_empty()) {
        text += &format!("\nrandom search at the same cost (a training takes {training:.1} s)\n");
        for Line { method, random, .. } in lines {
            let Some(Random { trainings, regret, expected_regret, difference, to_expected, .. }) = random else {
                continue;
            };
            text += &format!(
                "{method:<28} {trainings} trainings: regret {}, {expected_regret:.2} expected; difference {}, to the expected {}\n",
                with_spread(regret),
                difference_in_words(difference),
                difference_in_words(to_expected)
            );
        }
    }
    if !simulated.is_empty() {
        text += "\ncells trained by a look at the table's validation\n";
    }
    for Simulated { strategy, trainings, test, regret, random, difference, .. } in simulated {
        let name = format!("{strategy}, {trainings} trainings");
        text += &format!("{name:<28} {:>3}  {:<16} {:<16}", test.n, with_spread(test), with_spread(regret));
        text += &match *strategy == StrategyName::RANDOM.name() {
            true => "\n".to_owned(),
            false => format!(" random {}, difference {}\n", with_spread(random), difference_in_words(difference)),
        };
    }
    let told: Vec<_> = lines.iter().filter_map(|line| Some((&line.method, line.tau.as_ref()?))).collect();
    if !told.is_empty() {
        text += "\nKendall's tau of the scores of a search's cells against the table's\n";
    }
    for (method, Tau { cells, validation, test, of_table }) in told {
        text += &format!(
            "{method:<28} {cells} cells: validation {}, test {}; the table's validation against its test {}\n",
            with_spread(validation),
            with_spread(test),
            with_spread(of_table)
        );
    }
    text
}

/// The table of what searches found.
fn found_in_words(lines: &[Line]) -> String {
    let mut text = format!(
        "\n{:<28} {:>3}  {:<16} {:<16} {:>11}  {:>9}\n",
        "method", "n", "test, %", "regret, points", "median rank", "seconds"
    );
    for line in lines {
        let mut ranks = line.ranks.clone();
        ranks.sort_unstable();
        let row = (with_spread(&line.test), with_spread(&line.regret), ranks[ranks.len() / 2]);
        let seconds = line.seconds.mean;
        text += &format!(
            "{:<28} {:>3}  {:<16} {:<16} {:>11}  {seconds:>9.1}\n",
            line.method, line.test.n, row.0, row.1, row.2
        );
    }
    text
}

/// A mean difference with its interval.
fn difference_in_words(difference: &Summary) -> String {
    let interval = match difference.interval {
        Some(half) if difference.excludes_zero() => format!("95 % interval ± {half:.2}, without 0"),
        Some(half) => format!("95 % interval ± {half:.2}, which holds 0"),
        None => "one seed has no interval".to_owned(),
    };
    format!("{:+.2} ({interval})", difference.mean)
}

fn with_spread(summary: &Summary) -> String {
    let deviation = summary.deviation.map_or(String::new(), |deviation| format!(" ± {deviation:.2}"));
    format!("{:.2}{deviation}", summary.mean)
}

#[cfg(test)]
mod tests {
    use super::truth::table::{Table, search};
    use super::*;

    #[test]
    fn of_several_searches_the_one_is_taken_that_validation_prefers() {
        let options = RegretOptions { training: vec!["trained".into()], ..RegretOptions::default() };
        let truth = Truth::read(&Table, &options).unwrap();
        // Validation has 0.5, 0.9, 0.4 and 0.6; each takes 10 s, and a training 2.5 s.
        let searches = [(4, "nor_conv_1x1"), (1, "skip_connect"), (2, "nor_conv_3x3"), (3, "avg_pool_3x3")]
            .map(|(seed, name)| search(seed, name));
        let chosen = best_of("sgas", &searches, 2, 2.5, &truth, &Table).unwrap();
        let told: Vec<_> = chosen.iter().map(|one| (one.seed, one.seconds, one.genotype.clone())).collect();
        assert_eq!(
            told,
            [(1, 25.0, search(2, "nor_conv_3x3").genotype), (3, 25.0, search(4, "nor_conv_1x1").genotype)]
        );
        for count in [0, 3] {
            let error = best_of("sgas", &searches, count, 2.5, &truth, &Table).err().unwrap().to_string();
            assert_eq!(error, format!("--best-of: expected a divisor of the 4 searches by sgas, found {count}"));
        }
    }
}

//! `sgas regret`: what searches found, held against a published table of their space and against random search at the
//! same cost.
//!
//! Choices are made before any test column is read: a search's stand in its run folder, and random search chooses by
//! the table's validation alone.

use super::run_folder::RunFolder;
use super::{RegretOptions, cell_estimate, print};
use crate::benchmark::{Benchmark, Quantity, Score};
use crate::config::{self, SearchRun};
use crate::error::{Error, Result};
use crate::genotype::Genotype;
use crate::report::{Event, log};
use crate::statistics::{Summary, kendall_tau};
use crate::tensor::random::{Key, Purpose};
use rand::seq::index;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Random searches of each cost that its expected regret is the mean of.
const EXPECTED_OVER: u64 = 2000;

/// A finished search.
struct Search {
    origin: String,
    method: String,
    seed: u64,
    seconds: f64,
    genotype: Genotype,
    /// Cells that the search scored by equal means, with their validation scores.
    scored: Vec<(Genotype, f64)>,
}

/// The scores of all cells of a table on one set, in per cent.
struct Truth {
    set: String,
    /// The set by whose validation cells are chosen.
    chosen_by: String,
    /// Where nothing chooses by it, none.
    validation: Vec<f64>,
    test: Vec<f64>,
}

/// What is said of one method.
#[derive(Serialize)]
struct Line {
    method: String,
    seeds: Vec<u64>,
    /// Test accuracy of what was found, in per cent.
    test: Summary,
    /// The best test accuracy of the table less that, in points.
    regret: Summary,
    /// Cells of the table with a better test accuracy, and one, for each seed.
    ranks: Vec<usize>,
    regrets: Vec<f64>,
    /// Wall time of a search's epochs in seconds.
    seconds: Summary,
    random: Option<Random>,
    tau: Option<Tau>,
}

/// How far a search's scores of cells order them as the table does: Kendall's tau_b, a search a value.
#[derive(Serialize)]
struct Tau {
    /// Cells that each search scored.
    cells: usize,
    /// Against the table's validation accuracies.
    validation: Summary,
    /// Against its test accuracies.
    test: Summary,
    /// Of the table's validation accuracies of the same cells against its test accuracies.
    of_table: Summary,
}

/// Random search at the cost of a method.
#[derive(Serialize)]
struct Random {
    /// Trainings that fit into the time of a search, at least one.
    trainings: usize,
    /// Of the seeds of the searches.
    regret: Summary,
    /// Mean over many seeds.
    expected_regret: f64,
    /// Regret of the search less that of random search with the same seed, in points.
    difference: Summary,
    difference_excludes_zero: bool,
}

/// Tells it.
///
/// # Errors
/// Folders that hold no finished search, searches of several spaces, a set or a cell that the table does not list.
pub fn run(options: &RegretOptions, out: &mut dyn Write) -> Result<()> {
    let searches: Vec<Search> = options.runs.iter().map(|path| read(path)).collect::<Result<_>>()?;
    let first = searches.first().ok_or_else(|| Error::usage("which searches? name their run folders"))?;
    for search in &searches {
        search.genotype.require_space(first.genotype.space, &search.origin)?;
        let is_alike = |other: &&Search| (&other.method, other.seed) == (&search.method, search.seed);
        if let Some(other) = searches.iter().filter(is_alike).nth(1) {
            let found = format!("{} and {}", search.origin, other.origin);
            return Err(Error::invalid(
                "RUN",
                format!("one search by {} with seed {}", search.method, search.seed),
                found,
            ));
        }
    }
    let training = training_seconds(options)?;
    let benchmark = cell_estimate::open(first.genotype.space, &options.table, None)?;
    if benchmark.cells() == 0 {
        return Err(Error::usage(format!("{}: a surrogate lists no cells", options.table.display()))
            .with_hint("regret is against the best of a table: nas-bench-201 and nas-bench-graph have one"));
    }
    let truth = Truth::read(&*benchmark, options)?;
    let mut methods: BTreeMap<&str, Vec<&Search>> = BTreeMap::new();
    searches.iter().for_each(|search| methods.entry(&search.method).or_default().push(search));
    let lines: Vec<Line> = methods
        .into_iter()
        .map(|(method, searches)| truth.line(method, &searches, training, &*benchmark))
        .collect::<Result<_>>()?;
    let text = if options.json {
        let Truth { set, test, .. } = &truth;
        let table = json!({"path": options.table, "set": set, "cells": test.len(), "best_test": truth.best()});
        format!("{:#}\n", json!({"table": table, "training_seconds": training, "methods": lines}))
    } else {
        truth.as_text(&lines, training)
    };
    print(out, &text)
}

fn read(path: &Path) -> Result<Search> {
    let folder = RunFolder::begun(path, "search")?;
    let origin = path.display().to_string();
    if !folder.is_finished() {
        return Err(Error::usage(format!("{origin}: this search is not finished"))
            .with_hint(format!("sgas search --out {} --resume", folder.typed())));
    }
    let run: SearchRun = config::read(&folder.config())?;
    let seconds = seconds(path)?;
    let genotype = Genotype::load(folder.genotype())?;
    let scored = scored(path)?;
    Ok(Search { method: run.method(), seed: run.seed, seconds, genotype, scored, origin })
}

/// The candidates of a search that were scored by equal means: by shared weights, or after its shortest training.
fn scored(path: &Path) -> Result<Vec<(Genotype, f64)>> {
    let candidate = |event| if let Event::Candidate(report) = event { Some(report) } else { None };
    let candidates: Vec<_> = log::readable_events(path)?.into_iter().filter_map(candidate).collect();
    let shortest = candidates.iter().map(|report| report.trained).min();
    let alike = candidates.into_iter().filter(|report| Some(report.trained) == shortest);
    Ok(alike.map(|report| (report.genotype, report.score)).collect())
}

/// The wall time of a run's epochs, whichever processes ran them; 0 of one that trained nothing.
fn seconds(path: &Path) -> Result<f64> {
    let epochs = log::readable_events(path)?.into_iter();
    Ok(epochs.map(|event| if let Event::Epoch(report) = event { report.seconds } else { 0.0 }).sum())
}

/// The mean wall time of the named trainings.
fn training_seconds(options: &RegretOptions) -> Result<Option<f64>> {
    let of = |path: &PathBuf| {
        if RunFolder::begun(path, "train")?.is_finished() {
            return seconds(path);
        }
        Err(Error::usage(format!("{}: this training is not finished", path.display())))
    };
    let all: Vec<f64> = options.training.iter().map(of).collect::<Result<_>>()?;
    Ok((!all.is_empty()).then(|| Summary::of(&all).mean))
}

impl Truth {
    fn read(benchmark: &dyn Benchmark, options: &RegretOptions) -> Result<Self> {
        let mut columns: BTreeMap<(String, Quantity), Vec<f64>> = BTreeMap::new();
        for cell in (0..benchmark.cells()).filter_map(|row| benchmark.cell(row)) {
            for score in benchmark.scores(&cell)? {
                columns.entry((score.set, score.quantity)).or_default().push(100.0 * score.value);
            }
        }
        let sets: Vec<String> =
            columns.keys().filter(|(_, of)| *of == Quantity::TestAccuracy).map(|(set, _)| set.clone()).collect();
        let expected = || format!("one of {}", sets.join(", "));
        let set = match (&options.on, &*sets) {
            (Some(set), _) if sets.contains(set) => set.clone(),
            (Some(set), _) => return Err(Error::invalid("--on", expected(), set.as_str())),
            (None, [only]) => only.clone(),
            (None, _) => return Err(Error::invalid("--on", expected(), "nothing")),
        };
        let mut column = |set: &str, quantity| {
            columns.remove(&(set.to_owned(), quantity)).ok_or_else(|| {
                let place = options.table.display().to_string();
                Error::invalid(place, format!("{} accuracies of {set}", quantity.name()), "none")
                    .with_hint("--chosen-by names the set by whose validation random search chooses")
            })
        };
        let test = column(&set, Quantity::TestAccuracy)?;
        let chosen_by = options.chosen_by.as_deref().unwrap_or(&set);
        let validation =
            if options.training.is_empty() { Vec::new() } else { column(chosen_by, Quantity::ValidationAccuracy)? };
        let chosen_by = chosen_by.to_owned();
        Ok(Self { set, chosen_by, validation, test })
    }

    fn best(&self) -> f64 {
        self.test.iter().copied().fold(f64::MIN, f64::max)
    }

    /// The row of the best validation of so many rows drawn by the seed.
    fn random_choice(&self, trainings: usize, seed: u64) -> usize {
        let mut random = Key::new(seed, Purpose::Strategy).generator();
        let rows = index::sample(&mut random, self.validation.len(), trainings.min(self.validation.len()));
        // The first of equals.
        let better = |best: usize, row: usize| if self.validation[row] > self.validation[best] { row } else { best };
        rows.into_iter().reduce(better).expect("at least one training")
    }

    fn line(
        &self,
        method: &str,
        searches: &[&Search],
        training: Option<f64>,
        benchmark: &dyn Benchmark,
    ) -> Result<Line> {
        let test = |search: &&Search| -> Result<f64> {
            let scores = benchmark
                .scores(&search.genotype)
                .map_err(|error| error.placed(|place| place.replacen("the cell", &search.origin, 1)))?;
            let is_test = |score: &Score| score.set == self.set && score.quantity == Quantity::TestAccuracy;
            let found = scores.into_iter().find(is_test);
            Ok(100.0 * found.expect("the table has this column").value)
        };
        let seconds = Summary::of(&searches.iter().map(|search| search.seconds).collect::<Vec<_>>());
        let trainings = training.map(|training| ((seconds.mean / training) as usize).max(1));
        // Random search has chosen before a test score is looked at.
        let chosen: Option<Vec<usize>> = trainings
            .map(|trainings| searches.iter().map(|search| self.random_choice(trainings, search.seed)).collect());
        let tests: Vec<f64> = searches.iter().map(test).collect::<Result<_>>()?;
        let best = self.best();
        let regrets: Vec<f64> = tests.iter().map(|test| best - test).collect();
        let random = trainings.zip(chosen).map(|(trainings, chosen)| {
            let of_random: Vec<f64> = chosen.iter().map(|row| best - self.test[*row]).collect();
            let differences: Vec<f64> = regrets.iter().zip(&of_random).map(|(own, other)| own - other).collect();
            let many = (0..EXPECTED_OVER).map(|seed| best - self.test[self.random_choice(trainings, seed)]);
            let difference = Summary::of(&differences);
            Random {
                trainings,
                regret: Summary::of(&of_random),
                expected_regret: many.sum::<f64>() / EXPECTED_OVER as f64,
                difference,
                difference_excludes_zero: difference.excludes_zero(),
            }
        });
        let rank = |own: &f64| 1 + self.test.iter().filter(|other| *other > own).count();
        Ok(Line {
            method: method.to_owned(),
            seeds: searches.iter().map(|search| search.seed).collect(),
            test: Summary::of(&tests),
            regret: Summary::of(&regrets),
            ranks: tests.iter().map(rank).collect(),
            regrets,
            seconds,
            random,
            tau: self.tau(searches, benchmark)?,
        })
    }

    /// How far the searches' scores order cells as the table does; none where searches scored fewer than two.
    fn tau(&self, searches: &[&Search], benchmark: &dyn Benchmark) -> Result<Option<Tau>> {
        let cells = searches.iter().map(|search| search.scored.len()).min().unwrap_or_default();
        if cells < 2 {
            return Ok(None);
        }
        let mut taus: [Vec<f64>; 3] = Default::default();
        for search in searches {
            let known = search.scored.iter().map(|(genotype, _)| benchmark.scores(genotype));
            let known = known.collect::<Result<Vec<_>>>()?;
            let column = |set: &str, quantity: Quantity| -> Option<Vec<f64>> {
                let of = |scores: &Vec<Score>| {
                    scores.iter().find(|score| score.set == set && score.quantity == quantity).map(|score| score.value)
                };
                known.iter().map(of).collect()
            };
            let validation = column(&self.chosen_by, Quantity::ValidationAccuracy);
            let (Some(validation), Some(test)) = (validation, column(&self.set, Quantity::TestAccuracy)) else {
                return Ok(None);
            };
            let own: Vec<f64> = search.scored.iter().map(|(_, score)| *score).collect();
            let values = [kendall_tau(&own, &validation), kendall_tau(&own, &test), kendall_tau(&validation, &test)];
            // Equal scores of all cells have no order.
            if values.iter().all(|value| value.is_finite()) {
                taus.iter_mut().zip(values).for_each(|(taus, value)| taus.push(value));
            }
        }
        if taus[0].is_empty() {
            return Ok(None);
        }
        let [validation, test, of_table] = taus.map(|values| Summary::of(&values));
        Ok(Some(Tau { cells, validation, test, of_table }))
    }

    fn as_text(&self, lines: &[Line], training: Option<f64>) -> String {
        let (set, cells, best) = (&self.set, self.test.len(), self.best());
        let mut text = format!("{set}: {cells} cells, the best {best:.2} % on test\n\n");
        text += &format!(
            "{:<28} {:>3}  {:<16} {:<16} {:>11}  {:>9}\n",
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
        if let Some(training) = training {
            text += &format!("\nrandom search at the same cost (a training takes {training:.1} s)\n");
            for Line { method, random, .. } in lines {
                let Some(Random { trainings, regret, expected_regret, difference, .. }) = random else { continue };
                let interval = match difference.interval {
                    Some(half) if difference.excludes_zero() => format!("95 % interval ± {half:.2}, without 0"),
                    Some(half) => format!("95 % interval ± {half:.2}, which holds 0"),
                    None => "one seed has no interval".to_owned(),
                };
                text += &format!(
                    "{method:<28} {trainings} trainings: regret {}, {expected_regret:.2} expected; difference {:+.2}, {interval}\n",
                    with_spread(regret),
                    difference.mean
                );
            }
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
}

fn with_spread(summary: &Summary) -> String {
    let deviation = summary.deviation.map_or(String::new(), |deviation| format!(" ± {deviation:.2}"));
    format!("{:.2}{deviation}", summary.mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::SpaceName;

    /// Cells of one primitive on all edges, and what they score: validation and test.
    const CELLS: [(&str, f64, f64); 4] = [
        ("skip_connect", 0.5, 0.7),
        ("nor_conv_1x1", 0.6, 0.8),
        ("nor_conv_3x3", 0.9, 0.75),
        ("avg_pool_3x3", 0.4, 0.9),
    ];

    struct Table;

    fn cell(primitive: &str) -> Genotype {
        let text = format!("|{primitive}~0|+|{primitive}~0|{primitive}~1|+|{primitive}~0|{primitive}~1|{primitive}~2|");
        Genotype::from_text(&text, "a cell", None).unwrap()
    }

    impl Benchmark for Table {
        fn space(&self) -> SpaceName {
            SpaceName::NAS_BENCH_201
        }

        fn scores(&self, genotype: &Genotype) -> Result<Vec<Score>> {
            let (_, validation, test) = CELLS.into_iter().find(|(name, ..)| cell(name) == *genotype).unwrap();
            let score = |quantity, value| Score { set: "a".to_owned(), quantity, value };
            Ok(vec![score(Quantity::ValidationAccuracy, validation), score(Quantity::TestAccuracy, test)])
        }

        fn cells(&self) -> usize {
            CELLS.len()
        }

        fn cell(&self, row: usize) -> Option<Genotype> {
            CELLS.get(row).map(|(name, ..)| cell(name))
        }
    }

    fn search(seed: u64, primitive: &str) -> Search {
        let (origin, method, genotype) = ("a".to_owned(), "sgas".to_owned(), cell(primitive));
        Search { origin, method, seed, seconds: 10.0, genotype, scored: Vec::new() }
    }

    #[test]
    fn scores_are_held_against_both_columns_of_the_table() {
        let truth = Truth::read(&Table, &RegretOptions::default()).unwrap();
        let mut scored = search(1, "nor_conv_1x1");
        scored.scored = CELLS.iter().zip([1.0, 2.0, 3.0, 0.0]).map(|((name, ..), score)| (cell(name), score)).collect();
        let line = truth.line("sgas", &[&scored], None, &Table).unwrap();
        let tau = line.tau.as_ref().unwrap();
        // The scores order the cells as validation does; on test two of six pairs stand so.
        assert_eq!((tau.cells, tau.validation.mean), (4, 1.0));
        assert!((tau.test.mean + 1.0 / 3.0).abs() < 1e-12, "{}", tau.test.mean);
        assert_eq!(tau.of_table.mean, tau.test.mean);
        assert!(truth.as_text(&[line], None).contains("4 cells: validation 1.00, test -0.33"));
    }

    #[test]
    fn regret_is_against_the_best_and_against_what_random_search_chooses() {
        let options = RegretOptions { training: vec!["trained".into()], ..RegretOptions::default() };
        let truth = Truth::read(&Table, &options).unwrap();
        let searches = [search(1, "nor_conv_1x1"), search(2, "avg_pool_3x3")];
        let line = truth.line("sgas", &searches.iter().collect::<Vec<_>>(), Some(2.5), &Table).unwrap();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
        close(line.test.mean, 85.0);
        close(line.regret.mean, 5.0);
        assert_eq!(line.ranks, [2, 1]);
        let random = line.random.unwrap();
        // Four trainings are the whole table, whose best validation has 75 % on test.
        assert_eq!(random.trainings, 4);
        close(random.regret.mean, 15.0);
        close(random.expected_regret, 15.0);
        close(random.difference.mean, -10.0);
        // One training is a cell of chance: the mean regret of the four.
        let line = truth.line("sgas", &searches.iter().collect::<Vec<_>>(), Some(1000.0), &Table).unwrap();
        let random = line.random.unwrap();
        assert_eq!(random.trainings, 1);
        assert!((random.expected_regret - 11.25).abs() < 0.6, "{}", random.expected_regret);
        let text = truth.as_text(&[truth.line("sgas", &[&searches[0]], Some(2.5), &Table).unwrap()], Some(2.5));
        assert!(text.contains("the best 90.00 % on test") && text.contains("one seed has no interval"), "{text}");
    }

    #[test]
    fn a_set_that_is_not_there_is_told() {
        let on = |set: &str| RegretOptions { on: Some(set.to_owned()), ..RegretOptions::default() };
        let error = Truth::read(&Table, &on("b")).err().unwrap();
        assert_eq!(error.to_string(), "--on: expected one of a, found b");
        let options = RegretOptions { chosen_by: Some("b".to_owned()), training: vec!["t".into()], ..on("a") };
        let error = Truth::read(&Table, &options).err().unwrap();
        assert!(error.to_string().ends_with("expected validation accuracies of b, found none"), "{error}");
    }
}

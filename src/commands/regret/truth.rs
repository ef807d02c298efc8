//! What searches found, held against a table: regret, rank, random search at the same cost, and Kendall's tau.

use super::Search;
use crate::benchmark::{Benchmark, Quantity, Score};
use crate::commands::RegretOptions;
use crate::error::{Error, Result};
use crate::genotype::Genotype;
use crate::statistics::{Summary, kendall_tau};
use crate::tensor::random::{Key, Purpose};
use rand::seq::index;
use serde::Serialize;
use std::collections::BTreeMap;

/// Random searches of each cost that its expected regret is the mean of.
const EXPECTED_OVER: u64 = 2000;

/// The scores of all cells of a table on one set, in per cent.
pub(super) struct Truth {
    pub set: String,
    /// The set by whose validation cells are chosen.
    chosen_by: String,
    /// Where nothing chooses by it, none.
    validation: Vec<f64>,
    pub test: Vec<f64>,
}

/// What is said of one method.
#[derive(Serialize)]
pub(super) struct Line {
    pub method: String,
    pub seeds: Vec<u64>,
    /// Test accuracy of what was found, in per cent.
    pub test: Summary,
    /// The best test accuracy of the table less that, in points.
    pub regret: Summary,
    /// Cells of the table with a better test accuracy, and one, for each seed.
    pub ranks: Vec<usize>,
    pub regrets: Vec<f64>,
    /// Wall time of a search's epochs in seconds.
    pub seconds: Summary,
    pub random: Option<Random>,
    pub tau: Option<Tau>,
}

/// How far a search's scores of cells order them as the table does: Kendall's tau_b, a search a value.
#[derive(Serialize)]
pub(super) struct Tau {
    /// Cells that each search scored.
    pub cells: usize,
    /// Against the table's validation accuracies.
    pub validation: Summary,
    /// Against its test accuracies.
    pub test: Summary,
    /// Of the table's validation accuracies of the same cells against its test accuracies.
    pub of_table: Summary,
}

/// Random search at the cost of a method.
#[derive(Serialize)]
pub(super) struct Random {
    /// Trainings that fit into the time of a search, at least one.
    pub trainings: usize,
    /// Of the seeds of the searches.
    pub regret: Summary,
    /// Mean over many seeds.
    pub expected_regret: f64,
    /// Regret of the search less that of random search with the same seed, in points.
    pub difference: Summary,
    pub difference_excludes_zero: bool,
    /// Regret of the search less the expected one of random search.
    pub to_expected: Summary,
}

impl Truth {
    /// All columns that are asked for.
    ///
    /// # Errors
    /// A set that the table does not have.
    pub(super) fn read(benchmark: &dyn Benchmark, options: &RegretOptions) -> Result<Self> {
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
        let validation = if options.training.is_empty() && options.simulate.is_empty() {
            Vec::new()
        } else {
            column(chosen_by, Quantity::ValidationAccuracy)?
        };
        let chosen_by = chosen_by.to_owned();
        Ok(Self { set, chosen_by, validation, test })
    }

    /// The best test accuracy.
    pub(super) fn best(&self) -> f64 {
        self.test.iter().copied().fold(f64::MIN, f64::max)
    }

    /// A cell's validation accuracy in per cent.
    ///
    /// # Errors
    /// A cell that the table does not know, with `origin` in its place.
    pub(super) fn validation_of(&self, cell: &Genotype, origin: &str, benchmark: &dyn Benchmark) -> Result<f64> {
        self.look_up(cell, origin, benchmark, &self.chosen_by, Quantity::ValidationAccuracy)
    }

    /// A cell's test accuracy in per cent.
    ///
    /// # Errors
    /// A cell that the table does not know, with `origin` in its place.
    pub(super) fn test_of(&self, cell: &Genotype, origin: &str, benchmark: &dyn Benchmark) -> Result<f64> {
        self.look_up(cell, origin, benchmark, &self.set, Quantity::TestAccuracy)
    }

    fn look_up(
        &self,
        cell: &Genotype,
        origin: &str,
        benchmark: &dyn Benchmark,
        set: &str,
        quantity: Quantity,
    ) -> Result<f64> {
        let scores =
            benchmark.scores(cell).map_err(|error| error.placed(|place| place.replacen("the cell", origin, 1)))?;
        let found = scores.into_iter().find(|score| score.set == set && score.quantity == quantity);
        Ok(100.0 * found.expect("the table has this column").value)
    }

    /// The row of the best validation of so many rows drawn by the seed.
    pub(super) fn random_choice(&self, trainings: usize, seed: u64) -> usize {
        let mut random = Key::new(seed, Purpose::Strategy).generator();
        let rows = index::sample(&mut random, self.validation.len(), trainings.min(self.validation.len()));
        // The first of equals.
        let better = |best: usize, row: usize| if self.validation[row] > self.validation[best] { row } else { best };
        rows.into_iter().reduce(better).expect("at least one training")
    }

    /// What is said of a method.
    ///
    /// # Errors
    /// A cell that the table does not know.
    pub(super) fn line(
        &self,
        method: &str,
        searches: &[Search],
        training: Option<f64>,
        benchmark: &dyn Benchmark,
    ) -> Result<Line> {
        let seconds = Summary::of(&searches.iter().map(|search| search.seconds).collect::<Vec<_>>());
        let trainings = training.map(|training| ((seconds.mean / training) as usize).max(1));
        // Random search has chosen before a test score is looked at.
        let chosen: Option<Vec<usize>> = trainings
            .map(|trainings| searches.iter().map(|search| self.random_choice(trainings, search.seed)).collect());
        let tests: Vec<f64> = searches
            .iter()
            .map(|search| self.test_of(&search.genotype, &search.origin, benchmark))
            .collect::<Result<_>>()?;
        let best = self.best();
        let regrets: Vec<f64> = tests.iter().map(|test| best - test).collect();
        let random = trainings.zip(chosen).map(|(trainings, chosen)| {
            let of_random: Vec<f64> = chosen.iter().map(|row| best - self.test[*row]).collect();
            let differences: Vec<f64> = regrets.iter().zip(&of_random).map(|(own, other)| own - other).collect();
            let many = (0..EXPECTED_OVER).map(|seed| best - self.test[self.random_choice(trainings, seed)]);
            let expected_regret = many.sum::<f64>() / EXPECTED_OVER as f64;
            let beyond: Vec<f64> = regrets.iter().map(|own| own - expected_regret).collect();
            let difference = Summary::of(&differences);
            Random {
                trainings,
                regret: Summary::of(&of_random),
                expected_regret,
                difference,
                difference_excludes_zero: difference.excludes_zero(),
                to_expected: Summary::of(&beyond),
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
    fn tau(&self, searches: &[Search], benchmark: &dyn Benchmark) -> Result<Option<Tau>> {
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
}

#[cfg(test)]
pub(super) mod table {
    //! A table of four cells.

    use super::*;
    use crate::genotype::SpaceName;

    /// Cells of one primitive on all edges, and what they score: validation and test.
    pub const CELLS: [(&str, f64, f64); 4] = [
        ("skip_connect", 0.5, 0.7),
        ("nor_conv_1x1", 0.6, 0.8),
        ("nor_conv_3x3", 0.9, 0.75),
        ("avg_pool_3x3", 0.4, 0.9),
    ];

    pub struct Table;

    pub fn cell(primitive: &str) -> Genotype {
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

    /// A search of 10 seconds.
    pub fn search(seed: u64, primitive: &str) -> Search {
        let (origin, method, genotype) = ("a".to_owned(), "sgas".to_owned(), cell(primitive));
        Search { origin, method, seed, seconds: 10.0, genotype, scored: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::table::{CELLS, Table, cell, search};
    use super::*;
    use crate::commands::regret::as_text;

    #[test]
    fn scores_are_held_against_both_columns_of_the_table() {
        let truth = Truth::read(&Table, &RegretOptions::default()).unwrap();
        let mut scored = search(1, "nor_conv_1x1");
        scored.scored = CELLS.iter().zip([1.0, 2.0, 3.0, 0.0]).map(|((name, ..), score)| (cell(name), score)).collect();
        let line = truth.line("sgas", &[scored], None, &Table).unwrap();
        let tau = line.tau.as_ref().unwrap();
        // The scores order the cells as validation does; on test two of six pairs stand so.
        assert_eq!((tau.cells, tau.validation.mean), (4, 1.0));
        assert!((tau.test.mean + 1.0 / 3.0).abs() < 1e-12, "{}", tau.test.mean);
        assert_eq!(tau.of_table.mean, tau.test.mean);
        assert!(as_text(&truth, &[line], None, &[]).contains("4 cells: validation 1.00, test -0.33"));
    }

    #[test]
    fn regret_is_against_the_best_and_against_what_random_search_chooses() {
        let options = RegretOptions { training: vec!["trained".into()], ..RegretOptions::default() };
        let truth = Truth::read(&Table, &options).unwrap();
        let searches = [search(1, "nor_conv_1x1"), search(2, "avg_pool_3x3")];
        let line = truth.line("sgas", &searches, Some(2.5), &Table).unwrap();
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
        let line = truth.line("sgas", &searches, Some(1000.0), &Table).unwrap();
        let random = line.random.unwrap();
        assert_eq!(random.trainings, 1);
        assert!((random.expected_regret - 11.25).abs() < 0.6, "{}", random.expected_regret);
        let text = as_text(&truth, &[truth.line("sgas", &searches[..1], Some(2.5), &Table).unwrap()], Some(2.5), &[]);
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

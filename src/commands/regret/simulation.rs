//! Searches of a table itself: a strategy that trains cells alone looks their scores up in place of training, so that it
//! can be tried for many seeds at no cost.

use super::truth::Truth;
use crate::benchmark::Benchmark;
use crate::commands::options::Simulation;
use crate::error::{Error, Result};
use crate::genotype::Genotype;
use crate::search::candidates::{Cells, Predictor, genotype};
use crate::search::strategy::StrategyName;
use crate::statistics::Summary;
use serde::Serialize;

/// What many such searches found.
#[derive(Serialize)]
pub(super) struct Simulated {
    pub strategy: &'static str,
    pub trainings: usize,
    /// Test accuracy of what was found, in per cent; the seeds are 1 and on.
    pub test: Summary,
    /// The best test accuracy of the table less that, in points.
    pub regret: Summary,
    pub regrets: Vec<f64>,
    /// Regret of random search with as many trainings and the same seeds.
    pub random: Summary,
    /// Regret less that of random search with the same seed.
    pub difference: Summary,
    pub difference_excludes_zero: bool,
}

impl Simulated {
    /// Searches with so many seeds. All have chosen before a test score is looked at.
    ///
    /// # Errors
    /// What proposing cells reports.
    pub(super) fn of(asked: &Simulation, seeds: u64, truth: &Truth, benchmark: &dyn Benchmark) -> Result<Self> {
        let Simulation { strategy, trainings } = *asked;
        let random: Vec<usize> = (1..=seeds).map(|seed| truth.random_choice(trainings, seed)).collect();
        let found: Option<Vec<Genotype>> = match strategy == StrategyName::PREDICTOR {
            true => Some((1..=seeds).map(|seed| predicted(trainings, seed, truth, benchmark)).collect::<Result<_>>()?),
            false => None,
        };
        let best = truth.best();
        let of_random: Vec<f64> = random.iter().map(|row| best - truth.test[*row]).collect();
        let regrets = match found {
            Some(cells) => {
                let regret = |cell: &Genotype| Ok(best - truth.test_of(cell, "the found cell", benchmark)?);
                cells.iter().map(regret).collect::<Result<_>>()?
            }
            None => of_random.clone(),
        };
        let differences: Vec<f64> = regrets.iter().zip(&of_random).map(|(own, other)| own - other).collect();
        let difference = Summary::of(&differences);
        Ok(Self {
            strategy: strategy.name(),
            trainings,
            test: Summary::of(&regrets.iter().map(|regret| best - regret).collect::<Vec<_>>()),
            regret: Summary::of(&regrets),
            regrets,
            random: Summary::of(&of_random),
            difference,
            difference_excludes_zero: difference.excludes_zero(),
        })
    }
}

/// The cell that the strategy `predictor` finds. A cell that the table does not know counts as the worst.
fn predicted(trainings: usize, seed: u64, truth: &Truth, benchmark: &dyn Benchmark) -> Result<Genotype> {
    let predictor = Predictor { space: benchmark.space(), seed, limits: None };
    let of = |cells: &Cells| genotype(benchmark.space(), cells);
    let score = |cells: &Cells| truth.validation_of(&of(cells), "", benchmark).unwrap_or(f64::MIN);
    let mut cells = predictor.first(trainings)?;
    let mut scores: Vec<f64> = cells.iter().map(score).collect();
    loop {
        let mut order: Vec<usize> = (0..cells.len()).collect();
        // Stable: the first of equals.
        order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
        let best = order.first().ok_or_else(|| Error::run("no cell was proposed"))?;
        if cells.len() >= trainings {
            return Ok(of(&cells[*best]));
        }
        let next = predictor.next(&cells, &order)?;
        scores.push(score(&next));
        cells.push(next);
    }
}

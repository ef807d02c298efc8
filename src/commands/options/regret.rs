//! What `sgas regret` takes.

use crate::genotype::SpaceName;
use crate::search::StrategyName;
use clap::{ArgAction, Args};
use std::path::PathBuf;
use std::str::FromStr;

/// What `sgas regret` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Example:
  for seed in 1 2 3; do
    sgas search --task graphs --space nas-bench-graph --data cora --seed $seed --out found/$seed
  done
  sgas regret found/* --table nas-bench-graph.csv --on cora --training trained
  sgas regret --space nas-bench-graph --table nas-bench-graph.csv --on cora \\
    --simulate predictor=10 --simulate random=100

Random search chooses the best of as many cells by the table's validation as
trainings fit into the time of a search.")]
pub struct RegretOptions {
    /// Run folders of finished searches in one space
    #[arg(value_name = "RUN", required_unless_present = "simulate")]
    pub runs: Vec<PathBuf>,
    /// The published table
    #[arg(long, value_name = "FILE")]
    pub table: PathBuf,
    /// The data set of the table, where it has several
    #[arg(long, value_name = "SET")]
    pub on: Option<String>,
    /// The set of the table by whose validation random search chooses [default: the same]
    #[arg(long, value_name = "SET")]
    pub chosen_by: Option<String>,
    /// A finished training of one cell of the space, whose time says what random search may train; may be repeated
    #[arg(long, value_name = "RUN", action = ArgAction::Append)]
    pub training: Vec<PathBuf>,
    /// Choose one of every K searches, in the order of seeds, by the table's validation; K trainings are counted
    #[arg(long, value_name = "K")]
    pub best_of: Option<usize>,
    /// Try a strategy on the table itself: 'predictor=10' trains 10 cells by looking their validation up; may be repeated
    #[arg(long, value_name = "STRATEGY=TRAININGS", action = ArgAction::Append)]
    pub simulate: Vec<Simulation>,
    /// Seeds of --simulate: 1 to N
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub seeds: u64,
    /// The space of the table's cells, where no search is named
    #[arg(long, value_name = "SPACE")]
    pub space: Option<SpaceName>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What `--simulate` asks for: `predictor=10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simulation {
    /// `random` or `predictor`.
    pub strategy: StrategyName,
    /// Cells that are looked up.
    pub trainings: usize,
}

impl FromStr for Simulation {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let expected = "expected random or predictor with a number of trainings: predictor=10";
        let (name, trainings) = text.split_once('=').ok_or(expected)?;
        let strategy = [StrategyName::RANDOM, StrategyName::PREDICTOR].into_iter().find(|known| known.name() == name);
        let trainings = trainings.parse().ok().filter(|count| (1..=1000).contains(count));
        match (strategy, trainings) {
            (Some(strategy), Some(trainings)) => Ok(Self { strategy, trainings }),
            (None, _) => Err(format!("{expected}; {name} trains no cells alone, or not equally long")),
            (_, None) => Err(format!("{expected}, from 1 to 1000")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_is_a_strategy_and_a_number() {
        let asked: Simulation = "predictor=10".parse().unwrap();
        assert_eq!((asked.strategy, asked.trainings), (StrategyName::PREDICTOR, 10));
        for (typed, words) in [
            ("predictor", "expected random or predictor with a number"),
            ("sgas=10", "sgas trains no cells alone"),
            ("random=0", "from 1 to 1000"),
            ("random=many", "from 1 to 1000"),
        ] {
            let error = typed.parse::<Simulation>().unwrap_err();
            assert!(error.contains(words), "{typed}: {error}");
        }
    }
}

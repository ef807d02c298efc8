//! The table of NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326): what each of its 15,625 cells scores after 200 and
//! after 12 epochs, as a CSV of one row per cell in any order, accuracies in per cent.

use super::{Benchmark, Quantity, Score};
use crate::error::{Error, Result};
use crate::genotype::{Genotype, SpaceName};
use crate::reading;
use std::collections::HashMap;
use std::path::Path;

/// Five primitives on each of six edges.
pub const CELLS: usize = 15_625;

/// The column of the cells.
const CELL: &str = "cell";

/// A column of the file, and what it is. Names of sets say the epochs where they are not the full 200.
const COLUMNS: [(&str, &str, Quantity); 9] = [
    ("cifar10_test_200", "cifar10", Quantity::TestAccuracy),
    ("cifar100_test_200", "cifar100", Quantity::TestAccuracy),
    ("imagenet16_test_200", "imagenet16-120", Quantity::TestAccuracy),
    ("cifar10_test_12", "cifar10-12-epochs", Quantity::TestAccuracy),
    ("cifar10_val_12", "cifar10-12-epochs", Quantity::ValidationAccuracy),
    ("cifar100_test_12", "cifar100-12-epochs", Quantity::TestAccuracy),
    ("cifar100_val_12", "cifar100-12-epochs", Quantity::ValidationAccuracy),
    ("imagenet_test_12", "imagenet16-120-12-epochs", Quantity::TestAccuracy),
    ("imagenet_val_12", "imagenet16-120-12-epochs", Quantity::ValidationAccuracy),
];

/// The whole table.
#[derive(Debug)]
pub struct NasBench201 {
    origin: String,
    /// The cells and their accuracies from 0 to 1, in the order of the file.
    rows: Vec<(String, [f64; COLUMNS.len()])>,
    /// The row of a cell.
    places: HashMap<String, usize>,
}

impl NasBench201 {
    /// Reads the whole table.
    ///
    /// # Errors
    /// A file that can't be read or is no such table: another heading, a cell that is none or stands twice, an accuracy
    /// that is none, another number of rows; each with its line.
    pub fn open(path: &Path) -> Result<Self> {
        Self::parse(&reading::text(path, reading::BENCHMARK)?, &path.display().to_string(), CELLS)
    }

    /// The same of a text that errors call `origin`, with so many cells.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn parse(text: &str, origin: &str, expected: usize) -> Result<Self> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let broken = |error: csv::Error| Error::invalid(origin, "a table of comma-separated values", error.to_string());
        let headings: Vec<String> = reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
        let column = |wanted: &str| {
            headings.iter().position(|heading| heading == wanted).ok_or_else(|| {
                let expected = format!("the table of NAS-Bench-201, with a column {wanted}");
                let found: String = headings.join(",").chars().take(80).collect();
                Error::invalid(format!("{origin}: line 1"), expected, format!("'{found}'"))
                    .with_hint("is this the file that is meant? its rows are cells of the nas-bench-201 space")
            })
        };
        let cell = column(CELL)?;
        let columns = COLUMNS.iter().map(|(name, ..)| column(name)).collect::<Result<Vec<usize>>>()?;
        let (mut rows, mut places) = (Vec::with_capacity(expected), HashMap::with_capacity(expected));
        for record in reader.records() {
            let record = record.map_err(broken)?;
            let line = record.position().map_or(0, csv::Position::line);
            let place = format!("{origin}: line {line}");
            let genotype = Genotype::from_text(&record[cell], &place, None)?;
            genotype.require_space(SpaceName::NAS_BENCH_201, &place)?;
            let name = genotype.arch_string().expect("cells of the space have one");
            let mut accuracies = [0.0; COLUMNS.len()];
            for ((accuracy, column), (heading, ..)) in accuracies.iter_mut().zip(&columns).zip(COLUMNS) {
                *accuracy = accuracy_of(&record[*column], &format!("{place}: {heading}"))?;
            }
            if places.insert(name.clone(), rows.len()).is_some() {
                return Err(Error::invalid(place, "every cell once", format!("{name} again")));
            }
            rows.push((name, accuracies));
        }
        if rows.len() != expected {
            let found = format!("{} rows", rows.len());
            return Err(Error::invalid(origin, format!("all {expected} cells of NAS-Bench-201"), found)
                .with_hint("was the file cut off? copy or download it again"));
        }
        Ok(Self { origin: origin.to_owned(), rows, places })
    }
}

/// Per cent in the file, from 0 to 1 here.
fn accuracy_of(text: &str, place: &str) -> Result<f64> {
    let accuracy = text.trim().parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
    accuracy
        .map(|percent| percent / 100.0)
        .ok_or_else(|| Error::invalid(place, "an accuracy from 0 to 100 per cent", format!("'{text}'")))
}

impl Benchmark for NasBench201 {
    fn space(&self) -> SpaceName {
        SpaceName::NAS_BENCH_201
    }

    fn scores(&self, genotype: &Genotype) -> Result<Vec<Score>> {
        genotype.require_space(self.space(), "the cell")?;
        let cell = genotype.arch_string().expect("cells of the space have one");
        let row = self.places.get(&cell).ok_or_else(|| {
            Error::invalid("the cell", format!("one that {} lists", self.origin), format!("'{cell}'"))
        })?;
        let scores = COLUMNS.iter().zip(self.rows[*row].1);
        Ok(scores
            .map(|((_, set, quantity), value)| Score { set: (*set).to_owned(), quantity: *quantity, value })
            .collect())
    }

    fn cells(&self) -> usize {
        self.rows.len()
    }

    fn cell(&self, row: usize) -> Option<Genotype> {
        let (cell, _) = self.rows.get(row)?;
        Some(Genotype::from_text(cell, &self.origin, None).expect("cells were read like this"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str = "cell,cifar10_test_200,cifar100_test_200,imagenet16_test_200,cifar10_test_12,cifar10_val_12,\
                           cifar100_test_12,cifar100_val_12,imagenet_test_12,imagenet_val_12";
    const CELL: &str = "|none~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|nor_conv_3x3~1|avg_pool_3x3~2|";
    const VALUES: &str = "10,20.5,30,40,50,60,70,80,100";

    fn read(text: &str, rows: usize) -> Result<NasBench201> {
        NasBench201::parse(text, "table.csv", rows)
    }

    #[test]
    fn a_row_is_found_by_its_cell_and_the_other_way_round() {
        let other = CELL.replace("none~0|skip", "avg_pool_3x3~0|skip");
        let table = read(&format!("{HEADING}\n{CELL},{VALUES}\n{other},1,2,3,4,5,6,7,8,9\n"), 2).unwrap();
        let scores = table.scores(&table.cell(0).unwrap()).unwrap();
        assert_eq!(scores[1], Score { set: "cifar100".to_owned(), quantity: Quantity::TestAccuracy, value: 0.205 });
        assert_eq!((scores.len(), table.cells(), table.cell(2)), (9, 2, None));
        let absent = Genotype::from_text(&other.replace("none", "nor_conv_1x1"), "cell", None).unwrap();
        assert!(table.scores(&absent).unwrap_err().to_string().contains("one that table.csv lists"));
    }

    #[test]
    fn what_is_no_such_table_is_told_with_its_line() {
        let row = format!("{CELL},{VALUES}");
        for (text, rows, words) in [
            (
                format!("cell,accuracy\n{row}"),
                1,
                "table.csv: line 1: expected the table of NAS-Bench-201, with a column cifar10_test_200",
            ),
            (format!("{HEADING}\n{row}\n{row}"), 2, "table.csv: line 3: expected every cell once"),
            (format!("{HEADING}\n{row}"), 2, "table.csv: expected all 2 cells of NAS-Bench-201, found 1 rows"),
            (
                format!("{HEADING}\n{}", row.replace("20.5", "120.5")),
                1,
                "line 2: cifar100_test_200: expected an accuracy",
            ),
            (
                format!("{HEADING}\n{}", row.replace("20.5", "nan")),
                1,
                "line 2: cifar100_test_200: expected an accuracy",
            ),
            (
                format!("{HEADING}\n{}", row.replace("none~0", "none")),
                1,
                "table.csv: line 2: expected a cell of NAS-Bench-201",
            ),
            (format!("{HEADING}\n{CELL},1"), 1, "expected a table of comma-separated values"),
        ] {
            let error = read(&text, rows).unwrap_err();
            assert!(error.to_string().contains(words) && error.exit_code() == 2, "{error}");
        }
    }
}

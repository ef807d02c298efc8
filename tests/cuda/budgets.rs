//! A step's budget: at most so many operators and so many waits for the device, in `budgets.csv`. Launching an operator
//! costs a GPU's program 5 to 7 µs, whatever the sizes, and after a wait the GPU has nothing to do.

use crate::counts::{Counts, read};
use crate::{has_cuda, is_long_run, sgas, words};
use serde::Deserialize;

const BUDGETS: &str = include_str!("budgets.csv");

/// A part of a step, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Budget {
    /// Flags of `sgas bench`.
    recipe: String,
    precision: String,
    /// As `sgas bench` times them, in their order.
    part: String,
    operators: u64,
    waits: u64,
}

/// The parts of each recipe and precision, in order.
fn budgets() -> Vec<Vec<Budget>> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(BUDGETS.as_bytes());
    let budgets: Vec<Budget> = reader.deserialize().map(Result::unwrap).collect();
    let same = |one: &Budget, other: &Budget| (&one.recipe, &one.precision) == (&other.recipe, &other.precision);
    budgets.chunk_by(same).map(<[Budget]>::to_vec).collect()
}

/// What the parts of the second step took: the first one also makes what later ones keep. None without the stand-in.
fn measured(budgets: &[Budget]) -> Option<Vec<Counts>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts");
    let (recipe, precision) = (&budgets[0].recipe, &budgets[0].precision);
    let line = format!("bench --only {precision} --warmup 1 --repeats 1 {recipe}");
    sgas(folder.path()).args(words(&line)).env("SGAS_STAND_IN_COUNTS", &path).assert().success();
    let mut counts = read(&path);
    // The clock waits for the device before and after every part; a step that does so itself would make more of them.
    let parts = budgets.len();
    let ended = counts.pop()?;
    assert_eq!((ended.up_to.as_str(), counts.len()), ("exit", 4 * parts), "{line}");
    let parts = counts.split_off(2 * parts).into_iter().skip(1).step_by(2).collect();
    Some(parts)
}

fn check(budgets: &[Budget]) {
    let Some(parts) = measured(budgets) else {
        println!("skipped: operators are counted on the stand-in alone");
        return;
    };
    let mut broken = Vec::new();
    for (budget, counts) in budgets.iter().zip(&parts) {
        let Budget { recipe, precision, part, operators, waits } = budget;
        let found = (counts.calls(), counts.stops());
        println!(
            "{recipe}, {precision}, {part}: {} operators of at most {operators}, {} waits of at most {waits}",
            found.0, found.1
        );
        assert!(found.0 > 100 && !counts.views.is_empty(), "{recipe}: nothing was counted: {counts:?}");
        if found.0 > *operators || found.1 > *waits {
            broken.push(format!("{recipe}, {precision}, {part}: {found:?}, waits for {:?}", counts.waits));
        }
    }
    assert!(broken.is_empty(), "more operators or waits than budgets.csv allows:\n  {}", broken.join("\n  "));
}

fn check_all(precisions: &[&str]) {
    for budgets in budgets().iter().filter(|budgets| precisions.contains(&budgets[0].precision.as_str())) {
        check(budgets);
    }
}

#[test]
fn steps_stay_within_their_budgets() {
    if has_cuda() {
        check_all(&["fp32"]);
    }
}

/// Mixed precision has casts besides.
#[test]
fn steps_in_half_precision_stay_within_their_budgets() {
    if has_cuda() && is_long_run() {
        check_all(&["bf16", "fp16"]);
    }
}

//! A step's budget: at most so many operators and so many waits for the device, in `budgets.csv`. Launching an operator
//! costs a GPU's program 5 to 7 µs, whatever the sizes, and after a wait the GPU has nothing to do.

use crate::counts::{Counts, read};
use crate::{has_stand_in, is_long_run, sgas, words};
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
    /// How many operators were counted before steps were made leaner.
    first: Option<u64>,
}

/// The parts of each recipe and precision, in order.
fn budgets() -> Vec<Vec<Budget>> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(BUDGETS.as_bytes());
    let budgets: Vec<Budget> = reader.deserialize().map(Result::unwrap).collect();
    let same = |one: &Budget, other: &Budget| (&one.recipe, &one.precision) == (&other.recipe, &other.precision);
    budgets.chunk_by(same).map(<[Budget]>::to_vec).collect()
}

/// What the parts of the second step took: the first one also makes what later ones keep.
fn measured(budgets: &[Budget]) -> Vec<Counts> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts");
    let (recipe, precision) = (&budgets[0].recipe, &budgets[0].precision);
    let line = format!("bench --only {precision} --warmup 1 --repeats 1 {recipe}");
    let mut command = sgas(folder.path());
    // The check reads every number twice more.
    command.env_remove("SGAS_STAND_IN_CHECK").env("SGAS_STAND_IN_COUNTS", &path);
    command.args(words(&line)).assert().success();
    let mut counts = read(&path);
    // The clock waits for the device before and after every part; a step that does so itself would make more of them.
    let parts = budgets.len();
    let ended = counts.pop().expect("the process counts at its end");
    assert_eq!((ended.up_to.as_str(), counts.len()), ("exit", 4 * parts), "{line}");
    counts.split_off(2 * parts).into_iter().skip(1).step_by(2).collect()
}

fn check(budgets: &[Budget]) {
    let parts = measured(budgets);
    let mut broken = Vec::new();
    for (budget, counts) in budgets.iter().zip(&parts) {
        let (operators, waits) = (counts.calls(), counts.stops());
        let of_step = format!("{}, {}, {}", budget.recipe, budget.precision, budget.part);
        let share = |first| format!(" ({:.0} % of {first})", 100.0 * operators as f64 / first as f64);
        let share = budget.first.map(share).unwrap_or_default();
        println!("{of_step}: {operators} operators{share}, {waits} waits");
        assert!(operators > 100 && !counts.views.is_empty(), "{of_step}: nothing was counted: {counts:?}");
        if operators > budget.operators || waits > budget.waits {
            let allowed = format!("{} operators and {} waits", budget.operators, budget.waits);
            broken.push(format!("{of_step}: {operators} and {waits}, allowed {allowed}: {:?}", counts.waits));
        }
    }
    assert!(broken.is_empty(), "steps beyond budgets.csv:\n  {}", broken.join("\n  "));
}

fn check_all(precisions: &[&str]) {
    for budgets in budgets().iter().filter(|budgets| precisions.contains(&budgets[0].precision.as_str())) {
        check(budgets);
    }
}

#[test]
fn steps_stay_within_their_budgets() {
    if has_stand_in() {
        check_all(&["fp32"]);
    }
}

/// The CPU's kernels take long for it.
#[test]
fn steps_in_half_precision_stay_within_their_budgets() {
    if has_stand_in() && is_long_run() {
        check_all(&["bf16", "fp16"]);
    }
}

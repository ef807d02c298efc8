//! One pass over the golden files the way that a GPU takes, which writes every tensor's difference into the file
//! that `SGAS_GOLDEN_TABLE` names: for a machine that is there for minutes. Lines of file, tensor, greatest difference,
//! the same relative to the greatest golden value, and verdict, with tabs between.
//!
//! Nothing is repeated with other last bits here, so what the full comparison would have to judge is only named
//! (`rounding`, `jump`). What it could never accept is `wrong` and fails the test, as does a panic; the other files are
//! compared all the same.

use super::{ABSOLUTE, Case, MOST_JUMP, MOST_ROUNDING, Results, distance, greatest};
use sgas::tensor::fused::TensorPath;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use tch::Device;

/// The file, where a table is asked for.
pub fn place() -> Option<PathBuf> {
    std::env::var_os("SGAS_GOLDEN_TABLE").filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// Compares a file once; the name of one that failed.
pub fn attempt(case: &Case, compare: impl Fn(&Case)) -> Option<String> {
    // On a GPU its own kernels are to be seen.
    let _tensors = (case.device == Device::Cpu).then(TensorPath::enter);
    let panic = catch_unwind(AssertUnwindSafe(|| compare(case))).err()?;
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let reason = text.unwrap_or("a panic without text").lines().next().unwrap_or_default().replace('\t', " ");
    append(&format!("{}\t-\t-\t-\tfailed: {reason}\n", case.name));
    Some(case.name.clone())
}

/// Writes a line per tensor.
pub fn write(case: &Case, ours: &Results) {
    let mut lines = String::new();
    let mut wrong = Vec::new();
    for (name, ours) in ours {
        let excess = case.excess(name, ours);
        let Some(golden) = case.content.tensors.get(name) else { continue };
        let (difference, size) = (distance(ours, golden), greatest(golden));
        let verdict = verdict(excess, size);
        let relative = difference / size.max(f64::MIN_POSITIVE);
        let _ = writeln!(lines, "{}\t{name}\t{difference:.2e}\t{relative:.2e}\t{verdict}", case.name);
        if verdict == "wrong" {
            wrong.push(name);
        }
    }
    append(&lines);
    let few: Vec<_> = wrong.iter().take(5).collect();
    assert!(wrong.is_empty(), "{}: {} tensors are wrong: {few:?}", case.name, wrong.len());
}

/// `excess` is what a tensor is off by beyond the tolerance, `size` its greatest golden value.
fn verdict(excess: f64, size: f64) -> &'static str {
    match excess {
        _ if excess <= 0.0 => "within",
        _ if excess <= MOST_ROUNDING * size => "rounding",
        _ if excess <= MOST_JUMP * size => "jump",
        _ => "wrong",
    }
}

/// At once, so that a killed test leaves what it has.
fn append(lines: &str) {
    let path = place().expect("only where a table is asked for");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

#[test]
fn verdicts_are_those_that_the_full_comparison_can_give() {
    assert_eq!(
        [0.0, 1e-3, 4e-3, 0.2, f64::INFINITY].map(|excess| verdict(excess, 1.0)),
        ["within", "rounding", "jump", "wrong", "wrong"]
    );
    // Golden zeros are met within the absolute tolerance or not at all.
    assert_eq!(verdict(ABSOLUTE / 2.0 - ABSOLUTE, 0.0), "within");
    assert_eq!(verdict(1e-9, 0.0), "wrong");
}

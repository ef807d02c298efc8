//! A profile of steps by operator, as a Markdown table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sgas::commands::bench::workload::Workload;
use sgas::error::Result;
use sgas::tensor::bridge::memory::metered;
use sgas::tensor::bridge::profile::{Operator, profiled};

/// Operators below this share of a step are summed up in one row.
const SMALLEST_SHARE: f64 = 0.003;

#[derive(Debug, Clone, Copy, Default)]
struct Pass {
    calls: u64,
    own: Duration,
}

/// Both passes of an operator, forward first.
type Row = [Pass; 2];

/// Runs `steps` steps after `warmup` others and tells where their time went, and the memory of one more.
pub fn report(workload: &mut Workload, warmup: usize, steps: usize) -> Result<String> {
    run(workload, warmup)?;
    let start = Instant::now();
    let (outcome, operators) = profiled(|| run(workload, steps))?;
    let wall = start.elapsed();
    outcome?;
    let (outcome, bytes) = metered(|_| run(workload, 1))?;
    outcome?;
    let mebibytes = |bytes: i64| bytes as f64 / 1_048_576.0;
    let memory = format!(
        "\nTensors of a step besides weights and optimizer: {:.0} MiB at most at a time, the largest {:.0} MiB.\n",
        mebibytes(bytes.peak),
        mebibytes(bytes.largest)
    );
    Ok(table(operators, wall, steps) + &memory)
}

fn run(workload: &mut Workload, steps: usize) -> Result<()> {
    for _ in 0..steps {
        for &part in workload.parts() {
            workload.run(part)?;
        }
    }
    Ok(())
}

fn table(operators: Vec<Operator>, wall: Duration, steps: usize) -> String {
    let mut rows = BTreeMap::<String, Row>::new();
    for operator in operators {
        let row = rows.entry(operator.name).or_default();
        row[usize::from(operator.backward)] = Pass { calls: operator.calls, own: operator.own };
    }
    let counted: Duration = rows.values().map(own).sum();
    rows.insert(
        "outside of operators".to_owned(),
        [Pass { calls: 0, own: wall.saturating_sub(counted) }, Pass::default()],
    );
    let (mut shown, small): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(_, row)| own(row).as_secs_f64() >= SMALLEST_SHARE * wall.as_secs_f64());
    shown.sort_by_key(|(_, row)| std::cmp::Reverse(own(row)));
    shown.push((format!("{} others", small.len()), sum(small.iter().map(|(_, row)| row))));
    shown.push(("**whole step**".to_owned(), sum(shown.iter().map(|(_, row)| row))));
    let head =
        "| operator | calls forward | ms | calls backward | ms | share of the step |\n|---|---|---|---|---|---|\n";
    shown.iter().fold(head.to_owned(), |text, (name, row)| text + &line(name, row, wall, steps))
}

fn own(row: &Row) -> Duration {
    row[0].own + row[1].own
}

fn sum<'a>(rows: impl Iterator<Item = &'a Row>) -> Row {
    rows.fold(Row::default(), |[forward, backward], row| {
        let add = |one: Pass, other: Pass| Pass { calls: one.calls + other.calls, own: one.own + other.own };
        [add(forward, row[0]), add(backward, row[1])]
    })
}

fn line(name: &str, row: &Row, wall: Duration, steps: usize) -> String {
    let share = 100.0 * own(row).as_secs_f64() / wall.as_secs_f64();
    let [forward, backward] = row.map(|pass| {
        let milliseconds = pass.own.as_secs_f64() * 1e3 / steps as f64;
        format!("{} | {milliseconds:.2}", pass.calls / steps as u64)
    });
    format!("| {name} | {forward} | {backward} | {share:.1} % |\n")
}

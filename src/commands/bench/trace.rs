//! `sgas bench --trace`: one step under libtorch's profiler, and where its time went.

use super::{BenchOptions, asked_for, prepare};
use crate::commands::outputs::print_then_write;
use crate::commands::{GlobalOptions, device};
use crate::error::{Error, Result};
use crate::files::Output;
use crate::tensor::bridge::device::synchronize;
use crate::tensor::bridge::trace::{Event, EventKind, traced};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::time::{Duration, Instant};
use tch::Device;

/// Rows of a table; the rest is one row.
const ROWS: usize = 15;
/// Letters of a name; the names of CUDA's templates have hundreds.
const NAME: usize = 90;

/// Traces a step after those of the warm-up, and prints a summary.
///
/// # Errors
/// Options that won't do; a step that fails; what [`traced`] reports.
pub(super) fn run(options: &BenchOptions, output: &Output, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let place = prepare(options, global)?;
    let precision = device::precision(options.amp, place)?;
    let recipe = asked_for(options)?;
    let mut workload = recipe.workload(precision, place)?;
    let mut step = || -> Result<()> {
        for &part in workload.parts() {
            workload.run(part)?;
        }
        synchronize(place)
    };
    for _ in 0..options.warmup {
        step()?;
    }
    let start = Instant::now();
    // libtorch writes to a file of its own, and tells nobody when it can't.
    let folder = tempfile::tempdir().map_err(|error| Error::write(std::env::temp_dir(), error))?;
    let path = folder.path().join("trace.json");
    let ((outcome, spent), events) = traced(&path, || (step(), start.elapsed()))?;
    outcome?;
    let title = format!(
        "One step of {} of {}, {}, {}, batch {}",
        recipe.command(),
        recipe.task_name(),
        recipe.network_name(),
        precision.name(),
        recipe.batch()
    );
    let title = format!("{title}: {:.4} s under the profiler, which slows it.\n", spent.as_secs_f64());
    let write = || output.write(&std::fs::read(&path).map_err(|error| Error::write(&path, error))?);
    let written = format!("\ntrace: {} (ui.perfetto.dev draws it)\n", output.path().display());
    print_then_write(out, &(title + &summary(&events, place)), write, &written)
}

/// Tables of operators and, on CUDA, of kernels and calls, and how long the GPU had nothing to do.
fn summary(events: &[Event], device: Device) -> String {
    let of = |kind| events.iter().filter(move |event| event.kind == kind).collect::<Vec<_>>();
    let (operators, calls, kernels) = (of(EventKind::Operator), of(EventKind::Call), of(EventKind::Kernel));
    let mut text = String::new();
    if device.is_cuda() {
        text += &busy(&kernels, events);
        text += &table("kernel or copy", &totals(kernels.iter().map(|event| (event.name.as_str(), event.duration))));
        text += &table("call of CUDA", &totals(calls.iter().map(|event| (event.name.as_str(), event.duration))));
    }
    text + &table("operator, own time on the processor", &totals(own_times(&operators).into_iter()))
}

/// Calls and nanoseconds by name, the longest first.
fn totals<'a>(times: impl Iterator<Item = (&'a str, u64)>) -> Vec<(&'a str, u64, u64)> {
    let mut totals: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (name, time) in times {
        let (calls, sum) = totals.entry(name).or_default();
        *calls += 1;
        *sum += time;
    }
    let mut sorted: Vec<_> = totals.into_iter().map(|(name, (calls, sum))| (name, calls, sum)).collect();
    sorted.sort_by_key(|(_, _, sum)| std::cmp::Reverse(*sum));
    sorted
}

/// An operator's time without that of the operators which it calls on the same thread.
fn own_times<'a>(operators: &[&'a Event]) -> Vec<(&'a str, u64)> {
    let mut sorted = operators.to_vec();
    sorted.sort_by_key(|event| (event.thread, event.start, std::cmp::Reverse(event.duration)));
    let mut own: Vec<(&str, u64)> = sorted.iter().map(|event| (event.name.as_str(), event.duration)).collect();
    let mut open: Vec<usize> = Vec::new();
    for (place, event) in sorted.iter().enumerate() {
        let holds = |outer: &Event| outer.thread == event.thread && event.start < end(outer);
        while open.last().is_some_and(|&outer| !holds(sorted[outer])) {
            open.pop();
        }
        if let Some(&outer) = open.last() {
            own[outer].1 = own[outer].1.saturating_sub(event.duration);
        }
        open.push(place);
    }
    own
}

fn end(event: &Event) -> u64 {
    event.start + event.duration
}

/// How much of the step, from its first event to its last, the GPU worked, and the pauses between.
fn busy(kernels: &[&Event], events: &[Event]) -> String {
    let (Some(first), Some(last)) = (events.iter().map(|event| event.start).min(), events.iter().map(end).max()) else {
        return "\nNothing was recorded.\n".to_owned();
    };
    if kernels.is_empty() {
        return "\nNo kernel was recorded: the driver or CUPTI refused (see `nvidia-smi`, and whether another profiler \
                runs).\n"
            .to_owned();
    }
    let mut sorted = kernels.to_vec();
    sorted.sort_by_key(|event| event.start);
    let (mut worked, mut pauses, mut longest, mut until) = (0, 0_u64, 0, first);
    for event in sorted {
        if event.start > until {
            pauses += 1;
            longest = longest.max(event.start - until);
        }
        worked += end(event).saturating_sub(event.start.max(until));
        until = until.max(end(event));
    }
    longest = longest.max(last - until);
    let whole = (last - first).max(1);
    format!(
        "\nThe GPU worked {} of {} ms ({:.1} %), in {} kernels and copies; {pauses} pauses, the longest {} ms.\n",
        milliseconds(worked),
        milliseconds(whole),
        100.0 * worked as f64 / whole as f64,
        kernels.len(),
        milliseconds(longest)
    )
}

fn milliseconds(nanoseconds: u64) -> String {
    format!("{:.3}", Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3)
}

/// As Markdown; nothing of nothing.
fn table(what: &str, totals: &[(&str, u64, u64)]) -> String {
    if totals.is_empty() {
        return String::new();
    }
    let whole: u64 = totals.iter().map(|(_, _, sum)| sum).sum();
    let mut text = format!("\n| {what} | calls | ms | share |\n|---|---|---|---|\n");
    let mut row = |name: &str, calls: u64, sum: u64| {
        let name: String = name.chars().take(NAME).collect();
        let share = 100.0 * sum as f64 / whole.max(1) as f64;
        let _ = writeln!(text, "| {} | {calls} | {} | {share:.1} % |", name.replace('|', "/"), milliseconds(sum));
    };
    for (name, calls, sum) in totals.iter().take(ROWS) {
        row(name, *calls, *sum);
    }
    let rest = totals.get(ROWS..).unwrap_or_default();
    if !rest.is_empty() {
        let (calls, sum) = rest.iter().fold((0, 0), |(calls, sum), (_, more, time)| (calls + more, sum + time));
        row(&format!("{} others", rest.len()), calls, sum);
    }
    row("all", totals.iter().map(|(_, calls, _)| calls).sum(), whole);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, thread: u64, start: u64, duration: u64, name: &str) -> Event {
        Event { kind, thread, start, duration, name: name.to_owned() }
    }

    #[test]
    fn own_time_leaves_out_what_an_operator_calls_on_its_thread() {
        use EventKind::Operator;
        // matmul [0, 100) calls mm [10, 70), which calls empty [20, 30), and then copy [70, 90); another thread's add
        // at the same time is nobody's.
        let events = [
            event(Operator, 1, 70, 20, "copy"),
            event(Operator, 1, 0, 100, "matmul"),
            event(Operator, 1, 20, 10, "empty"),
            event(Operator, 2, 15, 40, "add"),
            event(Operator, 1, 10, 60, "mm"),
            event(Operator, 1, 100, 5, "copy"),
        ];
        let own = own_times(&events.iter().collect::<Vec<_>>());
        assert_eq!(
            totals(own.into_iter()),
            [("mm", 1, 50), ("add", 1, 40), ("copy", 2, 25), ("matmul", 1, 20), ("empty", 1, 10)]
        );
    }

    #[test]
    fn kernels_that_overlap_count_once_and_pauses_are_seen_at_both_ends() {
        use EventKind::{Kernel, Operator};
        // The step lasts from 0 to 2000 microseconds; the GPU works from 500 to 1000 and from 1200 to 1300.
        let us = 1000;
        let events = [
            event(Operator, 1, 0, 2000 * us, "step"),
            event(Kernel, 0, 500 * us, 400 * us, "gemm"),
            event(Kernel, 0, 600 * us, 400 * us, "copy"),
            event(Kernel, 0, 1200 * us, 100 * us, "gemm"),
        ];
        let text = summary(&events, Device::Cuda(0));
        let said = "The GPU worked 0.600 of 2.000 ms (30.0 %), in 3 kernels and copies; 2 pauses, the longest 0.700 ms";
        assert!(text.contains(said), "{text}");
        assert!(text.contains("| gemm | 2 | 0.500 | 55.6 % |"), "{text}");
        assert!(!summary(&events, Device::Cpu).contains("GPU"), "{text}");
        assert!(summary(&events[..1], Device::Cuda(0)).contains("No kernel was recorded"));
    }

    #[test]
    fn long_tables_end_in_the_others_and_the_sum() {
        let names: Vec<String> = (0..20).map(|number| format!("op{number}|x")).collect();
        let rows: Vec<(&str, u64, u64)> = names.iter().map(|name| (name.as_str(), 2, 1_000_000)).collect();
        let text = table("operator", &rows);
        assert!(text.contains("| op0/x | 2 | 1.000 | 5.0 % |\n"), "{text}");
        assert!(text.contains("| 5 others | 10 | 5.000 | 25.0 % |\n| all | 40 | 20.000 | 100.0 % |\n"), "{text}");
    }
}

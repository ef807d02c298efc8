//! What was measured as text: a table per recipe, and rows in the form of the published one.

use super::measure::Summary;
use super::{Arithmetic, BenchOptions, Report, Row};
use crate::commands::GlobalOptions;
use crate::tensor::bridge::{LIBTORCH_VERSION, machine};
use crate::tensor::convolution::Layout;
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;
use tch::Device;

/// Where and how it was measured.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    device: String,
    is_cuda: bool,
    threads: i32,
    libtorch: &'static str,
    warmup: usize,
    repeats: usize,
    /// Of images on CUDA.
    layout: &'static str,
    cudnn_benchmark: bool,
}

impl Machine {
    pub fn of(device: Device, options: &BenchOptions, global: &GlobalOptions) -> Self {
        let name = match device {
            Device::Cuda(index) => machine::gpu(index).map_or_else(|_| format!("cuda:{index}"), |gpu| gpu.name),
            _ => processor(),
        };
        let (is_cuda, threads) = (device.is_cuda(), tch::get_num_threads());
        let (warmup, repeats, cudnn_benchmark) = (options.warmup, options.repeats, global.cudnn_benchmark);
        let layout = options.layout.map_or("nchw in searches, channels-last in trainings", Layout::name);
        let libtorch = LIBTORCH_VERSION;
        Self { device: name, is_cuda, threads, libtorch, warmup, repeats, layout, cudnn_benchmark }
    }

    pub fn text(&self) -> String {
        let Self { device, threads, libtorch, warmup, repeats, layout, .. } = self;
        let images = if self.is_cuda { format!(", images {layout}") } else { String::new() };
        let chosen = if self.cudnn_benchmark { ", cuDNN's benchmark mode on" } else { "" };
        format!(
            "{device}, {threads} threads, libtorch {libtorch}{images}{chosen}; {repeats} steps timed after {warmup} of \
             warm-up, on random numbers.\nRates are medians (least to most); peak memory is {}.\n",
            if self.is_cuda { "the device's, of tensors" } else { "the process's, libraries included" }
        )
    }
}

fn processor() -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = known.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or_else(|| "a processor".to_owned(), |(_, name)| name.to_owned())
}

/// What stands above the rows of a recipe's table, as Markdown.
pub(super) fn head(report: &Report) -> String {
    let Report { command, task, network, samples, sizes, batch, .. } = report;
    let config = report.config.as_ref().map(|config| format!(" ({config})")).unwrap_or_default();
    let mut text = format!("\n{command} of {task}{config}, {network}: batch {batch}, {sizes}\n\n");
    let _ = writeln!(text, "| precision | {samples} per second | seconds per step | peak memory, MiB | speed-up |");
    text + "|---|---|---|---|---|\n"
}

/// A row of the table.
pub(super) fn line(row: &Row) -> String {
    let name = row.precision.name();
    let Some(measured) = &row.measured else {
        let reason = row.failed.as_ref().map(|reason| format!("failed: {reason}"));
        return format!("| {name} | {} | | | |\n", reason.or_else(|| row.absent.clone()).unwrap_or_default());
    };
    let bytes = measured.peak_device_bytes.unwrap_or(measured.peak_memory_bytes);
    let speedup = row.speedup.map(|speedup| format!("{speedup:.2} x")).unwrap_or_default();
    let step = measured.step_seconds.median;
    format!("| {name} | {} | {step:.4} | {} | {speedup} |\n", spread(measured.samples_per_second), bytes / 1_048_576)
}

fn spread(Summary { median, min, max }: Summary) -> String {
    format!("{median:.2} ({min:.2} to {max:.2})")
}

/// Everything as JSON.
pub(super) fn json(machine: &Machine, reports: &[Report]) -> String {
    format!(
        "{:#}\n",
        json!({ "machine": machine, "inputs": "random numbers in the recipe's shapes", "recipes": reports })
    )
}

/// The trainings in the form of the published table of ResGCN-28, beside its row for one GPU where ResGCN-28 on S3DIS
/// was measured; nothing where no training has both precisions.
pub(super) fn published(machine: &Machine, reports: &[Report]) -> String {
    let rows: Vec<String> = reports.iter().filter_map(|report| published_row(machine, report)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = "\n| network | batch | device | fp32, per second | mixed, per second | speed-up |\n".to_owned();
    text += "|---|---|---|---|---|---|\n";
    if reports.iter().any(|report| report.is_published_resgcn) {
        text += "| ResGCN-28, published | 4 | 1 GPU, V100 | 4.92 | 9.01 (fp16) | 1.83 x |\n";
    }
    text + &rows.concat()
}

fn published_row(machine: &Machine, report: &Report) -> Option<String> {
    let row = |wanted| report.rows.iter().find(|row| row.precision == wanted && row.measured.is_some());
    let (plain, mixed) = (row(Arithmetic::Fp32)?, row(Arithmetic::Fp16).or_else(|| row(Arithmetic::Bf16))?);
    let rate = |row: &Row| row.measured.as_ref().map(|measured| measured.samples_per_second.median);
    let device = format!("{}{}", if machine.is_cuda { "1 GPU, " } else { "" }, machine.device);
    Some(format!(
        "| {}, {} of {} | {} | {device} | {:.2} | {:.2} ({}) | {:.2} x |\n",
        report.network,
        report.command,
        report.task,
        report.batch,
        rate(plain)?,
        rate(mixed)?,
        mixed.precision.name(),
        mixed.speedup?
    ))
}

#[cfg(test)]
mod tests {
    use super::super::measure::Measurement;
    use super::*;

    fn row(precision: Arithmetic, rate: f64) -> Row {
        let spread = |middle: f64| Summary { median: middle, min: middle / 2.0, max: middle * 2.0 };
        let measured = Measurement {
            step_seconds: spread(4.0 / rate),
            samples_per_second: spread(rate),
            peak_memory_bytes: 3 << 20,
            peak_device_bytes: None,
            parameters: 1,
            threads: 1,
        };
        Row { precision, measured: Some(measured), speedup: Some(rate / 4.92), absent: None, failed: None }
    }

    fn report(rows: Vec<Row>) -> Report {
        Report {
            command: "train".into(),
            task: "s3dis".into(),
            config: None,
            network: "ResGCN-28".into(),
            samples: "clouds".into(),
            sizes: "4096 points".into(),
            batch: 4,
            is_published_resgcn: true,
            rows,
        }
    }

    #[test]
    fn rows_say_what_was_measured_or_why_not() {
        let absent = |precision, absent: Option<&str>, failed: Option<&str>| Row {
            precision,
            measured: None,
            speedup: None,
            absent: absent.map(str::to_owned),
            failed: failed.map(str::to_owned),
        };
        let rows = [
            row(Arithmetic::Fp32, 4.92),
            absent(Arithmetic::Tf32, Some("needs a CUDA device"), None),
            absent(Arithmetic::Fp16, None, Some("out of memory")),
        ];
        let text = head(&report(vec![])) + &rows.iter().map(line).collect::<String>();
        assert!(text.contains("train of s3dis, ResGCN-28: batch 4, 4096 points"), "{text}");
        assert!(text.contains("| fp32 | 4.92 (2.46 to 9.84) | 0.8130 | 3 | 1.00 x |"), "{text}");
        assert!(text.contains("| tf32 | needs a CUDA device | | | |"), "{text}");
        assert!(text.contains("| fp16 | failed: out of memory | | | |"), "{text}");
    }

    #[test]
    fn the_published_row_stands_beside_ours() {
        let machine = Machine {
            device: "H100".into(),
            is_cuda: true,
            threads: 1,
            libtorch: LIBTORCH_VERSION,
            warmup: 0,
            repeats: 1,
            layout: "channels-last",
            cudnn_benchmark: false,
        };
        let rows = [Arithmetic::Fp32, Arithmetic::Bf16, Arithmetic::Fp16];
        let report = report(rows.into_iter().zip([4.92, 6.0, 9.84]).map(|(kind, rate)| row(kind, rate)).collect());
        let text = published(&machine, &[report]);
        assert!(text.contains("| ResGCN-28, published | 4 | 1 GPU, V100 | 4.92 | 9.01 (fp16) | 1.83 x |"), "{text}");
        let ours = "| ResGCN-28, train of s3dis | 4 | 1 GPU, H100 | 4.92 | 9.84 (fp16) | 2.00 x |";
        assert!(text.contains(ours), "{text}");
        assert_eq!(published(&machine, &[]), "");
    }
}

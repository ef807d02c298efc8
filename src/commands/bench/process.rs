//! A measurement in a process of its own: the program calls itself, so that peak memory and settings are its own.

use super::measure::Measurement;
use super::{Arithmetic, BenchOptions};
use crate::commands::{DeviceChoice, GlobalOptions};
use std::process::{Command, Stdio};
use tch::Device;

/// Calls this program for one measurement; what it says on failing is the error.
pub(super) fn in_own_process(
    options: &BenchOptions,
    arithmetic: Arithmetic,
    global: &GlobalOptions,
    device: Device,
) -> std::result::Result<Measurement, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(words(options, arithmetic)).args(global_words(global, device)).stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    let (answer, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match serde_json::from_str(&answer) {
        Ok(measured) if output.status.success() => Ok(measured),
        _ => {
            tracing::info!("{} failed:\n{}", arithmetic.name(), told.trim_end());
            let reason = told.lines().find_map(|line| line.strip_prefix("error: "));
            Err(reason.map_or_else(|| format!("the process ended: {}", output.status), str::to_owned))
        }
    }
}

/// The options as they are typed.
fn words(options: &BenchOptions, arithmetic: Arithmetic) -> Vec<String> {
    let mut words = vec!["bench".to_owned(), "--only".to_owned(), arithmetic.name().to_owned()];
    let mut add = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("--{name}={value}")));
    add("task", options.task.clone());
    add("config", options.config.clone());
    add("batch", options.batch.map(|batch| batch.to_string()));
    add("genotype", options.genotype.clone());
    add("model", options.model.map(|model| model.name().to_owned()));
    add("warmup", Some(options.warmup.to_string()));
    add("repeats", Some(options.repeats.to_string()));
    for assignment in &options.set {
        add("set", Some(assignment.clone()));
    }
    add("layout", options.layout.map(|layout| layout.name().to_owned()));
    words.extend(options.search.then(|| "--search".to_owned()));
    words
}

fn global_words(global: &GlobalOptions, device: Device) -> Vec<String> {
    let device = match (global.device, device) {
        (DeviceChoice::Cuda(index), _) | (_, Device::Cuda(index)) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    };
    let mut words = vec!["--quiet".to_owned(), format!("--device={device}")];
    words.extend(global.threads.map(|threads| format!("--threads={threads}")));
    words.extend(global.deterministic.then(|| "--deterministic".to_owned()));
    words.extend(global.cudnn_benchmark.then(|| "--cudnn-benchmark".to_owned()));
    words.extend(global.no_cuda_graphs.then(|| "--no-cuda-graphs".to_owned()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::convolution::Layout;

    #[test]
    fn every_switch_reaches_the_process_that_measures() {
        let options = BenchOptions { search: true, layout: Some(Layout::Planes), ..BenchOptions::default() };
        let told = words(&options, Arithmetic::Tf32);
        for word in ["--only", "tf32", "--search", "--layout=nchw"] {
            assert!(told.iter().any(|found| found == word), "{word} in {told:?}");
        }
        assert!(!words(&BenchOptions::default(), Arithmetic::Fp32).iter().any(|word| word.contains("layout")));
        let global = |asked| GlobalOptions {
            threads: Some(3),
            cudnn_benchmark: asked,
            no_cuda_graphs: asked,
            ..GlobalOptions::default()
        };
        let told = global_words(&global(true), Device::Cuda(1));
        assert_eq!(told, ["--quiet", "--device=cuda:1", "--threads=3", "--cudnn-benchmark", "--no-cuda-graphs"]);
        assert!(!global_words(&global(false), Device::Cpu).iter().any(|word| word.contains("cudnn")));
    }
}

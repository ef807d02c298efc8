//! The report as one screen.

use super::Report;
use super::machine::{Cuda, Device, Libtorch, Processor};
use crate::error::size;
use std::collections::BTreeMap;

/// Width of the column of topics.
const TOPIC: usize = 11;

pub(super) fn of(report: &Report) -> String {
    let mut text = String::new();
    let mut add = |topic: &str, lines: Vec<String>| {
        for (index, line) in lines.iter().enumerate() {
            let topic = if index == 0 { topic } else { "" };
            text += &format!("{topic:<TOPIC$}{line}\n");
        }
    };
    add("sgas", vec![report.version.to_owned()]);
    add("libtorch", libtorch(&report.libtorch));
    add("processor", processor(&report.processor));
    let memory = &report.memory;
    let known = || format!("{}, {} free", size(memory.total_bytes), size(memory.available_bytes));
    add("memory", vec![if memory.total_bytes > 0 { known() } else { "unknown: the system does not say".to_owned() }]);
    add("cuda", cuda(&report.cuda));
    add("checks", checks(report));
    add("data", data(report));
    let writable = if report.runs.unwritable.is_none() { "can be written" } else { "can't be written" };
    add("runs", vec![format!("{} ({writable})", report.runs.folder.display())]);
    add("problems", problems(report));
    text
}

fn libtorch(libtorch: &Libtorch) -> Vec<String> {
    let loaded = libtorch.loaded.as_deref().unwrap_or("unknown");
    let first = format!(
        "{loaded} is loaded, {} was built with; it computes with {}",
        libtorch.built_with, libtorch.instructions
    );
    std::iter::once(first).chain(libtorch.libraries.iter().cloned()).collect()
}

fn processor(processor: &Processor) -> Vec<String> {
    let variable = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
    let native = if processor.native_bf16.is_empty() {
        "bf16 is emulated: --amp is for trying here".to_owned()
    } else {
        format!("bf16 is native ({})", processor.native_bf16.join(", "))
    };
    vec![
        format!("{}, {} cores; {native}", processor.name, processor.cores),
        format!(
            "{} threads (OMP_NUM_THREADS {}, GOMP_SPINCOUNT {})",
            processor.threads,
            variable(&processor.omp_num_threads),
            variable(&processor.gomp_spincount)
        ),
    ]
}

fn cuda(cuda: &Cuda) -> Vec<String> {
    let part = match &cuda.not_loaded {
        None => format!("libtorch's CUDA part is loaded and can use {} devices", cuda.usable_devices),
        Some(reason) => format!("libtorch's CUDA part is not loaded: {reason}"),
    };
    let kernels = match (&cuda.architectures, &cuda.unknown_architectures) {
        (Some(architectures), _) => {
            let built_with = or_unknown(cuda.built_with.as_deref());
            Some(format!("it was built with CUDA {built_with}; it serves GPUs of compute capability {architectures}"))
        }
        (None, reason) => reason.as_ref().map(|reason| format!("which GPUs it serves is not known: {reason}")),
    };
    let driver = match (&cuda.driver, &cuda.no_driver) {
        (Some(version), _) => format!("the driver serves CUDA {version}"),
        (None, reason) => format!("no NVIDIA driver: {}", or_unknown(reason.as_deref())),
    };
    let several = cuda.not_loaded.is_none().then(|| match &cuda.no_nccl {
        None => "several GPUs sum by NCCL (untried on real ones)".to_owned(),
        Some(reason) => format!("several GPUs sum by way of host memory: no NCCL ({reason})"),
    });
    let devices = cuda.devices.iter().enumerate().map(|(index, device)| self::device(index, device));
    std::iter::once(part).chain(kernels).chain([driver]).chain(several).chain(devices).collect()
}

fn device(index: usize, device: &Device) -> String {
    let types = match (device.tensor_cores, device.bf16) {
        (true, true) => "Tensor Cores: fp16, bf16, TF32",
        (true, false) => "Tensor Cores: fp16 alone",
        _ => "no Tensor Cores",
    };
    let served = if device.served == Some(false) { "; not served by this libtorch" } else { "" };
    let Device { name, memory_bytes, capability, .. } = device;
    format!("cuda:{index} {name}, {}, capability {capability}, {types}{served}", size(*memory_bytes))
}

/// One line per device.
fn checks(report: &Report) -> Vec<String> {
    let mut devices: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for check in &report.checks {
        let outcome = if check.failure.is_none() { "ok" } else { "FAILED" };
        devices.entry(&check.device).or_default().push(format!("{} {outcome}", check.what));
    }
    devices.iter().map(|(device, outcomes)| format!("{device}: {}", outcomes.join(", "))).collect()
}

fn data(report: &Report) -> Vec<String> {
    let found = report.data.iter().map(|set| {
        let place = set.folder.as_deref().or(set.reason.as_deref());
        format!("{}: {}", set.task, or_unknown(place))
    });
    found.collect()
}

fn problems(report: &Report) -> Vec<String> {
    if report.problems.is_empty() {
        return vec!["none".to_owned()];
    }
    let told = report.problems.iter().flat_map(|problem| {
        let weight = if problem.essential { "must be solved: " } else { "" };
        [format!("- {weight}{}", problem.what), format!("  {}", problem.hint)]
    });
    told.collect()
}

fn or_unknown(text: Option<&str>) -> &str {
    text.unwrap_or("unknown")
}

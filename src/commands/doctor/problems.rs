//! What is wrong, and what to do about it.

use super::Report;
use super::machine::Cuda;
use crate::commands::DeviceChoice;
use serde::Serialize;

/// Something that is not as it should be.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Problem {
    pub what: String,
    pub hint: String,
    /// The job that was asked for can't be done.
    pub essential: bool,
}

/// How a libtorch with CUDA comes to this program.
const GET_CUDA: &str = "`make setup-cuda` where sgas was built, or let LD_LIBRARY_PATH name the torch/lib folder of a \
                        Python's torch 2.11 with CUDA";

/// All problems. What is wrong with CUDA is essential only where `asked` names a CUDA device.
pub(super) fn of(report: &Report, asked: DeviceChoice) -> Vec<Problem> {
    let wants_cuda = matches!(asked, DeviceChoice::Cuda(_));
    let mut problems = Vec::new();
    let mut add =
        |essential, what: String, hint: &str| problems.push(Problem { what, hint: hint.to_owned(), essential });
    let libtorch = &report.libtorch;
    if !libtorch.loaded.as_deref().is_some_and(|loaded| same_release(loaded, libtorch.built_with)) {
        let loaded = libtorch.loaded.as_deref().unwrap_or("of an unknown version");
        let what = format!("libtorch {loaded} is loaded, {} is expected", libtorch.built_with);
        add(true, what, "`make setup` fetches the right one; look at what LD_LIBRARY_PATH and LIBTORCH name");
    }
    for check in report.checks.iter().filter(|check| check.failure.is_some()) {
        let failure = check.failure.as_deref().unwrap_or_default();
        let what = format!("{}, {}: {failure}", check.device, check.what);
        let hint = "this build of sgas or libtorch does not suit the device: build again, or use --device cpu";
        add(check.device == "cpu" || wants_cuda, what, hint);
    }
    if let Some((what, hint)) = of_cuda(&report.cuda, asked) {
        add(wants_cuda, what, hint);
    }
    let processor = &report.processor;
    if usize::try_from(processor.threads).is_ok_and(|threads| threads > processor.cores) {
        let what = format!("{} threads share {} cores", processor.threads, processor.cores);
        add(false, what, "set OMP_NUM_THREADS or --threads to the number of cores");
    }
    if let Some(reason) = &report.runs.unwritable {
        let what = format!("no run can be put into {}: {reason}", report.runs.folder.display());
        add(true, what, "set SGAS_RUNS to a folder that can be written, or use --out");
    }
    problems
}

/// Versions are `2.11.0`, perhaps with a build: `2.11.0+cu130`. The last number may differ.
fn same_release(one: &str, other: &str) -> bool {
    let release = |version: &str| version.split(['.', '+']).take(2).map(str::to_owned).collect::<Vec<_>>();
    release(one) == release(other)
}

/// What keeps a GPU from being used, where there is one or one was asked for.
fn of_cuda(cuda: &Cuda, asked: DeviceChoice) -> Option<(String, &'static str)> {
    let wanted = if let DeviceChoice::Cuda(index) = asked { index + 1 } else { cuda.devices.len() };
    if cuda.usable_devices >= wanted {
        return None;
    }
    if let Some(reason) = &cuda.no_driver {
        return Some((format!("no NVIDIA driver: {reason}"), "install NVIDIA's driver, or use --device cpu"));
    }
    if let Some(reason) = &cuda.not_loaded {
        return Some((format!("a GPU is here, but libtorch's CUDA part can't be loaded: {reason}"), GET_CUDA));
    }
    let driver = cuda.driver.as_deref().unwrap_or("an unknown CUDA");
    let what = format!(
        "{} GPUs are wanted, libtorch can use {}; the driver shows {} and serves CUDA {driver}",
        wanted,
        cuda.usable_devices,
        cuda.devices.len()
    );
    Some((
        what,
        "look at CUDA_VISIBLE_DEVICES, and update a driver that is older than libtorch's CUDA (13.0 by `make setup-cuda`)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::machine::Device;

    fn cuda(devices: usize, usable_devices: usize) -> Cuda {
        let gpu = || Device {
            name: "GPU".to_owned(),
            memory_bytes: 1,
            capability: "7.5".to_owned(),
            tensor_cores: true,
            bf16: false,
        };
        Cuda {
            not_loaded: None,
            usable_devices,
            driver: Some("12.4".to_owned()),
            no_driver: None,
            devices: (0..devices).map(|_| gpu()).collect(),
        }
    }

    #[test]
    fn the_last_number_of_a_version_may_differ() {
        assert!(same_release("2.11.1", "2.11.0+cu130"));
        assert!(!same_release("2.12.0", "2.11.0"));
        assert!(!same_release("2.1.0", "2.11.0"));
    }

    #[test]
    fn no_gpu_is_a_problem_only_where_one_is_asked_for() {
        let none = Cuda { driver: None, no_driver: Some("no libcuda.so.1".to_owned()), ..cuda(0, 0) };
        assert_eq!(of_cuda(&none, DeviceChoice::Auto), None);
        assert!(of_cuda(&none, DeviceChoice::Cuda(0)).unwrap().0.contains("no NVIDIA driver: no libcuda.so.1"));
    }

    #[test]
    fn a_gpu_that_cannot_be_used_is_told_with_what_to_do() {
        assert_eq!(of_cuda(&cuda(2, 2), DeviceChoice::Auto), None);
        let unloaded = Cuda { not_loaded: Some("libtorch_cuda.so: absent".to_owned()), ..cuda(1, 0) };
        let (what, hint) = of_cuda(&unloaded, DeviceChoice::Cpu).unwrap();
        assert!(what.contains("libtorch_cuda.so: absent") && hint.contains("make setup-cuda"), "{what} {hint}");
        let (what, _) = of_cuda(&cuda(1, 0), DeviceChoice::Auto).unwrap();
        assert!(what.contains("serves CUDA 12.4"), "{what}");
        assert!(of_cuda(&cuda(1, 1), DeviceChoice::Cuda(1)).is_some());
    }
}

//! What is wrong, and what to do about it.

use super::Report;
use super::machine::Cuda;
use crate::commands::DeviceChoice;
use crate::commands::device::is_absent;
use serde::Serialize;

/// Something that is not as it should be.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Problem {
    pub what: String,
    pub hint: String,
    /// The job that was asked for can't be done.
    pub essential: bool,
}

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
    let asked_for = |index: usize| !matches!(asked, DeviceChoice::Cuda(wanted) if wanted != index);
    let mut devices = cuda.devices.iter().enumerate().filter(|(index, _)| asked_for(*index));
    if let Some((reason, hint)) = devices.find_map(|(_, device)| device.refusal.clone()) {
        return Some((reason, hint));
    }
    if let Some(reason) = cuda.not_loaded.as_ref().filter(|reason| !is_absent(reason)) {
        let hint =
            "look at what LD_LIBRARY_PATH and LIBTORCH name: libtorch_cuda.so must be of the libtorch that is loaded";
        return Some((format!("libtorch's CUDA part is here and can't be loaded: {reason}"), hint));
    }
    if cuda.usable_devices >= wanted {
        return None;
    }
    if let Some(reason) = &cuda.no_driver {
        return Some((format!("no NVIDIA driver: {reason}"), "install NVIDIA's driver, or use --device cpu"));
    }
    if let Some(reason) = &cuda.not_loaded {
        let hint = cuda.devices.first().map_or("look at CUDA_VISIBLE_DEVICES", |device| device.get_cuda);
        return Some((format!("a GPU is here, but libtorch's CUDA part can't be loaded: {reason}"), hint));
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
    use crate::tensor::bridge::architectures::Architectures;
    use crate::tensor::bridge::machine::{Capability, Gpu};

    const ABSENT: &str = "libtorch_cuda.so: cannot open shared object file: No such file or directory";

    /// A GPU beside a libtorch for Turing and later.
    fn gpu(major: i32, minor: i32) -> Device {
        let gpu = Gpu { name: "GPU".to_owned(), memory_bytes: 1, capability: Capability { major, minor } };
        Device::new(gpu, Architectures::parse("-gencode;arch=compute_75,code=sm_75").as_ref())
    }

    fn cuda(devices: usize, usable_devices: usize) -> Cuda {
        Cuda {
            not_loaded: None,
            built_with: Some("13.0".to_owned()),
            architectures: Some("7.5".to_owned()),
            unknown_architectures: None,
            usable_devices,
            driver: Some("12.4".to_owned()),
            no_driver: None,
            no_nccl: None,
            devices: (0..devices).map(|_| gpu(7, 5)).collect(),
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
        let unloaded = Cuda { not_loaded: Some(ABSENT.to_owned()), ..cuda(1, 0) };
        let (what, hint) = of_cuda(&unloaded, DeviceChoice::Cpu).unwrap();
        assert!(what.contains(ABSENT) && hint.contains("make setup-cuda"), "{what} {hint}");
        let (what, _) = of_cuda(&cuda(1, 0), DeviceChoice::Auto).unwrap();
        assert!(what.contains("serves CUDA 12.4"), "{what}");
        assert!(of_cuda(&cuda(1, 1), DeviceChoice::Cuda(1)).is_some());
    }

    #[test]
    fn a_gpu_without_kernels_is_told_with_the_libtorch_that_has_them() {
        let volta = Cuda { devices: vec![gpu(7, 5), gpu(7, 0)], ..cuda(0, 2) };
        for asked in [DeviceChoice::Auto, DeviceChoice::Cuda(1)] {
            let (what, hint) = of_cuda(&volta, asked).unwrap();
            assert!(what.contains("capability 7.0") && what.contains("kernels for 7.5 alone"), "{what}");
            assert!(hint.contains("CUDA 12.6"), "{hint}");
        }
        assert_eq!(of_cuda(&volta, DeviceChoice::Cuda(0)), None);
        let unloaded = Cuda { not_loaded: Some(ABSENT.to_owned()), ..cuda(0, 0) };
        // Without libtorch's CUDA part nothing says what it serves.
        let old = Cuda { devices: vec![Device { served: None, refusal: None, ..gpu(7, 0) }], ..unloaded };
        assert!(of_cuda(&old, DeviceChoice::Auto).unwrap().1.contains("CUDA 12.6"));
    }

    #[test]
    fn a_broken_cuda_part_is_told_also_without_a_gpu() {
        let broken = Cuda { not_loaded: Some("its initialisation failed: twice".to_owned()), ..cuda(0, 0) };
        assert!(of_cuda(&broken, DeviceChoice::Auto).unwrap().0.contains("its initialisation failed: twice"));
        let absent = Cuda { not_loaded: Some(ABSENT.to_owned()), ..cuda(0, 0) };
        assert_eq!(of_cuda(&absent, DeviceChoice::Auto), None);
    }
}

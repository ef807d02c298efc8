//! What the machine is: the libtorch that is loaded, processor, memory, GPUs.

use crate::commands::device::{get_cuda, without_kernels};
use crate::error::{Result, first_line};
use crate::memory;
use crate::tensor::bridge::LIBTORCH_VERSION;
use crate::tensor::bridge::architectures::{self, Architectures};
use crate::tensor::bridge::group::load_nccl;
use crate::tensor::bridge::machine::{self, Gpu};
use serde::Serialize;
use std::thread::available_parallelism;

/// The libtorch that is loaded, which `LD_LIBRARY_PATH` can change.
#[derive(Debug, Serialize)]
pub(super) struct Libtorch {
    /// Its version; `None` where it does not say.
    pub loaded: Option<String>,
    /// The version that this program was built with.
    pub built_with: &'static str,
    /// Where its libraries lie.
    pub libraries: Vec<String>,
    /// The instructions that its kernels and ours use: `AVX2`, `AVX512`.
    pub instructions: String,
}

/// The processor and the threads on it.
#[derive(Debug, Serialize)]
pub(super) struct Processor {
    pub name: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Threads of tensor operations.
    pub threads: i32,
    pub omp_num_threads: Option<String>,
    pub gomp_spincount: Option<String>,
    /// Whether it multiplies bf16 matrices by instructions of its own, and by which.
    pub native_bf16: Vec<&'static str>,
}

/// Main memory, as the machine or the job's control group bounds it; 0 where the system does not say.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub total_bytes: u64,
    pub available_bytes: u64,
}

/// CUDA: libtorch's part of it, and the driver's.
#[derive(Debug, Serialize)]
pub(super) struct Cuda {
    /// Why libtorch's CUDA part can't be loaded; `None` where it is.
    pub not_loaded: Option<String>,
    /// The CUDA that libtorch's part was built with: `13.0`.
    pub built_with: Option<String>,
    /// The compute capabilities that libtorch has kernels for.
    pub architectures: Option<String>,
    /// Why they are not known, where libtorch's CUDA part is loaded.
    pub unknown_architectures: Option<String>,
    /// How many devices libtorch can use.
    pub usable_devices: usize,
    /// The newest CUDA that the driver serves.
    pub driver: Option<String>,
    /// Why the driver can't be asked.
    pub no_driver: Option<String>,
    /// Why several GPUs can't sum their tensors by NCCL; `None` where they can, or CUDA is not loaded.
    pub no_nccl: Option<String>,
    /// The GPUs that the driver shows.
    pub devices: Vec<Device>,
}

/// A GPU.
#[derive(Debug, Serialize)]
pub(super) struct Device {
    pub name: String,
    pub memory_bytes: u64,
    pub capability: String,
    /// fp16 pays here, and `--amp` takes it.
    pub tensor_cores: bool,
    /// bf16 and TF32 on the same units.
    pub bf16: bool,
    /// Whether libtorch has kernels for it; absent where libtorch does not say.
    pub served: Option<bool>,
    /// Why not, and what to do.
    #[serde(skip)]
    pub refusal: Option<(String, &'static str)>,
    /// How a libtorch with kernels for it comes to this program.
    #[serde(skip)]
    pub get_cuda: &'static str,
}

impl Device {
    /// A GPU beside a libtorch that serves these architectures.
    pub fn new(gpu: Gpu, architectures: Option<&Architectures>) -> Self {
        let Gpu { name, memory_bytes, capability } = gpu;
        Self {
            memory_bytes,
            capability: capability.to_string(),
            tensor_cores: capability.has_tensor_cores(),
            bf16: capability.has_bf16(),
            served: architectures.map(|architectures| architectures.serve(capability)),
            refusal: architectures.and_then(|architectures| without_kernels(&name, capability, architectures)),
            get_cuda: get_cuda(capability),
            name,
        }
    }
}

pub(super) fn libtorch() -> Result<Libtorch> {
    let config = machine::libtorch_config()?;
    Ok(Libtorch {
        loaded: between(&config, "TORCH_VERSION=", &[',', '\n']),
        built_with: LIBTORCH_VERSION,
        libraries: loaded_libraries(&std::fs::read_to_string("/proc/self/maps").unwrap_or_default()),
        instructions: machine::instructions()?,
    })
}

/// What stands in `text` after `before`, up to one of `ends`.
fn between(text: &str, before: &str, ends: &[char]) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split(ends).next()?.trim().to_owned())
}

/// The paths of libtorch's and OpenMP's libraries in a process's memory map.
fn loaded_libraries(map: &str) -> Vec<String> {
    let paths = map.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    let is_ours = |path: &&str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        ["libtorch_c", "libc10", "libgomp", "libomp", "libiomp"].iter().any(|start| name.starts_with(start))
    };
    let mut ours: Vec<String> = paths.filter(is_ours).map(str::to_owned).collect();
    ours.sort();
    ours.dedup();
    ours
}

pub(super) fn processor() -> Processor {
    let facts = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = between(&facts, "\nflags", &['\n']).unwrap_or_default();
    let variable = |name| std::env::var(name).ok();
    Processor {
        name: between(&facts, "model name\t: ", &['\n']).unwrap_or_else(|| "unknown".to_owned()),
        cores: available_parallelism().map_or(1, usize::from),
        threads: tch::get_num_threads(),
        omp_num_threads: variable("OMP_NUM_THREADS"),
        gomp_spincount: variable("GOMP_SPINCOUNT"),
        native_bf16: native_bf16(&flags),
    }
}

/// By the names that Linux gives to a processor's abilities.
fn native_bf16(flags: &str) -> Vec<&'static str> {
    let known = [("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-bf16")];
    let has = |flag| flags.split_whitespace().any(|word| word == flag);
    known.iter().filter(|(flag, _)| has(*flag)).map(|(_, name)| *name).collect()
}

pub(super) fn memory() -> Memory {
    let room = memory::host();
    Memory { total_bytes: room.total, available_bytes: room.free }
}

/// `not_loaded` is why libtorch's CUDA part can't be loaded.
pub(super) fn cuda(not_loaded: Option<String>) -> Cuda {
    let driver = machine::driver();
    let count = driver.as_ref().map_or(0, |driver| driver.gpus);
    let usable = not_loaded.is_none() && tch::Cuda::is_available();
    let (config, silence) = match (&not_loaded, machine::cuda_config()) {
        (Some(_), _) => (String::new(), None),
        (None, Ok(config)) => (config, Some("it does not say".to_owned())),
        (None, Err(error)) => (String::new(), Some(error.to_string())),
    };
    let architectures = Architectures::parse(&config);
    let devices = (0..count).filter_map(|index| machine::gpu(index).ok());
    let no_nccl = not_loaded.is_none().then(load_nccl).and_then(|loaded| Some(first_line(&loaded.err()?.to_string())));
    Cuda {
        not_loaded,
        no_nccl,
        built_with: architectures::cuda_version(&config),
        usable_devices: if usable { usize::try_from(tch::Cuda::device_count()).unwrap_or(0) } else { 0 },
        driver: driver.as_ref().ok().map(|driver| cuda_version(driver.cuda_version)),
        no_driver: driver.err(),
        devices: devices.map(|gpu| Device::new(gpu, architectures.as_ref())).collect(),
        unknown_architectures: silence.filter(|_| architectures.is_none()),
        architectures: architectures.map(|architectures| architectures.to_string()),
    }
}

/// 13020 is CUDA 13.2.
fn cuda_version(number: i32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_named_once_and_by_path() {
        let map = "7f00-7f01 r--p 00000000 fe:00 12   /a b/lib/libtorch_cpu.so\n\
                   7f01-7f02 r-xp 00001000 fe:00 12   /a b/lib/libtorch_cpu.so\n\
                   7f03-7f04 r-xp 00001000 fe:00 13   /usr/lib/libc.so.6\n\
                   7f05-7f06 rw-p 00000000 00:00 0    [heap]\n\
                   7f07-7f08 r-xp 00001000 fe:00 14   /a b/lib/libgomp.so.1\n";
        assert_eq!(loaded_libraries(map), ["/a b/lib/libgomp.so.1", "/a b/lib/libtorch_cpu.so"]);
    }

    #[test]
    fn versions_are_read_from_what_libtorch_tells() {
        let config = "PyTorch built with:\n  - CPU capability usage: AVX512\n  - X=1, TORCH_VERSION=2.11.0, USE=0\n";
        assert_eq!(between(config, "TORCH_VERSION=", &[',', '\n']).as_deref(), Some("2.11.0"));
        assert_eq!(between(config, "CPU capability usage: ", &['\n']).as_deref(), Some("AVX512"));
        assert_eq!(between(config, "absent", &['\n']), None);
        assert_eq!(cuda_version(13020), "13.2");
    }

    #[test]
    fn half_precision_of_a_processor_is_told_by_its_flags() {
        assert_eq!(native_bf16(": fpu avx512f avx512_bf16 amx_tile amx_bf16"), ["AMX", "AVX512-bf16"]);
        assert!(native_bf16(": fpu avx2 avx512f").is_empty());
    }
}

//! Which device and which precision are taken, on GPUs that are imagined.

use super::*;

#[test]
fn amp_follows_the_device() {
    let on = |amp, device| precision(amp, device).map_err(|error| error.exit_code());
    assert_eq!(on(None, Device::Cuda(0)), Ok(Precision::Fp32));
    assert_eq!(on(Some(AmpChoice::Auto), Device::Cpu), Ok(Precision::Bf16));
    assert_eq!(on(Some(AmpChoice::Fp16), Device::Cuda(0)), Ok(Precision::Fp16));
    assert_eq!(on(Some(AmpChoice::Fp16), Device::Cpu), Err(2));
}

#[test]
fn amp_alone_takes_fp16_where_there_are_tensor_cores() {
    let chosen = |major, minor| {
        let gpu = Gpu { name: "GPU".to_owned(), memory_bytes: 0, capability: Capability { major, minor } };
        automatic(Device::Cuda(1), |index| (index == 1).then_some(gpu).ok_or_else(|| "which?".to_owned()))
    };
    assert_eq!(chosen(7, 0), (Precision::Fp16, "with loss scaling, on GPU with Tensor Cores".to_owned()));
    assert_eq!(chosen(9, 0).0, Precision::Fp16);
    let (precision, why) = chosen(6, 1);
    assert_eq!(precision, Precision::Bf16);
    assert!(why.contains("no Tensor Cores (6.1)"), "{why}");
    let (precision, why) = automatic(Device::Cuda(0), |_| Err("no driver".to_owned()));
    assert_eq!(precision, Precision::Bf16);
    assert!(why.contains("no driver"), "{why}");
}

const CUDA_13: &str = "-gencode;arch=compute_75,code=sm_75;-gencode;arch=compute_80,code=sm_80;\
                       -gencode;arch=compute_86,code=sm_86;-gencode;arch=compute_90,code=sm_90\n";

/// What `served` says of a GPU with this capability, on the libtorch of PyPI.
fn judged(major: i32, minor: i32) -> std::result::Result<(), Refusal> {
    let gpu = Gpu { name: "Tesla X".to_owned(), memory_bytes: 0, capability: Capability { major, minor } };
    served(Ok(gpu), Architectures::parse(CUDA_13).as_ref())
}

#[test]
fn a_gpu_without_kernels_is_refused_by_name_capability_and_what_is_served() {
    let refusal = judged(7, 0).unwrap_err();
    for word in ["Tesla X", "capability 7.0", "7.5, 8.0, 8.6, 9.0 alone"] {
        assert!(refusal.reason.contains(word), "{refusal:?}");
    }
    let hint = |major, minor| judged(major, minor).unwrap_err().hint.unwrap();
    assert!(hint(7, 0).contains("CUDA 12.6") && hint(7, 0).contains("cu126"), "{refusal:?}");
    assert!(!refusal.is_expected, "a fall back to the processor must be told");
    assert!(!hint(3, 7).contains("12.6") && hint(12, 0).contains("built for it"));
    for (major, minor) in [(7, 5), (8, 0), (8, 9), (9, 0)] {
        assert_eq!(judged(major, minor), Ok(()));
    }
}

#[test]
fn a_gpu_is_not_refused_where_driver_or_libtorch_do_not_say() {
    let served_by = |architectures: Option<&Architectures>| served(Err("no driver".to_owned()), architectures);
    assert_eq!(served_by(Architectures::parse(CUDA_13).as_ref()), Ok(()));
    assert_eq!(served_by(None), Ok(()));
}

#[test]
fn only_a_library_that_is_nowhere_is_expected_to_be_missing() {
    let absent = "cannot open shared object file: No such file or directory";
    assert!(is_absent(&format!("libtorch_cuda.so: {absent}")));
    assert!(!is_absent(&format!("libcudnn.so.9: {absent}")));
    let broken = Err("its initialisation failed: no registration".to_owned());
    let refusal = cuda(0, &broken).unwrap_err();
    assert!(refusal.reason.contains("no registration") && !refusal.is_expected, "{refusal:?}");
}

#[test]
fn bf16_without_units_for_it_is_warned_of() {
    let warned = |major, minor| {
        slow_bf16(Ok(Gpu { name: "T4".to_owned(), memory_bytes: 0, capability: Capability { major, minor } }))
    };
    assert!(warned(7, 5).unwrap().contains("T4 (7.5)"));
    assert!(warned(7, 5).unwrap().contains("--amp fp16"));
    assert!(!warned(6, 1).unwrap().contains("--amp fp16"));
    assert_eq!(warned(8, 0), None);
    assert_eq!(slow_bf16(Err("no driver".to_owned())), None);
}

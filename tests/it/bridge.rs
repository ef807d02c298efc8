//! The bridge: autocast guards on a CPU, CUDA's absence, exceptions as errors, profiles.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sgas::error::Error;
use sgas::tensor::bridge::LIBTORCH_VERSION;
use sgas::tensor::bridge::autocast::Autocast;
use sgas::tensor::bridge::device::{load_cuda, peak_memory, synchronize};
use sgas::tensor::bridge::gather::{Neighbourhood, OwnPoint, gather_max};
use sgas::tensor::bridge::profile::profiled;
use tch::{Device, Kind, Tensor};

/// The type in which a matrix product of fp32 matrices comes out here and now.
fn product_kind() -> Kind {
    let matrix = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
    matrix.matmul(&matrix).kind()
}

#[test]
fn autocast_lasts_as_long_as_its_guard() {
    assert_eq!(product_kind(), Kind::Float);
    for kind in [Kind::BFloat16, Kind::Half] {
        let guard = Autocast::enter(Device::Cpu, kind).unwrap();
        assert_eq!(product_kind(), kind);
        drop(guard);
        assert_eq!(product_kind(), Kind::Float);
    }
}

#[test]
fn guards_nest_and_an_island_is_fp32() {
    let _outer = Autocast::enter(Device::Cpu, Kind::BFloat16).unwrap();
    {
        let _island = Autocast::disabled(Device::Cpu).unwrap();
        assert_eq!(product_kind(), Kind::Float);
        let _inner = Autocast::enter(Device::Cpu, Kind::Half).unwrap();
        assert_eq!(product_kind(), Kind::Half);
    }
    assert_eq!(product_kind(), Kind::BFloat16);
}

#[test]
fn a_panic_ends_autocast() {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _guard = Autocast::enter(Device::Cpu, Kind::BFloat16).unwrap();
        let _island = Autocast::disabled(Device::Cpu).unwrap();
        // Sizes that don't fit: libtorch throws, tch panics.
        Tensor::ones([2, 3], (Kind::Float, Device::Cpu)).matmul(&Tensor::ones([2, 3], (Kind::Float, Device::Cpu)))
    }));
    assert!(outcome.is_err());
    assert_eq!(product_kind(), Kind::Float);
}

#[test]
fn the_outermost_guard_forgets_the_half_copies() {
    let weight = Tensor::ones([4, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let input = Tensor::ones([1, 4], (Kind::Float, Device::Cpu));
    let product = || {
        let _guard = Autocast::enter(Device::Cpu, Kind::BFloat16).unwrap();
        input.matmul(&weight).to_kind(Kind::Double).double_value(&[0, 0])
    };
    assert_eq!(product(), 4.0);
    let _ = tch::no_grad(|| weight.shallow_clone().fill_(2.0));
    assert_eq!(product(), 8.0);
}

#[test]
fn the_backward_pass_gives_fp32_gradients() {
    let weight = Tensor::ones([4, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let loss = {
        let _guard = Autocast::enter(Device::Cpu, Kind::BFloat16).unwrap();
        Tensor::ones([2, 4], (Kind::Float, Device::Cpu)).matmul(&weight).sum(Kind::Float)
    };
    loss.backward();
    assert_eq!(weight.grad().kind(), Kind::Float);
    assert_eq!(weight.grad().double_value(&[0, 0]), 2.0);
}

#[test]
fn other_types_are_refused() {
    let refusal = Autocast::enter(Device::Cpu, Kind::Float).unwrap_err();
    assert!(matches!(refusal, Error::Invalid { .. }), "{refusal}");
    assert_eq!(product_kind(), Kind::Float);
}

#[test]
fn without_cuda_the_reason_is_an_error_and_not_a_panic() {
    if load_cuda().is_ok() {
        println!("skipped: libtorch_cuda is here, so its absence can't be seen");
        return;
    }
    assert!(load_cuda().unwrap_err().contains("libtorch_cuda.so"));
    let failure = synchronize(Device::Cuda(0)).unwrap_err();
    assert!(matches!(&failure, Error::Torch(text) if text.contains("CUDA")), "{failure}");
    assert!(!failure.to_string().contains("frame #"), "{failure}");
    assert!(peak_memory(Device::Cuda(0)).is_err());
}

#[test]
fn a_cpu_needs_no_waiting() {
    synchronize(Device::Cpu).unwrap();
    assert_eq!(peak_memory(Device::Cpu).unwrap(), None);
}

#[test]
fn the_version_is_the_one_that_tch_expects() {
    assert!(LIBTORCH_VERSION.starts_with("2.11."), "{LIBTORCH_VERSION}");
}

#[test]
fn a_profile_counts_operators_and_kernels_in_both_passes() {
    let x = Tensor::ones([4, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let neighbours = Tensor::from_slice(&[0_i64, 1, 1, 0, 2, 3, 3, 2]).view([4, 2]);
    let graph = Neighbourhood { neighbours: &neighbours, clouds: 1 };
    let step = || {
        let y = gather_max(&x, &graph, OwnPoint::Kept).unwrap().sin();
        Tensor::run_backward(&[y.sum(Kind::Float)], &[&x], false, false)
    };
    let (_, operators) = profiled(step).unwrap();
    let calls = |name: &str, backward: bool| {
        let found = operators.iter().find(|operator| operator.name == name && operator.backward == backward);
        found.map(|operator| operator.calls)
    };
    assert_eq!((calls("gather_max", false), calls("gather_max", true)), (Some(1), Some(1)));
    assert_eq!((calls("aten::sin", false), calls("aten::cos", true)), (Some(1), Some(1)));
    assert!(profiled(|| profiled(step).is_err()).unwrap().0, "a profile inside of another");
    assert!(profiled(|| ()).unwrap().1.iter().all(|operator| operator.name.starts_with("profile")));
}

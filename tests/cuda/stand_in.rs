//! The stand-in itself: it finds what a GPU would do wrong, and counts what a GPU would be given.

use crate::counts::{Counts, read};
use crate::has_stand_in;
use sgas::tensor::bridge::device::synchronize;
use sgas::tensor::bridge::profile::profiled;
use sgas::tensor::bridge::types::recorded;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use tch::{Device, IndexOp, Kind, Tensor};

const CUDA: Device = Device::Cuda(0);

fn ones(size: &[i64], device: Device) -> Tensor {
    Tensor::ones(size, (Kind::Float, device))
}

#[test]
fn tensors_of_two_devices_do_not_meet() {
    if !has_stand_in() {
        return;
    }
    for meet in [
        |one: &Tensor, other: &Tensor| one + other,
        |one: &Tensor, other: &Tensor| one.matmul(other),
        |one: &Tensor, other: &Tensor| Tensor::cat(&[one, other], 0),
    ] {
        let (host, device) = (ones(&[2, 2], Device::Cpu), ones(&[2, 2], CUDA));
        assert_eq!(meet(&device, &device).device(), CUDA);
        let panic = catch_unwind(AssertUnwindSafe(|| meet(&device, &host))).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("same device"), "{text}");
    }
    // A single number of the host travels with the call.
    assert_eq!((ones(&[2], CUDA) * Tensor::from(3.0)).sum(Kind::Float).double_value(&[]), 6.0);
}

#[test]
fn fresh_memory_is_not_a_number() {
    if has_stand_in() {
        let numbers = [Kind::Float, Kind::Half, Kind::BFloat16].map(|kind| Tensor::empty([3, 5], (kind, CUDA)));
        assert!(numbers.iter().all(|fresh| fresh.isnan().all().int64_value(&[]) == 1));
        assert_eq!(Tensor::empty([2], (Kind::Int64, CUDA)).sum(Kind::Int64).int64_value(&[]), -2);
    }
}

#[test]
fn views_share_memory_and_results_do_not() {
    if has_stand_in() {
        let whole = Tensor::zeros([4, 2], (Kind::Float, CUDA));
        let _ = whole.i(1).fill_(1.0);
        let _ = whole.view([8]).narrow(0, 6, 2).fill_(2.0);
        let _ = (&whole + 1.0).fill_(9.0);
        assert_eq!(Vec::<f32>::try_from(whole.flatten(0, -1)).unwrap(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 2.0, 2.0]);
    }
}

/// Autograd computes a GPU's backward passes on a thread of its own: the records see it.
#[test]
fn backward_passes_are_recorded() {
    if !has_stand_in() {
        return;
    }
    let step = || {
        let weight = ones(&[4, 4], CUDA).set_requires_grad(true);
        let loss = ones(&[2, 4], CUDA).matmul(&weight).sum(Kind::Float);
        drop(Tensor::run_backward(&[loss], &[&weight], false, false));
    };
    let (_, operators) = profiled(step).unwrap();
    let (_, arrivals) = recorded(step).unwrap();
    for backward in [false, true] {
        assert!(operators.iter().any(|operator| operator.name == "aten::mm" && operator.backward == backward));
        assert!(arrivals.iter().any(|arrival| arrival.name == "aten::mm" && arrival.backward == backward));
    }
    // Without a record nothing is added to the last one.
    step();
    assert_eq!(profiled(|| ()).unwrap().1, []);
}

/// A test of this file that is to run in a process of its own, with other settings of the stand-in.
fn alone(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("stand_in::{test}"), "--ignored", "--nocapture"]);
    command
}

/// What [`counted_steps`] took.
fn counted() -> Vec<Counts> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts");
    assert!(alone("counted_steps").env("SGAS_STAND_IN_COUNTS", &path).output().unwrap().status.success());
    read(&path)
}

/// Steps whose counts [`waits_are_told_from_what_goes_on_by_itself`] knows.
#[test]
#[ignore = "runs in a process of its own"]
fn counted_steps() {
    assert!(has_stand_in());
    let host = ones(&[8, 3], Device::Cpu);
    let pinned = host.pin_memory(CUDA);
    assert!(pinned.is_pinned(CUDA) && !host.is_pinned(CUDA));
    let device = host.to_device(CUDA);
    let steps: [&dyn Fn() -> Tensor; 9] = [
        &|| &device * 2.0,
        &|| device.view([24]).view([4, 6]),
        &|| host.to_device_(CUDA, Kind::Float, true, false),
        &|| pinned.to_device_(CUDA, Kind::Float, false, false),
        &|| pinned.to_device_(CUDA, Kind::Float, true, false),
        &|| pinned.narrow(1, 0, 2).to_device_(CUDA, Kind::Float, true, false),
        &|| device.index(&[Some(device.select(1, 0).gt(0.0))]),
        &|| device.to_device(Device::Cpu),
        &|| Tensor::from(device.sum(Kind::Float).double_value(&[])),
    ];
    for step in steps {
        synchronize(CUDA).unwrap();
        drop(step());
    }
    synchronize(CUDA).unwrap();
}

#[test]
fn waits_are_told_from_what_goes_on_by_itself() {
    if !has_stand_in() {
        return;
    }
    let counts = counted();
    // The first ends what was prepared, the last the process.
    let found: Vec<(u64, u64)> =
        counts[1..counts.len() - 1].iter().map(|counts| (counts.calls(), counts.stops())).collect();
    // A product; views; copies: of the host's memory, without being asked to go on, of pinned memory, of pinned memory
    // that lies scattered; a mask and the rows that it picks; a copy to the host; a sum and its number.
    assert_eq!(found, [(1, 0), (0, 0), (1, 1), (1, 1), (1, 0), (1, 1), (2, 1), (1, 1), (2, 1)]);
    assert_eq!(counts[2].views.values().sum::<u64>(), 2);
}

/// fp16 reaches to 65504.
#[test]
#[ignore = "runs in a process of its own"]
fn a_number_beyond_fp16() {
    assert!(has_stand_in());
    let large = Tensor::full([2], 1e6, (Kind::Float, CUDA));
    assert_eq!(large.to_kind(Kind::BFloat16).isfinite().all().int64_value(&[]), 1);
    drop(large.to_kind(Kind::Half));
}

#[test]
fn the_first_operator_that_makes_infinity_is_named() {
    if !has_stand_in() {
        return;
    }
    let said = |check: Option<&str>| {
        let mut command = alone("a_number_beyond_fp16");
        command.env_remove("SGAS_STAND_IN_CHECK").envs(check.map(|value| ("SGAS_STAND_IN_CHECK", value)));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(text.contains("running 1 test"), "{text}");
        text
    };
    assert!(!said(None).contains("made NaN or infinity"));
    assert!(said(Some("1")).contains("aten::copy_ made NaN or infinity of finite numbers"));
}

//! Two processes that share a run on CUDA. On the stand-in NCCL's library is a stand-in too, and each process believes the
//! one device to be its own.

use crate::{has_cuda, has_stand_in, sgas, words};
use ::sgas::tensor::bridge::device::load_cuda;
use ::sgas::tensor::bridge::group::{Store, load_nccl};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::Duration;
use tch::{Device, Kind, Tensor, no_grad};

const TRAIN: &str = "train --config smoke/train-points --genotype Cri2_ModelNet_Best --data synthetic \
                     --set data.synthetic.train=40 --set data.synthetic.test=20 --set data.points=48 \
                     --set model.channels=4 --set point.embedding=16 --set train.epochs=1 --batch 5";

/// Two processes of a command of one line, by variables set by hand.
fn shared(folder: &Path, line: &str, environment: &[(&str, &str)]) -> [Output; 2] {
    on_devices(["cuda", "cuda"], folder, line, environment)
}

/// The same on these devices.
fn on_devices(devices: [&str; 2], folder: &Path, line: &str, environment: &[(&str, &str)]) -> [Output; 2] {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let start = |rank: usize| -> Child {
        let command = sgas(folder);
        let mut process = std::process::Command::new(command.get_program());
        let words = words(line).into_iter().map(|word| if word == "cuda" { devices[rank] } else { word });
        process.args(words).current_dir(folder).env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0");
        process
            .env("RANK", rank.to_string())
            .env("WORLD_SIZE", "2")
            .env("LOCAL_RANK", "0")
            .env("LOCAL_WORLD_SIZE", "1");
        process.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", &port).envs(environment.iter().copied());
        process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    [0, 1].map(start).map(|process| process.wait_with_output().unwrap())
}

fn said(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

/// A run that ends well, with what its first process said and the weights that it came to.
fn run_of(folder: &Path, name: &str, line: &str, environment: &[(&str, &str)]) -> (String, Vec<u8>) {
    let ended = shared(folder, &format!("{line} --out {name}"), environment);
    for process in &ended {
        assert!(process.status.success(), "{name}: {}", said(process));
    }
    (said(&ended[0]), std::fs::read(folder.join(name).join("weights-last.safetensors")).unwrap())
}

/// What one GPU can show: the library loads, NCCL begins on the GPU, and a sum of one process's numbers is these numbers.
#[test]
fn one_process_sums_by_nccl() {
    if !has_cuda() {
        return;
    }
    load_cuda().unwrap();
    if let Err(why) = load_nccl() {
        println!("skipped: no NCCL here, which `make nccl` builds: {why}");
        return;
    }
    let store = Store::serve(0, "test").unwrap();
    let group = store.connect(0, 1, Some("127.0.0.1"), Duration::from_secs(60)).unwrap();
    group.connect_gpus().unwrap();
    for kind in [Kind::Float, Kind::Double, Kind::Int64] {
        let numbers = Tensor::arange(1000, (kind, Device::Cuda(0)));
        let mut sum = numbers.copy();
        assert!(group.sums_beside(&sum));
        no_grad(|| group.all_reduce(&mut sum)).unwrap();
        assert!(sum.equal(&numbers));
    }
    group.leave_gpus().unwrap();
}

#[test]
fn sums_by_nccl_and_by_way_of_host_memory_are_the_same() {
    if !has_stand_in() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    for precision in ["", "--amp bf16 --sync-batch-norm", "--amp fp16"] {
        let line = format!("{TRAIN} {precision}");
        let name = |which: &str| format!("{which}{}", precision.replace(' ', ""));
        let (told, by_nccl) = run_of(folder, &name("nccl"), &line, &[]);
        assert!(told.contains("tensors of GPUs are summed by NCCL"), "{told}");
        let (told, by_host) = run_of(folder, &name("gloo"), &line, &[("SGAS_COLLECTIVES", "gloo")]);
        assert!(told.contains("by way of host memory, not by NCCL: SGAS_COLLECTIVES says so"), "{told}");
        assert!(by_nccl == by_host, "{line}");
    }
}

#[test]
fn nccl_that_can_not_be_used_is_told_and_done_without() {
    if !has_stand_in() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let line = TRAIN;
    let (_, usual) = run_of(folder, "usual", line, &[]);
    for (how, why) in
        [("refused", "NCCL is refused"), ("wrong", "a sum of 1 numbers (Float, Cuda(0)) over 2 processes is wrong")]
    {
        let (told, weights) = run_of(folder, how, line, &[("SGAS_STAND_IN_NCCL", how)]);
        assert!(told.contains("by way of host memory, not by NCCL") && told.contains(why), "{told}");
        assert!(weights == usual, "{how}");
    }
    let asked = [("SGAS_STAND_IN_NCCL", "refused"), ("SGAS_COLLECTIVES", "nccl")];
    for ended in shared(folder, &format!("{line} --out asked"), &asked) {
        let told = said(&ended);
        assert!(ended.status.code() == Some(1) && told.contains("NCCL can't be used: "), "{told}");
        assert!(told.contains("SGAS_COLLECTIVES=gloo"), "{told}");
    }
    assert!(!folder.join("asked").exists());
    // Where one computes on a processor, neither tries. The norm that clips would be another sum on each device.
    let ended = on_devices(["cuda", "cpu"], folder, &format!("{line} --set weights.clip=0 --out mixed"), &[]);
    assert!(ended.iter().all(|process| process.status.success()), "{}", said(&ended[0]));
    assert!(said(&ended[0]).contains("not by NCCL: another process can't"), "{}", said(&ended[0]));
    // Processes that share a GPU do not try.
    let (told, weights) = run_of(folder, "two", line, &[("LOCAL_WORLD_SIZE", "2")]);
    assert!(told.contains("not by NCCL: processes share a GPU") && weights == usual, "{told}");
}

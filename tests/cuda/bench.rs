//! `sgas bench` on CUDA: every kind of network in every precision.

use crate::{has_cuda, sgas, words};
use serde_json::Value;

#[test]
fn every_kind_of_network_is_measured_in_every_precision() {
    if !has_cuda() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let recipes = [
        "--config smoke/search-points --search --batch 4",
        "--config smoke/train-points --batch 4",
        "--config smoke/search-images --search --batch 4",
        "--config smoke/train-images --batch 4",
        "--config smoke/search-graphs --search --batch 1",
        "--config smoke/train-graphs --batch 1",
        "--config smoke/train-s3dis --model resgcn --batch 2",
    ];
    for recipe in recipes {
        let line = format!("bench --json --warmup 0 --repeats 1 {recipe}");
        // Whole runs have every number checked; here steps are only to be measured.
        let mut command = sgas(folder.path());
        let assert = command.env_remove("SGAS_STAND_IN_CHECK").args(words(&line)).assert().success();
        let report: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
        let rows = report["recipes"][0]["rows"].as_array().unwrap();
        let measured: Vec<&str> = rows.iter().map(|row| row["precision"].as_str().unwrap()).collect();
        assert_eq!(measured, ["fp32", "tf32", "bf16", "fp16"], "{recipe}");
        for row in rows {
            assert!(row["failed"].is_null() && row["absent"].is_null(), "{recipe}: {row}");
            assert!(row["peak_device_bytes"].as_u64().unwrap() > 0, "{recipe}: {row}");
        }
    }
}

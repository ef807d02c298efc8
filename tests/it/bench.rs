//! `sgas bench`: every precision of a processor is measured or says why not; what fails is a row and an exit code.

use crate::cli::sgas;
use serde_json::Value;
use std::path::Path;

/// The JSON of a bench of one short step.
fn bench(folder: &Path, words: &str, code: i32) -> Value {
    let mut command = sgas(folder);
    command.args(["bench", "--json", "--device", "cpu", "--threads", "1", "--warmup", "0", "--repeats", "2"]);
    let output = command.args(words.split_whitespace()).assert().code(code).get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

fn row<'a>(recipe: &'a Value, precision: &str) -> &'a Value {
    let rows = recipe["rows"].as_array().unwrap();
    rows.iter().find(|row| row["precision"] == precision).unwrap_or_else(|| panic!("{precision} in {recipe}"))
}

#[test]
fn every_kind_of_recipe_is_measured_in_every_precision_of_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let recipes = [
        ("--config smoke/search-points --search", "search", "points", "clouds"),
        ("--config smoke/train-images", "train", "images", "images"),
        ("--config smoke/train-graphs", "train", "graphs", "graphs"),
        ("--config smoke/train-s3dis --model resgcn", "train", "s3dis", "clouds"),
    ];
    for (words, command, task, samples) in recipes {
        let found = bench(folder.path(), words, 0);
        assert!(found["inputs"].as_str().unwrap().contains("random"), "{found}");
        let [recipe] = &found["recipes"].as_array().unwrap()[..] else { panic!("{found}") };
        assert_eq!(
            (&recipe["command"], &recipe["task"], &recipe["samples"]),
            (&command.into(), &task.into(), &samples.into())
        );
        for precision in ["fp32", "bf16"] {
            let row = row(recipe, precision);
            let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{row}"));
            let (seconds, rate) = (&row["step_seconds"], &row["samples_per_second"]);
            assert!(number(&seconds["min"]) > 0.0 && number(&seconds["max"]) >= number(&seconds["median"]));
            let batch = number(&rate["median"]) * number(&seconds["median"]);
            assert!((batch - number(&recipe["batch"])).abs() < 1e-6 * batch, "{row}");
            assert!(number(&row["peak_memory_bytes"]) > 1e6 && number(&row["parameters"]) > 0.0);
            assert!(number(&row["speedup"]) > 0.0);
        }
        assert_eq!(row(recipe, "fp32")["speedup"], 1.0);
        for precision in ["tf32", "fp16"] {
            assert!(row(recipe, precision)["absent"].as_str().unwrap().contains("CUDA"), "{recipe}");
        }
    }
}

#[test]
fn a_measurement_that_fails_is_a_row_and_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    // More than any machine holds.
    let words = "--config smoke/train-points --set data.points=1000000 --batch 1000000 --output found.json";
    let found = bench(folder.path(), words, 1);
    for precision in ["fp32", "bf16"] {
        let row = row(&found["recipes"][0], precision);
        assert!(!row["failed"].as_str().unwrap().is_empty() && row["step_seconds"].is_null(), "{row}");
    }
    let written = std::fs::read_to_string(folder.path().join("found.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), found);
}

#[test]
fn one_precision_stands_beside_fp32_as_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let words = "bench --config smoke/train-points --amp bf16 --batch 8 --device cpu --warmup 0 --repeats 1";
    let output = sgas(folder.path()).args(words.split_whitespace()).assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("train of points (smoke/train-points), Cri2_ModelNet_4: batch 8, 64 points"), "{text}");
    assert!(text.contains("| fp32 | ") && text.contains("| bf16 | ") && !text.contains("| fp16 | "), "{text}");
    assert!(text.contains("| network | batch | device | fp32, per second | mixed, per second | speed-up |"), "{text}");
}

#[test]
fn recipes_that_do_not_fit_are_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    for (words, said) in [
        ("--task s3dis --genotype Cri2_PPI_Best", "expected a cell of the point space"),
        ("--task modelnet40 --model resgcn", "--model resgcn"),
        ("--task modelnet40 --genotype Cri2_PPI_Best", "graph"),
        ("--task s3dis --model resgcn --set data.points=64", "data.points: expected at least 432"),
        ("--task modelnet10 --search --set data.points=8", "data.points: expected at least"),
        ("--config no-such-size", "no configuration"),
        ("--task modelnet40 --output no/such/folder.json", "--output"),
    ] {
        let failed = sgas(folder.path()).arg("bench").args(words.split_whitespace()).assert().code(2);
        let output = failed.get_output();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(said) && output.stdout.is_empty(), "{words}: {text}");
    }
}

/// A traced step of a search: what is printed, and the trace as an independent reader of the format sees it.
#[test]
fn a_step_is_traced_as_a_file_and_a_summary() {
    let folder = tempfile::tempdir().unwrap();
    let words = "bench --config smoke/search-points --search --device cpu --amp bf16 --warmup 1 --trace step.json";
    let output = sgas(folder.path()).args(words.split_whitespace()).assert().success().get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("One step of search of points, supernet, bf16, batch 16: "), "{text}");
    assert!(text.contains("| aten::mm | "), "{text}");
    assert!(!text.contains("GPU") && !text.contains("CppNode"), "{text}");
    let trace = std::fs::read_to_string(folder.path().join("step.json")).unwrap();
    let trace: Value = serde_json::from_str(&trace).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let count = |name: &str| events.iter().filter(|event| event["name"] == name && event["dur"].is_number()).count();
    // A kernel of the bridge, by the name that its passes share; which ones are among the longest is a matter of time.
    assert!(count("sgas_attention") > 0, "no attention in the trace");
    assert!(count("aten::mm") > 10 && count("MmBackward0") > 0, "{} and {}", count("aten::mm"), count("MmBackward0"));
    // One step alone: the two losses, of alphas and weights.
    assert_eq!(count("NllLossBackward0"), 2);
}

#[test]
fn a_trace_that_has_no_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let words = "bench --config smoke/train-points --device cpu --trace no/such/folder.json";
    let failed = sgas(folder.path()).args(words.split_whitespace()).assert().code(2).get_output().clone();
    let text = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(text.contains("--trace no/such/folder.json") && failed.stdout.is_empty(), "{text}");
}

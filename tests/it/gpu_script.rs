//! `benches/gpu.sh` on a machine where everything goes wrong, and on one where all is well. Small shell scripts stand for
//! the programs, so this holds the script alone: limits, second runs, report, archive, exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Answers as `sgas`, `it` and `engine` do where they pass.
const SOUND: &str = r#"
for word in "$@"; do
    [[ $previous == --output ]] && echo "$recipe" >"$word"
    [[ $previous == --trace ]] && echo '{"traceEvents": []}' >"$word"
    [[ $previous == --only ]] && only=1
    previous=$word
done
[[ ${SGAS_GOLDEN_TABLE:-} ]] && printf 'file\ttensor\t1.00e-7\t2.00e-7\twithin\n' >"$SGAS_GOLDEN_TABLE"
[[ ${only:-} ]] && echo "$row" && exit
echo "test result: ok. 3 passed"
"#;
const NUMBERS: &str = r#"
row='{"precision": "fp32", "step_seconds": {"median": 0.5, "min": 0.4}, "samples_per_second": {"median": 8.0}}'
recipe="{\"recipes\": [{\"samples\": \"clouds\", \"batch\": 4, \"rows\": [$row, ${row/fp32/bf16}]}]}"
"#;

/// Runs the script's first call for a GPU with the programs `sgas`, `it` and `engine`, given as bash.
fn visit(folder: &Path, [sgas, it, engine]: [&str; 3]) -> Output {
    let program = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/bash\n{NUMBERS}\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    for library in ["libtorch_cuda.so", "libtorch_cpu.so"] {
        fs::write(folder.join(library), "").unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gpu.sh");
    Command::new("bash")
        .arg(script)
        .args(["--device", "cuda"])
        .arg(folder.join("report.md"))
        .env("SGAS", program("sgas", sgas))
        .env("SGAS_TESTS", program("it", it))
        .env("SGAS_ENGINE", program("engine", engine))
        .env("SGAS_CUDA_TESTS", program("cuda", SOUND))
        .env("SGAS_STEPS", program("steps", ""))
        .env("TORCH_LIB", folder)
        .env("PYTHON", "python3")
        .env("SGAS_BUDGET", "600")
        .env("SGAS_LIMIT", "2")
        .env("SGAS_SIDE_BY_SIDE", "2")
        .output()
        .unwrap()
}

fn report(folder: &Path) -> String {
    fs::read_to_string(folder.join("report.md")).unwrap()
}

/// The names in the archive.
fn archive(folder: &Path) -> String {
    let output = Command::new("tar").arg("tzf").arg(folder.join("report.tar.gz")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_visit_where_parts_hang_crash_and_fail_is_reported_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let sgas = format!("[[ $1 == search && ! ${{CUDA_LAUNCH_BLOCKING:-}} ]] && echo went wrong >&2 && exit 3\n{SOUND}");
    let hangs = "trap '' TERM; echo begun; sleep 600 & wait; sleep 600";
    let engine = r#"[[ "$*" == *"amp::types"* && "$*" != *skip* ]] && kill -SEGV $$
[[ "$*" == *skip* ]] && echo "test result: ok. 0 passed" && exit"#;
    let output = visit(folder.path(), [&sgas, hangs, &format!("{engine}\n{SOUND}")]);
    let (text, printed) = (report(folder.path()), String::from_utf8_lossy(&output.stdout).into_owned());
    assert_eq!(output.status.code(), Some(1), "{printed}\n{text}");
    for line in [
        "| What the machine is | passed | ",
        "| Mixed precision: losses and scaling | passed | ",
        "| Mixed precision: types | **failed** signal 11; again, with every kernel waited for: signal 11 | ",
        "| Golden files, one pass | **failed** still running after 2 s | ",
        "| Search on points, fp32 | **failed** exit code 3; again, with every kernel waited for: passed | ",
        "| Evaluation, fp16 | passed | ",
        "| A traced step of a CIFAR-10 search | passed | ",
        "| Mixed precision: the rest | **failed** no test was run; again, with every kernel waited for: no test was run | ",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let (_, failures) = text.split_once("## What failed").unwrap();
    assert!(failures.contains("went wrong") && failures.contains("begun"), "{failures}");
    assert!(archive(folder.path()).contains("-search-on-points-fp32-again.err"), "{}", archive(folder.path()));
}

#[test]
fn a_visit_where_all_is_well_ends_with_numbers_and_exit_code_0() {
    let folder = tempfile::tempdir().unwrap();
    let output = visit(folder.path(), [SOUND; 3]);
    let text = report(folder.path());
    // What single operators cost is left out without torch in that Python, and fails beside these libraries with it.
    let failed = text.lines().filter(|line| line.contains("**failed**") || line.contains("**not reached**"));
    let failed: Vec<&str> = failed.filter(|line| !line.starts_with("| What single operators cost |")).collect();
    assert_eq!(failed, [""; 0], "{text}");
    if text.contains("| What single operators cost | **skipped**") {
        assert_eq!(output.status.code(), Some(0), "{text}");
    }
    assert!(text.contains("| ModelNet10 search, clouds | 4 | 8.00 |  | 8.00 |  | 1.00 |"), "{text}");
    assert!(text.contains("| CIFAR-10 search | fp16 | nchw | on | 0.5000 | 0.4000 | 8.00 |"), "{text}");
    assert!(text.contains("1 tensors of 1 files: 1 within; 0 files failed"), "{text}");
    let names = archive(folder.path());
    for name in
        ["results/golden.tsv", "results/trace-cifar-10-search.json.gz", "logs/00-what-the-machine-is.out", "report.md"]
    {
        assert!(names.contains(&format!("report/{name}")), "{name} in {names}");
    }
    let numbers: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(numbers["results"]["bench-ppi-training"]["recipes"][0]["batch"], 4);
    assert!(numbers["parts"].as_array().unwrap().len() > 40, "{numbers}");
}

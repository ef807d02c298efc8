//! The Python package as a helper: `python -m sgas.export` in a Python with torch, its answer read as JSON.

use super::Written;
use crate::commands::options::ExportFormat;
use crate::commands::run_folder::RunFolder;
use crate::error::{Error, Result};
use crate::reading;
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Names the Python; the wheel's console script sets it to its own.
const PYTHON_VARIABLE: &str = "SGAS_PYTHON";
const USUAL_PYTHON: &str = "python3";

/// The module without the working folder in front of its path: no file of a folder that happens to be entered is
/// executed.
const PROGRAM: &str = "import sys; sys.path[:] = [place for place in sys.path if place]; \
                       from sgas.export import main; main(sys.argv[1:])";

const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";
const LIBTORCH: &str = "libtorch_cpu.so";

/// Lets the package write the run's network.
///
/// # Errors
/// No such Python; a Python without the package, torch or what ONNX needs; a network that can't be expressed.
pub(super) fn export(format: ExportFormat, run: &RunFolder) -> Result<Written> {
    let folder = tempfile::tempdir().map_err(|error| Error::write(std::env::temp_dir(), error))?;
    let file = folder.path().join("network");
    let python = std::env::var_os(PYTHON_VARIABLE).unwrap_or_else(|| USUAL_PYTHON.into());
    let called = python.display().to_string();
    let answer = call(&python, format, run.path(), &file).map_err(|error| {
        Error::usage(format!("--format {} needs Python, and {called} can't be started: {error}", format.name()))
            .with_hint(format!("install the wheel of sgas, or name a Python with torch in {PYTHON_VARIABLE}"))
    })?;
    let told: Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
    if !answer.status.success() || !told.is_object() {
        return Err(failure(&answer, format, &called));
    }
    let opset = told["opset"].as_u64().map_or(String::new(), |opset| format!(", opset {opset}"));
    let versions =
        format!("sgas {}, torch {}{opset}", env!("CARGO_PKG_VERSION"), told["torch"].as_str().unwrap_or("?"));
    Ok(Written { bytes: reading::bytes(&file)?, versions })
}

fn call(python: &OsString, format: ExportFormat, run: &Path, file: &Path) -> std::io::Result<Output> {
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM]).arg(run).args(["--json", "--format", format.name(), "--output"]).arg(file);
    // This program's libtorch must not come before the one of that Python.
    match std::env::var_os(LIBRARY_PATH).map(|paths| without_libtorch(&paths)) {
        Some(paths) if !paths.is_empty() => command.env(LIBRARY_PATH, paths),
        _ => command.env_remove(LIBRARY_PATH),
    };
    command.stdin(Stdio::null()).output()
}

fn without_libtorch(paths: &OsString) -> OsString {
    let kept = std::env::split_paths(paths).filter(|folder| !folder.join(LIBTORCH).is_file());
    std::env::join_paths(kept).expect("they were joined before")
}

/// What kept Python from it: the package's own error, a module that is not there, or whatever it said last.
fn failure(answer: &Output, format: ExportFormat, python: &str) -> Error {
    let said = String::from_utf8_lossy(&answer.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    if let Some(reason) = last.strip_prefix("error: ") {
        return Error::usage(format!("--format {}: {reason}", format.name()));
    }
    let Some(module) = missing_module(last) else {
        return Error::run(format!("{python} can't write --format {}: {last}", format.name()));
    };
    let hint = match module {
        "sgas" => format!(
            "install the wheel of sgas there, or set PYTHONPATH to the checkout's folder python/; another \
                           Python is named in {PYTHON_VARIABLE}"
        ),
        "torch" => format!("{python} -m pip install torch==2.11.0, or name another Python in {PYTHON_VARIABLE}"),
        _ => format!("{python} -m pip install {module}, or name another Python in {PYTHON_VARIABLE}"),
    };
    Error::usage(format!("--format {} needs Python's {module}, and {python} has none", format.name())).with_hint(hint)
}

fn missing_module(line: &str) -> Option<&str> {
    let name = line.split_once("No module named '")?.1.split('\'').next()?;
    name.split('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn told(stderr: &str) -> Error {
        let answer = Output { status: ExitStatus::from_raw(1 << 8), stdout: Vec::new(), stderr: stderr.into() };
        failure(&answer, ExportFormat::Onnx, "python3")
    }

    #[test]
    fn what_python_says_is_one_error() {
        let error = told("Traceback\n  line 1\nModuleNotFoundError: No module named 'torch'\n");
        assert_eq!(error.to_string(), "--format onnx needs Python's torch, and python3 has none");
        assert!(error.hint().unwrap().contains("python3 -m pip install torch==2.11.0"), "{:?}", error.hint());
        let error = told("ModuleNotFoundError: No module named 'sgas.export'");
        assert!(error.to_string().contains("Python's sgas") && error.hint().unwrap().contains("PYTHONPATH"));
        assert_eq!(told("warning\nerror: no operator").to_string(), "--format onnx: no operator");
        assert_eq!(told("Killed").exit_code(), 1);
        assert!(told("").to_string().contains("it said nothing"));
    }

    #[test]
    fn another_libtorch_is_not_handed_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LIBTORCH), "").unwrap();
        let paths = OsString::from(format!("/first:{}:/second", folder.path().display()));
        assert_eq!(without_libtorch(&paths), "/first:/second");
        assert_eq!(without_libtorch(&folder.path().as_os_str().to_owned()), "");
    }
}

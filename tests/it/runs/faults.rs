//! System calls of the program that fail, or at which it is killed: a library that is preloaded (`faults.cpp`).

use assert_cmd::Command;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed before the call.
    Kill,
    /// The call fails: no space is left.
    NoSpace,
    /// The call fails: the device does.
    Broken,
    /// A write takes half of its bytes, and the next ones fail.
    Short,
    /// The call and all later writes fail: no space is left.
    Full,
}

/// The calls that change files.
pub const CALLS: &str = "open64,write,fsync,rename,unlink,mkdir,ftruncate";

/// The library, which is compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/runs/faults.cpp");
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
        let mut command = std::process::Command::new(compiler);
        let status = command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).arg(source).arg("-ldl").status();
        assert!(status.expect("the compiler of the bridge").success());
        path
    })
}

/// Lets it happen at the call of this number, from 1, among those of these kinds on files whose paths hold `part`.
pub fn inject(command: &mut Command, part: &str, calls: &str, at: usize, fault: Fault) {
    let what = match fault {
        Fault::Kill => "kill",
        Fault::NoSpace => "ENOSPC",
        Fault::Broken => "EIO",
        Fault::Short => "short",
        Fault::Full => "full",
    };
    command.env("LD_PRELOAD", library()).env("SGAS_FAULT_IN", part).env("SGAS_FAULT_CALLS", calls);
    command.env("SGAS_FAULT_AT", at.to_string()).env("SGAS_FAULT_DO", what);
}

/// Runs the command to its end and gives the number of such calls.
pub fn count(command: &mut Command, part: &str, calls: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("count");
    inject(command, part, calls, 0, Fault::Kill);
    command.env("SGAS_FAULT_COUNT", &path).assert().success();
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

//! Checks libtorch's version, tells the binaries where it lies, and compiles the C++ bridge.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The release whose headers and binaries tch 0.24 was made for.
const EXPECTED: &str = "2.11.";
const BRIDGE: &str = "src/tensor/bridge";

fn main() {
    let lib = PathBuf::from(env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is"));
    let root = lib.parent().expect("libtorch's lib folder lies in libtorch").to_owned();
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=SGAS_LIBTORCH_VERSION={}", checked_version(&root));
    // A RUNPATH, unlike an RPATH, lets LD_LIBRARY_PATH put another machine's libtorch first.
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags");
    // Beside the program as `make dist` and `make install` lay it; scripts/dist.py takes the path after these off.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/sgas");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    compile_bridge(&root);
}

/// The version that libtorch says it has; any other than the expected ends the build.
fn checked_version(root: &Path) -> String {
    let Some(version) = version(root) else {
        fail(&format!("{} holds neither build-version nor version.py, so it is no libtorch", root.display()))
    };
    if !version.starts_with(EXPECTED) {
        fail(&format!("libtorch {EXPECTED}x expected, {version} found in {}", root.display()));
    }
    version
}

/// From `build-version` of a libtorch archive, or from `version.py` of a Python wheel.
fn version(root: &Path) -> Option<String> {
    for name in ["build-version", "version.py"] {
        // A watched file that does not exist would make cargo build the bridge at every call.
        if root.join(name).exists() {
            println!("cargo:rerun-if-changed={}", root.join(name).display());
        }
    }
    if let Ok(text) = fs::read_to_string(root.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = fs::read_to_string(root.join("version.py")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(value.trim_matches(['\'', '"']).to_owned())
}

fn fail(problem: &str) -> ! {
    eprintln!("error: {problem}");
    eprintln!(
        "hint: run `make setup`, or set LIBTORCH to the folder of libtorch {EXPECTED}x (it holds lib/ and include/)"
    );
    std::process::exit(1)
}

fn compile_bridge(root: &Path) {
    let include = root.join("include");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(3).debug(false).flag("-fopenmp");
    build.define("_GLIBCXX_USE_CXX11_ABI", "1").define("GLOG_USE_GLOG_EXPORT", None);
    for folder in [include.join("torch/csrc/api/include"), include] {
        // As system headers they keep their warnings to themselves.
        build.flag("-isystem").flag(folder);
    }
    build.files(bridge_sources()).compile("sgas_bridge");
    println!("cargo:rustc-link-lib=gomp");
}

/// All C++ files of the bridge. `mod.rs` is watched because a new file comes with a line in it; the other Rust
/// files are not, because each run costs half a minute.
fn bridge_sources() -> Vec<PathBuf> {
    println!("cargo:rerun-if-changed={BRIDGE}/mod.rs");
    let entries = fs::read_dir(BRIDGE).expect("the bridge is part of the sources");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    let kind = |path: &PathBuf| path.extension().and_then(|extension| extension.to_str()).map(str::to_owned);
    files.retain(|path| matches!(kind(path).as_deref(), Some("cpp" | "h")));
    for file in &files {
        println!("cargo:rerun-if-changed={}", file.display());
    }
    files.retain(|path| kind(path).as_deref() == Some("cpp"));
    files
}

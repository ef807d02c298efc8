//! Checks libtorch's version, tells the binaries where it lies, and compiles the C++ bridge.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The release whose headers and binaries tch 0.24 was made for.
const EXPECTED: &str = "2.11.";
const BRIDGE: &str = "src/tensor/bridge";

fn main() {
    let lib = PathBuf::from(env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is"));
    let root = lib.parent().expect("libtorch's lib folder lies in libtorch").to_owned();
    println!("cargo:rerun-if-changed=build.rs");
    let version = checked_version(&root);
    println!("cargo:rustc-env=SGAS_LIBTORCH_VERSION={version}");
    // A RUNPATH, unlike an RPATH, lets LD_LIBRARY_PATH put another machine's libtorch first.
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags");
    // Beside the program as `make dist` and `make install` lay it; scripts/dist.py takes the path after these off.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/sgas");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    compile_bridge(&root, &version);
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

fn compile_bridge(root: &Path, version: &str) {
    let include = root.join("include");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(3).debug(false).flag("-fopenmp");
    sanitize(&mut build);
    build.define("_GLIBCXX_USE_CXX11_ABI", "1").define("GLOG_USE_GLOG_EXPORT", None);
    // As libtorch was built: some of its classes have a field more without it.
    build.define("NDEBUG", None);
    for folder in [include.join("torch/csrc/api/include"), include] {
        // As system headers they keep their warnings to themselves.
        build.flag("-isystem").flag(folder);
    }
    // c10d's headers ask for Gloo's, which libtorch does not ship.
    build.include(BRIDGE);
    let objects = bridge_objects(&build, version);
    build.objects(objects).compile("sgas_bridge");
    println!("cargo:rustc-link-lib=gomp");
}

/// With `SGAS_SANITIZE=address,undefined` or `thread` (`make sanitize`) the bridge watches itself as it runs.
fn sanitize(build: &mut cc::Build) {
    println!("cargo:rerun-if-env-changed=SGAS_SANITIZE");
    let Ok(asked) = env::var("SGAS_SANITIZE") else { return };
    let flag = format!("-fsanitize={asked}");
    // Of libtorch's classes the headers are known, and not the types that `vptr` compares.
    build.flags([&flag, "-fno-sanitize=vptr", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g1"]);
    // rustc keeps the compiler from linking what its flag asks for; the library itself is loaded before all others.
    for (name, library) in [("address", "asan"), ("undefined", "ubsan"), ("thread", "tsan")] {
        if asked.contains(name) {
            println!("cargo:rustc-link-arg=-l{library}");
        }
    }
}

/// The objects of all C++ files of the bridge. An object is named by the hash of all that it is made of (its file,
/// the headers of the bridge that it includes, compiler, flags, libtorch's version), and compiled only where it is not
/// there yet: a file takes a quarter of a minute. They lie in the profile's folder, because clippy has an `OUT_DIR` of
/// its own.
fn bridge_objects(build: &cc::Build, version: &str) -> Vec<PathBuf> {
    println!("cargo:rerun-if-changed={BRIDGE}");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo tells it"));
    let folder = out.ancestors().nth(3).expect("target/PROFILE/build/NAME/out").join("bridge");
    fs::create_dir_all(&folder).expect("cargo's folder can be written");
    let compiler = build.get_compiler();
    let mut shared = DefaultHasher::new();
    (version, compiler.path(), compiler.args()).hash(&mut shared);
    let sources = files_in(Path::new(BRIDGE), "cpp");
    let object = |source: &PathBuf| {
        let mut hasher = shared.clone();
        for file in with_headers(source) {
            content(&file).hash(&mut hasher);
        }
        let name = source.file_stem().expect("the file has an extension").display();
        folder.join(format!("{name}-{:016x}.o", hasher.finish()))
    };
    let objects: Vec<PathBuf> = sources.iter().map(object).collect();
    let missing = sources.iter().zip(&objects).filter(|(_, object)| !object.exists());
    let (sources, missing): (Vec<&PathBuf>, Vec<&PathBuf>) = missing.unzip();
    let compiled = build.clone().files(sources).compile_intermediates();
    for (from, to) in compiled.iter().zip(missing) {
        fs::rename(from, to).expect("both lie in cargo's folder");
    }
    for old in files_in(&folder, "o").iter().filter(|object| !objects.contains(object)) {
        fs::remove_file(old).expect("cargo's folder can be written");
    }
    objects
}

/// A file of the bridge and the headers beside it that it includes, also by others, in a fixed order.
fn with_headers(source: &Path) -> Vec<PathBuf> {
    let mut files = vec![source.to_owned()];
    let mut next = 0;
    while let Some(file) = files.get(next) {
        let text = String::from_utf8(content(file)).expect("the bridge is text");
        let names = text.lines().filter_map(|line| line.strip_prefix("#include \"")?.split('"').next());
        let headers: Vec<PathBuf> = names.map(|name| Path::new(BRIDGE).join(name)).collect();
        files.extend(headers.into_iter().filter(|header| !files.contains(header)).collect::<Vec<_>>());
        next += 1;
    }
    files
}

/// The files of a folder that have this extension, in a fixed order.
fn files_in(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

fn content(path: &Path) -> Vec<u8> {
    fs::read(path).expect("the bridge is part of the sources")
}

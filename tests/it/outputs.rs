//! Files that the user names to be written: what is replaced, what is kept, and what is written into. The mechanism has
//! tests of its own beside it; here each command is shown to stand on it.

use crate::cli::{refused, run, sgas};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const CELL: &str = "show Cri2_ModelNet_Best --svg";
/// Finds a cell without training.
const SEARCH: &str = "search --config smoke/search-points --data synthetic --strategy random -q --save";

/// Runs a line of the shell in which `sgas` is the program; one that hangs fails.
fn shell(folder: &Path, line: &str) -> Output {
    let program = assert_cmd::cargo::cargo_bin("sgas");
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("sgas() {{ '{}' \"$@\"; }}; {line}", program.display()));
    command.current_dir(folder).env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").env_remove("SGAS_RUNS");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it hangs: {line}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_file_of_other_content_is_kept_and_replaced_with_force_alone() {
    let folder = tempfile::tempdir().unwrap();
    let diary = folder.path().join("diary");
    fs::write(&diary, "dear diary").unwrap();
    for command in [CELL, SEARCH, "bench --task modelnet40 --output", "bench --task modelnet40 --trace"] {
        let flag = command.rsplit(' ').next().unwrap();
        let words = [&format!("{flag} diary: expected "), "found a file of other content", "--force"];
        refused(folder.path(), &format!("{command} diary"), &words);
        assert_eq!(fs::read_to_string(&diary).unwrap(), "dear diary", "{command}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{command} left something behind");
    }
    run(folder.path(), &format!("{CELL} diary --force"));
    run(folder.path(), &format!("{CELL} diary"));
    refused(folder.path(), &format!("{SEARCH} diary"), &["expected a genotype"]);
    run(folder.path(), &format!("{SEARCH} diary --force"));
    run(folder.path(), &format!("{SEARCH} diary"));
    run(folder.path(), "show diary");
}

#[test]
fn files_of_a_run_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &format!("{SEARCH} cell.json --out run"));
    let drawing = folder.path().join("run/cell-normal.svg");
    let before = fs::read(&drawing).unwrap();
    refused(folder.path(), &format!("{CELL} run/cell-normal.svg"), &["found a file of the run in "]);
    refused(folder.path(), &format!("{SEARCH} run/genotype.json --out other"), &["found a file of the run in "]);
    assert!(!folder.path().join("other").exists());
    assert_eq!(fs::read(&drawing).unwrap(), before);
    run(folder.path(), &format!("{CELL} run/another.svg"));
}

#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let [link, cell] = ["link", "cell.json"].map(|name| folder.path().join(name));
    symlink("cell.json", &link).unwrap();
    for _ in 0..2 {
        run(folder.path(), &format!("{SEARCH} link"));
        assert!(link.is_symlink() && cell.is_file() && !cell.is_symlink());
    }
}

#[test]
fn devices_and_streams_are_written_into() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &format!("{CELL} /dev/null"));
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    let whole = |output: &Output| output.status.success() && text(&output.stdout).trim_end().ends_with("/dev/stdout");
    // Into a pipe, and into a file that the shell has opened: nothing that was printed before is lost.
    let piped = shell(folder.path(), &format!("sgas {CELL} /dev/stdout"));
    assert!(whole(&piped) && text(&piped.stdout).contains("</svg>"), "{piped:?}");
    let filed = shell(folder.path(), &format!("sgas {CELL} /dev/stdout > out; cat out"));
    assert_eq!(text(&filed.stdout), text(&piped.stdout));
    let named = shell(folder.path(), &format!("sgas {CELL} out > out; cat out"));
    assert!(text(&named.stdout).starts_with("Cri2_ModelNet_4 (point space)") && text(&named.stdout).contains("</svg>"));
    let substituted = shell(folder.path(), &format!("sgas {CELL} >(cat > through) > out; sleep 0.3; cat through"));
    assert!(text(&substituted.stdout).starts_with("<svg"), "{substituted:?}");
    let full = shell(folder.path(), &format!("sgas {CELL} /dev/full"));
    assert_eq!(full.status.code(), Some(1));
    assert!(text(&full.stdout).starts_with("Cri2_ModelNet_4 (point space)"), "the result is printed first");
    assert!(text(&full.stderr).starts_with("error: cannot write /dev/full: "), "{full:?}");
}

#[test]
fn a_pipe_is_written_where_somebody_reads_and_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = shell(folder.path(), &format!("mkfifo pipe; sgas {CELL} pipe"));
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    assert!(text(&nobody.stderr).contains("--svg pipe: expected the name of a file, found a pipe that nobody reads"));
    // The reader opens its end when it comes to it.
    let line = format!("cat pipe > copy & until sgas {CELL} pipe > /dev/null 2>&1; do :; done; wait; cat copy");
    let read = shell(folder.path(), &line);
    assert!(text(&read.stdout).starts_with("<svg") && text(&read.stdout).trim_end().ends_with("</svg>"), "{read:?}");
    assert!(fs::metadata(folder.path().join("pipe")).unwrap().file_type().is_fifo());
}

#[test]
fn places_that_cannot_be_written_are_told_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("inside")).unwrap();
    for (place, found) in [
        ("inside", "found a folder"),
        ("new/", "found a folder"),
        ("nowhere/a", "found a file in a folder that is not there"),
        ("/proc/a", "expected a file in a folder that can be written"),
    ] {
        for command in [CELL, SEARCH, "bench --task modelnet40 --output", "bench --task modelnet40 --trace"] {
            refused(folder.path(), &format!("{command} {place}"), &[found, "hint: "]);
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no run was begun");
}

#[test]
fn what_nobody_reads_is_written_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let closed = shell(folder.path(), &format!("sgas {CELL} cell.svg | true; echo ${{PIPESTATUS[0]}}"));
    assert_eq!((text(&closed.stdout), text(&closed.stderr)), ("0\n", ""));
    assert!(folder.path().join("cell.svg").is_file());
    let full = shell(folder.path(), &format!("sgas {CELL} full.svg > /dev/full"));
    assert_eq!(full.status.code(), Some(1));
    assert!(folder.path().join("full.svg").is_file());
}

#[test]
fn a_set_is_made_where_a_link_leads_and_never_over_anything() {
    let folder = tempfile::tempdir().unwrap();
    let synth = "data synth --train 10 --test 10 --points 8";
    fs::create_dir(folder.path().join("empty")).unwrap();
    symlink("empty", folder.path().join("link")).unwrap();
    symlink("new", folder.path().join("dangling")).unwrap();
    run(folder.path(), &format!("{synth} link"));
    run(folder.path(), &format!("{synth} dangling"));
    for (link, set) in [("link", "empty"), ("dangling", "new")] {
        assert!(folder.path().join(link).is_symlink() && folder.path().join(set).join("README.txt").is_file());
    }
    fs::write(folder.path().join("file"), "x").unwrap();
    for place in ["new", "link", "file", "/dev/null"] {
        refused(folder.path(), &format!("{synth} {place}"), &["holds something already"]);
    }
    fs::create_dir(folder.path().join("here")).unwrap();
    refused(&folder.path().join("here"), &format!("{synth} ."), &["the folder that you are in", "hint: "]);
    let before = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(before, 6, "nothing half-written is left");
}

#[test]
fn what_a_killed_synth_left_goes_with_the_next_one_and_a_living_one_s_stays() {
    let folder = tempfile::tempdir().unwrap();
    let partial = || {
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".sgas-partial-")).collect::<Vec<_>>()
    };
    let begin = || {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("sgas"));
        command.args(["data", "synth", "large", "--train", "1000000", "--points", "8"]).current_dir(folder.path());
        command.env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").stderr(Stdio::null()).spawn().unwrap()
    };
    // Until another folder than these is being filled.
    let wait = |known: &[OsString]| loop {
        let new = partial().into_iter().find(|name| !known.contains(name));
        let is_filled = |name: &OsString| fs::read_dir(folder.path().join(name)).is_ok_and(|found| found.count() > 0);
        match new.filter(is_filled) {
            Some(name) => break name,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut killed = begin();
    let left = wait(&[]);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(partial(), std::slice::from_ref(&left));
    let mut alive = begin();
    let held = wait(&[left]);
    assert_eq!(partial(), std::slice::from_ref(&held), "the first one's is gone");
    sgas(folder.path()).args(["data", "synth", "small", "--train", "10", "--test", "10"]).assert().success();
    assert_eq!(partial(), [held], "the second one's is not");
    alive.kill().unwrap();
    alive.wait().unwrap();
    sgas(folder.path()).args(["data", "synth", "other", "--train", "10", "--test", "10"]).assert().success();
    assert!(partial().is_empty());
}

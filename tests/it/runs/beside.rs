//! Results of a trained network are printed before they are written: a run that can't be written is worth a warning, and
//! a file that was asked for is looked at before the work.

use super::{failure, output, train};
use crate::cli::{refused, sgas};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A folder with a training in `run`, shapes in `shapes`, and some of them in `few`.
fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    output(&mut train(folder.path(), "--out run --set train.epochs=1 -q"));
    let synth = "data synth shapes --train 10 --test 10 --points 64";
    sgas(folder.path()).args(synth.split_whitespace()).assert().success();
    folder
}

/// The input of predictions: the tests of one class.
fn input(folder: &Path) -> String {
    let class = fs::read_dir(folder.join("shapes")).unwrap().map(|entry| entry.unwrap().path());
    let class = class.filter(|path| path.is_dir()).min().unwrap();
    class.join("test").display().to_string()
}

#[test]
fn a_run_that_cannot_be_written_is_evaluated_and_used() {
    let folder = trained();
    let eval = |json: &str| {
        let mut command = sgas(folder.path());
        command.args(["eval", "--run", "run", "--device", "cpu"]).args((!json.is_empty()).then_some(json));
        command
    };
    let expected = output(&mut eval(""));
    let kept = fs::read(folder.path().join("run/eval-test.json")).unwrap();
    assert_eq!(output(&mut eval("--json")).as_bytes(), kept);
    // Where even root can't write: the file's place is a folder that holds something.
    fs::remove_file(folder.path().join("run/eval-test.json")).unwrap();
    fs::create_dir_all(folder.path().join("run/eval-test.json/x")).unwrap();
    let evaluated = eval("").assert().success().stdout(expected.clone());
    let text = String::from_utf8(evaluated.get_output().stderr.clone()).unwrap();
    assert!(text.contains("WARN cannot write run/eval-test.json: it is a folder"), "{text}");
    // A disk that can only be read.
    fs::remove_dir_all(folder.path().join("run/eval-test.json")).unwrap();
    let program = assert_cmd::cargo::cargo_bin("sgas");
    let read_only = |line: &str| {
        let line = format!("mount --bind run run && mount -o remount,ro,bind run && {} {line}", program.display());
        let mut command = Command::new("unshare");
        command.args(["-m", "bash", "-c", &line]).current_dir(folder.path()).env("OMP_NUM_THREADS", "1");
        command.env("GOMP_SPINCOUNT", "0").output().ok()
    };
    // Only who may mount can have one.
    let mounted = read_only("zoo > zoo.txt; ! touch run/x 2> /dev/null").is_some_and(|output| output.status.success());
    if mounted {
        for line in
            ["eval --run run --device cpu".to_owned(), format!("predict --run run --input {}", input(folder.path()))]
        {
            let found = read_only(&line).unwrap();
            assert!(found.status.success() && !found.stdout.is_empty(), "{line}: {found:?}");
        }
        let found = read_only("eval --run run --device cpu").unwrap();
        assert_eq!(String::from_utf8(found.stdout).unwrap(), expected);
        assert!(String::from_utf8(found.stderr).unwrap().contains("WARN cannot write run/eval-test.json: "));
    }
}

#[test]
fn predictions_replace_predictions_and_nothing_else() {
    let folder = trained();
    let predict = format!("predict --run run --device cpu --input {} --output", input(folder.path()));
    let diary = folder.path().join("diary.csv");
    fs::write(&diary, "dear,diary\n").unwrap();
    fs::copy(&diary, folder.path().join("diary.json")).unwrap();
    for (place, found) in [
        ("diary.csv", "found a file of other content"),
        ("diary.json", "found a file of other content"),
        ("run/metrics.csv", "found a file of the run in "),
        ("/proc/a.csv", "expected a file in a folder that can be written"),
        ("nowhere/a.csv", "found a file in a folder that is not there"),
    ] {
        refused(folder.path(), &format!("{predict} {place}"), &[&format!("--output {place}: "), found, "hint: "]);
    }
    assert_eq!(fs::read_to_string(&diary).unwrap(), "dear,diary\n");
    let run = |more: &str| output(sgas(folder.path()).args(format!("{predict} {more}").split_whitespace()));
    let printed = run("diary.csv --force");
    assert!(printed.ends_with("written: diary.csv\n"), "{printed}");
    assert_eq!(run("diary.csv"), printed, "its own predictions may go");
    run("diary.json --force");
    run("diary.json");
    // What is asked for goes through a device too, and where it can't, the table was printed before.
    std::os::unix::fs::symlink("/dev/full", folder.path().join("full.csv")).unwrap();
    let mut command = sgas(folder.path());
    command.args(format!("{predict} full.csv").split_whitespace());
    let text = failure(&mut command, 1);
    assert!(text.contains("cannot write full.csv: No space left on device"), "{text}");
    let table = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert_eq!(format!("{table}written: diary.csv\n"), printed);
}

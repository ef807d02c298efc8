//! What is printed reaches the user whole, or he is told; nothing that can't be printed is a panic; and no file's text
//! commands a terminal.

use crate::cli::sgas;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a line of the shell in which `sgas` is the program.
fn shell(folder: &Path, line: &str) -> Output {
    let program = assert_cmd::cargo::cargo_bin("sgas");
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("sgas() {{ '{}' \"$@\"; }}; {line}", program.display()));
    command.current_dir(folder).env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").env_remove("SGAS_RUNS");
    command.output().unwrap()
}

const SEARCH: &str = "sgas search --config smoke/search-points --data synthetic --strategy random";

#[test]
fn an_error_that_nobody_hears_keeps_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    for closed in ["2>&-", "2>/dev/full"] {
        for (line, code) in [("sgas show nobody", 2), ("sgas serch", 2), ("sgas show Cri2_ModelNet_Best", 0)] {
            let output = shell(folder.path(), &format!("{line} {closed}"));
            assert_eq!((output.status.code(), output.stderr.len()), (Some(code), 0), "{line} {closed}");
            assert_eq!(output.stdout.is_empty(), code != 0, "{line} {closed}");
        }
        // With a log on it, and with all three closed.
        for more in ["", "<&- >&-"] {
            let output = shell(folder.path(), &format!("{SEARCH} -v {more} {closed}"));
            assert_eq!(output.status.code(), Some(0), "{more} {closed}: {output:?}");
        }
    }
}

#[test]
fn a_result_that_cannot_be_printed_is_an_error_and_a_reader_that_left_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for line in ["sgas zoo", "sgas zoo --json", "sgas --help", "sgas --version", "sgas completions bash", SEARCH] {
        let output = shell(folder.path(), &format!("{line} > /dev/full"));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {text}");
        assert!(text.contains("error: cannot write standard output: No space left on device"), "{line}: {text}");
        let output = shell(folder.path(), &format!("{line} | true; echo ${{PIPESTATUS[0]}}"));
        assert_eq!(output.stdout, b"0\n", "{line}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("error"), "{line}: {output:?}");
    }
}

#[test]
fn completions_are_printed_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let printed = sgas(folder.path()).args(["completions", shell]).assert().success().get_output().stdout.clone();
        assert!(!String::from_utf8(printed).unwrap().contains("\\u00"), "{shell}");
    }
}

/// Clears the screen.
const CODE: &str = "\u{1b}[2J";
const SHOWN: &str = "\\u001b[2J";

/// What the program says in `folder`, on both streams, which must not command a terminal.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = sgas(folder).args(arguments).output().unwrap();
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8(bytes.clone()).unwrap()).concat();
    assert!(!text.contains(|letter: char| letter.is_control() && !"\n\t".contains(letter)), "{arguments:?}: {text:?}");
    text
}

#[test]
fn codes_in_files_are_shown_and_not_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    // In the header of a table.
    for part in ["train", "test"] {
        write(&format!("table/a/{part}/1.csv"), &format!("x,y,z,{CODE}\n0,0,0,1\n0,1,0,1\n"));
    }
    assert!(said(folder.path(), &["data", "info", "table"]).contains(&SHOWN.to_lowercase()));
    // In the names of a class and of a file.
    let cloud = "x,y,z\n0,0,0\n0,0,1\n0,1,0\n1,0,0\n";
    for class in [format!("chair{CODE}"), "table".to_owned()] {
        for part in ["train", "test"] {
            write(&format!("shapes/{class}/{part}/1.csv"), cloud);
        }
    }
    write(&format!("shapes/table/train/{CODE}.csv"), "x,y\n");
    for more in [&[][..], &["--json"]] {
        let text = said(folder.path(), &[&["data", "info", "shapes"], more].concat());
        assert!(text.contains(&format!("chair{SHOWN}")), "{text}");
    }
    let json = sgas(folder.path()).args(["data", "info", "shapes", "--json"]).output().unwrap().stdout;
    serde_json::from_slice::<serde_json::Value>(&json).unwrap();
    // In a key, a primitive and the name of a genotype, and in a configuration.
    let cell = |primitive: &str| {
        format!("{{\"space\": \"point\", \"{}\": 1, \"normal\": [[\"{primitive}\", 0]]}}", "\\u001b[2J")
    };
    write(&format!("{CODE}.json"), &cell("\\u001b[2J"));
    assert!(said(folder.path(), &["show", &format!("{CODE}.json")]).contains(SHOWN));
    write("a.toml", "task = 'points'\n[model]\n\"\\u001b[2J\" = 1\n");
    assert!(said(folder.path(), &["search", "--config", "a.toml"]).contains(SHOWN));
    // In what is typed, as a pattern of the shell types it.
    said(folder.path(), &["data", "info", "shapes", CODE]);
    said(folder.path(), &["show", CODE]);
}

#[test]
fn codes_in_data_reach_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(format!("data{CODE}"));
    for class in ["a", "b"] {
        for part in ["train", "test"] {
            let place = root.join(class).join(part);
            fs::create_dir_all(&place).unwrap();
            let points: String = (0..48).map(|point| format!("{point},{},1\n", point * point % 7)).collect();
            (0..20).for_each(|number| fs::write(place.join(format!("{number}.xyz")), &points).unwrap());
        }
    }
    let data = root.to_str().unwrap();
    let sizes = ["data.points=48", "model.channels=4", "point.embedding=16", "train.batch=8", "train.epochs=1"];
    let mut arguments = vec!["train", "--genotype", "Cri2_ModelNet_Best", "--config", "smoke/train-points"];
    arguments.extend(["--data", data, "--out", "run", "--device", "cpu"]);
    arguments.extend(sizes.iter().flat_map(|size| ["--set", size]));
    let text = said(folder.path(), &arguments);
    assert!(text.contains(&format!("data{SHOWN}")), "{text}");
    let log = fs::read_to_string(folder.path().join("run/log.txt")).unwrap();
    assert!(log.contains(&format!("data{SHOWN}")) && !log.contains('\u{1b}'), "{log}");
}

/// Where the system has no `/proc`, which containers may lack. Only who may mount can take it away.
#[test]
fn a_system_without_proc_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let without = |line: &str| shell(folder.path(), line);
    if !without("unshare -m mount -t tmpfs none /proc").status.success() {
        return;
    }
    let program = assert_cmd::cargo::cargo_bin("sgas");
    for (command, code) in [("zoo", 0), (&SEARCH["sgas ".len()..], 0), ("doctor", 0), ("doctor --json", 0)] {
        let line = format!("mount -t tmpfs none /proc && exec {} {command}", program.display());
        let output = without(&format!("unshare -m bash -c '{line}'"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{command}: {text}");
        assert!(!text.contains("internal error") && !output.stdout.is_empty(), "{command}: {text}");
    }
}

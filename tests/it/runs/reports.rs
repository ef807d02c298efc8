//! Looking at runs: the page of `sgas report`, also in a real browser, `sgas watch`, `metrics.csv`, and what TensorBoard's
//! own reader finds.

use super::old::copied;
use super::resume::{Name, Stop, kill_at};
use super::{assert_equal_runs, decisions, epochs, output, search, table, train};
use crate::cli::{refused, run, sgas};
use serde_json::Value;
use sgas::report::Learner;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn page(folder: &Path, arguments: &str) -> String {
    let told = run(folder, &format!("report {arguments}"));
    let path = told.trim_end().strip_prefix("report: ").unwrap_or_else(|| panic!("{told}"));
    // The template writes a slash as HTML may.
    fs::read_to_string(folder.join(path)).unwrap().replace("&#x2f;", "/")
}

/// The names of the files in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The Python that tests may use.
fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

#[test]
fn a_cut_search_of_an_older_version_makes_a_page_and_loses_nothing() {
    let folder = copied("search");
    let before = names(&folder.path().join("search"));
    let html = page(folder.path(), "search");
    let mut expected = before;
    expected.insert("report.html".to_owned());
    assert_eq!(names(&folder.path().join("search")), expected);
    for words in [
        "search</h1>",
        "4 of 11 epochs done",
        "edge 1 (node 0 ← input 1) becomes edge_conv",
        "of 6, in 4 epochs",
        "did not record them",
        "sgas search --out search --resume",
    ] {
        assert!(html.contains(words), "{words}");
    }
    assert_eq!(html.matches("class=\"frame").count(), 5, "the beginning and four decisions");
    // Again: it is its own.
    assert_eq!(page(folder.path(), "search"), html);
}

#[test]
fn a_page_replaces_pages_alone() {
    let folder = copied("train");
    fs::write(folder.path().join("diary.html"), "dear diary").unwrap();
    let words = ["--output diary.html: expected a report as sgas writes them", "--force"];
    refused(folder.path(), "report train --output diary.html", &words);
    fs::write(folder.path().join("train/report.html"), "dear diary").unwrap();
    refused(folder.path(), "report train", &["report.html: expected a report", "name another place with --output"]);
    assert_eq!(fs::read_to_string(folder.path().join("train/report.html")).unwrap(), "dear diary");
    refused(folder.path(), "report nowhere", &["nowhere is not the folder of a run"]);
    refused(folder.path(), "report", &["<RUN>"]);
    page(folder.path(), "train --output diary.html --force");
    page(folder.path(), "train --output diary.html");
    refused(folder.path(), "report train --output train/metrics.csv", &["found a file of the run in "]);
}

#[test]
fn what_is_damaged_is_said_on_the_page() {
    let folder = copied("train");
    let train = folder.path().join("train");
    fs::write(train.join("config.toml"), "task = 'graphs'\n<script>alert(1)</script>\n").unwrap();
    fs::write(train.join("eval-test.json"), "{\"split\": 3}").unwrap();
    let mut events = fs::read_to_string(train.join("events.jsonl")).unwrap();
    events.insert_str(0, "no event\n");
    fs::write(train.join("events.jsonl"), events + "{\"event\":\"epo").unwrap();
    let html = page(folder.path(), "train");
    for words in
        ["expected TOML", "eval-test.json: expected what sgas eval writes", "Lines of the log that could not be read"]
    {
        assert!(html.contains(words), "{words}");
    }
    assert!(!html.contains("<script>alert"));
}

#[test]
fn with_watch_the_page_is_written_until_the_run_is_finished() {
    let folder = copied("search");
    let mut watching = Command::new(assert_cmd::cargo::cargo_bin("sgas"));
    watching.args(["report", "search", "--watch", "--every", "1"]).current_dir(folder.path());
    let mut child =
        watching.env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").stdout(Stdio::null()).spawn().unwrap();
    let read = || fs::read_to_string(folder.path().join("search/report.html")).unwrap_or_default();
    let begun = Instant::now();
    let wait_for = |holds: &mut dyn FnMut() -> bool, what: &str| {
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(120), "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_for(&mut || read().contains("http-equiv=\"refresh\" content=\"1\""), "a page that is loaded again");
    assert!(child.try_wait().unwrap().is_none(), "the run is not finished");
    let events = folder.path().join("search/events.jsonl");
    let text = fs::read_to_string(&events).unwrap();
    fs::write(&events, format!("{}\n{{\"event\":\"finished\",\"seconds\":1.0}}\n", text.trim_end())).unwrap();
    wait_for(&mut || child.try_wait().unwrap().is_some_and(|status| status.success()), "the end of the run is seen");
    assert!(read().contains(">Finished<") && !read().contains("http-equiv=\"refresh\""));
}

/// A search and a training of what it found, evaluated with examples; and the page of both in a browser.
#[test]
fn the_page_of_a_search_and_a_training_is_whole_and_works_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut search(folder.path(), "--out search -q"));
    output(&mut train(folder.path(), "--out train -q --set train.epochs=3 --set data.validation=0.2"));
    let bare = page(folder.path(), "train");
    for command in ["sgas eval --run train<", "sgas eval --run train --examples 12<"] {
        assert!(bare.contains(command), "the page names the command that adds what is missing: {command}");
    }
    run(folder.path(), "eval --run train --examples 5 --device cpu --threads 1");
    let examples: Value =
        serde_json::from_slice(&fs::read(folder.path().join("train/examples-test.json")).unwrap()).unwrap();
    let examples = examples["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 5);
    let wrong: Vec<f64> = examples
        .iter()
        .filter(|one| one["actual"] != one["predicted"])
        .map(|one| one["probability"].as_f64().unwrap())
        .collect();
    assert!(
        wrong.len() >= 3 && wrong.is_sorted_by(|one, other| one >= other),
        "the most confident errors first: {wrong:?}"
    );
    let html = page(folder.path(), "search train --output both.html");
    assert!(!html.contains("sgas eval --run train"), "nothing is missing now");
    let all = decisions(&folder.path().join("search"));
    assert_eq!(html.matches("<tr class=\"chosen\">").count(), all.len());
    for decision in &all {
        assert!(html.contains(&format!("<code>{}</code>", decision.primitive)));
        let score = decision.score.get("score").unwrap();
        assert!(html.contains(&format!("{score:.4}")), "{score}");
    }
    let Some(browser) = browser() else { return };
    for (name, moments) in [("both.html", true), ("train/report.html", false), ("search/report.html", true)] {
        if name != "both.html" {
            page(folder.path(), name.split('/').next().unwrap());
        }
        let shots = folder.path().join("shots");
        let mut check = Command::new(python());
        check.args(["-B", "scripts/browser.py", "check"]).arg(folder.path().join(name)).arg("--shots").arg(&shots);
        let found = check.current_dir(project("")).env("SGAS_CHROMIUM", &browser).output().unwrap();
        let told = String::from_utf8_lossy(&found.stdout).into_owned();
        assert!(found.status.success(), "{name}: {told}{}", String::from_utf8_lossy(&found.stderr));
        let seen: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(seen["seen"]["moments"].is_number(), moments, "{told}");
        assert!(seen["seen"]["curves"].as_u64().unwrap() >= 6, "{told}");
        assert!(fs::read(shots.join("light.png")).unwrap().starts_with(b"\x89PNG"));
    }
}

/// Chromium, where there is one, and a Python to drive it.
fn browser() -> Option<String> {
    let named = std::env::var("SGAS_CHROMIUM").ok();
    let found = named.or_else(|| {
        let path = std::env::var_os("PATH")?;
        let places = std::env::split_paths(&path)
            .flat_map(|folder| ["chromium", "chromium-browser"].map(|name| folder.join(name)));
        places.into_iter().find(|place| place.is_file()).map(|place| place.display().to_string())
    });
    if found.is_none() {
        println!("skipped: pages of sgas report in a browser: no chromium on PATH, and SGAS_CHROMIUM names none");
    }
    found
}

#[test]
fn the_command_on_the_page_repeats_the_run_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut search(folder.path(), "--out search -q --set decision.warmup=1"));
    let html = page(folder.path(), "search");
    let command = html.split("<pre><code>").nth(1).unwrap().split("</code>").next().unwrap();
    assert!(command.ends_with("--out search-again"), "{command}");
    output(sgas(folder.path()).args(command.split_whitespace().skip(1)));
    fs::remove_file(folder.path().join("search/report.html")).unwrap();
    assert_equal_runs(&folder.path().join("search"), &folder.path().join("search-again"));
}

#[test]
fn a_training_on_pictures_leaves_its_most_confident_errors_as_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let training = "train --genotype Cri1_CIFAR_Best --config smoke/train-images --data synthetic --device cpu --threads 1 \
                    --set train.epochs=1 --set model.channels=4 --set data.synthetic.train=40 --set data.synthetic.test=30 \
                    --batch 10 -q --out train";
    output(sgas(folder.path()).args(training.split_whitespace()));
    run(folder.path(), "eval --run train --examples 4 --device cpu --threads 1");
    let html = page(folder.path(), "train");
    assert_eq!(html.matches("<img src=\"data:image/png;base64,").count(), 4);
    refused(folder.path(), "eval --run train --examples 0", &["--examples"]);
}

#[test]
fn a_training_on_labelled_clouds_leaves_some_with_the_classes_of_all_points() {
    let folder = tempfile::tempdir().unwrap();
    let training = "train --model resgcn --config smoke/train-segmentation --data synthetic --device cpu --threads 1 --batch 4 \
                    --set resgcn.blocks=2 --set resgcn.channels=8 --set train.epochs=1 --set data.points=256 \
                    --set data.synthetic.train=10 --set data.synthetic.test=10 -q --out train";
    output(sgas(folder.path()).args(training.split_whitespace()));
    run(folder.path(), "eval --run train --examples 3 --device cpu --threads 1");
    let examples: Value =
        serde_json::from_slice(&fs::read(folder.path().join("train/examples-test.json")).unwrap()).unwrap();
    for example in examples["examples"].as_array().unwrap() {
        let cloud = &example["cloud"];
        let length = |name: &str| cloud[name].as_array().unwrap().len();
        assert_eq!((length("positions"), length("actual"), length("predicted")), (3 * 256, 256, 256));
        let classes = |name: &str| cloud[name].as_array().unwrap().iter().map(|class| class.as_i64().unwrap());
        let counted = classes("actual").filter(|class| *class >= 0).count();
        let right =
            classes("actual").zip(classes("predicted")).filter(|(actual, predicted)| actual == predicted).count();
        assert_eq!(example["probability"].as_f64().unwrap(), right as f64 / counted as f64);
    }
    let html = page(folder.path(), "train");
    assert_eq!(html.matches("data-cloud=").count(), 3);
    assert!(html.contains("Colour points by"));
}

#[test]
fn graphs_have_no_examples_and_that_is_said_before_the_work() {
    let folder = copied("train");
    refused(
        folder.path(),
        "eval --run train --examples 4",
        &["--examples: shapes, pictures and labelled clouds", "graphs can't"],
    );
    assert!(!page(folder.path(), "train").contains("--examples"));
}

#[test]
fn without_a_terminal_watch_prints_what_there_is_and_changes_nothing() {
    let folder = copied("search");
    let before = names(&folder.path().join("search"));
    let told = run(folder.path(), "watch search");
    assert!(told.starts_with("search: search on graphs, running or cut\nepoch 4 of 11, about "), "{told}");
    assert_eq!(told.matches("normal cell, edge ").count(), 4, "{told}");
    assert_eq!(names(&folder.path().join("search")), before);
    refused(folder.path(), "watch nowhere", &["nowhere is not the folder of a run"]);
}

/// In a terminal of its own, by Python's standard library.
const IN_A_TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, subprocess, sys, termios, time
main, terminal = pty.openpty()
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
before = termios.tcgetattr(terminal)
watch = subprocess.Popen(sys.argv[1:], stdin=terminal, stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm"})
seen, begun, asked = b"", time.time(), False
while time.time() - begun < 60:
    if select.select([main], [], [], 0.1)[0]:
        seen += os.read(main, 65536)
    if not asked and b"decisions" in seen:
        assert termios.tcgetattr(terminal) != before, "keys come one by one"
        os.write(main, b"\tq")
        asked = True
    if watch.poll() is not None and not select.select([main], [], [], 0.2)[0]:
        break
assert asked and watch.returncode == 0, (asked, watch.returncode, seen)
assert termios.tcgetattr(terminal) == before, "the terminal is as it was"
assert seen.startswith(b"\x1b[?1049h") and seen.rstrip().endswith(b"\x1b[?1049l"), seen
assert b"graphs" in seen and b"Accuracy" in seen, seen
"#;

#[test]
fn in_a_terminal_watch_draws_and_leaves_it_as_it_was() {
    let folder = copied("search");
    let program = assert_cmd::cargo::cargo_bin("sgas");
    let mut command = Command::new(python());
    command.args(["-B", "-c", IN_A_TERMINAL]).arg(program).args(["watch", "search"]).current_dir(folder.path());
    let found = command.env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
}

#[test]
fn the_table_has_a_row_per_epoch_with_costs_and_norms() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut search(folder.path(), "--out search -q"));
    let rows = table(&folder.path().join("search"));
    let epochs = epochs(&folder.path().join("search"));
    assert_eq!(rows.len(), epochs.len() + 1);
    let column = |name: &str| rows[0].iter().position(|heading| heading == name).unwrap_or_else(|| panic!("{name}"));
    for (row, epoch) in rows[1..].iter().zip(&epochs) {
        assert_eq!(row[column("train_loss")], epoch.train.loss.to_string());
        let norms = epoch.gradients.iter().find(|norms| norms.of == Learner::Weights).unwrap();
        assert_eq!(row[column("weight_gradient_mean")], norms.mean.to_string());
    }
    let text = fs::read_to_string(folder.path().join("search/metrics.csv")).unwrap();
    let heading = text.lines().next().unwrap();
    assert!(heading.ends_with("validation_seconds,resident_bytes,device_bytes,device_reserved_bytes"), "{heading}");
}

const BOARD: &str = "events.out.tfevents.sgas";

/// What TensorBoard's reader finds; nothing where the package is missing.
fn board(run: &Path) -> Option<Value> {
    let has = Command::new(python()).args(["-c", "import tensorboard"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!(
            "skipped: event files read by TensorBoard itself: PYTHON names no Python with the package tensorboard"
        );
        return None;
    }
    let mut read = Command::new(python());
    read.args(["-B", "scripts/read_tensorboard.py"]).arg(run).current_dir(project(""));
    let found = read.output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    Some(serde_json::from_slice(&found.stdout).unwrap())
}

/// A killed run neither loses nor doubles what TensorBoard reads, and one that asks late has all.
#[test]
fn tensorboard_reads_every_epoch_and_decision_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    output(&mut search(folder.path(), "--out whole -q --tensorboard"));
    output(&mut search(folder.path(), "--out without -q"));
    assert!(!path("without").join(BOARD).exists());
    let resume = |name: &str, more: &str| {
        let line = format!("search --out {name} --resume --threads 1 --device cpu -q {more}");
        output(sgas(folder.path()).args(line.split_whitespace()));
    };
    kill_at(&search(folder.path(), "--out cut --tensorboard"), Stop::Logged(Name::Epoch, 6));
    resume("cut", "");
    kill_at(&search(folder.path(), "--out late"), Stop::Logged(Name::Decision, 3));
    resume("late", "--tensorboard");
    let length = |name: &str| fs::metadata(path(name).join(BOARD)).unwrap().len();
    assert_eq!((length("cut"), length("late")), (length("whole"), length("whole")), "times are of one length");
    let Some(whole) = board(&path("whole")) else { return };
    let epochs = epochs(&path("whole"));
    let losses = whole["scalars"]["loss/train"].as_array().unwrap();
    assert_eq!(losses.len(), epochs.len());
    for (found, epoch) in losses.iter().zip(&epochs) {
        assert_eq!(found[0].as_u64().unwrap(), epoch.epoch as u64);
        assert_eq!(found[1].as_f64().unwrap() as f32, epoch.train.loss as f32);
    }
    let decided = decisions(&path("whole"));
    let texts = whole["texts"]["decisions/normal"].as_array().unwrap();
    assert_eq!(texts.len(), decided.len());
    assert!(texts.iter().zip(&decided).all(|(text, decision)| text[1].as_str().unwrap().contains(&decision.primitive)));
    assert_eq!(whole["records"].as_u64().unwrap() as usize, 1 + epochs.len() + decided.len());
    let timeless = |mut found: Value| {
        let scalars = found["scalars"].as_object_mut().unwrap();
        scalars.retain(|tag, _| !tag.starts_with("seconds/") && !tag.starts_with("bytes/"));
        found
    };
    for name in ["cut", "late"] {
        assert_eq!(timeless(board(&path(name)).unwrap()), timeless(whole.clone()), "{name}");
    }
}

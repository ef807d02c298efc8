//! The example of a crate that adds a space, a strategy, an objective and a family of data: searched with decisions, killed,
//! resumed, trained, evaluated. It sees the public API alone.

use super::resume::{Name, Stop, kill_at};
use super::{assert_equal_runs, decisions, epochs, output};
use assert_cmd::Command;
use serde_json::Value;
use sgas::report::Event;
use sgas::report::log::events;
use std::path::{Path, PathBuf};

#[path = "../../../examples/extend/objective.rs"]
mod objective;
#[path = "../../../examples/extend/space.rs"]
mod space;
#[path = "../../../examples/extend/strategy.rs"]
mod strategy;

/// The same lines as in the example, for the process that is killed, which is this binary.
pub fn register() {
    sgas::model::register(&space::DESCRIPTION, space::Toy::new).unwrap();
    sgas::search::strategy::register(&strategy::DESCRIPTION).unwrap();
    sgas::task::objective::register(&objective::DESCRIPTION).unwrap();
}

fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/extend");
    assert!(program.exists(), "{} is not there: cargo build --example extend", program.display());
    program
}

fn extended(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(program());
    command.current_dir(folder).args(line.split_whitespace()).args(["--threads", "1", "--device", "cpu"]);
    command.env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").env_remove("SGAS_DATA").env_remove("SGAS_RUNS");
    command
}

fn run(folder: &Path, line: &str) -> String {
    output(&mut extended(folder, line))
}

/// Tiny sizes.
const SEARCH: &str = "search --space toy --objective focal --config smoke/search-points --data synthetic --set \
                      data.points=48 --set data.synthetic.train=40 --set data.synthetic.test=20 --set search.batch=8";

#[test]
fn a_space_a_strategy_and_an_objective_of_another_crate_do_the_whole_job() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &format!("{SEARCH} --strategy drop-worst --out whole"));
    let whole = folder.path().join("whole");
    assert_eq!((decisions(&whole).len(), epochs(&whole).len()), (3, 5), "an edge for every node");
    let removed = events(&whole).unwrap().iter().filter(|event| matches!(event, Event::Removal(_))).count();
    assert_eq!(removed, 6 * 3, "six edges lose three primitives each");
    for (number, stop) in
        [Stop::Logged(Name::Epoch, 2), Stop::Before(3), Stop::Logged(Name::Decision, 1)].into_iter().enumerate()
    {
        let name = format!("cut{number}");
        kill_at(&extended(folder.path(), &format!("{SEARCH} --strategy drop-worst --out {name}")), stop);
        run(folder.path(), &format!("search --out {name} --resume"));
        assert_equal_runs(&whole, &folder.path().join(name));
    }
    let train = "train --genotype whole --config smoke/train-points --data synthetic --objective focal --set \
                 data.points=48 --set train.epochs=2 --out trained";
    run(folder.path(), train);
    let config = std::fs::read_to_string(folder.path().join("trained/config.toml")).unwrap();
    assert!(config.contains("network = \"toy\"") && config.contains("objective = \"focal\""), "{config}");
    let report: Value = serde_json::from_str(&run(folder.path(), "eval --run trained --json")).unwrap();
    assert_eq!(report["samples"], 200);
    assert!(run(folder.path(), "show whole").contains("(toy space)"));
    // Where none may be chosen, SGAS decides for it as for any other.
    run(
        folder.path(),
        &format!("{SEARCH} --strategy sgas --out greedy --set decision.warmup=0 --set decision.interval=1"),
    );
    assert_eq!(decisions(&folder.path().join("greedy")).len(), 3);
}

/// Slow and fast waves, in the tables of the UCR archive.
fn write_signals(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for (part, count) in [("TRAIN", 40), ("TEST", 20)] {
        let row = |number: usize| {
            let (class, pace) = if number.is_multiple_of(2) { ("slow", 0.2) } else { ("fast", 1.1) };
            let values = (0..48).map(|at| (pace * (at as f64 + number as f64)).sin());
            std::iter::once(class.to_owned())
                .chain(values.map(|value| value.to_string()))
                .collect::<Vec<_>>()
                .join("\t")
        };
        let text: String = (0..count).map(|number| row(number) + "\n").collect();
        std::fs::write(folder.join(format!("Waves_{part}.tsv")), text).unwrap();
    }
}

#[test]
fn a_family_of_another_crate_is_told_searched_trained_and_scored() {
    let folder = tempfile::tempdir().unwrap();
    write_signals(&folder.path().join("waves"));
    let info: Value = serde_json::from_str(&run(folder.path(), "data info waves --json")).unwrap();
    assert_eq!((&info["kind"], &info["classes"][1]["train"]), (&Value::from("signals"), &Value::from(20)), "{info}");
    let own = "--task signals --data waves";
    run(
        folder.path(),
        &format!(
            "search {own} --space toy --config smoke/search-points --set search.batch=8 --set decision.warmup=0 --set \
             decision.interval=1 --out found"
        ),
    );
    run(folder.path(), &format!("train {own} --genotype found --config smoke/train-points --batch 8 --out run"));
    let report: Value = serde_json::from_str(&run(folder.path(), "eval --run run --json")).unwrap();
    assert_eq!(report["samples"], 20);
    let accuracy = report["overall_accuracy"].as_f64().unwrap();
    // Chance is half, three deviations of 20 draws above it 84 %.
    assert!(accuracy > 0.84, "{accuracy}");
    let refused = extended(folder.path(), "predict --run run --input waves").assert().code(2);
    let text = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(text.contains("sgas predict reads none of this kind of data"), "{text}");
    let wrong = extended(folder.path(), "data synth new --kind signals").assert().code(2);
    assert!(String::from_utf8_lossy(&wrong.get_output().stderr).contains("sgas data synth writes none"));
    // Without --config it takes that of the data that is like its own.
    let tiny = "--set train.epochs=1 --set model.cells=1 --set model.channels=4 --set point.embedding=8 --batch 8";
    run(folder.path(), &format!("train {own} --genotype found {tiny} --out usual"));
}

#[test]
fn what_does_not_fit_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = |line: &str, words: &str| {
        let failed = extended(folder.path(), line).assert().code(2);
        let text = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
        assert!(text.contains(words), "{text}");
    };
    wrong("search --space toy --task cifar10", "space: expected a cell of the image space, found one of the toy space");
    wrong("search --space toy --task s3dis", "space: expected a cell of the point space, found one of the toy space");
    wrong("search --space tod --task points", "expected image, point, graph, nas-bench-201, nas-bench-graph or toy");
    let labels = "train --genotype Cri2_PPI_1 --config smoke/train-ppi --data synthetic --objective focal --out run";
    wrong(labels, "objective: expected one for this data: binary_cross_entropy, found focal");
    assert!(!folder.path().join("run").exists() || !folder.path().join("run/run.json").exists());
}

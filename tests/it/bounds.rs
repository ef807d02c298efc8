//! Counts and sizes of any value: taken, or refused with code 2 by the key or flag that set them; nothing panics,
//! overflows or asks for memory before data is read.

use sgas::cli;
use sgas::commands::{AreaChoice, Command, DataCommand};
use sgas::config::{self, RunConfig, SearchRun, Sources, TrainRun, embedded};
use sgas::data::EpochPlan;
use sgas::decision::grown_batch;
use sgas::genotype::{Genotype, zoo};
use sgas::model::{self, Architecture, NetworkKind};
use sgas::optim::learning_rate;
use sgas::tensor::random::{Key, Purpose};
use toml::{Table, Value};

const WHOLE: [&str; 4] = ["0", "-1", "1000000000000", "9223372036854775807"];
const FLOATS: [&str; 6] = ["nan", "inf", "-inf", "1e308", "-1.0", "0.0"];

/// Keys that no configuration has by itself.
const ABSENT: [&str; 3] = ["search.epochs", "data.images.size", "data.scenes.area"];

/// The assignments that put extremes, one at a time, in the place of every number of a table.
fn assignments(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    let key = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let mut put = |values: &[&str], text: &dyn Fn(&str) -> String| {
        found.extend(values.iter().map(|value| (path.to_owned(), format!("{path}={}", text(value)))));
    };
    match value {
        Value::Table(table) => table.iter().for_each(|(name, value)| assignments(&key(name), value, found)),
        Value::Integer(_) => put(&WHOLE, &str::to_owned),
        Value::Float(_) => put(&FLOATS, &str::to_owned),
        Value::Array(values) => {
            for at in 0..values.len() {
                let with = |extreme: &str| {
                    let texts = values.iter().enumerate();
                    let text = |(place, value): (usize, &Value)| {
                        if place == at { extreme.to_owned() } else { value.to_string() }
                    };
                    format!("[{}]", texts.map(text).collect::<Vec<_>>().join(", "))
                };
                match values[at] {
                    Value::Integer(_) => put(&WHOLE, &with),
                    Value::Float(_) => put(&FLOATS, &with),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Resolves the configuration with every extreme, and hands those to `plan` that are taken.
fn check<R: RunConfig>(name: &str, plan: impl Fn(&R)) -> usize {
    let resolve = |set: &[String]| config::resolve::<R>(&Sources { config: Some(name), set, ..Sources::default() });
    let table: Table = resolve(&[]).unwrap().to_toml().parse().unwrap();
    let mut all = Vec::new();
    assignments("", &Value::Table(table), &mut all);
    for key in ABSENT.iter().filter(|key| !key.starts_with("search") || R::COMMAND == "search") {
        assignments(key, &Value::Integer(1), &mut all);
    }
    assert!(all.len() > 100, "{name}: {}", all.len());
    for (key, assignment) in &all {
        match resolve(std::slice::from_ref(assignment)) {
            Ok(run) => plan(&run),
            Err(error) => {
                assert_eq!(error.exit_code(), 2, "{name}: {assignment}: {error}");
                // Of two sizes that don't fit each other either may be named.
                let fits = error.to_string().contains(key) || error.to_string().contains("data.images.");
                assert!(fits, "{name}: {assignment}: {error}");
            }
        }
    }
    all.len()
}

/// A cell of a space whose cells are in a table and not among the published ones.
const NAS_BENCH_201: &str = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|";

/// What is computed of every run before its data: sizes of networks, rates, batches.
fn plan_of(run: &impl RunConfig, batch: usize) {
    let _ = run.minimum_points();
    let plan = EpochPlan::training(Key::new(run.common().seed, Purpose::Order), batch, false);
    assert!(plan.batch_count(1000, 2) <= 1000);
    let spec = run.network(40, 9);
    let architecture = match run.network_kind() {
        NetworkKind::HandDesigned(network) => Architecture::HandDesigned(network),
        NetworkKind::Cells(space) => {
            let published = zoo::cells().iter().find(|cell| cell.space() == space);
            let genotype = match published {
                Some(cell) => cell.genotype.clone(),
                None => Genotype::from_text(NAS_BENCH_201, "the cell", None).unwrap(),
            };
            assert_eq!(genotype.space, space);
            Architecture::Cell(Box::new(genotype))
        }
    };
    assert!(model::parameter_count(&architecture, &spec) > 0);
}

#[test]
fn every_number_of_a_configuration_is_taken_or_refused_by_its_key() {
    let mut checked = 0;
    for name in embedded::names("search").into_iter().filter(|name| name.contains("smoke")) {
        checked += check::<SearchRun>(name, |run| {
            plan_of(run, grown_batch(run.search.batch, run.search.batch_growth, 1_000_000));
            let epochs = run.search.epochs.unwrap_or_else(|| run.decision.epochs(run.space().topology()));
            for epoch in [0, 1, epochs.saturating_sub(1)] {
                let _ = (learning_rate(&run.weights, epoch, epochs), run.decision.is_due(epoch));
            }
            let _strategy = run.search.strategy.strategy(run.space(), run.decision.clone());
        });
    }
    for name in embedded::names("train").into_iter().filter(|name| name.contains("smoke")) {
        checked += check::<TrainRun>(name, |run| {
            plan_of(run, run.train.batch);
            for epoch in [0, 1, run.train.epochs - 1] {
                let _ = learning_rate(&run.weights, epoch, run.train.epochs);
            }
        });
    }
    assert!(checked > 1000, "{checked}");
}

/// The error of a line, or what it means.
fn typed(line: &str) -> Result<Command, String> {
    let parsed = cli::parse_from(line.split_whitespace());
    parsed.map(|meant| meant.expect("a command").1).map_err(|error| error.to_string())
}

#[test]
fn every_number_of_a_flag_is_taken_or_refused_by_its_name() {
    let lines = [
        ("sgas search --task points", "--seed --batch --criterion --order --threads --device=cuda:"),
        ("sgas train --genotype x", "--seed --batch --area --threads"),
        ("sgas eval", "--batch --threads"),
        ("sgas predict --input x", "--batch --top --votes --threads"),
        ("sgas bench --task points", "--batch --warmup --repeats --threads"),
        ("sgas data synth x", "--train --test --points --seed --threads"),
    ];
    let extremes = ["0", "-1", "1000000000000", "9223372036854775807", "9223372036854775808", "18446744073709551616"];
    for (line, flags) in lines {
        for flag in flags.split_whitespace() {
            for extreme in extremes {
                let separator = if flag.ends_with(':') { "" } else { "=" };
                let text = format!("{line} {flag}{separator}{extreme}");
                let refusal = match typed(&text) {
                    Err(error) => error,
                    Ok(Command::Search(options)) => match options.resolve(None, None) {
                        Err(error) => {
                            assert_eq!(error.exit_code(), 2, "{text}: {error}");
                            error.to_string()
                        }
                        Ok(_) => String::new(),
                    },
                    Ok(_) => String::new(),
                };
                let name = flag.split('=').next().unwrap();
                assert!(refusal.is_empty() || refusal.contains(name), "{text}: {refusal}");
            }
        }
    }
    assert!(
        matches!(typed("sgas train --area=6"), Ok(Command::Train(options)) if options.area == Some(AreaChoice::One(6)))
    );
    let synth = |line: &str| matches!(typed(line), Ok(Command::Data(DataCommand::Synth(_))));
    assert!(synth("sgas data synth x --train 1000000 --test 10 --points 10000000"));
    assert!(!synth("sgas data synth x --train 1000001") && !synth("sgas data synth x --points 10000001"));
}

#[test]
fn sets_that_no_memory_holds_are_refused_before_they_are_made() {
    use crate::cli::refused;
    let folder = tempfile::tempdir().unwrap();
    let synth = "data synth set --train 1000000 --test 1000000";
    refused(folder.path(), &format!("{synth} --kind graphs"), &["--train: expected 0 to 100000 graphs"]);
    refused(
        folder.path(),
        &format!("{synth} --kind scenes --layout s3dis"),
        &["--points: expected at most 134 points"],
    );
    let blocks = "data synth set --kind scenes --layout s3dis --train 10 --test 10 --points 1000000";
    refused(folder.path(), blocks, &["--points: expected 1 to 100000 points of a block"]);
    for (task, points) in [("points", 1_000_000), ("segmentation", 1_000_000), ("s3dis", 500_000)] {
        let line = format!("search --task {task} --data synthetic --set data.points={points}");
        refused(folder.path(), &line, &["data.points: expected ", "hint: "]);
    }
    let line = "search --task graphs --data synthetic --set data.synthetic.train=1000000";
    refused(folder.path(), line, &["data.synthetic.train: expected 0 to 100000 graphs"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn threads_beyond_what_the_cores_serve_are_refused() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores > 60 {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let search = "search --config smoke/search-points --data synthetic --strategy random --threads";
    crate::cli::refused(folder.path(), &format!("{search} 1000"), &["--threads 1000: ", "hint: "]);
    let typed = search.trim_end_matches(" --threads").split_whitespace();
    let output = crate::cli::sgas(folder.path()).args(typed).env("OMP_NUM_THREADS", "1000").assert().code(2);
    let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(text.contains("error: OMP_NUM_THREADS=1000: "), "{text}");
    crate::cli::run(folder.path(), &format!("{search} 64 -q"));
}

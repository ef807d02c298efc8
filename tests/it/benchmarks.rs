//! `sgas estimate`, and cells of NAS-Bench-201 from the command line.

use crate::cli::{refused, sgas};
use assert_cmd::Command;
use serde_json::Value;
use sgas::benchmark::nas_bench_201::{CELLS, NasBench201};
use sgas::benchmark::nb301::Nb301;
use sgas::benchmark::{Benchmark, Quantity};
use sgas::genotype::Genotype;
use std::env;
use std::path::{Path, PathBuf};

const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|";

/// A real file, where SGAS_TEST_DATA has it.
fn real(path: &str) -> Option<PathBuf> {
    let file = env::var_os("SGAS_TEST_DATA").map(|root| PathBuf::from(root).join(path)).filter(|file| file.is_file());
    if file.is_none() {
        eprintln!("skipped: no {path} in SGAS_TEST_DATA");
    }
    file
}

fn printed(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn estimate(folder: &Path, cells: &[&str], table: &Path) -> String {
    printed(sgas(folder).arg("estimate").args(cells).arg("--table").arg(table))
}

#[test]
fn a_cell_of_nas_bench_201_is_shown_with_its_networks() {
    let folder = tempfile::tempdir().unwrap();
    let text = printed(sgas(folder.path()).args(["show", CELL]));
    assert!(
        text.contains("(nas-bench-201 space)") && text.contains(&format!("as NAS-Bench-201 writes it: {CELL}")),
        "{text}"
    );
    // A cell with three convolutions of 3×3 pixels.
    assert!(text.contains("cifar10_C16_N5") && text.contains("802,426"), "{text}");
    std::fs::write(folder.path().join("cell.txt"), format!("{CELL}\n")).unwrap();
    let json: Value = serde_json::from_str(&printed(sgas(folder.path()).args(["show", "cell.txt", "--json"]))).unwrap();
    assert_eq!((&json["arch_string"], &json["space"]), (&CELL.into(), &"nas-bench-201".into()));
}

#[test]
fn what_has_no_benchmark_or_another_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("table.csv"), "cell,accuracy\n").unwrap();
    std::fs::write(folder.path().join("nb301-encoding.json"), "{}").unwrap();
    refused(folder.path(), "estimate Cri2_ModelNet_Best --table table.csv", &["no benchmark is known", "point space"]);
    refused(
        folder.path(),
        "estimate Cri1_CIFAR_Best --table table.csv",
        &["table.csv: expected a network in ONNX's format"],
    );
    refused(folder.path(), "estimate Cri1_CIFAR_Best --table none.onnx", &["cannot read none.onnx"]);
    refused(
        folder.path(),
        &format!("estimate {CELL} --table table.csv"),
        &["table.csv: line 1: expected the table of NAS-Bench-201"],
    );
    refused(
        folder.path(),
        &format!("estimate {CELL} Cri1_CIFAR_Best --table table.csv"),
        &["expected a cell of the nas-bench-201 space"],
    );
    refused(folder.path(), "estimate |none~0| --table table.csv", &["expected a cell of NAS-Bench-201 as |op~0|+"]);
}

#[test]
fn the_published_table_says_what_a_cell_scores() {
    let Some(table) = real("nasbench201/nasbench201.csv") else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = estimate(folder.path(), &[CELL], &table);
    let line = |set: &str, quantity: &str| {
        let found = text.lines().find(|line| line.split_whitespace().take(2).eq([set, quantity]));
        found.unwrap_or_else(|| panic!("no {set} {quantity}: {text}")).to_owned()
    };
    assert!(line("cifar10", "test").contains("93.66 %") && line("cifar10-12-epochs", "validation").contains("82.83 %"));
    let json: Value =
        serde_json::from_str(&printed(sgas(folder.path()).args(["estimate", CELL, "--json", "--table"]).arg(&table)))
            .unwrap();
    assert_eq!((json["cells"][0]["scores"].as_array().unwrap().len(), &json["is_estimate"]), (9, &false.into()));
}

#[test]
fn an_estimate_comes_with_its_skips_and_its_warning() {
    let Some(surrogate) = real("nb301/nb301-surrogate.onnx") else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = estimate(folder.path(), &["Cri1_CIFAR_Best", "Cri2_CIFAR_Best"], &surrogate);
    assert_eq!((text.matches("skip_connects: ").count(), text.matches("validation").count()), (2, 2), "{text}");
    assert!(text.contains("takes a cell of skip_connects alone for a good one"), "{text}");
    let json = printed(sgas(folder.path()).args(["estimate", "Cri1_CIFAR_Best", "--json", "--table"]).arg(&surrogate));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["warning"].is_string() && json["cells"][0]["skip_connects"]["normal"].is_u64(), "{json}");
}

/// All cells of the space, and the optimum on CIFAR-10 that the paper states.
#[test]
fn the_published_table_holds_every_cell() {
    let Some(table) = real("nasbench201/nasbench201.csv") else { return };
    let table = NasBench201::open(&table).unwrap();
    assert_eq!((table.cells(), CELLS), (15_625, 15_625));
    let scores = (0..table.cells()).map(|row| table.scores(&table.cell(row).unwrap()).unwrap().swap_remove(0));
    let best = scores.max_by(|one, other| one.value.total_cmp(&other.value)).unwrap();
    assert_eq!(
        (best.set.as_str(), best.quantity, format!("{:.2}", 100.0 * best.value)),
        ("cifar10", Quantity::TestAccuracy, "94.37".to_owned())
    );
}

/// The second-order cell of DARTS, for which onnxruntime 1.32.0 gives 95.04733 (benches/results/nb301-surrogate.md).
#[test]
fn the_surrogate_estimates_what_onnxruntime_does() {
    let Some(surrogate) = real("nb301/nb301-surrogate.onnx") else { return };
    let encoding = surrogate.with_file_name("nb301-encoding.json");
    let cell = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
                ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
                normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
                ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), \
                ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";
    let genotype = Genotype::from_text(cell, "darts", None).unwrap();
    let opened = Nb301::open(&surrogate, &encoding).unwrap();
    let accuracy = 100.0 * opened.scores(&genotype).unwrap()[0].value;
    assert!((accuracy - 95.047_33).abs() < 1e-3, "{accuracy}");
    assert_eq!(Nb301::open(&encoding, &encoding).err().unwrap().exit_code(), 2);
}

/// Cells of NAS-Bench-Graph are looked up in its own table.
#[test]
fn the_space_of_a_cell_decides_what_reads_the_table() {
    let Some(table) = real("nas-bench-graph/nas-bench-graph.csv") else { return };
    let folder = tempfile::tempdir().unwrap();
    let cell = r#"{"space": "nas-bench-graph", "normal": [["gcn", 0], ["gat", 1], ["gcn", 0], ["sage", 2]], "normal_concat": [3, 4]}"#;
    std::fs::write(folder.path().join("cell.json"), cell).unwrap();
    let text = estimate(folder.path(), &["cell.json"], &table);
    assert!(text.contains("cora") && text.contains("(nas-bench-graph space)"), "{text}");
    refused(folder.path(), &format!("estimate {CELL} --table {}", table.display()), &["the table of NAS-Bench-201"]);
}

#[test]
fn what_searches_found_is_held_against_the_table() {
    let Some(table) = real("nasbench201/nasbench201.csv") else { return };
    let folder = tempfile::tempdir().unwrap();
    for seed in 1..=3 {
        let line = format!(
            "search --task cifar10 --space nas-bench-201 --strategy random --seed {seed} --out f{seed} --device cpu"
        );
        printed(sgas(folder.path()).args(line.split(' ')));
    }
    let regret = |more: &[&str]| {
        printed(sgas(folder.path()).args(["regret", "f1", "f2", "f3", "--table"]).arg(&table).args(more))
    };
    let json: serde_json::Value = serde_json::from_str(&regret(&["--on", "cifar10", "--json"])).unwrap();
    assert_eq!(json["table"]["cells"], 15_625);
    let method = &json["methods"][0];
    assert_eq!((&method["method"], &method["test"]["n"]), (&"random".into(), &3.into()));
    let known = estimate(folder.path(), &["f2"], &table);
    let best = json["table"]["best_test"].as_f64().unwrap();
    let test = best - method["regrets"][1].as_f64().unwrap();
    assert!(known.contains(&format!("{test:.2} %")), "{test} in {known}");
    let text = regret(&["--on", "cifar10"]);
    assert!(text.contains("cifar10: 15625 cells") && text.contains("random"), "{text}");
    // The table itself can be searched, and with as many trainings the model finds better cells than chance.
    let chosen: serde_json::Value = serde_json::from_str(&regret(&[
        "--on",
        "cifar10",
        "--chosen-by",
        "cifar10-12-epochs",
        "--json",
        "--simulate",
        "predictor=20",
        "--simulate",
        "random=20",
        "--seeds",
        "30",
    ]))
    .unwrap();
    let [predictor, random] = [0, 1].map(|index| &chosen["simulated"][index]);
    assert_eq!((&predictor["regret"]["n"], &random["difference"]["mean"]), (&30.into(), &0.0.into()));
    assert_eq!(predictor["random"], random["regret"]);
    assert!(predictor["difference"]["mean"].as_f64().unwrap() < 0.0, "{predictor}");
    let line = format!("regret f1 f2 --table {} --on cifar10 --best-of 2", table.display());
    refused(folder.path(), &line, &["--best-of counts the trainings", "--training"]);
    let line = format!("regret --table {} --simulate random=3", table.display());
    refused(folder.path(), &line, &["which searches?", "--space"]);
    let line = format!("regret f1 --table {}", table.display());
    refused(folder.path(), &line, &["--on: expected one of cifar10", "found nothing"]);
    refused(
        folder.path(),
        "regret f1 f2 f1 --table t.csv",
        &["expected one search by random with seed 1", "f1 and f1"],
    );
    refused(folder.path(), "regret f1 f9 --table t.csv", &["f9 is not the folder of a run"]);
    refused(folder.path(), "regret f1 --training f2 --table t.csv", &["f2 is a run of `sgas search`"]);
}

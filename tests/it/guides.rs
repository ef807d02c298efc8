//! The commands of README.md and of the pages of docs/ are run by a shell, page by page and line by line, as they stand there.
//! What makes them small stands in variables (`SGAS_SEARCH__EPOCHS=7`), so that their words stay the page's own; what a reader
//! has (data, weights, a plan) is made before. README alone in `make test`, all pages in `make test-all`.

use crate::graphs::ppi;
use crate::pytorch::{self, Format};
use crate::readme::{guides, shell_lines, text};
use crate::scenes::shapenet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::Tensor;

/// Lines that are not run here, by their beginnings, and what runs them.
const ELSEWHERE: [(&str, &str); 8] = [
    ("pip install ", "`make test-wheel` installs the wheel and does README's commands with it"),
    ("make ", "targets of the Makefile, one of which runs this test"),
    ("export PATH=", "where the test's own program stands"),
    ("benches/gpu.sh", "tests/it/gpu_script.rs"),
    ("sgas bench ", "tests/it/bench.rs: these are for a machine with a GPU, and take minutes without"),
    ("sgas export --run runs/my-training --format onnx", "python/tests/test_export.py: it needs PyTorch"),
    ("sgas doctor", "tests/it/doctor.rs: it ends with 1 on a machine that lacks something"),
    ("sgas search --task modelnet10 --batch auto", "tests/it/runs/search.rs: it looks at the memory that is free"),
];

/// Something that a page takes for granted.
enum Given {
    /// What this line of a shell makes.
    Made(&'static str),
    /// Weights of a network as `sgas train` with these words makes it, by PyTorch's own pickles.
    Pickled(&'static str, &'static str),
    /// The plan that the page shows first, for three seeds.
    Plan,
    /// A folder of data, and what makes one.
    Folder(&'static str, fn() -> tempfile::TempDir),
    /// A file of these lines.
    Lines(&'static str, fn() -> Vec<String>),
}

use Given::{Folder, Lines, Made, Pickled, Plan};

const CELL: &str = "sgas search --config smoke/search-points --data synthetic --out runs/my-search --save cell.json";
const TRAINING: &str =
    "sgas train --genotype Cri2_ModelNet_Best --config smoke/train-points --data synthetic --out runs/my-training";
const WEIGHTS: &str =
    "sgas train --genotype Cri2_ModelNet_Best --task modelnet40 --out w && cp w/weights-last.safetensors w.safetensors";

const CORA: &str = "sgas data synth data/cora --kind graphs --layout one --train 60 --test 30";

/// What is there before the first line of a page that begins so.
fn all_given() -> Vec<(&'static str, &'static str, Vec<Given>)> {
    vec![
        (
            "README.md",
            "sgas predict --input scans",
            vec![Made("sgas data synth rooms --kind scenes --train 10 --test 10 && mv rooms/test scans")],
        ),
        (
            "docs/own-data.md",
            "sgas search --task points --data scans",
            vec![Made(
                "sgas data synth scans --layout flat --train 30 --test 20 && touch $(ls -d scans/*/ | head -1)bad.off",
            )],
        ),
        (
            "docs/own-data.md",
            "sgas data info scans",
            vec![Made("rm scans/*/bad.off && (cd scans && ls */* | awk 'NR % 5 == 0') > val.txt && cp val.txt scans")],
        ),
        (
            "docs/own-data.md",
            "sgas data info follows",
            vec![Made("sgas data synth follows --kind graphs --layout one --train 60 --test 30")],
        ),
        (
            "docs/own-data.md",
            "sgas data info shapenetcore",
            vec![Folder("shapenetcore_partanno_segmentation_benchmark_v0_normal", || shapenet(true))],
        ),
        (
            "docs/own-data.md",
            "sgas train --task segmentation --data scans",
            vec![Made("rm -rf scans && sgas data synth scans --kind scenes --train 10 --test 10")],
        ),
        (
            "docs/own-data.md",
            "sgas predict --run runs/my-training",
            vec![
                Made(TRAINING),
                Made(
                    "rm -rf scans && sgas data synth more --train 20 --test 10 --format pcd && mkdir scans && cp more/*/test/* scans",
                ),
                Made("cp $(ls scans/*.pcd | head -1) chair.pcd"),
            ],
        ),
        (
            "docs/own-data.md",
            "sgas predict --weights w.safetensors",
            vec![Made(WEIGHTS), Lines("shape_names.txt", || (0..10).map(|class| format!("class-{class}")).collect())],
        ),
        (
            "docs/training.md",
            "sgas train --task graphs --data DIR",
            vec![Made("sgas data synth DIR --kind graphs --layout one --train 60 --test 30")],
        ),
        ("docs/training.md", "sgas eval --run runs/my-training", vec![Made(CELL), Made(TRAINING)]),
        ("docs/training.md", "sgas eval --weights", vec![Made(WEIGHTS)]),
        ("docs/reports.md", "sgas report runs/my-search", vec![Made(CELL), Made(TRAINING)]),
        (
            "docs/reports.md",
            "sgas report studies/criteria",
            vec![Plan, Made(CORA), Made("sgas study plan.toml --out studies/criteria -q")],
        ),
        ("docs/studies.md", "sgas study plan.toml --out studies/criteria", vec![Plan, Made(CORA)]),
        (
            "docs/weights.md",
            "sgas import best_weights.pt",
            vec![Folder("DIR", ppi), Pickled("--genotype Cri2_PPI_Best --task ppi --data DIR", "best_weights.pt")],
        ),
        (
            "docs/weights.md",
            "sgas import checkpoint.pth.tar",
            vec![Pickled("--model resgcn --task s3dis", "checkpoint.pth.tar")],
        ),
        (
            "docs/weights.md",
            "sgas predict --weights chairs/network.pt",
            vec![
                Made(TRAINING),
                Made("sgas export --run runs/my-training --format safetensors --output chairs.safetensors"),
                Made("mkdir chairs && mv chairs.safetensors chairs/network.pt"),
                Made("sgas data synth more --train 10 --test 10 && mkdir scans && cp more/*/test/* scans"),
            ],
        ),
        ("docs/weights.md", "sgas train --init chairs/network.pt", vec![Made("rm -rf DIR && mv more DIR")]),
        (
            "docs/weights.md",
            "sgas train --init resgcn.safetensors",
            vec![Made("rm -rf DIR && sgas data synth DIR --kind scenes --layout s3dis --train 10 --test 10")],
        ),
        (
            "docs/studies.md",
            "sgas correlate ranks.csv",
            vec![Lines("ranks.csv", || {
                ["search_rank,evaluation_rank", "1,2", "2,1", "3,4", "4,3"].map(str::to_owned).to_vec()
            })],
        ),
    ]
}

/// What makes a line small. Of a run that goes on everything is known.
fn sizes(line: &str) -> Vec<(&'static str, &'static str)> {
    let mut sizes = vec![];
    if line.contains("--resume") || line.contains("--run ") {
        return sizes;
    }
    let is_study = line.contains("sgas study ");
    let is = |command: &str| is_study || line.contains(&format!("sgas {command} "));
    if is("search") || is("train") || line.contains("--weights ") || is("import") {
        sizes.extend([
            ("SGAS_DATA__SOURCE", "synthetic"),
            ("SGAS_DATA__SYNTHETIC__TRAIN", "12"),
            ("SGAS_DATA__SYNTHETIC__TEST", "10"),
            ("SGAS_DATA__POINTS", "64"),
            ("SGAS_MODEL__CELLS", "2"),
            ("SGAS_MODEL__CHANNELS", "8"),
            ("SGAS_RESGCN__BLOCKS", "2"),
            ("SGAS_RESGCN__CHANNELS", "8"),
            ("SGAS_RESGCN__K", "4"),
        ]);
    }
    if is("search") {
        sizes.extend([("SGAS_SEARCH__BATCH", "6"), ("SGAS_DECISION__WARMUP", "0"), ("SGAS_DECISION__INTERVAL", "1")]);
        // The recipes for a reader's own data count steps: of a single graph an epoch is one.
        let of_steps = is_study || line.contains("--task graphs") || line.contains("--task points");
        sizes.push(if of_steps { ("SGAS_SEARCH__STEPS", "12") } else { ("SGAS_SEARCH__EPOCHS", "8") });
    }
    if is("train") {
        sizes.extend([("SGAS_TRAIN__EPOCHS", "2"), ("SGAS_TRAIN__STEPS", "1"), ("SGAS_TRAIN__BATCH", "6")]);
    }
    sizes
}

/// Runs a line by a shell in `folder`; what it said where it failed.
fn typed(folder: &Path, line: &str) -> Result<(), String> {
    let program = assert_cmd::cargo::cargo_bin("sgas");
    let mut places = vec![program.parent().unwrap().to_owned()];
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut shell = Command::new("bash");
    shell.args(["-euc", line]).current_dir(folder).env("PATH", std::env::join_paths(places).unwrap());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SGAS_")) {
        shell.env_remove(name);
    }
    shell.env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").envs(sizes(line));
    let output = shell.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let is_well = output.status.success() && !told.contains("panicked");
    if is_well { Ok(()) } else { Err(format!("{line}\n{}\n{told}", output.status)) }
}

fn make(folder: &Path, given: &Given) -> Result<(), String> {
    match given {
        Made(line) => typed(folder, line)?,
        Pickled(words, name) => {
            typed(folder, &format!("sgas train {words} --out pickled"))?;
            let weights = Tensor::read_safetensors(folder.join("pickled/weights-last.safetensors")).unwrap();
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, pytorch::file(&weights, Some("state_dict"), Format::Zip)).unwrap();
            fs::remove_dir_all(folder.join("pickled")).unwrap();
        }
        Plan => {
            let page = text("docs/studies.md");
            let plan = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
            assert!(plan.contains("seeds = 20") && plan.contains("data/cora"));
            fs::write(folder.join("plan.toml"), plan.replace("seeds = 20", "seeds = 3")).unwrap();
        }
        Folder(name, made) => fs::rename(made().keep(), folder.join(name)).unwrap(),
        Lines(name, lines) => fs::write(folder.join(name), lines().join("\n") + "\n").unwrap(),
    }
    Ok(())
}

/// Runs what these pages show, and how many lines that were.
fn run(pages: &[String]) -> usize {
    let (mut count, mut failures) = (0, Vec::new());
    for page in pages {
        let folder = tempfile::tempdir().unwrap();
        let mut all = all_given();
        let lines = shell_lines(&text(page));
        for line in lines.iter().filter(|line| !ELSEWHERE.iter().any(|(begin, _)| line.starts_with(begin))) {
            let begins = |(of, begin, _): &(&str, &str, Vec<Given>)| of == page && line.starts_with(begin);
            let given = all.iter().position(begins).map_or_else(Vec::new, |index| all.remove(index).2);
            let done = given.iter().try_for_each(|given| make(folder.path(), given));
            failures.extend(done.and_then(|()| typed(folder.path(), line)).err().map(|told| format!("{page}: {told}")));
            count += 1;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    count
}

#[test]
fn the_commands_of_the_readme_do_what_they_say() {
    assert!(run(&["README.md".to_owned()]) >= 20);
}

#[test]
fn the_commands_of_every_page_of_the_docs_do_what_they_say() {
    if std::env::var_os("SGAS_TEST_ALL").is_none() {
        println!("skipped: the commands of docs/ are run, every one: `make test-all` does it");
        return;
    }
    assert!(run(&guides()[1..]) >= 50);
}

#[test]
fn nothing_is_given_or_left_out_for_a_line_that_no_page_has() {
    let lines: Vec<String> = guides().iter().flat_map(|page| shell_lines(&text(page))).collect();
    for (page, begin, _) in all_given() {
        assert!(shell_lines(&text(page)).iter().any(|line| line.starts_with(begin)), "{page} has no {begin} any more");
    }
    for (begin, why) in ELSEWHERE {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "no page has {begin} any more");
        for file in why.split([' ', ':', ',']).filter(|word| word.contains('/')) {
            assert!(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file).is_file(), "{file}");
        }
    }
}

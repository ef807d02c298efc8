//! Run folders that version 0.1.0 left: they are evaluated, shown, used for predictions, and gone on with.

use super::{decisions, epochs, output};
use crate::cli::sgas;
use serde_json::Value;
use std::path::Path;

fn run(folder: &Path, line: &str) -> String {
    let place: &[&str] =
        if line.starts_with("data") || line.starts_with("show") { &[] } else { &["--threads", "1", "--device", "cpu"] };
    output(sgas(folder).args(line.split_whitespace()).args(place))
}

/// A copy, because commands write into run folders.
pub(super) fn copied(name: &str) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs-0.1.0").join(name);
    copy(&fixture, &folder.path().join(name));
    folder
}

#[test]
fn a_search_that_the_first_version_began_is_ended() {
    let folder = copied("search");
    let search = folder.path().join("search");
    assert!(!search.join("genotype.json").exists());
    run(folder.path(), "search --out search --resume");
    assert_eq!((decisions(&search).len(), epochs(&search).len()), (6, 11));
    // Batches go on growing from the decisions before.
    let batches: Vec<usize> = epochs(&search).iter().map(|epoch| epoch.batch_size).collect();
    assert_eq!(batches, [6, 7, 8, 9, 10, 11, 12, 12, 12, 12, 12]);
    assert!(run(folder.path(), "show search").contains("(graph space)"));
}

#[test]
fn a_training_of_the_first_version_is_evaluated_shown_and_predicts() {
    let folder = copied("train");
    let report: Value = serde_json::from_str(&run(folder.path(), "eval --run train --json")).unwrap();
    assert_eq!(report["samples"], 1522);
    let score = report["overall_accuracy"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&score));
    assert!(run(folder.path(), "show train").contains("(graph space)"));
    run(folder.path(), "data synth g --kind graphs --train 20 --test 10");
    run(folder.path(), "predict --run train --input g --output nodes.csv");
    assert!(std::fs::read_to_string(folder.path().join("nodes.csv")).unwrap().lines().count() > 100);
}

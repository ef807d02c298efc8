//! S3DIS six-fold: a training per area, and the scores of all areas together.

use super::output;
use crate::cli::sgas;
use serde_json::Value;
use std::path::Path;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn sums(report: &Value, what: &str) -> Vec<u64> {
    report["per_class"].as_array().unwrap().iter().map(|class| class[what].as_u64().unwrap()).collect()
}

#[test]
fn six_trainings_are_scored_over_all_points_of_all_areas() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "train --area all --config smoke/train-s3dis --data synthetic --threads 1 --device cpu --out six \
                    --set data.synthetic.train=60 --set train.epochs=1";
    let text = output(sgas(folder.path()).args(settings.split_whitespace()));
    assert!(text.contains("six-fold") && text.contains("mean IoU"), "{text}");
    let six = folder.path().join("six");
    let pooled = read(&six.join("six-fold.json"));
    let areas: Vec<Value> = (1..=6).map(|area| read(&six.join(format!("area-{area}/eval-test.json")))).collect();
    for what in ["points", "intersection", "union"] {
        let mut expected = vec![0; 13];
        for area in &areas {
            expected.iter_mut().zip(sums(area, what)).for_each(|(sum, count)| *sum += count);
        }
        assert_eq!(sums(&pooled["six_fold"], what), expected, "{what}");
    }
    for (area, report) in areas.iter().enumerate() {
        assert_eq!(pooled["areas"][area], report["mean_iou"]);
        let config = std::fs::read_to_string(six.join(format!("area-{}/config.toml", area + 1))).unwrap();
        assert!(config.contains(&format!("area = {}", area + 1)), "{config}");
    }
    let points: u64 = sums(&pooled["six_fold"], "points").iter().sum();
    assert_eq!(points, areas.iter().map(|area| area["samples"].as_u64().unwrap()).sum::<u64>());

    // What is done is not done again.
    let weights = |area: u8| std::fs::read(six.join(format!("area-{area}/weights-last.safetensors"))).unwrap();
    let before = (weights(1), weights(6), read(&six.join("six-fold.json")));
    output(sgas(folder.path()).args("train --area all --out six --resume --threads 1 --device cpu".split_whitespace()));
    assert_eq!(before, (weights(1), weights(6), read(&six.join("six-fold.json"))));
}

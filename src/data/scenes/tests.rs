//! Groups of points and the division of clouds, without files.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::cloud::{Cloud, Reading, Store};
use super::labels::{Class, IGNORED};
use super::*;
use crate::data::points::augmentation::Normalization;
use crate::data::points::colours::ColorRange;
use crate::data::points::features::Features;
use crate::data::points::format::Raw;
use crate::data::points::intake::Intake;

/// A cloud whose point i has the channels i, i, i and 10 · i, and of which every third point has no class.
fn cloud(points: usize) -> Cloud {
    let values = (0..points).flat_map(|point| [1, 1, 1, 10].map(|times| (point * times) as f32)).collect();
    let classes = (0..points).map(|point| if point % 3 == 2 { IGNORED } else { (point % 3) as Class }).collect();
    let store = Arc::new(Store { values, classes, channels: 4, ..Store::default() });
    Cloud { name: format!("cloud of {points}"), store, rows: 0..points }
}

fn preparation(points: usize, order: PointOrder) -> Preparation {
    Preparation { points, channels: 4, normals: None, order, augmentation: Augmentation::None }
}

fn access(training: bool, epoch: u64) -> Access {
    let purpose = if training { Purpose::Augmentation } else { Purpose::Evaluation };
    Access { training, key: Key::new(3, purpose).at(epoch, 0) }
}

/// Numbers and classes of the points of a sample.
fn sample(scenes: &Scenes, index: usize, access: Access) -> Vec<(usize, i64)> {
    let batch = scenes.batch(&[index], access).unwrap();
    let (points, labels) = (&batch.points().points, &batch.points().labels);
    let labels = Vec::<i64>::try_from(labels).unwrap();
    let points = Vec::<f32>::try_from(points.reshape([-1])).unwrap();
    let number = |point: &[f32]| {
        assert_eq!(point[3], 10.0 * point[0], "torn from its features");
        point[0] as usize
    };
    points.chunks(4).map(number).zip(labels).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_point_is_scored_once_whatever_the_sizes(sizes in prop::collection::vec(1_usize..50, 1..5), points in 1_usize..20) {
        for order in [PointOrder::First, PointOrder::Random] {
            let scenes = Scenes::new(sizes.iter().map(|size| cloud(*size)).collect(), preparation(points, order), 0);
            let mut index = 0;
            for size in &sizes {
                let mut seen = Vec::new();
                for _ in 0..size.div_ceil(points) {
                    let sample = sample(&scenes, index, access(false, 0));
                    prop_assert_eq!(sample.len(), points);
                    prop_assert_eq!(scenes.name(index), format!("cloud of {size}"));
                    for (point, class) in sample {
                        prop_assert!(point < *size);
                        if class != i64::from(IGNORED) {
                            prop_assert_eq!(class, (point % 3) as i64);
                            seen.push(point);
                        }
                    }
                    index += 1;
                }
                seen.sort_unstable();
                let labelled: Vec<usize> = (0..*size).filter(|point| point % 3 != 2).collect();
                prop_assert_eq!(seen, labelled);
            }
            prop_assert_eq!(index, scenes.len());
            let labelled: usize = sizes.iter().map(|size| cloud(*size).labelled()).sum();
            prop_assert_eq!(scenes.targets(), labelled);
        }
    }

    #[test]
    fn blocks_hold_every_point_once_within_their_side(points in prop::collection::vec((-5.0_f64..5.0, -5.0_f64..5.0), 1..60), side in 0.3_f64..4.0) {
        let column = |name: &str, values: Vec<f64>| (name.to_owned(), values);
        let numbers: Vec<f64> = (0..points.len()).map(|point| point as f64).collect();
        let columns = vec![
            column("x", points.iter().map(|(x, _)| *x).collect()),
            column("y", points.iter().map(|(_, y)| *y).collect()),
            column("z", numbers.clone()),
            column("number", numbers),
        ];
        let features = Features::parse(&["number".to_owned()]).unwrap();
        let reading = Reading { features, normalization: Normalization::None, block: side, intake: Intake::default() };
        let classes: Vec<Class> = (0..points.len() as Class).collect();
        let cut = reading.cut(Raw { columns, triangles: vec![[0, 0, 0]], ..Raw::default() }, &classes, "a").unwrap();
        let mut seen = BTreeSet::new();
        for cloud in &cut.clouds {
            let values: Vec<&[f32]> = cloud.rows.clone().map(|row| &cloud.store.values[row * 4..][..4]).collect();
            for (value, (class, row)) in values.iter().zip(cloud.classes().iter().zip(cloud.rows.clone())) {
                prop_assert_eq!((value[3], cut.rows[row]), (f32::from(*class), *class as u32));
                prop_assert!(seen.insert(*class));
            }
            for axis in 0..2 {
                let all = || values.iter().map(|value| f64::from(value[axis]));
                let extent = all().fold(f64::MIN, f64::max) - all().fold(f64::MAX, f64::min);
                prop_assert!(extent <= side * 1.000_001, "{extent} in {side}");
            }
        }
        prop_assert_eq!(seen.len(), points.len());
    }
}

#[test]
fn a_cloud_of_the_wanted_size_is_one_group_as_stored_and_a_small_one_is_filled_up() {
    let scenes = Scenes::new(vec![cloud(6), cloud(4)], preparation(6, PointOrder::First), 0);
    let whole = sample(&scenes, 0, access(false, 0));
    assert_eq!(whole, [(0, 0), (1, 1), (2, -100), (3, 0), (4, 1), (5, -100)]);
    assert_eq!(whole, sample(&scenes, 0, access(true, 5)));
    let small = sample(&scenes, 1, access(false, 0));
    assert_eq!(small, [(0, 0), (1, 1), (2, -100), (3, 0), (0, -100), (1, -100)], "repeated points do not count");
}

#[test]
fn random_subsets_are_fresh_in_training_and_groups_are_the_same_at_every_pass() {
    let scenes = Scenes::new(vec![cloud(40)], preparation(10, PointOrder::Random), 0);
    assert_eq!(scenes.len(), 4, "as many draws as groups");
    let first = sample(&scenes, 0, access(true, 0));
    assert_eq!(first.iter().map(|(point, _)| point).collect::<BTreeSet<_>>().len(), 10);
    assert_eq!(first, sample(&scenes, 0, access(true, 0)));
    assert_ne!(first, sample(&scenes, 0, access(true, 1)));
    assert_eq!(sample(&scenes, 2, access(false, 0)), sample(&scenes, 2, access(false, 7)));
    let numbers: Vec<usize> = sample(&scenes, 0, access(false, 0)).into_iter().map(|(point, _)| point).collect();
    assert!(!numbers.is_sorted(), "groups are spread over the cloud");
}

#[test]
fn augmentation_moves_positions_and_leaves_points_beside_their_classes() {
    let scenes = Scenes::new(
        vec![cloud(6)],
        Preparation { augmentation: Augmentation::ScaleTranslate, ..preparation(6, PointOrder::First) },
        0,
    );
    let batch = scenes.batch(&[0], access(true, 0)).unwrap();
    let values = Vec::<f32>::try_from(batch.points().points.reshape([-1])).unwrap();
    let features: Vec<f32> = values.chunks(4).map(|point| point[3]).collect();
    assert_eq!(features, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
    assert_ne!(values[4], 1.0);
    let labels = Vec::<i64>::try_from(&batch.points().labels).unwrap();
    assert_eq!(labels, [0, 1, -100, 0, 1, -100]);
}

#[test]
fn whole_groups_of_training_clouds_are_held_out() {
    let part = |split, group: usize| Part { split, group: group.to_string(), clouds: vec![cloud(group + 1)] };
    let parts = || -> Vec<Part> {
        let train = (0..20).map(|index| part(Split::Train, index / 2));
        train.chain([part(Split::Test, 50)]).collect()
    };
    let shares = Shares { training: 1.0, validation: 0.3, test: 0.2, seed: 0 };
    let sizes = |clouds: &[Cloud]| clouds.iter().map(Cloud::len).collect::<BTreeSet<_>>();
    let [train, held, test] = divide(parts(), shares, 1);
    assert_eq!((train.len(), held.len(), test.len()), (14, 6, 1));
    assert!(sizes(&train).is_disjoint(&sizes(&held)), "a room is in one split");
    let [other, ..] = divide(parts(), shares, 2);
    assert_ne!(sizes(&train), sizes(&other), "the seed decides");
    let half = Shares { training: 0.5, validation: 0.0, ..shares };
    assert_eq!(divide(parts(), half, 1).map(|clouds| clouds.len()), [10, 0, 1]);
    let with_validation = parts().into_iter().chain([part(Split::Validation, 60)]).collect();
    assert_eq!(divide(with_validation, shares, 1).map(|clouds| clouds.len()), [20, 1, 1], "the set's own part");
}

#[test]
fn labels_go_with_the_points_that_stay_and_colours_follow_the_set() {
    let features = Features::parse(&["red".to_owned()]).unwrap();
    let intake = Intake::new(&[], 0.5).unwrap();
    let reading = Reading { features, normalization: Normalization::None, block: 1.0, intake };
    let cut = |red: [f64; 4]| {
        let columns =
            [("x", [0.0, f64::NAN, 2.5, 0.5]), ("y", [0.0; 4]), ("z", [1.0, 2.0, f64::INFINITY, 4.0]), ("red", red)];
        let columns = columns.map(|(name, values)| (name.to_owned(), values.to_vec())).into();
        reading.cut(Raw { columns, ..Raw::default() }, &[5, 6, 7, 8], "a").unwrap()
    };
    let (mut dark, mut bright) = (cut([1.0, 0.0, 0.0, 0.0]), cut([255.0, 0.0, 51.0, 51.0]));
    assert_eq!((dark.rows.as_slice(), dark.clouds[0].classes()), (&[0, 3][..], &[5, 8][..]));
    let mut files = [dark.clouds.as_mut_slice(), bright.clouds.as_mut_slice()];
    let divided = cloud::divide_colours(&mut files, ColorRange::Auto, &reading.features, "a").unwrap();
    assert_eq!(
        (divided.0, &bright.clouds[0].store.values[..]),
        (ColorRange::Byte, &[0.0, 0.0, 1.0, 1.0, 0.5, 0.0, 4.0, 0.2][..])
    );
    assert_eq!(dark.clouds[0].store.values[3], 1.0 / 255.0);
    let told = divided.1.told(ColorRange::Byte).join("\n");
    assert!(told.contains("4 points of 2 files have numbers that are not finite"), "{told}");
}

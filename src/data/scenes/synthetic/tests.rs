//! The synthetic rooms: every class occurs, the same in every run, and no single channel gives the class away.

use std::collections::HashMap;

use super::*;

fn size(train: usize, test: usize) -> SyntheticConfig {
    SyntheticConfig { train, test, seed: 0 }
}

/// The share of points whose class is the commonest of their cell, learned from the even points and scored on the odd.
fn told_by(points: &[(Vec<i32>, u8)]) -> f64 {
    let mut counts: HashMap<&Vec<i32>, [usize; 13]> = HashMap::new();
    for (cell, class) in points.iter().step_by(2) {
        counts.entry(cell).or_insert([0; 13])[usize::from(*class)] += 1;
    }
    let best = |cell: &Vec<i32>| {
        let counts = counts.get(cell)?;
        (0..13).max_by_key(|class| (counts[*class], 13 - class))
    };
    let scored: Vec<bool> =
        points.iter().skip(1).step_by(2).map(|(cell, class)| best(cell) == Some(usize::from(*class))).collect();
    scored.iter().filter(|is_right| **is_right).count() as f64 / scored.len() as f64
}

#[test]
fn every_class_occurs_in_both_parts() {
    let (file, rooms) = blocks("points", &size(10, 10), 512).unwrap();
    assert_eq!((file.blocks(), rooms.len(), file.values.len()), (20, 20, 20 * 512 * 9));
    for part in [0..10, 10..20] {
        let labels = &file.classes[part.start * 512..part.end * 512];
        for class in 0..13 {
            let count = labels.iter().filter(|label| **label == class).count();
            assert!(count >= 10, "{}: {count} points", CLASSES[class as usize]);
        }
    }
    assert!(rooms[..10].iter().all(|room| !room.contains("Area_5") && room.contains("synthetic")));
    assert!(rooms[10..].iter().all(|room| room.starts_with("Area_5_synthetic_")), "{rooms:?}");
}

#[test]
fn rooms_are_the_same_for_the_same_seed() {
    let [one, same] = [(); 2].map(|()| blocks("points", &size(10, 10), 64).unwrap().0);
    assert!(one.values == same.values && one.classes == same.classes);
    let other = blocks("points", &SyntheticConfig { seed: 1, ..size(10, 10) }, 64).unwrap().0;
    assert_ne!(one.values, other.values);
    assert_ne!(one.values[..64 * 9], one.values[9 * 64 * 9..][..64 * 9], "two rooms");
}

#[test]
fn channels_are_metres_colours_and_the_place_in_the_room() {
    let (file, _) = blocks("points", &size(10, 10), 256).unwrap();
    for block in file.values.chunks(256 * 9) {
        for axis in 0..2 {
            let all = || block.iter().skip(axis).step_by(9);
            let (low, high) = (all().copied().fold(f32::MAX, f32::min), all().copied().fold(f32::MIN, f32::max));
            assert!(high - low <= 1.0 && low.floor() == high.floor(), "{low} to {high} of one metre");
        }
        assert!(block.chunks(9).all(|point| point[3..].iter().all(|value| (0.0..=1.0).contains(value))));
    }
}

#[test]
fn neither_the_place_in_the_room_nor_the_colour_alone_tells_the_class() {
    let (file, _) = blocks("points", &size(200, 10), 128).unwrap();
    let points = |channels: std::ops::Range<usize>, steps: f32| -> Vec<(Vec<i32>, u8)> {
        let cell = |point: &[f32]| point[channels.clone()].iter().map(|value| (value * steps) as i32).collect();
        file.values.chunks(9).zip(&file.classes).map(|(point, label)| (cell(point), *label as u8)).collect()
    };
    // Ceiling, floor and walls, which the place tells, are two thirds of the points: of the others it tells few.
    let furniture = |points: Vec<(Vec<i32>, u8)>| -> f64 {
        told_by(&points.into_iter().filter(|(_, class)| *class > 2).collect::<Vec<_>>())
    };
    let (place, colour) = (furniture(points(6..9, 8.0)), furniture(points(3..6, 8.0)));
    let both = furniture(points(3..9, 4.0));
    assert!((0.2..0.62).contains(&place), "place alone tells {place}");
    assert!((0.2..0.62).contains(&colour), "colour alone tells {colour}");
    assert!(both > place.max(colour) + 0.05, "both {both}, place {place}, colour {colour}");
}

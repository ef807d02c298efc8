//! Changes of colour, beside what Pillow gives (`tests/fixtures/pictures/make.py`).

use super::*;
use crate::data::images::decode;
use crate::tensor::random::{Key, Purpose};
use std::collections::HashSet;
use std::path::Path;

fn fixture(name: &str) -> RgbImage {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    decode::read(&folder.join(name)).unwrap()
}

#[test]
fn changes_of_colour_are_pillows_to_the_byte() {
    let (small, sheet) = (fixture("small.png"), fixture("changed.png"));
    let several = vec![Change::Brightness(1.3), Change::Saturation(0.7), Change::Hue(0.1), Change::Contrast(0.8)];
    let changes = [
        vec![Change::Brightness(0.63)],
        vec![Change::Brightness(1.37)],
        vec![Change::Contrast(0.63)],
        vec![Change::Contrast(1.37)],
        vec![Change::Saturation(0.63)],
        vec![Change::Saturation(1.37)],
        vec![Change::Hue(-0.17)],
        vec![Change::Hue(0.13)],
        several,
    ];
    let expected = sheet.as_raw().chunks_exact(small.as_raw().len());
    assert_eq!(expected.len(), changes.len());
    for (changes, expected) in changes.into_iter().zip(expected) {
        let mut picture = small.clone();
        for change in &changes {
            change.apply(&mut picture);
        }
        assert_eq!(picture.as_raw(), expected, "{changes:?}");
    }
}

#[test]
fn strengths_stay_in_their_ranges_and_every_order_comes() {
    let drawn = (0..2000).map(|step| Jitter::draw(&mut Key::new(5, Purpose::Augmentation).at(0, step).generator()).0);
    let mut orders = HashSet::new();
    let mut hues = Vec::new();
    for changes in drawn {
        orders.insert(changes.map(|change| std::mem::discriminant(&change)));
        for change in changes {
            match change {
                Change::Hue(turn) => hues.push(turn),
                Change::Brightness(factor) | Change::Contrast(factor) | Change::Saturation(factor) => {
                    assert!((0.6..=1.4).contains(&factor), "{change:?}");
                }
            }
        }
    }
    assert_eq!(orders.len(), 24);
    let (least, most) = hues.iter().fold((1.0_f64, -1.0_f64), |(least, most), hue| (least.min(*hue), most.max(*hue)));
    assert!((-0.2..-0.19).contains(&least) && (0.19..=0.2).contains(&most), "{least} to {most}");
}

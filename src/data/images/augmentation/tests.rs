//! Crops and resizing, beside what Pillow gives (`tests/fixtures/pictures/make.py`).

use super::*;
use crate::data::images::decode;
use crate::tensor::random::{Key, Purpose};
use std::path::Path;

fn fixture(name: &str) -> RgbImage {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    decode::read(&folder.join(name)).unwrap()
}

fn generator(step: u64) -> impl Rng {
    Key::new(5, Purpose::Augmentation).at(0, step).generator()
}

/// The resizer's weights have 16 bits where Pillow's have 22, and it resizes the height first: one step of 255 at most.
fn assert_as_pillow(ours: &RgbImage, name: &str) {
    let theirs = fixture(name);
    assert_eq!(ours.dimensions(), theirs.dimensions(), "{name}");
    let most = ours.iter().zip(theirs.iter()).map(|(one, other)| one.abs_diff(*other)).max().unwrap();
    assert!(most <= 1, "{name}: {most}");
}

#[test]
fn resizing_is_pillows() {
    let large = fixture("large.png");
    let area = |left, top, width, height| Area { left, top, width, height };
    assert_as_pillow(&resize(&large, area(0, 0, 60, 44), (16, 16)), "large_16x16.png");
    assert_as_pillow(&resize(&large, area(7, 5, 37, 29), (16, 16)), "part_smaller.png");
    assert_as_pillow(&resize(&large, area(3, 2, 11, 9), (24, 24)), "part_larger.png");
    assert_as_pillow(&centre(&large, 37, 32), "evaluation_32.png");
}

#[test]
fn random_areas_have_the_published_range_of_sizes_and_ratios() {
    let areas: Vec<Area> = (0..4000).map(|step| random_area((400, 300), &mut generator(step))).collect();
    let whole = 400.0 * 300.0;
    let mut shares: Vec<f64> = areas.iter().map(|area| f64::from(area.width * area.height) / whole).collect();
    let ratios: Vec<f64> = areas.iter().map(|area| f64::from(area.width) / f64::from(area.height)).collect();
    assert!(areas.iter().all(|area| area.left + area.width <= 400 && area.top + area.height <= 300));
    // Whole pixels move shares and ratios a little: the least crop is about 98 pixels wide.
    assert!(ratios.iter().all(|ratio| (0.74..1.35).contains(ratio)));
    assert!(ratios.iter().any(|ratio| *ratio < 0.77) && ratios.iter().any(|ratio| *ratio > 1.3));
    shares.sort_by(f64::total_cmp);
    assert!(shares[0] > 0.079 && shares[0] < 0.083, "{}", shares[0]);
    assert!(shares[3999] > 0.9 && shares[3999] <= 1.0, "{}", shares[3999]);
    // Quartiles of 200,000 draws by torchvision's rule in Python: large crops of unfitting ratio are drawn again.
    for (place, quartile) in [(1000, 0.2508), (2000, 0.4217), (3000, 0.5929)] {
        assert!((shares[place] - quartile).abs() < 0.02, "{} instead of {quartile}", shares[place]);
    }
    let touching = areas.iter().filter(|area| area.top == 0).count();
    assert!(touching > 0 && areas.iter().any(|area| area.top + area.height == 300), "both ends are reached");
}

#[test]
fn pictures_that_no_crop_fits_give_their_middle() {
    let middle = Area { left: 0, top: 186, width: 20, height: 27 };
    assert_eq!(random_area((20, 400), &mut generator(0)), middle);
    assert_eq!(middle_area((400, 20)), Area { left: 186, top: 0, width: 27, height: 20 });
    assert_eq!(middle_area((400, 310)), Area { left: 0, top: 0, width: 400, height: 310 });
}

#[test]
fn every_picture_becomes_an_image_of_the_wanted_size() {
    let pictures = [fixture("large.png"), fixture("small.png"), RgbImage::new(1, 9), RgbImage::new(40, 1)];
    for picture in pictures {
        for augmentation in [ImageAugmentation::None, ImageAugmentation::CropFlip, ImageAugmentation::RandomResizedCrop]
        {
            for augmented in [true, false] {
                let make = |step| to_size(picture.clone(), 24, augmentation, augmented, &mut generator(step));
                assert_eq!(make(0).dimensions(), (24, 24));
                assert_eq!(make(0), make(0));
            }
        }
    }
}

#[test]
fn only_a_random_resized_crop_in_training_is_random() {
    let make = |augmentation, augmented, step| {
        to_size(fixture("large.png"), 24, augmentation, augmented, &mut generator(step))
    };
    let crop = ImageAugmentation::RandomResizedCrop;
    assert_ne!(make(crop, true, 0), make(crop, true, 1));
    assert_eq!(make(crop, false, 0), make(crop, false, 1));
    assert_eq!(make(ImageAugmentation::CropFlip, true, 0), make(ImageAugmentation::None, false, 1));
}

#[test]
fn placements_move_by_up_to_twice_the_padding_and_flip_half() {
    let draw = |step| placement(3, 32, ImageAugmentation::CropFlip, true, &mut generator(step));
    let drawn: Vec<Placement> = (0..2000).map(draw).collect();
    for offset in 0..=8 {
        assert!(drawn.iter().any(|one| one.top == offset) && drawn.iter().any(|one| one.left == offset), "{offset}");
    }
    assert!(drawn.iter().all(|one| (0..=8).contains(&one.top) && (0..=8).contains(&one.left) && one.picture == 3));
    let flipped = drawn.iter().filter(|one| one.flip).count();
    assert!((900..1100).contains(&flipped), "{flipped}");
    let rows: Vec<i64> = drawn.iter().map(|one| one.cut.unwrap()[0]).collect();
    assert_eq!((rows.iter().min(), rows.iter().max()), (Some(&0), Some(&31)));
    let still = placement(3, 32, ImageAugmentation::None, false, &mut generator(0));
    assert_eq!(still, Placement::unchanged(3));
}

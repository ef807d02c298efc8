//! Folders of classes with a picture per file.

use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, Rgb, RgbImage};

use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures");

/// A picture whose left half is red and right half blue, the upper right quarter green.
fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, _) => Rgb([255, 0, 0]),
        (false, true) => Rgb([0, 255, 0]),
        (false, false) => Rgb([0, 0, 255]),
    })
}

fn save(picture: impl Into<DynamicImage>, path: PathBuf) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.into().save(path).unwrap();
}

/// Classes ant and bee, each with a training and a validation picture.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in ["bee", "ant"] {
        for part in ["train", "val"] {
            save(quarters(40, 40), folder.path().join(part).join(class).join("0.png"));
        }
    }
    folder
}

/// The colours, of 255, of image 0 at places (row, column) of `size` / 4 by `size` / 4.
fn colours(images: &Tensor, places: [(i64, i64); 3]) -> [[i64; 3]; 3] {
    let quarter = images.size()[2] / 4;
    places.map(|(row, column)| {
        std::array::from_fn(|channel| {
            let value = images.double_value(&[0, channel as i64, row * quarter, column * quarter]);
            (value * 255.0).round() as i64
        })
    })
}

/// Upper right, lower left, lower right.
const PLACES: [(i64, i64); 3] = [(1, 3), (3, 1), (3, 3)];

/// The image of the only picture of class ant in training, as stored.
fn image_of(folder: &Path) -> Tensor {
    evaluated(&*load(folder, &raw(40)).unwrap().train, &[0]).images
}

/// A folder in which the file has taken the place of ant's training picture.
fn folder_with(name: &str, write: impl FnOnce(PathBuf)) -> tempfile::TempDir {
    let folder = folder();
    std::fs::remove_file(folder.path().join("train/ant/0.png")).unwrap();
    write(folder.path().join("train/ant").join(name));
    folder
}

fn assert_near(found: [[i64; 3]; 3], expected: [[i64; 3]; 3], most: i64, name: &str) {
    let difference =
        found.iter().flatten().zip(expected.iter().flatten()).map(|(one, other)| (one - other).abs()).max();
    assert!(difference.unwrap() <= most, "{name}: {found:?} instead of {expected:?}");
}

const QUARTERS: [[i64; 3]; 3] = [[0, 255, 0], [255, 0, 0], [0, 0, 255]];

#[test]
fn classes_and_files_are_read_in_alphabetical_order_and_test_stands_for_val() {
    let folder = folder();
    save(quarters(10, 10), folder.path().join("train/ant/10.JPEG"));
    save(quarters(10, 10), folder.path().join("train/ant/.hidden.png"));
    std::fs::write(folder.path().join("train/ant/notes.txt"), "hello").unwrap();
    std::fs::rename(folder.path().join("val"), folder.path().join("test")).unwrap();
    let data = load(folder.path(), &config(32, ImageAugmentation::RandomResizedCrop)).unwrap();
    assert_eq!(
        (data.classes.join(" "), labels(&*data.train), labels(&*data.test)),
        ("ant bee".into(), vec![0, 0, 1], vec![0, 1])
    );
    assert!(data.train.name(0).ends_with("train/ant/0.png") && data.train.name(1).ends_with("train/ant/10.JPEG"));
    assert_eq!(trained(&*data.train, &[2, 1], 0).images.size(), [2, 3, 32, 32]);
}

#[test]
fn a_folder_gives_the_images_that_the_same_pictures_give_in_memory() {
    let mut config = config(32, ImageAugmentation::CropFlip);
    config.images.cutout = 8;
    let memory = synthetic(&config);
    let folder = tempfile::tempdir().unwrap();
    let plain = evaluated(&*synthetic(&raw(32)).train, &(0..40).collect::<Vec<_>>()).images;
    let bytes = Vec::<u8>::try_from(
        (plain * 255.0).round().to_kind(Kind::Uint8).permute([0, 2, 3, 1]).contiguous().flatten(0, -1),
    )
    .unwrap();
    for (index, picture) in bytes.chunks_exact(32 * 32 * 3).enumerate() {
        let picture = RgbImage::from_raw(32, 32, picture.to_vec()).unwrap();
        // One class, so that the order of the files is that of the set; validation is not looked at.
        save(picture.clone(), folder.path().join(format!("train/all/{index:02}.png")));
        if index == 0 {
            save(picture, folder.path().join("val/all/0.png"));
        }
    }
    let files = load(folder.path(), &config).unwrap();
    let indices: Vec<usize> = (0..40).collect();
    assert_eq!(trained(&*files.train, &indices, 2).images, trained(&*memory.train, &indices, 2).images);
    assert_eq!(evaluated(&*files.train, &indices).images, evaluated(&*memory.train, &indices).images);
}

#[test]
fn grey_16_bit_and_transparent_pictures_and_webp_become_colours() {
    let of = |name: &str, picture: DynamicImage| image_of(folder_with(name, |path| save(picture, path)).path());
    let picture = DynamicImage::from(quarters(40, 40));
    let deep = of("deep.png", picture.to_rgb16().into());
    assert_near(colours(&deep, PLACES), QUARTERS, 0, "16-bit");
    let mut clear = picture.to_rgba8();
    clear.pixels_mut().for_each(|pixel| pixel.0[3] = 7);
    assert_near(colours(&of("clear.png", clear.into()), PLACES), QUARTERS, 0, "transparent");
    assert_near(colours(&of("a.webp", picture.clone()), PLACES), QUARTERS, 0, "WebP");
    // Compression blurs colours.
    assert_near(colours(&of("a.jpg", picture.clone()), PLACES), QUARTERS, 12, "JPEG");
    for (name, grey, most) in [
        ("grey.png", DynamicImage::from(picture.to_luma8()), 0),
        ("deep_grey.png", picture.to_luma16().into(), 0),
        ("grey.jpg", picture.to_luma8().into(), 3),
    ] {
        let found = colours(&of(name, grey), PLACES);
        // Rec. 709 luma of green, red and blue, by which the test's pictures were made grey.
        assert_near(found, [[182; 3], [54; 3], [18; 3]], most, name);
    }
}

#[test]
fn four_inks_become_the_colours_that_pillow_gives() {
    let folder = folder_with("inks.jpg", |path| {
        std::fs::copy(Path::new(FIXTURES).join("cmyk.jpg"), path).unwrap();
    });
    let expected = folder_with("inks.png", |path| {
        std::fs::copy(Path::new(FIXTURES).join("cmyk.png"), path).unwrap();
    });
    let of = |folder: &Path| evaluated(&*load(folder, &raw(24)).unwrap().train, &[0]).images * 255.0;
    let difference = (of(folder.path()) - of(expected.path())).abs().max().double_value(&[]);
    // Decoders may round differently, by one step of 255.
    assert!(difference < 1.5, "{difference}");

    // Without Adobe's mark (a segment of 16 bytes) the inks are not inverted.
    let path = folder.path().join("train/ant/inks.jpg");
    let mut bytes = std::fs::read(&path).unwrap();
    let mark = bytes.windows(9).position(|bytes| bytes == b"\xFF\xEE\0\x0EAdobe").unwrap();
    bytes.drain(mark..mark + 16);
    std::fs::write(path, bytes).unwrap();
    let access = Access { training: false, key: Key::new(1, Purpose::Evaluation) };
    let error = load(folder.path(), &raw(24)).unwrap().train.batch(&[0], access).unwrap_err();
    assert_mentions(&error, &["train/ant/inks.jpg", "a CMYK JPEG without Adobe's mark"]);
}

#[test]
fn a_turned_picture_is_turned_upright() {
    // EXIF orientation 6: shown upright after a quarter turn clockwise, so stored a quarter turn back.
    let exif = [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[6, 0, 0, 0, 0, 0, 0, 0]].concat();
    let folder = folder_with("turned.jpg", |path| {
        let turned = DynamicImage::from(quarters(40, 60)).rotate270();
        let mut encoder = JpegEncoder::new_with_quality(std::fs::File::create(path).unwrap(), 95);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(turned.as_bytes(), 60, 40, ExtendedColorType::Rgb8).unwrap();
    });
    assert_near(colours(&image_of(folder.path()), PLACES), QUARTERS, 12, "turned");
}

#[test]
fn a_picture_is_told_by_its_content_and_not_by_its_name() {
    let folder = folder_with("really_a_png.jpeg", |path| {
        quarters(40, 40).save_with_format(path, image::ImageFormat::Png).unwrap();
    });
    assert_near(colours(&image_of(folder.path()), PLACES), QUARTERS, 0, "PNG");
}

#[test]
fn files_that_are_no_pictures_are_named_or_skipped() {
    let folder = folder();
    std::fs::write(folder.path().join("train/bee/1.jpg"), "not a picture").unwrap();
    let error = refusal(folder.path());
    assert_mentions(&error, &["train/bee/1.jpg", "expected a JPEG, PNG, WebP, BMP, TIFF or GIF picture", "--skip-bad"]);
    // A picture of Photoshop by content.
    std::fs::write(folder.path().join("train/bee/2.png"), b"8BPS\0\x01\0\0\0\0\0\0\0\x03").unwrap();
    assert_mentions(&refusal(folder.path()), &["train/bee/1.jpg", "1 more files are bad"]);
    let skipping = DataConfig { skip_bad: true, ..config(32, ImageAugmentation::CropFlip) };
    let data = load(folder.path(), &skipping).unwrap();
    assert_eq!(labels(&*data.train), [0, 1]);
    assert!(data.description().contains(", 2 bad files skipped: 2 classes"), "{}", data.description());
    std::fs::write(folder.path().join("train/ant/0.png"), "").unwrap();
    assert_mentions(&load(folder.path(), &skipping).err().unwrap(), &["train split of class ant"]);
}

#[test]
fn a_picture_that_is_cut_is_named_when_it_is_read_or_left_out_of_its_batch() {
    let folder = folder();
    let path = folder.path().join("train/bee/1.png");
    save(RgbImage::from_fn(64, 64, |x, y| Rgb([(x * y) as u8, (x * 31) as u8, (y * 17) as u8])), path.clone());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let config = config(32, ImageAugmentation::CropFlip);
    let access = Access { training: true, key: Key::new(1, Purpose::Augmentation) };
    let error = load(folder.path(), &config).unwrap().train.batch(&[0, 1, 2], access).unwrap_err();
    assert_mentions(&error, &["train/bee/1.png", "expected a JPEG, PNG, WebP, BMP, TIFF or GIF picture", "--skip-bad"]);
    let skipping = load(folder.path(), &DataConfig { skip_bad: true, ..config.clone() }).unwrap();
    let batch = images_of(skipping.train.batch(&[2, 0, 1], access).unwrap());
    assert_eq!(Vec::<i64>::try_from(&batch.labels).unwrap(), [0, 1]);
    let error = skipping.train.batch(&[2], access).unwrap_err();
    assert_mentions(&error, &["a batch of bad pictures alone", "train/bee/1.png"]);
    quarters(64, 64).save(path.with_extension("jpg")).unwrap();
    let whole = std::fs::read(path.with_extension("jpg")).unwrap();
    std::fs::write(path.with_extension("jpg"), &whole[..whole.len() - 9]).unwrap();
    let error = load(folder.path(), &config).unwrap().train.batch(&[2], access).unwrap_err();
    assert_mentions(&error, &["train/bee/1.jpg", "a JPEG without its end"]);
}

#[test]
fn classes_without_pictures_or_in_one_part_alone_are_named() {
    let emptied = folder();
    std::fs::remove_file(emptied.path().join("val/bee/0.png")).unwrap();
    assert_mentions(
        &refusal(emptied.path()),
        &["val/bee", "expected pictures (.jpg .jpeg .png .webp .bmp .tif .tiff .gif), found none"],
    );
    let unequal = folder();
    save(quarters(8, 8), unequal.path().join("val/cat/0.png"));
    assert_mentions(&refusal(unequal.path()), &["the same classes in train and val", "cat only in val"]);
    let halved = folder();
    std::fs::remove_dir_all(halved.path().join("val")).unwrap();
    assert_mentions(&refusal(halved.path()), &["expected the folders train and val", "no val"]);
}

#[test]
fn the_last_of_files_in_the_order_of_classes_are_not_held_out() {
    let folder = folder();
    let mut config = DataConfig { validation: 0.5, ..config(32, ImageAugmentation::CropFlip) };
    config.images.held_out = HeldOut::Last;
    assert_mentions(&load(folder.path(), &config).err().unwrap(), &["data.images.held_out", "stratified"]);
}

#[test]
fn pictures_are_found_by_their_folder_or_its_parent() {
    let parent = tempfile::tempdir().unwrap();
    let inner = parent.path().join("imagenet");
    std::fs::rename(folder().keep(), &inner).unwrap();
    let expected = Source::Folder(inner.canonicalize().unwrap());
    for named in [&inner, &parent.path().to_owned()] {
        assert_eq!(find(&images::IMAGENET, Some(named.to_str().unwrap())).unwrap(), expected);
    }
    let error = find(&sgas::data::points::POINTS, Some(inner.to_str().unwrap())).unwrap_err();
    assert_mentions(&error, &["no shapes in a known layout"]);
    let error = find(&images::IMAGENET, Some(parent.path().join("nowhere").to_str().unwrap())).unwrap_err();
    assert_mentions(&error, &["(not there)", "{train,val}/<class>/FILE", "image-net.org", "built-in pictures"]);
}

#[test]
fn the_real_imagenette_is_read_with_both_transforms() {
    let Some(folder) = real_set("imagenette") else { return };
    let data = load(&folder, &config(224, ImageAugmentation::RandomResizedCrop)).unwrap();
    assert_eq!((data.classes.len(), data.train.len(), data.test.len()), (10, 1000, 500));
    let [mean, deviation] = statistics(&trained(&*data.train, &(0..1000).step_by(20).collect::<Vec<_>>(), 0).images);
    // Normalised by the statistics of ImageNet; 50 pictures with changed colours.
    assert!(mean.iter().all(|mean| mean.abs() < 0.3), "{mean:?}");
    assert!(deviation.iter().all(|deviation| (0.8..1.3).contains(deviation)), "{deviation:?}");
    let still = evaluated(&*data.test, &[0, 499]).images;
    assert_eq!(still.size(), [2, 3, 224, 224]);
}

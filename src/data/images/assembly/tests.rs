//! The batch's part beside a loop over the pixels of single images.

use super::*;
use tch::Device;

const SIDE: usize = 9;

/// The image of this placement, (3, S, S) row by row, by the definition.
fn by_hand(picture: &[u8], placement: &Placement, finish: &Finish) -> Vec<f32> {
    let side = SIDE as i64;
    let mut image = Vec::new();
    for channel in 0..3 {
        for row in 0..side {
            for column in 0..side {
                let source = if placement.flip { side - 1 - column } else { column };
                let (y, x) = (row + placement.top - PADDING, source + placement.left - PADDING);
                let inside = (0..side).contains(&y) && (0..side).contains(&x);
                let byte = if inside { picture[((y * side + x) * 3) as usize + channel] } else { 0 };
                let half = finish.cutout / 2;
                let near = |place: i64, middle: i64| (middle - half..middle + half).contains(&place);
                let cut = placement.cut.is_some_and(|[y, x]| near(row, y) && near(column, x));
                let value = (f32::from(byte) / 255.0 - finish.mean[channel]) / finish.deviation[channel];
                image.push(if cut { 0.0 } else { value });
            }
        }
    }
    image
}

fn finish(cutout: i64) -> Finish {
    Finish { mean: [0.491_399_7, 0.482_158_3, 0.446_531_24], deviation: [0.247, 0.243_5, 0.261_6], cutout }
}

fn pictures(count: usize) -> Vec<u8> {
    (0..count * SIDE * SIDE * 3).map(|i| (i * 37 % 251) as u8).collect()
}

fn stored(bytes: &[u8]) -> Tensor {
    Tensor::from_slice(bytes).view([-1, SIDE as i64, SIDE as i64, 3])
}

fn placements() -> Vec<Placement> {
    let plain = Placement::unchanged(0);
    vec![
        plain,
        Placement { picture: 2, flip: true, ..plain },
        Placement { picture: 2, top: 0, left: 8, ..plain },
        Placement { picture: 1, top: 8, left: 1, flip: true, ..plain },
        Placement { picture: 1, cut: Some([0, 8]), ..plain },
        Placement { picture: 0, top: 3, left: 0, flip: true, cut: Some([4, 5]) },
    ]
}

#[test]
fn a_batch_equals_the_loop_over_single_images_in_every_bit() {
    let bytes = pictures(3);
    for cutout in [4, 0] {
        let finish = finish(cutout);
        let batch = assemble(&stored(&bytes), &placements(), &finish).unwrap();
        assert_eq!(batch.size(), [6, 3, SIDE as i64, SIDE as i64]);
        for (number, placement) in placements().iter().enumerate() {
            let picture = &bytes[placement.picture * SIDE * SIDE * 3..][..SIDE * SIDE * 3];
            let image = Vec::<f32>::try_from(batch.get(number as i64).contiguous().flatten(0, -1)).unwrap();
            assert_eq!(image, by_hand(picture, placement, &finish), "cutout {cutout}: {placement:?}");
        }
    }
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let bytes = stored(&pictures(3));
    let batch = assemble(&bytes, &placements(), &finish(4)).unwrap();
    for (number, placement) in placements().into_iter().enumerate() {
        let alone = assemble(&bytes, &[placement], &finish(4)).unwrap();
        assert_eq!(alone.get(0), batch.get(number as i64), "{placement:?}");
    }
}

#[test]
fn batches_have_the_channels_last_in_memory_and_leave_the_pictures_alone() {
    let bytes = stored(&pictures(3));
    let batch = assemble(&bytes, &placements(), &finish(4)).unwrap();
    let side = SIDE as i64;
    assert_eq!(batch.stride(), [3 * side * side, 1, 3 * side, 3]);
    assert_eq!((batch.kind(), batch.device()), (Kind::Float, Device::Cpu));
    assert_eq!(bytes, stored(&pictures(3)));
}

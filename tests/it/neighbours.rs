//! The search for neighbours by plain tensor operations, which CUDA takes: in blocks of points.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sgas::tensor::bridge::memory::metered;
use sgas::tensor::fused::TensorPath;
use sgas::tensor::nearest::{every, nearest_in_blocks};
use sgas::tensor::neighbours::Neighbours;
use tch::{IndexOp, Kind, Tensor};

/// Multiples of 1/16 up to 1, so that distances are exact however a product is blocked, and many are equal.
fn grid_points(clouds: i64, points: i64, channels: i64) -> Tensor {
    let mut generator = ChaCha8Rng::seed_from_u64(5);
    let count = clouds * points * channels;
    let values: Vec<f32> = (0..count).map(|_| generator.random_range(0..=16_u8)).map(|n| f32::from(n) / 16.0).collect();
    Tensor::from_slice(&values).view([clouds, points, channels])
}

#[test]
fn blocks_find_what_one_block_finds() {
    for (clouds, points, channels, k, dilation) in [(3, 200, 3, 9, 1), (2, 130, 3, 5, 4), (1, 64, 40, 9, 2)] {
        let x = grid_points(clouds, points, channels);
        let whole = nearest_in_blocks(&x, &every(k, dilation), points);
        assert_eq!(whole.size(), [clouds, points, k]);
        assert!(whole.select(2, 0).eq_tensor(&Tensor::arange(points, (Kind::Int64, x.device()))).all().is_nonzero());
        for block in [1, 7, 64, points - 1] {
            assert!(
                nearest_in_blocks(&x, &every(k, dilation), block).equal(&whole),
                "blocks of {block} of {points} points"
            );
        }
    }
}

/// The distances that a search gives up, in its own order: what two searches with other ties agree on.
fn distances(x: &Tensor, neighbours: &Neighbours) -> Tensor {
    let rows = x.view([-1, x.size()[2]]);
    (neighbours.gather(&rows, sgas::tensor::bridge::gather::OwnPoint::Kept) - rows.unsqueeze(1))
        .square()
        .sum_dim_intlist([-1_i64].as_slice(), false, Kind::Float)
}

#[test]
fn a_cloud_of_which_all_distances_would_not_fit_takes_a_block() {
    // 10,000² distances are 400 MB.
    let x = grid_points(1, 10_000, 3);
    let rows = x.view([-1, 3]);
    let kernel = Neighbours::nearest(&rows, 1, 9, 2);
    let _plain = TensorPath::enter();
    let (plain, bytes) = metered(|_| Neighbours::nearest(&rows, 1, 9, 2)).unwrap();
    assert!(bytes.peak < 100 << 20, "{} bytes of tensors", bytes.peak);
    assert!(distances(&x, &plain).equal(&distances(&x, &kernel)));
    assert!(plain.rows.i((.., 0)).equal(&kernel.rows.i((.., 0))));
}

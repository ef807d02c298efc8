//! The nearest points by plain tensor operations, which give what the kernels give.

use crate::tensor::bridge::device::without_tf32;
use crate::tensor::fused::done;
use tch::Tensor;

/// Distances that exist at a time on the tensor path: on a GPU few, large blocks, because each is started by itself.
/// (The kernel's blocks stay in the cache.)
const BLOCK_BYTES: i64 = 64 << 20;
const BLOCK_BYTES_ON_GPU: i64 = 512 << 20;

/// As many points of each cloud (B, N, C) as keep the distances of a block within bounds, one at least.
pub fn points_per_block(x: &Tensor) -> i64 {
    let (clouds, points, _) = x.size3().expect("features are (B, N, C)");
    let bytes = if x.device().is_cuda() { BLOCK_BYTES_ON_GPU } else { BLOCK_BYTES };
    (bytes / (size_of::<f32>() as i64 * clouds * points)).max(1)
}

/// The ranks of `k` neighbours, the point itself first: 0, `dilation`, 2 · `dilation`, ...
pub fn every(k: i64, dilation: i64) -> Vec<i64> {
    (0..k).map(|position| position * dilation).collect()
}

/// The points at `ranks` by plain tensor operations, as numbers within each cloud: (B, N, C) fp32 → int64 (B, N, k).
/// Distances exist for `block` points of every cloud at a time, (B, block, N); the result does not depend on it. They are
/// never made in TF32, whatever other products are allowed.
pub fn nearest_in_blocks(x: &Tensor, ranks: &[i64], block: i64) -> Tensor {
    let wanted = ranks.iter().max().map_or(0, |last| last + 1);
    let points = x.size()[1];
    let _exact = done(without_tf32());
    let squares = squares(x).unsqueeze(1);
    let nearest = blocks(points, block).map(|(start, length)| {
        let distances = distances(x, &squares, start, length);
        let _ = distances.diagonal(start, 1, 2).fill_(f64::NEG_INFINITY);
        at_ranks(&distances.topk(wanted, -1, false, true).1, ranks)
    });
    let mut nearest: Vec<Tensor> = nearest.collect();
    if nearest.len() == 1 { nearest.swap_remove(0) } else { Tensor::cat(&nearest, 1) }
}

/// |y|² of every point, (B, N, C) → (B, N), as one product each, (1, C) by (C, 1).
pub fn squares(x: &Tensor) -> Tensor {
    let (clouds, points, channels) = x.size3().expect("features are (B, N, C)");
    let rows = x.reshape([-1, 1, channels]);
    rows.bmm(&rows.transpose(1, 2)).view([clouds, points])
}

/// Where blocks of so many points begin, and their lengths.
pub fn blocks(points: i64, block: i64) -> impl Iterator<Item = (i64, i64)> {
    let starts = (0..points).step_by(usize::try_from(block).expect("a block has a point"));
    starts.map(move |start| (start, block.min(points - start)))
}

/// The columns of (B, N, last rank + 1) at these ranks: a slice where they are every d-th from 0, so that no list of
/// them must reach the device.
fn at_ranks(sorted: &Tensor, ranks: &[i64]) -> Tensor {
    let step = ranks.get(1).map_or(1, |second| (second - ranks[0]).max(1));
    if ranks.iter().zip(0..).all(|(&rank, position)| rank == position * step) {
        return sorted.slice(2, 0, None, step);
    }
    let columns: Vec<Tensor> = ranks.iter().map(|&rank| sorted.select(2, rank)).collect();
    Tensor::stack(&columns, 2)
}

/// |y|² - 2x·y of `length` points of every cloud to all of its points, (B, N, C) → (B, length, N): less |x|², which
/// changes no order, the squares of their distances.
fn distances(x: &Tensor, squares: &Tensor, start: i64, length: i64) -> Tensor {
    let own = x.narrow(1, start, length);
    squares.baddbmm(&own, &x.transpose(1, 2), 1.0, -2.0)
}

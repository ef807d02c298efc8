//! Operations composed of libtorch's operators, with backward passes of our own, for devices without kernels of ours:
//! fewer operators than autograd would need, because a GPU starts a kernel for each.
//!
//! They take fp32, bf16 and fp16 on any device. Under autocast products are computed in its type, all else in the type
//! that comes. Wrong shapes are [`crate::error::Error::Torch`]. There is no second derivative: asking for one is an
//! error, not a zero.

use std::ffi::c_char;

use tch::{Kind, Tensor};
use torch_sys::C_tensor;

use super::links::PlainLists;
use super::norm::BatchNorm;
use super::{list_of_tensors, tensors};
use crate::error::Result;

unsafe extern "C" {
    fn sgas_composed_copies(
        out: *mut *mut C_tensor,
        flat: *const C_tensor,
        leaves: *const *const C_tensor,
        offsets: *const i64,
        count: i64,
        half: i32,
    ) -> *mut c_char;
    fn sgas_composed_unit_length(out: *mut *mut C_tensor, x: *const C_tensor, smallest: f64) -> *mut c_char;
    fn sgas_composed_mean_pool(out: *mut *mut C_tensor, x: *const C_tensor, stride: i64) -> *mut c_char;
    fn sgas_composed_row_maps(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        weights: *const *const C_tensor,
        count: i64,
        rectified: i64,
    ) -> *mut c_char;
    fn sgas_composed_pair_maps(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        prepared: i32,
    ) -> *mut c_char;
    fn sgas_composed_prepared_pairs(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        weights: *const *const C_tensor,
        biases: *const *const C_tensor,
        count: i64,
    ) -> *mut c_char;
    fn sgas_composed_weighted_sum(
        out: *mut *mut C_tensor,
        table: *const C_tensor,
        parts: *const *const C_tensor,
        base: *const C_tensor,
        places: *const i64,
        count: i64,
    ) -> *mut c_char;
    fn sgas_composed_masked_sum(
        out: *mut *mut C_tensor,
        parts: *const *const C_tensor,
        masks: *const C_tensor,
        count: i64,
    ) -> *mut c_char;
    fn sgas_composed_normed_sum(
        out: *mut *mut C_tensor,
        table: *const C_tensor,
        parts: *const *const C_tensor,
        statistics: *const *const C_tensor,
        places: *const i64,
        count: i64,
        training: i32,
        momentum: f64,
        epsilon: f64,
    ) -> *mut c_char;
    fn sgas_composed_link_sum(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        share: *const C_tensor,
        lists: *const *const C_tensor,
    ) -> *mut c_char;
    fn sgas_composed_link_pairs(
        out: *mut *mut C_tensor,
        target: *const C_tensor,
        source: *const C_tensor,
        lists: *const *const C_tensor,
    ) -> *mut c_char;
    fn sgas_composed_link_maximum(
        out: *mut *mut C_tensor,
        values: *const C_tensor,
        lists: *const *const C_tensor,
    ) -> *mut c_char;
    fn sgas_composed_link_relative_maximum(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        lists: *const *const C_tensor,
    ) -> *mut c_char;
    fn sgas_composed_link_attention(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        target: *const C_tensor,
        source: *const C_tensor,
        lists: *const *const C_tensor,
        slope: f64,
    ) -> *mut c_char;
}

/// Copies in `kind` ([`Kind::Half`] or [`Kind::BFloat16`]) of `leaves`, which are views of `flat` (fp32) from `offsets`
/// on; their gradients reach the leaves in fp32.
pub fn copies(flat: &Tensor, leaves: &[&Tensor], offsets: &[i64], kind: Kind) -> Result<Vec<Tensor>> {
    assert_eq!(leaves.len(), offsets.len(), "every leaf has an offset");
    assert!(matches!(kind, Kind::Half | Kind::BFloat16), "copies are in half precision");
    let (leaves, half) = (pointers(leaves), i32::from(kind == Kind::BFloat16));
    let count = i64::try_from(leaves.len()).expect("a list is shorter than i64::MAX");
    // SAFETY: the tensors outlive the call, both lists hold `count`, and it gives as many.
    list_of_tensors(leaves.len(), |out| unsafe {
        sgas_composed_copies(out, flat.as_ptr(), leaves.as_ptr(), offsets.as_ptr(), count, half)
    })
}

/// x / max(|x|, `smallest`) of every row of `x` (R, C); lengths are fp32.
pub fn unit_length(x: &Tensor, smallest: f64) -> Result<Tensor> {
    // SAFETY: the tensor outlives the call.
    let [out] = tensors(|out| unsafe { sgas_composed_unit_length(out, x.as_ptr(), smallest) })?;
    Ok(out)
}

/// The mean over 3×3 pixels, of those inside the image, at every `stride`-th: (B, C, H, W).
pub fn mean_pool(x: &Tensor, stride: i64) -> Result<Tensor> {
    // SAFETY: the tensor outlives the call.
    let [out] = tensors(|out| unsafe { sgas_composed_mean_pool(out, x.as_ptr(), stride) })?;
    Ok(out)
}

/// The linear maps W·x of rows `x` (R, C_in) by several weights (C_out, C_in), as one product; of the first `rectified`
/// of them ReLU(W·x). (R, C_out) each.
pub fn row_maps(x: &Tensor, weights: &[&Tensor], rectified: usize) -> Result<Vec<Tensor>> {
    assert!(rectified <= weights.len(), "as many are rectified as there are");
    let pointers = pointers(weights);
    let [count, rectified] =
        [weights.len(), rectified].map(|count| i64::try_from(count).expect("a list is shorter than i64::MAX"));
    // SAFETY: the tensors outlive the call, `pointers` holds `count` of them, and it gives as many.
    list_of_tensors(weights.len(), |out| unsafe {
        sgas_composed_row_maps(out, x.as_ptr(), pointers.as_ptr(), count, rectified)
    })
}

/// With `weight` [U, V] (C_out, 2·C_in), (U − V)·x and V·x + `bias` of every row of `x` (R, C_in), (R, C_out) each, and
/// `x` itself: what else reads it should read that.
pub fn pair_maps(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<[Tensor; 3]> {
    pair_maps_by(x, weight, bias, false)
}

/// The same by a weight that is prepared, and by its bias.
pub fn prepared_pair_maps(x: &Tensor, prepared: &PreparedPair) -> Result<[Tensor; 3]> {
    pair_maps_by(x, &prepared.weight, Some(&prepared.bias), true)
}

fn pair_maps_by(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, prepared: bool) -> Result<[Tensor; 3]> {
    let bias = bias.map_or(std::ptr::null(), |bias| bias.as_ptr());
    // SAFETY: the tensors outlive the call, which gives three.
    tensors(|out| unsafe { sgas_composed_pair_maps(out, x.as_ptr(), weight.as_ptr(), bias, i32::from(prepared)) })
}

/// What [`prepared_pair_maps`] take.
#[derive(Debug)]
pub struct PreparedPair {
    /// [U − V, V], (C_out, 2·C_in), in the type of products.
    weight: Tensor,
    /// 0 and the bias, (2, C_out).
    bias: Tensor,
}

/// Prepares weights [U, V] (C_out, 2·C_in) and biases (C_out), each of one shape, for products with `x`.
pub fn prepare_pairs(x: &Tensor, weights: &[&Tensor], biases: &[&Tensor]) -> Result<Vec<PreparedPair>> {
    assert_eq!(weights.len(), biases.len(), "every weight has a bias");
    let (weights, biases) = (pointers(weights), pointers(biases));
    let count = i64::try_from(weights.len()).expect("a list is shorter than i64::MAX");
    // SAFETY: the tensors outlive the call, both lists hold `count`, and it gives twice as many.
    let mut weights = list_of_tensors(2 * weights.len(), |out| unsafe {
        sgas_composed_prepared_pairs(out, x.as_ptr(), weights.as_ptr(), biases.as_ptr(), count)
    })?;
    let biases = weights.split_off(weights.len() / 2);
    Ok(weights.into_iter().zip(biases).map(|(weight, bias)| PreparedPair { weight, bias }).collect())
}

/// Which weight a part of a sum has: its place in a flat table, none where it stands as it is. Parts with a weight are
/// in the order of their places.
pub type Place = Option<i64>;

pub(super) fn codes(places: &[Place]) -> Vec<i64> {
    places.iter().map(|place| place.unwrap_or(-1)).collect()
}

/// `base`, where there is one, and Σ of `parts`, of one shape and type, each times its weight out of `table`, fp32.
pub fn weighted_sum(table: &Tensor, parts: &[&Tensor], places: &[Place], base: Option<&Tensor>) -> Result<Tensor> {
    assert_eq!(parts.len(), places.len(), "every part has a place");
    let (parts, places) = (pointers(parts), codes(places));
    let count = i64::try_from(parts.len()).expect("a slice is shorter than i64::MAX");
    // SAFETY: the tensors outlive the call; `parts` and `places` hold `count` each.
    let [out] = tensors(|out| unsafe {
        let base = base.map_or(std::ptr::null(), |base| base.as_ptr());
        sgas_composed_weighted_sum(out, table.as_ptr(), parts.as_ptr(), base, places.as_ptr(), count)
    })?;
    Ok(out)
}

/// Σ of `plain` and of `masked`, all of one shape and type; of each of the latter every unit, a part of the first
/// dimension, times its factor in `masks` (masked, units).
pub fn masked_sum(plain: &[&Tensor], masked: &[&Tensor], masks: &Tensor) -> Result<Tensor> {
    assert_eq!(masks.size()[0], masked.len() as i64, "every masked part has a mask");
    let parts = pointers(&[plain, masked].concat());
    let count = i64::try_from(parts.len()).expect("a slice is shorter than i64::MAX");
    // SAFETY: the tensors outlive the call, and `parts` holds `count` of them.
    let [out] = tensors(|out| unsafe { sgas_composed_masked_sum(out, parts.as_ptr(), masks.as_ptr(), count) })?;
    Ok(out)
}

/// Σ of what norms make of the parts, each times its weight as above, (R, C) or (B, C, H, W). The norms have no scale and
/// shift, and are all in the same mode.
pub fn normed_sum(table: &Tensor, parts: &[(&Tensor, BatchNorm<'_>)], places: &[Place]) -> Result<Tensor> {
    assert_eq!(parts.len(), places.len(), "every part has a place");
    let features: Vec<&Tensor> = parts.iter().map(|(part, _)| *part).collect();
    let means = parts.iter().map(|(_, norm)| norm.running_mean);
    let statistics: Vec<&Tensor> = means.chain(parts.iter().map(|(_, norm)| norm.running_var)).collect();
    let (features, statistics, places) = (pointers(&features), pointers(&statistics), codes(places));
    let count = i64::try_from(features.len()).expect("a slice is shorter than i64::MAX");
    let (_, norm) = parts.first().expect("a sum has a part");
    let (training, momentum, epsilon) = (i32::from(norm.training), norm.momentum, norm.epsilon);
    // SAFETY: the tensors outlive the call; `features` and `places` hold `count` each, `statistics` twice as many.
    let [out] = tensors(|out| unsafe {
        let (features, statistics) = (features.as_ptr(), statistics.as_ptr());
        let table = table.as_ptr();
        sgas_composed_normed_sum(out, table, features, statistics, places.as_ptr(), count, training, momentum, epsilon)
    })?;
    Ok(out)
}

/// Σ_j x_j over the links into every node: (N, C) in fp32 or fp64 → (N, C).
pub fn link_sum(x: &Tensor, links: &PlainLists) -> Result<Tensor> {
    let lists = links.pointers();
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    let [out] = tensors(|out| unsafe { sgas_composed_link_sum(out, x.as_ptr(), std::ptr::null(), lists.as_ptr()) })?;
    Ok(out)
}

/// The mean of x_j over the links into every node, which has one at least: (N, C) in fp32 or fp64 → (N, C); `share`,
/// (N, 1) in the same type, is 1 / the links into every node.
pub fn link_mean(x: &Tensor, share: &Tensor, links: &PlainLists) -> Result<Tensor> {
    let lists = links.pointers();
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    let [out] = tensors(|out| unsafe { sgas_composed_link_sum(out, x.as_ptr(), share.as_ptr(), lists.as_ptr()) })?;
    Ok(out)
}

/// target_i + source_j of every link, by target: (N, C) each → (E, C).
pub fn link_pairs(target: &Tensor, source: &Tensor, links: &PlainLists) -> Result<Tensor> {
    let lists = links.pointers();
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    let [out] =
        tensors(|out| unsafe { sgas_composed_link_pairs(out, target.as_ptr(), source.as_ptr(), lists.as_ptr()) })?;
    Ok(out)
}

/// The greatest of the values of the links (E, C) into every node, (N, C); 0 for a node without.
pub fn link_maximum(values: &Tensor, links: &PlainLists) -> Result<Tensor> {
    let lists = links.pointers();
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    let [out] = tensors(|out| unsafe { sgas_composed_link_maximum(out, values.as_ptr(), lists.as_ptr()) })?;
    Ok(out)
}

/// The greatest of x_j over the links into every node, less x_i, (N, C) in fp32 or fp64 → (N, C); 0 for a node without.
pub fn link_relative_maximum(x: &Tensor, links: &PlainLists) -> Result<Tensor> {
    let lists = links.pointers();
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    let [out] = tensors(|out| unsafe { sgas_composed_link_relative_maximum(out, x.as_ptr(), lists.as_ptr()) })?;
    Ok(out)
}

/// One head of graph attention along links of which every node has one at least: (N, C) features and (N) scores, in
/// fp32 or fp64.
pub fn link_attention(x: &Tensor, target: &Tensor, source: &Tensor, links: &PlainLists, slope: f64) -> Result<Tensor> {
    let lists = links.pointers();
    let (x, target, source) = (x.as_ptr(), target.as_ptr(), source.as_ptr());
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    let [out] = tensors(|out| unsafe { sgas_composed_link_attention(out, x, target, source, lists.as_ptr(), slope) })?;
    Ok(out)
}

fn pointers(tensors: &[&Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(|tensor| tensor.as_ptr()).collect()
}

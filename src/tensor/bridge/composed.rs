//! Operations composed of libtorch's operators, with backward passes of our own, for devices without kernels of ours:
//! fewer operators than autograd would need, because a GPU starts a kernel for each.
//!
//! They take fp32, bf16 and fp16 on any device. Under autocast products are computed in its type, all else in the type
//! that comes. Wrong shapes are [`crate::error::Error::Torch`]. There is no second derivative: asking for one is an
//! error, not a zero.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::links::PlainLists;
use super::norm::BatchNorm;
use super::{list_of_tensors, tensors};
use crate::error::Result;

unsafe extern "C" {
    fn sgas_composed_unit_length(out: *mut *mut C_tensor, x: *const C_tensor, smallest: f64) -> *mut c_char;
    fn sgas_composed_row_maps(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        weights: *const *const C_tensor,
        count: i64,
        rectified: i64,
        pairs: i64,
    ) -> *mut c_char;
    fn sgas_composed_weighted_sum(
        out: *mut *mut C_tensor,
        table: *const C_tensor,
        parts: *const *const C_tensor,
        base: *const C_tensor,
        places: *const i64,
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

/// x / max(|x|, `smallest`) of every row of `x` (R, C); lengths are fp32.
pub fn unit_length(x: &Tensor, smallest: f64) -> Result<Tensor> {
    // SAFETY: the tensor outlives the call.
    let [out] = tensors(|out| unsafe { sgas_composed_unit_length(out, x.as_ptr(), smallest) })?;
    Ok(out)
}

/// The linear maps of rows `x` (R, C_in) by several weights, all to C_out channels, as one product.
#[derive(Debug, Default)]
pub struct RowMaps<'a> {
    /// Weights W (C_out, C_in) of ReLU(W·x).
    pub rectified: Vec<&'a Tensor>,
    /// Weights W (C_out, C_in) of W·x.
    pub plain: Vec<&'a Tensor>,
    /// Weights [U, V] (C_out, 2·C_in) of pairs: (U − V)·x and V·x.
    pub pairs: Vec<&'a Tensor>,
}

/// What [`RowMaps`] give, in the order of their weights, (R, C_out) each.
#[derive(Debug)]
pub struct MappedRows {
    /// ReLU(W·x).
    pub rectified: Vec<Tensor>,
    /// W·x.
    pub plain: Vec<Tensor>,
    /// (U − V)·x and V·x.
    pub pairs: Vec<[Tensor; 2]>,
}

impl RowMaps<'_> {
    /// Of the rows `x`.
    pub fn of(&self, x: &Tensor) -> Result<MappedRows> {
        let [rectified, plain, pairs] = [&self.rectified, &self.plain, &self.pairs].map(Vec::len);
        let weights = pointers(&[&self.rectified[..], &self.plain, &self.pairs].concat());
        let [of_weights, of_rectified, of_pairs] = [weights.len(), rectified, pairs]
            .map(|count| i64::try_from(count).expect("a list is shorter than i64::MAX"));
        // SAFETY: the tensors outlive the call, `weights` holds as many as it says, and it gives one each and two for a
        // pair.
        let mut maps = list_of_tensors(weights.len() + pairs, |out| unsafe {
            sgas_composed_row_maps(out, x.as_ptr(), weights.as_ptr(), of_weights, of_rectified, of_pairs)
        })?
        .into_iter();
        let mut next = |count: usize| maps.by_ref().take(count).collect::<Vec<_>>();
        let (rectified, plain, own, other) = (next(rectified), next(plain), next(pairs), next(pairs));
        let pairs = own.into_iter().zip(other).map(|(own, other)| [own, other]).collect();
        Ok(MappedRows { rectified, plain, pairs })
    }
}

/// Which weight a part of a sum has: its place in a flat table, none where it stands as it is. Parts with a weight are
/// in the order of their places.
pub type Place = Option<i64>;

fn codes(places: &[Place]) -> Vec<i64> {
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

/// The same of what norms make of the parts, (R, C) or (B, C, H, W). The norms have no scale and shift, and are all in
/// the same mode.
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
    let [out] = tensors(|out| unsafe { sgas_composed_link_sum(out, x.as_ptr(), lists.as_ptr()) })?;
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

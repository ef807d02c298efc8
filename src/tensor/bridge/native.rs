//! Kernels of ours for CUDA, which the driver is given at run time: the nearest points, and along neighbour graphs gathers,
//! sums, maxima and the tail of edge_conv; along links aggregates, attention and the same tail; the sum of a node's weighed
//! parts; rows of length 1; steps of the optimizers. They take fp32, most also bf16 and fp16. [`crate::tensor::native`] says
//! where they serve.

pub mod optimizers;

use std::ffi::{CString, c_char};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use tch::Tensor;
use torch_sys::C_tensor;

use super::composed::{Place, codes};
use super::gather::AttentionScores;
use super::links::{Aggregate, LinkLists};
use super::norm::BatchNorm;
use super::{LIBTORCH_VERSION, check, list_of_tensors, some_tensors, tensors};
use crate::error::Result;

/// The kernels' source, after what it needs of the device.
const SOURCE: &str = concat!(
    include_str!("native/launches.h"),
    include_str!("native/device.h"),
    include_str!("native/numbers.h"),
    include_str!("native/pairs.h"),
    include_str!("native/warps.h"),
    include_str!("native/lists.cu"),
    include_str!("native/neighbours.cu"),
    include_str!("native/edges.cu"),
    include_str!("native/links.cu"),
    include_str!("native/mixture.cu"),
    include_str!("native/nearest.cu"),
    include_str!("native/rows.cu"),
    include_str!("native/optimizers.cu"),
);

unsafe extern "C" {
    fn sgas_native_load(source: *const c_char, device: i32, cache: *const c_char) -> *mut c_char;
    fn sgas_native_gather(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        rows: *const C_tensor,
        pairs: *const C_tensor,
        first: *const C_tensor,
    ) -> *mut c_char;
    fn sgas_native_transposed(out: *mut *mut C_tensor, rows: *const C_tensor, clouds: i64) -> *mut c_char;
    fn sgas_native_neighbour_sum(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        weights: *const C_tensor,
        rows: *const C_tensor,
        pairs: *const C_tensor,
        first: *const C_tensor,
        factor: f64,
    ) -> *mut c_char;
    fn sgas_native_neighbour_maximum(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        rows: *const C_tensor,
        pairs: *const C_tensor,
        first: *const C_tensor,
    ) -> *mut c_char;
    fn sgas_native_edge_maximum(
        out: *mut *mut C_tensor,
        own: *const C_tensor,
        other: *const C_tensor,
        rows: *const C_tensor,
        pairs: *const C_tensor,
        first: *const C_tensor,
        norm: *const *const C_tensor,
        training: i32,
        momentum: f64,
        epsilon: f64,
    ) -> *mut c_char;
    fn sgas_native_link_aggregate(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        links: *const *const C_tensor,
        wanted: i64,
    ) -> *mut c_char;
    fn sgas_native_link_attention(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        target: *const C_tensor,
        source: *const C_tensor,
        links: *const *const C_tensor,
        slope: f64,
    ) -> *mut c_char;
    fn sgas_native_link_edge_maximum(
        out: *mut *mut C_tensor,
        own: *const C_tensor,
        other: *const C_tensor,
        links: *const *const C_tensor,
        norm: *const *const C_tensor,
        training: i32,
        momentum: f64,
        epsilon: f64,
    ) -> *mut c_char;
    fn sgas_native_mixed_sum(
        out: *mut *mut C_tensor,
        table: *const C_tensor,
        parts: *const *const C_tensor,
        norms: *const *const C_tensor,
        places: *const i64,
        slopes: *const f64,
        count: i64,
        training: i32,
        momentum: f64,
        epsilon: f64,
    ) -> *mut c_char;
    fn sgas_native_unit_length(out: *mut *mut C_tensor, x: *const C_tensor, slope: f64, smallest: f64) -> *mut c_char;
    fn sgas_native_readers(out: *mut *mut C_tensor, x: *const C_tensor, count: i64) -> *mut c_char;
    fn sgas_native_selects(points: i64, wanted: i64, ranks: i64) -> i32;
    fn sgas_native_nearest(
        out: *mut C_tensor,
        product: *const C_tensor,
        squares: *const C_tensor,
        start: i64,
        ranks: *const i64,
        count: i64,
    ) -> *mut c_char;
}

/// Compiles the kernels for the GPU `cuda:index` and loads them; what was compiled is kept in the user's cache for the
/// next process.
///
/// # Errors
/// Where NVRTC or the driver is missing, or does not take them.
pub fn load(index: usize) -> Result<()> {
    let source = CString::new(SOURCE).expect("sources hold no zero byte");
    let index = i32::try_from(index).expect("a GPU's number is small");
    let cache = cache().and_then(|path| CString::new(path.into_os_string().into_encoded_bytes()).ok());
    let cache = cache.as_ref().map_or(std::ptr::null(), |path| path.as_ptr());
    // SAFETY: the texts outlive the call.
    check(unsafe { sgas_native_load(source.as_ptr(), index, cache) })
}

/// How the files begin that keep the kernels of this source and of this libtorch, whose NVRTC compiles them; `None` where
/// there is no place for them.
fn cache() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|place| !place.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?.join("sgas");
    std::fs::create_dir_all(&folder).ok()?;
    let mut hasher = DefaultHasher::new();
    (SOURCE, LIBTORCH_VERSION).hash(&mut hasher);
    Some(folder.join(format!("kernels-{:016x}", hasher.finish())))
}

/// The source, as NVRTC gets it.
pub fn source() -> &'static str {
    SOURCE
}

/// Of a list of rows, where each is named: pairs are the list's places.
#[derive(Debug)]
pub struct Transposed {
    /// The places in the list, by the row that they name, int64.
    pub pairs: Tensor,
    /// Where those of every row begin, and the last ends, int64 (rows + 1).
    pub first: Tensor,
}

impl Transposed {
    /// Of numbers of rows, int64 (R, k), `k` for each of the R rows of `clouds` clouds of equal size, all of them of the
    /// row's own cloud. Of one row the places come in their order.
    pub fn of(rows: &Tensor, clouds: i64) -> Result<Self> {
        // SAFETY: the tensor outlives the call, which gives two.
        let [pairs, first] = tensors(|out| unsafe { sgas_native_transposed(out, rows.as_ptr(), clouds) })?;
        Ok(Self { pairs, first })
    }
}

/// Neighbours of every row, int64 (R, k), and the same transposed where a gradient is wanted.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    /// Numbers of rows.
    pub rows: &'a Tensor,
    /// Of [`Self::rows`].
    pub transposed: Option<&'a Transposed>,
}

impl List<'_> {
    /// The pairs of each row and where they begin; null where no gradient is wanted.
    fn pointers(&self) -> [*const C_tensor; 2] {
        self.transposed.map_or([std::ptr::null(); 2], |Transposed { pairs, first }| [pairs.as_ptr(), first.as_ptr()])
    }
}

/// `x` (R, C) at the rows of a list, (R, k, C). The gradient is summed in fp32, always in the same order.
pub fn gather(x: &Tensor, list: &List) -> Result<Tensor> {
    let [pairs, first] = list.pointers();
    // SAFETY: the tensors outlive the call.
    let [out] = tensors(|out| unsafe { sgas_native_gather(out, x.as_ptr(), list.rows.as_ptr(), pairs, first) })?;
    Ok(out)
}

/// Σ_j w_ij·x_j · `factor` over a row's neighbours, (R, C) → (R, C), summed in fp32; `weights`, fp32 (R, k), are 1 where
/// they are absent.
pub fn neighbour_sum(x: &Tensor, weights: Option<&Tensor>, list: &List, factor: f64) -> Result<Tensor> {
    let [pairs, first] = list.pointers();
    let weights = weights.map_or(std::ptr::null(), |weights| weights.as_ptr());
    // SAFETY: the tensors outlive the call.
    let [out] = tensors(|out| unsafe {
        sgas_native_neighbour_sum(out, x.as_ptr(), weights, list.rows.as_ptr(), pairs, first, factor)
    })?;
    Ok(out)
}

/// Neighbours of a row that [`neighbour_maximum`] can tell apart.
pub const MOST_NEIGHBOURS: i64 = 255;

/// max_j x_j over a row's neighbours, (R, C) → (R, C); the gradient goes to the first of equal ones.
pub fn neighbour_maximum(x: &Tensor, list: &List) -> Result<Tensor> {
    let [pairs, first] = list.pointers();
    // SAFETY: the tensors outlive the call.
    let [out] =
        tensors(|out| unsafe { sgas_native_neighbour_maximum(out, x.as_ptr(), list.rows.as_ptr(), pairs, first) })?;
    Ok(out)
}

/// max_j norm(ReLU(own_i + other_j)) over a row's neighbours, (R, C) each, as [`super::norm::edge_max_norm`]; the norm
/// has scale and offset.
pub fn edge_maximum(own: &Tensor, other: &Tensor, list: &List, norm: &BatchNorm) -> Result<Tensor> {
    let ([pairs, first], places) = (list.pointers(), norm.tensors());
    let training = i32::from(norm.training);
    // SAFETY: the tensors outlive the call, and `places` holds the four that the function reads.
    let [out] = tensors(|out| unsafe {
        let (own, other, rows) = (own.as_ptr(), other.as_ptr(), list.rows.as_ptr());
        let places = places.as_ptr();
        sgas_native_edge_maximum(out, own, other, rows, pairs, first, places, training, norm.momentum, norm.epsilon)
    })?;
    Ok(out)
}

/// The wanted aggregates of `x` (N, C), as [`super::links::aggregate`].
pub fn link_aggregates(x: &Tensor, links: &LinkLists, wanted: &[Aggregate]) -> Result<[Option<Tensor>; 4]> {
    let (bits, lists) = (Aggregate::bits(wanted), links.pointers());
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    some_tensors(|out| unsafe { sgas_native_link_aggregate(out, x.as_ptr(), lists.as_ptr(), bits) })
}

/// Attention along links, (N, C), as [`super::links::attention`]; scores are fp32 (N).
pub fn link_attention(x: &Tensor, scores: &AttentionScores, links: &LinkLists, slope: f64) -> Result<Tensor> {
    let (target, source, lists) = (scores.target.as_ptr(), scores.source.as_ptr(), links.pointers());
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    let [out] =
        tensors(|out| unsafe { sgas_native_link_attention(out, x.as_ptr(), target, source, lists.as_ptr(), slope) })?;
    Ok(out)
}

/// max_j norm(ReLU(own_i + other_j)) over the links into a node, 0 for one without, (N, C), as
/// [`super::links::edge_max_norm`]; the norm has scale and offset, and there is a link at least.
pub fn link_edge_maximum(own: &Tensor, other: &Tensor, links: &LinkLists, norm: &BatchNorm) -> Result<Tensor> {
    let (places, lists, training) = (norm.tensors(), links.pointers(), i32::from(norm.training));
    // SAFETY: the tensors outlive the call; `lists` and `places` hold the seven and four that the function reads.
    let [out] = tensors(|out| unsafe {
        let (own, other, lists, places) = (own.as_ptr(), other.as_ptr(), lists.as_ptr(), places.as_ptr());
        sgas_native_link_edge_maximum(out, own, other, lists, places, training, norm.momentum, norm.epsilon)
    })?;
    Ok(out)
}

/// Parts that [`mixed_sum`] takes at most.
pub const MOST_PARTS: usize = 64;

/// A part of a [`mixed_sum`].
pub struct MixedPart<'a> {
    /// (R, C) or (B, C, H, W).
    pub features: Tensor,
    /// What numbers below zero are multiplied by before the norm: 0 for a ReLU, 1 for nothing.
    pub slope: f64,
    /// The norm behind it.
    pub norm: Option<BatchNorm<'a>>,
    /// Where its weight stands.
    pub place: Place,
}

/// Σ of the parts, of one shape and type, each behind its norm where it has one, and times its weight out of `table`, fp32.
/// The norms are all in the same mode.
pub fn mixed_sum(table: &Tensor, parts: &[MixedPart<'_>]) -> Result<Tensor> {
    let norms = || parts.iter().map(|part| part.norm.as_ref());
    let tensors_of = |norm: Option<&BatchNorm<'_>>| norm.map_or([std::ptr::null(); 4], BatchNorm::tensors);
    let of_norms: Vec<*const C_tensor> = norms().flat_map(tensors_of).collect();
    let (training, momentum, epsilon) =
        norms().flatten().next().map_or((false, 0.0, 0.0), |norm| (norm.training, norm.momentum, norm.epsilon));
    let features: Vec<*const C_tensor> = parts.iter().map(|part| part.features.as_ptr()).collect();
    let (places, slopes): (Vec<Place>, Vec<f64>) = parts.iter().map(|part| (part.place, part.slope)).unzip();
    let (places, count) = (codes(&places), i64::try_from(parts.len()).expect("a slice is shorter than i64::MAX"));
    // SAFETY: the tensors outlive the call; `features`, `places` and `slopes` hold `count` each, `of_norms` four times as
    // many.
    let [out] = tensors(|out| unsafe {
        let (features, norms) = (features.as_ptr(), of_norms.as_ptr());
        let (places, slopes, training) = (places.as_ptr(), slopes.as_ptr(), i32::from(training));
        sgas_native_mixed_sum(out, table.as_ptr(), features, norms, places, slopes, count, training, momentum, epsilon)
    })?;
    Ok(out)
}

/// act(x) / max(|act(x)|, `smallest`) of every row (R, C); act multiplies what lies below zero by `slope`: 0 for a ReLU, 1 for
/// nothing.
pub fn unit_length(x: &Tensor, slope: f64, smallest: f64) -> Result<Tensor> {
    // SAFETY: the tensor outlives the call.
    let [out] = tensors(|out| unsafe { sgas_native_unit_length(out, x.as_ptr(), slope, smallest) })?;
    Ok(out)
}

/// Readers that a tensor has at most.
pub const MOST_READERS: usize = 64;

/// `x` for so many readers, 1 to [`MOST_READERS`], whose gradients are added up at once.
pub fn readers(x: &Tensor, count: usize) -> Result<Vec<Tensor>> {
    // SAFETY: the tensor outlives the call.
    list_of_tensors(count, |out| unsafe { sgas_native_readers(out, x.as_ptr(), count as i64) })
}

/// Whether [`nearest`] takes clouds of so many points and these ranks.
pub fn selects(points: i64, ranks: &[i64]) -> bool {
    let wanted = ranks.iter().max().map_or(0, |last| last + 1);
    // SAFETY: plain numbers.
    unsafe { sgas_native_selects(points, wanted, ranks.len() as i64) != 0 }
}

/// Of the points of every cloud from `start` on, the rows of the nearest at `ranks`, into the same rows of `out` int64
/// (B·N, ranks). A point's distance from another is `squares` (B, N) of the other less twice `product` (B, points, N) of
/// both, fp32; the point itself is the first, and of equal distances the lower row comes first.
pub fn nearest(out: &mut Tensor, product: &Tensor, squares: &Tensor, start: i64, ranks: &[i64]) -> Result<()> {
    // SAFETY: the tensors outlive the call, and `ranks` holds as many as it is told.
    check(unsafe {
        let count = ranks.len() as i64;
        sgas_native_nearest(out.as_mut_ptr(), product.as_ptr(), squares.as_ptr(), start, ranks.as_ptr(), count)
    })
}

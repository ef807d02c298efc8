//! All weights of a network in one flat tensor.
//!
//! While a network is built, layers ask a [`Path`] for weights and buffers by the reference's state-dict names.
//! [`Store::finish`] then lays the weights one after the other into one flat fp32 tensor and makes every
//! layer's weight a view of it, so that an optimizer step, clipping, an inf check or a checkpoint is one
//! operation instead of a thousand. Each weight starts at a multiple of 64 bytes; the padding is zero, is
//! never counted and, having no gradient, stays zero. When primitives leave the network,
//! [`Parameters::retain`] closes the gaps, and the [`Kept`] that it returns does the same to any other flat
//! tensor (momentum, Adam's moments).
//!
//! What only products read, a layer holds as a [`Factor`]: in half precision on a GPU all of them are cast at once
//! ([`Parameters::factors_in`]), where autocast would cast, and cast a gradient back, layer by layer.

use crate::error::{Error, Result, few};
use crate::tensor::bridge::composed;
use crate::tensor::bridge::operators::share_version;
use crate::tensor::fused::done;
use crate::tensor::init::Init;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tch::{Device, Kind, Tensor, no_grad};

/// 64 bytes in fp32 elements.
const ALIGNMENT: i64 = 16;

/// Collects weights and buffers while a network is built.
pub struct Store {
    content: Rc<RefCell<Content>>,
    device: Device,
    norms: Norms,
}

/// By what the norms of a network normalise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Norms {
    /// By the statistics of the batch, and in evaluation by their running means.
    #[default]
    Batch,
    /// By nothing: scale and shift alone are left of them.
    None,
}

/// A trained tensor that only products read.
#[derive(Debug)]
pub struct Factor {
    leaf: Tensor,
    copy: HalfCopy,
}

/// The copy in half precision, while there is one.
type HalfCopy = Rc<RefCell<Option<Tensor>>>;

impl Factor {
    /// The tensor for a product: the copy in half precision, while there is one.
    pub fn tensor(&self) -> Tensor {
        self.copy.borrow().as_ref().unwrap_or(&self.leaf).shallow_clone()
    }

    /// Its shape.
    pub fn size(&self) -> Vec<i64> {
        self.leaf.size()
    }
}

#[derive(Default)]
struct Content {
    weights: Vec<Leaf>,
    buffers: Vec<Buffer>,
}

struct Buffer {
    name: String,
    tensor: Tensor,
    /// Of running statistics, whether their norm is fixed: it goes by them in training too, and leaves them as they are.
    fixed: Option<Rc<Cell<bool>>>,
}

/// A place in the tree of names, to which layers add weights and buffers.
#[derive(Clone)]
pub struct Path {
    content: Rc<RefCell<Content>>,
    device: Device,
    norms: Norms,
    prefix: String,
}

struct Leaf {
    name: String,
    tensor: Tensor,
    /// Of a factor.
    copy: Option<HalfCopy>,
}

impl Store {
    /// An empty store for a network on `device`.
    pub fn new(device: Device) -> Self {
        Self { content: Rc::default(), device, norms: Norms::default() }
    }

    /// The same for a network of such norms.
    #[must_use]
    pub fn with_norms(self, norms: Norms) -> Self {
        Self { norms, ..self }
    }

    /// The root of the names.
    pub fn root(&self) -> Path {
        let Self { content, device, norms } = self;
        Path { content: Rc::clone(content), device: *device, norms: *norms, prefix: String::new() }
    }

    /// Lays all weights into one flat tensor; the layers' own tensors become views of it.
    pub fn finish(self) -> (Parameters, Buffers) {
        let content = std::mem::take(&mut *self.content.borrow_mut());
        let parameters = Parameters::of(content.weights, self.device);
        (parameters, Buffers { entries: content.buffers })
    }
}

impl Path {
    /// The place below this one.
    #[must_use]
    pub fn sub(&self, name: impl std::fmt::Display) -> Self {
        let prefix = if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) };
        Self { prefix, ..self.clone() }
    }

    /// A trained tensor of this shape; the caller keeps the returned leaf.
    pub fn weight(&self, name: &str, shape: &[i64], init: Init) -> Tensor {
        self.leaf(name, shape, init, None)
    }

    /// The same of one that only products read.
    pub fn factor(&self, name: &str, shape: &[i64], init: Init) -> Factor {
        let copy = HalfCopy::default();
        Factor { leaf: self.leaf(name, shape, init, Some(Rc::clone(&copy))), copy }
    }

    fn leaf(&self, name: &str, shape: &[i64], init: Init, copy: Option<HalfCopy>) -> Tensor {
        let tensor = init.tensor(shape, self.device).set_requires_grad(true);
        let leaf = Leaf { name: self.sub(name).prefix, tensor: tensor.shallow_clone(), copy };
        self.content.borrow_mut().weights.push(leaf);
        tensor
    }

    /// A tensor that belongs to the state dict but is not trained.
    pub fn buffer(&self, name: &str, value: Tensor) -> Tensor {
        self.added(name, value, None)
    }

    /// The same of the running statistics of a norm, which is fixed while `fixed` holds true.
    pub fn statistics(&self, name: &str, value: Tensor, fixed: &Rc<Cell<bool>>) -> Tensor {
        self.added(name, value, Some(Rc::clone(fixed)))
    }

    fn added(&self, name: &str, value: Tensor, fixed: Option<Rc<Cell<bool>>>) -> Tensor {
        let tensor = value.to_device(self.device);
        let buffer = Buffer { name: self.sub(name).prefix, tensor: tensor.shallow_clone(), fixed };
        self.content.borrow_mut().buffers.push(buffer);
        tensor
    }

    /// Where the tensors live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// By what norms normalise.
    pub fn norms(&self) -> Norms {
        self.norms
    }
}

struct Entry {
    leaf: Leaf,
    offset: i64,
}

impl Entry {
    fn len(&self) -> i64 {
        numel(&self.leaf.tensor)
    }
}

/// The trained tensors of a network, views of one flat tensor.
pub struct Parameters {
    entries: Vec<Entry>,
    flat: Tensor,
}

/// What stayed in a flat tensor: ranges of the old one, in order.
pub struct Kept {
    ranges: Vec<(i64, i64)>,
}

impl Kept {
    /// The same elements of another flat tensor with the old layout.
    pub fn apply(&self, flat: &Tensor) -> Tensor {
        let parts: Vec<Tensor> = self.ranges.iter().map(|&(start, length)| flat.narrow(0, start, length)).collect();
        if parts.is_empty() { flat.narrow(0, 0, 0).copy() } else { Tensor::cat(&parts, 0) }
    }
}

impl Parameters {
    /// Lays leaves into one flat tensor on `device`.
    pub fn new(leaves: Vec<(String, Tensor)>, device: Device) -> Self {
        Self::of(leaves.into_iter().map(|(name, tensor)| Leaf { name, tensor, copy: None }).collect(), device)
    }

    fn of(leaves: Vec<Leaf>, device: Device) -> Self {
        let mut offset = 0;
        let entries: Vec<Entry> = leaves
            .into_iter()
            .map(|leaf| {
                let entry = Entry { leaf, offset };
                offset += padded(entry.len());
                entry
            })
            .collect();
        let flat = Tensor::zeros([offset], (Kind::Float, device));
        let mut parameters = Self { entries, flat };
        parameters.fill_flat();
        parameters
    }

    /// Copies the leaves' values into the flat tensor and points the leaves at it.
    fn fill_flat(&mut self) {
        no_grad(|| {
            for entry in &mut self.entries {
                let mut view = self.flat.narrow(0, entry.offset, entry.len()).view_(entry.leaf.tensor.size());
                view.copy_(&entry.leaf.tensor);
                entry.leaf.tensor.set_data(&view);
                done(share_version(&entry.leaf.tensor, &self.flat));
            }
        });
    }

    /// The flat tensor, fp32, padding included.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// The number of weights, padding not counted.
    pub fn count(&self) -> usize {
        usize::try_from(self.entries.iter().map(Entry::len).sum::<i64>()).expect("sizes are not negative")
    }

    /// Names and tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|entry| (entry.leaf.name.as_str(), &entry.leaf.tensor))
    }

    /// Names with the first element and the number of elements of each in the flat tensor, in order.
    pub fn ranges(&self) -> impl Iterator<Item = (&str, i64, i64)> {
        self.entries.iter().map(|entry| (entry.leaf.name.as_str(), entry.offset, entry.len()))
    }

    /// Tensors with the first element of each in the flat tensor, in order.
    pub fn places(&self) -> impl Iterator<Item = (&Tensor, i64)> {
        self.entries.iter().map(|entry| (&entry.leaf.tensor, entry.offset))
    }

    /// Turns gradients on or off.
    pub fn set_trainable(&mut self, trainable: bool) {
        for entry in &self.entries {
            // The leaf is shared with its layer; setting the flag on a clone sets it there.
            let _ = entry.leaf.tensor.set_requires_grad(trainable);
        }
    }

    /// While the guard lives, products read copies of the factors in this type, which are made here, all at once. The
    /// gradients of the copies reach the factors in fp32, all at once too.
    pub fn factors_in(&self, kind: Kind) -> FactorsInHalf<'_> {
        let factors = || self.entries.iter().filter_map(|entry| Some((entry, entry.leaf.copy.as_ref()?)));
        let (leaves, offsets): (Vec<&Tensor>, Vec<i64>) =
            factors().map(|(entry, _)| (&entry.leaf.tensor, entry.offset)).unzip();
        let copies = done(composed::copies(&self.flat, &leaves, &offsets, kind));
        for ((_, place), copy) in factors().zip(copies) {
            *place.borrow_mut() = Some(copy);
        }
        FactorsInHalf(self)
    }

    /// Gradient of `loss` for all weights, flat with zero padding.
    pub fn gradient(&self, loss: &Tensor) -> Tensor {
        let [gradient] = Self::gradients(loss, [self]);
        gradient
    }

    /// Gradients of `loss` for several tables in one backward pass, each flat with zero padding.
    pub fn gradients<const N: usize>(loss: &Tensor, tables: [&Self; N]) -> [Tensor; N] {
        // Nothing that learns reaches the loss, as where every open edge leads to a node that no other reads any more.
        if !loss.requires_grad() {
            return tables.map(|table| table.flat.zeros_like());
        }
        let leaves: Vec<&Tensor> =
            tables.iter().flat_map(|table| table.entries.iter().map(|entry| &entry.leaf.tensor)).collect();
        let mut gradients = Tensor::run_backward(&[loss], &leaves, false, false).into_iter();
        tables.map(|table| table.join(&gradients.by_ref().take(table.entries.len()).collect::<Vec<_>>()))
    }

    /// One flat tensor of one tensor per weight; a weight without a gradient gets zeros, and so does padding, all of
    /// them views of one tensor.
    fn join(&self, gradients: &[Tensor]) -> Tensor {
        let missing = |entry: &Entry, defined: bool| padded(entry.len()) - if defined { entry.len() } else { 0 };
        let all = || self.entries.iter().zip(gradients).map(|(entry, gradient)| (entry, gradient, gradient.defined()));
        let most = all().map(|(entry, _, defined)| missing(entry, defined)).max().unwrap_or(0);
        let zeros = Tensor::zeros([most], (Kind::Float, self.flat.device()));
        let mut parts = Vec::with_capacity(2 * gradients.len());
        for (entry, gradient, defined) in all() {
            if defined {
                parts.push(gradient.reshape([-1]));
            }
            let missing = missing(entry, defined);
            if missing > 0 {
                parts.push(zeros.narrow(0, 0, missing));
            }
        }
        if parts.is_empty() { zeros } else { Tensor::cat(&parts, 0) }
    }

    /// Splits a flat tensor of this layout into one view per weight.
    pub fn split<'a>(&'a self, flat: &'a Tensor) -> impl Iterator<Item = (&'a str, Tensor)> {
        self.entries.iter().map(|entry| {
            let view = flat.narrow(0, entry.offset, entry.len()).view_(entry.leaf.tensor.size());
            (entry.leaf.name.as_str(), view)
        })
    }

    /// Keeps the weights whose name passes; memory of the others is freed.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) -> Kept {
        let mut ranges = Vec::new();
        let mut leaves = Vec::new();
        for entry in self.entries.drain(..) {
            if keep(&entry.leaf.name) {
                ranges.push((entry.offset, padded(entry.len())));
                leaves.push(entry.leaf);
            }
        }
        let device = self.flat.device();
        *self = Self::of(leaves, device);
        Kept { ranges }
    }
}

/// Products read copies of the factors while it lives.
#[must_use = "the copies go where the guard is dropped"]
pub struct FactorsInHalf<'a>(&'a Parameters);

impl Drop for FactorsInHalf<'_> {
    fn drop(&mut self) {
        for copy in self.0.entries.iter().filter_map(|entry| entry.leaf.copy.as_ref()) {
            *copy.borrow_mut() = None;
        }
    }
}

/// The untrained tensors of a state dict: running statistics and constants.
pub struct Buffers {
    entries: Vec<Buffer>,
}

impl Buffers {
    /// Names and tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|buffer| (buffer.name.as_str(), &buffer.tensor))
    }

    /// Copies of all values, in order.
    pub fn copies(&self) -> Vec<Tensor> {
        self.entries.iter().map(|buffer| buffer.tensor.copy()).collect()
    }

    /// Sets the values to earlier copies of them.
    pub fn restore(&self, copies: &[Tensor]) {
        no_grad(|| {
            for (buffer, copy) in self.entries.iter().zip(copies) {
                buffer.tensor.shallow_clone().copy_(copy);
            }
        });
    }

    /// Keeps the buffers whose name passes.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.entries.retain(|buffer| keep(&buffer.name));
    }

    /// Fixes the norms of which a running statistic's name passes, for good: in training too they go by their running
    /// statistics, which stay as they are.
    pub fn fix_norms(&self, is_fixed: impl Fn(&str) -> bool) {
        let statistics = self.entries.iter().filter_map(|buffer| Some((&buffer.name, buffer.fixed.as_ref()?)));
        statistics.filter(|(name, _)| is_fixed(name)).for_each(|(_, fixed)| fixed.set(true));
    }
}

/// A network's whole state dict.
pub struct Weights {
    /// What is trained.
    pub parameters: Parameters,
    /// What is not.
    pub buffers: Buffers,
}

impl Weights {
    /// All names and tensors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.parameters.iter().chain(self.buffers.iter())
    }

    /// Copies values into the network; every name must be there, with its shape, and none besides.
    /// PyTorch's counters `num_batches_tracked`, which nothing reads, may be there.
    ///
    /// # Errors
    /// A missing or surplus name or another shape, with `origin` (the file) as its place; nothing is then copied.
    pub fn load(&mut self, values: &BTreeMap<String, Tensor>, origin: &str) -> Result<()> {
        self.check(values, origin)?;
        no_grad(|| {
            for (name, tensor) in self.iter() {
                tensor.shallow_clone().copy_(&values[name]);
            }
        });
        Ok(())
    }

    fn check(&self, values: &BTreeMap<String, Tensor>, origin: &str) -> Result<()> {
        const HINT: &str = "these are the weights of another network: give the genotype and sizes they were trained with, and \
             samples of as many numbers";
        let known: BTreeSet<&str> = self.iter().map(|(name, _)| name).collect();
        let missing: Vec<(&str, &Tensor)> = self.iter().filter(|(name, _)| !values.contains_key(*name)).collect();
        let is_surplus = |name: &&str| !known.contains(name) && !name.ends_with("num_batches_tracked");
        let surplus: Vec<&str> = values.keys().map(String::as_str).filter(is_surplus).collect();
        let left_over =
            if surplus.is_empty() { String::new() } else { format!("; left over: {}", few(surplus.clone())) };
        if let Some((first, tensor)) = missing.first() {
            let names = few(missing.iter().map(|(name, _)| *name));
            let found = match missing.len() {
                1 => format!("nothing{left_over}"),
                count => format!("nothing; {count} of {} are missing: {names}{left_over}", known.len()),
            };
            let expected = format!("shape {:?}", tensor.size());
            return Err(Error::invalid(format!("{origin}: {first}"), expected, found).with_hint(HINT));
        }
        if let Some((name, tensor)) = self.iter().find(|(name, tensor)| values[*name].size() != tensor.size()) {
            let (expected, found) = (format!("shape {:?}", tensor.size()), format!("{:?}", values[name].size()));
            return Err(Error::invalid(format!("{origin}: {name}"), expected, found).with_hint(HINT));
        }
        if surplus.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(origin, "only the network's own tensors", few(surplus)).with_hint(HINT))
    }
}

fn numel(tensor: &Tensor) -> i64 {
    i64::try_from(tensor.numel()).expect("tensors have fewer than 2^63 elements")
}

fn padded(length: i64) -> i64 {
    length.div_euclid(ALIGNMENT) * ALIGNMENT + if length % ALIGNMENT == 0 { 0 } else { ALIGNMENT }
}

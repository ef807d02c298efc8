//! A state of a cell, as the operations on its edges see it.

use crate::ops::Shared;
use crate::tensor::layers::{ActivatedNorm, Block, Linear, map_together};
use crate::tensor::mixture::Part;
use crate::tensor::native::readers_of;
use std::cell::RefCell;
use tch::Tensor;

/// What a linear map of a state reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The features.
    Features,
    /// What operations share.
    Shared(Shared),
    /// The features and what operations share, side by side.
    Joined(Shared),
}

/// A linear map without bias that an operation makes of its state. Elsewhere than on a CPU all that read the same are
/// made by one product.
#[derive(Clone, Copy)]
pub struct Map<'a> {
    input: Input,
    linear: &'a Linear,
    rectified: bool,
    /// Whether a sum may rectify it (see [`State::last_block`]).
    is_last: bool,
}

impl<'a> Map<'a> {
    /// Of `input`.
    pub fn plain(input: Input, linear: &'a Linear) -> Self {
        Self { input, linear, rectified: false, is_last: false }
    }

    /// The first part of a block that reads `input`.
    pub fn of_block(input: Input, block: &'a Block) -> Self {
        Self { input, linear: &block.linear, rectified: block.tail.is_rectified(), is_last: false }
    }

    /// The same of a block that ends the operation.
    pub fn of_last_block(input: Input, block: &'a Block) -> Self {
        Self { is_last: true, ..Self::of_block(input, block) }
    }
}

/// Readers whose gradients are added up at once: more would keep too many gradients, fewer start too many sums.
const READERS: usize = 16;

/// A tensor that several operations read.
struct Read {
    tensor: Tensor,
    /// Readers that are still to come, at most.
    left: usize,
    /// The same tensor by other names, a reader each, whose gradients are added up at once.
    names: Vec<Tensor>,
}

impl Read {
    /// For so many readers at most.
    fn new(tensor: Tensor, readers: usize) -> Self {
        Self { tensor, left: readers, names: Vec::new() }
    }

    fn next(&mut self) -> Tensor {
        if self.names.is_empty() {
            self.names = readers_of(&self.tensor, self.left.min(READERS));
            self.left -= self.names.len();
        }
        self.names.pop().unwrap_or_else(|| self.tensor.shallow_clone())
    }
}

/// A state of a cell: its features, and what several operations compute of them, computed once.
pub struct State<'a> {
    /// The features, as the space lays them out (points and graphs: rows (R, C); images: (B, C, H, W), channels-last).
    pub features: Tensor,
    /// The features for those that read them, from the first on.
    read: RefCell<Option<Read>>,
    readers: usize,
    expected: Vec<Shared>,
    shared: RefCell<Vec<(Shared, Read)>>,
    maps: Vec<Map<'a>>,
    /// What the maps of these numbers gave.
    mapped: RefCell<Vec<(usize, Tensor)>>,
    /// Whether what ends an operation is left to the sum that its output goes into.
    leaves_ends: bool,
}

impl<'a> State<'a> {
    /// A state with nothing computed yet.
    pub fn new(features: Tensor) -> Self {
        Self::expecting(features, 0, Vec::new(), Vec::new())
    }

    /// The same for so many operations, which will ask for what is `expected`, and for these maps. Of maps that are not
    /// told each is made when it is asked for.
    pub fn expecting(features: Tensor, operations: usize, expected: Vec<Shared>, maps: Vec<Map<'a>>) -> Self {
        let (shared, mapped, leaves_ends) = (RefCell::default(), RefCell::default(), false);
        // An operation reads a state once or twice.
        let readers = 2 * operations + expected.len();
        Self { features, read: RefCell::default(), readers, expected, shared, maps, mapped, leaves_ends }
    }

    /// The features for one that reads them.
    pub fn read(&self) -> Tensor {
        let mut read = self.read.borrow_mut();
        read.get_or_insert_with(|| Read::new(self.features.shallow_clone(), self.readers)).next()
    }

    /// The same, whose operations' outputs go into sums that take activations and norms.
    #[must_use]
    pub fn leaving_ends(mut self) -> Self {
        self.maps.iter_mut().for_each(|map| map.rectified &= !map.is_last);
        self.leaves_ends = true;
        self
    }

    /// What `compute` gives, from the first operation that asked for it.
    pub fn shared(&self, what: Shared, compute: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        self.shared_together(what, |features, _| vec![(what, compute(features))])
    }

    /// The same of what is cheaper to compute together: `compute` is told what the state's operations ask for, `what`
    /// included, and gives that at least.
    pub fn shared_together(
        &self,
        what: Shared,
        compute: impl FnOnce(&Tensor, &[Shared]) -> Vec<(Shared, Tensor)>,
    ) -> Tensor {
        if let Some(tensor) = self.known(what) {
            return tensor;
        }
        let mut wanted = self.expected.clone();
        if !wanted.contains(&what) {
            wanted.push(what);
        }
        let computed = compute(&self.read(), &wanted);
        let readers = self.readers;
        let computed = computed.into_iter().map(|(what, tensor)| (what, Read::new(tensor, readers)));
        self.shared.borrow_mut().extend(computed);
        self.known(what).expect("what was asked for was computed")
    }

    fn known(&self, what: Shared) -> Option<Tensor> {
        let mut shared = self.shared.borrow_mut();
        shared.iter_mut().find(|(known, _)| *known == what).map(|(_, read)| read.next())
    }

    /// The map of rows that are the map's input, (R, C_in) → (R, C_out).
    pub fn map(&self, linear: &Linear, rows: &Tensor) -> Tensor {
        self.joint(linear, |_| rows.shallow_clone()).unwrap_or_else(|| linear.forward(rows))
    }

    /// A block of rows that are its input.
    pub fn block(&self, block: &Block, rows: &Tensor, training: bool) -> Tensor {
        match self.joint(&block.linear, |_| rows.shallow_clone()) {
            Some(mapped) => block.finish(mapped, training),
            None => block.forward(rows, training),
        }
    }

    /// A block of the features and of what operations share, side by side.
    pub fn block_of_pair(&self, block: &Block, shared: &Tensor, training: bool) -> Tensor {
        match self.joint(&block.linear, |features| Tensor::cat(&[features, shared], 1)) {
            Some(mapped) => block.finish(mapped, training),
            None => block.forward_pair(&self.read(), shared, training),
        }
    }

    /// [`Self::block`] that ends an operation: what follows its map may be left to the sum.
    pub fn last_block<'b>(&self, block: &'b Block, rows: &Tensor, training: bool) -> Part<'b> {
        if !self.leaves_ends {
            return Part::plain(self.block(block, rows, training));
        }
        Part::unfinished(self.map(&block.linear, rows), &block.tail, training)
    }

    /// [`Self::block_of_pair`] that ends an operation.
    pub fn last_block_of_pair<'b>(&self, block: &'b Block, shared: &Tensor, training: bool) -> Part<'b> {
        if !self.leaves_ends {
            return Part::plain(self.block_of_pair(block, shared, training));
        }
        let mapped = self.joint(&block.linear, |features| Tensor::cat(&[features, shared], 1));
        let mapped = mapped.unwrap_or_else(|| block.linear.forward_pair(&self.read(), shared));
        Part::unfinished(mapped, &block.tail, training)
    }

    /// An activation and a norm that end an operation.
    pub fn last_tail<'b>(&self, x: Tensor, tail: &'b ActivatedNorm, training: bool) -> Part<'b> {
        if self.leaves_ends { Part::unfinished(x, tail, training) } else { Part::plain(tail.forward(x, training)) }
    }

    /// What the state's map by `linear` gives, where it was told of several that read the same.
    fn joint(&self, linear: &Linear, rows: impl FnOnce(&Tensor) -> Tensor) -> Option<Tensor> {
        let number = self.maps.iter().position(|map| std::ptr::eq(map.linear, linear))?;
        let input = self.maps[number].input;
        let group: Vec<usize> = (0..self.maps.len()).filter(|&other| self.maps[other].input == input).collect();
        if group.len() < 2 {
            return None;
        }
        let mut mapped = self.mapped.borrow_mut();
        if !mapped.iter().any(|(known, _)| *known == number) {
            let maps: Vec<_> = group.iter().map(|&map| (self.maps[map].linear, self.maps[map].rectified)).collect();
            mapped.extend(group.into_iter().zip(map_together(&rows(&self.read()), &maps)));
        }
        mapped.iter().find(|(known, _)| *known == number).map(|(_, tensor)| tensor.shallow_clone())
    }
}

//! A state of a cell, as the operations on its edges see it.

use crate::ops::Shared;
use crate::tensor::layers::{Block, Linear, map_together};
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
}

impl<'a> Map<'a> {
    /// Of `input`.
    pub fn plain(input: Input, linear: &'a Linear) -> Self {
        Self { input, linear, rectified: false }
    }

    /// The first part of a block that reads `input`.
    pub fn of_block(input: Input, block: &'a Block) -> Self {
        Self { input, linear: &block.linear, rectified: block.tail.is_rectified() }
    }
}

/// A state of a cell: its features, and what several operations compute of them, computed once.
pub struct State<'a> {
    /// The features, as the space lays them out (points and graphs: rows (R, C); images: (B, C, H, W), channels-last).
    pub features: Tensor,
    expected: Vec<Shared>,
    shared: RefCell<Vec<(Shared, Tensor)>>,
    maps: Vec<Map<'a>>,
    /// What the maps of these numbers gave.
    mapped: RefCell<Vec<(usize, Tensor)>>,
}

impl<'a> State<'a> {
    /// A state with nothing computed yet.
    pub fn new(features: Tensor) -> Self {
        Self::expecting(features, Vec::new(), Vec::new())
    }

    /// The same, whose operations will ask for what is `expected`, and for these maps. Of maps that are not told each
    /// is made when it is asked for.
    pub fn expecting(features: Tensor, expected: Vec<Shared>, maps: Vec<Map<'a>>) -> Self {
        Self { features, expected, shared: RefCell::default(), maps, mapped: RefCell::default() }
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
        let computed = compute(&self.features, &wanted);
        self.shared.borrow_mut().extend(computed);
        self.known(what).expect("what was asked for was computed")
    }

    fn known(&self, what: Shared) -> Option<Tensor> {
        let shared = self.shared.borrow();
        shared.iter().find(|(known, _)| *known == what).map(|(_, tensor)| tensor.shallow_clone())
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
            None => block.forward_pair(&self.features, shared, training),
        }
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
            mapped.extend(group.into_iter().zip(map_together(&rows(&self.features), &maps)));
        }
        mapped.iter().find(|(known, _)| *known == number).map(|(_, tensor)| tensor.shallow_clone())
    }
}

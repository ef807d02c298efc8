//! A space's table of primitives: their names and what builds them, in the order of the alphas.

use crate::ops::Operation;
use crate::tensor::parameters::Path;

/// Makes the operation whose weights lie at a path. `B` is what the space's primitives are built after.
type Build<C, B> = fn(&Path, B) -> Box<dyn Operation<C>>;

/// A primitive of a space over the context `C`.
pub struct Primitive<C, B> {
    /// The name in genotypes.
    pub name: &'static str,
    build: Option<Build<C, B>>,
}

impl<C, B> Primitive<C, B> {
    /// One that computes something.
    pub const fn new(name: &'static str, build: Build<C, B>) -> Self {
        Self { name, build: Some(build) }
    }

    /// `none`, which computes nothing.
    pub const fn none() -> Self {
        Self { name: "none", build: None }
    }
}

/// The operation of the primitive `name`; absent for `none`. Panics on a name that the table does not hold.
pub fn build<C, B>(table: &[Primitive<C, B>], path: &Path, name: &str, after: B) -> Option<Box<dyn Operation<C>>> {
    let found = table.iter().find(|primitive| primitive.name == name);
    let primitive = found.unwrap_or_else(|| unreachable!("{name} is not a primitive of this space"));
    primitive.build.map(|build| build(path, after))
}

/// The names of a table.
pub const fn names<C, B, const N: usize>(table: &[Primitive<C, B>; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut index = 0;
    while index < N {
        names[index] = table[index].name;
        index += 1;
    }
    names
}

//! Which module's output is the first that is not finite: looked for once a step has gone wrong, and else not at all.

use std::cell::{Cell, RefCell};
use tch::Tensor;

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
    /// The module whose parts are being looked at.
    static WITHIN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Whether all numbers are finite; waits for the device.
pub fn is_finite(tensor: &Tensor) -> bool {
    if tensor.is_sparse() {
        return is_finite(&tensor.internal_values());
    }
    !tensor.is_floating_point() || bool::try_from(tensor.isfinite().all()).expect("one boolean")
}

/// Says what a module gave; costs nothing but while [`first`] looks.
pub fn look(name: impl FnOnce() -> String, output: &Tensor) {
    if WATCHING.get() && FIRST.with_borrow(Option::is_none) && !is_finite(output) {
        let whole =
            WITHIN.with_borrow(|module| module.as_ref().map_or_else(String::new, |module| format!("{module}, ")));
        FIRST.set(Some(whole + &name()));
    }
}

/// Calls `pass`; what [`look`] is told in it are parts of this module.
pub fn within<T>(module: impl FnOnce() -> String, pass: impl FnOnce() -> T) -> T {
    if WATCHING.get() {
        WITHIN.set(Some(module()));
    }
    let given = pass();
    if WATCHING.get() {
        WITHIN.set(None);
    }
    given
}

/// What `pass` gives, and the name of the first module of which [`look`] saw something that is not finite.
pub fn first<T>(pass: impl FnOnce() -> T) -> (T, Option<String>) {
    WATCHING.set(true);
    FIRST.set(None);
    let given = pass();
    WATCHING.set(false);
    (given, FIRST.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_not_finite_is_named_and_only_while_somebody_looks() {
        let pass = || {
            look(|| "one".to_owned(), &Tensor::from_slice(&[1.0_f32]));
            within(|| "two".to_owned(), || look(|| "a part".to_owned(), &Tensor::from_slice(&[f32::NAN])));
            look(|| "three".to_owned(), &Tensor::from_slice(&[f32::INFINITY]));
        };
        assert_eq!(first(pass).1.as_deref(), Some("two, a part"));
        pass();
        assert_eq!(first(|| ()).1, None);
    }
}

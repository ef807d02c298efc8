//! How much work a computation is: the multiply-adds of libtorch's products and convolutions.

use std::ffi::c_char;

use super::recording::recording;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_work_start() -> *mut c_char;
    fn sgas_work_stop(out: *mut *mut c_char) -> *mut c_char;
}

/// Gives what `body` gives, and the multiply-adds of the products and convolutions that this thread called in it, forward
/// and backward. The kernels of the bridge are not seen: switch them off ([`crate::tensor::fused::TensorPath`]).
///
/// # Errors
/// Inside of another such record of the same thread.
pub fn multiply_adds<T>(body: impl FnOnce() -> T) -> Result<(T, u64)> {
    let (result, lines) = recording((sgas_work_start, sgas_work_stop), body, |line| line.parse::<u64>().ok())?;
    Ok((result, lines.into_iter().sum()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::fused::TensorPath;
    use tch::{Device, Kind, Tensor};

    fn numbers(shape: &[i64]) -> Tensor {
        Tensor::zeros(shape, (Kind::Float, Device::Cpu)).set_requires_grad(true)
    }

    #[test]
    fn products_and_convolutions_are_counted_in_both_passes() {
        let _plain = TensorPath::enter();
        let (left, right) = (numbers(&[3, 5]), numbers(&[5, 7]));
        let (product, forward) = multiply_adds(|| left.mm(&right)).unwrap();
        assert_eq!(forward, 3 * 5 * 7);
        let backward = || Tensor::run_backward(&[product.sum(None)], &[&left, &right], false, false);
        assert_eq!(multiply_adds(backward).unwrap().1, 2 * 3 * 5 * 7);
        // Six channels in two groups, a window of three by three that goes by two: of 8 x 8 places 4 x 4 are left.
        let (x, weight) = (numbers(&[2, 6, 8, 8]), numbers(&[4, 3, 3, 3]));
        let (y, forward) = multiply_adds(|| x.conv2d(&weight, None::<&Tensor>, [2, 2], [1, 1], [1, 1], 2)).unwrap();
        assert_eq!(y.size(), [2, 4, 4, 4]);
        assert_eq!(forward, 2 * 4 * 4 * 4 * 3 * 3 * 3);
        let of_weight = || Tensor::run_backward(&[y.sum(None)], &[&weight], false, false);
        assert_eq!(multiply_adds(of_weight).unwrap().1, forward);
        assert_eq!(multiply_adds(|| left.relu()).unwrap().1, 0);
    }
}

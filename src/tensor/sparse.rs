//! Products of matrices that are nearly all zeros, such as the words of documents: a tenth or a hundredth of the work.

use crate::tensor::fused::is_fused;
use tch::{Kind, Tensor};

/// Elements below which a product is quick anyway.
const SMALLEST: usize = 1 << 16;
/// Elements for each one that is not zero, from which the sparse product is the faster one.
const SPARSITY: i64 = 20;

/// Whether a product of these rows (R, C), which no gradient goes through, is faster without their zeros: on a CPU in
/// fp32 where at most one in twenty elements is not zero.
pub fn is_worth_it(rows: &Tensor) -> bool {
    let plain = is_fused(rows) && rows.kind() == Kind::Float && !rows.requires_grad();
    plain && rows.numel() >= SMALLEST && {
        let filled = rows.count_nonzero(None).int64_value(&[]);
        filled * SPARSITY <= rows.numel() as i64
    }
}

/// The same rows as a sparse matrix of their coordinates.
pub fn without_zeros(rows: &Tensor) -> Tensor {
    rows.to_sparse_sparse_dim(2)
}

/// x·Wᵀ + b of sparse rows: (R, C_in) and (C_out, C_in) → (R, C_out). Gradients reach W and b.
pub fn linear(rows: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let product = rows.mm(&weight.transpose(0, 1));
    match bias {
        Some(bias) => product + bias,
        None => product,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Rows with one element in forty that is not zero.
    fn rows() -> Tensor {
        let numbers = Tensor::arange(700 * 120, (Kind::Float, Device::Cpu)).view([700, 120]);
        let wanted = numbers.remainder(40.0).eq(7.0).to_kind(Kind::Float);
        wanted * (numbers * 0.37).sin()
    }

    #[test]
    fn a_sparse_product_is_the_dense_one_with_its_gradients() {
        let rows = rows();
        assert!(is_worth_it(&rows) && !is_worth_it(&(&rows + 1.0)) && !is_worth_it(&rows.narrow(0, 0, 9)));
        let leaf = |shape: &[i64], step: f64| {
            let count = shape.iter().product::<i64>();
            let values = (Tensor::arange(count, (Kind::Float, Device::Cpu)) * step).cos();
            values.view(shape).set_requires_grad(true)
        };
        let run = |rows: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
            let (weight, bias) = (leaf(&[33, 120], 0.7), leaf(&[33], 0.3));
            let output = rows(&weight, &bias);
            let loss = (&output * leaf(&[700, 33], 0.11).detach()).sum(Kind::Float);
            let gradients = Tensor::run_backward(&[loss], &[&weight, &bias], false, false);
            [output].into_iter().chain(gradients).collect::<Vec<_>>()
        };
        let sparse = run(&|weight, bias| linear(&without_zeros(&rows), weight, Some(bias)));
        let dense = run(&|weight, bias| rows.linear(weight, Some(bias)));
        for (sparse, dense) in sparse.iter().zip(&dense) {
            assert!((sparse - dense).abs().max().double_value(&[]) < 1e-4);
        }
    }
}

//! Matrices that are nearly all zeros, such as the words of documents: products and dropout take a tenth or a hundredth
//! of the work without them.

use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::fused::{done, is_fused};
use tch::{Kind, Tensor};

/// Elements below which a product is quick anyway.
const SMALLEST: usize = 1 << 16;
/// Elements for each one that is not zero, from which the sparse product is the faster one.
const SPARSITY: i64 = 20;
/// Rows that are looked at.
const SAMPLE: i64 = 256;

/// Whether a product of these rows (R, C), which no gradient goes through, is faster without their zeros: on a CPU in
/// fp32, where at most one in twenty elements of a sample is not zero.
pub fn is_worth_it(rows: &Tensor) -> bool {
    let plain = is_fused(rows) && rows.kind() == Kind::Float && !rows.requires_grad();
    plain && rows.numel() >= SMALLEST && {
        let sample = rows.slice(0, None, None, (rows.size()[0] / SAMPLE).max(1));
        sample.count_nonzero(None).int64_value(&[]) * SPARSITY <= sample.numel() as i64
    }
}

/// The same rows as a sparse matrix of their coordinates.
pub fn without_zeros(rows: &Tensor) -> Tensor {
    rows.to_sparse_sparse_dim(2)
}

/// Dropout of rows (R, C) for products alone: as a sparse matrix where that is worth it.
pub fn dropped_for_products(rows: &Tensor, probability: f64, training: bool) -> Tensor {
    if is_worth_it(rows) {
        dropout(&without_zeros(rows), probability, training)
    } else if probability > 0.0 {
        rows.dropout(probability, training)
    } else {
        rows.shallow_clone()
    }
}

/// Dropout of sparse rows: of what is not zero, since a zero stays one.
pub fn dropout(rows: &Tensor, probability: f64, training: bool) -> Tensor {
    if !training || probability == 0.0 {
        return rows.shallow_clone();
    }
    let values = rows.internal_values().dropout(probability, true);
    let options = (values.kind(), values.device());
    Tensor::sparse_coo_tensor_indices_size(&rows.internal_indices(), &values, rows.size(), options, true)
}

/// x·Wᵀ + b of sparse rows in fp32, whatever is cast around: (R, C_in) and (C_out, C_in) → (R, C_out). Gradients reach W
/// and b.
pub fn linear(rows: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let _island = done(Autocast::disabled(rows.device()));
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
    fn dropout_takes_its_share_and_keeps_the_sum() {
        let rows = without_zeros(&rows().abs());
        let sum = |rows: &Tensor| rows.to_dense(None, false).sum(Kind::Double).double_value(&[]);
        assert_eq!(sum(&dropout(&rows, 0.4, false)), sum(&rows));
        let dropped = dropout(&rows, 0.4, true).to_dense(None, false);
        let kept = dropped.count_nonzero(None).int64_value(&[]) as f64 / 2100.0;
        // Five deviations of 2100 draws.
        assert!((kept - 0.6).abs() < 0.054, "{kept}");
        let scaled = rows.to_dense(None, false) / 0.6 - &dropped;
        assert!((scaled * dropped.sign()).abs().max().double_value(&[]) < 1e-6);
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

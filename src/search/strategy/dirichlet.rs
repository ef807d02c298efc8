//! Shares of primitives drawn from Dirichlet distributions, and the divergence that keeps these near the uniform one
//! (DrNAS; Chen, Wang, Cheng, Tang and Hsieh, "DrNAS: Dirichlet Neural Architecture Search", ICLR 2021,
//! arXiv:2006.10355; docs/method.md, "Parts of strategies").

use super::{Penalty, Strategy};
use crate::bounds;
use crate::error::Result;
use crate::model::{Alphas, MixtureRule};
use crate::tensor::precision::at_least_single;
use rand::distr::{Distribution, Open01};
use rand_chacha::ChaCha8Rng;
use rand_distr::Gamma;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use tch::{Device, Kind, Tensor, no_grad};

/// `[search.dirichlet]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DirichletConfig {
    /// The weight of the divergence in the alphas' loss; 0 leaves it out.
    pub divergence: f64,
}

impl Default for DirichletConfig {
    /// The published value.
    fn default() -> Self {
        Self { divergence: 1e-3 }
    }
}

impl DirichletConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        bounds::check("search.dirichlet.divergence", &self.divergence, &(0.0..=1e6), "")
    }
}

/// In training each row is drawn from Dirichlet(β), β = elu(α) + 1; elsewhere it is the mean of that distribution.
/// Gradients go through the draw. Alphas of -inf, those of dropped primitives, have no share.
pub struct Dirichlet;

impl MixtureRule for Dirichlet {
    fn weights(&self, alphas: &Tensor) -> Tensor {
        let concentrations = concentrations(alphas);
        &concentrations / concentrations.sum_dim_intlist([-1_i64].as_slice(), true, None::<Kind>)
    }

    /// The draws come from `generator` alone and are computed in fp64 on the CPU, so they are the same on every device.
    fn drawn(&self, alphas: &Tensor, mut generator: ChaCha8Rng) -> Tensor {
        let concentrations = concentrations(alphas);
        let table = no_grad(|| concentrations.to_kind(Kind::Double).to_device(Device::Cpu));
        let width = table.size()[1];
        let rows = Vec::<f64>::try_from(table.flatten(0, 1)).expect("the concentrations are fp64 here");
        let draws = rows.chunks(width.unsigned_abs() as usize).map(|row| Draw::new(row, &mut generator));
        let (mut shares, mut rates) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for draw in draws {
            shares.extend(draw.shares);
            rates.extend(draw.rates);
        }
        let like = |values: &[f64]| Tensor::from_slice(values).view([-1, width]).to_device(alphas.device());
        let [shares, rates] = [shares, rates].map(|values| like(&values).to_kind(concentrations.kind()));
        // Moves with the concentrations as the draw does: d share_i / d β_j = rate_j·([i = j] - share_i).
        let moved = rates * &concentrations;
        let moved = &moved - &shares * moved.sum_dim_intlist([-1_i64].as_slice(), true, None::<Kind>);
        shares + (&moved - moved.detach())
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    /// ln β.
    fn logit(&self, alpha: f64) -> f64 {
        if alpha > 0.0 { alpha.ln_1p() } else { alpha }
    }
}

/// β = elu(α) + 1, without the rounding of that sum; 0 for -inf.
fn concentrations(alphas: &Tensor) -> Tensor {
    let alphas = alphas.to_kind(at_least_single(alphas.kind()));
    alphas.clamp_max(0.0).exp() + alphas.relu()
}

/// A row drawn from Dirichlet(β).
struct Draw {
    shares: Vec<f64>,
    /// d share_k / d β_k of the beta distribution of every share, divided by 1 - share_k.
    rates: Vec<f64>,
}

impl Draw {
    fn new(concentrations: &[f64], generator: &mut ChaCha8Rng) -> Self {
        // Logarithms, because a gamma variate of a small concentration may be below all numbers but 0.
        let logarithms: Vec<f64> = concentrations.iter().map(|shape| log_gamma_variate(*shape, generator)).collect();
        let shares = crate::decision::softmax(&logarithms);
        let total: f64 = concentrations.iter().sum();
        let alone = concentrations.iter().filter(|shape| **shape > 0.0).count() < 2;
        let rates = if alone { vec![0.0; shares.len()] } else { rates(&shares, concentrations, total) };
        Self { shares, rates }
    }
}

/// The logarithm of a variate of Gamma(shape, 1); -inf for shape 0.
fn log_gamma_variate(shape: f64, generator: &mut ChaCha8Rng) -> f64 {
    let above = if shape < 1.0 { shape + 1.0 } else { shape };
    let uniform: f64 = Open01.sample(generator);
    let Ok(gamma) = Gamma::new(above, 1.0) else { return f64::NAN };
    let variate: f64 = gamma.sample(generator).ln();
    match shape {
        0.0 => f64::NEG_INFINITY,
        // Gamma(a) is Gamma(a + 1)·U^(1/a) (Marsaglia and Tsang 2000).
        _ if shape < 1.0 => variate + uniform.ln() / shape,
        _ => variate,
    }
}

/// The implicit derivatives of shares by their own concentrations (Figurnov and others 2018), by libtorch, each divided by
/// 1 - share; 0 where a primitive was dropped.
fn rates(shares: &[f64], concentrations: &[f64], total: f64) -> Vec<f64> {
    let present = |k: usize| concentrations[k] > 0.0;
    let of = |values: &[f64], missing: f64| {
        let filled = values.iter().enumerate().map(|(k, value)| if present(k) { *value } else { missing });
        Tensor::from_slice(&filled.collect::<Vec<_>>())
    };
    let total = Tensor::full([shares.len() as i64], total, (Kind::Double, Device::Cpu));
    let rates = Tensor::internal_dirichlet_grad(&of(shares, 0.5), &of(concentrations, 0.5), &total);
    let rates = Vec::<f64>::try_from(rates).expect("rates are fp64");
    rates.into_iter().enumerate().map(|(k, rate)| if present(k) { rate } else { 0.0 }).collect()
}

/// Draws the shares and adds the divergence; decides nothing.
pub(super) struct Drawing {
    divergence: f64,
    epochs: usize,
}

impl Drawing {
    pub(super) fn new(config: &DirichletConfig, epochs: usize) -> Self {
        Self { divergence: config.divergence, epochs }
    }
}

impl Strategy for Drawing {
    fn epochs(&self) -> usize {
        self.epochs
    }

    fn mixture(&self, _: usize) -> Option<Rc<dyn MixtureRule>> {
        Some(Rc::new(Dirichlet))
    }

    fn penalty(&self, _: usize) -> Option<Penalty> {
        let weight = self.divergence;
        (weight > 0.0).then(|| Rc::new(move |alphas: &Alphas| divergence_from_uniform(alphas) * weight) as Penalty)
    }
}

/// Σ over all edges of KL(Dirichlet(β) ‖ Dirichlet(1, ..., 1)), 0-dimensional; dropped primitives have no part.
pub fn divergence_from_uniform(alphas: &Alphas) -> Tensor {
    let of_kind = |kind| {
        let table = alphas.table(kind);
        let dropped = table.isneginf();
        // A concentration of 1 adds nothing to the sums below but to the total.
        let concentrations = concentrations(&table.masked_fill(&dropped, 0.0));
        let present = dropped.logical_not().to_kind(concentrations.kind());
        let sum = |values: &Tensor| values.sum_dim_intlist([-1_i64].as_slice(), true, None::<Kind>);
        let total = sum(&(&concentrations * &present));
        let logarithms = total.lgamma() - sum(&concentrations.lgamma()) - sum(&present).lgamma();
        let expected = sum(&((&concentrations - 1.0) * (concentrations.digamma() - total.digamma())));
        (logarithms + expected).sum(None::<Kind>)
    };
    alphas.kinds().into_iter().map(of_kind).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::random::{Key, Purpose};
    use statrs::function::beta::beta_reg;

    const ALPHAS: [f64; 4] = [-1.2, 0.0, 0.7, -0.3];

    fn generator(step: u64) -> ChaCha8Rng {
        Key::new(5, Purpose::AlphaMixture).at(0, step).generator()
    }

    fn by_hand(alpha: f64) -> f64 {
        if alpha > 0.0 { alpha + 1.0 } else { alpha.exp() }
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
    }

    fn table() -> Tensor {
        Tensor::from_slice(&ALPHAS).view([1, 4])
    }

    #[test]
    fn draws_have_the_mean_and_the_variance_of_the_distribution() {
        let total: f64 = ALPHAS.iter().map(|alpha| by_hand(*alpha)).sum();
        let means: Vec<f64> = ALPHAS.iter().map(|alpha| by_hand(*alpha) / total).collect();
        let weights = numbers(&Dirichlet.weights(&table()));
        let draws: Vec<Vec<f64>> = (0..4000).map(|step| numbers(&Dirichlet.drawn(&table(), generator(step)))).collect();
        for k in 0..4 {
            assert!((weights[k] - means[k]).abs() < 1e-12);
            let mean = draws.iter().map(|draw| draw[k]).sum::<f64>() / 4000.0;
            let variance = draws.iter().map(|draw| (draw[k] - mean).powi(2)).sum::<f64>() / 4000.0;
            let expected = means[k] * (1.0 - means[k]) / (total + 1.0);
            assert!((mean - means[k]).abs() < 4.0 * (expected / 4000.0).sqrt(), "{mean} for {}", means[k]);
            assert!((variance / expected - 1.0).abs() < 0.1, "{variance} for {expected}");
        }
        let logits = ALPHAS.map(|alpha| Dirichlet.logit(alpha));
        let shares = crate::decision::softmax(&logits);
        assert!(shares.iter().zip(&means).all(|(share, mean)| (share - mean).abs() < 1e-12));
    }

    /// The derivative of a share by its concentration at a fixed quantile of its beta distribution, by differences.
    fn implicit(share: f64, concentration: f64, rest: f64) -> f64 {
        let step = 1e-5;
        let by_concentration =
            (beta_reg(concentration + step, rest, share) - beta_reg(concentration - step, rest, share)) / (2.0 * step);
        let density =
            (beta_reg(concentration, rest, share + step) - beta_reg(concentration, rest, share - step)) / (2.0 * step);
        -by_concentration / density
    }

    #[test]
    fn the_gradient_is_that_of_the_quantile() {
        let concentrations = ALPHAS.map(by_hand);
        let total: f64 = concentrations.iter().sum();
        let wanted = [0.3, -1.0, 2.0, 0.7];
        for step in 0..20 {
            let alphas = table().set_requires_grad(true);
            let drawn = Dirichlet.drawn(&alphas, generator(step));
            let shares = numbers(&drawn);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            if shares.iter().any(|share| *share < 1e-3 || *share > 0.999) {
                continue;
            }
            let loss = (&drawn * Tensor::from_slice(&wanted)).sum(None::<Kind>);
            let gradient = numbers(&Tensor::run_backward(&[loss], &[&alphas], false, false)[0]);
            let mean: f64 = shares.iter().zip(&wanted).map(|(share, wanted)| share * wanted).sum();
            for k in 0..4 {
                let rate = implicit(shares[k], concentrations[k], total - concentrations[k]) / (1.0 - shares[k]);
                // By the alpha: elu' is 1 above 0 and exp below.
                let slope = if ALPHAS[k] > 0.0 { 1.0 } else { ALPHAS[k].exp() };
                let expected = rate * (wanted[k] - mean) * slope;
                // Differences of the function itself have eight digits, libtorch's approximation of them three.
                assert!((gradient[k] - expected).abs() < 2e-3 * expected.abs().max(0.1), "{} {expected}", gradient[k]);
            }
        }
    }

    #[test]
    fn a_key_gives_the_same_draw_whatever_libtorch_drew() {
        let one = numbers(&Dirichlet.drawn(&table(), generator(1)));
        let _ = Tensor::rand([3], (Kind::Float, Device::Cpu));
        assert_eq!(one, numbers(&Dirichlet.drawn(&table(), generator(1))));
        assert_ne!(one, numbers(&Dirichlet.drawn(&table(), generator(2))));
    }

    #[test]
    fn dropped_primitives_have_no_share_and_extremes_stay_numbers() {
        let alphas =
            [f64::NEG_INFINITY, -40.0, -39.0, 80.0, f64::NEG_INFINITY, 0.1, f64::NEG_INFINITY, f64::NEG_INFINITY];
        let table = Tensor::from_slice(&alphas).view([2, 4]).set_requires_grad(true);
        for step in 0..50 {
            let drawn = Dirichlet.drawn(&table, generator(step));
            let shares = numbers(&drawn);
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
            assert_eq!((shares[0], &shares[4..]), (0.0, &[0.0, 1.0, 0.0, 0.0][..]));
            let loss = drawn.square().sum(None::<Kind>);
            let gradient = numbers(&Tensor::run_backward(&[loss], &[&table], false, false)[0]);
            assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
        }
        assert_eq!(numbers(&Dirichlet.weights(&table))[4..], [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_weight_that_is_none_is_refused() {
        for divergence in [-1.0, f64::NAN] {
            let error = DirichletConfig { divergence }.validate().unwrap_err();
            assert!(error.to_string().starts_with("search.dirichlet.divergence: expected 0 to 1000000"), "{error}");
        }
    }
}

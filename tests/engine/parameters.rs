//! Flat weights: views, alignment, what stays when some leave, strict loading.

use super::{assert_equal, numbers};
use sgas::optim::{Adam, AdamConfig, Sgd};
use sgas::panics::as_errors;
use sgas::tensor::init::Init;
use sgas::tensor::parameters::{Store, Weights};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor, no_grad};

/// 64 bytes in fp32 elements.
const ALIGNMENT: i64 = 16;

/// Weights of 3, 16 and 6 elements and a buffer of 2, with the tensors that their layers hold.
fn weights() -> (Weights, [Tensor; 3]) {
    let store = Store::new(Device::Cpu);
    let root = store.root();
    let leaves = [("a", vec![3]), ("b", vec![4, 4]), ("c", vec![2, 3])]
        .map(|(name, shape)| root.sub(name).weight("weight", &shape, Init::Ones));
    let _ = root.sub("b").buffer("running_mean", Tensor::zeros([2], (Kind::Float, Device::Cpu)));
    let (parameters, buffers) = store.finish();
    (Weights { parameters, buffers }, leaves)
}

fn fill(weights: &Weights) {
    let flat = weights.parameters.flat();
    let values = Tensor::arange(flat.size()[0], (Kind::Float, Device::Cpu));
    for ((_, leaf), (_, value)) in weights.parameters.iter().zip(weights.parameters.split(&values)) {
        no_grad(|| leaf.shallow_clone().copy_(&value));
    }
}

#[test]
fn a_layer_s_tensor_is_a_view_of_the_flat_one_and_starts_at_64_bytes() {
    let (weights, leaves) = weights();
    let flat = weights.parameters.flat();
    assert_eq!((flat.size(), weights.parameters.count()), (vec![48], 25));
    for (leaf, offset) in leaves.iter().zip([0, 16, 32]) {
        assert_eq!(offset % ALIGNMENT, 0);
        let bytes = leaf.data_ptr() as usize - flat.data_ptr() as usize;
        assert_eq!(bytes as i64, offset * 4);
    }
    let _ = no_grad(|| flat.shallow_clone().fill_(7.0));
    assert!(leaves.iter().all(|leaf| numbers(leaf).iter().all(|value| *value == 7.0)));
    assert_eq!(leaves[2].size(), [2, 3]);
}

#[test]
fn padding_is_zero_gets_no_gradient_and_is_not_counted() {
    let (weights, leaves) = weights();
    // The derivative of a + 2c is 1 and 2; b takes no part.
    let loss = leaves[0].sum(Kind::Float) + leaves[2].sum(Kind::Float) * 2.0;
    let gradient = numbers(&weights.parameters.gradient(&loss));
    let expected: Vec<f32> = [(3, 1.0, 13), (0, 0.0, 16), (6, 2.0, 10)]
        .iter()
        .flat_map(|&(length, value, rest)| [vec![value; length], vec![0.0; rest]].concat())
        .collect();
    assert_eq!(gradient, expected);
    let used: i64 = weights.parameters.flat().count_nonzero(None).int64_value(&[]);
    assert_eq!(used, weights.parameters.count() as i64, "ones are weights, zeros are padding");
}

#[test]
fn a_backward_pass_after_an_update_of_what_it_needs_is_an_error() {
    let (mut weights, leaves) = weights();
    for round in 0..2 {
        let loss = leaves[0].square().sum(Kind::Float) + leaves[2].sum(Kind::Float);
        let flat = weights.parameters.flat();
        Sgd::new(flat, 0.0, 0.0).step(flat, flat.ones_like(), 0.5, None);
        let gradient = as_errors(|| Ok(weights.parameters.gradient(&loss)));
        let error = gradient.unwrap_err().to_string();
        assert!(error.contains("modified by an inplace operation"), "{error}");
        // What the pass computes anew is right again, and so it is after weights have left.
        let gradient = weights.parameters.gradient(&leaves[0].square().sum(Kind::Float));
        assert_equal(&gradient.narrow(0, 0, 3), &(&leaves[0] * 2.0).detach());
        if round == 0 {
            let _ = weights.parameters.retain(|name| !name.starts_with("b."));
        }
    }
}

#[test]
fn what_stays_keeps_values_gradients_and_the_optimizers_state() {
    let (mut weights, leaves) = weights();
    fill(&weights);
    let flat = weights.parameters.flat();
    let gradient = weights.parameters.gradient(&leaves.iter().map(|leaf| leaf.square().sum(Kind::Float)).sum());
    let mut sgd = Sgd::new(flat, 0.9, 0.0);
    sgd.step(flat, gradient.copy(), 0.0, None);
    let mut adam = Adam::new(flat, AdamConfig { betas: (0.5, 0.999), epsilon: 1e-8, weight_decay: 0.0 });
    adam.step(flat, gradient.copy(), 0.0, None);
    let momentum = sgd.state()[0].1.copy();
    let [mean, square] = [adam.state()[0].1.copy(), adam.state()[1].1.copy()];

    let kept = weights.parameters.retain(|name| !name.starts_with("b."));
    sgd.retain(&kept);
    adam.retain(&kept);
    assert_eq!((weights.parameters.flat().size(), weights.parameters.count()), (vec![32], 9));
    assert_eq!(numbers(&leaves[0]), [0.0, 1.0, 2.0]);
    assert_eq!(numbers(&leaves[2]), [32.0, 33.0, 34.0, 35.0, 36.0, 37.0]);
    let same = |now: &Tensor, before: &Tensor| {
        assert_equal(&now.narrow(0, 0, 3), &before.narrow(0, 0, 3));
        assert_equal(&now.narrow(0, 16, 6), &before.narrow(0, 32, 6));
    };
    same(sgd.state()[0].1, &momentum);
    same(adam.state()[0].1, &mean);
    same(adam.state()[1].1, &square);
    same(&kept.apply(&gradient), &gradient);
    // Still views: an optimizer step on the flat tensor moves the layers.
    sgd.step(weights.parameters.flat(), Tensor::zeros([32], (Kind::Float, Device::Cpu)), 1.0, None);
    // Gradient 2w, momentum 0.9·2w, step w - 1.8w.
    assert!((numbers(&leaves[2])[5] + 0.8 * 37.0).abs() < 1e-4, "{}", numbers(&leaves[2])[5]);
}

#[test]
fn products_read_half_copies_while_asked_and_the_factors_get_fp32_gradients() {
    let store = Store::new(Device::Cpu);
    let root = store.root();
    let shift = root.weight("shift", &[5], Init::Ones);
    let factors = ["a", "b", "unused"].map(|name| root.factor(name, &[3, 5], Init::kaiming(5)));
    let (mut parameters, _) = store.finish();
    let x = Tensor::randn([7, 5], (Kind::Float, Device::Cpu));
    // Each copy is read once, and by two products.
    let loss = |read: &dyn Fn(usize) -> Tensor| {
        let [a, b] = [0, 1].map(|factor| read(factor).to_kind(Kind::Float));
        let x = &x + &shift;
        (x.matmul(&a.transpose(0, 1)).square() + x.matmul(&b.transpose(0, 1)) * x.matmul(&a.transpose(0, 1)))
            .sum(Kind::Float)
    };
    let leaf = |parameters: &sgas::tensor::parameters::Parameters, factor: usize| {
        parameters.iter().nth(factor + 1).unwrap().1.shallow_clone()
    };
    let expected = loss(&|factor| leaf(&parameters, factor).to_kind(Kind::BFloat16));
    let expected = [expected.detach(), parameters.gradient(&expected)];
    {
        let _copies = parameters.factors_in(Kind::BFloat16);
        assert!(factors.iter().all(|factor| factor.tensor().kind() == Kind::BFloat16));
        let found = loss(&|factor| factors[factor].tensor());
        assert_equal(&found.detach(), &expected[0]);
        let gradient = parameters.gradient(&found);
        assert_eq!(gradient.kind(), Kind::Float);
        assert_equal(&gradient, &expected[1]);
    }
    assert!(factors.iter().all(|factor| factor.tensor().kind() == Kind::Float));
    // Where nothing learns, copies hang on nothing; and they follow what leaves.
    let _ = parameters.retain(|name| name != "unused");
    parameters.set_trainable(false);
    let _copies = parameters.factors_in(Kind::BFloat16);
    assert!(!factors[0].tensor().requires_grad());
    assert_equal(&factors[1].tensor(), &leaf(&parameters, 1).to_kind(Kind::BFloat16));
    assert_eq!(factors[2].tensor().kind(), Kind::Float);
}

#[test]
fn nothing_may_stay() {
    let (mut weights, _) = weights();
    let kept = weights.parameters.retain(|_| false);
    assert_eq!((weights.parameters.flat().size(), weights.parameters.count()), (vec![0], 0));
    assert_eq!(kept.apply(&Tensor::ones([48], (Kind::Float, Device::Cpu))).size(), [0]);
}

#[test]
fn loading_is_strict_and_copies_nothing_when_it_refuses() {
    let (mut weights, leaves) = weights();
    let whole = || -> BTreeMap<String, Tensor> {
        let value = |size: &[i64]| Tensor::full(size, 5.0, (Kind::Float, Device::Cpu));
        [("a.weight", vec![3]), ("b.weight", vec![4, 4]), ("c.weight", vec![2, 3]), ("b.running_mean", vec![2])]
            .map(|(name, size)| (name.to_owned(), value(&size)))
            .into()
    };
    let changed = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut values = whole();
        change(&mut values);
        values
    };
    let one = || Tensor::ones([1], (Kind::Float, Device::Cpu));
    let refusals = [
        (changed(&|values| drop(values.remove("c.weight"))), "w: c.weight: expected shape [2, 3], found nothing"),
        (
            changed(&|values| drop(values.insert("c.weight".into(), one()))),
            "w: c.weight: expected shape [2, 3], found [1]",
        ),
        (
            changed(&|values| drop(values.insert("b.running_mean".into(), one()))),
            "w: b.running_mean: expected shape [2]",
        ),
        (changed(&|values| drop(values.insert("d.weight".into(), one()))), "found d.weight"),
    ];
    for (values, expected) in refusals {
        let error = weights.load(&values, "w").unwrap_err();
        assert!(error.to_string().contains(expected) && error.exit_code() == 2, "{error}");
        assert!(leaves.iter().all(|leaf| numbers(leaf).iter().all(|value| *value == 1.0)), "{error}: something moved");
        assert!(weights.buffers.iter().all(|(_, buffer)| numbers(buffer) == [0.0, 0.0]));
    }
    let counted = changed(&|values| drop(values.insert("b.num_batches_tracked".into(), one())));
    weights.load(&counted, "w").unwrap();
    assert!(weights.iter().all(|(_, tensor)| numbers(tensor).iter().all(|value| *value == 5.0)));
    assert_eq!(weights.parameters.flat().sum(Kind::Float).double_value(&[]), 5.0 * 25.0);
}

//! The fp32 list, enforced by the types in which numbers really arrive: at libtorch's operators behind autocast's
//! casts, and at the kernels. In half precision every loss, softmax, search of neighbours, statistic of a norm,
//! difference of second order and state of an optimizer must be fp32, and every other product must not.

use super::{Case, SEED, device, mixed_cases, turn};
use sgas::model::NetworkKind;
use sgas::ops::Mode;
use sgas::optim::{Adam, AlphaConfig, Optimizer, OptimizerKind, WeightConfig};
use sgas::search::AlphaOrder;
use sgas::search::bilevel::Bilevel;
use sgas::search::second_order::Ahead;
use sgas::step::{LossConfig, WeightStep};
use sgas::tensor::bridge::types::{Arrival, recorded};
use sgas::tensor::fused::TensorPath;
use sgas::tensor::layers;
use sgas::tensor::neighbours::Neighbours;
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use tch::{Kind, Tensor};

/// What an operator or kernel is to the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Softmax,
    Loss,
    Neighbours,
    /// libtorch's batch norm: features may be half, statistics and parameters not.
    Norm,
    /// A kernel of the bridge, which widens what it is given.
    Kernel,
    Product,
}

fn role(arrival: &Arrival) -> Option<Role> {
    let has = |words: &[&str]| words.iter().any(|word| arrival.name.contains(word));
    match () {
        () if has(&["nearest", "topk"]) => Some(Role::Neighbours),
        // A product of small matrices, which is libtorch's in half precision.
        () if arrival.name == "linear" => Some(Role::Product),
        () if !arrival.name.contains("::") => Some(Role::Kernel),
        () if has(&["nll_loss", "cross_entropy", "log_softmax"]) => Some(Role::Loss),
        () if has(&["softmax"]) => Some(Role::Softmax),
        () if has(&["batch_norm"]) => Some(Role::Norm),
        () if has(&["::mm", "::addmm", "::bmm", "::baddbmm", "convolution"]) => Some(Role::Product),
        () => None,
    }
}

pub(super) fn is_half(kind: &Kind) -> bool {
    matches!(kind, Kind::Half | Kind::BFloat16)
}

/// True where numbers arrive as the list wants them.
fn holds(arrival: &Arrival, role: Role) -> bool {
    let single = |kinds: &[Kind], skipped: usize| kinds.iter().skip(skipped).all(|kind| !is_half(kind));
    match role {
        Role::Softmax | Role::Loss | Role::Neighbours | Role::Kernel => single(&arrival.inputs, 0),
        // Of a norm's inputs the first is the features, backward the first two; of its outputs the first.
        Role::Norm => {
            let features = if arrival.name.contains("backward") { 2 } else { 1 };
            single(&arrival.inputs, features) && single(&arrival.outputs, 1)
        }
        Role::Product => arrival.inputs.iter().all(is_half),
    }
}

/// The distances between points: outside of composed operations the only sums of this kind on clouds.
fn is_distance(arrival: &Arrival) -> bool {
    arrival.name == "aten::baddbmm" && arrival.within.is_none() && !arrival.backward
}

/// On clouds the squares that distances are made of, and sums of attention; as distances take the squares, their types
/// are checked there.
fn is_square_or_attention(arrival: &Arrival) -> bool {
    arrival.name == "aten::bmm" && arrival.within.is_none() && !arrival.backward
}

/// What arrives in another type than the list says.
fn offences(arrivals: &[Arrival], on_clouds: bool) -> Vec<String> {
    let wrong = |arrival: &&Arrival| match role(arrival) {
        Some(Role::Product) if on_clouds && is_distance(arrival) => !holds(arrival, Role::Neighbours),
        Some(role) if on_clouds && is_square_or_attention(arrival) => {
            !holds(arrival, Role::Neighbours) && !holds(arrival, role)
        }
        Some(role) => !holds(arrival, role),
        None => false,
    };
    arrivals.iter().filter(wrong).map(|arrival| format!("{arrival:?}")).collect()
}

fn calls(arrivals: &[Arrival], wanted: Role, backward: bool) -> u64 {
    let of_role = arrivals.iter().filter(|arrival| role(arrival) == Some(wanted) && arrival.backward == backward);
    of_role.map(|arrival| arrival.calls).sum()
}

fn ahead(batch: &sgas::batch::Batch) -> Ahead<'_> {
    Ahead { batch, learning_rate: 0.01, key: Key::new(SEED, Purpose::AlphaStep) }
}

/// What arrives in a step of the alphas and one of the weights.
pub(super) fn search(case: &Case, precision: Precision) -> Option<Vec<Arrival>> {
    let mut model = case.supernet()?;
    let mut bilevel = Bilevel::new(&*model, case.task, &WeightConfig::default(), &AlphaConfig::default(), precision);
    let batch = case.batch(0);
    let steps = || {
        bilevel.step_alphas(&mut *model, &batch, &ahead(&batch)).unwrap();
        bilevel.step_weights(&mut *model, &batch, 0.01).unwrap();
    };
    Some(recorded(steps).unwrap().1)
}

pub(super) fn train(case: &Case, precision: Precision) -> Vec<Arrival> {
    let model = case.network();
    let loss = LossConfig { auxiliary_weight: 0.4, label_smoothing: 0.1, objective: None, class_weights: None };
    let mut step = WeightStep::new(&*model, &WeightConfig::default(), precision, loss);
    let batch = case.batch(0);
    let run = || drop(step.run(&*model, case.task, &batch, Mode::Training { drop_path: 0.2 }, 0.01).unwrap());
    recorded(run).unwrap().1
}

fn assert_listed(what: &str, case: &Case, kernels: bool, arrivals: &[Arrival]) {
    let on_clouds = matches!(case.kind, NetworkKind::HandDesigned(_))
        || case.space().is_some_and(|space| space.to_string() == "point");
    let offences = offences(arrivals, on_clouds);
    assert!(offences.is_empty(), "{what}:\n  {}", offences.join("\n  "));
    let seen = |role, backward| assert!(calls(arrivals, role, backward) > 0, "{what}: no {role:?} was seen");
    seen(Role::Product, false);
    seen(Role::Loss, false);
    seen(if kernels { Role::Kernel } else { Role::Norm }, false);
    if on_clouds {
        seen(Role::Neighbours, false);
    }
    seen(Role::Product, true);
    seen(if kernels { Role::Kernel } else { Role::Norm }, true);
}

#[test]
fn in_half_precision_the_listed_computations_are_fp32_and_the_other_products_are_not() {
    let _turn = turn();
    for (case, precision) in &mixed_cases() {
        for kernels in [true, false] {
            let _path = (!kernels).then(TensorPath::enter);
            let named = |what: &str| format!("{what} of {:?} in {}, kernels {kernels}", case.kind, precision.name());
            // CUDA has no kernels of the bridge, but operations that it composes of libtorch's.
            let kernels = kernels && !device().is_cuda();
            assert_listed(&named("training"), case, kernels, &train(case, *precision));
            if let Some(arrivals) = search(case, *precision) {
                assert_listed(&named("search"), case, kernels, &arrivals);
                // Of the alphas; on the kernels' path no other is libtorch's.
                assert!(calls(&arrivals, Role::Softmax, false) >= 2, "{}", named("search"));
            }
        }
    }
}

#[test]
fn the_gradient_of_second_order_is_fp32_throughout() {
    let _turn = turn();
    for (case, precision) in &mixed_cases() {
        let Some(mut model) = case.supernet() else { continue };
        let (weights, alphas) = (WeightConfig::default(), AlphaConfig::default());
        let mut bilevel = Bilevel::new(&*model, case.task, &weights, &alphas, *precision).of_order(AlphaOrder::Second);
        let batch = case.batch(0);
        let step = || bilevel.step_alphas(&mut *model, &batch, &ahead(&batch)).unwrap();
        let (_, arrivals) = recorded(step).unwrap();
        let half = arrivals.iter().find(|arrival| arrival.inputs.iter().chain(&arrival.outputs).any(is_half));
        assert_eq!(half, None, "{:?}", case.kind);
        assert!(calls(&arrivals, Role::Product, false) > 0 && calls(&arrivals, Role::Loss, false) > 0);
    }
}

#[test]
fn gradients_reach_the_optimizers_in_fp32_and_so_does_their_state() {
    let _turn = turn();
    for (case, precision) in mixed_cases() {
        let model = case.network();
        let flat = model.weights().parameters.flat();
        let batch = case.batch(0);
        let logits = sgas::model::forward(&*model, &batch, Mode::TRAINING, precision).unwrap().logits;
        assert_eq!(logits.kind(), if precision == Precision::Bf16 { Kind::BFloat16 } else { Kind::Half });
        let loss = case.task.loss(&logits, batch.target());
        let leaves: Vec<&Tensor> = model.weights().parameters.iter().map(|(_, leaf)| leaf).collect();
        let gradients = Tensor::run_backward(&[&loss], &leaves, true, false);
        assert!(gradients.iter().all(|gradient| !gradient.defined() || gradient.kind() == Kind::Float));
        let gradient = model.weights().parameters.gradient(&loss);
        for kind in [OptimizerKind::Sgd, OptimizerKind::Adam] {
            let mut optimizer = Optimizer::new(&WeightConfig { optimizer: kind, ..WeightConfig::default() }, flat);
            let (_, arrivals) = recorded(|| optimizer.step(flat, gradient.copy(), 0.01, None)).unwrap();
            assert!(!arrivals.is_empty());
            assert!(!arrivals.iter().any(|arrival| arrival.inputs.iter().any(is_half)), "{arrivals:?}");
            assert!(optimizer.state().iter().all(|(_, state)| state.kind() == Kind::Float));
        }
    }
}

/// A list that nothing breaks would prove nothing.
#[test]
fn the_list_sees_what_is_wrong() {
    let _turn = turn();
    let half = |size: &[i64]| Tensor::randn(size, (Kind::BFloat16, device()));
    let single = |size: &[i64]| Tensor::randn(size, (Kind::Float, device()));
    let found = |body: &dyn Fn()| offences(&recorded(body).unwrap().1, true);
    let classes = || Tensor::zeros([4], (Kind::Int64, device()));
    assert_eq!(found(&|| drop(single(&[4, 3]).softmax(-1, None))), Vec::<String>::new());
    assert!(!found(&|| drop(half(&[4, 3]).softmax(-1, None))).is_empty());
    assert!(!found(&|| drop(half(&[4, 3]).cross_entropy_for_logits(&classes()))).is_empty());
    let mean = |logits: Tensor, targets: Tensor| {
        logits.binary_cross_entropy_with_logits(&targets, None::<Tensor>, None::<Tensor>, tch::Reduction::Mean)
    };
    assert!(!found(&|| drop(mean(half(&[4, 3]), half(&[4, 3]).gt(0.0).to_kind(Kind::BFloat16)))).is_empty());
    let norm = |parameters: &dyn Fn(&[i64]) -> Tensor| {
        let [scale, shift, mean, variance] = [(); 4].map(|()| parameters(&[3]).abs());
        drop(half(&[8, 3]).batch_norm(
            Some(&scale),
            Some(&shift),
            Some(&mean),
            Some(&variance),
            true,
            0.1,
            1e-5,
            false,
        ));
    };
    assert_eq!(found(&|| norm(&single)), Vec::<String>::new());
    assert!(!found(&|| norm(&half)).is_empty());
    assert!(!found(&|| drop(half(&[1, 8, 8]).topk(2, -1, false, true))).is_empty());
    assert!(!found(&|| drop(single(&[4, 4]).mm(&single(&[4, 4])))).is_empty());
    let small = || layers::linear(&single(&[4, 4]), &single(&[4, 4]), None);
    assert!(!found(&|| drop(small())).is_empty());
    let distances = |of: &dyn Fn(&[i64]) -> Tensor| of(&[1, 1, 4]).baddbmm(&of(&[1, 4, 4]), &of(&[1, 4, 4]), 1.0, -2.0);
    assert!(!found(&|| drop(distances(&half))).is_empty());
    assert_eq!(found(&|| drop(distances(&single))), Vec::<String>::new());
    assert_eq!(found(&|| drop(Neighbours::nearest(&half(&[32, 3]), 1, 4, 2))), Vec::<String>::new());
    let (_, arrivals) = recorded(|| {
        let flat = half(&[8]);
        let adam = AlphaConfig::default().adam();
        Adam::new(&flat, adam).step(&flat, half(&[8]), 0.1, None);
    })
    .unwrap();
    assert!(arrivals.iter().any(|arrival| arrival.inputs.iter().any(is_half)));
}

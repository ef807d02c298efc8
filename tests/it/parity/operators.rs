//! Operators and neighbour graphs.

use super::{Case, for_each_case};
use sgas::ops::{Mode, State, point};
use sgas::tensor::neighbours::Neighbours;
use sgas::tensor::parameters::{Store, Weights};
use tch::Tensor;

/// (B, C, N, 1) → rows (B·N, C).
fn to_rows(x: &Tensor) -> Tensor {
    x.squeeze_dim(-1).transpose(1, 2).flatten(0, 1).contiguous()
}

/// Rows → (B, C, N, 1).
fn from_rows(rows: &Tensor, clouds: i64) -> Tensor {
    rows.view([clouds, -1, rows.size()[1]]).transpose(1, 2).unsqueeze(-1)
}

#[test]
fn golden_point_ops() {
    for_each_case("op", &["point", "modelnet"], compare_operator);
}

fn compare_operator(case: &Case) {
    let store = Store::new(case.device);
    let operation = point::operation(&store.root(), case.text("primitive"), case.int("channels"));
    let (parameters, buffers) = store.finish();
    let mut weights = Weights { parameters, buffers };
    weights.load(&case.weights(), &case.name).unwrap();

    let x = case.tensor("input:x").set_requires_grad(true);
    let neighbours = Neighbours::from_local(&case.tensor("input:neighbours"));
    let state = State::new(to_rows(&x));
    let training = case.text("mode") == "train";
    let mode = if training { Mode::TRAINING } else { Mode::Evaluation };
    let rows = match &operation {
        Some(operation) => operation.forward(&state, &neighbours, mode),
        None => state.features.zeros_like(),
    };
    let y = from_rows(&rows, neighbours.clouds);
    case.check("output:y", &y);
    if training {
        compare_gradients(case, &weights, &x, &y);
        for (name, value) in weights.buffers.iter().filter(|(name, _)| name.contains("running")) {
            case.check(&format!("after:{name}"), value);
        }
    }
}

fn compare_gradients(case: &Case, weights: &Weights, x: &Tensor, y: &Tensor) {
    let loss = (y * case.tensor("probe:y")).sum(tch::Kind::Float);
    if !loss.requires_grad() {
        assert_eq!(case.tensor("grad:x").abs().max().double_value(&[]), 0.0, "{}", case.name);
        return;
    }
    let leaves: Vec<Tensor> =
        weights.parameters.iter().map(|(_, leaf)| leaf.shallow_clone()).chain([x.shallow_clone()]).collect();
    let mut gradients = Tensor::run_backward(&[loss], &leaves, false, false);
    case.check("grad:x", &gradients.pop().unwrap());
    case.check_gradients(weights.parameters.iter().map(|(name, _)| name).zip(gradients));
}

#[test]
fn golden_point_knn() {
    for_each_case("knn", &["point"], |case| {
        let x = case.tensor("input:x");
        let clouds = x.size()[0];
        let ours = Neighbours::nearest(&to_rows(&x), clouds, case.int("k"), case.int("dilation"));
        let golden = Neighbours::from_local(&case.tensor("output:neighbours"));
        assert_eq!(ours.rows, golden.rows, "{}", case.name);
    });
}

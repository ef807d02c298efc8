//! Operators and neighbour graphs.

use super::{Case, Results, distance, for_each_case, running_statistics};
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
    for_each_case("op", &["point", "modelnet"], |case| case.compare(run_operator));
}

fn run_operator(case: &Case) -> Results {
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
    let mut results = Results::from([("output:y".to_owned(), y.shallow_clone())]);
    if training {
        results.extend(gradients(case, &weights, &x, &y));
        results.extend(running_statistics(&weights));
    }
    results
}

fn gradients(case: &Case, weights: &Weights, x: &Tensor, y: &Tensor) -> Results {
    let loss = (y * case.tensor("probe:y")).sum(tch::Kind::Float);
    if case.text("primitive") == "none" {
        return Results::from([("grad:x".to_owned(), x.zeros_like())]);
    }
    let named = weights.parameters.iter().chain([("x", x)]);
    let (names, leaves): (Vec<&str>, Vec<Tensor>) = named.map(|(name, leaf)| (name, leaf.shallow_clone())).unzip();
    let gradients = Tensor::run_backward(&[loss], &leaves, false, false);
    names.iter().map(|name| format!("grad:{name}")).zip(gradients).collect()
}

#[test]
fn golden_point_knn() {
    for_each_case("knn", &["point"], |case| {
        let x = case.tensor("input:x");
        let clouds = x.size()[0];
        let ours = Neighbours::nearest(&to_rows(&x), clouds, case.int("k"), case.int("dilation"));
        let golden = Neighbours::from_local(&case.tensor("output:neighbours"));
        // The point itself must stand first; the others are a set.
        assert_eq!(ours.rows.select(1, 0), golden.rows.select(1, 0), "{}", case.name);
        assert_eq!(ours.rows.sort(1, false).0, golden.rows.sort(1, false).0, "{}", case.name);
    });
}

/// Why `published::CpuAccident` is there: y is linear in the bias of semi_gcn's norm and every point's weights 1/k
/// add up to 1, so the bias's gradient is the sum of the gradient of y. Ours is; the golden one, from libtorch's
/// CPU batch norm behind the published code's transposed gathers, is not.
#[test]
fn our_gradient_of_semi_gcn_is_the_mathematical_one() {
    let (folder, _) = crate::golden::golden_dir();
    let path = folder.join("point-op-semi_gcn-d1-train.safetensors");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let case = Case::read(&path, tch::Device::Cpu);
    let name = "grad:gconv.nn.body.2.bias";
    let expected = case.tensor("probe:y").sum_dim_intlist([0_i64, 2, 3].as_slice(), false, None);
    let ours = &run_operator(&case)[name];
    assert!(distance(ours, &expected) < 1e-5, "{ours} {expected}");
    assert!(distance(&case.tensor(name), &expected) > 1.0);
}

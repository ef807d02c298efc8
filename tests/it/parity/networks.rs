//! Whole networks: supernets open and partly decided, bilevel steps, derived networks.

use super::published::PublishedPoints;
use super::{Case, Results, for_each_case, running_statistics};
use sgas::batch::{Batch, BatchKind, GraphBatch, ImageBatch, PointBatch};
use sgas::decision::NONE;
use sgas::genotype::{Genotype, SpaceName};
use sgas::model::{
    Architecture, Derived, HandDesigned, Learn, Model, ModelConfig, NetworkSpec, ResGcnConfig, SearchModel, Supernet,
    SupernetParts, derived, network, supernet,
};
use sgas::ops::Mode;
use sgas::optim::{AlphaConfig, WeightConfig};
use sgas::search::AlphaOrder;
use sgas::search::bilevel::Bilevel;
use sgas::search::second_order::Ahead;
use sgas::space::Output;
use sgas::space::image::{ImageConfig, ImageStem};
use sgas::space::point::{PointConfig, PointSpace};
use sgas::task::Task;
use sgas::tensor::convolution::{Layout, set_cuda_layout};
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use tch::{Kind, Tensor};

const POINT: [&str; 2] = ["point", "modelnet"];
const IMAGE: [&str; 3] = ["cnn", "cifar", "imagenet"];
const GRAPH: [&str; 2] = ["graph", "ppi"];

fn space(case: &Case) -> SpaceName {
    case.text("space").parse().unwrap()
}

fn spec(case: &Case) -> NetworkSpec {
    let cells = |key| case.int(key) as usize;
    let (cells, point, image) = match space(case).takes() {
        BatchKind::Points => (cells("cells"), point(case), ImageConfig::default()),
        BatchKind::Images => (cells("layers"), PointConfig::default(), image(case)),
        BatchKind::Graphs => (cells("cells"), PointConfig::default(), ImageConfig::default()),
    };
    let model = ModelConfig { channels: case.int("init_channels"), cells };
    let (classes, in_channels) = (case.int("num_classes") as usize, case.header["in_channels"].as_i64().unwrap_or(3));
    NetworkSpec { model, point, image, classes, in_channels, ..NetworkSpec::default() }
}

fn point(case: &Case) -> PointConfig {
    PointConfig {
        k: case.int("k"),
        embedding: case.int("emb_dims"),
        dropout: case.float("dropout"),
        stem_multiplier: case.int("stem_multiplier"),
    }
}

fn image(case: &Case) -> ImageConfig {
    let stem = if case.text("space") == "imagenet" { ImageStem::Imagenet } else { ImageStem::Cifar };
    let auxiliary = case.header["auxiliary"].as_bool().unwrap_or(false);
    let stem_multiplier = case.header["stem_multiplier"].as_i64().unwrap_or(3);
    ImageConfig { stem, stem_multiplier, auxiliary }
}

fn task(case: &Case) -> Task {
    let classes = case.int("num_classes") as usize;
    match space(case).takes() {
        BatchKind::Graphs => Task::MultiLabel { labels: classes },
        _ => Task::Classify { classes },
    }
}

fn batch(case: &Case, x: &str, target: &str) -> Batch {
    let labels = case.tensor(target);
    match space(case).takes() {
        BatchKind::Images => Batch::Images(ImageBatch { images: case.tensor(x), labels }),
        BatchKind::Graphs => {
            let links = super::links(&case.tensor(&x.replace('x', "edge_index")), labels.size()[0]);
            let sizes = vec![labels.size()[0] as usize];
            Batch::Graphs(GraphBatch { features: case.tensor(x), links, labels, scored: None, sizes })
        }
        BatchKind::Points => {
            Batch::Points(PointBatch { points: case.tensor(x).squeeze_dim(-1).transpose(1, 2).contiguous(), labels })
        }
    }
}

/// On CUDA images lie as the command that uses such a network lays them; of cases side by side either layout serves.
fn fresh_supernet(case: &Case) -> Box<dyn SearchModel> {
    set_cuda_layout(Layout::SEARCH);
    let spec = spec(case);
    match space(case).takes() {
        BatchKind::Points => Box::new(Supernet::new(
            published_points(&spec),
            &spec.model,
            1e-3,
            0,
            case.device,
            &SupernetParts::default(),
        )),
        _ => supernet(space(case), &spec, 1e-3, 0, case.device),
    }
}

fn fresh_derived(case: &Case, genotype: &Genotype) -> Box<dyn Model> {
    set_cuda_layout(Layout::TRAINING);
    let spec = spec(case);
    match genotype.space.takes() {
        BatchKind::Points => Box::new(Derived::new(published_points(&spec), &spec.model, genotype, case.device)),
        _ => derived(genotype, &spec, 0, case.device),
    }
}

fn published_points(spec: &NetworkSpec) -> PublishedPoints {
    let NetworkSpec { point, classes, in_channels, .. } = spec;
    PublishedPoints(PointSpace {
        config: point.clone(),
        classes: *classes as i64,
        in_channels: *in_channels,
        per_point: false,
    })
}

/// A supernet with the file's weights, alphas and decisions.
fn golden_supernet(case: &Case) -> Box<dyn SearchModel> {
    let mut model = fresh_supernet(case);
    model.weights_mut().load(&case.weights(), &case.name).unwrap();
    for &kind in space(case).kinds() {
        let alphas = case.tensor(&format!("alpha:{kind}")).to_kind(Kind::Double);
        let rows: Vec<Vec<f64>> = alphas.unbind(0).iter().map(|row| Vec::try_from(row).unwrap()).collect();
        model.alphas_mut().set_values(kind, &rows);
        let states = Vec::<i64>::try_from(case.tensor(&format!("state:{kind}"))).unwrap();
        for (edge, state) in states.into_iter().enumerate() {
            match usize::try_from(state) {
                Err(_) => {}
                Ok(NONE) => drop(model.prune(kind, edge)),
                Ok(primitive) => drop(model.fix(kind, edge, primitive)),
            }
        }
    }
    case.convert(model.weights());
    case.convert_parameters(model.alphas().open());
    for &kind in space(case).kinds() {
        model.alphas().rows(kind).iter().for_each(|row| case.convert_tensor(row));
    }
    model
}

#[test]
fn golden_point_supernets() {
    for_each_case("supernet", &POINT, |case| case.compare(run_supernet));
}

#[test]
fn golden_graph_supernets() {
    for_each_case("supernet", &GRAPH, |case| case.compare(run_supernet));
}

#[test]
fn golden_image_supernets() {
    for_each_case("supernet", &IMAGE, |case| case.compare(run_supernet));
}

fn run_supernet(case: &Case) -> Results {
    let mut model = golden_supernet(case);
    model.learn(Learn::Both);
    let batch = batch(case, "input:x", "input:target");
    let logits = model.forward(&batch, Mode::TRAINING).logits;
    let loss = task(case).loss(&logits, batch.target());
    let mut results = Results::from([("output:logits".to_owned(), logits), ("output:loss".to_owned(), loss.view([1]))]);

    let weights = &model.weights().parameters;
    let open = model.alphas().open();
    let leaves: Vec<Tensor> = weights.iter().chain(open.iter()).map(|(_, leaf)| leaf.shallow_clone()).collect();
    let mut gradients = Tensor::run_backward(&[loss], &leaves, false, false);
    let of_alphas = gradients.split_off(weights.iter().count());
    results.extend(weights.iter().map(|(name, _)| format!("grad:{name}")).zip(gradients));
    for kind in space(case).kinds() {
        let zeros = case.tensor(&format!("alpha:{kind}")).zeros_like();
        results.insert(format!("grad_alpha:{kind}"), zeros);
    }
    for ((name, _), gradient) in open.iter().zip(of_alphas) {
        let (kind, edge) = name.split_once('.').unwrap();
        results[&format!("grad_alpha:{kind}")].get(edge.parse().unwrap()).copy_(&gradient);
    }
    results
}

#[test]
fn golden_point_bilevels() {
    for_each_case("bilevel", &POINT, |case| case.compare(run_bilevel));
}

#[test]
fn golden_graph_bilevels() {
    for_each_case("bilevel", &GRAPH, |case| case.compare(run_bilevel));
}

#[test]
fn golden_image_bilevels() {
    for_each_case("bilevel", &IMAGE, |case| case.compare(run_bilevel));
}

fn run_bilevel(case: &Case) -> Results {
    let mut model = golden_supernet(case);
    let rate = case.float("learning_rate");
    let weights = WeightConfig {
        learning_rate: rate,
        momentum: case.float("momentum"),
        weight_decay: case.float("weight_decay"),
        clip: case.float("grad_clip"),
        ..WeightConfig::default()
    };
    let betas = &case.header["arch_betas"];
    let alphas = AlphaConfig {
        learning_rate: case.float("arch_learning_rate"),
        weight_decay: case.float("arch_weight_decay"),
        betas: (betas[0].as_f64().unwrap(), betas[1].as_f64().unwrap()),
        ..AlphaConfig::default()
    };
    let order = AlphaOrder::try_from(case.int("order") as u8).unwrap();
    let mut bilevel = Bilevel::new(&*model, task(case), &weights, &alphas, Precision::Fp32).of_order(order);
    let mut outcomes = Vec::new();
    let mut results = Results::new();
    for step in 0.. {
        let name = |what: &str| format!("step{step}:{what}");
        if !case.content.tensors.contains_key(&name("train_x")) {
            break;
        }
        let training = batch(case, &name("train_x"), &name("train_target"));
        let ahead = Ahead { batch: &training, learning_rate: rate, key: Key::new(0, Purpose::AlphaStep) };
        bilevel.step_alphas(&mut *model, &batch(case, &name("valid_x"), &name("valid_target")), &ahead).unwrap();
        let outcome = bilevel.step_weights(&mut *model, &training, rate).unwrap().outcome.read();
        outcomes.extend([outcome.loss as f32, outcome.gradient_norm.unwrap() as f32]);
        for &kind in space(case).kinds() {
            results.insert(name(&format!("alpha_{kind}")), Tensor::stack(model.alphas().rows(kind), 0));
        }
    }
    results.insert("output:train_loss_and_grad_norm".to_owned(), Tensor::from_slice(&outcomes).view([-1, 2]));
    results
}

#[test]
fn golden_point_networks() {
    for_each_case("network", &POINT, |case| case.compare(run_network));
}

#[test]
fn golden_graph_networks() {
    for_each_case("network", &GRAPH, |case| case.compare(run_network));
}

#[test]
fn golden_image_networks() {
    for_each_case("network", &IMAGE, |case| case.compare(run_network));
}

#[test]
fn golden_resgcns() {
    for_each_case("resgcn", &POINT, |case| case.compare(run_resgcn));
}

/// Matrices whose gradients the files leave out.
const LEFT_OUT: [&str; 3] = ["fusion_block.0.weight", "prediction.0.0.weight", "prediction.1.0.weight"];

fn run_resgcn(case: &Case) -> Results {
    let resgcn = ResGcnConfig {
        blocks: case.int("blocks") as usize,
        channels: case.int("channels"),
        k: case.int("k"),
        stochastic: 0.0,
        dropout: case.float("dropout"),
        ..ResGcnConfig::default()
    };
    let classes = case.int("num_classes");
    let in_channels = case.int("in_channels");
    let spec = NetworkSpec { resgcn, classes: classes as usize, in_channels, ..NetworkSpec::default() };
    let mut model = network(&Architecture::HandDesigned(HandDesigned::ResGcn), &spec, 0, case.device);
    model.weights_mut().load(&case.weights(), &case.name).unwrap();
    case.convert(model.weights());
    let points = case.tensor("input:x").squeeze_dim(-1).transpose(1, 2).contiguous();
    let clouds = points.size()[0];
    let labels = case.tensor("input:target").flatten(0, -1);
    let batch = Batch::Points(PointBatch { points, labels });
    let as_published = |rows: &Tensor| rows.view([clouds, -1, classes]).transpose(1, 2).contiguous();

    let logits = model.forward(&batch, Mode::TRAINING).logits;
    let loss = Task::Segment { classes: classes as usize }.loss(&logits, batch.target());
    let parameters = &model.weights().parameters;
    let flat = parameters.gradient(&loss);
    let gradients = parameters.split(&flat).filter(|(name, _)| !LEFT_OUT.contains(name));
    let mut results: Results = gradients.map(|(name, gradient)| (format!("grad:{name}"), gradient)).collect();
    results.extend(running_statistics(model.weights()));
    results.insert("output:train_logits".to_owned(), as_published(&logits));
    results.insert("output:train_loss".to_owned(), loss.view([1]));
    let evaluated = model.forward(&batch, Mode::Evaluation).logits;
    results.insert("output:eval_logits_after".to_owned(), as_published(&evaluated));
    results
}

/// ImageNet's inputs are stored as 28×28 pixels.
fn network_batch(case: &Case) -> Batch {
    if !case.content.tensors.contains_key("input:x_28") {
        return batch(case, "input:x", "input:target");
    }
    let images = case.tensor("input:x_28").upsample_nearest2d([224, 224], None, None);
    Batch::Images(ImageBatch { images, labels: case.tensor("input:target") })
}

pub(super) fn run_network(case: &Case) -> Results {
    let mut cell = case.header["genotype"].clone();
    cell["space"] = case.header["space"].clone();
    let genotype = Genotype::from_json(&cell.to_string(), &case.name).unwrap();
    let mut model = fresh_derived(case, &genotype);
    model.weights_mut().load(&case.weights(), &case.name).unwrap();
    case.convert(model.weights());
    let batch = network_batch(case);

    let Output { logits, auxiliary } = model.forward(&batch, Mode::TRAINING);
    let mut loss = task(case).loss(&logits, batch.target());
    let mut results = Results::new();
    if let Some(auxiliary) = auxiliary {
        loss += task(case).loss(&auxiliary, batch.target()) * case.float("auxiliary_weight");
        results.insert("output:train_aux_logits".to_owned(), auxiliary);
    }
    let parameters = &model.weights().parameters;
    let flat = parameters.gradient(&loss);
    let gradients = parameters.split(&flat).map(|(name, gradient)| (format!("grad:{name}"), gradient));
    // The files leave out the auxiliary head's matrices, which are larger than all else.
    let left_out = |name: &str| name.contains("auxiliary_head") && !case.content.tensors.contains_key(name);
    results.extend(gradients.filter(|(name, _)| !left_out(name)));
    results.extend(running_statistics(model.weights()));
    results.insert("output:train_logits".to_owned(), logits);
    results.insert("output:train_loss".to_owned(), loss.view([1]));
    results.insert("output:eval_logits_after".to_owned(), model.forward(&batch, Mode::Evaluation).logits);
    results
}

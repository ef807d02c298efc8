//! Weights of other programs under the names that a network has here: those of PyTorch Geometric before 2.0, and what a
//! file holds too little or too much without being of another network.

use crate::model::{Model, NetworkKind, class_count, output_bias};
use std::collections::BTreeMap;
use tch::{Tensor, no_grad};

/// Below it lie the weights of the head that only training knows.
const AUXILIARY: &str = "auxiliary_head.";

/// The last layer of that head.
const AUXILIARY_CLASSIFIER: &str = "auxiliary_head.classifier.";

/// Gives weights the names that networks have here, where PyTorch Geometric 1.4 had others; and says what was changed.
///
/// Its attention has `weight` (inputs, outputs) and `att` (1, 1, 2·C), for the target first; its convolution has `weight`
/// alone. In sage and rel_sage of the published PPI networks stands a `bias` that is added behind the norm, to whose shift
/// it is added here.
pub fn ours(mut tensors: BTreeMap<String, Tensor>) -> (BTreeMap<String, Tensor>, Vec<String>) {
    let mut told = Vec::new();
    let modules = |tensors: &BTreeMap<String, Tensor>, end: &str| -> Vec<String> {
        tensors.keys().filter_map(|name| name.strip_suffix(end).map(str::to_owned)).collect()
    };
    let mut renamed = 0;
    for module in modules(&tensors, ".gconv.gconv.weight") {
        let weight = format!("{module}.gconv.gconv.weight");
        if tensors[&weight].dim() != 2 {
            continue;
        }
        let weight = tensors.remove(&weight).expect("just found");
        tensors.insert(format!("{module}.gconv.gconv.lin.weight"), weight.transpose(0, 1).contiguous());
        renamed += 1;
        let att = format!("{module}.gconv.gconv.att");
        if tensors.get(&att).is_some_and(|att| att.dim() == 3 && att.size()[2] % 2 == 0) {
            let halves = tensors.remove(&att).expect("just found").chunk(2, 2);
            for (name, half) in ["att_dst", "att_src"].into_iter().zip(halves) {
                tensors.insert(format!("{module}.gconv.gconv.{name}"), half.contiguous());
            }
            renamed += 1;
        }
    }
    if renamed > 0 {
        told.push(format!("{renamed} names of PyTorch Geometric 1.4"));
    }
    let mut added = 0;
    for module in modules(&tensors, ".gconv.bias") {
        let (bias, shift) = (format!("{module}.gconv.bias"), format!("{module}.gconv.nn.body.2.bias"));
        let fits = tensors.get(&shift).is_some_and(|shift| shift.size() == tensors[&bias].size());
        if fits && tensors.contains_key(&format!("{module}.gconv.weight")) {
            let bias = tensors.remove(&bias).expect("just found");
            let sum = no_grad(|| &tensors[&shift] + bias);
            tensors.insert(shift, sum);
            added += 1;
        }
    }
    if added > 0 {
        told.push(format!("{added} biases behind a norm, added to its shift"));
    }
    (tensors, told)
}

/// Whether there are weights of an auxiliary head.
pub fn have_auxiliary(tensors: &BTreeMap<String, Tensor>) -> bool {
    tensors.keys().any(|name| name.starts_with(AUXILIARY))
}

/// Makes weights those of a network that may start from them: what only the other one had is left out, and what only this
/// one has, or has for another number of classes, is its own fresh value. Gives what stays fresh or was left out, in
/// words. Everything else is as it was, and [`Weights::load`](crate::tensor::parameters::Weights::load) says what does not fit.
pub fn to_start_from(
    model: &dyn Model,
    kind: NetworkKind,
    tensors: &mut BTreeMap<String, Tensor>,
    origin: &str,
) -> Vec<String> {
    let weights = model.weights();
    let own = |wanted: &str| weights.iter().find(|(name, _)| *name == wanted).map(|(_, tensor)| tensor.detach());
    let mut told = Vec::new();
    let had = have_auxiliary(tensors);
    match (had, weights.iter().any(|(name, _)| name.starts_with(AUXILIARY))) {
        (true, false) => {
            tensors.retain(|name, _| !name.starts_with(AUXILIARY));
            told.push("the auxiliary head is left out: this network has none".to_owned());
        }
        (false, true) => {
            let fresh = weights.iter().filter(|(name, _)| name.starts_with(AUXILIARY));
            tensors.extend(fresh.map(|(name, tensor)| (name.to_owned(), tensor.detach())));
            told.push("the auxiliary head starts fresh: the file has none".to_owned());
        }
        _ => {}
    }
    let there = class_count(kind, tensors, origin).ok();
    let bias = output_bias(kind);
    let here = own(bias).map(|bias| bias.numel());
    if let (Some(there), Some(here), Some(classifier)) = (there, here, bias.strip_suffix("bias"))
        && there != here
    {
        for (name, tensor) in weights.iter() {
            let is_last = name.starts_with(classifier) || name.starts_with(AUXILIARY_CLASSIFIER);
            if is_last && tensors.contains_key(name) {
                tensors.insert(name.to_owned(), tensor.detach());
            }
        }
        told.push(format!("the classifier starts fresh: {here} classes, {there} in {origin}"));
    }
    told
}

//! Weights of other programs under the names that a network has here: those of PyTorch Geometric's versions, and what a
//! file holds too little or too much without being of another network.

use crate::error::{Error, Result};
use crate::model::{Model, NetworkKind, class_count, output_bias};
use std::collections::BTreeMap;
use tch::{Tensor, no_grad};

/// Below it lie the weights of the head that only training knows.
const AUXILIARY: &str = "auxiliary_head.";

/// The last layer of that head.
const AUXILIARY_CLASSIFIER: &str = "auxiliary_head.classifier.";

/// Convolutions of PyTorch Geometric in the published networks on graphs, and in the usual GCN and GAT.
const CONVOLUTIONS: [&str; 3] = [".gconv.gconv", "conv1", "conv2"];

type Named = BTreeMap<String, Tensor>;

/// Gives weights the names that networks have here, where another version of PyTorch Geometric has others; and says what
/// was changed. `origin` is their file.
///
/// | version | a convolution | its attention, the source of a link first |
/// |---|---|---|
/// | 1.4 | `weight` (inputs, outputs) | `att` (1, heads, 2·C), the target in front |
/// | 1.6 | `lin_l.weight`, `lin_r.weight`, which are one | `att_l`, `att_r` |
/// | 2.0 | `lin_src.weight`, `lin_dst.weight`, which are one | `att_src`, `att_dst` |
/// | 2.3, and here | `lin.weight` (outputs, inputs) | `att_src`, `att_dst` |
///
/// A convolution without attention has `weight` before 2.0, then `lin.weight`. In sage and rel_sage of the published PPI
/// networks stands a `bias` that is added behind the norm, to whose shift it is added here.
///
/// # Errors
/// Two maps where networks here have one; sage as PyTorch Geometric has computed it since 1.5.
pub fn ours(mut tensors: Named, origin: &str) -> Result<(Named, Vec<String>)> {
    require_known_sage(&tensors, origin)?;
    let mut told = Vec::new();
    let mut tell = |count: usize, of: &str| {
        if count > 0 {
            told.push(format!("{count} {of}"));
        }
    };
    tell(of_1_4(&mut tensors), "names of PyTorch Geometric 1.4");
    tell(of_pairs(&mut tensors, ["lin_l", "lin_r"], origin)?, "names of PyTorch Geometric 1.6");
    tell(of_pairs(&mut tensors, ["lin_src", "lin_dst"], origin)?, "names of PyTorch Geometric 2.0");
    tell(biases(&mut tensors), "biases behind a norm, added to its shift");
    Ok((tensors, told))
}

/// What stands before `end` in the names of convolutions.
fn convolutions(tensors: &Named, end: &str) -> Vec<String> {
    let modules = tensors.keys().filter_map(|name| name.strip_suffix(end));
    let known = modules.filter(|module| CONVOLUTIONS.iter().any(|convolution| module.ends_with(convolution)));
    known.map(str::to_owned).collect()
}

/// Of version 1.4, how many.
fn of_1_4(tensors: &mut Named) -> usize {
    let mut renamed = 0;
    for module in convolutions(tensors, ".weight") {
        let weight = format!("{module}.weight");
        if tensors[&weight].dim() != 2 {
            continue;
        }
        let weight = tensors.remove(&weight).expect("just found");
        tensors.insert(format!("{module}.lin.weight"), weight.transpose(0, 1).contiguous());
        renamed += 1;
        let att = format!("{module}.att");
        if tensors.get(&att).is_some_and(|att| att.dim() == 3 && att.size()[2] % 2 == 0) {
            let halves = tensors.remove(&att).expect("just found").chunk(2, 2);
            for (name, half) in ["att_dst", "att_src"].into_iter().zip(halves) {
                tensors.insert(format!("{module}.{name}"), half.contiguous());
            }
            renamed += 1;
        }
    }
    renamed
}

/// Of a version that names the one map twice, for sources and for targets; how many.
fn of_pairs(tensors: &mut Named, [source, target]: [&str; 2], origin: &str) -> Result<usize> {
    let mut renamed = 0;
    for module in convolutions(tensors, &format!(".{source}.weight")) {
        let weight = tensors.remove(&format!("{module}.{source}.weight")).expect("just found");
        renamed += 1;
        if let Some(other) = tensors.remove(&format!("{module}.{target}.weight")) {
            renamed += 1;
            let is_one = weight.size() == other.size() && weight.kind() == other.kind() && weight.equal(&other);
            if !is_one {
                let expected = format!("the same numbers as {source}.weight");
                return Err(Error::invalid(format!("{origin}: {module}.{target}.weight"), expected, "others")
                    .with_hint("a network here has one map for both ends of a link"));
            }
        }
        tensors.insert(format!("{module}.lin.weight"), weight);
        for (other, own) in [("att_l", "att_src"), ("att_r", "att_dst")] {
            if let Some(attention) = tensors.remove(&format!("{module}.{other}")) {
                tensors.insert(format!("{module}.{own}"), attention);
                renamed += 1;
            }
        }
    }
    Ok(renamed)
}

/// Adds the biases of sage to the shifts of the norms before them; how many.
fn biases(tensors: &mut Named) -> usize {
    let modules: Vec<String> =
        tensors.keys().filter_map(|name| name.strip_suffix(".gconv.bias").map(str::to_owned)).collect();
    let mut added = 0;
    for module in modules {
        let (bias, shift) = (format!("{module}.gconv.bias"), format!("{module}.gconv.nn.body.2.bias"));
        let fits = tensors.get(&shift).is_some_and(|shift| shift.size() == tensors[&bias].size());
        if fits && tensors.contains_key(&format!("{module}.gconv.weight")) {
            let bias = tensors.remove(&bias).expect("just found");
            let sum = no_grad(|| &tensors[&shift] + bias);
            tensors.insert(shift, sum);
            added += 1;
        }
    }
    added
}

/// Since version 1.5 sage maps a node itself too, by another weight: no network here does, so no name would be right.
fn require_known_sage(tensors: &Named, origin: &str) -> Result<()> {
    let is_later = |name: &&String| {
        let module = [".gconv.lin_l.weight", ".gconv.lin_rel.weight"].iter().find_map(|end| name.strip_suffix(end));
        module.is_some_and(|module| tensors.contains_key(&format!("{module}.gconv.nn.body.0.weight")))
    };
    let Some(name) = tensors.keys().find(is_later) else { return Ok(()) };
    Err(Error::invalid(
        format!("{origin}: {name}"),
        "sage as the published networks have it, gconv.weight",
        "that of PyTorch Geometric 1.5 or later",
    )
    .with_hint("it maps the node itself by a second weight, which the published sage does not: train this cell again"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn tensor(sizes: &[i64], first: f64) -> Tensor {
        Tensor::arange(sizes.iter().product::<i64>(), (Kind::Float, Device::Cpu)).view(sizes) + first
    }

    fn named(tensors: &[(&str, Tensor)]) -> Named {
        tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone())).collect()
    }

    /// One attention under the names of every version.
    #[test]
    fn attention_of_every_version_is_the_same() {
        let (map, source, target) = (tensor(&[6, 4], 0.0), tensor(&[1, 2, 3], 10.0), tensor(&[1, 2, 3], 20.0));
        for module in ["cells.0._ops.1.gconv.gconv", "conv1"] {
            let name = |end: &str| format!("{module}.{end}");
            let expected = BTreeMap::from([
                (name("att_dst"), target.shallow_clone()),
                (name("att_src"), source.shallow_clone()),
                (name("lin.weight"), map.shallow_clone()),
            ]);
            let versions = [
                (
                    named(&[("weight", map.transpose(0, 1)), ("att", Tensor::cat(&[&target, &source], 2))]),
                    "2 names of PyTorch Geometric 1.4",
                ),
                (
                    named(&[
                        ("lin_l.weight", map.copy()),
                        ("lin_r.weight", map.copy()),
                        ("att_l", source.copy()),
                        ("att_r", target.copy()),
                    ]),
                    "4 names of PyTorch Geometric 1.6",
                ),
                (
                    named(&[
                        ("lin_src.weight", map.copy()),
                        ("lin_dst.weight", map.copy()),
                        ("att_src", source.copy()),
                        ("att_dst", target.copy()),
                    ]),
                    "2 names of PyTorch Geometric 2.0",
                ),
                (named(&[("lin.weight", map.copy()), ("att_src", source.copy()), ("att_dst", target.copy())]), ""),
            ];
            for (tensors, told) in versions {
                let tensors = tensors.into_iter().map(|(end, tensor)| (name(&end), tensor)).collect();
                let (found, words) = ours(tensors, "w.pt").unwrap();
                assert_eq!(found, expected, "{told}");
                assert_eq!(words.join(", "), told);
            }
        }
    }

    #[test]
    fn other_modules_of_these_names_stay() {
        for name in
            ["classifier.weight", "cells.0._ops.0.body.0.weight", "conv1.lin.weight", "cells.0.gconv.lin_l.weight"]
        {
            let tensors = named(&[(name, tensor(&[2, 3], 0.0))]);
            assert_eq!(ours(tensors, "w.pt").unwrap().0.into_keys().collect::<Vec<_>>(), [name]);
        }
    }

    #[test]
    fn what_no_network_here_computes_is_refused() {
        let two = named(&[
            ("a.gconv.gconv.lin_l.weight", tensor(&[2, 2], 0.0)),
            ("a.gconv.gconv.lin_r.weight", tensor(&[2, 2], 1.0)),
        ]);
        let error = ours(two, "w.pt").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("w.pt: a.gconv.gconv.lin_r.weight: expected the same numbers as lin_l.weight")
        );
        let sage = named(&[
            ("a.gconv.lin_l.weight", tensor(&[2, 2], 0.0)),
            ("a.gconv.nn.body.0.weight", tensor(&[2, 4], 0.0)),
        ]);
        let error = ours(sage, "w.pt").unwrap_err();
        assert!(
            error.to_string().contains("a.gconv.lin_l.weight: expected sage as the published networks have it"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
    }
}

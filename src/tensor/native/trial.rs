//! What kernels of ours give on a GPU beside what libtorch's operators give, once a process.

use super::{Family, KINDS, nearest};
use crate::error::{Error, Result};
use crate::tensor::adjacency::Adjacency;
use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::bridge::gather::AttentionScores;
use crate::tensor::bridge::links::{Aggregate, LinkLists};
use crate::tensor::bridge::native::{self, List, MixedPart, Transposed, optimizers};
use crate::tensor::bridge::norm::BatchNorm;
use crate::tensor::bridge::operators::leaky_relu;
use crate::tensor::nearest::{every, nearest_in_blocks};
use tch::{Device, Kind, Tensor};

/// An error where a kernel of this family gives on a GPU other numbers than libtorch's operators.
pub(super) fn of(family: Family, device: Device) -> Result<()> {
    let _as_they_come = Autocast::disabled(device)?;
    let in_all_types = |try_out: fn(Device, Kind) -> Result<()>| {
        tch::with_grad(|| KINDS.iter().try_for_each(|&kind| try_out(device, kind)))
    };
    match family {
        Family::Neighbours => {
            tch::no_grad(|| try_nearest(device))?;
            in_all_types(try_lists)?;
            in_all_types(try_edges)
        }
        Family::Links => in_all_types(try_links),
        Family::Mixture => in_all_types(try_mixture),
        Family::Rows => in_all_types(try_rows),
        Family::Optimizers => tch::no_grad(|| try_optimizers(device)),
    }
}

/// Numbers without a pattern, the same at every call; nothing is drawn, which would change what comes after.
fn numbers(shape: &[i64], device: Device) -> Tensor {
    let count: i64 = shape.iter().product();
    ((Tensor::arange(count, (Kind::Float, device)) * 12.9898).sin() * 437.585_f64).frac().view(shape)
}

/// (R, C) for 131 rows at most, no two of a channel alike in any type: operators share a gradient among equal ones.
fn different(rows: i64, channels: i64, device: Device) -> Tensor {
    let of = |count: i64, factor: i64| Tensor::arange(count, (Kind::Int64, device)) * factor;
    let mixed = of(rows, 7).unsqueeze(1) + of(channels, 13);
    (mixed.remainder(131) - 65).to_kind(Kind::Float) / 32.0
}

fn try_nearest(device: Device) -> Result<()> {
    let (clouds, points) = (2, 77);
    let features = numbers(&[clouds, points, 6], device);
    let first = Tensor::arange(clouds, (Kind::Int64, device)).view([clouds, 1, 1]) * points;
    for kind in KINDS {
        for ranks in [every(5, 1), every(4, 9), vec![0, 3, 70]] {
            let features = features.to_kind(kind);
            let found = nearest(&features, &ranks, 40)?;
            let expected = nearest_in_blocks(&features.to_kind(Kind::Float), &ranks, points);
            // Where two distances are equal but for rounding, either may come first.
            let is_equal = found.eq_tensor(&(expected + &first).view_as(&found));
            agreed(is_equal.to_kind(Kind::Float).mean(None).double_value(&[]) > 0.95, "nearest points", kind)?;
        }
    }
    Ok(())
}

fn try_lists(device: Device, kind: Kind) -> Result<()> {
    let (rows, k) = (37, 5);
    let picked = (numbers(&[rows, k], device).abs() * rows as f64).to_kind(Kind::Int64).clamp(0, rows - 1);
    let flat = picked.flatten(0, 1);
    let transposed = Transposed::of(&picked, 1)?;
    let list = List { rows: &picked, transposed: Some(&transposed) };
    let weights = numbers(&[rows, k], device);
    for channels in [1, 2, 4, 8, 33] {
        let x = numbers(&[rows, channels], device).to_kind(kind).set_requires_grad(true);
        let gathered = tch::no_grad(|| x.index_select(0, &flat).view([rows, k, channels]));
        agreed(native::gather(&x, &list)?.equal(&gathered), "gathers", kind)?;

        let wide = x.detach().to_kind(Kind::Double).set_requires_grad(true);
        let of_pairs = || wide.index_select(0, &flat).view([rows, k, channels]);
        let wide_weights = weights.to_kind(Kind::Double).unsqueeze(2);
        let sum = |pairs: Tensor| pairs.sum_dim_intlist([1_i64].as_slice(), false, None);
        let probe = numbers(&[rows, channels], device).to_kind(kind);
        for (what, found, expected) in [
            (
                "gathers",
                native::gather(&x, &list)?.mean_dim([1_i64].as_slice(), false, None) * k as f64,
                sum(of_pairs()),
            ),
            ("sums", native::neighbour_sum(&x, None, &list, 0.5)?, sum(of_pairs()) * 0.5),
            ("weighted sums", native::neighbour_sum(&x, Some(&weights), &list, 1.0)?, sum(of_pairs() * wide_weights)),
            ("maxima", native::neighbour_maximum(&x, &list)?, of_pairs().max_dim(1, false).0),
        ] {
            close(&found, &expected, what, kind)?;
            let gradient = |y: &Tensor, x: &Tensor| {
                let loss = (y * probe.to_kind(y.kind())).sum(None);
                Tensor::run_backward(&[loss], &[x], false, false).swap_remove(0)
            };
            close(&gradient(&found, &x), &gradient(&expected, &wide), &format!("gradients of {what}"), kind)?;
        }
    }
    Ok(())
}

/// The tail of edge_conv in training and in evaluation, with scales of either sign.
fn try_edges(device: Device, kind: Kind) -> Result<()> {
    let (rows, k) = (70, 5);
    let picked = (numbers(&[rows, k], device).abs() * rows as f64).to_kind(Kind::Int64).clamp(0, rows - 1);
    let transposed = Transposed::of(&picked, 1)?;
    let list = List { rows: &picked, transposed: Some(&transposed) };
    for (channels, training) in [(1, true), (8, true), (33, true), (300, true), (8, false)] {
        let shares = numbers(&[2, rows, channels], device).to_kind(kind);
        let [scale, offset, mean] = [1.0, 0.5, 0.25].map(|factor| numbers(&[channels], device) * factor);
        let leaves = |kind: Kind| {
            let own = [shares.get(0), shares.get(1)].map(|share| share.to_kind(kind));
            let norm =
                [&scale, &offset].map(|part| part.to_kind(if kind == Kind::Double { kind } else { Kind::Float }));
            let [own, other] = own;
            let [scale, offset] = norm;
            [own, other, scale, offset].map(|leaf| leaf.copy().set_requires_grad(true))
        };
        let (found, wide) = (leaves(kind), leaves(Kind::Double));
        let statistics = |kind: Kind| [mean.to_kind(kind).copy(), (mean.to_kind(kind).abs() + 0.5).copy()];
        let (moved, expected_moved) = (statistics(Kind::Float), statistics(Kind::Double));
        let norm = BatchNorm {
            weight: Some(&found[2]),
            bias: Some(&found[3]),
            running_mean: &moved[0],
            running_var: &moved[1],
            training,
            momentum: 0.1,
            epsilon: 1e-5,
        };
        let y = native::edge_maximum(&found[0], &found[1], &list, &norm)?;
        let pairs =
            (wide[0].unsqueeze(1) + wide[1].index_select(0, &picked.flatten(0, 1)).view([rows, k, channels])).relu();
        let (weight, bias) = (Some(&wide[2]), Some(&wide[3]));
        let (running_mean, running_var) = (Some(&expected_moved[0]), Some(&expected_moved[1]));
        let normed =
            pairs.flatten(0, 1).batch_norm(weight, bias, running_mean, running_var, training, 0.1, 1e-5, false);
        let expected = normed.view_as(&pairs).max_dim(1, false).0;
        close(&y, &expected, "edges", kind)?;
        for (moved, expected) in moved.iter().zip(&expected_moved) {
            close(moved, expected, "running statistics of edges", Kind::Float)?;
        }
        let probe = numbers(&[rows, channels], device).to_kind(kind);
        let gradients = |y: &Tensor, leaves: &[Tensor; 4]| {
            let loss = (y * probe.to_kind(y.kind())).to_kind(Kind::Double).sum(None);
            Tensor::run_backward(&[loss], leaves, false, false)
        };
        for (found, expected) in gradients(&y, &found).iter().zip(gradients(&expected, &wide)) {
            close(found, &expected, "gradients of edges", kind)?;
        }
    }
    Ok(())
}

/// A small graph as matrices: links of a node to itself, none into some nodes and none out of others.
struct Dense {
    links: LinkLists,
    /// 1 where a link leads from the column's node to the row's, fp64 (N, N).
    stored: Tensor,
    /// The same with one link from each node to itself.
    looped: Tensor,
}

impl Dense {
    fn new(device: Device) -> Self {
        let nodes = 23_u32;
        let all = (0..nodes).flat_map(|source| (0..nodes - 2).map(move |target| [source, target]));
        let links: Vec<[u32; 2]> =
            all.filter(|[source, target]| *source != 5 && (7 * source + 3 * target) % 11 < 2).collect();
        let mut stored = vec![0.0; (nodes * nodes) as usize];
        links.iter().for_each(|[source, target]| stored[(target * nodes + source) as usize] = 1.0);
        let side = i64::from(nodes);
        let stored = Tensor::from_slice(&stored).view([side, side]).to_device(device);
        let itself = Tensor::eye(side, (Kind::Double, device));
        let links = LinkLists::new(&Adjacency::new(nodes as usize, &links)).map(|list| list.to_device(device));
        Self { links, looped: stored.maximum(&itself), stored }
    }

    /// max_j of (N, N, C) over the links that are there; 0 where there is none.
    fn greatest(&self, of_pairs: &Tensor) -> Tensor {
        let lacking = self.stored.eq(0.0).unsqueeze(2);
        let greatest = of_pairs.masked_fill(&lacking, f64::NEG_INFINITY).amax([1_i64].as_slice(), false);
        greatest.masked_fill(&greatest.eq(f64::NEG_INFINITY), 0.0)
    }
}

/// Aggregates, attention and the tail of edge_conv along links.
fn try_links(device: Device, kind: Kind) -> Result<()> {
    let graph = Dense::new(device);
    let Dense { links, stored, looped } = &graph;
    let nodes = links.nodes();
    let degree = looped.sum_dim_intlist([1_i64].as_slice(), true, Kind::Double);
    for channels in [1, 33] {
        let x = different(nodes, channels, device).to_kind(kind).set_requires_grad(true);
        let wide = x.detach().to_kind(Kind::Double).set_requires_grad(true);
        let probe = numbers(&[nodes, channels], device).to_kind(kind);
        let same = |found: &Tensor, expected: &Tensor, leaves: [&[&Tensor]; 2], what: &str| -> Result<()> {
            close(found, expected, what, kind)?;
            let gradients = |y: &Tensor, leaves: &[&Tensor]| {
                let loss = (y * probe.to_kind(y.kind())).to_kind(Kind::Double).sum(None);
                Tensor::run_backward(&[loss], leaves, false, false)
            };
            let pairs = gradients(found, leaves[0]).into_iter().zip(gradients(expected, leaves[1]));
            pairs
                .into_iter()
                .try_for_each(|(found, expected)| close(&found, &expected, &format!("gradients of {what}"), kind))
        };
        let root = degree.rsqrt();
        let aggregates = native::link_aggregates(&x, links, &Aggregate::ALL)?;
        let relative = graph.greatest(&(wide.unsqueeze(0) - wide.unsqueeze(1)));
        let expected = [stored.mm(&wide), looped.mm(&wide) / &degree, looped.mm(&(&wide * &root)) * &root, relative];
        let aggregates: Vec<Tensor> = aggregates.into_iter().flatten().collect();
        for (found, (expected, which)) in aggregates.iter().zip(expected.iter().zip(Aggregate::ALL)) {
            close(found, expected, &format!("{which:?} of links"), kind)?;
        }
        // They have one backward pass.
        let weighed = |parts: &[Tensor]| {
            let parts = parts.iter().zip([0.5, 1.0, -0.75, 0.25]).map(|(part, factor)| part * factor);
            parts.reduce(|sum, part| sum + part).expect("four aggregates")
        };
        same(&weighed(&aggregates), &weighed(&expected), [&[&x], &[&wide]], "aggregates of links")?;

        let scores = [0.7, -1.3].map(|factor| (numbers(&[nodes], device) * factor).set_requires_grad(true));
        let wide_scores = scores.each_ref().map(|scores| scores.detach().to_kind(Kind::Double).set_requires_grad(true));
        let given = AttentionScores { target: &scores[0], source: &scores[1] };
        let found = native::link_attention(&x, &given, links, 0.2)?;
        let sums = wide_scores[0].unsqueeze(1) + wide_scores[1].unsqueeze(0);
        let bent = sums.relu() * 0.8 + &sums * 0.2;
        let weights = bent.masked_fill(&looped.eq(0.0), f64::NEG_INFINITY).softmax(1, Kind::Double);
        let [target, source] = &scores;
        let [wide_target, wide_source] = &wide_scores;
        let leaves: [&[&Tensor]; 2] = [&[&x, target, source], &[&wide, wide_target, wide_source]];
        same(&found, &weights.mm(&wide), leaves, "attention along links")?;
        try_link_edges(&graph, &x, &wide, &same)?;
    }
    Ok(())
}

/// Compares value and gradients.
type Same<'a> = dyn Fn(&Tensor, &Tensor, [&[&Tensor]; 2], &str) -> Result<()> + 'a;

/// The tail of edge_conv in training, with scales of either sign and none of 0, which would make all links alike.
fn try_link_edges(graph: &Dense, x: &Tensor, wide: &Tensor, same: &Same<'_>) -> Result<()> {
    let (channels, device) = (x.size()[1], x.device());
    let leaves = |kind: Kind| {
        [0.9, 0.5].map(|factor| (numbers(&[channels], device) * factor + 0.3).to_kind(kind).set_requires_grad(true))
    };
    let [scale, offset] = leaves(Kind::Float);
    let [wide_scale, wide_offset] = leaves(Kind::Double);
    let [running_mean, running_var] = [0.0, 1.0].map(|value| Tensor::full([channels], value, (Kind::Float, device)));
    let norm = BatchNorm {
        weight: Some(&scale),
        bias: Some(&offset),
        running_mean: &running_mean,
        running_var: &running_var,
        training: true,
        momentum: 0.1,
        epsilon: 1e-5,
    };
    let other = x.detach().flip([0]).contiguous().set_requires_grad(true);
    let wide_other = wide.detach().flip([0]).set_requires_grad(true);
    let found = native::link_edge_maximum(x, &other, &graph.links, &norm)?;
    let pairs = (wide.unsqueeze(1) + wide_other.unsqueeze(0)).relu();
    let counts = graph.stored.unsqueeze(2);
    let all = graph.stored.sum(Kind::Double);
    let mean_of =
        |values: &Tensor| (values * &counts).sum_dim_intlist([0_i64, 1].as_slice(), false, Kind::Double) / &all;
    let mean = mean_of(&pairs);
    let variance = mean_of(&(&pairs - &mean).square());
    let normed = (&pairs - &mean) / (variance + 1e-5).sqrt() * &wide_scale + &wide_offset;
    let leaves: [&[&Tensor]; 2] = [&[x, &other, &scale, &offset], &[wide, &wide_other, &wide_scale, &wide_offset]];
    same(&found, &graph.greatest(&normed), leaves, "edges along links")
}

/// The sum of a node's parts, rows and images of either layout: behind a norm, with a weight alone, behind a ReLU and a norm
/// with scale and shift, without weight, behind a leaky ReLU and such a norm.
fn try_mixture(device: Device, kind: Kind) -> Result<()> {
    let parts = [(Some(1), 1.0), (Some(3), 1.0), (Some(4), 0.0), (None, 1.0), (Some(0), 0.2)];
    for (shape, is_last) in [(vec![70, 33], false), (vec![3, 5, 8, 6], false), (vec![3, 5, 8, 6], true)] {
        let laid = |x: Tensor| if is_last { x.permute([0, 3, 1, 2]) } else { x };
        let stored = if is_last { vec![shape[0], shape[2], shape[3], shape[1]] } else { shape.clone() };
        let all = numbers(&[&[5], stored.as_slice()].concat(), device);
        let of_channels = numbers(&[4, shape[1]], device) + 0.3;
        // The features of all parts, then scale and shift of the norms that have them, then the table.
        let leaves = |features: Kind, others: Kind| -> Vec<Tensor> {
            let features = (0..5).map(|part| laid(all.get(part)).to_kind(kind).to_kind(features));
            let affine = of_channels.unbind(0).into_iter().map(|row| row.to_kind(others));
            let table = (numbers(&[2, 3], device) + 0.4).to_kind(others);
            features.chain(affine).chain([table]).map(|leaf| leaf.detach().set_requires_grad(true)).collect()
        };
        let (given, wide) = (leaves(kind, Kind::Float), leaves(Kind::Double, Kind::Double));
        let running = |kind: Kind| -> Vec<Tensor> {
            let of = |value| Tensor::full([shape[1]], value, (kind, device));
            [0.25, 1.5, -0.5, 0.75, 0.0, 1.0].map(of).into()
        };
        let (moved, expected_moved) = (running(Kind::Float), running(Kind::Double));
        // Which norm a part has, and the place of its scale among the leaves.
        let norm_of =
            |part: usize| Some((part / 2, [None, Some(5), Some(7)][part / 2])).filter(|_| part.is_multiple_of(2));
        let mixed: Vec<MixedPart> = (0..5)
            .map(|part| {
                let (place, slope) = parts[part];
                let norm = norm_of(part).map(|(norm, scale)| BatchNorm {
                    weight: scale.map(|scale| &given[scale]),
                    bias: scale.map(|scale| &given[scale + 1]),
                    running_mean: &moved[2 * norm],
                    running_var: &moved[2 * norm + 1],
                    training: true,
                    momentum: 0.1,
                    epsilon: 1e-5,
                });
                MixedPart { features: given[part].shallow_clone(), slope, norm, place }
            })
            .collect();
        let found = native::mixed_sum(&given[9], &mixed)?;
        let weights = wide[9].view([-1]);
        let expected = (0..5).map(|part| {
            let (place, slope) = parts[part];
            let activated = if slope < 1.0 { leaky_relu(&wide[part], slope) } else { wide[part].shallow_clone() };
            let normed = norm_of(part).map_or_else(
                || activated.shallow_clone(),
                |(norm, scale)| {
                    let [scale, shift] = [0, 1].map(|which| scale.map(|scale| &wide[scale + which]));
                    let [mean, variance] = [0, 1].map(|which| Some(&expected_moved[2 * norm + which]));
                    activated.batch_norm(scale, shift, mean, variance, true, 0.1, 1e-5, false)
                },
            );
            place.map_or_else(|| normed.shallow_clone(), |place| &normed * weights.get(place))
        });
        let expected = expected.reduce(|sum, part| sum + part).expect("five parts");
        close(&found, &expected, "mixtures", kind)?;
        for (moved, expected) in moved.iter().zip(&expected_moved) {
            close(moved, expected, "running statistics of mixtures", Kind::Float)?;
        }
        let probe = laid(numbers(&stored, device).flip([0]));
        let gradients = |y: &Tensor, leaves: &[Tensor]| {
            let loss = (y.to_kind(Kind::Double) * probe.to_kind(kind).to_kind(Kind::Double)).sum(None);
            Tensor::run_backward(&[loss], &leaves.iter().collect::<Vec<_>>(), false, false)
        };
        for (found, expected) in gradients(&found, &given).iter().zip(gradients(&expected, &wide)) {
            close(found, &expected, "gradients of mixtures", kind)?;
        }
    }
    Ok(())
}

/// Rows brought to length 1, one of them too short for it, with and without a ReLU before; and a tensor of three readers.
fn try_rows(device: Device, kind: Kind) -> Result<()> {
    let stored = (numbers(&[70, 33], device) * numbers(&[70, 1], device).square()).to_kind(kind);
    tch::no_grad(|| drop(stored.get(7).fill_(0.0)));
    let [x, wide] = [kind, Kind::Double].map(|kind| stored.to_kind(kind).set_requires_grad(true));
    let probe = numbers(&[70, 33], device);
    let same = |found: &Tensor, expected: &Tensor, what: &str| {
        close(found, expected, what, kind)?;
        let gradient = |y: &Tensor, x: &Tensor| {
            let loss = (y.to_kind(Kind::Double) * probe.to_kind(Kind::Double)).sum(None);
            Tensor::run_backward(&[loss], &[x], false, false).swap_remove(0)
        };
        close(&gradient(found, &x), &gradient(expected, &wide), &format!("gradients of {what}"), kind)
    };
    for slope in [0.0, 1.0] {
        let seen = if slope > 0.0 { wide.shallow_clone() } else { wide.relu() };
        let smallest = 0.5;
        let length = seen.norm_scalaropt_dim(2.0, [1_i64].as_slice(), true);
        let expected = &seen / length.clamp_min(smallest);
        same(&native::unit_length(&x, slope, smallest)?, &expected, "rows of length 1")?;
    }
    let readers = native::readers(&x, 3)?;
    let found = &readers[0] * &readers[2] + &readers[1];
    same(&found, &(wide.square() + &wide), "what readers give")
}

/// A norm that clips and steps of both optimizers, one of which is skipped and one of which counts fewer steps.
fn try_optimizers(device: Device) -> Result<()> {
    let [weights, first, second, gradient] = [0.7, 0.2, 0.4, 1.0].map(|scale| numbers(&[9000], device) * scale);
    let second = second.abs();
    let wide = [&weights, &first, &second, &gradient].map(|tensor| tensor.to_kind(Kind::Double));
    let [wide_weights, wide_first, wide_second, wide_gradient] = &wide;
    let same = |found: &Tensor, expected: &Tensor, what: &str| close(found, expected, what, Kind::Float);
    for greatest in [0.0, 2.0] {
        let clipped = gradient.copy();
        let norm = optimizers::clip(&clipped, greatest)?;
        same(&norm, &wide_gradient.norm(), "norms of gradients")?;
        let factor = if greatest > 0.0 { greatest / wide_gradient.norm() } else { wide_gradient.norm().ones_like() };
        same(&clipped, &(wide_gradient * factor), "clipped gradients")?;
    }
    let (rate, weight_decay) = (0.1, 0.03);
    let flags = [0.0, 1.0].map(|flag| Tensor::full([0_i64; 0], flag, (Kind::Float, device)));
    let moved = wide_first * 0.9 + wide_gradient + wide_weights * weight_decay;
    for (flag, expected) in
        flags.iter().zip([[wide_weights - &moved * rate, moved], [wide_weights, wide_first].map(Tensor::shallow_clone)])
    {
        let (weights, momentum) = (weights.copy(), first.copy());
        optimizers::Sgd { rate, momentum: 0.9, weight_decay }.step(&weights, &momentum, &gradient, Some(flag))?;
        same(&weights, &expected[0], "weights moved by SGD")?;
        same(&momentum, &expected[1], "momentum of SGD")?;
    }
    let value = wide_gradient + wide_weights * weight_decay;
    let mean = wide_first * 0.5 + &value * 0.5;
    let square = wide_second * 0.9 + value.square() * 0.1;
    for skipped in [None, Some(Tensor::full([0_i64; 0], 2.0, (Kind::Double, device)))] {
        let (weights, first, second) = (weights.copy(), first.copy(), second.copy());
        let adam = optimizers::Adam {
            rate,
            betas: (0.5, 0.9),
            epsilon: 1e-3,
            weight_decay,
            steps: 5,
            skipped: skipped.as_ref(),
        };
        adam.step(&weights, [&first, &second], &gradient, skipped.is_some().then_some(&flags[0]))?;
        let steps = if skipped.is_some() { 3 } else { 5 };
        let [one, other] = [0.5_f64, 0.9].map(|beta| 1.0 - beta.powi(steps));
        let expected = wide_weights - &mean / ((&square / other).sqrt() + 1e-3) * (rate / one);
        same(&weights, &expected, "weights moved by Adam")?;
        same(&first, &mean, "means of Adam")?;
        same(&second, &square, "squares of Adam")?;
    }
    Ok(())
}

/// Sums of some numbers, each rounded to the type, of which bf16 is the coarsest.
fn close(found: &Tensor, expected: &Tensor, what: &str, kind: Kind) -> Result<()> {
    let difference = (found.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
    let scale = expected.abs().max().double_value(&[]);
    let tolerance = if kind == Kind::Float { 1e-4 } else { 2e-2 } * scale;
    agreed(difference <= tolerance, &format!("{what} {:?} (by {difference:.1e} of {scale:.1e})", found.size()), kind)
}

fn agreed(is_equal: bool, what: &str, kind: Kind) -> Result<()> {
    let message = || format!("{what} in {kind:?} differ from libtorch's");
    if is_equal { Ok(()) } else { Err(Error::Torch(message())) }
}

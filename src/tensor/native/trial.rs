//! What kernels of ours give on a GPU beside what libtorch's operators give, once a process.

use super::{Family, KINDS, nearest};
use crate::error::{Error, Result};
use crate::tensor::adjacency::Adjacency;
use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::bridge::gather::AttentionScores;
use crate::tensor::bridge::links::{Aggregate, LinkLists};
use crate::tensor::bridge::native::{self, List, Transposed};
use crate::tensor::bridge::norm::BatchNorm;
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

/// The sum of a node's parts, rows and images of either layout: two behind norms, one with a weight alone, one without.
fn try_mixture(device: Device, kind: Kind) -> Result<()> {
    let places = [Some(1), Some(3), Some(4), None];
    for (shape, is_last) in [(vec![70, 33], false), (vec![3, 5, 8, 6], false), (vec![3, 5, 8, 6], true)] {
        let laid = |x: Tensor| if is_last { x.permute([0, 3, 1, 2]) } else { x };
        let stored = if is_last { vec![shape[0], shape[2], shape[3], shape[1]] } else { shape.clone() };
        let all = numbers(&[&[4], stored.as_slice()].concat(), device);
        let parts: Vec<Tensor> = (0..4).map(|part| laid(all.get(part)).to_kind(kind).set_requires_grad(true)).collect();
        let wide: Vec<Tensor> =
            parts.iter().map(|part| part.detach().to_kind(Kind::Double).set_requires_grad(true)).collect();
        let table = (numbers(&[2, 3], device) + 0.4).set_requires_grad(true);
        let wide_table = table.detach().to_kind(Kind::Double).set_requires_grad(true);
        let statistics = |kind: Kind| -> Vec<Tensor> {
            let of = |value| Tensor::full([shape[1]], value, (kind, device));
            vec![of(0.25), of(1.5), of(-0.5), of(0.75)]
        };
        let (moved, expected_moved) = (statistics(Kind::Float), statistics(Kind::Double));
        let norms = [0, 2].map(|first| BatchNorm {
            weight: None,
            bias: None,
            running_mean: &moved[first],
            running_var: &moved[first + 1],
            training: true,
            momentum: 0.1,
            epsilon: 1e-5,
        });
        let norms = norms.into_iter().map(Some).chain([None, None]);
        let given: Vec<_> = parts.iter().map(Tensor::shallow_clone).zip(norms).collect();
        let found = native::mixed_sum(&table, &given, &places)?;
        let weights = wide_table.view([-1]);
        let expected = wide.iter().zip(places).enumerate().map(|(index, (part, place))| {
            let statistics = expected_moved.get(2 * index..2 * index + 2);
            let normed = statistics.map_or_else(
                || part.shallow_clone(),
                |statistics| {
                    let (none, [mean, variance]) = (None::<&Tensor>, [0, 1].map(|which| Some(&statistics[which])));
                    part.batch_norm(none, none, mean, variance, true, 0.1, 1e-5, false)
                },
            );
            place.map_or_else(|| normed.shallow_clone(), |place| &normed * weights.get(place))
        });
        let expected = expected.reduce(|sum, part| sum + part).expect("four parts");
        close(&found, &expected, "mixtures", kind)?;
        for (moved, expected) in moved.iter().zip(&expected_moved) {
            close(moved, expected, "running statistics of mixtures", Kind::Float)?;
        }
        let probe = laid(numbers(&stored, device).flip([0]));
        let gradients = |y: &Tensor, table: &Tensor, parts: &[Tensor]| {
            let loss = (y.to_kind(Kind::Double) * probe.to_kind(kind).to_kind(Kind::Double)).sum(None);
            let leaves: Vec<&Tensor> = std::iter::once(table).chain(parts).collect();
            Tensor::run_backward(&[loss], &leaves, false, false)
        };
        for (found, expected) in gradients(&found, &table, &parts).iter().zip(gradients(&expected, &wide_table, &wide))
        {
            close(found, &expected, "gradients of mixtures", kind)?;
        }
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

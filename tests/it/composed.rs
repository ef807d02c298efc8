//! Composed operations against the same thing written with libtorch's operators and its own gradients, in fp64. (Those
//! along links are held by `link_kernels`.)

use crate::kernels::{DOUBLE, close, evaluated, random};
use sgas::tensor::bridge::composed::{
    masked_sum, mean_pool, normed_sum, pair_maps, prepare_pairs, prepared_pair_maps, row_maps, unit_length,
    weighted_sum,
};
use sgas::tensor::bridge::norm::BatchNorm;
use tch::{Device, Kind, Tensor};

/// Values and gradients of both, for inputs of these shapes.
fn agree(what: &str, shapes: &[&[i64]], found: &dyn Fn(&[Tensor]) -> Tensor, expected: &dyn Fn(&[Tensor]) -> Tensor) {
    let inputs: Vec<Tensor> = shapes.iter().zip(1..).map(|(shape, seed)| random(shape, seed)).collect();
    let probe = random(&expected(&inputs).size(), 77);
    let (found, expected) = (evaluated(&inputs, &probe, found), evaluated(&inputs, &probe, expected));
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        close(found, expected, DOUBLE, &format!("{what}: {}", if index == 0 { "value" } else { "gradient" }));
    }
}

fn references(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

#[test]
fn maps_together_equal_maps_one_by_one() {
    let shapes: [&[i64]; 4] = [&[6, 5], &[4, 5], &[4, 5], &[4, 5]];
    for (count, rectified) in [(1, 0), (1, 1), (3, 0), (3, 2), (3, 3)] {
        let found =
            |inputs: &[Tensor]| Tensor::cat(&row_maps(&inputs[0], &references(&inputs[1..]), rectified).unwrap(), 1);
        let expected = |inputs: &[Tensor]| {
            let map = |(index, weight): (usize, &Tensor)| {
                let mapped = inputs[0].matmul(&weight.transpose(0, 1));
                if index < rectified { mapped.relu() } else { mapped }
            };
            Tensor::cat(&inputs[1..].iter().enumerate().map(map).collect::<Vec<_>>(), 1)
        };
        agree(&format!("{rectified} of {count} rectified"), &shapes[..=count], &found, &expected);
    }
}

/// A function of all pairs of rows and of the rows themselves, of what the maps of pairs give.
fn of_pairs(maps: &[Tensor; 3]) -> Tensor {
    let [own, other, x] = maps;
    let pairs = (own.unsqueeze(1) + other.unsqueeze(0)).square().sum_dim_intlist([1_i64].as_slice(), false, None);
    Tensor::cat(&[pairs, x.square()], 1)
}

/// The same of [U, V]·[x_i, x_j - x_i] + bias.
fn of_joined_pairs(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let (rows, channels) = x.size2().unwrap();
    let own = x.unsqueeze(1).expand([rows, rows, channels], false);
    let pairs = Tensor::cat(&[&own, &(x.unsqueeze(0) - &own)], 2).linear(weight, bias);
    Tensor::cat(&[pairs.square().sum_dim_intlist([1_i64].as_slice(), false, None), x.square()], 1)
}

#[test]
fn maps_of_pairs_equal_the_map_of_joined_pairs() {
    let shapes: [&[i64]; 3] = [&[6, 3], &[4, 6], &[4]];
    let found = |inputs: &[Tensor]| of_pairs(&pair_maps(&inputs[0], &inputs[1], None).unwrap());
    agree("without bias", &shapes[..2], &found, &|inputs| of_joined_pairs(&inputs[0], &inputs[1], None));
    let found = |inputs: &[Tensor]| of_pairs(&pair_maps(&inputs[0], &inputs[1], Some(&inputs[2])).unwrap());
    agree("with bias", &shapes, &found, &|inputs| of_joined_pairs(&inputs[0], &inputs[1], Some(&inputs[2])));
}

#[test]
fn maps_that_are_prepared_together_equal_the_map_of_joined_pairs() {
    let shapes: [&[i64]; 5] = [&[6, 3], &[4, 6], &[4, 6], &[4], &[4]];
    let found = |inputs: &[Tensor]| {
        let (weights, biases) = (references(&inputs[1..3]), references(&inputs[3..]));
        let prepared = prepare_pairs(&inputs[0], &weights, &biases).unwrap();
        let each = prepared.iter().map(|prepared| of_pairs(&prepared_pair_maps(&inputs[0], prepared).unwrap()));
        Tensor::cat(&each.collect::<Vec<_>>(), 1)
    };
    let expected = |inputs: &[Tensor]| {
        let each = [0, 1].map(|map| of_joined_pairs(&inputs[0], &inputs[1 + map], Some(&inputs[3 + map])));
        Tensor::cat(&each, 1)
    };
    agree("prepared", &shapes, &found, &expected);
}

#[test]
fn masked_sums_equal_products_with_masks_unit_by_unit() {
    let channels_last = |x: &Tensor| x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
    let units = 3;
    let shapes: [&[i64]; 3] = [&[3, 4, 2, 5], &[6, 4], &[3, 4]];
    for (shape, (plain, masked)) in
        shapes.into_iter().flat_map(|shape| [(0, 1), (0, 2), (1, 1), (2, 2)].map(|parts| (shape, parts)))
    {
        let masks = random(&[masked, units], 50);
        let lay = |x: &Tensor| if x.dim() == 4 { channels_last(x) } else { x.shallow_clone() };
        let plain = usize::try_from(plain).unwrap();
        let found = |inputs: &[Tensor]| {
            let laid: Vec<Tensor> = inputs.iter().map(lay).collect();
            masked_sum(&references(&laid[..plain]), &references(&laid[plain..]), &masks).unwrap()
        };
        let expected = |inputs: &[Tensor]| {
            let part = |(index, part): (usize, &Tensor)| match index.checked_sub(plain) {
                None => part.shallow_clone(),
                Some(mask) => {
                    let apart = part.view([units, -1]) * masks.get(mask as i64).unsqueeze(1);
                    apart.view(part.size().as_slice())
                }
            };
            inputs.iter().enumerate().map(part).reduce(|sum, part| sum + part).unwrap()
        };
        let inputs = vec![shape; plain + usize::try_from(masked).unwrap()];
        agree(&format!("{plain} plain, {masked} masked {shape:?}"), &inputs, &found, &expected);
    }
}

#[test]
fn weighted_sums_take_the_weights_of_their_places() {
    let places = [Some(1), Some(2), None, Some(5)];
    let found = |inputs: &[Tensor]| weighted_sum(&inputs[0], &references(&inputs[1..5]), &places, Some(&inputs[5]));
    let expected = |inputs: &[Tensor]| {
        let weights = inputs[0].view([-1]);
        let part = |(part, place): (&Tensor, &Option<i64>)| match place {
            Some(place) => part * weights.get(*place),
            None => part.shallow_clone(),
        };
        inputs[1..5].iter().zip(&places).map(part).fold(inputs[5].shallow_clone(), |sum, part| sum + part)
    };
    let shapes: [&[i64]; 6] = [&[2, 3], &[4, 5], &[4, 5], &[4, 5], &[4, 5], &[4, 5]];
    // Weights are fp32 whatever the parts are.
    let single = |f: &dyn Fn(&[Tensor]) -> Tensor, inputs: &[Tensor]| {
        f(&inputs.iter().map(|input| input.to_kind(Kind::Float)).collect::<Vec<_>>())
    };
    let inputs: Vec<Tensor> = shapes.iter().zip(1..).map(|(shape, seed)| random(shape, seed)).collect();
    let probe = random(&[4, 5], 9);
    let found = evaluated(&inputs, &probe, &|inputs| single(&|inputs| found(inputs).unwrap(), inputs));
    let expected = evaluated(&inputs, &probe, &|inputs| single(&expected, inputs));
    for (found, expected) in found.iter().zip(&expected) {
        close(found, expected, 1e-5, "weighted sum");
    }
}

#[test]
fn normed_sums_equal_norm_after_norm_and_keep_the_statistics_of_each() {
    let float = (Kind::Float, Device::Cpu);
    let statistics =
        || -> Vec<[Tensor; 2]> { (0..3).map(|_| [Tensor::zeros([4], float), Tensor::ones([4], float)]).collect() };
    let (ours, plain) = (statistics(), statistics());
    let table = random(&[1, 3], 5).to_kind(Kind::Float);
    // Twice all three norms, then the last two, as after a decision; training, then evaluation.
    for (round, (first, training)) in [(0, true), (0, true), (1, true), (1, false)].into_iter().enumerate() {
        let parts: Vec<Tensor> =
            (first..3).map(|part| random(&[7, 4], 10 * round as u64 + part).to_kind(Kind::Float)).collect();
        let norms = ours[first as usize..].iter().map(|[mean, variance]| BatchNorm {
            weight: None,
            bias: None,
            running_mean: mean,
            running_var: variance,
            training,
            momentum: 0.1,
            epsilon: 1e-5,
        });
        let normed: Vec<_> = parts.iter().zip(norms).collect();
        let places: Vec<_> = (first as i64..3).map(Some).collect();
        let found = normed_sum(&table, &normed, &places).unwrap();
        let expected = parts.iter().zip(first as usize..).map(|(part, index)| {
            let [mean, variance] = &plain[index];
            let none = None::<&Tensor>;
            let y = part.batch_norm(none, none, Some(mean), Some(variance), training, 0.1, 1e-5, false);
            y * table.view([-1]).get(index as i64)
        });
        close(&found, &expected.reduce(|sum, part| sum + part).unwrap(), 1e-5, "sum of norms");
        for (ours, plain) in ours.iter().flatten().zip(plain.iter().flatten()) {
            close(ours, plain, 1e-5, "running statistics");
        }
    }
}

#[test]
fn lengths_that_are_too_small_are_constants() {
    let found = |inputs: &[Tensor]| unit_length(&inputs[0], 2.0).unwrap();
    let expected = |inputs: &[Tensor]| {
        let length = inputs[0].square().sum_dim_intlist([1_i64].as_slice(), true, None).sqrt();
        &inputs[0] / length.clamp_min(2.0)
    };
    agree("rows longer and shorter than the smallest length", &[&[40, 4]], &found, &expected);
}

#[test]
fn mean_pools_and_their_gradients_are_libtorchs() {
    let shapes: [&[i64]; 3] = [&[2, 3, 8, 8], &[1, 5, 7, 9], &[2, 1, 1, 3]];
    for (shape, stride) in shapes.into_iter().flat_map(|shape| [1, 2].map(|stride| (shape, stride))) {
        let channels_last = |x: &Tensor| x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let expected = |inputs: &[Tensor]| inputs[0].avg_pool2d([3, 3], [stride; 2], [1, 1], false, false, None);
        agree("planes", &[shape], &|inputs| mean_pool(&inputs[0], stride).unwrap(), &expected);
        agree("channels last", &[shape], &|inputs| mean_pool(&channels_last(&inputs[0]), stride).unwrap(), &expected);
    }
}

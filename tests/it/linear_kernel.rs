//! Linear maps of rows by small matrices: the kernel against libtorch's product.

use crate::kernels::{close, evaluated};
use sgas::tensor::bridge::autocast::Autocast;
use sgas::tensor::bridge::linear::linear;
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Numbers between -1 and 1 that follow from the shape.
fn numbers(shape: &[i64]) -> Tensor {
    let count: i64 = shape.iter().product();
    let index = Tensor::arange(count, (Kind::Int64, Device::Cpu));
    ((&index * 7919_i64 + (&index * &index) * 31_i64).remainder(1009).to_kind(Kind::Float) / 504.5 - 1.0).view(shape)
}

/// Rows, channels in and out: multiples of vectors, tiles and chunks, and none.
const SHAPES: [(i64, i64, i64); 9] = [
    (1, 1, 1),
    (7, 3, 5),
    (257, 8, 8),
    (1000, 9, 24),
    (513, 16, 16),
    (300, 48, 16),
    (64, 33, 63),
    (700, 64, 64),
    (2048, 20, 7),
];

#[test]
fn a_small_map_equals_libtorchs() {
    for (rows, inputs, outputs) in SHAPES {
        let arguments = [numbers(&[rows, inputs]), numbers(&[outputs, inputs])];
        let probe = numbers(&[rows, outputs]);
        let found = evaluated(&arguments, &probe, &|x| linear(&x[0], &x[1]).unwrap());
        // Sums of the weight's gradient run over all rows: fp64 is the judge.
        let exact: Vec<Tensor> = arguments.iter().map(|argument| argument.to_kind(Kind::Double)).collect();
        let expected = evaluated(&exact, &probe.to_kind(Kind::Double), &|x| x[0].linear(&x[1], None::<&Tensor>));
        for (part, (found, expected)) in found.iter().zip(&expected).enumerate() {
            close(found, expected, 1e-6, &format!("{rows} rows, {inputs} to {outputs}, part {part}"));
        }
    }
}

#[test]
fn it_takes_images_and_what_does_not_lie_in_rows() {
    let weight = numbers(&[8, 6]);
    let images = numbers(&[2, 6, 5, 4]).permute([0, 2, 3, 1]);
    let expected = images.linear(&weight, None::<&Tensor>);
    let found = linear(&images, &weight).unwrap();
    assert_eq!(found.size(), [2, 5, 4, 8]);
    close(&found, &expected, 1e-6, "channels that do not lie side by side");
    let halves = numbers(&[8, 12]).chunk(2, 1);
    close(&linear(&images, &halves[1]).unwrap(), &images.linear(&halves[1], None::<&Tensor>), 1e-6, "half a matrix");
}

#[test]
fn one_and_two_threads_agree_in_every_bit() {
    let under = |threads| {
        let before = tch::get_num_threads();
        tch::set_num_threads(threads);
        let all = evaluated(&[numbers(&[5000, 16]), numbers(&[24, 16])], &numbers(&[5000, 24]), &|x| {
            linear(&x[0], &x[1]).unwrap()
        });
        tch::set_num_threads(before);
        all
    };
    for (part, (one, two)) in under(1).iter().zip(&under(2)).enumerate() {
        assert!(one.equal(two), "part {part}");
    }
}

#[test]
fn only_what_asks_for_a_gradient_gets_one() {
    let (x, weight) = (numbers(&[40, 8]), numbers(&[8, 8]));
    assert!(!linear(&x, &weight).unwrap().requires_grad());
    let asks = weight.copy().set_requires_grad(true);
    let gradient = Tensor::run_backward(&[linear(&x, &asks).unwrap().sum(Kind::Float)], &[&asks], false, false);
    let expected = x.sum_dim_intlist([0_i64].as_slice(), true, Kind::Float).expand([8, 8], false);
    close(&gradient[0], &expected, 1e-6, "gradient of the weight alone");
}

/// Autocast computes in half precision what libtorch computes; so does a small map.
#[test]
fn what_is_large_or_of_another_type_or_under_autocast_is_libtorchs() {
    for shape in [(10, 65, 8), (10, 8, 65)] {
        let (x, weight) = (numbers(&[shape.0, shape.1]), numbers(&[shape.2, shape.1]));
        assert!(linear(&x, &weight).unwrap().equal(&x.linear(&weight, None::<&Tensor>)));
    }
    let (x, weight) = (numbers(&[10, 8]), numbers(&[8, 8]));
    let double = linear(&x.to_kind(Kind::Double), &weight.to_kind(Kind::Double)).unwrap();
    assert_eq!(double.kind(), Kind::Double);
    let _cast = Autocast::enter(Device::Cpu, Kind::BFloat16).unwrap();
    assert_eq!(linear(&x, &weight).unwrap().kind(), Kind::BFloat16);
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let x = Tensor::zeros([4, 8], FLOAT);
    assert!(linear(&x, &Tensor::zeros([8, 7], FLOAT)).is_err());
    assert!(linear(&x, &Tensor::zeros([8, 8], (Kind::Int64, Device::Cpu))).is_err());
}

//! Shares, sums, norms and words of processes that are threads.

use super::*;

#[test]
fn every_turn_is_one_processs_and_alone_a_turn_is_a_step() {
    let of = |rank| Share { rank, world: 3 };
    let mut turns: Vec<usize> = (0..3).flat_map(|rank| (0..4).map(move |step| of(rank).turn(step))).collect();
    turns.sort_unstable();
    assert_eq!(turns, (0..12).collect::<Vec<_>>());
    assert_eq!([0, 1, 7].map(|step| Share::WHOLE.turn(step)), [0, 1, 7]);
    for jobs in 0..9 {
        assert_eq!(Share::WHOLE.steps(jobs, true), jobs);
        assert_eq!([0, 1, 2].map(|rank| of(rank).steps(jobs, true)), [jobs / 3; 3]);
        assert_eq!((0..3).map(|rank| of(rank).steps(jobs, false)).sum::<usize>(), jobs);
    }
}

#[test]
fn norms_over_processes_are_those_of_the_joined_batch() {
    use crate::tensor::bridge::norm::BatchNorm;
    let options = (Kind::Float, Device::Cpu);
    // Shares of different size; rows and images; with and without scale.
    for (shape, sizes, is_affine) in
        [(vec![12, 3], [5, 7], true), (vec![6, 3, 4, 5], [4, 2], false), (vec![6, 3, 4, 5], [1, 5], true)]
    {
        let whole =
            || (Tensor::arange(shape.iter().product::<i64>(), options) * 0.7).sin().view(&shape[..]) * 3.0 + 50.0;
        let weight = || Tensor::from_slice(&[0.5f32, -1.0, 2.0]).set_requires_grad(true);
        let bias = || Tensor::from_slice(&[0.1f32, 0.2, 0.3]).set_requires_grad(true);
        let probe = || (Tensor::arange(shape.iter().product::<i64>(), options) * 1.3).cos().view(&shape[..]);
        // What a pass over some samples gives: output, gradients of input, scale and shift, running statistics.
        let pass = |start: i64, count: i64, norm: &dyn Fn(&Tensor, &BatchNorm<'_>) -> Tensor| -> Vec<Tensor> {
            let x = whole().narrow(0, start, count).copy().set_requires_grad(true);
            let (weight, bias) = (weight(), bias());
            let (mean, variance) = (Tensor::full([3], 48.0, options), Tensor::full([3], 2.0, options));
            let layer = BatchNorm {
                weight: is_affine.then_some(&weight),
                bias: is_affine.then_some(&bias),
                running_mean: &mean,
                running_var: &variance,
                training: true,
                momentum: 0.1,
                epsilon: 1e-5,
            };
            let y = norm(&x, &layer);
            let loss = (&y * probe().narrow(0, start, count)).sum(None);
            let leaves: Vec<&Tensor> = if is_affine { vec![&x, &weight, &bias] } else { vec![&x] };
            let mut all = vec![y.detach()];
            all.extend(Tensor::run_backward(&[&loss], &leaves, false, false));
            all.extend([mean, variance]);
            all
        };
        let expected = pass(0, shape[0], &|x, norm| {
            let (mean, variance) = (Some(norm.running_mean), Some(norm.running_var));
            x.batch_norm(norm.weight, norm.bias, mean, variance, true, norm.momentum, norm.epsilon, false)
        });
        let parts = threads::run(2, |processes| {
            let Share { rank, .. } = processes.share();
            let start = sizes[..rank].iter().sum();
            let _synchronised = processes.synchronise_norms();
            pass(start, sizes[rank], &synchronised::norm)
        });
        for (place, expected) in expected.iter().enumerate() {
            let [first, second] = [0, 1].map(|rank: usize| parts[rank][place].shallow_clone());
            let found = match place {
                0 | 1 => Tensor::cat(&[first, second], 0),
                // Scale and shift: the gradient is the sum of theirs.
                _ if place + 2 < parts[0].len() => first + second,
                _ => {
                    assert!(first.equal(&second));
                    first
                }
            };
            let difference = (found - expected).abs().max().double_value(&[]);
            let scale = expected.abs().max().double_value(&[]);
            assert!(difference <= 2e-5 * scale, "{shape:?}, result {place}: {difference:e} of {scale:e}");
        }
    }
}

#[test]
fn the_first_process_is_heard_by_all_and_failures_are_everybodys() {
    let heard = threads::run(3, |processes| {
        let Share { rank, .. } = processes.share();
        let text: String = processes.from_first(|| Ok(format!("of {rank}"))).unwrap();
        let own = BTreeMap::from([
            ("a".to_owned(), Tensor::from_slice(&[rank as f32 + 0.5, f32::NAN])),
            ("b".to_owned(), Tensor::from(rank as i64)),
        ]);
        let tensors = processes.tensors_of_first(&own).unwrap();
        let failed: Result<()> = if rank == 1 { Err(Error::usage("no data")) } else { Ok(()) };
        let failed = processes.together(failed).unwrap_err().to_string();
        let agreed = processes.agree("decisions", || blake3::hash(b"same")).is_ok();
        let differs = processes.agree("decisions", || blake3::hash(&[u8::from(rank == 2)])).unwrap_err().to_string();
        let refused = processes.from_first(|| -> Result<()> { Err(Error::usage("no such task")) });
        let numbers =
            (tensors["a"].double_value(&[0]), tensors["a"].double_value(&[1]).is_nan(), tensors["b"].int64_value(&[]));
        (text, numbers, failed, agreed, differs, refused.unwrap_err().to_string())
    });
    for (rank, (text, numbers, failed, agreed, differs, refused)) in heard.into_iter().enumerate() {
        assert_eq!((text.as_str(), numbers), ("of 0", (0.5, true, 0)));
        assert_eq!(failed, if rank == 1 { "rank 1: no data" } else { "another process of this run failed" });
        assert!(agreed && differs.starts_with("decisions differ between processes: rank 2 from rank 0"), "{differs}");
        assert_eq!(refused, if rank == 0 { "no such task" } else { "another process of this run failed" });
    }
}

#[test]
fn the_weight_of_a_batch_makes_means_that_of_the_joined_batch() {
    let means = threads::run(2, |processes| {
        let rank = processes.share().rank;
        let own: &[f32] = [&[1.0, 2.0, 6.0][..], &[11.0]][rank];
        let own = Tensor::from_slice(own);
        let weight = processes.weight_of(|| Tensor::from(own.numel() as i64)).unwrap().unwrap();
        let mut loss = own.mean(Kind::Float) * weight;
        processes.mean(&mut loss).unwrap();
        loss.double_value(&[])
    });
    assert_eq!(means, [5.0, 5.0]);
    assert!(Processes::alone().weight_of(|| unreachable!("nobody asks")).unwrap().is_none());
}

#[test]
fn sums_are_of_all_processes_and_one_alone_changes_nothing() {
    let sum = |processes: &Processes| {
        let Share { rank, .. } = processes.share();
        let mut numbers = Tensor::from_slice(&[rank as f64, 0.5]);
        processes.all_reduce(&mut numbers).unwrap();
        processes.all_reduce(&mut numbers).unwrap();
        let any = [processes.any(rank == 1).unwrap(), processes.any(rank == 7).unwrap()];
        (Vec::<f64>::try_from(numbers).unwrap(), any)
    };
    assert_eq!(threads::run(3, sum), [(); 3].map(|()| (vec![9.0, 4.5], [true, false])));
    assert_eq!(sum(&Processes::alone()), (vec![0.0, 0.5], [false, false]));
    assert!(Processes::alone().any(true).unwrap());
}

#[test]
fn sums_are_tried_in_every_type_before_a_run_relies_on_them() {
    for world in [2, 3] {
        threads::run(world, |processes| check::sums(processes, Device::Cpu).unwrap());
    }
}

#[test]
fn a_gradient_that_is_summed_in_parts_is_the_mean_of_all() {
    use crate::tensor::bridge::group::Group;
    let options = (Kind::Float, Device::Cpu);
    // Weights of several sizes, with room between them; the third has no part in the loss.
    let sizes = [3_i64, 50, 8, 1, 20];
    let offsets = [0_i64, 16, 80, 96, 112];
    let run = |rank: usize, group: Option<&Group>, least_bytes: i64| {
        let leaf = |size: i64| (Tensor::arange(size, options) * 0.3).cos().set_requires_grad(true);
        let leaves = sizes.map(leaf);
        let terms = leaves.iter().enumerate().filter(|(index, _)| *index != 2);
        let loss = terms.fold(Tensor::from(0.0f32), |sum, (index, leaf)| {
            sum + (leaf * (index as f64 + 1.0 + rank as f64)).sin().sum(Kind::Float)
        });
        let Some(group) = group else {
            let flat = Tensor::zeros([140], options);
            let gradients = Tensor::run_backward(&[&loss], &leaves.iter().collect::<Vec<_>>(), false, false);
            for (gradient, offset) in gradients.iter().zip(offsets).filter(|(gradient, _)| gradient.defined()) {
                flat.narrow(0, offset, gradient.numel() as i64).copy_(gradient);
            }
            return Tensor::cat(&[flat, loss.detach().view([1])], 0);
        };
        let places: Vec<(&Tensor, i64)> = leaves.iter().zip(offsets).collect();
        group.gradient(&loss, &loss.detach(), &places, 140, least_bytes).unwrap()
    };
    let expected = run(0, None, 0) + run(1, None, 0);
    // Every weight by itself, two or three buckets, all at once.
    for least_bytes in [1, 200, 1 << 20] {
        let found = threads::run(2, |processes| {
            let member = processes.0.as_ref().unwrap();
            assert!(member.group.sums_beside(&Tensor::from(1.0f32)));
            run(processes.share().rank, Some(&member.group), least_bytes)
        });
        assert!(found.iter().all(|sum| sum == &expected), "{least_bytes}");
    }
}

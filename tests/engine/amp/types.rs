//! The types that really arrive.
use super::*;
use sgas::optim::{AlphaConfig, WeightConfig};
use sgas::search::bilevel::Bilevel;
use sgas::search::second_order::Ahead;
use sgas::tensor::bridge::types::recorded;
use sgas::tensor::fused::TensorPath;
use sgas::tensor::precision::Precision;

#[test]
fn dump() {
    let _turn = turn();
    for plain in [false, true] {
        let _path = plain.then(TensorPath::enter);
        for case in cases() {
            let mut model = case.supernet();
            let mut b = Bilevel::new(&*model, case.task, &WeightConfig::default(), &AlphaConfig::default(), Precision::Bf16);
            let batch = case.batch(0);
            let key = Key::new(SEED, Purpose::AlphaStep);
            let (_, arrivals) = recorded(|| {
                b.step_alphas(&mut *model, &batch, &Ahead { batch: &batch, learning_rate: 0.01, key }).unwrap();
                b.step_weights(&mut *model, &batch, 0.01).unwrap();
            })
            .unwrap();
            println!("==== {:?} plain {plain}", case.space);
            for a in arrivals {
                println!("{} {} {:?} -> {:?} within {:?} x{}", if a.backward {"B"} else {"F"}, a.name, a.inputs, a.outputs, a.within, a.calls);
            }
        }
    }
}

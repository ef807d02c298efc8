//! Partial channels (PC-DARTS; Xu, Xie, Zhang, Chen, Qi, Tian and Xiong, "PC-DARTS: Partial Channel Connections for
//! Memory-Efficient Architecture Search", ICLR 2020, arXiv:1907.05737): the edges of a supernet's cell work on the first
//! of the K equal parts of a state's channels, and the others pass by (docs/method.md, "Parts of strategies").

use crate::tensor::convolution::laid_out;
use tch::Tensor;

/// Which part of the channels the edges of a cell work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialChannels {
    /// K: of so many parts the first.
    pub parts: i64,
}

impl PartialChannels {
    /// The channels that operations see, of features with the channels in dimension 1.
    pub fn seen(self, features: &Tensor) -> Tensor {
        ordered(&features.narrow(1, 0, features.size()[1] / self.parts))
    }

    /// What an edge gives: what its operations made of the seen channels, behind it the channels that passed by, all
    /// shuffled so that every part gets channels of all parts. Where operations halved the resolution, so does a maximum
    /// over 2×2 pixels of the others. `weight`, 0-dimensional, is what these are multiplied by; none for 1.
    pub fn joined(self, computed: &Tensor, features: &Tensor, weight: Option<&Tensor>) -> Tensor {
        let size = features.size();
        let seen = size[1] / self.parts;
        let mut others = features.narrow(1, seen, size[1] - seen);
        if size.len() == 4 && size[2..] != computed.size()[2..] {
            others = others.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], true);
        }
        if let Some(weight) = weight {
            others = &others * weight.to_kind(others.kind());
        }
        let all = Tensor::cat(&[computed, &others.to_kind(computed.kind())], 1);
        shuffled(&all, self.parts)
    }
}

/// Channel c of part p goes to place c·parts + p.
fn shuffled(features: &Tensor, parts: i64) -> Tensor {
    let last = features.movedim_int(1, -1);
    let mut apart = last.size();
    let channels = apart.pop().unwrap_or_default();
    let whole = [apart.as_slice(), &[channels]].concat();
    apart.extend([parts, channels / parts]);
    ordered(&last.reshape(&apart).transpose(-1, -2).reshape(&whole).movedim_int(-1, 1))
}

/// Features as they lie in memory elsewhere.
fn ordered(features: &Tensor) -> Tensor {
    if features.dim() == 4 { laid_out(features) } else { features.contiguous() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.flatten(0, -1)).unwrap()
    }

    #[test]
    fn the_first_channels_are_seen_and_every_part_gets_channels_of_all() {
        let partial = PartialChannels { parts: 2 };
        let rows = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([2, 6]);
        assert_eq!(numbers(&partial.seen(&rows)), [0.0, 1.0, 2.0, 6.0, 7.0, 8.0]);
        let computed = partial.seen(&rows) + 100.0;
        let joined = partial.joined(&computed, &rows, Some(&Tensor::from(2.0_f32)));
        assert_eq!(numbers(&joined), [100.0, 6.0, 101.0, 8.0, 102.0, 10.0, 106.0, 18.0, 107.0, 20.0, 108.0, 22.0]);
        assert_eq!(numbers(&partial.joined(&computed, &rows, None))[..2], [100.0, 3.0]);
    }

    #[test]
    fn images_are_shuffled_as_libtorch_does_and_pooled_where_they_were_halved() {
        let partial = PartialChannels { parts: 4 };
        let images = laid_out(&Tensor::arange(2 * 8 * 4 * 4, (Kind::Float, Device::Cpu)).view([2, 8, 4, 4]).sin());
        let computed = partial.seen(&images);
        let expected = images.contiguous().channel_shuffle(4);
        assert!(partial.joined(&computed, &images, None).equal(&expected));
        let halved = computed.avg_pool2d([2, 2], [2, 2], [0, 0], false, false, None);
        let joined = partial.joined(&halved, &images, None);
        assert_eq!(joined.size(), [2, 8, 2, 2]);
        let others = images.narrow(1, 2, 6).contiguous();
        let by_hand = |channel: i64, row: i64, column: i64| {
            let pixel = |y: i64, x: i64| others.double_value(&[1, channel, 2 * row + y, 2 * column + x]);
            [pixel(0, 0), pixel(0, 1), pixel(1, 0), pixel(1, 1)].into_iter().fold(f64::MIN, f64::max)
        };
        // Channel 2 + c of all eight is channel c of the others; part p = (2 + c) / 2, place p + 4·((2 + c) % 2).
        for channel in 0..6 {
            let place = (2 + channel) / 2 + 4 * ((2 + channel) % 2);
            assert_eq!(joined.double_value(&[1, place, 1, 0]), by_hand(channel, 1, 0));
        }
    }
}

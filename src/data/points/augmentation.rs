//! What happens to a cloud between store and batch: the choice of its points, the cube, scale and shift.
//!
//! Follows the augmentation and normalisation of the published recipes for ModelNet (docs/method.md, "Recipes of the
//! search" and "Recipes of the training"); they have positions alone. Of further channels normals are scaled as the
//! surface is, the rest stays as it is.

use rand::{Rng, RngExt, seq::SliceRandom, seq::index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::surface::{Vector, length};

/// Coordinates of a position: the first channels of a point.
pub const CHANNELS: usize = 3;

/// The greatest absolute coordinate of a normalised cloud.
const CUBE: f64 = 0.999_999;

/// Range of the scale of each axis.
const SCALE: std::ops::Range<f32> = 2.0 / 3.0..3.0 / 2.0;

/// Range of the shift of each axis.
const SHIFT: std::ops::Range<f32> = -0.2..0.2;

/// Random changes of training clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Augmentation {
    /// The cloud as it is.
    #[default]
    None,
    /// One scale U(2/3, 3/2) and shift U(-0.2, 0.2) per axis and cloud, and the points shuffled.
    ScaleTranslate,
}

/// Which points of a cloud are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointOrder {
    /// The first stored ones, in stored order.
    #[default]
    First,
    /// A random subset: fresh at every access in training, always the same in evaluation.
    Random,
}

/// Position and size of clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// `none` for HDF5 sets, which are published normalised, `cube` for everything else.
    #[default]
    Auto,
    /// Coordinates as stored.
    None,
    /// Minus the mean of the points, scaled so that the greatest absolute coordinate is 0.999999.
    Cube,
}

impl Normalization {
    /// This one, or what is usual where nothing is said.
    pub(in crate::data) fn or(self, usual: Self) -> Self {
        if self == Self::Auto { usual } else { self }
    }
}

/// The positions of `wanted` out of `stored` points; all of them come before any comes again.
pub fn choose_points(stored: usize, wanted: usize, order: PointOrder, generator: &mut impl Rng) -> Vec<usize> {
    let chosen = match order {
        PointOrder::First => (0..wanted.min(stored)).collect(),
        PointOrder::Random => index::sample(generator, stored, wanted.min(stored)).into_vec(),
    };
    chosen.iter().copied().cycle().take(wanted).collect()
}

/// Moves the mean of the points to the origin and scales the shape into the cube of half-width 0.999999.
/// Returns false, and leaves the shape as it is, where all points coincide.
pub(in crate::data) fn fit_into_cube(positions: &mut [Vector]) -> bool {
    let count = positions.len() as f64;
    let mut mean = [0.0; CHANNELS];
    for position in &*positions {
        for (sum, value) in mean.iter_mut().zip(position) {
            *sum += value / count;
        }
    }
    let centred = |position: &Vector| -> Vector { std::array::from_fn(|axis| position[axis] - mean[axis]) };
    let extent = positions.iter().flat_map(centred).map(f64::abs).fold(0.0, f64::max);
    // The mean of equal numbers can miss them by a rounding error.
    let magnitude = mean.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let scale = CUBE / extent;
    // Of points too close together to be told apart nothing is left but infinity.
    if extent <= magnitude * f64::EPSILON * count.max(1.0) || !scale.is_finite() {
        return false;
    }
    for position in positions {
        *position = centred(position).map(|value| value * scale);
    }
    true
}

/// Changes the points of a training sample in place: `channels` numbers per point, and normals from channel
/// `normals` on, where there are any.
pub fn augment(
    points: &mut [f32],
    channels: usize,
    normals: Option<usize>,
    augmentation: Augmentation,
    generator: &mut impl Rng,
) {
    match augmentation {
        Augmentation::None => {}
        Augmentation::ScaleTranslate => {
            scale_translate(points, channels, normals, generator);
            shuffle(points, channels, generator);
        }
    }
}

/// One scale and shift per axis and cloud; the points stay in their order.
pub(in crate::data) fn scale_translate(
    points: &mut [f32],
    channels: usize,
    normals: Option<usize>,
    generator: &mut impl Rng,
) {
    let scale: [f32; CHANNELS] = std::array::from_fn(|_| generator.random_range(SCALE));
    let shift: [f32; CHANNELS] = std::array::from_fn(|_| generator.random_range(SHIFT));
    for point in points.chunks_exact_mut(channels) {
        for axis in 0..CHANNELS {
            point[axis] = point[axis] * scale[axis] + shift[axis];
        }
        if let Some(first) = normals {
            scale_normal(&mut point[first..first + CHANNELS], scale);
        }
    }
}

/// A normal is upright on its surface, so it shrinks where the surface grows, and has length 1 again.
fn scale_normal(normal: &mut [f32], scale: [f32; CHANNELS]) {
    let scaled: Vector = std::array::from_fn(|axis| f64::from(normal[axis] / scale[axis]));
    let length = length(scaled).max(f64::MIN_POSITIVE);
    for (value, component) in normal.iter_mut().zip(scaled) {
        *value = (component / length) as f32;
    }
}

fn shuffle(points: &mut [f32], channels: usize, generator: &mut impl Rng) {
    let mut order: Vec<usize> = (0..points.len() / channels).collect();
    order.shuffle(generator);
    let old = points.to_vec();
    for (point, source) in points.chunks_exact_mut(channels).zip(order) {
        point.copy_from_slice(&old[source * channels..][..channels]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::random::{Key, Purpose};

    fn generator(step: u64) -> impl Rng {
        Key::new(5, Purpose::Augmentation).at(0, step).generator()
    }

    #[test]
    fn the_first_points_are_taken_as_stored_and_repeated_where_too_few() {
        assert_eq!(choose_points(5, 3, PointOrder::First, &mut generator(0)), [0, 1, 2]);
        assert_eq!(choose_points(3, 7, PointOrder::First, &mut generator(0)), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_random_subset_repeats_no_point_before_all_are_in() {
        let mut chosen = choose_points(100, 60, PointOrder::Random, &mut generator(0));
        assert_ne!(chosen, choose_points(100, 60, PointOrder::Random, &mut generator(1)));
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 60);
        let mut all = choose_points(10, 20, PointOrder::Random, &mut generator(0));
        all.sort_unstable();
        assert_eq!(all, (0..10).flat_map(|i| [i, i]).collect::<Vec<_>>());
    }

    #[test]
    fn the_cube_is_centred_on_the_mean_and_filled() {
        let mut cloud = [[100.0, 7.0, 0.0], [104.0, 7.0, 1.0], [100.0, 7.0, -1.0], [100.0, 7.0, 0.0]];
        assert!(fit_into_cube(&mut cloud));
        for axis in 0..CHANNELS {
            let sum: f64 = cloud.iter().map(|position| position[axis]).sum();
            assert!(sum.abs() < 1e-12, "axis {axis}: {sum}");
        }
        let greatest = cloud.iter().flatten().fold(0.0_f64, |most, v| most.max(v.abs()));
        assert!((greatest - 0.999_999).abs() < 1e-12);
        // 3 units to the side of the mean's 1, so the shape is kept: 1 unit is a third of the half-width.
        assert!((cloud[1][2] - 0.333_333).abs() < 1e-6);
    }

    #[test]
    fn coinciding_points_have_no_size() {
        let mut cloud = vec![[0.1, -7.3, 1e5]; 100];
        assert!(!fit_into_cube(&mut cloud));
        assert_eq!(cloud[0], [0.1, -7.3, 1e5]);
        // Nor those that are apart by less than can be scaled up.
        assert!(!fit_into_cube(&mut [[0.0; 3], [1e-310, 0.0, 0.0]]));
        assert!(fit_into_cube(&mut [[0.0; 3], [1e-300, 0.0, 0.0]]));
    }

    #[test]
    fn scale_and_shift_are_one_per_axis_and_within_their_ranges() {
        let mut seen: [Vec<f32>; 2] = Default::default();
        for step in 0..500 {
            let mut cloud = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
            scale_translate(&mut cloud, CHANNELS, None, &mut generator(step));
            for axis in 0..CHANNELS {
                seen[0].push(cloud[3 + axis] - cloud[axis]);
                seen[1].push(cloud[axis]);
            }
        }
        for (values, range) in seen.iter().zip([SCALE, SHIFT]) {
            let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
            let margin = (range.end - range.start) * 0.01;
            assert!(low > range.start - 1e-6 && low < range.start + margin, "{low} in {range:?}");
            assert!(high < range.end + 1e-6 && high > range.end - margin, "{high} in {range:?}");
        }
    }

    #[test]
    fn augmentation_shuffles_whole_points() {
        let mut cloud: Vec<f32> = (0..120).map(|i| i as f32).collect();
        augment(&mut cloud, 4, None, Augmentation::ScaleTranslate, &mut generator(0));
        let xs: Vec<f32> = cloud.iter().copied().step_by(4).collect();
        assert!(xs.windows(2).any(|pair| pair[0] > pair[1]), "order kept");
        let mut sorted = cloud.as_chunks::<4>().0.to_vec();
        sorted.sort_by(|a, b| a[0].total_cmp(&b[0]));
        for channel in 0..4 {
            assert!(sorted.windows(2).all(|pair| pair[0][channel] < pair[1][channel]), "{channel} torn from its point");
        }
        assert!(sorted.iter().zip(0..).all(|(point, i)| point[3] == (4 * i + 3) as f32), "a feature was changed");
    }

    #[test]
    fn normals_stay_upright_on_a_scaled_surface() {
        // A point of the plane x + y + z = 0 with two directions in the plane.
        let normal = [1.0_f32 / 3.0_f32.sqrt(); 3];
        let mut points = [[0.0; 3], normal, [1.0, -1.0, 0.0], normal, [0.0, 1.0, -1.0], normal].concat();
        scale_translate(&mut points, 6, Some(3), &mut generator(0));
        for other in [6, 12] {
            let product: f32 = (0..3).map(|axis| (points[other + axis] - points[axis]) * points[3 + axis]).sum();
            assert!(product.abs() < 1e-6, "{product}");
        }
        let length: f32 = points[3..6].iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-6);
        assert!((points[3] - normal[0]).abs() > 1e-3, "scaled");
    }
}

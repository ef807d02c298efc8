//! Points spread evenly over the triangles of a surface.

use rand::{Rng, RngExt};

/// A position, or any three numbers of one.
pub(super) type Vector = [f64; 3];

/// Triangles by their share of the surface.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Surface {
    /// Area of all triangles up to each, itself included.
    ends: Vec<f64>,
}

impl Surface {
    /// The surface of these triangles.
    pub fn new(triangles: impl Iterator<Item = [Vector; 3]>) -> Self {
        let sum = |total: &mut f64, triangle: [Vector; 3]| {
            *total += area(&triangle);
            Some(*total)
        };
        Self { ends: triangles.scan(0.0, sum).collect() }
    }

    /// Of all triangles together.
    pub fn area(&self) -> f64 {
        self.ends.last().copied().unwrap_or(0.0)
    }

    /// A random point: its triangle, and the weights of the three corners, which sum to 1. The surface must have
    /// an area.
    pub fn draw(&self, generator: &mut impl Rng) -> (usize, Vector) {
        let target = generator.random_range(0.0..self.area());
        let triangle = self.ends.partition_point(|end| *end <= target).min(self.ends.len() - 1);
        // The square root makes the density even: areas grow with the square of the distance from the first corner.
        let (u, v) = (generator.random::<f64>().sqrt(), generator.random::<f64>());
        (triangle, [1.0 - u, u * (1.0 - v), u * v])
    }
}

/// Of one triangle.
pub(super) fn area(corners: &[Vector; 3]) -> f64 {
    length(cross(corners)) / 2.0
}

/// The product of two sides: upright on the triangle, as long as twice its area.
pub(super) fn cross([a, b, c]: &[Vector; 3]) -> Vector {
    let u: Vector = std::array::from_fn(|axis| b[axis] - a[axis]);
    let v: Vector = std::array::from_fn(|axis| c[axis] - a[axis]);
    [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
}

/// The inner product.
pub(super) fn dot(a: Vector, b: Vector) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The Euclidean length.
pub(super) fn length(vector: Vector) -> f64 {
    dot(vector, vector).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::random::{Key, Purpose};

    #[test]
    fn points_are_even_over_the_surface() {
        // Two triangles of areas 2 and 1, and one of none that no point may fall on.
        let triangles = [
            [[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            [[1.0, 1.0, 1.0]; 3],
            [[0.0, 0.0, 5.0], [2.0, 0.0, 5.0], [0.0, 1.0, 5.0]],
        ];
        let surface = Surface::new(triangles.into_iter());
        assert!((surface.area() - 3.0).abs() < 1e-12);
        let mut generator = Key::new(1, Purpose::Synthetic).generator();
        let drawn: Vec<(usize, Vector)> = (0..30_000).map(|_| surface.draw(&mut generator)).collect();
        let count = |triangle| drawn.iter().filter(|point| point.0 == triangle).count();
        // Four deviations of a binomial: 4 · sqrt(30000 · 2/9).
        assert!(count(2).abs_diff(10_000) < 330, "{}", count(2));
        assert_eq!(count(1), 0);
        for corner in 0..3 {
            let mean = drawn.iter().map(|point| point.1[corner]).sum::<f64>() / 30_000.0;
            assert!((mean - 1.0 / 3.0).abs() < 0.01, "the centroid of a triangle is the mean of its corners: {mean}");
        }
        assert!(drawn.iter().all(|(_, weights)| (weights.iter().sum::<f64>() - 1.0).abs() < 1e-12));
    }

    #[test]
    fn the_product_of_the_sides_is_upright() {
        assert_eq!(cross(&[[0.0; 3], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0]]), [0.0, 0.0, 6.0]);
        assert!((area(&[[0.0; 3], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0]]) - 3.0).abs() < 1e-12);
        assert!(Surface::new(std::iter::empty()).area() == 0.0);
    }
}

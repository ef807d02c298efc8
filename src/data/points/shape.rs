//! One shape in memory: a cloud or a mesh, checked, normalised, and asked for points.
//!
//! Formats are read elsewhere; here stands what the shapes of all of them must satisfy. Normalisation and the
//! sampling of meshes follow docs/method.md, "Recipes of the search".

use rand::Rng;

use super::augmentation::{CHANNELS, Normalization, PointOrder, choose_points, fit_into_cube};
use super::clouds::Clouds;
use super::colours::{Division, Noticed, Undivided};
use super::features::{AXES, Features, NORMALS, is_normal};
use super::format::Raw;
use super::intake::{Intake, check_finite};
use super::surface::{Surface, Vector, cross, length};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;

/// How files become shapes.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// What a point has besides its position.
    pub features: Features,
    /// Position and size; decided, not `auto`.
    pub normalization: Normalization,
    /// The fewest points of a cloud (k · dilation of the network).
    pub minimum_points: usize,
    /// What the configuration says of the columns.
    pub intake: Intake,
}

impl Reading {
    /// As the configuration says, for a network that takes at least so many points.
    pub fn of(clouds: &Clouds, minimum_points: usize) -> Self {
        let Clouds { features, intake, normalize, .. } = clouds.clone();
        Self { features, normalization: normalize, minimum_points, intake }
    }
}

/// A checked shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// Channels per point, position first.
    channels: usize,
    geometry: Geometry,
    /// What was noticed in its file.
    pub noticed: Noticed,
    undivided: Undivided,
}

#[derive(Debug, Clone, PartialEq)]
enum Geometry {
    /// Points, channel by channel of each.
    Cloud(Vec<f32>),
    /// A surface that gives other points every time.
    Mesh(Mesh),
}

#[derive(Debug, Clone, PartialEq)]
struct Mesh {
    /// Vertices, channel by channel of each.
    vertices: Vec<f32>,
    triangles: Vec<[u32; 3]>,
    surface: Surface,
    normals: Normals,
}

/// Where the normals of a mesh's points come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Normals {
    /// Nobody asked for them.
    Unwanted,
    /// From the vertices; the first of their channels.
    OfVertices(usize),
    /// From the triangles; the first of their channels.
    OfTriangles(usize),
}

impl Shape {
    /// Checks and normalises what a file holds.
    ///
    /// # Errors
    /// Columns that are not there, numbers that are not finite, too few points, faces of missing vertices, no
    /// extent or no area: with `place` (the file) and the point.
    pub fn new(mut raw: Raw, place: &str, reading: &Reading) -> Result<Self> {
        let features = &reading.features;
        let points = raw.points();
        let kept = reading.intake.drop_invalid(&mut raw, features, place)?;
        let dropped = kept.map_or(0, |kept| points - kept.len());
        let noticed = Noticed::of(&raw, dropped, place);
        let undivided = Undivided::of(&raw, features);
        let columns = select(&raw, features, place)?;
        check_finite(&columns, place)?;
        let triangles = check_triangles(&raw, columns[0].len(), place)?;
        let mut positions: Vec<Vector> =
            (0..columns[0].len()).map(|row| [0, 1, 2].map(|axis| columns[axis][row])).collect();
        if triangles.is_empty() && positions.len() < reading.minimum_points.max(1) {
            return Err(too_few(positions.len(), reading.minimum_points.max(1), place));
        }
        if reading.normalization == Normalization::Cube && !fit_into_cube(&mut positions) {
            return Err(Error::invalid(place, "a shape with some extent", "points that all coincide"));
        }
        let surface = Surface::new(triangles.iter().map(|corners| corners.map(|corner| positions[corner as usize])));
        let rows = interleave(&positions, &columns[CHANNELS..]);
        if triangles.is_empty() {
            return Ok(Self { channels: features.channels(), geometry: Geometry::Cloud(rows), noticed, undivided });
        }
        if surface.area() <= 0.0 {
            return Err(Error::invalid(place, "faces with some area", "an area of 0")
                .with_hint("every face is a line or a point: leave this mesh out, or export it again"));
        }
        let has_normals = NORMALS.iter().all(|wanted| raw.position(wanted).is_some());
        let normals = match features.normals() {
            None => Normals::Unwanted,
            Some(channel) if has_normals => Normals::OfVertices(channel),
            Some(channel) => Normals::OfTriangles(channel),
        };
        let mesh = Mesh { vertices: rows, triangles, surface, normals };
        Ok(Self { channels: features.channels(), geometry: Geometry::Mesh(mesh), noticed, undivided })
    }

    /// Brings its colours to 0..1 that are not there yet; once.
    pub fn divide_colours(&mut self, division: Division) {
        let (Geometry::Cloud(rows) | Geometry::Mesh(Mesh { vertices: rows, .. })) = &mut self.geometry;
        std::mem::take(&mut self.undivided).divide(rows, self.channels, division, &self.noticed);
    }

    /// Stored points; a mesh gives as many as are asked for.
    pub fn points(&self) -> Option<usize> {
        match &self.geometry {
            Geometry::Cloud(rows) => Some(rows.len() / self.channels),
            Geometry::Mesh(_) => None,
        }
    }

    /// The greatest absolute coordinate of its points or vertices.
    pub fn reach(&self) -> f32 {
        let (Geometry::Cloud(rows) | Geometry::Mesh(Mesh { vertices: rows, .. })) = &self.geometry;
        let positions = rows.chunks_exact(self.channels).flat_map(|point| &point[..CHANNELS]);
        positions.fold(0.0, |most, value| most.max(value.abs()))
    }

    /// Takes in its points, or its vertices and triangles.
    pub fn fingerprint(&self, fingerprint: &mut Fingerprint) {
        match &self.geometry {
            Geometry::Cloud(rows) => fingerprint.numbers(rows),
            Geometry::Mesh(mesh) => {
                fingerprint.numbers(&mesh.vertices);
                fingerprint.numbers(mesh.triangles.as_flattened());
            }
        }
    }

    /// Appends `wanted` points: of a cloud the chosen ones, of a mesh fresh ones spread evenly over its surface.
    pub fn sample(&self, wanted: usize, order: PointOrder, generator: &mut impl Rng, out: &mut Vec<f32>) {
        match &self.geometry {
            Geometry::Cloud(rows) => {
                let chosen = choose_points(rows.len() / self.channels, wanted, order, generator);
                out.extend(chosen.iter().flat_map(|point| &rows[point * self.channels..(point + 1) * self.channels]));
            }
            Geometry::Mesh(mesh) => (0..wanted).for_each(|_| mesh.sample(self.channels, generator, out)),
        }
    }
}

impl Mesh {
    /// Appends one point.
    fn sample(&self, channels: usize, generator: &mut impl Rng, out: &mut Vec<f32>) {
        let (triangle, weights) = self.surface.draw(generator);
        let corners = self.triangles[triangle].map(|corner| &self.vertices[corner as usize * channels..][..channels]);
        let mixed =
            |channel: usize| (0..3).map(|corner| weights[corner] * f64::from(corners[corner][channel])).sum::<f64>();
        let start = out.len();
        out.extend((0..channels).map(|channel| mixed(channel) as f32));
        match self.normals {
            Normals::Unwanted => {}
            Normals::OfVertices(channel) => {
                let mean = [0, 1, 2].map(|axis| mixed(channel + axis));
                write_normal(&mut out[start + channel..], mean);
            }
            Normals::OfTriangles(channel) => {
                let corners = corners.map(|corner| [0, 1, 2].map(|axis| f64::from(corner[axis])));
                write_normal(&mut out[start + channel..], cross(&corners));
            }
        }
    }
}

/// The vector at length 1; zero stays zero.
fn write_normal(out: &mut [f32], vector: Vector) {
    let length = length(vector);
    for (value, component) in out.iter_mut().zip(vector) {
        *value = if length > 0.0 { (component / length) as f32 } else { 0.0 };
    }
}

/// The columns of the features, position first; normals that a mesh does not store are zeros for now.
pub(in crate::data) fn select(raw: &Raw, features: &Features, place: &str) -> Result<Vec<Vec<f64>>> {
    let column = |wanted: &str| match raw.column(wanted) {
        None if is_normal(wanted) && !raw.triangles.is_empty() => Ok(vec![0.0; raw.points()]),
        None => Err(missing(raw, features, wanted, place)),
        Some(_) if raw.words(wanted).is_some() => Err(names_alone(wanted, place)),
        Some(values) => Ok(values.to_vec()),
    };
    features.columns().into_iter().map(column).collect()
}

fn names_alone(column: &str, place: &str) -> Error {
    Error::invalid(format!("{place}: {column}"), "numbers, as data.features names it", "names")
        .with_hint("names are labels of points: --kind scenes, or a task of labelled clouds, learns them")
}

fn missing(raw: &Raw, features: &Features, wanted: &str, place: &str) -> Error {
    let error = Error::invalid(place, format!("columns {}", features.columns().join(", ")), raw.names());
    if AXES.contains(&wanted) {
        return error.with_hint(
            "where the columns of the position have other names, data.columns names them: --set \
             'data.columns=[\"Easting\", \"Northing\", \"Height\"]'",
        );
    }
    error.with_hint(format!(
        "data.features asks for '{wanted}': take it out, or name the columns that the files have \
         (columns without names go by their number, counted from 0)"
    ))
}

fn check_triangles(raw: &Raw, vertices: usize, place: &str) -> Result<Vec<[u32; 3]>> {
    let missing = |corner: u64| {
        let expected = format!("faces of the {vertices} vertices, counted from 0");
        Error::invalid(place, expected, format!("a face with vertex {corner}"))
            .with_hint("the file is damaged, or counts its vertices otherwise")
    };
    let narrow = |corner: u64| match u32::try_from(corner) {
        Ok(index) if (index as usize) < vertices => Ok(index),
        _ => Err(missing(corner)),
    };
    raw.triangles.iter().map(|&[a, b, c]| Ok([narrow(a)?, narrow(b)?, narrow(c)?])).collect()
}

fn too_few(points: usize, minimum: usize, place: &str) -> Error {
    Error::invalid(place, format!("at least {minimum} points (k · dilation)"), format!("{points} points"))
        .with_hint("leave this cloud out, sample it more densely, or lower point.k or model.cells")
}

fn interleave(positions: &[Vector], features: &[Vec<f64>]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(positions.len() * (CHANNELS + features.len()));
    for (point, position) in positions.iter().enumerate() {
        rows.extend(position.iter().map(|value| *value as f32));
        rows.extend(features.iter().map(|column| column[point] as f32));
    }
    rows
}

#[cfg(test)]
mod tests;

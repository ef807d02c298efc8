//! What a set of shapes holds: sizes, columns, and every shape that won't do.
//!
//! What a shape must satisfy is checked where it is checked for a run, in `shape`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::augmentation::Normalization;
use super::clouds::Clouds;
use super::colours::Noticed;
use super::config::Hdf5DataConfig;
use super::features::{AXES, Features, NORMALS};
use super::format::Raw;
use super::format::columns::LABELS;
use super::hdf5_set::Files;
use super::item::Item;
use super::layout::Layout;
use super::set::{ShapeSet, Shapes};
use super::shape::{Reading, Shape};
use super::surface::Vector;
use super::variant;
use crate::data::config::Section;
use crate::data::folders::count_extensions;
use crate::data::source::Source;
use crate::data::survey::{Content, Looked, Seen, Spread, Survey, short};
use crate::error::{Error, Result};

/// How many times as large the largest shape may be before a word is due.
const SCALES_DIFFER: f64 = 1000.0;

/// What only sets of shapes hold. Numbers are those of the shapes that can be used.
#[derive(Serialize)]
struct ShapeContent {
    /// Shapes without triangles.
    pub clouds: usize,
    /// Points of the clouds.
    pub points: Option<Spread>,
    /// Shapes with triangles.
    pub meshes: usize,
    /// Vertices of the meshes.
    pub vertices: Option<Spread>,
    /// Triangles of the meshes.
    pub triangles: Option<Spread>,
    /// The box around all shapes, as stored.
    pub range: Option<Bounds>,
    /// The shape with the shortest longest side.
    pub smallest: Option<Extent>,
    /// The shape with the longest side.
    pub largest: Option<Extent>,
    /// Columns, in the order met; meshes have normals by their faces.
    pub columns: Vec<Column>,
    /// What `data.features` can name, because all shapes have it.
    pub features: Vec<String>,
}

/// A box along the axes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounds {
    /// The least x, y and z.
    pub min: [f64; 3],
    /// The greatest x, y and z.
    pub max: [f64; 3],
}

/// A shape by its size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Extent {
    /// The longest side of the box around it, as stored.
    pub extent: f64,
    /// Its file.
    pub shape: String,
}

/// A column of points or vertices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// As `data.features` takes it.
    pub name: String,
    /// Shapes that have it.
    pub shapes: usize,
}

/// Looks at every shape.
pub(super) fn survey(
    source: &Source,
    section: Section<'_, Clouds>,
    config: &Hdf5DataConfig,
    minimum_points: usize,
) -> Result<Survey> {
    let hdf5 = hdf5_files(source, config)?;
    let mut with_stored = section.clone();
    // HDF5 sets are read with normals only where features name them; here they shall be told where they are stored.
    if hdf5.as_ref().map_or(Ok(false), |files| files.have_normals(config))? {
        with_stored.own.features = Features::parse(&["normals".to_owned()])?;
    }
    let set = ShapeSet::open(source, &with_stored, config)?;
    let clouds = section.own.normalized(set.usual);
    let reading = Reading::of(&clouds, 0);
    let files = hdf5.map_or_else(|| extensions(&set.shapes), |files| count_extensions(files.paths()));
    let looked = set.shapes.map(&reading.intake, |item, raw| look(item, raw, &reading));
    let good: Vec<(&Item, &Facts)> =
        looked.iter().filter_map(|(item, facts)| Some((item, facts.as_ref().ok()?))).collect();
    let seen: Vec<Seen<'_>> = looked.iter().map(|(item, facts)| seen(item, facts.as_ref().err())).collect();
    let mut notes = notes(&good, clouds.points, clouds.normalize, minimum_points);
    notes.extend(labelled(&good));
    let noticed = Noticed::sum(good.iter().map(|(_, facts)| &facts.noticed));
    notes.extend(noticed.told(noticed.settle(clouds.color_range, &set.origin)?));
    let (origin, layout, division, classes) = (set.origin, set.layout, set.division, set.classes);
    let set = Looked { origin, layout, division, files, classes };
    let content = content(&good);
    let survey = Survey::new(set, &seen, Content::new(&content, good.len(), content.lines()), notes);
    let recipe = variant(survey.learned_from());
    Ok(survey.with_recipe(recipe))
}

fn seen<'a>(item: &'a Item, error: Option<&'a Error>) -> Seen<'a> {
    Seen { name: &item.name, split: item.split, label: Some(item.label), error }
}

fn content(good: &[(&Item, &Facts)]) -> ShapeContent {
    let (clouds, meshes): (Vec<&Facts>, Vec<&Facts>) =
        good.iter().map(|(_, facts)| *facts).partition(|facts| facts.triangles == 0);
    let columns = columns(good);
    let common: Vec<&str> =
        columns.iter().filter(|column| column.shapes == good.len()).map(|column| column.name.as_str()).collect();
    let extents = || good.iter().map(|(item, facts)| (facts.bounds.extent(), &item.name));
    let extent = |(extent, shape): (f64, &String)| Extent { extent, shape: shape.clone() };
    ShapeContent {
        clouds: clouds.len(),
        points: Spread::of(clouds.iter().map(|facts| facts.rows)),
        meshes: meshes.len(),
        vertices: Spread::of(meshes.iter().map(|facts| facts.rows)),
        triangles: Spread::of(meshes.iter().map(|facts| facts.triangles)),
        range: good.iter().map(|(_, facts)| facts.bounds).reduce(Bounds::join),
        smallest: extents().min_by(|a, b| a.0.total_cmp(&b.0)).map(extent),
        largest: extents().max_by(|a, b| a.0.total_cmp(&b.0)).map(extent),
        features: Features::nameable(&common),
        columns,
    }
}

impl ShapeContent {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(points) = self.points {
            lines.push(("clouds", format!("{}; points each: {points}", self.clouds)));
        }
        if let (Some(vertices), Some(triangles)) = (self.vertices, self.triangles) {
            let meshes = self.meshes;
            lines.push(("meshes", format!("{meshes}; vertices each: {vertices}; triangles each: {triangles}")));
        }
        if let Some(Bounds { min, max }) = self.range {
            let axis = |axis: usize| format!("{} {} to {}", AXES[axis], short(min[axis]), short(max[axis]));
            lines.push(("range", [0, 1, 2].map(axis).join(", ")));
        }
        for (name, extent) in [("smallest", &self.smallest), ("largest", &self.largest)] {
            lines.extend(extent.as_ref().map(|found| (name, format!("{} ({})", short(found.extent), found.shape))));
        }
        let all = self.clouds + self.meshes;
        let (common, rare): (Vec<&Column>, Vec<&Column>) = self.columns.iter().partition(|column| column.shapes == all);
        let names = |columns: &[&Column], name: fn(&Column) -> String| {
            columns.iter().map(|column| name(column)).collect::<Vec<_>>().join(", ")
        };
        lines.push(("columns", names(&common, |column| column.name.clone())));
        if !rare.is_empty() {
            let rare = names(&rare, |column| format!("{} in {}", column.name, column.shapes));
            lines.push(("some have", format!("{rare}, of {all} shapes")));
        }
        if !self.features.is_empty() {
            lines.push(("features", format!("data.features can name {}", self.features.join(", "))));
        }
        lines
    }
}

/// What is told of a shape's content.
struct Facts {
    columns: Vec<String>,
    /// Points, or vertices.
    rows: usize,
    triangles: usize,
    bounds: Bounds,
    noticed: Noticed,
}

impl Facts {
    fn of(raw: &Raw, noticed: Noticed) -> Self {
        let mut columns: Vec<String> = raw.columns.iter().map(|(name, _)| name.clone()).collect();
        if !raw.triangles.is_empty() {
            let missing = NORMALS.iter().filter(|normal| raw.position(normal).is_none());
            columns.extend(missing.map(|normal| (*normal).to_owned()));
        }
        Self { columns, rows: raw.points(), triangles: raw.triangles.len(), bounds: Bounds::of(raw), noticed }
    }
}

impl Bounds {
    fn of(raw: &Raw) -> Self {
        let edge = |start: f64, further: fn(f64, f64) -> f64| {
            AXES.map(|axis| raw.column(axis).into_iter().flatten().copied().fold(start, further))
        };
        Self { min: edge(f64::INFINITY, f64::min), max: edge(f64::NEG_INFINITY, f64::max) }
    }

    fn join(self, other: Self) -> Self {
        let edge = |one: Vector, two: Vector, further: fn(f64, f64) -> f64| -> Vector {
            std::array::from_fn(|axis| further(one[axis], two[axis]))
        };
        Self { min: edge(self.min, other.min, f64::min), max: edge(self.max, other.max, f64::max) }
    }

    /// The longest side.
    fn extent(&self) -> f64 {
        self.max.iter().zip(self.min).map(|(max, min)| max - min).fold(0.0, f64::max)
    }
}

fn look(item: Item, raw: Result<Raw>, reading: &Reading) -> (Item, Result<Facts>) {
    let facts = raw.and_then(|raw| {
        // The points that are left out have no place in the box around it.
        let mut valid = raw.clone();
        reading.intake.drop_invalid(&mut valid, &reading.features, &item.name)?;
        let noticed = Shape::new(raw, &item.name, reading)?.noticed;
        Ok(Facts::of(&valid, noticed))
    });
    (item, facts)
}

fn hdf5_files(source: &Source, config: &Hdf5DataConfig) -> Result<Option<Files>> {
    match source {
        Source::Folder(folder) if Layout::detect(folder) == Some(Layout::Hdf5) => Files::find(folder, config).map(Some),
        _ => Ok(None),
    }
}

fn extensions(shapes: &Shapes) -> BTreeMap<String, usize> {
    match shapes {
        Shapes::Files(files) => count_extensions(files.iter().map(|(_, path)| path).filter(|path| !path.is_dir())),
        Shapes::InMemory(_) => BTreeMap::new(),
    }
}

/// What to do about a column that all shapes have and that is called as labels of points are.
fn labelled(good: &[(&Item, &Facts)]) -> Option<String> {
    let all_have = |label: &&str| good.iter().all(|(_, facts)| facts.columns.iter().any(|name| name == label));
    let label = LABELS.into_iter().find(all_have).filter(|_| !good.is_empty())?;
    Some(format!(
        "all shapes have a column {label}: if it is a class for every point, --kind scenes takes them as labelled clouds"
    ))
}

fn columns(good: &[(&Item, &Facts)]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for name in good.iter().flat_map(|(_, facts)| &facts.columns) {
        match columns.iter_mut().find(|column| column.name == *name) {
            Some(column) => column.shapes += 1,
            None => columns.push(Column { name: name.clone(), shapes: 1 }),
        }
    }
    columns
}

fn notes(good: &[(&Item, &Facts)], wanted: usize, normalization: Normalization, minimum_points: usize) -> Vec<String> {
    let mut notes = Vec::new();
    let too_few = format!(
        "fewer than {minimum_points} points, which the default network of the task points needs (k · dilation): runs \
         refuse them, or go on without them by --skip-bad"
    );
    let repeated = format!("fewer points than data.points = {wanted}: their points are repeated");
    for (least, most, what) in [(0, minimum_points, too_few), (minimum_points, wanted, repeated)] {
        let clouds = good.iter().filter(|(_, facts)| facts.triangles == 0 && (least..most).contains(&facts.rows));
        if let Some((item, facts)) = clouds.clone().min_by_key(|(_, facts)| facts.rows) {
            notes.push(format!("{} clouds (the smallest, {}, {}) have {what}", clouds.count(), item.name, facts.rows));
        }
    }
    let extents = || good.iter().map(|(_, facts)| facts.bounds.extent());
    if extents().fold(0.0, f64::max) > SCALES_DIFFER * extents().fold(f64::INFINITY, f64::min) {
        let then = match normalization {
            Normalization::Cube => "are all in the same unit? For a run they are made equally large",
            _ => "data.normalize = \"cube\" would make them equally large",
        };
        notes.push(format!("the largest shape is more than {SCALES_DIFFER} times as large as the smallest: {then}"));
    }
    notes
}

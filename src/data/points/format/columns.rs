//! Names of columns: one for what the formats and their writers call differently.

use std::collections::HashSet;

use super::Raw;
use crate::error::{Error, Result};

/// The names of colours that files store as bytes or floats.
const COLOURS: [&str; 4] = ["red", "green", "blue", "alpha"];

/// The most columns of a file of points: the longest descriptors of points in use have some thousands. A column costs
/// more than its values, so a file of one endless line would take many times its size.
const MOST_COLUMNS: u64 = 1 << 16;

/// Refuses more columns than a cloud has, before any is made.
///
/// # Errors
/// More of them, with `place` (the file, and the line).
pub(super) fn check_width(columns: u64, place: impl Into<String>) -> Result<()> {
    if columns <= MOST_COLUMNS {
        return Ok(());
    }
    Err(Error::invalid(place, format!("at most {MOST_COLUMNS} values per point"), columns.to_string())
        .with_hint("a point is a line, or a row of an array: are rows and columns exchanged, or line ends missing?"))
}

/// A column as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub name: String,
    pub values: Vec<f64>,
    /// Whether the file stores unsigned bytes, of which colours are brought to 0..1.
    pub is_byte: bool,
}

impl Column {
    /// A column without values yet.
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), values: Vec::new(), is_byte: false }
    }

    /// The column that files without names have at a position.
    pub(super) fn numbered(position: usize) -> Self {
        Self::new(["x", "y", "z"].get(position).map_or_else(|| position.to_string(), ToString::to_string))
    }

    fn finish(self) -> (String, Vec<f64>) {
        let name = common_name(&self.name);
        let mut values = self.values;
        if self.is_byte && COLOURS.contains(&name.as_str()) {
            values.iter_mut().for_each(|value| *value /= f64::from(u8::MAX));
        }
        (name, values)
    }
}

/// Names the columns as [`Raw`] does.
///
/// # Errors
/// Two columns of one name.
pub(super) fn finish(columns: Vec<Column>, triangles: Vec<[u64; 3]>, place: &str) -> Result<Raw> {
    let columns: Vec<(String, Vec<f64>)> = columns.into_iter().map(Column::finish).collect();
    let mut seen = HashSet::new();
    match columns.iter().find(|(name, _)| !seen.insert(name)) {
        Some((name, _)) => Err(Error::invalid(place, "columns of different names", format!("{name} twice"))),
        None => Ok(Raw { columns, triangles }),
    }
}

/// Finds colours that a text, which has no types, writes as bytes: whole numbers up to 255, some above 1.
pub(super) fn mark_byte_colours(columns: &mut [Column]) {
    let is_colour = |column: &Column| COLOURS.contains(&common_name(&column.name).as_str());
    let values = || columns.iter().filter(|column| is_colour(column)).flat_map(|column| &column.values);
    let is_byte = |value: &f64| (0.0..=f64::from(u8::MAX)).contains(value) && value.fract() == 0.0;
    let are_bytes = values().all(is_byte) && values().any(|value| *value > 1.0);
    columns.iter_mut().filter(|column| is_colour(column)).for_each(|column| column.is_byte = are_bytes);
}

/// Lower case, and the shortest of the usual names for normals, the longest for colours.
fn common_name(name: &str) -> String {
    let name = name.to_lowercase();
    let common = match name.as_str() {
        "normal_x" | "n_x" | "normalx" => "nx",
        "normal_y" | "n_y" | "normaly" => "ny",
        "normal_z" | "n_z" | "normalz" => "nz",
        "r" | "diffuse_red" => "red",
        "g" | "diffuse_green" => "green",
        "b" | "diffuse_blue" => "blue",
        "a" | "diffuse_alpha" => "alpha",
        other => other,
    };
    common.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, values: &[f64], is_byte: bool) -> Column {
        Column { name: name.into(), values: values.into(), is_byte }
    }

    #[test]
    fn names_are_the_common_ones_and_byte_colours_go_from_0_to_1() {
        let columns = vec![
            column("X", &[1.0], false),
            column("Normal_X", &[0.5], false),
            column("diffuse_red", &[255.0, 51.0], true),
            column("g", &[0.25], false),
            column("label", &[7.0], true),
        ];
        let raw = finish(columns, vec![[0, 1, 2]], "a").unwrap();
        let expected = [("x", vec![1.0]), ("nx", vec![0.5]), ("red", vec![1.0, 0.2]), ("green", vec![0.25])];
        for ((name, values), (expected_name, expected_values)) in raw.columns.iter().zip(expected) {
            assert_eq!((name.as_str(), values), (expected_name, &expected_values));
        }
        assert_eq!(raw.columns[4], ("label".into(), vec![7.0]));
        assert_eq!(raw.triangles, [[0, 1, 2]]);
    }

    #[test]
    fn colours_of_texts_are_bytes_if_they_can_be_nothing_else() {
        for (red, green, are_bytes) in [
            ([0.0, 255.0], [1.0, 0.0], true),
            ([1.0, 0.0], [1.0, 0.0], false),
            ([0.5, 2.0], [0.0, 0.0], false),
            ([0.0, 256.0], [0.0, 0.0], false),
        ] {
            let mut columns =
                [column("x", &[9.0, 9.0], false), column("R", &red, false), column("green", &green, false)];
            mark_byte_colours(&mut columns);
            assert_eq!(columns.map(|column| column.is_byte), [false, are_bytes, are_bytes]);
        }
    }

    #[test]
    fn a_name_may_stand_once() {
        let error = finish(vec![column("red", &[], false), column("R", &[], false)], vec![], "a.ply").unwrap_err();
        assert_eq!(error.to_string(), "a.ply: expected columns of different names, found red twice");
    }

    #[test]
    fn columns_without_names_are_numbered_after_x_y_z() {
        let names: Vec<String> = (0..5).map(|position| Column::numbered(position).name).collect();
        assert_eq!(names, ["x", "y", "z", "3", "4"]);
    }
}

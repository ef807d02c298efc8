//! What a point has besides its position: the columns that `data.features` asks for.

use super::augmentation::CHANNELS;
use super::format::columns::is_colour;
use crate::error::{Error, Result};

/// Columns of the position.
pub(in crate::data) const AXES: [&str; CHANNELS] = ["x", "y", "z"];

/// Columns of the surface's direction.
pub(in crate::data) const NORMALS: [&str; 3] = ["nx", "ny", "nz"];
/// Columns of the colour.
pub(in crate::data) const COLORS: [&str; 3] = ["red", "green", "blue"];

/// Columns of the position in the whole room.
pub(in crate::data) const ROOM: [&str; 3] = ["room_x", "room_y", "room_z"];

/// One entry of `data.features`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Feature {
    /// The surface's direction at a point, of length 1.
    Normals,
    /// Red, green and blue from 0 to 1.
    Colors,
    /// The position in the whole cloud, from 0 to 1 along each axis; labelled clouds have it where files do not.
    Room,
    /// A column by its name, as the file stores it.
    Column(String),
}

impl Feature {
    fn columns(&self) -> Vec<&str> {
        match self {
            Self::Normals => NORMALS.to_vec(),
            Self::Colors => COLORS.to_vec(),
            Self::Room => ROOM.to_vec(),
            Self::Column(name) => vec![name],
        }
    }
}

/// The channels of an input point: its position, then the features in the order asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::data) struct Features(Vec<Feature>);

impl Features {
    /// Reads `data.features`: `normals`, `colors`, `room`, and names (or numbers) of columns.
    ///
    /// # Errors
    /// A column that comes twice, or one of the position.
    pub fn parse(names: &[String]) -> Result<Self> {
        let feature = |name: &String| match name.as_str() {
            "normals" => Feature::Normals,
            "colors" => Feature::Colors,
            "room" => Feature::Room,
            _ => Feature::Column(name.to_lowercase()),
        };
        let features = Self(names.iter().map(feature).collect());
        let columns = features.columns();
        match (0..columns.len()).find(|&later| columns[..later].contains(&columns[later])) {
            Some(later) => Err(Error::invalid(
                "data.features",
                "columns beyond x, y and z, once each",
                format!("'{}' again", columns[later]),
            )),
            None => Ok(features),
        }
    }

    /// What `data.features` can name where all shapes have these columns.
    pub fn nameable(columns: &[&str]) -> Vec<String> {
        let groups = [("normals", NORMALS), ("colors", COLORS), ("room", ROOM)];
        let whole = groups.into_iter().filter(|(_, group)| group.iter().all(|column| columns.contains(column)));
        let (mut names, mut taken) = (Vec::new(), AXES.to_vec());
        for (name, group) in whole {
            names.push(name.to_owned());
            taken.extend(group);
        }
        names.extend(columns.iter().filter(|column| !taken.contains(column)).map(|column| (*column).to_owned()));
        names
    }

    /// All columns, those of the position first.
    pub fn columns(&self) -> Vec<&str> {
        AXES.into_iter().chain(self.0.iter().flat_map(Feature::columns)).collect()
    }

    /// Whether a channel is a colour.
    pub fn have_colours(&self) -> bool {
        self.columns().into_iter().any(is_colour)
    }

    /// Numbers per point.
    pub fn channels(&self) -> usize {
        self.columns().len()
    }

    /// The first channel of the normals, where they are asked for.
    pub fn normals(&self) -> Option<usize> {
        self.columns().iter().position(|column| *column == NORMALS[0])
    }
}

/// True for a column that a mesh has even where its file does not store it.
pub(super) fn is_normal(column: &str) -> bool {
    NORMALS.contains(&column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Features> {
        Features::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn channels_stand_in_the_order_asked_for() {
        let features = parse(&["Intensity", "normals", "7"]).unwrap();
        assert_eq!(features.columns(), ["x", "y", "z", "intensity", "nx", "ny", "nz", "7"]);
        assert_eq!((features.channels(), features.normals()), (8, Some(4)));
        assert_eq!((parse(&[]).unwrap().channels(), parse(&["colors"]).unwrap().normals()), (3, None));
    }

    #[test]
    fn what_can_be_named_can_be_parsed() {
        let names = Features::nameable(&["x", "y", "z", "red", "nx", "ny", "nz", "curvature"]);
        assert_eq!(names, ["normals", "red", "curvature"]);
        assert_eq!(Features::parse(&names).unwrap().channels(), 8);
        assert_eq!(Features::nameable(&["x", "y", "z"]), Vec::<String>::new());
    }

    #[test]
    fn a_column_stands_once() {
        for names in [&["colors", "red"], &["normals", "normals"], &["intensity", "y"]] {
            let message = parse(names).unwrap_err().to_string();
            assert!(message.starts_with("data.features: expected columns beyond"), "{message}");
        }
    }
}

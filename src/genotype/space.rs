//! The three search spaces by name: their primitives in the order of the alpha tables, and their cells' shape.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::topology::CellKind;

/// A search space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpaceName {
    /// Convolutions and pools on images.
    #[serde(alias = "cnn", alias = "cifar", alias = "imagenet")]
    Image,
    /// Operators on the neighbourhoods of points in a cloud.
    #[serde(alias = "modelnet")]
    Point,
    /// Operators on the nodes of given graphs.
    #[serde(alias = "ppi")]
    Graph,
}

const IMAGE_PRIMITIVES: [&str; 8] = [
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
];

/// Points and graphs share the names; what they compute differs.
const NEIGHBOUR_PRIMITIVES: [&str; 10] =
    ["none", "skip_connect", "conv_1x1", "edge_conv", "mr_conv", "gat", "semi_gcn", "gin", "sage", "rel_sage"];

impl SpaceName {
    /// All spaces.
    pub const ALL: [Self; 3] = [Self::Image, Self::Point, Self::Graph];

    /// The primitives that a search mixes, in the order of the alpha tables; the first is `none`.
    pub fn primitives(self) -> &'static [&'static str] {
        match self {
            Self::Image => &IMAGE_PRIMITIVES,
            Self::Point | Self::Graph => &NEIGHBOUR_PRIMITIVES,
        }
    }

    /// Primitives that only retraining knows, for the cells of other methods (NASNet, AmoebaNet).
    pub fn retrain_only_primitives(self) -> &'static [&'static str] {
        match self {
            Self::Image => &["sep_conv_7x7", "conv_7x1_1x7"],
            Self::Point | Self::Graph => &[],
        }
    }

    /// Everything that an edge of a derived cell may compute: all primitives but `none`.
    pub fn derived_primitives(self) -> impl Iterator<Item = &'static str> {
        self.primitives()[1..].iter().chain(self.retrain_only_primitives()).copied()
    }

    /// The number of inner nodes of a searched cell.
    pub fn steps(self) -> usize {
        match self {
            Self::Image => 4,
            Self::Point | Self::Graph => 3,
        }
    }

    /// The kinds of cell that a search decides.
    pub fn kinds(self) -> &'static [CellKind] {
        match self {
            Self::Image => &[CellKind::Normal, CellKind::Reduce],
            Self::Point | Self::Graph => &[CellKind::Normal],
        }
    }

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Point => "point",
            Self::Graph => "graph",
        }
    }
}

impl std::fmt::Display for SpaceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for SpaceName {
    type Err = Error;

    /// Takes what files may hold: the names, and those of the published code.
    fn from_str(text: &str) -> Result<Self> {
        serde_json::from_value(text.into()).map_err(|_| Error::invalid("space", "image, point or graph", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_of_the_spaces_are_understood() {
        for (text, space) in [
            ("image", SpaceName::Image),
            ("cnn", SpaceName::Image),
            ("cifar", SpaceName::Image),
            ("imagenet", SpaceName::Image),
            ("point", SpaceName::Point),
            ("modelnet", SpaceName::Point),
            ("graph", SpaceName::Graph),
            ("ppi", SpaceName::Graph),
        ] {
            assert_eq!(text.parse::<SpaceName>().unwrap(), space);
        }
        assert_eq!("mesh".parse::<SpaceName>().unwrap_err().exit_code(), 2);
    }

    #[test]
    fn every_table_begins_with_none() {
        for space in SpaceName::ALL {
            assert_eq!(space.primitives()[crate::decision::NONE], "none");
            assert!(!space.derived_primitives().any(|name| name == "none"));
            assert_eq!(space.name().parse::<SpaceName>().unwrap(), space);
        }
    }
}

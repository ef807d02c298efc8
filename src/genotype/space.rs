//! Search spaces by name: their primitives in the order of the alpha tables, and the shape of their cells.
//!
//! The three spaces of this program stand here. Others are made known by [`SpaceName::register`].

use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::batch::BatchKind;
use crate::error::{Error, Result};
use crate::ops::{graph, image, names, point};
use crate::topology::{CellKind, Topology};

/// What genotypes, decisions and drawings need to know of a space.
#[derive(Debug)]
pub struct SpaceDescription {
    /// The name in files and on the command line.
    pub name: &'static str,
    /// Other names that files may hold, such as those of the published code.
    pub aliases: &'static [&'static str],
    /// What its networks take.
    pub takes: BatchKind,
    /// The primitives that a search mixes, in the order of the alpha tables.
    pub primitives: &'static [&'static str],
    /// Primitives that only retraining knows, for the cells of other methods.
    pub retrained: &'static [&'static str],
    /// The shape of a searched cell.
    pub topology: Topology,
    /// The kinds of cell that a search decides.
    pub kinds: &'static [CellKind],
}

/// A search space.
#[derive(Clone, Copy)]
pub struct SpaceName(&'static SpaceDescription);

static IMAGE: SpaceDescription = SpaceDescription {
    name: "image",
    aliases: &["cnn", "cifar", "imagenet"],
    takes: BatchKind::Images,
    primitives: &names(&image::PRIMITIVES),
    retrained: &names(&image::RETRAINED),
    topology: Topology::new(4),
    kinds: &[CellKind::Normal, CellKind::Reduce],
};

static POINT: SpaceDescription = SpaceDescription {
    name: "point",
    aliases: &["modelnet"],
    takes: BatchKind::Points,
    primitives: &names(&point::PRIMITIVES),
    retrained: &[],
    topology: Topology::new(3),
    kinds: &[CellKind::Normal],
};

static GRAPH: SpaceDescription = SpaceDescription {
    name: "graph",
    aliases: &["ppi"],
    takes: BatchKind::Graphs,
    primitives: &names(&graph::PRIMITIVES),
    retrained: &[],
    topology: Topology::new(3),
    kinds: &[CellKind::Normal],
};

/// The spaces of other crates.
static REGISTERED: RwLock<Vec<SpaceName>> = RwLock::new(Vec::new());

impl SpaceName {
    /// Convolutions and pools on images.
    pub const IMAGE: Self = Self(&IMAGE);
    /// Operators on the neighbourhoods of points in a cloud.
    pub const POINT: Self = Self(&POINT);
    /// Operators on the nodes of given graphs.
    pub const GRAPH: Self = Self(&GRAPH);

    /// Makes a space known by its name.
    ///
    /// # Errors
    /// A name that another space has, or a table of primitives that does not fit the shape.
    pub fn register(description: &'static SpaceDescription) -> Result<Self> {
        let SpaceDescription { name, primitives, topology, kinds, .. } = description;
        if Self::all().iter().any(|space| space.answers_to(name)) {
            return Err(Error::invalid("space", "a name that no other has", *name));
        }
        let begins_with_none = primitives.first() == Some(&"none");
        if begins_with_none != topology.has_none() || primitives.len() < topology.first_choosable() + 2 {
            let expected = "two primitives to choose from, after `none` where the shape has it";
            return Err(Error::invalid(format!("the {name} space"), expected, primitives.join(", ")));
        }
        if topology.chooses_none() && kinds.contains(&CellKind::Reduce) {
            let expected = "an edge into every node of a cell that halves the resolution";
            return Err(Error::invalid(format!("the {name} space"), expected, "a node may be left without one"));
        }
        let space = Self(description);
        REGISTERED.write().unwrap_or_else(PoisonError::into_inner).push(space);
        Ok(space)
    }

    /// All spaces, those of this program first.
    pub fn all() -> Vec<Self> {
        let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
        [Self::IMAGE, Self::POINT, Self::GRAPH].into_iter().chain(registered.iter().copied()).collect()
    }

    /// The names of all spaces, for messages: `image, point or graph`.
    pub fn names_in_words() -> String {
        let names: Vec<&str> = Self::all().into_iter().map(Self::name).collect();
        let (last, others) = names.split_last().expect("there are spaces");
        format!("{} or {last}", others.join(", "))
    }

    /// The primitives that a search mixes, in the order of the alpha tables.
    pub fn primitives(self) -> &'static [&'static str] {
        self.0.primitives
    }

    /// Everything that an edge of a derived cell may compute: all primitives that may be chosen, and those that only
    /// retraining knows.
    pub fn derived_primitives(self) -> impl Iterator<Item = &'static str> {
        self.0.primitives[self.topology().first_choosable()..].iter().chain(self.0.retrained).copied()
    }

    /// The shape of a searched cell.
    pub fn topology(self) -> Topology {
        self.0.topology
    }

    /// The kinds of cell that a search decides.
    pub fn kinds(self) -> &'static [CellKind] {
        self.0.kinds
    }

    /// What its networks take.
    pub fn takes(self) -> BatchKind {
        self.0.takes
    }

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    fn answers_to(self, name: &str) -> bool {
        self.0.name == name || self.0.aliases.contains(&name)
    }
}

impl PartialEq for SpaceName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for SpaceName {}

impl std::fmt::Debug for SpaceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
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
        let found = Self::all().into_iter().find(|space| space.answers_to(text));
        found.ok_or_else(|| Error::invalid("space", Self::names_in_words(), text))
    }
}

impl Serialize for SpaceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for SpaceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_of_the_spaces_are_understood() {
        for (text, space) in [
            ("image", SpaceName::IMAGE),
            ("cnn", SpaceName::IMAGE),
            ("cifar", SpaceName::IMAGE),
            ("imagenet", SpaceName::IMAGE),
            ("point", SpaceName::POINT),
            ("modelnet", SpaceName::POINT),
            ("graph", SpaceName::GRAPH),
            ("ppi", SpaceName::GRAPH),
        ] {
            assert_eq!(text.parse::<SpaceName>().unwrap(), space);
        }
        assert_eq!("mesh".parse::<SpaceName>().unwrap_err().exit_code(), 2);
    }

    #[test]
    fn every_table_begins_with_none() {
        for space in [SpaceName::IMAGE, SpaceName::POINT, SpaceName::GRAPH] {
            assert_eq!(space.primitives()[crate::decision::NONE], "none");
            assert!(!space.derived_primitives().any(|name| name == "none"));
            assert_eq!(space.name().parse::<SpaceName>().unwrap(), space);
        }
    }

    #[test]
    fn points_and_graphs_share_the_names() {
        assert_eq!(SpaceName::POINT.primitives(), SpaceName::GRAPH.primitives());
    }

    #[test]
    fn a_space_that_does_not_fit_is_not_registered() {
        static TAKEN: SpaceDescription = SpaceDescription {
            name: "cnn",
            aliases: &[],
            takes: BatchKind::Points,
            primitives: &["none", "a", "b"],
            retrained: &[],
            topology: Topology::new(2),
            kinds: &[CellKind::Normal],
        };
        static SHORT: SpaceDescription = SpaceDescription {
            name: "short",
            aliases: &[],
            takes: BatchKind::Points,
            primitives: &["none", "a"],
            retrained: &[],
            topology: Topology::new(2),
            kinds: &[CellKind::Normal],
        };
        for (wrong, words) in [(&TAKEN, "a name that no other has"), (&SHORT, "two primitives to choose from")] {
            assert!(SpaceName::register(wrong).unwrap_err().to_string().contains(words));
        }
        assert_eq!(SpaceName::all().len(), 3);
    }
}

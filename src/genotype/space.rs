//! Search spaces by name: their primitives in the order of the alpha tables, and the shape of their cells.
//!
//! The spaces of this program stand here. Others are made known by [`SpaceName::register`].

use crate::batch::BatchKind;
use crate::error::{Error, Result};
use crate::ops::{graph, image, names, nas_bench_graph, point};
use crate::registry::{Choice, Registered, Registry};
use crate::topology::{CellKind, CellOutput, Keeps, NoneRule, Topology};

/// What genotypes, decisions and drawings need to know of a space.
#[derive(Debug)]
pub struct SpaceDescription {
    /// The name in files and on the command line.
    pub name: &'static str,
    /// Other names that files may hold, such as those of the published code.
    pub aliases: &'static [&'static str],
    /// What its networks take.
    pub takes: BatchKind,
    /// Whether its networks can give every point of a cloud a class, as labelled clouds ask for.
    pub labels_points: bool,
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
pub type SpaceName = Choice<SpaceDescription>;

impl Registered for SpaceDescription {
    const WHAT: &'static str = "space";

    fn registry() -> &'static Registry<Self> {
        static SPACES: Registry<SpaceDescription> =
            Registry::new(&[&IMAGE, &POINT, &GRAPH, &NAS_BENCH_201, &NAS_BENCH_GRAPH]);
        &SPACES
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }
}

static IMAGE: SpaceDescription = SpaceDescription {
    name: "image",
    aliases: &["cnn", "cifar", "imagenet"],
    takes: BatchKind::Images,
    labels_points: false,
    primitives: &names(&image::PRIMITIVES),
    retrained: &names(&image::RETRAINED),
    topology: Topology::new(4),
    kinds: &[CellKind::Normal, CellKind::Reduce],
};

static POINT: SpaceDescription = SpaceDescription {
    name: "point",
    aliases: &["modelnet"],
    takes: BatchKind::Points,
    labels_points: true,
    primitives: &names(&point::PRIMITIVES),
    retrained: &[],
    topology: Topology::new(3),
    kinds: &[CellKind::Normal],
};

static GRAPH: SpaceDescription = SpaceDescription {
    name: "graph",
    aliases: &["ppi"],
    takes: BatchKind::Graphs,
    labels_points: false,
    primitives: &names(&graph::PRIMITIVES),
    retrained: &[],
    topology: Topology::new(3),
    kinds: &[CellKind::Normal],
};

static NAS_BENCH_201: SpaceDescription = SpaceDescription {
    name: "nas-bench-201",
    aliases: &["nasbench201"],
    takes: BatchKind::Images,
    labels_points: false,
    primitives: &names(&image::nas_bench_201::PRIMITIVES),
    retrained: &[],
    topology: Topology::new(3)
        .with_inputs(1)
        .keeping(Keeps::All)
        .with_none(NoneRule::Choosable)
        .putting_out(CellOutput::LastNode),
    kinds: &[CellKind::Normal],
};

static NAS_BENCH_GRAPH: SpaceDescription = SpaceDescription {
    name: "nas-bench-graph",
    aliases: &[],
    takes: BatchKind::Graphs,
    labels_points: false,
    primitives: &names(&nas_bench_graph::PRIMITIVES),
    retrained: &[],
    topology: Topology::new(4)
        .with_inputs(1)
        .keeping(Keeps::Edges(1))
        .with_none(NoneRule::Absent)
        .putting_out(CellOutput::Leaves),
    kinds: &[CellKind::Normal],
};

impl SpaceName {
    /// Convolutions and pools on images.
    pub const IMAGE: Self = Self::of(&IMAGE);
    /// Operators on the neighbourhoods of points in a cloud.
    pub const POINT: Self = Self::of(&POINT);
    /// Operators on the nodes of given graphs.
    pub const GRAPH: Self = Self::of(&GRAPH);
    /// The cells of NAS-Bench-201: six edges, of which each may be `none`.
    pub const NAS_BENCH_201: Self = Self::of(&NAS_BENCH_201);
    /// The cells of NAS-Bench-Graph, whose scores are known.
    pub const NAS_BENCH_GRAPH: Self = Self::of(&NAS_BENCH_GRAPH);

    /// Makes a space known by its name.
    ///
    /// # Errors
    /// A name that another space has, or a table of primitives that does not fit the shape.
    pub fn register(description: &'static SpaceDescription) -> Result<Self> {
        let SpaceDescription { name, primitives, topology, kinds, .. } = description;
        let begins_with_none = primitives.first() == Some(&"none");
        if begins_with_none != topology.has_none() || primitives.len() < topology.first_choosable() + 2 {
            let expected = "two primitives to choose from, after `none` where the shape has it";
            return Err(Error::invalid(format!("the {name} space"), expected, primitives.join(", ")));
        }
        if topology.chooses_none() && kinds.contains(&CellKind::Reduce) {
            let expected = "an edge into every node of a cell that halves the resolution";
            return Err(Error::invalid(format!("the {name} space"), expected, "a node may be left without one"));
        }
        SpaceDescription::registry().add(description)
    }

    /// The primitives that a search mixes, in the order of the alpha tables.
    pub fn primitives(self) -> &'static [&'static str] {
        self.primitives
    }

    /// Everything that an edge of a derived cell may compute: all primitives that may be chosen, and those that only
    /// retraining knows.
    pub fn derived_primitives(self) -> impl Iterator<Item = &'static str> {
        self.primitives[self.topology.first_choosable()..].iter().chain(self.retrained).copied()
    }

    /// The shape of a searched cell.
    pub fn topology(self) -> Topology {
        self.topology
    }

    /// The kinds of cell that a search decides.
    pub fn kinds(self) -> &'static [CellKind] {
        self.kinds
    }

    /// What its networks take.
    pub fn takes(self) -> BatchKind {
        self.takes
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
        let error = "pont".parse::<SpaceName>().unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.exit_code()),
            ("space: expected image, point, graph, nas-bench-201 or nas-bench-graph, found pont", 2)
        );
        assert_eq!(error.hint(), Some("did you mean point?"));
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
            labels_points: false,
            primitives: &["none", "a", "b"],
            retrained: &[],
            topology: Topology::new(2),
            kinds: &[CellKind::Normal],
        };
        static SHORT: SpaceDescription = SpaceDescription {
            name: "short",
            aliases: &[],
            takes: BatchKind::Points,
            labels_points: false,
            primitives: &["none", "a"],
            retrained: &[],
            topology: Topology::new(2),
            kinds: &[CellKind::Normal],
        };
        for (wrong, words) in [(&TAKEN, "a name that no other has"), (&SHORT, "two primitives to choose from")] {
            assert!(SpaceName::register(wrong).unwrap_err().to_string().contains(words));
        }
        assert_eq!(SpaceName::all().len(), 5);
    }
}

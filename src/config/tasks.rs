//! The tasks that users name: what each searches and trains, and on which data set.

use crate::data::{SampleKind, SetName};
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::model::NetworkKind;
use crate::nearest;

/// A task of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownTask {
    /// What `--task` takes.
    pub name: &'static str,
    /// The space that it searches where no other is named.
    pub space: SpaceName,
    /// What kind of network it trains where no cell is named.
    pub network: NetworkKind,
    /// The data that it reads.
    pub set: SetName,
    /// The task on which what was searched is trained as published, where that is another.
    pub trained_on: Option<&'static str>,
    /// What a search's log says of it.
    pub remark: Option<&'static str>,
}

impl KnownTask {
    /// Refuses cells of a space whose networks take other data, or can't say what this task asks for.
    ///
    /// # Errors
    /// Such a space, with `place` (a key, a flag, a file) as its place.
    pub fn require_space(&self, space: SpaceName, place: &str) -> Result<()> {
        let kind = self.set.kind();
        if space.takes() == kind.batch() && (space.labels_points || kind != SampleKind::Scenes) {
            return Ok(());
        }
        let (own, data) = (self.space, kind.plural());
        Err(Error::invalid(place, format!("a cell of the {own} space"), format!("one of the {space} space")).with_hint(
            format!("{} reads {data}; choose a cell of the {own} space, or a task of the {space} space", self.name),
        ))
    }
}

const fn task(name: &'static str, space: SpaceName, set: SetName) -> KnownTask {
    KnownTask { name, space, network: NetworkKind::Cells(space), set, trained_on: None, remark: None }
}

const fn segmentation(name: &'static str, set: SetName) -> KnownTask {
    KnownTask { network: NetworkKind::ResGcn, ..task(name, SpaceName::POINT, set) }
}

/// Every task, those of a kind of network together; of each the first is the one where none is named.
pub const TASKS: [KnownTask; 12] = [
    KnownTask {
        remark: Some("the paper searched on ModelNet10; this search takes the classes of its own task"),
        ..task("modelnet40", SpaceName::POINT, SetName::ModelNet40)
    },
    KnownTask { trained_on: Some("modelnet40"), ..task("modelnet10", SpaceName::POINT, SetName::ModelNet10) },
    task("points", SpaceName::POINT, SetName::Points),
    task("cifar10", SpaceName::IMAGE, SetName::Cifar10),
    task("cifar100", SpaceName::IMAGE, SetName::Cifar100),
    task("imagenet", SpaceName::IMAGE, SetName::ImageNet),
    task("images", SpaceName::IMAGE, SetName::Images),
    task("ppi", SpaceName::GRAPH, SetName::Ppi),
    task("graphs", SpaceName::GRAPH, SetName::Graphs),
    segmentation("s3dis", SetName::S3dis),
    segmentation("shapenetpart", SetName::ShapeNetPart),
    segmentation("segmentation", SetName::Segmentation),
];

/// The task of this name.
///
/// # Errors
/// A task that this version does not know, with the nearest that it does.
pub fn find(name: &str) -> Result<KnownTask> {
    TASKS.into_iter().find(|known| known.name == name).ok_or_else(|| {
        let hint = nearest::hint(name, &names());
        Error::invalid("task", "a known task", format!("'{name}'")).with_hint(hint)
    })
}

/// The task of the paper for networks of this kind; of a space that is not the paper's, one whose data it takes.
pub fn of_network(network: NetworkKind) -> KnownTask {
    let own = TASKS.into_iter().find(|known| known.network == network);
    let fitting = |known: &KnownTask| match network {
        NetworkKind::Cells(space) => known.set.kind().batch() == space.takes(),
        NetworkKind::ResGcn => false,
    };
    own.or_else(|| TASKS.into_iter().find(fitting)).expect("every kind of network has a task")
}

/// The task of the user's own samples of this kind.
pub fn of_own(kind: SampleKind) -> KnownTask {
    let own = SetName::own(kind);
    TASKS.into_iter().find(|known| known.set == own).expect("own data of every kind has a task")
}

/// The names of all tasks.
pub fn names() -> Vec<&'static str> {
    TASKS.iter().map(|known| known.name).collect()
}

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
    /// What kind of network it trains.
    pub network: NetworkKind,
    /// The data that it reads.
    pub set: SetName,
}

const fn task(name: &'static str, space: SpaceName, set: SetName) -> KnownTask {
    KnownTask { name, network: NetworkKind::Cells(space), set }
}

const fn segmentation(name: &'static str, set: SetName) -> KnownTask {
    KnownTask { name, network: NetworkKind::ResGcn, set }
}

/// Every task, those of a kind of network together; of each the first is the one where none is named.
pub const TASKS: [KnownTask; 12] = [
    task("modelnet40", SpaceName::Point, SetName::ModelNet40),
    task("modelnet10", SpaceName::Point, SetName::ModelNet10),
    task("points", SpaceName::Point, SetName::Points),
    task("cifar10", SpaceName::Image, SetName::Cifar10),
    task("cifar100", SpaceName::Image, SetName::Cifar100),
    task("imagenet", SpaceName::Image, SetName::ImageNet),
    task("images", SpaceName::Image, SetName::Images),
    task("ppi", SpaceName::Graph, SetName::Ppi),
    task("graphs", SpaceName::Graph, SetName::Graphs),
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

/// The task of the paper for networks of this kind.
pub fn of_network(network: NetworkKind) -> KnownTask {
    TASKS.into_iter().find(|known| known.network == network).expect("every kind of network has a task")
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

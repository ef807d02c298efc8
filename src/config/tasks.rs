//! The tasks that users name: what each searches and trains, and on which data set.

use crate::data::{SampleKind, SetName, graphs, images, points, scenes};
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::model::{HandDesigned, NetworkKind};
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
    /// The sizes in which cells are counted for it.
    pub published: &'static [PublishedSize],
    /// What a search's log says of it.
    pub remark: Option<&'static str>,
}

impl KnownTask {
    /// The usual hand-designed network for its data.
    pub fn baseline(&self) -> HandDesigned {
        HandDesigned::usual(self.set.kind.batch, self.set.kind.labels_points)
    }

    /// The sizes in which cells of a space are counted for it.
    pub fn sizes(&self, space: SpaceName) -> &'static [PublishedSize] {
        if space == SpaceName::NAS_BENCH_201 { &NAS_BENCH_201_SIZES } else { self.published }
    }

    /// Refuses cells of a space whose networks take other data, or can't say what this task asks for.
    ///
    /// # Errors
    /// Such a space, with `place` (a key, a flag, a file) as its place.
    pub fn require_space(&self, space: SpaceName, place: &str) -> Result<()> {
        let kind = self.set.kind;
        if space.takes() == kind.batch && (space.labels_points || !kind.labels_points) {
            return Ok(());
        }
        let (own, data) = (self.space, kind.plural);
        Err(Error::invalid(place, format!("a cell of the {own} space"), format!("one of the {space} space")).with_hint(
            format!("{} reads {data}; choose a cell of the {own} space, or a task of the {space} space", self.name),
        ))
    }
}

/// A published size of network.
#[derive(Debug, PartialEq, Eq)]
pub struct PublishedSize {
    /// In the zoo.
    pub name: &'static str,
    /// The embedded training configuration.
    pub config: &'static str,
    /// Classes or labels.
    pub classes: usize,
    /// Numbers per point, pixel or node.
    pub channels: i64,
}

const fn size(name: &'static str, config: &'static str, classes: usize, channels: i64) -> PublishedSize {
    PublishedSize { name, config, classes, channels }
}

/// The networks of the paper on ModelNet40.
static MODELNET40_SIZES: [PublishedSize; 2] =
    [size("modelnet40_C128_9cells", "modelnet40", 40, 3), size("modelnet40_C128_3cells", "modelnet40-small", 40, 3)];

/// The same sizes with the classes of ModelNet10.
static MODELNET10_SIZES: [PublishedSize; 2] =
    [size("modelnet10_C128_9cells", "modelnet40", 10, 3), size("modelnet10_C128_3cells", "modelnet40-small", 10, 3)];

/// The networks of the paper on CIFAR-10 and on ImageNet.
static IMAGE_SIZES: [PublishedSize; 2] =
    [size("cifar10_C36_L20", "cifar10", 10, 3), size("imagenet_C48_L14", "imagenet", 1000, 3)];

/// The first of them with the classes of CIFAR-100.
static CIFAR100_SIZES: [PublishedSize; 1] = [size("cifar100_C36_L20", "cifar100", 100, 3)];

/// A cell in the recipe for S3DIS.
static S3DIS_SIZES: [PublishedSize; 1] = [size("s3dis", "s3dis", 13, 9)];

/// The networks of NAS-Bench-201 (arXiv 2001.00326); that of ImageNet16-120 has as many classes.
static NAS_BENCH_201_SIZES: [PublishedSize; 3] = [
    size("cifar10_C16_N5", "cifar10-nas-bench-201", 10, 3),
    size("cifar100_C16_N5", "cifar10-nas-bench-201", 100, 3),
    size("imagenet16_C16_N5", "cifar10-nas-bench-201", 120, 3),
];

/// The networks of the paper on PPI.
static PPI_SIZES: [PublishedSize; 2] =
    [size("ppi_C512_5cells", "ppi", 121, 50), size("ppi_C64_5cells", "ppi-small", 121, 50)];

const fn task(name: &'static str, space: SpaceName, set: SetName) -> KnownTask {
    KnownTask { name, space, network: NetworkKind::Cells(space), set, trained_on: None, published: &[], remark: None }
}

const fn segmentation(name: &'static str, set: SetName) -> KnownTask {
    KnownTask { network: NetworkKind::HandDesigned(HandDesigned::ResGcn), ..task(name, SpaceName::POINT, set) }
}

/// Every task of this program, those of a kind of network together; of each the first is the one where none is named.
const TASKS: [KnownTask; 12] = [
    KnownTask {
        published: &MODELNET40_SIZES,
        remark: Some("the paper searched on ModelNet10; this search takes the classes of its own task"),
        ..task("modelnet40", SpaceName::POINT, &points::MODELNET40)
    },
    KnownTask {
        trained_on: Some("modelnet40"),
        published: &MODELNET10_SIZES,
        ..task("modelnet10", SpaceName::POINT, &points::MODELNET10)
    },
    KnownTask { published: &MODELNET40_SIZES, ..task("points", SpaceName::POINT, &points::POINTS) },
    KnownTask { published: IMAGE_SIZES.split_at(1).0, ..task("cifar10", SpaceName::IMAGE, &images::CIFAR10) },
    KnownTask { published: &CIFAR100_SIZES, ..task("cifar100", SpaceName::IMAGE, &images::CIFAR100) },
    KnownTask { published: IMAGE_SIZES.split_at(1).1, ..task("imagenet", SpaceName::IMAGE, &images::IMAGENET) },
    KnownTask { published: &IMAGE_SIZES, ..task("images", SpaceName::IMAGE, &images::IMAGES) },
    KnownTask { published: &PPI_SIZES, ..task("ppi", SpaceName::GRAPH, &graphs::PPI) },
    KnownTask { published: &PPI_SIZES, ..task("graphs", SpaceName::GRAPH, &graphs::GRAPHS) },
    KnownTask { published: &S3DIS_SIZES, ..segmentation("s3dis", &scenes::S3DIS) },
    KnownTask { published: &S3DIS_SIZES, ..segmentation("shapenetpart", &scenes::SHAPENET_PART) },
    KnownTask { published: &S3DIS_SIZES, ..segmentation("segmentation", &scenes::SEGMENTATION) },
];

/// Every task: those of this program, and one for the own set of each family that another crate adds.
pub fn all() -> Vec<KnownTask> {
    let mut all = TASKS.to_vec();
    for kind in SampleKind::all() {
        if !all.iter().any(|known| known.set == kind.own) {
            let usual = TASKS.into_iter().find(|known| {
                let set = known.set;
                set == set.kind.own && set.kind.batch == kind.batch && set.kind.labels_points == kind.labels_points
            });
            all.extend(usual.map(|usual| KnownTask { name: kind.own.name, set: kind.own, ..usual }));
        }
    }
    all
}

/// The task of this name.
///
/// # Errors
/// A task that this version does not know, with the nearest that it does.
pub fn find(name: &str) -> Result<KnownTask> {
    all().into_iter().find(|known| known.name == name).ok_or_else(|| {
        let hint = nearest::hint(name, &names());
        Error::invalid("task", "a known task", format!("'{name}'")).with_hint(hint)
    })
}

/// The task of the paper for networks of this kind; of a space that is not the paper's, one whose data it takes.
pub fn of_network(network: NetworkKind) -> KnownTask {
    let own = TASKS.into_iter().find(|known| known.network == network);
    let fitting = |known: &KnownTask| match network {
        NetworkKind::Cells(space) => known.set.kind.batch == space.takes(),
        NetworkKind::HandDesigned(network) => {
            let kind = known.set.kind;
            kind.batch == network.takes() && kind.labels_points == network.labels_points()
        }
    };
    own.or_else(|| TASKS.into_iter().find(fitting)).expect("every kind of network has a task")
}

/// The task of the user's own samples that networks of this space take.
pub fn of_space(space: SpaceName) -> KnownTask {
    let own = |known: &KnownTask| known.set == known.set.kind.own && known.set.kind.batch == space.takes();
    TASKS.into_iter().find(own).expect("own data of every kind has a task")
}

/// The task of the user's own samples of this kind.
pub fn of_own(kind: SampleKind) -> KnownTask {
    all().into_iter().find(|known| known.set == kind.own).expect("own data of every kind has a task")
}

/// The names of all tasks.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|known| known.name).collect()
}

//! Where a data set is looked for, and which layout a folder has.
//!
//! In order: what the user named (`--data`, `data.source`), `$SGAS_DATA/<folder>`, `data/<folder>`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::graphs::layout as graphs;
use super::images::layout::{self as pictures, PICKLES, is_pickled};
use super::kind::SampleKind;
use super::points::is_class_folder;
use super::scenes;
use crate::error::{Error, Result};

/// The variable with the folder that holds data sets.
const DATA_VARIABLE: &str = "SGAS_DATA";

/// The name that stands for the built-in set.
const SYNTHETIC: &str = "synthetic";

/// A data set, as tasks name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetName {
    /// ModelNet40, in HDF5 files or as a folder of classes.
    ModelNet40,
    /// ModelNet10, as a folder of classes.
    ModelNet10,
    /// The user's own shapes, in any layout of shapes.
    Points,
    /// CIFAR-10, in binary files or as a folder of classes.
    Cifar10,
    /// CIFAR-100, in binary files or as a folder of classes.
    Cifar100,
    /// ImageNet (ILSVRC2012), as a folder of classes.
    ImageNet,
    /// The user's own pictures, in any layout of pictures.
    Images,
    /// PPI: graphs of proteins that interact.
    Ppi,
    /// The user's own graphs, in any layout of graphs.
    Graphs,
    /// S3DIS: rooms of six areas, in blocks of 4096 points.
    S3dis,
    /// The parts of ShapeNet's shapes.
    ShapeNetPart,
    /// The user's own labelled clouds.
    Segmentation,
}

impl SetName {
    /// The usual names of its folder, in the order looked for; own data has none.
    pub fn folders(self) -> &'static [&'static str] {
        match self {
            Self::ModelNet40 => &["modelnet40_ply_hdf5_2048", "ModelNet40"],
            Self::ModelNet10 => &["ModelNet10"],
            // The second one can't be read; it is looked for to say so.
            Self::Cifar10 => &["cifar-10-batches-bin", "cifar-10-batches-py"],
            Self::Cifar100 => &["cifar-100-binary", "cifar-100-python"],
            Self::ImageNet => &["imagenet", "ILSVRC2012"],
            Self::Ppi => &["ppi"],
            Self::S3dis => &["indoor3d_sem_seg_hdf5_data"],
            Self::ShapeNetPart => &[
                "shapenetcore_partanno_segmentation_benchmark_v0_normal",
                "shapenetcore_partanno_segmentation_benchmark_v0",
            ],
            Self::Points | Self::Images | Self::Graphs | Self::Segmentation => &[],
        }
    }

    fn published(self) -> &'static str {
        match self {
            Self::ModelNet40 => {
                "\nModelNet40 is published as https://shapenet.cs.stanford.edu/media/modelnet40_ply_hdf5_2048.zip (clouds) \
                 and https://modelnet.cs.princeton.edu/ModelNet40.zip (meshes)"
            }
            Self::ModelNet10 => {
                "\nModelNet10 is published as https://vision.princeton.edu/projects/2014/3DShapeNets/ModelNet10.zip"
            }
            Self::Cifar10 => "\nCIFAR-10 is published as https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            Self::Cifar100 => "\nCIFAR-100 is published as https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            Self::ImageNet => {
                "\nImageNet is published at https://image-net.org/challenges/LSVRC/2012/ (after registration)"
            }
            Self::Ppi => "\nPPI is published as https://data.dgl.ai/dataset/ppi.zip",
            Self::S3dis => {
                "\nS3DIS in this layout is published as https://shapenet.cs.stanford.edu/media/indoor3d_sem_seg_hdf5_data.zip"
            }
            Self::ShapeNetPart => {
                "\nShapeNet-part is published as https://shapenet.cs.stanford.edu/media/shapenetcore_partanno_segmentation_benchmark_v0_normal.zip"
            }
            Self::Points | Self::Images | Self::Graphs | Self::Segmentation => "",
        }
    }

    /// What a sample is.
    pub fn kind(self) -> SampleKind {
        match self {
            Self::ModelNet40 | Self::ModelNet10 | Self::Points => SampleKind::Shapes,
            Self::Cifar10 | Self::Cifar100 | Self::ImageNet | Self::Images => SampleKind::Pictures,
            Self::Ppi | Self::Graphs => SampleKind::Graphs,
            Self::S3dis | Self::ShapeNetPart | Self::Segmentation => SampleKind::Scenes,
        }
    }

    /// The user's own samples of this kind.
    pub fn own(kind: SampleKind) -> Self {
        match kind {
            SampleKind::Shapes => Self::Points,
            SampleKind::Pictures => Self::Images,
            SampleKind::Graphs => Self::Graphs,
            SampleKind::Scenes => Self::Segmentation,
        }
    }

    /// True where `folder` may hold the set, by its layout; the two CIFARs are told apart.
    fn may_be_in(self, folder: &Path) -> bool {
        match self.kind() {
            SampleKind::Shapes => Layout::detect(folder).is_some(),
            SampleKind::Pictures => match pictures::Layout::detect(folder) {
                None => false,
                Some(pictures::Layout::Cifar10) => self != Self::Cifar100,
                Some(pictures::Layout::Cifar100) => self != Self::Cifar10,
                Some(pictures::Layout::ClassFolders) => true,
            },
            SampleKind::Graphs => match graphs::Layout::detect(folder) {
                None => false,
                Some(graphs::Layout::Ppi) => true,
                Some(_) => self == Self::Graphs,
            },
            SampleKind::Scenes => match scenes::layout::Layout::detect(folder) {
                None => false,
                Some(scenes::layout::Layout::S3dis) => self != Self::ShapeNetPart,
                Some(scenes::layout::Layout::ShapeNetPart) => self != Self::S3dis,
                Some(scenes::layout::Layout::Clouds) => self == Self::Segmentation,
            },
        }
    }
}

/// Where samples come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The built-in set.
    Synthetic,
    /// A folder in one of the known layouts.
    Folder(PathBuf),
}

impl fmt::Display for Source {
    /// As `data.source` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synthetic => f.write_str(SYNTHETIC),
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How a folder stores its clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `ply_data_{train,test}*.h5` and `shape_names.txt`.
    ModelNetHdf5,
    /// Folders of classes with a file per shape.
    ClassFolders,
}

impl Layout {
    /// The layout that `folder` has, judged by names alone.
    pub(super) fn detect(folder: &Path) -> Option<Self> {
        let entries: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
        if entries.iter().any(|path| path.extension().is_some_and(|extension| extension == "h5")) {
            return Some(Self::ModelNetHdf5);
        }
        is_class_folder(folder).then_some(Self::ClassFolders)
    }
}

/// Finds the data of `set`. `named` is what the user asked for: `synthetic`, the set's folder, or its parent.
///
/// # Errors
/// Found nowhere: the paths tried, the layouts, where the set is published, and `--data synthetic` to try.
pub fn find(set: SetName, named: Option<&str>) -> Result<Source> {
    if named == Some(SYNTHETIC) {
        return Ok(Source::Synthetic);
    }
    let variable = std::env::var_os(DATA_VARIABLE).map(PathBuf::from);
    let tried = candidates(set, named.map(Path::new), variable.as_deref());
    match tried.iter().find(|path| set.may_be_in(path)) {
        Some(path) => Ok(Source::Folder(path.canonicalize().map_err(|error| Error::read(path, error))?)),
        None => Err(not_found(set, &tried)),
    }
}

/// Finds own data of whatever kind; where a folder has a layout of several, it holds graphs rather than pictures,
/// these rather than shapes, and these rather than labelled clouds, as tables and texts beside them would do for points. `synthetic` is shapes unless `kind`
/// says otherwise.
///
/// # Errors
/// No known layout of this kind, or of any.
pub fn find_own(kind: Option<SampleKind>, named: &str) -> Result<(SampleKind, Source)> {
    let has = |kind: SampleKind| SetName::own(kind).may_be_in(Path::new(named));
    let kind = kind.or_else(|| {
        // Published layouts of labelled clouds are nothing else, though their files are those of shapes.
        if scenes::layout::is_published(Path::new(named)) {
            return Some(SampleKind::Scenes);
        }
        let kinds = [SampleKind::Graphs, SampleKind::Pictures, SampleKind::Shapes, SampleKind::Scenes].into_iter();
        let found: Vec<SampleKind> = kinds.filter(|kind| has(*kind)).collect();
        // A table or a list beside folders of classes might be a cloud, but hardly is.
        if let [first, second, ..] = found[..]
            && second != SampleKind::Scenes
        {
            let (one, other, word) = (first.plural(), second.plural(), second.word());
            tracing::warn!("{named} may hold {one} or {other}; told are the {one}, --kind {word} tells the others");
        }
        if named == SYNTHETIC { Some(SampleKind::Shapes) } else { found.first().copied() }
    });
    match kind {
        Some(kind) => Ok((kind, find(SetName::own(kind), Some(named))?)),
        None => Err(of_no_kind(Path::new(named))),
    }
}

fn of_no_kind(folder: &Path) -> Error {
    let [shapes, pictures, graphs, scenes] = SampleKind::ALL.map(SampleKind::layouts);
    Error::usage(format!("no data found; tried {}", describe(None, folder)))
        .with_hint(format!("name a folder of shapes: {shapes}; or of pictures: {pictures}; or of graphs: {graphs}; or of labelled clouds: {scenes}"))
}

/// A folder that the user named is the only place looked at, itself and the set's folder in it.
fn candidates(set: SetName, named: Option<&Path>, variable: Option<&Path>) -> Vec<PathBuf> {
    let within = |root: &Path| set.folders().iter().map(|folder| root.join(folder)).collect::<Vec<_>>();
    match named {
        Some(named) => std::iter::once(named.to_owned()).chain(within(named)).collect(),
        None => variable.into_iter().chain([Path::new("data")]).flat_map(within).collect(),
    }
}

fn not_found(set: SetName, tried: &[PathBuf]) -> Error {
    let what = set.folders().first().copied().unwrap_or(set.kind().plural());
    let message = if tried.is_empty() {
        format!("{what}: no data folder was named")
    } else {
        let lines: Vec<String> = tried.iter().map(|path| describe(Some(set.kind()), path)).collect();
        format!("{what}: no data found; tried {}", lines.join(", "))
    };
    Error::usage(message).with_hint(format!(
        "name the folder with --data DIR or put it under ${DATA_VARIABLE}; its layout is either \
         {}. `--data {SYNTHETIC}` tries everything on built-in {}.{}",
        set.kind().layouts(),
        set.kind().plural(),
        set.published()
    ))
}

/// What there is instead of samples of this kind, or of any.
fn describe(kind: Option<SampleKind>, path: &Path) -> String {
    let state = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "not there".to_owned(),
        Err(error) => error.to_string(),
        Ok(_) if kind.is_none_or(|kind| kind == SampleKind::Pictures) && is_pickled(path) => PICKLES.to_owned(),
        Ok(mut entries) => match entries.next() {
            None => "empty".to_owned(),
            Some(_) => {
                format!("no {} in a known layout", kind.map_or("shapes, pictures or graphs", SampleKind::plural))
            }
        },
    };
    format!("{} ({state})", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_folder_may_be_the_set_or_its_parent_and_nothing_else_is_tried() {
        let tried = candidates(SetName::ModelNet10, Some(Path::new("/d")), Some(Path::new("/v")));
        assert_eq!(tried, [PathBuf::from("/d"), PathBuf::from("/d/ModelNet10")]);
    }

    #[test]
    fn the_variable_comes_before_the_folder_data() {
        let tried = candidates(SetName::ModelNet40, None, Some(Path::new("/v")));
        let expected =
            ["/v/modelnet40_ply_hdf5_2048", "/v/ModelNet40", "data/modelnet40_ply_hdf5_2048", "data/ModelNet40"];
        assert_eq!(tried, expected.map(PathBuf::from));
        assert_eq!(candidates(SetName::ModelNet10, None, None), [PathBuf::from("data/ModelNet10")]);
    }

    #[test]
    fn own_data_must_be_named() {
        assert_eq!(candidates(SetName::Points, None, Some(Path::new("/v"))), Vec::<PathBuf>::new());
        for (set, what) in [(SetName::Points, "shapes"), (SetName::Images, "pictures"), (SetName::Graphs, "graphs")] {
            let error = find(set, None).unwrap_err();
            assert_eq!(error.to_string(), format!("{what}: no data folder was named"));
            assert!(error.hint().unwrap().contains(&format!("built-in {what}")));
        }
    }

    #[test]
    fn synthetic_is_a_source_like_any_other() {
        assert_eq!(find(SetName::ModelNet40, Some("synthetic")).unwrap(), Source::Synthetic);
        assert_eq!(Source::Synthetic.to_string(), "synthetic");
    }
}

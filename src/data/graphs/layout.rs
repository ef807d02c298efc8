//! Which layout a folder of graphs has, judged by names alone.

use std::path::Path;

use crate::reading::is_there;

/// What a folder of graphs may look like, for messages.
pub(in crate::data) const LAYOUTS: &str = "edges.csv (source, target), features.csv, labels.csv, where there are \
     several graphs graphs.csv, and perhaps lists of nodes train.txt, valid.txt and test.txt (tables also as .npy), or \
     {train,valid,test}_{graph.json,feats.npy,labels.npy,graph_id.npy} (PPI)";

/// The extensions of tables.
pub(super) const EXTENSIONS: [&str; 2] = ["csv", "npy"];

/// How a folder stores its graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum Layout {
    /// `{train,valid,test}_{graph.json,feats.npy,labels.npy,graph_id.npy}`.
    Ppi,
    /// Tables and lists.
    Tables,
}

impl Layout {
    /// The layout that `folder` has, also where some of its files are missing: that is told when they are read.
    pub(in crate::data) fn detect(folder: &Path) -> Option<Self> {
        let has = |name: String| is_there(&folder.join(name));
        let has_part = |part: &str| ["graph.json", "feats.npy"].iter().any(|end| has(format!("{part}_{end}")));
        if ["train", "valid", "test"].into_iter().any(has_part) {
            return Some(Self::Ppi);
        }
        let has_table = |table: &str| EXTENSIONS.iter().any(|extension| has(format!("{table}.{extension}")));
        ["edges", "features"].into_iter().any(has_table).then_some(Self::Tables)
    }

    /// True for a folder with all that a graph must have, so that it can be nothing else.
    pub(super) fn is_whole(folder: &Path) -> bool {
        let has =
            |table: &str| EXTENSIONS.iter().any(|extension| is_there(&folder.join(format!("{table}.{extension}"))));
        match Self::detect(folder) {
            Some(Self::Tables) => has("edges") && has("features"),
            found => found.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_known_by_one_of_its_files() {
        let of = |name: &str| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(name), "").unwrap();
            Layout::detect(folder.path())
        };
        assert_eq!(of("valid_graph.json"), Some(Layout::Ppi));
        assert_eq!(of("edges.csv"), Some(Layout::Tables));
        assert_eq!(of("features.npy"), Some(Layout::Tables));
        assert_eq!(of("labels.csv"), None);
        assert_eq!(Layout::detect(Path::new("nowhere")), None);
    }
}

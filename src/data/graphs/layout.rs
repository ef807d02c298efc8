//! Which layout a folder of graphs has, and which file is which table or list, judged by names alone.

use std::path::{Path, PathBuf};

use super::headings::{split_of, split_word};
use super::lists::ListFile;
use super::planetoid;
use super::tables::{has_extension, missing};
use crate::data::folders::{entries, file_name, folders};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading::is_there;

/// What a folder of graphs may look like, for messages.
pub(in crate::data) const LAYOUTS: &str = "edges.csv (source, target), features.csv, labels.csv, where there are \
     several graphs graphs.csv, and perhaps lists of nodes train.txt, valid.txt and test.txt (tables also as .npy, .txt, \
     .tsv and packed by gzip), or {train,valid,test}_{graph.json,feats.npy,labels.npy,graph_id.npy} (PPI), or OGB's \
     raw/edge.csv.gz, or NAME.content and NAME.cites, or Planetoid's ind.NAME.allx and others";

/// A table of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Edges,
    Features,
    Labels,
    Graphs,
    /// Nodes of each graph, as OGB counts them.
    NodeCounts,
    /// Edges of each graph, as OGB counts them.
    EdgeCounts,
}

impl Kind {
    /// The names of such a table; the first is the one that messages ask for.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Edges => &["edges", "edge", "edge_list", "edgelist", "edge_index", "links"],
            Self::Features => &["features", "node-feat", "node_features", "node_feat", "feats", "x"],
            Self::Labels => &["labels", "node-label", "node_labels", "node_label", "y"],
            Self::Graphs => &["graphs", "graph_id", "graph_ids", "batch"],
            Self::NodeCounts => &["num-node-list"],
            Self::EdgeCounts => &["num-edge-list"],
        }
    }
}

/// The extensions of tables.
const EXTENSIONS: [&str; 4] = ["csv", "npy", "txt", "tsv"];

/// That of a sparse matrix.
const SPARSE: &str = "npz";

/// The extensions of lists.
const OF_LISTS: [&str; 8] = ["txt", "csv", "tsv", "npy", "lst", "list", "dat", "index"];

/// The extensions of what may say how a set is divided, and is not read.
const NOT_READ: [&str; 12] =
    ["npz", "pt", "pth", "pkl", "pickle", "json", "parquet", "feather", "mat", "h5", "hdf5", "xlsx"];

/// What a table of splits may be called.
const OF_SPLITS: [&str; 8] =
    ["split", "splits", "mask", "masks", "node_split", "node_splits", "partition", "partitions"];

/// OGB's folder of tables.
pub(super) const RAW: &str = "raw";

/// Folders of lists.
const LIST_FOLDERS: [&str; 2] = ["split", "splits"];

/// How a folder stores its graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum Layout {
    /// `{train,valid,test}_{graph.json,feats.npy,labels.npy,graph_id.npy}`.
    Ppi,
    /// Tables and lists.
    Tables,
    /// OGB's: tables in `raw`, lists in `split`.
    Ogb,
    /// `NAME.content` and `NAME.cites`: nodes with their words and class, and who cites whom.
    Content,
    /// Planetoid's `ind.NAME.x`, ..., which Python pickled.
    Pickled,
}

impl Layout {
    /// The layout that `folder` has, also where some of its files are missing: that is told when they are read.
    pub(in crate::data) fn detect(folder: &Path) -> Option<Self> {
        let has = |name: String| is_there(&folder.join(name));
        let has_part = |part: &str| ["graph.json", "feats.npy"].iter().any(|end| has(format!("{part}_{end}")));
        if ["train", "valid", "test"].into_iter().any(has_part) {
            return Some(Self::Ppi);
        }
        let has_table = |table: &str| ["csv", "npy"].iter().any(|extension| has(format!("{table}.{extension}")));
        if ["edges", "features"].into_iter().any(has_table) || has_both(folder) {
            return Some(Self::Tables);
        }
        let has_raw = |kind: Kind| !tables(&folder.join(RAW), kind).is_empty();
        if has_raw(Kind::Edges) && (has_raw(Kind::NodeCounts) || has_raw(Kind::Features)) {
            return Some(Self::Ogb);
        }
        let names: Vec<String> = entries(folder).ok()?.iter().map(|path| file_name(path)).collect();
        if content(&names).is_some() {
            return Some(Self::Content);
        }
        planetoid::is_one(&names).then_some(Self::Pickled)
    }

    /// True for a folder with all that a graph must have, so that it can be nothing else.
    pub(super) fn is_whole(folder: &Path) -> bool {
        match Self::detect(folder) {
            Some(Self::Tables) => has_both(folder),
            found => found.is_some(),
        }
    }

    /// The layout in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Ppi => "PPI",
            Self::Tables => "edges, features, labels",
            Self::Ogb => "OGB",
            Self::Content | Self::Pickled => "Planetoid",
        }
    }
}

/// True for a folder with edges and features.
fn has_both(folder: &Path) -> bool {
    [Kind::Edges, Kind::Features].into_iter().all(|kind| !tables(folder, kind).is_empty())
}

/// The NAME of `NAME.content` and `NAME.cites`.
fn content(names: &[String]) -> Option<String> {
    let stems = names.iter().filter_map(|name| name.strip_suffix(".content"));
    stems.map(str::to_owned).find(|stem| names.contains(&format!("{stem}.cites")))
}

/// The files of nodes and of links in such a layout.
///
/// # Errors
/// A folder that can't be listed, or without them.
pub(super) fn content_files(folder: &Path) -> Result<[PathBuf; 2]> {
    let names: Vec<String> = entries(folder)?.iter().map(|path| file_name(path)).collect();
    let stem = content(&names).ok_or_else(|| missing(folder, "NAME.content and NAME.cites"))?;
    Ok(["content", "cites"].map(|end| folder.join(format!("{stem}.{end}"))))
}

/// The files that may be this table of a folder.
pub(super) fn tables(folder: &Path, kind: Kind) -> Vec<PathBuf> {
    let sparse = (kind == Kind::Features).then_some(SPARSE);
    let mut found = Vec::new();
    for name in kind.names() {
        for extension in EXTENSIONS.into_iter().chain(sparse) {
            for packed in ["", ".gz"] {
                found.push(folder.join(format!("{name}.{extension}{packed}")));
            }
        }
    }
    found.retain(|path| is_there(path));
    found
}

/// This table of a folder, where there is one.
///
/// # Errors
/// Several files that may be it.
pub(super) fn find(folder: &Path, kind: Kind) -> Result<Option<PathBuf>> {
    let found = tables(folder, kind);
    let names: Vec<String> = found.iter().map(|path| file_name(path)).collect();
    let expected = names.join(" or ");
    match (found.into_iter().next(), names.len()) {
        (first, 0 | 1) => Ok(first),
        (_, count) => {
            let found = if count == 2 { "both".to_owned() } else { format!("all {count}") };
            Err(Error::invalid(folder, expected, found).with_hint("remove those that are not meant"))
        }
    }
}

/// The same of a table that must be there.
///
/// # Errors
/// None or several.
pub(super) fn require(folder: &Path, kind: Kind) -> Result<PathBuf> {
    find(folder, kind)?.ok_or_else(|| missing(folder, &format!("{0}.csv or {0}.npy", kind.names()[0])))
}

/// The name without what says how it is stored.
fn stem(name: &str) -> &str {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The lists of a folder, of which these are named by the configuration: for training and for testing.
///
/// # Errors
/// Folders that can't be listed; a list that the configuration names and that is not there; files that look as if
/// they said how the set is divided, and can't be read.
pub(super) fn lists(folder: &Path, [train, test]: [&str; 2]) -> Result<Vec<ListFile>> {
    let mut files = Vec::new();
    for (name, split) in [(train, Split::Train), (test, Split::Test)] {
        let path = folder.join(name);
        let is_usual = split_of(stem(name)) == Some(split);
        if !is_usual && !is_there(&path) {
            let key = if split == Split::Train { "data.train_list" } else { "data.test_list" };
            return Err(Error::invalid(key, format!("a list in {}", folder.display()), name)
                .with_hint("name a file of the folder, or leave the key out"));
        }
        if is_there(&path) {
            files.push(ListFile { path, split: Some(split) });
        }
    }
    let is_named = |split: Split, files: &[ListFile]| {
        let usual = if split == Split::Train { "train.txt" } else { "test.txt" };
        let named = if split == Split::Train { train } else { test };
        named != usual && files.iter().any(|file| file.split == Some(split)) && split != Split::Validation
    };
    let named = files.clone();
    for path in list_candidates(folder)? {
        let name = file_name(&path);
        let split = split_of(stem(&name));
        if named.iter().any(|file| file.path == path) || split.is_some_and(|split| is_named(split, &named)) {
            continue;
        }
        let is_table = OF_SPLITS.contains(&&*stem(&name).to_lowercase());
        if split.is_none() && !is_table {
            if says_split(&name) && (OF_LISTS.iter().chain(&NOT_READ)).any(|extension| has_extension(&path, extension))
            {
                return Err(not_read(&path));
            }
        } else if OF_LISTS.iter().any(|extension| has_extension(&path, extension)) || !name.contains('.') {
            files.push(ListFile { path, split });
        } else if NOT_READ.iter().any(|extension| has_extension(&path, extension)) {
            return Err(not_read(&path));
        }
    }
    if files.is_empty() {
        refuse_parts(folder)?;
    }
    files.sort_by_key(|file| file.split.map_or(0, |split| split as usize));
    Ok(files)
}

/// The files of a folder, and of the one folder of lists in it.
fn list_candidates(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = entries(folder)?.into_iter().filter(|path| !path.is_dir()).collect();
    for within in LIST_FOLDERS.map(|name| folder.join(name)).into_iter().filter(|path| path.is_dir()) {
        let mut found = entries(&within)?;
        found.retain(|path| !path.is_dir());
        let others = folders(&within)?;
        if found.iter().all(|path| split_of(stem(&file_name(path))).is_none()) {
            found = match &others[..] {
                [] => found,
                [only] => entries(only)?,
                _ => {
                    let names: Vec<String> = others.iter().map(|path| file_name(path)).collect();
                    return Err(Error::invalid(&within, "one way to divide the set", names.join(", ")).with_hint(
                        "remove the folders that are not meant, or copy the lists of one beside the tables",
                    ));
                }
            };
        }
        if !found.is_empty() && found.iter().all(|path| split_of(stem(&file_name(path))).is_none()) {
            return Err(not_read(&found[0]));
        }
        files.extend(found.into_iter().filter(|path| !path.is_dir()));
    }
    Ok(files)
}

/// True for a name with a word such as `split`, or a split's beside the set's: `cora_split_0`, `cora.train`.
fn says_split(name: &str) -> bool {
    let stem = stem(name).to_lowercase();
    let mut words = stem.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| ["split", "splits", "mask", "masks"].contains(&word))
}

/// Refuses files that differ in the word of a split alone, such as `cora_train.txt` and `cora_test.txt`.
fn refuse_parts(folder: &Path) -> Result<()> {
    let mut parts: Vec<(String, Split, PathBuf)> = Vec::new();
    for path in list_candidates(folder)? {
        let name = file_name(&path).to_lowercase();
        let words: Vec<&str> = stem(&name).split(|letter: char| !letter.is_alphanumeric()).collect();
        let split = words.iter().find_map(|word| split_word(word));
        let is_data = (OF_LISTS.iter().chain(&NOT_READ)).any(|extension| has_extension(&path, extension));
        let Some(split) = split.filter(|_| is_data) else { continue };
        let others: Vec<&str> = words.into_iter().filter(|word| split_word(word).is_none()).collect();
        let others = others.join(" ");
        if parts.iter().any(|(these, of, _)| *these == others && *of != split) {
            return Err(not_read(&path));
        }
        parts.push((others, split, path));
    }
    Ok(())
}

fn not_read(path: &Path) -> Error {
    let expected = "lists train.txt, valid.txt and test.txt, or masks, as text or .npy";
    Error::invalid(path, expected, "what may divide the set otherwise, and is not read")
        .with_hint("write the nodes of each split, one per line; or remove the file, or give it another name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::folders::tests::folder;

    #[test]
    fn a_layout_is_known_by_its_files() {
        let of = |names: &[&str]| Layout::detect(folder(names).path());
        assert_eq!(of(&["valid_graph.json"]), Some(Layout::Ppi));
        assert_eq!(of(&["edges.csv"]), Some(Layout::Tables));
        assert_eq!(of(&["features.npy"]), Some(Layout::Tables));
        assert_eq!(of(&["edge_list.txt.gz", "x.npy"]), Some(Layout::Tables));
        assert_eq!(of(&["raw/edge.csv.gz", "raw/num-node-list.csv.gz"]), Some(Layout::Ogb));
        assert_eq!(of(&["cora.content", "cora.cites"]), Some(Layout::Content));
        assert_eq!(of(&["ind.cora.x", "ind.cora.graph"]), Some(Layout::Pickled));
        for names in [&["labels.csv"][..], &["x.npy"], &["edges.txt"], &["cora.content"], &[]] {
            assert_eq!(of(names), None, "{names:?}");
        }
        assert_eq!(Layout::detect(Path::new("nowhere")), None);
    }

    #[test]
    fn a_table_may_be_there_once() {
        let message = |names: &[&str]| require(folder(names).path(), Kind::Edges).unwrap_err().to_string();
        let missing = message(&[]);
        assert!(missing.ends_with("expected the file edges.csv or edges.npy, found no such file"), "{missing}");
        assert!(message(&["edges.csv", "edges.npy"]).ends_with("expected edges.csv or edges.npy, found both"));
        assert!(require(folder(&["edge_list.tsv.gz"]).path(), Kind::Edges).is_ok());
        assert!(find(folder(&[]).path(), Kind::Graphs).unwrap().is_none());
    }

    fn found(names: &[&str]) -> Result<Vec<(String, Option<Split>)>> {
        let folder = folder(names);
        let files = lists(folder.path(), ["train.txt", "test.txt"])?;
        Ok(files.into_iter().map(|file| (file_name(&file.path), file.split)).collect())
    }

    #[test]
    fn what_looks_like_a_list_is_one_or_is_refused() {
        for names in [
            ["train.txt", "val.txt", "test.txt"],
            ["train.csv", "valid.tsv", "test.csv.gz"],
            ["train_mask.npy", "dev.npy", "test_idx.npy"],
            ["split/time/train.csv", "split/time/validation.csv", "split/time/test.csv"],
            ["splits/TRAIN", "splits/valid.lst", "splits/testIdx.txt"],
        ] {
            let splits: Vec<Option<Split>> = found(&names).unwrap().into_iter().map(|(_, split)| split).collect();
            assert_eq!(splits, Split::ALL.map(Some), "{names:?}");
        }
        assert_eq!(
            found(&["split.csv", "notes.txt", "train.py", "README.md"]).unwrap(),
            [("split.csv".to_owned(), None)]
        );
        for name in ["train.pt", "cora_split_0.npz", "splits/x.npz", "masks.json", "fold.split.txt"] {
            let error = found(&[name]).unwrap_err();
            assert!(error.to_string().contains("and is not read") && error.exit_code() == 2, "{name}: {error}");
        }
        assert!(found(&["cora_train.txt", "cora_test.txt"]).unwrap_err().to_string().contains("cora_train.txt: "));
        assert_eq!(found(&["test_results.csv"]).unwrap(), []);
        let error = found(&["split/time/train.csv", "split/random/train.csv"]).unwrap_err();
        assert!(error.to_string().ends_with("expected one way to divide the set, found random, time"), "{error}");
    }

    #[test]
    fn a_named_list_stands_for_the_usual_one_and_must_be_there() {
        let folder = folder(&["train.txt", "test.txt", "mine.txt"]);
        let files = lists(folder.path(), ["mine.txt", "test.txt"]).unwrap();
        let names: Vec<String> = files.iter().map(|file| file_name(&file.path)).collect();
        assert_eq!(names, ["mine.txt", "test.txt"]);
        let error = lists(folder.path(), ["other.txt", "test.txt"]).unwrap_err();
        assert!(error.to_string().starts_with("data.train_list: expected a list in "), "{error}");
    }
}

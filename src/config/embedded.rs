//! The configurations that are compiled in, so that the program works from any folder.

use super::RunConfig;
use crate::error::{Error, Result};
use crate::nearest;

macro_rules! embedded {
    ($($name:literal)*) => {
        /// Every embedded configuration: its path below `configs/` without `.toml`, and its text.
        pub const CONFIGS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/", $name, ".toml")))),*
        ];
    };
}

embedded! {
    "search/cifar10"
    "search/cifar10-cpu"
    "search/cifar10-nas-bench-201"
    "search/cifar10-nas-bench-201-cpu"
    "search/cifar10-pc-darts"
    "search/cifar100"
    "search/cifar100-cpu"
    "search/graphs"
    "search/graphs-few-labels"
    "search/imagenet"
    "search/imagenet-cpu"
    "search/images"
    "search/modelnet10"
    "search/modelnet10-cpu"
    "search/modelnet10-paper"
    "search/modelnet40"
    "search/modelnet40-cpu"
    "search/nas-bench-graph-citeseer"
    "search/nas-bench-graph-cora"
    "search/points"
    "search/ppi"
    "search/ppi-cpu"
    "search/s3dis"
    "search/s3dis-cpu"
    "search/segmentation"
    "search/segmentation-cpu"
    "search/shapenetpart"
    "search/shapenetpart-cpu"
    "smoke/search-cifar10"
    "smoke/search-cifar10-nas-bench-201"
    "smoke/search-cifar100"
    "smoke/search-graphs"
    "smoke/search-imagenet"
    "smoke/search-images"
    "smoke/search-modelnet10"
    "smoke/search-modelnet40"
    "smoke/search-points"
    "smoke/search-ppi"
    "smoke/search-s3dis"
    "smoke/search-segmentation"
    "smoke/search-shapenetpart"
    "smoke/train-cifar10"
    "smoke/train-cifar10-nas-bench-201"
    "smoke/train-cifar100"
    "smoke/train-graphs"
    "smoke/train-imagenet"
    "smoke/train-images"
    "smoke/train-modelnet10"
    "smoke/train-modelnet40"
    "smoke/train-points"
    "smoke/train-ppi"
    "smoke/train-s3dis"
    "smoke/train-segmentation"
    "smoke/train-shapenetpart"
    "study/table1"
    "study/table1-cpu"
    "study/table2"
    "study/table2-cpu"
    "study/table3"
    "study/table3-cpu"
    "study/table4"
    "study/table4-cpu"
    "train/cifar10"
    "train/cifar10-cpu"
    "train/cifar10-nas-bench-201"
    "train/cifar10-nas-bench-201-cpu"
    "train/cifar100"
    "train/cifar100-cpu"
    "train/graphs"
    "train/graphs-few-labels"
    "train/imagenet"
    "train/imagenet-cpu"
    "train/imagenet-paper"
    "train/images"
    "train/images-small"
    "train/modelnet10"
    "train/modelnet10-cpu"
    "train/modelnet40"
    "train/modelnet40-cpu"
    "train/modelnet40-small"
    "train/nas-bench-graph-citeseer"
    "train/nas-bench-graph-cora"
    "train/points"
    "train/points-small"
    "train/ppi"
    "train/ppi-cpu"
    "train/ppi-small"
    "train/s3dis"
    "train/s3dis-cpu"
    "train/segmentation"
    "train/segmentation-cpu"
    "train/segmentation-small"
    "train/shapenetpart"
    "train/shapenetpart-cpu"
}

/// The embedded configuration of this name: `search/modelnet40-cpu`, `smoke/train-points`.
pub fn named(name: &str) -> Option<&'static str> {
    CONFIGS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The name and text that `typed` means after `--config` of `command`: either the full name, or the name
/// within the command's folder (`modelnet40-cpu`).
///
/// # Errors
/// A name that is not embedded, with the nearest that is.
pub fn find(command: &str, typed: &str) -> Result<(String, &'static str)> {
    let candidates = [format!("{command}/{typed}"), typed.to_owned()];
    let found = candidates.into_iter().find_map(|name| named(&name).map(|text| (name, text)));
    found.ok_or_else(|| unknown(command, typed))
}

/// What a task's own configuration for something special, cells of a space or a variant, is called: TASK-SPECIAL, where
/// there is one.
pub fn special<R: RunConfig>(task: &str, special: &str) -> Option<String> {
    let own = format!("{task}-{special}");
    named(&format!("{}/{own}", R::COMMAND)).map(|_| own)
}

/// The names that `--config` of `command` takes.
pub fn names(command: &str) -> Vec<&'static str> {
    let smoke = format!("smoke/{command}-");
    let short = |name: &'static str| name.strip_prefix(command)?.strip_prefix('/');
    CONFIGS.iter().filter_map(|(name, _)| if name.starts_with(&smoke) { Some(*name) } else { short(name) }).collect()
}

fn unknown(command: &str, typed: &str) -> Error {
    let names = names(command);
    let hint = nearest::hint(typed, &names);
    Error::usage(format!("no configuration file or embedded configuration is named '{typed}'")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let mut files = BTreeSet::new();
        for folder in ["search", "train", "smoke", "study"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let stem = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
                files.insert(format!("{folder}/{stem}"));
            }
        }
        assert_eq!(files, CONFIGS.iter().map(|(name, _)| (*name).to_owned()).collect());
    }

    #[test]
    fn a_name_is_looked_for_in_the_command_s_folder_first() {
        assert_eq!(find("train", "modelnet40").unwrap().0, "train/modelnet40");
        assert_eq!(find("search", "smoke/search-points").unwrap().0, "smoke/search-points");
        let error = find("search", "modelnet40-cup").unwrap_err();
        assert!(error.hint().unwrap().contains("modelnet40-cpu"), "{error:?}");
    }
}

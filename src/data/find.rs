//! Where a data set is looked for, and which family a folder is of.
//!
//! In order: what the user named (`--data`, `data.source`), `$SGAS_DATA/<folder>`, `data/<folder>`.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use super::family::{SampleKind, SetName};
use super::source::{SYNTHETIC, Source};
use crate::error::{Error, Result};

/// The variable with the folder that holds data sets.
const DATA_VARIABLE: &str = "SGAS_DATA";

/// Files that are looked at to tell kinds apart, and how many folders deep.
const ENOUGH: usize = 2000;
const DEPTH: usize = 3;

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
    match tried.iter().find(|path| set.kind.family.may_hold(path, set)) {
        Some(path) => Ok(Source::Folder(path.canonicalize().map_err(|error| Error::read(path, error))?)),
        None => Err(not_found(set, &tried)),
    }
}

/// Finds own data of whatever kind. Where a folder may hold several, it is of the kind that can't be mistaken, else of the
/// one with the most files; `synthetic` is of the first kind unless `kind` says otherwise.
///
/// # Errors
/// No known layout of this kind, or of any.
pub fn find_own(kind: Option<SampleKind>, named: &str) -> Result<(SampleKind, Source)> {
    let folder = Path::new(named);
    let all = SampleKind::all();
    if let Some(found) = published_in(folder, kind, &all) {
        return Ok(found);
    }
    let kind = match kind {
        None if named == SYNTHETIC => all.first().copied(),
        None => likeliest(folder, all),
        _ => kind,
    };
    let kind = kind.ok_or_else(|| of_no_kind(folder))?;
    Ok((kind, find(kind.own, Some(named))?))
}

/// The published set that lies in a folder under its usual name.
fn published_in(folder: &Path, kind: Option<SampleKind>, all: &[SampleKind]) -> Option<(SampleKind, Source)> {
    let sets = all.iter().filter(|one| kind.is_none_or(|kind| kind == **one)).flat_map(|one| one.published);
    let mut places = sets.flat_map(|set| set.folders.iter().map(|name| (*set, folder.join(name))));
    let (set, place) = places.find(|(set, place)| place.is_dir() && set.kind.family.may_hold(place, set))?;
    Some((set.kind, Source::Folder(place.canonicalize().ok()?)))
}

fn likeliest(folder: &Path, all: Vec<SampleKind>) -> Option<SampleKind> {
    if let Some(sure) = all.iter().find(|kind| kind.family.is_sure_of(folder)) {
        return Some(*sure);
    }
    let mut fitting: Vec<SampleKind> = all.into_iter().filter(|kind| kind.family.may_hold(folder, kind.own)).collect();
    if fitting.len() > 1 {
        let mut files = Vec::new();
        add_files(folder, DEPTH, &mut files);
        let count = |kind: &SampleKind| files.iter().filter(|path| kind.family.knows(path)).count();
        // Stable: of equally many the first.
        fitting.sort_by_key(|kind| Reverse(count(kind)));
    }
    if let [first, second, ..] = fitting[..]
        && !second.labels_points
    {
        let (one, other, word) = (first.plural, second.plural, second.name);
        tracing::warn!("{}: taken as {one}, and may hold {other}: --kind {word} takes it as such", folder.display());
    }
    fitting.first().copied()
}

/// Files in a folder and below, as far as they tell what it is.
fn add_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if files.len() >= ENOUGH {
            return;
        }
        match entry.file_type() {
            Ok(found) if found.is_dir() && depth > 0 => add_files(&entry.path(), depth - 1, files),
            Ok(found) if found.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

fn of_no_kind(folder: &Path) -> Error {
    let layouts = |kind: SampleKind| format!("of {}: {}", kind.plural, kind.family.layouts());
    let layouts: Vec<String> = SampleKind::all().into_iter().map(layouts).collect();
    Error::usage(format!("no data found; tried {}", describe(None, folder)))
        .with_hint(format!("name a folder {}", layouts.join("; or ")))
}

/// A folder that the user named is the only place looked at, itself and the set's folder in it.
fn candidates(set: SetName, named: Option<&Path>, variable: Option<&Path>) -> Vec<PathBuf> {
    let within = |root: &Path| set.folders.iter().map(|folder| root.join(folder)).collect::<Vec<_>>();
    match named {
        Some(named) => std::iter::once(named.to_owned()).chain(within(named)).collect(),
        None => variable.into_iter().chain([Path::new("data")]).flat_map(within).collect(),
    }
}

fn not_found(set: SetName, tried: &[PathBuf]) -> Error {
    let what = set.folders.first().copied().unwrap_or(set.kind.plural);
    let message = if tried.is_empty() {
        format!("{what}: no data folder was named")
    } else {
        let lines: Vec<String> = tried.iter().map(|path| describe(Some(set.kind), path)).collect();
        format!("{what}: no data found; tried {}", lines.join(", "))
    };
    Error::usage(message).with_hint(format!(
        "name the folder with --data DIR or put it under ${DATA_VARIABLE}; its layout is either \
         {}. `--data {SYNTHETIC}` tries everything on built-in {}.{}",
        set.kind.family.layouts(),
        set.kind.plural,
        set.published
    ))
}

/// What there is instead of samples of this kind, or of any.
fn describe(kind: Option<SampleKind>, path: &Path) -> String {
    let kinds = kind.map_or_else(SampleKind::all, |kind| vec![kind]);
    let state = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "not there".to_owned(),
        Err(error) => error.to_string(),
        Ok(entries) => match kinds.iter().find_map(|kind| kind.family.instead(path)) {
            Some(other) => other.to_owned(),
            None if entries.count() == 0 => "empty".to_owned(),
            None => {
                let names: Vec<&str> = kinds.iter().map(|kind| kind.plural).collect();
                format!("no {} in a known layout", names.join(", "))
            }
        },
    };
    format!("{} ({state})", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::graphs::GRAPHS;
    use crate::data::images::IMAGES;
    use crate::data::points::{MODELNET10, MODELNET40, POINTS};

    #[test]
    fn a_named_folder_may_be_the_set_or_its_parent_and_nothing_else_is_tried() {
        let tried = candidates(&MODELNET10, Some(Path::new("/d")), Some(Path::new("/v")));
        assert_eq!(tried, [PathBuf::from("/d"), PathBuf::from("/d/ModelNet10")]);
    }

    #[test]
    fn the_variable_comes_before_the_folder_data() {
        let tried = candidates(&MODELNET40, None, Some(Path::new("/v")));
        let expected =
            ["/v/modelnet40_ply_hdf5_2048", "/v/ModelNet40", "data/modelnet40_ply_hdf5_2048", "data/ModelNet40"];
        assert_eq!(tried, expected.map(PathBuf::from));
        assert_eq!(candidates(&MODELNET10, None, None), [PathBuf::from("data/ModelNet10")]);
    }

    #[test]
    fn own_data_must_be_named() {
        assert_eq!(candidates(&POINTS, None, Some(Path::new("/v"))), Vec::<PathBuf>::new());
        for set in [&POINTS, &IMAGES, &GRAPHS] {
            let what = set.kind.plural;
            let error = find(set, None).unwrap_err();
            assert_eq!(error.to_string(), format!("{what}: no data folder was named"));
            assert!(error.hint().unwrap().contains(&format!("built-in {what}")));
        }
    }

    #[test]
    fn synthetic_is_a_source_like_any_other() {
        assert_eq!(find(&MODELNET40, Some("synthetic")).unwrap(), Source::Synthetic);
        assert_eq!(Source::Synthetic.to_string(), "synthetic");
    }
}

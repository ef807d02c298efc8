//! Which files of a folder without `train` and `test` are for testing: lists of files, or a seeded share.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use crate::data::config::DataConfig;
use crate::data::split::hold_out;
use crate::error::{Error, Result};
use crate::reading;
use crate::tensor::random::{Key, Purpose};

/// For every file (class, empty where files have none, and path) true for test, false for train, and nothing where both lists leave it out;
/// and how that was decided, in words. With one list alone everything else is for the other part.
///
/// # Errors
/// A list that can't be read, is empty, names what is not there, or shares files with the other.
pub(in crate::data) fn divide(
    folder: &Path,
    files: &[(&str, &Path)],
    config: &DataConfig,
) -> Result<(Vec<Option<bool>>, String)> {
    let names = Names::of(folder, files);
    let read = |name: &str| -> Result<Option<HashSet<usize>>> {
        let path = folder.join(name);
        if reading::is_there(&path) { names.listed(&path).map(Some) } else { Ok(None) }
    };
    let (train, test) = (read(&config.train_list)?, read(&config.test_list)?);
    let (part, note): (Box<dyn Fn(usize) -> Option<bool>>, String) = match (train, test) {
        (None, None) => return Ok(share(files, config)),
        (Some(train), None) => (Box::new(move |file| Some(!train.contains(&file))), config.train_list.clone()),
        (None, Some(test)) => (Box::new(move |file| Some(test.contains(&file))), config.test_list.clone()),
        (Some(train), Some(test)) => {
            if let Some(both) = train.intersection(&test).min() {
                let found = format!("{} in both", files[*both].1.display());
                let place = folder.join(&config.test_list).display().to_string();
                return Err(Error::invalid(place, format!("files that {} has not", config.train_list), found));
            }
            let part =
                move |file| if test.contains(&file) { Some(true) } else { train.contains(&file).then_some(false) };
            (Box::new(part), format!("{} and {}", config.train_list, config.test_list))
        }
    };
    Ok(((0..files.len()).map(part).collect(), format!("split by {note}")))
}

/// The positions of the files that a list with this text names.
///
/// # Errors
/// As [`divide`].
pub(super) fn listed(folder: &Path, files: &[(&str, &Path)], text: &str, list: &Path) -> Result<HashSet<usize>> {
    Names::of(folder, files).listed_in(text, list)
}

/// A share of every class, the same in every run: the set's split is not the run's seed's business.
fn share(files: &[(&str, &Path)], config: &DataConfig) -> (Vec<Option<bool>>, String) {
    let mut labels: HashMap<&str, usize> = HashMap::new();
    let labels: Vec<usize> = files
        .iter()
        .map(|(class, _)| {
            let next = labels.len();
            *labels.entry(class).or_insert(next)
        })
        .collect();
    let marks = hold_out(&labels, config.test_share, Key::new(config.split_seed, Purpose::TestSplit));
    let (share, seed) = (config.test_share, config.split_seed);
    let of = if files.iter().all(|(class, _)| class.is_empty()) { "all" } else { "every class" };
    (marks.into_iter().map(Some).collect(), format!("test_share {share} of {of}, split_seed {seed}"))
}

/// What a line of a list may call a file.
struct Names<'a> {
    files: &'a [(&'a str, &'a Path)],
    /// Positions of the files by path within the folder, by name, and both without extension.
    by_name: HashMap<String, Vec<usize>>,
}

impl<'a> Names<'a> {
    fn of(folder: &Path, files: &'a [(&'a str, &'a Path)]) -> Self {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, (_, path)) in files.iter().enumerate() {
            let inside = path.strip_prefix(folder).unwrap_or(path);
            let bare = Path::new(inside.file_name().unwrap_or_default());
            let names: HashSet<String> = [inside, bare]
                .into_iter()
                .flat_map(|name| [name.to_owned(), name.with_extension("")])
                .map(as_text)
                .collect();
            for name in names {
                by_name.entry(name).or_default().push(index);
            }
        }
        Self { files, by_name }
    }

    /// The files that a list names, one per line; blank lines and `#` are passed over.
    fn listed(&self, list: &Path) -> Result<HashSet<usize>> {
        self.listed_in(&reading::text(list, reading::LIST)?, list)
    }

    /// The same of a list's text.
    fn listed_in(&self, text: &str, list: &Path) -> Result<HashSet<usize>> {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let files =
            lines.map(|(number, line)| self.find(line, list, number + 1)).collect::<Result<HashSet<usize>>>()?;
        if files.is_empty() {
            return Err(Error::invalid(list.display().to_string(), "a file per line", "an empty list"));
        }
        Ok(files)
    }

    fn find(&self, line: &str, list: &Path, number: usize) -> Result<usize> {
        let name: String = line.trim_start_matches("./").nfc().collect();
        let place = || format!("{}, line {number}", list.display());
        match self.by_name.get(&name).map(Vec::as_slice) {
            Some(&[index]) => Ok(index),
            Some(several) => {
                let (count, first) = (several.len(), self.files[several[0]].1.display());
                let found = format!("'{line}', which may be {count} of them, such as {first}");
                Err(Error::invalid(place(), "the name of one file", found).with_hint("write class/file"))
            }
            None => Err(Error::invalid(place(), "a file of this folder", format!("'{line}'")).with_hint(
                "write class/file, with or without its extension; the list's own name is data.train_list or \
                 data.test_list",
            )),
        }
    }
}

/// A name in Unicode's composed form: some systems store it decomposed.
fn as_text(path: std::path::PathBuf) -> String {
    path.to_string_lossy().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const FILES: [(&str, &str); 5] = [
        ("ant", "ant/1.off"),
        ("ant", "ant/2.ply"),
        ("bee", "bee/1.off"),
        ("bee", "bee/b3.pcd"),
        ("bee", "bee/b4.pcd"),
    ];

    /// The division with these lists: a letter per file, `-` where it is left out.
    fn divided(train: Option<&str>, test: Option<&str>) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("train.txt", train), ("test.txt", test)] {
            if let Some(text) = text {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
        }
        let paths: Vec<(&str, PathBuf)> =
            FILES.iter().map(|(class, file)| (*class, folder.path().join(file))).collect();
        let files: Vec<(&str, &Path)> = paths.iter().map(|(class, path)| (*class, path.as_path())).collect();
        let (parts, _) = divide(folder.path(), &files, &DataConfig::default())?;
        Ok(parts.into_iter().map(|part| part.map_or('-', |test| if test { 's' } else { 't' })).collect())
    }

    #[test]
    fn lists_name_files_with_and_without_class_and_extension() {
        assert_eq!(divided(None, Some("ant/1.off\r\n\n# b3 is held out\nb3\n")).unwrap(), "sttst");
        assert_eq!(divided(Some("./ant/2\nbee/1\n"), None).unwrap(), "sttss");
        assert_eq!(divided(Some("ant/1.off\nbee/1.off"), Some("2.ply\nb4.pcd")).unwrap(), "tst-s");
    }

    #[test]
    fn lists_that_do_not_fit_are_named_by_line() {
        let message = |train, test| divided(train, test).unwrap_err().to_string();
        assert!(message(None, Some("b3\n1.off\n")).contains("test.txt, line 2: expected the name of one file"));
        assert!(message(Some("ant/9.off"), None).contains("train.txt, line 1: expected a file of this folder"));
        assert!(message(Some("b3\nb4"), Some("bee/b4.pcd")).contains("b4.pcd in both"));
        assert!(message(None, Some("# nothing\n")).contains("an empty list"));
    }

    #[test]
    fn without_lists_a_share_of_every_class_is_held_out_the_same_in_every_run() {
        let parts = divided(None, None).unwrap();
        assert_eq!(parts, divided(None, None).unwrap());
        assert_eq!((parts[..2].matches('s').count(), parts[2..].matches('s').count()), (1, 1), "{parts}");
    }
}

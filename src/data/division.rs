//! Which files of a folder are for what, where no folder says it: lists of files, or a seeded share.

mod table;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::folders::{composed, entries, extension, file_name, folders};
use super::split::{Shares, Split};
use crate::error::{Error, Result};
use crate::reading;
use table::{PartsTable, find_table};

/// What parts are called, in folders, lists and columns; a word stands before those that begin it.
pub(super) const PARTS: [(&str, Split); 9] = [
    ("training", Split::Train),
    ("train", Split::Train),
    ("validation", Split::Validation),
    ("valid", Split::Validation),
    ("val", Split::Validation),
    ("dev", Split::Validation),
    ("testing", Split::Test),
    ("tests", Split::Test),
    ("test", Split::Test),
];

/// The usual names of the two lists.
pub(super) const USUAL: [&str; 2] = ["train.txt", "test.txt"];

/// Extensions of lists that are read, and of those that are not.
const READ: [&str; 4] = ["txt", "csv", "lst", "list"];
const NOT_READ: [&str; 6] = ["json", "npy", "npz", "pkl", "mat", "tsv"];

/// What stands behind a part in the name of a list, such as `train_files.txt`.
const KINDS: [&str; 9] = ["files", "file", "list", "split", "names", "ids", "set", "shapes", "images"];

/// Headers of the column with the files in lists that are tables, the surest first.
const HEADERS: &str = "file files filename file_name path filepath file_path name image modelid model_id id";

/// Bytes that tell a list from a cloud in text.
const START: u64 = 4096;

/// What says which files of a folder are for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lists<'a> {
    /// Name of the list of those for training.
    pub train: &'a str,
    /// Name of the list of those for testing.
    pub test: &'a str,
    /// Without lists a share of every class is for testing.
    pub shares: Shares,
    /// Go on without files that lists name and that are not there.
    pub skip_bad: bool,
}

/// The part that a folder or list of this name is for.
pub(super) fn part_of(name: &str) -> Option<Split> {
    PARTS.iter().find(|(part, _)| name.eq_ignore_ascii_case(part)).map(|(_, split)| *split)
}

/// The folders in a folder that are called as parts are, by their names.
///
/// # Errors
/// A folder that can't be listed.
pub(super) fn part_folders(folder: &Path) -> Result<Vec<(Split, PathBuf)>> {
    let part = |path: PathBuf| Some((part_of(&file_name(&path))?, path));
    Ok(folders(folder)?.into_iter().filter_map(part).collect())
}

/// The part that a list is for by its name: `val.txt`, `modelnet40_train.txt`, `test_files.txt`.
fn part_of_list(path: &Path) -> Option<Split> {
    let stem = path.file_stem()?.to_str()?;
    let words: Vec<&str> = stem.split(['_', '-', '.', ' ']).collect();
    match words[..] {
        [first, .., last] if KINDS.iter().any(|kind| last.eq_ignore_ascii_case(kind)) => part_of(first),
        [.., last] => part_of(last),
        [] => None,
    }
}

/// The lists of a folder by their parts: those of the configuration, and all that are called as lists are.
///
/// # Errors
/// A list that the configuration names and that is not there; several for one part; one in a format that is not read.
pub(super) fn find_lists(folder: &Path, lists: &Lists<'_>) -> Result<Vec<(Split, PathBuf)>> {
    let mut found: Vec<(Split, PathBuf)> = Vec::new();
    for (split, name, usual, key) in [
        (Split::Train, lists.train, USUAL[0], "data.train_list"),
        (Split::Test, lists.test, USUAL[1], "data.test_list"),
    ] {
        let path = folder.join(name);
        if reading::is_there(&path) {
            found.push((split, path));
        } else if name != usual {
            return Err(Error::invalid(
                key,
                format!("a list in {}", folder.display()),
                format!("'{name}', which is not there"),
            ));
        }
    }
    let named: Vec<Split> = found.iter().map(|(split, _)| *split).collect();
    let taken: Vec<PathBuf> = found.iter().map(|(_, path)| path.clone()).collect();
    for path in entries(folder)?.into_iter().filter(|path| !path.is_dir() && !taken.contains(path)) {
        let Some(split) = part_of_list(&path).filter(|split| !named.contains(split)) else { continue };
        let extension = extension(&path);
        if NOT_READ.contains(&extension.as_str()) {
            return Err(Error::invalid(path, "a list with a file per line (.txt, .csv)", format!(".{extension}"))
                .with_hint("it looks as if it said which files are for what, and without it others would be: write it as a list, or move it away"));
        }
        if !READ.contains(&extension.as_str()) || !looks_like_a_list(&path)? {
            continue;
        }
        if let Some((_, other)) = found.iter().find(|(of, _)| *of == split) {
            let (one, other, part) = (file_name(other), file_name(&path), split.name());
            let place = folder.display().to_string();
            return Err(Error::invalid(place, format!("one list for the {part} part"), format!("{one} and {other}"))
                .with_hint("data.train_list and data.test_list say which; move the others away"));
        }
        found.push((split, path));
    }
    Ok(found)
}

/// True for a text whose first lines are no rows of numbers, as those of a cloud are.
fn looks_like_a_list(path: &Path) -> Result<bool> {
    let start = reading::start(path, START)?;
    let text = String::from_utf8_lossy(&start);
    let is_row = |line: &str| {
        let cells = line.split([',', ';', ' ', '\t']).filter(|cell| !cell.trim().is_empty());
        cells.filter(|cell| cell.trim().parse::<f64>().is_ok()).count() >= 3
    };
    Ok(!text.lines().filter(|line| !line.starts_with('#')).take(3).any(is_row))
}

/// The part of every file (class, empty where files have none, and path), none where lists leave it out; and how that was
/// decided, in words. What no list names is for training where there is no list for that, else for testing where there is
/// none for that. A set without a test part is tested on what is for validation.
///
/// # Errors
/// As [`find_lists`]; a list that can't be read, is empty, names what is not there, or shares files with another.
pub(super) fn divide(
    folder: &Path,
    files: &[(&str, &Path)],
    lists: &Lists<'_>,
) -> Result<(Vec<Option<Split>>, String)> {
    let found = find_lists(folder, lists)?;
    let names = Names::of(folder, files);
    if found.is_empty() {
        return Ok(match find_table(folder, files)? {
            Some(table) => names.divided_by(&table, lists.skip_bad)?,
            None => share(files, lists),
        });
    }
    let mut parts: Vec<Option<(Split, &Path)>> = vec![None; files.len()];
    for (split, path) in &found {
        for file in names.listed(path, lists.skip_bad)? {
            if let Some((_, before)) = parts[file].filter(|(of, _)| of != split) {
                let place = path.display().to_string();
                let found = format!("{} in both", files[file].1.display());
                return Err(Error::invalid(place, format!("files that {} has not", file_name(before)), found));
            }
            parts[file] = Some((*split, path));
        }
    }
    let has = |split: Split| found.iter().any(|(of, _)| *of == split);
    let others = [Split::Train, Split::Test].into_iter().find(|split| !has(*split));
    let mut parts: Vec<Option<Split>> = parts.into_iter().map(|part| part.map(|(split, _)| split).or(others)).collect();
    let mut note = found.iter().map(|(_, path)| file_name(path)).collect::<Vec<_>>().join(", ");
    note += without_test(&mut parts);
    Ok((parts, format!("split by {note}")))
}

/// What is for validation is for testing where nothing else is; says so.
pub(super) fn without_test(parts: &mut [Option<Split>]) -> &'static str {
    let has = |split: Split| parts.contains(&Some(split));
    if has(Split::Test) || !has(Split::Validation) {
        return "";
    }
    parts.iter_mut().filter(|part| **part == Some(Split::Validation)).for_each(|part| *part = Some(Split::Test));
    "; what is for validation is scored as test, as there is no test part"
}

/// The positions of the files that a list with this text names.
///
/// # Errors
/// As [`divide`].
pub(super) fn listed(folder: &Path, files: &[(&str, &Path)], text: &str, list: &Path) -> Result<HashSet<usize>> {
    Names::of(folder, files).listed_in(text, list, false)
}

/// The parts of the files by a table with this text.
///
/// # Errors
/// As [`divide`].
pub(super) fn by_table(folder: &Path, files: &[(&str, &Path)], text: &str, table: &Path) -> Result<Vec<Option<Split>>> {
    Ok(Names::of(folder, files).divided_by(&table::parse(text, table)?, false)?.0)
}

/// A share of every class, the same in every run: the set's split is not the run's seed's business.
fn share(files: &[(&str, &Path)], lists: &Lists<'_>) -> (Vec<Option<Split>>, String) {
    let mut labels: HashMap<&str, usize> = HashMap::new();
    let labels: Vec<usize> = files
        .iter()
        .map(|(class, _)| {
            let next = labels.len();
            *labels.entry(class).or_insert(next)
        })
        .collect();
    let marks = lists.shares.tested(&labels);
    let of = if files.iter().all(|(class, _)| class.is_empty()) { "all" } else { "every class" };
    let part = |is_test: bool| Some(if is_test { Split::Test } else { Split::Train });
    (marks.into_iter().map(part).collect(), lists.shares.tested_in_words(of))
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
            // A shape with a folder of its own is called by this too.
            let parts: Vec<_> = inside.iter().collect();
            let own = if let [class, item, _, ..] = parts[..] {
                vec![Path::new(class).join(item), PathBuf::from(item)]
            } else {
                Vec::new()
            };
            let names: HashSet<String> = [inside, bare]
                .into_iter()
                .flat_map(|name| [name.to_owned(), name.with_extension("")])
                .chain(own)
                .map(|name| composed(&name.to_string_lossy()))
                .collect();
            for name in names {
                by_name.entry(name).or_default().push(index);
            }
        }
        Self { files, by_name }
    }

    /// The files that a list names, one per line; blank lines and `#` are passed over, of tables the column with the files
    /// is taken.
    fn listed(&self, list: &Path, skip_missing: bool) -> Result<HashSet<usize>> {
        self.listed_in(&reading::text(list, reading::LIST)?, list, skip_missing)
    }

    /// The part of every file by a table, none where it leaves one out; and how that was decided.
    fn divided_by(&self, table: &PartsTable, skip_missing: bool) -> Result<(Vec<Option<Split>>, String)> {
        let mut parts = vec![None; self.files.len()];
        let mut missing = Vec::new();
        for (number, line, split) in &table.rows {
            match self.find(line, &table.path, *number)? {
                Some(file) if parts[file].is_some_and(|before| before != *split) => {
                    let place = format!("{}, line {number}", table.path.display());
                    return Err(Error::invalid(place, "every file in one part", format!("'{line}' again, in another")));
                }
                Some(file) => parts[file] = Some(*split),
                None => missing.push((*number, line.clone())),
            }
        }
        let is_empty = parts.iter().all(Option::is_none);
        Self::tell_missing(&table.path, &missing, is_empty, skip_missing)?;
        let note = format!("split by {}{}", file_name(&table.path), without_test(&mut parts));
        Ok((parts, note))
    }

    /// The same of a list's text.
    fn listed_in(&self, text: &str, list: &Path, skip_missing: bool) -> Result<HashSet<usize>> {
        let (mut files, mut missing) = (HashSet::new(), Vec::new());
        for (number, line) in names_in(text, list)? {
            match self.find(&line, list, number)? {
                Some(file) => drop(files.insert(file)),
                None => missing.push((number, line)),
            }
        }
        Self::tell_missing(list, &missing, files.is_empty(), skip_missing)?;
        Ok(files)
    }

    /// Refuses a list or table that names files which are not there, or none at all; or says which are passed over.
    fn tell_missing(list: &Path, missing: &[(usize, String)], is_empty: bool, skip_missing: bool) -> Result<()> {
        let Some((number, line)) = missing.first() else {
            return match is_empty {
                true => Err(Error::invalid(list, "a file per line", "an empty list")),
                false => Ok(()),
            };
        };
        let others = match missing.len() {
            1 => String::new(),
            count => format!(" and {} more that are not there", count - 1),
        };
        if skip_missing && !is_empty {
            tracing::warn!("{}: skipped '{line}'{others}: no such file", list.display());
            return Ok(());
        }
        let place = format!("{}, line {number}", list.display());
        Err(Error::invalid(place, "a file of this folder", format!("'{line}'{others}")).with_hint(
            "write class/file, with or without its extension, or go on without them by --skip-bad; the list's own name is \
             data.train_list or data.test_list",
        ))
    }

    /// The file of this name; none where it is not there.
    fn find(&self, line: &str, list: &Path, number: usize) -> Result<Option<usize>> {
        let Some(found) = self.by_name.get(&composed(line.trim_start_matches("./"))) else { return Ok(None) };
        match found[..] {
            [index] => Ok(Some(index)),
            _ => {
                let (count, first) = (found.len(), self.files[found[0]].1.display());
                let place = format!("{}, line {number}", list.display());
                let found = format!("'{line}', which may be {count} of them, such as {first}");
                Err(Error::invalid(place, "the name of one file", found).with_hint("write class/file"))
            }
        }
    }
}

/// The names in a list with the numbers of their lines.
fn names_in(text: &str, list: &Path) -> Result<Vec<(usize, String)>> {
    let text = text.trim_start_matches('\u{feff}');
    if list.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("csv")) {
        let lines = text.lines().map(str::trim).zip(1..);
        return Ok(lines
            .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
            .map(|(line, number)| (number, line.to_owned()))
            .collect());
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut names, mut column) = (Vec::new(), None);
    for record in reader.records() {
        let record = record.map_err(|error| Error::invalid(list, "a table", error.to_string()))?;
        let number = record.position().map_or(0, |position| position.line() as usize);
        if column.is_none() {
            let at = |header: &str| record.iter().position(|cell| cell.trim().eq_ignore_ascii_case(header));
            let header = HEADERS.split(' ').find_map(at);
            column = Some(header.unwrap_or(0));
            if header.is_some() {
                continue;
            }
        }
        let name = record.get(column.unwrap_or(0)).unwrap_or_default().trim();
        names.extend((!name.is_empty()).then(|| (number, name.to_owned())));
    }
    Ok(names)
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

    const SHARES: Shares = Shares { training: 1.0, validation: 0.0, test: 0.2, seed: 0 };
    const LISTS: Lists<'_> = Lists { train: "train.txt", test: "test.txt", shares: SHARES, skip_bad: false };

    /// The division with these lists: a letter per file, `-` where it is left out.
    fn divided(train: Option<&str>, test: Option<&str>) -> Result<String> {
        let lists = [("train.txt", train), ("test.txt", test)];
        divided_by(&lists.into_iter().filter_map(|(name, text)| Some((name, text?))).collect::<Vec<_>>())
    }

    fn divided_by(lists: &[(&str, &str)]) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in lists {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let paths: Vec<(&str, PathBuf)> =
            FILES.iter().map(|(class, file)| (*class, folder.path().join(file))).collect();
        let files: Vec<(&str, &Path)> = paths.iter().map(|(class, path)| (*class, path.as_path())).collect();
        let (parts, _) = divide(folder.path(), &files, &LISTS)?;
        let letter = |part: Option<Split>| match part {
            None => '-',
            Some(Split::Train) => 't',
            Some(Split::Validation) => 'v',
            Some(Split::Test) => 's',
        };
        Ok(parts.into_iter().map(letter).collect())
    }

    #[test]
    fn a_table_says_of_every_file_what_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let files = FILES.map(|(class, path)| (class, folder.path().join(path)));
        let files: Vec<(&str, &Path)> = files.iter().map(|(class, path)| (*class, path.as_path())).collect();
        let divided = |text: &str| {
            std::fs::write(folder.path().join("all.csv"), text).unwrap();
            divide(folder.path(), &files, &LISTS)
        };
        let (parts, note) =
            divided("\u{feff}id,modelId,split\r\n0,ant/1,train\n1,2,val\n2,bee/1,Train\n3,b3,test\n").unwrap();
        let [train, valid, test] = Split::ALL.map(Some);
        assert_eq!((parts, &*note), (vec![train, valid, train, test, None], "split by all.csv"));
        let (parts, note) = divided("file,split\nant/1,train\nbee/1,train\nant/2,dev\n").unwrap();
        assert!(parts[1] == test && note.contains("scored as test"), "{parts:?}, {note}");
        for (text, words) in [
            ("file,split\nant/1,7\n", "all.csv, line 2: expected a part: train, valid or test, found 7"),
            ("file,split\nant/1,train\nant/9,test\n", "all.csv, line 3: expected a file of this folder, found 'ant/9'"),
            ("file,split\nant/1,train\nant/1,test\n", "all.csv, line 3: expected every file in one part"),
            ("number,split\n1,train\n", "all.csv: expected a column with the files"),
            ("file,split\n", "all.csv: expected a file per line, found an empty list"),
        ] {
            let message = divided(text).unwrap_err().to_string();
            assert!(message.contains(words), "'{words}' is not in: {message}");
        }
        // A list wins, and a table without parts says nothing.
        std::fs::write(folder.path().join("test.txt"), "ant/1\nbee/1\n").unwrap();
        assert!(divided("number,split\n1,train\n").unwrap().1.starts_with("split by test.txt"));
        std::fs::remove_file(folder.path().join("test.txt")).unwrap();
        assert!(!divided("file,colour\nant/1,red\n").unwrap().1.contains("all.csv"));
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
    fn every_file_that_is_called_as_a_list_is_read_or_refused() {
        let by = |lists: &[(&str, &str)]| divided_by(lists).unwrap();
        assert_eq!(by(&[("train.txt", "ant/1"), ("val.txt", "ant/2"), ("test.txt", "b3")]), "tv-s-");
        assert_eq!(by(&[("bugs_train.txt", "ant/1\nant/2"), ("bugs_test.txt", "b3\rb4\r")]), "tt-ss");
        assert_eq!(by(&[("train.csv", "id,file\n7,ant/1.off\n8,b3\n"), ("dev.lst", "ant/2.ply")]), "tvsts");
        assert_eq!(by(&[("Train.csv", "ant/1.off\nb3\n"), ("valid.txt", "2\nbee/1\nb4")]), "tssts");
        assert_eq!(by(&[("val_files.txt", "b3\nant/2")]), "tsts".to_owned() + "t");
        assert_eq!(by(&[("train.txt", "b3"), ("points_test.txt", "1 2 3\n4 5 6\n")]), "ssSts".to_lowercase());
        let message = |lists: &[(&str, &str)]| divided_by(lists).unwrap_err().to_string();
        assert!(message(&[("train.json", "[]")]).contains("expected a list with a file per line"));
        let two = message(&[("a_test.txt", "b3"), ("b_test.txt", "b4")]);
        assert!(two.contains("expected one list for the test part, found a_test.txt and b_test.txt"), "{two}");
    }

    #[test]
    fn files_that_are_not_there_are_counted() {
        let text = "b3\ngone\nant/7\n";
        let message = divided(None, Some(text)).unwrap_err().to_string();
        assert!(
            message.ends_with("line 2: expected a file of this folder, found 'gone' and 1 more that are not there")
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b3.pcd");
        std::fs::write(folder.path().join("test.txt"), text).unwrap();
        let skipping = Lists { skip_bad: true, ..LISTS };
        let parts = divide(folder.path(), &[("", &path)], &skipping).unwrap().0;
        assert_eq!(parts, [Some(Split::Test)]);
    }

    #[test]
    fn without_lists_a_share_of_every_class_is_held_out_the_same_in_every_run() {
        let parts = divided(None, None).unwrap();
        assert_eq!(parts, divided(None, None).unwrap());
        assert_eq!((parts[..2].matches('s').count(), parts[2..].matches('s').count()), (1, 1), "{parts}");
    }
}

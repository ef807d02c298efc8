//! Folders of classes with a picture per file: `{train,val}/<class>/FILE` with `test` in addition to `val` or in its
//! place, `<class>/{train,test}/FILE`, and `<class>/FILE`, where lists of files say which are for testing, or else a
//! share of every class is held out. Classes and files are in alphabetical order.
//!
//! With `val` and `test`, `val` chooses and `test` is scored; `val` alone is scored.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::decode::{check, is_picture, known_extensions};
use super::pictures::{Part, PictureSet, Pictures};
use super::solution::{self, Solved};
use crate::data::checks::keep_good;
use crate::data::division::{self, Lists, part_folders, part_of};
use crate::data::folders::{class_name, entries, file_name, folders, require_same_classes};
use crate::data::scan::show_names;
use crate::data::split::Split;
use crate::error::{Error, Result};

/// A picture with its part and class.
pub(super) struct Found {
    pub split: Split,
    pub label: usize,
    pub path: PathBuf,
}

/// The files of a folder by their names; nothing is known of what they hold.
pub(super) struct Listing {
    pub classes: Vec<String>,
    pub files: Vec<Found>,
    /// Where a picture's class and part stand in its path.
    pub layout: &'static str,
    /// What serves for what, in words.
    pub division: String,
    /// Pictures that a list names and that are not there.
    pub missing: Vec<Error>,
}

/// A picture by the name of its class.
struct Named {
    class: String,
    path: PathBuf,
    split: Split,
}

/// What lies in a folder.
struct Scan {
    named: Vec<Named>,
    /// What the folders of the parts are called.
    parts: Vec<(Split, String)>,
    layout: &'static str,
    division: String,
    missing: Vec<Error>,
    /// What is no picture.
    ignored: Vec<PathBuf>,
}

/// Lists the pictures of all classes and looks at every header.
///
/// # Errors
/// As [`find`]; files that are no pictures, and listed ones that are not there (these are left out and counted where
/// the configuration says so).
pub(super) fn list(folder: &Path, lists: &Lists<'_>) -> Result<PictureSet> {
    let Listing { classes, files, division, missing, .. } = find(folder, lists)?;
    let (_, mut skipped) = keep_good::<()>(missing.into_iter().map(Err).collect(), lists.skip_bad)?;
    let checked = files.into_par_iter().map(|found| check(&found.path).map(|()| found)).collect();
    let (good, bad) = keep_good(checked, lists.skip_bad)?;
    skipped += bad;
    let has_validation = good.iter().any(|found| found.split == Split::Validation);
    let mut parts = Split::ALL.map(|_| (Vec::new(), Vec::new()));
    for Found { split, label, path } in good {
        let (labels, paths) = &mut parts[split as usize];
        labels.push(label);
        paths.push(path);
    }
    let [train, validation, test] = parts.map(|(labels, paths)| Part { labels, pictures: Pictures::Files(paths) });
    let skipped = if skipped > 0 { format!(", {skipped} bad files skipped") } else { String::new() };
    let origin = format!("{} ({division}){skipped}", folder.display());
    Ok(PictureSet { classes, origin, train, validation: has_validation.then_some(validation), test })
}

/// The folder of the pictures for training, where it holds folders of classes.
pub(super) fn train_part(folder: &Path) -> Option<PathBuf> {
    train_folder(folder).filter(|path| holds_folders(path))
}

/// The folder of the pictures for training, whatever it holds.
pub(super) fn train_folder(folder: &Path) -> Option<PathBuf> {
    part_folders(folder).ok()?.into_iter().find(|(split, _)| *split == Split::Train).map(|(_, path)| path)
}

fn holds_folders(folder: &Path) -> bool {
    folders(folder).is_ok_and(|inner| !inner.is_empty())
}

/// Finds the files of all classes.
///
/// # Errors
/// A part or a class without pictures, a class that only one part has, two folders for one part, a part whose pictures
/// have no classes.
pub(super) fn find(folder: &Path, lists: &Lists<'_>) -> Result<Listing> {
    let Scan { named, parts, layout, division, missing, ignored } = match train_part(folder) {
        Some(_) => in_parts(folder)?,
        None => in_classes(folder, lists)?,
    };
    if let Some(first) = ignored.first() {
        let (place, count) = (folder.display(), ignored.len());
        tracing::warn!("{place}: ignored {count} entries that are no pictures, such as {}", first.display());
    }
    let of = |split: Split| -> BTreeSet<&str> {
        named.iter().filter(|named| named.split == split).map(|named| named.class.as_str()).collect()
    };
    for (split, other) in parts.iter().filter(|(split, _)| *split != Split::Train) {
        let train = parts.iter().find(|(split, _)| *split == Split::Train).map_or("train", |(_, name)| name);
        require_same_classes(folder, [train, other], [of(Split::Train), of(*split)])?;
    }
    let classes: Vec<String> = of(Split::Train).into_iter().map(str::to_owned).collect();
    let found = |Named { class, path, split }: Named| {
        let label = classes.binary_search(&class).expect("parts have the same classes");
        Found { split, label, path }
    };
    let mut files: Vec<Found> = named.into_iter().map(found).collect();
    files.sort_by_key(|found| found.label);
    Ok(Listing { files, classes, layout, division, missing })
}

/// The folders of parts in a folder. Where there is none for testing, what else there is for validation is scored.
fn parts_in(folder: &Path) -> Result<Vec<(Split, PathBuf)>> {
    let parts = part_folders(folder)?;
    for (at, (split, path)) in parts.iter().enumerate() {
        if let Some((_, other)) = parts[..at].iter().find(|(of, _)| of == split) {
            let found = format!("{} and {}", file_name(other), file_name(path));
            return Err(Error::invalid(folder, format!("one folder for {}", split.name()), found)
                .with_hint("rename the one that is not meant"));
        }
    }
    Ok(parts)
}

/// `{train,val,test}/<class>/FILE`.
fn in_parts(folder: &Path) -> Result<Scan> {
    let mut parts = parts_in(folder)?;
    let has = |parts: &[(Split, PathBuf)], split: Split| parts.iter().any(|(of, _)| *of == split);
    let mut note = String::new();
    if has(&parts, Split::Validation)
        && let Some(at) = parts.iter().position(|(split, path)| *split == Split::Test && !holds_folders(path))
    {
        note = format!("; {} has no classes and is not read", file_name(&parts.remove(at).1));
    }
    if !has(&parts, Split::Test) {
        parts.iter_mut().filter(|(split, _)| *split == Split::Validation).for_each(|(split, _)| *split = Split::Test);
    }
    if !has(&parts, Split::Test) {
        let found = "no val, and no test in its place";
        return Err(Error::invalid(folder, "the folders train and val", found));
    }
    parts.sort_by_key(|(split, _)| *split as usize);
    require_same_folders(folder, &parts)?;
    let (mut named, mut missing, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    for (split, part) in &parts {
        let name = |(class, path)| Named { class, path, split: *split };
        if holds_folders(part) {
            for class in folders(part)? {
                named.extend(
                    pictures_of(&class, &mut ignored)?.into_iter().map(|path| name((class_name(&class), path))),
                );
            }
        } else {
            let (solved, lost) = unsorted(folder, part)?;
            named.extend(solved.into_iter().map(name));
            missing.extend(lost);
        }
    }
    let names: Vec<(Split, String)> = parts.iter().map(|(split, path)| (*split, file_name(path))).collect();
    let layout = match names[..] {
        [_, _, _] => "{train,val,test}/<class>/FILE",
        [.., (_, ref other)] if part_of(other) == Some(Split::Test) => "{train,test}/<class>/FILE",
        _ => "{train,val}/<class>/FILE",
    };
    Ok(Scan { division: roles(&names) + &note, named, parts: names, layout, missing, ignored })
}

/// The parts that have folders of classes must have the same ones, also where these are empty.
fn require_same_folders(folder: &Path, parts: &[(Split, PathBuf)]) -> Result<()> {
    let of =
        |part: &Path| -> Result<BTreeSet<String>> { Ok(folders(part)?.iter().map(|path| class_name(path)).collect()) };
    let (_, train) = &parts[0];
    let classes = of(train)?;
    for (_, part) in parts[1..].iter().filter(|(_, part)| holds_folders(part)) {
        let (names, others) = ([train, part].map(|path| file_name(path)), of(part)?);
        let both = [&classes, &others].map(|classes| classes.iter().map(String::as_str).collect());
        require_same_classes(folder, [&names[0], &names[1]], both)?;
    }
    Ok(())
}

/// Which folder serves for what.
fn roles(names: &[(Split, String)]) -> String {
    match names {
        [(_, train), (_, validation), (_, test)] => {
            format!(
                "folders {train} (learned), {validation} (chooses, in place of data.validation) and {test} (scored)"
            )
        }
        _ => format!("folders {} (learned) and {} (scored)", names[0].1, names[1].1),
    }
}

/// The pictures of a part that has no folders of classes, by ImageNet's list of them.
fn unsorted(folder: &Path, part: &Path) -> Result<Solved> {
    let place = part.display().to_string();
    let pictures: Vec<PathBuf> = entries(part)?.into_iter().filter(|path| is_picture(path)).collect();
    if pictures.is_empty() {
        return Err(Error::invalid(place, "a folder per class", "none"));
    }
    match solution::find(folder) {
        Some(list) => solution::classes(&list, part, pictures),
        None => {
            let found = format!("{} pictures without classes", pictures.len());
            Err(Error::invalid(place, "a folder per class", found).with_hint(format!(
                "sort them: mkdir {0}/CLASS for every class of train, and move every picture to its class; of ImageNet the \
                 script valprep.sh does it, or put Kaggle's {1} into this folder or one above it",
                file_name(part),
                solution::NAME
            )))
        }
    }
}

/// `<class>/{train,test}/FILE`, or `<class>/FILE`, which lists or a share divide.
fn in_classes(folder: &Path, lists: &Lists<'_>) -> Result<Scan> {
    let (mut named, mut files, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    for class in folders(folder)? {
        let (name, own) = (class_name(&class), parts_in(&class)?);
        if own.iter().any(|(split, _)| *split == Split::Train) {
            for (split, part) in own {
                let of_class = |path| Named { class: name.clone(), path, split };
                named.extend(pictures_of(&part, &mut ignored)?.into_iter().map(of_class));
            }
        } else {
            files.extend(pictures_of(&class, &mut ignored)?.into_iter().map(|path| (name.clone(), path)));
        }
    }
    let has_test = named.iter().any(|named: &Named| named.split == Split::Test);
    if !has_test {
        named.iter_mut().filter(|named| named.split == Split::Validation).for_each(|named| named.split = Split::Test);
    }
    if let (false, Some((class, _))) = (named.is_empty(), files.first()) {
        let expected = "train and test in every class, or in none";
        return Err(Error::invalid(folder, expected, format!("none in {class}")));
    }
    if !named.is_empty() {
        let has = |split: &Split| named.iter().any(|named| named.split == *split);
        let splits = Split::ALL.into_iter().filter(has);
        let parts: Vec<(Split, String)> = splits.map(|split| (split, split.name().to_owned())).collect();
        let (layout, division) = ("<class>/{train,test}/FILE", roles(&parts));
        return Ok(Scan { named, parts, layout, division, missing: Vec::new(), ignored });
    }
    let of_class: Vec<(&str, &Path)> = files.iter().map(|(class, path)| (class.as_str(), path.as_path())).collect();
    let (marks, division) = division::divide(folder, &of_class, lists)?;
    for ((class, path), mark) in files.into_iter().zip(marks) {
        named.extend(mark.map(|split| Named { class, path, split }));
    }
    let parts = [Split::Train, Split::Test].map(|split| (split, split.name().to_owned())).to_vec();
    Ok(Scan { named, parts, layout: "<class>/FILE", division, missing: Vec::new(), ignored })
}

/// The pictures in a folder, or in the only folder in it, and what else lies in the folder.
pub(super) fn pictures_below(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let split = |folder: &Path| -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        Ok(entries(folder)?.into_iter().partition(|path| is_picture(path) && !path.is_dir()))
    };
    let (pictures, others) = split(folder)?;
    let inner: Vec<&PathBuf> = others.iter().filter(|path| path.is_dir()).collect();
    match inner[..] {
        [only] if pictures.is_empty() => Ok((split(only)?.0, others)),
        _ => Ok((pictures, others)),
    }
}

/// The pictures of a class; what else lies there is passed over.
fn pictures_of(class: &Path, ignored: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let (pictures, others) = pictures_below(class)?;
    if pictures.is_empty() {
        let expected = format!("pictures ({})", known_extensions());
        let inner: Vec<String> = others.iter().filter(|path| path.is_dir()).map(|path| file_name(path)).collect();
        let (found, hint) = match inner[..] {
            [] => ("none".to_owned(), "add pictures of this class, or remove its folder from both parts"),
            _ => (
                format!("none, but the folders {}", show_names(inner.iter().map(String::as_str))),
                "classes within classes are not read: move the inner folders up, each with a name of its own",
            ),
        };
        return Err(Error::invalid(class, expected, found).with_hint(hint));
    }
    // The folder that they lie in is none of the others.
    ignored.extend(others.into_iter().filter(|path| !pictures[0].starts_with(path)));
    Ok(pictures)
}

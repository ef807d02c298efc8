//! ShapeNet's parts as text, in both published layouts.
//!
//! `<number>/<shape>.txt` with x y z nx ny nz and a part counted over all categories from 0
//! (`shapenetcore_partanno_segmentation_benchmark_v0_normal`), or `<number>/points/<shape>.pts` with x y z and
//! `<number>/points_label/<shape>.seg` with a part counted within the category from 1 (`..._v0`).
//! `synsetoffset2category.txt` has the name and number of every category; lists of JSON in `train_test_split` say which
//! shapes are for training, validation and testing.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::cloud::{Reading, columns};
use super::config::SceneDataConfig;
use super::item::{Item, Opened};
use super::labels::{Class, IGNORED};
use super::lists::lines_of;
use crate::data::division::Lists;
use crate::data::folders::{count_extensions, entries};
use crate::data::points::features::NORMALS;
use crate::data::points::format::{self, Raw};
use crate::data::scan::{Lines, show};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::nearest;
use crate::reading;

/// The list of the categories.
pub(super) const CATEGORIES: &str = "synsetoffset2category.txt";

/// Parts of each category, in the order in which they are counted over all.
const PARTS: [(&str, i64); 16] = [
    ("Airplane", 4),
    ("Bag", 2),
    ("Cap", 2),
    ("Car", 4),
    ("Chair", 4),
    ("Earphone", 3),
    ("Guitar", 3),
    ("Knife", 2),
    ("Lamp", 4),
    ("Laptop", 2),
    ("Motorbike", 6),
    ("Mug", 2),
    ("Pistol", 3),
    ("Rocket", 3),
    ("Skateboard", 3),
    ("Table", 3),
];

/// The folder of the lists, and what each says.
const LISTS: [(&str, Split); 3] = [
    ("train_test_split/shuffled_train_file_list.json", Split::Train),
    ("train_test_split/shuffled_val_file_list.json", Split::Validation),
    ("train_test_split/shuffled_test_file_list.json", Split::Test),
];

/// A category that the folder has.
#[derive(Debug, Clone)]
struct Category {
    name: String,
    number: String,
    /// Its parts, and the parts of the categories before it in the published order.
    parts: i64,
    before: i64,
    /// The position of its first part among the classes.
    first: i64,
}

/// A shape with its file of points.
#[derive(Debug, Clone)]
struct Found {
    category: usize,
    path: PathBuf,
    /// The file of labels, where it is another one.
    labels: Option<PathBuf>,
}

/// Reads the shapes of all categories, or of `data.scenes.category`.
///
/// # Errors
/// Lists that can't be read, unknown categories, no shapes. What is wrong with a shape is an error of its item.
pub(super) fn open(folder: &Path, settings: &SceneDataConfig, lists: &Lists<'_>, reading: &Reading) -> Result<Opened> {
    let (categories, shapes) = find(folder, settings.category.as_deref())?;
    let (splits, division) = divide(folder, &categories, &shapes, lists)?;
    let kept: Vec<(&Found, Split)> =
        shapes.iter().zip(splits).filter_map(|(shape, split)| Some((shape, split?))).collect();
    let item = |(shape, split): &(&Found, Split)| {
        let name = shape.path.display().to_string();
        let category = &categories[shape.category];
        let clouds = read_shape(shape, category, settings.unlabelled)
            .and_then(|(raw, classes)| Ok(reading.cut(raw, &classes, &name)?.clouds));
        Item { group: name.clone(), name, split: *split, clouds }
    };
    let class = |category: &Category| -> Vec<String> {
        (1..=category.parts).map(|part| format!("{} part {part}", category.name)).collect()
    };
    Ok(Opened {
        items: kept.par_iter().map(item).collect(),
        classes: categories.iter().flat_map(class).collect(),
        division,
        columns: columns(if shapes.iter().any(|shape| shape.labels.is_some()) { &[] } else { &[NORMALS] }),
        files: count_extensions(shapes.iter().flat_map(|shape| [Some(&shape.path), shape.labels.as_ref()]).flatten()),
    })
}

/// The categories that have shapes here, and these.
fn find(folder: &Path, wanted: Option<&str>) -> Result<(Vec<Category>, Vec<Found>)> {
    let named = read_categories(&folder.join(CATEGORIES))?;
    if let Some(wanted) = wanted
        && !named.iter().any(|category| category.name.eq_ignore_ascii_case(wanted))
    {
        let known: Vec<&str> = named.iter().map(|category| category.name.as_str()).collect();
        return Err(Error::invalid(
            "data.scenes.category",
            format!("a category of {CATEGORIES}"),
            format!("'{wanted}'"),
        )
        .with_hint(nearest::hint(wanted, &known)));
    }
    let is_wanted = |category: &Category| wanted.is_none_or(|wanted| category.name.eq_ignore_ascii_case(wanted));
    let (mut categories, mut shapes, mut first) = (Vec::new(), Vec::new(), 0);
    for category in named.into_iter().filter(is_wanted) {
        let found = shapes_of(&folder.join(&category.number), categories.len())?;
        if !found.is_empty() {
            first += category.parts;
            categories.push(Category { first: first - category.parts, ..category });
            shapes.extend(found);
        }
    }
    if shapes.is_empty() {
        let wanted = wanted.unwrap_or("any category");
        let expected =
            format!("shapes of {wanted}: <number>/<shape>.txt, or points/<shape>.pts and points_label/<shape>.seg");
        return Err(Error::invalid(folder, expected, "none"));
    }
    Ok((categories, shapes))
}

/// A name and a number per line, such as `Airplane` and `02691156`.
fn read_categories(path: &Path) -> Result<Vec<Category>> {
    categories_of(&reading::text(path, reading::LIST)?, path)
}

/// The same of a file's text.
fn categories_of(text: &str, path: &Path) -> Result<Vec<Category>> {
    let category = |line: &String| {
        let place = || path.display().to_string();
        let [name, number] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(Error::invalid(place(), "a category and its number per line", format!("'{line}'")));
        };
        let Some(position) = PARTS.iter().position(|(known, _)| *known == name) else {
            let known: Vec<&str> = PARTS.iter().map(|(known, _)| *known).collect();
            return Err(Error::invalid(place(), "the categories of ShapeNet's parts", format!("'{name}'"))
                .with_hint(nearest::hint(name, &known)));
        };
        let before = PARTS[..position].iter().map(|(_, parts)| parts).sum();
        let (name, number, parts) = (name.to_owned(), number.to_owned(), PARTS[position].1);
        Ok(Category { name, number, parts, before, first: 0 })
    };
    lines_of(text, path, "a category and its number per line")?.iter().map(category).collect()
}

/// How many categories a list with this text names.
///
/// # Errors
/// Lines that are none, unknown categories.
pub(super) fn count_categories(text: &str, path: &Path) -> Result<usize> {
    categories_of(text, path).map(|categories| categories.len())
}

fn shapes_of(folder: &Path, category: usize) -> Result<Vec<Found>> {
    let with = |folder: &Path, extension: &str| -> Result<Vec<PathBuf>> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let files = entries(folder)?.into_iter();
        Ok(files.filter(|path| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))).collect())
    };
    let points = with(&folder.join("points"), "pts")?;
    if points.is_empty() {
        let files = with(folder, "txt")?.into_iter();
        return Ok(files.map(|path| Found { category, path, labels: None }).collect());
    }
    let labelled = |path: PathBuf| {
        let name = path.with_extension("seg");
        let labels = folder.join("points_label").join(name.file_name().unwrap_or_default());
        Found { category, path, labels: Some(labels) }
    };
    Ok(points.into_iter().map(labelled).collect())
}

/// The points of a shape and their classes.
fn read_shape(shape: &Found, category: &Category, unlabelled: i64) -> Result<(Raw, Vec<Class>)> {
    let mut raw = format::read(&shape.path)?.by_number();
    let place = shape.path.display().to_string();
    // Parts are counted from 1 within the category, or from 0 over all.
    let (labels, start, place) = match &shape.labels {
        Some(path) => (read_labels(path)?, 1, path.display().to_string()),
        None => (take_labels(&mut raw, &place)?, category.before, place),
    };
    let points = raw.points();
    if labels.len() != points {
        let expected = format!("{points} labels, one per point of {}", shape.path.display());
        return Err(Error::invalid(place, expected, labels.len().to_string()));
    }
    let class = |(point, label): (usize, &f64)| {
        let part = *label - start as f64;
        match *label {
            label if label == unlabelled as f64 => Ok(IGNORED),
            _ if part.fract() == 0.0 && (0.0..category.parts as f64).contains(&part) => {
                Ok((category.first + part as i64) as Class)
            }
            _ => {
                let expected = format!("a part of {}, {start} to {}", category.name, start + category.parts - 1);
                Err(Error::invalid(format!("{place}, point {point}"), expected, label.to_string()))
            }
        }
    };
    let classes = labels.iter().enumerate().map(class).collect::<Result<_>>()?;
    Ok((raw, classes))
}

/// Names the columns of a table of 7, and takes the last one out.
fn take_labels(raw: &mut Raw, place: &str) -> Result<Vec<f64>> {
    if raw.columns.len() != 7 {
        let expected = "7 columns: x y z nx ny nz and the part";
        return Err(Error::invalid(place, expected, raw.columns.len().to_string()));
    }
    name_normals(raw);
    Ok(raw.columns.pop().map(|(_, values)| values).unwrap_or_default())
}

/// Names the normals of a table without header that has 7 columns, as this set's have; others stay as they are.
pub(super) fn name_normals(raw: &mut Raw) {
    let names: Vec<&str> = raw.columns.iter().map(|(name, _)| name.as_str()).collect();
    if names == ["x", "y", "z", "3", "4", "5", "6"] {
        raw.columns[3..].iter_mut().zip(NORMALS).for_each(|(column, name)| name.clone_into(&mut column.0));
    }
}

/// A whole number per line.
fn read_labels(path: &Path) -> Result<Vec<f64>> {
    labels_of(&reading::bytes(path)?, &path.display().to_string())
}

/// The same of a file with this content, which messages call `place`.
pub(super) fn labels_of(bytes: &[u8], place: &str) -> Result<Vec<f64>> {
    let label = |line: crate::data::scan::Line<'_>| {
        let word = std::str::from_utf8(line.text).ok().and_then(|word| word.parse::<i64>().ok());
        word.map(|label| label as f64).ok_or_else(|| line.invalid(place, "a part, a whole number", show(line.text)))
    };
    Lines::new(bytes).map(label).collect()
}

/// The split of every shape, none where the lists leave it out; and how that was decided, in words.
fn divide(
    folder: &Path,
    categories: &[Category],
    shapes: &[Found],
    lists: &Lists<'_>,
) -> Result<(Vec<Option<Split>>, String)> {
    let mut listed: HashMap<(String, String), Split> = HashMap::new();
    let mut found = Vec::new();
    for (list, split) in LISTS {
        let path = folder.join(list);
        if reading::is_there(&path) {
            found.push(split);
            listed.extend(read_list(&path)?.into_iter().map(|shape| (shape, split)));
        }
    }
    let otherwise = (!found.contains(&Split::Train)).then_some(Split::Train);
    let split = |shape: &Found| {
        let stem = shape.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        listed.get(&(categories[shape.category].number.clone(), stem)).copied().or(otherwise)
    };
    let mut splits: Vec<Option<Split>> = shapes.iter().map(split).collect();
    let mut notes = Vec::new();
    if !found.is_empty() {
        notes.push("lists of train_test_split".to_owned());
    }
    let has = |splits: &[Option<Split>], wanted: Split| splits.contains(&Some(wanted));
    if !has(&splits, Split::Train) && has(&splits, Split::Validation) {
        splits
            .iter_mut()
            .filter(|split| **split == Some(Split::Validation))
            .for_each(|split| *split = Some(Split::Train));
        notes.push("no shape for training is there, so those for validation are for training".to_owned());
    }
    if !has(&splits, Split::Test) {
        let marks = lists.shares.tested(&vec![0; splits.len()]);
        let held = splits.iter_mut().zip(marks).filter(|(split, mark)| *mark && split.is_some());
        held.for_each(|(split, _)| *split = Some(Split::Test));
        notes.push(lists.shares.tested_in_words("all"));
    }
    Ok((splits, format!("split by {}", notes.join("; "))))
}

/// Numbers of categories and names of shapes: the last two parts of `shape_data/02691156/1021a0914a7207aff9`.
fn read_list(path: &Path) -> Result<Vec<(String, String)>> {
    list_of(&reading::text(path, reading::LIST)?, path)
}

/// The same of a file's text.
pub(super) fn list_of(text: &str, path: &Path) -> Result<Vec<(String, String)>> {
    let names: Vec<String> = serde_json::from_str(text)
        .map_err(|error| Error::invalid(path, "a list of names in JSON", error.to_string()))?;
    let parts = |name: &String| {
        let mut parts = name.rsplit('/');
        let shape = parts.next().unwrap_or_default().trim_end_matches(".txt").to_owned();
        Some((parts.next()?.to_owned(), shape))
    };
    let found: Option<BTreeMap<(String, String), ()>> =
        names.iter().map(|name| parts(name).map(|parts| (parts, ()))).collect();
    found.map(|found| found.into_keys().collect()).ok_or_else(|| {
        let place = path.display().to_string();
        Error::invalid(place, "names such as shape_data/02691156/1021a0914a7207aff9", "others")
    })
}

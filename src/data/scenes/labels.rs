//! What the points of a cloud are labelled with: the column of the labels, the names of the classes, and which class a
//! label is.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::lines;
use crate::batch;
use crate::data::points::format::Raw;
use crate::error::{Error, Result};

/// The class of a point: its position among the classes, or [`IGNORED`].
pub(super) type Class = i16;

/// The class of a point that has none, or must not count.
pub(super) const IGNORED: Class = batch::IGNORED as Class;

/// The names that the column of labels usually has, the likeliest first; programs that keep scalar fields write the
/// longer ones.
const COLUMNS: [&str; 8] =
    ["label", "class", "scalar_label", "scalar_class", "labels", "classification", "scalar_classification", "semantic"];

/// What `data.scenes.label` calls the last column.
const LAST: &str = "last";

/// Labels beyond which a set without names of classes has probably something else in that column.
const MOST_CLASSES: i64 = 1024;

/// Names of classes, each with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassList {
    names: Vec<String>,
    numbers: BTreeMap<i64, Class>,
    place: String,
}

impl ClassList {
    /// Reads `name` per line, counted from 0, or `number name` per line.
    ///
    /// # Errors
    /// A list that can't be read or is empty, a name or number that comes twice, numbers on some lines alone.
    pub fn read(path: &Path) -> Result<Self> {
        let entries: Vec<String> = lines(path, "a class per line: `name` or `number name`")?;
        let entries: Vec<&str> = entries.iter().map(String::as_str).filter(|line| !line.starts_with('#')).collect();
        let place = path.display().to_string();
        let numbered: Vec<Option<(i64, &str)>> = entries.iter().map(|line| numbered(line)).collect();
        let all = numbered.iter().all(Option::is_some);
        if !all && numbered.iter().any(Option::is_some) {
            let without = numbered.iter().position(Option::is_none).expect("not all have one");
            let expected = "a number before every name, or before none";
            return Err(Error::invalid(place, expected, format!("'{}' beside numbered ones", entries[without])));
        }
        let mut list = Self { names: Vec::new(), numbers: BTreeMap::new(), place };
        for (position, entry) in entries.iter().enumerate() {
            let (number, name) = match numbered[position] {
                Some(numbered) if all => numbered,
                _ => (position as i64, *entry),
            };
            list.add(number, name)?;
        }
        Ok(list)
    }

    fn add(&mut self, number: i64, name: &str) -> Result<()> {
        let class = Class::try_from(self.names.len()).unwrap_or(Class::MAX);
        let is_new = !self.names.iter().any(|known| known == name);
        if !is_new || self.numbers.insert(number, class).is_some() {
            let found = format!("'{number} {name}' again");
            return Err(Error::invalid(self.place.clone(), "every class once", found));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// Names of the classes, in their order.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// A line with a number and a name behind it, between them blanks, a colon, a comma or `=`.
fn numbered(line: &str) -> Option<(i64, &str)> {
    let end = line.find(|letter: char| letter.is_whitespace() || [':', ',', '=', ';'].contains(&letter))?;
    let name =
        line[end..].trim_start_matches(|letter: char| letter.is_whitespace() || [':', ',', '=', ';'].contains(&letter));
    let number = line[..end].parse().ok()?;
    (!name.is_empty()).then_some((number, name))
}

/// How labels become classes.
#[derive(Debug, Clone)]
pub(super) struct Labelling {
    /// The column by `data.scenes.label`.
    pub column: Option<String>,
    /// The label of points without a class.
    pub unlabelled: i64,
    /// The classes; absent: labels count them from 0.
    pub list: Option<ClassList>,
}

impl Labelling {
    /// The classes of a file's points.
    ///
    /// # Errors
    /// No such column, labels that are not whole numbers or no class, no labelled point: with file and point.
    pub fn classes(&self, raw: &Raw, place: &str) -> Result<Vec<Class>> {
        let (name, values) = &raw.columns[self.find(raw, place)?];
        let class = |(point, value): (usize, &f64)| {
            self.class(*value).map_err(|(expected, hint)| {
                let place = format!("{place}, point {point}: {name}");
                Error::invalid(place, expected, value.to_string()).with_hint(hint)
            })
        };
        let classes: Vec<Class> = values.iter().enumerate().map(class).collect::<Result<_>>()?;
        if classes.iter().all(|class| *class == IGNORED) {
            let found = if classes.is_empty() { "no points".to_owned() } else { format!("{} alone", self.unlabelled) };
            return Err(Error::invalid(format!("{place}: {name}"), "points with a class", found)
                .with_hint("data.scenes.unlabelled is the label of points without one"));
        }
        Ok(classes)
    }

    fn find(&self, raw: &Raw, place: &str) -> Result<usize> {
        let position = |wanted: &str| raw.columns.iter().position(|(name, _)| name == wanted);
        let found = match self.column.as_deref() {
            Some(LAST) => raw.columns.len().checked_sub(1),
            Some(wanted) => position(&wanted.to_lowercase()),
            None => COLUMNS.into_iter().find_map(position),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = raw.columns.iter().map(|(name, _)| name.as_str()).collect();
            let expected = self.column.as_ref().map_or("a column label (or class)".to_owned(), |wanted| {
                format!("a column {wanted}, as data.scenes.label says")
            });
            Error::invalid(place, expected, names.join(", ")).with_hint(
                "data.scenes.label names the column of the labels: its name, its number counted from 0, or last",
            )
        })
    }

    /// The class, or what is expected instead and what to do.
    fn class(&self, value: f64) -> std::result::Result<Class, (String, String)> {
        let is_whole = value.fract() == 0.0 && value.abs() < i64::MAX as f64;
        if !is_whole {
            let hint = "is this the column of the labels? data.scenes.label names it";
            return Err(("a label that is a whole number".to_owned(), hint.to_owned()));
        }
        let label = value as i64;
        if label == self.unlabelled {
            return Ok(IGNORED);
        }
        let unlabelled = "where this means no class: data.scenes.unlabelled";
        match &self.list {
            Some(list) => list.numbers.get(&label).copied().ok_or_else(|| {
                let expected = format!("a label of the {} classes in {}", list.names.len(), list.place);
                (expected, format!("add it there; {unlabelled}"))
            }),
            None if (0..MOST_CLASSES).contains(&label) => Ok(label as Class),
            None => {
                let expected = format!("a label from 0 to {}", MOST_CLASSES - 1);
                Err((expected, format!("a file classes.txt can number classes otherwise; {unlabelled}")))
            }
        }
    }
}

/// The names of the classes that are in `clouds`: those of the list, or numbers up to the greatest class.
pub(super) fn names(list: Option<&ClassList>, greatest: Option<Class>) -> Vec<String> {
    match list {
        Some(list) => list.names().to_vec(),
        None => (0..=greatest.unwrap_or(0)).map(|class| format!("class {class}")).collect(),
    }
}

//! What the points of a cloud are labelled with: the column of the labels, the names of the classes, and which class a
//! label is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::lists::lines_of;
use crate::batch;
use crate::data::folders::composed;
use crate::data::points::format::Raw;
use crate::data::points::format::columns::LABELS;
use crate::data::scan::{show, show_names};
use crate::error::{Error, Result};
use crate::reading;

/// The class of a point: its position among the classes, or [`IGNORED`].
pub(super) type Class = i16;

/// The class of a point that has none, or must not count.
pub(super) const IGNORED: Class = batch::IGNORED as Class;

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
        Self::parse(&reading::text(path, reading::LIST)?, path)
    }

    /// The same of a file's text.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let entries: Vec<String> = lines_of(text, path, "a class per line: `name` or `number name`")?;
        let entries: Vec<&str> = entries.iter().map(String::as_str).filter(|line| !line.starts_with('#')).collect();
        let place = path.display().to_string();
        let numbered: Vec<Option<(i64, &str)>> = entries.iter().map(|line| numbered(line)).collect();
        let all = numbered.iter().all(Option::is_some);
        if !all && numbered.iter().any(Option::is_some) {
            let without = numbered.iter().position(Option::is_none).expect("not all have one");
            let expected = "a number before every name, or before none";
            return Err(Error::invalid(
                place,
                expected,
                format!("'{}' beside numbered ones", show(entries[without].as_bytes())),
            ));
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

    /// The classes that the files name, in alphabetical order; numbers are none of them.
    ///
    /// # Errors
    /// Too many of them.
    pub fn of_words(words: BTreeSet<String>, folder: &Path) -> Result<Self> {
        let mut list = Self { names: Vec::new(), numbers: BTreeMap::new(), place: folder.display().to_string() };
        words.iter().enumerate().try_for_each(|(position, word)| list.add(position as i64, word))?;
        Ok(Self { numbers: BTreeMap::new(), ..list })
    }

    fn add(&mut self, number: i64, name: &str) -> Result<()> {
        let class = self.names.len() as Class;
        if self.names.len() as i64 >= MOST_CLASSES {
            return Err(Error::invalid(self.place.clone(), format!("at most {MOST_CLASSES} classes"), "more"));
        }
        let name = composed(name);
        let is_new = !self.names.contains(&name);
        if !is_new || self.numbers.insert(number, class).is_some() {
            let found = format!("'{number} {}' again", show(name.as_bytes()));
            return Err(Error::invalid(self.place.clone(), "every class once", found));
        }
        self.names.push(name);
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
    /// The name of the column of labels, and the classes of a file's points.
    ///
    /// # Errors
    /// No such column, labels that are not whole numbers or no class, no labelled point: with file and point.
    pub fn classes(&self, raw: &Raw, place: &str) -> Result<(String, Vec<Class>)> {
        let (name, values) = &raw.columns[self.find(raw, place)?];
        let named = raw.words(name).map(|words| self.named(words, &format!("{place}: {name}"))).transpose()?;
        let class = |(point, value): (usize, &f64)| {
            if let Some(named) = &named {
                return Ok(named.get(*value as usize).filter(|_| !value.is_nan()).copied().unwrap_or(IGNORED));
            }
            self.class(*value).map_err(|(expected, hint)| {
                let place = format!("{place}, point {point}: {name}");
                Error::invalid(place, expected, value.to_string()).with_hint(hint)
            })
        };
        let classes: Vec<Class> = values.iter().enumerate().map(class).collect::<Result<_>>()?;
        if classes.iter().all(|class| *class == IGNORED) {
            let found = match values.first() {
                None => "no points".to_owned(),
                Some(_) if values.iter().all(|value| value.is_nan()) => "NaN".to_owned(),
                Some(_) => format!("{} alone", self.unlabelled),
            };
            return Err(Error::invalid(format!("{place}: {name}"), "points with a class", found)
                .with_hint("data.scenes.unlabelled is the label of points without one"));
        }
        Ok((name.clone(), classes))
    }

    /// The names of the classes that a file's points are labelled with, where these are names.
    pub fn words(&self, raw: &Raw, place: &str) -> BTreeSet<String> {
        let column = self.find(raw, place).ok().map(|at| &raw.columns[at].0);
        let words = column.and_then(|column| raw.words(column)).unwrap_or_default();
        words.iter().map(|word| composed(word)).collect()
    }

    /// The class of each of these names.
    fn named(&self, words: &[String], place: &str) -> Result<Vec<Class>> {
        let Some(list) = &self.list else {
            let found = show_names(words.iter().map(String::as_str));
            return Err(Error::invalid(place, "numbers, as in the set's first file", found)
                .with_hint("a file classes.txt with a class per line says which number is which name"));
        };
        let class = |word: &String| {
            let position = list.names.iter().position(|name| *name == composed(word));
            position.map(|position| position as Class).ok_or_else(|| {
                Error::invalid(
                    place,
                    format!("one of the {} classes in {}", list.names.len(), list.place),
                    show(word.as_bytes()),
                )
                .with_hint("add it there")
            })
        };
        words.iter().map(class).collect()
    }

    fn find(&self, raw: &Raw, place: &str) -> Result<usize> {
        let found = match self.column.as_deref() {
            Some(LAST) => raw.columns.len().checked_sub(1),
            Some(wanted) => raw.position(&wanted.to_lowercase()),
            None => LABELS.into_iter().find_map(|label| raw.position(label)),
        };
        found.ok_or_else(|| {
            let expected = self.column.as_ref().map_or("a column label (or class)".to_owned(), |wanted| {
                format!("a column {wanted}, as data.scenes.label says")
            });
            Error::invalid(place, expected, raw.names()).with_hint(
                "data.scenes.label names the column of the labels: its name, its number counted from 0, or last",
            )
        })
    }

    /// The class, or what is expected instead and what to do.
    fn class(&self, value: f64) -> std::result::Result<Class, (String, String)> {
        // What no program could label.
        if value.is_nan() {
            return Ok(IGNORED);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<ClassList> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classes.txt");
        std::fs::write(&path, text).unwrap();
        ClassList::read(&path)
    }

    fn raw(columns: &[(&str, &[f64])]) -> Raw {
        let columns = columns.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
        Raw { columns, ..Raw::default() }
    }

    fn labelling(column: Option<&str>, list: Option<ClassList>) -> Labelling {
        Labelling { column: column.map(str::to_owned), unlabelled: -1, list }
    }

    #[test]
    fn classes_are_named_in_their_order_with_or_without_numbers() {
        let plain = list("\u{feff}floor\r\n\n# walls\nwall, brick\n").unwrap();
        assert_eq!(plain.names(), ["floor", "wall, brick"]);
        let numbered = list("7 tree\n2: water\n40=road\n3,low plants\n").unwrap();
        assert_eq!(numbered.names(), ["tree", "water", "road", "low plants"]);
        let classes = labelling(None, Some(numbered)).classes(&raw(&[("label", &[40.0, 7.0, -1.0])]), "a").unwrap();
        assert_eq!(classes.1, [2, 0, IGNORED]);
        for (text, word) in [
            ("", "an empty file"),
            ("1 a\nb\n", "'b' beside numbered ones"),
            ("1 a\n1 b\n", "'1 b' again"),
            ("1 a\n2 a\n", "'2 a' again"),
            ("1 \u{e9}\n2 e\u{301}\n", "again"),
        ] {
            let message = list(text).unwrap_err().to_string();
            assert!(message.contains("classes.txt: ") && message.ends_with(word), "{message}");
        }
    }

    #[test]
    fn the_column_is_found_by_its_usual_names_or_as_the_configuration_says() {
        let cloud = raw(&[("x", &[0.5]), ("3", &[4.0]), ("scalar_label", &[2.0]), ("class", &[1.0]), ("7", &[6.0])]);
        for (column, class) in [(None, 1), (Some("scalar_Label"), 2), (Some("3"), 4), (Some("last"), 6)] {
            assert_eq!(labelling(column, None).classes(&cloud, "a").unwrap().1, [class], "{column:?}");
        }
        let message = |column| labelling(column, None).classes(&raw(&[("x", &[0.5])]), "a").unwrap_err().to_string();
        assert_eq!(message(None), "a: expected a column label (or class), found x");
        assert_eq!(message(Some("kind")), "a: expected a column kind, as data.scenes.label says, found x");
    }

    #[test]
    fn a_label_that_is_no_number_is_none() {
        let cloud = raw(&[("x", &[0.5; 3]), ("label", &[f64::NAN, 1.0, f64::NAN])]);
        assert_eq!(labelling(None, None).classes(&cloud, "a").unwrap().1, [IGNORED, 1, IGNORED]);
    }

    #[test]
    fn what_is_no_class_is_named_with_its_point() {
        let message = |labels: &[f64], list| {
            labelling(None, list).classes(&raw(&[("label", labels)]), "a.ply").unwrap_err().to_string()
        };
        assert_eq!(
            message(&[0.0, 0.5], None),
            "a.ply, point 1: label: expected a label that is a whole number, found 0.5"
        );
        assert!(message(&[f64::NAN], None).ends_with("found NaN"));
        assert!(message(&[-2.0], None).contains("expected a label from 0 to 1023, found -2"));
        assert!(message(&[1e300], None).contains("expected a label"));
        let names = list("floor\nwall\n").unwrap();
        assert!(message(&[1.0, 2.0], Some(names)).contains("point 1: label: expected a label of the 2 classes in "));
        assert_eq!(message(&[-1.0, -1.0], None), "a.ply: label: expected points with a class, found -1 alone");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,60}(\n.{0,20}){0,5}") {
            if let Ok(list) = list(&text) {
                proptest::prop_assert_eq!(list.names().len(), list.numbers.len());
            }
        }

        #[test]
        fn every_label_of_a_list_is_found(numbers in proptest::collection::btree_set(-50_i64..50, 1..20)) {
            let text: String = numbers.iter().map(|number| format!("{number} class {number}\n")).collect();
            let labels: Vec<f64> = numbers.iter().map(|number| *number as f64).collect();
            let found = labelling(None, Some(list(&text).unwrap())).classes(&raw(&[("label", &labels)]), "a");
            let expected: Vec<Class> = numbers.iter().enumerate().map(|(class, number)| if *number == -1 { IGNORED } else { class as Class }).collect();
            match found {
                Ok((_, classes)) => proptest::prop_assert_eq!(classes, expected),
                Err(error) => proptest::prop_assert!(expected == [IGNORED], "{}", error),
            }
        }
    }

    #[test]
    fn without_a_list_classes_are_counted() {
        assert_eq!(names(None, Some(2)), ["class 0", "class 1", "class 2"]);
    }
}

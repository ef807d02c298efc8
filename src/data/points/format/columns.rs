//! Names of columns: one for what the formats and their writers call differently; and what their numbers mean.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use super::{Raw, Scale};
use crate::data::numpy::header::Element;
use crate::data::scan::show;
use crate::error::{Error, Result};

/// The names that the column of labels usually has, the likeliest first; programs that keep scalar fields write the
/// longer ones.
pub(in crate::data) const LABELS: [&str; 10] = [
    "label",
    "class",
    "scalar_label",
    "scalar_class",
    "labels",
    "classification",
    "scalar_classification",
    "semantic",
    "segment",
    "segment20",
];

/// The most names of a column: more are no classes.
const MOST_WORDS: usize = 1024;

/// The names of colours.
const COLOURS: [&str; 4] = ["red", "green", "blue", "alpha"];

/// What a column may be called besides its name, as `data.features` takes it: parts before and after a separator.
/// `Points:0`, `pos_x`, `Normals:2` and `colour_r` are such names.
const GROUPS: [(&[&str], [&str; 3]); 3] = [
    (
        &[
            "pos",
            "position",
            "positions",
            "point",
            "points",
            "xyz",
            "coord",
            "coords",
            "coordinate",
            "coordinates",
            "location",
            "vertex",
            "p",
        ],
        ["x", "y", "z"],
    ),
    (&["n", "normal", "normals"], ["nx", "ny", "nz"]),
    (&["rgb", "rgba", "color", "colors", "colour", "colours", "diffuse"], ["red", "green", "blue"]),
];

/// What the axes are called in surveying, where no column is called x, y or z.
const SURVEY: [&[&str]; 3] = [&["easting", "east"], &["northing", "north"], &["height", "elevation", "altitude", "z"]];

/// The most columns of a file of points: the longest descriptors of points in use have some thousands. A column costs
/// more than its values, so a file of one endless line would take many times its size.
const MOST_COLUMNS: u64 = 1 << 16;

/// The most values of a point that are usual: fewer points than this are no cloud.
const MOST_AXES: usize = 9;

/// Refuses more columns than a cloud has, before any is made.
///
/// # Errors
/// More of them, with `place` (the file, and the line).
pub(super) fn check_width(columns: u64, place: impl AsRef<Path>) -> Result<()> {
    if columns <= MOST_COLUMNS {
        return Ok(());
    }
    Err(Error::invalid(place, format!("at most {MOST_COLUMNS} values per point"), columns.to_string())
        .with_hint("a point is a line, or a row of an array: are rows and columns exchanged, or line ends missing?"))
}

/// Refuses a table without names whose rows are the axes of many points.
///
/// # Errors
/// Such a table.
pub(in crate::data) fn check_orientation(rows: usize, columns: usize, place: &str) -> Result<()> {
    if !(3..=MOST_AXES).contains(&rows) || columns <= MOST_AXES {
        return Ok(());
    }
    let found = format!("shape ({rows}, {columns}), which looks transposed");
    Err(Error::invalid(place, "an array of shape (points, columns)", found)
        .with_hint("save it with a point a row, for example array.T"))
}

/// Points from which on a first column of columns without names that counts them is no axis.
const MANY_POINTS: usize = 8;

/// Renames columns without names of which the first, from 0 or 1, counts the points before three others: it is no axis.
/// True where it does.
pub(super) fn set_index_apart(columns: &mut [Column]) -> bool {
    let [index, x, y, z, ..] = columns else { return false };
    let Some(first) = index.values.first().filter(|first| [0.0, 1.0].contains(*first)) else { return false };
    let counts = index.values.iter().zip(0_u32..).all(|(value, row)| *value == first + f64::from(row));
    if !counts || index.values.len() < MANY_POINTS {
        return false;
    }
    for (column, name) in [(index, "index"), (x, "x"), (y, "y"), (z, "z")] {
        name.clone_into(&mut column.name);
    }
    true
}

/// The type of a column's numbers, as far as it says what a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Number {
    /// Unsigned, of 8 bits: a colour goes from 0 to 255.
    Byte,
    /// Unsigned, of 16 bits: a colour goes from 0 to 65535.
    Word,
    /// Another integer, or written as one: a colour goes further than to 1.
    Whole,
    /// Of 32 bits with a fraction, which may be four bytes in disguise.
    Single,
    /// Another one, or unknown: the range of the set says what a colour means.
    #[default]
    Other,
}

impl Number {
    /// The unsigned integer of so many bytes.
    pub(super) fn unsigned(bytes: usize) -> Self {
        match bytes {
            1 => Self::Byte,
            2 => Self::Word,
            _ => Self::Whole,
        }
    }

    /// The type that NumPy writes so.
    pub(super) fn of(element: Element) -> Self {
        match (element.kind, element.size) {
            (b'u', size) => Self::unsigned(size),
            (b'f', 4) => Self::Single,
            (b'i', _) => Self::Whole,
            _ => Self::Other,
        }
    }
}

/// A column as its file has it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Column {
    pub name: String,
    pub values: Vec<f64>,
    pub number: Number,
    /// Names, where the values are positions among them.
    pub words: Vec<String>,
}

impl Column {
    /// A column without values yet.
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The column that files without names have at a position.
    pub(super) fn numbered(position: usize) -> Self {
        Self::new(["x", "y", "z"].get(position).map_or_else(|| position.to_string(), ToString::to_string))
    }

    /// Adds a value as a text writes it: a column stays one of integers until one is written otherwise.
    pub(super) fn push(&mut self, value: f64, word: &[u8]) {
        if self.number == Number::Whole && !word.iter().all(u8::is_ascii_digit) {
            self.number = Number::Other;
        }
        self.values.push(value);
    }

    /// Adds a name; false where it is none, where the column has numbers, or too many names.
    pub(super) fn push_word(&mut self, word: &[u8]) -> bool {
        let Some(word) = name_of_class(word) else { return false };
        if self.words.is_empty() && !self.values.is_empty() {
            return false;
        }
        let position = self.words.iter().position(|known| known == word).unwrap_or_else(|| {
            self.words.push(word.to_owned());
            self.words.len() - 1
        });
        self.values.push(position as f64);
        self.words.len() <= MOST_WORDS
    }

    /// The column itself, or the three of a colour that it holds as 0xAARRGGBB.
    fn unpacked(self) -> Vec<Self> {
        let bits = match self.name.as_str() {
            "rgb" | "rgba" => self.bits(),
            _ => None,
        };
        let Some(bits) = bits else { return vec![self] };
        let part = |(name, shift): (&str, u32)| Self {
            name: name.to_owned(),
            values: bits.iter().map(|bits| f64::from(bits >> shift & 0xFF)).collect(),
            number: Number::Byte,
            words: Vec::new(),
        };
        [("red", 16), ("green", 8), ("blue", 0)].map(part).into()
    }

    /// The four bytes in every number: its own where it is an integer, those of a float of 32 bits else.
    fn bits(&self) -> Option<Vec<u32>> {
        let is_whole =
            |value: &f64| value.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(u32::MAX)).contains(value);
        let values = || self.values.iter();
        // Floats in a text give themselves away: without an opacity they are next to nothing, with one immense.
        let is_odd = |value: &f64| *value != 0.0 && !(1e-30..1e30).contains(&value.abs());
        let are_floats = self.number == Number::Single || values().any(is_odd);
        if are_floats {
            return Some(values().map(|value| (*value as f32).to_bits()).collect());
        }
        values().all(is_whole).then(|| values().map(|value| *value as i64 as u32).collect())
    }
}

/// Names the columns as [`Raw`] does, and brings colours of 8 bits to 0..1.
///
/// # Errors
/// Two columns of one name.
pub(super) fn finish(columns: Vec<Column>, triangles: Vec<[u64; 3]>, place: &str) -> Result<Raw> {
    let mut raw = Raw { triangles, ..Raw::default() };
    let names = common_names(columns.iter().map(|column| Cow::from(&column.name)));
    let named = columns.into_iter().zip(names).map(|(column, name)| Column { name, ..column });
    for Column { name, values, number, words } in named.flat_map(Column::unpacked) {
        if !words.is_empty() {
            raw.words.push((name.clone(), words));
        }
        let scale = match number {
            Number::Byte => Some(Scale::Byte),
            Number::Word => Some(Scale::Word),
            Number::Whole if is_colour(&name) => Some(Scale::Whole),
            Number::Whole | Number::Single | Number::Other => None,
        };
        raw.scales.extend(scale.map(|scale| (name.clone(), scale)));
        raw.columns.push((name, values));
    }
    let mut seen = HashSet::new();
    if let Some((name, _)) = raw.columns.iter().find(|(name, _)| !seen.insert(name)) {
        return Err(Error::invalid(place, "columns of different names", format!("{} twice", show(name.as_bytes()))));
    }
    divide_bytes(&mut raw);
    Ok(raw)
}

/// Gives columns, by their positions, other names; another column that has such a name already is called after its
/// position.
pub(in crate::data) fn rename<'a>(raw: &mut Raw, names: impl Iterator<Item = (usize, &'a str)> + Clone) {
    let before: Vec<String> = raw.columns.iter().map(|(name, _)| name.clone()).collect();
    for (at, (name, _)) in raw.columns.iter_mut().enumerate() {
        match names.clone().find(|(renamed, _)| *renamed == at) {
            Some((_, new)) => new.clone_into(name),
            None if names.clone().any(|(_, new)| new == name) => *name = at.to_string(),
            None => {}
        }
    }
    for name in raw.scales.iter_mut().map(|(name, _)| name).chain(raw.words.iter_mut().map(|(name, _)| name)) {
        if let Some(at) = before.iter().position(|before| before == name) {
            name.clone_from(&raw.columns[at].0);
        }
    }
    divide_bytes(raw);
}

/// Brings the columns of 8 bits that are colours by their names to 0..1.
pub(super) fn divide_bytes(raw: &mut Raw) {
    for (name, scale) in raw.scales.iter_mut().filter(|(name, scale)| *scale == Scale::Byte && is_colour(name)) {
        let values = raw.columns.iter_mut().filter(|(column, _)| column == name).flat_map(|(_, values)| values);
        values.for_each(|value| *value /= f64::from(u8::MAX));
        *scale = Scale::Unit;
    }
}

/// A text as the name of a class: it begins with a letter, and a terminal shows it as it is.
fn name_of_class(word: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(word).ok()?;
    let is_name = text.starts_with(char::is_alphabetic) && !text.contains(char::is_control);
    is_name.then_some(text)
}

/// True for red, green, blue and alpha.
pub(in crate::data) fn is_colour(name: &str) -> bool {
    COLOURS.contains(&name)
}

/// The names by which [`Raw`] calls columns of these names.
pub(in crate::data) fn common_names<'a>(names: impl Iterator<Item = Cow<'a, str>>) -> Vec<String> {
    let mut names: Vec<String> = names.map(|name| common_name(&name)).collect();
    name_groups(&mut names);
    names
}

/// Lower case, without a unit, and the shortest of the usual names for normals, the longest for colours.
fn common_name(name: &str) -> String {
    let name = without_unit(&name.to_lowercase());
    let common = match name.as_str() {
        "normal_x" | "n_x" | "normalx" => "nx",
        "normal_y" | "n_y" | "normaly" => "ny",
        "normal_z" | "n_z" | "normalz" => "nz",
        "r" | "diffuse_red" => "red",
        "g" | "diffuse_green" => "green",
        "b" | "diffuse_blue" => "blue",
        "a" | "diffuse_alpha" => "alpha",
        other => other,
    };
    common.to_owned()
}

/// A name without the marks of a comment before it and a unit in brackets behind it: `//X` and `x [m]` are `x`.
fn without_unit(name: &str) -> String {
    let start = name.trim_start_matches(['/', '#']).trim();
    let name = if start.is_empty() { name } else { start };
    let bracket = [('[', ']'), ('(', ')'), ('{', '}')].into_iter().find(|(_, end)| name.ends_with(*end));
    let cut = bracket.and_then(|(start, _)| name.rfind(start)).map_or(name, |at| name[..at].trim_end());
    (if cut.is_empty() { name } else { cut }).to_owned()
}

/// Gives columns the names of a group, such as `x` for `pos_x` or `points:0`, where no column has that name.
fn name_groups(names: &mut [String]) {
    for (prefixes, group) in GROUPS {
        if group.iter().any(|name| names.contains(&(*name).to_owned())) {
            continue;
        }
        let found = |wanted: usize| names.iter().position(|name| member(name, prefixes) == Some(wanted));
        if let [Some(one), Some(two), Some(three)] = [0, 1, 2].map(found) {
            [one, two, three].into_iter().zip(group).for_each(|(at, name)| name.clone_into(&mut names[at]));
        }
    }
    if !["x", "y"].iter().any(|axis| names.contains(&(*axis).to_owned())) {
        let found = |axis: usize| names.iter().position(|name| SURVEY[axis].contains(&name.as_str()));
        if let [Some(x), Some(y), Some(z)] = [0, 1, 2].map(found) {
            [x, y, z].into_iter().zip(["x", "y", "z"]).for_each(|(at, name)| name.clone_into(&mut names[at]));
        }
    }
}

/// Which of a group of three a name is, by its last part: `pos_x`, `x_pos`, `points:0`.
fn member(name: &str, prefixes: &[&str]) -> Option<usize> {
    let is_separator = |letter: char| matches!(letter, '_' | ':' | '.' | '-' | ' ');
    let (one, two) = name.rsplit_once(is_separator)?;
    let part = |part: &str| match part {
        "0" | "x" | "nx" | "r" | "red" => Some(0),
        "1" | "y" | "ny" | "g" | "green" => Some(1),
        "2" | "z" | "nz" | "b" | "blue" => Some(2),
        _ => None,
    };
    if prefixes.contains(&one) { part(two) } else { prefixes.contains(&two).then(|| part(one)).flatten() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, values: &[f64], is_byte: bool) -> Column {
        let number = if is_byte { Number::Byte } else { Number::Other };
        Column { values: values.into(), number, ..Column::new(name) }
    }

    fn names(list: &[&str]) -> String {
        let columns = list.iter().map(|name| column(name, &[], false)).collect();
        let raw = finish(columns, vec![], "a").unwrap();
        raw.columns.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_are_the_common_ones_and_byte_colours_go_from_0_to_1() {
        let columns = vec![
            column("X", &[1.0], false),
            column("Normal_X", &[0.5], false),
            column("diffuse_red", &[255.0, 51.0], true),
            column("g", &[0.25], false),
            column("label", &[7.0], true),
        ];
        let raw = finish(columns, vec![[0, 1, 2]], "a").unwrap();
        let expected = [("x", vec![1.0]), ("nx", vec![0.5]), ("red", vec![1.0, 0.2]), ("green", vec![0.25])];
        for ((name, values), (expected_name, expected_values)) in raw.columns.iter().zip(expected) {
            assert_eq!((name.as_str(), values), (expected_name, &expected_values));
        }
        assert_eq!(raw.columns[4], ("label".into(), vec![7.0]));
        assert_eq!(raw.triangles, [[0, 1, 2]]);
    }

    #[test]
    fn names_with_units_prefixes_and_of_surveyors_are_understood() {
        for (found, expected) in [
            (&["X [m]", "Y (m)", "z{mm}", "Red [0-255]"][..], "x y z red"),
            (&["//X", "Y", "Z", "R"], "x y z red"),
            (&["Points:0", "Points:1", "Points:2", "Normals:0", "Normals:1", "Normals:2"], "x y z nx ny nz"),
            (&["pos_x", "pos_y", "pos_z", "color_r", "color_g", "color_b"], "x y z red green blue"),
            (&["x_pos", "y_pos", "z_pos", "rgb_0", "rgb_1", "rgb_2"], "x y z red green blue"),
            (&["Easting", "Northing", "Height", "label"], "x y z label"),
            (&["x", "y", "z", "height", "pos_x", "pos_y", "pos_z"], "x y z height pos_x pos_y pos_z"),
            (&["points:0", "points:1", "other"], "points:0 points:1 other"),
            (&["[m]", "//", "#"], "[m] // #"),
        ] {
            assert_eq!(names(found), expected);
        }
    }

    #[test]
    fn a_packed_colour_is_three_whatever_holds_it() {
        let bits = [0xFF_FF_33_00_u32, 0x00_00_00_FF];
        for (number, values) in [
            (Number::Other, bits.map(f64::from)),
            (Number::Other, bits.map(|bits| f64::from(bits.cast_signed()))),
            (Number::Single, [0x00_FF_33_00, 0x00_00_00_FF].map(|bits| f64::from(f32::from_bits(bits)))),
            (Number::Other, [0x00_FF_33_00, 0x00_00_00_FF].map(|bits| f64::from(f32::from_bits(bits)))),
        ] {
            let packed = Column { values: values.into(), number, ..Column::new("RGB") };
            let raw = finish(vec![packed], vec![], "a").unwrap();
            let expected = [("red", [1.0, 0.0]), ("green", [0.2, 0.0]), ("blue", [0.0, 1.0])];
            assert_eq!(raw.columns, expected.map(|(name, values)| (name.to_owned(), values.to_vec())));
        }
        let other = column("rgb", &[0.5, 0.25], false);
        assert_eq!(finish(vec![other], vec![], "a").unwrap().columns[0].0, "rgb", "no four bytes");
    }

    #[test]
    fn a_name_may_stand_once() {
        let error = finish(vec![column("red", &[], false), column("R", &[], false)], vec![], "a.ply").unwrap_err();
        assert_eq!(error.to_string(), "a.ply: expected columns of different names, found red twice");
    }

    #[test]
    fn columns_without_names_are_numbered_after_x_y_z() {
        let names: Vec<String> = (0..5).map(|position| Column::numbered(position).name).collect();
        assert_eq!(names, ["x", "y", "z", "3", "4"]);
    }
}

//! What colours mean: integers of 8 and 16 bits by their width, other numbers by the range of the whole set, 0..1,
//! 0..255 or 0..65535. A dark cloud alone does not say it, so it is decided once, when all files are read. A file whose
//! values can't be of that range is divided by its own, and named in a warning.

use std::fmt;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

use super::features::Features;
use super::format::columns::is_colour;
use super::format::{Raw, Scale};
use crate::error::{Error, Result};
use crate::visible::visible_word;

/// How far values may lie beyond a range: means of colours are rounded.
const SLACK: f64 = 1.004;

/// What no colour from 0 to 1 is, however bright it was taken.
const FAR: f64 = 2.0;

/// The files of a set that a note names.
const MOST_NAMES: usize = 10;

/// `data.color_range`: the greatest value of colours whose type does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorRange {
    /// By the greatest value of the set.
    #[default]
    Auto,
    /// 0 to 1.
    Unit,
    /// 0 to 255.
    Byte,
    /// 0 to 65535.
    Word,
}

impl ColorRange {
    /// The greatest value; 1 where it is open.
    fn greatest(self) -> f64 {
        match self {
            Self::Auto | Self::Unit => 1.0,
            Self::Byte => u8::MAX.into(),
            Self::Word => u16::MAX.into(),
        }
    }
}

impl Serialize for ColorRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            range => serializer.serialize_u32(range.greatest() as u32),
        }
    }
}

impl<'de> Deserialize<'de> for ColorRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        match value.to_string().trim_matches('"') {
            "auto" => Ok(Self::Auto),
            "1" | "1.0" => Ok(Self::Unit),
            "255" => Ok(Self::Byte),
            "65535" => Ok(Self::Word),
            other => Err(D::Error::custom(format!("expected auto, 1, 255 or 65535, found {other}"))),
        }
    }
}

/// The values of some colours, in so many files.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    files: usize,
    least: f64,
    greatest: f64,
}

impl Default for Span {
    fn default() -> Self {
        Self { files: 0, least: f64::INFINITY, greatest: f64::NEG_INFINITY }
    }
}

impl Span {
    fn of<'a>(values: impl Iterator<Item = &'a f64>) -> Self {
        let finite = values.copied().filter(|value| value.is_finite());
        finite.fold(Self::default(), |span, value| Self {
            files: 1,
            least: span.least.min(value),
            greatest: span.greatest.max(value),
        })
    }

    fn join(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
        }
    }
}

/// Some files of a set, the first of them by name.
#[derive(Debug, Clone, Default, PartialEq)]
struct Files {
    count: usize,
    names: Vec<String>,
}

impl Files {
    /// The file, where something is so in it.
    fn of(place: &str, is_so: bool) -> Self {
        Self { count: is_so.into(), names: is_so.then(|| place.to_owned()).into_iter().collect() }
    }

    fn join(mut self, other: &Self) -> Self {
        let open = MOST_NAMES - self.names.len();
        self.names.extend(other.names.iter().take(open).cloned());
        Self { count: self.count + other.count, ..self }
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.names.iter().map(|name| visible_word(name)).collect();
        let others = self.count - self.names.len();
        f.write_str(&names.join(", "))?;
        if others > 0 { write!(f, " and {others} more") } else { Ok(()) }
    }
}

/// What was noticed in a file, or in all files of a set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::data) struct Noticed {
    /// Points that were left out because a number of them is not finite, and files that had such points.
    dropped: usize,
    with_dropped: usize,
    /// Files with bytes behind what their header speaks of.
    trailing: usize,
    /// Files whose first line numbers the columns.
    numbered: usize,
    /// Files whose first column counts the points.
    counting: usize,
    /// Colours whose type does not say their range.
    open: Span,
    /// Files whose open colours are integers, by their type.
    wholes: usize,
    /// Files whose open colours are fractions of at most 1, so that they go from 0 to 1.
    fractions: Files,
    /// Files whose open colours are integers by their type, or go far beyond 1, so that they do not.
    above: Files,
    /// Colours of 16 bits.
    words: Span,
}

impl Noticed {
    /// What a file, which messages call `place`, has; so many of its points were left out.
    pub fn of(raw: &Raw, dropped: usize, place: &str) -> Self {
        let colours = |wanted: Option<Scale>| {
            let columns = raw.columns.iter().filter(move |(name, _)| is_colour(name) && raw.scale(name) == wanted);
            columns.flat_map(|(_, values)| values)
        };
        let words = Span::of(colours(Some(Scale::Word)));
        let (integers, open) = (Span::of(colours(Some(Scale::Whole))), Span::of(colours(None)));
        let wholes = usize::from(integers.files > 0 && open.files == 0);
        let open = Span { files: open.files.max(integers.files), ..open.join(integers) };
        let have_fractions = colours(None).any(|value| value.fract() != 0.0);
        let fractions = Files::of(place, have_fractions && (0.0..=SLACK).contains(&open.greatest));
        let above = Files::of(place, wholes > 0 || open.greatest >= FAR);
        let [with_dropped, trailing, numbered, counting] =
            [dropped > 0, raw.trailing > 0, raw.is_numbered, raw.counts_points].map(usize::from);
        Self { dropped, with_dropped, trailing, numbered, counting, open, wholes, fractions, above, words }
    }

    /// The sum over the files of a set.
    pub fn sum<'a>(files: impl Iterator<Item = &'a Self>) -> Self {
        files.fold(Self::default(), |sum, file| Self {
            dropped: sum.dropped + file.dropped,
            with_dropped: sum.with_dropped + file.with_dropped,
            trailing: sum.trailing + file.trailing,
            numbered: sum.numbered + file.numbered,
            counting: sum.counting + file.counting,
            open: sum.open.join(file.open),
            wholes: sum.wholes + file.wholes,
            fractions: sum.fractions.join(&file.fractions),
            above: sum.above.join(&file.above),
            words: sum.words.join(file.words),
        })
    }

    /// The range of the set's open colours: what is configured, or the least that holds all; `auto` without such colours.
    ///
    /// # Errors
    /// Colours beyond all ranges.
    pub fn settle(&self, configured: ColorRange, origin: &str) -> Result<ColorRange> {
        if configured != ColorRange::Auto || self.open.files == 0 {
            return Ok(configured);
        }
        // Integers up to 1 are nearly black: nobody writes shares so.
        let range = if self.wholes == self.open.files { self.least_above_one() } else { self.least_range() };
        range.ok_or_else(|| {
            let found = format!("{} to {}", self.open.least, self.open.greatest);
            Error::invalid(format!("{origin}: colours"), "numbers from 0 to 1, 255 or 65535", found)
                .with_hint("are these colours? data.color_range = 65535 divides them by that all the same")
        })
    }

    /// The least range that holds the open colours.
    fn least_range(&self) -> Option<ColorRange> {
        let ranges = [ColorRange::Unit, ColorRange::Byte, ColorRange::Word];
        ranges.into_iter().find(|range| self.open.greatest <= range.greatest() * SLACK)
    }

    /// The same of integers.
    fn least_above_one(&self) -> Option<ColorRange> {
        self.least_range().map(|range| if range == ColorRange::Unit { ColorRange::Byte } else { range })
    }

    /// The range of this file's open colours in a set of this range: its own where its values can't be of the set's.
    fn own_range(&self, set: ColorRange) -> ColorRange {
        match set {
            ColorRange::Byte | ColorRange::Word if self.fractions.count > 0 => ColorRange::Unit,
            ColorRange::Unit if self.above.count > 0 => self.least_above_one().unwrap_or(set),
            _ => set,
        }
    }

    /// By what colours are divided.
    pub fn division(&self, range: ColorRange) -> Division {
        let are_bytes = range == ColorRange::Byte && self.words.greatest <= ColorRange::Byte.greatest();
        let words = if are_bytes { ColorRange::Byte } else { ColorRange::Word };
        Division { open: range, words: words.greatest() }
    }

    /// What a user should know of the set, and whether it may be a mistake. Without `colours`, none are told of.
    fn notes(&self, range: ColorRange, colours: bool) -> Vec<(bool, String)> {
        let (Span { files, least, greatest }, limit) = (self.open, range.greatest());
        let mut notes = Vec::new();
        if colours && files > 0 {
            let divided = if limit > 1.0 { format!(", divided by {limit}") } else { String::new() };
            notes.push((false, format!(
                "colours of {files} files, whose type has no range of its own, go from {least} to {greatest}: taken as 0 \
                 to {limit}{divided}; data.color_range settles it"
            )));
        }
        if colours && files > 0 && greatest > limit * SLACK {
            notes.push((true, format!("colours go up to {greatest}, beyond data.color_range = {limit}")));
        }
        let others = [
            (limit > 1.0, &self.fractions, "are fractions of at most 1", "as 0 to 1"),
            (limit == 1.0, &self.above, "are integers, or go far beyond 1", "as 0 to 255 or 65535"),
        ];
        for (_, others, what, taken) in
            others.iter().filter(|(is_odd, others, ..)| *is_odd && colours && others.count > 0)
        {
            notes.push((true, format!(
                "colours of {} of {files} files {what}, and not from 0 to {limit} (data.color_range) as the set's: these files \
                 are taken {taken}: {others}", others.count
            )));
        }
        if colours && self.words.files > 0 && self.words.greatest <= ColorRange::Byte.greatest() {
            let taken = self.division(range).words;
            notes.push((true, format!(
                "colours of 16 bits go up to {} alone, and are taken as 0 to {taken}: data.color_range = 255 is for values \
                 of 8 bits that are stored in 16", self.words.greatest
            )));
        }
        if self.dropped > 0 {
            notes.push((true, format!(
                "{} points of {} files have numbers that are not finite, and are left out (data.invalid_points limits their \
                 share)", self.dropped, self.with_dropped
            )));
        }
        for (files, what) in [
            (self.trailing, "go on after the end that their header speaks of: the rest is passed over"),
            (self.numbered, "begin with a line 0, 1, 2 and so on, which numbers the columns and is no point"),
            (
                self.counting,
                "have no names of columns, and a first column that counts the points: x, y and z are taken from \
                             the next three; data.columns names others",
            ),
        ] {
            notes.extend((files > 0).then(|| (true, format!("{files} files {what}"))));
        }
        notes
    }

    /// The notes of `sgas data info`.
    pub fn told(&self, range: ColorRange) -> Vec<String> {
        self.notes(range, true).into_iter().map(|(_, note)| note).collect()
    }

    /// Logs what a run should say: what may be a mistake, and that colours are divided.
    pub fn log(&self, range: ColorRange, features: &Features) {
        for (is_odd, note) in self.notes(range, features.have_colours()) {
            match is_odd {
                true => tracing::warn!("{note}"),
                false if range.greatest() > 1.0 => tracing::info!("{note}"),
                false => {}
            }
        }
    }
}

/// By what colours are divided: open ones, and those of 16 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::data) struct Division {
    open: ColorRange,
    words: f64,
}

/// The channels of a point that hold colours which are not divided yet, and whether they are of 16 bits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::data) struct Undivided(Vec<(usize, bool)>);

impl Undivided {
    /// Those of a file's points with these features.
    pub fn of(raw: &Raw, features: &Features) -> Self {
        let channel = |(channel, name): (usize, &str)| match raw.scale(name) {
            Some(Scale::Unit | Scale::Byte) => None,
            scale => (is_colour(name) && raw.position(name).is_some()).then_some((channel, scale == Some(Scale::Word))),
        };
        Self(features.columns().into_iter().enumerate().filter_map(channel).collect())
    }

    /// Whether there are any.
    pub fn are_some(&self) -> bool {
        !self.0.is_empty()
    }

    /// Brings them to 0..1; `rows` are points of so many channels, in whose file this was noticed.
    pub fn divide(&self, rows: &mut [f32], channels: usize, division: Division, noticed: &Noticed) {
        let open = noticed.own_range(division.open).greatest();
        for (channel, are_words) in &self.0 {
            let greatest = if *are_words { division.words } else { open };
            for value in rows.iter_mut().skip(*channel).step_by(channels) {
                *value = (f64::from(*value) / greatest) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(red: &[f64], scale: Option<Scale>) -> Raw {
        let columns = vec![("x".to_owned(), vec![9e9; red.len()]), ("red".to_owned(), red.to_vec())];
        Raw { columns, scales: scale.map(|scale| ("red".to_owned(), scale)).into_iter().collect(), ..Raw::default() }
    }

    fn noticed(files: &[(&[f64], Option<Scale>)]) -> Noticed {
        let files: Vec<Noticed> = files.iter().map(|(red, scale)| Noticed::of(&raw(red, *scale), 0, "f")).collect();
        Noticed::sum(files.iter())
    }

    #[test]
    fn the_greatest_value_of_all_files_says_the_range() {
        let settled = |files: &[&[f64]]| {
            let files: Vec<(&[f64], Option<Scale>)> = files.iter().map(|file| (*file, None)).collect();
            noticed(&files).settle(ColorRange::Auto, "a").unwrap()
        };
        assert_eq!(settled(&[&[0.0, 0.5], &[1.0]]), ColorRange::Unit);
        assert_eq!(settled(&[&[0.0, 1.0], &[2.0]]), ColorRange::Byte, "the dark file follows the bright one");
        assert_eq!(settled(&[&[255.5]]), ColorRange::Byte);
        let integers =
            |other| noticed(&[(&[0.0, 1.0], Some(Scale::Whole)), other]).settle(ColorRange::Auto, "a").unwrap();
        assert_eq!(integers((&[1.0], Some(Scale::Whole))), ColorRange::Byte, "integers are no shares");
        assert_eq!(integers((&[0.5], None)), ColorRange::Unit);
        assert_eq!(settled(&[&[3.0], &[256.5]]), ColorRange::Word);
        assert_eq!(settled(&[&[f64::NAN, 0.25]]), ColorRange::Unit);
        assert_eq!(settled(&[]), ColorRange::Auto);
        let beyond = noticed(&[(&[1e6], None)]).settle(ColorRange::Auto, "set").unwrap_err().to_string();
        assert_eq!(beyond, "set: colours: expected numbers from 0 to 1, 255 or 65535, found 1000000 to 1000000");
        assert_eq!(noticed(&[(&[1e6], None)]).settle(ColorRange::Unit, "set").unwrap(), ColorRange::Unit);
        for scale in [Scale::Unit, Scale::Word] {
            assert_eq!(noticed(&[(&[9.0], Some(scale))]).settle(ColorRange::Auto, "a").unwrap(), ColorRange::Auto);
        }
    }

    #[test]
    fn colours_are_divided_by_their_type_or_by_the_range_of_the_set() {
        let features = Features::parse(&["red".to_owned()]).unwrap();
        let divided = |scale, range: ColorRange, greatest: f64| {
            let raw = raw(&[greatest], scale);
            let noticed = Noticed::of(&raw, 0, "a");
            let mut rows = [9.0, 9.0, 9.0, greatest as f32];
            Undivided::of(&raw, &features).divide(&mut rows, 4, noticed.division(range), &noticed);
            assert_eq!(rows[..3], [9.0; 3]);
            rows[3]
        };
        assert_eq!(divided(None, ColorRange::Auto, 51.0), 51.0);
        assert_eq!(divided(None, ColorRange::Byte, 51.0), 0.2);
        assert_eq!(divided(None, ColorRange::Byte, 0.2), 0.2, "no byte is a fraction");
        assert_eq!(divided(None, ColorRange::Byte, 1.0), (1.0 / 255.0) as f32, "a dark file of a bright set");
        for scale in [None, Some(Scale::Whole)] {
            assert_eq!(divided(scale, ColorRange::Unit, 51.0), 0.2, "no share is as great");
            assert_eq!(divided(scale, ColorRange::Unit, 13107.0), 0.2);
        }
        assert_eq!(divided(None, ColorRange::Unit, 1.5), 1.5);
        assert_eq!(divided(Some(Scale::Whole), ColorRange::Unit, 1.0), (1.0 / 255.0) as f32, "no integer is a share");
        assert_eq!(divided(Some(Scale::Unit), ColorRange::Byte, 0.5), 0.5);
        assert_eq!(divided(Some(Scale::Word), ColorRange::Auto, 51.0), (51.0 / 65535.0) as f32);
        assert_eq!(divided(Some(Scale::Word), ColorRange::Byte, 51.0), 0.2, "of 8 bits, stored in 16");
        assert_eq!(divided(Some(Scale::Word), ColorRange::Byte, 13107.0), 0.2);
    }

    #[test]
    fn what_may_be_a_mistake_is_told() {
        let told = |files: &[(&[f64], Option<Scale>)], range| noticed(files).told(range).join("\n");
        assert_eq!(told(&[(&[0.5], Some(Scale::Unit))], ColorRange::Byte), "");
        let open = told(&[(&[3.0, 209.0], None)], ColorRange::Byte);
        assert!(
            open.contains("colours of 1 files") && open.contains("from 3 to 209: taken as 0 to 255, divided by 255")
        );
        let mixed = told(&[(&[200.0], None), (&[0.25], None)], ColorRange::Byte);
        let expected = "colours of 1 of 2 files are fractions of at most 1, and not from 0 to 255 (data.color_range) as the \
                        set's: these files are taken as 0 to 1: f";
        assert!(mixed.contains(expected), "{mixed}");
        let many = told(&[(&[0.5, 0.25][..], None); 12], ColorRange::Word);
        assert!(many.ends_with("f, f and 2 more"), "{many}");
        let whole = told(&[(&[0.5], None), (&[200.0], None)], ColorRange::Unit);
        assert!(
            whole.contains("colours of 1 of 2 files are integers, or go far beyond 1") && whole.ends_with("65535: f"),
            "{whole}"
        );
        assert!(told(&[(&[200.0], None)], ColorRange::Unit).contains("beyond data.color_range = 1"));
        assert!(told(&[(&[200.0], Some(Scale::Word))], ColorRange::Auto).contains("taken as 0 to 65535"));
        assert!(told(&[(&[200.0], Some(Scale::Word))], ColorRange::Byte).contains("taken as 0 to 255"));
    }

    #[test]
    fn a_range_is_read_as_it_is_written() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Section {
            range: ColorRange,
        }
        for (text, range) in [
            ("range = \"auto\"", ColorRange::Auto),
            ("range = 1", ColorRange::Unit),
            ("range = 255", ColorRange::Byte),
            ("range = \"65535\"", ColorRange::Word),
        ] {
            let section: Section = toml::from_str(text).unwrap();
            assert_eq!(section, Section { range });
            assert_eq!(toml::from_str::<Section>(&toml::to_string(&section).unwrap()).unwrap(), section);
        }
        let wrong = toml::from_str::<Section>("range = 256").unwrap_err().to_string();
        assert!(wrong.contains("expected auto, 1, 255 or 65535, found 256"), "{wrong}");
    }
}

//! Tables of numbers in text: `.xyz`, `.txt`, `.csv`, `.pts` and `.asc`.
//!
//! One point a line; values between blanks, commas or semicolons, whichever the first line has; between blanks or
//! semicolons a comma may stand for the decimal point; nothing between two commas or semicolons, and what pandas, R and
//! databases write there, is NaN. The first line may be names, numbers from 0 that pandas gives to
//! columns without names, or the number of points alone; `#` and `//` begin comments, and names may stand in one
//! (CloudCompare and NumPy write them so). Without names the first three columns are x, y and z. XYZ files of chemistry,
//! which name elements, are refused. A column of labels may hold names instead of numbers.
//!
//! The crate `csv` is not used: it splits at single letters, which blanks in rows are not, and knows one sign for
//! comments.

use super::Raw;
use super::columns::{self, Column, LABELS, Number};
use crate::data::scan::{Line, Lines, cut, number, show, whole};
use crate::error::{Error, Result};

/// Lines at the start in which an element's symbol gives a file of chemistry away: count, title, first atom.
const CHEMISTRY_LINES: usize = 3;

/// Bytes of a line from which on its values are counted before they are listed.
const LONG_LINE: usize = 1 << 16;

/// Letters of a number with a decimal comma.
const LONGEST_NUMBER: usize = 64;

/// What programs write where a number is missing.
const MISSING: [&str; 6] = ["", "na", "n/a", "<na>", "null", "none"];

/// What stands between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Blanks,
    Sign(u8),
}

impl Separator {
    /// Semicolons before blanks before commas: a comma within every word between blanks is a decimal one.
    fn of(text: &[u8]) -> Self {
        let is_decimal = |word: &[u8]| number(word).or_else(|| decimal(word)).is_some();
        let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        match () {
            () if text.contains(&b';') => Self::Sign(b';'),
            () if text.contains(&b',') && (words.clone().count() < 2 || !words.all(is_decimal)) => Self::Sign(b','),
            () => Self::Blanks,
        }
    }

    /// A value, whose decimal sign may be a comma where commas separate nothing.
    fn number(self, value: &[u8]) -> Option<f64> {
        number(value).or_else(|| if self == Self::Sign(b',') { None } else { decimal(value) })
    }

    /// The number of values in a line, or one less.
    fn width(self, text: &[u8]) -> u64 {
        match self {
            Self::Blanks => text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count() as u64,
            Self::Sign(sign) => text.iter().filter(|byte| **byte == sign).count() as u64,
        }
    }

    /// Refuses a line with more values than a point has, before a list of them is made. A short one can't have them.
    fn check_width(self, line: Line<'_>, place: &str) -> Result<()> {
        if line.text.len() < LONG_LINE {
            return Ok(());
        }
        columns::check_width(self.width(line.text), format!("{place}, line {}", line.number))
    }

    /// The values of a line, without the quotes that some programs put around names.
    fn values(self, text: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::Blanks => text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(unquoted).collect(),
            Self::Sign(sign) => text.split(|byte| *byte == sign).map(<[u8]>::trim_ascii).map(unquoted).collect(),
        }
    }

    /// The values of a first line: a separator behind the last is a habit, not a value.
    fn first_values(self, text: &[u8]) -> Vec<&[u8]> {
        let mut values = self.values(text);
        if values.len() > 1 {
            values.pop_if(|last| last.is_empty());
        }
        values
    }
}

/// A number with a decimal comma.
fn decimal(word: &[u8]) -> Option<f64> {
    let at = word.iter().position(|byte| *byte == b',')?;
    let digits = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let is_one = digits(word.get(at + 1)) && word.len() <= LONGEST_NUMBER && !word.contains(&b'.');
    is_one.then(|| number(&[&word[..at], b".", &word[at + 1..]].concat())).flatten()
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// The columns of a table.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Raw> {
    let mut table = Table { lines: Lines::new(bytes), comment: None };
    refuse_chemistry(bytes, place)?;
    let Some(mut first) = table.next() else {
        let found = if bytes.is_empty() { "an empty file" } else { "comments and blank lines alone" };
        return Err(Error::invalid(place, "numbers, one point a line", found));
    };
    let count = whole(first.text);
    if let Some(count) = count {
        first = table.next().ok_or_else(|| cut(place, count, "points", 0))?;
    }
    let separator = Separator::of(first.text);
    separator.check_width(first, place)?;
    let mut values = separator.first_values(first.text);
    let units = without_units(&values);
    if are_names(&units) {
        values = units;
    }
    let (mut columns, is_header) = match () {
        () if are_names(&values) => (named(values.clone()), true),
        // Behind an index, which has no name.
        () if values[0].is_empty() && count_columns(&values[1..]) => {
            let numbered = (0..values.len() - 1).map(Column::numbered);
            (std::iter::once(Column::new("index")).chain(numbered).collect(), true)
        }
        () => {
            let numbered = || (0..values.len()).map(Column::numbered).collect();
            (table.names(values.len()).map_or_else(numbered, named), false)
        }
    };
    columns.iter_mut().for_each(|column| column.number = Number::Whole);
    let mut numbered = (!is_header).then(|| Numbered::new(&values));
    if numbered.is_some() {
        push_point(first, separator, &mut columns, place)?;
    }
    while let Some(line) = table.next() {
        let values = push_point(line, separator, &mut columns, place)?;
        numbered.as_mut().into_iter().for_each(|numbered| numbered.see(&values));
    }
    let mut is_numbered = false;
    if numbered.is_some_and(|numbered| numbered.is_header()) {
        is_numbered = true;
        columns.iter_mut().for_each(|column| drop(column.values.drain(..1)));
    }
    check_count(count, &columns, place)?;
    let mut counts_points = false;
    if columns.iter().enumerate().all(|(at, column)| column.name == Column::numbered(at).name) {
        columns::check_orientation(columns[0].values.len(), columns.len(), place)?;
        counts_points = columns::set_index_apart(&mut columns);
    }
    Ok(Raw { is_numbered, counts_points, ..columns::finish(columns, Vec::new(), place)? })
}

/// Whether the values are 0, 1, 2 and so on.
fn count_columns(values: &[&[u8]]) -> bool {
    values.len() >= 3 && values.iter().enumerate().all(|(at, value)| whole(value) == Some(at as u64))
}

/// Whether a first line 0, 1, 2 and so on numbers the columns, as pandas does, or is a point.
struct Numbered {
    /// Of each column, where the line counts them: whether all its values are written with a fraction, or none is.
    fractions: Option<Vec<Option<bool>>>,
}

impl Numbered {
    fn new(first: &[&[u8]]) -> Self {
        Self { fractions: count_columns(first).then(|| vec![None; first.len()]) }
    }

    /// Takes in a further line. A column with values of both kinds was written by no program that numbers columns.
    fn see(&mut self, values: &[&[u8]]) {
        let Some(fractions) = &mut self.fractions else { return };
        for (fraction, value) in fractions.iter_mut().zip(values) {
            let is_fraction = value.iter().any(|byte| !byte.is_ascii_digit() && *byte != b'-');
            if fraction.is_some_and(|known| known != is_fraction) {
                self.fractions = None;
                return;
            }
            *fraction = Some(is_fraction);
        }
    }

    /// Columns of fractions show it. Points of integers alone may begin so, but hardly with six values.
    fn is_header(&self) -> bool {
        let Some(fractions) = &self.fractions else { return false };
        fractions.contains(&Some(true)) || fractions.len() >= 6 && fractions.contains(&Some(false))
    }
}

/// The lines of a table, and the last comment before its first one.
struct Table<'a> {
    lines: Lines<'a>,
    comment: Option<&'a [u8]>,
}

impl<'a> Table<'a> {
    /// The next line with values, without the comment behind them.
    fn next(&mut self) -> Option<Line<'a>> {
        for line in self.lines.by_ref() {
            let at = line.text.iter().position(|byte| *byte == b'#');
            let slashes = line.text.windows(2).position(|pair| pair == b"//");
            let end = at.into_iter().chain(slashes).min().unwrap_or(line.text.len());
            let text = line.text[..end].trim_ascii();
            if !text.is_empty() {
                return Some(Line { text, ..line });
            }
            self.comment = Some(line.text.trim_ascii_start());
        }
        None
    }

    /// The names in the comment before the first point, if it holds as many as there are columns.
    fn names(&self, width: usize) -> Option<Vec<&'a [u8]>> {
        let comment = self.comment?;
        let start = comment.iter().position(|byte| !matches!(byte, b'#' | b'/'))?;
        let text = comment[start..].trim_ascii();
        let separator = Separator::of(text);
        let names = if separator.width(text) <= 2 * width as u64 { separator.first_values(text) } else { return None };
        let names = without_units(&names);
        (names.len() == width && names_axes(&names)).then_some(names)
    }
}

/// The names without the units between them, where blanks separate them: `x [m] y [m]`.
fn without_units<'a>(names: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let is_unit =
        |name: &[u8]| matches!((name.first(), name.last()), (Some(b'['), Some(b']')) | (Some(b'('), Some(b')')));
    names.iter().copied().filter(|name| !is_unit(name)).collect()
}

/// Whether the values of a first line are names: x, y and z are among them, or none is a number.
fn are_names(values: &[&[u8]]) -> bool {
    let is_word = |value: &&[u8]| value.iter().any(u8::is_ascii_alphabetic) && number(value).is_none();
    names_axes(values) || values.len() >= 3 && values.iter().all(is_word)
}

/// Whether x, y and z, or others that mean the same, are among the names.
fn names_axes(names: &[&[u8]]) -> bool {
    let names = columns::common_names(names.iter().map(|name| String::from_utf8_lossy(name)));
    ["x", "y", "z"].iter().all(|axis| names.iter().any(|name| name == axis))
}

/// Columns with the names of a header; one without is called by its number.
fn named(names: Vec<&[u8]>) -> Vec<Column> {
    let name = |(position, name): (usize, &&[u8])| match String::from_utf8_lossy(name) {
        name if name.is_empty() => position.to_string(),
        name => name.into_owned(),
    };
    names.iter().enumerate().map(name).map(Column::new).collect()
}

/// Gives the words of the line.
fn push_point<'a>(line: Line<'a>, separator: Separator, columns: &mut [Column], place: &str) -> Result<Vec<&'a [u8]>> {
    separator.check_width(line, place)?;
    let mut values = separator.values(line.text);
    if values.len() > columns.len() {
        values.pop_if(|last| last.is_empty());
    }
    if values.len() != columns.len() {
        let expected = format!("{} values, as in the line before", columns.len());
        return Err(line.invalid(place, expected, values.len().to_string()));
    }
    let last = columns.len() - 1;
    for ((at, column), word) in columns.iter_mut().enumerate().zip(&values) {
        let is_label = || at == last && at > 2 || LABELS.contains(&column.name.to_lowercase().as_str());
        match separator.number(word) {
            Some(value) if column.words.is_empty() => column.push(value, word),
            // What has no class stands among names as nothing, or as the NaN of other programs.
            Some(value) if value.is_nan() => column.values.push(value),
            _ if is_label() && column.push_word(word) => {}
            _ if is_missing(word) => column.values.push(f64::NAN),
            _ => return Err(line.invalid(place, format!("a number for {}", show(column.name.as_bytes())), show(word))),
        }
    }
    Ok(values)
}

fn is_missing(word: &[u8]) -> bool {
    MISSING.iter().any(|missing| word.eq_ignore_ascii_case(missing.as_bytes()))
}

fn check_count(count: Option<u64>, columns: &[Column], place: &str) -> Result<()> {
    let found = columns.first().map_or(0, |column| column.values.len() as u64);
    match count {
        Some(count) if found < count => Err(cut(place, count, "points", found)),
        Some(count) if found > count => {
            Err(Error::invalid(place, format!("{count} points, as the first line says"), found.to_string()))
        }
        _ => Ok(()),
    }
}

/// An atom is a chemical symbol and three coordinates.
fn refuse_chemistry(bytes: &[u8], place: &str) -> Result<()> {
    let is_symbol =
        |word: &[u8]| word.len() <= 2 && word[0].is_ascii_uppercase() && word[1..].iter().all(u8::is_ascii_lowercase);
    let is_atom = |line: &Line<'_>| {
        let mut words = line.words();
        words.next().is_some_and(is_symbol) && words.clone().count() >= 3 && words.all(|word| number(word).is_some())
    };
    let Some(atom) = Lines::new(bytes).take(CHEMISTRY_LINES).find(is_atom) else { return Ok(()) };
    Err(atom
        .invalid(place, "numbers alone", format!("an atom, {}: this is an XYZ file of chemistry", show(atom.text)))
        .with_hint("shapes are points without elements; remove the symbols to read the atoms as points"))
}

#[cfg(test)]
mod tests {
    use super::super::Format::Text;
    use super::super::tests::{assert_refused, columns};
    use super::*;

    fn read(text: &str) -> Vec<(String, Vec<f64>)> {
        parse(text.as_bytes(), "a.xyz").unwrap().columns
    }

    #[test]
    fn every_separator_and_line_end_gives_the_same_points() {
        let expected = columns(&[("x", &[1.0, 4.0]), ("y", &[-2.5, 5.0]), ("z", &[3.0, 0.006]), ("3", &[0.0, 9.0])]);
        for text in [
            "1 -2.5 3 0\n4 5 6e-3 9\n",
            "  1   -2.5\t3 0  \r\n\r\n4\t5 6E-3 9",
            "1,-2.5,3,0\n4,5,.006,9\n",
            "1 , -2.5 , 3 , 0,\n4 , 5 , 6e-3 , 9,\n",
            "1;-2.5;3;0\n4;5;6e-3;9\n",
            "\u{feff}# by a scanner\n// in metres\n1 -2.5 3 0 # first\n4 5 6e-3 9 // second\n",
            "2\n1 -2.5 3 0\n4 5 6e-3 9\n",
            "\"1\",\"-2.5\",\"3\",\"0\"\n4,5,6e-3,9\n",
            "1 -2.5 3 0\r4 5 6e-3 9\r",
            "1;-2,5;3;0\n4;5;0,006;9\n",
            "1,0 -2,5 3,0 0,0\n4 5 0,006 9\n",
            "1\t-2,5\t3\t0\n4,0\t5\t6,0e-3\t9\n",
            "2\r\n0;1;2;3\r\n1.0;-2.5;3.0;0\r\n4.0;5.0;0.006;9\r\n",
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_missing_between_commas_is_nan_and_a_column_that_counts_the_points_is_no_axis() {
        let x = |text: &str| read(text)[0].1.clone();
        for text in ["x,y,z\n1,2,3\n,,\nNA,1,2\n", "x;y;z\n1;2;3\nnull;;1\nNone;1;2;\n", "1,2,3,\n,0,0\nN/A,1,2,\n"] {
            let found = x(text);
            assert!(found.len() == 3 && found[0] == 1.0 && found[1..].iter().all(|value| value.is_nan()), "{text}");
        }
        // Found by fuzzing: a line of one quoted nothing is a column without a number, and no panic.
        assert_eq!(read("\"\"").len(), 1);
        let rows = |first: usize| (0..9).map(|row| format!("{} {} 2 3 4\n", first + row, row * 2)).collect::<String>();
        for (first, names) in [(0, "index, x, y, z, 4"), (1, "index, x, y, z, 4"), (2, "x, y, z, 3, 4")] {
            let raw = parse(rows(first).as_bytes(), "a.xyz").unwrap();
            assert_eq!((raw.names().as_str(), raw.counts_points), (names, first < 2));
        }
    }

    #[test]
    fn a_header_names_the_columns_wherever_x_y_and_z_stand() {
        let expected = columns(&[
            ("label", &[7.0]),
            ("z", &[3.0]),
            ("x", &[1.0]),
            ("y", &[2.0]),
            ("nx", &[0.5]),
            ("red", &[255.0]),
        ]);
        for text in [
            "Label,Z,X,Y,normal_x,R\n7,3,1,2,0.5,255\n",
            "\"label\";\"z\";\"x\";\"y\";\"nx\";\"red\"\n7;3;1;2;0.5;255\n",
            "1\nlabel z x y nx red\n7 3 1 2 0.5 255\n",
            "//Label Z X Y Nx R\n1\n7 3 1 2 0.5 255\n",
            "# label z x y nx red\n7 3 1 2 0.5 255\n",
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(read(",x,y,z\n0,1,2,3\n")[0].0, "0");
        assert_eq!(read("# three numbers here\n1 2 3\n")[0].0, "x");
    }

    #[test]
    fn a_first_line_that_numbers_the_columns_is_no_point() {
        for (text, points) in [
            ("0,1,2\n0.5,0.25,1.0\n", 1),
            ("0,1,2,3\n0.5,0.25,1.0,7\n0.1,1.0,-2e-3,0\n", 2),
            ("0,1,2,3,4,5\n1,2,3,4,5,6\n", 1),
            (",0,1,2\n0,0.5,0.25,1.0\n1,0.5,0.25,1.0\n", 2),
            ("0 1 2\n3 4 5\n", 2),
            ("0 1 2\n0.5 0.25 1\n0.5 0.25 1.5\n", 3),
            ("0.0 1 2\n0.5 0.25 1\n", 2),
            ("0 1 2\n", 1),
        ] {
            let found = read(text);
            assert_eq!(found[found.len() - 1].1.len(), points, "{text}");
            assert!(["x", "y", "z"].iter().all(|axis| found.iter().any(|(name, _)| name == axis)), "{text}");
        }
    }

    #[test]
    fn names_that_are_none_of_ours_are_names_too() {
        let found = read("Rechtswert Hochwert Hoehe\n1 2 3\n");
        assert_eq!(found, columns(&[("rechtswert", &[1.0]), ("hochwert", &[2.0]), ("hoehe", &[3.0])]));
        let found = read("\"Points:0\",\"Points:1\",\"Points:2\",\"Intensity [dB]\"\n1,2,3,4\n");
        assert_eq!(found, columns(&[("x", &[1.0]), ("y", &[2.0]), ("z", &[3.0]), ("intensity", &[4.0])]));
        assert_eq!(read("# x [m] y [m] z [m]\n1,5 2 3\n")[0], ("x".to_owned(), vec![1.5]));
        assert_eq!(read("x (m) y (m) z (m)\n1.5 2 3\n")[0], ("x".to_owned(), vec![1.5]));
        assert_eq!(read("x [m];y [m];z [m]\n1,5;2;3\n")[0], ("x".to_owned(), vec![1.5]));
        assert_eq!(read("X(m)\tY(m)\tZ(m)\n1,5\t2\t3\n")[0], ("x".to_owned(), vec![1.5]));
    }

    #[test]
    fn what_is_no_number_cut_or_of_chemistry_is_named_with_its_line() {
        let cases = [
            ("1 2 3\n\n4 five 6\n", "a, line 3: expected a number for y, found five"),
            ("a b 3\n1 2 3\n", "a, line 1: expected a number for x, found a"),
            ("1 2 3\n1 2 3\x1b\n", "a, line 2: expected a number for z, found 3\\u001b"),
            ("1 2 3\n1 2\n", "a, line 2: expected 3 values, as in the line before, found 2"),
            ("1 2 3\n1 2 3 4\n", "a, line 2: expected 3 values, as in the line before, found 4"),
            ("x,y,z\n1,2,3\n1,2\n", "a, line 3: expected 3 values, as in the line before, found 2"),
            ("x,y,z,x\n1,2,3,4\n", "...x twice"),
            ("\0\u{1}\u{2}\n", "...line 1..."),
            ("3\n1 2 3\n", "a: expected 3 points, as the header says, found 1: the file is cut"),
            ("3\n", "a: expected 3 points, as the header says, found 0: the file is cut"),
            ("1\n1 2 3\n4 5 6\n", "a: expected 1 points, as the first line says, found 2"),
            ("18446744073709551615\n1 2 3\n", "...found 1: the file is cut"),
            ("", "a: expected numbers, one point a line, found an empty file"),
            ("# nothing\n\n", "...comments and blank lines alone"),
            (
                "3\nwater\nO 0.0 0.0 0.117\nH 0.0 0.757 -0.469\nH 0.0 -0.757 -0.469\n",
                "a, line 3: expected numbers alone, found an atom, O 0.0 0.0 0.117: this is an XYZ file of chemistry",
            ),
            ("Cl 1 2 3\n", "...chemistry..."),
            ("1\n\nHe 1 2 3 0.5\n", "...chemistry..."),
        ];
        assert_refused(Text, cases);
        assert!(!parse(b"car 1 2 3\n", "a").unwrap_err().to_string().contains("chemistry"));
        assert!(read("x y z\n")[0].1.is_empty());
    }
}

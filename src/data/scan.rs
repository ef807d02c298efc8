//! Text by line and by word, without a copy of either, for the formats whose numbers we read ourselves.

use crate::error::{Error, Result};
use crate::visible::visible_word;

/// What a byte order mark looks like in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Length to which a found word is cut in a message.
const LONGEST_WORD: usize = 40;
/// Names that a message lists.
const MOST_NAMES: usize = 20;

/// One line: its number, counted from 1, and its text without the blanks around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub number: usize,
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// The words between blanks.
    pub(super) fn words(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    }

    /// An error in this line.
    pub(super) fn invalid(self, place: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::invalid(format!("{place}, line {}", self.number), expected, found)
    }

    /// A number, which messages call by the name of its column.
    pub(super) fn value(self, word: Option<&[u8]>, name: &str, place: &str) -> Result<f64> {
        word.and_then(number).ok_or_else(|| self.no_number(word, name, place))
    }

    /// The error of what is no number.
    pub(super) fn no_number(self, word: Option<&[u8]>, name: &str, place: &str) -> Error {
        self.invalid(place, format!("a number for {}", show(name.as_bytes())), found(word))
    }

    /// A whole number that is not negative.
    pub(super) fn count(self, word: Option<&[u8]>, what: &str, place: &str) -> Result<u64> {
        word.and_then(whole).ok_or_else(|| self.invalid(place, what, found(word)))
    }
}

fn found(word: Option<&[u8]>) -> String {
    word.map_or_else(|| "the line's end".to_owned(), show)
}

/// The lines of a text that are not blank, numbered as an editor does.
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
    comment: Option<u8>,
}

impl<'a> Lines<'a> {
    /// Lines that end with `\n`, `\r\n` or `\r`; a byte order mark before the first is skipped.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self::after(without_mark(bytes), 0)
    }

    /// The same, cut before the letter that begins a comment.
    pub(super) fn without_comments(bytes: &'a [u8], comment: u8) -> Self {
        Self { comment: Some(comment), ..Self::new(bytes) }
    }

    /// Lines whose numbers go on after those of a header.
    pub(super) fn after(bytes: &'a [u8], header: usize) -> Self {
        Self { rest: bytes, number: header, comment: None }
    }

    /// Bytes that were not read yet: more than this can't follow.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        while !self.rest.is_empty() {
            let (mut text, _, rest) = split_line(self.rest);
            self.rest = rest;
            self.number += 1;
            if let Some(comment) = self.comment {
                text = text.split(|byte| *byte == comment).next().expect("a split has a first part");
            }
            text = text.trim_ascii();
            if !text.is_empty() {
                return Some(Line { number: self.number, text });
            }
        }
        None
    }
}

/// The first line, its end, and what follows.
pub(super) fn split_line(bytes: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
    let length = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1.min(bytes.len() - end) };
    (&bytes[..end], &bytes[end..end + length], &bytes[end + length..])
}

/// The bytes after a byte order mark, if there is one.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// What the libraries of C on Windows print for NaN and infinity, without the sign.
const OF_WINDOWS: [(&str, f64); 6] = [
    ("nan(ind)", f64::NAN),
    ("nan(snan)", f64::NAN),
    ("1.#IND", f64::NAN),
    ("1.#QNAN", f64::NAN),
    ("1.#SNAN", f64::NAN),
    ("1.#INF", f64::INFINITY),
];

/// A decimal number as C, Python and Rust print it, `nan` and `inf` included.
pub(super) fn number(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    let of_windows = || {
        let spelled = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (_, value) = OF_WINDOWS.iter().find(|(name, _)| {
            // Digits may follow: 1.#QNAN0.
            spelled.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                && spelled[name.len()..].bytes().all(|byte| byte == b'0')
        })?;
        Some(if text.starts_with('-') { -value } else { *value })
    };
    text.parse().ok().or_else(|| if text.contains(['#', '(']) { of_windows() } else { None })
}

/// A whole number that is not negative.
pub(super) fn whole(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A word for a message: cut when it is long, and with all that a terminal obeys or that has no sign of its own made
/// visible.
pub(super) fn show(word: &[u8]) -> String {
    if word.is_empty() {
        return "nothing".to_owned();
    }
    let text = String::from_utf8_lossy(word);
    let mut shown: String = text.chars().take(LONGEST_WORD).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    visible_word(&shown)
}

/// Names for a message, the first of many.
pub(super) fn show_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let mut shown: Vec<String> = names.by_ref().take(MOST_NAMES).map(|name| show(name.as_bytes())).collect();
    let others = names.count();
    if others > 0 {
        shown.push(format!("and {others} more"));
    }
    shown.join(", ")
}

/// The error of a file that ends too early.
pub(super) fn cut(place: &str, expected: u64, what: &str, found: u64) -> Error {
    Error::invalid(place, format!("{expected} {what}, as the header says"), format!("{found}: the file is cut"))
}

/// Appends a polygon's triangles, all from its first corner; fewer than three corners have no area and give none.
pub(super) fn fan(corners: &[u64], triangles: &mut Vec<[u64; 3]>) {
    if let Some((first, others)) = corners.split_first() {
        triangles.extend(others.windows(2).map(|pair| [*first, pair[0], pair[1]]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers_over_blanks_comments_and_line_ends() {
        let text = b"\xEF\xBB\xBFone two\r\n\r\n# nothing\n  three # four\n\t\nfive";
        let lines: Vec<(usize, String)> =
            Lines::without_comments(text, b'#').map(|line| (line.number, show(line.text))).collect();
        assert_eq!(lines, [(1, "one two".into()), (4, "three".into()), (6, "five".into())]);
        assert_eq!(Lines::new(b"# one").count(), 1);
        assert_eq!(Lines::new(b"").count(), 0);
    }

    #[test]
    fn all_three_line_ends_are_one_line_end_each() {
        let numbers = |text: &[u8]| Lines::new(text).map(|line| line.number).collect::<Vec<_>>();
        assert_eq!(numbers(b"a\rb\r\rc"), [1, 2, 4]);
        assert_eq!(numbers(b"a\r\nb\n\rc\r"), [1, 2, 4]);
        assert_eq!(split_line(b"\r\n"), (&b""[..], &b"\r\n"[..], &b""[..]));
        assert_eq!(split_line(b""), (&b""[..], &b""[..], &b""[..]));
    }

    #[test]
    fn control_characters_of_a_word_are_made_visible() {
        assert_eq!(show(b"1\x10\x002\x1b[2J"), "1\\u0010\\u00002\\u001b[2J");
        assert_eq!(show(b"a\tb\nc"), "a\\u0009b\\u000ac");
        assert_eq!(show_names(["a\x1b", "b"]), "a\\u001b, b");
    }

    #[test]
    fn numbers_are_read_in_every_spelling() {
        assert_eq!(number(b"-1.5e-3"), Some(-0.0015));
        assert_eq!(number(b"+.5"), Some(0.5));
        assert_eq!(number(b"5."), Some(5.0));
        for nan in ["nan", "-NaN", "-nan(ind)", "1.#QNAN", "-1.#IND00"] {
            assert!(number(nan.as_bytes()).is_some_and(f64::is_nan), "{nan}");
        }
        assert_eq!(number(b"-1.#INF"), Some(f64::NEG_INFINITY));
        assert_eq!(number(b"1.#5"), None);
        assert_eq!(number(b"1,5"), None);
        assert_eq!(number(b"\xFF"), None);
    }

    #[test]
    fn polygons_are_fanned() {
        let mut triangles = Vec::new();
        fan(&[5, 6], &mut triangles);
        fan(&[], &mut triangles);
        assert!(triangles.is_empty());
        fan(&[1, 2, 3, 4, 5], &mut triangles);
        assert_eq!(triangles, [[1, 2, 3], [1, 3, 4], [1, 4, 5]]);
    }

    #[test]
    fn long_words_are_cut_in_messages() {
        assert_eq!(show(&[b'a'; 100]).chars().count(), LONGEST_WORD + 1);
    }
}

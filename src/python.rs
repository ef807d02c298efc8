//! Values in Python's notation, as NumPy's headers and the published code's printed cells have them. Nothing is executed.

use std::iter::Peekable;
use std::str::Chars;

/// Brackets in brackets: a dictionary of lists of tuples of shapes has four.
const DEEPEST: usize = 8;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string without its quotes.
    Text(String),
    /// A whole number that is not negative.
    Whole(u64),
    /// A name, such as `True`.
    Word(String),
    /// A list, a tuple, or a dictionary of keys and values in turn.
    List(Vec<Value>),
    /// A call of a name, with the names of its arguments where they have some.
    Call(String, Vec<(Option<String>, Value)>),
}

/// The value that `text` begins with; `None` where it begins with none. What comes after it is not looked at.
pub fn first_value(text: &str) -> Option<Value> {
    value(&mut text.chars().peekable(), 0)
}

type Letters<'a> = Peekable<Chars<'a>>;

fn value(letters: &mut Letters<'_>, depth: usize) -> Option<Value> {
    skip_blanks(letters);
    match letters.next()? {
        quote @ ('\'' | '"') => text(letters, quote).map(Value::Text),
        open @ ('{' | '[' | '(') if depth < DEEPEST => list(letters, closing(open), depth + 1).map(Value::List),
        first if first.is_ascii_digit() => {
            let digits = run(letters, first, |letter| letter.is_ascii_digit());
            // Python 2 wrote `3L`.
            letters.next_if_eq(&'L');
            digits.parse().ok().map(Value::Whole)
        }
        first if is_of_name(&first) => {
            let name = run(letters, first, is_of_name);
            if letters.next_if_eq(&'(').is_none() {
                return Some(Value::Word(name));
            }
            if depth == DEEPEST { None } else { arguments(letters, depth + 1).map(|found| Value::Call(name, found)) }
        }
        _ => None,
    }
}

fn is_of_name(letter: &char) -> bool {
    letter.is_ascii_alphanumeric() || *letter == '_'
}

fn closing(open: char) -> char {
    match open {
        '{' => '}',
        '[' => ']',
        _ => ')',
    }
}

fn skip_blanks(letters: &mut Letters<'_>) {
    while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
}

fn run(letters: &mut Letters<'_>, first: char, belongs: impl Fn(&char) -> bool) -> String {
    let mut word = String::from(first);
    while let Some(letter) = letters.next_if(&belongs) {
        word.push(letter);
    }
    word
}

fn list(letters: &mut Letters<'_>, close: char, depth: usize) -> Option<Vec<Value>> {
    members(letters, close, |letters| value(letters, depth))
}

fn arguments(letters: &mut Letters<'_>, depth: usize) -> Option<Vec<(Option<String>, Value)>> {
    members(letters, ')', |letters| match value(letters, depth)? {
        Value::Word(name) => {
            skip_blanks(letters);
            match letters.next_if_eq(&'=') {
                Some(_) => Some((Some(name), value(letters, depth)?)),
                None => Some((None, Value::Word(name))),
            }
        }
        other => Some((None, other)),
    })
}

/// What stands between commas (and colons), up to `close`.
fn members<T>(
    letters: &mut Letters<'_>,
    close: char,
    mut member: impl FnMut(&mut Letters<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut found = Vec::new();
    loop {
        skip_blanks(letters);
        if letters.next_if_eq(&close).is_some() {
            return Some(found);
        }
        found.push(member(letters)?);
        skip_blanks(letters);
        if letters.next_if(|letter| *letter == ',' || *letter == ':').is_none() && *letters.peek()? != close {
            return None;
        }
    }
}

fn text(letters: &mut Letters<'_>, quote: char) -> Option<String> {
    let mut text = String::new();
    loop {
        match letters.next()? {
            letter if letter == quote => return Some(text),
            '\\' => text.push(letters.next()?),
            letter => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_calls_are_read_and_nothing_else() {
        let whole = |number| Value::Whole(number);
        let word = |text: &str| Value::Word(text.to_owned());
        let call = Value::Call(
            "f".to_owned(),
            vec![
                (None, whole(1)),
                (Some("two_".to_owned()), Value::List(vec![Value::Text("a'b".to_owned()), whole(3)])),
            ],
        );
        assert_eq!(first_value(r#" f( 1, two_ = ("a'b", 3L), ) and more"#), Some(call));
        let dictionary = Value::List(vec![Value::Text("k".to_owned()), word("True"), whole(2), word("None")]);
        assert_eq!(first_value("{'k': True, 2: None}"), Some(dictionary));
        let deep = "f(".repeat(100_000);
        for text in ["", "-1", "(1 2)", "f(1", "f(a=)", "'open", "+", "99999999999999999999", &deep] {
            assert_eq!(first_value(text), None, "{text:.20}");
        }
    }
}

//! Text from outside (file names, headers, classes, messages of libraries) as a terminal may show it.
//!
//! A terminal obeys control characters: they move the cursor, rename the window, hide what was printed. What is printed
//! or logged passes through here where it leaves the program, so that no message has to think of it.

use std::borrow::Cow;
use std::io::{self, Write};

/// `text` with all that a terminal would obey written as `\u001b`, which is what JSON calls it: JSON stays JSON.
/// Line ends and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match is_obeyed(letter) {
            true => shown += &format!("\\u{:04x}", u32::from(letter)),
            false => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

/// The same of a word of a file, in a message: line ends and tabs are made visible too, as nobody expects them in it.
pub fn visible_word(text: &str) -> String {
    visible(text).replace('\n', "\\u000a").replace('\t', "\\u0009")
}

/// Control characters, and those that turn the direction of the text after them.
fn is_obeyed(letter: char) -> bool {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || letter.is_control() && !matches!(letter, '\n' | '\t')
}

/// Writes the text visibly, and all of it.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(visible(text).as_bytes())?;
    out.flush()
}

/// Says something on standard error, as far as that can be: where nobody hears, the program goes on.
pub fn say(text: &str) {
    drop(write(&mut io::stderr(), text));
}

/// A word as a shell takes it, for commands that are printed to be typed.
pub fn for_shell(word: impl AsRef<str>) -> String {
    let word = word.as_ref();
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_and_all_else_stays() {
        let plain = "größe\t1 \\u001b\n日本 \u{301}🙂";
        assert!(matches!(visible(plain), Cow::Borrowed(text) if text == plain));
        assert_eq!(visible("a\u{1b}[2J\r\u{7f}\u{9b}b\u{202e}\0"), "a\\u001b[2J\\u000d\\u007f\\u009bb\\u202e\\u0000");
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        for (word, typed) in [("runs/a-1.b", "runs/a-1.b"), ("my run", "'my run'"), ("a'b", "\"a'b\"")] {
            assert_eq!(for_shell(word), typed);
        }
    }

    #[test]
    fn json_stays_json_with_the_same_content() {
        let value = serde_json::json!({ "a\u{9b}\u{1b}": "\u{7f}\u{202e} \n \\ \"" });
        for text in [value.to_string(), format!("{value:#}")] {
            let shown = visible(&text);
            assert!(!shown.contains(['\u{9b}', '\u{7f}']), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}

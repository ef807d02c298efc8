//! The terminal while it is taken, and as it was afterwards, whatever ended it.

use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use std::io::{self, Stdout, Write};

/// A terminal that gives every key and shows a page of its own; as it was when this is dropped, also by a panic.
pub(super) struct Taken {
    // Dropped in this order: the page goes, then keys are lines again.
    _page: Page<Stdout>,
    _keys: Keys,
}

impl Taken {
    /// Takes standard output's terminal.
    ///
    /// # Errors
    /// What is none.
    pub fn take() -> io::Result<Self> {
        let keys = Keys::take()?;
        Ok(Self { _page: Page::enter(io::stdout())?, _keys: keys })
    }
}

/// Keys one by one.
struct Keys;

impl Keys {
    fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Where it can't be, nobody is there to hear of it.
        let _ = disable_raw_mode();
    }
}

/// A page of its own without a cursor.
struct Page<W: Write>(W);

impl<W: Write> Page<W> {
    fn enter(mut terminal: W) -> io::Result<Self> {
        execute!(terminal, EnterAlternateScreen, Hide)?;
        Ok(Self(terminal))
    }
}

impl<W: Write> Drop for Page<W> {
    fn drop(&mut self) {
        let _ = execute!(self.0, Show, LeaveAlternateScreen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_leaves_the_page_as_it_was() {
        let written = Written::default();
        let terminal = written.clone();
        let panicked = std::panic::catch_unwind(move || {
            let _page = Page::enter(terminal).unwrap();
            panic!("in the middle of a drawing");
        });
        assert!(panicked.is_err());
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("\u{1b}[?1049h") && text.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{text:?}");
    }
}

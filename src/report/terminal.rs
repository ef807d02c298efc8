//! The terminal that bars and logs share.

use console::Term;
use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};
use std::io;
use std::sync::LazyLock;

/// Drawings per second.
const RATE: u8 = 20;

/// All bars of the process, on standard error; whoever writes there suspends them.
pub fn bars() -> &'static MultiProgress {
    static BARS: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(target()));
    &BARS
}

fn target() -> ProgressDrawTarget {
    let terminal = Term::buffered_stderr();
    let draws = terminal.is_term() && std::env::var_os("TERM").is_some_and(|name| name != "dumb");
    match draws {
        true => ProgressDrawTarget::term_like_with_hz(Box::new(Lasting(terminal)), RATE),
        false => ProgressDrawTarget::hidden(),
    }
}

/// A terminal that may go away while the run goes on: indicatif panics where one can't be written.
#[derive(Debug)]
struct Lasting(Term);

impl Lasting {
    fn attempt(&self, action: impl FnOnce(&Term) -> io::Result<()>) -> io::Result<()> {
        action(&self.0).unwrap_or_default();
        Ok(())
    }
}

impl TermLike for Lasting {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.attempt(|terminal| terminal.move_cursor_up(lines))
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.attempt(|terminal| terminal.move_cursor_down(lines))
    }

    fn move_cursor_right(&self, letters: usize) -> io::Result<()> {
        self.attempt(|terminal| terminal.move_cursor_right(letters))
    }

    fn move_cursor_left(&self, letters: usize) -> io::Result<()> {
        self.attempt(|terminal| terminal.move_cursor_left(letters))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.attempt(|terminal| terminal.write_line(text))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.attempt(|terminal| terminal.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.attempt(Term::clear_line)
    }

    fn flush(&self) -> io::Result<()> {
        self.attempt(Term::flush)
    }
}

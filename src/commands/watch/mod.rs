//! `sgas watch`: a run in the terminal, while it goes on. Its files are looked at again and again, so it may be on another
//! machine; nothing is written.

mod look;
mod terminal;
mod view;

use super::run_folder::RunFolder;
use super::signals;
use super::{WatchOptions, print};
use crate::error::{Error, Result};
use look::Look;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};
use terminal::Taken;
use view::Screen;

/// The longest wait for a key, so that a signal is soon heard.
const PATIENCE: Duration = Duration::from_millis(250);

/// Shows the run until `q` is pressed; prints what there is where there is no terminal.
///
/// # Errors
/// A folder without a run; a terminal that can't be written.
pub fn run(options: &WatchOptions, out: &mut dyn Write) -> Result<()> {
    let folder = RunFolder::open(&options.run)?;
    let mut look = Look::new(&folder)?;
    if options.once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return print(out, &view::plain(&look));
    }
    live(&mut look, Duration::from_secs(options.every as u64)).map_err(|error| Error::write("the terminal", error))
}

fn live(look: &mut Look, every: Duration) -> io::Result<()> {
    let signals = signals::watch();
    let _taken = Taken::take()?;
    let options = TerminalOptions { viewport: Viewport::Fullscreen };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(io::stdout()), options)?;
    let mut screen = Screen::default();
    let mut next = Instant::now() + every;
    while signals.stop().is_none() {
        if Instant::now() >= next {
            if !screen.is_held {
                look.again();
            }
            next = Instant::now() + every;
        }
        terminal.draw(|frame| view::draw(frame, look, &screen))?;
        let wait = PATIENCE.min(next.saturating_duration_since(Instant::now()));
        if !event::poll(wait)? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        if key.kind != KeyEventKind::Release && !act(key, &mut screen, look) {
            break;
        }
    }
    Ok(())
}

/// Does what a key asks for; false where it asks to leave.
fn act(key: KeyEvent, screen: &mut Screen, look: &Look) -> bool {
    let charts = look.charts().len().max(1);
    let decisions = look.history.decisions.len();
    let by = |screen: &mut Screen, steps: isize| {
        // Above all what happened last: from there on up.
        screen.scrolled = screen.scrolled.saturating_add_signed(steps).min(decisions.saturating_sub(1));
    };
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Char('q') => return false,
        KeyCode::Esc if screen.shows_keys => screen.shows_keys = false,
        KeyCode::Esc => return false,
        KeyCode::Tab | KeyCode::Right => screen.chart = (screen.chart + 1) % charts,
        KeyCode::BackTab | KeyCode::Left => screen.chart = (screen.chart + charts - 1) % charts,
        KeyCode::Char(' ') => screen.is_held = !screen.is_held,
        KeyCode::Char('?') => screen.shows_keys = !screen.shows_keys,
        KeyCode::Up => by(screen, 1),
        KeyCode::Down => by(screen, -1),
        KeyCode::PageUp => by(screen, 10),
        KeyCode::PageDown => by(screen, -10),
        KeyCode::Home => screen.scrolled = decisions.saturating_sub(1),
        KeyCode::End => screen.scrolled = 0,
        _ => {}
    }
    true
}

#[cfg(test)]
mod tests;

//! How a run is drawn in the terminal, and what is printed where there is none.

use super::look::Look;
use crate::report::history::Standing;
use crate::report::page::curves::{Chart, number};
use crate::report::progress::{decision_line, epoch_summary, words};
use crate::visible::visible_word;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart as Plot, Clear, Dataset, Gauge, GraphType, Paragraph, Wrap};
use std::time::Duration;

/// Colours that terminals have, in an order in which neighbours differ.
const COLOURS: [Color; 6] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Red, Color::Blue];
/// Below this width the decisions stand under the curve.
const WIDE: u16 = 100;
/// Lines of the log that are shown where there is room.
const LOG: u16 = 7;

/// What the user chose to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Screen {
    /// Which curve.
    pub chart: usize,
    /// Decisions from the last one up that are below the window.
    pub scrolled: usize,
    /// Nothing is looked at anew.
    pub is_held: bool,
    /// The keys are shown.
    pub shows_keys: bool,
}

/// Draws the run.
pub(super) fn draw(frame: &mut Frame<'_>, look: &Look, screen: &Screen) {
    let area = frame.area();
    let log = if area.height >= 24 { LOG + 2 } else { 0 };
    let [head, bar, middle, log, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Min(6),
        Constraint::Length(log),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(heading(look)), head);
    progress(frame, look, bar);
    let [curve, list] = if area.width >= WIDE {
        Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(middle)
    } else {
        Layout::vertical([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(middle)
    };
    curves(frame, look, screen, curve);
    what_happened(frame, look, screen, list);
    end_of_log(frame, look, log);
    let held = if screen.is_held { " held · " } else { "" };
    let keys = format!("{held}q leave · Tab curve · ↑↓ decisions · Space hold · ? keys");
    frame.render_widget(Paragraph::new(keys.dim()), foot);
    if screen.shows_keys {
        all_keys(frame, area);
    }
}

fn heading(look: &Look) -> Vec<Line<'static>> {
    let colour = match look.standing() {
        "finished" => Color::Green,
        "running" => Color::Cyan,
        _ => Color::Yellow,
    };
    let silent = look.silent_for().filter(|silent| silent.as_secs() > 0 && look.standing() != "finished");
    let silent = silent.map_or_else(String::new, |silent| format!("  last word {} ago", words(silent)));
    let trouble =
        look.trouble.as_ref().map_or_else(Line::default, |trouble| Line::from(visible_word(trouble).fg(Color::Red)));
    let scores = look
        .history
        .epochs
        .last()
        .map_or_else(String::new, |epoch| epoch_summary(epoch, &look.score, look.left().unwrap_or_default()));
    vec![
        Line::from(vec![
            Span::styled(visible_word(&look.name()), Style::new().add_modifier(Modifier::BOLD)),
            Span::raw(format!("  {}  ", visible_word(&look.about))),
            Span::styled(look.standing(), Style::new().fg(colour).add_modifier(Modifier::BOLD)),
            silent.dim(),
        ]),
        if look.trouble.is_some() { trouble } else { Line::from(scores) },
        Line::default(),
    ]
}

fn progress(frame: &mut Frame<'_>, look: &Look, area: Rect) {
    let (done, all) = (look.done(), look.history.planned);
    let left = look.left().filter(|left| *left > Duration::ZERO);
    let left = left.map_or_else(String::new, |left| format!(", about {} left", words(left)));
    let label = if all == 0 { "no epoch yet".to_owned() } else { format!("epoch {done} of {all}{left}") };
    let ratio = (done as f64 / all.max(1) as f64).clamp(0.0, 1.0);
    let bar = Gauge::default().ratio(ratio).label(label).gauge_style(Style::new().fg(Color::Blue).bg(Color::DarkGray));
    frame.render_widget(bar, area);
}

fn curves(frame: &mut Frame<'_>, look: &Look, screen: &Screen, area: Rect) {
    let charts = look.charts();
    let Some(chart) = charts.get(screen.chart.min(charts.len().saturating_sub(1))) else {
        return frame.render_widget(Block::bordered().title("no curve yet"), area);
    };
    let unit = if chart.unit.is_empty() { String::new() } else { format!(" ({})", chart.unit) };
    let place = format!("{}/{}", screen.chart.min(charts.len() - 1) + 1, charts.len());
    let block =
        Block::bordered().title(format!(" {}{unit} ", visible_word(&chart.title))).title_bottom(format!(" {place} "));
    let lines = points(chart);
    let all = || lines.iter().flatten();
    let [first, last] =
        [chart.epochs.first(), chart.epochs.last()].map(|epoch| epoch.copied().unwrap_or_default() as f64);
    let last = last.max(first + 1.0);
    let bounds = |value: fn(f64, f64) -> f64, start: f64| all().map(|(_, y)| *y).fold(start, value);
    let (least, most) = (bounds(f64::min, f64::INFINITY), bounds(f64::max, f64::NEG_INFINITY));
    let (least, most) = if least < most { (least, most) } else { (least - 0.5, most + 0.5) };
    let sets = lines.iter().zip(&chart.lines).enumerate().map(|(index, (points, line))| {
        Dataset::default()
            .name(visible_word(&line.name))
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(COLOURS[index % COLOURS.len()]))
            .data(points)
    });
    let label = |value: f64| Span::raw(number(if chart.logarithmic { 10_f64.powf(value) } else { value }));
    let plot = Plot::new(sets.collect())
        .block(block)
        .x_axis(Axis::default().bounds([first, last]).labels([number(first), number(last)]).style(Style::new().dim()))
        .y_axis(Axis::default().bounds([least, most]).labels([label(least), label(most)]).style(Style::new().dim()));
    frame.render_widget(plot, area);
}

/// The lines as points; of a logarithmic chart the powers of ten.
fn points(chart: &Chart) -> Vec<Vec<(f64, f64)>> {
    let height = |value: f64| if chart.logarithmic { value.max(f64::MIN_POSITIVE).log10() } else { value };
    let of_line = |line: &crate::report::page::curves::Line| {
        let known = chart.epochs.iter().zip(&line.values);
        known.filter_map(|(epoch, value)| Some((*epoch as f64, height((*value)?)))).collect()
    };
    chart.lines.iter().map(of_line).collect()
}

fn what_happened(frame: &mut Frame<'_>, look: &Look, screen: &Screen, area: Rect) {
    let decisions: Vec<String> = look.history.decisions.iter().map(decision_line).collect();
    let (title, lines) = match decisions.is_empty() {
        false => (format!(" {} decisions ", decisions.len()), decisions),
        true => (" scores ".to_owned(), bests(look)),
    };
    let shown = lines.len().saturating_sub(screen.scrolled.min(lines.len().saturating_sub(1)));
    let lines: Vec<Line<'_>> = lines[..shown].iter().rev().map(|line| Line::from(visible_word(line))).collect();
    let text = Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::bordered().title(title));
    frame.render_widget(text, area);
}

/// The best scores so far, the most important last.
fn bests(look: &Look) -> Vec<String> {
    let history = &look.history;
    let passes = [
        ("test", history.best(|epoch| Some(epoch.test.as_ref()?.score))),
        ("validation", history.best(|epoch| Some(epoch.validation.as_ref()?.score))),
        ("training", history.best(|epoch| Some(epoch.train.score))),
    ];
    let told = |(pass, best): (&str, Option<(usize, f64)>)| {
        let (epoch, score) = best?;
        Some(format!("best {pass} {}: {:.2} % in epoch {epoch}", look.score, 100.0 * score))
    };
    let mut lines: Vec<String> = passes.into_iter().filter_map(told).collect();
    let best = history.candidates.iter().map(|candidate| candidate.score).reduce(f64::max);
    lines.extend(best.map(|best| format!("{} cells scored, the best {:.2} %", history.candidates.len(), 100.0 * best)));
    lines
}

fn end_of_log(frame: &mut Frame<'_>, look: &Look, area: Rect) {
    if area.height < 3 {
        return;
    }
    let room = usize::from(area.height - 2);
    let lines = &look.log[look.log.len().saturating_sub(room)..];
    let lines: Vec<Line<'_>> = lines.iter().map(|line| Line::from(visible_word(line))).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" log.txt ")), area);
}

fn all_keys(frame: &mut Frame<'_>, area: Rect) {
    let keys = [
        "q, Esc, Ctrl-C      leave",
        "Tab, →, Shift-Tab, ←  the next or the previous curve",
        "Space               hold the picture, or let it go on",
        "↑ ↓ PageUp PageDown  move through the decisions",
        "Home, End           to the first, to the last",
        "?                   these keys",
    ];
    let (width, height) = (60.min(area.width), (keys.len() as u16 + 2).min(area.height));
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    let lines: Vec<Line<'_>> = keys.iter().map(|line| Line::from(*line)).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys ")), place);
}

/// The run in plain lines.
pub(super) fn plain(look: &Look) -> String {
    let history = &look.history;
    let mut text = format!("{}: {}, {}\n", look.name(), look.about, look.standing());
    if history.planned > 0 {
        text += &format!("epoch {} of {}", look.done(), history.planned);
        if let Some(left) = look.left().filter(|_| look.standing() != "finished") {
            text += &format!(", about {} left", words(left));
        }
        text.push('\n');
    }
    if let Some(epoch) = history.epochs.last() {
        text +=
            &format!("epoch {}: {}\n", epoch.epoch, epoch_summary(epoch, &look.score, look.left().unwrap_or_default()));
    }
    for line in bests(look).iter().rev() {
        text += &format!("{line}\n");
    }
    for decision in &history.decisions {
        text += &format!("{}\n", decision_line(decision));
    }
    if let Standing::Finished { seconds } = history.standing {
        text += &format!("finished: the last process took {}\n", words(crate::report::progress::seconds(seconds)));
    }
    text
}

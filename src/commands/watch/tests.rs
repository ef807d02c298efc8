//! Tests of what is drawn, on ratatui's terminal for tests, and of keys.

use super::*;
use crate::commands::run_folder::About;
use crate::data::Targets;
use ratatui::backend::TestBackend;
use std::path::Path;

/// A search that decided an edge in its second epoch and is not finished.
const EVENTS: &str = r#"{"event":"started","command":"search","task":"points","epoch":0,"epochs":4,"parameters":100}
{"event":"epoch","epoch":0,"epochs":4,"learning_rate":0.1,"batch_size":8,"train":{"loss":2.5,"score":0.25,"others":[]},"validation":{"loss":2.25,"score":0.5,"others":[]},"open_edges":9,"parameters":100,"skipped_steps":0,"seconds":60.0}
{"event":"epoch","epoch":1,"epochs":4,"learning_rate":0.1,"batch_size":8,"train":{"loss":1.5,"score":0.5,"others":[]},"validation":{"loss":1.25,"score":0.75,"others":[]},"open_edges":8,"parameters":90,"skipped_steps":0,"seconds":60.0}
{"event":"decision","epoch":1,"kind":"normal","edge":1,"node":0,"source":1,"primitive":"edge_conv","score":{"score":0.5},"runner_up":[3,0.25],"pruned":[]}
{"event":"epo"#;

fn folder(root: &Path) -> RunFolder {
    let about = About::new("search", "points", "synthetic", &["a".to_owned(), "b".to_owned()], Targets::Classes);
    let run = root.join("my-run");
    let folder = RunFolder::create("search", "points", 1, Some(&run), |run| run.describe(&about, "")).unwrap();
    std::fs::write(folder.file("events.jsonl"), EVENTS).unwrap();
    std::fs::write(folder.log(), "2026-11-26T17:23:38.806945Z  INFO on its \u{1b}[31mway\n").unwrap();
    folder
}

/// What a terminal of this size shows, a line each.
fn shown(look: &Look, screen: &Screen, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, look, screen)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
    (0..height).map(line).collect()
}

fn press(code: KeyCode, screen: &mut Screen, look: &Look) -> bool {
    act(KeyEvent::new(code, KeyModifiers::NONE), screen, look)
}

#[test]
fn a_run_that_goes_on_is_drawn_with_its_progress_curve_decisions_and_log() {
    let root = tempfile::tempdir().unwrap();
    let look = Look::new(&folder(root.path())).unwrap();
    let lines = shown(&look, &Screen::default(), 120, 40);
    let text = lines.join("\n");
    assert!(lines[0].starts_with("my-run  search on points  running or cut"), "{text}");
    assert!(
        lines[1].contains("train loss 1.5000, accuracy 50.00 %; validation loss 1.2500, accuracy 75.00 %"),
        "{text}"
    );
    assert!(lines[3].contains("epoch 2 of 4, about 2 min 0 s left"), "{text}");
    for words in [
        " Loss ",
        "validation",
        " 1 decisions ",
        "edge 1 (node 0 from state 1)",
        "17:23:38  INFO on its \\u001b[31mway",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(lines[39].contains("q leave"), "{text}");
}

#[test]
fn keys_choose_curves_hold_and_leave() {
    let root = tempfile::tempdir().unwrap();
    let look = Look::new(&folder(root.path())).unwrap();
    let mut screen = Screen::default();
    assert!(press(KeyCode::Tab, &mut screen, &look));
    assert!(shown(&look, &screen, 120, 40).join("\n").contains(" Accuracy (%) "));
    assert!(press(KeyCode::BackTab, &mut screen, &look) && press(KeyCode::Left, &mut screen, &look));
    assert_eq!(screen.chart, look.charts().len() - 1, "before the first comes the last");
    assert!(press(KeyCode::Char('?'), &mut screen, &look));
    assert!(shown(&look, &screen, 120, 40).join("\n").contains("hold the picture"));
    assert!(press(KeyCode::Esc, &mut screen, &look), "the keys are closed first");
    assert!(press(KeyCode::Char(' '), &mut screen, &look) && screen.is_held);
    for code in [KeyCode::Up, KeyCode::PageUp, KeyCode::Home] {
        assert!(press(code, &mut screen, &look));
        assert_eq!(screen.scrolled, 0, "the only decision stays");
    }
    assert!(!press(KeyCode::Esc, &mut screen, &look) && !press(KeyCode::Char('q'), &mut screen, &look));
    assert!(!act(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), &mut screen, &look));
}

#[test]
fn any_size_of_a_terminal_is_drawn() {
    let root = tempfile::tempdir().unwrap();
    let look = Look::new(&folder(root.path())).unwrap();
    let screen = Screen { shows_keys: true, ..Screen::default() };
    for (width, height) in [(1, 1), (10, 3), (40, 12), (80, 24), (99, 50), (300, 100)] {
        shown(&look, &screen, width, height);
    }
}

#[test]
fn what_came_since_the_last_look_is_seen_at_the_next() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let mut look = Look::new(&folder).unwrap();
    assert_eq!(look.done(), 2);
    let whole = EVENTS.rsplit_once('\n').unwrap().0;
    let more = format!("{whole}\n{{\"event\":\"finished\",\"seconds\":120.0}}\n");
    std::fs::write(folder.file("events.jsonl"), more).unwrap();
    look.again();
    assert_eq!((look.standing(), look.left()), ("finished", None));
    assert!(
        view::plain(&look).starts_with("my-run: search on points, finished\nepoch 2 of 4\nepoch 1: train loss 1.5000")
    );
    // A disk that is away for a moment.
    std::fs::remove_file(folder.file("events.jsonl")).unwrap();
    std::fs::create_dir(folder.file("events.jsonl")).unwrap();
    look.again();
    assert!(look.trouble.is_some() && look.done() == 2, "what was seen stays");
}

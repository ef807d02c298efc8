//! Tests of whole pages: foreign texts stay texts, and every kind of run makes a page.

use super::*;
use crate::decision::EdgeState;
use crate::genotype::zoo;
use crate::report::tests::{decision, epoch};
use crate::report::{AlphaReport, Event, NamedScores};
use crate::statistics::{Summary, Tau};
use crate::topology::CellKind;

/// What somebody may hide in a file.
const HOSTILE: &str =
    "</script><script>alert('x')</script>\" onload=\"alert(1)\" <img src=x onerror=alert(2)> {{ 7*7 }} & \u{2028}";

fn search() -> Subject {
    let alphas = |epoch, states| {
        let scores = vec![NamedScores(vec![("score".to_owned(), 0.5)]); 9];
        Event::Alphas(AlphaReport { epoch, kind: CellKind::Normal, alphas: vec![vec![0.0; 10]; 9], scores, states })
    };
    let mut states = vec![EdgeState::Open; 9];
    let open = states.clone();
    states[1] = EdgeState::Fixed(3);
    let events = [
        alphas(0, open),
        Event::Epoch(epoch(0)),
        alphas(1, states),
        Event::Epoch(epoch(1)),
        Event::Decision(decision(1)),
        Event::Finished { seconds: 4.0 },
    ];
    Subject {
        name: "a search".to_owned(),
        command: "search".to_owned(),
        task: "points".to_owned(),
        score: "accuracy".to_owned(),
        space: Some(SpaceName::POINT),
        history: History::of(events),
        ..Subject::default()
    }
}

#[test]
fn a_page_is_known_again_and_nothing_else_is() {
    let page = html(&[search()], None).unwrap();
    assert!(is_ours(page.as_bytes()));
    assert!(!is_ours(b"<!doctype html>\n<p>my diary</p>") && !is_ours(b""));
    assert_eq!(html(&[search()], None).unwrap(), page, "the same run is the same page");
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let page = html(&[search(), search()], Some(10)).unwrap();
    for address in page.match_indices("http").map(|(at, _)| &page[at..(at + 60).min(page.len())]) {
        let is_a_name =
            address.starts_with("http://www.w3.org/") || address.starts_with("https://github.com/leeoniya/uPlot");
        assert!(is_a_name || address.starts_with("http-equiv"), "{address}");
    }
    assert!(!page.contains(" src=\"http") && !page.contains("@import") && !page.contains("url(http"));
    assert!(page.contains("http-equiv=\"refresh\" content=\"10\""));
}

#[test]
fn foreign_texts_stay_texts() {
    let mut subject = search();
    let hostile = || HOSTILE.to_owned();
    (subject.name, subject.command, subject.task) = (hostile(), hostile(), hostile());
    (subject.version, subject.data, subject.score) = (hostile(), hostile(), hostile());
    (subject.method, subject.config) = (Some(hostile()), hostile());
    subject.machine = vec![(hostile(), hostile())];
    subject.commands = vec![(hostile(), hostile())];
    subject.missing = vec![(hostile(), hostile())];
    subject.problems = vec![hostile()];
    subject.history.notes = vec![(0, hostile())];
    subject.history.decisions[0].primitive = hostile();
    subject.history.decisions[0].score = NamedScores(vec![(hostile(), 0.5)]);
    let evaluation = serde_json::json!({
        "split": HOSTILE, "data": HOSTILE, "weights": HOSTILE, "overall_accuracy": 0.5,
        "per_class": [{ "class": HOSTILE, "samples": 2, "accuracy": 0.5 }, { "class": HOSTILE, "samples": 2, "accuracy": 0.5 }],
        "confusion": [[1, 1], [1, 1]],
    });
    subject.evaluations = vec![serde_json::from_value(evaluation).unwrap()];
    let cloud = PointCloud { positions: vec![0, 1, 2], actual: vec![0], predicted: vec![1] };
    let example = Example {
        name: hostile(),
        actual: Some(0),
        predicted: Some(1),
        probability: 0.5,
        picture: Some(Picture { width: 1, height: 1, png: "iVBORw0KGgo=".to_owned() }),
        cloud: Some(cloud),
    };
    let (classes, examples) = (vec![hostile(), hostile()], vec![example]);
    let (split, weights, chosen, sgas) = (hostile(), hostile(), hostile(), hostile());
    subject.examples = vec![Examples { sgas, split, weights, chosen, classes, examples }];
    let plain = html(&[search()], None).unwrap();
    let page = html(&[subject.clone(), subject], None).unwrap();
    let count = |page: &str, text: &str| page.matches(text).count();
    assert!(count(&page, "&lt;img src=x") > 20, "the texts are shown");
    for element in ["<script", "</script", "<img src=x", "onload=\"", "49", "{{"] {
        match element {
            "<script" | "</script" => assert_eq!(count(&page, element), count(&plain, element), "{element}"),
            "49" => assert!(!page.contains(" 49 "), "a text was taken for a template"),
            "{{" => assert!(page.contains("{{ 7*7 }}"), "the text is shown as it is"),
            _ => assert!(!page.contains(element), "{element}"),
        }
    }
}

#[test]
fn foreign_texts_of_a_study_stay_texts() {
    let hostile = || HOSTILE.to_owned();
    let run = Run { method: hostile(), state: hostile(), search_score: Some(1.0), score: Some(2.0), ..Run::default() };
    let study = Study {
        title: hostile(),
        folder: hostile(),
        score: hostile(),
        columns: vec![hostile()],
        rows: vec![Row { cells: vec![hostile()], is_published: true }],
        legend: vec![hostile()],
        methods: vec![Method {
            name: hostile(),
            score: Some(Summary::of(&[2.0, 3.0])),
            best: Some((1, zoo::find("Cri2_PPI_Best").unwrap().genotype.clone())),
            tau: Tau::of(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]),
        }],
        runs: vec![run.clone(), Run { score: Some(3.0), ..run }],
    };
    let plain = html_of_study(&Study::default(), &[], None).unwrap();
    let page = html_of_study(&study, &[search()], None).unwrap();
    assert!(page.matches("&lt;img src=x").count() > 12, "the texts are shown");
    assert_eq!(page.matches("<circle").count(), 2, "a point for each run");
    assert_eq!(page.matches("class=\"dot\" style").count(), 2);
    for element in ["<img src=x", "onload=\"", " 49 "] {
        assert!(!page.contains(element), "{element}");
    }
    assert_eq!(page.matches("<script").count(), plain.matches("<script").count());
}

#[test]
fn data_in_the_page_is_the_same_data() {
    let texts = vec![HOSTILE.to_owned(), "plain 'text' é".to_owned()];
    let safe = json_in_html(&texts);
    assert!(!safe.contains(['<', '>', '&', '\'', '\u{2028}']));
    assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), texts);
}

#[test]
fn a_run_of_which_nothing_is_known_makes_a_page() {
    let page = html(&[Subject::default()], None).unwrap();
    assert!(page.contains("Nothing done yet"));
    assert!(is_ours(html(&[], None).unwrap().as_bytes()));
}

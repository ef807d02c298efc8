//! What the events of a run come to, for those who look at it: epochs, alphas, decisions, and how far it is. The run may be
//! finished, cut, or going on.

use super::progress::removal_line;
use super::{AlphaReport, CandidateReport, Change, DecisionReport, EpochReport, Event, RemovalReport, log};
use crate::error::Result;
use crate::genotype::SpaceName;
use crate::optim::NonFinite;
use std::path::Path;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Standing {
    /// Nothing was heard of it yet.
    #[default]
    Unheard,
    /// Its last event tells no end: it goes on, or was cut.
    Open,
    /// It was asked to stop, and its state kept.
    Stopped,
    /// It is done, after so many seconds of its last process.
    Finished {
        /// Wall time of its last process.
        seconds: f64,
    },
}

/// The events of a run, by kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// `search` or `train`.
    pub command: String,
    /// Epochs in all, as it began.
    pub planned: usize,
    /// Weights of the network as it began.
    pub parameters: usize,
    /// Times that a process began or went on with it.
    pub starts: usize,
    /// Every whole epoch.
    pub epochs: Vec<EpochReport>,
    /// Alphas, scores and states of edges at the end of epochs.
    pub alphas: Vec<AlphaReport>,
    /// Every decision, in order.
    pub decisions: Vec<DecisionReport>,
    /// Cells that were scored, in order.
    pub candidates: Vec<CandidateReport>,
    /// Edges and primitives that went without a decision, in order.
    pub removals: Vec<RemovalReport>,
    /// What else is worth a line, with its epoch.
    pub notes: Vec<(usize, String)>,
    /// How it ended, if it did.
    pub standing: Standing,
    /// Lines of the log that are no events.
    pub unread: usize,
}

impl History {
    /// The history so far of the run in `folder`; a log that is not there yet has none.
    ///
    /// # Errors
    /// A log that can't be read.
    pub fn read(folder: &Path) -> Result<Self> {
        if !folder.join(super::append::EVENTS_FILE).exists() {
            return Ok(Self::default());
        }
        let (events, unread) = log::events_so_far(folder)?;
        Ok(Self { unread, ..Self::of(events) })
    }

    /// The history that these events tell.
    pub fn of(events: impl IntoIterator<Item = Event>) -> Self {
        let mut history = Self::default();
        events.into_iter().for_each(|event| history.add(event));
        history
    }

    fn add(&mut self, event: Event) {
        self.standing = match &event {
            Event::Finished { seconds } => Standing::Finished { seconds: *seconds },
            Event::Stopped { .. } => Standing::Stopped,
            _ => Standing::Open,
        };
        match event {
            Event::Started { command, epochs, parameters, .. } => {
                if self.starts == 0 {
                    self.parameters = parameters;
                }
                (self.command, self.planned) = (command, epochs);
                self.starts += 1;
            }
            Event::Epoch(report) => {
                self.planned = report.epochs;
                self.epochs.push(report);
            }
            Event::Alphas(report) => self.alphas.push(report),
            Event::Decision(report) => self.decisions.push(report),
            Event::Candidate(report) => self.candidates.push(report),
            Event::Removal(report) => {
                self.notes.push((report.epoch, removal_line(&report)));
                self.removals.push(report);
            }
            Event::Step { .. } => {}
            other => self.notes.extend(note(&other)),
        }
    }

    /// Without reports that do not fit cells of this space, which some other program wrote.
    #[must_use]
    pub fn fitting(mut self, space: SpaceName) -> Self {
        let (edges, primitives) = (space.topology().edge_count(), space.primitives().len());
        let fits = |report: &AlphaReport| {
            let is_known = |state: &crate::decision::EdgeState| match state {
                crate::decision::EdgeState::Fixed(primitive) => *primitive < primitives,
                _ => true,
            };
            report.alphas.len() == edges
                && report.alphas.iter().all(|row| row.len() == primitives)
                && report.states.len() == edges
                && report.states.iter().all(is_known)
                && (report.scores.is_empty() || report.scores.len() == edges)
        };
        self.alphas.retain(fits);
        self.decisions.retain(|decision| decision.edge < edges && decision.pruned.iter().all(|edge| *edge < edges));
        self
    }

    /// Seconds of all whole epochs.
    pub fn seconds(&self) -> f64 {
        // From 0, because an empty sum of floats is -0, and would be shown so.
        self.epochs.iter().fold(0.0, |sum, epoch| sum + epoch.seconds)
    }

    /// The best epoch by this score, and the score.
    pub fn best(&self, score: impl Fn(&EpochReport) -> Option<f64>) -> Option<(usize, f64)> {
        let scored = self.epochs.iter().filter_map(|epoch| Some((epoch.epoch, score(epoch)?)));
        scored.reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}

/// What a rare event says, with its epoch.
fn note(event: &Event) -> Option<(usize, String)> {
    Some(match event {
        Event::LossScale { epoch, step, of, skipped, scale } => {
            let why = match skipped {
                Some(NonFinite::Infinite) => "skipped, because its gradient is infinite",
                Some(NonFinite::NotANumber) => "skipped, because its gradient has NaN",
                None => return None,
            };
            (*epoch, format!("step {step} of the {} was {why}; the loss scale is {scale}", of.name()))
        }
        Event::BatchTakenBack { epoch, step, from, to, reason } => {
            (*epoch, format!("step {step}: {reason}; the batch had grown to {from} and is {to} again"))
        }
        Event::Change(Change { epoch, step, key, was, now }) => {
            (*epoch, format!("{key} was {was}, and from step {step} on is {now}"))
        }
        Event::Skipped { epoch, step, what } => (*epoch, format!("step {step} was left out, because {what}")),
        Event::Rollback { epoch, step, what } => (
            *epoch,
            format!("back to the checkpoint of step {step}, because of {what}; on in another order of the data"),
        ),
        Event::Stopped { epoch, step } => (*epoch, format!("stopped after step {step}; the state was kept")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::EdgeState;
    use crate::report::tests::{decision, epoch};
    use crate::topology::CellKind;

    fn started(at: usize) -> Event {
        Event::Started {
            command: "search".into(),
            task: "points".into(),
            epoch: at,
            step: 0,
            epochs: 9,
            parameters: 7 - at,
        }
    }

    #[test]
    fn a_run_that_stopped_and_went_on_is_one_history() {
        let events = [
            started(0),
            Event::Epoch(epoch(0)),
            Event::Stopped { epoch: 1, step: 2 },
            started(1),
            Event::Epoch(epoch(1)),
        ];
        let history = History::of(events.clone());
        assert_eq!((history.starts, history.parameters, history.epochs.len()), (2, 7, 2));
        assert_eq!(history.standing, Standing::Open);
        assert_eq!(history.notes, [(1, "stopped after step 2; the state was kept".to_owned())]);
        assert_eq!(History::of(events[..3].to_vec()).standing, Standing::Stopped);
        let finished = History::of([Event::Finished { seconds: 3.0 }]);
        assert_eq!(finished.standing, Standing::Finished { seconds: 3.0 });
        assert_eq!(history.seconds(), 4.0);
        assert_eq!(history.best(|epoch| Some(epoch.train.score)), Some((0, 0.5)), "the first of equals");
        assert_eq!(history.best(|epoch| Some(epoch.validation.as_ref()?.score)), None);
    }

    #[test]
    fn reports_of_other_shapes_are_left_out() {
        let alphas = |edges: usize, primitives: usize, fixed: usize| {
            Event::Alphas(AlphaReport {
                epoch: 0,
                kind: CellKind::Normal,
                alphas: vec![vec![0.0; primitives]; edges],
                scores: Vec::new(),
                states: vec![EdgeState::Fixed(fixed); edges],
            })
        };
        let odd = DecisionReport { edge: 9, ..decision(1) };
        let events = [alphas(9, 10, 1), alphas(8, 10, 1), alphas(9, 9, 1), alphas(9, 10, 10), Event::Decision(odd)];
        let history = History::of(events).fitting(SpaceName::POINT);
        assert_eq!((history.alphas.len(), history.decisions.len()), (1, 0));
    }

    #[test]
    fn a_folder_without_a_log_has_no_history() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(History::read(folder.path()).unwrap(), History::default());
        std::fs::write(folder.path().join("events.jsonl"), "{\"event\":\"finished\",\"seconds\":1.0}\nno\n{\"ev")
            .unwrap();
        let history = History::read(folder.path()).unwrap();
        assert_eq!((history.unread, history.standing), (1, Standing::Finished { seconds: 1.0 }));
    }
}

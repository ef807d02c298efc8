//! What a person sees of a run: a bar on a terminal, a plain line per epoch elsewhere, a line per decision, and
//! how long it will take. All on standard error and, but for the bar, in `log.txt`.

use super::{
    Change, DecisionReport, EpochReport, Event, NamedScores, Observer, RemovalReport, ScalingReport, terminal,
};
use crate::decision::Confidence;
use crate::error::Result;
use crate::optim::NonFinite;
use indicatif::{ProgressBar, ProgressStyle};

use std::time::{Duration, Instant};

/// The target of the lines per epoch: a terminal shows the bar instead.
pub const EPOCH_TARGET: &str = "sgas::epochs";

/// Steps after which the run's duration is told; the first is left out, because it warms up.
const STEPS_TO_ESTIMATE: usize = 20;

/// A run that is slower than this is worth a word about smaller sizes.
const LONG_RUN: Duration = Duration::from_secs(24 * 3600);

/// What the observer can't learn from events.
#[derive(Debug, Clone, Default)]
pub struct ProgressOptions {
    /// The score in the user's words: `accuracy`.
    pub score_name: String,
    /// No bar.
    pub quiet: bool,
    /// What to say where a run will take more than a day: the smaller configuration, on a CPU.
    pub if_long: Option<String>,
}

/// Shows progress.
#[derive(Debug)]
pub struct Progress {
    options: ProgressOptions,
    bar: ProgressBar,
    epochs_left: usize,
    steps: usize,
    first_step: Option<Instant>,
    last_epoch: String,
}

impl Progress {
    /// Progress of a run.
    pub fn new(options: ProgressOptions) -> Self {
        let bar = match options.quiet {
            true => ProgressBar::hidden(),
            false => terminal::bars().add(ProgressBar::no_length()),
        };
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}");
        bar.set_style(style.expect("the template is right: a test draws it"));
        Self { options, bar, epochs_left: 0, steps: 0, first_step: None, last_epoch: String::new() }
    }

    fn step(&mut self, epoch: usize, step: usize, steps: usize, loss: f64, loss_scale: Option<f64>) {
        self.bar.set_length(steps as u64);
        self.bar.set_position(step as u64);
        self.bar.set_prefix(format!("epoch {epoch}"));
        let scale = loss_scale.map(|scale| format!(", scale {scale}")).unwrap_or_default();
        self.bar.set_message(format!("loss {loss:.3}{scale} {}", self.last_epoch));
        self.steps += 1;
        match self.first_step {
            None => self.first_step = Some(Instant::now()),
            Some(first) if self.steps == STEPS_TO_ESTIMATE => self.tell_duration(first.elapsed(), steps),
            Some(_) => {}
        }
    }

    fn tell_duration(&self, elapsed: Duration, steps: usize) {
        let per_step = elapsed.as_secs_f64() / (STEPS_TO_ESTIMATE - 1) as f64;
        let run = seconds(per_step * (steps * self.epochs_left) as f64);
        tracing::info!("{per_step:.2} s per step: the run will take about {}", words(run));
        if let (true, Some(advice)) = (run > LONG_RUN, &self.options.if_long) {
            tracing::warn!("{advice}");
        }
    }

    fn epoch(&mut self, report: &EpochReport) {
        self.epochs_left = report.epochs.saturating_sub(report.epoch + 1);
        let left = seconds(report.seconds * self.epochs_left as f64);
        self.last_epoch = epoch_summary(report, &self.options.score_name, left);
        tracing::info!(target: EPOCH_TARGET, "epoch {}/{}: {}", report.epoch, report.epochs, self.last_epoch);
    }
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Started { command, task, epoch, epochs, parameters, .. } => {
                self.epochs_left = epochs.saturating_sub(*epoch);
                tracing::info!("{command} on {task}: epochs {epoch} to {epochs}, {parameters} parameters");
            }
            Event::Step { epoch, step, steps, loss, loss_scale } => {
                self.step(*epoch, *step, *steps, *loss, *loss_scale);
            }
            Event::LossScale { epoch, step, of, skipped, scale } => {
                let why = match skipped {
                    Some(NonFinite::Infinite) => "skipped: its gradient is infinite",
                    Some(NonFinite::NotANumber) => "skipped: its gradient has NaN",
                    None => "done: the last of many clean ones",
                };
                tracing::debug!("epoch {epoch}, step {step} of {} {why}; loss scale {scale}", of.name());
            }
            Event::Epoch(report) => self.epoch(report),
            Event::Decision(report) => tracing::info!("{}", decision_line(report)),
            Event::BatchTakenBack { from, to, reason, .. } => {
                tracing::warn!("{reason}; the batch had grown to {from} and is {to} again, and the search goes on");
            }
            Event::Removal(report) => tracing::info!("{}", removal_line(report)),
            Event::Alphas(_) | Event::Candidate(_) => {}
            Event::Skipped { epoch, step, what } => {
                tracing::warn!("epoch {epoch}, step {step}: left out, because {what}");
            }
            Event::Rollback { epoch, step, what } => {
                tracing::warn!(
                    "back to epoch {epoch}, step {step}, because of {what}; on in another order of the data"
                );
            }
            Event::Change(Change { epoch, step, key, was, now }) => {
                tracing::warn!("{key} was {was}, and from epoch {epoch}, step {step} on is {now}");
            }
            Event::Stopped { epoch, step } => {
                tracing::info!("asked to stop: the state is kept in epoch {epoch}, after step {step}");
            }
            Event::Finished { seconds: total } => {
                self.bar.finish_and_clear();
                tracing::info!("done in {}", words(seconds(*total)));
            }
        }
        Ok(())
    }
}

pub(crate) fn epoch_summary(report: &EpochReport, score: &str, left: Duration) -> String {
    let pass = |metrics: &super::Metrics| format!("loss {:.4}, {score} {:.2} %", metrics.loss, 100.0 * metrics.score);
    let mut parts = vec![format!("train {}", pass(&report.train))];
    parts.extend(report.validation.as_ref().map(|metrics| format!("validation {}", pass(metrics))));
    parts.extend(report.open_edges.map(|count| format!("{count} edges open")));
    parts.extend(scaling_summary(&report.scaling));
    parts.push(format!("{:.1} s", report.seconds));
    parts.push(format!("{} left", words(left)));
    parts.join("; ")
}

/// The loss scales, and the steps that were skipped with their causes; nothing where no loss is scaled.
fn scaling_summary(scaling: &[ScalingReport]) -> Option<String> {
    let of_each = scaling.iter().map(|report| format!("{} of {}", report.scale, report.of.name()));
    let skipped = scaling.iter().flat_map(|report| {
        let causes = [(report.skipped_inf, "inf"), (report.skipped_nan, "NaN")];
        causes.map(|(count, cause)| (count > 0).then(|| format!("{count} of {} for {cause}", report.of.name())))
    });
    let skipped: Vec<String> = skipped.flatten().collect();
    let skipped = if skipped.is_empty() { String::new() } else { format!(" (steps skipped: {})", skipped.join(", ")) };
    let scales: Vec<String> = of_each.collect();
    (!scales.is_empty()).then(|| format!("loss scale {}{skipped}", scales.join(", ")))
}

/// Which edge became what, and why.
pub(crate) fn decision_line(report: &DecisionReport) -> String {
    let runner_up = match report.runner_up {
        Some((edge, score)) => format!("; runner-up edge {edge} with {score:.4}"),
        None if report.score.get("score").is_some() => "; no other edge was open".to_owned(),
        None => String::new(),
    };
    let sure = report.confidence.as_ref().map(confidence_words).unwrap_or_default();
    let pruned: Vec<String> = report.pruned.iter().map(ToString::to_string).collect();
    let pruned = if pruned.is_empty() { String::new() } else { format!("; pruned edges {}", pruned.join(", ")) };
    format!(
        "epoch {}: {} cell, edge {} (node {} from state {}) becomes {}{}{runner_up}{sure}{pruned}",
        report.epoch,
        report.kind,
        report.edge,
        report.node,
        report.source,
        report.primitive,
        why(&report.score),
    )
}

/// The margin beside its noise, and how often replicas decide the same.
fn confidence_words(confidence: &Confidence) -> String {
    let Confidence { margin, margin_deviation, edge, primitive } = confidence;
    let margin = match (margin, margin_deviation) {
        (Some(margin), Some(deviation)) => format!(", margin {margin:.4} ± {deviation:.4}"),
        _ => String::new(),
    };
    let primitive = primitive.map(|share| format!(", this primitive in {:.0} %", 100.0 * share)).unwrap_or_default();
    format!("{margin}; this edge in {:.0} % of replicas{primitive}", 100.0 * edge)
}

/// The score, and what it was made of.
fn why(scores: &NamedScores) -> String {
    // Certainty begins near 0.
    let text = |(name, value): &(String, f64)| match name.as_str() {
        "certainty" => format!("{name} {value:.6}"),
        _ => format!("{name} {value:.4}"),
    };
    let (score, parts): (Vec<_>, Vec<_>) = scores.0.iter().partition(|(name, _)| name == "score");
    let [score, parts] = [score, parts].map(|scores| scores.into_iter().map(text).collect::<Vec<_>>().join(", "));
    match (score.is_empty(), parts.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!(": {parts}"),
        (false, true) => format!(": {score}"),
        (false, false) => format!(": {score} ({parts})"),
    }
}

/// What went.
pub(crate) fn removal_line(report: &RemovalReport) -> String {
    let RemovalReport { epoch, kind, edge, primitive } = report;
    match primitive {
        Some(primitive) => format!("epoch {epoch}: {kind} cell, edge {edge} loses {primitive}"),
        None => format!("epoch {epoch}: {kind} cell, edge {edge} is pruned"),
    }
}

/// A duration; nonsense of a clock counts as none.
pub(crate) fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or_default()
}

/// A duration in the largest units that matter.
pub(crate) fn words(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match minutes {
        0 => format!("{:.0} s", duration.as_secs_f64()),
        1..60 => format!("{minutes} min {} s", duration.as_secs() % 60),
        60..1440 => format!("{} h {} min", minutes / 60, minutes % 60),
        1440..2880 => format!("1 day {} h", minutes % 1440 / 60),
        _ => format!("{} days {} h", minutes / 1440, minutes % 1440 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Learner;
    use crate::report::tests::{decision, epoch};

    #[test]
    fn an_epoch_in_a_line() {
        let line = epoch_summary(&epoch(1), "accuracy", Duration::from_secs(3700));
        assert_eq!(line, "train loss 1.5000, accuracy 50.00 %; 9 edges open; 2.0 s; 1 h 1 min left");
    }

    #[test]
    fn loss_scales_and_skipped_steps_in_a_line() {
        let scaling = |of, scale, skipped_inf, skipped_nan| ScalingReport { of, scale, skipped_inf, skipped_nan };
        let mut report = epoch(1);
        report.scaling = vec![scaling(Learner::Weights, 16384.0, 2, 0), scaling(Learner::Alphas, 32768.0, 0, 1)];
        let line = epoch_summary(&report, "accuracy", Duration::from_secs(1));
        let told =
            "loss scale 16384 of weights, 32768 of alphas (steps skipped: 2 of weights for inf, 1 of alphas for NaN)";
        assert!(line.contains(&format!("9 edges open; {told}; 2.0 s")), "{line}");
        report.scaling = vec![scaling(Learner::Weights, 65536.0, 0, 0)];
        assert!(epoch_summary(&report, "accuracy", Duration::ZERO).contains("; loss scale 65536 of weights; "));
    }

    #[test]
    fn a_decision_in_a_line() {
        assert_eq!(
            decision_line(&decision(9)),
            "epoch 9: normal cell, edge 1 (node 0 from state 1) becomes edge_conv: score 0.5000 (importance 0.7500, \
             certainty 0.250000, stability 0.0000); runner-up edge 4 with 0.2500; pruned edges 0, 2"
        );
    }

    #[test]
    fn durations_in_words() {
        let texts = [3, 61, 3661, 90_000].map(|number| words(Duration::from_secs(number)));
        assert_eq!(texts, ["3 s", "1 min 1 s", "1 h 1 min", "1 day 1 h"]);
    }

    #[test]
    fn a_whole_run_can_be_shown() {
        let mut progress = Progress::new(ProgressOptions { score_name: "accuracy".into(), ..Default::default() });
        let started = Event::Started {
            command: "search".into(),
            task: "points".into(),
            epoch: 0,
            step: 0,
            epochs: 2,
            parameters: 5,
        };
        progress.observe(&started).unwrap();
        for step in 1..=25 {
            progress.observe(&Event::Step { epoch: 0, step, steps: 25, loss: 1.0, loss_scale: Some(65536.0) }).unwrap();
        }
        progress.observe(&Event::Epoch(epoch(0))).unwrap();
        assert_eq!((progress.steps, progress.epochs_left, progress.bar.position()), (25, 1, 25));
        progress.observe(&Event::Finished { seconds: 1.0 }).unwrap();
        assert!(progress.bar.is_finished());
    }
}

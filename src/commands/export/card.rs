//! The model card: a text in the form that model hubs read, a head in YAML and then what people want to know.

use crate::batch::BatchKind;
use crate::commands::options::ExportFormat;
use crate::commands::trained::Trained;
use crate::data::Targets;
use crate::error::Result;
use crate::files::Content;
use crate::fingerprint::Fingerprint;
use crate::visible::visible_word;
use serde_json::{Map, Value};

/// How the last line of a card begins; the digest of all above it follows.
const MARK: &str = "<!-- sgas card ";
const END: &str = " -->\n";

/// A card as it was written. One that was edited is its author's.
pub(super) const CARD: Content = Content { name: "a model card", is_ours: |bytes| is_unedited(bytes).unwrap_or(false) };

fn is_unedited(bytes: &[u8]) -> Option<bool> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (above, mark) = text.split_at(text.rfind(MARK)?);
    Some(mark.strip_prefix(MARK)?.strip_suffix(END)? == digest(above))
}

fn digest(text: &str) -> String {
    let mut fingerprint = Fingerprint::default();
    fingerprint.bytes(text.as_bytes());
    fingerprint.digest()
}

/// Names of scores as hubs have them, of those that `sgas eval` gives.
const METRICS: [(&str, &str); 4] = [
    ("overall_accuracy", "accuracy"),
    ("micro_f1", "f1"),
    ("mean_iou", "mean_iou"),
    ("mean_class_accuracy", "mean_class_accuracy"),
];

/// Classes that are listed one by one.
const LISTED: usize = 200;

/// What a card says.
pub(super) struct Card<'a> {
    pub trained: &'a Trained,
    pub facts: &'a Map<String, Value>,
    pub format: ExportFormat,
    /// The name of the exported file.
    pub file: &'a str,
}

impl Card<'_> {
    /// The whole text; `versions` are those of the programs that wrote the file.
    ///
    /// # Errors
    /// Weights of another kind of network.
    pub(super) fn text(&self, versions: &str) -> Result<String> {
        let text = format!(
            "---\n{}---\n\n# {}\n\n{}\n{}{}{}{}\n{}",
            self.head(),
            self.title(),
            self.summary(versions),
            self.scores(),
            self.shapes()?,
            self.classes(),
            self.cell(),
            self.use_it(),
        );
        Ok(format!("{text}\n{MARK}{}{END}", digest(&format!("{text}\n"))))
    }

    fn head(&self) -> String {
        let (task, tag) = self.hub_task();
        let mut head = "library_name: sgas\nlicense: unknown # fill in the licence of these weights\n".to_owned();
        head += &format!("pipeline_tag: {task}\n");
        head += &format!("tags:\n- sgas\n- neural-architecture-search\n- {tag}\n- {}\n", self.format.name());
        let scores: Vec<(&str, &str, &Value)> = self.metrics().collect();
        if scores.is_empty() {
            return head;
        }
        head += "metrics:\n";
        let mut kinds: Vec<&str> = scores.iter().map(|(_, kind, _)| *kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        head += &kinds.iter().map(|kind| format!("- {kind}\n")).collect::<String>();
        head +=
            &format!("model-index:\n- name: {}\n  results:\n  - task:\n      type: {task}\n", quoted(&self.title()));
        let data = self.text_of("trained_on");
        head +=
            &format!("    dataset:\n      name: {}\n      type: {}\n    metrics:\n", quoted(data), quoted(self.task()));
        let one = |(split, kind, value): &(&str, &str, &Value)| {
            format!("    - type: {kind}\n      value: {value}\n      name: {}\n", quoted(&format!("{split} split")))
        };
        head + &scores.iter().map(one).collect::<String>()
    }

    /// The scores that hubs know: split, name, value.
    fn metrics(&self) -> impl Iterator<Item = (&str, &'static str, &Value)> {
        let splits = self.facts["scores"].as_object().into_iter().flatten();
        splits.flat_map(|(split, scores)| {
            METRICS.iter().filter_map(move |(name, kind)| Some((split.as_str(), *kind, scores.get(name)?)))
        })
    }

    /// The hub's name for the job, and a tag.
    fn hub_task(&self) -> (&'static str, &'static str) {
        match self.trained.kind().batch {
            BatchKind::Images => ("image-classification", "image-classification"),
            BatchKind::Graphs => ("graph-ml", "node-classification"),
            BatchKind::Points if self.trained.kind().labels_points => ("other", "point-cloud-segmentation"),
            BatchKind::Points => ("other", "point-cloud-classification"),
        }
    }

    fn title(&self) -> String {
        format!("{} network for {}", self.text_of("network"), self.task())
    }

    fn task(&self) -> &str {
        self.text_of("task")
    }

    fn text_of(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap_or_default()
    }

    fn summary(&self, versions: &str) -> String {
        let data = match self.text_of("trained_on") {
            "" => "data that its run does not name".to_owned(),
            data => visible_word(data),
        };
        format!(
            "Trained with [SGAS](https://arxiv.org/abs/1912.00195) `sgas` {} on: {data}.\n\n`{}` was written by {versions}.",
            self.text_of("sgas"),
            visible_word(self.file),
        )
    }

    fn scores(&self) -> String {
        let splits = self.facts["scores"].as_object().into_iter().flatten();
        let rows = splits.flat_map(|(split, scores)| {
            let scores = scores.as_object().into_iter().flatten();
            scores.map(move |(name, value)| format!("| {split} | {name} | {value} |\n"))
        });
        let rows: String = rows.collect();
        if rows.is_empty() {
            return "\n## Scores\nNot evaluated: `sgas eval` before `sgas export` puts them here.\n".to_owned();
        }
        format!("\n## Scores\n| split | score | value |\n|---|---|---|\n{rows}")
    }

    fn shapes(&self) -> Result<String> {
        let (classes, channels) = (self.trained.class_count()?, self.trained.input_channels());
        let least = self.trained.minimum_points();
        let side = self.trained.run.data.images.size;
        let (inputs, output) = match self.trained.kind().batch {
            BatchKind::Images => {
                (format!("`images`: fp32 (batch, 3, {side}, {side}); any batch"), format!("(batch, {classes})"))
            }
            BatchKind::Graphs => (
                format!(
                    "`features`: fp32 (nodes, {channels}) and `links`: int64 (2, links), sources first; any nodes and links"
                ),
                format!("(nodes, {classes})"),
            ),
            BatchKind::Points => (
                format!(
                    "`points`: fp32 (batch, points, {channels}), the position first; any batch, at least {least} points"
                ),
                match self.trained.kind().labels_points {
                    true => format!("(batch, points, {classes})"),
                    false => format!("(batch, {classes})"),
                },
            ),
        };
        let rows: String = self.facts["preparation"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("| {name} | `{}` |\n", visible_word(&value.to_string())))
            .collect();
        Ok(format!(
            "\n## Inputs and output\n- Inputs: {inputs}.\n- Output: `logits`, fp32 {output}.\n\n{}\n\n| preparation | \
             value |\n|---|---|\n{rows}",
            self.preparation(),
        ))
    }

    /// What to do with inputs before the network sees them.
    fn preparation(&self) -> &'static str {
        match self.trained.kind().batch {
            BatchKind::Images => {
                "Images are RGB from 0 to 255, divided by 255; then `mean` of their channel is subtracted, and the result \
                 divided by `deviation`."
            }
            BatchKind::Graphs => {
                "`graphs` says how the program makes links of those in the files: both directions, links of a node to \
                 itself, repeated ones. The network takes links as they are."
            }
            BatchKind::Points => {
                "`normalize` says what is done to positions (`cube`: less their mean, divided by the greatest absolute \
                 coordinate), `points` how many of a cloud the run evaluates with, `features` what follows the position."
            }
        }
    }

    fn classes(&self) -> String {
        let names = &self.trained.classes;
        let what = match self.trained.targets {
            Targets::Labels => "Labels, each with a logit of its own (a sigmoid is its probability)",
            Targets::Classes | Targets::PointClasses => "Classes in the order of the logits",
        };
        if names.is_empty() || names.len() > LISTED {
            return format!("\n{what}: {}.\n", if names.is_empty() { "not named" } else { "see the file's metadata" });
        }
        let named: Vec<String> = names.iter().map(|name| format!("`{}`", visible_word(name))).collect();
        format!("\n{what}: {}.\n", named.join(", "))
    }

    fn cell(&self) -> String {
        match self.text_of("genotype") {
            "" => String::new(),
            cell => format!("\n## Cell\n```json\n{cell}\n```\n"),
        }
    }

    fn use_it(&self) -> String {
        let file = visible_word(self.file);
        let (language, lines) = match self.format {
            ExportFormat::Safetensors => {
                ("sh", "sgas predict --weights FILE --input DIR   # or safetensors.torch.load_file")
            }
            ExportFormat::Torch => (
                "python",
                "held = torch.load(\"FILE\", weights_only=True)   # state_dict, classes, genotype, preparation, scores",
            ),
            ExportFormat::TorchExport => ("python", "network = torch.export.load(\"FILE\").module()"),
            ExportFormat::Onnx => (
                "python",
                "session = onnxruntime.InferenceSession(\"FILE\")\nclasses = \
                 json.loads(session.get_modelmeta().custom_metadata_map[\"classes\"])",
            ),
        };
        let lines = lines.replace("FILE", &file);
        format!(
            "## Use\n```{language}\n{lines}\n```\nFound and trained again by the run's own files: \
             `sgas train --config config.toml --genotype genotype.json`.\n"
        )
    }
}

/// A text as YAML and JSON both take it.
fn quoted(text: &str) -> String {
    Value::from(visible_word(text)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_card_is_no_longer_ours() {
        let text = "---\nlicense: unknown\n---\n";
        let card = format!("{text}{MARK}{}{END}", digest(text));
        assert!((CARD.is_ours)(card.as_bytes()));
        assert!(!(CARD.is_ours)(card.replace("unknown", "mit").as_bytes()));
        assert!(!(CARD.is_ours)(format!("{card}\nmore\n").as_bytes()));
        assert!(!(CARD.is_ours)(text.as_bytes()) && !(CARD.is_ours)(b"") && !(CARD.is_ours)(&[0xff]));
    }
}

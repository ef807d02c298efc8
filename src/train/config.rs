//! The section `[train]` of a configuration.

use crate::bounds;
use crate::error::{Error, Result};
use crate::step::class_weights::ClassWeights;
use crate::train::frozen;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[train]`: the retraining loop (docs/method.md, "Recipes of the training").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Epochs in all.
    pub epochs: usize,
    /// Steps in all, at least: where the epochs have fewer, each goes through the training samples several times. Absent:
    /// once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Samples per batch.
    pub batch: usize,
    /// Leave out a last short batch.
    pub drop_last: bool,
    /// Drop path grows from 0 to this: its probability in epoch e is `drop_path · e / epochs`.
    pub drop_path: f64,
    /// Weight of the auxiliary head's loss, where the network has one.
    pub auxiliary_weight: f64,
    /// Share of every target that is spread evenly over all classes; scores of other splits do not know it.
    pub label_smoothing: f64,
    /// How much each class counts in the loss: `balanced` for all alike, whatever their sizes; absent: every sample alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// Epochs without a better validation score after which the training ends early; absent: it never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Decay of an exponential average of the weights, which is scored and kept in their place; 0 for none.
    #[serde(skip_serializing_if = "is_absent")]
    #[schemars(extend("default" = 0.0))]
    pub average: f64,
    /// The file or run whose weights it starts from; absent: fresh weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// The weights that stay as they are: names with `*` and `?`, of modules with all below them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub freeze: Vec<String>,
    /// Score the test split after every epoch too: the reference's protocol, which picks its best epoch there.
    /// Such a score is reported under that name only.
    pub test_every_epoch: bool,
}

/// A run without an average says nothing of it.
fn is_absent(decay: &f64) -> bool {
    *decay == 0.0
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 400,
            steps: None,
            batch: 32,
            drop_last: true,
            drop_path: 0.2,
            auxiliary_weight: 0.4,
            label_smoothing: 0.0,
            class_weights: None,
            patience: None,
            average: 0.0,
            init: None,
            freeze: Vec::new(),
            test_every_epoch: false,
        }
    }
}

impl TrainConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        bounds::check("train.epochs", &self.epochs, &bounds::EPOCHS, "epochs")?;
        if let Some(steps) = &self.steps {
            bounds::check("train.steps", steps, &bounds::STEPS, "steps")?;
        }
        if let Some(patience) = &self.patience {
            bounds::check("train.patience", patience, &bounds::EPOCHS, "epochs")?;
        }
        let shares = [
            ("train.drop_path", self.drop_path),
            ("train.label_smoothing", self.label_smoothing),
            ("train.average", self.average),
        ];
        for (key, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::invalid(key, "a number from 0 to less than 1", value.to_string()));
            }
        }
        self.freeze.iter().try_for_each(|text| frozen::pattern(text).map(drop))?;
        if !(self.auxiliary_weight.is_finite() && self.auxiliary_weight >= 0.0) {
            let found = self.auxiliary_weight.to_string();
            return Err(Error::invalid("train.auxiliary_weight", "a number of at least 0", found));
        }
        Ok(())
    }
}

//! The section `[search]` of a configuration.

use crate::bounds;
use crate::error::Result;
use crate::search::candidates::CandidateConfig;
use crate::search::freezing::{FreezingName, SimilarityConfig};
use crate::search::limits::LimitConfig;
use crate::search::strategy::{
    BetaConfig, DirichletConfig, MixtureName, OneShotConfig, PerturbationConfig, Regularizer, Selection, StrategyName,
};
use crate::step::class_weights::ClassWeights;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which samples the alphas learn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlphaData {
    /// The share held out of the training split.
    Validation,
    /// The test split: the published protocol on ModelNet.
    Test,
}

/// How a batch for the alphas is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlphaBatch {
    /// A fresh random batch at every step.
    Random,
    /// The whole set at every step (PPI).
    Whole,
}

/// Order of the alphas' gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
pub enum AlphaOrder {
    /// The weights are taken as they are.
    First,
    /// The weights are taken as a step that follows the alphas would leave them.
    Second,
}

impl TryFrom<u8> for AlphaOrder {
    type Error = String;

    fn try_from(order: u8) -> std::result::Result<Self, String> {
        match order {
            1 => Ok(Self::First),
            2 => Ok(Self::Second),
            other => Err(format!("expected 1 or 2, found {other}")),
        }
    }
}

impl From<AlphaOrder> for u8 {
    fn from(order: AlphaOrder) -> Self {
        match order {
            AlphaOrder::First => 1,
            AlphaOrder::Second => 2,
        }
    }
}

/// `[search]`: the bilevel loop (docs/method.md, "The search").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// How a cell is chosen: `sgas`, `darts`, `one-shot`, `random`, `most-params`, `successive-halving` or `predictor`, or
    /// one that was registered.
    pub strategy: StrategyName,
    /// What chooses the primitives of edges: `perturbation`; absent: the strategy's own rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
    /// How alphas become shares of primitives: `dirichlet`; absent: softmax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixture: Option<MixtureName>,
    /// What ends the training of single operations before the search ends: `similarity`; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freezing: Option<FreezingName>,
    /// A term of the alphas' loss: `beta`; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regularizer: Option<Regularizer>,
    /// K, where edges of the supernet work on one of K equal parts of the channels and the others pass by; absent: on all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_channels: Option<usize>,
    /// Whether edges have trained weights, which are compared at every node.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = false))]
    pub edge_weights: bool,
    /// How much each class counts in the loss of weights and alphas: `balanced`; absent: as often as it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// The first epoch in which alphas learn.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = 0))]
    pub alpha_start: usize,
    /// Order of the alphas' gradient, 1 or 2; 1 is the published default.
    pub order: AlphaOrder,
    /// Epochs; absent: as many as the decisions need.
    pub epochs: Option<usize>,
    /// Steps of the weights in all, at least: where the epochs have fewer, each goes through the training samples several
    /// times. Absent: once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Samples per batch before the first decision.
    pub batch: usize,
    /// Samples by which batches grow after every deciding epoch.
    pub batch_growth: usize,
    /// Which samples the alphas learn from and the supernet is scored on.
    pub alpha_data: AlphaData,
    /// How batches for the alphas are drawn.
    pub alpha_batch: AlphaBatch,
    /// `[search.perturbation]`
    #[serde(skip_serializing_if = "is_default")]
    pub perturbation: PerturbationConfig,
    /// `[search.beta]`
    #[serde(skip_serializing_if = "is_default")]
    pub beta: BetaConfig,
    /// `[search.dirichlet]`
    #[serde(skip_serializing_if = "is_default")]
    pub dirichlet: DirichletConfig,
    /// `[search.similarity]`
    #[serde(skip_serializing_if = "is_default")]
    pub similarity: SimilarityConfig,
    /// `[search.limits]`
    #[serde(skip_serializing_if = "is_default")]
    pub limits: LimitConfig,
    /// `[search.one_shot]`
    #[serde(skip_serializing_if = "is_default")]
    pub one_shot: OneShotConfig,
    /// `[search.candidates]`
    #[serde(skip_serializing_if = "is_default")]
    pub candidates: CandidateConfig,
}

/// Left out of the configuration of a run that does not set it.
fn is_default<T: Default + PartialEq>(section: &T) -> bool {
    *section == T::default()
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            strategy: StrategyName::SGAS,
            selection: None,
            mixture: None,
            freezing: None,
            regularizer: None,
            partial_channels: None,
            edge_weights: false,
            class_weights: None,
            alpha_start: 0,
            order: AlphaOrder::First,
            epochs: None,
            steps: None,
            batch: 28,
            batch_growth: 4,
            alpha_data: AlphaData::Validation,
            alpha_batch: AlphaBatch::Random,
            perturbation: PerturbationConfig::default(),
            beta: BetaConfig::default(),
            dirichlet: DirichletConfig::default(),
            similarity: SimilarityConfig::default(),
            limits: LimitConfig::default(),
            one_shot: OneShotConfig::default(),
            candidates: CandidateConfig::default(),
        }
    }
}

impl SearchConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        if let Some(epochs) = &self.epochs {
            bounds::check("search.epochs", epochs, &bounds::EPOCHS, "epochs")?;
        }
        if let Some(steps) = &self.steps {
            bounds::check("search.steps", steps, &bounds::STEPS, "steps")?;
        }
        if let Some(parts) = &self.partial_channels {
            bounds::check("search.partial_channels", parts, &(2..=1024), "parts of the channels")?;
        }
        bounds::check("search.alpha_start", &self.alpha_start, &(0..=*bounds::EPOCHS.end()), "epochs")?;
        self.perturbation.validate()?;
        self.beta.validate()?;
        self.dirichlet.validate()?;
        self.similarity.validate()?;
        self.limits.validate()?;
        self.one_shot.validate()?;
        self.candidates.validate()?;
        bounds::check("search.batch_growth", &self.batch_growth, &(0..=bounds::MOST_SAMPLES), "samples")
    }
}

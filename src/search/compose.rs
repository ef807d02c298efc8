//! From `[search]` to a strategy: the named one with the parts that are chosen beside it, or the reason why they do not
//! go together.

use crate::cell::PartialChannels;
use crate::decision::DecisionConfig;
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::model::SupernetParts;
use crate::search::SearchConfig;
use crate::search::candidates::{CandidateConfig, Plan};
use crate::search::strategy::{self, Composed, MixtureName, Regularizer, Selection, Strategy, StrategyName};
use crate::step::class_weights::ClassWeights;

/// Cells that are counted where `search.candidates.cells` is absent.
const COUNTED: usize = 100;
/// Cells that successive halving begins with where `search.candidates.cells` is absent.
const HALVED: usize = 16;
/// Cells that a predictor has trained where `search.candidates.cells` is absent.
const PREDICTED: usize = 20;

/// The strategies that train cells alone, or count them.
const ALONE: &str = "random, most-params, successive-halving or predictor";

impl SearchConfig {
    /// The trainings of a search among random cells; `None` for a search by a supernet, and for one random cell.
    ///
    /// # Errors
    /// Sizes that make no plan, or that the strategy does not know, with the key.
    pub fn plan(&self) -> Result<Option<Plan>> {
        let config = &self.candidates;
        let plan = if self.strategy == StrategyName::RANDOM {
            config.cells.filter(|cells| *cells > 1).map(|cells| Plan::each(cells, config.epochs))
        } else if self.strategy == StrategyName::MOST_PARAMS {
            Some(Plan::untrained(config.cells.unwrap_or(COUNTED)))
        } else if self.strategy == StrategyName::SUCCESSIVE_HALVING {
            Some(Plan::halving(config.cells.unwrap_or(HALVED), config.epochs, config.eta)?)
        } else if self.strategy == StrategyName::PREDICTOR {
            Some(Plan::predicted(config.cells.unwrap_or(PREDICTED), config.epochs))
        } else if *config == CandidateConfig::default() {
            None
        } else {
            let found = format!("{}, which draws no cells", self.strategy);
            let expected = format!("the strategy {ALONE} beside them");
            return Err(Error::invalid("search.candidates", expected, found)
                .with_hint(format!("leave search.candidates out, or choose --strategy {ALONE}")));
        };
        plan.iter().try_for_each(Plan::check)?;
        Ok(plan)
    }

    /// Whether a supernet is trained.
    pub fn has_supernet(&self) -> bool {
        self.strategy.trains && ![StrategyName::SUCCESSIVE_HALVING, StrategyName::PREDICTOR].contains(&self.strategy)
    }

    /// Whether anything is trained.
    pub fn needs_data(&self) -> bool {
        self.has_supernet() || self.plan().is_ok_and(|plan| plan.is_some_and(|plan| plan.epochs() > 0))
    }

    /// What is made of the supernet of a search in this space whose cells begin with `channels` channels, besides what a
    /// strategy puts around its primitives.
    ///
    /// # Errors
    /// Parts that do not go together, with the key and the reason.
    pub fn supernet_parts(&self, space: SpaceName, channels: i64) -> Result<SupernetParts> {
        let mut parts = SupernetParts { edge_weights: self.edge_weights, ..SupernetParts::default() };
        if self.edge_weights {
            self.require_alphas("edge_weights")?;
            let topology = space.topology();
            let reason = match (topology.keeps_all(), topology.first_choosable()) {
                (true, _) => Some("whose cells keep every edge, so that nothing is chosen by weights"),
                (false, 0) => Some("whose decisions know no importance that a weight could be a factor of"),
                _ => None,
            };
            if let Some(reason) = reason {
                let expected = "a space whose nodes choose among their edges by importance: image, point, graph";
                return Err(Error::invalid("search.edge_weights", expected, format!("{space}, {reason}"))
                    .with_hint("leave --edge-weights out; --partial-channels alone may stay"));
            }
        }
        if let Some(count) = self.partial_channels {
            self.require_alphas("partial_channels")?;
            if channels % count as i64 != 0 {
                let expected = format!("a divisor of model.channels, which is {channels}");
                return Err(Error::invalid("search.partial_channels", expected, count.to_string())
                    .with_hint("the published value is 4; --set model.channels=... sets the channels"));
            }
            parts.partial_channels = Some(PartialChannels { parts: count as i64 });
        }
        Ok(parts)
    }

    /// The strategy of a search in this space, with all its parts.
    ///
    /// # Errors
    /// Parts that do not go together, with the key and the reason.
    pub fn compose(&self, space: SpaceName, decision: &DecisionConfig) -> Result<Box<dyn Strategy>> {
        self.plan()?;
        self.check_limits(space)?;
        if self.class_weights == Some(ClassWeights::Balanced) && !self.needs_data() {
            let found = format!("{}, which trains nothing", self.strategy);
            return Err(Error::invalid("search.class_weights", "a strategy that trains", found)
                .with_hint("leave search.class_weights out, or choose another --strategy"));
        }
        let deciding = match self.selection {
            None if self.strategy == StrategyName::ONE_SHOT => {
                let epochs = self.epochs.unwrap_or_else(|| decision.epochs(space.topology()));
                strategy::one_shot(epochs, &self.one_shot)
            }
            None => self.strategy.strategy(space, decision.clone()),
            Some(Selection::Perturbation) => self.by_perturbation(space, decision)?,
        };
        let epochs = self.epochs.unwrap_or_else(|| deciding.epochs());
        let has_rule = deciding.mixture(0).is_some();
        let mut parts = vec![deciding];
        if self.mixture == Some(MixtureName::Dirichlet) {
            self.require_alphas("mixture")?;
            self.require_free_mixture(has_rule)?;
            parts.push(strategy::dirichlet_part(&self.dirichlet, epochs));
        }
        if self.freezing.is_some() {
            self.require_alphas("freezing")?;
        }
        if self.regularizer == Some(Regularizer::Beta) {
            self.require_alphas("regularizer")?;
            parts.push(strategy::beta_decay_part(&self.beta, epochs));
        }
        Ok(Composed::of(parts))
    }

    /// Refuses a part of this key beside a strategy that trains no alphas.
    fn require_alphas(&self, key: &str) -> Result<()> {
        if self.has_supernet() && self.strategy != StrategyName::ONE_SHOT {
            return Ok(());
        }
        let found = format!("{}, which trains no alphas", self.strategy);
        let expected = "a strategy that trains alphas, such as sgas or darts";
        let hint = format!("leave --{} out, or choose another --strategy", key.replace('_', "-"));
        Err(Error::invalid(format!("search.{key}"), expected, found).with_hint(hint))
    }

    /// Refuses Dirichlet shares where something else is said of shares.
    fn require_free_mixture(&self, has_rule: bool) -> Result<()> {
        let found = if has_rule {
            format!("{}, which has a mixture of its own", self.strategy)
        } else if self.regularizer == Some(Regularizer::Beta) {
            "the regularizer beta, whose term is made for shares that are a softmax".to_owned()
        } else {
            return Ok(());
        };
        let expected = "dirichlet with no other rule for shares beside it";
        let hint = "leave --mixture out, or what stands beside it; dirichlet has a term of its own, search.dirichlet.divergence";
        Err(Error::invalid("search.mixture", expected, found).with_hint(hint))
    }

    /// Refuses limits that the strategy would not keep to, or whose quantity is not counted in the space.
    fn check_limits(&self, space: SpaceName) -> Result<()> {
        if !self.limits.is_set() {
            return Ok(());
        }
        let keeps_to_them =
            [StrategyName::SGAS, StrategyName::ONE_SHOT].contains(&self.strategy) || self.plan()?.is_some();
        if !keeps_to_them {
            let found = format!("{}, which knows no bounds", self.strategy);
            let expected =
                "the strategy sgas, one-shot, most-params, successive-halving, predictor, or random with several cells";
            return Err(Error::invalid("search.limits", expected, found).with_hint(
                "leave --max-params and --max-macs out, or choose another --strategy; random has \
                 --set search.candidates.cells=10",
            ));
        }
        if self.limits.macs.is_some() && ![SpaceName::IMAGE, SpaceName::NAS_BENCH_201].contains(&space) {
            let found = format!("the {space} space");
            return Err(Error::invalid(
                "search.limits.macs",
                "a space of pictures, whose multiply-adds are counted",
                found,
            )
            .with_hint("--max-params bounds the weights in every space"));
        }
        Ok(())
    }

    fn by_perturbation(&self, space: SpaceName, decision: &DecisionConfig) -> Result<Box<dyn Strategy>> {
        if self.strategy == StrategyName::SGAS {
            return Ok(strategy::sgas_by_perturbation(space, decision.clone()));
        }
        if self.strategy != StrategyName::DARTS {
            let found = format!("{}, which decides in its own way", self.strategy);
            return Err(Error::invalid("search.selection", "the strategy sgas or darts beside perturbation", found)
                .with_hint("leave --selection out, or choose --strategy sgas or darts"));
        }
        let topology = space.topology();
        let tuning = self.perturbation.tuning(topology);
        let trained = match self.epochs {
            None => decision.epochs(topology),
            Some(epochs) if epochs > tuning => epochs - tuning,
            Some(epochs) => {
                let expected = format!("more than the {tuning} epochs of tuning between the decisions by perturbation");
                return Err(Error::invalid("search.epochs", expected, epochs.to_string())
                    .with_hint("search.perturbation.epochs are the epochs from one decision to the next"));
            }
        };
        Ok(strategy::darts_by_perturbation(topology, trained, self.perturbation.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, space: SpaceName) -> Error {
        let config: SearchConfig = toml::from_str(text).unwrap();
        config.compose(space, &DecisionConfig::default()).err().unwrap()
    }

    fn epochs(text: &str) -> usize {
        let config: SearchConfig = toml::from_str(text).unwrap();
        config.compose(SpaceName::POINT, &DecisionConfig::default()).unwrap().epochs()
    }

    #[test]
    fn parts_go_together_in_every_space() {
        for space in SpaceName::all() {
            for strategy in ["sgas", "darts"] {
                for parts in [
                    "",
                    "selection = 'perturbation'",
                    "regularizer = 'beta'",
                    "selection = 'perturbation'\nregularizer = 'beta'",
                    "selection = 'perturbation'\nmixture = 'dirichlet'",
                ] {
                    let config: SearchConfig = toml::from_str(&format!("strategy = '{strategy}'\n{parts}")).unwrap();
                    config.compose(space, &DecisionConfig::default()).unwrap();
                }
            }
        }
    }

    #[test]
    fn weights_of_edges_need_nodes_that_choose_by_importance() {
        let config: SearchConfig = toml::from_str("edge_weights = true\npartial_channels = 4").unwrap();
        for space in [SpaceName::POINT, SpaceName::IMAGE, SpaceName::GRAPH] {
            let parts = config.supernet_parts(space, 16).unwrap();
            assert!(parts.edge_weights && parts.partial_channels == Some(PartialChannels { parts: 4 }));
        }
        for (space, words) in [
            (SpaceName::NAS_BENCH_201, "whose cells keep every edge"),
            (SpaceName::NAS_BENCH_GRAPH, "whose decisions know no importance"),
        ] {
            let error = config.supernet_parts(space, 16).err().unwrap();
            assert!(error.to_string().starts_with("search.edge_weights: ") && error.to_string().contains(words));
            assert!(error.hint().is_some());
        }
        let error = config.supernet_parts(SpaceName::IMAGE, 18).err().unwrap().to_string();
        assert_eq!(error, "search.partial_channels: expected a divisor of model.channels, which is 18, found 4");
    }

    #[test]
    fn random_cells_are_trained_where_there_are_several() {
        let config = |text: &str| toml::from_str::<SearchConfig>(text).unwrap();
        let plan = |text: &str| config(text).plan().unwrap();
        assert_eq!(plan("strategy = 'random'"), None);
        assert_eq!(plan("strategy = 'random'\n[candidates]\ncells = 10\nepochs = 3"), Some(Plan::each(10, 3)));
        assert_eq!(plan("strategy = 'most-params'"), Some(Plan::untrained(100)));
        assert_eq!(plan("strategy = 'successive-halving'").unwrap().epochs(), 4 * 80);
        assert_eq!(plan("strategy = 'predictor'"), Some(Plan::predicted(20, 5)));
        let needs = ["random", "most-params", "successive-halving", "darts", "predictor"]
            .map(|name| config(&format!("strategy = '{name}'")).needs_data());
        assert_eq!(needs, [false, false, true, true, true]);
    }

    #[test]
    fn a_selection_says_how_long_a_search_is() {
        assert_eq!(epochs("selection = 'perturbation'"), 50);
        assert_eq!(epochs("strategy = 'darts'"), 50);
        // Nine edges and two nodes of more than two edges.
        assert_eq!(epochs("strategy = 'darts'\nselection = 'perturbation'"), 50 + 10 * 5);
        assert_eq!(epochs("strategy = 'darts'\nselection = 'perturbation'\nepochs = 51\nregularizer = 'beta'"), 51);
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_the_reason() {
        for (text, words) in [
            (
                "strategy = 'random'\nselection = 'perturbation'",
                "search.selection: expected the strategy sgas or darts",
            ),
            (
                "strategy = 'successive-halving'\nregularizer = 'beta'",
                "search.regularizer: expected a strategy that trains",
            ),
            ("[candidates]\ncells = 3", "search.candidates: expected the strategy random, most-params, successive"),
            (
                "strategy = 'random'\n[candidates]\ncells = 99999\nepochs = 999999",
                "search.candidates: expected at most",
            ),
            ("strategy = 'random'\nmixture = 'dirichlet'", "search.mixture: expected a strategy that trains alphas"),
            (
                "mixture = 'dirichlet'\nregularizer = 'beta'",
                "search.mixture: expected dirichlet with no other rule for shares beside it, found the regularizer beta",
            ),
            (
                "strategy = 'random'\nclass_weights = 'balanced'",
                "search.class_weights: expected a strategy that trains",
            ),
            ("strategy = 'random'\nregularizer = 'beta'", "search.regularizer: expected a strategy that trains alphas"),
            (
                "strategy = 'darts'\nselection = 'perturbation'\nepochs = 50",
                "search.epochs: expected more than the 50 epochs",
            ),
        ] {
            let error = refused(text, SpaceName::POINT);
            assert!(error.to_string().starts_with(words), "{error}");
            assert!(error.exit_code() == 2 && error.hint().is_some());
        }
    }
}

//! The section `[data.graphs]`: what becomes of the links as files store them, and which nodes have no label.

use schemars::JsonSchema;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

/// In which directions links lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkDirections {
    /// In both, whichever is stored.
    #[default]
    Both,
    /// As stored: messages flow from source to target.
    Stored,
}

/// What becomes of links from a node to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelfLoops {
    /// They are left out.
    #[default]
    Removed,
    /// As stored.
    Stored,
}

/// What becomes of links that come more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// Each stays once.
    #[default]
    Merged,
    /// As stored; a link that is stored in both directions and led in both is then there twice each way.
    Stored,
}

/// What the numbers of a node become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureScale {
    /// As stored.
    #[default]
    Stored,
    /// Divided by the sum of their absolute values, as is usual for bags of words; a node of zeros keeps them.
    UnitSum,
}

/// `[data.graphs]`: the links that the network gets, and which nodes have no label. The defaults are the published ones (docs/method.md, "Recipes of
/// the search").
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GraphDataConfig {
    /// In which directions links lead.
    pub links: LinkDirections,
    /// What becomes of links from a node to itself.
    pub self_loops: SelfLoops,
    /// What becomes of links that come more than once.
    pub duplicates: Duplicates,
    /// What the numbers of a node become.
    pub features: FeatureScale,
    /// The label of nodes that have none, such as `-1` or `nan`, which stands for empty cells too; they are in no split.
    /// Absent, or a text that is no label: every node has one.
    #[serde(deserialize_with = "text_or_number", skip_serializing_if = "Option::is_none")]
    pub unlabelled: Option<String>,
}

/// A text, or a number that stands without quotes.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<String>, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => Ok(Some(text)),
        toml::Value::Integer(number) => Ok(Some(number.to_string())),
        toml::Value::Float(number) => Ok(Some(number.to_string().to_lowercase())),
        other => Err(D::Error::custom(format!("expected the label of nodes without one, found {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_of_unlabelled_nodes_is_a_text_or_a_number_and_survives_toml() {
        for (text, label) in [("-1", "-1"), ("nan", "nan"), ("255", "255"), ("'?'", "?"), ("''", "")] {
            let config: GraphDataConfig = toml::from_str(&format!("unlabelled = {text}")).unwrap();
            assert_eq!(config.unlabelled.as_deref(), Some(label));
            assert_eq!(toml::from_str::<GraphDataConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
        }
        assert!(toml::from_str::<GraphDataConfig>("unlabelled = true").is_err());
        assert!(!toml::to_string(&GraphDataConfig::default()).unwrap().contains("unlabelled"));
    }
}

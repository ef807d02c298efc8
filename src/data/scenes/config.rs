//! The section `[data.scenes]`: what is peculiar to labelled clouds.

use schemars::JsonSchema;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The areas of S3DIS.
const AREAS: std::ops::RangeInclusive<u8> = 1..=6;

/// `[data.scenes]`: which clouds, and how their points are labelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SceneDataConfig {
    /// The area of S3DIS whose rooms are for testing, 1 to 6.
    pub area: u8,
    /// The one category of ShapeNet's parts that is taken, such as `Cap`; absent: all.
    pub category: Option<String>,
    /// The column of the labels by its name or number, as in `data.features`, or `last`; absent: `label`, `class` and
    /// the like.
    #[serde(deserialize_with = "name_or_number")]
    pub label: Option<String>,
    /// The label of points that have no class; they are neither trained on nor scored.
    pub unlabelled: i64,
    /// Side of the columns that a cloud is cut into, in the data's unit; 0: clouds stay whole.
    pub block: f64,
    /// The file with the names of the classes in a folder of own clouds: `name` or `number name` per line.
    pub classes: String,
}

/// A name, or a number that stands without quotes.
fn name_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<String>, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(name) => Ok(Some(name)),
        toml::Value::Integer(number) if number >= 0 => Ok(Some(number.to_string())),
        other => Err(D::Error::custom(format!("expected the name or number of a column, found {other}"))),
    }
}

impl Default for SceneDataConfig {
    fn default() -> Self {
        Self { area: 5, category: None, label: None, unlabelled: -1, block: 0.0, classes: "classes.txt".to_owned() }
    }
}

impl SceneDataConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        if !AREAS.contains(&self.area) {
            let expected = format!("an area of S3DIS, {} to {}", AREAS.start(), AREAS.end());
            return Err(Error::invalid("data.scenes.area", expected, self.area.to_string()));
        }
        if !(self.block >= 0.0 && self.block.is_finite()) {
            let expected = "a side above 0, or 0 for whole clouds";
            return Err(Error::invalid("data.scenes.block", expected, self.block.to_string()));
        }
        for (key, value) in [("category", &self.category), ("label", &self.label)] {
            if value.as_ref().is_some_and(String::is_empty) {
                return Err(Error::invalid(format!("data.scenes.{key}"), "a name", "an empty text"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_named_or_numbered_and_the_section_survives_toml() {
        let read = |text: &str| toml::from_str::<SceneDataConfig>(text);
        for (text, label) in [("label = \"last\"", "last"), ("label = 6", "6"), ("label = \"6\"", "6")] {
            let config = read(text).unwrap();
            assert_eq!(config.label.as_deref(), Some(label));
            assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
        }
        assert!(read("label = -1").unwrap_err().to_string().contains("the name or number of a column, found -1"));
        assert!(read("label = true").is_err() && read("lable = 1").is_err());
        assert_eq!(read("").unwrap(), SceneDataConfig::default());
    }

    #[test]
    fn every_value_out_of_range_is_named_by_its_key() {
        for (text, key) in [
            ("area = 0", "data.scenes.area"),
            ("area = 7", "data.scenes.area"),
            ("block = -0.5", "data.scenes.block"),
            ("block = nan", "data.scenes.block"),
            ("block = inf", "data.scenes.block"),
            ("category = \"\"", "data.scenes.category"),
            ("label = \"\"", "data.scenes.label"),
        ] {
            let message = toml::from_str::<SceneDataConfig>(text).unwrap().validate().unwrap_err().to_string();
            assert!(message.starts_with(&format!("{key}: expected ")), "{text}: {message}");
        }
        SceneDataConfig::default().validate().unwrap();
    }
}

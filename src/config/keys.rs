//! Every key of a configuration with its type, range, default and meaning, from the sections themselves: the schema and the
//! docs of their structs, and what their own checks say of values out of range.

use super::{RunConfig, parse};
use crate::error::Error;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

/// One key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Key {
    /// Dotted: `search.batch`.
    pub name: String,
    /// What a value is, in words: `a whole number`.
    pub kind: String,
    /// What the values are among which it is chosen, with what each means, where that is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<(String, Option<String>)>,
    /// What a value out of range is told: `1 to 65536 points`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// What it is where nobody sets it, as TOML; absent where nothing is then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What it means.
    pub about: String,
}

/// The keys of this kind of run, in the order of their sections. `base` is a valid configuration, on which values out of
/// range are tried.
pub fn keys<R: RunConfig + JsonSchema>(base: &str) -> Vec<Key> {
    let generator = SchemaGenerator::default();
    let schema = generator.into_root_schema_for::<R>().to_value();
    let defaults = serde_json::to_value(R::default()).unwrap_or_default();
    let mut found = Vec::new();
    Walk { root: &schema, found: &mut found }.section(&schema, "", &defaults);
    for key in &mut found {
        key.range = range::<R>(base, key);
    }
    found
}

/// What is said of a value that no key takes, where it is said of this key.
fn range<R: RunConfig>(base: &str, key: &Key) -> Option<String> {
    let wrong: &[&str] = match key.kind.as_str() {
        _ if !key.choices.is_empty() => return None,
        WHOLE => &["9223372036854775807", "0", "-1"],
        NUMBER => &["1e300", "-1e300", "nan"],
        _ => return None,
    };
    wrong.iter().find_map(|value| {
        let refused = parse::<R>("", base, &[format!("{}={value}", key.name)]).err()?;
        match innermost(&refused) {
            Error::Invalid { place, expected, .. } if place.ends_with(&key.name) => Some(expected.clone()),
            _ => None,
        }
    })
}

fn innermost(error: &Error) -> &Error {
    match error {
        Error::At { source, .. } => innermost(source),
        other => other,
    }
}

const WHOLE: &str = "a whole number";
const NUMBER: &str = "a number";

/// A walk through a schema.
struct Walk<'a> {
    root: &'a Value,
    found: &'a mut Vec<Key>,
}

impl<'a> Walk<'a> {
    /// The keys of a section, and of those below it.
    fn section(&mut self, schema: &'a Value, prefix: &str, defaults: &Value) {
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let target = self.target(property);
            let default = defaults.get(name.rsplit('.').next().unwrap_or(&name)).or_else(|| property.get("default"));
            if target.get("properties").is_some() {
                self.section(target, &name, default.unwrap_or(&Value::Null));
                continue;
            }
            let said = property.get("description").and_then(Value::as_str);
            self.found.push(Key {
                kind: kind(target),
                choices: choices(target),
                range: None,
                default: default.filter(|default| !default.is_null() && *default != "").map(as_toml),
                about: plain(said.unwrap_or_default()),
                name,
            });
        }
    }

    /// What a property is: behind a reference, and without the possibility of nothing.
    fn target(&self, property: &'a Value) -> &'a Value {
        if let Some(options) = property.get("anyOf").and_then(Value::as_array) {
            let some = options.iter().find(|option| option.get("type") != Some(&Value::from("null")));
            return some.map_or(property, |some| self.target(some));
        }
        let name = property.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
        let known = name.and_then(|name| self.root.get("$defs")?.get(name));
        known.map_or(property, |known| self.target(known))
    }
}

/// Docs as one line, without the links that only rustdoc follows.
fn plain(docs: &str) -> String {
    let words: Vec<&str> = docs.split_whitespace().collect();
    words.join(" ").replace("[`", "`").replace("`]", "`")
}

/// What a value is, in words.
fn kind(schema: &Value) -> String {
    let names = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        _ => Vec::new(),
    };
    let of_items = || schema.get("items").map(kind).unwrap_or_default();
    match *names {
        ["integer"] => WHOLE.to_owned(),
        ["number"] => NUMBER.to_owned(),
        ["boolean"] => "true or false".to_owned(),
        ["array"] => format!("a list, each {}", of_items()),
        _ => "a text".to_owned(),
    }
}

/// The values of an enumeration.
fn choices(schema: &Value) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let listed = |schema: &Value| -> Vec<(String, Option<String>)> {
        let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        values.filter_map(text).map(|value| (value, None)).collect()
    };
    let one_of = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let described = one_of.flat_map(|one| match one.get("const").and_then(text) {
        Some(value) => {
            let about = one.get("description").and_then(Value::as_str);
            vec![(value, about.map(plain))]
        }
        None => listed(one),
    });
    described.chain(listed(schema)).collect()
}

/// A value as it is written.
pub(super) fn as_toml(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        Value::Array(values) => format!("[{}]", values.iter().map(as_toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SearchRun, TrainRun, embedded};

    fn all() -> Vec<Key> {
        let text = |name| embedded::named(name).unwrap();
        let mut all = keys::<SearchRun>(text("search/points"));
        all.extend(keys::<TrainRun>(text("train/points")));
        all
    }

    #[test]
    fn every_key_says_what_it_means_and_what_it_takes() {
        let all = all();
        assert!(all.len() > 150, "{}", all.len());
        let find = |name: &str| all.iter().find(|key| key.name == name).unwrap();
        let batch = find("search.batch");
        assert_eq!((batch.kind.as_str(), batch.default.as_deref()), (WHOLE, Some("28")));
        assert_eq!(batch.range.as_deref(), Some("2 to 1000000 samples"));
        assert_eq!(find("weights.optimizer").choices[0].0, "sgd");
        assert!(find("search.strategy").choices.iter().any(|(name, _)| name == "darts"));
        assert_eq!(find("data.features").kind, "a list, each a text");
        assert_eq!(find("search.epochs").default, None);
        for key in &all {
            assert!(key.about.len() > 5, "{} says nothing", key.name);
            // What may be nothing says what nothing means.
            let says_nothing = ["absent", "Absent", "Where a folder"].iter().any(|word| key.about.contains(word));
            assert!(key.default.is_some() || says_nothing || key.name == "task", "{} has no default", key.name);
            let needs_range = [WHOLE, NUMBER].contains(&key.kind.as_str());
            let is_free = ["data.scenes.unlabelled"].contains(&key.name.as_str());
            assert!(!needs_range || is_free || key.range.is_some(), "{} has no range", key.name);
        }
    }
}

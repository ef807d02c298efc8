//! Reads a TOML value into a section's struct and says at which key it does not fit.
//!
//! serde tells an error's kind (unknown field, wrong type, unknown variant) only to the error type of its
//! deserializer; this one keeps it, together with the path of keys, so that nothing is listed by hand.

use serde::de::{self, DeserializeSeed, Expected, IntoDeserializer, Unexpected, Visitor};
use std::fmt;

/// Why a value does not fit, and where.
#[derive(Debug)]
pub struct Misfit {
    /// Keys from the outermost section inwards.
    pub path: Vec<String>,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a value.
#[derive(Debug)]
pub enum Reason {
    /// The key does not exist; these do.
    UnknownKey(&'static [&'static str]),
    /// The value is of another type, or not one of the choices.
    Value {
        /// What belongs there.
        expected: String,
        /// What stands there.
        found: String,
    },
}

impl Misfit {
    fn new(reason: Reason) -> Self {
        Self { path: Vec::new(), reason }
    }

    fn within(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }

    /// The keys joined by dots.
    pub fn key(&self) -> String {
        self.path.join(".")
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::UnknownKey(_) => write!(f, "{}: no such key", self.key()),
            Reason::Value { expected, found } => write!(f, "{}: expected {expected}, found {found}", self.key()),
        }
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    /// What a `TryFrom` behind `#[serde(try_from)]` or a hand-written visitor says.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        let (expected, found) = text.split_once(", found ").unwrap_or((&text, "another value"));
        let expected = expected.rsplit("expected ").next().unwrap_or(expected);
        Self::new(Reason::Value { expected: expected.to_owned(), found: found.to_owned() })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = plain_words(&expected.to_string());
        Self::new(Reason::Value { expected, found: found_words(found) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let choices: Vec<String> = expected.iter().map(|choice| format!("\"{choice}\"")).collect();
        Self::new(Reason::Value { expected: choices.join(" or "), found: format!("\"{variant}\"") })
    }

    /// The path gains the key itself where the map is read.
    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownKey(expected))
    }
}

/// Rust's names of number types in the user's words.
fn plain_words(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of at least 0".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" => "a text in quotes".to_owned(),
        other if other.starts_with("struct ") => "a section of keys".to_owned(),
        other => other.to_owned(),
    }
}

fn found_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => format!("{value:?}"),
        Unexpected::Str(value) => format!("\"{value}\""),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a section".to_owned(),
        other => other.to_string(),
    }
}

/// A TOML value as serde reads it.
pub struct Value(pub toml::Value);

impl<'de> de::Deserializer<'de> for Value {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            toml::Value::String(text) => visitor.visit_string(text),
            toml::Value::Integer(number) => visitor.visit_i64(number),
            toml::Value::Float(number) => visitor.visit_f64(number),
            toml::Value::Boolean(truth) => visitor.visit_bool(truth),
            toml::Value::Datetime(date) => visitor.visit_string(date.to_string()),
            toml::Value::Array(values) => {
                let mut elements = Elements { values: values.into_iter(), position: 0 };
                visitor.visit_seq(&mut elements)
            }
            toml::Value::Table(table) => visitor.visit_map(Entries { entries: table.into_iter(), current: None }),
        }
    }

    /// TOML has no null: what stands there is something.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            toml::Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            other => Self(other).deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct Elements {
    values: std::vec::IntoIter<toml::Value>,
    position: usize,
}

impl<'de> de::SeqAccess<'de> for Elements {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let position = self.position.to_string();
        self.position += 1;
        seed.deserialize(Value(value)).map(Some).map_err(|misfit| misfit.within(&position))
    }
}

struct Entries {
    entries: toml::map::IntoIter<String, toml::Value>,
    current: Option<(String, toml::Value)>,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        let read = seed.deserialize(IntoDeserializer::<Misfit>::into_deserializer(key.as_str()));
        let read = read.map_err(|misfit| misfit.within(&key))?;
        self.current = Some((key, value));
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (key, value) = self.current.take().expect("serde reads a value after its key");
        seed.deserialize(Value(value)).map_err(|misfit| misfit.within(&key))
    }
}

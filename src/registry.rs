//! Things that are chosen by name, those of this program and those that other crates add: spaces, strategies, objectives.

use crate::error::{Error, Result};
use crate::nearest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt::{Debug, Display, Formatter};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

/// What can be chosen by name.
pub trait Registered: Sync + Sized + 'static {
    /// What it is, for messages: `space`.
    const WHAT: &'static str;

    /// All of its kind.
    fn registry() -> &'static Registry<Self>;

    /// The name in files and on the command line.
    fn name(&self) -> &'static str;

    /// Other names that files may hold.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }
}

/// All of a kind.
pub struct Registry<T: 'static> {
    built_in: &'static [&'static T],
    added: RwLock<Vec<&'static T>>,
}

impl<T: Registered> Registry<T> {
    /// Those of this program, in the order in which they are listed.
    pub const fn new(built_in: &'static [&'static T]) -> Self {
        Self { built_in, added: RwLock::new(Vec::new()) }
    }

    /// Adds one of another crate.
    ///
    /// # Errors
    /// A name that another has.
    pub fn add(&self, new: &'static T) -> Result<Choice<T>> {
        if Choice::<T>::all().iter().any(|known| known.answers_to(new.name())) {
            return Err(Error::invalid(T::WHAT, "a name that no other has", new.name()));
        }
        self.added.write().unwrap_or_else(PoisonError::into_inner).push(new);
        Ok(Choice(new))
    }
}

/// One of a kind, as it was chosen.
pub struct Choice<T: 'static>(&'static T);

impl<T: Registered> Choice<T> {
    /// The choice of one that this program has, or that was added.
    pub const fn of(one: &'static T) -> Self {
        Self(one)
    }

    /// All that there are, those of this program first.
    pub fn all() -> Vec<Self> {
        let registry = T::registry();
        let added = registry.added.read().unwrap_or_else(PoisonError::into_inner);
        registry.built_in.iter().chain(added.iter()).map(|one| Self(one)).collect()
    }

    /// Their names, for messages: `image, point or graph`.
    pub fn names_in_words() -> String {
        let names: Vec<&str> = Self::all().iter().map(|one| one.name()).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => names.concat(),
        }
    }

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    fn answers_to(self, name: &str) -> bool {
        self.0.name() == name || self.0.aliases().contains(&name)
    }
}

impl<T> Clone for Choice<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Choice<T> {}

impl<T> Deref for Choice<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T: Registered> PartialEq for Choice<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl<T: Registered> Eq for Choice<T> {}

impl<T: Registered> Debug for Choice<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

impl<T: Registered> Display for Choice<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

impl<T: Registered> FromStr for Choice<T> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::all().into_iter().find(|one| one.answers_to(text)).ok_or_else(|| {
            let error = Error::invalid(T::WHAT, Self::names_in_words(), text);
            match nearest::nearest(text, Self::all().into_iter().map(Self::name)) {
                Some(known) => error.with_hint(format!("did you mean {known}?")),
                None => error,
            }
        })
    }
}

impl<T: Registered> JsonSchema for Choice<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::WHAT.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::all().into_iter().map(Self::name).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

impl<T: Registered> Serialize for Choice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de, T: Registered> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = Self::all().into_iter().find(|one| one.answers_to(&name));
        found.ok_or_else(|| serde::de::Error::custom(format!("expected {}, found {name}", Self::names_in_words())))
    }
}

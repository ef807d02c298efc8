//! What is wrong with a folder of graphs: all of it is told at once, where a run would name the first problem alone.

use crate::error::Error;

/// What was read, or everything that was wrong with it.
pub(super) type Checked<T> = std::result::Result<T, Problems>;

/// Everything that was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems(pub Vec<Error>);

impl Problems {
    /// What was read, if it was; else its problems are kept.
    pub fn keep<T>(&mut self, read: std::result::Result<T, impl Into<Self>>) -> Option<T> {
        read.map_err(|problems| self.0.extend(problems.into().0)).ok()
    }

    /// What was read, if nothing is wrong.
    pub fn or<T>(self, read: T) -> Checked<T> {
        if self.0.is_empty() { Ok(read) } else { Err(self) }
    }

    /// The first alone.
    pub fn first(self) -> Error {
        self.0.into_iter().next().unwrap_or_else(|| Error::run("a set of graphs can't be read"))
    }
}

impl From<Error> for Problems {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl From<Problems> for Error {
    /// The first, with a word about the others.
    fn from(problems: Problems) -> Self {
        let others = problems.0.len().saturating_sub(1);
        let first = problems.first();
        if others == 0 {
            return first;
        }
        let own = first.hint().map_or(String::new(), |own| format!("{own}; "));
        first.with_hint(format!("{own}{others} more problems: `sgas data info DIR` lists them"))
    }
}

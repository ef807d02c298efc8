//! Where samples come from.

use std::fmt;
use std::path::PathBuf;

/// The name that stands for the built-in set.
pub(super) const SYNTHETIC: &str = "synthetic";

/// Where samples come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The built-in set.
    Synthetic,
    /// A folder in one of the known layouts.
    Folder(PathBuf),
}

impl fmt::Display for Source {
    /// As `data.source` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synthetic => f.write_str(SYNTHETIC),
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}

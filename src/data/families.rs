//! The families of this program, a line for each, and those of other crates.

use super::family::{FamilyDescription, SampleKind};
use super::{graphs, images, points, scenes};
use crate::error::Result;
use crate::registry::{Registered, Registry};

impl Registered for FamilyDescription {
    const WHAT: &'static str = "kind of data";

    fn registry() -> &'static Registry<Self> {
        static FAMILIES: Registry<FamilyDescription> =
            Registry::new(&[&points::FAMILY, &images::FAMILY, &graphs::FAMILY, &scenes::FAMILY]);
        &FAMILIES
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// Makes a family of another crate known by its name, and its own set as a task of the set's name.
///
/// # Errors
/// A name that another has.
pub fn register(description: &'static FamilyDescription) -> Result<SampleKind> {
    FamilyDescription::registry().add(description)
}

//! The families of this program: a line for each.

use super::family::FamilyDescription;
use super::{graphs, images, points, scenes};
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

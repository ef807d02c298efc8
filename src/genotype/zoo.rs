//! The published cells and what was published about them, compiled in from `zoo.json`.
//!
//! Numbers stand as published, under the file's own keys; parameter counts leave the auxiliary head out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Genotype, SpaceName};
use crate::error::{Error, Result};
use crate::nearest::nearest;

const ZOO_JSON: &str = include_str!("zoo.json");

/// Everything in `zoo.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zoo {
    /// Where the cells and numbers were published.
    pub source: String,
    /// The published cells.
    pub cells: Vec<ZooCell>,
    /// Other published names of the same cells: alias to name.
    pub aliases: BTreeMap<String, String>,
    /// Scores on ImageNet, by the alias that the paper gives the cell there: errors in per cent, millions of
    /// parameters and of multiply-adds.
    pub imagenet_results: BTreeMap<String, BTreeMap<String, f64>>,
    /// Parameters of whole supernets.
    pub supernet_params: BTreeMap<String, u64>,
    /// The paper's main results, in words and numbers.
    pub published_results: Map<String, Value>,
}

/// One published cell.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "RawCell")]
pub struct ZooCell {
    /// Its published name.
    pub name: String,
    /// Its cells; `genotype.space` is the space it belongs to.
    pub genotype: Genotype,
    /// Parameters of whole networks, by network (`cifar10_C36_L20`, `modelnet40_C128_9cells`, ...).
    pub params: BTreeMap<String, u64>,
    /// What else was published about it (errors in per cent, ranks), as it stands.
    pub published: Map<String, Value>,
}

impl ZooCell {
    /// The space that the cell belongs to.
    pub fn space(&self) -> SpaceName {
        self.genotype.space
    }
}

/// A cell as the file has it, where the space stands beside the genotype.
#[derive(Deserialize)]
struct RawCell {
    name: String,
    space: SpaceName,
    genotype: Map<String, Value>,
    params: BTreeMap<String, u64>,
    #[serde(flatten)]
    published: Map<String, Value>,
}

impl From<RawCell> for ZooCell {
    fn from(raw: RawCell) -> Self {
        let mut object = raw.genotype;
        object.insert("space".into(), raw.space.name().into());
        let genotype =
            Genotype::from_object(object, &raw.name).expect("the compiled-in cells are valid: a test reads all");
        Self { name: raw.name, genotype, params: raw.params, published: raw.published }
    }
}

/// All that was published.
pub fn zoo() -> &'static Zoo {
    static ZOO: LazyLock<Zoo> =
        LazyLock::new(|| serde_json::from_str(ZOO_JSON).expect("the compiled-in zoo is valid: a test reads all of it"));
    &ZOO
}

/// The published cells.
pub fn cells() -> &'static [ZooCell] {
    &zoo().cells
}

/// The cell of this published name or alias, in any case; an unknown name is an error that suggests a known one.
pub fn find(name: &str) -> Result<&'static ZooCell> {
    let zoo = zoo();
    let aliased =
        zoo.aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|(_, target)| target.as_str());
    let target = aliased.unwrap_or(name);
    zoo.cells.iter().find(|cell| cell.name.eq_ignore_ascii_case(target)).ok_or_else(|| unknown_cell(zoo, name))
}

fn unknown_cell(zoo: &'static Zoo, name: &str) -> Error {
    let names = zoo.cells.iter().map(|cell| cell.name.as_str()).chain(zoo.aliases.keys().map(String::as_str));
    let error = Error::usage(format!("there is no published cell named {name:?}"));
    match nearest(name, names) {
        Some(known) => error.with_hint(format!("did you mean {known}? `sgas zoo` lists all")),
        None => error.with_hint("`sgas zoo` lists all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::CellKind;

    #[test]
    fn all_published_cells_are_valid_and_survive_a_round_trip() {
        assert_eq!(cells().len(), 82);
        for (space, count) in [(SpaceName::IMAGE, 22), (SpaceName::POINT, 30), (SpaceName::GRAPH, 30)] {
            assert_eq!(cells().iter().filter(|cell| cell.space() == space).count(), count);
        }
        for cell in cells() {
            let again = Genotype::from_json(&cell.genotype.to_json(), &cell.name).unwrap();
            assert_eq!(again, cell.genotype);
            assert!(!cell.params.is_empty() && cell.genotype.extra.is_empty(), "{}", cell.name);
        }
    }

    #[test]
    fn names_are_unique_in_any_case_and_aliases_lead_somewhere() {
        let mut names: Vec<String> =
            cells().iter().map(|cell| &cell.name).chain(zoo().aliases.keys()).map(|name| name.to_lowercase()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 82 + zoo().aliases.len());
        for (alias, name) in &zoo().aliases {
            assert_eq!(&find(alias).unwrap().name, name);
        }
        assert!(zoo().imagenet_results.keys().all(|alias| zoo().aliases.contains_key(alias)));
    }

    #[test]
    fn a_published_cell_with_its_numbers() {
        let cell = find("Cri2_ModelNet_Best").unwrap();
        assert_eq!((cell.name.as_str(), cell.params["modelnet40_C128_9cells"]), ("Cri2_ModelNet_4", 8_491_432));
        assert_eq!(cell.genotype.normal.concat, [1, 2, 3, 4]);
        assert_eq!(find("cri1_cifar_1").unwrap().published["cifar10_test_error"], 2.44);
        let nasnet = &find("NASNet").unwrap().genotype;
        assert_eq!(nasnet.cell(CellKind::Reduce).unwrap().concat, [4, 5, 6]);
        assert_eq!(zoo().supernet_params["modelnet10_C32_2cells"], 1_827_178);
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let error = find("Cri2_ModelNet_Bst").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.hint().unwrap().contains("Cri2_ModelNet_Best"), "{error:?}");
        assert!(!find("mobilenet").unwrap_err().hint().unwrap().contains("mean"));
    }
}

//! Cells as NASLib and NAS-Bench-301 configure them: `{"NetworkSelectorDatasetInfo:darts:edge_normal_0": "sep_conv_3x3",
//! "NetworkSelectorDatasetInfo:darts:inputs_node_normal_3": "0_1", ...}`. Edges are numbered over a cell of DARTS, those
//! into a node one after the other by their source; a node reads two of them.

use serde_json::{Map, Value};

use super::SpaceName;
use crate::error::{Error, Result};
use crate::topology::CellKind;

/// What all keys begin with.
const PREFIX: &str = "NetworkSelectorDatasetInfo:darts:";

/// A key that no other object has.
pub(super) const MARK: &str = "NetworkSelectorDatasetInfo:darts:edge_normal_0";

/// The nodes of a cell.
const NODES: std::ops::Range<usize> = 2..6;

/// Makes of such an object that of a genotype file.
///
/// # Errors
/// A node into which not two edges lead, or that reads an edge without an operation.
pub(super) fn rewrite(object: &mut Map<String, Value>, origin: &str) -> Result<()> {
    let mut cells = Map::new();
    cells.insert("space".to_owned(), SpaceName::IMAGE.name().into());
    for kind in [CellKind::Normal, CellKind::Reduce] {
        let (mut edges, mut first) = (Vec::new(), 0);
        for node in NODES {
            let all: Vec<Option<Value>> =
                (0..node).map(|state| object.shift_remove(&format!("{PREFIX}edge_{kind}_{}", first + state))).collect();
            let inputs = format!("{PREFIX}inputs_node_{kind}_{node}");
            let read: Vec<usize> = match object.shift_remove(&inputs) {
                Some(told) => states(&told, node).ok_or_else(|| {
                    Error::invalid(format!("{origin}: {inputs}"), "two states such as \"0_1\"", told.to_string())
                })?,
                None => (0..node).filter(|state| all[*state].is_some()).collect(),
            };
            let operation = |state: &usize| all[*state].clone().filter(Value::is_string);
            let operations: Option<Vec<Value>> = read.iter().map(operation).collect();
            let Some(operations) = operations.filter(|operations| operations.len() == 2) else {
                let place = format!("{origin}: {kind}, node {node}");
                let expected = format!("two edges out of {PREFIX}edge_{kind}_{first} to {}", first + node - 1);
                return Err(Error::invalid(place, expected, format!("those of the states {read:?}")));
            };
            let pairs = operations.into_iter().zip(read);
            edges.extend(pairs.map(|(operation, state)| Value::from(vec![operation, state.into()])));
            first += node;
        }
        cells.insert(kind.name().to_owned(), edges.into());
        cells.insert(format!("{kind}_concat"), NODES.collect::<Vec<_>>().into());
    }
    cells.extend(std::mem::take(object));
    *object = cells;
    Ok(())
}

/// `"0_2"` as two states before a node.
fn states(value: &Value, node: usize) -> Option<Vec<usize>> {
    let states: Vec<usize> = value.as_str()?.split('_').map(|state| state.parse().ok()).collect::<Option<_>>()?;
    (states.len() == 2 && states[0] < states[1] && states[1] < node).then_some(states)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::Genotype;

    fn read(text: &str) -> Result<Genotype> {
        Genotype::from_text(text, "cell.json", None)
    }

    /// A cell whose nodes read these pairs, by the numbers of the edges.
    fn configuration(edges: [usize; 8], inputs: [&str; 3]) -> Map<String, Value> {
        let mut object = Map::new();
        for kind in ["normal", "reduce"] {
            for (at, edge) in edges.into_iter().enumerate() {
                let name = ["sep_conv_3x3", "skip_connect", "max_pool_3x3"][at % 3];
                object.insert(format!("{PREFIX}edge_{kind}_{edge}"), name.into());
            }
            for (at, inputs) in inputs.into_iter().enumerate() {
                object.insert(format!("{PREFIX}inputs_node_{kind}_{}", at + 3), inputs.into());
            }
        }
        object
    }

    #[test]
    fn edges_are_numbered_over_the_cell() {
        let object = configuration([0, 1, 2, 4, 6, 8, 10, 13], ["0_2", "1_3", "1_4"]);
        let cell = read(&Value::from(object.clone()).to_string()).unwrap();
        let sources: Vec<usize> = cell.normal.edges.iter().map(|(_, source)| *source).collect();
        assert_eq!((cell.space, sources), (SpaceName::IMAGE, vec![0, 1, 0, 2, 1, 3, 1, 4]));
        assert_eq!(cell.normal.edges[3].0, "sep_conv_3x3");
        assert_eq!(Some(&cell.normal), cell.reduce.as_ref());
        assert!(cell.extra.is_empty());
        // Inputs follow from the edges that are there.
        let bare: Map<_, _> = object.into_iter().filter(|(key, _)| !key.contains("inputs_node")).collect();
        assert_eq!(read(&Value::from(bare).to_string()).unwrap(), cell);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let right = configuration([0, 1, 2, 4, 6, 8, 10, 13], ["0_2", "1_3", "1_4"]);
        let told = |key: &str, value: Option<&str>| {
            let mut object = right.clone();
            match value {
                Some(value) => drop(object.insert(format!("{PREFIX}{key}"), value.into())),
                None => drop(object.shift_remove(&format!("{PREFIX}{key}"))),
            }
            read(&Value::from(object).to_string()).unwrap_err().to_string()
        };
        assert!(told("inputs_node_normal_3", Some("0_3")).contains("expected two states such as"));
        assert!(told("inputs_node_normal_3", Some("0_1")).contains("normal, node 3: expected two edges out of"));
        assert!(told("edge_reduce_13", None).contains("reduce, node 5: expected two edges"));
        assert!(told("edge_normal_1", Some("none")).contains("expected a primitive of the image space"));
    }
}

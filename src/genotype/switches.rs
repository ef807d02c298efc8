//! Cells as NNI 1 exports them from its space of DARTS: `{"normal_n2_p0": "maxpool", "normal_n2_p1": "skipconnect",
//! "normal_n2_switch": ["normal_n2_p0", "normal_n2_p1"], "normal_n3_p2": [], ...}`. A node chooses an operation for each
//! state before it, and by its switch the two states that it reads; nodes are numbered from 2, after the two inputs.

use serde_json::{Map, Value};

use super::SpaceName;
use crate::error::{Error, Result};
use crate::topology::CellKind;

/// A key that no other object has.
pub(super) const MARK: &str = "normal_n2_switch";

/// NNI's names of operations, and those of the published code.
const OPERATIONS: [(&str, &str); 7] = [
    ("maxpool", "max_pool_3x3"),
    ("avgpool", "avg_pool_3x3"),
    ("skipconnect", "skip_connect"),
    ("sepconv3x3", "sep_conv_3x3"),
    ("sepconv5x5", "sep_conv_5x5"),
    ("dilconv3x3", "dil_conv_3x3"),
    ("dilconv5x5", "dil_conv_5x5"),
];

/// The nodes of a cell.
const NODES: std::ops::Range<usize> = 2..6;

/// Makes of such an object that of a genotype file.
///
/// # Errors
/// A node that does not read two states; an operation that is a number, of which NNI's examples have several meanings, or
/// that no cell here has; cells of more nodes.
pub(super) fn rewrite(object: &mut Map<String, Value>, origin: &str) -> Result<()> {
    let mut cells = Map::new();
    cells.insert("space".to_owned(), SpaceName::IMAGE.name().into());
    for kind in [CellKind::Normal, CellKind::Reduce] {
        let more = format!("{kind}_n{}_switch", NODES.end);
        if object.contains_key(&more) {
            return Err(Error::invalid(origin, "nodes 2 to 5, as NNI's space of DARTS has", format!("more: {more}")));
        }
        let mut edges = Vec::new();
        for node in NODES {
            let prefix = format!("{kind}_n{node}");
            for state in chosen(object, &prefix, node, origin)? {
                let operation = operation(object, &format!("{prefix}_p{state}"), origin)?;
                edges.push(Value::from(vec![operation.into(), Value::from(state)]));
            }
            (0..node).for_each(|state| drop(object.shift_remove(&format!("{prefix}_p{state}"))));
        }
        cells.insert(kind.name().to_owned(), edges.into());
        cells.insert(format!("{kind}_concat"), NODES.collect::<Vec<_>>().into());
    }
    cells.extend(std::mem::take(object));
    *object = cells;
    Ok(())
}

/// The two states that a node reads, in their order: named by their operations, or numbered.
fn chosen(object: &mut Map<String, Value>, prefix: &str, node: usize, origin: &str) -> Result<[usize; 2]> {
    let key = format!("{prefix}_switch");
    let value = object.shift_remove(&key);
    let found = value.as_ref().map_or("no such key".to_owned(), Value::to_string);
    let state = |item: &Value| match item {
        Value::String(name) => (0..node).find(|state| *name == format!("{prefix}_p{state}")),
        other => other.as_u64().and_then(|state| usize::try_from(state).ok()).filter(|state| *state < node),
    };
    let states: Option<Vec<usize>> =
        value.as_ref().and_then(Value::as_array).and_then(|items| items.iter().map(state).collect());
    match states.as_deref() {
        Some(&[one, other]) if one != other => Ok([one.min(other), one.max(other)]),
        _ => {
            let expected = format!("two states such as [\"{prefix}_p0\", \"{prefix}_p1\"]");
            Err(Error::invalid(format!("{origin}: {key}"), expected, found))
        }
    }
}

fn operation(object: &Map<String, Value>, key: &str, origin: &str) -> Result<&'static str> {
    let value = object.get(key);
    let name = match value {
        Some(Value::Array(items)) if items.len() == 1 => items[0].as_str(),
        other => other.and_then(Value::as_str),
    };
    if let Some((_, own)) = OPERATIONS.iter().find(|(theirs, _)| Some(*theirs) == name) {
        return Ok(own);
    }
    let known = OPERATIONS.map(|(theirs, _)| theirs).join(", ");
    let found = value.map_or("no such key".to_owned(), Value::to_string);
    let is_number = |item: &Value| item.is_number() || item.is_boolean();
    let is_numbered = value.is_some_and(|value| {
        is_number(value) || value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_number))
    });
    let error = Error::invalid(format!("{origin}: {key}"), format!("the name of an operation: {known}"), found);
    if is_numbered {
        return Err(error.with_hint(
            "NNI's examples order their operations differently, so a number may mean several: write its name instead",
        ));
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::Genotype;
    use serde_json::json;

    const NORMAL: [[(&str, usize); 2]; 4] = [
        [("sepconv3x3", 0), ("sepconv3x3", 1)],
        [("sepconv3x3", 0), ("sepconv3x3", 1)],
        [("skipconnect", 0), ("sepconv3x3", 1)],
        [("skipconnect", 0), ("dilconv3x3", 2)],
    ];
    const REDUCE: [[(&str, usize); 2]; 4] = [
        [("maxpool", 0), ("maxpool", 1)],
        [("maxpool", 1), ("skipconnect", 2)],
        [("maxpool", 0), ("skipconnect", 2)],
        [("maxpool", 1), ("skipconnect", 2)],
    ];

    /// The second cell of DARTS as NNI 1 has it.
    fn exported() -> Map<String, Value> {
        let mut object = Map::new();
        for (kind, cell) in [("normal", NORMAL), ("reduce", REDUCE)] {
            for (at, edges) in cell.into_iter().enumerate() {
                let prefix = format!("{kind}_n{}", at + 2);
                for state in 0..at + 2 {
                    let edge = edges.iter().find(|(_, source)| *source == state);
                    object.insert(format!("{prefix}_p{state}"), edge.map_or(json!([]), |(name, _)| json!(name)));
                }
                let names: Vec<String> = edges.iter().map(|(_, state)| format!("{prefix}_p{state}")).collect();
                object.insert(format!("{prefix}_switch"), names.into());
            }
        }
        object
    }

    fn read(text: &str) -> Result<Genotype> {
        Genotype::from_text(text, "cell.json", None)
    }

    #[test]
    fn an_exported_cell_is_the_published_one() {
        let darts = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
            ('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), \
            ('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2)], reduce_concat=range(2, 6))";
        let expected = read(darts).unwrap();
        let text = Value::from(exported()).to_string();
        let numbered = exported().into_iter().map(|(key, value)| match key.ends_with("_switch") {
            true => {
                let state = |name: &Value| name.as_str().unwrap().rsplit('p').next().unwrap().parse::<u64>().unwrap();
                (key, value.as_array().unwrap().iter().rev().map(state).collect())
            }
            false => (key, value),
        });
        let numbered = Value::from(numbered.collect::<Map<_, _>>()).to_string();
        for text in [text.replace('"', "'"), text, numbered] {
            let cell = read(&text).unwrap();
            assert_eq!(
                (cell.space, &cell.normal, &cell.reduce),
                (SpaceName::IMAGE, &expected.normal, &expected.reduce)
            );
            assert!(cell.extra.is_empty(), "{:?}", cell.extra);
        }
    }

    #[test]
    fn what_may_mean_several_cells_is_refused() {
        let told = |key: &str, value: Value| {
            let mut object = exported();
            object.insert(key.to_owned(), value);
            let error = read(&Value::from(object).to_string()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            (error.to_string(), error.hint().unwrap_or_default().to_owned())
        };
        let hot = json!([false, false, false, true, false, false, false]);
        for number in [json!(3), hot] {
            let (text, hint) = told("normal_n2_p0", number);
            assert!(text.starts_with("cell.json: normal_n2_p0: expected the name of an operation: maxpool"), "{text}");
            assert!(hint.contains("a number may mean several"), "{hint}");
        }
        assert!(told("normal_n2_p0", json!("none")).0.ends_with("found \"none\""));
        assert!(told("normal_n3_p0", json!([])).0.ends_with("found []"));
        for switch in
            [json!(["normal_n3_p0"]), json!([0, 0]), json!([0, 3]), json!(["normal_n2_p0", "normal_n3_p1"]), json!(1)]
        {
            assert!(told("normal_n3_switch", switch).0.contains("normal_n3_switch: expected two states such as"));
        }
        assert!(told("reduce_n6_switch", json!([0, 1])).0.ends_with("found more: reduce_n6_switch"));
    }
}

//! Cells as NNI exports them from its space of DARTS: `{"normal/op_2_0": "sep_conv_3x3", "normal/input_2_0": [0], ...,
//! "reduce/op_2_0": ...}`, as JSON or as Python prints it; nodes are numbered from 2, after the two inputs. NNI 1 has
//! another form, which `switches` reads; `config_space` reads that of NASLib and NAS-Bench-301.

use serde_json::{Map, Value};

use super::{SpaceName, config_space, switches};
use crate::error::{Error, Result};
use crate::python::{self, first_value};
use crate::topology::CellKind;

/// Nodes of a cell of DARTS. NNI's other spaces have more, and put out what no node reads.
const NODES: usize = 4;

/// Edges that a node keeps, and inputs before the first node.
const TWO: usize = 2;

/// Keys that no other object has: of NNI 2, of NNI 1, of NASLib.
const MARKS: [&str; 3] = ["normal/op_2_0", switches::MARK, config_space::MARK];

/// The object that Python printed with its own quotes; `None` of other text.
pub(super) fn of_python(text: &str) -> Option<Map<String, Value>> {
    let text = text.trim();
    if !text.starts_with('{') || !MARKS.iter().any(|mark| text.contains(&format!("'{mark}'"))) {
        return None;
    }
    let Some(python::Value::List(items)) = first_value(text) else { return None };
    let mut object = Map::new();
    for pair in items.chunks(2) {
        let [python::Value::Text(key), value] = pair else { return None };
        let value = match value {
            python::Value::List(items) => items.iter().map(plain).collect::<Option<Vec<Value>>>()?.into(),
            other => plain(other)?,
        };
        object.insert(key.clone(), value);
    }
    Some(object)
}

fn plain(value: &python::Value) -> Option<Value> {
    match value {
        python::Value::Text(text) => Some(text.clone().into()),
        python::Value::Whole(number) => Some((*number).into()),
        python::Value::Word(word) if word == "True" || word == "False" => Some((word == "True").into()),
        _ => None,
    }
}

/// Makes of such an object that of a genotype file; others stay as they are.
///
/// # Errors
/// An edge without operation or input, or with several inputs; cells of another space than that of DARTS.
pub(super) fn rewrite(object: &mut Map<String, Value>, origin: &str) -> Result<()> {
    if object.contains_key(switches::MARK) {
        return switches::rewrite(object, origin);
    }
    if object.contains_key(config_space::MARK) {
        return config_space::rewrite(object, origin);
    }
    if !object.contains_key(MARKS[0]) {
        return Ok(());
    }
    let mut cells = Map::new();
    cells.insert("space".to_owned(), SpaceName::IMAGE.name().into());
    for kind in [CellKind::Normal, CellKind::Reduce] {
        if object.contains_key(&format!("{kind}/op_{}_0", NODES + TWO)) {
            let found = format!("more: {kind}/op_{}_0", NODES + TWO);
            return Err(Error::invalid(origin, format!("{NODES} nodes, as NNI's space of DARTS has"), found).with_hint(
                "cells of NNI's other spaces put out the states that no node reads: write the cell as Genotype(...)",
            ));
        }
        let mut edges = Vec::new();
        for (node, edge) in (TWO..NODES + TWO).flat_map(|node| (0..TWO).map(move |edge| (node, edge))) {
            let mut take = |what: &str, expected: &str| {
                let key = format!("{kind}/{what}_{node}_{edge}");
                let value = object.shift_remove(&key);
                let found = value.as_ref().map_or("no such key".to_owned(), Value::to_string);
                (value, Error::invalid(format!("{origin}: {key}"), expected, found))
            };
            let (operation, wrong) = take("op", "an operation");
            let operation = operation.filter(Value::is_string).ok_or(wrong)?;
            let (input, wrong) = take("input", "one state");
            let input = match input {
                Some(Value::Array(mut states)) if states.len() == 1 => states.pop(),
                other => other,
            };
            let input = input.filter(Value::is_u64).ok_or(wrong)?;
            edges.push(Value::from(vec![operation, input]));
        }
        cells.insert(kind.name().to_owned(), edges.into());
        cells.insert(format!("{kind}_concat"), (TWO..NODES + TWO).collect::<Vec<_>>().into());
    }
    // Sizes, which NNI exports with them.
    cells.extend(std::mem::take(object));
    *object = cells;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::Genotype;

    /// The second cell of DARTS, as NNI has it.
    fn exported() -> Map<String, Value> {
        let cell = |kind: &str, edges: [(&str, usize); 8]| {
            let edges = edges.into_iter().enumerate().flat_map(|(at, (name, state))| {
                let place = format!("{}_{}", at / 2 + 2, at % 2);
                [
                    (format!("{kind}/op_{place}"), Value::from(name)),
                    (format!("{kind}/input_{place}"), Value::from(vec![state])),
                ]
            });
            edges.collect::<Vec<_>>()
        };
        let [sep, skip, dil, max] = ["sep_conv_3x3", "skip_connect", "dil_conv_3x3", "max_pool_3x3"];
        let normal = cell("normal", [(sep, 0), (sep, 1), (sep, 0), (sep, 1), (sep, 1), (skip, 0), (skip, 0), (dil, 2)]);
        let reduce =
            cell("reduce", [(max, 0), (max, 1), (skip, 2), (max, 1), (max, 0), (skip, 2), (skip, 2), (max, 1)]);
        normal.into_iter().chain(reduce).chain([("width".to_owned(), Value::from(36))]).collect()
    }

    fn read(text: &str) -> Result<Genotype> {
        Genotype::from_text(text, "cell.json", None)
    }

    #[test]
    fn an_exported_cell_is_the_published_one() {
        let darts = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
            ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, \
            5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), \
            ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])";
        let expected = read(darts).unwrap();
        let json = Value::from(exported()).to_string();
        let bare = json.replace("[0]", "0").replace("[1]", "1");
        for text in [json.clone(), bare, json.replace('"', "'")] {
            let cell = read(&text).unwrap();
            assert_eq!(
                (cell.space, &cell.normal, &cell.reduce),
                (SpaceName::IMAGE, &expected.normal, &expected.reduce)
            );
        }
    }

    #[test]
    fn what_is_left_open_is_told() {
        let changed = |key: &str, value: Option<Value>| {
            let mut object = exported();
            match value {
                Some(value) => drop(object.insert(key.to_owned(), value)),
                None => drop(object.shift_remove(key)),
            }
            let error = read(&Value::from(object).to_string()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        };
        let text = changed("normal/input_3_0", Some(vec![0, 1].into()));
        assert_eq!(text, "cell.json: normal/input_3_0: expected one state, found [0,1]");
        let text = changed("reduce/op_5_1", None);
        assert_eq!(text, "cell.json: reduce/op_5_1: expected an operation, found no such key");
        let text = changed("normal/op_6_0", Some("max_pool_3x3".into()));
        assert_eq!(text, "cell.json: expected 4 nodes, as NNI's space of DARTS has, found more: normal/op_6_0");
        assert!(changed("normal/op_2_1", Some("none".into())).contains("expected a primitive of the image space"));
        assert!(changed("normal/input_2_1", Some(vec![4].into())).contains("expected a source from 0 to 1"));
    }
}

//! The cells of NAS-Bench-201 as NASLib numbers them: `(4, 0, 3, 1, 4, 3)`, an operation for every edge, the edges in the
//! order of their sources.
//!
//! Others number the same operations and edges otherwise, and the like of other spaces are six numbers too, so the text
//! must name NASLib's: `naslib:(4, 0, 3, 1, 4, 3)`, or `{"naslib": [4, 0, 3, 1, 4, 3]}` in a file.

use serde_json::{Map, Value};

use super::SpaceName;
use crate::error::{Error, Result};
use crate::python::{self, first_value};
use crate::topology::CellKind;

/// How the text begins.
const PREFIX: &str = "naslib:";

/// NASLib's operations, in their order.
const OPERATIONS: [&str; 5] = ["skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3"];

/// NASLib's edges as (node, source), in their order.
const EDGES: [(usize, usize); 6] = [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (2, 2)];

/// Whether the text, a file's or one that is typed, is meant as such a cell, also where it does not say whose numbers.
pub fn is_indices(text: &str) -> bool {
    within(text).is_some()
}

/// The numbers, and whether they are said to be NASLib's.
pub(super) fn within(text: &str) -> Option<(Vec<u64>, bool)> {
    let text = text.trim();
    let (list, is_named) = match text.strip_prefix(PREFIX) {
        Some(list) => (list.trim(), true),
        None => match text.strip_prefix('{') {
            Some(object) => (object.trim().strip_prefix("\"naslib\"")?.trim().strip_prefix(':')?.trim(), true),
            None => (text, false),
        },
    };
    if !list.starts_with(['(', '[']) {
        return None;
    }
    let Some(python::Value::List(items)) = first_value(list) else { return None };
    let number = |item: &python::Value| if let python::Value::Whole(number) = item { Some(*number) } else { None };
    let numbers: Vec<u64> = items.iter().map(number).collect::<Option<_>>()?;
    (!numbers.is_empty()).then_some((numbers, is_named))
}

/// The cell as the object that a genotype file holds. `asked` is the space of the task.
///
/// # Errors
/// Numbers that do not say whose they are; another count of them, or one beyond the operations.
pub(super) fn of_indices(
    (numbers, is_named): (Vec<u64>, bool),
    asked: Option<SpaceName>,
    origin: &str,
) -> Result<Map<String, Value>> {
    let listed = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    if !is_named && asked != Some(SpaceName::NAS_BENCH_201) {
        return Err(Error::invalid(origin, "a cell that names its operations", format!("numbers alone: ({listed})"))
            .with_hint(format!(
                "which operation and edge a number means differs between programs: for those of NASLib in \
                 NAS-Bench-201 write '{PREFIX}({listed})'"
            )));
    }
    let operations: Option<Vec<&str>> =
        numbers.iter().map(|number| OPERATIONS.get(usize::try_from(*number).ok()?).copied()).collect();
    let Some(operations) = operations.filter(|operations| operations.len() == EDGES.len()) else {
        let expected =
            format!("{} numbers from 0 to {}, as NASLib numbers NAS-Bench-201", EDGES.len(), OPERATIONS.len() - 1);
        return Err(Error::invalid(origin, expected, format!("({listed})")));
    };
    let mut edges: Vec<((usize, usize), &str)> = EDGES.into_iter().zip(operations).collect();
    edges.sort_by_key(|(edge, _)| *edge);
    let edges = edges.into_iter().map(|((_, source), name)| Value::from(vec![name.into(), Value::from(source)]));
    let mut object = Map::new();
    object.insert("space".to_owned(), SpaceName::NAS_BENCH_201.name().into());
    object.insert(CellKind::Normal.name().to_owned(), edges.collect());
    let last = SpaceName::NAS_BENCH_201.topology().states() - 1;
    object.insert(format!("{}_concat", CellKind::Normal), vec![last].into());
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::Genotype;

    fn read(text: &str, asked: Option<SpaceName>) -> Result<Genotype> {
        Genotype::from_text(text, "cell.txt", asked)
    }

    #[test]
    fn numbers_of_naslib_are_its_cell() {
        // As NASLib converts it: nodes in turn, sources in turn.
        let expected = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|";
        for text in ["naslib:(4, 0, 3, 1, 4, 3)", " naslib: [4,0,3,1,4,3]\n", "{\"naslib\": [4, 0, 3, 1, 4, 3]}"] {
            assert_eq!(read(text, None).unwrap().arch_string().unwrap(), expected, "{text}");
        }
        let asked = Some(SpaceName::NAS_BENCH_201);
        assert_eq!(read("(4, 0, 3, 1, 4, 3)", asked).unwrap().arch_string().unwrap(), expected);
    }

    #[test]
    fn numbers_of_nobody_and_wrong_ones_are_told() {
        for asked in [None, Some(SpaceName::IMAGE)] {
            let error = read("(4, 0, 3, 1, 4, 3)", asked).unwrap_err();
            assert!(error.to_string().ends_with("found numbers alone: (4, 0, 3, 1, 4, 3)"), "{error}");
            assert!(error.hint().unwrap().ends_with("'naslib:(4, 0, 3, 1, 4, 3)'"));
        }
        for text in ["naslib:(4, 0, 3, 1, 4)", "naslib:(4, 0, 3, 1, 4, 5)", "naslib:(4, 0, 3, 1, 4, 99999999999999)"] {
            let error = read(text, None).unwrap_err();
            assert!(error.to_string().contains("expected 6 numbers from 0 to 4"), "{error}");
        }
    }
}

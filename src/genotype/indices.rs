//! Cells as NASLib numbers them: of NAS-Bench-201 `(4, 0, 3, 1, 4, 3)`, an operation for every edge, the edges in the order of
//! their sources; of the space of DARTS `(((0, 3), (1, 3), ...), ((0, 0), ...))`, its compact form, an input and an operation
//! for every edge of the normal cell, then of the reduction cell.
//!
//! Others number the same operations and edges otherwise, and the like of other spaces are numbers too, so the text
//! must name NASLib's: `naslib:(4, 0, 3, 1, 4, 3)`, or `{"naslib": [4, 0, 3, 1, 4, 3]}` in a file.

use serde_json::{Map, Value};

use super::SpaceName;
use crate::error::{Error, Result};
use crate::python::{self, first_value};
use crate::topology::CellKind;

/// How the text begins.
const PREFIX: &str = "naslib:";

/// NASLib's operations in NAS-Bench-201, in their order.
const OPERATIONS: [&str; 5] = ["skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3"];

/// NASLib's edges there as (node, source), in their order.
const EDGES: [(usize, usize); 6] = [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (2, 2)];

/// NASLib's operations in the space of DARTS, in the order of its compact form.
const OF_DARTS: [&str; 7] =
    ["max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"];

/// Edges of a cell there, two into each of four nodes.
const EDGES_OF_DARTS: usize = 8;

/// What stands in the text.
pub(super) enum Numbers {
    /// An operation for every edge.
    Operations(Vec<u64>),
    /// An input and an operation for every edge, cell by cell.
    Edges(Vec<Vec<[u64; 2]>>),
}

/// Whether the text, a file's or one that is typed, is meant as such a cell, also where it does not say whose numbers.
pub fn is_indices(text: &str) -> bool {
    within(text).is_some()
}

/// The numbers, the list as it is written, and whether they are said to be NASLib's.
pub(super) fn within(text: &str) -> Option<(Numbers, &str, bool)> {
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
    let list = list.strip_suffix('}').map_or(list, str::trim_end);
    let value = first_value(list)?;
    let numbers = match whole(&value) {
        Some(numbers) if !numbers.is_empty() => Numbers::Operations(numbers),
        _ => Numbers::Edges(
            items(&value)?.iter().map(edges).collect::<Option<_>>().filter(|cells: &Vec<_>| !cells.is_empty())?,
        ),
    };
    Some((numbers, list, is_named))
}

fn items(value: &python::Value) -> Option<&[python::Value]> {
    if let python::Value::List(items) = value { Some(items) } else { None }
}

fn whole(value: &python::Value) -> Option<Vec<u64>> {
    let number = |item: &python::Value| if let python::Value::Whole(number) = item { Some(*number) } else { None };
    items(value)?.iter().map(number).collect()
}

fn edges(cell: &python::Value) -> Option<Vec<[u64; 2]>> {
    let pairs: Vec<[u64; 2]> = items(cell)?.iter().map(|edge| whole(edge)?.try_into().ok()).collect::<Option<_>>()?;
    (!pairs.is_empty()).then_some(pairs)
}

/// The cell as the object that a genotype file holds. `asked` is the space of the task.
///
/// # Errors
/// Numbers that do not say whose they are; another count of them, or one beyond the operations.
pub(super) fn of_indices(
    (numbers, listed, is_named): (Numbers, &str, bool),
    asked: Option<SpaceName>,
    origin: &str,
) -> Result<Map<String, Value>> {
    let space = match numbers {
        Numbers::Operations(_) => SpaceName::NAS_BENCH_201,
        Numbers::Edges(_) => SpaceName::IMAGE,
    };
    let is_asked = asked == Some(space) && space == SpaceName::NAS_BENCH_201;
    if !is_named && !is_asked {
        let in_space = if space == SpaceName::NAS_BENCH_201 { "NAS-Bench-201" } else { "the space of DARTS" };
        return Err(Error::invalid(origin, "a cell that names its operations", format!("numbers alone: {listed}"))
            .with_hint(format!(
                "which operation and edge a number means differs between programs: for those of NASLib in {in_space} \
                 write '{PREFIX}{listed}'"
            )));
    }
    match numbers {
        Numbers::Operations(numbers) => of_nas_bench_201(&numbers, listed, origin),
        Numbers::Edges(cells) => of_darts(&cells, listed, origin),
    }
}

fn of_nas_bench_201(numbers: &[u64], listed: &str, origin: &str) -> Result<Map<String, Value>> {
    let operations: Option<Vec<&str>> = numbers.iter().map(|number| name(&OPERATIONS, *number)).collect();
    let Some(operations) = operations.filter(|operations| operations.len() == EDGES.len()) else {
        let expected =
            format!("{} numbers from 0 to {}, as NASLib numbers NAS-Bench-201", EDGES.len(), OPERATIONS.len() - 1);
        return Err(Error::invalid(origin, expected, listed));
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

fn of_darts(cells: &[Vec<[u64; 2]>], listed: &str, origin: &str) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    object.insert("space".to_owned(), SpaceName::IMAGE.name().into());
    if cells.len() != 2 || cells.iter().any(|cell| cell.len() != EDGES_OF_DARTS) {
        let expected =
            format!("two cells of {EDGES_OF_DARTS} edges (input, operation), as NASLib's compact form has them");
        return Err(Error::invalid(origin, expected, listed));
    }
    for (kind, cell) in [CellKind::Normal, CellKind::Reduce].into_iter().zip(cells) {
        let edge = |[input, operation]: &[u64; 2]| {
            let name = name(&OF_DARTS, *operation).ok_or_else(|| {
                let expected = format!("an operation from 0 to {}, as NASLib numbers DARTS", OF_DARTS.len() - 1);
                Error::invalid(format!("{origin}: {kind}"), expected, operation.to_string())
            })?;
            Ok(Value::from(vec![name.into(), Value::from(*input)]))
        };
        object.insert(kind.name().to_owned(), cell.iter().map(edge).collect::<Result<Vec<_>>>()?.into());
        object.insert(format!("{kind}_concat"), vec![2, 3, 4, 5].into());
    }
    Ok(object)
}

fn name(operations: &[&'static str], number: u64) -> Option<&'static str> {
    operations.get(usize::try_from(number).ok()?).copied()
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

    #[test]
    fn the_compact_form_of_darts_is_its_cells() {
        let cells = "(((0, 3), (1, 3), (0, 3), (1, 3), (1, 3), (0, 2), (0, 2), (2, 5)), \
                     ((0, 0), (1, 0), (2, 2), (1, 0), (0, 0), (2, 2), (2, 2), (1, 0)))";
        let expected = read(
            "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
             ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], \
             reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
             ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])",
            None,
        );
        let expected = expected.unwrap();
        let listed = cells.replace('(', "[").replace(')', "]");
        for text in [format!("naslib:{cells}"), format!("{{\"naslib\": {listed}}}")] {
            let cell = read(&text, None).unwrap();
            assert_eq!((&cell.normal, &cell.reduce), (&expected.normal, &expected.reduce), "{text}");
        }
        for asked in [None, Some(SpaceName::IMAGE)] {
            let error = read(cells, asked).unwrap_err();
            assert!(error.to_string().contains("found numbers alone: (((0, 3)"), "{error}");
            assert!(
                error.hint().unwrap().contains("in the space of DARTS write 'naslib:(((0, 3)"),
                "{:?}",
                error.hint()
            );
        }
        for (from, to, told) in [
            ("(2, 5)", "(2, 7)", "normal: expected an operation from 0 to 6"),
            ("(0, 3), (1, 3), ", "", "expected two cells of 8 edges"),
            ("(2, 5)", "(5, 5)", "expected a source from 0 to 4"),
        ] {
            let error = read(&format!("naslib:{}", cells.replacen(from, to, 1)), None).unwrap_err();
            assert!(error.to_string().contains(told) && error.exit_code() == 2, "{error}");
        }
        // Lists of other things are not numbers of anybody.
        assert!(!is_indices("[[1, 2]]") && !is_indices("[]") && !is_indices("[[[]]]") && is_indices("[[[1, 2]]]"));
    }
}

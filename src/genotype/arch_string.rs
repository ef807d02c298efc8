//! The cells of NAS-Bench-201 as their authors write them: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, node by node, each edge
//! as its primitive and its source.

use serde_json::{Map, Value};

use super::{Genotype, SpaceName};
use crate::error::{Error, Result};
use crate::topology::CellKind;

/// For messages.
const FORM: &str = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|";

/// Whether the text, a file's or one that is typed, is meant as such a cell.
pub fn is_arch_string(text: &str) -> bool {
    within(text).is_some()
}

/// The cell in such a text: alone, or in what searches in the space print, `Structure(4 nodes with |...|)`.
pub(super) fn within(text: &str) -> Option<&str> {
    let text = text.trim();
    let printed = text.strip_prefix("Structure(").and_then(|rest| rest.strip_suffix(')')?.split_once(" nodes with "));
    printed.map_or(text, |(_, cell)| cell).starts_with('|').then(|| printed.map_or(text, |(_, cell)| cell))
}

/// The cell as the object that a genotype file holds; the edges of a node are put in the order of their sources.
///
/// # Errors
/// Text of another form, with the part that does not fit.
pub(super) fn of_arch_string(text: &str, origin: &str) -> Result<Map<String, Value>> {
    let wrong = |found: &str| {
        Error::invalid(origin, format!("a cell of NAS-Bench-201 as {FORM}"), format!("'{found}'"))
            .with_hint("quote it for the shell; was it cut off?")
    };
    let topology = SpaceName::NAS_BENCH_201.topology();
    let nodes: Vec<&str> = text.trim().split('+').map(str::trim).collect();
    if nodes.len() != topology.steps() {
        return Err(wrong(text.trim()));
    }
    let mut edges: Vec<Value> = Vec::new();
    for (node, typed) in nodes.iter().enumerate() {
        let inner = typed.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')).ok_or_else(|| wrong(typed))?;
        let edge = |typed: &str| {
            let (primitive, source) = typed.split_once('~')?;
            Some((source.parse::<usize>().ok()?, primitive.to_owned()))
        };
        let read = inner.split('|').map(|typed| edge(typed).ok_or_else(|| wrong(typed)));
        let mut of_node: Vec<(usize, String)> = read.collect::<Result<_>>()?;
        of_node.sort_by_key(|(source, _)| *source);
        if !of_node.iter().map(|(source, _)| *source).eq(topology.sources(node)) {
            return Err(wrong(typed));
        }
        edges.extend(
            of_node.into_iter().map(|(source, primitive)| Value::from(vec![primitive.into(), Value::from(source)])),
        );
    }
    let mut object = Map::new();
    object.insert("space".to_owned(), SpaceName::NAS_BENCH_201.name().into());
    object.insert(CellKind::Normal.name().to_owned(), edges.into());
    object.insert(format!("{}_concat", CellKind::Normal), vec![topology.states() - 1].into());
    Ok(object)
}

impl Genotype {
    /// The cell as NAS-Bench-201 writes it; absent for cells of other spaces.
    pub fn arch_string(&self) -> Option<String> {
        if self.space != SpaceName::NAS_BENCH_201 {
            return None;
        }
        let mut edges: Vec<(usize, &str, usize)> = self.normal.edges_with_nodes().collect();
        edges.sort_by_key(|(node, _, source)| (*node, *source));
        let node = |edges: &[(usize, &str, usize)]| {
            let edges: Vec<String> =
                edges.iter().map(|(_, primitive, source)| format!("{primitive}~{source}")).collect();
            format!("|{}|", edges.join("|"))
        };
        Some(edges.chunk_by(|one, next| one.0 == next.0).map(node).collect::<Vec<_>>().join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|";

    fn read(text: &str) -> Result<Genotype> {
        Genotype::from_text(text, "the cell", None)
    }

    #[test]
    fn a_cell_is_read_and_written_in_the_same_form() {
        let genotype = read(CELL).unwrap();
        assert_eq!((genotype.space, &genotype.normal.concat[..]), (SpaceName::NAS_BENCH_201, &[3][..]));
        let edges: Vec<_> = genotype.normal.edges_with_nodes().collect();
        assert_eq!((edges[2], edges[4]), ((1, "avg_pool_3x3", 1), (2, "none", 1)));
        assert_eq!(genotype.arch_string().unwrap(), CELL);
        let again = Genotype::from_json(&genotype.to_json(), "again").unwrap();
        assert_eq!(again.arch_string().unwrap(), CELL);
        let swapped = CELL.replace("nor_conv_3x3~0|avg_pool_3x3~1", "avg_pool_3x3~1|nor_conv_3x3~0");
        assert_eq!(read(&format!(" {swapped}\n")).unwrap(), genotype);
        assert_eq!(read(&format!("Structure(4 nodes with {CELL})")).unwrap(), genotype);
    }

    #[test]
    fn what_is_not_of_that_form_is_told() {
        for (from, to, found) in [
            ("avg_pool_3x3~1", "avg_pool_3x3~0", "found '|nor_conv_3x3~0|avg_pool_3x3~0|'"),
            ("avg_pool_3x3~1|", "", "found '|nor_conv_3x3~0|'"),
            ("none~1", "none1", "found 'none1'"),
            ("none~1", "none~x", "found 'none~x'"),
            ("~2|", "~2", "found '|skip_connect~0|none~1|nor_conv_1x1~2'"),
            ("+|nor_conv_3x3~0|avg_pool_3x3~1|", "", "found '|nor_conv_3x3~0|+|skip_connect~0|"),
        ] {
            let error = read(&CELL.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(found) && error.exit_code() == 2, "{error}");
        }
        let error = read(&CELL.replace("none", "sep_conv_3x3")).unwrap_err();
        assert!(error.to_string().contains("expected a primitive of the nas-bench-201 space"), "{error}");
    }

    #[test]
    fn a_node_that_keeps_all_edges_reads_every_state_once() {
        let twice = read(CELL).unwrap().to_json().replace("[\"avg_pool_3x3\", 1]", "[\"avg_pool_3x3\", 0]");
        let error = Genotype::from_json(&twice, "cell.json").unwrap_err();
        assert!(error.to_string().contains("normal (node 1): expected one edge from each of [0, 1]"), "{error}");
    }
}

//! The edges of graphs: a row per edge with its source and target, or PyG's two rows of all sources and all targets.

use super::headings::{Heading, ends, is_index, is_no_end};
use super::nodes::require_one_graph;
use super::numbering::Numbering;
use super::tables::{Checked, Row, Table};
use crate::data::scan::{number, show, show_names, whole};
use crate::error::{Error, Result};
use crate::tensor::adjacency::Link;

/// Columns from which on two rows of a text are PyG's: fewer may be two edges with weights.
const WIDE: usize = 4;

/// Rows that are looked at to see whether the first is a header.
const LOOKED_AT: usize = 50;

/// Links as stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Edges {
    pub links: Vec<Link>,
    /// What was taken for what, in words.
    pub told: Vec<String>,
}

/// Where the ends of an edge stand, and what else does.
struct Ends {
    columns: [usize; 2],
    has_header: bool,
    told: Vec<String>,
}

/// Links of these nodes of these graphs. `counts_columns` says that the features have a header that counts the columns,
/// so that edges will have one too.
///
/// # Errors
/// Rows of one column, nodes that are not there, links between graphs; an array of shape (2, 2).
pub(super) fn read_edges(
    table: &Table,
    nodes: &Numbering,
    graphs: Option<&[u64]>,
    counts_columns: bool,
) -> Checked<Edges> {
    if let Some(edges) = of_two_rows(table, nodes, graphs)? {
        return Ok(edges);
    }
    let Ends { columns: [source, target], has_header, told } = find_ends(table, nodes, counts_columns)?;
    let mut edges = Edges { links: Vec::new(), told };
    table.read_after(has_header, |row| {
        if row.len() <= source.max(target) {
            return Err(too_few(row));
        }
        let link = [nodes.node(row, source, "source")?, nodes.node(row, target, "target")?];
        require_one_graph(link, graphs, || row.place())?;
        edges.links.push(link);
        Ok(())
    })?;
    Ok(edges)
}

/// The error of a row without source and target.
pub(super) fn too_few(row: &Row<'_>) -> Error {
    let found = match row.len() {
        0 => "none".to_owned(),
        1 => format!("one, {}", show(row.text(0).as_bytes())),
        columns => columns.to_string(),
    };
    Error::invalid(row.place(), "two columns, source and target", found)
        .with_hint("columns stand between commas, semicolons, tabs or blanks, the same in the whole file")
}

fn find_ends(table: &Table, nodes: &Numbering, counts_columns: bool) -> Result<Ends> {
    let place = table.path.display();
    let start = table.start(2)?;
    let first = start.first().cloned().unwrap_or_default();
    let are_nodes = first.len() > 1 && first[..2].iter().all(|cell| nodes.find(cell).is_some());
    let begins_with_digit = |cell: &String| cell.starts_with(|letter: char| letter.is_ascii_digit());
    let (names, by_names) = match Heading::of(table)? {
        Heading::Names(names) => (Some(names).filter(|_| !(nodes.has_names() && are_nodes)), true),
        Heading::PerhapsNames(names) => {
            (Some(names).filter(|names| !are_nodes && !names.iter().any(begins_with_digit)), true)
        }
        Heading::Counts(names) | Heading::PerhapsCounts(names) => {
            let is_header = counts_columns || !are_nodes || stands_out(table, &names)?;
            (Some(names).filter(|_| is_header), false)
        }
        Heading::Row => (None, false),
    };
    let mut told = Vec::new();
    let Some(names) = names else {
        refuse_numbered(table)?;
        if first.len() > 2 || table.shape()?.is_some_and(|[_, columns]| columns > 2) {
            told.push(format!("{place}: columns beyond the first two, source and target, are not read"));
        }
        if first == ["0", "1"] {
            told.push(format!(
                "{place}: the first line, 0 and 1, is read as an edge; a header would be source, target"
            ));
        }
        return Ok(Ends { columns: [0, 1], has_header: false, told });
    };
    if !by_names {
        told.push(format!(
            "{place}: the first line, {}, is taken for a header",
            show_names(names.iter().map(|name| &**name))
        ));
    }
    let found = ends(&names);
    let is_left = |column: &usize| !is_no_end(&names[*column]);
    let others: Vec<usize> = (0..names.len()).filter(|column| !found.contains(&Some(*column))).collect();
    let numbered: Vec<usize> = others.iter().copied().filter(is_left).collect();
    let mut free = if numbered.len() + found.iter().flatten().count() < 2 { others } else { numbered }.into_iter();
    let [source, target] = found.map(|end| end.or_else(|| free.next()));
    let (Some(source), Some(target)) = (source, target) else {
        let expected = "columns of source and target";
        return Err(Error::invalid(format!("{place}, header"), expected, show_names(names.iter().map(|name| &**name)))
            .with_hint("columns stand between commas, semicolons, tabs or blanks, the same in the whole file"));
    };
    let others: Vec<&str> =
        (0..names.len()).filter(|column| ![source, target].contains(column)).map(|column| &*names[column]).collect();
    let name = |column: usize| if by_names { show(names[column].as_bytes()) } else { format!("column {column}") };
    if !others.is_empty() {
        let index =
            if others.iter().any(|name| is_index(name)) { " (one has no name, as the index of pandas)" } else { "" };
        let others = show_names(others.into_iter().filter(|name| !name.is_empty()));
        let others = if others.is_empty() { String::new() } else { format!(": {others}") };
        told.push(format!(
            "{place}: links lead from {} to {}; other columns are not read{others}{index}",
            name(source),
            name(target)
        ));
    } else if found == [None, None] && by_names || [source, target] != [0, 1] {
        told.push(format!("{place}: links lead from {} to {}", name(source), name(target)));
    }
    Ok(Ends { columns: [source, target], has_header: true, told })
}

/// Refuses three columns of whole numbers of which the first counts the rows and the last is not always the same: rows
/// that pandas numbered, or edges with weights.
///
/// # Errors
/// Such a table.
fn refuse_numbered(table: &Table) -> Result<()> {
    if table.width()? != 3 {
        return Ok(());
    }
    let (mut rows, mut last, mut varies) = (0_u64, None, false);
    let read = table.read(|row| {
        let is_so = row.len() == 3 && row.whole(0) == Some(rows) && row.whole(1).is_some() && row.whole(2).is_some();
        varies |= last.replace(row.whole(2)).is_some_and(|before| before != row.whole(2));
        rows += 1;
        // Whatever it says, an error ends the reading.
        if is_so { Ok(()) } else { Err(Error::run("no numbered rows")) }
    });
    if read.is_err() || rows < 3 || !varies {
        return Ok(());
    }
    let found = "three, of which the first numbers the rows";
    Err(Error::invalid(&table.path, "two columns, source and target, or a header", found).with_hint(
        "name the columns in a header, source,target and whatever else there is; pandas leaves row numbers out by \
         index=False",
    ))
}

/// Whether a first line that counts the columns is a header: the same line follows, or its number of another column is
/// the only one without decimals.
fn stands_out(table: &Table, names: &[String]) -> Result<bool> {
    let others = table.start(LOOKED_AT)?.split_off(1);
    let has_decimals = |column: usize| others.iter().all(|row| row.get(column).is_some_and(|cell| cell.contains('.')));
    Ok(others.first().is_some_and(|next| next == names || (2..names.len()).any(has_decimals)))
}

/// The edges of a table of shape (2, E), as PyG's `edge_index` has it.
fn of_two_rows(table: &Table, nodes: &Numbering, graphs: Option<&[u64]>) -> Result<Option<Edges>> {
    let place = table.path.display().to_string();
    let is_node = |value: f64| value.fract() == 0.0 && value >= 0.0;
    let [sources, targets] = match table.shape()? {
        Some([2, 2]) => {
            return Err(Error::invalid(place, "edges of shape (E, 2), one per row", "shape (2, 2)").with_hint(
                "it can't be seen whether a row is an edge or all sources: write edges.csv with a header source,target",
            ));
        }
        Some([2, columns]) if columns > 2 => {
            let grid = table.grid()?;
            let row = |row: usize| (0..columns).map(|column| grid.at(row, column)).collect::<Vec<f64>>();
            let rows = [row(0), row(1)];
            if !rows.iter().flatten().all(|value| is_node(*value)) {
                return Ok(None);
            }
            rows.map(|row| row.into_iter().map(|value| value.to_string()).collect::<Vec<String>>())
        }
        Some(_) => return Ok(None),
        None => match two_lines(table)? {
            Some(rows) => rows,
            None => return Ok(None),
        },
    };
    let mut links = Vec::with_capacity(sources.len());
    for (edge, ends) in sources.iter().zip(&targets).enumerate() {
        let here = || format!("{place}, edge {edge}");
        let node = |what: &str, text: &String| nodes.find(text).ok_or_else(|| nodes.unknown(here(), what, text));
        let link = [node("source", ends.0)?, node("target", ends.1)?];
        require_one_graph(link, graphs, here)?;
        links.push(link);
    }
    let count = links.len();
    let told = format!("{place}: read as PyG's edge_index of shape (2, {count}): a row of sources, a row of targets");
    Ok(Some(Edges { links, told: vec![told] }))
}

/// The two rows of a text that is wide and has no more, without what pandas writes around them.
fn two_lines(table: &Table) -> Result<Option<[Vec<String>; 2]>> {
    let width = table.start(1)?.first().map_or(0, Vec::len);
    if width < WIDE {
        return Ok(None);
    }
    let mut rows = table.start(4)?;
    let is_counting =
        |row: &Vec<String>, from: usize| row[from..].iter().enumerate().all(|(place, cell)| cell.parse() == Ok(place));
    if rows.len() == 3 && (rows[0][0].is_empty() && is_counting(&rows[0], 1) || is_counting(&rows[0], 0)) {
        let has_index = rows[0][0].is_empty();
        rows.remove(0);
        if has_index {
            rows.iter_mut().for_each(|row| drop(row.remove(0)));
        }
    }
    let are_whole = rows.iter().flatten().all(|cell| {
        whole(cell.as_bytes()).is_some() || number(cell.as_bytes()).is_some_and(|value| value.fract() == 0.0)
    });
    match <[Vec<String>; 2]>::try_from(rows) {
        Ok(rows) if are_whole && rows[0].len() == rows[1].len() && rows[0].len() >= WIDE => Ok(Some(rows)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::numbering::{Ids, canonical};
    use super::super::tables::Blanks;
    use super::*;
    use crate::data::numpy::header;

    fn table(name: &str, content: &[u8]) -> Table {
        Table::of(Path::new(name), content.to_owned(), Blanks::Columns)
    }

    fn read(text: &str, nodes: usize) -> Checked<Vec<Link>> {
        let edges = read_edges(&table("t.csv", text.as_bytes()), &Numbering::counted(nodes), None, false);
        edges.map(|edges| edges.links)
    }

    fn message(text: &str, nodes: usize) -> String {
        read(text, nodes).unwrap_err().first().to_string()
    }

    #[test]
    fn ends_stand_where_the_header_says() {
        let expected = [[0, 1], [1, 2], [2, 0]];
        for text in [
            "0,1\n1,2\n2,0\n",
            "source,target\n0,1\n1,2\n2,0\n",
            "target,source\n1,0\n2,1\n0,2\n",
            ",source,target\n0,0,1\n1,1,2\n2,2,0\n",
            "Unnamed: 0,weight,dst,src\n0,9,1,0\n1,9,2,1\n2,9,0,2\n",
            "weight;to_id;from_id\n0,5;1;0\n0,5;2;1\n0,5;0;2\n",
            "edge_id a b\n7 0 1\n8 1 2\n9 2 0\n",
            ",0,1\n0,0,1\n1,1,2\n2,2,0\n",
            "0,1\n0,1\n1,2\n2,0\n",
            "0,1,2\n0,1,0.5\n1,2,0.5\n2,0,0.25\n",
            "0 1\n1 2\n2 0\n",
            "a,b\n0,1\n1,2\n2,0\n",
            "0\t1\t0.5\n1\t2\t1\n2\t0\t1\n",
        ] {
            assert_eq!(read(text, 3).unwrap(), expected, "{text}");
        }
        assert_eq!(read("", 3).unwrap(), Vec::<Link>::new());
        assert_eq!(read("0,1,1\n1,2,1\n2,0,1\n", 3).unwrap(), expected, "weights, all of them 1");
        let numbered = "t.csv: expected two columns, source and target, or a header, found three, of which the first \
                        numbers the rows";
        assert_eq!(message("0,0,1\n1,1,2\n2,2,0\n", 3), numbered);
    }

    #[test]
    fn links_must_have_two_nodes_of_one_graph() {
        assert_eq!(message("0,1\n2\n", 3), "t.csv, line 2: expected two columns, source and target, found one, 2");
        assert_eq!(message("0,3\n", 3), "t.csv, line 1: expected a target node from 0 to 2, found 3");
        let between = "t.csv, line 2: expected a link between nodes of one graph, found node 1 of graph 4 and node 2 of \
                       graph 9";
        let table = table("t.csv", b"0,1\n1,2\n");
        let problems = read_edges(&table, &Numbering::counted(3), Some(&[4, 4, 9]), false).unwrap_err();
        assert_eq!(problems.first().to_string(), between);
    }

    #[test]
    fn two_rows_are_all_sources_and_all_targets() {
        let wholes = |values: &[i64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let array = |shape, values: &[i64]| table("e.npy", &[header::write("<i8", shape), wholes(values)].concat());
        let edges = |table: &Table| read_edges(table, &Numbering::counted(5), None, false);
        let expected = vec![[0, 1], [1, 2], [2, 3], [4, 0]];
        assert_eq!(edges(&array([2, 4], &[0, 1, 2, 4, 1, 2, 3, 0])).unwrap().links, expected);
        assert_eq!(edges(&array([4, 2], &[0, 1, 1, 2, 2, 3, 4, 0])).unwrap().links, expected);
        for text in ["0,1,2,4\n1,2,3,0\n", ",0,1,2,3\n0,0,1,2,4\n1,1,2,3,0\n", "0 1 2 3\n0 1 2 4\n1 2 3 0\n"] {
            assert_eq!(edges(&table("e.csv", text.as_bytes())).unwrap().links, expected, "{text}");
        }
        let error = edges(&array([2, 2], &[0, 1, 1, 2])).unwrap_err().first();
        assert_eq!(error.to_string(), "e.npy: expected edges of shape (E, 2), one per row, found shape (2, 2)");
        let error = edges(&array([2, 3], &[0, 1, 2, 1, 2, 5])).unwrap_err().first();
        assert_eq!(error.to_string(), "e.npy, edge 2: expected a target node from 0 to 4, found 5");
    }

    #[test]
    fn edges_call_nodes_by_their_names() {
        let names = ["ann", "be\u{e4}", "7"].iter().map(|name| canonical(name)).collect();
        let ids = Ids { place: "f.csv".into(), column: "column id".into(), names };
        let nodes = Numbering::named(&ids).unwrap();
        let read = |text: &str| read_edges(&table("t.csv", text.as_bytes()), &nodes, None, false);
        for text in ["ann,bea\nbea,7\n", "from,to\nann,bea\nbea,7.0\n", "who,whom\nann,bea\nbea,7\n"] {
            // Letters of two signs here, of one there.
            let text = &text.replace("bea", "bea\u{308}");
            assert_eq!(read(text).unwrap().links, [[0, 1], [1, 2]], "{text}");
        }
        let message = read("ann,bea\nann,0\n").unwrap_err().first().to_string();
        assert_eq!(message, "t.csv, line 2: expected a target node that is named in the column id of f.csv, found 0");
    }
}

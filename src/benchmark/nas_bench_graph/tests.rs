//! Made tables: which cell is which row, and what is refused.

use super::*;

const HEADER: &str = "inputs,operations,cora_valid,cora_test,cora_latency_s,cora_params_M";

fn table(cells: &[&str]) -> Result<NasBenchGraph> {
    let row = |(index, cell): (usize, &&str)| format!("{cell},0.5,0.{index},0.01,1.5\n");
    let rows: String = cells.iter().enumerate().map(row).collect();
    NasBenchGraph::parse(&format!("{HEADER}\n{rows}"), "table.csv")
}

fn cell(inputs: [usize; NODES], operations: &str) -> Genotype {
    let space = SpaceName::NAS_BENCH_GRAPH;
    let primitive = |name| space.primitives().iter().position(|known| *known == name).unwrap();
    let choices: Vec<Choice> =
        operations.split(' ').zip(inputs).map(|(name, source)| Choice { primitive: primitive(name), source }).collect();
    Genotype::from_choices(space, &choices, None)
}

#[test]
fn nodes_may_be_numbered_in_any_order() {
    let table = table(&["0 0 1 2,gat gcn gin fc", "0 1 2 3,gat gcn gin fc"]).unwrap();
    assert_eq!(table.row(&cell([0, 0, 2, 1], "gcn gat gin fc")).unwrap(), 0);
    assert_eq!(table.row(&cell([0, 1, 0, 3], "gat gin gcn fc")).unwrap(), 0);
    assert_eq!(table.row(&cell([0, 1, 2, 3], "gat gcn gin fc")).unwrap(), 1);
    assert!(table.row(&cell([0, 0, 1, 2], "gat gcn fc gin")).is_err());
    let scores = table.scores(&cell([0, 1, 2, 3], "gat gcn gin fc")).unwrap();
    let test = scores.iter().find(|score| score.quantity == Quantity::TestAccuracy).unwrap();
    assert_eq!((test.set.as_str(), test.value, scores.len()), ("cora", 0.1, 4));
    assert_eq!((table.cells(), table.cell(2)), (2, None));
    assert_eq!(table.cell(1).unwrap(), cell([0, 1, 2, 3], "gat gcn gin fc"));
}

#[test]
fn a_skip_that_changes_nothing_counts_as_one_before_all_others() {
    let table = table(&["0 1 2 3,skip gat gcn gin", "0 1 2 2,fc gat skip gin", "0 1 1 1,skip gat gcn gin"]).unwrap();
    // Read by another node, alone behind one, or handing on the input beside others.
    for (inputs, operations) in
        [([0, 1, 2, 3], "gat skip gcn gin"), ([0, 1, 2, 3], "gat gcn gin skip"), ([0, 0, 2, 3], "skip gat gcn gin")]
    {
        assert_eq!(table.row(&cell(inputs, operations)).unwrap(), 0, "{inputs:?} {operations}");
    }
    assert_eq!(table.row(&cell([0, 1, 2, 2], "fc gat gin skip")).unwrap(), 1);
    assert_eq!(table.row(&cell([0, 0, 0, 0], "gin gcn skip gat")).unwrap(), 2);
    let error = table.row(&cell([0, 1, 1, 0], "skip skip skip skip")).unwrap_err();
    assert!(error.to_string().contains("four skips, which the table leaves out"), "{error}");
}

#[test]
fn wrong_files_are_refused_with_their_place() {
    for (text, message) in [
        ("a,b\n1,2\n", "table.csv: header: expected a column inputs"),
        ("inputs,operations\n0 0 0 0,gat gat gat gat\n", "expected a column cora_valid"),
        ("inputs,operations,cora_valid\n", "expected a column cora_test"),
        (HEADER, "table.csv: expected a row for every cell"),
        (&format!("{HEADER}\n0 0 0,gat gat gat gat,1,1,1,1\n"), "line 2: expected 4 inputs, found 0 0 0"),
        (&format!("{HEADER}\n0 2 0 0,gat gat gat gat,1,1,1,1\n"), "expected a state before node 2: 0 to 1, found 2"),
        (&format!("{HEADER}\n0 0 0 0,gat gat gat cat,1,1,1,1\n"), "found cat"),
        (&format!("{HEADER}\n0 0 0 0,gat gat gat gat,1,x,1,1\n"), "line 2: cora_test: expected a number"),
        (&format!("{HEADER}\n0 0 0 0,gat gat gat gat,1,NaN,1,1\n"), "found NaN"),
        (&format!("{HEADER}\n0 0 0 0,gat gat gat gat,1\n"), "table.csv: expected the table of NAS-Bench-Graph"),
        (&format!("{HEADER}\n0 0 0 0,skip skip skip skip,1,1,1,1\n"), "found four skips"),
    ] {
        let error = NasBenchGraph::parse(text, "table.csv").err().unwrap();
        assert!(error.to_string().contains(message) && error.exit_code() == 2, "{error}");
    }
    let error = table(&["0 0 0 0,gat gat gat gcn", "0 0 0 0,gat gcn gat gat"]).err().unwrap();
    assert!(error.to_string().contains("line 3: expected a cell that comes once, found the cell of row 1"), "{error}");
    assert!(NasBenchGraph::load("nowhere.csv").is_err());
}

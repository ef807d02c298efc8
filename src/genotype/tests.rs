//! Round trips, and what every kind of wrong file is told.

use super::*;
use crate::decision::read_off_best_primitive;
use crate::topology::Topology;

const POINT: &str = r#"{"space": "point", "normal": [["edge_conv", 0], ["gat", 1], ["mr_conv", 2], ["skip_connect", 0],
    ["sage", 3], ["gin", 1]], "normal_concat": [1, 2, 3, 4], "task": "modelnet40", "run": {"seed": 2, "notes": ["a\nb", 0.1]}}"#;

fn point() -> Genotype {
    Genotype::from_json(POINT, "cell.json").unwrap()
}

fn refused(text: &str) -> Error {
    let error = Genotype::from_json(text, "cell.json").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error
}

fn hint(error: &Error) -> &str {
    error.hint().unwrap_or_default()
}

#[test]
fn the_text_has_a_line_per_node_and_keeps_unknown_keys() {
    let genotype = point();
    let text = genotype.to_json();
    let expected = r#"{
  "space": "point",
  "normal": [
    ["edge_conv", 0], ["gat", 1],
    ["mr_conv", 2], ["skip_connect", 0],
    ["sage", 3], ["gin", 1]
  ],
  "normal_concat": [1, 2, 3, 4],
  "task": "modelnet40",
  "run": {
    "seed": 2,
    "notes": [
      "a\nb",
      0.1
    ]
  }
}
"#;
    assert_eq!(text, expected);
    assert_eq!(Genotype::from_json(&text, "again").unwrap(), genotype);
    let embedded = serde_json::to_value(&genotype).unwrap();
    assert_eq!(serde_json::from_value::<Genotype>(embedded).unwrap(), genotype);
}

#[test]
fn choices_of_a_search_become_names() {
    let topology = Topology::new(3);
    let alphas: Vec<Vec<f64>> =
        (0..9).map(|edge| (0..10).map(|k| f64::from((edge * 7 + k * 3) % 11)).collect()).collect();
    let choices = read_off_best_primitive(topology, &alphas);
    let genotype = Genotype::from_choices(SpaceName::POINT, &choices, None);
    assert_eq!(genotype.normal.concat, [1, 2, 3, 4]);
    assert_eq!((genotype.normal.topology.steps(), genotype.cell(CellKind::Reduce)), (3, None));
    assert_eq!(Genotype::from_json(&genotype.to_json(), "again").unwrap(), genotype);
}

#[test]
fn a_file_is_saved_whole_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cell.json");
    std::fs::write(&path, "old").unwrap();
    point().save(&path).unwrap();
    assert_eq!(Genotype::load(&path).unwrap(), point());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    assert_eq!(point().save(folder.path().join("missing/cell.json")).unwrap_err().exit_code(), 1);
    assert_eq!(Genotype::load(folder.path().join("none.json")).unwrap_err().exit_code(), 2);
}

#[cfg(unix)]
#[test]
fn a_saved_file_can_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (saved, plain) = (folder.path().join("cell.json"), folder.path().join("plain"));
    point().save(&saved).unwrap();
    std::fs::write(&plain, "").unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&saved), mode(&plain));
}

#[test]
fn a_cell_of_another_space_is_refused() {
    let error = point().require_space(SpaceName::GRAPH, "cell.json").unwrap_err();
    assert_eq!(error.to_string(), "cell.json: space: expected a cell of the graph space, found one of the point space");
    assert!(point().require_space(SpaceName::POINT, "cell.json").is_ok());
}

#[test]
fn a_cut_file_is_told_where_it_ends() {
    for end in [0, 1, 20, 45, 100, POINT.len() - 1] {
        let error = refused(&POINT[..end]);
        assert!(error.to_string().contains("found the end of the text"), "{error}");
        assert!(hint(&error).contains("cut off"));
    }
    assert!(refused(&POINT[..120]).to_string().starts_with("cell.json: line 2, column "));
}

#[test]
fn other_text_is_no_genotype() {
    for text in ["[]", "3", "genotype", "{\"space\": }", "{} {}"] {
        assert!(refused(text).to_string().contains("expected a JSON object"), "{text}");
    }
    assert_eq!(
        refused("{}").to_string(),
        "cell.json: space: expected image, point, graph, nas-bench-201 or nas-bench-graph, found no such key"
    );
    let error = refused(&POINT.replace("\"point\"", "\"mesh\""));
    assert_eq!(
        error.to_string(),
        "cell.json: space: expected image, point, graph, nas-bench-201 or nas-bench-graph, found \"mesh\""
    );
}

#[test]
fn primitives_must_be_known_to_the_space() {
    let error = refused(&POINT.replace("edge_conv", "edge_cnv"));
    assert_eq!(
        error.to_string(),
        "cell.json: normal[0] (node 0): expected a primitive of the point space, found \"edge_cnv\""
    );
    assert_eq!(hint(&error), "did you mean edge_conv?");
    assert!(hint(&refused(&POINT.replace("edge_conv", "sep_conv_3x3"))).contains("belongs to the image space"));
    assert!(hint(&refused(&POINT.replace("edge_conv", "none"))).contains("leaves an edge out"));
    assert!(hint(&refused(&POINT.replace("edge_conv", "transformer"))).starts_with("known: skip_connect, conv_1x1"));
}

#[test]
fn sources_must_be_earlier_states() {
    let error = refused(&POINT.replace("[\"sage\", 3]", "[\"sage\", 4]"));
    assert_eq!(error.to_string(), "cell.json: normal[4] (node 2): expected a source from 0 to 3, found state 4");
    for source in ["-1", "0.5", "\"0\"", "null", "1e30"] {
        let error = refused(&POINT.replace("[\"sage\", 3]", &format!("[\"sage\", {source}]")));
        assert!(error.to_string().contains("normal[4] (node 2): expected a primitive and a source state"), "{error}");
    }
}

#[test]
fn edges_come_in_pairs() {
    let error = refused(&POINT.replace(", [\"gin\", 1]", ""));
    assert_eq!(error.to_string(), "cell.json: normal: expected two edges for every node, found 5 edges");
    assert!(refused(r#"{"space": "point", "normal": [], "normal_concat": [1]}"#).to_string().contains("found 0 edges"));
    assert!(
        refused(r#"{"space": "point", "normal": "x", "normal_concat": [1]}"#).to_string().contains("a list of edges")
    );
}

#[test]
fn the_concatenation_names_states_that_exist() {
    let error = refused(&POINT.replace("[1, 2, 3, 4]", "[1, 2, 5]"));
    assert_eq!(error.to_string(), "cell.json: normal_concat: expected a list of states from 0 to 4, found state 5");
    assert!(hint(&error).contains("[1, 2, 3, 4]"));
    assert!(refused(&POINT.replace("[1, 2, 3, 4]", "[]")).to_string().contains("an empty list"));
    let missing = refused(&POINT.replace("normal_concat", "concat"));
    assert!(missing.to_string().contains("normal_concat: expected a list of states from 0 to 4, found no such key"));
}

#[test]
fn only_images_have_a_reduction_cell_and_they_must() {
    let image = POINT.replace("point", "image").replace("edge_conv", "sep_conv_7x7");
    let image = ["gat", "mr_conv", "sage", "gin"].iter().fold(image, |text, name| text.replace(name, "max_pool_3x3"));
    assert_eq!(refused(&image).to_string(), format!("cell.json: reduce: expected {}, found no such key", json_edges()));
    let surplus =
        POINT.replace("\"task\"", "\"reduce\": [[\"gat\", 0], [\"gat\", 1]], \"reduce_concat\": [2], \"task\"");
    assert!(refused(&surplus).to_string().contains("reduce: expected no reduction cell in the point space"));
    let both = image.replace(
        "\"task\"",
        "\"reduce\": [[\"skip_connect\", 0], [\"skip_connect\", 0]], \"reduce_concat\": [2], \"task\"",
    );
    let genotype = Genotype::from_json(&both, "cell.json").unwrap();
    assert_eq!(genotype.reduce.unwrap().edges[1], ("skip_connect".to_owned(), 0), "the same source twice is allowed");
}

fn json_edges() -> &'static str {
    "a list of edges such as [[\"skip_connect\", 0], [\"conv_1x1\", 1]]"
}

/// As the published code prints the cell of [`POINT`].
fn printed(more: &str) -> String {
    let edges: Vec<String> =
        point().normal.edges.iter().map(|(name, source)| format!("('{name}', {source})")).collect();
    format!("Genotype(normal=[{}], normal_concat=range(1, 5){more})", edges.join(", "))
}

fn read(text: &str, asked: Option<SpaceName>) -> Result<Genotype> {
    Genotype::from_text(text, "cell.txt", asked)
}

#[test]
fn a_cell_is_read_as_the_published_code_prints_it() {
    let alone = printed("");
    let texts = [
        alone.clone(),
        printed(", reduce=None,"),
        format!(
            "2020-03-01 10:00:00,000 genotype = {}\n2020-03-01 10:09:00,000 genotype = {alone}\n",
            alone.replace("gat", "gin")
        ),
        format!(
            "from collections import namedtuple\nGenotype = namedtuple('Genotype', 'normal normal_concat')\nBest = {alone}"
        ),
        alone.replace("range(1, 5)", "list(range(1, 5))").replace('\'', "\""),
        alone.replace("normal=", "").replace("normal_concat=", ""),
    ];
    for text in texts {
        let cell = read(&text, Some(SpaceName::POINT)).unwrap();
        assert_eq!((cell.space, cell.normal), (SpaceName::POINT, point().normal), "{text}");
    }
    let darts = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 1)], \
                 normal_concat=range(2, 4), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
                 ('max_pool_3x3', 1)], reduce_concat=[2, 3])";
    // Its primitives are of images alone.
    assert_eq!(read(darts, None).unwrap().space, SpaceName::IMAGE);
    // Others put the fields in another order, or the tuple in a log of theirs.
    let (normal, reduce) =
        darts.strip_prefix("Genotype(").unwrap().trim_end_matches(')').split_once(", reduce=").unwrap();
    let turned = format!("04/02 10:00:00 AM genotype = Genotype(reduce={reduce}, {normal})");
    assert_eq!(read(&turned, None).unwrap(), read(darts, None).unwrap());
}

#[test]
fn a_cell_of_several_spaces_needs_a_task_and_python_that_is_no_cell_is_told() {
    let error = read(&printed(""), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cell.txt: space: expected point or graph, found no such key, and primitives of each"
    );
    assert!(hint(&error).contains("--task"));
    assert_eq!(read(&printed(""), Some(SpaceName::GRAPH)).unwrap().space, SpaceName::GRAPH);
    let error = read(&format!("A = {}\nB = {}", printed(""), printed("")), None).unwrap_err();
    assert_eq!(error.to_string(), "cell.txt: expected one cell, found 2: A, B");
    for end in [20, 60] {
        let error = read(&format!("\n{}", &printed("")[..end]), None).unwrap_err();
        assert!(error.to_string().starts_with("cell.txt: line 2: expected Genotype(normal="), "{error}");
        assert!(hint(&error).contains("cut off"));
    }
    for text in
        ["Genotype()", "Genotype(normal=range(9999999))", "Genotype([('gat', 0)])", "Genotype(normal=__import__('os'))"]
    {
        assert!(read(text, None).is_err(), "{text}");
    }
}

#[test]
fn an_object_without_its_space_and_one_that_holds_the_cell_are_read() {
    let without = POINT.replace("\"space\": \"point\", ", "");
    let ranged = without.replace("[1, 2, 3, 4]", "\"range(1, 5)\"");
    assert!(ranged != without && read(&ranged, Some(SpaceName::POINT)).unwrap().normal == point().normal);
    assert_eq!(read(&without, Some(SpaceName::POINT)).unwrap().normal, point().normal);
    assert!(read(&without, None).unwrap_err().to_string().contains("expected point or graph"));
    let shown = format!(
        "{{\"name\": \"x\", \"space\": \"point\", \"task\": null, \"genotype\": {POINT}, \"parameters\": {{}}}}"
    );
    assert_eq!(read(&shown, None).unwrap(), point());
}

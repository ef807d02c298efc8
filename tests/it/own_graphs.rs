//! Folders of graphs as users have them: what `sgas data` tells and writes, the guide's example, and what is refused.

use crate::cli::{refused, run, run_json};
use crate::data::write;
use crate::graphs::{npy, own};
use crate::readme;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn the_folder_of_the_readme_is_read_as_it_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let files = readme::example("edges.csv");
    assert!(files.len() >= 5, "{files:?}");
    files.iter().for_each(|(name, text)| write(folder.path().join("friends").join(name), text.as_bytes()));
    let info = run_json(folder.path(), "data info friends --json");
    assert_eq!((&info["kind"], &info["problems"], &info["multi_label"]), (&json!("graphs"), &json!([]), &json!(false)));
    let rows = files.iter().find(|(name, _)| name == "features.csv").unwrap().1.lines().count() - 1;
    let splits = &info["splits"];
    let [train, validation, test] = ["train", "validation", "test"].map(|split| splits[split].as_u64().unwrap());
    assert_eq!((info["nodes"].as_u64().unwrap(), train + validation + test), (rows as u64, rows as u64));
    assert!(train > 0 && validation > 0 && test > 0);
}

#[test]
fn the_commands_of_the_guide_write_a_graph_and_tell_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let lines = readme::shell_lines(&readme::text("docs/own-data.md"));
    let start = lines.iter().position(|line| line.starts_with("sgas data synth graph ")).unwrap();
    let printed: Vec<String> =
        lines[start..start + 2].iter().map(|line| run(folder.path(), line.strip_prefix("sgas ").unwrap())).collect();
    assert!(printed[0].contains("nodes of one graph, synthetic ones, into graph"), "{printed:?}");
    assert!(printed[1].contains("graphs:     1; nodes each: 800\n"), "{printed:?}");
    let about = std::fs::read_to_string(folder.path().join("graph/README.txt")).unwrap();
    assert!(about.contains("not real data") && about.contains("--kind graphs --layout one --format csv"), "{about}");
}

#[test]
fn synthetic_graphs_are_written_in_both_formats_and_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let told = |name: &str, more: &str| {
        run(folder.path(), &format!("data synth {name} --kind graphs --train 12 --test 10 {more}"));
        let mut info = run_json(folder.path(), &format!("data info {name} --json"));
        let files = info["files"].take();
        info["data"].take();
        (info, files)
    };
    let (csv, files) = told("csv", "");
    assert_eq!(files, json!({ "csv": 4, "txt": 3 }));
    assert_eq!((&csv["graphs"], &csv["features"], &csv["multi_label"]), (&json!(32), &json!(16), &json!(false)));
    assert_eq!(csv["classes"][0]["class"], "synthetic_class_0");
    let (npy, files) = told("npy", "--format npy");
    assert_eq!(
        (files, &npy["stored"], &npy["splits"]),
        (json!({ "npy": 4, "txt": 3 }), &csv["stored"], &csv["splits"])
    );
    let (several, _) = told("several", "--multi-label");
    assert_eq!((&several["multi_label"], several["classes"].as_array().unwrap().len()), (&json!(true), 8));
    let built_in = run_json(
        folder.path(),
        "data info synthetic --kind graphs --json --set data.synthetic.train=12 --set data.synthetic.test=10",
    );
    for key in ["nodes", "links", "degrees", "splits", "classes"] {
        assert_eq!(built_in[key], csv[key], "{key}");
    }
    for (arguments, words) in [
        ("--kind graphs --format npy,csv", "--format: graphs have one format"),
        ("--kind graphs --format png", "--format png: graphs have other formats"),
        ("--kind graphs --points 9", "--points is for shapes and labelled clouds, not for --kind graphs"),
        ("--kind graphs --layout flat", "--layout: graphs have other layouts"),
        ("--layout one", "--layout: shapes have other layouts"),
        ("--multi-label", "--multi-label is for graphs, not for --kind shapes"),
    ] {
        refused(folder.path(), &format!("data synth new {arguments}"), &[words, "hint: "]);
        assert!(!folder.path().join("new").exists());
    }
}

#[test]
fn info_tells_nodes_links_labels_and_splits() {
    let folder = own();
    let path = folder.path();
    write(path.join("edges.csv"), b"source,target,weight\n0,1,1\n1,0,1\n1,2,1\n1,2,3\n3,3,1\n4,0,1\n");
    write(path.join("train.txt"), b"0\n1\n");
    let text = run(path, "data info .");
    let told = [
        "layout:     edges, features, labels\n",
        "test part:  split by train.txt, valid.txt, test.txt\n",
        "files:      3 .csv, 3 .txt\n",
        "graphs:     1; nodes each: 6\n",
        "nodes:      6; links into each: 0 to 2, median 1; 2 isolated\n",
        "links:      6, made of 6 stored: 1 from a node to itself, 1 repeated, 2 in one direction alone\n",
        "features:   2 per node\n",
        "labels:     one of several classes per node\n",
        "scored:     2 training, 1 validation, 2 test nodes; 1 never\n",
        "note: 1 classes, such as green, have no train node\n",
        "note: 1 nodes are for nothing",
    ];
    told.iter().for_each(|told| assert!(text.contains(told), "{told:?} is not in {text}"));
    let row = text.lines().find(|line| line.starts_with("red ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["red", "1", "1", "1"], "{text}");
    write(path.join("labels.csv"), b"round,square\n1,0\n0,1\n1,0\n0,1\n1,0\n1,0\n");
    let text = run(path, "data info . --set data.graphs.links=stored --set data.graphs.self_loops=stored");
    let told = [
        "label                       train    valid     test\n",
        "links:      5, made of 6",
        "several per node",
        "exactly one label",
    ];
    told.iter().for_each(|told| assert!(text.contains(told), "{told:?} is not in {text}"));
    let info = run_json(path, "data info . --json");
    assert_eq!(info["classes"][1], json!({ "class": "square", "train": 1, "validation": 0, "test": 1, "bad": 0 }));
    assert_eq!(info["degrees"], json!({ "min": 0, "median": 1, "max": 2 }));
    assert_eq!(info["stored"], json!({ "links": 6, "self_loops": 1, "duplicates": 1, "one_way": 2 }));
}

#[test]
fn info_without_lists_tells_the_share_and_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "data synth g --kind graphs --layout one --train 60 --test 20");
    for list in ["train.txt", "valid.txt", "test.txt"] {
        std::fs::remove_file(folder.path().join("g").join(list)).unwrap();
    }
    let info = run_json(folder.path(), "data info g --json --set data.test_share=0.3 --set data.validation=0");
    assert_eq!(info["test_part"], "test_share 0.3 of the nodes, split_seed 0");
    assert_eq!((&info["splits"]["validation"], &info["splits"]["none"]), (&json!(0), &json!(0)));
    let test = info["splits"]["test"].as_u64().unwrap();
    assert!(test.abs_diff(30) <= 2, "of every class, rounded: {test}");
}

/// Each change to a good folder is refused by `data info` and by a training, with file and line, and what to do.
#[test]
fn bad_folders_are_told_by_file_and_line() {
    let cases: [(&str, &[u8], &[&str]); 14] = [
        (
            "edges.csv",
            b"source,target\n0,1\n5,6\n",
            &["edges.csv, line 3: expected a target node from 0 to 5, found 6", "begin at 1"],
        ),
        (
            "edges.csv",
            b"0,1\n2\n",
            &["edges.csv, line 2: expected two columns, source and target, found one, 2", "commas"],
        ),
        ("edges.csv", b"a,b\n0,x\n", &["edges.csv, line 2: expected a target node from 0 to 5, found x"]),
        (
            "features.csv",
            b"1,1\n2,1\n3,1\n4,1\n5,nan\n6,1\n",
            &["features.csv, line 5: expected finite numbers", "found nan"],
        ),
        (
            "features.csv",
            b"1,1\n2,1\n3,1\n4,inf\n5,1\n6,1\n",
            &["features.csv, line 4: expected finite numbers", "found inf"],
        ),
        ("features.csv", b"1,1\n2,1\n3,1\n4,1\n5\n6,1\n", &["features.csv, line 5: expected 2 columns", "found 1"]),
        ("labels.csv", b"colour\nred\nblue\n", &["labels.csv: expected 6 rows, one per node", "found 3", "header"]),
        (
            "labels.csv",
            b"a,b\n0,1\n1,0\n0,1\n1,0\n0,2\n1,0\n",
            &["labels.csv, line 6: expected 0 or 1 in column 1", "found 2"],
        ),
        ("graphs.csv", b"0\n0\n0\n1\n1\n", &["graphs.csv: expected 6 rows, one per node", "found 5"]),
        (
            "graphs.csv",
            b"0\n0\n0\n1\n1\n1\n",
            &[
                "edges.csv, line 4: expected a link between nodes of one graph, found node 2 of graph 0 and node 3 of graph 1",
            ],
        ),
        ("train.txt", b"0\n6\n", &["train.txt, line 2: expected a node from 0 to 5, found 6", "one per line"]),
        ("valid.txt", b"# none\n", &["valid.txt: expected at least one node, found none"]),
        (
            "test.txt",
            b"3\n4\n",
            &[
                "test.txt, line 2: expected a node that is listed once, found 4, which train.txt, line 2, lists too",
                "overlap",
            ],
        ),
        ("edges.npy", b"", &["expected edges.csv or edges.npy, found both"]),
    ];
    for (name, bytes, words) in cases {
        let folder = own();
        write(folder.path().join(name), bytes);
        refused_everywhere(folder.path(), words);
    }
}

fn refused_everywhere(folder: &Path, words: &[&str]) {
    let out = refused(folder, "data info .", &["error: graphs that can't be used: 1 problems\nhint: mend them"]);
    let problem = out.lines().find(|line| line.starts_with("problem: "));
    assert!(problem.is_some_and(|line| line.contains(words[0])), "{words:?}: {out}");
    let told = run_json_refused(folder);
    let hint = told["problems"][0]["hint"].as_str().unwrap();
    for word in &words[1..] {
        assert!(problem.is_some_and(|line| line.contains(word)) || hint.contains(word), "{word}: {told}");
    }
}

fn run_json_refused(folder: &Path) -> Value {
    serde_json::from_str(&refused(folder, "data info . --json", &[])).unwrap()
}

#[test]
fn missing_and_cut_files_are_told_and_all_problems_at_once() {
    let folder = own();
    let path = folder.path();
    std::fs::remove_file(path.join("labels.csv")).unwrap();
    refused_everywhere(path, &["expected the file labels.csv or labels.npy, found no such file", "docs/own-data.md"]);
    let whole = npy("<f4", 6, Some(2), &[0; 48]);
    std::fs::remove_file(path.join("features.csv")).unwrap();
    write(path.join("features.npy"), &whole[..whole.len() - 1]);
    write(path.join("labels.csv"), b"1\n0\n1\n0\n1\n0\n");
    refused_everywhere(path, &["features.npy: expected 6 rows, as the header says, found 5: the file is cut", ""]);
    write(path.join("features.npy"), &whole);
    write(path.join("edges.csv"), b"0,9\n1,2\n3,9\n");
    write(path.join("labels.csv"), b"1\n0\n");
    write(path.join("train.txt"), b"8\n");
    let told = run_json_refused(path);
    let problems: Vec<&str> =
        told["problems"].as_array().unwrap().iter().map(|told| told["problem"].as_str().unwrap()).collect();
    let ends = ["edges.csv, line 1", "edges.csv, line 3", "labels.csv", "train.txt, line 1"];
    assert_eq!(problems.len(), ends.len(), "{problems:?}");
    for (problem, end) in problems.iter().zip(ends) {
        assert!(problem.split_once(": ").unwrap().0.ends_with(end), "{problem}");
    }
}

#[test]
fn a_run_on_a_bad_folder_is_refused_and_leaves_nothing() {
    let folder = own();
    write(folder.path().join("edges.csv"), b"0,9\n0,8\n");
    let search = "search --task graphs --data . --out run";
    refused(
        folder.path(),
        search,
        &["edges.csv, line 1: expected a target node", "1 more problems: `sgas data info DIR`"],
    );
    assert!(!folder.path().join("run").exists());
    let nowhere = "search --task ppi --data nowhere";
    refused(
        folder.path(),
        nowhere,
        &["ppi: no data found", "nowhere (not there)", "https://data.dgl.ai/dataset/ppi.zip"],
    );
    refused(
        folder.path(),
        "search --task graphs",
        &["graphs: no data folder was named", "edges.csv", "built-in graphs"],
    );
    refused(folder.path(), "search --task graphs --data synthetic --batch 0", &["--batch", "1"]);
}

/// A folder whose tables are as pandas and PyTorch Geometric write them is the same as the plain one.
#[test]
fn tables_of_pandas_and_pyg_are_the_same_graph() {
    let plain = own();
    let told = |folder: &Path| {
        let mut info = run_json(folder, "data info . --json");
        ["data", "files", "notes", "test_part"].into_iter().for_each(|key| drop(info[key].take()));
        info
    };
    let expected = told(plain.path());
    type Change = (&'static str, &'static str, Vec<u8>);
    let changes: Vec<Vec<Change>> = vec![
        vec![("edges.csv", "edges.csv", b"target,source\n1,0\n2,1\n3,2\n4,3\n5,4\n".to_vec())],
        vec![("edges.csv", "edges.csv", b",source,target\n0,0,1\n1,1,2\n2,2,3\n3,3,4\n4,4,5\n".to_vec())],
        vec![("edges.csv", "edge_list.txt", b"0 1\n1 2\n2 3\n3 4\n4 5\n".to_vec())],
        vec![(
            "edges.csv",
            "edges.npy",
            npy("<i8", 2, Some(5), &[0_i64, 1, 2, 3, 4, 1, 2, 3, 4, 5].map(i64::to_le_bytes).concat()),
        )],
        vec![
            ("features.csv", "features.csv", b",size,age\n0,0,1\n1,1,1\n2,2,1\n3,3,1\n4,4,1\n5,5,1\n".to_vec()),
            ("labels.csv", "labels.csv", b",colour\n0,red\n1,blue\n2,red\n3,green\n4,blue\n5,red\n".to_vec()),
        ],
        vec![("valid.txt", "val.txt", b"0\n0\n1\n0\n0\n0\n".to_vec())],
        vec![("train.txt", "train.npy", npy("|b1", 6, None, &[1, 1, 0, 0, 1, 0]))],
        vec![("test.txt", "test.csv", b"node\n3\n5\n".to_vec())],
    ];
    for change in changes {
        let folder = own();
        for (old, new, bytes) in &change {
            std::fs::remove_file(folder.path().join(old)).unwrap();
            write(folder.path().join(new), bytes);
        }
        assert_eq!(told(folder.path()), expected, "{:?}", change[0].1);
    }
}

#[test]
fn what_can_not_be_seen_is_refused_with_what_to_do() {
    let cases: [(&str, &str, Vec<u8>, &[&str]); 6] = [
        (
            "edges.csv",
            "edges.npy",
            npy("<i8", 2, Some(2), &[0_i64, 1, 1, 2].map(i64::to_le_bytes).concat()),
            &["edges.npy: expected edges of shape (E, 2), one per row, found shape (2, 2)", "source,target"],
        ),
        (
            "labels.csv",
            "labels.npy",
            npy("<i8", 1, Some(6), &[0_i64; 6].map(i64::to_le_bytes).concat()),
            &["labels.npy: expected shape (6, 1), a row per node, found shape (1, 6)", "transposed"],
        ),
        (
            "features.csv",
            "features.npy",
            npy("<f8", 2, Some(6), &[0.5_f64; 12].map(f64::to_le_bytes).concat()),
            &["features.npy: expected shape (6, 2), a row per node, found shape (2, 6)", "transposed"],
        ),
        ("train.txt", "train.pt", b"PK".to_vec(), &["train.pt: expected lists", "one per line"]),
        (
            "labels.csv",
            "labels.csv",
            b"0\n1\n-1\n0\n1\n0\n".to_vec(),
            &["labels.csv, line 3: expected the class of a node, found -1", "data.graphs.unlabelled=-1"],
        ),
        (
            "valid.txt",
            "valid.txt",
            b"2\n2\n".to_vec(),
            &["valid.txt, line 2: expected a node that is listed once, found 2", "a mask"],
        ),
    ];
    for (old, new, bytes, words) in cases {
        let folder = own();
        std::fs::remove_file(folder.path().join(old)).unwrap();
        write(folder.path().join(new), &bytes);
        refused_everywhere(folder.path(), words);
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("ind.cora.x"), b"\x80\x02");
    refused_everywhere(folder.path(), &["expected the file ind.cora.allx, found no such file", ""]);
}

#[test]
fn planetoids_files_are_read_with_their_split_or_the_lists_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let seed = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/planetoid/whole")).unwrap();
    let mut rest = &seed[..];
    for part in ["allx", "tx", "ally", "ty", "y", "graph", "test.index"] {
        let (content, behind) = rest[2..].split_at(usize::from(u16::from_le_bytes([rest[0], rest[1]])));
        write(folder.path().join(format!("ind.cora.{part}")), content);
        rest = behind;
    }
    let info = run_json(folder.path(), "data info . --json");
    assert_eq!(info["splits"], serde_json::json!({ "train": 1, "validation": 2, "test": 2, "none": 1 }));
    assert_eq!((&info["layout"], &info["classes"][1]["class"]), (&"Planetoid".into(), &"1".into()));
    write(folder.path().join("train.txt"), b"0\n1\n");
    write(folder.path().join("test.txt"), b"5\n");
    let info = run_json(folder.path(), "data info . --json");
    assert_eq!(info["splits"], serde_json::json!({ "train": 2, "validation": 0, "test": 1, "none": 3 }));
}

#[test]
fn unlabelled_nodes_are_in_no_split_and_never_scored() {
    let folder = own();
    write(folder.path().join("labels.csv"), b"colour\nred\n?\nred\ngreen\nblue\n?\n");
    let info = run_json(folder.path(), "data info . --json --set data.graphs.unlabelled=?");
    assert_eq!(info["splits"], serde_json::json!({ "train": 2, "validation": 1, "test": 1, "none": 2 }));
    assert_eq!(info["classes"].as_array().unwrap().len(), 3);
    ["train.txt", "valid.txt", "test.txt"]
        .iter()
        .for_each(|name| std::fs::remove_file(folder.path().join(name)).unwrap());
    let info = run_json(folder.path(), "data info . --json --set data.graphs.unlabelled=? --set data.test_share=0.5");
    assert_eq!(info["splits"]["none"], 2, "{info}");
}

//! Graphs from files, made by the tests in their layouts, and the real PPI where it is there: what batches hold.

use crate::data::{NEEDS as LOAD_NEEDS, assert_mentions, load_set, numbers, real_set, write};
use sgas::batch::{Batch, GraphBatch};
use sgas::data::{
    Access, DataConfig, Dataset, EpochPlan, InputNeeds, Loader, SampleKind, Samples, Source, Targets, find,
    graphs::{FAMILY, GRAPHS, PPI},
};
use sgas::error::{Error, Result};
use sgas::tensor::random::{Key, Purpose};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// An array of NumPy: (rows, columns), or (rows) where there are no columns.
pub(crate) fn npy(kind: &str, rows: usize, columns: Option<usize>, data: &[u8]) -> Vec<u8> {
    let shape = columns.map_or_else(|| format!("({rows},)"), |columns| format!("({rows}, {columns})"));
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn wholes(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn reals(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A part of a set in the layout of PPI: nodes 0 to 4 in two graphs, with a self-loop, a link that comes twice and
/// one in both directions; the first feature is the node's number plus `first`.
fn write_part(folder: &Path, part: &str, first: f64) {
    let features: Vec<f64> = (0..5).flat_map(|node| [first + f64::from(node), 0.5]).collect();
    write(folder.join(format!("{part}_feats.npy")), &npy("<f8", 5, Some(2), &reals(&features)));
    let labels = [1, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0];
    write(folder.join(format!("{part}_labels.npy")), &npy("<i8", 5, Some(3), &wholes(&labels)));
    write(folder.join(format!("{part}_graph_id.npy")), &npy("<i8", 5, None, &wholes(&[7, 7, 7, 8, 8])));
    let links = [[0, 1], [1, 0], [1, 2], [1, 2], [2, 2], [3, 4]];
    write(folder.join(format!("{part}_graph.json")), node_link(5, &links).as_bytes());
}

fn node_link(nodes: usize, links: &[[usize; 2]]) -> String {
    let nodes: Vec<String> = (0..nodes).map(|id| format!("{{\"test\": false, \"id\": {id}}}")).collect();
    let link = |[source, target]: &[usize; 2]| format!("{{\"source\": {source}, \"target\": {target}}}");
    let links: Vec<String> = links.iter().map(link).collect();
    let (nodes, links) = (nodes.join(", "), links.join(", "));
    format!(
        "{{\"directed\": false, \"graph\": {{\"name\": \"x\"}}, \"nodes\": [{nodes}], \"links\": [{links}], \"multigraph\": false}}"
    )
}

pub(crate) fn ppi() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (part, first) in [("train", 0.0), ("valid", 10.0), ("test", 20.0)] {
        write_part(folder.path(), part, first);
    }
    folder
}

/// Six nodes of three classes in one graph.
pub(crate) fn own() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("edges.csv"), b"source,target\n0,1\n1,2\n2,3\n3,4\n4,5\n");
    write(folder.path().join("features.csv"), b"size,age\n0,1\n1,1\n2,1\n3,1\n4,1\n5,1\n");
    write(folder.path().join("labels.csv"), b"colour\nred\nblue\nred\ngreen\nblue\nred\n");
    write(folder.path().join("train.txt"), b"0\n4\n1\n");
    write(folder.path().join("valid.txt"), b"2\n");
    write(folder.path().join("test.txt"), b"3\n5\n");
    folder
}

fn load_with(folder: &Path, config: &DataConfig) -> Result<Dataset> {
    load_set(&GRAPHS, &Source::Folder(folder.to_owned()), &mut config.clone(), &LOAD_NEEDS)
}

fn load_folder(folder: &Path) -> Dataset {
    load_with(folder, &DataConfig::default()).unwrap()
}

fn batch(samples: &dyn Samples, indices: &[usize]) -> GraphBatch {
    let access = Access { training: true, key: Key::new(1, Purpose::Augmentation) };
    match samples.batch(indices, access).unwrap() {
        Batch::Graphs(batch) => batch,
        other => panic!("{other:?}"),
    }
}

fn rows(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(tensor.contiguous().view(-1)).unwrap()
}

/// The first feature of every node.
fn first_feature(batch: &GraphBatch) -> Vec<f32> {
    numbers(&batch.features.select(1, 0).contiguous())
}

#[test]
fn ppi_is_read_by_parts_and_its_validation_part_is_its_own() {
    let folder = ppi();
    for validation in [0.0, 0.5] {
        let data = load_with(folder.path(), &DataConfig { validation, ..DataConfig::default() }).unwrap();
        assert_eq!((data.train.len(), data.test.len(), data.channels, data.targets), (2, 2, 2, Targets::Labels));
        assert_eq!(data.classes, ["label 0", "label 1", "label 2"]);
        let validation = data.validation.as_ref().unwrap();
        assert_eq!((validation.len(), first_feature(&batch(&**validation, &[1]))), (2, vec![13.0, 14.0]));
        assert!(data.description().ends_with("(6 graphs): 3 labels, 5 training, 5 validation, 5 test nodes"));
        assert!(data.train.name(1).ends_with("train_graph.json, graph 8"), "{}", data.train.name(1));
        assert_eq!((data.train.label(0), data.train.targets()), (None, 5));
    }
}

#[test]
fn links_lead_both_ways_once_without_self_loops_unless_asked_otherwise() {
    let folder = ppi();
    let count = |text: &str| {
        let data = load_with(folder.path(), &toml::from_str(text).unwrap()).unwrap();
        batch(&*data.train, &[0]).links.count()
    };
    assert_eq!(count(""), 4);
    assert_eq!(count("[graphs]\nlinks = 'stored'"), 3);
    assert_eq!(count("[graphs]\nself_loops = 'stored'"), 5);
    assert_eq!(count("[graphs]\nlinks = 'stored'\nself_loops = 'stored'\nduplicates = 'stored'"), 5);
}

#[test]
fn graphs_of_a_batch_lie_side_by_side() {
    let folder = ppi();
    let data = load_folder(folder.path());
    let joined = batch(&*data.train, &[1, 0]);
    assert_eq!(first_feature(&joined), [3.0, 4.0, 0.0, 1.0, 2.0]);
    assert_eq!((joined.links.nodes(), joined.links.count(), joined.sizes), (5, 6, vec![2, 3]));
    assert!(joined.scored.is_none());
    assert_eq!((joined.labels.kind(), joined.labels.size()), (Kind::Float, vec![5, 3]));
    let [one, other] = [1, 0].map(|graph| numbers(&batch(&*data.train, &[graph]).labels));
    assert_eq!(numbers(&joined.labels), [one, other].concat());
}

#[test]
fn one_graph_is_shared_by_all_splits_with_other_nodes_scored() {
    let folder = own();
    let data = load_folder(folder.path());
    assert_eq!(data.classes, ["blue", "green", "red"]);
    assert!(
        data.targets == Targets::Classes
            && data.description().ends_with("3 classes, 3 training, 1 validation, 2 test nodes")
    );
    let expected: [(&dyn Samples, &[i64], &[i64]); 3] = [
        (&*data.train, &[0, 1, 4], &[2, 0, 0]),
        (&**data.validation.as_ref().unwrap(), &[2], &[2]),
        (&*data.test, &[3, 5], &[1, 2]),
    ];
    for (samples, scored, labels) in expected {
        let batch = batch(samples, &[0]);
        assert_eq!((samples.len(), batch.features.size(), batch.links.count()), (1, vec![6, 2], 10));
        assert_eq!((rows(batch.scored.as_ref().unwrap()), rows(&batch.labels)), (scored.to_vec(), labels.to_vec()));
        assert_eq!((batch.labels.kind(), batch.sizes), (Kind::Int64, vec![scored.len()]));
    }
}

#[test]
fn scored_nodes_of_several_graphs_count_through_the_batch() {
    let folder = own();
    write(folder.path().join("graphs.csv"), b"graph\n5\n5\n5\n2\n2\n2\n");
    write(folder.path().join("edges.csv"), b"0,1\n1,2\n3,4\n4,5\n");
    let data = load_folder(folder.path());
    assert_eq!(data.train.len(), 2);
    let batch = batch(&*data.train, &[0, 1]);
    // Graph 2 with nodes 3, 4 and 5 comes first.
    assert_eq!(first_feature(&batch), [3.0, 4.0, 5.0, 0.0, 1.0, 2.0]);
    assert_eq!((rows(batch.scored.as_ref().unwrap()), batch.sizes), (vec![1, 3, 4], vec![1, 2]));
    assert_eq!((data.validation.as_ref().unwrap().len(), data.test.len()), (1, 1));
}

#[test]
fn an_epoch_may_be_one_graph_and_a_short_last_batch_is_kept() {
    let folder = own();
    let data = load_folder(folder.path());
    let plan = EpochPlan::training(Key::new(0, Purpose::Order), 4, false);
    let loader = Loader::new(data.train.clone(), DataConfig::default().loader());
    let batches: Vec<Batch> = loader.epoch(&plan).map(|batch| batch.unwrap()).collect();
    assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_share_of_the_training_graphs_or_nodes_is_enough_for_short_runs() {
    let config = DataConfig { training_share: 0.5, ..DataConfig::default() };
    let (folder, nodes) = (ppi(), own());
    let graphs = load_with(folder.path(), &config).unwrap();
    assert_eq!((graphs.train.len(), graphs.validation.unwrap().len(), graphs.test.len()), (1, 2, 2));
    // Of the classes red (one training node) and blue (two).
    let nodes = load_with(nodes.path(), &config).unwrap();
    assert_eq!((nodes.train.targets(), nodes.test.targets()), (2, 2));
}

#[test]
fn synthetic_graphs_say_that_they_are() {
    let config: DataConfig = toml::from_str("[synthetic]\ntrain = 10\ntest = 10").unwrap();
    for (set, several, labels) in [(&PPI, true, 8), (&GRAPHS, false, 5)] {
        let data = load_set(set, &Source::Synthetic, &mut config.clone(), &LOAD_NEEDS).unwrap();
        assert!(data.description().starts_with("synthetic 30 graphs (built in, not real data): "));
        assert_eq!((data.targets == Targets::Labels, data.classes.len(), data.channels), (several, labels, 16));
        assert_eq!((data.train.len(), data.validation.unwrap().len(), data.test.len()), (10, 10, 10));
    }
}

fn refused(folder: &Path) -> Error {
    let error = load_with(folder, &DataConfig::default()).err().unwrap();
    assert!(error.exit_code() == 2 && error.hint().is_some(), "{error}");
    error
}

#[test]
fn bad_files_of_ppi_are_told_with_their_place() {
    type Change = fn(&Path);
    let cases: [(Change, &[&str]); 9] = [
        (
            |folder| std::fs::remove_file(folder.join("valid_feats.npy")).unwrap(),
            &["the file valid_feats.npy", "no such"],
        ),
        (
            |folder| {
                let bytes = std::fs::read(folder.join("test_labels.npy")).unwrap();
                write(folder.join("test_labels.npy"), &bytes[..bytes.len() - 9]);
            },
            &["test_labels.npy: expected 5 rows, as the header says, found 4: the file is cut"],
        ),
        (
            |folder| write(folder.join("train_graph.json"), node_link(5, &[[0, 1], [2, 5]]).as_bytes()),
            &["train_graph.json, link 1: expected a target node from 0 to 4, found 5", "begin at 1"],
        ),
        (
            |folder| write(folder.join("train_graph.json"), node_link(5, &[[0, 4]]).as_bytes()),
            &["train_graph.json, link 0: expected a link between nodes of one graph, found node 0 of graph 7"],
        ),
        (
            |folder| write(folder.join("train_graph.json"), node_link(4, &[[0, 1]]).as_bytes()),
            &["train_graph.json: expected 5 nodes, as the arrays have rows, found 4"],
        ),
        (
            |folder| write(folder.join("train_graph.json"), &node_link(5, &[]).as_bytes()[..90]),
            &["train_graph.json: expected networkx's node-link JSON", "EOF"],
        ),
        (
            |folder| write(folder.join("test_graph_id.npy"), &npy("<i8", 4, None, &wholes(&[7, 7, 8, 8]))),
            &["test_graph_id.npy: expected 5 rows, one per node", "found 4"],
        ),
        (
            |folder| write(folder.join("train_labels.npy"), &npy("<i8", 5, Some(3), &wholes(&[0, 2].repeat(8)[..15]))),
            &["train_labels.npy, row 0: expected 0 or 1 in column 1", "found 2"],
        ),
        (
            |folder| write(folder.join("test_feats.npy"), &npy("<f8", 5, Some(1), &reals(&[0.0; 5]))),
            &["test_feats.npy: expected 2 columns, as in train_feats.npy, found 1"],
        ),
    ];
    for (change, words) in cases {
        let folder = ppi();
        change(folder.path());
        assert_mentions(&refused(folder.path()), words);
    }
}

#[test]
fn ppi_is_found_by_its_folder_and_told_where_it_is_published() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("ppi");
    std::fs::create_dir(&folder).unwrap();
    for part in ["train", "valid", "test"] {
        write_part(&folder, part, 0.0);
    }
    let expected = Source::Folder(folder.canonicalize().unwrap());
    for named in [parent.path(), &folder] {
        assert_eq!(find(&PPI, named.to_str()).unwrap(), expected);
    }
    assert_eq!(find(&GRAPHS, folder.to_str()).unwrap(), expected);
    let plain = own();
    let error = find(&PPI, plain.path().to_str()).unwrap_err();
    assert_mentions(&error, &["no graphs in a known layout", "https://data.dgl.ai/dataset/ppi.zip", "graph.json"]);
    assert!(find(&GRAPHS, plain.path().to_str()).is_ok());
}

const KIND: SampleKind = SampleKind::of(&FAMILY);

const NEEDS: InputNeeds = InputNeeds { minimum_points: 0, draws: 1, device: Device::Cpu, skip_bad: false };

#[test]
fn new_graphs_need_no_labels_and_every_node_gets_a_row() {
    let parent = tempfile::tempdir().unwrap();
    write(parent.path().join("a/edges.csv"), b"0,1\n2,3\n");
    write(parent.path().join("a/features.csv"), b"0,9\n1,9\n2,9\n3,9\n");
    write(parent.path().join("a/graphs.csv"), b"1\n1\n0\n0\n");
    for part in ["train", "test"] {
        write_part(&parent.path().join("b"), part, 50.0);
        std::fs::remove_file(parent.path().join(format!("b/{part}_labels.npy"))).unwrap();
    }
    write(parent.path().join("notes/README.txt"), b"no graph");
    let named = [parent.path().to_owned(), parent.path().join("a")];
    let found = KIND.family.find_inputs(&named).unwrap();
    assert_eq!(found, ["a", "b", "a"].map(|name| parent.path().join(name)));
    let inputs = KIND.family.read_inputs(&found, &DataConfig::default(), NEEDS).unwrap();
    assert_eq!((inputs.channels, inputs.files.len(), inputs.samples.len()), (2, 4 + 10 + 4, 2 + 4 + 2));
    let nodes: Vec<f32> =
        (0..inputs.samples.len()).flat_map(|graph| first_feature(&batch(&*inputs.samples, &[graph]))).collect();
    assert_eq!(nodes[..7], [2.0, 3.0, 0.0, 1.0, 50.0, 51.0, 52.0]);
    let names: Vec<&str> = inputs.files.iter().map(|file| file.name.rsplit_once('/').unwrap().1).collect();
    assert_eq!(names[..3], ["a, graph 0, node 2", "a, graph 0, node 3", "a, graph 1, node 0"]);
    assert_eq!(names[4], "train_graph.json, graph 7, node 0");
    let whole = batch(&*inputs.samples, &[0, 2]);
    assert_eq!((whole.scored.is_none(), whole.labels.size(), whole.sizes), (true, vec![5], vec![2, 3]));
}

#[test]
fn inputs_that_are_no_graphs_are_refused_or_skipped() {
    let parent = tempfile::tempdir().unwrap();
    write(parent.path().join("good/edges.csv"), b"0,1\n");
    write(parent.path().join("good/features.csv"), b"0,9\n1,9\n");
    write(parent.path().join("bad/edges.csv"), b"0,2\n");
    write(parent.path().join("bad/features.csv"), b"0,9\n1,9\n");
    write(parent.path().join("wide/edges.csv"), b"0,1\n");
    write(parent.path().join("wide/features.csv"), b"0,9,3\n1,9,3\n");
    write(parent.path().join("empty/a.txt"), b"");
    let find = |name: &str| KIND.family.find_inputs(&[parent.path().join(name)]);
    assert_mentions(&find("nowhere").unwrap_err(), &["cannot read", "nowhere"]);
    assert_mentions(&find("good/edges.csv").unwrap_err(), &["expected a folder of graphs", "found a file"]);
    assert_mentions(&find("empty").unwrap_err(), &["expected a folder of graphs", "labels and lists may be left out"]);
    let read = |names: &[&str], skip_bad| {
        let paths: Vec<_> = names.iter().map(|name| parent.path().join(name)).collect();
        KIND.family.read_inputs(&paths, &DataConfig::default(), InputNeeds { skip_bad, ..NEEDS })
    };
    let error = read(&["good", "bad"], false).err().unwrap();
    assert_mentions(&error, &["bad/edges.csv, line 1: expected a target node from 0 to 1, found 2"]);
    let error = read(&["good", "wide"], false).err().unwrap();
    assert_mentions(&error, &["wide: features: expected 2 columns, as the folder before, found 3"]);
    let skipped = read(&["bad", "good"], true).unwrap();
    let errors: Vec<bool> = skipped.files.iter().map(|file| file.error.is_some()).collect();
    assert_eq!((errors, skipped.samples.len()), (vec![true, false, false], 1));
}

#[test]
fn the_real_ppi_has_its_published_sizes() {
    let Some(folder) = real_set("ppi") else { return };
    let data = load_set(&PPI, &Source::Folder(folder), &mut DataConfig::default(), &LOAD_NEEDS).unwrap();
    let validation = data.validation.unwrap();
    assert_eq!((data.train.len(), validation.len(), data.test.len()), (20, 2, 2));
    assert_eq!((data.train.targets(), validation.targets(), data.test.targets()), (44_906, 6_514, 5_524));
    assert_eq!((data.classes.len(), data.channels, data.targets), (121, 50, Targets::Labels));
    let graphs: Vec<GraphBatch> = (0..20).map(|graph| batch(&*data.train, &[graph])).collect();
    // Stored are 1,271,274 links in both directions, one of every node to itself.
    let links: i64 = graphs.iter().map(|graph| graph.links.count()).sum();
    assert_eq!(links, 1_271_274 - 44_906);
    assert_eq!(graphs[0].labels.size(), [graphs[0].features.size()[0], 121]);
}

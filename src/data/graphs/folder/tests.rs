//! One graph in every spelling of its tables is the same graph.

use proptest::prelude::*;

use super::*;
use crate::data::folders::tests::write;
use crate::data::gzip::tests::packed;
use crate::data::split::Split;

/// A graph before it is spelled.
#[derive(Debug, Clone)]
struct Plain {
    features: Vec<[f32; 2]>,
    classes: Vec<usize>,
    edges: Vec<[usize; 2]>,
    splits: Vec<Option<Split>>,
}

/// How its tables are spelled.
#[derive(Debug, Clone, Copy)]
struct Spelling {
    header: bool,
    index: bool,
    /// Nodes have names, in a column of features and labels.
    named: bool,
    /// Rows of features, labels and edges stand in another order, which a column of nodes says.
    moved: bool,
    /// Which column of the edges stands where: source, target, weight.
    order: usize,
    delimiter: char,
    packed: bool,
    masks: bool,
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0], [0, 2, 1], [1, 2, 0]];

fn plain() -> impl Strategy<Value = Plain> {
    (4_usize..9).prop_flat_map(|nodes| {
        let features = prop::collection::vec([-40_i32..40, -40..40], nodes);
        let edges = prop::collection::vec([0..nodes, 0..nodes], 5..20);
        let classes = prop::collection::vec(0_usize..3, nodes);
        let splits = prop::collection::vec(0_usize..4, nodes);
        (features, classes, edges, splits).prop_map(|(features, mut classes, edges, mut splits)| {
            (classes[0], classes[1]) = (0, 1);
            (splits[0], splits[1]) = (0, 1);
            let split = |split: usize| [Some(Split::Train), Some(Split::Test), Some(Split::Validation), None][split];
            Plain {
                features: features.into_iter().map(|row| row.map(|value| value as f32 + 0.5)).collect(),
                classes,
                edges,
                splits: splits.into_iter().map(split).collect(),
            }
        })
    })
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let flags = prop::array::uniform6(any::<bool>());
    let delimiter = prop::sample::select(vec![',', ';', '\t', ' ']);
    (flags, 0_usize..6, delimiter).prop_map(|([header, index, named, moved, packed, masks], order, delimiter)| {
        // Only a header says what other columns are; blanks can't stand around an empty name.
        let header = header || index || moved;
        let index = index && delimiter != ' ';
        Spelling { header, index, named, moved, order: if header { order } else { 0 }, delimiter, packed, masks }
    })
}

impl Spelling {
    fn name(self, node: usize) -> String {
        if self.named { format!("n{}", 7 * node + 3) } else { node.to_string() }
    }

    /// A table of these columns and rows.
    fn table(self, names: &[&str], mut rows: Vec<Vec<String>>) -> Vec<u8> {
        if self.moved {
            let middle = rows.len() / 2;
            rows.rotate_left(middle);
        }
        let mut lines: Vec<Vec<String>> = Vec::new();
        if self.header {
            lines.push(names.iter().map(|name| (*name).to_owned()).collect());
        }
        lines.append(&mut rows);
        if self.index {
            for (line, cells) in lines.iter_mut().enumerate() {
                cells.insert(0, line.checked_sub(1).map_or(String::new(), |row| row.to_string()));
            }
        }
        let delimiter = self.delimiter.to_string();
        let text: Vec<String> = lines.into_iter().map(|line| line.join(&delimiter) + "\n").collect();
        text.concat().into_bytes()
    }

    fn write(self, folder: &Path, name: &str, content: &[u8]) {
        match self.packed {
            true => std::fs::write(folder.join(format!("{name}.gz")), packed(content)).unwrap(),
            false => std::fs::write(folder.join(name), content).unwrap(),
        }
    }

    fn write_graph(self, folder: &Path, plain: &Plain) {
        let nodes = 0..plain.classes.len();
        let says_node = self.named || self.moved;
        let with_node = |node: usize, mut cells: Vec<String>| {
            if says_node {
                cells.insert(0, self.name(node));
            }
            cells
        };
        let names = |names: &[&'static str]| -> Vec<&'static str> {
            if says_node { [&["node_id"], names].concat() } else { names.to_vec() }
        };
        let features = |node: usize| with_node(node, plain.features[node].map(|value| format!("{value}")).to_vec());
        let labels = |node: usize| with_node(node, vec![["chess", "choir", "go"][plain.classes[node]].to_owned()]);
        let edge = |ends: &[usize; 2]| {
            let cells = [self.name(ends[0]), self.name(ends[1]), "0.5".to_owned()];
            ORDERS[self.order].map(|column| cells[column].clone()).to_vec()
        };
        let columns = ORDERS[self.order].map(|column| ["src", "dst", "weight"][column]);
        self.write(
            folder,
            "features.csv",
            &self.table(&names(&["age", "posts"]), nodes.clone().map(features).collect()),
        );
        self.write(folder, "labels.csv", &self.table(&names(&["club"]), nodes.clone().map(labels).collect()));
        let plainly = Self { moved: false, ..self };
        self.write(folder, "edges.csv", &plainly.table(&columns, plain.edges.iter().map(edge).collect()));
        for (name, split) in [("train", Split::Train), ("val", Split::Validation), ("test", Split::Test)] {
            let is_in = |node: &usize| plain.splits[*node] == Some(split);
            let text: String = match self.masks {
                true => nodes.clone().map(|node| format!("{}\n", u8::from(is_in(&node)))).collect(),
                false => nodes.clone().filter(is_in).map(|node| format!("{}\n", self.name(node))).collect(),
            };
            if plain.splits.contains(&Some(split)) {
                self.write(folder, &format!("{name}.txt"), text.as_bytes());
            }
        }
    }
}

fn read_folder(folder: &Path) -> Folder {
    let config = GraphDataConfig::default();
    let wanted = Wanted { labelled: true, lists: ["train.txt", "test.txt"], config: &config };
    read(folder, Layout::detect(folder).unwrap(), wanted).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_graph_is_the_same_in_every_spelling(plain in plain(), spelling in spelling()) {
        let folder = tempfile::tempdir().unwrap();
        spelling.write_graph(folder.path(), &plain);
        let read = read_folder(folder.path());
        // Names number the nodes in the order of the rows of the features.
        let count = plain.classes.len();
        let middle = if spelling.moved && spelling.named { count / 2 } else { 0 };
        let plain_node = |node: usize| (node + middle) % count;
        let node = |plain: usize| ((plain + count - middle) % count) as u32;
        let features = (0..count).flat_map(|at| plain.features[plain_node(at)]).collect();
        prop_assert_eq!(&read.nodes.features, &Matrix { columns: 2, values: features });
        let links: Vec<[u32; 2]> = plain.edges.iter().map(|ends| ends.map(node)).collect();
        prop_assert_eq!(&read.nodes.links, &links);
        let Some(Labels::Classes(classes)) = &read.nodes.labels else { panic!("{:?}", read.nodes.labels) };
        let named: Vec<&str> = classes.iter().map(|class| read.names[*class as usize].as_str()).collect();
        let expected: Vec<&str> = (0..count).map(|at| ["chess", "choir", "go"][plain.classes[plain_node(at)]]).collect();
        prop_assert_eq!(named, expected);
        if !(spelling.masks && middle > 0) {
            let marks: Vec<Option<Split>> = (0..count).map(|at| plain.splits[plain_node(at)]).collect();
            prop_assert_eq!(read.lists.marks, marks);
        }
    }
}

#[test]
fn rows_in_another_order_need_a_column_in_every_table() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("edges.csv", "0,1\n1,2\n");
    write("features.csv", "id,a\n2,0.5\n0,1.5\n1,2.5\n");
    write("labels.csv", "x\ny\nx\n");
    let config = GraphDataConfig::default();
    let wanted = Wanted { labelled: true, lists: ["train.txt", "test.txt"], config: &config };
    let error = read(folder.path(), Layout::Tables, wanted).unwrap_err().first();
    assert!(error.to_string().contains("or a column of their numbers in the labels too"), "{error}");
    write("labels.csv", "node,label\n2,x\n0,y\n1,x\n");
    let read = read_folder(folder.path());
    assert_eq!(read.nodes.features.values, [1.5, 2.5, 0.5]);
    assert_eq!(read.nodes.labels, Some(Labels::Classes(vec![1, 0, 0])));
    assert_eq!(read.told.len(), 3, "{:?}", read.told);
}

#[test]
fn folders_of_ogb_and_the_first_cora_are_read_as_they_are_published() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("ogb/raw/edge.csv.gz", "0,1\n1,2\n0,1\n"),
        ("ogb/raw/node-feat.csv.gz", "0.3,1\n0.2,7\n0.4,2\n0.8,0\n0.5,1\n"),
        ("ogb/raw/node-label.csv.gz", "0\n1\n0\n1\n1\n"),
        ("ogb/raw/num-node-list.csv.gz", "3\n2\n"),
        ("ogb/raw/num-edge-list.csv.gz", "2\n1\n"),
        ("ogb/raw/node_year.csv.gz", "2000\n"),
        ("ogb/split/time/train.csv.gz", "0\n1\n"),
        ("ogb/split/time/valid.csv.gz", "2\n"),
        ("ogb/split/time/test.csv.gz", "3\n4\n"),
        ("one/cora.content", "p7 0 1 1 Theory\np3 1 0 0 Genetic_Algorithms\np9 0 0 1 Theory\n"),
        ("one/cora.cites", "p7 p3\np9 p7\np9 p1\n"),
    ] {
        write(folder.path(), name, &packed(text.as_bytes()));
    }
    let ogb = read_folder(&folder.path().join("ogb"));
    assert_eq!(ogb.nodes.links, [[0, 1], [1, 2], [3, 4]]);
    assert_eq!(ogb.nodes.graphs, Some(vec![0, 0, 0, 1, 1]));
    assert_eq!(ogb.lists.present.len(), 3);
    let cora = read_folder(&folder.path().join("one"));
    assert_eq!(cora.nodes.links, [[1, 0], [0, 2]]);
    assert_eq!((cora.nodes.features.columns, cora.names.join(" ")), (3, "Genetic_Algorithms Theory".to_owned()));
    assert_eq!(cora.numbering.name(1), "p3");
    assert!(
        cora.told.iter().any(|told| told.contains("1 links of papers that the other file lacks")),
        "{:?}",
        cora.told
    );
}

#[test]
fn without_labels_their_names_of_nodes_are_taken_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("edges.csv", "ann,bea\nbea,cem\n");
    write("features.csv", "a\n0.5\n1.5\n2.5\n");
    write("labels.csv", "who,label\nann,\nbea,-1\ncem,0.5\n");
    write("train.txt", "nobody\n9\n");
    let config = GraphDataConfig::default();
    let read = |labelled| {
        read(folder.path(), Layout::Tables, Wanted { labelled, lists: ["train.txt", "test.txt"], config: &config })
    };
    let found = read(false).unwrap();
    assert_eq!((found.nodes.links, found.numbering.name(2)), (vec![[0, 1], [1, 2]], "cem".to_owned()));
    assert!(found.nodes.labels.is_none() && read(true).is_err());
    write("labels.csv", "\x01,\n");
    write("edges.csv", "0,1\n1,2\n");
    assert_eq!(read(false).unwrap().nodes.links, [[0, 1], [1, 2]]);
}

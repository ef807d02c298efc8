//! The one list of everything that reads a user's file. The fuzz targets (`fuzz_targets/any.rs`) and the bounded test
//! (`tests/it/fuzz.rs`) both run it; `seeds/NAME` holds the files that they begin with.

use std::path::Path;

use sgas::benchmark::NasBenchGraph;
use sgas::benchmark::nas_bench_201::NasBench201;
use sgas::benchmark::nb301::read_encoding;
use sgas::benchmark::onnx::Graph;
use sgas::checkpoint::{Checkpoint, WeightFile};
use sgas::commands::run_folder::RunFolder;
use sgas::commands::{correlate, study};
use sgas::config::{SearchRun, TrainRun};
use sgas::data::parsers;
use sgas::error::{Error, Result};
use sgas::genotype::Genotype;

/// One parser.
pub struct Parser {
    /// As `cargo fuzz run` takes it, and the folder of its seeds.
    pub name: &'static str,
    /// The crate that does the reading; absent where we do it ourselves.
    #[allow(dead_code, reason = "the fuzz targets do not ask")]
    pub through: Option<&'static str>,
    /// Reads a content: `Ok` or an error, whatever it is.
    pub read: fn(&[u8]) -> Result<()>,
}

const fn ours(name: &'static str, read: fn(&[u8]) -> Result<()>) -> Parser {
    Parser { name, through: None, read }
}

const fn through(through: &'static str, name: &'static str, read: fn(&[u8]) -> Result<()>) -> Parser {
    Parser { name, through: Some(through), read }
}

/// Nodes of the graph whose tables are read.
const NODES: usize = 7;

/// All of them.
pub static PARSERS: [Parser; 46] = [
    ours("off", |content| parsers::shape("off", content)),
    ours("obj", |content| parsers::shape("obj", content)),
    ours("ply", |content| parsers::shape("ply", content)),
    ours("stl", |content| parsers::shape("stl", content)),
    ours("las", |content| parsers::shape("las", content)),
    ours("text", |content| parsers::shape("xyz", content)),
    ours("npy", |content| parsers::shape("npy", content)),
    ours("genotype", |content| {
        Genotype::from_text(text(content)?, "genotype", None).map(|genotype| drop(genotype.to_json()))
    }),
    ours("arch_table", |content| NasBench201::parse(text(content)?, "table.csv", 3).map(drop)),
    ours("graph_cell_table", |content| NasBenchGraph::parse(text(content)?, "table.csv").map(drop)),
    ours("surrogate_encoding", |content| read_encoding(text(content)?, "encoding.json").map(drop)),
    ours("config", config),
    ours("study_plan", |content| study::check_plan("plan.toml", text(content)?)),
    ours("node_features", |content| parsers::features("csv", content.to_vec())),
    ours("node_arrays", node_arrays),
    ours("node_labels", node_labels),
    ours("node_links", |content| parsers::links("csv", content.to_vec(), NODES)),
    ours("node_list", |content| parsers::node_list(content, NODES)),
    ours("ppi_graph", |content| parsers::ppi(content.to_vec(), NODES)),
    ours("planetoid", parsers::planetoid),
    ours("cifar", |content| any([parsers::cifar(content, false), parsers::cifar(content, true)])),
    ours("pickle", |content| sgas::pickle::read(content, "a.pkl", &[]).map(drop)),
    ours("pytorch", |content| WeightFile::parse(content, "w.pt").map(drop)),
    ours("pickled_cifar", |content| {
        any([parsers::pickled_cifar(content, false), parsers::pickled_cifar(content, true)])
    }),
    ours("idx", parsers::idx),
    ours("labelled_cloud", |content| parsers::labelled_cloud("txt", content)),
    ours("semantic_kitti", semantic_kitti),
    ours("names", names),
    ours("shapenet_lists", shapenet_lists),
    ours("shapenet_labels", parsers::shapenet_labels),
    ours("run_json", |content| {
        in_file("run.json", content, |path| RunFolder::open(folder_of(path))?.about().map(drop))
    }),
    ours("events", events),
    through("csv", "scores_table", |content| in_file("runs.csv", content, |path| correlate::check_table(path, &[]))),
    through("prost", "onnx", |content| Graph::of_bytes(content, "surrogate.onnx").map(drop)),
    through("pcd-rs", "pcd", |content| parsers::shape("pcd", content)),
    through("zip", "npz", |content| any([parsers::labelled_cloud("npz", content), parsers::shape("npz", content)])),
    through("hdf5-reader", "modelnet_hdf5", |content| parsers::modelnet_hdf5(content.to_vec())),
    through("hdf5-reader", "s3dis_hdf5", |content| parsers::s3dis_hdf5(content.to_vec())),
    through("image", "png", parsers::picture),
    through("image", "jpeg", parsers::picture),
    through("image", "webp", parsers::picture),
    through("image", "bmp", parsers::picture),
    through("image", "tiff", parsers::picture),
    through("image", "gif", parsers::picture),
    through("tar", "archive", parsers::archive),
    through("safetensors", "checkpoint", |content| {
        in_file("a.safetensors", content, |path| Checkpoint::load(path).map(drop))
    }),
];

/// The parser of this name; panics for one that is not in the list.
#[allow(dead_code, reason = "the test takes all")]
pub fn find(name: &str) -> &'static Parser {
    PARSERS.iter().find(|parser| parser.name == name).expect("a target is named as a parser is")
}

fn text(content: &[u8]) -> Result<&str> {
    std::str::from_utf8(content).map_err(|error| Error::invalid("content", "UTF-8", error.to_string()))
}

/// The labels of as many nodes as there are lines, or rows below a header.
fn node_labels(content: &[u8]) -> Result<()> {
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    any([lines, lines.saturating_sub(1)].map(|nodes| parsers::labels("csv", content.to_vec(), nodes)))
}

/// A TOML text, and behind a NUL each what `--set` takes.
fn config(content: &[u8]) -> Result<()> {
    let mut parts = text(content)?.split('\0');
    let file = parts.next().unwrap_or_default();
    let set: Vec<String> = parts.map(str::to_owned).collect();
    let search = sgas::config::parse::<SearchRun>("a.toml", file, &set);
    any([sgas::config::parse::<TrainRun>("a.toml", file, &set).map(drop), search.map(drop)])
}

/// An array in the place of each table of nodes.
fn node_arrays(content: &[u8]) -> Result<()> {
    let array = || content.to_vec();
    let read = [
        parsers::features("npy", array()),
        parsers::labels("npy", array(), NODES),
        parsers::graph_numbers("npy", array(), NODES),
        parsers::links("npy", array(), NODES),
    ];
    any(read)
}

/// Nothing where one reader takes the content, else what the first one says.
fn any<const COUNT: usize>(read: [Result<()>; COUNT]) -> Result<()> {
    if read.iter().any(Result::is_ok) { Ok(()) } else { read.into_iter().collect() }
}

/// Points of 16 bytes, and behind them the labels of 4.
fn semantic_kitti(content: &[u8]) -> Result<()> {
    let (points, labels) = content.split_at(16 * (content.len() / 20));
    parsers::semantic_kitti(points, labels)
}

/// A text in the place of every list of names.
fn names(content: &[u8]) -> Result<()> {
    let text = text(content)?;
    let read = [
        parsers::shape_names(text),
        parsers::cifar_names(text),
        parsers::class_list(text),
        parsers::file_list(text),
        parsers::parts_table(text),
        parsers::taxonomy(text),
    ];
    any(read)
}

fn shapenet_lists(content: &[u8]) -> Result<()> {
    let text = text(content)?;
    any([parsers::shapenet_list(text), parsers::shapenet_categories(text)])
}

fn events(content: &[u8]) -> Result<()> {
    in_file("events.jsonl", content, |path| {
        let folder = folder_of(path);
        std::fs::write(folder.join("run.json"), b"{}").expect("the folder is ours");
        RunFolder::open(folder)?.is_finished();
        sgas::report::log::events(folder).map(drop)
    })
}

/// Gives the content as a file of a folder that is this thread's own, in memory where that is possible.
fn in_file(name: &str, content: &[u8], read: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = root.join(format!("sgas-fuzz-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files can be written");
    let path = folder.join(name);
    std::fs::write(&path, content).expect("a folder for temporary files can be written");
    let outcome = read(&path);
    // One that panics leaves it to be looked at.
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    outcome
}

fn folder_of(path: &Path) -> &Path {
    path.parent().expect("the file lies in a folder")
}

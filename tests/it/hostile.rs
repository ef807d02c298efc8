//! Files that are small and claim to be huge, and entries of folders that are no files: each is refused in a moment, by a
//! program that holds little more memory than it always does. The program runs as a child that is watched, so that a
//! failure costs neither the test's memory nor its time.

use crate::cli::sgas;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shapes");
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds");

/// What the program may hold: with libtorch and nothing to do it holds 130 MiB.
const MOST_KIB: u64 = 768 << 10;

/// What the program may compute where it takes a tenth of a second, and of the longest table five: seconds of a processor,
/// which other processes don't lengthen.
const MOST_SECONDS: u64 = 60;

/// A program that waits for ever computes nothing.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs the program in `folder`; its exit code and everything it prints.
fn watched(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(sgas(folder).get_program());
    command.args(arguments).current_dir(folder).env("OMP_NUM_THREADS", "1").env("NO_COLOR", "1");
    command.env_remove("SGAS_RUNS").env_remove("SGAS_DATA").env_remove("RUST_BACKTRACE");
    watch(command, folder)
}

/// Runs a command, whose output lies in `folder` meanwhile; its exit code and everything it prints. Fails the test where
/// it takes too much memory or time.
pub fn watch(mut command: Command, folder: &Path) -> (i32, String) {
    let printed = folder.join(".printed");
    let output = fs::File::create(&printed).unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let text = String::from_utf8_lossy(&fs::read(&printed).unwrap()).into_owned();
            return (status.code().unwrap_or_else(|| panic!("{command:?} ended by {status}: {text}")), text);
        }
        let held = peak_kib(child.id());
        let (computed, waited) = (computed_seconds(child.id()), begun.elapsed());
        let fault = if held > MOST_KIB {
            Some(format!("{held} KiB of memory"))
        } else {
            let is_over = computed > MOST_SECONDS || waited > PATIENCE;
            is_over.then(|| format!("{computed} seconds of a processor in {waited:?}"))
        };
        if let Some(fault) = fault {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} takes {fault}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The most memory that a process ever held; 0 where the system doesn't say.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// What a process computed so far, by the hundredths of a second of Linux; 0 where the system doesn't say.
fn computed_seconds(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name in brackets: the state, ten numbers, and the times in the program and in the system.
    let numbers = status.rsplit_once(')').map_or("", |(_, numbers)| numbers).split_whitespace();
    numbers.skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum::<u64>() / 100
}

/// Runs what the user must change: exit code 2, an error with all `words`, and a hint.
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let (code, text) = watched(folder, arguments);
    assert!(code == 2 && !text.contains("panicked"), "{arguments:?} ends with {code}: {text}");
    for word in words.iter().chain(&["error: ", "hint: "]) {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
}

/// A folder of two classes with good shapes.
fn shapes() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        let class = folder.path().join("set").join(class);
        fs::create_dir_all(&class).unwrap();
        for number in 0..6 {
            fs::copy(format!("{FIXTURES}/trimesh.off"), class.join(format!("{number}.off"))).unwrap();
        }
    }
    let class = folder.path().join("set/a");
    (folder, class)
}

/// A folder of one graph of three nodes, without features.
fn graph() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("graph")).unwrap();
    fs::write(folder.path().join("graph/edges.csv"), "0,1\n1,2\n").unwrap();
    fs::write(folder.path().join("graph/labels.csv"), "x\ny\nx\n").unwrap();
    folder
}

#[test]
fn an_archive_that_unpacks_to_gigabytes_is_refused() {
    let (folder, class) = shapes();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (400000000, 3), }\n";
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("points.npy", zip::write::FileOptions::default().large_file(true)).unwrap();
    archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
    archive.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
    archive.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1150 {
        archive.write_all(&zeros).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    assert!(bytes.len() < 2 << 20);
    fs::write(class.join("bomb.npz"), &bytes).unwrap();
    refused(
        folder.path(),
        &["data", "info", "set"],
        &["bomb.npz, array points: expected an array that unpacks to at most"],
    );
}

#[test]
fn an_hdf5_file_that_claims_gigabytes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    fs::create_dir(&set).unwrap();
    let mut bytes = fs::read(format!("{SEEDS}/modelnet_hdf5/gzip.h5")).unwrap();
    // Sizes (3, 4, 3) of data and (3, 1) of label; chunks that were never written are zeros.
    replace(&mut bytes, &[3, 4, 3], &[90_000_000, 4, 3]);
    replace(&mut bytes, &[3, 1], &[90_000_000, 1]);
    fs::write(set.join("ply_data_train0.h5"), &bytes).unwrap();
    fs::copy(format!("{SEEDS}/modelnet_hdf5/plain.h5"), set.join("ply_data_test0.h5")).unwrap();
    fs::write(set.join("shape_names.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n").unwrap();
    let words = ["ply_data_train0.h5", "not larger than a file of this size can hold", "uncompressed"];
    refused(folder.path(), &["data", "info", "set"], &words);
}

fn replace(bytes: &mut [u8], sizes: &[u64], others: &[u64]) {
    let [old, new] = [sizes, others].map(|sizes| sizes.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<u8>>());
    let places: Vec<usize> = (0..bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(&old)).collect();
    assert!(!places.is_empty(), "the seed has a dataset of {sizes:?}");
    places.into_iter().for_each(|at| bytes[at..at + new.len()].copy_from_slice(&new));
}

#[test]
fn a_line_without_end_is_refused() {
    let (folder, class) = shapes();
    fs::write(class.join("line.xyz"), "0 ".repeat(25_000_000)).unwrap();
    let words = ["line.xyz, line 1: expected at most 65536 values per point, found 25000000"];
    refused(folder.path(), &["data", "info", "set"], &words);
    fs::write(class.join("line.xyz"), format!("1 2 3\n{}\n", "0;".repeat(25_000_000))).unwrap();
    refused(folder.path(), &["data", "info", "set"], &["line.xyz, line 2: expected 3 values"]);
}

#[test]
fn an_array_of_a_million_columns_is_refused() {
    let (folder, class) = shapes();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 50000000), }\n";
    let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    bytes.resize(bytes.len() + 50_000_000, 0);
    fs::write(class.join("wide.npy"), bytes).unwrap();
    let pcd = "VERSION .7\nFIELDS x y z d\nSIZE 4 4 4 1\nTYPE F F F U\nCOUNT 1 1 1 50000000\nWIDTH 1\nHEIGHT 1\n\
               VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 1\nDATA binary\n";
    let mut bytes = pcd.as_bytes().to_vec();
    bytes.resize(bytes.len() + 50_000_012, 0);
    fs::write(class.join("wide.pcd"), bytes).unwrap();
    let words = [
        "wide.npy: expected at most 65536 values per point, found 50000000",
        "wide.pcd: expected at most 65536 values",
    ];
    refused(folder.path(), &["data", "info", "set"], &words);
}

#[test]
fn a_genotype_of_a_million_edges_or_a_hundred_thousand_outputs_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cell = |edges: usize, outputs: usize| {
        let edges = vec!["[\"gat\",0]"; edges].join(",");
        let outputs = vec!["4"; outputs].join(",");
        format!("{{\"space\":\"point\",\"normal\":[{edges}],\"normal_concat\":[{outputs}]}}")
    };
    for (edges, outputs, words) in [
        (1_000_000, 4, "expected a genotype of at most 1 MiB"),
        (50_000, 4, "normal: expected at most 1024 edges, found 50000 edges"),
        (6, 100_000, "normal_concat: expected at most 5 states, as many as the cell has, found 100000 states"),
    ] {
        fs::write(folder.path().join("cell.json"), cell(edges, outputs)).unwrap();
        refused(folder.path(), &["show", "cell.json"], &[words]);
        refused(folder.path(), &["train", "--genotype", "cell.json", "--task", "points"], &[words]);
    }
}

/// A GIF that says it is 9216 pixels wide and high, of which it colours four.
#[test]
fn a_picture_of_a_few_bytes_and_85_million_pixels_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let gif = |side: u16| {
        let [low, high] = side.to_le_bytes();
        let screen = [low, high, low, high, 0x80, 0, 0, 0, 0, 0, 255, 64, 32];
        [&b"GIF89a"[..], &screen, b",\0\0\0\0\x02\0\x02\0\0\x02\x03I\x02\x05\0;"].concat()
    };
    for (class, name) in [("train/a", "1"), ("train/b", "2"), ("test/a", "3"), ("test/b", "4")] {
        let class = folder.path().join("set").join(class);
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join(format!("{name}.gif")), gif(16)).unwrap();
    }
    let info = sgas(folder.path()).args(["data", "info", "set"]).output().unwrap();
    assert!(info.status.success(), "{}", String::from_utf8_lossy(&info.stderr));
    fs::write(folder.path().join("set/train/a/1.gif"), gif(9216)).unwrap();
    refused(
        folder.path(),
        &["data", "info", "set"],
        &["1.gif", "found more than 134 million pixels", "a byte for 4096"],
    );
}

#[test]
fn a_picture_of_four_hundred_million_pixels_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(format!("{SEEDS}/png/grey.png")).unwrap();
    for class in ["train/a", "train/b", "val/a", "val/b"] {
        fs::create_dir_all(folder.path().join("set").join(class)).unwrap();
        fs::write(folder.path().join("set").join(class).join("good.png"), &good).unwrap();
    }
    let mut bomb = good;
    // After the signature, and length and type of the first part: width and height; behind five more bytes its sum.
    for at in [16, 20] {
        bomb[at..at + 4].copy_from_slice(&20_000_u32.to_be_bytes());
    }
    let sum = crc(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&sum.to_be_bytes());
    fs::write(folder.path().join("set/train/a/bomb.png"), bomb).unwrap();
    refused(folder.path(), &["data", "info", "set"], &["bomb.png", "found more than 134 million pixels"]);
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[test]
fn a_table_of_a_million_columns_is_read_and_of_more_refused() {
    let folder = graph();
    let wide = |columns: usize| {
        let names: Vec<String> = (0..columns).map(|column| format!("label_{column}")).collect();
        let row = vec!["1"; columns].join(",");
        format!("{}\n{row}\n{row}\n{row}\n", names.join(","))
    };
    let put = |name: &str, text: &str| fs::write(folder.path().join("graph").join(name), text).unwrap();
    put("features.csv", &wide(1_000_000));
    put("labels.csv", &wide(1_000_000));
    let (code, text) = watched(folder.path(), &["data", "info", "graph"]);
    assert!(code == 0 && text.contains("label_999999"), "{code}: {}", &text[..text.len().min(2000)]);
    put("labels.csv", &wide(1_100_000));
    refused(
        folder.path(),
        &["data", "info", "graph"],
        &["labels.csv: expected at most 1048576 columns, found 1100000"],
    );
}

#[cfg(unix)]
fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("every Unix has mkfifo").success());
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let folder = graph();
    let pipe_at = |name: &str| pipe(&folder.path().join(name));
    let words = ["expected a regular file, found a named pipe"];
    pipe_at("pipe");
    refused(folder.path(), &["search", "--config", "pipe"], &words);
    refused(folder.path(), &["show", "pipe"], &words);
    refused(folder.path(), &["train", "--genotype", "pipe", "--task", "points"], &words);
    refused(folder.path(), &["train", "--genotype", "/dev/zero", "--task", "points"], &["found a device"]);
    fs::write(folder.path().join("graph/features.csv"), "1\n2\n3\n").unwrap();
    let info = ["data", "info", "graph"];
    for file in ["train.txt", "labels.csv"] {
        let path = folder.path().join("graph").join(file);
        let _absent = fs::remove_file(&path);
        pipe(&path);
        refused(folder.path(), &info, &["expected a regular file, found a named pipe", file]);
        fs::remove_file(path).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn pipes_in_a_folder_of_data_are_told_and_passed_over() {
    let (folder, class) = shapes();
    pipe(&class.join("pipe.off"));
    std::os::unix::fs::symlink(class.join("pipe.off"), class.join("link.off")).unwrap();
    std::os::unix::fs::symlink(class.join("0.off"), class.join("good.off")).unwrap();
    let (code, text) = watched(folder.path(), &["data", "info", "set"]);
    assert_eq!(code, 0, "{text}");
    let told = text.matches("ignored 2 entries that are neither files nor folders, such as link.off").count();
    assert!(told == 1 && text.contains("13 .off"), "{text}");
}

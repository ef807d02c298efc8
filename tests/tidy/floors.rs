//! Holds floors inside the two largest modules: a file names others of lower floors, and those of its own room. A room is
//! a file, or a folder that the table names; a file that the table names stands on its own floor, whatever folder it is in.

use super::circles::Modules;
use super::{assert_none, sources};

/// From the ground up; the first entry that a path begins with is its room.
const ROOMS: [(&str, i32); 63] = [
    // What files hold, and how sets are cut.
    ("data/folders.rs", 0),
    ("data/scan.rs", 0),
    ("data/source.rs", 0),
    ("data/split.rs", 0),
    ("data/synthetic.rs", 0),
    ("data/loader.rs", 0),
    // Sections of the configuration, and what all families share.
    ("data/checks.rs", 1),
    ("data/numpy", 1),
    ("data/division", 1),
    ("data/synthesis.rs", 1),
    ("data/graphs/config.rs", 1),
    ("data/images/jitter", 1),
    ("data/images/placement.rs", 1),
    ("data/scenes/config.rs", 1),
    ("data/points/config.rs", 1),
    ("data/points/surface.rs", 1),
    ("data/points/augmentation.rs", 2),
    ("data/points/format", 2),
    ("data/images/augmentation", 2),
    ("data/hdf5.rs", 2),
    ("data/dataset.rs", 2),
    ("data/survey.rs", 3),
    ("data/images/config.rs", 3),
    ("data/identity.rs", 3),
    ("data/points/features.rs", 3),
    ("data/points/colours.rs", 4),
    ("data/points/intake.rs", 4),
    ("data/points/clouds.rs", 5),
    ("data/config.rs", 6),
    ("data/inputs.rs", 7),
    ("data/family.rs", 8),
    ("data/named.rs", 9),
    // The families; labelled clouds are made of the formats of shapes.
    ("data/points", 10),
    ("data/images", 10),
    ("data/graphs", 10),
    ("data/scenes", 11),
    ("data/families.rs", 12),
    ("data/find.rs", 12),
    ("data/parsers.rs", 12),
    ("data/mod.rs", 13),
    // What is typed, and what a command stands on.
    ("commands/options", 0),
    ("commands/signals.rs", 0),
    ("commands/lock.rs", 0),
    ("commands/scores.rs", 0),
    ("commands/predictions.rs", 0),
    ("commands/identity.rs", 0),
    ("commands/processes.rs", 0),
    ("commands/logging.rs", 1),
    ("commands/device", 1),
    ("commands/run_folder.rs", 1),
    ("commands/dataset.rs", 1),
    ("commands/resolve.rs", 1),
    ("commands/outputs.rs", 1),
    ("commands/cell.rs", 2),
    ("commands/facts.rs", 1),
    ("commands/weights.rs", 2),
    ("commands/keeper.rs", 2),
    ("commands/observers.rs", 2),
    ("commands/bench", 3),
    ("commands/estimate.rs", 4),
    ("commands/session.rs", 5),
    ("commands/trained.rs", 6),
    // One file for each thing to do.
    ("commands", 7),
];

fn room(path: &str) -> Option<(&'static str, i32)> {
    ROOMS.into_iter().find(|(room, _)| path.starts_with(room))
}

#[test]
fn files_name_lower_floors_within_a_module() {
    let modules = Modules::read(&sources());
    let mut offences = Vec::new();
    for (file, used) in modules.uses() {
        for (other, name) in used {
            let (Some((room, floor)), Some((other_room, other_floor))) = (room(file), self::room(other)) else {
                continue;
            };
            let is_same_module = file.split('/').next() == other.split('/').next();
            if is_same_module && room != other_room && other_floor >= floor {
                offences.push(format!("{file} (floor {floor}) names {other} (floor {other_floor}): {name}"));
            }
        }
    }
    assert_none(&offences, "within data/ and commands/ a file names lower floors, and its own room");
}

#[test]
fn every_room_is_there() {
    let paths: Vec<String> = sources().into_iter().map(|source| source.path).collect();
    let empty = ROOMS.iter().filter(|(room, _)| !paths.iter().any(|path| path.starts_with(room)));
    assert_none(
        &empty.map(|(room, _)| (*room).to_owned()).collect::<Vec<_>>(),
        "the table of floors names what is there",
    );
}

/// Files of data/ that make tensors: the samples of each family, what puts images together, and what says where they lie.
const WITH_TENSORS: [&str; 11] = [
    "data/family.rs",
    "data/graphs/mod.rs",
    "data/graphs/nodes.rs",
    "data/images/assembly.rs",
    "data/images/mod.rs",
    "data/images/pictures.rs",
    "data/inputs.rs",
    "data/loader.rs",
    "data/points/inputs.rs",
    "data/points/mod.rs",
    "data/scenes/mod.rs",
];

#[test]
fn what_reads_files_does_without_libtorch() {
    let words = ["use tch::", "(tch::", " tch::", "batch::{Batch,", "batch::Batch;", "tensor::links", "tensor::bridge"];
    let sees = |line: &str| words.iter().any(|word| line.contains(word));
    let mut seeing: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.path.starts_with("data/") && source.code_lines().any(|(_, line)| sees(line)))
        .map(|source| source.path)
        .collect();
    seeing.sort_unstable();
    assert_eq!(seeing, WITH_TENSORS, "formats, tables and decoding know nothing of tensors");
}

//! Files without classes: which are found, and that the points of one do not depend on the others.

use crate::data::{assert_mentions, cloud, numbers, pcd, points_of, write};
use sgas::data::{Access, DataConfig, InputNeeds, Inputs, Normalization, PointOrder, SampleKind, points};
use sgas::tensor::random::{Key, Purpose};
use std::path::{Path, PathBuf};
use tch::Device;

const KIND: SampleKind = SampleKind::of(&points::FAMILY);

const NEEDS: InputNeeds = InputNeeds { minimum_points: 4, draws: 1, device: Device::Cpu, skip_bad: false };

/// Clouds of 40 points of which 8 are taken at random.
fn config() -> DataConfig {
    DataConfig { points: 8, order: PointOrder::Random, ..DataConfig::default() }
}

fn folder_of_clouds() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (index, name) in ["b.pcd", "a/y.PCD", "a/x.pcd", ".hidden.pcd", "c/z.pcd", "a/notes.md"].iter().enumerate() {
        write(folder.path().join(name), &pcd(&cloud(40, (index * index) as f32), index % 2 == 0));
    }
    folder
}

fn read(files: &[PathBuf], needs: InputNeeds) -> Inputs {
    KIND.family.read_inputs(files, &config(), needs).unwrap()
}

/// The points of one sample.
fn points(inputs: &Inputs, index: usize) -> Vec<f32> {
    let access = Access { training: false, key: Key::new(5, Purpose::Evaluation) };
    numbers(&points_of(inputs.samples.batch(&[index], access).unwrap()).points)
}

#[test]
fn a_folder_means_all_known_files_below_it_in_order() {
    let folder = folder_of_clouds();
    let found = KIND.family.find_inputs(&[folder.path().to_owned(), folder.path().join("b.pcd")]).unwrap();
    let names = ["a/x.pcd", "a/y.PCD", "b.pcd", "c/z.pcd", "b.pcd"];
    assert_eq!(found, names.map(|name| folder.path().join(name)));
    let missing = KIND.family.find_inputs(&[folder.path().join("nowhere")]).unwrap_err();
    assert_mentions(&missing, &["cannot read", "nowhere"]);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let empty = KIND.family.find_inputs(&[folder.path().join("empty")]).unwrap_err();
    assert_mentions(&empty, &["empty: expected files of a known format", "found none", ".pcd"]);
}

#[cfg(unix)]
#[test]
fn links_in_circles_end() {
    let folder = folder_of_clouds();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("a/up")).unwrap();
    assert_eq!(KIND.family.find_inputs(&[folder.path().to_owned()]).unwrap().len(), 4);
}

#[test]
fn the_points_of_a_file_do_not_depend_on_other_files_or_their_order() {
    let folder = folder_of_clouds();
    let mut files = KIND.family.find_inputs(&[folder.path().to_owned()]).unwrap();
    let needs = InputNeeds { draws: 3, ..NEEDS };
    let together = read(&files, needs);
    assert_eq!(together.samples.len(), 12);
    files.reverse();
    let reversed = read(&files, needs);
    for (index, file) in files.iter().rev().enumerate() {
        let alone = read(std::slice::from_ref(file), needs);
        assert_eq!(Path::new(&together.files[index].name), file);
        for draw in 0..3 {
            let of_file = points(&alone, draw);
            assert_eq!(of_file, points(&together, 3 * index + draw));
            assert_eq!(of_file, points(&reversed, 3 * (3 - index) + draw));
        }
        assert!(points(&alone, 0) != points(&alone, 1) && points(&alone, 1) != points(&alone, 2));
        assert_eq!(points(&alone, 0), points(&read(std::slice::from_ref(file), InputNeeds { draws: 1, ..needs }), 0));
    }
}

#[test]
fn the_normalisation_is_the_run_s_and_auto_is_the_cube() {
    let folder = folder_of_clouds();
    let file = [folder.path().join("b.pcd")];
    let mut config = DataConfig { points: 40, ..DataConfig::default() };
    let cube = KIND.family.read_inputs(&file, &config, NEEDS).unwrap();
    assert_eq!(cube.config.normalize, Normalization::Cube);
    let most = points(&cube, 0).iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!((most - 0.999_999).abs() < 1e-6, "{most}");
    config.normalize = Normalization::None;
    let stored = KIND.family.read_inputs(&file, &config, NEEDS).unwrap();
    assert_eq!(points(&stored, 0), cloud(40, 0.0).concat());
}

#[test]
fn bad_files_are_errors_or_listed_in_their_place() {
    let folder = folder_of_clouds();
    let mut broken = cloud(40, 0.0);
    broken[3..].iter_mut().for_each(|point| point[0] = f32::INFINITY);
    write(folder.path().join("a/z.pcd"), &pcd(&broken, true));
    let files = [KIND.family.find_inputs(&[folder.path().to_owned()]).unwrap(), vec![folder.path().join("a/notes.md")]]
        .concat();
    let error = KIND.family.read_inputs(&files, &config(), NEEDS).err().unwrap();
    assert_mentions(&error, &["a/z.pcd, point 3", "finite numbers", "1 more files are bad", "--skip-bad"]);
    let inputs = read(&files, InputNeeds { skip_bad: true, ..NEEDS });
    let bad: Vec<usize> = (0..files.len()).filter(|&index| inputs.files[index].error.is_some()).collect();
    assert_eq!((bad, inputs.samples.len()), (vec![2, 5], 4));
    assert!(inputs.files[5].error.as_ref().unwrap().contains("a/notes.md: expected a file named *."));
    assert!(inputs.samples.name(2).ends_with("b.pcd"));
    let few = KIND.family.read_inputs(&files[..1], &config(), InputNeeds { minimum_points: 9, ..NEEDS }).err().unwrap();
    assert_mentions(&few, &["data.points: expected at least 9"]);
}

//! Of meshes, features, and what is refused.

use super::*;
use crate::tensor::random::{Key, Purpose};

fn raw(columns: &[(&str, &[f64])], triangles: &[[u64; 3]]) -> Raw {
    let columns = columns.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
    Raw { columns, triangles: triangles.to_vec(), ..Raw::default() }
}

/// The unit square in the plane z = 0, of two triangles, and a vertex that no face has.
fn square() -> Raw {
    let columns: [(&str, &[f64]); 3] =
        [("x", &[0.0, 1.0, 1.0, 0.0, 9.0]), ("y", &[0.0, 0.0, 1.0, 1.0, 9.0]), ("z", &[0.0, 0.0, 0.0, 0.0, 9.0])];
    raw(&columns, &[[0, 1, 2], [0, 2, 3]])
}

fn reading(features: &[&str]) -> Reading {
    let names: Vec<String> = features.iter().map(|name| (*name).to_owned()).collect();
    Reading { features: Features::parse(&names).unwrap(), normalization: Normalization::None, ..Reading::default() }
}

fn sample(shape: &Shape, points: usize, step: u64) -> Vec<f32> {
    let mut out = Vec::new();
    shape.sample(points, PointOrder::First, &mut Key::new(1, Purpose::Evaluation).at(0, step).generator(), &mut out);
    out
}

fn message(raw: Raw, reading: &Reading) -> String {
    Shape::new(raw, "a.ply", reading).unwrap_err().to_string()
}

#[test]
fn a_mesh_gives_fresh_points_of_its_surface() {
    let mesh = Shape::new(square(), "a.off", &reading(&[])).unwrap();
    let points = sample(&mesh, 1000, 0);
    assert_eq!((points.len(), mesh.points()), (3000, None));
    assert!(points.chunks(3).all(|p| (0.0..=1.0).contains(&p[0]) && (0.0..=1.0).contains(&p[1]) && p[2] == 0.0));
    let mean = points.iter().step_by(3).sum::<f32>() / 1000.0;
    // Four deviations of a mean of 1000 uniform numbers.
    assert!((mean - 0.5).abs() < 0.037, "{mean}");
    assert_eq!(points, sample(&mesh, 1000, 0), "the same for a key");
    assert_ne!(points, sample(&mesh, 1000, 1), "fresh for another");
}

#[test]
fn a_mesh_has_the_normals_of_its_faces_where_its_file_has_none() {
    let mesh = Shape::new(square(), "a.off", &reading(&["normals"])).unwrap();
    assert!(sample(&mesh, 50, 0).chunks(6).all(|point| point[3..] == [0.0, 0.0, 1.0]));
    let mut smooth = square();
    for (name, value) in [("nx", 3.0), ("ny", 0.0), ("nz", 4.0)] {
        smooth.columns.push((name.to_owned(), vec![value; 5]));
    }
    let mesh = Shape::new(smooth, "a.ply", &reading(&["normals"])).unwrap();
    let points = sample(&mesh, 50, 0);
    assert!(points.chunks(6).all(|p| (p[3] - 0.6).abs() < 1e-6 && p[4] == 0.0 && (p[5] - 0.8).abs() < 1e-6));
}

#[test]
fn features_of_vertices_are_mixed_and_those_of_points_follow_them() {
    let mut coloured = square();
    // Red is x, so it must be x everywhere on the surface.
    coloured.columns.push(("red".to_owned(), coloured.columns[0].1.clone()));
    let mesh = Shape::new(coloured.clone(), "a.ply", &reading(&["red"])).unwrap();
    assert!(sample(&mesh, 50, 0).chunks(4).all(|point| (point[0] - point[3]).abs() < 1e-6));
    coloured.triangles.clear();
    let cloud = Shape::new(coloured, "a.ply", &reading(&["red"])).unwrap();
    assert_eq!(cloud.points(), Some(5));
    assert_eq!(sample(&cloud, 2, 0), [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn the_cube_is_that_of_the_vertices_and_keeps_features() {
    let cube = Reading { normalization: Normalization::Cube, ..reading(&["7"]) };
    let cloud = raw(&[("x", &[1e6, 1e6 + 2.0]), ("y", &[0.0; 2]), ("z", &[0.0; 2]), ("7", &[50.0, 60.0])], &[]);
    let points = sample(&Shape::new(cloud, "a.ply", &cube).unwrap(), 2, 0);
    assert_eq!(points, [-0.999_999, 0.0, 0.0, 50.0, 0.999_999, 0.0, 0.0, 60.0], "exact far from the origin");
}

#[test]
fn what_is_wrong_with_a_shape_is_named() {
    let nothing = reading(&[]);
    let coordinates = |z: f64| raw(&[("x", &[0.0, 1.0]), ("y", &[0.0, 1.0]), ("z", &[0.0, z])], &[]);
    let expected = "a.ply, point 1: expected finite numbers, found NaN";
    assert_eq!(message(coordinates(f64::NAN), &nothing), expected);
    assert!(message(coordinates(1e200), &nothing).contains("point 1: expected finite numbers"), "beyond 32 bits");
    let few = Reading { minimum_points: 3, ..nothing.clone() };
    assert_eq!(message(coordinates(1.0), &few), "a.ply: expected at least 3 points (k · dilation), found 2 points");
    assert!(message(raw(&[("x", &[]), ("y", &[]), ("z", &[])], &[]), &nothing).contains("at least 1 points"));
    let cube = Reading { normalization: Normalization::Cube, ..nothing.clone() };
    let one_place = raw(&[("x", &[2.0; 4]), ("y", &[2.0; 4]), ("z", &[2.0; 4])], &[]);
    assert!(message(one_place, &cube).contains("points that all coincide"));
}

#[test]
fn meshes_whose_faces_do_not_fit_are_refused() {
    let nothing = reading(&[]);
    let faces = |triangles: &[[u64; 3]]| Raw { triangles: triangles.to_vec(), ..square() };
    let text = message(faces(&[[0, 1, 2], [0, 5, 1]]), &nothing);
    assert_eq!(text, "a.ply: expected faces of the 5 vertices, counted from 0, found a face with vertex 5");
    assert!(message(faces(&[[0, 1, u64::MAX]]), &nothing).contains(&u64::MAX.to_string()));
    assert!(message(faces(&[[0, 1, 1], [2, 2, 2]]), &nothing).contains("expected faces with some area"));
    let few = Reading { minimum_points: 100, ..nothing };
    assert!(Shape::new(square(), "a.off", &few).is_ok(), "a mesh gives as many points as are asked for");
}

#[test]
fn columns_that_are_not_there_are_named_with_those_that_are() {
    let cloud = || raw(&[("x", &[0.0; 2]), ("y", &[0.0; 2]), ("z", &[0.0; 2]), ("3", &[0.0; 2])], &[]);
    let error = Shape::new(cloud(), "a.npy", &reading(&["normals"])).unwrap_err();
    assert_eq!(error.to_string(), "a.npy: expected columns x, y, z, nx, ny, nz, found x, y, z, 3");
    assert!(error.hint().unwrap().contains("data.features asks for 'nx'"));
    assert!(message(raw(&[("x", &[0.0]), ("y", &[0.0])], &[]), &reading(&[])).ends_with("found x, y"));
    assert!(message(Raw::default(), &reading(&[])).ends_with("found no columns"));
}

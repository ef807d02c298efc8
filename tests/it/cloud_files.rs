//! One cloud in the variants of formats that `sgas` reads and doesn't write: what other programs' files look like.

use std::io::{Cursor, Write};

/// A way to write a cloud.
pub struct Variant {
    /// For the folder's name.
    pub name: &'static str,
    pub extension: &'static str,
    pub bytes: fn(&[[f32; 3]]) -> Vec<u8>,
}

const fn variant(name: &'static str, extension: &'static str, bytes: fn(&[[f32; 3]]) -> Vec<u8>) -> Variant {
    Variant { name, extension, bytes }
}

/// All of them; `sgas data synth` writes the others.
pub const VARIANTS: [Variant; 8] = [
    variant("npz", "npz", npz),
    variant("ply-ascii", "ply", ply_ascii),
    variant("ply-big-endian", "ply", ply_big_endian),
    variant("pcd-ascii", "pcd", |points| crate::data::pcd(points, false)),
    variant("pcd-binary", "pcd", |points| crate::data::pcd(points, true)),
    variant("txt", "txt", |points| format!("# x y z\n{}", rows(points, "\t")).into_bytes()),
    variant("pts", "pts", |points| format!("{}\n{}", points.len(), rows(points, " ")).into_bytes()),
    variant("asc", "asc", |points| format!("//X;Y;Z\n{}", rows(points, ";")).into_bytes()),
];

/// A line per point; a number's shortest text is read back as the same 32 bits.
fn rows(points: &[[f32; 3]], separator: &str) -> String {
    points.iter().map(|point| point.map(|value| value.to_string()).join(separator) + "\n").collect()
}

/// As `numpy.savez_compressed(file, points=array)`.
fn npz(points: &[[f32; 3]]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("points.npy", zip::write::FileOptions::default()).unwrap();
    let words = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, 3), }}", points.len());
    let header = format!("{words:<117}\n");
    archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
    archive.write_all(&u16::try_from(header.len()).unwrap().to_le_bytes()).unwrap();
    archive.write_all(header.as_bytes()).unwrap();
    archive.write_all(&points.as_flattened().iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()).unwrap();
    archive.finish().unwrap().into_inner()
}

fn ply_header(points: &[[f32; 3]], format: &str) -> String {
    let properties = ["x", "y", "z"].map(|axis| format!("property float {axis}\n")).concat();
    format!("ply\nformat {format} 1.0\nelement vertex {}\n{properties}end_header\n", points.len())
}

fn ply_ascii(points: &[[f32; 3]]) -> Vec<u8> {
    (ply_header(points, "ascii") + &rows(points, " ")).into_bytes()
}

fn ply_big_endian(points: &[[f32; 3]]) -> Vec<u8> {
    let mut bytes = ply_header(points, "binary_big_endian").into_bytes();
    bytes.extend(points.as_flattened().iter().flat_map(|value| value.to_be_bytes()));
    bytes
}

//! What holds for every format: what is written is read back, and no bytes make a reader panic or reserve memory.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Every extension that is written.
const WRITTEN: [&str; 7] = ["off", "obj", "ply", "pcd", "npy", "xyz", "csv"];

fn parse(extension: &str, bytes: &[u8]) -> Result<Raw> {
    let path = format!("a.{extension}");
    Format::of(Path::new(&path)).unwrap().parse(bytes, &path)
}

/// Holds what the errors of contents say that are none of their format; `...` stands for whatever else they say.
pub(super) fn assert_refused<B: AsRef<[u8]>, T: AsRef<str>>(format: Format, cases: impl IntoIterator<Item = (B, T)>) {
    for (content, expected) in cases {
        let (content, expected) = (content.as_ref(), expected.as_ref());
        let message = format.parse(content, "a").unwrap_err().to_string();
        let part = expected.trim_start_matches("...").trim_end_matches("...");
        let is_so = (expected.starts_with("...") || message.starts_with(part))
            && (expected.ends_with("...") || message.ends_with(part));
        assert!(
            is_so && message.contains(part),
            "{}: expected {expected}, found {message}",
            String::from_utf8_lossy(content)
        );
    }
}

/// Columns of these names and values.
pub(super) fn columns(list: &[(&str, &[f64])]) -> Vec<(String, Vec<f64>)> {
    list.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect()
}

fn written(extension: &str, raw: &Raw) -> Vec<u8> {
    write::bytes(Path::new(&format!("a.{extension}")), raw).unwrap()
}

fn raw(names: &[&str], rows: &[Vec<f64>], triangles: Vec<[u64; 3]>) -> Raw {
    let column = |(index, name): (usize, &&str)| ((*name).to_owned(), rows.iter().map(|row| row[index]).collect());
    Raw { columns: names.iter().enumerate().map(column).collect(), triangles, ..Raw::default() }
}

fn values(width: usize) -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![any::<f32>().prop_map(f64::from), any::<f64>(), (-3..4).prop_map(f64::from)];
    vec(value.prop_filter("finite", |value| value.is_finite()), width)
}

/// Sets of columns that all formats with names hold.
fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        Just(vec!["x", "y", "z"]),
        Just(vec!["x", "y", "z", "nx", "ny", "nz"]),
        Just(vec!["x", "y", "z", "red", "green", "blue"]),
        Just(vec!["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue"]),
    ]
}

prop_compose! {
    fn clouds()(names in names())(rows in vec(values(names.len()), 1..20), names in Just(names)) -> Raw {
        raw(&names, &rows, Vec::new())
    }
}

prop_compose! {
    fn meshes()(cloud in clouds())(
        triangles in vec([0..cloud.columns[0].1.len() as u64, 0..cloud.columns[0].1.len() as u64, 0..cloud.columns[0].1.len() as u64], 1..20),
        cloud in Just(cloud),
    ) -> Raw {
        Raw { triangles, ..cloud }
    }
}

/// The values of all corners: what a mesh is, whatever the order of its vertices.
fn corners(raw: &Raw) -> Vec<(String, Vec<f64>)> {
    let corners = || raw.triangles.iter().flatten();
    let column = |(name, values): &(String, Vec<f64>)| {
        (name.clone(), corners().map(|corner| values[*corner as usize]).collect())
    };
    raw.columns.iter().map(column).collect()
}

/// Colours in OFF may be bytes, and values above 1 say so.
fn within_one(mut raw: Raw) -> Raw {
    for (name, values) in &mut raw.columns {
        if ["red", "green", "blue"].contains(&name.as_str()) {
            values.iter_mut().for_each(|value| *value = value.min(1.0));
        }
    }
    raw
}

fn with_numbered_columns(mut raw: Raw) -> Raw {
    for (index, column) in raw.columns.iter_mut().enumerate().skip(3) {
        column.0 = index.to_string();
    }
    raw
}

proptest! {
    #[test]
    fn clouds_are_read_back_as_they_were_written(cloud in clouds()) {
        for extension in WRITTEN {
            let cloud = match extension {
                "npy" | "xyz" => with_numbered_columns(cloud.clone()),
                _ => within_one(cloud.clone()),
            };
            prop_assert_eq!(parse(extension, &written(extension, &cloud)).unwrap(), cloud, "{}", extension);
        }
    }

    #[test]
    fn meshes_are_read_back_as_they_were_written(mesh in meshes().prop_map(within_one)) {
        for extension in ["off", "ply"] {
            prop_assert_eq!(&parse(extension, &written(extension, &mesh)).unwrap(), &mesh, "{}", extension);
        }
        // OBJ numbers the vertices by their first use where there are normals.
        prop_assert_eq!(corners(&parse("obj", &written("obj", &mesh)).unwrap()), corners(&mesh));
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error(cloud in clouds(), part in 0.0..1.0) {
        for extension in ["ply", "pcd", "npy"] {
            let whole = written(extension, &cloud);
            let cut = &whole[..(whole.len() as f64 * part) as usize];
            prop_assert!(parse(extension, cut).is_err(), "{} of {} bytes of {}", cut.len(), whole.len(), extension);
        }
    }

    #[test]
    fn damaged_files_never_panic(mesh in meshes(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let cloud = Raw { triangles: Vec::new(), ..mesh.clone() };
        for extension in WRITTEN {
            let shape = if ["off", "obj", "ply"].contains(&extension) { &mesh } else { &cloud };
            let mut bytes = written(extension, shape);
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let _ = parse(extension, &bytes);
        }
    }

    #[test]
    fn damaged_files_of_other_programs_never_panic(
        file in prop::sample::select(fixtures()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        end in any::<prop::sample::Index>(),
    ) {
        let (extension, mut bytes) = file;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = parse(&extension, &bytes);
        let _ = parse(&extension, &bytes[..end.index(bytes.len())]);
    }

    #[test]
    fn any_bytes_after_a_header_never_panic(header in headers(), body in bodies()) {
        let (extension, header) = header;
        let bytes = [header.as_slice(), &body].concat();
        if let Ok(raw) = parse(extension, &bytes) {
            let longest = raw.columns.iter().map(|column| column.1.capacity()).max().unwrap_or(0);
            prop_assert!(longest <= 4 + 2 * bytes.len(), "{longest} values of {} bytes", bytes.len());
            prop_assert!(raw.columns.iter().all(|column| column.1.len() == raw.columns[0].1.len()));
        }
    }
}

/// Counts that are right, wrong, and as large as they can be.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..5_u64, Just(1 << 20), Just(1 << 40), Just(i64::MAX as u64), Just(u64::MAX)]
}

/// Bytes, digits, and the small numbers that lists begin with.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![Just("0"), Just("1"), Just("3"), Just("-1"), Just("nan"), Just("\n"), Just("v"), Just("f")];
    let text = vec(words, 0..60).prop_map(|words| words.join(" ").into_bytes());
    prop_oneof![vec(any::<u8>(), 0..200), text, vec(0..4_u8, 0..200)]
}

/// Headers of every variant of every format.
fn headers() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let ply = |format: &str, vertices: u64, faces: u64| {
        format!(
            "ply\nformat {format} 1.0\nelement vertex {vertices}\nproperty float x\nproperty uchar red\nelement face \
             {faces}\nproperty list int short vertex_index\nelement empty {faces}\nend_header\n"
        )
    };
    let pcd = |data: &str, count: u64, points: u64| {
        format!(
            "VERSION .7\nFIELDS x rgb\nSIZE 1 4\nTYPE U F\nCOUNT {count} 1\nWIDTH 1\nHEIGHT 1\nPOINTS {points}\n\
             DATA {data}\n"
        )
    };
    let headers = (count(), count()).prop_flat_map(move |(one, two)| {
        let npy = |descr: &str| npy(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({one}, {two})}}"));
        let rows = |descr: &str| npy_rows(descr, one);
        prop::sample::select(vec![
            ("off", format!("OFF\n{one} {two} 0\n").into_bytes()),
            ("off", format!("STCNOFF{one} {two} 0\n").into_bytes()),
            ("off", format!("OFF 1 {one} 0\n1 2 3\n{two} ").into_bytes()),
            ("obj", b"v 1 2 3\nvn 1 2 3\n".to_vec()),
            ("ply", ply("ascii", one, two).into_bytes()),
            ("ply", ply("binary_little_endian", one, two).into_bytes()),
            ("ply", ply("binary_big_endian", one, two).into_bytes()),
            ("pcd", pcd("ascii", one, two).into_bytes()),
            ("pcd", pcd("binary", one, two).into_bytes()),
            ("pcd", pcd("binary_compressed", one, two).into_bytes()),
            ("npy", npy("'<f4'")),
            ("npy", npy("'|u1'")),
            ("npy", rows(&format!("[('x', '<f4', ({two},))]"))),
            ("npy", rows("[('x', '<f4'), ('', '|V3'), ('y', '>i2')]")),
            ("npz", b"PK\x03\x04".to_vec()),
            ("txt", format!("{one}\n").into_bytes()),
            ("csv", b"x,y,z\n".to_vec()),
        ])
    });
    headers.boxed()
}

fn npy_rows(descr: &str, points: u64) -> Vec<u8> {
    npy(&format!("{{'descr': {descr}, 'fortran_order': True, 'shape': ({points},)}}"))
}

fn npy(header: &str) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes()].concat()
}

#[test]
fn a_format_is_known_by_its_extension_in_any_case() {
    assert_eq!(Format::of(Path::new("a/b.OFF")), Some(Format::Off));
    assert_eq!(Format::of(Path::new("b.tar.npz")), Some(Format::Numpy));
    assert_eq!(Format::of(Path::new("off")), None);
    let error = read(Path::new("a.step")).unwrap_err().to_string();
    assert!(error.starts_with("a.step: expected a file named *.off, *.obj, *.ply"), "{error}");
}

#[test]
fn files_are_written_and_read_by_their_extension() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = raw(&["x", "y", "z"], &[vec![0.1, -2.0, 3e-9]], Vec::new());
    for extension in WRITTEN {
        let path = folder.path().join(format!("cloud.{extension}"));
        write(&path, &cloud).unwrap();
        assert_eq!(read(&path).unwrap(), cloud);
    }
    assert_eq!(read(&folder.path().join("none.off")).unwrap_err().exit_code(), 2);
    assert_eq!(write(&folder.path().join("no/cloud.off"), &cloud).unwrap_err().exit_code(), 1);
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let refused =
        |extension: &str, raw: &Raw| write::bytes(Path::new(&format!("a.{extension}")), raw).unwrap_err().to_string();
    let mesh = raw(&["x", "y", "z"], &[vec![0.0; 3]], vec![[0, 0, 0]]);
    assert_eq!(refused("npy", &mesh), "cannot write a.npy: a .npy file holds no triangles; .off, .obj and .ply do");
    let labelled = raw(&["x", "y", "z", "label"], &[vec![0.0; 4]], Vec::new());
    assert!(refused("off", &labelled).contains("perhaps nx, ny, nz"));
    assert!(refused("las", &labelled).contains(".off, .obj, .ply, .pcd"));
    for (extension, name) in [("ply", "3"), ("ply", "a b"), ("pcd", "a b"), ("pcd", "rgb"), ("csv", "a,b"), ("csv", "")]
    {
        let cloud = raw(&["x", "y", "z", name], &[vec![0.0; 4]], Vec::new());
        assert!(refused(extension, &cloud).contains("a column named"), "{extension} {name}");
    }
}

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shapes");

fn fixture(name: &str) -> Raw {
    read(&Path::new(FIXTURES).join(name)).unwrap()
}

/// Extension and content of every file of a known format.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let paths = std::fs::read_dir(FIXTURES).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| Format::of(path).is_some()).collect();
    paths.sort();
    let extension = |path: &Path| path.extension().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (extension(path), std::fs::read(path).unwrap())).collect()
}

/// The columns of `make_shapes.py`, beside the files.
fn expected(name: &str) -> Vec<f64> {
    let index = [0.0, 1.0, 2.0, 3.0, 4.0];
    match name {
        "x" => index.map(|index| index / 2.0).into(),
        "y" => index.map(|index| -index).into(),
        "z" => index.map(|index| index * index / 8.0).into(),
        "nx" | "3" => vec![1.0, 0.0, 0.0, 1.0, 0.0],
        "ny" | "4" => vec![0.0, 1.0, 0.0, 0.0, 1.0],
        "nz" | "5" => vec![0.0, 0.0, 1.0, 0.0, 0.0],
        "red" => index.map(|index| index * 51.0 / 255.0).into(),
        "green" => index.map(|index| (255.0 - index * 51.0) / 255.0).into(),
        "blue" => vec![0.0, 1.0, 0.0, 1.0, 0.0],
        "alpha" => vec![1.0; 5],
        "label" => index.map(|index| index - 2.0).into(),
        other => panic!("{other} is in no file"),
    }
}

#[test]
fn clouds_of_other_programs_are_read() {
    const NORMALS: &str = "x y z nx ny nz";
    const COLOURS: &str = "x y z nx ny nz red green blue";
    for (name, columns) in [
        ("open3d_ascii.pcd", COLOURS),
        ("open3d_binary.pcd", COLOURS),
        ("open3d_compressed.pcd", COLOURS),
        ("pypcd4.pcd", "x y z red green blue"),
        ("open3d_cloud.ply", COLOURS),
        ("open3d_cloud_ascii.ply", COLOURS),
        ("trimesh_cloud.ply", "x y z red green blue alpha"),
        ("plyfile_big_endian.ply", "x y z label"),
        ("open3d_cloud.xyz", "x y z"),
        ("trimesh_cloud.xyz", "x y z"),
        ("numpy_single.npy", "x y z 3 4 5"),
        ("numpy_half.npy", "x y z 3 4 5"),
        ("numpy_fortran.npy", "x y z 3 4 5"),
        ("numpy.npz", "x y z 3 4 5"),
        ("numpy_compressed.npz", "x y z 3 4 5 label"),
        ("numpy.txt", "x y z 3 4 5"),
        ("numpy.csv", NORMALS),
    ] {
        let raw = fixture(name);
        assert_eq!(raw.names().replace(',', ""), columns, "{name}");
        for (column, values) in &raw.columns {
            // The array beside the points counts them.
            let is_beside = name == "numpy_compressed.npz" && column == "label";
            let expected = if is_beside { vec![0.0, 1.0, 2.0, 3.0, 4.0] } else { expected(column) };
            assert_eq!(values, &expected, "{name}, column {column}");
        }
    }
}

#[test]
fn tables_without_names_or_of_other_types_are_read() {
    let raw = fixture("numpy_integers.npy");
    let eighths: Vec<f64> = expected("z").iter().map(|value| value * 8.0).collect();
    assert_eq!(raw.columns[2], ("z".to_owned(), eighths));
    let raw = fixture("numpy_structured.npy");
    assert_eq!(raw.names(), "label, x, y, z, red");
    assert_eq!((&raw.columns[1].1, &raw.columns[4].1), (&expected("x"), &expected("red")));
    let raw = fixture("open3d_cloud.pts");
    let bytes: Vec<f64> = expected("red").iter().map(|value| value * 255.0).collect();
    assert_eq!((&raw.columns[2].1, &raw.columns[4].1), (&expected("z"), &bytes));
}

#[test]
fn meshes_of_other_programs_are_read() {
    let faces = [[0, 2, 1], [0, 3, 2], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]];
    let axes = [[0.0, 1.0, 1.0, 0.0, 0.5], [0.0, 0.0, 1.0, 1.0, 0.5], [0.0, 0.0, 0.0, 0.0, 0.75]];
    let pyramid: Vec<(String, Vec<f64>)> =
        ["x", "y", "z"].iter().zip(axes).map(|(name, values)| ((*name).to_owned(), values.into())).collect();
    let pyramid = Raw { columns: pyramid, triangles: faces.into(), ..Raw::default() };
    for name in [
        "trimesh.off",
        "trimesh.obj",
        "trimesh.ply",
        "trimesh_ascii.ply",
        "open3d_mesh.off",
        "open3d_mesh.obj",
        "open3d_mesh.ply",
    ] {
        let mut raw = fixture(name);
        for (column, values) in
            raw.columns.iter().filter(|column| ["red", "green", "blue"].contains(&column.0.as_str()))
        {
            // A text has no types: the set says the range.
            let greatest = if name == "open3d_mesh.off" { 255.0 } else { 1.0 };
            let values: Vec<f64> = values.iter().map(|value| value / greatest).collect();
            assert_eq!(values, expected(column), "{name}, column {column}");
        }
        let extra = raw.columns.split_off(3);
        assert_eq!(
            extra.len(),
            if name == "trimesh.off" {
                0
            } else if name == "open3d_mesh.off" {
                4
            } else {
                3
            },
            "{name}"
        );
        assert_eq!(corners(&raw), corners(&pyramid), "{name}");
    }
}

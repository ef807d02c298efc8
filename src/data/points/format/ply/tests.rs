//! PLY in all its encodings, cut, lying and wrong.

use super::super::Format::Ply;
use super::super::tests::{assert_refused, columns as expected};
use super::*;

fn header(format: &str, body: &str) -> String {
    format!("ply\nformat {format} 1.0\ncomment by hand\n{body}end_header\n")
}

const MESH: &str = "element camera 1\nproperty int view\nproperty list uchar float lens\nelement vertex 4\n\
    property double Y\nproperty float x\nproperty uchar diffuse_red\nproperty list uchar uchar extra\n\
    property short z\nproperty float Normal_X\nelement face 2\nproperty uchar material\n\
    property list uchar int vertex_indices\nelement nothing 18446744073709551615\n";

const ASCII: &str = "7 2 0.5 1.5\n1.5 0 255 0 -1 nan\n0 1e0 51 1 9 2 0.5\n\n2. .5 0 0 3 inf\n0 0 0 0 0 0\n\
    9 3 0 1 2\n9 4 0 1 2 3\n";

/// What [`ASCII`] says, in bytes of either order.
fn binary(is_big: bool) -> Vec<u8> {
    macro_rules! bytes {
        ($value:expr) => {
            if is_big { $value.to_be_bytes().to_vec() } else { $value.to_le_bytes().to_vec() }
        };
    }
    let vertex = |y: f64, x: f32, red: u8, extra: &[u8], z: i16, nx: f32| {
        [bytes!(y), bytes!(x), vec![red, extra.len() as u8], extra.to_vec(), bytes!(z), bytes!(nx)].concat()
    };
    let face = |corners: &[i32]| {
        [vec![9, corners.len() as u8], corners.iter().flat_map(|corner| bytes!(corner)).collect()].concat()
    };
    [
        [bytes!(7_i32), vec![2], bytes!(0.5_f32), bytes!(1.5_f32)].concat(),
        vertex(1.5, 0.0, 255, &[], -1, f32::NAN),
        vertex(0.0, 1.0, 51, &[9], 2, 0.5),
        vertex(2.0, 0.5, 0, &[], 3, f32::INFINITY),
        vertex(0.0, 0.0, 0, &[], 0, 0.0),
        face(&[0, 1, 2]),
        face(&[0, 1, 2, 3]),
    ]
    .concat()
}

#[test]
fn all_three_encodings_hold_the_same_mesh() {
    let columns = expected(&[
        ("y", &[1.5, 0.0, 2.0, 0.0]),
        ("x", &[0.0, 1.0, 0.5, 0.0]),
        ("red", &[1.0, 0.2, 0.0, 0.0]),
        ("z", &[-1.0, 2.0, 3.0, 0.0]),
    ]);
    let ascii = format!("{}{ASCII}", header("ascii", MESH));
    for bytes in [
        ascii.clone().into_bytes(),
        format!("\u{feff}{}", ascii.replace('\n', "\r\n")).into_bytes(),
        [header("binary_little_endian", MESH).into_bytes(), binary(false)].concat(),
        [header("binary_big_endian", MESH).replace('\n', "\r\n").into_bytes(), binary(true)].concat(),
        [&ascii.as_bytes()[..30], b"\xE9", &ascii.as_bytes()[30..]].concat(),
    ] {
        let mut raw = parse(&bytes, "a.ply").unwrap();
        let (name, normals) = raw.columns.pop().unwrap();
        assert_eq!((name.as_str(), &normals[1..]), ("nx", &[0.5, f64::INFINITY, 0.0][..]));
        assert!(normals[0].is_nan());
        assert_eq!(raw.columns, columns);
        assert_eq!(raw.triangles, [[0, 1, 2], [0, 1, 2], [0, 2, 3]]);
    }
}

#[test]
fn integers_of_64_bits_and_old_line_ends_are_read() {
    let body = "element vertex 2\nproperty int64 x\nproperty uint64 label\nproperty long y\nproperty ulong z\n";
    let row = |x: i64, label: u64| [x.to_le_bytes(), label.to_le_bytes(), [0; 8], [0; 8]].concat();
    let rows = [row(-5, 10), row(1 << 40, 7)].concat();
    let columns =
        expected(&[("x", &[-5.0, (1_u64 << 40) as f64]), ("label", &[10.0, 7.0]), ("y", &[0.0; 2]), ("z", &[0.0; 2])]);
    for end in ["\n", "\r\n", "\r"] {
        let header = header("binary_little_endian", body).replace('\n', end).into_bytes();
        assert_eq!(parse(&[header, rows.clone()].concat(), "a.ply").unwrap().columns, columns);
    }
    // The first byte of the points is that of a line's end.
    let old = header("binary_little_endian", body).replace('\n', "\r").into_bytes();
    let rows = [row(10, 0), row(0, 0)].concat();
    assert_eq!(parse(&[old, rows].concat(), "a.ply").unwrap().columns[0].1, [10.0, 0.0]);
    let text = format!("{}-5 10 0 0\n1099511627776 7 0 0\n", header("ascii", body));
    assert_eq!(parse(text.replace('\n', "\r").as_bytes(), "a.ply").unwrap().columns, columns);
}

const CLOUD: &str = "element vertex 3\nproperty float x\nproperty float y\n";

#[test]
fn a_cut_file_says_what_is_left() {
    let mesh = |format| header(format, &format!("{CLOUD}element face 2\nproperty list uchar int vertex_index\n"));
    let cut =
        |what: &str, of, left| format!("a: expected {of} {what}, as the header says, found {left}: the file is cut");
    let binary = |bytes: &[u8]| [mesh("binary_little_endian").as_bytes(), bytes].concat();
    let ascii = |text: &str| format!("{}{text}", mesh("ascii")).into_bytes();
    let no_header = "a: expected a PLY header, from ply to end_header, found ";
    let cases = [
        (binary(&[0; 17]), cut("vertices", 3, 2)),
        (binary(&[0; 25]), cut("faces", 2, 1)),
        (binary(&[[0; 24].as_slice(), &[255], &[0; 8]].concat()), cut("faces", 2, 0)),
        (ascii("1 2\n"), cut("vertices", 3, 1)),
        (ascii("1 2\n1 2\n1 2\n3 0 1 2\n"), cut("faces", 2, 1)),
        (Vec::new(), format!("{no_header}an empty file")),
        (mesh("ascii").as_bytes()[..60].to_vec(), format!("{no_header}no end_header: the file is cut")),
    ];
    assert_refused(Ply, cases);
}

#[test]
fn headers_that_lie_are_refused_without_reserving_memory() {
    let huge = "element vertex 18446744073709551615\nproperty list uint double vertex_index\nproperty double x\n";
    for format in ["ascii", "binary_little_endian", "binary_big_endian"] {
        let lie = [header(format, huge).as_bytes(), &[0xFF; 40]].concat();
        assert!(parse(&lie, "a.ply").is_err());
        let more = [header(format, CLOUD).as_bytes(), b"1 2\n3 4\n5 6\n7 8\n9 10 11 12 13\n"].concat();
        let raw = parse(&more, "a.ply").unwrap();
        assert!(raw.trailing > 0 && raw.columns[0].1.len() == 3, "what follows is told, not read");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let elements = "element vertex 0\nproperty float x\nelement face 1\nproperty list char int vertex_index\n";
    let face = |format: &str, bytes: &[u8]| [header(format, elements).as_bytes(), bytes].concat();
    let ascii = |body: &str| header("ascii", body).into_bytes();
    let cloud = |text: &str| [ascii(CLOUD), text.as_bytes().to_vec()].concat();
    let negative = [&[1_u8][..], &(-2_i32).to_le_bytes()].concat();
    let cases = [
        (b"OFF\n1 0 0\n".to_vec(), "...found OFF"),
        (
            ascii("element vertex 1\nproperty half x\n"),
            "a, line 5: expected a line of a PLY header, found property half x",
        ),
        (b"ply\nelement vertex 0\nend_header\n".to_vec(), "...a PLY header with a line format..."),
        (ascii("element point 1\nproperty int x\n"), "...an element vertex, found point"),
        (ascii(&format!("{CLOUD}element tristrips 1\n")), "...found 1 tristrips"),
        (ascii(&format!("{CLOUD}property float x\n")), "a, line 7: expected a new name, found property float x"),
        (ascii(&format!("{CLOUD}{CLOUD}")), "a, line 7: expected a new name, found element vertex 3"),
        (cloud("1 two\n"), "a, line 8: expected a number for y, found two"),
        (cloud("1 2\n\n1\n"), "a, line 10: expected a number for y, found the line's end"),
        (cloud("1 2 3\n"), "a, line 8: expected the values of one vertex, found 3 after them"),
        (face("ascii", b"3 0 1 -2\n"), "a, line 9: expected positions of vertices in a face, found -2"),
        (face("ascii", b"-1\n"), "...line 9: expected a number for vertex_index, found -1"),
        (face("binary_little_endian", &negative), "a, face 0: expected positions of vertices in a face, found -2"),
        (face("binary_big_endian", &[0xFF]), "...a, face 0: expected what the header says..."),
    ];
    assert_refused(Ply, cases);
}

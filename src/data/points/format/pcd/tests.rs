//! PCD in all its kinds, cut, lying and wrong.

use super::super::Format::Pcd;
use super::super::tests::{assert_refused, columns as expected};
use super::*;

fn header(fields: &str, sizes: &str, types: &str, points: usize, data: &str) -> Vec<u8> {
    format!(
        "# .PCD v0.7\nVERSION 0.7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {types}\n\
         WIDTH {points}\nHEIGHT 1\nPOINTS {points}\nDATA {data}\n"
    )
    .into_bytes()
}

fn columns(bytes: &[u8]) -> Vec<(String, Vec<f64>)> {
    parse(bytes, "a.pcd").unwrap().columns
}

fn message(bytes: &[u8]) -> String {
    parse(bytes, "a.pcd").unwrap_err().to_string()
}

/// Points as the compressed form has them: column by column, here in literal runs of LZF.
fn compressed(header: Vec<u8>, columns: &[u8]) -> Vec<u8> {
    let packed: Vec<u8> = columns.chunks(32).flat_map(|run| [&[run.len() as u8 - 1], run].concat()).collect();
    let sizes = [packed.len(), columns.len()].map(|size| (size as u32).to_le_bytes());
    [header, sizes.concat(), packed].concat()
}

#[test]
fn all_three_kinds_hold_the_same_points() {
    let points = [[1.5_f32, -2.25, 3.0], [0.1, 1e-7, -4e8]];
    let all = |data| header("x y z", "4 4 4", "F F F", 2, data);
    let mut binary = all("binary");
    binary.extend(points.iter().flatten().flat_map(|value| value.to_le_bytes()));
    let mut ascii = all("ascii");
    ascii.extend(points.iter().flat_map(|[x, y, z]| format!("{x} {y} {z}\r\n\n").into_bytes()));
    let by_column: Vec<u8> =
        (0..3).flat_map(|axis| points.map(|point| point[axis])).flat_map(f32::to_le_bytes).collect();
    let [x, y, z] = [0, 1, 2].map(|axis| points.map(|point| f64::from(point[axis])));
    let expected = expected(&[("x", &x), ("y", &y), ("z", &z)]);
    assert_eq!(columns(&binary), expected);
    assert_eq!(columns(&ascii), expected);
    assert_eq!(columns(&compressed(all("binary_compressed"), &by_column)), expected);
}

#[test]
fn every_field_is_a_column() {
    let count = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("WIDTH", "COUNT 1 1 1 2 1 3\nWIDTH");
    let fields = "rgb Normal_X z fpfh x _";
    let mut binary = count(header(fields, "4 4 8 2 1 1", "U F F I U U", 1, "binary")).into_bytes();
    binary.extend(0xFF_FF_33_00_u32.to_le_bytes());
    binary.extend(0.5_f32.to_le_bytes());
    binary.extend(3.0_f64.to_le_bytes());
    binary.extend([-7_i16, 8].iter().flat_map(|value| value.to_le_bytes()));
    binary.extend([200, 9, 9, 9]);
    let names: [(&str, &[f64]); 8] = [
        ("red", &[1.0]),
        ("green", &[0.2]),
        ("blue", &[0.0]),
        ("nx", &[0.5]),
        ("z", &[3.0]),
        ("fpfh_0", &[-7.0]),
        ("fpfh_1", &[8.0]),
        ("x", &[200.0]),
    ];
    assert_eq!(columns(&binary), expected(&names));
    let mut ascii = count(header(fields, "4 4 8 2 1 1", "U F F I U U", 1, "ascii")).into_bytes();
    ascii.extend(format!("{} 0.5 3 -7 8 200 9 9 9\n", 0xFF_FF_33_00_u32).into_bytes());
    assert_eq!(columns(&ascii), expected(&names));
    let float = f32::from_bits(0xFF_33_00);
    let mut ascii = header("rgb a", "4 1", "F U", 1, "ascii");
    ascii.extend(format!("{float:e} 51\n").into_bytes());
    assert_eq!(columns(&ascii), expected(&[names[0], names[1], names[2], ("alpha", &[0.2])]));
}

#[test]
fn a_field_of_count_0_has_no_bytes() {
    let counted = |data| {
        let bytes = header("x none rgb y ring", "4 2 1 4 1", "F U U F U", 2, data);
        String::from_utf8(bytes).unwrap().replace("WIDTH", "COUNT 1 0 0 1 2\nWIDTH").into_bytes()
    };
    let point = |x: f32, y: f32| [&x.to_le_bytes()[..], &y.to_le_bytes(), &[7, 9]].concat();
    let expected =
        expected(&[("x", &[1.5, 0.25]), ("y", &[2.5, 0.5]), ("ring_0", &[7.0, 7.0]), ("ring_1", &[9.0, 9.0])]);
    let binary = [counted("binary"), point(1.5, 2.5), point(0.25, 0.5)].concat();
    assert_eq!(columns(&binary), expected);
    assert_eq!(columns(&[counted("ascii"), b"1.5 2.5 7 9\n0.25 0.5 7 9\n".to_vec()].concat()), expected);
    let by_column: Vec<u8> =
        [[1.5_f32, 0.25], [2.5, 0.5]].iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let by_column = [by_column, vec![7, 9, 7, 9]].concat();
    assert_eq!(columns(&compressed(counted("binary_compressed"), &by_column)), expected);
    let nothing = String::from_utf8(header("x", "4", "F", 1, "binary")).unwrap().replace("WIDTH", "COUNT 0\nWIDTH");
    assert!(message(nothing.as_bytes()).starts_with("a.pcd: expected"));
}

#[test]
fn old_line_ends_are_line_ends_before_binary_points_too() {
    for data in ["ascii", "binary"] {
        let header = String::from_utf8(header("x", "4", "F", 2, data)).unwrap().replace('\n', "\r").into_bytes();
        let body = if data == "ascii" { b"1.5\r2.5\r".to_vec() } else { [1.5_f32, 2.5].map(f32::to_le_bytes).concat() };
        assert_eq!(columns(&[header.clone(), body].concat()), expected(&[("x", &[1.5, 2.5])]), "{data}");
        let cut = [header, b"one\r".to_vec()].concat();
        assert!(data == "binary" || message(&cut).contains("found 1: the file is cut"));
    }
}

#[test]
fn a_cut_file_says_how_many_points_are_left() {
    let all = |data| header("x y z", "4 4 4", "F F F", 3, data);
    let binary = [all("binary"), vec![0; 30]].concat();
    let packed = compressed(header("x", "4", "F", 3, "binary_compressed"), &[0; 12]);
    let cases = [
        (&binary[..], "a: expected 3 points, as the header says, found 2: the file is cut"),
        (
            &[all("ascii"), b"1 2 3\n".to_vec()].concat(),
            "a: expected 3 points, as the header says, found 1: the file is cut",
        ),
        (&binary[..40], "...expected a PCD header..."),
        (b"", "...found an empty file"),
        (&packed[..packed.len() - 2], "a: expected 13 compressed bytes, found 11: the file is cut"),
        (&packed[..packed.len() - 15], "...sizes of the compressed points..."),
    ];
    assert_refused(Pcd, cases);
}

#[test]
fn headers_that_lie_about_sizes_are_refused_without_reserving_memory() {
    let mut huge = header("x y z", "4 4 4", "F F F", 0, "binary");
    let text = String::from_utf8(huge).unwrap().replace("POINTS 0", &format!("POINTS {}", u64::MAX));
    huge = text.into_bytes();
    assert!(message(&huge).contains("the file is cut"));
    let ascii = String::from_utf8(huge).unwrap().replace("DATA binary", "DATA ascii");
    assert!(message(ascii.as_bytes()).contains("the file is cut"));
    let wide = ascii.replace("TYPE F F F", &format!("TYPE F F F\nCOUNT 1 1 {}", u64::MAX));
    assert!(message(wide.as_bytes()).contains("the file is cut"));
    for data in ["ascii", "binary", "binary_compressed"] {
        let wide = wide.replace("DATA ascii", &format!("DATA {data}"));
        let one = wide.replace(&format!("POINTS {}", u64::MAX), "POINTS 1") + "1 2 3 4 5 6 7 8 9";
        message(one.as_bytes());
        message(one.replace("POINTS 1", "POINTS 0").as_bytes());
    }
}

#[test]
fn compressed_points_that_lie_about_sizes_are_refused() {
    let all = |points| header("x", "4", "F", points, "binary_compressed");
    assert_eq!(
        message(&compressed(all(3), &[0; 8])),
        "a.pcd: expected 12 bytes of points, as the header says, found 8 before compression"
    );
    let huge = 1 << 28;
    let sizes = [4_u32, huge * 4].map(u32::to_le_bytes).concat();
    let lie = [all(huge as usize), sizes, vec![0; 4]].concat();
    assert!(message(&lie).contains("4 bytes, too few for them"));
    let mut wrong = compressed(all(2), &[0; 8]);
    *wrong.iter_mut().rev().nth(8).unwrap() = 0xE0;
    assert!(message(&wrong).contains("expected compressed points"));
}

#[test]
fn what_is_wrong_is_named() {
    let with = |line: &[u8]| [header("x y z", "4 4 4", "F F U", 1, "ascii"), line.to_vec()].concat();
    let cases = [
        (header("x", "3", "F", 1, "ascii"), "...Field type F with size 3 is not supported..."),
        (header("x", "4", "F", 0, "ascii"), "a: expected points, found POINTS 0"),
        (with(b"1 two 3\n"), "a, line 10: expected a number for y, found two"),
        (with(b"\n1 2\n"), "a, line 11: expected 3 values, as FIELDS and COUNT say, found 2"),
        (with(b"1 2 3.5\n"), "...line 10: expected numbers of the types in TYPE and SIZE..."),
        (with(b"1 2 3\n4 5 6\n"), "...line 11: expected the end of the file..."),
    ];
    assert_refused(Pcd, cases);
}

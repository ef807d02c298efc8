//! The readers of Planetoid's files, on a set made here.

use super::*;

/// A pickle of protocol 2.
fn pickle(body: &[u8]) -> Vec<u8> {
    [b"\x80\x02", body, b"."].concat()
}

fn array(kind: &str, shape: &[u8], data: &[u8]) -> Vec<u8> {
    let sizes: Vec<u8> = shape.iter().flat_map(|size| [b'K', *size]).collect();
    let parts: [&[u8]; 9] = [
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR(K\x01(",
        &sizes,
        b"tcnumpy\ndtype\n(U\x02",
        kind.as_bytes(),
        b"K\0K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89U",
        &[data.len() as u8],
        data,
        b"tb",
        b"",
    ];
    parts.concat()
}

fn wholes(values: &[i32]) -> Vec<u8> {
    array("i4", &[values.len() as u8], &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

/// A matrix of this shape with entries in these columns, each a row's only one.
fn matrix(rows: u8, columns: u8, places: &[i32]) -> Vec<u8> {
    let data: Vec<u8> = (1..=rows).flat_map(|value| f32::from(value).to_le_bytes()).collect();
    let ends: Vec<i32> = (0..=i32::from(rows)).collect();
    let parts: [&[u8]; 10] = [
        b"ccopy_reg\n_reconstructor\n(cscipy.sparse.csr\ncsr_matrix\nc__builtin__\nobject\nNtR}(U\x06_shapeK",
        &[rows, b'K', columns],
        b"\x86U\x04data",
        &array("f4", &[rows], &data),
        b"U\x07indices",
        &wholes(places),
        b"U\x06indptr",
        &wholes(&ends),
        b"ub",
        b"",
    ];
    pickle(&parts.concat())
}

fn labels(classes: &[usize]) -> Vec<u8> {
    let ones: Vec<u8> =
        classes.iter().flat_map(|class| [0, 1].map(|of| i32::from(of == *class).to_le_bytes())).flatten().collect();
    pickle(&array("i4", &[classes.len() as u8, 2], &ones))
}

/// `{0: [1], 1: [0, 4], 4: [1]}`.
fn neighbours() -> Vec<u8> {
    pickle(b"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R(K\0]K\x01aK\x01](K\0K\x04eK\x04]K\x01au")
}

/// Three nodes of which one is for training, and nodes 5 and 3 for testing; 4 has only links.
fn parts() -> [Vec<u8>; 7] {
    [
        matrix(3, 4, &[0, 1, 2]),
        matrix(2, 4, &[3, 0]),
        labels(&[0, 1, 1]),
        labels(&[1, 0]),
        labels(&[0]),
        neighbours(),
        b"5\r\n3\n\n".to_vec(),
    ]
}

fn read(parts: &[Vec<u8>; 7]) -> Result<Planetoid> {
    parse(std::array::from_fn(|part| &*parts[part]), &|part| PARTS[part].to_owned())
}

#[test]
fn rows_of_tests_are_the_nodes_that_the_index_names() {
    let set = read(&parts()).unwrap();
    assert_eq!(set.classes, [0, 1, 1, 0, IGNORED, 1]);
    let row = |node: usize| &set.features.values[4 * node..][..4];
    assert_eq!((row(2), row(3)), (&[0.0, 0.0, 3.0, 0.0][..], &[2.0, 0.0, 0.0, 0.0][..]));
    assert_eq!((row(4), row(5)), (&[0.0; 4][..], &[0.0, 0.0, 0.0, 1.0][..]));
    assert_eq!(set.links, [[0, 1], [1, 0], [1, 4], [4, 1]]);
    let [train, validation, test] = Split::ALL.map(Some);
    assert_eq!(set.marks, [train, validation, validation, test, None, test]);
    assert_eq!(set.names, 2);
}

#[test]
fn files_that_do_not_fit_each_other_are_told_by_name() {
    let message = |part: usize, content: Vec<u8>| {
        let mut parts = parts();
        parts[part] = content;
        read(&parts).unwrap_err().to_string()
    };
    for (part, content, words) in [
        (1, matrix(2, 3, &[0, 1]), "tx: expected 4 columns, as in allx"),
        (1, matrix(2, 4, &[0, 4]), "tx: expected finite numbers within the shape (2, 4), found 2 in row 1, column 4"),
        (1, labels(&[0]), "tx: expected a sparse matrix of SciPy in the format CSR, found an array"),
        (2, labels(&[0, 1]), "ally: expected 3 rows, as in allx"),
        (
            3,
            labels(&[0, 2]),
            "ty: expected an array (nodes, classes) of 0 and a single 1 per row, found something else in row 1",
        ),
        (4, labels(&[0; 4]), "y: expected at most 3 rows"),
        (5, pickle(b"}K\x06]K\x01as"), "graph: expected a dictionary of neighbours of 6 nodes, found node 6"),
        (5, pickle(b"]"), "graph: expected a dictionary of neighbours of 6 nodes, found a list of 0"),
        (6, b"5\n".to_vec(), "test.index: expected 2 nodes, as in tx, found 1"),
        (6, b"5\n5\n".to_vec(), "test.index: expected every node once, found node 5 twice"),
        (6, b"5\n2\n".to_vec(), "test.index, line 2: expected the number of a node, from 3 to 34, found 2"),
        (6, b"5\n99999999999999999999\n".to_vec(), "test.index, line 2: expected the number of a node"),
        (0, parts()[0][..40].to_vec(), "allx, byte"),
    ] {
        let message = message(part, content);
        assert!(message.contains(words), "'{words}' is not in: {message}");
    }
}

#[test]
fn a_folder_has_one_set_with_all_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |set: &str, part: usize| {
        std::fs::write(folder.path().join(format!("ind.{set}.{}", PARTS[part])), &parts()[part]).unwrap();
    };
    (0..6).for_each(|part| write("cora", part));
    let message = || super::read(folder.path()).unwrap_err().to_string();
    assert!(message().ends_with("expected the file ind.cora.test.index, found no such file"), "{}", message());
    write("cora", 6);
    assert_eq!(super::read(folder.path()).unwrap().paths.len(), 7);
    write("citeseer", 0);
    assert!(message().ends_with("of one set, found those of citeseer, cora"), "{}", message());
}

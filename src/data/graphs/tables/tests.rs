//! Tables in every spelling, and what is wrong with them by line or row.

use super::*;
use crate::data::gzip::tests::packed;
use crate::data::numpy::tests::array;

fn table(name: &str, bytes: &[u8]) -> Table {
    Table::of(Path::new(name), bytes.to_owned(), Blanks::Columns)
}

fn rows(text: &str) -> Vec<Vec<f32>> {
    let mut rows = Vec::new();
    let read = table("a.csv", text.as_bytes()).read(|row| {
        rows.push((0..row.len()).map(|column| row.finite(column)).collect::<Result<_>>()?);
        Ok(())
    });
    read.unwrap();
    rows
}

#[test]
fn tables_are_read_in_every_spelling() {
    let plain = vec![vec![1.0, 2.0, 4.0], vec![3.0, 4.5, 5.0]];
    for text in [
        "1,2,4\n3,4.5,5\n",
        "1;2; 4\r\n\r\n3;4.5;5",
        "\u{feff}# made by hand\n1\t2\t4\n3\t4.5\t5\n",
        "1,2,4\n3,\"4.5\",5",
        "1 2 4\n3  4.5 5 \n",
        " 1   2 4\n\n# three\n3 4.5 5",
        "1;2;4\n3;4,5;5\n",
        "1,2,4\r3,4.5,5\r",
        "1,\t2,\t4\n3,\t4.5,\t5\n",
    ] {
        assert_eq!(rows(text), plain, "{text:?}");
    }
}

#[test]
fn names_with_blanks_are_one_cell_unless_every_line_begins_with_a_node() {
    let cells = |text: &str| {
        let table = Table::of(Path::new("labels.csv"), text.into(), Blanks::NumberedNames);
        (table.width().unwrap(), table.start(9).unwrap().concat().join("|"))
    };
    assert_eq!(cells("New York\nSan Jose\nNew York\nSan Jose\n").0, 1);
    assert_eq!(cells("ann chess\nbea choir\ncem chess\n").0, 2);
    assert_eq!(cells("node label\n0 chess\n1 choir\n"), (2, "node|label|0|chess|1|choir".to_owned()));
    assert_eq!(cells("a\n\"\"\n\nb\n"), (1, "a||b".to_owned()), "an empty name is a row where it is quoted");
}

#[test]
fn structured_arrays_and_texts_of_numpy_are_tables_with_their_names() {
    let array = |descr: &str, shape: &str, data: &[u8]| table("a.npy", &array(descr, false, shape, data));
    let named = array("[('target', '<i2'), ('', '|V1'), ('w', '<f4', (2,)), ('kind', '|S3')]", "(2,)", &{
        let row =
            |target: i16, kind: &[u8]| [&target.to_le_bytes()[..], &[9], &[0, 0, 0, 63, 0, 0, 0, 64], kind].concat();
        [row(-4, b"ab\0"), row(7, b"cde")].concat()
    });
    let rows = named.start(9).unwrap().into_iter().map(|row| row.join(" ")).collect::<Vec<_>>();
    assert_eq!(rows, ["target w_0 w_1 kind", "-4 0.5 2 ab", "7 0.5 2 cde"]);
    assert!(named.has_names() && named.shape().unwrap().is_none() && named.width().unwrap() == 4);
    let texts = array("'<U1'", "(2,)", &[97, 0, 0, 0, 98, 0, 0, 0]);
    assert_eq!((texts.start(9).unwrap(), texts.has_names()), (vec![vec!["a".to_owned()], vec!["b".to_owned()]], false));
    assert_eq!(array("'|u1'", "(1, 2)", &[1, 2]).shape().unwrap(), Some([1, 2]));
}

#[test]
fn packed_tables_are_read_by_their_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edges.csv.gz");
    std::fs::write(&path, packed(b"0,1\n1,2\n")).unwrap();
    assert_eq!(Table::open(&path, Blanks::Columns).unwrap().rows(), 2);
}

#[test]
fn problems_are_told_by_line_or_row_and_all_of_them() {
    let table = table("a.csv", b"x,y\n1,2\n\n1,nan\n,3\n1,1e40\n");
    let problems = table.read(|row| match row.number {
        1 => Ok(()),
        _ => (0..2).try_for_each(|column| row.finite(column).map(drop)),
    });
    let told: Vec<String> = problems.unwrap_err().0.iter().map(ToString::to_string).collect();
    let finite = "expected finite numbers in single precision, in column 1 too, found";
    let expected = [
        format!("a.csv, line 4: {finite} nan"),
        "a.csv, line 5: expected a number in column 0, found nothing".to_owned(),
        format!("a.csv, line 6: {finite} 1e40"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn nodes_beyond_the_last_are_named_and_counting_from_one_is_suspected() {
    let read = |text: &str| {
        let mut nodes = Vec::new();
        let read = table("edges.csv", text.as_bytes()).read(|row| {
            nodes.push(row.node(0, "source", 3)?);
            Ok(())
        });
        read.map(|()| nodes).map_err(Problems::first)
    };
    assert_eq!(read("0\n2.0\n").unwrap(), [0, 2]);
    for (text, found) in [("0\n3\n", "3"), ("0\n-1\n", "-1"), ("0\n1.5\n", "1.5"), ("0\nx\n", "x")] {
        let error = read(text).unwrap_err();
        let expected = format!("edges.csv, line 2: expected a source node from 0 to 2, found {found}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.hint().unwrap().contains("begin at 1"), found == "3", "{error:?}");
    }
}

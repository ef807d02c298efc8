//! Tables in every spelling, and what is wrong with them by line or row.

use super::*;

fn table(name: &str, bytes: &[u8]) -> Table {
    Table { path: PathBuf::from(name), bytes: bytes.to_owned() }
}

fn rows(text: &str) -> (Option<Vec<String>>, Vec<Vec<f32>>) {
    let mut rows = Vec::new();
    let table = table("a.csv", text.as_bytes());
    let header = table.read(names_columns, |row| {
        rows.push((0..row.len()).map(|column| row.finite(column)).collect::<Result<_>>()?);
        Ok(())
    });
    (header.unwrap(), rows)
}

#[test]
fn tables_are_read_with_and_without_headers_in_every_spelling() {
    let plain = vec![vec![1.0, 2.0, 4.0], vec![3.0, 4.5, 5.0]];
    for text in [
        "1,2,4\n3,4.5,5\n",
        "1;2; 4\r\n\r\n3;4.5;5",
        "\u{feff}# made by hand\n1\t2\t4\n3\t4.5\t5\n",
        "1,2,4\n3,\"4.5\",5",
    ] {
        assert_eq!(rows(text), (None, plain.clone()), "{text:?}");
    }
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(rows("a,b,c\n1,2,4\n3,4.5,5\n"), (Some(names), plain.clone()));
    let numbers = ["0", "1", "2"].map(str::to_owned).to_vec();
    assert_eq!(rows("0,1,2\n1,2,4\n3,4.5,5\n"), (Some(numbers), plain));
    assert_eq!(rows("0,1\n1,2\n").0, None, "two columns may well be 0 and 1");
}

#[test]
fn problems_are_told_by_line_or_row_and_all_of_them() {
    let table = table("a.csv", b"x,y\n1,2\n\n1,nan\n,3\n1,1e40\n");
    let problems = table.read(has_no_number, |row| (0..2).try_for_each(|column| row.finite(column).map(drop)));
    let told: Vec<String> = problems.unwrap_err().iter().map(ToString::to_string).collect();
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
        let table = table("edges.csv", text.as_bytes());
        let mut nodes = Vec::new();
        let read = table.read(has_no_digit, |row| {
            nodes.push(row.node(0, "source", 3)?);
            Ok(())
        });
        read.map(|_| nodes).map_err(|mut problems| problems.remove(0))
    };
    assert_eq!(read("source\n0\n2.0\n").unwrap(), [0, 2]);
    for (text, found) in [("0\n3\n", "3"), ("0\n-1\n", "-1"), ("0\n1.5\n", "1.5"), ("0\nx\n", "x")] {
        let error = read(text).unwrap_err();
        let expected = format!("edges.csv, line 2: expected a source node from 0 to 2, found {found}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.hint().unwrap().contains("begin at 1"), found == "3", "{error:?}");
    }
}

#[test]
fn a_table_may_be_there_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Table::find(folder.path(), "edges").unwrap().is_none());
    let error = Table::require(folder.path(), "edges").err().unwrap();
    assert!(error.to_string().ends_with("expected the file edges.csv or edges.npy, found no such file"), "{error}");
    std::fs::write(folder.path().join("edges.csv"), "").unwrap();
    assert!(Table::find(folder.path(), "edges").unwrap().is_some());
    std::fs::write(folder.path().join("edges.npy"), "").unwrap();
    assert!(
        Table::find(folder.path(), "edges").err().unwrap().to_string().ends_with("edges.csv or edges.npy, found both")
    );
}

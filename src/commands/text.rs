//! Tables and paragraphs for people.

/// Rows of as many cells each, one below the other, in columns as wide as their widest cell.
pub fn columns<Row: AsRef<[String]>>(rows: &[Row]) -> String {
    let count = rows.first().map_or(0, |row| row.as_ref().len());
    let width = |column: usize| rows.iter().map(|row| row.as_ref()[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Row| {
        let cells = row.as_ref().iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// A paragraph in lines of at most `width` letters where words allow it, each with `before` before it.
pub fn wrapped(text: &str, before: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let is_full = before.len() + line.chars().count() + 1 + word.chars().count() > width;
        if !line.is_empty() && is_full {
            lines += &format!("{before}{line}\n");
            line.clear();
        }
        line += if line.is_empty() { "" } else { " " };
        line += word;
    }
    lines + &format!("{before}{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [["a", "long"], ["ββ", ""], ["c", "d"]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), "a   long\nββ\nc   d\n");
        assert_eq!(columns::<Vec<String>>(&[]), "");
    }

    #[test]
    fn words_are_not_cut() {
        assert_eq!(wrapped("one two  three fourfourfour", "# ", 10), "# one two\n# three\n# fourfourfour\n");
        assert_eq!(wrapped("", "", 10), "\n");
    }
}

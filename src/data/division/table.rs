//! A table of all files of a folder with a column that says which part each is for.

use std::path::{Path, PathBuf};

use super::{HEADERS, START, part_of};
use crate::data::folders::{entries, file_name};
use crate::data::scan::show;
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading;

/// Headers of the column with the parts in a table of all files.
const OF_PARTS: &str = "split partition subset";

/// A table with a row per file and a column that says what each is for.
pub(super) struct PartsTable {
    pub path: PathBuf,
    /// The number of the line, the file, and its part.
    pub rows: Vec<(usize, String, Split)>,
}

/// The table of a folder that says which of these files are for what.
///
/// # Errors
/// Several of them; one without a column of files, or with parts of other names.
pub(super) fn find_table(folder: &Path, files: &[(&str, &Path)]) -> Result<Option<PartsTable>> {
    let is_table = |path: &PathBuf| {
        !files.iter().any(|(_, file)| file == path)
            && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
            && reading::start(path, START).is_ok_and(|start| {
                let header = String::from_utf8_lossy(&start);
                let header = header.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
                header.split(',').any(|cell| OF_PARTS.split(' ').any(|name| is_called(cell, name)))
            })
    };
    let tables: Vec<PathBuf> = entries(folder)?.into_iter().filter(|path| !path.is_dir()).filter(is_table).collect();
    match &tables[..] {
        [] => Ok(None),
        [table] => read_table(table).map(Some),
        several => {
            let names: Vec<String> = several.iter().map(|path| file_name(path)).collect();
            Err(Error::invalid(folder, "one table with a column of parts", names.join(", "))
                .with_hint("move the others away"))
        }
    }
}

fn is_called(cell: &str, name: &str) -> bool {
    cell.trim().trim_matches('"').eq_ignore_ascii_case(name)
}

fn read_table(path: &Path) -> Result<PartsTable> {
    parse(&reading::text(path, reading::LIST)?, path)
}

/// The same of a table's text.
pub(super) fn parse(text: &str, path: &Path) -> Result<PartsTable> {
    let place = path.display().to_string();
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let broken = |error: csv::Error| Error::invalid(place.clone(), "a table", error.to_string());
    let header = reader.headers().map_err(broken)?.clone();
    let column = |names: &str| names.split(' ').find_map(|name| header.iter().position(|cell| is_called(cell, name)));
    let (Some(files), Some(parts)) = (column(HEADERS), column(OF_PARTS)) else {
        let found: Vec<&str> = header.iter().collect();
        return Err(Error::invalid(place, "a column with the files beside that of their parts", found.join(", "))
            .with_hint("call it file; or move the table away, and parts are chosen by a share"));
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, |position| position.line() as usize);
        let (file, part) = (record.get(files).unwrap_or_default().trim(), record.get(parts).unwrap_or_default().trim());
        let split = part_of(part).ok_or_else(|| {
            Error::invalid(format!("{place}, line {line}"), "a part: train, valid or test", show(part.as_bytes()))
                .with_hint("where the column is about something else, move the table away: a share of every class is then for testing")
        })?;
        rows.push((line, file.to_owned(), split));
    }
    Ok(PartsTable { path: path.to_owned(), rows })
}

//! `sgas correlate`: how far two scores of the same cells order them alike, by Kendall's tau.

use super::outputs::{PLOT, print_then_write};
use super::{CorrelateOptions, study};
use crate::error::{Error, Result};
use crate::files::Output;
use crate::nearest;
use crate::reading;
use crate::report::scatter::{self, Group};
use crate::statistics::Tau;
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// Pairs of columns that are looked for.
const USUAL: [[&str; 2]; 2] = [["search_score", "score"], ["search_rank", "evaluation_rank"]];
/// The column that says whose a line is.
const METHOD: &str = "method";
/// Lines of a table at most: of more, the interval's draws would take minutes.
const MOST: usize = 20_000;

/// Tells it.
///
/// # Errors
/// A file that is no such table; columns that it does not have, or with words where numbers belong; too few lines.
pub fn run(options: &CorrelateOptions, out: &mut dyn Write) -> Result<()> {
    let plot = options.plot.as_deref().map(|path| Output::new("--plot", path, PLOT, options.force)).transpose()?;
    let format = options.plot.as_deref().map(scatter::format_of).transpose()?;
    let runs = study::runs_file(&options.source);
    let table = Table::read(runs.as_deref().unwrap_or(&options.source), &options.columns)?;
    let signs = table.columns.each_ref().map(|name| if is_less_better(name) { -1.0 } else { 1.0 });
    let mut told = Vec::new();
    for Group { name, points } in &table.groups {
        let of = |index: usize| -> Vec<f64> { points.iter().map(|point| signs[index] * point[index]).collect() };
        told.push((name, points.len(), Tau::of(&of(0), &of(1))));
    }
    if told.iter().all(|(_, _, tau)| tau.is_none()) {
        let place = options.source.display().to_string();
        let most = told.iter().map(|(_, n, _)| *n).max().unwrap_or(0);
        let expected =
            format!("at least 3 lines with {} and {} that are not all alike", table.columns[0], table.columns[1]);
        return Err(Error::invalid(place, expected, format!("{most} lines")));
    }
    let text = if options.json {
        let lines = told.iter().map(|(name, n, tau)| json!({ "method": name, "n": n, "tau": tau }));
        let all = json!({ "columns": table.columns, "less_is_better": table.columns.each_ref().map(|name| is_less_better(name)), "methods": lines.collect::<Vec<_>>() });
        format!("{all:#}\n")
    } else {
        let width = told.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
        let mut text = format!("Kendall's tau of {} and {}\n", table.columns[0], table.columns[1]);
        for (name, n, tau) in &told {
            let words = tau.map_or_else(
                || "no order: too few lines, or all alike".to_owned(),
                |tau| {
                    format!(
                        "{:.4} (95 % interval {:.4} to {:.4}, p = {})",
                        tau.tau,
                        tau.interval[0],
                        tau.interval[1],
                        study::of_p(tau.p)
                    )
                },
            );
            text += &format!("  {name:<width$}  n = {n:<5} {words}\n");
        }
        text
    };
    let drawn = plot.as_ref().map_or(String::new(), |plot| format!("plot: {}\n", plot.path().display()));
    let draw = || match (&plot, format) {
        (Some(plot), Some(format)) => plot.write(&scatter::draw(format, &table.columns, &table.groups)?),
        _ => Ok(()),
    };
    print_then_write(out, &text, draw, if options.json { "" } else { &drawn })
}

/// Looks at the table in a file.
///
/// # Errors
/// What is no table of two columns of numbers.
pub fn check_table(path: &Path, columns: &[String]) -> Result<()> {
    Table::read(path, columns).map(drop)
}

/// Of ranks and errors the least is the best.
fn is_less_better(name: &str) -> bool {
    ["rank", "error"].iter().any(|end| name.to_lowercase().ends_with(end))
}

/// Two columns of numbers, method by method.
struct Table {
    columns: [String; 2],
    groups: Vec<Group>,
}

impl Table {
    /// Lines without one of the numbers, of runs that are not done, are left out.
    fn read(path: &Path, asked: &[String]) -> Result<Self> {
        let place = path.display().to_string();
        let text = reading::text(path, reading::TABLE)?;
        let wrong = |error: csv::Error| Error::invalid(place.clone(), "a table (CSV) with a head", error.to_string());
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let head: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
        let at = |name: &str| head.iter().position(|known| known == name);
        let columns: [String; 2] = match asked {
            [one, other] => [one.clone(), other.clone()],
            [_, ..] => return Err(Error::invalid("--columns", "two names, such as rank,score", asked.join(","))),
            [] => match USUAL.into_iter().find(|pair| pair.iter().all(|name| at(name).is_some())) {
                Some(pair) => pair.map(str::to_owned),
                None => {
                    let expected = "the columns search_score and score, or search_rank and evaluation_rank";
                    return Err(Error::invalid(place, expected, head.join(", "))
                        .with_hint("--columns ONE,OTHER names two others"));
                }
            },
        };
        let index = |name: &str| {
            let known: Vec<&str> = head.iter().map(String::as_str).collect();
            at(name).ok_or_else(|| {
                Error::invalid("--columns", format!("columns of {place}"), format!("'{name}'"))
                    .with_hint(nearest::hint(name, &known))
            })
        };
        let indices = [index(&columns[0])?, index(&columns[1])?];
        let method = at(METHOD);
        let mut groups: Vec<Group> = Vec::new();
        for (number, record) in reader.records().enumerate() {
            let record = record.map_err(wrong)?;
            if number >= MOST {
                return Err(Error::invalid(place, format!("at most {MOST} lines"), "more"));
            }
            let cells = indices.map(|index| record.get(index).unwrap_or_default());
            if cells.contains(&"") {
                continue;
            }
            let mut point = [0.0; 2];
            for (value, (cell, column)) in point.iter_mut().zip(cells.iter().zip(&columns)) {
                let read = cell.parse().ok().filter(|value: &f64| value.is_finite());
                *value = read.ok_or_else(|| {
                    Error::invalid(
                        format!("{place}: line {}, {column}", number + 2),
                        "a finite number",
                        format!("'{cell}'"),
                    )
                })?;
            }
            let name = method.and_then(|index| record.get(index)).unwrap_or("all").to_owned();
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.points.push(point),
                None => groups.push(Group { name, points: vec![point] }),
            }
        }
        Ok(Self { columns, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str, columns: &[&str]) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        Table::read(&path, &columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn lines_go_to_their_methods_and_open_ones_are_left_out() {
        let read = table("method,search_score,score\na,1,2\nb,3,4\na,,5\na, 6 ,7.5\n", &[]).unwrap();
        assert_eq!(read.columns, ["search_score", "score"]);
        let told: Vec<(&str, &[[f64; 2]])> =
            read.groups.iter().map(|group| (group.name.as_str(), &*group.points)).collect();
        assert_eq!(told, [("a", &[[1.0, 2.0], [6.0, 7.5]][..]), ("b", &[[3.0, 4.0]][..])]);
    }

    #[test]
    fn what_is_no_such_table_is_refused_with_its_place() {
        let refused = |text: &str, columns: &[&str]| table(text, columns).err().unwrap().to_string();
        assert!(refused("a,b\n1,2\n", &[]).contains("found a, b"));
        assert!(refused("a,b\n1,2\n", &["a", "c"]).contains("'c'"));
        assert!(refused("a,b\n1,2\n1,x\n", &["a", "b"]).contains("line 3, b: expected a finite number, found 'x'"));
        assert!(refused("a,b\n1,inf\n", &["a", "b"]).contains("finite"));
        assert!(refused("a,b\n1,2,3\n", &["a", "b"]).contains("a table (CSV)"));
    }
}

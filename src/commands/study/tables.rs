//! The results of a study as tables: Markdown, CSV, LaTeX.

use super::results::{Method, Results};
use crate::commands::text;
use crate::error::{Error, Result};
use crate::report::page::{Row, Run};
use crate::statistics::{Paired, Summary, Tau};

/// The columns of the papers' tables, and what makes a comparison.
const COLUMNS: [&str; 8] =
    ["Method", "n", "score", "Best", "Parameters (M)", "Search (days)", "Difference to the first", "Kendall's tau"];

/// Letters of a line of the legend for people.
const WIDTH: usize = 110;

/// In the order of the plan, those that were published below.
pub fn rows(results: &Results) -> Vec<Row> {
    let ours = results.methods.iter().map(|method| Row { cells: of_method(method).to_vec(), is_published: false });
    let published = results.published.iter().map(|one| {
        let number =
            |value: Option<f64>, digits: usize| value.map_or(String::new(), |value| format!("{value:.digits$}"));
        let deviation = one.deviation.map_or(String::new(), |deviation| format!(" ± {deviation:.2}"));
        let cells = [
            one.name.clone(),
            one.n.map_or(String::new(), |n| n.to_string()),
            one.score.map_or(String::new(), |score| format!("{score:.2}{deviation}")),
            number(one.best, 2),
            number(one.parameters, 2),
            one.search_days.map_or(String::new(), significant),
            String::new(),
            String::new(),
        ];
        Row { cells: cells.to_vec(), is_published: true }
    });
    ours.chain(published).collect()
}

fn of_method(method: &Method) -> [String; COLUMNS.len()] {
    let Method { name, asked, score, best, parameters, search_days, paired, tau } = method;
    let n = score.map_or(0, |score| score.n);
    let n = if n == *asked { n.to_string() } else { format!("{n} of {asked}") };
    [
        name.clone(),
        n,
        score.map_or(String::new(), |score| with_interval(&score)),
        best.map_or(String::new(), |best| format!("{best:.2}")),
        parameters.map_or(String::new(), |parameters| format!("{:.2}", parameters.mean / 1e6)),
        search_days.map_or(String::new(), |days| significant(days.mean)),
        paired.as_ref().map_or(String::new(), difference),
        tau.as_ref().map_or(String::new(), of_tau),
    ]
}

/// Mean, deviation, and the mean's interval.
fn with_interval(summary: &Summary) -> String {
    let deviation = summary.deviation.map_or(String::new(), |deviation| format!(" ± {deviation:.2}"));
    let ends = summary.interval.map(|half| (summary.mean - half, summary.mean + half));
    let interval = ends.map_or(String::new(), |(from, to)| format!(" ({from:.2} to {to:.2})"));
    format!("{:.2}{deviation}{interval}", summary.mean)
}

fn difference(paired: &Paired) -> String {
    let Paired { difference, effect, p } = paired;
    let half = difference
        .interval
        .map_or(String::new(), |half| format!(" ({:+.2} to {:+.2})", difference.mean - half, difference.mean + half));
    let effect = effect.map_or(String::new(), |effect| format!(", d = {effect:.2}"));
    format!("{:+.2}{half}{effect}{}", difference.mean, p.map_or(String::new(), |p| format!(", p = {}", of_p(p))))
}

/// With four decimals, as far as they tell something.
pub fn of_p(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}

fn of_tau(tau: &Tau) -> String {
    format!("{:.2} ({:.2} to {:.2}), p = {}", tau.tau, tau.interval[0], tau.interval[1], of_p(tau.p))
}

/// Three digits that tell something: 0.00312, 0.25, 12.3.
fn significant(value: f64) -> String {
    let digits = if value > 0.0 { (2.0 - value.log10().floor()).clamp(0.0, 8.0) as usize } else { 0 };
    format!("{value:.digits$}")
}

/// What the score is, as the head of its column.
pub fn score_name(results: &Results) -> String {
    let words = results.score.replace("_f1", "-F1").replace("iou", "IoU").replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{} (%)", letters.as_str())
}

/// The heads of the table.
pub fn columns(results: &Results) -> Vec<String> {
    COLUMNS.iter().map(|column| if *column == "score" { score_name(results) } else { (*column).to_owned() }).collect()
}

/// How to read the numbers.
pub fn legend(results: &Results) -> String {
    let better = if results.is_error { "Less is better. " } else { "" };
    let open = results.runs.iter().filter(|line| line.state == "open").count();
    let failed = results.runs.iter().filter(|line| !["open", "done"].contains(&line.state.as_str())).count();
    let left = match (open, failed) {
        (0, 0) => String::new(),
        _ => format!("\n\nNot whole yet: of {} runs {open} are not done and {failed} failed.", results.runs.len()),
    };
    let note = results.note.as_ref().map_or(String::new(), |note| format!("\n\n{}", note.trim()));
    format!(
        "{better}Mean ± standard deviation (n − 1) over seeds, with the mean's 95 % interval by Student's t. Differences are \
         seed by seed, method less the first, with their 95 % interval, Cohen's d of paired differences, and the paired \
         t-test's p, not corrected for several comparisons. Kendall's tau_b is between what a search thought of its cell and \
         what its training came to, with the 95 % interval of 10,000 bootstrap draws. Search time is that of this machine.{left}{note}"
    )
}

/// As Markdown.
pub fn markdown(results: &Results) -> String {
    let escaped = |cell: &str| cell.replace('|', "\\|").replace('\n', " ");
    let line =
        |cells: &[String]| format!("| {} |\n", cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" | "));
    let mut text = format!("# {}\n\n", escaped(&results.title));
    let columns = columns(results);
    text += &line(&columns);
    text += &format!("|{}\n", "---|".repeat(columns.len()));
    for Row { mut cells, is_published } in rows(results) {
        if is_published {
            cells[0] += " (published)";
        }
        text += &line(&cells);
    }
    text + &format!("\n{}\n", legend(results))
}

/// As LaTeX, with the rules of booktabs.
pub fn latex(results: &Results) -> String {
    let line =
        |cells: &[String]| format!("{} \\\\\n", cells.iter().map(|cell| tex(cell)).collect::<Vec<_>>().join(" & "));
    let columns = columns(results);
    let mut text = format!(
        "% {}\n\\begin{{tabular}}{{l{}}}\n\\toprule\n",
        results.title.replace('\n', " "),
        "r".repeat(columns.len() - 1)
    );
    text += &line(&columns);
    text += "\\midrule\n";
    let mut was_ours = true;
    for Row { cells, is_published } in rows(results) {
        if was_ours && is_published {
            text += "\\midrule\n";
        }
        was_ours = !is_published;
        text += &line(&cells);
    }
    text + "\\bottomrule\n\\end{tabular}\n"
}

/// Text as LaTeX sets it.
fn tex(text: &str) -> String {
    let mut set = String::new();
    for letter in text.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                set.push('\\');
                set.push(letter);
            }
            '\\' => set += "\\textbackslash{}",
            '~' => set += "\\textasciitilde{}",
            '^' => set += "\\textasciicircum{}",
            '±' => set += "$\\pm$",
            '<' => set += "$<$",
            '>' => set += "$>$",
            '\n' => set.push(' '),
            other => set.push(other),
        }
    }
    set
}

/// The methods as CSV, every number in a column of its own.
///
/// # Errors
/// None that is known; the writer's.
pub fn csv(results: &Results) -> Result<String> {
    const HEAD: [&str; 22] = [
        "method",
        "published",
        "asked",
        "n",
        "score",
        "mean",
        "deviation",
        "interval_low",
        "interval_high",
        "best",
        "parameters_m",
        "search_days",
        "difference",
        "difference_low",
        "difference_high",
        "effect",
        "p",
        "tau",
        "tau_low",
        "tau_high",
        "tau_p",
        "pairs",
    ];
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let ends = |summary: Option<Summary>| {
        let half = summary.and_then(|summary| Some((summary.mean, summary.interval?)));
        [number(half.map(|(mean, half)| mean - half)), number(half.map(|(mean, half)| mean + half))]
    };
    let mut rows = vec![HEAD.map(str::to_owned)];
    for method in &results.methods {
        let Method { name, asked, score, best, parameters, search_days, paired, tau } = method;
        let [low, high] = ends(*score);
        let difference = paired.map(|paired| paired.difference);
        let [difference_low, difference_high] = ends(difference);
        rows.push([
            name.clone(),
            "false".to_owned(),
            asked.to_string(),
            score.map_or(0, |score| score.n).to_string(),
            results.score.clone(),
            number(score.map(|score| score.mean)),
            number(score.and_then(|score| score.deviation)),
            low,
            high,
            number(*best),
            number(parameters.map(|parameters| parameters.mean / 1e6)),
            number(search_days.map(|days| days.mean)),
            number(difference.map(|difference| difference.mean)),
            difference_low,
            difference_high,
            number(paired.and_then(|paired| paired.effect)),
            number(paired.and_then(|paired| paired.p)),
            number(tau.map(|tau| tau.tau)),
            number(tau.map(|tau| tau.interval[0])),
            number(tau.map(|tau| tau.interval[1])),
            number(tau.map(|tau| tau.p)),
            difference.map_or(String::new(), |difference| difference.n.to_string()),
        ]);
    }
    for one in &results.published {
        let mut row: [String; HEAD.len()] = Default::default();
        row[0].clone_from(&one.name);
        row[1] = "true".to_owned();
        row[3] = one.n.map_or(String::new(), |n| n.to_string());
        row[4].clone_from(&results.score);
        row[5] = number(one.score);
        row[6] = number(one.deviation);
        row[9] = number(one.best);
        row[10] = number(one.parameters);
        row[11] = number(one.search_days);
        rows.push(row);
    }
    written(rows)
}

/// The runs as CSV.
///
/// # Errors
/// None that is known; the writer's.
pub fn runs_csv(results: &Results) -> Result<String> {
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let head = ["method", "seed", "state", "search_score", "search_seconds", "parameters", "train_seconds", "score"];
    let row = |line: &Run| {
        let Run { method, seed, state, search_score, search_seconds, parameters, train_seconds, score } = line;
        [
            method.clone(),
            seed.to_string(),
            state.clone(),
            number(*search_score),
            number(*search_seconds),
            parameters.map_or(String::new(), |count| count.to_string()),
            number(*train_seconds),
            number(*score),
        ]
    };
    written(std::iter::once(head.map(str::to_owned)).chain(results.runs.iter().map(row)))
}

fn written<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> Result<String> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let failed = |error: &dyn std::fmt::Display| Error::run(format!("a table can't be made: {error}"));
    for row in rows {
        writer.write_record(row).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// For people: the Markdown table with columns of even width.
pub fn for_people(results: &Results) -> String {
    let ours = rows(results).into_iter().map(|Row { mut cells, is_published }| {
        cells[0] += if is_published { " (published)" } else { "" };
        cells
    });
    let lines: Vec<Vec<String>> = std::iter::once(columns(results)).chain(ours).collect();
    let legend: String = legend(results).split('\n').map(|paragraph| text::wrapped(paragraph, "", WIDTH)).collect();
    format!("{}\n\n{}\n{legend}", results.title, text::columns(&lines))
}

#[cfg(test)]
mod tests {
    use super::super::plan::Published;
    use super::*;

    fn results() -> Results {
        let scores = |values: &[f64]| Some(Summary::of(values));
        let empty = Method {
            name: "Random | 1".to_owned(),
            asked: 2,
            score: None,
            best: None,
            parameters: None,
            search_days: None,
            paired: None,
            tau: None,
        };
        let sgas = Method {
            name: "SGAS_1".to_owned(),
            asked: 3,
            score: scores(&[2.0, 4.0]),
            best: Some(2.0),
            parameters: scores(&[3_750_238.0, 3_800_000.0]),
            search_days: scores(&[0.003, 0.00324]),
            paired: Some(Paired::of(&[2.0, 4.0], &[3.0, 4.5])),
            tau: Tau::of(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]),
        };
        let published = Published {
            name: "SGAS, criterion 1".to_owned(),
            score: Some(2.66),
            deviation: Some(0.24),
            n: Some(10),
            best: Some(2.39),
            parameters: Some(3.7),
            search_days: Some(0.25),
        };
        let run = Run {
            method: "SGAS_1".to_owned(),
            seed: 1,
            state: "open".to_owned(),
            search_score: None,
            search_seconds: Some(1.5),
            parameters: None,
            train_seconds: None,
            score: None,
        };
        Results {
            title: "Table 1".to_owned(),
            note: Some("At a size for a processor.".to_owned()),
            score: "overall_error".to_owned(),
            is_error: true,
            methods: vec![sgas, empty],
            published: vec![published],
            runs: vec![run],
        }
    }

    #[test]
    fn markdown_has_every_method_and_what_is_missing() {
        let text = markdown(&results());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[2],
            "| Method | n | Overall error (%) | Best | Parameters (M) | Search (days) | Difference to the first | Kendall's tau |"
        );
        assert!(lines[4].starts_with("| SGAS_1 | 2 of 3 | 3.00 ± 1.41 (-9.71 to 15.71) | 2.00 | 3.78 | 0.00312 | -0.75 (-3.93 to +2.43), d = -2.12, p = 0.2048 | 1.00 ("), "{}", lines[4]);
        assert_eq!(lines[5], "| Random \\| 1 | 0 of 2 |  |  |  |  |  |  |");
        assert_eq!(lines[6], "| SGAS, criterion 1 (published) | 10 | 2.66 ± 0.24 | 2.39 | 3.70 | 0.250 |  |  |");
        assert!(text.contains("Less is better.") && text.contains("of 1 runs 1 are not done and 0 failed"));
        assert!(text.ends_with("At a size for a processor.\n"));
    }

    #[test]
    fn latex_is_escaped_and_ruled() {
        let text = latex(&results());
        assert!(text.contains("SGAS\\_1 & 2 of 3 & 3.00 $\\pm$ 1.41 (-9.71 to 15.71)"), "{text}");
        assert!(text.contains("Overall error (\\%)"));
        assert_eq!(text.matches("\\midrule").count(), 2);
        assert_eq!(text.matches(" & ").count(), 4 * (COLUMNS.len() - 1));
    }

    #[test]
    fn csv_reads_back() {
        let text = csv(&results()).unwrap();
        let rows: Vec<csv::StringRecord> =
            ::csv::Reader::from_reader(text.as_bytes()).records().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!((&rows[0][5], &rows[0][12], &rows[1][0], &rows[2][5]), ("3", "-0.75", "Random | 1", "2.66"));
        let runs = runs_csv(&results()).unwrap();
        assert_eq!(runs.lines().nth(1).unwrap(), "SGAS_1,1,open,,1.5,,,");
    }

    #[test]
    fn numbers_have_three_digits_that_tell() {
        let told = [0.0, 0.003_124, 0.25, 12.34, 1234.0].map(significant);
        assert_eq!(told, ["0", "0.00312", "0.250", "12.3", "1234"]);
        assert_eq!((of_p(0.00001).as_str(), of_p(0.02861).as_str()), ("< 0.0001", "0.0286"));
    }
}

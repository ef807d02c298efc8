//! `sgas config`: the keys of configurations, and what the built-in ones say. `sgas init`: one to begin with.

use super::options::{ConfigOptions, InitOptions, RunKind};
use super::outputs::{CONFIGURATION, print_then_write};
use super::{print, text};
use crate::config::keys::{self, Key};
use crate::config::{self, RunConfig, SearchRun, Sources, TrainRun, embedded, tasks};
use crate::error::{Error, Result};
use crate::files::Output;
use crate::nearest;
use schemars::JsonSchema;
use serde_json::{Value, json};
use std::io::Write;

/// Columns of a comment.
const WIDTH: usize = 100;

/// A key, and what kinds of run have it.
struct Listed {
    key: Key,
    in_search: bool,
    in_train: bool,
}

impl Listed {
    fn of(&self) -> &'static str {
        match (self.in_search, self.in_train) {
            (true, true) => "search, train",
            (true, false) => "search",
            _ => "train",
        }
    }
}

/// Lists keys or prints a configuration.
///
/// # Errors
/// Names that nothing has.
pub fn run(options: &ConfigOptions, out: &mut dyn Write) -> Result<()> {
    if !options.keys {
        let name = options.name.as_deref().unwrap_or_default();
        let text = match options.of.unwrap_or(RunKind::Search) {
            RunKind::Search => text_of::<SearchRun>(name)?,
            RunKind::Train => text_of::<TrainRun>(name)?,
        };
        return print(out, &text);
    }
    let all = listed(options.of);
    let begin = options.name.as_deref().unwrap_or_default();
    let chosen: Vec<&Listed> = all.iter().filter(|one| one.key.name.starts_with(begin)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = all.iter().map(|one| one.key.name.as_str()).collect();
        let near = nearest::nearest(begin, names.iter().copied());
        let hint =
            near.map_or_else(|| "sgas config --keys lists all".to_owned(), |near| format!("did you mean {near}?"));
        return Err(Error::usage(format!("no key begins with '{begin}'")).with_hint(hint));
    }
    let text = if options.json {
        let line = |one: &&Listed| {
            let mut line = json!(one.key);
            line["runs"] = json!(one.of().split(", ").collect::<Vec<_>>());
            line
        };
        format!("{:#}\n", Value::from(chosen.iter().map(line).collect::<Vec<_>>()))
    } else if options.markdown {
        markdown(&chosen)
    } else {
        chosen.iter().map(|one| as_text(one)).collect()
    };
    print(out, &text)
}

/// Prints a configuration with a comment at every key, or writes it.
///
/// # Errors
/// An unknown task; a file that is there.
pub fn init(options: &InitOptions, out: &mut dyn Write) -> Result<()> {
    tasks::find(&options.task).map_err(|error| error.placed(|_| "--task".to_owned()))?;
    let text = match options.of {
        RunKind::Search => commented::<SearchRun>(&options.task)?,
        RunKind::Train => commented::<TrainRun>(&options.task)?,
    };
    let Some(path) = &options.output else { return print(out, &text) };
    let place = Output::new("--output", path, CONFIGURATION, false)?;
    let next = format!("written: {}\nnext: sgas {} --config {}\n", path.display(), name(options.of), path.display());
    print_then_write(out, "", || place.write(text.as_bytes()), &next)
}

fn name(of: RunKind) -> &'static str {
    match of {
        RunKind::Search => SearchRun::COMMAND,
        RunKind::Train => TrainRun::COMMAND,
    }
}

/// The text of a file, of an embedded configuration, or of a task's own.
fn text_of<R: RunConfig>(name: &str) -> Result<String> {
    let path = std::path::Path::new(name);
    if path.is_file() {
        return config::read_text(path);
    }
    Ok(embedded::find(R::COMMAND, name)?.1.to_owned())
}

/// All keys, those of searches first.
fn listed(of: Option<RunKind>) -> Vec<Listed> {
    let base = |name: &str| embedded::named(name).unwrap_or_default();
    let search = keys::keys::<SearchRun>(base("search/points"));
    let train = keys::keys::<TrainRun>(base("train/points"));
    let has = |keys: &[Key], name: &str| keys.iter().any(|key| key.name == name);
    let mut all: Vec<Listed> = search
        .iter()
        .map(|key| Listed { key: key.clone(), in_search: true, in_train: has(&train, &key.name) })
        .collect();
    all.extend(train.iter().filter(|key| !has(&search, &key.name)).map(|key| Listed {
        key: key.clone(),
        in_search: false,
        in_train: true,
    }));
    all.retain(|one| match of {
        None => true,
        Some(RunKind::Search) => one.in_search,
        Some(RunKind::Train) => one.in_train,
    });
    all
}

/// What a value may be, in words.
fn values(key: &Key) -> String {
    let names: Vec<&str> = key.choices.iter().map(|(name, _)| name.as_str()).collect();
    match &key.range {
        _ if !names.is_empty() => names.join(" | "),
        Some(range) if range.starts_with(&key.kind) => range.clone(),
        Some(range) => format!("{}: {range}", key.kind),
        None => key.kind.clone(),
    }
}

/// The default in words.
fn usual(key: &Key) -> &str {
    key.default.as_deref().unwrap_or("none")
}

fn as_text(one: &Listed) -> String {
    let Listed { key, .. } = one;
    let mut text = format!("{}  ({})\n", key.name, one.of());
    text += &text::wrapped(&values(key), "    ", WIDTH);
    text += &format!("    default: {}\n", usual(key));
    text += &text::wrapped(&key.about, "    ", WIDTH);
    for (name, about) in &key.choices {
        text +=
            &about.as_ref().map_or(String::new(), |about| text::wrapped(&format!("{name}: {about}"), "      ", WIDTH));
    }
    text + "\n"
}

fn markdown(chosen: &[&Listed]) -> String {
    let mut text = "\
# Every key of a configuration
This page is what `sgas config --keys --markdown` prints; a test holds it. Defaults are those of the program where no
configuration says otherwise; `sgas config NAME` prints a built-in configuration, and `sgas init --task TASK` one to begin
with, with these words at every key.

| key | runs | values | default | meaning |
|---|---|---|---|---|
"
    .to_owned();
    let cell = |text: &str| text.replace('|', "\\|");
    for one in chosen {
        let key = &one.key;
        let choices: String =
            key.choices.iter().filter_map(|(name, about)| Some(format!(" `{name}`: {}", about.as_ref()?))).collect();
        let about = format!("{}{choices}", key.about);
        let default = format!("`{}`", usual(key));
        text += &format!(
            "| `{}` | {} | {} | {} | {} |\n",
            key.name,
            one.of(),
            cell(&values(key)),
            cell(&default),
            cell(&about)
        );
    }
    text
}

/// A task's own configuration, every key with what it means; keys that are not set stand as comments.
fn commented<R: RunConfig + JsonSchema>(task: &str) -> Result<String> {
    let run: R = config::resolve(&Sources { task: Some(task), ..Sources::default() })?;
    let set: toml::Table = toml::from_str(&run.to_toml()).map_err(|error| Error::run(format!("{task}: {error}")))?;
    let base = embedded::named(&format!("{}/points", R::COMMAND)).unwrap_or_default();
    let mut text = text::wrapped(
        &format!(
            "A {} of {task}: sgas {} --config FILE. Keys behind # are not set: without a value they mean what is said.",
            R::COMMAND,
            R::COMMAND
        ),
        "# ",
        WIDTH,
    );
    let mut section = "";
    let all = keys::keys::<R>(base);
    for key in &all {
        let (own, last) = key.name.rsplit_once('.').unwrap_or(("", &key.name));
        if own != section {
            text += &format!("\n[{own}]");
            section = own;
        }
        let mut words = format!("{} ({})", key.about, values(key));
        for (name, about) in &key.choices {
            words += &about.as_ref().map_or(String::new(), |about| format!(" {name}: {about}"));
        }
        text += &format!("\n{}", text::wrapped(&words, "# ", WIDTH));
        let value = key.name.split('.').try_fold(None::<&toml::Value>, |at, part| {
            let table = match at {
                None => Some(&set),
                Some(value) => value.as_table(),
            };
            table.and_then(|table| table.get(part)).map(Some)
        });
        text += &match value.flatten() {
            Some(value) => format!("{last} = {value}\n"),
            None => format!("# {last} = {}\n", key.default.as_deref().unwrap_or("...")),
        };
    }
    Ok(text)
}

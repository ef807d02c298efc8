//! Flags of a plan as the words of a command line, looked at by the program's own parser.

use crate::commands::options::{GlobalOptions, SearchOptions, TrainOptions};
use crate::error::{Error, Result};
use clap::{Args, FromArgMatches};

/// Flags by name, without the hyphens.
pub type Flags = toml::Table;

/// What the study itself says for every run.
const OWN: [&str; 7] = ["out", "resume", "resume-anyway", "seed", "save", "force", "area"];

/// `own` over `common`; lists, such as those of `set`, are joined.
pub fn over(common: Option<&Flags>, own: &Flags) -> Flags {
    let mut flags = common.cloned().unwrap_or_default();
    for (name, value) in own {
        match (flags.get_mut(name), value) {
            (Some(toml::Value::Array(common)), toml::Value::Array(own)) => common.extend(own.iter().cloned()),
            _ => {
                flags.insert(name.clone(), value.clone());
            }
        }
    }
    flags
}

/// The words of a search, and what they mean.
///
/// # Errors
/// What `sgas search` does not take; `place` is where it stands.
pub fn search(place: &str, flags: &Flags) -> Result<(Vec<String>, SearchOptions)> {
    parsed(place, "search", flags)
}

/// The same of a training.
///
/// # Errors
/// What `sgas train` does not take.
pub fn train(place: &str, flags: &Flags) -> Result<(Vec<String>, TrainOptions)> {
    parsed(place, "train", flags)
}

fn parsed<T: Args + FromArgMatches>(place: &str, name: &'static str, flags: &Flags) -> Result<(Vec<String>, T)> {
    let words = words(place, flags)?;
    let command = GlobalOptions::augment_args(T::augment_args(clap::Command::new(name).no_binary_name(true)));
    let matches = command.try_get_matches_from(&words);
    let options = matches.and_then(|mut matches| T::from_arg_matches_mut(&mut matches)).map_err(|misuse| {
        let told = misuse.render().to_string();
        let told = told.split("\n\nUsage:").next().unwrap_or_default().trim_start_matches("error: ").trim().to_owned();
        Error::usage(format!("{place}: {told}")).with_hint(format!("sgas {name} --help lists the flags"))
    })?;
    Ok((words, options))
}

fn words(place: &str, flags: &Flags) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for (name, value) in flags {
        let name = name.replace('_', "-");
        if OWN.contains(&name.as_str()) {
            return Err(Error::usage(format!("{place}: the study itself sets --{name}")));
        }
        let values = match value {
            toml::Value::Array(values) => values.clone(),
            one => vec![one.clone()],
        };
        for value in values {
            match value {
                toml::Value::Boolean(true) => words.push(format!("--{name}")),
                toml::Value::Boolean(false) => {}
                toml::Value::String(text) => words.push(format!("--{name}={text}")),
                toml::Value::Integer(number) => words.push(format!("--{name}={number}")),
                toml::Value::Float(number) => words.push(format!("--{name}={number}")),
                other => {
                    let expected = "a text, a number, true, false, or a list of them";
                    return Err(Error::invalid(format!("{place}: {name}"), expected, other.to_string()));
                }
            }
        }
    }
    Ok(words)
}

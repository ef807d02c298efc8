//! Layers of keys, the later over the earlier, which remember who set what.

use super::RunConfig;
use super::value::{Misfit, Reason, Value};
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::visible;
use std::collections::BTreeMap;
use toml::{Table, Value as Toml};

/// The flag that sets any key.
pub const SET: &str = "--set";

/// The most parts of a key that is typed: keys have three. Tables in tables are gone through by recursion, and what a file
/// nests too deeply TOML's reader refuses.
const MOST_PARTS: usize = 16;

/// Keys from several sources, merged.
#[derive(Debug, Default)]
pub struct Layers {
    table: Table,
    /// Who set a key last: a file, a variable or a flag; by dotted key.
    origins: BTreeMap<String, String>,
}

/// A key, and the section that belongs to what it chooses.
const STRATEGY: (&str, &str) = ("search.strategy", "search.candidates");

impl Layers {
    /// Lays a whole TOML text over what is there; `file` names it in errors.
    ///
    /// # Errors
    /// Text that is no TOML, with its line.
    pub fn add_text(&mut self, file: &str, text: &str) -> Result<()> {
        let table: Table = text.parse().map_err(|error| not_toml(file, text, &error))?;
        self.add_table(file, &[], table);
        Ok(())
    }

    /// Lays one value over what is there; `key` has dots between section and key.
    pub fn add(&mut self, origin: &str, key: &str, value: Toml) {
        let parts: Vec<String> = key.split('.').map(str::to_owned).collect();
        self.insert(origin, &parts, value);
    }

    /// Lays `section.key=value` as typed over what is there: a TOML value, or else plain text.
    ///
    /// # Errors
    /// Text without `=`, a key of more parts than any has.
    pub fn add_assignment(&mut self, origin: &str, typed: &str) -> Result<()> {
        let (key, text) = typed.split_once('=').ok_or_else(|| {
            Error::invalid(origin, "section.key=value", format!("'{typed}'")).with_hint("for example model.channels=16")
        })?;
        let parts = key.split('.').count();
        if parts > MOST_PARTS {
            let expected = format!("a key of at most {MOST_PARTS} parts");
            return Err(Error::invalid(origin, expected, parts.to_string()).with_hint("for example model.channels=16"));
        }
        self.add(origin, key.trim(), parse_value(text.trim()));
        Ok(())
    }

    /// The merged keys as `R`, with every value in its range.
    ///
    /// # Errors
    /// Unknown key (with the nearest), wrong type, or value out of range; each with its origin.
    pub fn read<R: RunConfig>(self) -> Result<R> {
        let run = R::deserialize(Value(Toml::Table(self.table.clone()))).map_err(|misfit| self.misfit::<R>(&misfit))?;
        run.validate().map_err(|error| error.placed(|key| self.place(key)))?;
        Ok(run)
    }

    fn add_table(&mut self, origin: &str, path: &[String], table: Table) {
        for (key, value) in table {
            let path = [path, &[key]].concat();
            match value {
                Toml::Table(inner) if !inner.is_empty() => self.add_table(origin, &path, inner),
                value => self.insert(origin, &path, value),
            }
        }
    }

    fn insert(&mut self, origin: &str, path: &[String], value: Toml) {
        if path.join(".") == STRATEGY.0 {
            self.leave_strategy(&value);
        }
        self.origins.insert(path.join("."), origin.to_owned());
        let (last, sections) = path.split_last().expect("a key has at least one part");
        let mut table = &mut self.table;
        for section in sections {
            let entry = table.entry(section.clone()).or_insert_with(|| Toml::Table(Table::new()));
            if !entry.is_table() {
                *entry = Toml::Table(Table::new());
            }
            table = entry.as_table_mut().expect("made a table above");
        }
        table.insert(last.clone(), value);
    }

    /// Where another strategy comes in the place of one, what the same layer said of that one's cells goes with it.
    fn leave_strategy(&mut self, value: &Toml) {
        let (key, of_it) = STRATEGY;
        let section = self.table.get_mut("search").and_then(Toml::as_table_mut);
        let Some((section, origin)) = section.zip(self.origins.get(key).cloned()) else { return };
        let Some(cells) = section.get("candidates").and_then(Toml::as_table).cloned() else { return };
        if section.get("strategy") == Some(value) {
            return;
        }
        let is_other = |name: &str| self.origins.get(&format!("{of_it}.{name}")) != Some(&origin);
        let kept: Table = cells.into_iter().filter(|(name, _)| is_other(name)).collect();
        self.origins.retain(|key, by| !key.starts_with(of_it) || *by != origin);
        match kept.is_empty() {
            true => drop(section.remove("candidates")),
            false => drop(section.insert("candidates".to_owned(), kept.into())),
        }
    }

    /// `ORIGIN: key`; the flag alone where a flag of its own set it, the key alone where nobody did.
    fn place(&self, key: &str) -> String {
        let exact = self.origins.get(key);
        let inside = || self.origins.iter().find(|(known, _)| known.starts_with(&format!("{key}.")));
        let around = || self.origins.iter().find(|(known, _)| key.starts_with(&format!("{known}.")));
        match exact.or_else(|| inside().or_else(around).map(|(_, origin)| origin)) {
            Some(flag) if flag.starts_with("--") && flag != SET => flag.clone(),
            Some(origin) => format!("{origin}: {key}"),
            None => key.to_owned(),
        }
    }

    /// How a list is typed whose quotes the shell took away, or that was typed without brackets.
    fn list_for_shell(&self, key: &str) -> Option<String> {
        let mut parts = key.split('.');
        let value = self.table.get(parts.next()?)?;
        let Toml::String(text) = parts.try_fold(value, |value, part| value.get(part))? else { return None };
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        let items: Vec<String> = inner.split(',').map(|item| format!("{:?}", item.trim().trim_matches('\''))).collect();
        Some(visible::for_shell(format!("{key}=[{}]", items.join(", "))))
    }

    fn misfit<R: RunConfig>(&self, misfit: &Misfit) -> Error {
        let place = self.place(&misfit.key());
        match &misfit.reason {
            Reason::Value { expected, found } => {
                let error = Error::invalid(place, expected, found);
                match self.list_for_shell(&misfit.key()) {
                    Some(typed) => error.with_hint(format!("quote it for the shell: {SET} {typed}")),
                    None => error,
                }
            }
            Reason::UnknownKey(fields) => {
                let (name, section) = misfit.path.split_last().expect("an unknown key has a name");
                let error = Error::invalid(place, format!("one of the keys {}", fields.join(", ")), name);
                error.with_hint(key_hint::<R>(section, name, fields))
            }
        }
    }
}

/// The nearest key of the section, or else the nearest key of any section.
fn key_hint<R: RunConfig>(section: &[String], name: &str, fields: &[&str]) -> String {
    let prefix = section.iter().map(|part| format!("{part}.")).collect::<String>();
    if let Some(key) = nearest(name, fields.iter().copied()) {
        return format!("did you mean {prefix}{key}?");
    }
    let all = all_keys::<R>();
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let names: Vec<String> = all.iter().map(|key| last(key)).collect();
    match nearest(name, names.iter().map(String::as_str)) {
        None => "the config.toml of any run shows all keys".to_owned(),
        Some(near) => {
            let there: Vec<&str> = all.iter().filter(|key| last(key) == near).map(String::as_str).collect();
            format!("did you mean {}?", there.join(" or "))
        }
    }
}

/// Every key with a default, dotted.
fn all_keys<R: RunConfig>() -> Vec<String> {
    let mut layers = Layers::default();
    let table = Table::try_from(R::default()).expect("configurations are plain tables");
    layers.add_table("default", &[], table);
    layers.origins.into_keys().collect()
}

/// A TOML value, or plain text where it is none: `--set data.augmentation=none` needs no quotes.
fn parse_value(text: &str) -> Toml {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Toml::String(text.to_owned()))
}

fn not_toml(file: &str, text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    Error::invalid(format!("{file}: line {line}"), "TOML", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SearchRun;

    fn read(text: &str, set: &[&str]) -> Result<SearchRun> {
        let mut layers = Layers::default();
        layers.add_text("a.toml", text)?;
        for assignment in set {
            layers.add_assignment("--set", assignment)?;
        }
        layers.read()
    }

    fn failure(text: &str, set: &[&str]) -> (String, String) {
        let error = read(&format!("task = 'points'\n{text}"), set).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        (error.to_string(), error.hint().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_later_layer_wins_key_by_key() {
        let run = read("task = 'points'\n[model]\nchannels = 8\ncells = 3", &["model.channels=16"]).unwrap();
        assert_eq!((run.model.channels, run.model.cells), (16, 3));
    }

    #[test]
    fn cells_of_a_strategy_go_with_it() {
        let file = "[search]\nstrategy = 'predictor'\n[search.candidates]\ncells = 14\nepochs = 9\n";
        let cells = |set: &[&str]| {
            let run = read(&format!("task = 'points'\n{file}"), set).unwrap();
            (run.search.strategy.name(), run.search.candidates.cells, run.search.candidates.epochs)
        };
        assert_eq!(cells(&[]), ("predictor", Some(14), 9));
        assert_eq!(cells(&["search.strategy=predictor"]), ("predictor", Some(14), 9));
        assert_eq!(cells(&["search.strategy=sgas"]), ("sgas", None, 5));
        // What was said for the new one stays.
        assert_eq!(cells(&["search.candidates.cells=3", "search.strategy=random"]), ("random", Some(3), 5));
        assert!(failure(file, &["search.candidates.cells=3", "search.strategy=sgas"]).0.contains("search.candidates"));
    }

    #[test]
    fn an_unknown_key_names_its_file_and_the_nearest() {
        let (text, hint) = failure("[model]\nchanels = 8", &[]);
        assert!(text.starts_with("a.toml: model.chanels: expected one of the keys channels, cells"), "{text}");
        assert_eq!(hint, "did you mean model.channels?");
        assert_eq!(failure("", &["channels=8"]).1, "did you mean model.channels?");
        assert_eq!(failure("", &["modle.channels=8"]).1, "did you mean model?");
    }

    #[test]
    fn a_wrong_type_names_what_belongs_there() {
        let (text, _) = failure("[model]\nchannels = 'many'", &[]);
        assert_eq!(text, "a.toml: model.channels: expected a whole number, found \"many\"");
        let (text, _) = failure("", &["search.batch=-3"]);
        assert_eq!(text, "--set: search.batch: expected a whole number of at least 0, found -3");
        let (text, _) = failure("", &["search.strategy=sags"]);
        assert_eq!(
            text,
            "--set: search.strategy: expected sgas, darts, one-shot, random, most-params, successive-halving or predictor, found sags"
        );
        let (text, _) = failure("[alphas]\nbetas = [0.5, 'x']", &[]);
        assert_eq!(text, "a.toml: alphas.betas.1: expected a number, found \"x\"");
        let (text, _) = failure("", &["model=3"]);
        assert_eq!(text, "--set: model: expected a section of keys, found 3");
    }

    #[test]
    fn a_value_out_of_range_names_who_set_it() {
        let (text, _) = failure("[model]\nchannels = 0", &[]);
        assert_eq!(text, "a.toml: model.channels: expected 1 to 4096, found 0");
        let (text, _) = failure("[model]\nchannels = 4", &["model.channels=0"]);
        assert_eq!(text, "--set: model.channels: expected 1 to 4096, found 0");
        let (text, _) = failure("[alphas]\nbetas = [0.5, 1.5]", &[]);
        assert!(text.starts_with("a.toml: alphas.betas.1: "), "{text}");
    }

    #[test]
    fn a_key_of_countless_parts_is_refused() {
        let (text, _) = failure("", &[&format!("model.{}=1", ["a"; 60_000].join("."))]);
        assert_eq!(text, "--set: expected a key of at most 16 parts, found 60001");
    }

    #[test]
    fn a_list_whose_quotes_the_shell_took_is_told_with_them() {
        let mut layers = Layers::default();
        layers.add_assignment(SET, "data.features=[normals, colors]").unwrap();
        let error = layers.read::<SearchRun>().unwrap_err();
        assert_eq!(error.hint(), Some("quote it for the shell: --set 'data.features=[\"normals\", \"colors\"]'"));
    }

    #[test]
    fn what_is_no_toml_names_its_line() {
        let (text, _) = failure("[model]\nchannels = = 3", &[]);
        assert!(text.starts_with("a.toml: line 3: expected TOML, found "), "{text}");
    }
}
